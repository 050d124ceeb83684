"""One sample's part of a large graph: found, true, and kept for a few iterations only."""

import random

import pytest

import miniflow.math as mm
import viz
from miniflow import Value
from miniflow.nn import MLP, hinge, mse
from support.browser import in_browser
from viz.output.text import number_text
from viz.player.recording import KEPT_SAMPLES, record
from viz.player.scene import scene_of_recording

RNG = random.Random(5)
POINTS = [[RNG.uniform(-1, 1), RNG.uniform(-1, 1)] for _ in range(60)]
TARGETS = [1.0 if x * y > 0 else -1.0 for x, y in POINTS]


def added(errors):
    total = 0.0
    for error in errors:
        total = total + error
    return total


def squared(scores):
    return [(s - t) ** 2 for s, t in zip(scores, TARGETS, strict=True)]


LOSSES = {
    "mse": lambda scores, _: mse(scores, TARGETS),
    "hinge": lambda scores, _: hinge(scores, TARGETS),
    "loop": lambda scores, _: added(squared(scores)),
    "builtin": lambda scores, _: sum(squared(scores)) / len(POINTS),
    "root": lambda scores, _: mm.sqrt(mm.sum(squared(scores)) / len(POINTS)),
    "decay": lambda scores, ps: added(squared(scores)) + 0.01 * sum(p * p for p in ps),
    "logistic": lambda scores, _: mm.sum(
        [mm.softplus(-t * s) for s, t in zip(scores, TARGETS, strict=True)]
    ),
}


def network():
    return MLP(2, [4, 1], activation="tanh", seed=3)


@pytest.mark.parametrize("name", LOSSES)
def test_the_part_of_one_sample_is_found_and_its_gradients_are_those(name):
    """Judged by the engine, with plain numbers as the scores of all other samples."""
    model = network()
    with record(model, limit=40) as recording:
        LOSSES[name]([model(x) for x in POINTS], model.parameters()).backward()
    steps = recording.iterations[0].steps
    assert recording.has_sample(0)
    assert len(steps.nodes) < 60 < recording.iterations[0].entries
    inputs = [x.value for x in steps.nodes if x.kind == "input"]
    (k,) = [k for k, x in enumerate(POINTS) if x == inputs[:2]]
    alone = network()
    scores = [alone(x) if j == k else alone(x).data for j, x in enumerate(POINTS)]
    LOSSES[name](scores, ()).backward()
    found = {steps.nodes[n].name: g for n, g in steps.gradients.items()}
    for label, p in alone.named_parameters():
        assert found.get(label, 0.0) == pytest.approx(p.grad, rel=1e-9, abs=1e-15)


def orbit(k):
    """Each step of it needs all that was before: there are no samples."""
    y = Value(1.0)
    for _ in range(60):
        y = y - 0.1 * k * y
    return y


def chain(k):
    y = Value(1.0)
    for _ in range(60):
        y = mm.tanh(k * y)
    return y


@pytest.mark.parametrize("loop", [orbit, chain])
def test_a_graph_without_samples_has_none(loop):
    with record(limit=40) as recording:
        loop(Value(1.5, label="k")).backward()
    assert recording.iterations[0].steps is None
    data = scene_of_recording(recording)
    assert data["runs"] == [None]
    assert data["notices"][0].endswith("and no part of them is one sample's.")


def trained(rounds, **options):
    model = network()
    with record(model, limit=40, **options) as recording:
        for _ in range(rounds):
            loss = LOSSES["mse"]([model(x) for x in POINTS], ())
            model.zero_grad()
            loss.backward()
            for p in model.parameters():
                p.data -= 0.2 * p.grad
    return model, recording


def test_few_samples_are_kept_however_long_a_training_takes():
    _, recording = trained(70)
    kept = [k for k in range(70) if recording.has_sample(k)]
    assert KEPT_SAMPLES // 2 < len(kept) <= KEPT_SAMPLES
    assert kept == [*range(0, 70, kept[1])]
    shapes = {recording.iterations[k].steps.structure for k in kept}
    assert len(shapes) == 1  # the same sample at each of them
    data = scene_of_recording(recording)
    assert [k for k, run in enumerate(data["runs"]) if run] == kept
    assert len(data["runs"]) == 70
    assert data["notices"] == []


@in_browser
def test_a_sample_is_stepped_through_in_the_page(opened, tmp_path):
    _, recording = trained(12)
    with opened(viz.play(recording, tmp_path / "x.html")) as page:
        words = page.locator("#part").text_content()
        assert f"from {recording.iterations[0].entries:,} numbers, too many" in words
        steps = recording.iterations[0].steps
        page.locator("#step").fill(str(len(steps.computed) + 1))
        seed = number_text(steps.seed)
        assert page.locator("#remark").text_content() == (
            f"Of the loss's derivative {seed} arrives at output: this sample's part."
        )
        page.keyboard.press("End")
        assert "what all samples pass back adds up" in page.locator("#remark").text_content()
        page.locator("#iteration").fill("1")  # no steps are kept of it
        assert page.locator("#stepping").is_hidden()
        buttons = page.locator("#kept button")
        kept = [k for k in range(12) if recording.has_sample(k)]
        assert buttons.all_text_contents() == [str(k + 1) for k in kept]
        buttons.last.click()
        assert page.locator("#stepping").is_visible()
        assert page.locator("#iteration-text").text_content() == f"Iteration {kept[-1] + 1} of 12"
        steps = recording.iterations[kept[-1]].steps
        page.locator("#stage").press("End")
        root = page.locator(f'[data-node="{len(steps.nodes) - 1}"] .value')
        assert root.text_content() == number_text(steps.nodes[-1].value)
