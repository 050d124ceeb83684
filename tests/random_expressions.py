"""Gradients and Hessians of random expressions of all rows against mpmath.

    python tests/random_expressions.py                    2,000 expressions
    python tests/random_expressions.py --count 20000 --seed 1

An answer that mpmath does not have, or that rounding may change by more than a millionth, is not
judged (see `support.conditioned`). Ends with an error if one is wrong, and prints it.
"""

import argparse
import random
import sys
from collections import Counter

from tqdm import tqdm

from miniflow import grad, hessian
from support import conditioned

ORDERS = ("gradient", "Hessian")


def derivatives(f, xs):
    """The gradient and the Hessian, row by row, in one list."""
    every = tuple(range(f.count))
    rows = hessian(f, every)(*xs)
    return [*grad(f, every)(*xs), *[float(y) for row in rows for y in row]]


class Tally:
    """What has been judged, by order; the greatest error over its bound; the rows met."""

    def __init__(self):
        self.judged, self.open, self.wrong = Counter(), Counter(), Counter()
        self.worst, self.rows, self.refused = 0.0, Counter(), 0

    def judge(self, f, xs, source):
        """What is wrong of one expression's derivatives: lines of text."""
        try:
            answers = conditioned.judged(f, xs, source)
        except (ValueError, ArithmeticError, TypeError):
            self.refused += 1
            return []
        found = derivatives(f, xs)
        lines = []
        for k, ((answer, bound), got) in enumerate(zip(answers, found, strict=True)):
            order = ORDERS[k >= f.count]
            if bound is None:
                self.open[order] += 1
                continue
            self.judged[order] += 1
            off = conditioned.error(got, answer, bound)
            self.worst = max(self.worst, off)
            if off > 1:
                self.wrong[order] += 1
                lines.append(f"{order} {k} of {f} at {xs}: {got!r}, not {float(answer)!r}: "
                             f"{off:.3g} times the bound")  # fmt: skip
        if any(bound is not None for _, bound in answers):
            self.rows.update({name for name, _ in f.steps})
        return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    source, tally = random.Random(options.seed), Tally()
    for _ in tqdm(range(options.count), disable=None):
        f, xs = conditioned.drawn(source)
        for line in tally.judge(f, xs, source):
            print(line, flush=True)
    for order in ORDERS:
        print(f"{order}: {tally.judged[order]} numbers judged, {tally.open[order]} left open, "
              f"{tally.wrong[order]} wrong")  # fmt: skip
    least = min(tally.rows, key=tally.rows.get)
    print(f"{options.count} expressions, {tally.refused} without an answer; {len(tally.rows)} rows "
          f"met, {least} least often: {tally.rows[least]} times; worst {tally.worst:.3g} times "
          "the bound")  # fmt: skip
    sys.exit(sum(tally.wrong.values()) > 0)


if __name__ == "__main__":
    main()
