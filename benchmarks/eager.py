"""What eager recording costs: chains of operations, micrograd's demo, memory.

    python benchmarks/eager.py [--quick] [--only a,b] [--json FILE]

Ratios within one run count; absolute times depend on the machine. Each contender is
timed in a process of its own, so that nobody's garbage or crash is another's, and all
take turns. Times are of the processor, so that other programs count less. Results are
checked before they are timed. Peers are measured where they are installed
(`pip install -r benchmarks/requirements.txt`).

A chain is recorded, replayed in reverse and released. Releasing is dropping the last
reference, and a collection of garbage where only that finds the graph.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import miniflow
from common import write
from recorded.bars import bars
from recorded.processes import run_child
from recorded.recorders import LENGTHS
from recorded.roads import roads
from recorded.tables import Figures, chains, demos, early_stop, memory, training


def parts(quick: bool) -> dict[str, Callable[[], list[Figures]]]:
    """What there is to measure, by name."""
    if quick:
        return {
            "chains": lambda: chains(LENGTHS[:2], turns=1, budget=0.03),
            "demo": lambda: demos(turns=1, seconds=0.05),
            "memory": lambda: memory(quick),
            "training": lambda: training(1_000),
            "early_stop": lambda: early_stop(5),
            "roads": lambda: roads(rounds=1, least=0.001),
        }
    return {
        "chains": lambda: chains(LENGTHS, turns=5, budget=0.3),
        "demo": lambda: demos(turns=5, seconds=0.5),
        "memory": lambda: memory(quick),
        "training": lambda: training(20_000),
        "early_stop": lambda: early_stop(25),
        "roads": roads,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What eager recording costs.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--only", help="some of: " + ", ".join(parts(quick=True)))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child(*json.loads(arguments.child))
        return
    chosen = parts(arguments.quick)
    names = arguments.only.split(",") if arguments.only else list(chosen)
    if unknown := set(names) - set(chosen):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(chosen)}")
    print(f"The engine: {miniflow.engine}\n")
    figures = {name: chosen[name]() for name in names}
    figures["bars"] = bars(figures)
    write(figures, arguments.json)


if __name__ == "__main__":
    main()
