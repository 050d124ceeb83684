"""Which engine runs: its modules compiled, if they have been, or as they are.

The environment variable MINIFLOW_ENGINE asks for one of them, "compiled" or "python".
"""

import binascii
import importlib
import importlib.util
import os
import sys
import warnings
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from types import ModuleType
from typing import Any

ENGINES = ("compiled", "python")
# The modules that Cython or C compiles; each one's name here is that of its file.
MODULES = (
    "tape.storage", "tape.compaction", "tape.reading", "tape.replaying", "tape.core",
    "tape.recorded", "tape.forward", "tape.quick", "program.simplify", "program.replay",
    "compiled.called",
)  # fmt: skip
# What they are made of: files of the package, and folders of them.
SOURCES = ("operation.py", "floats.py", "ops.py", "tape", "program", "compiled/called.c")
SUFFIXES = (".py", ".pxd", ".h", ".c")


def sources() -> list[str]:
    """The paths of what a compiled engine is made of, in an order that is the same everywhere."""
    found = []
    for name in SOURCES:
        path = os.path.join(_package(), *name.split("/"))  # noqa: PTH118 - quick
        if name.endswith(SUFFIXES):
            found.append(path)
        else:
            names = sorted(os.listdir(path))  # noqa: PTH208 - quick
            found += [os.path.join(path, x) for x in names if x.endswith(SUFFIXES)]  # noqa: PTH118
    return found


def _package() -> str:
    """The folder of the package (pathlib takes long to import)."""
    return os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120


def source_digest() -> str:
    """What a compiled engine is made of, in short (hashlib takes longer to import)."""
    found = 0
    for path in sources():
        with open(path, "rb") as file:  # noqa: PTH123 - quick
            # with the line ends that there are everywhere
            found = binascii.crc32(file.read().replace(b"\r\n", b"\n"), found)
    return f"{found:08x}"


def chosen_engine() -> ModuleType:
    """The engine, as `miniflow.tape.core`.

    Raises:
        ImportError: the one asked for is not there.
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise ImportError(
            "miniflow needs the interpreter lock, which this free-threaded Python has switched "
            "off; run it with PYTHON_GIL=1, or use the ordinary build of Python"
        )
    wanted = os.environ.get("MINIFLOW_ENGINE", "")
    if wanted not in ("", *ENGINES):
        raise ImportError(
            f"MINIFLOW_ENGINE must be {' or '.join(map(repr, ENGINES))}, got {wanted!r}"
        )
    built = [name for name in MODULES if _is_built(name)]
    if wanted == "python" or not (built or wanted):
        return _as_it_is()
    reason = "the compiled one is not complete"
    if len(built) == len(MODULES):
        try:
            core = importlib.import_module("miniflow.tape.core")
            if core.made_of == source_digest():
                return core
            reason = "the compiled one was made from other files than these"
        except ImportError as error:
            if wanted:
                raise
            reason = f"the compiled one cannot be loaded ({error})"
    if wanted:
        raise ImportError(
            "MINIFLOW_ENGINE=compiled: this installation has no compiled engine, or not the one of "
            "these files; install miniflow again where there is a C compiler"
        )
    warnings.warn(
        f"miniflow: the engine runs as Python: {reason}; install miniflow again",
        RuntimeWarning,
        stacklevel=3,
    )
    return _as_it_is()


def _is_built(name: str) -> bool:
    """Whether a module has been compiled for this Python."""
    path = os.path.join(_package(), *name.split("."))  # noqa: PTH118
    return any(os.path.exists(path + suffix) for suffix in EXTENSION_SUFFIXES)  # noqa: PTH110


class AsTheyAre:
    """Finds the engine's modules as Python, whatever lies beside them."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Where a module is, if it is one of these."""
        short = name.removeprefix("miniflow.")
        if short == name or short not in MODULES:
            return None
        file = os.path.join(_package(), *short.split(".")) + ".py"  # noqa: PTH118
        return importlib.util.spec_from_file_location(name, file)


def _as_it_is() -> ModuleType:
    """The engine as Python."""
    for name in MODULES:
        sys.modules.pop(f"miniflow.{name}", None)
    sys.meta_path.insert(0, AsTheyAre)
    return importlib.import_module("miniflow.tape.core")


if __name__ == "miniflow.tape.choose":  # the installation only asks what there is to be built
    core = chosen_engine()
