"""Metrics: what is told of the predictions beside the loss, in numbers that people understand.

A metric adds up some numbers of each sample, its *parts*; their sums give the result. So it is
computed with the loss, in the same code, and is the same whatever the batches.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from miniflow import math
from miniflow.train.objectives import Dims, Objective, is_nested
from miniflow.util.trees import flatten
from miniflow.util.words import shown

ZERO_LOGIT = ("bce_with_logits", "hinge")  # losses of scores: above 0 means the second class


class Metric(NamedTuple):
    """A metric: `parts` of a prediction and a target, and `result` of their sums and count."""

    name: str
    parts: Callable[[Any, Any], list[Any]]
    result: Callable[[Sequence[float], int], float]


def _mean_metric(name: str, part: Callable[[Any, Any], Any]) -> Metric:
    return Metric(name, lambda p, t: [part(p, t)], lambda sums, count: sums[0] / count)


def _over_numbers(part: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The mean of a part over the numbers of a sample."""

    def mean(prediction: Any, target: Any) -> Any:
        terms = [part(p, t) for p, t in zip(flatten(prediction), flatten(target), strict=True)]
        return math.sum(terms) / len(terms)

    return mean


def _at_most(a: Any, b: Any) -> Any:
    return math.maximum(math.less(a, b), math.equal(a, b))


def _right_class(scores: Any, k: Any) -> Any:
    """1 where class k has the first of the largest scores, else 0."""
    chosen = math.sum([math.where(math.equal(k, float(j)), z, 0.0) for j, z in enumerate(scores)])
    wins = []
    for j, z in enumerate(scores):
        before = math.less(float(j), k)
        won = math.where(before, math.less(z, chosen), _at_most(z, chosen))
        wins.append(math.where(math.equal(k, float(j)), math.equal(z, z), won))
    return math.minimum(*wins)


def _first_largest(scores: Sequence[Any]) -> Any:
    """The number of the first of the largest scores."""
    best, k = scores[0], 0.0
    for j, z in enumerate(scores[1:], 1):
        more = math.less(best, z)
        best, k = math.where(more, z, best), math.where(more, float(j), k)
    return k


def _right(prediction: Any, target: Any) -> Any:
    """The share of right classes of a sample, which is one number, or a sequence of them."""
    if is_nested(prediction[0]):
        terms = [_right(p, t) for p, t in zip(prediction, target, strict=True)]
        return math.sum(terms) / len(terms)
    return _right_class(prediction, _first_largest(target) if is_nested(target) else target)


def _binary_accuracy(loss: Objective) -> Callable[[Any, Any], Any]:
    threshold = 0.0 if loss.name in ZERO_LOGIT else 0.5
    middle = 0.0 if loss.name == "hinge" else 0.5

    def right(p: Any, t: Any) -> Any:
        return math.equal(math.less(threshold, p), math.less(middle, t)) * math.equal(p, p)

    return _over_numbers(right)


def _accuracy(name: str, loss: Objective, shape: Dims, y: Any) -> Metric:
    of_two = name == "binary_accuracy" or loss.name in ZERO_LOGIT or not shape or shape[-1] < 2
    if of_two and y.shape[1:] != shape:
        raise ValueError(f"{name}: y has targets of shape {y.shape[1:]}, predictions have {shape}")
    return _mean_metric(name, _binary_accuracy(loss) if of_two else _right)


def _r2(name: str, loss: Objective, shape: Dims, y: Any) -> Metric:
    """1 - (squared errors) / (squared distances from the mean), over all outputs together."""
    if y.shape[1:] != shape:
        raise ValueError(f"{name}: y has targets of shape {y.shape[1:]}, predictions have {shape}")
    centre = float(y.mean())  # nothing cancels then

    def parts(prediction: Any, target: Any) -> list[Any]:
        p, t = flatten(prediction), [x - centre for x in flatten(target)]
        errors = [a - centre - b for a, b in zip(p, t, strict=True)]
        return [math.sum([e * e for e in errors]), math.sum(t), math.sum([x * x for x in t])]

    def result(sums: Sequence[float], count: int) -> float:
        squares = sums[2] - sums[1] ** 2 / (count * (y[0].size or 1))
        return 1 - sums[0] / squares if squares > 0 else float("nan")

    return Metric(name, parts, result)


def _distance(name: str, loss: Objective, shape: Dims, y: Any) -> Metric:
    if y.shape[1:] != shape:
        raise ValueError(f"{name}: y has targets of shape {y.shape[1:]}, predictions have {shape}")
    squared = name == "mse"
    return _mean_metric(
        name, _over_numbers(lambda p, t: (p - t) * (p - t) if squared else abs(p - t))
    )


METRICS: dict[str, Callable[[str, Objective, Dims, Any], Metric]] = {
    "accuracy": _accuracy,
    "binary_accuracy": _accuracy,
    "mae": _distance,
    "mse": _distance,
    "r2": _r2,
}


def metrics_of(who: str, metrics: Any, loss: Objective, shape: Dims, y: Any) -> list[Metric]:
    """The metrics that are meant by names and functions.

    Args:
        who: the function that asks, for errors.
        metrics: names, and functions of a sample's prediction and target, which may be a number, or
            nested lists; their mean over the samples is shown.
        loss: the loss, which says what scores mean.
        shape: that of a prediction.
        y: the targets.

    Raises:
        ValueError: there is no such name, or it does not fit the targets, or is there twice.
        TypeError: one is neither a name nor a function.
    """
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        raise TypeError(
            f"{who}: metrics must be a list, such as ['accuracy'], got {shown(metrics)}"
        )
    found = [_metric(who, metric, loss, shape, y) for metric in metrics]
    names = ["loss", *(metric.name for metric in found)]
    if len(set(names)) < len(names):
        raise ValueError(f"{who}: two metrics have one name, of {', '.join(names)}; rename one")
    return found


def _metric(who: str, metric: Any, loss: Objective, shape: Dims, y: Any) -> Metric:
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ValueError(
                f"{who}: there is no metric {metric!r}; there are {', '.join(METRICS)}, or give a "
                "function of a prediction and a target"
            )
        try:
            return METRICS[metric](metric, loss, shape, y)
        except ValueError as error:
            raise ValueError(f"{who}: {error}") from None
    if not callable(metric):
        raise TypeError(f"{who}: a metric must be a name or a function, got {shown(metric)}")
    return _mean_metric(getattr(metric, "__name__", type(metric).__name__), metric)
