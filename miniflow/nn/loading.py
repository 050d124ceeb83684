"""Saved models, made again from their files."""

import os
from itertools import pairwise
from typing import Any

from miniflow.nn.arguments import size_of
from miniflow.nn.module import Module
from miniflow.nn.neurons import MLP, Layer, Neuron
from miniflow.nn.saved import read


def load(path: str | os.PathLike[str]) -> Module:
    """The Neuron, Layer or MLP in a file that `save` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a saved model; or one of another class, or with an
            activation that is not in the table: make such a model and call its `load`.
    """
    config, state = read(path)
    try:
        if _parameter_count(config) != len(state):  # before memory is filled
            raise ValueError(f"sizes that do not fit its {len(state)} parameters")
        model = _rebuilt(config)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"load: {os.fspath(path)!r}: {error}; make such a model and call its load"
        ) from error
    return model.load(path)


def _parameter_count(config: dict[str, Any]) -> int:
    """How many parameters a model of that configuration has."""
    if config["class"] == "MLP":
        if "layers" in config:
            if {layer["class"] for layer in config["layers"]} != {"Layer"}:
                raise ValueError("an MLP of something else than layers")
            return sum(_parameter_count(layer) for layer in config["layers"])
        return sum((a + 1) * b for a, b in pairwise(config["sizes"]))
    if config["class"] == "Layer" and config["neurons"]:
        return sum(_parameter_count(neuron) for neuron in config["neurons"])
    if config["class"] == "Neuron":
        return 1 + size_of("size", config["size"])
    raise ValueError(f"expected an MLP, a Layer with neurons or a Neuron, got {config['class']!r}")


def _rebuilt(config: dict[str, Any]) -> Module:
    """A model of that configuration, its parameters still to be loaded."""
    if config["class"] == "MLP":
        if "layers" not in config:
            nin, *nouts = config["sizes"]
            return MLP(nin, nouts, activation=config["activation"], seed=0)
        model = MLP(1, [1], seed=0)
        model.layers = [_rebuilt(layer) for layer in config["layers"]]  # type: ignore[misc]
        return model
    if config["class"] == "Neuron":
        return Neuron(config["size"], activation=config["activation"], seed=0)
    layer = Layer(1, 1, seed=0)
    layer.neurons = [_rebuilt(neuron) for neuron in config["neurons"]]  # type: ignore[misc]
    return layer
