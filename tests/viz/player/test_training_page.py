"""Pages of trainings, in a real browser."""

import math

import pytest

import miniflow.math as mm
import viz
from miniflow import Value
from support.browser import in_browser, shown
from viz.output.text import number_text
from viz.player.recording import record


@in_browser
def test_the_second_slider_goes_through_the_iterations(training, opened):
    path, recording = training
    with opened(path) as page:
        page.locator("#group").select_option(label="layers.0.neurons.1")
        names = [
            k for k, name in enumerate(recording.names) if name.startswith("layers.0.neurons.1.")
        ]
        for k, x in enumerate(recording.iterations):
            page.locator("#iteration").fill(str(k))
            assert page.locator("#iteration-text").text_content() == f"Iteration {k + 1} of 8"
            assert page.locator("#loss-text").text_content() == f"loss {number_text(x.loss)}"
            cells = page.locator("#parameters td:not(:first-child)").all_text_contents()
            wanted = [y for n in names for y in (x.parameters[n], x.gradients[n])]
            assert [float(c) for c in cells] == pytest.approx(wanted, rel=1e-3, abs=6e-5)
        lines = page.locator("#network .weight")
        assert lines.count() == 9
        before = [lines.nth(k).get_attribute("stroke-width") for k in range(9)]
        page.locator("input[value=gradients]").check()
        assert [lines.nth(k).get_attribute("stroke-width") for k in range(9)] != before


@in_browser
def test_each_iteration_can_be_stepped_through(training, opened):
    path, recording = training
    with opened(path, fresh=True) as page:
        root = len(recording.iterations[0].steps.nodes) - 1
        for k in (0, 3, 7):
            page.locator("#iteration").fill(str(k))
            page.locator("#stage").press("End")
            assert shown(page, root)[0] == number_text(recording.losses[k])
        page.keyboard.press("PageUp")
        assert page.locator("#iteration-text").text_content() == "Iteration 7 of 8"
        page.clock.install()
        page.locator("#train-play").click()
        page.clock.run_for(3000)
        assert page.locator("#iteration-text").text_content() == "Iteration 8 of 8"
        assert page.locator("#train-play").get_attribute("aria-label") == "Play the iterations"


@in_browser
def test_a_training_without_steps_is_driven_by_the_same_keys(tmp_path, opened):
    w = Value(0.5, label="w")
    with record(limit=5) as recording:  # a loop: no part of it is a sample's
        for _ in range(4):
            y = w
            for _ in range(9):
                y = mm.tanh(w * y)
            y.backward()
    with opened(viz.play(recording, tmp_path / "t.html")) as page:
        assert page.locator("#bar").is_hidden()
        assert "too many to step through" in page.locator(".notice").text_content()
        for key, now in (("ArrowRight", 2), ("End", 4), ("ArrowLeft", 3), ("Home", 1)):
            page.keyboard.press(key)
            assert page.locator("#iteration-text").text_content() == f"Iteration {now} of 4"


@in_browser
def test_losses_that_are_no_numbers(tmp_path, opened):
    w = Value(1.0, label="w")
    with record() as recording:
        for x in (1.0, math.inf, math.nan, 2.0):
            w.data = x
            (w * w).backward()
    with opened(viz.play(recording, tmp_path / "t.html")) as page:
        texts = []
        for _ in range(4):
            texts.append(page.locator("#loss-text").text_content())
            page.keyboard.press("PageDown")
        assert texts == ["loss 1.0000", "loss inf", "loss nan", "loss 4.0000"]
