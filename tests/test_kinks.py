"""The documented answers where a row is not smooth: kinks, ties, poles, infinities, NaN.

`ops.py` states the conventions; this file has one line for each, and for what IEEE 754
and the C library say about the same operands. Nothing raises, whatever the operands.

Terms:
    kink    where the left and the right derivative differ
    tie     operands of maximum or minimum that are equal
    pole    where a value or a derivative is infinite
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, grad, hessian, hvp, jvp, ops
from miniflow.ops import TABLE
from support.strategies import points

inf, nan, pi = math.inf, math.nan, math.pi
ANY = "anything"  # a partial about which nothing is promised
MAX = math.nextafter(inf, 0.0)


def same(got, expected):
    """Whether a number is the expected one; NaN is NaN, and zeros are alike."""
    return expected is ANY or got == expected or (got != got and expected != expected)


def exactly(got, expected):
    """Whether a number is the expected one, up to the sign of zero."""
    return same(got, expected) and (
        got != got or math.copysign(1.0, got) == math.copysign(1.0, expected)
    )


def alone(op, xs, k):
    """The row as a function of operand k; the others are plain numbers."""
    return lambda x: op(*xs[:k], x, *xs[k + 1 :])


# --- values and partials ------------------------------------------------------

# row, operands, value, and the partial for each operand
KINKS = [
    # flat kinks: the derivative is 0
    ("abs", (0.0,), 0.0, (0.0,)),
    ("abs", (-0.0,), 0.0, (0.0,)),
    ("relu", (0.0,), 0.0, (0.0,)),
    ("relu", (-0.0,), 0.0, (0.0,)),
    ("step", (0.0,), 0.0, (0.0,)),
    ("step", (-0.0,), 0.0, (0.0,)),
    ("sign", (0.0,), 0.0, (0.0,)),
    ("sign", (-0.0,), 0.0, (0.0,)),
    ("copysign", (0.0, -1.0), -0.0, (0.0, 0.0)),
    ("hypot", (0.0, 0.0), 0.0, (0.0, 0.0)),
    # at the kink the slope is the one from the left
    ("leaky_relu", (0.0, 0.25), 0.0, (0.25, 0.0)),
    ("elu", (0.0, 2.0), 0.0, (2.0, 0.0)),
    # ties: half to each side
    ("maximum", (1.0, 1.0), 1.0, (0.5, 0.5)),
    ("minimum", (1.0, 1.0), 1.0, (0.5, 0.5)),
    ("maximum", (0.0, -0.0), 0.0, (0.5, 0.5)),
    ("minimum", (-0.0, 0.0), -0.0, (0.5, 0.5)),
    ("maximum", (inf, inf), inf, (0.5, 0.5)),
    ("minimum", (-inf, -inf), -inf, (0.5, 0.5)),
    ("maximum", (inf, 1.0), inf, (1.0, 0.0)),
    ("minimum", (inf, 1.0), 1.0, (0.0, 1.0)),
    ("maximum", (nan, 1.0), nan, (nan, nan)),
    ("minimum", (1.0, nan), nan, (nan, nan)),
    # a tie of n: 1/n to each
    ("max_of", (2.0, 3.0, 3.0, 3.0), 3.0, (0.0, 1 / 3, 1 / 3, 1 / 3)),
    ("min_of", (2.0, 3.0, 2.0), 2.0, (0.5, 0.0, 0.5)),
    ("max_of", (0.0, -0.0, 0.0), 0.0, (1 / 3, 1 / 3, 1 / 3)),
    ("min_of", (-0.0, 0.0, 0.0), -0.0, (1 / 3, 1 / 3, 1 / 3)),
    ("max_of", (inf, 1.0, inf), inf, (0.5, 0.0, 0.5)),
    ("min_of", (-inf, -inf, 1.0), -inf, (0.5, 0.5, 0.0)),
    ("max_of", (nan, 1.0, inf), nan, (nan, nan, nan)),
    ("min_of", (1.0, nan, 0.0), nan, (nan, nan, nan)),
    ("max_of", (nan,), nan, (nan,)),
    ("tally", (0.0, -0.0, nan, 0.0), 2.0, (0.0, 0.0, 0.0, 0.0)),
    ("tally", (nan, nan), 0.0, (0.0, 0.0)),
    # positions are rounded down, and the nearest ones beyond the ends
    ("take", (1.5, 7.0, nan, 9.0), nan, (0.0, 0.0, 1.0, 0.0)),
    ("take", (2.0, nan, nan, 9.0), 9.0, (0.0, 0.0, 0.0, 1.0)),
    ("take", (-0.5, 7.0, 8.0), 7.0, (0.0, 1.0, 0.0)),
    ("take", (-inf, 7.0, 8.0), 7.0, (0.0, 1.0, 0.0)),
    ("take", (inf, 7.0, 8.0), 8.0, (0.0, 0.0, 1.0)),
    ("take", (0.0,), nan, (0.0,)),
    ("take", (nan, 7.0, 8.0), nan, (0.0, nan, nan)),
    ("nextafter", (1.0, 1.0), 1.0, (1.0, 0.0)),
    ("nextafter", (0.0, -0.0), -0.0, (1.0, 0.0)),
    ("nextafter", (0.0, -1.0), -5e-324, (1.0, 0.0)),
    ("nextafter", (MAX, inf), inf, (1.0, 0.0)),
    ("nextafter", (inf, 0.0), MAX, (1.0, 0.0)),
    ("nextafter", (nan, 0.0), nan, (1.0, 0.0)),
    ("exponent", (0.0,), 0.0, (0.0,)),
    ("exponent", (5e-324,), -1073.0, (0.0,)),
    ("exponent", (inf,), 0.0, (0.0,)),
    ("exponent", (nan,), 0.0, (0.0,)),
    # choices: what was not chosen does not count; NaN is true, as in Python
    ("where", (1.0, 2.0, nan), 2.0, (0.0, 1.0, 0.0)),
    ("where", (0.0, nan, 2.0), 2.0, (0.0, 0.0, 1.0)),
    ("where", (-0.0, nan, inf), inf, (0.0, 0.0, 1.0)),
    ("where", (1.0, nan, 2.0), nan, (0.0, 1.0, 0.0)),
    ("where", (nan, 1.0, 2.0), 1.0, (0.0, 1.0, 0.0)),
    ("less", (1.0, 1.0), 0.0, (0.0, 0.0)),
    ("less", (nan, 1.0), 0.0, (0.0, 0.0)),
    ("less", (-inf, inf), 1.0, (0.0, 0.0)),
    ("equal", (nan, nan), 0.0, (0.0, 0.0)),
    ("equal", (0.0, -0.0), 1.0, (0.0, 0.0)),
    ("equal", (inf, inf), 1.0, (0.0, 0.0)),
    ("copysign", (3.0, -0.0), -3.0, (-1.0, 0.0)),
    ("copysign", (-3.0, 0.0), 3.0, (-1.0, 0.0)),
    ("copysign", (inf, -1.0), -inf, (-1.0, 0.0)),
    # a NaN's sign counts as +
    ("copysign", (3.0, nan), 3.0, (1.0, 0.0)),
    ("copysign", (3.0, -nan), 3.0, (1.0, 0.0)),
    # arithmetic of infinities and zeros
    ("add", (inf, -inf), nan, (1.0, 1.0)),
    ("add", (-0.0, -0.0), -0.0, (1.0, 1.0)),
    ("sub", (inf, inf), nan, (1.0, -1.0)),
    ("neg", (0.0,), -0.0, (-1.0,)),
    ("pos", (-0.0,), -0.0, (1.0,)),
    ("stop_gradient", (-0.0,), -0.0, (0.0,)),
    ("stop_gradient", (inf,), inf, (0.0,)),
    ("mul", (0.0, inf), nan, (inf, 0.0)),
    ("mul", (-0.0, 5.0), -0.0, (5.0, 0.0)),
    ("mul", (1e200, 1e200), inf, (1e200, 1e200)),
    ("abs", (-inf,), inf, (-1.0,)),
    ("sum", (inf, -inf), nan, (1.0, 1.0)),
    ("sum", (-0.0,), -0.0, (1.0,)),
    ("sum", (MAX, MAX, -MAX), inf, (1.0, 1.0, 1.0)),
    ("fsum", (MAX, 1.0, -MAX), 1.0, (1.0, 1.0, 1.0)),
    ("fsum", (inf, 1.0), inf, (1.0, 1.0)),
    ("fsum", (inf, -inf), nan, (1.0, 1.0)),
    ("dot", (0.0, inf), nan, (inf, 0.0)),
    ("degrees", (inf,), inf, (180 / pi,)),
    ("radians", (-inf,), -inf, (pi / 180,)),
    ("fma", (0.1, 10.0, -1.0), 2.0**-54, (10.0, 0.1, 1.0)),
    ("fma", (1e308, 10.0, 0.0), inf, (10.0, 1e308, 1.0)),
    ("fma", (inf, 1.0, -inf), nan, (1.0, inf, 1.0)),
    ("fma", (-0.0, 1.0, -0.0), -0.0, (1.0, -0.0, 1.0)),
    ("ldexp", (1.0, 2000.0), inf, (inf, 0.0)),
    ("ldexp", (-1.0, 2000.0), -inf, (inf, 0.0)),
    ("ldexp", (-0.0, 5.0), -0.0, (32.0, 0.0)),
    ("ldexp", (inf, -5.0), inf, (1 / 32, 0.0)),
    ("ldexp", (1.0, -2000.0), 0.0, (0.0, 0.0)),
    # division by zero has the sign of both
    ("div", (1.0, 0.0), inf, (inf, -inf)),
    ("div", (-1.0, 0.0), -inf, (inf, inf)),
    ("div", (1.0, -0.0), -inf, (-inf, -inf)),
    ("div", (-1.0, -0.0), inf, (-inf, inf)),
    ("div", (0.0, 0.0), nan, (inf, nan)),
    ("div", (inf, inf), nan, (0.0, nan)),
    ("div", (inf, 0.0), inf, (inf, -inf)),
    ("div", (1.0, inf), 0.0, (0.0, 0.0)),
    ("div", (-1.0, inf), -0.0, (0.0, 0.0)),
    ("div", (0.0, 5.0), 0.0, (0.2, 0.0)),
    ("floordiv", (1.0, 0.0), inf, (0.0, 0.0)),
    ("floordiv", (-1.0, 0.0), -inf, (0.0, 0.0)),
    ("floordiv", (0.0, 0.0), nan, (0.0, 0.0)),
    ("floordiv", (-7.0, 2.0), -4.0, (0.0, 0.0)),
    ("floordiv", (7.0, -2.0), -4.0, (0.0, 0.0)),
    ("floordiv", (-1.0, inf), -1.0, (0.0, 0.0)),
    # remainders: the whole quotient is the slope by the divisor, also where it jumps
    ("mod", (1.0, 0.0), nan, (1.0, ANY)),
    ("mod", (inf, 2.0), nan, (1.0, nan)),
    ("mod", (-7.0, 2.0), 1.0, (1.0, 4.0)),
    ("mod", (7.0, -2.0), -1.0, (1.0, 4.0)),
    ("mod", (6.0, 3.0), 0.0, (1.0, -2.0)),
    ("mod", (1.0, inf), 1.0, (1.0, 0.0)),
    ("mod", (-1.0, inf), inf, (1.0, 1.0)),
    ("fmod", (1.0, 0.0), nan, (1.0, nan)),
    ("fmod", (inf, 2.0), nan, (1.0, nan)),
    ("fmod", (-7.0, 2.0), -1.0, (1.0, 3.0)),
    ("fmod", (6.0, 3.0), 0.0, (1.0, -2.0)),
    ("fmod", (5.0, inf), 5.0, (1.0, 0.0)),
    ("fmod", (-0.0, 1.0), -0.0, (1.0, 0.0)),
    ("remainder", (1.0, 0.0), nan, (1.0, nan)),
    ("remainder", (inf, 2.0), nan, (1.0, nan)),
    ("remainder", (3.0, 2.0), -1.0, (1.0, -2.0)),
    ("remainder", (5.0, 2.0), 1.0, (1.0, -2.0)),
    ("remainder", (5.0, inf), 5.0, (1.0, 0.0)),
    # steps: flat also where they jump, and C's sign of zero
    ("floor", (2.0,), 2.0, (0.0,)),
    ("floor", (-0.5,), -1.0, (0.0,)),
    ("floor", (-0.0,), -0.0, (0.0,)),
    ("floor", (-inf,), -inf, (0.0,)),
    ("ceil", (-0.5,), -0.0, (0.0,)),
    ("ceil", (inf,), inf, (0.0,)),
    ("trunc", (-0.5,), -0.0, (0.0,)),
    ("trunc", (inf,), inf, (0.0,)),
    ("rint", (0.5,), 0.0, (0.0,)),
    ("rint", (1.5,), 2.0, (0.0,)),
    ("rint", (2.5,), 2.0, (0.0,)),
    ("rint", (-0.5,), -0.0, (0.0,)),
    ("rint", (-inf,), -inf, (0.0,)),
    ("round_to", (2.675, 2.0), 2.67, (0.0, 0.0)),
    ("round_to", (1250.0, -2.0), 1200.0, (0.0, 0.0)),
    ("round_to", (-0.04, 1.0), -0.0, (0.0, 0.0)),
    ("round_to", (inf, 2.0), inf, (0.0, 0.0)),
    ("round_to", (MAX, -308.0), inf, (0.0, 0.0)),
    ("round_to", (-MAX, -308.0), -inf, (0.0, 0.0)),
    ("step", (nan,), nan, (0.0,)),
    ("step", (inf,), 1.0, (0.0,)),
    ("step", (-inf,), 0.0, (0.0,)),
    ("sign", (nan,), nan, (0.0,)),
    ("sign", (-inf,), -1.0, (0.0,)),
    # powers: as IEEE pow; exponent 0 has slope 0, base 0 < exponent has slope 0
    ("pow", (0.0, 0.0), 1.0, (0.0, -inf)),
    ("pow", (5.0, 0.0), 1.0, (0.0, math.log(5.0))),
    ("pow", (inf, 0.0), 1.0, (0.0, inf)),
    ("pow", (nan, 0.0), 1.0, (0.0, nan)),
    ("pow", (1.0, nan), 1.0, (nan, 0.0)),
    ("pow", (0.0, 0.5), 0.0, (inf, 0.0)),
    ("pow", (0.0, 1.0), 0.0, (1.0, 0.0)),
    ("pow", (0.0, 1.5), 0.0, (0.0, 0.0)),
    ("pow", (0.0, 2.0), 0.0, (0.0, 0.0)),
    ("pow", (-0.0, 3.0), -0.0, (0.0, 0.0)),
    ("pow", (0.0, -1.0), inf, (-inf, -inf)),
    ("pow", (-0.0, -1.0), -inf, (-inf, ANY)),
    ("pow", (0.0, -2.0), inf, (-inf, -inf)),
    ("pow", (-8.0, 1 / 3), nan, (nan, nan)),
    ("pow", (-3.0, 2.0), 9.0, (-6.0, nan)),
    ("pow", (-2.0, 3.0), -8.0, (12.0, nan)),
    ("pow", (-2.0, 0.0), 1.0, (0.0, nan)),
    ("pow", (10.0, 400.0), inf, (inf, inf)),
    ("pow", (-10.0, 309.0), -inf, (inf, nan)),
    ("pow", (-10.0, 310.0), inf, (-inf, nan)),
    ("pow", (inf, 2.0), inf, (inf, inf)),
    ("pow", (inf, 0.5), inf, (0.0, inf)),
    ("pow", (inf, -1.0), 0.0, (0.0, 0.0)),
    ("pow", (-inf, 3.0), -inf, (inf, nan)),
    ("pow", (2.0, inf), inf, (inf, inf)),
    ("pow", (2.0, -inf), 0.0, (ANY, 0.0)),
    ("power_log", (0.0, 0.0, 1.0), -inf, (ANY, inf, 0.0)),
    ("power_log", (0.0, 1.0, 1.0), 0.0, (-inf, 0.0, 0.0)),
    ("power_log", (0.0, 2.0, 2.0), 0.0, (0.0, 0.0, 0.0)),
    ("power_log", (1.0, 3.0, 1.0), 0.0, (1.0, 0.0, 0.0)),
    ("power_log", (inf, -1.0, 1.0), 0.0, (0.0, 0.0, 0.0)),
    ("power_log", (-2.0, 2.0, 1.0), nan, (nan, nan, 0.0)),
    # roots
    ("sqrt", (0.0,), 0.0, (inf,)),
    ("sqrt", (-0.0,), -0.0, (ANY,)),
    ("sqrt", (-1.0,), nan, (nan,)),
    ("sqrt", (inf,), inf, (0.0,)),
    ("cbrt", (0.0,), 0.0, (inf,)),
    ("cbrt", (-0.0,), -0.0, (inf,)),
    ("cbrt", (-8.0,), -2.0, (1 / 12,)),
    ("cbrt", (-inf,), -inf, (0.0,)),
    ("hypot", (3.0, 4.0), 5.0, (0.6, 0.8)),
    ("hypot", (0.0, -3.0), 3.0, (0.0, -1.0)),
    ("hypot", (inf, 1.0), inf, (1.0, 0.0)),
    ("hypot", (1.0, -inf), inf, (0.0, -1.0)),
    ("hypot", (inf, nan), inf, (nan, nan)),
    # exponentials and logarithms
    ("exp", (1000.0,), inf, (inf,)),
    ("exp", (-1000.0,), 0.0, (0.0,)),
    ("exp", (-inf,), 0.0, (0.0,)),
    ("exp2", (2000.0,), inf, (inf,)),
    ("exp2", (-inf,), 0.0, (0.0,)),
    ("expm1", (1000.0,), inf, (inf,)),
    ("expm1", (-inf,), -1.0, (0.0,)),
    ("expm1", (-0.0,), -0.0, (1.0,)),
    ("log", (0.0,), -inf, (inf,)),
    ("log", (-0.0,), -inf, (ANY,)),
    ("log", (-1.0,), nan, (ANY,)),
    ("log", (inf,), inf, (0.0,)),
    ("log2", (0.0,), -inf, (inf,)),
    ("log2", (-1.0,), nan, (ANY,)),
    ("log10", (0.0,), -inf, (inf,)),
    ("log10", (-1.0,), nan, (ANY,)),
    ("log1p", (-1.0,), -inf, (inf,)),
    ("log1p", (-2.0,), nan, (ANY,)),
    ("log1p", (-0.0,), -0.0, (1.0,)),
    ("log1p", (inf,), inf, (0.0,)),
    # trigonometry
    ("sin", (inf,), nan, (nan,)),
    ("cos", (-inf,), nan, (nan,)),
    ("tan", (inf,), nan, (nan,)),
    ("sin", (-0.0,), -0.0, (1.0,)),
    ("asin", (1.0,), pi / 2, (inf,)),
    ("asin", (-1.0,), -pi / 2, (inf,)),
    ("asin", (2.0,), nan, (nan,)),
    ("acos", (1.0,), 0.0, (-inf,)),
    ("acos", (-1.0,), pi, (-inf,)),
    ("acos", (2.0,), nan, (nan,)),
    ("atan", (inf,), pi / 2, (0.0,)),
    ("atan", (-inf,), -pi / 2, (0.0,)),
    ("atan2", (0.0, 1.0), 0.0, (1.0, 0.0)),
    ("atan2", (0.0, -1.0), pi, (-1.0, 0.0)),
    ("atan2", (-0.0, -1.0), -pi, (-1.0, 0.0)),
    ("atan2", (1.0, 0.0), pi / 2, (0.0, -1.0)),
    ("atan2", (-1.0, 0.0), -pi / 2, (0.0, 1.0)),
    ("atan2", (0.0, 0.0), 0.0, (nan, nan)),
    ("atan2", (0.0, -0.0), pi, (nan, nan)),
    ("atan2", (1.0, inf), 0.0, (0.0, 0.0)),
    ("atan2", (inf, 1.0), pi / 2, (0.0, 0.0)),
    ("atan2", (inf, inf), pi / 4, (ANY, ANY)),
    ("sinh", (1000.0,), inf, (inf,)),
    ("sinh", (-1000.0,), -inf, (inf,)),
    ("cosh", (-1000.0,), inf, (-inf,)),
    ("cosh", (inf,), inf, (inf,)),
    ("tanh", (1000.0,), 1.0, (0.0,)),
    ("tanh", (-inf,), -1.0, (0.0,)),
    ("asinh", (-inf,), -inf, (0.0,)),
    ("acosh", (1.0,), 0.0, (inf,)),
    ("acosh", (0.5,), nan, (nan,)),
    ("acosh", (inf,), inf, (0.0,)),
    ("atanh", (1.0,), inf, (inf,)),
    ("atanh", (-1.0,), -inf, (inf,)),
    ("atanh", (2.0,), nan, (ANY,)),
    # the normal distribution and the gamma function
    ("gaussian", (inf,), 0.0, (0.0,)),
    ("gaussian", (-MAX,), 0.0, (0.0,)),
    ("gaussian", (0.0,), 1.0, (0.0,)),
    ("normal_pdf", (-inf,), 0.0, (0.0,)),
    ("normal_pdf", (MAX,), 0.0, (0.0,)),
    ("normal_pdf", (0.0,), 0.3989422804014327, (0.0,)),
    ("unit", (0.0, 0.0), 0.0, (0.0, 0.0)),
    ("unit", (inf, 1.0), 1.0, (0.0, 0.0)),
    ("unit", (1.0, -inf), 0.0, (0.0, 0.0)),
    ("unit", (inf, inf), nan, (nan, nan)),
    ("complement", (1.0,), 0.0, (-2.0,)),
    ("complement", (inf,), -inf, (-inf,)),
    ("sech2", (0.0,), 1.0, (0.0,)),
    ("sech2", (inf,), 0.0, (0.0,)),
    ("sech2", (-MAX,), 0.0, (0.0,)),
    ("digamma", (0.0,), -inf, (inf,)),
    ("digamma", (-1.0,), -inf, (inf,)),
    ("digamma", (inf,), inf, (0.0,)),
    ("cotpi", (0.0,), inf, (-inf,)),
    ("cotpi", (-1.5,), 0.0, (-pi,)),
    ("hurwitz_zeta", (2.0, 0.0), inf, (0.0, -inf)),
    ("hurwitz_zeta", (2.0, -1.5), nan, (0.0, nan)),
    ("hurwitz_zeta", (3.0, inf), 0.0, (0.0, 0.0)),
    ("erf", (inf,), 1.0, (0.0,)),
    ("erf", (-inf,), -1.0, (0.0,)),
    ("erfc", (inf,), 0.0, (0.0,)),
    ("erfc", (-inf,), 2.0, (0.0,)),
    ("normal_cdf", (inf,), 1.0, (0.0,)),
    ("normal_cdf", (-inf,), 0.0, (0.0,)),
    ("normal_cdf", (0.0,), 0.5, (1 / math.sqrt(2 * pi),)),
    ("gamma", (0.0,), inf, (-inf,)),
    ("gamma", (-0.0,), -inf, (ANY,)),
    ("gamma", (-1.0,), nan, (nan,)),
    ("gamma", (172.0,), inf, (inf,)),
    ("gamma", (inf,), inf, (inf,)),
    ("gamma", (-inf,), nan, (nan,)),
    ("lgamma", (0.0,), inf, (-inf,)),
    ("lgamma", (-1.0,), inf, (ANY,)),
    ("lgamma", (inf,), inf, (inf,)),
    ("lgamma", (-inf,), inf, (ANY,)),
    ("lgamma", (1e306,), inf, (math.log(1e306),)),
    # neural networks: no 0 * inf far out
    ("relu", (inf,), inf, (1.0,)),
    ("relu", (-inf,), 0.0, (0.0,)),
    ("relu", (nan,), nan, (nan,)),
    ("leaky_relu", (inf, 0.01), inf, (1.0, 0.0)),
    ("leaky_relu", (-inf, 0.01), -inf, (0.01, -inf)),
    ("leaky_relu", (3.0, nan), 3.0, (1.0, 0.0)),
    ("elu", (inf, 1.0), inf, (1.0, 0.0)),
    ("elu", (-inf, 2.0), -2.0, (0.0, -1.0)),
    ("elu", (3.0, nan), 3.0, (1.0, 0.0)),
    ("sigmoid", (inf,), 1.0, (0.0,)),
    ("sigmoid", (-inf,), 0.0, (0.0,)),
    ("sigmoid", (-1000.0,), 0.0, (0.0,)),
    ("softplus", (inf,), inf, (1.0,)),
    ("softplus", (-inf,), 0.0, (0.0,)),
    ("softplus", (1000.0,), 1000.0, (1.0,)),
    ("logsigmoid", (inf,), -0.0, (0.0,)),
    ("logsigmoid", (-inf,), -inf, (1.0,)),
    ("logsigmoid", (-1000.0,), -1000.0, (1.0,)),
    ("logaddexp", (inf, inf), inf, (0.5, 0.5)),
    ("logaddexp", (-inf, -inf), -inf, (0.5, 0.5)),
    ("logaddexp", (inf, -inf), inf, (1.0, 0.0)),
    ("logaddexp", (0.0, -inf), 0.0, (1.0, 0.0)),
    ("logaddexp", (0.0, inf), inf, (0.0, 1.0)),
    ("logaddexp", (MAX, -MAX), MAX, (1.0, 0.0)),
    ("logaddexp", (1000.0, 1000.0), 1000 + math.log(2), (0.5, 0.5)),
    ("silu", (inf,), inf, (1.0,)),
    ("silu", (-inf,), -0.0, (0.0,)),
    ("silu", (-1000.0,), -0.0, (0.0,)),
    ("silu", (0.0,), 0.0, (0.5,)),
    ("gelu", (inf,), inf, (1.0,)),
    ("gelu", (-inf,), -0.0, (0.0,)),
    ("gelu", (-1000.0,), -0.0, (0.0,)),
    ("gelu", (0.0,), 0.0, (0.5,)),
]


@pytest.mark.parametrize(("name", "xs", "value", "partials"), KINKS)
def test_documented_answers(name, xs, value, partials):
    op, leaves = TABLE[name], list(map(Value, xs))
    y = op(*leaves)
    y.backward()
    assert exactly(op(*xs), value)
    assert exactly(y.data, value)
    for k, (x, partial) in enumerate(zip(xs, partials, strict=True)):
        assert same(leaves[k].grad, partial)
        assert same(grad(alone(op, xs, k))(x), partial)
        assert same(jvp(alone(op, xs, k), (x,), (1.0,))[1], partial)


def test_every_row_has_its_line():
    assert {name for name, *_ in KINKS} == set(TABLE)


# --- second order -------------------------------------------------------------

# row, operands, Hessian
BENDS = [
    # powers with an exponent that is differentiated as well
    ("pow", (2.0, 0.0), ((0.0, 0.5), (0.5, math.log(2.0) ** 2))),
    ("pow", (1.0, 1.0), ((0.0, 1.0), (1.0, 0.0))),
    # smooth at a tie, and on the axes
    ("logaddexp", (2.0, 2.0), ((0.25, -0.25), (-0.25, 0.25))),
    ("hypot", (0.0, 0.0), ((0.0, 0.0), (0.0, 0.0))),
    ("hypot", (0.0, 4.0), ((0.25, 0.0), (0.0, 0.0))),
    ("hypot", (-4.0, 0.0), ((0.0, 0.0), (0.0, 0.25))),
    ("hypot", (4.0, 1e-200), ((0.0, 0.0), (0.0, 0.25))),
    ("atan2", (0.0, 2.0), ((0.0, -0.25), (-0.25, 0.0))),
    # flat pieces have no curvature, wherever they meet
    ("abs", (0.0,), ((0.0,),)),
    ("relu", (0.0,), ((0.0,),)),
    ("maximum", (1.0, 1.0), ((0.0, 0.0), (0.0, 0.0))),
    ("mod", (6.0, 3.0), ((0.0, 0.0), (0.0, 0.0))),
    # inflections
    ("sin", (0.0,), ((0.0,),)),
    ("asin", (0.0,), ((0.0,),)),
    ("asin", (1e-200,), ((1e-200,),)),
    ("atanh", (1e-200,), ((2e-200,),)),
    ("tanh", (0.0,), ((0.0,),)),
    ("erf", (0.0,), ((0.0,),)),
    ("silu", (0.0,), ((0.5,),)),
    ("gelu", (0.0,), ((2 / math.sqrt(2 * pi),),)),
    # poles
    ("sqrt", (0.0,), ((-inf,),)),
    ("log", (0.0,), ((-inf,),)),
    ("exp", (1000.0,), ((inf,),)),
    ("cbrt", (0.0,), ((-inf,),)),
    ("cbrt", (1e-190,), ((-inf,),)),
    ("cbrt", (-1e-190,), ((inf,),)),
    ("digamma", (0.0,), ((-inf,),)),
    # far out
    ("exp", (-1000.0,), ((0.0,),)),
    ("atan", (1e300,), ((0.0,),)),
    ("cbrt", (inf,), ((0.0,),)),
    ("acosh", (inf,), ((0.0,),)),
    ("atanh", (inf,), ((0.0,),)),
    ("sigmoid", (1000.0,), ((0.0,),)),
    ("sigmoid", (-inf,), ((0.0,),)),
    ("tanh", (-1000.0,), ((0.0,),)),
    ("softplus", (inf,), ((0.0,),)),
    ("erf", (1e300,), ((0.0,),)),
    ("normal_cdf", (-inf,), ((0.0,),)),
    ("silu", (-1000.0,), ((0.0,),)),
    ("silu", (1000.0,), ((0.0,),)),
    ("gelu", (1000.0,), ((0.0,),)),
]


@pytest.mark.parametrize(("name", "xs", "bends"), BENDS)
def test_second_partials(name, xs, bends):
    op, argnums = TABLE[name], range(len(xs))
    found = hessian(op, tuple(argnums))(*xs)
    for k in argnums:
        direction = [float(j == k) for j in argnums]
        product = jvp(grad(op, tuple(argnums)), xs, direction)[1]
        for j in argnums:
            assert found[j][k] == pytest.approx(bends[j][k], rel=1e-15)
            assert product[j] == pytest.approx(bends[j][k], rel=1e-15)


# base, exponent, and derivatives of base**exponent of order 0, 1, 2, 3
POWERS = [
    (0.0, 0, (1.0, 0.0, 0.0, 0.0)),
    (0.0, 1, (0.0, 1.0, 0.0, 0.0)),
    (0.0, 2, (0.0, 0.0, 2.0, 0.0)),
    (0.0, 3, (0.0, 0.0, 0.0, 6.0)),
    (0.0, 2.5, (0.0, 0.0, 0.0, inf)),
    (0.0, 1.5, (0.0, 0.0, inf)),
    (0.0, 0.5, (0.0, inf)),
    (-3.0, 2, (9.0, -6.0, 2.0, 0.0)),
    (-2.0, 3, (-8.0, 12.0, -12.0, 6.0)),
    (-2.0, -1, (-0.5, -0.25, -0.25, -0.375)),
    (-2.0, 0, (1.0, 0.0, 0.0, 0.0)),
    (-8.0, 1 / 3, (nan, nan, nan)),
]


@pytest.mark.parametrize(("base", "exponent", "derivatives"), POWERS)
def test_plain_exponents(base, exponent, derivatives):
    """The exponent's partial, with the logarithm of the base, is never evaluated."""

    def f(x):
        return x**exponent

    for derivative in derivatives:
        y = f(Value(base))
        assert same(y.data if isinstance(y, Value) else y, derivative)
        f = grad(f)


@pytest.mark.parametrize("x", [2.0, 0.0, -3.0])
def test_a_partial_of_a_plain_number_is_never_evaluated(x):
    def fail(*xs):
        raise AssertionError("the partial of a plain number")

    op = ops.define("half_flat", lambda a, b: a, 1.0, fail)
    try:
        v = Value(x)
        op(v, 5.0).backward()
        assert v.grad == grad(lambda a: op(a, 5.0))(x) == 1.0
        assert jvp(lambda a: op(a, 5.0), (x,), (1.0,)) == (x, 1.0)
        with pytest.raises(AssertionError):
            op(v, Value(5.0)).backward()
    finally:
        del TABLE["half_flat"]


# --- any doubles at all -------------------------------------------------------

# operands, of rows that take any number
COUNT = dict.fromkeys(("sum", "fsum", "max_of", "min_of", "tally", "take"), 3) | {"dot": 4}


def arity(op):
    return COUNT.get(op.name, op.arity)


ANYTHING = st.floats() | st.sampled_from([0.0, -0.0, 1.0, -1.0, 5e-324, MAX, -MAX, inf, -inf, nan])


@pytest.mark.parametrize("name", TABLE)
@given(data=st.data())
def test_nothing_raises(name, data):
    op = TABLE[name]
    xs = data.draw(points(ANYTHING, arity(op)))
    leaves = list(map(Value, xs))
    y = op(*leaves)
    y.backward()
    assert type(op(*xs)) is float
    assert all(type(x.grad) is float for x in leaves)
    for k in range(len(xs)):
        y, slope = jvp(op, xs, [float(j == k) for j in range(len(xs))])
        assert type(y) is type(slope) is float
        assert all(type(grad(grad(op, j), k)(*xs)) is float for j in range(len(xs)))
        assert type(hvp(alone(op, xs, k), (xs[k],), (1.0,))) is float


# Answers that are not NaN although they depend on an operand that is, and why.
NO_NAN = {
    ("less", 0): "comparisons with NaN are false, as everywhere",
    ("less", 1): "comparisons with NaN are false, as everywhere",
    ("equal", 0): "comparisons with NaN are false, as everywhere",
    ("equal", 1): "comparisons with NaN are false, as everywhere",
    **{("tally", k): "comparisons with NaN are false, as everywhere" for k in range(3)},
    **{("take", k): "what is not taken does not count" for k in (1, 2)},
    ("exponent", 0): "that of NaN is 0, as in Python",
    ("where", 0): "NaN is true, as in Python",
    ("copysign", 1): "a NaN's sign counts as +",
    ("round_to", 1): "the number of decimals is an integer",
    ("ldexp", 1): "the exponent is an integer",
}
OTHERS = (0.75, 2.0, -3.0, 0.0, 1.0, inf)
SAMPLES = (-7.5, -0.6, 0.3, 0.9, 2.4, 50.0)


@pytest.mark.parametrize(
    ("name", "k"),
    [(name, k) for name, op in TABLE.items() for k in range(arity(op)) if (name, k) not in NO_NAN],
)
@pytest.mark.parametrize("other", OTHERS)
def test_nan_propagates(name, k, other):
    """An answer that depends on an operand is NaN where the operand is: value and gradient."""
    op = TABLE[name]

    def answers(x):
        leaves = [Value(x if j == k else other) for j in range(arity(op))]
        y = op(*leaves)
        y.backward()
        return [y.data, *[leaf.grad for leaf in leaves]]

    samples = list(zip(*map(answers, SAMPLES), strict=True))
    for answer, sample in zip(answers(nan), samples, strict=True):
        if not all(same(x, sample[0]) for x in sample):
            assert math.isnan(answer)
