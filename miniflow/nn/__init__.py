"""Neural networks of Values: modules, and losses.

saved.py          what is in the file of a model
module.py         what has parameters, and what they are called
arguments.py      what modules are given: sizes, seeds, inputs
neurons.py        micrograd's modules: Neuron, Layer, MLP
loading.py        saved models, made again
"""

from typing import Any

from miniflow import ops
from miniflow.losses import bce_with_logits, cross_entropy, hinge, mae, mse
from miniflow.nn.loading import load
from miniflow.nn.module import Module, ParameterName, parameter_names, parts
from miniflow.nn.neurons import MLP, Layer, Neuron
from miniflow.util.habits import NN, advice

__all__ = [
    "MLP", "Layer", "Module", "Neuron", "ParameterName", "bce_with_logits", "cross_entropy",
    "hinge", "load", "mae", "mse", "parameter_names", "parts",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    remedy = f"; it is miniflow.math.{name}" if name in ops.TABLE else advice(name, NN, __all__)
    raise AttributeError(f"module 'miniflow.nn' has no attribute {name!r}{remedy}")
