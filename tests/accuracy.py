"""Derivatives of order 1 to 4 of all rows against mpmath, at as many points as one likes.

    python tests/accuracy.py                           2,000 points of each row
    python tests/accuracy.py --points 100000 sin pow   those rows only

They are computed by compiled code that answers like the eager one to the last bit
(``vmap(precise=True)``). The bounds are those of docs/accuracy.md. Ends with an error if one
is exceeded, and prints the greatest error found for each row and order.
"""

import argparse
import random
import sys
import time

import numpy as np
from tqdm import tqdm

from miniflow import vmap
from miniflow.ops import TABLE
from support import accuracy
from support.judge import mp
from support.orders import ORDER


def measure(name, points, seed):
    """The greatest error of each order, with its place; how many are beyond their bound."""
    op = TABLE[name]
    count = op.arity if op.arity > 0 else accuracy.COUNT
    functions = accuracy.derivatives(op, count)
    if not functions:
        return {}, 0
    source = random.Random(f"{name} {seed}")
    operands = [accuracy.draw(op, source) for _ in range(points)]
    together = vmap(lambda *xs: [f(*xs) for f in functions.values()], precise=True)
    columns = [np.broadcast_to(np.asarray(y, float), points).tolist()
               for y in together(*map(np.array, zip(*operands, strict=True)))]  # fmt: skip
    indices = [accuracy.index(op, turn, count) for turn in functions]
    worst, wrong = {}, 0
    bounds = accuracy.BOUNDS.get(name, accuracy.STRAIGHT).ulps
    rows = zip(operands, zip(*columns, strict=True), strict=True)
    for xs, found in tqdm(rows, name, points, leave=False, disable=None):
        for i, answer, off in accuracy.errors(op, xs, dict(zip(indices, found, strict=True))):
            order = sum(i)
            wrong += off > bounds[order - 1]
            if off >= worst.get(order, (-1.0,))[0]:
                worst[order] = (off, i, xs, found[indices.index(i)], answer)
    return worst, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=list(TABLE))
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    total = 0
    for name in options.rows:
        start = time.perf_counter()
        worst, wrong = measure(name, options.points, options.seed)
        total += wrong
        found = "  ".join(f"{worst[k][0]:8.3g}" if k in worst else f"{'-':>8}"
                          for k in range(1, ORDER + 1))  # fmt: skip
        took = time.perf_counter() - start
        print(f"{name:14} {found}   {wrong} wrong of {options.points}  {took:.0f} s", flush=True)
        if wrong:
            for k, (_, i, xs, got, answer) in sorted(worst.items()):
                print(f"    order {k}: {i} at {xs}: {got}, not {mp.nstr(answer, 17)[:60]}")
    print(f"{total} wrong")
    sys.exit(bool(total))


if __name__ == "__main__":
    main()
