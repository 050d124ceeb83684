"""Gradient descent: find the lowest point of a valley by always walking downhill.

Writes examples/output/schedules.png: four schedules of the learning rate.
"""

import math
import random
from pathlib import Path
from typing import Any

from miniflow import Value, hessian, value_and_grad
from miniflow.optim import SGD, Adam, CosineAnnealingLR, LambdaLR, OneCycleLR, StepLR
from viz import plot_history


def valley(x: Any, y: Any) -> Any:
    """Rosenbrock's function: a flat, bent valley with its lowest point 0 at (1, 1)."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


# By functions: value_and_grad(f) computes f and all its derivatives in one sweep.
print("by hand   step        x        y     height")
x, y = -1.2, 1.0
for step in range(20001):
    height, (dx, dy) = value_and_grad(valley, argnums=(0, 1))(x, y)
    if step % 5000 == 0:
        print(f"         {step:5}  {x:7.4f}  {y:7.4f}  {height:9.2e}")
    x, y = x - 0.001 * dx, y - 0.001 * dy

# By Values and an optimiser: momentum, or a step size for each parameter, is faster.
for name in ("SGD", "Adam"):
    point = [Value(-1.2), Value(1.0)]
    optimizer = Adam(point, lr=0.1) if name == "Adam" else SGD(point, lr=0.001, momentum=0.9)
    print(f"\n{name:<8}  step        x        y     height")
    for step in range(2001):
        bottom = valley(*point)
        if step % 500 == 0:
            a, b = point
            print(f"         {step:5}  {a.data:7.4f}  {b.data:7.4f}  {bottom.data:9.2e}")
        optimizer.zero_grad()
        bottom.backward()
        optimizer.step()
    assert bottom.data < 1e-3

# A schedule: long steps first, short ones at the end. Without one, Adam's steps stay as long as lr,
# and it keeps on walking about the lowest point; so it does where the gradients are noisy.
SCHEDULES: dict[str, Any] = {
    "the same": lambda optimizer: LambdaLR(optimizer, lambda k: 1.0),
    "StepLR": lambda optimizer: StepLR(optimizer, step_size=150),
    "CosineAnnealingLR": lambda optimizer: CosineAnnealingLR(optimizer, T_max=500),
    "OneCycleLR": lambda optimizer: OneCycleLR(optimizer, max_lr=0.3, total_steps=500),
}
print("\nschedule            distance from the lowest point")
rates, distances = {}, {}
for name, schedule_of in SCHEDULES.items():
    rng = random.Random(1)
    point = [Value(-1.2), Value(1.0)]
    optimizer = Adam(point, lr=0.3)
    schedule = schedule_of(optimizer)
    rates[name] = [schedule(k) for k in range(500)]
    for _ in range(500):
        a, b = point
        bowl = (a - 1) ** 2 + (b - 2) ** 2 + a * rng.gauss(0, 1) + b * rng.gauss(0, 1)
        optimizer.zero_grad()
        bowl.backward()
        optimizer.step()
        schedule.step()
    distances[name] = math.dist([p.data for p in point], (1, 2))
    print(f"{name:<18}  {distances[name]:.3f}")
assert max(distances["StepLR"], distances["CosineAnnealingLR"]) < distances["the same"]

output = Path(__file__).parent / "output"
output.mkdir(exist_ok=True)
try:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    plot_history(rates, axes)
    axes.set_ylabel("learning rate")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.93))
    figure.savefig(output / "schedules.png", dpi=120)
    print("wrote", (output / "schedules.png").relative_to(output.parent.parent))
except ImportError:
    print("without Matplotlib the schedules are not plotted")

# Newton's method also asks for the curvature and needs a handful of steps.
print("\nNewton    step        x        y     height")
x, y = -1.2, 1.0
for step in range(8):
    height, (dx, dy) = value_and_grad(valley, argnums=(0, 1))(x, y)
    print(f"         {step:5}  {x:7.4f}  {y:7.4f}  {height:9.2e}")
    (xx, xy), (_, yy) = hessian(lambda p: valley(*p))((x, y))
    determinant = xx * yy - xy * xy
    x, y = x - (yy * dx - xy * dy) / determinant, y - (xx * dy - xy * dx) / determinant
assert height < 1e-12

# Two slips of the first week. `p -= ...` gives the name p to another Value, computed from the
# old one, and the list keeps what it had: a step sets .data.
weights = [Value(3.0), Value(4.0)]
(weights[0] ** 2 + weights[1] ** 2).backward()
for p in weights:
    p -= 0.1 * p.grad  # the slip
assert [p.data for p in weights] == [3.0, 4.0]
for p in weights:
    p.data -= 0.1 * p.grad
print("\nweights after a step:", [round(p.data, 3) for p in weights])

# And a step that is too long leads higher up, from there higher still, and out of the numbers.
point, step = [Value(-1.2), Value(1.0)], 0
optimizer = SGD(point, lr=0.01)
while math.isfinite((bottom := valley(*point)).data):
    optimizer.zero_grad()
    bottom.backward()
    optimizer.step()
    step += 1
print(f"steps of 0.01: the height is {bottom.data} after {step} of them")
assert step < 20

# Exercise: start near the bottom, at (1.01, 1.02), and walk 2,000 steps of 0.0019, then of
# 0.003 times the gradient. The largest curvature there is 1001.6, and 2 / 1001.6 lies between
# the two: predict which of them arrives, and what the other one does.
