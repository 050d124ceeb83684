"""The colours that all pictures share, on a light and on a dark page.

Blue is negative, orange is positive, grey is zero; dark red is NaN or infinite. They differ
in hue and in lightness, so that people who see few colours, and printers, tell them apart;
what must not be missed has a second sign besides, such as a dashed line.
"""

from collections.abc import Iterable
from math import isfinite, sqrt
from typing import NamedTuple

FONT = "Helvetica,Arial,sans-serif"
FAINTEST = 0.35  # how far the smallest number is from the grey of zero, on the way to the largest


class Theme(NamedTuple):
    """One set of colours, each as ``#rrggbb``.

    Attributes:
        background: the page.
        ink: text, on the page and on every fill.
        muted: small print, borders, edges that mean nothing more than that.
        grid: rules, frames of clusters.
        input, parameter, constant, operation, computed, output: the fills of boxes.
        moved, flipped, new, gone: those of a comparison, for what became of an entry.
        negative, zero, positive: the scale's ends and its middle.
        wrong: NaN and infinities.
    """

    background: str
    ink: str
    muted: str
    grid: str
    input: str
    parameter: str
    constant: str
    operation: str
    computed: str
    output: str
    moved: str
    flipped: str
    new: str
    gone: str
    negative: str
    zero: str
    positive: str
    wrong: str


LIGHT = Theme(
    background="#ffffff",
    ink="#1f2933",
    muted="#55606d",
    grid="#d5dae1",
    input="#dff0d8",
    parameter="#eae2f8",
    constant="#eff1f3",
    operation="#fdf0cf",
    computed="#f7f9fc",
    output="#d6e8f8",
    moved="#f3e3cf",
    flipped="#fcd9e8",
    new="#c6ece6",
    gone="#e3e7ec",
    negative="#0f6bb5",
    zero="#b4bac2",
    positive="#d96c00",
    wrong="#a80030",
)
DARK = Theme(
    background="#14181f",
    ink="#e8ecf1",
    muted="#a3adb8",
    grid="#3a424e",
    input="#24402b",
    parameter="#3d3160",
    constant="#2f353e",
    operation="#4a3c16",
    computed="#1f2630",
    output="#1d3f5e",
    moved="#453626",
    flipped="#562440",
    new="#0e443e",
    gone="#363d47",
    negative="#5db4ff",
    zero="#68727e",
    positive="#ffb04d",
    wrong="#ff5577",
)
# for curves and classes: told apart by lightness, too (after Okabe & Ito, 2008)
SERIES = [LIGHT.negative, LIGHT.positive, "#007a5e", "#b65f95", "#3d9bd4", "#6b5300"]
THEMES = {"light": LIGHT, "dark": DARK}

# Of pages, besides: values going forward, gradients coming back.
LIGHT_DIRECTIONS = {"forward": "#0b6e66", "backward": "#8a1c8f"}
DARK_DIRECTIONS = {"forward": "#4fd6c6", "backward": "#ef9bf2"}


def extent(numbers: Iterable[float]) -> float:
    """The largest finite size among the numbers: a scale for `signed`; 1.0 if all are zero.

    Example:
        >>> extent([0.5, -2.0, float("inf")])
        2.0
    """
    return max((abs(x) for x in numbers if isfinite(x)), default=0.0) or 1.0


def signed(x: float, scale: float, theme: Theme) -> str:
    """The colour of a number by sign and size, for lines and borders.

    The root of the size counts, so that small numbers, too, show their sign.

    Args:
        x: the number.
        scale: the size, in the units of `x`, that has the full colour; larger ones have it, too.
        theme: the colours.

    Example:
        >>> signed(0.0, 1.0, LIGHT) == LIGHT.zero, signed(-3.0, 2.0, LIGHT) == LIGHT.negative
        (True, True)
    """
    if not isfinite(x):
        return theme.wrong
    if x == 0:
        return theme.zero
    strength = sqrt(min(1.0, abs(x) / scale)) if scale > 0 else 1.0
    share = FAINTEST + (1 - FAINTEST) * strength
    return mix(theme.zero, theme.negative if x < 0 else theme.positive, share)


def mix(first: str, second: str, share: float) -> str:
    """The colour on the way from one to another; `share` is the second's part of it.

    Example:
        >>> mix("#000000", "#ff8000", 0.5)
        '#804000'
    """
    pairs = zip(bytes.fromhex(first[1:]), bytes.fromhex(second[1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)
