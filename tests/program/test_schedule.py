"""Schedules: what is computed once, what for each element, and what is computed in step."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import math as m
from miniflow import trace
from miniflow.program.ir import PathError
from miniflow.program.program import Program
from support.bits import bits
from support.random_functions import functions, points


@given(functions(), st.data())
def test_what_is_computed_once_and_what_for_each_element_make_the_whole(f, data):
    from miniflow.program.schedule import hoisted

    xs, ys = data.draw(points(f)), data.draw(points(f))
    varies = data.draw(st.lists(st.booleans(), min_size=f.count, max_size=f.count))
    ys = [y if new else x for x, y, new in zip(xs, ys, varies, strict=True)]
    first, second = map(Program.of, hoisted(trace(f, *xs), varies))
    once = first(xs)
    assert bits(second([*xs, *once])) == bits(f(*xs))
    if f.decisions(xs) == f.decisions(ys):
        assert bits(second([*ys, *once])) == bits(f(*ys))
    else:
        with pytest.raises(PathError):
            second([*ys, *once])
    assert first.guards == ()
    if not any(varies):
        assert len(second) == 0
    if all(varies):
        assert len(first) == 0


@given(functions(), st.data())
def test_what_is_demanded_comes_once_and_after_its_operands(f, data):
    from miniflow.program.schedule import demanded

    program = trace(f, *data.draw(points(f)))
    known = set(range(program.first))
    for (slot,) in demanded(program, program.outputs):
        assert slot not in known
        assert known.issuperset(program.instructions[slot - program.first].operands)
        known.add(slot)
    assert known.issuperset(program.outputs)


def test_what_is_needed_last_is_computed_last():
    from miniflow.program.schedule import demanded

    program = trace(lambda x: ((a := x + 1.0, b := x + 2.0), [a * 3.0, b * 3.0])[1], 0.5)
    a, b, c, d = range(program.first, program.first + 4)
    assert [*demanded(program, program.outputs)] == [(a,), (c,), (b,), (d,)]
    assert [*demanded(program, program.outputs, {a: (a, b), b: (a, b)})] == [(a, b), (c,), (d,)]


def steps_of(program):
    return list(enumerate(program.instructions, program.first))


def topological(steps, first):
    """Whether operands come before results."""
    places = {slot: k for k, (slot, _) in enumerate(steps)}
    return all(
        x < first or places[x] < k for k, (_, step) in enumerate(steps) for x in step.operands
    )


@given(functions(longest=20), st.integers(1, 6), st.data())
def test_steps_done_in_step_are_the_same_and_in_order(f, copies, data):
    from miniflow.program.schedule import paired

    # stretches that are alike: the function again and again, on one operand that all share
    xs = data.draw(points(f))
    program = trace(lambda *xs: [f(x * k, *xs[1:]) for k, x in enumerate([xs[0]] * copies)], *xs)
    steps = steps_of(program)
    found = paired(steps)
    assert sorted(found) == sorted(steps)
    assert topological(found, program.first)


def test_sums_with_factors_in_common_are_computed_in_step():
    from miniflow.program.schedule import paired

    def sums(xs, us):
        return [sum((u * x for u, x in zip(row, xs, strict=True)), 1.0) for row in us]

    xs, us = [0.5, 0.25, 2.0, 4.0], [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
    program = trace(sums, xs, us)
    names = [step.op.name for _, step in paired(steps_of(program))]
    assert names == ["mul", "mul", "add", "add"] * 4
    factors = [step.operands[1] for _, step in paired(steps_of(program)) if step.op.name == "mul"]
    assert factors[::2] == factors[1::2] == [0, 1, 2, 3]
    # the second one's first factor is the first one's sum: nothing can be done
    program = trace(lambda xs, us: (s := sums(xs, us[:1])[0], sums([s, *xs[1:]], us[1:])), xs, us)
    assert paired(steps_of(program)) == steps_of(program)


def test_a_step_of_many_operands_is_compared_once():
    from miniflow.program.schedule import SHORTEST, _distances

    def chain(xs, k):
        return functools.reduce(lambda y, _: m.sin(y), range(SHORTEST), m.dot(xs, [k] * len(xs)))

    program = trace(lambda xs: [chain(xs, 1.0), chain(xs, 2.0)], [0.25, 0.5, 2.0])
    assert _distances(steps_of(program))[0] == [SHORTEST + 1]
