"""`vmap` of random programs."""

import functools
import operator
import warnings
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as m
from miniflow import grad, vmap
from miniflow.native import kernel
from miniflow.ops import TABLE
from support.batches import (
    ROWS,
    arity,
    assert_alike,
    assert_close,
    eager,
    numbers,
    reduced,
    rows,
    scattered,
)
from support.profiles import examples
from support.strategies import either, node, points, recent, several

exact = functools.partial(vmap, precise=True)
few, some = examples(12), examples(33)


# --- random programs ----------------------------------------------------------

RELATIONS = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "truth": lambda a, b: bool(a),
}


class Step(NamedTuple):
    """A row, or a branch, of some nodes (by their numbers) and literals."""

    name: str
    operands: tuple


@st.composite
def programs(draw, longest=16, branches=4):
    """The number of inputs, and steps."""
    inputs = draw(st.integers(1, 3))
    names = draw(st.lists(st.sampled_from(ROWS), min_size=1, max_size=longest))
    names += draw(st.lists(st.sampled_from([*RELATIONS]), max_size=branches))
    names = draw(st.permutations(names))
    steps = []
    for count, name in enumerate(names, inputs):
        nodes = either(recent(count, 4), node(count))
        size = 4 if name in RELATIONS else arity(name)
        others = several(either(nodes, numbers), size - 1)
        steps.append(Step(name, (draw(nodes), *draw(others))))
    return inputs, steps


def computed(steps, xs):
    """All nodes of a program."""
    nodes = list(xs)
    for name, operands in steps:
        a, *others = [nodes[x] if isinstance(x, int) else x for x in operands]
        if name in RELATIONS:
            b, c, d = others
            nodes.append(c * a if RELATIONS[name](a, b) else m.tanh(d) - b)
        else:
            nodes.append(TABLE[name](a, *others))
    return nodes


@st.composite
def batches(draw, inputs):
    """Columns in which few or many elements, far from and close to each other, are alike."""
    found = draw(several(points(numbers, inputs), 1, 12))
    found = found * draw(st.sampled_from([1, 2, 7]))
    return [list(column) for column in zip(*found, strict=True)]


@some
@given(programs(), st.data())
def test_random_programs(program, data):
    inputs, steps = program
    f = lambda *xs: computed(steps, xs)[-3:]  # noqa: E731
    g = exact(f)
    for k in range(2):
        columns = data.draw(batches(inputs))
        found = g(*map(np.array, columns))
        for got, expected in zip(found, rows(f, *columns), strict=True):
            assert_alike(got, expected)
        if not k and data.draw(st.booleans()):
            assert g.ready()


@few
@given(programs(12, 0), st.data())
def test_sums_of_random_programs(program, data):
    """Of numbers that run along the batch and of numbers that all elements have."""
    inputs, steps = program
    columns = data.draw(batches(inputs))
    n = len(columns[0])
    axes = [0, *data.draw(st.lists(st.sampled_from([0, None]), min_size=2, max_size=2))][:inputs]
    f = lambda *xs: computed(steps, xs)[-1]  # noqa: E731
    args = [x[0] if axis is None else np.array(x) for x, axis in zip(columns, axes, strict=True)]
    same = [x if isinstance(x, np.ndarray) else [x] * n for x in args]
    expected = eager(f, *[list(map(float, x)) for x in same])
    for reduce in (None, "sum", "mean"):
        g = exact(f, axes, reduce)
        for _ in range(2):
            assert_alike(g(*args), reduced(expected, reduce))


@few
@given(programs(10, 2), st.data())
def test_gradients_of_random_programs(program, data):
    inputs, steps = program
    f = lambda *xs: computed(steps, xs)[-1] * 3.0 + xs[0]  # noqa: E731
    slopes = grad(f, range(inputs))
    columns = data.draw(batches(inputs))
    found = exact(slopes)(*map(np.array, columns))
    expected = [slopes(*xs) for xs in zip(*columns, strict=True)]
    for got, column in zip(found, zip(*expected, strict=True), strict=True):
        assert_alike(got, column)


@few
@given(programs(10, 2), st.data())
def test_threads_change_no_random_program(program, data):
    inputs, steps = program
    f = lambda *xs: computed(steps, xs)[-1]  # noqa: E731
    columns = data.draw(batches(inputs))
    columns = [np.resize(np.array(x), 8192 + 17) for x in columns]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_alike(exact(f, threads=2)(*columns), exact(f, threads=1)(*columns))


@pytest.mark.slow
def test_a_program_of_several_pieces():
    def f(x, y):
        found = x
        for k in range(1000):
            found = found * 1.25 - m.where(found - k, y, x)
            if k % 300 == 50 and found > 0:
                found = m.sin(found)
            found = m.maximum(m.minimum(found, 50.0), -50.0) if k % 50 == 0 else found
        return found, y

    assert kernel.PIECE < 4 * 1000
    xs, ys = scattered(37, 2)
    for got, expected in zip(exact(f)(xs, ys), rows(f, xs.tolist(), ys.tolist()), strict=True):
        assert_alike(got, expected)


@pytest.mark.parametrize("reduce", [None, "sum"])
def test_several_pieces_of_what_all_elements_have_in_common(reduce):
    def f(x, a):
        common = a
        for k in range(1000):
            common = common * 1.0625 - k / (1.0 + common * common)
        return x * common if x > a else -common

    assert kernel.PIECE < 3 * 1000
    xs = np.arange(11.0)
    expected = [f(x, 0.5) for x in xs.tolist()]
    got = vmap(f, in_axes=(0, None), reduce=reduce)(xs, 0.5)
    if reduce is None:
        assert_alike(got, expected)
    else:
        assert_close(got, sum(expected))
