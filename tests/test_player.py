"""The player: its steps are the engine's, bit for bit; a recording changes nothing; and a real
browser shows the page's numbers, by mouse, keyboard and on a phone.

The tests in a browser need Chromium, Playwright and axe. Where one of these is missing they
are skipped, unless MINIFLOW_REQUIRE_BROWSER=1 is set: then they fail.
"""

import configparser
import gc
import json
import math
import os
import re
import shutil
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from expressions import micrograd_readme
from hypothesis import given, settings
from hypothesis import strategies as st

import miniflow.math as mm
import viz
from miniflow import Value, define, jit, no_grad
from miniflow.nn import MLP, Layer, Module, Neuron, mse
from miniflow.ops import TABLE
from miniflow.optim import SGD
from miniflow.tape import core as tape
from viz.output import palette
from viz.output.text import number
from viz.player import formula, scene
from viz.player import page as player
from viz.player.recording import Recording, record
from viz.player.steps import take_steps

ROOT = Path(__file__).parent.parent

same = repr  # of floats: equal for the same bits, and for any two NaNs

# --- random graphs --------------------------------------------------------------

NUMBERS = st.floats(-4, 4) | st.sampled_from([0.0, -0.0, 1.0, 2.0, math.inf, -math.inf, math.nan])
STEP = st.tuples(
    st.sampled_from(sorted(TABLE)),
    st.lists(st.integers(0, 99) | NUMBERS, min_size=4, max_size=4),
)


@st.composite
def graphs(draw):
    """The last Value of a random program that depends on anything, and all of its Values."""
    values = [Value(x) for x in draw(st.lists(NUMBERS, min_size=1, max_size=4))]
    for name, operands in draw(st.lists(STEP, min_size=1, max_size=12)):
        op = TABLE[name]
        xs = [values[x % len(values)] if isinstance(x, int) else x for x in operands]
        y = op(*xs[: op.arity if op.arity > 0 else 4])
        if isinstance(y, Value):
            values.append(y)
    return values


@given(graphs())
def test_steps_are_the_engines(values):
    root = values[-1]
    before = [same(v.grad) for v in values]
    steps = take_steps(root)
    assert [same(v.grad) for v in values] == before  # it only looks
    for v in values:
        v.grad = 0.0
    root.backward()
    found = take_steps(root)
    for n, node in enumerate(found.nodes):
        if n in steps.gradients:
            leaf = not node.operands
            assert same(0.0 + steps.gradients[n] if leaf else steps.gradients[n]) == same(node.held)
        elif node.kind != "constant":
            assert node.held == 0.0


@given(graphs())
def test_each_contribution_is_made_once_and_they_add_up(values):
    steps = take_steps(values[-1])
    reached, sums = {len(steps.nodes) - 1: 1.0}, {}
    for x in steps.contributions:
        assert same(x.upstream) == same(reached[x.result])
        assert same(x.amount) == same(x.upstream * x.local)
        assert (x.before is None) == (x.operand not in sums)
        assert x.before is None or same(x.before) == same(sums[x.operand])
        sums[x.operand] = x.amount if x.before is None else x.before + x.amount
        reached[x.operand] = sums[x.operand]
        assert same(x.after) == same(sums[x.operand])
    made = [(x.result, x.place) for x in steps.contributions]
    due = {
        (n, k)
        for n, node in enumerate(steps.nodes)
        for k, x in enumerate(node.operands)
        if n in reached and TABLE[node.op].follows(k) and steps.nodes[x].kind != "constant"
    }
    assert len(made) == len(set(made))
    assert set(made) == due


@settings(max_examples=25)
@given(graphs())
def test_every_number_of_a_page_is_the_engines(values):
    steps = take_steps(values[-1])
    data = scene.scene_of(steps)
    text = json.loads(player.embedded(data))
    numbers = [float(x) for x in text["numbers"]["values"]]
    run = text["runs"][0]
    assert [same(numbers[k]) for k in run["values"]] == [same(x.value) for x in steps.nodes]
    for row, x in zip(run["backward"], steps.contributions, strict=True):
        assert row[:3] == [x.result, x.place, x.operand]
        shown = [numbers[k] if k >= 0 else None for k in row[3:8]]
        wanted = [x.upstream, x.local, x.amount, x.before, x.after]
        assert [*map(same, shown)] == [*map(same, wanted)]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_names_are_all_different(labels):
    values = [Value(1.0, label=label) for label in labels]
    steps = take_steps(mm.sum(values) * 2)
    names = [x.name for x in steps.nodes if x.kind != "constant"]
    assert len(set(names)) == len(names)
    assert all(names)


# --- steps ----------------------------------------------------------------------


def test_a_step_says_what_the_issue_asks_for():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    c = a * b
    c.label = "c"
    steps = take_steps(c)
    assert (steps.nodes[2].formula, steps.nodes[2].numbers) == ("a * b", "2.0000 × -3.0000")
    assert [x.rule for x in steps.contributions] == ["b", "a"]


def test_a_value_used_twice_accumulates():
    x = Value(0.5, label="x")
    steps = take_steps(x * 1.25 + x * 0.5)
    last = [c for c in steps.contributions if steps.nodes[c.operand].name == "x"][-1]
    assert (last.before, last.amount, last.after) == (0.5, 1.25, 1.75)


def test_the_seed_scales_everything():
    a = Value(3.0)
    assert take_steps(a * a, 0.5).gradients == {1: 0.5, 0: 3.0}


def test_a_leaf_alone_has_no_steps():
    steps = take_steps(Value(2.0, label="a"))
    assert (len(steps.nodes), steps.contributions, steps.gradients) == (1, (), {0: 1.0})


def test_constants_and_flat_operations_take_nothing():
    x = Value(1.5, label="x")
    steps = take_steps(x.floor() * 2 + x * 3)
    assert [steps.nodes[c.operand].op for c in steps.contributions] == ["mul", "mul", "", "floor"]


def test_leaves_of_other_threads_and_compiled_calls(in_thread):
    far = in_thread(lambda: Value(2.0, label="far"))
    f = jit(lambda x: mm.sin(x) * x)
    near = Value(0.5, label="near")
    y = f(near) * far
    steps = take_steps(y)
    y.backward()
    gradients = {steps.nodes[n].name: g for n, g in steps.gradients.items()}
    assert (gradients["near"], gradients["far"]) == (near.grad, far.grad)


def test_a_users_operation_needs_no_formula():
    cube = define("player_cube", lambda x: x**3, lambda x, y: 3 * x**2 if x > 0 else 0.0)
    try:
        (found,) = take_steps(cube(Value(2.0))).contributions
        assert (found.local, found.rule) == (12.0, "")
    finally:
        del TABLE["player_cube"]


@pytest.mark.parametrize("name", TABLE)
def test_every_row_can_be_written(name):
    op = TABLE[name]
    count = op.arity if op.arity > 0 else 4
    names = [*"abcd"][:count]
    assert formula.symbolic(op, names)
    assert formula.numeric(op, ["-1.0000", "2.0000", "3", "4"][:count])
    for k in range(count):
        if op.follows(k):
            assert len(formula.rule(op, k, names, "y")) <= formula.LONGEST


RULES = {
    "mul": ["b", "a"],
    "add": ["1", "1"],
    "sub": ["1", "-1"],
    "div": ["1 / b", "-(y / b)"],
    "pow": ["b * a ** (b - 1)", "y * log(a)"],
    "tanh": ["1 - y * y"],
    "relu": ["step(y)"],
    "exp": ["y"],
    "dot": ["c", "d", "a", "b"],
}


@pytest.mark.parametrize("name", RULES)
def test_derivatives_are_written_as_the_table_has_them(name):
    op = TABLE[name]
    names = [*"abcd"][: len(RULES[name])]
    assert [formula.rule(op, k, names, "y") for k in range(len(names))] == RULES[name]


def test_long_sums_are_written_short():
    values = [Value(1.0, label=f"v{k}") for k in range(50)]
    assert take_steps(mm.sum(values)).nodes[-1].formula == "v0 + v1 + v2 + v3 + … + v49"
    assert take_steps(mm.dot(values[:25], values[25:])).nodes[-1].formula.endswith("… + v24 * v49")


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (3.0, TypeError, "float, neither a Value nor a recording"),
        (len, TypeError, "call it and play the result"),
        (None, TypeError, "compute it from Values"),
    ],
)
def test_what_cannot_be_played_is_refused(x, error, words, tmp_path):
    with pytest.raises(error, match=words):
        viz.play(x, tmp_path / "x.html")
    assert not list(tmp_path.iterdir())


def test_refusals_name_the_remedy(tmp_path):
    path = tmp_path / "x.html"
    a = Value(2.0)
    with no_grad():
        constant = a * 2
    with pytest.raises(ValueError, match="outside of no_grad"):
        viz.play(constant, path)
    with pytest.raises(ValueError, match="theme 'pink' is none of light, dark"):
        viz.play(a * 2, path, theme="pink")
    with pytest.raises(ValueError, match=r"501 nodes, more than 400; .* limit=None"):
        viz.play(mm.sum([Value(1.0) for _ in range(500)]), path)
    with pytest.raises(ValueError, match=r"recording is empty; call backward\(\)"):
        viz.play(record(), path)
    with pytest.raises(TypeError, match="float, not a Module"):
        record(3.0)
    assert not list(tmp_path.iterdir())


# --- recordings -----------------------------------------------------------------

POINTS = [([0.0, 1.0], 1.0), ([1.0, 1.0], -1.0), ([1.0, -0.5], 1.0)]


def trained(recording=None, size=3, rounds=5):
    """A small network after some training, within a recording or without."""
    model = MLP(2, [size, 1], activation="tanh", seed=2)
    optimizer = SGD(model.parameters(), lr=0.1)
    seen = []

    def loop():
        for _ in range(rounds):
            loss = mse([model(x) for x, _ in POINTS], [t for _, t in POINTS])
            optimizer.zero_grad()
            loss.backward()
            seen.append((loss.data, [p.data for p in model.parameters()],
                         [p.grad for p in model.parameters()]))  # fmt: skip
            optimizer.step()

    if recording is None:
        loop()
        return model, seen, None
    with recording(model) as found:
        loop()
    return model, seen, found


def test_recording_changes_nothing_and_sees_everything():
    plain, before, _ = trained()
    model, seen, recording = trained(record)
    assert seen == before
    assert model.state_dict() == plain.state_dict()
    assert [(x.loss, list(x.parameters), list(x.gradients)) for x in recording.iterations] == seen
    assert recording.losses == [loss for loss, _, _ in seen]
    assert repr(recording) == "<Recording of 5 iterations, 13 parameters>"
    assert recording.names == [name for name, _ in model.named_parameters()]


def test_the_steps_of_each_iteration_end_in_its_gradients():
    _, seen, recording = trained(record)
    for iteration, (_, _, gradients) in zip(recording.iterations, seen, strict=True):
        steps = iteration.steps
        found = {
            steps.nodes[n].name: g for n, g in steps.gradients.items()
            if steps.nodes[n].kind == "parameter"
        }  # fmt: skip
        names = [x.name for x in steps.nodes if x.kind == "parameter"]
        assert sorted(found.values()) == sorted(gradients)
        assert {"L1.n1.w0", "L1.n3.b", "L2.n1.w2"} <= set(names)


def test_recordings_of_graphs_that_are_too_large_keep_no_steps():
    model, _, recording = trained(lambda model: record(model, limit=20))
    assert [x.steps for x in recording.iterations] == [None] * 5
    assert {x.entries for x in recording.iterations} == {recording.iterations[0].entries}
    data = scene.scene_of_recording(recording)
    assert "too many to step through" in data["notices"][0]
    assert data["runs"] == [None] * 5
    del model


def test_the_tape_is_left_as_it_was(small_table):
    table = small_table()
    _, _, recording = trained(record, rounds=40)
    gc.collect()
    table.compact()
    assert (table.held, table.swept) == (0, None)
    assert sys.gettrace() is None or "watch" not in repr(sys.gettrace())
    assert len(recording) == 40
    assert table.count < 200


@pytest.mark.parametrize("limit", [20, 400])
def test_a_long_recording_lets_the_tape_compact(small_table, limit):
    table = small_table()
    counts = []
    x = Value(0.5, label="x")
    with record(limit=limit):
        for _ in range(60):
            y = x
            for _ in range(30):
                y = y * 1.01
            y.backward()
            counts.append(table.count)
    assert max(counts) < 1500


def test_errors_end_a_recording_and_keep_what_there_is():
    a = Value(2.0)
    recording = record()

    def interrupted():
        with recording:
            (a * a).backward()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(recording) == 1
    assert tape.here.table.swept is None
    assert tape.here.table.held == 0
    with pytest.raises(RuntimeError, match="has been used"), recording:
        pass
    with record(), pytest.raises(RuntimeError, match="another recording"), record():
        pass
    assert tape.here.table.swept is None


def test_other_threads_are_not_recorded(in_thread):
    with record() as recording:
        in_thread(lambda: (Value(2.0) * 3).backward())
    assert len(recording) == 0


@pytest.mark.skipif(sys.gettrace() is not None, reason="a debugger or coverage tool watches")
def test_lines_and_names_come_from_the_source():
    def square(x):
        twice = x * x
        return twice  # noqa: RET504 - a name to be seen

    with record() as recording:
        a = Value(3.0, label="a")
        b = square(a)
        out = b + 1
        out.backward()
    steps = recording.iterations[0].steps
    lines = [x.line and (Path(x.line[0]).name, x.line[1]) for x in steps.nodes if x.op]
    start = square.__code__.co_firstlineno
    assert lines == [("test_player.py", start + 1), ("test_player.py", start + 7)]
    assert [x.name for x in steps.nodes if x.op] == ["b", "out"]
    code = scene.scene_of_recording(recording)["graphs"][0]["code"]
    assert code[0] == {"file": "test_player.py", "number": start + 1, "text": "    twice = x * x"}
    assert code[-1]["text"] == "    out = b + 1"


def test_a_debuggers_trace_function_is_left_alone():
    def debugger(*_):
        return None

    before = sys.gettrace()
    sys.settrace(debugger)
    try:
        with record() as recording:
            (Value(2.0) * 3).backward()
            inside = sys.gettrace()
    finally:
        sys.settrace(before)
    assert inside is debugger
    assert recording.iterations[0].steps.nodes[-1].line is None


def test_the_seed_of_a_recorded_call_is_kept():
    a = Value(3.0)
    with record() as recording:
        (a * a).backward(0.25)
    assert recording.iterations[0].steps.seed == 0.25
    assert recording.iterations[0].steps.gradients[0] == a.grad


# --- pages ----------------------------------------------------------------------


def example():
    """The expression of micrograd's README, labelled."""
    a, b = Value(-4.0, label="a"), Value(2.0, label="b")
    g = micrograd_readme(a, b)
    g.label = "g"
    return g, a, b


def test_a_page_is_one_small_file_without_a_network(tmp_path):
    g, _, _ = example()
    path = viz.play(g, str(tmp_path / "steps.html"), title="A & B")
    text = path.read_text(encoding="utf-8")
    data = re.search(r'id="data">(.*?)</script>', text)[1]
    assert len(text) - len(data) < 100_000
    assert len(text) < 400_000
    assert "<title>A &amp; B</title>" in text
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(eval|fetch|import|XMLHttpRequest|innerHTML)\b\(?", text)
    assert [x.name for x in tmp_path.iterdir()] == ["steps.html"]


def test_the_same_code_gives_the_same_page(tmp_path):
    pages = [viz.play(example()[0], tmp_path / f"{k}.html").read_bytes() for k in range(2)]
    assert pages[0] == pages[1]


def test_a_failure_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "steps.html"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(TypeError):
        viz.play(None, path)
    assert path.read_text(encoding="utf-8") == "before"


def test_runs_of_one_structure_share_a_graph():
    _, _, recording = trained(record)
    data = scene.scene_of_recording(recording)
    assert len(data["graphs"]) == 1
    assert [x["graph"] for x in data["runs"]] == [0] * 5


def test_different_graphs_are_laid_out_up_to_a_limit():
    x = Value(1.5, label="x")
    with record() as recording:
        for k in range(1, scene.GRAPHS + 3):
            y = x
            for _ in range(k):
                y = y * x
            y.backward()
    data = scene.scene_of_recording(recording)
    assert len(data["graphs"]) == scene.GRAPHS
    assert data["runs"][-1] is None
    assert "different graphs" in data["notices"][-1]


def test_long_trainings_are_thinned_out_evenly():
    _, _, recording = trained(record, rounds=150)
    data = scene.scene_of_recording(recording)
    shown = data["training"]["shown"]
    assert (shown[0], shown[-1]) == (1, 150)
    assert len(shown) < 150
    assert "evenly spread" in data["notices"][0]
    assert len(data["training"]["curve"]) == 150
    assert len(player.page(data, theme="auto", title="x")) < 900_000


def test_models_with_very_many_parameters_show_the_loss_alone():
    class Many(Module):
        def __init__(self):
            self.w = [Value(0.1) for _ in range(scene.FLOATS)]

    model = Many()
    with record(model) as recording:
        for _ in range(2):
            mm.sum([model.w[0] * 2]).backward()
    data = scene.scene_of_recording(recording)
    assert data["training"]["names"] == []
    assert "too many for this page" in " ".join(data["notices"])


class Scaled(Module):
    """A model that is no chain of layers."""

    def __init__(self):
        self.first = Neuron(2, seed=1)
        self.second = Neuron(2, seed=2)
        self.scale = Value(1.0)

    def __call__(self, x):
        return self.scale * (self.first(x) + self.second(x))


@pytest.mark.parametrize(
    ("model", "sizes", "titles"),
    [
        (MLP(2, [3, 1], seed=1), [3, 1], ["layer 1, neuron 1", "layer 2, neuron 1"]),
        (Layer(2, 2, seed=1), [2], ["layer 1, neuron 2"]),
        (Neuron(2, seed=1), [1], ["the neuron"]),
        (Scaled(), [], ["first", "second", "the model"]),
    ],
    ids=lambda x: type(x).__name__,
)
def test_networks_are_found_in_models(model, sizes, titles):
    with record(model) as recording:
        for _ in range(2):
            out = model([1.0, 2.0])
            mm.sum(out if isinstance(out, list) else [out]).backward()
    training = scene.scene_of_recording(recording)["training"]
    assert [len(layer) for layer in training["layers"]] == sizes
    assert set(titles) <= {x["title"] for x in training["groups"]}
    members = [k for group in training["groups"] for k in group["members"]]
    assert sorted(members) == list(range(len(recording.names)))


def test_the_style_uses_variables_that_exist():
    style = (ROOT / "viz" / "player" / "player.css").read_text(encoding="utf-8")
    given_ones = set(re.findall(r"--([\w-]+):", player.colours() + style)) | {"turn"}
    assert set(re.findall(r"var\(--([\w-]+)", style)) <= given_ones
    assert {f"--{name}" for name in palette.LIGHT._fields} <= set(
        re.findall(r"--[\w-]+", player.colours())
    )
    assert not re.search(r"#[0-9a-f]{3,6}\b(?=;)", style)  # colours come from the palette


def test_the_pages_parts_are_installed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["options.package_data"]["viz"].replace(" ", "").split(",")
    assert set(listed) >= {"player/*.html", "player/*.css", "player/*.js"}
    assert all(list((ROOT / "viz").glob(name)) for name in listed)


# --- a real browser -------------------------------------------------------------

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


@pytest.fixture
def opened(browser):
    """A context manager: a page in the browser, from its file; nothing may go wrong on it."""

    @contextmanager
    def visit(path, *, width=1280, height=800, motion="reduce", scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion=motion, color_scheme=scheme
        )
        page = context.new_page()
        troubles, requests = [], []
        page.on("console", lambda x: troubles.append(f"{x.type}: {x.text}"))
        page.on("pageerror", lambda x: troubles.append(f"error: {x}"))
        page.on("dialog", lambda x: troubles.append(f"dialog: {x.message}"))
        page.on("request", lambda x: requests.append(x.url))
        try:
            page.goto(path.resolve().as_uri())
            yield page
            assert troubles == []
            assert {x for x in requests if not x.startswith("data:")} == {path.resolve().as_uri()}
        finally:
            context.close()

    return visit


@pytest.fixture
def neuron(tmp_path):
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
    path = viz.play(loss, tmp_path / "neuron.html")
    loss.backward()
    values = {v.label: v for v in (*x, *w, s, y, d, loss)}
    return path, values, steps


def shown(page, n):
    """What the box of a node says: its value and its gradient."""
    box = page.locator(f'[data-node="{n}"]')
    return box.locator(".value").text_content(), box.locator(".gradient").text_content()


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
                value = number(node.value) if ready else "·"
                gradient = number(known[n]) if n in known else "·"
                assert shown(page, n) == (value, gradient)
            if 1 <= back <= len(steps.contributions):
                x = steps.contributions[back - 1]
                wanted = [
                    x.upstream,
                    x.local,
                    x.amount,
                    *([x.after] if x.before is not None else []),
                ]
                assert amounts(page) == [*map(formula.number, wanted)]
                result = values.get(steps.nodes[x.result].label)
                if result is not None:  # an entry passes back when its gradient is complete
                    assert amounts(page)[0] == number(result.grad)
            page.keyboard.press("ArrowRight")
        for n, node in enumerate(steps.nodes):
            if node.label in values:
                assert shown(page, n)[1] == number(values[node.label].grad)
        for k in reversed(range(last)):
            page.keyboard.press("ArrowLeft")
            assert page.locator("#count").text_content() == f"Step {k} of {last}"
        assert shown(page, len(steps.nodes) - 1) == ("·", "·")


@in_browser
def test_formulas_sums_and_words(neuron, opened):
    path, values, steps = neuron
    with opened(path) as page:
        page.keyboard.press("ArrowRight")
        assert page.locator("#headline").text_content() == "t1 = w1 * x1"
        lines = page.locator("#working p").all_text_contents()
        assert lines == ["= -1.5000 × 2.0000", "= -3.0000"]
        second = len(steps.computed) + 3  # d is used twice: its second contribution
        page.locator("#step").fill(str(second))
        d = values["d"].data
        sum_of = f"∂loss/∂d = {d:.4f} + {d:.4f} = {2 * d:.4f}"
        assert page.locator("#working .total code").last.text_content() == f"{d:.4f} + {d:.4f}"
        assert amounts(page)[-1] == f"{2 * d:.4f}"
        assert "2 contributions arrive at d" in page.locator("#remark").text_content()
        assert sum_of in page.locator("#spoken").text_content()
        page.locator("#transcript summary").click()
        words = page.locator("#transcript-steps li").all_text_contents()
        assert len(words) == len(steps.computed) + len(steps.contributions) + 3
        assert words[1] == "Forward: t1 = w1 * x1 = -1.5000 × 2.0000 = -3.0000."
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
    with opened(path, motion=motion) as page:
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
            assert reasons.nth(k).locator("strong").text_content() == number(x.amount)
        reasons.nth(0).click()
        assert page.locator("#headline").text_content() == "What loss passes back to d"
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


def answer(page, text):
    page.locator("#answer").fill(text)
    page.locator("#answer").press("Enter")
    return page.locator("#mark").text_content()


@in_browser
def test_the_quiz_marks_answers(tmp_path, opened):
    a, b = Value(1.0, label="a"), Value(3.0, label="b")
    c = a / b
    c.label = "c"
    path = viz.play(c * 2 + a, tmp_path / "quiz.html")
    with opened(path) as page:
        page.locator("#quiz").click()
        page.keyboard.press("End")  # only to the first question
        assert page.locator("#question").is_visible()
        assert page.locator("#next").is_disabled()
        assert amounts(page) == ["1.0000", "?", "?"]
        assert page.locator("#answer").evaluate("x => x === document.activeElement")
        assert answer(page, "2").startswith("Not yet")
        assert answer(page, "seven").startswith("That is no number")
        assert answer(page, "").startswith("Type a number")
        assert amounts(page)[2] == "?"
        assert answer(page, "1") == "Right: 1.0000."
        assert amounts(page) == ["1.0000"] * 3
        assert page.locator("#score").text_content() == "Score: 0 of 1 right at the first try"
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
        assert page.locator("#score").text_content() == "Score: 3 of 5 right at the first try"
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
        page.keyboard.press("End")
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
            page.keyboard.press("End")
            for other in wrong:
                assert not answer(page, other).startswith("Right")
            assert answer(page, text).startswith("Right")
            page.reload()
            page.locator("#quiz").click()


# --- training in the browser ----------------------------------------------------


@pytest.fixture
def training(tmp_path):
    _, _, recording = trained(record, rounds=8)
    return viz.play(recording, tmp_path / "training.html"), recording


@in_browser
def test_the_second_slider_goes_through_the_iterations(training, opened):
    path, recording = training
    with opened(path) as page:
        page.locator("#group").select_option(label="layer 1, neuron 2")
        names = [
            k for k, name in enumerate(recording.names) if name.startswith("layers.0.neurons.1.")
        ]
        for k, x in enumerate(recording.iterations):
            page.locator("#iteration").fill(str(k))
            assert page.locator("#iteration-text").text_content() == f"Iteration {k + 1} of 8"
            assert page.locator("#loss-text").text_content() == f"loss {number(x.loss)}"
            cells = page.locator("#parameters td:not(:first-child)").all_text_contents()
            wanted = [y for n in names for y in (x.parameters[n], x.gradients[n])]
            assert [float(c) for c in cells] == pytest.approx(wanted, rel=1e-3, abs=6e-5)
        lines = page.locator("#network .weight")
        assert lines.count() == 9
        before = [lines.nth(k).get_attribute("stroke-width") for k in range(9)]
        page.locator("input[value=gradients]").check()
        assert [lines.nth(k).get_attribute("stroke-width") for k in range(9)] != before


@in_browser
def test_each_iteration_can_be_stepped_through(training, opened):
    path, recording = training
    with opened(path) as page:
        root = len(recording.iterations[0].steps.nodes) - 1
        for k in (0, 3, 7):
            page.locator("#iteration").fill(str(k))
            page.locator("#stage").press("End")
            assert shown(page, root)[0] == number(recording.losses[k])
        page.keyboard.press("PageUp")
        assert page.locator("#iteration-text").text_content() == "Iteration 7 of 8"
        page.clock.install()
        page.locator("#train-play").click()
        page.clock.run_for(3000)
        assert page.locator("#iteration-text").text_content() == "Iteration 8 of 8"
        assert page.locator("#train-play").get_attribute("aria-label") == "Play the iterations"


@in_browser
def test_a_training_without_steps_is_driven_by_the_same_keys(tmp_path, opened):
    _, _, recording = trained(lambda model: record(model, limit=5), rounds=4)
    with opened(viz.play(recording, tmp_path / "t.html")) as page:
        assert page.locator("#bar").is_hidden()
        assert "too many to step through" in page.locator(".notice").text_content()
        for key, now in (("ArrowRight", 2), ("End", 4), ("ArrowLeft", 3), ("Home", 1)):
            page.keyboard.press(key)
            assert page.locator("#iteration-text").text_content() == f"Iteration {now} of 4"


@in_browser
def test_losses_that_are_no_numbers(tmp_path, opened):
    w = Value(1.0, label="w")
    with record() as recording:
        for x in (1.0, math.inf, math.nan, 2.0):
            w.data = x
            (w * w).backward()
    with opened(viz.play(recording, tmp_path / "t.html")) as page:
        texts = []
        for _ in range(4):
            texts.append(page.locator("#loss-text").text_content())
            page.keyboard.press("PageDown")
        assert texts == ["loss 1.0000", "loss inf", "loss nan", "loss 4.0000"]


# --- everybody ------------------------------------------------------------------


def violations(page):
    """What axe complains about."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).with_name("axe.min.js")
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(x["id"], [node["target"] for node in x["nodes"]]) for x in found]


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing(neuron, training, opened, scheme, width):
    with opened(neuron[0], width=width, height=740, scheme=scheme) as page:
        page.locator("#transcript summary").click()
        assert violations(page) == []
        page.keyboard.press("End")
        assert violations(page) == []
        page.locator("#quiz").click()
        page.keyboard.press("Home")
        page.locator("#step").fill("9")
        answer(page, "77")
        assert violations(page) == []
    with opened(training[0], width=width, height=740, scheme=scheme) as page:
        assert violations(page) == []


@in_browser
@pytest.mark.parametrize("width", [360, 390, 620, 820, 1024, 1180])
def test_small_screens_scroll_in_one_direction(neuron, training, opened, width):
    for path in (neuron[0], training[0]):
        with opened(path, width=width, height=740) as page:
            for key in ("Home", "End"):
                page.keyboard.press(key)
                assert page.evaluate("document.documentElement.scrollWidth") <= width


@in_browser
def test_controls_are_large_enough_for_fingers(neuron, training, opened):
    for path in (neuron[0], training[0]):
        with opened(path, width=360, height=740) as page:
            if page.locator("#quiz").is_visible():
                page.locator("#quiz").click()
                page.keyboard.press("End")
            sizes = page.evaluate(
                """[...document.querySelectorAll('button, select, input, summary')]
                .filter(x => x.checkVisibility()).map(x => {
                    const box = x.getBoundingClientRect();
                    return [x.id || x.tagName, Math.min(box.width, box.height)];
                })"""
            )
            assert len(sizes) > 10
            assert [x for x in sizes if x[1] < 40] == []


@in_browser
@pytest.mark.parametrize("asked", ["auto", "light", "dark"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_themes(tmp_path, opened, asked, scheme):
    path = viz.play(Value(2.0, label="a") * 3, tmp_path / "x.html", theme=asked)
    with opened(path, scheme=scheme) as page:
        wanted = scheme if asked == "auto" else asked
        colour = "getComputedStyle(document.documentElement).getPropertyValue('--background')"
        assert page.evaluate(colour).strip() == palette.THEMES[wanted].background
        dark = page.locator("#dark")
        assert dark.get_attribute("aria-checked") == str(wanted == "dark").lower()
        dark.click()
        other = {"light": "dark", "dark": "light"}[wanted]
        assert page.evaluate(colour).strip() == palette.THEMES[other].background


@in_browser
def test_on_paper_there_are_no_controls(neuron, opened):
    with opened(neuron[0]) as page:
        page.keyboard.press("End")
        page.emulate_media(media="print")
        for name in ("bar", "quiz", "zoom-in"):
            assert page.locator(f"#{name}").is_hidden()
        assert page.locator("#stage svg").is_visible()


AWKWARD = [
    "</script><script>window.hacked = 1</script>", "<img src=x onerror='window.hacked = 1'>",
    "<!--<script>", "]]>", "{{data}} {{script}}", "\"quotes\" and 'others'", "back\\slash \\u0041",
    "a\u2028b\u2029c", "two\nlines\tand a tab", "\x00\x1b\x7f", "\ud800", "😀👩‍👩‍👧",
    "日本語の長い名前がここにあります",
    "__proto__", "constructor", "javascript:alert(1)", "${window.hacked = 1}", "&amp;&lt;&#60;",
    " ", "x" * 300, "e\u0301", "\u202egnp.exe", "<svg onload=window.hacked=1>",
]  # fmt: skip


@in_browser
def test_nothing_in_a_label_executes(tmp_path, opened):
    values = [Value(float(k), label=label) for k, label in enumerate(AWKWARD, 1)]
    y = mm.sum([v * 0.5 for v in values])
    y.label = AWKWARD[0]
    path = viz.play(y, tmp_path / "x.html", title=AWKWARD[0] + AWKWARD[1])
    with opened(path) as page:
        page.keyboard.press("End")
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 2
        assert page.title() == AWKWARD[0] + AWKWARD[1]
        options = page.locator("#node option").all_text_contents()
        assert AWKWARD[:4] == options[:4]
        widths = page.evaluate(
            """[...document.querySelectorAll('.node')].map(node => {
                const box = node.querySelector('rect').getBoundingClientRect();
                return [...node.querySelectorAll('text')].every(text => {
                    const found = text.getBoundingClientRect();
                    return found.left >= box.left - 1 && found.right <= box.right + 1;
                });
            })"""
        )
        assert all(widths)  # no name leaves its box


@in_browser
def test_infinities_and_nans_are_shown(tmp_path, opened):
    x = Value(0.0, label="x")
    y = mm.log(x) * 0.0 + Value(1e308, label="big") * 1e308
    path = viz.play(y, tmp_path / "x.html")
    with opened(path) as page:
        page.keyboard.press("End")
        texts = page.locator(".node .value").all_text_contents()
        assert {"-inf", "nan", "inf"} <= set(texts)


@in_browser
@settings(max_examples=15)
@given(values=graphs())
def test_random_graphs_are_shown_without_trouble(browser, tmp_path_factory, values):
    path = tmp_path_factory.mktemp("graphs") / "x.html"
    root = values[-1]
    viz.play(root, path)
    steps = take_steps(root)
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    troubles = []
    page.on("pageerror", lambda x: troubles.append(str(x)))
    page.goto(path.as_uri())
    page.keyboard.press("End")
    for n, node in enumerate(steps.nodes):
        if node.kind != "constant":
            gradient = number(steps.gradients[n]) if n in steps.gradients else "·"
            assert shown(page, n) == (number(node.value), gradient)
    context.close()
    assert troubles == []


def test_recordings_have_a_public_name():
    assert viz.Recording is Recording
