"""The judges: how well they know derivatives, and that they say so where they do not."""

import math

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow.testing.judges import DOUBT, complex_step, differences, exact, extrapolated
from miniflow.testing.twins import context

SMOOTH = {
    "sin": (math.sin, mpmath.sin, (-3, 3)),
    "exp": (math.exp, mpmath.exp, (-3, 3)),
    "log": (math.log, mpmath.log, (0.01, 9)),
    "atan": (math.atan, mpmath.atan, (-3, 3)),
    "gamma": (math.gamma, mpmath.gamma, (0.3, 6)),
    "erf": (math.erf, mpmath.erf, (-2, 2)),
    "bump": (lambda x: 1 / (1 + 25 * x * x), lambda x: 1 / (1 + 25 * x * x), (-2, 2)),
    "waves": (lambda x: math.sin(50 * x), lambda x: mpmath.sin(50 * x), (-1, 1)),
}


@pytest.mark.parametrize("name", SMOOTH)
@given(data=st.data())
def test_an_extrapolation_is_within_its_own_error(name, data):
    f, judge, (low, high) = SMOOTH[name]
    x = data.draw(st.floats(low, high))
    (found,) = differences(lambda t: [f(x + t)], 0.1 * (abs(x) or 1.0))
    with mpmath.workdps(50):
        slope = mpmath.diff(judge, mpmath.mpf(x))
    if not found.reason:
        assert abs(found.value - slope) <= DOUBT * found.error + 1e-12 * abs(slope)
        assert found.error <= 1e-6 * max(1.0, abs(slope))


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_exact_differences_have_thirty_digits(x, y):
    mp = context()
    (first,) = exact(lambda t: [mp.sin(mp.mpf(x) + t) * mp.exp(y)])
    (mixed,) = exact(lambda t: [mp.sin(x + t[0]) * mp.exp(y + t[1])], order=2)
    with mpmath.workdps(40):
        slope = mpmath.cos(mpmath.mpf(x)) * mpmath.exp(mpmath.mpf(y))
    for found in (first, mixed):
        assert abs(found.value - slope) <= 2.0**-52 * abs(slope) + 1e-60
        assert not found.reason


@given(st.floats(0.01, 2))
def test_a_complex_step_is_exact(x):
    (found,) = complex_step(lambda t: [(x + t) ** 3 / (1 + (x + t) ** 2)])
    assert found.value == pytest.approx(x * x * (x * x + 3) / (1 + x * x) ** 2, rel=1e-13)


@pytest.mark.parametrize(("curve", "sides"), [
    (abs, (-1.0, 1.0)),
    (lambda t: max(t, 0.0), (0.0, 1.0)),
    (lambda t: 3 * t if t < 0 else math.expm1(t), (3.0, 1.0)),
])  # fmt: skip
def test_a_kink_has_two_sides(curve, sides):
    (found,) = extrapolated(lambda t: [curve(t)], 0.1)
    assert found.reason == "a kink"
    assert (found.left, found.right) == pytest.approx(sides)


@pytest.mark.parametrize("curve", [
    lambda t: abs(t - 1e-9),  # a kink nearby
    lambda t: float(t > 0),  # a jump
    lambda t: math.sqrt(t),  # an edge
    lambda t: (t + 1e10) - 1e10,  # rounding
    lambda t: round(1 + t, 7),  # fewer digits than a double has
    lambda t: math.sin(1e9 * (t + 0.3)),  # too steep
    lambda t: 1 / t if t else 0.0,  # a pole
])  # fmt: skip
def test_what_cannot_be_known_is_not_guessed(curve):
    (found,) = extrapolated(lambda t: [curve(t)], 0.1)
    assert found.reason


@pytest.mark.parametrize("steps", [2, 1024, 1 << 20])
def test_periods_do_not_fool_an_extrapolation(steps):
    (found,) = extrapolated(lambda t: [math.sin(2 * math.pi * steps * t)], 0.1)
    assert found.reason or found.value == pytest.approx(2 * math.pi * steps, rel=1e-6)


@pytest.mark.parametrize("curve", [
    lambda t: [abs(0.5 + t)],  # a complex number's size is real
    lambda t: [math.exp(t)],
    lambda t: [1.0],
    lambda t: [(0.5 + t).real],
    lambda t: 1 / 0,
])  # fmt: skip
def test_a_complex_step_is_not_taken_where_it_says_nothing(curve):
    assert complex_step(curve) == []


@pytest.mark.parametrize("shape", [abs, lambda t: max(t, 0 * t), lambda t: abs(t) * 2 + t])
def test_exact_differences_see_a_kink(shape):
    (found,) = exact(lambda t: [shape(t)])
    assert found.reason == "a kink"


@pytest.mark.parametrize("shape", [
    lambda t: t, lambda t: t**3, lambda t: abs(t) * t, lambda t: 0 * t, lambda t: abs(t - 1e-9),
])  # fmt: skip
def test_exact_differences_see_no_kink_where_there_is_none(shape):
    (found,) = exact(lambda t: [shape(t)])
    assert not found.reason


def test_an_exact_difference_of_tiny_and_huge_numbers():
    mp = context()
    (found,) = exact(lambda t: [mp.log(mp.mpf(1e-300) + t)], 1e-300)
    assert found.value == pytest.approx(1e300)
    (found,) = exact(lambda t: [(mp.mpf(1e200) + t) ** 2], largest=1e200)
    assert found.value == pytest.approx(2e200)
