"""The same graph with other numbers: for each seed its own ones, nice to compute with by hand.

They are computed on a thread of their own, which has a tape of its own: nothing is added to what
is recorded here, and no block that mutes this thread is in the way.
"""

import math
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from miniflow.operation import Op, constant
from miniflow.tape.core import Value
from miniflow.tape.reading import located
from viz.player.steps import Steps, take_steps

DRAWS = 300  # of numbers for a seed; of half of them much is asked
MOST_HANDY, LEAST_HANDY = 1000.0, 0.005  # sizes with which one computes by hand
Leaves = dict[int, float]  # by node


def varied(root: Value, steps: Steps, seeds: Iterable[int | str]) -> list[Steps]:
    """For each seed the steps of the same graph with other numbers in its leaves; constants stay.

    The numbers have the precision and about the size of those that were there. They are drawn
    until each number is finite and, where it can be, neither tiny nor huge, and no more
    gradients are 0 than before.

    Args:
        root: the output.
        steps: those of the graph as it is.
        seeds: the same one gives the same numbers, everywhere.

    Raises:
        ValueError: the graph cannot be computed anew, or no numbers were found.
    """
    table, n = located(root)
    with table.hold():
        ops = [table.op(entry) for entry in table.reached([n])[::-1]]
    with ThreadPoolExecutor(1) as other:
        return list(other.map(partial(_varied, ops, steps), seeds))


def _varied(ops: Sequence[Op], steps: Steps, seed: int | str) -> Steps:
    """The same for one seed."""
    leaves = {n: x.value for n, x in enumerate(steps.nodes) if not x.op and x.kind != "constant"}
    if _as_text(_anew(ops, steps, leaves)) != _as_text(steps):
        raise ValueError(
            "worksheet: the graph has an operation that depends on more than its operands, such as "
            "a compiled function's or one written by hand; leave out the seed"
        )
    rng = random.Random(f"{seed}")
    found: Steps | None = None
    for k in range(DRAWS):
        numbers = {n: _other(x, rng, k) for n, x in leaves.items()}
        tried = _anew(ops, steps, numbers)
        if _is_handy(tried, steps):
            return tried
        if found is None and all(map(math.isfinite, _all_numbers(tried))):
            found = tried
    if found is None:
        raise ValueError(
            f"worksheet: none of {DRAWS} draws of other numbers gave finite ones; choose the "
            "leaves' numbers yourself and leave out the seed"
        )
    return found


def _as_text(steps: Steps) -> Any:
    """What steps show; as text, in which a NaN is equal to itself."""
    nodes = [(x.name, x.kind, x.op, x.operands, x.value) for x in steps.nodes]
    return repr((nodes, steps.contributions))


def _anew(ops: Sequence[Op], steps: Steps, numbers: Leaves) -> Steps:
    """The steps of the graph with those numbers in its leaves."""
    values: list[Value] = []
    for k, (op, node) in enumerate(zip(ops, steps.nodes, strict=True)):
        if node.op:
            values.append(op(*[values[x] for x in node.operands]))
        elif node.kind == "constant":
            values.append(Value(node.value).detach())
        elif op is constant:  # a neuron's plain number: nothing is passed back to it
            values.append(Value(numbers[k]).detach())
        else:
            values.append(Value(numbers[k], label=node.label))
    return _steps(values, steps)


def _steps(values: list[Value], steps: Steps) -> Steps:
    """The steps to the last of the values, all called as they are in `steps`."""
    pairs = list(zip(values, steps.nodes, strict=True))
    for v, node in pairs:
        if node.label:
            v.label = node.label
    found = take_steps(
        pairs[-1][0],
        steps.seed,
        names={v: node.name for v, node in pairs if not node.label and node.kind != "constant"},
        parameters=[v for v, node in pairs if node.kind == "parameter"],
        limit=None,
    )
    return found._replace(frames=steps.frames)  # no scope is entered here


def _other(x: float, rng: random.Random, k: int) -> float:
    """A number like `x`, of few digits, not 0; from the middle of the draws on of its sign."""
    x = x if math.isfinite(x) else 0.0
    sign = rng.choice((-1, 1)) if k < DRAWS // 2 or x == 0 else round(math.copysign(1, x))
    if x and not 0.1 <= abs(x) < 100:
        return float(f"{sign * rng.randint(10, 99)}e{math.floor(math.log10(abs(x))) - 1}")
    digits = next((d for d in range(2) if round(x, d) == x), 1 if abs(x) >= 0.2 else 2)
    return float(sign * rng.randint(1, max(9, math.ceil(2 * abs(x) * 10**digits))) / 10**digits)


def _is_handy(tried: Steps, before: Steps) -> bool:
    """Whether the numbers are such that one learns from computing with them."""
    sizes = [abs(x) for x in _all_numbers(tried)]
    zeros = [sum(x == 0 for x in _all_numbers(steps)) for steps in (tried, before)]
    return zeros[0] <= zeros[1] and all(LEAST_HANDY <= x <= MOST_HANDY for x in sizes if x)


def _all_numbers(steps: Steps) -> Iterable[float]:
    """All numbers of a sheet."""
    yield from (x.value for x in steps.nodes)
    for x in steps.contributions:
        yield from (x.local, x.amount, x.after)
