"""What eager recording costs: chains of operations, the early stop, memory.

    python benchmarks/eager.py [--quick] [--json FILE]

Ratios within one run count; absolute times depend on the machine. Each library is
timed in a process of its own, so that nobody's garbage slows another's collector, and
all take turns in each repeat. Results are checked equal before they are timed. Peers
are measured where they are installed (`pip install -r benchmarks/requirements.txt`).
"""

import argparse
import gc
import importlib
import json
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from miniflow import Value

LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
PEERS_UP_TO = 100_000  # beyond, their graphs take gigabytes
FACTOR = 0.999  # keeps the chain finite at any length


def chain(x: Any, operations: int) -> Any:
    """Y = y*factor + x, again and again: multiplications and additions in turn."""
    y = x
    for _ in range(operations // 2):
        y = y * FACTOR
        y = y + x
    return y


# --- one library, in a process of its own -------------------------------------


def leaf_of(library: str) -> Callable[[float], Any]:
    """What makes a number of that library to differentiate by."""
    if library == "miniflow":
        return Value
    if library == "micrograd":
        return importlib.import_module("micrograd.engine").Value  # type: ignore[no-any-return]
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    return lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=True)


def timed(library: str, length: int) -> tuple[float, float]:
    """The chain's derivative, and nanoseconds per operation to record, sweep and release."""
    repeats = max(1, 200_000 // length)
    if library == "float":
        start = time.perf_counter()
        for _ in range(repeats):
            chain(0.5, length)
        return 0.0, (time.perf_counter() - start) / (length * repeats) * 1e9
    leaf, derivative = leaf_of(library), 0.0
    for count in (1, repeats):  # once to warm up
        gc.collect()
        start = time.perf_counter()
        for _ in range(count):
            x = leaf(0.5)
            chain(x, length).backward()
            derivative = float(x.grad)
        seconds = time.perf_counter() - start
    return derivative, seconds / (length * repeats) * 1e9


def deep(run: Callable[[], None]) -> None:
    """Run with a large stack: micrograd walks its graph recursively."""
    sys.setrecursionlimit(10**6)
    threading.stack_size(1 << 29)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


# --- all libraries ------------------------------------------------------------


def child(library: str, length: int) -> tuple[float, float]:
    """`timed` in a new process."""
    command = [sys.executable, __file__, "--child", library, str(length)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{library} at {length:,} failed:\n{done.stderr}")
    derivative, ns = json.loads(done.stdout)
    return derivative, ns


def libraries(length: int) -> list[str]:
    """miniflow, the peers that are installed, and plain floats."""
    peers = [name for name in ("micrograd", "torch") if find_spec(name)]
    return ["miniflow", *(peers if length <= PEERS_UP_TO else []), "float"]


def chains(lengths: tuple[int, ...], repeats: int) -> list[dict[str, Any]]:
    """Record, backward and release a chain: nanoseconds per operation."""
    print("A chain: record + backward + release, ns per operation\n")
    print(f"{'length':>9}  {'library':<10} {'median':>8}  {'ratio':>7}  range")
    rows: list[dict[str, Any]] = []
    for length in lengths:
        times: dict[str, list[float]] = {name: [] for name in libraries(length)}
        expected = child("miniflow", length)[0]
        for _ in range(repeats):
            for name, ns in times.items():
                derivative, measured = child(name, length)
                if name != "float" and abs(derivative - expected) > 1e-12 * abs(expected):
                    raise SystemExit(f"{name}: derivative {derivative!r}, expected {expected!r}")
                ns.append(measured)
        ours = statistics.median(times["miniflow"])
        for name, ns in times.items():
            median = statistics.median(ns)
            rows.append({"length": length, "library": name, "ns": ns, "ratio": median / ours})
            print(
                f"{length:>9,}  {name:<10} {median:>8.0f}  {median / ours:>6.2f}x  "
                f"{min(ns):.0f}..{max(ns):.0f}"
            )
    return rows


def early_stop(repeats: int) -> dict[str, Any]:
    """backward() of a 10-operation graph, alone and on 100,000 live older entries."""

    def small(x: Value) -> Value:
        y = x
        for _ in range(10):
            y = y * x
        return y

    # the same leaf, before and after 100,000 other entries: both graphs stay alive
    x = Value(1.01)
    alone = small(x)
    older = [x * 2.0 for _ in range(100_000)]
    graphs = {"alone": alone, "loaded": small(x)}
    times: dict[str, list[float]] = {name: [] for name in graphs}
    for _ in range(repeats):
        for name, y in graphs.items():
            start = time.perf_counter()
            for _ in range(1_000):
                y.backward()
            times[name].append((time.perf_counter() - start) * 1e3)
    medians = {name: statistics.median(us) for name, us in times.items()}
    ratio = medians["loaded"] / medians["alone"]
    print(
        f"\nbackward() of 10 operations: {medians['alone']:.2f} us with no older entries, "
        f"{medians['loaded']:.2f} us on {len(older):,} live ones: {ratio:.3f}x"
    )
    return {"ratio": ratio, "microseconds": times}


def training(steps: int) -> dict[str, Any]:
    """Plain training of a 1,000-operation graph: peak memory of both halves."""
    w = Value(0.5)

    def train(count: int) -> int:
        tracemalloc.reset_peak()
        for _ in range(count):
            loss = chain(w, 1_000)
            w.grad = 0
            loss.backward()
            w.data -= 1e-12 * w.grad
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    first, second = train(steps // 2), train(steps // 2)
    tracemalloc.stop()
    print(
        f"\n{steps:,} training steps of 1,000 operations: peak of the first half "
        f"{first / 2**20:.3f} MB, of the second {second / 2**20:.3f} MB"
    )
    return {"steps": steps, "first_half_bytes": first, "second_half_bytes": second}


def million() -> dict[str, Any]:
    """A chain of 1,000,000 operations, there and back and away: bytes per operation."""
    tracemalloc.start()
    y = chain(Value(0.5), 1_000_000)
    y.backward()
    peak = tracemalloc.get_traced_memory()[1]
    del y
    tracemalloc.stop()
    print(f"\nA chain of 1,000,000 operations: at most {peak / 1e6:.0f} bytes per operation")
    return {"bytes_per_operation": peak / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description="What eager recording costs.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        library, length = arguments.child
        deep(lambda: print(json.dumps(timed(library, int(length)))))
        return
    quick = arguments.quick
    figures = {
        "chains": chains(LENGTHS[:2] if quick else LENGTHS, 3 if quick else 9),
        "training": training(200 if quick else 20_000),
        "early_stop": early_stop(5 if quick else 25),
        "million": million(),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
