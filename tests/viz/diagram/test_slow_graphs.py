"""Graphs that take Graphviz long are drawn in time, or refused with a remedy."""

import xml.etree.ElementTree as ET
from collections import Counter

import pytest

import miniflow.math as mm
from miniflow import Value, trace
from support.diagrams import edges, line, nodes, texts, written
from support.drawn import chain, neuron
from viz import diff, draw_dot, render, snapshot
from viz.output.pictures import picture


def decay(steps):
    """Euler's method for y' = -k y: the leaf k is used at every step."""
    k, y = Value(0.5, label="k"), Value(1.0, label="y")
    for _ in range(steps):
        y = y - 0.1 * k * y
    return y


def hunters(steps):
    """Euler's method for the equations of Lotka and Volterra."""
    a, b, c, d = [Value(0.1 * k, label=name) for k, name in enumerate("abcd", 1)]
    x, y = Value(10.0, label="x"), Value(5.0, label="y")
    for _ in range(steps):
        x, y = x + 0.1 * (a * x - b * x * y), y + 0.1 * (c * x * y - d * y)
    return x + y


def alternating(steps):
    a, v = Value(1.1, label="a"), Value(1.0, label="v")
    for k in range(steps):
        v = v * a if k % 2 else v + a
    return v


def late(count):
    """Each result is used once more at the end, the last one first."""
    y, found = Value(0.5, label="y"), []
    for _ in range(count):
        y = y.tanh()
        found.append(y)
    for x in reversed(found):
        y = y + x
    return y


def memory(steps):
    """Each step uses the ones 2, 5 and 11 before."""
    found = [Value(0.1 * k, label=f"s{k}") for k in range(11)]
    for _ in range(steps):
        found.append((found[-2] * found[-5] + found[-11]).tanh())
    return found[-1]


def matrix(rows):
    """The product of two matrices: many edges from each leaf."""
    a, b = [[[Value(1.0) for _ in range(rows)] for _ in range(rows)] for _ in "ab"]
    return [mm.dot(row, column) for row in a for column in b]


def guarded():
    """A program with a guard in each step, all on one leaf."""

    def f(x, limit):
        for _ in range(40):
            x = x * 1.5 if x < limit else x - limit
        return x

    return trace(f, 1.0, 2.0)


LOOPS = {
    "decay": lambda: decay(25),
    "hunters": lambda: hunters(12),
    "alternating": lambda: alternating(60),
}
FAR = {"late": lambda: late(60), "memory": lambda: memory(100)}


def said(diagram):
    """What the legend says."""
    return diagram.graph_attr.get("label", "")


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_loop_that_uses_a_leaf_at_every_step_is_drawn_in_time(no_dot, loop):
    diagram = draw_dot(loop())
    assert diagram.plainer
    ET.fromstring(picture(diagram.source, "svg"))
    assert "a leaf that is used far away is drawn again there" in said(diagram)


@pytest.mark.parametrize("shape", FAR.values(), ids=FAR)
def test_results_that_are_used_far_away_are_drawn_again_there(no_dot, shape):
    diagram = draw_dot(shape())
    svg = picture(diagram.source, "svg")
    assert "a number that is used far away is drawn again there" in said(diagram)
    assert "no local derivatives on edges" in said(diagram)
    again = [name for name in nodes(diagram) if "_" in name]
    for name in again:  # it looks like the first one, and is called alike
        first = name.partition("_")[0]
        assert line(diagram, name).replace(name, first) == line(diagram, first)
    assert any("#" in written(texts(svg)[name][:1]) for name in again)


@pytest.mark.parametrize("shape", [*LOOPS.values(), *FAR.values()], ids=[*LOOPS, *FAR])
@pytest.mark.parametrize("compact", [False, True])
def test_what_is_drawn_again_keeps_every_edge(shape, compact):
    root = shape()
    found = edges(draw_dot(root, compact=compact))
    entries = snapshot(root)
    head = "v" if compact else "op"
    wanted = Counter(
        (f"v{x}", f"{head}{n}") for n, operands in enumerate(entries.operands) for x in operands
    )
    drawn = Counter()
    for (tail, end), count in found.items():
        if end.startswith(head) and not tail.startswith("op"):
            drawn[tail.partition("_")[0], end.partition(":")[0]] += count
    assert drawn == wanted


def test_edges_of_guards_and_of_what_is_gone_are_short_too():
    diagram = draw_dot(guarded())
    tails = [tail for tail, head in edges(diagram) if head.startswith("guard")]
    assert any("_" in tail for tail in tails)
    assert {tail for tail, _ in edges(diagram)} <= set(nodes(diagram))
    before = snapshot(alternating(60))
    compared = diff(before, decay(60), detail="full")
    assert {tail for tail, _ in edges(compared)} <= set(nodes(compared))


def test_what_is_too_large_to_be_drawn_whole_is_folded_and_the_legend_says_so(no_dot):
    diagram = draw_dot(chain(4000), limit=None)
    assert "folded: all 4,001 entries would take too long" in said(diagram)
    assert len(nodes(diagram)) < 50
    ET.fromstring(diagram.pipe("svg"))
    assert "folded: all" in said(draw_dot(matrix(15), limit=None))
    assert "folded: all" not in said(draw_dot(chain(4000)))  # as was asked for


def test_a_file_of_dot_is_whole_whatever_its_size(tmp_path):
    path = render(chain(4000), tmp_path / "x.dot", limit=None)
    assert path.read_text("utf-8").count(" -> ") == 2 * 4000
    assert "folded" not in said(draw_dot(chain(4000), format="dot", limit=None))


def test_where_graphviz_crashes_the_plainest_picture_is_tried(fake_dot):
    fake_dot(
        "text = open(__file__.replace('dot', 'log')).read()\n"
        "if 'folded: all' not in text:\n    import os; os.kill(os.getpid(), 11)\n"
        "print('folded', end='')"
    )
    assert draw_dot(neuron()).pipe("svg") == b"folded"


def test_small_graphs_have_each_leaf_once():
    assert "_" not in "".join(nodes(draw_dot(decay(10))))


@pytest.mark.slow
def test_a_plainer_picture_is_drawn_where_the_first_one_takes_too_long(fake_dot, monkeypatch):
    monkeypatch.setattr("viz.output.pictures.SECONDS", 5.0)
    log = fake_dot(
        "text = open(__file__.replace('dot', 'log')).read()\n"
        "if '∂ ' in text:\n    import time\n    time.sleep(60)\n"
        "print('plain', end='')"
    )
    y = neuron()
    assert "∂ " in draw_dot(y).source
    assert draw_dot(y).pipe("svg") == b"plain"
    assert "∂ " not in log.read_text("utf-8")


def test_what_is_too_slow_all_the_same_is_an_error_with_a_remedy(fake_dot, monkeypatch, tmp_path):
    monkeypatch.setattr("viz.output.pictures.SECONDS", 0.3)
    fake_dot("import time\ntime.sleep(60)")
    path = tmp_path / "y.svg"
    path.write_text("old")
    with pytest.raises(RuntimeError, match=r"more than 0.3 s to draw svg: .* fold the graph"):
        render(neuron(), path)
    assert path.read_text() == "old"


def test_a_bracket_in_a_label_is_a_bracket(no_dot):
    x = Value(1.0, label="]")
    source = draw_dot(x + x).source
    assert "&#93;" in source
    assert "]" in texts(draw_dot(x + x).pipe("svg"))["v0"]
