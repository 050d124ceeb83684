"""Random numbers that are drawn while a function is traced: its program would keep them for ever.

A *source* is an object that random numbers come from. It is asked for its state before the call
and after it. Looked at are the sources that everybody shares and those that a function can be
seen to use: in its arguments, closures, globals and attributes, and in those of its helpers.
"""

import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from miniflow.program.places import is_library

MOST_LOOKED_AT = 10_000
LEAD_NOWHERE = frozenset((bool, int, float, complex, str, bytes, type(None)))
ENGINE = ("miniflow.operation", "miniflow.ops", "miniflow.tape", "miniflow.program", "numpy")


class Watch:
    """The states of all sources before a call.

    Args:
        roots: what leads to a function's own sources: the function, its arguments.
    """

    def __init__(self, *roots: Any) -> None:
        found = {id(x): x for x in (*_shared(), *filter(_is_source, _reached(roots)))}
        self.before = [(x, _state(x)) for x in found.values()]

    def drawn(self) -> list[str]:
        """What those are called that numbers have been drawn from since."""
        return [_called(x) for x, state in self.before if _state(x) != state]


def refusal(name: str, sources: Iterable[str]) -> RuntimeError:
    """The error for a traced function that draws random numbers."""
    return RuntimeError(
        f"{name}: it draws random numbers (from {', '.join(sources)}) while it is traced, and its "
        "program would keep them for ever; draw them outside and pass them as arguments"
    )


# --- sources ------------------------------------------------------------------


def _shared() -> list[Any]:
    """The sources behind the functions of `random` and `numpy.random`."""
    found = [random.getstate.__self__]  # type: ignore[attr-defined]
    if "numpy" in sys.modules:
        import numpy.random

        found.append(numpy.random.get_state.__self__)  # type: ignore[attr-defined]
    return found


def _is_source(x: Any) -> bool:
    if isinstance(x, random.Random):
        return not isinstance(x, random.SystemRandom)  # it has no state
    kind = type(x)
    of_numpy = kind.__module__.startswith("numpy.random")
    return of_numpy and (hasattr(kind, "bit_generator") or hasattr(kind, "get_state"))


def _state(x: Any) -> Any:
    if isinstance(x, random.Random):
        return x.getstate()
    generator = getattr(x, "bit_generator", None)
    return _comparable(generator.state if generator else x.get_state(legacy=False))


def _comparable(state: Any) -> Any:
    """A state of NumPy's without arrays."""
    if isinstance(state, dict):
        return {name: _comparable(part) for name, part in state.items()}
    return state.tobytes() if hasattr(state, "tobytes") else state


def _called(x: Any) -> str:
    shared = dict(zip(map(id, _shared()), ("random", "numpy.random"), strict=False))
    return shared.get(id(x)) or f"a {type(x).__module__}.{type(x).__qualname__}"


# --- what a function can be seen to use -----------------------------------------


def _reached(roots: Iterable[Any]) -> Iterator[Any]:
    """Everything that leads on from there, each once."""
    seen: dict[int, Any] = {}
    waiting = list(roots)
    while waiting and len(seen) < MOST_LOOKED_AT:
        x = waiting.pop()
        if type(x) not in LEAD_NOWHERE and id(x) not in seen:
            seen[id(x)] = x
            waiting += islice(_leads(x), MOST_LOOKED_AT)
            yield x


def _leads(x: Any) -> Iterator[Any]:
    if isinstance(x, dict):
        yield from _some_of(x.values())
    elif isinstance(x, (list, tuple, set, frozenset)):
        yield from _some_of(x)
    elif isinstance(x, FunctionType):
        yield from _of_function(x)
    elif isinstance(x, MethodType):
        yield from (x.__self__, x.__func__)
    elif isinstance(x, partial):
        yield from (x.func, x.args, x.keywords)
    elif not isinstance(x, (type, ModuleType)) and not type(x).__module__.startswith(ENGINE):
        yield from _of_object(x)


def _some_of(parts: Iterable[Any]) -> list[Any]:
    """Parts of what another thread may be changing: they are taken in one go."""
    return [*islice(parts, MOST_LOOKED_AT)]


def _of_function(f: Any) -> Iterator[Any]:
    yield from (f.__defaults__, f.__kwdefaults__, getattr(f, "__wrapped__", None))
    for cell in f.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled in yet
            continue
    if is_library(f.__code__.co_filename):
        return
    names = list(_names_used(f.__code__))
    spaces = [f.__globals__]
    spaces += [vars(x) for x in map(f.__globals__.get, names) if _is_users_module(x)]
    yield from (space[name] for space in spaces for name in names if name in space)


def _names_used(code: CodeType) -> Iterator[str]:
    """The names that a function and those within it use."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names_used(inner)


def _is_users_module(x: Any) -> bool:
    file = getattr(x, "__file__", None) if isinstance(x, ModuleType) else None
    return file is not None and not is_library(file)


def _of_object(x: Any) -> Iterator[Any]:
    """An object's attributes, and the methods of its classes."""
    found = getattr(x, "__dict__", None)
    if isinstance(found, Mapping):  # some answer every name
        yield from _some_of(found.values())
    for kind in type(x).__mro__:
        yield from (f for f in vars(kind).values() if isinstance(f, FunctionType))
