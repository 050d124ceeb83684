"""Machines with and without the program `dot`."""

import os
import sys

import pytest


@pytest.fixture
def no_dot(monkeypatch, tmp_path_factory):
    """A machine without the program `dot`."""
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("bin")))


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Time enough for Graphviz, however busy the machine is."""
    for limit in ("SECONDS", "QUICK_SECONDS"):
        monkeypatch.setattr(f"viz.output.pictures.{limit}", 300.0)


@pytest.fixture
def fake_dot(monkeypatch, tmp_path_factory):
    """A machine with a program `dot`; a function that says what the program does.

    It leaves its arguments and what it read in the file that the function returns.
    """

    def install(code="print('drawn by dot', end='')"):
        folder = tmp_path_factory.mktemp("bin")
        log, program = folder / "log", folder / "dot"
        program.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"open({str(log)!r}, 'w').write(repr(sys.argv[1:]) + sys.stdin.read())\n{code}\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return log

    if os.name == "nt":
        pytest.skip("no scripts without an extension")
    return install
