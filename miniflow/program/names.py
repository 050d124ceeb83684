"""What the user's code calls things, and where it stands: seen while it is traced."""

import keyword
import os
import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from pathlib import Path
from threading import RLock
from types import FrameType
from typing import Any

from miniflow.program.ir import Place
from miniflow.program.structures import HOLE, Numbers
from miniflow.tape.core import Table, Value
from miniflow.tape.notes import Trace
from miniflow.util.trees import children

Function = Callable[..., Any]


def identifier(name: str) -> str:
    """The nearest Python identifier."""
    name = unicodedata.normalize("NFKC", name)  # as Python does
    name = "".join([x if f"_{x}".isidentifier() else "_" for x in name])
    good = name.isidentifier() and not keyword.iskeyword(name) and name != "__debug__"
    return name if good else f"_{name}"


def origins(table: Table, notes: Trace, rows: list[int]) -> dict[int, Place | None]:
    """What each of `rows` (newest first) comes from."""
    starts = [count for count, _ in notes.notes]

    def source(row: int) -> tuple[int, Any, int]:
        """The row that a row is the reverse of, after how many sweeps, and its line."""
        sweep = 0
        while True:
            k = bisect_right(starts, row)
            origin = notes.notes[k - 1][1] if k else None
            if not isinstance(origin, int):
                return row, origin, sweep
            row, sweep = origin, sweep + 1

    found: dict[int, Place | None] = {}
    sources = list(map(source, rows))
    scopes = table.paths([row for row, _, _ in sources])
    for row, (_, origin, sweep), scope in zip(rows, sources, scopes, strict=True):
        file, line = origin or ("", 0)
        found[row] = Place(file, line, sweep, scope) if sweep or origin or scope else None
    return found


_asking = RLock()  # sysconfig gathers what it knows when it is first asked, on one thread


@cache
def _libraries() -> tuple[str, ...]:
    """Where code is that is not the user's."""
    import sysconfig

    with _asking:
        found = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    return str(Path(__file__).parent.parent) + os.sep, "<frozen", *found


@cache
def _is_library(file: str) -> bool:
    return file.startswith(_libraries())


def _is_users(frame: FrameType | None) -> bool:
    """Whether a frame runs code of the user's, rather than of a library."""
    return frame is not None and not _is_library(frame.f_code.co_filename)


@contextmanager
def watched(table: Table, notes: Trace, names: dict[int, str]) -> Iterator[None]:
    """Note the lines that are run and the variables that Values are assigned to.

    A debugger's or a coverage tool's own watching goes first: then nothing is noted.
    """
    inputs = set(names)

    def line(frame: FrameType) -> None:
        notes.notes.append((table.count, (frame.f_code.co_filename, frame.f_lineno)))

    def inside(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            line(frame)
        elif event == "return":
            for name, x in reversed(frame.f_locals.items()):
                # what a caller calls it comes later, and counts
                if x.__class__ is Value and x._tape is table and x._entry not in inputs:
                    names[x._entry] = name
            if frame.f_back is not None and _is_users(frame.f_back):
                line(frame.f_back)
        return inside

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        return inside if _is_users(frame) else None

    if sys.gettrace() is not None:
        yield
        return
    sys.settrace(enter)
    try:
        yield
    finally:
        if sys.gettrace() is enter:
            sys.settrace(None)


def function_name(f: Function) -> str:
    """What a function is called, as a Python name."""
    name = getattr(f, "__name__", type(f).__name__)
    return "f" if name == "<lambda>" else identifier(name)


def parameter_names(f: Function, arguments: Any) -> list[str]:
    """What a function calls its arguments: those given by position, then the others."""
    import inspect  # slow to import

    args, kwargs = arguments
    names: list[str] = []
    try:
        for parameter in inspect.signature(f).parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                names += [f"{parameter.name}{k}" for k in range(len(args) - len(names))]
            else:
                names.append(parameter.name)
    except (TypeError, ValueError):  # some builtins have no signature
        pass
    names += [f"x{k}" for k in range(len(names), len(args))]
    return [*map(identifier, names[: len(args)]), *map(identifier, kwargs)]


def leaf_names(name: str, tree: Any) -> Iterator[str]:
    """A name for each number of an argument of that name."""
    parts = children(tree)
    if tree is HOLE:
        yield name
    if isinstance(tree, Numbers):
        yield from (f"{name}_{'_'.join(map(str, k))}" for k in product(*map(range, tree.shape)))
    if parts is None:
        return
    if isinstance(tree, dict):
        suffixes = list(map(str, tree))
    elif hasattr(tree, "_fields"):
        suffixes = list(tree._fields)
    else:
        suffixes = list(map(str, range(len(parts))))
    for suffix, part in zip(suffixes, parts, strict=True):
        yield from leaf_names(f"{name}_{suffix}", part)
