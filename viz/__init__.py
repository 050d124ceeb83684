"""Pictures of what miniflow computes.

diagram/       graphs of Values, tapes and programs: draw_dot, render, snapshot, diff
player/        pages that step through a tape or a training: play, record, live
notebook/      what a notebook shows of every object
classroom/     printable sheets: worksheet
model/         networks and plots of training: draw_network, plot_history and others
output/        what all pictures share: options, colours, text, files
expression.py  expressions as people type them
__main__.py    the command ``python -m viz``

Nothing is imported before it is used: `import viz` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viz.classroom.sheet import worksheet
    from viz.diagram.compare import diff
    from viz.diagram.dot import draw_dot, render
    from viz.diagram.graph import snapshot
    from viz.model.network import draw_network
    from viz.model.plots import plot_decision_boundary, plot_gradients, plot_history
    from viz.output.iframe import Page
    from viz.output.pictures import Diagram
    from viz.player.live import Live, live
    from viz.player.page import play
    from viz.player.recording import Recording, record

__all__ = [
    "Diagram",
    "Live",
    "Page",
    "Recording",
    "diff",
    "draw_dot",
    "draw_network",
    "live",
    "play",
    "plot_decision_boundary",
    "plot_gradients",
    "plot_history",
    "record",
    "render",
    "snapshot",
    "worksheet",
]

_HOMES = {
    "Diagram": "viz.output.pictures",
    "Live": "viz.player.live",
    "Page": "viz.output.iframe",
    "Recording": "viz.player.recording",
    "diff": "viz.diagram.compare",
    "draw_dot": "viz.diagram.dot",
    "draw_network": "viz.model.network",
    "live": "viz.player.live",
    "play": "viz.player.page",
    "plot_decision_boundary": "viz.model.plots",
    "plot_gradients": "viz.model.plots",
    "plot_history": "viz.model.plots",
    "record": "viz.player.recording",
    "render": "viz.diagram.dot",
    "snapshot": "viz.diagram.graph",
    "worksheet": "viz.classroom.sheet",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        from miniflow.util.habits import VIZ, advice

        remedy = advice(name, VIZ, __all__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{remedy}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
