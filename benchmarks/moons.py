"""micrograd's demo: a small network learns to tell two moons apart; as written, and ported.

Each demo is an iterator: `next` takes one step of training and gives the loss before it.
All start from the same weights and see the same points.

Source: demo.ipynb of https://github.com/karpathy/micrograd, its cells from 3 to 7.
"""
# ruff: noqa: B905, N806 - the notebook's code and names

import importlib
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

STEPS = 100  # that the notebook takes
SIZES = (2, 16, 16, 1)


def moons(samples: int = 100, noise: float = 0.1) -> tuple[Any, Any]:
    """Points of two interleaved half circles, as scikit-learn makes them; labels 0 and 1."""
    angle = np.linspace(0, np.pi, samples // 2)
    outer = np.c_[np.cos(angle), np.sin(angle)]
    inner = np.c_[1 - np.cos(angle), 0.5 - np.sin(angle)]
    x = np.concatenate([outer, inner]) + np.random.normal(0, noise, (samples, 2))
    return x, np.repeat([0, 1], samples // 2)


def seeded() -> tuple[Any, Any]:
    """The notebook's points and labels, -1 or 1, with its seeds set."""
    np.random.seed(1337)
    random.seed(1337)
    x, y = moons()
    return x, y * 2 - 1


def notebook(library: str) -> Iterator[float]:
    """The notebook's cells, of micrograd or of miniflow: only the import differs."""
    package = "micrograd.engine" if library == "micrograd" else "miniflow"
    Value = importlib.import_module(package).Value
    MLP = importlib.import_module(f"{library}.nn").MLP
    X, y = seeded()
    model = MLP(2, [16, 16, 1])

    def loss(batch_size: Any = None) -> Any:
        # inline DataLoader :)
        if batch_size is None:
            Xb, yb = X, y
        else:
            ri = np.random.permutation(X.shape[0])[:batch_size]
            Xb, yb = X[ri], y[ri]
        inputs = [list(map(Value, xrow)) for xrow in Xb]

        # forward the model to get scores
        scores = list(map(model, inputs))

        # svm "max-margin" loss
        losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(yb, scores)]
        data_loss = sum(losses) * (1.0 / len(losses))
        # L2 regularization
        alpha = 1e-4
        reg_loss = alpha * sum(p * p for p in model.parameters())
        total_loss = data_loss + reg_loss

        # also get accuracy
        accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(yb, scores)]
        return total_loss, sum(accuracy) / len(accuracy)

    for k in range(STEPS):
        # forward
        total_loss, _acc = loss()

        # backward
        model.zero_grad()
        total_loss.backward()

        # update (sgd)
        learning_rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= learning_rate * p.grad
        yield float(total_loss.data)


def with_minigrad() -> Iterator[float]:
    """The same with minigrad, whose memory plain numbers corrupt: constants are its Values."""
    value = importlib.import_module("minigrad.engine").Value
    points, labels = seeded()
    model = importlib.import_module("minigrad.nn").MLP(SIZES[0], list(SIZES[1:]))
    zero, one, alpha, share = [value(x) for x in (0.0, 1.0, 1e-4, 1.0 / len(labels))]
    signs = [value(float(-label)) for label in labels]

    def loss() -> Any:
        inputs = [[value(float(x)) for x in point] for point in points]
        scores = list(map(model, inputs))
        losses = [(one + s * score).relu() for s, score in zip(signs, scores, strict=True)]
        [(s.data < 0) == (score.data > 0) for s, score in zip(signs, scores, strict=True)]
        return sum(losses, zero) * share + alpha * sum((p * p for p in model.parameters()), zero)

    for k in range(STEPS):
        total = loss()
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 100) * p.grad
        yield total.data


def with_xad() -> Iterator[float]:
    """The same operations on XAD's Reals, which are no Values: micrograd's formulas by hand."""
    adj = importlib.import_module("xad.adj_1st")
    points, labels = seeded()
    numbers = [
        [random.uniform(-1, 1) for _ in range(nin)] + [0.0]
        for nin, nout in pairwise(SIZES)
        for _ in range(nout)
    ]
    with adj.Tape() as tape:
        for k in range(STEPS):
            neurons = [[adj.Real(p) for p in neuron] for neuron in numbers]
            flat = [p for neuron in neurons for p in neuron]
            tape.registerInputs(flat)
            tape.newRecording()
            total = xad_loss(adj.Real, neurons, flat, points, labels)
            tape.registerOutput(total)
            total.derivative = 1.0
            tape.computeAdjoints()
            rate = 1.0 - 0.9 * k / 100
            numbers = [[p.value - rate * p.derivative for p in neuron] for neuron in neurons]
            yield total.value


def xad_loss(real: Any, neurons: list[Any], flat: list[Any], points: Any, labels: Any) -> Any:
    """The notebook's loss, with the fastest of three ways to write relu for XAD."""
    zero = real(0.0)
    layers = [(neurons[:16], True), (neurons[16:32], True), (neurons[32:], False)]
    layers = [([(n[:-1], n[-1]) for n in layer], nonlin) for layer, nonlin in layers]

    def model(x: list[Any]) -> Any:
        for layer, nonlin in layers:
            out = []
            for w, b in layer:
                act = sum((wi * xi for wi, xi in zip(w, x)), b)
                out.append((act if act.value > 0 else zero) if nonlin else act)
            x = out
        return x[0]

    scores = [model(list(map(real, point))) for point in points]
    margins = [1 + -label * score for label, score in zip(labels.tolist(), scores, strict=True)]
    losses = [margin if margin.value > 0 else zero for margin in margins]
    [(label > 0) == (score.value > 0) for label, score in zip(labels, scores, strict=True)]
    data_loss = sum(losses[1:], losses[0]) * (1.0 / len(losses))
    return data_loss + 1e-4 * sum((p * p for p in flat), zero)


def demo(library: str) -> Iterator[float]:
    """The demo by that library."""
    ported = {"minigrad": with_minigrad, "xad": with_xad}
    return ported[library]() if library in ported else notebook(library)
