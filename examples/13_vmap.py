"""Iris again, as in example 10, with the loss of one plant compiled to run over all of them.

The model, its parameters and the optimiser stay what they are.
"""

import csv
import random
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from miniflow import math, vmap
from miniflow.nn import MLP
from miniflow.optim import Adam

# --- the data: the same plants held out, in arrays ----------------------------

with (Path(__file__).parent / "data" / "iris.csv").open(encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
*features, target = rows[0]
species = sorted({row[target] for row in rows})
random.Random(1).shuffle(rows)
held_out = len(rows) * 30 // 100

plants = np.array([[float(row[f]) for f in features] for row in rows])
plants = (plants - plants[held_out:].mean(axis=0)) / plants[held_out:].std(axis=0)
answers = np.array([[float(row[target] == name) for name in species] for row in rows])
test = plants[:held_out], answers[:held_out]
train = plants[held_out:], answers[held_out:]

# --- one plant ----------------------------------------------------------------

model = MLP(4, [8, 3], activation="tanh", seed=1)


def surprise(plant: Any, answer: Any) -> Any:
    """Cross-entropy, for an answer that is 1 at the right species and 0 at the others."""
    scores = model(plant)
    return reduce(math.logaddexp, scores) - math.dot(scores, answer)


def right(plant: Any, answer: Any) -> Any:
    """1 if the right species has the highest score, else 0."""
    scores = model(plant)
    return answer[max(range(3), key=scores.__getitem__)]


# --- all plants ---------------------------------------------------------------

# vmap compiles a function of one plant to run over the first axis of arrays, several plants
# at a time. The model's parameters are read anew at each call, and backward() reaches them.
loss_of = vmap(surprise, reduce="mean")

# max compares scores, so plants take different paths through `right`: that is allowed, too.
accuracy_of = vmap(right, reduce="mean")

optimizer = Adam(model.parameters(), lr=0.02)


def step(loss_of: Callable[..., Any], *data: Any) -> float:
    """One step of training; the loss before it."""
    loss = loss_of(*data)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.data)


print("epoch    loss   test accuracy")
for epoch in range(1, 61):
    loss = step(loss_of, *train)
    if epoch % 10 == 0:
        print(f"{epoch:5}  {loss:.4f}           {accuracy_of(*test):.3f}")
assert accuracy_of(*test) >= 0.95

# --- what it is worth ---------------------------------------------------------


def eager(plants: list[Any], answers: list[Any]) -> Any:
    """The same loss, one recorded operation after the other."""
    return math.sum(map(surprise, plants, answers)) / len(plants)


def seconds(loss_of: Callable[..., Any], *data: Any) -> float:
    """What a step takes: the best of five, the others were disturbed."""
    times = []
    for _ in range(5):
        start = perf_counter()
        step(loss_of, *data)
        times.append(perf_counter() - start)
    return min(times)


lists = [array.tolist() for array in train]
assert abs(eager(*lists).data - loss_of(*train).data) < 1e-12
loss_of.ready()  # optimised code is built in the background
ratio = seconds(eager, *lists) / seconds(loss_of, *train)
print(f"an eager step takes {ratio:.0f} times as long")

# Exercise: write `reduce="sum"` for the mean in `loss_of`, so that the loss and its gradients
# are 105 times as large. Predict what that does to 60 steps of Adam, and what to steps of SGD.
