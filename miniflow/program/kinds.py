"""The table's rows on other kinds of numbers: NumPy arrays, mpmath, fractions, decimals."""

import math
import operator
import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import reduce
from itertools import chain
from numbers import Real
from typing import Any

from miniflow import floats
from miniflow.ops import (
    TABLE,
    absolute,
    add,
    equal,
    less,
    maximum,
    minimum,
    mul,
    neg,
    pos,
    step,
    stop_gradient,
    sub,
    where,
)  # fmt: skip
from miniflow.util.trees import is_array

Rows = Iterable[tuple[str, Callable[..., Any]]]


class Kind(dict[str, Callable[..., Any]]):
    """What rows do to one kind of numbers, by their names; `literal` makes one of a float."""

    def __init__(self, what: str, literal: Callable[[Any], Any], *parts: Rows) -> None:
        super().__init__(chain(*parts))
        self.what = what
        self.literal = literal

    def __missing__(self, name: str) -> Callable[..., Any]:
        raise TypeError(f"the operation {name} is unknown for {self.what}; use floats")


# What needs nothing but a number's operators and comparisons.
ALGEBRA: dict[str, Callable[..., Any]] = {
    **{op.name: op.value for op in (add, sub, mul, neg, pos, stop_gradient, absolute)},
    **{op.name: op.value for op in (where, maximum, minimum)},
    "div": operator.truediv,
    "pow": operator.pow,
    "fma": lambda a, b, c: a * b + c,
    "sum": lambda *xs: reduce(operator.add, xs),
    "fsum": lambda *xs: reduce(operator.add, xs),
    "dot": lambda *xs: reduce(operator.add, map(operator.mul, xs, xs[len(xs) // 2 :])),
    "max_of": floats.largest,
    "min_of": floats.smallest,
    "take": lambda i, *xs: xs[max(0, min(math.floor(i), len(xs) - 1))],
    "copysign": lambda a, b: -abs(a) if b < 0 else abs(a),
}
# What gives whole numbers.
WHOLE: dict[str, Callable[..., Any]] = {
    **{op.name: op.value for op in (less, equal, step)},
    "sign": lambda x: (x > 0) - (x < 0),
    "tally": floats.count_equal,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "rint": round,
    "floordiv": lambda a, b: math.floor(Fraction(a) / Fraction(b)),
}


def arithmetic(xs: Iterable[Any]) -> Kind | None:
    """What rows do to such numbers; None if they are plain real numbers."""
    for x in xs:
        if is_array(x):
            return _arrays()
        if type(x).__module__.startswith("mpmath"):
            return _mpmath(x)
        plain = isinstance(x, (float, int)) or hasattr(x, "dtype")
        if not plain and (isinstance(x, Real) or type(x).__module__ in ("decimal", "_decimal")):
            return _exact(type(x))
    return None


def _exact(kind: type) -> Kind:
    """Fractions and decimals."""

    def literal(x: Any) -> Any:
        return kind(x) if math.isfinite(x) else x

    def whole(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *xs: literal(int(f(*xs)))

    rows = {name: whole(f) for name, f in WHOLE.items()}
    rows["mod"] = lambda a, b: a - b * rows["floordiv"](a, b)
    return Kind(kind.__name__, literal, ALGEBRA.items(), rows.items())


def _arrays() -> Kind:
    """Element by element, each to the bit what it is for a float."""
    numpy = sys.modules["numpy"]
    quiet = numpy.errstate(all="ignore")
    direct = ("add", "sub", "mul", "neg", "pos", "abs", "stop_gradient")
    each = {name: numpy.vectorize(op.value, otypes=[float]) for name, op in TABLE.items()}
    each |= {name: ALGEBRA[name] for name in direct}

    def literal(x: Any) -> Any:
        return numpy.asarray(x, dtype=float) if is_array(x) else float(x)

    return Kind("arrays", literal, [(name, quiet(f)) for name, f in each.items()])


def _mpmath(x: Any) -> Kind:
    """Mpmath's functions, in the context that the numbers belong to."""
    mp = x.context
    rows = {name: getattr(mp, name) for name in TABLE if hasattr(mp, name) and name not in ALGEBRA}
    del rows["fmod"]  # it is Python's %
    rows |= {
        **{name: lambda *xs, f=f: mp.mpf(int(f(*xs))) for name, f in WHOLE.items()},
        "floor": mp.floor,
        "ceil": mp.ceil,
        "rint": mp.nint,
        "trunc": lambda x: mp.floor(x) if x >= 0 else mp.ceil(x),
        "floordiv": lambda a, b: mp.floor(a / b),
        "mod": lambda a, b: a - b * mp.floor(a / b),
        "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
        "cotpi": lambda x: mp.cospi(x) / mp.sinpi(x),
        "hurwitz_zeta": mp.zeta,
        "lgamma": lambda x: mp.re(mp.loggamma(x)),
    }
    return Kind("mpmath", mp.mpf, ALGEBRA.items(), rows.items())
