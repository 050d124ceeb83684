"""Files of every class of module: made again, or refused in words; damaged at every place."""

import copy
import json
import math as std
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow
from miniflow import Value, nn
from miniflow.nn import inits
from miniflow.nn.loading import CLASSES
from miniflow.nn.saved import sealed
from support.profiles import examples, scaled

MODELS = [
    nn.Linear(2, 3, seed=1),
    nn.Linear(1, 1, bias=False, seed=1),
    nn.LayerNorm(3, 0.25),
    nn.LayerNorm(2, elementwise_affine=False),
    nn.LayerNorm(2, bias=False),
    nn.Embedding(3, 2, seed=1),
    nn.Dropout(0.25, 4, seed=1),
    nn.RNNCell(2, 3, nonlinearity="relu", seed=1),
    nn.GRUCell(1, 2, bias=False, seed=1),
    nn.LSTMCell(2, 1, seed=1),
    nn.RNN(2, 3, 2, "relu", seed=1),
    nn.GRU(1, 2, 3, seed=1),
    nn.LSTM(2, 1, bias=False, seed=1),
    nn.Sequential(
        nn.Linear(2, 3, seed=1), nn.Dropout(0.1), nn.Sequential(nn.Tanh()), nn.LayerNorm(3)
    ),
    nn.Sequential(nn.MLP(2, [3, 2], seed=1), nn.Layer(2, 2, seed=2), nn.Neuron(2, seed=3)),
    *(getattr(nn, name)() for name in ("Identity", "ReLU", "Tanh", "Sigmoid", "SiLU", "GELU")),
    *(getattr(nn, name)() for name in ("Softplus", "LogSigmoid", "Softmax", "LogSoftmax")),
    nn.LeakyReLU(0.3),
    nn.ELU(2.0),
]  # fmt: skip


def bits(model):
    return {name: x.hex() for name, x in model.state_dict().items()}


def test_every_class_is_here():
    assert {type(model).__name__ for model in MODELS} == CLASSES.keys()


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_every_class_is_made_again(model, tmp_path):
    state = random.getstate()
    for p, x in zip(model.parameters(), (std.nan, std.inf, -std.inf, -0.0, 5e-324), strict=False):
        p.data = x
    model.save(tmp_path / "m.json")
    twin = nn.load(tmp_path / "m.json")
    assert (type(twin), repr(twin), bits(twin)) == (type(model), repr(model), bits(model))
    assert (twin.config(), twin.shape()) == (model.config(), model.shape())
    twin.save(tmp_path / "n.json")
    assert (tmp_path / "n.json").read_bytes() == (tmp_path / "m.json").read_bytes()
    assert random.getstate() == state


def test_a_file_names_architecture_and_versions_and_is_strict_json(tmp_path):
    model = nn.Linear(1, 1, seed=1)
    model.bias[0].data = std.nan
    model.save(tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text(), parse_constant=pytest.fail)
    assert content["format"] == "miniflow 2"
    assert content["version"] == miniflow.__version__
    assert content["model"] == {"class": "Linear", "nin": 1, "nout": 1, "bias": True}
    assert content["state"] == {"weight.0.0": model.weight[0][0].data, "bias.0": "nan"}


def test_a_module_that_stands_twice_stands_twice_again(tmp_path):
    shared = nn.Linear(2, 2, seed=1)
    model = nn.Sequential(shared, nn.Tanh(), shared)
    model.save(tmp_path / "m")
    twin = nn.load(tmp_path / "m")
    assert twin[0] is twin[2]
    assert [y.data for y in twin([1.0, 2.0])] == [y.data for y in model([1.0, 2.0])]


# --- modules of one's own ---------------------------------------------------------


class Residual(nn.Module):
    """A model of one's own, with a configuration."""

    def __init__(self, size, body):
        self.size, self.body, self.scale = size, body, Value(0.5)

    def __call__(self, x):
        return [a + self.scale * b for a, b in zip(x, self.body(x), strict=True)]

    def config(self):
        return {**super().config(), "size": self.size, "body": self.body.config()}


class Silent(nn.Module):
    """A model of one's own that does not say what it is made of."""

    def __init__(self, size):
        self.w = [Value(1.0) for _ in range(size)]


def test_own_modules_are_made_again(tmp_path):
    model = nn.Sequential(nn.Linear(1, 2, seed=1), Residual(2, nn.Linear(2, 2, seed=2)))
    model.save(tmp_path / "m")
    twin = nn.load(tmp_path / "m", classes=[Residual])
    assert bits(twin) == bits(model)
    assert [y.data for y in twin([0.5])] == [y.data for y in model([0.5])]
    with pytest.raises(ValueError, match=r"your class: give load\(path, classes=\[Residual\]\)"):
        nn.load(tmp_path / "m")
    Silent(2).save(tmp_path / "s")
    with pytest.raises(ValueError, match=r"missing 1 required.*'size'; or make such a model"):
        nn.load(tmp_path / "s", [Silent])
    assert bits(Silent(2).load(tmp_path / "s")) == bits(Silent(2))


@pytest.mark.parametrize("classes", [Residual, 3, [3], ["Residual"], [int]])
def test_classes_are_a_list_of_classes(classes, tmp_path):
    nn.ReLU().save(tmp_path / "m")
    with pytest.raises(TypeError, match=r"load: (a class|classes) must be"):
        nn.load(tmp_path / "m", classes)


@pytest.mark.parametrize("wrong", [open, std.nan, {1, 2}, Value(1.0)])
def test_a_configuration_that_is_no_json_is_refused_before_anything_is_written(wrong, tmp_path):
    class Odd(nn.Module):
        def config(self):
            return {**super().config(), "option": wrong}

    with pytest.raises(TypeError, match="save: config of Odd holds what JSON cannot"):
        Odd().save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


# --- the older format -------------------------------------------------------------

OLDER = """{
 "format": "miniflow 1",
 "model": {"class": "MLP", "sizes": [1, 2, 1], "activation": "relu"},
 "state": {
  "layers.0.neurons.0.w.0": 0.5, "layers.0.neurons.0.b": NaN,
  "layers.0.neurons.1.w.0": -Infinity, "layers.0.neurons.1.b": 0.0,
  "layers.1.neurons.0.w.0": 1.0, "layers.1.neurons.0.w.1": 2.0, "layers.1.neurons.0.b": 3.0
 }
}
"""


def test_a_file_of_the_older_format_is_loaded(tmp_path):
    (tmp_path / "m.json").write_text(OLDER)
    found = list(nn.load(tmp_path / "m.json").state_dict().values())
    assert repr(found) == "[0.5, nan, -inf, 0.0, 1.0, 2.0, 3.0]"
    assert repr(list(nn.MLP(1, [2, 1]).load(tmp_path / "m.json").state_dict().values())) == repr(
        found
    )


# --- damage -----------------------------------------------------------------------


def small():
    return nn.Sequential(nn.Linear(1, 2, seed=1), nn.Tanh(), nn.Linear(2, 1, seed=2))


def refused(path, said=""):
    """Loading the file fails in words that name it, and changes nothing."""
    model = small()
    before = bits(model)
    for load in (nn.load, model.load):
        with pytest.raises(ValueError, match=rf"(?s)^load: '.*{path.name}'.*{said}"):
            load(path)
    assert bits(model) == before


def loaded(path):
    """The model in a file; None if it is refused, in words that name the file."""
    try:
        return nn.load(path)
    except ValueError as error:
        named = str(error).startswith(f"load: {str(path)!r}")
    assert named
    return None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "m.json"
    small().save(path)
    return path.read_bytes()


def test_a_file_cut_at_any_byte_is_refused(whole, tmp_path):
    path = tmp_path / "cut.json"
    for length in range(len(whole.rstrip())):
        path.write_bytes(whole[:length])
        refused(path, "it is cut off, in line" if length else "it is empty")


def test_a_byte_that_was_changed_is_noticed_or_harmless(whole, tmp_path):
    path, rng = tmp_path / "flip.json", random.Random(1)
    places = rng.sample(range(len(whole)), len(whole) // max(1, 100 // scaled(100)))
    for place in places:
        bit = 1 << rng.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        found = loaded(path)  # white space may change, or how a number is written
        assert found is None or bits(found) == bits(small())


STRANGE = st.sampled_from(
    [
        *({"class": "Linear"}, {"class": "Sequential", "layers": [0]}, {"class": ["x"]}),
        None,
        True,
        "",
        "x",
        "nan",
        "Linear",
        [],
        {},
        [[]],
        -1,
        0,
        1,
        2,
        0.5,
        10**9,
        10**400,
        1e308,
    ]
)


def spots(tree):
    """Each place in JSON: a container and a key."""
    keys = (
        list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    )
    for key in keys:
        yield tree, key
        yield from spots(tree[key])


@given(data=st.data(), model=st.sampled_from(MODELS))
@examples(200)
def test_wrong_content_with_a_right_checksum_is_refused(data, model, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "wrong.json"
    model.save(path)
    content = json.loads(path.read_text())
    for _ in range(data.draw(st.integers(1, 2))):
        container, key = data.draw(st.sampled_from(list(spots(content))))
        if data.draw(st.booleans()):
            container[key] = copy.deepcopy(data.draw(STRANGE))
        else:
            del container[key]
    path.write_text(sealed(content))
    found = loaded(path)
    if found is not None:
        found.save(path)  # what was loaded is a model
        assert bits(nn.load(path)) == bits(found)


WRONG = {
    "huge sizes": ({"class": "Linear", "nin": 10**9, "nout": 10**9, "bias": True}, "do not fit"),
    "a huge state": ({"class": "GRUCell", "nin": 1, "nhidden": 10**9, "bias": True}, "do not fit"),
    "many layers": (
        {"class": "RNN", "nin": 1, "nhidden": 1, "num_layers": 10**9, "bias": True}, "do not fit",
    ),
    "a huge table": ({"class": "Embedding", "count": 10**9, "size": 10**9}, "do not fit"),
    "a huge norm": (
        {"class": "LayerNorm", "size": 10**12, "eps": 0, "elementwise_affine": True, "bias": True},
        "do not fit",
    ),
    "huge parts": (
        {"class": "Sequential", "layers": [{"class": "Embedding", "count": 10**6, "size": 10**6}]},
        "do not fit",
    ),
    "huge parts in lists of lists": (
        {"class": "Sequential", "layers": [[[{"class": "Linear", "nin": 1, "nout": 10**9}]]]},
        "do not fit",
    ),
    "a negative size": ({"class": "Linear", "nin": -1, "nout": 1, "bias": True}, "from 1 on"),
    "no size": ({"class": "Linear", "nin": 1, "bias": True}, "there is no 'nout'"),
    "one more": ({"class": "Tanh", "x": 1}, "Tanh"),
    "no class": ({"nin": 1}, "expected what a model is"),
    "a class that is a function": ({"class": "load"}, "it needs your class"),
    "a layer ahead": ({"class": "Sequential", "layers": [0]}, "layer 0 of a Sequential is int 0"),
}  # fmt: skip


@pytest.mark.parametrize(("config", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_configuration_is_refused_before_memory_is_filled(config, said, tmp_path):
    content = {"format": "miniflow 2", "version": "0.1.0", "model": config, "state": {}}
    (tmp_path / "m.json").write_text(sealed(content))
    with pytest.raises(ValueError, match=rf"load: .*m\.json.*{said}"):
        nn.load(tmp_path / "m.json")


def test_a_deep_nest_is_refused(tmp_path):
    nest = '{"class":"Sequential","layers":[' * 5000 + "]}" * 5000
    (tmp_path / "m.json").write_text(f'{{"format":"miniflow 1","model":{nest},"state":{{}}}}')
    with pytest.raises(ValueError, match="nested too deeply"):
        nn.load(tmp_path / "m.json")


FOREIGN = {
    b"": "it is empty",
    b" \n": "it is empty",
    b"PK\x03\x04rest": "a zip file, such as PyTorch's",
    b"\x80\x04\x95": "a pickle",
    b"\x89HDF\r\n": "an HDF5 file",
    b"\xff\xfe": "it is not text, at byte 0",
    b"hello": "in line 1 it is no JSON",
    b"[1, 2]": "expected an object of JSON, got list",
    b'{"a": 1}': "it has no 'format', 'model', 'state'",
    b'{"format": "miniflow 9", "version": "3.0.0", "model": 1, "state": 1}': (
        r"format 'miniflow 9', written by miniflow '3\.0\.0'; this miniflow reads 'miniflow 1'"
    ),
    b'{"format": "miniflow 2", "model": 1, "state": 1}': "it has no 'crc32'",
    b'{"format": "miniflow 2", "model": 1, "state": 1, "crc32": 1}': "it was damaged, or edited",
}


@pytest.mark.parametrize(("content", "said"), FOREIGN.items())
def test_a_foreign_file_is_told_from_a_damaged_one(content, said, tmp_path):
    (tmp_path / "foreign").write_bytes(content)
    refused(tmp_path / "foreign", said)


# --- initialisations --------------------------------------------------------------

VARIANCE = {  # by the papers: the variance of a weight of a layer of 50 inputs and 30 outputs
    "he": 2 / 50, "glorot": 2 / 80, "lecun": 1 / 50, "uniform": 1 / 3, "normal": 1.0,
    "torch": 1 / 150,
}  # fmt: skip
BUILD = {
    "Linear": lambda init, seed: nn.Linear(50, 30, init=init, seed=seed).weight,
    "Layer": lambda init, seed: [n.w for n in nn.Layer(50, 30, init=init, seed=seed).neurons],
    "MLP": lambda init, seed: [
        n.w for n in nn.MLP(50, [30], init=init, seed=seed).layers[0].neurons
    ],
}


@pytest.mark.parametrize("kind", BUILD)
@pytest.mark.parametrize("name", VARIANCE)
def test_weights_have_the_variance_of_their_source(name, kind):
    assert inits.INITS.keys() == VARIANCE.keys()
    xs = [w.data for row in BUILD[kind](name, 1) for w in row]
    expected = VARIANCE[name]
    assert std.fsum(x * x for x in xs) / len(xs) == pytest.approx(expected, rel=0.12)
    assert abs(std.fsum(xs)) < 5 * std.sqrt(expected * len(xs))
    assert xs == [w.data for row in BUILD[kind](name, 1) for w in row]


@pytest.mark.parametrize("name", VARIANCE)
def test_biases_begin_as_0_but_for_torch(name):
    drawn = name == "torch"
    assert any(b.data for b in nn.Linear(3, 4, init=name, seed=1).bias) == drawn
    assert any(b.data for b in nn.LSTMCell(3, 4, init=name, seed=1).bias_hh) == drawn


def test_own_initialisations_and_generators():
    import numpy as np

    layer = nn.Linear(2, 3, init=lambda nin, nout, rng: nin + 10 * nout)
    assert {w.data for row in layer.weight for w in row} == {32.0}
    assert {
        w.data for n in nn.Layer(2, 3, init=lambda nin, nout, rng: nout).neurons for w in n.w
    } == {3.0}
    for name in VARIANCE:
        made = [
            nn.Linear(2, 3, init=name, seed=np.random.default_rng(1)).state_dict() for _ in "ab"
        ]
        assert made[0] == made[1]
    with pytest.raises(TypeError, match="init"):
        nn.Linear(1, 1, init=lambda nin, nout, rng: "x")
