"""A network's numbers as Values on the tape: what `viz` draws, and what checks gradients.

The nodes' own `forward` runs once more, on arrays of Values, each node in a scope. A node with a
`backward` of one's own computes with plain numbers, as ever, and each of its numbers is one entry,
whose partials are asked of that `backward`. Afterwards all nodes are as they were.
"""

import sys
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any

from miniflow.lesson.node import Input, Node, NodeList, fitted, np
from miniflow.lesson.nodes import Linear
from miniflow.lesson.passes import closure, of_students, sorted_nodes
from miniflow.nn import ParameterName
from miniflow.operation import Op, recorded
from miniflow.tape.core import Value, current
from miniflow.tape.gradient_tape import scope
from miniflow.tape.reading import located

PlainNumbers = dict[Node, Any]


def to_values(node: Node, sample: int | None = None) -> Any:
    """A node's value as Values that were computed from Values: the network on the tape.

    Inputs are leaves, called as their variables in the caller, ``W1[0, 2]``; weights and biases
    are parameters. The numbers are computed anew from the Inputs' values. `.backward()` gives the
    engine's gradients, to compare with the nodes' own.

    Args:
        node: what is wanted; usually the cost.
        sample: which row of the batch to take alone; None for all of them.

    Returns:
        A Value; an array of them where the node's value is one.

    Raises:
        ValueError: an Input below has no value.
        IndexError: the batch has no such row.

    Example:
        >>> from miniflow.lesson import Mul
        >>> x, y = Input("x"), Input("y")
        >>> x.value, y.value = 4, 5
        >>> product = to_values(Mul(x, y))
        >>> product.backward()
        >>> [(v.label, v.data, v.grad) for v in product.inputs]
        [('x', 4.0, 5.0), ('y', 5.0, 4.0)]
    """
    return _Network([node], sample, _variables(sys._getframe(1))).values([node])[0]


def pictured(nodes: NodeList, most: int) -> list[Any]:
    """What pictures show of nodes: the Values of those that no other one is computed from.

    Of a network with more numbers than `most` it is the first sample alone. Gradients are filled
    in where the nodes have some, and one number is the result.
    """
    given = set(nodes)
    ends = [x for x in dict.fromkeys(nodes) if given.isdisjoint(x.outbound_nodes)]
    network = _Network(ends, None, _variables(_outer_frame()))
    if network.size() > most and network.count:
        network.sample = 0
    found = [v for x in network.values(ends) for v in np.ravel(x)]
    if len(found) == 1 and network.swept:
        found[0].backward()
    return found


class _Network:
    """The nodes that some are computed from, on their way to the tape."""

    def __init__(self, ends: NodeList, sample: int | None, variables: dict[int, str]) -> None:
        self.order = sorted_nodes(closure(ends, lambda x: x.inbound_nodes))
        self.swept = any(x.gradients for x in self.order)
        self.names = {x: x.name or variables.get(id(x), "") for x in self.order}
        layers = [x for x in self.order if isinstance(x, Linear)]
        self.weights = {y for x in layers for y in _weights_of(x)}
        self.count = self._rows(layers)
        self.sample = sample

    def _rows(self, layers: list[Linear]) -> int:
        """How many samples a batch has; 0 where there is none."""
        rows = {x.inbound_nodes[0] for x in layers if not x.paired}  # of one sample, if flat
        data = [x for x in self.order if isinstance(x, Input) and x not in self.weights]
        shapes = [np.shape(x.value) for x in data if x not in rows or np.ndim(x.value) > 1]
        return max((shape[0] for shape in shapes if shape), default=0)

    def size(self) -> int:
        """About how many numbers the network has."""
        return sum(np.size(x.value) * (3 if x.inbound_nodes else 1) for x in self.order)

    def values(self, ends: NodeList) -> list[Any]:
        """The values of `ends`, recorded; the nodes stay as they are."""
        kept = [(x, dict(vars(x))) for x in self.order]
        numbers: PlainNumbers = {}
        titles = self._titles()
        try:
            for x in self.order:
                with scope(titles[x]):
                    self._compute(x, numbers)
                if not isinstance(x, Input):
                    self._label(x)
            return [x.value for x in ends]
        finally:
            for x, state in kept:
                vars(x).clear()
                vars(x).update(state)

    def _titles(self) -> dict[Node, str]:
        """What the nodes' scopes are called, each in its own way."""
        titles: dict[Node, str] = {}
        taken: dict[str, int] = {}
        for x in self.order:
            title = " ".join(filter(None, (type(x).__name__, self.names[x], self._shape(x))))
            taken[title] = taken.get(title, 0) + 1
            titles[x] = title if taken[title] == 1 else f"{title} ({taken[title]})"
        return titles

    def _shape(self, x: Node) -> str:
        """An array's shape, for the sample alone if there is one; "" for a number."""
        shape = np.shape(x.value)
        if self.sample is not None and x not in self.weights and shape[:1] == (self.count,):
            shape = (1, *shape[1:])
        return f"({' × '.join(map(str, shape))})" if shape else ""

    # --- Inputs -----------------------------------------------------------------

    def _sample(self, x: Input) -> tuple[Any, int]:
        """An Input's value for the sample, and which row it begins with."""
        if x.value is None:
            raise ValueError(f"{x!r}: feed it, or set its value, before it is shown")
        if self.sample is None:
            return x.value, 0
        if not 0 <= self.sample < self.count:
            raise IndexError(f"sample {self.sample}: the batch has {self.count} rows")
        if x in self.weights or np.ndim(x.value) == 0 or len(x.value) != self.count:
            return x.value, 0
        return np.asarray(x.value)[self.sample : self.sample + 1], self.sample

    def _leaves(self, x: Input, value: Any, first: int) -> Any:
        """A value as Values: leaves with labels, parameters if they are weights."""
        numbers = np.asarray(value, dtype=object)
        found = np.empty(numbers.shape, dtype=object)
        for place in np.ndindex(numbers.shape):
            if recorded(numbers[place]):  # it is somebody's, and so are its label and gradient
                found[place] = numbers[place]
                self.swept = False
                continue
            v = found[place] = Value(numbers[place])
            shown = (place[0] + first, *place[1:]) if place else ()
            if self.names[x] or x in self.weights:
                label = _element(self.names[x], shown)
                label = ParameterName(label) if x in self.weights else label
                located(v)[0].set_label(v, label)
        return found if found.ndim else found.item()

    # --- computed nodes -----------------------------------------------------------

    def _compute(self, x: Node, numbers: PlainNumbers) -> None:
        """Let a node compute Values; an Input has leaves."""
        if isinstance(x, Input):
            numbers[x], first = self._sample(x)
            x.value = self._leaves(x, numbers[x], first)
            return
        if of_students(x) and type(x).backward is not Node.backward:
            x.value = _entries_by_hand(x, numbers)
            return
        try:
            x.forward()
        except Exception as error:
            error.add_note(f"in forward() of {type(x).__name__}, on Values in place of numbers")
            raise

    def _label(self, x: Node) -> None:
        """Give a node's results its name."""
        values = np.asarray(x.value, dtype=object)
        for place in np.ndindex(values.shape):
            v = values[place]
            if self.names[x] and isinstance(v, Value) and not v.label:
                v.label = _element(self.names[x], place)


def _weights_of(layer: Linear) -> list[Any]:
    weights = layer.weights if layer.paired else [layer.weights]
    return [x for x in [*weights, layer.bias] if isinstance(x, Input)]


def _element(name: str, place: Sequence[int]) -> str:
    return f"{name}[{', '.join(map(str, place))}]" if place else name


# --- nodes with a backward of their own -------------------------------------------


def _entries_by_hand(x: Node, numbers: PlainNumbers) -> Any:
    """A node's numbers as entries, with what its `backward` says as their partials."""
    inbound = list(dict.fromkeys(x.inbound_nodes))
    values = [y.value for y in inbound]
    try:
        for y in inbound:
            y.value = numbers[y] if y in numbers else _plain(y.value)
        x.forward()
        computed = np.asarray(x.value, dtype=float)
        shapes = [np.shape(y.value) for y in inbound]
        slopes = [_slopes_by_hand(x, inbound, place) for place in np.ndindex(computed.shape)]
    finally:
        for y, value in zip(inbound, values, strict=True):
            y.value = value
    numbers[x] = computed
    operands = [v for value in values for v in np.ravel(np.asarray(value, dtype=object))]
    own = np.arange(computed.size)
    beside = [own if shape == computed.shape else None for shape in shapes]
    found = np.empty(computed.shape, dtype=object)
    for n, place in enumerate(np.ndindex(computed.shape)):
        used = _used(slopes[n], shapes, beside, n)
        found[place] = _entry(type(x).__name__, operands, slopes[n], used, computed[place])
    return found if found.ndim else found.item()


def _slopes_by_hand(x: Node, inbound: NodeList, place: tuple[int, ...]) -> list[float]:
    """d(one number of a node)/d(all numbers of its inbound nodes), by its own `backward`."""
    above = Node([])
    share = np.zeros(np.shape(x.value))
    share[place] = 1.0
    above.gradients = {x: share if share.ndim else 1.0}
    x.outbound_nodes = [above]
    x.gradients = {}
    x.backward()
    parts = [np.ravel(fitted(x.gradients[y], y.value)) for y in inbound]
    return np.concatenate(parts).astype(float).tolist()  # type: ignore[no-any-return]


def _used(slopes: list[float], shapes: Any, beside: Any, n: int) -> list[int]:
    """Which operands a number depends on: by its slopes, and those in its own place."""
    used = {k for k, slope in enumerate(slopes) if slope != 0.0}
    start = 0
    for shape, own in zip(shapes, beside, strict=True):
        used |= {start + n} if own is not None else set()
        start += int(np.prod(shape))
    return sorted(used) or list(range(len(slopes)))


def _entry(name: str, operands: list[Any], slopes: list[float], used: list[int], y: float) -> Value:
    chosen = [slopes[k] for k in used]

    def partial(k: int, xs: Any, _: Any) -> float:
        if any(map(recorded, xs)):
            raise TypeError(f"{name}: a backward written by hand has first derivatives only")
        return chosen[k]

    def value(*xs: float) -> float:
        raise TypeError(f"{name}: a node's numbers are not computed again; make new Values")

    return current().record(Op(name, value, (partial,), -1), [operands[k] for k in used], y)


def _plain(value: Any) -> Any:
    """An array of Values as numbers."""
    values = np.asarray(value, dtype=object)
    numbers = [x.data if isinstance(x, Value) else float(x) for x in values.flat]
    found = np.array(numbers, dtype=float).reshape(values.shape)
    return found if found.ndim else found.item()


# --- names ------------------------------------------------------------------------


def _outer_frame() -> FrameType | None:
    """The nearest frame of a caller from outside."""
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_globals.get("__name__", "").split(".")[0] in ("miniflow", "viz"):
        frame = frame.f_back
    return frame


def _variables(frame: FrameType | None) -> dict[int, str]:
    """The variables that nodes are assigned to, by the nodes' identity; the first one counts."""
    if frame is None:
        return {}
    names: Iterable[tuple[str, Any]] = [*frame.f_locals.items(), *frame.f_globals.items()]
    found: dict[int, str] = {}
    for name, x in names:
        if isinstance(x, Node) and not name.startswith("_"):
            found.setdefault(id(x), name)
    return found
