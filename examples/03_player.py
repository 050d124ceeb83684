"""One neuron, step by step: a page on which values go forward and gradients come back.

Writes examples/output/neuron.html; open it in any browser, no network is needed.
"""

from pathlib import Path

from miniflow import Value
from viz import play, record

output = Path(__file__).parent / "output"
output.mkdir(exist_ok=True)

# Recording is for the lines of source beside the graph; play(y) does without.
with record() as recording:
    x1, x2 = Value(2.0, label="x1"), Value(0.5, label="x2")
    w1, w2 = Value(-1.5, label="w1"), Value(1.0, label="w2")
    b = Value(2.75, label="b")

    s = w1 * x1 + w2 * x2 + b
    y = s.tanh()
    d = y - 1
    loss = d * d  # uses d twice: a sum

    loss.backward()

path = play(recording, output / "neuron.html", title="One neuron, step by step")
print(f"loss {loss.data:.4f}, its gradient by w1 {w1.grad:.4f}")
print("wrote", path.relative_to(output.parent.parent))

# Exercise: set b to -17.5, so that the neuron answers -1 where 1 is wanted, and the loss is 4.
# Predict the gradients of the weights, then step through the page: where do they get lost?
