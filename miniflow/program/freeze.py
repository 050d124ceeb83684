"""One call of a function, recorded on the tape and frozen as code.

The tape has an *entry* for each operation. Those that the outputs and the guards come from
become instructions; a Value from outside becomes a captured one, a plain number a constant.
"""

import gc
import operator
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from math import inf, nextafter
from typing import Any

from miniflow.ops import real
from miniflow.program.choices import choosing
from miniflow.program.ir import Code
from miniflow.program.names import argument_names, function_name, input_names
from miniflow.program.observers import sees_numbers, tells_apart
from miniflow.program.places import Origins, watched
from miniflow.program.randomness import Watch, refusal
from miniflow.program.simplify import Builder
from miniflow.program.structures import (
    ArrayLeaf,
    NumberLeaf,
    flatten_numbers,
    is_static_array,
    treedef_key,
    unflatten_numbers,
)
from miniflow.tape.core import Table, Value, here
from miniflow.tape.muting import hide_running, pausable, show_again
from miniflow.tape.notes import Trace
from miniflow.util.garbage import garbage_is_sought, put_off
from miniflow.util.trees import children, is_dataclass, static_fields
from miniflow.util.words import dialect

# each comparison: what it is in terms of those, whether sides change and whether it is denied
COMPARISONS = {
    operator.lt: ("<", False, False),
    operator.gt: ("<", True, False),
    operator.le: ("<=", False, False),
    operator.ge: ("<=", True, False),
    operator.eq: ("==", False, False),
    operator.ne: ("==", False, True),
}
# What a result may consist of: leaves, and what cannot have Values in it.
PLAIN_PARTS = (NumberLeaf, ArrayLeaf, str, bytes, bool, complex, Enum, type(None), type)


def freeze(f: Callable[..., Any], numbers: list[float], arguments: Any) -> Code:
    """The code of one call of a function.

    Args:
        f: the function.
        numbers: the numbers among its arguments.
        arguments: the treedef of its arguments, ``(args, kwargs)``.

    Raises:
        TypeError: a static argument is not hashable, or f does or returns what cannot be traced.
        RuntimeError: f does what a program could not do again, draws random numbers, or keeps
            what it computes.
    """
    treedef_key(arguments)  # raises where a static argument is not hashable
    table = here.table
    with table.hold():
        attempts = 3 if threading.active_count() > 1 else 1  # another thread may have drawn them
        for _ in range(attempts):
            code, sources = _with_choices_or_guards(table, f, numbers, arguments)
            if not sources:
                return code
    raise refusal(code.name, sources)


def _with_choices_or_guards(
    table: Table, f: Callable[..., Any], numbers: list[float], arguments: Any
) -> tuple[Code, list[str]]:
    """One call as code, with choices where those do, and what random numbers were drawn from."""
    notes = Trace(choosing=sys.gettrace() is None)
    try:
        found = _cut_out(table, notes, f, numbers, arguments)
    except Exception:
        if not notes.choices:
            raise
        notes.sees_objects = True
    if tells_apart(notes):
        found = _cut_out(table, Trace(), f, numbers, arguments)
    return found


def _cut_out(
    table: Table, notes: Trace, f: Callable[..., Any], numbers: list[float], arguments: Any
) -> tuple[Code, list[str]]:
    """One call as code, off the tape; and what random numbers were drawn from meanwhile."""
    start, opened = table.count, table.opened
    watch = Watch(f, arguments)
    code = _recorded(table, notes, f, numbers, arguments)
    sources = watch.drawn()
    for op in table.others.copy().values():  # an operation may stay in the program
        op.forget()
    waits = iter((0.0, 0.001, 0.02))
    while not table.cut(start, opened):
        wait = next(waits, None)
        if wait is None:
            raise RuntimeError(
                f"{code.name}: it keeps a Value outside that it has computed: its gradient "
                "would end there, and its number never change; return it instead"
            )
        time.sleep(wait)  # another thread may collect garbage just now: then this one cannot
        gc.collect()  # Values in cycles
    return code, sources


def _recorded(
    table: Table, notes: Trace, f: Callable[..., Any], numbers: list[float], arguments: Any
) -> Code:
    """Record the call, and freeze it while its entries are there."""
    hidden = hide_running() if pausable else []
    outer, muted = table.trace, table.muted
    table.trace, table.muted = None, 0
    try:
        inputs = [Value(x) for x in numbers]
        args, kwargs = unflatten_numbers(arguments, inputs)
        parameters = argument_names(f, arguments)
        names = dict(
            zip([x._entry for x in inputs], input_names(parameters, arguments), strict=True)
        )
        recorded = Recorded(table, notes, inputs)
        table.trace = notes
        with _uncollected():
            with choosing(), watched(table, notes, names):
                out = f(*args, **kwargs)
                notes.choosing = False  # what runs now is no part of it
            table.trace = None
            return recorded.code(function_name(f), parameters, arguments, out, names)
    finally:
        notes.guards.clear()  # Values go as soon as they can
        left = table.muted if table.muted < 0 else 0  # no_grad() blocks
        table.trace, table.muted = outer, muted + left
        if hidden:
            show_again(hidden)


class Recorded:
    """What is recorded of one call, on its way to code.

    Attributes:
        table: the tape, on which the call begins with the next entry.
        notes: the comparisons, and what the entries come from.
        builder: it makes the code.
    """

    def __init__(self, table: Table, notes: Trace, inputs: list[Value]) -> None:
        self.table = table
        self.notes = notes
        self.start = table.count
        self.builder = Builder(len(inputs), self.start - len(inputs))  # made one by one

    def code(
        self, name: str, parameters: list[str], arguments: Any, out: Any, names: dict[int, str]
    ) -> Code:
        """The code that computes `out`; `names` has some entries'."""
        values, result = flatten_numbers(out)
        check_result(name, result)
        if self.notes.plain:
            results = [y._entry for y in values if y.__class__ is Value]
            self.notes.sees_types |= sees_numbers(self.table, self.notes, self.start, results)
        outputs = [_output(name, y) for y in values]
        ints = {k: y for k, y in enumerate(values) if type(y) is int}
        self._emit([x for x in (*outputs, *self._compared()) if x.__class__ is Value])
        found = [self._side(y) for y in outputs]
        called = self._names(names)
        self.builder.places = Origins(self.table, self.notes).places
        return self.builder.code(name, parameters, arguments, result, found, called, ints)

    def _compared(self) -> Iterator[Any]:
        """The sides of all comparisons."""
        return (x for guard in self.notes.guards for x in guard[1:3])

    def _emit(self, wanted: list[Value]) -> None:
        """Instructions for what is wanted, and guards, as they were recorded."""
        table, guards, done = self.table, self.notes.guards, 0
        entries = table.reached([x._entry for x in wanted], self.start)
        entries.reverse()
        for guard in guards:
            position = bisect_left(entries, guard[4])
            self.builder.record(table, entries[done:position])
            self._guard(*guard)
            done = position
        self.builder.record(table, entries[done:])

    def _side(self, x: Any) -> int:
        """The node of a Value, or of a plain number."""
        if x.__class__ is not Value:
            return self.builder.constant(x)
        return self.builder.node_of(self.table, x._entry)

    def _guard(self, holds: Any, a: Value, b: Any, answer: Any, _: int, origin: Any) -> None:
        """A comparison of Values as a guard."""
        relation, swapped, denied = COMPARISONS[holds]
        if b.__class__ is not Value:
            below, above = _neighbours(b)
            if below != above:  # no float, so it is never equal: compare with the next one
                if relation == "==":
                    return
                relation, b = "<=", above if swapped else below
            else:
                b = below
        left, right = self._side(a), self._side(b)
        if swapped:
            left, right = right, left
        line = origin if isinstance(origin, tuple) else None
        self.builder.guard(relation, left, right, bool(answer) is not denied, line)

    def _names(self, names: dict[int, str]) -> dict[int, str]:
        """What nodes are called: by labels, by variables, as adjoints of what has a name."""
        called: dict[int, str] = {}
        for n, text in (*self.table.labels.copy().items(), *names.items()):
            node = self.builder.known_node(n)
            if text and node >= 0:
                called.setdefault(node, text)
        self.builder.name_adjoints(self.notes.adjoints, called)
        return called | {node: v.label for node, v in self.builder.captured.items() if v.label}


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage meanwhile: there is none among the thousands of tuples of a program."""
    collecting, pause = garbage_is_sought(), object()
    put_off[pause] = threading.get_ident(), collecting
    try:
        gc.disable()
        yield
    finally:
        if collecting:
            gc.enable()
        put_off.pop(pause, None)


def check_result(name: str, result: Any) -> None:
    """Refuse results that may have hidden Values in them: they would be this call's for ever."""
    parts = None if is_static_array(result) else children(result)
    held = static_fields(result) if is_dataclass(result) else []
    for part in (*(parts or ()), *[x for _, x in held if type(x) not in (int, float)]):
        check_result(name, part)
    of_numpy = type(result).__module__ == "numpy"  # its bools, and arrays of them
    if parts is None and not isinstance(result, PLAIN_PARTS) and not of_numpy:
        raise TypeError(
            f"{name}: a traced function must return numbers, strings, bools or None, in lists, "
            f"tuples, dicts, dataclasses and arrays, got {type(result).__name__}{dialect(result)}"
        )


def _output(name: str, y: Any) -> Any:
    """An output as a Value of this thread, or a plain number."""
    if y.__class__ is Value:
        return y if y._tape is here.table else +y
    return real(y, f"{name}: a result")


def _neighbours(x: Any) -> tuple[float, float]:
    """The largest float that is at most `x`, and the smallest that is at least `x`."""
    try:
        near = float(x)
    except OverflowError:
        near = inf if x > 0 else -inf
    if near == x or near != near:
        return near, near
    return (near, nextafter(near, inf)) if near < x else (nextafter(near, -inf), near)
