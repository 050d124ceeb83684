"""Frames of a graph in the player: a scope's, a neuron's; the page opens and closes them.

A closed frame shows its results alone. A large graph begins with closed frames: the innermost
ones, or those around them, until what is left can be read.
"""

from collections.abc import Sequence
from typing import NamedTuple

from viz.player.steps import Node, Steps

ALL_OPEN, SEEN = 24, 60  # boxes up to which nothing is closed at first; that are seen then


class Frame(NamedTuple):
    """What may be closed.

    Attributes:
        path: the names of the scopes; those of the frames around it are the beginnings of it.
        members: the numbers of the nodes in it.
        results: those of them that are used outside of it.
    """

    path: tuple[str, ...]
    members: list[int]
    results: list[int]


def frames_of(steps: Steps) -> list[Frame]:
    """The frames in which there is something to hide, the outer ones first."""
    inside: dict[tuple[str, ...], list[int]] = {}
    for n, path in enumerate(steps.frames):
        for depth in range(1, len(path) + 1):
            inside.setdefault(path[:depth], []).append(n)
    found = [Frame(path, xs, _used_outside(steps.nodes, xs)) for path, xs in inside.items()]
    found.sort(key=lambda x: (len(x.path), x.members))
    known: list[list[int]] = []
    return [x for x in found if _hides(x, len(steps.nodes)) and _is_new(x.members, known)]


def _used_outside(nodes: Sequence[Node], members: list[int]) -> list[int]:
    """Which nodes of a frame others use, or nobody."""
    within = set(members)
    used = {x for n, node in enumerate(nodes) if n not in within for x in node.operands}
    last = len(nodes) - 1
    return [n for n in members if n in used or n == last]


def _hides(frame: Frame, count: int) -> bool:
    return len(frame.members) < count and len(frame.members) - len(frame.results) >= 2


def _is_new(members: list[int], known: list[list[int]]) -> bool:
    if members in known:
        return False
    known.append(members)
    return True


def closed_at_first(frames: list[Frame], count: int) -> list[int]:
    """The places of the frames that a page begins with closed; `count` nodes there are."""
    heights = _heights(frames)
    best: tuple[int, list[int]] = count, []
    for height in range(max(heights, default=-1) + 1) if count > ALL_OPEN else []:
        closed = [k for k, x in enumerate(heights) if x <= height]
        hidden = {n for k in closed for n in set(frames[k].members) - set(frames[k].results)}
        best = min(best, (count - len(hidden), closed))
        if best[0] <= SEEN:
            break
    return best[1]


def _heights(frames: list[Frame]) -> list[int]:
    """How many frames are in one another within each: 0 of the innermost ones."""
    found = [0] * len(frames)
    for k in reversed(range(len(frames))):
        inner = [j for j, x in enumerate(frames) if x.path[: len(frames[k].path)] == frames[k].path]
        found[k] = max([found[j] + 1 for j in inner if j != k], default=0)
    return found
