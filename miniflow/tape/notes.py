"""What a trace notes beside the entries: branches taken, and where entries come from."""

from collections.abc import Callable
from itertools import pairwise
from operator import eq, ne
from types import CodeType
from typing import Any

from miniflow.ops import Op, recorded, stop_gradient
from miniflow.tape.muting import hide_running, pausable, show_again


def key(v: Any) -> int:
    """What dicts and sets know a Value by, while its thread traces a function."""
    trace = v._tape.trace
    trace.sees_objects |= v._entry in trace.choices
    return object.__hash__(v)


def show_kind(trace: Any) -> None:
    """A Value does what a plain number does otherwise: its words, an index, an attribute."""
    if trace is not None:
        trace.sees_types = True


class Trace:
    """The notes of one trace.

    Attributes:
        guards: for each comparison of Values its function, both sides, the answer, how
            many entries there were, and what those come from.
        starts, origins: numbers of entries, and what those from there on come from: a place
            in a source file, or the number of the entry that they are the reverse of.
        adjoints: entries, each followed by the one whose adjoint it is.
        choosing: whether `max` and `min` are choices rather than comparisons.
        choices: for the entry of each such choice those that it is one of.
        plain: for those that can be plain numbers instead float, or int.
        called: the code that ran meanwhile, with its globals, by its id.
        scanned: how many of the notes have been looked through for sweeps.
        sees_objects: whether something depends on which object a choice is.
        sees_types: the same of its type, which tells a Value from a plain number.
        swept: the entries from there on are those of sweeps, or come after one; -1 before.
        merged: whether the adjoints of choices were added up with those of their arguments.
        tangents: whether there are tangents of choices: their adjoints are added in another order.
    """

    __slots__ = (
        "adjoints", "called", "choices", "choosing", "guards", "merged", "origins", "plain",
        "scanned", "sees_objects", "sees_types", "starts", "swept", "tangents",
    )  # fmt: skip

    def __init__(self, *, choosing: bool = False) -> None:
        self.choosing = choosing
        self.choices: dict[int, list[int]] = {}
        self.plain: dict[int, type] = {}
        self.called: dict[int, tuple[CodeType, dict[str, Any]]] = {}
        self.scanned = 0
        self.swept = -1
        self.sees_objects = self.sees_types = self.tangents = self.merged = False
        self.guards: list[tuple[Callable[[Any, Any], bool], Any, Any, bool, int, Any]] = []
        self.starts: list[int] = []
        self.origins: list[Any] = []
        self.adjoints: list[int] = []

    def note(self, count: int, origin: Any) -> None:
        """Entries from number `count` on come from `origin`."""
        self.starts.append(count)
        self.origins.append(origin)

    def clear(self) -> None:
        """Forget where entries come from."""
        self.starts.clear()
        self.origins.clear()

    @property
    def origin(self) -> Any:
        """What entries come from at present."""
        return self.origins[-1] if self.origins else None

    def chosen(self, y: Any, xs: tuple[Any, Any]) -> None:
        """Value `y` is one of two Values or plain numbers."""
        self.choices[y._entry] = [x._entry for x in xs if recorded(x)]
        plain = {type(x) for x in xs if not recorded(x)}
        if plain:
            self.plain[y._entry] = plain.pop()

    def carried(self, entries: Any) -> None:
        """Tangents of these entries have been recorded."""
        self.tangents |= not self.choices.keys().isdisjoint(entries)
        self.sees_objects |= self.merged and max(entries, default=-1) >= self.swept

    def computed(self, floor: int) -> None:
        """Gradients by entries from `floor` on are computed, not recorded: nothing is merged."""
        self.sees_objects |= max(self.choices, default=-1) >= floor

    def asked(self, table: Any, sources: list[list[int]]) -> None:
        """Gradients by entries are asked for: by a choice they are those by what it is."""
        if not self.choices:
            return
        by_choice = any(n in self.choices for entries in sources for n in entries)
        self.sees_objects |= self.tangents or by_choice
        # what an earlier sweep has passed on to the arguments of a choice is theirs, or nobody's
        starts, origins = self.starts[self.scanned :], self.origins[self.scanned :]
        for origin, (start, stop) in zip(origins, pairwise(starts), strict=False):
            if origin in self.choices:
                self.choices.update({n: [*table.operands(n)] for n in range(start, stop)})
        self.scanned = max(0, len(self.starts) - 1)

    def muted(self, table: Any, op: Op, operands: list[Any], y: float) -> Any:
        """A constant in no_grad(), with what leads to it: a program computes it at each call."""
        hidden = hide_running() if pausable else []
        muted, table.muted = table.muted, 0
        try:
            found = table.record(op, operands, y)
            return found if op is stop_gradient else table.record(stop_gradient, [found])
        finally:
            table.muted = muted
            if hidden:
                show_again(hidden)

    def compared(
        self, table: Any, holds: Callable[[Any, Any], bool], a: Any, b: Any, number: Any, *,
        answer: bool,
    ) -> None:  # fmt: skip
        """A comparison of a Value with another one, or with a plain number."""
        if self.choices and holds in (eq, ne) and (recorded(b) or b != b):
            # containers do not compare an object with itself
            self.sees_objects |= any(x._entry in self.choices for x in (a, b) if recorded(x))
        # another thread's leaf gets an entry here
        left, right = [+x if recorded(x) and x._tape is not table else x for x in (a, b)]
        right = right if recorded(b) else number
        self.guards.append((holds, left, right, answer, table.count, self.origin))
