"""How far operands are from where a row has no derivative: a kink, a jump, a pole, a domain's end.

The row's `domain` says where its value is finite; DISTANCES has what that does not say.
"""

import math
from collections.abc import Callable, Sequence

from miniflow.operation import BASE, Op


def _spread(*xs: float) -> float:
    """How far the two largest of some numbers are apart."""
    *_, second, first = sorted((-math.inf, *xs))
    return first - second if len(xs) > 1 else math.inf


def _to_whole(x: float) -> float:
    """How far a number is from the nearest whole one; those of 2**52 and more are whole."""
    return abs(x - round(x)) if math.isfinite(x) else 0.0


def _to_next_turn(a: float, b: float) -> float:
    """How far a rest of a division is from its jump, as a share of the divisor."""
    return min(abs(b), _to_whole(a / b)) if b else 0.0


def _half_turn(a: float, b: float) -> float:
    return _to_next_turn(2 * a, b) if b else 0.0


def _branch_cut(a: float, b: float) -> float:
    return abs(a) if b <= 0 else math.hypot(a, b)


def _to_pole(x: float) -> float:
    """How far the gamma function's argument is from 0, -1, -2, and so on."""
    return x if x > 0 else _to_whole(x)


def _to_zero(x: float, *others: float) -> float:
    return abs(x)


def _to_divisors_zero(a: float, b: float) -> float:
    return abs(b)


def _distance_between(a: float, b: float) -> float:
    return abs(a - b)


DISTANCES: dict[str, Callable[..., float]] = {
    **dict.fromkeys(("abs", "relu", "cbrt", "sign", "step", "leaky_relu", "elu"), _to_zero),
    **dict.fromkeys(("where", "sqrt", "log", "log2", "log10", "pow", "power_log"), _to_zero),
    **dict.fromkeys(("maximum", "minimum", "less", "equal"), _distance_between),
    **dict.fromkeys(("hypot", "unit"), math.hypot),
    **dict.fromkeys(("gamma", "lgamma", "digamma"), _to_pole),
    **dict.fromkeys(("floor", "ceil", "trunc", "cotpi"), _to_whole),
    **dict.fromkeys(("mod", "fmod", "floordiv"), _to_next_turn),
    "remainder": _half_turn,
    "rint": lambda x: _to_whole(x + 0.5),
    "round_to": lambda a, b: _to_whole(a * 10.0**b + 0.5) if abs(b) < 15 else 0.0,
    "div": _to_divisors_zero,
    "tan": lambda x: abs(math.cos(x)) if math.isfinite(x) else 0.0,
    "atan2": _branch_cut,
    "copysign": lambda a, b: min(abs(a), abs(b)),
    "ldexp": lambda a, b: math.inf,
    "max_of": _spread,
    "min_of": lambda *xs: _spread(*[-x for x in xs]),
    "tally": lambda x, *xs: min([abs(x - other) for other in xs], default=math.inf),
    "take": lambda i, *xs: _to_whole(i + 0.5),
    "hurwitz_zeta": lambda s, x: abs(x),
}


def smooth(op: Op) -> bool:
    """Whether a row has derivatives by every operand, to any order, all over its domain."""
    return op.selects in (0, BASE) and not op.flat and all(map(op.follows, range(op.arity)))


def intervals(op: Op, count: int) -> list[tuple[float, float]]:
    """The domain of each of so many operands."""
    return list(op.domain) if op.arity >= 0 else [op.domain[0]] * count


def distance_to_kink(op: Op, operands: Sequence[float]) -> float:
    """How far operands are from where the row has no derivative; negative outside its domain.

    Example:
        >>> from miniflow.ops import TABLE
        >>> distance_to_kink(TABLE["maximum"], (3.0, 1.0)), distance_to_kink(TABLE["log"], (-2.0,))
        (2.0, -2.0)
    """
    if not all(map(math.isfinite, operands)):
        return -math.inf
    ends = [
        min(x - low, high - x)
        for x, (low, high) in zip(operands, intervals(op, len(operands)), strict=True)
    ]
    rule = DISTANCES.get(op.name)
    return min([*ends, *([rule(*operands)] if rule else [])])
