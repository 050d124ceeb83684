"""Functions that are instructions in place: against mpmath, for registers of every width."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import ops, vmap
from miniflow.native import machine, probe
from miniflow.native import vector_math as lanes
from miniflow.ops import TABLE
from support import judge

pytestmark = pytest.mark.skipif(not machine.fuses(), reason="the processor does not fuse")
mp = judge.mp
NAMES = sorted(lanes.FUNCTIONS)
WIDTHS = sorted({2, 4, machine.lanes()})
inf, nan = math.inf, math.nan
TRUE = {"erf": mp.erf, "exp": mp.exp, "gaussian": lambda x: mp.exp(-x * x), "log": mp.log}
EDGES = [  # of the pieces that functions are made of, and of what they can answer
    *(0.0, inf, nan, 5e-324, 1e-310, 2.0**-1022, 1.7976931348623157e308, 1e-20, 1e-8),
    *(0.7499999999999999, 0.75, 1.0, 1.5, 6.0, 26.5, 27.2, 27.3, 30.0, 708.3, 708.4, 745.1, 745.2),
    *(709.782712893384, 709.7827128933841, 710.0, 746.0, 1e5, 1e300, math.log(2) / 2, 0.5, 2.0),
]


@functools.cache
def mapped(name, width):
    """A function over a batch, for registers of that many numbers, already optimised."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "lanes", lambda: width)
        f = vmap(TABLE[name], threads=1)
        f(np.ones(1))
        assert f.ready()
    return f


def off(name, x, y):
    """How many units in the last place an answer is off."""
    expected = TABLE[name].value(x)
    if math.isnan(expected) or math.isinf(expected):
        return 0.0 if expected.hex() == y.hex() else inf
    if math.copysign(1.0, expected) != math.copysign(1.0, y):
        return inf
    return float(abs(y - TRUE[name](mp.mpf(x))) / mp.mpf(math.ulp(expected)))


def check(name, width, xs, most=1.2):
    for x, y in zip(xs, mapped(name, width)(np.array(xs)).tolist(), strict=True):
        assert off(name, x, y) <= most, (x, y)


def test_there_are_some():
    assert probe.inline() == (set(NAMES) if machine.fuses() else set())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_edges(name, width):
    near = [y for x in EDGES for y in (x, math.nextafter(x, inf), math.nextafter(x, 0.0))]
    check(name, width, [*near, *[-x for x in near]])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_the_whole_range(name, width):
    random = np.random.default_rng(3)
    exponents = random.uniform(-1074, 1024, 300)
    xs = [random.uniform(-750, 712, 500), random.uniform(-7, 7, 500), random.normal(size=500)]
    xs += [2.0**exponents, -(2.0**exponents), random.uniform(-746, -707, 100)]
    check(name, width, np.concatenate(xs).tolist())


@pytest.mark.parametrize("name", NAMES)
@given(xs=st.lists(st.floats(), min_size=1, max_size=40))
def test_any_number(name, xs):
    check(name, machine.lanes(), xs)


@pytest.mark.parametrize("name", NAMES)
def test_answers_do_not_depend_on_the_place(name):
    f, xs = mapped(name, machine.lanes()), np.linspace(0.1, 3.0, 100)
    whole = f(xs)
    for start in range(40):
        for count in (1, 7, 17):
            part = f(xs[start : start + count])
            assert part.tolist() == whole[start : start + count].tolist()


@pytest.mark.parametrize("name", ["exp", "erf"])
def test_a_wrong_constant_is_found_out(name, monkeypatch):
    probe.inline()
    monkeypatch.setattr(lanes, "LOG_2_REST", 3e-17)
    monkeypatch.setattr(lanes, "ERF", (lanes.ERF[0] * (1 + 1e-14), *lanes.ERF[1:]))
    f = vmap(lambda x: TABLE[name](x), threads=1)
    xs = np.array([0.01, -300.3])
    assert max(off(name, x, y) for x, y in zip(xs.tolist(), f(xs).tolist(), strict=True)) > 4
    probe.inline.cache_clear()
    try:
        assert name not in probe.inline()
    finally:
        probe.inline.cache_clear()


def test_without_fused_products_other_functions_are_taken(monkeypatch):
    monkeypatch.setattr(probe, "inline", frozenset)
    xs = np.array([0.5, 1.5, -2.0])
    for name in ("exp", "gaussian", "erf"):
        f = vmap(lambda x, name=name: TABLE[name](x), threads=1)
        assert all(off(name, x, y) <= 8 for x, y in zip(xs.tolist(), f(xs).tolist(), strict=True))


def test_precise_batches_use_none():
    f = vmap(lambda x: ops.gaussian(x) + ops.exp(x), precise=True, threads=1)
    xs = np.linspace(-3.0, 3.0, 41)
    expected = [TABLE["gaussian"].value(x) + math.exp(x) for x in xs.tolist()]
    assert f(xs).tolist() == expected
