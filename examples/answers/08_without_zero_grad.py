"""Gradients that are never set back add up: a ball that rolls without friction."""

from pathlib import Path
from statistics import median
from typing import Any

from miniflow.nn import MLP, hinge
from miniflow.optim import Adam

# the example as far as its training: its points and classes
path = Path(__file__).parent.parent / "08_training.py"
example: dict[str, Any] = {"__file__": str(path)}
exec(path.read_text(encoding="utf-8").partition("# --- training")[0], example)
points, classes = example["points"], example["classes"]


def train(zero_grad: bool) -> tuple[list[float], float]:
    """The losses of 40 iterations, and the usual size of a gradient at the end."""
    model = MLP(2, [16, 16, 1], activation="tanh", seed=1)
    optimizer = Adam(model.parameters(), lr=0.03)
    losses = []
    for _ in range(40):
        loss = hinge([model(point) for point in points], classes)
        if zero_grad:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
    return losses, median(abs(p.grad) for p in model.parameters())


for zero_grad in (True, False):
    losses, size = train(zero_grad)
    print(f"zero_grad {zero_grad!s:5}  losses", [f"{x:.2f}" for x in losses[::8]], f"{size:.4f}")
    # What has been added up goes on pushing after the bottom of a valley is passed. The loss
    # swings instead of settling, and gradients are many times as large as those of one step.
    assert losses[-1] < 0.1 if zero_grad else losses[-1] > 0.3
    assert size < 0.02 if zero_grad else size > 0.1
