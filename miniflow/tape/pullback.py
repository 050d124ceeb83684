"""The recorded sweep: derivatives that can be differentiated again, without touching `.grad`."""

from collections import deque
from collections.abc import Callable, Container, Iterator
from functools import reduce
from itertools import chain
from operator import add
from typing import Any

from miniflow.ops import constant
from miniflow.tape.core import Table, Value, here
from miniflow.tape.notes import Trace
from miniflow.tape.recorded import recorded_gradients
from miniflow.tape.storage import plain


def pullback(
    targets: list[Value], cotangents: list[Any], sources: list[Value], *, recorded: bool
) -> list[Any]:
    """The sum of cotangent x d(target)/d(source), for each of `sources`.

    Writes to no column. If `recorded`, what it computes is recorded in turn and the
    results are Values (where they depend on anything); otherwise they are floats.

    Raises:
        RuntimeError: a target or source was computed on another thread.
    """
    table = here.table
    for v in (*targets, *sources):
        table.admit(v, "gradient")
    targets = [y if y._tape is table else +y for y in targets]
    with table.hold():
        wanted = [table.entries_of(source) for source in sources]
        entries = [y._entry for y in targets]
        if not recorded and not table.sweeping:
            found = _derivatives(table, targets, cotangents, sources)
            if found is not None:
                return found
        found = recorded_gradients(table, entries, cotangents, wanted)
        return found if recorded else [plain(x) if x.__class__ is Value else x for x in found]


def _derivatives(
    table: Table, targets: list[Value], cotangents: list[float], sources: list[Value]
) -> list[float] | None:
    """The same by the engine's own sweep, which takes no notice of a source that is a constant."""
    wanted = [table.entries_of(source) for source in sources]
    entries = list(chain(*wanted))
    if any(table.op(n) is constant for n in entries):
        return None
    pairs = [(y._entry, float(c)) for y, c in zip(targets, cotangents, strict=True) if c]
    if not entries or not pairs:
        return [0.0] * len(sources)
    found = iter(table.gradients([n for n, _ in pairs], [c for _, c in pairs], entries))
    return [reduce(add, [next(found) for _ in numbers]) if numbers else 0.0 for numbers in wanted]


class Sweep:
    """The chain rule from a tape's newest entries back, contribution by contribution.

    The entries of the table are held while it runs.

    Args:
        table: the table.
        entries: what the targets come from, newest first.
        follow: those entries that adjoints are wanted of, or that lead to such.
        primal: what a formula sees of an entry.

    Attributes:
        adjoint: by entry the sum of what has arrived there; at first the targets' cotangents.
    """

    def __init__(
        self, table: Table, entries: list[int], follow: Container[int],
        primal: Callable[[int], Any],
    ) -> None:  # fmt: skip
        self.table, self.entries, self.follow, self.primal = table, entries, follow, primal
        self.adjoint: dict[int, Any] = {}

    def contributions(self) -> Iterator[tuple[int, int, int, Any, Any, Any]]:
        """Run: each entry passes adjoint x partial on to its operands, in turn.

        Yields:
            ``(entry, k, operand, partial, amount, before)``, where `operand` is the entry of
            operand k and `before` its adjoint without `amount`, None if nothing had arrived.
        """
        table, primal, adjoint, follow = self.table, self.primal, self.adjoint, self.follow
        for n in self.entries:
            if n not in adjoint or n not in follow:
                continue
            self.begin(n)
            op, operands = table.op(n), table.operands(n)
            xs, y = [primal(x) for x in operands], primal(n)
            for k, x in enumerate(operands):
                if x in follow and op.follows(k):
                    partial = op.partial(k, xs, y)
                    amount = scale(adjoint[n], partial)
                    before = adjoint.get(x)
                    adjoint[x] = amount if before is None else before + amount
                    yield n, k, x, partial, amount, before

    def begin(self, n: int) -> None:
        """Called before an entry passes anything on."""


class _Pullback(Sweep):
    """The sweep that `pullback` is."""

    def __init__(
        self, table: Table, targets: list[Value], cotangents: list[Any], sources: list[Value], *,
        recorded: bool,
    ) -> None:  # fmt: skip
        self.trace: Trace | None = table.trace
        self.wanted = [table.entries_of(source) for source in sources]
        floor = min(chain(*self.wanted), default=0)
        entries = table.reached([y._entry for y in targets], floor)
        follow = table.dependent(entries, chain(*self.wanted))
        super().__init__(table, entries, follow, table.primal if recorded else table.value_of)
        for target, cotangent in zip(targets, cotangents, strict=True):
            if cotangent.__class__ is Value or cotangent:  # 0 * inf is nan
                self.add(target._entry, cotangent)

    def add(self, n: int, term: Any) -> None:
        """Add to the adjoint of an entry."""
        self.adjoint[n] = self.adjoint[n] + term if n in self.adjoint else term

    def gradients(self) -> list[Any]:
        """The adjoints of the sources, after the sweep."""
        trace = self.trace
        origin = trace.origin if trace is not None else None
        deque(self.contributions(), maxlen=0)
        if trace is not None:
            trace.note(self.table.count, origin)
            for n in chain(*self.wanted):
                self.name_adjoint(n)
        return [self.total(entries) for entries in self.wanted]

    def total(self, entries: list[int]) -> Any:
        """The adjoint of a source that has any number of entries."""
        found = [self.adjoint[n] for n in entries if n in self.adjoint]
        return reduce(add, found) if found else 0.0

    def begin(self, n: int) -> None:
        """Let a trace know that entries to come are the reverse of this one."""
        if self.trace is not None:
            self.trace.note(self.table.count, n)
            self.name_adjoint(n)

    def name_adjoint(self, n: int) -> None:
        """Let a trace know whose adjoint has been computed."""
        found = self.adjoint.get(n)
        if self.trace is not None and found.__class__ is Value:
            self.trace.adjoints.append((found._entry, n))


def scale(factor: Any, partial: Any) -> Any:
    """The product of factor and partial, recording nothing where one of them is a plain 1."""
    if partial.__class__ is float and abs(partial) == 1.0:
        return factor if partial > 0 else -factor
    if factor.__class__ is float and factor == 1.0:
        return partial
    return factor * partial
