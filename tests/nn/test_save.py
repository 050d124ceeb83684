"""States and files of models: bit for bit, wholly or not at all."""

import json
import math as std
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, ops
from miniflow.nn import MLP, Layer, Module, Neuron
from miniflow.util import files
from support.models import Nest, numbers

# --- states -------------------------------------------------------------------


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


# --- files --------------------------------------------------------------------


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

    def fail(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(files, "open", fail, raising=False)
    with pytest.raises(OSError, match="disk full"):
        MLP(3, [3], seed=2).save(path)
    monkeypatch.undo()
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [before]
