"""One thing has one name: in diagrams, pages, recordings, networks and `named_parameters()`."""

import gc
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import viz
from miniflow import Value
from miniflow.nn import MLP, Layer, Module, Neuron, mse
from miniflow.tape.core import current
from support.profiles import examples
from viz.diagram.graph import graph_of
from viz.output.names import holder_of, neuron_of, within
from viz.player.steps import take_steps

X = [1.0, -2.0]


class Nest(Module):
    """Layers under other names, parameters of its own, one neuron twice."""

    def __init__(self):
        self.encoder = MLP(2, [2, 2], activation="tanh", seed=1)
        self.heads = {"a": Layer(2, 1, seed=2), "b": Neuron(2, seed=3)}
        self.again = self.heads["b"]
        self.scale = Value(2.0)

    def __call__(self, x):
        hidden = self.encoder(x)
        return self.scale * (self.heads["a"](hidden) + self.heads["b"](hidden) + self.again(hidden))


class Parent(Module):
    """A child knows its parent."""

    def __init__(self):
        self.child = Module()
        self.child.parent = self
        self.child.w = Value(3.0)

    def __call__(self, x):
        return self.child.w * x[0]


MAKERS = {
    "neuron": lambda: Neuron(2, seed=1),
    "layer": lambda: Layer(2, 1, seed=1),
    "mlp": lambda: MLP(2, [3, 2, 1], activation="tanh", seed=1),
    "nest": Nest,
    "parent": Parent,
}


def drawn_parameters(graph):
    return {graph.names[n] for n in graph.parameters}


def played_parameters(steps):
    return {x.name for x in steps.nodes if x.kind == "parameter"}


@pytest.mark.parametrize("name", MAKERS)
def test_parameters_are_called_as_their_model_calls_them(name):
    model = MAKERS[name]()
    y = model(X)
    named = {name for name, _ in model.named_parameters()}
    assert named == drawn_parameters(viz.snapshot(y)) == played_parameters(take_steps(y))
    assert named == drawn_parameters(viz.snapshot(y, parameters=model))
    with viz.record(model) as recording:
        model(X).backward()
    assert named == set(recording.names) == played_parameters(recording.iterations[0].steps)


@pytest.mark.parametrize("name", MAKERS)
def test_names_outlive_the_model(name):
    model = MAKERS[name]()
    named = {name for name, _ in model.named_parameters()}
    y = model(X)
    del model
    gc.collect()
    if name != "parent":  # of a circle nobody knows who goes first
        assert named == drawn_parameters(viz.snapshot(y)) == played_parameters(take_steps(y))
    assert len(viz.snapshot(y).parameters) == len(named)


def test_a_label_is_the_users_and_stays(tmp_path):
    model = Neuron(1, seed=1)
    model.w[0].label = "slope"
    y = model([2.0])
    assert drawn_parameters(viz.snapshot(y)) == played_parameters(take_steps(y)) == {"slope", "b"}
    kept = model.b
    del model
    gc.collect()
    assert drawn_parameters(viz.snapshot(y)) == played_parameters(take_steps(y)) == {"slope", "b"}
    assert kept.label == "b"


def test_modules_that_die_leave_nothing_behind_in_a_long_loop(in_thread):
    def labels():  # of a tape that other tests have not filled
        for _ in range(4000):
            MLP(2, [3, 1], seed=1)(X).backward()
        return len(current().labels)

    assert in_thread(labels) < 1500 * 13


def test_inputs_are_inputs_in_diagram_and_page():
    model = MLP(2, [2, 1], seed=1)
    y = (model(X) - 1.0) ** 2
    graph, steps = viz.snapshot(y), take_steps(y)
    kinds = sorted(graph.kind(n) for n in range(len(graph)))
    assert kinds == sorted(x.kind for x in steps.nodes)
    assert sum(kind == "input" for kind in kinds) == 2
    assert sum(kind == "constant" for kind in kinds) == 2


def test_boxes_in_a_frame_have_short_names_that_tell_them_apart():
    y = MLP(2, [3, 1], seed=1)(X)
    graph = graph_of(y, None, "draw_dot")
    frames = graph.frames(inputs=True)
    seen = {(frames[n], within(graph.names[n], frames[n])) for n in graph.parameters}
    assert len(seen) == len(graph.parameters)
    assert {name for _, name in seen} == {"w.0", "w.1", "w.2", "b"}


def test_captions_and_kinds_are_the_same_words(tmp_path):
    y = MLP(2, [2, 1], seed=1)(X) * 3.0
    y.backward()
    source = viz.draw_dot(y).source
    page = viz.play(y, tmp_path / "x.html").read_text(encoding="utf-8")
    for word in ("value", "gradient"):
        assert f">{word}<" in source
        assert f'class: "small" }}, "{word}")' in page
    for kind in ("input", "parameter", "constant", "computed", "output"):
        assert f">{kind}<" in source
        assert f'"{kind}"' in page
    assert ">×<" in source or "<b>×</b>" in source
    assert "<b>*</b>" not in source


@given(st.lists(st.sampled_from(["a", "layers.0", "b.c", "neurons.1"]), max_size=3), st.data())
@examples(100)
def test_a_short_name_is_the_end_of_the_full_one(frame, data):
    start = data.draw(
        st.sampled_from(["", *[".".join(frame[k:]) + "." for k in range(len(frame))]])
    )
    name = start + data.draw(st.sampled_from(["w.0", "b", "neurons.2.w.1"]))
    short = within(name, frame)
    assert name.endswith(short)
    assert short
    if frame and name.startswith(".".join(frame) + "."):
        assert ".".join(frame) + "." + short == name or len(short) < len(name)


def test_what_holds_a_parameter():
    model = MLP(2, [2, 1], seed=1)
    holders = {holder_of(name) for name, _ in model.named_parameters()}
    assert holders == {neuron_of(name) for name, _ in model.named_parameters()}
    assert holders == {"layers.0.neurons.0", "layers.0.neurons.1", "layers.1.neurons.0"}


def test_network_and_plots_name_layers_alike():
    model = MLP(2, [2, 1], seed=1)
    mse([model(X)], [1.0]).backward()
    source = viz.draw_network(model).source
    for layer in ("layers.0", "layers.1"):
        assert layer in source
    assert not re.search(r"layer \d", source)
