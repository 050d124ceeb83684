"""One call of a function as the entries that it recorded, to be computed again at other numbers.

Terms:
    call graph   the entries of one call that its outputs come from, numbered from 0
    active       of an entry: it comes from an input, so it has a derivative
    stray        of a plain number: it changes with the inputs, but stands on the tape as a constant
"""

from collections.abc import Callable, Sequence
from typing import Any

from miniflow.ops import leaf, shared, stop_gradient
from miniflow.tape.core import Table, Value
from miniflow.tape.reading import located
from miniflow.testing.twins import twin

# Operands that a row has no derivative by, though its value depends on them: they are held.
HELD = {("stop_gradient", 0), ("hurwitz_zeta", 0), ("power_log", 2)}


class CallGraph:
    """The entries of one call, oldest first.

    Attributes:
        ops, operands, values: of each entry.
        inputs, outputs: the places of entries here; None for an input that nothing comes from.
        active: which entries come from an input.
        entries: their numbers on the tape, for as long as that is held.
    """

    def __init__(self, table: Table, inputs: Sequence[Value], outputs: Sequence[Value]) -> None:
        targets = [located(y)[1] for y in outputs]
        self.entries = table.reached(targets)[::-1]
        place = {n: k for k, n in enumerate(self.entries)}
        self.ops = [table.op(n) for n in self.entries]
        self.operands = [tuple([place[x] for x in table.operands(n)]) for n in self.entries]
        self.values = [table.value_of(n) for n in self.entries]
        found = [[place[n] for n in table.entries_of(v) if n in place] for v in inputs]
        self.places, self.outputs = found, [place[n] for n in targets]
        self.active = self._active({k for each in found for k in each})

    def _active(self, sources: set[int]) -> list[bool]:
        active: list[bool] = []
        for k, operands in enumerate(self.operands):
            active.append(k in sources or any(active[x] for x in operands))
        return active

    def steps(self) -> list[int]:
        """The active entries that are operations."""
        return [k for k, operands in enumerate(self.operands) if operands and self.active[k]]

    def finite(self) -> bool:
        """Whether all that has a derivative is a finite number."""
        return all(abs(self.values[k]) < float("inf") for k in self.steps())

    def strays(self, other: "CallGraph") -> list[int]:
        """Constants with another number in the graph of a call nearby."""
        if [op.name for op in self.ops] != [op.name for op in other.ops]:
            return []
        pairs = enumerate(zip(self.values, other.values, strict=True))
        return [k for k, (a, b) in pairs if a != b and a == a and not self.active[k]]

    @property
    def stops(self) -> bool:
        """Whether `stop_gradient` keeps something from having a derivative."""
        return any(self.ops[k] is stop_gradient for k in self.steps())

    def again(self, numbers: Sequence[float], *, still: bool = False) -> list[float]:
        """The outputs at other inputs, in doubles, as the engine would compute them.

        If `still`, what went through `stop_gradient` stays as it is.
        """
        values = self._filled(self.values, numbers)
        for k in self.steps():
            if not (still and self.ops[k] is stop_gradient):
                values[k] = self.ops[k].number(*[values[x] for x in self.operands[k]])
        return [values[k] for k in self.outputs]

    def precise(
        self, mp: Any, nudge: Callable[[], float] | None = None
    ) -> Callable[[Sequence[Any]], list[Any]] | None:
        """The same in mpmath's numbers; None where a row is a user's or a compiled function's.

        Args:
            mp: the context.
            nudge: by how much each result is moved, relative to itself: as by rounding.
        """
        steps = [(k, twin(self.ops[k]), self.operands[k]) for k in self.steps()]
        if any(f is None for _, f, _ in steps):
            return None
        moves = [1 + nudge() for _ in steps] if nudge else [1] * len(steps)

        centre = list(map(mp.mpf, self.values))

        def run(numbers: Sequence[Any]) -> list[Any]:
            values = self._filled(centre, numbers)
            for (k, f, operands), move in zip(steps, moves, strict=True):
                name = self.ops[k].name
                values[k] = move * f(  # type: ignore[misc]
                    *[centre[x] if (name, j) in HELD else values[x] for j, x in enumerate(operands)]
                )
            return [values[k] for k in self.outputs]

        return run

    def _filled(self, values: list[Any], numbers: Sequence[Any]) -> list[Any]:
        values = list(values)
        for places, x in zip(self.places, numbers, strict=True):
            for k in places:
                values[k] = x
        return values


def outside(
    table: Table, outputs: Sequence[Value], inputs: Sequence[Value], floor: int
) -> list[Value]:
    """The leaves from before entry `floor` that outputs come from, but the inputs."""
    known = {id(v) for v in inputs}
    found = []
    for n in reversed(table.reached([located(y)[1] for y in outputs])):
        old = table.op(n) is shared or (table.op(n) is leaf and n < floor)
        v = table.handle(n) if old else None
        if v is not None and id(v) not in known:
            found.append(v)
            known.add(id(v))
    return found
