"""Models that several tests draw."""

import math

from miniflow import Value
from miniflow.nn import (
    MLP,
    Dropout,
    Layer,
    LayerNorm,
    Linear,
    Module,
    Neuron,
    ReLU,
    Sequential,
    Softmax,
    Tanh,
)


def neuron():
    return Neuron(3, activation="tanh", seed=2)


def small():
    return MLP(3, [4, 2], activation="tanh", seed=1)


def long():
    return MLP(2, [300, 1], seed=1)


class Nest(Module):
    """Parts that follow each other, and one that does not; one parameter of no neuron."""

    def __init__(self):
        self.encoder = MLP(2, [3, 2], activation="silu", seed=3)
        self.head = Layer(2, 2, nonlin=False, seed=1)
        self.parts = {"a b": [Neuron(5, seed=4)]}
        self.gain = Value(1.0)
        self.parent = self

    def __call__(self, x):
        return self.head(self.encoder(x))


def nest():
    model = Nest()
    first, second, third = model.encoder.layers[0].neurons
    first.w[0].data, first.w[1].data = 0.0, math.nan
    second.b.data, third.b.data = -math.inf, -2.45e-7
    model.head.neurons[0].activation, model.head.neurons[0].nonlin = first.activation, True
    return model


def stack():
    """PyTorch's layers: activations as modules, one layer without biases, a norm."""
    return Sequential(
        Linear(3, 4, seed=1), LayerNorm(4), ReLU(), Dropout(0.5),
        Sequential(Linear(4, 3, bias=False, seed=2), Tanh()), Linear(3, 2, seed=3), Softmax(),
    )  # fmt: skip


MODELS = {f.__name__: f for f in (neuron, small, long, nest, stack)}
