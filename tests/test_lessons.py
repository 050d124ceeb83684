"""Lesson 00 has the engine's answers, bit for bit; every example and every answer runs.

Terms:
    lesson  examples/00_engine.py, as a dict of its names
    here    the engine that the tests run on
    there   the other one, in a process of its own
    step    an operation of a random graph; an operand is a node's number (int) or a float
"""

import ast
import contextlib
import io
import operator
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import miniflow
from miniflow import ops

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parent / "examples"
INSTALLED = Path(miniflow.__file__).parent.parent  # where the package is that is tested
OTHER = {"compiled": "python", "python": "compiled"}[miniflow.engine]
SOURCE = (EXAMPLES / "00_engine.py").read_text(encoding="utf-8")
inf, nan = float("inf"), float("nan")


# --- lesson 00 against both engines ---------------------------------------------

CHILD = """
import pickle, sys
sys.path[:0] = {paths!r}
import miniflow, test_lessons
out, sys.stdout = sys.stdout.buffer, sys.stderr
pickle.dump(miniflow.engine, out); out.flush()
while True:
    graph = pickle.load(sys.stdin.buffer)
    pickle.dump(test_lessons.answers(miniflow.Value, graph), out); out.flush()
"""


@pytest.fixture(scope="module")
def there():
    """A function: what the other engine answers; None if there is no other one."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(paths=[str(INSTALLED), str(TESTS)])],
        env={**os.environ, "MINIFLOW_ENGINE": OTHER},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert pickle.load(process.stdout) == OTHER
    except EOFError:
        message = process.communicate()[1].decode()
        assert "no compiled engine" in message, message
        yield lambda graph: None
        return

    def answers_there(graph):
        pickle.dump(graph, process.stdin)
        process.stdin.flush()
        return pickle.load(process.stdout)

    with process:
        yield answers_there
        process.kill()


def load(source):
    """The names of a lesson, of the text of one; what it prints is dropped."""
    names = {"__name__": "lesson"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, "00_engine.py", "exec"), names)
    return names


@pytest.fixture(scope="module")
def lesson():
    return load(SOURCE)


class Step(NamedTuple):
    name: str
    operands: tuple


class Graph(NamedTuple):
    """A random graph: its leaves' numbers, its steps, and which nodes are swept from, in order."""

    leaves: list
    steps: list
    outputs: list


def answers(kind, graph):
    """All numbers of a graph of Values of a kind, and all gradients after each sweep."""
    leaves = [kind(x) for x in graph.leaves]
    nodes = list(leaves)
    for name, operands in graph.steps:
        nodes.append(ops.TABLE[name](*[nodes[x] if type(x) is int else x for x in operands]))
    values = [v for v in nodes if type(v) is kind]

    def swept(y):
        if type(y) is kind:
            y.backward()
        return [v.grad.hex() for v in values]

    found = [[(v.data if type(v) is kind else v).hex() for v in nodes]]
    return found + [swept(nodes[k]) for k in graph.outputs]


def check(lesson, graph, there):
    """The lesson's answers are those of the engine here, and of the one there."""
    lesson["tape"].clear()
    found = answers(lesson["Value"], graph)
    assert found == answers(miniflow.Value, graph)
    assert there(graph) in (None, found)


SPECIAL = [
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, 1.5, -7.25, 0.1, 710.0, -745.0, 1e16, 2.0**53),
    *(inf, -inf, nan, 5e-324, -1e-310, 2.0**-1022, 1e-200, 1e200, -1.7976931348623157e308),
]
tame = st.floats(-4, 4)
wild = st.sampled_from(SPECIAL) | st.floats()
WIDE = [name for name, op in ops.TABLE.items() if op.arity not in (1, 2)]  # uses meet there


@st.composite
def steps(draw, name, count, number):
    """A step on `count` nodes: a recent one with others, itself and plain numbers."""
    arity = ops.TABLE[name].arity
    if arity < 0:
        arity = 2 * draw(st.integers(1, 3)) if name == "dot" else draw(st.integers(1, 6))
    recent, node = st.integers(max(0, count - 3), count - 1), st.integers(0, count - 1)
    operands = [draw(recent | node | number) for _ in range(arity)]
    operands[draw(st.integers(0, arity - 1))] = draw(recent)
    return Step(name, tuple(operands))


@st.composite
def graphs(draw, name=None, longest=12):
    """A graph of any rows, one of them `name`."""
    number = draw(st.sampled_from([tame, wild, tame | wild]))
    leaves = draw(st.lists(number, min_size=1, max_size=4))
    row = st.sampled_from(list(ops.TABLE)) | st.sampled_from(WIDE)
    names = draw(st.lists(row, max_size=longest))
    if name is not None:
        names.insert(draw(st.integers(0, len(names))), name)
    found = []
    for each in names:
        found.append(draw(steps(each, len(leaves) + len(found), number)))
    count = len(leaves) + len(found)
    outputs = draw(st.lists(st.integers(max(0, count - 4), count - 1), min_size=1, max_size=3))
    return Graph(leaves, found, outputs)


EDGES = {
    "the sum of three shares depends on their order": Graph(
        [1.0, 0.2, 0.6], [Step("dot", (0, 0, 1, 2)), Step("add", (3, 0))], [4, 4]
    ),
    "an adjoint is 0, a slope infinite": Graph(
        [0.0], [Step("log", (0,)), Step("mul", (0.0, 1))], [2]
    ),
    "an adjoint is -0": Graph([1.0], [Step("exp", (0,)), Step("mul", (1, -0.0))], [2]),
    "an operand is flat, an adjoint infinite": Graph(
        [0.5], [Step("ceil", (0,)), Step("mul", (1, inf))], [2]
    ),
}


@pytest.mark.parametrize("edge", EDGES)
def test_the_lesson_has_the_engines_answers_at_edges(lesson, there, edge):
    check(lesson, EDGES[edge], there)


@settings(max_examples=150)
@given(graph=graphs())
def test_the_lesson_has_the_engines_answers(lesson, there, graph):
    check(lesson, graph, there)


@pytest.mark.parametrize("name", ops.TABLE)
@settings(max_examples=10)
@given(data=st.data())
def test_the_lesson_has_the_engines_answers_with_every_row(lesson, there, name, data):
    check(lesson, data.draw(graphs(name, longest=3)), there)


# what the lesson says, and what a wrong one would say in its place
WRONG = {
    "adjoints of 0 are passed over": ("if y in adjoint:", "if adjoint.get(y):"),
    "the oldest first": ("reversed(tape)", "list(tape)"),
    "the last operand first": ("in enumerate(y.operands)", "in [*enumerate(y.operands)][::-1]"),
    "flat operands are reached": (" and y.op.follows(k)", ""),
    "a first share is added to 0": ("adjoint.get(x, -0.0)", "adjoint.get(x, 0.0)"),
    "the last share only": ("adjoint.get(x, -0.0) + ", ""),
    "gradients of leaves do not add up": ("if y.op else y.grad + adjoint[y]", ""),
    "those of computed Values do": ("adjoint[y] if y.op else y.grad + adjoint[y]",
                                    "y.grad + adjoint[y]"),
    "leaves take each share at once": (
        "adjoint[x] = adjoint.get(x, -0.0) + adjoint[y] * slope",
        "share = adjoint[y] * slope; "
        "adjoint[x] = 0.0 if not x.op else adjoint.get(x, -0.0) + share; "
        "x.grad += 0.0 if x.op else share",
    ),
    "formulas see another result": ("operands)], y.data)", "operands)], number(y.operands[0]))"),
    "what was not selected gets 0 times its adjoint": (
        "y.op.condition(k, y.operands, slope)", "True"
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_lesson_is_caught(wrong):
    right, instead = WRONG[wrong]
    assert SOURCE.count(right) == 1
    lesson = load(SOURCE.replace(right, instead))

    @settings(
        max_examples=2000, derandomize=True, database=None, phases=[Phase.generate],
        report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(graph=graphs())
    def at_any(graph):
        check(lesson, graph, lambda graph: None)

    def everywhere():
        for graph in EDGES.values():
            check(lesson, graph, lambda graph: None)
        at_any()

    with pytest.raises(AssertionError):
        everywhere()


OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "**": operator.pow, "negative": lambda a, b: -a * b,
}  # fmt: skip


def operated(kind, f, a, b):
    """An operator on two Values, and on one and a plain number: numbers and gradients."""
    found = []
    for x, y in [(kind(a), kind(b)), (kind(a), b), (kind(a), int(b)), (a, kind(b))]:
        if f is not operator.pow or type(x) is kind:
            z = f(x, y)
            z.backward()
            found += [v.hex() for v in (z.data, *[v.grad for v in (x, y) if type(v) is kind])]
    return found


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize(("a", "b"), [(1.75, -3.0), (2.5, 2.0), (0.0, -1.0), (-0.0, 5.0)])
def test_the_lessons_operators_are_the_engines(lesson, name, a, b):
    f = OPERATORS[name]
    assert operated(lesson["Value"], f, a, b) == operated(miniflow.Value, f, a, b)


def test_the_lesson_does_not_ask_for_the_partials_of_plain_numbers(lesson, row):
    def never(a, b, y):
        raise AssertionError

    scaled = row("scaled", lambda a, b: a * b, lambda a, b, y: b, never)
    for kind in (lesson["Value"], miniflow.Value):
        x = kind(3.0)
        scaled(x, 2.0).backward()
        assert x.grad == 2.0
        with pytest.raises(AssertionError):
            scaled(x, kind(2.0)).backward()


def test_the_lesson_takes_plain_numbers_only_for_data(lesson):
    for data in (lesson["Value"](1.0), miniflow.Value(1.0), "1", None, 1j):
        with pytest.raises(TypeError):
            lesson["Value"](data)


def test_the_lesson_is_one_page():
    assert len(SOURCE.splitlines()) <= 60
    assert max(map(len, SOURCE.splitlines())) <= 100


# --- every example and every answer ---------------------------------------------

LESSONS = sorted(EXAMPLES.glob("[0-9]*.py"))
ANSWERS = sorted((EXAMPLES / "answers").glob("*.py"))
SLOW = ("06", "08", "09", "10", "12", "16", "17")  # a second or more, on the engine as Python ten


def marked(path):
    """A program's path, for a test that runs it."""
    marks = [pytest.mark.slow] if path.name.startswith(SLOW) else []
    return pytest.param(str(path.relative_to(EXAMPLES)), marks=marks)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The examples in a folder of their own, into which they may write."""
    skipped = shutil.ignore_patterns("output", "gallery", "__pycache__")
    return shutil.copytree(
        EXAMPLES, tmp_path_factory.mktemp("lessons") / "examples", ignore=skipped
    )


@pytest.mark.parametrize("program", [marked(path) for path in [*LESSONS, *ANSWERS]])
def test_examples_and_answers_run_without_a_warning(copy, program):
    environment = {**os.environ, "PYTHONPATH": str(INSTALLED)}
    environment.pop("MINIFLOW_ENGINE", None)  # on the engine that a reader has
    done = subprocess.run(
        [sys.executable, "-W", "error", str(copy / program)],
        cwd=copy, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr, done.stderr


def test_examples_are_numbered_without_a_gap():
    assert [path.name[:3] for path in LESSONS] == [f"{k:02}_" for k in range(len(LESSONS))]


def test_there_is_an_answer_for_each_example():
    assert [path.name[:3] for path in ANSWERS] == [path.name[:3] for path in LESSONS]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_an_example_ends_with_an_exercise_of_one_to_three_sentences(path):
    text = path.read_text(encoding="utf-8")
    *_, last = text.rstrip().split("\n\n")
    lines = last.splitlines()
    assert lines[0].startswith("# Exercise: ")
    assert all(line.startswith("# ") for line in lines)
    sentences = re.findall(r"[.?!](?=\s|$)", " ".join(line[2:] for line in lines))
    assert 1 <= len(sentences) <= 3


@pytest.mark.parametrize("path", [*LESSONS, *ANSWERS], ids=lambda path: path.stem)
def test_examples_and_answers_say_what_they_are_about(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_answers_assert_that_they_are_right(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))
