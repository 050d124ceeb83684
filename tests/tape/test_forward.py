"""`forward()` replays a graph with new leaves, wholly or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, define, ops
from miniflow import math as m
from miniflow.tape.core import here
from support.tape_state import assert_sound

whole = st.integers(-999, 999).map(float)  # sums and products of such numbers are exact


# --- forward ------------------------------------------------------------------


@given(whole, whole, whole)
def test_forward_replays_with_new_leaves(x, y, z):
    a, b = Value(x), Value(y)
    inner = a * b
    out = m.sum([inner, a, 3.0, inner]) + m.dot([a, b], [b, 2.0])
    out.backward()
    before = a.grad, inner.grad
    a.data = z
    assert (inner.data, out.forward()) == (x * y, out)
    assert inner.data == z * y
    assert out.data == (((z * y + z) + 3.0) + z * y) + (z * y + y * 2.0)
    assert (a.grad, inner.grad) == before
    a.grad = b.grad = 0.0
    out.backward()
    assert (a.grad, b.grad) == (3 * y + 1, 3 * z + 2)


def test_forward_lets_where_choose_anew():
    a, b = Value(1.0), Value(5.0)
    y = m.where(a, b, 2 * b)
    a.data = 0.0
    y.forward().backward()
    assert (y.data, b.grad, a.grad) == (10.0, 2.0, 0.0)


def test_forward_of_part_of_a_graph_leaves_the_rest_alone():
    a = Value(2.0)
    y = a * 3
    z = y + 1
    a.data = 5.0
    y.forward()
    assert (y.data, z.data) == (15.0, 7.0)
    assert z.forward().data == 16.0


@given(st.integers(0, 5))
def test_forward_is_all_or_nothing(broken):
    def value(x):
        if x > 100:
            raise ZeroDivisionError("too large")
        return x

    brittle = define("brittle", value, 1.0)
    try:
        a = Value(1.0)
        nodes = [a]
        for k in range(6):
            nodes.append(brittle(nodes[-1]) if k == broken else nodes[-1] + 1)
        before = [x.data for x in nodes]
        a.data = 200.0
        with pytest.raises(ZeroDivisionError, match="too large"):
            nodes[-1].forward()
        assert [x.data for x in nodes] == [200.0, *before[1:]]
        assert_sound(here.table)
        a.data = 2.0
        assert nodes[-1].forward().data == 7.0
    finally:
        del ops.TABLE["brittle"]
