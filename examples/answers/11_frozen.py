"""Plain numbers from outside are frozen where a function is recorded; Values are read anew."""

from typing import Any

from miniflow import Value, jit, math

rate = 0.02
live = Value(0.02)


@jit
def discounted(amount: Any) -> Any:
    """What an amount in a year is worth today, by a plain number."""
    return amount * math.exp(-rate)


@jit
def discounted_live(amount: Any) -> Any:
    """The same by a Value."""
    return amount * math.exp(-live)


first, first_live = discounted(100.0), discounted_live(100.0).data
rate, live.data = 0.05, 0.05
second, second_live = discounted(100.0), discounted_live(100.0).data
print(f"a plain number: {first:.4f}, then {second:.4f}")
print(f"a Value:        {first_live:.4f}, then {second_live:.4f}")

# What is recorded is what operations on Values did; that 0.02 came from `rate` left no trace.
assert first == second == first_live
assert second_live == 100.0 * math.exp(-0.05)
