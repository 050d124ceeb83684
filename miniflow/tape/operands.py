"""What may stand beside a Value in an operator or a comparison."""

from numbers import Rational
from typing import Any

from miniflow.ops import real


def operand(x: Any, what: str) -> Any:
    """The number that an operator computes with; NotImplemented where another type may know it.

    Raises:
        TypeError: no other type will know better.
    """
    if x is None or isinstance(x, (str, complex)):
        return real(x, what)  # raises
    try:
        return real(x, what)
    except TypeError:
        return NotImplemented


def comparable(x: Any) -> Any:
    """The number to compare with; NotImplemented where it is none."""
    if isinstance(x, Rational) and not hasattr(x, "dtype"):
        return x  # Python compares floats with ints and fractions exactly
    try:
        return real(x)
    except TypeError:
        return NotImplemented
