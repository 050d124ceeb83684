"""Forward mode: tangents of inputs carried on to what was computed from them.

Plain numbers are carried by the engine's rules; Values, to be differentiated in turn, by the
rows' formulas. What was not selected passes nothing on: a tangent that arrives only there is
none at all, and one that is recorded has a *gate*, as in `recorded.py`. Python and Cython read
the same file.
"""

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from miniflow.ops import sum as total
from miniflow.ops import where
from miniflow.tape.core import Table

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if cython.compiled:
    connect()  # type: ignore[name-defined]  # noqa: F821 - in forward.pxd: the engine's rules
else:
    from miniflow.tape.columns import DIRECT, SELECTS, partial1, partial2

Tangent = tuple[Any, Any]  # a number or Value, and its gate: None if it is always there


def tangents(
    table: Table, inputs: list[int], given: list[Any], outputs: list[int], recorded: bool
) -> list[Any]:
    """The sum over inputs of d(output)/d(input) x tangent, for each output, all by their entries.

    The table is held meanwhile. If `recorded`, formulas see Values and the results may be such.
    """
    some = [(n, t) for n, t in zip(inputs, given, strict=True) if type(t) is not float or t]
    if not some:
        return [0.0] * len(outputs)
    if not recorded:
        return _plain_tangents(table, [n for n, _ in some], [t for _, t in some], outputs)
    found: dict[int, Tangent] = {n: (t, None) for n, t in some}
    for n in reversed(table.reached(outputs, min(found))):
        if n not in found:
            parts = _arriving(table, n, found)
            if parts:
                found[n] = _together(parts)
    if table.trace is not None:
        table.trace.carried(found)
    return [_let_in(*found[n], 0.0) if n in found else 0.0 for n in outputs]


def _plain_tangents(
    table: Table, inputs: list[int], given: list[float], outputs: list[int]
) -> list[float]:
    """The same for plain numbers."""
    floor, stop = min(inputs), max(outputs) + 1
    found = [0.0] * max(stop - floor, 0)
    there = bytearray(len(found))
    for n, t in zip(inputs, given, strict=True):
        if n < stop:
            found[n - floor] = t
            there[n - floor] = 1
    for n in range(floor, stop):
        if not there[n - floor]:
            _carry(table, n, floor, found, there)
    return [found[n - floor] if n >= floor and there[n - floor] else 0.0 for n in outputs]


def _carry(table: Table, n: int, floor: int, found: list[float], there: bytearray) -> None:
    """Carry tangents on to one entry."""
    code, a, b = table.operation[n], table.left[n], table.right[n]
    direct, y, how = DIRECT[code], table.value[n], SELECTS[code]
    at, x = n - floor, a - floor
    if direct == 0:
        if table.arity[code]:
            _carry_any(table, n, floor, found, there)
    elif direct == 1:
        if x >= 0 and there[x] and partial1[code]:
            slope = partial1[code](table.value[a], y)
            if slope != 0.0 or not how:
                found[at], there[at] = found[x] * slope, 1
    else:
        if x >= 0 and there[x] and partial2[2 * code]:
            slope = partial2[2 * code](table.value[a], table.value[b], y)
            if not (slope == 0.0 and (how & 1 or (how & 8 and _is_flat(table, b)))):
                found[at], there[at] = found[x] * slope, 1
        x = b - floor
        if x >= 0 and there[x] and partial2[2 * code + 1]:
            slope = partial2[2 * code + 1](table.value[a], table.value[b], y)
            if slope != 0.0 or not how & 2:
                found[at] = found[at] + found[x] * slope if there[at] else found[x] * slope
                there[at] = 1


def _is_flat(table: Table, exponent: int) -> bool:
    """Whether a power is flat by its base: its exponent is a plain 0."""
    return table.op(exponent).name == "constant" and table.value_of(exponent) == 0.0


def _carry_any(table: Table, n: int, floor: int, found: list[float], there: bytearray) -> None:
    """The same for an operation of any number of operands, or of Python's."""
    op, operands = table.op(n), table.operands(n)
    terms = [k for k, x in enumerate(operands) if x >= floor and there[x - floor] and op.follows(k)]
    if not terms:
        return
    xs, y = [table.value_of(x) for x in operands], table.value_of(n)
    slopes = [(k, float(op.partial(k, xs, y))) for k in terms]
    parts = [
        found[operands[k] - floor] * slope
        for k, slope in slopes
        if op.condition(k, xs, slope) != 0.0
    ]
    if parts:
        found[n - floor], there[n - floor] = reduce(add, parts), 1


def _arriving(table: Table, n: int, found: dict[int, Tangent]) -> list[Tangent]:
    """What the operands of an entry pass on to it."""
    op, operands = table.op(n), table.operands(n)
    terms = [k for k, x in enumerate(operands) if x in found and op.follows(k)]
    if not terms:
        return []
    xs, y = [table.primal(x) for x in operands], table.primal(n)
    parts: list[Tangent] = []
    for k in terms:
        t, gate = found[operands[k]]
        partial = op.partial(k, xs, y)
        condition = op.condition(k, xs, partial)
        if type(condition) is not float and not isinstance(condition, int):
            gate = condition if gate is None else where(gate, condition, 0.0)
        elif condition == 0.0:
            continue
        parts.append((_scaled(t, partial), gate))
    return parts


def _together(parts: list[Tangent]) -> Tangent:
    """The sum of tangents: each as its gate lets it in, where they have different ones."""
    gate = parts[0][1]
    if len(parts) == 1:
        return parts[0]
    if all(x is gate for _, x in parts):
        return total(*[t for t, _ in parts]), gate
    shut = [x for _, x in parts if x is not None]
    either: Callable[[Any, Any], Any] = lambda one, other: where(one, 1.0, other)  # noqa: E731
    gate = reduce(either, shut) if len(shut) == len(parts) else None
    return total(*[_let_in(t, x, -0.0) for t, x in parts]), gate


def _let_in(t: Any, gate: Any, nothing: float) -> Any:
    """A tangent, or what stands for one that its gate keeps out: adding -0.0 changes nothing."""
    return t if gate is None else where(gate, t, nothing)


def _scaled(t: Any, partial: Any) -> Any:
    """The product t * partial, recording nothing where one of them is a plain 1."""
    if type(partial) is float and abs(partial) == 1.0:
        return t if partial > 0 else -t
    return partial if type(t) is float and t == 1.0 else t * partial
