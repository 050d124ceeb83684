"""`fit`: a model learns from data, epoch by epoch."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from miniflow.train.history import History
from miniflow.train.training import Training


def fit(
    model: Any, x: Any, y: Any = None, *, loss: Any, optimizer: Any, epochs: int = 1,
    batch_size: int | None = None, validation_data: Any = None, validation_split: float = 0.0,
    metrics: Sequence[str | Callable[..., Any]] = (), callbacks: Sequence[Any] = (),
    shuffle: bool = True, initial_epoch: int = 0, validation_freq: int | Collection[int] = 1,
    seed: int | None = None, verbose: Any = "auto", sample_weight: Any = None,
    class_weight: Any = None, steps_per_epoch: int | None = None,
    executor: Any = None,
) -> History:  # fmt: skip
    """Train a model on data.

    The loss of one sample is recorded once and compiled for batches; while the model learns, its
    parameters are one array. They are in the model whenever a callback is called, and at the
    end, also of a training that an error or Ctrl-C ends.

    Args:
        model: a module; it is called with one sample: a list of numbers, or the number itself where
            x has one for each sample.
        x: samples of numbers: a list, an array, a frame of pandas, a Dask array. Or batches
            ``(x, y)`` or ``(x, y, sample_weight)``: an object that can be gone through again each
            epoch, a function that makes a generator, or a generator, which lasts for one epoch
            or for `steps_per_epoch` in each.
        y: a target for each sample: a number, or an array of them.
        loss: "mse", "mae", "hinge", "bce_with_logits", "cross_entropy" (of class numbers, or of
            shares; of sequences, too), the function of `nn` of that name, or any function of one
            prediction and one target. With branches it is slower: `math.where` has none.
        optimizer: one of `optim` that has parameters of the model; or its name, such as "adam".
        epochs: the number of the last epoch, where the first one is 1.
        batch_size: how many samples are in a step; None for 32, or all of fewer.
        validation_data: ``(x, y)`` or ``(x, y, sample_weight)``, which are never learned from; or
            batches, as for `x`.
        validation_split: the share of the samples, the last ones before they are shuffled, that is
            taken for this.
        metrics: "accuracy", "binary_accuracy", "mae", "mse", "r2", and functions of a prediction
            and a target, of which the mean is shown.
        callbacks: objects with methods such as `on_epoch_end`; see `Callback`.
        shuffle: whether the samples are put into another order each epoch; of Dask arrays the
            chunks, and the rows of each.
        initial_epoch: the epoch to begin with, where the first one is 0.
        validation_freq: after every how many epochs to validate, or after which, the first
            being 1.
        seed: makes order and dropout the same each time, for each epoch; drawn from `random` if
            left out.
        verbose: 0 for nothing, 1 for a bar, 2 for a line after each epoch; "auto" for a bar
            where there is a terminal, else lines.
        sample_weight: what each sample's loss is multiplied with.
        class_weight: the same by class number, a dict; 1 for a class that it does not have.
        steps_per_epoch: how many batches of a stream make an epoch.
        executor: one of `concurrent.futures` or like them, as of `vmap`: its workers run each batch
            of more than 8,192 samples, in blocks of so many; smaller ones are run here.
            The model is the same bit for bit, whatever the executor.

    Returns:
        The numbers of all epochs, in its ``history``; it is ``model.history``, too. The loss is
        the mean over the epoch, taken while the parameters move.

    Raises:
        ValueError: data that are empty, not finite, or do not fit each other, the model or the
            loss; a batch larger than the data; nothing left to train or validate with. Nothing
            has changed then.
        TypeError: an argument is of a wrong type; nothing has changed.
        RuntimeError: the executor has lost a block, such as with a worker that died; what it raised
            is the cause. The model is as after the last whole step.

    Example:
        >>> from miniflow.nn import MLP
        >>> model = MLP(1, [1], seed=1)
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
        >>> history = fit(model, x, y, loss="mse", optimizer="sgd", epochs=5, seed=1, verbose=0)
        >>> history.history["loss"][-1] < history.history["loss"][0]
        True
    """
    given = dict(locals())
    return Training(**given).run()
