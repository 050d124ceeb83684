"""Graphs that take Graphviz long are drawn in time, or refused with a remedy."""

import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from miniflow import Value
from support.diagrams import edges, nodes, texts
from support.drawn import neuron
from viz import draw_dot, render, snapshot


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


LOOPS = {
    "decay": lambda: decay(25),
    "hunters": lambda: hunters(12),
    "alternating": lambda: alternating(60),
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_loop_that_uses_a_leaf_at_every_step_is_drawn_in_time(no_dot, loop):
    diagram = draw_dot(loop())
    assert diagram.plainer
    ET.fromstring(diagram.pipe("svg"))  # of the first try: the limit is not met
    assert "is drawn again there" in diagram.source


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_leaf_that_is_drawn_again_keeps_every_edge(loop):
    root = loop()
    found = edges(draw_dot(root))
    entries = snapshot(root)
    heads = [f"op{n}" for n, operands in enumerate(entries.operands) for _ in operands]
    drawn = [head.partition(":")[0] for _, head in found.elements() if head.startswith("op")]
    assert Counter(drawn) == Counter(heads)
    tails = {tail.partition("_")[0] for tail, head in found if head.startswith("op")}
    assert tails == {f"v{x}" for operands in entries.operands for x in operands}


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
