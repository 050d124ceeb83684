"""Selecting is not multiplying: what an operation has not selected gets nothing, in every mode."""

import math as std

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, grad, hessian, hvp, jvp, vjp
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
