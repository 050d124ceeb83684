"""Target: an expression of the command line. It is computed as Python computes it, or refused."""

import ast
import contextlib
import io

from miniflow import Value, grad
from support.bits import bits
from viz.__main__ import main
from viz.expression import BESIDES, CONSTANTS, PAIRED, Expression, ExpressionError

from miniflow.ops import TABLE  # isort: skip

NAMES = ["a", "b", "x1", "θ"]
FUNCTIONS = {**{name: op for name, op in TABLE.items() if name not in PAIRED}, **BESIDES}
TOKENS = [
    *NAMES, *CONSTANTS, *sorted(FUNCTIONS), *"()()()()+-*/%,=.[]{}^~@<'#:²√−πé\n\t\0\\ ", "**",
    "//", "1", "2", "0.5", "0", "1e308", "0x1F", "1_0", "9" * 400, "if", "else", "lambda", "not",
    "and", '"', "f'", ":=", "__", "dot",
]  # fmt: skip
LONGEST = 40  # tokens


def text(reader):
    """An expression by the grammar, one of tokens as they come, or any text."""
    kind = reader.below(4)
    if kind < 2:
        return formula(reader, 4)
    if kind == 2:
        return "".join([reader.choice(TOKENS) for _ in range(reader.below(LONGEST))])
    return reader.rest().decode("utf-8", "surrogateescape")


def formula(reader, depth):
    """An expression that is right, but for the number of its functions' operands."""
    kind = reader.below(6) if depth else reader.below(2)
    if kind == 0:
        return reader.choice([*NAMES, *CONSTANTS])
    if kind == 1:
        return repr(abs(reader.number()))
    parts = [formula(reader, depth - 1) for _ in range(1 + reader.below(3))]
    if kind == 2:
        return f"{reader.choice('-+')}{parts[0]}"
    if kind == 3:
        return f"{reader.choice(sorted(FUNCTIONS))}({', '.join(parts)})"
    sign = reader.choice(["+", "-", "*", "/", "//", "%", "**"])
    return f"({parts[0]}) {sign} {parts[-1]}"


class Values(ast.NodeTransformer):
    """Each number as a Value, so that Python's operators do not compute on floats."""

    def visit_Constant(self, node):
        return ast.Call(ast.Name("Value", ast.Load()), [ast.Constant(float(node.value))], [])


def python(expression, numbers):
    """What Python makes of an expression: its own order of operations, and Value's operators."""
    tree = Values().visit(ast.parse(expression.text, mode="eval"))
    code = compile(ast.fix_missing_locations(tree), "expression", "eval")
    constants = {name: Value(x) for name, x in CONSTANTS.items()}
    names = {"Value": Value, **constants, **{n: Value(x) for n, x in numbers.items()}}
    found = eval(code, {"__builtins__": {}, **FUNCTIONS, **names})
    return found.data if isinstance(found, Value) else found


def expressions(reader):
    """Judge a text."""
    numbers = {name: reader.number() for name in NAMES}
    asked = reader.below(8) == 7  # the command as a whole: to read its options takes longest
    given = text(reader)
    status = command(given, numbers) if asked else None
    variables = {name: Value(x) for name, x in numbers.items()}
    try:
        expression = Expression(given)
        y = expression(variables)
    except ExpressionError:
        assert status in (2, None), (given, status)
        return
    right = python(expression, numbers)
    assert bits(y) == bits(right), f"{given!r} at {numbers}: {y.data}, Python's {right}"
    y.backward()
    slopes = grad(lambda *xs: expression(dict(zip(NAMES, xs, strict=True))), (0, 1, 2, 3))
    swept = [variables[name].grad for name in NAMES]
    right = [x + 0.0 for x in slopes(*numbers.values())]  # 0.0 + -0.0 is 0.0
    assert bits(swept) == bits(right), f"{given!r} at {numbers}: {swept}, not {right}"


def command(given, numbers):
    """The command's status; it complains in one way, on the right stream."""
    shown = [f"{name}={x!r}" for name, x in numbers.items() if name in given]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(["--grad", given, *shown])
        except SystemExit as leave:  # asked for help
            status = 2 if leave.code else 0
    assert status in (0, 1, 2), given
    assert bool(err.getvalue()) == (status != 0), (given, err.getvalue())
    return status
