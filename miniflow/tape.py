"""The engine: Values record what is done to them, a sweep replays it in reverse.

The tape is a table with one row per entry. Its columns:

    operation      a row of the operation table; or leaf, constant, shared
    left, right    the rows of the operands (more than two are in `wides`)
    value          the primal: what the entry evaluates to
    adjoint        d(output)/d(this entry), filled in by a sweep
    mark           what a running sweep has reached
    owner          a weak reference to the one Value that stands for the row

A Value is a handle: its table and its row. Rows are in order of creation, so
operands come before results: a sweep is a loop over row numbers, and no depth of
graph can overflow anything. Rows that nobody needs any more are compacted away.

Finalizers, signal handlers and other threads may run, and record, in between. CPython lets
them in after calls, in loops, and where it allocates a container; so what must come in one
go is written without any of these, and says so. What is prepared outside is checked
against `count` and `version` first; loops over row numbers hold compaction off (`held`).
"""

import gc
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ContextDecorator
from itertools import compress, islice, repeat
from numbers import Rational
from operator import call, eq, ge, gt, index, is_not, le, lt, ne
from typing import Any, final
from weakref import ReferenceType, ref

from miniflow import ops
from miniflow.ops import Op, constant, leaf, real, shared, stop_gradient

SMALLEST = 1 << 13  # rows that a table has at least
PENDING, DONE = 1, 2  # marks of a sweep: to be replayed; a leaf that was reached
new = object.__new__


class _Gone:
    """What `nobody` referred to."""


nobody: Any = ref(_Gone())  # the owner of a row that no Value stands for

# What NumPy calls on the elements of an object array, where its name is not ours.
ALIASES = {
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "conjugate": "pos",
    "deg2rad": "radians",
    "rad2deg": "degrees",
    "fabs": "abs",
}


class Trace:
    """What a trace notes beside the rows: branches taken, and where rows come from.

    Attributes:
        guards: for each comparison of Values its function, both sides, the answer, and how
            many rows there were.
        notes: pairs of a number of rows and what the rows from there on come from: a place
            in a source file, or the number of the row that they are the reverse of.
        adjoints: pairs of rows, the first one the other's adjoint.
    """

    __slots__ = ("adjoints", "guards", "notes")

    def __init__(self) -> None:
        self.guards: list[tuple[Callable[[Any, Any], bool], Any, Any, bool, int]] = []
        self.notes: list[tuple[int, Any]] = []
        self.adjoints: list[tuple[int, int]] = []

    def note(self, count: int, origin: Any) -> None:
        """Rows from number `count` on come from `origin`."""
        self.notes.append((count, origin))

    @property
    def origin(self) -> Any:
        """What rows come from at present."""
        return self.notes[-1][1] if self.notes else None


class Table:
    """The columns of one thread's tape, and everything done on them by row number."""

    __slots__ = (
        "adjoint", "capacity", "count", "dirty", "due", "grads", "held", "homes", "labels", "left",
        "mark", "muted", "opened", "operation", "owner", "right", "scopes", "sweeping", "swept",
        "trace", "value", "version", "wides",
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = 0
        self.capacity = 0
        self.operation: list[Op] = []
        self.left: list[int] = []
        self.right: list[int] = []
        self.value: list[float] = []
        self.adjoint: list[float] = []
        self.mark = bytearray()
        self.owner: list[ReferenceType[Value]] = []
        self.wides: dict[int, tuple[int, ...]] = {}  # operands of entries with more than two
        self.labels: dict[int, str] = {}
        self.grads: dict[int, float] = {}  # what leaves have accumulated
        self.homes: dict[int, Value] = {}  # of shared rows: the other thread's leaf
        self.scopes: dict[int, tuple[int, int | None]] = {}  # stretches of rows to be kept
        self.opened = 0  # how many scopes there have been
        self.muted = 0  # inside how many no_grad()
        self.held = 0  # inside how many loops over row numbers: no compaction
        self.due = False  # whether a compaction waits for them
        self.trace: Trace | None = None  # filled in while a function is traced
        self.sweeping = False
        self.swept: Callable[[Value], None] | None = None  # called after each sweep, with its root
        self.dirty = False  # whether a sweep may have left marks behind
        self.version = 0  # counts all changes but appended rows
        self.grow(SMALLEST)

    # --- recording ------------------------------------------------------------

    def record(self, op: Op, operands: Iterable[Any], y: Any = None) -> "Value":
        """Append an entry for `op` on any operands (the general path); `y` if it is known."""
        operands = list(operands)
        numbers = [self.number(x, op.name) for x in operands]
        if y is None:
            y = op.value(*numbers)
        if y.__class__ is not float:
            y = real(y, f"the value of {op.name}")
        handle = new(Value)
        handle._tape = self
        if self.silent:
            return self.enter(handle, constant, y)
        if self.muted and op is not stop_gradient:
            return self.record(stop_gradient, [self._record_muted(op, operands, y)])
        reference = ref(handle)
        while True:
            start, version = self.count, self.version
            operations: list[Op] = []
            values: list[float] = []
            rows: list[int] = []
            homes: dict[int, Value] = {}
            for x, number in zip(operands, numbers, strict=True):
                known = x.__class__ is Value
                if known and x._tape is self:
                    rows.append(x._row)
                    continue
                foreign = known and x._tape.operation[x._row] is leaf
                if foreign:
                    homes[start + len(values)] = x
                rows.append(start + len(values))
                operations.append(shared if foreign else constant)
                values.append(number)
            n = start + len(values)
            operations.append(op)
            values.append(y)
            owners = [*repeat(nobody, n - start), reference]
            wide, span = tuple(rows), slice(start, n + 1)
            if n >= self.capacity:
                self.make_room(n + 1 - start)
            if self.count != start or self.version != version:
                continue
            # in one go: no call, no loop, no new container
            self.operation[span] = operations
            self.value[span] = values
            self.owner[span] = owners
            if 0 <= op.arity <= 2:
                self.left[n] = rows[0]
                self.right[n] = rows[-1]
            else:
                self.wides[n] = wide
            if homes:
                self.homes |= homes
            handle._row = n
            self.count = n + 1
            return handle

    def _record_muted(self, op: Op, operands: list[Any], y: float) -> "Value":
        """Record inside no_grad() what a trace has to compute anew at each call."""
        muted, self.muted = self.muted, 0
        try:
            return self.record(op, operands, y)
        finally:
            self.muted = muted

    @property
    def silent(self) -> bool:
        """Whether results are constants: inside no_grad(), but a trace records even there."""
        return self.muted > 0 and self.trace is None

    def enter(self, handle: "Value", op: Op, number: float) -> "Value":
        """Append a row without operands and let `handle` stand for it."""
        handle._tape = self
        reference = ref(handle)
        while self.count >= self.capacity:
            self.make_room(1)
        # in one go: no call, no loop, no new container
        n = self.count
        self.operation[n] = op
        self.value[n] = number
        self.owner[n] = reference
        handle._row = n
        self.count = n + 1
        return handle

    def number(self, x: Any, what: str) -> float:
        """The plain number of an operand.

        Raises:
            TypeError: `x` is neither a Value nor a real number.
            RuntimeError: `x` was computed on another thread.
        """
        if x.__class__ is not Value:
            return real(x, what)
        if x._tape is not self:
            x._check_foreign(what)
        return plain(x)

    # --- reading --------------------------------------------------------------

    def operands(self, row: int) -> tuple[int, ...]:
        """The rows of an entry's operands."""
        arity = self.operation[row].arity
        if arity == 2:
            return self.left[row], self.right[row]
        if arity == 1:
            return (self.left[row],)
        return self.wides[row] if arity else ()

    def handle(self, row: int) -> "Value":
        """The Value that stands for a row; made anew where nobody keeps one (hold the rows)."""
        if self.operation[row] is shared:
            return self.homes[row]
        while True:
            reference = self.owner[row]
            found = reference()
            if found is not None:
                return found
            found = new(Value)
            found._tape = self
            found._row = row
            fresh = ref(found)
            if self.owner[row] is reference:
                self.owner[row] = fresh
                self.version += 1
                return found

    def rows_of(self, x: "Value") -> list[int]:
        """The rows that stand for a Value here: for another thread's leaf any number."""
        if x._tape is self:
            return [x._row]
        return [row for row, home in self.homes.copy().items() if home is x]

    def primal(self, row: int) -> Any:
        """What a formula sees of a row: its Value, or the plain number of a constant."""
        return self.value[row] if self.operation[row] is constant else self.handle(row)

    def reached(self, rows: Iterable[int], floor: int = 0) -> list[int]:
        """The rows that `rows` come from, themselves included, down to `floor`; newest first."""
        mark = bytearray(self.count - floor)
        for row in rows:
            if row >= floor:
                mark[row - floor] = 1
        found = []
        place = mark.rfind(1)
        while place >= 0:
            found.append(place + floor)
            for x in self.operands(place + floor):
                if x >= floor:
                    mark[x - floor] = 1
            place = mark.rfind(1, 0, place)
        return found

    def dependent(self, rows: Iterable[int], sources: Iterable[int]) -> set[int]:
        """Those of `rows` (newest first) that come from `sources`, with the sources."""
        found = set(sources)
        for row in reversed(list(rows)):
            if not found.isdisjoint(self.operands(row)):
                found.add(row)
        return found

    # --- replaying ------------------------------------------------------------

    def sweep(self, v: "Value", seed: float) -> None:
        """Replay the tape in reverse from `v`; add to the gradients of the leaves reached.

        Afterwards `adjoint` holds seed x dv/dx for each computed row x reached. If a
        partial raises, no leaf's gradient has changed.
        """
        if self.sweeping:
            raise RuntimeError("backward() inside of backward(): let the first one finish")
        self.sweeping = True
        self.held += 1
        try:
            if self.dirty:
                self._unmark()
            self.dirty = True
            leaves = self._pull(v._row, seed)
            for x in leaves:
                self.mark[x] = 0
            self.dirty = False
            self.accumulate(leaves)
        except BaseException:
            self._unmark()
            raise
        finally:
            self.sweeping = False
            self.held -= 1
        self.settle()
        if self.swept is not None:
            self.swept(v)

    def _pull(self, row: int, seed: float) -> list[int]:
        """The loop of a sweep: each entry passes its adjoint x partial to its operands."""
        operation, left, right = self.operation, self.left, self.right
        value, adjoint, mark = self.value, self.adjoint, self.mark
        leaves: list[int] = []

        def reach(x: int, contribution: float) -> int:
            """Add to the adjoint of a row; 1 if that makes it pending."""
            if mark[x]:
                adjoint[x] += contribution
                return 0
            adjoint[x] = contribution
            if operation[x].arity:
                mark[x] = PENDING
                return 1
            mark[x] = DONE
            leaves.append(x)
            return 0

        pending = reach(row, seed)
        row += 1
        try:
            while pending:
                row -= 1
                if mark[row] != PENDING:
                    row = mark.rfind(PENDING, 0, row)
                mark[row] = 0
                pending -= 1
                op, g, y = operation[row], adjoint[row], value[row]
                # plain numbers are constants: their partials are never evaluated
                if op.arity == 2:
                    a, b = left[row], right[row]
                    by_a, by_b = op.partials
                    if by_a is not None and operation[a] is not constant:
                        slope = by_a if by_a.__class__ is float else by_a(value[a], value[b], y)
                        pending += reach(a, g * slope)
                    if by_b is not None and operation[b] is not constant:
                        slope = by_b if by_b.__class__ is float else by_b(value[a], value[b], y)
                        pending += reach(b, g * slope)
                elif op.arity == 1:
                    a, by_a = left[row], op.partials[0]
                    if by_a is not None and operation[a] is not constant:
                        slope = by_a if by_a.__class__ is float else by_a(value[a], y)
                        pending += reach(a, g * slope)
                else:
                    operands = self.wides[row]
                    xs = [value[x] for x in operands]
                    for k, x in enumerate(operands):
                        if op.follows(k) and operation[x] is not constant:
                            pending += reach(x, g * op.partial(k, xs, y))
        except ArithmeticError as error:
            error.add_note(op.advice())
            raise
        return leaves

    def _unmark(self) -> None:
        """Take away the marks of a sweep that was broken off."""
        for mark in (PENDING, DONE):
            row = self.mark.rfind(mark)
            while row >= 0:
                self.mark[row] = 0
                row = self.mark.rfind(mark, 0, row)
        self.dirty = False

    def accumulate(self, leaves: list[int]) -> None:
        """Add the adjoints of a finished sweep to the gradients of its leaves."""
        foreign = [(self.homes[x], self.adjoint[x]) for x in leaves if x in self.homes]
        while True:
            version = self.version
            grads = {
                x: self.grads.get(x, 0.0) + self.adjoint[x]
                for x in leaves
                if self.operation[x] is leaf
            }
            if self.version == version:
                break
        self.grads |= grads
        self.version += 1
        for home, adjoint in foreign:
            home._tape.feed(home, adjoint)

    def feed(self, v: "Value", adjoint: float) -> None:
        """Add to the gradient of a leaf: any thread may, without a call it comes in one go."""
        row = v._row
        self.grads[row] = self.grads[row] + adjoint if row in self.grads else adjoint
        self.version += 1

    def replay(self, v: "Value") -> None:
        """Compute again, in order, what `v` comes from; all or nothing."""
        rows: list[int] = []
        old: list[float] = []
        self.held += 1
        try:
            rows = self.reached([v._row])
            old = [self.value[x] for x in rows]
            for x in reversed(rows):
                self.value[x] = self.evaluate(x)
        except BaseException:
            for x, number in zip(rows, old, strict=False):
                self.value[x] = number
            raise
        finally:
            self.held -= 1
        self.settle()

    def evaluate(self, row: int) -> float:
        """What a row is worth by its operands' values, or by another thread's leaf."""
        op = self.operation[row]
        if op.arity:
            y = op.value(*[self.value[x] for x in self.operands(row)])
            return real(y, f"the value of {op.name}")
        return plain(self.homes[row]) if op is shared else self.value[row]

    # --- room -----------------------------------------------------------------

    def make_room(self, rows: int) -> None:
        """Make room for some more rows: compact, and grow where that gained little."""
        self.compact()
        if 4 * (self.count + rows) > 3 * self.capacity:
            self.grow(2 * (self.count + rows))

    def settle(self) -> None:
        """After a loop over row numbers: do what had to wait for it."""
        if self.due and not self.held:
            self.due = False
            self.make_room(0)

    def grow(self, capacity: int) -> None:
        """Lengthen every column to at least `capacity` rows."""
        for column, blank in self.columns():
            column.extend([blank] * (capacity - len(column)))
        self.mark.extend(bytes(max(capacity - len(self.mark), 0)))
        if capacity > self.capacity:
            self.capacity = capacity
        self.version += 1

    def columns(self) -> list[tuple[list[Any], Any]]:
        """Every column with what an unused row of it holds."""
        return [
            (self.operation, constant),
            (self.left, 0),
            (self.right, 0),
            (self.value, 0.0),
            (self.adjoint, 0.0),
            (self.owner, nobody),
        ]

    def needed(self, count: int) -> tuple[bytearray, list["Value"]]:
        """A mark for each of `count` rows that a live Value or scope needs; the live Values."""
        owners = list(map(call, islice(self.owner, count)))
        marks = bytearray(map(is_not, owners, repeat(None)))
        handles = list(compress(owners, marks))
        for start, stop in self.scopes.copy().values():
            rows = range(start, len(marks) if stop is None else stop)
            marks[rows.start : rows.stop] = b"\1" * len(rows)
        row = len(marks)
        while row > 0:
            row -= 1
            if not marks[row]:
                row = marks.rfind(1, 0, row)
            if row >= 0:
                for x in self.operands(row):
                    marks[x] = 1
        return marks, handles  # type: ignore[return-value]

    def compact(self) -> None:
        """Drop the rows that nobody needs; move the others together, in order."""
        if self.held:
            self.due = True
            return
        self.held += 1
        try:
            for _ in range(9):  # if the table changes all the time, another day
                if self._compact():
                    break
        finally:
            self.held -= 1

    def _compact(self) -> bool:
        """One try; False, with nothing changed, where the table changed meanwhile."""
        count, version = self.count, self.version
        marks, handles = self.needed(count)
        kept = marks.count(1)
        if kept > 3 * count // 4:
            return True
        rows = list(compress(range(count), marks))
        places = dict(zip(rows, range(kept), strict=True))
        operation, left, right, value, adjoint, owner = [
            [column[row] for row in rows] for column, _ in self.columns()
        ]
        left = [places.get(row, 0) for row in left]
        right = [places.get(row, 0) for row in right]
        # rows given up are unused ones again; numbers may stay
        unused = count - kept
        operation += [constant] * unused
        adjoint += [0.0] * unused
        owner += [nobody] * unused
        sides: list[Any] = [
            {places[row]: x for row, x in side.copy().items() if row in places}
            for side in (self.labels, self.grads, self.homes, self.wides)
        ]
        labels, grads, homes, wides = sides
        for row, rows_of in wides.items():
            wides[row] = tuple([places[x] for x in rows_of])
        scopes = {
            k: (marks.count(1, 0, start), None if stop is None else marks.count(1, 0, stop))
            for k, (start, stop) in self.scopes.copy().items()
        }
        moves = map(_set_row, handles, [places[handle._row] for handle in handles])
        # what the table was the last to know stays until the end: it may have finalizers
        dropped = [self.operation[:count], self.homes]
        collecting = gc.isenabled()
        try:
            gc.disable()
            if self.count != count or self.version != version or self.held > 1:
                return False
            # in one go: nothing runs Python code, and there is no collection
            self.operation[:count], self.left[:kept], self.right[:kept] = operation, left, right
            self.value[:kept], self.adjoint[:count], self.owner[:count] = value, adjoint, owner
            self.labels, self.grads, self.homes, self.wides = labels, grads, homes, wides
            self.scopes, self.count, self.version = scopes, kept, version + 1
            deque(moves, 0)
        finally:
            if collecting:
                gc.enable()
        del dropped
        self.shrink()
        return True

    def cut(self, start: int, opened: int) -> bool:
        """Drop the rows from `start` on again; False if there are Values that stand for some."""
        count, version = self.count, self.version
        if any(x is not None for x in map(call, islice(self.owner, start, count))):
            return False
        if any(k > opened for k in self.scopes.copy()):
            return True
        sides: list[Any] = [
            {row: x for row, x in side.copy().items() if row < start}
            for side in (self.labels, self.grads, self.homes, self.wides)
        ]
        labels, grads, homes, wides = sides
        unused = count - start
        operation, owner, adjoint = [constant] * unused, [nobody] * unused, [0.0] * unused
        rows = slice(start, count)
        dropped = [self.operation[rows], self.homes]  # they may have finalizers
        if self.count == count and self.version == version:
            # in one go: no call, no loop, no new container
            self.operation[rows] = operation
            self.owner[rows] = owner
            self.adjoint[rows] = adjoint
            self.labels, self.grads, self.homes, self.wides = labels, grads, homes, wides
            self.count = start
            self.version = version + 1
        del dropped
        return True

    def shrink(self) -> None:
        """Give back rows where there are many more than are in use."""
        capacity = max(SMALLEST, 4 * self.count)
        tail = slice(capacity, None)
        dropped = self.operation[tail]  # it may have finalizers
        if self.count <= capacity < self.capacity // 2:
            # in one go: no call, no loop, no new container
            self.capacity = capacity
            del self.operation[tail]
            del self.left[tail]
            del self.right[tail]
            del self.value[tail]
            del self.adjoint[tail]
            del self.owner[tail]
            del self.mark[tail]
        del dropped


class _Here(threading.local):
    """Each thread's own tape."""

    def __init__(self) -> None:
        self.table = Table()


here = _Here()


def _unary(op: Op, a: "Value") -> "Value":
    """Append an entry on one operand: the fast path of `Table.record`."""
    table = here.table
    if a._tape is not table or table.muted:
        return table.record(op, (a,))
    y = op.value(table.value[a._row])
    if y.__class__ is not float:
        y = real(y, f"the value of {op.name}")
    handle = new(Value)
    handle._tape = table
    reference = ref(handle)
    while table.count >= table.capacity:
        table.make_room(1)
    # in one go: no call, no loop, no new container
    n = table.count
    table.operation[n] = op
    table.left[n] = a._row
    table.value[n] = y
    table.owner[n] = reference
    handle._row = n
    table.count = n + 1
    return handle


def _binary(op: Op, a: Any, b: Any) -> "Value":
    """Append an entry on two operands, one at least a Value: the fast path of `Table.record`."""
    table = here.table
    value = table.value
    left = right = -1  # a plain number: it gets a row, which is a constant's until used
    if a.__class__ is Value and a._tape is table:
        left = a._row
        if b.__class__ is float:
            y = op.value(value[left], b)
        elif b.__class__ is Value and b._tape is table:
            right = b._row
            y = op.value(value[left], value[right])
        else:
            return _slow_binary(op, a, b)
    elif a.__class__ is float and b._tape is table:
        right = b._row
        y = op.value(a, value[right])
    else:
        return _slow_binary(op, a, b)
    if y.__class__ is not float or table.muted:
        return table.record(op, (a, b))
    handle = new(Value)
    handle._tape = table
    reference = ref(handle)
    while table.count + 2 > table.capacity:
        table.make_room(2)
    # in one go: no call, no loop, no new container
    n = table.count
    if right < 0:
        table.value[n] = b
        table.left[n + 1] = a._row
        table.right[n + 1] = n
        n += 1
    elif left < 0:
        table.value[n] = a
        table.left[n + 1] = n
        table.right[n + 1] = b._row
        n += 1
    else:
        table.left[n] = a._row
        table.right[n] = b._row
    table.operation[n] = op
    table.value[n] = y
    table.owner[n] = reference
    handle._row = n
    table.count = n + 1
    return handle


def _slow_binary(op: Op, a: Any, b: Any) -> "Value":
    """An operator on whatever Python hands it; NotImplemented where it is no number."""
    for x in (a, b):
        if x is None or isinstance(x, (str, complex)):
            real(x, op.name)  # raises: no other type will know better
    try:
        a, b = [x if x.__class__ is Value else real(x, op.name) for x in (a, b)]
    except TypeError:
        return NotImplemented  # type: ignore[no-any-return]
    table = here.table
    if table.muted or any(x.__class__ is Value and x._tape is not table for x in (a, b)):
        return table.record(op, (a, b))
    return _binary(op, a, b)


def _comparable(x: Any) -> Any:
    """The number to compare with, or NotImplemented."""
    if x.__class__ is Value:
        return plain(x)
    if isinstance(x, Rational) and not hasattr(x, "dtype"):
        return x  # Python compares floats with ints and fractions exactly
    try:
        return real(x)
    except TypeError:
        return NotImplemented


def _compare(holds: Callable[[Any, Any], bool], a: "Value", b: Any) -> Any:
    """What a comparison of numbers answers; a trace takes note of it."""
    number = _comparable(b)
    if number is NotImplemented:
        return number
    answer = holds(plain(a), number)
    table = here.table
    if table.trace is not None:
        # another thread's leaf gets a row here
        sides = [+x if x.__class__ is Value and x._tape is not table else x for x in (a, b)]
        right = sides[1] if b.__class__ is Value else number
        table.trace.guards.append((holds, sides[0], right, answer, table.count))
    return answer


def plain(x: "Value") -> float:
    """The number of a Value, for the library itself: `Value.data` asks whether it is lost."""
    return x._tape.value[x._row]


def frozen(what: str) -> None:
    """Refuse, while a function is traced, what its program could not do again."""
    if here.table.trace is not None:
        raise RuntimeError(
            f"{what} while a function is traced: its program would keep this call's number for "
            "ever; compute with the Value itself, or take this out of the function"
        )


@final
class Value:
    """A number that remembers what it was computed from.

    Args:
        data: a real number, in any unit; stored as an IEEE double.
        label: a name for diagrams and tables.

    Attributes:
        data: the number. Only a leaf's can be set; then `forward` carries it on.
        grad: d(output)/d(this Value) in units of output/this. Accumulates over calls of
            `backward` for a leaf; of the latest call that reached it for a computed Value.
        label: the name.
        op: the name of the operation that computed it, "leaf" or "constant".
        inputs: the Values that it was computed from.

    Raises:
        TypeError: `data` is not a real number or `label` not a string.

    Example:
        >>> a, b = Value(2.0), Value(-3.0)
        >>> y = a * b + a**2
        >>> y.backward()
        >>> y.data, a.grad, b.grad
        (-2.0, 1.0, 2.0)
    """

    __slots__ = ("__weakref__", "_row", "_tape")
    _tape: Table
    _row: int

    def __init__(self, data: Any, label: str = "") -> None:
        if data.__class__ is not float:
            data = real(data, "Value")
        if not isinstance(label, str):
            raise TypeError(f"Value: label {label!r:.60} is no string")
        here.table.enter(self, leaf, data)
        if label:
            self.label = label

    def __init_subclass__(cls) -> None:
        raise TypeError("Value cannot be subclassed; keep a Value in an attribute instead")

    # --- what the table knows -------------------------------------------------

    @property
    def data(self) -> float:
        frozen("reading .data")
        return self._tape.value[self._row]

    @data.setter
    def data(self, number: Any) -> None:
        frozen("setting .data")
        number = real(number, "Value.data")
        table = self._tape
        if table.operation[self._row].arity:
            raise AttributeError(
                "Value.data: this Value was computed; change the leaves it comes from and "
                "call its forward(), or start anew from detach()"
            )
        table.value[self._row] = number
        table.version += 1

    @property
    def grad(self) -> float:
        frozen("reading .grad")
        return self._gradient()

    @grad.setter
    def grad(self, number: Any) -> None:
        frozen("setting .grad")
        number = real(number, "Value.grad")
        table = self._tape
        if table.operation[self._row] is leaf:
            table.grads[self._row] = number
        else:
            table.adjoint[self._row] = number
        table.version += 1

    def _gradient(self) -> float:
        table, row = self._tape, self._row
        if table.operation[row] is leaf:
            return table.grads.get(row, 0.0)
        return table.adjoint[row]

    @property
    def label(self) -> str:
        return self._tape.labels.get(self._row, "")

    @label.setter
    def label(self, label: str) -> None:
        if not isinstance(label, str):
            raise TypeError(f"Value.label: {label!r:.60} is no string")
        table, label = self._tape, str(label)
        table.labels[self._row] = label
        table.version += 1

    @property
    def op(self) -> str:
        return self._tape.operation[self._row].name

    @property
    def inputs(self) -> tuple["Value", ...]:
        table = self._tape
        table.held += 1
        try:
            return tuple([table.handle(x) for x in table.operands(self._row)])
        finally:
            table.held -= 1

    @property
    def _op(self) -> str:
        """What micrograd calls the operation: its symbol, "" for a leaf."""
        op = self._tape.operation[self._row]
        return op.symbol if op.arity else ""

    @property
    def _prev(self) -> set["Value"]:
        """What micrograd calls the inputs."""
        return set(self.inputs)

    # --- differentiation ------------------------------------------------------

    def backward(self, seed: float = 1.0) -> None:
        """Add d(self)/d(leaf) to the grad of every leaf that self was computed from.

        Args:
            seed: what to multiply every derivative with, in units of the result.

        Raises:
            RuntimeError: self was computed on another thread, or nothing was recorded.
        """
        frozen("backward()")
        table, seed = self._home("backward"), real(seed, "backward")
        if table.operation[self._row] is leaf:
            table.feed(self, seed)
            return
        if table.operation[self._row] is constant:
            raise RuntimeError(
                "backward: this Value is a constant, nothing was recorded; "
                "compute it outside of no_grad() and without detach()"
            )
        table.sweep(self, seed)

    def forward(self) -> "Value":
        """Compute self again, after leaves' data have changed, and return self.

        The recorded entries are replayed in order. A branch that Python took while
        recording stays taken, and so does what a plain True or False of a comparison
        chose; ``math.where(math.less(0, x), x, -x)`` chooses anew, and so does an entry
        that a compiled function has made. Gradients stay as they are. On an error nothing
        has changed.

        Raises:
            RuntimeError: self was computed on another thread.
        """
        frozen("forward()")
        table = self._home("forward")
        if table.operation[self._row].arity:
            table.replay(self)
        return self

    def detach(self) -> "Value":
        """A constant with the same data: gradients stop there."""
        if here.table.trace is not None:
            return _unary(stop_gradient, self)
        return literal(plain(self))

    def _home(self, what: str) -> Table:
        """The table of this thread, if self can be used there."""
        if self._tape is not here.table:
            self._check_foreign(what)
        return self._tape

    def _check_foreign(self, what: str) -> None:
        if self._tape.operation[self._row].arity:
            raise RuntimeError(
                f"{what}: this Value was computed on another thread, whose tape cannot be "
                "followed from here; compute it here, or pass its .data (or detach())"
            )

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "Value":
        """Record `op`: how a row of the operation table reaches the tape."""
        try:
            if op.arity == 1:
                return _unary(op, operands[0])
            if op.arity == 2:
                entry = _binary(op, *operands)
                if entry is not NotImplemented:
                    return entry
            return here.table.record(op, operands)
        except ArithmeticError as error:
            error.add_note(op.advice())
            raise

    # --- operators ------------------------------------------------------------

    def __add__(self, other: Any) -> "Value":
        return _binary(ops.add, self, other)

    def __radd__(self, other: Any) -> "Value":
        return _binary(ops.add, other, self)

    def __sub__(self, other: Any) -> "Value":
        return _binary(ops.sub, self, other)

    def __rsub__(self, other: Any) -> "Value":
        return _binary(ops.sub, other, self)

    def __mul__(self, other: Any) -> "Value":
        return _binary(ops.mul, self, other)

    def __rmul__(self, other: Any) -> "Value":
        return _binary(ops.mul, other, self)

    def __truediv__(self, other: Any) -> "Value":
        return _binary(ops.div, self, other)

    def __rtruediv__(self, other: Any) -> "Value":
        return _binary(ops.div, other, self)

    def __pow__(self, other: Any) -> "Value":
        return _binary(ops.pow, self, other)

    def __rpow__(self, other: Any) -> "Value":
        return _binary(ops.pow, other, self)

    def __mod__(self, other: Any) -> "Value":
        return _binary(ops.mod, self, other)

    def __rmod__(self, other: Any) -> "Value":
        return _binary(ops.mod, other, self)

    def __floordiv__(self, other: Any) -> "Value":
        return _binary(ops.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> "Value":
        return _binary(ops.floordiv, other, self)

    def __divmod__(self, other: Any) -> tuple["Value", "Value"]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple["Value", "Value"]:
        return other // self, other % self

    def __neg__(self) -> "Value":
        return _unary(ops.neg, self)

    def __pos__(self) -> "Value":
        return _unary(ops.pos, self)

    def __abs__(self) -> "Value":
        return _unary(ops.absolute, self)

    def __round__(self, digits: int | None = None) -> "Value":
        return _unary(ops.rint, self) if digits is None else ops.round_to(self, index(digits))

    def __trunc__(self) -> "Value":
        return _unary(ops.trunc, self)

    def __floor__(self) -> "Value":
        return _unary(ops.floor, self)

    def __ceil__(self) -> "Value":
        return _unary(ops.ceil, self)

    # --- comparisons: of numbers ----------------------------------------------

    def __eq__(self, other: Any) -> Any:
        return _compare(eq, self, other)

    def __ne__(self, other: Any) -> Any:
        return _compare(ne, self, other)

    def __lt__(self, other: Any) -> Any:
        return _compare(lt, self, other)

    def __le__(self, other: Any) -> Any:
        return _compare(le, self, other)

    def __gt__(self, other: Any) -> Any:
        return _compare(gt, self, other)

    def __ge__(self, other: Any) -> Any:
        return _compare(ge, self, other)

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return _compare(ne, self, 0.0)  # type: ignore[no-any-return]

    # --- never a silently lost gradient ---------------------------------------

    def __float__(self) -> float:
        raise _lost("float")

    def __int__(self) -> int:
        raise _lost("int")

    def __index__(self) -> int:
        raise _lost("an index")

    def __complex__(self) -> complex:
        raise _lost("complex")

    # --- everything else ------------------------------------------------------

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The table's functions as methods: v.tanh(), and so np.tanh(v)."""
        op = ops.TABLE.get(ALIASES.get(name, name))
        if op is None or op.arity < 0:
            raise AttributeError(
                f"Value has no attribute {name!r}, nor is it an operation on numbers; "
                "functions of lists are in miniflow.math"
            )

        def method(*operands: Any) -> Any:
            return op(self, *operands)

        return method

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *ops.TABLE, *ALIASES]

    def __format__(self, spec: str) -> str:
        if spec:
            frozen("formatting a number")
        return format(plain(self), spec) if spec else repr(self)

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        return f"Value(data={plain(self)!r}, grad={self._gradient()!r}{label})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles: leaves only, their number and label."""
        if self._tape.operation[self._row].arity:
            raise TypeError(
                "a computed Value cannot be copied or pickled, its graph would be lost; "
                "use its .data, or copy the leaves it comes from"
            )
        kind = literal if self.op == "constant" else Value  # a constant is no parameter
        return kind, (self.data,), (None, {"label": self.label})


ops.RESERVED.update(dir(Value), ALIASES)
_set_row: Any = vars(Value)["_row"].__set__


def literal(number: Any) -> Value:
    """A constant with a handle of its own."""
    return here.table.enter(new(Value), constant, real(number))


def _lost(what: str) -> TypeError:
    if here.table.trace is not None:
        return TypeError(
            f"a Value cannot become {what} while a function is traced; use miniflow.math for "
            "functions, and pass what is to be a plain number in another way: by a closure, or "
            "functools.partial"
        )
    return TypeError(
        f"a Value cannot become {what} without losing its gradient; use its .data for the "
        "plain number, and miniflow.math instead of math for functions"
    )


class no_grad(ContextDecorator):  # noqa: N801 - PyTorch's name
    """A block, or a decorated function, in which results are constants.

    Example:
        >>> a = Value(2.0)
        >>> with no_grad():
        ...     b = a * 3
        >>> b.op
        'constant'
    """

    def __enter__(self) -> "no_grad":
        here.table.muted += 1
        return self

    def __exit__(self, *exception: object) -> None:
        here.table.muted -= 1
