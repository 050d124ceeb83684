"""Pages for everybody: screen readers, phones, fingers, themes, paper, any label."""

from pathlib import Path

import pytest
from hypothesis import given

import miniflow.math as mm
import viz
from miniflow import Value
from support.browser import answer, in_browser, shown
from support.played import graphs
from support.profiles import examples, scaled
from viz.output import palette
from viz.output.text import number_text
from viz.player.steps import take_steps

# each width and each scheme first
SCREENS = [(1280, "light"), (360, "dark"), (1280, "dark"), (360, "light")]


def violations(page):
    """What axe complains about."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).with_name("axe.min.js")
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(x["id"], [node["target"] for node in x["nodes"]]) for x in found]


@in_browser
@pytest.mark.parametrize(("width", "scheme"), SCREENS[: max(2, scaled(4))])
def test_axe_finds_nothing(neuron, training, live, opened, width, scheme):
    with opened(neuron[0], width=width, height=740, scheme=scheme) as page:
        page.locator("#transcript summary").click()
        assert violations(page) == []
        page.keyboard.press("End")
        page.locator("#share").click()
        page.locator("#as-latex").click()
        assert violations(page) == []
        page.locator("#present").click()
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.locator("#quiz").click()
        page.keyboard.press("Home")
        page.locator("#step").fill("9")
        answer(page, "77")
        assert violations(page) == []
        page.locator('[data-node="0"] .name').click()
        page.locator("#change").fill("7")
        page.keyboard.press("Enter")
        assert page.locator("#changed").is_visible()
        assert violations(page) == []
    with opened(live, width=width, height=740, scheme=scheme) as page:
        assert violations(page) == []
        page.locator("#slider0").fill("-1")
        assert page.locator("#elsewhere").is_visible()
        assert violations(page) == []
    with opened(training[0], width=width, height=740, scheme=scheme) as page:
        assert violations(page) == []


@in_browser
@pytest.mark.parametrize("width", [360, 390, 620, 820, 1024, 1180])
def test_small_screens_scroll_in_one_direction(neuron, training, live, opened, width):
    for path in (neuron[0], training[0], live):
        with opened(path, width=width, height=740) as page:
            for key in ("Home", "End"):
                page.keyboard.press(key)
                assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.locator("#share").click()
            page.locator("#as-latex").click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.locator("#present").click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@in_browser
def test_controls_are_large_enough_for_fingers(neuron, training, live, opened):
    for path in (neuron[0], training[0], live):
        with opened(path, width=360, height=740) as page:
            if page.locator("#quiz").is_visible():
                page.locator("#quiz").click()
                page.keyboard.press("End")
            sizes = page.evaluate(
                """[...document.querySelectorAll('button, select, input, summary')]
                .filter(x => x.checkVisibility()).map(x => {
                    const box = x.getBoundingClientRect();
                    return [x.id || x.tagName, Math.min(box.width, box.height)];
                })"""
            )
            assert len(sizes) > 10
            assert [x for x in sizes if x[1] < 40] == []


@in_browser
@pytest.mark.parametrize("asked", ["auto", "light", "dark"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_themes(tmp_path, opened, asked, scheme):
    path = viz.play(Value(2.0, label="a") * 3, tmp_path / "x.html", theme=asked)
    with opened(path, scheme=scheme) as page:
        wanted = scheme if asked == "auto" else asked
        colour = "getComputedStyle(document.documentElement).getPropertyValue('--background')"
        assert page.evaluate(colour).strip() == palette.THEMES[wanted].background
        dark = page.locator("#dark")
        assert dark.get_attribute("aria-checked") == str(wanted == "dark").lower()
        dark.click()
        other = {"light": "dark", "dark": "light"}[wanted]
        assert page.evaluate(colour).strip() == palette.THEMES[other].background


@in_browser
def test_on_paper_there_are_no_controls(neuron, opened):
    with opened(neuron[0], fresh=True) as page:
        page.keyboard.press("End")
        page.emulate_media(media="print")
        for name in ("bar", "quiz", "zoom-in"):
            assert page.locator(f"#{name}").is_hidden()
        assert page.locator("#stage svg").is_visible()


AWKWARD = [
    "</script><script>window.hacked = 1</script>", "<img src=x onerror='window.hacked = 1'>",
    "<!--<script>", "]]>", "{{data}} {{script}}", "\"quotes\" and 'others'", "back\\slash \\u0041",
    "a\u2028b\u2029c", "two\nlines\tand a tab", "\x00\x1b\x7f", "\ud800", "😀👩‍👩‍👧",
    "日本語の長い名前がここにあります",
    "__proto__", "constructor", "javascript:alert(1)", "${window.hacked = 1}", "&amp;&lt;&#60;",
    " ", "x" * 300, "e\u0301", "\u202egnp.exe", "<svg onload=window.hacked=1>",
]  # fmt: skip


@in_browser
def test_nothing_in_a_label_executes(tmp_path, opened):
    values = [Value(float(k), label=label) for k, label in enumerate(AWKWARD, 1)]
    y = mm.sum([v * 0.5 for v in values])
    y.label = AWKWARD[0]
    path = viz.play(y, tmp_path / "x.html", title=AWKWARD[0] + AWKWARD[1])
    with opened(path) as page:
        page.keyboard.press("End")
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 2
        assert page.title() == AWKWARD[0] + AWKWARD[1]
        options = page.locator("#node option").all_text_contents()
        assert AWKWARD[:4] == options[:4]
        widths = page.evaluate(
            """[...document.querySelectorAll('.node')].map(node => {
                const box = node.querySelector('rect').getBoundingClientRect();
                return [...node.querySelectorAll('text')].every(text => {
                    const found = text.getBoundingClientRect();
                    return found.left >= box.left - 1 && found.right <= box.right + 1;
                });
            })"""
        )
        assert all(widths)  # no name leaves its box


@in_browser
def test_infinities_and_nans_are_shown(tmp_path, opened):
    x = Value(0.0, label="x")
    y = mm.log(x) * 0.0 + Value(1e308, label="big") * 1e308
    path = viz.play(y, tmp_path / "x.html")
    with opened(path) as page:
        page.keyboard.press("End")
        texts = page.locator(".node .value").all_text_contents()
        assert {"-inf", "nan", "inf"} <= set(texts)


@in_browser
@examples(15)
@given(values=graphs())
def test_random_graphs_are_shown_without_trouble(opened, tmp_path_factory, values):
    path = tmp_path_factory.mktemp("graphs") / "x.html"
    root = values[-1]
    viz.play(root, path)
    steps = take_steps(root)
    with opened(path) as page:
        page.keyboard.press("End")
        for n, node in enumerate(steps.nodes):
            if node.kind != "constant":
                gradient = number_text(steps.gradients[n]) if n in steps.gradients else "·"
                assert shown(page, n) == (number_text(node.value), gradient)
