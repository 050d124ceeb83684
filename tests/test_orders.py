"""Derivatives of order 1 to 4 of every row are within the bounds that docs/operations.md prints.

`tests/accuracy.py` does the same at as many points as one likes.
"""

import math
import random

import numpy as np
import pytest

from miniflow import Value, grad, hessian, jit, ops, trace, vmap
from miniflow import math as m
from miniflow.ops import TABLE
from support import accuracy, balls, orders
from support.judge import mp
from support.orders import ORDER

POINTS = 12
CURVED = [name for name, op in TABLE.items() if not op.flat]


@pytest.mark.parametrize("name", CURVED)
def test_derivatives_are_within_the_bounds(name):
    op, source = TABLE[name], random.Random(name)
    count = op.arity if op.arity > 0 else accuracy.COUNT
    functions = accuracy.derivatives(op, count)
    bounds = accuracy.BOUNDS.get(name, accuracy.STRAIGHT).ulps
    for _ in range(POINTS if count < 3 else 2):
        xs = accuracy.draw(op, source)
        found = {accuracy.index(op, turn, count): f(*xs) for turn, f in functions.items()}
        for i, answer, off in accuracy.errors(op, xs, found):
            assert off <= bounds[sum(i) - 1], (name, xs, i, found[i], answer)


@pytest.mark.parametrize("name", [name for name in CURVED if name in orders.CURVES])
@np.errstate(all="ignore")
def test_long_doubles_are_as_exact_as_they_say(name):
    op, source = TABLE[name], random.Random(name)
    count = op.arity if op.arity > 0 else accuracy.COUNT
    xs = accuracy.draw(op, source)
    points = [xs, *[accuracy.draw(op, source) for _ in range(3)]]
    given = [balls.mpf([p[k] for p in points]) if op.follows(k) else xs[k] for k in range(count)]
    points = [[y if op.follows(k) else xs[k] for k, y in enumerate(p)] for p in points]
    jet = orders.curve(op, given, 2, balls)
    found = {i: balls.ball(jet.partial(i)) for i in orders.partials(op, points[0], 2)}
    for k, point in enumerate(points):
        for i, answer in orders.partials(op, point, 2).items():
            mid, rad = [exact(np.broadcast_to(x, 4)[k]) for x in (found[i].mid, found[i].rad)]
            assert not mp.isfinite(mid + rad) or abs(mid - answer) <= rad, (name, point, i)


def exact(x):
    """A long double as a number of mpmath."""
    part, power = np.frexp(x)
    return (mp.mpf(float(part)) + mp.mpf(float(part - float(part)))) * mp.mpf(2) ** int(power)


def test_bounds_are_those_of_rows():
    assert {*accuracy.BOUNDS, *accuracy.BEYOND, *accuracy.POLES} <= {*TABLE}


def higher(f, order):
    for _ in range(order):
        f = grad(f)
    return f


@pytest.mark.parametrize(
    ("f", "order", "x", "answer"),
    [
        (m.lgamma, 3, -0.5, -0.8287966442343199),
        (m.digamma, 4, -1000.5, -5.976054910111022e-12),
        (m.softplus, 2, 36.0, 2.3195228302435691e-16),
        (m.sigmoid, 2, 1e-10, -1.25e-11),
        (m.cbrt, 2, 1e-190, -math.inf),
        (m.cbrt, 2, math.inf, 0.0),
        (m.acosh, 2, math.inf, 0.0),
        (m.atanh, 2, math.inf, 0.0),
    ],
)
def test_what_once_was_wrong(f, order, x, answer):
    assert higher(f, order)(x) == pytest.approx(answer, rel=1e-14)


def test_hessians_that_once_were_wrong():
    by_a, by_b = hessian(m.logaddexp, (0, 1))(38.0, 0.0)
    assert by_a[1] == by_b[0] == -by_a[0] == -by_b[1]
    assert by_a[0] == pytest.approx(3.1391327920480296e-17, rel=1e-14)
    assert hessian(m.hypot, (0, 1))(0.0, 0.0) == ((0.0, 0.0), (0.0, 0.0))
    assert hessian(ops.pow, (0, 1))(0.0, 1.0)[0][1] == -math.inf
    assert len(accuracy.STRAIGHT.ulps) == ORDER


def test_the_mixed_partial_of_a_power_at_a_pole_is_the_same_in_both_orders():
    assert hessian(lambda a, b: a**b, (0, 1))(0.0, 1.0) == ((0.0, -math.inf), (-math.inf, 0.0))


def test_powers_of_the_smallest_numbers_with_the_largest_exponents():
    assert grad(ops.pow)(7.7704293725041e-310, 2.4683314316979178e51) == 0.0
    assert grad(ops.pow)(7.7704293725041e-310, -1e300) == -math.inf


@pytest.mark.parametrize("x", [1.4650, 1.9643267727285396, 2.5000000302523917, 5.75])
def test_digamma_is_within_two_ulps_of_one(x):
    assert ops.digamma(x) == pytest.approx(float(mp.psi(0, x)), rel=0, abs=2 * 2**-52)


def test_a_nans_sign_counts_as_plus_in_every_mode():
    def f(x):
        return ops.copysign(2.0, ops.log(x))

    assert f(-1.0) == f(Value(-1.0)).data == trace(f, 0.5)(-1.0) == jit(f)(-1.0) == 2.0
    batch = np.full(9, -1.0)
    assert list(vmap(f)(batch)) == list(vmap(f, precise=True)(batch)) == [2.0] * 9
