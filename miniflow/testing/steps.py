"""The steps of a function that is drawn at random: what they compute, and what they take.

Terms:
    node       a number of a drawn function, by its place: inputs, then the results of steps
    operand    what a step takes: a node (an int), a plain number (a float), or an Exact
    step       a RowStep, a Fork or a Loop; its result is the next node
    arm        one of the two steps of a fork
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from miniflow.ops import TABLE

Relation = Callable[[Any, Any], Any]

ORDER: dict[str, Relation] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
DECISIONS: dict[str, Relation] = {**ORDER, "truth": lambda a, b: bool(a)}


class Exact(NamedTuple):
    """An int or fraction with which a node is compared: no node's number."""

    number: int | Fraction


Operand = int | float | Exact


class RowStep(NamedTuple):
    """A row of the table on some operands."""

    name: str
    operands: tuple[Operand, ...]


class Fork(NamedTuple):
    """One of two steps, by a comparison."""

    relation: str
    left: Operand
    right: Operand
    then: RowStep
    other: RowStep


class Loop(NamedTuple):
    """Steps that are taken some times, on what they came to the time before.

    In them one more node is known, behind all others: `start` at first, then the result of the
    last of them.
    """

    times: int
    start: int
    steps: tuple[RowStep, ...]


AnyStep = RowStep | Fork | Loop


def at(x: Operand, nodes: Sequence[Any]) -> Any:
    """An operand's number."""
    return nodes[x] if x.__class__ is int else x.number if isinstance(x, Exact) else x


def carried_out(
    step: AnyStep, nodes: Sequence[Any], seen: Callable[[str, Any, Any], None] | None = None
) -> Any:
    """A step's result.

    Args:
        step: the step.
        nodes: the nodes before it.
        seen: called with the name of each row or relation, its operands and the answer.
    """
    if isinstance(step, Loop):
        y = nodes[step.start]
        for _ in range(step.times):
            y = _once_round(step, y, nodes, seen)
        return y
    if isinstance(step, Fork):
        operands = [at(step.left, nodes), at(step.right, nodes)]
        answer = bool(DECISIONS[step.relation](*operands))
        if seen:
            seen(step.relation, operands, answer)
        return carried_out(step.then if answer else step.other, nodes, seen)
    operands = [at(x, nodes) for x in step.operands]
    answer = TABLE[step.name](*operands)
    if seen:
        seen(step.name, operands, answer)
    return answer


def _once_round(loop: Loop, y: Any, nodes: Sequence[Any], seen: Any) -> Any:
    """One turn of a loop."""
    known = [*nodes, y]
    for step in loop.steps:
        known.append(carried_out(step, known, seen))
    return known[-1]


# --- nodes that steps take ----------------------------------------------------------


def taken(step: AnyStep, place: int) -> Iterator[int]:
    """The nodes that a step takes; those that a loop makes itself are left out.

    Args:
        step: the step.
        place: the node that is its result.
    """
    if isinstance(step, RowStep):
        yield from (x for x in step.operands if x.__class__ is int)
    elif isinstance(step, Fork):
        yield from (x for x in (step.left, step.right) if x.__class__ is int)
        yield from taken(step.then, place)
        yield from taken(step.other, place)
    else:
        yield step.start
        for inner in step.steps:
            yield from (x for x in taken(inner, place) if x < place)


def result_nodes(tree: Any) -> list[int]:
    """The nodes of a result."""
    if isinstance(tree, int):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [x for part in parts for x in result_nodes(part)] if _nested(tree) else []


def _nested(tree: Any) -> bool:
    return isinstance(tree, (dict, list, tuple))
