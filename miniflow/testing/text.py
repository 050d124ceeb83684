"""Drawn functions as Python: a lambda to be pasted, or a function with a name.

What is used once is written where it is used; what is used more often, or would make a line too
long, gets a name.
"""

import math as standard
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from miniflow import math, ops
from miniflow.operation import Op
from miniflow.program.writer import (
    ATOM,
    CHOICE,
    COMPARISON,
    INFIX,
    INLINE,
    POWER,
    SIGN,
    Text,
    comparison,
    enclosed,
    infix,
)
from miniflow.testing.steps import AnyStep, Exact, Fork, Loop, Operand, RowStep, result_nodes, taken

LETTERS = "xyzuvw"
IMPORTS = "from miniflow import math, ops"  # what the text needs
# Functions of `miniflow.math` that are not a row, but do the same with numbers.
BY_NAME = ("log", "hypot", "leaky_relu", "elu")
RAISE = {"div", "pow"}  # Python's operators raise where the rows do not, on floats


class Let(NamedTuple):
    """A name for an expression."""

    name: str
    text: str


class Again(NamedTuple):
    """Statements that are run some times."""

    times: int
    body: list[Let]


class Drawn(Protocol):
    """What the text of a function is made of."""

    @property
    def count(self) -> int: ...
    @property
    def steps(self) -> Sequence[AnyStep]: ...
    @property
    def result(self) -> Any: ...
    @property
    def witness(self) -> tuple[float, ...]: ...


def lambda_text(f: Drawn) -> str:
    """A function as a lambda.

    Python's own operators are used for division and powers where a witness is known; else, and
    where floats could make them raise, the rows.
    """
    words = Naming(f)
    head = f"lambda {', '.join(words.inputs)}"
    if not words.lines:
        return f"{head}: {words.result}"
    return f"{head}: ({', '.join(map(_walrus, words.lines))}, {words.result})[-1]"


def _walrus(line: Let | Again) -> str:
    if isinstance(line, Let):
        return f"{line.name} := {line.text}"
    first, *others = map(_walrus, line.body)
    body = f"({', '.join([first, *others])})" if others else first
    return f"[{body} for _ in range({line.times})]"


def definition(f: Drawn, name: str) -> str:
    """A function as statements."""
    words = Naming(f)
    lines = [text for line in words.lines for text in _statements(line)]
    body = [f"    {x}" for x in [*lines, f"return {words.result}"]]
    return "\n".join([f"def {name}({', '.join(words.inputs)}):", *body, ""])


def _statements(line: Let | Again) -> Iterator[str]:
    if isinstance(line, Let):
        yield f"{line.name} = {line.text}"
        return
    yield f"for _ in range({line.times}):"
    for inner in line.body:
        yield f"    {inner.name} = {inner.text}"


class Naming:
    """The statements of a function, and the text of its result.

    Attributes:
        inputs: the names of its parameters.
        lines: the statements.
        result: an expression.
    """

    def __init__(self, f: Drawn) -> None:
        self.inputs = argument_letters(f.count)
        self.infix = {*INFIX, "pow"} - (set() if f.witness else RAISE)
        self.uses = Counter(x for k, s in enumerate(f.steps, f.count) for x in _uses(s, k))
        self.uses.update(result_nodes(f.result))
        self.texts = [Text(name, ATOM) for name in self.inputs]
        self.lines: list[Let | Again] = []
        self.named = 0
        for place, step in enumerate(f.steps, f.count):
            self.texts.append(self.written(step, place))
        self.result = self.structure(f.result)

    def written(self, step: AnyStep, place: int) -> Text:
        """The text that stands for a step's result; a statement may be made for it."""
        if isinstance(step, Loop):
            return self.loop(step)
        text = self.text(step, self.texts)
        uses = self.uses[place]
        return text if uses == 1 and len(text.text) <= INLINE else self.let(text, self.lines)

    def let(self, text: Text, lines: list[Any], name: str = "") -> Text:
        """A name for an expression, by a statement."""
        lines.append(Let(name or self.fresh(), text.text))
        return Text(lines[-1].name, ATOM)

    def fresh(self) -> str:
        self.named += 1
        return f"t{self.named}"

    def loop(self, step: Loop) -> Text:
        """A loop as statements; its number goes round under one name."""
        here = self.let(self.texts[step.start], self.lines)
        known, body = [*self.texts, here], list[Let]()
        for inner in step.steps[:-1]:
            assert not isinstance(inner, Loop)
            known.append(self.let(self.text(inner, known), body))
        last = step.steps[-1]
        assert not isinstance(last, Loop)
        self.let(self.text(last, known), body, here.text)
        self.lines.append(Again(step.times, body))
        return here

    def text(self, step: RowStep | Fork, known: list[Text]) -> Text:
        """A step as an expression of what is known."""
        if isinstance(step, RowStep):
            return self.operation(
                ops.TABLE[step.name], [operand_text(x, known) for x in step.operands]
            )
        left, right = operand_text(step.left, known), operand_text(step.right, known)
        relation = step.relation
        condition = left if relation == "truth" else comparison(relation, left, right)
        then, other = self.text(step.then, known), self.text(step.other, known)
        chosen, asked = enclosed(then, COMPARISON), enclosed(condition, COMPARISON)
        return Text(f"{chosen} if {asked} else {enclosed(other, CHOICE)}", CHOICE)

    def operation(self, op: Op, xs: list[Text]) -> Text:
        """A row on expressions."""
        if op.name == "pow" and op.name in self.infix:
            return Text(f"{enclosed(xs[0], ATOM)} ** {enclosed(xs[1], SIGN)}", POWER)
        if op.name in self.infix:
            return infix(op.symbol, INFIX[op.name], *xs)
        if op.name in ("neg", "pos"):
            return Text(f"{op.symbol if op.name == 'neg' else '+'}{enclosed(xs[0], SIGN)}", SIGN)
        return Text(f"{called(op)}({', '.join(x.text for x in xs)})", ATOM)

    def structure(self, tree: Any) -> str:
        """A result as an expression."""
        if isinstance(tree, int):
            return self.texts[tree].text
        if isinstance(tree, dict):
            items = [f"{name!r}: {self.structure(part)}" for name, part in tree.items()]
            return f"{{{', '.join(items)}}}"
        if not isinstance(tree, (list, tuple)):
            return repr(tree)
        parts = ", ".join(self.structure(part) for part in tree)
        if hasattr(tree, "_fields"):
            return f"{type(tree).__name__}({parts})"
        return f"[{parts}]" if isinstance(tree, list) else f"({parts}{',' * (len(tree) == 1)})"


def argument_letters(count: int) -> list[str]:
    """What so many parameters are called."""
    return [LETTERS[k] if k < len(LETTERS) else f"x{k}" for k in range(count)]


def _uses(step: AnyStep, place: int) -> Iterator[int]:
    """The nodes that a step takes; twice, what a loop takes in each of its turns."""
    yield from taken(step, place)
    if isinstance(step, Loop):
        yield from taken(step, place)


def called(op: Op) -> str:
    """What a row is called where `math` and `ops` are imported.

    Example:
        >>> called(ops.sin), called(ops.absolute), called(ops.maximum)
        ('math.sin', 'abs', 'ops.maximum')
    """
    if op.name == "abs":
        return "abs"
    if getattr(math, op.name, None) is op or op.name in BY_NAME:
        return f"math.{op.name}"
    return f"ops.{op.name}" if getattr(ops, op.name, None) is op else f'ops.TABLE["{op.name}"]'


def operand_text(x: Operand, known: list[Text]) -> Text:
    """An operand as an expression."""
    if x.__class__ is int:
        return known[x]
    text = repr(x.number) if isinstance(x, Exact) else number_literal(float(x))
    return Text(text, SIGN if text.startswith("-") else ATOM)


def number_literal(x: float) -> str:
    """A number as Python has it; infinities and NaN are those of `math`."""
    sign = "-" if standard.copysign(1.0, x) < 0 else ""
    return repr(x) if standard.isfinite(x) else f"{sign}math.{'nan' if x != x else 'inf'}"
