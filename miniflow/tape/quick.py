"""The short ways of `grad` and `Tape.gradient`: floats, alone or in a list, and one Value out.

What a `Tape` does at its ends is here, too. Python and Cython read the same file.
"""

from array import array
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from miniflow.ops import constant
from miniflow.tape.core import Table, Value, current
from miniflow.tape.muting import pausable

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if not cython.compiled:
    from miniflow.tape.columns import CONSTANT, LEAF, entries_of, slots_of

Short = tuple[Any, Any, Any]
FEW_LEVELS = 8  # levels of lists in a result that goes the short way


def short_call(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], k: Any
) -> Short:
    """Record one call of f, argument k made of fresh leaves.

    Returns:
        ``(found, leaves, out)``: the value and the gradient, where nothing from outside is
        involved, else None; the leaves, and what f returned. Three times None, with nothing
        called, if argument k is neither a float nor a list or tuple of floats.
    """
    if type(k) is not int or k < 0 or k >= len(args) or pausable:
        return None, None, None
    table = current()
    x = _plain_constant(table, args[k])
    kind = type(x)
    if kind is not float and not ((kind is list or kind is tuple) and _all(x, float)):
        return None, None, None
    muted, table.muted = table.muted, 0
    try:
        leaves = [Value(x)] if kind is float else [Value(number) for number in x]
        point = leaves[0] if kind is float else kind(leaves)
        out = f(*args[:k], point, *args[k + 1 :], **kwargs)
        found = None
        if type(out) is Value and out._tape is table:
            slopes = _slopes(table, leaves, out)
            if slopes is not None:
                gradient = slopes[0] if kind is float else kind(slopes)
                found = table.value_of(out._entry), gradient
        return found, leaves, out
    finally:
        table.muted = muted + (table.muted if table.muted < 0 else 0)  # left meanwhile


def _plain_constant(table: Table, x: Any) -> Any:
    """The number of a constant, or those of a list or tuple of them; anything else as it is."""
    kind = type(x)
    if (kind is list or kind is tuple) and len(x) > 0 and type(x[0]) is Value:
        parts = [_plain_constant(table, part) for part in x]
        return kind(parts) if _all(parts, float) else x
    if kind is Value and table.trace is None:
        v = x
        if v._tape is table and table.operation[v._entry] == CONSTANT:
            return table.value[v._entry]
    return x


def _slopes(table: Table, leaves: list[Value], out: Value) -> list[float] | None:
    """The gradient by a call's leaves, unless something from outside is involved."""
    with table.hold():
        floor, n = leaves[0]._entry, out._entry
        if n < floor or table.sweeping or not table.self_contained(floor):
            return None
        return table.gradients([n], [1.0], [v._entry for v in leaves])


class Shortcut:
    """A derivative of a function that goes the short way where there is one.

    Args:
        f: the function.
        position: which argument to differentiate by; -1 if there is no short way.
        both: whether the value is asked for, too.
        general: what does the rest: ``general(args, kwargs, leaves, out)``.
    """

    def __init__(
        self, f: Callable[..., Any], position: Any, both: bool, general: Callable[..., Any]
    ) -> None:
        self._f, self._position, self._both, self._general = f, position, both, general

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found, leaves, out = short_call(self._f, args, kwargs, self._position)
        if found is None:
            return self._general(args, kwargs, leaves, out)
        return found if self._both else found[1]


def layout_of(args: tuple[Any, ...]) -> Any:
    """What arguments are made of, hashable: how many, if all are floats and Values.

    Else for each of them 0 for such a number, or the class and the length of a list or tuple of
    them; None if there is anything else.
    """
    if _of_numbers(args):
        return len(args)
    found: list[Any] = []
    for x in args:
        kind = type(x)
        if kind is float or kind is Value:
            found.append(0)
        elif (kind is list or kind is tuple) and _of_numbers(x):
            found.append((kind, len(x)))
        else:
            return None
    return tuple(found)


def short_eager(f: Callable[..., Any], args: tuple[Any, ...], finish: Callable[..., Any]) -> Any:
    """What f returns for arguments that have a layout, its numbers made constants on the tape.

    Results are Values where Values went in or others from outside were used, else floats; those
    that take more are left to ``finish(out, first, given)``, with a constant from before the call,
    and whether Values went in. NotImplemented, with nothing called, where the tape does not just
    record.
    """
    table = current()
    if pausable or table.muted or table.trace is not None:
        return NotImplemented
    first = table.constant(0.0)  # its entry comes before those of the call
    inner = -1  # the argument that a derivative makes leaves of by itself
    if isinstance(f, Shortcut):
        derivative = f
        if type(derivative._position) is int:
            inner = derivative._position
    out = f(*[x if k == inner else _recordable(table, x) for k, x in enumerate(args)])
    numbers: list[Any] = []
    if not _gather(out, numbers, FEW_LEVELS):
        return finish(out, first, _has_values(args))
    if _has_values(args) or used_outside(table, first, numbers):
        return out
    return _with_plain_numbers(out)


def _gather(x: Any, found: list[Any], levels: int) -> bool:
    """Append the numbers in lists and tuples of them; whether there is nothing else."""
    kind = type(x)
    if kind is float or kind is Value:
        found.append(x)
        return True
    if (kind is not list and kind is not tuple) or levels == 0:
        return False
    for part in x:  # noqa: SIM110 - in C there is no generator
        if not _gather(part, found, levels - 1):
            return False
    return True


def used_outside(table: Table, first: Value, results: Any) -> bool:
    """Whether what was recorded since a constant used others from before, or results did."""
    with table.hold():
        floor = first._entry
        if not table.self_contained(floor):
            return True
        for y in results:
            if type(y) is Value:
                v = y
                if v._tape is not table or v._entry < floor:
                    return True
    return False


def _with_plain_numbers(x: Any) -> Any:
    """Numbers, in lists and tuples: those of Values of this thread instead of these."""
    kind = type(x)
    if kind is Value:
        v = x
        return v._tape.value_of(v._entry)
    return x if kind is float else kind([_with_plain_numbers(part) for part in x])


def _recordable(table: Table, x: Any) -> Any:
    """A number as a Value; those in a list or tuple, too."""
    kind = type(x)
    if kind is float:
        return table.constant(x)
    return x if kind is Value else kind([_recordable(table, part) for part in x])


def _has_values(args: tuple[Any, ...]) -> bool:
    """Whether there are Values among arguments that have a layout."""
    for x in args:
        kind = type(x)
        if kind is Value:
            return True
        if kind is not float:
            for part in x:
                if type(part) is Value:
                    return True
    return False


def _of_numbers(xs: Any) -> bool:
    """Whether there are some, and all are floats or Values."""
    for x in xs:
        kind = type(x)
        if kind is not float and kind is not Value:
            return False
    return len(xs) > 0


class Stretch:
    """A stretch of the tape of this thread whose entries are kept.

    Attributes:
        table: the table that its entries are in.
    """

    def __init__(self) -> None:
        self.table = current()
        self._scope = self.table.open_scope()

    def __enter__(self) -> Any:
        """Begin, or begin anew, on the tape of the thread that asks."""
        if self._scope:  # without it there is no table
            self.table.drop_scope(self._scope)
        self.table = current()
        self._scope = self.table.open_scope()
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if self._scope:
            self.table.end_scope(self._scope)

    def __del__(self) -> None:
        if getattr(self, "_scope", 0):
            self.table.drop_scope(self._scope)


def short_gradient(target: Any, sources: Any) -> Any:
    """The gradient of a Value by one or by a list of them; None where that takes more."""
    table = current()
    if type(target) is not Value or target._tape is not table:
        return None
    single = type(sources) is Value
    values = [sources] if single else sources
    if type(values) is not list or not _all(values, Value) or table.sweeping:
        return None
    if table.trace is not None or _is_open(table):
        return None
    with table.hold():
        entries: list[int] = []
        for v in values:
            if v._tape is not table or table.op(v._entry) is constant:
                return None
            entries.append(v._entry)
        found = table.gradients([target._entry], [1.0], entries)
    return found[0] if single else found


# --- many Values at once --------------------------------------------------------


class Bundle:
    """Values that are read and set all at once, quickly where all are of this thread.

    Where their entries are is found out when they have moved.
    """

    def __init__(self, values: Iterable[Any]) -> None:
        self.values = tuple(values)
        self._table: Table | None = None
        self._moves = -1  # how often its entries had moved
        self._entries = array("i")
        self._leaves = True  # whether all are some

    def holds(self, values: list[Any]) -> bool:
        """Whether these are the same objects, in the same order."""
        if len(values) != len(self.values):
            return False
        for k, x in enumerate(values):  # noqa: SIM110 - in C there is no generator
            if x is not self.values[k]:
                return False
        return True

    def _is_of(self, table: Table) -> bool:
        """Whether all are Values of a table, which is not traced; the caller holds it."""
        if table.trace is not None:
            return False
        if table is not self._table or table.moves != self._moves:
            entries = []
            for x in self.values:
                if type(x) is not Value:
                    return False
                v = x
                if v._tape is not table:
                    return False
                entries.append(v._entry)
            self._leaves = True
            for n in entries:
                if table.arity[table.operation[n]]:
                    self._leaves = False
            self._table, self._moves, self._entries = table, table.moves, array("i", entries)
        return True

    def numbers(self) -> Any:
        """Their numbers, as an array; None if not all are Values of here, or in a trace."""
        table = current()
        with table.hold():
            if not self._is_of(table):
                return None
            found = array("d", bytes(8 * len(self.values)))
            numbers, entries = slots_of(found), entries_of(self._entries)
            for k in range(len(self.values)):
                numbers[k] = table.value[entries[k]]
            return found

    def gradients(self) -> Any:
        """The same of their gradients."""
        table = current()
        with table.hold():
            if not self._is_of(table):
                return None
            found = array("d", bytes(8 * len(self.values)))
            numbers, entries = slots_of(found), entries_of(self._entries)
            for k in range(len(self.values)):
                n = entries[k]
                numbers[k] = table.grads[n] if table.operation[n] == LEAF else table.adjoint[n]
            return found

    def set_numbers(self, numbers: "array[float]") -> bool:
        """Put numbers in the place of theirs; whether all are leaves of here."""
        table = current()
        with table.hold():
            if not self._is_of(table) or not self._leaves:
                return False
            found = slots_of(numbers)
            for k, x in enumerate(self.values):
                v = x
                table.set_data(v, found[k])
            return True

    def zero_gradients(self) -> None:
        """Set the gradients of whatever has some to 0."""
        table = current()
        with table.hold():
            if self._is_of(table):
                entries = entries_of(self._entries)
                for k in range(len(self.values)):
                    n = entries[k]
                    if table.operation[n] == LEAF:
                        table.grads[n] = 0.0
                    else:
                        table.adjoint[n] = 0.0
                table.version += 1
                return
        for x in self.values:
            x.grad = 0.0


def _is_open(table: Table) -> bool:
    """Whether a Tape is, so that gradients are recorded."""
    for _, stop in table.scopes.copy().values():  # noqa: SIM110 - in C there is no generator
        if stop is None:
            return True
    return False


def _all(xs: Any, kind: type) -> bool:
    """Whether there are some, and all of one class."""
    for x in xs:
        if type(x) is not kind:
            return False
    return len(xs) > 0
