"""Pictures of what miniflow computes.

Nothing is imported before it is used: `import viz` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viz.compare import diff
    from viz.dot import draw_dot, render
    from viz.graph import snapshot
    from viz.pictures import Diagram

__all__ = ["Diagram", "diff", "draw_dot", "render", "snapshot"]

_HOMES = {
    "Diagram": "viz.pictures",
    "diff": "viz.compare",
    "draw_dot": "viz.dot",
    "render": "viz.dot",
    "snapshot": "viz.graph",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
