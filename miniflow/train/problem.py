"""What is to be computed of a model and data: settled, and checked, before anything is changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any

from miniflow.ops import real
from miniflow.tape.grad_mode import no_grad
from miniflow.train.data import Samples
from miniflow.train.metrics import metrics_of
from miniflow.train.network import Extras, Network, listed
from miniflow.train.objectives import NAMED, Dims, is_nested, loss_of
from miniflow.util.words import shown

Logs = dict[str, float]


class Problem:
    """A loss and metrics of a model's predictions, for data of one shape.

    Attributes:
        metrics: the metrics, each with as many sums as `sizes` says.
        width: how many sums there are besides the loss.
    """

    def __init__(
        self, who: str, network: Network, samples: Samples, loss: Any, metrics: Any
    ) -> None:
        self.who = who
        self.network = network
        self.loss = loss_of(who, loss)
        self.takes = Takes(who, network.model)
        prediction = self._prediction(samples.x[0])
        self.shape = dims_of(prediction)
        y = self.fitted(samples).y
        self.metrics = metrics_of(who, metrics, self.loss, self.shape, y)
        target = listed(y[0])
        with evaluating(network.model), no_grad():
            self._try_loss(prediction, target)
            self.sizes = [len(m.parts(prediction, target)) for m in self.metrics]
        self.width = sum(self.sizes)
        self._scores: dict[bool, Callable[..., Any]] = {}

    def _prediction(self, sample: Any) -> Any:
        """What the model says of the first sample."""
        return self.takes.prediction(sample)

    def _try_loss(self, prediction: Any, target: Any) -> None:
        found = self.loss.of(prediction, target)
        if is_nested(found) or not hasattr(found, "__float__") or hasattr(found, "shape"):
            raise TypeError(
                f"{self.who}: the loss {self.loss.name} must return one number for a sample, got "
                f"{shown(found)}"
            )

    def fitted(self, samples: Samples, name: str = "") -> Samples:
        """Samples with targets of the predictions' shape, where that is one number either way.

        Raises:
            ValueError: the targets do not fit the loss.
        """
        self.takes(samples, name)
        y, named = samples.y, self.loss.name in NAMED
        if named and self.shape == () and y.shape[1:] == (1,):
            y = y[:, 0]
        elif named and self.shape == (1,) and y.ndim == 1:
            y = y[:, None]
        try:
            self.loss.check(self.loss.name, y, self.shape)
        except ValueError as error:
            where = f"{name} " if name else ""
            raise ValueError(f"{self.who}: {where}{error}") from None
        return samples._replace(y=y)

    def zero(self) -> list[float]:
        """The sums of no samples: of the loss, and of all parts."""
        return [0.0] * (1 + self.width)

    def logs(self, sums: Sequence[float], count: int) -> Logs:
        """The loss and the metrics, of sums over so many samples."""
        if not count:
            return {}
        logs, start = {"loss": sums[0] / count}, 1
        for metric, size in zip(self.metrics, self.sizes, strict=True):
            logs[metric.name] = metric.result(sums[start : start + size], count)
            start += size
        return logs

    def scores(self, weighted: bool) -> Callable[..., Any]:
        """The compiled loss and parts over a batch."""
        if weighted not in self._scores:
            self._scores[weighted] = self.network.scores(self.loss, self.metrics, Extras(weighted))
        return self._scores[weighted]


class Takes:
    """Whether a model takes samples: it is tried with the first one of each shape."""

    def __init__(self, who: str, model: Any) -> None:
        self.who = who
        self.model = model
        self.shapes: set[Dims] = set()

    def __call__(self, samples: Samples, name: str = "") -> Samples:
        """The samples, if the model takes them; `name` is what they are part of."""
        if samples.x.shape[1:] not in self.shapes:
            self.prediction(samples.x[0], name)
        return samples

    def prediction(self, sample: Any, name: str = "") -> Any:
        """What the model says of a sample.

        Raises:
            ValueError: it does not take such samples.
        """
        with evaluating(self.model), no_grad():
            try:
                found = self.model(listed(sample))
            except (ValueError, TypeError, IndexError) as error:
                raise ValueError(
                    f"{self.who}: {name}{' ' if name else ''}the model does not take a sample of "
                    f"x, of shape {sample.shape}: {error}"
                ) from error
        self.shapes.add(sample.shape)
        return found.tolist() if hasattr(found, "tolist") else found


def dims_of(prediction: Any) -> Dims:
    """How many numbers a prediction has, as an array's shape; () of one number."""
    if not is_nested(prediction) or not prediction:
        return ()
    return (len(prediction), *dims_of(prediction[0]))


@contextmanager
def in_mode(model: Any, training: bool) -> Iterator[None]:
    """A block in which a model is in its training mode, or not, if it has one."""
    before = getattr(model, "training", None)
    if not isinstance(before, bool):
        yield
        return
    modes = [(part, part.training, "training" in vars(part)) for part in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for part, mode, own in modes:
            part.training = mode
            if not own:  # it was its class's
                del vars(part)["training"]


def evaluating(model: Any) -> Any:
    """A block in which a model is in the mode for evaluation."""
    return in_mode(model, training=False)


def weighed(samples: Samples, by_class: Any) -> Samples:
    """Samples with weights by their classes, besides their own; `by_class` may be None.

    Raises:
        TypeError, ValueError: as `class_weights` does.
    """
    if by_class is None:
        return samples
    weights = class_weights(samples.y, by_class)
    return samples._replace(
        weights=weights if samples.weights is None else weights * samples.weights
    )


def class_weights(y: Any, weights: Any) -> Any:
    """A weight for each sample by its class; a class that is not named has 1.

    Raises:
        TypeError: the weights are not a dict of numbers by class number.
        ValueError: the targets are no class numbers; a weight is negative or not finite.
    """
    import numpy

    if not isinstance(weights, Mapping):
        raise TypeError(f"fit: class_weight must be a dict by class number, got {shown(weights)}")
    if y.ndim != 1 or (y != y.round()).any():
        raise ValueError("fit: class_weight needs one class number for each sample of y")
    known = {_class_number(k): real(x, f"fit: class_weight of {k}") for k, x in weights.items()}
    if not all(0 <= x < inf for x in known.values()):
        raise ValueError("fit: class_weight must be finite weights from 0 on")
    return numpy.array([known.get(int(k), 1.0) for k in y.tolist()])


def _class_number(k: Any) -> int:
    if isinstance(k, (str, bytes)) or not hasattr(k, "__int__") or k != int(k):
        raise TypeError(f"fit: class_weight must have class numbers, 0, 1 ..., got {shown(k)}")
    return int(k)
