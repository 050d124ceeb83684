"""Where the project is, what it consists of, and where the copy is that the tests run on."""

import ast
from pathlib import Path

import miniflow

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
INSTALLED = Path(miniflow.__file__).resolve().parent.parent
PACKAGES = ["miniflow", "viz"]
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def dotted(path):
    """The name under which a source file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [dotted(path) for path in FILES]


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


def imported_modules(path):
    """The project's modules that a file imports."""
    return {name for name, _ in imported(path) if name.split(".")[0] in PACKAGES}
