"""What all answers of this folder are: text that a person can read, and a diagram."""

from importlib import import_module
from typing import Any

from miniflow.tape.core import Value
from miniflow.util.notebook import InNotebook


class Answer(InNotebook):
    """Something that has been found out about a computation.

    Attributes:
        root: the Value, or the list of Values, whose graph it is about.
        marked: Values of that graph that stand out in `draw`, each with a word on why.
    """

    root: Any
    marked: dict[Value, str]

    @property
    def text(self) -> str:
        """All that there is to say, in lines."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.text

    def draw(self, **options: Any) -> Any:
        """The graph as a diagram, what was found marked red.

        Args:
            **options: those of `viz.draw_dot`.
        """
        marking: Any = import_module("viz.diagram.marking")
        marks = {v: (why,) for v, why in self.marked.items()}
        return marking.draw_marked(self.root, marks, **options)
