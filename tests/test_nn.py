"""Neural networks: micrograd's modules, files, and losses to fifty digits."""

import copy
import json
import math as std
import pickle
import random
import tempfile
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from miniflow import Tape, Value, math, nn, no_grad, ops
from miniflow.nn import MLP, Layer, Module, Neuron
from miniflow.optim import SGD

# --- micrograd's modules --------------------------------------------------------

# random.seed(1337); MLP(2, [2, 1]): what micrograd 0.1.0 draws, weights then bias
FROZEN = [
    0.23550571390294128, 0.06653114721000164, 0.0, -0.26830328150124894, 0.1715747078045431, 0.0,
    -0.6686254326224383, 0.6487474938152629, 0.0,
]  # fmt: skip


def numbers(model):
    return [p.data for p in model.parameters()]


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


# --- seeds ------------------------------------------------------------------------


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
    with pytest.raises(TypeError, match="seed: "):
        build(seed)


def test_weights_are_uniform_in_minus_one_to_one():
    w = [v.data for v in Neuron(4000, seed=1).w]
    assert -1 <= min(w) < -0.99
    assert 0.99 < max(w) <= 1
    assert abs(sum(w)) < 4 * std.sqrt(4000 / 3)  # four standard deviations


def test_without_a_seed_models_differ():
    assert numbers(MLP(2, [3, 1])) != numbers(MLP(2, [3, 1]))


# --- what a forward pass computes and records -------------------------------------

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
        with pytest.raises(ValueError, match=r"activation: .*'tanh'"):
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
    with pytest.raises(ValueError, match=r"nin: .* from 1 on"):
        Neuron(size)
    with pytest.raises(ValueError, match=r"nin: .* from 1 on"):
        MLP(size, [2])
    with pytest.raises(ValueError, match=r"nout: .* from 1 on"):
        Layer(2, size)
    with pytest.raises(ValueError, match=r"nout: .* from 1 on"):
        MLP(2, [3, size])


@pytest.mark.parametrize("nouts", [[], (), 3])
def test_an_mlp_wants_a_list_of_sizes(nouts):
    with pytest.raises((ValueError, TypeError), match="MLP: nouts"):
        MLP(2, nouts)


def test_without_recording_an_answer_is_a_constant():
    with no_grad():
        assert MLP(2, [3, 1], seed=1)([1.0, 2.0]).op == "constant"


# --- modules in modules -------------------------------------------------------------


class Nest(Module):
    """Parameters and modules in every kind of container."""

    def __init__(self):
        self.scale = Value(2.0, label="scale")
        self.parts = {"a": Neuron(1, seed=1), "b": [Value(3.0), (Value(4.0), Layer(1, 1, seed=2))]}
        self.shared = self.parts["a"].w
        self.again = self.scale
        self.fixed = Value(5.0).detach()
        self.computed = self.scale * 2
        self.name, self.nothing, self.size = "nest", None, 3
        self.array = np.array([Value(6.0), Value(7.0)])


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


# --- states ---------------------------------------------------------------------------


def small():
    return MLP(1, [2, 1], seed=1)


def test_a_state_goes_round():
    model, other = small(), MLP(1, [2, 1], seed=2)
    other.load_state_dict(model.state_dict())
    assert numbers(other) == numbers(model)
    other.load_state_dict({name: np.float32(k) for k, name in enumerate(other.state_dict())})
    assert numbers(other) == list(range(7))


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        (lambda s: s.pop("layers.0.neurons.1.b"), KeyError, r"missing layers\.0\.neurons\.1\.b,"),
        (lambda s: s.update(extra=1.0), KeyError, "unknown extra"),
        (lambda s: s.update({f"x{k}": 1.0 for k in range(9)}), KeyError, "x0, x1, x2 and 6 more"),
        (lambda s: s.update({"layers.1.neurons.0.b": "1"}), TypeError, r"layers\.1\.neurons\.0\.b"),
        (lambda s: s.update({"layers.1.neurons.0.b": None}), TypeError, "None"),
        (lambda s: s.update({"layers.1.neurons.0.b": [1.0]}), TypeError, "list"),
        (lambda s: s.update({"layers.1.neurons.0.b": Value(1.0)}), TypeError, r"\.data"),
    ],
)
def test_a_bad_state_changes_nothing(change, error, named):
    model = small()
    before = numbers(model)
    state = dict.fromkeys(model.state_dict(), 9.0)
    change(state)
    with pytest.raises(error, match=named):
        model.load_state_dict(state)
    assert numbers(model) == before


# --- files ------------------------------------------------------------------------------


def hexes(model):
    return [p.data.hex() for p in model.parameters()]


SPECIAL = [std.inf, -std.inf, std.nan, -0.0, 5e-324, -2.2e-308, 1.7976931348623157e308]


@given(xs=st.lists(st.floats() | st.sampled_from(SPECIAL), min_size=7, max_size=7))
def test_a_saved_model_comes_back_bit_for_bit(xs):
    model, other = small(), MLP(1, [2, 1], seed=2)
    for p, x in zip(model.parameters(), xs, strict=True):
        p.data = x
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        model.save(path)
        assert other.load(str(path)) is other
    assert hexes(other) == hexes(model)


@pytest.mark.parametrize("model", [Neuron(2, seed=1), Layer(2, 2, seed=1), Nest()])
def test_every_module_is_saved(model, tmp_path):
    model.save(tmp_path / "m")
    twin = Nest() if isinstance(model, Nest) else pickle.loads(pickle.dumps(model))
    for p in twin.parameters():
        p.data = 0.0
    assert hexes(twin.load(tmp_path / "m")) == hexes(model)


class Sized(Module):
    """A module with a configuration that JSON does not give back as it is."""

    def __init__(self, *sizes):
        self.sizes, self.w = sizes, Value(1.0)

    def config(self):
        return {**super().config(), "sizes": self.sizes, "by_size": {k: k for k in self.sizes}}


def test_a_configuration_is_compared_as_the_file_has_it(tmp_path):
    Sized(1, 2).save(tmp_path / "m")
    Sized(1, 2).load(tmp_path / "m")
    with pytest.raises(ValueError, match="this model"):
        Sized(1, 3).load(tmp_path / "m")


OTHERS = {
    "width": MLP(1, [3, 1], seed=1),
    "depth": MLP(1, [2, 2, 1], seed=1),
    "inputs": MLP(2, [2, 1], seed=1),
    "activation": MLP(1, [2, 1], activation="tanh", seed=1),
    "class": Layer(1, 2, seed=1),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_file_of_another_architecture_is_refused(other, tmp_path):
    other.save(tmp_path / "other.json")
    unchanged_by(tmp_path / "other.json", ValueError, "this model is")


@pytest.mark.parametrize(
    "build", [lambda **k: Neuron(2, seed=1, **k), lambda **k: Layer(2, 2, seed=1, **k)]
)
def test_a_file_of_another_activation_is_refused(build, tmp_path):
    build(activation="tanh").save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"(?i)tanh.*relu"):
        build().load(tmp_path / "m")


def test_a_file_with_another_activation_in_one_neuron_is_refused(tmp_path):
    other = small()
    other.layers[0].neurons[1].activation = ops.silu
    other.save(tmp_path / "other.json")
    unchanged_by(tmp_path / "other.json", ValueError, "silu")
    assert other.load(tmp_path / "other.json") is other


def unchanged_by(path, error, named=""):
    """Loading `path` fails, naming it, and the model is as it was."""
    model = small()
    before = hexes(model)
    with pytest.raises(error, match=f"(?s){path.name}.*{named}"):
        model.load(path)
    assert hexes(model) == before


GOOD = {"format": "miniflow 1", "model": small().config(), "state": small().state_dict()}
NAME = "layers.0.neurons.0.b"
BAD = {
    "empty": "",
    "truncated": json.dumps(GOOD)[:-20],
    "a number": "3",
    "null": "null",
    "a string": '"model"',
    "a list": "[1, 2]",
    "an empty object": "{}",
    "no model": json.dumps({k: v for k, v in GOOD.items() if k != "model"}),
    "no state": json.dumps({k: v for k, v in GOOD.items() if k != "state"}),
    "no format": json.dumps({k: v for k, v in GOOD.items() if k != "format"}),
    "another format": json.dumps({**GOOD, "format": "miniflow 2"}),
    "state a list": json.dumps({**GOOD, "state": [1.0] * 7}),
    "state null": json.dumps({**GOOD, "state": None}),
    "an entry too few": json.dumps({**GOOD, "state": {NAME: 1.0}}),
    "an entry too many": json.dumps({**GOOD, "state": {**GOOD["state"], "more": 1.0}}),
    "a string for a number": json.dumps({**GOOD, "state": {**GOOD["state"], NAME: "1"}}),
    "null for a number": json.dumps({**GOOD, "state": {**GOOD["state"], NAME: None}}),
    "an integer beyond floats": json.dumps({**GOOD, "state": {**GOOD["state"], NAME: 10**400}}),
    "two objects": json.dumps(GOOD) * 2,
    "a deep nest": "[" * 100_000,
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_file_that_is_no_saved_model_is_a_value_error(content, tmp_path):
    (tmp_path / "bad.json").write_text(content)
    unchanged_by(tmp_path / "bad.json", ValueError)


@given(garbage=st.binary())
def test_binary_garbage_is_a_value_error(garbage):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "garbage")
        path.write_bytes(garbage)
        unchanged_by(path, ValueError)


def test_no_file_is_an_os_error(tmp_path):
    unchanged_by(tmp_path / "missing.json", FileNotFoundError)
    (tmp_path / "folder").mkdir()
    unchanged_by(tmp_path / "folder", OSError)
    for path in (tmp_path / "folder", tmp_path / "no" / "folder"):
        with pytest.raises(OSError, match="folder"):
            small().save(path)


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m.json"
    small().save(path)
    before = path.read_bytes()

    def fail(self, data):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        MLP(3, [3], seed=2).save(path)
    monkeypatch.undo()
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [before]


# --- losses: against fifty digits ---------------------------------------------------------
# (p, t) -> term and slope in p, in mpmath's numbers


def exact_bce(z, t):
    return mpmath.log1p(mpmath.exp(z)) - t * z, 1 / (1 + mpmath.exp(-z)) - t


LOSSES = {
    "mse": (lambda p, t: ((p - t) ** 2, 2 * (p - t)), st.floats(-1e3, 1e3)),
    "mae": (lambda p, t: (abs(p - t), mpmath.sign(p - t)), st.floats(-1e3, 1e3)),
    "hinge": (
        lambda s, t: (1 - t * s, -t) if t * s < 1 else (mpmath.mpf(0), mpmath.mpf(0)),
        st.sampled_from([-1, 1]),
    ),
    "bce_with_logits": (exact_bce, st.sampled_from([0, 1, True, 0.5, 0.25])),
}
PREDICTION = st.floats(-100, 100) | st.sampled_from([0.0, 1.0, -1.0, 1e3, -1e3])


@pytest.mark.parametrize("name", LOSSES)
@given(data=st.data())
def test_losses_and_gradients_to_the_last_digits(name, data):
    exact, targets = LOSSES[name]
    pairs = data.draw(st.lists(st.tuples(PREDICTION, targets), min_size=1, max_size=5))
    ps, ts = [Value(p) for p, _ in pairs], [t for _, t in pairs]
    loss = getattr(nn, name)(ps, ts)
    loss.backward()
    with mpmath.workdps(500):  # exp(-1000) beside 1 takes 435 digits
        terms = [exact(mpmath.mpf(p), mpmath.mpf(t)) for p, t in pairs]
        n = len(pairs)
        assert loss.data == pytest.approx(
            float(sum(y for y, _ in terms) / n), rel=1e-14, abs=1e-300
        )
        for p, (_, slope) in zip(ps, terms, strict=True):
            # soft labels cancel in the slope, as 0.5 - sigmoid(z) must
            room = 1e-16 if set(ts) & {0.5, 0.25} else 1e-300
            assert p.grad == pytest.approx(float(slope / n), rel=1e-14, abs=room)
    assert getattr(nn, name)([p for p, _ in pairs], ts) == loss.data
    assert isinstance(getattr(nn, name)([p for p, _ in pairs], ts), float)


ROW = st.lists(PREDICTION, min_size=2, max_size=5)


@given(rows=st.lists(ROW, min_size=1, max_size=4), data=st.data())
def test_cross_entropy_to_the_last_digits(rows, data):
    classes = [data.draw(st.integers(0, len(row) - 1)) for row in rows]
    values = [[Value(x) for x in row] for row in rows]
    loss = nn.cross_entropy(values, classes)
    loss.backward()
    with mpmath.workdps(1000):
        shares = []
        for row in rows:
            powers = [mpmath.exp(mpmath.mpf(x)) for x in row]
            shares.append([p / sum(powers) for p in powers])
        chosen = [-mpmath.log(share[k]) for share, k in zip(shares, classes, strict=True)]
        expected = float(sum(chosen) / len(rows))
        assert loss.data == pytest.approx(expected, rel=1e-13, abs=1e-300)
        for row, share, k in zip(values, shares, classes, strict=True):
            for j, v in enumerate(row):
                slope = float((share[j] - (j == k)) / len(rows))
                # ulps of a logit of 1000 are 1e-13 of its exponential
                assert v.grad == pytest.approx(slope, rel=1e-12, abs=1e-300)
    assert nn.cross_entropy(rows, classes) == loss.data


@given(x=st.floats(-1e300, 1e300), n=st.integers(2, 6), data=st.data())
def test_equal_logits_share_equally(x, n, data):
    k = data.draw(st.integers(0, n - 1))
    row = [Value(x) for _ in range(n)]
    loss = nn.cross_entropy([row], [k])
    loss.backward()
    assert loss.data == pytest.approx(std.log(n), rel=1e-15)
    assert [v.grad for v in row] == pytest.approx([1 / n - (j == k) for j in range(n)], rel=1e-15)


INF = std.inf


@pytest.mark.parametrize(
    ("row", "k", "expected", "slopes"),
    [
        ([-INF, 0.0], 1, 0.0, [0.0, 0.0]),
        ([-INF, 0.0], 0, INF, [-1.0, 1.0]),
        ([-INF, 1.0, 1.0], 1, std.log(2), [0.0, -0.5, 0.5]),
        ([INF, 0.0], 0, 0.0, [0.0, 0.0]),
        ([INF, 0.0], 1, INF, [1.0, -1.0]),
        ([1e308, -1e308], 0, 0.0, [0.0, 0.0]),
        ([-1000.0, 1000.0], 0, 2000.0, [-1.0, 1.0]),
        ([std.nan, 0.0], 0, std.nan, [std.nan, std.nan]),
    ],
)
def test_extreme_logits_of_classes(row, k, expected, slopes):
    values = [Value(x) for x in row]
    loss = nn.cross_entropy([values], [k])
    loss.backward()
    assert loss.data == pytest.approx(expected, nan_ok=True)
    assert [v.grad for v in values] == pytest.approx(slopes, nan_ok=True)


@pytest.mark.parametrize(
    ("z", "t", "expected", "slope"),
    [
        (1000.0, 1, 0.0, 0.0), (1000.0, 0, 1000.0, 1.0), (-1000.0, 1, 1000.0, -1.0),
        (-1000.0, 0, 0.0, 0.0), (INF, 1, 0.0, 0.0), (INF, 0, INF, 1.0), (-INF, 1, INF, -1.0),
        (-INF, 0, 0.0, 0.0), (INF, 0.5, INF, 0.5), (40.0, 1, 4.248354255291589e-18, None),
        (-40.0, 0, 4.248354255291589e-18, None), (std.nan, 1, std.nan, std.nan),
    ],
)  # fmt: skip
def test_extreme_logits_of_two_classes(z, t, expected, slope):
    v = Value(z)
    loss = nn.bce_with_logits([v], [t])
    loss.backward()
    assert loss.data == pytest.approx(expected, rel=1e-15, abs=0, nan_ok=True)
    if slope is not None:
        assert v.grad == pytest.approx(slope, nan_ok=True)


@pytest.mark.parametrize("name", [*LOSSES, "cross_entropy"])
def test_losses_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    rng = random.Random(name)
    rows = [[rng.gauss(0, 3) for _ in range(4)] for _ in range(6)]
    flat, values = [row[0] for row in rows], [[Value(x) for x in row] for row in rows]
    bits = [rng.randint(0, 1) for _ in rows]
    x = torch.tensor(rows if name == "cross_entropy" else flat, dtype=torch.float64)
    x.requires_grad_()
    t = torch.tensor(bits, dtype=torch.float64)
    theirs = {
        "mse": lambda: f.mse_loss(x, t),
        "mae": lambda: f.l1_loss(x, t),
        "hinge": lambda: f.relu(1 - (2 * t - 1) * x).mean(),
        "bce_with_logits": lambda: f.binary_cross_entropy_with_logits(x, t),
        "cross_entropy": lambda: f.cross_entropy(x, torch.tensor(bits)),
    }[name]()
    theirs.backward()
    predictions = values if name == "cross_entropy" else [row[0] for row in values]
    ours = getattr(nn, name)(predictions, [2 * b - 1 for b in bits] if name == "hinge" else bits)
    ours.backward()
    found = [v.grad for row in values for v in (row if name == "cross_entropy" else row[:1])]
    assert ours.data == pytest.approx(theirs.item(), rel=1e-13)
    assert found == pytest.approx(x.grad.flatten().tolist(), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_one_sample_stands_for_itself(name):
    loss, p = getattr(nn, name), Value(0.25)
    expected = loss([p], [1]).data
    assert loss(p, 1).data == loss(p, [1]).data == loss([p], 1).data == expected
    assert loss(0.25, 1) == loss(np.float64(0.25), np.int64(1)) == expected
    assert loss(np.array([0.25]), np.array([1])) == expected


def test_one_sample_of_classes_stands_for_itself():
    row = [Value(0.25), 1.0, Value(-2.0)]
    assert nn.cross_entropy(row, 2).data == nn.cross_entropy([row], [2]).data
    assert nn.cross_entropy([0.25, 1.0, -2.0], np.int64(2)) == nn.cross_entropy([row], (2,)).data
    rows = np.array([[0.25, 1.0, -2.0], [0.0, 0.0, 0.0]])
    assert nn.cross_entropy(rows, np.array([2, 0])) == pytest.approx(
        (nn.cross_entropy(row, 2).data + std.log(3)) / 2
    )


@pytest.mark.parametrize("name", LOSSES)
def test_targets_may_be_values(name):
    p, t = Value(0.25), Value(1.0)
    loss = getattr(nn, name)([p], [t])
    loss.backward()
    assert loss.data == getattr(nn, name)([0.25], [1.0])
    slope = {"mse": 1.5, "mae": 1.0, "hinge": -0.25, "bce_with_logits": -0.25}[name]
    assert t.grad == pytest.approx(slope)
    assert getattr(nn, name)([0.25], [t]).data == loss.data


@pytest.mark.parametrize("name", [*LOSSES, "cross_entropy"])
def test_wrong_lengths_are_named(name):
    loss = getattr(nn, name)
    samples = [[Value(1.0), Value(2.0)]] * 2 if name == "cross_entropy" else [Value(1.0), 2.0]
    with pytest.raises(ValueError, match=f"{name}: 2 predictions for 3 targets"):
        loss(samples, [1, 1, 1])
    with pytest.raises(ValueError, match=f"{name}: 2 predictions for 1 targets"):
        loss(samples, (1,))
    with pytest.raises(ValueError, match=f"{name}: 0 predictions for 0 targets"):
        loss([], [])


@pytest.mark.parametrize("k", [2, -1, 10**9])
def test_a_class_that_does_not_exist_is_named(k):
    with pytest.raises(ValueError, match=f"cross_entropy: class {k} is not among 2 logits"):
        nn.cross_entropy([[Value(1.0), Value(2.0)]], [k])


@pytest.mark.parametrize("k", [1.0, "1", None, Value(1.0), np.float64(1), [1]])
def test_a_class_that_is_no_integer_is_named(k):
    with pytest.raises(TypeError, match=r"cross_entropy: class .* is no integer"):
        nn.cross_entropy([[Value(1.0), Value(2.0)]], [k])


def test_no_logits():
    with pytest.raises(ValueError, match="cross_entropy: class 0 is not among 0 logits"):
        nn.cross_entropy([[]], [0])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", ["x", None, 1j, [1.0]])
def test_what_is_no_number_is_a_type_error(name, bad):
    with pytest.raises(TypeError):
        getattr(nn, name)([Value(1.0)], [bad])
    with pytest.raises(TypeError):
        getattr(nn, name)([bad], [Value(1.0)])


# --- altogether -----------------------------------------------------------------------------

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
