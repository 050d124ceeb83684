"""Expressions as people type them, computed on Values: ``tanh(a*b + c)``.

Python's own parser reads the text, nothing of it is run as Python: names, numbers, operators
and the functions of the table and of `miniflow.math` are allowed, all else is refused. Every
number is a float, so no power can fill the memory.
"""

import ast
import difflib
import keyword
import re
import sys
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from miniflow import math, ops
from miniflow.tape.core import Value
from miniflow.util.habits import OTHER_NAMES

LONGEST_TEXT = 10_000  # characters
WINDOW = 70  # of them that an error shows

SYNTAX_OPERATORS: dict[type[ast.AST], ops.Op] = {
    ast.Add: ops.add,
    ast.Sub: ops.sub,
    ast.Mult: ops.mul,
    ast.Div: ops.div,
    ast.FloorDiv: ops.floordiv,
    ast.Mod: ops.mod,
    ast.Pow: ops.pow,
    ast.USub: ops.neg,
    ast.UAdd: ops.pos,
}
CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau, "inf": math.inf, "nan": math.nan}
# functions of `miniflow.math` that are not rows of the table but take and return numbers
BESIDES: dict[str, Callable[..., Any]] = {
    "digamma": math.digamma,
    "fabs": math.fabs,
    "hypot": math.hypot,
    "log": math.log,
    "max": math.max,
    "min": math.min,
    "round": ops.rint,
}
PAIRED = {"dot"}  # its operands are two lists
SYNTAX_NAMES: dict[type[ast.AST], str] = {
    ast.Attribute: "an attribute; functions are named alone, as in sin(x)",
    ast.Subscript: "an index",
    ast.Lambda: "a lambda",
    ast.Compare: "a comparison; where(less(a, b), x, y) chooses",
    ast.IfExp: "a condition; where(c, x, y) chooses",
    ast.BoolOp: "a logical operator",
    ast.JoinedStr: "a string",
    ast.NamedExpr: "an assignment",
    ast.Starred: "a starred argument",
    ast.BitXor: "the operator ^; a power is **",
    ast.MatMult: "the operator @",
    ast.Not: "the operator not",
    ast.Invert: "the operator ~",
    ast.Call: "a call of what a call returns",
    ast.Tuple: "a tuple",
    ast.List: "a list",
    ast.Dict: "a dict",
    ast.Set: "a set",
}


class ExpressionError(ValueError):
    """An expression is not one, or not one that is allowed; the text shows where.

    Attributes:
        message: what is wrong.
        column: where, as the number of characters before it.
    """

    def __init__(self, message: str, text: str, column: int) -> None:
        start = max(0, min(column - WINDOW // 2, len(text) - WINDOW))
        shown = _visible(text[start : start + WINDOW])
        indent = _width(_visible(text[start:column]))
        super().__init__(f"{message}\n  {shown}\n  {' ' * indent}^")
        self.message, self.column = message, column


class Expression:
    """A text as an expression that can be computed.

    Attributes:
        text: the text, in one line.
        names: its variables and constants, in the order in which they appear.

    Raises:
        ExpressionError: the text is not an expression, or holds more than names, numbers,
            operators and functions.

    Example:
        >>> expression = Expression("x**2 + sin(0)")
        >>> x = Value(3.0)
        >>> y = expression({"x": x})
        >>> y.backward()
        >>> y.data, x.grad
        (9.0, 6.0)
    """

    def __init__(self, text: str) -> None:
        self.text = "".join(" " if c in "\t\n\v\f\r" else c for c in text).strip()
        self.steps = self._in_order(self._parsed())
        places = {node: self._column(node) for node in self.steps if isinstance(node, ast.Name)}
        self.names = list(dict.fromkeys(node.id for node in sorted(places, key=places.__getitem__)))

    def __call__(self, variables: Mapping[str, Value]) -> Value:
        """The result, for the variables by name.

        Raises:
            ExpressionError: a variable is missing, or a function has the wrong number of operands.
        """
        waiting: list[Any] = []  # results, until the operation that they are operands of
        for node in self.steps:
            start = len(waiting) - len(_operands(node))
            operands = waiting[start:]
            waiting[start:] = [self._result(node, operands, variables)]
        (result,) = waiting
        return result if isinstance(result, Value) else Value(result)

    def _parsed(self) -> ast.expr:
        text = self.text
        if not text:
            raise ExpressionError("there is nothing to compute", text, 0)
        if len(text) > LONGEST_TEXT:
            raise ExpressionError(f"more than {LONGEST_TEXT:,} characters", text, LONGEST_TEXT)
        if "#" in text:
            raise ExpressionError("not allowed: a comment", text, text.index("#"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about what is refused anyway
                return ast.parse(text, mode="eval").body
        except SyntaxError as error:
            column = error.offset - 1 if error.offset else len(text)  # 0: the end is missing
            raise _no_expression(text, column, str(error.msg)) from None
        except (MemoryError, RecursionError):
            raise ExpressionError("nested too deeply", text, 0) from None
        except ValueError:  # null characters, halves of characters
            raise ExpressionError("not an expression: it is not text", text, 0) from None

    def _in_order(self, tree: ast.expr) -> list[ast.expr]:
        """The parts of an expression, each behind its operands; a loop, however deep it is."""
        found, waiting = [], [tree]
        while waiting:
            node = waiting.pop()
            self._check(node)
            found.append(node)
            waiting += _operands(node)
        return found[::-1]

    def _check(self, node: ast.expr) -> None:
        """Refuse what is not allowed."""
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            if abs(node.value) > sys.float_info.max:  # type: ignore[arg-type]
                self._refuse(node, "a number too large for a float")
        elif isinstance(node, (ast.BinOp, ast.UnaryOp)):
            if type(node.op) not in SYNTAX_OPERATORS:
                self._refuse(node, f"not allowed: {_kind(node.op)}")
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Constant):
                self._refuse(node, f"a product is written with *: {ast.unparse(node.func)}*(...)")
            elif not isinstance(node.func, ast.Name):
                self._refuse(node.func, f"not allowed: {_kind(node.func)}")
            elif node.keywords:
                self._refuse(node.keywords[0].value, "not allowed: a named argument")
            elif _function_called(node.func.id) is None:
                self._refuse(node, f"no function {node.func.id!r}{_similar(node.func.id)}")
        elif not isinstance(node, ast.Name):
            self._refuse(node, f"not allowed: {_kind(node)}")

    def _result(self, node: ast.expr, operands: list[Any], variables: Mapping[str, Value]) -> Any:
        """What a part comes to."""
        if isinstance(node, ast.Constant):
            return float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            if node.id not in variables and node.id not in CONSTANTS:
                self._refuse(node, f"{node.id!r} has no value; add {node.id}=1.0")
            return variables.get(node.id, CONSTANTS.get(node.id))
        if isinstance(node, (ast.BinOp, ast.UnaryOp)):
            return SYNTAX_OPERATORS[type(node.op)](*operands)
        try:
            return _function_called(node.func.id)(*operands)  # type: ignore[attr-defined, misc]
        except (TypeError, ValueError) as error:
            self._refuse(node, str(error))

    def _refuse(self, node: ast.expr, message: str) -> NoReturn:
        raise ExpressionError(message, self.text, self._column(node))

    def _column(self, node: ast.expr) -> int:
        """Where a part begins, or what joins its own parts, in characters; Python counts bytes."""
        first = _before(node)
        end = node.col_offset if first is None else first.end_col_offset
        column = len(self.text.encode()[:end].decode())
        while first is not None and self.text[column] in " )":
            column += 1
        return column


# What people write otherwise than Python does: a pattern, and what to write.
SPELLINGS = {
    r"[a-z_]\w*\s*=(?!=).*": "give what stands right of =, and numbers after it: x**2 x=3",
    r"\S*\s*(√|sqrt\s+\w).*": "a root is sqrt(x)",
    r".*[²³].*": "a power is written with **: x**2",
    r".*[×·⋅].*": "a product is written with *: 2*x",
    r".*[÷].*": "a quotient is written with /: x/2",
    r".*[−–].*": "a minus is the sign -",
    r".*\|.*\|.*": "an absolute value is abs(x)",
    r".*%\s*$": "% is the rest of a division: write 0.1 for 10%",
    r".*!\s*$": "a factorial is gamma(x + 1)",
}
FACTOR = re.compile(r"(?<![\w.])(\d+\.?\d*)\s*([^\W\d]\w*|\()|(\w+)\s+(\w+)|\)\s*(?=[\w(])")


def _no_expression(text: str, column: int, complaint: str) -> ExpressionError:
    """The error of a text that Python cannot read, with what it may have meant."""
    for pattern, remedy in SPELLINGS.items():
        if re.fullmatch(pattern, text, re.IGNORECASE):
            return ExpressionError(f"not an expression: {remedy}", text, column)
    found = FACTOR.search(text)
    if found is None or any(map(keyword.iskeyword, filter(None, found.groups()))):
        return ExpressionError(f"not an expression: {complaint}", text, column)
    number, factor, left, right = found.groups()
    if left is not None and _function_called(left):
        remedy = f"a function has its operands in (): {left}({right})"
    else:
        pair = f"{number or left or 'a'}*{(factor or right or 'b').rstrip('(')}"
        remedy = f"a product is written with *: {pair if pair[-1] != '*' else pair + '(x)'}"
    place = next((found.start(k) for k in (2, 4) if found[k]), found.end())
    return ExpressionError(f"not an expression: {remedy}", text, place)


def _before(node: ast.expr) -> ast.expr | None:
    """What stands before a part's own sign."""
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        return node.value
    if isinstance(node, (ast.BinOp, ast.Compare)):
        return node.left
    if isinstance(node, ast.IfExp):
        return node.body
    return node.values[0] if isinstance(node, ast.BoolOp) else None


def _operands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    return node.args if isinstance(node, ast.Call) else []


def _function_called(name: str) -> Callable[..., Any] | None:
    return BESIDES.get(name) or (None if name in PAIRED else ops.TABLE.get(name))


def _kind(node: ast.AST) -> str:
    """What a part of Python is called."""
    if isinstance(node, ast.Constant):
        return f"{node.value!r:.20}"
    return SYNTAX_NAMES.get(type(node), f"what Python calls {type(node).__name__}")


def _similar(name: str) -> str:
    """The function that may have been meant."""
    if name in OTHER_NAMES:
        return f"; it is called {OTHER_NAMES[name]} here"
    close = difflib.get_close_matches(name, [*BESIDES, *ops.TABLE.keys() - PAIRED], n=1)
    return f"; did you mean {close[0]}?" if close else ""


# --- showing where ------------------------------------------------------------


def _visible(text: str) -> str:
    """The text as a terminal can show it, one sign for each of its characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _width(text: str) -> int:
    """How many columns of a terminal a text takes: some characters take two, some none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(bool(unicodedata.combining(c)) for c in text)
