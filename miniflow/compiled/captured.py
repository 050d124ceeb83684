"""The numbers of captured Values: those of now, or those of an entry on the tape."""

from collections.abc import Sequence
from typing import Any

from miniflow.program.ir import Code
from miniflow.tape.core import Value, here


class CapturedNumbers:
    """What some Values were when an entry was recorded, or are where it is replayed.

    Attributes:
        values: the Values.
        numbers: theirs, in the same order.
    """

    def __init__(self, values: tuple[Value, ...], numbers: Sequence[float]) -> None:
        self.values = values
        self.numbers = numbers

    def places(self, program: Code) -> Sequence[int]:
        """Where the Values that a program captures are among these.

        Raises:
            RuntimeError: one is not: its gradient would be lost.
        """
        if program.captured is self.values:
            return range(len(self.values))
        order = {id(v): k for k, v in enumerate(self.values)}
        if not all(id(v) in order for v in program.captured):
            raise RuntimeError(
                f"{program.name}: it takes another path now, with Values that it did not depend "
                "on when it was called; call it again"
            )
        return [order[id(v)] for v in program.captured]

    def of(self, program: Code) -> Sequence[float]:
        """The numbers of a program's captured Values: those that are not known as they are now."""
        if program.captured is self.values:
            return self.numbers
        known = dict(zip(map(id, self.values), self.numbers, strict=True))
        return [known[id(v)] if id(v) in known else _now(v) for v in program.captured]


def captured_numbers(program: Code, live: CapturedNumbers | None) -> Sequence[float]:
    """The numbers of a program's captured Values: those of now, unless others are `live`."""
    if live is not None:
        return live.of(program)
    found: Any = program.bundle.numbers()
    return [_now(v) for v in program.captured] if found is None else found


def _now(v: Value) -> float:
    return here.table.number(v, "jit")  # type: ignore[no-any-return]
