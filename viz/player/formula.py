"""Operations and their derivatives as text: with names, with numbers.

What one of the player's steps says is one operation, or one partial derivative. The text of a
derivative comes from the operation table itself: its formula is evaluated on names.
"""

from collections.abc import Sequence
from typing import Any

from miniflow import ops
from miniflow.ops import Op
from miniflow.program.python import python_expression
from miniflow.program.writer import ATOM, PRODUCT, SIGN, SUM, Text
from viz.output.names import TIMES
from viz.output.text import literal

LONGEST_FORMULA = 48  # characters of a derivative's formula: longer ones teach nothing
KEPT = "\ue000"  # stands in a name for what is no sign of the formula's
TERMS = 6  # terms of a sum that are written out


def symbolic(op: Op, names: Sequence[str]) -> str:
    """An operation on names.

    Example:
        >>> symbolic(ops.mul, ["a", "b"]), symbolic(ops.dot, ["w0", "w1", "x0", "x1"])
        ('a × b', 'w0 × x0 + w1 × x1')
    """
    return _signed(_written(op, [_operand(op, _kept(name)) for name in names]))


def numeric(op: Op, numbers: Sequence[str]) -> str:
    """An operation on numbers.

    Example:
        >>> numeric(ops.mul, ["2.0000", "-3.0000"]), numeric(ops.pow, ["-3.0000", "2"])
        ('2.0000 × (-3.0000)', '(-3.0000) ** 2')
    """
    return _signed(_written(op, [_operand(op, x) for x in numbers]))


def _operand(op: Op, text: str) -> Text:
    """A name or a number; a negative number gets parentheses behind a sign."""
    if not text.startswith("-"):
        return Text(text, ATOM)
    return Text(text, {"neg": SIGN, "pow": SIGN, "mul": PRODUCT, "div": PRODUCT}.get(op.name, SUM))


def _signed(text: str) -> str:
    """A formula with the sign of multiplication that all pictures have."""
    return text.replace(" * ", f" {TIMES} ").replace(KEPT, " * ")


def _kept(name: str) -> str:
    """A name in which `_signed` replaces nothing: it may look like a product."""
    return name.replace(" * ", KEPT)


def _written(op: Op, xs: list[Text]) -> str:
    if op.name == "pow":
        return " ** ".join(x.text if x.binds == ATOM else f"({x.text})" for x in xs)
    if op.name == "neg" and xs[0].binds != ATOM:
        return f"-({xs[0].text})"
    if op.name == "sum" and len(xs) > TERMS:
        return f"{python_expression(op, xs[: TERMS - 2]).text} + … + {xs[-1].text}"
    if op.name == "dot" and len(xs) > 2 * TERMS:
        half = len(xs) // 2
        first, last = slice(TERMS - 2), slice(half - 1, half)
        head = python_expression(op, [*xs[:half][first], *xs[half:][first]])
        tail = python_expression(op, [*xs[:half][last], *xs[half:][last]])
        return f"{head.text} + … + {tail.text}"
    if op.arity < 0 and op.name not in ("sum", "dot", "fsum") and len(xs) > TERMS:
        return f"{op.name}({', '.join(x.text for x in xs[: TERMS - 2])}, …, {xs[-1].text})"
    if op.name in ("stop_gradient", "pos"):
        return xs[0].text
    return python_expression(op, xs).text


# --- derivatives --------------------------------------------------------------


class Name:
    """A name that the table's formulas take for a Value: what they compute is text."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def _record(self, op: Op, operands: tuple[Any, ...]) -> "Name":
        return Name(python_expression(op, [_text(x) for x in operands]))

    def __add__(self, other: Any) -> "Name":
        return self._record(ops.add, (self, other))

    def __radd__(self, other: Any) -> "Name":
        return self._record(ops.add, (other, self))

    def __sub__(self, other: Any) -> "Name":
        return self._record(ops.sub, (self, other))

    def __rsub__(self, other: Any) -> "Name":
        return self._record(ops.sub, (other, self))

    def __mul__(self, other: Any) -> "Name":
        return self._record(ops.mul, (self, other))

    def __rmul__(self, other: Any) -> "Name":
        return self._record(ops.mul, (other, self))

    def __truediv__(self, other: Any) -> "Name":
        return self._record(ops.div, (self, other))

    def __rtruediv__(self, other: Any) -> "Name":
        return self._record(ops.div, (other, self))

    def __pow__(self, other: Any) -> "Name":
        return self._record(ops.pow, (self, other))

    def __rpow__(self, other: Any) -> "Name":
        return self._record(ops.pow, (other, self))

    def __neg__(self) -> "Name":
        return self._record(ops.neg, (self,))


def _text(x: Any) -> Text:
    if isinstance(x, Name):
        return x.text
    return Text(literal(x), SIGN if x < 0 else ATOM)


def rule(op: Op, k: int, operands: Sequence[str | float], y: str) -> str:
    """The formula of dy/d(operand k) on names, or "" if there is no short one.

    Args:
        op: a row of the table.
        k: the operand's place.
        operands: names, and the numbers of constants.
        y: the result's name.

    Example:
        >>> rule(ops.mul, 0, ["a", "b"], "c"), rule(ops.tanh, 0, ["s"], "y")
        ('b', '1 - y × y')
        >>> rule(ops.pow, 0, ["x", 3.0], "y"), rule(ops.div, 0, ["x", 3.0], "y")
        ('3 × x ** 2', '1 / 3')
    """
    if op not in ops.BUILTIN:
        return ""  # a user's formula may take a name for anything
    operands = [_kept(x) if isinstance(x, str) else x for x in operands]
    names = [x if isinstance(x, str) else literal(x) for x in operands]
    y = _kept(y)
    if op is ops.pow:
        return _signed(f"{y} * log({names[0]})" if k else _power_rule(names[0], operands[1]))
    xs = [Name(Text(x, SIGN if x.startswith("-") else ATOM)) for x in names]
    try:
        found = op.partial(k, xs, Name(Text(y, ATOM)))
    except TypeError:  # a formula that asks for more than a table's operation
        return ""
    text = _signed(_text(found).text)
    return text if len(text) <= LONGEST_FORMULA else ""


def _power_rule(base: str, exponent: str | float) -> str:
    """The schoolbook's derivative of a power: the table's own one cares for every zero."""
    if isinstance(exponent, str):
        return f"{exponent} * {base} ** ({exponent} - 1)"
    less = literal(exponent - 1)
    power = base if less == "1" else f"{base} ** {f'({less})' if less.startswith('-') else less}"
    return f"{literal(exponent)} * {power}"
