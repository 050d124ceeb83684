"""The palette: readable text, visible lines, a colour for every number."""

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viz.output import palette
from viz.output.palette import DARK, LIGHT, extent, mix, signed

KINDS = ("input", "parameter", "constant", "operation", "computed", "output")
STATUSES = ("moved", "flipped", "new", "gone")


def luminance(colour):
    """As WCAG 2.1 defines it."""
    parts = [x / 255 for x in bytes.fromhex(colour[1:])]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", palette.THEMES.values(), ids=palette.THEMES)
def test_text_is_readable_and_lines_are_visible(theme):
    for fill in ("background", *KINDS, *STATUSES):
        assert contrast(theme.ink, getattr(theme, fill)) >= 7
        assert contrast(theme.muted, getattr(theme, fill)) >= 4.5
    for colour in (theme.negative, theme.positive, theme.wrong):
        assert contrast(colour, theme.background) >= 3


@pytest.mark.parametrize("theme", palette.THEMES.values(), ids=palette.THEMES)
def test_what_became_of_an_entry_has_colours_of_its_own(theme):
    fills = [getattr(theme, name) for name in (*KINDS, *STATUSES)]
    assert len(set(fills)) == len(fills)


@pytest.mark.parametrize("theme", palette.THEMES.values(), ids=palette.THEMES)
def test_the_scale_can_be_told_apart_without_seeing_hues(theme):
    ends = theme.negative, theme.zero, theme.positive, theme.wrong
    for a, b in itertools.combinations(ends, 2):
        assert contrast(a, b) > 1.2


@given(st.floats(), st.floats(min_value=0.0), st.sampled_from([LIGHT, DARK]))
def test_every_number_has_a_colour(x, scale, theme):
    colour = signed(x, scale, theme)
    assert re.fullmatch("#[0-9a-f]{6}", colour)
    assert (colour == theme.wrong) == (not math.isfinite(x))
    assert (colour == theme.zero) == (x == 0)


@given(st.floats(1e-9, 1.0), st.floats(1e-9, 1.0))
def test_larger_numbers_are_no_paler(a, b):
    weak, strong = sorted((a, b))
    for sign, end in ((-1, LIGHT.negative), (1, LIGHT.positive)):
        colours = [signed(sign * x, 1.0, LIGHT) for x in (weak, strong)]
        gaps = [distance(c, end) for c in colours]
        assert gaps[0] >= gaps[1] - 3  # rounding
        assert distance(colours[0], LIGHT.zero) > 30


def distance(a, b):
    return sum(abs(x - y) for x, y in zip(bytes.fromhex(a[1:]), bytes.fromhex(b[1:]), strict=True))


def test_a_scale_is_the_largest_finite_size():
    assert extent([0.5, -2.0, math.inf, math.nan]) == 2.0
    assert extent([]) == extent([0.0, math.nan]) == 1.0
    assert mix("#000000", "#ffffff", 0.0) == "#000000"
