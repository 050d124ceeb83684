"""Random expression graphs against dual numbers that know nothing of miniflow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow
from miniflow import Tape, Value
from support.dual_numbers import assert_close, close, dual, numbers, primals, programs, recorded


@given(programs())
def test_values_are_those_of_the_plain_program(program):
    leaves, steps = program
    nodes = recorded(steps, map(Value, leaves))
    assert [float(x.data) for x in nodes] == pytest.approx(primals(program), rel=1e-11, abs=1e-11)


@given(programs())
def test_backward_agrees_with_dual_numbers(program):
    leaves = [Value(x) for x in program[0]]
    y = recorded(program[1], leaves)[-1]
    y.backward()
    once = [x.grad for x in leaves]
    assert_close(once, program)
    y.backward()
    assert [x.grad for x in leaves] == [2 * g for g in once]


@given(programs(), st.data())
def test_backward_gives_every_intermediate_its_derivative(program, data):
    nodes = recorded(program[1], [Value(x) for x in program[0]])
    nodes[-1].backward()
    # where() may have handed on an operand: then one Value is two nodes
    alone = [k for k, x in enumerate(nodes) if sum(x is other for other in nodes) == 1]
    if alone:
        k = data.draw(st.sampled_from(alone))
        expected, scale = dual(program, k)
        assert close(nodes[k].grad, expected, scale)


@given(programs(), numbers)
def test_a_seed_scales_every_gradient(program, seed):
    leaves = [Value(x) for x in program[0]]
    recorded(program[1], leaves)[-1].backward(seed)
    for k, x in enumerate(leaves):
        expected, scale = dual(program, k)
        assert close(x.grad, seed * expected, abs(seed) * scale)


@given(programs())
def test_grad_agrees_with_dual_numbers(program):
    f = lambda xs: recorded(program[1], xs)[-1]  # noqa: E731
    y, gradient = miniflow.value_and_grad(f)(program[0])
    assert y == pytest.approx(primals(program)[-1], rel=1e-11, abs=1e-11)
    assert_close(gradient, program)
    assert miniflow.grad(f)(program[0]) == gradient


@given(programs())
def test_tape_gradient_agrees_with_dual_numbers(program):
    with Tape() as tape:
        leaves = [Value(x) for x in program[0]]
        y = recorded(program[1], leaves)[-1]
        inside = tape.gradient(y, leaves)
    outside = tape.gradient(y, leaves)
    assert_close(outside, program)
    assert_close([x.data if x.__class__ is Value else x for x in inside], program)
    assert [x.grad for x in leaves] == [0.0] * len(leaves)


@given(programs(), st.lists(numbers, min_size=4, max_size=4))
def test_jvp_agrees_with_dual_numbers(program, directions):
    leaves, steps = program
    tangents = directions[: len(leaves)]
    _, dy = miniflow.jvp(lambda *xs: recorded(steps, xs)[-1], leaves, tangents)
    duals = [dual(program, k) for k in range(len(leaves))]
    expected = sum(t * d for t, (d, _) in zip(tangents, duals, strict=True))
    scale = sum(abs(t) * size for t, (_, size) in zip(tangents, duals, strict=True))
    assert close(dy, expected, scale)


@given(programs(), numbers)
def test_vjp_agrees_with_dual_numbers(program, cotangent):
    leaves, steps = program
    _, pullback = miniflow.vjp(lambda *xs: recorded(steps, xs)[-1], *leaves)
    for k, x in enumerate(pullback(cotangent)):
        expected, scale = dual(program, k)
        assert close(x, cotangent * expected, abs(cotangent) * scale)


@given(programs(), st.data())
def test_vjp_of_many_outputs_sums_over_them(program, data):
    leaves, steps = program
    count = len(leaves) + len(steps)
    chosen = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=3))

    def f(*xs):
        nodes = recorded(steps, xs)
        return [nodes[k] for k in chosen]

    _, pullback = miniflow.vjp(f, *leaves)
    parts = [(leaves, steps[: k - len(leaves) + 1]) for k in chosen]
    for j, x in enumerate(pullback([2.0] * len(chosen))):
        # a leaf that is an output itself: its derivative by itself
        duals = [
            dual(part, j) if k >= len(leaves) else (float(j == k), 1.0)
            for k, part in zip(chosen, parts, strict=True)
        ]
        assert close(x, 2 * sum(d for d, _ in duals), 2 * sum(size for _, size in duals))


@given(programs(20), st.data())
def test_forward_replays_as_if_recorded_anew(program, data):
    leaves = [Value(x) for x in program[0]]
    y = recorded(program[1], leaves)[-1]
    moved = [x + data.draw(st.floats(-1e-3, 1e-3)) for x in program[0]]
    for x, number in zip(leaves, moved, strict=True):
        x.data = number
    anew = recorded(program[1], [Value(x) for x in moved])[-1]
    assert y.forward().data == pytest.approx(anew.data, rel=0, abs=0, nan_ok=True)


@given(programs(20))
def test_second_derivatives_agree_between_the_modes(program):
    f = lambda xs: recorded(program[1], xs)[-1]  # noqa: E731
    leaves = program[0]
    rows = miniflow.hessian(f)(leaves)
    scale = 1 + max(abs(h) for row in rows for h in row)
    for k in range(len(leaves)):
        unit = [float(j == k) for j in range(len(leaves))]
        product = miniflow.hvp(f, (leaves,), (unit,))
        assert product == pytest.approx([row[k] for row in rows], rel=1e-9, abs=1e-9 * scale)
        assert rows[k] == pytest.approx([row[k] for row in rows], rel=1e-9, abs=1e-9 * scale)
