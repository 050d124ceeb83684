"""Along what derivatives are compared: every input and output where there are few, else some.

A *vector* is of inputs a direction, of outputs weights. One that has a single 1 is an
input or an output itself; a *mixed* one has all signs at random, so that no entry is left out.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

EACH = 64  # inputs, or pairs of them, up to which each one is tried
SAMPLED, MIXED = 16, 8  # how many of a larger number, and how many mixed ones
OUTPUTS = 16

seed = 0  # of mixed ones; the option --gradcheck-seed sets it


class Vector(NamedTuple):
    """Numbers for all inputs or outputs, and what they are called."""

    name: str
    vector: tuple[float, ...]


def unit_vector(names: Sequence[str], k: int) -> Vector:
    """The vector that is one input or output."""
    return Vector(names[k], tuple([float(i == k) for i in range(len(names))]))


def mixed(names: Sequence[str], sizes: Sequence[float], source: random.Random) -> Vector:
    """All of them at once, with signs at random, each by its size."""
    vector = tuple([source.choice((-1.0, 1.0)) * size for size in sizes])
    return Vector(f"(all, signs by seed {seed})", vector)


def weights(names: Sequence[str]) -> list[Vector]:
    """Vectors of outputs."""
    if len(names) <= OUTPUTS:
        return [unit_vector(names, k) for k in range(len(names))]
    source = random.Random(seed)
    chosen = source.sample(range(len(names)), OUTPUTS // 2)
    ones = [1.0] * len(names)
    return [unit_vector(names, k) for k in chosen] + [
        mixed(names, ones, source) for _ in range(OUTPUTS // 2)
    ]


def directions(
    names: Sequence[str], numbers: Sequence[float], order: int
) -> list[tuple[Vector, ...]]:
    """For an order so many vectors of inputs at a time, as often as it takes."""
    count = len(names)
    units = [unit_vector(names, k) for k in range(count)]
    if count**order <= EACH:
        return list(combinations_with_replacement(units, order))
    source = random.Random(f"{seed} {order}")
    sizes = [abs(x) or 1.0 for x in numbers]
    largest = max(sizes)
    return [
        *[tuple(source.sample(units, 1)[0] for _ in range(order)) for _ in range(SAMPLED)],
        *[
            tuple(mixed(names, [size / largest for size in sizes], source) for _ in range(order))
            for _ in range(MIXED)
        ],
    ]


def points_apart(count: int, numbers: Sequence[float]) -> Iterator[list[float]]:
    """Points a little aside, on both sides, ever nearer."""
    source = random.Random(f"{seed} apart")
    signs = [source.choice((-1.0, 1.0)) * source.uniform(0.5, 1.0) for _ in range(count)]
    for size in (1e-3, 1e-6, 1e-9):
        for side in (size, -size):
            yield [
                x + side * sign * (abs(x) or 1.0) for x, sign in zip(numbers, signs, strict=False)
            ] + list(numbers[count:])
