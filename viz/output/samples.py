"""Samples of two features and their labels, for pictures of what a classifier says."""

import math
from collections.abc import Iterable
from typing import Any

from miniflow.ops import real
from miniflow.tape.core import Value

MARGIN = 0.12  # around the points, as a share of their range


def as_number(x: Any, what: str) -> float:
    """A number, or a Value's."""
    return x.data if isinstance(x, Value) else real(x, what)


def items_of(x: Any) -> list[Any] | None:
    """What a sequence or an array holds; None for anything else."""
    return None if isinstance(x, (str, bytes, Value)) or not isinstance(x, Iterable) else list(x)


def checked_samples(caller: str, x: Any, y: Any) -> tuple[list[list[float]], list[float]]:
    """The points and labels as numbers."""
    rows, labels = items_of(x) or [], items_of(y) or []
    if len(rows) != len(labels) or not rows:
        raise ValueError(
            f"{caller}: x and y must be samples and as many labels, at least one, "
            f"got {len(rows)} and {len(labels)}"
        )
    points = [[as_number(v, f"{caller}: x") for v in items_of(row) or [row]] for row in rows]
    for point in points:
        if len(point) != 2 or not all(map(math.isfinite, point)):
            raise ValueError(
                f"{caller}: a sample in x must be two finite numbers, got {point!r:.60}"
            )
    return points, [as_number(label, f"{caller}: y") for label in labels]


def reach(values: list[float]) -> tuple[float, float]:
    """From where to where a picture of these numbers goes: their range and a margin."""
    low, high = min(values), max(values)
    room = (high - low) * MARGIN or max(1.0, abs(low) / 100)
    return low - room, high + room


def class_numbers(caller: str, labels: list[float], count: int) -> list[int]:
    """The number of each sample's class, from 0."""
    if count == 1:
        if len(set(labels)) > 2:
            raise ValueError(
                f"{caller}: y must have at most two different labels where the model "
                f"returns one score, got {len(set(labels))}; return one score for each class"
            )
        low = min(labels) if len(set(labels)) == 2 else 0.0
        return [int(label > low) for label in labels]
    for label in labels:
        if label not in range(count):
            raise ValueError(
                f"{caller}: a label in y must be an int from 0 to {count - 1}, the "
                f"number of one of the model's scores, got {label:g}"
            )
    return [int(label) for label in labels]
