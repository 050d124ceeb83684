"""Callbacks that write files: models, logs, and trainings that go on later."""

import csv
import json
import os
from pathlib import Path
from typing import Any

from miniflow.train.callbacks import Callback, Monitor
from miniflow.train.data import whole_number
from miniflow.train.problem import Logs
from miniflow.util.files import write

TRAINING = "miniflow training 1"  # the format of the files of BackupAndRestore


class ModelCheckpoint(Callback):
    """Save the model after epochs, or after some batches; each file is written whole.

    Args:
        filepath: a name that may have ``{epoch}``, which begins with 1, ``{batch}`` and the names
            of the logs in it: ``"model-{epoch:02d}-{val_loss:.3f}.json"``. Folders are made.
        monitor: which number is watched.
        save_best_only: whether to save only where that is better than ever.
        save_weights_only: whether the file has the parameters alone, as JSON of `state_dict`.
        mode: as of `EarlyStopping`.
        save_freq: "epoch", or after how many batches.
        initial_value_threshold: what must be reached at first.

    Raises:
        KeyError: from the training: `filepath` has a name that is not in the logs.
    """

    def __init__(
        self, filepath: str | os.PathLike[str], monitor: str = "val_loss",
        save_best_only: bool = False, save_weights_only: bool = False, mode: str = "auto",
        save_freq: str | int = "epoch", initial_value_threshold: float | None = None,
    ) -> None:  # fmt: skip
        self.filepath = os.fspath(filepath)
        self.monitor = Monitor("ModelCheckpoint", monitor, mode)
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = _save_freq("ModelCheckpoint", save_freq)
        threshold = initial_value_threshold
        self.best = self.monitor.worst if threshold is None else threshold
        self.epoch = self.batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq:
            self.batches += 1
            if self.batches % self.save_freq == 0:
                self._save({"epoch": self.epoch + 1, "batch": batch + 1, **(logs or {})}, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not self.save_freq:
            self._save({"epoch": epoch + 1, **(logs or {})}, logs)

    def _save(self, names: dict[str, Any], logs: Logs | None) -> None:
        if self.save_best_only:
            current = self.monitor.of(logs)
            if current is None or not self.monitor.better(current, self.best):
                return
            self.best = current
        try:
            path = Path(self.filepath.format(**names))
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: there is no {error.args[0]!r} for {self.filepath!r}; there are "
                f"{', '.join(names)}"
            ) from None
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            write(path, json.dumps(self.model.state_dict(), indent=1) + "\n")
        else:
            self.model.save(path)

    def state_dict(self) -> dict[str, Any]:
        """What it remembers of the epochs so far."""
        return {"best": self.best, "epoch": self.epoch, "batches": self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` gave."""
        self.best, self.epoch, self.batches = state["best"], state["epoch"], state["batches"]


class CSVLogger(Callback):
    """Write the numbers of each epoch as a line of a CSV file, at once.

    Args:
        filename: where.
        separator: what stands between numbers.
        append: whether to go on with a file that is there, rather than to begin anew.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        self.filename = Path(filename)
        self.separator = separator
        self.append = append
        self.keys: list[str] | None = None
        self.file: Any = None
        self.training: Any = None

    def set_training(self, training: Any) -> None:
        """Called before the training begins."""
        self.training = training

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.keys = None
        old = self.append and self.filename.exists() and self.filename.stat().st_size
        if old:
            with self.filename.open(newline="", encoding="utf-8") as file:
                self.keys = next(csv.reader(file, delimiter=self.separator))[1:]
        self.file = self.filename.open("a" if self.append else "w", newline="", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        writer = csv.writer(self.file, delimiter=self.separator, lineterminator="\n")
        if self.keys is None:
            self.keys = sorted({*logs, *self._validated(logs)})
            writer.writerow(["epoch", *self.keys])
        writer.writerow([epoch, *(logs.get(name, "NA") for name in self.keys)])
        self.file.flush()

    def _validated(self, logs: Logs) -> list[str]:
        """The names that come after later epochs only."""
        if getattr(self.training, "validation", None) is None:
            return []
        return [f"val_{x}" for x in logs if not x.startswith("val_") and x != "learning_rate"]

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    on_train_interrupted = on_train_end


class BackupAndRestore(Callback):
    """Go on with a training that was interrupted, to the same bits as without interruption.

    A training that is ended by an error or Ctrl-C, or by the end of its process, goes on when
    the same `fit` is called again: with parameters, optimiser, epoch and batch, random order,
    metrics, and callbacks that have a `state_dict`, as they were. Over, it removes the file.

    Args:
        path: the file.
        save_freq: "epoch", or after how many batches; after each interruption, too.
        delete: whether the file is removed in the end.

    Raises:
        ValueError: from `fit`: the file is not one of a training, or of another one.
    """

    def __init__(
        self, path: str | os.PathLike[str], save_freq: str | int = "epoch", *, delete: bool = True
    ) -> None:
        self.path = Path(path)
        self.save_freq = _save_freq("BackupAndRestore", save_freq)
        self.delete = delete
        self.training: Any = None
        self.restored = False

    def set_training(self, training: Any) -> None:
        """Called before the training begins."""
        self.training = training
        self.restored = False

    def resume(self, training: Any) -> None:
        """Called when the training has begun, and all callbacks know."""
        if self.path.exists():
            try:
                state = json.loads(self.path.read_text(encoding="utf-8"))
                if state["format"] != TRAINING:
                    raise ValueError(f"its format is {state['format']!r}, not {TRAINING!r}")
                training.restore(state)
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"BackupAndRestore: {str(self.path)!r} cannot be continued here: {error}"
                ) from error
        self.restored = True

    def batch_over(self, training: Any) -> None:
        """Called after each batch and its callbacks."""
        if self.save_freq and training.batch % self.save_freq == 0:
            self._save()

    def epoch_over(self, training: Any) -> None:
        """Called after each epoch and its callbacks."""
        self._save()

    def on_train_interrupted(self, logs: Logs | None = None) -> None:
        if self.restored:
            self._save()

    def finished(self) -> None:
        """Called when the training is over."""
        if self.delete:
            self.path.unlink(missing_ok=True)

    def _save(self) -> None:
        write(self.path, json.dumps({"format": TRAINING, **self.training.state()}) + "\n")


def _save_freq(who: str, save_freq: Any) -> int:
    """After how many batches to save; 0 for each epoch."""
    return 0 if save_freq == "epoch" else whole_number(f"{who}: save_freq", save_freq, 1)
