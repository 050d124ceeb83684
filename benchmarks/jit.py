"""What compiled functions cost: small networks, option prices, mixtures, compiling, calls.

    python benchmarks/jit.py [--quick] [--only a,b] [--peers] [--json FILE]

Each case is one function in plain scalar Python, and the same by peers and by C written
by hand. Contenders share one process and one thread and take turns in each repeat; their
results are checked equal before they are timed. Ratios within one run count: absolute
times depend on the machine. Peers are measured where they are installed
(`pip install -r benchmarks/requirements.txt`), C where there is gcc.
"""

import os
import sys

# before the imports: one thread everywhere, and nothing compiled by earlier runs
os.environ.update(
    {name + "_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")},
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    NPROC="1",
)
if "--child" not in sys.argv:
    os.environ["MINIFLOW_CACHE_DIR"] = ""

import argparse
import json
from pathlib import Path

from common import write
from compiled import call, lengths, mixture, network, options, rosenbrock
from compiled.timing import Settings

CASES = {
    "a": network.case_a,
    "b": options.case_b,
    "c": rosenbrock.case_c,
    "d": mixture.case_d,
    "e": lengths.case_e,
    "f": call.case_f,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="What compiled functions cost.")
    parser.add_argument("--quick", action="store_true", help="fewer, smaller and shorter runs")
    parser.add_argument("--only", default="a,b,c,d,e,f", help="cases to run, e.g. a,c")
    parser.add_argument("--peers", action="store_true", help="leave miniflow out")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(lengths.lengths_timed(arguments.child)))
        return
    chosen = arguments.only.split(",")
    if not set(chosen) <= set(CASES):
        parser.error(f"--only takes some of {','.join(CASES)}")
    settings = Settings(arguments.quick, arguments.peers)
    figures = {name: CASES[name](settings) for name in chosen}
    write(figures, arguments.json)


if __name__ == "__main__":
    main()
