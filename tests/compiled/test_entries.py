"""A compiled call with Values is one entry on the tape, with the eager gradients."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import (
    Tape,
    Value,
    define,
    grad,
    hessian,
    hvp,
    jacobian,
    jit,
    jvp,
    trace,
    value_and_grad,
    vjp,
)
from miniflow import math as m
from miniflow.ops import TABLE
from support.dual_numbers import assert_close, programs, recorded
from support.jitted import BACKENDS, COMPILED, entries, slopes, smooth
from support.machine_code import bits
from support.random_programs import anything, randoms, total


def test_a_call_with_values_is_one_entry(compiled):
    g = compiled(smooth)
    g(1.0, 1.0)
    for _ in range(6):
        with Tape() as tape:
            a, b = Value(0.5), Value(0.25)
            y = g(a, b)
        assert len(entries(tape)) == 1
        assert y.inputs == (a, b)
        assert bits(y.data) == bits(smooth(0.5, 0.25))
        assert "smooth" in y.op
        y.backward()
        assert bits([a.grad, b.grad]) == bits(slopes(smooth, 0.5, 0.25))


def test_a_tape_that_is_open_does_not_see_what_is_recorded_for_programs(compiled):
    """Neither those of the function nor those of its derivatives."""
    g = compiled(smooth)
    with Tape() as tape:
        a = Value(0.5)
        y = g(a, 0.25)
        tape.gradient(g(a, 2.0), a)
        y.backward()
    assert {name for name in entries(tape) if not name.startswith("jit")} <= {"mul"}
    assert len(entries(tape)) <= 4


def test_one_entry_for_each_output_that_depends_on_a_value(compiled):
    f = lambda x, y: (x * 2, [y * 3, x * y], {"c": 7, "d": "text"}, x, y + 1)  # noqa: E731
    g, a = compiled(f), Value(2.0)
    g(1.0, 1.0)
    for _ in range(6):
        with Tape() as tape:
            found = g(a, 5.0)
        double, [triple, product], rest, same, more = found
        assert len(entries(tape)) == 3
        assert [x.__class__ is Value for x in (double, triple, product, same, more)] == [
            True, False, True, True, False,
        ]  # fmt: skip
        assert bits([triple, more, rest]) == bits([15.0, 6.0, {"c": 7, "d": "text"}])
        assert (double.data, product.data, same.data) == (4.0, 10.0, 2.0)
        a.grad = 0.0
        (double + product * 10 + same).backward()
        assert a.grad == 2 + 50 + 1


@given(anything, anything)
def test_gradients_of_an_entry_are_the_eager_ones(x, y):
    """Bit for bit where no subexpression occurs twice, whatever the numbers are."""
    for backend in BACKENDS:
        g = COMPILED.setdefault((smooth, backend), jit(smooth, backend=backend))
        assert bits(slopes(g, x, y)) == bits(slopes(smooth, x, y))
        assert bits(grad(g, argnums=(0, 1))(x, y)) == bits(grad(smooth, argnums=(0, 1))(x, y))


@given(st.floats(0.25, 4), st.floats(0.25, 4))
def test_a_step_among_others_is_its_whole_derivative(x, y):
    """The adjoint times that, rounded once; an eager sweep rounds on the way."""
    for backend in BACKENDS:
        g = COMPILED.setdefault((smooth, backend), jit(smooth, backend=backend))
        a, b = Value(x), Value(y)
        m.exp(-g(a, b)).backward()
        outer = grad(lambda z: m.exp(-z))(float(smooth(x, y)))
        assert bits([a.grad, b.grad]) == bits([outer * slope for slope in slopes(smooth, x, y)])
        eager = grad(lambda a, b: m.exp(-smooth(a, b)), argnums=(0, 1))(x, y)
        assert [a.grad, b.grad] == pytest.approx([*eager], rel=1e-12, abs=1e-300)


@given(randoms(longest=10, wild=False), st.booleans())
def test_gradients_of_random_programs_through_an_entry(program_and_points, native_):
    """Those of the program that the function becomes, to the last bit."""
    program, points = program_and_points
    g = jit(total(program), backend="native" if native_ else "source")
    everything = tuple(range(program.count))
    for xs in points:
        traced = trace(total(program), *xs)
        expected = grad(traced, argnums=everything)(*xs)
        assert bits(grad(g, argnums=everything)(*xs)) == bits(expected)


@given(programs(25), st.sampled_from(BACKENDS))
def test_gradients_through_an_entry_agree_with_dual_numbers(program, backend):
    g = jit(lambda xs: recorded(program[1], xs)[-1], backend=backend)
    leaves = [Value(x) for x in program[0]]
    y = g(leaves)
    if y.__class__ is Value:
        y.backward()
    assert_close([x.grad for x in leaves], program)
    assert_close(grad(g)(program[0]), program)


def test_compiled_and_eager_code_mix(compiled):
    g = compiled(smooth)

    def mixed(f):
        a, b = Value(0.3), Value(-1.2)
        c = a * b + 1
        y = f(c, m.tanh(a)) * f(b, c) - c
        z = f(y, y)
        z.backward()
        return [z.data, y.data, a.grad, b.grad, c.grad, y.grad]

    assert mixed(g) == pytest.approx(mixed(smooth), rel=1e-13)


def test_the_same_value_twice(compiled):
    g = compiled(lambda x, y: x * y * y)
    a = Value(3.0)
    g(a, a).backward()
    assert a.grad == 27.0
    assert grad(lambda x: g(x, x))(3.0) == 27.0


def test_backward_twice_with_seeds_and_between_calls(compiled):
    g, a = compiled(lambda x: x**3 if x > 0 else -x), Value(2.0)
    y = g(a)
    y.backward()
    y.backward(10.0)
    assert a.grad == 12.0 + 120.0
    z = g(Value(-1.0))
    z.backward()
    y.backward()
    assert a.grad == 12.0 + 120.0 + 12.0
    assert z.inputs[0].grad == -1.0


TRANSFORMS = {
    "grad": lambda f: grad(f, argnums=(0, 1)),
    "value_and_grad": lambda f: value_and_grad(f, argnums=(0, 1)),
    "jacobian": lambda f: jacobian(lambda v: [f(*v), f(v[1], v[0])]),
    "hessian": lambda f: hessian(lambda v: f(*v)),
    "hessian of one": hessian,
    "jvp": lambda f: lambda x, y: jvp(f, (x, y), (0.5, -2.0)),
    "vjp": lambda f: lambda x, y: vjp(f, x, y)[1](3.0),
    "hvp": lambda f: lambda x, y: hvp(f, (x, y), (1.0, 2.0)),
    "third": lambda f: grad(grad(grad(f)), argnums=1),
    "forward over reverse": lambda f: lambda x, y: jvp(grad(f), (x, y), (1.0, 0.5)),
    "reverse over forward": lambda f: grad(lambda x, y: jvp(f, (x, y), (1.0, y))[1]),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_transforms_of_jit_and_jit_of_transforms(transform, compiled):
    def f(x, y):
        return smooth(x, y) if x < 1 else m.log(x) * y**3

    for xs in [(0.7, -0.4), (1.5, 2.25), (-2.0, 0.1)]:
        args = ([*xs],) if transform in (TRANSFORMS["jacobian"], TRANSFORMS["hessian"]) else xs
        expected = transform(f)(*args)
        inside = transform(compiled(f))(*args)
        outside = compiled(transform(f))
        both = compiled(transform(compiled(f)))
        assert flat(inside) == pytest.approx(flat(expected), rel=1e-12, abs=1e-14)
        for _ in range(5):
            assert bits(outside(*args)) == bits(expected)
            assert bits(both(*args)) == bits(expected)


def flat(tree):
    return [x for part in tree for x in flat(part)] if isinstance(tree, (list, tuple)) else [tree]


def test_first_derivatives_agree_to_the_last_bit(compiled):
    for xs in [(0.7, -0.4), (1.5, 2.25)]:
        expected = bits(grad(smooth, argnums=(0, 1))(*xs))
        assert bits(grad(compiled(smooth), argnums=(0, 1))(*xs)) == expected
        assert bits(compiled(grad(smooth, argnums=(0, 1)))(*xs)) == expected


def test_partials_that_branch(compiled):
    """Rules should not, but a row's author may: the right derivative, or a clear error."""
    row = define(
        "kinked_", lambda x: m.where(m.less(0, x), x, 3 * x), lambda x, y: 1.0 if x > 0 else 3.0
    )
    try:
        g = compiled(lambda x: row(x) * x)
        for x in (2.5, -2.5, 1.0, -1.0):
            with contextlib.suppress(TypeError, RuntimeError):
                assert grad(g)(x) == (2 * x if x > 0 else 6 * x)
    finally:
        del TABLE["kinked_"]


def test_derivatives_across_a_branch(compiled):
    g = compiled(lambda x: x**3 if x > 0 else -(x**2))
    points = [2.0, -3.0, 1.0, -1.0, 0.0] * 2
    assert [grad(g)(x) for x in points] == [12.0, 6.0, 3.0, 2.0, 0.0] * 2
    assert [grad(grad(g))(x) for x in points] == [12.0, -2.0, 6.0, -2.0, -2.0] * 2
    assert [grad(grad(grad(g)))(x) for x in points] == [6.0, 0.0, 6.0, 0.0, 0.0] * 2
    assert compiled(grad(grad(g)))(2.0) == 12.0


def test_jit_in_jit_in_grad(compiled):
    inner = compiled(lambda x, y: x * y if x > y else x - y)
    middle = compiled(grad(lambda x, y: inner(x, y) ** 2))
    outer = compiled(lambda x, y: middle(x, y) + inner(y, x))

    def pure(x, y):
        f = lambda x, y: x * y if x > y else x - y  # noqa: E731
        return grad(lambda x, y: f(x, y) ** 2)(x, y) + f(y, x)

    for xs in [(3.0, 2.0), (1.0, 2.0), (-1.0, -1.5)] * 2:
        assert bits(outer(*xs)) == bits(pure(*xs))
        assert grad(outer)(*xs) == grad(pure)(*xs)
    assert inner(3.0, 2.0) == 6.0


def test_recursion(compiled):
    """A compiled function that calls itself, by its name, with Values or numbers."""

    @compiled
    def power(x, n):
        return 1.0 if n < 0.5 else x * power(x, n - 1)

    @compiled
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    for _ in range(3):
        assert [power(3.0, float(k)) for k in range(6)] == [3.0**k for k in range(6)]
        assert fibonacci(10.0) == 55.0
        assert grad(power)(3.0, 4.0) == 108.0
