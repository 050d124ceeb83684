"""`vmap` together with the rest: other transforms, threads, and no llvmlite."""

import functools
import itertools
import math
import os
import subprocess
import sys
import warnings
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest

import miniflow.math as m
from miniflow import Value, grad, jit, no_grad, vmap
from miniflow.compiled import batch_run, evaluators
from miniflow.native import link, machine, tiers
from support.batches import (
    ROWS,
    SIZES,
    SPECIAL,
    XS,
    YS,
    assert_alike,
    assert_close,
    eager,
    mapped,
    scattered,
    settle,
    specials,
    summand,
    total,
    values,
)
from support.threads import run_all

exact = functools.partial(vmap, precise=True)
inf, nan = math.inf, math.nan


# --- sums ---------------------------------------------------------------------


@pytest.fixture
def no_llvmlite(monkeypatch):
    """As if llvmlite were not installed."""
    settle()
    caches = machine.llvm, machine.available, evaluators._warn_once
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    for f in caches:
        f.cache_clear()
    yield
    for f in caches:
        f.cache_clear()


# --- without llvmlite ---------------------------------------------------------


def test_without_llvmlite_one_warning_says_so(no_llvmlite):
    with pytest.warns(RuntimeWarning, match=r"without llvmlite.*miniflow\[jit\]") as found:
        vmap(abs), vmap(abs)
    assert len(found) == 1


def test_without_llvmlite_answers_are_the_same(no_llvmlite):
    xs, ys = scattered(8195, 2)
    with pytest.warns(RuntimeWarning, match="without llvmlite"):
        g = vmap(summand)
    assert g.backend != "native"
    terms = eager(summand, xs.tolist(), ys.tolist())
    for n in (*SIZES, 8193):
        assert_alike(g(xs[:n], ys[:n]), terms[:n])
    for n in (0, 1, 9, 100, 8195):
        assert_alike(vmap(summand, reduce="sum")(xs[:n], ys[:n]), total(terms[:n]))
        mean = total(terms[:n]) / n if n else nan
        assert_alike(vmap(summand, reduce="mean", threads=2)(xs[:n], ys[:n]), mean)
    f = lambda x, y: m.sqrt(x) / y if x < y else (x**3 if x > 1 else y)  # noqa: E731
    xs, ys = [*np.array([*itertools.product(SPECIAL, repeat=2)]).T]
    assert_alike(vmap(f)(xs, ys), eager(f, xs.tolist(), ys.tolist()))


def test_without_llvmlite_every_row_is_there(no_llvmlite):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for name in ROWS:
            columns = [x[::7] for x in specials(name)]
            assert_alike(mapped(name)(*columns), values(name, columns))


def test_without_llvmlite_derivatives_are_the_same(no_llvmlite):
    w = Value(3.0)
    with pytest.warns(RuntimeWarning, match="without llvmlite"):
        g = vmap(lambda x: w * w * x if x > 0 else w * x, reduce="sum")
    y = g(np.array([1.0, -2.0, 4.0, *[0.5] * 20, *[-0.5] * 20]))
    y.backward()
    assert (y.data, w.grad) == (9 * 15 - 3 * 12, 6 * 15 - 12)


# --- together with the rest ---------------------------------------------------


def test_vmap_inside_jit():
    g = vmap(lambda x, w: m.exp(x * w), in_axes=(0, None), reduce="sum")
    f = jit(lambda xs, w: g(xs, w) * w)
    expected = sum(math.exp(x * 0.5) for x in XS) * 0.5
    assert_close(f(XS, 0.5), expected)
    assert_close(jit(lambda w: g(XS, w) * w)(0.5), expected)
    slope = sum(math.exp(x * 0.5) * (1 + 0.5 * x) for x in XS)
    assert_close([grad(f, 1)(XS, 0.5), jit(grad(f, 1))(XS, 0.5)], [slope, slope])
    assert_alike(jit(vmap(lambda x: x * 2.0))(XS), XS * 2.0)


def test_vmap_inside_grad_inside_vmap():
    g = vmap(lambda x, w: w * w * x, in_axes=(0, None), reduce="sum")
    got = vmap(grad(lambda w: g(YS, w)))(np.array([1.0, 2.0]))
    assert_close(got, [2.0 * YS.sum(), 4.0 * YS.sum()])


def test_vmap_of_vmap():
    a = np.arange(12.0).reshape(4, 3) ** 1.5
    f = lambda x: x * x if x > 3 else -x  # noqa: E731
    expected = np.array([[f(x) for x in row] for row in a])
    assert_alike(exact(exact(f))(a), expected)
    assert_close(exact(exact(f, reduce="sum"))(a), expected.sum(axis=1))
    assert_close(exact(exact(f, reduce="sum"), reduce="mean")(a), expected.sum(axis=1).mean())
    outer = exact(exact(lambda x, y: x - y, in_axes=(0, None)), in_axes=(None, 0))
    assert_alike(outer(XS, YS), XS[None, :] - YS[:, None])


def test_vmap_of_vmap_with_captured_values():
    w = Value(2.0)
    y = vmap(vmap(lambda x: w * w * x, reduce="sum"), reduce="sum")(np.ones((3, 2)))
    y.backward()
    assert (y.data, w.grad) == (24.0, 24.0)


def test_jit_inside_vmap():
    w = Value(2.0)
    inner = jit(lambda y: y * y * w if y > 0 else -y)
    y = vmap(lambda x: inner(x) + x, reduce="sum")(XS)
    y.backward()
    assert (y.data, w.grad) == (2 * 5.0 + 3.0 + 0.0, 5.0)


def test_captured_values_are_read_at_each_call():
    w = Value(2.0)
    f = lambda x: w * x if w > 0 else x - w  # noqa: E731
    g, h = vmap(f), vmap(f, reduce="sum")
    for number_of_w in (2.0, 3.0, -1.0, 2.5, -4.0, nan):
        w.data = number_of_w
        with no_grad():
            expected = [f(x).data for x in XS]
        assert_alike(np.array([y.data for y in g(XS)]), expected)
        assert_alike(h(XS).data, total(expected))


def test_captured_plain_numbers_are_constants():
    """As `jit` documents: plain numbers from elsewhere are taken when a path is recorded."""
    box = [2.0]
    g = vmap(lambda x: x * box[0])
    assert_alike(g(XS), 2.0 * XS)
    box[0] = 3.0
    assert_alike(g(XS), 2.0 * XS)


def test_settings_choose_other_programs():
    def f(x, how, deep=None):
        if how is None:
            return x
        if how is True:
            return -x
        return m.exp(x) if how == "exp" else x * (2.0 if deep is None else 3.0)

    g = exact(f)
    for _ in range(2):
        assert_alike(g(XS, None), XS)
        assert_alike(g(XS, True), -XS)
        assert_alike(g(XS, "exp"), [math.exp(x) for x in XS])
        assert_alike(g(XS, "other"), XS * 2.0)
        assert_alike(g(XS, "other", deep="yes"), XS * 3.0)
    assert len(g.caches) == 5


def test_ints_are_no_settings():
    g = exact(lambda x, n: x * n, in_axes=(0, None))
    for n in (2, 3, np.int8(4), 5.0, Fraction(1, 2)):
        assert_alike(g(XS, n), XS * float(n))
    assert len(g.caches) == 1


def test_it_looks_like_the_function():
    def scaled(x, a):
        """Scale."""
        return x * a

    g = vmap(scaled, in_axes=(0, None))
    assert (g.__name__, g.__doc__, g.__wrapped__) == ("scaled", "Scale.", scaled)
    assert repr(g) == "<vmap of scaled>"


def test_a_method():
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        @vmap
        def run(self, x):
            return x * self.factor

    for _ in range(2):
        assert_alike(Scale(3.0).run(XS), 3.0 * XS)
        assert_alike(Scale(4.0).run(XS), 4.0 * XS)


# --- threads ------------------------------------------------------------------


def crooked(x):
    for k in range(-3, 4):
        if x < k:
            return m.exp(x) * k
    return m.sqrt(x)


def test_threads_call_the_same_function(hasty):
    """From the first call on, while paths are found and code is exchanged."""
    g, h = exact(crooked), exact(crooked, reduce="sum", threads=2)

    def job(seed):
        xs = scattered(9000, seed=seed)[0]
        expected = eager(crooked, xs.tolist())
        for n in (9000, 100, 1, 9000):
            assert_alike(g(xs[:n]), expected[:n])
            assert_close(h(xs[:n]), math.fsum(expected[:n]), sum(map(abs, expected[:n])))

    run_all([functools.partial(job, seed) for seed in range(4)])
    for f in (g, h):
        (cache,) = f.caches.values()
        assert len(cache.specializations) == 8


def test_threads_feed_the_same_leaf(hasty):
    w = Value(3.0)
    g = vmap(lambda x: w * w * x if x > 1 else w * x, reduce="sum")

    def job(k):
        for _ in range(5):
            g(np.array([1.0, 2.0, k])).backward()

    run_all([functools.partial(job, float(k)) for k in range(2, 6)])
    assert w.grad == 5 * sum(1 + 6 * (2 + k) for k in range(2, 6))


@pytest.mark.slow
def test_code_is_exchanged_in_the_middle_of_large_batches():
    def f(x, y):
        for _ in range(150):
            x, y = x * 0.75 - y * 1.5, m.tanh(x) + y * 0.5
        return x * y

    g = exact(f, threads=2)
    xs, ys = scattered(30000, 2)
    expected = g(xs, ys)
    some = slice(0, 30000, 997)
    assert_alike(expected[some], eager(f, xs[some].tolist(), ys[some].tolist()))

    def job():
        while not g.ready(0):
            assert_alike(g(xs, ys), expected)
        assert_alike(g(xs, ys), expected)

    run_all([job, job])
    assert g.ready(0)


def test_a_job_that_fails_leaves_the_first_tier(monkeypatch):
    jobs = []
    monkeypatch.setattr(tiers.worker, "put", jobs.append)
    g = exact(m.exp)
    expected = g(XS)
    monkeypatch.setattr(link.Library, "__init__", mock.Mock(side_effect=MemoryError("no room")))
    with pytest.warns((RuntimeWarning, UserWarning), match="optimised code.*no room"):
        jobs[0]()
    assert g.ready(0)
    assert_alike(g(XS), expected)


@pytest.mark.parametrize(("said", "taken"), [(3, 3), (None, 1)])
def test_threads_are_as_many_as_python_says(said, taken, monkeypatch):
    """From Python 3.13 on: it knows of the user's ``-X cpu_count`` as well."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: said, raising=False)
    assert batch_run.BatchOptions(False, False, None).workers(1 << 40) == taken


def test_threads_are_as_many_as_this_process_may_use_processors():
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from miniflow.compiled.batch_run import BatchOptions
print(BatchOptions(False, False, None).workers(1 << 40), BatchOptions(False, False, 3).workers(1))
"""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this platform binds no process to a processor")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "3"]


# --- backends -----------------------------------------------------------------


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_every_backend_has_the_same_answers(reduce):
    xs, ys = scattered(700, 2)
    f = lambda x, y: m.sqrt(x) / y if x < y else max(x, 0) * y + summand(x, y)  # noqa: E731
    expected = vmap(f, reduce=reduce, precise=True)(xs, ys)
    slopes = vmap(grad(f), reduce=reduce, precise=True)(xs, ys)
    for backend in ("auto", "native", "tape", "source"):
        how = {"reduce": reduce, "precise": True, "backend": backend}
        g = vmap(f, **how)
        assert g.ready()
        for _ in range(3):
            assert_alike(g(xs, ys), expected)
        assert_alike(vmap(grad(f), **how)(xs, ys), slopes)
        y = vmap(lambda x, w: f(x, w), (0, None), **how)(xs, Value(0.5))
        assert np.size(y) == (1 if reduce else 700)


def test_refused_backends():
    for wrong in ("x", "", "Native", None, 1):
        with pytest.raises(ValueError, match="vmap: backend must be one of auto, native"):
            vmap(abs, backend=wrong)


def test_without_llvmlite_the_native_backend_is_refused(no_llvmlite):
    with pytest.raises(ImportError, match=r"vmap: backend 'native' needs llvmlite"):
        vmap(abs, backend="native")
    assert_alike(vmap(abs, backend="tape")(np.array([-1.0])), [1.0])
