"""A Value that is used twice gets the sum of two gradients, one from each use."""

from miniflow import Value

a = Value(2.0)
y = a**3 + 2 / a
y.backward()

# By hand: 3 a**2 from the cube, -2 / a**2 from the quotient: 12 - 0.5.
print(f"dy/da = {a.grad}")
assert a.grad == 3 * 2**2 - 2 / 2**2 == 11.5
