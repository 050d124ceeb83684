"""Room for more entries, and how entries go that nobody needs any more.

A table compacts itself when it is full: entries that neither a live Value nor an open scope
needs are dropped, the others move together, in order. If that gains little it grows. Whoever
works with numbers of entries holds them in place meanwhile.
"""

from typing import TYPE_CHECKING, Any

from miniflow.ops import OTHER
from miniflow.tape import storage
from miniflow.tape.storage import Handle, Storage, is_leaf, plain

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if not cython.compiled:
    from miniflow.tape.columns import (
        CONSTANT,
        SHARED,
        commit,
        holding,
        last,
        new_number,
        nobody,
        numbered,
        owned,
        resize,
        shed_last,
        trim,
    )

SLACK = 4 if cython.compiled else 2  # lists take memory for entries that are not in use, too


class Compaction(Storage):
    """A table that makes room for itself."""

    __slots__ = ()

    # --- holding entries in place -------------------------------------------------

    def hold(self) -> Any:
        """Inside of ``with table.hold():`` every entry keeps its number."""
        return holding(self)

    def __enter__(self) -> None:  # of a table that is compiled
        self.held += 1

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.held -= 1
        self.settle()

    def settle(self) -> None:
        """Make up for a compaction that had to wait."""
        if self.due and not self.held:
            self.due = False
            self.make_room(0)

    # --- scopes: stretches of entries that are kept ------------------------------------

    def open_scope(self) -> int:
        """Keep the entries to come; the number of their scope."""
        with self.hold():
            self.opened += 1
            self.scopes[self.opened] = (self.count, None)
            self.version += 1
        return self.opened

    def end_scope(self, scope: int) -> None:
        """Keep no more entries than there are."""
        with self.hold():
            self.scopes[scope] = (self.scopes[scope][0], self.count)
            self.version += 1

    def drop_scope(self, scope: int) -> None:
        """Keep its entries no longer."""
        del self.scopes[scope]
        self.version += 1
        trim(self)

    # --- entries ----------------------------------------------------------------

    def append(
        self, handle: Handle | None, reference: Any, code: int, left: int, right: int,
        number: float, extra: Any = None,
    ) -> int:  # fmt: skip
        """Append an entry and let `handle`, if there is one, stand for it; the entry's number.

        `extra` is the operation of an entry whose operation is in no table, or the leaf of
        another thread's that is shared.
        """
        while self.count >= self.capacity:
            self.make_room(1)
        # atomic: nothing here lets a finalizer, a signal handler or a thread run
        n = self.count
        self.operation[n] = code
        self.left[n] = left
        self.right[n] = right
        self.value[n] = number
        if extra is not None:
            if code == OTHER:
                self.others[n] = extra
            else:
                self.homes[n] = extra
            self.noted = n + 1
        if handle is not None:
            self.owner[n] = reference
            handle._entry = n
        self.count = n + 1
        return n

    def entry_of(self, x: Any) -> int:
        """The entry of an operand; a new one for a plain number or another thread's leaf."""
        if isinstance(x, Handle) and x._tape is self:
            return x._entry
        if not isinstance(x, Handle):
            return self.append(None, nobody, CONSTANT, 0, 0, x)
        number, shared = plain(x), is_leaf(x)
        return self.append(
            None, nobody, SHARED if shared else CONSTANT, 0, 0, number, x if shared else None
        )

    # --- room ---------------------------------------------------------------------

    def make_room(self, entries: int) -> None:
        """Make room for some more entries: compact, and grow where that gained little."""
        self.compact()
        if 2 * SLACK * (self.count + entries) > 3 * self.capacity:
            resize(self, SLACK * (self.count + entries))

    def room_for(self, entries: int) -> None:
        """Make sure that there is room for some more entries."""
        if self.count + entries > self.capacity:
            self.make_room(entries)

    def compact(self) -> None:
        """Drop the entries that nobody needs; move the others together, in order."""
        if self.held:
            self.due = True
            return
        with self.hold():
            for _ in range(9):  # if the table changes all the time, a later call tries again
                count, version = self.count, self.version
                marks = self.needed(count)
                if marks.count(1) > 3 * count // 4 or self.keep(marks, version, 1):
                    break
        smallest = max(storage.SMALLEST, 2 * SLACK * self.count)
        if smallest < self.capacity // 2:
            resize(self, smallest)

    def shed(self) -> None:
        """Drop the last entry now, if nobody needs it and it has an operation of its own.

        Such an operation may hold much, so its memory is used again for the next one.
        """
        shed_last(self)

    def needed(self, count: int) -> bytearray:
        """A mark for each of `count` entries that a live Value or scope needs."""
        marks = owned(self, count)
        for start, stop in self.scopes.copy().values():
            for n in range(start, count if stop is None else min(stop, count)):
                marks[n] = 1
        n = last(marks, count)
        while n >= 0:
            self.mark_operands(n, marks, 0)
            n = last(marks, n)
        return marks

    def mark_operands(self, n: int, marks: bytearray, floor: int) -> None:
        """Mark what an entry comes from, in a mark for each entry from number `floor` on."""
        arity, left, right = self.arity[self.operation[n]], self.left[n], self.right[n]
        if arity == 1 or arity == 2:
            if left >= floor:
                marks[left - floor] = 1
            if arity == 2 and right >= floor:
                marks[right - floor] = 1
        elif arity:
            for k in range(left, left + right):
                x = self.pool[k]
                if x >= floor:
                    marks[x - floor] = 1

    def keep(self, marks: bytearray, version: int, held: int) -> bool:
        """Drop all entries but the marked ones; False, with nothing changed, if others came."""
        count = len(marks)
        places = numbered(marks)
        sides: Any = [
            {
                new_number(places, marks, n): x
                for n, x in side.copy().items()
                if n < count and marks[n]
            }
            for side in (self.labels, self.homes, self.others)
        ]
        scopes = {
            k: (marks.count(1, 0, start), None if stop is None else marks.count(1, 0, stop))
            for k, (start, stop) in self.scopes.copy().items()
        }
        starts = [self._renumbered(side.copy(), marks) for side in (self.names, self.places)]
        return commit(self, version, held, marks, places, (*sides, scopes, *starts))

    def _renumbered(self, starts: dict[int, Any], marks: bytearray) -> dict[int, Any]:
        """From which entry on which names or places hold, once only marked entries are left."""
        found: dict[int, Any] = {}
        before = place = 0
        for n, x in starts.items():
            place += marks.count(1, before, n)
            before = n
            found[place] = x  # of several at one entry the last one holds
        return found

    def cut(self, start: int, opened: int) -> bool:
        """Drop the entries from `start` on again; False if there are Values that stand for some."""
        count, version = self.count, self.version
        if last(owned(self, count), count) >= start:
            return False
        if any(k > opened for k in self.scopes.copy()):
            return True
        self.keep(bytearray(b"\1" * start + bytes(count - start)), version, self.held)
        return True
