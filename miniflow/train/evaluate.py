"""`evaluate` and `predict`: what a model says, and how good that is."""

from collections.abc import Iterable, Sequence
from typing import Any

from miniflow.train.callbacks import CallbackList
from miniflow.train.chunks import given_data
from miniflow.train.data import (
    StreamBatches,
    Taken,
    batch_length,
    is_stream,
    only_samples,
    only_stream,
    whole_number,
)
from miniflow.train.network import Network, plain_numbers
from miniflow.train.problem import Logs, Problem, Takes, evaluating
from miniflow.train.progress import Progress


def evaluate(
    model: Any, x: Any, y: Any = None, *, loss: Any = None, metrics: Any = None,
    batch_size: int | None = None, sample_weight: Any = None, callbacks: Sequence[Any] = (),
    verbose: Any = 0, steps: int | None = None,
) -> Logs:  # fmt: skip
    """The mean loss and the metrics of a model on data.

    Args:
        model: the model.
        x: samples, or batches, as of `fit`.
        y: targets.
        loss: as of `fit`; that of the last `fit` if left out.
        metrics: as of `fit`; those of the last `fit` if left out.
        batch_size: how many samples are computed between two calls of callbacks.
        sample_weight: what each sample's loss is multiplied with.
        callbacks: objects with methods such as `on_test_end`.
        verbose: as of `fit`.
        steps: how many batches to take of a stream; None for all.

    Returns:
        A dict with ``loss`` and each metric.

    Raises:
        ValueError, TypeError: as `fit` does; or no loss is known.

    Example:
        >>> from miniflow.nn import MLP
        >>> evaluate(MLP(1, [1], seed=1), [[0.0], [1.0]], [0.0, 0.0], loss="mse")["loss"] > 0
        True
    """
    last = getattr(model, "history", None)
    if loss is None and (loss := getattr(last, "loss", None)) is None:
        raise ValueError("evaluate: give a loss, such as loss='mse'; no fit has set one")
    if metrics is None:
        metrics = getattr(last, "metrics", ())
    network = Network("evaluate", model)
    batches: Any
    if is_stream(x):
        only_stream("evaluate", x, y=y, sample_weight=sample_weight, batch_size=batch_size)
        if steps is not None:
            steps = whole_number("evaluate: steps", steps, 1)
        batches = StreamBatches("evaluate", x, steps)
        problem = Problem("evaluate", network, batches.first(), loss, metrics)
        batches.fitted = problem.fitted
    else:
        only_samples("evaluate", steps=steps)
        samples = given_data("evaluate", x, y, sample_weight).counted()
        size = batch_length("evaluate", batch_size, samples.total)
        problem = Problem("evaluate", network, samples.head(), loss, metrics)
        batches = samples.then(problem.fitted).batches(size)
    listeners, progress = CallbackList("evaluate", callbacks), Progress("evaluate", verbose)
    params = {"verbose": progress.kind, "epochs": 1, "steps": batches.steps}
    listeners.introduce(model, params)
    progress.begin("evaluation", batches.steps)
    logs = None
    try:
        logs = scores_of(problem, network.numbers(), batches, listeners, progress)
    finally:
        progress.end("evaluation", logs)
    return logs


def scores_of(
    problem: Problem, numbers: Any, batches: Any, listeners: CallbackList,
    progress: Progress | None = None,
) -> Logs:  # fmt: skip
    """The loss and the metrics over batches, with the hooks of a test."""
    hooks = listeners.hooks
    sums, seen, logs = problem.zero(), 0, {}
    for hook in hooks["test_begin"]:
        hook()
    with evaluating(problem.network.model):
        for k, (count, columns) in enumerate(batches.epoch(None)):
            for hook in hooks["test_batch_begin"]:
                hook(k)
            total, parts, _ = plain_numbers(problem.scores(len(columns) > 2)(numbers, *columns))
            sums = [a + b for a, b in zip(sums, (total, *parts), strict=True)]
            seen += count
            if hooks["test_batch_end"]:
                logs = problem.logs(sums, seen)
                for hook in hooks["test_batch_end"]:
                    hook(k, logs)
            if progress is not None and progress.bar is not None:
                at = sums, seen
                progress.batch(lambda at=at: problem.logs(*at))  # type: ignore[misc]
    logs = problem.logs(sums, seen)
    for hook in hooks["test_end"]:
        hook(logs)
    return logs


def predict(
    model: Any, x: Any, *, batch_size: int | None = None, callbacks: Sequence[Any] = (),
    verbose: Any = 0, steps: int | None = None,
) -> Any:  # fmt: skip
    """What a model says of each sample, as an array with the samples along its first axis.

    Args:
        model: the model; where it returns a dict, so does `predict`.
        x: samples, or batches of samples, as of `fit`, without targets. Of a Dask array one chunk
            is in memory at a time, and all predictions.
        batch_size: how many samples are computed between two calls of callbacks.
        callbacks: objects with methods such as `on_predict_end`.
        verbose: as of `fit`.
        steps: how many batches to take of a stream; None for all.

    Raises:
        ValueError, TypeError: as `fit` does.

    Example:
        >>> from miniflow.nn import MLP
        >>> predict(MLP(2, [3], seed=1), [[0.0, 0.0], [1.0, 2.0]]).shape
        (2, 3)
    """
    network, takes = Network("predict", model), Takes("predict", model)
    batches: Any
    if is_stream(x):
        only_stream("predict", x, batch_size=batch_size)
        if steps is not None:
            steps = whole_number("predict: steps", steps, 1)
        batches = StreamBatches("predict", x, steps, targets=False)
        takes(batches.first())
        batches.fitted = takes
    else:
        only_samples("predict", steps=steps)
        samples = given_data("predict", x, targets=False).counted()
        takes(samples.head())
        size = batch_length("predict", batch_size, samples.total)
        batches = samples.batches(size)
    listeners, progress = CallbackList("predict", callbacks), Progress("predict", verbose)
    params = {"verbose": progress.kind, "epochs": 1, "steps": batches.steps}
    listeners.introduce(model, params)
    progress.begin("predictions", batches.steps)
    try:
        found = list(_predictions(network, batches.epoch(None), listeners.hooks, progress))
    finally:
        progress.end("predictions", None)
    return _joined(found)


def _predictions(
    network: Network, batches: Iterable[Taken], hooks: Any, progress: Progress
) -> Iterable[Any]:
    """What the model says of each batch, with the hooks of a prediction."""
    numbers, f = network.numbers(), network.predictions()
    for hook in hooks["predict_begin"]:
        hook()
    with evaluating(network.model):
        for k, (_, columns) in enumerate(batches):
            for hook in hooks["predict_batch_begin"]:
                hook(k)
            found = _stacked(f(numbers, *columns))
            for hook in hooks["predict_batch_end"]:
                hook(k, {"outputs": found})
            if progress.bar is not None:
                progress.batch(dict)
            yield found
    for hook in hooks["predict_end"]:
        hook()


def _stacked(found: Any) -> Any:
    """Lists of arrays as one array, its samples first."""
    import numpy

    if isinstance(found, dict):
        return {name: _stacked(x) for name, x in found.items()}
    if isinstance(found, (list, tuple)):
        return numpy.stack([_stacked(x) for x in found], axis=1)
    return numpy.array([getattr(x, "data", x) for x in found]) if found.dtype == object else found


def _joined(found: list[Any]) -> Any:
    import numpy

    if isinstance(found[0], dict):
        return {name: _joined([x[name] for x in found]) for name in found[0]}
    return numpy.concatenate(found)
