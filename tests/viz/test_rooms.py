"""The rooms of viz: what they hold, and what they may touch of the library."""

import ast
import importlib

import pytest

from support.project import ROOT

FILES = sorted((ROOT / "viz").rglob("*.py"))
ROOMS = [
    "viz",
    "viz.diagram",
    "viz.player",
    "viz.model",
    "viz.output",
    "viz.notebook",
    "viz.classroom",
]
NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}  # public, whatever they are called


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_lists_what_it_holds(room):
    listed = [line.split("  ")[0] for line in importlib.import_module(room).__doc__.splitlines()]
    hidden = {"__init__.py", "__pycache__", "py.typed"}
    there = {x.name + "/" * x.is_dir() for x in (ROOT / room.replace(".", "/")).iterdir()}
    assert sorted(x for x in listed if x in there) == sorted(
        x for x in there if x.removesuffix("/") not in hidden
    )


def private(name):
    return name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLES


def defined(tree):
    """The names that a file gives to something: functions, classes, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def touched(tree):
    """The private names that a file imports, or reaches through anything but `self`."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.name for alias in node.names if private(alias.name.split(".")[-1]))
        elif isinstance(node, ast.Attribute) and private(node.attr):
            mine = isinstance(node.value, ast.Name) and node.value.id == "self"
            if not mine or node.attr not in set(defined(tree)):
                yield node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("attr"):
            names = [x.value for x in node.args[1:2] if isinstance(x, ast.Constant)]
            yield from filter(private, names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_private_is_touched(path):
    assert list(touched(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "text",
    [
        "v._tape",
        "from miniflow.nn import _parts",
        "import a._b",
        "getattr(v, '_entry')",
        "class A:\n def f(self): return self._x",
        "sys._getframe()",
    ],
)
def test_what_is_private_is_noticed(text):
    assert list(touched(ast.parse(text)))


def test_what_a_file_defines_is_its_own():
    text = "class A:\n def _f(self): self._x = self._f(), x._replace()"
    assert not list(touched(ast.parse(text)))
