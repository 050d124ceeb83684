"""Operators of Values: those of Python's numbers, with NumPy, and copies."""

import copy
import math
import operator
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, engine, grad
from miniflow.testing import check_grads

finite = st.floats(-1e6, 1e6)
NUMBERS = [
    2, True, 0.5, np.float64(1.5), np.float32(0.5), np.float16(2), np.int64(3), np.uint8(2),
    np.bool_(True), np.longdouble(2), Fraction(1, 4), Decimal("0.5"),
]  # fmt: skip
INFIX = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "%": operator.mod,
    "//": operator.floordiv,
}
COMPARE = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


# --- operators ----------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS, ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("sign", INFIX)
def test_operators_take_any_real_number_on_either_side(sign, number):
    f, plain = INFIX[sign], float(number)
    a = Value(1.25)
    for y, expected in ((f(a, number), f(1.25, plain)), (f(number, a), f(plain, 1.25))):
        assert y.__class__ is Value
        assert type(y.data) is float
        assert y.data == expected
        assert len(y.inputs) == 2
    y = f(a, number)
    y.backward()
    slope = a.grad
    b, c = Value(1.25), Value(plain)
    f(b, c).backward()
    assert slope == b.grad


@given(finite, finite.filter(lambda x: abs(x) > 1e-3))
def test_operators_between_values_are_pythons(x, y):
    a, b = Value(x), Value(y)
    for sign, f in INFIX.items():
        if sign != "**":
            assert f(a, b).data == f(x, y)
            assert f(a, y).data == f(x, y)
            assert f(x, b).data == f(x, y)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("compare", COMPARE)
def test_comparisons_are_those_of_numbers(compare, number):
    for x in (0.5, 1.0, 2.0, -1.0):
        a = Value(x)
        assert bool(compare(a, number)) is bool(compare(x, float(number)))
        assert bool(compare(number, a)) is bool(compare(float(number), x))
        assert compare(a, Value(float(number))) is compare(x, float(number))


@given(finite, st.integers(-(2**70), 2**70) | st.fractions())
def test_comparisons_with_exact_numbers_are_exact(x, number):
    a = Value(x)
    for compare in COMPARE:
        assert compare(a, number) is compare(x, number)


def test_comparisons_with_huge_numbers():
    a = Value(1.0)
    assert a < 10**400
    assert a < Fraction(10**400)
    assert Value(0.1) != Fraction(1, 10)
    assert Value(2.0**53) < 2**53 + 1
    assert a != 10**400
    assert a > -(10**400)


def test_comparisons_with_other_things():
    a = Value(1.0)
    assert a != None  # noqa: E711 - it is what is tested
    assert a != "1.0"
    assert not a == [1.0]  # noqa: SIM201 - both are tested
    with pytest.raises(TypeError):
        a < "1"  # noqa: B015 - it raises


def test_truth_is_that_of_the_number():
    assert not Value(0.0)
    assert not Value(-0.0)
    assert Value(0.1)
    assert Value(math.nan)


def test_hash_is_by_identity():
    a, b = Value(1.0), Value(1.0)
    assert a == b
    assert len({a, b}) == 2
    names = {a: "a", b: "b"}
    a.data = 7
    assert (names[a], names[b]) == ("a", "b")
    assert names[(a * b).inputs[1]] == "b"


@pytest.mark.parametrize("x", [2.5, -2.5, 3.0, -0.5])
def test_builtins(x):
    a = Value(x)
    pairs = [
        (abs(a), abs(x)), (round(a), round(x)), (round(a, 1), round(x, 1)), (+a, x), (-a, -x),
        (math.floor(a), math.floor(x)), (math.ceil(a), math.ceil(x)),
        (math.trunc(a), math.trunc(x)), (max(a, 1.0, 0), max(x, 1.0, 0)),
        (min([a, Value(9.0)]), min(x, 9.0)), (sum([a, a, 1]), 2 * x + 1),
        (math.prod([a, a]), x * x), (divmod(a, 2)[0], x // 2), (divmod(a, 2)[1], x % 2),
        (divmod(7, a)[0], 7 // x), (divmod(7, a)[1], 7 % x),
    ]  # fmt: skip
    for ours, theirs in pairs:
        assert getattr(ours, "data", ours) == theirs
    assert sorted([a, Value(0.0)])[0].data == min(x, 0.0)
    assert f"{a:.3f} {a:>8}" == f"{x:.3f} {x:>8}"
    assert f"{a}" == str(a) == repr(a)


def test_methods_are_the_tables_rows():
    a = Value(0.5)
    assert a.tanh().data == math.tanh(0.5)
    assert a.arctan2(2.0).data == a.atan2(2.0).data == math.atan2(0.5, 2.0)
    assert a.leaky_relu().data == 0.5
    assert "sigmoid" in dir(a)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        a.nothing_like_it()
    assert not hasattr(a, "__array__")


# --- NumPy --------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=6))
def test_dot_of_object_arrays(pairs):
    xs, ws = (np.array(column) for column in zip(*pairs, strict=True))
    values = np.array([Value(x) for x in xs])
    y = np.dot(values, ws) + (values * ws).sum() + (ws @ values)
    y.backward()
    assert y.data == pytest.approx(3 * np.dot(xs, ws), abs=1e-9)
    assert [v.grad for v in values] == pytest.approx(list(3 * ws))


UFUNCS = [
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh",
    "arctanh", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "fabs",
    "absolute", "negative", "positive", "degrees", "radians", "deg2rad", "rad2deg", "floor",
    "ceil", "trunc", "rint", "square", "reciprocal",
]  # fmt: skip


@pytest.mark.parametrize("name", UFUNCS)
def test_numpy_functions_of_scalars_and_object_arrays(name):
    f = getattr(np, name)
    a, b = Value(0.3), Value(0.7)
    y = f(a)
    assert y.__class__ is Value
    assert y.data == pytest.approx(float(f(0.3)), rel=1e-14)
    both = f(np.array([a, b]))
    assert [y.__class__ for y in both] == [Value, Value]
    both.sum().backward()
    assert a.grad == grad(f)(0.3)
    assert check_grads(f, (0.3,))


@pytest.mark.parametrize("name", ["arctan2", "hypot", "power", "maximum", "minimum", "fmod"])
def test_numpy_functions_of_two(name):
    assert check_grads(getattr(np, name), (0.3, 0.7))


@pytest.mark.parametrize("f", INFIX.values(), ids=INFIX)
def test_arrays_on_either_side(f):
    a, xs = Value(2.0), np.array([1.0, 3.0])
    assert [y.data for y in f(a, xs)] == list(f(2.0, xs))
    assert [y.data for y in f(xs, a)] == list(f(xs, 2.0))
    assert [y.data for y in f(np.array([a, a]), xs)] == list(f(np.array([2.0, 2.0]), xs))
    assert f(np.array(3.0), a).data == f(3.0, 2.0)


def test_reductions_of_object_arrays():
    values = np.array([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]])
    (values.sum() + values.mean() + values.prod() + np.trace(values) + values.max()).backward()
    assert [v.grad for v in values.ravel()] == [26.25, 13.25, 9.25, 9.25]


# --- copies -------------------------------------------------------------------


@given(finite, st.text(max_size=5))
def test_leaves_are_copied_and_pickled_with_their_labels(x, label):
    a = Value(x, label)
    a.grad = 3.0
    for b in (copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a))):
        assert b is not a
        assert (b.data, b.label, b.op, b.grad) == (x, label, "leaf", 0.0)
    pair = copy.deepcopy([a, a])
    assert pair[0] is pair[1]


def test_computed_values_are_not_copied():
    y = Value(1.0) * 2
    for f in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"computed.*\.data"):
            f(y)


@pytest.mark.skipif(engine != "compiled", reason="in Python it has no number at all")
def test_a_value_that_was_never_made_is_no_number():
    for y in (Value.__new__(Value) + 1, Value(3.0) * Value.__new__(Value), -Value.__new__(Value)):
        assert math.isnan(y.data)
    assert math.isnan(Value.__new__(Value).data)


@pytest.mark.skipif(engine != "compiled", reason="in Python they are classes like others")
def test_what_values_are_built_on_is_not_made_by_itself():
    for kind in Value.__mro__[1:-1]:
        with pytest.raises(TypeError, match="take Value"):
            kind(1.0)
