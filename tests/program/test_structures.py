"""Structures: nested arguments and results, arrays and settings."""

import copy
import decimal
import functools
import operator
from fractions import Fraction

import numpy as np
import pytest

from miniflow import Value, grad, trace
from miniflow.program.ir import PathError
from miniflow.tape.core import here
from support.formulas import Point, polynomial


def test_nested_arguments_and_results():
    def f(p, rest, *more, scale, mode="up"):
        total = p.x * scale + rest["a"][0] - rest["b"][0][1] + sum(more)
        return Point([total, {"k": p.y}], (mode, None))

    args = (Point(1.0, 2.0), {"a": [3.0], "b": ((4.0, 5.0),)}, 6.0, 7.0)
    program = trace(f, *args, scale=2.0, mode="down")
    other = (Point(1.5, -2.0), {"b": ((0.0, 1.0),), "a": [2.0]}, 1.0, 2.0)
    got = program(*other, mode="down", scale=3.0)
    assert got == f(*other, scale=3.0, mode="down")
    assert type(got) is Point
    assert type(got.x) is list
    assert program.parameters == ("p", "rest", "more0", "more1", "scale", "mode")


STRUCTURES = {
    "missing": ((1.0,), {}),
    "too many": ((1.0, [2.0, 3.0], "up", 4.0), {}),
    "shorter list": ((1.0, [2.0], "up"), {}),
    "longer list": ((1.0, [2.0, 3.0, 4.0], "up"), {}),
    "number for list": ((1.0, 2.0, "up"), {}),
    "dict for list": ((1.0, {"a": 2.0, "b": 3.0}, "up"), {}),
    "list for number": (([1.0], [2.0, 3.0], "up"), {}),
    "another setting": ((1.0, [2.0, 3.0], "down"), {}),
    "number for setting": ((1.0, [2.0, 3.0], 1.0), {}),
    "None for setting": ((1.0, [2.0, 3.0], None), {}),
    "by keyword": ((1.0, [2.0, 3.0]), {"mode": "up"}),
    "unknown keyword": ((1.0, [2.0, 3.0], "up"), {"z": 1.0}),
    "text for number": (("1.0", [2.0, 3.0], "up"), {}),
    "None for number": ((None, [2.0, 3.0], "up"), {}),
    "complex for number": ((1j, [2.0, 3.0], "up"), {}),
}


@pytest.mark.parametrize(("args", "kwargs"), STRUCTURES.values(), ids=STRUCTURES)
def test_another_structure_is_refused(args, kwargs):
    program = trace(lambda x, ys, mode: x + ys[0] * ys[1], 1.0, [2.0, 3.0], "up")
    assert program(1.0, [2.0, 3.0], "up") == 7.0
    with pytest.raises(TypeError) as caught:
        program(*args, **kwargs)
    assert str(caught.value)


def test_dicts_are_matched_by_keys():
    program = trace(lambda d: d["a"] - d["b"], {"a": 1.0, "b": 2.0})
    assert program({"b": 1.0, "a": 5.0}) == 4.0
    for wrong in ({"a": 1.0}, {"a": 1.0, "c": 2.0}, {"a": 1.0, "b": 2.0, "c": 3.0}, [1.0, 2.0]):
        with pytest.raises(TypeError, match=r"structure|traced"):
            program(wrong)


@pytest.mark.parametrize("setting", [True, False, None, "a", b"a", 1j, (), [], {}, ("a", None)])
def test_settings_have_to_match(setting):
    program = trace(lambda x, s: x * 2, 1.0, setting)
    assert program(3.0, copy.copy(setting)) == 6.0
    for other in (True, False, None, "a", b"a", 1j, "b", 1, 0, 1.0, (), [], {}, ("a", None)):
        if type(other) is type(setting) and other == setting:
            continue
        if {*map(type, (other, setting))} == {list, tuple}:
            continue  # a list will do for a tuple
        with pytest.raises(TypeError):
            program(3.0, other)


def test_settings_decide_in_python():
    def f(x, double=False, names=()):
        return x * 2 if double else [x for _ in names]

    assert trace(f, 1.0, double=True)(3.0, double=True) == 6.0
    assert trace(f, 1.0, names=("a", "b"))(3.0, names=("a", "b")) == [3.0, 3.0]
    assert trace(f, 1.0).guards == ()


def test_ints_are_numbers_not_settings():
    program = trace(lambda x, n: x**n, 2, 3)
    assert program.inputs == 2
    assert program(3, 2) == 9.0
    assert type(program(3, 2)) is float
    assert program(np.float32(3), np.int8(2)) == 9.0


def test_examples_may_be_any_numbers():
    for x in (2, 2.0, True + 1, np.float64(2), np.int32(2), Fraction(2), decimal.Decimal(2)):
        program = trace(lambda x: x * 3, x)
        assert program == trace(lambda x: x * 3, 1.0)
    v = Value(2.0)
    program = trace(lambda x: x * 3, v)
    assert program.captured == ()
    assert program(v).data == 6.0


def test_arrays_as_arguments_and_results():
    def f(a, b):
        return a @ b, np.array([[a[0, 0], b[1] * 2]]), a.sum()

    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0])
    program = trace(f, a, b)
    assert program.inputs == 6
    assert list(program.names.values())[:6] == ["a_0_0", "a_0_1", "a_1_0", "a_1_1", "b_0", "b_1"]
    x, y = np.array([[0.5, -1.0], [2.0, 7.0]]), np.array([1.5, -2.5])
    for got, expected in zip(program(x, y), f(x, y), strict=True):
        assert np.asarray(got).dtype == float
        assert np.array_equal(got, expected)
    for wrong in (x.ravel(), x[:, :1], x[None], x.tolist(), 1.0):
        with pytest.raises(TypeError, match="traced"):
            program(wrong, y)


def test_empty_arrays_and_structures():
    program = trace(lambda x, a, c, d: (a, x, [], {}), 1.0, np.zeros((0, 3)), [], {})
    a, x, *rest = program(2.0, np.zeros((0, 3)), [], {})
    assert (a.shape, x, rest) == ((0, 3), 2.0, [[], {}])


def test_object_arrays_of_values():
    program = trace(lambda a: a * 2 + a[0], np.array([1.0, 2.0]))
    values = [Value(3.0), Value(4.0)]
    got = program(np.array(values))
    assert [y.data for y in got] == [9.0, 11.0]
    got[1].backward()
    assert [v.grad for v in values] == [1.0, 2.0]


def test_arrays_of_settings_stay_as_they_are():
    mask = np.array([False, True])
    program = trace(lambda x, mask: x[mask][0] * 2, np.array([1.0, 2.0]), mask)
    assert program(np.array([3.0, 4.0]), mask) == 8.0
    result = trace(lambda x: (x, np.array([True, False])), 1.0)(2.0)[1]
    assert result.dtype == bool


def test_methods_partials_and_callables():
    class Model:
        def __init__(self):
            self.w = Value(2.0)

        def __call__(self, x):
            return self.w * x

        def twice(self, x):
            return self(self(x))

    model = Model()
    assert trace(model, 1.0)(3.0) == 6.0
    assert trace(model, 1.0).name == "Model"
    assert trace(model.twice, 1.0)(3.0) == 12.0
    assert trace(functools.partial(operator.mul, 4), 1.0)(3.0) == 12.0
    assert trace(max, 1.0, 2.0)(3.0, 5.0) == 5.0
    assert trace(lambda x: x, 1.0).name == "f"


def test_a_program_is_traced_and_differentiated_like_any_function():
    inner = trace(polynomial, 2.0, 3.0)
    outer = trace(lambda x: inner(x, 3.0) * 2, 2.0)
    assert outer(2.0) == 2 * polynomial(2.0, 3.0)
    assert len(outer.guards) == 1
    with pytest.raises(PathError):
        outer(-1.0)
    assert grad(outer)(2.0) == pytest.approx(2 * grad(polynomial)(2.0, 3.0))


def test_tracing_inside_of_a_traced_function():
    def f(x):
        inner = trace(lambda y: y * x if y > 0 else y, 1.0)
        assert here.table.trace is not None
        return inner(x * 2) + inner(3.0)

    program = trace(f, 2.0)
    assert program(5.0) == 50.0 + 15.0
    with pytest.raises(PathError):
        program(-1.0)
