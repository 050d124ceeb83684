"""The lesson's nodes: sums, products, layers, activations, the cost.

Each has `forward`, and `backward`: for every inbound node d(cost)/d(its value), which is
d(cost)/d(own value), from upstream, times the node's own derivative. Both take numbers and arrays
of them, ints too; in `forward` arrays of miniflow's Values record on the tape.
"""

from functools import reduce
from itertools import accumulate
from operator import add, mul
from typing import Any

from miniflow import ops
from miniflow.lesson.node import (
    Node,
    add_shares,
    fitted,
    inbound_values,
    np,
    shape_of,
    upstream,
    value_at,
)


def with_name(given: tuple[Any, ...], name: str | None) -> tuple[tuple[Any, ...], str | None]:
    """Arguments without the name that the last one may be, and the name."""
    last = given[-1] if given else None
    return (given[:-1], last) if isinstance(last, str) else (given, name)


class _OfSeveral(Node):
    """A node of any number of others: `Add(x, y)`, `Add(x, y, z)`, `Add([x, y, z])`."""

    def __init__(self, *inbound_nodes: Any, name: str | None = None) -> None:
        nodes, name = with_name(inbound_nodes, name)
        if len(nodes) == 1 and isinstance(nodes[0], (list, tuple)):
            (nodes,) = nodes
        if not nodes:
            raise TypeError(f"{type(self).__name__}: takes at least one node, got none")
        super().__init__(nodes, name)


class Add(_OfSeveral):
    """The sum of its nodes, element by element; ints stay ints.

    Example:
        >>> from miniflow.lesson import Input, forward_pass, topological_sort
        >>> x, y = Input(), Input()
        >>> f = Add(x, y)
        >>> forward_pass(f, topological_sort({x: 10, y: 5}))
        15
    """

    def forward(self) -> None:
        self.value = reduce(add, inbound_values(self))

    def backward(self) -> None:
        g = upstream(self)
        add_shares(self, [g] * len(self.inbound_nodes))


class Mul(_OfSeveral):
    """The product of its nodes, element by element; ints stay ints.

    Example:
        >>> from miniflow.lesson import Input, forward_and_backward, topological_sort
        >>> x, y = Input(), Input()
        >>> product = Mul(x, y)
        >>> forward_and_backward(topological_sort({x: 4, y: 5}))
        >>> product.value, x.gradients[x], y.gradients[y]
        (20, 5.0, 4.0)
    """

    def forward(self) -> None:
        self.value = reduce(mul, inbound_values(self))

    def backward(self) -> None:
        xs, g = inbound_values(self), upstream(self)
        before = list(accumulate(xs[:-1], mul, initial=1.0))
        after = list(accumulate(xs[:0:-1], mul, initial=1.0))[::-1]
        add_shares(self, [g * (a * b) for a, b in zip(before, after, strict=True)])


class Linear(Node):
    """A layer: X times W plus b.

    Args:
        X, W, b: of an (m, n) batch, (n, k) weights and (k,) biases it makes (m, k) numbers; of
            n numbers, n weights and a bias one number. Numbers may be in lists. Or
            `Linear([x, y], [w1, w2], b)`: lists of as many nodes; or `Linear(W, b)`, which makes
            a layer when it is called with X.
        name: what pictures and errors call it, as the last argument or by its name.

    Raises:
        TypeError: other arguments, or ones that are no nodes.
        ValueError: lists of different lengths.

    Example:
        >>> from miniflow.lesson import Input, forward_pass, topological_sort
        >>> x, w, b = Input(), Input(), Input()
        >>> f = Linear(x, w, b)
        >>> print(forward_pass(f, topological_sort({x: [6, 14, 3], w: [0.5, 0.25, 1.4], b: 2})))
        12.7
    """

    def __init__(self, *nodes: Any, name: str | None = None) -> None:
        parts, name = with_name(nodes, name)
        if len(parts) not in (2, 3):
            raise TypeError(
                f"Linear: takes X, W and b, or W and b and later X, got {len(parts)} arguments"
            )
        xs, self.weights, self.bias = parts if len(parts) == 3 else (None, *parts)
        self.paired = isinstance(xs, (list, tuple))  # a node for each number
        if self.paired and len(xs) != len(self.weights):
            raise ValueError(f"Linear: {len(xs)} inputs, but {len(self.weights)} weights")
        if self.paired:
            super().__init__([*xs, *self.weights, self.bias], name)
        else:
            super().__init__([x for x in (xs, self.weights, self.bias) if x is not None], name)

    def __call__(self, X: Node) -> "Linear":  # noqa: N803 - the lesson's name
        """The layer of `X`: this one if it has none yet, otherwise another one of its weights.

        Raises:
            TypeError: `X` is not a node.
        """
        if len(self.inbound_nodes) > 2:
            return type(self)(X, self.weights, self.bias, name=self.name)
        for x in dict.fromkeys(self.inbound_nodes):
            x.outbound_nodes.remove(self)
        super().__init__([X, *self.inbound_nodes], self.name)
        return self

    def _pairs(self) -> tuple[list[Any], list[Any]]:
        """The numbers and the weights of a layer that has a node for each."""
        xs, count = inbound_values(self), len(self.inbound_nodes) // 2
        return xs[:count], xs[count:-1]

    def forward(self) -> None:
        if self.paired:
            xs, ws = self._pairs()
            self.value = reduce(add, map(mul, xs, ws)) + value_at(self, len(xs) * 2)
        elif len(self.inbound_nodes) < 3:
            raise ValueError(f"{self!r}: it has weights only; call it with the node before it")
        else:
            x, w, b = inbound_values(self)
            self.value = matrix_product(x, w) + b

    def backward(self) -> None:
        g = fitted(upstream(self), self.value)
        if self.paired:
            xs, ws = self._pairs()
            add_shares(self, [*(g * w for w in ws), *(g * x for x in xs), g])
        else:
            x, w, _ = inbound_values(self)
            add_shares(self, [*matrix_shares(g, x, w), g])


def matrix_product(x: Any, w: Any) -> Any:
    """The product of matrices or rows, as `np.dot`; of Values each number is one `dot`."""
    if not (shape_of(x) and shape_of(w)):
        return x * w
    if not (x.dtype.hasobject or w.dtype.hasobject):
        return np.dot(x, w)
    rows, columns = x.reshape(-1, x.shape[-1]), w.reshape(w.shape[0], -1).T
    if rows.shape[1] != columns.shape[1]:
        raise ValueError(f"shapes {x.shape} and {w.shape} do not go together")
    found = np.empty((len(rows), len(columns)), dtype=object)
    for i, row in enumerate(rows):
        for k, column in enumerate(columns):
            found[i, k] = ops.dot(*column, *row)  # weights first, as in a neuron
    found = found.reshape(x.shape[:-1] + w.shape[1:])
    return found if found.ndim else found.item()


def matrix_shares(g: Any, x: Any, w: Any) -> tuple[Any, Any]:
    """d(cost)/dx and d(cost)/dw, of g = d(cost)/d(product of x and w)."""
    if not (shape_of(x) and shape_of(w)):
        return g * w, g * x
    if x.ndim == w.ndim == 2:
        return np.dot(g, w.T), np.dot(x.T, g)
    rows, columns = x.reshape(-1, x.shape[-1]), w.reshape(w.shape[0], -1)
    g = np.reshape(g, (len(rows), columns.shape[1]))
    return np.dot(g, columns.T).reshape(x.shape), np.dot(rows.T, g).reshape(w.shape)


class Sigmoid(Node):
    """1 / (1 + exp(-x)), element by element.

    Args:
        node: what it is of.
        name: what pictures and errors call it.

    Example:
        >>> print(Sigmoid(Node())._sigmoid(np.array([-1000.0, 0.0])))
        [0.  0.5]
    """

    def __init__(self, node: Node, name: str | None = None) -> None:
        super().__init__([node], name)

    def _sigmoid(self, x: Any) -> Any:
        """The function itself, of numbers or arrays."""
        x = np.asarray(x)
        if x.dtype.hasobject:
            return ops.sigmoid(x if x.ndim else x.item())
        with np.errstate(over="ignore"):  # of exp(1000): the result is 0
            return 1.0 / (1.0 + np.exp(-x))

    def forward(self) -> None:
        self.value = self._sigmoid(value_at(self))

    def backward(self) -> None:
        y = self.value
        add_shares(self, [y * (1 - y) * fitted(upstream(self), y)])


class MSE(Node):
    """The mean of the squares of y - a: the cost, unless another node is computed from it.

    The lesson divides its gradient by the number of rows, which is right for one output; here it
    is divided by the number of numbers, which the mean is of.

    Args:
        y: the targets; m numbers are taken as a column (m, 1), as the lesson does.
        a: the predictions, as many.
        name: what pictures and errors call it.

    Attributes:
        m: the number of rows.
        diff: the column y - a.

    Example:
        >>> from miniflow.lesson import Input, forward_pass, topological_sort
        >>> y, a = Input(), Input()
        >>> cost = MSE(y, a)
        >>> graph = topological_sort({y: np.array([1, 2, 3]), a: np.array([4.5, 5, 10])})
        >>> forward_pass(graph)
        >>> print(cost.value)
        23.416666666666668
    """

    _seed = 1.0

    def __init__(self, y: Node, a: Node, name: str | None = None) -> None:
        super().__init__([y, a], name)

    def forward(self) -> None:
        y, a = inbound_values(self)
        self.diff = paired_columns(y, a)
        self.m = len(y) if np.ndim(y) else 1
        squares = self.diff**2
        if squares.dtype.hasobject:
            self.value = ops.sum(*squares.flat) / squares.size
        else:
            self.value = squares.sum() / squares.size

    def backward(self) -> None:
        y, a = self.inbound_nodes
        share = 2 / self.diff.size * fitted(upstream(self), 0.0) * self.diff
        shares = of_column(share, y.value), of_column(-share, a.value)
        self.gradients = {y: shares[0], a: shares[1]} if y is not a else {y: sum(shares)}


def paired_columns(y: Any, a: Any) -> Any:
    """The difference of targets and predictions, as a column.

    Raises:
        ValueError: they do not go together, or there are none.
    """
    shapes = shape_of(y), shape_of(a)
    if shapes[0] != shapes[1]:
        kinds = [tuple(size for size in shape if size != 1) for shape in shapes]
        if () not in kinds and kinds[0] != kinds[1]:
            raise ValueError(f"MSE: targets {shapes[0]} and predictions {shapes[1]} do not pair")
    difference = column(y) - column(a)
    if not difference.size:
        raise ValueError(f"MSE: no numbers: the targets are {shapes[0]}")
    return difference


def column(x: Any) -> Any:
    """Numbers as a column; not as ints, whose differences may not be ints of their kind."""
    x = np.asarray(x).reshape(-1, 1)
    return x.astype(float) if x.dtype.kind in "biu" else x


def of_column(g: Any, value: Any) -> Any:
    """A derivative by a column, for the value that was made one; m numbers stay a column."""
    return g if shape_of(value) == (len(g),) else fitted(g, value)
