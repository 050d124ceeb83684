"""Functions made of functions: what may be transformed, and what the result is called."""

from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import Any

from miniflow.util.pickles import ByName
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


class Derived(ByName):
    """A function that a transform has made of another: named as that one, its repr says how.

    Attributes:
        __wrapped__: the function that it was made of.
    """

    def __init__(self, call: Function, transform: Function, f: Function, options: Any) -> None:
        update_wrapper(self, f)
        self._call, self._transform, self._arguments = call, transform, (f, *options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<{self._transform.__name__} of {named(self._arguments[0])}>"

    def recipe(self) -> tuple[Any, ...]:
        """What it was made by, and of what."""
        return self._transform, *self._arguments

    def become(self, twin: Any) -> None:
        """Be what another object is, that was made just now."""
        type(self).__init__(self, twin._call, twin._transform, *twin._parts())

    def _parts(self) -> tuple[Function, tuple[Any, ...]]:
        """The function, and the options of the transform."""
        f, *options = self._arguments
        return f, tuple(options)


def derived(
    transform: Function, f: Function, *options: Any, kind: type[Derived] = Derived
) -> Callable[[Function], Function]:
    """A decorator for what ``transform(f, *options)`` returns, an object of class `kind`.

    Raises:
        TypeError: `f` is no function.
    """
    a_function(transform.__name__, f)
    return lambda call: kind(call, transform, f, options)
