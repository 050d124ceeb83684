"""One training: its position, a step, an epoch, and what happens where it is interrupted."""

import random
from collections.abc import Collection, Iterable
from functools import partial
from importlib import import_module
from itertools import islice
from time import perf_counter
from typing import Any

from miniflow import optim
from miniflow.optim.optimizer import Optimizer
from miniflow.program.schedule import BLOCK
from miniflow.train.callbacks import CallbackList
from miniflow.train.chunks import given_data
from miniflow.train.data import (
    ArrayBatches,
    Samples,
    StreamBatches,
    Taken,
    batch_length,
    is_stream,
    only_samples,
    only_stream,
    split_samples,
    whole_number,
)
from miniflow.train.evaluate import scores_of
from miniflow.train.fused import FusedSteps
from miniflow.train.history import History
from miniflow.train.interrupts import WholeSteps
from miniflow.train.network import Extras, Network, listed, plain_numbers, scored
from miniflow.train.problem import Logs, Problem, in_mode, weighed
from miniflow.train.progress import BAR, Progress
from miniflow.train.saving import BackupAndRestore
from miniflow.util.words import shown

LOOK = 64  # steps after which it is seen again whether many can be made at a time


class Training:
    """A training, checked; `run` does it. The arguments are those of `fit`.

    Attributes:
        epoch, batch: where it is: how many epochs are over, and batches of the next one.
        begun: whether the callbacks know that this epoch has begun.
        numbers: the parameters' numbers; while `dirty`, the model has older ones.
    """

    def __init__(
        self, model: Any, x: Any, y: Any, *, loss: Any, optimizer: Any, epochs: int,
        batch_size: int | None, validation_data: Any, validation_split: float, metrics: Any,
        callbacks: Any, shuffle: bool, initial_epoch: int, validation_freq: Any, seed: Any,
        verbose: Any, sample_weight: Any, class_weight: Any, steps_per_epoch: int | None,
        executor: Any,
    ) -> None:  # fmt: skip
        self.model = model
        self.epochs = whole_number("fit: epochs", epochs, 0)
        self.epoch = whole_number("fit: initial_epoch", initial_epoch, 0)
        self.freq = _frequency(validation_freq)
        self.shuffle = bool(shuffle)
        Network("fit", model)  # is it a model at all
        self.optimizer = _optimizer(model, optimizer)
        self.network = Network("fit", model, self.optimizer.parameters, executor)
        self.callbacks = CallbackList("fit", callbacks)
        self.progress = Progress("fit", verbose)
        given_seed = None if seed is None else whole_number("fit: seed", seed, 0)
        self._take(x, y, loss, metrics, sample_weight, class_weight, batch_size,
                   validation_data, validation_split, steps_per_epoch)  # fmt: skip
        self.extras = Extras(self.weighted, _noise_count(model, self.first_sample))
        self.kernel = self.network.step(self.problem.loss, self.problem.metrics, self.extras)
        self.batch, self.begun = 0, False
        self.sums, self.seen = self.problem.zero(), 0
        self.dirty = False
        self.snapshot: Any = None
        self.fused: FusedSteps | None = None
        self.looked = False  # whether it is known that there can be such
        self.whole = WholeSteps()
        self.last: Any = None  # the numbers before the last step, and its batch
        self.seed = random.getrandbits(48) if given_seed is None else given_seed
        self.backup = next((c for c in self.callbacks.all if isinstance(c, BackupAndRestore)), None)

    def _take(
        self, x: Any, y: Any, loss: Any, metrics: Any, sample_weight: Any, class_weight: Any,
        batch_size: int | None, validation_data: Any, split: float, steps: int | None,
    ) -> None:  # fmt: skip
        """Check the data, and divide them."""
        self.batches: Any
        if steps is not None:
            steps = whole_number("fit: steps_per_epoch", steps, 1)
        if is_stream(x):
            only_stream("fit", x, y=y, sample_weight=sample_weight, class_weight=class_weight,
                        batch_size=batch_size, validation_split=split or None)  # fmt: skip
            self.batches = StreamBatches("fit", x, steps)
            first = self.batches.first()
            self.problem = Problem("fit", self.network, first, loss, metrics)
            self.batches.fitted = self.problem.fitted
            self.weighted = first.weights is not None
            held_out, size, self.first_sample = None, None, first.x[0]
        else:
            only_samples("fit", steps_per_epoch=steps)
            samples = given_data("fit", x, y, sample_weight)
            head = samples.head()
            self.problem = Problem("fit", self.network, head, loss, metrics)
            weigh = partial(weighed, by_class=class_weight)
            samples = samples.then(self.problem.fitted).checked(weigh)
            samples, held_out = split_samples(
                samples, 0.0 if validation_data is not None else split
            )
            samples = samples.then(weigh)
            self.weighted = sample_weight is not None or class_weight is not None
            self.first_sample = head.x[0]
            size = batch_length("fit", batch_size, samples.total)
            self.batches = samples.batches(size)
        self.validation = self._validation(validation_data, held_out, size)

    def _validation(self, data: Any, samples: Any, size: int | None) -> Any:
        """The batches to validate with, None if there are none."""
        if data is not None and is_stream(data):
            stream = StreamBatches("fit: validation_data", data, None)
            stream.fitted = self._fitted
            stream.fitted(stream.first(), "batch 0:")
            return stream
        if data is not None:
            if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
                raise TypeError(
                    "fit: validation_data must be (x, y) or (x, y, sample_weight), got "
                    f"{shown(data)}"
                )
            vx, vy, weights = (*data, None)[:3]
            samples = given_data("fit", vx, vy, weights, name="validation_data")
            samples = samples.then(self._like_first).then(self._fitted).checked(_as_is)
        if samples is None:
            return None
        return samples.batches(min(size or batch_length("fit", None, samples.total), samples.total))

    def _fitted(self, samples: Samples, name: str = "") -> Samples:
        return self.problem.fitted(samples, f"validation_data {name}".rstrip())

    def _like_first(self, samples: Samples) -> Samples:
        """Samples to validate with, if they have the shape of those to train with."""
        if samples.x.shape[1:] != self.first_sample.shape:
            raise ValueError(
                f"fit: validation_data has samples of shape {samples.x.shape[1:]}, x has "
                f"{self.first_sample.shape}"
            )
        return samples

    # --- running --------------------------------------------------------------------

    def run(self) -> History:
        """Train, and return the history."""
        model, start = self.model, perf_counter()
        params = {"verbose": self.progress.kind, "epochs": self.epochs, "steps": self.batches.steps}
        self.history = History({**params, "seed": self.seed}, self.problem)
        model.stop_training, model.optimizer, model.history = False, self.optimizer, self.history
        self.numbers = self.network.numbers()
        self.callbacks.introduce(model, params, self)
        try:
            with in_mode(model, training=True), self.whole:
                self._all()
        except BaseException:
            self._stopped()
            raise
        finally:
            self.history.seconds += perf_counter() - start
        if self.backup is not None:
            self.backup.finished()
        return self.history

    def _all(self) -> None:
        self._tell("train_begin")
        if self.backup is not None:
            self.backup.resume(self)
        logs: Logs = {}
        while self.epoch < self.epochs:
            logs = self._epoch()
            if self.model.stop_training:
                break
        self._tell("train_end", logs)
        self._into_model()

    def _stopped(self) -> None:
        """An error or Ctrl-C has ended the training: the model is as after the last step."""
        self._into_model()
        for hook in self.callbacks.hooks["train_interrupted"]:
            hook(self.logs())

    def _tell(self, hook: str, *given: Any) -> None:
        """Call a hook of all callbacks; they see the model as it is now, and may change it."""
        methods = self.callbacks.hooks[hook]
        if not methods:
            return
        self._into_model()
        for method in methods:
            method(*given)
        self.numbers = self.network.numbers()

    def _into_model(self) -> None:
        if self.dirty:
            self.network.put(self.numbers)
            self.dirty = False

    def logs(self) -> Logs:
        """The means over this epoch so far."""
        return self.problem.logs(self.sums, self.seen)

    # --- an epoch -------------------------------------------------------------------

    def _epoch(self) -> Logs:
        epoch, title = self.epoch, f"epoch {self.epoch + 1}/{self.epochs}"
        if not self.begun:
            self.sums, self.seen = self.problem.zero(), 0
            self._round("epoch_begin", epoch)
            self.begun = True
        self.progress.begin(title, self.batches.steps)
        logs = None
        try:
            self._all_batches()
            logs = self.logs()
            if self._is_due(epoch):
                logs |= self._validated()
        finally:
            self.progress.end(title, logs)
        self._round("epoch_end", epoch, logs)
        self.history.add(epoch, logs)
        self.epoch, self.batch, self.begun = epoch + 1, 0, False
        if self.backup is not None:
            self.backup.epoch_over(self)
        return logs

    def _round(self, hook: str, *given: Any) -> None:
        """A hook in which callbacks remember things: interrupted, all is as before it."""
        self.snapshot = None if self.backup is None else self.state()
        self._tell(hook, *given)
        self.snapshot = None

    def _in_order(self, order: Any) -> Iterable[Taken]:
        """The batches of this epoch that are still to come."""
        found: Iterable[Taken] = self.batches.epoch(order)
        if self.extras.noise:
            found = self._with_noise(found)
        return islice(found, self.batch, None) if self.batch else found

    def _with_noise(self, batches: Iterable[Taken]) -> Iterable[Taken]:
        """The batches, with the numbers from 0 to 1 that Dropout needs."""
        import numpy

        rng = numpy.random.default_rng([self.seed, self.epoch, 1])
        for count, columns in batches:
            yield count, (*columns, rng.random((count, self.extras.noise)))

    def _all_batches(self) -> None:
        """What is left of an epoch: step by step, or many steps at a time as soon as it can be."""
        import numpy

        rng = numpy.random.default_rng([self.seed, self.epoch]) if self.shuffle else None
        order = self.batches.order(rng)
        if not self._fused_batches(order):
            self._single_batches(order)

    def _single_batches(self, order: Any) -> None:
        hooks, progress, backup = self.callbacks.hooks, self.progress, self.backup
        begin, end = hooks["train_batch_begin"], hooks["train_batch_end"]
        bar, step, model = progress.kind == BAR, self._step, self.model
        for count, columns in self._in_order(order):
            if begin:
                self._tell("train_batch_begin", self.batch)
            step(count, columns)
            if end:
                self._tell("train_batch_end", self.batch - 1, self.logs())
            if bar:
                progress.batch(self.logs)
            if backup is not None:
                backup.batch_over(self)
            if model.stop_training:
                break
            if self.batch % LOOK == 0 and self._fused_batches(order):
                break

    def _fusable(self) -> Any:
        """The optimiser's rules, if nobody looks at batches and all is machine code; else None."""
        hooks, backup = self.callbacks.hooks, self.backup
        seen = hooks["train_batch_begin"] or hooks["train_batch_end"] or self.extras.noise
        if seen or (backup is not None and backup.save_freq):
            return None
        settled = isinstance(self.batches, ArrayBatches) and isinstance(self.optimizer, Optimizer)
        rules = self.optimizer.group_rules() if settled else None
        if rules is None or any(rule.columns.loop is None for rule in rules):
            return None
        if not self.looked and self.last is not None:
            self.looked = True
            gradient = self.kernel.loop(self.numbers, *self.last[1])
            if gradient is not None and self.batches.size <= BLOCK:
                source, size = self.batches.source, self.batches.size
                self.fused = FusedSteps(gradient, source, size, len(self.numbers))
        return rules if self.fused is not None else None

    def _fused_batches(self, order: Any) -> bool:
        """Do what is left of an epoch, as many steps at a time as take a moment; if that can be."""
        import numpy

        rules = self._fusable()
        if rules is None:
            return False
        if order is None:
            order = numpy.arange(self.batches.count, dtype=numpy.int64)
        while self.batch < self.batches.steps:
            count = self._fused_steps(order, rules or self.optimizer.group_rules())
            rules = None  # those of the next step are others
            if self.progress.kind == BAR:
                self.progress.batch(self.logs, count)
            if self.model.stop_training:
                break
        return True

    def _fused_steps(self, order: Any, rules: Any) -> int:
        """Some steps in one call, and how many; Ctrl-C waits."""
        assert self.fused is not None
        whole, fused = self.whole, self.fused
        most = 1 if self.model.stop_training else fused.pace
        count: int = min(most, self.batches.steps - self.batch)
        taken = order[self.batch * fused.size : (self.batch + count) * fused.size]
        whole.busy = True
        try:
            found = fused.run(self.optimizer, rules, self.numbers, self.sums, taken)
            self.numbers, self.sums = found
            self.dirty = True
            self.seen += len(taken)
            self.batch += count
        finally:
            whole.busy = False
        if whole.pending is not None:
            whole.release()
        return count

    def _step(self, count: int, columns: tuple[Any, ...]) -> None:
        """Move the parameters once, along the mean gradient of a batch; Ctrl-C waits."""
        import numpy

        numbers, whole, n = self.numbers, self.whole, self.network.moved
        found = self.kernel(numbers, *columns)
        total, parts, slopes = found if found[0].__class__ is float else plain_numbers(found)
        whole.busy = True
        try:
            with numpy.errstate(all="ignore"):
                slopes /= count
                if n == len(numbers):
                    moved = self.optimizer.moved(numbers, slopes)
                else:
                    moved = numbers.copy()
                    moved[:n] = self.optimizer.moved(numbers[:n], slopes[:n])
            self.numbers, self.dirty = moved, True
            self.last = numbers, columns
            sums = self.sums
            sums[0] += total
            for k, part in enumerate(parts, 1):
                sums[k] += part
            self.seen += count
            self.batch += 1
        finally:
            whole.busy = False
        if whole.pending is not None:
            whole.release()

    def _is_due(self, epoch: int) -> bool:
        """Whether this epoch ends with a validation."""
        if self.validation is None:
            return False
        if isinstance(self.freq, int):
            return (epoch + 1) % self.freq == 0
        return epoch + 1 in self.freq

    def _validated(self) -> Logs:
        self._into_model()
        found = scores_of(self.problem, self.numbers, self.validation, self.callbacks)
        self.numbers = self.network.numbers()
        return {f"val_{name}": x for name, x in found.items()}

    # --- what can be continued ------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that is needed to go on from here to the same bits."""
        if self.snapshot is not None:
            return self.snapshot  # type: ignore[no-any-return]
        history = self.history
        return {
            "epoch": self.epoch, "batch": self.batch, "begun": self.begun, "seed": self.seed,
            "sums": list(self.sums), "seen": self.seen, "parameters": self.numbers.tolist(),
            "optimizer": self.optimizer.state_dict(), "callbacks": self.callbacks.states(),
            "history": [history.epoch[:], {k: xs[:] for k, xs in history.history.items()},
                        {k: xs[:] for k, xs in history.epochs_of.items()}],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; before anything is changed it is checked.

        Raises:
            ValueError: it is that of another training.
        """
        if len(state["parameters"]) != len(self.numbers):
            raise ValueError(
                f"the training had {len(state['parameters'])} parameters, the model has "
                f"{len(self.numbers)}"
            )
        if len(state["callbacks"]) != len(self.callbacks.all):
            raise ValueError(
                f"the training had {len(state['callbacks'])} callbacks, now there are "
                f"{len(self.callbacks.all)}"
            )
        if len(state["sums"]) != len(self.sums):
            raise ValueError("the training had other metrics")
        import numpy

        self.optimizer.load_state_dict(state["optimizer"])
        for callback, remembered in zip(self.callbacks.all, state["callbacks"], strict=True):
            if remembered is not None:
                callback.load_state_dict(remembered)
        for name in ("epoch", "batch", "begun", "seed", "seen"):
            setattr(self, name, state[name])
        self.sums = list(state["sums"])
        epochs, named, epochs_of = state["history"]
        self.history.epoch, self.history.history = epochs, named
        self.history.epochs_of, self.history.params["seed"] = epochs_of, self.seed
        self.numbers = numpy.array(state["parameters"], dtype=float)
        self.network.put(self.numbers)

    def autopsy(self) -> str:
        """Why the loss of the last batch is not finite, in words; "" if nobody knows."""
        from miniflow.debug.nans import NanError, nans

        if self.last is None:
            return ""
        numbers, columns = self.last
        score = scored(self.model, self.problem.loss, (), self.extras)
        try:
            self.network.put(numbers)
            with nans(infs=True):
                for sample in zip(*columns, strict=True):
                    score(*map(listed, sample))
        except NanError as error:
            return f": {error}"
        finally:
            self.network.put(self.numbers)
        return ""


def _optimizer(model: Any, optimizer: Any) -> Any:
    """The optimiser that is meant by an object or a name."""
    if isinstance(optimizer, str):
        kinds = {k.lower(): x for k, x in vars(optim).items() if _is_optimizer(x)}
        if optimizer.lower() not in kinds:
            raise ValueError(
                f"fit: there is no optimizer {optimizer!r}; there are {', '.join(sorted(kinds))}"
            )
        optimizer = kinds[optimizer.lower()](model.parameters())
    if isinstance(optimizer, type) or not hasattr(optimizer, "moved"):
        raise TypeError(
            "fit: optimizer must be a name or one of optim, such as "
            f"optim.Adam(model.parameters()), got {shown(optimizer)}"
        )
    if isinstance(optimizer, getattr(optim, "LBFGS", ())):
        raise TypeError(
            "fit: LBFGS computes a loss several times in a step, which batches do not allow; call "
            "its step(closure) yourself, or take another optimizer"
        )
    known = {id(v) for v in model.parameters()}
    if not any(id(v) in known for v in optimizer.parameters):
        raise ValueError(
            "fit: the optimizer has none of the model's parameters; make it with this "
            "model.parameters()"
        )
    return optimizer


def _is_optimizer(x: Any) -> bool:
    return isinstance(x, type) and issubclass(x, optim.Optimizer) and x is not optim.Optimizer


def _as_is(samples: Samples) -> Samples:
    return samples


def _frequency(freq: Any) -> int | Collection[int]:
    """After which epochs to validate."""
    if isinstance(freq, Collection) and not isinstance(freq, (str, bytes)):
        return [whole_number("fit: an epoch of validation_freq", k, 1) for k in freq]
    return whole_number("fit: validation_freq", freq, 1)


def _noise_count(model: Any, sample: Any) -> int:
    """How many random numbers a call of the model needs."""
    noise = getattr(import_module("miniflow.nn"), "noise", None)
    if noise is None or not isinstance(getattr(model, "training", None), bool):
        return 0
    with in_mode(model, training=True):
        return len(noise(model, random.Random(0), listed(sample)))
