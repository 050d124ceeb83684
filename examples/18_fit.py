"""Train as one does with Keras: early stopping, a rate that falls, a history to plot.

Learns a curve from noisy points, stops before it learns the noise, and draws how that went to
examples/output/fit_history.png. Needs the extras jit, train and plot.
"""

import random
from pathlib import Path

import matplotlib

from miniflow import math
from miniflow.nn import MLP
from miniflow.optim import Adam
from miniflow.train import EarlyStopping, ReduceLROnPlateau

matplotlib.use("Agg")  # pictures go to files: no screen needed
import matplotlib.pyplot as plt

output = Path(__file__).parent / "output"
output.mkdir(exist_ok=True)

# --- the data: a curve, and noise ---------------------------------------------

rng = random.Random(2)
x = [rng.uniform(-3.0, 3.0) for _ in range(120)]
y = [math.sin(2.0 * v) + 0.3 * rng.gauss(0.0, 1.0) for v in x]

# --- training: the last third of the points is held out ------------------------

model = MLP(1, [24, 24, 1], activation="tanh", seed=4)
model.summary()
early = EarlyStopping(patience=40, restore_best_weights=True)
history = model.fit(
    x, y, loss="mse", optimizer=Adam(model.parameters(), lr=0.02), metrics=["r2"], epochs=400,
    batch_size=16, validation_split=1 / 3, callbacks=[early, ReduceLROnPlateau(patience=15)],
    seed=1, verbose=0,
)  # fmt: skip
print(history)
print(f"stopped after {len(history.epoch)} epochs; the best was epoch {early.best_epoch + 1}")

held_out = model.evaluate(x[80:], y[80:])
print(f"of points never seen: mean squared error {held_out['loss']:.3f}, r2 {held_out['r2']:.3f}")
assert abs(held_out["loss"] - min(history.history["val_loss"])) < 1e-12
assert held_out["r2"] > 0.6

# --- pictures -------------------------------------------------------------------

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
history.plot("loss", "val_loss", ax=left, log=True)
left.axvline(early.best_epoch + 1, color="#888888", linewidth=1, linestyle=":")
left.set_title("Learning, and where it was best")
grid = [k / 50 - 3.0 for k in range(301)]
right.plot(x[:80], y[:80], ".", color="#9aa5b1", label="learned from")
right.plot(x[80:], y[80:], ".", color="#c8553d", label="held out")
right.plot(grid, model.predict(grid), color="#0b6e99", label="the network")
right.legend(frameon=False)
right.spines[["top", "right"]].set_visible(False)
right.set_title("What it learned")
figure.savefig(output / "fit_history.png", dpi=120)
print(f"wrote {output.name}/fit_history.png")

# Exercise: without `early`, training goes on for all 400 epochs. Predict whether the error on the
# points that were held out is then smaller or larger.
