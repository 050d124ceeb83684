"""Live: sliders for a function's arguments; what the page shows is what the engine computes."""

import math
import random

import pytest

import miniflow.math as mm
import viz
from miniflow import Value, jit, value_and_grad
from support.browser import in_browser
from support.profiles import scaled
from viz.output.text import number_text
from viz.player.steps import take_steps


def bent(x, y):
    """Three paths, and a constant one."""
    if x > 1:
        return x * y + mm.sin(x)
    if y < -0.5:
        return y * y * x
    if x < -1.5:
        return 3.0
    return mm.exp(-x * x) * y


RANGES = {"x": (-2, 2), "y": (-1, 1)}
MOVE = """([x, y]) => {
    [["#number0", x], ["#number1", y]].forEach(([field, number]) => {
        document.querySelector(field).value = String(number);
        document.querySelector(field).dispatchEvent(new Event("change"));
    });
    const text = (id) => document.querySelector(id).textContent;
    return {
        result: text("#result"), slopes: [text("#slope0"), text("#slope1")],
        elsewhere: text("#elsewhere"), stepping: document.querySelector("#stepping").hidden,
        boxes: [...document.querySelectorAll("[data-node]")].map((box) =>
            ["name", "value", "gradient"].map((x) => box.querySelector("." + x)?.textContent)),
    };
}"""


def near(shown, x):
    return math.isclose(float(shown), x, rel_tol=2e-3, abs_tol=2e-4)


@in_browser
def test_everything_follows_the_sliders(tmp_path, opened):
    page_of = viz.live(bent, **RANGES)
    assert repr(page_of) == "<Live page of bent: x=-2 to 2, y=-1 to 1; 3 paths>"
    rng = random.Random(4)
    seen = set()
    with opened(page_of.save(tmp_path / "live.html")) as page:
        assert page.locator("h1").text_content() == "bent(x, y)"
        assert page.locator("#headline").text_content() == "The gradients have arrived"
        for _ in range(scaled(200)):
            x, y = rng.uniform(-2.2, 2.2), rng.uniform(-1.2, 1.2)
            inputs = Value(x, label="x"), Value(y, label="y")
            out = bent(*inputs)
            found = page.evaluate(MOVE, [x, y])
            if not isinstance(out, Value):
                seen.add("none")
                assert found["stepping"]
                assert found["result"] == found["slopes"][0] == found["slopes"][1] == ""
                assert found["elsewhere"].startswith(f"At x = {number_text(x)}, y = ")
                continue
            out.backward()
            steps = take_steps(out)
            seen.add(len(steps.nodes))
            assert not found["stepping"]
            assert found["elsewhere"] == ""
            name, number = found["result"].split(" = ")
            assert name == "output"
            assert near(number, out.data)
            for slope, v in zip(found["slopes"], inputs, strict=True):
                named, number = slope.split(" = ")
                assert named == f"∂output/∂{v.label}"
                assert near(number, v.grad)
            drawn = [box for box in found["boxes"] if box[1] is not None]
            nodes = [(n, x) for n, x in enumerate(steps.nodes) if x.kind != "constant"]
            for (name, value, gradient), (n, node) in zip(drawn, nodes, strict=True):
                assert name == node.name
                assert near(value, node.value)
                assert near(gradient, steps.gradients[n])
    assert len(seen) == 4


@in_browser
def test_sliders_fields_leaves_and_steps(tmp_path, opened):
    made = viz.live(bent, x=(-2, 2, 0.5), y=(-1, 1))
    with opened(made.save(tmp_path / "live.html", theme="dark", title="Mine")) as page:
        assert page.locator("h1").text_content() == "Mine"
        assert page.locator("#number0").input_value() == "0.5000"
        page.locator("#slider0").focus()
        page.keyboard.press("End")  # the slider's own keys: to the other path
        assert page.locator("#number0").input_value() == "2.0000"
        assert "sin" in page.locator("#transcript-steps").text_content()
        page.locator("#stage").focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        count = page.locator("#count").text_content()
        page.locator("#slider0").fill("1.75")
        assert page.locator("#count").text_content() == count  # it stays at its step
        page.locator("#node").select_option(label="y")
        page.locator("#change").fill("1/4")
        page.keyboard.press("Enter")
        assert page.locator("#number1").input_value() == "0.2500"
        assert page.locator("#changed").is_hidden()
        page.locator("#number0").fill("what")
        page.locator("#number0").press("Enter")
        page.locator("#number1").focus()
        assert page.locator("#number0").input_value() == "1.7500"
        page.locator("#quiz").click()
        assert page.locator("#slope0").text_content() == ""  # it would give the answers away
        page.locator("#number0").fill("-1.9")
        page.locator("#number1").focus()
        assert page.locator("#elsewhere").is_visible()
        assert page.locator("#bar").is_hidden()
        page.locator("#number0").fill("0.5")
        page.locator("#number1").focus()
        assert page.locator("#elsewhere").is_hidden()
        assert page.locator("#bar").is_visible()


@in_browser
def test_a_notebook_shows_it_and_two_do_not_know_of_each_other(tmp_path, opened):
    one = viz.live(lambda x: x * x, x=(0, 2))._repr_html_()
    two = viz.live(lambda u: mm.sin(u) * "</script>".count("s"), u=(0, 2))._repr_html_()
    for text in (one, two):
        assert len(text) < 120_000
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>t</title>{one}{two}", encoding="utf-8")
    with opened(path) as page:
        frames = page.locator(".miniflow-page > iframe")
        assert frames.count() == 2
        first, second = frames.nth(0).content_frame, frames.nth(1).content_frame
        second.locator("#slider0").fill("0")
        assert second.locator("#slope0").text_content() == "∂output/∂u = 1.0000"
        assert first.locator("#slope0").text_content() == "∂output/∂x = 2.0000"
        assert first.locator("#result").text_content() == "output = 1.0000"
        for k in range(2):  # as high as what is in it
            inside = frames.nth(k).element_handle().content_frame()
            inside.wait_for_function("Math.abs(innerHeight - document.body.scrollHeight) < 3")


@in_browser
def test_what_comes_from_outside_stays(tmp_path, opened):
    w = Value(3.0, label="w")

    def f(x):
        return x * w if x < w else w - x

    with opened(viz.live(f, x=(0, 9)).save(tmp_path / "live.html")) as page:
        page.locator("#slider0").fill("1")
        assert page.locator("#result").text_content() == "output = 3.0000"
        page.locator("#node").select_option(label="w")
        assert "w comes from outside" in page.locator("#whatif-words").text_content()
        page.locator("#slider0").fill("8")
        assert page.locator("#result").text_content() == "output = -5.0000"
    assert w.grad == 0.0


def test_paths_are_found_where_they_are():
    def steps(x):
        return x * (1 + sum(1 for k in range(20) if x > k / 10))

    assert len(viz.live(steps, x=(0, 2)).routes) == 6  # no more than that
    narrow = viz.live(lambda x, y: x * y if 0.48 < x < 0.52 else x + y, x=(0, 2), y=(0, 1))
    assert len(narrow.routes) == 3  # below, within, above
    many = {f"a{k}": (0, 1) for k in range(12)}
    wide = viz.live(lambda **xs: mm.sum([*xs.values()]) * (2 if xs["a3"] > 0.9 else 1), **many)
    assert len(wide.routes) == 2


def test_arguments_results_and_functions_of_all_kinds():
    assert len(viz.live(mm.sin, x=(0, 2)).routes) == 1
    assert len(viz.live(lambda x, n, way="up": x**n, x=(0, 2), n=3, way="down").routes) == 1
    assert len(viz.live(lambda x: x, x=(0, 2)).routes) == 1
    assert len(viz.live(lambda x, y: x, x=(0, 2), y=(0, 1)).routes) == 1
    assert len(viz.live(lambda x: value_and_grad(bent)(x, 0.3)[1], x=(0, 0.5)).routes) == 1


FAULTS = [
    (TypeError, "live: f must be a function, got float 3.0", 3.0, {"x": (0, 1)}),
    (ValueError, "live: give a range for an argument .* x=", lambda x: x, {"x": 2}),
    (ValueError, "live: give a range", lambda: 2.0, {}),
    (ValueError, r"live: x must be \(low, high\) or .* got \(1,\)", lambda x: x, {"x": (1,)}),
    (ValueError, r"live: x must go from a number to a larger", lambda x: x, {"x": (1, 1)}),
    (ValueError, r"live: x must go from .* \(0, inf\)", lambda x: x, {"x": (0, math.inf)}),
    (ValueError, r"live: x must go from", lambda x: x, {"x": (0, math.nan)}),
    (ValueError, r"live: x must start at a number", lambda x: x, {"x": (0, 1, math.nan)}),
    (TypeError, "live: x: expected a real number, got str", lambda x: x, {"x": (0, "1")}),
    (TypeError, "live: missing a required argument: 'y'; give", lambda x, y: x, {"x": (0, 1)}),
    (TypeError, "live: got an unexpected .* 'y'; give", lambda x: x, {"x": (0, 1), "y": (0, 1)}),
    (TypeError, "live: what the function returns .* list", lambda x: [x], {"x": (0, 1)}),
    (TypeError, "live: what the function returns .* float", lambda x: 2.0, {"x": (0, 1)}),
    (TypeError, "float", lambda x: float(x), {"x": (0, 1)}),
]


@pytest.mark.parametrize(("kind", "words", "f", "ranges"), FAULTS)
def test_mistakes_are_answered(kind, words, f, ranges):
    with pytest.raises(kind, match=words):
        viz.live(f, **ranges)


def test_files_are_checked(tmp_path):
    page = viz.live(lambda x: x * 2, x=(0, 2))
    with pytest.raises(ValueError, match=r"live: path must end in .*html"):
        page.save(tmp_path / "x.svg")
    with pytest.raises(ValueError, match=r"live: theme must be one of"):
        page.save(tmp_path / "x.html", theme="sepia")


def test_what_no_page_can_run_is_refused(row):
    own = row("own", lambda x: x * x, lambda x, y: 2 * x)
    with pytest.raises(TypeError, match="live: own is a function of Python"):
        viz.live(lambda x: own(x) + 1, x=(0, 1))
    with pytest.raises(TypeError, match="live: own is a function of Python"):
        viz.live(lambda x: x * 2 if own(x) > 0.1 else x, x=(0, 1))
    jitted = jit(lambda x: x * x)
    with pytest.raises(TypeError, match=r"live: .* is a function of Python"):
        viz.live(lambda x: jitted(x) + 1, x=(0, 1))
