"""The project as a whole: what imports what, names, docstrings, and the README's answers."""

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
import textwrap
import tokenize

import pytest

import miniflow
from support.project import INSTALLED, ROOT

PACKAGES = ["miniflow", "viz"]
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def dotted(path):
    """The name under which a source file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [dotted(path) for path in FILES]

# --- imports ------------------------------------------------------------------

# The rooms, from the ground up: a module imports from rooms below its own, and from its own.
# Rooms on one floor do not know each other.
FLOORS = [
    ["miniflow.util"],
    ["miniflow.floats", "miniflow.operation"],
    ["miniflow.ops"],
    ["miniflow.tape"],
    ["miniflow.math"],
    ["miniflow.transforms", "miniflow.program"],
    ["miniflow.native"],
    ["miniflow.compiled"],
    ["miniflow.nn", "miniflow.optim"],
    ["miniflow"],
    ["viz.output", "viz.expression"],
    ["viz.diagram"],
    ["viz.model", "viz.player"],
    ["viz"],
]
# What does not follow from its room. The installation asks for the rules as C, above the engine.
FLOOR_OF = {"miniflow.tape.c_rules": "miniflow.program", "viz.__main__": "viz"}
# These load when they are first needed, inside of a function.
LAZY = {"numpy", "graphviz", "pygraphviz", "matplotlib", "tqdm", "llvmlite"}


def room(module):
    """The room that a module is in."""
    if module in FLOOR_OF:
        return FLOOR_OF[module]
    return module if module.count(".") == 0 else ".".join(module.split(".")[:2])


FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def imported(path):
    """Dotted names of what a file imports anywhere: (name, whether at its top level)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield (whole if whole in MODULES else base), id(node) in top


def ours(path):
    """The project's modules that a file imports."""
    return {name for name, _ in imported(path) if name.split(".")[0] in PACKAGES}


@pytest.mark.parametrize("path", FILES, ids=dotted)
def test_imports_lead_to_lower_rooms(path):
    mine = room(dotted(path))
    for name in ours(path):
        assert room(name) == mine or FLOOR[room(name)] < FLOOR[mine], name


def test_every_room_is_on_one_floor():
    assert {room(name) for name in MODULES} == set(FLOOR)
    assert sum(map(len, FLOORS)) == len(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=dotted)
def test_at_its_top_a_module_imports_the_standard_library_only(path):
    others = {(name.split(".")[0], top) for name, top in imported(path)}
    others = {(n, top) for n, top in others if n not in sys.stdlib_module_names | set(PACKAGES)}
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


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("miniflow")])
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
    public = {
        name for name, x in vars(miniflow).items()
        if not name.startswith("_") and not (inspect.ismodule(x) and name != "math")
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
    assert ast.get_docstring(tree)
    assert [x.name for x in public if not ast.get_docstring(x)] == []


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


# --- the README's answers --------------------------------------------------------
# A print's answer is the comment behind it, or whole-line comments below it where
# it has several lines or is printed several times.

FENCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def comments(source):
    """Comments by line: the text, and whether it has the line to itself."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            found[token.start[0]] = (token.string[1:].removeprefix(" ").rstrip(), alone)
    return found


def below(notes, line):
    """The comments on whole lines, from a line on."""
    found = []
    while notes.get(line, ("", False))[1]:
        found.append(notes[line][0])
        line += 1
    return found


def answers(source):
    """For each print in a program, by its line: the lines that it says it prints."""
    notes, stated = comments(source), {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            line = node.end_lineno
            stated[node.lineno] = [notes[line][0]] if line in notes else below(notes, line + 1)
    return stated


def run(source, names, start=0):
    """Run a program; for each line of it that prints, what it prints."""
    printed = {}

    def recording(*arguments, **options):
        text = io.StringIO()
        print(*arguments, file=text, **options)
        line = sys._getframe(1).f_lineno
        printed[line] = printed.get(line, "") + text.getvalue()

    names["print"] = recording
    exec(compile(source, f"README.md, block at line {start}", "exec"), names)
    return {line: [x.rstrip() for x in text.splitlines()] for line, text in printed.items()}


def wrong_answers(markdown):
    """Complaints about the python blocks of a text, run in order in one namespace."""
    names, complaints = {"__name__": "README"}, []
    for block in FENCE.finditer(markdown):
        source, start = block[1], markdown.count("\n", 0, block.start(1))
        stated, printed = answers(source), run(source, names, start)
        complaints += [
            f"line {start + line}: prints {printed.get(line, [])}, says {stated.get(line, [])}"
            for line in sorted(stated | printed)
            if printed.get(line, []) != stated.get(line, [])
        ]
    return complaints


def fenced(*programs):
    return "\n\ntext\n\n".join(f"```python\n{textwrap.dedent(p)}```" for p in programs)


RIGHT = {
    "behind": "print(1 + 1)  # 2\n",
    "two on one line": "print(1, 'a')  # 1 a\n",
    "below": "print('a\\n b')\n# a\n#  b\n",
    "a hash in a string": "print('#')  # #\n",
    "a call over several lines": "print(\n    1,\n    2,\n)  # 1 2\n",
    "a loop": "for k in range(2):\n    print(k)\n    # 0\n    # 1\n",
    "inside of a function": "def f():\n    print(3)  # 3\nf()\n",
    "a remark elsewhere": "x = 1  # one\n# about x\nprint(x)  # 1\n# about something else\n",
    "an empty line in between": "print(1)  # 1\n\n# not an answer\n",
    "no print": "x = 1\n",
}
WRONG = {
    "another number": "print(1 + 1)  # 3\n",
    "another last digit": "print(0.1 + 0.2)  # 0.3\n",
    "no answer": "print(1)\n",
    "a line too few": "print('a\\nb')\n# a\n",
    "a line too many": "print('a')\n# a\n# b\n",
    "never printed": "if False:\n    print(1)  # 1\n",
    "printed twice": "for k in range(2):\n    print(1)  # 1\n",
    "the order": "for k in (1, 0):\n    print(k)\n    # 0\n    # 1\n",
}


@pytest.mark.parametrize("program", RIGHT.values(), ids=RIGHT)
def test_the_checker_accepts(program):
    assert wrong_answers(fenced(program)) == []


@pytest.mark.parametrize("program", WRONG.values(), ids=WRONG)
def test_the_checker_refuses(program):
    assert len(wrong_answers(fenced("x = 1\n", program))) == 1


def test_the_checker_keeps_names_from_block_to_block_and_skips_other_blocks():
    text = fenced("x = 2\n", "print(x)  # 2\n") + "\n\n```sh\nprint(1)\n```\n"
    assert wrong_answers(text) == []
    with pytest.raises(ZeroDivisionError):
        wrong_answers(fenced("1 / 0\n"))


def test_the_checker_says_where():
    text = "# Title\n\n" + fenced("x = 1\nprint(x)  # 2\n")
    assert wrong_answers(text) == ["line 5: prints ['1'], says ['2']"]


def test_the_answers_in_the_readme_are_right(tmp_path, monkeypatch, row):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # its programs may write files, and define rows
    assert wrong_answers(text) == []
    assert sum(len(answers(block[1])) for block in FENCE.finditer(text)) > 3
