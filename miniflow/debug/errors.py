"""`rounding`: how far a value and its gradient may be from what exact arithmetic gives.

Each entry has a *local error*: what its own rounding has lost, and what a straight line lacks of
the operation between the numbers that its operands may be. The error of the result is the sum of
local errors, each times the adjoint of its entry; so the bound is the sum of their sizes.
The rounding of arithmetic is computed, not estimated (as fractions); functions of the table are
taken to be off by at most 4 units in the last place. Leaves and plain numbers count as exact.

Sources: Linnainmaa (1976) for adjoints of rounding errors; Iri (1991), Langlois (2001).
"""

import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from math import inf, isfinite, isnan, log2, log10, nextafter, ulp
from typing import Any, NamedTuple

from miniflow.debug.answers import Answer
from miniflow.debug.autopsy import contributions
from miniflow.debug.contributions import a_value, own_value
from miniflow.debug.noted import SourceLine
from miniflow.debug.wording import Words, digits
from miniflow.ops import Op, constant, leaf
from miniflow.tape.core import Table, Value, current
from miniflow.tape.pullback import pullback
from miniflow.util import trees

UNITS = 4.0  # in the last place: what a function of the table may be off by
WORST_SHOWN = 5
OF_ADJOINTS = 2.0**-40  # of the sizes of all contributions: what an adjoint itself may be off by
EXACT_ROWS = frozenset((
    "abs", "ceil", "copysign", "equal", "exponent", "floor", "fmod", "less", "max_of", "maximum",
    "min_of", "minimum", "neg", "pos", "relu", "remainder", "rint", "sign", "step",
    "stop_gradient", "take", "tally", "trunc", "where",
))  # fmt: skip
# sums of terms that cancel: the error is one of the largest term
CANCELLING = {"digamma": 8.0, "gamma": 8.0, "lgamma": 8.0}
WIDE = 3  # operands of which all corners are looked at


class Certain(NamedTuple):
    """A number with a bound on its error.

    Attributes:
        name: what it is.
        number: as it was computed.
        bound: how far it is from the exact one, at most.
    """

    name: str
    number: float
    bound: float

    def __str__(self) -> str:
        if not isfinite(self.bound):
            return f"{self.name} = {digits(self.number)}, and not a digit of it is certain"
        sure = f"{_sure_digits(self.number, self.bound)} digits" if self.bound else "exact"
        return f"{self.name} = {self.number!r}  +- {self.bound:.2g}  ({sure})"


def _sure_digits(number: float, bound: float) -> int:
    return max(0, int(-log10(bound / abs(number)))) if number else 0


class Loss(NamedTuple):
    """An operation whose operands cancel: it makes their relative errors larger.

    Attributes:
        bits: how many leading bits go.
        text: the operation on its numbers.
        line: where it stands, if that was noted.
        error: what the errors of its operands make of the result's.
    """

    bits: float
    text: str
    line: SourceLine | None
    error: float

    def __str__(self) -> str:
        where = f"  {self.line}" if self.line else ""
        return (
            f"{self.text} cancels {self.bits:.0f} bits, error of the result {self.error:.2g}{where}"
        )


class Rounding(Answer):
    """Bounds on rounding errors.

    Attributes:
        value: the result, with a bound.
        gradients: the derivative by each leaf, with a bound.
        worst: the operations that cancel worst, the worst first.
        unseen: compiled functions, of which only the last rounding counts.
    """

    def __init__(
        self, value: Certain, gradients: list[Certain], worst: list[Loss], unseen: list[str],
        root: Value, marked: dict[Value, str],
    ) -> None:  # fmt: skip
        self.value, self.gradients, self.worst = value, gradients, worst
        self.unseen, self.root, self.marked = unseen, root, marked

    @property
    def text(self) -> str:
        parts = [str(self.value), *[f"  {x}" for x in self.gradients]]
        parts += ["what cancels worst:"] * bool(self.worst)
        parts += [f"  {x}" for x in self.worst]
        parts += [f"  counted as one operation: {name}" for name in dict.fromkeys(self.unseen)]
        return "\n".join(parts)


def rounding(y: Any, sources: Any = None) -> Rounding:
    """How far the value of `y` and its gradient may be off by rounding.

    Args:
        y: a Value.
        sources: the leaves whose derivatives are looked at, nested; all by default. Each takes
            a sweep of its own.

    Returns:
        An answer with the value, each derivative, a bound for each, and the operations that
        cancel worst. A bound is inf where rounding may change anything: close to a pole. Branches
        that Python's ``if`` has taken count as right.

    Raises:
        TypeError: `y` or a source is not a Value.
        RuntimeError: `y` was computed on another thread, or a leaf's data was set since.

    Example:
        >>> x = Value(1e-8, label="x")
        >>> print(rounding((1.0 + x) - 1.0).worst[0])
        1.00000001 - 1.0 cancels 27 bits, error of the result 6.1e-17
    """
    table = current()
    y = own_value(table, "rounding", a_value("rounding", "y", y))
    with table.hold():
        table.refuse_stale([y._entry])
        n = y._entry
        words = Words(table, sys._getframe(1))
        wanted = _wanted(table, n, sources)
        analysis = Analysis(table, n)
        value = Certain(words.name(n) or "y", table.value_of(n), analysis.bound)
        given = frozenset(
            [table.value_of(x) for x in table.reached([n]) if table.op(x) is constant]
        )
        # the seed is a Value: so no product of plain numbers is computed off the tape
        start, slopes = table.count, pullback([y], [Value(1.0)], wanted, recorded=True)
        names = [_name_of(words, v, k) for k, v in enumerate(wanted)]
        gradients = [
            _slope_bound(table, f"d({value.name})/d({name})", slope, start, given)
            for name, slope in zip(names, slopes, strict=True)
        ]
        worst = analysis.losses(words)
        marked = {table.handle(x): "cancels" for x, _ in worst}
        found = [loss for _, loss in worst]
        return Rounding(value, gradients, found, analysis.unseen, y, marked)


def _wanted(table: Table, n: int, sources: Any) -> list[Value]:
    if sources is not None:
        return [a_value("rounding", "a source", v) for v in trees.flatten(sources)]
    return [table.handle(x) for x in reversed(table.reached([n])) if table.op(x) is leaf]


def _name_of(words: Words, v: Value, k: int) -> str:
    entries = words.table.entries_of(v)
    return (words.name(entries[0]) if entries else v.label) or f"x{k}"


def _slope_bound(
    table: Table, name: str, slope: Any, start: int, given: frozenset[float]
) -> Certain:
    """A derivative with its bound; the sweep is recorded from entry `start` on."""
    if slope.__class__ is not Value:
        return Certain(name, float(slope), 0.0)
    (n,) = table.entries_of(slope)
    return Certain(name, table.value_of(n), Analysis(table, n, start, given).bound)


# --- the analysis -----------------------------------------------------------------


class Analysis:
    """The errors of what an entry comes from.

    Attributes:
        local: the local error of each entry.
        radius: how far each entry may be off.
        bound: how far the last one may be.
    """

    def __init__(
        self, table: Table, n: int, start: int = sys.maxsize, given: frozenset[float] = frozenset()
    ) -> None:
        self.table, self.start, self.given = table, start, given
        self.entries = table.reached([n])
        self.local: dict[int, float] = {}
        self.radius: dict[int, float] = {}
        self.adjoint: dict[int, float] = {n: 1.0}
        self.unseen: list[str] = []
        for x in reversed(self.entries):
            self._forward(x)
        self.bound = min(self._backward(n), self.radius[n])

    def _forward(self, n: int) -> None:
        table, op, operands = self.table, self.table.op(n), self.table.operands(n)
        self.local[n] = self.radius[n] = 0.0
        if not operands:
            if op is constant and n >= self.start:
                self.local[n] = self.radius[n] = self._of_formula(table.value_of(n))
            return
        self.unseen += [op.name] * op.name.endswith(")")
        xs, y = [table.value_of(x) for x in operands], table.value_of(n)
        radii = [self.radius[x] for x in operands]
        lost, spread, moved = local_rounding(op, xs, y), 0.0, False
        if any(radii):
            slopes, bends = _over_box(op, xs, radii, y)
            if _may_hide_a_pole(op, slopes, bends, radii, y):
                lost = inf
            lost += sum([b * r for b, r in zip(bends, radii, strict=True) if r])
            lost += _jumps(op, xs, radii, y)
            moves = [(abs(s), r) for s, r in zip(slopes, radii, strict=True) if s and r]
            moved, spread = bool(moves), sum([s * r for s, r in moves])
        self.local[n] = inf if isnan(lost) else lost
        total = self.local[n] + spread
        self.radius[n] = _upward(total, 1e-12) if total or moved else 0.0

    def _of_formula(self, x: float) -> float:
        """How far a number in a formula of the table may be off: those like pi are rounded."""
        short = not isfinite(x) or (x * 2.0**26) % ulp(x * 2.0**52) == 0.0
        return 0.0 if short or x in self.given else 2.0 * ulp(x)

    def _backward(self, n: int) -> float:
        """The sum of local errors, each times its adjoint."""
        sizes, found = {n: 1.0}, 0.0
        for x in self.entries:
            if x not in self.adjoint:
                continue
            if self.local[x]:
                weight = abs(self.adjoint[x]) + OF_ADJOINTS * sizes[x]
                found = _upward(found + self.local[x] * weight, 0.0)
            operands = self.table.operands(x)
            for s in contributions(self.table, x, self.adjoint[x], constants=True):
                to = operands[s.k]
                self.adjoint[to] = self.adjoint.get(to, 0.0) + s.amount
                sizes[to] = sizes.get(to, 0.0) + sizes[x] * abs(s.slope)
        return _upward(found, 1e-9) if found else 0.0

    def losses(self, words: Words) -> list[tuple[int, Loss]]:
        """The operations that cancel worst, with their entries."""
        found: list[tuple[int, Loss]] = []
        for n in self.entries:
            bits = self._lost_bits(n)
            error = self.radius[n] * abs(self.adjoint.get(n, 0.0))
            if bits >= 1 and error > 0:
                found.append((n, Loss(bits, words.calculation(n), words.line(n), error)))
        return sorted(found, key=lambda x: (-x[1].bits, -x[1].error))[:WORST_SHOWN]

    def _lost_bits(self, n: int) -> float:
        table = self.table
        if table.op(n).name not in ("add", "sub", "sum", "fsum", "dot", "fma"):
            return 0.0
        operands, y = table.operands(n), abs(table.value_of(n))
        if not any(self.radius[x] for x in operands):
            return 0.0
        largest = max(_terms(table.op(n), [table.value_of(x) for x in operands]))
        if not (isfinite(largest) and isfinite(y)) or largest <= y:
            return 0.0
        return min(log2(largest) - log2(y), 1074.0) if y else 1074.0


def _upward(x: float, share: float) -> float:
    """A number rounded up, by a share besides: what underflows is not lost; inf for NaN."""
    return inf if isnan(x) else nextafter(x * (1 + share), inf)


def _terms(op: Op, xs: Sequence[float]) -> list[float]:
    """The sizes of what is added up."""
    half = len(xs) // 2
    if op.name == "dot":
        return [abs(a * b) for a, b in zip(xs[:half], xs[half:], strict=True)]
    return [abs(xs[0] * xs[1]), abs(xs[2])] if op.name == "fma" else list(map(abs, xs))


def _may_hide_a_pole(
    op: Op, slopes: list[float], bends: list[float], radii: list[float], y: float
) -> bool:
    """Whether an operation bends so much between its corners that there may be a pole."""
    if op.name in ("mul", "dot", "fma", "complement") or op.selects:
        return False
    return any(
        r and 2 * bend >= abs(slope) and 4 * abs(slope) * r >= abs(y) > 0.0
        for slope, bend, r in zip(slopes, bends, radii, strict=True)
    )


def _over_box(
    op: Op, xs: list[float], radii: list[float], y: float
) -> tuple[list[float], list[float]]:
    """For each operand the largest slope between the numbers that all may be, and how far it is
    from the slope at hand.
    """
    if not all(map(isfinite, radii)):
        return [inf] * len(xs), [inf] * len(xs)
    here = [op.partial(k, xs, y) if op.follows(k) else 0.0 for k in range(len(xs))]
    if op.name in ("sum", "fsum"):
        return here, [0.0] * len(xs)
    largest, furthest = list(map(abs, here)), [0.0] * len(xs)
    for corner in _corners(xs, radii):
        at = op.number(*corner)
        for k in range(len(xs)):
            if op.follows(k):
                slope = op.partial(k, corner, at)
                gap = abs(slope - here[k])
                largest[k] = _larger(largest[k], abs(slope))
                furthest[k] = _larger(furthest[k], gap)
    return largest, furthest


def _larger(a: float, b: float) -> float:
    return inf if isnan(b) or isnan(a) else max(a, b)


def _corners(xs: list[float], radii: list[float]) -> list[list[float]]:
    """Points at the corners of the box; of many operands all up, all down and alternating."""
    if len(xs) <= WIDE:
        signs = list(product((-1, 1), repeat=len(xs)))
    else:
        up = [1] * len(xs)
        turns = [1 if k % 2 else -1 for k in range(len(xs))]
        signs = [tuple(s * f for s in each) for each in (up, turns) for f in (1, -1)]
    return [[x + s * r for x, s, r in zip(xs, each, radii, strict=True)] for each in signs]


def _jumps(op: Op, xs: list[float], radii: list[float], y: float) -> float:
    """What the value may change by an operand that it does not follow: a condition, a step."""
    found = 0.0
    for k, r in enumerate(radii):
        if r and not op.follows(k):
            for end in (nextafter(xs[k] - r, -inf), nextafter(xs[k] + r, inf)):
                found = _larger(found, abs(op.number(*xs[:k], end, *xs[k + 1 :]) - y))
    return found


# --- what one rounding loses ------------------------------------------------------


def local_rounding(op: Op, xs: list[float], y: float) -> float:
    """How far the value of an operation is from the exact one, at most."""
    if op.name in EXACT_ROWS:
        return 0.0
    if not isfinite(y) or not all(map(isfinite, xs)):
        return inf
    if op.name in RESIDUALS:
        lost = abs(RESIDUALS[op.name](y, *map(Fraction, xs)))
        return _upward(float(lost), 1e-15) if lost else 0.0
    return UNITS * ulp(max(abs(y), CANCELLING.get(op.name, 0.0)))


def _sum_of_products(y: float, *xs: Fraction) -> Fraction:
    half = len(xs) // 2
    return sum((a * b for a, b in zip(xs[:half], xs[half:], strict=True)), Fraction(0)) - Fraction(
        y
    )


def _root_residual(y: float, x: Fraction) -> Fraction:
    root = Fraction(y)
    return (root * root - x) / (2 * root) * Fraction(1000001, 1000000) if y else Fraction(0)


RESIDUALS: dict[str, Callable[..., Fraction]] = {
    "add": lambda y, a, b: a + b - Fraction(y),
    "sub": lambda y, a, b: a - b - Fraction(y),
    "mul": lambda y, a, b: a * b - Fraction(y),
    "div": lambda y, a, b: a / b - Fraction(y),
    "fma": lambda y, a, b, c: a * b + c - Fraction(y),
    "sum": lambda y, *xs: sum(xs, Fraction(0)) - Fraction(y),
    "fsum": lambda y, *xs: sum(xs, Fraction(0)) - Fraction(y),
    "complement": lambda y, x: 1 - x * x - Fraction(y),
    "dot": _sum_of_products,
    "sqrt": _root_residual,
}
