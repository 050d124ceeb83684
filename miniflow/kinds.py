"""The table's rows on other kinds of numbers: NumPy arrays, mpmath, fractions, decimals."""

import operator
import sys
from collections.abc import Callable, Iterable
from functools import reduce
from itertools import chain
from numbers import Real
from typing import Any

from miniflow.ops import TABLE
from miniflow.trees import is_array


class Kind(dict[str, Callable[..., Any]]):
    """What rows do to one kind of numbers, by their names; `literal` makes one of a float."""

    def __init__(
        self, what: str, literal: Callable[[float], Any],
        *parts: Iterable[tuple[str, Callable[..., Any]]],
    ) -> None:  # fmt: skip
        super().__init__(chain(*parts))
        self.what = what
        self.literal = literal

    def __missing__(self, name: str) -> Callable[..., Any]:
        raise TypeError(f"the operation {name} is unknown for {self.what}; use floats")


def _sign(x: Any) -> Any:
    return (x > 0) - (x < 0) if x == x else x


# What needs nothing but a number's operators and comparisons.
ALGEBRA: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "neg": operator.neg,
    "pos": operator.pos,
    "stop_gradient": operator.pos,
    "abs": abs,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "fma": lambda a, b, c: a * b + c,
    "less": lambda a, b: int(a < b),
    "equal": lambda a, b: int(a == b),
    "step": lambda x: int(x > 0),
    "sign": _sign,
    "where": lambda c, a, b: a if c else b,
    "maximum": lambda a, b: a if a >= b or a != a else b,
    "minimum": lambda a, b: a if a <= b or a != a else b,
    "sum": lambda *xs: reduce(operator.add, xs),
    "fsum": lambda *xs: reduce(operator.add, xs),
    "dot": lambda *xs: reduce(operator.add, map(operator.mul, xs, xs[len(xs) // 2 :])),
    "copysign": lambda a, b: abs(a) if b >= 0 else -abs(a),
}
ROUNDING: dict[str, Callable[..., Any]] = {
    "floor": lambda x: x // 1,
    "ceil": lambda x: -(-x // 1),
    "trunc": lambda x: x // 1 if x >= 0 else -(-x // 1),
    "rint": round,
}
# mpmath's functions that have another name there; its fmod is Python's %
MPMATH = {"lgamma": "loggamma", "rint": "nint", "fmod": ""}


def arithmetic(xs: Iterable[Any]) -> Kind | None:
    """What rows do to such numbers; None if they are plain real numbers."""
    for x in xs:
        if is_array(x):
            return _arrays()
        if type(x).__module__.startswith("mpmath"):
            return _mpmath(x)
        plain = isinstance(x, (float, int)) or hasattr(x, "dtype")
        if not plain and (isinstance(x, Real) or type(x).__module__ in ("decimal", "_decimal")):
            return Kind(type(x).__name__, type(x), ALGEBRA.items(), ROUNDING.items())
    return None


def _arrays() -> Kind:
    """Element by element, each to the bit what it is for a float."""
    numpy = sys.modules["numpy"]
    quiet = numpy.errstate(all="ignore")
    same = ("add", "sub", "mul", "neg", "pos", "abs", "stop_gradient")
    rows = [
        (name, numpy.vectorize(op.value, otypes=[float]))
        for name, op in TABLE.items()
        if name not in same
    ]
    return Kind("arrays", float, rows, [(name, quiet(ALGEBRA[name])) for name in same])


def _mpmath(x: Any) -> Kind:
    """Mpmath's functions, in the context that the numbers belong to."""
    context = x.context
    names = {name: MPMATH.get(name, name) for name in TABLE}
    rows = [
        (name, getattr(context, other))
        for name, other in names.items()
        if hasattr(context, other) and name not in ALGEBRA
    ]
    return Kind("mpmath", context.mpf, ALGEBRA.items(), ROUNDING.items(), rows)
