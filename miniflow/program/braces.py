"""What C and JavaScript write alike: choices, signs, comments, long lines."""

import ast
import math
import re
import textwrap
import unicodedata
from typing import Any

from miniflow.ops import Op
from miniflow.program.writer import (
    ATOM,
    CHOICE,
    COMPARISON,
    PRODUCT,
    SIGN,
    WIDTH,
    Text,
    common_expression,
    comparison,
    enclosed,
    infix,
)

NUMBER_OF_TRUTH = " ? 1.0 : 0.0"

SYMBOLS = {
    ast.Lt: "<", ast.Gt: ">", ast.LtE: "<=", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Or: "||", ast.And: "&&", ast.Add: "+", ast.USub: "-",
}  # fmt: skip


def ascii_name(name: str) -> str:
    """A name without accents and other scripts; it may be empty."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()


# --- expressions --------------------------------------------------------------


def simple_text(op: Op) -> str:
    """A row's value, where it is a Python expression that calls nothing; otherwise ""."""
    return (
        translated(ast.parse(op.text, mode="eval").body) if op.text and "(" not in op.text else ""
    )


def translated(node: Any) -> str:
    """A Python expression of numbers, choices and comparisons."""
    if isinstance(node, ast.IfExp):
        return f"{translated(node.test)} ? {translated(node.body)} : {translated(node.orelse)}"
    if isinstance(node, ast.BoolOp):
        return f" {SYMBOLS[type(node.op)]} ".join(map(translated, node.values))
    if isinstance(node, ast.Compare):
        sides = translated(node.left), translated(node.comparators[0])
        return f" {SYMBOLS[type(node.ops[0])]} ".join(sides)
    if isinstance(node, ast.BinOp):
        return f"{translated(node.left)} {SYMBOLS[type(node.op)]} {translated(node.right)}"
    if isinstance(node, ast.UnaryOp):
        return f"{SYMBOLS[type(node.op)]}{translated(node.operand)}"
    return str(getattr(node, "id", "")) or repr(float(node.value))


def braces_expression(op: Op, xs: list[Text]) -> Text | None:
    """An operation on expressions as both languages write it; None where they differ."""
    name, found = op.name, common_expression(op, xs)
    if found is not None:
        return found
    if name in ("less", "equal"):
        return Text(comparison(op.symbol, *xs).text + NUMBER_OF_TRUTH, CHOICE)
    if name == "where":
        c, a, b = xs
        return Text(f"{_test(c)} ? {enclosed(a, COMPARISON)} : {enclosed(b, CHOICE)}", CHOICE)
    if name == "neg":
        return Text(f"-{enclosed(xs[0], ATOM)}", SIGN)
    if name in ("degrees", "radians"):
        factor = 180.0 / math.pi if name == "degrees" else math.pi / 180.0
        return infix("*", PRODUCT, xs[0], Text(repr(factor), ATOM))
    return None


def call_expression(function: str, xs: list[Text]) -> Text:
    """A call."""
    return Text(f"{function}({', '.join([x.text for x in xs])})", ATOM)


def power_expression(library: str, row: str, a: Text, b: Text) -> Text:
    """A power, by the library's function or by one that does as the row does."""
    if b.text == "2.0" and a.text.isidentifier():  # the table's square, to the last bit
        return infix("*", PRODUCT, a, a)
    simple = re.fullmatch(r"-?[\d.e+-]+", b.text) and b.text != "2.0"
    return call_expression(library if simple else row, [a, b])


def _test(x: Text) -> str:
    """Whether a number is not 0."""
    if x.binds == CHOICE and x.text.count("?") == 1 and x.text.endswith(NUMBER_OF_TRUTH):
        return x.text.removesuffix(NUMBER_OF_TRUTH)
    return f"{enclosed(x, COMPARISON + 1)} != 0.0"


# --- statements ---------------------------------------------------------------


def folded(text: str) -> list[str]:
    """A statement in as many lines as it needs."""
    if len(text) <= WIDTH:
        return [text]
    wrapper = textwrap.TextWrapper(
        WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return wrapper.wrap(text)


def remark(text: str) -> str:
    """A comment that ends where it should."""
    text = "".join([x if x.isprintable() else "?" for x in text])
    return f"/* {text.replace('*/', '* /').replace('/*', '/ *')} */"


def block(head: str, lines: list[str]) -> str:
    """Lines in braces."""
    return "\n".join([head, *[f"    {line}" if line else "" for line in lines], "}", ""])
