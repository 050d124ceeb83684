"""The pictures of a worksheet, its key, a presentation and a notebook in this folder.

    python examples/gallery/classroom.py

Needs the extra test, for Playwright, Pillow and Jupyter, and a Chromium. Look at the pictures
before committing them.
"""

import io
import shutil
import tempfile
from pathlib import Path

import nbclient
import nbconvert
import nbformat
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import viz
from miniflow import Value, math
from miniflow.util.files import write

here = Path(__file__).parent
CELLS = (
    "import viz\nfrom miniflow import Value, math",
    "w, x, b = (Value(n, label=k) for k, n in {'w': 0.5, 'x': -2.0, 'b': 1.5}.items())\n"
    "y = math.tanh(w * x + b)\ny.label = 'y'\nviz.play(y)",
)

w, x, b = (Value(n, label=k) for k, n in {"w": 0.5, "x": -2.0, "b": 1.5}.items())
d = math.tanh(w * x + b) - 1
d.label = "d"
loss = d * d
loss.label = "loss"


def notebook() -> str:
    """A notebook that was run, as a page."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(x) for x in CELLS])  # type: ignore[no-untyped-call]
    nbclient.NotebookClient(book, kernel_name="python3").execute()
    text: str = nbconvert.HTMLExporter().from_notebook_node(book)[0]  # type: ignore[no-untyped-call]
    return text


def save(page: Page, name: str) -> None:
    """A PNG of what is seen, with 128 colours."""
    target = io.BytesIO()
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(128).save(target, "PNG", optimize=True)
    write(here / f"{name}.png", target.getvalue())
    print("wrote", f"examples/gallery/{name}.png")


chromium = shutil.which("chromium") or shutil.which("google-chrome")
with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
    browser = playwright.chromium.launch(
        executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
    )
    page = browser.new_page(reduced_motion="reduce", viewport={"width": 860, "height": 1160})
    sheets = viz.worksheet(loss, Path(folder) / "sheets.html", seed="Ada")
    page.goto(sheets.as_uri())
    save(page, "worksheet")
    page.locator(".key").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('.key').scrollIntoView()")
    save(page, "worksheet_key")

    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(viz.play(loss, Path(folder) / "loss.html").as_uri() + "#step=9&present")
    save(page, "presentation")

    page.set_viewport_size({"width": 1100, "height": 1000})
    path = Path(folder) / "notebook.html"
    path.write_text(notebook(), encoding="utf-8")
    page.goto(path.as_uri())
    inside = page.frame_locator(".miniflow-page > iframe")
    inside.locator("#step").fill("6")
    page.wait_for_timeout(300)
    save(page, "notebook")
    browser.close()
