"""micrograd's modules, of micrograd's Values: the same weights for a seed, the same numbers.

`miniflow.nn` has more, and is faster: these add up products one by one, as micrograd does.
"""

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from miniflow.micrograd.engine import Value
from miniflow.util.notebook import InNotebook


class Module(InNotebook):
    """Anything that lists its parameters."""

    def parameters(self) -> list[Value]:
        """The Values that are trained."""
        return []

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        for p in self.parameters():
            p.grad = 0


class Neuron(Module):
    """``relu(w . x + b)``; without relu where `nonlin` is false. Weights are uniform in [-1, 1].

    Example:
        >>> Neuron(2)([1.0, 2.0])._op
        'ReLU'
    """

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0)
        self.nonlin = nonlin

    def __call__(self, x: Sequence[Any]) -> Value:
        y = self.b
        for weight, number in zip(self.w, x, strict=False):  # as micrograd: the shorter one ends it
            y = y + weight * number
        return y.relu() if self.nonlin else y

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """`nout` neurons side by side; one neuron's output is a Value, more are a list."""

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        ys = [neuron(x) for neuron in self.neurons]
        return ys if len(ys) != 1 else ys[0]

    def parameters(self) -> list[Value]:
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(str, self.neurons))}]"


class MLP(Module):
    """Layers of `nouts` neurons; the last one has no relu."""

    def __init__(self, nin: int, nouts: list[int]) -> None:
        last = len(nouts) - 1
        sizes = enumerate(pairwise([nin, *nouts]))
        self.layers = [Layer(a, b, nonlin=k != last) for k, (a, b) in sizes]

    def __call__(self, x: Sequence[Any]) -> Any:
        y: Any = x
        for layer in self.layers:
            y = layer(y)
        return y

    def parameters(self) -> list[Value]:
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(str, self.layers))}]"
