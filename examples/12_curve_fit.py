"""Fit a curve with SciPy and exact derivatives, and check it against a certified answer.

NIST, the measurement institute of the U.S., publishes data with solutions that were computed
in 128-bit arithmetic, to test software with. Here: how onions grow, a problem of its highest
level of difficulty, from the start that is far off. Needs SciPy.
"""

import csv
import sys
from math import log10
from pathlib import Path
from typing import Any

import numpy as np

from miniflow import grad, hessian, jit, math, value_and_grad

try:
    from scipy.optimize import minimize
except ImportError:
    print("this example needs SciPy: pip install scipy")
    sys.exit()

# --- the problem: Rat43 of NIST's reference data ------------------------------

with (Path(__file__).parent / "data" / "rat43.csv").open(encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
samples = [(float(row["time"]), float(row["weight"])) for row in rows]

start = [100.0, 10.0, 1.0, 1.0]
certified = [6.9964151270e02, 5.2771253025e00, 7.5962938329e-01, 1.2792483859e00]
certified_rss = 8.7864049080e03


def weight(b: Any, time: float) -> Any:
    """A lopsided S that levels off at b1."""
    b1, b2, b3, b4 = b
    return b1 / (1 + math.exp(b2 - b3 * time)) ** (1 / b4)


def rss(b: Any) -> Any:
    """The residual sum of squares, to be made as small as possible."""
    return math.sum([(y - weight(b, time)) ** 2 for time, y in samples])


# Do the data and the certificate belong together? All of its digits must come out.
assert f"{rss(certified):.10e}" == f"{certified_rss:.10e}"

# --- the fit ------------------------------------------------------------------

# SciPy asks for a function of an array that returns a number and an array, its gradient.
fit = minimize(jit(value_and_grad(rss)), start, jac=True, method="BFGS")
b = fit.x

# A valley is flat at its bottom: by its height half of the digits can be told. The slope is
# 0 in one place only, and Newton's method finds that, with the exact curvature.
slope, curvature = jit(grad(rss)), jit(hessian(rss))
for _ in range(3):
    b = b - np.linalg.solve(curvature(b), slope(b))

# --- how good is it? ----------------------------------------------------------


def digits(found: float, right: float) -> int:
    """How many digits are right, of the 11 that are certified."""
    error = abs(found - right) / abs(right)
    return min(11, int(-log10(error))) if error else 11


print("                found         certified  digits")
for k, (x, y) in enumerate(zip(b, certified, strict=True), 1):
    print(f"b{k}  {x:.11e}  {y:.10e}  {digits(x, y):6}")
print(f"rss {rss(b):.11e}  {certified_rss:.10e}  {digits(rss(b), certified_rss):6}")

# Without a gradient SciPy nudges each parameter and looks what happens.
nudged = minimize(rss, start, method="BFGS")
print(f"by nudging instead of derivatives: {min(map(digits, nudged.x, certified))} digits")

if min(map(digits, b, certified)) < 8:
    sys.exit("fewer than 8 digits")

# Exercise: leave out SciPy's fit and let Newton's method begin at `start`. Predict where three
# steps lead to, then look at the eigenvalues of `curvature(start)`: what do they tell?
