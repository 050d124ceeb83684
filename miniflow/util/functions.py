"""Functions made of functions: what may be transformed, and what the result is called."""

import sys
from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import Any

from miniflow.util.notebook import InNotebook
from miniflow.util.words import shown

Function = Callable[..., Any]


def a_function(what: str, f: Any) -> None:
    """Refuse what cannot be called, such as a result in the place of the function.

    Raises:
        TypeError: `f` is no function; the message begins with `what`.

    Example:
        >>> a_function("grad", 4.0)
        Traceback (most recent call last):
        TypeError: grad: f must be a function, got float 4.0; give the function itself, such \
as lambda x: x * x, not what it returns
    """
    if not callable(f):
        raise TypeError(
            f"{what}: f must be a function, got {shown(f)}; give the function itself, such as "
            "lambda x: x * x, not what it returns"
        )


def named(f: Any) -> str:
    """What a function is called in the repr of one that is made of it.

    Example:
        >>> named(named), named(lambda x: x)
        ('named', '<lambda>')
    """
    return str(getattr(f, "__name__", f)) if type(f).__module__ == "builtins" else repr(f)


class Derived(InNotebook):
    """A function that a transform has made of another: named as that one, its repr says how.

    Attributes:
        __wrapped__: the function that it was made of.
    """

    def __init__(self, call: Function, transform: Function, f: Function, options: Any) -> None:
        update_wrapper(self, f)
        self._call, self._made = call, (transform, (f, *options))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        transform, (f, *_) = self._made
        return f"<{transform.__name__} of {named(f)}>"

    def __reduce__(self) -> Any:
        """By name where the name leads here, else as it was made."""
        found: Any = sys.modules.get(str(getattr(self, "__module__", "")))
        name = getattr(self, "__qualname__", "")
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else self._made


def derived(
    transform: Function, f: Function, *options: Any, kind: type[Derived] = Derived
) -> Callable[[Function], Function]:
    """A decorator for what ``transform(f, *options)`` returns, an object of class `kind`.

    Raises:
        TypeError: `f` is no function.
    """
    a_function(transform.__name__, f)
    return lambda call: kind(call, transform, f, options)
