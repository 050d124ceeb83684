"""Whether pictures hang: 200 graphs of all shapes are drawn and played, the slowest are printed.

    python benchmarks/pictures.py [--shapes N] [--slowest N] [--only NAME] [--write FILE]

Each graph is drawn as an SVG by `draw_dot`, without a limit, and its page is made by `play`.
Graphviz is the `dot` of the PATH, or the one in pygraphviz's wheel where there is none. The
exit status is 1 where a picture took longer than it may.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from common import write
from miniflow import Value, math
from miniflow.nn import MLP
from viz import draw_dot, play, snapshot

SMALL = 1000  # entries up to which a picture is drawn quickly
QUICK, LONGEST = 3.0, 10.0  # seconds for those, and for all

Shape = Callable[[int], Any]


def chain(n: int) -> Any:
    """One operation behind the other."""
    y = Value(0.5, label="y")
    for _ in range(n):
        y = y.tanh()
    return y


def euler(n: int) -> Any:
    """Euler's method for y' = -k y: one leaf in all steps."""
    k, y = Value(0.5, label="k"), Value(1.0, label="y")
    for _ in range(n):
        y = y - 0.1 * k * y
    return y


def alternating(n: int) -> Any:
    """One leaf is now a factor, now a term."""
    a, v = Value(1.01, label="a"), Value(1.0, label="v")
    for k in range(n):
        v = v * a if k % 2 else v + a
    return v


def runge_kutta(n: int) -> Any:
    """The classical method of order 4 for y' = k y (1 - y)."""
    k, y, h = Value(0.5, label="k"), Value(0.1, label="y"), 0.1

    def slope(y: Any) -> Any:
        return k * y * (1.0 - y)

    for _ in range(n):
        a = slope(y)
        b = slope(y + 0.5 * h * a)
        c = slope(y + 0.5 * h * b)
        d = slope(y + h * c)
        y = y + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
    return y


def hunters(n: int) -> Any:
    """Two states and four leaves, all in all steps."""
    a, b, c, d = [Value(0.1 * k, label=name) for k, name in enumerate("abcd", 1)]
    x, y = Value(10.0, label="x"), Value(5.0, label="y")
    for _ in range(n):
        x, y = x + 0.1 * (a * x - b * x * y), y + 0.1 * (c * x * y - d * y)
    return x + y


def tree(n: int) -> Any:
    """Sums of two, of n leaves."""
    found: list[Any] = [Value(float(k), label=f"x{k}") for k in range(max(n, 2))]
    while len(found) > 1:
        found = [x * y for x, y in zip(found[::2], found[1::2], strict=False)] + (
            [found[-1]] if len(found) % 2 else []
        )
    return found[0]


def comb(n: int) -> Any:
    """A fresh leaf at each step."""
    y = Value(1.0)
    for k in range(n):
        y = y * Value(1.0 + k / n, label=f"w{k}")
    return y


def fan(n: int) -> Any:
    """One leaf in n terms, which are added in one operation."""
    x = Value(0.3, label="x")
    return math.sum([x * float(k) for k in range(n)])


def running(n: int) -> Any:
    """One leaf in n terms, which are added one by one."""
    x, y = Value(0.3, label="x"), Value(0.0, label="y")
    for k in range(n):
        y = y + (x * float(k)).sin()
    return y


def late(n: int) -> Any:
    """Each result of a chain is used once more at the end, the last one first."""
    y, found = Value(0.5, label="y"), []
    for _ in range(n):
        y = y.tanh()
        found.append(y)
    for x in reversed(found):
        y = y + x
    return y


def fibonacci(n: int) -> Any:
    """Each number is used by the next two."""
    x, y = Value(0.1, label="x"), Value(0.2, label="y")
    for _ in range(n):
        x, y = y, x + y
    return y


def memory(n: int) -> Any:
    """Each step uses the ones 2, 5 and 11 before."""
    found = [Value(0.1 * k, label=f"s{k}") for k in range(11)]
    for _ in range(n):
        found.append((found[-2] * found[-5] + found[-11]).tanh())
    return found[-1]


def lattice(n: int) -> Any:
    """Prices of an option: a triangle in which neighbours meet."""
    up, down = Value(0.5, label="p"), Value(0.48, label="q")
    found: list[Any] = [Value(max(k - n / 2, 0.0), label=f"s{k}") for k in range(n + 1)]
    while len(found) > 1:
        found = [up * x + down * y for x, y in pairwise(found)]
    return found[0]


def randomly(n: int) -> Any:
    """Operands are drawn from all numbers before."""
    source = random.Random(n)
    found: list[Any] = [Value(source.random(), label=f"x{k}") for k in range(5)]
    for _ in range(n):
        x, y = source.choices(found, k=2)
        found.append(source.choice([x + y, x * y, x.tanh(), x - y]))
    return found


def nearly(n: int) -> Any:
    """Operands are drawn from the ten numbers before."""
    source = random.Random(n)
    found: list[Any] = [Value(source.random(), label=f"x{k}") for k in range(10)]
    for _ in range(n):
        x, y = source.choices(found[-10:], k=2)
        found.append(source.choice([x + y, x * y, x.tanh(), x - y]))
    return found


def network(n: int) -> Any:
    """A network of two hidden layers with n neurons each, and its loss for one sample."""
    return (MLP(2, [n, n, 1], seed=1)([1.0, -0.5]) - 1.0) ** 2


def deep(n: int) -> Any:
    """A network of n layers with two neurons each."""
    return (MLP(2, [2] * n + [1], seed=1)([1.0, -0.5]) - 1.0) ** 2


def batch(n: int) -> Any:
    """The loss of a small network for n samples."""
    model = MLP(2, [3, 1], seed=1)
    return math.sum([(model([0.1 * k, 1.0]) - 1.0) ** 2 for k in range(n)])


def matrix(n: int) -> Any:
    """The product of two matrices with n rows."""
    a = [[Value(float(i + j), label=f"a{i}{j}") for j in range(n)] for i in range(n)]
    b = [[Value(float(i - j), label=f"b{i}{j}") for j in range(n)] for i in range(n)]
    return [
        math.dot(row, [b[k][j] for k in range(n)]) for row in a for j in range(n)
    ]  # fmt: skip


def apart(n: int) -> Any:
    """Graphs that have nothing in common."""
    return [Value(float(k), label=f"x{k}") * 2.0 for k in range(n)]


def descent(n: int) -> Any:
    """Steps down the slope of a function of two numbers, as part of one graph."""
    x, y, rate = Value(1.0, label="x"), Value(2.0, label="y"), Value(0.05, label="rate")
    for _ in range(n):
        x, y = x - rate * (2.0 * x + y), y - rate * (x + 4.0 * y * y * y)
    return x * x + x * y + y**4


SHAPES: dict[Shape, tuple[int, ...]] = {
    chain: (1, 5, 20, 50, 100, 200, 400, 700, 1000, 3000),
    euler: (5, 10, 15, 20, 25, 30, 50, 100, 148, 240, 500),
    alternating: (5, 10, 20, 30, 40, 60, 100, 148, 250, 500, 900, 3000),
    runge_kutta: (1, 2, 3, 5, 8, 12, 20, 30, 100),
    hunters: (1, 2, 4, 8, 12, 20, 40, 60, 300),
    tree: (2, 5, 10, 20, 50, 100, 200, 400, 500, 3000),
    comb: (5, 10, 20, 50, 100, 200, 400, 500),
    fan: (3, 10, 30, 60, 100, 200, 300, 450),
    running: (5, 10, 20, 40, 60, 100, 150, 240, 2000),
    late: (5, 10, 20, 30, 50, 75, 100, 200, 350, 499),
    fibonacci: (5, 10, 20, 50, 100, 200, 500, 990),
    memory: (5, 10, 20, 30, 50, 100, 150, 300, 320),
    lattice: (1, 2, 3, 4, 6, 8, 10, 12, 17, 40),
    randomly: (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 700, 990, 5000),
    nearly: (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 700, 990),
    network: (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 25, 60),
    deep: (1, 2, 3, 5, 8, 12, 20, 30, 50, 80),
    batch: (1, 2, 3, 5, 8, 12, 20, 30, 50, 1000),
    matrix: (1, 2, 3, 4, 5, 7, 9, 12, 17),
    apart: (1, 2, 5, 20, 100, 300, 1000),
    descent: (1, 2, 4, 8, 12, 20, 40, 70, 300),
}


class Case(NamedTuple):
    """One graph to draw."""

    shape: Shape
    size: int

    @property
    def name(self) -> str:
        """What it is called in the list."""
        return f"{self.shape.__name__} {self.size}"


class Taken(NamedTuple):
    """What a picture took: seconds, of at most `allowed` ones, and of the processor."""

    name: str
    what: str
    entries: int
    seconds: float
    processor: float
    allowed: float


def cases() -> list[Case]:
    """All graphs, in an order in which the first N of them are of all shapes and sizes."""
    found = [Case(shape, size) for shape, sizes in SHAPES.items() for size in sizes]
    random.Random(200).shuffle(found)
    return found


def measured(case: Case, folder: Path) -> Iterator[Taken]:
    """Draw and play one graph."""
    root = case.shape(case.size)
    results = root if isinstance(root, list) else [root]
    loss = math.sum(results)
    loss.backward()
    entries = len(snapshot(loss))
    allowed = QUICK if entries <= SMALL else LONGEST
    jobs: dict[str, Callable[[], Any]] = {
        "drawn": lambda: draw_dot(loss, limit=None).pipe("svg"),
        "drawn as PNG": lambda: draw_dot(loss, limit=None).pipe("png"),
        "drawn compact": lambda: draw_dot(loss, limit=None, compact=True, rankdir="TB").pipe("svg"),
    }
    if entries <= SMALL:
        jobs["played"] = lambda: play(loss, folder / "steps.html", limit=None)
    for what, job in jobs.items():
        start, processor = time.perf_counter(), processor_time()
        try:
            job()
        except RuntimeError as error:
            print(f"{case.name} {what}: {error}", flush=True)
            allowed = 0.0
        yield Taken(
            case.name, what, entries, time.perf_counter() - start, processor_time() - processor,
            allowed,
        )  # fmt: skip


def processor_time() -> float:
    """Seconds of the processor, of this Python and of what it started."""
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system


def line(x: Taken) -> str:
    """A picture's line in the list."""
    note = "" if x.seconds <= x.allowed else f"  more than {x.allowed:g} s"
    busy = f"{x.seconds:7.2f} s  {x.processor:6.2f} s of the processor"
    return f"{busy}  {x.entries:7,} entries  {x.name:20} {x.what}{note}"


def main() -> int:
    """Draw them all; 1 if one took too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", type=int, default=200, help="how many graphs")
    parser.add_argument("--slowest", type=int, default=20, help="how many lines are printed")
    parser.add_argument("--only", default="", help="graphs whose names begin so")
    parser.add_argument("--write", type=Path, help="a file for all figures, as JSON")
    given = parser.parse_args()
    found: list[Taken] = []
    chosen = [x for x in cases() if x.name.startswith(given.only)][: given.shapes]
    with tempfile.TemporaryDirectory() as folder:
        for case in chosen:
            for x in measured(case, Path(folder)):
                found.append(x)
                if x.seconds > x.allowed:
                    print(line(x), flush=True)
    found.sort(key=lambda x: -x.seconds)
    write([x._asdict() for x in found], given.write)
    print(f"{len(chosen)} graphs, with {shutil.which('dot') or 'the Graphviz of the wheel'}")
    print("\n".join(map(line, found[: given.slowest])))
    late = [x for x in found if x.seconds > x.allowed]
    print(f"{len(late)} of {len(found)} took too long")
    return min(len(late), 1)


if __name__ == "__main__":
    sys.exit(main())
