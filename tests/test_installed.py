"""The tests refuse to run against a copy of the package that is not the tree's."""

import os
import shutil
import subprocess
import sys

import pytest

import miniflow
from support import installed
from support.project import INSTALLED, ROOT, TESTS

UNWANTED = shutil.ignore_patterns("__pycache__", "golden")
TEST = 'def test_it_runs():\n    print("something ran")\n'


@pytest.fixture
def tree(tmp_path):
    """A tree like this one, with one test, and the package as it is installed."""
    for name in installed.PACKAGES:
        shutil.copytree(INSTALLED / name, tmp_path / name, ignore=UNWANTED)
    (tmp_path / "tests").mkdir()
    shutil.copytree(TESTS / "support", tmp_path / "tests" / "support", ignore=UNWANTED)
    shutil.copy(TESTS / "conftest.py", tmp_path / "tests")
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    (tmp_path / "tests" / "test_one.py").write_text(TEST)
    return tmp_path


def trial(tree, copy=INSTALLED, **environment):
    """Run the tree's test against a copy of the package."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-s", "-p", "no:cacheprovider", "tests/test_one.py"],
        cwd=tree, env={**os.environ, "PYTHONPATH": str(copy), **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def assert_refused(run, *words):
    """One line says why; nothing ran."""
    assert run.returncode == 4
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("tests refused: ")
    for word in (*words, "pip install -e '.[test]'", "install again"):
        assert str(word) in line


def change(path, what="\n# another line\n"):
    with path.open("a") as file:
        file.write(what)


@pytest.mark.slow
def test_a_copy_that_is_the_trees_is_tested(tree):
    path = tree / "miniflow" / "losses.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (tree / "miniflow" / "core.cpython-30-other.so").write_bytes(b"compiled elsewhere")
    run = trial(tree)
    assert (run.returncode, run.stderr) == (0, "")
    assert "something ran" in run.stdout
    assert "1 passed" in run.stdout


@pytest.mark.parametrize("name", ["miniflow/ops.py", "viz/player/script/steps.js"])
def test_a_file_that_was_changed_after_the_installation(tree, name):
    change(tree / name)
    assert_refused(trial(tree), INSTALLED, name)


def test_a_file_that_was_added_or_removed_after_the_installation(tree):
    (tree / "viz" / "afterwards.py").write_text("")
    assert_refused(trial(tree), INSTALLED, "viz/afterwards.py")
    (tree / "viz" / "afterwards.py").unlink()
    (tree / "miniflow" / "losses.py").unlink()
    assert_refused(trial(tree), INSTALLED, "miniflow/losses.py")


def test_a_wrong_rule_in_the_tree_is_refused(tree):
    """Were it not, its test would pass on the rule that is installed."""
    path = tree / "miniflow" / "ops.py"
    path.write_text(path.read_text("utf-8").replace("cos(x)", "sin(x)"), "utf-8")
    assert_refused(trial(tree), "miniflow/ops.py")


@pytest.mark.slow
def test_a_compiled_engine_of_other_files(tree):
    """As after an editable installation, where the tree is what is tested."""
    if not any(map(installed.is_compiled, (tree / "miniflow").rglob("*"))):
        pytest.skip("there is no compiled engine")
    change(tree / "miniflow" / "ops.py")
    for engine in ("", "compiled"):
        assert_refused(trial(tree, tree, MINIFLOW_ENGINE=engine), tree, "MINIFLOW_ENGINE=python")
    assert "1 passed" in trial(tree, tree, MINIFLOW_ENGINE="python").stdout


def test_a_package_that_is_not_there(tmp_path, monkeypatch):
    (tmp_path / "hollow").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert installed.installed("hollow") is None  # a folder that only has the name
    assert installed.installed("no_such_package") is None


def test_this_very_run_is_not_refused():
    assert installed.complaint() is None
    assert installed.engine() == miniflow.engine
