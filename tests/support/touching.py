"""What labels of edges and names of frames touch in a picture: measured in its SVG."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import NamedTuple

from support.diagrams import SVG

NARROW = {" ": 0.278, ".": 0.278, "-": 0.333, ",": 0.278, "∂": 0.5}  # of Helvetica, in em
DIGIT, CAPITAL = 0.556, 0.72


class Rectangle(NamedTuple):
    """Its sides; y goes downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, point):
        """Whether a point is inside of it, and not only at its side."""
        (x, y), a = point, 0.5
        return self.left + a < x < self.right - a and self.top + a < y < self.bottom - a

    def meets(self, other):
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return wide > 0.5 and high > 0.5


def touches(svg):
    """Pairs of a label or a frame's name and of what it touches, and how many of them there are."""
    edges, labels, frames, boxes = {}, [], [], []
    for number, group in enumerate(ET.fromstring(svg).iter(f"{SVG}g")):
        words = [text for text in group.findall(f".//{SVG}text") if (text.text or "").strip()]
        name = f"{number} {group.findtext(f'{SVG}title')}"
        if group.get("class") == "edge":
            edges[name] = [p for path in group.iter(f"{SVG}path") for p in _curves(path.get("d"))]
            labels += [(name, _around(text)) for text in words]
        elif group.get("class") == "cluster":
            frames += [(name, _around(text)) for text in words]
        elif group.get("class") == "node":
            boxes += [(name, box) for box in [_outline(group)] if box]
    found = []
    for k, (name, box) in enumerate(labels + frames):
        found += [(name, edge) for edge, line in edges.items() if any(map(box.holds, line))]
        if k < len(labels):
            others = labels[k + 1 :] + frames + boxes
            found += [(name, other) for other, place in others if box.meets(place)]
    return found, len(labels)


def _around(text):
    """Where the letters of a text are."""
    size, words = float(text.get("font-size")), text.text.replace("\xa0", " ")
    wide = size * sum(NARROW.get(c, DIGIT) for c in words)
    inner = size * sum(NARROW.get(c, DIGIT) for c in words.strip())
    shift = {"middle": wide / 2, "start": 0.0}[text.get("text-anchor")]
    left = float(text.get("x")) - shift + (wide - inner) / 2
    base = float(text.get("y"))
    return Rectangle(left, base - CAPITAL * size, left + inner, base)


def _points(text):
    return [tuple(map(float, x.split(","))) for x in re.findall(r"-?[\d.]+,-?[\d.]+", text)]


def _outline(group):
    points = [p for x in group.findall(f".//{SVG}polygon")[:1] for p in _points(x.get("points"))]
    points += [p for x in group.findall(f".//{SVG}path")[:1] for p in _points(x.get("d"))]
    if not points:
        return None
    xs, ys = zip(*points, strict=True)
    return Rectangle(min(xs), min(ys), max(xs), max(ys))


def _curves(text):
    """Points of Bezier curves, a point apart or less."""
    corners = _points(text)
    found = []
    for k in range(0, len(corners) - 3, 3):
        (a, b), (c, d), (e, f), (g, h) = corners[k : k + 4]
        for t in [i / 24 for i in range(25)]:
            p, q, r, s = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            found.append((p * a + q * c + r * e + s * g, p * b + q * d + r * f + s * h))
    dense = []
    for (a, b), (c, d) in pairwise(found):
        steps = 1 + int(max(abs(c - a), abs(d - b)))
        dense += [(a + (c - a) * i / steps, b + (d - b) * i / steps) for i in range(steps)]
    return dense + corners[-1:]
