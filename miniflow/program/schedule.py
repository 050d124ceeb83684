"""What a program over a batch computes once, what for each element, and in which order."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from miniflow.ops import Op
from miniflow.program.ir import Code, Guard, Instruction, placed
from miniflow.program.structures import NUMBER_LEAF

BLOCK = 8192  # elements of a batch that are added up at once, and that a thread takes at a time
PARTIALS = 8  # a sum over a batch is that of so many: element i adds to number i % PARTIALS
SHORTEST, LONGEST = 8, 64  # stretches of steps that are done in step
Computed = tuple[int, Instruction]  # with the slot of its result


class Shape(NamedTuple):
    """What of a program's inputs and outputs runs along a batch, and how.

    `layout` has for each input None where all elements have the same number, else whether
    numbers of neighbouring elements stand side by side. `total` says that outputs are summed.
    """

    layout: tuple[bool | None, ...]
    total: bool


class Arrangement(NamedTuple):
    """In which order a loop over a batch computes, and on how many registers at a time.

    No answer depends on it, but the time does, by what the processor and the compiler make of it.
    """

    late: bool = True  # each number shortly before it is needed, instead of in the program's order
    paired: bool = True  # with alike stretches in step
    registers: int = 2


UNTUNED = Arrangement()


def hoisted(
    program: Code, varies: Sequence[bool], arrangement: Arrangement = UNTUNED
) -> tuple[Code, Code]:
    """A program as two: the first is run once, the second for each element.

    This is loop-invariant code motion, for the loop over a batch.

    `varies` tells of each input, and each captured Value, whether it runs along the batch. The
    first program computes what depends on none of these; the second takes it as further
    inputs, after its own, and computes in the order of the `arrangement`.
    """
    count = len(varies)
    varying = [*varies, *[False] * len(program.constants)]
    for _, operands in program.instructions:
        varying.append(any(varying[x] for x in operands))
    steps = list(enumerate(program.instructions, program.first))
    known = dict(steps)
    ends = [x for guard in program.guards for x in guard.operands]
    order = [slot for (slot,) in demanded(program, [*program.outputs, *ends])]
    later = [(x, known[x]) for x in (order if arrangement.late else sorted(order)) if varying[x]]
    later = paired(later) if arrangement.paired else later
    wanted = dict.fromkeys(x for _, step in later for x in step.operands)
    wanted |= dict.fromkeys(ends)
    wanted |= dict.fromkeys(program.outputs)
    kept = [slot for slot, _ in steps if not varying[slot] and slot in wanted]
    once = [(slot, step) for slot, step in steps if not varying[slot]]
    first = _part(program, count, (), once, kept, ())
    return first, _part(program, count, kept, later, program.outputs, program.guards)


def demanded(
    program: Code, ends: Sequence[int], together: Mapping[int, tuple[int, ...]] | None = None
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


def paired(steps: list[Computed]) -> list[Computed]:
    """The same steps, neighbouring stretches of the same operations done in step with each other.

    Such are two sums of products that have factors in common: each of these is fetched once.
    """
    ops = [step.op for _, step in steps]
    found: list[Computed] = []
    k = 0
    for at, sizes in enumerate(_distances(steps)):
        if at < k:
            continue
        for size in sizes:
            one, two = slice(at, at + size), slice(at + size, at + 2 * size)
            if ops[one] == ops[two] and _pays(steps[one], steps[two]):
                found += chain.from_iterable(zip(steps[one], steps[two], strict=True))
                k = at + 2 * size
                break
        else:
            found.append(steps[at])
    return found


def _distances(steps: list[Computed]) -> list[list[int]]:
    """How far it is from each step to the next ones of its operation that share an operand."""
    upcoming: dict[tuple[Op, int], int] = {}
    found: list[list[int]] = []
    for k, (_, (op, operands)) in reversed([*enumerate(steps)]):
        sizes = dict.fromkeys(upcoming.get((op, x), k) - k for x in operands)
        found.append([size for size in sizes if SHORTEST <= size <= LONGEST])
        upcoming |= {(op, x): k for x in operands}
    return found[::-1]


def _pays(one: list[Computed], two: list[Computed]) -> bool:
    """Whether a stretch of steps can be done in step with the one before, and has much of it."""
    place = {slot: k for k, (slot, _) in enumerate(one)}
    common = 0
    for k, ((_, a), (_, b)) in enumerate(zip(one, two, strict=True)):
        if any(place.get(x, k) > k for x in b.operands):
            return False
        common += not set(a.operands).isdisjoint(b.operands)
    return 3 * common >= len(one)


def _part(
    program: Code, count: int, taken: Sequence[int], steps: list[Computed],
    outputs: Sequence[int], guards: Sequence[Guard],
) -> Code:  # fmt: skip
    """Some instructions of a program as a program; `taken` are computed elsewhere."""
    inputs = count + len(taken)
    start = inputs + len(program.constants)
    slots = dict(zip(taken, range(count, inputs), strict=True))
    slots |= {x: x for x in range(count)}
    slots |= {count + k: inputs + k for k in range(len(program.constants))}
    slots |= {slot: start + k for k, (slot, _) in enumerate(steps)}
    return Code(
        program.name,
        ("xs",),
        (([NUMBER_LEAF] * inputs,), {}),
        [NUMBER_LEAF] * len(outputs),
        (),
        program.constants,
        [step.renumbered(slots) for _, step in steps],
        [slots[x] for x in outputs],
        placed(guards, slots, start),
        {},
        [None] * len(steps),
    )
