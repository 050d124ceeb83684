"""Gradients as plain numbers: the engine's own sweep, in a column where no `.grad` is."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, grad, no_grad
from miniflow import math as m
from miniflow.tape.core import here
from miniflow.tape.pullback import pullback
from support.bits import bits
from support.tape_state import assert_sound

STEPS = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - 2.0,
    lambda a, b: a / b,
    lambda a, b: m.sin(a),
    lambda a, b: m.sum([a, b, a, 1.0]),
    lambda a, b: m.dot([a, b], [b, 2.0]),
    lambda a, b: m.where(m.less(a, b), a, b),
    lambda a, b: m.maximum(a, b),
    lambda a, b: m.floor(a),
    lambda a, b: a.detach() * b,
]
step = st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 99), st.integers(0, 99))


def recording(steps, numbers):
    """Values, each computed from some before it."""
    values = [Value(x) for x in numbers]
    for kind, i, j in steps:
        values.append(STEPS[kind](values[i % len(values)], values[j % len(values)]))
    return values


@given(
    st.lists(step, min_size=1, max_size=30),
    st.lists(st.floats(-2, 2), min_size=2, max_size=4),
    st.lists(st.integers(0, 99), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 99), st.floats(-2, 2)), min_size=1, max_size=3),
)
def test_the_engines_sweep_is_the_recorded_one_bit_for_bit(steps, numbers, chosen, targets):
    values = recording(steps, numbers)
    sources = [values[k % len(values)] for k in chosen]
    ys, weights = zip(*[(values[-1 - k % len(values)], w) for k, w in targets], strict=True)
    grads = [v.grad for v in values]
    found = pullback(list(ys), list(weights), sources, recorded=False)
    assert bits([v.grad for v in values]) == bits(grads)
    with Tape():
        recorded = pullback(list(ys), list(weights), sources, recorded=True)
    numbers = [x.data if x.__class__ is Value else x for x in recorded]
    assert bits(found) == bits(numbers)
    assert_sound(here.table)


def test_constants_and_sources_given_twice():
    a = Value(3.0)
    with no_grad():
        c = a * 2
    y = a * c + a
    with Tape() as tape:
        pass
    assert tape.gradient(y, [a, a, c, y]) == [7.0, 7.0, 3.0, 1.0]
    assert tape.gradient(c, [a, c]) == [0.0, 1.0]
    assert tape.gradient(y, []) == []


def test_gradients_of_computed_values_stay(row):
    a = Value(2.0)
    b = a * a
    y = b * b
    y.backward()
    assert (a.grad, b.grad, y.grad) == (32.0, 8.0, 1.0)
    with Tape() as tape:
        pass
    assert tape.gradient(b * a, [a, b]) == [12.0, 2.0]
    assert grad(lambda x: x * x)(5.0) == 10.0
    assert (a.grad, b.grad, y.grad) == (32.0, 8.0, 1.0)
    y.backward()
    assert (a.grad, b.grad, y.grad) == (64.0, 8.0, 1.0)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_partial_that_raises_leaves_nothing_behind(row, error):
    def slope(x, y):
        raise error

    failing = row("failing", lambda x: 2 * x, slope)
    a = Value(3.0)
    y = failing(a * a) + a
    with Tape() as tape:
        pass
    with pytest.raises(error):
        tape.gradient(y, a)
    with pytest.raises(error):
        grad(lambda x: failing(x) * x)(2.0)
    assert_sound(here.table)
    assert a.grad == 0.0
    assert grad(lambda x: x**3)(2.0) == 12.0


def test_a_partial_may_ask_for_gradients_itself(row):
    square = row("square", lambda x: x * x, lambda x, y: grad(lambda t: t * t)(x))
    assert grad(lambda x: square(x) * 3.0)(5.0) == 30.0
    a = Value(5.0)
    y = square(a) * a
    y.backward()
    assert a.grad == 75.0
    with Tape() as tape:
        pass
    assert tape.gradient(y, a) == 75.0


def test_a_partial_may_record_more_than_there_is_room_for(row, small_table):
    def slope(x, y):
        kept.extend(Value(1.0) + k for k in range(1000))
        return 2.0

    kept = []
    small_table(8)
    double = row("double", lambda x: 2 * x, slope)
    a = Value(3.0)
    y = double(a * a) + double(a)
    with Tape() as tape:
        pass
    assert tape.gradient(y, a) == 14.0
    y.backward()
    assert a.grad == 14.0
    assert math.isclose(grad(lambda x: double(x) * x)(2.0), 8.0)
