"""NumPy's functions of a Value that ask its class first (NEP 18): ``np.interp(v, xs, ys)``.

Its ufuncs are not among them: NumPy would ask a class for these at each operator, too.
"""

from collections.abc import Sequence
from math import inf, pi
from typing import Any

from miniflow.math import equal, interp, less, sin, where
from miniflow.tape.methods import ARRAY_FUNCTIONS

LARGEST_FLOAT = 1.7976931348623157e308


def np_interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """The piecewise linear function through points; beyond them it goes on level."""
    if period is not None:
        raise TypeError("np.interp: of Values without period; give math.mod(x, period)")
    y = interp(x, _as_list(xp), _as_list(fp))
    if left is not None:
        y = where(less(x, xp[0]), left, y)
    return y if right is None else where(less(xp[-1], x), right, y)


def np_sinc(x: Any) -> Any:
    """sin(pi x)/(pi x); its series up to x = 1/pi, where the quotient's derivatives cancel."""
    t = pi * x
    q, series = t * t, 1.0
    for n in range(20, 0, -2):
        series = 1.0 - q / (n * (n + 1)) * series
    near = less(q, 1.0)
    return where(near, series, sin(t) / where(near, 1.0, t))


def np_nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """x, or what stands for NaN and the infinities: their numbers are constant."""
    x = where(equal(x, x), x, nan)
    x = where(equal(x, inf), LARGEST_FLOAT if posinf is None else posinf, x)
    return where(equal(x, -inf), -LARGEST_FLOAT if neginf is None else neginf, x)


def np_isclose(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    """Whether abs(a - b) <= atol + rtol*abs(b), element by element."""
    if not (hasattr(a, "__len__") or hasattr(b, "__len__")):
        return _numbers_close(a, b, *args, **kwargs)
    import numpy

    return numpy.vectorize(_numbers_close, otypes=[bool])(a, b, *args, **kwargs)


def _numbers_close(
    a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    if a != a or b != b:
        return bool(equal_nan and a != a and b != b)
    return bool(a == b or abs(a - b) <= atol + rtol * abs(b) < inf)


def _as_list(xs: Any) -> Sequence[Any]:
    return xs.tolist() if hasattr(xs, "tolist") else list(xs)


ARRAY_FUNCTIONS.update(interp=np_interp, sinc=np_sinc, nan_to_num=np_nan_to_num, isclose=np_isclose)
