"""A fixed step settles only where it is smaller than 2 divided by the curvature."""

from typing import Any

from miniflow import value_and_grad


def valley(x: Any, y: Any) -> Any:
    """Rosenbrock's function."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def walk(rate: float) -> tuple[list[float], list[float]]:
    """The heights and the slopes by x, at each of 2,000 steps."""
    x, y = 1.01, 1.02
    heights, slopes = [], []
    for _ in range(2000):
        height, (dx, dy) = value_and_grad(valley, argnums=(0, 1))(x, y)
        heights.append(height)
        slopes.append(dx)
        x, y = x - rate * dx, y - rate * dy
    return heights, slopes


small, _ = walk(0.0019)
large, slopes = walk(0.003)
print(f"height after steps of 0.0019: {small[-1]:.1e}, and still falling")
print(f"height after steps of 0.003:  {large[-1]:.1e}")
print("the slope by x there, step by step:", [round(dx, 1) for dx in slopes[-4:]])

# On a slope that changes by 1001.6 a unit, a step of 0.003 times the slope goes more than twice
# as far as the bottom is: to the other side, and higher up. It does not fly off for ever: the
# valley is less steep elsewhere, and there it jumps from one side to the other and back.
assert small[-1] < small[-2] < 1e-5
assert 0.1 < large[-1] < 1.0
assert all(a * b < 0 for a, b in zip(slopes[-100:], slopes[-99:], strict=False))
