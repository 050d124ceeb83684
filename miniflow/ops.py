"""The operation table: one row for each differentiable primitive.

A row reads: name, value on floats, dy/dx by each operand, facts. `operation.py` says what a
row is and how formulas are written. Numbers are IEEE 754 doubles: infinities and NaNs
propagate, nothing raises. In formulas ``div`` and ``pow`` stand for ``/`` and ``**``, which
raise in Python.

Conventions at kinks, stated once:
    abs'(0) = sign(0) = step(0) = relu'(0) = 0; where a function is flat, the
    derivative is 0, even by an infinite adjoint: an operand that was not selected
    gets nothing (`selects`); a tie of n in maximum or minimum gives 1/n to each;
    d(a**b)/da = 0 at b = 0, d(a**b)/db = 0 at a = 0 < b; hypot'(0, 0) = 0.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from miniflow import floats
from miniflow.floats import inf, nan, signed_infinite
from miniflow.operation import (
    BASE,
    BY_CODE,
    FIRST,
    OTHER,
    REAL,
    RESERVED,
    SECOND,
    TABLE,
    THIRD,
    Op,
    constant,
    define,
    leaf,
    real,
    real_or_none,
    recorded,
    shared,
)

__all__ = [
    "BUILTIN", "BY_CODE", "OTHER", "REAL", "RESERVED", "TABLE", "Op", "constant", "define", "leaf",
    "real", "real_or_none", "recorded", "shared",
]  # fmt: skip

LOG2E = 1 / math.log(2)
LOG10E = 1 / math.log(10)
LN2 = math.log(2)
TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
ONE_OVER_ROOT_TWO_PI = 1 / math.sqrt(2 * math.pi)
ROOT_HALF = math.sqrt(0.5)
ROOT_HALF_TAIL = -4.833646656726457e-17  # sqrt(1/2) - ROOT_HALF
FAR = 1e3  # exp(-FAR) is 0

# Bernoulli's numbers B(2k) / (2k)!, k = 1, 2 ...
ZETA = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
    1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)  # fmt: skip

POSITIVE = (0.0, inf)
UNIT = (-1.0, 1.0)


def library(name: str, value: Callable[..., float], *partials: Any, **facts: Any) -> Op:
    """A row that Python's math and the C library have by that name, and answer alike."""
    return define(name, value, *partials, python=name, c=name, **facts)


# --- arithmetic -----------------------------------------------------------------

# fmt: off
add = define("add", operator.add, 1.0, 1.0, symbol="+", commutative=True, packable=True)
sub = define("sub", operator.sub, 1.0, -1.0, symbol="-", packable=True)
mul = define("mul", operator.mul, lambda a, b, y: b, lambda a, b, y: a,
             symbol="*", commutative=True, packable=True)
div: Op = define("div", floats.divide, lambda a, b, y: div(1.0, b), lambda a, b, y: -div(y, b),
                 symbol="/", packable=True)
pow = define("pow", floats.power,
             lambda a, b, y: _power_slope(a, b, y), lambda a, b, y: power_log(a, b, 1.0),
             symbol="**", domain=(POSITIVE, REAL), python="pow", selects=BASE)
# a**b * log(a)**n, for n = 1, 2 ...: what differentiating by b makes of a power
power_log: Op = define("power_log", lambda a, b, n: _power_log(a, b, n),
                       lambda a, b, n, y: _power_log_slope(a, b, n),
                       lambda a, b, n, y: power_log(a, b, n + 1.0), None,
                       domain=(POSITIVE, REAL, (1.0, inf)))
neg = define("neg", operator.neg, -1.0, symbol="-", packable=True)
pos = define("pos", operator.pos, 1.0, symbol="+")
absolute = define("abs", abs, lambda x, y: sign(x), c="fabs", packable=True, selects=FIRST)
stop_gradient = define("stop_gradient", operator.pos, None)

floordiv = define("floordiv", floats.floor_divide, None, None, symbol="//")
mod = define("mod", floats.modulo, 1.0, lambda a, b, y: -floordiv(a, b), symbol="%", selects=SECOND)
fmod = library("fmod", math.fmod, 1.0, lambda a, b, y: -_turns(a, b, y), limit=nan, selects=SECOND)
# some C libraries' remainder loses the sign of a zero
remainder = define("remainder", math.remainder, 1.0, lambda a, b, y: -_turns(a, b, y), limit=nan,
                   python="remainder", selects=SECOND)
fma = define("fma", floats.fused_multiply_add, lambda a, b, c, y: b, lambda a, b, c, y: a, 1.0,
             c="fma")
# fmt: on


def _turns(a: Any, b: Any, y: Any) -> Any:
    """How often b goes into a, where y is the rest."""
    return rint(div(a, b) - div(y, b))


def _power_slope(a: Any, b: Any, y: Any) -> Any:
    """The derivative b * a**(b - 1) by the base, and 0 for b = 0 wherever a is."""
    if not recorded(b) and abs(b) >= 0.0625 and (b - 1.0) + 1.0 == b and (b - 1.0) != b:
        return b * pow(a, b - 1.0)
    ordinary = less(0.0, absolute(a)) * less(absolute(a), inf)
    # a**(b - 1) may overflow where b * a**(b - 1) does not
    tiny = where(less(absolute(b), 0.0625), ordinary, 0.0)
    base = where(where(equal(b, 0.0), 1.0 - ordinary, 0.0), 1.0, a)
    slope = b * (pow(where(tiny, 1.0, base), b - 1.0) * _lost_power(a, b))
    return where(tiny, div(b * y, where(tiny, a, 1.0)), slope)


def _lost_power(a: Any, b: Any) -> Any:
    """What a power of a lacks when b - 1 is rounded (Knuth's two-sum): a number close to 1."""
    b = stop_gradient(where(less(absolute(b), inf), b, 0.0))
    lower = b - 1.0
    step = lower - b
    lost = (b - (lower - step)) - (1.0 + step)
    size = where(lost, absolute(stop_gradient(a)), 1.0)
    size = where(less(0.0, size) * less(size, inf), size, 1.0)
    # far from 1 only where a**b is 0 or infinite
    return minimum(maximum(pow(size, lost), 0.5), 2.0)


def _power_log(a: Any, b: Any, n: Any) -> Any:
    power = pow(a, b)
    return power * pow(log(where(power, a, 1.0)), n)


def _power_log_slope(a: Any, b: Any, n: Any) -> Any:
    """The derivative a**(b - 1) * (b * log(a)**n + n * log(a)**(n - 1)) by the base."""
    n = stop_gradient(n)
    tiny = where(less(absolute(b), 0.0625), less(0.0, a) * less(a, inf), 0.0)
    power, lower, fewer = where(tiny, b, b - 1.0), where(tiny, 1.0, _lost_power(a, b)), n - 1.0
    rest = where(n, n * power_log(a, power, maximum(fewer, 0.0)), 0.0)
    return div((b * power_log(a, power, n) + rest) * lower, where(tiny, a, 1.0))


# --- steps: flat, except where they jump ----------------------------------------

# fmt: off
floor = define("floor", "math.copysign(float(math.floor(x)), x) if isfinite(x) else x", None,
               c="floor")
ceil = define("ceil", "math.copysign(float(math.ceil(x)), x) if isfinite(x) else x", None,
              c="ceil")
trunc = define("trunc", "math.copysign(float(math.trunc(x)), x) if isfinite(x) else x", None,
               c="trunc")
rint: Op = define("rint", "math.copysign(float(round(x)), x) if isfinite(x) else x", None,
                  symbol="round", c="rint")
round_to = define("round_to", "round(a, int(b)) if isfinite(a) and isfinite(b) else a", None, None,
                  limit=signed_infinite, symbol="round")
less = define("less", "1.0 if a < b else 0.0", None, None, symbol="<")
equal = define("equal", "1.0 if a == b else 0.0", None, None, symbol="==", commutative=True)
step = define("step", "1.0 if x > 0 else x if x != x else 0.0", None, packable=True)
sign: Op = define("sign", "1.0 if x > 0 else -1.0 if x < 0 else x + 0.0", None)
# fmt: on

# --- choices --------------------------------------------------------------------


class Select(Op):
    """`where`: a condition that is a plain number selects at once, recording nothing."""

    __slots__ = ()

    def mixed(self, operands: tuple[Any, ...]) -> Any:
        condition, chosen, other = operands
        if recorded(condition):
            return super().mixed(operands)
        selected = chosen if real(condition, "where") else other
        return selected if recorded(selected) else real(selected, "where")


# fmt: off
where: Op = define("where", "b if a else c", None,
                   lambda a, b, c, y: where(a, 1.0, 0.0), lambda a, b, c, y: where(a, 0.0, 1.0),
                   row=Select, packable=True, selects=SECOND | THIRD)
maximum = define("maximum", "a if a >= b or a != a else b",
                 lambda a, b, y: _share(a, b), lambda a, b, y: _share(b, a),
                 symbol="max", commutative=True, packable=True, selects=FIRST | SECOND)
minimum = define("minimum", "a if a <= b or a != a else b",
                 lambda a, b, y: _share(b, a), lambda a, b, y: _share(a, b),
                 symbol="min", commutative=True, packable=True, selects=FIRST | SECOND)
copysign: Op = define("copysign", "math.copysign(a, b) if b == b else abs(a)",
                      lambda a, b, y: sign(a) * copysign(1.0, b), None, selects=FIRST)
ldexp: Op = define("ldexp", "math.ldexp(a, int(b)) if isfinite(b) else a * 2.0**b",
                   lambda a, b, y: ldexp(1.0, b), None, limit=signed_infinite)
# the number above or below, as far as the next one
nextafter = library("nextafter", math.nextafter, 1.0, None)
exponent = define("exponent", "float(math.frexp(x)[1])", None)
# fmt: on


def _share(chosen: Any, other: Any) -> Any:
    """The part of `chosen` in a maximum: 1, 0, a half in a tie."""
    return where(equal(chosen, other), 0.5, step(chosen - other))


# --- exponentials, logarithms, roots --------------------------------------------

# fmt: off
exp = library("exp", math.exp, lambda x, y: y, limit=inf)
exp2 = library("exp2", math.exp2, lambda x, y: LN2 * y, limit=inf)
expm1 = library("expm1", math.expm1, lambda x, y: exp(x), limit=inf)
log: Op = library("log", math.log, lambda x, y: div(1.0, x),
                  limit=floats.log_limit, domain=(POSITIVE,))
log2 = library("log2", math.log2, lambda x, y: div(LOG2E, x),
               limit=floats.log_limit, domain=(POSITIVE,))
log10 = library("log10", math.log10, lambda x, y: div(LOG10E, x),
                limit=floats.log_limit, domain=(POSITIVE,))
log1p = library("log1p", math.log1p, lambda x, y: div(1.0, 1.0 + x),
                limit=floats.log1p_limit, domain=((-1.0, inf),))
sqrt = library("sqrt", math.sqrt, lambda x, y: div(0.5, y),
               limit=nan, domain=(POSITIVE,), packable=True)
cbrt = library("cbrt", math.cbrt, lambda x, y: _cbrt_slope(x, y))
hypot = define("hypot", "abs(complex(a, b))",
               lambda a, b, y: unit(a, b), lambda a, b, y: unit(b, a),
               limit=floats.hypot_limit, c="hypot", commutative=True)
unit: Op = define("unit", lambda a, b: _unit(a, b),  # a / hypot(a, b): the cosine of the angle
                  lambda a, b, y: _over_length(unit(b, a), a, b, unit(b, a)),
                  lambda a, b, y: -_over_length(unit(b, a), a, b, y))
# fmt: on


def _cbrt_slope(x: Any, y: Any) -> Any:
    # math.cbrt is off by up to 4 ulp: one Newton step, where there is one to take
    ratio = stop_gradient(div(div(div(x, y), y), y))
    ratio = where(less(0.0, absolute(x)) * less(absolute(x), inf), ratio, 1.0)
    root = div(1.0, y)
    return div(root * root, 3.0) * (1.0 - (ratio - 1.0) * (2 / 3))


def _unit(a: Any, b: Any) -> Any:
    infinite = equal(absolute(a), inf) * less(absolute(b), inf)
    scale = _power_of_two(maximum(absolute(a), absolute(b)))
    length = hypot(a * scale, b * scale)
    cosine = div(where(infinite, 1.0, a * scale), where(length, length, 1.0))
    return where(infinite, sign(a), cosine)


def _power_of_two(size: Any) -> Any:
    """A power of 2 that keeps lengths of that size from overflowing and losing digits."""
    return where(less(size, 1e-280), 2.0**600, where(less(1e280, size), 2.0**-600, 1.0))


def _over_length(x: Any, a: Any, b: Any, factor: Any = 1.0) -> Any:
    """The quotient factor * x / hypot(a, b); 0 / 0 is 0."""
    scale = _power_of_two(maximum(absolute(a), absolute(b)))
    length = hypot(a * scale, b * scale)
    return factor * div(x, where(length, length, 1.0)) * scale


# --- trigonometry ---------------------------------------------------------------

# fmt: off
sin = library("sin", math.sin, lambda x, y: cos(x), limit=nan)
cos: Op = library("cos", math.cos, lambda x, y: -sin(x), limit=nan)
tan = library("tan", math.tan, lambda x, y: 1.0 + y * y, limit=nan)
# 1 - x*x: a row, so that its slope does not cancel
complement = define("complement", lambda x: (1.0 - x) * (1.0 + x), lambda x, y: -2.0 * x)
asin = library("asin", math.asin, lambda x, y: div(1.0, sqrt(complement(x))),
               limit=nan, domain=(UNIT,))
acos = library("acos", math.acos, lambda x, y: div(-1.0, sqrt(complement(x))),
               limit=nan, domain=(UNIT,))
atan = library("atan", math.atan, lambda x, y: unit(1.0, x) * unit(1.0, x))
atan2 = library("atan2", math.atan2,
                lambda a, b, y: _over_length(_cosine(b, a), a, b),
                lambda a, b, y: -_over_length(_cosine(a, b), a, b))
degrees = define("degrees", math.degrees, lambda x, y: 180.0 / math.pi, python="degrees")
radians = define("radians", math.radians, lambda x, y: math.pi / 180.0, python="radians")

sinh = library("sinh", math.sinh, lambda x, y: cosh(x), limit=signed_infinite)
cosh: Op = library("cosh", math.cosh, lambda x, y: sinh(x), limit=inf)
tanh = library("tanh", math.tanh, lambda x, y: 1.0 - y * y)
# 1 - tanh(x)**2, to the last digits also where that cancels
sech2: Op = define("sech2", lambda x: _sech2(x), lambda x, y: -2.0 * y * tanh(x), symbol="sech²")
asinh = library("asinh", math.asinh, lambda x, y: unit(1.0, x))
acosh = library("acosh", math.acosh, lambda x, y: div(1.0, sqrt(x - 1.0)) * div(1.0, sqrt(x + 1.0)),
                limit=nan, domain=((1.0, inf),))
atanh = library("atanh", math.atanh, lambda x, y: div(1.0, complement(bounded(x))),
                limit=floats.atanh_limit, domain=(UNIT,))
# fmt: on


def _sech2(x: Any) -> Any:
    decay = exp(-2.0 * absolute(x))
    return 4.0 * div(decay, (1.0 + decay) * (1.0 + decay))


def _cosine(a: Any, b: Any) -> Any:
    """What `unit` is, but nan at the origin, where atan2 jumps."""
    return where(absolute(a) + absolute(b), unit(a, b), nan)


# --- the normal distribution and the gamma function -----------------------------

# fmt: off
gaussian = define("gaussian", lambda x: _gaussian(x, 1.0), lambda x, y: -2.0 * bounded(x) * y)
normal_pdf = define("normal_pdf", lambda x: ONE_OVER_ROOT_TWO_PI * _gaussian(x, 0.5),
                    lambda x, y: -bounded(x) * y)
normal_cdf = define("normal_cdf", lambda x: _normal_cdf(x), lambda x, y: normal_pdf(x))
erf = library("erf", math.erf, lambda x, y: TWO_OVER_ROOT_PI * gaussian(x))
erfc = library("erfc", math.erfc, lambda x, y: -TWO_OVER_ROOT_PI * gaussian(x))
gamma = define("gamma", math.gamma, lambda x, y: y * digamma(x),
               limit=floats.gamma_limit, domain=((0.0, 171.0),), python="gamma")
lgamma = define("lgamma", math.lgamma, lambda x, y: digamma(x),
                limit=inf, domain=((0.0, 1e300),), python="lgamma")
digamma: Op = define("digamma", lambda x: _digamma(x), lambda x, y: _trigamma(x), symbol="ψ",
                     domain=((0.0, inf),))
# the cotangent of pi*x, by which functions of x and 1 - x differ
cotpi: Op = define("cotpi", lambda x: _cotpi(x), lambda x, y: -math.pi * (1.0 + y * y),
                   domain=((0.0, 1.0),))
# the sum of (x + k)**-s over k = 0, 1 ..., for s = 2, 3 ... and x > 0
hurwitz_zeta: Op = define("hurwitz_zeta", lambda s, x: _hurwitz_zeta(s, x), None,
                          lambda s, x, y: -stop_gradient(s) * hurwitz_zeta(s + 1.0, x), symbol="ζ",
                          domain=((2.0, 20.0), POSITIVE))
# fmt: on


def bounded(x: Any) -> Any:
    """`x`, or a bound where its exponential is 0 or infinite: so 0 * x is never nan."""
    return maximum(minimum(x, FAR), -FAR)


def _high(x: Any) -> Any:
    """`x` to its upper 26 bits, whose square is exact (Veltkamp's splitting)."""
    return 134217729.0 * x - (134217729.0 * x - x)


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """The sum a + b and what its rounding lost (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _gaussian(x: Any, c: float) -> Any:
    """exp(-c*x*x) for c = 1 or 1/2."""
    # the rounding of x*x would be magnified by c*x*x, so what it lost is computed (Dekker's
    # product) and put back to first order
    x = minimum(absolute(x), 40.0)
    square, z = x * x, _high(x)
    tail = x - z
    lost = ((z * z - square) + 2.0 * (z * tail)) + tail * tail
    main = exp(-c * square)
    return main - main * (c * lost)


def _normal_cdf(x: Any) -> Any:
    # erfc at -x/sqrt(2), corrected to first order for the rounding of that product
    x = maximum(minimum(x, 40.0), -40.0)
    z, high, root = x * ROOT_HALF, _high(x), _high(ROOT_HALF)
    low, tail = x - high, ROOT_HALF - root
    lost = ((high * root - z) + high * tail + low * root) + low * tail + x * ROOT_HALF_TAIL
    return 0.5 * (erfc(-z) + TWO_OVER_ROOT_PI * gaussian(z) * lost)


def _digamma(x: Any) -> Any:
    # Abramowitz & Stegun, 6.3.6 (recurrence), 6.3.7 (reflection), 6.3.18 (asymptotic series)
    low = less(x, 0.5)
    a = where(low, 1.0 - x, x)
    far = less(12.0, a)
    b = where(far, a, a + 12.0)
    # the sum is several times as large as what is left of it near the root at 1.46
    steps = lost = 0.0
    for k in range(11, -1, -1):
        steps, rest = _two_sum(steps, -div(1.0, where(far, inf, a + k)))
        lost = lost + rest
    r = div(1.0, b) * div(1.0, b)
    tail = 0.0
    for coefficient in (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
        tail = r * (coefficient + tail)
    value, rest = _two_sum(log(b), steps)
    value = value + (where(far, 0.0, lost + rest) - (div(0.5, b) + tail))
    return where(low, value - math.pi * _reflected(x, low), value)


def _trigamma(x: Any) -> Any:
    low = less(x, 0.5)
    far, turn = hurwitz_zeta(2.0, where(low, 1.0 - x, x)), _reflected(x, low)
    return where(low, math.pi**2 * (1.0 + turn * turn) - far, far)


def _reflected(x: Any, low: Any) -> Any:
    """The term by which functions of x and 1 - x differ, where they are needed."""
    return cotpi(where(low, x, 0.25))


def _cotpi(x: Any) -> Any:
    # reduced first: pi*x loses the digits that matter near a pole and near a zero
    turn = x - rint(x)
    near = less(absolute(turn), 0.25)
    slope = tan(math.pi * where(near, turn, copysign(0.5, turn) - turn))
    return where(near, div(1.0, slope), slope)


def _hurwitz_zeta(s: Any, x: Any) -> Any:
    # the Euler-Maclaurin formula, from x or from x + 16 on; the greater s, the later it is exact
    far = less(14.0 + s, x)
    b = where(far, x, x + 16.0)
    r = div(1.0, b) * div(1.0, b)
    tail = 0.0
    for k in range(len(ZETA) - 1, 0, -1):
        tail = r * (s + (2.0 * k - 1.0)) * (s + 2.0 * k) * (ZETA[k] + tail)
    total = div(pow(b, 1.0 - s), s - 1.0) + pow(b, -s) * (0.5 + div(s, b) * (ZETA[0] + tail))
    for k in range(15, -1, -1):
        total = total + pow(where(far, inf, x + k), -s)
    return where(less(x, 0.0), nan, total)


# --- neural networks ------------------------------------------------------------

# fmt: off
relu = define("relu", lambda x: where(step(x), x, 0.0), lambda x, y: step(y), packable=True,
              selects=FIRST)
leaky_relu = define("leaky_relu", lambda x, slope: where(step(x), x, slope * x),
                    lambda x, slope, y: where(step(x), step(x), slope),
                    lambda x, slope, y: minimum(x, 0.0), defaults=(0.01,), selects=SECOND)
elu = define("elu", lambda x, alpha: where(step(x), x, alpha * expm1(minimum(x, 0.0))),
             lambda x, alpha, y: where(step(x), step(x), alpha * exp(where(step(x), 0.0, x))),
             lambda x, alpha, y: expm1(minimum(x, 0.0)), defaults=(1.0,), selects=SECOND)
sigmoid = define("sigmoid", lambda x: exp(minimum(x, 0.0)) / (1.0 + exp(-absolute(x))),
                 lambda x, y: _sigmoid_slope(x))
softplus = define("softplus", lambda x: _softplus(x), lambda x, y: sigmoid(x))
logsigmoid = define("logsigmoid", lambda x: -_softplus(-x), lambda x, y: sigmoid(-x))
logaddexp = define("logaddexp", lambda a, b: _logaddexp(a, b),
                   lambda a, b, y: _logaddexp_share(a, b), lambda a, b, y: _logaddexp_share(b, a),
                   commutative=True)
silu = define("silu", lambda x: maximum(x, -FAR) * sigmoid(x),
              lambda x, y: sigmoid(x) + bounded(x) * _sigmoid_slope(x))
gelu = define("gelu", lambda x: maximum(x, -FAR) * normal_cdf(x),
              lambda x, y: normal_cdf(x) + bounded(x) * normal_pdf(x))
# fmt: on


def _sigmoid_slope(x: Any) -> Any:
    """The derivative of sigmoid, without what cancels in y*(1 - y)."""
    return 0.25 * sech2(0.5 * x)


def _softplus(x: Any) -> Any:
    return maximum(x, 0.0) + log1p(exp(-absolute(x)))


def _difference(a: Any, b: Any) -> tuple[Any, Any]:
    """The difference a - b and what its rounding lost; 0 of equal infinities."""
    gap = where(equal(a, b) * equal(absolute(a), inf), 0.0, a - b)
    near = less(absolute(gap), 1e4) * less(absolute(a), inf)
    a, b = where(near, a, 0.0), where(near, b, 0.0)
    return gap, _two_sum(a, -b)[1]


def _logaddexp(a: Any, b: Any) -> Any:
    gap, lost = _difference(maximum(a, b), minimum(a, b))
    return maximum(a, b) + log1p(exp(-gap) * (1.0 - lost))


def _logaddexp_share(a: Any, b: Any) -> Any:
    """The part exp(a) / (exp(a) + exp(b))."""
    gap, lost = _difference(a, b)
    return sigmoid(gap) * (1.0 + lost * sigmoid(-gap))


# --- any number of operands, one entry ------------------------------------------


class Pairs(Op):
    """`dot`: a number of factors, then the same number of other ones."""

    __slots__ = ()
    elementwise = False

    def complete(self, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(operands) % 2:
            raise TypeError(f"{self.name}: takes pairs, got {len(operands)} operands")
        return super().complete(operands)


# fmt: off
sum = define("sum", floats.total, each=lambda k, xs, y: 1.0, commutative=True)
fsum = define("fsum", lambda *xs: math.fsum(xs), each=lambda k, xs, y: 1.0,
              limit=floats.total, commutative=True)
dot = define("dot", floats.sum_of_products, each=lambda k, xs, y: xs[k - len(xs) // 2], row=Pairs)
max_of = define("max_of", floats.largest, each=lambda k, xs, y: _winner_share(k, xs, y),
                symbol="max", commutative=True, selects=True)
min_of = define("min_of", floats.smallest, each=lambda k, xs, y: _winner_share(k, xs, y),
                symbol="min", commutative=True, selects=True)
tally: Op = define("tally", floats.count_equal, each=lambda k, xs, y: 0.0, selects=True)
take = define("take", floats.chosen, each=lambda k, xs, y: _taken(k, *xs), selects=True)
# fmt: on


def _winner_share(k: int, xs: Sequence[Any], y: Any) -> Any:
    """The part of operand k in the largest or smallest, y: those that are y share alike."""
    if not (recorded(xs[k]) or recorded(y)) and y == y != xs[k]:
        return 0.0
    return div(equal(xs[k], y), tally(y, *xs))


def _taken(k: int, i: Any, *xs: Any) -> Any:
    """Whether operand k is the one that was taken: 1 or 0."""
    if k == 0:
        return 0.0
    taken = equal(floor(maximum(minimum(i, len(xs) - 1.0), 0.0)), k - 1.0)
    return where(equal(i, i), taken, nan)


BUILTIN = frozenset(TABLE.values())  # rows that are not a user's
