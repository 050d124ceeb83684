"""DOT to pictures, with the program `dot` or, where there is none, with pygraphviz."""

import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import graphviz  # type: ignore[import-untyped]

from miniflow.util.files import write
from viz.output.children import EXTRA_SECONDS, output_of
from viz.output.labels import RAISED, cleared

SECONDS = 10.0  # that one layout may take
RASTER = {"gif", "jpe", "jpeg", "jpg", "png"}
UNDRAWN = {"canon", "dot", "gv", "json", "json0", "plain", "plain-ext", "xdot", "xdot_json"}
SVG_SIZE, BOUNDS = r'width="(\d+)pt"\s+height="(\d+)pt"', r'bb="[\d.]+,[\d.]+,([\d.]+),([\d.]+)"'
LAID_OUT = "nop2"  # Graphviz's engine for graphs in which everything has its place
WIDEST_AS_IT_IS = 600  # points of a diagram's width in a notebook
# Up to SMALL nodes a picture may take so long. One whose edges cross no more than SAFE ranks
# takes no time, however slowly Graphviz starts.
QUICK_SECONDS, SMALL, SAFE = 3.0, 1000, 300
SECONDS_TRIED = 0.6  # share of its time that a picture may take before a plainer one is tried
DPI = 144  # of a raster picture: twice the size on paper, sharp on today's screens
# What Graphviz draws in a second, and what a side may have: a larger picture has fewer for an inch.
PIXELS, LONGEST_SIDE = 6_000_000, 32_000
MEASURED = 0.4  # share of a raster picture's time in which its size has to be known
CLEARED = 0.5  # share of what time a layout has left in which its labels are moved
PAINTED = 0.6  # seconds that so many pixels take besides a second layout


class SlowLayoutError(RuntimeError):
    """Graphviz needs too long for a layout, or has crashed over it."""


def time_for(nodes: int, crossed: int) -> float:
    """How many seconds a picture may take, by nodes and by ranks that edges cross in all."""
    return QUICK_SECONDS if nodes <= SMALL and crossed > SAFE else SECONDS


class Diagram(graphviz.Digraph):  # type: ignore[misc]
    """A graphviz.Digraph that needs no system package to be shown, piped or rendered.

    Attributes:
        plainer: what makes a diagram of the same that Graphviz lays out faster, if there is one.
        seconds: how long to try before the plainest one is drawn.
    """

    plainer: Callable[[], "Diagram"] | None = None
    seconds: float = SECONDS

    def picture(self, form: str) -> bytes:
        """The content of a picture file; where that takes too long, of the plainer diagram.

        Raises:
            RuntimeError: there is no Graphviz, it failed, or it needs more than SECONDS.
        """
        return self._drawn(self.source, form, self.engine)

    def _drawn(self, source: str, form: str, engine: str) -> bytes:
        start, diagram = time.monotonic(), self
        while diagram.plainer is not None:
            left = start + min(self.seconds, SECONDS) - time.monotonic()
            try:
                return picture(source, form, engine, seconds=left * SECONDS_TRIED)
            except SlowLayoutError:
                diagram = diagram.plainer()
                source = diagram.source
        return picture(source, form, engine, seconds=start + SECONDS - time.monotonic())

    def notebook_svg(self) -> str:
        """The picture as SVG; one that is wide is as wide as what it stands in, and never cut."""
        text = self.picture("svg").decode()
        head, rest = text[text.index("<svg") :].split(">", 1)
        size = re.search(SVG_SIZE, head)
        if size is not None and int(size[1]) > WIDEST_AS_IT_IS:
            head = head.replace(size[0], 'width="100%"')
        return f"{head}>{rest}"

    def _repr_image_svg_xml(self) -> str:  # how graphviz shows itself in a notebook
        return self.notebook_svg()

    # graphviz offers these three as the places to replace how it calls `dot`

    def _pipe_lines(
        self,
        engine: str,
        form: str,
        lines: Iterable[str],
        *,
        renderer: str | None = None,
        formatter: str | None = None,
        **_: Any,
    ) -> bytes:
        names = _names(form, renderer, formatter)
        return self._drawn("".join(lines), ":".join(names), engine)

    def _pipe_lines_string(self, *args: Any, encoding: str, **options: Any) -> str:
        return self._pipe_lines(*args, **options).decode(encoding)

    def _render(
        self,
        engine: str,
        form: str,
        filepath: str,
        *,
        renderer: str | None = None,
        formatter: str | None = None,
        outfile: Path | None = None,
        raise_if_result_exists: bool = False,
        **_: Any,
    ) -> str:
        """Draw a file of DOT, as ``dot -O`` or ``dot -o outfile``, but whole or not at all."""
        names = _names(form, renderer, formatter)
        target = outfile or Path(".".join([filepath, *reversed(names)]))
        if raise_if_result_exists and target.exists():
            raise FileExistsError(f"render: {str(target)!r} exists")
        source = Path(filepath).read_text("utf-8")
        write(target, self._drawn(source, ":".join(names), engine))
        return str(target)


def picture(source: str, form: str, engine: str = "dot", *, seconds: float | None = None) -> bytes:
    """Lay out and draw a graph.

    Args:
        source: the graph, in DOT.
        form: one of Graphviz's output formats, such as "svg".
        engine: one of its layout engines.
        seconds: how long that may take, at most SECONDS.

    Returns:
        The content of the picture file.

    Raises:
        SlowLayoutError: it takes longer, or Graphviz crashed; a RuntimeError.
        RuntimeError: there is no Graphviz, or it failed.
    """
    seconds = SECONDS if seconds is None else min(seconds, SECONDS)
    end = time.monotonic() + seconds
    options, kind = [f"-K{engine}", f"-T{form}"], form.partition(":")[0]
    if engine == "dot" and RAISED in source and kind not in UNDRAWN:
        laid_out = _from_graphviz(source, form, ["-Kdot", "-Tdot"], seconds)
        free = CLEARED * (end - time.monotonic())
        source, options[0] = cleared(laid_out.decode(), free), f"-K{LAID_OUT}"
        if kind in RASTER:
            options.append(f"-Gdpi={_resolution(source, BOUNDS)}")
        return _from_graphviz(source, form, options, end - time.monotonic())
    if kind in RASTER:
        options.append(f"-Gdpi={_measured_resolution(source, form, engine, seconds)}")
    return _from_graphviz(source, form, options, end - time.monotonic())


def _measured_resolution(source: str, form: str, engine: str, seconds: float) -> int:
    """The resolution of a picture of pixels, by what it measures as an SVG."""
    start = time.monotonic()
    drawn = _from_graphviz(source, form, [f"-K{engine}", "-Tsvg"], seconds * MEASURED)
    taken = time.monotonic() - start
    if seconds - taken < taken + PAINTED:
        raise _too_slow(form)
    return _resolution(drawn.decode(), SVG_SIZE)


def _resolution(text: str, pattern: str) -> int:
    """The pixels for an inch with which a picture is drawn in time, by the size found in a text."""
    size = re.search(pattern, text)
    if size is None:
        return DPI
    width, height = (max(1.0, float(x)) / 72 for x in size.groups())  # inches
    fit = min(math.sqrt(PIXELS / (width * height)), LONGEST_SIDE / max(width, height))
    return max(1, min(DPI, int(fit)))


def _from_graphviz(source: str, form: str, options: list[str], seconds: float) -> bytes:
    """What Graphviz makes of a graph; errors speak of a format."""
    # a Python started as `dot` finds what this one finds
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    try:
        code, drawn, complaints = output_of(
            [*_program(seconds), *options], source.encode(), environment, seconds
        )
    except subprocess.TimeoutExpired:
        raise _too_slow(form) from None
    if code < 0:
        raise SlowLayoutError(
            f"Graphviz crashed (signal {-code}) on drawing {form}: the graph is too large or too "
            "deep for it; draw a part, or write a '.dot' file, which needs no layout"
        )
    if code:
        raise RuntimeError(_failure(form, complaints))
    return drawn


def _too_slow(form: str) -> SlowLayoutError:
    return SlowLayoutError(
        f"Graphviz needs more than {SECONDS:g} s to draw {form}: draw a part, fold the graph "
        "(fold=True), or write a '.dot' file, which needs no layout"
    )


def _program(seconds: float) -> list[str]:
    """The command that runs Graphviz; the stand-in ends itself after so many seconds, and some."""
    dot, bundled = shutil.which("dot"), find_spec("pygraphviz") is not None
    # on Windows nothing ends a `dot` whose parent is killed; the stand-in ends itself
    if dot is not None and not (os.name == "nt" and bundled):
        return [dot]
    if not bundled:
        raise RuntimeError(
            "no Graphviz to draw with: pip install pygraphviz, whose wheel contains it, or "
            "install Graphviz (https://graphviz.org/download/); '.dot' files need neither"
        )
    stand_in = str(Path(__file__).with_name("bundled.py"))
    return [sys.executable, "-P", stand_in, f"{max(0.0, seconds) + EXTRA_SECONDS:.3f}"]


def _failure(form: str, complaints: str) -> str:
    lines = complaints.strip().splitlines()
    errors = [line for line in lines if line.startswith("Error")] or lines[-1:]
    return f"Graphviz cannot draw {form}: {' '.join(errors)}"


def _names(form: str, renderer: str | None, formatter: str | None) -> list[str]:
    return [name for name in (form, renderer, formatter) if name is not None]
