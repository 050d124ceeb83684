"""What goes on behind calls: memory that comes back, and waits while a large function compiles."""

import gc
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from measured.timing import Figures, Settings, shown, warmed
from miniflow import jit, math, value_and_grad, vmap

FUNCTIONS = 10_000
TERMS = 20_000
SLICE = 0.1  # seconds for which one function is called
QUEUE = Path("/proc/thread-self/schedstat")


# --- memory -------------------------------------------------------------------


def memory(settings: Settings) -> Figures:
    """Of functions that were compiled and dropped; every 20th in both tiers."""
    count = FUNCTIONS // 10 if settings.repeats < 5 else FUNCTIONS
    compiled_and_dropped(2000)
    before = megabytes()
    compiled_and_dropped(count)
    title = f"{count:,} functions compiled and dropped, MB"
    return shown(title, {"left in memory": megabytes() - before}, "at most 1")


def compiled_and_dropped(count: int) -> None:
    for k in range(count):
        f = jit(lambda x, k=k: x * k + 1.0 if x > 0 else -x * k)
        for x in (2.0, 3.0, -1.0) * 2:
            assert f(x) == (x * k + 1.0 if x > 0 else -x * k)
        if k % 20 == 0:
            f.ready()
            assert f(3.0) == 3.0 * k + 1.0
    f.ready()  # what was asked for before is done or dropped, too


def megabytes() -> float:
    """Of this process's memory, what is in use (of Linux)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# --- waits --------------------------------------------------------------------


def waits(settings: Settings) -> Figures:
    """Of small functions, of a fork, of the end, while a sum of many terms compiles."""
    calls = small_functions()
    gc.callbacks.append(noted)
    idle = longest(calls, 1.0, lambda: True)
    large, xs = jit(lambda xs: math.sum([math.sin(x) * x for x in xs])), [0.5] * TERMS
    for _ in range(5):
        large(xs)
    forks = [forked() for _ in range(5) if not large.ready(0)]
    busy = longest(calls, 60.0, lambda: not large.ready(0))
    found = {f"{name}: idle": ms for name, ms in idle.items()}
    found |= {f"{name}: meanwhile": ms for name, ms in busy.items()}
    gc.callbacks.remove(noted)
    found["a search for garbage, the longest"] = max(searches, default=0.0) * 1e3
    found["os.fork, the longest of 5"] = max(forks)
    for when, compiles in (("idle", False), ("meanwhile", True)):
        ends = [ended(compiles=compiles) for _ in range(5)]
        found[f"the end of a process, {when}"] = float(np.median(ends))
    limit = "calls at most 5, fork and end 50"
    return shown(f"waits while a sum of {TERMS:,} compiles, ms", found, limit)


def small_functions() -> dict[str, Callable[[], Any]]:
    """Calls of compiled functions of several kinds."""
    product, ratio = jit(lambda x, y: x * y + x), jit(lambda d: d["a"] / d["b"])
    squares = jit(value_and_grad(lambda xs: math.sum([x * x for x in xs])))
    batch, column = vmap(lambda x: x * x + 1.0), np.ones(100)
    warmed(product, (2.0, 3.0))
    warmed(ratio, ({"a": 2.0, "b": 3.0},))
    warmed(squares, ([1.0] * 20,))
    warmed(batch, (column,))
    return {
        "numbers": lambda: product(2.0, 3.0),
        "a dict": lambda: ratio({"a": 2.0, "b": 3.0}),
        "a gradient": lambda: squares([1.0] * 20),
        "a batch": lambda: batch(column),
        "a new function": lambda: jit(lambda x: x * 2.0)(3.0),
    }


def longest(
    calls: dict[str, Callable[[], Any]], limit: float, go_on: Callable[[], bool]
) -> Figures:
    """Milliseconds of the longest call of each function.

    Less what it waited for a processor, and for Python's searches for garbage, which any thread
    starts that makes many objects and which end when all objects have been looked at.
    """
    most = dict.fromkeys(calls, 0.0)
    end = time.perf_counter() + limit
    while time.perf_counter() < end and go_on():
        for name, call in calls.items():
            stop, waited = time.perf_counter() + SLICE, interrupted()
            while (start := time.perf_counter()) < stop:
                call()
                took = time.perf_counter() - start
                if took > most[name]:
                    before, waited = waited, interrupted()
                    most[name] = max(most[name], took - (waited - before))
    return {name: seconds * 1e3 for name, seconds in most.items()}


def interrupted() -> float:
    """Seconds for which this thread had work, but no processor (of Linux), and of searches."""
    queued = 0.0
    with suppress(OSError):
        queued = int(QUEUE.read_text(encoding="ascii").split()[1]) * 1e-9
    now = time.perf_counter()
    return queued + sum([x if x >= 0 else now + x for x in searches])


searches: list[float] = []  # for garbage: how long each took, or minus the time when it began


def noted(phase: str, _: Any) -> None:
    """Called by the collector, before and after."""
    if phase == "start":
        searches.append(-time.perf_counter())
    elif searches:
        searches[-1] += time.perf_counter()


def forked() -> float:
    """Milliseconds of a fork."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os._exit(0)
    took = time.perf_counter() - start
    os.waitpid(child, 0)
    return took * 1e3


ENDING = """
    import sys, time
    from miniflow import jit, math
    xs, f = [0.5] * {terms}, jit(lambda xs: math.sum([math.sin(x) * x for x in xs]))
    for _ in range({calls}):
        f(xs)
    time.sleep(0.3)
    print(time.perf_counter(), f.ready(0))
"""


def ended(*, compiles: bool) -> float:
    """Milliseconds from the last line of a program to the end of its process (of Linux)."""
    code = textwrap.dedent(ENDING).format(terms=TERMS, calls=5 if compiles else 1)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    end = time.perf_counter()
    last, ready = found.stdout.split()
    assert ready == "False"
    return (end - float(last)) * 1e3
