"""The gallery's pictures of networks and of training: python examples/gallery/networks.py.

Trains a small network to tell two half-moons apart, and draws it, its loss, its
decision boundary and its gradients. Needs the extra plot.

The other diagrams in this folder are as examples 04 (neuron) and 09 (frames, folded, step)
write them.
"""

import math
import random
from collections.abc import Callable
from pathlib import Path

import matplotlib

from miniflow.nn import MLP, hinge
from miniflow.optim import Adam
from viz import draw_network, plot_decision_boundary, plot_gradients, plot_history, render

matplotlib.use("Agg")  # pictures go to files: no screen needed
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

here = Path(__file__).parent


def moons(count: int, seed: int) -> tuple[list[list[float]], list[int]]:
    """Points on two half-circles that reach into each other, and which one each is on."""
    rng = random.Random(seed)
    points, labels = [], []
    for k in range(count):
        angle = math.pi * rng.random()
        upper = [math.cos(angle), math.sin(angle)]
        x, y = upper if k % 2 else [1 - upper[0], 0.5 - upper[1]]
        points.append([x + rng.gauss(0, 0.1), y + rng.gauss(0, 0.1)])
        labels.append(1 if k % 2 else -1)
    return points, labels


def main() -> None:
    """Draw everything."""
    render(draw_network(MLP(2, [300, 1], seed=1)), here / "network_long.svg")
    render(draw_network(MLP(3, [4, 2], activation="tanh", seed=1)), here / "network_small.svg")

    points, labels = moons(100, seed=1)
    model = MLP(2, [8, 8, 1], activation="tanh", seed=1)
    optimizer = Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(80):
        loss = hinge([model(x) for x in points], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data)

    render(draw_network(model), here / "network.svg")
    render(draw_network(model, theme="dark"), here / "network_dark.svg")
    plots: dict[str, Callable[[Axes], Axes]] = {
        "history": lambda ax: plot_history(losses, ax),
        "boundary": lambda ax: plot_decision_boundary(model, points, labels, ax),
        "gradients": lambda ax: plot_gradients(model, ax),
    }
    with plt.rc_context({"svg.hashsalt": "miniflow"}):  # the same bytes each time
        for name, plot in plots.items():
            figure, ax = plt.subplots(layout="constrained")
            plot(ax)
            figure.savefig(here / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
