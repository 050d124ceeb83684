"""The builder of code: instructions as they are found, simplified, and only those needed.

A *node* is what becomes a slot: an input, a captured Value, a constant or a result. No
simplification changes an answer by a bit. Python and Cython read the same file.
"""

import struct
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from miniflow import ops
from miniflow.ops import BY_CODE, OTHER, Op, real, shared
from miniflow.program.ir import Code, Guard, Instruction, Place, Places, placed
from miniflow.program.names import identifier
from miniflow.tape.core import Table, Value

# For a builder, nodes, and their numbers where they are constants: a node that is the result.
Nodes = tuple[int, ...]
Plain = list[float | None]
PlacesOf = Callable[[Sequence[int]], Sequence[Place | None]]

# What a node is, in the place of an operation's code.
IS_INPUT, IS_CAPTURED, IS_CONSTANT, IS_WIDE = -1, -2, -3, -4

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if cython.compiled:
    connect()  # type: ignore[name-defined]  # noqa: F821 - in simplify.pxd: the engine's rules
else:
    from miniflow.tape.columns import DIRECT, known

    def bits_of(x: float) -> int:
        """A double's bits: zeros of both signs are two numbers, and a NaN is like itself."""
        return int.from_bytes(struct.pack("<d", x), "little", signed=True)

    def instruction_of(kind: Any, op: Op, operands: Nodes, of_table: bool) -> Any:
        """An Instruction; `of_table` says whether its operation is a row of the table."""
        return tuple.__new__(kind, (op, operands))

    def empty() -> list[int]:
        """A column of ints."""
        return []

    def set_up(builder: Any) -> None:
        """Be ready to find rows."""
        builder.pairs = {}

    def drop_columns(builder: Any) -> None:
        """Give the columns' memory back."""

    def append(builder: Any, kind: int, left: int, right: int) -> int:
        """A new node."""
        builder.kind.append(kind)
        builder.left.append(left)
        builder.right.append(right)
        builder.origins.append(builder.origin)
        builder.count += 1
        return builder.count - 1  # type: ignore[no-any-return]

    def found_or_new(builder: Any, code: int, left: int, right: int) -> int:
        """The node of a row of one or two operands."""
        node: int = builder.pairs.setdefault((code, left, right), builder.count)
        return append(builder, code, left, right) if node == builder.count else node

    def extend(builder: Any, entries: int) -> None:
        """Room for the nodes of so many entries, -1 at first."""
        builder.nodes += [-1] * (entries - len(builder.nodes))
        builder.entries = len(builder.nodes)


class Builder:
    """Code that is being made.

    Attributes:
        captured, constants: what nodes are.
        guards: comparisons of nodes, in order.
        lines: for each of them its file and line, where that is known.
        origin: what the next instructions come from.
        places: for a list of origins the places; none are known if it is None.
        base: the first entry of the call on the tape, its inputs': what is older is from outside.
        nodes: of the entries from there on, -1 for those that have none yet.
        kind, left, right, origins: of each node. `kind` is the code of a row of one or two
            operands, which are `left` and `right` (-1 if there is one); or else IS_INPUT,
            IS_CAPTURED, IS_CONSTANT, or IS_WIDE for another operation.
        wide: those, by their nodes.
    """

    def __init__(self, inputs: int, base: int = 0) -> None:
        self.inputs = inputs
        self.base = base
        self.places: PlacesOf | None = None
        self.captured: dict[int, Value] = {}
        self.constants: dict[int, float] = {}
        self.wide: dict[int, Instruction] = {}
        self.guards: list[Guard] = []  # of nodes
        self.lines: list[Any] = []
        self.origin = 0
        self.count = self.entries = 0
        self.outside: dict[int, int] = {}  # nodes of entries from outside
        self._known: dict[Any, int] = {}  # nodes by what they are
        self.kind, self.left, self.right, self.origins = empty(), empty(), empty(), empty()
        self.nodes = empty()
        set_up(self)
        extend(self, inputs)
        for k in range(inputs):
            self.nodes[k] = append(self, IS_INPUT, 0, 0)

    def __dealloc__(self) -> None:
        drop_columns(self)

    def _node(self, what: Any, kind: int, contents: dict[int, Any], content: Any) -> int:
        node = self.count
        found = self._known.setdefault(what, node)
        if found == node:
            append(self, kind, 0, 0)
            contents[node] = content
        return found

    def capture(self, v: Value) -> int:
        """The node of a Value from outside."""
        return self._node(("captured", id(v)), IS_CAPTURED, self.captured, v)

    def constant(self, x: float) -> int:
        """The node of a plain number."""
        return self._node(bits_of(x), IS_CONSTANT, self.constants, x)

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
        direct = DIRECT[known(op.code)]
        if direct == 2:
            return found_or_new(self, op.code, operands[0], operands[1])
        if direct == 1:
            return found_or_new(self, op.code, operands[0], -1)
        instruction = instruction_of(Instruction, op, operands, op.code != OTHER)
        return self._node(instruction, IS_WIDE, self.wide, instruction)

    def _some_constant(self, operands: Nodes) -> bool:
        for x in operands:  # noqa: SIM110 - C is made of a loop
            if self.kind[x] == IS_CONSTANT:
                return True
        return False

    def step(self, node: int) -> Instruction | None:
        """The instruction of a node, if it has one."""
        code, left, right = self.kind[node], self.left[node], self.right[node]
        if code < 0:
            return self.wide.get(node)
        operands: Nodes = (left, right)
        return Instruction(BY_CODE[code], operands if right >= 0 else operands[:1])

    def record(self, table: Table, entries: list[int]) -> None:
        """Instructions for some entries of the tape, oldest first."""
        extend(self, table.count - self.base)
        for n in entries:
            code = table.operation[n]
            self.origin = n
            if DIRECT[code] == 2:  # no tuples for the most frequent ones: none has one of RULES
                a, b = self.node_of(table, table.left[n]), self.node_of(table, table.right[n])
                if self.kind[a] == IS_CONSTANT or self.kind[b] == IS_CONSTANT:
                    node = self.emit(BY_CODE[code], (a, b))
                else:
                    node = found_or_new(self, code, a, b)
            else:
                op = table.op(n)
                if op.arity == 0:
                    continue
                node = self.emit(op, tuple([self.node_of(table, x) for x in table.operands(n)]))
            self.nodes[n - self.base] = node

    def node_of(self, table: Table, n: int) -> int:
        """The node of an entry: where the call has not computed it, from outside or a constant."""
        node = self.known_node(n)
        if node >= 0:
            return node
        extend(self, n + 1 - self.base)
        if n < self.base:
            node = self.outside[n] = self.capture(table.handle(n))
        elif table.op(n) is shared:
            node = self.nodes[n - self.base] = self.capture(table.handle(n))
        else:
            node = self.nodes[n - self.base] = self.constant(table.value_of(n))
        return node

    def known_node(self, n: int) -> int:
        """The node of an entry, if it has one already; else -1."""
        if n < self.base:
            return self.outside.get(n, -1)
        return self.nodes[n - self.base] if n < self.base + self.entries else -1

    def name_adjoints(self, adjoints: list[int], called: dict[int, str]) -> None:
        """Add the names of nodes that are adjoints of such as have one.

        Args:
            adjoints: entries, each followed by the one whose adjoint it is.
            called: names of nodes.
        """
        for k in range(0, len(adjoints), 2):
            name = called.get(self.known_node(adjoints[k + 1]))
            if name is not None:
                node = self.known_node(adjoints[k])
                if node >= 0:
                    called.setdefault(node, f"d_{name}")

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
        slot, first = [-1] * self.count, 0
        for node in (*range(self.inputs), *self.captured, *constants):
            slot[node] = first
            first += 1
        kept = self._kept(needed)
        return Code(
            name,
            parameters,
            arguments,
            result,
            self.captured.values(),
            [self.constants[node] for node in constants],
            self._renumbered(kept, slot, first),
            [slot[x] for x in outputs],
            placed(self.guards, slot, first),
            partial(_unique, {slot[x]: text for x, text in names.items() if slot[x] >= 0}),
            self._places_of(kept),
            ints,
            self.lines,
        )

    def _needed(self, outputs: Sequence[int]) -> bytearray:
        """For each node whether an output or a guard comes from it."""
        needed = bytearray(self.count)
        for x in (*outputs, *[x for guard in self.guards for x in guard.operands]):
            needed[x] = 1
        for node in range(self.count - 1, -1, -1):
            if not needed[node]:
                continue
            if self.kind[node] >= 0:
                needed[self.left[node]] = 1
                if self.right[node] >= 0:
                    needed[self.right[node]] = 1
            elif self.kind[node] == IS_WIDE:
                for x in self.wide[node].operands:
                    needed[x] = 1
        return needed

    def _kept(self, needed: bytearray) -> list[int]:
        """The nodes of instructions that are needed, in order."""
        found = []
        for node in range(self.count):
            if needed[node] and (self.kind[node] >= 0 or self.kind[node] == IS_WIDE):
                found.append(node)
        return found

    def _renumbered(self, kept: list[int], slot: list[int], first: int) -> list[Instruction]:
        """Their instructions, of slots; `slot` gets those of their results, from `first` on."""
        found = []
        for k in range(len(kept)):
            node, position = kept[k], first + k
            slot[node] = position
            code = self.kind[node]
            if code >= 0:
                a, b = self.left[node], self.right[node]
                if b < 0:
                    places: Nodes = (slot[a],)
                else:
                    places = slot[a], slot[b]
                found.append(instruction_of(Instruction, BY_CODE[code], places, True))
            else:
                op, operands = self.wide[node]
                places = tuple([slot[x] for x in operands])
                found.append(instruction_of(Instruction, op, places, op.code != OTHER))
        return found

    def _places_of(self, kept: list[int]) -> Places:
        if self.places is None:
            return [None] * len(kept)
        return partial(self.places, array("q", [self.origins[node] for node in kept]))


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
    inner = builder.step(operands[0])
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
