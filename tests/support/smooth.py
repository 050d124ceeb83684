"""Functions of three numbers for the tests of transforms, and what their derivatives are."""

import functools

import mpmath
import pytest
from hypothesis import strategies as st

from miniflow import Value
from miniflow import math as m

close = functools.partial(pytest.approx, rel=1e-10, abs=1e-10)
number = st.floats(-2, 2)
vector = st.lists(number, min_size=3, max_size=3)


def smooth(xs):
    """A function of three numbers, smooth everywhere, with mixed derivatives of any order."""
    a, b, c = xs
    return m.sin(a * b) + c * m.exp(0.3 * a) - m.tanh(b + c) * a / (1 + c * c)


def smooth_exactly(a, b, c):
    return (
        mpmath.sin(a * b) + c * mpmath.exp(mpmath.mpf(0.3) * a)
        - mpmath.tanh(b + c) * a / (1 + c * c)
    )  # fmt: skip


def outputs(xs):
    a, b, c = xs
    return [smooth(xs), a * b * c, m.sigmoid(a - c) + 2, a]


def exact(order, xs):
    """A partial derivative of `smooth` to fifty digits."""
    with mpmath.workdps(50):
        return float(mpmath.diff(smooth_exactly, xs, order))


def unit(k, n=3):
    return tuple(int(j == k) for j in range(n))


def number_of(x):
    return x.data if x.__class__ is Value else x
