"""Frames of the page's graph: they open and close, and nothing overlaps, whatever is open."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as mm
import viz
from miniflow import Value, scope
from miniflow.nn import MLP
from support.browser import in_browser
from support.played import trained
from support.profiles import scaled
from viz.player.frames import SEEN, closed_at_first, frames_of
from viz.player.recording import record
from viz.player.scene import scene_of
from viz.player.steps import take_steps

# Where boxes and frames are, in the graph's own units; the badges; the edges' ends.
PLACES = """() => {
    const svg = document.querySelector("#stage svg"), from = svg.getScreenCTM().inverse();
    const at = (x) => {
        const box = x.getBoundingClientRect();
        const p = new DOMPoint(box.left, box.top).matrixTransform(from);
        const q = new DOMPoint(box.right, box.bottom).matrixTransform(from);
        return [p.x, p.y, q.x, q.y];
    };
    const all = (where, f) => [...svg.querySelectorAll(where)].map(f);
    const box = (x) => at(x.querySelector("rect:not(.halo, .under, .target)"));
    const view = svg.viewBox.baseVal;
    return {
        boxes: all(".node", (x) => [Number(x.dataset.node), box(x)]),
        frames: all(".frame", (x) => [Number(x.dataset.frame), box(x)]),
        badges: all(".badge", (x) => Number(x.dataset.badge)),
        view: [view.x, view.y, view.x + view.width, view.y + view.height],
    };
}"""
CLICK = """(k) => document.querySelector(`[data-badge="${k}"]`)
    .dispatchEvent(new MouseEvent("click", {bubbles: true}))"""
CARDS = """() => {
    document.querySelector("#first").click();
    const found = [];
    for (;;) {
        const lit = document.querySelectorAll("#stage .node.active").length;
        found.push([document.querySelector("#card").textContent, lit]);
        if (document.querySelector("#next").disabled) return found;
        document.querySelector("#next").click();
    }
}"""


def network(*sizes):
    y = (MLP(2, [*sizes, 1], activation="tanh", seed=1)([1.0, -2.0]) - 1.0) ** 2
    y.label = "loss"
    return y


def nested():
    """Scopes in scopes; one is entered twice, and its results are used far away."""
    x, w = Value(0.5, label="x"), Value(-1.5, label="w")

    def wave(u):
        with scope("wave"):
            with scope("inner"):
                t = u * w + 1.0
                t = mm.sin(t) * t
            return t * u + mm.exp(t)

    with scope("whole"):
        a, b = wave(x), wave(x * 2.0)
        c = [a * b + k * w for k in range(8)]
    return mm.sum(c) * a - b


def several():
    return trained(lambda model: record(model), rounds=1)[2]


SHAPES = {"network": lambda: network(3), "wide": lambda: network(6, 5), "nested": nested,
          "several": several}  # fmt: skip


def overlap(a, b, room=-0.5):
    return all(a[k] < b[k + 2] + room and b[k] < a[k + 2] + room for k in (0, 1))


def contains(outer, inner):
    return all(outer[k] <= inner[k] + 0.5 and inner[k + 2] <= outer[k + 2] + 0.5 for k in (0, 1))


def check_places(found, frames):
    boxes, shown = dict(found["boxes"]), dict(found["frames"])
    for n, a in boxes.items():
        assert contains(found["view"], a), n
        assert not [m for m, b in boxes.items() if m < n and overlap(a, b)], n
    for k, a in shown.items():
        members = set(frames[k]["members"])
        assert contains(found["view"], a)
        for n, b in boxes.items():
            assert contains(a, b) if n in members else not overlap(a, b), (k, n)
        for j, b in shown.items():
            if j != k and not set(frames[j]["members"]) <= members:
                assert contains(b, a) or not overlap(a, b), (k, j)


@in_browser
@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_is_open_nothing_overlaps(opened, tmp_path, shape):
    root = SHAPES[shape]()
    steps = root.iterations[0].steps if shape == "several" else take_steps(root)
    graph = scene_of(steps)["graphs"][0]
    frames, rng = graph["frames"], random.Random(shape)
    path = viz.play(root, tmp_path / "x.html")
    with opened(path, width=rng.choice([1400, 700]), height=900) as page:
        states = set()
        for _ in range(scaled(40)):
            found = page.evaluate(PLACES)
            check_places(found, frames)
            states.add(tuple(n for n, _ in found["boxes"]))
            page.evaluate(CLICK, rng.choice(found["badges"]))
        assert len(states) >= min(scaled(10), 4)  # nested frames have few
        page.keyboard.press("End")
        if page.locator("#open-all").is_enabled():
            page.keyboard.press("f")
        found = page.evaluate(PLACES)
        check_places(found, frames)
        assert [n for n, _ in found["boxes"]] == [*range(len(steps.nodes))]
        assert sorted(k for k, _ in found["frames"]) == [*range(len(frames))]


@in_browser
def test_steps_are_the_same_in_closed_frames(opened, tmp_path):
    y = network(3)
    steps = take_steps(y)
    with opened(viz.play(y, tmp_path / "x.html")) as page:
        assert page.locator("#stage .pile").count() == 4  # a network begins with closed neurons
        closed = page.evaluate(CARDS)
        page.keyboard.press("f")
        assert page.locator("#stage .pile").count() == 0
        opened_cards = page.evaluate(CARDS)
        assert [words for words, _ in closed] == [words for words, _ in opened_cards]
        assert {lit for _, lit in closed[1:-1]} == {lit for _, lit in opened_cards[1:-1]} == {1}
        page.keyboard.press("f")
        page.keyboard.press("End")
        piles = page.locator("#stage .pile")
        assert piles.locator(".name").all_text_contents() == [
            "neurons.0", "neurons.1", "neurons.2", "layers.1",
        ]  # fmt: skip
        shown = piles.locator(".value").all_text_contents()
        results = [n for n, x in enumerate(steps.nodes) if x.op == "tanh"]
        wanted = [steps.nodes[n].value for n in results]
        assert [float(x) for x in shown[:3]] == pytest.approx(wanted, abs=6e-5)


@in_browser
def test_frames_are_opened_without_a_mouse_and_stay_as_they_are(opened, tmp_path):
    with opened(viz.play(network(3), tmp_path / "x.html")) as page:
        page.locator("#node").select_option(label="layers.0.neurons.1.b")
        assert page.locator("#fold").text_content() == "Open neurons.1 in the graph"
        page.locator("#fold").focus()
        page.keyboard.press("Enter")
        assert page.locator("#stage .pile").count() == 3
        assert page.locator("#fold").text_content() == "Close neurons.1 in the graph"
        page.locator("#change").fill("3")  # what if: in an open frame and in closed ones
        page.locator("#change").press("Enter")
        assert page.locator("#stage .changed").count() == 1
        assert page.locator("#stage .pile").count() == 3
        page.locator("#close-all").click()
        assert page.locator("#stage .pile").count() == 4
        assert page.locator("#close-all").is_disabled()
        title = page.locator("#stage .badge title").last.text_content()
        assert title == "Open layers.1: 5 more boxes"


@st.composite
def scoped(draw):
    """A random graph, computed in random scopes."""
    values = [Value(0.5 + k) for k in range(2)]

    def some(depth):
        for _ in range(draw(st.integers(1, 3))):
            if depth < 3 and draw(st.booleans()):
                with scope(draw(st.sampled_from(["a", "b", "c"]))):
                    some(depth + 1)
            else:
                x, y = (draw(st.sampled_from(values)) for _ in range(2))
                values.append(x * y + 0.5 if draw(st.booleans()) else mm.sin(x))

    some(0)
    return values[-1]


@given(scoped())
def test_a_frame_knows_its_results(root):
    if not root.inputs:
        return
    steps = take_steps(root)
    frames = frames_of(steps)
    assert len({tuple(x.members) for x in frames}) == len(frames)
    for k, x in enumerate(frames):
        used = {n for n, node in enumerate(steps.nodes) for m in node.operands
                if m in x.members and n not in x.members}  # fmt: skip
        for n in x.members:
            assert steps.frames[n][: len(x.path)] == x.path
            outside = any(n in steps.nodes[m].operands for m in used)
            assert (n in x.results) == (outside or n == len(steps.nodes) - 1)
        for y in frames[:k]:  # the outer ones come first
            assert not set(y.members) < set(x.members)


@pytest.mark.parametrize("sizes", [(3,), (8,), (16, 16), (30, 20)])
def test_a_network_begins_with_what_can_be_read(sizes):
    steps = take_steps(network(*sizes), limit=None)
    frames = frames_of(steps)
    closed = closed_at_first(frames, len(steps.nodes))
    hidden = {n for k in closed for n in {*frames[k].members} - {*frames[k].results}}
    assert len(steps.nodes) - len(hidden) <= SEEN
    assert closed_at_first(frames, 20) == []
    assert not [n for n in hidden if steps.nodes[n].kind == "input"]
