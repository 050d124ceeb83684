"""Adjoints of choices in a recorded sweep, added up in the order in which Python's would be.

Python's `max` returns one of its arguments, so what arrives at the maximum and what arrives at
that argument is added up in one place, in the order of the sweep. A choice in a trace is a Value
of its own (`program/choices.py`). So its adjoint here takes in, too, what arrives at an argument
*where that is the one that is chosen*; and when it is passed on it takes the place of what has
arrived there. All sums are Python's, bit for bit, whichever argument is the largest.

Choices that are nested make up a tree: its root is the *head*, and its leaves are the arguments.
Where adjoints meet in another way the trace is told, and has guards instead.
"""

from typing import Any

from miniflow.ops import constant, where
from miniflow.tape.core import Table
from miniflow.tape.notes import Trace
from miniflow.tape.recorded import RecordedSweep


class Merging:
    """What is known of the choices that one sweep comes across.

    Attributes:
        places: for each choice, and each argument of one, the head of its tree.
    """

    def __init__(self, sweep: RecordedSweep, table: Table, trace: Trace) -> None:
        self.sweep = sweep
        self.table = table
        self.trace = trace
        self.now = table.count  # the entry whose adjoint is passed on
        if trace.swept < 0:
            trace.swept = table.count
        self.places: dict[int, int] = {}
        self.parents: dict[int, tuple[int, bool]] = {}  # and on which side of them
        self.choices = {n for n in trace.choices if n < trace.swept}
        self.doubtful: set[int] = set()  # heads of trees where something else happens
        self.early: dict[int, dict[int, None]] = {}  # by heads: at which arguments there was some
        self._gates: dict[int, Any] = {}
        for n in sorted(self.choices, reverse=True):
            self._plant(n)

    def _plant(self, n: int) -> None:
        """Add a choice to the tree that it belongs to, with its arguments."""
        head = self.places.setdefault(n, n)
        _, *sides = self.table.operands(n)
        for x, holds in zip(sides, (True, False), strict=True):
            if self.table.op(x) is constant:
                continue
            if x in self.places:  # in two trees, or twice in one
                self.doubtful |= {head, self.places[x]}
            else:
                self.places[x], self.parents[x] = head, (n, holds)

    def at(self, n: int) -> None:
        """The adjoint of entry n is complete, and will be passed on."""
        self.now = n
        trace = self.trace
        if n >= trace.swept and trace.merged:
            trace.sees_objects = True  # derivatives of what is merged are not those of one sum
        alone = n not in self.choices or self.places[n] in self.doubtful
        if alone and any(map(self.sweep.has_arrived, trace.choices.get(n, ()))):
            trace.sees_objects = True

    def arrive(self, n: int, x: Any, gate: int) -> None:
        """Add to the adjoint of a choice or an argument what a gate, if it is one, lets in."""
        head, parent = self.places[n], self.parents.get(n, (self.now, False))[0]
        if n == head:
            self._arrive_at_head(n, x, gate)
        elif parent == self.now and self.sweep.has_arrived(n):
            self._replace(n, x, gate)
        else:
            self.sweep.land(n, x, gate)
            if head < self.now:
                self._merge(n, x, gate)
            elif parent < self.now:  # the head is complete, but has not come down to here
                self.doubtful.add(head)

    def _arrive_at_head(self, head: int, x: Any, gate: int) -> None:
        """The first number is added to what is at that argument already which was chosen."""
        first = not self.sweep.has_arrived(head)
        self.sweep.land(head, x, gate)
        early = self.early.pop(head, {}) if first else {}
        if early and gate >= 0:
            self.doubtful.add(head)
        elif head not in self.doubtful:
            for n in early:
                self._take_in(head, n, self.sweep.held(n) + x)

    def _merge(self, n: int, x: Any, gate: int) -> None:
        """Something has arrived at an argument while the adjoint of its choice is not complete."""
        head, sweep = self.places[n], self.sweep
        if n in self.choices or max(gate, sweep.gated(n), sweep.gated(head)) >= 0:
            self.doubtful.add(head)
        elif head in self.doubtful:
            return
        elif sweep.has_arrived(head):
            self._take_in(head, n, sweep.held(head) + x)
        else:
            self.early.setdefault(head, {})[n] = None

    def _take_in(self, head: int, n: int, total: Any) -> None:
        """Another adjoint of a head, where argument n is what was chosen."""
        self.sweep.replace(head, where(self._gate(n), total, self.sweep.held(head)))
        self.trace.merged = True

    def _replace(self, n: int, x: Any, gate: int) -> None:
        """The adjoint of a head comes down to an argument: it has been taken in there."""
        sweep, head = self.sweep, self.places[n]
        if head in self.doubtful or sweep.gated(n) >= 0:
            self.trace.sees_objects = True
            sweep.land(n, x, gate)
        else:
            sweep.replace(n, where(self.table.handle(gate), x, sweep.held(n)))
            self.trace.merged = True

    def _gate(self, n: int) -> Any:
        """What is 1 where an entry is what its head is, and else 0; None for the head."""
        path = []
        while n not in self._gates and n in self.parents:
            path.append(n)
            n = self.parents[n][0]
        found = self._gates.get(n)
        for x in reversed(path):
            parent, holds = self.parents[x]
            condition = self.table.handle(self.table.operands(parent)[0])
            side = condition if holds else where(condition, 0.0, 1.0)
            found = self._gates[x] = side if found is None else where(found, side, 0.0)
        return found
