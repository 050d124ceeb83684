"""The standard library's `math`, differentiable: a drop-in for numbers and Values.

``from miniflow import math`` ports a scalar program by its import line. With plain
numbers every function returns plain numbers; with at least one Value it records.
Answers are IEEE 754's, where `math` would raise: ``log(0)`` is -inf, ``sqrt(-1)`` nan.
"""

import math as _math
import operator as _operator
from collections.abc import Iterable
from functools import reduce as _reduce
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
    maximum,
    minimum,
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
from miniflow.util.habits import OTHER_NAMES as _OTHER_NAMES
from miniflow.util.habits import advice as _advice
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


def _listed(xs: tuple[Any, ...], name: str) -> list[Any]:
    """The arguments, or the items of the only one."""
    items = list(xs[0]) if len(xs) == 1 and isinstance(xs[0], Iterable) else list(xs)
    if not items:
        raise ValueError(f"{name}: no numbers; give at least one")
    return items


def _fold(op: _ops.Op, items: list[Any], name: str = "") -> Any:
    first, *rest = items
    try:
        return _reduce(op, rest, first if first.__class__ is _Value else _ops.real(first))
    except TypeError:
        _check_items(name or op.name, items)
        raise


def max(*xs: Any) -> Scalar:
    """The largest of the numbers, or of one iterable's; ties share the derivative.

    NaN if one of them is NaN. Among n equal ones the shares are halved from the left.
    """
    return _fold(maximum, _listed(xs, "max"))


def min(*xs: Any) -> Scalar:
    """The smallest of the numbers, or of one iterable's; ties share the derivative."""
    return _fold(minimum, _listed(xs, "min"))


def hypot(*xs: Scalar) -> Scalar:
    """The Euclidean length of the vector of the numbers; 0.0 for none."""
    if len(xs) == 1:
        return fabs(xs[0])
    return _fold(_ops.hypot, list(xs)) if xs else 0.0


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


# --- what has no derivative but makes sense: of Values, comparisons --------------


def isfinite(x: Scalar) -> bool:
    """Whether x is neither infinite nor NaN."""
    return bool(abs(x) < inf) if x.__class__ is _Value else _math.isfinite(_ops.real(x))


def isinf(x: Scalar) -> bool:
    """Whether x is an infinity."""
    return bool(abs(x) == inf) if x.__class__ is _Value else _math.isinf(_ops.real(x))


def isnan(x: Scalar) -> bool:
    """Whether x is NaN."""
    return bool(x != x) if x.__class__ is _Value else _math.isnan(_ops.real(x))


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
    "erfc", "exp", "exp2", "expm1", "fabs", "factorial", "floor", "fma", "fmod", "fsum", "gamma",
    "gcd", "gelu", "hypot", "inf", "isclose", "isfinite", "isinf", "isnan", "isqrt", "lcm",
    "ldexp", "leaky_relu", "less", "lgamma", "log", "log10", "log1p", "log2", "logaddexp",
    "logsigmoid", "maximum", "minimum", "mod", "modf", "nan", "normal_cdf", "normal_pdf", "perm",
    "pi", "pow", "prod", "radians", "relu", "remainder", "sigmoid", "sign", "silu", "sin", "sinh",
    "softplus", "sqrt", "step", "stop_gradient", "sumprod", "tan", "tanh", "tau", "trunc", "ulp",
    "where",
]  # fmt: skip
