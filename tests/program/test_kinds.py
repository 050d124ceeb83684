"""Programs on other kinds of numbers: arrays, fractions, decimals, mpmath."""

import decimal
import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow
from miniflow import Program, Value, grad, trace, value_and_grad
from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.program.ir import PathError
from miniflow.tape.core import here
from miniflow.testing.drawn import DrawnFunction
from miniflow.testing.steps import RowStep
from support.bits import bits
from support.formulas import operands, polynomial
from support.judge import JUDGE, mp, total
from support.programs import variants
from support.random_functions import functions, points

inf, nan = math.inf, math.nan


# --- refusals -----------------------------------------------------------------

LEAF = Value(3.0)


# --- other kinds of numbers ---------------------------------------------------


@pytest.mark.parametrize("name", TABLE)
def test_arrays_are_computed_element_by_element_to_the_bit(name):
    op, columns = TABLE[name], operands(name)
    expected = bits([op(*xs) for xs in zip(*columns, strict=True)])
    for _, variant in variants(trace(op, *[0.75] * len(columns))):
        with np.errstate(all="raise"):
            got = variant(*map(np.array, columns))
        assert got.dtype == float
        assert bits(got) == expected
        shaped = variant(*[np.array(column).reshape(2, 3, 4) for column in columns])
        assert shaped.shape == (2, 3, 4)
        assert bits(shaped.ravel()) == expected


@given(functions(longest=6, forks=False), st.data())
def test_programs_of_arrays_are_programs_of_their_elements(f, data):
    rows = data.draw(st.lists(points(f), min_size=1, max_size=4))
    program = trace(f, *[0.75] * f.count)
    got = program(*map(np.array, zip(*rows, strict=True)))
    for k, xs in enumerate(rows):
        expected = f(*xs)
        assert bits([np.broadcast_to(y, len(rows))[k] for y in got]) == bits(expected)


def test_arrays_and_scalars_mix():
    program = trace(lambda x, y: m.sin(x) * y + 1, 1.0, 2.0)
    got = program(np.array([0.5, 1.5]), 3)
    assert bits(got) == bits([program(0.5, 3.0), program(1.5, 3.0)])
    assert float(program(np.array(0.5), 3.0)) == program(0.5, 3.0)
    assert program(np.zeros((0, 2)), 3.0).shape == (0, 2)


@pytest.mark.parametrize("dtype", [int, np.int8, bool, np.float32, np.float16, object])
def test_arrays_of_other_types_are_computed_in_doubles_too(dtype):
    xs = np.array([0, 1, 1] if dtype is bool else [3, 100, -7]).astype(dtype)
    f = trace(lambda x: x * x * 0.1 + x - abs(x) + -x * 1000.1, 2.0)
    assert bits(f(xs)) == bits([f(float(x)) for x in xs])
    whole = trace(lambda x: (x + x) * x, 2.0)
    assert bits(whole(xs)) == bits([whole(float(x)) for x in xs])


@pytest.mark.parametrize("size", [2**31, 2**40])
def test_arrays_of_large_ints_do_not_wrap_around(size):
    assert trace(lambda x: x * x, 2.0)(np.array([size]))[0] == float(size) ** 2


def test_all_elements_have_to_take_the_path():
    program = trace(lambda x: x * 2 if x > 0 else -x, 1.0)
    other = trace(lambda x: x * 2 if x > 0 else -x, -1.0)
    assert bits(program(np.array([1.0, 2.0]))) == bits([2.0, 4.0])
    assert bits(other(np.array([-1.0, nan, 0.0]))) == bits([1.0, nan, -0.0])
    for wrong in ([-1.0, -2.0], [1.0, -2.0], [-1.0, 2.0], [nan, 1.0]):
        with pytest.raises(PathError):
            program(np.array(wrong))
    for wrong in ([1.0, 2.0], [1.0, -2.0], [-1.0, 2.0]):
        with pytest.raises(PathError):
            other(np.array(wrong))


# the rows that fractions have, in Python's own words
RATIONAL = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "floordiv": lambda a, b: Fraction(math.floor(a / b)),
    "mod": lambda a, b: a - b * math.floor(a / b),
    "neg": lambda x: -x,
    "pos": lambda x: x,
    "stop_gradient": lambda x: x,
    "abs": lambda x: max(x, -x),
    "floor": lambda x: Fraction(math.floor(x)),
    "ceil": lambda x: Fraction(math.ceil(x)),
    "trunc": lambda x: Fraction(math.trunc(x)),
    "rint": lambda x: Fraction(round(x)),
    "less": lambda a, b: Fraction(a < b),
    "equal": lambda a, b: Fraction(a == b),
    "step": lambda x: Fraction(x > 0),
    "sign": lambda x: Fraction((x > 0) - (x < 0)),
    "where": lambda c, a, b: a if c != 0 else b,
    "maximum": max,
    "minimum": min,
    "copysign": lambda a, b: max(a, -a) if b >= 0 else min(a, -a),
    "fma": lambda a, b, c: a * b + c,
    "complement": lambda x: 1 - x * x,
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x, slope: x if x > 0 else slope * x,
    "sum": lambda *xs: sum(xs),
    "fsum": lambda *xs: sum(xs),
    "dot": lambda a, b, c, d: a * c + b * d,
    "max_of": lambda *xs: max(xs),
    "min_of": lambda *xs: min(xs),
    "tally": lambda x, *xs: Fraction(xs.count(x)),
    "take": lambda i, *xs: xs[max(0, min(math.floor(i), len(xs) - 1))],
}
NUMBERS = [Fraction(k, 4) for k in (-10, -6, -5, -4, -2, 2, 4, 5, 6, 10, 16)]


def close(got, exact, kind):
    """Whether a number of another kind is as exact as its kind can be."""
    if kind is Fraction:
        return isinstance(got, (Fraction, int)) and got == exact
    if kind is decimal.Decimal:
        return isinstance(got, (decimal.Decimal, int)) and abs(
            Fraction(got) - exact
        ) <= 1e-25 * abs(exact)
    return abs(got - mp.mpf(exact.numerator) / exact.denominator) <= 1e-45 * (1 + abs(got))


def as_kind(kind, x):
    if kind is Fraction:
        return x
    return kind(x.numerator) / kind(x.denominator)


KINDS = [Fraction, decimal.Decimal, mp.mpf]


@pytest.mark.parametrize("name", RATIONAL)
@pytest.mark.parametrize("kind", KINDS, ids=["Fraction", "Decimal", "mpmath"])
def test_exact_rows_on_exact_numbers(name, kind):
    rule, op = RATIONAL[name], TABLE[name]
    arity = 4 if op.arity < 0 else op.arity
    program = trace(op, *[0.75] * arity)
    rng = random.Random(name)
    cases = [(x,) for x in NUMBERS] if arity == 1 else itertools.product(NUMBERS, repeat=2)
    for case in cases:
        xs = [*case, *[rng.choice(NUMBERS) for _ in range(arity - len(case))]]
        got = program(*[as_kind(kind, x) for x in xs])
        assert close(got, Fraction(rule(*xs)), kind), (xs, got)


@st.composite
def rational_steps(draw):
    """Operations on fractions, and what they answer."""
    fraction = st.fractions(-4, 4, max_denominator=12)
    nodes = draw(st.lists(fraction, min_size=2, max_size=3))
    count, steps = len(nodes), []
    for _ in range(draw(st.integers(2, 7))):
        name = draw(st.sampled_from([*RATIONAL, "add", "mul", "div", "floor", "sign", "div"]))
        arity = 4 if TABLE[name].arity < 0 else TABLE[name].arity
        node = st.integers(0, len(nodes) - 1) | st.integers(max(0, len(nodes) - 2), len(nodes) - 1)
        operands = tuple([draw(node) for _ in range(arity)])
        try:
            y = Fraction(RATIONAL[name](*[nodes[k] for k in operands]))
        except ZeroDivisionError:
            name, operands = "add", operands[:2]
            y = nodes[operands[0]] + nodes[operands[1]]
        steps.append(RowStep(name, operands))
        nodes.append(y)
    return nodes[:count], steps, nodes


@pytest.mark.parametrize("kind", KINDS, ids=["Fraction", "Decimal", "mpmath"])
@given(case=rational_steps())
def test_programs_of_exact_numbers_are_exact(kind, case):
    xs, steps, nodes = case
    if kind is not Fraction and any(x.denominator & (x.denominator - 1) for x in nodes):
        return  # rounded
    f = DrawnFunction(len(xs), steps, list(range(len(nodes))))
    program = trace(f, *map(float, xs))
    for _, variant in variants(program):
        got = variant(*[as_kind(kind, x) for x in xs])
        assert [close(y, x, kind) for y, x in zip(got, nodes, strict=True)] == [True] * len(nodes)


def test_derivatives_of_fractions_are_exact():
    def f(x, y):
        return (x**3 - 2 * x * y) / (1 + y * y) + x / 4

    a, b = Fraction(2, 3), Fraction(-5, 7)
    program = trace(value_and_grad(f, (0, 1)), 1.0, 2.0)
    value, (by_a, by_b) = program(a, b)
    assert value == f(a, b)
    assert by_a == (3 * a * a - 2 * b) / (1 + b * b) + Fraction(1, 4)
    assert by_b == -2 * a / (1 + b * b) - (a**3 - 2 * a * b) * 2 * b / (1 + b * b) ** 2
    assert type(by_b) is Fraction


def test_constants_are_taken_exactly():
    tenth = decimal.Decimal.from_float(0.1)
    assert trace(lambda x: x + 0.1, 1.0)(Fraction(0)) == Fraction(0.1)
    assert trace(lambda x: x + 0.1, 1.0)(decimal.Decimal(0)) == decimal.Decimal(0) + tenth
    assert trace(lambda x: x + 0.1, 1.0)(mp.mpf(0)) == mp.mpf(0.1)


def test_guards_on_exact_numbers_are_exact():
    program = trace(lambda x: x * 2 if x > 0.5 else x, 1.0)
    third = Fraction(1, 2) + Fraction(1, 10**40)
    assert program(third) == 2 * third
    with pytest.raises(PathError):
        program(Fraction(1, 2))
    with pytest.raises(PathError):
        program(Fraction(1, 2) - Fraction(1, 10**40))
    assert program(mp.mpf(1) / 2 + mp.mpf(10) ** -40) > 1
    with pytest.raises(PathError):
        program(mp.mpf(1) / 2)


def test_infinite_constants_meet_fractions():
    def f(x):
        return x / 2 if m.isfinite(x) and x > -inf else x

    assert trace(f, 1.0)(Fraction(1, 3)) == Fraction(1, 6)
    assert trace(f, 1.0)(decimal.Decimal(3)) == decimal.Decimal("1.5")
    assert trace(f, 1.0)(mp.mpf(3)) == mp.mpf("1.5")


def test_odd_functions_of_negative_mpmath_numbers_are_real():
    assert trace(m.cbrt, 1.0)(mp.mpf(-8)) == -2
    expected = mp.log(abs(mp.gamma(mp.mpf(-0.5))))
    assert abs(trace(m.lgamma, 1.0)(mp.mpf(-0.5)) - expected) < 1e-45


@pytest.mark.parametrize(
    ("kind", "x"), [("Fraction", Fraction(1, 3)), ("Decimal", decimal.Decimal("0.5"))]
)
def test_unknown_rows_are_named(kind, x):
    known = {*RATIONAL, "pow", "hurwitz_zeta"}  # a sum of powers
    for name, op in TABLE.items():
        arity = 2 if op.arity < 0 else op.arity
        program = trace(op, *[0.5] * arity)
        if name in known:
            continue
        with pytest.raises(TypeError, match=rf"operation \w+ is unknown for {kind}; use floats"):
            program(*[x] * arity)
    with pytest.raises(TypeError, match="operation sin is unknown"):
        trace(m.sin, 1.0)(x)


# mpmath knows nothing like them, or not for real numbers
UNKNOWN = {"exponent", "nextafter", "fmod", "remainder", "round_to", "ldexp", "log2", "exp2", "fma"}
# their formulas have constants that are doubles
ROUNDED = {"normal_pdf": 1e-15, "normal_cdf": 1e-30, "gelu": 1e-30}
POINTS = {
    "acosh": (1.5, 7.0),
    "pow": (0.75, 2.5),
    "power_log": (1.5, 2.5),
    "gamma": (0.75, 4.5),
    "lgamma": (0.75, 4.5),
    "cbrt": (8.0, 2.0, 0.3),
    "atan2": (-0.5, 2.0),
    "ldexp": (3.0, -2.0),
    "round_to": (2.0, 1.0),
}


@pytest.mark.parametrize("name", TABLE)
def test_every_row_on_fifty_digits_or_a_clear_refusal(name):
    op = TABLE[name]
    arity = 4 if op.arity < 0 else op.arity
    low, high = op.domain[0] if op.domain else (-inf, inf)
    default = [x for x in (-0.75, 0.25, 0.5, 1.25, -2.5) if low < x < high]
    program = trace(op, *[0.75 if name != "acosh" else 2.0] * arity)
    known = True
    for case in itertools.product(POINTS.get(name, default), repeat=min(arity, 2)):
        xs = [mp.mpf(x) / 3 * 3 + (mp.mpf(1) / 3 if name in JUDGE and not whole_only(name) else 0)
              for x in (*case, *case)][:arity]  # fmt: skip
        try:
            got = program(*xs)
        except TypeError as error:
            assert f"the operation {name} is unknown for mpmath" in str(error)  # noqa: PT017
            known = False
            break
        expected = total(JUDGE[name].value(*xs))
        assert abs(got - expected) <= ROUNDED.get(name, 1e-45) * (1 + abs(expected)), xs
    assert known or name in UNKNOWN


def whole_only(name):
    return name in ("ldexp", "round_to", "cbrt", "acosh", "asin", "acos", "atanh")


FORMULAS = {
    "sigmoid": (m.sigmoid, lambda x: 1 / (1 + mp.exp(-x))),
    "softplus": (m.softplus, lambda x: mp.log(1 + mp.exp(x))),
    "logsigmoid": (m.logsigmoid, lambda x: -mp.log(1 + mp.exp(-x))),
    "silu": (m.silu, lambda x: x / (1 + mp.exp(-x))),
    "elu": (m.elu, lambda x: x if x > 0 else mp.exp(x) - 1),
    "logaddexp": (lambda x: m.logaddexp(x, 1), lambda x: mp.log(mp.exp(x) + mp.e)),
    "d sigmoid": (grad(m.sigmoid), lambda x: mp.exp(-x) / (1 + mp.exp(-x)) ** 2),
    "d softplus": (grad(m.softplus), lambda x: 1 / (1 + mp.exp(-x))),
    "dd tanh": (grad(grad(m.tanh)), lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2),
    "d x**3": (grad(lambda x: x**3), lambda x: 3 * x**2),
    "composite": (
        lambda x: m.sqrt(1 + x * x) * m.exp(-x) / m.hypot(x, 2),
        lambda x: mp.sqrt(1 + x**2) * mp.exp(-x) / mp.sqrt(x**2 + 4),
    ),
}


@pytest.mark.parametrize(("f", "formula"), FORMULAS.values(), ids=FORMULAS)
@given(x=st.fractions(-9, 9))
def test_formulas_to_fifty_digits(f, formula, x):
    x = mp.mpf(x.numerator) / x.denominator
    got, expected = trace(f, 0.5)(x), formula(x)
    assert abs(got - expected) <= 1e-44 * (1 + abs(expected))


def test_other_numbers_and_captured_values_do_not_mix_silently():
    w = Value(0.1)
    program = trace(lambda x: x * w, 1.0)
    with pytest.raises(TypeError, match="for arrays use vmap"):
        program(np.array([1.0, 2.0]))


@pytest.mark.parametrize("kept", [lambda x: x, lambda x: x * 2, lambda x: [x + LEAF]])
def test_a_value_kept_outside_is_refused(kept):
    """Its gradient would end there, and its number would be this call's for ever."""
    outside = []

    def f(x):
        outside.append(kept(x))
        return x * 3

    with pytest.raises(RuntimeError, match="f: it keeps a Value outside that it has computed"):
        trace(f, 1.0)
    outside.clear()
    assert here.table.trace is None
    assert here.table.held == 0


def test_values_in_cycles_are_not_kept_outside():
    def f(x):
        cycle = [x * 2]
        cycle.append(cycle)
        return cycle[0]

    assert trace(f, 1.0)(3.0) == 6.0


def test_miniflow_exports_programs():
    assert miniflow.trace is trace
    assert isinstance(trace(polynomial, 2.0, 3.0), Program)
