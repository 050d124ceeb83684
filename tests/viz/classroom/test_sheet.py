"""Worksheets: the key is right, for whatever seed."""

import html
import re

import mpmath
import pytest

import viz
from miniflow import Tape, Value, math, nn, no_grad
from support.profiles import scaled
from viz.classroom import numbers
from viz.output.text import number_text
from viz.player.steps import take_steps


def neuron(lib=math):
    """A neuron and its loss, by any library's functions."""

    def loss(x1, x2, w1, w2):
        d = lib.tanh(w1 * x1 + w2 * x2) - 0.5
        return d * d

    return loss, {"x1": 2.0, "x2": 0.5, "w1": -1.5, "w2": 1.0}


def powers(lib=math):
    return lambda a, b: lib.log(a) * b**3 + lib.sqrt(a / 2) + b, {"a": 3.0, "b": -2.0}


def unused(lib=math):
    return lambda a, b, c: (a + b) * a + c * 0.25 - b / (a + 10), {"a": -4.0, "b": 0.5, "c": 7.0}


def recorded(shape):
    f, given = shape()
    return f(*(Value(x, label=name) for name, x in given.items()))


def parts(text):
    """The student's sheets and the keys."""
    articles = re.findall(r'(?s)<article class="(\w+)">(.*?)</article>', text)
    return [x for kind, x in articles if kind == "sheet"], [
        x for kind, x in articles if kind == "key"
    ]


def given_numbers(sheet):
    (line,) = re.findall(r"<p>Given: (.*?)\.? Round", sheet)
    return {name: float(x) for name, x in re.findall(r"([\w.]+) = ([-+\d.e]+)", line)}


def answers(key):
    """The gradients that a key gives, by name."""
    found = re.findall(r"<li>∂([^/]+)/∂(\S+) = <b>(\S+)</b></li>", key)
    return {name: text for _, name, text in found}


@pytest.mark.parametrize("shape", [neuron, powers, unused])
def test_the_key_is_right(shape):
    seeds = range(scaled(50))
    tasks, keys = parts(viz.worksheet(recorded(shape), seed=seeds).text)
    assert len(tasks) == len(keys) == len(seeds)
    f, names = shape(mpmath)
    different = set()
    with mpmath.workdps(50):
        for task, key in zip(tasks, keys, strict=True):
            point = given_numbers(task)
            assert list(point) == list(names)
            different.add(tuple(point.values()))
            xs = [mpmath.mpf(x) for x in point.values()]
            assert f"<b>{number_text(float(f(*xs)))}</b>" in key
            for k, name in enumerate(names):
                orders = [int(j == k) for j in range(len(xs))]
                truth = mpmath.diff(f, tuple(xs), tuple(orders))
                assert answers(key)[name] == number_text(float(truth))
    assert len(different) > 0.7 * len(seeds)


def test_each_line_of_a_key_is_true():
    """Upstream x local = contribution, and the contributions add up, as shown."""
    _, (key,) = parts(viz.worksheet(recorded(unused), seed="Ada").text)
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", key)]
    sums = {}
    for gradient, _, *numbers_ in (row for row in rows if len(row) == 5):
        upstream, local, amount = (float(re.sub("</?b>", "", x)) for x in numbers_)
        assert upstream * local == pytest.approx(amount, abs=2e-3)
        sums[gradient.split("/∂")[1]] = sums.get(gradient.split("/∂")[1], 0.0) + amount
    assert sums == {name: pytest.approx(float(x), abs=1e-3) for name, x in answers(key).items()}


def test_a_sheet_has_blanks_where_the_key_has_answers():
    (task,), (key,) = parts(viz.worksheet(recorded(neuron)).text)
    assert given_numbers(task) == neuron()[1]
    assert "<b>" not in task
    assert task.count("<td><i></i></td>") == key.count("<td><b>") > 0
    y = recorded(neuron)
    texts = {number_text(x.value) for x in take_steps(y).nodes if x.op}
    texts -= {number_text(x) for x in neuron()[1].values()}
    drawn = task.partition("<svg")[2].partition("</svg>")[0]
    assert not any(f">{x}<" in drawn for x in texts)
    assert viz.worksheet(y, key=False).text.count('class="key"') == 0


def test_a_seed_gives_the_same_sheet_and_leaves_all_as_it_is(quick_collections):
    y = recorded(neuron)
    y.backward()
    before = [(x.value, x.held) for x in take_steps(y).nodes]
    with Tape() as tape:
        first = viz.worksheet(y, seed=7)
    assert list(tape) == []
    with no_grad():
        assert viz.worksheet(y, seed=7) == first
    assert [(x.value, x.held) for x in take_steps(y).nodes] == before
    assert viz.worksheet(y, seed=8) != first
    assert viz.worksheet(recorded(neuron), seed=[7]).text == first.text


def test_names_kinds_and_the_seed_of_the_sweep_stay():
    model = nn.MLP(2, [2, 1], activation="tanh", seed=0)
    y = model([1.0, -2.0])
    steps = take_steps(y, 3.0)
    (varied,) = numbers.varied(y, steps, [1])
    assert varied.structure == tuple((*x[:-1], None) for x in steps.structure)
    assert varied.seed == 3.0


@pytest.mark.parametrize("x", [0.0, -0.0, 1e300, -1e-12, 123456.0, 0.73, math.nan, math.inf])
def test_given_numbers_are_exact(x):
    """What a sheet gives is the number itself, whatever was there before."""
    y = Value(x, label="a") * Value(0.5, label="b")
    tasks, _ = parts(viz.worksheet(y, seed=range(5)).text)
    steps = numbers.varied(y, take_steps(y), range(5))
    assert [list(given_numbers(x).values()) for x in tasks] == [
        [node.value for node in found.nodes if not node.op] for found in steps
    ]
    assert all(node.value != 0 for found in steps for node in found.nodes)


def test_labels_are_text():
    y = Value(2.0, label="<b>&") * Value(3.0, label="{{style}}")
    text = viz.worksheet(y, title="</title>", seed=1).text
    assert "&lt;b&gt;&amp;" in text
    assert html.unescape(re.search("<title>(.*?)</title>", text)[1]) == "</title>"
    assert "{{style}}" in text


def test_a_page_is_written_or_shown(tmp_path):
    y = recorded(powers)
    assert viz.worksheet(y, tmp_path / "x.html", seed=1) == tmp_path / "x.html"
    page = viz.worksheet(y, seed=1)
    assert page.save(tmp_path / "y.html").read_bytes() == (tmp_path / "x.html").read_bytes()
    assert "<iframe" in page._repr_html_()
    assert repr(page).startswith("<Page 'output = ")


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda y: viz.worksheet(y.data), TypeError, "worksheet: root must be a Value"),
        (lambda y: viz.worksheet(y.detach()), ValueError, "worksheet: this Value is a constant"),
        (lambda y: viz.worksheet(y, "x.pdf"), ValueError, "worksheet: path must end in .html"),
        (lambda y: viz.worksheet(y, seed=1.5), TypeError, "worksheet: seed must be an int"),
        (lambda y: viz.worksheet(y, seed=[1, None]), TypeError, "worksheet: seed must be an int"),
        (lambda y: viz.worksheet(y, seed=[]), ValueError, "range(1, 31)"),
        (lambda y: viz.worksheet(y, title=3), TypeError, "worksheet: title must be a string"),
        (lambda y: viz.worksheet(sum([y] * 70) * y), ValueError, "more than 60"),
        (lambda y: viz.worksheet(math.log(y * 0 - 1), seed=1), ValueError, "choose the leaves"),
    ],
)
def test_mistakes_are_answered(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call(Value(2.0) * 3)
