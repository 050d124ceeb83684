"""Large graphs on a page: every entry is in one box, every edge leads from box to box."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as mm
from miniflow import Tape, Value, grad, scope, trace
from miniflow.nn import MLP
from support.diagrams import edges, texts
from support.drawn import chain, graphs
from support.profiles import examples, scaled
from viz import draw_dot, snapshot
from viz.diagram.cards import TIMES
from viz.diagram.folding import PAGE, STRETCHES, apart, fold, merged_edges


def training(samples, sizes=(16, 16, 1)):
    """The loss of a network, and the network."""
    model = MLP(2, sizes, seed=1)
    rows = [[k * 0.01, 1.0 - k * 0.02] for k in range(samples)]
    loss = mm.sum([(model(row) - 1.0) ** 2 for row in rows]) / samples
    loss.label = "loss"
    loss.backward()
    return loss, model


def groups_of(root):
    graph = snapshot(root)
    groups = fold(graph)
    assert sorted(n for group in groups for n in group.members) == list(range(len(graph)))
    return graph, groups


FIRST = "5,048 entries, 48 parameters"


def titles(groups):
    return [(group.kind, group.title, len(group.members)) for group in groups]


def test_scopes_become_boxes_and_alike_entries_one_each():
    loss, _model = training(100)
    _, groups = groups_of(loss)
    assert titles(groups) == [
        ("scope", "layers.0", 48 + 100 * (2 + 16 * 3)),
        ("scope", "layers.1", 272 + 100 * 16 * 3),
        ("scope", "layers.2", 17 + 100 * 2),
        ("alike", "constant", 100),
        ("alike", "-", 100),
        ("alike", "constant", 100),
        ("alike", "**", 100),
        ("entry", "", 1),
        ("entry", "", 1),
        ("entry", "", 1),
    ]
    assert [group.frame for group in groups[:3]] == [("MLP",)] * 3


def test_a_folded_page_says_how_many_and_how_large():
    loss, _model = training(100)
    drawn = texts(draw_dot(loss).pipe("svg"))
    assert drawn["g0"][:3] == [
        "layers.0",
        "+\xa0\xa0dot\xa0\xa0relu",
        "5,048 entries, 48 parameters",
    ]
    assert drawn["g3"] == ["constant", f"{TIMES} 100", "value", "1.0000"]
    assert drawn["g5"] == ["constant", f"{TIMES} 100", "value", "2.0000"]
    assert drawn["g4"][:3] == ["-", f"{TIMES} 100", "value"]
    assert drawn[f"v{len(snapshot(loss)) - 1}"][0] == "loss"


def test_folding_is_automatic_asked_for_or_refused():
    y = chain(50)
    assert draw_dot(y).source == draw_dot(y, fold=False).source
    assert draw_dot(y, limit=50).source == draw_dot(y, fold=True).source
    assert draw_dot(y, limit=50, fold=False).source == draw_dot(y).source
    assert draw_dot(y, fold=True).source != draw_dot(y).source


def test_on_a_small_graph_only_scopes_are_folded():
    with scope("part"):
        y = Value(1.0) * 2.0
    y = -y
    assert titles(groups_of(y)[1]) == [("scope", "part", 3), ("entry", "", 1)]
    drawn = draw_dot(y, fold=True)
    assert edges(drawn) == {("g0", "op3"): 1, ("op3", "v3"): 1}


def test_a_scope_of_a_single_entry_is_a_box():
    x = Value(1.0)
    with scope("part"):
        y = -x
    drawn = draw_dot(y, fold=True)
    assert edges(drawn) == {("v0", "g1"): 1}
    assert texts(drawn.pipe("svg"))["g1"][0] == "part"


def test_a_chain_becomes_stretches():
    graph, groups = groups_of(chain(1000))
    assert [kind for kind, _, _ in titles(groups)] == ["entry"] + ["stretch"] * STRETCHES
    found = merged_edges(graph, groups)
    assert found == {(k, k + 1): 1 for k in range(STRETCHES)}
    drawn = texts(draw_dot(chain(1000)).pipe("svg"))
    assert drawn["g1"][:2] == ["-", "84 entries"]


def test_scopes_fold_from_the_inside_outwards():
    y = Value(1.0)
    for i in range(5):
        with scope(f"outer{i}"):
            for j in range(20):
                with scope(f"inner{j}"):
                    y = y * 2.0
    _, groups = groups_of(y)
    assert [title for _, title, _ in titles(groups)] == ["", *[f"outer{i}" for i in range(5)]]
    y = Value(1.0)
    for i in range(5):
        with scope("outer"), scope(f"inner{i}"):
            y = y * 2.0
    _, groups = groups_of(y)
    assert [group.frame for group in groups] == [(), *[("outer",)] * 5]


def test_very_many_scopes_fold_with_their_neighbours():
    y = Value(1.0)
    for i in range(1000):
        with scope(f"step {i}"):
            y = y * 2.0
    _, groups = groups_of(y)
    assert len(groups) <= STRETCHES + 1
    assert groups[1].title == "step 0 … step 83"


def test_numbers_that_are_none_show_on_a_folded_page():
    x = Value(2.0)
    ys = [mm.log(x - k) for k in range(500)]
    y = mm.sum(ys)
    y.backward()
    drawn = draw_dot(y)
    assert "498 not finite" in drawn.source
    assert 'color="#a80030"' in drawn.source


def test_a_folded_edge_tells_how_many_it_stands_for():
    loss, _model = training(100)
    drawn = draw_dot(loss)
    assert re.search(r"^\tg0 -> g1 \[.*\u00d7 25,600 ", drawn.source, re.M)
    assert re.search(r"^\tg6 -> op\d+ \[.*\u00d7 100 ", drawn.source, re.M)


@st.composite
def scoped_graphs(draw):
    """Random graphs, parts of them in scopes, some of it many times."""
    values = [Value(draw(st.floats(-2, 2)), label=draw(st.sampled_from("ab "))) for _ in range(2)]
    for name in draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=4)):
        with scope(name):
            for _ in range(draw(st.integers(1, 30))):
                x, y = (draw(st.sampled_from(values)) for _ in range(2))
                values.append(x * y + 1.0)
        values.append(draw(st.sampled_from(values)).tanh())
    return draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))


@examples(50)
@given(graphs() | scoped_graphs())
def test_every_entry_is_in_one_box_and_every_edge_is_counted(roots):
    graph, groups = groups_of(roots)
    of = {n: k for k, group in enumerate(groups) for n in group.members}
    between = Counter()
    for n, operands in enumerate(graph.operands):
        between.update((of[x], of[n]) for x in operands if of[x] != of[n])
    singles = {k for k, group in enumerate(groups) if group.kind == "entry"}
    expected = {pair: count for pair, count in between.items() if not (set(pair) <= singles)}
    assert merged_edges(graph, groups) == expected
    drawn = draw_dot(roots, fold=True)
    apart_ = sum(count for pair, count in between.items() if set(pair) <= singles)
    operations = sum(bool(graph.operands[groups[k].members[0]]) for k in singles)
    assert sum(edges(drawn).values()) == len(expected) + apart_ + operations
    boxes = Counter(re.findall(r"^\t+([vg]\d+) \[", drawn.source, re.M))
    assert set(boxes.values()) == {1}
    assert len(boxes) == len(groups)


@examples(50)
@given(graphs() | scoped_graphs())
def test_unfolded_every_entry_is_alone(roots):
    graph = snapshot(roots)
    assert [group.members for group in apart(graph)] == [[n] for n in range(len(graph))]


@pytest.mark.parametrize("width", [1, 7, 300])
@pytest.mark.parametrize("depth", [2, 300])
def test_any_shape_fits_on_a_page(width, depth):
    row = [Value(float(k), label=f"x{k}") for k in range(width)]
    for k in range(depth):
        row = [x * 1.5 - row[(j * 7 + k) % width] for j, x in enumerate(row)]
    assert len(groups_of(row)[1]) <= 2 * PAGE


def test_a_tape_and_a_program_fold():
    def loop(x):
        for _ in range(300):
            x = mm.sin(x) + 1.0
        return x

    with Tape() as tape:
        loop(Value(1.0))
    assert len(draw_dot(tape).body) < 60
    _, groups = groups_of(trace(grad(loop), 1.0))
    assert len(groups) <= PAGE
    parts = [group.frame for group in groups if group.frame]
    assert parts == sorted(parts)  # forward, then the reverse sweep
    assert set(parts) == {("forward",), ("reverse sweep",)}


def test_a_million_entries_are_drawn_as_a_page():
    size = scaled(25_000)
    y = Value(1.0)
    for k in range(20):
        with scope(f"part {k}"):
            for _ in range(size):
                y = y * 1.000001
    y.backward()
    drawn = draw_dot(y)
    assert len(snapshot(y)) == 40 * size + 1
    lines = texts(drawn.pipe("svg"))
    assert len(lines) == 21
    assert lines["g1"][:3] == ["part 0", "×", f"{2 * size:,} entries"]


def test_on_a_folded_page_inputs_stay_outside():
    x = Value(2.0, label="x")
    with scope("part"):
        y = x * 3.0
    assert titles(groups_of(y)[1]) == [("entry", "", 1), ("scope", "part", 2)]
    assert [group.frame for group in apart(snapshot(y))] == [("part",)] * 3
