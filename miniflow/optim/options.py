"""What an optimiser's options may be. A check takes what to call an option in an error, and what
was given, and returns it as it is kept.
"""

from collections.abc import Callable
from math import inf
from numbers import Real
from operator import index
from typing import Any

from miniflow.util.words import shown

Check = Callable[[str, Any], Any]


def rate(what: str, number: Any) -> float:
    """A finite number from 0 on."""
    if not isinstance(number, Real) or not 0 <= float(number) < inf:
        raise ValueError(f"{what} must be a finite number from 0 on, got {shown(number)}")
    return float(number)


def finite_number(what: str, number: Any) -> float:
    """A finite number of either sign."""
    if not isinstance(number, Real) or not -inf < float(number) < inf:
        raise ValueError(f"{what} must be a finite number, got {shown(number)}")
    return float(number)


def positive(what: str, number: Any) -> float:
    """A finite number above 0."""
    found = rate(what, number)
    if not found:
        raise ValueError(f"{what} must be above 0, got {number!r}: it keeps a step finite")
    return found


def share(what: str, number: Any) -> float:
    """A number from 0 to 1, without 1."""
    if rate(what, number) >= 1:
        raise ValueError(f"{what} must be below 1, got {number!r}")
    return float(number)


def pair(what: str, numbers: Any) -> tuple[float, float]:
    """Two of those."""
    try:
        first, second = numbers
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be a pair of numbers below 1, got {numbers!r}") from None
    if max(found := (rate(what, first), rate(what, second))) >= 1:
        raise ValueError(f"{what} must be below 1, got {numbers!r}")
    return found


def count(what: str, given: Any) -> int:
    """An int from 1 on."""
    if type(given) is bool or not hasattr(given, "__index__") or index(given) < 1:
        raise ValueError(f"{what} must be an int from 1 on, got {shown(given)}")
    return index(given)


def yes_or_no(what: str, given: Any) -> bool:
    """True or False."""
    if type(given) is not bool:
        raise ValueError(f"{what} must be True or False, got {shown(given)}")
    return given


class Option:
    """An attribute of an optimiser: what the first group has; setting it sets every group's.

    Args:
        check: what it may be.
    """

    def __init__(self, check: Check) -> None:
        self.check = check
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Any, owner: Any = None) -> Any:
        return self if optimizer is None else optimizer.param_groups[0][self.name]

    def __set__(self, optimizer: Any, value: Any) -> None:
        for group in optimizer.param_groups:
            group[self.name] = value
