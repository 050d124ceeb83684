"""Without decay the loss falls on, weights grow, and what was never seen gains nothing."""

from pathlib import Path
from typing import Any

# the example as it is, and with other weights' decay
path = Path(__file__).parent.parent / "17_logistic_regression.py"
text = path.read_text(encoding="utf-8").partition("# --- what it says")[0]
kept: dict[str, Any] = {"__file__": str(path)}
grown: dict[str, Any] = {"__file__": str(path)}
exec(text, kept)
exec(text.replace("decay = 0.01", "decay = 0.0"), grown)


def largest(example: dict[str, Any]) -> float:
    """The largest weight."""
    return float(max(abs(w.data) for w in example["model"].weight[0]))


for name, example in (("with decay", kept), ("without", grown)):
    unseen = example["right"](example["unseen"])
    print(f"{name}: largest weight {largest(example):.2f}, unseen right {unseen:.1%}")

# The data can be told apart nearly perfectly, so nothing but decay keeps the weights from growing.
assert largest(grown) > 1.2 * largest(kept)
assert grown["loss"].data < kept["loss"].data
assert grown["right"](grown["unseen"]) <= kept["right"](kept["unseen"]) + 0.02
