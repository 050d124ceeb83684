"""The operation table is held to its word: each row, against the independent judge.

For every row the value and each partial, in forward and in reverse mode, are within
4 ulp of the exact answer, and second partials within 1e-12, for operands of any size in
the row's domain. Kinks, poles, infinities and NaN are in `test_kinks.py`.

Terms:
    kind    "value", "first" (the partials) or "second" (their partials)
    floor   what smaller answers are measured at: an intermediate may underflow
    naive   a formula that is right on paper, and wrong for some doubles
"""

import functools
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniflow import Value, define, grad, hvp, jvp, ops
from miniflow.ops import TABLE
from support.judge import JUDGE, LIMIT, SMALLEST, Row, largest, mp, relative, total, ulps, unary

# --- what is asked of a row ---------------------------------------------------

ULPS, SECOND = 4, 1e-12

# Rows that may be off by more ulps, and why.
LOOSE = {
    ("gamma", "value"): (10, "CPython's own math.gamma; measured: 7.6"),
    ("gamma", "first"): (10, "a product with math.gamma; measured: 5.7"),
    ("unit", "first"): (6, "a product of three quotients by hypot; measured: 5.3"),
    ("power_log", "value"): (8, "up to four logarithms multiplied; measured: 5.2"),
    ("power_log", "first"): (8, "up to four logarithms multiplied; measured: 4.7"),
    ("lgamma", "value"): (16, "CPython's own math.lgamma; measured: 9.0"),
}

# Answers with terms that cancel, measured at the largest of them, and why.
CANCELS = {
    ("sum", "value"): "adds numbers of both signs",
    ("dot", "value"): "adds numbers of both signs",
    ("logaddexp", "value"): "the maximum may be negative, what is added to it is not",
    ("lgamma", "value"): "zero at 1 and 2: CPython's math.lgamma is good to an absolute error",
    ("lgamma", "first"): "digamma: zero at 1.46, where its series has terms of 2.5",
    ("gamma", "first"): "digamma: zero at 1.46, where its series has terms of 2.5",
    ("silu", "first"): "zero at -1.28",
    ("gelu", "first"): "zero at -0.75",
    ("tanh", "first"): "uses its output: 1 - y*y",
    ("tanh", "second"): "the derivative of 1 - y*y",
    ("sech2", "second"): "zero at the inflections",
    ("digamma", "value"): "zero at 1.46, where its series has terms of 2.5",
    ("power_log", "first"): "zero at log(a) = -n/b",
    ("power_log", "second"): "zero between such points",
    ("silu", "second"): "zero at 2.40",
    ("gelu", "second"): "zero at the square root of 2",
    ("gaussian", "second"): "zero at the inflections",
    ("normal_pdf", "second"): "zero at the inflections",
    ("unit", "second"): "zero on some lines through the origin",
    ("pow", "second"): "the mixed one is zero at log(a) = -1/b",
    ("atan2", "second"): "the mixed one is zero at |a| = |b|",
}

# Where a product has a factor that underflows, its error grows with the other factor.
OTHER_FACTOR = {
    "pow": lambda a, b: b,  # b * a**(b - 1)
    "elu": lambda x, alpha: alpha,  # alpha * exp(x)
    "silu": lambda x: x,  # x * sigmoid(x)
}

# Where a row has derivatives (and its value is a double); everywhere, if not listed.
SMOOTH = {
    "abs": lambda x: x != 0,
    "div": lambda a, b: b != 0,
    "pow": lambda a, b: a > 0,
    "mod": lambda a, b: b != 0 and not whole(a, b),
    "fmod": lambda a, b: b != 0 and not whole(a, b),
    "floordiv": lambda a, b: b != 0,
    "remainder": lambda a, b: b != 0 and not whole(2 * Fraction(a), b),
    "maximum": lambda a, b: a != b,
    "minimum": lambda a, b: a != b,
    "copysign": lambda a, b: a != 0 and b != 0,
    "max_of": lambda *xs: xs.count(max(xs)) == 1,
    "min_of": lambda *xs: xs.count(min(xs)) == 1,
    "log": lambda x: x > 0,
    "log2": lambda x: x > 0,
    "log10": lambda x: x > 0,
    "log1p": lambda x: x > -1,
    "sqrt": lambda x: x > 0,
    "cbrt": lambda x: x != 0,
    "hypot": lambda a, b: a != 0 or b != 0,
    "unit": lambda a, b: a != 0 or b != 0,
    "atan2": lambda a, b: a != 0 or b > 0,
    "asin": lambda x: abs(x) < 1,
    "acos": lambda x: abs(x) < 1,
    "acosh": lambda x: x > 1,
    "atanh": lambda x: abs(x) < 1,
    "gamma": lambda x: x > 0,
    "power_log": lambda a, b, n: a > 0,
    "lgamma": lambda x: x > 0,
    "digamma": lambda x: x > 0,
    "cotpi": lambda x: 0 < x < 1,
    "relu": lambda x: x != 0,
    "leaky_relu": lambda x, slope: x != 0,
    "elu": lambda x, alpha: x != 0,
    # from left to right no partial sum overflows
    "sum": lambda *xs: sum(abs(x) / 8 for x in xs) < 2.0**1020,
    "fsum": lambda *xs: sum(abs(x) / 8 for x in xs) < 2.0**1020,
    "dot": lambda *xs: sum(abs(a / 8 * b) for a, b in halves(xs)) < 2.0**1020,
}

# Where the second partials are doubles, but what they are computed from is not.
BEYOND = {
    # 1/a, b*b, b*b*a**b
    "pow": lambda a, b: (
        a < 2.0**-1022 or abs(b) > 1e150 or abs(b * math.log(a)) + 2 * math.log(1 + abs(b)) > 700
    ),
    "power_log": lambda a, b, n: (
        a < 2.0**-1022 or abs(b) > 1e150 or abs(b * math.log(a)) + 40 + 7 * (n + 2) > 700
    ),
}


def whole(a, b):
    """Whether a/b is a whole number."""
    return (Fraction(a) / Fraction(b)).denominator == 1


def halves(xs):
    return zip(xs[: len(xs) // 2], xs[len(xs) // 2 :], strict=True)


def factor(name, xs):
    """What an underflow may be multiplied with."""
    return max(1.0, abs(OTHER_FACTOR.get(name, lambda *xs: 1.0)(*xs)))


def smooth(name, xs):
    return SMOOTH.get(name, lambda *xs: True)(*xs)


# --- operands -----------------------------------------------------------------

EDGES = [
    *(0.0, 5e-324, 1e-310, 2.0**-1022, 1e-155, 1e-154, 1e-16, 2.0**-53, 0.5, 1.0, 2.0, math.pi),
    *(math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0), 710.0, 745.0, 2.0**26, 2.0**53, 1e16),
    *(1e154, 1e155, 1e300, math.nextafter(math.inf, 0.0)),
]


@functools.cache
def near(anchor):
    """Doubles at any distance of `anchor`, as far as they can be told apart."""
    scales = st.integers(-1074, 1024) if anchor == 0 else st.integers(-53, 0)
    mantissas = st.floats(0.5, 1.0, exclude_max=True)
    distances = st.builds(math.ldexp, mantissas, scales)
    return st.builds(lambda sign, d: anchor + sign * d, st.sampled_from((-1.0, 1.0)), distances)


@functools.cache
def numbers(low, high):
    """Finite doubles from `low` to `high`: of ordinary and of any size, and near the ends."""
    parts = [
        st.floats(max(low, -size), min(high, size), allow_infinity=False)
        for size in (4.0, 40.0, 800.0, math.inf)
    ]
    parts += [near(x) for x in {0.0, 1.0, low, high} if math.isfinite(x)]
    parts += [st.sampled_from(EDGES), st.integers(-40, 40).map(lambda k: k / 2)]

    def inside(x):
        return low <= x <= high

    return st.one_of(parts).map(lambda x: x if inside(x) else -x).filter(inside)


@functools.cache
def neighbours(low, high):
    """Two doubles of a like magnitude."""

    def pair(x, other):
        return (x, x * other)

    ratios = near(1.0) | near(-1.0)
    return st.builds(pair, numbers(low, high), ratios).filter(
        lambda xs: low <= xs[1] <= high and math.isfinite(xs[1])
    )


def exponents(a):
    """With the base `a`: exponents for which the power is a double."""
    if a in (0.0, 1.0):
        return st.just((a, 2.0))
    reach = st.floats(-745.0, 709.0).map(lambda t: t / math.log(a))
    return st.tuples(st.just(a), reach.filter(math.isfinite))


@functools.cache
def operands(op):
    """Operands in the domain of a row, where it is smooth."""
    if op.name in ("round_to", "ldexp"):
        reach = 330 if op.name == "round_to" else 2200
        return st.tuples(numbers(*op.domain[0]), st.integers(-reach, reach).map(float))
    if op.name == "hurwitz_zeta":
        return st.tuples(st.integers(2, 8).map(float), numbers(*op.domain[1]).filter(bool))
    if op.arity < 0:
        sizes = (2, 4, 6) if op.name == "dot" else (2, 3, 6) if op.name == "take" else (1, 2, 3, 6)
        xs = st.sampled_from(sizes).flatmap(lambda n: st.tuples(*[numbers(*op.domain[0])] * n))
    else:
        xs = st.tuples(*[numbers(*bounds) for bounds in op.domain])
    if op.arity == 2 and op.domain[0] == op.domain[1]:
        xs |= neighbours(*op.domain[0])
    if op.name in ("pow", "power_log"):
        powers = numbers(*op.domain[0]).flatmap(exponents)
        xs = powers | st.tuples(*[numbers(*bounds) for bounds in op.domain[:2]])
    if op.name == "power_log":
        xs = st.builds(lambda ab, n: (*ab, float(n)), xs, st.integers(1, 4))
    return xs.filter(lambda xs: smooth(op.name, xs))


# --- the checks ---------------------------------------------------------------


def judged(judge, kind, xs):
    """The judge's answers for a kind, as a flat list."""
    answers = getattr(judge, kind)(*map(mp.mpf, xs))
    if kind == "value":
        return [answers]
    return list(answers) if kind == "first" else [answer for row in answers for answer in row]


def check(name, kind, xs, got, answer):
    """Fail if `got` is further from the judge's answer than the row may be."""
    allowed, _ = LOOSE.get((name, kind), (ULPS, ""))
    off = ulps(got, answer, SMALLEST * 2.0**50 * factor(name, xs))  # 4 ulps of it: SMALLEST
    assert off <= allowed, f"{name}{xs} {kind}: {got}, not {total(answer)}: off by {off:.3g} ulp"


def check_value(op, judge, xs):
    """The value, and that recording it changes no bit."""
    y = op(*xs)
    assert type(y) is float
    check(op.name, "value", xs, y, *judged(judge, "value", xs))
    recorded = [op(*map(Value, xs)), *[alone(op, xs, k)(Value(x)) for k, x in enumerate(xs)]]
    assert [number(v).hex() for v in recorded] == [y.hex()] * len(recorded)


def check_first(op, judge, xs):
    """The partials in reverse, in forward mode and of each operand alone: all alike."""
    leaves = list(map(Value, xs))
    op(*leaves).backward()
    everything = grad(op, range(len(xs)))(*xs)
    for k, (x, answer) in enumerate(zip(xs, judged(judge, "first", xs), strict=True)):
        got = leaves[k].grad
        check(op.name, "first", xs, got, answer)
        assert same(everything[k], got)
        assert same(grad(alone(op, xs, k))(x), got)
        y, forward = jvp(alone(op, xs, k), (x,), (1.0,))
        assert same(y, op(*xs))
        assert same(forward, got)


def check_second(op, judge, xs):
    """The second partials: reverse over reverse, forward over reverse, one operand alone."""
    answers = judged(judge, "second", xs)
    lower = [*judged(judge, "value", xs), *judged(judge, "first", xs)]
    # with some room for what they are computed from
    doubles = max(map(largest, lower + answers)) < LIMIT / 1024
    if not doubles or BEYOND.get(op.name, lambda *xs: False)(*xs):
        return
    # an intermediate that underflows may be multiplied by what is as large as these
    floor = SMALLEST / SECOND * max(factor(op.name, xs), *map(largest, answers))

    def close(got, k, j):
        answer = answers[k * len(xs) + j]
        off = relative(got, answer, floor)
        assert off <= SECOND, f"{op.name}{xs} d{k}d{j}: {got}, not {total(answer)}: {off:.3g}"

    for k, x in enumerate(xs):
        direction = [float(j == k) for j in range(len(xs))]
        products = jvp(grad(op, range(len(xs))), xs, direction)[1]
        for j in range(len(xs)):
            close(grad(grad(op, j), k)(*xs), j, k)
            close(products[j], j, k)
        close(grad(grad(alone(op, xs, k)))(x), k, k)
        close(hvp(alone(op, xs, k), (x,), (1.0,)), k, k)


def alone(op, xs, k):
    """The row as a function of operand k; the others are plain numbers."""
    return lambda x: op(*xs[:k], x, *xs[k + 1 :])


def number(x):
    """The plain number; `where` with a plain condition may return one at once."""
    return x.data if isinstance(x, Value) else x


def same(x, y):
    """Whether two doubles are alike, but for the sign of zero."""
    return x == y or (x != x and y != y)


# --- the table ----------------------------------------------------------------

ROWS = list(TABLE)
SLOPING = [
    name for name in ROWS if any(TABLE[name].follows(k) for k in range(len(TABLE[name].partials)))
]

# Found by trying 200,000 operands for each row: too rare for the few of a test.
RARE = [
    ("pow", (1e-310, 4.03e-295)),
    ("pow", (1.0000000000000069, 9.726980502761182e16)),
    ("remainder", (-1.4671770584351519e308, 9.23955670214382e307)),
    ("hypot", (5e-324, 5e-324)),
    ("hypot", (1.5e308, -1.5e308)),
    ("hypot", (1e8, 1.0)),
    ("asin", (1e-200,)),
    ("atan", (-5.8e82,)),
    ("atan2", (-1e-310, -2.931649963e-314)),
    ("gaussian", (-25.37758665339709,)),
    ("gaussian", (-1.3e308,)),
    ("normal_pdf", (-37.53758665339709,)),
    ("erf", (1.2e308,)),
    ("gelu", (-1.037724542365952,)),
    ("gelu", (-1.1362507299182116,)),
    ("unit", (2.6567830505081513e-110, 2.2250738585072014e-308)),
    ("lgamma", (0.9999999994702569,)),
    ("silu", (-709.9,)),
    ("logaddexp", (-15.5, -6.324141059825949e-14)),
    ("logaddexp", (2.0, 2.0)),
]


def test_every_row_has_a_judge():
    assert set(JUDGE) == set(TABLE)


@pytest.mark.parametrize("name", ROWS)
@given(data=st.data())
def test_values(name, data):
    op = TABLE[name]
    check_value(op, JUDGE[name], data.draw(operands(op)))


@pytest.mark.parametrize("name", ROWS)
@given(data=st.data())
def test_partials(name, data):
    op = TABLE[name]
    check_first(op, JUDGE[name], data.draw(operands(op)))


@pytest.mark.parametrize("name", SLOPING)
@given(data=st.data())
def test_second_partials(name, data):
    op = TABLE[name]
    check_second(op, JUDGE[name], data.draw(operands(op)))


@pytest.mark.parametrize(("name", "xs"), RARE)
def test_rare_operands(name, xs):
    for check in (check_value, check_first, check_second):
        check(TABLE[name], JUDGE[name], xs)


@given(x=numbers(-math.inf, 0.0).filter(bool), b=st.integers(-20, 20).map(float))
def test_powers_of_negative_bases(x, b):
    """The domain of pow is the positive bases; whole plain exponents have all of them."""
    judge = unary(
        lambda x: x**b,
        lambda x: b * x ** (b - 1) if b else 0,
        lambda x: b * (b - 1) * x ** (b - 2) if b * (b - 1) else 0,
    )
    power = ops.Op("pow", lambda x: ops.pow(x, b), (), 1)
    check("x**b", "value", (x,), power.value(x), *judged(judge, "value", (x,)))
    check("x**b", "first", (x,), grad(power.value)(x), *judged(judge, "first", (x,)))


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_complete(name):
    op = TABLE[name]
    assert op.name == name
    assert op.symbol
    assert len(op.domain) == len(op.partials) == abs(op.arity)
    assert all(low < high for low, high in op.domain)
    assert all(rule is None or type(rule) is float or callable(rule) for rule in op.partials)
    assert repr(op) == f"<operation {name}>"


@pytest.mark.parametrize("name", [name for name in ROWS if TABLE[name].arity > 0])
def test_the_number_of_operands(name):
    op = TABLE[name]
    xs = [0.75] * op.arity
    fewest = op.arity - len(op.defaults)
    for wrong in ([], xs[: fewest - 1], [*xs, 0.75]):
        with pytest.raises(TypeError, match=rf"{name}: takes {op.arity} operands?, got"):
            op(*wrong)
    assert same(op(*xs[:fewest]), op(*xs[:fewest], *op.defaults))
    assert same(op(*map(Value, xs[:fewest])).data, op(*xs[:fewest]))


# --- the judge is judged ------------------------------------------------------


# Points of rows with an operand that is a whole number.
WHOLE = {
    "power_log": [(0.7, 1.3, 1.0), (2.9, -0.6, 2.0), (1.3, 2.9, 3.0)],
    "hurwitz_zeta": [(2.0, 0.7), (3.0, 1.3), (4.0, 2.9)],
}


def points(op):
    """Operands where a row is smooth and of ordinary size."""
    if op.arity < 0:
        return [(0.7, -1.3, 2.6, 0.4)]
    if op.name in WHOLE:
        return WHOLE[op.name]
    inner = [[x for x in (0.7, 1.3, -0.6, 2.9) if low < x < high] for low, high in op.domain]
    return [tuple(xs[(i + k) % len(xs)] for k, xs in enumerate(inner)) for i in range(4)]


# the derivative of stop_gradient is not that of its value: that is what it is for
@pytest.mark.parametrize("name", [name for name in ROWS if name != "stop_gradient"])
def test_the_judges_derivatives_are_those_of_its_values(name):
    judge = JUDGE[name]
    for xs in points(TABLE[name]):
        n, at = len(xs), [mp.mpf(x) for x in xs]
        for k in range(n):
            if not (TABLE[name].follows(k) or TABLE[name].flat):
                continue  # a whole number
            first = mp.diff(lambda *x: total(judge.value(*x)), at, unit(n, k))
            assert mp.almosteq(total(judge.first(*at)[k]), first, 1e-20, 1e-20)
            for j in filter(TABLE[name].follows, range(n)):
                second = mp.diff(lambda *x, k=k: total(judge.first(*x)[k]), at, unit(n, j))
                assert mp.almosteq(total(judge.second(*at)[k][j]), second, 1e-20, 1e-20)


def unit(n, k):
    return tuple(int(j == k) for j in range(n))


def test_only_what_is_listed_may_cancel():
    found = {
        (name, kind)
        for name, judge in JUDGE.items()
        for kind in Row._fields
        if any(isinstance(x, list) for x in judged(judge, kind, points(TABLE[name])[0]))
    }
    assert found == set(CANCELS)


@pytest.mark.parametrize("table", [LOOSE, CANCELS])
def test_every_exception_is_that_of_a_row(table):
    assert {name for name, _ in table} <= set(TABLE)


@pytest.mark.parametrize("table", [OTHER_FACTOR, SMOOTH, BEYOND])
def test_every_condition_is_that_of_a_row(table):
    assert set(table) <= set(TABLE)


# --- wrong rows are found out -------------------------------------------------


def refuted(check, op, judge, strategy):
    """Whether a property test finds operands for which a check fails."""

    @settings(max_examples=1000, derandomize=True, database=None, report_multiple_bugs=False)
    @given(strategy)
    def holds(xs):
        check(op, judge, xs)

    try:
        holds()
    except AssertionError:
        return True
    return False


# name of the row that is imitated: (value, partials), and the check that must fail
WRONG = {
    "value off by some bits": (check_value, "sin", lambda x: math.sin(x) * (1 + 2e-15)),
    "value is another function": (check_value, "sin", math.cos),
    "partial has the wrong sign": (check_first, "cos", math.cos, lambda x, y: ops.sin(x)),
    "partial off by some bits": (
        *(check_first, "sin", math.sin),
        lambda x, y: ops.cos(x) * (1 + 2e-15),
    ),
    "partial of the wrong operand": (
        *(check_first, "mul", lambda a, b: a * b),
        *(lambda a, b, y: a, lambda a, b, y: b),
    ),
    "partial missing": (check_first, "mul", lambda a, b: a * b, lambda a, b, y: b, None),
    "partial constant": (check_first, "exp", math.exp, 1.0),
    "formula leaves the table": (
        *(check_second, "sin", math.sin),
        lambda x, y: math.cos(number(x)),
    ),
    "formula right to first order": (
        *(check_second, "exp", math.exp),
        lambda x, y: y + 0.0 * x if isinstance(x, float) else y * 1.0000001,
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_row_is_rejected(row, what):
    check, name, value, *partials = WRONG[what]
    wrong = row("wrong", value, *partials or [None] * TABLE[name].arity)
    xs = (0.7, -1.3)[: wrong.arity]
    check(TABLE[name], JUDGE[name], xs)
    with pytest.raises(AssertionError):
        check(wrong, JUDGE[name], xs)


def slope(formula, op):
    """The value of a row with another formula for its first partial."""
    return op.value, formula, *op.partials[1:]


# Textbook formulas that cancel, overflow or underflow, each for some doubles only.
NAIVE = {
    "log1p by log": (check_value, "log1p", (lambda x: ops.log(1 + x), None)),
    "expm1 by exp": (check_value, "expm1", (lambda x: ops.exp(x) - 1, None)),
    "softplus by log": (check_value, "softplus", (lambda x: ops.log(1 + ops.exp(x)), None)),
    "hypot by sqrt": (check_value, "hypot", (lambda a, b: math.sqrt(a * a + b * b), None, None)),
    "sinh by exp": (check_value, "sinh", (lambda x: (ops.exp(x) - ops.exp(-x)) / 2, None)),
    "sigmoid by exp": (
        *(check_value, "sigmoid"),
        (lambda x: ops.div(ops.exp(x), 1 + ops.exp(x)), None),
    ),
    "normal_cdf by erf": (
        *(check_value, "normal_cdf"),
        (lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2))), None),
    ),
    "gaussian by exp": (
        *(check_value, "gaussian"),
        (lambda x: math.exp(-x * x), None),
    ),
    "asin near 1": (
        *(check_first, "asin"),
        slope(lambda x, y: ops.div(1.0, ops.sqrt(1.0 - x * x)), ops.TABLE["asin"]),
    ),
    "atan2 of large and tiny": (
        *(check_first, "atan2"),
        slope(lambda a, b, y: ops.div(b, a * a + b * b), ops.TABLE["atan2"]),
    ),
    "softplus far below 0": (
        *(check_first, "softplus"),
        slope(lambda x, y: 1.0 - ops.exp(-y), ops.TABLE["softplus"]),
    ),
    "asin near 0": (
        *(check_second, "asin"),
        slope(lambda x, y: ops.div(1.0, ops.sqrt((1.0 - x) * (1.0 + x))), ops.TABLE["asin"]),
    ),
    "hypot far from the diagonal": (
        *(check_second, "hypot"),
        slope(lambda a, b, y: ops.div(a, y), ops.TABLE["hypot"]),
    ),
}


@pytest.mark.parametrize("what", NAIVE)
def test_a_naive_formula_is_found_out(row, what):
    check, name, rules = NAIVE[what]
    value, *partials = rules
    op = row("naive", value, *partials, domain=TABLE[name].domain)
    strategy = operands(TABLE[name])
    assert refuted(check, op, JUDGE[name], strategy)


SOFTSIGN = unary(
    lambda x: x / (1 + abs(x)),
    lambda x: 1 / (1 + abs(x)) ** 2,
    lambda x: -2 * mp.sign(x) / (1 + abs(x)) ** 3,
)


@given(x=numbers(-math.inf, math.inf).filter(bool))
def test_a_new_row_is_judged_like_the_others(x):
    softsign = define(
        "softsign",
        lambda x: x / (1.0 + abs(x)),
        lambda x, y: ops.div(ops.div(1.0, 1.0 + abs(x)), 1.0 + abs(x)),
    )
    try:
        for check in (check_value, check_first, check_second):
            check(softsign, SOFTSIGN, (x,))
    finally:
        del TABLE["softsign"]
