"""Gradients and Hessians of random expressions of all rows against mpmath.

    python tests/random_expressions.py                    2,000 expressions
    python tests/random_expressions.py --count 20000 --seed 1

An answer that mpmath does not have, or that rounding may change by more than a millionth, is not
judged (see `support.conditioned`). Ends with an error if one is wrong, and prints it.
"""

import argparse
import random
import sys

from tqdm import tqdm

from support import conditioned
from support.conditioned import ORDERS, Tally


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
