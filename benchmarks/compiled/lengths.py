"""What compiling costs, against the length of the program."""

import gc
import json
import statistics
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import miniflow
from common import again
from compiled.ours import flow, miniflow_ready
from compiled.timing import Settings

START = (0.3, 0.7, 1.1, -0.4)


def straight(instructions: int) -> Callable[..., Any]:
    """A chain of about that many instructions, whose numbers stay between -3 and 3."""

    def f(a: Any, b: Any, c: Any, d: Any) -> Any:
        y, sin, exp = a, miniflow.math.sin, miniflow.math.exp
        for _ in range(instructions // 11):
            y = sin(y * b + c) + a * y
            y = exp(-(y * y)) * d + c * y
        return y

    return f


def lengths_timed(length: int) -> dict[str, float]:
    """Seconds to trace, to the first answer and until optimised; and the length."""
    small = flow.jit(straight(11))
    miniflow_ready(small, *START)  # what compiles is loaded
    gc.collect()  # or the collection that loading makes due may come while we measure
    f, start = straight(length), time.perf_counter()
    instructions = len(flow.trace(f, *START))
    traced = time.perf_counter()
    compiled = flow.jit(f)
    compiled(*START)
    first = time.perf_counter()
    miniflow_ready(compiled, *START)
    ready = time.perf_counter()
    return {
        "instructions": instructions,
        "trace": traced - start,
        "first": first - traced,
        "loading": first - traced - (traced - start),
        "ready": ready - traced,
    }


def child(length: int, folder: str) -> dict[str, float]:
    """`lengths_timed` in a new process, with that folder as the cache."""
    done = again("jit.py", str(length), {"MINIFLOW_CACHE_DIR": folder})
    if done.returncode:
        raise SystemExit(f"compiling {length:,} instructions failed:\n{done.stderr}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def lengths_row(length: int, repeats: int) -> dict[str, Any]:
    """Medians over pairs of processes: one with an empty cache, one with what that left."""
    pairs = []
    for _ in range(repeats):
        with TemporaryDirectory() as folder:
            pairs.append((child(length, folder), child(length, folder)))
    cold, warm = [
        {key: statistics.median(pair[k][key] for pair in pairs) for key in pairs[0][0]}
        for k in (0, 1)
    ]
    return {
        "length": length,
        "cold": cold,
        "warm": warm,
        "pairs": pairs,
        "again/ready": statistics.median(b["first"] / a["ready"] for a, b in pairs),
        "loading/ready": statistics.median(b["loading"] / a["ready"] for a, b in pairs),
    }


HEADING = """
(e) Compiling a straight line: us per instruction, after a small jit in the same process

    trace, first, ready: to record it; from jit to the first answer; to optimised code
    again, loading: to the first answer in a second process, with the disk cache of the
    first; that without tracing; both also as parts of the first process's time to ready

    length    trace    first    ready    again  loading  again/ready  loading/ready"""


def case_e(settings: Settings) -> list[dict[str, Any]]:
    """The time to compile against the number of instructions."""
    if settings.peers:
        return []
    print(HEADING)
    rows: list[dict[str, Any]] = []
    for length in (100, 1_000) if settings.quick else (100, 1_000, 10_000, 100_000):
        row = lengths_row(length, 1 if settings.quick else 3 if length == 100_000 else 5)
        cold, warm = row["cold"], row["warm"]
        times = [cold["trace"], cold["first"], cold["ready"], warm["first"], warm["loading"]]
        us = "".join(f"  {seconds / cold['instructions'] * 1e6:>7.3g}" for seconds in times)
        print(
            f"  {cold['instructions']:>8,.0f}{us}  "
            f"{row['again/ready']:>11.1%}  {row['loading/ready']:>13.1%}"
        )
        rows.append(row)
    return rows
