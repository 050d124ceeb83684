"""Expressions that the command line reads: what they come to, and what is refused."""

import ast
import math
import operator
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from miniflow import Value, ops
from support.profiles import examples
from viz.expression import BESIDES, CONSTANTS, LONGEST_TEXT, Expression, ExpressionError


def value(text, **numbers):
    return Expression(text)({name: Value(x) for name, x in numbers.items()}).data


# --- expressions: what they come to -------------------------------------------

NAMES = ["a", "b", "x1", "θ"]


@st.composite
def expressions(draw, depth=4):
    """An expression, and the same as a function of a dict of numbers."""
    kind = draw(st.sampled_from(["name", "number", "binary", "unary", "call"])) if depth else "name"
    if kind == "name":
        name = draw(st.sampled_from(NAMES))
        return name, lambda numbers: numbers[name]
    if kind == "number":
        number = draw(st.floats(0, 1e3) | st.integers(0, 10**6))
        return repr(number), lambda numbers: float(number)
    left, f = draw(expressions(depth - 1))
    if kind == "unary":
        return f"-({left})", lambda numbers: -f(numbers)
    if kind == "call":
        op = draw(st.sampled_from([ops.tanh, ops.sin, ops.relu, ops.sqrt]))
        return f"{op.name}({left})", lambda numbers: op(f(numbers))
    right, g = draw(expressions(depth - 1))
    sign, op = draw(st.sampled_from([("+", ops.add), ("*", ops.mul), ("-", ops.sub)]))
    return f"({left}) {sign} ({right})", lambda numbers: op(f(numbers), g(numbers))


@given(expressions(), st.lists(st.floats(-9, 9), min_size=4, max_size=4))
def test_an_expression_is_what_python_makes_of_it(pair, xs):
    text, f = pair
    numbers = dict(zip(NAMES, xs, strict=True))
    expression = Expression(text)
    assert set(expression.names) <= set(NAMES)
    found = expression({name: Value(x) for name, x in numbers.items()}).data
    expected = f(numbers)
    assert found == expected or (found != found and expected != expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 ** 2", 19.0),
        ("-2 ** 2", -4.0),
        ("2 ** 3 ** 2", 512.0),
        ("7 // 2 + 7 % 4", 6.0),
        ("1 - 2 - 3", -4.0),
        ("8 / 4 / 2", 1.0),
        ("+-+3", -3.0),
        ("1_000 + 0x10 + 1e2", 1116.0),
        ("max(1, 2, 3) + min(4, 5)", 7.0),
        ("log(8, 2)", 3.0),
        ("hypot(3, 4)", 5.0),
        ("leaky_relu(-1) + elu(0)", -0.01),
        ("where(less(1, 2), 10, 20)", 10.0),
        ("abs(-3) + round(2.6) + fabs(-1)", 7.0),
        ("cos(pi) + log(e) + sin(tau / 2) * 0", 0.0),
        ("1 / 0", math.inf),
        ("-inf", -math.inf),
        ("nan", math.nan),
        ("9**9**9**9", math.inf),
        ("sum(1, 2, 3)", 6.0),
        ("\n 1 +\t2\r\n", 3.0),
    ],
)
def test_numbers_and_functions(text, expected):
    assert value(text) == pytest.approx(expected, nan_ok=True)


def test_every_row_of_the_table_but_pairs_is_a_function():
    for op in ops.BUILTIN:
        if op.name != "dot":
            count = op.arity if op.arity > 0 else 3
            assert isinstance(value(f"{op.name}({', '.join(['0.5'] * count)})"), float)


def test_everything_besides_the_table_is_a_function():
    assert not set(BESIDES) & set(ops.TABLE) - {"hypot", "log", "digamma"}
    for name in BESIDES:
        assert isinstance(value(f"{name}(0.5)"), float)


def test_a_function_of_a_variable_has_gradients():
    a = Value(3.0)
    Expression("max(a, 2) * log(a) + digamma(a) * 0")({"a": a}).backward()
    assert a.grad == pytest.approx(math.log(3) + 1)


def test_a_variable_may_be_called_like_a_function_or_a_constant():
    assert value("gamma * e", gamma=2.0, e=3.0) == 6.0
    assert Expression("sin(b) + pi * sin + b").names == ["b", "pi", "sin"]


def test_names_are_those_that_python_reads():
    ligature = unicodedata.lookup("LATIN SMALL LIGATURE FI")
    assert Expression(ligature).names == ["fi"]


def test_numbers_are_floats_whatever_they_cost_as_ints():
    assert value("7**7**7**7**7") == math.inf
    assert value("2**1023 * 2") == math.inf
    assert value("x**9**9", x=1.0) == 1.0


# --- expressions: what is refused ---------------------------------------------

REFUSED = {
    "a.b": (1, "an attribute"),
    "(a * b ) .real": (9, "an attribute"),
    "a.__class__.__bases__": (11, "an attribute"),
    "a[0]": (1, "an index"),
    "lambda: a": (0, "a lambda"),
    "a < b": (2, "a comparison; where(less(a, b), x, y) chooses"),
    "a == b": (2, "a comparison"),
    "a if b else a": (2, "a condition; where"),
    "a and b": (2, "a logical operator"),
    "a ^ 2": (2, "the operator ^; a power is **"),
    "a @ b": (2, "the operator @"),
    "not a": (0, "the operator not"),
    "~a": (0, "the operator ~"),
    "a << b": (2, "LShift"),
    "'text'": (0, "'text'"),
    "f'{a}'": (0, "a string"),
    "b'x'": (0, "b'x'"),
    "True": (0, "True"),
    "None": (0, "None"),
    "...": (0, "Ellipsis"),
    "2j": (0, "2j"),
    "[a]": (0, "a list"),
    "(a, b)": (0, "a tuple"),
    "{a: b}": (0, "a dict"),
    "{a}": (0, "a set"),
    "[x for x in a]": (0, "ListComp"),
    "(x for x in a)": (0, "GeneratorExp"),
    "(x := a)": (1, "an assignment"),
    "await a": (0, "Await"),
    "sum(*a)": (4, "a starred argument"),
    "sin(x=a)": (6, "a named argument"),
    "sin(**a)": (6, "a named argument"),
    "a.sin()": (1, "an attribute"),
    "sin(a)(b)": (0, "a call of what a call returns"),
    "(lambda: a)()": (1, "a lambda"),
    "__import__('os')": (0, "no function '__import__'"),
    "open(a)": (0, "no function 'open'"),
    "sqr(a)": (0, "no function 'sqr'; did you mean sqrt?"),
    "a + dot(a, b)": (4, "no function 'dot'"),
    "leaf()": (0, "no function 'leaf'"),
    "a # b": (2, "a comment"),
    "1e999": (0, "too large for a float"),
    "1 + " + "9" * 400: (4, "too large for a float"),
    "a +": (3, "not an expression"),
    "a b": (2, "not an expression"),
    "a = 3": (2, "not an expression"),
    "import os": (0, "not an expression"),
    "": (0, "nothing to compute"),
    "  ": (0, "nothing to compute"),
    "日本 ^ 2": (3, "the operator ^"),
}


def refusal(text):
    """What is said against an expression; None where it is computed."""
    try:
        expression = Expression(text)
        expression({name: Value(2.0) for name in expression.names})
    except ExpressionError as error:
        return error
    return None


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused_with_its_place(text):
    column, message = REFUSED[text]
    with pytest.raises(ExpressionError) as caught:
        Expression(text)
    assert message in caught.value.message
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("1 + x", 4, "'x' has no value; add x=1.0"),
        ("1 + sin(1, 2)", 4, "sin: takes 1 operand, got 2"),
        ("max()", 0, "maximum: no numbers"),
        ("log()", 0, "log"),
    ],
)
def test_what_cannot_be_computed_is_refused_with_its_place(text, column, message):
    with pytest.raises(ExpressionError) as caught:
        Expression(text)({})
    assert message in caught.value.message
    assert caught.value.column == column


def test_a_caret_stands_under_the_place():
    with pytest.raises(ExpressionError) as caught:
        Expression("x + y.z")
    assert (
        str(caught.value)
        == "not allowed: an attribute; functions are named alone, as in sin(x)\n  x + y.z\n       ^"
    )


def test_a_caret_allows_for_wide_and_combining_characters():
    for text, indent in (("日本 ^ 2", 5), ("e\u0301 ^ 2", 2)):
        with pytest.raises(ExpressionError) as caught:
            Expression(text)
        assert str(caught.value).splitlines()[-1] == "  " + " " * indent + "^"


def test_of_a_long_expression_the_part_around_the_place_is_shown():
    text = "a + " * 100 + "b.c" + " + a" * 100
    with pytest.raises(ExpressionError) as caught:
        Expression(text)
    _, shown, caret = str(caught.value).splitlines()
    assert len(shown) < 80
    assert shown[caret.index("^")] == "."


DEEP = {
    "minus": "-" * 9_000 + "a",
    "brackets": "(" * 4_000 + "a" + ")" * 4_000,
    "lists": "[" * 9_000,
    "calls": "sin(" * 1_900 + "a" + ")" * 1_900,
    "powers": "a**" * 3_000 + "a",
    "sums": "a+" * 4_900 + "a",
    "attributes": "a" + ".a" * 4_900,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_no_expression_overflows_the_stack(text):
    error = refusal(text)  # another Python may read it
    assert error is None or error.message.startswith(("nested too deeply", "no", "not allowed"))


def test_sums_of_hundreds_of_terms_are_computed():
    assert value(" + ".join(["a"] * 400), a=1.0) == 400.0


def test_a_very_long_expression_is_refused():
    with pytest.raises(ExpressionError, match="more than 10,000 characters"):
        Expression("1" + " " * LONGEST_TEXT + "+ 1")


@given(st.text() | st.text("abx019.+-*/%()[]{},:='\"\\# <>&|^~@\n\0", max_size=40))
@example("\0")
@example("\ud800")
@example("a\\\nb")
@example("1if a else b")
@example("'\\d'")
@example("0777")
@example("1__0")
@examples(300)
def test_any_text_is_computed_or_refused_with_a_place(text):
    error = refusal(text)
    if error is not None:
        assert 0 <= error.column <= len(text)
        assert str(error).splitlines()[-1].strip() == "^"


@given(expressions())
def test_only_what_is_allowed_comes_through(pair):
    allowed = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Constant, ast.Call)
    assert all(isinstance(step, allowed) for step in Expression(pair[0]).steps)


def test_nothing_is_run_as_python(monkeypatch):
    monkeypatch.setattr("builtins.eval", None)
    monkeypatch.setattr("builtins.exec", None)
    assert value("tanh(a)", a=0.0) == 0.0


# --- loading models -----------------------------------------------------------


def test_the_table_of_operators_is_pythons():
    pairs = [("+", operator.add), ("-", operator.sub), ("*", operator.mul), ("/", operator.truediv),
             ("//", operator.floordiv), ("%", operator.mod), ("**", operator.pow)]  # fmt: skip
    for sign, f in pairs:
        assert value(f"a {sign} b", a=7.5, b=2.0) == f(7.5, 2.0)


def test_constants_are_maths():
    assert {name: getattr(math, name) for name in CONSTANTS if name != "nan"} == {
        name: x for name, x in CONSTANTS.items() if name != "nan"
    }
