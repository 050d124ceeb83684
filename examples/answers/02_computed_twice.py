"""What is computed twice has two entries, and each of them half of the adjoint."""

from miniflow import Tape, Value

with Tape() as tape:
    x = Value(3.0, label="x")
    y = Value(-2.0, label="y")
    first, second = x * y, x * y
    z = first * second + x

z.backward()
print(tape)

# One entry more than before: the second product. Each product's adjoint is the other product's
# value, -6, half of dz/ds = -12. Both reach x and y, where the halves meet again: nothing
# changes there.
assert len(tape) == 6
assert first.grad == second.grad == -6.0
assert (x.grad, y.grad) == (25.0, -36.0)
