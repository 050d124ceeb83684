"""Values, tapes and programs as Graphviz diagrams.

An entry is a box with its name, number and gradient. In front of a computed one stands its
operation, between the operands' edges and the result's; in a compact diagram it is inside
of the box. An operation whose operands cannot change places names each one's. Along an
edge stands the local derivative. Colours are those of `viz.palette`, by sign and size of the
gradient; what they say is said a second time by a shape, a border or a number.

A program is drawn in the same way, with the names of its slots for numbers; its guards are
hexagons, what a sweep has added is in a frame of its own.

The text depends on the graph alone: boxes are numbered in the order in which their entries
were recorded, so the same code gives the same DOT, byte for byte.
"""

import os
from collections.abc import Iterator, Sequence
from math import log10
from pathlib import Path
from typing import Any

import graphviz  # type: ignore[import-untyped]

from miniflow.files import write
from viz import folding, palette
from viz.cards import (
    DETAILS,
    TIMES,
    Look,
    edge_of,
    entry_card,
    fill,
    group_card,
    group_gradients,
    operand_places,
    sign_card,
)
from viz.folding import Group
from viz.graph import Graph, Names, common_names, take
from viz.legend import legend as legend_of
from viz.legend import status_fill
from viz.palette import FONT, Theme, extent, mix
from viz.pictures import Diagram, picture
from viz.text import escape, escape_html, quote

# For each rankdir the sides where edges enter a box and leave it.
SIDES = {"LR": ("w", "e"), "TB": ("n", "s"), "RL": ("e", "w"), "BT": ("s", "n")}
SUFFIXES = {".svg": "svg", ".png": "png", ".pdf": "pdf", ".dot": "dot", ".gv": "dot"}

Attributes = dict[str, str]


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
    write(path, root.source if form == "dot" else picture(root.source, form, root.engine))
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


def diagram(
    graph: Graph, form: str, rankdir: str, *, limit: int | None, detail: str, theme: Theme,
    compact: bool, fold: bool | None, legend: bool | None,
) -> Diagram:  # fmt: skip
    """The diagram of a graph."""
    folded = fold if fold is not None else limit is not None and len(graph) > limit
    groups = folding.fold(graph) if folded else folding.apart(graph)
    scale = extent(filter(None, graph.grads))
    look = Look(theme, detail, compact, rankdir, scale)
    attributes = {**_graph_attributes(theme), "rankdir": rankdir}
    if legend if legend is not None else any(graph.operands):
        text = legend_of(graph, groups, look, stacked=rankdir in ("TB", "BT"))
        attributes |= {"label": f"<{text}>", "labelloc": "b"}
    return Diagram(
        format=form,
        graph_attr=attributes,
        node_attr=_node_attributes(theme),
        edge_attr={**_edge_attributes(theme), "tailport": SIDES[rankdir][1]},
        body=list(_Drawing(graph, groups, look).lines()),
    )


def _graph_attributes(theme: Theme) -> Attributes:
    return {
        "bgcolor": theme.background,
        "fontname": FONT,
        "fontcolor": theme.ink,
        "fontsize": "12",
        "nodesep": "0.2",
        "ranksep": "0.35",
    }


def _node_attributes(theme: Theme) -> Attributes:
    return {
        "shape": "box",
        "style": "rounded,filled",
        "fillcolor": theme.computed,
        "color": theme.muted,
        "fontcolor": theme.ink,
        "fontname": FONT,
        "fontsize": "12",
        "margin": "0.09,0.06",
        "width": "0.3",
        "height": "0.3",
    }


def _edge_attributes(theme: Theme) -> Attributes:
    return {
        "color": theme.muted,
        "fontcolor": theme.muted,
        "fontname": FONT,
        "fontsize": "9",
        "arrowsize": "0.6",
    }


class _Drawing:
    """The lines of DOT for a graph in groups."""

    def __init__(self, graph: Graph, groups: list[Group], look: Look) -> None:
        self.graph = graph
        self.groups = groups
        self.look = look
        self.folded = len(groups) < len(graph)
        self.of = [0] * len(graph)  # the group of each entry
        self.boxes = [""] * len(graph)  # the name of its box
        for k, group in enumerate(groups):
            for n in group.members:
                self.of[n] = k
                self.boxes[n] = f"v{n}" if group.kind == "entry" else f"g{k}"
        self.enter, _ = SIDES[look.rankdir]

    def lines(self) -> Iterator[str]:
        """Boxes in their frames, then edges."""
        yield from self._framed()
        for group in self.groups:
            if group.kind == "entry":
                yield from self._entry_edges(group.members[0])
        if self.folded:
            yield from self._merged_edges()
        for x, n in self.graph.former:
            if self.boxes[n] == f"v{n}":
                yield _edge_line(self.boxes[x], self._head(n), {"style": "dashed"})
        yield from self._guards()

    # --- boxes ----------------------------------------------------------------

    def _framed(self) -> Iterator[str]:
        """All boxes, those of one frame together."""
        order: dict[Names, int] = {}
        for group in self.groups:
            for k in range(len(group.frame) + 1):
                order.setdefault(group.frame[:k], len(order))
        keys = {path: tuple(order[path[:k]] for k in range(len(path) + 1)) for path in order}
        open_: Names = ()
        for k in sorted(range(len(self.groups)), key=lambda k: keys[self.groups[k].frame]):
            frame = self.groups[k].frame
            common = len(common_names(open_, frame))
            for depth in range(len(open_), common, -1):
                yield "\t" * depth + "}\n"
            for depth in range(common, len(frame)):
                yield from self._frame_lines(order[frame[: depth + 1]], frame[depth], depth)
            open_ = frame
            for line in self._boxes(k):
                yield "\t" * len(frame) + line
        for depth in range(len(open_), 0, -1):
            yield "\t" * depth + "}\n"

    def _frame_lines(self, number: int, name: str, depth: int) -> Iterator[str]:
        """How a frame begins."""
        theme = self.look.theme
        shade = mix(theme.background, theme.grid, 0.22 + 0.16 * (depth % 2))
        indent = "\t" * (depth + 1)
        attributes = {
            "label": f"<<b>{escape_html(name)}</b>>",
            "labeljust": "l",
            "labelloc": "t",
            "style": "rounded,filled",
            "fillcolor": shade,
            "color": theme.grid,
            "fontcolor": theme.muted,
            "fontsize": "11",
            "margin": "10",
        }
        yield f"{indent}subgraph cluster_{number} {{\n"
        yield f"{indent}\tgraph{_attributes(attributes)}\n"

    def _boxes(self, k: int) -> Iterator[str]:
        """The box of a group, and the operation in front of an entry's."""
        group = self.groups[k]
        if group.kind == "entry":
            yield from self._entry_boxes(group.members[0])
        else:
            yield self._group_box(k, group)

    def _entry_boxes(self, n: int) -> Iterator[str]:
        names = self._places(n)
        computed = bool(self.graph.operands[n])
        card = entry_card(self.graph, n, self.look, names)
        blank = {"label": '""', "shape": "circle", "width": "0.14", "height": "0.14"}
        attributes = {"label": f"<{card}>"} if card else blank
        yield _node_line(f"v{n}", {**attributes, **self._box_style(n)})
        if computed and not self.look.compact:
            yield self._operation_box(n, names)

    def _box_style(self, n: int) -> Attributes:
        """The fill of an entry's box by its kind, the border by its gradient."""
        kind, status, theme = self.graph.kind(n), self.graph.status.get(n), self.look.theme
        colour = status_fill(status, self.look) if status else fill(theme, kind)
        style = {"fillcolor": colour, "color": edge_of(colour, theme)}
        if kind != "constant":
            style |= self.look.flow(self.graph.grads[n])
        if kind == "parameter":
            style["style"] = "filled"
        if kind == "constant" or status == "gone":
            style["style"] = "rounded,filled,dashed"
        if kind == "output" or n in self.graph.outputs:
            style["peripheries"] = "2"
        return style

    def _operation_box(self, n: int, names: Sequence[str]) -> str:
        theme, symbol = self.look.theme, self.graph.ops[n].symbol
        style = {"fillcolor": theme.operation, "color": edge_of(theme.operation, theme)}
        if self.graph.status.get(n) == "gone":
            style |= {"fillcolor": theme.constant, "style": "rounded,filled,dashed"}
        if names:
            card = sign_card(symbol, names, self.look)
            return _node_line(f"op{n}", {"label": f"<{card}>", "margin": "0.03", **style})
        label = {"label": f"<<b>{escape_html(symbol)}</b>>", "shape": "ellipse"}
        return _node_line(f"op{n}", {**label, **style})

    def _group_box(self, k: int, group: Group) -> str:
        theme = self.look.theme
        kind = self.graph.kind(group.members[0]) if group.kind == "alike" else "computed"
        status = self.graph.status.get(group.members[0])
        colour = fill(theme, kind)
        if status and group.kind == "alike":
            colour = status_fill(status, self.look)
        style = {"fillcolor": colour, "color": edge_of(colour, theme)}
        gradients = group_gradients(self.graph, group)
        if gradients:  # of several the largest one, and of all those that are none
            style |= self.look.flow(max(gradients, key=lambda x: (x != x, abs(x))))
        shape = {"shape": "box3d", "style": "filled"} if group.kind == "alike" else {}
        card = group_card(self.graph, group, self.look)
        return _node_line(f"g{k}", {"label": f"<{card}>", **shape, **style})

    def _places(self, n: int) -> Sequence[str]:
        """What to call an entry's operands; on a folded page there is no room for many."""
        count = len(self.graph.operands[n])
        return () if self.folded and count > 3 else operand_places(self.graph.ops[n].name, count)

    # --- edges ----------------------------------------------------------------

    def _head(self, n: int) -> str:
        """Where operands lead to."""
        return f"v{n}" if self.look.compact else f"op{n}"

    def _entry_edges(self, n: int) -> Iterator[str]:
        """The edges between single entries: from an operation to its result, and to it."""
        operands = self.graph.operands[n]
        if not operands:
            return
        gradient = self.graph.grads[n]
        if not self.look.compact:
            # the weight keeps a result next to its operation
            style = {"weight": "4"} | self.look.flow(gradient)
            yield _edge_line(f"op{n}", f"v{n}:{self.enter}", style)
        names, plain = self._places(n), self.look.detail == "structure"
        partials = [None] * len(operands) if plain else self.graph.partials(n)
        for k, x in enumerate(operands):
            if self.boxes[x] == f"v{x}":
                head = f"{self._head(n)}:{k}" if names else self._head(n)
                style = self._edge_style(gradient, partials[k]) | self._gap(self.of[x], self.of[n])
                yield _edge_line(f"v{x}", head, style)

    def _edge_style(self, gradient: float | None, partial: float | None) -> Attributes:
        """An edge by what flows back along it, with the local derivative."""
        if partial is None or gradient is None:
            return {}
        style = self.look.flow(gradient * partial)
        if self.look.detail == "full":
            style["label"] = _raised(f"∂ {partial + 0.0:.4g}")
        return style

    def _gap(self, tail: int, head: int) -> Attributes:
        """More room where an edge enters or leaves a frame: what is outside stays beside it."""
        same = self.groups[tail].frame == self.groups[head].frame
        return {} if same else {"minlen": "2"}

    def _merged_edges(self) -> Iterator[str]:
        """The edges of boxes that stand for several entries."""
        for (tail, head), count in folding.merged_edges(self.graph, self.groups).items():
            first, last = self.groups[tail], self.groups[head]
            start, end = self.boxes[first.members[0]], self.boxes[last.members[0]]
            if last.kind == "entry":
                end = self._head(last.members[0])
            style = {"penwidth": f"{1 + 0.3 * log10(count):.2f}"}
            if count > 1:
                style["label"] = _raised(f"{TIMES} {count:,}")
            yield _edge_line(start, end, style | self._gap(tail, head))

    # --- guards ---------------------------------------------------------------

    def _guards(self) -> Iterator[str]:
        """The hexagons of a program's guards, with an edge from each side."""
        guards = self.graph.guards
        if self.folded and guards:
            yield self._hexagon("guards", f"{len(guards):,} guards")
            for box in dict.fromkeys(self.boxes[x] for guard in guards for x in guard[1:]):
                yield _edge_line(box, "guards", {"style": "dashed"})
            return
        for k, (text, left, right) in enumerate(guards):
            yield self._hexagon(f"guard{k}", text)
            for x in (left, right):
                yield _edge_line(f"v{x}", f"guard{k}", {"style": "dashed"})

    def _hexagon(self, name: str, text: str) -> str:
        colour = self.look.theme.operation
        style = {"shape": "hexagon", "style": "filled", "fillcolor": colour}
        return _node_line(
            name, {"label": quote(escape(text)), **style, "color": edge_of(colour, self.look.theme)}
        )


# --- lines of DOT -------------------------------------------------------------


def _node_line(name: str, attributes: Attributes) -> str:
    return f"\t{name}{_attributes(attributes)}\n"


def _edge_line(tail: str, head: str, attributes: Attributes) -> str:
    return f"\t{tail} -> {head}{_attributes(attributes)}\n"


def _raised(text: str) -> str:
    """The label of an edge, a little above it."""
    return f'< {text} <br/><font point-size="4"> </font>>'


def _attributes(attributes: Attributes) -> str:
    """A list of attributes; labels are quoted already, or HTML-like."""
    pairs = [
        f"{key}={value if value[:1] in ('<', quote('')[:1]) else quote(value)}"
        for key, value in attributes.items()
    ]
    return f" [{' '.join(pairs)}]" if pairs else ""
