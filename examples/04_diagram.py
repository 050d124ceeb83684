"""A neuron as a diagram: each number in a box, its gradient below it, slopes along the edges.

Writes examples/output/neuron.svg, neuron.png and neuron_dark.svg.
"""

from pathlib import Path

from miniflow import Value
from viz import draw_dot, render

output = Path(__file__).parent / "output"
output.mkdir(exist_ok=True)


def wrote(path: Path) -> None:
    print("wrote", path.relative_to(output.parent.parent))


x = Value(2.0, label="x")
w = Value(-1.5, label="w")
b = Value(3.5, label="b")
y = (w * x + b).tanh()
y.label = "y"
y.backward()

# In a notebook, draw_dot(y) as the last line of a cell shows the diagram. It is text in DOT,
# the language of Graphviz: one line for each box, and one for each edge.
diagram = draw_dot(y)
print(sum(" -> " in line for line in diagram.source.splitlines()), "edges")

# Files need no Graphviz on the machine; the suffix picks the format. Which leaves are
# parameters, and which are inputs, the diagram has to be told: modules do it by themselves.
for name in ("neuron.svg", "neuron.png"):
    wrote(render(y, output / name, parameters=[w, b]))

# Fewer boxes, and fewer numbers, for graphs that are larger.
dark = draw_dot(y, compact=True, detail="values", theme="dark", parameters=[w, b])
wrote(render(dark, output / "neuron_dark.svg"))

# Exercise: let `y = (w * x + b).tanh() * w`. Predict how many edges leave w, and what each of
# them adds to w.grad; the diagram tells.
