"""The layout in plain columns: nothing overlaps, every edge leads on, the page says so."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value
from viz.output.pictures import SlowLayoutError
from viz.player import layout as layouts
from viz.player.columns import BOX_GAP, column_points
from viz.player.scene import LESS_CARE, scene_of
from viz.player.steps import take_steps


@st.composite
def boxes(draw):
    """Boxes of any size with edges from earlier ones."""
    count = draw(st.integers(1, 25))
    operands = [
        tuple(draw(st.lists(st.integers(0, n - 1), max_size=3))) if n else () for n in range(count)
    ]
    side = st.floats(1, 300)
    return operands, [(draw(side), draw(side)) for _ in range(count)]


@given(boxes())
def test_no_boxes_overlap_and_edges_lead_from_left_to_right(drawn):
    operands, sizes = drawn
    points = column_points(operands, sizes)
    for a, b in itertools.combinations(range(len(sizes)), 2):
        apart = [abs(points[a][k] - points[b][k]) - (sizes[a][k] + sizes[b][k]) / 2 for k in (0, 1)]
        assert apart[0] > 1 or apart[1] > BOX_GAP - 1e-6
    for n, xs in enumerate(operands):
        for x in xs:
            assert points[x][0] + sizes[x][0] / 2 < points[n][0] - sizes[n][0] / 2
    assert min(y - size[1] / 2 for (_, y), size in zip(points, sizes, strict=True)) > 0
    assert min(x - size[0] / 2 for (x, _), size in zip(points, sizes, strict=True)) > 0


def late(count):
    """Each result is used once more at the end, the last one first."""
    y, found = Value(0.5, label="y"), []
    for _ in range(count):
        y = y.tanh()
        found.append(y)
    for x in reversed(found):
        y = y + x
    return y


def checked(scene):
    """A scene whose layouts are whole."""
    (graph,) = scene["graphs"]
    edges = {f"{n}_{k}" for n, x in enumerate(graph["nodes"]) for k in range(len(x["operands"]))}
    for name in ("wide", "tall"):
        found = graph[name]
        assert set(found["edges"]) == edges
        assert len(found["nodes"]) == len(graph["nodes"])
        for x, y, width, height in found["nodes"]:
            assert 0 <= x - width / 2 <= x + width / 2 <= found["size"][0]
            assert 0 <= y - height / 2 <= y + height / 2 <= found["size"][1]
    json.dumps(scene, allow_nan=False)
    return scene


def test_a_graph_of_long_edges_is_laid_out_without_graphviz(fake_dot):
    fake_dot("sys.exit('not asked')")
    scene = checked(scene_of(take_steps(late(120))))
    assert LESS_CARE in scene["notices"]


def test_columns_are_the_way_out_where_graphviz_takes_too_long(monkeypatch):
    def slow(*_, **__):
        raise SlowLayoutError

    monkeypatch.setattr(layouts, "picture", slow)
    scene = checked(scene_of(take_steps(late(3))))
    assert scene["notices"] == [LESS_CARE]


@pytest.mark.parametrize("count", [1, 20, 40])
def test_ordinary_graphs_are_laid_out_with_care(no_dot, count):
    assert LESS_CARE not in checked(scene_of(take_steps(late(count))))["notices"]
