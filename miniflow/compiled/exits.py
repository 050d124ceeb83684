"""Side exits of a batch that lead to plain numbers: no path has to be run for these elements.

An element that leaves a path at a guard has met all guards before that one. Where the path that
it takes instead has no others, and its outputs are constants, its *answer* is known. In the code
that a batch is run by such a guard is a choice between the path's outputs and the answer.
"""

import operator
from typing import Any, NamedTuple

from miniflow.compiled.paths import Chain, Specialization
from miniflow.ops import equal, less, where
from miniflow.program.freeze import freeze
from miniflow.program.ir import Code, Guard
from miniflow.program.structures import NUMBER_LEAF

MOST_CHOICES = 2000  # choices that are worth it in one program
# whether a comparison holds as a number, the comparison, and sides of which it holds and does not
AS_CHOICES: dict[str, tuple[Any, Any, tuple[float, float], tuple[float, float]]] = {
    "<": (less, operator.lt, (0.0, 1.0), (1.0, 0.0)),
    "<=": (lambda a, b: where(less(a, b), 1.0, equal(a, b)), operator.le, (0.0, 1.0), (1.0, 0.0)),
    "==": (equal, operator.eq, (0.0, 0.0), (0.0, 1.0)),
}


class Exits(NamedTuple):
    """What is known of a path's side exits, for the outputs of a chain.

    Attributes:
        known: how many were known.
        answers: by the number of a guard the outputs where it fails.
        code: what a batch is run by: the path's program, with choices.
        guards: the numbers of the guards that it has left.
        merged: how many of the answers are in it.
    """

    known: int
    answers: dict[int, list[float]]
    code: Code
    guards: list[int]
    merged: int


def exits_of(path: Specialization, chain: Chain, *, merging: bool) -> Exits:
    """What is known now; if `merging`, in code with choices, once that is worth a compilation."""
    known: Exits | None = path.exits.get(chain)
    program = path.derived(chain)
    if known is None:
        known = Exits(0, {}, program, [*range(len(program.guards))], 0)
    side_exits = path.side_exits.copy()  # others may find some meanwhile
    if known.known < len(side_exits):
        others = {k: x for k, x in side_exits.items() if k not in known.answers}
        found = {k: _constant_outputs(path.program, k, x, chain) for k, x in others.items()}
        new = {k: x for k, x in found.items() if x is not None}
        known = known._replace(known=len(side_exits), answers=known.answers | new)
    count = len(known.answers)
    worth = count >= 2 * known.merged or count == len(program.guards)
    if merging and count > known.merged and worth:
        known = known._replace(**_merged(path, program, known.answers))
    path.exits[chain] = known
    return known


def _constant_outputs(
    program: Code, guard: int, other: Specialization, chain: Chain
) -> list[float] | None:
    """The outputs of a chain where a guard of a program fails, if they are plain numbers."""
    derived = other.derived(chain)
    numbers = [x for x in map(derived.constant, derived.outputs) if x is not None]
    same_order = not chain or [*map(id, program.captured)] == [*map(id, other.program.captured)]
    if len(numbers) < len(derived.outputs) or len(derived.guards) != guard + 1 or not same_order:
        return None
    return numbers if _leads_to(program, guard, other.program) else None


def _leads_to(program: Code, guard: int, other: Code) -> bool:
    """Whether the guards of `other` are those of a program up to one, which has failed."""
    names: dict[Any, int] = {}
    *same, (*sides, holds) = _compared_numbers(program, names)[: guard + 1]
    return _compared_numbers(other, names) == [*same, (*sides, not holds)]


def _compared_numbers(program: Code, names: dict[Any, int]) -> list[tuple[Any, ...]]:
    """What a program's guards compare and answer; `names` has what is computed as numbers."""
    inputs = [("input", k) for k in range(program.inputs)]
    captured = [("captured", id(v)) for v in program.captured]
    constants = [("constant", x.hex()) for x in program.constants]
    slots = [names.setdefault(x, len(names)) for x in (*inputs, *captured, *constants)]
    for op, operands in program.instructions:
        key = op, *[slots[x] for x in operands]
        slots.append(names.setdefault(key, len(names)))
    return [(x.relation, slots[x.left], slots[x.right], x.holds) for x in program.guards]


# --- one program ----------------------------------------------------------------


def _merged(path: Specialization, program: Code, answers: dict[int, list[float]]) -> dict[str, Any]:
    """A path's program in which guards with answers are choices."""
    left = [k for k in range(len(program.guards)) if k not in answers]
    size = program.inputs + len(program.captured)
    few = len(answers) * len(program.outputs) <= MOST_CHOICES
    if few and not program.ints:
        code = freeze(
            lambda xs: program.rebuild(_with_choices(program, answers, xs)),
            path.point,
            (([NUMBER_LEAF] * size,), {}),
        )
        if len(code.guards) == len(left):
            return {"code": code, "guards": left, "merged": len(answers)}
    return {"merged": len(answers)}


def _with_choices(program: Code, answers: dict[int, list[float]], xs: list[Any]) -> list[Any]:
    """The outputs at Values: the path's own, or the answer of the first guard that fails."""
    slots, gone = [*xs, *program.constants], 0.0
    choices = []
    for n, step in program.steps():
        if not isinstance(step, Guard):
            slots.append(step.op(*[slots[x] for x in step.operands]))
            continue
        relation, holds, fails = AS_CHOICES[step.relation][1:]
        a, b = slots[step.left], slots[step.right]
        if n in answers:
            failed = AS_CHOICES[step.relation][0](a, b)
            failed = where(failed, 0.0, 1.0) if step.holds else failed
            choices.append((failed, answers[n]))
            gone = where(failed, 1.0, gone)
        else:  # it does not matter where an element is gone
            for_gone = holds if step.holds else fails
            relation(*[where(gone, y, x) for x, y in zip((a, b), for_gone, strict=True)])
    outputs = [slots[x] for x in program.outputs]
    for failed, answer in reversed(choices):
        outputs = [where(failed, x, y) for x, y in zip(answer, outputs, strict=True)]
    return outputs
