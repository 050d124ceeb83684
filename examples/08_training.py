"""Watching a network learn: 40 iterations of training on two moons, as a page.

The loop is an ordinary one; `with record(model)` around it is all that is added. Writes
examples/output/training.html: one slider goes through the iterations, and the decision boundary,
the loss, the weights and their gradients change with it. The graph of one sample can be stepped
through; that of the whole loss is too large.
"""

import random
from math import cos, pi, sin
from pathlib import Path

from miniflow.nn import MLP, hinge
from miniflow.optim import Adam
from viz import play, record

output = Path(__file__).parent / "output"
output.mkdir(exist_ok=True)

# --- the data: two half circles that reach into one another, with noise ---------

rng = random.Random(1)
noise = 0.1


def moon(k: int) -> tuple[list[float], float]:
    """A point of the upper moon, class 1, or of the lower one, class -1."""
    t, upper = pi * rng.random(), k % 2 == 0
    x, y = (cos(t), sin(t)) if upper else (1 - cos(t), 0.5 - sin(t))
    return [x + rng.gauss(0, noise), y + rng.gauss(0, noise)], 1.0 if upper else -1.0


points, classes = zip(*map(moon, range(100)), strict=True)

# --- training, recorded ----------------------------------------------------------

model = MLP(2, [16, 16, 1], activation="tanh", seed=1)
optimizer = Adam(model.parameters(), lr=0.03)

with record(model, data=(points, classes)) as recording:
    for _ in range(40):
        scores = [model(point) for point in points]
        loss = hinge(scores, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

right = sum(model(x).data * t > 0 for x, t in zip(points, classes, strict=True))
print(f"loss {recording.losses[0]:.4f} -> {recording.losses[-1]:.4f}, {right} of 100 points right")
assert right >= 95

path = play(recording, output / "training.html", title="Two moons: 40 iterations of training")
print("wrote", path.relative_to(output.parent.parent))

# Exercise: leave out `optimizer.zero_grad()`. Predict what the loss does in 40 iterations, and
# how large the gradients become; then look at both in the page.
