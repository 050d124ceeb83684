"""Who is muted: results are constants in a `no_grad()` block, for what runs inside it only.

A block in an ordinary function is over before its thread does anything else, so a table just
counts those that are open. A generator or a coroutine may be paused inside its block, and go on
later, even on another thread. So `pausable` has such blocks by their stack frames, and while
there are any, recording asks whether one of them is running.
"""

import sys
from types import FrameType


class Block:
    """A block that can be paused.

    Attributes:
        frame: the stack frame that it belongs to.
        left: whether it is over.
    """

    __slots__ = ("frame", "left")

    def __init__(self, frame: FrameType) -> None:
        self.frame = frame
        self.left = False

    def hide(self) -> None:
        """Mute nobody by it for the present."""
        blocks = pausable.get(self.frame, [])
        if self in blocks:
            blocks.remove(self)
        if not blocks:
            pausable.pop(self.frame, None)

    def show(self) -> None:
        """Mute what runs in its frame."""
        pausable.setdefault(self.frame, []).append(self)

    def leave(self) -> None:
        """Nobody is muted by it any more."""
        self.left = True
        self.hide()


# by frame; always the same dict: the compiled engine looks at its length
pausable: dict[FrameType, list[Block]] = {}

GENERATOR, COROUTINE, ASYNC_GENERATOR = 0x20, 0x80, 0x200  # flags of code, as `inspect` has them
PAUSES = GENERATOR | COROUTINE | ASYNC_GENERATOR
FEW = 8  # frames that are looked at one by one
# functions that enter and leave a block for the one that calls them
AGENTS = {
    "__enter__", "__exit__", "__aenter__", "__aexit__", "enter_context", "enter_async_context",
}  # fmt: skip


def pausing(frame: FrameType | None) -> FrameType | None:
    """The frame that a block entered at `frame` belongs to, if it can be paused; else None."""
    while frame is not None:
        code, caller = frame.f_code, frame.f_back
        if code.co_name in AGENTS:
            frame = caller
        elif not code.co_flags & PAUSES:
            return frame if "greenlet" in sys.modules else None
        elif caller is not None and _manages(caller):
            frame = caller
        else:
            return frame
    return None


def _manages(caller: FrameType) -> bool:
    """Whether this is contextlib's code, which runs a generator as a context."""
    return caller.f_code.co_name in AGENTS and caller.f_globals.get("__name__") == "contextlib"


def running() -> list[Block]:
    """Those of `pausable` that run on this thread."""
    if len(pausable) <= FEW and not _any_has_caller() and "greenlet" not in sys.modules:
        return []
    found: list[Block] = []
    frame: FrameType | None = sys._getframe(1)  # not of this function: it would keep itself
    while frame is not None:
        found += pausable.get(frame, ())
        frame = frame.f_back
    return found


def _any_has_caller() -> bool:
    """Whether any of `pausable` may be running: a paused generator's frame has no caller."""
    return any(frame.f_back is not None for frame in list(pausable))


def hide_running() -> list[Block]:
    """Take blocks that run on this thread out of `pausable`, for `show_again`.

    Together with ``table.muted = 0`` this lets results be recorded in spite of them. What is
    called until then does not run in those blocks: they are further down the stack.
    """
    hidden = running()
    for block in hidden:
        block.hide()
    return hidden


def show_again(hidden: list[Block]) -> None:
    """Put blocks back, but for those that have been left meanwhile."""
    for block in hidden:
        if not block.left:
            block.show()
