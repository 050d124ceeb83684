"""Computing entries again, and whether that is needed: results and the leaves they came from.

Where a leaf's number is set, what was computed from it before is *stale*: a sweep would mix
slopes at new numbers with results of old ones. It is refused. Nothing is paid where nothing was
set: all that is noted is how many entries there were when a number was set last, `changed`.
Entries from there on are as they should be, unless they use results from before.
"""

from typing import TYPE_CHECKING, Any

from miniflow.tape import refusals
from miniflow.tape.reading import Reading
from miniflow.tape.storage import Handle, plain

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if not cython.compiled:
    from math import copysign

    from miniflow.tape.columns import LEAF, SHARED, add_adjoints, last, unmark

REACHED, MOVED = 1, 2  # marks: a result comes from it; a number below was set some time
LATEST = (1 << 31) - 1  # changes are counted up to here, then anew


def same(a: float, b: float) -> bool:
    """Whether two numbers are the same, a zero's sign included."""
    return copysign(1.0, a) == copysign(1.0, b) if a == b else a != a and b != b


class Replaying(Reading):
    """A table whose leaves' numbers change."""

    __slots__ = ()

    def set_data(self, v: Handle, number: float) -> None:
        """Put a number in the place of another one; it is noted when, in the entry's `right`."""
        moved = not same(plain(v), number)
        # atomic
        n = v._entry
        self.value[n] = number
        if moved:
            self.changes = self.changes + 1 if self.changes < LATEST else 1
            self.right[n] = -self.changes
            self.changed = self.checked = self.count
            self.mixed = False
            self.fresh = -1
        self.version += 1

    def replay(self, v: Handle) -> None:
        """Compute again, in order, what `v` comes from; all or nothing."""
        entries: list[int] = []
        old: list[float] = []
        with self.hold():
            try:
                entries = self.reached([v._entry])
                old = [self.value[n] for n in entries]
                for n in reversed(entries):
                    self.value[n] = self._recomputed(n)
            except BaseException:
                for n, number in zip(entries, old, strict=False):
                    self.value[n] = number
                raise
            finally:
                self.version += 1
            # whatever else uses these results is stale now
            self.changed = self.checked = self.count
            self.mixed = False
            self.fresh = v._entry

    def _recomputed(self, n: int) -> float:
        """What an entry is worth by its operands' values, or by another thread's leaf."""
        op = self.op(n)
        if op.arity:
            return op.number(*[self.value[x] for x in self.operands(n)])
        return plain(self.homes[n]) if self.operation[n] == SHARED else self.value[n]

    # --- stale results --------------------------------------------------------------

    def refuse_stale(self, entries: list[int]) -> None:
        """Refuse entries if they, or what they come from, are not what leaves make of them now.

        Raises:
            RuntimeError: the number of a leaf was set since; the error names it.
        """
        with self.hold():
            if not self._doubtful(entries):
                return
            stale = self._stale(entries)
            if stale >= 0:
                raise refusals.stale(self._set_last(stale))
            if len(entries) == 1:
                self.fresh = entries[0]

    def _doubtful(self, entries: list[int]) -> bool:
        """Whether some entries may be stale."""
        self._notice_others()
        if not self.changed or not entries or (entries == [self.fresh] and not self.homes):
            return False
        if not self.mixed:
            self.mixed = self.uses_before(self.changed, self.checked, False)
            self.checked = self.count
        return self.mixed or min(entries) < self.changed

    def _notice_others(self) -> None:
        """Leaves of other threads change, too: as if that had been when they were used last."""
        for n, home in self.homes.copy().items():
            if n >= self.changed and not same(self.value[n], plain(home)):
                while n < self.count and not self.arity[self.operation[n]]:
                    n += 1  # as far as the result that it is an operand of
                self.changed = self.checked = min(n + 1, self.count)
                self.mixed = False

    def _stale(self, entries: list[int]) -> int:
        """The first stale entry among those that `entries` come from, -1 if there is none."""
        marks = bytearray(self.count)
        for n in entries:
            marks[n] = REACHED
        n = last(marks, len(marks))
        while n >= 0:
            self.mark_operands(n, marks, 0)
            n = last(marks, n)
        for n in range(max(entries) + 1):
            if marks[n] and self._moved(n, marks):
                marks[n] = MOVED
                if n < self.changed and not self._holds(n):
                    return n
        return -1

    def _moved(self, n: int, marks: bytearray) -> bool:
        """Whether the number of an entry, or of one that it comes from, was set some time."""
        arity, left, right = self.arity[self.operation[n]], self.left[n], self.right[n]
        if arity == 1 or arity == 2:
            return marks[left] == MOVED or (arity == 2 and marks[right] == MOVED)
        if arity == 0:
            return right < 0 or self.operation[n] == SHARED
        for k in range(left, left + right):  # noqa: SIM110 - in C there is no generator
            if marks[self.pool[k]] == MOVED:
                return True
        return False

    def _holds(self, n: int) -> bool:
        """Whether an entry is what its operands make of it, or its leaf on another thread."""
        try:
            return same(self.value[n], self._recomputed(n))
        except Exception:  # at the old numbers it could be computed
            return False

    def _set_last(self, n: int) -> Any:
        """The leaf whose number was set last, of those that an entry comes from."""
        found, latest = n, 1
        for x in self.reached([n]):
            code = self.operation[x]
            if code == SHARED and not self._holds(x):
                return self.homes[x]
            if not self.arity[code] and self.right[x] < 0:
                when = self.right[x]
                if code == LEAF:  # before constants
                    when -= LATEST
                if when < latest:
                    found, latest = x, when
        return self.handle(found)

    # --- marks of sweeps ----------------------------------------------------------

    def begin_sweep(
        self, column: list[float], floor: int, entries: list[int], seeds: list[float]
    ) -> None:
        """Nothing is reached yet; adjoints go into a column, of entries from `floor` on."""
        if self.sweeping:
            raise refusals.sweep_in_sweep()
        if self.changed or self.homes:
            self.refuse_stale(entries)
        if self.watch is not None:
            self.watch(self, floor, entries, seeds)
        if self.trace is not None:
            self.trace.computed(floor)
        self.clean()
        self.flow, self.floor, self.chain, self.pending = column, floor, -1, 0
        self.sweeping = self.dirty = True

    def unmark_leaves(self) -> None:
        """Take away the marks of a finished sweep: there are some of leaves only."""
        n = self.chain
        while n >= 0:
            self.mark[n] = 0
            n = self.left[n]
        self.dirty = False

    def accumulate(self) -> None:
        """Add the adjoints of a finished sweep to the gradients of its leaves: all or none."""
        self.unmark_leaves()
        foreign: list[tuple[Handle, float]] = []
        n = self.chain if self.homes else -1
        while n >= 0:
            if self.operation[n] == SHARED:
                foreign.append((self.homes[n], self.adjoint[n]))
            n = self.left[n]
        add_adjoints(self)
        for home, adjoint in foreign:
            home._tape.feed(home, adjoint)

    def clean(self) -> None:
        """Take away the marks of a sweep that was broken off."""
        if self.dirty:
            unmark(self)
            self.dirty = False
