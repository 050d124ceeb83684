"""The command line: expressions and models, drawn and described."""

import os
import subprocess
import sys
import types
import xml.etree.ElementTree as ET

import pytest

import viz.diagram.dot
from miniflow.nn import MLP
from support.project import INSTALLED
from viz.__main__ import main
from viz.expression import Expression


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
    "no number": (["a", "a="], "must be name=number, as in a=2.5, got 'a='"),
    "a word for a number": (["a", "a=two"], "name=number, as in a=2.5, got 'a=two'"),
    "two signs": (["a", "a==2"], "name=number, as in a=2.5, got 'a==2'"),
    "no name": (["a", "=2"], "a variable's name must be one of Python's, as in a=2.5, got '=2'"),
    "a keyword": (["a", "if=2"], "one of Python's, as in a=2.5, got 'if=2'"),
    "no sign": (["a", "a", "2"], "name=number, as in a=2.5, got 'a'"),
    "another option": (["a", "a=1", "--gradient"], "unrecognized arguments: --gradient"),
    "another theme": (["a", "a=1", "--theme", "blue"], "'blue'"),
    "no file": (["a", "a=1", "-o"], "expected one argument"),
    "another suffix": (
        ["a", "a=1", "-o", "x.bmp"],
        "--output must end in .svg, .png, .pdf, .dot, .gv or .html",
    ),
    "no suffix": (["a", "a=1", "-o", "svg"], "which tells the format, got 'svg'"),
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
            cwd=INSTALLED, env=os.environ | {"PYTHONIOENCODING": "utf-8"}, capture_output=True,
            encoding="utf-8", check=False,
        )  # fmt: skip

    done = run("tanh(a*b + c)", "a=2", "b=-3", "c=10", "-o", str(tmp_path / "graph.svg"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "tanh" in texts(tmp_path / "graph.svg")
    done = run("a.b", "a=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "viz: not allowed: an attribute; functions are named alone, as in sin(x)\n  a.b\n   ^\n"
    )


# --- the command: models ------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    MLP(2, [3, 1], activation="tanh", seed=1).save(tmp_path / "model.json")
    return tmp_path / "model.json"


def test_a_saved_model_is_drawn(command, saved, tmp_path):
    path = tmp_path / "net.svg"
    assert command(saved, "-o", path, "--theme", "dark") == (0, "", "")
    assert {"layers.0", "3 · tanh", "1 · linear"} <= set(texts(path))
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
