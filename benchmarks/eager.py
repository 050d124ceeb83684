"""What eager recording costs: chains of operations, micrograd's demo, memory.

    python benchmarks/eager.py [--quick] [--only a,b] [--json FILE]

Ratios within one run count; absolute times depend on the machine. Each contender is
timed in a process of its own, so that nobody's garbage or crash is another's, and all
take turns. Times are of the processor, so that other programs count less. Results are
checked before they are timed. Peers are measured where they are installed
(`pip install -r benchmarks/requirements.txt`).

A chain is recorded, replayed in reverse and released. Releasing is dropping the last
reference, and a collection of garbage where only that finds the graph.
"""

import argparse
import gc
import importlib
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from moons import demo

import miniflow

LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
FACTOR = 0.999  # keeps the chain finite at any length
START = 0.5
TOLERANCE = 1e-9  # of results, relative
ROUNDS = 15  # of timing in one process, at most
SLOW = 2.0  # seconds for one chain: who takes longer is timed once, without a warm-up
AGAIN = 10  # times that a dropped graph is recorded again
PHASES = ("all", "record", "replay", "release")
OURS = ("miniflow", "miniflow, Python")
DEMO_STEPS = 3  # compared between libraries, and timed
LARGE_STACK = 1 << 30


def chain(x: Any, factor: Any, operations: int) -> Any:
    """Y = y*factor + x, again and again: multiplications and additions in turn."""
    y = x
    for _ in range(operations // 2):
        y = y * factor
        y = y + x
    return y


def slope(operations: int) -> float:
    """The chain's derivative, by the chain rule in plain numbers."""
    d = 1.0
    for _ in range(operations // 2):
        d = d * FACTOR + 1.0
    return d


# --- what records a chain -----------------------------------------------------


class Floats:
    """No recording at all, a plain loop."""

    cyclic = False  # whether only a collection of garbage finds a dropped graph

    def record(self, operations: int) -> None:
        chain(START, FACTOR, operations)

    def replay(self) -> None:
        pass

    def derivative(self) -> float:
        """What the last replay has found; nan for plain numbers."""
        return math.nan

    def release(self) -> None:
        if self.cyclic:
            gc.collect()


class Objects(Floats):
    """Objects that have a backward() and a grad: Values, tensors."""

    def __init__(self, leaf: Callable[[float], Any], constant: Callable[[float], Any]) -> None:
        self.leaf, self.factor = leaf, constant(FACTOR)
        self.x = self.y = None

    def record(self, operations: int) -> None:
        self.x = self.leaf(START)
        self.y = chain(self.x, self.factor, operations)

    def replay(self) -> None:
        self.y.backward()  # type: ignore[attr-defined]

    def derivative(self) -> float:
        return float(self.x.grad)  # type: ignore[attr-defined]

    def release(self) -> None:
        self.x = self.y = None
        super().release()


class Tapes(Floats):
    """XAD's Reals, on a tape that each chain has to itself."""

    def __init__(self) -> None:
        self.xad = importlib.import_module("xad.adj_1st")
        self.tape = self.x = self.y = None

    def record(self, operations: int) -> None:
        tape = self.xad.Tape()
        tape.activate()
        x = self.xad.Real(START)
        tape.registerInput(x)
        tape.newRecording()
        y = chain(x, FACTOR, operations)
        tape.registerOutput(y)
        self.tape, self.x, self.y = tape, x, y

    def replay(self) -> None:
        self.y.derivative = 1.0  # type: ignore[attr-defined]
        self.tape.computeAdjoints()  # type: ignore[attr-defined]

    def derivative(self) -> float:
        return float(self.x.derivative)  # type: ignore[attr-defined]

    def release(self) -> None:
        self.x = self.y = None
        self.tape.deactivate()  # type: ignore[attr-defined]
        self.tape = None
        super().release()


class Pullbacks(Floats):
    """autograd's functions: it records while it calls one, and gives back a pullback."""

    def __init__(self) -> None:
        self.vjp = importlib.import_module("autograd").make_vjp
        self.pullback: Any = None
        self.slope: Any = math.nan

    def record(self, operations: int) -> None:
        self.pullback, _ = self.vjp(lambda x: chain(x, FACTOR, operations))(START)

    def replay(self) -> None:
        self.slope = self.pullback(1.0)

    def derivative(self) -> float:
        return float(self.slope)

    def release(self) -> None:
        self.pullback = None
        super().release()


def values(module: str, constant: Callable[[float], Any] = float) -> Objects:
    """A module's Values."""
    return Objects(importlib.import_module(module).Value, constant)


def minigrad() -> Objects:
    """Its Values; constants are some, too, since plain numbers corrupt its memory."""
    value = importlib.import_module("minigrad.engine").Value
    return Objects(value, value)


def torch() -> Objects:
    """Torch's tensors of one number."""
    module = importlib.import_module("torch")
    module.set_num_threads(1)
    return Objects(partial(module.tensor, dtype=module.float64, requires_grad=True), float)


@dataclass(frozen=True)
class Contender:
    """Who takes part.

    Attributes:
        make: what records its chains.
        package: what has to be installed.
        lengths: the shortest chain that is timed, and the longest in bearable time.
        memory: the length of the chain whose memory is measured, 0 for none.
        demo: whether there is a demo for it.
        stack: whether it needs a large stack.
    """

    make: Callable[[], Floats]
    package: str = "miniflow"
    lengths: tuple[int, int] = (0, LENGTHS[-1])
    memory: int = LENGTHS[-1]
    demo: bool = False
    stack: bool = False


CONTENDERS = {
    "miniflow": Contender(partial(values, "miniflow"), demo=True),
    "miniflow, Python": Contender(partial(values, "miniflow"), memory=100_000, demo=True),
    "minigrad": Contender(minigrad, "minigrad", memory=100_000, demo=True),
    "minigrad, 1 GB stack": Contender(
        minigrad, "minigrad", (LENGTHS[-1], LENGTHS[-1]), memory=0, stack=True
    ),
    "xad": Contender(Tapes, "xad", demo=True),
    "micrograd": Contender(
        partial(values, "micrograd.engine"), "micrograd", memory=100_000, demo=True
    ),
    "torch": Contender(torch, "torch", memory=100_000),
    "autograd": Contender(Pullbacks, "autograd", (0, 100_000), memory=10_000),
    "float": Contender(Floats, memory=0),
}


def taking_part() -> list[str]:
    """The contenders that are installed."""
    without = () if miniflow.engine == "compiled" else ("miniflow",)
    return [
        name for name, who in CONTENDERS.items() if find_spec(who.package) and name not in without
    ]


# --- in a process of its own: times -------------------------------------------


def split(chains: Floats, length: int, count: int) -> list[float]:
    """Seconds to record, to replay and to release chains, one after the other."""
    clock, seconds = time.process_time, [0.0, 0.0, 0.0]
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
    start = time.process_time()
    for _ in range(count):
        chains.record(length)
        chains.replay()
        chains.release()
    return time.process_time() - start


def check(chains: Floats, length: int) -> float:
    """Record and replay a chain, see whether its derivative is right, drop it; how long that took.

    Afterwards `cyclic` tells whether a collection has to find what was dropped.
    """
    gc.disable()
    start = time.process_time()
    chains.record(length)
    chains.replay()
    seconds = time.process_time() - start
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
    library = CONTENDERS[name].package
    losses: list[float] = []
    times: list[float] = []
    while not times or sum(times) < seconds:
        steps = demo(library)
        losses = []
        for _ in range(DEMO_STEPS):
            start = time.process_time()
            losses.append(next(steps))
            times.append(time.process_time() - start)
    return {"losses": losses, "seconds": times}


# --- in a process of its own: memory ------------------------------------------


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


# --- in a process of its own: the early stop ----------------------------------


def stopped(repeats: int) -> list[list[float]]:
    """Microseconds of backward() of 10 operations: alone, and on 100,000 live older entries."""

    def small(x: Any) -> Any:
        y = x
        for _ in range(10):
            y = y * x
        return y

    # the same leaf, before and after 100,000 other entries: both graphs stay alive
    x = miniflow.Value(1.01)
    alone = small(x)
    older = [x * 2.0 for _ in range(100_000)]
    graphs = (alone, small(x))
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        for y, microseconds in zip(graphs, times, strict=True):
            start = time.process_time()
            for _ in range(1_000):
                y.backward()
            microseconds.append((time.process_time() - start) * 1e3)
    del older
    return times


# --- processes ----------------------------------------------------------------

TASKS: dict[str, Callable[..., Any]] = {
    "timed": timed,
    "demonstrated": demonstrated,
    "used": used,
    "traced": traced,
    "trained": trained,
    "stopped": stopped,
}


class FailedError(Exception):
    """A peer that crashed or gave another result."""


def child(name: str, task: str, *args: Any) -> Any:
    """A task in a new process, by that contender.

    Raises:
        FailedError: a peer did not get to its end; where miniflow does not, this program ends.
    """
    command = [sys.executable, __file__, "--child", json.dumps([name, task, args])]
    engine = {name: "compiled" if name == "miniflow" else "python" for name in OURS}.get(name)
    variables = {**os.environ, **({"MINIFLOW_ENGINE": engine} if engine else {})}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if not done.returncode:
        return json.loads(done.stdout)
    if engine:
        raise SystemExit(f"{name}: {task} failed:\n{done.stderr}")
    if done.returncode < 0:
        raise FailedError(f"crashed ({signal.Signals(-done.returncode).name})")
    raise FailedError((done.stderr.splitlines() or ["failed"])[-1])


def run_child(name: str, task: str, args: Sequence[Any]) -> None:
    """What the new process does."""
    sys.setrecursionlimit(10**8)  # micrograd walks its graph recursively
    given = args if task in ("traced", "trained", "stopped") else (name, *args)

    def run() -> None:
        print(json.dumps(TASKS[task](*given)))

    if not CONTENDERS[name].stack:
        run()
        return
    threading.stack_size(LARGE_STACK)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def in_turns(
    names: Iterable[str], turns: int, measure: Callable[[str], Any], slow: Callable[[Any], bool]
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """What each contender measured in each turn, and why some did not.

    Who turns out to be slow sits the other turns out.
    """
    found: dict[str, list[Any]] = {name: [] for name in names}
    failures: dict[str, str] = {}
    for _ in range(turns):
        for name, results in found.items():
            if name in failures or (results and slow(results[0])):
                continue
            try:
                results.append(measure(name))
            except FailedError as reason:
                failures[name] = str(reason)
    return {name: results for name, results in found.items() if name not in failures}, failures


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over turns of how many times as long `ours` takes."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=False))


def spread(numbers: Sequence[float]) -> str:
    """The range of numbers, and how many there are if that is one."""
    if len(numbers) == 1:
        return "once"
    return f"{digits(min(numbers))}..{digits(max(numbers))}"


def digits(x: float) -> str:
    """A number with three digits, or all before the point; a dash for none."""
    if math.isnan(x):
        return "-"
    return f"{x:.1f}" if 9.95 < x < 99.95 else f"{x:.3g}" if x < 999.5 else f"{x:,.0f}"


# --- tables -------------------------------------------------------------------

Figures = dict[str, Any]


def chains(lengths: Sequence[int], turns: int, budget: float) -> list[Figures]:
    """Record, replay and release a chain: nanoseconds per operation."""
    print("A chain: ns per operation\n")
    print(
        f"{'operations':>10}  {'contender':<20} {'all':>7} {'record':>7} {'replay':>7} "
        f"{'release':>7} {'/ float':>8} {'/ miniflow':>10}  range of all"
    )
    rows: list[Figures] = []
    for length in lengths:
        rows += chains_of(length, turns, budget)
    for name in taking_part():
        longest = CONTENDERS[name].lengths[1]
        if longest < max(lengths):
            print(f"({name} is not timed beyond {longest:,}, that takes too long)")
    return rows


def chains_of(length: int, turns: int, budget: float) -> list[Figures]:
    """The rows of one length."""
    names = [
        name
        for name in taking_part()
        if CONTENDERS[name].lengths[0] <= length <= CONTENDERS[name].lengths[1]
    ]
    found, failures = in_turns(
        names,
        turns,
        lambda name: child(name, "timed", length, budget),
        lambda ns: ns[0] * length > SLOW * 1e9,
    )
    totals = {name: [ns[0] for ns in results] for name, results in found.items()}
    base = totals[names[0]]
    rows: list[Figures] = []
    for name, results in found.items():
        medians = [statistics.median(column) for column in zip(*results, strict=True)]
        row = {
            "length": length,
            "contender": name,
            **dict(zip(PHASES, medians, strict=True)),
            "to_float": ratio(totals[name], totals["float"]),
            "to_miniflow": ratio(totals[name], base),
            "ns": results,
        }
        rows.append(row)
        columns = " ".join(f"{digits(x):>7}" for x in medians)
        print(
            f"{length:>10,}  {name:<20} {columns} {digits(row['to_float']):>7}x "
            f"{digits(row['to_miniflow']):>9}x  {spread(totals[name])}"
        )
    for name, reason in failures.items():
        rows.append({"length": length, "contender": name, "failed": reason})
        print(f"{length:>10,}  {name:<20} {reason}")
    print(flush=True)
    return rows


def demos(turns: int, seconds: float) -> list[Figures]:
    """The demo that micrograd comes with: milliseconds per step."""
    print("\nmicrograd's demo, 100 points and an MLP(2, [16, 16, 1]): ms per step\n")
    names = [name for name in taking_part() if CONTENDERS[name].demo]
    found, failures = in_turns(
        names, turns, lambda name: child(name, "demonstrated", seconds), lambda _: False
    )
    losses = found[names[0]][0]["losses"]
    medians = {}
    for name, results in found.items():
        for result in results:
            if not agree(result["losses"], losses):
                raise SystemExit(f"{name}: losses {result['losses']}, not {losses}")
        medians[name] = [statistics.median(result["seconds"]) * 1e3 for result in results]
    print(f"{'contender':<20} {'median':>8} {'/ miniflow':>11}  range")
    rows: list[Figures] = []
    for name, ms in medians.items():
        times = ratio(ms, medians[names[0]])
        rows.append({"contender": name, "to_miniflow": times, "ms": ms})
        print(f"{name:<20} {digits(statistics.median(ms)):>8} {digits(times):>10}x  {spread(ms)}")
    for name, reason in failures.items():
        rows.append({"contender": name, "failed": reason})
        print(f"{name:<20} {reason}")
    print(f"(all with the losses {', '.join(f'{x:.9f}' for x in losses)} in the first steps)")
    return rows


def agree(found: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether numbers are the same but for rounding."""
    pairs = zip(found, expected, strict=True)
    return all(abs(a - b) <= TOLERANCE * abs(b) for a, b in pairs)


def memory(quick: bool) -> list[Figures]:
    """The most memory that a chain takes, and whether it is used again: bytes per operation."""
    print("\nMemory: most bytes per operation that the process has grown by\n")
    print(f"{'contender':<20} {'operations':>10} {'at first':>9} {f'{AGAIN} times again':>15}")
    names = [name for name in taking_part() if CONTENDERS[name].memory]
    names = [name for name in names if name in OURS] if quick else names
    rows: list[Figures] = []
    for name, task in [*((name, "used") for name in names), (OURS[1], "traced")]:
        length = CONTENDERS[name].memory // (10 if quick else 1)
        title = name if task == "used" else "by tracemalloc"
        row: Figures = {"contender": name, "task": task, "length": length}
        try:
            peaks = row["peaks"] = child(name, task, length)
            text = f"{digits(peaks[0]):>9} {digits(peaks[-1]):>15}"
        except FailedError as reason:
            text = row["failed"] = str(reason)
        rows.append(row)
        print(f"{title:<20} {length:>10,} {text}", flush=True)
    return rows


def training(steps: int) -> list[Figures]:
    """Plain training: peak memory of both halves."""
    print("\nPlain training, nothing ever reset, 1,000 operations a step: peak memory, MB\n")
    print(f"{'engine':<20} {'steps':>8} {'first half':>11} {'second half':>12}")
    rows: list[Figures] = []
    for name in [name for name in taking_part() if name in OURS]:
        count = steps if name == "miniflow" else steps // 10
        halves = child(name, "trained", count)
        rows.append({"contender": name, "steps": count, "bytes": halves})
        print(f"{name:<20} {count:>8,} {halves[0] / 2**20:>11.3f} {halves[1] / 2**20:>12.3f}")
    return rows


def early_stop(repeats: int) -> list[Figures]:
    """backward() costs what its graph costs, not what the tape holds."""
    print("\nbackward() of 10 operations, us\n")
    print(f"{'engine':<20} {'alone':>8} {'on 100,000 live older ones':>27}")
    rows: list[Figures] = []
    for name in [name for name in taking_part() if name in OURS]:
        times = child(name, "stopped", repeats)
        alone, loaded = map(statistics.median, times)
        rows.append({"contender": name, "ratio": loaded / alone, "microseconds": times})
        print(f"{name:<20} {alone:>8.2f} {loaded:>18.2f} ({loaded / alone:.3f}x)")
    return rows


# --- what is asked for --------------------------------------------------------


def bars(figures: dict[str, list[Figures]]) -> list[Figures]:
    """What is asked for, beside what this run has measured; the worst length counts."""
    rows = [*chain_bars(figures.get("chains", [])), *other_bars(figures)]
    if rows:
        print("\nWhat the compiled engine is to reach, at each length, or at first and again\n")
    for row in rows:
        limit = f"{'at most' if row['most'] else 'at least'} {row['bar']:g}"
        measured = " ".join(f"{digits(x):>7}" for x in row["measured"])
        verdict = "reached" if row["reached"] else "not reached"
        print(f"{row['title']:<30} {limit:>13}  {measured:<31}  {verdict}")
    return rows


def bar(title: str, limit: float, measured: list[float], most: bool = False) -> Figures:
    """A bar, and whether all that could be measured reaches it."""
    found = [x for x in measured if not math.isnan(x)]
    reached = bool(found) and all(x <= limit if most else x >= limit for x in found)
    return {"title": title, "bar": limit, "most": most, "measured": measured, "reached": reached}


def chain_bars(rows: list[Figures]) -> list[Figures]:
    """Those of chains: a figure for each length, nan where a peer has none."""
    lengths = sorted({row["length"] for row in rows})
    figure = {(row["contender"], row["length"]): row for row in rows if "ns" in row}
    if not any(name == "miniflow" for name, _ in figure):
        return []
    larger = {("minigrad", n): row for (name, n), row in figure.items() if name.endswith("stack")}
    figure = larger | figure

    def column(name: str, key: str) -> list[float]:
        return [figure.get((name, n), {key: math.nan})[key] for n in lengths]

    found = [
        bar("chain: ns per operation", 28, column("miniflow", "all"), most=True),
        bar("chain: miniflow / float loop", 3.5, column("miniflow", "to_float"), most=True),
    ]
    for name, limit in (("micrograd", 60), ("xad", 13), ("minigrad", 2.8)):
        found.append(bar(f"chain: {name} / miniflow", limit, column(name, "to_miniflow")))
    return found


def other_bars(figures: dict[str, list[Figures]]) -> list[Figures]:
    """Those of the demo and of memory."""
    ratios = {row["contender"]: row.get("to_miniflow", math.nan) for row in figures.get("demo", [])}
    found = []
    if "miniflow" in ratios:
        for name, limit in (("micrograd", 100), ("xad", 12)):
            found.append(bar(f"demo: {name} / miniflow", limit, [ratios.get(name, math.nan)]))
    for row in figures.get("memory", []):
        if row["contender"] == "miniflow":
            first, last = row["peaks"][0], row["peaks"][-1]
            found.append(bar("memory: bytes per operation", 64, [first, last], most=True))
    return found


# --- the program --------------------------------------------------------------


def parts(quick: bool) -> dict[str, Callable[[], list[Figures]]]:
    """What there is to measure, by name."""
    if quick:
        return {
            "chains": lambda: chains(LENGTHS[:2], turns=1, budget=0.03),
            "demo": lambda: demos(turns=1, seconds=0.05),
            "memory": lambda: memory(quick),
            "training": lambda: training(1_000),
            "early_stop": lambda: early_stop(5),
        }
    return {
        "chains": lambda: chains(LENGTHS, turns=5, budget=0.3),
        "demo": lambda: demos(turns=5, seconds=0.5),
        "memory": lambda: memory(quick),
        "training": lambda: training(20_000),
        "early_stop": lambda: early_stop(25),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What eager recording costs.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--only", help="some of: " + ", ".join(parts(quick=True)))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child(*json.loads(arguments.child))
        return
    chosen = parts(arguments.quick)
    names = arguments.only.split(",") if arguments.only else list(chosen)
    if unknown := set(names) - set(chosen):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(chosen)}")
    print(f"The engine: {miniflow.engine}\n")
    figures = {name: chosen[name]() for name in names}
    figures["bars"] = bars(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
