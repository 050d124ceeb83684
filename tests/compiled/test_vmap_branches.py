"""`vmap` on branches: each element takes its own path."""

import functools
import math
import warnings

import numpy as np
import pytest

import miniflow.math as m
from miniflow import grad, vmap
from miniflow.compiled import paths
from miniflow.compiled.batch_run import BatchRun
from support.batches import SPECIAL, assert_alike, assert_close, eager, scattered

exact = functools.partial(vmap, precise=True)
inf, nan = math.inf, math.nan


# --- branches -----------------------------------------------------------------


def check(f, *columns):
    """A function of numbers, exactly, on batches of several sizes, twice."""
    g = exact(f)
    columns = [*map(list, columns)]
    for n in (len(columns[0]), 5, len(columns[0])):
        part = [x[:n] for x in columns]
        assert_alike(g(*map(np.array, part)), eager(f, *part))
    return g


def test_two_paths():
    xs = scattered(500)[0].tolist()
    for order in (xs, sorted(xs), sorted(xs)[::-1], [-abs(x) for x in xs] + [1.0]):
        check(lambda x: m.exp(-x) if x > 0 else x * x, order)


def test_each_lane_may_leave():
    f = lambda x: m.sqrt(x) if x >= 0 else x - 1.0  # noqa: E731
    g = exact(f)
    for n in (8, 16, 19, 33):
        for k in range(n):
            xs = [float(i) for i in range(n)]
            xs[k] = -1.5
            assert_alike(g(np.array(xs)), eager(f, xs))


@pytest.mark.slow
def test_many_paths_in_one_batch():
    def f(x):
        for k in range(60):
            if x < k:
                return x * k - 1.0
        return x

    xs = [float(k * 37 % 60) - 0.5 for k in range(900)]
    g = check(f, xs)
    (cache,) = g.caches.values()
    assert len(cache.specializations) == 60


def test_elements_that_leave_at_one_guard_go_on_together(monkeypatch):
    """However many elements there are, a path is run once or twice for a batch."""
    f = lambda x: m.sin(x) if x < 1 else (x * x if x < 2 else x - 1.0)  # noqa: E731
    g, rng = exact(f), np.random.default_rng(1)
    xs = rng.uniform(0.0, 3.0, 1000)
    g(xs)
    counts, over = [], BatchRun._over

    def counted(self, path, columns, count, elements):
        counts.append(count)
        return over(self, path, columns, count, elements)

    monkeypatch.setattr(BatchRun, "_over", counted)
    assert_alike(g(xs), eager(f, xs.tolist()))
    assert len(counts) == 3
    assert counts[0] == 1000
    assert min(counts) > 100


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_sums_over_several_paths(reduce):
    f = lambda x, w: w * x if x < 1 else (w / x if x < 2 else w)  # noqa: E731
    xs = np.linspace(0.0, 3.0, 20_001) * np.cos(np.arange(20_001.0)) ** 2
    slopes = [x if x < 1 else 1 / x if x < 2 else 1.0 for x in xs.tolist()]
    g = vmap(f, in_axes=(0, None), reduce=reduce)
    share = 1 if reduce == "sum" else len(xs)
    for threads in (None, 1, 2):
        again = vmap(f, in_axes=(0, None), reduce=reduce, threads=threads)
        assert again(xs, 2.0) == g(xs, 2.0)
    assert_close(g(xs, 2.0), 2.0 * math.fsum(slopes) / share)
    assert_close(grad(lambda w: g(xs, w))(2.0), math.fsum(slopes) / share)


def test_the_first_element_alone_takes_its_path():
    check(lambda x: x * 3.0 if x == 1.0 else m.exp(x), [1.0, *scattered(50)[0].tolist()])


def test_all_elements_leave_the_first_path():
    g = exact(lambda x: x if x > 0 else m.cos(x))
    assert_alike(g(np.array([1.0])), [1.0])
    xs = [-1.0 * k for k in range(100)]
    assert_alike(g(np.array(xs)), [math.cos(x) for x in xs])


def test_guards_of_numbers_that_all_elements_have():
    f = lambda x, a: x * a if a > 0 else x - a if a < -1 else x * x  # noqa: E731
    g, xs = exact(f, in_axes=(0, None)), scattered(50)[0]
    for a in (1.0, -2.0, -0.5, 3.0, nan, 0.0, -2.0):
        assert_alike(g(xs, a), eager(f, xs.tolist(), [a] * 50))


def test_guards_that_mix_both():
    f = lambda x, a: x + a if x > a else x * a  # noqa: E731
    g, xs = exact(f, in_axes=(0, None)), scattered(50)[0]
    for a in (0.0, 1.0, inf, -inf, nan):
        assert_alike(g(xs, a), eager(f, xs.tolist(), [a] * 50))


def test_nan_takes_the_path_that_it_takes():
    f = lambda x: x if x < 1 else -x if x >= 1 else 7.0  # noqa: E731
    check(f, [*SPECIAL, *[nan] * 20, 1.0])


def test_loops_bounded_by_data():
    def halvings(x):
        count = 0.0
        while abs(x) > 1:
            x = x / 2
            count += 1.0
        return x + count

    check(halvings, scattered(300)[0].tolist())


def test_newton_until_it_stands_still():
    def root(x):
        y = x
        for _ in range(50):
            new = (y + x / y) / 2
            if abs(new - y) <= 1e-15 * abs(y):
                break
            y = new
        return y

    check(root, [abs(x) for x in scattered(200)[0].tolist()])


@pytest.fixture
def limit(monkeypatch):
    """A function that sets how many paths a function may have."""
    return lambda n: monkeypatch.setattr(paths, "MOST_PATHS", n)


def stairs(x):
    for k in range(40):
        if x < k:
            return m.exp(x) * k
    return x * 0.5


def test_too_many_paths(limit):
    limit(5)
    xs = [k * 17 % 41 - 0.25 for k in range(200)]
    g = exact(stairs)
    with pytest.warns(RuntimeWarning, match="stairs takes more than 5 paths"):
        assert_alike(g(np.array(xs)), eager(stairs, xs))
    assert_alike(g(np.array(xs)), eager(stairs, xs))  # said once
    (cache,) = g.caches.values()
    assert len(cache.specializations) == 5
    assert_alike(g(np.array([0.75, 35.5])), eager(stairs, [0.75, 35.5]))


def test_too_many_paths_to_add_up(limit):
    limit(3)
    xs = [k * 17 % 41 - 0.25 for k in range(50)]
    with pytest.warns(RuntimeWarning, match="more than 3 paths"):
        total = exact(stairs, reduce="sum")(np.array(xs))
    assert_close(total, math.fsum(eager(stairs, xs)))


def test_too_many_paths_to_differentiate(limit):
    """Elements beyond the limit give their gradients all the same."""
    limit(2)
    g = vmap(lambda x, w: stairs(x) * w, in_axes=(0, None), reduce="sum")
    xs = np.arange(9.0) - 0.5
    with pytest.warns(RuntimeWarning, match="more than 2 paths"):
        slope = grad(lambda w: g(xs, w))(1.0)
    assert_close(slope, math.fsum(eager(stairs, xs.tolist())))


def test_too_many_paths_and_no_elements(limit):
    limit(1)
    g = exact(lambda x: m.exp(x) if x > 5 else m.log(x))
    with pytest.warns(RuntimeWarning, match="more than 1 paths"):
        g(np.array([6.0, 1.0]))
    assert_alike(g(np.zeros(0)), [])


@pytest.mark.parametrize(
    "f", [lambda x: 1 / x if x < 1 else x, lambda x: x**0.5 if x < 1 else x, lambda x: x / 0.0]
)
def test_too_many_paths_change_no_special_case(limit, f):
    """What is computed without a path is IEEE's answer, too."""
    limit(1)
    xs = [2.0, 0.0, -1.0, -0.0, 0.25]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert_alike(exact(f)(np.array(xs)), eager(f, xs))
