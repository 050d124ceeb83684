"""What a diagram's colours, shapes and small print mean, in lines below it."""

from collections.abc import Iterable, Iterator, Sequence

from viz.diagram.cards import Look, edge_of, kind_fill, marked
from viz.diagram.folding import Group
from viz.diagram.graph import Graph
from viz.output.names import TIMES
from viz.output.palette import signed

KIND_NAMES = {
    "input": "input",
    "parameter": "parameter",
    "constant": "constant",
    "operation": "operation",
    "computed": "computed",
    "output": "output",
}
COLUMNS = 14
STATUS = {
    "same": "as before",
    "moved": "moved",
    "flipped": "flipped sign",
    "new": "new",
    "gone": "gone",
}


def legend(
    graph: Graph, groups: list[Group], look: Look, *, stacked: bool, plainness: Sequence[str] = ()
) -> str:
    """The legend of a diagram, as an HTML-like label; of what the diagram has.

    Args:
        graph: what is drawn.
        groups: the boxes.
        look: how they are drawn.
        stacked: whether the diagram is a column.
        plainness: how it is plainer than what was asked for, one line each.
    """
    singles = [g.members[0] for g in groups if g.kind in ("entry", "alike")]
    rows = [list(_kinds(graph, singles, look))]
    if look.detail != "structure" and any(x is not None for x in graph.grads):
        rows.append(list(_gradient_scale(look)))
    edges = any(graph.operands[n] for n in singles)
    folded = any(group.kind != "entry" for group in groups)
    rows.append(list(_notes(graph, look, edges=edges, folded=folded)))
    rows += [[_cell(text, look)] for text in plainness]
    if stacked:  # a column is narrow
        rows = [rows[0][k : k + 3] for k in range(0, len(rows[0]), 3)] + rows[1:]
    text = "".join(f"<tr><td>{_legend_row(row)}</td></tr>" for row in rows if row)
    gap = '<tr><td height="8"></td></tr>'
    return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="0">{gap}{text}</table>'


def _legend_row(cells: Sequence[str]) -> str:
    # cells share what room there is: empty ones at the ends take it from the others
    ends = "<td></td>" * ((COLUMNS - len(cells)) // 2)
    return (
        '<table border="0" cellborder="0" cellspacing="4" cellpadding="3">'
        f"<tr>{ends}{''.join(cells)}{ends}</tr></table>"
    )


def _cell(text: str, look: Look, colour: str = "", border: str = "") -> str:
    style = f' bgcolor="{colour}"' if colour else ""
    if border:
        style += f' border="1" style="rounded" color="{border}"'
    ink = look.theme.ink if colour else look.theme.muted
    return f'<td{style}><font point-size="10" color="{ink}">{text}</font></td>'


def _kinds(graph: Graph, entries: Iterable[int], look: Look) -> Iterator[str]:
    """The fills of boxes."""
    theme = look.theme
    if graph.status:
        found = {graph.status[n] for n in graph.status}
        for status in [x for x in STATUS if x in found]:
            colour = status_fill(status, look)
            yield _cell(STATUS[status], look, colour, edge_of(colour, theme))
        return
    entries = list(entries)
    found = {graph.kind(n) for n in entries}
    if not graph.marks.keys().isdisjoint(entries):
        style = marked(theme)
        yield _cell("marked", look, style["fillcolor"], style["color"])
    if found & {"computed", "output"}:
        found.add("operation")
    for kind in [x for x in KIND_NAMES if x in found]:
        colour = kind_fill(theme, kind)
        yield _cell(KIND_NAMES[kind], look, colour, edge_of(colour, theme))


def status_fill(status: str, look: Look) -> str:
    """The colour of a box in a comparison."""
    return kind_fill(look.theme, "computed" if status == "same" else status)


def _gradient_scale(look: Look) -> Iterator[str]:
    """The colours of gradients."""
    yield _cell("gradient: negative", look)
    for share in (-1.0, -0.4, -0.05, 0.0, 0.05, 0.4, 1.0):
        colour = signed(share * look.scale, look.scale, look.theme)
        yield f'<td bgcolor="{colour}" width="16" height="8" fixedsize="true"></td>'
    yield _cell("positive", look)
    yield f'<td bgcolor="{look.theme.wrong}" width="16" height="8" fixedsize="true"></td>'
    yield _cell("NaN or infinite", look)


def _notes(graph: Graph, look: Look, *, edges: bool, folded: bool) -> Iterator[str]:
    """What the small print means."""
    if look.detail == "full" and edges and any(x is not None for x in graph.grads):
        yield _cell("∂ on an edge: local derivative", look)
    if folded:
        yield _cell(f"{TIMES} how many", look)
    if graph.guards:
        yield _cell("hexagon: holds on this path", look)
