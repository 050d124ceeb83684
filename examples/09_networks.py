"""Pictures of a network: its weights, its training, its boundary, its graph in frames or folded.

Writes to examples/output/: network.svg, plots.png, frames.svg, folded.svg and step.svg.
Needs the extra plot.
"""

import random
from pathlib import Path

import matplotlib

from miniflow import Value
from miniflow.nn import MLP, hinge
from miniflow.optim import SGD, Adam
from viz import (
    diff,
    draw_network,
    plot_decision_boundary,
    plot_gradients,
    plot_history,
    render,
    snapshot,
)

matplotlib.use("Agg")  # pictures go to files: no screen needed
import matplotlib.pyplot as plt

output = Path(__file__).parent / "output"
output.mkdir(exist_ok=True)


def wrote(path: Path) -> None:
    print("wrote", path.relative_to(output.parent.parent))


# --- a model that tells the inside of a circle from the outside -------------------

rng = random.Random(1)
points = [[rng.uniform(-1, 1), rng.uniform(-1, 1)] for _ in range(150)]
classes = [1 if x * x + y * y < 0.5 else -1 for x, y in points]

model = MLP(2, [6, 4, 1], activation="tanh", seed=1)
optimizer = Adam(model.parameters(), lr=0.05)
losses = []
for _ in range(80):
    loss = hinge([model(x) for x in points], classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.data)

right = sum(model(x).data * k > 0 for x, k in zip(points, classes, strict=True))
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, {right} of {len(points)} points right")
assert right >= 140

# --- the model, and its training ---------------------------------------------------

# Layers as columns; a line for each weight, its colour the sign, its thickness the size.
wrote(render(draw_network(model), output / "network.svg"))

figure, (left, middle, last) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
plot_history(losses, left)
plot_decision_boundary(model, points, classes, middle)
plot_gradients(model, last)
figure.savefig(output / "plots.png", dpi=120)
wrote(output / "plots.png")

# --- its graph ---------------------------------------------------------------------

# What a module computes is in a frame; `with miniflow.scope("name"):` makes others.
small = MLP(2, [3, 1], activation="tanh", seed=1)
score = small([Value(1.0, label="x1"), Value(-2.0, label="x2")])
score.label = "score"
score.backward()
wrote(render(score, output / "frames.svg", compact=True, theme="dark"))

# The loss over all points is a graph of thousands of entries: frames, and entries that are
# alike, become one box each.
# The optimiser has moved the parameters since: first it is computed again.
loss.label = "loss"
optimizer.zero_grad()
loss.forward().backward()
wrote(render(loss, output / "folded.svg"))

# A snapshot keeps numbers and gradients, and `diff` draws what a step has changed.
neuron = MLP(2, [1], seed=1)
descent = SGD(neuron.parameters(), lr=0.05)


def error() -> Value:
    """How wrong the neuron is, squared; with gradients."""
    y: Value = (neuron([Value(1.0, label="x1"), Value(-2.0, label="x2")]) - 1.0) ** 2
    y.label = "error"
    y.backward()
    return y


before = snapshot(error())
descent.step()
descent.zero_grad()
wrote(render(diff(before, error(), compact=True), output / "step.svg"))

# Exercise: make the model with `activation=None`. Predict the shape of its boundary, and about
# how many points are right.
