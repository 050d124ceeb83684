"""The pytest plugin: off unless asked for; then it seeds, and keeps what was wrong."""

import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from miniflow.testing import vectors
from miniflow.testing.plugin import keep

TESTS = """
import math
import pytest
from miniflow import define
from miniflow.testing import check_grads, vectors

wrong = define("wrong", math.tanh, lambda x, y: 1 - y)

def test_wrong():
    check_grads(lambda x: wrong(x), (0.5,))

def test_other():
    assert vectors.seed == 0

def test_given():
    check_grads(math.exp, (0.5,), grad=math.sin)
"""


def run(folder, *options):
    """Pytest on a file of three tests, in a folder of its own."""
    (folder / "test_it.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        *options,
        "test_it.py",
    ]
    if not any(x.value == "miniflow.testing.plugin" for x in entry_points(group="pytest11")):
        command[3:3] = ["-p", "miniflow.testing.plugin"]
    environment = {k: x for k, x in os.environ.items() if k != "PYTEST_ADDOPTS"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_without_options_nothing_happens(tmp_path):
    text = run(tmp_path)
    assert "2 failed, 1 passed" in text
    assert "culprit at test_it.py" in text
    assert "are kept" not in text
    assert [x.name for x in tmp_path.iterdir() if x.suffix != ".py"] in ([], ["__pycache__"])


@pytest.mark.slow
def test_options_seed_and_keep(tmp_path):
    text = run(tmp_path, "--gradcheck-seed=7", "--gradcheck-artifacts=kept", "-v")
    assert "gradcheck: --gradcheck-seed=7" in text
    assert "3 failed" in text  # the seed is another one
    assert text.count("wrong derivatives are kept in") == 2
    kept = tmp_path / "kept"
    assert {x.name for x in kept.iterdir()} == {
        "test_it.py_test_wrong.txt", "test_it.py_test_wrong.svg", "test_it.py_test_given.txt",
    }  # fmt: skip
    assert "operation wrong: the partial" in (kept / "test_it.py_test_wrong.txt").read_text("utf-8")
    assert "should be" in (kept / "test_it.py_test_wrong.svg").read_text("utf-8")


def test_without_graphviz_the_dot_is_kept(tmp_path):
    class Report:
        outputs = (1,)

        def draw(self, path):
            if path.suffix == ".svg":
                raise RuntimeError("no Graphviz to draw with")
            path.write_text("digraph {}")
            return path

    paths = keep(Report(), tmp_path / "new" / "folder", "tests/a.py::test[1/2]")
    assert [x.name for x in paths] == ["tests_a.py_test_1_2.txt", "tests_a.py_test_1_2.dot"]
    assert all(x.exists() for x in paths)


def test_samples_follow_the_seed(monkeypatch):
    names, numbers = [f"x{k}" for k in range(100)], [1.0] * 100
    first = vectors.directions(names, numbers, 1)
    assert vectors.directions(names, numbers, 1) == first
    monkeypatch.setattr(vectors, "seed", 1)
    assert vectors.directions(names, numbers, 1) != first
