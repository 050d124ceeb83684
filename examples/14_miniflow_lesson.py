"""The MiniFlow lesson's last script: define a graph of nodes, then propagate both ways.

The course's own import is `from miniflow import *`; here it is `miniflow.lesson`, and the rest is
as its students write it. The data is scikit-learn's diabetes where that is installed (the course's
house prices are gone from it), otherwise made from a seed. Writes the network and the steps of one
sample to examples/output/.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from miniflow.lesson import (
    MSE,
    Input,
    Linear,
    Sigmoid,
    forward_and_backward,
    sgd_update,
    to_values,
    topological_sort,
)
from viz import play, render

output = Path(__file__).parent / "output"
output.mkdir(exist_ok=True)
random = np.random.default_rng(1)

# --- the data: 442 patients, ten measurements, how far a disease went -------------

if find_spec("sklearn"):
    X_, y_ = import_module("sklearn.datasets").load_diabetes(return_X_y=True)
else:
    X_ = random.normal(size=(442, 10))
    y_ = 150 + 55 * np.tanh(X_ @ random.normal(size=10) / 2) + 30 * random.normal(size=442)
X_ = (X_ - X_.mean(axis=0)) / X_.std(axis=0)
y_ = (y_ - y_.mean()) / y_.std()

n_features, n_hidden = X_.shape[1], 10
W1_ = random.normal(size=(n_features, n_hidden))
b1_ = np.zeros(n_hidden)
W2_ = random.normal(size=(n_hidden, 1))
b2_ = np.zeros(1)

# --- the network ------------------------------------------------------------------

X, y = Input(), Input()
W1, b1 = Input(), Input()
W2, b2 = Input(), Input()

l1 = Linear(X, W1, b1)
s1 = Sigmoid(l1)
l2 = Linear(s1, W2, b2)
cost = MSE(y, l2)

feed_dict = {X: X_, y: y_, W1: W1_, b1: b1_, W2: W2_, b2: b2_}
graph = topological_sort(feed_dict)
trainables = [W1, b1, W2, b2]

# --- training: 11 patients at a time ------------------------------------------------

epochs, batch_size = 100, 11
m = X_.shape[0]
steps_per_epoch = m // batch_size
losses = []
print(f"Total number of examples = {m}")
for epoch in range(epochs):
    loss = 0.0
    for _ in range(steps_per_epoch):
        batch = random.integers(m, size=batch_size)
        X.value, y.value = X_[batch], y_[batch]
        forward_and_backward(graph)
        sgd_update(trainables)
        loss += graph[-1].value
    losses.append(loss / steps_per_epoch)
    if epoch % 20 == 0 or epoch == epochs - 1:
        print(f"Epoch: {epoch + 1}, Loss: {losses[-1]:.3f}")
assert losses[-1] < 0.6 < losses[0]
assert W1.value is W1_  # what was fed has learned

# --- what the course only described -------------------------------------------------

render(cost, output / "lesson_network.svg")
play(cost, output / "lesson_steps.html", title="One patient, forward and backward")
print("wrote output/lesson_network.svg and output/lesson_steps.html")

# On the tape the same network is made of Values, and the engine has gradients of its own.
error = to_values(cost)
error.backward()
forward_and_backward(graph)
assert np.isclose(error.data, cost.value)

# Exercise: write a node `ReLU` with a forward and a backward of your own, and put it in the place
# of `Sigmoid`. Then leave its backward out, and let the engine say whether it was right: what
# does `to_values(cost).backward()` give for each weight?
