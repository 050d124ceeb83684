"""Losses of predictions and targets: means over the batch, in units of the loss."""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

from miniflow import math, ops
from miniflow.tape.core import Value
from miniflow.util.trees import flatten
from miniflow.util.words import shown


def _pairs(loss: str, predictions: Any, targets: Any) -> list[tuple[Any, Any]]:
    """Predictions with their targets.

    Raises:
        ValueError: there are none, or more of one than of the other.
    """
    for name, x in (("predictions", predictions), ("targets", targets)):
        if isinstance(x, str) or x is None:
            raise TypeError(f"{loss}: {name} must be a list of numbers, got {shown(x)}")
    first, second = [list(x) if isinstance(x, Iterable) else [x] for x in (predictions, targets)]
    if len(first) != len(second) or not first:
        raise ValueError(f"{loss}: {len(first)} predictions for {len(second)} targets")
    return list(zip(first, second, strict=True))


def _scalars(loss: str, predictions: Any, targets: Any) -> list[tuple[Any, Any]]:
    """Predictions with their targets where both are scalars, or nested lists of them."""
    pairs = _pairs(loss, predictions, targets)
    for k, pair in enumerate(pairs):
        for name, x in zip(("prediction", "target"), pair, strict=True):
            for leaf in flatten(x):
                if not isinstance(leaf, (Value, float, int)):
                    ops.real(leaf, f"{loss}: {name} {k}")
        p, t = pair
        if isinstance(p, Iterable) != isinstance(t, Iterable):
            raise TypeError(
                f"{loss}: a {type(p).__name__} predicts a {type(t).__name__} in place {k}; both "
                "must be numbers, or lists of as many"
            )
    return [x for p, t in pairs for x in _pairs(loss, flatten(p), flatten(t))]


def _mean(terms: list[Any]) -> Any:
    return math.sum(terms) / len(terms)


def mse(predictions: Sequence[Any], targets: Sequence[Any]) -> Any:
    """The mean squared error, mean of (p - t)^2."""
    return _mean([(d := p - t) * d for p, t in _scalars("mse", predictions, targets)])


def mae(predictions: Sequence[Any], targets: Sequence[Any]) -> Any:
    """The mean absolute error, mean of |p - t|."""
    return _mean([abs(p - t) for p, t in _scalars("mae", predictions, targets)])


def hinge(scores: Sequence[Any], labels: Sequence[Any]) -> Any:
    """The hinge loss, mean of max(0, 1 - t*s), for labels t of -1 or 1.

    Raises:
        ValueError: a label is neither (with 0 for -1 that class would not train).
    """
    pairs = _scalars("hinge", scores, labels)
    for _, t in pairs:
        # of Values one comparison for both: a batch does not split at it
        if abs(t if t.__class__ is Value else ops.real(t, "hinge")) != 1:
            raise ValueError(f"hinge: a label must be -1 or 1, got {t!r:.60}")
    return _mean([math.relu(1 - t * s) for s, t in pairs])


def bce_with_logits(logits: Sequence[Any], labels: Sequence[Any]) -> Any:
    """The binary cross-entropy of labels in [0, 1], given log-odds: no overflow.

    Mean of -t log(p) - (1-t) log(1-p) for p = sigmoid(z).

    Raises:
        ValueError: a label is not in [0, 1].
    """
    return _mean([_bce(z, t) for z, t in _scalars("bce_with_logits", logits, labels)])


def _bce(z: Any, t: Any) -> Any:
    if not 0 <= (t if t.__class__ is Value else ops.real(t, "bce_with_logits")) <= 1:
        raise ValueError(f"bce_with_logits: a label must be in [0, 1], got {t!r:.60}")
    if t.__class__ is not Value and t in (0, 1):
        return math.softplus(-z if t else z)
    # softplus(z) - t*z is shorter, but cancels, and is nan at infinity
    return t * math.softplus(-z) + (1 - t) * math.softplus(z)


def cross_entropy(logits: Sequence[Sequence[Any]], classes: Sequence[int]) -> Any:
    """The mean negative log-likelihood of the right classes under softmax(logits).

    Args:
        logits: for each sample one unnormalised log-probability per class; or, for one
            sample alone, those numbers themselves.
        classes: for each sample the number of its class, from 0; or that number itself.

    Raises:
        ValueError: the lengths differ, or a class is not among the logits.
        TypeError: a class is not an integer.
    """
    if not hasattr(classes, "__len__"):
        return cross_entropy([logits], [classes])  # type: ignore[list-item]
    pairs = _pairs("cross_entropy", logits, classes)
    return _mean([_surprise(scores, _logit(scores, k), k) for scores, k in pairs])


def _surprise(scores: Sequence[Any], chosen: Any, k: int) -> Any:
    """-log(softmax(scores)[k]), from the leads of the others: nothing overflows or cancels."""
    leads = [x - chosen for j, x in enumerate(scores) if j != k]
    return math.softplus(reduce(math.logaddexp, leads)) if leads else 0.0 * chosen


def _logit(scores: Sequence[Any], k: Any) -> Any:
    if not hasattr(k, "__index__") or k.__class__ is Value:
        raise TypeError(f"cross_entropy: a class must be an integer, got {k!r:.60}")
    if not hasattr(scores, "__len__"):
        raise TypeError(
            f"cross_entropy: each sample must have a logit for each class, got {scores!r:.60}"
        )
    if not 0 <= k < len(scores):
        raise ValueError(f"cross_entropy: class {k} is not among {len(scores)} logits")
    return scores[k]
