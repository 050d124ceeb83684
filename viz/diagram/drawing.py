"""The lines of DOT for a graph: boxes in their frames, then edges.

Boxes are called v0, v1 ... by their entries' numbers, the operations in front of them op0,
op1 ..., those that stand for several entries g0, g1 ..., and a program's guards guard0 ...
"""

from collections.abc import Iterator, Sequence
from math import log10

from viz.diagram import folding
from viz.diagram.cards import (
    Look,
    edge_of,
    entry_card,
    group_card,
    group_gradients,
    kind_fill,
    marked_style,
    operand_places,
    sign_card,
)
from viz.diagram.folding import Group
from viz.diagram.graph import Graph, Names, common_names
from viz.diagram.legend import legend as legend_of
from viz.diagram.legend import status_fill
from viz.diagram.options import GraphOptions
from viz.output.names import TIMES, shown_sign, within
from viz.output.options import DIRECTIONS
from viz.output.palette import FONT, Theme, extent, mix
from viz.output.pictures import Diagram
from viz.output.text import escape, escape_html, number_text, quote

# Graphviz takes its time for long edges. Where those of leaves cross more ranks in all, leaves
# have a box of their own again after REACH ranks; where others do, edges have no labels.
LONGEST_LEAVES, LONGEST_OTHERS, REACH = 250, 700, 6
Attributes = dict[str, str]


def diagram(graph: Graph, options: GraphOptions) -> Diagram:
    """The diagram of a graph; it knows a plainer one, for where Graphviz takes too long."""
    theme, rankdir = options.colours, options.rankdir
    groups = folding.fold(graph) if options.folds(len(graph)) else folding.apart(graph)
    scale = extent(filter(None, graph.grads))
    look = Look(theme, options.detail, options.compact, rankdir, scale)
    explained = options.legend if options.legend is not None else any(graph.operands)
    ranks = _ranks(graph)

    def drawn(look: Look, ranks: list[int]) -> Diagram:
        drawing = _Drawing(graph, groups, look, ranks)
        body = list(drawing.lines())
        attributes = {**_graph_attributes(theme), "rankdir": rankdir}
        if explained:
            text = legend_of(
                graph, groups, look, stacked=rankdir in ("TB", "BT"), copied=drawing.copied
            )
            attributes |= {"label": f"<{text}>", "labelloc": "b"}
        return Diagram(
            format=options.format,
            graph_attr=attributes,
            node_attr=_node_attributes(theme),
            edge_attr={**_edge_attributes(theme), "tailport": DIRECTIONS[rankdir][1]},
            body=body,
        )

    leaves, others = _lengths(graph, groups, ranks)
    plain = look._replace(detail="values") if options.detail == "full" else look
    found = drawn(
        plain if others > LONGEST_OTHERS else look, ranks if leaves > LONGEST_LEAVES else []
    )
    found.plainer = lambda: drawn(plain, ranks)
    return found


def _ranks(graph: Graph) -> list[int]:
    """For each entry how far before the end it is drawn: as near to what uses it as can be."""
    ranks = [0] * len(graph)
    for n in range(len(graph) - 1, -1, -1):
        for x in graph.operands[n]:
            ranks[x] = min(ranks[x], ranks[n] - 1)
    return ranks


def _first_ranks(graph: Graph, ranks: list[int]) -> dict[int, int]:
    """For each leaf that is used the rank of what uses it first."""
    first: dict[int, int] = {}
    for n, operands in enumerate(graph.operands):
        for x in operands:
            if not graph.operands[x]:
                first[x] = min(first.get(x, ranks[n]), ranks[n])
    return first


def _lengths(graph: Graph, groups: list[Group], ranks: list[int]) -> tuple[int, int]:
    """How many ranks the edges of leaves cross in all, and those of computed entries."""
    first = _first_ranks(graph, ranks)
    leaves = others = 0
    for n in [group.members[0] for group in groups if group.kind == "entry"]:
        for x in graph.operands[n]:
            if x in first:
                leaves += ranks[n] - first[x]
            else:
                others += ranks[n] - ranks[x] - 1
    return leaves, others


def _graph_attributes(theme: Theme) -> Attributes:
    return {
        "bgcolor": theme.background,
        "fontname": FONT,
        "fontcolor": theme.ink,
        "fontsize": "12",
        "nodesep": "0.3",
        "ranksep": "0.35",
        # so often is the layout improved; without a limit it may take hours
        "nslimit": "1",
        "nslimit1": "1",
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
    """The lines of DOT for a graph in groups; with `ranks`, leaves are near what uses them."""

    def __init__(self, graph: Graph, groups: list[Group], look: Look, ranks: list[int]) -> None:
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
        self.first = _first_ranks(graph, ranks) if ranks else {}
        self.copies = self._copies()
        self.copied = bool(self.copies)

    def _copies(self) -> dict[int, list[str]]:
        """For each leaf the boxes that it has besides its own."""
        found: dict[int, dict[str, None]] = {}
        for n, operands in enumerate(self.graph.operands):
            for x in operands:
                box = self._tail(x, n)
                if box != self.boxes[x]:
                    found.setdefault(x, {})[box] = None
        return {x: list(boxes) for x, boxes in found.items()}

    def _tail(self, x: int, n: int) -> str:
        """The box of operand x that is nearest to entry n."""
        single = self.boxes[x] == f"v{x}" and self.boxes[n] == f"v{n}"
        if x not in self.first or not single:
            return self.boxes[x]
        k = (self.ranks[n] - self.first[x]) // REACH
        return f"v{x}_{k}" if k else self.boxes[x]

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
        computed = bool(self.graph.operands[n])
        frame = self.groups[self.of[n]].frame
        card = entry_card(self.graph, n, self.look, names, frame)
        blank = {"label": '""', "shape": "circle", "width": "0.14", "height": "0.14"}
        attributes = {"label": f"<{card}>"} if card else blank
        name = self.graph.names.get(n, "")
        if n in self.graph.parameters and within(name, frame) != name:
            attributes["tooltip"] = quote(escape(name))
        for name in (f"v{n}", *self.copies.get(n, ())):
            yield _node_line(name, {**attributes, **self._box_style(n)})
        if computed and not self.look.compact:
            yield self._operation_box(n, names)

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
        return style | marked_style(theme) if n in self.graph.marked else style

    def _operation_box(self, n: int, names: Sequence[str]) -> str:
        theme, symbol = self.look.theme, shown_sign(self.graph.ops[n].symbol)
        style = {"fillcolor": theme.operation, "color": edge_of(theme.operation, theme)}
        if self.graph.status.get(n) == "gone":
            style |= {"fillcolor": theme.gone, "style": "rounded,filled,dashed"}
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
                yield _edge_line(self._tail(x, n), head, style)

    def _edge_style(self, gradient: float | None, partial: float | None) -> Attributes:
        """An edge by what flows back along it, with the local derivative."""
        if partial is None or gradient is None:
            return {}
        style = self.look.flow(gradient * partial)
        if self.look.detail == "full":
            style["label"] = _raised(f"∂ {number_text(partial)}")
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
