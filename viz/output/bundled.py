"""A stand-in for the program `dot`: the Graphviz inside the pygraphviz wheel.

Run as ``python bundled.py 10 -Kdot -Tsvg [-Gname=value ...] < graph.dot > graph.svg``, with the
seconds after which it ends itself, in a process of its own: a graph that is too deep overflows
the C stack, and while Graphviz works Python cannot be interrupted.
"""

import faulthandler
import sys

from pygraphviz import AGraph  # type: ignore[import-untyped]


def draw_input(engine: str, form: str, *options: str) -> None:
    """Read DOT from the standard input, write the picture to the standard output."""
    # as `dot` does before it reads: from here on a node's label is its name by default
    AGraph().draw(prog="dot", format="dot")
    graph = AGraph(string=sys.stdin.buffer.read().decode())
    picture = graph.draw(
        prog=engine.removeprefix("-K"), format=form.removeprefix("-T"), args=" ".join(options)
    )
    sys.stdout.buffer.write(picture)


if __name__ == "__main__":
    # where it is not ended from outside: Python itself waits for Graphviz
    faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
    draw_input(*sys.argv[2:])
