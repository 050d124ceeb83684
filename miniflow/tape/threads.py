"""Whose tape is whose: each thread records on one of its own."""

import threading
from collections.abc import Callable
from typing import Any


class Here(threading.local):
    """Each thread's own tape, made when the thread asks for the first time."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._hold = Hold(make())

    @property
    def table(self) -> Any:
        """The one of the thread that asks."""
        return self._hold.table

    @table.setter
    def table(self, table: Any) -> None:
        self._hold.leave()
        self._hold = Hold(table)


class Hold:
    """A thread's hold on its tape: when the thread is gone, nobody records there."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def leave(self) -> None:
        """Give the tape up."""
        self.table.thread = 0

    __del__ = leave
