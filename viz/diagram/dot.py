"""Values, tapes and programs as Graphviz diagrams.

An entry is a box with its name, number and gradient. In front of a computed one stands its
operation, between the operands' edges and the result's; in a compact diagram it is inside
of the box. An operation whose operands cannot change places names each one's. Along an
edge stands the local derivative. Colours are those of `viz.output.palette`, by sign and size of the
gradient; what they say is said a second time by a shape, a border or a number.

A program is drawn in the same way, with the names of its slots for numbers; its guards are
hexagons, what a sweep has added is in a frame of its own.

The text depends on the graph alone: boxes are numbered in the order in which their entries
were recorded, so the same code gives the same DOT, byte for byte.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import graphviz  # type: ignore[import-untyped]

from miniflow.util.files import write
from miniflow.util.trees import flatten
from viz.diagram.drawing import diagram
from viz.diagram.graph import graph_of, is_node
from viz.diagram.options import GraphOptions
from viz.output.checks import a_path
from viz.output.options import SUFFIX_FORMATS
from viz.output.pictures import Diagram, picture

MOST_APART = 100  # numbers of a network of the lesson's nodes that have a box each


def draw_dot(
    root: Any,
    format: str = GraphOptions.format,  # noqa: A002 - micrograd's name
    rankdir: str = GraphOptions.rankdir,
    *,
    limit: int | None = GraphOptions.limit,
    detail: str = GraphOptions.detail,
    theme: str = GraphOptions.theme,
    compact: bool = GraphOptions.compact,
    fold: bool | None = GraphOptions.fold,
    legend: bool | None = GraphOptions.legend,
    parameters: Any = GraphOptions.parameters,
) -> Diagram:
    """The graph that a Value was computed from, a tape or a program, as a diagram.

    A notebook shows it; its `render` and `pipe` write it, its `source` is the DOT. None of
    them needs a system package.

    Args:
        root: a Value, several of them in nested lists, tuples, dicts and arrays, a Tape, a
            program, or a `snapshot` of one of these; or nodes of `miniflow.lesson`.
        format: what `Diagram.render` and `Diagram.pipe` write: "svg", "png", "pdf" or
            another of Graphviz's formats.
        rankdir: the direction of the graph: "LR", "TB", "RL" or "BT".
        limit: more entries than that are folded; None for any number that Graphviz can draw
            in ten seconds, three up to 1,000 entries: the legend says what it takes besides.
        detail: "full" shows numbers, gradients and local derivatives; "values" numbers and
            gradients; "structure" neither.
        theme: "light" or "dark".
        compact: whether an operation and its result are one box.
        fold: whether scopes, then alike entries and stretches of the tape, become one box
            each; by default where there are more entries than `limit`, of the lesson's
            nodes more than 100.
        legend: whether the colours are explained below; by default where there is an operation.
        parameters: a module or Values, nested, to be drawn as parameters besides those that
            the modules of `miniflow.nn` hold.

    Raises:
        TypeError: `root` is not made of Values.
        ValueError: there is nothing to draw, or an option is unknown.

    Example:
        >>> from miniflow import Value
        >>> a = Value(2.0, label="a")
        >>> for line in draw_dot(a + a, detail="structure").body:
        ...     print(line.strip()[:34])
        v0 [label=<<table border="0" cellb
        v1 [label="" shape="circle" width=
        op1 [label=<<b>+</b>> shape="ellip
        op1 -> v1:w [weight="4"]
        v0 -> op1
        v0 -> op1
    """
    options = GraphOptions(format, rankdir, theme, limit, detail, compact, fold, legend, parameters)
    return _drawn(root, options, "draw_dot")


def render(  # noqa: D417 - draw_dot describes the options
    root: Any, path: str | os.PathLike[str], *, rankdir: str = GraphOptions.rankdir,
    limit: int | None = GraphOptions.limit, detail: str = GraphOptions.detail,
    theme: str = GraphOptions.theme, compact: bool = GraphOptions.compact,
    fold: bool | None = GraphOptions.fold, legend: bool | None = GraphOptions.legend,
    parameters: Any = GraphOptions.parameters,
) -> Path:  # fmt: skip
    """Write a diagram to a file, whole or not at all.

    Args:
        root: what to draw, as for `draw_dot`, or a finished diagram.
        path: the file; its suffix tells the format: ".svg", ".png", ".pdf", or ".dot"
            (".gv") for the DOT itself.
        rankdir, limit, detail, theme, compact, fold, legend, parameters: as for `draw_dot`.

    Returns:
        The path.

    Raises:
        TypeError, ValueError: as for `draw_dot`, or the suffix is another one.
        RuntimeError: there is no Graphviz, or it failed.
        OSError: the file cannot be written.
    """
    path = a_path("render", path, SUFFIX_FORMATS)
    form = SUFFIX_FORMATS[path.suffix.lower()]
    options = GraphOptions(form, rankdir, theme, limit, detail, compact, fold, legend, parameters)
    if not isinstance(root, graphviz.Digraph):
        root = _drawn(root, options, "render")
    write(path, _content(root, form))
    return path


def _drawn(root: Any, options: GraphOptions, caller: str) -> Diagram:
    """The diagram of what `root` holds, with errors in the name of `caller`."""
    options.check(caller)
    numbers = options.detail != "structure"
    graph = graph_of(root, options.parameters, caller, numbers=numbers)
    if options.fold is None and any(map(is_node, flatten(root))):  # each node is a scope
        options = replace(options, fold=options.limit is not None and len(graph) > MOST_APART)
    return diagram(graph, options)


def _content(drawn: graphviz.Digraph, form: str) -> str | bytes:
    """What a file of that format holds of a diagram."""
    if form == "dot":
        return str(drawn.source)
    if isinstance(drawn, Diagram):
        return drawn.picture(form)
    return picture(drawn.source, form, drawn.engine)
