"""Callbacks that end a training."""

import warnings
from math import isfinite
from typing import Any

from miniflow.train.callbacks import Callback, Monitor
from miniflow.train.problem import Logs


class EarlyStopping(Callback):
    """End a training that does not get better any more.

    Args:
        monitor: which number is watched.
        min_delta: what is not better by more than this is not better.
        patience: after how many epochs without a better one the training ends.
        mode: "min" if less is better, "max" if more is, "auto" to tell by the name.
        baseline: what must be reached, too.
        restore_best_weights: whether the model ends with the parameters of its best epoch,
            whatever ended the training; otherwise with the last ones.
        start_from_epoch: how many epochs are not watched.

    Attributes:
        best, best_epoch: the best number and its epoch.
        stopped_epoch: the epoch after which it ended the training, 0 if it did not.
    """

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0.0, patience: int = 0,
        mode: str = "auto", baseline: float | None = None, restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:  # fmt: skip
        self.monitor = Monitor("EarlyStopping", monitor, mode, min_delta)
        self.patience = patience
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.monitor.worst
        self.best_weights: dict[str, float] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if epoch < self.start_from_epoch or (current := self.monitor.of(logs)) is None:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)  # of bad ones the first is the best so far
        self.wait += 1
        if self.monitor.better(current, self.best):
            self.best = current
            self._keep(epoch)
            if self.baseline is None or self.monitor.better(current, self.baseline):
                self.wait = 0
                return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.state_dict()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        """What it remembers of the epochs so far."""
        return {name: getattr(self, name) for name in REMEMBERED_STOPS}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` gave."""
        for name in REMEMBERED_STOPS:
            setattr(self, name, state[name])


REMEMBERED_STOPS = ("wait", "stopped_epoch", "best_epoch", "best", "best_weights")


class TerminateOnNaN(Callback):
    """End the training after a batch whose loss is NaN or infinite; a warning says why it is."""

    training: Any = None

    def set_training(self, training: Any) -> None:
        """Called before the training begins."""
        self.training = training

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if logs is None or isfinite(logs.get("loss", 0.0)):
            return
        why = self.training.autopsy() if self.training is not None else ""
        warnings.warn(
            f"TerminateOnNaN: the loss is {logs['loss']} after batch {batch}{why}",
            RuntimeWarning,
            stacklevel=2,
        )
        self.model.stop_training = True
