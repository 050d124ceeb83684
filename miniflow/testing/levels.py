"""What the engine says: derivatives of one recorded call, in both modes, to any order.

A *form* is a weighted sum of Values. The first forms are sums of outputs; those of the next order
are recorded derivatives of such a sum in some direction, and so on.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from miniflow.tape.core import Value, current, here
from miniflow.tape.forward import tangents
from miniflow.tape.pullback import pullback
from miniflow.tape.reading import located
from miniflow.testing.subject import RecordedCall
from miniflow.testing.vectors import Vector

Form = tuple[list[Value], Sequence[float]]


class Levels:
    """The derivatives of a recorded call, recorded themselves as far as they are needed."""

    def __init__(self, call: RecordedCall) -> None:
        self.inputs, self.outputs = call.inputs, call.outputs
        self.forms: dict[tuple[Vector, ...], Form] = {}

    def form(self, weights: Vector, directions: Sequence[Vector]) -> Form:
        """The derivative of weighted outputs in these directions, as a form."""
        key = (weights, *directions)
        if key not in self.forms:
            self.forms[key] = self._made(weights, directions)
        return self.forms[key]

    def _made(self, weights: Vector, directions: Sequence[Vector]) -> Form:
        if not directions:
            return self.outputs, weights.vector
        targets, seeds = self.form(weights, directions[:-1])
        slopes = pullback(targets, list(seeds), self.inputs, recorded=True)
        table = current()
        values = [x if x.__class__ is Value else table.constant(x) for x in slopes]
        return values, directions[-1].vector

    def derivative(self, mode: str, weights: Vector, directions: Sequence[Vector]) -> float:
        """A derivative as one of the modes has it."""
        form, last = self.form(weights, directions[:-1]), directions[-1].vector
        return self._reverse(form, last) if mode == "rev" else self._forward(form, last)

    def _reverse(self, form: Form, direction: Sequence[float]) -> float:
        targets, seeds = form
        slopes = pullback(targets, list(seeds), self.inputs, recorded=False)
        return float(combined(slopes, direction))

    def _forward(self, form: Form, direction: Sequence[float]) -> float:
        targets, seeds = form
        table = here.table
        entries: list[int] = []
        given: list[float] = []
        for v, t in zip(self.inputs, direction, strict=True):
            found = table.entries_of(v)  # another thread's leaf may have several, or none
            entries += found
            given += [t] * len(found)
        ends = [located(y)[1] for y in targets]
        return float(combined(tangents(table, entries, given, ends, False), seeds))


def combined(numbers: Sequence[Any], weights: Sequence[float]) -> Any:
    """The weighted sum of numbers; what has no weight does not count, not even if it is nan.

    Example:
        >>> combined([2.0, float("nan")], [3.0, 0.0])
        6.0
    """
    terms = [x if w == 1.0 else x * w for x, w in zip(numbers, weights, strict=True) if w]
    return reduce(add, terms) if terms else 0.0
