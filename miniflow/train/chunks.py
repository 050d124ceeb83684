"""Data that are too large for memory: Dask arrays, computed one block of rows at a time.

A *chunk* is such a block, as Dask calls it; it has the same rows of x, y and weights. What is done
with samples in memory at once is done with each chunk when it comes.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from importlib import import_module
from math import isnan
from typing import Any, NamedTuple

from miniflow.train.data import (
    Blocks,
    Samples,
    Taken,
    given_samples,
    is_dask,
    numbers_in,
    sample_weights,
)
from miniflow.util.words import shown

Change = Callable[[Samples], Samples]


class ChunkRows(NamedTuple):
    """Rows of a chunk, from `start` to before `stop`."""

    chunk: int
    start: int
    stop: int


class Chunks:
    """Samples in chunks, with the methods of `Samples`.

    Raises:
        TypeError: some data are Dask arrays and others are not, or y is missing.
        ValueError: a chunk has not whole samples, or not those of the others.
    """

    def __init__(self, who: str, name: str, arrays: dict[str, Any], targets: bool) -> None:
        self.who = who
        self.name = f"{name} " if name else ""
        self.targets = targets
        self.arrays = self._alike(arrays)
        self.changes: tuple[Change, ...] = ()
        self.pieces: list[ChunkRows] | None = None  # None until their lengths are known
        lengths = self.arrays["x"].chunks[0]
        if not any(map(isnan, lengths)):
            self.pieces = _nonempty(lengths)
            self._not_empty()

    def _alike(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """The arrays as Dask's, if their chunks have the same rows."""
        found: dict[str, Any] = {}
        for name, array in arrays.items():
            what = f"{self.who}: {self.name}{name}"
            if not is_dask(array):
                raise TypeError(
                    f"{what} must be a Dask array, as other data are: "
                    f"dask.array.from_array({name}, chunks=...), got {shown(array)}"
                )
            found[name] = array.to_dask_array() if hasattr(array, "to_dask_array") else array
            if not isinstance(getattr(found[name], "chunks", None), tuple):
                raise TypeError(f"{what} must be a Dask array or frame, got {shown(array)}")
            _whole_rows(what, name, found[name])
        (first, x), *others = found.items()
        for name, array in others:
            if len(x.chunks[0]) == len(array.chunks[0]) and all(
                a == b or isnan(a) or isnan(b)
                for a, b in zip(x.chunks[0], array.chunks[0], strict=True)
            ):
                continue
            raise ValueError(
                f"{self.who}: {self.name}{first} has {_lengths(x)}, {name} has {_lengths(array)}; "
                f"their chunks must have the same rows: {name}.rechunk({{0: {first}.chunks[0]}})"
            )
        return found

    def _not_empty(self) -> None:
        if not self.pieces:
            raise ValueError(f"{self.who}: {self.name}x is empty; give at least one sample")

    @property
    def total(self) -> int:
        """How many samples there are."""
        assert self.pieces is not None  # they have been counted
        return sum(stop - start for _, start, stop in self.pieces)

    # --- one chunk ------------------------------------------------------------------

    def _computed(self, chunk: int) -> Samples | None:
        """A chunk as it is given, checked and changed; None if it has no rows."""
        blocks = [array.blocks[chunk] for array in self.arrays.values()]
        given = dict(zip(self.arrays, import_module("dask").compute(*blocks), strict=True))
        if not any(map(len, given.values())):
            return None
        name = f"{self.name}block {chunk}:"
        if not self.targets:
            samples = Samples(numbers_in(f"{self.who}: {name} x", given["x"]))
        else:
            samples = given_samples(self.who, given["x"], given["y"], name=name)
        if "sample_weight" in given:
            named = f"{self.who}: {name} "
            samples = samples._replace(
                weights=sample_weights(named, samples.x, given["sample_weight"])
            )
        for change in self.changes:
            samples = change(samples)
        return samples

    def taken(self, piece: ChunkRows) -> Samples:
        """The samples of a piece.

        Raises:
            RuntimeError: the chunk has another length than before.
        """
        samples = self._computed(piece.chunk)
        if samples is None or samples.total < piece.stop:
            raise RuntimeError(
                f"{self.who}: {self.name}block {piece.chunk} had at least {piece.stop} rows, and "
                f"now has {samples.total if samples else 0}; give data that do not change"
            )
        return samples.part(piece.start, piece.stop)

    # --- as of Samples ----------------------------------------------------------------

    def head(self) -> Samples:
        """The first samples, as many as come at once."""
        if self.pieces is not None:
            return self.taken(self.pieces[0])
        chunks = map(self._computed, range(self.arrays["x"].numblocks[0]))
        found = next((samples for samples in chunks if samples is not None), None)
        if found is None:
            self.pieces = []
            self._not_empty()
        assert found is not None
        return found

    def then(self, change: Change) -> "Chunks":
        """The samples, changed."""
        found = copy(self)
        found.changes += (change,)
        return found

    def checked(self, change: Change) -> "Chunks":
        """The same, once all chunks have been computed, one by one, checked and tried to change."""
        found, lengths, weighty = copy(self), [], "sample_weight" not in self.arrays
        for chunk in range(self.arrays["x"].numblocks[0]):
            samples = self._computed(chunk)
            lengths.append(0 if samples is None else samples.total)
            if samples is not None:
                change(samples)
                weighty = weighty or bool(samples.weights.any())
        found.pieces = _nonempty(lengths)
        found._not_empty()
        if not weighty:
            raise ValueError(f"{self.who}: {self.name}sample_weight must not be 0 for all samples")
        return found

    def counted(self) -> "Chunks":
        """The same, its chunks computed where it is not known how many rows they have."""
        return self if self.pieces is not None else self.checked(lambda samples: samples)

    def part(self, start: int, stop: int) -> "Chunks":
        """Some of the samples."""
        found, first = copy(self), 0
        found.pieces = []
        assert self.pieces is not None
        for chunk, low, high in self.pieces:
            cut = max(low, low + start - first), min(high, low + stop - first)
            first += high - low
            if cut[0] < cut[1]:
                found.pieces.append(ChunkRows(chunk, *cut))
        return found

    def batches(self, size: int) -> "ChunkBatches":
        """All of them in batches."""
        return ChunkBatches(self, size)


def _nonempty(lengths: Sequence[float]) -> list[ChunkRows]:
    """All rows of chunks that are not empty."""
    return [ChunkRows(k, 0, int(length)) for k, length in enumerate(lengths) if length]


def _lengths(array: Any) -> str:
    """The rows of an array's chunks, in words."""
    known = ", ".join("?" if isnan(x) else str(x) for x in array.chunks[0][:4])
    more = ", ..." if array.numblocks[0] > 4 else ""
    return f"{array.numblocks[0]} chunks of {known}{more} rows"


def _whole_rows(what: str, name: str, array: Any) -> None:
    """Refuse chunks that have parts of samples."""
    if not array.ndim:
        raise ValueError(f"{what} must have samples along its first axis, got a Dask scalar")
    for axis, count in enumerate(array.numblocks[1:], 1):
        if count > 1:
            raise ValueError(
                f"{what} is chunked along axis {axis}, {count} chunks; a chunk must have whole "
                f"samples: {name}.rechunk({{{axis}: -1}})"
            )


def given_data(
    who: str, x: Any, y: Any = None, weights: Any = None, *, name: str = "", targets: bool = True
) -> Any:
    """Samples in memory, or in chunks: the arguments are those of `given_samples`.

    Without `targets` there are none. It raises what `given_samples` and `Chunks` do.
    """
    given = {"x": x, "y": y, "sample_weight": weights}
    if any(map(is_dask, given.values())):
        wanted = ("x", "y") if targets else ("x",)
        arrays = {k: a for k, a in given.items() if k in wanted or a is not None}
        return Chunks(who, name, arrays, targets)
    if targets:
        return given_samples(who, x, y, weights, name=name)
    return Samples(numbers_in(f"{who}: x", x))


class ChunkBatches:
    """Batches cut from chunks, in order; a batch may begin in one chunk and end in the next.

    Attributes:
        steps: how many batches there are.
    """

    def __init__(self, data: Chunks, size: int) -> None:
        self.data = data
        self.size = size
        self.steps = -(-data.total // size)

    def order(self, rng: Any) -> Any:
        """What an order is drawn from, as the chunks come: `rng`."""
        return rng

    def epoch(self, rng: Any) -> Iterator[Taken]:
        """The batches of one epoch; the order of pieces, and in each that of rows, from `rng`."""
        pieces = self.data.pieces
        assert pieces is not None
        order = range(len(pieces)) if rng is None else rng.permutation(len(pieces)).tolist()
        left: list[Any] = []  # rows that do not fill a batch
        for k in order:
            arrays = [a for a in self.data.taken(pieces[k]) if a is not None]
            if rng is not None:
                chosen = rng.permutation(len(arrays[0]))
                arrays = [a.take(chosen, axis=0) for a in arrays]
            if left:
                arrays = [_joined_rows(a, b) for a, b in zip(left, arrays, strict=True)]
            whole = len(arrays[0]) - len(arrays[0]) % self.size
            yield from Blocks(arrays, self.size).filled(arrays)[: whole // self.size]
            left = [a[whole:].copy() for a in arrays]
        if len(left[0]):
            yield from Blocks(left, self.size).filled(left)


def _joined_rows(a: Any, b: Any) -> Any:
    import numpy

    return numpy.concatenate([a, b])
