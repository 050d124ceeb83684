"""Where entries of the tape come from: lines of the user's code, variables, sweeps, scopes."""

import contextlib
import os
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from threading import RLock
from types import FrameType
from typing import Any

from miniflow.program.ir import Place
from miniflow.program.observers import meet
from miniflow.tape.core import Table, Value
from miniflow.tape.notes import Trace
from miniflow.tape.reading import scopes_at


class Origins:
    """What entries of the tape come from: found out when somebody asks, also when they are gone."""

    def __init__(self, table: Table, notes: Trace) -> None:
        self.starts, self.origins = notes.starts, notes.origins
        self.scopes = table.names.copy()

    def places(self, entries: Iterable[int]) -> list[Place | None]:
        """What each of `entries` comes from."""
        sources = [self._source(n) for n in entries]
        scopes = scopes_at(self.scopes, [n for n, _, _ in sources])
        found: list[Place | None] = []
        for (_, origin, sweep), scope in zip(sources, scopes, strict=True):
            file, line = origin or ("", 0)
            found.append(Place(file, line, sweep, scope) if sweep or origin or scope else None)
        return found

    def _source(self, n: int) -> tuple[int, Any, int]:
        """The entry that an entry is the reverse of, its line, and how many sweeps later."""
        sweep = 0
        while True:
            k = bisect_right(self.starts, n)
            origin = self.origins[k - 1] if k else None
            if not isinstance(origin, int):
                return n, origin, sweep
            n, sweep = origin, sweep + 1


# --- watching the user's code -------------------------------------------------

_asking = RLock()  # sysconfig gathers what it knows when it is first asked, on one thread


@cache
def _libraries() -> tuple[str, ...]:
    """Where code is that is not the user's."""
    import sysconfig

    with _asking:
        found = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    return str(Path(__file__).parent.parent) + os.sep, "<frozen", *found


@lru_cache(1024)  # cells of a notebook are files, too
def is_library(file: str) -> bool:
    """Whether a file of code is not the user's."""
    return file.startswith(_libraries())


def _is_users(frame: FrameType | None) -> bool:
    """Whether a frame runs code of the user's, rather than of a library."""
    return frame is not None and not is_library(frame.f_code.co_filename)


@contextmanager
def watched(table: Table, notes: Trace, names: dict[int, str]) -> Iterator[None]:
    """Note the lines that are run and the variables that Values are assigned to.

    A debugger's or a coverage tool's own watching goes first: then nothing is noted.

    Args:
        table: the tape that the code records on.
        notes: they get the lines.
        names: names of entries; those that it has already stay.
    """
    inputs = set(names)
    unseeing = _libraries()[0], contextlib.__file__  # code to which all Values are alike

    def line(frame: FrameType) -> None:
        notes.note(table.count, (frame.f_code.co_filename, frame.f_lineno))

    def leave(frame: FrameType) -> None:
        for name, x in reversed(frame.f_locals.items()):
            # what a caller calls it comes later, and counts
            if x.__class__ is Value and x._tape is table and x._entry not in inputs:
                names[x._entry] = name
        caller = frame.f_back
        while caller is not None and not _is_users(caller):
            caller = caller.f_back
        if caller is not None:  # a library's entries belong to the line that has called it
            line(caller)

    def inside(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            line(frame)
        elif event == "return":
            leave(frame)
        return inside

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        if notes.choosing and not frame.f_code.co_filename.startswith(unseeing):
            meet(notes, frame)
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
        else:  # it has seen to that itself, and to nothing since then
            notes.sees_objects = True


@contextmanager
def unwatched() -> Iterator[None]:
    """Watch nothing meanwhile: what is called is not a part of the traced function."""
    tracer = sys.gettrace()
    if getattr(tracer, "__module__", None) != __name__:
        yield
        return
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)
