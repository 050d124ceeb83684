"""What a tape is made of: columns of entries, side tables, and Values that stand for entries.

An entry has one place in each column:

    operation      the code of a row of the operation table; or of leaf, constant, shared
    left, right    the entries of the operands; or where in `pool` their numbers are, and how
                   many; of a leaf that a sweep has reached the one that it had reached before;
                   and when its data was set, by the count of changes, as a negative number
    value          the primal: what the entry evaluates to
    adjoint        d(output)/d(this entry), filled in by a sweep; but a sweep that is to change
                   no gradient fills in a column of its own: `flow` is the one that it fills
    grads          what a leaf has accumulated over sweeps
    mark           what a running sweep has reached
    owner          a weak reference to the Value of this entry

What few entries have stands in side tables, dicts by the number of the entry.

A section that is *atomic* lets no finalizer, signal handler or thread run: `columns.py` tells
how. What is prepared outside of it is checked against `count` and `version` first.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from miniflow.ops import Op
from miniflow.tape.notes import Trace

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if not cython.compiled:
    from miniflow.tape.columns import LEAF, release, resize

SMALLEST = 1 << 13  # entries that a table has room for at least


class Handle:
    """What stands for an entry: its tape and the number of the entry there."""

    __slots__ = ("__weakref__", "_entry", "_tape")
    _tape: Any
    _entry: int


class Storage:
    """The columns and side tables of one thread's tape."""

    __slots__ = (
        "adjoint", "arity", "capacity", "chain", "changed", "changes", "checked", "count", "dirty",
        "due", "floor", "flow", "fresh", "grads", "held", "homes", "labels", "left", "mark",
        "mixed", "moves", "muted", "names", "noted", "open_names", "opened", "operation", "others",
        "owner", "pending", "places", "pool", "pooled", "right", "scopes", "sweeping", "swept",
        "thread", "trace", "value", "version", "watch",
    )  # fmt: skip
    operation: list[int]
    left: list[int]
    right: list[int]
    value: list[float]
    adjoint: list[float]
    grads: list[float]
    mark: bytearray
    owner: list[Any]
    pool: list[int]
    arity: list[int]  # how many operands an operation has, by its code

    def __init__(self) -> None:
        self.count = 0
        self.capacity = 0
        self.pooled = 0  # how much of the pool is in use
        self.noted = 0  # from here on no entry has a gradient, or anything in a side table
        self.labels: dict[int, str] = {}
        self.homes: dict[int, Handle] = {}  # of shared entries: the other thread's leaf
        self.others: dict[int, Op] = {}  # operations that are in no table
        self.scopes: dict[int, tuple[int, int | None]] = {}  # stretches of entries to be kept
        self.floor = 0  # the entry at which a sweep ends
        self.chain = -1  # the leaf that a sweep has reached last; in its `left` the one before
        self.pending = 0  # how many entries a sweep has yet to replay
        self.opened = 0  # how many scopes there have been
        self.open_names: tuple[str, ...] = ()  # the names that are open at present
        self.names: dict[int, tuple[str, ...]] = {}  # from which entry on which were
        self.places: dict[int, Any] = {}  # from which entry on they come from which place
        self.muted = 0  # inside how many no_grad() of ordinary functions
        self.held = 0  # inside how many loops over entries: no compaction
        self.due = False  # whether a compaction waits for them
        self.trace: Trace | None = None  # filled in while a function is traced
        self.swept: Callable[[Any], None] | None = None  # told of each sweep
        self.watch: Callable[..., None] | None = None  # told of each sweep before it begins
        self.sweeping = False
        self.dirty = False  # whether a sweep may have left marks behind
        self.changed = 0  # how many entries there were when data was set last
        self.checked = 0  # so far it is known ...
        self.mixed = False  # ... whether later entries use results from before that
        self.fresh = -1  # an entry that was found to be what leaves make of it
        self.changes = 0  # of data, so far
        self.version = 0  # counts all changes but appended entries
        self.moves = 0  # counts compactions
        resize(self, SMALLEST)

    def __dealloc__(self) -> None:
        release(self)

    # --- side tables --------------------------------------------------------------

    def set_label(self, v: Handle, label: str) -> None:
        """Give an entry a name."""
        # atomic
        n = v._entry
        if n >= self.noted:
            self.noted = n + 1
        self.labels[n] = label
        self.version += 1

    def gradient(self, v: Handle) -> float:
        """What a leaf has accumulated, or the latest adjoint of what was computed."""
        # atomic
        n = v._entry
        return self.grads[n] if self.operation[n] == LEAF else self.adjoint[n]

    def set_gradient(self, v: Handle, number: float) -> None:
        """Put a number in its place."""
        # atomic
        n = v._entry
        if self.operation[n] == LEAF:
            if n >= self.noted:
                self.noted = n + 1
            self.grads[n] = number
        else:
            self.adjoint[n] = number
        self.version += 1

    def feed(self, v: Handle, adjoint: float) -> None:
        """Add to the gradient of a leaf: any thread may."""
        # atomic
        n = v._entry
        if n >= self.noted:
            self.noted = n + 1
        self.grads[n] += adjoint
        self.version += 1

    def push(self, name: str) -> None:
        """Open a name: the entries to come belong to it."""
        self._rename((*self.open_names, name))

    def pop(self) -> None:
        """Close the name that was opened last."""
        self._rename(self.open_names[:-1])

    def _rename(self, names: tuple[str, ...]) -> None:
        # atomic
        self.open_names = names
        self.names[self.count] = names
        self.noted = self.count
        self.version += 1

    def locate(self, place: Any) -> None:
        """The entries to come are from a place: a line of source, or None."""
        # atomic
        self.places[self.count] = place
        self.noted = self.count
        self.version += 1


def plain(v: Handle) -> float:
    """The number of a Value, for the library itself: `Value.data` asks whether it is lost."""
    # atomic
    return v._tape.value[v._entry]


def is_leaf(v: Handle) -> bool:
    """Whether a Value is one that gradients are for: neither computed nor a constant."""
    # atomic
    return v._tape.operation[v._entry] == LEAF
