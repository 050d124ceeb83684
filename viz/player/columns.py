"""A layout in plain columns, for graphs that Graphviz would take too long for.

Its time grows as the number of edges: a box stands in the column before the ones that use it,
near to the height of its neighbours; edges lead to it past whatever is in between.
"""

from collections.abc import Sequence

from viz.diagram.reach import ranks_of

Pair = tuple[float, float]
Size = tuple[float, float]

COLUMN_GAP, BOX_GAP = 60.0, 18.0  # points between columns and between boxes of one
PAGE_MARGIN = 8.0
ROUNDS = 6  # of moving boxes towards their neighbours


def column_points(operands: Sequence[Sequence[int]], sizes: Sequence[Size]) -> list[Pair]:
    """The centres of boxes; no two of them overlap.

    Args:
        operands: for each box those from which edges lead to it, which come before it.
        sizes: width and height of each, in points.

    Returns:
        x and y of each, from the top left corner, in points.

    Example:
        >>> column_points([(), (), (0, 1)], [(40.0, 20.0)] * 3)
        [(28.0, 18.0), (28.0, 56.0), (128.0, 37.0)]
    """
    ranks = ranks_of(operands)
    found: list[list[int]] = [[] for _ in range(1 - min(ranks, default=0))]
    for n, rank in enumerate(ranks):
        found[rank - 1].append(n)  # the last column is that of rank 0
    heights = [size[1] for size in sizes]
    ys = _column_heights(operands, found, heights)
    xs, x = [0.0] * len(ranks), PAGE_MARGIN
    for column in found:
        width = max(sizes[n][0] for n in column)
        for n in column:
            xs[n] = x + width / 2
        x += width + COLUMN_GAP
    top = min((y - height / 2 for y, height in zip(ys, heights, strict=True)), default=0.0)
    return [(x, y - top + PAGE_MARGIN) for x, y in zip(xs, ys, strict=True)]


def _column_heights(
    operands: Sequence[Sequence[int]], found: list[list[int]], heights: Sequence[float]
) -> list[float]:
    """How far down each box is: near the ones that it is connected with."""
    users: list[list[int]] = [[] for _ in operands]
    for n, xs in enumerate(operands):
        for x in xs:
            users[x].append(n)
    ys = [0.0] * len(operands)
    for column in found:
        _place(column, ys, heights)
    for k in range(ROUNDS):
        near, order = (operands, found) if k % 2 else (users, found[::-1])
        for column in order:
            for n in column:
                if near[n]:
                    ys[n] = sum(ys[x] for x in near[n]) / len(near[n])
            column.sort(key=ys.__getitem__)
            _place(column, ys, heights)
    return ys


def _place(column: list[int], ys: list[float], heights: Sequence[float]) -> None:
    """Push the boxes of a column apart, evenly to both sides."""
    wished = [ys[n] for n in column]
    end = -1e300
    for n in column:
        ys[n] = max(ys[n], end + heights[n] / 2)
        end = ys[n] + heights[n] / 2 + BOX_GAP
    shift = sum(ys[n] - y for n, y in zip(column, wished, strict=True)) / len(column)
    for n in column:
        ys[n] -= shift
