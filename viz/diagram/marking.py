"""A graph as a diagram in which some entries stand out: what `miniflow.debug` has found."""

from collections.abc import Iterable
from typing import Any

from miniflow.tape.core import Value
from viz.diagram.drawing import diagram
from viz.diagram.graph import graph_of
from viz.diagram.options import GraphOptions
from viz.output.pictures import Diagram


def draw_marked(root: Any, marked: Iterable[Value], **options: Any) -> Diagram:
    """The graph of `root`, entries of `marked` red.

    Args:
        root: what to draw, as for `draw_dot`.
        marked: Values of that graph; others do not count.
        **options: those of `draw_dot`.

    Raises:
        TypeError: an option is unknown.
        ValueError: an option has a value that is unknown.

    Example:
        >>> from miniflow import Value
        >>> a = Value(2.0, label="a")
        >>> draw_marked(a * 3.0, [a]).source.count("marked")
        1
    """
    chosen = GraphOptions(**options)
    chosen.check("draw")
    graph = graph_of(root, chosen.parameters, "draw", marked=marked)
    return diagram(graph, chosen)
