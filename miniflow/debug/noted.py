"""Lines: from which line of the user's code entries of the tape come.

Nobody pays for it outside of a context. Inside of one Python tells of each line that is about to
run on this thread (`sys.settrace`), and the tape notes that entries from here on come from there.
That is also when a context looks at what the line before has recorded.
"""

import linecache
import sys
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from miniflow.program.places import is_library
from miniflow.tape.core import Table, current


class SourceLine(NamedTuple):
    """A line of source."""

    file: str
    number: int

    def __str__(self) -> str:
        """The file as seen from the current folder, and the line's number."""
        path = Path(self.file)
        try:
            shown = path.relative_to(Path.cwd()).as_posix()
        except (OSError, ValueError):
            shown = path.name
        return f"{shown}:{self.number}"

    @property
    def source(self) -> str:
        """What stands there; "" if nobody knows."""
        return linecache.getline(self.file, self.number).strip()


def lines_of(table: Table, entries: Iterable[int]) -> list[SourceLine | None]:
    """The line that each entry comes from, None where no context was on."""
    places = table.places.copy()
    starts, found = list(places), [None, *places.values()]
    return [found[bisect_right(starts, n)] for n in entries]


class lines:  # noqa: N801 - it is used as no_grad is
    """A block in which entries remember the line of source that recorded them.

    `why`, `kinks`, `rounding` and `nans` then name lines. It holds for this thread, from where it
    is entered to where it is left. Where a debugger or a coverage tool follows the lines already,
    it goes first, and nothing is noted.

    Example:
        >>> from miniflow import Value
        >>> x = Value(2.0)
        >>> with lines():
        ...     y = x * x
    """

    def __enter__(self) -> "lines":
        watcher().enter(self, sys._getframe(1))
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        try:
            if error is None:
                self.look(current())
        finally:
            watcher().leave(self)

    def look(self, table: Table) -> None:
        """Look at what has been recorded since the line that runs began."""

    def sweep(self, table: Table, floor: int, entries: list[int], seeds: list[float]) -> None:
        """Look at a sweep that is about to begin."""


class Watcher:
    """What follows one thread's lines for the contexts that are open there.

    Attributes:
        contexts: each with the frames from the one that has entered it outwards.
    """

    def __init__(self) -> None:
        self.contexts: dict[lines, list[FrameType]] = {}

    def enter(self, context: lines, frame: FrameType) -> None:
        """Open a context that is entered at a frame."""
        table = current()
        self.contexts[context] = list(users_frames(frame))
        table.watch = self.sweep
        self._follow()
        locate(table, next(users_frames(frame), None))

    def _follow(self) -> None:
        """Have Python tell of the lines of the frames that are open, unless another is told."""
        if sys.gettrace() is None:
            sys.settrace(self.called)
        if sys.gettrace() == self.called:
            for frame in [x for frames in self.contexts.values() for x in frames]:
                frame.f_trace = frame.f_trace or self.inside

    def leave(self, context: lines) -> None:
        """Close a context, if that has not been done."""
        for frame in self.contexts.pop(context, ()):
            if frame.f_trace == self.inside:
                frame.f_trace = None
        if self.contexts:
            self._follow()  # after an error Python tells nobody any more
            return
        if sys.gettrace() == self.called:
            sys.settrace(None)
        table = current()
        if table.watch == self.sweep:
            table.watch = None
            table.locate(None)

    def called(self, frame: FrameType, event: str, argument: Any) -> Any:
        """A function is called: those of libraries belong to the line that calls them."""
        return self.inside if is_users(frame) else None

    def inside(self, frame: FrameType, event: str, argument: Any) -> Any:
        """A line is about to run, or a function has returned to the one that called it."""
        at = frame if event == "line" else next(users_frames(frame.f_back), None)
        if event == "line" or (event == "return" and at is not None):
            if not current().held:  # else the library is at work, and has called the user's code
                self.look(frame)
            locate(current(), at)
        return self.inside

    def look(self, frame: FrameType) -> None:
        """Let every context look at what is new.

        Where a block ends, Python runs the line of its ``with`` once more. It does not end the
        block if that raises, so an error in a block's own frame ends it here.
        """
        table = current()
        for context, frames in self.contexts.copy().items():
            try:
                context.look(table)
            except BaseException:
                if frame in frames[:1]:
                    self.leave(context)
                raise

    def sweep(self, table: Table, floor: int, entries: list[int], seeds: list[float]) -> None:
        """Let every context look at a sweep."""
        for context in self.contexts.copy():
            context.look(table)
            context.sweep(table, floor, entries, seeds)


def locate(table: Table, frame: FrameType | None) -> None:
    """Entries to come are from the line that a frame is at."""
    if frame is None:
        return
    line = SourceLine(frame.f_code.co_filename, frame.f_lineno)
    if not table.held:
        table.locate(line)
    elif table.trace is not None:
        table.trace.note(table.count, line)


def is_users(frame: FrameType) -> bool:
    """Whether a frame runs code of the user's, neither a library's nor such as Python writes."""
    file, name = frame.f_code.co_filename, frame.f_code.co_name
    written = file == "<string>" and (
        name.startswith("__") or str(frame.f_globals.get("__name__")).startswith("namedtuple_")
    )
    return not (written or is_library(file))


def users_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of the user's code, from one outwards."""
    while frame is not None:
        if is_users(frame):
            yield frame
        frame = frame.f_back


def since_line(table: Table) -> int:
    """The first entry that the line that runs has recorded: a compaction renumbers it, too."""
    return next(reversed(table.places), table.count)


class _Watchers(threading.local):
    def __init__(self) -> None:
        self.found = Watcher()


_watchers = _Watchers()


def watcher() -> Watcher:
    """The one of this thread."""
    return _watchers.found
