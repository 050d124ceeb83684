"""Derivatives of order 1 to 4 of all rows against mpmath, at as many points as one likes.

    python tests/accuracy.py                           2,000 points of each row
    python tests/accuracy.py --points 100000 sin pow   those rows only

They are computed by compiled code that answers like the eager one to the last bit
(``vmap(precise=True)``). Most are judged by long doubles with bounds of their error
(`support.balls`), and by mpmath where these do not say enough: 100,000 points of a row take some
seconds to some minutes. The bounds are those of docs/operations.md. Ends with an error if one is
exceeded, and prints the greatest error found for each row and order.
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

BATCH = 10_000
SHOWN = 4  # wrong ones of a row


class Tally:
    """The greatest error of each order, what is wrong, and how many points mpmath has judged."""

    def __init__(self):
        self.worst, self.wrong, self.judged = [0.0] * ORDER, [], 0

    def note(self, order, off):
        self.worst[order - 1] = max(self.worst[order - 1], off)


def measure(name, points, seed):
    """What is found at so many points of a row."""
    op, source, tally = TABLE[name], random.Random(f"{name} {seed}"), Tally()
    count = op.arity if op.arity > 0 else accuracy.COUNT
    functions = accuracy.derivatives(op, count)
    if not functions:
        return tally
    together = vmap(lambda *xs: [f(*xs) for f in functions.values()], precise=True)
    indices = [accuracy.index(op, turn, count) for turn in functions]
    with tqdm(total=points, desc=name, leave=False, disable=None) as bar:
        for start in range(0, points, BATCH):
            operands = [accuracy.draw(op, source) for _ in range(min(BATCH, points - start))]
            columns = [np.array(x) for x in zip(*operands, strict=True)]
            found = [np.broadcast_to(y, len(operands)).astype(float) for y in together(*columns)]
            judge(op, columns, dict(zip(indices, found, strict=True)), tally)
            bar.update(len(operands))
    return tally


def judge(op, columns, found, tally):
    """Judge derivatives, arrays by index, at those operands."""
    bounds = accuracy.BOUNDS.get(op.name, accuracy.STRAIGHT).ulps
    unsure = {}
    for i, (sure, off) in accuracy.sure(op, columns, found).items():
        tally.note(sum(i), float(np.max(off, initial=0.0, where=sure)))
        for k in np.flatnonzero(~sure).tolist():
            unsure.setdefault(k, {})[i] = float(found[i][k])
    tally.judged += len(unsure)
    for k, numbers in unsure.items():
        xs = tuple([float(x[k]) for x in columns])
        for i, answer, off in accuracy.errors(op, xs, numbers):
            tally.note(sum(i), off)
            if off > bounds[sum(i) - 1]:
                tally.wrong.append((off, i, xs, numbers[i], answer))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=list(TABLE))
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    total = 0
    for name in options.rows:
        start = time.perf_counter()
        tally = measure(name, options.points, options.seed)
        total += len(tally.wrong)
        found = "  ".join(f"{x:8.3g}" for x in tally.worst)
        took = time.perf_counter() - start
        print(f"{name:14} {found}   {len(tally.wrong)} wrong of {options.points}, "
              f"{tally.judged} judged by mpmath, {took:.0f} s", flush=True)  # fmt: skip
        for off, i, xs, got, answer in sorted(tally.wrong, reverse=True)[:SHOWN]:
            print(f"    {off:.3g} ulp: {i} at {xs}: {got}, not {mp.nstr(answer, 17)[:60]}")
    print(f"{total} wrong")
    sys.exit(bool(total))


if __name__ == "__main__":
    main()
