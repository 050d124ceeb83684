"""A check of the IR: what every piece of code must be like, whatever pass it comes from.

The tests check all code that is made. A pass that breaks a rule is found here, by the first
step that is wrong, rather than in an answer.
"""

import keyword
from collections.abc import Iterable

from miniflow.program.ir import RELATIONS, Code, Guard, Instruction
from miniflow.program.structures import size


def check(code: Code) -> None:
    """Raise where code is not as `ir` says that code is.

    Raises:
        ValueError: a slot is used before it is defined, an operation has another number of
            operands, guards are out of order, constants are not floats, names are not
            identifiers or not unique, or something is not as many as it should be.
    """
    try:
        _check_counts(code)
        _check_steps(code)
        _check_slots("an output", code.outputs, code.first + len(code))
        _check_names(code)
    except ValueError as error:
        raise ValueError(f"{code.name}: {error}") from None


def _check_counts(code: Code) -> None:
    """Parameters, outputs and places are as many as what they belong to; constants are floats."""
    args, kwargs = code.arguments
    _check_count("parameters", len(code.parameters), len(args) + len(kwargs), "arguments")
    _check_count("outputs", len(code.outputs), size(code.result), "numbers in the result")
    _check_count("places", len(code.places), len(code), "instructions")
    for x in code.constants:
        if type(x) is not float:
            raise ValueError(f"a constant must be a float, got {type(x).__name__}")


def _check_count(what: str, found: int, expected: int, of: str) -> None:
    if found != expected:
        raise ValueError(f"{found} {what} for {expected} {of}")


def _check_steps(code: Code) -> None:
    """Operands are defined before they are used, and guards stand where they say."""
    position = 0
    for k, guard in enumerate(code.guards):
        if not position <= guard.position <= len(code):
            raise ValueError(f"guard {k} is at position {guard.position}, after {position}")
        position = guard.position
    for n, step in code.steps():
        if isinstance(step, Guard):
            _check_guard(n, step)
            _check_slots(f"guard {n}", step.operands, code.first + step.position)
        else:
            _check_instruction(n, step)
            _check_slots(f"slot {n} ({step.op.name})", step.operands, n)


def _check_guard(k: int, guard: Guard) -> None:
    if guard.relation not in RELATIONS:
        raise ValueError(f"guard {k} has the relation {guard.relation!r}")
    if type(guard.holds) is not bool:
        raise ValueError(f"guard {k} must hold or not, got {guard.holds!r}")


def _check_instruction(slot: int, instruction: Instruction) -> None:
    arity, count = instruction.op.arity, len(instruction.operands)
    if (count != arity and not (arity < 0 < count)) or not arity:
        raise ValueError(f"slot {slot} ({instruction.op.name}) has {count} operands")


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
