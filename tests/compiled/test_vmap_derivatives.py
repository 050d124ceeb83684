"""Derivatives of mapped functions and of sums over a batch."""

import functools
import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as m
from miniflow import Value, grad, hessian, hvp, jvp, no_grad, value_and_grad, vmap
from support.batches import XS, assert_alike, assert_close, number, scattered
from support.profiles import examples

exact = functools.partial(vmap, precise=True)
few, some = examples(12), examples(33)


# --- derivatives of elements --------------------------------------------------

SMOOTH = {
    "polynomial": lambda x, y: x**3 * y - y * y,
    "functions": lambda x, y: m.exp(x * 0.1) * m.sin(y) + m.tanh(x * y),
    "branches": lambda x, y: x * x * y if x > y else m.cos(x) - y**3,
    "kinks": lambda x, y: m.maximum(x, y) * abs(x) + m.relu(y - 1.0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_of_elements(name):
    f, (xs, ys) = SMOOTH[name], [x.clip(-4, 4) for x in scattered(100, 2)]
    points = [*zip(xs.tolist(), ys.tolist(), strict=True)]
    assert_alike(exact(grad(f))(xs, ys), [grad(f)(*p) for p in points])
    assert_alike(exact(grad(f, 1))(xs, ys), [grad(f, 1)(*p) for p in points])
    got = exact(value_and_grad(f, (0, 1)))(xs, ys)
    expected = [value_and_grad(f, (0, 1))(*p) for p in points]
    assert_alike(got[0], [y for y, _ in expected])
    assert_alike(np.array(got[1]).T, [slopes for _, slopes in expected])
    got = exact(hessian(f, (0, 1)))(xs, ys)
    expected = [hessian(f, (0, 1))(*p) for p in points]
    assert_alike(np.moveaxis(np.array(got), 2, 0), expected)
    got = exact(grad(grad(f), 1))(xs, ys)
    assert_alike(got, [grad(grad(f), 1)(*p) for p in points])


def test_derivatives_of_elements_that_are_arrays():
    f = lambda v, w: m.tanh(m.dot(v, w)) + v[0] ** 2  # noqa: E731
    a, b = np.random.default_rng(0).normal(size=(2, 30, 3))
    got = exact(grad(f, (0, 1)))(a, b)
    expected = [grad(f, (0, 1))(v, w) for v, w in zip(a, b, strict=True)]
    for k in (0, 1):
        assert_alike(got[k], [x[k] for x in expected])
    got = exact(hessian(f), in_axes=(0, None))(a, b[0])
    assert_alike(got, [hessian(f)(v, b[0]) for v in a])


def test_sums_of_derivatives():
    f, (xs, ys) = SMOOTH["branches"], [x.clip(-4, 4) for x in scattered(1000, 2)]
    got = exact(value_and_grad(f, (0, 1)), reduce="sum")(xs, ys)
    points = [*zip(xs.tolist(), ys.tolist(), strict=True)]
    found = [value_and_grad(f, (0, 1))(*p) for p in points]
    sizes = [[abs(y), abs(a), abs(b)] for y, (a, b) in found]
    expected = [[y, a, b] for y, (a, b) in found]
    assert_close([got[0], *got[1]], np.sum(expected, axis=0), np.sum(sizes, axis=0))


# --- derivatives of sums ------------------------------------------------------

MODELS = {
    "line": lambda x, p: p[0] * x + p[1],
    "net": lambda x, p: m.tanh(p[0] * x + p[1]) * p[2] + m.sigmoid(p[2] * x),
    "branches": lambda x, p: p[0] * x if x > p[1] else p[0] ** 2 * x - p[2] * p[1],
    "paths that need others": lambda x, p: p[0] * x if x > 0 else p[1] * x * p[2],
    "kinks": lambda x, p: m.maximum(p[0] * x, p[1]) + abs(p[2] - x),
    "constant": lambda x, p: x * 2.0,
}
ordinary = st.floats(-3, 3).map(lambda x: round(x, 3))


@functools.cache
def model(name, reduce, precise=True):
    return vmap(MODELS[name], (0, None), reduce, precise=precise)


def looped(name, reduce, xs):
    """The function of the parameters that vmap's stands for."""

    def f(p):
        found = m.sum([MODELS[name](x, p) for x in xs])
        return found if reduce == "sum" else found / len(xs)

    return f


def sized(name, reduce, xs, derivative, p):
    """The sum of the sizes of what derivatives of a sum are made of."""
    every = [abs(np.array(derivative(lambda p, x=x: MODELS[name](x, p))(p))) for x in xs]
    return sum(every) / (1 if reduce == "sum" else len(xs)) + 1e-12


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("name", MODELS)
@few
@given(xs=st.lists(ordinary, min_size=1, max_size=25), p=st.lists(ordinary, min_size=3, max_size=3))
def test_derivatives_of_sums(name, reduce, xs, p):
    f = lambda p: model(name, reduce)(np.array(xs), p)  # noqa: E731
    expected = looped(name, reduce, xs)
    p = np.array(p)
    sizes = sized(name, reduce, xs, grad, p)
    y, slopes = value_and_grad(f)(p)
    assert_close(y, expected(p), sum(abs(MODELS[name](x, p)) for x in xs) + 1e-12)
    assert_close(slopes, grad(expected)(p), sizes)
    assert_close(grad(f)([*p.tolist()]), grad(expected)(p), sizes)
    fast = grad(lambda p: model(name, reduce, False)(np.array(xs), p))(p)
    assert_close(fast, grad(expected)(p), sizes + len(xs))  # 1 - tanh**2 cancels
    direction = np.array([1.0, -0.5, 2.0])
    tangent = jvp(f, (p,), (direction,))[1]
    assert_close(tangent, jvp(expected, (p,), (direction,))[1], 4 * sum(sizes))


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("n", [1, 25])
def test_second_derivatives_of_sums(name, reduce, n):
    xs = [x.item() for x in scattered(n)[0].clip(-3, 3)]
    p = np.array([0.7, -0.4, 1.3])
    f = lambda p: model(name, reduce)(np.array(xs), p)  # noqa: E731
    expected = looped(name, reduce, xs)
    sizes = sized(name, reduce, xs, hessian, p)
    assert_close(hessian(f)(p), hessian(expected)(p), sizes)
    direction = np.array([1.0, -0.5, 2.0])
    assert_close(
        hvp(f, (p,), (direction,)), hvp(expected, (p,), (direction,)), sizes @ abs(direction)
    )
    third = grad(lambda p: m.sum(hvp(f, (p,), (direction,)).tolist()))(p)
    judge = grad(lambda p: m.sum(hvp(expected, (p,), (direction,)).tolist()))(p)
    assert_close(third, judge, abs(np.array(judge)) + np.sum(sizes) + 1)


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_backward_reaches_captured_values(reduce):
    w, b = Value(0.7), Value(-0.3)
    g = vmap(lambda x: m.tanh(w * x + b) * b, reduce=reduce)
    xs = scattered(1000)[0]
    for k in range(1, 3):
        y = g(xs)
        assert isinstance(y, Value)
        y.backward()
        expected = looped_captured(xs, reduce)
        assert_close(y.data, expected.data, 1000.0)
        assert_close([w.grad, b.grad], [k * slope for slope in expected.slopes], [1000.0 * k] * 2)


class Expected(NamedTuple):
    data: float
    slopes: list


def looped_captured(xs, reduce):
    w, b = Value(0.7), Value(-0.3)
    y = m.sum([m.tanh(w * x + b) * b for x in xs.tolist()])
    y = y if reduce == "sum" else y / len(xs)
    y.backward()
    return Expected(y.data, [w.grad, b.grad])


@pytest.mark.parametrize("order", [(1.0, -2.0, 3.0), (-2.0, 1.0, 3.0)])
@pytest.mark.parametrize("times", [1, 30])
def test_paths_that_capture_different_values(order, times):
    a, b, c = Value(2.0), Value(5.0), Value(7.0)
    f = lambda x: a * x if x > 0 else b * x * x * c  # noqa: E731
    y = vmap(f, reduce="sum")(np.array(order * times))
    y.backward()
    assert y.data == times * (2 * 4 + 35 * 4)
    assert [v.grad for v in (a, b, c)] == [times * 4.0, times * 28.0, times * 20.0]


def test_paths_that_capture_in_another_order():
    a, b = Value(2.0), Value(5.0)
    y = vmap(lambda x: a * x + b if x > 0 else b * x - a, reduce="sum")(np.array([1.0, -2.0, 3.0]))
    y.backward()
    assert (y.data, a.grad, b.grad) == (2 * 4 + 10 - 10 - 2, 3.0, 0.0)


def test_the_first_element_may_be_on_another_path_than_the_first_ever():
    g = vmap(lambda x, w: w * x if x > 0 else w * x * x, in_axes=(0, None), reduce="sum")
    assert g(np.array([1.0]), 3.0) == 3.0
    assert grad(lambda w: g(np.array([-1.0, 2.0]), w))(3.0) == 3.0
    assert grad(lambda w: g(np.array([-1.0, -2.0]), w))(3.0) == 5.0
    assert grad(grad(lambda w: g(np.array([-1.0, 2.0]), w) * w))(3.0) == 6.0


def test_parameters_of_all_kinds_together():
    w, u = Value(2.0), Value(0.5)
    f = lambda x, p: p["a"] * x * w + p["b"][0] * p["b"][1] * u + p["c"][1] * x  # noqa: E731
    g = vmap(f, in_axes=(0, None), reduce="sum")
    p = {"a": w, "b": (u, 3.0), "c": np.array([1.0, Value(4.0)], dtype=object)}
    y = g(XS, p)
    y.backward()
    expected = sum(4.0 * x + 0.75 + 4.0 * x for x in XS)
    assert (y.data, w.grad, u.grad) == (expected, 4.0 * XS.sum(), 15.0)
    assert p["c"][1].grad == XS.sum()


def test_computed_values_are_parameters_too():
    w = Value(0.5)
    scale = m.exp(w)
    y = vmap(lambda x, s: s * x * scale, in_axes=(0, None), reduce="mean")(XS + 3.0, scale)
    y.backward()
    assert_close([y.data, w.grad], [3 * math.e, 6 * math.e])


def test_structures_of_sums_are_differentiated():
    w = Value(3.0)
    g = vmap(lambda x: {"a": w * x, "v": np.array([w * w, x]), "s": "text"}, reduce="sum")
    y = g(XS + 3.0)
    assert y["s"] == "text"
    assert y["v"].shape == (2,)
    assert number(y["v"][1]) == 15.0
    (y["a"] * y["v"][0]).backward()
    assert (y["a"].data, y["v"][0].data) == (45.0, 45.0)
    assert w.grad == 45.0 * 15.0 + 45.0 * 30.0


def test_elements_with_captured_values():
    """Without `reduce` each element is an entry on the tape."""
    w = Value(3.0)
    ys = vmap(lambda x: (w * w * x, x) if x > 0 else (w * x, x))(XS)
    assert ys[0].shape == (5,)
    assert [y.data for y in ys[0]] == [-6.0, -3.0, 0.0, 9.0, 18.0]
    assert_alike(np.array([number(x) for x in ys[1]]), XS)
    (ys[0][0] * ys[0][4]).backward()
    assert w.grad == -2.0 * 18.0 + -6.0 * 12.0


def test_batches_of_values():
    xs = np.array([Value(x) for x in XS])
    ys = vmap(lambda x, a: a * x * x if x > 0 else x, in_axes=(0, None))(xs, 3.0)
    assert ys.dtype == object
    assert [y.data for y in ys] == [-2.0, -1.0, 0.0, 3.0, 12.0]
    sum(ys).backward()
    assert [x.grad for x in xs] == [1.0, 1.0, 1.0, 6.0, 12.0]


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_sums_over_batches_of_values(reduce):
    xs = np.array([[Value(x), Value(2.0 * x)] for x in XS])
    y = vmap(lambda v: v[0] * v[1] * v[1], reduce=reduce)(xs)
    y.backward()
    share = 1 if reduce == "sum" else 5
    assert y.data == sum(4 * x**3 for x in XS) / share
    assert_close([v.grad for v in xs.ravel()], [s / share for x in XS for s in (4 * x * x,) * 2])


def test_batches_of_values_and_numbers_together():
    xs = np.array([Value(1.0), 2, Fraction(1, 2), Value(4.0)], dtype=object)
    w = Value(3.0)
    y = vmap(lambda x, y, k: x * y * k * w, in_axes=(0, 0, None), reduce="sum")(
        xs, np.arange(4.0), w
    )
    y.backward()
    assert (y.data, w.grad) == (9 * 15.0, 6 * 15.0)
    assert [xs[0].grad, xs[3].grad] == [0.0, 27.0]


def test_grad_of_a_batch():
    g = vmap(lambda x, a: m.sin(x) * a, in_axes=(0, None), reduce="sum")
    got = grad(lambda xs: g(xs, 2.0))(XS)
    assert_alike(got, [2.0 * math.cos(x) for x in XS])
    rows = hessian(lambda xs: g(xs, 2.0))(XS)
    assert_close(rows, np.diag([-2.0 * math.sin(x) for x in XS]))


def test_arrays_may_change_before_backward():
    xs, u, w = np.ones(9), np.ones(2), Value(3.0)
    y = vmap(lambda x, u: w * w * x * u[0], in_axes=(0, None), reduce="sum")(xs, u)
    xs[:], u[:] = 100.0, 50.0
    y.backward()
    assert (y.data, w.grad) == (81.0, 54.0)
    with pytest.raises(AssertionError):  # the next call sees the change
        assert vmap(lambda x: w * x, reduce="sum")(xs).data == 27.0


def test_forward_and_backward_again():
    w = Value(3.0)
    y = vmap(lambda x: w * w * x, reduce="mean")(np.array([1.0, 2.0, 3.0]))
    z = y * 2.0
    z.backward()
    assert (z.data, w.grad) == (36.0, 24.0)
    w.data, w.grad = 5.0, 0.0
    z.forward()
    assert (y.data, z.data) == (50.0, 100.0)
    z.backward()
    assert w.grad == 40.0


def test_forward_may_take_another_path():
    w = Value(2.0)
    y = vmap(lambda x: w * w * x if w > 3 else w * x, reduce="sum")(np.array([1.0, 2.0]))
    w.data = 4.0
    y.forward()
    assert y.data == 48.0
    y.backward()
    assert w.grad == 24.0


def test_forward_tells_where_a_path_needs_other_values():
    w, u = Value(2.0), Value(7.0)
    y = vmap(lambda x: u * x if w > 3 else w * x, reduce="sum")(np.array([1.0, 2.0]))
    w.data = 4.0
    with pytest.raises(RuntimeError, match=r"another path now, with Values.*call it again"):
        y.forward()


def test_no_grad():
    w, xs = Value(3.0), np.array([1.0, 2.0])
    for reduce in (None, "sum", "mean"):
        with no_grad():
            y = vmap(lambda x: w * x, reduce=reduce)(xs)
        assert_close(
            [number(v) for v in np.ravel(y)], {None: [3, 6], "sum": [9], "mean": [4.5]}[reduce]
        )
        v = y[0] if reduce is None else y
        (v * w).backward()
        assert w.grad == number(v)
        w.grad = 0.0


def test_no_elements():
    w, none = Value(3.0), np.zeros(0)
    assert_alike(vmap(lambda x: x * 2.0)(none), [])
    assert vmap(lambda x: x * 2.0, reduce="sum")(none) == 0.0
    assert math.isnan(vmap(lambda x: x * 2.0, reduce="mean")(none))
    assert vmap(lambda v: v * 2.0)(np.zeros((0, 3))).shape == (0, 3)
    y = vmap(lambda x: w * x, reduce="sum")(none)
    y.backward()
    assert (number(y), w.grad) == (0.0, 0.0)
    assert vmap(lambda x: x * 2.0, reduce="sum")(np.zeros(0, dtype=object)) == 0.0


def test_no_elements_and_captured_values():
    w, none = Value(3.0), np.zeros(0)
    assert math.isnan(number(vmap(lambda x: w * x, reduce="mean")(none)))
    assert len(vmap(lambda x: w * x)(none)) == 0


def test_no_elements_have_derivatives_of_0():
    g = vmap(lambda x, w: w * w * x, in_axes=(0, None), reduce="sum")
    assert grad(lambda w: g(np.zeros(0), w))(3.0) == 0.0
    assert hessian(lambda w: g(np.zeros(0), w))(3.0) == 0.0
