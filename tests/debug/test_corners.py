"""Kinks are found, with the slopes on both sides; smooth points are not taken for any."""

import math
import random

import pytest

from miniflow import Value, jit
from miniflow import math as mm
from miniflow.debug import kinks, lines
from support.drawn_graphs import drawn_graph
from support.profiles import scaled

inf, nan = math.inf, math.nan
ZERO = {
    "relu(0.0)": (mm.relu, 0.0, 0.0, 1.0),
    "abs(0.0)": (abs, 0.0, -1.0, 1.0),
    "sqrt(0.0)": (mm.sqrt, inf, nan, inf),
    "cbrt(0.0)": (mm.cbrt, inf, inf, inf),
    "hypot(0.0, 0.0)": (lambda x: mm.hypot(x, 0.0), 0.0, -1.0, 1.0),
    "maximum(0.0, 0.0)": (lambda x: mm.maximum(x, 0.0), 0.5, 0.0, 1.0),
    "minimum(0.0, 0.0)": (lambda x: mm.minimum(x, 0.0), 0.5, 1.0, 0.0),
    "leaky_relu(0.0, 0.01)": (mm.leaky_relu, 0.01, 0.01, 1.0),
    "elu(0.0, 2.0)": (lambda x: mm.elu(x, 2.0), 2.0, 2.0, 1.0),
    "max_of(0.0, -0.0, 0.0)": (lambda x: mm.max(x, -0.0, 0.0), 1 / 3, 0.0, 1.0),
    "0.0 ** 0.5": (lambda x: x**0.5, inf, nan, inf),
}
JUMPS = {
    "step(0.0)": (mm.step, 0.0, 1.0),
    "sign(0.0)": (mm.sign, -1.0, 1.0),
    "floor(0.0)": (mm.floor, -1.0, 0.0),
    "0.0 < 0.0": (lambda x: mm.less(x, 0.0), 1.0, 0.0),
    "0.0 ** 0.0": (lambda x: x**0, inf, 0.0),
    "0.0 % 2.0": (lambda x: x % 2, 2.0, 0.0),
}
SMOOTH = [
    mm.sin, mm.exp, mm.tanh, mm.sigmoid, mm.softplus, mm.gelu, mm.silu, mm.expm1, mm.log1p,
    mm.asinh, mm.erf, mm.atan, mm.elu, lambda x: x**2, lambda x: x * 0.0,
    lambda x: mm.where(x, x, 1.0),
    lambda x: mm.dot([x, x], [x, 0.0]), lambda x: 1.0 / (x + 1.0), lambda x: mm.logaddexp(x, x),
]  # fmt: skip


def same(a, b):
    return a == b or (a != a and b != b)


@pytest.mark.parametrize("text", ZERO)
def test_kinks_at_zero(text):
    f, used, left, right = ZERO[text]
    (found,) = kinks(f(Value(0.0)) * 2.0).found
    assert found.text == text
    assert found.jump is None
    slopes = found.used, found.left, found.right
    assert all(map(same, slopes, (used, left, right))), slopes


@pytest.mark.parametrize("text", JUMPS)
def test_jumps_at_zero(text):
    f, low, high = JUMPS[text]
    (found,) = kinks(f(Value(0.0))).found
    assert (found.text, found.jump) == (text, (low, high))


@pytest.mark.parametrize("k", range(len(SMOOTH)))
@pytest.mark.parametrize("x", [0.0, 1.0, -0.25, 3.0])
def test_where_all_is_smooth_there_is_no_kink(k, x):
    assert not kinks(SMOOTH[k](Value(x)))


def test_random_graphs_have_none():
    source = random.Random(3)
    found = 0
    for _ in range(scaled(400)):
        _, y = drawn_graph(source, size=15)
        found += len([x for x in kinks(y).found if x.jump is None and "inf" not in str(x)])
    assert found <= 2  # of a difference of equal numbers


def test_kinks_elsewhere_and_how_many():
    with lines():
        xs = [Value(x) for x in (1.0, 2.0, 2.0)]
        y = mm.sum([mm.relu(x - 2.0) for x in xs]) + mm.max(*xs) + mm.floor(xs[0])
    found = kinks(y)
    assert [x.text for x in found.found] == [
        "relu(0.0)", "relu(0.0)", "max_of(1.0, 2.0, 2.0)", "max_of(1.0, 2.0, 2.0)", "floor(1.0)",
    ]  # fmt: skip
    assert "(2 times)" in repr(found)
    assert "test_corners.py" in repr(found)
    assert "marked" in found.draw().source


def test_a_row_of_ones_own_is_looked_at(row):
    bent = row(
        "bent",
        lambda x: x if x > 3 else 0.5 * x + 1.5,
        lambda x, y: mm.where(mm.less(3.0, x), 1.0, 0.5),
    )
    (found,) = kinks(bent(Value(3.0))).found
    assert (found.left, found.right) == (0.5, 1.0)


def test_nothing_to_find_is_said():
    assert repr(kinks(Value(1.0) * 2.0)) == "0 kinks"
    assert "not looked into: jit(relu)" in repr(kinks([jit(mm.relu)(Value(0.0)) + 1.0]))


def test_what_has_no_kinks_is_refused():
    with pytest.raises(TypeError, match=r"^kinks: y must be a Value, got "):
        kinks([Value(1.0), 2.0])
