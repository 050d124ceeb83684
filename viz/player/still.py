"""A graph of the player as a picture that does not move: for paper, and where no script runs."""

from collections.abc import Sequence
from html import escape

from viz.output.palette import FONT, LIGHT, LIGHT_DIRECTIONS, Theme
from viz.output.text import printable
from viz.player.whatif import JSON

ROOM = 900.0  # the width up to which a graph is drawn from left to right, in points
PADDING = 6
BLANK = "_______"  # where a number is to be written


def still(graph: JSON, values: Sequence[str], gradients: Sequence[str]) -> str:
    """A graph with numbers in its boxes, as SVG.

    Args:
        graph: one of a scene's graphs.
        values: for each node the text of its value; `BLANK` where it is to be written.
        gradients: the same of its gradient; "" where it has none.
    """
    theme = LIGHT
    layout = graph["wide" if graph["wide"]["size"][0] <= ROOM else "tall"]
    width, height = (x + 2 * PADDING for x in layout["size"])
    splines = layout["edges"].values()
    lines, arrows = "".join(x["path"] for x in splines), "".join(map(_arrow, splines))
    boxes = map(_svg_box, graph["nodes"], layout["nodes"], values, gradients, [theme] * len(values))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="{-PADDING} {-PADDING} {width:g} {height:g}" font-family="{FONT}" '
        f'font-size="12.5"><rect x="{-PADDING}" y="{-PADDING}" width="100%" height="100%" '
        f'fill="{theme.background}"/><path d="{lines}" fill="none" stroke="{theme.muted}" '
        f'stroke-width="1.3"/><path d="{arrows}" fill="{theme.muted}"/>{"".join(boxes)}</svg>'
    )


def still_of(scene: JSON) -> str:
    """The first run of a scene at its end; "" where there is none to be stepped through."""
    run = next(filter(None, scene["runs"]), None)
    if run is None:
        return ""
    texts = scene["numbers"]["texts"]
    places = {len(run["values"]) - 1: run["seed"]}
    places.update((x[2], x[7]) for x in run["backward"])
    gradients = [texts[places[n]] if n in places else "" for n in range(len(run["values"]))]
    return still(scene["graphs"][run["graph"]], [texts[x] for x in run["values"]], gradients)


def _arrow(spline: JSON) -> str:
    (x, y), (u, v) = spline["base"], spline["tip"]
    length = ((u - x) ** 2 + (v - y) ** 2) ** 0.5 or 1.0
    a, b = 4.2 * (v - y) / length, 4.2 * (x - u) / length
    return f"M{u:g},{v:g}L{x + a:.1f},{y + b:.1f} {x - a:.1f},{y - b:.1f}z"


def _svg_box(node: JSON, place: Sequence[float], value: str, gradient: str, theme: Theme) -> str:
    x, y, width, height = place
    dashes = ' stroke-dasharray="3 2"' if node["kind"] == "constant" else ""
    inside = (
        _svg_text(node["short"], width / 2, height / 2 + 4.5, theme.ink, anchor="middle")
        if node["kind"] == "constant"
        else _svg_card(node, width, value, gradient, theme)
    )
    return (
        f'<g transform="translate({x - width / 2:g},{y - height / 2:g})">'
        f'<rect rx="9" width="{width:g}" height="{height:g}" stroke="{theme.muted}" '
        f'fill="{getattr(theme, node["kind"])}"{dashes}/>{inside}</g>'
    )


def _svg_card(node: JSON, width: float, value: str, gradient: str, theme: Theme) -> str:
    forward, backward, right = *LIGHT_DIRECTIONS.values(), width - 11
    return (
        _svg_text(node["short"], 11, 19, theme.ink, bold=True)
        + _svg_text(node["symbol"] if node["op"] else "", right, 19, theme.ink, anchor="end")
        + f'<path d="M0,26H{width:g}" stroke="{theme.grid}"/>'
        + _svg_text("value", 11, 43, theme.muted)
        + _svg_text("grad", 11, 60, theme.muted)
        + _svg_text(value, right, 43, theme.ink if value == BLANK else forward, anchor="end")
        + _svg_text(gradient, right, 60, theme.ink if gradient == BLANK else backward, anchor="end")
    )


def _svg_text(
    words: str, x: float, y: float, colour: str, *, anchor: str = "start", bold: bool = False
) -> str:
    if not words:
        return ""
    weight = ' font-weight="650"' if bold else ""
    side = f' text-anchor="{anchor}"' if anchor != "start" else ""
    attributes = f'x="{x:g}" y="{y:g}" fill="{colour}"{side}{weight}'
    return f"<text {attributes}>{escape(printable(words))}</text>"
