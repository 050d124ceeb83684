"""Where a difference cancels, write what it is: 1 - cos(x) is 2 * sin(x / 2) ** 2."""

from typing import Any

from miniflow import Value, debug, math


def cancelling(x: Any) -> Any:
    """Half of 1, as long as the difference has digits."""
    return (1.0 - math.cos(x)) / (x * x)


def careful(x: Any) -> Any:
    """The same by the half angle: no difference, nothing to cancel."""
    return 2.0 * math.sin(x / 2.0) ** 2 / (x * x)


for number in (1e-6, 1e-12):
    for f in (cancelling, careful):
        print(f"{f.__name__:10} at {number:g}: {debug.rounding(f(Value(number)), []).value}")

# At 1e-6 three or four digits are left of sixteen; at 1e-12 the cosine is 1, and none is. A product
# keeps them all: each factor is off by a few units in its last place, and so is the result.
for number in (1e-6, 1e-12):
    found = debug.rounding(careful(Value(number)), []).value
    assert abs(found.number - (0.5 - number**2 / 24)) <= found.bound < 1e-14
    assert not debug.rounding(careful(Value(number)), []).worst
assert debug.rounding(cancelling(Value(1e-12)), []).value.bound >= 0.5
