"""`nn.load` makes a saved model again, or says what to do."""

import random

import pytest

from miniflow import Value
from miniflow.nn import MLP, Layer, Module, Neuron, load
from support.models import changed, mixed


@pytest.mark.parametrize(
    "model",
    [
        changed(),
        Neuron(3, activation="gelu", seed=1),
        Neuron(1, nonlin=False, seed=1),
        Layer(2, 3, seed=1),
        mixed(),
        MLP(2, [4, 3, 1], activation="tanh", seed=1),
        MLP(2, [2], seed=1),
        MLP(2, [2, 1], activation=None, seed=1),
    ],
    ids=repr,
)
def test_a_saved_model_is_made_again(model, tmp_path):
    model.save(tmp_path / "m.json")
    twin = load(tmp_path / "m.json")
    assert type(twin) is type(model)
    assert repr(twin) == repr(model)
    assert twin.state_dict() == model.state_dict()
    x = [0.5, -1.0, 2.0][: next(iter(model.config().get("sizes", [0]))) or None]
    x = x[: len(model.w)] if isinstance(model, Neuron) else x[:2]
    assert str(twin(x)) == str(model(x))


def test_loading_leaves_random_numbers_alone(tmp_path, monkeypatch):
    small = MLP(2, [2, 1], seed=1)
    small.save(tmp_path / "m.json")
    monkeypatch.setattr(random, "uniform", None)
    assert load(tmp_path / "m.json").state_dict() == small.state_dict()


class Own(Module):
    def __init__(self):
        self.w = Value(1.0)


def shifted(x):
    return x + 1.0


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Own(),
            r"it needs your class: give load\(path, classes=\[Own\]\); or make such a model and",
        ),
        (Neuron(1, activation=shifted), "activation must be .*, got str 'shifted'.*call its load"),
    ],
)
def test_a_model_that_cannot_be_made_says_what_to_do(model, message, tmp_path):
    model.save(tmp_path / "m.json")
    with pytest.raises(ValueError, match=f"load: .*m.json.*{message}"):
        load(tmp_path / "m.json")


@pytest.mark.parametrize(
    "config",
    [
        '{"class": "MLP", "sizes": [1000000000, 1000000000], "activation": "relu"}',
        '{"class": "MLP", "sizes": [2, 1]}',
        '{"class": "MLP", "sizes": [], "activation": "relu"}',
        '{"class": "MLP", "sizes": 3, "activation": "relu"}',
        '{"class": "MLP", "sizes": ["2", 1], "activation": "relu"}',
        '{"class": "MLP", "sizes": [-2, -3], "activation": "relu"}',
        '{"class": "Neuron", "size": -1, "activation": "relu"}',
        '{"class": "Neuron", "size": 1e9, "activation": "relu"}',
        '{"class": "Layer", "neurons": []}',
        '{"class": "MLP", "sizes": [1, 1], "activation": "relu", "layers": []}',
        '{"class": "MLP", "sizes": [1, 1], "activation": "relu", "layers": 3}',
        '{"class": "MLP", "sizes": [1, 1], "activation": "relu", "layers": [3]}',
        '{"class": "MLP", "sizes": [9], "layers": [{"class": "Neuron", "size": 0, '
        '"activation": "relu"}]}',
        '{"class": "MLP", "sizes": [9], "layers": [{"class": "Layer", "neurons": []}]}',
        '{"class": "Layer", "neurons": [3]}',
        '{"class": ["MLP"]}',
        "3",
        "[]",
        "null",
    ],
)
@pytest.mark.parametrize("state", ['{"b": 1.0}', "{}", "3", '{"w.0": 1.0, "w.1": 2.0, "b": 0.0}'])
def test_a_made_up_file_is_a_value_error(config, state, tmp_path):
    path = tmp_path / "m.json"
    path.write_text(f'{{"format": "miniflow 1", "model": {config}, "state": {state}}}')
    with pytest.raises(ValueError, match=r"load: .*m\.json"):
        load(path)
