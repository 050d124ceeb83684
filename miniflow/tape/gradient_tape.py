"""Stretches of the tape: named, looked at, and asked for gradients without a trace on it."""

from collections.abc import Iterator
from contextlib import ContextDecorator
from typing import Any, NamedTuple

from miniflow.tape.core import Value, here, thawed
from miniflow.tape.pullback import pullback
from miniflow.tape.quick import Stretch, short_gradient
from miniflow.util import trees
from miniflow.util.notebook import InNotebook
from miniflow.util.words import dialect


class Entry(NamedTuple):
    """One entry of a Tape as it stood when it was read.

    `number` counts from the Tape's beginning; operands from before it are negative.
    """

    number: int
    op: str
    operands: tuple[int, ...]
    value: float
    adjoint: float
    label: str


class Tape(Stretch, InNotebook):
    """What is recorded on this thread while the ``with`` block runs, entry by entry.

    A scope on the one tape that records anyhow: nothing needs it, but it keeps its
    entries, can be iterated, printed and asked for gradients without touching `.grad`.
    Without ``with`` it stays open, and keeps all entries to come, as long as it lives.

    Example:
        >>> with Tape() as tape:
        ...     x = Value(3.0, label="x")
        ...     y = x * x
        >>> print(tape)
        entry  operation  operands  value  adjoint
            0  leaf                   3.0      0.0  x
            1  mul        0 0         9.0      0.0
        >>> tape.gradient(y, x)
        6.0
    """

    def __reduce__(self) -> Any:
        raise TypeError("a Tape cannot be copied or pickled; keep list(tape), its entries")

    def numbers(self) -> range:
        """The numbers of its entries in the table; hold the table as long as they are used."""
        start, stop = self.table.scopes[self._scope]
        return range(start, self.table.count if stop is None else stop)

    def __len__(self) -> int:
        return len(self.numbers())

    def __iter__(self) -> Iterator[Entry]:
        thawed("reading a Tape")
        table, entries = self.table, []
        with table.hold():
            numbers = self.numbers()
            for n in numbers:
                op, value, adjoint, label = table.properties(n)
                operands = tuple([x - numbers.start for x in table.operands(n)])
                entries.append(Entry(n - numbers.start, op.name, operands, value, adjoint, label))
        return iter(entries)

    def __repr__(self) -> str:
        return f"<Tape of {len(self)} entries>"

    def __str__(self) -> str:
        return _table_text(list(self))

    def gradient(self, target: Any, sources: Any) -> Any:
        """d(target)/d(source) for each of `sources`, without touching any `.grad`.

        Args:
            target: a Value.
            sources: a Value, or a nested list, tuple or dict of Values: leaves or
                computed ones.

        Returns:
            The derivatives in the structure of `sources`: floats; while this or another
            Tape is open Values, recorded there, to be differentiated again.
            0.0 for a source that the target does not depend on.

        Raises:
            TypeError: the target or a source is not a Value.
            RuntimeError: the target was computed on another thread.
        """
        found = short_gradient(target, sources)
        if found is not None:
            return found
        for x in (target, *trees.flatten(sources)):
            if x.__class__ is not Value:
                raise TypeError(
                    f"Tape.gradient: expected a Value, got {type(x).__name__} {x!r:.60}{dialect(x)}"
                )
        table = here.table
        recorded = table.trace is not None or any(
            stop is None for _, stop in table.scopes.copy().values()
        )
        found = pullback([target], [1.0], trees.flatten(sources), recorded=recorded)
        return trees.unflatten(sources, found)


class scope(ContextDecorator):  # noqa: N801 - it is used as no_grad is
    """A block, or a decorated function, whose entries carry a name: diagrams frame them.

    Scopes nest; modules of `miniflow.nn` open one at each call.

    Args:
        name: any text.

    Raises:
        TypeError: `name` is not a string.
        ValueError: `name` is empty.

    Example:
        >>> with Tape() as tape, scope("layer1"):
        ...     y = Value(2.0) * 3.0
        >>> tape.table.scope_names(tape.numbers())
        [('layer1',), ('layer1',), ('layer1',)]
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"scope: name must be a string, got {type(name).__name__} {name!r:.60}")
        if not name:
            raise ValueError("scope: the name is empty; say what the block computes")
        self.name = name

    def __enter__(self) -> "scope":
        here.table.push(self.name)
        return self

    def __exit__(self, *exception: object) -> None:
        here.table.pop()


def _table_text(entries: list[Entry], limit: int = 60) -> str:
    """The entries as a table, its middle left out where there are too many."""
    cut = len(entries) - limit if len(entries) > limit else 0
    shown = entries[: limit // 2] + entries[limit // 2 + cut :]
    cells = [("entry", "operation", "operands", "value", "adjoint", "")]
    for x in shown:
        operands = " ".join(map(str, x.operands))
        cells.append((str(x.number), x.op, operands, repr(x.value), repr(x.adjoint), x.label))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_table_line(line, widths) for line in cells]
    if cut:
        lines.insert(1 + limit // 2, f"  ... {cut} more ...")
    return "\n".join(lines)


def _table_line(cells: tuple[str, ...], widths: list[int]) -> str:
    number, operation, operands, value, adjoint, label = cells
    return (
        f"{number:>{widths[0]}}  {operation:<{widths[1]}}  {operands:<{widths[2]}}  "
        f"{value:>{widths[3]}}  {adjoint:>{widths[4]}}  {label}".rstrip()
    )
