"""`jit` on branches: any path, in any order, gives the eager answer.

Terms: see `support.jitted`.
"""

import math
import random
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, grad, jit
from miniflow.compiled import paths
from support.jitted import (
    BACKENDS,
    COMPILED,
    FUNCTIONS,
    again,
    bisected,
    eager,
    halving,
    nested,
    newton,
    plain,
    slopes,
)
from support.machine_code import bits
from support.random_programs import anything

# --- branches -----------------------------------------------------------------

pairs = st.tuples(anything, anything) | anything.map(lambda x: (x, x))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("f", FUNCTIONS)
@given(st.lists(pairs, min_size=1, max_size=12))
def test_any_path_in_any_order_is_the_eager_one(f, backend, points):
    for x, y in points:
        assert bits(COMPILED[f, backend](x, y)) == bits(eager(f, x, y)), (x, y)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_paths_while_the_second_tier_comes_in(f):
    """The background swaps code in at any moment; no call ever sees a wrong branch."""
    g, rng = jit(f, backend="native"), random.Random(f.__name__)
    numbers = [0.0, -0.0, 1.0, 2.0, 0.5, -3.0, 1e-3, 40.0, -1e9, math.inf, math.nan]
    points = [(rng.choice(numbers), rng.choice(numbers)) for _ in range(60)]
    points += [(rng.gauss(0, 3), rng.gauss(0, 3)) for _ in range(60)]
    expected = [(xs, bits(eager(f, *xs))) for xs in points]
    for _ in range(20):
        for xs, wanted in rng.sample(expected, len(expected)):
            assert bits(g(*xs)) == wanted, xs
    assert g.ready(60)
    for xs, wanted in expected:
        assert bits(g(*xs)) == wanted, xs


@pytest.mark.parametrize("f", [nested, halving, newton, bisected, again])
@pytest.mark.parametrize("backend", BACKENDS)
@given(st.lists(pairs, min_size=1, max_size=4))
def test_gradients_on_any_path_are_the_eager_ones(backend, f, points):
    """The derivative of each path is recorded like the path itself."""
    g, slope = COMPILED[f, backend], grad(f, argnums=(0, 1))
    compiled_slope = COMPILED.setdefault((slope, f, backend), jit(slope, backend=backend))
    for x, y in points:
        expected = bits(slope(x, y))
        assert bits(compiled_slope(x, y)) == expected
        assert close(grad(g, argnums=(0, 1))(x, y), slope(x, y))


def close(found, expected):
    """Equal up to rounding: equal subexpressions are computed, and swept, once."""
    for a, b in zip(found, expected, strict=True):
        # what is infinite halfway may cancel in another order
        if math.isfinite(a) and math.isfinite(b) and abs(a - b) > 1e-9 * (1 + abs(b)):
            return False
    return True


def test_only_paths_that_are_met_are_recorded(compiled):
    """Of 2**30 ways through a function, those that calls take."""
    recorded = []

    def f(x):
        recorded.append(1)
        y = x
        for k in range(30):
            y = y + k if y > k * 0.7 else y * 0.5
        return y

    g = compiled(f)
    points = [-1.0, 0.5, 3.0, 11.5]
    for _ in range(5):
        for x in points:
            assert bits(g(x)) == bits(eager(f, x))
    assert len(recorded) <= 5 * 4 + 4  # the eager calls, and once for each path
    del recorded[:]
    for x in (-1.1, 0.5, 3.0, 11.5):
        g(x)
    assert recorded == []


def test_guards_that_are_met_twice_cost_no_path(compiled):
    recorded = []

    def f(x, y):
        recorded.append(1)
        return again(x, y)

    g = compiled(f)
    for x, y in [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (math.nan, 1.0)] * 3:
        assert bits(g(x, y)) == bits(again(x, y))
    assert len(recorded) == 2


@pytest.fixture
def few_paths(monkeypatch):
    monkeypatch.setattr(paths, "MOST_PATHS", 4)


def stairs(x):
    for k in range(30):
        if x < k:
            return x * k + 1 / (x - 2)
    return x**0.5


def test_too_many_paths_warn_once_and_run_eagerly(compiled, few_paths):
    g = compiled(stairs)
    points = [0.5, 7.5, 3.5, 20.5, 9.5, 0.25, 11.5, 20.25]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            for x in points:
                assert bits(g(x)) == bits(eager(stairs, x))
    assert [x.category for x in caught] == [RuntimeWarning]
    assert "paths" in str(caught[0].message)
    assert "stairs" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_eager_calls_beyond_the_limit_answer_as_compiled_ones(compiled, few_paths):
    """Also where Python's own numbers would raise, be ints, or be complex."""
    g = compiled(stairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in (
            20.5,
            10.5,
            11.5,
            12.5,
            2.0,
            2,
            -8.0,
            29.5,
            30.0,
            Fraction(29, 2),
            np.float64(5.5),
        ):
            assert bits(g(x)) == bits(eager(stairs, float(x))), x
        assert bits(g(-8.0)) == bits(eager(stairs, -8.0))
        assert g(math.nan) != g(math.nan)


def test_values_beyond_the_limit(compiled, few_paths):
    w = Value(3.0)
    g = compiled(lambda x: stairs(x) * w)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in (0.5, 10.5, 11.5, 12.5, 13.5, 25.5):
            w.grad = 0.0
            v = Value(x)
            y = g(v)
            y.backward()
            assert bits(y.data) == bits(eager(stairs, x) * 3.0)
            assert w.grad == eager(stairs, x)
            assert v.grad == pytest.approx(3.0 * slopes(stairs, x)[0], rel=1e-15)
            assert bits(plain(g(x))) == bits(y.data)


def test_a_million_random_calls_would_be_these(compiled):
    """A sample of them: every call of a branching function gives the eager answer."""

    def f(x, y):
        z = x * y
        if z > 0.3:
            z = z - x if x > y else z + y
        while z > 1:
            z = z * 0.5
        return z if y > 0 else (x if x > 0.5 else -z)

    g, rng = compiled(f), random.Random(1)
    points = [(rng.gauss(0, 1), rng.gauss(0, 1)) for _ in range(20_000)]
    assert [g(*xs) for xs in points] == [f(*xs) for xs in points]
