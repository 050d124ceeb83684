"""Functions that are drawn at random: data that can be called, and prints as Python.

Terms, besides those of `steps.py`:
    witness    a point at which all that is computed is moderate, and away from kinks
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from miniflow.ops import TABLE
from miniflow.testing.kinks import distance_to_kink
from miniflow.testing.steps import DECISIONS, AnyStep, carried_out
from miniflow.testing.text import definition, lambda_text

KEPT_AWAY = 0.05  # how far operands are from kinks and the ends of domains
LARGE = 1e3  # how large results are at most


class DrawnFunction(NamedTuple):
    """A function of `count` numbers, floats or Values.

    Attributes:
        count: the number of its arguments.
        steps: what it computes, in order.
        result: a node, or a nested structure of nodes, of strings and of None.
        witness: a point in its domain, away from kinks; () where none is known.

    Its repr is Python, to be pasted below ``from miniflow import math, ops``; `source` is the
    same as a function with a name.

    Example:
        >>> from miniflow.testing.steps import RowStep
        >>> steps = [RowStep("mul", (0, 1)), RowStep("sin", (2,)), RowStep("add", (3, 2))]
        >>> f = DrawnFunction(2, steps, 4)
        >>> f
        lambda x, y: (t1 := x * y, math.sin(t1) + t1)[-1]
        >>> print(f.source(), end="")
        def f(x, y):
            t1 = x * y
            return math.sin(t1) + t1
    """

    count: int  # type: ignore[assignment]  # in the place of a method of tuples
    steps: Sequence[AnyStep]
    result: Any
    witness: tuple[float, ...] = ()

    def __call__(self, *xs: Any) -> Any:
        return self.run(xs)

    def run(self, xs: Sequence[Any], seen: Callable[[str, Any, Any], None] | None = None) -> Any:
        """The result at `xs`; `seen` is told what is done on the way, as `carried_out` says."""
        nodes = list(xs)
        for step in self.steps:
            nodes.append(carried_out(step, nodes, seen))
        return _filled(self.result, nodes)

    def decisions(self, xs: Sequence[Any]) -> list[bool]:
        """How the comparisons come out on the way, in order."""
        found: list[bool] = []

        def seen(name: str, operands: Any, answer: Any) -> None:
            if name in DECISIONS:
                found.append(answer)

        self.run(xs, seen)
        return found

    def inside(self, xs: Sequence[float], margin: float = KEPT_AWAY) -> bool:
        """Whether all is moderate at a point, and away from kinks and the ends of domains."""
        return _Inside(margin).all(self, xs)

    def source(self, name: str = "f") -> str:
        """The text of a function of that name."""
        return definition(self, name)

    def __repr__(self) -> str:
        return lambda_text(self)


def _filled(tree: Any, nodes: Sequence[Any]) -> Any:
    """A structure with numbers for its nodes."""
    if isinstance(tree, int):
        return nodes[tree]
    if isinstance(tree, dict):
        return {name: _filled(part, nodes) for name, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        parts = [_filled(part, nodes) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree


class _Inside:
    """Whether all that a drawn function computes at a point is moderate and smooth there."""

    def __init__(self, margin: float) -> None:
        self.margin, self.good = margin, True

    def all(self, f: DrawnFunction, xs: Sequence[float]) -> bool:
        """Whether it is, at `xs`."""
        f.run(xs, self.seen)
        return self.good

    def seen(self, name: str, operands: Any, answer: Any) -> None:
        """Take note of what is computed."""
        self.good = self.good and moderate(name, operands, answer, self.margin)


def moderate(
    name: str, operands: Sequence[float], answer: float, margin: float = KEPT_AWAY,
    largest: float = LARGE,
) -> bool:  # fmt: skip
    """Whether what a row or a relation answers is moderate, and stays so nearby.

    Args:
        name: of the row or relation.
        operands: its operands.
        answer: what it answers.
        margin: how far operands must be from kinks and from where a comparison flips.
        largest: how large an answer may be.
    """
    if name in DECISIONS:
        left, right = operands
        return abs(left if name == "truth" else left - right) > margin
    if not abs(answer) <= largest:
        return False
    if name == "pow" and operands[1] > 0 and operands[1] % 1 == 0:
        return True  # a polynomial, whatever the base
    return distance_to_kink(TABLE[name], operands) > margin
