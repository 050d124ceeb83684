"""The engine: Values record what is done to them, a sweep replays it in reverse.

The tape is a table with one row per entry. Its columns:

    operation      the code of a row of the operation table; or of leaf, constant, shared
    left, right    the rows of the operands; or where in `pool` their rows are, and how many;
                   of a leaf that a sweep has reached the one that it had reached before
    value          the primal: what the entry evaluates to
    adjoint        d(output)/d(this entry), filled in by a sweep
    mark           what a running sweep has reached
    owner          who the one Value is that stands for the row, without keeping it alive

A Value is a handle: its table and its row. Rows are in order of creation, so
operands come before results: a sweep is a loop over row numbers, and no depth of
graph can overflow anything. Rows that nobody needs any more are compacted away.

This file runs as it is, its columns lists (`columns.py`); where a C compiler is at hand,
Cython compiles it, its columns arrays (`core.pxd`). Other code may run in between, as
`columns.py` tells; loops over row numbers hold compaction off (`held`).
"""

import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable
from contextlib import ContextDecorator
from numbers import Rational
from operator import eq, ge, gt, index, le, lt, ne
from typing import TYPE_CHECKING, Any

from miniflow import ops
from miniflow.ops import BY_CODE, OTHER, Op, real, stop_gradient

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if not cython.compiled:
    from miniflow.tape.columns import (
        ARITY,
        DIRECT,
        MADE_OF,
        called_type,
        commit,
        discard,
        dot_of_own,
        drop,
        evaluate,
        following,
        gather,
        get_ident,
        install,
        ints,
        known,
        last,
        living,
        made,
        new,
        numbered,
        owned,
        partial1,
        partial2,
        pending_row,
        pointer,
        prepare,
        pull_wide,
        release,
        resize,
        spread,
        usable,
        value1,
        value2,
        wide_value,
    )

if not getattr(sys, "_is_gil_enabled", lambda: True)():
    raise ImportError(
        "miniflow needs the interpreter lock, which this free-threaded Python has switched off; "
        "run it with PYTHON_GIL=1, or use the ordinary build of Python"
    )

engine = "compiled" if cython.compiled else "python"
made_of = MADE_OF.decode()  # what a compiled engine was made of, in short
SMALLEST = 1 << 13  # rows that a table has at least
SLACK = 4 if cython.compiled else 2  # lists take memory for rows that are not in use, too
PENDING, DONE = 1, 2  # marks of a sweep: to be replayed; a leaf that was reached
CONSTANT, LEAF, SHARED = ops.constant.code, ops.leaf.code, ops.shared.code
ADD, SUB, MUL, DIV, POW = [x.code for x in (ops.add, ops.sub, ops.mul, ops.div, ops.pow)]
EXACT = 1 << 53  # ints between are floats
DOT, SUM = ops.dot.code, ops.sum.code
MOD, FLOORDIV = ops.mod.code, ops.floordiv.code
NEG, POS, ABS = [x.code for x in (ops.neg, ops.pos, ops.absolute)]
RINT, TRUNC, FLOOR, CEIL = [x.code for x in (ops.rint, ops.trunc, ops.floor, ops.ceil)]

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
        "adjoint", "capacity", "chain", "count", "dirty", "due", "grads", "held", "homes", "labels",
        "left", "mark", "muted", "names", "noted", "opened", "operation", "others", "owner", "path",
        "pending", "pool", "pooled", "right", "scopes", "sweeping", "swept", "thread", "trace",
        "value", "version",
    )  # fmt: skip
    operation: list[int]
    left: list[int]
    right: list[int]
    value: list[float]
    adjoint: list[float]
    mark: bytearray
    owner: list[Any]
    pool: list[int]

    def __init__(self) -> None:
        self.count = 0
        self.capacity = 0
        self.pooled = 0  # how much of the pool is in use
        self.noted = 0  # from here on no row has an entry in a side table
        self.thread = 0  # the thread whose tape this is at present
        self.labels: dict[int, str] = {}
        self.grads: dict[int, float] = {}  # what leaves have accumulated
        self.homes: dict[int, Value] = {}  # of shared rows: the other thread's leaf
        self.others: dict[int, Op] = {}  # operations that are in no table
        self.scopes: dict[int, tuple[int, int | None]] = {}  # stretches of rows to be kept
        self.chain = -1  # the leaf that a sweep has reached last; in its `left` the one before
        self.pending = 0  # how many rows a sweep has yet to replay
        self.opened = 0  # how many scopes there have been
        self.path: tuple[str, ...] = ()  # the names that are open at present
        self.names: dict[int, tuple[str, ...]] = {}  # from which row on which were
        self.muted = 0  # inside how many no_grad()
        self.held = 0  # inside how many loops over row numbers: no compaction
        self.due = False  # whether a compaction waits for them
        self.trace: Trace | None = None  # filled in while a function is traced
        self.swept: Callable[[Value], None] | None = None  # told of each sweep
        self.sweeping = False
        self.dirty = False  # whether a sweep may have left marks behind
        self.version = 0  # counts all changes but appended rows
        resize(self, SMALLEST)

    def __dealloc__(self) -> None:
        release(self)

    # --- recording ------------------------------------------------------------

    def record(self, op: Op, operands: Iterable[Any], y: Any = None) -> "Value":
        """Append an entry for `op` on any operands (the general path); `y` if it is known."""
        xs = usable(self, operands, op.name)
        try:
            number = evaluate(op, xs) if y is None else real(y, f"the value of {op.name}")
        except ArithmeticError as error:
            error.add_note(op.advice())
            raise
        if self.muted:
            if self.trace is None:
                return self.enter(new(Value), CONSTANT, number)
            if op is not stop_gradient:
                return self.record(stop_gradient, [self._record_muted(op, xs, number)])
        code, arity = known(op.code), op.arity
        handle = new(Value)
        handle._tape = self
        reference = pointer(handle)
        left = right = 0
        if self.count + len(xs) >= self.capacity:
            self.make_room(len(xs) + 1)
        self.held += 1  # the rows of operands stay where they are
        try:
            if arity == 1 or arity == 2:
                left = self.row(xs[0])
                right = left if arity == 1 else self.row(xs[1])
            else:
                left, right = gather(self, xs), len(xs)
            while self.count >= self.capacity:
                self.make_room(1)
            # in one go: no call, no loop, no new container
            n = self.count
            self.operation[n] = code
            self.left[n] = left
            self.right[n] = right
            self.value[n] = number
            self.owner[n] = reference
            if code == OTHER:
                self.others[n] = op
                self.noted = n + 1
            handle._row = n
            self.count = n + 1
        finally:
            self.held -= 1
        self.settle()
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

    def enter(self, handle: "Value", code: int, number: float) -> "Value":
        """Append a row without operands and let `handle` stand for it."""
        handle._tape = self
        reference = pointer(handle)
        while self.count >= self.capacity:
            self.make_room(1)
        # in one go: no call, no loop, no new container
        n = self.count
        self.operation[n] = code
        self.value[n] = number
        self.owner[n] = reference
        handle._row = n
        self.count = n + 1
        return handle

    def row(self, x: Any) -> int:
        """The row of an operand, a new one for a plain number or another thread's leaf."""
        home = None
        if type(x) is Value:
            home = x
            if home._tape is self:
                return home._row
            number = plain(home)
            if home._tape.operation[home._row] != LEAF:
                home = None
        else:
            number = x
        while self.count >= self.capacity:
            self.make_room(1)
        # in one go: no call, no loop, no new container
        n = self.count
        self.value[n] = number
        if home is not None:
            self.operation[n] = SHARED
            self.homes[n] = home
            self.noted = n + 1
        self.count = n + 1
        return n

    def operand(self, x: Any, what: str) -> Any:
        """A Value that can be used here, or the plain number of anything else.

        Raises:
            TypeError: `x` is neither a Value nor a real number.
            RuntimeError: `x` was computed on another thread.
        """
        if type(x) is Value:
            v = x
            if v._tape is not self:
                v._check_foreign(what)
            return x
        return x if type(x) is float else real(x, what)

    def number(self, x: Any, what: str) -> float:
        """The plain number of an operand, with the errors of `operand`."""
        x = self.operand(x, what)
        return plain(x) if type(x) is Value else x

    # --- names ----------------------------------------------------------------

    def push(self, name: str) -> None:
        """Open a name: the rows to come belong to it."""
        path = self.path = (*self.path, name)
        # in one go: no call, no loop, no new container
        self.names[self.count] = path
        self.noted = self.count
        self.version += 1

    def pop(self) -> None:
        """Close the name that was opened last."""
        path = self.path = self.path[:-1]
        # in one go: no call, no loop, no new container
        self.names[self.count] = path
        self.noted = self.count
        self.version += 1

    def paths(self, rows: Iterable[int]) -> list[tuple[str, ...]]:
        """The names that were open when each of `rows` was recorded, the outermost first."""
        names = self.names.copy()
        starts, paths = list(names), [(), *names.values()]
        return [paths[bisect_right(starts, row)] for row in rows]

    # --- reading --------------------------------------------------------------

    def op(self, row: int) -> Op:
        """The operation of a row."""
        code = self.operation[row]
        return self.others[row] if code == OTHER else BY_CODE[code]

    def value_of(self, row: int) -> float:
        """The primal of a row."""
        return self.value[row]

    def entry(self, row: int) -> tuple[Op, float, float, str]:
        """A row's operation, primal, gradient and label."""
        grad = self.grads.get(row, 0.0) if self.operation[row] == LEAF else self.adjoint[row]
        return self.op(row), self.value[row], grad, self.labels.get(row, "")

    def operands(self, row: int) -> tuple[int, ...]:
        """The rows of an entry's operands."""
        arity, left, right = ARITY[self.operation[row]], self.left[row], self.right[row]
        if arity == 2:
            return left, right
        if arity == 1:
            return (left,)
        return tuple([self.pool[k] for k in range(left, left + right)]) if arity else ()

    def handle(self, row: int) -> "Value":
        """The Value that stands for a row; made anew where nobody keeps one (hold the rows)."""
        if self.operation[row] == SHARED:
            return self.homes[row]
        while True:
            reference = self.owner[row]
            found = living(reference)
            if found is not None:
                return found  # type: ignore[no-any-return]
            found = new(Value)
            found._tape = self
            found._row = row
            fresh = pointer(found)
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
        return self.value[row] if self.operation[row] == CONSTANT else self.handle(row)

    def reached(self, rows: Iterable[int], floor: int = 0) -> list[int]:
        """The rows that `rows` come from, themselves included, down to `floor`; newest first."""
        mark = bytearray(self.count - floor)
        for row in rows:
            if row >= floor:
                mark[row - floor] = 1
        found = []
        place = last(mark, len(mark))
        while place >= 0:
            row = place + floor
            found.append(row)
            arity, left, right = ARITY[self.operation[row]], self.left[row], self.right[row]
            if arity == 1 or arity == 2:
                if left >= floor:
                    mark[left - floor] = 1
                if arity == 2 and right >= floor:
                    mark[right - floor] = 1
            elif arity:
                for k in range(left, left + right):
                    x = self.pool[k]
                    if x >= floor:
                        mark[x - floor] = 1
            place = last(mark, place)
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
            self._pull(v._row, seed)
            leaves = self._reached_leaves()
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

    def _pull(self, row: int, seed: float) -> None:
        """The loop of a sweep: each entry passes its adjoint x partial to its operands."""
        self.chain, self.pending = -1, 0
        self._reach(row, seed)
        operation, left, right = self.operation, self.left, self.right
        value, adjoint, mark = self.value, self.adjoint, self.mark
        row += 1
        try:
            while self.pending:
                row -= 1
                if cython.compiled or mark[row] != PENDING:
                    row = following(self, row)
                    if row < 0:
                        return
                mark[row] = 0
                self.pending -= 1
                code, g, y, a, b = operation[row], adjoint[row], value[row], left[row], right[row]
                direct = DIRECT[code]
                # plain numbers are constants: nothing is passed on to them
                if direct == 2:
                    i = 2 * code
                    if partial2[i] and operation[a] != CONSTANT:
                        self._reach(a, g * partial2[i](value[a], value[b], y))
                    if partial2[i + 1] and operation[b] != CONSTANT:
                        self._reach(b, g * partial2[i + 1](value[a], value[b], y))
                elif direct == 1:
                    if partial1[code] and operation[a] != CONSTANT:
                        self._reach(a, g * partial1[code](value[a], y))
                else:
                    pull_wide(self, row)
                    # Python may have been asked, and have recorded: columns may have moved
                    operation, left, right = self.operation, self.left, self.right
                    value, adjoint, mark = self.value, self.adjoint, self.mark
        except ArithmeticError as error:
            error.add_note(self.op(row).advice())
            raise

    def _pull_any(self, row: int) -> None:
        """Pass on the adjoint of an entry of any kind."""
        op, rows = self.op(row), self.operands(row)
        xs = [self.value[x] for x in rows]
        for k, x in enumerate(rows):
            if op.follows(k) and self.operation[x] != CONSTANT:
                slope = op.partial(k, xs, self.value[row])
                self._reach(x, self.adjoint[row] * slope)

    def _reach(self, x: int, contribution: float) -> None:
        """Add to the adjoint of a row."""
        if self.mark[x]:
            self.adjoint[x] += contribution
            return
        self.adjoint[x] = contribution
        if ARITY[self.operation[x]]:
            self.mark[x] = PENDING
            self.pending += 1
        else:
            self.mark[x] = DONE
            self.left[x] = self.chain
            self.chain = x

    def _reached_leaves(self) -> list[int]:
        """The leaves that a sweep has reached, without their marks."""
        leaves: list[int] = []
        x = self.chain
        while x >= 0:
            leaves.append(x)
            self.mark[x] = 0
            x = self.left[x]
        return leaves

    def _unmark(self) -> None:
        """Take away the marks of a sweep that was broken off."""
        for row in range(self.count):
            self.mark[row] = 0
        self.dirty = False

    def accumulate(self, leaves: list[int]) -> None:
        """Add the adjoints of a finished sweep to the gradients of its leaves."""
        foreign = [(self.homes[x], self.adjoint[x]) for x in leaves if self.operation[x] == SHARED]
        while True:
            version = self.version
            grads = {
                x: self.grads.get(x, 0.0) + self.adjoint[x]
                for x in leaves
                if self.operation[x] == LEAF
            }
            if self.version == version:
                break
        self.grads |= grads
        self.version += 1
        for x in leaves:
            if x >= self.noted:
                self.noted = x + 1
        for home, adjoint in foreign:
            home._tape.feed(home, adjoint)

    def feed(self, v: "Value", adjoint: float) -> None:
        """Add to the gradient of a leaf: any thread may, without a call it comes in one go."""
        row = v._row
        if row >= self.noted:
            self.noted = row + 1
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
                self.value[x] = self._recomputed(x)
        except BaseException:
            for x, number in zip(rows, old, strict=False):
                self.value[x] = number
            raise
        finally:
            self.version += 1
            self.held -= 1
        self.settle()

    def _recomputed(self, row: int) -> float:
        """What a row is worth by its operands' values, or by another thread's leaf."""
        op = self.op(row)
        if op.arity:
            return op.number(*[self.value[x] for x in self.operands(row)])
        return plain(self.homes[row]) if op is ops.shared else self.value[row]

    def idle(self) -> bool:
        """Whether no loop over rows is under way, and none has left anything behind."""
        busy = self.held or self.muted or self.sweeping
        return not busy and pending_row(self.mark, self.capacity) < 0

    # --- room -----------------------------------------------------------------

    def make_room(self, rows: int) -> None:
        """Make room for some more rows: compact, and grow where that gained little."""
        self.compact()
        if 2 * SLACK * (self.count + rows) > 3 * self.capacity:
            resize(self, SLACK * (self.count + rows))

    def settle(self) -> None:
        """After a loop over row numbers: do what had to wait for it."""
        if self.due and not self.held:
            self.due = False
            self.make_room(0)

    def compact(self) -> None:
        """Drop the rows that nobody needs; move the others together, in order."""
        if self.held:
            self.due = True
            return
        self.held += 1
        try:
            for _ in range(9):  # if the table changes all the time, another day
                count, version = self.count, self.version
                marks = self.needed(count)
                if marks.count(1) > 3 * count // 4 or self.keep(marks, version, 1):
                    break
        finally:
            self.held -= 1
        if max(SMALLEST, 2 * SLACK * self.count) < self.capacity // 2:
            resize(self, max(SMALLEST, 2 * SLACK * self.count))

    def needed(self, count: int) -> bytearray:
        """A mark for each of `count` rows that a live Value or scope needs."""
        marks = owned(self, count)
        for start, stop in self.scopes.copy().values():
            for row in range(start, count if stop is None else min(stop, count)):
                marks[row] = 1
        row = last(marks, count)
        while row >= 0:
            arity, left, right = ARITY[self.operation[row]], self.left[row], self.right[row]
            if arity == 1 or arity == 2:
                marks[left] = 1
                if arity == 2:
                    marks[right] = 1
            elif arity:
                for k in range(left, left + right):
                    marks[self.pool[k]] = 1
            row = last(marks, row)
        return marks

    def keep(self, marks: bytearray, version: int, held: int) -> bool:
        """Drop all rows but the marked ones; False, with nothing changed, if others have come."""
        count = len(marks)
        places = numbered(marks)
        sides: Any = [
            {places[row]: x for row, x in side.copy().items() if row < count and marks[row]}
            for side in (self.labels, self.grads, self.homes, self.others)
        ]
        scopes = {
            k: (marks.count(1, 0, start), None if stop is None else marks.count(1, 0, stop))
            for k, (start, stop) in self.scopes.copy().items()
        }
        names: dict[int, tuple[str, ...]] = {}
        last_row = place = 0
        for row, path in self.names.copy().items():
            place += marks.count(1, last_row, row)
            last_row = row
            names[place] = path  # of several at one row the last one holds
        return commit(self, version, held, marks, places, (*sides, scopes, names))

    def cut(self, start: int, opened: int) -> bool:
        """Drop the rows from `start` on again; False if there are Values that stand for some."""
        count, version = self.count, self.version
        if last(owned(self, count), count) >= start:
            return False
        if any(k > opened for k in self.scopes.copy()):
            return True
        self.keep(bytearray(b"\1" * start + bytes(count - start)), version, self.held)
        return True


class Replay:
    """A recording without a tape: instructions in columns, replayed forward on plain numbers.

    Slots are counted as a program counts them: inputs, constants, results.

    Args:
        constants: the plain numbers that follow the inputs.
        first: the slot of the first result.
        instructions: operations with the slots of their operands, in order.
        outputs: slots.
        guards: comparisons: 0 for <, 1 for <=, 2 for ==; both slots; whether it holds on this
            path; how many instructions come before.
    """

    __slots__ = (
        "checked", "checks", "code", "constants", "count", "first", "left", "ops", "outputs",
        "pool", "results", "right",
    )  # fmt: skip

    def __init__(
        self, constants: Iterable[float], first: int,
        instructions: Iterable[tuple[Op, tuple[int, ...]]], outputs: Iterable[int],
        guards: Iterable[tuple[int, int, int, bool, int]],
    ) -> None:  # fmt: skip
        self.constants = list(constants)
        self.first = first
        self.ops: list[Op] = []
        codes: list[int] = []
        lefts: list[int] = []
        rights: list[int] = []
        pool: list[int] = []
        for op, operands in instructions:
            code = known(op.code)
            self.ops.append(op)
            codes.append(code)
            lefts.append(operands[0] if DIRECT[code] else len(pool))
            rights.append(operands[-1] if DIRECT[code] else len(operands))
            if not DIRECT[code]:
                pool.extend(operands)
        checks, found = [int(x) for guard in guards for x in guard], list(outputs)
        self.count, self.checked, self.results = len(codes), len(checks) // 5, len(found)
        self.code, self.left, self.right = ints(codes), ints(lefts), ints(rights)
        self.pool, self.checks, self.outputs = ints(pool), ints(checks), ints(found)

    def __dealloc__(self) -> None:
        discard(self)

    def __call__(self, xs: list[float]) -> list[float] | int:
        """The outputs at inputs `xs`; or the number of the first guard that fails."""
        slots = spread([*xs, *self.constants], self.first + self.count)
        try:
            failed = self._run(slots)
            return failed if failed >= 0 else [slots[self.outputs[k]] for k in range(self.results)]
        finally:
            drop(slots)

    def _run(self, slots: list[float]) -> int:
        """Fill the slots of results; the number of the first guard that fails, or -1."""
        k = 0
        for n in range(self.count):
            while k < self.checked and self.checks[5 * k + 4] <= n:
                if not self._holds(k, slots):
                    return k
                k += 1
            code, a, b = self.code[n], self.left[n], self.right[n]
            direct = DIRECT[code]
            if direct == 2:
                y = value2[code](slots[a], slots[b])
            elif direct == 1:
                y = value1[code](slots[a])
            else:
                y = wide_value(self, n, slots)
            slots[self.first + n] = y
        while k < self.checked and self._holds(k, slots):
            k += 1
        return k if k < self.checked else -1

    def _holds(self, k: int, slots: list[float]) -> bool:
        """Whether guard k comes out as it did."""
        relation, at = self.checks[5 * k], 5 * k
        a, b = slots[self.checks[at + 1]], slots[self.checks[at + 2]]
        answer = a < b if relation == 0 else a <= b if relation == 1 else a == b
        return answer == self.checks[at + 3]


class _Here(threading.local):
    """Each thread's own tape."""

    def __init__(self) -> None:
        self._table = _Owner(Table())

    @property
    def table(self) -> Table:
        """The one of the thread that asks."""
        return self._table.table

    @table.setter
    def table(self, table: Table) -> None:
        self._table.leave()
        self._table = _Owner(table)


class _Owner:
    """A thread's hold on its tape: when the thread is gone, nobody records there."""

    def __init__(self, table: Table) -> None:
        self.table = table
        table.thread = get_ident()

    def leave(self) -> None:
        self.table.thread = 0

    __del__ = leave


here = _Here()


latest = here.table  # the tape that was asked for last


def current() -> Table:
    """The tape of the thread that asks."""
    global latest
    table = latest
    if table.thread != get_ident():
        table = latest = here.table
    return table


def _unary(code: int, a: "Value") -> "Value":
    """Append an entry on one operand: the fast path of `Table.record`."""
    table = a._tape
    if table.thread != get_ident() or table.muted:
        return current().record(BY_CODE[code], (a,))
    y = value1[code](table.value[a._row])
    handle = new(Value)
    handle._tape = table
    reference = pointer(handle)
    while table.count >= table.capacity:
        table.make_room(1)
    # in one go: no call, no loop, no new container
    n = table.count
    table.operation[n] = code
    table.left[n] = a._row
    table.value[n] = y
    table.owner[n] = reference
    handle._row = n
    table.count = n + 1
    return handle


def _binary(code: int, a: Any, b: Any) -> "Value":
    """Append an entry on two operands, one at least a Value: the fast path of `Table.record`."""
    left = right = -1  # a plain number: it gets a row, which is a constant's until used
    if type(a) is Value:
        u = a
        table = u._tape
        left = u._row
        if type(b) is float:
            v = u
            y = value2[code](table.value[left], b)
        elif type(b) is Value:
            v = b
            if v._tape is not table:
                return _slow_binary(code, a, b)
            right = v._row
            y = value2[code](table.value[left], table.value[right])
        else:
            return _slow_binary(code, a, b)
    elif type(a) is float:
        u = v = b
        table = v._tape
        right = v._row
        y = value2[code](a, table.value[right])
    else:
        return _slow_binary(code, a, b)
    if table.thread != get_ident() or table.muted:
        return current().record(BY_CODE[code], (a, b))
    handle = new(Value)
    handle._tape = table
    reference = pointer(handle)
    while table.count + 2 > table.capacity:
        table.make_room(2)
    # in one go: no call, no loop, no new container
    n = table.count
    if right < 0:
        table.value[n] = b
        table.left[n + 1] = u._row
        table.right[n + 1] = n
        n += 1
    elif left < 0:
        table.value[n] = a
        table.left[n + 1] = n
        table.right[n + 1] = v._row
        n += 1
    else:
        table.left[n] = u._row
        table.right[n] = v._row
    table.operation[n] = code
    table.value[n] = y
    table.owner[n] = reference
    handle._row = n
    table.count = n + 1
    return handle


def dot(xs: list[Any], ws: list[Any]) -> Any:
    """The row `dot` on two lists of the same length, compiled without a third one."""
    table = current()
    entry = dot_of_own(table, xs, ws)
    return ops.dot(*xs, *ws) if entry is None else entry


def neuron(ws: list[Any], xs: list[Any], b: Any, activation: Any) -> Any:
    """What ``activation(dot(ws, xs) + b)`` is, compiled with as little Python as can be."""
    y = dot(ws, xs) + b
    if type(activation) is Op and type(y) is Value:
        code = known(activation.code)
        if DIRECT[code] == 1:
            return _unary(code, y)
    return y if activation is None else activation(y)


def _slow_binary(code: int, a: Any, b: Any) -> "Value":
    """An operator on whatever Python hands it; NotImplemented where it is no number."""
    if type(b) is int and -EXACT < b < EXACT:
        return _binary(code, a, float(b))
    if type(a) is int and -EXACT < a < EXACT:
        return _binary(code, float(a), b)
    name = BY_CODE[code].name
    for x in (a, b):
        if x is None or isinstance(x, (str, complex)):
            real(x, name)  # raises: no other type will know better
    try:
        a, b = [x if type(x) is Value else real(x, name) for x in (a, b)]
    except TypeError:
        return NotImplemented  # type: ignore[no-any-return]
    table = current()
    for x in (a, b):
        if type(x) is Value and x._tape is not table:
            return table.record(BY_CODE[code], (a, b))
    return _binary(code, a, b)


def _comparable(x: Any) -> Any:
    """The number to compare with, or NotImplemented."""
    if type(x) is Value:
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
    table = current()
    if table.trace is not None:
        # another thread's leaf gets a row here
        sides = [+x if type(x) is Value and x._tape is not table else x for x in (a, b)]
        right = sides[1] if type(b) is Value else number
        table.trace.guards.append((holds, sides[0], right, answer, table.count))
    return answer


def plain(x: "Value") -> float:
    """The number of a Value, for the library itself: `Value.data` asks whether it is lost."""
    return x._tape.value[x._row]


def is_leaf(v: "Value") -> bool:
    """Whether a Value is one that gradients are for: neither computed nor a constant."""
    return v._tape.operation[v._row] == LEAF


def home(v: "Value", what: str) -> Table:
    """The table of this thread, if a Value can be used there."""
    if v._tape is not current():
        v._check_foreign(what)
    return v._tape


def _operation(v: "Value") -> Op:
    # the row is asked for where nothing can come in between
    table = v._tape
    code = table.operation[v._row]
    return table.others[v._row] if code == OTHER else BY_CODE[code]


def _gradient(v: "Value") -> float:
    table, row = v._tape, v._row
    if table.operation[row] == LEAF:
        return table.grads.get(row, 0.0)
    return table.adjoint[row]


def frozen(what: str) -> None:
    """Refuse, while a function is traced, what its program could not do again."""
    if current().trace is not None:
        raise RuntimeError(
            f"{what} while a function is traced: its program would keep this call's number for "
            "ever; compute with the Value itself, or take this out of the function"
        )


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
    __array_priority__ = -1.0  # NumPy's scalars leave operators to us, arrays take elements
    _tape: Table
    _row: int

    def __init__(self, data: Any, label: str = "") -> None:
        if made(self):
            raise TypeError("Value: made already; set its .data, or make another one")
        if type(data) is not float:
            data = real(data, "Value")
        if not isinstance(label, str):
            raise TypeError(f"Value: label {label!r:.60} is no string")
        current().enter(self, LEAF, data)
        if label:
            self.label = label

    # --- what the table knows -------------------------------------------------

    @property
    def data(self) -> float:
        frozen("reading .data")
        return self._tape.value[self._row]

    @data.setter
    def data(self, number: Any) -> None:
        frozen("setting .data")
        number = number if type(number) is float else real(number, "Value.data")
        table = self._tape
        if ARITY[table.operation[self._row]]:
            raise AttributeError(
                "Value.data: this Value was computed; change the leaves it comes from and "
                "call its forward(), or start anew from detach()"
            )
        table.value[self._row] = number
        table.version += 1

    @property
    def grad(self) -> float:
        frozen("reading .grad")
        return _gradient(self)

    @grad.setter
    def grad(self, number: Any) -> None:
        frozen("setting .grad")
        number = number if type(number) is float else real(number, "Value.grad")
        table = self._tape
        if table.operation[self._row] == LEAF:
            row = self._row
            if row >= table.noted:
                table.noted = row + 1
            table.grads[row] = number
        else:
            table.adjoint[self._row] = number
        table.version += 1

    @property
    def label(self) -> str:
        return self._tape.labels.get(self._row, "")

    @label.setter
    def label(self, label: str) -> None:
        if not isinstance(label, str):
            raise TypeError(f"Value.label: {label!r:.60} is no string")
        table, label = self._tape, str(label)
        row = self._row
        if row >= table.noted:
            table.noted = row + 1
        table.labels[row] = label
        table.version += 1

    @property
    def op(self) -> str:
        return _operation(self).name

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
        op = _operation(self)
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
        table = home(self, "backward")
        seed = seed if type(seed) is float else real(seed, "backward")
        if table.operation[self._row] == LEAF:
            table.feed(self, seed)
            return
        if table.operation[self._row] == CONSTANT:
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
        table = home(self, "forward")
        if ARITY[table.operation[self._row]]:
            table.replay(self)
        return self

    def detach(self) -> "Value":
        """A constant with the same data: gradients stop there."""
        if current().trace is not None:
            return _unary(known(stop_gradient.code), self)
        return literal(plain(self))

    def _check_foreign(self, what: str) -> None:
        if ARITY[self._tape.operation[self._row]]:
            raise RuntimeError(
                f"{what}: this Value was computed on another thread, whose tape cannot be "
                "followed from here; compute it here, or pass its .data (or detach())"
            )

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "Value":
        """Record `op`: how a row of the operation table reaches the tape."""
        code = known(op.code)
        if DIRECT[code] == 1:
            return _unary(code, operands[0])
        if DIRECT[code] == 2:
            entry = _binary(code, operands[0], operands[1])
            if entry is not NotImplemented:
                return entry
        return current().record(op, operands)

    # --- operators ------------------------------------------------------------

    def __add__(self, other: Any) -> "Value":
        return _binary(ADD, self, other)

    def __radd__(self, other: Any) -> "Value":
        return _binary(ADD, other, self)

    def __sub__(self, other: Any) -> "Value":
        return _binary(SUB, self, other)

    def __rsub__(self, other: Any) -> "Value":
        return _binary(SUB, other, self)

    def __mul__(self, other: Any) -> "Value":
        return _binary(MUL, self, other)

    def __rmul__(self, other: Any) -> "Value":
        return _binary(MUL, other, self)

    def __truediv__(self, other: Any) -> "Value":
        return _binary(DIV, self, other)

    def __rtruediv__(self, other: Any) -> "Value":
        return _binary(DIV, other, self)

    def __pow__(self, other: Any) -> "Value":
        return _binary(POW, self, other)

    def __rpow__(self, other: Any) -> "Value":
        return _binary(POW, other, self)

    def __mod__(self, other: Any) -> "Value":
        return _binary(MOD, self, other)

    def __rmod__(self, other: Any) -> "Value":
        return _binary(MOD, other, self)

    def __floordiv__(self, other: Any) -> "Value":
        return _binary(FLOORDIV, self, other)

    def __rfloordiv__(self, other: Any) -> "Value":
        return _binary(FLOORDIV, other, self)

    def __divmod__(self, other: Any) -> tuple["Value", "Value"]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple["Value", "Value"]:
        return other // self, other % self

    def __neg__(self) -> "Value":
        return _unary(NEG, self)

    def __pos__(self) -> "Value":
        return _unary(POS, self)

    def __abs__(self) -> "Value":
        return _unary(ABS, self)

    def __round__(self, digits: int | None = None) -> "Value":
        return _unary(RINT, self) if digits is None else ops.round_to(self, index(digits))

    def __trunc__(self) -> "Value":
        return _unary(TRUNC, self)

    def __floor__(self) -> "Value":
        return _unary(FLOOR, self)

    def __ceil__(self) -> "Value":
        return _unary(CEIL, self)

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

    def __hash__(self) -> int:
        return object.__hash__(self)

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

        return _method(op, name).__get__(self)  # type: ignore[no-any-return]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *ops.TABLE, *ALIASES]

    def __format__(self, spec: str) -> str:
        if spec:
            frozen("formatting a number")
        return format(plain(self), spec) if spec else repr(self)

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        return f"Value(data={plain(self)!r}, grad={_gradient(self)!r}{label})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles: leaves only, their number and label."""
        if ARITY[self._tape.operation[self._row]]:
            raise TypeError(
                "a computed Value cannot be copied or pickled, its graph would be lost; "
                "use its .data, or copy the leaves it comes from"
            )
        kind = literal if self.op == "constant" else Value  # a constant is no parameter
        return kind, (self.data,), (None, {"label": self.label})


ops.RESERVED.update(dir(Value), ALIASES)


def _method(op: Op, name: str) -> Any:
    """A row as a method: v.tanh(), and so np.tanh(v)."""

    def method(self: Value, *operands: Any) -> Any:
        return op(self, *operands)

    method.__name__ = name
    method.__qualname__ = f"Value.{name}"
    method.__doc__ = f"What `miniflow.ops.{op.name}` answers."
    return method


def _refuse_subclass(cls: type) -> None:
    raise TypeError("Value cannot be subclassed; keep a Value in an attribute instead")


_call_any = Op.__call__


def _call(self: Op, *operands: Any) -> Any:
    """What a row answers, compiled: the fast path of `Op.__call__`."""
    code, count = known(self.code), len(operands)
    if count == 1 and DIRECT[code] == 1:
        a = operands[0]
        if type(a) is Value:
            return _unary(code, a)
        if type(a) is float:
            return value1[code](a)
    elif count == 2 and DIRECT[code] == 2:
        a, b = operands
        if type(a) is Value or type(b) is Value:
            entry = _binary(code, a, b)
            if entry is not NotImplemented:
                return entry
        elif type(a) is float and type(b) is float:
            return value2[code](a, b)
    return _call_any(self, *operands)


prepare(Value, latest, Table())
if cython.compiled:
    Op.__call__ = _call  # type: ignore[method-assign]
else:
    Value.__init_subclass__ = classmethod(_refuse_subclass)  # type: ignore[assignment]
for _name in (*ops.TABLE, *ALIASES):
    _op = ops.TABLE[ALIASES.get(_name, _name)]
    if _op.arity > 0:
        install(Value, _name, _method(_op, _name))


Called = called_type()  # what jit and vmap return is one


def literal(number: Any) -> Value:
    """A constant with a handle of its own."""
    return current().enter(new(Value), CONSTANT, real(number))


def _lost(what: str) -> TypeError:
    if current().trace is not None:
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
        table = current()
        table.muted += 1
        return self

    def __exit__(self, *exception: object) -> None:
        table = current()
        table.muted -= 1
