"""How far a training is: a bar where the output is a terminal, else a line for each epoch."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from time import monotonic
from typing import Any

from miniflow.train.history import logged, number_list
from miniflow.train.problem import Logs

SILENT, BAR, LINES = 0, 1, 2
PAUSE = 0.1  # seconds between two looks of the bar


class Progress:
    """What is shown of an epoch: nothing, a bar or a line.

    Args:
        who: the function that asks, for errors.
        verbose: 0, 1, 2 or "auto": a bar on a terminal or in a notebook, lines elsewhere. A bar
            needs the package tqdm and a terminal: without there are lines.

    Raises:
        ValueError: `verbose` is something else.
    """

    def __init__(self, who: str, verbose: Any) -> None:
        if verbose not in ("auto", SILENT, BAR, LINES):
            raise ValueError(f"{who}: verbose must be 'auto', 0, 1 or 2, got {verbose!r}")
        self.kind = BAR if verbose == "auto" else int(verbose)
        if self.kind == BAR and not (find_spec("tqdm") and (_terminal() or _notebook())):
            self.kind = LINES
        self.bar: Any = None
        self.shown = 0.0

    def begin(self, title: str, steps: int | None) -> None:
        """An epoch of so many batches begins."""
        if self.kind == BAR:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=steps, desc=title, unit="batch", dynamic_ncols=True)
            self.shown, self.done = monotonic(), 0

    def batch(self, logs: Callable[[], Logs], count: int = 1) -> None:
        """Batches are done; the numbers are asked for when they are shown."""
        self.done += count
        if monotonic() - self.shown > PAUSE:
            self._show(logs())

    def _show(self, logs: Logs) -> None:
        self.shown = monotonic()
        self.bar.set_postfix({name: logged(x) for name, x in logs.items()}, refresh=False)
        self.bar.update(self.done - self.bar.n)

    def end(self, title: str, logs: Logs | None) -> None:
        """An epoch is over; without logs it was cut off."""
        if self.bar is not None:
            bar, self.bar = self.bar, None
            if logs is not None:
                bar.set_postfix({name: logged(x) for name, x in logs.items()}, refresh=False)
                bar.update(self.done - bar.n)
            bar.close()
        elif self.kind == LINES and logs is not None:
            print(f"{title}: {number_list(logs)}")


def _terminal() -> bool:
    return bool(getattr(sys.stderr, "isatty", bool)())


def _notebook() -> bool:
    """Whether this is a notebook's kernel: there a bar can move, too."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
