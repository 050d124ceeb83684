"""Diagrams: a neuron, a network in frames, a large graph folded to a page, what a step changed.

Writes examples/output/neuron.svg, neuron.png, frames.svg, training.svg and step.svg.
"""

from pathlib import Path

from miniflow import Value
from miniflow.nn import MLP, mse
from miniflow.optim import SGD
from viz import diff, draw_dot, render, snapshot

output = Path(__file__).parent / "output"
output.mkdir(exist_ok=True)


def wrote(path: Path) -> None:
    print("wrote", path.relative_to(output.parent.parent))


x = Value(2.0, label="x")
w = Value(-1.5, label="w")
b = Value(3.5, label="b")
y = (w * x + b).tanh()
y.label = "y"
y.backward()

# In a notebook, draw_dot(y) as the last line of a cell shows the diagram.
print(draw_dot(y).source)

# Files need no Graphviz on the machine; the suffix picks the format.
for name in ("neuron.svg", "neuron.png"):
    wrote(render(y, output / name, parameters=[w, b]))

# Modules, and blocks `with miniflow.scope(...)`, are frames.
model = MLP(2, [3, 1], activation="tanh", seed=1)
score = model([Value(1.0, label="x1"), Value(-2.0, label="x2")])
score.label = "score"
score.backward()
wrote(render(score, output / "frames.svg", compact=True, theme="dark"))

# 100 samples are more than 6,000 entries: scopes and alike entries become one box each.
inputs = [[k / 50 - 1, 1 - k / 25] for k in range(100)]
targets = [float(a > b) for a, b in inputs]
model = MLP(2, [16, 16, 1], seed=1)
loss = mse([model(row) for row in inputs], targets)
loss.label = "loss"
loss.backward()
wrote(render(loss, output / "training.svg"))

# A snapshot keeps what a step of an optimiser changes.
model = MLP(2, [1], seed=4)
optimizer = SGD(model.parameters(), lr=0.1)
row = [Value(1.0, label="x1"), Value(-2.0, label="x2")]
loss = (model(row) - 1.0) ** 2
loss.backward()
before = snapshot(loss)
optimizer.step()
optimizer.zero_grad()
loss = (model(row) - 1.0) ** 2
loss.backward()
wrote(render(diff(before, loss, compact=True), output / "step.svg"))
