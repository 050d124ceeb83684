"""Whether the copy of the package that is tested is the tree's.

`pytest` tests what is installed. A rule changed in the tree and not in the copy would pass, so
the tests refuse to run where the two differ, or where the compiled engine was made from other
files than those that are there. Nothing of miniflow is imported before they are compared.
"""

import importlib.util
import os
import sys
import warnings
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("miniflow", "viz")
KINDS = (".py", ".pyi", ".typed", ".pxd", ".c", ".h", ".html", ".css", ".js")
REMEDY = "run: pip install -e '.[test]' (or install again)"


def complaint():
    """Why the tests cannot trust the copy that they would test; None where they can."""
    return different() or stale()


def different():
    """Which copy differs from the tree, and the first file in which it does."""
    for name in PACKAGES:
        tree, copy = ROOT / name, installed(name)
        if copy is None:
            return f"{name} is not installed; {REMEDY}"
        path = first_difference(tree, copy)
        if path:
            return (
                f"the tests would test the copy in {copy}, whose {path} is not the tree's; {REMEDY}"
            )
    return None


def installed(name):
    """The folder from which a package would be imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:  # a folder that only has the package's name
        return None
    return Path(spec.origin).resolve().parent


def first_difference(tree, copy):
    """The first file that two folders do not share, or not with the same lines."""
    if tree == copy:
        return None
    for path in sorted(files(tree) | files(copy)):
        if content(tree / path) != content(copy / path):
            return Path(tree.name, path).as_posix()
    return None


def files(folder):
    """The files of a package, without what is compiled from them."""
    found = (x.relative_to(folder) for x in folder.rglob("*") if x.suffix in KINDS)
    return {x for x in found if not any(part.startswith(".") for part in x.parts)}


def content(path):
    """What a file says, whatever its line ends; None where there is no file."""
    return path.read_bytes().replace(b"\r\n", b"\n") if path.is_file() else None


def stale():
    """Whether the engine runs as Python although it has been compiled, and nobody asked for it."""
    folder = installed("miniflow")
    asked = os.environ.get("MINIFLOW_ENGINE") == "python"
    if asked or not any(map(is_compiled, folder.rglob("*"))) or engine() == "compiled":
        return None
    return (
        f"the compiled engine in {folder} was made from other files than those that are there; "
        f"{REMEDY}, or set MINIFLOW_ENGINE=python"
    )


def is_compiled(path):
    """Whether this interpreter would load the file as a compiled module."""
    return path.name.removeprefix(path.name.split(".")[0]) in EXTENSION_SUFFIXES


def engine():
    """Which engine runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it says what is said here
        try:
            import miniflow
        except ImportError:
            if os.environ.get("MINIFLOW_ENGINE") == "compiled":
                return "none"  # asked for, and not there
            raise
    return miniflow.engine


def refuse():
    """End with one line before anything runs, where the copy cannot be trusted."""
    reason = complaint()
    if reason:
        print(f"tests refused: {reason}", file=sys.stderr)
        raise SystemExit(4)  # pytest's own status for a wrong use
