"""A leaf has an edge for each use, and each edge adds its end's gradient times its slope."""

from math import tanh

from miniflow import Value
from viz import draw_dot

x = Value(2.0, label="x")
w = Value(-1.5, label="w")
b = Value(3.5, label="b")
y = (w * x + b).tanh() * w
y.backward()

# Boxes are numbered in the order in which Values were made: w is v1.
edges = draw_dot(y).source.count("v1 -> ")
print("edges that leave w:", edges)
assert edges == 2

# As a factor of the last product, w has the slope tanh(0.5). As a weight it goes through tanh:
# -1.5 from the product, 1 - tanh(0.5)**2 from tanh, 2 from x.
t = tanh(0.5)
print("w.grad", w.grad, "=", t, "+", -1.5 * (1 - t * t) * 2)
assert abs(w.grad - (t - 1.5 * (1 - t * t) * 2)) < 1e-15
