"""Define a graph once, then propagate many values through it."""

from miniflow import Value, math

# A graph of nodes, built once. Its leaves are the places where values enter.
x = Value(0.0, label="x")
w = Value(0.7, label="w")
b = Value(0.1, label="b")
y = math.sigmoid(w * x + b)
y.label = "y"

# forward() replays the recorded entries in order with whatever the leaves now hold;
# backward() replays them in reverse.
print("    x       y    dy/dw    dy/db")
for number in (-2.0, -1.0, 0.0, 1.0, 2.0):
    x.data = number
    w.grad = b.grad = 0.0
    y.forward().backward()
    print(f"{x.data:5.1f}  {y.data:6.3f}  {w.grad:7.3f}  {b.grad:7.3f}")

# In between, a result is stale: it is that of the old numbers. Its sweep is refused.
x.data = 3.0
try:
    y.backward()
except RuntimeError as error:
    print("\nrefused:", error)
else:
    raise AssertionError("slopes at new numbers, of a result of the old ones")

# Learning: the leaves w and b move against their gradients, the graph stays the same.
target = Value(0.0, label="target")
loss = (y - target) ** 2
samples = [(-2.0, 0.05), (-1.0, 0.2), (0.0, 0.5), (1.0, 0.8), (2.0, 0.95)]
print("\nepoch     loss       w       b")
for epoch in range(401):
    total = 0.0
    for number, wanted in samples:
        x.data, target.data = number, wanted
        w.grad = b.grad = 0.0
        loss.forward().backward()
        total += loss.data
        w.data -= 0.5 * w.grad
        b.data -= 0.5 * b.grad
    if epoch % 100 == 0:
        print(f"{epoch:5}  {total:.5f}  {w.data:6.3f}  {b.data:6.3f}")
assert total < 1e-3

# Exercise: build `z = -x if x < 0 else +x` at x = 2, then set x.data to -3. What does
# z.forward() give? Find two functions in miniflow.math with which it gives 3.
