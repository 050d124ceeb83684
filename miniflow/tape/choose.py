"""Which engine runs: `core.py` compiled, if it has been, or as it is.

The environment variable MINIFLOW_ENGINE asks for one of them, "compiled" or "python".
"""

import binascii
import importlib
import importlib.util
import os
import sys
import warnings
from types import ModuleType

ENGINES = ("compiled", "python")
NAME = "miniflow.tape.core"
# What the compiled engine is made of, in the package's folder: files, and folders of them.
SOURCES = ("operation.py", "floats.py", "ops.py", "tape", "program")
SUFFIXES = (".py", ".pxd", ".h")


def sources() -> list[str]:
    """The paths of these files, in an order that is the same everywhere."""
    package = __file__.removesuffix(os.path.join("tape", "choose.py"))  # noqa: PTH118 - quick
    found = []
    for name in SOURCES:
        path = package + name
        if name.endswith(SUFFIXES):
            found.append(path)
        else:
            names = sorted(os.listdir(path))  # noqa: PTH208 - pathlib takes long to import
            found += [os.path.join(path, x) for x in names if x.endswith(SUFFIXES)]  # noqa: PTH118
    return found


def digest() -> str:
    """What the compiled engine is made of, in short (hashlib takes longer to import)."""
    found = 0
    for path in sources():
        with open(path, "rb") as file:  # noqa: PTH123 - quick
            # with the line ends that there are everywhere
            found = binascii.crc32(file.read().replace(b"\r\n", b"\n"), found)
    return f"{found:08x}"


def load() -> ModuleType:
    """The engine, as `miniflow.tape.core`.

    Raises:
        ImportError: the one asked for is not there.
    """
    wanted = os.environ.get("MINIFLOW_ENGINE", "")
    if wanted not in ("", *ENGINES):
        raise ImportError(f"MINIFLOW_ENGINE={wanted!r}: it is none of {', '.join(ENGINES)}")
    if wanted == "python":
        return _as_it_is()
    reason = ""
    try:
        tape = importlib.import_module(NAME)
        if tape.engine == "compiled" and tape.made_of != digest():
            reason = "it was compiled from other files than these; install miniflow again"
    except ImportError as error:
        if wanted:
            raise
        reason = f"the compiled one cannot be loaded ({error}); install miniflow again"
    if reason:
        sys.modules.pop(NAME, None)
        tape = _as_it_is()
        warnings.warn(
            f"miniflow: the engine runs as Python: {reason}", RuntimeWarning, stacklevel=3
        )
    if tape.engine != "compiled" and wanted:
        raise ImportError(
            "MINIFLOW_ENGINE=compiled: this installation has no compiled engine; install miniflow "
            "again where there is a C compiler"
        )
    return tape


def _as_it_is() -> ModuleType:
    """`core.py` as Python, whatever lies beside it."""
    if NAME in sys.modules:
        return sys.modules[NAME]
    spec = importlib.util.spec_from_file_location(NAME, __file__.replace("choose.py", "core.py"))
    if spec is None or spec.loader is None:
        raise ImportError(f"{NAME}: there is no core.py")
    tape = sys.modules[NAME] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(tape)
    except BaseException:
        del sys.modules[NAME]
        raise
    return tape


tape = load()
