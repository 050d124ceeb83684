"""A real browser."""

from contextlib import contextmanager

import pytest

import viz
from miniflow import Value
from support.browser import CHROMIUM, MISSING
from support.played import trained
from viz.player.recording import record
from viz.player.steps import take_steps


@pytest.fixture(scope="module")
def browser():
    """Chromium, for all tests of this module."""
    assert not MISSING, f"MINIFLOW_REQUIRE_BROWSER=1, but {', '.join(MISSING)} not found"
    from playwright.sync_api import sync_playwright

    arguments = ["--headless", "--no-sandbox", "--disable-gpu"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield found
        found.close()


@pytest.fixture
def opened(browser):
    """A context manager: a page in the browser, from its file; nothing may go wrong on it."""

    @contextmanager
    def visit(path, *, width=1280, height=800, motion="reduce", scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion=motion, color_scheme=scheme
        )
        page = context.new_page()
        troubles, requests = [], []
        page.on("console", lambda x: troubles.append(f"{x.type}: {x.text}"))
        page.on("pageerror", lambda x: troubles.append(f"error: {x}"))
        page.on("dialog", lambda x: troubles.append(f"dialog: {x.message}"))
        page.on("request", lambda x: requests.append(x.url))
        try:
            page.goto(path.resolve().as_uri())
            yield page
            assert troubles == []
            assert {x for x in requests if not x.startswith("data:")} == {path.resolve().as_uri()}
        finally:
            context.close()

    return visit


@pytest.fixture
def neuron(tmp_path):
    """The page of a neuron, its Values after backward(), and its steps."""
    x = [Value(2.0, label="x1"), Value(0.5, label="x2")]
    w = [Value(-1.5, label="w1"), Value(1.0, label="w2")]
    s = w[0] * x[0] + w[1] * x[1]
    y = s.tanh()
    d = y - 1
    loss = d * d
    for v, label in ((s, "s"), (y, "y"), (d, "d"), (loss, "loss")):
        v.label = label
    steps = take_steps(loss)
    path = viz.play(loss, tmp_path / "neuron.html")
    loss.backward()
    values = {v.label: v for v in (*x, *w, s, y, d, loss)}
    return path, values, steps


@pytest.fixture
def training(tmp_path):
    _, _, recording = trained(record, rounds=8)
    return viz.play(recording, tmp_path / "training.html"), recording
