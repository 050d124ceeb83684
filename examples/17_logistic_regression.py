"""Logistic regression: one Linear says how likely a tumour is benign, and which numbers tell.

The data is scikit-learn's breast cancer set where that is installed: 569 tumours, thirty numbers
of each, and what they turned out to be. Otherwise as many rows are made from a seed.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from miniflow import Value, math, nn, no_grad
from miniflow.optim import Adam

random = np.random.default_rng(1)

# --- the data ---------------------------------------------------------------------

if find_spec("sklearn"):
    found = import_module("sklearn.datasets").load_breast_cancer()
    rows, labels, names = found.data, found.target, [str(name) for name in found.feature_names]
else:
    rows = random.normal(size=(569, 30))
    chances = 1 / (1 + np.exp(-1 - rows @ random.normal(size=30)))
    labels = (random.uniform(size=569) < chances).astype(int)
    names = [f"number {k}" for k in range(30)]

order = random.permutation(len(rows))
seen, unseen = order[:400], order[400:]
mean, spread = rows[seen].mean(axis=0), rows[seen].std(axis=0)
xs = ((rows - mean) / spread).tolist()  # of what is seen: the others must stay unknown
ys = labels.tolist()
print(f"{len(xs)} tumours, {sum(ys)} of them benign")

# --- the model --------------------------------------------------------------------

# Its output is a logit, the logarithm of the odds; the loss takes the sigmoid itself.
model = nn.Linear(30, 1, init=lambda nin, nout, rng: 0.0)
optimizer = Adam(model.parameters(), lr=0.05)
decay = 0.01  # keeps weights small: thirty numbers tell nearly the same things


def loss_of(batch: Iterable[int]) -> Value:
    """How surprised the model is by what these tumours are, and how large its weights are."""
    surprise = nn.bce_with_logits([model(xs[k]) for k in batch], [ys[k] for k in batch])
    total: Value = surprise + decay * math.sum([w * w for w in model.weight[0]])
    return total


def right(batch: Iterable[int]) -> float:
    """The share of tumours for which the likelier answer is the right one."""
    with no_grad():
        return float(np.mean([(model(xs[k]).data > 0) == ys[k] for k in batch]))


for epoch in range(60):
    loss = loss_of(seen)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch in (0, 9, 59):
        print(f"epoch {epoch + 1:2}: loss {loss.data:.4f}, right {right(seen):.1%}")

# --- what it says -----------------------------------------------------------------

print(f"of {len(unseen)} tumours that it has never seen it is right of {right(unseen):.1%}")
assert right(unseen) > 0.8

ranked = sorted(zip(model.weight[0], names, strict=True), key=lambda pair: -abs(pair[0].data))
for w, name in ranked[:4]:
    print(f"  {name:22} {w.data:+.2f}")

# Where it is sure, it is right more often.
with no_grad():
    sure = [k for k in unseen if abs(model(xs[k]).data) > 2]
print(f"where it is surer than {math.sigmoid(2.0):.0%}: right of {right(sure):.1%} of {len(sure)}")
assert right(sure) >= right(unseen)

# Exercise: set `decay` to 0. The loss of what is seen falls; what happens to the largest weights,
# and to the tumours that were never seen?
