"""Layers without an activation are one linear function: its boundary is a straight line."""

import random

from miniflow.nn import MLP, hinge
from miniflow.optim import Adam

rng = random.Random(1)
points = [[rng.uniform(-1, 1), rng.uniform(-1, 1)] for _ in range(150)]
classes = [1 if x * x + y * y < 0.5 else -1 for x, y in points]

model = MLP(2, [6, 4, 1], activation=None, seed=1)
optimizer = Adam(model.parameters(), lr=0.05)
for _ in range(80):
    loss = hinge([model(x) for x in points], classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

right = sum(model(x).data * k > 0 for x, k in zip(points, classes, strict=True))
print(f"loss {loss.data:.3f}, {right} of {len(points)} points right")

# On a straight way the score of a linear function changes evenly: half-way it is the mean.
start, half, end = (model([t, 1 - 2 * t]).data for t in (-1.0, 0.0, 1.0))
print(f"scores on a straight way: {start:.3f}, {half:.3f}, {end:.3f}")
assert abs(half - (start + end) / 2) < 1e-12

# A line can do little more than call everything outside: so are 60 % of the points.
outside = classes.count(-1)
print(f"{outside} points are outside")
assert right <= outside + 15
