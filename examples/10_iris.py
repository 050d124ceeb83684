"""Train a small network on real data, watch it learn, look inside.

Classifies iris plants by four measurements; writes the loss curve and the graph of a
trained neuron to examples/output/. Needs the extras train and plot; with jit it is quicker.
"""

import csv
import random
from pathlib import Path

import matplotlib

from miniflow import Value
from miniflow.nn import MLP
from miniflow.optim import Adam
from viz import render

matplotlib.use("Agg")  # pictures go to files: no screen needed
import matplotlib.pyplot as plt

here = Path(__file__).parent
output = here / "output"
output.mkdir(exist_ok=True)

# --- the data: 150 plants, 30 % held out --------------------------------------

with (here / "data" / "iris.csv").open(encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
*features, target = rows[0]
species = sorted({row[target] for row in rows})
samples = [([float(row[f]) for f in features], species.index(row[target])) for row in rows]
random.Random(1).shuffle(samples)
held_out = len(samples) * 30 // 100
test, train = samples[:held_out], samples[held_out:]

# Measurements are scaled to mean 0 and deviation 1 over the training data.
columns = list(zip(*[x for x, _ in train], strict=True))
means = [sum(c) / len(c) for c in columns]
deviations = [
    (sum((v - m) ** 2 for v in c) / len(c)) ** 0.5 for c, m in zip(columns, means, strict=True)
]


def scaled(x: list[float]) -> list[float]:
    """One plant's measurements in standard deviations from the mean."""
    return [(v - m) / d for v, m, d in zip(x, means, deviations, strict=True)]


# --- training -----------------------------------------------------------------

model = MLP(4, [8, 3], activation="tanh", seed=1)
optimizer = Adam(model.parameters(), lr=0.02)
print(f"{len(model.parameters())} parameters, {len(train)} plants to learn from")

plants, kinds = [scaled(x) for x, _ in train], [k for _, k in train]
history = model.fit(
    plants, kinds, loss="cross_entropy", optimizer=optimizer, metrics=["accuracy"], epochs=60,
    batch_size=len(train), seed=1,
)  # fmt: skip
losses = history.history["loss"]

# --- what it learned ----------------------------------------------------------

seen = model.evaluate(plants, kinds)
unseen = model.evaluate([scaled(x) for x, _ in test], [k for _, k in test])
print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}")
print(f"training accuracy {seen['accuracy']:.3f}")
print(f"test accuracy {unseen['accuracy']:.3f} on {len(test)} plants never seen in training")
assert unseen["accuracy"] >= 0.93

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
axes.plot(range(1, len(losses) + 1), losses, color="#0b6e99")
axes.set(xlabel="epoch", ylabel="cross-entropy (nats)", ylim=(0, None), title="Learning iris")
axes.spines[["top", "right"]].set_visible(False)
figure.savefig(output / "iris_loss.png", dpi=150)

# One neuron of the trained network, on one plant: values forward, gradients back.
neuron = model.layers[0].neurons[0]
for name, w in zip(features, neuron.w, strict=True):
    w.label = f"w {name}".replace("_", " ")
neuron.b.label = "bias"
optimizer.zero_grad()
y: Value = neuron(
    [Value(v, label=f.replace("_", " ")) for f, v in zip(features, scaled(test[0][0]), strict=True)]
)
y.label = "neuron"
y.backward()
render(y, output / "iris_neuron.svg")
print(f"wrote {output.name}/iris_loss.png and {output.name}/iris_neuron.svg")

# Exercise: leave out the hidden layer, `MLP(4, [3])`. Predict how many of the 45 plants never
# seen in training it gets wrong, compared with the 2 of the larger network.
