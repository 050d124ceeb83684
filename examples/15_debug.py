"""Why a number is wrong: a NaN, a gradient of zero, lost digits, work done in vain."""

from typing import Any

from miniflow import Value, debug, math

# --- a NaN --------------------------------------------------------------------


def distance(a: list[Value], b: list[Value]) -> Any:
    """How far two points are apart."""
    squares = [(x - y) ** 2 for x, y in zip(a, b, strict=True)]
    return math.sqrt(math.sum(squares))


here = [Value(1.0, label="x"), Value(2.0, label="y")]

# Two points that coincide: the distance is 0, and its gradient is NaN. It goes wrong where a root
# at 0 is infinitely steep and a square is flat. In this block it raises, and says so.
try:
    with debug.nans():
        distance(here, [Value(1.0), Value(2.0)]).backward()
except debug.NanError as error:
    print(error)
    found = error
assert [v.grad for v in here] == [0.0, 0.0]  # no gradient has changed
assert "hypot" in found.remedy

# What it advises: the slope of a length at 0 is 0.
math.hypot(here[0] - 1.0, here[1] - 2.0).backward()
assert [v.grad for v in here] == [0.0, 0.0]

# --- a gradient that is zero, or is not what one expects ------------------------

w = Value(-2.0, label="w")
with debug.lines():  # entries remember their lines
    hidden = math.relu(w * 3.0)
    loss = (hidden - 1.0) ** 2
print(f"\n{debug.why(loss, w)}")

# A gradient is a sum over all routes from the result down to a leaf, of products of slopes.
w.data = 2.0
with debug.lines():
    loss = (math.relu(w * 3.0) - 1.0) ** 2 + 0.1 * w * w
answer = debug.why(loss, w)
print(f"\n{answer}")
assert answer.total() == answer.gradient

# --- kinks ----------------------------------------------------------------------

# Where a function has no slope, a convention gives one. It is good to know when that happens.
z = Value(0.0, label="z")
print(f"\n{debug.kinks(math.relu(z) + abs(z) + math.maximum(z, 0.0))}")

# --- digits -----------------------------------------------------------------------

x = Value(1e-6, label="x")
half = (1.0 - math.cos(x)) / (x * x)  # 0.5, in exact arithmetic
print(f"\n{debug.rounding(half)}")
assert abs(half.data - 0.5) <= debug.rounding(half).value.bound

# --- work done in vain --------------------------------------------------------------


def energy(xs: list[Any]) -> Any:
    """What a profile finds wrong: something that nobody needs, something done twice."""
    total = 0.0
    for x in xs:
        depth = math.exp(-x) * 5.0  # noqa: F841 - that is what is found
        total = total + math.sin(x) * math.sin(x)
    return total


print(f"\n{debug.profile(energy, [1.0, 2.0, 3.0])}")

# Exercise: make 1 - cos(x) without the cancellation that `debug.rounding` names. Predict how many
# digits of the result are certain then, at 1e-6 and at 1e-12.
