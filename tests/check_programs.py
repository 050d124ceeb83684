"""`check_grads` on thousands of right programs, and on hundreds of wrong rules, by hand.

    python tests/check_programs.py                    5,000 programs, 300 wrong rules
    python tests/check_programs.py --count 20000 --faults 3000 --seed 1

A right program that is called wrong is a false alarm; a wrong rule has to be found within 20
points, and named. Ends with an error where one of that fails.
"""

import argparse
import random
import sys
from collections import Counter

from tqdm import tqdm

from miniflow.ops import TABLE, define
from miniflow.testing import inspect_grads
from support import conditioned
from support.wrong_rules import KINDS, Program, seeded


def programs(count, source):
    """The verdicts on right programs; false alarms are printed."""
    verdicts = Counter()
    for _ in tqdm(range(count), disable=None):
        f, xs = conditioned.drawn(source)
        report = inspect_grads(f, xs)
        verdicts[report.verdict] += 1
        if report.verdict == "wrong":
            print(f"{f} at {xs}\n{report}", flush=True)
    return verdicts


def faults(count, source):
    """How many wrong rules are found, and how many of them named."""
    found = Counter()
    for k in tqdm(range(count), disable=None):
        fault = seeded(KINDS[k % len(KINDS)], source)
        op = define("seeded", fault.value, *fault.partials)
        try:
            program = Program(op, fault, source)
            points = [program.point(fault, source) for _ in range(20)]
            reports = (inspect_grads(program, xs) for xs in points)
            report = next((x for x in reports if x.verdict == "wrong"), None)
        finally:
            del TABLE["seeded"]
        found["found"] += report is not None
        named = report is not None and report.culprit is not None
        found["named"] += named and report.culprit.op == "seeded"
        if report is None:
            print(f"missed: {fault}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    source = random.Random(options.seed)
    found = faults(options.faults, source)
    print(f"{options.faults} wrong rules: {found['found']} found, {found['named']} named")
    verdicts = programs(options.count, source)
    print(f"{options.count} right programs: {dict(verdicts)}")
    missed = found["found"] < options.faults or found["named"] < 0.99 * options.faults
    sys.exit(missed or verdicts["wrong"] > 0)


if __name__ == "__main__":
    main()
