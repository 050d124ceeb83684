"""Diagrams in which some entries are to be seen first: they are red and say why.

Reports of `miniflow.testing` draw themselves with it.
"""

from collections.abc import Mapping
from typing import Any

from miniflow.tape.core import Value
from viz.diagram.drawing import diagram
from viz.diagram.graph import graph_of
from viz.diagram.options import GraphOptions
from viz.output.pictures import Diagram


def draw_marked(root: Any, marks: Mapping[Value, tuple[str, ...]], **options: Any) -> Diagram:
    """The graph of Values as `draw_dot` draws it, with marks.

    Args:
        root: what to draw: a Value, or several.
        marks: for Values in the graph lines of text that their boxes show; they are red.
        options: those of `draw_dot`.

    Raises:
        TypeError: there is no such option, or `root` is not made of Values.
        ValueError: an option is unknown.

    Example:
        >>> from miniflow import Value
        >>> y = Value(2.0) * 3.0
        >>> "wrong sign" in draw_marked(y, {y: ("wrong sign",)}).source
        True
    """
    chosen = GraphOptions(**options)
    chosen.check("draw")
    lines = {v: tuple(filter(None, text)) for v, text in marks.items()}
    return diagram(graph_of(root, chosen.parameters, "draw", marks=lines), chosen)
