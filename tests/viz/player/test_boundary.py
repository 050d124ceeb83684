"""The data on the training page: what the model says of them, and of everything between them."""

import math
import re

import pytest

import miniflow.math as mm
import viz
from miniflow import Value
from miniflow.nn import MLP, Module, cross_entropy, mse
from support.browser import in_browser
from viz.output.samples import reach
from viz.player.boundary import Boundary
from viz.player.recording import record

CELLS = 72
LEFT, RIGHT, TOP, BOTTOM = 38, 10, 8, 24
POINTS = [[math.cos(k) * (1 + k % 3), math.sin(2 * k)] for k in range(40)]
SEEN = """() => {
    const canvas = document.querySelector("#paint"), svg = document.querySelector("#field svg");
    const copy = document.createElement("canvas");
    copy.width = copy.height = canvas.width;
    const context = copy.getContext("2d", {willReadFrequently: true});
    context.drawImage(canvas, 0, 0);
    const data = context.getImageData(0, 0, copy.width, copy.height).data;
    const view = svg.viewBox.baseVal;
    return {
        right: document.querySelector("#right").textContent,
        said: svg.getAttribute("aria-label"),
        cells: Array.from({length: data.length / 4}, (_, k) => [...data.slice(4 * k, 4 * k + 4)]),
        size: [view.width, view.height],
        line: svg.querySelector(".boundary").getAttribute("d") || "",
        missed: [...svg.querySelectorAll("path[transform]")].map(
            (x) => x.classList.contains("missed")),
    };
}"""


def learned(count, labels, **options):
    """A training, and what the model's parameters were at each iteration."""
    model = MLP(2, [5, count], activation="tanh", seed=4)
    with record(model, data=(POINTS, labels), **options) as recording:
        for _ in range(6):
            scores = [model(x) for x in POINTS]
            loss = (
                mse(scores, labels)
                if count == 1
                else sum(cross_entropy(s, t) for s, t in zip(scores, labels, strict=True))
            )
            model.zero_grad()
            loss.backward()
            for p in model.parameters():
                p.data -= 0.05 * p.grad
    return model, recording


def set_to(model, iteration):
    for p, x in zip(model.parameters(), iteration.parameters, strict=True):
        p.data = x


def scores_of(model, x):
    found = model(x)
    return [s.data for s in (found if isinstance(found, list) else [found])]


def verdict(scores, threshold):
    return int(scores[0] > threshold) if len(scores) == 1 else scores.index(max(scores))


def margin(scores, threshold):
    """How sure a verdict is."""
    if len(scores) == 1:
        return abs(scores[0] - threshold)
    first, second = sorted(scores)[-1:-3:-1]
    return first - second


@in_browser
@pytest.mark.parametrize(
    ("count", "threshold"), [(1, 0.0), (1, 0.5), (3, 0.0)], ids=["score", "threshold", "classes"]
)
def test_every_cell_is_what_the_model_says_there(opened, tmp_path, count, threshold):
    kinds = [k % 3 % max(2, count) for k in range(len(POINTS))]
    labels = kinds if count > 1 or threshold else [2.0 * k - 1.0 for k in kinds]
    model, recording = learned(count, labels, threshold=threshold)
    low, high = zip(*[reach([x[k] for x in POINTS]) for k in (0, 1)], strict=True)
    with opened(viz.play(recording, tmp_path / "x.html")) as page:
        for k in (0, 5):
            page.locator("#iteration").fill(str(k))
            found = page.evaluate(SEEN)
            set_to(model, recording.iterations[k])
            says = [verdict(scores_of(model, x), threshold) for x in POINTS]
            right = [a == b for a, b in zip(says, kinds, strict=True)]
            assert found["right"] == f"{sum(right)} of 40 right"
            assert found["said"].endswith(found["right"])
            assert found["missed"] == [not x for x in right]
            colours = {}
            for n in range(0, CELLS * CELLS, 29):
                row, column = divmod(n, CELLS)
                parts = (column + 0.5) / CELLS, 1 - (row + 0.5) / CELLS
                spot = [a + (b - a) * part for a, b, part in zip(low, high, parts, strict=True)]
                scores = scores_of(model, spot)
                if margin(scores, threshold) > 0.02:  # 8 bits of a pale colour say little
                    red, _, blue, _ = found["cells"][n]
                    kind = verdict(scores, threshold)
                    colours.setdefault(kind, set()).add("blue" if blue > red else "orange")
            assert [colours[n] for n in (0, 1) if n in colours] == [
                {"blue"} if n == 0 else {"orange"} for n in (0, 1) if n in colours
            ]
            check_line(found, model, low, high, threshold, count)


def check_line(found, model, low, high, threshold, count):
    """Along the line of one score it is the threshold."""
    spots = [tuple(map(float, x)) for x in re.findall(r"(-?[\d.]+),(-?[\d.]+)", found["line"])]
    assert bool(spots) == (count == 1)
    width, height = found["size"]
    for px, py in spots:
        x = low[0] + (high[0] - low[0]) * (px - LEFT) / (width - LEFT - RIGHT)
        y = high[1] - (high[1] - low[1]) * (py - TOP) / (height - TOP - BOTTOM)
        assert scores_of(model, [x, y])[0] == pytest.approx(threshold, abs=0.02)


@in_browser
def test_the_picture_follows_theme_and_numbers_that_are_none(opened, tmp_path):
    _, recording = learned(1, [1.0 if k % 2 else -1.0 for k in range(40)])
    recording.iterations[2].parameters[0] = math.nan
    with opened(viz.play(recording, tmp_path / "x.html")) as page:
        light = page.evaluate(SEEN)["cells"]
        page.locator("#dark").click()
        assert page.evaluate(SEEN)["cells"] != light
        page.locator("#dark").click()
        assert page.evaluate(SEEN)["cells"] == light
        page.locator("#iteration").fill("2")
        found = page.evaluate(SEEN)
        assert found["right"] == "0 of 40 right"
        assert found["line"] == ""
        assert len({tuple(x) for x in found["cells"]}) == 1


class Bent(Module):
    """A model with a branch of Python."""

    def __init__(self):
        self.w = Value(0.5)

    def __call__(self, x):
        return x[0] * self.w if x[0] > 0 else x[1] - self.w


OUTSIDE = Value(2.0)


class Borrowing(Module):
    """A model that reads what is not its own."""

    def __init__(self):
        self.w = Value(0.5)

    def __call__(self, x):
        return x[0] * self.w + x[1] * OUTSIDE


@in_browser
@pytest.mark.parametrize(("kind", "words"), [(Bent, "branches"), (Borrowing, "not its param")])
def test_where_no_page_can_ask_the_model_the_samples_are_shown(opened, tmp_path, kind, words):
    model = kind()
    labels = [1.0 if k % 2 else -1.0 for k in range(40)]
    with record(model, data=(POINTS, labels)) as recording:
        for _ in range(2):
            mm.sum([model(x) for x in POINTS]).backward()
    with opened(viz.play(recording, tmp_path / "x.html")) as page:
        found = page.evaluate(SEEN)
        assert words in page.locator("#notices").text_content()
        assert (found["right"], found["line"]) == ("", "")
        assert len(found["missed"]) == 40
        assert set(found["missed"]) == {False}


LABELS = [0.0, 1.0]
FAULTS = [
    (ValueError, "record: data are shown with what a model says", None, (POINTS[:2], LABELS)),
    (TypeError, r"record: data must be a pair \(x, y\)", "model", POINTS),
    (ValueError, "record: x and y must be samples and as many", "model", (POINTS, LABELS)),
    (ValueError, "record: a sample in x must be two finite", "model", ([[1.0], [2.0]], LABELS)),
    (TypeError, "record: y: expected a real number", "model", (POINTS[:2], ["a", "b"])),
    (ValueError, "record: y must have at most two different", "model", (POINTS[:3], [0, 1, 2])),
]


@pytest.mark.parametrize(("kind", "words", "model", "data"), FAULTS)
def test_data_are_checked_before_the_training(kind, words, model, data):
    with pytest.raises(kind, match=words):
        record(model and MLP(2, [2, 1], seed=1), data=data)


def test_a_model_of_other_inputs_is_refused_at_once():
    with pytest.raises(ValueError, match="got 2 inputs, it has 3 weights"):
        Boundary(MLP(3, [1], seed=1), (POINTS[:2], LABELS), 0.0)
