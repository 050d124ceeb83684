"""Gradients from elsewhere, given by grad=: NumPy, C, other libraries."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from miniflow.ops import real
from miniflow.testing import vectors
from miniflow.testing.judges import Curve, Estimate
from miniflow.testing.levels import combined
from miniflow.testing.report import OPEN, RIGHT, WRONG, Comparison, Report
from miniflow.testing.rules import sharpest
from miniflow.testing.subject import Subject
from miniflow.testing.vectors import Vector
from miniflow.testing.verdicts import Limits, Sizes
from miniflow.util.functions import a_function, named
from miniflow.util.trees import flatten, flatten_like

AGAIN = 0.37  # another first step, for a second opinion


def check_given(subject: Subject, grad: Callable[..., Any], limits: Limits) -> Report:
    """Compare a gradient that was given with derivatives from values alone.

    Raises:
        TypeError: f or grad returned something other than numbers, or not as many as there are.
    """
    a_function("check_grads: grad", grad)
    f, call = subject.given(subject.numbers)
    out = f(*call)
    subject.christen(out)
    count = len(flatten(out))
    ys = [abs(real(y, "check_grads: f")) for y in flatten(out)]
    rows = _jacobian(grad(*call), subject, call, count)
    weights = vectors.weights(subject.out)
    found: list[tuple[Vector, Vector, float, Estimate]] = []
    for (direction,) in vectors.directions(subject.names, subject.numbers, 1):
        for w, known in zip(weights, estimates(subject, direction, weights), strict=True):
            got = combined([combined(row, direction.vector) for row in rows], w.vector)
            found.append((w, direction, got, known))
    comparisons = [_compared(x, found, limits, combined(ys, x[0].vector)) for x in found]
    verdicts = {x.verdict for x in comparisons}
    verdict = WRONG if WRONG in verdicts else OPEN if OPEN in verdicts or not found else RIGHT
    reasons = [x.reason for x in comparisons if x.reason]
    return Report(named(subject.f), verdict, comparisons, reasons=reasons)


def _compared(
    one: tuple[Vector, Vector, float, Estimate],
    every: Sequence[Any],
    limits: Limits,
    output: float,
) -> Comparison:
    weights, direction, got, known = one
    size = max((abs(x.value) for w, _, _, x in every if w is weights and math.isfinite(x.value)),
               default=0.0)  # fmt: skip
    return limits.compare(
        weights.name, [direction.name], "grad", got, known, Sizes(size, abs(output))
    )


def _jacobian(found: Any, subject: Subject, call: list[Any], count: int) -> list[list[float]]:
    """For each output its derivatives by all inputs, from what grad returned."""
    parts = found if len(call) > 1 or (isinstance(found, tuple) and len(found) == 1) else (found,)
    if not isinstance(parts, (tuple, list)) or len(parts) != len(call):
        raise TypeError(
            f"check_grads: grad must return a tuple with the gradient by each of the {len(call)} "
            f"arguments, got {type(found).__name__}"
        )
    rows: list[list[Any]] = [[] for _ in range(count)]
    for part, argument in zip(parts, call, strict=True):
        size = len(flatten(argument))
        if count == 1 and _same_structure(part, argument):
            flat = flatten_like(part, argument)  # a dict's parts in the order of the argument's
        else:
            flat = flatten(part)
        if len(flat) != size * count:
            raise TypeError(
                f"check_grads: grad must return {size * count} numbers for an argument of {size} "
                f"and {count} outputs, got {len(flat)}"
            )
        for k, row in enumerate(rows):
            row += flat[k * size : (k + 1) * size]
    return [[real(row[k], "check_grads: grad") for k in subject.places] for row in rows]


def _same_structure(tree: Any, model: Any) -> bool:
    try:
        flatten_like(tree, model)
    except ValueError:
        return False
    return True


def estimates(subject: Subject, direction: Vector, weights: Sequence[Vector]) -> list[Estimate]:
    """What is known of the derivatives in a direction, from two first steps that agree."""
    curve = curve_of(subject, direction, weights)
    step = first_step(subject.numbers, direction.vector)
    one, other = (
        sharpest(curve, h, len(weights), largest_input(subject)) for h in (step, AGAIN * step)
    )
    return [_two_opinions(a, b) for a, b in zip(one, other, strict=True)]


def _two_opinions(a: Estimate, b: Estimate) -> Estimate:
    """The sharper of two estimates, no surer than the distance between them."""
    better = min(a, b, key=lambda x: (bool(x.reason), x.error))
    if a.reason or b.reason:
        return better if a.reason and b.reason else better._replace(error=better.error * 10)
    return better._replace(error=max(better.error, abs(a.value - b.value)))


def curve_of(subject: Subject, direction: Vector, weights: Sequence[Vector]) -> Curve:
    """Weighted outputs as a function of how far the inputs move in a direction."""

    def curve(t: Any) -> list[Any]:
        pairs = zip(subject.numbers, direction.vector, strict=True)
        ys = subject.values([x + t * v if v else x for x, v in pairs])
        return [combined(ys, w.vector) for w in weights]

    return curve


def first_step(numbers: Sequence[float], direction: Sequence[float]) -> float:
    """A step by which no input moves more than by a tenth of itself."""
    return 0.1 * min((abs(x) or 1.0) / abs(v) for x, v in zip(numbers, direction, strict=True) if v)


def largest_input(subject: Subject) -> float:
    """The size of the largest_input input, 1 at least."""
    return max(1.0, *map(abs, subject.numbers))
