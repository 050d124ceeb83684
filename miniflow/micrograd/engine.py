"""micrograd's Value on miniflow's tape.

What micrograd leaves open is open here: `data` and `grad` of every Value can be set, `_backward`
assigned and called by hand, classes derived, methods and attributes added; `==` is identity.
`backward` is micrograd's, too: it reads `data` as it is now, adds to the `grad` of every Value
below, and goes on from what it finds there: after `w = Value(1.0); y = w * (w * w); w.data = 3.0`
it gives 19, slopes at the new number of products of the old one. The first time it warns. Nothing
recurses. It is about as fast
as micrograd, and so much slower than `miniflow.Value`.

Beside it each Value has a *node*, the `miniflow.Value` with the same number, so that a Tape lists
what happens and `viz` draws it. An operation written by hand is one entry. Data that is itself a
`miniflow.Value` stays one: by it micrograd's code is differentiated, traced and compiled.

    grad(lambda x: (Value(x) * 2 + 1).relu().data)(3.0)    2.0

Source: https://github.com/karpathy/micrograd; `label`, `exp` and `tanh` are its lecture's.
"""

import warnings
from collections.abc import Callable, Iterable
from operator import add, mul
from typing import Any
from weakref import ref

from miniflow import ops
from miniflow.ops import Op
from miniflow.tape.core import Value as Taped
from miniflow.tape.core import current
from miniflow.tape.reading import located
from miniflow.tape.storage import is_leaf
from miniflow.util.notebook import InNotebook

bare = object.__new__
MISSES = (TypeError, OverflowError, RuntimeError)  # numbers, threads that no tape takes


class Value(InNotebook):
    """A number and its gradient, as micrograd's.

    Args:
        data: any number, kept as it is: an int stays an int, a `miniflow.Value` on the tape.
        _children: the Values that it was computed from.
        _op: what diagrams write for the operation.
        label: a name for diagrams.

    Attributes:
        data: the number. Where that of a computed Value is set, the tape takes it for a leaf.
        grad: what calls of `backward` have added up, in units of output/data.
        _prev: the set of `_children`.
        _backward: a function without arguments that adds to the children's `grad`.

    Example:
        >>> x = Value(3.0)
        >>> y = Value(x.data**2, (x,), "square")
        >>> def square_back():
        ...     x.grad += 2 * x.data * y.grad
        >>> y._backward = square_back
        >>> (y + 1).backward()
        >>> x
        Value(data=3.0, grad=6.0)
    """

    __slots__ = (
        "__dict__", "__weakref__", "_children", "_data", "_node", "_op", "_parents", "_rule",
        "grad", "label",
    )  # fmt: skip

    _dialect = (
        "; it is miniflow.micrograd's, for its own operators and backward(): to transforms and "
        "compiled code give numbers, as in grad(lambda x: f(Value(x)).data)(2.0)"
    )

    def __init__(
        self, data: Any, _children: Iterable["Value"] = (), _op: str = "", label: str = ""
    ) -> None:
        self._data = data
        self.grad: Any = 0
        self._children = tuple(_children)
        self._op = _op
        self.label = label
        self._rule: Callable[[Value], None] = _nothing_below
        self._parents: set[Value] | None = None
        self._node: Taped | None = None
        if type(data) is float and not self._children:
            self._node = Taped(data)
        else:
            _enter(self, _by_hand if self._children else _leaf)

    @property
    def data(self) -> Any:
        return self._data

    @data.setter
    def data(self, number: Any) -> None:
        node = self._node
        self._data = number
        if node is None or not is_leaf(node) or type(number) is Taped:
            self._node = None
            _enter(self, _leaf)
            return
        try:
            node.data = number
        except (TypeError, OverflowError):  # the tape cannot hold it
            self._node = None

    @property
    def _prev(self) -> set["Value"]:
        if self._parents is None:
            self._parents = set(self._children)
        return self._parents

    @_prev.setter
    def _prev(self, parents: set["Value"]) -> None:
        self._parents = parents

    def _backward(self) -> None:
        self._rule(self)

    def backward(self) -> None:
        """Set self's `grad` to 1 and call `_backward` of all below, results before operands."""
        order = sorted_below(self)
        if not _warned and self._node is not None:
            _warn_of_stale(self._node)
        self.grad = 1
        for v in reversed(order):
            v._backward()

    # fmt: off
    def __add__(self, other: Any) -> "Value": return _on_two(add, self, other, "+", _pull_sum)
    def __mul__(self, other: Any) -> "Value": return _on_two(mul, self, other, "*", _pull_product)
    def __neg__(self) -> Any: return self * -1
    def __radd__(self, other: Any) -> Any: return self + other
    def __sub__(self, other: Any) -> Any: return self + (-other)
    def __rsub__(self, other: Any) -> Any: return other + (-self)
    def __rmul__(self, other: Any) -> Any: return self * other
    def __truediv__(self, other: Any) -> Any: return self * other**-1
    def __rtruediv__(self, other: Any) -> Any: return other * self**-1

    def exp(self) -> "Value": return self._record(ops.exp, (self,))
    def log(self) -> "Value": return self._record(ops.log, (self,))
    def tanh(self) -> "Value": return self._record(ops.tanh, (self,))
    # fmt: on

    def __pow__(self, other: float) -> "Value":
        if not isinstance(other, (int, float)):
            raise AssertionError(
                f"Value: the exponent must be an int or a float, got {type(other).__name__} "
                f"{other!r:.60}; miniflow.math.pow takes Values"
            )
        y = self._data**other
        return _computed(y, (self,), f"**{other}", _pull_power(other), lambda x: x**other)

    def relu(self) -> "Value":
        x = self._data
        y = ops.relu(x) if isinstance(x, Taped) else 0 if x < 0 else x
        return _computed(y, (self,), "ReLU", _pull_relu, ops.relu)

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "Value":
        """A row of the operation table: how the functions of miniflow.math get here."""
        xs = tuple([x if isinstance(x, Value) else Value(x) for x in operands])
        return _computed(op(*_numbers(xs)), xs, op.symbol, _pull_row(op), op)

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"


_warned = False  # whether somebody was told of stale results


def _warn_of_stale(node: Taped) -> None:
    """Warn, once, where data was set after a result had been computed from it."""
    global _warned
    table, n = located(node)
    try:
        table.refuse_stale([n])
    except RuntimeError:
        _warned = True
        warnings.warn(
            "backward: this result was computed before data below it was set; micrograd takes the "
            "slopes at the new numbers all the same. Compute the result anew; miniflow.Value "
            "refuses to go on",
            stacklevel=3,
        )


# --- the order of a sweep -------------------------------------------------------


def sorted_below(v: Value) -> list[Value]:
    """All that `v` comes from and `v` itself, operands before results, each once.

    The order is micrograd's where its sets happen to give operands from left to right.
    """
    order: list[Value] = []
    seen = {v}
    path = [(v, iter(_below(v)))]
    while path:
        v, rest = path[-1]
        for child in rest:
            if child not in seen:
                seen.add(child)
                path.append((child, iter(_below(child))))
                break
        else:
            order.append(v)
            path.pop()
    return order


def _below(v: Value) -> Iterable[Value]:
    """The children, from left to right unless somebody has changed the set of them."""
    parents = v._parents
    return v._children if parents is None or parents == {*v._children} else parents


# --- operations: the number, and what is added to the children's gradients -----------


def _computed(y: Any, children: tuple[Value, ...], op: str, rule: Any, record: Any) -> Value:
    """The result of an operation, and its entry: what `record` answers to the nodes."""
    out = bare(Value)
    out._data, out.grad, out._children, out._op, out.label = y, 0, children, op, ""
    out._rule, out._parents, out._node = rule, None, None
    if type(y) is not Taped:
        try:
            out._node = record(*[x._node if x._node is not None else _node_of(x) for x in children])
        except MISSES:
            _refuse_to_freeze()
    return out


def _on_two(f: Any, a: Value, b: Any, symbol: str, rule: Any) -> Value:
    """A sum or a product."""
    if not isinstance(b, Value):
        b = Value(b)
    x, y = a._data, b._data
    if type(x) is Taped or type(y) is Taped:
        x, y = _node_of(a), _node_of(b)
    return _computed(f(x, y), (a, b), symbol, rule, f)


def _numbers(xs: tuple[Value, ...]) -> list[Any]:
    """What to compute with; nodes, where one of the numbers is on the tape itself."""
    numbers = [x._data for x in xs]
    return [_node_of(x) for x in xs] if any(type(x) is Taped for x in numbers) else numbers


def _nothing_below(out: Value) -> None:
    pass


def _pull_sum(out: Value) -> None:
    a, b = out._children
    a.grad += out.grad
    b.grad += out.grad


def _pull_product(out: Value) -> None:
    a, b = out._children
    x, y = a._data, b._data
    if type(out._data) is Taped:
        x, y = _node_of(a), _node_of(b)
    a.grad += y * out.grad
    b.grad += x * out.grad


def _pull_power(exponent: float) -> Callable[[Value], None]:
    def pull(out: Value) -> None:
        (a,) = out._children
        a.grad += (exponent * a._data ** (exponent - 1)) * out.grad

    return pull


def _pull_relu(out: Value) -> None:
    (a,) = out._children
    y = out._data
    a.grad += (ops.less(0.0, y) if isinstance(y, Taped) else y > 0) * out.grad


def _pull_row(op: Op) -> Callable[[Value], None]:
    def pull(out: Value) -> None:
        numbers = _numbers(out._children)
        for k, child in enumerate(out._children):
            if op.follows(k):
                slope = op.partial(k, numbers, out._data)
                selected = op.condition(k, numbers, slope)
                if isinstance(selected, Taped) or selected != 0.0:
                    child.grad += slope * out.grad

    return pull


# --- the tape -------------------------------------------------------------------


def on_tape(v: Value) -> Taped:
    """The node of `v`; all nodes below have the labels and gradients of their Values.

    Example:
        >>> x = Value(3.0, label="x")
        >>> y = x * x
        >>> y.backward()
        >>> [(a.data, a.grad, a.label) for a in on_tape(y).inputs]
        [(3.0, 6.0, 'x'), (3.0, 6.0, 'x')]
    """
    for x in sorted_below(v):
        node = _node_of(x)
        try:
            node.label = x.label
            node.grad = x.grad
        except TypeError:  # a gradient on the tape itself has no place in a `grad`
            pass
    return _node_of(v)


def taped(x: Any) -> Any:
    """`on_tape` of a Value, and whatever else it is given itself."""
    return on_tape(x) if isinstance(x, Value) else x


def _node_of(v: Value) -> Taped:
    """The miniflow.Value with the same number."""
    if v._node is None:
        v._node = v._data if type(v._data) is Taped else Taped(v._data)
    return v._node


def _enter(v: Value, record: Callable[[Value], Taped]) -> None:
    """Give `v` its node, unless its number is on the tape or could not be there."""
    if type(v._data) is not Taped:
        try:
            v._node = record(v)
        except MISSES:
            _refuse_to_freeze()


def _refuse_to_freeze() -> None:
    """While a function is traced, raise what keeps a result from the tape."""
    if current().trace is not None:
        raise


def _leaf(v: Value) -> Taped:
    return Taped(v._data)


def _by_hand(out: Value) -> Taped:
    """One entry for an operation that somebody wrote; its partials are asked of `_backward`."""
    operands = [_node_of(x) for x in out._children]
    found = ref(out)

    def partial(k: int, xs: Any, y: Any) -> float:
        return _asked(found(), k, xs)

    op = Op(out._op or "by_hand", _unknown, (partial,), -1)
    return current().record(op, operands, out._data)


def _unknown(*xs: float) -> float:
    raise TypeError("an operation written by hand cannot be computed again; call its function")


def _asked(out: Value | None, k: int, xs: Any) -> float:
    """What `_backward` adds to child k for a gradient of 1; afterwards all is as before."""
    if out is None or any(isinstance(x, Taped) for x in xs):
        raise TypeError(
            "an operation written by hand has first derivatives only, while its Value is kept; "
            "for more add it to the table with miniflow.define"
        )
    nodes = [out, *out._children]
    kept = [v.grad for v in nodes]
    try:
        for v in nodes:
            v.grad = 0.0
        out.grad = 1.0
        out._backward()
        return float(out._children[k].grad)
    finally:
        for v, gradient in zip(nodes, kept, strict=True):
            v.grad = gradient
