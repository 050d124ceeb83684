"""XOR by hand: a network of plain Values and its training, written out; then by miniflow.nn.

XOR of two inputs is 1 if one of them is 1, but not both. A single neuron cannot tell, because
no straight line has (0, 1) and (1, 0) on one side, (0, 0) and (1, 1) on the other. Two layers
can.
"""

import random
from collections.abc import Callable
from typing import Any

from miniflow import Value, math
from miniflow.nn import MLP, mse
from miniflow.optim import SGD

samples = [((0.0, 0.0), 0.0), ((0.0, 1.0), 1.0), ((1.0, 0.0), 1.0), ((1.0, 1.0), 0.0)]

# A neuron is a list of Values: a weight for each input, and a bias.
rng = random.Random(1)
hidden = [[Value(rng.uniform(-1, 1)) for _ in range(3)] for _ in range(3)]
last = [Value(rng.uniform(-1, 1)) for _ in range(4)]
parameters = [p for neuron in [*hidden, last] for p in neuron]


def network(x: tuple[float, float]) -> Any:
    """The answer to two inputs: by three hidden neurons, and a last one on top of them."""
    h = [math.tanh(w1 * x[0] + w2 * x[1] + b) for w1, w2, b in hidden]
    w1, w2, w3, b = last
    return w1 * h[0] + w2 * h[1] + w3 * h[2] + b


def show(network: Callable[[Any], Any]) -> None:
    """Print the truth table."""
    for x, y in samples:
        answer = network(x).data
        print(f"  {x[0]:.0f} xor {x[1]:.0f} is {y:.0f}, the network says {answer:.3f}")
        assert round(answer) == y


print(" step    loss")
for step in range(251):
    loss = math.sum([(network(x) - y) ** 2 for x, y in samples]) / 4
    for p in parameters:
        p.grad = 0.0
    loss.backward()
    for p in parameters:
        p.data -= 0.2 * p.grad
    if step % 50 == 0:
        print(f"{step:5}  {loss.data:.4f}")
show(network)

# Two slips of the first week. Without `p.grad = 0.0` the gradients of all steps add up. And
# `p -= 0.2 * p.grad` makes another Value and calls it p: the network still has the old one.
before = [p.data for p in parameters]
for p in parameters:
    p -= 0.2 * p.grad
assert [p.data for p in parameters] == before

# With miniflow.nn all of it is a model, an optimiser for its parameters, and a loss.
model = MLP(2, [3, 1], activation="tanh", seed=1)
optimizer = SGD(model.parameters(), lr=0.2)
for _ in range(251):
    loss = mse([model(x) for x, _ in samples], [y for _, y in samples])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("by miniflow.nn:")
show(model)

# Exercise: let all parameters start at 0.5 instead of random numbers. Predict what becomes of
# the three hidden neurons, and what the truth table looks like then.
