"""README's first page: what each sentence and each row of a table says is shown by a test.

`readme.txt` lists them: a sentence as it stands there, and below it, indented, the tests that
show it, or ``-`` and why there is nothing to show. A sentence that is new or has changed is
read again: write it there, with its tests.
"""

import ast
import configparser
import importlib
import math
import pkgutil
import re
import shlex

import mpmath
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import miniflow
from miniflow import Value, jvp, value_and_grad
from support.project import ROOT, TESTS
from viz.__main__ import main

README = (ROOT / "README.md").read_text(encoding="utf-8")
LISTED = TESTS / "readme.txt"
END = "## Where things are"


def statements(text):
    """The sentences of a page, and the rows of its tables; code and headings are not."""
    text = re.sub(r"^```.*?^```$", "\n", text, flags=re.M | re.S)
    text = re.sub(r"^\|.*\|\n(\|[- |]+\|)$", "", text, flags=re.M)  # heads of tables
    for block in re.split(r"\n\s*\n|\n(?=\* |#|\|)", text):
        block = " ".join(block.split()).removeprefix("* ")
        if block.startswith("|"):
            yield block
        elif block and block[0] not in "#!":
            yield from sentences(block)


def sentences(block):
    """The sentences of a paragraph."""
    parts = re.split(r"(`[^`]*`|\([^)]*\))", block)  # code and brackets stay in one piece
    safe = "".join(x if k % 2 == 0 else x.translate(HIDDEN) for k, x in enumerate(parts))
    for sentence in re.split(r"(?<=\.)\s+|(?<=\x01\))\s+", safe):
        yield sentence.translate(SHOWN)


HIDDEN = str.maketrans(" .", "\0\1")
SHOWN = str.maketrans("\0\1", " .")


def table():
    """What is listed: for each statement its tests, or the reason why it has none."""
    found, tests = {}, []
    for line in LISTED.read_text(encoding="utf-8").splitlines():
        if line.startswith("    "):
            tests.append(line.strip())
        elif line and not line.startswith("#"):
            tests = found[line] = []
    return found


STATED = list(statements(README[: README.index(END)]))
TABLE = table()
SHOWING = sorted({test for tests in TABLE.values() for test in tests if test[0] != "-"})


def test_every_statement_is_listed():
    assert [x for x in STATED if x not in TABLE] == []


def test_nothing_else_is_listed():
    assert [x for x in TABLE if x not in STATED] == []


def test_each_has_a_test_or_a_reason():
    assert [x for x, tests in TABLE.items() if not tests] == []


@pytest.mark.parametrize("test", SHOWING)
def test_the_tests_are_there(test):
    file, name = test.split("::")
    module = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {x.name for x in module.body if isinstance(x, ast.FunctionDef)}


def test_sentences_are_told_apart():
    page = """# Title

One `a. B` is (x. Y) two. Three
goes on: four. 5 too.

* **Six** is. Seven

| a | b |
|---|---|
| `c` | d. E |

```python
no. Code
```
![no](picture)
"""
    assert list(statements(page)) == [
        "One `a. B` is (x. Y) two.", "Three goes on: four.", "5 too.", "**Six** is.", "Seven",
        "| `c` | d. E |",
    ]  # fmt: skip


# --- what is shown nowhere else ---------------------------------------------------


@given(st.floats(0.1, 100.0), st.integers(1, 20), st.booleans())
def test_loops_and_branches_have_exact_derivatives(x, count, up):
    def f(x):
        y = x
        for k in range(count):
            y = (y + x / y) / 2 if y > 1 else y * x + k
        return y if up else -y

    (expected,) = jvp(f, (x,), (1.0,))[1:]
    number, slope = value_and_grad(f)(x)
    assert number == f(x)
    assert slope == pytest.approx(expected, rel=1e-9, abs=1e-300)
    with mpmath.workdps(50):
        step = mpmath.mpf(10) ** -25
        at = mpmath.mpf(x)
        left, right = (f(at) - f(at - step)) / step, (f(at + step) - f(at)) / step
        y = (left + right) / 2
    assume(left == pytest.approx(right, rel=1e-6))  # else it branches at x itself
    assume(math.isfinite(y) and f(mpmath.mpf(x)) == pytest.approx(number, rel=1e-6))
    assert slope == pytest.approx(float(y), rel=1e-6, abs=1e-9)


def test_infinities_and_nans_propagate():
    assert miniflow.math.log(0) == -math.inf
    assert miniflow.math.log(Value(0.0)).data == -math.inf
    assert (1 / Value(0.0)).data == math.inf
    assert math.isnan((Value(-8.0) ** (1 / 3)).data)


SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
ROWS = dict(re.findall(r"^\| `([\w. -]+)` \| (.*) \|$", README, re.M))
IMPORTS = {name: ROWS[name] for name in ROWS if name.split(".")[0] in ("miniflow", "viz")}


def has(module, name):
    """Whether a module has a name, which may lead through modules in it."""
    try:
        pkgutil.resolve_name(f"{module.__name__}.{name}")
    except (AttributeError, ImportError):
        return False
    return True


@pytest.mark.parametrize("name", IMPORTS)
def test_an_import_has_the_names_of_its_row(name):
    names = " ".join(re.findall(r"`([^`]+)`", IMPORTS[name])).split()
    module = importlib.import_module(name)
    assert len(names) > 2
    assert [x for x in names if x != "math" and not has(module, x)] == []


def test_the_command_of_the_table_draws(tmp_path, monkeypatch):
    (command,) = re.findall(r"`python -m viz (.+?)`", ROWS["python -m viz"])
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command)) == 0
    assert (tmp_path / "graph.svg").read_text().lstrip().startswith("<?xml")


@pytest.mark.parametrize("name", [*IMPORTS, "python -m viz"])
def test_the_guide_has_an_example_of_each_import(name):
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    code = "".join(re.findall(r"^```\w+\n(.*?)^```", guide, re.M | re.S))
    last = name.split(".")[-1]
    assert re.search(rf"import .*\b{last}\b|{name}", code)


def test_the_version_of_python_is_the_metadatas():
    (least,) = re.findall(r"needs Python (\S+) or later", README)
    assert SETUP["options"]["python_requires"] == f">={least}"


@pytest.mark.parametrize(
    "name", ["jit", "train", "plot", "optim", "distributed", "testing", "test", "lint", "all"]
)
def test_extras_are_the_metadatas(name):
    wanted = {"jit": "llvmlite", "train": "tqdm", "plot": "matplotlib", "optim": "scipy",
              "distributed": "dask[array]", "testing": "mpmath", "test": "pytest", "lint": "ruff",
              "all": "miniflow[jit,train,plot,optim,distributed,testing,test,lint]"}  # fmt: skip
    assert wanted[name] in SETUP["options.extras_require"][name].lower()
    assert f"`{name}`" in README


def test_the_two_commands_are_of_this_project():
    first, second = re.findall(r"^```bash\n(.*)\n```$", README, re.M)
    (example,) = re.findall(r"examples/\S+\.py", first)
    assert (ROOT / example).is_file()
    assert {"pytest"} <= set(re.findall(r"\w+", second))
    extras = re.findall(r"'\.\[([\w,]+)\]'", f"{first} {second}")
    assert {x for part in extras for x in part.split(",")} <= set(SETUP["options.extras_require"])
    (file, word) = re.findall(r"pytest (tests/\S+) -k (\w+)", README)[0]
    assert word in (ROOT / file).read_text(encoding="utf-8")


def test_benchmarks_are_there_and_check_their_answers():
    for path in re.findall(r"python (benchmarks/\w+\.py)", README):
        assert (ROOT / path).is_file()
    text = "".join(x.read_text(encoding="utf-8") for x in (ROOT / "benchmarks").rglob("*.py"))
    assert "assert" in text or "agree" in text
    assert (ROOT / "benchmarks" / "requirements.txt").is_file()
