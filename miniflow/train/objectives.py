"""Losses by name, of one sample each: they have no branches, so that a batch stays on one path.

Each is of the predictions and targets of one sample, as flat lists, and is their mean. Targets are
checked as a whole, before training.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from miniflow import losses, math
from miniflow.util.trees import flatten
from miniflow.util.words import shown

Dims = tuple[int, ...]


class Objective(NamedTuple):
    """A loss of a prediction and a target; `check` refuses targets that do not fit."""

    name: str
    of: Callable[[Any, Any], Any]
    check: Callable[[str, Any, Dims], None]


def _mean_of(loss: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The mean over all numbers of a sample."""

    def mean(prediction: Any, target: Any) -> Any:
        pairs = zip(flatten(prediction), flatten(target), strict=True)
        terms = [loss(p, t) for p, t in pairs]
        return terms[0] if len(terms) == 1 else math.sum(terms) / len(terms)

    return mean


def _squared(p: Any, t: Any) -> Any:
    d = p - t
    return d * d


def _of_two(z: Any, t: Any) -> Any:
    # softplus(z) - t*z is shorter, but cancels
    return t * math.softplus(-z) + (1 - t) * math.softplus(z)


def class_loss(scores: Sequence[Any], k: Any) -> Any:
    """-log(softmax(scores)[k]), where k may be a Value: a small loss is exact, too."""
    leads = [z - chosen_score(scores, k) for z in scores]
    top = math.stop_gradient(math.maximum(0.0, *leads))
    others = [math.where(math.equal(k, float(j)), 0.0, math.exp(x - top))
              for j, x in enumerate(leads)]  # fmt: skip
    return top + math.log1p(math.expm1(-top) + math.sum(others))


def chosen_score(scores: Sequence[Any], k: Any) -> Any:
    """The score of class k."""
    return math.sum([math.where(math.equal(k, float(j)), z, 0.0) for j, z in enumerate(scores)])


def _shared_loss(scores: Sequence[Any], shares: Sequence[Any]) -> Any:
    """The cross-entropy of probabilities."""
    top = math.stop_gradient(math.maximum(*scores))
    gaps = [z - top for z in scores]
    total = math.log(math.sum([math.exp(gap) for gap in gaps]))
    return math.sum([share * (total - gap) for share, gap in zip(shares, gaps, strict=True)])


def _cross_entropy(scores: Any, target: Any) -> Any:
    if is_nested(scores[0]):  # a sequence: the mean over its steps
        terms = [_cross_entropy(s, t) for s, t in zip(scores, target, strict=True)]
        return math.sum(terms) / len(terms)
    return _shared_loss(scores, target) if is_nested(target) else class_loss(scores, target)


def is_nested(x: Any) -> bool:
    """Whether a prediction or target is a list, not a number."""
    return isinstance(x, (list, tuple))


# --- which targets there may be ---------------------------------------------------


def _as_many(name: str, y: Any, shape: Dims) -> None:
    if y.shape[1:] != shape:
        raise ValueError(
            f"y has targets of shape {y.shape[1:]}, the model predicts {shape}; {name} needs as "
            "many targets as outputs"
        )


def _within(low: float, high: float) -> Callable[[str, Any, Dims], None]:
    def check(name: str, y: Any, shape: Dims) -> None:
        _as_many(name, y, shape)
        if y.min() < low or y.max() > high:
            raise ValueError(
                f"y goes from {y.min():g} to {y.max():g}; {name} needs labels from {low:g} to "
                f"{high:g}"
            )

    return check


def _signs(name: str, y: Any, shape: Dims) -> None:
    _as_many(name, y, shape)
    if not (abs(y) == 1).all():
        raise ValueError(f"y has labels other than -1 and 1, which {name} needs; 2 * y - 1 of 0, 1")


def _classes(name: str, y: Any, shape: Dims) -> None:
    if not shape or shape[-1] < 2:
        raise ValueError(
            f"{name} needs a score for each class, the model predicts {shape}; of two classes and "
            "one score the loss is bce_with_logits"
        )
    if y.shape[1:] == shape:
        if y.min() < 0 or (abs(y.sum(axis=-1) - 1) > 1e-6).any():
            raise ValueError(f"y has as many numbers as classes: {name} needs shares that add to 1")
    elif y.shape[1:] != shape[:-1]:
        raise ValueError(
            f"y has targets of shape {y.shape[1:]}; {name} of predictions {shape} needs class "
            f"numbers of shape {shape[:-1]}, or shares of shape {shape}"
        )
    elif (y != y.round()).any() or y.min() < 0 or y.max() >= shape[-1]:
        raise ValueError(
            f"y goes from {y.min():g} to {y.max():g}; {name} needs class numbers, whole, from 0 to "
            f"{shape[-1] - 1}"
        )


def _anything(name: str, y: Any, shape: Dims) -> None:
    """What a loss of one's own takes is its own affair."""


NAMED = {
    loss.name: loss
    for loss in (
        Objective("mse", _mean_of(_squared), _as_many),
        Objective("mae", _mean_of(lambda p, t: abs(p - t)), _as_many),
        Objective("hinge", _mean_of(lambda z, t: math.relu(1 - t * z)), _signs),
        Objective("bce_with_logits", _mean_of(_of_two), _within(0.0, 1.0)),
        Objective("cross_entropy", _cross_entropy, _classes),
    )
}
OTHER_LOSSES = {
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "l1": "mae",
    "binary_crossentropy": "bce_with_logits, of scores before the sigmoid",
    "bce": "bce_with_logits, of scores before the sigmoid",
    "categorical_crossentropy": "cross_entropy, of scores before the softmax",
    "sparse_categorical_crossentropy": "cross_entropy, of scores before the softmax",
    "crossentropy": "cross_entropy",
}


def loss_of(who: str, loss: Any) -> Objective:
    """The loss that is meant by a name, by a function of `nn`, or by a function of one's own.

    Raises:
        ValueError: there is no loss of that name.
        TypeError: it is neither a name nor a function.
    """
    if isinstance(loss, Objective):
        return loss
    if isinstance(loss, str):
        if loss not in NAMED:
            said = f"; it is {OTHER_LOSSES[loss]}" if loss in OTHER_LOSSES else ""
            raise ValueError(
                f"{who}: there is no loss {loss!r}{said}; there are {', '.join(NAMED)}"
            )
        return NAMED[loss]
    if not callable(loss):
        raise TypeError(
            f"{who}: loss must be a name, such as 'mse', or a function of a prediction and a "
            f"target, got {shown(loss)}"
        )
    name = getattr(loss, "__name__", type(loss).__name__)
    if getattr(losses, name, None) is loss:
        return NAMED[name]
    return Objective(name, loss, _anything)
