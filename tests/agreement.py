"""Whether all modes and both engines agree to the last bit, at as many functions as one likes.

    python tests/agreement.py                     3,000 random functions over all rows
    python tests/agreement.py --functions 100

Values, gradients and second orders at special points, eager, recorded, traced, jitted and in a
precise batch. Ends with an error if any differ, and prints the functions.
"""

import argparse
import sys

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from support.agreement import disagreeing
from support.other_engine import There
from support.random_functions import functions, points


def look(count, number, there):
    """Those of so many functions on which modes do not agree."""
    found = []

    @seed(number)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        verbosity=Verbosity.quiet, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(functions(longest=8), st.data())
    def tried(f, data):
        at = [data.draw(points(f)) for _ in range(3)]
        wrong = disagreeing(f, at, there)
        if wrong:
            found.append((f, at, wrong))
            print(f"{f}\n  at {at}", *[f"  {name}: {x}" for name, x in wrong.items()], sep="\n")

    tried()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--functions", type=int, default=3_000, help="how many")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    there = There()
    try:
        wrong = look(args.functions, args.seed, there)
    finally:
        there.close()
    print(f"{args.functions} functions: modes differ on {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
