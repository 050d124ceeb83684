"""What the lesson does with a graph of nodes: sort, propagate both ways, descend."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from miniflow.lesson.node import Input, Node, NodeList, fitted, full, np
from miniflow.lesson.nodes import MSE

# --- the order ------------------------------------------------------------------


def topological_sort(feed_dict: dict[Any, Any]) -> NodeList:
    """The nodes that are computed from the fed Inputs, each after its inbound nodes.

    The cost is the last one, whatever other nodes nothing is computed from: an `MSE` or what is
    computed from one before nodes of one's own, these before others, a later one before an
    earlier one. Where a node has nothing but fed Inputs below it, those that need other Inputs,
    too, are another graph's and are left out; otherwise Inputs keep the values that they have.

    Args:
        feed_dict: the values of Inputs; the Inputs take them as they are.

    Returns:
        A list. It takes time in proportion to the number of edges.

    Raises:
        TypeError: `feed_dict` is no dict, or a key of it no Input.
        ValueError: nodes are computed from each other in a circle.

    Example:
        >>> from miniflow.lesson import Add
        >>> x, y = Input("x"), Input("y")
        >>> f = Add(x, y, name="f")
        >>> topological_sort({y: 5, x: 10})
        [<Input y: 5>, <Input x: 10>, <Add f: no value>]
    """
    _check_feed(feed_dict)
    reached = closure(feed_dict, lambda x: x.outbound_nodes)
    order = sorted_nodes(closure(reached, lambda x: x.inbound_nodes))
    needs = _needs(order, feed_dict)
    ends = [x for x in order if x in reached and not any(y in needs for y in x.outbound_nodes)]
    most = min((needs[x] for x in ends if x.inbound_nodes), default=0)
    graph = [x for x in order if needs[x] <= most]
    ends = [x for x in ends if needs[x] <= most and x.inbound_nodes]
    for x, value in feed_dict.items():
        x.value = value
    return _with_cost_last(graph, ends) if ends else graph


def _check_feed(feed_dict: Any) -> None:
    if not isinstance(feed_dict, dict):
        raise TypeError(
            "topological_sort: feed_dict must be a dict of Inputs and their values, got "
            f"{feed_dict!r:.60}"
        )
    for x in feed_dict:
        if not isinstance(x, Input):
            raise TypeError(f"topological_sort: only Inputs are fed, got {x!r:.60} as a key")


def closure(nodes: Iterable[Node], following: Callable[[Node], NodeList]) -> dict[Node, None]:
    """Nodes with all that follow them, in a dict's order."""
    found = dict.fromkeys(nodes)
    waiting = deque(found)
    while waiting:
        for x in following(waiting.popleft()):
            if x not in found:
                found[x] = None
                waiting.append(x)
    return found


def sorted_nodes(nodes: Iterable[Node]) -> NodeList:
    """Nodes, each after those of its inbound nodes that are among them (Kahn's algorithm).

    Raises:
        ValueError: there is a circle.
    """
    nodes = dict.fromkeys(nodes)
    missing = {x: sum(y in nodes for y in dict.fromkeys(x.inbound_nodes)) for x in nodes}
    users: dict[Node, NodeList] = {x: [] for x in nodes}
    for x in nodes:
        for y in dict.fromkeys(x.inbound_nodes):
            if y in users:
                users[y].append(x)
    order = [x for x in nodes if not missing[x]]
    for x in order:  # it grows
        for y in users[x]:
            missing[y] -= 1
            if not missing[y]:
                order.append(y)
    if len(order) < len(missing):
        left = next(x for x in nodes if missing[x])
        raise ValueError(f"topological_sort: {left!r} is computed from itself, in a circle")
    return order


def _needs(order: NodeList, fed: dict[Node, Any]) -> dict[Node, int]:
    """What a node needs besides fed Inputs: 0 nothing, 1 Inputs with values, 2 any Inputs."""
    needs: dict[Node, int] = {}
    for x in order:
        own = 0 if x in fed or not isinstance(x, Input) else 1 if x.value is not None else 2
        needs[x] = max([own, *[needs[y] for y in x.inbound_nodes]])
    return needs


def _with_cost_last(graph: NodeList, ends: NodeList) -> NodeList:
    """The graph with the likeliest cost of `ends` as its last node."""
    of_mse: set[Node] = set()
    for x in graph:
        if isinstance(x, MSE) or not of_mse.isdisjoint(x.inbound_nodes):
            of_mse.add(x)
    cost = max(reversed(ends), key=lambda x: 2 if x in of_mse else of_students(x))
    for x in ends:
        vars(x).pop("_seed", None)
    cost._seed = 1.0
    return [x for x in graph if x is not cost] + [cost]


def of_students(node: Node) -> bool:
    """Whether its class has a `backward` of its own."""
    return not type(node).backward.__module__.startswith("miniflow.lesson")


# --- both directions ------------------------------------------------------------


def forward_pass(output_node: Any, sorted_nodes: NodeList | None = None) -> Any:
    """Compute the nodes in order.

    Args:
        output_node: the node whose value is wanted; or the sorted nodes, and nothing else.
        sorted_nodes: what `topological_sort` has returned.

    Returns:
        The value of `output_node`; None where there is none.

    Raises:
        ValueError: `output_node` is not among the sorted nodes, or a node below it has no value.

    Example:
        >>> from miniflow.lesson import Mul
        >>> x, y = Input(), Input()
        >>> forward_pass(Mul(x, y, x), topological_sort({x: 4, y: 5}))
        80
    """
    if sorted_nodes is None:
        _all_forward(output_node)
        return None
    if output_node not in sorted_nodes:
        raise ValueError(
            f"forward_pass: {output_node!r:.80} is not among the sorted nodes: feed all Inputs "
            "that it is computed from, after it was made"
        )
    _all_forward(sorted_nodes)
    return output_node.value


def forward_and_backward(graph: NodeList) -> None:
    """Compute the nodes in order, and their gradients in reverse.

    Every node of the graph then has `gradients`. The cost is the graph's last node; where there
    are several `MSE` that nothing is computed from, the gradients are those of their sum.

    Args:
        graph: what `topological_sort` has returned.

    Raises:
        NotImplementedError: a node between the trainables and the cost has no `backward`.

    Example:
        >>> x = Input()
        >>> cost = MSE(x, x)
        >>> forward_and_backward(topological_sort({x: np.array([1.0, 2.0])}))
        >>> cost.value.item(), x.gradients[x].tolist()
        (0.0, [[0.0], [0.0]])
    """
    _all_forward(graph)
    inside = set(graph)
    idle = [x for x in graph if type(x).backward is Node.backward and _looks_on(x, inside)]
    silent = [(y, x) for x in graph for y in x.outbound_nodes if y not in inside]
    silent += [(x, y) for x in idle for y in x.inbound_nodes]
    if silent:
        with _silent(silent):
            _all_backward(graph, idle)
    else:
        _all_backward(graph, idle)


def _looks_on(x: Node, inside: set[Node]) -> bool:
    """Whether nothing is computed from a node, and it is not the cost."""
    return not x._seed and inside.isdisjoint(x.outbound_nodes)


@contextmanager
def _silent(edges: list[tuple[Node, Node]]) -> Iterator[None]:
    """The first of two nodes passes zeros back to the second, whatever it did in its own graph."""
    kept = [(y, y.gradients) for y, _ in edges]
    for y, x in edges:
        y.gradients = {**y.gradients, x: full(x.value, 0.0)}
    try:
        yield
    finally:
        for y, gradients in reversed(kept):
            y.gradients = gradients


def _all_forward(graph: NodeList) -> None:
    for x in graph:
        try:
            x.forward()
        except Exception as error:
            _say_where(error, x, "forward")
            raise


def _all_backward(graph: NodeList, idle: NodeList) -> None:
    for x in reversed(graph):
        if x in idle:
            continue
        try:
            x.backward()
        except Exception as error:
            _say_where(error, x, "backward")
            raise


def _say_where(error: Exception, x: Node, step: str) -> None:
    """Let an error say in which node it arose."""
    error.add_note(f"in {step}() of {x!r}, computed from {x.inbound_nodes!r}")


# --- descent --------------------------------------------------------------------


def sgd_update(trainables: Iterable[Node], learning_rate: float = 1e-2) -> None:
    """Move each trainable by -learning_rate times its gradient.

    Arrays of floats change in place, so the array that was fed changes, too. Other values (ints,
    lists, arrays that must not be written to) are replaced, and stay as they were.

    Args:
        trainables: Inputs that have gradients.
        learning_rate: the step, in units of value squared by cost.

    Raises:
        RuntimeError: one has no gradient; then none has moved.

    Example:
        >>> w = Input("w")
        >>> w.value = np.array([1.0, 2.0])
        >>> w.gradients = {w: np.array([10.0, 0.0])}
        >>> sgd_update([w])
        >>> w.value
        array([0.9, 2. ])
    """
    trainables = list(trainables)
    for t in trainables:
        if t not in t.gradients:
            raise RuntimeError(
                f"sgd_update: {t!r} has no gradient; have it in the graph, and call "
                "forward_and_backward first"
            )
    steps = [learning_rate * fitted(t.gradients[t], t.value) for t in trainables]
    for t, step in zip(trainables, steps, strict=True):
        value = t.value
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.flags.writeable:
            value -= step
        else:
            t.value = np.asarray(value) - step if hasattr(value, "__len__") else value - step
