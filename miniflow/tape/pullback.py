"""Derivatives without a trace on any `.grad`: by the engine's sweep, or by the recorded one."""

from functools import reduce
from operator import add
from typing import Any

from miniflow.ops import constant
from miniflow.tape.core import Table, Value, here
from miniflow.tape.recorded import recorded_gradients
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


def _has_constant(table: Table, wanted: list[list[int]]) -> bool:
    return any(table.op(n) is constant for entries in wanted for n in entries)
