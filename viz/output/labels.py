"""Labels in a picture that is laid out: those that touch something are moved to a free place.

Graphviz keeps room for the labels of edges and for the names of frames, but leads some edges
through it all the same. Here a *label* is either; lengths are points, y goes upwards.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import pairwise, product
from math import ceil, dist
from typing import NamedTuple

Spot = tuple[float, float]

QUOTED = r'"(?:[^"\\]|\\.)*"|<(?:[^<>]|<[^<>]*>)*>'  # quoted, or like HTML
STATEMENT = re.compile(
    rf"""^[ \t]*((?:"(?:[^"\\]|\\.)*"|[^\s"<\[\]{{}};=]|[ ])+)[ \t]*\[((?:{QUOTED}|[^"<\]])*)\];""",
    re.MULTILINE | re.DOTALL,
)
ATTRIBUTE = re.compile(rf"""(\w+)=({QUOTED}|[^\s,\]]+)""", re.DOTALL)
RAISED = '<br/><font point-size="4"> </font>'  # below a label that stands above its edge

LETTER, LOW, HIGH = 5.2, -0.5, 7.5  # of a raised label: how wide, from where to where it goes up
AIRS = 2.5, 1.0  # between a label and anything else; where there is no such place
SPACING, CELL = 2.0, 6.0  # between points of a line; of a grid
NEAREST = 100  # points of its line near which a label may go
MOST_POINTS = 300_000  # of all lines; a picture with more is left as it is
OFFSETS = (0.0, 4.0, 9.0, 16.0)  # how much farther than it has to be a label may be from its edge
POINTS_AN_INCH = 72


def raised(text: str) -> str:
    """The label of an edge, a little above it.

    Example:
        >>> raised("2")
        '< 2 <br/><font point-size="4"> </font>>'
    """
    return f"< {text} {RAISED}>"


class Box(NamedTuple):
    """A rectangle: its sides, from the left, the bottom, the right and the top."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "Box") -> bool:
        """Whether they have more than a side in common."""
        return (
            self.left < other.right and other.left < self.right
            and self.bottom < other.top and other.bottom < self.top
        )  # fmt: skip

    def around(self, air: float) -> "Box":
        """The same with some air around it."""
        left, bottom, right, top = self
        return Box(left - air, bottom - air, right + air, top + air)

    def at(self, x: float, y: float) -> "Box":
        """The same box elsewhere: so far to the right, and up."""
        return Box(self.left + x, self.bottom + y, self.right + x, self.top + y)

    def cells(self) -> Iterable[tuple[int, int]]:
        """The cells of a grid that it lies in."""
        left, bottom, right, top = [int(x // CELL) for x in self]
        return product(range(left, right + 1), range(bottom, top + 1))


class Label(NamedTuple):
    """What can be moved.

    Attributes:
        along: whether it stays on its line, rather than beside it.
        box: where it is.
        place: the point that Graphviz calls its place.
        span: where in the text that stands.
        line: points of what it belongs to.
    """

    along: bool
    box: Box
    place: Spot
    span: tuple[int, int]
    line: list[Spot]

    def ways(self, air: float) -> Iterator[Spot]:
        """How far it could go to the right and up, the short ways first."""
        x, y = (self.box.left + self.box.right) / 2, (self.box.bottom + self.box.top) / 2
        line = nsmallest(NEAREST, self.line, key=lambda point: dist(point, (x, y)))
        if self.along:
            yield from ((a - x, b - y) for a, b in line)
            return
        half_wide, half_high = self.box.right - x + air, self.box.top - y + air
        for more in OFFSETS:
            wide, high = half_wide + more, half_high + more
            for a, b in line:
                for u, v in ((0, high), (0, -high), (wide, 0), (-wide, 0)):
                    yield a + u - x, b + v - y


class Crowd:
    """What labels must not touch, on a grid."""

    def __init__(self) -> None:
        self.points: defaultdict[tuple[int, int], list[Spot]] = defaultdict(list)
        self.boxes: defaultdict[tuple[int, int], list[Box]] = defaultdict(list)
        self.count = 0  # of points

    def add_line(self, points: Sequence[Spot]) -> None:
        """A line, as points close to each other."""
        self.count += len(points)
        for x, y in points:
            self.points[int(x // CELL), int(y // CELL)].append((x, y))

    def add_box(self, box: Box) -> None:
        """A box, or a label that stays where it is."""
        for cell in box.cells():
            self.boxes[cell].append(box)

    def free(self, box: Box, air: float = AIRS[-1]) -> bool:
        """Whether a label has room there, and so much air around it."""
        roomy = box.around(air)
        left, bottom, right, top = roomy
        return not any(
            any(roomy.meets(other) for other in self.boxes.get(cell, ()))
            or any(left < x < right and bottom < y < top for x, y in self.points.get(cell, ()))
            for cell in roomy.cells()
        )

    def way(self, label: Label) -> Spot:
        """How far a label has to go to be free; nowhere if there is no such place."""
        places = ((air, way) for air in AIRS for way in label.ways(air))
        free = (way for air, way in places if self.free(label.box.at(*way), air - 0.1))
        return next(free, (0.0, 0.0))


def cleared(text: str, seconds: float) -> str:
    """Move the labels that touch an edge, a box, a frame or each other.

    Args:
        text: DOT with the places of everything, as ``dot -Tdot`` writes it.
        seconds: how long that may take; labels whose turn does not come stay.

    Returns:
        The same with other places of labels, where there are free ones.
    """
    end = time.monotonic() + seconds
    crowd, labels = _labels_among(text)
    if crowd.count > MOST_POINTS:
        return text
    tight = []
    for label in labels:
        if crowd.free(label.box):
            crowd.add_box(label.box)
        else:
            tight.append(label)
    moved = {}
    for label in tight:
        if time.monotonic() > end:
            break
        x, y = crowd.way(label)
        crowd.add_box(label.box.at(x, y))
        moved[label.span] = f'"{label.place[0] + x:.2f},{label.place[1] + y:.2f}"'
    parts, end = [], 0
    for span in sorted(moved):
        parts += [text[end : span[0]], moved[span]]
        end = span[1]
    return "".join([*parts, text[end:]])


# --- reading a layout ---------------------------------------------------------


def _labels_among(text: str) -> tuple[Crowd, list[Label]]:
    """What is in a layout, and what of it can be moved."""
    crowd, labels = Crowd(), []
    frames, usual = 0, {"width": "0.75", "height": "0.5"}  # as Graphviz has it
    for found in STATEMENT.finditer(text):
        if crowd.count > MOST_POINTS:
            break
        start = found.start(2)
        spans = {x[1]: (start + x.start(2), start + x.end(2)) for x in ATTRIBUTE.finditer(found[2])}
        have = {name: text[slice(*span)].strip('"') for name, span in spans.items()}
        if "->" in re.sub(QUOTED, "", found[1]) and "pos" in have:
            points = list(_spline_points(have["pos"]))
            crowd.add_line(points)
            if RAISED in have.get("label", "") and "lp" in have:
                labels.append(_edge_label(have, spans["lp"], points))
        elif found[1].strip() == "graph":
            frames += 1
            if frames > 1 and "lp" in have:  # the first is the whole, with its legend
                labels.append(_frame_name(have, spans["lp"]))
                crowd.add_line(list(_outline_points(have)))
        elif found[1].strip() == "node":
            usual |= have
        elif "pos" in have:
            crowd.add_box(_box_of(usual | have))
    return crowd, labels


def _numbers_in(text: str) -> list[float]:
    return [float(x) for x in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", text)]


def _box_of(have: dict[str, str]) -> Box:
    x, y = _numbers_in(have["pos"])[:2]
    wide, high = [POINTS_AN_INCH / 2 * float(have[side]) for side in ("width", "height")]
    return Box(x - wide, y - high, x + wide, y + high)


def _edge_label(have: dict[str, str], span: tuple[int, int], points: list[Spot]) -> Label:
    x, y = _numbers_in(have["lp"])
    half = LETTER / 2 * len(re.sub("<[^<>]*>", "", have["label"][1:-1]).strip())
    return Label(False, Box(x - half, y + LOW, x + half, y + HIGH), (x, y), span, points)


def _frame_name(have: dict[str, str], span: tuple[int, int]) -> Label:
    """The name of a frame; it may be anywhere along the top."""
    x, y = _numbers_in(have["lp"])
    left, _, right, _ = _numbers_in(have["bb"])
    wide, high = [POINTS_AN_INCH / 2 * float(have[side]) for side in ("lwidth", "lheight")]
    first, last = left + wide + AIRS[0], right - wide - AIRS[0]
    count = max(0, int((last - first) // SPACING))
    line = [(first + SPACING * k, y) for k in range(count + 1)]
    return Label(True, Box(x - wide, y - high, x + wide, y + high), (x, y), span, line)


def _outline_points(have: dict[str, str]) -> Iterator[Spot]:
    left, bottom, right, top = _numbers_in(have["bb"])
    corners = (left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)
    for start, end in pairwise(corners):
        yield from _straight_points(start, end)


def _spline_points(text: str) -> Iterator[Spot]:
    """Points of an edge, from piece to piece of its Bezier curves, and to the arrows' tips."""
    for piece in text.replace("\\\n", "").split(";"):
        ends = dict(re.findall(r"\b([se]),(\S+)", piece))
        numbers = _numbers_in(re.sub(r"\b[se],\S+", "", piece))
        corners = list(zip(numbers[::2], numbers[1::2], strict=True))
        if "s" in ends:
            yield from _straight_points(_spot(ends["s"]), corners[0])
        for k in range(0, len(corners) - 3, 3):
            yield from _curve_points(corners[k : k + 4])
        if "e" in ends:
            yield from _straight_points(corners[-1], _spot(ends["e"]))


def _spot(text: str) -> Spot:
    x, y = _numbers_in(text)
    return x, y


def _curve_points(corners: list[Spot]) -> Iterator[Spot]:
    count = max(1, ceil(sum(dist(a, b) for a, b in pairwise(corners)) / SPACING))
    (a, b), (c, d), (e, f), (g, h) = corners
    for k in range(count + 1):
        t = k / count
        p, q, r, s = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        yield p * a + q * c + r * e + s * g, p * b + q * d + r * f + s * h


def _straight_points(start: Spot, end: Spot) -> Iterator[Spot]:
    count = max(1, ceil(dist(start, end) / SPACING))
    (a, b), (c, d) = start, end
    yield from ((a + (c - a) * k / count, b + (d - b) * k / count) for k in range(count + 1))
