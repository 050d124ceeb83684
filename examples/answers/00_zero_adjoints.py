"""Why a sweep asks whether a Value was reached, and not whether its adjoint is 0."""

import math
from pathlib import Path
from typing import Any

page = (Path(__file__).parent.parent / "00_engine.py").read_text(encoding="utf-8")
lesson, _, _ = page.partition("for kind in")  # without what it prints
edited = lesson.replace("if y in adjoint", "if adjoint.get(y)")


def gradient(source: str) -> float:
    """The gradient of 0 * log(x) at x = 0, as a lesson of that text has it."""
    names: dict[str, Any] = {}
    exec(source, names)
    x = names["Value"](0.0)
    y = 0 * names["math"].log(x)
    y.backward()
    return float(x.grad)


# log(0) is -inf and its slope inf. The adjoint of the logarithm is 0, and 0 * inf is nan: the
# gradient says that something is wrong here. Passed over, it stays 0, as if all were well.
print("by `y in adjoint`:  ", gradient(lesson))
print("by `adjoint.get(y)`:", gradient(edited))
assert math.isnan(gradient(lesson))
assert gradient(edited) == 0.0
