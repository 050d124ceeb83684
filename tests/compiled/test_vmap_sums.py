"""Sums over a batch: their order, and what is on other paths."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as m
from miniflow import vmap
from miniflow.compiled import batch_run
from miniflow.native import batch as loops
from miniflow.native import tiers
from support.batches import (
    LARGE,
    SIZES,
    assert_alike,
    assert_close,
    eager,
    numbers,
    scattered,
    summand,
    total,
)
from support.profiles import examples

exact = functools.partial(vmap, precise=True)
few, some = examples(12), examples(33)
inf, nan = math.inf, math.nan


# --- sums ---------------------------------------------------------------------

SUMS = [*SIZES, *LARGE, 20003]


def test_the_order_of_addition_matters():
    xs, ys = [x.tolist() for x in scattered(20003, 2)]
    terms = eager(summand, xs, ys)
    orders = [total(terms), sum(terms), total(terms[:8192]) + total(terms[8191:]), sum(terms[::-1])]
    assert len(set(orders)) == 4


@pytest.mark.parametrize(
    ("tier", "threads"), [("first", None), ("second", None), ("second", 1), ("second", 2)]
)
def test_sums_are_added_in_the_documented_order(tier, threads, monkeypatch):
    if tier == "first":
        monkeypatch.setattr(tiers.worker, "put", lambda job: None)
    g, mean = [exact(summand, reduce=how, threads=threads) for how in ("sum", "mean")]
    xs, ys = scattered(20003, 2)
    g(xs, ys), mean(xs, ys)
    assert g.ready(None if tier == "second" else 0) == (tier == "second")
    assert mean.ready(None if tier == "second" else 0) == (tier == "second")
    terms = eager(summand, xs.tolist(), ys.tolist())
    for n in SUMS:
        expected = total(terms[:n])
        assert_alike(g(xs[:n], ys[:n]), expected)
        assert type(g(xs[:n], ys[:n])) is float
        assert_alike(mean(xs[:n], ys[:n]), expected / n if n else nan)


def test_sums_of_strided_and_uniform_numbers():
    xs, ys = scattered(9001, 2)
    g = exact(summand, in_axes=(0, None), reduce="sum")
    assert_alike(g(xs[::-1], 1.5), total(eager(summand, xs[::-1].tolist(), [1.5] * 9001)))
    pairs = np.stack([xs, ys], axis=1)
    g = exact(lambda v: summand(*v), reduce="sum")
    assert_alike(g(pairs), total(eager(summand, xs.tolist(), ys.tolist())))


@pytest.mark.parametrize("branching", [False, True])
@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, lambda rows: rows[::-1, ::-1]])
def test_more_columns_than_a_kernel_gathers(form, branching):
    """Numbers of an element that stand together are moved to where lanes stand together."""

    def f(w, row, y):
        found = y
        for a, x in zip(w, row, strict=True):
            found = found * 0.5 + a * x
        return found - y if branching and found > y else found * y

    size = loops.SCATTERED + 3
    w = scattered(size, 1, 1)[0]
    ys, *columns = scattered(40, size + 1)
    rows = form(np.stack(columns, axis=1))
    one_by_one, summed = (
        exact(f, in_axes=(None, 0, 0)),
        exact(f, in_axes=(None, 0, 0), reduce="sum"),
    )
    for n in (1, 7, 8, 15, 16, 17, 33, 40):
        each = zip(rows[:n].tolist(), ys[:n].tolist(), strict=True)
        expected = [f(w.tolist(), row, y) for row, y in each]
        assert_alike(one_by_one(w, rows[:n], ys[:n]), expected)
        got = summed(w, rows[:n], ys[:n])
        assert_close(got, sum(expected), sum(map(abs, expected)))


def test_elements_of_no_numbers():
    assert_alike(
        vmap(lambda row, y: y * 2 + len(row))(np.empty((5, 0)), np.arange(5.0)), [0, 2, 4, 6, 8]
    )


def test_sums_of_structures():
    f = lambda x, y: {"a": x, "v": np.array([[x * y], [y]]), "c": 0.1}  # noqa: E731
    xs, ys = scattered(8199, 2)
    got = exact(f, reduce="sum")(xs, ys)
    products = [x * y for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
    assert_alike(got["a"], total(xs.tolist()))
    assert_alike(got["v"], [[total(products)], [total(ys.tolist())]])
    assert_alike(got["c"], total([0.1] * 8199))


@pytest.mark.parametrize("g", [lambda x: x * 0.5, lambda x: 0.25])
def test_elements_are_added_in_their_order_whatever_paths_they_take(g):
    """Also once guards have become choices."""
    f = lambda x: x * 0.1 if x < 1e9 else g(x)  # noqa: E731
    xs, function = scattered(20003)[0], exact(f, reduce="sum")
    for k in (1, 5000, 20002):
        moved = xs.copy()
        moved[[k, 7]] = 1e11 / 3
        for _ in range(3):
            assert_alike(function(moved), total(eager(f, moved.tolist())))


@some
@given(st.lists(st.tuples(numbers, numbers), max_size=40))
def test_sums_of_special_numbers(points):
    """Infinities, NaN and overflow are silent, on one path and on several."""
    f = lambda x, y: x * y if x < y else x - y  # noqa: E731
    xs, ys = [np.array([p[k] for p in points]) for k in (0, 1)]
    for reduce in ("sum", "mean"):
        got = branching(reduce)(xs, ys)
        terms = eager(f, xs.tolist(), ys.tolist())
        assert type(got) is float
        finite = [y for y in terms if math.isfinite(y)]
        if not terms:
            assert_alike(got, 0.0 if reduce == "sum" else nan)
        elif any(y != y for y in terms) or {inf, -inf} <= set(terms):
            assert math.isnan(got)
        elif len(finite) < len(terms):
            assert not math.isfinite(got)
        elif sum(map(abs, terms)) < inf:
            share = 1 if reduce == "sum" else len(terms)
            sizes = sum(map(abs, terms)) / share
            assert abs(got - math.fsum(terms) / share) <= 1e-12 * sizes + 1e-323


@functools.cache
def branching(reduce):
    return exact(lambda x, y: x * y if x < y else x - y, reduce=reduce)


@pytest.mark.parametrize("reduce", [None, "sum"])
@pytest.mark.parametrize("f", [summand, lambda x, y: m.gamma(x) if x < y else m.tanh(x) * y])
def test_threads_change_nothing(f, reduce, monkeypatch):
    monkeypatch.setattr(batch_run, "SPREAD", 1)  # threads=None takes all processors
    xs, ys = scattered(20003, 2)
    found = [exact(f, reduce=reduce, threads=n)(xs, ys) for n in (1, 2, 3, None)]
    for other in found[1:]:
        assert_alike(other, found[0])
    fast = [vmap(f, reduce=reduce, threads=n)(xs, ys) for n in (1, 2, 3, None)]
    for other in fast[1:]:
        assert_alike(other, fast[0])
