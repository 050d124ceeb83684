"""Labels of edges touch no other edge, no box, no name of a frame and no other label."""

import re
from itertools import pairwise

import pytest

import miniflow.math as mm
from miniflow import Value
from miniflow.nn import MLP
from support.drawn import neuron, readme
from support.touching import touches
from viz import diff, draw_dot, snapshot
from viz.output import labels, pictures
from viz.output.labels import Box, cleared, raised
from viz.output.pictures import picture


def swept(y):
    y.backward()
    return y


def lattice(n):
    """Prices of an option: all of them use the same two leaves."""
    up, down = Value(0.5, label="p"), Value(0.48, label="q")
    found = [Value(max(k - n / 2, 0.0), label=f"s{k}") for k in range(n + 1)]
    while len(found) > 1:
        found = [up * x + down * y for x, y in pairwise(found)]
    return swept(found[0])


def network():
    model = MLP(2, [3, 2, 1], activation="tanh", seed=1)
    return swept((model([1.0, -2.0]) - 1.0) ** 2)


def chosen():
    """Terms far from where they are added, and operands with names."""
    x = [Value(0.3 * k - 1.0, label=f"x{k}") for k in range(6)]
    terms = [mm.where(a - b, a * b, a / (b + 2.0)) for a, b in pairwise(x)]
    return swept(mm.sum([t * x[0] - t.tanh() for t in terms]))


GRAPHS = {"lattice": lambda: lattice(4), "network": network, "chosen": chosen, "readme": readme}
OPTIONS = [{}, {"compact": True}, {"rankdir": "TB"}, {"compact": True, "rankdir": "BT"}]


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_labels_touch_nothing(no_dot, graph):
    root = graph()
    for options in OPTIONS:
        found, count = touches(picture(draw_dot(root, **options).source, "svg"))
        assert count > 10
        assert not found, options


def test_labels_of_a_comparison_touch_nothing(no_dot):
    before = snapshot(lattice(3))
    both = diff(before, lattice(4), detail="full")
    found, count = touches(picture(both.source, "svg"))
    assert count > 10
    assert not found


def test_graphviz_alone_leads_edges_through_labels(no_dot, monkeypatch):
    source = draw_dot(lattice(4), compact=True).source
    monkeypatch.setattr(pictures, "cleared", lambda text, seconds: text)
    assert touches(picture(source, "svg"))[0]


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_every_format_has_its_labels_moved(no_dot, monkeypatch, form):
    asked = []
    monkeypatch.setattr(
        pictures, "cleared", lambda text, seconds: asked.append(1) or cleared(text, seconds)
    )
    assert draw_dot(neuron()).pipe(form)
    assert asked


SECONDS = 60.0  # time enough to move labels


def laid_out(source):
    return picture(source, "dot").decode()


def test_nothing_but_places_of_labels_changes(no_dot):
    text = laid_out(draw_dot(lattice(4), compact=True).source)
    moved = cleared(text, SECONDS)
    assert moved != text
    place = re.compile(r'\blp="[^"]*"')
    assert place.sub("", moved) == place.sub("", text)
    alone = laid_out(draw_dot(lattice(1)).source)
    assert cleared(alone, SECONDS) == alone


def test_labels_of_awkward_graphs_are_read(no_dot):
    diagram = draw_dot(swept(Value(2.0, label='a [b] "c"; -> <d>') * Value(3.0, label="]];\\")))
    diagram.node('x "y"; [z] -> w', label='"] -> ["', tooltip="a\\\\b")
    diagram.edge('x "y"; [z] -> w', "v0", label="own [label]; ->")
    crowd, found = labels._labels_among(laid_out(diagram.source))
    assert len(found) == 2
    assert crowd.points
    assert len({box for boxes in crowd.boxes.values() for box in boxes}) == 5


def edge(name, y, beyond=0, label=False):
    """A straight edge to the right as a line of a layout, longer by so much at both ends."""
    own = f'label={raised("∂ 1.0000")}, lp="150,{y + 3}", ' if label else ""
    points = " ".join(f"{x},{y}" for x in (-beyond, 100, 200, 290 + beyond))
    return f'\ta -> {name} [{own}pos="e,{300 + beyond},{y} {points}"];\n'


def places(text):
    return [tuple(map(float, x.split(","))) for x in re.findall(r'\blp="([^"]*)"', text)]


def test_a_label_goes_to_the_nearest_free_place():
    text = "digraph {\n" + edge("b", 100, label=True) + edge("c", 106) + "}"
    ((x, y),) = places(cleared(text, SECONDS))
    assert abs(x - 150) < labels.SPACING
    assert y + labels.HIGH < 100


def test_where_there_is_no_free_place_a_label_stays():
    many = "".join(edge(f"x{k}", k * 5, beyond=200) for k in range(60))
    text = "digraph {\n" + edge("b", 150, label=True) + many + "}"
    assert cleared(text, SECONDS) == text.replace("150,153", "150.00,153.00")


def test_labels_stay_where_the_time_is_up_or_lines_are_very_long(monkeypatch):
    text = "digraph {\n" + edge("b", 100, label=True) + edge("c", 106) + "}"
    assert cleared(text, -1.0) == text
    monkeypatch.setattr(labels, "MOST_POINTS", 100)
    assert cleared(text, SECONDS) == text


def test_boxes_meet_where_they_have_more_than_a_side_in_common():
    box = Box(0.0, 0.0, 2.0, 1.0)
    assert box.meets(box.at(1.9, 0.9))
    assert not box.meets(box.at(2.0, 0.0))
    assert not box.meets(box.around(-0.25).at(0.0, 0.75))
