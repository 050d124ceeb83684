"""Is a rule right? Local derivatives, each judged on its own.

What a rule says is taken from the engine: the operation is recorded once, on Values of its own,
and swept. What is right comes from the operation's value alone: by its twin in mpmath's numbers,
or, for rows of a user's, by the judges that take its Python function.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from miniflow.ops import BUILTIN, Op, constant
from miniflow.tape.core import Value, here
from miniflow.tape.pullback import pullback
from miniflow.testing.graphs import HELD, CallGraph
from miniflow.testing.judges import (
    DOUBT,
    Curve,
    Estimate,
    complex_step,
    differences,
    exact,
    unknown,
)
from miniflow.testing.twins import context, twin
from miniflow.testing.verdicts import ROUNDING, SHARP

RULE_PASSES = 1e-9  # a rule's relative error that passes, besides the judge's own
WIDEST_ROW = 8  # operands by which an operation is differentiated twice
QUOTIENTS = frozenset(("floordiv", "mod", "fmod", "remainder"))  # they jump, and ever more closely
CLOSE = 1e12  # turns
# Rows without a kink or a pole anywhere.
SMOOTH = frozenset((
    "add", "sub", "mul", "neg", "pos", "fma", "exp", "exp2", "expm1", "sin", "cos", "tanh", "sinh",
    "cosh", "sech2", "sigmoid", "softplus", "logsigmoid", "gaussian", "normal_pdf", "normal_cdf",
    "erf", "erfc", "silu", "gelu", "atan", "asinh", "sum", "fsum", "dot", "complement", "degrees",
    "radians",
))  # fmt: skip


Judged = tuple[tuple[int, ...], float, Estimate]  # by what, what the rule says, what is right


class Fault(NamedTuple):
    """A local derivative that is wrong.

    Attributes:
        place: of the entry in the call graph.
        op, operands: the operation and the numbers that it was given.
        by: by which operands it is differentiated, from 0: one for each order.
        got, expected: the local derivative.
        judge: who says so.
    """

    place: int
    op: Op
    operands: tuple[float, ...]
    by: tuple[int, ...]
    got: float
    expected: float
    judge: str


class Rules:
    """The local derivatives of a call graph's entries, as far as they have been judged."""

    def __init__(self, graph: CallGraph) -> None:
        self.graph = graph
        self.known: dict[Any, list[Judged]] = {}

    def faults(self, order: int, *, every: bool) -> list[Fault]:
        """What is wrong up to an order, oldest entries first; of a user's rows only, or of all."""
        found = []
        for k in self.graph.steps():
            if every or self.graph.ops[k] not in BUILTIN:
                found += self._of_entry(k, order)
        return found

    def kinks(self, order: int) -> list[int]:
        """The entries whose operation has a kink, or a jump, where it is."""
        bumpy = [k for k in self.graph.steps() if self.graph.ops[k].name not in SMOOTH]
        return [k for k in bumpy if any(x.reason for _, _, x in self.judged(k, order))]

    def rule(self, k: int, order: int) -> tuple[list[float], dict[int, list[float]]]:
        """What the rules say of an entry; see `said`."""
        graph = self.graph
        xs = [graph.values[x] for x in graph.operands[k]]
        return said(graph.ops[k], xs, [graph.ops[x] is constant for x in graph.operands[k]], order)

    def _of_entry(self, k: int, order: int) -> list[Fault]:
        graph = self.graph
        op, xs = graph.ops[k], tuple([graph.values[x] for x in graph.operands[k]])
        found = self.judged(k, order)
        return [
            Fault(k, op, xs, by, got, _nearest(got, x), x.judge)
            for by, got, x in found
            if is_wrong(got, x, len(by), largest_of(found, len(by)))
        ]

    def judged(self, k: int, order: int) -> list[Judged]:
        """For each local derivative of an entry: by what, what the rule says, what is right."""
        graph = self.graph
        op, operands = graph.ops[k], graph.operands[k]
        xs = [graph.values[x] for x in operands]
        fixed = tuple([graph.ops[x] is constant for x in operands])
        key = (op, *map(repr, xs), fixed, order)
        if key not in self.known:
            self.known[key] = local(op, xs, fixed, order)
        return self.known[key]


def largest_of(found: Sequence[Judged], order: int) -> float:
    """The largest local derivative of that order."""
    sizes = [abs(x.value) for by, _, x in found if len(by) == order and not x.reason]
    return max([x for x in sizes if x < math.inf], default=0.0)


def is_wrong(got: float, expected: Estimate, order: int = 1, size: float = 0.0) -> bool:
    """Whether a local derivative cannot be right, as far as the judge can tell.

    Args:
        got: what the rule says.
        expected: what the judge says.
        order: how often the operation is differentiated.
        size: the largest of its derivatives of that order: what may cancel.
    """
    sides = expected.left, expected.right
    if not all(map(math.isfinite, sides)):
        return False
    if expected.reason:  # at a kink any slope between the sides will do
        if order > 1:
            return False
        share = SHARP * max(map(abs, sides)) + DOUBT * expected.error
        known = math.isfinite(expected.error) and expected.error <= 1e-3 * max(map(abs, sides))
        return known and not min(sides) - share <= got <= max(sides) + share
    off, doubt = abs(got - expected.value), DOUBT * expected.error
    return not off <= RULE_PASSES * abs(expected.value) + doubt + ROUNDING * size + TINY_SLOPE


TINY_SLOPE = 1e-290  # below it doubles lose digits


def _nearest(got: float, expected: Estimate) -> float:
    """The number that would have been right; at a kink the side that is nearer."""
    if not expected.reason:
        return expected.value
    return min((expected.left, expected.right), key=lambda side: abs(side - got))


# --- one operation ----------------------------------------------------------------


def local(op: Op, xs: Sequence[float], fixed: Sequence[bool], order: int) -> list[Judged]:
    """The local derivatives of an operation, up to order 2, with what they should be.

    Args:
        op: the operation.
        xs: its operands.
        fixed: which of them are plain numbers: by those nothing is differentiated.
        order: 1 or 2.
    """
    if not all(map(math.isfinite, xs)) or not math.isfinite(op.number(*xs)):
        return []
    free = [k for k, still in enumerate(fixed) if not (still or (op.name, k) in HELD)]
    first, second = said(op, xs, fixed, order)
    slack = rounding_of(op, xs, fixed, order)
    found: list[Judged] = []
    for j in free:
        if math.isfinite(first[j]):
            found.append(((j,), first[j], slack(slope(op, xs, j), j)))
    if order > 1 and len(free) <= WIDEST_ROW and not any(is_wrong(got, x) for _, got, x in found):
        for j in free:
            bends = second[j]
            for k in free:
                if math.isfinite(bends[k]):
                    found.append(((j, k), bends[k], slack(bend(op, xs, fixed, j, k), j, k)))
    return found


def rounding_of(
    op: Op, xs: Sequence[float], fixed: Sequence[bool], order: int
) -> Callable[..., Estimate]:
    """How an estimate is widened by what rules do with a result that is rounded: as in 1 - y*y."""
    y = op.number(*xs)
    first, second = said(op, xs, fixed, order)
    others = [said(op, xs, fixed, order, y + move) for move in (math.ulp(y), -math.ulp(y))]

    def widened(known: Estimate, j: int, k: int | None = None) -> Estimate:
        if k is None:
            pairs = [(first[j], one[j]) for one, _ in others]
        else:
            pairs = [(second[j][k], two[j][k]) for _, two in others]
        moved = max(abs(a - b) for a, b in pairs)
        return known._replace(error=known.error + moved) if math.isfinite(moved) else known

    return widened


def said(
    op: Op, xs: Sequence[float], fixed: Sequence[bool], order: int = 1, value: float | None = None
) -> tuple[list[float], dict[int, list[float]]]:
    """What the rules say: first derivatives by each operand, second ones by operand and operand.

    With `value` they say it of a result that is not quite the operation's.
    """
    operands = [x if still else Value(x) for x, still in zip(xs, fixed, strict=True)]
    sources = [v for v in operands if v.__class__ is Value]
    y = here.table.record(op, operands, value)

    def spread(found: list[Any]) -> list[Any]:
        each = iter(found)
        return [next(each) if v.__class__ is Value else 0.0 for v in operands]

    first = spread(pullback([y], [1.0], sources, recorded=False))
    second: dict[int, list[float]] = {}
    if order > 1:
        for k, v in enumerate(spread(pullback([y], [1.0], sources, recorded=True))):
            live = v.__class__ is Value
            second[k] = spread(
                pullback([v], [1.0], sources, recorded=False) if live else [0.0] * len(sources)
            )
    return first, second


def slope(op: Op, xs: Sequence[float], j: int) -> Estimate:
    """dy/d(operand j), from values."""
    return best(op.value, op, xs, (j,))


def bend(op: Op, xs: Sequence[float], fixed: Sequence[bool], j: int, k: int) -> Estimate:
    """The second derivative by operands j and k, from values; or from slopes that are right."""
    if twin(op) is not None:
        return best(op.value, op, xs, (j, k))

    def first(t: float) -> list[float]:
        moved = list(xs)
        moved[k] += t
        return [said(op, moved, fixed)[0][j]]

    return differences(first, _first_step_of(xs[k]))[0]


def _is_quotient(op: Op) -> bool:
    """Whether it is a quotient: it jumps once for each length of the divisor."""
    return op.name in QUOTIENTS and op in BUILTIN


def jumps_everywhere(op: Op, xs: Sequence[float]) -> bool:
    """Whether a quotient jumps so closely that no step is short enough beside its operands."""
    return _is_quotient(op) and not abs(xs[0]) < CLOSE * abs(xs[1])


def best(value: Any, op: Op, xs: Sequence[float], by: tuple[int, ...]) -> Estimate:
    """The sharpest estimate of an operation's derivative."""
    if jumps_everywhere(op, xs):
        return unknown("nobody", "it jumps everywhere nearby")
    mp_value = twin(op)
    smooth = op in BUILTIN and op.name in SMOOTH
    if mp_value is not None:
        found = exact(
            _shifted(mp_value, xs, by), _scale(xs, by), len(by),
            largest=max(1.0, *map(abs, xs)), sides=not smooth,
            wide=min(1.0, abs(xs[1])) if _is_quotient(op) else 1.0,
        )  # fmt: skip
        if found:
            return found[0]
    order = len(by)
    if order > 1:
        return unknown("nobody", "no judge takes it")
    curve = _shifted(value, xs, by)
    return sharpest(curve, _first_step_of(xs[by[0]]), 1)[0]


def sharpest(curve: Curve, step: float, count: int, largest: float = 1.0) -> list[Estimate]:
    """What is known of a curve's derivatives: that of doubles, or a sharper one that agrees."""
    rough = differences(curve, step)
    if len(rough) != count:
        return [unknown("nobody", "it has no value")] * count
    wide = exact(_wide(curve), min(step, 1.0), largest=largest)
    sharper = [each for each in (complex_step(curve), wide) if len(each) == count]
    return [_sharper(known, [each[k] for each in sharper]) for k, known in enumerate(rough)]


def _sharper(rough: Estimate, others: Sequence[Estimate]) -> Estimate:
    return next((x for x in others if _agree(rough, x)), rough)


def _agree(rough: Estimate, sharp: Estimate) -> bool:
    """Whether a sharper judge says what doubles say, as far as these can tell."""
    if rough.reason or sharp.reason:
        return False
    doubt = DOUBT * rough.error
    return doubt <= 1e-3 * abs(sharp.value) and abs(rough.value - sharp.value) <= doubt


def _wide(curve: Curve) -> Curve:
    """A curve that hands on mpmath's numbers only: a double among them would be rounded."""

    def wide(t: Any) -> Sequence[Any]:
        found = curve(t)
        if not all(isinstance(y, context().mpf) for y in found):
            raise TypeError("a number that is not of mpmath's")
        return found

    return wide


def _shifted(value: Any, xs: Sequence[float], by: tuple[int, ...]) -> Curve:
    """An operation as a function of how far some operands move."""

    def curve(t: Any) -> list[Any]:
        moved: list[Any] = list(xs)
        for k, distance in zip(by, t if len(by) > 1 else [t], strict=True):
            moved[k] = moved[k] + distance
        if t.__class__ is not float and not isinstance(t, complex):
            mp = context()
            moved = [mp.mpf(x) for x in moved]
        return [value(*moved)]

    return curve


def _scale(xs: Sequence[float], by: tuple[int, ...]) -> float:
    """A length that is small beside the operands that move."""
    return min([1.0, *[abs(xs[k]) or 1.0 for k in by]])


def _first_step_of(x: float) -> float:
    """A first step of doubles: a part of the number, or of 1."""
    return 0.1 * (abs(x) or 1.0)
