"""The screenshots of the player in this folder, made anew from examples 03 and 08, and of `live`.

    python examples/03_player.py
    python examples/08_training.py
    python examples/gallery/screenshots.py

Needs the extra test, for Playwright and Pillow, and a Chromium. Look at the pictures before
committing them.
"""

import io
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import viz
from miniflow import math
from miniflow.util.files import write

here = Path(__file__).parent
output = here.parent / "output"

DESK, PHONE = (1280, 800), (360, 740)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]


class Shot(NamedTuple):
    """A picture: which page, how large and in which colours, and what is done on it first."""

    name: str
    page: str
    size: tuple[int, int] = DESK
    scheme: str = "light"
    step: int = 0
    quiz: str | None = None  # the answer that is given
    iteration: int = 1
    change: str = ""  # the number that the first leaf gets


SHOTS = [
    Shot("player_start", "neuron"),
    Shot("player_forward", "neuron", step=4),
    Shot("player_backward", "neuron", step=12),
    Shot("player_sum", "neuron", step=10),
    Shot("player_quiz", "neuron", step=9, quiz="0.75"),
    Shot("player_phone", "neuron", size=PHONE, step=12),
    Shot("player_dark", "neuron", scheme="dark", step=17),
    Shot("player_whatif", "neuron", step=17, change="0.25"),
    Shot("live", "live", step=11),
    Shot("live_phone", "live", size=PHONE, scheme="dark", step=11),
    Shot("training_first", "training"),
    Shot("training_last", "training", iteration=40),
    Shot("training_phone", "training", size=PHONE, scheme="dark", iteration=20),
]


def prepare(page: Page, shot: Shot) -> None:
    """Bring a page to what is to be seen."""
    if shot.quiz is not None:
        page.locator("#quiz").click()
    if shot.change:
        page.locator('[data-node="0"] .name').click()
        page.locator("#change").fill(shot.change)
        page.locator("#change").press("Enter")
    if shot.page != "training":
        page.locator("#step").fill(str(shot.step))
    else:
        page.locator("#iteration").fill(str(shot.iteration - 1))
    if shot.quiz is not None:
        page.locator("#answer").fill(shot.quiz)
        page.locator("#answer").press("Enter")
    else:
        page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(100)


def bell(x: Any, height: Any) -> Any:
    """A function with two paths, for the page with sliders."""
    return height * math.exp(-x * x) if x < 1 else height * math.sin(x)


def smaller(picture: bytes) -> bytes:
    """A PNG with 256 colours: on such pictures nobody sees the difference."""
    target = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256).save(target, "PNG", optimize=True)
    return target.getvalue()


def main() -> None:
    """Take all of them."""
    viz.live(bell, x=(-2, 2, 0.5), height=(0, 3)).save(output / "live.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for shot in SHOTS:
            width, height = shot.size
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if shot.scheme == "dark" else "light",
                reduced_motion="reduce",
            )
            page.goto((output / f"{shot.page}.html").resolve().as_uri())
            prepare(page, shot)
            path = here / f"{shot.name}.png"
            write(path, smaller(page.screenshot()))
            print(
                "wrote", path.relative_to(here.parent.parent), f"{path.stat().st_size // 1024} kB"
            )
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
