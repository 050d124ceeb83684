"""Stretches of the tape: named, looked at, and differentiated without a trace on it."""

from collections.abc import Iterator
from contextlib import ContextDecorator
from functools import reduce
from itertools import chain
from operator import add
from typing import Any, NamedTuple

from miniflow.tape.core import Table, Value, frozen, here, home
from miniflow.util import trees


class Entry(NamedTuple):
    """One row of a Tape as it stood when it was read.

    `row` counts from the tape's beginning; operands from before it are negative.
    """

    row: int
    op: str
    operands: tuple[int, ...]
    value: float
    adjoint: float
    label: str


class Tape:
    """What is recorded on this thread while the ``with`` block runs, row by row.

    A scope on the one tape that records anyhow: nothing needs it, but it keeps its
    rows, can be iterated, printed and asked for gradients without touching `.grad`.
    Without ``with`` it stays open, and keeps all rows to come, as long as it lives.

    Example:
        >>> with Tape() as tape:
        ...     x = Value(3.0, label="x")
        ...     y = x * x
        >>> print(tape)
        row  operation  operands  value  adjoint
          0  leaf                   3.0      0.0  x
          1  mul        0 0         9.0      0.0
        >>> tape.gradient(y, x)
        6.0
    """

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        table = self._table = here.table
        table.held += 1
        self._scope = table.opened = table.opened + 1
        table.scopes[self._scope] = (table.count, None)
        table.version += 1
        table.held -= 1

    def __enter__(self) -> "Tape":
        self._close()
        self._open()
        return self

    def __exit__(self, *exception: object) -> None:
        table = self._table
        table.held += 1
        start, _ = table.scopes[self._scope]
        table.scopes[self._scope] = (start, table.count)
        table.version += 1
        table.held -= 1

    def _close(self) -> None:
        del self._table.scopes[self._scope]
        self._table.version += 1

    def __del__(self) -> None:
        self._close()

    def _rows(self) -> range:
        start, stop = self._table.scopes[self._scope]
        return range(start, self._table.count if stop is None else stop)

    def __len__(self) -> int:
        return len(self._rows())

    def __iter__(self) -> Iterator[Entry]:
        frozen("reading a Tape")
        table, entries = self._table, []
        table.held += 1
        try:
            rows = self._rows()
            for row in rows:
                op, value, adjoint, label = table.entry(row)
                operands = tuple([x - rows.start for x in table.operands(row)])
                entries.append(Entry(row - rows.start, op.name, operands, value, adjoint, label))
        finally:
            table.held -= 1
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
        for x in (target, *trees.flatten(sources)):
            if x.__class__ is not Value:
                raise TypeError(f"Tape.gradient: {x!r:.60} is a {type(x).__name__}, not a Value")
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
        TypeError: `name` is no string.
        ValueError: `name` is empty.

    Example:
        >>> with scope("layer1"):
        ...     y = Value(2.0) * 3.0
        >>> y._tape.paths([y._row])
        [('layer1',)]
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"scope: name {name!r:.60} is no string")
        if not name:
            raise ValueError("scope: the name is empty; say what the block computes")
        self.name = name

    def __enter__(self) -> "scope":
        here.table.push(self.name)
        return self

    def __exit__(self, *exception: object) -> None:
        here.table.pop()


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
        home(v, "gradient")
    targets = [y if y._tape is table else +y for y in targets]
    primal = table.primal if recorded else table.value_of
    adjoint: dict[int, Any] = {}
    origin = table.trace.origin if table.trace is not None else None
    table.held += 1
    try:
        wanted = [table.rows_of(source) for source in sources]
        rows = table.reached([y._row for y in targets], min(chain(*wanted), default=0))
        follow = table.dependent(rows, chain(*wanted))
        for target, cotangent in zip(targets, cotangents, strict=True):
            if cotangent.__class__ is Value or cotangent:  # 0 * inf is nan
                _add(adjoint, target._row, cotangent)
        for row in rows:
            if row not in adjoint or row not in follow:
                continue
            op, operands = table.op(row), table.operands(row)
            if table.trace is not None:
                table.trace.note(table.count, row)
                _name_adjoint(table, adjoint, row)
            xs, y = [primal(x) for x in operands], primal(row)
            for k, x in enumerate(operands):
                if x in follow and op.follows(k):
                    _add(adjoint, x, scale(adjoint[row], op.partial(k, xs, y)))
        if table.trace is not None:
            table.trace.note(table.count, origin)
            for row in chain(*wanted):
                _name_adjoint(table, adjoint, row)
        found = [reduce(add, [adjoint[x] for x in own if x in adjoint] or [0.0]) for own in wanted]
    finally:
        table.held -= 1
    table.settle()
    return found


def _name_adjoint(table: Table, adjoint: dict[int, Any], row: int) -> None:
    """Let a trace know whose adjoint has been computed."""
    found = adjoint.get(row)
    if table.trace is not None and found.__class__ is Value:
        table.trace.adjoints.append((found._row, row))


def scale(factor: Any, partial: Any) -> Any:
    """The product of factor and partial, recording nothing where one of them is a plain 1."""
    if partial.__class__ is float and abs(partial) == 1.0:
        return factor if partial > 0 else -factor
    if factor.__class__ is float and factor == 1.0:
        return partial
    return factor * partial


def _add(sums: dict[int, Any], row: int, term: Any) -> None:
    sums[row] = sums[row] + term if row in sums else term


def _table_text(entries: list[Entry], limit: int = 60) -> str:
    """The entries as a table, its middle left out where there are too many."""
    cut = len(entries) - limit if len(entries) > limit else 0
    shown = entries[: limit // 2] + entries[limit // 2 + cut :]
    cells = [("row", "operation", "operands", "value", "adjoint", "")]
    for x in shown:
        operands = " ".join(map(str, x.operands))
        cells.append((str(x.row), x.op, operands, repr(x.value), repr(x.adjoint), x.label))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(row, widths) for row in cells]
    if cut:
        lines.insert(1 + limit // 2, f"  ... {cut} more ...")
    return "\n".join(lines)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    row, operation, operands, value, adjoint, label = cells
    return (
        f"{row:>{widths[0]}}  {operation:<{widths[1]}}  {operands:<{widths[2]}}  "
        f"{value:>{widths[3]}}  {adjoint:>{widths[4]}}  {label}".rstrip()
    )
