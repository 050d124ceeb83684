"""The table's rows in any precision: the value of each, written from the mathematics.

A *twin* answers as its row does, in mpmath's numbers. It gets the context ``mp`` first and then
the operands. `tests/test_ops.py` compares the rows with a judge of its own; twins are compared
with the rows in `tests/testing/test_twins.py`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from miniflow.ops import BUILTIN, Op

# Functions that mpmath has by the row's own name.
NAMESAKES = frozenset((
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "cos", "cosh", "degrees",
    "digamma", "erf", "erfc", "exp", "expm1", "floor", "gamma", "hypot", "log", "log10", "log1p",
    "radians", "sign", "sin", "sinh", "sqrt", "tan", "tanh",
))  # fmt: skip


@cache
def context() -> Any:
    """A context of mpmath's of our own, so that the precision of others stays.

    Raises:
        ImportError: mpmath is not installed.
    """
    import mpmath

    return mpmath.mp.clone()


def twin(op: Op) -> Callable[..., Any] | None:
    """A row's value as a function of mpmath's numbers, without the context; None if unknown."""
    if op not in BUILTIN:
        return None
    mp = context()
    if op.name in NAMESAKES:
        return getattr(mp, op.name)  # type: ignore[no-any-return]
    found = TWINS.get(op.name)
    return None if found is None else lambda *xs: found(mp, *xs)


# --- parts of the formulas --------------------------------------------------------


def _even(mp: Any, x: Any) -> Any:
    """The nearest whole number; the even one if two are as near."""
    low = mp.floor(x)
    over = x - low - 0.5
    return low + (over > 0 or (over == 0 and low % 2 == 1))


def _truncated(mp: Any, x: Any) -> Any:
    return mp.sign(x) * mp.floor(abs(x))


def _decimal(mp: Any, x: Any, digits: Any) -> Any:
    power = mp.mpf(10) ** int(digits)
    return _even(mp, x * power) / power


def _logistic(mp: Any, x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _item_at(mp: Any, i: Any, *xs: Any) -> Any:
    return xs[max(0, min(int(mp.floor(i)), len(xs) - 1))]


def _products(mp: Any, *xs: Any) -> Any:
    half = len(xs) // 2
    return mp.fsum(a * b for a, b in zip(xs[:half], xs[half:], strict=True))


def _power_logs(mp: Any, a: Any, b: Any, n: Any) -> Any:
    return a**b * mp.log(a) ** n if a else mp.zero


TWINS: dict[str, Callable[..., Any]] = {
    "add": lambda mp, a, b: a + b,
    "sub": lambda mp, a, b: a - b,
    "mul": lambda mp, a, b: a * b,
    "div": lambda mp, a, b: a / b,
    "pow": lambda mp, a, b: a**b,
    "power_log": _power_logs,
    "neg": lambda mp, x: -x,
    "pos": lambda mp, x: x,
    "abs": lambda mp, x: abs(x),
    "stop_gradient": lambda mp, x: x,
    "floordiv": lambda mp, a, b: mp.floor(a / b),
    "mod": lambda mp, a, b: a - b * mp.floor(a / b),
    "fmod": lambda mp, a, b: a - b * _truncated(mp, a / b),
    "remainder": lambda mp, a, b: a - b * _even(mp, a / b),
    "fma": lambda mp, a, b, c: a * b + c,
    "trunc": _truncated,
    "rint": _even,
    "round_to": _decimal,
    "less": lambda mp, a, b: mp.mpf(a < b),
    "equal": lambda mp, a, b: mp.mpf(a == b),
    "step": lambda mp, x: mp.mpf(x > 0),
    "where": lambda mp, c, a, b: a if c else b,
    "maximum": lambda mp, a, b: max(a, b),
    "minimum": lambda mp, a, b: min(a, b),
    "copysign": lambda mp, a, b: abs(a) * (1 if b >= 0 else -1),
    "ldexp": lambda mp, a, b: a * mp.mpf(2) ** int(b),
    "nextafter": lambda mp, a, b: a,  # as far as any derivative can tell
    "exponent": lambda mp, x: mp.mpf(mp.frexp(x)[1]),
    "exp2": lambda mp, x: mp.mpf(2) ** x,
    "log2": lambda mp, x: mp.log(x, 2),
    "cbrt": lambda mp, x: mp.sign(x) * mp.cbrt(abs(x)),
    "unit": lambda mp, a, b: a / mp.hypot(a, b),
    "complement": lambda mp, x: (1 - x) * (1 + x),
    "sech2": lambda mp, x: mp.sech(x) ** 2,
    "gaussian": lambda mp, x: mp.exp(-x * x),
    "normal_pdf": lambda mp, x: mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi),
    "normal_cdf": lambda mp, x: mp.erfc(-x / mp.sqrt(2)) / 2,
    "lgamma": lambda mp, x: mp.loggamma(x) if x > 0 else mp.log(abs(mp.gamma(x))),
    "cotpi": lambda mp, x: mp.cot(mp.pi * x),
    "hurwitz_zeta": lambda mp, s, x: mp.zeta(s, x),
    "relu": lambda mp, x: max(x, mp.zero),
    "leaky_relu": lambda mp, x, slope: x if x > 0 else slope * x,
    "elu": lambda mp, x, alpha: x if x > 0 else alpha * mp.expm1(x),
    "sigmoid": _logistic,
    "softplus": lambda mp, x: mp.log1p(mp.exp(x)),
    "logsigmoid": lambda mp, x: -mp.log1p(mp.exp(-x)),
    "logaddexp": lambda mp, a, b: max(a, b) + mp.log1p(mp.exp(-abs(a - b))),
    "silu": lambda mp, x: x * _logistic(mp, x),
    "gelu": lambda mp, x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    "sum": lambda mp, *xs: mp.fsum(xs),
    "fsum": lambda mp, *xs: mp.fsum(xs),
    "dot": _products,
    "max_of": lambda mp, *xs: max(xs),
    "min_of": lambda mp, *xs: min(xs),
    "tally": lambda mp, x, *xs: mp.mpf(sum(x == other for other in xs)),
    "take": _item_at,
}
