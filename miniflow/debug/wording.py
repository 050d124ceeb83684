"""How numbers, operations, names and places are written in answers."""

from collections.abc import Sequence
from typing import Any

from miniflow.debug.noted import SourceLine, lines_of, users_frames
from miniflow.nn import parameter_names
from miniflow.ops import Op
from miniflow.tape.core import Table, Value

MOST_PARTS = 1000  # lists and dicts in which Values are looked for
MOST_ARGUMENTS = 4  # of an operation that are written out
SOURCE_WIDTH = 88  # characters of a line of source
BETWEEN = {"add", "sub", "mul", "div", "pow", "mod", "floordiv", "less", "equal"}


def digits(x: float) -> str:
    """A number, short: six digits, or all where six would make another number of it.

    Example:
        >>> digits(2.0), digits(1 / 3), digits(1.0000000000000002), digits(-float("inf"))
        ('2.0', '0.333333', '1.0000000000000002', '-inf')
    """
    text = f"{x:.6g}"
    rounded = float(text)
    if rounded != x and rounded.is_integer() and abs(x) < 1e6:
        return repr(x)
    return text if not text.lstrip("-").isdigit() else f"{text}.0"


def expression(op: Op, operands: Sequence[str]) -> str:
    """An operation on operands, as people write it.

    Example:
        >>> from miniflow import ops
        >>> expression(ops.mul, ["x", "-2.0"]), expression(ops.exp, ["x"])
        ('x * -2.0', 'exp(x)')
    """
    if op.name in BETWEEN:
        return f" {op.symbol} ".join(
            [f"({x})" if _is_loose(op, x, k) else x for k, x in enumerate(operands)]
        )
    if op.name == "neg":
        return f"-{operands[0]}" if operands[0].isidentifier() else f"-({operands[0]})"
    shown = list(operands)
    if len(shown) > MOST_ARGUMENTS:
        shown = [*shown[:2], "...", shown[-1]]
    return f"{op.name}({', '.join(shown)})"


def _is_loose(op: Op, operand: str, k: int) -> bool:
    """Whether an operand of an operator needs brackets."""
    return " " in operand.partition("(")[0] or (op.name == "pow" and k == 0 and operand[0] == "-")


class Words:
    """What entries of a table are called, and where they come from.

    Args:
        table: the tape; it is held as long as this is in use.
        frame: the stack frame whose variables, and whose callers', are looked for names.
    """

    def __init__(self, table: Table, frame: Any = None) -> None:
        self.table = table
        self.variables = variable_names(table, frame) if frame is not None else {}

    def name(self, n: int) -> str:
        """The label, the name in a module, or of a variable; "" if there is none."""
        return self.table.properties(n)[3] or self.variables.get(n, "")

    def number(self, n: int) -> str:
        """The number of an entry."""
        return digits(self.table.value_of(n))

    def calculation(self, n: int) -> str:
        """An operation on its numbers: "log(0.0)"."""
        return expression(self.table.op(n), [self.number(x) for x in self.table.operands(n)])

    def formula(self, n: int) -> str:
        """An operation on what its operands are called: "log(p)"."""
        table = self.table
        return expression(table.op(n), [self.called(x) for x in table.operands(n)])

    def called(self, n: int) -> str:
        """What to call an entry in a sentence: its name, or its operation in short."""
        table = self.table
        if (name := self.name(n)) or not (operands := table.operands(n)):
            return name or self.number(n)
        return expression(table.op(n), [self.name(x) or self.number(x) for x in operands])

    def line(self, n: int) -> SourceLine | None:
        """The line of source of an entry."""
        return lines_of(self.table, [n])[0]


def variable_names(table: Table, frame: Any) -> dict[int, str]:
    """What the user's variables call entries, the innermost function first."""
    found: dict[int, str] = {}

    def note(v: Any, name: str) -> None:
        if v.__class__ is Value and v._tape is table:
            found.setdefault(v._entry, name)

    for each in users_frames(frame):
        for name, x in each.f_locals.items():
            if name.startswith("_"):
                continue
            note(x, name)
            if isinstance(x, (list, tuple)) and len(x) <= MOST_PARTS:
                for k, part in enumerate(x):
                    note(part, f"{name}[{k}]")
            elif isinstance(x, dict) and len(x) <= MOST_PARTS:
                for key, part in x.items():
                    note(part, f"{name}[{key!r}]")
    for v, path in parameter_names().items():
        note(v, path)
    return found
