"""The columns of a table, as Python lists: what C provides where the engine is compiled.

`core.py` is one source for two engines. Here is what it takes from elsewhere when it runs
as it is; `core.pxd` and `engine.h` have the same functions in C.

Finalizers, signal handlers and other threads may run, and record, in between. CPython lets
them in after calls, in loops, and where it allocates a container; so what must come in one
go is written without any of these, and says so. What is prepared outside is checked
against `count` and `version` first. (C code that calls no Python comes in one go anyhow.)

The owner column refers weakly, so a Value that a finalizer saves from the garbage has lost its
row: CPython clears weak references first. (The compiled engine's bare pointers know better.)
"""

import gc
from collections import deque
from collections.abc import Iterable
from itertools import compress, islice, repeat
from operator import call, is_not
from threading import get_ident
from typing import TYPE_CHECKING, Any
from weakref import ref

from miniflow.ops import BUILTIN, BY_CODE, Op

if TYPE_CHECKING:
    from miniflow.tape.core import Replay, Table

__all__ = [
    "ARITY", "DIRECT", "MADE_OF", "called_type", "commit", "cython", "discard", "dot_of_own",
    "drop", "evaluate", "following", "gather", "get_ident", "install", "ints", "known", "last",
    "living", "made", "new", "nobody", "numbered", "owned", "partial1", "partial2", "pending_row",
    "pointer", "prepare", "pull_wide", "release", "resize", "spread", "usable", "value1", "value2",
    "wide_value",
]  # fmt: skip


class cython:  # noqa: N801
    """What stands in for the compiler's module."""

    compiled = False


MADE_OF = b""


class _Gone:
    """What `nobody` referred to."""


install = setattr  # a method of the class of Values
new = object.__new__  # a Value without a tape
pointer = ref  # what the owner column has of a Value
nobody: Any = ref(_Gone())  # the owner of a row that no Value stands for
ARITY: list[int] = []  # by an operation's code


# The rules of operations of one or two operands, by their codes.
DIRECT: list[int] = []  # how many operands; 0 for a user's operation, and for other numbers
value1: list[Any] = []
value2: list[Any] = []
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
        ARITY.append(op.arity)
    return code


def _constant(slope: float | None) -> Any:
    """A rule whose answer is always the same; None where it is flat."""
    return None if slope is None else lambda *_: slope


def made(handle: Any) -> bool:
    """Whether a Value stands for a row already."""
    return hasattr(handle, "_row")


def living(owner: Any) -> Any:
    """The Value in the owner column, or None."""
    return owner()


def prepare(values: type, table: "Table", nowhere: "Table") -> None:
    """Make the class of Values ready."""


# --- room ---------------------------------------------------------------------

BLANKS = (("operation", 0), ("left", 0), ("right", 0), ("value", 0.0), ("adjoint", 0.0))


def columns(table: "Table") -> list[tuple[list[Any], Any]]:
    """Every column of rows with what an unused row of it holds."""
    return [(getattr(table, name), blank) for name, blank in (*BLANKS, ("owner", nobody))]


def resize(table: "Table", capacity: int) -> None:
    """Give every column that many rows, or at least as many as are in use."""
    if not hasattr(table, "mark"):
        table.mark, table.owner, table.pool = bytearray(), [], []
        for name, _ in BLANKS:
            setattr(table, name, [])
    known(0)
    if capacity > table.capacity:
        _lengthen(table, capacity)
    else:
        _shorten(table, capacity)


def _lengthen(table: "Table", capacity: int) -> None:
    while True:
        version = table.version
        for column, blank in columns(table):
            column.extend(repeat(blank, capacity - len(column)))
        table.mark.extend(bytes(max(capacity - len(table.mark), 0)))
        # in one go: no call, no loop, no new container
        if table.version == version:
            if capacity > table.capacity:
                table.capacity = capacity
            table.version = version + 1
            return


def _shorten(table: "Table", capacity: int) -> None:
    tail = slice(capacity, None)
    if table.count <= capacity:
        # in one go: no call, no loop, no new container
        table.capacity = capacity
        table.version += 1
        del table.operation[tail]
        del table.left[tail]
        del table.right[tail]
        del table.value[tail]
        del table.adjoint[tail]
        del table.owner[tail]
        del table.mark[tail]


def release(table: "Table") -> None:
    """Give the columns' memory back."""


# --- marks --------------------------------------------------------------------


def last(marks: bytearray, stop: int) -> int:
    """The last marked row before `stop`, -1 if there is none."""
    return marks.rfind(1, 0, stop)


def pending_row(mark: bytearray, stop: int) -> int:
    """The last row before `stop` that a sweep has yet to replay."""
    return mark.rfind(1, 0, stop)


def following(table: "Table", row: int) -> int:
    """The next row that a sweep has to replay, from `row` down."""
    return pending_row(table.mark, row + 1)


def owned(table: "Table", count: int) -> bytearray:
    """A mark for each of `count` rows for which a Value stands."""
    return bytearray(map(is_not, map(call, islice(table.owner, count)), repeat(None)))


def numbered(marks: bytearray) -> Any:
    """The number that each marked row will have once the others are gone."""
    rows = list(compress(range(len(marks)), marks))
    return dict(zip(rows, range(len(rows)), strict=True))


# --- entries with any number of operands --------------------------------------


def usable(table: "Table", operands: Iterable[Any], what: str) -> list[Any]:
    """The operands as Values that can be used here and floats."""
    return [table.operand(x, what) for x in operands]


def evaluate(op: Op, operands: list[Any]) -> float:
    """The value of an operation on Values and floats."""
    return op.number(*[x if type(x) is float else x._tape.value[x._row] for x in operands])


def dot_of_own(table: "Table", xs: list[Any], ws: list[Any]) -> Any:
    """A quicker way to record a dot product, if there is one: here there is none."""


def gather(table: "Table", operands: list[Any]) -> int:
    """Put the operands' rows into the pool, in one piece; where they begin."""
    rows = [table.row(x) for x in operands]
    count = len(rows)
    # in one go: no call, no loop, no new container
    start = table.pooled
    table.pool[start:] = rows
    table.pooled = start + count
    return start


def pull_wide(table: "Table", row: int) -> None:
    """Pass on the adjoint of an entry of any kind."""
    table._pull_any(row)


# --- compaction ---------------------------------------------------------------


def commit(
    table: "Table", version: int, held: int, marks: bytearray, places: dict[int, int], sides: Any
) -> bool:
    """Move the marked rows together, drop the others and take over side tables.

    False, with nothing changed, if the table is no longer what it was for `marks`.
    """
    count, kept = len(marks), len(places)
    owners = map(call, compress(islice(table.owner, count), marks))
    pairs = [(x, n) for n, x in enumerate(owners) if x is not None]
    moves = map(type(pairs[0][0])._row.__set__, *zip(*pairs, strict=True)) if pairs else iter(())
    operation, left, right, value, adjoint, owner = [
        list(compress(islice(column, count), marks)) for column, _ in columns(table)
    ]
    left, right, pool = _renumbered(table, operation, left, right, places)
    # rows given up are unused ones again; numbers may stay
    unused = count - kept
    operation += [0] * unused
    adjoint += [0.0] * unused
    owner += [nobody] * unused
    labels, grads, homes, others, scopes, names = sides
    pooled = len(pool)
    # what the table was the last to know stays until the end: it may have finalizers
    dropped = table.homes, table.others
    collecting = gc.isenabled()
    try:
        gc.disable()
        if table.count != count or table.version != version or table.held != held:
            return False
        # in one go: nothing runs Python code, and there is no collection
        table.operation[:count], table.left[:kept], table.right[:kept] = operation, left, right
        table.value[:kept], table.adjoint[:count], table.owner[:count] = value, adjoint, owner
        table.labels, table.grads, table.homes, table.others = labels, grads, homes, others
        table.pool, table.pooled, table.scopes, table.names = pool, pooled, scopes, names
        table.count, table.version = kept, version + 1
        deque(moves, 0)
    finally:
        if collecting:
            gc.enable()
    del dropped
    return True


def _renumbered(
    table: "Table", operation: list[int], left: list[int], right: list[int], places: dict[int, int]
) -> tuple[list[int], list[int], list[int]]:
    """The operands of the rows that are kept, by their new numbers; and the new pool."""
    lefts: list[int] = []
    rights: list[int] = []
    pool: list[int] = []
    for code, a, b in zip(operation, left, right, strict=True):
        if ARITY[code] < 0 or ARITY[code] > 2:
            rows = [places[x] for x in table.pool[a : a + b]]
            a, b = len(pool), len(rows)
            pool += rows
        elif ARITY[code]:  # what else has a number there has it from a sweep: `chain`
            a, b = places.get(a, 0), places.get(b, 0)
        lefts.append(a)
        rights.append(b)
    return lefts, rights, pool


# --- replaying a program ------------------------------------------------------


def ints(numbers: list[int]) -> list[int]:
    """A column of ints."""
    return numbers


def discard(replay: "Replay") -> None:
    """Give the columns' memory back."""


def spread(numbers: list[float], size: int) -> list[float]:
    """So many slots, the first ones filled."""
    return numbers + [0.0] * (size - len(numbers))


def drop(slots: list[float]) -> None:
    """Give the slots' memory back."""


def wide_value(replay: "Replay", n: int, slots: list[float]) -> float:
    """The result of instruction n, an operation of any kind."""
    start, count = replay.left[n], replay.right[n]
    return replay.ops[n].number(*[slots[x] for x in replay.pool[start : start + count]])


# --- calls --------------------------------------------------------------------


class Called:
    """An object whose calls its method `run` answers, and once it has one its shortcut.

    Each has a class of its own, so that its class can have the shortcut.
    """

    __slots__ = ("_shortcut",)  # not an attribute that a wrapper would copy

    def __new__(cls, *_: Any, **__: Any) -> Any:
        made: Any = object.__new__(type(cls.__name__, (cls,), {"__module__": cls.__module__}))
        made._shortcut = None
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    @property
    def shortcut(self) -> Any:
        return self._shortcut

    @shortcut.setter
    def shortcut(self, answer: Any) -> None:
        self._shortcut = answer
        if answer is None:
            answer = self.run
        unbound = staticmethod(answer) if hasattr(answer, "__get__") else answer
        setattr(type(self), "__call__", unbound)  # noqa: B010 - on a class of its own


def called_type() -> type:
    """The class of such objects."""
    return Called
