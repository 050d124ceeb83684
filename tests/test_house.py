"""The house: short files, shorter functions, one thing for a name, rooms that list their files."""

import ast
import graphlib
import re
import statistics
from collections import Counter, defaultdict

import pytest

from support.project import FILES, MODULES, ROOT, dotted, imported_modules

CORE = ROOT / "miniflow" / "tape" / "core.py"
OTHERS = [x for name in ("tests", "examples", "benchmarks") for x in (ROOT / name).rglob("*.py")]
EVERY = sorted([*FILES, *OTHERS])
ROOMS = sorted({path.parent for path in FILES if path.parent.parent != ROOT})
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef

# A name stands for one thing in the whole tree. These are defined more than once, and why:
FUNCTIONS = {"ceil", "dot", "elu", "floor", "fsum", "hypot", "ldexp", "leaky_relu", "log", "sum"}
FUNCTIONS |= {"maximum", "minimum", "nextafter", "take", "trunc"}
MODULES_OF_BOTH = {"Layer": "neurons", "MLP": "neurons", "Module": "module", "Neuron": "neurons"}
SHARED_NAMES = {
    # micrograd's names: as miniflow has them, and in micrograd's own way
    "Value": {"miniflow.micrograd.engine", "miniflow.tape.core"},
    **{x: {"miniflow.micrograd.nn", f"miniflow.nn.{m}"} for x, m in MODULES_OF_BOTH.items()},
    # the lesson's names: its node is a layer, too, and a neuron
    "Layer": {"miniflow.lesson.node", "miniflow.micrograd.nn", "miniflow.nn.neurons"},
    "Neuron": {"miniflow.lesson.node", "miniflow.micrograd.nn", "miniflow.nn.neurons"},
    "Linear": {"miniflow.lesson.nodes", "miniflow.nn.layers"},
    "Sigmoid": {"miniflow.lesson.nodes", "miniflow.nn.activations"},
    # Keras's name, and the engine's
    "evaluate": {"miniflow.tape.columns", "miniflow.train.evaluate"},
    "Node": {"miniflow.lesson.node", "viz.player.steps"},
    # one function: as a row of the table, and with the arguments that `math` has
    **{x: {"miniflow.math", "miniflow.ops"} for x in FUNCTIONS},
}


def tree(path):
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


# --- sizes --------------------------------------------------------------------


def lines(path):
    """How many lines a file has."""
    return path.read_text(encoding="utf-8").count("\n")


def bodies(module):
    """How many lines each function of a syntax tree has below its head and docstring."""
    for node in ast.walk(module):
        if isinstance(node, FUNCTION):
            first = node.body[1:] if ast.get_docstring(node) else node.body
            yield first[-1].end_lineno - first[0].lineno + 1 if first else 0


def test_the_core_is_read_in_an_evening():
    assert lines(CORE) <= 400


def test_files_of_tests_have_names_of_their_own():
    """Pytest takes two of the same name for one."""
    names = Counter(x.name for x in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_is_long(path):
    assert lines(path) <= 600


def test_functions_are_short():
    assert statistics.median(size for path in FILES for size in bodies(tree(path))) <= 6


def test_functions_are_measured_without_head_and_docstring():
    text = 'def f(\n    x,\n):\n    """What.\n\n    More.\n    """\n    y = x\n    return y\n'
    assert list(bodies(ast.parse(text))) == [2]


# --- names --------------------------------------------------------------------


def defined(statements):
    """The names that statements define: functions, classes, constants, aliases."""
    for node in statements:
        if isinstance(node, FUNCTION | ast.ClassDef):
            yield node.name
            continue
        for part in ("body", "handlers", "orelse", "finalbody"):  # of if, try, for, with
            yield from defined(getattr(node, part, ()))
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (x.id for target in targets if target for x in ast.walk(target)
                    if isinstance(x, ast.Name))  # fmt: skip


def homes():
    """The modules that define each name."""
    found = defaultdict(set)
    for path in FILES:
        for name in defined(tree(path).body):
            if not (name.startswith("__") and name.endswith("__")):
                found[name].add(dotted(path))
    return found


def test_a_name_stands_for_one_thing():
    several = {name: modules for name, modules in homes().items() if len(modules) > 1}
    assert {n: m for n, m in several.items() if not m <= SHARED_NAMES.get(n, set())} == {}
    assert set(SHARED_NAMES) - set(several) == set()


def test_all_ways_to_define_a_name_are_known():
    text = """
def f(): x = 1
class C: x = 1
a = b = 1
c, d = 1, 2
e: int = 3
for g in (): h = 1
try: i = 1
except E: j = 1
else: k = 1
finally: l = 1
if x: m = 1
"""
    assert set(defined(ast.parse(text).body)) == set("fCabcdeghijklm")


# --- rooms --------------------------------------------------------------------


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_lists_its_files(room):
    text = ast.get_docstring(tree(room / "__init__.py"))
    listed = Counter(re.findall(r"^(\w+\.\w+)  +\S", text, re.M))
    there = {path.name for path in room.glob("*.py")} - {"__init__.py"}
    assert {x for x in listed if x.endswith(".py")} == there
    assert all((room / name).is_file() for name in listed)
    assert set(listed.values()) == {1}


def test_no_import_turns_round():
    graph = {dotted(path): imported_modules(path) & set(MODULES) - {dotted(path)} for path in FILES}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises where there is a circle


def test_a_circle_would_be_noticed():
    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
