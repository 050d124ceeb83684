"""The lines of DOT for a graph: boxes in their frames, then edges.

Boxes are called v0, v1 ... by their entries' numbers, the operations in front of them op0,
op1 ..., those that stand for several entries g0, g1 ..., and a program's guards guard0 ...
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log10

from viz.diagram import folding
from viz.diagram.cards import (
    Look,
    edge_of,
    entry_card,
    group_card,
    group_gradients,
    kind_fill,
    marked,
    operand_places,
    sign_card,
)
from viz.diagram.folding import Group
from viz.diagram.graph import Graph, Names, common_names
from viz.diagram.legend import legend as legend_of
from viz.diagram.legend import status_fill
from viz.diagram.options import GraphOptions
from viz.diagram.reach import REACH, Means, crossed, first_ranks, means_for, ranks_of, uses
from viz.output.labels import raised
from viz.output.names import TIMES, shown_sign, within
from viz.output.options import DIRECTIONS
from viz.output.palette import FONT, Theme, extent, mix
from viz.output.pictures import Diagram, time_for
from viz.output.text import escape, escape_html, number_text, quote

Attributes = dict[str, str]

CAREFUL = 300  # boxes up to which a layout is improved at leisure
TEXTS = ("dot", "gv")  # formats that need no layout


def diagram(graph: Graph, options: GraphOptions) -> Diagram:
    """The diagram of a graph; it knows a plainer one, for where Graphviz takes too long."""
    scale = extent(filter(None, graph.grads))
    look = Look(options.colours, options.detail, options.compact, options.rankdir, scale)
    asked = options.folds(len(graph))
    ranks = ranks_of(graph.operands)
    text = options.format in TEXTS
    means = Means(folded=True)
    if not asked:
        means = means_for(
            graph, ranks, labels=look.detail == "full", compact=look.compact, whole=text
        )
    return _diagram_by(graph, options, look, ranks, means, asked)


def _diagram_by(
    graph: Graph, options: GraphOptions, look: Look, ranks: list[int], means: Means, asked: bool
) -> Diagram:
    """The diagram that is so plain; `asked` tells whether it is folded in any case."""
    groups = folding.fold(graph) if means.folded else folding.apart(graph)
    full = look.detail == "full"
    drawing = _Drawing(
        graph, groups, look if means.labels or not full else look._replace(detail="values"),
        ranks, means.again,
    )  # fmt: skip
    rankdir = options.rankdir
    attributes = {**_graph_attributes(look.theme, len(groups)), "rankdir": rankdir}
    body = list(drawing.lines())
    if options.legend if options.legend is not None else any(graph.operands):
        notes = list(_plainness(means, drawing, full=full, asked=asked))
        text = legend_of(
            graph, groups, drawing.look, stacked=rankdir in ("TB", "BT"), plainness=notes
        )
        attributes |= {"label": f"<{text}>", "labelloc": "b"}
    found = Diagram(
        format=options.format,
        graph_attr=attributes,
        node_attr=_node_attributes(look.theme),
        edge_attr={**_edge_attributes(look.theme), "tailport": DIRECTIONS[rankdir][1]},
        body=body,
    )
    found.seconds = time_for(len(graph), crossed(graph.operands))
    plainer = means.plainer()
    if plainer:
        found.plainer = lambda: _diagram_by(graph, options, look, ranks, plainer, asked)
    return found


def _plainness(means: Means, drawing: "_Drawing", *, full: bool, asked: bool) -> Iterator[str]:
    """What the legend says where a graph is drawn more plainly than asked for."""
    if means.folded and not asked:
        yield f"folded: all {len(drawing.graph):,} entries would take too long to draw"
    if full and not means.labels:
        yield "no local derivatives on edges: these are too many or too long"
    if drawing.copies:
        what = "leaf" if means.again == "leaves" else "number"
        yield f"a {what} that is used far away is drawn again there"


def _graph_attributes(theme: Theme, boxes: int) -> Attributes:
    care = "1" if boxes <= CAREFUL else "0.1"
    return {
        "bgcolor": theme.background,
        "fontname": FONT,
        "fontcolor": theme.ink,
        "fontsize": "12",
        "nodesep": "0.3",
        "ranksep": "0.35",
        # so often is the layout improved; without a limit it may take hours
        "nslimit": care,
        "nslimit1": care,
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
    """The lines of DOT for a graph in groups; what `again` says is drawn near what uses it."""

    def __init__(
        self, graph: Graph, groups: list[Group], look: Look, ranks: list[int], again: str
    ) -> None:
        self.graph = graph
        self.groups = groups
        self.look = look
        self.folded = any(group.kind != "entry" for group in groups)
        self.of = [0] * len(graph)  # the group of each entry
        self.boxes = [""] * len(graph)  # the name of its box
        for k, group in enumerate(groups):
            for n in group.members:
                self.of[n] = k
                self.boxes[n] = f"v{n}" if group.kind == "entry" else f"g{k}"
        self.enter, _ = DIRECTIONS[look.rankdir]
        self.ranks = ranks
        first = first_ranks(graph, ranks) if again else {}
        self.reach = REACH.get(again, 1)
        self.first = {x: k for x, k in first.items() if again == "all" or not graph.operands[x]}
        self.copies: dict[int, dict[str, int]] = {}  # by what uses them first, and of what
        self._copy()

    def _copy(self) -> None:
        """Find what is drawn again; where it is a result without a name, it gets one."""
        names, seen = dict(self.graph.names), set(self.boxes)
        for x, rank, n in uses(self.graph, self.ranks):
            box = self._tail(x, rank, n)
            if box not in seen:
                seen.add(box)
                self.copies.setdefault(n, {})[box] = x
                if self.graph.operands[x]:
                    names.setdefault(x, f"#{x}")
        if self.copies:
            self.graph = replace(self.graph, names=names)

    def _tail(self, x: int, rank: int, n: int | None = None) -> str:
        """The box of x that is nearest to a rank."""
        single = self.boxes[x] == f"v{x}" and (n is None or self.boxes[n] == f"v{n}")
        k = (rank - self.first[x]) // self.reach if x in self.first else 0
        return f"v{x}_{k}" if single and k > 0 else self.boxes[x]

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
                yield _edge_line(self._tail(x, self.ranks[n]), self._head(n), {"style": "dashed"})
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
            "labeljust": "r",  # at the left edges enter
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
        yield self._entry_box(f"v{n}", n, names)
        for box, x in self.copies.get(n, {}).items():
            yield self._entry_box(box, x, self._places(x))
        if self.graph.operands[n] and not self.look.compact:
            yield self._operation_box(n, names)

    def _entry_box(self, box: str, n: int, names: Sequence[str]) -> str:
        frame = self.groups[self.of[n]].frame
        card = entry_card(self.graph, n, self.look, names, frame)
        blank = {"label": '""', "shape": "circle", "width": "0.14", "height": "0.14"}
        attributes = {"label": f"<{card}>"} if card else blank
        name = self.graph.names.get(n, "")
        if n in self.graph.parameters and within(name, frame) != name:
            attributes["tooltip"] = quote(escape(name))
        return _node_line(box, {**attributes, **self._box_style(n)})

    def _box_style(self, n: int) -> Attributes:
        """The fill of an entry's box by its kind, the border by its gradient."""
        kind, status, theme = self.graph.kind(n), self.graph.status.get(n), self.look.theme
        colour = status_fill(status, self.look) if status else kind_fill(theme, kind)
        style = {"fillcolor": colour, "color": edge_of(colour, theme)}
        if kind != "constant":
            style |= self.look.flow(self.graph.grads[n])
        if kind == "parameter":
            style["style"] = "filled"
        if kind == "constant" or status == "gone":
            style["style"] = "rounded,filled,dashed"
        if kind == "output" or n in self.graph.outputs:
            style["peripheries"] = "2"
        return style | marked(theme) if n in self.graph.marks else style

    def _operation_box(self, n: int, names: Sequence[str]) -> str:
        theme, symbol = self.look.theme, shown_sign(self.graph.ops[n].symbol)
        style = {"fillcolor": theme.operation, "color": edge_of(theme.operation, theme)}
        if self.graph.status.get(n) == "gone":
            style |= {"fillcolor": theme.gone, "style": "rounded,filled,dashed"}
        if n in self.graph.marks:
            style |= marked(theme)
        if names:
            card = sign_card(symbol, names, self.look)
            return _node_line(f"op{n}", {"label": f"<{card}>", "margin": "0.03", **style})
        label = {"label": f"<<b>{escape_html(symbol)}</b>>", "shape": "ellipse"}
        return _node_line(f"op{n}", {**label, **style})

    def _group_box(self, k: int, group: Group) -> str:
        theme = self.look.theme
        kind = self.graph.kind(group.members[0]) if group.kind == "alike" else "computed"
        status = self.graph.status.get(group.members[0])
        colour = kind_fill(theme, kind)
        if status and group.kind == "alike":
            colour = status_fill(status, self.look)
        style = {"fillcolor": colour, "color": edge_of(colour, theme)}
        gradients = group_gradients(self.graph, group)
        if gradients:  # of several the largest one, and of all those that are none
            style |= self.look.flow(max(gradients, key=lambda x: (x != x, abs(x))))
        if not self.graph.marks.keys().isdisjoint(group.members):
            style |= marked(theme)
        shape = {"shape": "box3d", "style": "filled"} if group.kind == "alike" else {}
        card = group_card(self.graph, group, self.look)
        return _node_line(f"g{k}", {"label": f"<{card}>", **shape, **style})

    def _places(self, n: int) -> Sequence[str]:
        """What to call an entry's operands; on a folded page there is no room for many."""
        count = len(self.graph.operands[n])
        return () if self.folded and count > 3 else operand_places(self.graph.ops[n], count)

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
                yield _edge_line(self._tail(x, self.ranks[n], n), head, style)

    def _edge_style(self, gradient: float | None, partial: float | None) -> Attributes:
        """An edge by what flows back along it, with the local derivative."""
        if partial is None or gradient is None:
            return {}
        style = self.look.flow(gradient * partial)
        if self.look.detail == "full":
            style["label"] = raised(f"∂ {number_text(partial)}")
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
                style["label"] = raised(f"{TIMES} {count:,}")
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
            rank = 1 + max(self.ranks[left], self.ranks[right])
            for x in (left, right):
                yield _edge_line(self._tail(x, rank), f"guard{k}", {"style": "dashed"})

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


def _attributes(attributes: Attributes) -> str:
    """A list of attributes; labels are quoted already, or HTML-like."""
    pairs = [
        f"{key}={value if value[:1] in ('<', quote('')[:1]) else quote(value)}"
        for key, value in attributes.items()
    ]
    return f" [{' '.join(pairs)}]" if pairs else ""
