"""What errors say of what they were given."""

import os
import sys
from typing import Any

MOST_SHOWN = 60  # characters of a repr


def shown(x: Any) -> str:
    """The type and the repr of an object, in one line, cut between words.

    Example:
        >>> shown("3"), shown([1, 2]), shown(range(3))
        ("str '3'", 'list [1, 2]', 'range(0, 3)')
        >>> shown(list(range(100)))
        'list [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, ...'
    """
    name, text = type(x).__name__, " ".join(repr(x).split())
    if len(text) > MOST_SHOWN:
        text = f"{text[:MOST_SHOWN].rpartition(' ')[0] or text[:MOST_SHOWN]} ..."
    return text if text.startswith(name) else f"{name} {text}"


def dialect(x: Any) -> str:
    """What to do with a number of another dialect, where only miniflow's own are taken."""
    return getattr(type(x), "_dialect", "")


def caller_level() -> int:
    """How many frames up the code is that called the library."""
    folder = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - quick
    here, frame, level = folder + os.sep, sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(here):
        frame, level = frame.f_back, level + 1
    return level
