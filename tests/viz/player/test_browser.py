"""A real browser shows a page's numbers, by mouse and keyboard."""

import math

import pytest

import viz
from miniflow import Value
from support.browser import answer, forwards, in_browser, shown
from viz.output.text import number_text


def amounts(page):
    return page.locator("#working .amount").all_text_contents()


def gradients_after(steps, count):
    """The gradients after so many contributions."""
    found = {len(steps.nodes) - 1: steps.seed}
    found.update((x.operand, x.after) for x in steps.contributions[:count])
    return found


@in_browser
def test_every_step_shows_the_engines_numbers(neuron, opened):
    path, values, steps = neuron
    computed, last = steps.computed, len(steps.computed) + len(steps.contributions) + 2
    with opened(path) as page:
        for k in range(last + 1):
            assert page.locator("#count").text_content() == f"Step {k} of {last}"
            back = k - len(computed) - 1  # contributions so far
            known = gradients_after(steps, back) if back >= 0 else {}
            for n, node in enumerate(steps.nodes):
                if node.kind == "constant":
                    continue
                ready = not node.op or computed.index(n) < k
                value = number_text(node.value) if ready else "·"
                gradient = number_text(known[n]) if n in known else "·"
                assert shown(page, n) == (value, gradient)
            if 1 <= back <= len(steps.contributions):
                x = steps.contributions[back - 1]
                wanted = [
                    x.upstream,
                    x.local,
                    x.amount,
                    *([x.after] if x.before is not None else []),
                ]
                assert amounts(page) == [*map(number_text, wanted)]
                result = values.get(steps.nodes[x.result].label)
                if result is not None:  # an entry passes back when its gradient is complete
                    assert amounts(page)[0] == number_text(result.grad)
            page.keyboard.press("ArrowRight")
        for n, node in enumerate(steps.nodes):
            if node.label in values:
                assert shown(page, n)[1] == number_text(values[node.label].grad)
        for k in reversed(range(last)):
            page.keyboard.press("ArrowLeft")
            assert page.locator("#count").text_content() == f"Step {k} of {last}"
        assert shown(page, len(steps.nodes) - 1) == ("·", "·")


@in_browser
def test_formulas_sums_and_words(neuron, opened):
    path, values, steps = neuron
    with opened(path) as page:
        page.keyboard.press("ArrowRight")
        assert page.locator("#headline").text_content() == "t1 = w1 × x1"
        lines = page.locator("#working p").all_text_contents()
        assert lines == ["= -1.5000 × 2.0000", "= -3.0000"]
        second = len(steps.computed) + 3  # d is used twice: its second contribution
        page.locator("#step").fill(str(second))
        d = values["d"].data
        sum_of = f"∂loss/∂d = {d:.4f} + ({d:.4f}) = {2 * d:.4f}"
        assert page.locator("#working .total code").last.text_content() == f"{d:.4f} + ({d:.4f})"
        assert amounts(page)[-1].startswith(f"{2 * d:.4f}")
        assert "2 contributions arrive at d" in page.locator("#remark").text_content()
        assert sum_of in page.locator("#spoken").text_content()
        page.locator("#transcript summary").click()
        words = page.locator("#transcript-steps li").all_text_contents()
        assert len(words) == len(steps.computed) + len(steps.contributions) + 3
        assert words[1] == "Forward: t1 = w1 × x1 = -1.5000 × 2.0000 = -3.0000."
        assert sum_of in words[second]


@in_browser
def test_the_keyboard(neuron, opened):
    path, _, steps = neuron
    last = str(len(steps.computed) + len(steps.contributions) + 2)
    with opened(path) as page:
        slider = page.locator("#step")
        page.keyboard.press("End")
        assert slider.input_value() == last
        assert page.locator("#next").is_disabled()
        page.keyboard.press("Home")
        assert slider.input_value() == "0"
        assert page.locator("#previous").is_disabled()
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
            page.keyboard.press(key)
        assert slider.input_value() == "1"
        slider.focus()
        page.keyboard.press("ArrowRight")  # on the slider itself: one step, too
        assert slider.input_value() == "2"
        page.locator("#node").focus()
        page.keyboard.press("ArrowUp")  # a list keeps its own keys
        assert slider.input_value() == "2"
        for control in ("quiz", "motion", "dark", "help"):
            page.locator(f"#{control}").focus()
            page.keyboard.press("Space")
        assert page.locator("#keys").is_visible()
        assert page.locator("#play").get_attribute("aria-label") == "Play"


@in_browser
def test_tab_reaches_every_control_in_reading_order(neuron, opened):
    path, _, _ = neuron
    with opened(path) as page:
        page.keyboard.press("ArrowRight")
        order = []
        for _ in range(40):
            page.keyboard.press("Tab")
            order.append(page.evaluate("document.activeElement.id || 'body'"))
            if order[-1] == "speed":
                break
        wanted = ["quiz", "motion", "dark", "help", "stage", "zoom-out", "node", "step", "first",
                  "previous", "play", "next", "last", "speed"]  # fmt: skip
        assert [x for x in order if x in wanted] == wanted


@in_browser
@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_it_plays_to_the_end_and_pauses(neuron, opened, motion):
    path, _, steps = neuron
    last = len(steps.computed) + len(steps.contributions) + 2
    with opened(path, motion=motion, fresh=True) as page:
        assert (
            page.locator("#motion").get_attribute("aria-checked") == str(motion != "reduce").lower()
        )
        page.clock.install()
        page.keyboard.press("Space")
        assert page.locator("#play").get_attribute("aria-label") == "Pause"
        page.clock.run_for(1700)
        assert page.locator("#step").input_value() == "2"
        page.locator("#play").click()
        page.clock.run_for(5000)
        assert page.locator("#step").input_value() == "2"
        page.locator("#speed").select_option("4")
        page.locator("#play").click()
        page.clock.run_for(400 * last)
        assert page.locator("#step").input_value() == str(last)
        assert page.locator("#play").get_attribute("aria-label") == "Play"
        page.locator("#play").click()  # once more from the start
        page.clock.run_for(300)
        assert int(page.locator("#step").input_value()) < last


@in_browser
def test_contributions_travel_along_their_edges(neuron, opened):
    path, _, steps = neuron
    with opened(path, motion="no-preference") as page:
        page.keyboard.press("End")
        assert page.locator(".token").count() == 0  # only single steps on are animated
        page.locator("#step").fill(str(len(steps.computed) + 1))
        page.keyboard.press("ArrowRight")
        assert page.locator(".token").count() == 1
        page.locator(".token").wait_for(state="detached")
        page.locator("#motion").click()
        page.keyboard.press("ArrowRight")
        assert page.locator(".token").count() == 0


@in_browser
def test_clicking_a_node_goes_there_or_says_why(neuron, opened):
    path, _, steps = neuron
    d = next(n for n, x in enumerate(steps.nodes) if x.label == "d")
    with opened(path) as page:
        page.locator(f'[data-node="{d}"] .name').click()
        assert page.locator("#headline").text_content() == "d = y - 1"
        page.keyboard.press("End")
        page.locator(f'[data-node="{d}"] .name').click()
        assert page.locator("#count").text_content() == "Step 18 of 18"  # it stays there
        reasons = page.locator(".reason")
        assert reasons.count() == 2
        wanted = [x for x in steps.contributions if x.operand == d]
        for k, x in enumerate(wanted):
            assert reasons.nth(k).locator("strong").text_content() == number_text(x.amount)
        reasons.nth(0).click()
        assert page.locator("#headline").text_content() == "What loss passes back to its first d"
        page.locator("#node").select_option(label="y")
        page.locator("#jump").click()
        assert page.locator("#headline").text_content() == "y = tanh(s)"


@in_browser
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_gradients_of_several_calls_are_explained(tmp_path, opened, calls):
    a = Value(3.0, label="a")
    y = a * 2
    for _ in range(calls):
        y.backward()
    with opened(viz.play(y, tmp_path / "x.html")) as page:
        page.keyboard.press("End")
        page.locator("#node").select_option(label="a")
        words = "a.grad holds 4.0000: leaves add up over calls of backward()."
        assert page.locator("#remark").text_content() == (words if calls == 2 else "")
        assert ("leaves add up" in page.locator("#reasons").text_content()) == (calls == 2)


@in_browser
def test_the_quiz_marks_answers(tmp_path, opened):
    a, b = Value(1.0, label="a"), Value(3.0, label="b")
    c = a / b
    c.label = "c"
    path = viz.play(c * 2 + a, tmp_path / "quiz.html")
    with opened(path) as page:
        page.locator("#quiz").click()
        forwards(page)
        page.keyboard.press("End")  # only to the first question
        assert page.locator("#question").is_visible()
        assert page.locator("#next").is_disabled()
        assert amounts(page) == ["1.0000", "?", "?"]
        assert page.locator("#answer").evaluate("x => x === document.activeElement")
        assert answer(page, "2").startswith("Not yet")
        assert answer(page, "seven").startswith("This page cannot read that")
        assert answer(page, "").startswith("Type a number")
        assert amounts(page)[2] == "?"
        assert answer(page, "1") == "Right: 1.0000."
        assert amounts(page) == ["1.0000"] * 3
        assert page.locator("#score").text_content() == "Score: 0 of 4 right at the first try"
        page.locator("#next").click()
        assert answer(page, "1.0").startswith("Right")  # to a
        page.locator("#next").click()
        page.locator("#hint").click()
        assert "∂t1/∂c = 2 = 2.0000" in page.locator("#mark").text_content()
        page.locator("#reveal").click()
        assert "1.0000 × 2.0000 = 2.0000" in page.locator("#mark").text_content()
        page.locator("#next").click()
        assert answer(page, "2/3").startswith("Right")
        page.locator("#next").click()
        assert answer(page, "−2 / 9").startswith("Right")
        assert page.locator("#score").text_content() == "Score: 3 of 8 right at the first try"
        page.locator("#quiz").click()
        assert page.locator("#score").is_hidden()


READINGS = {
    "0.25": 0.25, "1/4": 0.25, " 1 / 4 ": 0.25, "-3": -3.0, "−3": -3.0, "+2.5e-1": 0.25,
    "0,25": 0.25, "2*-3": -6.0, "2 × 0.5": 1.0, "1/2/2": 0.25, ".5": 0.5, "5.": 5.0,
}  # fmt: skip


@in_browser
@pytest.mark.parametrize("text", READINGS)
def test_answers_are_read_as_people_write_them(tmp_path, opened, text):
    x = Value(1.0, label="x")
    path = viz.play(x * READINGS[text], tmp_path / "quiz.html")
    with opened(path) as page:
        page.locator("#quiz").click()
        forwards(page)
        assert answer(page, text).startswith("Right")


@in_browser
@pytest.mark.parametrize(
    ("truth", "right", "wrong"),
    [
        (0.0, ["0", "0.00001"], ["0.001"]),
        (1 / 3, ["0.333", "0.3333", "1/3"], ["0.33", "0.34", "-1/3"]),
        (1e-7, ["1e-7", "0.0000001"], ["0", "1e-6"]),
        (-1200.0, ["-1200", "-1.2e3"], ["1200", "-1230"]),
        (math.inf, ["inf", "∞"], ["1e300", "-inf", "nan"]),
        (math.nan, ["nan", "NaN"], ["0"]),
    ],
)
def test_the_quiz_has_a_tolerance(tmp_path, opened, truth, right, wrong):
    x = Value(1.0, label="x")
    path = viz.play(x * truth, tmp_path / "quiz.html")
    with opened(path) as page:
        page.locator("#quiz").click()
        for text in right:
            forwards(page)
            for other in wrong:
                assert not answer(page, other).startswith("Right")
            assert answer(page, text).startswith("Right")
            page.reload()
            page.locator("#quiz").click()
