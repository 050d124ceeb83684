"""Whether a traced function could tell a choice from the argument that Python's `max` returns.

A choice is a new Value. Python's `max` and `min` return one of their arguments: it is the same
object as before, and it may be a plain number. So it matters

* which object it is: to `is`, `id`, a hash, `==` as lists and dicts use it, the order in which
  adjoints are added up. `notes.py` has what the tape can see of that, this file what is written
  in a function;
* where numbers are among the arguments, which type it has: to `isinstance`, and to operators
  between plain numbers, which may give what Values do not (``2 * 3`` an int, ``1 / 0`` an error).
"""

import dis
import operator
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from types import CodeType, FrameType

from miniflow import ops
from miniflow.ops import OTHER, Op
from miniflow.tape.core import Table
from miniflow.tape.notes import Trace

# names in a function that may ask which object it is given, or for its type
OF_OBJECTS = {"id", "is_", "is_not", "__hash__", "inputs", "label", "op", "_prev", "_op"}
OF_TYPES = {"type", "isinstance", "issubclass", "hasattr", "getattr", "callable", "__class__"}
ASK = (id, operator.is_, operator.is_not)  # by any name
ASK_TYPES = (type, isinstance, issubclass, hasattr, getattr, callable)
IS, MATCH = dis.opmap["IS_OP"], dis.opmap["MATCH_CLASS"]
SINGLETONS = (None, True, False, ...)  # a number is none of them


def meet(notes: Trace, frame: FrameType) -> None:
    """Note the code of a function that is called, and whether it is handed what asks."""
    code = frame.f_code
    if id(code) in notes.called:
        return
    notes.called[id(code)] = code, frame.f_globals
    if code.co_freevars or code.co_argcount or code.co_kwonlyargcount:
        given = [*map(id, frame.f_locals.values())]
        notes.sees_objects |= any(id(x) in given for x in ASK)
        notes.sees_types |= any(id(x) in given for x in ASK_TYPES)


def tells_apart(notes: Trace) -> bool:
    """Whether something may tell the choices of a trace from what Python's `max` returns."""
    if not notes.choices:
        return False
    if notes.sees_objects or (notes.plain and notes.sees_types):
        return True
    ask = (*ASK, *ASK_TYPES) if notes.plain else ASK
    return any(
        _sees(code, objects=True)
        or (notes.plain and _sees(code, objects=False))
        or any(known.get(name) is x for name in code.co_names for x in ask)
        for code, known in notes.called.values()
    )


@lru_cache(4096)
def _sees(code: CodeType, *, objects: bool) -> bool:
    """Whether a function may tell one object from an equal one; or a Value from a number."""
    steps = {*code.co_code[::2]}
    if not objects:
        return MATCH in steps or not OF_TYPES.isdisjoint(code.co_names)
    return not OF_OBJECTS.isdisjoint(code.co_names) or (IS in steps and _compares_objects(code))


def _compares_objects(code: CodeType) -> bool:
    """Whether there is an `is` of anything but None, True and the like."""
    return any(
        step.opcode == IS
        and not (before.opname == "LOAD_CONST" and any(before.argval is x for x in SINGLETONS))
        for before, step in pairwise(dis.get_instructions(code))
    )


# --- numbers among the arguments ------------------------------------------------

# Python's operators between ints give ints, exact ones
OF_INTS = {ops.add, ops.sub, ops.mul, ops.pow, ops.neg, ops.pos, ops.absolute}
# between plain numbers these give ints, errors or complex numbers
ON_SECOND = {ops.div, ops.pow}  # they may, too
OTHERWISE = {ops.floordiv, ops.mod, ops.rint, ops.round_to, ops.floor, ops.ceil, ops.trunc}


def sees_numbers(table: Table, notes: Trace, start: int, outputs: Iterable[int]) -> bool:
    """Whether an answer would be another one if a choice were the plain number that it can be.

    Args:
        table: the tape.
        notes: those of the trace, with the choices among numbers.
        start: the first entry of the trace.
        outputs: the entries that are its results: an int stays one.
    """
    kinds: dict[int, type] = {}  # of entries that may be plain numbers instead
    for n in range(start, table.count):
        operands = notes.choices.get(n) or table.operands(n)
        found = {kinds[x] for x in operands if x in kinds}
        if n in notes.plain:
            found.add(notes.plain[n])
        if not found or isinstance(notes.origins[bisect_right(notes.starts, n) - 1], int):
            continue  # a sweep computes by rows alone
        if n in notes.choices:
            kinds[n] = int if int in found else float
            continue
        op, plain = table.op(n), all(x in kinds or table.op(x) is ops.constant for x in operands)
        if op.code == OTHER or (op is ops.pow and operands[1] in kinds):
            return True  # their partials are others for a plain number
        if plain and (op in OTHERWISE or (op in OF_INTS and int in found)):
            return True
        if plain and op in ON_SECOND and not _is_usual(table, op, operands[1], kinds):
            return True
        if plain:
            kinds[n] = float
    return any(kinds.get(n) is int for n in outputs)


def _is_usual(table: Table, op: Op, second: int, kinds: dict[int, type]) -> bool:
    """Whether a division or power of plain numbers is a float whatever the first one is."""
    number = table.value_of(second)
    return second not in kinds and (number != 0.0 if op is ops.div else number in range(100))
