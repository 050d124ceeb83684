"""`jit` beyond the limit of paths: eager calls, on the tape, that cost little more."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as m
from miniflow import Value, grad, jit, no_grad, value_and_grad, vmap
from miniflow.compiled import paths
from miniflow.compiled.beyond import Trials
from miniflow.util.trees import flatten
from support.jitted import FUNCTIONS, eager, plain
from support.machine_code import bits
from support.random_programs import anything

pytestmark = pytest.mark.filterwarnings("ignore:.*takes more than:RuntimeWarning")


@pytest.fixture(autouse=True)
def two_paths(monkeypatch):
    monkeypatch.setattr(paths, "MOST_PATHS", 2)


def stairs(x):
    for k in range(30):
        if x < k:
            return m.exp(x) * k + 1 / (x - 2)
    return x**0.5


FULL = {f: jit(f, backend="source") for f in FUNCTIONS}
POINTS = [0.5, 7.5, 3.5, 20.5, 9.5, 0.25, 11.5, 20.25]


@pytest.mark.parametrize("f", FUNCTIONS)
@given(st.lists(st.tuples(anything, anything), min_size=1, max_size=9))
def test_answers_are_the_eager_ones(f, points):
    for x, y in points:
        assert bits(FULL[f](x, y)) == bits(eager(f, x, y)), (x, y)


@pytest.mark.parametrize("transform", [grad, value_and_grad, lambda f: grad(grad(f))])
def test_gradients_are_the_eager_ones(compiled, transform):
    g, expected = compiled(transform(stairs)), transform(stairs)
    for x in POINTS * 3:
        assert bits(g(x)) == bits(expected(x))


def test_structures(compiled):
    def f(p, scale):
        total = stairs(p["a"][0]) * scale
        return {"total": total, "count": 3, "parts": (p["b"] * total, True)}

    g = compiled(f)
    for x in POINTS * 2:
        p = {"a": [x], "b": np.float64(2.0)}
        found, expected = g(p, 2), plain(f({"a": [Value(x)], "b": Value(2.0)}, Value(2.0))["total"])
        assert bits(found["total"]) == bits(expected)
        assert (found["count"], type(found["count"])) == (3, int)
        assert bits(found["parts"][0]) == bits(2.0 * expected)


def test_lists_and_tuples(compiled):
    g = compiled(lambda xs, w: [stairs(xs[0]) * w, xs[1]])
    for x in POINTS * 3:
        for xs in ([x, 1.0], (x, 1.0)):
            assert bits(g(xs, 2.0)) == bits([eager(stairs, x) * 2.0, 1.0])


def deep(x, levels):
    """A number in so many lists."""
    return x if levels == 0 else [deep(x, levels - 1)]


@pytest.mark.parametrize("levels", [0, 1, 7, 8, 9, 20])
def test_lists_in_lists_as_deep_as_one_likes(compiled, levels):
    g = compiled(lambda xs: (stairs(xs[0]), deep(xs[1], levels), [1.5, (stairs(xs[0]),)]))
    for x in POINTS * 3:
        y = eager(stairs, x)
        assert bits(g([x, 2.5])) == bits((y, deep(2.5, levels), [1.5, (y,)]))


def test_the_value_and_the_gradient_by_a_list(compiled):
    f = value_and_grad(lambda xs, w: sum(stairs(x) * w for x in xs))
    g = compiled(f)
    for x in POINTS * 3:
        assert bits(g([x, 1.0, 2.5 * x], 2.0)) == bits(f([x, 1.0, 2.5 * x], 2.0))
    w, numbers = Value(2.0), [Value(1.5), 2.5]
    for inner in (f, g):
        value, slopes = inner(numbers, w)
        (value + slopes[1]).backward()
        assert slopes[0].data == f([1.5, 2.5], 2.0)[1][0]
    assert w.grad == 2 * (eager(stairs, 1.5) + eager(stairs, 2.5) + 0.5 * f([1.5, 2.5], 2.0)[1][1])


SHAPES = {
    "alone": lambda y, w: w,
    "list": lambda y, w: [y, w],
    "dict": lambda y, w: {"y": y, "w": w},
    "nested": lambda y, w: (y, {"w": [w]}),
    "lists in lists": lambda y, w: (y, [y, (y, [w])]),
    "deep": lambda y, w: [y, deep(w, 12)],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_from_outside_comes_out_as_it_is(compiled, shape):
    w = Value(3.0)
    g = compiled(lambda x: SHAPES[shape](stairs(x), w))
    for x in POINTS * 3:
        *_, found = flatten(g(x))
        w.grad = 0.0
        found.backward()
        assert w.grad == 1.0


def test_nothing_is_recorded_for_nobody(compiled):
    calls = []

    def f(x):
        calls.append(x.__class__)
        return stairs(x)

    g = compiled(f)
    for x in POINTS:
        g(x)
    (cache,) = g.caches.values()
    before = len(calls), cache.specializations.copy()
    for x in POINTS:
        g(x)
    assert len(calls) - before[0] <= len(POINTS)
    assert cache.specializations == before[1]
    assert set(calls) == {Value}


def test_values_from_outside_get_their_gradients(compiled):
    """Also where only a path beyond the limit uses them."""
    w = Value(3.0)
    g = compiled(lambda x: stairs(x) * w if x > 8 else stairs(x))
    for x in POINTS * 2:
        w.grad = 0.0
        y = g(x)
        if x > 8:
            y.backward()
            assert w.grad == eager(stairs, x)
        else:
            assert type(y) is float


def test_values_go_in_and_come_out(compiled):
    g = compiled(stairs)
    for x in POINTS * 2:
        v, expected = Value(x), Value(x)
        g(v).backward()
        stairs(expected).backward()
        assert v.grad == pytest.approx(expected.grad, rel=1e-14)
        with no_grad():
            y = g(v)
        assert y.data == eager(stairs, x)


def test_inside_a_trace_and_a_gradient(compiled):
    g = compiled(stairs)
    for x in POINTS:
        g(x)
    for x in POINTS:
        assert grad(g)(x) == pytest.approx(grad(stairs)(x), rel=1e-14)
        assert bits(jit(lambda x: g(x) * 2)(x)) == bits(eager(stairs, x) * 2)


def test_entries_go_forward_beyond_the_limit(compiled):
    g, x = compiled(stairs), Value(0.5)
    y = g(x)
    for number in (*POINTS, 25.5):
        x.data, x.grad = number, 0.0
        y.forward()
        y.backward()
        assert bits(y.data) == bits(eager(stairs, number))
        assert x.grad == pytest.approx(grad(stairs)(number), rel=1e-14)


def test_elements_of_a_batch_that_use_other_values():
    w = Value(3.0)
    g = vmap(lambda x: stairs(x) * w if x > 18 else stairs(x), reduce="sum")
    g(np.array([0.5, 3.5])), g(np.array([5.5]))
    total = g(np.array([0.5, 3.5, 20.5, 5.5]))
    total.backward()
    assert w.grad == pytest.approx(eager(stairs, 20.5))


def test_other_structures_stay_compiled(compiled):
    g = compiled(lambda *xs: stairs(xs[0]) if len(xs) == 1 else xs[0] * xs[1])
    for x in POINTS:
        g(x)
    for _ in range(5):
        assert g(2.0, 3.0) == 6.0
    one, two = g.caches.values()
    assert one.trials is not None
    assert two.trials is None


def test_a_trial_is_paid_for():
    trials = Trials()
    trials.was_eager(1.0)
    trials.miss(10.0)
    assert trials.wait == 200
    trials.wait = 0
    for _ in range(3):
        trials.hit(0.1)
    assert trials.wait == 0
    trials.miss(10.0)
    assert 100 < trials.wait < 200
    trials.wait = 0
    trials.hit(1e9)
    assert trials.wait > 1_000


# --- what users are told ------------------------------------------------------


def test_many_paths_name_the_comparison(monkeypatch):
    monkeypatch.setattr(paths, "MOST_PATHS", 100)
    g = jit(stairs, backend="source")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for k in range(25):
            g(k + 0.5)
    (warning,) = caught
    line = stairs.__code__.co_firstlineno + 2
    assert f"{__file__}:{line}" in str(warning.message)
    assert "math.where" in str(warning.message)
    assert "more than 16 paths" in str(warning.message)
    assert warning.filename == __file__
