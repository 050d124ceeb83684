"""Where things are on the page: nothing sticks out, the graph can be read, any label fits."""

import pytest

import viz
from miniflow import Value
from miniflow.nn import MLP
from support.browser import in_browser

SENTENCE = "the squared distance between what the neuron answers and what was wanted"
READABLE = 11.5  # pixels of a name in a box

# What sticks out of the card that it is in, or out of the window.
STICKING_OUT = """() => [...document.querySelectorAll('main *')].filter(x => {
    if (!x.checkVisibility() || x.closest('svg, .scroller, .unseen, option')) return false;
    const card = (x.closest('.card') || document.body).getBoundingClientRect();
    const box = x.getBoundingClientRect();
    return box.right > Math.min(card.right, innerWidth) + 1 || box.left < card.left - 1;
}).map(x => x.id || x.className || x.tagName)"""


def long_labels():
    x = Value(2.0, label="what_comes_in_from_the_outside_world_as_it_was_measured_by_a_sensor")
    y = (x * Value(-1.5, label="日本語の長い名前" * 9) - 1.0) ** 2
    y.label = SENTENCE
    return y


def network():
    return (MLP(2, [3, 1], activation="tanh", seed=1)([1.0, -2.0]) - 1.0) ** 2


@in_browser
@pytest.mark.parametrize(("width", "height"), [(1400, 900), (900, 700), (360, 740)])
def test_nothing_sticks_out(tmp_path, opened, width, height):
    for make in (long_labels, network):
        path = viz.play(make(), tmp_path / "x.html", title=SENTENCE)
        with opened(path, width=width, height=height) as page:
            page.locator("#transcript summary").click()
            for key in ("Home", "ArrowRight", "End", "ArrowLeft"):
                page.keyboard.press(key)
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert page.evaluate(STICKING_OUT) == []


@in_browser
@pytest.mark.parametrize(("width", "height"), [(1400, 900), (900, 700)])
def test_a_network_opens_readable_and_at_its_beginning(tmp_path, opened, width, height):
    with opened(viz.play(network(), tmp_path / "x.html"), width=width, height=height) as page:
        sizes = """[...document.querySelectorAll('#stage .name')].map(x => x.getScreenCTM().a
            * parseFloat(getComputedStyle(x).fontSize))"""
        assert min(page.evaluate(sizes)) >= READABLE
        left = """Math.min(...[...document.querySelectorAll('#stage .node')].map(
            x => x.getBoundingClientRect().left))"""
        assert page.evaluate(left) >= page.locator("#stage").bounding_box()["x"]
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")  # graph and card are both to be seen
        stage, card = [page.locator(x).bounding_box() for x in ("#stage", "#card")]
        bar = page.locator("#bar").bounding_box()["y"]
        assert max(x["y"] + min(x["height"], 300) for x in (stage, card)) <= bar


@in_browser
def test_wheel_fingers_and_keys_zoom_where_they_are(tmp_path, opened):
    with opened(viz.play(network(), tmp_path / "x.html"), width=1400, height=900) as page:
        scale = "document.querySelector('#stage svg').getScreenCTM().a"
        before = page.evaluate(scale)
        page.keyboard.press("+")
        assert page.evaluate(scale) == pytest.approx(1.25 * before, rel=1e-3)
        page.keyboard.press("-")
        assert page.evaluate(scale) == pytest.approx(before, rel=1e-3)
        box = page.locator('[data-node="13"]')
        old = box.bounding_box()
        page.mouse.move(old["x"] + 20, old["y"] + 20)
        page.keyboard.down("Control")
        page.mouse.wheel(0, -30)
        page.keyboard.up("Control")
        page.wait_for_function(f"{scale} > {before * 1.2}")
        assert box.bounding_box()["y"] == pytest.approx(old["y"], abs=30)
        grown = page.evaluate(scale)
        page.evaluate(
            """() => {
                const stage = document.getElementById('stage'), box = stage.getBoundingClientRect();
                const touch = (k, d) => new Touch({identifier: k, target: stage,
                    clientX: box.x + 200 + d, clientY: box.y + 150});
                for (const [name, d] of [['touchstart', 40], ['touchmove', 50], ['touchend', 0]])
                    stage.dispatchEvent(new TouchEvent(name, {cancelable: true,
                        touches: d ? [touch(1, -d), touch(2, d)] : []}));
            }"""
        )
        assert page.evaluate(scale) == pytest.approx(grown * 1.25, rel=1e-3)
        page.keyboard.press("0")
        stage = page.locator("#stage").bounding_box()
        assert page.locator("#stage svg").bounding_box()["width"] <= stage["width"]
