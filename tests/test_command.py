"""The command line, the expressions that it reads, and the models that it loads."""

import ast
import math
import operator
import os
import subprocess
import sys
import types
import unicodedata
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import viz.diagram.dot
from miniflow import Value, nn, ops
from miniflow.nn import MLP, Layer, Module, Neuron, load
from viz.__main__ import main
from viz.expression import BESIDES, CONSTANTS, LONGEST, Expression, ExpressionError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def command(capsys):
    """A function that runs the command: its exit status, what it prints, its complaint."""

    def run(*arguments):
        status = main([str(x) for x in arguments])
        printed, complaint = capsys.readouterr()
        return status, printed, complaint

    return run


def texts(path):
    return [x.text for x in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


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
    "a +": (3, "no expression"),
    "a b": (2, "no expression"),
    "a = 3": (2, "no expression"),
    "import os": (0, "no expression"),
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
        ("1 + sin(1, 2)", 4, "sin: takes 1 operands, got 2"),
        ("max()", 0, "max: no numbers"),
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
    assert str(caught.value) == "not allowed: an attribute\n  x + y.z\n       ^"


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
        Expression("1" + " " * LONGEST + "+ 1")


@given(st.text() | st.text("abx019.+-*/%()[]{},:='\"\\# <>&|^~@\n\0", max_size=40))
@example("\0")
@example("\ud800")
@example("a\\\nb")
@example("1if a else b")
@example("'\\d'")
@example("0777")
@example("1__0")
@settings(max_examples=300)
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


# --- the command: expressions -------------------------------------------------


def test_the_value_is_printed(command):
    assert command("tanh(a*b + c)", "a=2", "b=-3", "c=10") == (0, "0.999329299739067\n", "")
    assert command("2 + 3") == (0, "5.0\n", "")


def test_gradients_are_printed_in_the_order_of_the_variables(command):
    status, printed, _ = command("a*b + a", "b=5", "--grad", "a=2")
    assert (status, printed) == (0, "12.0\ngrad b = 2.0\ngrad a = 6.0\n")


@pytest.mark.parametrize("text", ["-a*2", "--a * 1", "-(a)", "-a", "-o1 * 0 - a", "- a"])
def test_an_expression_may_begin_with_a_minus(command, text):
    status, printed, complaint = command(text, "a=-3", *["o1=1"] * ("o1" in text))
    assert (status, complaint) == (0, "")
    assert float(printed) == eval(text, {"a": -3.0, "o1": 1.0})


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "dot", "gv", "SVG"])
def test_the_graph_is_drawn(command, tmp_path, suffix):
    path = tmp_path / f"graph.{suffix}"
    assert command("a*b", "a=2", "b=3", "-o", path) == (0, "", "")
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph", "gv": b"digraph"}
    assert path.read_bytes().startswith(start.get(suffix, b"<?xml"))
    assert list(tmp_path.iterdir()) == [path]


def test_the_graph_has_labels_numbers_and_gradients(command, tmp_path):
    path = tmp_path / "graph.svg"
    status, printed, _ = command("a*b", "a=2", "b=3", "-o", path, "--grad")
    assert (status, printed) == (0, "grad a = 3.0\ngrad b = 2.0\n")
    shown = " ".join(texts(path))
    assert all(text in shown for text in ("a", "b", "2.0000", "6.0000", "3.0000", "1.0000"))


def test_the_theme_is_handed_on(command, tmp_path, monkeypatch):
    asked = []

    def draw_dot(root, **options):
        asked.append((root.data, options))
        return original(root)

    original = viz.diagram.dot.draw_dot
    monkeypatch.setattr(viz.diagram.dot, "draw_dot", draw_dot)
    for theme in ("light", "dark"):
        command("a", "a=2", "-o", tmp_path / "x.dot", "--theme", theme)
    assert asked == [(2.0, {"theme": "light"}), (2.0, {"theme": "dark"})]


def test_a_page_is_made_by_the_player(command, tmp_path, monkeypatch):
    player, asked = types.ModuleType("viz.player.page"), []
    player.play = lambda root, path, *, theme, title: asked.append((root.data, path, theme, title))
    monkeypatch.setitem(sys.modules, "viz.player.page", player)
    page = tmp_path / "steps.HTML"
    assert command("a*b", "a=2", "b=3", "-o", page, "--theme", "dark") == (0, "", "")
    assert asked == [(6.0, page, "dark", "a*b")]


WRONG = {
    "no arguments": ([], "give an expression, or a model's file"),
    "a missing value": (["a*b", "a=1"], "'b' has no value; add b=1.0"),
    "a value too many": (["a", "a=1", "z=2"], "z= is given, but z is not in the expression"),
    "a value twice": (["a", "a=1", "a=2"], "a= is given twice"),
    "no number": (["a", "a="], "'a=' is not name=number, as in a=2.5"),
    "a word for a number": (["a", "a=two"], "'a=two' is not name=number"),
    "two signs": (["a", "a==2"], "'a==2' is not name=number"),
    "no name": (["a", "=2"], "'' is no name"),
    "a keyword": (["a", "if=2"], "'if' is no name"),
    "no sign": (["a", "a", "2"], "'a' is not name=number"),
    "another option": (["a", "a=1", "--gradient"], "unrecognized arguments: --gradient"),
    "another theme": (["a", "a=1", "--theme", "blue"], "'blue'"),
    "no file": (["a", "a=1", "-o"], "expected one argument"),
    "another suffix": (["a", "a=1", "-o", "x.bmp"], "'x.bmp' does not tell the format; end it in"),
    "no suffix": (["a", "a=1", "-o", "svg"], "'svg' does not tell the format"),
    "an attribute": (["a.b", "a=1"], "not allowed: an attribute"),
    "an abbreviation": (["a", "a=1", "--gra"], "unrecognized"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_command_is_explained(command, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    arguments, message = WRONG[name]
    status, printed, complaint = command(*arguments)
    assert (status, printed) == (2, "")
    assert complaint.startswith("viz: ")
    assert message in complaint
    assert "Traceback" not in complaint
    assert complaint.count("\n") == (3 if "^" in complaint else 1)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_an_error(command, tmp_path):
    path = tmp_path / "nowhere" / "x.svg"
    assert command("a", "a=1", "-o", path) == (1, "", f"viz: {path}: No such file or directory\n")
    (tmp_path / "x.svg").mkdir()
    status, _, complaint = command("a", "a=1", "-o", tmp_path / "x.svg")
    assert status == 1
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError, RuntimeError, OSError])
def test_a_failure_of_the_drawing_is_one_line(command, tmp_path, monkeypatch, error):
    def render(root, path):
        raise error("out of ink")

    monkeypatch.setattr(viz.diagram.dot, "render", render)
    assert command("a", "a=1", "-o", tmp_path / "x.svg") == (1, "", "viz: out of ink\n")


def test_ctrl_c_leaves_no_traceback(command, monkeypatch):
    def interrupted(self, variables):
        raise KeyboardInterrupt

    monkeypatch.setattr(Expression, "__call__", interrupted)
    assert command("a", "a=1") == (1, "", "viz: interrupted\n")


def test_a_missing_player_or_graphviz_is_one_line(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "viz.player.page", None)
    status, _, complaint = command("a", "a=1", "-o", tmp_path / "x.html")
    assert (status, complaint.count("\n")) == (1, 1)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, complaint = command("a", "a=1", "-o", tmp_path / "x.svg")
    assert status == 1
    assert "pip install pygraphviz" in complaint


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_help_gives_examples(command, capsys, option):
    with pytest.raises(SystemExit) as caught:
        command(option)
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for text in ('python -m viz "tanh(a*b + c)"', "model.json -o net.svg", "--grad", "--theme"):
        assert text in printed


def test_the_command_as_a_process(tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "viz", *arguments],
            cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": "utf-8"}, capture_output=True,
            encoding="utf-8", check=False,
        )  # fmt: skip

    done = run("tanh(a*b + c)", "a=2", "b=-3", "c=10", "-o", str(tmp_path / "graph.svg"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "tanh" in texts(tmp_path / "graph.svg")
    done = run("a.b", "a=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "viz: not allowed: an attribute\n  a.b\n   ^\n"


# --- the command: models ------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    MLP(2, [3, 1], activation="tanh", seed=1).save(tmp_path / "model.json")
    return tmp_path / "model.json"


def test_a_saved_model_is_drawn(command, saved, tmp_path):
    path = tmp_path / "net.svg"
    assert command(saved, "-o", path, "--theme", "dark") == (0, "", "")
    assert {"layer 1", "3 · tanh", "1 · linear"} <= set(texts(path))
    assert viz.output.palette.DARK.background in path.read_text("utf-8")


def test_a_saved_model_is_described(command, saved):
    assert command(saved) == (0, "MLP   2 -> 3 -> 1   13 parameters\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a=2"], "are for expressions"),
        (["--grad"], "are for expressions"),
        (["-o", "x.html"], "a page steps through an expression"),
    ],
)
def test_what_makes_no_sense_for_a_model_is_refused(command, saved, arguments, message):
    status, _, complaint = command(saved, *arguments)
    assert (status, complaint.count("\n")) == (2, 1)
    assert message in complaint


@pytest.mark.parametrize("content", [None, "", "{}", "[" * 5000, '{"format": "miniflow 9"}'])
def test_a_file_that_is_no_model_is_an_error(command, tmp_path, content):
    path = tmp_path / "model.json"
    if content is not None:
        path.write_text(content)
    status, _, complaint = command(path)
    assert (status, complaint.count("\n")) == (1, 1)
    assert "model.json" in complaint


# --- loading models -----------------------------------------------------------


def mixed():
    layer = Layer(2, 3, activation="tanh", seed=1)
    layer.neurons[1] = Neuron(2, activation="relu", seed=2)
    layer.neurons[2] = Neuron(2, nonlin=False, seed=3)
    return layer


def changed():
    model = MLP(2, [3, 2, 1], seed=1)
    model.layers[0] = mixed()
    model.layers[2].neurons[0] = Neuron(2, activation="sigmoid", seed=4)
    return model


@pytest.mark.parametrize(
    "model",
    [
        changed(),
        Neuron(3, activation="gelu", seed=1),
        Neuron(1, nonlin=False, seed=1),
        Layer(2, 3, seed=1),
        mixed(),
        MLP(2, [4, 3, 1], activation="tanh", seed=1),
        MLP(2, [2], seed=1),
        MLP(2, [2, 1], activation=None, seed=1),
    ],
    ids=repr,
)
def test_a_saved_model_is_made_again(model, tmp_path):
    model.save(tmp_path / "m.json")
    twin = load(tmp_path / "m.json")
    assert type(twin) is type(model)
    assert repr(twin) == repr(model)
    assert twin.state_dict() == model.state_dict()
    x = [0.5, -1.0, 2.0][: next(iter(model.config().get("sizes", [0]))) or None]
    x = x[: len(model.w)] if isinstance(model, Neuron) else x[:2]
    assert str(twin(x)) == str(model(x))


def test_loading_leaves_random_numbers_alone(tmp_path, monkeypatch):
    small = MLP(2, [2, 1], seed=1)
    small.save(tmp_path / "m.json")
    monkeypatch.setattr(nn.random, "uniform", None)
    assert load(tmp_path / "m.json").state_dict() == small.state_dict()


class Own(Module):
    def __init__(self):
        self.w = Value(1.0)


def shifted(x):
    return x + 1.0


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Own(),
            "'Own' is no MLP, no Layer with neurons and no Neuron; make such a model and call",
        ),
        (Neuron(1, activation=shifted), "'shifted' is no function of one number.*call its load"),
    ],
)
def test_a_model_that_cannot_be_made_says_what_to_do(model, message, tmp_path):
    model.save(tmp_path / "m.json")
    with pytest.raises(ValueError, match=f"load: .*m.json.*{message}"):
        load(tmp_path / "m.json")


@pytest.mark.parametrize(
    "config",
    [
        '{"class": "MLP", "sizes": [1000000000, 1000000000], "activation": "relu"}',
        '{"class": "MLP", "sizes": [2, 1]}',
        '{"class": "MLP", "sizes": [], "activation": "relu"}',
        '{"class": "MLP", "sizes": 3, "activation": "relu"}',
        '{"class": "MLP", "sizes": ["2", 1], "activation": "relu"}',
        '{"class": "MLP", "sizes": [-2, -3], "activation": "relu"}',
        '{"class": "Neuron", "size": -1, "activation": "relu"}',
        '{"class": "Neuron", "size": 1e9, "activation": "relu"}',
        '{"class": "Layer", "neurons": []}',
        '{"class": "MLP", "sizes": [1, 1], "activation": "relu", "layers": []}',
        '{"class": "MLP", "sizes": [1, 1], "activation": "relu", "layers": 3}',
        '{"class": "MLP", "sizes": [1, 1], "activation": "relu", "layers": [3]}',
        '{"class": "MLP", "sizes": [9], "layers": [{"class": "Neuron", "size": 0, '
        '"activation": "relu"}]}',
        '{"class": "MLP", "sizes": [9], "layers": [{"class": "Layer", "neurons": []}]}',
        '{"class": "Layer", "neurons": [3]}',
        '{"class": ["MLP"]}',
        "3",
        "[]",
        "null",
    ],
)
@pytest.mark.parametrize("state", ['{"b": 1.0}', "{}", "3", '{"w.0": 1.0, "w.1": 2.0, "b": 0.0}'])
def test_a_made_up_file_is_a_value_error(config, state, tmp_path):
    path = tmp_path / "m.json"
    path.write_text(f'{{"format": "miniflow 1", "model": {config}, "state": {state}}}')
    with pytest.raises(ValueError, match=r"load: .*m\.json"):
        load(path)


def test_the_table_of_operators_is_pythons():
    pairs = [("+", operator.add), ("-", operator.sub), ("*", operator.mul), ("/", operator.truediv),
             ("//", operator.floordiv), ("%", operator.mod), ("**", operator.pow)]  # fmt: skip
    for sign, f in pairs:
        assert value(f"a {sign} b", a=7.5, b=2.0) == f(7.5, 2.0)


def test_constants_are_maths():
    assert {name: getattr(math, name) for name in CONSTANTS if name != "nan"} == {
        name: x for name, x in CONSTANTS.items() if name != "nan"
    }
