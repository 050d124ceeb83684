"""The intermediate representation: what a function did once, frozen.

Numbers stand in *slots*, counted in this order: inputs, captured Values, constants, and one
for the result of each instruction. A *guard* is a comparison that came out one way while
tracing: code is one path through its function, and says so where a call would take another.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count, islice
from typing import Any, NamedTuple, TypeVar

from miniflow.operation import Op
from miniflow.program.structures import fill, key, size
from miniflow.tape.core import Value
from miniflow.tape.storage import plain

Function = Callable[..., Any]
R = TypeVar("R")
G = TypeVar("G")


class Instruction(NamedTuple):
    """An operation of the table on the numbers in some slots."""

    op: Op
    operands: tuple[int, ...]

    def moved(self, slots: "Slots") -> "Instruction":
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

    def moved(self, slots: "Slots") -> "Guard":
        """The same where slot x has become slots[x], not in position yet."""
        return Guard(self.relation, slots[self.left], slots[self.right], self.holds)


Slots = Mapping[int, int] | Sequence[int]
Step = tuple[int, Instruction | Guard]


def placed(guards: Iterable[Guard], slots: Slots, first: int) -> Iterator[Guard]:
    """Guards where slot x has become slots[x], and the first instruction's slot is `first`.

    Each is as early as can be: after what it needs, and after the guard before it.
    """
    position = 0
    for relation, a, b, holds, _ in guards:
        left, right = slots[a], slots[b]
        position = max(position, left - first + 1, right - first + 1)
        yield Guard(relation, left, right, holds, position)


def in_order(
    results: Iterable[R], guards: Iterable[G], positions: Iterable[int]
) -> Iterator[R | G]:
    """Results and guards as they happen: guard k comes after positions[k] of the results."""
    rest, done = iter(results), 0
    for guard, position in zip(guards, positions, strict=True):
        yield from islice(rest, position - done)
        yield guard
        done = position
    yield from rest


class Place(NamedTuple):
    """What an instruction comes from: a line, how many sweeps later, the scopes open there."""

    file: str
    line: int
    sweep: int = 0
    scope: tuple[str, ...] = ()


RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}


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


class Code:
    """One path through a function: immutable, hashable by content.

    Attributes:
        name: the function's.
        parameters: the names of its arguments.
        arguments: ``(args, kwargs)`` with a hole in the place of each number.
        result: the structure that is returned, with a hole for each output.
        captured: Values from outside that the function used; read anew at each call.
        constants: plain numbers.
        instructions: what is computed, in order.
        outputs: the slots of the results.
        guards: the comparisons on the way.
        names: what some slots are called.
        places: for each instruction what it comes from, where that is known.
    """

    def __init__(
        self, name: str, parameters: Iterable[str], arguments: Any, result: Any,
        captured: Iterable[Value], constants: Iterable[float],
        instructions: Iterable[Instruction], outputs: Iterable[int], guards: Iterable[Guard],
        names: Mapping[int, str], places: Iterable[Place | None],
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
        self.names = dict(names)
        self.places = tuple(places)
        vars(self)["frozen"] = True

    def __setattr__(self, name: str, value: object) -> None:
        if "frozen" in vars(self):
            raise AttributeError(
                f"{type(self).__name__}.{name}: a program is immutable; trace another one"
            )
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name}: a program is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.name, self.parameters, self.arguments, self.result, self.captured,
            self.constants, self.instructions, self.outputs, self.guards, self.names, self.places,
        )  # fmt: skip

    # --- content --------------------------------------------------------------

    @cached_property
    def inputs(self) -> int:
        """The number of inputs."""
        return size(self.arguments)

    @cached_property
    def first(self) -> int:
        """The slot of the first instruction."""
        return self.inputs + len(self.captured) + len(self.constants)

    @cached_property
    def code(self) -> tuple[Any, ...]:
        """What is computed, as plain numbers and strings: programs are equal if these are."""
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
        return self.code, key(self.arguments), key(self.result), tuple(map(id, self.captured))

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
        positions = [guard.position for guard in self.guards]
        return tuple(in_order(self.instructions, self.guards, positions))

    def steps(self) -> Iterator[Step]:
        """The same with numbers: an instruction's is the slot of its result."""
        slots, guards = count(self.first), count()
        for step in self.order:
            yield next(guards if step.__class__ is Guard else slots), step

    def live(self) -> list[float]:
        """The numbers that the captured Values have now."""
        return [plain(v) for v in self.captured]

    # --- running --------------------------------------------------------------

    def evaluate(self, xs: list[float]) -> list[float]:
        """The outputs at plain numbers: the inputs', then the captured Values'."""
        return self.run(xs, lambda op: op.value)

    def run(
        self, xs: Iterable[Any], function: Callable[[Op], Function],
        constants: Iterable[Any] | None = None,
    ) -> list[Any]:  # fmt: skip
        """The outputs at any numbers, by what `function` says operations do to them."""
        slots = [*xs, *(self.constants if constants is None else constants)]
        failed = 0  # the guard that is checked next
        for step in self.order:
            if step.__class__ is Guard:
                self._check(failed, step, slots)
                failed += 1
            else:
                op, operands = step  # type: ignore[misc]
                slots.append(function(op)(*[slots[x] for x in operands]))
        return [slots[x] for x in self.outputs]

    def _check(self, k: int, guard: Guard, slots: list[Any]) -> None:
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
        return fill(self.result, outputs)

    # --- reading --------------------------------------------------------------

    def called(self, slot: int) -> str:
        """What a slot is called: a name, a constant's number, or its place."""
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

    def __str__(self) -> str:
        return listing(self)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name}: {self.inputs} inputs, {len(self.captured)} "
            f"captured, {len(self)} instructions, {len(self.guards)} guards>"
        )


def listing(code: Code, limit: int = 1000) -> str:
    """Code as a table: one line for each input, guard and instruction."""
    start = code.first - len(code.constants)
    lines = [f"program {code.name}"]
    for slot in range(start):
        kind = "input" if slot < code.inputs else "captured"
        lines.append(f"  {code.called(slot)}: {kind}")
    for n, step in code.steps():
        if isinstance(step, Guard):
            lines.append(f"  guard {n}: {code.condition(step)}")
        else:
            names = " ".join([code.called(x) for x in step.operands])
            lines.append(f"  {code.called(n)} = {step.op.name} {names}")
    lines.append(f"  return {', '.join([code.called(x) for x in code.outputs])}")
    if len(lines) > limit:
        cut = len(lines) - limit
        lines[limit // 2 : limit // 2 + cut] = [f"  ... {cut} more ..."]
    return "\n".join(lines)
