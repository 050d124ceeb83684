"""Selecting is not multiplying: what an operation has not selected gets nothing, in every mode."""

import math as std

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, grad, hessian, hvp, jit, jvp, root, vjp, vmap
from miniflow import math as m
from support.bits import bits
from support.modes import MODES

inf, nan = std.inf, std.nan

# A function, a point at which 0 times infinity is near, and the derivative there.
CASES = {
    "sqrt of relu": (lambda x: m.sqrt(m.relu(x)), -1.0, 0.0),
    "log of where": (lambda x: m.log(m.where(m.less(0, x), x, 0)), -1.0, 0.0),
    "sqrt of maximum": (lambda x: m.sqrt(m.maximum(x, 0)), -1.0, 0.0),
    "sqrt of max": (lambda x: m.sqrt(max(x, 0.0)), -1.0, 0.0),
    "sqrt of np.maximum": (lambda x: m.sqrt(np.maximum(x, 0.0)), -1.0, 0.0),
    "sqrt of np.clip": (lambda x: m.sqrt(np.clip(x, 0.0, 1.0)), -1.0, 0.0),
    "sqrt of the largest of three": (lambda x: m.sqrt(m.maximum(x, 0.0, x - 1)), -1.0, 0.0),
    "sqrt of minimum": (lambda x: m.sqrt(-m.minimum(x, 0)), 1.0, 0.0),
    "sqrt of abs": (lambda x: m.sqrt(abs(x)), 0.0, 0.0),
    "log of step": (lambda x: m.log(m.step(x)), -1.0, 0.0),
    "where it is not log": (lambda x: m.where(m.less(0, x), m.log(x), 3 * x), 0.0, 3.0),
    "where it is not sqrt": (lambda x: m.where(m.less(0, x), m.sqrt(x) * x, 2 * x), 0.0, 2.0),
    "the smaller one is log": (lambda x: m.maximum(m.log(x), -5.0), 0.0, 0.0),
    "the smaller one is log, by max": (lambda x: max(m.log(x), -5.0), 0.0, 0.0),
    "relu of log": (lambda x: m.relu(m.log(x)), 0.0, 0.0),
    "a product that is not chosen": (lambda x: m.where(m.less(x, 9), x, inf * x), 2.0, 1.0),
    "to the power of 0": (lambda x: m.sqrt(x**0 - 1), 2.0, 0.0),
    "two choices": (lambda x: m.where(m.less(0, m.relu(x)), m.log(x), x), 0.0, 1.0),
    # a nan that is part of the answer shows
    "0 times log": (lambda x: x * m.log(x), 0.0, nan),
    "sqrt of a square": (lambda x: m.sqrt(x * x), 0.0, nan),
}
EVERY_MODE = [name for name in MODES if name != "trace"] + ["trace"]


@pytest.mark.parametrize("mode", EVERY_MODE)
@pytest.mark.parametrize("case", CASES)
def test_what_is_not_selected_gets_nothing(case, mode):
    f, x, slope = CASES[case]
    found = MODES[mode](grad(f), x)
    assert bits([found]) == bits([slope])


@pytest.mark.parametrize("case", CASES)
def test_by_every_road(case):
    f, x, slope = CASES[case]
    v = Value(x)
    y = f(v)
    if isinstance(y, Value) and y.op != "constant":
        y.backward()
    w = Value(x)
    with Tape() as tape:
        z = f(w)
    found = [v.grad, vjp(f, x)[1](1.0)[0], jvp(f, (x,), (1.0,))[1]]
    found.append(tape.gradient(z, w) if isinstance(z, Value) else 0.0)
    assert bits(found) == bits([slope] * len(found))


@pytest.mark.parametrize("case", [name for name in CASES if not std.isnan(CASES[name][2])])
@pytest.mark.parametrize("mode", EVERY_MODE)
def test_nor_at_second_order(case, mode):
    """All of these are flat or straight lines where they are looked at."""
    f, x, _ = CASES[case]
    assert bits([MODES[mode](grad(grad(f)), x)]) == bits([0.0])
    assert hvp(f, (x,), (1.0,)) == 0.0 == hessian(f)(x)


POLES = [m.log, m.sqrt, lambda x: 1 / x, lambda x: x**-0.5, lambda x: m.log(x * x) * x, m.lgamma]


@given(
    st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0, inf, -inf, nan]),
    st.sampled_from(range(len(POLES))),
    st.booleans(),
    st.sampled_from(["eager", "recorded", "replayed"]),
)
def test_a_choice_has_the_derivatives_of_what_is_chosen(x, k, chosen, mode):
    def branches(x):
        return POLES[k](x), 2 * x * x

    def f(x):
        left, right = branches(x)
        return m.where(1.0 if chosen else 0.0, left, right) + 0 * right

    def by_value(x, c):
        left, right = branches(x)
        return m.where(c, left, right) + 0 * right

    c = 1.0 if chosen else 0.0
    for order in (grad, lambda g: grad(grad(g))):
        assert bits([MODES[mode](order(by_value), x, c)]) == bits([order(f)(x)])


def test_an_exponent_that_is_a_value_keeps_its_mixed_derivatives():
    assert hessian(lambda a, b: a**b, (0, 1))(1.0, 0.0) == ((0.0, 1.0), (1.0, 0.0))


def test_a_factor_that_is_zero_keeps_its_mixed_derivatives():
    assert hessian(m.leaky_relu, (0, 1))(-2.0, 0.0) == ((0.0, 1.0), (1.0, 0.0))
    assert hessian(m.elu, (0, 1))(-1.0, 0.0)[0][1] == pytest.approx(std.exp(-1.0))


# --- through what is one entry --------------------------------------------------

INNER = {
    "relu": m.relu,
    "where": lambda x: m.where(m.less(0, x), x, 0 * x + 1),
    "max": lambda x: m.maximum(x, x * 0 + 1, 0.5),
    "a branch": lambda x: x if x > 0 else 0.0,
    "take": lambda x: m.take([m.relu(x), x], 0),
    "interp": lambda x: m.interp(x, [0.0, 9.0], [0.0, 9.0]),
    "a slope of 0": lambda x: x * x,  # it is reached
    "cancelling": lambda x: x - x,
}


def by_batch(f, reduce):
    """The sum or mean of two equal elements, as f itself."""
    several = vmap(lambda z, x: f(x) * z, in_axes=(0, None), reduce=reduce)
    return lambda x: several(np.array([0.25, 0.75]), x) * (2.0 if reduce == "mean" else 1.0)


def by_tape(f):
    """The derivative of an integral of f, roughly: a recorded sweep."""

    def g(x):
        with Tape() as tape:
            s = Value(1.0)
            y = s * f(x)
            return tape.gradient(y, s)

    return g


ENTRIES = {
    "jit": jit,
    "source": lambda f: jit(f, backend="source"),
    "jit in jit": lambda f: jit(jit(f)),
    "captured": lambda f: lambda x: jit(lambda: f(x))(),
    "root": lambda f: lambda x: root(lambda y, x: y - f(x), 0.5, x),
    "root, captured": lambda f: lambda x: root(lambda y: y - f(x), 0.5),
    "sum": lambda f: by_batch(f, "sum"),
    "mean": lambda f: by_batch(f, "mean"),
    "vmap": lambda f: lambda x: vmap(f)(np.array([x, 1.0], dtype=object))[0],
    "grad": lambda f: lambda x: grad(lambda s: s * f(x))(1.0),
    "Tape": by_tape,
}
OUTER = [m.sqrt, m.log]
ORDERS = [grad, lambda f: grad(grad(f)), lambda f: grad(lambda x: f(x) + x)]


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("inner", INNER)
def test_an_entry_selects_as_the_function_does(name, inner):
    """By every road, to second order: the function itself is the judge."""
    f = INNER[inner]
    entry = ENTRIES[name](f)
    for outer in OUTER:
        direct = lambda x, outer=outer: outer(f(x))  # noqa: E731
        g = lambda x, outer=outer: outer(entry(x))  # noqa: E731
        for x in (-1.0, 0.0, 4.0):
            for order in ORDERS:
                expected = order(direct)(x)
                assert order(g)(x) == pytest.approx(expected, rel=1e-14, nan_ok=True)
            v = Value(x)
            (g(v) + 2 * v).backward()
            assert v.grad == pytest.approx(grad(direct)(x) + 2, rel=1e-14, nan_ok=True)
            found = jvp(g, (x,), (1.0,))[1]
            assert found == pytest.approx(grad(direct)(x), rel=1e-14, nan_ok=True)


@pytest.mark.parametrize("name", ["jit", "source", "jit in jit", "sum", "mean"])
def test_an_entry_s_partials_of_zero_have_derivatives(name):
    """A factor that is 0 is reached: the other one's derivative depends on it."""
    a = Value(2.0)
    f = ENTRIES[name](lambda b: a * b * b)
    assert (grad(f)(0.0), grad(grad(f))(0.0)) == (0.0, 4.0)
    y = grad(grad(f))(Value(0.0))
    y.backward()
    assert a.grad == 2.0


def test_an_entry_of_many_numbers_reaches_what_it_depends_on():
    """Each output depends on some of them."""
    f = jit(lambda a, b, c: [a * 1.0, m.relu(b) * c])
    a, b, c = Value(0.0), Value(-1.0), Value(0.0)
    first, second = f(a, b, c)
    (m.sqrt(first) + m.sqrt(second)).backward()
    assert bits([a.grad, b.grad, c.grad]) == bits([inf, 0.0, nan])
