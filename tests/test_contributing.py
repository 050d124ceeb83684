"""What CONTRIBUTING.md and CHANGELOG.md name is there: commands, marks, files, modules."""

import configparser
import importlib.util
import itertools
import re
import shlex

import pytest

import miniflow
from support.project import ROOT

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| `(.+)` \|$", CONTRIBUTING, re.M)
COMMANDS = [part for _, command in ROWS for part in command.split(" && ")]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
PROGRAMS = {"python3", "pip", "pytest", "python", "ruff", "mypy"}
PROFILES = {"default", "ci", "short", "thorough", "quick"}


def words(command):
    """A command's program and arguments, and its variables."""
    parts = shlex.split(command)
    variables = [x for x in parts if re.match(r"[A-Z_]+=", x)]
    return [x for x in parts if x not in variables], dict(x.split("=", 1) for x in variables)


def test_the_table_has_what_one_looks_for():
    topics = " ".join(what for what, _ in ROWS)
    for topic in ("set up", "one test", "one room", "every file", "all tests", "lint", "types",
                  "docs", "benchmarks"):  # fmt: skip
        assert topic in topics


@pytest.mark.parametrize("command", COMMANDS)
def test_programs_and_files_of_commands_are_there(command):
    (program, *arguments), _ = words(command)
    assert program.removeprefix(".venv/bin/") in PROGRAMS or (ROOT / program).is_file()
    assert [x for x in arguments if x.endswith(".py") and not (ROOT / x).is_file()] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_commands_mean_something(command):
    (_, *arguments), variables = words(command)
    options = dict(itertools.pairwise(arguments))
    marks = {x.split(":")[0] for x in SETUP["tool:pytest"]["markers"].split("\n") if x}
    if "pytest" in command:
        assert set(re.findall(r"\w+", options.get("-m", ""))) - {"not", "and", "or"} <= marks
        if "-k" in options:
            assert options["-k"] in (ROOT / arguments[0]).read_text(encoding="utf-8")
    if "-e" in options:
        extras = re.findall(r"\w+", options["-e"])
        assert set(extras) <= set(SETUP["options.extras_require"])
    if "support" in options.get("-m", ""):
        assert importlib.util.find_spec(options["-m"])
    assert variables.get("MINIFLOW_ENGINE", "python") == "python"
    assert variables.get("HYPOTHESIS_PROFILE", "ci") in PROFILES


@pytest.mark.parametrize("text", [CONTRIBUTING, CHANGELOG], ids=["CONTRIBUTING", "CHANGELOG"])
def test_links_lead_somewhere(text):
    links = [x for x in re.findall(r"\]\(([^)]+)\)", text) if not x.startswith("https:")]
    assert [x for x in links if (ROOT / x).parent.is_dir() and not (ROOT / x).exists()] == []


def test_modules_that_moved_are_where_the_change_log_says():
    rows = re.findall(r"^  \| (`.+`) \| (`.+`) \|$", CHANGELOG, re.M)
    assert rows
    for _, now in rows:
        package = re.match(r"`(\w+)", now)[1]
        for name in re.findall(r"`([.\w]+)`", now):
            full = name if name.split(".")[0] in ("miniflow", "viz") else f"{package}.{name}"
            assert importlib.util.find_spec(full), full


def test_the_version_is_in_the_change_log():
    assert f"## {miniflow.__version__}" in CHANGELOG
