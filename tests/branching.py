"""Whether functions with branches ever answer otherwise than eagerly, by a single bit.

    python tests/branching.py                     20,000 random functions
    python tests/branching.py --functions 100 --batches 10 --compile 10

Values, gradients, their gradients and directional derivatives by `jit`, at points with ties, NaN
and infinities; one function in so many as a batch, or by machine code, too. Ends with an error if
any differ, and prints the functions.
"""

import argparse
import sys
import warnings

from support.branching import of_seed


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--functions", type=int, default=20_000, help="how many")
    parser.add_argument("--batches", type=int, default=10, help="one in how many as a batch")
    parser.add_argument("--compile", type=int, default=100, help="one in how many as machine code")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    count = 0
    for seed in range(args.seed, args.seed + args.functions):
        backend = "tape" if seed % args.compile else "auto"
        text, wrong = of_seed(seed, batch=seed % args.batches == 0, backend=backend)
        if wrong:
            count += 1
            print(f"seed {seed}\n{text}\n  wrong: {wrong[:4]}", flush=True)
    print(f"{args.functions} functions: {count} answer otherwise")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
