"""Adam does not notice the scale of a loss; to SGD it is the length of each step."""

from functools import reduce
from pathlib import Path
from typing import Any

from miniflow import math, vmap
from miniflow.nn import MLP
from miniflow.optim import SGD, Adam

# the example as far as the plants
path = Path(__file__).parent.parent / "13_vmap.py"
example: dict[str, Any] = {"__file__": str(path)}
exec(path.read_text(encoding="utf-8").partition("# --- one plant")[0], example)
train = example["train"]


def losses(kind: Any, lr: float, how: str) -> list[float]:
    """The mean loss at each of 60 steps on the mean, or on the sum."""
    model = MLP(4, [8, 3], activation="tanh", seed=1)
    optimizer = kind(model.parameters(), lr=lr)

    def surprise(plant: Any, answer: Any) -> Any:
        scores = model(plant)
        return reduce(math.logaddexp, scores) - math.dot(scores, answer)

    loss_of = vmap(surprise, reduce=how)
    found = []
    for _ in range(60):
        loss = loss_of(*train)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.data / (len(train[0]) if how == "sum" else 1))
    return found


runs = {}
for kind, lr in ((Adam, 0.02), (SGD, 0.1)):
    for how in ("mean", "sum"):
        found = runs[kind, how] = losses(kind, lr, how)
        print(f"{kind.__name__:4} {how:4}  at most {max(found):7.4f}, at the end {found[-1]:.4f}")

# Adam divides each gradient by its usual size, where a factor cancels (but for a tiny number that
# keeps it from dividing by 0). SGD's steps are 105 times as long: the first ones shoot far over
# the valley. Ask for the mean, and a rate that is good for ten plants is good for ten thousand.
assert abs(runs[Adam, "mean"][-1] - runs[Adam, "sum"][-1]) < 1e-4
assert max(runs[SGD, "mean"]) < 1.5 < 5 < max(runs[SGD, "sum"])
