"""What a program over a batch computes once, what for each element, and in which order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from miniflow.program import Guard, Instruction, Program
from miniflow.structures import HOLE

BLOCK = 8192  # elements of a batch that are added up at once, and that a thread takes at a time
PARTIALS = 8  # a sum over a batch is that of so many: element i adds to number i % PARTIALS


class Shape(NamedTuple):
    """What of a program's inputs and outputs runs along a batch, and how.

    `layout` has for each input None where all elements have the same number, else whether
    numbers of neighbouring elements stand side by side. `total` says that outputs are summed.
    """

    layout: tuple[bool | None, ...]
    total: bool


def hoisted(program: Program, varies: Sequence[bool]) -> tuple[Program, Program]:
    """A program as two: the first is run once, the second for each element.

    `varies` tells of each input, and each captured Value, whether it runs along the batch. The
    first program computes what depends on none of these; the second takes it as further
    inputs, after its own, and computes each number shortly before it is needed.
    """
    count = len(varies)
    varying = [*varies, *[False] * len(program.constants)]
    for _, operands in program.instructions:
        varying.append(any(varying[x] for x in operands))
    steps = list(enumerate(program.instructions, program.first))
    known = dict(steps)
    ends = [x for guard in program.guards for x in (guard.left, guard.right)]
    order = [slot for (slot,) in demanded(program, [*program.outputs, *ends])]
    later = [(slot, known[slot]) for slot in order if varying[slot]]
    wanted = dict.fromkeys(x for _, step in later for x in step.operands)
    wanted |= dict.fromkeys(ends)
    wanted |= dict.fromkeys(program.outputs)
    kept = [slot for slot, _ in steps if not varying[slot] and slot in wanted]
    once = [(slot, step) for slot, step in steps if not varying[slot]]
    first = _part(program, count, (), once, kept, ())
    return first, _part(program, count, kept, later, program.outputs, program.guards)


def demanded(
    program: Program, ends: Sequence[int], together: Mapping[int, tuple[int, ...]] | None = None
) -> Iterator[tuple[int, ...]]:
    """What has to be computed for some slots, operands first, as late as can be.

    One slot at a time, or those that are computed `together`. So numbers do not have to be
    put aside for long: there are few registers.
    """
    groups, done = together or {}, set(range(program.first))
    waiting = [*reversed(ends)]
    while waiting:
        slot = waiting[-1]
        if slot in done:
            waiting.pop()
            continue
        group = groups.get(slot, (slot,))
        steps = [program.instructions[x - program.first] for x in group]
        needed = [x for step in steps for x in step.operands if x not in done]
        if needed:
            waiting += reversed(needed)
            continue
        done.update(group)
        yield group


def _part(
    program: Program, count: int, taken: Sequence[int], steps: list[tuple[int, Instruction]],
    outputs: Sequence[int], guards: Sequence[Guard],
) -> Program:  # fmt: skip
    """Some instructions of a program as a program; `taken` are computed elsewhere."""
    inputs = count + len(taken)
    start = inputs + len(program.constants)
    slots = dict(zip(taken, range(count, inputs), strict=True))
    slots |= {x: x for x in range(count)}
    slots |= {count + k: inputs + k for k in range(len(program.constants))}
    slots |= {slot: start + k for k, (slot, _) in enumerate(steps)}
    return Program(
        program.name,
        ("xs",),
        (([HOLE] * inputs,), {}),
        [HOLE] * len(outputs),
        (),
        program.constants,
        [Instruction(op, tuple([slots[x] for x in operands])) for _, (op, operands) in steps],
        [slots[x] for x in outputs],
        _moved(guards, slots, start),
        {},
        [None] * len(steps),
    )


def _moved(guards: Sequence[Guard], slots: dict[int, int], start: int) -> list[Guard]:
    """Guards between other instructions, in the same order."""
    moved, position = [], 0
    for relation, left, right, holds, _ in guards:
        position = max(position, slots[left] - start + 1, slots[right] - start + 1)
        moved.append(Guard(relation, slots[left], slots[right], holds, position))
    return moved
