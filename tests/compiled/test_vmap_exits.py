"""Batches whose elements leave a path with an answer: guards become choices, bit for bit."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as m
from miniflow import Value, grad, vmap
from miniflow.compiled.exits import exits_of
from support.batches import assert_alike, assert_close, eager, scattered, total

exact = functools.partial(vmap, precise=True)
special = st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0, 3.0, math.inf, -math.inf, math.nan])


def knocked_out(x, y):
    for step in (0.5, 1.0, 1.5, 2.0):
        x = x * step + y
        if x > 3.0:
            return 0.0
    return m.exp(-x) * y


def rebates(x, y):
    """Another answer at each guard, of every kind of comparison."""
    if x < y:
        return 1.0
    if not x <= 2.0 * y:
        return -0.0
    if x == 1.0:
        return 2.0
    if y != 2.0:
        return x * y
    return math.inf if x * x >= 4.0 else x


def some_answers(x, y):
    """Guards with answers before and after others."""
    if x > 2.0:
        return 0.0
    x = x * y if y > 0.5 else x - y
    if x > 1.0:
        return 5.0
    if x < -1.0:
        return m.sin(x)
    return 7.0 if y < -1.0 else x


FUNCTIONS = [knocked_out, rebates, some_answers]


def merged(g):
    """How many guards are choices, on all paths."""
    (cache,) = g.caches.values()
    return sum(exits.merged for path in cache.specializations for exits in path.exits.values())


@pytest.mark.parametrize("f", FUNCTIONS)
@given(points=st.lists(st.tuples(special, special), min_size=1, max_size=12))
def test_answers_are_those_of_one_element(f, points):
    xs, ys = np.array(points * 3).T
    expected = eager(f, xs.tolist(), ys.tolist())
    g, summed = exact(f), exact(f, reduce="sum")
    for _ in range(4):
        assert_alike(g(xs, ys), expected)
        assert_alike(summed(xs, ys), total(expected))


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("threads", [1, 2])
def test_many_elements_again_and_again(f, threads):
    xs, ys = scattered(20_000, 2)
    expected = eager(f, xs.tolist(), ys.tolist())
    g = exact(f, threads=threads)
    for k in (0, 1, 5000, 0, 0):
        assert_alike(g(xs[k:], ys[k:]), expected[k:])
    assert merged(g) > 0 or f is rebates  # there most elements have an answer at once


def test_all_guards_of_a_path_can_be_choices():
    xs, ys = scattered(5000, 2)
    g = vmap(knocked_out)
    for _ in range(4):
        g(xs, ys)
    (cache,) = g.caches.values()
    assert exits_of(cache.widest, (), merging=True).guards == []


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_bits_do_not_depend_on_earlier_batches(reduce):
    """Though functions on registers may have others than those of single numbers."""
    xs, ys = scattered(3000, 2)
    expected = vmap(some_answers, reduce=reduce)(xs, ys)
    g = vmap(some_answers, reduce=reduce)
    for k in (7, 1000, 0, 2999, 0, 0):
        found = g(xs[k:], ys[k:])
        assert k or np.array_equal(found, expected, equal_nan=True)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_gradients_by_what_all_elements_share(f):
    """By an argument, by a captured Value, and of each element."""
    xs, ys = np.random.default_rng(0).normal(size=(2, 400))
    slopes = [grad(lambda w, x=x, y=y: f(w * x, y))(0.75) for x, y in zip(xs, ys, strict=True)]
    each = exact(grad(lambda w, x, y: f(w * x, y)), (None, 0, 0))
    outside, found = Value(0.75), []
    shared = exact(lambda w, x, y: f(w * x, y), (None, 0, 0), "sum")
    captured = exact(lambda x, y: f(outside * x, y), reduce="sum")
    for _ in range(4):
        assert_alike(each(0.75, xs, ys), slopes)
        w, outside.grad = Value(0.75), None
        shared(w, xs, ys).backward()
        captured(xs, ys).backward()
        found += [w.grad, outside.grad]
    assert_close(found, [total(slopes)] * 8, [sum(map(abs, slopes))] * 8)


def test_an_answer_of_another_structure_is_refused():
    g = vmap(lambda x: 0.0 if x > 1.0 else [x])
    for _ in range(3):
        with pytest.raises(TypeError, match="return one structure for all"):
            g(np.array([0.0, 2.0, 0.5]))


def test_no_numbers_at_all():
    g = vmap(lambda x: ("text",) if x > 1.0 or x < 0.5 else ("text",), reduce="sum")  # noqa: RUF034
    for n in (1, 9, 20):
        assert g(np.linspace(0.0, 2.0, n)) == ("text",)
