"""Instructions done several at a time: which, and that their answers are those one by one."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as m
from miniflow import jit, trace, value_and_grad
from miniflow.native import machine
from miniflow.native.packing import Packs
from miniflow.native.wrapper import locations_of

WIDTHS = [2, 4, 8]
SIZE = 17


def packs(f, *xs, width=8):
    """The packs of a function at some arguments."""
    program = trace(f, *xs)
    sources = list(locations_of(program.arguments[0], "%in", "%a"))
    return Packs(program, width, sources, list(locations_of(program.result, "%out", "%r")))


def bits(tree):
    """The numbers of a result, to be compared."""
    return [float(x).hex() for part in tree for x in np.ravel(part)]


def check(f, *xs):
    """Both tiers' answers are those of Python, bit for bit."""
    g = jit(f)
    with np.errstate(all="ignore"):
        expected = bits(f(*xs))
    assert bits(g(*xs)) == expected
    assert g.ready()
    assert bits(g(*xs)) == expected


def layer(ws, xs, bs):
    return [
        m.relu(sum((w * x for w, x in zip(ws[k :: len(bs)], xs, strict=True)), b))
        for k, b in enumerate(bs)
    ]


def products(a, b):
    return [x * y for x in a for y in b]


A, B, C = (np.random.default_rng(k).normal(size=n) for k, n in ((0, 8), (1, 16), (2, 128)))


# --- which --------------------------------------------------------------------


def test_inputs_side_by_side_and_one_for_all():
    found = packs(lambda a, b, x: [x * (u + v) for u, v in zip(a, b, strict=True)], A, A, 2.0)
    assert len({*found.of.values()}) == 2
    assert [*found.stored] == [0]


def test_an_outer_product_takes_numbers_that_stand_anywhere():
    found = packs(lambda a, b: products(a[::-1], b[::-1]), A, B)
    assert len(found.stored) == 16


def test_chains_of_sums():
    found = packs(lambda w, x, b: layer(w, x, b), C, A, B)
    assert len({*found.of.values()}) == 2 * (2 * 8 + 1)


@pytest.mark.parametrize(
    "f",
    [
        lambda a: [*a[:4] * 2.0, *a[4:] + 2.0],  # other operations
        lambda a: [m.exp(x) for x in a],  # a function
        lambda a: [x * y for x, y in zip(a[::-1], np.roll(a, 3), strict=True)],  # apart
        lambda a: [a[0] * 3.0] * 8,  # a single one
        lambda a: [*np.cumprod(a)],  # one from another
        lambda a: [x * 2.0 for x in a[:7]],  # too few
    ],
)
def test_what_is_none(f):
    assert not packs(f, A).of


def test_a_choice_between_packs():
    def f(a, x):
        c = m.less(0.0, x)
        return [m.where(c, x * m.exp(u), 0.0) for u in a]

    found = packs(f, A, 2.0)
    assert len(found.of) == 2 * len(A)
    check(f, A, 2.0)
    check(f, A, -2.0)


def test_what_comes_to_nothing_leaves_nothing():
    # of each sum only one part is at hand
    def f(a):
        return [(x * 2.0 + m.exp(x)) * (x * 3.0 + m.sin(x)) for x in a]

    assert not packs(f, A).of


# --- answers ------------------------------------------------------------------


def test_a_network():
    def loss(p, a, b):
        h = layer(p[:32], [a, b], p[32:48])
        h = layer(p[48:304], h, p[304:320])
        return sum(w * x for w, x in zip(p[320:], h, strict=True))

    p = np.random.default_rng(5).normal(size=336)
    check(value_and_grad(loss), p, 0.3, -0.8)


SPECIAL = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 5e-324, 1e308, -1.5, 0.1, 3.0]
STEPS = [operator.add, operator.sub, operator.mul, operator.truediv]
SINGLE = [operator.neg, abs, m.relu, m.sqrt, m.step, lambda x: x]


@given(st.data(), st.sampled_from(WIDTHS))
def test_random_programs(data, width):
    numbers = st.sampled_from(SPECIAL) | st.floats()
    xs = np.array(data.draw(st.lists(numbers, min_size=SIZE, max_size=SIZE)))
    steps = [
        (
            data.draw(st.sampled_from(STEPS)),
            data.draw(st.sampled_from(SINGLE)),
            data.draw(st.integers(0, 9)),
            data.draw(st.integers(0, 9)),
            data.draw(st.sampled_from([0, 0, 0, 1, SIZE - 1])),
        )
        for _ in range(data.draw(st.integers(1, 6)))
    ]

    def f(x, y):
        rows = [list(x), [y] * SIZE]
        for two, one, i, j, turn in steps:
            a, b = rows[i % len(rows)], rows[j % len(rows)]
            b = b[turn:] + b[:turn]
            rows.append([one(two(u, v)) for u, v in zip(a, b, strict=True)])
        return [rows[-1], rows[-2], rows[-1][3]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "lanes", lambda: width)
        g = jit(f)
        found = bits(g(xs, 0.7))
    program = trace(f, xs, 0.7)
    assert found == bits(program(xs, 0.7)[:3])


@pytest.mark.parametrize("width", WIDTHS)
def test_registers_of_every_width(width, monkeypatch):
    monkeypatch.setattr(machine, "lanes", lambda: width)
    check(lambda a, b: (products(a, b), [x + 1.0 for x in a]), A, B)
    check(lambda w, x, b: layer(w, x, b), C, A, B)
