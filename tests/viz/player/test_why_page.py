"""A click on a number shows the largest routes of its gradient: those of `debug.why`."""

import random

import viz
from miniflow import Value, math
from miniflow.debug import why
from support.browser import in_browser
from support.profiles import scaled
from viz.output.text import number_text
from viz.player.steps import take_steps

ROUTES = 3


def tangled(source):
    """A graph in which products of slopes differ in size, and its leaves."""
    leaves = [Value(source.uniform(0.5, 2.0), label=f"x{k}") for k in range(3)]
    nodes = list(leaves)
    for _ in range(8):
        a, b = source.choice(nodes), source.choice(nodes[-3:])
        nodes.append(source.choice([a * b, a - b * 0.7, math.tanh(a) + b, math.relu(a) * b]))
    y = nodes[-1] + leaves[0] * leaves[1]
    y.label = "y"
    return y, leaves


@in_browser
def test_routes_are_the_largest_ones(opened, tmp_path):
    source = random.Random(2)
    for k in range(scaled(8)):
        y, leaves = tangled(source)
        path = tmp_path / f"{k}.html"
        viz.play(y, path)
        nodes = take_steps(y).nodes
        with opened(path) as page:
            page.keyboard.press("End")
            for n, node in enumerate(nodes):
                if node.label not in {x.label for x in leaves}:
                    continue
                page.locator(f"[data-node='{n}']").click()
                shown = page.locator(".routes li strong").all_text_contents()
                found = why(y, next(x for x in leaves if x.label == node.label), top=ROUTES)
                if shown:
                    assert shown == [number_text(x.amount) for x in found.routes]
                else:  # then the edges say it all
                    assert len(found.routes) < 2
                whole = sum(x.amount for x in found.routes)
                rest = page.get_by_text("All other routes together").count()
                close = abs(found.gradient - whole) <= 1e-12 * abs(found.gradient)
                assert not shown or rest == (not close)


@in_browser
def test_in_a_quiz_no_route_is_given_away(opened, tmp_path):
    y, _ = tangled(random.Random(4))
    path = tmp_path / "quiz.html"
    viz.play(y, path)
    with opened(path) as page:
        page.keyboard.press("End")
        page.locator("[data-node='0']").click()
        assert page.locator(".routes li").count()
        page.locator("#quiz").click()
        page.locator("[data-node='0']").click()
        assert page.locator(".routes li").count() == 0
