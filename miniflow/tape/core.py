"""The engine: Values record what is done to them, a sweep replays it in reverse.

A Value stands for an entry on its thread's tape: which operation was done on which other
entries, and what came out.

    x = Value(2.0)    entry 0   leaf              2.0
    y = x * x + 1     entry 1   mul of 0 and 0    4.0
                      entry 2   constant          1.0
                      entry 3   add of 1 and 2    5.0

Entries are numbered as they are recorded, so operands come before results, and the chain
rule is a loop from the last entry to the first: no sorting, no recursion, however deep.

This file is Python and runs as it is, its columns lists (`columns.py`); where there is a C
compiler Cython compiles the very same file, its columns arrays (`core.pxd`). The machinery is
beside it; `__init__.py` lists the files.
"""

from collections.abc import Callable, Iterable
from operator import eq, ge, gt, index, le, lt, ne
from typing import TYPE_CHECKING, Any

from miniflow import ops
from miniflow.ops import OTHER, Op, real, stop_gradient
from miniflow.tape import methods, notes, refusals
from miniflow.tape.operands import comparable, just, operand
from miniflow.tape.reading import Readable
from miniflow.tape.replaying import Replaying
from miniflow.tape.storage import plain
from miniflow.tape.threads import Here

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if not cython.compiled:
    from miniflow.tape.columns import *

engine = "compiled" if cython.compiled else "python"
made_of = MADE_OF.decode()  # what a compiled engine was made of, in short


# --- a number -------------------------------------------------------------------


class Number(Readable):
    """A number on a tape; a `Value` is one that has Python's operators."""

    __slots__ = ()

    def __init__(self, data: Any, label: str = "", *more: Any, **named: Any) -> None:
        if made(self) or more or named or not isinstance(label, str):
            raise refusals.construction(label, more, named)
        if type(data) is not float:
            data = real(data, "Value")
        current().enter(self, LEAF, data)
        if label != "":
            self.label = label

    @property
    def data(self) -> float:
        thawed("reading .data")
        return self._tape.value[self._entry]

    @data.setter
    def data(self, number: Any) -> None:
        thawed("setting .data")
        number = number if type(number) is float else real(number, "Value.data")
        table = self._tape
        if table.arity[table.operation[self._entry]]:
            raise refusals.computed_data()
        table.set_data(self, number)

    @property
    def grad(self) -> float:
        thawed("reading .grad")
        return self._tape.gradient(self)

    @grad.setter
    def grad(self, number: Any) -> None:
        thawed("setting .grad")
        zero = number is None  # as PyTorch has it: there is no gradient
        number = 0.0 if zero else number if type(number) is float else real(number, "Value.grad")
        self._tape.set_gradient(self, number)

    def backward(self, seed: float = 1.0) -> None:
        """Add d(self)/d(leaf) to the grad of every leaf that self was computed from.

        Args:
            seed: what to multiply every derivative with, in units of the result.

        Raises:
            RuntimeError: self was computed on another thread, or nothing was recorded.
        """
        thawed("backward()")
        table = current()
        table.admit(self, "backward")
        seed = seed if type(seed) is float else real(seed, "backward")
        code = self._tape.operation[self._entry]
        if code == LEAF:
            self._tape.feed(self, seed)
        elif code == CONSTANT:
            raise refusals.nothing_recorded()
        else:
            table.sweep(self, seed)

    def forward(self) -> "Value":
        """Compute self again, after leaves' data have changed, and return self.

        A branch that Python took while recording stays taken; ``math.where`` chooses anew, and
        so does what a compiled function has made. On an error nothing has changed.
        """
        thawed("forward()")
        table = current()
        table.admit(self, "forward")
        if table.arity[self._tape.operation[self._entry]]:
            table.replay(self)
        return self  # type: ignore[return-value]

    def detach(self) -> "Value":
        """A constant with the same data: gradients stop there."""
        table = current()
        return table.constant(plain(self)) if table.trace is None else stop_gradient(self)


# --- recording ------------------------------------------------------------------


class Table(Replaying):
    """The entries of one thread's tape; everything is done by their numbers."""

    __slots__ = ()

    def __init__(self) -> None:
        self.arity = arities()
        Replaying.__init__(self)
        self.thread = get_ident()

    def enter(self, v: Number, code: int, number: float) -> "Value":
        """Append an entry without operands and let `v` stand for it."""
        v._tape = self
        reference = pointer(v)
        self.append(v, reference, code, 0, 0, number)
        return v  # type: ignore[return-value]

    def record(self, op: Op, operands: Iterable[Any], y: Any = None) -> "Value":
        """Append an entry for `op` on Values and numbers; `y` if its value is known."""
        xs = usable(self, operands, op.name)
        number = evaluate(op, xs) if y is None else real(y, f"the value of {op.name}")
        if is_muted(self):  # in no_grad() a result is a constant
            trace = self.trace
            return trace.muted(self, op, xs, number) if trace else self.constant(number)
        code, arity = known(op.code), op.arity
        v = new(Value)
        v._tape = self
        reference = pointer(v)
        self.room_for(len(xs) + 1)
        with self.hold():  # the operands' entries keep their numbers
            if arity == 1 or arity == 2:
                left = self.entry_of(xs[0])
                right = self.entry_of(xs[1]) if arity == 2 else left
            else:
                left, right = gather(self, xs), len(xs)
            self.append(v, reference, code, left, right, number, op if code == OTHER else None)
        return v

    def constant(self, number: float) -> "Value":
        """A constant with a Value that stands for it."""
        return self.enter(new(Value), CONSTANT, number)

    def handle(self, n: int) -> "Value":
        """The Value that stands for an entry; a new one where nobody keeps one."""
        if self.operation[n] == SHARED:
            return self.homes[n]  # type: ignore[return-value]
        found = living(self.owner[n])
        return stand_for(self, n) if found is None else found

    # --- the sweep ----------------------------------------------------------------

    def sweep(self, v: Number, seed: float) -> None:
        """Replay the tape in reverse from `v`; add to the gradients of the leaves reached.

        Afterwards `adjoint` holds seed x dv/dx for each computed entry x reached. If a
        partial raises, no leaf's gradient has changed.
        """
        self.begin_sweep(self.adjoint, 0, [v._entry], [seed])
        try:
            with self.hold():
                self._reach(v._entry, seed, 1.0)
                self._pull(v._entry)
                self.accumulate()
        finally:
            self.sweeping = False
            self.clean()
        if self.swept is not None:
            self.swept(v)

    def gradients(self, entries: list[int], seeds: list[float], sources: list[int]) -> list[float]:
        """The sum over entries of seed x d(entry)/d(source); nobody's `.grad` changes."""
        self.begin_sweep(self.adjoint, lowest(sources), entries, seeds)
        try:
            self.flow = spare_column(self, sources)
            for k, n in enumerate(entries):
                self._reach(n, seeds[k], 1.0)
            self._pull(highest(entries))
            self.unmark_leaves()
            return [self.flow[n] for n in sources]
        finally:
            self.sweeping = False
            self.clean()

    def _pull(self, n: int) -> None:
        """The chain rule: each entry passes adjoint x partial on to its operands."""
        operation, left, right = self.operation, self.left, self.right
        value, adjoint, mark = self.value, self.flow, self.mark
        n += 1
        while self.pending and (n := following(self, n - 1)) >= 0:
            mark[n] = 0
            self.pending -= 1
            code, g, y, a, b = operation[n], adjoint[n], value[n], left[n], right[n]
            direct = DIRECT[code]
            # plain numbers are constants: their partials are never evaluated
            if direct == 2:
                k, how = 2 * code, SELECTS[code]
                if partial2[k] and operation[a] != CONSTANT:
                    slope = partial2[k](value[a], value[b], y)
                    flat = how & 8 and operation[b] == CONSTANT and value[b] == 0.0  # x**0
                    self._reach(a, g * slope, 0.0 if flat else slope if how & 1 else 1.0)
                if partial2[k + 1] and operation[b] != CONSTANT:
                    slope = partial2[k + 1](value[a], value[b], y)
                    self._reach(b, g * slope, slope if how & 2 else 1.0)
            elif direct == 1:
                if partial1[code] and operation[a] != CONSTANT:
                    slope = partial1[code](value[a], y)
                    self._reach(a, g * slope, slope if SELECTS[code] else 1.0)
            else:
                pull_wide(self, n)
                # Python may have been asked, and have recorded: columns may have moved
                operation, left, right = self.operation, self.left, self.right
                value, adjoint, mark = self.value, self.flow, self.mark

    def _pull_any(self, n: int) -> None:
        """The same for an entry of any number of operands, and for operations of Python's."""
        op, operands = self.op(n), self.operands(n)
        xs = [self.value[x] for x in operands]
        for k, x in enumerate(operands):
            if op.follows(k) and self.operation[x] != CONSTANT:
                slope = op.partial(k, xs, self.value[n])
                self._reach(x, self.flow[n] * slope, op.condition(k, xs, slope))

    def _reach(self, n: int, contribution: float, condition: float) -> None:
        """Add to the adjoint of an entry, if it was selected; it is replayed in turn, or a leaf."""
        if n < self.floor or condition == 0.0:  # then nothing arrives, whatever the contribution
            return
        if self.mark[n]:
            self.flow[n] += contribution
            return
        self.flow[n] = contribution
        if ARITY[self.operation[n]]:
            self.mark[n] = PENDING
            self.pending += 1
        else:
            self.mark[n] = DONE
            self.left[n] = self.chain
            self.chain = n


# --- operators ------------------------------------------------------------------


class Value(Number):
    """A number that remembers what it was computed from. `==` is of numbers, `hash` by identity.

    Args:
        data: a real number, in any unit; stored as an IEEE double. TypeError for all else.
        label: a name for diagrams and tables, a string.

    Attributes:
        data: the number. Only a leaf's can be set; then `forward` carries it on.
        grad: d(output)/d(this Value) in units of output/this. A leaf's accumulates over calls
            of `backward`; a computed Value's is that of the latest call. None sets it to 0.
        op: the name of the operation that computed it, "leaf" or "constant".
        inputs: the Values that it was computed from.

    Example:
        >>> a, b = Value(2.0), Value(-3.0)
        >>> y = a * b + a**2
        >>> y.backward()
        >>> y.data, a.grad, b.grad
        (-2.0, 1.0, 2.0)
    """

    __slots__ = ()
    __array_priority__ = -1.0  # NumPy's scalars leave operators to us, arrays take elements

    # fmt: off
    def __add__(self, other: Any) -> "Value": return binary(ops.add, self, other)
    def __radd__(self, other: Any) -> "Value": return binary(ops.add, other, self)
    def __sub__(self, other: Any) -> "Value": return binary(ops.sub, self, other)
    def __rsub__(self, other: Any) -> "Value": return binary(ops.sub, other, self)
    def __mul__(self, other: Any) -> "Value": return binary(ops.mul, self, other)
    def __rmul__(self, other: Any) -> "Value": return binary(ops.mul, other, self)
    def __truediv__(self, other: Any) -> "Value": return binary(ops.div, self, other)
    def __rtruediv__(self, other: Any) -> "Value": return binary(ops.div, other, self)
    def __pow__(self, b: Any, m: Any = None) -> "Value": return binary(ops.pow, self, just(b, m))
    def __rpow__(self, a: Any, m: Any = None) -> "Value": return binary(ops.pow, just(a, m), self)
    def __mod__(self, other: Any) -> "Value": return binary(ops.mod, self, other)
    def __rmod__(self, other: Any) -> "Value": return binary(ops.mod, other, self)
    def __floordiv__(self, other: Any) -> "Value": return binary(ops.floordiv, self, other)
    def __rfloordiv__(self, other: Any) -> "Value": return binary(ops.floordiv, other, self)
    def __divmod__(self, other: Any) -> tuple["Value", "Value"]: return self // other, self % other
    def __rdivmod__(self, other: Any) -> tuple["Value", "Value"]: return other // self, other % self
    def __neg__(self) -> "Value": return unary(ops.neg, self)
    def __pos__(self) -> "Value": return unary(ops.pos, self)
    def __abs__(self) -> "Value": return unary(ops.absolute, self)
    def __trunc__(self) -> "Value": return unary(ops.trunc, self)
    def __floor__(self) -> "Value": return unary(ops.floor, self)
    def __ceil__(self) -> "Value": return unary(ops.ceil, self)

    # comparisons are of numbers, the hash is by identity, as PyTorch's
    def __eq__(self, other: Any) -> Any: return compare(eq, self, other)
    def __ne__(self, other: Any) -> Any: return compare(ne, self, other)
    def __lt__(self, other: Any) -> Any: return compare(lt, self, other)
    def __le__(self, other: Any) -> Any: return compare(le, self, other)
    def __gt__(self, other: Any) -> Any: return compare(gt, self, other)
    def __ge__(self, other: Any) -> Any: return compare(ge, self, other)
    def __hash__(self) -> int: return notes.key(self) if self._tape.trace else object.__hash__(self)
    def __bool__(self) -> bool: return bool(compare(ne, self, 0.0))
    # fmt: on

    def __round__(self, digits: int | None = None) -> "Value":
        return ops.rint(self) if digits is None else ops.round_to(self, index(digits))

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "Value":
        """Record `op`: how a row of the operation table reaches the tape."""
        short = DIRECT[known(op.code)]
        found = unary(op, operands[0]) if short == 1 else NotImplemented
        found = binary(op, operands[0], operands[1]) if short == 2 else found
        return current().record(op, operands) if found is NotImplemented else found


def operate(op: Op, *operands: Any) -> Value:
    """An operation on whatever Python hands it; NotImplemented where it is not a number."""
    xs = [x if type(x) is Value or type(x) is float else operand(x, op.name) for x in operands]
    return NotImplemented if any(x is NotImplemented for x in xs) else current().record(op, xs)


def compare(holds: Callable[[Any, Any], bool], a: Value, b: Any) -> Any:
    """What a comparison of numbers answers; a trace takes note of it."""
    number = plain(b) if type(b) is Value else b if type(b) is float else comparable(b)
    if number is NotImplemented:
        return number
    answer = holds(plain(a), number)
    if (trace := current().trace) is not None:
        trace.compared(current(), holds, a, b, number, answer=answer)
    return answer


# --- whose tape -----------------------------------------------------------------

here = Here(Table)
latest = here.table  # the tape that was asked for last


def current() -> Table:
    """The tape of the thread that asks."""
    global latest
    table = latest
    if table.thread != get_ident():
        table = latest = here.table
    return table


def thawed(what: str) -> None:
    """Refuse, while a function is traced, what its program could not do again."""
    if current().trace is not None:
        raise refusals.frozen(what)


def dot_entry(xs: list[Any], ws: list[Any]) -> Any:
    """The row `dot` on two lists of the same length, compiled without a third one."""
    entry = dot_of_own(current(), xs, ws)
    return ops.dot(*xs, *ws) if entry is None else entry


def neuron(ws: list[Any], xs: list[Any], b: Any, activation: Any) -> Any:
    """What ``activation(dot(ws, xs) + b)`` is, compiled with as little Python as can be."""
    y = dot_entry(ws, xs) + b
    return y if activation is None else answer(activation, y)


def call(op: Op, *operands: Any) -> Any:
    """What a row answers: a compiled engine's `Op.__call__`."""
    return quick(op, operands)


prepare(Value, here.table, Table(), operate, call)
methods.install_all(Value, install)
