"""What eager.py prints: a table for each question, and the figures in it."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from common import digits
from recorded.processes import FailedError, child, in_turns
from recorded.recorders import CONTENDERS, OURS, taking_part
from recorded.tasks import AGAIN, SLOW, agree

PHASES = ("all", "record", "replay", "release")

Figures = dict[str, Any]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over turns of how many times as long `ours` takes."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=False))


def spread(numbers: Sequence[float]) -> str:
    """The range of numbers, and how many there are if that is one."""
    if len(numbers) == 1:
        return "once"
    return f"{shown(min(numbers))}..{shown(max(numbers))}"


def shown(x: float) -> str:
    """A number as the tables have it; a dash for none."""
    if math.isnan(x):
        return "-"
    return f"{x:.1f}" if 9.95 < x < 99.95 else digits(x)


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
        columns = " ".join(f"{shown(x):>7}" for x in medians)
        print(
            f"{length:>10,}  {name:<20} {columns} {shown(row['to_float']):>7}x "
            f"{shown(row['to_miniflow']):>9}x  {spread(totals[name])}"
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
        print(f"{name:<20} {shown(statistics.median(ms)):>8} {shown(times):>10}x  {spread(ms)}")
    for name, reason in failures.items():
        rows.append({"contender": name, "failed": reason})
        print(f"{name:<20} {reason}")
    print(f"(all with the losses {', '.join(f'{x:.9f}' for x in losses)} in the first steps)")
    return rows


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
            text = f"{shown(peaks[0]):>9} {shown(peaks[-1]):>15}"
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
