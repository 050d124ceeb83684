"""The nodes' gradients, against the engine's own and against complex steps."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value
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

# --- random networks --------------------------------------------------------------

number = st.integers(-4, 4).map(lambda k: k / 4)


def array(data, shape, *, ints=False):
    """An array of that shape; a plain number for the shape ()."""
    count = int(np.prod(shape))
    xs = data.draw(st.lists(number, min_size=count, max_size=count))
    xs = np.array([int(4 * x) for x in xs] if ints else xs).reshape(shape)
    return xs if shape else xs.item()


class Network:
    """A random network of the lesson's nodes, its feed and its cost."""

    def __init__(self, data):
        self.data = data
        self.feed = {}
        rows, width = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
        self.shapes = [(rows, width), (width,), (rows, 1), (), (1, width)]
        last = self.input((rows, width))
        nodes = [last]
        for _ in range(data.draw(st.integers(0, 4))):
            last = self.node(nodes, last, rows)
            nodes.append(last)
        cost = self.cost(last, nodes, rows)
        self.order = topological_sort(self.feed)
        self.end = cost

    def input(self, shape):
        x = Input()
        self.feed[x] = array(self.data, shape, ints=self.data.draw(st.booleans()))
        return x

    def node(self, nodes, last, rows):
        """A node on the last one and others."""
        kind = self.data.draw(st.sampled_from(["linear", "sigmoid", "add", "mul", "twice"]))
        width = self.width(last)
        if kind == "linear":
            out = self.data.draw(st.integers(1, 3))
            bias = self.data.draw(st.sampled_from([(out,), (1, out), ()]))
            layer = Linear(last, self.input((width, out)), self.input(bias))
            layer.width = out
            return layer
        if kind == "sigmoid":
            made = Sigmoid(last)
        elif kind == "twice":
            made = self.data.draw(st.sampled_from([Add, Mul]))(last, last)
        else:
            shape = self.data.draw(st.sampled_from([(rows, width), (width,), (rows, 1), ()]))
            others = [self.input(shape), *[x for x in nodes if self.width(x) == width][:1]]
            made = (Add if kind == "add" else Mul)(last, *others)
        made.width = width
        return made

    def width(self, x):
        return getattr(x, "width", None) or self.feed[x].shape[1]

    def cost(self, last, nodes, rows):
        """An MSE, alone or as a part of a sum; beside it nodes that nothing is made of."""
        flat = self.width(last) == 1 and self.data.draw(st.booleans())
        cost = MSE(self.input((rows,) if flat else (rows, self.width(last))), last)
        if self.data.draw(st.booleans()):
            cost = Add(Mul(cost, self.input(())), cost, MSE(last, self.input(())))
        if self.data.draw(st.booleans()):
            Add(nodes[0], nodes[0])
        return cost


def shaped(gradient, value):
    return np.reshape(gradient, np.shape(value))


@examples(200)
@given(data=st.data())
def test_gradients_are_the_engines(data):
    network = Network(data)
    forward_and_backward(network.order)
    assert network.order[-1] is network.end
    gradients = {x: x.gradients[x] for x in network.feed}
    recorded = to_values(network.end)
    np.testing.assert_allclose(recorded.data, network.end.value, rtol=1e-13, atol=1e-15)
    fed = {x: on_tape(value) for x, value in network.feed.items()}
    cost = forward_pass(network.end, topological_sort(fed))
    cost.backward()
    assert cost.data == recorded.data
    for x, values in fed.items():
        expected = [v.grad for v in np.ravel(values)]
        np.testing.assert_allclose(np.ravel(gradients[x]), expected, rtol=1e-11, atol=1e-13)


def on_tape(value):
    """A value of miniflow's Values."""
    return np.vectorize(Value, otypes=[object])(value) if np.ndim(value) else Value(value)


@examples(100)
@given(data=st.data())
def test_gradients_are_those_of_complex_steps(data):
    network = Network(data)
    forward_and_backward(network.order)
    found = {x: x.gradients[x] for x in network.feed}
    for x, value in network.feed.items():
        for place in np.ndindex(np.shape(value)):
            moved = np.array(value, dtype=complex)
            moved[place] += 1e-20j
            x.value = moved if moved.ndim else moved.item()
            slope = forward_pass(network.end, network.order).imag / 1e-20
            got = shaped(found[x], value)[place]
            np.testing.assert_allclose(got, slope, rtol=1e-11, atol=1e-13)
        x.value = value


# --- shapes, kinds of numbers -------------------------------------------------------


def swept(make, *values):
    """The Inputs of a cost, after both passes, and the cost."""
    inputs = [Input() for _ in values]
    cost = make(*inputs)
    graph = topological_sort(dict(zip(inputs, values, strict=True)))
    forward_and_backward(graph)
    assert graph[-1] is cost
    return inputs, cost


def test_shapes_are_the_lessons():
    values = np.ones((2, 2)), np.array([1, 2]), np.ones((2, 1)), np.ones(1)
    inputs, cost = swept(lambda x, y, w, b: MSE(y, Sigmoid(Linear(x, w, b))), *values)
    shapes = [t.gradients[t].shape for t in inputs]
    assert shapes == [(2, 2), (2, 1), (2, 1), (1,)]
    assert list(cost.gradients) == cost.inbound_nodes
    assert inputs[0].gradients.keys() == {inputs[0]}


def test_the_gradient_of_several_outputs_is_that_of_their_mean():
    (_, a), _ = swept(MSE, np.zeros((2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(a.gradients[a], np.full((2, 3), 1 / 3))


def test_a_cost_need_not_be_the_last_node():
    (y, a, w), _ = swept(lambda y, a, w: Mul(MSE(y, a), w), np.array([1.0]), np.array([3.0]), 5)
    assert (y.gradients[y].item(), a.gradients[a].item(), w.gradients[w]) == (-20.0, 20.0, 4.0)


@pytest.mark.parametrize(("make", "value", "slope"), [
    (lambda x: Add(x, x), 6, 2.0),
    (lambda x: Mul(x, x), 9, 6.0),
    (lambda x: Add(Add(x, x), x), 9, 3.0),
    (lambda x: Mul(Mul(x, x), Add(x, x)), 54, 54.0),
    (lambda x: Linear(x, x, x), 12, 7.0),
    (lambda x: Linear([x, x], [x, x], x), 21, 13.0),
    (lambda x: MSE(x, x), 0.0, 0.0),
])  # fmt: skip
def test_a_node_may_be_used_twice(make, value, slope):
    (x,), cost = swept(make, 3)
    assert (cost.value, x.gradients[x]) == (value, slope)
    assert len(x.outbound_nodes) == len(set(x.outbound_nodes))


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint8, np.float32, bool, object])
def test_numbers_of_any_kind_are_taken_as_they_are(kind):
    w_ = np.array([[3], [1]], dtype=kind)
    x_, y_ = np.array([[100, 1], [2, 0]], dtype=kind), np.array([0, 1], dtype=kind)
    kept = [x.copy() for x in (w_, x_, y_)]
    (_, _, w, _), cost = swept(lambda x, y, w, b: MSE(y, Linear(x, w, b)), x_, y_, w_, 0)
    assert w.value is w_
    for before, after in zip(kept, (w_, x_, y_), strict=True):
        np.testing.assert_array_equal(before, after)
        assert before.dtype == after.dtype
    assert np.all(np.isfinite(np.asarray(w.gradients[w], dtype=float)))
    assert float(cost.value) >= 0


def test_ints_of_eight_bits_do_not_wrap_round_in_a_cost():
    (y, a), cost = swept(MSE, np.array([0], np.uint8), np.array([200], np.uint8))
    assert cost.value == 40_000.0
    assert a.gradients[a].tolist() == [[400.0]]
    assert y.gradients[y].tolist() == [[-400.0]]


def test_lists_are_taken_for_arrays_and_stay_lists():
    xs, ws = [6, 14, 3], [0.5, 0.25, 1.4]
    (x, w, b), f = swept(Linear, xs, ws, 2)
    assert x.value is xs
    assert f.value == pytest.approx(12.7, rel=1e-15)
    assert x.gradients[x].tolist() == ws
    assert w.gradients[w].tolist() == xs
    assert b.gradients[b] == 1.0


@pytest.mark.parametrize("shapes", [
    ((3,), (3,), ()), ((3,), (3, 2), (2,)), ((4, 3), (3,), ()), ((4, 3), (3,), (4,)),
    ((2, 4, 3), (3, 2), (2,)), ((), (), ()), ((4, 3), (), (3,)), ((), (3,), (3,)),
])  # fmt: skip
def test_layers_of_any_shape_have_the_engines_gradients(shapes):
    random = np.random.default_rng(1)
    values = [random.normal(size=shape) if shape else 0.5 for shape in shapes]
    inputs, f = swept(Linear, *values)
    for x, value in zip(inputs, values, strict=True):
        assert np.shape(x.gradients[x]) == np.shape(value)
        for place in np.ndindex(np.shape(value)):
            moved = np.array(value, dtype=complex)
            moved[place] += 1e-20j
            x.value = moved if moved.ndim else moved.item()
            f.forward()
            slope = np.sum(f.value).imag / 1e-20
            assert np.asarray(x.gradients[x])[place] == pytest.approx(slope, rel=1e-12)
        x.value = value


def test_sigmoid_is_silent_far_from_zero():
    (x,), f = swept(Sigmoid, np.array([-1000.0, -40.0, 0.0, 40.0, 1000.0, np.inf, -np.inf]))
    np.testing.assert_allclose(f.value, [0, np.exp(-40), 0.5, 1, 1, 1, 0], rtol=1e-15)
    assert np.all(np.isfinite(x.gradients[x]))
    with np.errstate(all="raise", under="ignore"):
        f.forward()


# --- descent ------------------------------------------------------------------------


def test_descent_changes_the_array_that_was_fed():
    w_ = np.array([[2.0], [3.0]])
    w = Input()
    w.value = w_
    w.gradients = {w: np.array([[10.0], [0.0]])}
    sgd_update([w], learning_rate=0.1)
    assert w.value is w_
    assert w_.tolist() == [[1.0], [3.0]]
    sgd_update([w], 0.1)
    assert w_.tolist() == [[0.0], [3.0]]
    sgd_update((w,))
    assert w_[0, 0] == -0.1


def test_descent_changes_arrays_of_subclasses_too(tmp_path):
    w = Input()
    w.value = kept = np.memmap(tmp_path / "w", dtype=float, mode="w+", shape=3)
    w.gradients = {w: np.ones(3)}
    sgd_update([w], 0.5)
    assert w.value is kept
    assert kept.tolist() == [-0.5] * 3


@pytest.mark.parametrize("value", [
    np.array([2, 3]), [2, 3], [2.0, 3.0], (2, 3), np.array([2.0, 3.0], dtype=object),
])  # fmt: skip
def test_descent_replaces_what_is_no_array_of_floats(value):
    w = Input()
    w.value = value
    before = copy.deepcopy(value)
    w.gradients = {w: np.array([10.0, 0.0])}
    sgd_update([w], 0.1)
    assert np.asarray(w.value, dtype=float).tolist() == [1.0, 3.0]
    assert np.array_equal(value, before)


def test_descent_leaves_an_array_alone_that_must_not_be_written_to():
    w = Input()
    w.value = kept = np.broadcast_to(2.0, 3)
    w.gradients = {w: np.ones(3)}
    sgd_update([w], 0.5)
    assert (w.value.tolist(), kept.tolist()) == ([1.5] * 3, [2.0] * 3)


def test_descent_moves_nothing_where_a_gradient_is_missing():
    w, b = Input("w"), Input("b")
    w.value, b.value = np.array([1.0]), np.array([1.0])
    w.gradients = {w: np.array([1.0])}
    with pytest.raises(RuntimeError, match=r"sgd_update: <Input b: .*> has no gradient"):
        sgd_update([w, b])
    assert w.value.tolist() == [1.0]


def test_integer_weights_train_from_the_first_step():
    x, y, w, b = Input(), Input(), Input(), Input()
    MSE(y, Linear(x, w, b))
    feed = {x: np.eye(2, dtype=int), y: np.array([3, 5]), w: np.array([[0], [0]]), b: 0}
    graph = topological_sort(feed)
    costs = []
    for _ in range(300):
        forward_and_backward(graph)
        sgd_update([w, b], 0.2)
        costs.append(graph[-1].value)
    assert costs[0] == 17.0
    assert costs[-1] < 1e-9
    assert feed[w].tolist() == [[0], [0]]


# --- pickles ------------------------------------------------------------------------


def test_trainables_pickle_without_the_network_around_them():
    values = np.ones((500, 2)), np.ones(500), np.ones((2, 1)), np.zeros(1)
    (x, y, w, b), _ = swept(lambda x, y, w, b: MSE(y, Linear(x, w, b)), *values)
    text = pickle.dumps([w, b])
    assert len(text) < 2000
    again, bias = pickle.loads(text)
    np.testing.assert_array_equal(again.value, w.value)
    np.testing.assert_array_equal(again.gradients[again], w.gradients[w])
    MSE(y, Linear(x, again, bias))
    forward_and_backward(topological_sort({y: values[1], x: values[0], again: again.value,
                                           bias: bias.value}))  # fmt: skip
    np.testing.assert_array_equal(again.gradients[again], w.gradients[w])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_of_a_graph_is_one_of_its_own(copied):
    x, y = Input("x"), Input("y")
    f = Add(Mul(x, y), x, x)
    graph = topological_sort({x: 3, y: 4})
    forward_and_backward(graph)
    again = copied(graph)
    assert [type(n) for n in again] == [type(n) for n in graph]
    assert not set(again) & set(graph)
    again[0].value = 10
    forward_and_backward(again)
    assert (again[-1].value, f.value) == (60, 18)
    assert again[0].gradients[again[0]] == x.gradients[x] == 6.0
    assert len(x.outbound_nodes) == 2


def test_a_sorted_graph_of_any_depth_pickles():
    last = x = Input()
    for _ in range(5000):
        last = Add(last)
    again = pickle.loads(pickle.dumps(topological_sort({x: 1})))
    forward_and_backward(again)
    assert (len(again), again[-1].value, again[0].gradients[again[0]]) == (5001, 1, 1.0)


def test_nodes_are_compared_by_identity():
    x, y = Input("x"), Input("x")
    assert x != y
    assert {x: 1, y: 2}[y] == 2
    assert len({x, y, x}) == 2
    assert Node.__eq__ is object.__eq__
