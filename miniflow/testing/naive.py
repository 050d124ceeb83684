"""Reverse mode, all too simple: the engine that state machines compare others with.

It keeps plain objects with lists of parents, for ever; it sorts before each sweep, and knows no
tables, rows or compaction.

Terms:
    node     what a Value is here
    slope    the partial derivative of a node by one of its parents; None where nothing flows
"""

import math
import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

from miniflow import math as functions


class Operation(NamedTuple):
    """An operation in two engines.

    Attributes:
        arity: the number of operands; -1 for 3 to 6 of them, -2 for an even number.
        value: the operation on floats.
        slopes: ``(*operands, result)`` to the list of partials; None where it is flat.
        spelled: the operation as the engine under test has it.
        selects: whether an operand with a slope of 0 was not selected, and so is not reached.
    """

    arity: int
    value: Callable[..., float]
    slopes: Callable[..., Sequence[float | None]]
    spelled: Callable[..., Any]
    selects: bool = False


class NaiveNode:
    """What a Value is in the naive engine.

    Attributes:
        op: "leaf", "constant", or the name of an operation.
        grad: the gradient; None where it is unknown.
    """

    count = 0

    def __init__(
        self, op: str, data: float, parents: Sequence["NaiveNode"] = (), label: str = "",
        foreign: bool = False,
    ) -> None:  # fmt: skip
        NaiveNode.count += 1
        self.serial = NaiveNode.count
        self.op, self.data, self.parents, self.label = op, data, parents, label
        self.foreign = foreign  # another thread's leaf
        self.grad: float | None = 0.0


def paired_products(*xs: Any) -> Any:
    """The sum of products of the first half of the numbers with the second."""
    half = len(xs) // 2
    return reduce(operator.add, map(operator.mul, xs[:half], xs[half:]))


def _halves_swapped(*args: float) -> list[float]:
    """The slopes of a sum of products; the last argument is its result."""
    half = len(args) // 2
    return [*args[half:-1], *args[:half]]


def _of_a_tie(a: float, b: float, y: float) -> list[float]:
    """The slopes of a maximum: of a tie one half each."""
    return [0.5, 0.5] if a == b else [float(a > b), float(b > a)]


OPERATIONS = {
    "add": Operation(2, operator.add, lambda a, b, y: [1.0, 1.0], operator.add),
    "sub": Operation(2, operator.sub, lambda a, b, y: [1.0, -1.0], operator.sub),
    "mul": Operation(2, operator.mul, lambda a, b, y: [b, a], operator.mul),
    "maximum": Operation(2, max, _of_a_tie, functions.max, selects=True),
    "neg": Operation(1, operator.neg, lambda a, y: [-1.0], operator.neg),
    "abs": Operation(1, abs, lambda a, y: [float((a > 0) - (a < 0))], abs, selects=True),
    "floor": Operation(1, lambda a: float(math.floor(a)), lambda a, y: [None], math.floor),
    "relu": Operation(
        1, lambda a: a if a > 0 else 0.0, lambda a, y: [float(a > 0)], functions.relu,
        selects=True,
    ),
    "where": Operation(
        3, lambda c, a, b: a if c else b, lambda c, a, b, y: [None, float(c != 0), float(c == 0)],
        functions.where, selects=True,
    ),
    "sum": Operation(
        -1, lambda *xs: reduce(operator.add, xs), lambda *args: [1.0] * (len(args) - 1),
        lambda *xs: functions.sum(xs),
    ),
    "dot": Operation(
        -2, paired_products, _halves_swapped,
        lambda *xs: functions.dot(xs[: len(xs) // 2], xs[len(xs) // 2 :]),
    ),
}  # fmt: skip


class Naive:
    """The naive engine.

    Args:
        operations: by name; "leaf" and "constant" need none.
    """

    def __init__(self, operations: dict[str, Operation]) -> None:
        self.operations = operations

    def value(self, node: NaiveNode) -> float:
        """What a computed node comes to, by its parents."""
        return self.result(node.op, [x.data for x in node.parents])

    def result(self, name: str, operands: Sequence[float]) -> float:
        """An operation on floats."""
        return float(self.operations[name].value(*operands))

    def slopes(self, node: NaiveNode) -> list[float | None]:
        """dy/dparent for each parent; None where nothing flows."""
        operation = self.operations[node.op]
        found = operation.slopes(*[x.data for x in node.parents], node.data)
        return [
            None if x.op == "constant" or (operation.selects and slope == 0) else slope
            for x, slope in zip(node.parents, found, strict=True)
        ]

    def adjoints(self, root: NaiveNode, seed: float = 1.0) -> dict[NaiveNode, float]:
        """d(root)/d(node) x seed for each node reached."""
        found = {root: seed}
        for node in ancestors(root):
            if node in found and node.parents:
                for parent, slope in zip(node.parents, self.slopes(node), strict=True):
                    if slope is not None:
                        found[parent] = found.get(parent, 0.0) + found[node] * slope
        return found

    def backward(self, root: NaiveNode, seed: float = 1.0) -> None:
        """Leaves' gradients add up; that of a computed node is the latest one that reached it."""
        for node, adjoint in self.adjoints(root, seed).items():
            before = node.grad if node.op == "leaf" else 0.0
            node.grad = None if before is None else before + adjoint

    def forward(self, root: NaiveNode) -> None:
        """Compute anew all that a node was computed from, and itself."""
        for node in reversed(ancestors(root)):
            if node.parents:
                node.data = self.value(node)

    def is_right(self, root: NaiveNode) -> bool:
        """Whether all that `root` was computed from is what its operands make of it now."""
        return all(identical(x.data, self.value(x)) for x in ancestors(root) if x.parents)


def ancestors(root: NaiveNode) -> list[NaiveNode]:
    """The nodes that `root` was computed from and itself, newest first."""
    found, stack = {root}, [root]
    while stack:
        for parent in stack.pop().parents:
            if parent not in found:
                found.add(parent)
                stack.append(parent)
    return sorted(found, key=lambda node: -node.serial)


def alike(a: float, b: float) -> bool:
    """Whether two numbers are equal, or both NaN."""
    return a == b or (a != a and b != b)


def identical(a: float, b: float) -> bool:
    """Whether two numbers are alike, a zero's sign included."""
    return alike(a, b) and (a != a or math.copysign(1.0, a) == math.copysign(1.0, b))
