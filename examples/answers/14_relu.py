"""A node of one's own, whose backward the engine checks: without it, it differentiates forward."""

from typing import Any

import numpy as np

from miniflow import Value
from miniflow.lesson import (
    MSE,
    Input,
    Linear,
    Node,
    forward_and_backward,
    to_values,
    topological_sort,
)


class ForwardOnly(Node):
    """max(x, 0), element by element; on numbers, and on Values just as well."""

    def __init__(self, x: Node) -> None:
        super().__init__([x])

    def forward(self) -> None:
        self.value = np.maximum(self.inbound_nodes[0].value, 0)


class ReLU(ForwardOnly):
    """The same with a backward."""

    def backward(self) -> None:
        x = self.inbound_nodes[0]
        self.gradients = {x: np.zeros_like(x.value)}
        for n in self.outbound_nodes:
            self.gradients[x] += (x.value > 0) * n.gradients[self]


def weights_below(v: Value) -> dict[str, Value]:
    """The weights that a Value was computed from, by their names."""
    found, waiting = {}, [v]
    while waiting:
        v = waiting.pop()
        if v.label.startswith("W["):
            found[v.label] = v
        waiting += v.inputs
    return found


random = np.random.default_rng(1)
X, y, W, b = Input("X"), Input("y"), Input("W"), Input("b")
numbers = random.normal(size=(5, 3)), random.normal(size=(5, 2)), random.normal(size=(3, 2))
feed: dict[Node, Any] = dict(zip((X, y, W, b), (*numbers, np.zeros(2)), strict=True))

# with the backward: the lesson's two passes
MSE(y, ReLU(Linear(X, W, b)))
forward_and_backward(topological_sort(feed))

# without: the engine's sweep over what forward does to Values
error = to_values(MSE(y, ForwardOnly(Linear(X, W, b))))
error.backward()
for name, w in sorted(weights_below(error).items()):
    row, column = (int(k) for k in name[2:-1].split(", "))
    print(f"{name}  {W.gradients[W][row, column]: .6f}  {w.grad: .6f}")
    assert np.isclose(W.gradients[W][row, column], w.grad)
assert len(weights_below(error)) == 6
