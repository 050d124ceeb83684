"""What the page says is true: each derivative, each sum; the quiz; NaN and infinity."""

import ast
import math
import re
from decimal import Decimal

import pytest
from hypothesis import Phase, given

import miniflow.math as mm
import viz
from miniflow import Value
from miniflow.ops import TABLE
from support.browser import answer, in_browser
from support.played import graphs
from support.profiles import examples
from viz.output.text import literal, number_text
from viz.player.recording import record
from viz.player.steps import take_steps

ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth"]
NUMBER = r"-?(?:\d+(?:\.\d+)?(?:e[+-]\d+)?|inf|nan)"
SIGNED = rf"\(?({NUMBER})\)?"
SENTENCE = re.compile(
    rf"Backward, from (\S+) to (?:its \S+ )?(\S+): upstream {SIGNED} × local "
    rf"∂(\S+?)/∂(\([^)]*\)|[^\s=]+)(?: = (.*?))? = {SIGNED} gives {SIGNED}; "
    rf"so ∂(\S+?)/∂(\S+?)( so far)? = (.*)\."
)
TERM = rf"(?:{NUMBER}|\({NUMBER}\))"
SUM = re.compile(rf"(?<![\w.(-])(?<![×+/*-] )({TERM}(?: [+-] {TERM})+) = ({NUMBER})( \(rounded\))?")

WALK = """() => {
    const texts = (where) => [...document.querySelectorAll(where)].map(x => x.textContent);
    const slider = document.getElementById("step");
    const found = [];
    for (let k = 0; k <= Number(slider.max); k++) {
        slider.value = String(k);
        slider.dispatchEvent(new Event("input"));
        found.push({
            headline: texts("#headline")[0], remark: texts("#remark")[0],
            codes: texts("#working code"), amounts: texts("#working .amount"),
            sums: texts("#reasons .sum"), reasons: texts("#reasons .reason"),
        });
    }
    return {cards: found, sentences: texts("#transcript-steps li")};
}"""


# --- an independent judge ---------------------------------------------------------


def whole_derivatives(steps, result):
    """The gradient of one node by all others, computed on new Values by the engine."""
    fresh = []
    for node in steps.nodes[: result + 1]:
        if node.op:
            fresh.append(TABLE[node.op](*[fresh[x] for x in node.operands]))
        else:
            fresh.append(node.value if node.kind == "constant" else Value(node.value))
    fresh[result].backward()
    return [x.grad if isinstance(x, Value) else 0.0 for x in fresh]


def edge_derivative(steps, result, place):
    """The derivative along one edge: its operand is a Value of its own."""
    node = steps.nodes[result]
    xs = [Value(steps.nodes[x].value) for x in node.operands]
    constant = [steps.nodes[x].kind == "constant" for x in node.operands]
    TABLE[node.op](*[x.data if c else x for x, c in zip(xs, constant, strict=True)]).backward()
    return xs[place].grad


def written(text):
    return float(text.strip("()"))


def close(text, truth):
    """Whether a shown number is that one, up to its own digits."""
    found = written(text)
    if math.isnan(truth) or math.isinf(truth):
        return found == truth or (math.isnan(found) and math.isnan(truth))
    return text.strip("()") == number_text(truth) or math.isclose(
        found, truth, rel_tol=6e-4, abs_tol=6e-5 if abs(truth) >= 0.01 else 0.0
    )


def adds_up(words):
    """Whether the sums in a text are right as they are written, or are called rounded."""
    for terms, total, rounded in SUM.findall(words):
        if rounded or "n" in terms + total:  # nan, inf
            continue
        found = Decimal(0)
        for sign, term in re.findall(rf"(^| \+ | - )({TERM})", terms):
            found += Decimal(term.strip("()")) * (-1 if "-" in sign else 1)
        if found != Decimal(total):
            return False
    return True


def places_as_written(node, operand):
    places = [k for k, x in enumerate(node.operands) if x == operand]
    half = len(node.operands) // 2
    if node.op == "dot":
        places.sort(key=lambda k: (k % half, k))
    return places


class Lifted(ast.NodeTransformer):
    """Numbers become Values: a division by zero is an infinity then."""

    def visit_Constant(self, node):
        return ast.parse(f"Value({node.value!r})", mode="eval").body

    def visit_Name(self, node):
        return (
            node
            if node.id not in ("inf", "nan")
            else ast.parse(f"Value({node.id})", mode="eval").body
        )


def evaluated(rule, steps):
    """A rule's number: its names are the nodes'."""
    names = {x.name: Value(x.value) for x in steps.nodes if x.kind != "constant"}
    tree = ast.parse(rule.replace("×", "*"), mode="eval")
    known = {**TABLE, "inf": math.inf, "nan": math.nan}
    found = eval(compile(Lifted().visit(tree), "rule", "eval"), {**known, "Value": Value}, names)
    return found.data


def check_sentence(words, x, steps, whole):
    found = SENTENCE.fullmatch(words)
    assert found, words
    result, operand, upstream, over, under, rule, local, amount, root, to, part, total = (
        found.groups()
    )
    nodes = steps.nodes
    assert (result, operand) == (nodes[x.result].name, nodes[x.operand].name)
    assert (over, root, to) == (result, nodes[-1].name, operand)
    assert close(upstream, whole[len(nodes) - 1][x.result])
    along = edge_derivative(steps, x.result, x.place)
    if under.startswith("("):
        places = places_as_written(nodes[x.result], x.operand)
        which = ORDINALS[places.index(x.place)] if len(places) > 1 else ""
        assert under == (f"({which} {operand})" if which else f"({operand} on this edge)")
    else:
        assert under == operand
        assert close(local, whole[x.result][x.operand]), words
    assert close(local, along), words
    if rule:
        truth = evaluated(rule, steps)
        assert close(local, truth) or number_text(along) == number_text(truth), words
    assert close(amount, x.amount)
    shown = total.removesuffix(" (rounded)").split(" = ")[-1]
    assert close(shown, x.after if part else whole[len(nodes) - 1][x.operand]), words
    last = [y for y in steps.contributions if y.operand == x.operand][-1] is x
    assert bool(part) != last
    assert adds_up(total)


def check_page(page, root):
    steps = take_steps(root)
    known = {x.result for x in steps.contributions} | {len(steps.nodes) - 1}
    whole = {n: whole_derivatives(steps, n) for n in known}
    told = page.evaluate(WALK)
    first = len(steps.computed) + 2
    for k, x in enumerate(steps.contributions, first):
        check_sentence(told["sentences"][k], x, steps, whole)
        card = told["cards"][k]
        last = [y for y in steps.contributions if y.operand == x.operand][-1] is x
        name = f"∂{steps.nodes[-1].name}/∂{steps.nodes[x.operand].name}"
        assert card["codes"][1].split(" = ")[0] in told["sentences"][k]
        assert card["codes"][2] == f"to {name}"
        assert card["sums"][1].startswith(f"{name}{'' if last else ' so far'} = ")
        if x.before is not None:
            assert (" so far" in told["cards"][k]["sums"][1]) != last
            assert adds_up(f"{card['codes'][3]} = {card['amounts'][3]}")
        assert not re.search(r"[+×] -", " ".join([*card["codes"], *card["reasons"]]))
        check_card(card, x, steps)
    for n, words in zip(steps.computed, told["sentences"][1 : first - 1], strict=True):
        check_forward(words, n, steps)
    check_ends(told, steps, whole[len(steps.nodes) - 1])


def shown_operand(steps, n):
    """An operand as a formula with numbers has it."""
    node = steps.nodes[n]
    return literal(node.value) if node.kind == "constant" else number_text(node.value)


def check_forward(words, n, steps):
    """An operation with names, with numbers, and what comes out."""
    node = steps.nodes[n]
    assert adds_up(words), words
    assert not re.search(r"[-+×/] -", words), words
    name, *parts = words.removeprefix("Forward: ").removesuffix(".").split(" = ")
    assert name == node.name
    assert parts[-1].removesuffix(" (rounded)") == number_text(node.value), words
    if len(parts) == 3:
        assert parts[0] == node.formula
    if "…" not in words and node.op in COUNTED:
        assert close(number_text(node.value), evaluated(node.formula, steps)), words
    if len(parts) > 1 and "…" not in words:
        found = [written(x) for x in re.findall(NUMBER, parts[-2])]
        operands = [shown_operand(steps, x) for x in node.operands]
        for text in operands if parts[-2] == node.numbers else ():
            sizes = [abs(x) for x in found]
            assert abs(float(text)) in sizes or "n" in text, (words, text)


COUNTED = {"add", "sub", "mul", "div", "neg", "sum", "dot", "tanh", "exp", "sin", "relu", "abs"}


def check_card(card, x, steps):
    """A contribution's card: its numbers, how many arrive, and the reasons below it."""
    wanted = [x.upstream, x.local, x.amount, *([x.after] if x.before is not None else [])]
    shown = [text.removesuffix(" (rounded)") for text in card["amounts"]]
    assert shown == [*map(number_text, wanted)]
    name, operand = steps.nodes[x.result].name, steps.nodes[x.operand].name
    mine = [y for y in steps.contributions if y.operand == x.operand]
    places = places_as_written(steps.nodes[x.result], x.operand)
    words = f"{len(mine)} contributions arrive at {operand}, and they add up; "
    words += f"this is number {mine.index(x) + 1}."
    if len(places) > 1:
        which = ORDINALS[places.index(x.place)]
        edges = f"{len(places)} edges run from {name} to {operand}"
        words = f"{edges}; this is the one of the {which} {operand}. {words}"
    alone = f"Nothing else arrives at {operand}: this is its whole gradient."
    assert card["remark"] == (words if len(mine) > 1 else alone)
    for text, y in zip(card["reasons"], mine, strict=True):
        done = mine.index(y) <= mine.index(x)
        told = f"{number_text(y.upstream)} × {number_text(y.local)}{number_text(y.amount)}"
        assert text.startswith(f"from {steps.nodes[y.result].name}")
        assert text.replace("(", "").replace(")", "").endswith(told if done else "later")


def check_ends(told, steps, whole):
    """Where it starts, the seed, and where it ends."""
    root, first = steps.nodes[-1].name, len(steps.computed) + 1
    leaves = [(n, x) for n, x in enumerate(steps.nodes) if x.kind in ("input", "parameter")]
    start = ", ".join(f"{x.name} = {number_text(x.value)}" for _, x in leaves)
    assert told["sentences"][0] == f"Start. {start or 'nothing'}."
    seed = f"Backward, from the output: ∂{root}/∂{root} = {number_text(steps.seed)}."
    assert told["sentences"][first] == seed
    gradients = dict(re.findall(rf"∂{re.escape(root)}/∂(\S+) = ({NUMBER})", told["sentences"][-1]))
    reached = {x.name: whole[n] for n, x in leaves if n in steps.gradients}
    assert gradients.keys() == reached.keys()
    for name, truth in reached.items():
        assert close(gradients[name], truth), name


@pytest.mark.slow
@in_browser
@examples(30, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # a graph is small
@given(values=graphs())
def test_every_sentence_about_a_random_graph_is_true(opened, tmp_path_factory, values):
    path = viz.play(values[-1], tmp_path_factory.mktemp("graphs") / "x.html")
    with opened(path) as page:
        check_page(page, values[-1])


def detour(a, b):
    return a * (a + b)  # a goes in directly, and by way of the sum


SHAPES = {
    "square": lambda a, b: a * a,
    "detour": detour,
    "cube": lambda a, b: mm.fma(a, b, a) if hasattr(mm, "fma") else a * b + a,
    "dot": lambda a, b: TABLE["dot"](b, a, a, b + 1),
    "sum": lambda a, b: TABLE["sum"](a, a, a, b),
    "power": lambda a, b: (a * a) ** (b * b) + a**0 + b**2,
    "zero": lambda a, b: (a - a) ** (b * b) * 2,
    "minus": lambda a, b: -3 * a - -b * -2,
}


@in_browser
@pytest.mark.parametrize("shape", SHAPES)
def test_every_sentence_about_edges_is_true(opened, tmp_path, shape):
    a, b = Value(-0.7551, label="a"), Value(0.0413, label="b")
    y = SHAPES[shape](a, b)
    with opened(viz.play(y, tmp_path / "x.html")) as page:
        check_page(page, y)


# --- words ------------------------------------------------------------------------


@in_browser
def test_a_square_names_its_two_edges(neuron, opened):
    path, values, steps = neuron
    d = number_text(values["d"].data)
    with opened(path) as page:
        told = page.evaluate(WALK)
        k = len(steps.computed) + 2
        assert told["cards"][k]["headline"] == "What loss passes back to its first d"
        assert told["cards"][k]["codes"] == [
            "∂loss/∂loss", "∂loss/∂(first d) = d", "to ∂loss/∂d",
        ]  # fmt: skip
        assert (
            "2 edges run from loss to d; this is the one of the first d"
            in (told["cards"][k]["remark"])
        )
        assert f"so ∂loss/∂d so far = {d}." in told["sentences"][k]
        assert told["cards"][k + 1]["codes"][1] == "∂loss/∂(second d) = d"


@in_browser
def test_a_sum_that_does_not_add_up_as_shown_says_so(opened, tmp_path):
    a = Value(0.04126, label="a")
    y = a * a  # 0.0413 and 0.0413 make 0.0825
    with opened(viz.play(y, tmp_path / "x.html")) as page:
        words = page.evaluate(WALK)["sentences"][-2]
        assert "0.0413 + 0.0413 = 0.0825 (rounded)" in words


@in_browser
def test_with_another_seed_a_gradient_is_that_many_derivatives(opened, tmp_path):
    a = Value(3.0, label="a")
    with record() as recording:
        y = a * 2
        y.label = "y"
        y.backward(5.0)
    with opened(viz.play(recording, tmp_path / "x.html")) as page:
        sentences = page.evaluate(WALK)["sentences"]
        assert "5.0000 × ∂y/∂y = 5.0000" in sentences[2]
        assert "so 5.0000 × ∂y/∂a = 10.0000" in sentences[3]


# --- the quiz ---------------------------------------------------------------------


@in_browser
def test_the_quiz_asks_every_step_and_knows_the_sum(neuron, opened):
    path, _, steps = neuron
    d = next(n for n, x in enumerate(steps.nodes) if x.name == "d")
    with opened(path) as page:
        page.locator("#quiz").click()
        assert page.locator("#asked").text_content() == "What is t1 = w1 × x1?"  # at once
        assert "Type it and press Enter" in page.locator("#mark").text_content()
        for n in steps.computed:
            node = steps.nodes[n]
            hidden = page.locator("main").inner_text()
            assert page.locator(f'[data-node="{n}"] .value').text_content() == "·"
            assert f"{node.formula} = {number_text(node.value)}" not in hidden
            assert answer(page, "1e9").startswith("Not yet")
            page.locator("#hint").click()
            assert page.locator("#mark").text_content().startswith("With numbers")
            assert answer(page, repr(node.value)).startswith("Right")
            page.locator("#next").click()
        page.locator("#next").click()
        for x in steps.contributions:
            mine = [y for y in steps.contributions if y.operand == x.operand]
            if x.operand == d:
                asked = page.locator("#asked").text_content()
                assert asked.endswith(f"by its {ORDINALS[mine.index(x)]} d?")
                said = answer(page, repr(mine[-1].after))
                assert said == "That is both edges together. What comes along this edge alone?"
            assert answer(page, repr(x.amount)).startswith("Right")
            page.locator("#next").click()
        n = len(steps.computed) + len(steps.contributions)
        assert page.locator("#score").text_content() == (
            f"Score: {len(steps.contributions)} of {n} right at the first try"
        )


@in_browser
def test_the_quiz_hides_what_it_asks_in_the_training_too(training, opened):
    path, _ = training
    with opened(path) as page:
        page.locator("#quiz").click()
        for _ in range(2):
            cells = page.locator("#parameters td:nth-child(3)").all_text_contents()
            assert set(cells) == {"?"}
            assert page.locator("#loss-text").text_content() == "loss ?"
            titles = page.locator("#network title").all_text_contents()
            assert all("gradient ?" in x for x in titles if "gradient" in x)
            assert page.locator("input[value=gradients]").is_disabled()
            assert page.locator("#curve-card").is_hidden()
            page.locator("#reveal").click()
            page.locator("#next").click()
        page.locator("#quiz").click()
        assert "?" not in page.locator("#parameters td:nth-child(3)").first.text_content()
        assert page.locator("#curve-card").is_visible()


@in_browser
def test_the_quiz_is_saved_with_answers_and_without(neuron, opened, tmp_path):
    path, _, steps = neuron
    found = {}
    with opened(path, fresh=True) as page:
        page.locator("#quiz").click()
        for kind in ("questions", "answers"):
            with page.expect_download() as download:
                page.locator(f"#save-{kind}").click()
            download.value.save_as(tmp_path / kind)
            found[kind] = (tmp_path / kind).read_text(encoding="utf-8")
            assert download.value.suggested_filename.endswith(".html")
    answers = [number_text(steps.nodes[n].value) for n in steps.computed]
    answers += [number_text(x.amount) for x in steps.contributions]
    assert re.findall("<strong>(.*?)</strong>", found["answers"]) == answers
    assert found["questions"].count("<li>") == found["answers"].count("<li>") == len(answers)
    given = {number_text(x.value) for x in steps.nodes if not x.op}
    assert not [x for x in set(answers) - given if x in found["questions"]]
    assert "add to ∂loss/∂d by its second d?" in found["questions"]


# --- NaN and infinity ---------------------------------------------------------------


@in_browser
def test_the_step_in_which_nan_arose_is_named_and_one_click_away(opened, tmp_path):
    x, w = Value(0.0, label="x"), Value(2.0, label="w")
    s = w * x
    s.label = "s"
    y = mm.log(s) * 0.0 + w
    with opened(viz.play(y, tmp_path / "x.html")) as page:
        told = page.locator("#trouble")
        assert "-inf, arose in step 2: in t1 = log(s)" in told.text_content()
        page.locator("#to-trouble").click()
        assert page.locator("#headline").text_content() == "t1 = log(s)"
        red = page.evaluate(
            """() => [...document.querySelectorAll("#working .bad, .node .bad")]
            .map(x => [x.textContent, getComputedStyle(x).color])"""
        )
        assert len(red) >= 2
        assert {colour for _, colour in red} == {"rgb(168, 0, 48)"}
        page.locator("#quiz").click()
        assert told.is_hidden()  # it would tell what is asked
        page.locator("#quiz").click()
        page.keyboard.press("End")
        bad = page.locator(".node .bad").all_text_contents()
        shown = page.locator(".node .value, .node .gradient").all_text_contents()
        assert sorted(bad) == sorted(x for x in shown if "nan" in x or "inf" in x)


@in_browser
def test_finite_pages_have_no_trouble_and_trainings_name_the_iteration(opened, tmp_path, training):
    with opened(training[0]) as page:
        assert page.locator("#trouble").is_hidden()
        assert page.locator(".bad").count() == 0
    w = Value(1.0, label="w")
    with record() as recording:
        for k in range(3):
            (mm.log(w) / (k - 1.0 if k != 1 else 1e-300) / 1e-300).backward()
            w.data += 1.0
    with opened(viz.play(recording, tmp_path / "x.html")) as page:
        assert "arose in iteration 2, step " in page.locator("#trouble").text_content()
        page.locator("#to-trouble").click()
        assert page.locator("#iteration-text").text_content() == "Iteration 2 of 3"
