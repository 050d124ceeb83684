"""What a check says: its words, its numbers, its pictures."""

import math
import re

import pytest

from miniflow import Value, nn
from miniflow import math as m
from miniflow.testing import GradientError, Report, check_grads, inspect_grads
from miniflow.testing.report import distance, ulps_between
from viz.diagram.marking import draw_marked


@pytest.fixture
def softsign(row):
    return row("softsign", lambda x: x / (1 + abs(x)), lambda x, y: 1 / (1 + abs(x)))


@pytest.fixture
def report(softsign):
    def loss(w, x):
        out = softsign(w * x + 0.5)
        return (out - 0.25) ** 2

    return inspect_grads(loss, (0.5, 2.0), order=1)


def test_a_report_in_words(report):
    text = re.sub(r"at .*?test_report.py:\d+", "at test_report.py:N", str(report))
    text = re.sub(r"(0\.224|0\.056)0000000000\d+", r"\1", text)
    assert text.splitlines() == [
        "derivatives of loss: wrong (compared 4 of order 1)",
        "  ∂loss/∂w, reverse mode and forward mode: got 0.5599999999999999, expected 0.224 "
        "(Richardson extrapolation): off by 150 %, 1.21e+16 ulp",
        "  ∂loss/∂x, reverse mode and forward mode: got 0.13999999999999999, expected 0.056 "
        "(Richardson extrapolation): off by 150 %, 1.21e+16 ulp",
        "culprit at test_report.py:N: operation softsign: the partial by x is wrong",
        "    out = softsign(w * x + 0.5)",
        "    ∂softsign/∂x at (1.5)",
        "    got 0.4, expected 0.16: off by 150 %, 8.65e+15 ulp",
    ]


def test_a_report_is_true_if_all_is_right(report):
    assert not report
    assert bool(inspect_grads(m.sin, (0.3,)))
    assert repr(inspect_grads(m.sin, (0.3,))) == "<right: 4 derivatives of <operation sin>>"


def test_the_error_has_the_report(softsign):
    with pytest.raises(GradientError, match="operation softsign: the partial by x") as caught:
        check_grads(softsign, (1.5,))
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value.report, Report)


def test_a_report_is_drawn_with_the_culprit_red(report, tmp_path):
    source = report.draw().source
    assert source.count("#a80030") >= 2
    assert "should be 0.16" in source
    assert ">marked<" in source
    path = report.draw(tmp_path / "report.dot", theme="dark", compact=True)
    assert "should be 0.16" in path.read_text(encoding="utf-8")
    assert "#ff5577" in path.read_text(encoding="utf-8")


def test_a_culprit_in_a_folded_graph_is_red(softsign):
    def f(x):
        for _ in range(300):
            x = x * 0.99 + 0.01
        return softsign(x)

    assert "should be" in inspect_grads(f, (0.5,), order=1).draw(limit=20).source


def test_a_model_is_drawn_and_its_gradients_stay(softsign):
    model = nn.MLP(2, [2, 1], activation=softsign)
    report = inspect_grads(lambda x: model(x), ([0.5, 1.0],), order=1)
    assert "softsign" in report.draw().source
    assert all(p.grad == 0.0 for p in model.parameters())


def test_a_notebook_shows_words_and_picture(report):
    html = report._repr_html_()
    assert "operation softsign: the partial by x is wrong" in html
    assert "<svg" in html


def test_what_records_nothing_is_not_drawn():
    report = inspect_grads(math.exp, (0.5,), grad=math.sin)
    with pytest.raises(ValueError, match="records nothing"):
        report.draw()
    assert "<svg" not in report._repr_html_()


def test_marks_are_of_values_in_the_graph():
    x = Value(2.0, label="x")
    y = x * 3.0
    drawn = draw_marked([y, x + 1], {y: ("first", "second"), Value(1.0): ("elsewhere",)}).source
    assert "first" in drawn
    assert "second" in drawn
    assert "elsewhere" not in drawn
    assert ">marked<" not in draw_marked(y, {}).source


@pytest.mark.parametrize(("got", "expected", "ulps"), [
    (1.0, 1.0, 0.0), (1.0 + 2**-52, 1.0, 1.0), (-5e-324, 5e-324, 2.0), (math.inf, 1.0, math.inf),
    (math.nan, 1.0, math.inf), (math.nan, math.nan, 0.0), (math.inf, math.inf, 0.0),
    (2.0**1023, -(2.0**1023), 2.0**53),
])  # fmt: skip
def test_ulps(got, expected, ulps):
    assert ulps_between(got, expected) == ulps


@pytest.mark.parametrize(("got", "expected", "words"), [
    (1.0, 1.0, "equal"),
    (1.5, 1.0, "off by 50 %, 2.25e+15 ulp"),
    (1.000001, 1.0, "off by 1e-06 times its size, 4.5e+09 ulp"),
    (20.0, 1.0, "off by 19 times its size, 8.56e+16 ulp"),
    (1e-3, 0.0, "off by 0.001"),
    (math.nan, 1.0, "not a number that is near"),
])  # fmt: skip
def test_distances_in_words(got, expected, words):
    assert distance(got, expected) == words
