"""Programs as text: Python that a person would have written, and a plain listing.

The Python is straight-line and needs nothing but the standard library. A row that has no
function or operator there is defined above the function that needs it. Where Python raises
and IEEE arithmetic does not (``1/0``, ``log(0)``) the text raises, too.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from miniflow.operation import OPERANDS
from miniflow.ops import BUILTIN, TABLE, Op
from miniflow.program.expand import decomposition
from miniflow.program.ir import Code, Guard, Place
from miniflow.util.trees import children

WIDTH = 96  # characters in a line
FLAT = "flat"  # what a function from a list to a list is called
MANY = 50  # terms of a sum in one expression
INLINE = 60  # characters of an expression that is written where it is used


class Text(NamedTuple):
    """An expression and how tightly its outermost operator binds."""

    text: str
    binds: int


CHOICE, COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(7)

# how tightly an operator binds that stands between two operands
BINDS = {
    "add": SUM,
    "sub": SUM,
    "mul": PRODUCT,
    "div": PRODUCT,
    "floordiv": PRODUCT,
    "mod": PRODUCT,
}
INFIX = {name: (TABLE[name].symbol, binds) for name, binds in BINDS.items()}
MATH = {op.python for op in BUILTIN if op.python}
# Rows written without a name of their own, besides those of INFIX.
PLAIN = {
    "neg", "pos", "stop_gradient", "abs", "less", "equal", "where", "sum", "dot", "fsum",
}  # fmt: skip
# What the text may call.
RESERVED = {
    *MATH, *PLAIN, *[op.name for op in BUILTIN if op.text], "fma", "math", "inf", "nan",
    "isfinite", "float", "int", "round", "complex", "Fraction", "xs",
}  # fmt: skip
FMA = """def fma(a, b, c):
    if not (isfinite(a) and isfinite(b)):
        return a * b + c
    if not isfinite(c):
        return c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    return float(exact) if exact else a * b + c
"""


def number(x: float) -> Text:
    """A constant."""
    text = repr(x)  # "inf" and "nan" are names that the code imports
    return Text(text, SIGN if text.startswith("-") else ATOM)


# --- expressions --------------------------------------------------------------


def operand(x: Text, binds: int) -> str:
    """An expression as an operand of something that binds so tightly."""
    return x.text if x.binds >= binds else f"({x.text})"


def infix(sign: str, binds: int, a: Text, b: Text) -> Text:
    """Two expressions with an operator between them."""
    # floats do not associate: a + (b + c) keeps its parentheses
    return Text(f"{operand(a, binds)} {sign} {operand(b, binds + 1)}", binds)


def chained(terms: Iterable[Text]) -> Text:
    """The sum of expressions, from left to right."""
    first, *rest = terms
    for term in rest:
        first = infix("+", SUM, first, term)
    return first


def expression(op: Op, xs: list[Text]) -> Text:
    """An operation on expressions."""
    if op.name in INFIX:
        return infix(*INFIX[op.name], *xs)
    if op.name == "neg":
        return Text(f"-{operand(xs[0], SIGN)}", SIGN)
    if op.name in ("pos", "stop_gradient"):
        return xs[0]
    if op.name in ("less", "equal"):
        sign = "<" if op.name == "less" else "=="
        return Text(f"float({infix(sign, COMPARISON, *xs).text})", ATOM)
    if op.name == "where":
        c, a, b = xs
        if c.binds == ATOM and c.text.startswith("float(") and re.search(" (<|==) ", c.text):
            c = Text(c.text[6:-1], COMPARISON)
        return Text(
            f"{operand(a, COMPARISON)} if {operand(c, COMPARISON)} else {operand(b, CHOICE)}",
            CHOICE,
        )
    if op.name == "sum":
        return chained(xs)
    if op.name == "dot":
        half = len(xs) // 2
        return chained([infix("*", PRODUCT, *pair) for pair in zip(xs, xs[half:], strict=False)])
    if op.name == "pow":
        return _power(*xs)
    arguments = ", ".join([x.text for x in xs])
    return Text(f"fsum([{arguments}])" if op.name == "fsum" else f"{op.name}({arguments})", ATOM)


def _power(a: Text, b: Text) -> Text:
    if b.text == "2.0" and a.text.isidentifier():  # the table's square, to the last bit
        return infix("*", PRODUCT, a, a)
    if b.binds == ATOM and b.text.endswith(".0") and b.text != "2.0":
        return Text(f"{operand(a, ATOM)} ** {b.text[:-2]}", POWER)
    return Text(f"pow({a.text}, {b.text})", ATOM)


# --- statements ---------------------------------------------------------------


class Writer:
    """The body of one program's function."""

    def __init__(self, program: Code, functions: Iterable[str]) -> None:
        self.program = program
        self.texts: list[Text] = []
        self.lines: list[str] = []
        self.uses = Counter(x for step in program.order for x in step.operands)
        self.uses.update(program.outputs)
        self.squared = {
            step.operands[0]
            for step in program.instructions
            if step.op.name == "pow" and program.constant(step.operands[1]) == 2.0
        }
        self.taken = {*functions, *RESERVED}
        self.counts: Counter[str] = Counter()
        self.names = {slot: self.free(name) for slot, name in program.names.items()}
        self.place: Place | None = None

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
        program = self.program
        start = program.first - len(program.constants)
        for slot in range(start):
            base = "x" if slot < program.inputs else "w"
            if slot not in self.names:
                self.names[slot] = self.fresh(base)
            self.texts.append(Text(self.names[slot], ATOM))
        self.texts += map(number, program.constants)
        return [self.names[slot] for slot in range(start)]

    def body(self) -> None:
        """The instructions and guards."""
        for n, step in self.program.steps():
            if isinstance(step, Guard):
                self.guard(n, step)
            else:
                self.step(n - self.program.first, *step)

    def step(self, position: int, op: Op, operands: tuple[int, ...]) -> None:
        """One instruction: kept for the place where it is used, or a line of its own."""
        slot = self.program.first + position
        xs = [self.texts[x] for x in operands]
        if op.name in ("sum", "dot") and len(xs) > MANY:
            xs, op = self.gathered(op, xs)
        text = expression(op, xs)
        name = self.names.get(slot)
        once = self.uses[slot] == 1 and slot not in self.squared
        alias = op.name in ("pos", "stop_gradient") and text.binds == ATOM
        if alias or (name is None and once and len(text.text) <= INLINE):
            self.texts.append(text)
            return
        self.comment(self.program.places[position])
        if name is None:
            name = self.names[slot] = self.fresh("t")
        self.lines += wrapped(f"{name} = ", text.text)
        self.texts.append(Text(name, ATOM))

    def gathered(self, op: Op, xs: list[Text]) -> tuple[list[Text], Op]:
        """A long sum from left to right, all but its end in lines of its own."""
        if op.name == "dot":
            half = len(xs) // 2
            xs = [infix("*", PRODUCT, *x) for x in zip(xs[:half], xs[half:], strict=True)]
        name = self.fresh("t")
        while len(xs) > MANY:
            self.lines += wrapped(f"{name} = ", chained(xs[:MANY]).text)
            xs = [Text(name, ATOM), *xs[MANY:]]
        return xs, TABLE["sum"]

    def comment(self, place: Place | None) -> None:
        """A line that says where the following ones come from, where that changes."""
        if place is None or (self.place is not None and place[:3] == self.place[:3]):
            return
        file, line, sweep, _ = place
        if sweep > (self.place.sweep if self.place is not None else 0):
            self.lines += ["", "# the reverse sweep" + " of the reverse sweep" * (sweep - 1)]
        self.place = place
        import linecache

        code = linecache.getline(file, line).strip()
        if code:  # typed into an interpreter it is nowhere to be found
            name = re.split(r"[\\/]", file)[-1]
            self.lines.append(f"# {name}:{line}: {code}"[:WIDTH])

    def guard(self, k: int, guard: Guard) -> None:
        """What leaves the function where it would take another path."""
        test = _relation(guard, self.texts[guard.left], self.texts[guard.right], not guard.holds)
        self.lines += [
            f"if {test}:",
            f'    raise ValueError("guard {k}: another path is taken here")',
        ]


def wrapped(start: str, text: str, end: str = "") -> list[str]:
    """A statement in as many lines as it needs."""
    if len(start) + len(text) + len(end) <= WIDTH or re.search("['\"]", text):
        return [start + text + end]
    import textwrap

    inner = textwrap.wrap(text, WIDTH - 8, break_long_words=False, break_on_hyphens=False)
    return [f"{start}(", *[f"    {line}" for line in inner], f"){end}"]


def _relation(guard: Guard, left: Text, right: Text, holds: bool) -> str:
    """The comparison of a guard, or its denial; a constant stands on the right."""
    sign = guard.relation
    if left.text[-1].isdigit() and left.binds >= SIGN and not left.text.isidentifier():
        left, right, sign = right, left, sign.replace("<", ">")
    text = infix(sign, COMPARISON, left, right).text
    return text if holds else f"not {text}"


# --- functions ----------------------------------------------------------------


def text(program: Code, *, flat: bool = False) -> str:
    """The program as a Python function, with what it needs above it.

    If `flat`, the function takes one list, of inputs and captured numbers, and returns a list.
    """
    helpers: dict[str, str] = {}
    _define(program, helpers)
    name = FLAT if flat else program.name
    while name in helpers or name in RESERVED:
        name += "_"
    writer = Writer(program, {*helpers, name})
    names = writer.inputs()
    if flat:
        parameters, unpacking = "xs", _assigned(names, "xs")
    else:
        parameters, unpacking = _parameters(program, names, writer)
    writer.body()
    outputs = [writer.texts[x].text for x in program.outputs]
    result = f"[{', '.join(outputs)}]" if flat else _result(program.result, iter(outputs))
    body = [*unpacking, *writer.lines, *wrapped("return ", result)]
    function = _function(name, parameters, body)
    parts = [*helpers.values(), function]
    return "\n\n".join([_imports("\n".join(parts)), *parts]).lstrip()


def _function(name: str, parameters: str, body: list[str]) -> str:
    head = wrapped(f"def {name}", f"({parameters})", ":")
    if len(head) > 1:
        head = [f"def {name}(", *head[1:-1], "):"]
        head[1] = head[1].replace("(", "", 1)
        head[-2] = head[-2][::-1].replace(")", "", 1)[::-1]
    return "\n".join([*head, *[f"    {line}" if line else "" for line in body]]) + "\n"


def _parameters(program: Code, names: list[str], writer: Writer) -> tuple[str, list[str]]:
    """The parameters of a program's function, and the lines that unpack them."""
    args, kwargs = program.arguments
    found, lines = [], []
    numbers = iter(names)
    for name, tree in zip(program.parameters, [*args, *kwargs.values()], strict=True):
        if _is_hole(tree):
            found.append(next(numbers))
        else:
            name = writer.free(name)
            found.append(name)
            lines += _unpack(name, tree, numbers)
    live = [f"{name}={number(x).text}" for name, x in zip(numbers, program.live(), strict=True)]
    return ", ".join([*found, *(["*", *live] if live else [])]), lines


def _is_hole(tree: Any) -> bool:
    return type(tree).__name__ == "Hole"


def _assigned(names: list[str], whole: str) -> list[str]:
    """The statement that takes a sequence apart."""
    if len(names) < 2:
        return [f"({name},) = {whole}" for name in names]
    return wrapped("", ", ".join(names), f" = {whole}")


def _unpack(name: str, tree: Any, numbers: Iterator[str]) -> list[str]:
    """The statements that take a structure's numbers apart."""
    shape = getattr(tree, "shape", None)
    if shape is not None:
        whole = name if len(shape) == 1 else f"{name}.ravel()"
        return _assigned([next(numbers) for _ in range(tree.size)], whole)
    parts = children(tree) or ()
    if parts and not isinstance(tree, dict) and all(map(_is_hole, parts)):
        return _assigned([next(numbers) for _ in parts], name)
    places = tree if isinstance(tree, dict) else range(len(parts))
    lines = []
    for place, part in zip(places, parts, strict=True):
        if _is_hole(part):
            lines.append(f"{next(numbers)} = {name}[{place!r}]")
        else:
            lines += _unpack(f"{name}[{place!r}]", part, numbers)
    return lines


def _result(tree: Any, outputs: Iterator[str]) -> str:
    """A structure of results; arrays are lists here."""
    parts = children(tree)
    if _is_hole(tree):
        return next(outputs)
    if hasattr(tree, "shape"):
        return _nested([next(outputs) for _ in range(tree.size)], tree.shape)
    if parts is None or (hasattr(tree, "dtype") and tree.dtype.hasobject is False):
        return _literal(tree)
    texts = [_result(part, outputs) for part in parts]
    if isinstance(tree, dict):
        return f"{{{', '.join([f'{k!r}: {x}' for k, x in zip(tree, texts, strict=True)])}}}"
    inner = ", ".join(texts)
    if isinstance(tree, list):
        return f"[{inner}]"
    return f"({inner},)" if len(texts) == 1 else f"({inner})"


def _literal(setting: Any) -> str:
    """A setting as Python has it."""
    if hasattr(setting, "tolist"):
        setting = setting.tolist()
    if not isinstance(setting, (str, bytes, bool, list, type(None))):
        raise TypeError(f"source: {setting!r} in a result cannot be written as Python")
    return repr(setting)


def _nested(texts: list[str], shape: tuple[int, ...]) -> str:
    if not shape:
        return texts[0]
    size = len(texts) // shape[0] if shape[0] else 0
    rows = [_nested(texts[k * size : (k + 1) * size], shape[1:]) for k in range(shape[0])]
    return f"[{', '.join(rows)}]"


def is_foreign(op: Op) -> bool:
    """Whether only the author of a row can say what it is in Python."""
    known = op.python or op.text or op.name in {*INFIX, *PLAIN, "fma"}
    return not known and decomposition(op) is None


def _define(program: Code, helpers: dict[str, str]) -> None:
    """Add a definition for each row that Python does not have, innermost first."""
    for op in dict.fromkeys(step.op for step in program.instructions):
        name = op.name
        if name in helpers or op.python or name in INFIX or name in PLAIN:
            continue
        inner = decomposition(op)
        if op.text:
            parameters = ", ".join(OPERANDS[op.arity])
            helpers[name] = _function(name, parameters, [f"return {op.text}"])
        elif name == "fma":
            helpers[name] = FMA
        elif inner is not None:
            _define(inner, helpers)
            helpers[name] = _helper(name, inner)
        else:
            helpers[name] = f"# {name}: a function of floats, to be supplied by its author\n"


def _helper(name: str, program: Code) -> str:
    """A row's decomposition as a function."""
    writer = Writer(program, {name, *[step.op.name for step in program.instructions]})
    parameters = ", ".join(writer.inputs())
    writer.body()
    result = wrapped("return ", writer.texts[program.outputs[0]].text)
    return _function(name, parameters, [*writer.lines, *result])


def _imports(code: str) -> str:
    """What the code takes from the standard library."""
    code = re.sub("^ *#.*", "", code, flags=re.M)
    used = set(re.findall(r"(?<![.\w])[A-Za-z_]\w*", code))
    lines = []
    if "math." in code:
        lines.append("import math")
    if "Fraction" in used:
        lines.append("from fractions import Fraction")
    names = sorted(used & {*MATH, "inf", "nan", "isfinite", "fsum"})
    if names:
        lines += wrapped("from math import ", ", ".join(names))
    return "\n".join([*lines, ""]) if lines else ""
