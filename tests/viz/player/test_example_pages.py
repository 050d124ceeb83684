"""The pages of the examples: every number and every name is the engine's, at every step."""

import runpy
from contextlib import chdir
from pathlib import Path

import pytest

import viz.player.page
from support.browser import in_browser
from support.profiles import stride
from support.project import ROOT
from viz.diagram.graph import taped_values
from viz.output.text import number_text
from viz.player.recording import Recording
from viz.player.steps import MOST_NODES, take_steps

FOLDER = ROOT / "examples"
PAGES = [
    x.relative_to(FOLDER)
    for x in sorted([*FOLDER.glob("[0-9]*.py"), *FOLDER.glob("answers/*.py")])
    if "play(" in x.read_text("utf-8")
]
# All boxes, and the card, at some of the steps.
STEPS = """(stride) => {
    const slider = document.querySelector("#step"), found = [];
    const texts = (where) => [...document.querySelectorAll(where)].map((x) => x.textContent);
    for (let k = 0; k <= Number(slider.max); k += k + 4 < slider.max ? stride : 1) {
        slider.value = String(k);
        slider.dispatchEvent(new Event("input"));
        found.push([k, texts("#working .amount"), texts("#working p"), Object.fromEntries(
            [...document.querySelectorAll("#stage .node:not(.constant)")].map((x) => [
                x.dataset.node, [".value", ".gradient"].map((y) => x.querySelector(y).textContent),
            ]))]);
    }
    return found;
}"""


@pytest.fixture(scope="module", params=PAGES, ids=str)
def played(request, tmp_path_factory):
    """What an example has played, and the page."""
    found = []
    original = viz.player.page.play

    def play(root, path=None, **options):
        path = tmp_path_factory.mktemp("pages") / "x.html"
        found.append((root, original(root, path, **options)))
        return FOLDER / "output" / "x.html"

    with pytest.MonkeyPatch.context() as patched, chdir(ROOT):
        patched.setattr(viz.player.page, "play", play)
        runpy.run_path(str(FOLDER / request.param), run_name="__main__")
    return found


def check(told, steps):
    """Boxes and cards agree with the engine's steps."""
    first = len(steps.computed) + 2
    for k, amounts, lines, boxes in told:
        back = steps.contributions[: max(0, k - first + 1)]
        known = {len(steps.nodes) - 1: steps.seed} if k >= first - 1 else {}
        known.update((x.operand, x.after) for x in back)
        done = {*steps.computed[:k]}
        for n, (value, gradient) in ((int(n), x) for n, x in boxes.items()):
            node = steps.nodes[n]
            assert value == (number_text(node.value) if not node.op or n in done else "·")
            assert gradient == (number_text(known[n]) if n in known else "·")
        if 1 <= k < first - 1:
            total = steps.nodes[steps.computed[k - 1]].value
            assert lines[-1].removesuffix(" (rounded)") == f"= {number_text(total)}"
        if first <= k < first + len(steps.contributions):
            x = back[-1]
            wanted = [x.upstream, x.local, x.amount, *([x.after] if x.before is not None else [])]
            shown = [y.removesuffix(" (rounded)") for y in amounts]
            assert shown == [*map(number_text, wanted)]


@pytest.mark.slow
@in_browser
def test_every_number_and_name_of_the_examples_pages(played, opened):
    assert played
    for root, path in played:
        runs = [x.steps for x in root.iterations] if isinstance(root, Recording) else [
            take_steps(*taped_values([root], MOST_NODES))
        ]  # fmt: skip
        with opened(Path(path)) as page:
            ways = page.locator("#kept button")
            several = int(page.locator("#iteration").get_attribute("max"))
            shown = [int(x) - 1 for x in ways.all_text_contents()] or [*range(several + 1)]
            for place, k in enumerate(shown):
                if ways.count():
                    ways.nth(place).click()
                elif several:
                    page.locator("#iteration").fill(str(k))
                check(page.evaluate(STEPS, max(stride(), 1) * (5 if several else 1)), runs[k])
                names = page.locator("#node option").all_text_contents()
                nodes = [x for x in runs[k].nodes if x.kind != "constant"]
                assert names == [x.label or x.name for x in nodes]
                if isinstance(root, Recording) and root.model is not None:
                    known = {x.name for x in nodes if x.kind == "parameter"}
                    assert known == {name for name, _ in root.model.named_parameters()}
