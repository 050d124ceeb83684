"""`kinks`: where a computation stands at a point at which an operation has no derivative.

An operand is moved a little to each side, and the row is asked for its value and its slope there:
so no list of kinks is needed, and operations of one's own are found, too.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from math import inf, isfinite, isinf, isnan
from typing import Any, NamedTuple

from miniflow.debug.answers import Answer
from miniflow.debug.contributions import a_value, own_value
from miniflow.debug.noted import SourceLine
from miniflow.debug.wording import Words, digits
from miniflow.ops import Op, constant
from miniflow.tape.core import Value, current
from miniflow.util import trees

NEAR, LEAST = 2.0**-45, 1e-300  # how far an operand is moved: by this share, by so much at 0
STEEP = 1e100  # a slope that large next to the point is infinite there
ALIKE = 1e-3  # slopes that differ by less are those of a smooth function


class Kink(NamedTuple):
    """A point at which an operation is not smooth in one of its operands.

    Attributes:
        text: the operation on its numbers.
        line: where it stands, if that was noted.
        operand: which operand was moved, counted from 0.
        used: the slope that a sweep takes there, by convention.
        left, right: the slopes on both sides; NaN where the function is not defined.
        jump: the values on both sides, where these differ; else None.
    """

    text: str
    line: SourceLine | None
    operand: int
    used: float
    left: float
    right: float
    jump: tuple[float, float] | None

    def __str__(self) -> str:
        sides = f"from the left {_slope(self.left)}, from the right {_slope(self.right)}"
        if self.jump is not None:
            low, high = map(_slope, self.jump)
            sides = f"it jumps: from the left {low}, from the right {high}"
        return f"{self.text}  slope used {_slope(self.used)}; {sides}"


def _slope(x: float) -> str:
    return "none" if isnan(x) else digits(x)


class Kinks(Answer):
    """The kinks that a computation stands at.

    Attributes:
        found: one `Kink` for each operand that is at one, in the order of recording.
        unseen: compiled functions, which are not looked into.
    """

    def __init__(
        self, found: list[Kink], unseen: list[str], root: Any, marked: dict[Value, str]
    ) -> None:
        self.found, self.unseen, self.root, self.marked = found, unseen, root, marked

    def __len__(self) -> int:
        return len(self.found)

    @property
    def text(self) -> str:
        parts = [f"{len(self.found)} kink{'s' * (len(self.found) != 1)}"]
        counts = Counter((str(x), x.line) for x in self.found)
        for (text, line), times in counts.items():
            often = f"  ({times} times)" if times > 1 else ""
            parts.append(f"  {text}{f'  {line}' if line else ''}{often}")
        parts += [f"  not looked into: {name}" for name in dict.fromkeys(self.unseen)]
        return "\n".join(parts)


def kinks(y: Any) -> Kinks:
    """Every operation behind `y` that stands at a kink: relu(0), a tie, sqrt(0), 0**0, a jump.

    Each with the slope that a sweep uses there (the conventions stand in ops.py) and the
    derivatives on both sides. A comparison by Python's ``if`` is on no tape, and so not seen.

    Args:
        y: a Value, or several in lists, tuples and dicts.

    Raises:
        TypeError: `y` is not made of Values.

    Example:
        >>> from miniflow import math
        >>> print(kinks(math.relu(Value(0.0)) * 2.0))
        1 kink
          relu(0.0)  slope used 0.0; from the left 0.0, from the right 1.0
    """
    table = current()
    roots = [own_value(table, "kinks", a_value("kinks", "y", v)) for v in trees.flatten(y)]
    found: list[Kink] = []
    marked: dict[Value, str] = {}
    unseen: list[str] = []
    with table.hold():
        words = Words(table, sys._getframe(1))
        table.refuse_stale([v._entry for v in roots])
        for n in reversed(table.reached([v._entry for v in roots])):
            op = table.op(n)
            if op.arity < 0 and not op.selects:
                unseen += [op.name] * op.name.endswith(")")
                continue
            here = list(_kinks_of(words, n))
            found += here
            marked |= dict.fromkeys([table.handle(n)] if here else [], "kink")
    return Kinks(found, unseen, y, marked)


def _kinks_of(words: Words, n: int) -> Iterator[Kink]:
    """The kinks of one entry, for each of its operands that moves."""
    table, op = words.table, words.table.op(n)
    operands = table.operands(n)
    xs, y = [table.value_of(x) for x in operands], table.value_of(n)
    if not all(map(isfinite, xs)):
        return
    for k, x in enumerate(operands):
        moves = table.op(x) is not constant
        if not (op.follows(k) or (op.flat and moves)):
            continue
        sides = [_moved(op, xs, k, sign) for sign in (-1, 1)]
        slope = op.partial(k, xs, y) if op.follows(k) else 0.0
        used = slope if moves else 0.0
        jump = _jump(y, slope, [value for value, _ in sides], xs[k])
        bent = moves and op.follows(k) and _bent(used, [slope for _, slope in sides])
        if jump or bent:
            left, right = [slope for _, slope in sides]
            yield Kink(words.calculation(n), words.line(n), k, used, left, right, jump)


def _moved(op: Op, xs: list[float], k: int, sign: int) -> tuple[float, float]:
    """The value and the slope of an operation with operand k moved to one side."""
    near = [*xs[:k], xs[k] + sign * max(abs(xs[k]) * NEAR, LEAST), *xs[k + 1 :]]
    value = op.number(*near)
    slope = op.partial(k, near, value) if op.follows(k) else 0.0
    if isnan(value):
        return value, value
    value = 0.0 if abs(value) <= LEAST else value
    return value, (inf if slope > 0 else -inf) if abs(slope) > STEEP else slope


def _jump(y: float, slope: float, values: Iterable[float], x: float) -> tuple[float, float] | None:
    """The values on both sides, if one is another than at the point."""
    low, high = values
    if isnan(low) or isnan(high) or isnan(y):
        return None
    rise = 1e-9 if isinf(slope) else 4 * abs(slope) * max(abs(x) * NEAR, LEAST)
    room = rise + 1e-6 * abs(y) + 1e-70
    return (low, high) if max(_gap(low, y), _gap(high, y)) > room else None


def _gap(a: float, b: float) -> float:
    return 0.0 if a == b else abs(a - b)


def _bent(used: float, slopes: list[float]) -> bool:
    """Whether the slopes on both sides differ, or there is none, or it is infinite."""
    left, right = slopes
    if isnan(left) or isnan(right) or isinf(left) or isinf(right):
        return True
    return abs(left - right) > ALIKE * max(abs(left), abs(right), 1e-200) or isnan(used)
