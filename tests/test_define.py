"""`define`: a new row is all that a new operation takes."""

import math
from functools import partial

import numpy as np
import pytest

import miniflow
from miniflow import Value, grad, hessian, jvp, ops
from miniflow.ops import TABLE


@pytest.fixture
def softsign(row):
    return row(
        "softsign",
        lambda x: x / (1.0 + abs(x)),
        lambda x, y: ops.div(ops.div(1.0, 1.0 + abs(x)), 1.0 + abs(x)),
    )


def test_a_new_row_is_a_function_and_a_method(softsign):
    v = Value(3.0)
    assert softsign(3.0) == softsign(3) == softsign(np.float32(3)) == 0.75
    assert softsign is miniflow.math.softsign
    assert v.softsign().data == miniflow.math.softsign(v).data == 0.75
    assert v.softsign().op == "softsign"
    assert v.softsign()._op == "softsign"
    assert "softsign" in dir(v)


def test_a_new_row_is_differentiated(softsign):
    v = Value(3.0)
    v.softsign().backward()
    assert v.grad == 0.0625
    assert jvp(softsign, (3.0,), (2.0,)) == (0.75, 0.125)
    assert grad(grad(softsign))(3.0) == hessian(softsign)(3.0) == -0.03125
    assert grad(grad(grad(softsign)))(3.0) == 6 / 256


def test_a_new_row_maps_over_arrays(softsign):
    vs = np.array([Value(3.0), Value(-1.0)])
    ys = np.vectorize(softsign, otypes=[object])(vs)
    assert [y.data for y in ys] == [0.75, -0.5]
    sum(ys).backward()
    assert [v.grad for v in vs] == [0.0625, 0.25]


def test_a_new_row_of_two_operands(row):
    blend = row("blend", lambda a, b: a * a * b, lambda a, b, y: 2 * a * b, lambda a, b, y: a * a)
    a, b = Value(3.0), Value(5.0)
    y = a.blend(b)
    y.backward()
    assert (y.data, a.grad, b.grad) == (45.0, 30.0, 9.0)
    assert jvp(blend, (3.0, 5.0), (1.0, 1.0)) == (45.0, 39.0)
    assert hessian(blend, (0, 1))(3.0, 5.0) == ((10.0, 6.0), (6.0, 0.0))
    assert a.blend(5.0).data == blend(3.0, b).data == 45.0


def test_a_new_row_of_any_number_of_operands(row):
    norm = row("norm", math.hypot, each=lambda k, xs, y: ops.div(xs[k], y))
    xs = [Value(x) for x in (2.0, 3.0, 6.0)]
    norm(*xs).backward()
    assert [x.grad for x in xs] == [2 / 7, 3 / 7, 6 / 7]
    assert jvp(norm, (2.0, 3.0, 6.0), (7.0, 0.0, 0.0)) == (7.0, 2.0)


def test_a_row_that_is_gone_leaves_nothing_behind(row):
    row("passing", abs, None)
    del TABLE["passing"]
    assert not hasattr(Value(1.0), "passing")
    assert not hasattr(miniflow.math, "passing")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sin", math.sin, None), "'sin' is taken"),
        (("two words", math.sin, None), "must be a Python identifier"),
        (("unpartial", math.sin), "give one partial for each operand"),
    ],
)
def test_what_define_refuses(row, arguments, message):
    with pytest.raises(ValueError, match=message):
        row(*arguments)


def test_a_partial_is_a_formula_or_a_number(row):
    with pytest.raises(
        TypeError, match=r"define: halved: partial: expected a real number, got str '0\.5'"
    ):
        row("halved", lambda x: x / 2, "0.5")
    assert grad(row("halved", lambda x: x / 2, 0.5))(3.0) == 0.5


def test_partials_and_each_exclude_each_other(row):
    with pytest.raises(ValueError, match="give one partial for each operand, or each="):
        row("both", abs, None, each=partial(int))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (3, abs, "name must be a Python identifier, got 3"),
        ([], abs, "name must be a Python identifier"),
        ("broken", "x +", r"define: broken: value must be an expression, got 'x \+'"),
        ("broken", "nosuch(x)", "define: broken: 'nosuch.*' has 'nosuch'; it is of x"),
        ("broken", "a + b", "define: broken: .* has 'a'; it is of x"),
    ],
)
def test_what_cannot_be_defined_is_named_at_once(row, name, value, message):
    with pytest.raises(ValueError, match=message):
        row(name, value, 1.0)
    assert "broken" not in TABLE
