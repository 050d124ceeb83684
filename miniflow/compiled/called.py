"""Objects whose calls lead straight to machine code: what `jit` and `vmap` return.

Where the engine is compiled `called.c` takes the place of this file.
"""

from typing import Any


class Called:
    """An object whose calls its method `run` answers, and once it has one its shortcut.

    Each has a class of its own, so that its class can have the shortcut.
    """

    __slots__ = ("_shortcut",)  # not an attribute that a wrapper would copy

    def __new__(cls, *_: Any, **__: Any) -> Any:
        made: Any = object.__new__(type(cls.__name__, (cls,), {"__module__": cls.__module__}))
        made._shortcut = None
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a call of any arguments."""
        raise NotImplementedError

    @property
    def shortcut(self) -> Any:
        """What answers calls instead, or None."""
        return self._shortcut

    @shortcut.setter
    def shortcut(self, answer: Any) -> None:
        self._shortcut = answer
        if answer is None:
            answer = self.run
        unbound = staticmethod(answer) if hasattr(answer, "__get__") else answer
        setattr(type(self), "__call__", unbound)  # noqa: B010 - on a class of its own
