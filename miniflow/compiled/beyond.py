"""Calls beyond the limit of paths: eager ones, on the tape, and when known paths are still tried.

Numbers become constants there, as they are Values while a path is recorded: so the answer
is that of a program also where Python's own numbers would raise, be ints, or be complex.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from miniflow.ops import real
from miniflow.program.freeze import check_result
from miniflow.program.structures import NUMBER_LEAF, flatten_numbers, unflatten_numbers
from miniflow.tape.core import Value, here
from miniflow.tape.muting import hide_running, pausable, show_again
from miniflow.tape.quick import layout_of, short_eager, used_outside
from miniflow.tape.storage import plain
from miniflow.util.functions import Function

SHARE = 0.05  # of the time of eager calls that goes into trying known paths
MOST_SAVED = 16.0  # trials in vain that can be paid for in advance
MOST_EAGER = 100_000  # eager calls after which paths are tried again, whatever that cost


class Trials:
    """Whether to try known paths first: what that costs is paid for by what it saves.

    A trial that costs more than it saves is paid for by what earlier ones saved, or by a share
    of the time that the next calls take, which are eager. So calls cost little more than eager
    ones, whatever paths they take.

    Attributes:
        wait: how many of the next calls are eager.
        told: how many trials have been told of.
    """

    def __init__(self) -> None:
        self.wait = 0
        self.told = 0
        self._credit = 0.0  # seconds
        self._price = 0.0  # of a trial in vain
        self._eager = 0.0  # what an eager call takes

    def hit(self, seconds: float) -> None:
        """A known path answered in so long."""
        self.told += 1
        self._credit = min(self._credit + self._eager - seconds, MOST_SAVED * self._price)
        self._rest()

    def miss(self, seconds: float) -> None:
        """No known path answered, and that took so long."""
        self.told += 1
        self._price = _at_most_twice(self._price, seconds)
        self._credit -= self._price
        self._rest()

    def was_eager(self, seconds: float) -> None:
        """An eager call took so long."""
        self._eager = _at_most_twice(self._eager, seconds)

    def _rest(self) -> None:
        """Have as many calls be eager as pay what is owed."""
        if self._credit < 0.0 and self._eager:
            self.wait = min(int(-self._credit / (SHARE * self._eager)), MOST_EAGER)
            self._credit = 0.0


def _at_most_twice(before: float, seconds: float) -> float:
    """How long something takes: what interrupted it once says nothing about the next time."""
    return min(seconds, 2.0 * before) if before else seconds


def eager_result(name: str, f: Function, numbers: list[Any], arguments: Any) -> Any:
    """What a function returns, called on the tape.

    Results are Values where Values went in, or where the function used others from outside;
    else they are plain numbers.
    """
    table = here.table
    silent = table.silent
    hidden = hide_running() if pausable else []
    muted, table.muted = table.muted, 0
    try:
        first = table.constant(0.0)  # its entry comes before those of the call
        given = [x if x.__class__ is Value else table.constant(x) for x in numbers]
        args, kwargs = unflatten_numbers(arguments, given)
        out = f(*args, **kwargs)
        return finished(name, out, first, given=Value in map(type, numbers), silent=silent)
    finally:
        table.muted = muted + (table.muted if table.muted < 0 else 0)  # left meanwhile
        if hidden:
            show_again(hidden)


def finished(name: str, out: Any, first: Value, *, given: bool, silent: bool = False) -> Any:
    """A result as the caller gets it: with plain numbers, unless it depends on other Values.

    Args:
        name: the function's, for errors.
        out: what it has returned.
        first: a constant from before the call.
        given: whether Values went in.
        silent: whether nothing is to be recorded.
    """
    values, result = flatten_numbers(out)
    check_result(name, result)
    is_open = given or used_outside(here.table, first, values)
    return unflatten_numbers(result, [_settled(y, is_open, silent) for y in values])


def _settled(y: Any, is_open: bool, silent: bool) -> Any:
    """An output as the caller gets it; plain ints are kept."""
    if y.__class__ is not Value:
        return y if type(y) is int else real(y)
    if not is_open:
        return plain(y)
    return here.table.constant(plain(y)) if silent else y


def layout_of_tree(arguments: Any) -> Any:
    """What `layout_of` says of arguments of a treedef; None if there is no short way for them."""
    args, kwargs = arguments
    if kwargs or not args:
        return None
    parts = [_layout(tree) for tree in args]
    return None if None in parts else len(parts) if not any(parts) else tuple(parts)


def _layout(tree: Any) -> Any:
    if tree is NUMBER_LEAF:
        return 0
    alike = type(tree) in (list, tuple) and tree and all(x is NUMBER_LEAF for x in tree)
    return (type(tree), len(tree)) if alike else None


def shortcut_beyond(
    name: str, f: Function, trials: dict[Any, Trials], further: Callable[[], Function]
) -> Function:
    """What answers calls of a function with too many paths for some layouts of arguments.

    Args:
        name: the function's, for errors.
        f: the function.
        trials: for each such layout.
        further: what answers all other calls, and tries known paths.
    """

    def finish(out: Any, first: Value, given: bool) -> Any:
        return finished(name, out, first, given=given)

    def answer(*args: Any, **kwargs: Any) -> Any:
        found = None if kwargs else trials.get(layout_of(args))
        if found is None:
            return further()(*args, **kwargs)
        if found.wait:
            found.wait -= 1
            start = 0.0 if found.wait else perf_counter()
            out = short_eager(f, args, finish)
            if start:
                found.was_eager(perf_counter() - start)
            return further()(*args) if out is NotImplemented else out
        start, told = perf_counter(), found.told
        out = further()(*args)
        if found.told == told:  # machine code has answered
            found.hit(perf_counter() - start)
        return out

    return answer
