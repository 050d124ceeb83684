"""What of a model a drawing shows: its layers, their neurons, and what follows what."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from miniflow.nn import Layer, Linear, Neuron, parts
from miniflow.nn.activations import SameSize
from miniflow.tape.core import Value

# modules that are drawn as the activation of the layer before them
ACTIVATION_MODULES = {
    "ReLU", "Tanh", "Sigmoid", "SiLU", "GELU", "Softplus", "LogSigmoid", "LeakyReLU", "ELU",
    "Softmax", "LogSoftmax",
}  # fmt: skip


class DrawnNeuron(NamedTuple):
    """A neuron, or a row of a Linear: its parameters, and what they are called."""

    w: Sequence[Any]
    b: Any  # None where there is none
    activation: str
    w_name: str  # what all its weights' names begin with
    b_name: str

    @property
    def inputs(self) -> int:
        """How many numbers go in."""
        return len(self.w)


class LayerColumn(NamedTuple):
    """One layer: its name, and its neurons."""

    name: str
    neurons: list[DrawnNeuron]

    @property
    def inputs(self) -> int:
        """How many numbers go in."""
        return max(neuron.inputs for neuron in self.neurons)

    @property
    def activation(self) -> str:
        """The activation that all neurons have, or nothing if they differ."""
        names = {neuron.activation for neuron in self.neurons}
        return names.pop() if len(names) == 1 else ""

    def followed_by(self, activation: str) -> "LayerColumn":
        """The layer with an activation behind it."""
        neurons = [
            x._replace(activation=activation)
            if x.activation == "linear"
            else x._replace(activation=f"{activation} of {x.activation}")
            for x in self.neurons
        ]
        return LayerColumn(self.name, neurons)


def columns_in(model: Any) -> list[LayerColumn]:
    """The layers of a model, in the order in which it holds them; none if it has none.

    Activations that stand behind a layer as modules are the layer's.
    """
    columns: list[LayerColumn] = []
    for x in _columns(model, "", set()):
        if isinstance(x, LayerColumn):
            columns.append(x)
        elif columns:
            columns[-1] = columns[-1].followed_by(x)
    return columns


def _columns(nest: Any, path: str, seen: set[int]) -> Iterator[LayerColumn | str]:
    """The layers in a nest of modules and containers, once each, and activations between them."""
    if isinstance(nest, SameSize) and type(nest).__name__ in ACTIVATION_MODULES:
        yield type(nest).__name__.lower()
        return
    if id(nest) in seen or isinstance(nest, (Value, str)):
        return
    seen.add(id(nest))
    if isinstance(nest, Neuron):
        yield LayerColumn(path or "neuron", [_with_names(nest, path)])
        return
    if isinstance(nest, Linear):
        yield LayerColumn(path or "linear", list(_rows_of(nest, path)))
        return
    own = nest.neurons if isinstance(nest, Layer) else nest
    if isinstance(own, (list, tuple)) and own and all(isinstance(x, Neuron) for x in own):
        inside = lengthened(path, "neurons") if isinstance(nest, Layer) else path
        neurons = [_with_names(x, lengthened(inside, str(k))) for k, x in enumerate(own)]
        yield LayerColumn(path or "layer", neurons)
        return
    for name, child in parts(nest):
        yield from _columns(child, lengthened(path, str(name)), seen)


def _with_names(neuron: Neuron, path: str) -> DrawnNeuron:
    """A neuron, with its parameters' names."""
    names = lengthened(path, "w"), lengthened(path, "b")
    return DrawnNeuron(neuron.w, neuron.b, neuron.activation_name, *names)


def _rows_of(layer: Linear, path: str) -> Iterator[DrawnNeuron]:
    """The rows of a Linear, as neurons."""
    for k, w in enumerate(layer.weight):
        b = None if layer.bias is None else layer.bias[k]
        names = lengthened(path, f"weight.{k}"), lengthened(path, f"bias.{k}")
        yield DrawnNeuron(w, b, "linear", *names)


def lengthened(path: str, name: str) -> str:
    """The path of a part of that name, of what has a path itself."""
    return f"{path}.{name}" if path else name


def chains_of(columns: list[LayerColumn]) -> list[list[LayerColumn]]:
    """The layers in rows where each can follow the one before it."""
    chains = [columns[:1]]
    for before, column in pairwise(columns):
        if column.inputs == len(before.neurons):
            chains[-1].append(column)
        else:
            chains.append([column])
    return chains
