"""What if: a number is changed in the page, and everything there is as the engine has it."""

import math
import random
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import miniflow.math as mm
import viz
from miniflow import Value
from miniflow.micrograd.engine import Value as Micro
from support.browser import answer, forwards, in_browser
from support.javascript import answers, with_javascript
from support.played import graphs
from support.profiles import scaled
from viz.output.text import number_text
from viz.player.scene import scene_of, scene_of_recording
from viz.player.steps import take_steps
from viz.player.whatif import Changeable

inf, nan = math.inf, math.nan
STATE = Path(viz.__file__).parent / "player" / "script" / "state.js"


# --- numbers as text ----------------------------------------------------------


@pytest.fixture(scope="module")
def rounded():
    """How the page writes some numbers."""
    code = re.findall(r"^function (?:rounded|halved)\(.*?^}", STATE.read_text(), re.M | re.S)
    source = "\n".join(["export function f(xs) { return xs.map(rounded); }", *code])
    return lambda xs: answers(source, [xs])[0]


@with_javascript
@given(st.lists(st.floats() | st.floats(-1e5, 1e5) | st.integers(-(10**7), 10**7), min_size=20))
@example([k / 32 for k in range(-999, 999)])
@example([x * 10.0**k for k in range(-9, 9) for x in (1, 1.0005, 1.2345, 9.9995, 99999.95, -0.125)])
@example([k * 50.0 for k in range(1990, 2100)])
@example(
    [inf, -inf, nan, 0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.01, 0.009999999, 99999.99996]
)
def test_the_page_writes_numbers_as_python_does(rounded, xs):
    assert rounded(xs) == [number_text(float(x)) for x in xs]


# --- the same as the engine ---------------------------------------------------


def neuron(w1, w2, x1, x2, b):
    s = w1 * x1 + w2 * x2 + b
    return (mm.tanh(s) - 0.5) ** 2


def many_rows(a, b, c):
    d = mm.max(a, b) * mm.relu(c) + abs(a - c) / (b * b + 1)
    e = mm.where(mm.less(a, b), mm.exp(-a * a), mm.log(abs(c) + 1)) + a**b
    return mm.sum([d, e, mm.sigmoid(d), -e]) + mm.min(a, c) ** 3 - mm.erf(b) + mm.lgamma(c)


FUNCTIONS = {neuron: (0.5, -1.5, 2.0, 1.0, 0.25), many_rows: (0.5, 1.5, 2.5)}
EVERYTHING = """([k, x]) => {
    document.querySelector("#node").value = String(k);
    document.querySelector("#node").dispatchEvent(new Event("change"));
    document.querySelector("#change").value = x;
    document.querySelector("#whatif button").click();
    return [...document.querySelectorAll("[data-node]")].map((box) =>
        ["value", "gradient"].map((name) => box.querySelector("." + name)?.textContent));
}"""

SENTENCES = """() => {
    const chosen = document.querySelector("#node");
    chosen.value = chosen.lastChild.value;
    chosen.dispatchEvent(new Event("change"));
    document.querySelector("#first").click();
    const found = [...document.querySelectorAll("#transcript-steps li")].map((x) => x.textContent);
    for (;;) {
        found.push(...["#card", "#reasons"].map((x) => document.querySelector(x).textContent));
        if (document.querySelector("#next").disabled) return found;
        document.querySelector("#next").click();
    }
}"""


def built(f, xs):
    """The result of a function at Values with labels."""
    names = f.__code__.co_varnames
    return f(*[Value(x, label=name) for name, x in zip(names, xs, strict=False)])


def same_number(shown, x):
    """Whether a text shows a number; the last digit may differ, as JavaScript's functions do."""
    if shown == number_text(x):
        return True
    return math.isclose(float(shown), x, rel_tol=2e-3, abs_tol=2e-4) and math.isfinite(x)


def assert_shows(found, steps):
    """Boxes show a run's values and gradients."""
    gradients = steps.gradients
    for n, (node, (value, gradient)) in enumerate(zip(steps.nodes, found, strict=True)):
        if node.kind == "constant":
            continue
        assert same_number(value, node.value), (node.name, value, node.value)
        if n not in gradients:
            assert gradient == "·", node.name
        else:
            assert same_number(gradient, gradients[n]), (node.name, gradient, gradients[n])


NUMBERS = [0.0, 1.0, -1.0, 2.0, 0.5, -0.25, 3.0, 1e6, -1e-3, 40.0, inf, -inf]


@in_browser
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_random_changes_give_the_engines_numbers(tmp_path, opened, f):
    rng, xs = random.Random(7), [*FUNCTIONS[f]]
    steps = take_steps(built(f, xs))
    leaves = [n for n, x in enumerate(steps.nodes) if x.kind == "input"]
    labels = [steps.nodes[n].label for n in leaves]
    order = [*f.__code__.co_varnames[: len(xs)]]
    with opened(viz.play(built(f, xs), tmp_path / "x.html")) as page:
        page.keyboard.press("End")
        for _ in range(scaled(200)):
            k = rng.randrange(len(leaves))
            x = rng.choice(NUMBERS) if rng.random() < 0.4 else rng.uniform(-3, 3)
            xs[order.index(labels[k])] = x
            text = repr(x).replace("inf", "Infinity" if rng.random() < 0.5 else "inf")
            assert_shows(page.evaluate(EVERYTHING, [leaves[k], text]), take_steps(built(f, xs)))


@in_browser
@pytest.mark.parametrize("seed", range(max(2, scaled(4))))
def test_every_sentence_is_that_of_a_page_made_at_those_numbers(tmp_path, opened, seed):
    f = many_rows if seed % 2 else neuron
    rng, xs = random.Random(seed), [*FUNCTIONS[f]]
    steps = take_steps(built(f, xs))
    with opened(viz.play(built(f, xs), tmp_path / "x.html")) as page:
        for n, node in enumerate(steps.nodes):
            if node.kind == "input":
                x = rng.choice([-2.0, -0.5, 0.25, 3.0])
                xs[f.__code__.co_varnames.index(node.label)] = x
                page.evaluate(EVERYTHING, [n, repr(x)])
        found = page.evaluate(SENTENCES)
    with opened(viz.play(built(f, xs), tmp_path / "y.html")) as page:
        assert page.evaluate(SENTENCES) == found


@given(graphs())
def test_every_graph_has_a_program_that_gives_the_recorded_run(values):
    """The page's own sweep, written once more: all contributions, as the engine makes them."""
    steps = take_steps(values[-1])
    changeable = Changeable()
    run = changeable.add(steps)
    assert run == {"program": 0, "refused": ""}
    plan = changeable.plans[0]
    source = changeable.script({}) + "export function f(xs) { return PROGRAMS[0](xs); }"
    (found,) = answers(source, [[steps.nodes[n].value for n in plan["inputs"]]])
    numbers = [x.value for x in steps.nodes]
    computed = found[: len(plan["computed"])]
    for n, y in zip(plan["computed"], computed, strict=True):
        assert close(y, numbers[n]), steps.nodes[n]
    known = {(x.result, x.place): x for x in steps.contributions}
    for (n, k, x, rule, _), local in zip(plan["slopes"], found[len(computed) :], strict=True):
        if (n, k) in known:
            assert close(local, known[n, k].local), (steps.nodes[n], k)
            assert (x, rule) == (known[n, k].operand, known[n, k].rule)
    reached = {len(numbers) - 1}
    for (n, k, x, _, gated), local in zip(plan["slopes"], found[len(computed) :], strict=True):
        passes = n in reached and not (gated and local == 0)
        assert passes == ((n, k) in known)
        reached |= {x} if passes else set()


def close(got, want):
    """Whether two numbers are nearly the same, from far away."""
    if math.isclose(got, want, rel_tol=1e-6, abs_tol=1e-12) or repr(got) == repr(want):
        return True
    return abs(want) < 1e-300 or abs(want) > 1e300


# --- the page -----------------------------------------------------------------


@in_browser
def test_a_leaf_is_clicked_changed_and_put_back(tmp_path, opened):
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    y = a * b + 5
    y.backward()
    with opened(viz.play(y, tmp_path / "x.html")) as page:
        page.keyboard.press("End")
        before = page.locator("#transcript-steps").text_content()
        page.locator('[data-node="0"] .name').click()
        assert page.locator("#change").evaluate("x => x === document.activeElement")
        assert page.locator("#change").input_value() == "2"
        page.keyboard.type("1/4")
        page.keyboard.press("Enter")
        words = page.locator("#changed-words").text_content()
        assert words.startswith(
            "What if? a is 0.2500 instead of 2.0000; output is 4.2500 instead of -1.0000. The "
        )
        assert page.locator('[data-node="0"].changed').count() == 1
        assert page.locator("#headline").text_content() == "The gradients have arrived"
        assert page.locator("#working").text_content() == "∂output/∂a = -3.0000∂output/∂b = 0.2500"
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")  # the slider keeps its own keys
        page.keyboard.press("End")
        assert "a is 6.0000" in page.locator("#changed-words").text_content()
        page.locator("#change").fill("seven")
        page.keyboard.press("Enter")
        assert "cannot read that" in page.locator("#whatif-words").text_content()
        page.locator("#restore").click()
        assert page.locator("#changed").is_hidden()
        assert page.locator("#transcript-steps").text_content() == before
        page.locator("#node").select_option(label="output")
        assert page.locator("#whatif").is_hidden()
        assert "Choose one that goes in" in page.locator("#whatif-words").text_content()


@in_browser
def test_the_quiz_asks_for_the_changed_numbers(tmp_path, opened):
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    with opened(viz.play(a * b, tmp_path / "x.html")) as page:
        page.locator("#quiz").click()
        forwards(page)
        assert answer(page, "-3").startswith("Right")
        page.locator('[data-node="1"] .name').click()
        page.locator("#change").fill("4")
        page.keyboard.press("Enter")
        assert page.locator("#score").text_content() == "No answers yet."
        forwards(page)
        assert not answer(page, "-3").startswith("Right")
        assert answer(page, "4").startswith("Right")


@in_browser
def test_a_branch_that_nothing_passed_back_through_opens(tmp_path, opened):
    x = Value(-1.0, label="x")
    with opened(viz.play(mm.relu(x) * 3, tmp_path / "x.html")) as page:
        page.keyboard.press("End")
        assert page.locator("#working").text_content() == ""
        page.evaluate(EVERYTHING, [0, "2"])
        assert page.locator("#working").text_content() == "∂output/∂x = 3.0000"
        page.evaluate(EVERYTHING, [0, "nan"])
        assert page.locator("#working").text_content() == "∂output/∂x = nan"


@in_browser
def test_a_rule_is_shown_only_where_it_holds(tmp_path, opened):
    x, n = Value(2.0, label="x"), Value(3.0, label="n")
    with opened(viz.play(x**n, tmp_path / "x.html")) as page:
        page.evaluate(EVERYTHING, [1, "2"])
        assert "= output × log(x) =" in page.locator("#transcript-steps").text_content()
        page.evaluate(EVERYTHING, [0, "0"])  # by n it is 0 there, and not 0 * log(0)
        assert "log(x)" not in page.locator("#transcript-steps").text_content()


@in_browser
def test_another_iteration_is_as_it_was_recorded(tmp_path, opened, training):
    with opened(training[0]) as page:
        shown = page.locator("#transcript-steps").text_content()
        page.locator("#node").select_option(index=0)
        page.locator("#change").fill("9")
        page.keyboard.press("Enter")
        assert page.locator("#transcript-steps").text_content() != shown
        for key in ("PageDown", "PageUp"):
            page.locator("#stage").focus()
            page.keyboard.press(key)
            assert page.locator("#changed").is_hidden()
        assert page.locator("#transcript-steps").text_content() == shown


@in_browser
def test_what_no_page_can_run_is_said(tmp_path, opened, row):
    own = row("own", lambda x: x * x, lambda x, y: 2 * x)
    with opened(viz.play(own(Value(2.0, label="x")) + 1, tmp_path / "x.html")) as page:
        page.locator("#node").select_option(label="x")
        words = "own is a function of Python, which no page can run. So its numbers stay."
        assert page.locator("#whatif-words").text_content() == words
        assert page.locator("#whatif").is_hidden()


def test_what_somebody_wrote_by_hand_is_never_taken_for_the_tables():
    """Its name may be a row's, its derivative may be anything; and it is not called."""
    calls = []
    x = Micro(0.5)
    out = Micro(math.tanh(x.data), (x,), "tanh")

    def _backward():
        calls.append(1)
        x.grad += 7 * out.grad

    out._backward = _backward
    steps = take_steps(out * 2)
    count = len(calls)
    assert scene_of(steps)["runs"][0]["refused"].startswith("tanh is a function of Python")
    assert len(calls) == count


def test_programs_are_shared_and_few(training):
    """A training has one for all of its iterations, unless exponents differ."""
    text = training[0].read_text()
    assert text.count("function program") == 1
    with viz.record() as recording:
        for k in range(9):
            (Value(2.0, label="x") ** (k + 3)).backward()
    assert len(recording.iterations) == 9
    scene = scene_of_recording(recording)
    runs = [x for x in scene["runs"] if x]
    assert len(scene["whatif"]) == 6
    assert [x["program"] for x in runs][:6] == [*range(6)]
    assert all(x["refused"] for x in runs[6:])


def test_a_page_is_not_made_large_by_it():
    values = [Value(0.5 + k / 10, label=f"v{k}") for k in range(8)]
    y = values[0]
    for a, b in pairwise(values * 2):
        y = y * a + b
    changeable = Changeable()
    changeable.add(take_steps(y))
    assert len(changeable.script({})) < 10_000
