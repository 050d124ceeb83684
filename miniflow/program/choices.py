"""`max` and `min` of Values while a function is traced: choices in the program, not guards.

Python's own compare in pairs and return one of their arguments, so each order of these would be
a path of its own. In a trace they return a new Value instead, which is what `where` chooses: the
first argument that is the largest, NaN and ties as Python has them. The program is that of any
order. `observers.py` finds out where a function could tell the difference: then it is traced
again, with guards.
"""

import builtins
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import get_ident
from typing import Any

from miniflow import ops
from miniflow.tape.core import Value, current
from miniflow.tape.muting import pausable, running
from miniflow.tape.notes import Trace

Chooser = Callable[..., Any]

LARGEST_EXACT = 2**53  # ints up to here are floats, too

_tracing: set[int] = set()  # the threads that trace with choices


def _choosing(original: Chooser, *, largest: bool) -> Chooser:
    """`max` or `min`, with choices on the threads that trace."""

    def first(best: Any, x: Any) -> Any:
        """As Python's own."""
        return x if (x > best if largest else x < best) else best

    def choice(trace: Trace, best: Any, x: Any) -> Any:
        """One of two as a new Value, if that can be."""
        kinds = _candidate(best), _candidate(x)
        if Value not in kinds or None in kinds:
            return first(best, x)
        found = ops.where(ops.less(best, x) if largest else ops.less(x, best), x, best)
        trace.chosen(found, (best, x))
        return found

    @wraps(original)
    def choose(*args: Any, **kwargs: Any) -> Any:
        if kwargs or not args or get_ident() not in _tracing:  # others may have no table yet
            return original(*args, **kwargs)
        table = current()
        trace = table.trace
        muted = table.muted or (pausable and running())
        if trace is None or not trace.choosing or muted:
            return original(*args)
        xs = args if len(args) > 1 else args[0]
        if type(xs) in (list, tuple) and Value not in map(type, xs):
            return original(xs)
        rest = iter(xs)
        best = next(rest, rest)
        if best is rest:
            return original(())  # which is an error
        for x in rest:
            best = choice(trace, best, x)
        return best

    return choose


def _candidate(x: Any) -> Any:
    """The type of what a choice can be among: Values of this thread, and floats; else None."""
    kind = type(x)
    if kind is Value:
        return kind if x._tape is current() else None
    return kind if kind is float or (kind is int and -LARGEST_EXACT <= x <= LARGEST_EXACT) else None


ORIGINALS = {"max": max, "min": min}
CHOOSING = {
    "max": _choosing(max, largest=True),
    "min": _choosing(min, largest=False),
}


def _install() -> None:
    """Have the builtins be those that are needed; again if another thread comes between."""
    wanted = None
    while wanted is not bool(_tracing):
        wanted = bool(_tracing)
        found, others = (CHOOSING, ORIGINALS) if wanted else (ORIGINALS, CHOOSING)
        names = {name for name in found if vars(builtins)[name] is others[name]}  # not mocks
        vars(builtins).update({name: found[name] for name in names})


@contextmanager
def choosing() -> Iterator[None]:
    """Have `max` and `min` make choices on this thread, as far as its trace wants them."""
    me = get_ident()
    outermost = me not in _tracing
    try:
        _tracing.add(me)
        _install()
        yield
    finally:
        if outermost:
            _tracing.discard(me)
            _install()


def _after_fork() -> None:
    """Of all threads only this one is left."""
    _tracing.intersection_update({get_ident()})
    _install()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
