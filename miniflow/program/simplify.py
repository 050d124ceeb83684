"""The builder of code: instructions as they are found, simplified, and only those needed.

A *node* is what becomes a slot: an input, a captured Value, a constant or a result. No
simplification changes an answer by a bit. Python and Cython read the same file.
"""

import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from miniflow import ops
from miniflow.ops import OTHER, Op, real, shared
from miniflow.program.ir import Code, Guard, Instruction, Place, Places, placed
from miniflow.program.names import identifier
from miniflow.tape.core import Table, Value

# For a builder, nodes, and their numbers where they are constants: a node that is the result.
Nodes = tuple[int, ...]
Plain = list[float | None]
PlacesOf = Callable[[list[int]], Sequence[Place | None]]

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if not cython.compiled:

    def bits_of(x: float) -> int:
        """A double's bits: zeros of both signs are two numbers, and a NaN is like itself."""
        return int.from_bytes(struct.pack("<d", x), "little", signed=True)

    def instruction_of(kind: Any, op: Op, operands: Nodes, of_table: bool) -> Any:
        """An Instruction; `of_table` says whether its operation is a row of the table."""
        return tuple.__new__(kind, (op, operands))


class Builder:
    """Code that is being made.

    Attributes:
        captured, constants, instructions: what nodes are.
        guards: comparisons of nodes, in order.
        lines: for each of them its file and line, where that is known.
        origin: what the next instructions come from.
        places: for a list of origins the places; none are known if it is None.
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.places: PlacesOf | None = None
        self.captured: dict[int, Value] = {}
        self.constants: dict[int, float] = {}
        self.instructions: dict[int, Instruction] = {}
        self.guards: list[Guard] = []  # of nodes
        self.lines: list[Any] = []
        self.origins: list[int] = []  # of the instructions
        self.origin = 0
        self.count = inputs
        self.outside: dict[int, int] = {}  # nodes of entries from outside
        self._known: dict[Any, int] = {}  # nodes by what they are

    def _node(self, what: Any, kind: dict[int, Any], content: Any) -> int:
        node = self.count
        found = self._known.setdefault(what, node)
        if found == node:
            self.count += 1
            kind[node] = content
        return found

    def capture(self, v: Value) -> int:
        """The node of a Value from outside."""
        return self._node(("captured", id(v)), self.captured, v)

    def constant(self, x: float) -> int:
        """The node of a plain number."""
        return self._node(bits_of(x), self.constants, x)

    def emit(self, op: Op, operands: tuple[int, ...]) -> int:
        """The node of an operation's result; `origin` says what it comes from."""
        if self._some_constant(operands):
            plain = [self.constants.get(x) for x in operands]
            if None not in plain:
                return self.constant(real(op.value(*plain), f"the value of {op.name}"))
            of_constants = RULES_OF_CONSTANTS.get(op)
            found = of_constants(self, operands, plain) if of_constants is not None else None
            if found is not None:
                return found
        rule = RULES.get(op)
        found = rule(self, operands) if rule is not None else None
        if found is not None:
            return found
        of_table = op.code != OTHER
        instruction = instruction_of(Instruction, op, operands, of_table)
        before = self.count
        node = self._node(instruction, self.instructions, instruction)
        if self.count > before:
            self.origins.append(self.origin)
        return node

    def _some_constant(self, operands: Nodes) -> bool:
        for x in operands:  # noqa: SIM110 - C is made of a loop
            if x in self.constants:
                return True
        return False

    def record(self, table: Table, entries: list[int], nodes: list[int], base: int) -> None:
        """Instructions for some entries of the tape, oldest first.

        Args:
            table: the tape.
            entries: their numbers.
            nodes: what entries from `base` on are here, -1 as long as that is open.
            base: the first entry of the call, or of its inputs: what is older is from outside.
        """
        for n in entries:
            op = table.op(n)
            arity = op.arity
            if arity == 0:
                continue
            self.origin = n
            if arity == 2:  # no lists for the most frequent ones
                a, b = table.left[n], table.right[n]
                pair = self.node_of(table, a, nodes, base), self.node_of(table, b, nodes, base)
                nodes[n - base] = self.emit(op, pair)
            else:
                found = [self.node_of(table, x, nodes, base) for x in table.operands(n)]
                nodes[n - base] = self.emit(op, tuple(found))

    def node_of(self, table: Table, n: int, nodes: list[int], base: int) -> int:
        """The node of an entry: where the call has not computed it, from outside or a constant."""
        node: Any = nodes[n - base] if n >= base else self.outside.get(n, -1)
        if node != -1:
            return node  # type: ignore[no-any-return]
        if n < base:
            node = self.outside[n] = self.capture(table.handle(n))
        elif table.op(n) is shared:
            node = nodes[n - base] = self.capture(table.handle(n))
        else:
            node = nodes[n - base] = self.constant(table.value_of(n))
        return node  # type: ignore[no-any-return]

    def guard(self, relation: str, left: int, right: int, holds: bool, line: Any) -> None:
        """A condition of the path, unless it is known already; `line` is where it stands."""
        guard = Guard(relation, left, right, holds)
        if (left in self.constants and right in self.constants) or guard in self._known:
            return
        self._known[guard] = len(self.guards)
        self.guards.append(guard)
        self.lines.append(line)

    def code(
        self, name: str, parameters: Sequence[str], arguments: Any, result: Any,
        outputs: Sequence[int], names: Mapping[int, str], ints: Mapping[int, int],
    ) -> Code:  # fmt: skip
        """What the outputs and guards need, in order, as code."""
        needed = self._needed(outputs)
        constants = [node for node in self.constants if needed[node]]
        kept = self._kept(needed)
        order = [*range(self.inputs), *self.captured, *constants, *kept]
        slot = self._slots(order)
        return Code(
            name,
            parameters,
            arguments,
            result,
            self.captured.values(),
            [self.constants[node] for node in constants],
            self._renumbered(needed, slot),
            [slot[x] for x in outputs],
            placed(self.guards, slot, len(order) - len(kept)),
            partial(_unique, {slot[x]: text for x, text in names.items() if slot[x] >= 0}),
            self._places_of(needed),
            ints,
            self.lines,
        )

    def _slots(self, order: list[int]) -> list[int]:
        """For each node its slot; -1 where it has none."""
        slots = [-1] * self.count
        for k in range(len(order)):
            slots[order[k]] = k
        return slots

    def _kept(self, needed: bytearray) -> list[int]:
        """The nodes of instructions that are needed, in order."""
        found = []
        for node in list(self.instructions):
            if needed[node]:
                found.append(node)
        return found

    def _renumbered(self, needed: bytearray, slots: list[int]) -> list[Instruction]:
        """Their instructions, of slots."""
        found = []
        nodes, steps = list(self.instructions), list(self.instructions.values())
        for k in range(len(nodes)):
            node = nodes[k]
            if needed[node]:
                op, operands = steps[k]
                of_table = op.code != OTHER
                if len(operands) == 2:  # as above
                    pair = slots[operands[0]], slots[operands[1]]
                    found.append(instruction_of(Instruction, op, pair, of_table))
                else:
                    places = tuple([slots[x] for x in operands])
                    found.append(instruction_of(Instruction, op, places, of_table))
        return found

    def _places_of(self, needed: bytearray) -> Places:
        nodes = list(self.instructions)
        if self.places is None:
            return [None] * sum([needed[node] for node in nodes])
        kept = [x for node, x in zip(nodes, self.origins, strict=True) if needed[node]]
        return partial(self.places, kept)

    def _needed(self, outputs: Sequence[int]) -> bytearray:
        """For each node whether an output or a guard comes from it."""
        needed = bytearray(self.count)
        for x in (*outputs, *[x for guard in self.guards for x in guard.operands]):
            needed[x] = 1
        nodes, steps = list(self.instructions), list(self.instructions.values())
        for k in range(len(nodes) - 1, -1, -1):
            node = nodes[k]
            if needed[node]:
                _, operands = steps[k]
                for x in operands:
                    needed[x] = 1
        return needed


# --- simplifications ----------------------------------------------------------


def _same_product(builder: Builder, operands: Nodes, plain: Plain) -> int | None:
    for k in (0, 1):
        if plain[k] == 1.0:
            return operands[1 - k]
        if plain[k] == -1.0:
            return builder.emit(ops.neg, (operands[1 - k],))
    return None


def _which_one(builder: Builder, operands: Nodes, plain: Plain) -> int | None:
    return None if plain[0] is None else operands[1] if plain[0] else operands[2]


def _first_if_one(builder: Builder, operands: Nodes, plain: Plain) -> int | None:
    return operands[0] if plain[1] == 1.0 else None


def _same_either_way(builder: Builder, operands: Nodes) -> int | None:
    return operands[1] if operands[1] == operands[2] else None


def _same_negative(builder: Builder, operands: Nodes) -> int | None:
    inner = builder.instructions.get(operands[0])
    return inner.operands[0] if inner is not None and inner.op is ops.neg else None


# Results that are, to the bit, one of the operands; and -1*x = -x. Some operands are constants.
RULES_OF_CONSTANTS: dict[Op, Callable[[Builder, Nodes, Plain], int | None]] = {
    ops.mul: _same_product,
    ops.div: _first_if_one,
    ops.pow: _first_if_one,
    ops.where: _which_one,
}
# The same whatever the operands are.
RULES: dict[Op, Callable[[Builder, Nodes], int | None]] = {
    ops.where: _same_either_way,
    ops.neg: _same_negative,
    ops.pos: lambda builder, operands: operands[0],
}


def _unique(names: dict[int, str]) -> dict[int, str]:
    """The names as identifiers, each of one slot."""
    found: dict[int, str] = {}
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    for slot in sorted(names):
        name = base = identifier(names[slot])
        counts[base] += 1
        while name in taken:
            counts[base] += 1
            name = f"{base}_{counts[base] - 1}"
        taken.add(name)
        found[slot] = name
    return found
