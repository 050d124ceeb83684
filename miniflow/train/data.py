"""What is learned from: samples of numbers, checked before anything is computed with them.

A *sample* is what the model is given in one call, with its target. Numbers of one kind stand side
by side, so that the batch kernels read them without copying: arrays are kept transposed.
"""

import operator
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from inspect import signature
from itertools import islice
from math import floor
from typing import Any, NamedTuple

from miniflow.ops import real
from miniflow.tape.core import Value
from miniflow.util.words import shown

USUAL = 32  # samples of a batch
COMPLETE = "drop such samples, or fill them in, before training"
NO_STREAMS = (list, tuple, range, str, bytes, Mapping, Set)  # can be gone through, and no batches
Taken = tuple[int, tuple[Any, ...]]  # how many samples, and their arrays


class Samples(NamedTuple):
    """Samples as arrays of doubles, samples first; y and weights may be missing."""

    x: Any
    y: Any = None
    weights: Any = None

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.x)

    def part(self, start: int, stop: int) -> "Samples":
        """Some of them."""
        return Samples(*(a if a is None else a[start:stop] for a in self))

    # of data in chunks these may be others, or take a while; see `Chunks`

    def head(self) -> "Samples":
        """The first of them, as many as come at once."""
        return self

    def then(self, change: Callable[["Samples"], "Samples"]) -> "Samples":
        """They, changed."""
        return change(self)

    def checked(self, change: Callable[["Samples"], "Samples"]) -> "Samples":
        """They themselves: they have been checked; `change` is what will be done with them."""
        return self

    def counted(self) -> "Samples":
        """They themselves: it is known how many there are."""
        return self

    def batches(self, size: int) -> "ArrayBatches":
        """All of them in batches."""
        return ArrayBatches(self, size)


def given_samples(who: str, x: Any, y: Any, weights: Any = None, *, name: str = "") -> Samples:
    """Data as arrays of doubles.

    Args:
        who: the function that asks, for errors.
        x: a list, an array or a frame of pandas, samples first.
        y: the same of the targets.
        weights: what each sample's loss is multiplied with; None for 1.
        name: what the data are part of, such as ``validation_data``.

    Raises:
        ValueError: there are none, or other numbers of them; samples of different lengths, NaN or
            infinity; a negative weight.
        TypeError: they are no real numbers.
    """
    named = f"{who}: {name} " if name else f"{who}: "
    found = Samples(numbers_in(f"{named}x", x), numbers_in(f"{named}y", y))
    _same_length(f"{named}x", found.x, f"{named}y", found.y)
    if weights is None:
        return found
    w = sample_weights(named, found.x, weights)
    if not w.any():
        raise ValueError(f"{named}sample_weight must be numbers from 0 on, and not all 0")
    return found._replace(weights=w)


def sample_weights(named: str, x: Any, weights: Any) -> Any:
    """A weight for each sample of x, as an array of doubles."""
    w = numbers_in(f"{named}sample_weight", weights)
    _same_length(f"{named}x", x, f"{named}sample_weight", w)
    if w.ndim != 1:
        raise ValueError(
            f"{named}sample_weight must have one number for each sample, got {w.shape}"
        )
    if (w < 0).any():
        raise ValueError(f"{named}sample_weight must be numbers from 0 on, and not all 0")
    return w


def numbers_in(what: str, data: Any) -> Any:
    """One array of doubles, samples first; `what` is its name in errors."""
    import numpy

    if isinstance(data, numpy.ma.MaskedArray) and numpy.ma.is_masked(data):
        raise ValueError(f"{what} has masked numbers; fill them in, or drop their samples")
    if isinstance(data, (str, bytes, Mapping, set, frozenset)) or data is None:
        raise TypeError(f"{what} must be samples of numbers: a list or an array, got {shown(data)}")
    data = data.to_numpy() if hasattr(data, "to_numpy") else data
    try:
        array = numpy.asarray(data)
    except ValueError:
        raise ValueError(f"{what} has samples of different lengths{_ragged(data)}") from None
    if array.ndim == 0:
        raise TypeError(f"{what} must be samples of numbers: a list or an array, got {shown(data)}")
    if array.dtype.kind not in "biufO":
        raise TypeError(f"{what} {_not_numbers(what, array)}")
    if array.dtype == object:
        array = _from_objects(what, array)
    array = numpy.ascontiguousarray(array, dtype=float)
    if not array.size:
        raise ValueError(f"{what} is empty, of shape {array.shape}; give at least one sample")
    _finite(what, array)
    return array


def _ragged(samples: Any) -> str:
    """Which sample differs from the first one."""
    sizes = [len(sample) if hasattr(sample, "__len__") else None for sample in samples]
    other = next((k for k, size in enumerate(sizes) if size != sizes[0]), None)
    if other is None:
        return ""
    first, second = ("one" if size is None else size for size in (sizes[0], sizes[other]))
    return f": sample 0 has {first} numbers, sample {other} {second}"


def _not_numbers(what: str, array: Any) -> str:
    if array.dtype.kind not in "US":
        return f"holds {array.dtype}, not real numbers; convert it to floats"
    remedy = "convert them to numbers before"
    if what.endswith(" y"):
        remedy = (
            "number the classes: names = sorted(set(y)); y = [names.index(label) for label in y]"
        )
    return f"holds strings, such as {array.flat[0]!s:.30}; {remedy}"


def _from_objects(what: str, array: Any) -> Any:
    """Doubles of an array of Python's objects."""
    import numpy

    for k, sample in enumerate(array):
        for x in numpy.ravel(numpy.array(sample, dtype=object)).tolist():
            if isinstance(x, (str, bytes)):
                raise TypeError(f"{what} {_not_numbers(what, numpy.array([x]))}")
            if isinstance(x, Value):
                raise TypeError(f"{what}, sample {k}, holds a Value; give its number, v.data")
            if hasattr(x, "__len__"):
                raise ValueError(f"{what} has samples of different lengths{_ragged(array)}")
            if x is None or repr(x) == "<NA>":  # pandas's
                raise TypeError(f"{what}, sample {k}, has {x} for a number; {COMPLETE}")
            real(x, f"{what}, sample {k}")
    return array.astype(float)


def _finite(what: str, array: Any) -> None:
    import numpy

    if numpy.isfinite(array).all():
        return
    sample, *column = (int(k) for k in numpy.argwhere(~numpy.isfinite(array))[0])
    place = f"sample {sample}" + "".join(f", column {k}" for k in column)
    raise ValueError(f"{what} has {array[(sample, *column)]} in {place}; {COMPLETE}")


def _same_length(first: str, a: Any, second: str, b: Any) -> None:
    if len(a) != len(b):
        name = re.sub(r"^.*: ", "", second)
        raise ValueError(f"{first} has {len(a)} samples, {name} has {len(b)}; they must be as many")


def only_stream(who: str, x: Any, **given: Any) -> None:
    """Refuse, with batches, what is for samples: a batch has its own.

    Raises:
        ValueError: one of `given` is not None.
    """
    for name, other in given.items():
        if other is not None:
            raise ValueError(
                f"{who}: {name} is for samples, and x is a stream of batches, {shown(x)}, which "
                "have their own"
            )


def only_samples(who: str, **given: Any) -> None:
    """Refuse, with samples, what is for batches.

    Raises:
        ValueError: one of `given` is not None.
    """
    for name, other in given.items():
        if other is not None:
            raise ValueError(f"{who}: {name} is for streams of batches; give batch_size")


# --- how samples are divided ---------------------------------------------------------


def batch_length(who: str, size: Any, count: int) -> int:
    """How many samples a batch has; of None 32, or all where there are fewer.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is below 1, or larger than the data.
    """
    if size is None:
        return min(USUAL, count)
    size = int(whole_number(f"{who}: batch_size", size, 1))
    if size > count:
        raise ValueError(
            f"{who}: batch_size {size} is larger than the data, {count} samples; give at "
            f"most {count}"
        )
    return int(size)


def whole_number(what: str, x: Any, least: int) -> int:
    """An argument that counts something.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is too small.
    """
    if isinstance(x, bool) or not hasattr(x, "__index__"):
        raise TypeError(f"{what} must be a whole number, got {shown(x)}")
    number = operator.index(x)
    if number < least:
        raise ValueError(f"{what} must be a whole number from {least} on, got {number}")
    return int(number)


def split_samples(samples: Any, share: Any) -> tuple[Any, Any]:
    """The samples to train with, and the last ones, `share` of all, to validate with.

    Raises:
        ValueError: the share is not in [0, 1), or leaves nothing for one of both.
    """
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < 1:
        raise ValueError(
            f"fit: validation_split must be a share of the samples from 0 to below 1, got {share!r}"
        )
    if not share:
        return samples, None
    start = floor(samples.total * (1 - share))
    if not 0 < start < samples.total:
        left = "train" if not start else "validate"
        raise ValueError(
            f"fit: validation_split {share} of {samples.total} samples leaves none to {left} with; "
            "give more samples, another share, or validation_data"
        )
    return samples.part(0, start), samples.part(start, samples.total)


# --- batches ------------------------------------------------------------------------


class ArrayBatches:
    """The batches of samples in memory: each is a block of its own, filled anew in each epoch.

    Attributes:
        steps: how many batches there are.
    """

    def __init__(self, samples: Samples, size: int) -> None:
        self.count = samples.total
        self.size = size
        self.steps = -(-self.count // size)
        self.source = [a for a in samples if a is not None]
        self.in_order: list[Taken] = []
        self.mixed = Blocks(self.source, size)

    def order(self, rng: Any) -> Any:
        """An order of the samples, drawn from `rng`; None for their own."""
        return None if rng is None else rng.permutation(self.count).astype("int64", copy=False)

    def epoch(self, order: Any) -> list[Taken]:
        """The batches of one epoch in which the samples come in that order."""
        if order is not None:
            return self.mixed.filled([a.take(order, axis=0) for a in self.source])
        if not self.in_order:
            self.in_order = Blocks(self.source, self.size).filled(self.source)
        return self.in_order


class Blocks:
    """Room for arrays, divided into batches in which numbers of one kind stand side by side."""

    def __init__(self, arrays: list[Any], size: int) -> None:
        import numpy

        whole, rest = divmod(len(arrays[0]), size)
        self.full = [numpy.empty((whole, *a.shape[1:], size)) for a in arrays]
        self.last = [numpy.empty((*a.shape[1:], rest)) for a in arrays]
        parts = [*zip(*self.full, strict=True), *([tuple(self.last)] if rest else [])]
        self.batches = [
            (block[0].shape[-1], tuple(numpy.moveaxis(a, -1, 0) for a in block)) for block in parts
        ]

    def filled(self, arrays: list[Any]) -> list[Taken]:
        """The batches, with these numbers in them."""
        import numpy

        for a, full, last in zip(arrays, self.full, self.last, strict=True):
            whole, size = len(full), full.shape[-1]
            blocks = a[: whole * size].reshape(whole, size, *a.shape[1:])
            full[...] = numpy.moveaxis(blocks, 1, -1)
            last[...] = numpy.moveaxis(a[whole * size :], 0, -1)
        return self.batches


class StreamBatches:
    """Batches that come one after the other: ``(x, y)`` or ``(x, y, sample_weight)``.

    They are made anew each epoch by a function or by anything that can be gone through again. A
    generator lasts for one epoch, or for `steps` batches in each.

    Attributes:
        fitted: what refuses a batch, with its name, that does not fit the model and the loss.
    """

    def __init__(self, who: str, source: Any, steps: int | None, targets: bool = True) -> None:
        self.who = who
        self.source = source
        self.steps = steps
        self.targets = targets
        self.begun: Iterator[Any] | None = None
        self.fitted: Callable[[Samples, str], Samples] = lambda samples, _: samples
        if isinstance(source, Iterator):
            self.begun = source

    def _given(self) -> Iterator[Any]:
        if self.begun is not None:
            return self.begun
        found = self.source
        if callable(found):
            self._without_arguments()
            found = found()
        if not isinstance(found, Iterable):
            raise TypeError(
                f"{self.who}: x() must give batches, one after the other, got {shown(found)}"
            )
        return iter(found)

    def _without_arguments(self) -> None:
        try:
            signature(self.source).bind()
        except TypeError as error:
            raise TypeError(
                f"{self.who}: x is called without arguments for batches: {error}"
            ) from None
        except ValueError:  # a built-in function, of which nobody knows
            pass

    def first(self) -> Samples:
        """The first batch; it comes again in the first epoch."""
        from itertools import chain

        given = self._given()
        try:
            batch = next(given)
        except StopIteration:
            raise ValueError(f"{self.who}: x gives no batches") from None
        samples = self._samples(batch, 0)
        if self.begun is not None:
            self.begun = chain([batch], given)
        return samples

    def order(self, rng: Any) -> Any:
        """None: there is no other order than that in which they come."""

    def epoch(self, order: Any) -> Iterator[Taken]:
        """The batches of one epoch, in the order in which they come."""
        import numpy

        k = -1
        for k, batch in enumerate(islice(self._given(), self.steps)):
            samples = self.fitted(self._samples(batch, k), f"batch {k}:")
            arrays = [numpy.moveaxis(_side_by_side(a), -1, 0) for a in samples if a is not None]
            yield samples.total, tuple(arrays)
        if k < 0:
            raise ValueError(
                f"{self.who}: the generator is exhausted; give a function that makes one, and it "
                "is called for each epoch"
            )

    def _samples(self, batch: Any, k: int) -> Samples:
        if not self.targets:
            return Samples(numbers_in(f"{self.who}: batch {k}", batch))
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise TypeError(
                f"{self.who}: batch {k} must be (x, y) or (x, y, sample_weight), got {shown(batch)}"
            )
        x, y, weights = (*batch, None)[:3]
        return given_samples(self.who, x, y, weights, name=f"batch {k}:")


def _side_by_side(array: Any) -> Any:
    """An array with its samples along the last axis, one number of all samples after the other."""
    import numpy

    return numpy.ascontiguousarray(numpy.moveaxis(array, 0, -1))


def is_stream(x: Any) -> bool:
    """Whether x gives batches rather than samples: an iterator, or a function that makes one."""
    if isinstance(x, NO_STREAMS) or hasattr(x, "__array__"):
        return False
    if is_dask(x):
        return False
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(x, numpy.ndarray):
        return False
    return callable(x) or (isinstance(x, Iterable) and not hasattr(x, "to_numpy"))


def is_dask(x: Any) -> bool:
    """Whether x is one of Dask's collections: an array, or a frame, that is not computed yet."""
    return hasattr(x, "__dask_graph__")
