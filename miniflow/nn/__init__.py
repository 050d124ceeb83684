"""Neural networks of Values: modules, and losses.

saved.py          what is in the file of a model
module.py         what has parameters, and what they are called
arguments.py      what modules are given: sizes, seeds, inputs
inits.py          how weights begin
neurons.py        micrograd's modules: Neuron, Layer, MLP
activations.py    activations as modules: ReLU, Tanh, ...
dropout.py        Dropout, and the random numbers that it needs
layers.py         PyTorch's modules: Linear, Sequential, LayerNorm, Embedding
recurrent.py      RNN, GRU and LSTM: cells, and stacks of them
loading.py        saved models, made again
"""

from typing import Any

from miniflow import ops
from miniflow.losses import bce_with_logits, cross_entropy, hinge, mae, mse
from miniflow.nn import inits
from miniflow.nn.activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from miniflow.nn.dropout import Dropout, noise, with_noise
from miniflow.nn.layers import Embedding, LayerNorm, Linear, Sequential
from miniflow.nn.loading import load
from miniflow.nn.module import Module, ParameterName, parameter_names, parts
from miniflow.nn.neurons import MLP, Layer, Neuron
from miniflow.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from miniflow.util.habits import NN, advice

__all__ = [
    "ELU", "GELU", "GRU", "LSTM", "MLP", "RNN", "Dropout", "Embedding", "GRUCell", "Identity",
    "LSTMCell", "Layer", "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "Module",
    "Neuron", "ParameterName", "RNNCell", "ReLU", "Sequential", "SiLU", "Sigmoid", "Softmax",
    "Softplus", "Tanh", "bce_with_logits", "cross_entropy", "hinge", "inits", "load", "mae", "mse",
    "noise", "parameter_names", "parts", "with_noise",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    remedy = f"; it is miniflow.math.{name}" if name in ops.TABLE else advice(name, NN, __all__)
    raise AttributeError(f"module 'miniflow.nn' has no attribute {name!r}{remedy}")
