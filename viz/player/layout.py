"""Where boxes, edges and their labels are on the player's page."""

import json
import unicodedata
from collections.abc import Iterable

from viz.diagram.graph import Names
from viz.diagram.reach import crossed
from viz.output.names import neuron_of
from viz.output.pictures import SlowLayoutError, picture
from viz.player.columns import COLUMN_GAP, PAGE_MARGIN, Pair, column_points
from viz.player.frames import Frame
from viz.player.steps import Node, Steps
from viz.player.whatif import JSON

LABELLED = 80  # edges up to which each has room for its local derivative
WIDEST = 18  # characters of a name in a box
HEIGHTS = {"constant": 30}  # of boxes, in points; of all others 68
ARROW = 8.0  # points
# Ranks that edges cross in all, up to which they have labels, Graphviz lays them out with care,
# and with less care; and nodes, up to which it does so at all.
LENGTH_FOR_LABELS = 250
LENGTH_FOR_CARE, LENGTH_FOR_COLUMNS, NODES_FOR_COLUMNS = 1500, 5000, 1500


def _width_of(text: str) -> int:
    """About how many characters wide a text is: those of East Asia and emoji count twice."""
    return sum(1 + (unicodedata.east_asian_width(x) in "WF") for x in text)


def clipped(name: str, longest: int = WIDEST) -> str:
    """What a box has room for: of a path the end says which one it is."""
    path = neuron_of(name) != ""
    while _width_of(name) > longest:
        name = "…" + name.removeprefix("…")[1:] if path else name.removesuffix("…")[:-1] + "…"
    return name


def _box_size(node: Node) -> tuple[float, float]:
    """A box's width and height in points."""
    if node.kind == "constant":
        return max(44, 8.2 * _width_of(clipped(node.name)) + 18), HEIGHTS["constant"]
    words = _width_of(clipped(node.name)) + _width_of(clipped(node.symbol, 10))
    return max(156, 8.2 * words + 42), 68


def layout(steps: Steps, rankdir: str, frames: list[Frame], seconds: float) -> JSON:
    """Where boxes, edges and their labels are; the origin is at the top left.

    Args:
        steps: what is laid out.
        rankdir: "LR" or "TB".
        frames: what is drawn together.
        seconds: how long Graphviz may take; plain columns take next to no time.
    """
    length = crossed([node.operands for node in steps.nodes])
    if length <= LENGTH_FOR_COLUMNS and len(steps.nodes) <= NODES_FOR_COLUMNS:
        try:
            plain = length > LENGTH_FOR_CARE
            source = "".join(_layout_source(steps, rankdir, frames, plain=plain))
            return _as_drawn(json.loads(picture(source, "json", seconds=seconds)), len(steps.nodes))
        except SlowLayoutError:
            pass
    return _in_columns(steps, rankdir)


def _as_drawn(drawn: JSON, count: int) -> JSON:
    """A layout as Graphviz writes it."""
    _, _, width, height = map(float, drawn["bb"].split(","))
    boxes = {x["name"]: x for x in drawn["objects"] if "pos" in x}
    nodes = [
        [
            *_point(boxes[f"v{n}"]["pos"], height),
            *[round(72 * float(boxes[f"v{n}"][side]), 1) for side in ("width", "height")],
        ]
        for n in range(count)
    ]
    edges = {x["id"]: x for x in drawn.get("edges", [])}
    return {
        "size": [round(width, 1), round(height, 1)],
        "nodes": nodes,
        "edges": {name: _spline(x["pos"], height) for name, x in edges.items()},
        "labels": {name: _point(x["lp"], height) for name, x in edges.items() if "lp" in x},
        "plain": False,
    }


def _in_columns(steps: Steps, rankdir: str) -> JSON:
    """A layout without Graphviz; one from top to bottom is one from left to right, turned."""
    across = rankdir == "LR"
    sizes = [_turned(_box_size(node), across=across) for node in steps.nodes]
    points = column_points([node.operands for node in steps.nodes], sizes)
    boxes = list(zip(points, sizes, strict=True))
    right = max(x + width / 2 for (x, _), (width, _) in boxes) + PAGE_MARGIN
    bottom = max(y + height / 2 for (_, y), (_, height) in boxes) + PAGE_MARGIN
    starts = [(x + width / 2, y) for (x, y), (width, _) in boxes]
    tips = [(x - width / 2, y) for (x, y), (width, _) in boxes]
    return {
        "size": _turned((right, bottom), across=across),
        "nodes": [[*_turned(p, across=across), *_turned(size, across=across)] for p, size in boxes],
        "edges": {
            f"{n}_{k}": _curve(starts[x], tips[n], across=across)
            for n, node in enumerate(steps.nodes)
            for k, x in enumerate(node.operands)
        },
        "labels": {},
        "plain": True,
    }


def _curve(start: Pair, tip: Pair, *, across: bool) -> JSON:
    """An edge from left to right, or turned, as an SVG path, and its arrow's tip."""
    base = tip[0] - ARROW, tip[1]
    bend = min(COLUMN_GAP, base[0] - start[0])
    points = start, (start[0] + bend, start[1]), (base[0] - bend, base[1]), base
    first, *others = ["{:g},{:g}".format(*_turned(p, across=across)) for p in points]
    path = f"M{first}C{' '.join(others)}"
    return {"path": path, "base": _turned(base, across=across), "tip": _turned(tip, across=across)}


def _turned(pair: Pair, *, across: bool) -> Pair:
    """Two numbers, rounded; the other way round in a layout from top to bottom."""
    x, y = round(pair[0], 1), round(pair[1], 1)
    return (x, y) if across else (y, x)


def _layout_source(
    steps: Steps, rankdir: str, frames: list[Frame], *, plain: bool = False
) -> Iterable[str]:
    """The graph for a layout; a plain one is laid out with less care."""
    tail, head = ("e", "w") if rankdir == "LR" else ("s", "n")
    labels = {(x.result, x.place) for x in steps.contributions}
    operands = [node.operands for node in steps.nodes]
    if sum(map(len, operands)) > LABELLED or crossed(operands) > LENGTH_FOR_LABELS:
        labels = set()
    care = (
        "nslimit=0.1 nslimit1=0.1 mclimit=0.1 splines=polyline" if plain else "nslimit=1 nslimit1=1"
    )
    yield f"digraph {{ rankdir={rankdir} ranksep=0.3 nodesep=0.26 {care}"
    yield " node [shape=box fixedsize=true]"
    yield f' edge [tailport={tail} headport={head} fontsize=11 fontname="Helvetica"]\n'
    for n, node in enumerate(steps.nodes):
        width, height = _box_size(node)
        yield f'v{n} [label="" width={width / 72:.4f} height={height / 72:.4f}]\n'
        for k, x in enumerate(node.operands):
            label = ' label=" -00.0000 "' if (n, k) in labels else ""
            # what goes into a frame from outside stands before it
            far = " minlen=2" if steps.frames[n] and not steps.frames[x] else ""
            yield f'v{x} -> v{n} [id="{n}_{k}"{label}{far}]\n'
    yield from _clusters(frames, ())
    yield "}"


def _clusters(frames: list[Frame], outer: Names) -> Iterable[str]:
    """Frames within others, with room for their borders and titles."""
    within = [(k, x) for k, x in enumerate(frames) if x.path[: len(outer)] == outer != x.path]
    for k, x in within:
        if any(y.path == x.path[: len(y.path)] != x.path for _, y in within):
            continue  # it is in another one of them
        yield f'subgraph cluster_{k} {{ margin=12 label=" " fontsize=12\n'
        yield " ".join([f"v{n}" for n in x.members]) + "\n"
        yield from _clusters(frames, x.path)
        yield "}\n"


def _point(text: str, height: float) -> list[float]:
    x, y = text.split(",")
    return [round(float(x), 1), round(height - float(y), 1)]


def _spline(text: str, height: float) -> JSON:
    """A line as an SVG path, and its arrow's tip."""
    tip, *points = [_point(x.removeprefix("e,"), height) for x in text.split(" ")]
    first, *others = [f"{x:g},{y:g}" for x, y in points]
    return {"path": f"M{first}C{' '.join(others)}", "base": points[-1], "tip": tip}
