"""The project as a whole: what imports what, names, docstrings."""

import ast
import configparser
import contextlib
import doctest
import importlib
import inspect
import io
import re
import subprocess
import sys

import pytest

import miniflow
from support.project import (
    FILES,
    INSTALLED,
    MODULES,
    PACKAGES,
    ROOT,
    dotted,
    imported,
    imported_modules,
)

# --- imports ------------------------------------------------------------------

# The rooms, from the ground up: a module imports from rooms below its own, and from its own.
# Rooms on one floor do not know each other.
FLOORS = [
    ["miniflow.util"],
    ["miniflow.floats", "miniflow.operation"],
    ["miniflow.ops"],
    ["miniflow.tape"],
    ["miniflow.math"],
    ["miniflow.transforms", "miniflow.program", "miniflow.linalg", "miniflow.numpy_functions"],
    ["miniflow.native"],
    ["miniflow.compiled"],
    ["miniflow.cache", "miniflow.equation", "miniflow.losses", "miniflow.optim"],
    ["miniflow.system"],
    ["miniflow.implicit"],
    ["miniflow.nn"],
    ["miniflow.micrograd", "miniflow.lesson"],
    ["miniflow.debug", "miniflow.testing"],
    ["miniflow.train"],
    ["miniflow"],
    ["viz.output", "viz.expression"],
    ["viz.diagram"],
    ["viz.model", "viz.player"],
    ["viz.classroom", "viz.notebook"],
    ["viz"],
]
# What does not follow from its room. The installation asks for the rules as C, above the engine.
FLOOR_OF = {"miniflow.tape.c_rules": "miniflow.program", "viz.__main__": "viz"}
# These load when they are first needed, inside of a function.
LAZY = {"numpy", "graphviz", "pygraphviz", "matplotlib", "tqdm", "llvmlite", "mpmath", "pytest"}
LAZY |= {"scipy"}

# What is made of Hypothesis's classes, and imported by tests only.
OF_HYPOTHESIS = {f"miniflow.testing.{name}" for name in ("machine", "property_tests", "strategies")}


def room(module):
    """The room that a module is in."""
    if module in FLOOR_OF:
        return FLOOR_OF[module]
    return module if module.count(".") == 0 else ".".join(module.split(".")[:2])


FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}


@pytest.mark.parametrize("path", FILES, ids=dotted)
def test_imports_lead_to_lower_rooms(path):
    mine = room(dotted(path))
    for name in imported_modules(path):
        assert room(name) == mine or FLOOR[room(name)] < FLOOR[mine], name


def test_every_room_is_on_one_floor():
    assert {room(name) for name in MODULES} == set(FLOOR)
    assert sum(map(len, FLOORS)) == len(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=dotted)
def test_at_its_top_a_module_imports_the_standard_library_only(path):
    others = {(name.split(".")[0], top) for name, top in imported(path)}
    others = {(n, top) for n, top in others if n not in sys.stdlib_module_names | set(PACKAGES)}
    if dotted(path) in OF_HYPOTHESIS:
        others -= {("hypothesis", True)}
    assert {n for n, _ in others} <= LAZY | {"cython"}  # for the type checker
    assert not [n for n, top in others if top and not dotted(path).startswith("viz")]


def newly_loaded(statement):
    """The top-level modules that a statement loads, in a fresh interpreter."""
    code = f"import sys; b = set(sys.modules); {statement}; print(*set(sys.modules) - b)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=INSTALLED, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name.split(".")[0] for name in run.stdout.split()}


@pytest.mark.parametrize(
    "module",
    [name for name in MODULES if name.startswith("miniflow") and name not in OF_HYPOTHESIS],
)
def test_importing_loads_no_third_party_package(module):
    loaded = newly_loaded(f"import {module}")
    assert {x for x in loaded - sys.stdlib_module_names if "cython" not in x} == {"miniflow"}


@pytest.mark.parametrize("module", ["output.palette", "expression", "model.plots", "__main__"])
def test_what_draws_nothing_yet_loads_no_third_party_package(module):
    loaded = newly_loaded(f"import viz.{module}")
    assert {x for x in loaded - sys.stdlib_module_names if "cython" not in x} <= {"miniflow", "viz"}


def test_a_third_party_package_would_be_noticed():
    assert "pytest" in newly_loaded("import pytest") - sys.stdlib_module_names


# --- names and docstrings ------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_all_lists_what_there_is_once(name):
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert len(listed) == len(set(listed))
    assert [x for x in listed if not hasattr(module, x)] == []
    assert name not in PACKAGES or listed


def test_the_packages_names_are_all_it_imports():
    for name in miniflow.__all__:
        getattr(miniflow, name)  # some load when they are first needed
    public = {
        name for name, x in vars(miniflow).items()
        if not name.startswith("_") and not (inspect.ismodule(x) and name not in ("linalg", "math"))
    }  # fmt: skip
    assert public | {"__version__"} == set(miniflow.__all__)


def test_the_version_is_the_one_of_the_metadata():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["metadata"]["version"] in ("attr: miniflow.__version__", miniflow.__version__)
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", miniflow.__version__)


@pytest.mark.parametrize("path", FILES, ids=dotted)
def test_public_functions_and_classes_have_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    public = [x for x in tree.body if isinstance(x, kinds) and not x.name.startswith("_")]
    public = {x.name: x for x in public}  # of an overloaded one the last, which is all of it
    assert ast.get_docstring(tree)
    assert [name for name, x in public.items() if not ast.get_docstring(x)] == []


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_right(name):
    report = io.StringIO()
    with contextlib.redirect_stdout(report):
        failures, _ = doctest.testmod(importlib.import_module(name))
    assert not failures, report.getvalue()


def test_there_are_examples_in_docstrings():
    finder = doctest.DocTestFinder()
    found = [t for name in MODULES for t in finder.find(importlib.import_module(name))]
    assert sum(len(test.examples) for test in found) > 10
