"""The chain rule, twice: by hand, and as the tape does it."""

from miniflow import Tape, Value

# Recording. The tape is a table; each operation appends one entry to it.
with Tape() as tape:
    x = Value(3.0, label="x")
    y = Value(-2.0, label="y")
    s = x * y
    s.label = "s"
    z = s * s + x
    z.label = "z"

print("After recording, values are known and adjoints are 0:\n")
print(tape)

# Replaying in reverse. Start with dz/dz = 1 in the last entry and walk up. Each entry gives to
# its operands its own adjoint times the local partial derivative.
z.backward()
print("\nAfter backward(), each entry holds dz/d(entry) as its adjoint:\n")
print(tape)

# The same by hand. z = s*s + x, and s = x*y:
dz_ds = 2 * s.data  # s is used twice, both contributions add up
dz_dx = dz_ds * y.data + 1  # through s, and directly
dz_dy = dz_ds * x.data
print("\n            by hand   by the tape")
for name, hand, value in [("dz/ds", dz_ds, s), ("dz/dx", dz_dx, x), ("dz/dy", dz_dy, y)]:
    print(f"{name}     {hand:10.1f}    {value.grad:10.1f}")
    assert hand == value.grad

# Where does it come from? inputs leads from any Value to those that it was made of.
print(f"\nz is {z.op} of {[v.label or v.op for v in z.inputs]}")

# Exercise: compute the product twice, `z = (x * y) * (x * y) + x`. Predict how many entries the
# tape has, the adjoints of both products, and the gradients of x and y.
