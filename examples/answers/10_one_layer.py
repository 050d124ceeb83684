"""Iris hardly needs a hidden layer: straight boundaries separate the species nearly as well."""

from pathlib import Path
from typing import Any

from miniflow import no_grad
from miniflow.nn import MLP, cross_entropy
from miniflow.optim import Adam

# the example as far as its training: the plants
path = Path(__file__).parent.parent / "10_iris.py"
example: dict[str, Any] = {"__file__": str(path)}
exec(path.read_text(encoding="utf-8").partition("# --- training")[0], example)
train, test, scaled = example["train"], example["test"], example["scaled"]


def wrong(sizes: list[int]) -> int:
    """How many plants never seen in training a network of these layers gets wrong."""
    model = MLP(4, sizes, activation="tanh", seed=1)
    optimizer = Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        loss = cross_entropy([model(scaled(x)) for x, _ in train], [k for _, k in train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with no_grad():
        scores = [model(scaled(x)) for x, _ in test]
    return sum(s[k] != max(s) for s, (_, k) in zip(scores, test, strict=True))


two, one = wrong([8, 3]), wrong([3])
print(f"two layers: {two} of {len(test)} wrong, one layer: {one}")

# One plant more. One species stands apart, the other two meet along a plane: a network with a
# hidden layer can bend it, but there is next to nothing to be gained.
assert two <= 3
assert one <= two + 2
