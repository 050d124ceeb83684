"""Callbacks that change the learning rate."""

import inspect
from collections.abc import Callable
from math import isfinite
from numbers import Real
from typing import Any

from miniflow.train.callbacks import Callback, Monitor
from miniflow.train.problem import Logs
from miniflow.util.functions import a_function
from miniflow.util.words import shown


class ReduceLROnPlateau(Callback):
    """Lower the learning rate where the training does not get better; adds it to the logs.

    Args:
        monitor: which number is watched.
        factor: what the rate is multiplied with.
        patience: after how many epochs without a better one.
        mode: as of `EarlyStopping`.
        min_delta: what is not better by more than this is not better.
        cooldown: for how many epochs nothing is watched after the rate was lowered.
        min_lr: what the rate does not fall below.

    Raises:
        ValueError: the factor is not between 0 and 1.
    """

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10,
        mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0,
    ) -> None:  # fmt: skip
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be between 0 and 1, got {factor!r}")
        self.monitor = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self.factor, self.patience = factor, patience
        self.cooldown, self.min_lr = cooldown, min_lr
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = self.cooling = 0
        self.best = self.monitor.worst

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        if logs is not None:
            logs["learning_rate"] = optimizer.lr
        if (current := self.monitor.of(logs)) is None:
            return
        if self.cooling > 0:
            self.cooling -= 1
            self.wait = 0
        if self.monitor.better(current, self.best):
            self.best, self.wait = current, 0
        elif self.cooling <= 0:
            self.wait += 1
            if self.wait >= self.patience and optimizer.lr > self.min_lr:
                optimizer.lr = max(optimizer.lr * self.factor, self.min_lr)
                self.cooling, self.wait = self.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        """What it remembers of the epochs so far."""
        return {"wait": self.wait, "cooling": self.cooling, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` gave."""
        self.wait, self.cooling, self.best = state["wait"], state["cooling"], state["best"]


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch; adds it to the logs.

    Args:
        schedule: ``schedule(epoch, lr)``, or ``schedule(epoch)``, is the epoch's rate.
    """

    def __init__(self, schedule: Callable[..., float]) -> None:
        a_function("LearningRateScheduler", schedule)
        self.schedule = schedule
        self.of_epoch_alone = _takes_one(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        given = (epoch,) if self.of_epoch_alone else (epoch, optimizer.lr)
        rate = self.schedule(*given)
        if isinstance(rate, bool) or not isinstance(rate, Real):
            raise TypeError(
                f"LearningRateScheduler: the schedule must return a float, got {shown(rate)}"
            )
        if not isfinite(rate) or rate < 0:
            raise ValueError(
                f"LearningRateScheduler: the schedule must return a rate from 0 on, got {rate}"
            )
        optimizer.lr = float(rate)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.lr


def _takes_one(schedule: Callable[..., Any]) -> bool:
    """Whether a function can be called with one argument and not with two."""
    try:
        signature = inspect.signature(schedule)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind(0, 0.0)
    except TypeError:
        return True
    return False
