"""Packages that are loaded when they are first used: importing miniflow stays cheap."""

from importlib import import_module
from typing import Any


class Later:
    """A module in whose place this stands until one of its names is asked for.

    Args:
        name: the module's.

    Example:
        >>> Later("math").sqrt(4)
        2.0
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self.__name__), name)
        setattr(self, name, found)  # from now on it is found at once
        return found
