"""Samples of two features, and what a model says of everything between them, for a page.

The model is traced once; its program, printed as JavaScript, is what the page asks for each of
its pixels, with the parameters of the iteration that is shown.
"""

from collections.abc import Callable
from typing import Any

from miniflow.nn import Module
from miniflow.ops import real
from miniflow.program.javascript import check_rows, flat_functions
from miniflow.program.program import Program
from miniflow.program.trace import trace
from viz.output.checks import wrong_type
from viz.output.palette import SERIES
from viz.output.samples import checked_samples, class_numbers, reach
from viz.player.whatif import JSON


class Boundary:
    """The samples that a model learns from, checked, and the model as a program.

    Attributes:
        points, classes: the samples' features, and the number of each one's class, from 0.
        threshold: the score at the boundary.
        program: from two features to the model's scores.
        refused: why no page can run it; "" if one can.
    """

    def __init__(self, model: Module | None, data: Any, threshold: float) -> None:
        if model is None:
            raise ValueError("record: data are shown with what a model says of them; give it, too")
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise wrong_type("record", "data", "a pair (x, y) of samples and labels", data)
        self.points, labels = checked_samples("record", *data)
        self.threshold = real(threshold, "record: threshold")
        says: Callable[..., Any] = model  # type: ignore[assignment]
        self.program: Program = trace(says, list(self.points[0]))
        self.classes = class_numbers("record", labels, len(self.program.outputs))
        self.parameters = {v: k for k, v in enumerate(model.parameters())}
        self.refused = self._refusal()

    def _refusal(self) -> str:
        """Why a page cannot say what the model says; "" if it can."""
        if self.program.guards:
            return "The model takes other branches for other samples: its boundary is not drawn."
        if not self.parameters.keys() >= set(self.program.captured):
            return "The model reads Values that are not its parameters: its boundary is not drawn."
        try:
            check_rows("record", self.program)
        except TypeError as error:
            return f"The boundary is not drawn: {str(error).removeprefix('record: ')}."
        return ""

    def data(self) -> JSON:
        """The samples, and which parameters the program takes after the two features."""
        low, high = zip(*[reach([x[k] for x in self.points]) for k in (0, 1)], strict=True)
        return {
            "points": self.points,
            "classes": self.classes,
            "low": low,
            "high": high,
            "threshold": self.threshold,
            "colours": SERIES,
            "captured": [self.parameters.get(v, -1) for v in self.program.captured],
        }


def boundary_script(boundary: Boundary | None) -> str:
    """The program as JavaScript: BOUNDARY, null where there is none."""
    if boundary is None or boundary.refused:
        return "const BOUNDARY = null;\n"
    functions = flat_functions({"says": boundary.program})
    return f"const BOUNDARY = (() => {{\n{functions}return says;\n}})();\n"
