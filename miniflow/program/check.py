"""A check of the IR: whether code keeps the rules that `ir` states, whatever pass it comes from.

The tests check all code that is made. A pass that breaks a rule is found here, by the first
step that is wrong, rather than by an answer.
"""

import keyword
from collections.abc import Iterable

from miniflow.program.ir import RELATIONS, Code, Guard, Instruction, placed
from miniflow.program.structures import count_numbers


def check(code: Code) -> None:
    """Raise where code breaks a rule of the IR.

    Raises:
        ValueError: a slot is used before it is defined, an operation has another number of
            operands, a guard is not in its place, a constant is not a float, a name is not an
            identifier or stands for two slots, or something is not as many as it should be.
    """
    end = code.first + len(code)
    try:
        _check_counts(code)
        for x in code.constants:
            if type(x) is not float:
                raise ValueError(f"a constant must be a float, got {type(x).__name__}")
        for slot, instruction in enumerate(code.instructions, code.first):
            _check_instruction(slot, instruction)
        for k, guard in enumerate(code.guards):
            _check_guard(k, guard, end)
        _check_positions(code)
        _check_slots("an output", code.outputs, end)
        _check_names(code)
    except ValueError as error:
        raise ValueError(f"{code.name}: {error}") from None


def _check_counts(code: Code) -> None:
    """Parameters, outputs and places are as many as what they belong to."""
    args, kwargs = code.arguments
    _check_count("parameters", code.parameters, len(args) + len(kwargs), "arguments")
    _check_count("outputs", code.outputs, count_numbers(code.result), "numbers in the result")
    _check_count("places", code.places, len(code), "instructions")


def _check_count(what: str, found: tuple[object, ...], expected: int, of: str) -> None:
    if len(found) != expected:
        raise ValueError(f"{len(found)} {what} for {expected} {of}")


def _check_instruction(slot: int, instruction: Instruction) -> None:
    """Operands are as many as the row says, and defined before."""
    op, operands = instruction
    if not operands or op.arity not in (len(operands), -1):
        raise ValueError(f"slot {slot} ({op.name}) has {len(operands)} operands")
    _check_slots(f"slot {slot} ({op.name})", operands, slot)


def _check_guard(k: int, guard: Guard, end: int) -> None:
    _check_slots(f"guard {k}", guard.operands, end)
    if guard.relation not in RELATIONS:
        raise ValueError(f"guard {k} has the relation {guard.relation!r}")
    if type(guard.holds) is not bool:
        raise ValueError(f"guard {k} must hold or not, got {guard.holds!r}")


def _check_positions(code: Code) -> None:
    """Guards are in order, each behind what it needs."""
    slots = range(code.first + len(code))
    for k, (guard, other) in enumerate(
        zip(code.guards, placed(code.guards, slots, code.first), strict=True)
    ):
        if guard.position != other.position:
            raise ValueError(f"guard {k} is at {guard.position}, its place is {other.position}")


def _check_slots(what: str, slots: Iterable[int], end: int) -> None:
    for x in slots:
        if type(x) is not int or not 0 <= x < end:
            raise ValueError(f"{what} needs slot {x}, which is not defined there")


def _check_names(code: Code) -> None:
    """Names are identifiers, each of one slot."""
    _check_slots("a name", code.names, code.first + len(code))
    for name in (code.name, *code.parameters, *code.names.values()):
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"a name must be an identifier, got {name!r}")
    if len({*code.names.values()}) < len(code.names):
        raise ValueError("two slots have one name")
