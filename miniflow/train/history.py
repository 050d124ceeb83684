"""What a training leaves behind: its numbers, epoch by epoch."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib import import_module
from typing import Any

from miniflow.train.problem import Logs, Problem


class History:
    """The numbers of a training.

    Attributes:
        history: for each name in the logs its numbers, one for each epoch that had one.
        epoch: the numbers of the epochs.
        params: ``verbose``, ``epochs``, ``steps``, and the ``seed`` of the shuffles: the same
            seed gives the same training.
        seconds: how long the training took.
    """

    def __init__(self, params: Mapping[str, Any], problem: Problem) -> None:
        self.params = dict(params)
        self.loss, self.metrics = problem.loss, problem.metrics  # those of a later evaluation
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}
        self.epochs_of: dict[str, list[int]] = {}
        self.seconds = 0.0

    def add(self, epoch: int, logs: Logs) -> None:
        """Note the numbers of an epoch."""
        self.epoch.append(epoch)
        for name, x in logs.items():
            self.history.setdefault(name, []).append(x)
            self.epochs_of.setdefault(name, []).append(epoch)

    def __repr__(self) -> str:
        last = number_list({name: xs[-1] for name, xs in self.history.items()})
        return f"History({len(self.epoch)} epochs{': ' if last else ''}{last})"

    def _repr_html_(self) -> str:
        """A table: each number at the first and the last epoch, and where it was best."""
        lines = [_line(name, xs, self.epochs_of[name]) for name, xs in self.history.items()]
        head = "".join(f"<th>{x}</th>" for x in ("", "first", "last", "least", "most"))
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(x)}</td>" for x in line) + "</tr>" for line in lines
        )
        return f"<table><caption>{len(self.epoch)} epochs</caption><tr>{head}</tr>{body}</table>"

    def plot(self, *names: str, ax: Any = None, log: bool = False) -> Any:
        """Curves over the epochs, by matplotlib: of `names`, or of all.

        Args:
            names: which numbers.
            ax: where to draw; a new figure if left out.
            log: whether the vertical axis is logarithmic.

        Returns:
            The axes.

        Raises:
            KeyError: there is no such name.
            ImportError: matplotlib is missing.
        """
        for name in names:
            if name not in self.history:
                raise KeyError(f"plot: no {name!r}; there are {', '.join(self.history) or 'none'}")
        chosen = names or [name for name in self.history if name != "learning_rate"]
        axes = import_module("viz.model.plots").plot_history(
            {name: self.history[name] for name in chosen}, ax, log=log
        )
        for line in axes.get_lines():
            if line.get_label() in self.epochs_of:  # which has no number in some epochs
                line.set_xdata([epoch + 1 for epoch in self.epochs_of[str(line.get_label())]])
        axes.relim()
        axes.autoscale_view()
        axes.set_xlabel("epoch")
        return axes


def _line(name: str, xs: Sequence[float], epochs: Sequence[int]) -> list[str]:
    """A line of the table; what is best has its epoch beside it."""
    ends = [f"{logged(pick(xs))} (epoch {epochs[xs.index(pick(xs))] + 1})" for pick in (min, max)]
    return [name, logged(xs[0]), logged(xs[-1]), *ends]


def logged(x: float) -> str:
    """A number of the logs with four digits behind the point, or in powers of ten.

    Example:
        >>> logged(0.25), logged(0.0005)
        ('0.2500', '5.0000e-04')
    """
    return f"{x:.4f}" if abs(x) > 1e-3 else f"{x:.4e}"


def number_list(logs: Mapping[str, float]) -> str:
    """The numbers of the logs in a line."""
    return ", ".join(f"{name} {logged(x)}" for name, x in logs.items())
