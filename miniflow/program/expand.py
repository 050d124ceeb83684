"""Operations in terms of simpler ones.

The *decomposition* of a row of the operation table is its value as code of other rows.
"""

from collections.abc import Iterable

from miniflow import ops
from miniflow.ops import Op
from miniflow.program.freeze import freeze
from miniflow.program.ir import Code, Guard
from miniflow.program.simplify import Builder
from miniflow.program.structures import HOLE

_decompositions: dict[Op, Code | None] = {}


def decomposition(op: Op) -> Code | None:
    """A row's value as code of other rows; None where it computes on floats only."""
    if op not in _decompositions:
        _decompositions[op] = _decomposition(op)
    return _decompositions[op]


def _decomposition(op: Op) -> Code | None:
    # what a user's function of floats does with Values may be something else
    if op.arity < 1 or op not in ops.BUILTIN:
        return None
    try:
        program = freeze(op.value, [0.5] * op.arity, ((HOLE,) * op.arity, {}))
    except TypeError:  # it calls functions of floats
        return None
    simple = all(x.op is not op for x in program.instructions)
    alone = not (program.guards or program.captured) and len(program.outputs) == 1
    return program if simple and alone else None


def expanded(program: Code, known: Iterable[str]) -> Code:
    """The same code in terms of rows that are `known`, and of those without a decomposition."""
    known = frozenset(known)
    if all(x.op.name in known for x in program.instructions):
        return program
    builder = Builder(program.inputs)
    nodes = list(range(program.inputs))
    nodes += [builder.capture(v) for v in program.captured]
    nodes += [builder.constant(x) for x in program.constants]
    for _, step in program.steps():
        if isinstance(step, Guard):
            builder.guards.append(step.moved(nodes))  # as it is: their numbers stay the same
        else:
            operands = tuple([nodes[x] for x in step.operands])
            nodes.append(_insert(builder, step.op, operands, known))
    names = {nodes[slot]: name for slot, name in program.names.items()}
    outputs = [nodes[x] for x in program.outputs]
    head = program.name, program.parameters, program.arguments, program.result
    return builder.program(*head, outputs, names)


def _insert(builder: Builder, op: Op, operands: tuple[int, ...], known: frozenset[str]) -> int:
    """The node of an operation, in terms of rows that are known."""
    inner = None if op.name in known else decomposition(op)
    if inner is None:
        return builder.emit(op, operands)
    nodes = [*operands, *[builder.constant(x) for x in inner.constants]]
    for step in inner.instructions:
        nodes.append(_insert(builder, step.op, tuple([nodes[x] for x in step.operands]), known))
    return nodes[inner.outputs[0]]
