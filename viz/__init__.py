"""Pictures of what miniflow computes.

Nothing is imported before it is used: `import viz` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viz.compare import diff
    from viz.dot import draw_dot, render
    from viz.graph import snapshot
    from viz.network import draw_network
    from viz.pictures import Diagram
    from viz.player import play
    from viz.plots import plot_decision_boundary, plot_gradients, plot_history
    from viz.recording import Recording, record

__all__ = [
    "Diagram",
    "Recording",
    "diff",
    "draw_dot",
    "draw_network",
    "play",
    "plot_decision_boundary",
    "plot_gradients",
    "plot_history",
    "record",
    "render",
    "snapshot",
]

_HOMES = {
    "Diagram": "viz.pictures",
    "Recording": "viz.recording",
    "diff": "viz.compare",
    "draw_dot": "viz.dot",
    "draw_network": "viz.network",
    "play": "viz.player",
    "plot_decision_boundary": "viz.plots",
    "plot_gradients": "viz.plots",
    "plot_history": "viz.plots",
    "record": "viz.recording",
    "render": "viz.dot",
    "snapshot": "viz.graph",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
