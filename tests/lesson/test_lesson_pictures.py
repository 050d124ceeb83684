"""What `viz` shows of the lesson's nodes: their network, on the tape."""

import json
import re

import numpy as np
import pytest

import viz
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
    topological_sort,
)
from miniflow.lesson.values import pictured
from support.scripts import python


class Cube(Node):
    """A student's node: its forward is for floats only."""

    def __init__(self, x):
        super().__init__([x])

    def forward(self):
        self.value = np.array(self.inbound_nodes[0].value, dtype=float) ** 3

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: sum(3 * x.value**2 * n.gradients[self] for n in self.outbound_nodes)}


def network(rows=11, features=10, hidden=10, activation=Sigmoid, *, swept=True):
    """The lesson's network, fed, and its graph."""
    random = np.random.default_rng(1)
    x, y, w1, b1, w2, b2 = (Input(name) for name in ("X", "y", "W1", "b1", "W2", "b2"))
    MSE(y, Linear(activation(Linear(x, w1, b1, "l1")), w2, b2, "l2"), "cost")
    sizes = {x: (rows, features), y: rows, w1: (features, hidden), b1: hidden, w2: (hidden, 1),
             b2: 1}  # fmt: skip
    graph = topological_sort({n: random.normal(size=size) for n, size in sizes.items()})
    if swept:
        forward_and_backward(graph)
    return graph


def titles(diagram):
    """The titles of boxes that stand for a node's numbers."""
    return re.findall(r"<b>([A-Z]\w+ [^<]*)</b>", diagram.source)


def test_a_network_is_drawn_as_a_box_for_each_node():
    graph = network()
    for root in (graph[-1], graph, graph[::-1], tuple(graph)):
        assert sorted(titles(viz.draw_dot(root))) == [
            "Input X (11 × 10)", "Input y (11)", "Linear l1 (11 × 10)", "Linear l2 (11 × 1)",
            "MSE cost", "Sigmoid (11 × 10)",
        ]  # fmt: skip


def test_a_small_network_has_a_box_for_each_number_and_frames():
    graph = network(2, 2, 2)
    names = set(viz.snapshot(graph[-1]).names.values())
    assert names >= {"X[1, 0]", "y[1]", "W1[0, 1]", "b2[0]", "l1[1, 1]", "cost"}
    diagram = viz.draw_dot(graph)
    assert len(titles(diagram)) == diagram.source.count("subgraph cluster") == 4
    assert len(titles(viz.draw_dot(graph, fold=True))) == 6


def test_gradients_in_a_picture_are_the_nodes():
    graph = network(3, 2, 2)
    drawn = viz.snapshot(graph[-1])
    found = dict(zip(drawn.names.values(), [drawn.grads[n] for n in drawn.names], strict=True))
    checked = 0
    for x in graph:
        for place in np.ndindex(np.shape(x.value) if isinstance(x, Input) else ()):
            if place:
                expected = np.reshape(x.gradients[x], np.shape(x.value))[place]
                name = f"{x.name}[{', '.join(map(str, place))}]"
                assert found[name] == pytest.approx(expected, rel=1e-12)
                checked += 1
    assert checked == 6 + 3 + 4 + 2 + 2 + 1
    weights = {drawn.names[n] for n in drawn.parameters}
    assert {re.sub(r"\[.*", "", name) for name in weights} == {"W1", "b1", "W2", "b2"}


def test_without_a_backward_pass_there_are_no_gradients():
    drawn = viz.snapshot(network(2, 2, 2, swept=False)[-1])
    assert set(drawn.grads) == {0.0}


def test_nodes_without_names_are_called_as_their_variables():
    rate, hours = Input(), Input()
    rate.value, hours.value = 4, 5
    pay = Mul(rate, hours)
    drawn = viz.snapshot(pay)
    assert [drawn.names[n] for n in range(3)] == ["rate", "hours", "pay"]


def played(root):
    """The numbers on the page of a node."""
    data = re.search(r"<script [^>]*application/json[^>]*>(.*?)</script>", viz.play(root).text)
    return json.loads(data[1])["graphs"][0]["nodes"]


def test_a_page_plays_all_samples_or_the_first_one():
    names = {x["name"] for x in played(network(2, 2, 2)[-1])}
    assert {"X[0, 0]", "X[1, 1]", "W1[0, 0]", "cost"} <= names
    nodes = played(network())
    rows = {x["name"] for x in nodes if x["name"].startswith("X[")}
    assert rows == {f"X[0, {k}]" for k in range(10)}
    assert {x["kind"] for x in nodes if x["name"].startswith("W1")} == {"parameter"}


def test_a_network_of_digits_is_drawn_from_one_sample():
    graph = network(64, 300, 20)
    (cost,) = pictured(graph, 20_000)
    drawn = viz.snapshot(graph[-1])
    assert len(drawn) < 15_000
    assert [x for x in titles(viz.draw_dot(graph)) if "X" in x] == ["Input X (1 × 300)"]
    assert cost.label == "cost"


def test_a_students_node_is_drawn_and_swept_by_its_own_backward():
    graph = network(2, 2, 2, Cube)
    before = {x: dict(vars(x)) for x in graph}
    drawn = viz.snapshot(graph[-1])
    for x in graph:
        assert {name: id(y) for name, y in vars(x).items()} == {
            name: id(y) for name, y in before[x].items()
        }
    cubes = [n for n, op in enumerate(drawn.ops) if op.name == "Cube"]
    assert len(cubes) == 4
    for n in cubes:
        (x,) = drawn.operands[n]
        assert drawn.data[n] == pytest.approx(drawn.data[x] ** 3)
        assert drawn.grads[x] == pytest.approx(3 * drawn.data[x] ** 2 * drawn.grads[n])


def test_ends_of_a_graph_are_drawn_together():
    x, y = Input("x"), Input("y")
    x.value, y.value = 1, 2
    both = Add(x, y, name="s")
    drawn = viz.snapshot([Mul(both, x, name="p"), Mul(both, y, name="q"), both])
    assert sorted(drawn.names.values()) == ["p", "q", "s", "x", "y"]


def test_values_that_were_fed_keep_their_gradients_and_labels():
    x, v = Input("x"), Value(3.0)
    square = Mul(x, x, name="square")
    forward_and_backward(topological_sort({x: v}))
    assert square.value.data == 9.0
    assert x.gradients[x].data == 6.0
    drawn = viz.snapshot(square)
    assert (drawn.data, drawn.names) == ([3.0, 9.0], {1: "square"})
    assert (v.grad, v.label) == (0.0, "")


def test_a_sheet_and_a_notebook_show_a_node(tmp_path):
    x, y = Input("x"), Input("y")
    product = Mul(x, y, name="product")
    assert product._repr_html_() is None  # it has no numbers yet
    forward_and_backward(topological_sort({x: 3, y: 4}))
    assert "product" in viz.worksheet(product, tmp_path / "sheet.html").read_text("utf-8")
    assert "<svg" in product._repr_html_()


def test_what_cannot_be_drawn_says_why():
    x = Input("x")
    with pytest.raises(ValueError, match="<Input x: no value>: feed it, or set its value"):
        viz.draw_dot(Add(x))


@pytest.mark.parametrize("module", ["viz.diagram.dot", "viz.player.page", "viz.notebook.show"])
def test_pictures_of_values_load_no_lesson(module):
    assert python(f"import sys, {module}; print('miniflow.lesson' in sys.modules)") == "False\n"
