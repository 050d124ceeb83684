"""The golden files: the DOT of GRAPHS and of MODELS, what is said of CLASSICS.

After a change that is meant to change them:

    PYTHONPATH=tests python -m support.golden

writes them anew; look at the difference, and at the pictures, before committing.
"""

from support.classics import CLASSICS, autopsy, golden_path
from support.drawn import GRAPHS
from support.networks import MODELS
from support.project import TESTS
from viz import draw_network, render

DIAGRAMS = TESTS / "viz" / "diagram" / "golden"
NETWORKS = TESTS / "viz" / "model" / "golden"


def write():
    """Write all of them anew."""
    for name, build in GRAPHS.items():
        render(build(), DIAGRAMS / f"{name}.dot")
    for name, build in MODELS.items():
        render(draw_network(build()), NETWORKS / f"{name}.dot")
    for name in CLASSICS:
        golden_path(name).write_text(f"{autopsy(name)}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
