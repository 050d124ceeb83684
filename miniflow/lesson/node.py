"""A node of the MiniFlow lesson: what every node has, and Inputs, which are fed.

A node computes its `value` from those of its inbound nodes in `forward`, and in `backward`, from
what its outbound nodes pass back, the derivatives of the cost by each of its inbound nodes. Values
are what NumPy computes with: numbers and arrays, or arrays of miniflow's Values.
"""

from collections.abc import Iterable
from functools import reduce
from importlib import import_module
from operator import add
from typing import Any

from miniflow.util.later import Later
from miniflow.util.notebook import InNotebook

np: Any = Later("numpy")

NodeList = list["Node"]


class Node(InNotebook):
    """The base of all nodes; subclasses write `forward` and `backward`.

    `Layer` and `Neuron` are other names of it, and `inbound_layers` and the like of its lists.

    Args:
        inbound_nodes: the nodes that it is computed from, in order; one may occur twice.
        name: what pictures and errors call it; without one the variable that it is assigned to.

    Attributes:
        inbound_nodes, outbound_nodes: lists of nodes; of the outbound ones each stands once.
        value: what `forward` has computed, or what an Input was fed; None before.
        gradients: for each inbound node (for an Input: itself) d(cost)/d(its value), with the
            shape of that value, or (m, 1) where `MSE` has made a column of m numbers.

    Raises:
        TypeError: an inbound node is none.

    Example:
        >>> class Square(Node):
        ...     def __init__(self, x):
        ...         super().__init__([x])
        ...     def forward(self):
        ...         self.value = self.inbound_nodes[0].value ** 2
        >>> x = Input("x")
        >>> x.value = 3
        >>> y = Square(x)
        >>> y.forward()
        >>> y.value
        9
    """

    _seed: float = 0.0  # d(cost)/d(value) where no node passes anything back

    def __init__(
        self, inbound_nodes: Iterable["Node"] = (), name: str | None = None, *,
        inbound_layers: Iterable["Node"] = (), inbound_neurons: Iterable["Node"] = (),
    ) -> None:  # fmt: skip
        self.inbound_nodes: NodeList = [*inbound_nodes, *inbound_layers, *inbound_neurons]
        for x in self.inbound_nodes:
            if not isinstance(x, Node):
                raise TypeError(
                    f"{type(self).__name__}: inbound nodes must be nodes, got {x!r:.60}; make an "
                    "Input() for it and feed its value"
                )
        if not (name is None or isinstance(name, str)):
            raise TypeError(
                f"{type(self).__name__}: name must be a string, got {name!r:.60}; values are fed: "
                "topological_sort({node: value})"
            )
        self.name = name
        self.outbound_nodes: NodeList = []
        self.value: Any = None
        self.gradients: dict[Node, Any] = {}
        self._register()

    def _register(self) -> None:
        """Stand among the outbound nodes of the inbound ones, once each."""
        for x in dict.fromkeys(self.inbound_nodes):
            x.outbound_nodes.append(self)

    def forward(self) -> None:
        """Compute `value` from those of the inbound nodes."""
        raise NotImplementedError(
            f"{type(self).__name__} has no forward(): write one that sets self.value"
        )

    def backward(self) -> None:
        """Compute `gradients` from what the outbound nodes have computed for this one."""
        raise NotImplementedError(
            f"{type(self).__name__} has no backward(): write one that sets self.gradients[x] "
            "for each x of self.inbound_nodes"
        )

    def __repr__(self) -> str:
        value = "no value" if self.value is None else described(self.value)
        return f"<{' '.join(filter(None, (type(self).__name__, self.name)))}: {value}>"

    def __getstate__(self) -> dict[str, Any]:
        """A pickle has what a node is computed from, and not what is computed from it."""
        return {name: x for name, x in vars(self).items() if name != "outbound_nodes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, outbound_nodes=[])
        self._register()

    @staticmethod
    def taped_together(nodes: NodeList, most: int) -> list[Any]:
        """What pictures show of nodes: their numbers as Values, on one recording."""
        pictured = import_module("miniflow.lesson.values").pictured
        return pictured(nodes, most)  # type: ignore[no-any-return]

    # fmt: off
    @property
    def inbound_layers(self) -> NodeList: return self.inbound_nodes
    @property
    def inbound_neurons(self) -> NodeList: return self.inbound_nodes
    @property
    def outbound_layers(self) -> NodeList: return self.outbound_nodes
    @property
    def outbound_neurons(self) -> NodeList: return self.outbound_nodes
    # fmt: on


Layer = Neuron = Node


class Input(Node):
    """A node that is fed: data, or a parameter that is trained (a *trainable*).

    Args:
        name: what pictures and errors call it.

    Attributes:
        value: whatever was fed: a number, a list, an array of any shape; never a copy. It may be
            set at any time, to a batch of another size, too.

    Example:
        >>> x = Input()
        >>> x.forward(5)
        >>> x.value
        5
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__((), name)

    def forward(self, value: Any = None) -> None:
        """Keep the value, or take another one."""
        if value is not None:
            self.value = value

    def backward(self) -> None:
        """The derivative of the cost by `value`, under the Input itself."""
        self.gradients = {self: upstream(self)}


# --- numbers between nodes ------------------------------------------------------


def described(value: Any) -> str:
    """A value in a few words: a number, or how many there are."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"{' x '.join(map(str, value.shape))} numbers"
    if hasattr(value, "__len__") and not isinstance(value, (str, np.ndarray)):
        return f"{type(value).__name__} of {len(value)}"
    return f"{value.item() if isinstance(value, np.generic) else value!r:.40}"


def value_at(node: Node, place: int = 0) -> Any:
    """The value of an inbound node: a number or an array.

    Raises:
        ValueError: it has none.
    """
    x = node.inbound_nodes[place]
    value = x.value
    if type(value) is np.ndarray:
        return value
    if value is None:
        raise ValueError(f"{node!r}: inbound node {place}, {x!r}; feed it, or set its value")
    return np.asarray(value) if hasattr(value, "__len__") else value


def inbound_values(node: Node) -> list[Any]:
    """The values of all inbound nodes."""
    return [
        x.value if type(x.value) is np.ndarray else value_at(node, place)
        for place, x in enumerate(node.inbound_nodes)
    ]


def upstream(node: Node) -> Any:
    """d(cost)/d(value of a node): the sum of what its outbound nodes pass back.

    Raises:
        RuntimeError: the `backward` of one of them has left it out.
    """
    # a node outside of the graph was never swept, and has none at all
    found = [share_from(x, node) for x in node.outbound_nodes if x.gradients]
    if len(found) == 1:
        return found[0]
    if not found:
        return full(node.value, node._seed)
    if len(set(map(np.shape, found))) > 1:
        found = [fitted(g, node.value) for g in found]
    return reduce(add, found)  # not in place: the first is somebody else's array


def share_from(x: Node, node: Node) -> Any:
    """What the outbound node `x` passes back to a node."""
    try:
        return x.gradients[node]
    except KeyError:
        raise RuntimeError(
            f"{type(x).__name__}.backward() passes nothing back to its inbound node {node!r}; "
            "let it set self.gradients[node]"
        ) from None


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of a value; of arrays in little time."""
    found: tuple[int, ...] = value.shape if type(value) is np.ndarray else np.shape(value)
    return found


def full(value: Any, number: float) -> Any:
    """A number, or an array of it, in the shape of a value."""
    return np.full(np.shape(value), number) if np.ndim(value) else number


def fitted(g: Any, value: Any) -> Any:
    """A derivative by a value that may have been broadcast, in the shape of that value."""
    if type(g) is type(value) is np.ndarray and g.shape == value.shape:
        return g  # as nearly always
    shape, wanted = np.shape(g), np.shape(value)
    if shape == wanted:
        return g
    g = np.asarray(g)
    if g.size == np.size(value):
        return g.reshape(wanted) if wanted else g.reshape(())[()]
    g = g.sum(axis=tuple(range(len(shape) - len(wanted))))
    narrow = tuple(k for k, size in enumerate(wanted) if size == 1 and np.shape(g)[k] != 1)
    return g.sum(axis=narrow, keepdims=True) if narrow else g


def add_shares(node: Node, shares: Iterable[Any]) -> None:
    """Set a node's gradients: for each place of its inbound nodes the share of it."""
    found: dict[Node, Any] = {}
    for x, share in zip(node.inbound_nodes, shares, strict=True):
        share = fitted(share, x.value)
        found[x] = found[x] + share if x in found else share
    node.gradients = found
