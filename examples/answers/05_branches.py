"""A branch of Python is taken once, while the graph is built; a selection is part of the graph."""

from miniflow import Value, math

x = Value(2.0)
branch = -x if x < 0 else +x
selected = math.where(math.less(x, 0), -x, x)
absolute = math.fabs(x)

x.data = -3.0
print("by if:   ", branch.forward().data)
print("by where:", selected.forward().data)
print("by fabs: ", absolute.forward().data)

# While the graph was built x was 2, and `+x` was all that was recorded.
assert branch.data == -3.0
assert selected.data == absolute.data == 3.0
