"""What modules are given: sizes, seeds, inputs; and what they start with."""

import operator
import random
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from miniflow import ops
from miniflow.tape.core import Value, current
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


def size_of(name: str, size: Any, what: str = "number of neurons") -> int:
    """A size as an int: NumPy's integers are welcome."""
    try:
        number = operator.index(size)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} must be a {what}, from 1 on, got {shown(size)}")
    return number


def whole(name: str, size: Any) -> int:
    """A number of things that are no neurons."""
    return size_of(name, size, "whole number")


def finite(name: str, x: Any) -> float:
    """A number that is neither infinite nor NaN, such as an option of a module."""
    number = ops.real(x, name)
    if not isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {shown(x)}")
    return number


def flag(name: str, x: Any) -> bool:
    """An argument that is True or False."""
    if not isinstance(x, bool):
        raise TypeError(f"{name} must be True or False, got {shown(x)}")
    return x


def inputs_of(x: Any) -> Sequence[Any]:
    """A module's inputs; of a single one, the number itself will do."""
    if isinstance(x, (dict, str, bytes, set, frozenset)) or x is None:
        raise TypeError(f"inputs must be a list of numbers, got {shown(x)}")
    if not isinstance(x, Iterable):
        return [x]
    return x if isinstance(x, list) else list(x)


def values_of(x: Any, what: str = "", size: int = 0) -> list[Value]:
    """A module's inputs as Values: plain numbers are constants.

    Args:
        x: an iterable of numbers and Values; of a single one, the number itself will do.
        what: what they are, for the error.
        size: how many there must be; 0 if any number will do.

    Raises:
        TypeError: x is something else.
        ValueError: there are more or fewer.
    """
    constant, xs = current().constant, inputs_of(x)
    try:
        found = [v if type(v) is Value else constant(ops.real(v)) for v in xs]
    except TypeError:
        raise no_input(xs) from None
    if size and len(found) != size:
        raise ValueError(f"{what} must be a list of {size}, got {len(found)}")
    return found


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
