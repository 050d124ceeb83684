"""A Value is a number that remembers: compute as usual, then ask for derivatives."""

from miniflow import Value, math

# A Value behaves like a float. It mixes with plain numbers, on either side.
a = Value(2.0, label="a")
b = Value(-3.0, label="b")
c = a * b + 10
y = math.tanh(c) + 2 / a
print(f"y = {y.data:.6f}")

# backward() fills in the derivative of y by everything that y was computed from.
y.backward()
print(f"dy/da = {a.grad:.6f}")
print(f"dy/db = {b.grad:.6f}")
print(f"dy/dc = {c.grad:.6f}")

# Is that true? Nudge a by a little and see how much y moves.
nudge = 1e-6


def f(a: float, b: float) -> float:
    """The same formula: the functions of miniflow.math take plain numbers, too."""
    return float(math.tanh(a * b + 10) + 2 / a)


slope = (f(2.0 + nudge, -3.0) - f(2.0 - nudge, -3.0)) / (2 * nudge)
print(f"by nudging, dy/da = {slope:.6f}")

# Gradients of leaves add up until they are set back: that is how a batch is summed.
y.backward()
print(f"after a second backward(), dy/da = {a.grad:.6f}")
a.grad = b.grad = 0.0

# What would lose a gradient silently is refused, and the message says what to do.
try:
    float(y)
except TypeError as error:
    print(f"float(y): {error}")

# Exercise: let `y = a**3 + 2 / a`, in which a is used twice. Write down dy/da at a = 2 by hand,
# then let backward() find it.
