"""The same mapped function called again, with other arrays, numbers and structures."""

import functools
import gc
import sys
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import miniflow.math as m
from miniflow import Value, grad, jit, vmap
from support.batches import (
    KINDS,
    WHOLE,
    XS,
    YS,
    assert_alike,
    assert_close,
    eager,
    reduced,
    scattered,
    settle,
    total,
)

exact = functools.partial(vmap, precise=True)


# --- the same function again --------------------------------------------------


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
@pytest.mark.parametrize("threads", [None, 1])
def test_calls_with_other_kinds_of_arrays_than_before(reduce, threads):
    f = lambda x, y: x * y - m.tanh(x)  # noqa: E731
    g, ys = exact(f, reduce=reduce, threads=threads), scattered(21)[0]
    for kind in ("float64", *KINDS, *reversed(KINDS)):
        xs = KINDS[kind](WHOLE)
        for n in (21, 5, 0):
            expected = reduced(eager(f, map(float, xs[:n]), ys[:n].tolist()), reduce)
            for got in (g(xs[:n], ys[:n]), g(xs[:n], ys[:n])):
                assert type(got) is (np.ndarray if reduce is None else float)
                assert_alike(got, expected)


def test_calls_with_other_kinds_of_numbers_than_before():
    class Float(float):
        pass

    for reduce in (None, "sum", "mean"):
        f = lambda x, a, v: x * a - v[1]  # noqa: E731
        g = exact(f, in_axes=(0, None, None), reduce=reduce)
        for a in (2.5, 2, np.float64(3.0), np.float32(0.1), Fraction(1, 3), Float(7.0), 10**20):
            for kind in ("float64", "float32", "int64", "strided", "big-endian", "objects"):
                v = KINDS[kind](WHOLE[:3])
                expected = reduced([x * float(a) - float(v[1]) for x in XS.tolist()], reduce)
                assert_alike(g(XS, 2.0, WHOLE[:3]), reduced([x * 2 + 6 for x in XS], reduce))
                assert_alike(g(XS, a, v), expected)
        w = Value(2.0)
        ys = np.ravel(g(XS, w, WHOLE[:3]))
        assert_alike([y.data for y in ys], np.ravel(reduced([x * 2 + 6 for x in XS], reduce)))
        ys[-1].backward()
        assert w.grad == {None: 2.0, "sum": 0.0, "mean": 0.0}[reduce]


def test_calls_with_structures_take_turns():
    a, b = np.arange(15.0).reshape(5, 3), np.arange(10.0).reshape(5, 2)
    for reduce in (None, "sum"):
        g = exact(lambda t, k: [t[0] * k, (t[1] - k,)], in_axes=((0, 0), None), reduce=reduce)
        calls = [
            ((XS, YS), 2.0),
            ([XS, YS], 2.0),
            ((a, YS), 2.0),
            ((b, b), 2.0),
            ((XS, YS), np.array([2.0, 2.0])),
            ((XS[::-1], b[:, 1]), 2.0),
        ]
        for t, k in calls * 3:
            (first, second), (left, (right,)) = t, g(t, k)
            stretch = np.ones(2) if isinstance(k, np.ndarray) else 1.0
            for got, plain in ((left, first * 2.0), (right, second - 2.0)):
                plain = plain if isinstance(stretch, float) else plain[:, None] * stretch
                if reduce is None:
                    assert_alike(got, plain)
                else:
                    assert_close(got, plain.sum(axis=0), abs(plain).sum(axis=0))
        assert len(g.caches) == 5


def test_the_first_call_may_have_no_elements():
    g, h = exact(lambda x: x * 2.0), exact(lambda x: x * 2.0 + 1.0, reduce="sum")
    for n in (0, 5, 0, 3):
        assert_alike(g(XS[:n]), XS[:n] * 2.0)
        assert_alike(h(XS[:n]), total([x * 2.0 + 1.0 for x in XS[:n]]))


WRONG_CALLS = {
    "shorter": ((XS, YS[:3], 1.0), {}, ValueError, "batches of 5 and of 3 elements"),
    "longer": ((XS[:0], YS, 1.0), {}, ValueError, "batches of 0 and of 5 elements"),
    "a list": ((XS, [1.0] * 5, 1.0), {}, TypeError, "1.0 has no axis 0"),
    "a number": ((XS, 2.0, 1.0), {}, TypeError, "2.0 has no axis 0"),
    "no dimension": ((XS, np.array(1.0), 1.0), {}, ValueError, "in_axes 0"),
    "strings": ((XS, np.array(["a"] * 5), 1.0), {}, TypeError, "no real numbers"),
    "complex": ((XS * 1j, YS, 1.0), {}, TypeError, "no real numbers"),
    "too few": ((XS, YS), {}, ValueError, "in_axes must be one for each of 2 arg"),
    "too many": ((XS, YS, 1.0, 1.0), {}, ValueError, "in_axes must be one for each of 4 arg"),
    "nothing": ((), {}, ValueError, "in_axes must be one for each of 0 arg"),
    "a keyword": ((XS, YS, 1.0), {"z": XS}, TypeError, "unexpected keyword argument 'z'"),
    "a string": ((XS, YS, "one"), {}, TypeError, "expected a real number, got str 'one'"),
    "nobody": ((XS, YS, None), {}, TypeError, "expected a real number, got NoneType None"),
}


@pytest.mark.parametrize("reduce", [None, "mean"])
def test_wrong_calls_are_refused_as_the_first_would_be(reduce):
    f = lambda x, y, a: x * y - a  # noqa: E731
    g = exact(f, in_axes=(0, 0, None), reduce=reduce)
    expected = reduced((XS * YS - 1.0).tolist(), reduce)
    for args, named, error, message in WRONG_CALLS.values():
        for k in range(2):
            with pytest.raises(error, match=message):
                (g if k else exact(f, in_axes=(0, 0, None), reduce=reduce))(*args, **named)
        assert_alike(g(XS, YS, 1.0), expected)


def test_calls_leave_no_references():
    xs, v = WHOLE.copy(), np.array([1.0, 2.0])
    for reduce in (None, "sum", "mean"):
        g = exact(lambda x, v: [x * v[0], (m.gamma(x), v[1])], in_axes=(0, None), reduce=reduce)
        g(xs, v)
        assert g.ready()
        before = sys.getrefcount(xs), sys.getrefcount(v)
        results = [g(xs, v) for _ in range(100)]
        for wrong in ((xs, v, v), (np.array(["a"]), v), ([xs], v)):
            with pytest.raises((ValueError, TypeError)):
                g(*wrong)
        del wrong
        gc.collect()
        assert (sys.getrefcount(xs), sys.getrefcount(v)) == before
        first, inner = results[-1]
        del results
        assert sys.getrefcount(first) == sys.getrefcount(inner) == 2


@pytest.mark.parametrize("reduce", [None, "sum"])
def test_calls_leave_no_memory(reduce):
    xs, ys = scattered(2000, 2)
    g = exact(lambda x, y: (m.exp(x) * y, np.array([x, y]) if reduce else x), reduce=reduce)
    g(xs, ys)
    settle()
    tracemalloc.start()
    try:
        g(xs, ys)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            g(xs, ys)
            with pytest.raises(ValueError, match="batches"):
                g(xs, ys[:-1])
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


def test_a_row_may_call_another_batch(row):
    inner = exact(lambda x: x * x + 1.0)
    op = row("own", lambda x: float(inner(np.array([float(x), 2.0]))[0]), None)
    g = exact(lambda x: op(x) * 2.0)
    for _ in range(3):
        assert_alike(g(XS), [2.0 * (x * x + 1.0) for x in XS])


def test_plain_calls_inside_of_what_is_recorded():
    g = exact(lambda x, a: x * a, in_axes=(0, None))
    h = exact(lambda x, a: x * a, in_axes=(0, None), reduce="sum")
    for _ in range(2):
        assert_alike(g(YS, 2.0), YS * 2.0)
        assert_alike(h(YS, 2.0), total((YS * 2.0).tolist()))
        assert jit(lambda x: x * g(YS, 2.0)[1] + h(YS, 2.0))(3.0) == 3.0 * YS[1] * 2 + 20.0
        assert grad(lambda x: x * g(YS, 2.0)[1] + x * h(YS, x))(3.0) == YS[1] * 2 + 60.0
        assert_alike(exact(lambda x: x * h(YS, 2.0))(XS), XS * 20.0)
