"""What the tests of the lesson share: its scripts, and the lesson in NumPy, a reference."""

import contextlib
import importlib.util
import io

import pytest

from support.project import ROOT


@pytest.fixture(scope="session")
def numpy_lesson():
    """The lesson as its students write it in NumPy: a module."""
    path = ROOT / "benchmarks" / "numpy_lesson.py"
    spec = importlib.util.spec_from_file_location("numpy_lesson", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run():
    """A function that runs a student's script: its names, and what it prints."""

    def run(script, package="miniflow.lesson", **names):
        # the only change: the line of the import
        script = script.replace("from miniflow import", f"from {package} import")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(script, "nn.py", "exec"), names)
        return names, printed.getvalue()

    return run
