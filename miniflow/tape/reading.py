"""How a tape is read: entries by their numbers, and what a Value shows of itself.

Whoever looks at a recording (pictures, programs, transforms) does it by these methods. A
compaction gives entries other numbers, so the table is held as long as they are at hand:

    table, n = located(y)
    with table.hold():
        for x in table.reached([n]):
            op, value, gradient, label = table.properties(x)
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from miniflow import ops
from miniflow.ops import BY_CODE, OTHER, Op, real
from miniflow.tape import methods, refusals
from miniflow.tape.compaction import Compaction
from miniflow.tape.muting import pausable, running
from miniflow.tape.notes import show_kind
from miniflow.tape.storage import Handle, plain
from miniflow.util.notebook import notebook_html

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if not cython.compiled:
    from miniflow.tape.columns import CONSTANT, LEAF, SHARED, last, pending_entry


def located(v: Handle) -> tuple[Any, int]:
    """The table of a Value and the number of its entry there."""
    return v._tape, v._entry


class Reading(Compaction):
    """A table that can be looked at."""

    __slots__ = ()

    def op(self, n: int) -> Op:
        """The operation of an entry."""
        code = self.operation[n]
        return self.others[n] if code == OTHER else BY_CODE[code]

    def value_of(self, n: int) -> float:
        """The primal of an entry."""
        return self.value[n]

    def properties(self, n: int) -> tuple[Op, float, float, str]:
        """An entry's operation, primal, gradient and label."""
        gradient = self.grads[n] if self.operation[n] == LEAF else self.adjoint[n]
        return self.op(n), self.value[n], gradient, self.labels.get(n, "")

    def operands(self, n: int) -> tuple[int, ...]:
        """The numbers of an entry's operands."""
        arity, left, right = self.arity[self.operation[n]], self.left[n], self.right[n]
        if arity == 2:
            return left, right
        if arity == 1:
            return (left,)
        return tuple([self.pool[k] for k in range(left, left + right)]) if arity else ()

    def entries_of(self, x: Handle) -> list[int]:
        """The entries that stand for a Value here: for another thread's leaf any number."""
        if x._tape is self:
            return [x._entry]
        return [n for n, leaf in self.homes.copy().items() if leaf is x]

    def operand(self, x: Any, what: str) -> Any:
        """A Value that can be used here, or the plain number of anything else.

        Raises:
            TypeError: `x` is neither a Value nor a real number.
            RuntimeError: `x` was computed on another thread.
        """
        if isinstance(x, Handle):
            self.admit(x, what)
            return x
        return x if type(x) is float else real(x, what)

    def admit(self, v: Handle, what: str) -> None:
        """Refuse a Value that cannot be used here: one computed on another thread."""
        table = v._tape
        if table is not self and self.arity[table.operation[v._entry]]:
            raise refusals.foreign(what)

    def number(self, x: Any, what: str) -> float:
        """The plain number of an operand, with the errors of `operand`."""
        x = self.operand(x, what)
        return plain(x) if isinstance(x, Handle) else x

    def primal(self, n: int) -> Any:
        """What a formula sees of an entry: its Value, or the plain number of a constant."""
        return self.value[n] if self.operation[n] == CONSTANT else self.handle(n)

    def handle(self, n: int) -> Any:
        """The Value that stands for an entry; a new one where nobody keeps one."""
        raise NotImplementedError

    def reached(self, entries: Iterable[int], floor: int = 0) -> list[int]:
        """What `entries` come from, themselves included, down to `floor`; newest first."""
        marks = bytearray(self.count - floor)
        for n in entries:
            if n >= floor:
                marks[n - floor] = 1
        found = []
        n = last(marks, len(marks))
        while n >= 0:
            found.append(n + floor)
            self.mark_operands(n + floor, marks, floor)
            n = last(marks, n)
        return found

    def self_contained(self, floor: int) -> bool:
        """Whether entries from `floor` on use none from before, other than constants."""
        shared = [n for n in self.homes.copy() if n >= floor]
        return not (shared or self.uses_before(floor, floor, True))

    def uses_before(self, floor: int, start: int, leaves: bool) -> bool:
        """Whether entries from `start` on use results from before `floor`; or `leaves` of here."""
        for n in range(start, self.count):  # noqa: SIM110 - C is made of a loop
            if self._uses(n, floor, leaves):
                return True
        return False

    def depends_before(self, entries: Iterable[int], floor: int) -> bool:
        """Whether `entries` come from what is older than `floor`, or another thread's leaves."""
        for n in entries:
            if self._is_before(n, floor, True):
                return True
        for n in self.reached(entries, floor):
            if self.operation[n] == SHARED or self._uses(n, floor, True):
                return True
        return False

    def _uses(self, n: int, floor: int, leaves: bool) -> bool:
        """Whether one entry does."""
        arity, a, b = self.arity[self.operation[n]], self.left[n], self.right[n]
        if arity == 1 or arity == 2:
            return self._is_before(a, floor, leaves) or (
                arity == 2 and self._is_before(b, floor, leaves)
            )
        if arity:
            for k in range(a, a + b):
                if self._is_before(self.pool[k], floor, leaves):
                    return True
        return False

    def _is_before(self, n: int, floor: int, leaves: bool) -> bool:
        code = self.operation[n]
        return n < floor and code != CONSTANT and (leaves or code != LEAF)

    def dependent(self, entries: Iterable[int], sources: Iterable[int]) -> set[int]:
        """Those of `entries` (newest first) that come from `sources`, with the sources."""
        found = set(sources)
        for n in reversed(list(entries)):
            if not found.isdisjoint(self.operands(n)):
                found.add(n)
        return found

    def scope_names(self, entries: Iterable[int]) -> list[tuple[str, ...]]:
        """The names that were open when each of `entries` was recorded, the outermost first."""
        return scopes_at(self.names.copy(), entries)

    @property
    def silent(self) -> bool:
        """Whether results are constants: inside no_grad(), but a trace records even there."""
        return self.trace is None and (self.muted > 0 or bool(pausable and running()))

    def idle(self) -> bool:
        """Whether no loop over entries is under way, and none has left anything behind."""
        busy = self.held or self.muted or self.sweeping
        return not busy and pending_entry(self.mark, self.capacity) < 0


def scopes_at(names: dict[int, tuple[str, ...]], entries: Iterable[int]) -> list[tuple[str, ...]]:
    """The names that were open at each of `entries`, by where they were opened and closed."""
    starts, found = list(names), [(), *names.values()]
    return [found[bisect_right(starts, n)] for n in entries]


class Readable(Handle):
    """What a Value shows of itself."""

    __slots__ = ()

    @property
    def label(self) -> str:
        return self._tape.labels.get(self._entry, "")

    @label.setter
    def label(self, label: str) -> None:
        if not isinstance(label, str):
            raise refusals.label("Value.label", label)
        self._tape.set_label(self, str(label))

    @property
    def op(self) -> str:
        return self._operation().name

    @property
    def inputs(self) -> tuple[Any, ...]:
        table = self._tape
        with table.hold():
            return tuple([table.handle(n) for n in table.operands(self._entry)])

    @property
    def _op(self) -> str:
        """What micrograd calls the operation: its symbol, "" for a leaf."""
        op = self._operation()
        return op.symbol if op.arity else ""

    @property
    def _prev(self) -> set[Any]:
        """What micrograd calls the inputs."""
        return set(self.inputs)

    def _operation(self) -> Op:
        # atomic
        table, n = self._tape, self._entry
        code = table.operation[n]
        return table.others[n] if code == OTHER else BY_CODE[code]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The table's functions as methods: v.tanh(), and so np.tanh(v)."""
        return methods.bound(self, name)

    def __float__(self) -> float:
        show_kind(self._tape.trace)
        raise refusals.lost("float", self._tape)

    def __int__(self) -> int:
        show_kind(self._tape.trace)
        raise refusals.lost("int", self._tape)

    def __index__(self) -> int:
        show_kind(self._tape.trace)
        raise refusals.lost("an index", self._tape)

    def __complex__(self) -> complex:
        show_kind(self._tape.trace)
        raise refusals.lost("complex", self._tape)

    # fmt: off
    def __matmul__(self, other: Any) -> Any: return refusals.no_operator(self, "@", other)
    def __rmatmul__(self, other: Any) -> Any: return refusals.no_operator(self, "@", other)
    def __xor__(self, other: Any) -> Any: return refusals.no_operator(self, "^", other)
    def __rxor__(self, other: Any) -> Any: return refusals.no_operator(self, "^", other)
    def __and__(self, other: Any) -> Any: return refusals.no_operator(self, "&", other)
    def __rand__(self, other: Any) -> Any: return refusals.no_operator(self, "&", other)
    def __or__(self, other: Any) -> Any: return refusals.no_operator(self, "|", other)
    def __ror__(self, other: Any) -> Any: return refusals.no_operator(self, "|", other)
    def __invert__(self) -> Any: return refusals.no_operator(self, "~", 0)
    # fmt: on

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *ops.TABLE, *methods.ALIASES]

    def __format__(self, spec: str) -> str:
        show_kind(self._tape.trace)
        return format(self.data, spec) if spec else repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles: leaves and constants only, their number and label."""
        op = self._operation()
        if op.arity:
            raise refusals.computed_copy()
        return restored, (type(self), self.data, op.name), (None, {"label": self.label})

    def __repr__(self) -> str:
        show_kind(self._tape.trace)
        label = f", label={self.label!r}" if self.label else ""
        return f"Value(data={plain(self)!r}, grad={self._tape.gradient(self)!r}{label})"

    def _repr_html_(self) -> str | None:
        return notebook_html(self)


def restored(kind: Any, number: float, op: str) -> Any:
    """A copy of a Value: a leaf, or a constant, which is no parameter."""
    return kind(number).detach() if op == "constant" else kind(number)
