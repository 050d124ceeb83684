"""Drawn functions from seeds: descriptions of steps that say nothing of what stands before them.

A list of seeds is a function whichever of them are taken out, and that is how it becomes the
smallest one that fails. A seed names nodes by how far back they are.

Terms:
    seed     a row with a choice for each operand; or two and a comparison; or a loop of them
    choice   how far back a node is (an int), or a number (a float)
    wild     of functions: operands may be anything, infinities and NaN too
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from miniflow.operation import REAL, Interval
from miniflow.ops import TABLE
from miniflow.testing.drawn import DrawnFunction, moderate
from miniflow.testing.kinks import intervals
from miniflow.testing.steps import AnyStep, Exact, Fork, Loop, Operand, RowStep, carried_out, taken

CLEARANCE = 0.1  # how far operands are from kinks at the witness: farther than at other points


class RowSeed(NamedTuple):
    """A row, and a choice for each operand."""

    name: str
    choices: tuple[Any, ...]


class ForkSeed(NamedTuple):
    """Two rows, and a comparison that says which."""

    relation: str
    left: Any
    right: Any
    then: RowSeed
    other: RowSeed


class LoopSeed(NamedTuple):
    """Rows that are taken several times."""

    times: int
    start: int
    rows: tuple[RowSeed, ...]


AnySeed = RowSeed | ForkSeed | LoopSeed


def back(choice: Any, nodes: Sequence[int]) -> Operand | None:
    """What is chosen: a number, or the node so far back among some; None if there is none."""
    if choice.__class__ is not int:
        return choice  # type: ignore[no-any-return]
    return nodes[-1 - choice % len(nodes)] if nodes else None


# --- anything goes --------------------------------------------------------------------


def wild_step(seed: AnySeed, count: int) -> AnyStep:
    """The step of a seed that stands behind so many nodes, whatever comes out."""
    nodes = range(count)
    if isinstance(seed, LoopSeed):
        rows = [wild_step(row, count + 1 + k) for k, row in enumerate(seed.rows)]
        return Loop(seed.times, back(seed.start, nodes), tuple(rows))  # type: ignore[arg-type]
    if isinstance(seed, ForkSeed):
        left, right = back(seed.left, nodes), back(seed.right, nodes)
        if isinstance(left, float) and isinstance(right, Exact):
            left = count - 1  # a float beside a fraction is no comparison of a node
        arms = wild_step(seed.then, count), wild_step(seed.other, count)
        return Fork(seed.relation, left, right, *arms)  # type: ignore[arg-type]
    return RowStep(seed.name, tuple(back(x, nodes) for x in seed.choices))  # type: ignore[misc]


def wild_function(count: int, seeds: Sequence[AnySeed]) -> DrawnFunction:
    """The function of `count` numbers that some seeds make; its result is its last node."""
    steps = [wild_step(seed, count + k) for k, seed in enumerate(seeds)]
    return DrawnFunction(count, steps, count + len(steps) - 1)


# --- what can be computed at a witness -------------------------------------------------


class TameBuilder:
    """Steps that can be computed at a witness; seeds that do not fit there are left out.

    Args:
        witness: the inputs.
        shared: whether a node may be taken more than once; an input always may.
    """

    def __init__(self, witness: Sequence[float], shared: bool) -> None:
        self.count, self.witness, self.shared = len(witness), tuple(witness), shared
        self.nodes = list(witness)
        self.steps: list[AnyStep] = []
        self.used: set[int] = set()

    def add(self, seed: AnySeed) -> None:
        """Append the step of a seed, if it fits."""
        step = self.step(seed)
        if step is None or not self.fits(step):
            return
        if not self.shared:
            self.used.update(taken(step, len(self.nodes)))
        self.nodes.append(carried_out(step, self.nodes))
        self.steps.append(step)

    def function(self) -> DrawnFunction:
        """What has been built; a tree without the steps that its result does not need."""
        f = DrawnFunction(self.count, self.steps, len(self.nodes) - 1, self.witness)
        return f if self.shared else pruned(f)

    def fits(self, step: AnyStep) -> bool:
        """Whether all that a step computes is moderate, and away from kinks."""
        good = True

        def seen(name: str, operands: Any, answer: Any) -> None:
            nonlocal good
            good = good and moderate(name, operands, answer, CLEARANCE)

        y = carried_out(step, self.nodes, seen)
        return good and y == y

    def step(self, seed: AnySeed) -> AnyStep | None:
        """The step of a seed; None where no node fits."""
        if isinstance(seed, LoopSeed):
            return self.loop(seed)
        return self.fork(seed) if isinstance(seed, ForkSeed) else self.row(seed, self.nodes)

    def row(self, seed: RowSeed, values: Sequence[float]) -> RowStep | None:
        """A row on nodes that are in its domain."""
        operands: list[Operand] = []
        for choice, (low, high) in zip(seed.choices, self.domain(seed), strict=True):
            fitting = [k for k, x in enumerate(values) if low < x < high and self.free(k, operands)]
            x = back(choice, fitting)
            if x is None:
                return None
            operands.append(x)
        return RowStep(seed.name, tuple(operands))

    @staticmethod
    def domain(seed: RowSeed) -> list[Interval]:
        """Where nodes are that a seed's row takes."""
        if seed.name == "pow" and isinstance(seed.choices[1], float):
            return [REAL, REAL]  # whole powers are polynomials
        return intervals(TABLE[seed.name], len(seed.choices))

    def free(self, node: int, beside: Sequence[Operand]) -> bool:
        """Whether a node may be taken, beside others."""
        return node < self.count or self.shared or (node not in self.used and node not in beside)

    def fork(self, seed: ForkSeed) -> Fork | None:
        """A branch; both arms can be computed, as other points may take the other one."""
        every = range(len(self.nodes))
        left, right = back(seed.left, every), back(seed.right, every)
        then, other = self.row(seed.then, self.nodes), self.row(seed.other, self.nodes)
        if then is None or other is None or not (self.fits(then) and self.fits(other)):
            return None
        return Fork(seed.relation, left, right, then, other)  # type: ignore[arg-type]

    def loop(self, seed: LoopSeed) -> Loop | None:
        """A loop; its first turn says which nodes its rows take."""
        start = back(seed.start, range(len(self.nodes)))
        assert isinstance(start, int)
        values, steps = [*self.nodes, self.nodes[start]], list[RowStep]()
        for row in seed.rows:
            step = self.row(row, values)
            if step is None:
                return None
            steps.append(step)
            values.append(carried_out(step, values))
        return Loop(seed.times, start, tuple(steps))


def pruned(f: DrawnFunction) -> DrawnFunction:
    """A function of rows alone, without the steps and the inputs that its result does not need."""
    needed = {f.result}
    for place, step in reversed([*enumerate(f.steps, f.count)]):
        if place in needed:
            needed.update(taken(step, place))
    kept = sorted(needed)
    new = {old: k for k, old in enumerate(kept)}
    inputs = [k for k in kept if k < f.count]
    steps = [renumbered(f.steps[k - f.count], new) for k in kept[len(inputs) :]]
    witness = tuple(f.witness[k] for k in inputs)
    return DrawnFunction(len(inputs), steps, new[f.result], witness)


def renumbered(step: AnyStep, new: dict[int, int]) -> RowStep:
    """A row on the same nodes, which have other numbers now."""
    assert isinstance(step, RowStep)
    return RowStep(step.name, tuple(new[x] if x.__class__ is int else x for x in step.operands))
