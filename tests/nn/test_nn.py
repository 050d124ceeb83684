"""Neural networks: micrograd's modules, seeds, forward passes, modules in modules."""

import copy
import math as std
import pickle
import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from miniflow import Tape, Value, math, nn, no_grad
from miniflow.nn import MLP, Layer, Module, Neuron
from miniflow.optim import SGD
from support.models import Nest, numbers

# --- micrograd's modules ------------------------------------------------------

# random.seed(1337); MLP(2, [2, 1]): what micrograd 0.1.0 draws, weights then bias
FROZEN = [
    0.23550571390294128, 0.06653114721000164, 0.0, -0.26830328150124894, 0.1715747078045431, 0.0,
    -0.6686254326224383, 0.6487474938152629, 0.0,
]  # fmt: skip


def test_weights_are_micrograds_for_the_same_seed():
    import micrograd.nn

    random.seed(1337)
    theirs = [p.data for p in micrograd.nn.MLP(2, [16, 16, 1]).parameters()]
    random.seed(1337)
    assert numbers(MLP(2, [16, 16, 1])) == theirs
    random.seed(1337)
    assert numbers(MLP(2, [2, 1])) == FROZEN


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda nn: nn.Neuron(3), "ReLUNeuron(3)"),
        (lambda nn: nn.Neuron(3, False), "LinearNeuron(3)"),
        (lambda nn: nn.Neuron(3, nonlin=False), "LinearNeuron(3)"),
        (lambda nn: nn.Layer(1, 2), "Layer of [ReLUNeuron(1), ReLUNeuron(1)]"),
        (lambda nn: nn.Layer(1, 1, nonlin=False), "Layer of [LinearNeuron(1)]"),
        (
            lambda nn: nn.MLP(2, [2, 1]),
            "MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2)], Layer of [LinearNeuron(2)]]",
        ),
    ],
)
def test_modules_print_as_micrograds(build, text):
    import micrograd.nn

    assert repr(build(micrograd.nn)) == text == repr(build(nn)) == str(build(nn))


def test_attributes_are_micrograds():
    model = MLP(3, [2, 1], seed=1)
    assert [len(layer.neurons) for layer in model.layers] == [2, 1]
    assert [[n.nonlin for n in layer.neurons] for layer in model.layers] == [[True] * 2, [False]]
    neuron = model.layers[0].neurons[0]
    assert isinstance(model, Module)
    assert isinstance(neuron, Module)
    assert (len(neuron.w), neuron.b.data) == (3, 0.0)
    assert [*neuron.w, neuron.b] == neuron.parameters() == model.parameters()[:4]
    assert Module().parameters() == []


def test_nonlin_can_be_switched_as_in_micrograd():
    neuron = Neuron(1, seed=1)
    neuron.w[0].data = -1.0
    assert neuron([2.0]).data == 0.0
    neuron.nonlin = False
    assert neuron([2.0]).data == -2.0
    assert repr(neuron) == "LinearNeuron(1)"
    neuron = Neuron(1, False, seed=1)
    neuron.w[0].data, neuron.nonlin = -1.0, True
    assert neuron([2.0]).data == 0.0


@pytest.mark.parametrize("build", [Neuron, lambda *a, **k: Layer(*a, 1, **k)])
def test_options_are_keyword_only(build):
    with pytest.raises(TypeError):
        build(2, True, "tanh", 1)


# --- seeds --------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [lambda seed: Neuron(4, seed=seed), lambda seed: Layer(2, 3, seed=seed),
     lambda seed: MLP(2, [3, 1], seed=seed)],
)  # fmt: skip
@given(seed=st.integers(), disturbance=st.integers())
def test_a_seed_reproduces_and_leaves_the_global_state_alone(build, seed, disturbance):
    random.seed(disturbance)
    state = random.getstate()
    first = numbers(build(seed))
    assert random.getstate() == state
    random.seed(disturbance + 1)
    assert numbers(build(seed)) == first
    random.seed(seed)
    assert numbers(build(None)) == first  # the same generator, in the same order
    assert numbers(build(random.Random(seed))) == first


def test_seeds_are_integers_or_generators():
    assert numbers(MLP(2, [3, 1], seed=np.int64(7))) == numbers(MLP(2, [3, 1], seed=7))
    assert len(numbers(MLP(2, [3, 1], seed=np.random.default_rng(7)))) == 13


@pytest.mark.parametrize("seed", ["7", 1.5, [7], Value(7.0)])
@pytest.mark.parametrize("build", [lambda s: Neuron(1, seed=s), lambda s: MLP(1, [1], seed=s)])
def test_wrong_seeds_are_named(build, seed):
    with pytest.raises(TypeError, match="seed must be an int or a generator, got "):
        build(seed)


def test_weights_are_uniform_in_minus_one_to_one():
    w = [v.data for v in Neuron(4000, seed=1).w]
    assert -1 <= min(w) < -0.99
    assert 0.99 < max(w) <= 1
    assert abs(sum(w)) < 4 * std.sqrt(4000 / 3)  # four standard deviations


def test_without_a_seed_models_differ():
    assert numbers(MLP(2, [3, 1])) != numbers(MLP(2, [3, 1]))


# --- what a forward pass computes and records ---------------------------------

COORDINATE = st.floats(-5, 5)


@given(x=st.lists(COORDINATE, min_size=1, max_size=6), seed=st.integers(0, 99))
def test_a_neuron_is_three_entries(x, seed):
    neuron, inputs = Neuron(len(x), seed=seed), [Value(v) for v in x]
    with Tape() as tape:
        y = neuron(inputs)
    assert [entry.op for entry in tape] == ["dot", "add", "relu"]
    total = sum(w.data * v for w, v in zip(neuron.w, x, strict=True))
    assert y.data == pytest.approx(max(0.0, total), abs=1e-12)
    y.backward()
    on = float(y.data > 0)
    assert neuron.b.grad == on
    assert [w.grad for w in neuron.w] == [on * v for v in x]
    assert [v.grad for v in inputs] == [on * w.data for w in neuron.w]


def test_a_linear_neuron_is_two_entries():
    neuron, x = Neuron(1, nonlin=False, seed=1), Value(1.0)
    with Tape() as tape:
        neuron([x])
    assert [entry.op for entry in tape] == ["dot", "add"]


@pytest.mark.parametrize("nout", [1, 3])
def test_plain_inputs_are_constants_once_for_a_layer(nout):
    layer = Layer(2, nout, seed=1)
    with Tape() as tape:
        layer([1.0, 2.0])
    assert [entry.op for entry in tape] == ["constant"] * 2 + ["dot", "add", "relu"] * nout


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "silu", "gelu", "softplus", "elu"])
def test_activations_have_names(activation):
    by_name = MLP(2, [3, 1], activation=activation, seed=1)
    by_function = MLP(2, [3, 1], activation=getattr(math, activation), seed=1)
    assert repr(by_name) == repr(by_function)
    assert repr(by_name.layers[0].neurons[0]) == f"{activation.capitalize()}Neuron(2)"
    assert by_name([1.0, 2.0]).data == by_function([1.0, 2.0]).data
    out = by_name.layers[0]([1.0, 2.0])
    total = [sum(w.data * x for w, x in zip(n.w, [1, 2], strict=True)) for n in
             by_name.layers[0].neurons]  # fmt: skip
    assert [v.data for v in out] == pytest.approx([getattr(math, activation)(t) for t in total])


@pytest.mark.parametrize("linear", [None, "linear"])
def test_no_activation(linear):
    assert repr(Neuron(2, activation=linear)) == "LinearNeuron(2)"


def test_any_function_is_an_activation():
    neuron = Neuron(1, activation=lambda v: v * v + 1, seed=1)
    neuron.w[0].data = 3.0
    assert neuron([2.0]).data == 37.0
    assert repr(neuron).endswith("Neuron(1)")


@pytest.mark.parametrize("wrong", ["tanhh", "sum", "where", "add", "", 3, False, ["tanh"]])
def test_a_wrong_activation_is_named_with_the_right_ones(wrong):
    for build in (Neuron, lambda n, **k: Layer(n, 1, **k), lambda n, **k: MLP(n, [2, 1], **k)):
        with pytest.raises(ValueError, match=r"activation must be a function of one.*'tanh'"):
            build(2, activation=wrong)


@pytest.mark.parametrize("module", [Neuron(2, seed=1), Layer(2, 3, seed=1), MLP(2, [3, 1], seed=1)])
@pytest.mark.parametrize("x", [[], [1.0], [1.0, 2.0, 3.0]])
def test_a_wrong_length_names_both(module, x):
    with pytest.raises(ValueError, match=rf"{len(x)} inputs.* 2 weights"):
        module(x)


def same_answer(module, x):
    answer, expected = module(x), module([1.5, -2.0])
    if not isinstance(expected, list):
        answer, expected = [answer], [expected]
    return [v.data for v in answer] == [v.data for v in expected]


@pytest.mark.parametrize(
    "module", [Neuron(2, False, seed=1), Layer(2, 3, False, seed=1), MLP(2, [3, 1], seed=1)]
)
@pytest.mark.parametrize(
    "inputs",
    [
        lambda: (1.5, -2),
        lambda: np.array([1.5, -2.0]),
        lambda: np.array([[1.5, -2.0]])[0],
        lambda: np.array([1.5, -2.0], dtype=np.float32),
        lambda: np.array([Value(1.5), -2.0], dtype=object),
        lambda: [Value(1.5), np.float64(-2)],
        lambda: (x for x in (1.5, -2.0)),
        lambda: map(Value, (1.5, -2.0)),
        lambda: {1.5: "a", -2.0: "b"}.keys(),
    ],
)
def test_inputs_are_any_iterable_of_numbers_and_values(module, inputs):
    assert same_answer(module, inputs())


@pytest.mark.parametrize("module", [Neuron(2, seed=1), Layer(2, 3, seed=1), MLP(2, [3, 1], seed=1)])
@pytest.mark.parametrize(
    "x", [["a", "b"], "ab", [None, 1], [[1.0, 2.0], [3.0, 4.0]], np.eye(2), {1: 2}, None, [1j, 2]]
)
def test_what_is_no_row_of_numbers_is_a_type_error(module, x):
    with pytest.raises(TypeError):
        module(x)


def test_a_layer_of_one_returns_a_value_that_another_module_takes():
    one, two, model = Layer(2, 1, seed=1), Layer(1, 2, seed=1), MLP(1, [2, 1], seed=1)
    y = one([1.0, 2.0])
    assert isinstance(y, Value)
    assert isinstance(model(y), Value)
    assert [v.data for v in two(y)] == [v.data for v in two([y])]
    assert Neuron(1, seed=1)(y).data == Neuron(1, seed=1)([y]).data
    assert MLP(2, [1, 1, 1], seed=3)([1.0, 2.0]).op == "add"


@pytest.mark.parametrize(
    "sizes", [[3, 1], (3, 1), np.array([3, 1]), [np.int64(3), 1], range(3, 0, -2)]
)
@pytest.mark.parametrize("nin", [2, np.int64(2)])
def test_sizes_are_any_integers(nin, sizes):
    model = MLP(nin, sizes, seed=1)
    assert numbers(model) == numbers(MLP(2, [3, 1], seed=1))
    assert model.config() == MLP(2, [3, 1], seed=1).config()


@pytest.mark.parametrize("size", [0, -1, 1.5, "2", None, Value(2.0)])
def test_wrong_sizes_are_named(size):
    with pytest.raises(ValueError, match="nin must be a number of neurons, from 1 on"):
        Neuron(size)
    with pytest.raises(ValueError, match="nin must be a number of neurons, from 1 on"):
        MLP(size, [2])
    with pytest.raises(ValueError, match="nout must be a number of neurons, from 1 on"):
        Layer(2, size)
    with pytest.raises(ValueError, match=r"nouts\[1\] must be a number of neurons, from 1 on"):
        MLP(2, [3, size])


@pytest.mark.parametrize("nouts", [[], (), 3])
def test_an_mlp_wants_a_list_of_sizes(nouts):
    with pytest.raises((ValueError, TypeError), match="MLP: nouts"):
        MLP(2, nouts)


def test_without_recording_an_answer_is_a_constant():
    with no_grad():
        assert MLP(2, [3, 1], seed=1)([1.0, 2.0]).op == "constant"


# --- modules in modules -------------------------------------------------------

NAMES = [
    "scale", "parts.a.w.0", "parts.a.b", "parts.b.0", "parts.b.1.0", "parts.b.1.1.neurons.0.w.0",
    "parts.b.1.1.neurons.0.b", "array.0", "array.1",
]  # fmt: skip


def test_parameters_are_found_in_nests_once_each():
    nest = Nest()
    named = dict(nest.named_parameters())
    assert list(named) == NAMES
    assert all(p is q for p, q in zip(named.values(), nest.parameters(), strict=True))
    assert named["scale"] is nest.scale
    assert nest.state_dict() == {name: p.data for name, p in named.items()}


def test_a_child_may_know_its_parent():
    parent, child = Module(), Module()
    parent.child, child.parent, child.w = child, parent, Value(1.0)
    parent.items = [parent, {"self": parent}]
    assert list(dict(parent.named_parameters())) == ["child.w"]
    assert child.parameters() == [child.w]


def test_two_parameters_of_one_name_are_an_error_rather_than_lost():
    model = Module()
    model.table = {1: Value(1.0), "1": Value(2.0)}
    with pytest.raises(ValueError, match=r"table\.1"):
        model.state_dict()


def test_zero_grad():
    nest = Nest()
    for p in nest.parameters():
        p.grad = 3.0
    nest.zero_grad()
    assert {p.grad for p in nest.parameters()} == {0.0}


@pytest.mark.parametrize("build", [Nest, lambda: MLP(2, [2, 1], activation="tanh", seed=1)])
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent(build, clone):
    model = build()
    if isinstance(model, Nest):
        del model.computed  # a computed Value refuses to be copied
    twin = clone(model)
    assert twin.state_dict() == model.state_dict()
    twin.parameters()[0].data = 99.0
    assert twin.state_dict() != model.state_dict()


# --- altogether ---------------------------------------------------------------

CORNERS = [([0.0, 0.0], 0), ([0.0, 1.0], 1), ([1.0, 0.0], 1), ([1.0, 1.0], 0)]


@pytest.mark.parametrize(
    ("name", "nout"),
    [("mse", 1), ("mae", 1), ("hinge", 1), ("bce_with_logits", 1), ("cross_entropy", 2)],
)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_training_decreases_the_loss(name, nout, activation):
    model = MLP(2, [6, nout], activation=activation, seed=4)
    optimizer = SGD(model.parameters(), lr=0.1)
    labels = [2 * t - 1 if name == "hinge" else t for _, t in CORNERS]
    history = []
    for _ in range(60):
        loss = getattr(nn, name)([model(x) for x, _ in CORNERS], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.data)
    assert history[-1] < 0.9 * history[0]
    assert all(map(std.isfinite, history))


@given(x=st.tuples(COORDINATE, COORDINATE), seed=st.integers(0, 9))
def test_gradients_of_a_network_are_those_of_finite_differences(x, seed):
    model = MLP(2, [3, 1], activation="tanh", seed=seed)
    model(x).backward()
    p = random.Random(seed).choice(model.parameters())
    assume(abs(p.data) > 1e-3)
    middle, ends = p.data, []
    for h in (1e-6, -1e-6):
        p.data = middle + h
        ends.append(model(x).data)
    assert p.grad == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)
