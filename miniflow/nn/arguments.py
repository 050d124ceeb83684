"""What modules are given: sizes, seeds, inputs."""

import operator
import random
from collections.abc import Iterable, Sequence
from typing import Any

from miniflow import ops
from miniflow.tape.core import Value
from miniflow.util.words import shown


def rng_of(seed: Any) -> Any:
    """Where random numbers come from: `random` itself, a new generator, one handed on."""
    if seed is None:
        return random
    if hasattr(seed, "uniform"):
        return seed
    try:
        return random.Random(operator.index(seed))
    except TypeError:
        raise TypeError(f"seed must be an int or a generator, got {shown(seed)}") from None


def size_of(name: str, size: Any) -> int:
    """The number of neurons as an int: NumPy's integers are welcome."""
    try:
        number = operator.index(size)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} must be a number of neurons, from 1 on, got {shown(size)}")
    return number


def inputs_of(x: Any) -> Sequence[Any]:
    """A module's inputs; of a single one, the number itself will do."""
    if isinstance(x, (dict, str, bytes, set, frozenset)) or x is None:
        raise TypeError(f"inputs must be a list of numbers, got {shown(x)}")
    if not isinstance(x, Iterable):
        return [x]
    return x if isinstance(x, list) else list(x)


def no_input(xs: Sequence[Any]) -> TypeError:
    """The refusal of inputs among which one is no number."""
    for k, x in enumerate(xs):
        if isinstance(x, Iterable) and not isinstance(x, str):
            return TypeError(
                f"inputs: item {k} is {shown(x)}, not a number; for several samples call the "
                "model for each: [model(x) for x in xs]"
            )
        if type(x) is not Value:
            try:
                ops.real(x, f"inputs: item {k}")
            except TypeError as error:
                return error
    return TypeError(f"inputs must be numbers, got {shown(xs)}")
