"""What `jit` and `vmap` return: a function with its specializations and its machine code."""

import threading
import time
import warnings
from functools import update_wrapper
from itertools import count
from types import MethodType
from typing import Any

from miniflow.compiled.beyond import Trials, layout_of_tree, shortcut_beyond
from miniflow.compiled.called import Called
from miniflow.compiled.evaluators import go_on_in_background
from miniflow.compiled.paths import SpecializationCache
from miniflow.program.names import function_name
from miniflow.program.structures import treedef_key
from miniflow.util.functions import Function, named
from miniflow.util.pickles import ByName
from miniflow.util.words import caller_level

LINKED = 16  # structures of arguments that machine code takes without asking
MOST_STRUCTURES = 128  # of arguments, static ones included, whose programs are kept

_calls = count()  # that machine code has not answered alone


class CompiledFunction(Called, ByName):
    """What `jit` and `vmap` return: call it like the function.

    Attributes:
        __wrapped__: the function.
        shortcut: the machine code, once there is some, that answers calls.
    """

    def __init__(self, f: Function, *, backend: str, fma: bool) -> None:
        update_wrapper(self, f)
        for name in vars(self).keys() & dir(type(self)):
            if not name.startswith("__"):  # an attribute of f's that would hide a method
                del vars(self)[name]
        self.f = f
        self.backend = backend
        self.fma = fma
        self.caches: dict[Any, SpecializationCache] = {}
        self.lock = threading.RLock()
        self.last: Any = None  # the last of the built-in functions that are tried in turn
        self.linked = 0
        self.machine: Any = None  # the first of them
        self.trials: dict[Any, Trials] = {}  # where there are too many paths, by layouts
        self.warned = False

    def cache_for(self, arguments: Any) -> SpecializationCache:
        """The specializations for arguments of that structure."""
        name = treedef_key(arguments)
        found = self.caches.get(name)
        if found is None:
            with self.lock:
                found = self.caches.get(name)
                if found is None:
                    found = SpecializationCache(
                        self.traced, arguments, backend=self.backend, fma=self.fma
                    )
                    self.adopt(found)
                    self._forget()
                    self.caches[name] = found
        found.used = next(_calls)
        return found

    def _forget(self) -> None:
        """Make room for one more structure of arguments: what was not used for longest goes."""
        others = {x: c for x, c in self.caches.items() if not c.linked}
        if len(self.caches) < MOST_STRUCTURES or not others:
            return
        gone = self.caches.pop(min(others, key=lambda x: others[x].used))
        for layout in [x for x, trials in self.trials.items() if trials is gone.trials]:
            del self.trials[layout]
        if not self.warned:
            self.warned = True
            warnings.warn(
                f"{named(self.f)} was called with more than {MOST_STRUCTURES} structures of "
                "arguments or static arguments: programs that were not used for longest are "
                "forgotten; pass lists of one length, and numbers instead of settings",
                RuntimeWarning,
                stacklevel=caller_level(),
            )

    @property
    def traced(self) -> Function:
        """What is recorded: the function, given arguments as `cache_for` gets them."""
        return self.f

    def adopt(self, cache: SpecializationCache) -> None:
        """Called with each new cache, before it is used."""

    def ready(self, timeout: float | None = None) -> bool:
        """Wait until all code is optimised; whether it is, after at most `timeout` seconds."""
        paths = [path for cache in list(self.caches.values()) for path in cache.specializations]
        end = None if timeout is None else time.monotonic() + timeout

        def wait(event: threading.Event) -> bool:
            return event.wait(None if end is None else max(0.0, end - time.monotonic()))

        for path in paths:
            path.compile()
        if paths and self.backend in ("native", "auto"):
            go_on_in_background()
        made = all(wait(path.linked) for path in paths)
        return made and all(wait(code.final) for path in paths for code in path.codes())

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __copy__(self) -> Any:
        """Itself, as of a function."""
        return self

    def __deepcopy__(self, _: Any) -> Any:
        return self

    def recipe(self) -> tuple[Any, ...]:
        """What makes another one like it, and of what."""
        raise NotImplementedError

    def become(self, twin: Any) -> None:
        """Be what another object is, that was made just now."""
        vars(self).update(vars(twin))

    @property
    def full(self) -> bool:
        """Whether there are enough built-in functions: each one leads on to the next."""
        return self.linked >= LINKED

    def enlist(self, builtin: Any) -> None:
        """Let a built-in function answer calls, after those that there are already."""
        self.linked += 1
        before, self.last = self.last, builtin
        if before is None:
            builtin.follow(self._lead)
        else:
            builtin.follow(before.set_fallback)

    def _lead(self, machine: Any) -> None:
        """Let machine code answer calls first, where it is not known to be in vain."""
        self.machine = machine
        if not self.trials:
            self.shortcut = machine

    def shorten(self, arguments: Any, trials: Trials) -> None:
        """Answer calls of that structure by the function itself, where no path is tried."""
        layout = layout_of_tree(arguments)
        if layout is None:
            return
        self.trials[layout] = trials
        name = function_name(self.traced)
        self.shortcut = shortcut_beyond(
            name, self.traced, self.trials, lambda: self.machine or self.run
        )

    def fallback(self, *args: Any, **kwargs: Any) -> Any:
        """A call that machine code cannot answer."""
        from miniflow.native.conversion import admit_scalars
        from miniflow.native.python_rows import raise_error

        raise_error()
        admit_scalars()
        return self.run(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """A call of any arguments."""
        raise NotImplementedError
