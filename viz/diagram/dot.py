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
from pathlib import Path
from typing import Any

import graphviz  # type: ignore[import-untyped]

from miniflow.util.files import write
from viz.diagram.cards import DETAILS
from viz.diagram.drawing import SIDES, diagram
from viz.diagram.graph import take
from viz.output import palette
from viz.output.pictures import Diagram, picture

SUFFIXES = {".svg": "svg", ".png": "png", ".pdf": "pdf", ".dot": "dot", ".gv": "dot"}


def draw_dot(
    root: Any,
    format: str = "svg",  # noqa: A002 - micrograd's name
    rankdir: str = "LR",
    *,
    limit: int | None = 400,
    detail: str = "full",
    theme: str = "light",
    compact: bool = False,
    fold: bool | None = None,
    legend: bool | None = None,
    parameters: Any = None,
) -> Diagram:
    """The graph that a Value was computed from, a tape or a program, as a diagram.

    A notebook shows it; its `render` and `pipe` write it, its `source` is the DOT. None of
    them needs a system package.

    Args:
        root: a Value, several of them in nested lists, tuples, dicts and arrays, a Tape, a
            program, or a `snapshot` of one of these.
        format: what `Diagram.render` and `Diagram.pipe` write: "svg", "png", "pdf" or
            another of Graphviz's formats.
        rankdir: the direction of the graph: "LR", "TB", "RL" or "BT".
        limit: more entries than that are folded; None for any number.
        detail: "full" shows numbers, gradients and local derivatives; "values" numbers and
            gradients; "structure" neither.
        theme: "light" or "dark".
        compact: whether an operation and its result are one box.
        fold: whether scopes, then alike entries and stretches of the tape, become one box
            each; by default where there are more entries than `limit`.
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
    check("draw_dot", format, rankdir, detail)
    colours = palette.pick(theme, "draw_dot")
    graph = take(root, parameters, "draw_dot")
    return diagram(
        graph, format, rankdir, limit=limit, detail=detail, theme=colours, compact=compact,
        fold=fold, legend=legend,
    )  # fmt: skip


def render(
    root: Any,
    path: str | os.PathLike[str],
    *,
    rankdir: str = "LR",
    limit: int | None = 400,
    detail: str = "full",
    theme: str = "light",
    compact: bool = False,
    fold: bool | None = None,
    legend: bool | None = None,
    parameters: Any = None,
) -> Path:
    """Write a diagram to a file, whole or not at all.

    Args:
        root: what to draw, as for `draw_dot`, or a finished diagram.
        path: the file; its suffix tells the format: ".svg", ".png", ".pdf", or ".dot"
            (".gv") for the DOT itself.
        rankdir: as for `draw_dot`.
        limit: as for `draw_dot`.
        detail: as for `draw_dot`.
        theme: as for `draw_dot`.
        compact: as for `draw_dot`.
        fold: as for `draw_dot`.
        legend: as for `draw_dot`.
        parameters: as for `draw_dot`.

    Returns:
        The path.

    Raises:
        TypeError, ValueError: as for `draw_dot`, or the suffix is none of those.
        RuntimeError: there is no Graphviz, or it failed.
        OSError: the file cannot be written.
    """
    path = Path(path)
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise ValueError(
            f"render: {path.name!r} does not tell the format; end it in {', '.join(SUFFIXES)}"
        )
    if not isinstance(root, graphviz.Digraph):
        root = draw_dot(
            root, form, rankdir, limit=limit, detail=detail, theme=theme, compact=compact,
            fold=fold, legend=legend, parameters=parameters,
        )  # fmt: skip
    if form == "dot":
        write(path, root.source)
    elif isinstance(root, Diagram):
        write(path, root.picture(form))
    else:
        write(path, picture(root.source, form, root.engine))
    return path


def check(caller: str, form: str, rankdir: str, detail: str) -> None:
    """Refuse options that are unknown."""
    for name, x, known in (("rankdir", rankdir, SIDES), ("detail", detail, DETAILS)):
        if x not in tuple(known):
            raise ValueError(f"{caller}: {name} {x!r:.60} is none of {', '.join(known)}")
    if str(form).lower() not in graphviz.FORMATS:
        raise ValueError(
            f"{caller}: format {form!r} is unknown to Graphviz; "
            "use 'svg', 'png', 'pdf' or another of graphviz.FORMATS"
        )
