"""Derivatives without a trace on any `.grad`: by the engine's sweep, or by the recorded one."""

from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Any

from miniflow.ops import constant, maximum, stop_gradient
from miniflow.tape.core import Table, Value, here
from miniflow.tape.merging import Merging
from miniflow.tape.muting import hide_running, pausable, show_again
from miniflow.tape.recorded import RecordedSweep
from miniflow.tape.storage import plain


def pullback(
    targets: list[Value], cotangents: list[Any], sources: list[Value], *, recorded: bool,
    which: bool = False,
) -> list[Any]:  # fmt: skip
    """The sum of cotangent x d(target)/d(source), for each of `sources`.

    If `which`, for each of them instead whether it was reached at all, or not selected: 1 or 0.
    Writes to no column. If `recorded`, what it computes is recorded in turn and the
    results are Values (where they depend on anything); otherwise they are floats.

    Raises:
        RuntimeError: a target or source was computed on another thread.
    """
    table = here.table
    for v in (*targets, *sources):
        if v._tape is not table:
            table.admit(v, "gradient")
    targets = [y if y._tape is table else +y for y in targets]
    with table.hold():
        entries = [y._entry for y in targets]
        wanted = [[x._entry] if x._tape is table else table.entries_of(x) for x in sources]
        if table.trace is not None:
            table.trace.asked(table, wanted)
        if not (recorded or which or table.sweeping or _has_constant(table, wanted)):
            return plain_gradients(table, entries, cotangents, wanted)
        table.refuse_stale(entries)
        found = recorded_gradients(table, entries, cotangents, wanted, which)
    return found if recorded else [plain(x) if isinstance(x, Value) else x for x in found]


def plain_gradients(
    table: Table, targets: list[int], cotangents: list[float], wanted: list[list[int]]
) -> list[float]:
    """The same by entries, in the engine's own sweep; no source is a constant."""
    seeds = [(n, float(c)) for n, c in zip(targets, cotangents, strict=True) if c]
    sources = [n for entries in wanted for n in entries]
    if not seeds or not sources:
        return [0.0] * len(wanted)
    found = table.gradients([n for n, _ in seeds], [c for _, c in seeds], sources)
    if len(sources) == len(wanted):
        return found
    rest = iter(found)
    return [reduce(add, [next(rest) for _ in entries]) if entries else 0.0 for entries in wanted]


def recorded_gradients(
    table: Table, targets: list[int], cotangents: list[Any], wanted: list[list[int]], which: bool
) -> list[Any]:
    """The sum of cotangent x d(target)/d(source), for each source that has these entries.

    If `which`, for each source instead whether it was reached at all: 1 or 0.
    """
    sources = [n for entries in wanted for n in entries]
    if not sources:
        return [0.0] * len(wanted)
    hidden = hide_running() if pausable else []
    muted, table.muted = table.muted, 0
    try:
        sweep = RecordedSweep(table, min(sources), sources)
        if table.trace is not None and table.trace.choices:
            sweep.merging = Merging(sweep, table, table.trace)
        for n, cotangent in zip(targets, cotangents, strict=True):
            sweep.add(n, cotangent)
        sweep.run()
        if which:
            found = [maximum(0.0, *map(sweep.reached, entries)) for entries in wanted]
        else:
            found = [_total([sweep.adjoint(n) for n in entries]) for entries in wanted]
        return [stop_gradient(x) for x in found] if muted or hidden else found
    finally:
        table.muted = muted
        if hidden:
            show_again(hidden)


def _total(adjoints: Iterable[Any]) -> Any:
    """The adjoint of a source that has any number of entries."""
    total: Any = None
    for x in adjoints:
        total = x if total is None else total + x
    return 0.0 if total is None else total


def _has_constant(table: Table, wanted: list[list[int]]) -> bool:
    return any(table.op(n) is constant for entries in wanted for n in entries)
