"""Packages that are loaded when they are first used: importing miniflow stays cheap."""

from importlib import import_module
from typing import Any


class Later:
    """A module in whose place this stands until one of its names is asked for.

    Args:
        name: the module's.
        extra: miniflow's extra that installs it, if it need not be there.

    Example:
        >>> Later("math").sqrt(4)
        2.0
    """

    def __init__(self, name: str, extra: str = "") -> None:
        self.__name__ = name
        self.__extra = extra

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what tools ask of any object
            raise AttributeError(name)
        found = getattr(self.__module(), name)
        if not self.__extra:  # what is always there is found at once from now on
            setattr(self, name, found)
        return found

    def __module(self) -> Any:
        try:
            return import_module(self.__name__)
        except ModuleNotFoundError as error:
            if not self.__extra:
                raise
            raise ImportError(
                f"this needs {self.__name__}; pip install 'miniflow[{self.__extra}]' gets it"
            ) from error
