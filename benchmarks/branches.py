"""Whether compiled functions ever take a wrong branch: random calls against eager ones.

    python benchmarks/branches.py [--calls N] [--seed N]

Functions whose path depends on their data, at numbers that often meet their borders, one
call at a time and in batches. An answer is wrong if it differs from the eager one by a bit.
"""

import argparse
import random
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from miniflow import jit, math, vmap


def nested(x: Any, y: Any) -> Any:
    """Branches in branches."""
    if x < y:
        if x * x > 2.0 * y:
            return math.sin(x) - y
        return x * y if y >= 1.0 else x + y
    if x == y:
        return 3.0 * x
    return math.exp(-abs(x)) if not x <= 2.0 else y * x - 1.0


def newton(x: Any, y: Any) -> Any:
    """A loop that ends when it is close enough: a square root."""
    a, root, steps = abs(x) + 0.5, 1.0 + abs(y), 0
    while abs(root * root - a) > 1e-9 * a and steps < 12:
        root = 0.5 * (root + a / root)
        steps += 1
    return root


def ordered(x: Any, y: Any) -> Any:
    """Sorting, and what comes out first."""
    low, middle, high = sorted([x, y, 0.25])
    return low + 2.0 * middle + 4.0 * high


def special(x: Any, y: Any) -> Any:
    """Infinities, NaN, zeros."""
    if math.isnan(x) or math.isinf(y):
        return x if math.isinf(y) else y
    if not x:
        return -y
    return math.log(x) if x > 0.0 else math.copysign(1.0, x) * y


def steps(x: Any, y: Any) -> Any:
    """A table looked up by comparing."""
    for border in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0):
        if x < border:
            return y * border + x
    return y


FUNCTIONS: tuple[Callable[[Any, Any], Any], ...] = (nested, newton, ordered, special, steps)
BORDERS = (
    0.0, -0.0, 0.25, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 1e-320, -1e-320, 1e300, -1e300,
    float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
BATCH = 1_000


def number(source: random.Random) -> float:
    """A number near where functions branch, or anywhere."""
    kind = source.random()
    if kind < 0.3:
        return source.choice(BORDERS)
    return source.gauss(0.0, 1.5) if kind < 0.9 else source.uniform(-1e3, 1e3)


def same(a: Any, b: Any) -> bool:
    """Whether two answers are the same, to the bit; one NaN is as good as another."""
    return struct.pack("d", a) == struct.pack("d", b) or (a != a and b != b)


def one_by_one(f: Callable[[Any, Any], Any], calls: int, source: random.Random) -> int:
    """How many calls answer wrongly."""
    compiled, wrong = jit(f), 0
    for _ in range(calls):
        x, y = number(source), number(source)
        wrong += not same(compiled(x, y), f(x, y))
    return wrong


def batches(f: Callable[[Any, Any], Any], calls: int, source: random.Random) -> int:
    """How many elements of batches are wrong."""
    compiled, wrong = vmap(f, precise=True), 0
    for _ in range(calls // BATCH):
        xs, ys = np.array([[number(source) for _ in range(BATCH)] for _ in range(2)])
        answers = zip(compiled(xs, ys).tolist(), xs.tolist(), ys.tolist(), strict=True)
        wrong += sum([not same(answer, f(x, y)) for answer, x, y in answers])
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether a wrong branch is ever taken.")
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    source, share = random.Random(arguments.seed), arguments.calls // (2 * len(FUNCTIONS))
    total = 0
    for f in FUNCTIONS:
        for kind in (one_by_one, batches):
            start = time.perf_counter()
            wrong = kind(f, share, source)
            total += wrong
            took = time.perf_counter() - start
            name = f"{f.__name__:<8} {kind.__name__:<11}"
            print(f"{name} {share:>9,} calls, {wrong} wrong  {took:.1f} s")
    if total:
        raise SystemExit(f"{total} wrong answers")
    print(f"no wrong answer in {2 * share * len(FUNCTIONS):,} calls")


if __name__ == "__main__":
    main()
