"""An LSTMCell in place of the RNNCell: four times the weights, and a little less surprise."""

import random
from pathlib import Path
from typing import Any

from miniflow.nn import LSTMCell
from miniflow.optim import Adam

# the example as far as its training: the names and the model
path = Path(__file__).parent.parent / "16_names.py"
example: dict[str, Any] = {"__file__": str(path), "__name__": "example"}
exec(path.read_text(encoding="utf-8").partition("# --- training")[0], example)
names, surprise = example["NAMES"], example["surprise"]
Writer: Any = example["Writer"]


class LongWriter(Writer):  # type: ignore[misc]
    """The writer, with a memory that decides what it forgets."""

    def __init__(self, size: int, seed: int) -> None:
        super().__init__(size, seed)
        self.memory = LSTMCell(6, size, seed=seed)

    def __call__(self, letter: int, state: Any = None) -> tuple[list[Any], Any]:
        state = self.memory(self.letters(letter), state)
        return self.scores(state[0]), state


def trained(model: Any, epochs: int) -> float:
    """The mean surprise in the last epoch."""
    optimizer, rng = Adam(model.parameters(), lr=0.01), random.Random(1)
    for _ in range(epochs):
        total = 0.0
        for name in rng.sample(names, len(names)):
            loss = surprise(model, name)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.data
    return total / len(names)


short, long = trained(Writer(24, 1), 5), trained(LongWriter(24, 1), 5)
print(f"after 5 epochs: RNNCell {short:.2f}, LSTMCell {long:.2f}")

# It is, if only a little: names are short, and so is what has to be remembered.
assert long < short < 1.7
