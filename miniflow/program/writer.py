"""Code as text: what the printers for Python and C have in common.

Each number is an expression. One that is short and used once is written where it is used; any
other gets a name and a line of its own, below a comment that quotes the user's line.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from miniflow.ops import Op
from miniflow.program.ir import Code, Guard, Place

WIDTH = 96  # characters in a line
MANY = 50  # terms of a sum in one expression
INLINE = 60  # characters of an expression that is written where it is used


class Text(NamedTuple):
    """An expression and how tightly its outermost operator binds."""

    text: str
    binds: int


CHOICE, COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(7)

# Operators of two operands that Python and C have in common, and how tightly they bind.
INFIX = {"add": SUM, "sub": SUM, "mul": PRODUCT, "div": PRODUCT}
IDENTITIES = ("pos", "stop_gradient")  # the operand itself
SUMS = ("sum", "dot")  # of any number of terms


def enclosed(x: Text, binds: int) -> str:
    """An expression as an operand of something that binds so tightly: in parentheses or not."""
    return x.text if x.binds >= binds else f"({x.text})"


def infix(sign: str, binds: int, a: Text, b: Text) -> Text:
    """Two expressions with an operator between them."""
    # floats do not associate: a + (b + c) keeps its parentheses
    return Text(f"{enclosed(a, binds)} {sign} {enclosed(b, binds + 1)}", binds)


def comparison(sign: str, a: Text, b: Text) -> Text:
    """Two expressions compared."""
    return infix(sign, COMPARISON, a, b)


def chained(terms: Iterable[Text]) -> Text:
    """The sum of expressions, from left to right."""
    first, *rest = terms
    for term in rest:
        first = infix("+", SUM, first, term)
    return first


def addends(op: Op, xs: list[Text]) -> list[Text]:
    """The terms of a `sum`, or of a `dot`: products."""
    if op.name == "sum":
        return xs
    half = len(xs) // 2
    return [infix("*", PRODUCT, *x) for x in zip(xs[:half], xs[half:], strict=True)]


def common_expression(op: Op, xs: list[Text]) -> Text | None:
    """An operation on expressions as Python and C both write it; None where they differ."""
    if op.name in INFIX:
        return infix(op.symbol, INFIX[op.name], *xs)
    if op.name in SUMS:
        return chained(addends(op, xs))
    return xs[0] if op.name in IDENTITIES else None


class Writer:
    """The statements of some code.

    Attributes:
        texts: the expression of each slot.
        lines: the statements.
        names: what slots are called that have a name.
        uses: how often each slot is needed.
    """

    inline = INLINE

    def __init__(self, code: Code, taken: Iterable[str], names: Iterable[str] = ()) -> None:
        self.code = code
        self.texts: list[Text] = []
        self.lines: list[str] = []
        self.uses = Counter([x for step in code.order for x in step.operands])
        self.uses.update(code.outputs)
        self.squared = {
            step.operands[0]
            for step in code.instructions
            if step.op.name == "pow" and code.constant(step.operands[1]) == 2.0
        }
        self.names = dict(enumerate(names))
        self.taken = {*taken, *self.names.values()}
        self.counts: Counter[str] = Counter()
        self.place: Place | None = None
        for slot, name in code.names.items():
            if slot not in self.names:
                self.names[slot] = self.free(self.identifier(name))

    # --- what each language writes its own way ----------------------------------

    def identifier(self, name: str) -> str:
        """The nearest name that the language allows."""
        return name

    def number(self, x: float) -> Text:
        """A constant."""
        raise NotImplementedError

    def expression(self, op: Op, xs: list[Text]) -> Text:
        """An operation on expressions."""
        raise NotImplementedError

    def statement(self, name: str, text: str) -> list[str]:
        """The lines that give an expression a name."""
        raise NotImplementedError

    def remark(self, text: str) -> str:
        """A comment."""
        raise NotImplementedError

    def departure(self, k: int, guard: Guard) -> list[str]:
        """The lines that leave the function where guard k fails."""
        raise NotImplementedError

    # --- names ------------------------------------------------------------------

    def free(self, name: str) -> str:
        """The name, or one like it that is not taken."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def fresh(self, base: str) -> str:
        """A name that is not taken."""
        while (name := f"{base}{self.counts[base]}") in self.taken:
            self.counts[base] += 1
        self.taken.add(name)
        return name

    def inputs(self) -> list[str]:
        """What inputs and captured Values are called; constants are written out."""
        code = self.code
        found = []
        for slot in range(code.inputs + len(code.captured)):
            if slot not in self.names:
                self.names[slot] = self.fresh("x" if slot < code.inputs else "w")
            found.append(self.names[slot])
        self.texts = [*[Text(name, ATOM) for name in found], *map(self.number, code.constants)]
        return found

    # --- statements -------------------------------------------------------------

    def body(self) -> None:
        """The instructions and guards."""
        for n, step in self.code.steps():
            if isinstance(step, Guard):
                self.lines += self.departure(n, step)
            else:
                self.texts.append(self.result(n, step.op, step.operands))

    def result(self, slot: int, op: Op, operands: tuple[int, ...]) -> Text:
        """The expression of an instruction's result: its name, if it gets a line of its own."""
        place = self.code.places[slot - self.code.first]
        text = self.whole(op, [self.texts[x] for x in operands], place)
        if self.belongs(slot, op, text):
            return text
        self.comment(place)
        if slot not in self.names:
            self.names[slot] = self.fresh("t")
        return self.named(self.names[slot], text)

    def belongs(self, slot: int, op: Op, text: Text) -> bool:
        """Whether an expression is written where it is used."""
        if op.name in IDENTITIES and text.binds == ATOM:
            return True
        once = self.uses[slot] == 1 and slot not in self.squared
        return once and slot not in self.names and self.is_short(slot, text)

    def is_short(self, slot: int, text: Text) -> bool:
        """Whether there is room for an expression where it is used."""
        return len(text.text) <= self.inline

    def named(self, name: str, text: Text) -> Text:
        """A name for an expression."""
        self.lines += self.statement(name, text.text)
        return Text(name, ATOM)

    def whole(self, op: Op, xs: list[Text], place: Place | None) -> Text:
        """An operation on expressions; a long sum has lines of its own, all but its end."""
        if op.name not in SUMS or len(xs) <= MANY:
            return self.expression(op, xs)
        self.comment(place)
        terms = addends(op, xs)
        while len(terms) > MANY:
            start = self.named(self.fresh("t"), chained(terms[:MANY]))
            terms = [start, *terms[MANY:]]
        return chained(terms)

    def comment(self, place: Place | None) -> None:
        """A line that says where the following ones come from, where that changes."""
        before = self.place
        if place is None or (before is not None and place[:3] == before[:3]):
            return
        self.place = place
        if place.sweep > (before.sweep if before is not None else 0):
            sweep = "the reverse sweep" + " of the reverse sweep" * (place.sweep - 1)
            self.lines += ["", self.remark(sweep)]
        import linecache

        line = linecache.getline(place.file, place.line).strip()
        if line:  # typed into an interpreter it is nowhere to be found
            name = re.split(r"[\\/]", place.file)[-1]
            self.lines.append(self.remark(f"{name}:{place.line}: {line}"[: WIDTH - 2]))
