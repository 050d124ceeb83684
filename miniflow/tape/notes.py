"""What a trace notes beside the entries: branches taken, and where entries come from."""

from collections.abc import Callable
from typing import Any

from miniflow.ops import Op, recorded, stop_gradient
from miniflow.tape.muting import hide_running, pausable, show_again


class Trace:
    """The notes of one trace.

    Attributes:
        guards: for each comparison of Values its function, both sides, the answer, how
            many entries there were, and what those come from.
        starts, origins: numbers of entries, and what those from there on come from: a place
            in a source file, or the number of the entry that they are the reverse of.
        adjoints: entries, each followed by the one whose adjoint it is.
    """

    __slots__ = ("adjoints", "guards", "origins", "starts")

    def __init__(self) -> None:
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
        # another thread's leaf gets an entry here
        left, right = [+x if recorded(x) and x._tape is not table else x for x in (a, b)]
        right = right if recorded(b) else number
        self.guards.append((holds, left, right, answer, table.count, self.origin))
