"""NumPy's functions of a Value: its numbers, exact derivatives, in every mode."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, grad, jit, value_and_grad, vmap

FINITE = st.floats(-4.0, 4.0)
XS, YS = [-1.0, 0.5, 2.0], [3.0, -1.0, 4.0]


def derivatives(f, x, count=3):
    """f(x) and its derivatives."""
    found = []
    for _ in range(count + 1):
        found.append(f(x))
        f = grad(f)
    return [float(y) for y in found]


@given(FINITE | st.sampled_from([0.0, -0.0, 1e-320, 1e-9, 1 / np.pi, 1.0, 1e6]))
def test_sinc_is_exact_to_the_third_order(x):
    with mpmath.workdps(60):
        t = mpmath.mpf(x)
        wanted = [
            mpmath.nsum(  # of the integral of cos(pi x s) over s from 0 to 1
                lambda k, n=n: (-1) ** int(k) * mpmath.pi ** (2 * k) * mpmath.ff(2 * k, n)
                * t ** (2 * k - n) / mpmath.factorial(2 * k + 1) if 2 * k >= n else 0,
                [0, 80], method="d",
            )
            if abs(x) < 5 else mpmath.diff(lambda s: mpmath.sinc(mpmath.pi * s), t, n)
            for n in range(4)
        ]  # fmt: skip
    found = derivatives(np.sinc, x)
    assert found == pytest.approx([float(y) for y in wanted], rel=1e-11, abs=1e-11)


@given(st.floats(allow_nan=True) | FINITE, st.none() | FINITE, st.none() | FINITE)
def test_interp_is_numpys(x, left, right):
    wanted = np.interp(x, XS, YS, left, right)
    for xs, ys in ((XS, YS), (np.array(XS), np.array(YS))):
        found = np.interp(Value(x), xs, ys, left=left, right=right)
        assert found.data == pytest.approx(wanted, rel=1e-15, nan_ok=True)


def test_interp_slopes_by_all_that_it_is_made_of():
    def f(x, xs, ys):
        return np.interp(x, xs, ys)

    by_x, by_xs, by_ys = grad(f, (0, 1, 2))(1.0, XS, YS)
    slope, t = 5.0 / 1.5, (1.0 - 0.5) / 1.5
    assert by_x == pytest.approx(slope)
    assert by_xs == pytest.approx([0.0, -slope * (1 - t), -slope * t])
    assert by_ys == pytest.approx([0.0, 1 - t, t])


@given(st.floats(), st.floats(), st.none() | st.floats(-9, 9), st.none() | st.floats(-9, 9))
def test_nan_to_num_is_numpys(x, nan, high, low):
    wanted = np.nan_to_num(x, nan=nan, posinf=high, neginf=low)
    found = np.nan_to_num(Value(x), nan=nan, posinf=high, neginf=low)
    assert found.data == pytest.approx(wanted, rel=0, nan_ok=True)
    assert grad(np.nan_to_num)(x) == float(np.isfinite(x))


SPECIAL = st.sampled_from([0.0, 1.0, 1.0 + 1e-6, 1e-9, np.inf, -np.inf, np.nan]) | st.floats()


@given(SPECIAL, SPECIAL, st.booleans())
@np.errstate(all="ignore")
def test_isclose_is_numpys(a, b, equal_nan):
    wanted = np.isclose(a, b, equal_nan=equal_nan)
    for pair in ((Value(a), b), (a, Value(b)), (Value(a), Value(b))):
        assert np.isclose(*pair, equal_nan=equal_nan) is bool(wanted)
    both = np.isclose(np.array([a, b]), Value(b), equal_nan=equal_nan)
    assert both.tolist() == np.isclose([a, b], b, equal_nan=equal_nan).tolist()


@pytest.mark.parametrize(
    "f", [np.sinc, np.nan_to_num, lambda x: np.interp(x, XS, YS)], ids=["sinc", "nan", "interp"]
)
def test_compiled_answers_are_the_eager_ones(f):
    points = [0.0, 0.3, -0.7, 1.9]
    wanted = [value_and_grad(f)(x) for x in points]
    compiled = jit(value_and_grad(f))
    assert [compiled(x) for x in points] == wanted
    assert vmap(value_and_grad(f))(np.array(points))[1].tolist() == [y for _, y in wanted]


def test_all_other_functions_are_numpys_own():
    v = Value(1.5)
    assert np.sum([v, v]).data == np.mean([2 * v, v * 4]).data - 1.5 == 3.0
    assert np.ndim(v) == 0
    assert np.stack([v, v])[1] is v
    assert np.clip(v, 0.0, 2.0).data == 1.5
    with pytest.raises(TypeError, match="period"):
        np.interp(v, XS, YS, period=3.0)
