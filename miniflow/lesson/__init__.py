"""The MiniFlow lesson's API: define a graph of nodes, propagate values forward, gradients back.

node.py      what every node has; Inputs; what flows between nodes
nodes.py     Add, Mul, Linear, Sigmoid, MSE: each with its forward and its backward
passes.py    topological_sort, forward_pass, forward_and_backward, sgd_update
values.py    a network's numbers as Values on the tape, for pictures and checks

Nodes hold numbers and NumPy's arrays, and compute at NumPy's speed. Fed with miniflow's Values
they record on the tape, and so they do where `viz.draw_dot` or `viz.play` is given a node.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from miniflow.lesson.node import Input, Layer, Neuron, Node
from miniflow.lesson.nodes import MSE, Add, Linear, Mul, Sigmoid
from miniflow.lesson.passes import (
    forward_and_backward,
    forward_pass,
    sgd_update,
    topological_sort,
)

if TYPE_CHECKING:
    import numpy as np

    from miniflow.lesson.values import to_values as to_values

# what ``from miniflow.lesson import *`` brings: the lesson's names, and np as its scripts expect
__all__ = [
    "MSE",
    "Add",
    "Input",
    "Layer",
    "Linear",
    "Mul",
    "Neuron",
    "Node",
    "Sigmoid",
    "forward_and_backward",
    "forward_pass",
    "np",
    "sgd_update",
    "topological_sort",
]


def __getattr__(name: str) -> Any:
    """What not every script needs is loaded when it is asked for."""
    if name == "np":
        return import_module("numpy")
    if name == "to_values":
        return import_module("miniflow.lesson.values").to_values
    raise AttributeError(f"module 'miniflow.lesson' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "to_values"})
