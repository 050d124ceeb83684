"""The MiniFlow lesson in NumPy, as its students write it: a reference for numbers and for time.

It is no model: it knows what its scripts need, and has the lesson's faults (a gradient of `MSE`
that is right for one output only, no sums of a node with itself).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np


class Node:
    def __init__(self, inbound_nodes: Iterable["Node"] = ()) -> None:
        self.inbound_nodes = list(inbound_nodes)
        self.outbound_nodes: list[Node] = []
        self.value: Any = None
        self.gradients: dict[Node, Any] = {}
        for x in self.inbound_nodes:
            x.outbound_nodes.append(self)

    def forward(self) -> None:
        raise NotImplementedError

    def backward(self) -> None:
        raise NotImplementedError


class Input(Node):
    def forward(self) -> None:
        pass

    def backward(self) -> None:
        self.gradients = {self: 0}
        for x in self.outbound_nodes:
            self.gradients[self] += x.gradients[self]


class Linear(Node):
    def __init__(self, inputs: Node, weights: Node, bias: Node) -> None:
        super().__init__([inputs, weights, bias])

    def forward(self) -> None:
        inputs, weights, bias = (x.value for x in self.inbound_nodes)
        self.value = np.dot(inputs, weights) + bias

    def backward(self) -> None:
        self.gradients = {x: np.zeros_like(x.value) for x in self.inbound_nodes}
        inputs, weights, bias = self.inbound_nodes
        for x in self.outbound_nodes:
            share = x.gradients[self]
            self.gradients[inputs] += np.dot(share, weights.value.T)
            self.gradients[weights] += np.dot(inputs.value.T, share)
            self.gradients[bias] += np.sum(share, axis=0)


class Sigmoid(Node):
    def __init__(self, node: Node) -> None:
        super().__init__([node])

    def forward(self) -> None:
        self.value = 1 / (1 + np.exp(-self.inbound_nodes[0].value))

    def backward(self) -> None:
        self.gradients = {x: np.zeros_like(x.value) for x in self.inbound_nodes}
        for x in self.outbound_nodes:
            y = self.value
            self.gradients[self.inbound_nodes[0]] += y * (1 - y) * x.gradients[self]


class MSE(Node):
    def __init__(self, targets: Node, predictions: Node) -> None:
        super().__init__([targets, predictions])

    def forward(self) -> None:
        y, a = (x.value.reshape(-1, 1) for x in self.inbound_nodes)
        self.m = len(self.inbound_nodes[0].value)
        self.diff = y - a
        self.value = np.mean(self.diff**2)

    def backward(self) -> None:
        y, a = self.inbound_nodes
        self.gradients = {y: 2 / self.m * self.diff, a: -2 / self.m * self.diff}


def topological_sort(feed_dict: dict[Node, Any]) -> list[Node]:
    for x, value in feed_dict.items():
        x.value = value
    inbound: dict[Node, set[Node]] = {x: set() for x in feed_dict}
    waiting = list(feed_dict)
    while waiting:
        x = waiting.pop()
        for y in x.outbound_nodes:
            if y not in inbound:
                waiting.append(y)
            inbound.setdefault(y, set()).add(x)
    order, ready = [], [x for x in inbound if not inbound[x]]
    while ready:
        x = ready.pop(0)
        order.append(x)
        for y in x.outbound_nodes:
            inbound[y].discard(x)
            if not inbound[y]:
                ready.append(y)
    return order


def forward_and_backward(graph: list[Node]) -> None:
    for x in graph:
        x.forward()
    for x in reversed(graph):
        x.backward()


def sgd_update(trainables: Iterable[Node], learning_rate: float = 1e-2) -> None:
    for x in trainables:
        x.value -= learning_rate * x.gradients[x]
