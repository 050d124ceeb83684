"""The interpreter of programs: instructions in columns, run on the engine's own rules.

Nothing has to be compiled first. Python and Cython read the same file, as those of the engine.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from miniflow.ops import Op

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if cython.compiled:
    connect()  # type: ignore[name-defined]  # noqa: F821 - in replay.pxd: the engine's rules
else:
    from miniflow.tape.columns import DIRECT, ints, known, value1, value2

    def discard(replay: Any) -> None:
        """Give the columns' memory back."""

    def spread(numbers: list[float], size: int) -> list[float]:
        """So many slots, the first ones filled."""
        return numbers + [0.0] * (size - len(numbers))

    def drop(slots: list[float]) -> None:
        """Give the slots' memory back."""

    def wide_value(replay: Any, n: int, slots: list[float]) -> float:
        """The result of instruction n, an operation of any kind."""
        start, count = replay.left[n], replay.right[n]
        return replay.ops[n].number(*[slots[x] for x in replay.pool[start : start + count]])  # type: ignore[no-any-return]


class Replay:
    """A program as columns, replayed forward on plain numbers.

    Slots are counted as a program counts them: inputs, constants, results.

    Args:
        constants: the plain numbers that follow the inputs.
        first: the slot of the first result.
        instructions: operations with the slots of their operands, in order.
        outputs: slots.
        guards: comparisons: 0 for <, 1 for <=, 2 for ==; both slots; whether it holds on this
            path; how many instructions come before.
    """

    __slots__ = (
        "checked", "checks", "code", "constants", "count", "first", "left", "ops", "outputs",
        "pool", "results", "right",
    )  # fmt: skip

    def __init__(
        self, constants: Iterable[float], first: int,
        instructions: Iterable[tuple[Op, tuple[int, ...]]], outputs: Iterable[int],
        guards: Iterable[tuple[int, int, int, bool, int]],
    ) -> None:  # fmt: skip
        self.constants = list(constants)
        self.first = first
        self.ops: list[Op] = []
        codes: list[int] = []
        lefts: list[int] = []
        rights: list[int] = []
        pool: list[int] = []
        for op, operands in instructions:
            code = known(op.code)
            self.ops.append(op)
            codes.append(code)
            lefts.append(operands[0] if DIRECT[code] else len(pool))
            rights.append(operands[-1] if DIRECT[code] else len(operands))
            if not DIRECT[code]:
                pool.extend(operands)
        checks, found = [int(x) for guard in guards for x in guard], list(outputs)
        self.count, self.checked, self.results = len(codes), len(checks) // 5, len(found)
        self.code, self.left, self.right = ints(codes), ints(lefts), ints(rights)
        self.pool, self.checks, self.outputs = ints(pool), ints(checks), ints(found)

    def __dealloc__(self) -> None:
        discard(self)

    def __call__(self, xs: list[float]) -> list[float] | int:
        """The outputs at inputs `xs`; or the number of the first guard that fails."""
        slots = spread([*xs, *self.constants], self.first + self.count)
        try:
            failed = self._run(slots)
            return failed if failed >= 0 else [slots[self.outputs[k]] for k in range(self.results)]
        finally:
            drop(slots)

    def _run(self, slots: list[float]) -> int:
        """Fill the slots of results; the number of the first guard that fails, or -1."""
        k = 0
        for n in range(self.count):
            while k < self.checked and self.checks[5 * k + 4] <= n:
                if not self._holds(k, slots):
                    return k
                k += 1
            code, a, b = self.code[n], self.left[n], self.right[n]
            direct = DIRECT[code]
            if direct == 2:
                y = value2[code](slots[a], slots[b])
            elif direct == 1:
                y = value1[code](slots[a])
            else:
                y = wide_value(self, n, slots)
            slots[self.first + n] = y
        while k < self.checked and self._holds(k, slots):
            k += 1
        return k if k < self.checked else -1

    def _holds(self, k: int, slots: list[float]) -> bool:
        """Whether guard k comes out as it did."""
        relation, at = self.checks[5 * k], 5 * k
        a, b = slots[self.checks[at + 1]], slots[self.checks[at + 2]]
        answer = a < b if relation == 0 else a <= b if relation == 1 else a == b
        return answer == self.checks[at + 3]
