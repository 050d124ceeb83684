"""How long calls take: in turns, medians; figures beside their limits."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from common import digits

Figures = dict[str, float]


class Settings(NamedTuple):
    """How long a figure is measured."""

    repeats: int
    seconds: float  # of one repeat


def timed(contenders: Mapping[str, Callable[[], Any]], settings: Settings) -> Figures:
    """Microseconds of a call, the median of repeats in which all take turns."""
    counts = {name: calls_in(call, settings.seconds) for name, call in contenders.items()}
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(settings.repeats):
        for name, call in contenders.items():
            found[name].append(seconds(call, counts[name]) / counts[name] * 1e6)
    return {name: median(times) for name, times in found.items()}


def seconds(call: Callable[[], Any], count: int) -> float:
    """How long that many calls take."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def calls_in(call: Callable[[], Any], limit: float) -> int:
    """How many calls that takes."""
    count = 1
    while seconds(call, count) < limit / 4:
        count *= 2
    return count


def warmed(f: Any, *points: tuple[Any, ...]) -> Any:
    """A compiled function with optimised code for these arguments."""
    for _ in range(5):
        for args in points:
            f(*args)
        f.ready()
    return f


def spikes(call: Callable[[], Any], count: int) -> tuple[float, float]:
    """The slowest of some calls over their median; the same of a function of C that takes as long.

    They take turns: what else the machine does meets both.
    """
    single = seconds(call, 1)
    terms = [0.5] * 1000
    terms *= max(1, round(single / seconds(partial(sum, terms), 1)))
    times: list[float] = []
    alike: list[float] = []
    for _ in range(count):
        times.append(seconds(call, 1))
        alike.append(seconds(partial(sum, terms), 1))
    return max(times) / median(times), max(alike) / median(alike)


def equal(what: str, found: Any, expected: Any, tolerance: float = 0.0) -> None:
    """Stop where two results differ."""
    a, b = np.ravel(np.asarray(found, dtype=float)), np.ravel(np.asarray(expected, dtype=float))
    if a.shape != b.shape or not np.allclose(a, b, rtol=tolerance, atol=tolerance / 1e3):
        raise SystemExit(f"{what}: {found!r:.200} is not {expected!r:.200}")


def shown(title: str, figures: Figures, limit: str) -> Figures:
    """Print the figures of a case."""
    print(f"\n{title}\n  to be: {limit}")
    for name, figure in figures.items():
        print(f"  {name:34} {digits(figure):>9}")
    return figures
