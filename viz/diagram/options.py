"""The options of diagrams of graphs: their defaults, what they mean, what is refused."""

from dataclasses import dataclass
from typing import Any

from viz.output.checks import one_of, some_limit
from viz.output.options import PictureOptions

DETAILS = ("full", "values", "structure")


@dataclass(frozen=True)
class GraphOptions(PictureOptions):
    """How a graph is drawn; `draw_dot` says what each option means."""

    limit: int | None = 400
    detail: str = "full"
    compact: bool = False
    fold: bool | None = None
    legend: bool | None = None
    parameters: Any = None

    def check(self, caller: str) -> None:
        """Refuse options that are unknown.

        Raises:
            TypeError: `limit` is not a number.
            ValueError: an option is unknown; the message begins with `caller`.
        """
        super().check(caller)
        one_of(caller, "detail", self.detail, DETAILS)
        some_limit(caller, "limit", self.limit)

    def folds(self, size: int) -> bool:
        """Whether a graph of so many nodes is folded."""
        return self.fold if self.fold is not None else self.limit is not None and size > self.limit
