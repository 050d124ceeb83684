"""What a notebook shows: of every kind of object, true and not too much."""

import html
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import viz
from miniflow import Tape, Value, debug, grad, jacobian, jit, math, nn, no_grad, optim, trace, vmap
from miniflow.micrograd import engine
from miniflow.micrograd import nn as micrograd
from support.profiles import scaled
from support.project import FILES
from viz.notebook.highlight import highlighted
from viz.output.text import number_text


def shown(x):
    """What a notebook shows of an object, well formed."""
    found = x._repr_html_()
    ET.fromstring(
        re.sub(r"(?s)<style>.*?</style>", "", html.unescape(re.sub("&(lt|gt|amp);", "", found)))
    )
    return found


def cells(text):
    return [html.unescape(x) for x in re.findall(r"<td[^>]*>(.*?)</td>", text)]


def f(x, y=2.0):
    """Twice x, and more: < & >."""
    # a remark
    return x * 2 + y


def test_a_value_is_its_numbers_and_its_graph():
    a = Value(2.0, label="a <b> & c")
    y = math.tanh(a) * 3
    y.backward()
    assert cells(shown(a)) == ["a <b> & c", "2.0000", number_text(a.grad)]
    text = shown(y)
    assert cells(text)[:3] == ["mul", number_text(y.data), "1.0000"]
    assert "<svg" in text


def test_a_wide_diagram_is_as_wide_as_there_is_room():
    a = Value(2.0)
    y = a * a
    assert re.search(r'<svg width="\d+pt"', viz.draw_dot(y)._repr_mimebundle_()["image/svg+xml"])
    for _ in range(10):
        y = y * 1.5
    for svg in (viz.draw_dot(y)._repr_mimebundle_()["image/svg+xml"], shown(y)):
        head = re.search("<svg[^>]*>", svg)[0]
        assert 'width="100%"' in head
        assert "height" not in head
        assert "viewBox" in head


def test_a_large_graph_is_not_drawn():
    y = Value(1.0)
    for _ in range(100):
        y = y * 1.01
    assert "<svg" not in shown(y)
    assert "201 entries" in shown(y)


def test_a_tape_is_a_table():
    with Tape() as tape:
        x = Value(3.0, label="x")
        y = x * x
        y.backward()
    assert cells(shown(tape)) == ["0", "leaf", "", "3.0000", "6.0000", "x",
                                  "1", "mul", "0 0", "9.0000", "1.0000", ""]  # fmt: skip
    with Tape() as tape:
        for _ in range(1000):
            y = y * 1.0
    text = shown(tape)
    assert "… 1,960 more …" in text
    assert len(text) < 10_000


def test_what_is_wrong_is_marked():
    assert 'class="n wrong">nan' in shown(Value(float("nan")))


def test_models_and_optimisers_show_their_parameters():
    model = nn.MLP(2, [3, 1], seed=1)
    adam = optim.Adam(model.parameters(), lr=0.5)
    for x in (model, model.layers[0], model.layers[0].neurons[0]):
        assert "<svg" in shown(x)
    found = cells(shown(model))
    for name, p in model.named_parameters():
        k = found.index(name)
        assert found[k + 1 : k + 3] == [number_text(p.data), number_text(p.grad)]
    assert cells(shown(adam))[:2] == ["lr", "0.5"]
    old = micrograd.MLP(2, [3, 1])
    assert number_text(old.parameters()[0].data) in shown(old)


def test_a_module_of_ones_own_shows_its_parameters():
    class Line(nn.Module):
        def __init__(self):
            self.slope = Value(2.0)

    assert cells(shown(Line()))[:2] == ["slope", "2.0000"]


def test_a_repr_of_ones_own_is_shown():
    class Line(nn.Module):
        def __repr__(self):
            return "y = a x"

    class Named(engine.Value):
        def __repr__(self):
            return "named"

    assert Line()._repr_html_() is None
    assert Named(1.0)._repr_html_() is None


@pytest.mark.parametrize("made", [grad, jit, vmap, jacobian])
def test_functions_show_their_source(made):
    text = shown(made(f))
    plain = html.unescape(re.sub("<[^>]*>", "", text))
    assert f"<{made.__name__} of f>" in plain
    assert "    return x * 2 + y" in plain
    assert "# a remark" in plain


def test_what_has_no_source_shows_its_name():
    built = eval("lambda x: x * 2")
    assert "grad of" in shown(grad(built))
    assert "<pre>" not in shown(grad(built))


def test_a_program_is_source():
    program = trace(grad(lambda x: x * math.exp(x)), 2.0)
    plain = html.unescape(re.sub("<[^>]*>", "", shown(program)))
    assert program.source().strip() in plain
    assert str(program) in plain


def test_snapshots_recordings_and_micrograds_values():
    a = Value(2.0, label="a")
    y = a * a
    assert "<svg" in shown(viz.snapshot(y))
    assert viz.record()._repr_html_() is None
    with viz.record() as recording:
        (a * a).backward()
    assert "<iframe" in recording._repr_html_()
    assert cells(shown(engine.Value(2) * 3))[:2] == ["mul", "6.0000"]
    for number in (1 + 2j, 10**400):
        assert (engine.Value(number) * 2)._repr_html_() is None


def test_answers_are_their_text_and_the_graph_with_what_was_found():
    x = Value(0.0, label="x")
    shown = debug.kinks(math.relu(x))._repr_html_()
    assert "<pre>1 kink\n  relu(0.0)" in shown
    assert shown.count("<svg") == 1
    assert "marked" in shown
    y = x
    for _ in range(100):
        y = y * 1.0
    shown = debug.why(y, x)._repr_html_()
    assert "<svg" not in shown  # it is too large to be drawn without being asked for


def test_nothing_changes_and_nothing_raises_anywhere():
    with Tape() as tape:
        a = Value(2.0)
        y = a * a
        y._repr_html_()
        viz.play(y)._repr_html_()
    assert len(tape) == 2
    assert a.grad == 0.0
    with no_grad():
        assert "constant" in shown(a * a)
    assert trace(lambda x: x * 2 if x._repr_html_() is None else x, 2.0)(3.0) == 6.0


def test_without_graphviz_there_are_the_numbers(no_dot, monkeypatch):
    monkeypatch.setattr("viz.output.pictures.find_spec", lambda name: None)
    a = Value(2.0)
    assert cells(shown(a * a))[:2] == ["mul", "4.0000"]


# --- source ---------------------------------------------------------------------


def plain(text):
    return html.unescape(re.sub(r"</?(?:b|span)[^>]*>", "", text))


def test_source_keeps_every_character():
    for path in FILES[:: max(1, len(FILES) // scaled(100))]:
        text = path.read_text("utf-8")
        assert plain(highlighted(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_whatever_is_no_source_is_shown_as_it_stands(text):
    assert plain(highlighted(text)) == text
