"""What may stand beside a Value in an operator or a comparison."""

from numbers import Rational
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from miniflow.ops import Op, real, real_or_none
from miniflow.tape import refusals

REPEATED = frozenset((list, tuple, range))
# Nothing of these exact types knows better than a Value.
REFUSED = frozenset((
    dict, set, frozenset, bytes, bytearray, FunctionType, MethodType, BuiltinFunctionType, Op,
))  # fmt: skip


def operand(x: Any, what: str) -> Any:
    """The number that an operator computes with; NotImplemented where another type may know it.

    Raises:
        TypeError: no other type will know better.
    """
    if type(x) in REPEATED:
        raise refusals.several(what, x)
    if x is None or isinstance(x, (str, complex)) or type(x) in REFUSED:
        return real(x, what)  # raises
    return _number_or_not(x, what)


def just(exponent: Any, modulus: Any) -> Any:
    """The exponent of ``pow(x, exponent, modulus)``, which is for ints where there is a modulus.

    Raises:
        TypeError: there is one.
    """
    if modulus is not None:
        raise refusals.modulus()
    return exponent


def comparable(x: Any) -> Any:
    """The number to compare with; NotImplemented where it is none."""
    if isinstance(x, Rational) and not hasattr(x, "dtype"):
        return x  # Python compares floats with ints and fractions exactly
    return _number_or_not(x, "data")


def _number_or_not(x: Any, what: str) -> Any:
    """The number, or NotImplemented: no words are made for what other types know."""
    try:
        found = real_or_none(x, what)
    except TypeError:  # a type whose own __float__ refuses
        return NotImplemented
    return NotImplemented if found is None else found
