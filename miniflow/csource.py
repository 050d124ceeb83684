"""Programs as C: a standalone C99 function, and the engine's own rules.

A number that is used once is written where it is used, so what only one side of a choice
needs is computed on that side alone. Division, square roots and the functions of the C
library are C's; compiled without contraction of products into sums (``-ffp-contract=off``)
the answers are those of the table, bit for bit, where Python's library is C's.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from miniflow import ops
from miniflow.engines import digest
from miniflow.ops import Op
from miniflow.source import (
    ATOM,
    COMPARISON,
    PRODUCT,
    SIGN,
    SUM,
    Text,
    chained,
    infix,
    operand,
    wrapped,
)  # fmt: skip

if TYPE_CHECKING:
    from miniflow.program import Guard, Program

LONGEST = 400  # characters of an expression that is written where it is used

INFIX = {"add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT), "div": ("/", PRODUCT)}
RELATIONS = {"less": "<", "equal": "=="}

# Rows that are functions of the C library, and what it calls them.
LIBRARY = {
    "abs": "fabs",
    **{
        name: name
        for name in {
            "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "copysign",
            "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1", "floor", "fma", "fmod", "hypot",
            "log", "log10", "log1p", "log2", "remainder", "rint", "sin", "sinh", "sqrt", "tan",
            "tanh", "trunc",
        }
    },
}  # fmt: skip
# The same, but Python's own are others, by a few units in the last place.
NEARLY = {"gamma": "tgamma", "lgamma": "lgamma"}

# Rows for which C has no name: functions of their own.
HELPERS = {
    "pow": "double a, double b) { return b == 2.0 ? a * a : pow(a, b); }",
    "maximum": "double a, double b) { return a >= b || a != a ? a : b; }",
    "minimum": "double a, double b) { return a <= b || a != a ? a : b; }",
    "step": "double x) { return x > 0.0 ? 1.0 : x != x ? x : 0.0; }",
    "sign": "double x) { return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x + 0.0; }",
    "mod": """double a, double b) {
    double rest = fmod(a, b);
    if (b == 0.0) return NAN;
    if (rest == 0.0) return copysign(0.0, b);
    return (b < 0.0) != (rest < 0.0) ? rest + b : rest;
}""",
    "floordiv": """double a, double b) {
    double rest = fmod(a, b), ratio = (a - rest) / b, low;
    if (b == 0.0) return a / b;
    if (rest != 0.0 && (b < 0.0) != (rest < 0.0)) ratio -= 1.0;
    if (ratio == 0.0) return copysign(0.0, a / b);
    low = floor(ratio);
    return ratio - low > 0.5 ? low + 1.0 : low;
}""",
    "ldexp": """double x, double i) {
    if (i != i || i - i != 0.0) return x * exp2(i);
    return ldexp(x, i > 9999.0 ? 9999 : i < -9999.0 ? -9999 : (int)i);
}""",
}

KEYWORDS = {
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum",
    "extern", "float", "for", "goto", "if", "inline", "int", "long", "main", "register", "restrict",
    "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union",
    "unsigned", "void", "volatile", "while", "x", "y",
}  # fmt: skip


def known(op: Op) -> bool:
    """Whether there is C for a row, bit for bit."""
    simple = {*INFIX, *RELATIONS, *LIBRARY, *HELPERS, "neg", "pos", "stop_gradient", "where"}
    return op in ops.BUILTIN and op.name in {*simple, "sum", "dot", "degrees", "radians"}


def number(x: float) -> Text:
    """A constant, to the last bit."""
    if x != x or math.isinf(x):
        return Text("NAN" if x != x else "-INFINITY" if x < 0 else "INFINITY", ATOM)
    return Text(repr(x), SIGN if repr(x).startswith("-") else ATOM)


def expression(op: Op, xs: list[Text]) -> Text:
    """An operation on expressions."""
    name = op.name
    if name in INFIX:
        return infix(*INFIX[name], *xs)
    if name in RELATIONS:
        test = infix(RELATIONS[name], COMPARISON, *xs).text
        return Text(f"({test} ? 1.0 : 0.0)", ATOM)
    if name == "where":
        c = re.fullmatch(r"\(([^()]* (?:<|==) [^()]*) \? 1.0 : 0.0\)", xs[0].text)
        test = c[1] if c else f"{operand(xs[0], COMPARISON + 1)} != 0.0"
        return Text(f"({test} ? {xs[1].text} : {xs[2].text})", ATOM)
    if name == "neg":
        return Text(f"-{operand(xs[0], ATOM)}", SIGN)
    if name in ("pos", "stop_gradient"):
        return xs[0]
    if name in ("degrees", "radians"):
        factor = 180.0 / math.pi if name == "degrees" else math.pi / 180.0
        return infix("*", PRODUCT, xs[0], number(factor))
    if name == "sum":
        return chained(xs)
    if name == "dot":
        half = len(xs) // 2
        pairs = zip(xs[:half], xs[half:], strict=True)
        return chained([infix("*", PRODUCT, *pair) for pair in pairs])
    call = {**LIBRARY, **NEARLY}.get(name) or f"mf_{name}"
    return Text(f"{call}({', '.join([x.text for x in xs])})", ATOM)


class Writer:
    """The statements of one program; numbers go in by names or expressions."""

    def __init__(self, program: "Program", inputs: Iterable[str], taken: Iterable[str]) -> None:
        self.program = program
        self.texts = [*[Text(x, ATOM) for x in inputs], *map(number, program.constants)]
        self.taken = {*KEYWORDS, *LIBRARY.values(), *NEARLY.values(), *taken}
        self.lines: list[str] = []
        self.count = 0
        self.uses = Counter(x for step in program.instructions for x in step.operands)
        self.uses.update(program.outputs)
        self.uses.update(x for guard in program.guards for x in (guard.left, guard.right))

    def name(self, slot: int) -> str:
        """A name for a number: what the function called it, or a new one."""
        name = self.program.names.get(slot, f"t{self.count}")
        self.count += slot not in self.program.names
        while name in self.taken or not name.isascii():
            name = f"{name}_" if name.isascii() else f"t{self.count}"
            self.count += not name.isascii()
        self.taken.add(name)
        return name

    def keep(self, slot: int, text: str) -> Text:
        """A number in a variable."""
        name = self.name(slot)
        self.lines += wrapped(f"const double {name} = ", text, ";")
        return Text(name, ATOM)

    def body(self, failed: Callable[[int], str]) -> list[Text]:
        """All statements, with what `failed` says where guard k fails; the outputs."""
        guards = list(enumerate(self.program.guards))[::-1]
        first = self.program.first
        for position, (op, operands) in enumerate(self.program.instructions):
            while guards and guards[-1][1].position <= position:
                self.guard(*guards.pop(), failed)
            text = expression(op, [self.texts[x] for x in operands])
            slot = first + position
            plain = op.name in ("pos", "stop_gradient")
            once = self.uses[slot] == 1 and slot not in self.program.names
            if not plain and not (once and len(text.text) <= LONGEST):
                text = self.keep(slot, text.text)
            self.texts.append(text)
        while guards:
            self.guard(*guards.pop(), failed)
        return [self.texts[x] for x in self.program.outputs]

    def guard(self, k: int, guard: "Guard", failed: Callable[[int], str]) -> None:
        """What leaves the function where it would take another path."""
        sides = self.texts[guard.left], self.texts[guard.right]
        test = infix(guard.relation, COMPARISON, *sides).text
        self.lines.append(f"if ({f'!({test})' if guard.holds else test}) {failed(k)}")


def _helpers(program: "Program") -> list[str]:
    """The functions that a program calls and C does not have."""
    names = dict.fromkeys(step.op.name for step in program.instructions)
    return [f"static double mf_{name}({HELPERS[name]}\n" for name in names if name in HELPERS]


def text(program: "Program") -> str:
    """The program as a C99 function, with what it needs above it.

    Raises:
        TypeError: an operation is a Python function.
    """
    names = {*INFIX, *RELATIONS, *LIBRARY, *NEARLY, *HELPERS, "neg", "pos", "stop_gradient"}
    program = program.expanded({*names, "where", "sum", "dot", "degrees", "radians"})
    for op in dict.fromkeys(step.op for step in program.instructions):
        if not known(op) and op.name not in NEARLY:
            raise TypeError(
                f"c_source: {op.name} is a function of Python, there is no C for it; write it in "
                "the table's own operations, or leave it outside of the program"
            )
    first = program.first - len(program.constants)
    name = re.sub(r"\W", "_", program.name, flags=re.ASCII)
    name += "_" * (name in {*KEYWORDS, *LIBRARY.values(), *NEARLY.values()})
    writer = Writer(program, [f"x[{slot}]" for slot in range(first)], [name])
    for slot in range(first):
        if slot in program.names or writer.uses[slot] > 1:
            writer.texts[slot] = writer.keep(slot, f"x[{slot}]")
    outputs = writer.body(lambda k: f"return {k + 1};")
    writer.lines += [
        line for k, y in enumerate(outputs) for line in wrapped(f"y[{k}] = ", y.text, ";")
    ]
    body = "".join([f"    {line}\n" for line in [*writer.lines, "return 0;"]])
    head = _head(program, first, len(outputs))
    parts = [*_helpers(program), f"{head}int {name}(const double *x, double *y)\n{{\n{body}}}\n"]
    return "\n".join(["#include <math.h>\n", *parts])


def _head(program: "Program", inputs: int, outputs: int) -> str:
    """What to know of the function."""
    live = f", of which {len(program.captured)} captured" if program.captured else ""
    fails = "; k + 1, with y unfinished, where guard k fails" if program.guards else ""
    return f"/* {inputs} numbers{live}, in x; {outputs} in y. Returns 0{fails}. */\n"


# --- the engine's rules -------------------------------------------------------

PARAMETERS = {1: ("a",), 2: ("a", "b"), 3: ("a", "b", "c")}
TYPES = {1: "Unary", 2: "Binary", 3: "Ternary"}


def _function(name: str, parameters: Iterable[str], program: "Program") -> str:
    """A program without guards and with one output as a function of scalars."""
    parameters = list(parameters)
    used = {x for step in program.instructions for x in step.operands} | {*program.outputs}
    writer = Writer(program, parameters, parameters)
    (result,) = writer.body(str)
    unused = [f"(void){x};" for k, x in enumerate(parameters) if k not in used]
    body = "".join([f"    {x}\n" for x in [*unused, *writer.lines, f"return {result.text};"]])
    return f"static double {name}({', '.join([f'double {x}' for x in parameters])})\n{{\n{body}}}\n"


def _traced(f: Callable[..., Any], count: int) -> "Program | None":
    """A formula as a program of rows that C has; None if there is none."""
    from miniflow.program import record
    from miniflow.structures import HOLE

    try:
        program = record(f, [0.5] * count, ((HOLE,) * count, {}))
    except TypeError:  # it calls functions of floats
        return None
    rows = {op.name for op in ops.TABLE.values() if known(op)}
    program = program.expanded(rows)
    simple = all(known(step.op) for step in program.instructions)
    return program if simple and not program.guards else None


def _rule(rule: Any, arity: int) -> "Program | None":
    """A partial's formula; where it is flat, nothing asks for it."""
    if callable(rule):
        return _traced(lambda *xs: rule(*xs[:-1], xs[-1]), arity + 1)
    return _traced(lambda *xs: rule or 0.0, arity + 1)


def rules() -> str:
    """The table's rows of one to three operands as C: what the compiled engine computes with.

    Four arrays by an operation's code: its value, and its partials; where Python has to be
    asked, null pointers.
    """
    functions: list[str] = []
    used: dict[str, None] = {}
    entries: dict[str, list[str]] = {"value1": [], "value2": [], "value3": []}
    entries |= {"partial1": [], "partial2": [], "partial3": []}
    for op in ops.ROWS:
        programs = _row_programs(op) if op in ops.BUILTIN and op.arity in PARAMETERS else None
        for arity in PARAMETERS:
            mine = programs is not None and op.arity == arity
            names = [f"{op.name}_value", *[f"{op.name}_partial{k}" for k in range(arity)]]
            entries[f"value{arity}"].append(names[0] if mine else "0")
            entries[f"partial{arity}"] += names[1:] if mine else ["0"] * arity
        for k, program in enumerate(programs or []):
            parameters = PARAMETERS[op.arity] + (() if k == 0 else ("y",))
            name = f"{op.name}_value" if k == 0 else f"{op.name}_partial{k - 1}"
            functions.append(_function(name, parameters, program))
            used |= dict.fromkeys(_helpers(program))
    arrays = []
    for name, items in entries.items():
        arity = int(name[-1]) + name.startswith("partial")
        kind = {**TYPES, 4: "Quaternary"}[arity]
        lines = ",\n".join([f"    {x}" for x in items])
        arrays.append(f"static const {kind} {name}[] = {{\n{lines}\n}};\n")
    count = f'#define BUILTINS {len(ops.ROWS)}\n#define MADE_OF "{digest()}"\n'
    return "\n".join([count, *used, *functions, *arrays])


def _row_programs(op: Op) -> "list[Program] | None":
    """A row's value and partials as programs; None if Python has to be asked for one of them."""
    found = [_traced(op if known(op) else op.value, op.arity)]
    found += [_rule(rule, op.arity) for rule in op.partials]
    return found if None not in found else None  # type: ignore[return-value]


if __name__ == "__main__":  # as the installation calls it
    print(rules())
