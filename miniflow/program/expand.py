"""Operations in terms of simpler ones.

The *decomposition* of a row of the operation table is its value as code of other rows.
"""

from collections.abc import Callable, Iterable
from typing import Any

from miniflow import ops
from miniflow.ops import Op
from miniflow.program.formulas import is_formula
from miniflow.program.freeze import freeze
from miniflow.program.ir import Code, Guard
from miniflow.program.simplify import Builder
from miniflow.program.structures import NUMBER_LEAF

_decompositions: dict[Op, Code | None] = {}


def formula_code(f: Callable[..., Any], count: int) -> Code | None:
    """A formula of so many numbers as code; None where it calls functions of floats."""
    try:
        return freeze(f, [0.5] * count, ((NUMBER_LEAF,) * count, {}))
    except TypeError:
        return None


def decomposition(op: Op) -> Code | None:
    """A row's value as code of other rows; None where it computes on floats only."""
    # what a user's function of floats does with Values may be something else
    if op.arity < 1 or not (op in ops.BUILTIN or is_formula(op.value)):
        return None
    if op not in _decompositions:
        _decompositions[op] = _decomposition(op)
    return _decompositions[op]


def _decomposition(op: Op) -> Code | None:
    code = formula_code(op.value, op.arity)
    if code is None or any(step.op is op for step in code.instructions):
        return None
    alone = not (code.guards or code.captured) and len(code.outputs) == 1
    return code if alone else None


def expanded(code: Code, known: Iterable[str]) -> Code:
    """The same code with rows that are not `known` decomposed, as far as they can be."""
    known = frozenset(known)
    if all(step.op.name in known for step in code.instructions):
        return code
    builder = Builder(code.inputs)
    nodes = list(range(code.inputs))
    nodes += [builder.capture(v) for v in code.captured]
    nodes += [builder.constant(x) for x in code.constants]
    for _, step in code.steps():
        if isinstance(step, Guard):
            builder.guards.append(step.renumbered(nodes))  # all are kept: so are their numbers
        else:
            operands = tuple([nodes[x] for x in step.operands])
            nodes.append(_insert(builder, step.op, operands, known))
    names = {nodes[slot]: name for slot, name in code.names.items()}
    outputs = [nodes[x] for x in code.outputs]
    return builder.code(
        code.name, code.parameters, code.arguments, code.result, outputs, names, code.ints
    )


def _insert(builder: Builder, op: Op, operands: tuple[int, ...], known: frozenset[str]) -> int:
    """The node of an operation, in terms of rows that are known."""
    inner = None if op.name in known else decomposition(op)
    if inner is None:
        return builder.emit(op, operands)
    nodes = [*operands, *[builder.constant(x) for x in inner.constants]]
    for step in inner.instructions:
        nodes.append(_insert(builder, step.op, tuple([nodes[x] for x in step.operands]), known))
    return nodes[inner.outputs[0]]
