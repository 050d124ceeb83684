"""How long the contenders of jit.py take: each a row, checked, then timed in turns."""

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from timeit import Timer
from typing import Any

import numpy as np

from common import TOLERANCE, MissingError, digits


@dataclass
class Row:
    """A contender: a function, what it is called with, how to read its result."""

    name: str
    call: Callable[..., Any]
    args: tuple[Any, ...] = ()
    result: Callable[[Any], Any] = lambda result: result
    per: int = 1  # evaluations in one call


@dataclass
class Settings:
    """How long to measure."""

    quick: bool
    peers: bool

    @property
    def repeats(self) -> int:
        return 5 if self.quick else 15

    @property
    def seconds(self) -> float:
        return 0.004 if self.quick else 0.05


Maker = Callable[[], list[Row]]


def plain(tree: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """All numbers of a result, one after another."""
    if isinstance(tree, (tuple, list)):
        return np.concatenate([plain(part) for part in tree])
    return np.asarray(tree, dtype=np.float64).ravel()


def check(row: Row, expected: Any) -> None:
    """One call, each part compared with what is expected, relative to its largest number."""
    found = row.result(row.call(*row.args))
    if isinstance(expected, float):
        found, expected = [found], [expected]
    for k, (part, wanted) in enumerate(zip(found, expected, strict=True)):
        a, b = plain(part), plain(wanted)
        error = np.max(np.abs(a - b)) / np.max(np.abs(b))
        if not error <= TOLERANCE:
            raise SystemExit(f"{row.name}: part {k} of the result is off by {error:.1e}")


def timer(row: Row) -> Timer:
    """A loop of calls with as little around them as there can be."""
    names = [f"x{k}" for k in range(len(row.args))]
    variables = dict(zip(names, row.args, strict=True))
    return Timer(
        f"f({', '.join(names)})", "gc.enable()", globals=globals() | variables | {"f": row.call}
    )


def calls(loop: Timer, seconds: float) -> int:
    """How many calls take about that long."""
    number = 1
    while (took := loop.timeit(number)) < seconds / 4 and number < 10**6:
        number *= 4
    return max(1, int(number * seconds / took))


def timed(loop: Timer, number: int, name: str) -> float:
    """Seconds for that many calls."""
    cpu, start = time.process_time(), time.perf_counter()
    took = loop.timeit(number)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - start
    if cpu > 1.3 * wall + 0.002:
        print(f"  ({name} used {cpu / wall:.1f} threads)")
    return took


def scaled(seconds: float) -> str:
    """A time with its unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{digits(seconds * factor)} {unit}"
    return f"{digits(seconds * 1e9)} ns"


def gathered(makers: Iterable[Maker]) -> list[Row]:
    """The rows of all the contenders that can run here."""
    rows: list[Row] = []
    reasons: dict[str, None] = {}
    for maker in makers:
        try:
            rows += maker()
        except MissingError as reason:
            reasons[str(reason)] = None
    for text in reasons:
        print(f"  (left out: {text})")
    return rows


def compare(
    title: str, makers: Iterable[Maker], expected: Any, settings: Settings
) -> dict[str, Any]:
    """Check all the rows, time them in turns, print and return the figures."""
    print(f"\n{title}\n")
    rows = gathered(makers)
    for row in rows:
        check(row, expected)
    loops = [timer(row) for row in rows]
    gc.collect()
    gc.freeze()  # what the peers have loaded slows nobody's collections
    numbers = [calls(loop, settings.seconds) for loop in loops]
    seconds: list[list[float]] = [[] for _ in rows]
    for _ in range(settings.repeats):
        for row, loop, number, found in zip(rows, loops, numbers, seconds, strict=True):
            found.append(timed(loop, number, row.name) / (number * row.per))
    return {"title": title, "rows": table([row.name for row in rows], seconds)}


def table(names: Sequence[str], seconds: list[list[float]]) -> list[dict[str, Any]]:
    """Print and return medians, and medians of the ratios to the first contender."""
    print(f"  {'contender':<34} {'median':>9}  {'ratio':>8}  range")
    rows = []
    for name, times in zip(names, seconds, strict=True):
        ratio = statistics.median(t / first for t, first in zip(times, seconds[0], strict=True))
        median = statistics.median(times)
        rows.append({"name": name, "median": median, "ratio": ratio, "seconds": times})
        spread = f"{scaled(min(times))}..{scaled(max(times))}"
        print(f"  {name:<34} {scaled(median):>9}  {digits(ratio):>7}x  {spread}")
    return rows
