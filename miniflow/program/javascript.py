"""Programs as JavaScript: a module that stands alone, for browsers, Node and Deno.

Arithmetic, comparisons and choices answer as the table does, bit for bit. Functions are those
of JavaScript's `Math`; rows that it does not have are written out, from functions.js or as
what they consist of.
"""

import json
import keyword
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from miniflow.operation import OPERANDS
from miniflow.ops import BUILTIN, Op
from miniflow.program.braces import (
    ascii_name,
    block,
    braces_expression,
    call_expression,
    folded,
    power_expression,
    remark,
    simple_text,
)
from miniflow.program.expand import decomposition
from miniflow.program.ir import Code, Guard, Place
from miniflow.program.python import python_number, structure_text
from miniflow.program.structures import NUMBER_LEAF, ArrayLeaf, is_static_array
from miniflow.program.writer import (
    ATOM,
    INFIX,
    SIGN,
    WIDTH,
    Text,
    Writer,
    comparison,
)
from miniflow.util.trees import children, is_dataclass, part_names, static_fields

# What JavaScript's Math has, under the same name.
MATH_ROWS = {
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos",
    "cosh", "exp", "expm1", "floor", "hypot", "log", "log10", "log1p", "log2", "sin", "sinh",
    "sqrt", "tan", "tanh", "trunc",
}  # fmt: skip

# Rows written without a function of their own.
IN_PLACE = {
    *MATH_ROWS, *INFIX, "neg", "pos", "stop_gradient", "less", "equal", "where", "sum", "dot",
    "degrees", "radians",
}  # fmt: skip

# Names that mean something to JavaScript, in a module; functions are called as their rows are.
_JAVASCRIPT_WORDS = """
abstract arguments async await BigInt BigInt64Array BigUint64Array boolean byte case catch char
const debugger default delete do double enum eval export extends false final finally float
Float64Array function goto implements Infinity instanceof int interface let long Math NaN native
new null Number Object package private protected public short static super switch synchronized
this throw throws transient true typeof undefined var void volatile window
"""


@cache
def javascript_functions() -> dict[str, str]:
    """The functions of functions.js, by name, each with the comment above it."""
    text = (Path(__file__).parent / "functions.js").read_text(encoding="utf-8")
    found = re.findall(r"((?:^/\*(?:(?!\*/).)*\*/\n)?^function (\w+)\(.*?^}\n)", text, re.M | re.S)
    return {name: whole for whole, name in found}


@cache
def javascript_words() -> frozenset[str]:
    """Names that a program must leave to others."""
    rows = [op.name for op in BUILTIN]
    return frozenset([*_JAVASCRIPT_WORDS.split(), *keyword.kwlist, *rows, *javascript_functions()])


def javascript_name(name: str) -> str:
    """The nearest name that every JavaScript takes."""
    name = ascii_name(name)
    return name if name.isidentifier() else f"v{name}"


def javascript_number(x: float) -> Text:
    """A constant, to the last bit."""
    if math.isinf(x):
        return Text("Infinity", ATOM) if x > 0 else Text("-Infinity", SIGN)
    return python_number(x) if x == x else Text("NaN", ATOM)


def _javascript_literal(part: Any) -> str:
    """What is not a number in a result; HTML finds nothing in it."""
    if hasattr(part, "tolist"):
        part = part.tolist()
    if not isinstance(part, (str, bool, int, float, list, type(None))):
        raise TypeError(
            f"js_source: {part!r:.60} in a result cannot be written as JavaScript; return numbers, "
            "strings, bools and None"
        )
    return json.dumps(part).replace("<", "\\u003c")


# --- expressions --------------------------------------------------------------


def javascript_expression(op: Op, xs: list[Text]) -> Text:
    """An operation on expressions."""
    found = braces_expression(op, xs)
    if found is not None:
        return found
    if op.name == "pow":
        return power_expression("Math.pow", "pow", *xs)
    return call_expression(f"Math.{op.name}" if op.name in MATH_ROWS else op.name, xs)


# --- statements ---------------------------------------------------------------


class JavaScriptWriter(Writer):
    """The statements of a JavaScript function."""

    def __init__(self, code: Code, function: str) -> None:
        super().__init__(code, {*javascript_words(), function})

    def identifier(self, name: str) -> str:
        return javascript_name(name)

    def number(self, x: float) -> Text:
        return javascript_number(x)

    def expression(self, op: Op, xs: list[Text]) -> Text:
        return javascript_expression(op, xs)

    def statement(self, name: str, text: str) -> list[str]:
        return folded(f"const {name} = {text};")

    def remark(self, text: str) -> str:
        return remark(text.replace("<", "‹"))  # in a page nothing may look like a tag

    def departure(self, k: int, guard: Guard) -> list[str]:
        left, sign, right = self.code.sides(guard)
        test = comparison(sign, self.texts[left], self.texts[right]).text
        fails = f"!({test})" if guard.holds else test
        words = f'throw new RangeError("guard {k}: another path is taken here");'
        return [f"if ({fails})", f"    {words}"]


def _returned(text: str) -> list[str]:
    """The statement that ends a function; a line that ends with `return` would return nothing."""
    if len(text) < WIDTH - 8 or '"' in text:  # a text may have spaces of its own
        return [f"return {text};"]
    return ["return (", *[f"    {line}" for line in folded(text)], ");"]


# --- functions ----------------------------------------------------------------


def javascript_text(code: Code) -> str:
    """The code as a module that exports one function.

    Raises:
        TypeError: an operation is a Python function, or a part of the result is not of JavaScript.
    """
    check_rows("js_source", code)
    name = javascript_name(code.name)
    name = f"{name}_" if name in javascript_words() else name
    writer = JavaScriptWriter(code, name)
    parameters, unpacking = _javascript_parameters(writer.inputs(), writer)
    writer.body()
    outputs = iter([writer.texts[x].text for x in code.outputs])
    result = _returned(
        structure_text(code.result, outputs, _javascript_literal, _javascript_structure)
    )
    head = "\n".join(folded(f"export function {name}({', '.join(parameters)}) {{"))
    return _with_functions(block(head, [*unpacking, *writer.lines, *result]))


def flat_functions(codes: dict[str, Code]) -> str:
    """Functions by these names, from one array to one array, below what they call.

    An array has the numbers of all inputs, then of what is captured; or of all outputs. Where a
    guard fails a function throws a RangeError.

    Raises:
        TypeError: an operation is a Python function.
    """
    return _with_functions("\n".join([_flat_function(*item) for item in codes.items()]))


class _FlatWriter(JavaScriptWriter):
    """Without comments."""

    def comment(self, place: Place | None) -> None:
        return


def _flat_function(name: str, code: Code) -> str:
    check_rows("js_source", code)
    writer = _FlatWriter(code, name)
    names = writer.inputs()
    writer.body()
    result = _returned(f"[{', '.join([writer.texts[x].text for x in code.outputs])}]")
    head = "\n".join(folded(f"function {name}([{', '.join(names)}]) {{"))
    return block(head, [*writer.lines, *result])


def _javascript_parameters(
    names: list[str], writer: JavaScriptWriter
) -> tuple[list[str], list[str]]:
    """The parameters of a function, and the lines that unpack them."""
    code = writer.code
    args, kwargs = code.arguments
    found, lines = [], []
    numbers = iter(names)
    for name, tree in zip(code.parameters, [*args, *kwargs.values()], strict=True):
        if tree is NUMBER_LEAF:
            found.append(next(numbers))
        else:
            found.append(writer.free(javascript_name(name)))
            lines += _taken_apart(found[-1], tree, numbers)
    live = zip(numbers, code.live(), strict=True)
    return [*found, *[f"{name} = {javascript_number(x).text}" for name, x in live]], lines


def _taken_apart(whole: str, tree: Any, numbers: Iterator[str]) -> list[str]:
    """The statements that take a structure's numbers apart."""
    if tree is NUMBER_LEAF or (isinstance(tree, ArrayLeaf) and not tree.shape):
        return [f"const {next(numbers)} = {whole};"]
    if isinstance(tree, ArrayLeaf):
        names = ", ".join([next(numbers) for _ in range(tree.size)])
        flat = "" if len(tree.shape) == 1 else ".flat(Infinity)"
        return folded(f"const [{names}] = {whole}{flat};") if names else []
    parts = [] if is_static_array(tree) else children(tree) or []
    places = _keys(tree, len(parts))
    if parts and places[0] == 0 and all(part is NUMBER_LEAF for part in parts):
        return folded(f"const [{', '.join([next(numbers) for _ in parts])}] = {whole};")
    lines = []
    for place, part in zip(places, parts, strict=True):
        lines += _taken_apart(f"{whole}[{_javascript_literal(place)}]", part, numbers)
    return lines


def _keys(tree: Any, count: int) -> list[Any]:
    """By what the parts of a structure are found in it: numbers, or the keys of an object."""
    if not (isinstance(tree, dict) or is_dataclass(tree)):
        return [*range(count)]
    keys = [*tree] if isinstance(tree, dict) else part_names(tree)
    names = [str(key) for key in keys]
    if len({*names}) < len(names) or not all(isinstance(key, (str, int)) for key in keys):
        raise TypeError(
            f"js_source: a dict with the keys {keys!r:.60} is no object of JavaScript; use strings"
        )
    return names


def _javascript_structure(tree: Any, texts: list[str]) -> str:
    """A structure of results: arrays and tuples are arrays, dicts and dataclasses are objects."""
    if not (isinstance(tree, dict) or is_dataclass(tree)):
        return f"[{', '.join(texts)}]"
    held = dict(zip(_keys(tree, len(texts)), texts, strict=True))
    if is_dataclass(tree):
        held |= {name: _javascript_literal(x) for name, x in static_fields(tree)}
    return f"{{{', '.join([f'{_javascript_literal(key)}: {text}' for key, text in held.items()])}}}"


# --- functions that are called ------------------------------------------------


def has_javascript(op: Op) -> bool:
    """Whether there is JavaScript for a row."""
    return op in BUILTIN and bool(op.name in IN_PLACE or javascript_function(op.name))


def check_rows(caller: str, code: Code) -> None:
    """Refuse rows that there is no JavaScript for.

    Raises:
        TypeError: there is one; the message begins with `caller`.
    """
    for op in dict.fromkeys(step.op for step in code.instructions):
        if not has_javascript(op):
            raise TypeError(
                f"{caller}: {op.name} is a function of Python and has no form in JavaScript; "
                "write it in the table's own operations, or leave it outside of the program"
            )


@cache
def javascript_function(name: str) -> str:
    """A function that programs call: a row's, or one of functions.js; "" if there is none."""
    if name in javascript_functions():
        return javascript_functions()[name]
    op = next((op for op in BUILTIN if op.name == name), None)
    if op is None:
        return ""
    if simple_text(op):
        parameters = ", ".join(OPERANDS[op.arity])
        return block(f"function {name}({parameters}) {{", [f"return {simple_text(op)};"])
    code = decomposition(op)
    return _row_function(name, code) if code is not None else ""


def _row_function(name: str, code: Code) -> str:
    """A row as a function, in terms of others."""
    writer = JavaScriptWriter(code, name)
    parameters = ", ".join(writer.inputs())
    writer.body()
    result = _returned(writer.texts[code.outputs[0]].text)
    return block(f"function {name}({parameters}) {{", [*writer.lines, *result])


def _with_functions(text: str) -> str:
    """The text below the functions that it calls, innermost first."""
    found: dict[str, str] = {}
    _add_called(text, found, set())
    return "\n".join([*found.values(), text])


def _add_called(text: str, found: dict[str, str], seen: set[str]) -> None:
    """Add the functions that a text calls, each after those that it calls."""
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for name in dict.fromkeys(re.findall(r"(?<![.\w])(\w+)\(", code)):
        if name not in seen and javascript_function(name):
            seen.add(name)
            _add_called(javascript_function(name), found, seen)
            found[name] = javascript_function(name)
