"""Newton's method goes where the slope is 0: only near the bottom that is the bottom."""

from pathlib import Path
from typing import Any

import numpy as np

from miniflow import grad, hessian, jit

# the example as far as the fit: the problem
path = Path(__file__).parent.parent / "12_curve_fit.py"
example: dict[str, Any] = {"__file__": str(path)}
exec(path.read_text(encoding="utf-8").partition("# --- the fit")[0], example)
rss, start, lowest = example["rss"], example["start"], example["certified_rss"]

slope, curvature = jit(grad(rss)), jit(hessian(rss))
eigenvalues = np.linalg.eigvalsh(curvature(start))
print("the curvature's eigenvalues at the start:", eigenvalues)

b = np.array(start)
for _ in range(3):
    b = b - np.linalg.solve(curvature(b), slope(b))
    print("after a step:", b, f"rss {rss(b):.0f}")
print(f"at the bottom: rss {lowest:.0f}")

# One of them is negative: along it the valley curves downward, and the place where its slope
# would be 0 lies uphill. SciPy's method keeps an estimate that never curves downward.
assert eigenvalues[0] < 0
assert rss(b) > 100 * lowest
