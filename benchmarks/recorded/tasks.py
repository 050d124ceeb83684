"""What eager.py measures in a process of its own: times, memory, an early stop."""

import gc
import statistics
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import miniflow
from common import TOLERANCE, processor_clock
from moons import demo
from recorded.recorders import CONTENDERS, FACTOR, START, Floats, chain, slope, values

ROUNDS = 15  # of timing in one process, at most
SLOW = 2.0  # seconds for one chain: who takes longer is timed once, without a warm-up
AGAIN = 10  # times that a dropped graph is recorded again
DEMO_STEPS = 3  # compared between libraries, and timed


def agree(found: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether numbers are the same but for rounding."""
    pairs = zip(found, expected, strict=True)
    return all(abs(a - b) <= TOLERANCE * abs(b) for a, b in pairs)


def split(chains: Floats, length: int, count: int) -> list[float]:
    """Seconds to record, to replay and to release chains, one after the other."""
    clock, seconds = processor_clock(), [0.0, 0.0, 0.0]
    for _ in range(count):
        start = clock()
        chains.record(length)
        recorded = clock()
        chains.replay()
        replayed = clock()
        chains.release()
        released = clock()
        seconds[0] += recorded - start
        seconds[1] += replayed - recorded
        seconds[2] += released - replayed
    return seconds


def whole(chains: Floats, length: int, count: int) -> float:
    """Seconds for all that, without a look at the clock on the way."""
    clock = processor_clock()
    start = clock()
    for _ in range(count):
        chains.record(length)
        chains.replay()
        chains.release()
    return clock() - start


def check(chains: Floats, length: int) -> float:
    """Record and replay a chain, see whether its derivative is right, drop it; how long that took.

    Afterwards `cyclic` tells whether a collection has to find what was dropped.
    """
    clock = processor_clock()
    gc.disable()
    start = clock()
    chains.record(length)
    chains.replay()
    seconds = max(clock() - start, 1e-9)
    found, expected = chains.derivative(), slope(length)
    if not (agree([found], [expected]) or type(chains) is Floats):
        raise SystemExit(f"derivative {found!r}, expected {expected!r}")
    chains.cyclic = False
    chains.release()
    chains.cyclic = gc.collect() > length // 2
    gc.enable()
    return seconds


def timed(name: str, length: int, budget: float) -> list[float]:
    """Nanoseconds per operation, as in PHASES: medians over chains of about `budget` seconds."""
    chains = CONTENDERS[name].make()
    estimate = check(chains, 1_000) * length / 1_000
    gc.freeze()  # what a library has loaded slows no collection
    if estimate < SLOW:
        estimate = check(chains, length)
    if estimate >= SLOW:
        phases = split(chains, length, 1)
        return [seconds / length * 1e9 for seconds in (sum(phases), *phases)]
    rounds = max(1, min(ROUNDS, int(budget / estimate)))
    count = max(1, min(1_000, int(budget / estimate / rounds)))
    found = [  # in turns: what disturbs hits both
        (whole(chains, length, count), *split(chains, length, count)) for _ in range(rounds)
    ]
    medians = map(statistics.median, zip(*found, strict=True))
    return [seconds / (length * count) * 1e9 for seconds in medians]


def demonstrated(name: str, seconds: float) -> dict[str, list[float]]:
    """Losses of the demo's first steps, and what each took; anew until that took so long."""
    library, clock = CONTENDERS[name].package, processor_clock()
    losses: list[float] = []
    times: list[float] = []
    while not times or sum(times) < seconds:
        steps = demo(library)
        losses = []
        for _ in range(DEMO_STEPS):
            start = clock()
            losses.append(next(steps))
            times.append(clock() - start)
    return {"losses": losses, "seconds": times}


def resident(field: str) -> int:
    """Bytes of memory that this process uses ("VmRSS"), or has at most used ("VmHWM")."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [x for x in status.read_text().splitlines() if x.startswith(field)]
        return int(line.split()[1]) * 1024
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def used(name: str, length: int) -> list[float]:
    """Most bytes per operation so far, after each of some chains, each dropped before the next."""
    chains = CONTENDERS[name].make()
    check(chains, 1_000)
    before, peaks = resident("VmRSS"), []
    for _ in range(1 + AGAIN):
        chains.record(length)
        chains.replay()
        peaks.append((resident("VmHWM") - before) / length)
        chains.release()
    return peaks


def traced(length: int) -> list[float]:
    """The same as Python's own allocator counts it."""
    tracemalloc.start()
    chains, peaks = values("miniflow"), []
    for _ in range(1 + AGAIN):
        chains.record(length)
        chains.replay()
        peaks.append(tracemalloc.get_traced_memory()[1] / length)
        chains.release()
    tracemalloc.stop()
    return peaks


def trained(steps: int) -> list[int]:
    """Plain training of a 1,000-operation graph: peak bytes of both halves."""
    w, peaks = miniflow.Value(START), []
    native = miniflow.engine == "compiled"
    if not native:
        tracemalloc.start()
    for _ in range(2):
        tracemalloc.reset_peak()
        for _ in range(steps // 2):
            loss = chain(w, FACTOR, 1_000)
            w.grad = 0
            loss.backward()
            w.data -= 1e-12 * w.grad
        peaks.append(resident("VmHWM") if native else tracemalloc.get_traced_memory()[1])
    return peaks


def stopped(repeats: int) -> list[list[float]]:
    """Microseconds of backward() of 10 operations: alone, and on 100,000 live older entries."""

    def small(x: Any) -> Any:
        y = x
        for _ in range(10):
            y = y * x
        return y

    clock = processor_clock()
    # the same leaf, before and after 100,000 other entries: both graphs stay alive
    x = miniflow.Value(1.01)
    alone = small(x)
    older = [x * 2.0 for _ in range(100_000)]
    graphs = (alone, small(x))
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        for y, microseconds in zip(graphs, times, strict=True):
            start = clock()
            for _ in range(1_000):
                y.backward()
            microseconds.append((clock() - start) * 1e3)
    del older
    return times


TASKS: dict[str, Callable[..., Any]] = {
    "timed": timed,
    "demonstrated": demonstrated,
    "used": used,
    "traced": traced,
    "trained": trained,
    "stopped": stopped,
}
