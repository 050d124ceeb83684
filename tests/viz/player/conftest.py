"""A real browser."""

import functools
from contextlib import contextmanager

import pytest

import viz
from miniflow import Value, math
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


@pytest.fixture(scope="module")
def opened(browser):
    """A context manager: a page in the browser, from its file; nothing may go wrong on it.

    A new page is dear, so one of the same kind is used again. A test that does what outlives
    a page's file (to its clock, to its medium) asks for a fresh one.
    """

    def made(width=1280, height=800, motion="reduce", scheme="light"):
        size = {"width": width, "height": height}
        return browser.new_page(viewport=size, reduced_motion=motion, color_scheme=scheme)

    kept = functools.cache(made)

    @contextmanager
    def visit(path, *, fresh=False, **kind):
        page = made(**kind) if fresh else kept(**kind)
        troubles, requests = [], []
        listeners = listening(troubles, requests)
        for event, listener in listeners.items():
            page.on(event, listener)
        try:
            page.goto(path.resolve().as_uri())
            yield page
            assert troubles == []
            assert {x for x in requests if not x.startswith("data:")} == {path.resolve().as_uri()}
        finally:
            for event, listener in listeners.items():
                page.remove_listener(event, listener)
            page.close() if fresh else page.goto("about:blank")

    return visit


def listening(troubles, requests):
    """What listens to a page's events."""
    return {
        "console": lambda x: troubles.append(f"{x.type}: {x.text}"),
        "pageerror": lambda x: troubles.append(f"error: {x}"),
        "dialog": lambda x: troubles.append(f"dialog: {x.message}"),
        "request": lambda x: requests.append(x.url),
    }


@pytest.fixture(scope="module")
def neuron(tmp_path_factory):
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
    path = viz.play(loss, tmp_path_factory.mktemp("neuron") / "neuron.html")
    loss.backward()
    values = {v.label: v for v in (*x, *w, s, y, d, loss)}
    return path, values, steps


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """The page of a training, and its recording."""
    _, _, recording = trained(record, rounds=8)
    return viz.play(recording, tmp_path_factory.mktemp("training") / "training.html"), recording


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A page with sliders; below 0 its function takes no path that the page has a graph of."""

    def wave(amplitude, phase):
        return amplitude * math.sin(phase * 3 + amplitude) if amplitude >= 0 else 0.0

    made = viz.live(wave, amplitude=(-1, 2, 1.5), phase=(-10_000_000, 10_000_000, 0.25))
    return made.save(tmp_path_factory.mktemp("live") / "live.html")
