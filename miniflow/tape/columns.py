"""The columns of a table as Python lists: what C provides where the engine is compiled.

`core.py` and what it is built on are one source for two engines. Here is what they take from
elsewhere when they run as they are; the `.pxd` files have the same functions in C.

Finalizers, signal handlers and other threads may run, and record, at any moment. CPython lets
them in after calls, in loops, and where it allocates a container; so a section that must be
atomic is written without any of these, and says so. What is prepared outside of it is checked
against `count` and `version` first. (C code that calls no Python is atomic anyhow.)

The owner column refers weakly, so a Value that a finalizer saves from the garbage has lost its
entry: CPython clears weak references first. (The compiled engine's bare pointers know better.)
"""

import gc
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate, compress, islice, repeat
from operator import call, is_not
from threading import get_ident
from typing import Any
from weakref import ref

from miniflow.ops import BUILTIN, BY_CODE, OTHER, Op, constant, leaf, shared
from miniflow.tape.muting import pausable, running
from miniflow.util.garbage import garbage_is_sought, put_off

__all__ = [
    "ARITY", "CONSTANT", "DIRECT", "DONE", "LEAF", "MADE_OF", "PENDING", "SELECTS", "SHARED",
    "add_adjoints", "answer", "arities", "binary", "commit", "cython", "dot_of_own", "evaluate",
    "following", "gather", "get_ident", "highest", "holding", "install", "ints", "is_muted",
    "known", "last", "living", "lowest", "made", "new", "new_number", "nobody", "numbered",
    "owned", "partial1", "partial2", "pending_entry", "pointer", "prepare", "pull_wide",
    "quick", "release", "resize", "shed_last", "spare_column", "stand_for", "trim", "unary",
    "unmark", "usable", "value1", "value2",
]  # fmt: skip


class cython:  # noqa: N801
    """What stands in for the compiler's module."""

    compiled = False


MADE_OF = b""


class _Gone:
    """What `nobody` referred to."""


install = setattr  # a method of the class of Values
new: Any = object.__new__  # a Value without a tape
lowest, highest = min, max  # of entries
pointer = ref  # what the owner column has of a Value
nobody: Any = ref(_Gone())  # the owner of an entry that no Value stands for

CONSTANT, LEAF, SHARED = constant.code, leaf.code, shared.code  # of what is no operation
PENDING, DONE = 1, 2  # marks of a sweep: to be replayed; a leaf that was reached

# The rules of operations, by their codes.
ARITY: list[int] = []  # how many operands
DIRECT: list[int] = []  # the same, if it is a row of one or two that is not a user's, else 0
value1: list[Any] = []
value2: list[Any] = []
SELECTS: list[int] = []  # how an operation selects operands
partial1: list[Any] = []
partial2: list[Any] = []  # by operand k at 2 * code + k


def known(code: int) -> int:
    """The code, once the lists above know it."""
    for op in BY_CODE[len(ARITY) :]:
        one, two = [op in BUILTIN and op.arity == n for n in (1, 2)]
        rules = [*op.partials, None][:2] if one or two else [None, None]
        slopes = [rule if callable(rule) else _constant(rule) for rule in rules]
        DIRECT.append(one + 2 * two)
        value1.append(op.value)
        value2.append(op.value)
        partial1.append(slopes[0])
        partial2.extend(slopes)
        SELECTS.append(op.selects)
        ARITY.append(op.arity)
    return code


def _constant(slope: float | None) -> Any:
    """A rule whose answer is always the same; None where it is flat."""
    return None if slope is None else lambda *_: slope


def arities() -> list[int]:
    """How many operands an operation has, by its code."""
    known(0)
    return ARITY


# --- Values -------------------------------------------------------------------

# Told by the core: the class of Values, and what answers where there is no short way.
_values: list[type] = []
_general: list[Any] = []


def prepare(kind: type, table: Any, nowhere: Any, general: Any, call: Any) -> None:
    """Make the class of Values ready."""
    _values.append(kind)
    _general.append(general)


def answer(f: Any, x: Any) -> Any:
    """What a function answers."""
    return f(x)


def is_muted(table: Any) -> bool:
    """Whether results are constants, and not recorded."""
    return table.muted > 0 or (bool(pausable) and bool(running()))


def unary(op: Op, a: Any) -> Any:
    """Append an entry on one Value: the short way to what `record` does."""
    table = a._tape
    if table.thread != get_ident() or table.muted or pausable:
        return _general[0](op, a)
    y = op.value(table.value[a._entry])
    v: Any = new(_values[0])
    v._tape = table
    reference: Any = pointer(v)
    while table.count >= table.capacity:
        table.make_room(1)
    # atomic
    n = table.count
    table.operation[n] = op.code
    table.left[n] = a._entry
    table.value[n] = y
    table.owner[n] = reference
    v._entry = n
    table.count = n + 1
    return v


def binary(op: Op, a: Any, b: Any) -> Any:
    """Append an entry on two operands, one at least a Value: the short way."""
    left = right = -1  # a plain number: it gets an entry, which is a constant's until used
    kind: Any = _values[0]
    if type(a) is kind:
        u = a
        table = u._tape
        left = u._entry
        if type(b) is float:
            v = u
            y = op.value(table.value[left], b)
        elif type(b) is kind and b._tape is table:
            v = b
            right = v._entry
            y = op.value(table.value[left], table.value[right])
        else:
            return _general[0](op, a, b)
    elif type(a) is float:
        u = v = b
        table = v._tape
        right = v._entry
        y = op.value(a, table.value[right])
    else:
        return _general[0](op, a, b)
    if table.thread != get_ident() or table.muted or pausable:
        return _general[0](op, a, b)
    found = new(kind)
    found._tape = table
    reference = pointer(found)
    while table.count + 2 > table.capacity:
        table.make_room(2)
    # atomic
    n = table.count
    if right < 0:
        table.value[n] = b
        table.left[n + 1] = u._entry
        table.right[n + 1] = n
        n += 1
    elif left < 0:
        table.value[n] = a
        table.left[n + 1] = n
        table.right[n + 1] = v._entry
        n += 1
    else:
        table.left[n] = u._entry
        table.right[n] = v._entry
    table.operation[n] = op.code
    table.value[n] = y
    table.owner[n] = reference
    found._entry = n
    table.count = n + 1
    return found


def quick(op: Op, operands: tuple[Any, ...]) -> Any:
    """What a row answers, by the short way where there is one."""
    return op(*operands)


def made(handle: Any) -> bool:
    """Whether a Value stands for an entry already."""
    return hasattr(handle, "_entry")


def living(owner: Any) -> Any:
    """The Value in the owner column, or None."""
    return owner()


def stand_for(table: Any, n: int) -> Any:
    """A new Value for an entry that has none."""
    while True:
        reference = table.owner[n]
        found: Any = reference()
        if found is not None:
            return found
        found = new(_values[0])
        found._tape = table
        found._entry = n
        fresh: Any = pointer(found)
        # atomic
        if table.owner[n] is reference:
            table.owner[n] = fresh
            table.version += 1
            return found


# --- room ---------------------------------------------------------------------


@contextmanager
def holding(table: Any) -> Iterator[None]:
    """A context that holds the entries of a table in place.

    A signal handler may break in where a context ends; a generator's end comes all the same.
    """
    table.held += 1
    try:
        yield
    finally:
        table.held -= 1
        table.settle()


BLANKS = (
    ("operation", 0), ("left", 0), ("right", 0), ("value", 0.0), ("adjoint", 0.0), ("grads", 0.0),
)  # fmt: skip


def columns(table: Any) -> list[tuple[list[Any], Any]]:
    """Every column of entries with what an unused place of it holds."""
    return [(getattr(table, name), blank) for name, blank in (*BLANKS, ("owner", nobody))]


def resize(table: Any, capacity: int) -> None:
    """Give every column that many entries, or at least as many as are in use."""
    if not hasattr(table, "mark"):
        table.mark, table.owner, table.pool = bytearray(), [], []
        for name, _ in BLANKS:
            setattr(table, name, [])
    if capacity > table.capacity:
        _lengthen(table, capacity)
    else:
        _shorten(table, capacity)


def _lengthen(table: Any, capacity: int) -> None:
    while True:
        version = table.version
        for column, blank in columns(table):
            column.extend(repeat(blank, capacity - len(column)))
        table.mark.extend(bytes(max(capacity - len(table.mark), 0)))
        # atomic
        if table.version == version:
            if capacity > table.capacity:
                table.capacity = capacity
            table.version = version + 1
            return


def _shorten(table: Any, capacity: int) -> None:
    tail = slice(capacity, None)
    if table.count <= capacity:
        # atomic
        table.capacity = capacity
        table.version += 1
        del table.operation[tail]
        del table.left[tail]
        del table.right[tail]
        del table.value[tail]
        del table.adjoint[tail]
        del table.grads[tail]
        del table.owner[tail]
        del table.mark[tail]


def release(table: Any) -> None:
    """Give the columns' memory back."""


def ints(numbers: list[int]) -> list[int]:
    """A column of ints."""
    return numbers


# --- marks --------------------------------------------------------------------


def last(marks: bytearray, stop: int) -> int:
    """The last marked entry before `stop`, -1 if there is none."""
    return marks.rfind(1, 0, stop)


def pending_entry(mark: bytearray, stop: int) -> int:
    """The last entry before `stop` that a sweep has yet to replay."""
    return mark.rfind(1, 0, stop)


def spare_column(table: Any, sources: list[int]) -> Any:
    """A column for a sweep that changes no gradient, where sources have 0."""
    return dict.fromkeys(sources, 0.0)


def slots_of(numbers: Any) -> Any:
    """An array's numbers."""
    return numbers


entries_of = slots_of


def add_adjoints(table: Any) -> None:
    """Add the adjoints of the leaves that a sweep has reached to their gradients, all at once."""
    leaves, n = [], table.chain
    while n >= 0:
        if table.operation[n] == LEAF:
            leaves.append(n)
        n = table.left[n]
    collecting, pause = garbage_is_sought(), object()
    try:
        put_off[pause] = get_ident(), collecting
        gc.disable()
        while True:
            version = table.version
            numbers = [table.grads[n] + table.adjoint[n] for n in leaves]
            changes = map(table.grads.__setitem__, leaves, numbers)
            # atomic: nothing runs Python code, and there is no collection
            if table.version == version:
                deque(changes, 0)
                break
    finally:
        if collecting:
            gc.enable()
        put_off.pop(pause, None)
    table.version += 1
    table.noted = max([table.noted, *[n + 1 for n in leaves]])


def following(table: Any, n: int) -> int:
    """The next entry that a sweep has to replay, from `n` down."""
    return pending_entry(table.mark, n + 1)


def unmark(table: Any) -> None:
    """Take all marks away."""
    table.mark[:] = bytes(len(table.mark))


def trim(table: Any) -> None:
    """Use entries above the last one that has a Value anew: lists wait for a compaction."""


def shed_last(table: Any) -> None:
    """Drop the last entry, if nobody needs it: lists wait for a compaction."""


def owned(table: Any, count: int) -> bytearray:
    """A mark for each of `count` entries for which a Value stands."""
    return bytearray(map(is_not, map(call, islice(table.owner, count)), repeat(None)))


def numbered(marks: bytearray) -> "array[int]":
    """The number that each marked entry will have once the others are gone; and how many stay."""
    return array("i", accumulate(marks, initial=0))


def new_number(places: "array[int]", marks: bytearray, n: int) -> int:
    """That number of one entry."""
    return places[n]


# --- entries with any number of operands --------------------------------------


def usable(table: Any, operands: Iterable[Any], what: str) -> list[Any]:
    """The operands as Values that can be used here and floats."""
    return [x if type(x) is float else table.operand(x, what) for x in operands]


def evaluate(op: Op, operands: list[Any]) -> float:
    """The value of an operation on Values and floats."""
    return op.number(*[x if type(x) is float else x._tape.value[x._entry] for x in operands])


def dot_of_own(table: Any, xs: list[Any], ws: list[Any]) -> Any:
    """A quicker way to record a dot product, if there is one: here there is none."""


def gather(table: Any, operands: list[Any]) -> int:
    """Put the operands' entries into the pool, in one piece; where they begin."""
    entries = [table.entry_of(x) for x in operands]
    count = len(entries)
    # atomic
    start = table.pooled
    table.pool[start:] = entries
    table.pooled = start + count
    return start


def pull_wide(table: Any, n: int) -> None:
    """Pass on the adjoint of an entry of any kind."""
    if not (table.operation[n] == OTHER and pull_together(table, n)):
        table._pull_any(n)


def pull_together(table: Any, n: int) -> bool:
    """The same where an operation has all partials at once; whether it has."""
    op, operands, g = table.others[n], table.operands(n), table.flow[n]
    xs = [table.value[x] for x in operands]
    slopes = op.slopes(xs, table.value[n])
    if slopes is None:
        return False
    for k, x in enumerate(operands):
        code, slope = table.operation[x], slopes[k]
        if slope != 0.0 and code != CONSTANT:
            table._reach(x, g * slope, 1.0)
        elif table.flow is not table.adjoint or ARITY[code] or g - g != 0.0:
            # else it is a leaf, whose gradient would not change
            condition = 0.0 if code == CONSTANT else op.condition(k, xs, slope)
            table._reach(x, g * slope, condition)
    return True


# --- compaction ---------------------------------------------------------------


def commit(
    table: Any, version: int, held: int, marks: bytearray, places: "array[int]", sides: Any
) -> bool:
    """Move the marked entries together, drop the others and take over side tables.

    False, with nothing changed, if the table is no longer what it was for `marks`.
    """
    count, kept = len(marks), places[-1]
    owners = map(call, compress(islice(table.owner, count), marks))
    pairs = [(x, n) for n, x in enumerate(owners) if x is not None]
    moves = map(type(pairs[0][0])._entry.__set__, *zip(*pairs, strict=True)) if pairs else iter(())
    operation, left, right, value, adjoint, grads, owner = [
        list(compress(islice(column, count), marks)) for column, _ in columns(table)
    ]
    left, right, pool = _renumbered(table, operation, left, right, places)
    # entries given up are unused ones again; numbers may stay
    unused = count - kept
    operation += [0] * unused
    adjoint += [0.0] * unused
    grads += [0.0] * unused
    owner += [nobody] * unused
    labels, homes, others, scopes, names, starts = sides
    pooled = len(pool)
    changed, checked = [places[min(n, count)] for n in (table.changed, table.checked)]
    # what the table was the last to know stays until the end: it may have finalizers
    dropped = table.homes, table.others
    collecting, pause = garbage_is_sought(), object()
    try:
        put_off[pause] = get_ident(), collecting
        gc.disable()
        if table.count != count or table.version != version or table.held != held:
            return False
        # atomic: nothing runs Python code, and there is no collection
        table.operation[:count], table.left[:kept], table.right[:kept] = operation, left, right
        table.value[:kept], table.adjoint[:count], table.owner[:count] = value, adjoint, owner
        table.grads[:count] = grads
        table.labels, table.homes, table.others = labels, homes, others
        table.pool, table.pooled, table.scopes = pool, pooled, scopes
        table.names, table.places = names, starts
        table.changed, table.checked, table.fresh = changed, checked, -1
        table.count, table.version, table.moves = kept, version + 1, table.moves + 1
        deque(moves, 0)
    finally:
        if collecting:
            gc.enable()
        put_off.pop(pause, None)
    del dropped
    return True


def _renumbered(
    table: Any, operation: list[int], left: list[int], right: list[int], places: "array[int]"
) -> tuple[list[int], list[int], list[int]]:
    """The operands of the entries that are kept, by their new numbers; and the new pool."""
    lefts: list[int] = []
    rights: list[int] = []
    pool: list[int] = []
    for code, a, b in zip(operation, left, right, strict=True):
        if ARITY[code] < 0 or ARITY[code] > 2:
            entries = [places[x] for x in table.pool[a : a + b]]
            a, b = len(pool), len(entries)
            pool += entries
        elif ARITY[code]:  # what else has a number there has it from a sweep: `chain`
            a, b = places[a], places[b] if ARITY[code] == 2 else 0
        lefts.append(a)
        rights.append(b)
    return lefts, rights, pool
