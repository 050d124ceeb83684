"""The options that all diagrams share: their defaults, what they mean, what is refused."""

from dataclasses import dataclass

import graphviz  # type: ignore[import-untyped]

from viz.output.checks import one_of
from viz.output.palette import THEMES, Theme

# For each direction of a diagram the sides where edges enter a box and leave it.
DIRECTIONS = {"LR": ("w", "e"), "TB": ("n", "s"), "RL": ("e", "w"), "BT": ("s", "n")}
# What the suffix of a file's name says of its format.
SUFFIX_FORMATS = {".svg": "svg", ".png": "png", ".pdf": "pdf", ".dot": "dot", ".gv": "dot"}


@dataclass(frozen=True)
class PictureOptions:
    """How a diagram is drawn.

    Attributes:
        format: what `Diagram.render` and `Diagram.pipe` write, one of Graphviz's formats.
        rankdir: the direction of the edges, as Graphviz calls it.
        theme: the name of a set of colours.
    """

    format: str = "svg"
    rankdir: str = "LR"
    theme: str = "light"

    @property
    def colours(self) -> Theme:
        """The colours that `theme` names."""
        return THEMES[self.theme]

    def check(self, caller: str) -> None:
        """Refuse options that are unknown.

        Raises:
            ValueError: an option is; the message begins with `caller`.
        """
        one_of(caller, "rankdir", self.rankdir, DIRECTIONS)
        if str(self.format).lower() not in graphviz.FORMATS:
            raise ValueError(
                f"{caller}: format must be 'svg', 'png', 'pdf' or another of graphviz.FORMATS, "
                f"got {self.format!r:.60}"
            )
        one_of(caller, "theme", self.theme, THEMES)
