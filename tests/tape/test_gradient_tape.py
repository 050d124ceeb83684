"""`Tape`: what it lists, prints and differentiates."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, engine
from miniflow.tape.core import here


def test_a_tape_lists_and_prints_what_was_recorded():
    outer = Value(1.0)
    with Tape() as tape:
        x = Value(3.0, label="x")
        y = x * x + outer
    z = y * 2
    y.backward()
    assert [entry.op for entry in tape] == ["leaf", "mul", "add"]
    assert len(tape) == 3
    leaf, square, total = tape
    assert (leaf.label, leaf.adjoint, square.operands, square.value) == ("x", 6.0, (0, 0), 9.0)
    assert total.operands[0] == 1
    assert total.operands[1] < 0
    assert str(tape).splitlines()[1].split() == ["0", "leaf", "3.0", "6.0", "x"]
    assert repr(tape) == "<Tape of 3 entries>"
    assert z.data == 20.0


def test_tapes_nest_and_show_only_what_was_done():
    with Tape() as outer:
        x = Value(3.0)
        with Tape() as inner:
            y = x * x
        z = -y
    assert [entry.op for entry in inner] == ["mul"]
    assert [entry.op for entry in outer] == ["leaf", "mul", "neg"]
    assert z.data == -9.0


def test_a_tape_keeps_its_rows(small_table):
    small_table(8)
    with Tape() as tape:
        y = Value(1.0)
        for _ in range(20):
            y = y * 2
    del y
    for _ in range(200):
        Value(0.0) + 1
    here.table.compact()
    assert [entry.op for entry in tape] == ["leaf", *["constant", "mul"] * 20]
    assert list(tape)[-1].value == 2.0**20
    del tape
    here.table.compact()
    assert here.table.count < 16


def test_a_long_tape_prints_its_ends():
    with Tape() as tape:
        y = Value(1.0)
        for _ in range(1000):
            y = -y
    lines = str(tape).splitlines()
    assert len(lines) == 62
    assert "941 more" in lines[31]


def test_gradient_leaves_no_trace():
    a, b = Value(3.0), Value(4.0)
    y = a * b
    z = y + a
    with Tape() as tape:
        pass
    z.backward()
    grads = [x.grad for x in (a, b, y, z)]
    count = here.table.count
    assert tape.gradient(z, {"a": a, "all": [(b, y), z]}) == {"a": 5.0, "all": [(3.0, 1.0), 1.0]}
    assert tape.gradient(y, z) == 0.0
    assert tape.gradient(a, [a, b]) == [1.0, 0.0]
    assert list(tape.gradient(z, np.array([a, b]))) == [5.0, 3.0]
    assert [x.grad for x in (a, b, y, z)] == grads
    assert here.table.count == count


@given(st.floats(-3, 3))
def test_gradients_inside_of_a_block_can_be_differentiated_again(x):
    with Tape() as tape:
        a = Value(x)
        y = a**5
        first = tape.gradient(y, a)
        second = tape.gradient(first, a)
        third = tape.gradient(second, a)
    assert first.data == pytest.approx(5 * x**4)
    assert second.data == pytest.approx(20 * x**3)
    assert tape.gradient(third, a) == pytest.approx(120 * x)
    third.backward()
    assert a.grad == pytest.approx(120 * x)


def test_gradient_with_respect_to_an_intermediate_counts_what_lies_behind_once():
    a = Value(2.0)
    b = a * a
    y = b * b + a
    with Tape() as tape:
        pass
    assert tape.gradient(y, [a, b]) == [33.0, 8.0]


def test_a_tape_is_not_copied():
    with Tape() as tape:
        Value(1.0) * 2
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="a Tape cannot be copied or pickled"):
            copied(tape)


def test_a_tape_that_was_never_opened_goes_quietly():
    tape = Tape.__new__(Tape)
    with pytest.raises((AttributeError, TypeError)):
        len(tape)
    del tape


def test_entries_of_a_tape_make_room_when_it_goes():
    here.table.compact()
    before = here.table.count
    with Tape() as tape:
        y = Value(1.0)
        for _ in range(2000):
            y = -y
    assert len(tape) == 2001
    del y
    assert len(tape) == 2001
    del tape
    if engine == "python":
        here.table.compact()
    assert here.table.count <= before + 1  # names of scopes may keep the place below
