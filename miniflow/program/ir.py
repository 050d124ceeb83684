"""The intermediate representation (IR): what a function did in one call, frozen.

A piece of *code* is one path through a function. As text it looks like this:

    program f
      x: input
      w: captured
      guard 0: x < 2.0
      %3 = mul x w
      y = sin %3
      return y, %3

The grammar of the text:

    code        = "program" NAME input* step* "return" slots
    input       = slot ":" ("input" | "captured")
    step        = guard | instruction
    guard       = "guard" NUMBER ":" ["not"] slot relation slot
    relation    = "<" | "<=" | "==" | ">" | ">="
    instruction = slot "=" OPERATION slot+
    slots       = [slot ("," slot)*]
    slot        = NAME | "%" NUMBER | CONSTANT

Numbers stand in *slots*, counted in this order: inputs, captured Values, constants, and one for
the result of each instruction. The text shows a slot by its name, by its number, or, of a
constant, by what is in it. An *instruction* is a row of the operation table and the slots of its
operands. A *guard* is a comparison of two slots that came out one way while tracing: where it
comes out the other way, the function takes another path, and this code is not for it.

The rules, which `check` checks: a slot is defined once, before it is used; an instruction has as
many operands as its row says; a guard stands as early as it can, behind the instructions that it
needs and behind the guard before it.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count, islice
from typing import Any, NamedTuple, TypeVar

from miniflow.operation import Op
from miniflow.program.structures import count_numbers, treedef_key, unflatten_numbers
from miniflow.tape.core import Value
from miniflow.tape.quick import Bundle
from miniflow.tape.storage import plain

RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
LISTED = 1000  # lines of a listing

Slots = Mapping[int, int] | Sequence[int]  # which slot takes the place of each
A = TypeVar("A")
B = TypeVar("B")


class Instruction(NamedTuple):
    """An operation of the table on the numbers in some slots."""

    op: Op
    operands: tuple[int, ...]

    def renumbered(self, slots: Slots) -> "Instruction":
        """The same where slot x has become slots[x]."""
        return Instruction(self.op, tuple([slots[x] for x in self.operands]))


class Guard(NamedTuple):
    """A comparison of two slots that `holds` or not on this path.

    It is checked once `position` instructions have been run.
    """

    relation: str
    left: int
    right: int
    holds: bool
    position: int = 0

    @property
    def operands(self) -> tuple[int, int]:
        """The two slots."""
        return self.left, self.right

    def renumbered(self, slots: Slots) -> "Guard":
        """The same where slot x has become slots[x]; `placed` gives it a position."""
        return Guard(self.relation, slots[self.left], slots[self.right], self.holds)


Step = tuple[int, Instruction | Guard]  # with the slot of its result, or a guard's number


class Place(NamedTuple):
    """What an instruction comes from: a line, how many sweeps later, the scopes open there."""

    file: str
    line: int
    sweep: int = 0
    scope: tuple[str, ...] = ()


Places = Iterable[Place | None] | Callable[[], Iterable[Place | None]]
SlotNames = Mapping[int, str] | Callable[[], Mapping[int, str]]


class PathError(RuntimeError):
    """A program was called where its function takes another path.

    Attributes:
        guard: the number of the first guard that failed.
    """

    def __init__(self, message: str, guard: int) -> None:
        super().__init__(message)
        self.guard = guard

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.guard)


# --- the order of steps -------------------------------------------------------


def placed(guards: Iterable[Guard], slots: Slots, first: int) -> Iterator[Guard]:
    """Guards where slot x has become slots[x], each as early as it can be.

    It stands after the instructions that it needs, the first of which has slot `first`, and
    after the guard before it.
    """
    position = 0
    for relation, a, b, holds, _ in guards:
        left, right = slots[a], slots[b]
        position = max(position, left - first + 1, right - first + 1)
        yield Guard(relation, left, right, holds, position)


def in_order(items: Iterable[A], guards: Iterable[B], positions: Iterable[int]) -> Iterator[A | B]:
    """Items and guards as they happen: guard k comes after positions[k] of the items."""
    rest, done = iter(items), 0
    for guard, position in zip(guards, positions, strict=True):
        yield from islice(rest, position - done)
        yield guard
        done = position
    yield from rest


def with_slots(steps: "Iterable[Instruction | Guard]", slot: int, guard: int = 0) -> Iterator[Step]:
    """Steps with numbers: from `slot` on the slots of results, from `guard` on those of guards."""
    slots, guards = count(slot), count(guard)
    for step in steps:
        yield next(guards if step.__class__ is Guard else slots), step


class Code:
    """One path through a function: immutable, hashable by content.

    Attributes:
        name: the function's.
        parameters: the names of its arguments.
        arguments: the treedef of its arguments, ``(args, kwargs)``.
        result: the treedef of what it returns; a leaf for each output.
        captured: Values from outside that the function used; read again at each call.
        constants: plain numbers.
        instructions: what is computed, in order.
        outputs: the slots of the results.
        guards: the comparisons on the way.
        namer: what some slots are called, or a function that finds it out when it is asked for.
        finder: for each instruction what it comes from, where that is known; or a function that
            finds it out, when it is asked for.
        ints: by their numbers the outputs that are plain ints, as the function returned them.
        lines: for each guard the file and line of its comparison, where that is known.
    """

    def __init__(
        self, name: str, parameters: Iterable[str], arguments: Any, result: Any,
        captured: Iterable[Value], constants: Iterable[float],
        instructions: Iterable[Instruction], outputs: Iterable[int], guards: Iterable[Guard],
        names: SlotNames, places: Places, ints: Mapping[int, int] = {},
        lines: Iterable[tuple[str, int] | None] = (),
    ) -> None:  # fmt: skip
        self.name = name
        self.parameters = tuple(parameters)
        self.arguments = arguments
        self.result = result
        self.captured = tuple(captured)
        self.constants = tuple(constants)
        self.instructions = tuple(instructions)
        self.outputs = tuple(outputs)
        self.guards = tuple(guards)
        self.namer = names
        self.finder = places
        self.ints = dict(ints)
        self.lines = tuple(lines)
        vars(self)["frozen"] = True

    def __setattr__(self, name: str, value: object) -> None:
        if "frozen" in vars(self):
            raise AttributeError(f"Program.{name}: a program is immutable; trace another one")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Program.{name}: a program is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.name, self.parameters, self.arguments, self.result, self.captured,
            self.constants, self.instructions, self.outputs, self.guards, self.names, self.places,
            self.ints, self.lines,
        )  # fmt: skip

    # --- content ----------------------------------------------------------------

    @cached_property
    def names(self) -> dict[int, str]:
        """What some slots are called."""
        found = self.namer
        return dict(found() if callable(found) else found)

    @cached_property
    def places(self) -> tuple[Place | None, ...]:
        """For each instruction what it comes from, where that is known."""
        found = self.finder
        return tuple(found() if callable(found) else found)

    @cached_property
    def bundle(self) -> Bundle:
        """The captured Values, whose numbers are read together."""
        return Bundle(self.captured)

    @cached_property
    def inputs(self) -> int:
        """The number of inputs."""
        return count_numbers(self.arguments)

    @cached_property
    def first(self) -> int:
        """The slot of the first instruction."""
        return self.inputs + len(self.captured) + len(self.constants)

    @cached_property
    def code(self) -> tuple[Any, ...]:
        """What is computed, as plain numbers and strings: equal code computes the same."""
        return (
            self.inputs,
            len(self.captured),
            tuple([x.hex() for x in self.constants]),
            tuple([(x.op.name, x.operands) for x in self.instructions]),
            self.outputs,
            self.guards,
        )

    @cached_property
    def _content(self) -> tuple[Any, ...]:
        structures = treedef_key(self.arguments), treedef_key(self.result)
        return self.code, structures, tuple(map(id, self.captured)), tuple(self.ints.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Code):
            return NotImplemented
        return self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __len__(self) -> int:
        """The number of instructions."""
        return len(self.instructions)

    def constant(self, slot: int) -> float | None:
        """The number in a constant's slot, None for other slots."""
        start = self.first - len(self.constants)
        return self.constants[slot - start] if start <= slot < self.first else None

    @cached_property
    def order(self) -> tuple[Instruction | Guard, ...]:
        """Instructions and guards in the order in which they happen."""
        if not self.guards:
            return self.instructions
        positions = [guard.position for guard in self.guards]
        return tuple(in_order(self.instructions, self.guards, positions))

    def steps(self) -> Iterator[Step]:
        """The same with numbers: the slot of an instruction's result, the number of a guard."""
        return with_slots(self.order, self.first)

    # --- running ----------------------------------------------------------------

    def live(self) -> list[float]:
        """The numbers that the captured Values have now."""
        return [plain(v) for v in self.captured]

    def evaluate(self, xs: list[float]) -> list[float]:
        """The outputs at plain numbers: the inputs', then the captured Values'."""
        return self.run(xs, lambda op: op.value)

    def run(
        self, xs: Iterable[Any], function: Callable[[Op], Callable[..., Any]],
        constants: Iterable[Any] | None = None,
    ) -> list[Any]:  # fmt: skip
        """The outputs at any numbers, by what `function` says operations do to them.

        Args:
            xs: the inputs' numbers, then the captured Values'.
            function: for a row of the table a function of such numbers.
            constants: the constants as such numbers; floats if left out.

        Raises:
            PathError: a guard fails.
        """
        slots = [*xs, *(self.constants if constants is None else constants)]
        k = 0  # the next guard
        for step in self.order:
            if step.__class__ is Guard:
                self._check(k, step, slots)
                k += 1
            else:
                op, operands = step  # type: ignore[misc]
                slots.append(function(op)(*[slots[x] for x in operands]))
        return [slots[x] for x in self.outputs]

    def _check(self, k: int, guard: Guard, slots: list[Any]) -> None:
        """Raise where guard k does not come out as on this path."""
        answer = RELATIONS[guard.relation](slots[guard.left], slots[guard.right])
        if hasattr(answer, "all"):  # an array: all of its elements take the path, or none does
            answer = guard.holds if (answer == guard.holds).all() else not guard.holds
        if bool(answer) is not guard.holds:
            raise self.failure(k)

    def failure(self, k: int) -> PathError:
        """What to raise where guard k fails."""
        return PathError(
            f"{self.name}: another path is taken here: guard {k} "
            f"({self.condition(self.guards[k])}) fails; trace the function at these "
            "numbers, or use jit, which keeps all paths",
            k,
        )

    def rebuild(self, outputs: Iterable[Any]) -> Any:
        """The result in its structure."""
        if self.ints:
            outputs = [self.ints.get(k, y) for k, y in enumerate(outputs)]
        return unflatten_numbers(self.result, outputs)

    # --- text -------------------------------------------------------------------

    def called(self, slot: int) -> str:
        """What a slot is called: its name or number; or the constant that is in it."""
        constant = self.constant(slot)
        return self.names.get(slot, f"%{slot}") if constant is None else repr(constant)

    def sides(self, guard: Guard) -> tuple[int, str, int]:
        """A guard's comparison, with a constant on the right."""
        left, sign, right = guard.left, guard.relation, guard.right
        if self.constant(left) is None:
            return left, sign, right
        return right, sign.replace("<", ">"), left

    def condition(self, guard: Guard) -> str:
        """A guard in words."""
        left, sign, right = self.sides(guard)
        words = f"{self.called(left)} {sign} {self.called(right)}"
        return words if guard.holds else f"not {words}"

    def _line(self, n: int, step: Instruction | Guard) -> str:
        """A step in words."""
        if isinstance(step, Guard):
            return f"  guard {n}: {self.condition(step)}"
        operands = " ".join(map(self.called, step.operands))
        return f"  {self.called(n)} = {step.op.name} {operands}"

    def __str__(self) -> str:
        kinds = ["input"] * self.inputs + ["captured"] * len(self.captured)
        lines = [
            f"program {self.name}",
            *[f"  {self.called(slot)}: {kind}" for slot, kind in enumerate(kinds)],
            *[self._line(n, step) for n, step in self.steps()],
            f"  return {', '.join(map(self.called, self.outputs))}",
        ]
        if len(lines) > LISTED:
            cut = len(lines) - LISTED
            lines[LISTED // 2 : LISTED // 2 + cut] = [f"  ... {cut} more ..."]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name}: {self.inputs} inputs, {len(self.captured)} "
            f"captured, {len(self)} instructions, {len(self.guards)} guards>"
        )
