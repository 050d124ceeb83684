"""Saved models, made again from their files."""

import os
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from miniflow.nn.activations import (
    Elementwise,
    Identity,
    LogSoftmax,
    Softmax,
)
from miniflow.nn.arguments import whole
from miniflow.nn.dropout import Dropout
from miniflow.nn.layers import Embedding, LayerNorm, Linear, Sequential
from miniflow.nn.module import Module
from miniflow.nn.neurons import MLP, Layer, Neuron
from miniflow.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from miniflow.nn.saved import read
from miniflow.util.words import shown

NEURONS = {"MLP", "Layer", "Neuron"}  # whose configurations are nested in their own way
BUILT_IN: list[type[Module]] = [
    *(Linear, Sequential, Dropout, LayerNorm, Embedding, Identity, Softmax, LogSoftmax),
    *(RNNCell, GRUCell, LSTMCell, RNN, GRU, LSTM),
    *Elementwise.__subclasses__(),
]
CLASSES = {kind.__name__: kind for kind in BUILT_IN}


def load(path: str | os.PathLike[str], classes: Iterable[type[Module]] = ()) -> Module:
    """The model in a file that `save` wrote.

    Args:
        path: the file.
        classes: classes of your own that the model is made of: their `from_config` is given
            what their `config` returned, by default as the arguments of the class.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a saved model; or it names a class that is neither one of
            miniflow's nor given, or an activation that is not in the table: make such a model
            and call its `load`.
    """
    known = {**CLASSES, **_by_name(classes)}
    saved = read(path)
    try:
        count = len(saved.state) if isinstance(saved.state, dict) else 0
        least = _least_parameters(saved.config, known)
        if least > count:  # before memory is filled
            raise ValueError(f"sizes that do not fit its {count} parameters")
        model = _rebuilt(saved.config, known)
    except RecursionError:
        raise ValueError(f"load: {os.fspath(path)!r}: it is nested too deeply") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        what = f"there is no {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"load: {os.fspath(path)!r}: {what}; or make such a model and call its load"
        ) from error
    return model.load(path)


def _by_name(classes: Iterable[type[Module]]) -> dict[str, type[Module]]:
    """Classes of the user's, by name."""
    if isinstance(classes, type) or not isinstance(classes, Iterable):
        raise TypeError(f"load: classes must be a list of classes, got {shown(classes)}")
    found = {}
    for kind in classes:
        if not isinstance(kind, type) or not issubclass(kind, Module):
            raise TypeError(f"load: a class must be a subclass of Module, got {shown(kind)}")
        found[kind.__name__] = kind
    return found


def _is_config(x: Any) -> bool:
    """Whether something is the configuration of a module."""
    return isinstance(x, dict) and "class" in x


def _is_of_neurons(x: Any, known: dict[str, type[Module]]) -> bool:
    """Whether something is the configuration of micrograd's modules, and not of the user's."""
    name = x["class"] if _is_config(x) else None
    return isinstance(name, str) and name in NEURONS and name not in known


def _class_of(config: Any, known: dict[str, type[Module]]) -> type[Module]:
    """The class that a configuration names."""
    if not _is_config(config):
        raise ValueError(f"expected what a model is, got {shown(config)}")
    name = config["class"]
    if not isinstance(name, str):
        raise ValueError(f"a class must be a name, got {shown(name)}")
    if name not in known:
        raise ValueError(f"it needs your class: give load(path, classes=[{name:.60}])")
    return known[name]


def _configs_in(x: Any) -> list[Any]:
    """The configurations that an argument is, or that stand in it, in lists of any depth."""
    if isinstance(x, list):
        return [config for part in x for config in _configs_in(part)]
    return [x] if _is_config(x) else []


def _least_parameters(config: Any, known: dict[str, type[Module]]) -> int:
    """How many parameters a model of that configuration has at least."""
    if _is_of_neurons(config, known):
        return _parameter_count(config)
    kind = _class_of(config, known)
    parts = _configs_in([*config.values()])
    inner = sum(_least_parameters(part, known) for part in parts)
    return kind.least_parameters(config) + inner


def _rebuilt(config: Any, known: dict[str, type[Module]]) -> Module:
    """A model of that configuration, its parameters still to be loaded."""
    if _is_of_neurons(config, known):
        return _of_neurons(config)
    kind = _class_of(config, known)
    arguments = {name: _argument(x, known) for name, x in config.items() if name != "class"}
    return kind.from_config(arguments)


def _argument(x: Any, known: dict[str, type[Module]]) -> Any:
    """An argument of a class: what was a configuration is a module again."""
    if isinstance(x, list):
        return [_argument(part, known) for part in x]
    return _rebuilt(x, known) if _is_config(x) else x


# --- micrograd's modules --------------------------------------------------------


def _parameter_count(config: dict[str, Any]) -> int:
    """How many parameters a model of neurons has."""
    if config["class"] == "MLP":
        if "layers" in config:
            if {layer["class"] for layer in config["layers"]} != {"Layer"}:
                raise ValueError("an MLP of something else than layers")
            return sum(_parameter_count(layer) for layer in config["layers"])
        return sum((a + 1) * b for a, b in pairwise(config["sizes"]))
    if config["class"] == "Layer" and config["neurons"]:
        return sum(_parameter_count(neuron) for neuron in config["neurons"])
    if config["class"] == "Neuron":
        return 1 + whole("size", config["size"])
    raise ValueError(f"expected an MLP, a Layer with neurons or a Neuron, got {config['class']!r}")


def _of_neurons(config: dict[str, Any]) -> Module:
    """A model of neurons."""
    if config["class"] == "MLP":
        if "layers" not in config:
            nin, *nouts = config["sizes"]
            return MLP(nin, nouts, activation=config["activation"], seed=0)
        model = MLP(1, [1], seed=0)
        model.layers = [_of_neurons(layer) for layer in config["layers"]]  # type: ignore[misc]
        return model
    if config["class"] == "Neuron":
        return Neuron(config["size"], activation=config["activation"], seed=0)
    layer = Layer(1, 1, seed=0)
    layer.neurons = [_of_neurons(neuron) for neuron in config["neurons"]]  # type: ignore[misc]
    return layer
