"""The pictures of this folder that are looked at before a release: python examples/gallery/make.py.

Pages of the player (a neuron, d * d, an MLP, a training, NaN, long labels, 300 nodes) on a desk,
a small window, a phone and in the dark, and diagrams (the default, compact, frames, folded,
the MiniFlow lesson's network, a comparison). Needs the extra test, for Playwright and Pillow,
and a Chromium. Names on the command line choose among them, such as ``mlp`` or
``diagram_frames``.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from screenshots import CHROMIUM, FLAGS, smaller

import miniflow.math as mm
from miniflow import Value
from miniflow.lesson import (
    MSE,
    Input,
    Linear,
    Sigmoid,
    forward_and_backward,
    topological_sort,
)
from miniflow.nn import MLP, mse
from miniflow.optim import SGD
from miniflow.util.files import write
from viz import diff, draw_dot, play, record, snapshot

here = Path(__file__).parent
DESK, WINDOW, PHONE = (1400, 900), (900, 700), (390, 844)
SCREENS = {
    "desk": (DESK, "light"),
    "window": (WINDOW, "light"),
    "phone": (PHONE, "light"),
    "dark": (DESK, "dark"),
}
LONG = "the squared distance between what the neuron answers and what was wanted"


# --- what is played -----------------------------------------------------------


def neuron() -> Any:
    """A neuron and its loss."""
    x, w = [Value(2.0, label="x1"), Value(0.5, label="x2")], [Value(-1.5), Value(1.0)]
    for k, v in enumerate(w, 1):
        v.label = f"w{k}"
    s = w[0] * x[0] + w[1] * x[1]
    s.label = "s"
    y = s.tanh()
    y.label = "y"
    loss = (y - 1) ** 2
    loss.label = "loss"
    return loss


def square() -> Any:
    """A number times itself."""
    d = Value(-0.7551, label="d")
    loss = d * d
    loss.label = "loss"
    return loss


def mlp() -> Any:
    """A small network's loss on one sample."""
    loss = (MLP(2, [3, 1], activation="tanh", seed=1)([1.0, -2.0]) - 1.0) ** 2
    loss.label = "loss"
    return loss


def training() -> Any:
    """A network that learns XOR."""
    model = MLP(2, [4, 1], activation="tanh", seed=3)
    optimizer = SGD(model.parameters(), lr=0.2)
    points = [([a, b], a * b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    with record(model, data=([x for x, _ in points], [t for _, t in points])) as recording:
        for _ in range(40):
            loss = mse([model(x) for x, _ in points], [t for _, t in points])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return recording


def nan() -> Any:
    """Where infinity minus infinity comes in."""
    a, b = Value(1e200, label="a"), Value(2.0, label="b")
    big = a * a
    big.label = "big"
    y = big - big * b
    y.label = "y"
    return mm.tanh(y) + b


def long_labels() -> Any:
    """Labels as long as sentences."""
    x = Value(2.0, label="what_comes_in_from_the_outside_world_as_it_was_measured_by_the_sensor")
    y = (x * Value(-1.5, label="a weight whose name says all that is known about it") - 1) ** 2
    y.label = LONG
    return y


def large() -> Any:
    """Three hundred nodes."""
    y = Value(1.0, label="y0")
    for _ in range(75):
        y = mm.tanh(1.2 * y + 0.1)
    return y


PLAYED = {
    "neuron": neuron,
    "square": square,
    "mlp": mlp,
    "training": training,
    "nan": nan,
    "long": long_labels,
    "large": large,
}


# --- what is drawn ------------------------------------------------------------


def swept(y: Any) -> Any:
    """The same after backward()."""
    y.backward()
    return y


def compared() -> Any:
    """A network before and after a step of its optimiser, with another activation at the end."""
    model = MLP(2, [2, 1], activation="tanh", seed=1)
    loss = (model([1.0, -2.0]) - 1.0) ** 2
    loss.backward()
    before = snapshot(loss)
    SGD(model.parameters(), lr=0.5).step()
    for p in model.parameters():
        p.grad = 0.0
    return diff(before, swept((mm.tanh(model([1.0, -2.0])) - 1.0) ** 2))


def lesson() -> Any:
    """The network of the MiniFlow lesson's last script, after both passes."""
    random = np.random.default_rng(1)
    X, y, W1, b1, W2, b2 = (Input() for _ in range(6))  # noqa: N806 - the lesson's names
    hidden = Linear(X, W1, b1)
    active = Sigmoid(hidden)
    output = Linear(active, W2, b2)
    cost = MSE(y, output)
    sizes: dict[Any, Any] = {
        X: (11, 10), y: 11, W1: (10, 10), b1: 10, W2: (10, 1), b2: 1,
    }  # fmt: skip
    forward_and_backward(topological_sort({x: random.normal(size=n) for x, n in sizes.items()}))
    return draw_dot(cost)


def fifty_thousand() -> Any:
    """A network on so many samples that its graph has 50,000 nodes."""
    model = MLP(2, [8, 8, 1], seed=1)
    loss = mse([model([k / 600, -k / 600]) for k in range(840)], [1.0] * 840)
    return draw_dot(swept(loss))


DRAWN: dict[str, Callable[[], Any]] = {
    "diagram_default": lambda: draw_dot(swept(neuron())),
    "diagram_compact": lambda: draw_dot(swept(neuron()), compact=True),
    "diagram_frames": lambda: draw_dot(swept(mlp()), compact=True),
    "diagram_folded": fifty_thousand,
    "diagram_lesson": lesson,
    "diagram_long": lambda: draw_dot(swept(long_labels()), theme="dark"),
    "diagram_diff": compared,
}


def wrote(name: str, picture: bytes) -> None:
    """Keep a picture, and say so."""
    write(here / f"{name}.png", smaller(picture))
    print("wrote", f"examples/gallery/{name}.png", f"{len(smaller(picture)) // 1024} kB")


def screens(browser: Any, name: str, path: Path) -> None:
    """A page on every screen: at its start, on the dark one two thirds on."""
    for screen, (size, scheme) in SCREENS.items():
        page = browser.new_page(
            viewport=dict(zip(("width", "height"), size, strict=True)),
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        page.goto(path.resolve().as_uri())
        steps = page.locator("#step")
        last = int(steps.get_attribute("max") or 0)
        if last and screen != "desk":
            steps.fill(str(2 * last // 3))
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        page.wait_for_timeout(100)
        wrote(f"page_{name}_{screen}", page.screenshot())
        page.close()


def main(names: list[str]) -> None:
    """Make the pictures with those names, or all of them."""
    from playwright.sync_api import sync_playwright

    for name in [x for x in DRAWN if x in names or not names]:
        wrote(name, DRAWN[name]().pipe("png"))
    chosen = [x for x in PLAYED if x in names or not names]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name in chosen:
            screens(browser, name, play(PLAYED[name](), Path(folder) / f"{name}.html"))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
