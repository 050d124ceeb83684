"""Whether there is a browser to test pages with.

The tests in a browser need Chromium, Playwright and axe. Where one of these is missing they
are skipped, unless MINIFLOW_REQUIRE_BROWSER=1 is set: then they fail.
"""

import os
import shutil
from importlib.util import find_spec

import pytest

REQUIRED = os.environ.get("MINIFLOW_REQUIRE_BROWSER") == "1"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
MISSING = [
    name
    for name, found in {
        "a Chromium": CHROMIUM,
        "playwright": find_spec("playwright"),
        "axe-playwright-python": find_spec("axe_playwright_python"),
    }.items()
    if not found
]
in_browser = pytest.mark.skipif(bool(MISSING) and not REQUIRED, reason=f"without {MISSING}")


def shown(page, n):
    """What the box of a node says: its value and its gradient."""
    box = page.locator(f'[data-node="{n}"]')
    return box.locator(".value").text_content(), box.locator(".gradient").text_content()


def forwards(page):
    """In a quiz: have all forward steps answered, and go on to the first contribution."""
    while page.locator("#asked").is_visible() and (
        page.locator("#phase").text_content() == "Forward"
    ):
        page.locator("#reveal").click()
        page.keyboard.press("End")


def answer(page, text):
    page.locator("#answer").fill(text)
    page.locator("#answer").press("Enter")
    return page.locator("#mark").text_content()
