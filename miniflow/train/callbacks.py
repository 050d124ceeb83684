"""Callbacks: objects whose methods are called while a model learns, with Keras's names and order.

Any object with some of these methods is one: what it has not got is not called.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from miniflow.train.problem import Logs
from miniflow.util.words import shown

HOOKS = (
    "train_begin", "train_end", "epoch_begin", "epoch_end", "train_batch_begin", "train_batch_end",
    "test_begin", "test_end", "test_batch_begin", "test_batch_end", "predict_begin", "predict_end",
    "predict_batch_begin", "predict_batch_end", "train_interrupted",
)  # fmt: skip


class Callback:
    """The base of callbacks: all its methods do nothing.

    In the methods the model's parameters and the optimiser are as they are then, and may be
    changed. ``model.stop_training = True`` ends the training after the batch or the epoch.

    Attributes:
        model: the model that learns, with its `optimizer`.
        params: a dict with ``verbose``, ``epochs`` and ``steps``, batches of an epoch.
    """

    model: Any = None
    params: dict[str, Any]

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before the training begins."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before the training begins."""
        self.model = model

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called once, at the beginning."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once, at the end; `logs` are the last epoch's."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before an epoch; the first one is 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after an epoch and its validation, whose names begin with ``val_``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of an epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch; `logs` are means over the epoch so far."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before a validation or an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called after it."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of it."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of it."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called before predictions."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called after them."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of predictions."""

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Called after it; ``logs["outputs"]`` are the predictions."""

    def on_train_interrupted(self, logs: Logs | None = None) -> None:
        """Called where an error or Ctrl-C ends the training; `logs` are the epoch's so far."""


class CallbackList:
    """The callbacks of one training, each hook with those that have it."""

    def __init__(self, who: str, callbacks: Any) -> None:
        if isinstance(callbacks, (str, type)) or not isinstance(callbacks, Iterable):
            raise TypeError(f"{who}: callbacks must be a list of objects, got {shown(callbacks)}")
        self.all = list(callbacks)
        for callback in self.all:
            if isinstance(callback, type):
                raise TypeError(
                    f"{who}: a callback must be an object, got the class {callback.__name__}; "
                    f"write {callback.__name__}()"
                )
            if not any(hasattr(callback, f"on_{hook}") for hook in HOOKS):
                raise TypeError(
                    f"{who}: a callback must have methods such as on_epoch_end, got "
                    f"{shown(callback)}"
                )
        self.hooks = {hook: [m for c in self.all if (m := _method(c, hook))] for hook in HOOKS}

    def introduce(self, model: Any, params: dict[str, Any], training: Any = None) -> None:
        """Say to each what is trained, and how."""
        for method, given in (
            ("set_model", model), ("set_params", dict(params)), ("set_training", training),
        ):  # fmt: skip
            for callback in self.all:
                if hasattr(callback, method):
                    getattr(callback, method)(given)

    def states(self) -> list[Any]:
        """What those that can be continued remember."""
        return [c.state_dict() if hasattr(c, "state_dict") else None for c in self.all]


def _method(callback: Any, hook: str) -> Callable[..., Any] | None:
    """A callback's method for a hook, unless it does nothing."""
    name = f"on_{hook}"
    own = getattr(type(callback), name, None)
    if own is not None and own is getattr(Callback, name) and name not in vars(callback):
        return None
    method: Callable[..., Any] | None = getattr(callback, name, None)
    return method


class Monitor:
    """A number of the logs that is watched, and which of two of them is better.

    Args:
        who: the callback's name, for warnings.
        name: the number's, such as ``val_loss``.
        mode: "min", "max" or "auto": "max" for names that say accuracy or r2.
        min_delta: a change that is not larger is none.

    Raises:
        ValueError: there is no such mode.
    """

    def __init__(self, who: str, name: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{who}: mode must be 'auto', 'min' or 'max', got {mode!r}")
        if mode == "auto":
            last = name.removeprefix("val_")
            mode = "max" if last.endswith(("acc", "accuracy", "auc", "r2")) else "min"
        self.who, self.name, self.mode = who, name, mode
        self.min_delta = abs(min_delta)

    @property
    def worst(self) -> float:
        """A number that everything finite is better than."""
        return float("inf") if self.mode == "min" else -float("inf")

    def better(self, x: float, best: float) -> bool:
        """Whether x is better than the best so far; NaN never is."""
        if self.mode == "min":
            return x + self.min_delta < best
        return x - self.min_delta > best

    def of(self, logs: Logs | None) -> float | None:
        """The number in the logs; None and a warning where it is missing."""
        import warnings

        if logs is not None and self.name in logs:
            return logs[self.name]
        known = ", ".join(logs or ()) or "none"
        warnings.warn(
            f"{self.who}: there is no {self.name!r} to monitor; there are: {known}",
            RuntimeWarning,
            stacklevel=4,
        )
        return None
