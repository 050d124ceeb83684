"""Size and memory: long chains, bounded memory, and what a sweep costs."""

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, engine, grad, ops, trace, value_and_grad
from miniflow import math as m
from miniflow.tape.core import here
from support.tape_state import assert_sound

finite = st.floats(-1e6, 1e6)


# --- size and memory ----------------------------------------------------------


def test_a_chain_of_many_operations():
    a = Value(1.0)
    y = a
    for _ in range(200_000):
        y = y + 1.0
    y.backward()
    a.data = 2.0
    assert (y.forward().data, a.grad) == (200_002.0, 1.0)
    with Tape() as tape:
        pass
    assert tape.gradient(y, a) == 1.0
    _, slopes = value_and_grad(lambda x: repeat(x, 50_000))(1.0)
    assert slopes == 1.0
    del y
    here.table.compact()


def repeat(x, count):
    for _ in range(count):
        x = x + 1.0
    return x


def test_a_training_loop_runs_in_bounded_memory(small_table):
    table = small_table(64)
    w, b = Value(0.0, "w"), Value(0.0, "b")
    data = [(x / 4, x / 2 - 1) for x in range(-4, 5)]
    capacities = set()
    for _ in range(300):
        loss = sum((w * x + b - y) ** 2 for x, y in data) / len(data)
        w.grad = b.grad = 0.0
        loss.backward()
        w.data -= 0.1 * w.grad
        b.data -= 0.1 * b.grad
        capacities.add(table.capacity)
    assert (w.data, b.data) == pytest.approx((2.0, -1.0), abs=1e-3)
    assert max(capacities) < 1000
    assert len(table.labels) == 2
    assert not table.pooled
    assert not table.homes


@given(st.lists(finite, min_size=3, max_size=20), st.integers(0, 60))
def test_compaction_keeps_labels_gradients_and_wide_operands(xs, garbage):
    leaves = []
    for k, x in enumerate(xs):
        leaves.append(Value(x, label=f"x{k}"))
        for _ in range(garbage):
            Value(x) * 2
    y = m.sum(leaves)
    z = m.where(leaves[0], y, leaves[1])
    z.backward()
    kept = z.inputs[1].inputs
    state = [(v.data, v.grad, v.label, v.op) for v in (*leaves, y, z)]
    here.table.compact()
    assert [(v.data, v.grad, v.label, v.op) for v in (*leaves, y, z)] == state
    assert all(a is b for a, b in zip(kept, leaves, strict=True))
    assert all(a is b for a, b in zip(z.inputs[1].inputs, leaves, strict=True))
    before = [v.grad for v in leaves]
    z.backward()
    assert [v.grad for v in leaves] == [2 * g for g in before]


def test_a_dropped_leafs_gradient_lives_as_long_as_its_row(small_table):
    small_table(8)
    y = Value(3.0, "gone") * 2
    y.backward()
    for _ in range(50):
        Value(0.0)
    assert (y.inputs[0].grad, y.inputs[0].label, y.inputs[0].op) == (2.0, "gone", "leaf")
    y.backward()
    assert y.inputs[0].grad == 4.0


def test_a_new_row_has_no_gradient_of_a_dropped_one(small_table):
    small_table(8)
    for _ in range(100):
        a = Value(1.0)
        y = -a
        assert (a.grad, y.grad, y.label) == (0.0, 0.0, "")
        y.backward(5.0)
        y.label = "y"


def test_backward_costs_what_the_graph_costs(row):
    pulled = []
    counted = row("counted", lambda x: x, lambda x, y: pulled.append(x) or 1.0)
    a = Value(1.0)
    older = [counted(a * k) for k in range(1000)]
    y = counted(counted(a))
    y.backward()
    assert len(pulled) == 2
    assert a.grad == 1.0
    if engine == "python":
        here.table.operation, reads = counting(here.table.operation)
        y.backward()
        assert len(reads) < 20
        here.table.operation = list(here.table.operation)
    assert len(older) == 1000


def counting(column):
    """A list like `column` that notes which of its items are read."""
    reads = []

    class Counting(list):
        def __getitem__(self, k):
            reads.append(k)
            return super().__getitem__(k)

    return Counting(column), reads


def test_a_partial_that_is_a_whole_number(row):
    for slope in (1, -1, True, np.float64(-1.0)):
        a = Value(3.0)
        op = row(f"whole_{len(ops.TABLE)}", lambda x: x, slope)
        op(a).backward()
        assert a.grad == float(slope)
        assert type(a.grad) is float


def test_a_partial_may_record(row, small_table):
    def slope(x, y):
        return grad(lambda z: m.prod([z] * 30))(x) * 0 + (Value(2.0) * 1.5).data

    table = small_table(8)
    op = row("recording", lambda x: 3 * x, slope)
    a = Value(1.0)
    y = op(a) * op(a)
    y.backward()
    assert a.grad == 18.0
    assert_sound(table)


def test_a_partial_may_trace(row):
    """What the trace has recorded goes in the midst of the sweep; the leaves reached stay known."""
    op = row("tracing", lambda x: 3 * x, lambda x, y: trace(lambda z: 3 * z, x)(1.0))
    a, b = Value(2.0), Value(5.0)
    y = b * op(a) + a
    calls = itertools.count()

    def limit(frame, event, arg):
        if next(calls) > 100_000:
            raise TimeoutError("a sweep without an end")

    sys.setprofile(limit)
    try:
        y.backward()
    finally:
        sys.setprofile(None)
    assert (a.grad, b.grad) == (16.0, 6.0)
    assert_sound(here.table)
