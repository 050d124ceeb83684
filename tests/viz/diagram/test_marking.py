"""What is marked stands out in a diagram, and only that."""

import re

import pytest

from miniflow import Tape, Value
from viz import draw_dot
from viz.diagram.marking import draw_marked
from viz.output.palette import DARK, LIGHT


def boxes(source, colour):
    """The boxes with a border of that colour."""
    lines = re.findall(r"^\t*(v\d+) \[(.*)$", source, re.M)
    return [name for name, rest in lines if f'color="{colour}"' in rest.replace("fillcolor", "")]


def test_marked_boxes_are_red():
    with Tape() as tape:
        a = Value(2.0, label="a")
        b = a * 3.0
        c = b + a
    assert boxes(draw_marked(c, {b: ()}).source, LIGHT.wrong) == ["v2"]
    dark = draw_marked(c, {a: (), c: ("here",)}, theme="dark")
    assert boxes(dark.source, DARK.wrong) == ["v0", "v3"]
    assert boxes(draw_marked(tape, {b: ("why",)}).source, LIGHT.wrong) == ["v2"]


def test_without_marks_it_is_the_diagram_of_draw_dot():
    y = Value(2.0) * 3.0
    assert draw_marked(y, {}).source == draw_dot(y).source
    assert draw_marked(y, {Value(1.0): ()}).source == draw_dot(y).source


def test_the_legend_says_what_is_marked():
    y = Value(2.0) * 3.0
    assert ">marked<" in draw_marked(y, {y: ()}).source
    assert ">marked<" not in draw_dot(y).source


def test_unknown_options_are_refused():
    y = Value(2.0) * 3.0
    with pytest.raises(ValueError, match=r"^draw: "):
        draw_marked(y, {y: ()}, theme="pink")
    with pytest.raises(TypeError):
        draw_marked(y, {y: ()}, colour="red")
