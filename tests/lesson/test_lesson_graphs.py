"""Graphs of nodes: their order, their cost, several of them, nodes of one's own, mistakes."""

import itertools
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow.lesson import (
    MSE,
    Add,
    Input,
    Linear,
    Mul,
    Node,
    Sigmoid,
    forward_and_backward,
    forward_pass,
    sgd_update,
    to_values,
    topological_sort,
)
from support.profiles import examples

# --- the order ----------------------------------------------------------------------


@examples(200)
@given(
    parents=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=4), max_size=25),
    count=st.integers(1, 4),
    shuffle=st.randoms(use_true_random=False),
)
def test_each_node_stands_once_and_after_what_it_is_computed_from(parents, count, shuffle):
    inputs = [Input() for _ in range(count)]
    nodes = list(inputs)
    for places in parents:
        nodes.append(Add([nodes[k % len(nodes)] for k in places]))
    feed = {x: k for k, x in enumerate(inputs)}
    shuffled = list(feed.items())
    shuffle.shuffle(shuffled)
    graph = topological_sort(dict(shuffled))
    assert len(graph) == len(nodes)
    assert set(graph) == set(nodes)
    place = {x: k for k, x in enumerate(graph)}
    assert all(place[y] < place[x] for x in graph for y in x.inbound_nodes)
    assert [x.value for x in inputs] == list(range(count))


def test_the_sort_is_linear_in_edges():
    class Counting(Add):
        """A sum that counts how often its lists are looked at."""

        looked = 0

        @property
        def inbound_nodes(self):
            Counting.looked += 1
            return self._inbound

        @inbound_nodes.setter
        def inbound_nodes(self, nodes):
            self._inbound = nodes

    def looks(diamonds):
        x = last = Input()
        for _ in range(diamonds):
            last = Counting(Counting(last), Counting(last))
        Counting.looked = 0
        graph = topological_sort({x: 1})
        looked = Counting.looked
        assert len(graph) == 1 + 3 * diamonds
        assert forward_pass(last, graph) == 2**diamonds
        return looked / diamonds

    assert looks(180) <= looks(18) < 20


def test_a_chain_of_any_length_is_sorted_and_swept():
    x = last = Input()
    for _ in range(20_000):
        last = Add(last)
    forward_and_backward(topological_sort({x: 3}))
    assert (last.value, x.gradients[x]) == (3, 1.0)


def test_the_order_is_the_same_at_each_run():
    def names():
        inputs = [Input(name) for name in "abcd"]
        for a, b in itertools.permutations(inputs, 2):
            Mul(a, b, name=a.name + b.name)
        return [x.name for x in topological_sort(dict.fromkeys(inputs, 1))]

    assert names() == names()


def test_a_circle_is_refused_and_nothing_is_fed():
    x = Input("x")
    a = Add(x, name="a")
    b = Add(a)
    a.inbound_nodes.append(b)
    b.outbound_nodes.append(a)
    with pytest.raises(ValueError, match="<Add a: no value> is computed from itself"):
        topological_sort({x: 1})
    assert x.value is None


# --- the cost -----------------------------------------------------------------------


class Loss(Node):
    """A cost of a student's own, right for any upstream."""

    def __init__(self, y, a):
        super().__init__([y, a])

    def forward(self):
        y, a = [n.value for n in self.inbound_nodes]
        self.value = np.mean(np.abs(y - a))

    def backward(self):
        y, a = self.inbound_nodes
        slope = np.sign(y.value - a.value) / np.size(y.value)
        self.gradients = {y: slope, a: -slope}


@pytest.mark.parametrize("cost", [MSE, Loss, lambda y, a: Add(MSE(y, a), Mul(a, a))])
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("order", range(6))
def test_the_cost_is_the_last_node_whatever_others_there_are(cost, before, order):
    x, y, w, b = Input(), Input(), Input(), Input()
    line = Linear(x, w, b)
    if before:
        Sigmoid(line)
    end = cost(y, line)
    if not before:
        Sigmoid(Add(line, line))
        Mul(x, x)
    feed = [(x, np.ones((3, 1))), (y, np.ones((3, 1))), (w, np.ones((1, 1))), (b, np.ones(1))]
    random.Random(order).shuffle(feed)
    graph = topological_sort(dict(feed))
    assert graph[-1] is end
    forward_and_backward(graph)
    alone = {x: x.gradients[x] for x, _ in feed}
    if cost is Loss:
        assert alone[b].tolist() == [1.0]


def test_nodes_beside_the_cost_pass_nothing_back():
    x, y = Input(), Input()
    MSE(y, x)
    beside = Mul(x, x)
    graph = topological_sort({y: 1.0, x: 4.0})
    forward_and_backward(graph)
    assert (beside.value, x.gradients[x], y.gradients[y]) == (16.0, 6.0, -6.0)


def test_a_node_that_is_only_looked_at_needs_no_backward():
    class Accuracy(Node):
        def __init__(self, y, a):
            super().__init__([y, a])

        def forward(self):
            y, a = [n.value for n in self.inbound_nodes]
            self.value = np.mean((a > 0.5) == (y > 0.5))

    x, y = Input(), Input()
    a = Sigmoid(x)
    MSE(y, a)
    seen = Accuracy(y, a)
    graph = topological_sort({x: np.array([2.0, -1.0]), y: np.array([1.0, 1.0])})
    assert isinstance(graph[-1], MSE)
    forward_and_backward(graph)
    assert seen.value == 0.5
    assert np.all(x.gradients[x] != 0)


# --- several graphs -------------------------------------------------------------------


def both(shared, other):
    """Two costs of one weight: one of fed Inputs, and one of `other`."""
    a, b = Input("a"), Input("b")
    first, second = Mul(a, shared, name="first"), Mul(b, other, shared, name="second")
    return a, b, first, second


def test_graphs_that_share_an_input_do_not_disturb_each_other():
    w, one = Input("w"), Input("one")
    a, b, first, second = both(w, one)
    w_ = np.array([2.0])
    for _ in range(3):
        graph = topological_sort({w: w_, a: 3.0})
        assert set(graph) == {w, a, first}
        forward_and_backward(graph)
        assert w.gradients[w].tolist() == [3.0]
        graph2 = topological_sort({b: 5.0, one: 1.0, w: w_})
        assert set(graph2) == {w, b, one, second}
        forward_and_backward(graph2)
        assert w.gradients[w].tolist() == [5.0]
        assert first.gradients[a] == 2.0  # as its own graph has left it
        forward_and_backward(graph)
        assert w.gradients[w].tolist() == [3.0]


def test_a_students_node_sees_zeros_from_another_graph():
    class Twice(Node):
        def __init__(self, x):
            super().__init__([x])

        def forward(self):
            self.value = 2 * self.inbound_nodes[0].value

        def backward(self):
            self.gradients = {self.inbound_nodes[0]: np.zeros_like(self.value)}
            for n in self.outbound_nodes:
                self.gradients[self.inbound_nodes[0]] += 2 * n.gradients[self]

    x, y, z = Input(), Input(), Input()
    double = Twice(x)
    MSE(y, double)
    other = Mul(double, z)
    graph = topological_sort({x: np.array([[1.0]]), y: np.array([0.0])})
    forward_and_backward(graph)
    assert x.gradients[x].tolist() == [[8.0]]
    assert (other.value, other.gradients) == (None, {})


def test_inputs_keep_their_values_where_no_graph_is_fed_as_a_whole():
    x, w, b, y = Input(), Input(), Input(), Input()
    line = Linear(x, w, b)
    cost = MSE(y, line)
    forward_pass(cost, topological_sort({x: np.ones((2, 1)), w: np.ones((1, 1)),
                                         b: np.zeros(1), y: np.zeros(2)}))  # fmt: skip
    graph = topological_sort({x: np.full((3, 1), 5.0), y: np.zeros(3)})
    assert forward_pass(line, graph).tolist() == [[5.0]] * 3
    forward_and_backward(graph)
    np.testing.assert_allclose(w.gradients[w], [[50.0]], rtol=1e-15)


def test_a_batch_may_have_another_size_than_what_was_sorted_with():
    x, y, w, b = Input(), Input(), Input(), Input()
    cost = MSE(y, Linear(x, w, b))
    graph = topological_sort({x: np.ones((4, 2)), y: np.ones(4), w: np.ones((2, 1)), b: np.ones(1)})
    for size in (1, 7, 4):
        x.value, y.value = np.ones((size, 2)), np.full(size, 3.0)
        forward_and_backward(graph)
        assert (cost.value, x.gradients[x].shape) == (0.0, (size, 2))


def test_the_passes_may_be_loops_of_a_students_own():
    x, y, w, b = Input(), Input(), Input(), Input()
    cost = MSE(y, Sigmoid(Linear(x, w, b)))
    Mul(w, w)
    graph = topological_sort({x: np.eye(2), y: np.ones(2), w: np.ones((2, 1)), b: np.zeros(1)})
    for n in graph:
        n.forward()
    for n in graph[::-1]:
        n.backward()
    by_hand = [n.gradients for n in graph]
    forward_and_backward(graph)
    assert graph[-1] is cost
    for one, other in zip(by_hand, [n.gradients for n in graph], strict=True):
        assert list(one) == list(other)
        assert all(np.array_equal(one[n], other[n]) for n in one)


# --- nodes of one's own ---------------------------------------------------------------


class ReLU(Node):
    """As a student writes it."""

    def __init__(self, x):
        Node.__init__(self, [x])

    def forward(self):
        self.value = np.maximum(self.inbound_nodes[0].value, 0)

    def backward(self):
        self.gradients = {n: np.zeros_like(n.value) for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            cost = n.gradients[self]
            self.gradients[self.inbound_nodes[0]] += (self.value > 0) * cost


def test_a_students_node_takes_part_in_both_directions():
    x, y, w, b = Input(), Input(), Input(), Input()
    cost = MSE(y, ReLU(Linear(x, w, b)))
    feed = {x: np.array([[1.0], [-1.0]]), y: np.zeros(2), w: np.array([[3.0]]), b: np.zeros(1)}
    graph = topological_sort(feed)
    forward_and_backward(graph)
    assert cost.value == 4.5
    assert (w.gradients[w].tolist(), b.gradients[b].tolist()) == ([[3.0]], [3.0])
    sgd_update([w, b], 0.5)
    assert feed[w].tolist() == [[1.5]]


def test_the_base_class_computes_nothing():
    node = Node()
    with pytest.raises(NotImplementedError, match=r"Node has no forward\(\): write one"):
        node.forward()
    with pytest.raises(NotImplementedError, match=r"Node has no backward\(\): write one"):
        node.backward()


def test_a_layer_may_be_called_again_on_the_same_weights():
    x, y, w, b = Input(), Input(), Input(), Input()
    layer = Linear(w, b)
    first, second = layer(x), layer(y)
    assert first is layer
    assert second is not layer
    graph = topological_sort({x: 2, y: 3, w: 10, b: 1})
    assert (forward_pass(first, graph), forward_pass(second, graph)) == (21, 31)
    assert w.outbound_nodes == [first, second]


# --- mistakes ---------------------------------------------------------------------------

x, y = Input("x"), Input("y")
MISTAKES = {
    "a number for a node": (
        lambda: Add(x, 5), TypeError, "Add: inbound nodes must be nodes, got 5; make an Input()"
    ),
    "a number for a name": (lambda: Input(5), TypeError, "Input: name must be a string, got 5"),
    "nothing to add": (lambda: Add(), TypeError, "Add: takes at least one node, got none"),
    "one argument of a layer": (lambda: Linear(x), TypeError, "Linear: takes X, W and b"),
    "lists of two lengths": (
        lambda: Linear([x], [x, y], y), ValueError, "Linear: 1 inputs, but 2 weights"
    ),
    "a list to feed": (
        lambda: topological_sort([x]), TypeError, "topological_sort: feed_dict must be a dict"
    ),
    "a name to feed": (
        lambda: topological_sort({"x": 1}), TypeError, "only Inputs are fed, got 'x' as a key"
    ),
    "a computed node to feed": (
        lambda: topological_sort({Add(x, y, name="f"): 1}), TypeError,
        "only Inputs are fed, got <Add f: no value> as a key",
    ),
    "an Input without a value": (
        lambda: forward_pass(topological_sort({Input("n"): 1}) and [Add(Input("m"))]), ValueError,
        "inbound node 0, <Input m: no value>; feed it",
    ),
    "an output that was not sorted": (
        lambda: forward_pass(Add(Input("p"), name="f"), topological_sort({Input(): 1})),
        ValueError, "forward_pass: <Add f: no value> is not among the sorted nodes",
    ),
    "weights without a layer before them": (
        lambda: forward_pass(topological_sort({x: 1, y: 2}) and [Linear(x, y)]), ValueError,
        "it has weights only; call it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    make, kind, message = MISTAKES[mistake]
    with pytest.raises(kind, match=re.escape(message)):
        make()


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((3, 2), (2, 3)), ((6,), (3, 2)), ((0,), (0,))])
def test_a_cost_refuses_what_does_not_pair(shapes):
    cost = MSE(Input(), Input())
    targets, predictions = map(np.ones, shapes)
    graph = topological_sort(dict(zip(cost.inbound_nodes, (targets, predictions), strict=True)))
    with pytest.raises(ValueError, match=r"MSE: (targets .* do not pair|no numbers)"):
        forward_pass(graph)


def test_an_error_says_in_which_node_it_arose():
    x, w, b = Input("X"), Input("W"), Input("b")
    graph = topological_sort({x: np.ones((2, 3)), w: np.ones((2, 1)), b: 0})
    f = Linear(x, w, b, "l1")
    graph = topological_sort({x: np.ones((2, 3)), w: np.ones((2, 1)), b: 0})
    with pytest.raises(ValueError, match="shapes") as caught:
        forward_pass(f, graph)
    (note,) = caught.value.__notes__
    assert note == (
        "in forward() of <Linear l1: no value>, computed from [<Input X: 2 x 3 numbers>, "
        "<Input W: 2 x 1 numbers>, <Input b: 0>]"
    )


@pytest.mark.parametrize(("value", "words"), [
    (5, "5"), (np.float64(0.5), "0.5"), ("x", "'x'"), ([[1, 2], [3]], "list of 2"),
    (np.ones((2, 3)), "2 x 3 numbers"), (np.array(2.0), "array(2.)"), (None, "no value"),
])  # fmt: skip
def test_a_node_says_what_it_holds(value, words):
    x = Input("x")
    x.value = value
    assert repr(x) == f"<Input x: {words}>"


def test_a_forgotten_gradient_is_no_zero():
    class Lazy(ReLU):
        def backward(self):
            self.gradients = {"": 0}

    x, y = Input("x"), Input()
    MSE(y, Lazy(x))
    graph = topological_sort({x: np.ones(2), y: np.ones(2)})
    with pytest.raises(RuntimeError, match=r"Lazy.backward\(\) passes nothing back to .*Input x"):
        forward_and_backward(graph)


def test_a_node_in_the_middle_must_have_a_backward():
    class Forward(ReLU):
        backward = Node.backward

    x, y = Input(), Input()
    MSE(y, Forward(x))
    with pytest.raises(NotImplementedError, match=r"Forward has no backward\(\)"):
        forward_and_backward(topological_sort({x: np.ones(2), y: np.ones(2)}))


# --- on the tape ------------------------------------------------------------------------


def test_to_values_leaves_the_nodes_as_they_are():
    x, y = Input(), Input()
    cost = MSE(y, ReLU(x))
    forward_and_backward(topological_sort({x: np.array([[2.0], [-1.0]]), y: np.zeros(2)}))
    before = [(n, dict(vars(n))) for n in (x, y, *cost.inbound_nodes, cost)]
    to_values(cost).backward()
    for n, state in before:
        assert vars(n) == state
        assert all(vars(n)[name] is state[name] for name in state)


def test_a_students_backward_is_what_the_tape_sweeps():
    class Wrong(ReLU):
        def backward(self):
            super().backward()
            self.gradients = {n: 10 * g for n, g in self.gradients.items()}

    for kind, factor in ((ReLU, 1.0), (Wrong, 10.0)):
        x, y = Input("x"), Input("y")
        cost = MSE(y, kind(x))
        forward_and_backward(topological_sort({x: np.array([[3.0, -1.0]]), y: np.zeros((1, 2))}))
        value = to_values(cost)
        value.backward()
        leaves = {v.label: v for v in everything(value)}
        assert [leaves[f"x[0, {k}]"].grad for k in (0, 1)] == [3.0 * factor, 0.0]
        assert x.gradients[x].tolist() == [[3.0 * factor, 0.0]]


def everything(v):
    """A Value and all that it was computed from."""
    found, waiting = [], [v]
    while waiting:
        v = waiting.pop()
        found.append(v)
        waiting += v.inputs
    return found


def test_one_sample_of_a_batch():
    x, y, w, b = Input("x"), Input("y"), Input("w"), Input("b")
    cost = MSE(y, Linear(x, w, b))
    topological_sort({x: np.array([[1.0], [2.0], [5.0]]), y: np.zeros(3), w: np.ones((1, 1)),
                      b: np.zeros(1)})  # fmt: skip
    assert [to_values(cost, k).data for k in range(3)] == [1.0, 4.0, 25.0]
    assert {v.label for v in everything(to_values(cost, 2))} >= {"x[2, 0]", "y[2]", "w[0, 0]"}
    for wrong in (3, -1):
        with pytest.raises(IndexError, match="the batch has 3 rows"):
            to_values(cost, wrong)
    with pytest.raises(ValueError, match="feed it, or set its value, before it is shown"):
        to_values(Add(Input()))
