"""Trained for too long, the network learns the noise: on other points it is worse."""

import random

from miniflow import math
from miniflow.nn import MLP
from miniflow.optim import Adam
from miniflow.train import EarlyStopping

rng = random.Random(2)
x = [rng.uniform(-3.0, 3.0) for _ in range(120)]
y = [math.sin(2.0 * v) + 0.3 * rng.gauss(0.0, 1.0) for v in x]


def held_out(*callbacks: EarlyStopping) -> tuple[float, float]:
    """The errors after training: of points that were learned from, and of others."""
    model = MLP(1, [24, 24, 1], activation="tanh", seed=4)
    model.fit(x, y, loss="mse", optimizer=Adam(model.parameters(), lr=0.02), epochs=400,
              batch_size=16, validation_split=1 / 3, callbacks=callbacks, seed=1,
              verbose=0)  # fmt: skip
    return model.evaluate(x[:80], y[:80])["loss"], model.evaluate(x[80:], y[80:])["loss"]


stopped = held_out(EarlyStopping(patience=40, restore_best_weights=True))
whole = held_out()
print("learned from {:.3f}, held out {:.3f}, with early stopping".format(*stopped))
print("learned from {:.3f}, held out {:.3f}, without".format(*whole))

# Larger: what is won on the points that it sees is the noise of these points.
assert whole[0] < stopped[0]
assert whole[1] > stopped[1]
