"""The whole idea on one page: numbers that remember where they come from, and a sweep back.

The engine, miniflow/tape/core.py, gives the same answers, bit for bit: it is this page made fast.
"""

from typing import Any

from miniflow import Value as EngineValue
from miniflow import math, ops

tape: list["Value"] = []  # every Value in order of creation: operands before their results


def number(x: Any) -> float:
    return x.data if isinstance(x, Value) else ops.real(x)


class Value:
    """A number, and the operation and operands that it was computed from; a leaf has none."""

    def __init__(self, data: float, op: Any = None, operands: tuple[Any, ...] = ()) -> None:
        self.data, self.grad, self.op, self.operands = ops.real(data), 0.0, op, operands
        tape.append(self)

    def _record(self, op: ops.Op, operands: tuple[Any, ...]) -> "Value":  # rows call it
        return Value(op.value(*map(number, operands)), op, operands)

    def backward(self) -> None:
        """Give each x behind self its grad, d(self)/dx; a leaf's grad adds up over calls."""
        adjoint = {self: 1.0}  # d(self)/dx of each x that has been reached so far
        for y in reversed(tape):  # whatever uses y has had its turn: y's adjoint is complete
            if y in adjoint:  # even where it is 0: 0 times infinity is nan
                y.grad = adjoint[y] if y.op else y.grad + adjoint[y]
                for k, x in enumerate(y.operands):
                    if isinstance(x, Value) and y.op.follows(k):  # neither constant nor flat
                        slope = y.op.partial(k, [*map(number, y.operands)], y.data)
                        if y.op.condition(k, y.operands, slope):  # 0: x was not selected
                            adjoint[x] = adjoint.get(x, -0.0) + adjoint[y] * slope  # chain rule

    # fmt: off
    def __add__(self, other: Any) -> Any: return ops.add(self, other)
    def __radd__(self, other: Any) -> Any: return ops.add(other, self)
    def __sub__(self, other: Any) -> Any: return ops.sub(self, other)
    def __rsub__(self, other: Any) -> Any: return ops.sub(other, self)
    def __mul__(self, other: Any) -> Any: return ops.mul(self, other)
    def __rmul__(self, other: Any) -> Any: return ops.mul(other, self)
    def __truediv__(self, other: Any) -> Any: return ops.div(self, other)
    def __rtruediv__(self, other: Any) -> Any: return ops.div(other, self)
    def __pow__(self, other: Any) -> Any: return ops.pow(self, other)
    def __neg__(self) -> Any: return ops.neg(self)


for kind in (Value, EngineValue):
    a, b = kind(2.0), kind(-3.0)
    y = math.tanh(a * b + 10) + 2 / a
    y.backward()
    print(kind.__module__, y.data, a.grad, b.grad)

# Exercise: write `if adjoint.get(y)` for `if y in adjoint`, so that adjoints of 0 are passed
# over. Predict x.grad of y = 0 * math.log(x) at x = 0 with both, then try it.
