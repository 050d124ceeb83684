"""`profile`: what a function costs, line by line, and what of that is done in vain."""

from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

from miniflow.debug.answers import Answer
from miniflow.debug.noted import SourceLine, lines, lines_of
from miniflow.debug.wording import SOURCE_WIDTH
from miniflow.ops import constant
from miniflow.program.structures import flatten_numbers, unflatten_numbers
from miniflow.tape.core import Table, Value, current, engine
from miniflow.tape.gradient_tape import Tape
from miniflow.tape.pullback import pullback
from miniflow.tape.storage import is_leaf
from miniflow.util import trees
from miniflow.util.functions import Function, a_function

RUNS = 3  # of which the quickest counts
LINES_SHOWN = 12  # that are printed
# what the columns take for an entry: numbers of C, or Python's objects in lists
ENTRY_BYTES = 37 if engine == "compiled" else 6 * 8 + 2 * 24 + 1
OPERAND_BYTES = 4 if engine == "compiled" else 8


class LineCost(NamedTuple):
    """What one line of source costs.

    Attributes:
        line: the line; None for what no line of the user's has recorded.
        entries: how many entries it has recorded.
        share: of the time of recording, from 0 to 1.
        dead: how many of its entries no result needs.
        repeated: how many compute again what an entry has.
    """

    line: SourceLine | None
    entries: int
    share: float
    dead: int
    repeated: int


class Profile(Answer):
    """What a function costs.

    Attributes:
        entries, bytes: how many entries a call records, and what the columns take for them.
        seconds: of a call, the best of three.
        sweep_seconds: of a sweep back from the results; 0 if there is nothing to sweep.
        dead, repeated: entries that no result needs, and those that compute again what is there.
        lines: the cost of each line, those with most entries first.
    """

    def __init__(
        self, name: str, tape: Tape, counts: tuple[int, int, int, int],
        seconds: tuple[float, float], lines: list[LineCost], marked: dict[Value, str],
    ) -> None:  # fmt: skip
        self.name, self.root, self.marked, self.lines = name, tape, marked, lines
        self.entries, self.bytes, self.dead, self.repeated = counts
        self.seconds, self.sweep_seconds = seconds

    @property
    def saving(self) -> float:
        """Which part of the entries could go, from 0 to 1."""
        return (self.dead + self.repeated) / self.entries if self.entries else 0.0

    @property
    def text(self) -> str:
        parts = [
            f"{self.name}: {self.entries:,} entries, {self.bytes:,} bytes; "
            f"{_time(self.seconds)} to record, {_time(self.sweep_seconds)} to sweep",
            f"  {self.dead:,} entries are dead, {self.repeated:,} are repeated: "
            f"{self.saving:.0%} could be saved",
            "",
            "  entries   time   dead  repeated",
        ]
        places = [str(x.line or "elsewhere") for x in self.lines[:LINES_SHOWN]]
        width = max(map(len, places), default=0)
        for place, x in zip(places, self.lines, strict=False):
            source = x.line.source[:SOURCE_WIDTH] if x.line else ""
            numbers = f"{x.entries:>9,}  {x.share:>5.0%}  {x.dead:>5,}  {x.repeated:>8,}"
            parts.append(f"{numbers}  {place:<{width}}  {source}".rstrip())
        if len(self.lines) > LINES_SHOWN:
            parts.append(f"  ... {len(self.lines) - LINES_SHOWN} more lines ...")
        return "\n".join(parts)


def _time(seconds: float) -> str:
    unit, scale = next((x for x in (("s", 1.0), ("ms", 1e3)) if seconds * x[1] >= 1), ("us", 1e6))
    return f"{seconds * scale:.3g} {unit}"


class _Timed(lines):
    """Lines, with the time that each has taken."""

    def __enter__(self) -> "_Timed":
        self.taken: Counter[SourceLine | None] = Counter()
        self.began = perf_counter()
        super().__enter__()
        return self

    def look(self, table: Table) -> None:
        now = perf_counter()
        line = next(reversed(table.places.values()), None)
        self.taken[line] += now - self.began  # type: ignore[assignment]
        self.began = perf_counter()


def profile(f: Function, *args: Any, **kwargs: Any) -> Profile:
    """What a call of a function costs, by line: entries, bytes, time, and what is done in vain.

    Args:
        f: a function of numbers, nested as for `grad`. It is called four times.
        *args: its arguments. Numbers become Values; a Value stays what it is.
        **kwargs: the same, by name.

    Returns:
        An answer with the counts. An entry is *dead* if no result needs it, *repeated* if it does
        to the same operands what an earlier one does. The time of a line is its share of a call
        in which lines are followed; the total is that of a call without that.

    Raises:
        TypeError: f is no function.

    Example:
        >>> def f(x):
        ...     unused = x * 7.0
        ...     return (x + 1.0) * (x + 1.0)
        >>> found = profile(f, 2.0)
        >>> found.entries, found.dead, found.repeated
        (7, 2, 1)
    """
    a_function("profile", f)
    numbers, arguments = flatten_numbers((args, kwargs))

    def call() -> tuple[list[Value], list[Value]]:
        given = [x if x.__class__ is Value else Value(x) for x in numbers]
        positional, named = unflatten_numbers(arguments, given)
        out = trees.flatten(f(*positional, **named))
        return given, [y for y in out if y.__class__ is Value and not is_leaf(y)]

    seconds = min(_timed_runs(call))
    table = current()
    with Tape() as tape, _Timed() as timed:
        given, outputs = call()
    sweep = _sweep_time(outputs, given)
    with table.hold():
        return _profiled(_function_title(f), table, tape, outputs, given, timed, (seconds, sweep))


def _function_title(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", type(f).__name__)


def _timed_runs(call: Callable[[], Any]) -> list[float]:
    found = []
    for _ in range(RUNS):
        start = perf_counter()
        call()
        found.append(perf_counter() - start)
    return found


def _sweep_time(outputs: list[Value], given: list[Value]) -> float:
    if not outputs or not given:
        return 0.0
    return min(_timed_runs(lambda: pullback(outputs, [1.0] * len(outputs), given, recorded=False)))


def _profiled(
    name: str, table: Table, tape: Tape, outputs: list[Value], given: list[Value], timed: _Timed,
    seconds: tuple[float, float],
) -> Profile:  # fmt: skip
    inputs = {n for v in given for n in table.entries_of(v)}
    entries = [n for n in tape.numbers() if n not in inputs]
    needed = set(table.reached([n for y in outputs for n in table.entries_of(y)]))
    dead = {n for n in entries if n not in needed}
    repeated = _repeated(table, [n for n in entries if n in needed])
    wide = sum(len(xs) for n in entries if len(xs := table.operands(n)) > 2)
    counts = len(entries), len(entries) * ENTRY_BYTES + wide * OPERAND_BYTES
    costs = _by_line(table, entries, dead, repeated, timed)
    marked = {table.handle(n): "dead" for n in dead}
    marked |= {table.handle(n): "repeated" for n in repeated}
    return Profile(name, tape, (*counts, len(dead), len(repeated)), seconds, costs, marked)


def _repeated(table: Table, entries: list[int]) -> set[int]:
    """The operations that do what an earlier one has done, to the same operands."""
    first: dict[Any, int] = {}
    same: dict[int, int] = {}
    found: set[int] = set()
    for n in entries:
        op, xs = table.op(n), [same.get(x, x) for x in table.operands(n)]
        if op is constant:
            key: Any = (op, repr(table.value_of(n)))
        elif not xs:
            continue
        else:
            key = (op, tuple(sorted(xs) if op.commutative and len(xs) == 2 else xs))
        if key in first:
            same[n] = first[key]
            found |= {n} if xs else set()
        else:
            first[key] = n
    return found


def _by_line(
    table: Table, entries: list[int], dead: set[int], repeated: set[int], timed: _Timed
) -> list[LineCost]:
    found = dict(zip(entries, lines_of(table, entries), strict=True))
    counts, dying, again = (
        Counter(found[n] for n in some) for some in (entries, sorted(dead), sorted(repeated))
    )
    total = sum(timed.taken[line] for line in counts) or 1.0
    costs = [
        LineCost(line, count, timed.taken[line] / total, dying[line], again[line])
        for line, count in counts.items()
    ]
    return sorted(costs, key=lambda x: -x.entries)
