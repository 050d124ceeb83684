"""The smallest neuron as a diagram: values going forward, gradients coming back.

Writes examples/output/neuron.svg and neuron.png.
"""

from pathlib import Path

from miniflow import Value
from viz import draw_dot, render

output = Path(__file__).parent / "output"
output.mkdir(exist_ok=True)

x = Value(2.0, label="x")
w = Value(-1.5, label="w")
b = Value(3.5, label="b")
y = (w * x + b).tanh()
y.label = "y"
y.backward()

# In a notebook, draw_dot(y) as the last line of a cell shows the diagram.
print(draw_dot(y).source)

# Files need no Graphviz on the machine; the suffix picks the format.
for name in ("neuron.svg", "neuron.png"):
    print("wrote", render(y, output / name).relative_to(output.parent.parent))
