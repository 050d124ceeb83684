"""Ctrl-C while a model learns: never in the middle of a step."""

import signal
import threading
from typing import Any


class WholeSteps:
    """A block in which Ctrl-C waits for the end of a step, where `busy` says that one is on.

    A second one does not wait. On other threads there is nothing to do: Ctrl-C does not come there.
    """

    def __init__(self) -> None:
        self.busy = False
        self.pending: tuple[Any, Any] | None = None
        self.before: Any = None

    def __enter__(self) -> "WholeSteps":
        found = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(found):
            self.before = found
            signal.signal(signal.SIGINT, self._caught)
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if self.before is not None and signal.getsignal(signal.SIGINT) == self._caught:
            signal.signal(signal.SIGINT, self.before)

    def _caught(self, number: int, frame: Any) -> None:
        if self.busy and self.pending is None:
            self.pending = number, frame
        else:
            self.before(number, frame)

    def release(self) -> None:
        """Raise what has waited."""
        pending, self.pending = self.pending, None
        if pending is not None:
            self.before(*pending)
