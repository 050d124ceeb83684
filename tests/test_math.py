"""miniflow.math is the standard library's math, for numbers and for Values."""

import math as std
import struct

import mpmath
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from miniflow import Value, define, grad, jit, math, ops

# --- plain numbers: the standard library is the judge --------------------------

FLOATS = st.floats()
NUMBERS = FLOATS | st.integers(-(2**70), 2**70)
WHOLE = st.integers(-(10**6), 10**6)
COUNT = st.integers(0, 60)
MODEST = st.floats(-1e100, 1e100)
LISTS = st.lists(MODEST, max_size=8)
PAIRS = st.lists(st.tuples(MODEST, MODEST), max_size=8)

UNARY = [
    *("acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cos", "cosh", "degrees", "erf"),
    *("erfc", "exp", "exp2", "expm1", "fabs", "gamma", "lgamma", "log10", "log1p", "log2"),
    *("radians", "sin", "sinh", "sqrt", "tan", "tanh"),
]
BINARY = ["atan2", "copysign", "fmod", "pow", "remainder"]
SIGNATURES = {
    **{name: st.tuples(NUMBERS) for name in UNARY},
    **{name: st.tuples(NUMBERS, NUMBERS) for name in BINARY},
    "log": st.tuples(NUMBERS) | st.tuples(NUMBERS, NUMBERS),
    "floor": st.tuples(NUMBERS),
    "ceil": st.tuples(NUMBERS),
    "trunc": st.tuples(NUMBERS),
    "modf": st.tuples(NUMBERS),
    "frexp": st.tuples(NUMBERS),
    "nextafter": st.tuples(NUMBERS, NUMBERS),
    "ldexp": st.tuples(FLOATS, st.integers(-2300, 2300) | st.integers()),
    "hypot": st.lists(NUMBERS, max_size=6).map(tuple),
    "dist": PAIRS.map(lambda ps: ([p for p, _ in ps], [q for _, q in ps])),
    "sumprod": PAIRS.map(lambda ps: ([p for p, _ in ps], [q for _, q in ps])),
    "fma": st.tuples(NUMBERS, NUMBERS, NUMBERS),
    "fsum": st.tuples(LISTS),
    "prod": st.tuples(LISTS),
    "isfinite": st.tuples(NUMBERS),
    "isinf": st.tuples(NUMBERS),
    "isnan": st.tuples(NUMBERS),
    "isclose": st.tuples(NUMBERS, NUMBERS),
    "ulp": st.tuples(NUMBERS),
    "comb": st.tuples(COUNT, COUNT),
    "perm": st.tuples(COUNT, COUNT),
    "factorial": st.tuples(COUNT),
    "gcd": st.tuples(WHOLE, WHOLE),
    "lcm": st.tuples(WHOLE, WHOLE),
    "isqrt": st.tuples(WHOLE),
}
CONSTANTS = {"e", "inf", "nan", "pi", "tau"}
# They take floats apart bit by bit or classify them; or are newer than Python 3.11.
WITHOUT = {"fmax", "fmin", "isnormal", "issubnormal", "signbit"}
PUBLIC = {name for name in dir(std) if not name.startswith("_") and callable(getattr(std, name))}

# Folded from left to right, as they are recorded, where math rounds only once.
FOLDED = {"dist", "hypot", "sumprod"}
# An int cannot be infinite, so these raise as math does.
WHOLE_ANSWERS = {"ceil", "comb", "factorial", "floor", "gcd", "isqrt", "lcm", "perm", "trunc"}
PLAIN_ANSWERS = {"isclose", "isfinite", "isinf", "isnan", "ulp"}
WHOLE_OPERANDS = {"comb", "factorial", "gcd", "isqrt", "lcm", "perm"}


def bits(x):
    """A float's bits, all NaNs alike; anything else as it is."""
    if not isinstance(x, float):
        return x
    return "nan" if x != x else struct.pack("d", x)


def same(ours, theirs):
    if isinstance(theirs, tuple):
        return all(map(same, ours, theirs)) and len(ours) == len(theirs)
    return type(ours) is type(theirs) and bits(ours) == bits(theirs)


def magnitude(name, xs):
    """What the rounding errors of a folded sum are relative to."""
    if name == "sumprod":
        return sum(abs(p * q) for p, q in zip(*xs, strict=True)), len(xs[0])
    size = getattr(std, name)(*xs)
    return size, len(xs) if name == "hypot" else len(xs[0])


def agree(name, xs, ours, theirs):
    """Whether two answers are the same, or as close as a fold from left to right gets."""
    if name == "prod":
        return bits(float(ours)) == bits(float(theirs))
    if name not in FOLDED or not std.isfinite(theirs):
        return same(ours, theirs)
    size, n = magnitude(name, xs)
    return abs(ours - theirs) <= 4 * n * std.ulp(size)


def test_every_public_name_is_here_or_left_out_deliberately():
    assert set(SIGNATURES) - {"fma", "sumprod"} <= PUBLIC  # they are newer than Python 3.11
    assert set(SIGNATURES) >= PUBLIC - WITHOUT
    assert set(SIGNATURES) | CONSTANTS <= set(math.__all__)


@pytest.mark.parametrize("name", sorted(WITHOUT))
def test_a_name_left_out_says_what_to_use_instead(name, monkeypatch):
    monkeypatch.setattr(std, name, max, raising=False)  # newer Pythons have it
    with pytest.raises(AttributeError, match=rf"math\.{name}\b.*\.data"):
        getattr(math, name)


def test_a_name_that_nobody_has_is_an_ordinary_attribute_error():
    with pytest.raises(AttributeError, match=r"'miniflow\.math' has no attribute 'sinn'"):
        math.sinn  # noqa: B018
    assert not hasattr(math, "__wrapped__")


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_constants(name):
    assert same(getattr(math, name), getattr(std, name))


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) & PUBLIC))
@given(data=st.data())
def test_plain_numbers_get_the_standard_answer(name, data):
    xs = data.draw(SIGNATURES[name])
    ours, theirs = getattr(math, name), getattr(std, name)
    try:
        expected = theirs(*xs)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        if name in WHOLE_ANSWERS:
            with pytest.raises(type(error)):
                ours(*xs)
        else:
            answer = ours(*xs)
            assert isinstance(answer, float)
            # log(x, 0) is log(x) / -inf
            assert not std.isfinite(answer) or (name, answer) == ("log", 0)
        return
    assert agree(name, xs, ours(*xs), expected)


# 2**(i//2) overflows; 0 * inf; two roundings to a subnormal, where one is right
@pytest.mark.parametrize(
    ("x", "i"),
    [
        (5e-324, 2097),
        (-0.0, 5000),
        (std.inf, -5000),
        (-1.0, -(10**30)),
        ((2**52 + 2**18 + 2**17 - 1) * 2.0**-1072, -20),
    ],
)
def test_ldexp_scales_once(x, i):
    assert same(math.ldexp(x, i), std.ldexp(x, i))
    assert same(math.ldexp(Value(x), i).data, std.ldexp(x, i))


@pytest.mark.parametrize("name", ["log", "log2", "log10"])
def test_integers_beyond_floats_are_refused(name):
    with pytest.raises(OverflowError):
        getattr(math, name)(10**400)


NUMPY = {
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "pow": "power",
}
JUDGED = sorted(name for name in [*UNARY, *BINARY, "log"] if hasattr(np, NUMPY.get(name, name)))
SPECIAL = [std.inf, -std.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.0, -3.0, 1e300, -1e300]


@pytest.mark.parametrize("name", sorted(set(JUDGED) - {"remainder"}))  # NumPy's is Python's %
def test_where_math_raises_the_answer_is_ieee(name):
    judge, f = getattr(np, NUMPY.get(name, name)), getattr(math, name)
    pairs = [(x, y) for x in SPECIAL for y in SPECIAL]
    for xs in pairs if name in BINARY else [(x,) for x in SPECIAL]:
        try:
            getattr(std, name)(*xs)
        except (ValueError, OverflowError):
            with np.errstate(all="ignore"):
                assert same(f(*xs), float(judge(*xs))), xs


# C23, Annex F: what NumPy has no function for
@pytest.mark.parametrize(
    ("name", "xs", "expected"),
    [
        ("gamma", (0.0,), std.inf),
        ("gamma", (-0.0,), -std.inf),
        ("gamma", (-3.0,), std.nan),
        ("gamma", (-std.inf,), std.nan),
        ("gamma", (200.0,), std.inf),
        ("lgamma", (-2.0,), std.inf),
        ("lgamma", (1e308,), std.inf),
        ("remainder", (1.0, 0.0), std.nan),
        ("remainder", (std.inf, 1.0), std.nan),
        ("log", (2.0, 1.0), std.inf),
        ("log", (1.0, 1.0), std.nan),
        ("fsum", ([std.inf, -std.inf],), std.nan),
    ],
)
def test_where_math_raises_the_answer_is_the_limit(name, xs, expected):
    assert same(getattr(math, name)(*xs), expected)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_remainder_of_zero_has_the_sign_of_the_dividend(sign):
    """IEEE 754, 5.3.1; the C library's may have another one."""
    x, y = sign * 6.547718766886839e-277, 5e-324
    replayed = jit(math.remainder, backend="tape")
    for got in (math.remainder(x, y), math.remainder(Value(x), y).data, replayed(x, y)):
        assert same(got, sign * 0.0)


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "isqrt", "factorial", "gcd"])
def test_whole_answers_are_ints(name):
    assert type(getattr(math, name)(4)) is int


# --- Values: the float's answer, bit for bit -----------------------------------


def lifted(x):
    return [Value(item) for item in x] if isinstance(x, list) else Value(x)


def lowered(y):
    return tuple(map(lowered, y)) if isinstance(y, tuple) else y.data


def plain(y):
    return tuple(map(plain, y)) if isinstance(y, tuple) else float(y)


def finite_if_whole(name, xs):
    return name not in WHOLE_ANSWERS or std.isfinite(xs[0])


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - WHOLE_OPERANDS - PLAIN_ANSWERS))
@given(data=st.data())
def test_values_get_the_answer_of_floats(name, data):
    xs = data.draw(SIGNATURES[name])
    assume(any(xs) and xs[0] != [] and finite_if_whole(name, xs))
    f = getattr(math, name)
    values = [*map(lifted, xs)] if name != "ldexp" else [Value(xs[0]), xs[1]]
    answer = lowered(f(*values))
    expected = plain(f(*xs))
    if name in {"ceil", "trunc", "floor"}:  # ints have no -0.0
        answer, expected = answer + 0.0, expected + 0.0
    assert same(answer, expected)


@pytest.mark.parametrize("name", sorted(PLAIN_ANSWERS))
@given(data=st.data())
def test_questions_about_values_have_plain_answers(name, data):
    xs = data.draw(SIGNATURES[name])
    f = getattr(math, name)
    assert same(f(*map(Value, xs)), f(*map(float, xs)))


@pytest.mark.parametrize("name", sorted(WHOLE_OPERANDS))
def test_functions_of_integers_refuse_values_with_the_remedy(name):
    with pytest.raises(TypeError, match=r"\.data"):
        getattr(math, name)(*[Value(3.0)] * (2 if name in ("comb", "perm", "gcd", "lcm") else 1))


# --- derivatives: 50 digits of mpmath are the judge ----------------------------


class Exact:
    """The compositions of miniflow.math, written in mpmath."""

    log, digamma = mpmath.log, mpmath.digamma
    max, min = staticmethod(max), staticmethod(min)

    @staticmethod
    def hypot(*xs):
        return mpmath.sqrt(mpmath.fsum(x * x for x in xs))

    @staticmethod
    def dist(p, q):
        return Exact.hypot(*[a - b for a, b in zip(p, q, strict=True)])

    @staticmethod
    def sum(xs, start=0):
        return mpmath.fsum([start, *xs])

    @staticmethod
    def prod(xs, *, start=1):
        return mpmath.fprod([start, *xs])

    @staticmethod
    def dot(xs, ys):
        return mpmath.fdot(xs, ys)

    @staticmethod
    def modf(x):
        whole = mpmath.sign(x) * mpmath.floor(abs(x))
        return x - whole, whole

    @staticmethod
    def ldexp(x, i):
        return x * mpmath.mpf(2) ** i


COMPOSITIONS = {
    "log to a base": lambda m, a, b, c: m.log(a, 2) + m.log(10.0, b) + m.log(a, c),
    "hypot of 1": lambda m, a, b, c: m.hypot(a) * b + c,
    "hypot of 2": lambda m, a, b, c: m.hypot(a - b, c),
    "hypot of 3": lambda m, a, b, c: m.hypot(a, b - c, c),
    "dist": lambda m, a, b, c: m.dist((a, b, 1.5), [b * c, 2.0, c]),
    "max": lambda m, a, b, c: m.max(a, b, c) + m.max([a * c, b, 7]) * c,
    "min": lambda m, a, b, c: m.min(a, b, c) + m.min([a * c, b, 7]) * c,
    "prod": lambda m, a, b, c: m.prod([a, b, c, a]) + m.prod([b, 2, c], start=a),
    "sum": lambda m, a, b, c: m.sum([a, b * a, 3, b]) * c + m.sum([a, b], start=c),
    "dot": lambda m, a, b, c: m.dot([a, b, 2, a], [b, c, c, a]),
    "modf": lambda m, a, b, c: m.modf(-a)[0] * b + m.modf(c)[1] * a,
    "ldexp": lambda m, a, b, c: m.ldexp(a * b, 5) + m.ldexp(c, -3) * a,
    "digamma": lambda m, a, b, c: m.digamma(a) * m.digamma(b + c),
}
COORDINATE = st.floats(1.25, 9.75)


@pytest.mark.parametrize("f", COMPOSITIONS.values(), ids=COMPOSITIONS)
@given(xs=st.tuples(COORDINATE, COORDINATE, COORDINATE))
def test_derivatives_of_compositions(f, xs):
    a, b, c = xs
    # away from kinks and from whole numbers, which mpmath would straddle
    compared = [
        (a, b),
        (b, c),
        (a, c),
        (a * c, b),
        (a * c, 7),
        (b, 7),
        *[(x, round(x)) for x in xs],
    ]
    assume(min(abs(p - q) for p, q in compared) > 1e-3)
    values = [Value(x) for x in xs]
    y = f(math, *values)
    y.backward()
    with mpmath.workdps(50):
        exact = [mpmath.mpf(x) for x in xs]
        assert y.data == pytest.approx(float(f(Exact, *exact)), rel=1e-12, abs=1e-12)
        for k, v in enumerate(values):
            order = tuple(int(k == j) for j in range(3))
            slope = mpmath.diff(lambda *at: f(Exact, *at), exact, order)
            assert v.grad == pytest.approx(float(slope), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("b", [1.0, -2.0])
def test_hypot_and_dist_bend_at_zero(b):
    # the length of (0, b) grows as a*a / (2*|b|): a kink at 0 would hide that
    assert grad(grad(lambda a: math.hypot(a, b)))(0.0) == 1 / abs(b)
    assert grad(grad(lambda a: math.hypot(b, a)))(0.0) == 1 / abs(b)
    assert grad(grad(lambda a: math.dist([a, b], [0, 0])))(0.0) == 1 / abs(b)


@pytest.mark.parametrize("x", [2.0, -3.0, 0.0, 2.5])
def test_the_fraction_has_slope_one_everywhere(x):
    fraction, whole = grad(lambda x: math.modf(x)[0])(x), grad(lambda x: math.modf(x)[1])(x)
    assert (fraction, whole) == (1.0, 0.0)


@pytest.mark.parametrize("f", [math.max, math.min])
@given(xs=st.lists(st.integers(-2, 2), min_size=1, max_size=8), as_list=st.booleans())
def test_ties_share_the_derivative_among_the_chosen(f, xs, as_list):
    values = [Value(x) for x in xs]
    y = f(values) if as_list else f(*values)
    if y is not values[0]:  # of one, it is that one
        y.backward()
        assert sum(v.grad for v in values) == pytest.approx(1)
        assert all((v.grad > 0) == (v.data == y.data) for v in values)


@pytest.mark.parametrize("f", [math.max, math.min])
def test_three_equal_ones_get_a_third_each(f):
    a, b, c = values = Value(2.0), Value(2.0), Value(2.0)
    f(a, b, c).backward()
    assert [v.grad for v in values] == [1 / 3, 1 / 3, 1 / 3]


@pytest.mark.parametrize("f", [math.max, math.min])
@given(xs=st.lists(FLOATS, min_size=1, max_size=6))
def test_max_and_min_of_plain_numbers(f, xs):
    expected = (max if f is math.max else min)(xs)
    assert std.isnan(f(xs)) if any(map(std.isnan, xs)) else f(xs) == expected == f(iter(xs))


# --- wrong arguments ------------------------------------------------------------


@pytest.mark.parametrize("f", [math.max, math.min])
@pytest.mark.parametrize("arguments", [(), ([],), (iter(()),)])
def test_the_largest_of_none_is_an_error(f, arguments):
    with pytest.raises(ValueError, match=rf"{f.__name__}: no numbers"):
        f(*arguments)


@pytest.mark.parametrize("name", ["dist", "dot", "sumprod"])
def test_unequal_lengths_are_named(name):
    with pytest.raises(ValueError, match=r"lengths differ: 2 and 3"):
        getattr(math, name)([1, Value(2.0)], iter([1, 2, 3]))


@pytest.mark.parametrize("f", [math.sum, math.dot, math.prod, math.hypot, math.dist])
def test_of_none(f):
    arguments = () if f is math.hypot else ([], []) if f in (math.dot, math.dist) else ([],)
    assert f(*arguments) == (1 if f is math.prod else 0)
    assert type(f(*arguments)) is float


@pytest.mark.parametrize("name", ["sin", "log", "floor", "max", "hypot", "isnan", "modf", "ulp"])
@pytest.mark.parametrize("x", ["1.0", None, 1j])
def test_what_is_no_number_is_a_type_error(name, x):
    with pytest.raises(TypeError):
        getattr(math, name)(x)


@pytest.mark.parametrize("i", [1.0, "1", Value(1.0), None])
def test_ldexp_wants_an_integer(i):
    with pytest.raises(TypeError):
        math.ldexp(Value(1.0), i)


# --- the names --------------------------------------------------------------------

OPERATORS = {"add", "sub", "mul", "div", "floordiv", "neg", "pos", "abs"}
OPERATORS |= {"rint", "round_to"}
INTERNAL = {
    "complement",
    "cotpi",
    "exponent",
    "gaussian",
    "hurwitz_zeta",
    "max_of",
    "min_of",
    "power_log",
    "sech2",
    "sum",
    "tally",
    "unit",
}  # sum: a star import should not replace the builtin


@pytest.mark.parametrize("name", sorted(ops.TABLE))
def test_every_row_is_reachable(name):
    assert callable(getattr(math, name))
    assert (name in math.__all__) != (name in OPERATORS | INTERNAL)


def test_a_row_defined_later_is_reachable():
    cube = define("cube_of_test_math", lambda x: x * x * x, lambda x, y: 3.0 * x * x)
    try:
        assert math.cube_of_test_math is cube
    finally:
        del ops.TABLE["cube_of_test_math"]


def test_import_star():
    names = {}
    exec("from miniflow.math import *", names)
    del names["__builtins__"]
    assert set(names) == set(math.__all__)
    assert len(math.__all__) == len(set(math.__all__))
    assert all(x is getattr(math, name) for name, x in names.items())
    assert not [name for name in names if name.startswith("_")]


# --- a ported program ---------------------------------------------------------------


def call_price(spot, strike, years, rate, volatility):
    """Black-Scholes, as a scalar program has it: only its import of math was changed."""
    root = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate + volatility * volatility / 2) * years) / root
    d2 = d1 - root
    first = (1 + math.erf(d1 / math.sqrt(2))) / 2
    second = (1 + math.erf(d2 / math.sqrt(2))) / 2
    return spot * first - strike * math.exp(-rate * years) * second


def greeks(spot, strike, years, rate, volatility):
    """Delta, d/dstrike, -theta, rho, vega and gamma in closed form (Hull, ch. 19)."""
    root = volatility * std.sqrt(years)
    d1 = (std.log(spot / strike) + (rate + volatility**2 / 2) * years) / root
    n1, n2 = [std.erfc(-d / std.sqrt(2)) / 2 for d in (d1, d1 - root)]
    density = std.exp(-d1 * d1 / 2) / std.sqrt(2 * std.pi)
    discounted = strike * std.exp(-rate * years)
    decay = spot * density * volatility / (2 * std.sqrt(years)) + rate * discounted * n2
    slopes = [n1, -discounted / strike * n2, decay, years * discounted * n2]
    return [*slopes, spot * density * std.sqrt(years)], density / (spot * root)


MARKET = st.tuples(
    st.floats(50, 150), st.floats(50, 150), st.floats(0.1, 3), st.floats(0, 0.1), st.floats(0.1, 1)
)


@given(market=MARKET)
@example(market=(100.0, 100.0, 1.0, 0.05, 0.2))
@example(market=(50.0, 51.0, 1.0, 0.0, 0.9616454320178864))  # where pow(v, 2) is not v * v
def test_a_ported_program_gives_the_greeks(market):
    slopes, gamma = greeks(*market)
    values = [Value(x) for x in market]
    price = call_price(*values)
    price.backward()
    assert price.data == call_price(*market)
    assert [v.grad for v in values] == pytest.approx(slopes, rel=1e-9, abs=1e-11)
    assert grad(grad(call_price))(*market) == pytest.approx(gamma, rel=1e-9, abs=1e-11)
