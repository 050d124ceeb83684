"""A saturated neuron does not learn: its slope is 0, however wrong it is.

Writes examples/output/saturated.html.
"""

from pathlib import Path

from miniflow import Value
from viz import play, record

output = Path(__file__).parent.parent / "output"
output.mkdir(exist_ok=True)

with record() as recording:
    x1, x2 = Value(2.0, label="x1"), Value(0.5, label="x2")
    w1, w2 = Value(-1.5, label="w1"), Value(1.0, label="w2")
    b = Value(-17.5, label="b")

    s = w1 * x1 + w2 * x2 + b
    y = s.tanh()
    d = y - 1
    loss = d * d

    loss.backward()

play(recording, output / "saturated.html", title="A saturated neuron")
print(f"loss {loss.data}, gradients {y.grad} by y and {w1.grad} by w1")

# -4 arrives at y. The slope of tanh is 1 - y*y, and there y is -1: nothing goes on to s, and
# so nothing to the weights.
assert (loss.data, y.grad) == (4.0, -4.0)
assert s.grad == w1.grad == w2.grad == b.grad == 0.0
