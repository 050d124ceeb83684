"""A notebook: executed, exported, opened without a network, stepped."""

import re

import pytest

import viz
from miniflow import Value
from support.browser import in_browser
from viz.player.steps import take_steps

CELLS = [
    "import viz\nfrom miniflow import Tape, Value, grad, jit, nn, optim, trace",
    "a, b = Value(2.0, label='a'), Value(-3.0, label='b')\ny = (a * b + 10).tanh()\nviz.play(y)",
    "viz.play(y + a)",
    "y",
    "with Tape() as tape:\n    z = a * b\ntape",
    "trace(grad(lambda x: x * x), 2.0)",
    "nn.MLP(2, [3, 1], seed=1)",
    "viz.worksheet(y, seed=3)",
    "v = y\nfor _ in range(12):\n    v = v * a + b\nviz.draw_dot(v, compact=True)",
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The page of a notebook that was executed, and its outputs."""
    client = pytest.importorskip("nbclient")
    import nbconvert
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(x) for x in CELLS])
    client.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    page, _ = nbconvert.HTMLExporter(embed_images=True).from_notebook_node(book)
    path = tmp_path_factory.mktemp("notebook") / "book.html"
    path.write_text(page, encoding="utf-8")
    return path, [cell.outputs[-1].data for cell in book.cells[1:]]


@pytest.mark.slow
@in_browser
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_players_are_stepped_in_an_exported_notebook(exported, browser):
    path, outputs = exported
    for data in outputs[:-1]:
        assert "text/html" in data
    requests = []  # of the frames; nbconvert's own page asks for a typesetter
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.context.set_offline(True)
    page.on("request", lambda x: requests.append(x.url) if x.frame.parent_frame else None)
    errors = []
    page.on("pageerror", lambda x: errors.append(str(x)))
    page.goto(path.as_uri())
    frames = page.locator(".miniflow-page > iframe")
    assert frames.count() == 3
    first, second = (page.frame_locator(".miniflow-page > iframe").nth(k) for k in (0, 1))
    first.locator("#next").click()
    first.locator("#next").click()
    assert first.locator("#count").text_content().startswith("Step 2 of")
    assert first.locator("#headline").text_content() == "t2 = t1 + 10"
    assert second.locator("#count").text_content().startswith("Step 0 of")
    second.locator("#last").click()
    assert second.locator("#headline").text_content() == "The gradients have arrived"
    assert first.locator("#count").text_content().startswith("Step 2 of")
    for k in range(2):  # as high as what is in it
        frame = frames.nth(k).element_handle().content_frame()
        sizes = "[innerHeight, document.documentElement.scrollHeight, document.body.scrollWidth]"
        page.wait_for_timeout(100)
        inner, content, width = frame.evaluate(sizes)
        assert content - 2 <= inner <= content + 2
        assert width <= frames.nth(k).bounding_box()["width"]
    assert page.locator(".miniflow-page > iframe + img").first.is_hidden()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    for box in page.locator(".jp-OutputArea-output :is(svg, img)").all():
        wide = "x => [x, x.closest('.jp-OutputArea-output')].map((y) => y.clientWidth)"
        width, room = box.evaluate(wide)
        assert width <= room
    assert [x for x in requests if x.startswith("http")] == []
    assert errors == []
    page.close()


@in_browser
def test_where_frames_are_dropped_there_is_a_picture(browser):
    y = Value(2.0, label="a") * 3
    page = browser.new_page()
    page.set_content(re.sub(r"<(script|iframe)[\s\S]*?</\1>", "", viz.play(y)._repr_html_()))
    picture = page.locator("img")
    assert picture.is_visible()
    assert picture.evaluate("x => x.decode().then(() => x.naturalWidth)") > 100
    page.close()


def test_a_page_is_small_enough_for_a_notebook():
    xs, ws = ([Value(k + 0.25, label=f"{name}{k}") for k in range(7)] for name in "xw")
    y = sum((x * w for x, w in zip(xs, ws, strict=True)), Value(0.125, label="b")).tanh()
    assert len(take_steps(y).nodes) == 30
    assert len(viz.play(y)._repr_html_()) <= 120_000
