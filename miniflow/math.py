"""The standard library's `math`, differentiable: a drop-in for numbers and Values.

``from miniflow import math`` ports a scalar program by its import line. With plain
numbers every function returns plain numbers; with at least one Value it records.
Answers are IEEE 754's, where `math` would raise: ``log(0)`` is -inf, ``sqrt(-1)`` nan.
"""

import math as _math
import operator as _operator
from collections.abc import Iterable
from functools import reduce as _reduce
from itertools import pairwise as _pairwise
from math import (
    comb,
    e,
    factorial,
    gcd,
    inf,
    isqrt,
    lcm,
    nan,
    perm,
    pi,
    tau,
)
from typing import Any

from miniflow import ops as _ops
from miniflow.ops import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    copysign,
    cos,
    cosh,
    degrees,
    digamma,
    equal,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    fma,
    fmod,
    gamma,
    gelu,
    less,
    lgamma,
    log1p,
    log2,
    log10,
    logaddexp,
    logsigmoid,
    mod,
    normal_cdf,
    normal_pdf,
    pow,
    radians,
    relu,
    remainder,
    sigmoid,
    sign,
    silu,
    sin,
    sinh,
    softplus,
    sqrt,
    step,
    stop_gradient,
    tan,
    tanh,
    where,
)
from miniflow.tape.core import Value as _Value
from miniflow.tape.core import dot_entry as _dot_entry
from miniflow.tape.storage import plain as _plain
from miniflow.util.habits import OTHER_NAMES as _OTHER_NAMES
from miniflow.util.habits import advice as _advice
from miniflow.util.trees import array as _array
from miniflow.util.trees import each_element as _each
from miniflow.util.trees import is_array as _is_array
from miniflow.util.words import shown as _shown

Scalar = Any  # a real number or a Value: the answer is a float, or a Value if one went in


def floor(x: Scalar) -> Any:
    """The largest whole number <= x: an int, or for a Value a (flat) Value."""
    return _ops.floor(x) if x.__class__ is _Value else _math.floor(x)


def ceil(x: Scalar) -> Any:
    """The smallest whole number >= x: an int, or for a Value a (flat) Value."""
    return _ops.ceil(x) if x.__class__ is _Value else _math.ceil(x)


def trunc(x: Scalar) -> Any:
    """Drop the fraction of x: an int, or for a Value a (flat) Value."""
    return _ops.trunc(x) if x.__class__ is _Value else _math.trunc(x)


def log(x: Scalar, base: Scalar | None = None) -> Scalar:
    """The natural logarithm of x, or its logarithm to `base`."""
    return _ops.log(x) if base is None else _ops.div(_ops.log(x), _ops.log(base))


def fabs(x: Scalar) -> Scalar:
    """The absolute value of x."""
    return _ops.absolute(x if x.__class__ is _Value else _ops.real(x, "fabs"))


def leaky_relu(x: Scalar, slope: Scalar = 0.01) -> Scalar:
    """The number x where it is positive, slope*x elsewhere."""
    return _ops.leaky_relu(x, slope)


def elu(x: Scalar, alpha: Scalar = 1.0) -> Scalar:
    """The number x where it is positive, alpha*expm1(x) elsewhere."""
    return _ops.elu(x, alpha)


def modf(x: Scalar) -> tuple[Scalar, Scalar]:
    """The fraction and the whole part of x, both with its sign."""
    return copysign(0.0, x) if isinf(x) else fmod(x, 1.0), _ops.trunc(x)


def ldexp(x: Scalar, i: int) -> Scalar:
    """Multiply x by 2 to the power of the integer `i`."""
    # beyond +-3000 every float has become 0 or infinite
    return _ops.ldexp(x, sorted((-3000, _operator.index(i), 3000))[1])


def _list_of(xs: Iterable[Any], name: str) -> list[Any]:
    """What is in one list of numbers.

    Raises:
        TypeError: `xs` is no list, nor anything like it.
    """
    if xs.__class__ is not list and (isinstance(xs, str) or not isinstance(xs, Iterable)):
        raise TypeError(
            f"{name}: expected a list of numbers, got {_shown(xs)}; put the numbers into a list"
        )
    return list(xs)


def _check_items(name: str, *lists: list[Any]) -> None:
    """Say which item is no number, where one is none.

    Raises:
        TypeError: an item is neither a real number nor a Value.
    """
    for items in lists:
        for k, x in enumerate(items):
            if x.__class__ is not _Value:
                _ops.real(x, f"{name}: item {k}")


def frexp(x: Scalar) -> tuple[Scalar, Any]:
    """The mantissa m of x, 0.5 <= abs(m) < 1, and its exponent n, with x = m * 2**n.

    The exponent is an int, or for a Value a (flat) Value; the derivative of m by x is 2**-n.

    Example:
        >>> frexp(10.0)
        (0.625, 4)
    """
    if x.__class__ is not _Value:
        return _math.frexp(_ops.real(x, "frexp"))
    n = _ops.exponent(x)
    return _ops.ldexp(x, -n), n


def nextafter(x: Scalar, y: Scalar, *, steps: int = 1) -> Scalar:
    """The number so many floats from x towards y; its derivative by x is 1, by y 0."""
    if _operator.index(steps) < 0:
        raise ValueError(f"nextafter: steps must not be negative, got {steps}")
    for _ in range(steps):
        x = _ops.nextafter(x, y)
    return x


def _listed(xs: tuple[Any, ...], name: str) -> list[Any]:
    """The arguments, or the items of the only one."""
    items = list(xs[0]) if len(xs) == 1 and isinstance(xs[0], Iterable) else list(xs)
    if not items:
        raise ValueError(f"{name}: no numbers; give at least one")
    return items


def _fold(op: _ops.Op, items: list[Any], name: str = "") -> Any:
    first, *rest = items
    try:
        if not rest:
            return first if first.__class__ is _Value else _ops.real(first)
        return _reduce(op, rest, first)
    except TypeError:
        _check_items(name or op.name, items)
        raise


def maximum(*xs: Any) -> Scalar:
    """The largest of the numbers, or of one iterable's: one entry, however many numbers.

    NaN if one of them is NaN. Of n equal ones each gets 1/n of the derivative.

    Raises:
        ValueError: there is no number.

    Example:
        >>> maximum(1.0, 3.0, 2.0), maximum([2.0])
        (3.0, 2.0)
    """
    return _of_all(_ops.maximum, _ops.max_of, xs, "maximum")


def minimum(*xs: Any) -> Scalar:
    """The smallest of the numbers, or of one iterable's; otherwise as `maximum`."""
    return _of_all(_ops.minimum, _ops.min_of, xs, "minimum")


max, min = maximum, minimum


def _of_all(of_two: _ops.Op, of_many: _ops.Op, xs: tuple[Any, ...], name: str) -> Any:
    items = _listed(xs, name)
    if len(items) == 1:
        return _fold(of_two, items, name)
    try:
        return of_two(*items) if len(items) == 2 else of_many(*items)
    except TypeError:
        _check_items(name, items)
        raise


def hypot(*xs: Scalar) -> Scalar:
    """The Euclidean length of the vector of the numbers; 0.0 for none."""
    if len(xs) < 2:
        return fabs(*xs) if xs else 0.0
    return _fold(_ops.hypot, list(xs))


def dist(p: Iterable[Scalar], q: Iterable[Scalar]) -> Scalar:
    """The Euclidean distance of two points with the same number of coordinates."""
    return hypot(*[a - b for a, b in zip(*_lists(p, q, "dist"), strict=True)])


def sum(xs: Iterable[Scalar], start: Scalar = 0.0) -> Scalar:
    """The sum from left to right: one entry, however many numbers; `start` for none."""
    items = _list_of(xs, "sum")
    if start.__class__ is _Value or start != 0:
        items.insert(0, start)
    try:
        return _ops.sum(*items) if items else 0.0
    except TypeError:
        _check_items("sum", items)
        raise


def fsum(xs: Iterable[Scalar]) -> Scalar:
    """The sum without rounding errors but the last one: one entry; 0.0 for none."""
    items = _list_of(xs, "fsum")
    try:
        return _ops.fsum(*items) if items else 0.0
    except TypeError:
        _check_items("fsum", items)
        raise


def dot(xs: Iterable[Scalar], ws: Iterable[Scalar]) -> Scalar:
    """The sum of products x*w, from left to right: one entry; 0.0 for none.

    Raises:
        ValueError: the lengths differ.
    """
    first, second = _lists(xs, ws, "dot")
    try:
        return _dot_entry(first, second) if first else 0.0
    except TypeError:
        _check_items("dot", first, second)
        raise


sumprod = dot


def prod(xs: Iterable[Scalar], *, start: Scalar = 1) -> Scalar:
    """The product from left to right; `start` for none."""
    items = _list_of(xs, "prod")
    if start.__class__ is _Value or start != 1:
        items.insert(0, start)
    return _fold(_ops.mul, items, "prod") if items else 1.0


def _lists(xs: Iterable[Any], ys: Iterable[Any], name: str) -> tuple[list[Any], list[Any]]:
    """Both as lists of the same length."""
    first, second = _list_of(xs, name), _list_of(ys, name)
    if len(first) != len(second):
        raise ValueError(f"{name}: lengths differ: {len(first)} and {len(second)}")
    return first, second


# --- looking up -------------------------------------------------------------------


def take(xs: Iterable[Scalar], i: Any) -> Scalar:
    """The item of xs at position i: what ``xs[i]`` is where i may be a Value.

    A compiled function looks it up anew at each call. The derivative goes to the item that was
    taken; the position has none. Negative positions count from the end, as Python's.

    Args:
        xs: numbers or Values.
        i: a whole number, plain or a Value.

    Raises:
        IndexError: there is no such position; from compiled code, too.
        TypeError: `i` is not a whole number.

    Example:
        >>> take([10.0, 20.0, 30.0], 1), take([10.0, 20.0, 30.0], -1)
        (20.0, 30.0)
    """
    items = list(xs)
    n = len(items)
    i = i if i.__class__ is _Value else _ops.real(i, "take: the position")
    if not -n <= i < n:
        raise IndexError(f"take: position {_as_float(i):g} of {n} items; the last one is {n - 1}")
    if _ops.floor(i) != i:
        raise TypeError(f"take: a position must be a whole number, got {_as_float(i)}")
    return _at(items, i + n if i < 0 else i)


def _at(items: list[Any], i: Any) -> Any:
    """The item at a position that there is; NaN at NaN."""
    if _ops.recorded(i):
        return _ops.take(i, *items)
    item = items[int(i)] if i == i else nan
    return item if _ops.recorded(item) else _ops.real(item)


def _as_float(x: Any) -> float:
    """The number of a Value, for messages: a trace ends there."""
    return _plain(x) if x.__class__ is _Value else x


def interp(x: Scalar, xs: Iterable[Scalar], ys: Iterable[Scalar]) -> Scalar:
    """The piecewise linear function through the points (xs, ys), at x: what NumPy's is.

    Below the first knot it is the first of ys, above the last knot the last one. The
    derivative by x is the slope of x's segment: at a knot that of the segment to its right, at
    the last knot that to its left; 0 outside.

    Args:
        x: where, in units of xs.
        xs: the knots, increasing.
        ys: the values there, in any unit.

    Raises:
        ValueError: there are no knots, not as many values, or plain knots do not increase.

    Example:
        >>> interp(1.5, [0.0, 1.0, 2.0], [0.0, 10.0, 30.0])
        20.0
    """
    knots, heights = _lists(xs, ys, "interp")
    if not knots:
        raise ValueError("interp: no knots; give at least one")
    for a, b in _pairwise(knots):
        if not (a.__class__ is _Value or b.__class__ is _Value or a <= b):
            raise ValueError(f"interp: xs must increase, but {b} comes after {a}")
    inside = _segment(x, knots, heights) if len(knots) > 1 else heights[0]
    above = where(less(knots[-1], x), heights[-1], inside)
    return where(less(x, knots[0]), heights[0], above)


def _segment(x: Any, knots: list[Any], heights: list[Any]) -> Any:
    """The line through the two knots around x, at x."""
    n = len(knots)
    above = where(equal(x, x), _ops.sum(*[less(x, knot) for knot in knots]), nan)
    j = _ops.minimum(_ops.maximum(n - 1.0 - above, 0.0), n - 2.0)
    a, b, p, q = _at(knots, j), _at(knots, j + 1), _at(heights, j), _at(heights, j + 1)
    slope, low = _ops.div(q - p, b - a), less(x, b)  # the last knot's own value is exact
    knot, height = where(low, a, b), where(low, p, q)
    y = slope * (x - knot) + height
    # where infinite values make it NaN: the knot's own value, a level's, from the other side
    other = where(equal(p, q), p, slope * (x - b) + q)
    return where(equal(y, y), y, where(equal(x, knot), height, other))


# --- exponentials of lists --------------------------------------------------------


def logsumexp(xs: Iterable[Scalar]) -> Scalar:
    """The logarithm of the sum of exponentials, without overflow; its derivatives are `softmax`.

    Infinite where one of xs is: the largest ones share the derivative then.

    Raises:
        ValueError: there is no number.

    Example:
        >>> logsumexp([1000.0, 1000.0]) == 1000.0 + log(2.0)
        True
    """
    items = _listed((xs,), "logsumexp")
    top, _, rest = _shares(items)
    return (max(items) if isinf(top) else top) + log1p(rest)


def softmax(xs: Iterable[Scalar]) -> Any:
    """The shares exp(x) / (sum of exponentials), as a list (of an array: an array).

    Equal infinities share alike; beside infinity what is finite gets 0.

    Raises:
        ValueError: there is no number.

    Example:
        >>> softmax([1.0, 1.0])
        [0.5, 0.5]
    """
    _, gaps, rest = _shares(_listed((xs,), "softmax"))
    return _like(xs, [_ops.div(exp(gap), 1.0 + rest) for gap in gaps])


def log_softmax(xs: Iterable[Scalar]) -> Any:
    """The logarithms of `softmax`, without underflow.

    Raises:
        ValueError: there is no number.

    Example:
        >>> log_softmax([-1000.0, 0.0])
        [-1000.0, 0.0]
    """
    _, gaps, rest = _shares(_listed((xs,), "log_softmax"))
    return _like(xs, [gap - log1p(rest) for gap in gaps])


def _shares(items: list[Any]) -> tuple[Any, list[Any], Any]:
    """The largest number, how far each is from it, and the sum of exponentials of that, less 1."""
    top = stop_gradient(max(items))
    same = [equal(x, top) for x in items]
    gaps = [where(c, 0.0, -inf) for c in same] if isinf(top) else [x - top for x in items]
    # of the largest ones what is above 1: so that 1 and what is tiny beside it are never added
    terms = [where(c, expm1(gap), exp(gap)) for c, gap in zip(same, gaps, strict=True)]
    return top, gaps, _ops.sum(*terms) + (_ops.sum(*same) - 1.0)


def _like(xs: Any, items: list[Any]) -> Any:
    """A list, or an array where `xs` is one."""
    return _array(items, xs.shape) if _is_array(xs) else items


# --- what has no derivative but makes sense: of Values, comparisons --------------


def isfinite(x: Scalar) -> bool:
    """Whether x is neither infinite nor NaN; of an array, for each element."""
    if x.__class__ is _Value:
        return bool(abs(x) < inf)
    return _each(isfinite, [x]) if _is_array(x) else _math.isfinite(_ops.real(x))


def isinf(x: Scalar) -> bool:
    """Whether x is an infinity; of an array, for each element."""
    if x.__class__ is _Value:
        return bool(abs(x) == inf)
    return _each(isinf, [x]) if _is_array(x) else _math.isinf(_ops.real(x))


def isnan(x: Scalar) -> bool:
    """Whether x is NaN; of an array, for each element."""
    if x.__class__ is _Value:
        return bool(x != x)
    return _each(isnan, [x]) if _is_array(x) else _math.isnan(_ops.real(x))


def isclose(a: Scalar, b: Scalar, *, rel_tol: float = 1e-09, abs_tol: float = 0.0) -> bool:
    """Whether a and b are within a relative or an absolute tolerance."""
    if a.__class__ is not _Value and b.__class__ is not _Value:
        return _math.isclose(_ops.real(a), _ops.real(b), rel_tol=rel_tol, abs_tol=abs_tol)
    if rel_tol < 0 or abs_tol < 0:
        raise ValueError("isclose: tolerances must not be negative")
    if a == b:
        return True
    if isinf(a) or isinf(b):
        return False
    gap, size = abs(a - b), maximum(abs(a), abs(b))
    return bool(gap <= rel_tol * size) or bool(gap <= abs_tol)


def ulp(x: Scalar) -> float:
    """The value of the last bit of x."""
    return _math.ulp(x.data if x.__class__ is _Value else _ops.real(x))


def __getattr__(name: str) -> Any:
    """A row defined later, so that ``math.cube`` works; an error that helps for the rest."""
    row = _ops.TABLE.get(name)
    if row is not None:
        return row
    if hasattr(_math, name):
        raise AttributeError(
            f"miniflow.math has no {name}; math.{name} takes plain numbers, such as a Value's "
            ".data, and no gradient passes through it"
        )
    names = {old: f"its name here is {new}" for old, new in _OTHER_NAMES.items()}
    remedy = _advice(name, names, [*__all__, "max", "min", "sum"])
    raise AttributeError(f"module 'miniflow.math' has no attribute {name!r}{remedy}")


# without max, min and sum: a star import should not replace the builtins
__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "comb",
    "copysign", "cos", "cosh", "degrees", "digamma", "dist", "dot", "e", "elu", "equal", "erf",
    "erfc", "exp", "exp2", "expm1", "fabs", "factorial", "floor", "fma", "fmod", "frexp",
    "fsum", "gamma", "gcd", "gelu", "hypot", "inf", "interp", "isclose", "isfinite", "isinf",
    "isnan", "isqrt", "lcm", "ldexp", "leaky_relu", "less", "lgamma", "log", "log10", "log1p",
    "log2", "log_softmax", "logaddexp", "logsigmoid", "logsumexp", "maximum", "minimum", "mod",
    "modf", "nan", "nextafter", "normal_cdf", "normal_pdf", "perm", "pi", "pow", "prod",
    "radians", "relu", "remainder", "sigmoid", "sign", "silu", "sin", "sinh", "softmax",
    "softplus", "sqrt", "step", "stop_gradient", "sumprod", "take", "tan", "tanh", "tau",
    "trunc", "ulp", "where",
]  # fmt: skip
