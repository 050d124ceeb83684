"""Recording one call of a function, and freezing it as code."""

import gc
import operator
from bisect import bisect_left
from collections.abc import Callable
from enum import Enum
from math import inf, nextafter
from typing import Any

from miniflow.ops import real, shared
from miniflow.program.ir import Code, in_order
from miniflow.program.names import function_name, leaf_names, origins, parameter_names, watched
from miniflow.program.simplify import Builder
from miniflow.program.structures import Hole, Numbers, fill, is_setting, key, split
from miniflow.tape.core import Table, Value, here
from miniflow.tape.notes import Trace
from miniflow.util.trees import children

Function = Callable[..., Any]

# each comparison: what it is in terms of those, whether sides change and whether it is denied
COMPARISONS = {
    operator.lt: ("<", False, False),
    operator.gt: ("<", True, False),
    operator.le: ("<=", False, False),
    operator.ge: ("<=", True, False),
    operator.eq: ("==", False, False),
    operator.ne: ("==", False, True),
}


def freeze(f: Function, numbers: list[float], arguments: Any) -> Code:
    """The code of a call of `f` with numbers in the holes of its arguments."""
    if not callable(f):
        raise TypeError(f"trace: {f!r:.60} is not a function")
    key(arguments)  # raises where a part is neither number nor setting
    table = here.table
    with table.hold():
        start, opened = table.count, table.opened
        program = _record(table, f, numbers, arguments)
        if not table.cut(start, opened):
            gc.collect()  # Values in cycles
            if not table.cut(start, opened):
                raise RuntimeError(
                    f"{program.name}: it keeps a Value outside that it has computed: its gradient "
                    "would end there, and its number never change; return it instead"
                )
        return program


def _record(table: Table, f: Function, numbers: list[float], arguments: Any) -> Code:
    outer, muted = table.trace, table.muted
    notes = Trace()
    table.trace, table.muted = None, 0
    try:
        inputs = [Value(x) for x in numbers]
        args, kwargs = fill(arguments, inputs)
        parameters = parameter_names(f, arguments)
        trees = zip(parameters, [*arguments[0], *arguments[1].values()], strict=True)
        leaves = [leaf for name, tree in trees for leaf in leaf_names(name, tree)]
        names = dict(zip([x._entry for x in inputs], leaves, strict=True))
        start = table.count
        table.trace = notes
        with watched(table, notes, names):
            out = f(*args, **kwargs)
        table.trace = None
        return _frozen(
            table, notes, names, start, (function_name(f), parameters, arguments), inputs, out
        )
    finally:
        notes.guards.clear()  # Values go as soon as they can
        table.trace, table.muted = outer, muted


def _frozen(
    table: Table, notes: Trace, names: dict[int, str], start: int,
    head: tuple[str, list[str], Any], inputs: list[Value], out: Any,
) -> Code:  # fmt: skip
    """The code of what was recorded from row `start` on."""
    name = head[0]
    values, result = split(out)
    _check_result(name, result)
    outputs = [_output(name, y) for y in values]
    builder = Builder(len(inputs))
    nodes = {x._entry: k for k, x in enumerate(inputs)}
    sides = [x for guard in notes.guards for x in guard[1:3] if x.__class__ is Value]
    wanted = [x._entry for x in (*outputs, *sides) if x.__class__ is Value]
    rows = [row for row in table.reached(wanted, start) if row >= start]
    places = origins(table, notes, rows)

    def node(row: int) -> int:
        """The node of a row: computed before, from outside, or a constant."""
        if row not in nodes:
            op = table.op(row)
            live = op is shared or row < start
            nodes[row] = (
                builder.capture(table.handle(row))
                if live
                else builder.constant(table.value_of(row))
            )
        return nodes[row]

    rows.reverse()
    positions = [bisect_left(rows, guard[4]) for guard in notes.guards]
    for row in in_order(rows, notes.guards, positions):
        if row.__class__ is not int:
            _guard(builder, node, row)
            continue
        op = table.op(row)
        if op.arity:
            operands = tuple([node(x) for x in table.operands(row)])
            builder.place = places[row]
            nodes[row] = builder.emit(op, operands)
    found = [node(y._entry) if y.__class__ is Value else builder.constant(y) for y in outputs]
    called: dict[int, str] = {}
    for row, text in (*table.labels.copy().items(), *names.items()):
        if text and row in nodes:
            called.setdefault(nodes[row], text)
    for adjoint, row in notes.adjoints:
        if adjoint in nodes and nodes.get(row) in called:
            called.setdefault(nodes[adjoint], f"d_{called[nodes[row]]}")
    called |= {node: v.label for node, v in builder.captured.items() if v.label}
    return builder.program(*head, result, found, called)


def _check_result(name: str, result: Any) -> None:
    """Refuse results that may have hidden Values in them: they would be this call's for ever."""
    parts = None if is_setting(result) else children(result)
    for part in parts or ():
        _check_result(name, part)
    known = (Hole, Numbers, str, bytes, bool, complex, Enum, type(None), type)
    is_bool = type(result).__module__ == "numpy"
    if parts is None and not isinstance(result, known) and not is_bool:
        raise TypeError(
            f"{name}: it returned a {type(result).__name__}; a traced function returns numbers, "
            "strings, bools or None, in lists, tuples, dicts and arrays"
        )


def _output(name: str, y: Any) -> Any:
    """An output as a Value of this thread, or a plain number."""
    if y.__class__ is Value:
        return y if y._tape is here.table else +y
    return real(y, f"{name}: a result")


def _guard(builder: Builder, node: Callable[[int], int], guard: Any) -> None:
    """Add a comparison of Values that was met to the program."""
    holds, a, b, answer, _ = guard
    relation, swapped, denied = COMPARISONS[holds]
    if b.__class__ is not Value:
        below, above = _neighbours(b)
        if below != above:  # no float, so it is never equal: compare with the next one
            if relation == "==":
                return
            relation, b = "<=", above if swapped else below
        else:
            b = below
    left = node(a._entry)
    right = node(b._entry) if b.__class__ is Value else builder.constant(b)
    if swapped:
        left, right = right, left
    builder.guard(relation, left, right, bool(answer) is not denied)


def _neighbours(x: Any) -> tuple[float, float]:
    """The largest float that is at most `x`, and the smallest that is at least `x`."""
    try:
        near = float(x)
    except OverflowError:
        near = inf if x > 0 else -inf
    if near == x or near != near:
        return near, near
    return (near, nextafter(near, inf)) if near < x else (nextafter(near, -inf), near)
