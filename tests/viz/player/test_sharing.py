"""Sharing in a real browser: links to a step, presenting, pictures, texts, frames."""

import ast
import cmath
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser

import viz
from miniflow import Value, math
from support.browser import forwards, in_browser, shown
from support.profiles import examples
from support.project import ROOT

SVG = "{http://www.w3.org/2000/svg}"


def text_of(page, kind):
    """The text that the page offers to be copied."""
    if page.locator("#sharing").is_hidden():
        page.locator("#share").click()
    page.locator(f"#as-{kind}").click()
    return page.locator("#shared").input_value()


def to_step(page, k):
    page.locator("#step").fill(str(k))


def saved(page, kind, path):
    """A file that the page gives to be saved."""
    with page.expect_download() as waiting:
        page.locator(f"#as-{kind}").click()
    waiting.value.save_as(path)
    return path.read_bytes(), waiting.value.suggested_filename


@in_browser
def test_a_link_leads_to_its_step(neuron, training, opened):
    path, _, _ = neuron
    with opened(path) as page:
        to_step(page, 16)
        link = text_of(page, "link")
        assert link == f"{path.resolve().as_uri()}#step=16"
        assert 'src="neuron.html#step=16"' in text_of(page, "embedding")
        to_step(page, 9)
        assert text_of(page, "link").endswith("#step=9")
        for address, step in (
            (link, 16),
            (link + "&present", 16),
            ("#step=3", 3),
            ("#step=99", 18),
        ):
            page.evaluate("x => { location.hash = x.split('#')[1] }", address)
            page.wait_for_function(f"document.querySelector('#step').value === '{step}'")
        page.evaluate("location.hash = 'step=x&nothing=1'")  # what is no step changes nothing
        assert page.locator("#step").input_value() == "18"
    path, recording = training
    with opened(path) as page:
        page.evaluate("location.hash = 'iteration=5&step=4'")
        page.wait_for_function("document.querySelector('#step').value === '4'")
        assert page.locator("#iteration-text").text_content() == f"Iteration 5 of {len(recording)}"
        assert text_of(page, "link").endswith("#iteration=5&step=4")


@in_browser
def test_presenting_shows_graph_and_card_alone(neuron, opened):
    path, _, _ = neuron
    with opened(path) as page:
        small = page.locator("#headline").evaluate("x => parseFloat(getComputedStyle(x).fontSize)")
        page.locator("#present").click()
        for name in (".switches", "#bar", "#why", "#transcript", ".strip"):
            assert page.locator(name).is_hidden()
        large = page.locator("#headline").evaluate("x => parseFloat(getComputedStyle(x).fontSize)")
        assert large > 1.5 * small
        page.keyboard.press("ArrowRight")
        assert page.locator("#count").text_content().startswith("Step 1 ")
        size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        width, height = page.evaluate(size)
        assert (width, height <= 830) == (1280, True)
        page.keyboard.press("Escape")
        assert page.locator(".switches").is_visible()
        page.keyboard.press("p")
        page.locator("#unpresent").click()
        assert page.locator("#bar").is_visible()


@in_browser
def test_pictures_of_a_step(neuron, opened, tmp_path):
    path, _, steps = neuron
    with opened(path, fresh=True) as page:
        page.locator("#share").click()
        to_step(page, 12)
        svg, name = saved(page, "svg", tmp_path / "x.svg")
        assert name == "step-12.svg"
        root = ET.fromstring(svg)
        words = [x.text for x in root.iter(f"{SVG}text") if x.text]
        assert page.locator("#headline").text_content() in words
        for n, node in enumerate(steps.nodes):
            if node.kind != "constant":
                assert set(shown(page, n)) <= set(words)
        assert b"var(" not in svg
        assert b"class=" not in svg.replace(b'class="tag"', b"")
        png, name = saved(page, "png", tmp_path / "x.png")
        assert name == "step-12.png"
        assert png.startswith(b"\x89PNG")
        width, height = (int.from_bytes(png[k : k + 4], "big") for k in (16, 20))
        assert width == pytest.approx(2 * float(root.get("width")), abs=2)
        assert height == pytest.approx(2 * float(root.get("height")), abs=2)


def lines_of(latex):
    """The equations of aligned LaTeX, each set by an independent program."""
    assert latex.startswith("\\begin{aligned}\n")
    lines = [x.strip() for x in latex.splitlines()[1:-1]]
    parser = MathTextParser("path")
    for line in lines:
        parser.parse("$" + line.removesuffix("\\\\").replace("&", "", 1) + "$")
    return lines


@in_browser
def test_the_derivation_as_text_and_as_latex(neuron, opened):
    path, values, steps = neuron
    with opened(path) as page:
        page.keyboard.press("End")
        text, latex = text_of(page, "text"), text_of(page, "latex")
        d = values["d"].data
        assert text.splitlines()[0] == "t1 = w1 × x1 = -1.5000 × 2.0000 = -3.0000"
        sums = "∂loss/∂d = ∂loss/∂loss · d + ∂loss/∂loss · d = "
        numbers = f"1.0000 · ({d:.4f}) + 1.0000 · ({d:.4f}) = {2 * d:.4f}"
        assert sums + numbers in text.splitlines()
        assert len(text.splitlines()) == len(steps.computed) + len(steps.gradients)
        lines = lines_of(latex)
        assert (
            lines[0]
            == r"t_{1} &= w_{1} \cdot x_{1} = \left(-1.5000\right) \cdot 2.0000 = -3.0000 \\"
        )
        assert len(lines) == len(text.splitlines())
        assert r"\frac{\partial \mathrm{loss}}{\partial w_{1}} &= " in latex
        first = next(x for x in steps.contributions if steps.nodes[x.operand].name == "d")
        to_step(page, 2 + len(steps.computed) + steps.contributions.index(first))
        left = r"\frac{\partial \mathrm{loss}}{\partial d}\ \mathrm{so\ far} &= "
        assert lines_of(page.locator("#shared").input_value())[-1].startswith(left)
        page.keyboard.press("Home")
        assert page.locator("#shared").input_value() == "\\begin{aligned}\n\n\\end{aligned}"
        page.locator("#copy").click()
        assert page.locator("#copied").text_content()


def awkward():
    """Names and operations that are easily written wrongly."""
    a, b = Value(-2.5, label="a_b {c}"), Value(3.0, label="w12")
    c, d = Value(0.5, label="α"), Value(1e-7, label="10% of\nit")
    y = math.where(a < b, a**2, b) / (-b) ** 3 + math.log(b) * math.sqrt(b) - abs(a) // 2
    return y + math.exp(-c * (a - b) / d**0.5) - (a - (b - c)) * -d + math.maximum(a, b, c)


@pytest.mark.slow
@in_browser
def test_every_line_is_latex_and_every_equation_holds(opened, tmp_path):
    with opened(viz.play(awkward(), tmp_path / "x.html")) as page:
        page.keyboard.press("End")
        lines_of(text_of(page, "latex"))
        text = text_of(page, "text")
    checked = 0
    for line in text.splitlines():  # what is said to be equal is, in the digits that are shown
        for left, right in re.findall(r"= ([-\d.() ×·+]+) = (-?[\d.]+)$", line):
            checked += 1
            value = eval(left.replace("×", "*").replace("·", "*"))
            assert value == pytest.approx(float(right), rel=1e-12)
    assert checked > 5


# --- formulas ---------------------------------------------------------------------

NAMES = {"a": 1.25, "w1": -0.75, "rate": 2.5}


def expressions():
    """Formulas with all brackets; ast.unparse leaves those that are needed."""
    leaf = st.sampled_from([*NAMES, "2", "0.5", "1e-07", "3"])
    signs = st.sampled_from(["+", "-", "*", "/"])

    def larger(x):
        exponents = st.sampled_from(["2", "3", "-1"])
        alone = st.sampled_from(["(-{})", "sqrt({})", "exp({})"])
        yield st.builds("({} {} {})".format, x, signs, x)
        yield st.builds("({} ** {})".format, x, exponents)
        yield st.builds(str.format, alone, x)

    return st.recursive(leaf, lambda x: st.one_of(*larger(x)), max_leaves=8)


def read_back(latex):
    """LaTeX as Python: an independent reader of what a formula is set as."""
    text = re.sub(r"_\{(\d+)\}", r"\1", latex)
    text = re.sub(r"\\mathrm\{(\w+)\}", r"\1", text)
    text = text.replace(r"\left(", "(").replace(r"\right)", ")").replace(r"\cdot", "*")
    before = ""
    while text != before:
        before = text
        text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", text)
        text = re.sub(r"\\sqrt\{([^{}]*)\}", r"sqrt(\1)", text)
        text = re.sub(r"\^\{([^{}]*)\}", r"**(\1)", text)
    return text


def value_of(text):
    return eval(text, {"sqrt": cmath.sqrt, "exp": cmath.exp, "e": cmath.e, **NAMES})


@in_browser
def test_a_formula_in_latex_is_the_formula(browser):
    page = browser.new_page()
    script = (ROOT / "viz" / "player" / "script" / "latex.js").read_text("utf-8")
    nodes = [{"name": name, "kind": "input"} for name in NAMES]
    code = f"(x) => {{ const graph = () => ({{nodes: {nodes}}}); {script}; return latexOf(x); }}"

    @given(expressions().map(lambda x: ast.unparse(ast.parse(x))))
    @examples(200)
    def agrees(formula):
        try:
            truth = value_of(formula)
        except (OverflowError, ZeroDivisionError):
            assume(False)
        found = value_of(read_back(page.evaluate(code, formula)))
        assert found == pytest.approx(truth, rel=1e-9, abs=1e-300, nan_ok=True)

    agrees()
    page.close()


@in_browser
def test_the_quiz_keeps_its_answers(neuron, opened):
    path, _, _ = neuron
    with opened(path) as page:
        to_step(page, 7)
        page.locator("#quiz").click()
        assert text_of(page, "text") == ""
        forwards(page)
        page.keyboard.press("ArrowRight")
        assert text_of(page, "text").splitlines()[-1] == "∂loss/∂loss = 1.0000"
