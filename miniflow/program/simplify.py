"""The builder of code: instructions as they are found, simplified, and only those needed.

A *node* is what becomes a slot: an input, a captured Value, a constant or a result. No
simplification changes an answer by a bit. Python and Cython read the same file.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from miniflow import ops
from miniflow.ops import Op, real, shared
from miniflow.program.ir import Code, Guard, Instruction, Place, Places, placed
from miniflow.program.names import identifier
from miniflow.tape.core import Table, Value

# For a builder, nodes, and their numbers where they are constants: a node that is the result.
Nodes = tuple[int, ...]
Plain = list[float | None]
PlacesOf = Callable[[list[int]], Sequence[Place | None]]
Rule = Callable[["Builder", Nodes, Plain], int | None]

new_tuple: Any = tuple.__new__  # of an Instruction, without a call of Python


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
        self.origins: dict[int, int] = {}
        self.origin = 0
        self.count = inputs
        self._known: dict[Any, int] = {}  # nodes by what they are

    def _node(self, what: Any, kind: dict[int, Any], content: Any) -> int:
        found = self._known.get(what)
        if found is not None:
            return found
        node = self.count
        self.count += 1
        self._known[what] = node
        kind[node] = content
        return node

    def capture(self, v: Value) -> int:
        """The node of a Value from outside."""
        return self._node(("captured", id(v)), self.captured, v)

    def constant(self, x: float) -> int:
        """The node of a plain number."""
        return self._node(x.hex(), self.constants, x)

    def emit(self, op: Op, operands: tuple[int, ...]) -> int:
        """The node of an operation's result; `origin` says what it comes from."""
        constants = self.constants
        rule = RULES.get(op.name)
        if rule is not None or self._are_constant(operands):
            plain = [constants.get(x) for x in operands]
            if None not in plain:
                return self.constant(real(op.value(*plain), f"the value of {op.name}"))
            found = rule(self, operands, plain) if rule is not None else None
            if found is not None:
                return found
        instruction = new_tuple(Instruction, (op, operands))
        node = self._node(instruction, self.instructions, instruction)
        if node not in self.origins:
            self.origins[node] = self.origin
        return node

    def _are_constant(self, operands: Nodes) -> bool:
        for x in operands:  # noqa: SIM110 - C is made of a loop
            if x not in self.constants:
                return False
        return True

    def record(self, table: Table, entries: list[int], nodes: dict[int, int], start: int) -> None:
        """Instructions for some entries of the tape, oldest first.

        Args:
            table: the tape.
            entries: their numbers.
            nodes: what entries are here; the new ones are added.
            start: the first entry of the call: what is older comes from outside.
        """
        for n in entries:
            op = table.op(n)
            if op.arity:
                self.origin = n
                operands = []
                for x in table.operands(n):
                    operands.append(nodes[x] if x in nodes else self.leaf(table, x, nodes, start))
                nodes[n] = self.emit(op, tuple(operands))

    def leaf(self, table: Table, n: int, nodes: dict[int, int], start: int) -> int:
        """The node of an entry that the call has not computed: from outside, or a constant."""
        if n < start or table.op(n) is shared:
            node = self.capture(table.handle(n))
        else:
            node = self.constant(table.value_of(n))
        nodes[n] = node
        return node

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
        kept = [node for node in self.instructions if needed[node]]
        order = [*range(self.inputs), *self.captured, *constants, *kept]
        slot = self._slots(order)
        return Code(
            name,
            parameters,
            arguments,
            result,
            self.captured.values(),
            [self.constants[node] for node in constants],
            self._renumbered(kept, slot),
            [slot[x] for x in outputs],
            placed(self.guards, slot, len(order) - len(kept)),
            partial(_unique, {slot[x]: text for x, text in names.items() if slot[x] >= 0}),
            self._places_of(kept),
            ints,
            self.lines,
        )

    def _slots(self, order: list[int]) -> list[int]:
        """For each node its slot; -1 where it has none."""
        slots = [-1] * self.count
        for k in range(len(order)):
            slots[order[k]] = k
        return slots

    def _renumbered(self, nodes: list[int], slots: list[int]) -> list[Instruction]:
        """The instructions of some nodes, of slots."""
        found = []
        for node in nodes:
            op, operands = self.instructions[node]
            places = tuple([slots[x] for x in operands])
            found.append(new_tuple(Instruction, (op, places)))
        return found

    def _places_of(self, nodes: list[int]) -> Places:
        if self.places is None:
            return [None] * len(nodes)
        return partial(self.places, [self.origins[node] for node in nodes])

    def _needed(self, outputs: Sequence[int]) -> bytearray:
        """For each node whether an output or a guard comes from it."""
        needed = bytearray(self.count)
        for x in (*outputs, *[x for guard in self.guards for x in guard.operands]):
            needed[x] = 1
        for node in reversed(self.instructions):
            if needed[node]:
                _, operands = self.instructions[node]
                for x in operands:
                    needed[x] = 1
        return needed


# --- simplifications ----------------------------------------------------------


def _same_where(builder: Builder, operands: Nodes, plain: Plain) -> int | None:
    if plain[0] is not None:
        return operands[1] if plain[0] else operands[2]
    return operands[1] if operands[1] == operands[2] else None


def _same_product(builder: Builder, operands: Nodes, plain: Plain) -> int | None:
    for k in (0, 1):
        if plain[k] == 1.0:
            return operands[1 - k]
        if plain[k] == -1.0:
            return builder.emit(ops.neg, (operands[1 - k],))
    return None


def _same_negative(builder: Builder, operands: Nodes, plain: Plain) -> int | None:
    inner = builder.instructions.get(operands[0])
    return inner.operands[0] if inner is not None and inner.op is ops.neg else None


def _first_if(k: int, number: float) -> Rule:
    """Operand 0 where operand k is that plain number."""
    return lambda builder, operands, plain: operands[0] if plain[k] == number else None


# Results that are, to the bit, one of the operands; and -1*x = -x.
RULES: dict[str, Rule] = {
    "mul": _same_product,
    "div": _first_if(1, 1.0),
    "pow": _first_if(1, 1.0),
    "where": _same_where,
    "neg": _same_negative,
    "pos": lambda builder, operands, plain: operands[0],
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
