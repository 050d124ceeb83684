"""Pictures of what miniflow computes.

Nothing is imported before it is used: `import viz` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viz.dot import draw_dot, render
    from viz.pictures import Diagram
    from viz.player import play
    from viz.recording import Recording, record

__all__ = ["Diagram", "Recording", "draw_dot", "play", "record", "render"]

_HOMES = {
    "Diagram": "viz.pictures",
    "Recording": "viz.recording",
    "draw_dot": "viz.dot",
    "play": "viz.player",
    "record": "viz.recording",
    "render": "viz.dot",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
