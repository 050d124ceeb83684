"""Code as Python that a person would have written.

The text is straight-line and needs nothing but the standard library. A row that has no
function or operator there is defined above the function that needs it. Where Python raises
and IEEE arithmetic does not (``1/0``, ``log(0)``) the text raises, too.
"""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from miniflow.operation import OPERANDS
from miniflow.ops import BUILTIN, Op
from miniflow.program.expand import decomposition
from miniflow.program.ir import Code, Guard
from miniflow.program.structures import NUMBER_LEAF, ArrayLeaf, is_static_array
from miniflow.program.writer import (
    ATOM,
    CHOICE,
    COMPARISON,
    INFIX,
    POWER,
    PRODUCT,
    SIGN,
    WIDTH,
    Text,
    Writer,
    common_expression,
    comparison,
    enclosed,
    infix,
)
from miniflow.util.trees import children, is_dataclass, part_names, static_fields

FLAT = "flat"  # what a function from a list to a list is called

DIVISIONS = ("floordiv", "mod")  # which C does not have as operators
MATH = {op.python for op in BUILTIN if op.python}
# Rows written without a name of their own, besides the operators of two operands.
UNNAMED = {
    "neg", "pos", "stop_gradient", "abs", "less", "equal", "where", "sum", "dot", "fsum",
}  # fmt: skip
OPERATORS = {*INFIX, *DIVISIONS, *UNNAMED}
# What the text may call.
PYTHON_WORDS = {
    *MATH, *UNNAMED, *[op.name for op in BUILTIN if op.text], "fma", "math", "inf", "nan",
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

# Rows of any number of operands that are functions of their own in the text.
HELPERS = {"fma": FMA}
HELPERS |= {
    name: f"""def {name}(*xs):
    y = xs[0]
    for x in xs[1:]:
        y = y if y {sign} x or y != y else x
    return y
"""
    for name, sign in (("max_of", ">="), ("min_of", "<="))
}
HELPERS |= {
    "tally": """def tally(x, *xs):
    return float(sum([x == other for other in xs]))
""",
    "take": """def take(i, *xs):
    return nan if i != i or not xs else xs[int(max(0.0, min(i, len(xs) - 1.0)))]
""",
}
PYTHON_WORDS |= {*HELPERS, "len", "max", "min", "range"}


def python_number(x: float) -> Text:
    """A constant."""
    text = repr(x)  # "inf" and "nan" are names that the code imports
    return Text(text, SIGN if text.startswith("-") else ATOM)


# --- expressions --------------------------------------------------------------


def python_expression(op: Op, xs: list[Text]) -> Text:
    """An operation on expressions."""
    found = common_expression(op, xs)
    if found is not None:
        return found
    if op.name in DIVISIONS:
        return infix(op.symbol, PRODUCT, *xs)
    if op.name == "neg":
        return Text(f"-{enclosed(xs[0], SIGN)}", SIGN)
    if op.name in ("less", "equal"):
        return Text(f"float({comparison(op.symbol, *xs).text})", ATOM)
    if op.name == "where":
        return _conditional(*xs)
    if op.name == "pow":
        return _python_power(*xs)
    arguments = ", ".join([x.text for x in xs])
    return Text(f"fsum([{arguments}])" if op.name == "fsum" else f"{op.name}({arguments})", ATOM)


def _conditional(c: Text, a: Text, b: Text) -> Text:
    """A choice; a comparison is asked as it is, rather than its number."""
    if c.binds == ATOM and c.text.startswith("float(") and re.search(" (<|==) ", c.text):
        c = Text(c.text.removeprefix("float(")[:-1], COMPARISON)
    chosen, condition = enclosed(a, COMPARISON), enclosed(c, COMPARISON)
    return Text(f"{chosen} if {condition} else {enclosed(b, CHOICE)}", CHOICE)


def _python_power(a: Text, b: Text) -> Text:
    if b.text == "2.0" and a.text.isidentifier():  # the table's square, to the last bit
        return infix("*", PRODUCT, a, a)
    if b.binds == ATOM and b.text.endswith(".0") and b.text != "2.0":
        return Text(f"{enclosed(a, ATOM)} ** {b.text[:-2]}", POWER)
    return Text(f"pow({a.text}, {b.text})", ATOM)


# --- statements ---------------------------------------------------------------


class PythonWriter(Writer):
    """The body of a Python function."""

    def __init__(self, code: Code, functions: Iterable[str]) -> None:
        super().__init__(code, {*functions, *PYTHON_WORDS})

    def number(self, x: float) -> Text:
        return python_number(x)

    def expression(self, op: Op, xs: list[Text]) -> Text:
        return python_expression(op, xs)

    def statement(self, name: str, text: str) -> list[str]:
        return _broken(f"{name} = ", text)

    def remark(self, text: str) -> str:
        return f"# {text}"

    def departure(self, k: int, guard: Guard) -> list[str]:
        left, sign, right = self.code.sides(guard)
        test = comparison(sign, self.texts[left], self.texts[right]).text
        return [
            f"if not {test}:" if guard.holds else f"if {test}:",
            f'    raise ValueError("guard {k}: another path is taken here")',
        ]


def _broken(start: str, text: str, end: str = "") -> list[str]:
    """A statement in as many lines as it needs."""
    if len(start) + len(text) + len(end) <= WIDTH or re.search("['\"]", text):
        return [start + text + end]
    inner = textwrap.wrap(text, WIDTH - 8, break_long_words=False, break_on_hyphens=False)
    return [f"{start}(", *[f"    {line}" for line in inner], f"){end}"]


# --- functions ----------------------------------------------------------------


def python_text(code: Code, *, flat: bool = False) -> str:
    """The code as a Python function, with what it needs above it.

    If `flat`, the function takes one list, of inputs and captured numbers, and returns a list.

    Raises:
        TypeError: a static part of the result cannot be written as Python.
    """
    helpers: dict[str, str] = {}
    _add_helpers(code, helpers)
    name = FLAT if flat else code.name
    while name in helpers or name in PYTHON_WORDS:
        name += "_"
    writer = PythonWriter(code, {*helpers, name})
    names = writer.inputs()
    if flat:
        parameters, unpacking = "xs", _unpacked(names, "xs")
    else:
        parameters, unpacking = _signature(names, writer)
    writer.body()
    outputs = [writer.texts[x].text for x in code.outputs]
    if not flat:
        outputs = [str(code.ints.get(k, y)) for k, y in enumerate(outputs)]
    result = (
        f"[{', '.join(outputs)}]"
        if flat
        else structure_text(code.result, iter(outputs), _literal, _python_structure)
    )
    body = [*unpacking, *writer.lines, *_broken("return ", result)]
    parts = [*helpers.values(), _definition(name, parameters, body)]
    return "\n\n".join([_imports("\n".join(parts)), *parts]).lstrip()


def _definition(name: str, parameters: str, body: list[str]) -> str:
    """A function."""
    head = _broken(f"def {name}", f"({parameters})", ":")
    if len(head) > 1:
        head = [f"def {name}(", *head[1:-1], "):"]
        head[1] = head[1].replace("(", "", 1)
        head[-2] = head[-2][::-1].replace(")", "", 1)[::-1]
    return "\n".join([*head, *[f"    {line}" if line else "" for line in body]]) + "\n"


def _signature(names: list[str], writer: PythonWriter) -> tuple[str, list[str]]:
    """The parameters of a function, and the lines that unpack them."""
    code = writer.code
    args, kwargs = code.arguments
    found, lines = [], []
    numbers = iter(names)
    for name, tree in zip(code.parameters, [*args, *kwargs.values()], strict=True):
        if tree is NUMBER_LEAF:
            found.append(next(numbers))
        else:
            name = writer.free(name)
            found.append(name)
            lines += _unpack(name, tree, numbers)
    live = zip(numbers, code.live(), strict=True)
    defaults = [f"{name}={python_number(x).text}" for name, x in live]
    return ", ".join([*found, *(["*", *defaults] if defaults else [])]), lines


def _unpacked(names: list[str], whole: str) -> list[str]:
    """The statement that takes a sequence apart."""
    if len(names) < 2:
        return [f"({name},) = {whole}" for name in names]
    return _broken("", ", ".join(names), f" = {whole}")


def _unpack(name: str, tree: Any, numbers: Iterator[str]) -> list[str]:
    """The statements that take a structure's numbers apart."""
    if isinstance(tree, ArrayLeaf):
        whole = name if len(tree.shape) == 1 else f"{name}.ravel()"
        return _unpacked([next(numbers) for _ in range(tree.size)], whole)
    parts = [] if is_static_array(tree) else children(tree) or []
    named = isinstance(tree, dict) or is_dataclass(tree)
    if parts and not named and all(part is NUMBER_LEAF for part in parts):
        return _unpacked([next(numbers) for _ in parts], name)
    lines = []
    for place, part in zip(_places(tree, len(parts)), parts, strict=True):
        if part is NUMBER_LEAF:
            lines.append(f"{next(numbers)} = {name}{place}")
        else:
            lines += _unpack(f"{name}{place}", part, numbers)
    return lines


def _places(tree: Any, count: int) -> list[str]:
    """How the parts of a structure are reached from it."""
    if is_dataclass(tree):
        return [f".{name}" for name in part_names(tree)]
    return [f"[{place!r}]" for place in (tree if isinstance(tree, dict) else range(count))]


def structure_text(
    tree: Any, outputs: Iterator[str], literal: Callable[[Any], str],
    together: Callable[[Any, list[str]], str],
) -> str:  # fmt: skip
    """A structure of results: `together` writes one of parts, `literal` what is no number."""
    if tree is NUMBER_LEAF:
        return next(outputs)
    if isinstance(tree, ArrayLeaf):
        return nested_text([next(outputs) for _ in range(tree.size)], tree.shape)
    parts = children(tree)
    if parts is None or is_static_array(tree):
        return literal(tree)
    return together(tree, [structure_text(x, outputs, literal, together) for x in parts])


def _python_structure(tree: Any, texts: list[str]) -> str:
    """Parts in a structure; objects of dataclasses are dicts."""
    if is_dataclass(tree):
        held = dict(zip(part_names(tree), texts, strict=True))
        held |= {name: _literal(x) for name, x in static_fields(tree)}
        tree, texts = held, [*held.values()]
    if isinstance(tree, dict):
        return f"{{{', '.join([f'{k!r}: {x}' for k, x in zip(tree, texts, strict=True)])}}}"
    inner = ", ".join(texts)
    if isinstance(tree, list):
        return f"[{inner}]"
    return f"({inner},)" if len(texts) == 1 else f"({inner})"


def _literal(part: Any) -> str:
    """What is not a number in a result, as Python has it."""
    if hasattr(part, "tolist"):
        part = part.tolist()
    if not isinstance(part, (str, bytes, int, float, list, type(None))):
        raise TypeError(f"source: {part!r} in a result cannot be written as Python")
    return repr(part)


def nested_text(texts: list[str], shape: tuple[int, ...]) -> str:
    """An array's numbers as lists in lists, which JavaScript writes alike."""
    if not shape:
        return texts[0]
    size = len(texts) // shape[0] if shape[0] else 0
    rows = [nested_text(texts[k * size : (k + 1) * size], shape[1:]) for k in range(shape[0])]
    return f"[{', '.join(rows)}]"


def is_foreign(op: Op) -> bool:
    """Whether only the author of a row can say what it is in Python."""
    known = op.python or op.text or op.name in OPERATORS or op.name in HELPERS
    return not known and decomposition(op) is None


def _add_helpers(code: Code, helpers: dict[str, str]) -> None:
    """Add a definition for each row that Python does not have, innermost first."""
    for op in dict.fromkeys(step.op for step in code.instructions):
        if not (op.name in helpers or op.python or op.name in OPERATORS):
            helpers[op.name] = _helper(op, helpers)


def _helper(op: Op, helpers: dict[str, str]) -> str:
    """A row as a function."""
    if op.text:
        return _definition(op.name, ", ".join(OPERANDS[op.arity]), [f"return {op.text}"])
    if op.name in HELPERS:
        return HELPERS[op.name]
    code = decomposition(op)
    if code is None:
        return f"# {op.name}: a function of floats, to be supplied by its author\n"
    _add_helpers(code, helpers)
    writer = PythonWriter(code, {op.name, *[step.op.name for step in code.instructions]})
    parameters = ", ".join(writer.inputs())
    writer.body()
    result = _broken("return ", writer.texts[code.outputs[0]].text)
    return _definition(op.name, parameters, [*writer.lines, *result])


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
        lines += _broken("from math import ", ", ".join(names))
    return "\n".join([*lines, ""]) if lines else ""
