"""Models that several tests compute, save and load."""

import numpy as np

from miniflow import Value
from miniflow.nn import MLP, Layer, Module, Neuron


def mixed():
    layer = Layer(2, 3, activation="tanh", seed=1)
    layer.neurons[1] = Neuron(2, activation="relu", seed=2)
    layer.neurons[2] = Neuron(2, nonlin=False, seed=3)
    return layer


def changed():
    model = MLP(2, [3, 2, 1], seed=1)
    model.layers[0] = mixed()
    model.layers[2].neurons[0] = Neuron(2, activation="sigmoid", seed=4)
    return model


def numbers(model):
    return [p.data for p in model.parameters()]


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
