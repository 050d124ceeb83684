"""How objects that are made of functions are pickled: as a function of the same name would be.

A pickler takes functions by name, or by value where it can (cloudpickle's, of joblib and Dask, if
another process could not find the name). Only the pickler knows. So an object that its own
name leads to is pickled as two functions that stand for it, found by name below its own:
one says where it is, and the other one returns what it was made of.
"""

import sys
from functools import cached_property
from types import FunctionType
from typing import Any

from miniflow.util.notebook import InNotebook

HERE_NAME, MADE_NAME = "_here", "_made"


def _named_thing(module: str, name: str) -> Any:
    """What a dotted name leads to, None if nothing."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


class ByName(InNotebook):
    """An object with the name of a function."""

    def recipe(self) -> tuple[Any, ...]:
        """The function that makes such an object, and its arguments; its class's own."""
        raise NotImplementedError

    def become(self, twin: Any) -> None:
        """Be what another object is, that was made just now."""
        raise NotImplementedError

    @cached_property
    def _here(self) -> FunctionType:
        return self._named(lambda: None, HERE_NAME)

    @cached_property
    def _made(self) -> FunctionType:
        recipe = self.recipe()
        return self._named(lambda: recipe, MADE_NAME)

    def _named(self, function: Any, name: str) -> FunctionType:
        function.__module__ = getattr(self, "__module__", None)
        function.__qualname__ = f"{getattr(self, '__qualname__', '')}.{name}"
        function.__name__ = name
        return function  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> Any:
        module, name = getattr(self, "__module__", None), getattr(self, "__qualname__", "")
        if _named_thing(str(module), name) is not self:
            return arrived, (self._kind(), None), self.recipe()
        return (arrived, (self._kind(), self._here), self._made) if protocol >= 4 else name

    def _kind(self) -> type:
        """The class that its name leads to: an object may have one of its own below it."""
        kinds: list[type] = [
            x for x in type(self).__mro__ if _named_thing(x.__module__, x.__qualname__) is x
        ]
        return kinds[0]

    def __setstate__(self, state: Any) -> None:
        if vars(self):  # it was here
            return
        make, *arguments = state() if isinstance(state, FunctionType) else state
        self.become(make(*arguments))


def arrived(kind: type[ByName], here: FunctionType | None) -> Any:
    """The object that is here by name already, or a new one, to be filled in."""
    if here is not None:
        found = _named_thing(here.__module__, here.__qualname__.removesuffix(f".{HERE_NAME}"))
        if isinstance(found, ByName) and getattr(found, HERE_NAME) is here:
            return found
    return kind.__new__(kind)
