"""DOT to pictures, with the program `dot` or, where there is none, with pygraphviz."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import graphviz  # type: ignore[import-untyped]

from miniflow.util.files import write

SECONDS = 10.0  # that one layout may take
RASTER = {"gif", "jpe", "jpeg", "jpg", "png"}
WIDEST_AS_IT_IS = 600  # points of a diagram's width in a notebook
DPI = 144  # of a raster picture: twice the size on paper, sharp on today's screens


class SlowLayoutError(RuntimeError):
    """Graphviz needs more than SECONDS for a layout."""


class Diagram(graphviz.Digraph):  # type: ignore[misc]
    """A graphviz.Digraph that needs no system package to be shown, piped or rendered.

    Attributes:
        plainer: what makes a diagram of the same that Graphviz lays out faster, if there is one.
    """

    plainer: Callable[[], "Diagram"] | None = None

    def picture(self, form: str) -> bytes:
        """The content of a picture file; where that takes too long, of the plainer diagram.

        Raises:
            RuntimeError: there is no Graphviz, it failed, or it needs more than SECONDS.
        """
        return self._drawn(self.source, form, self.engine)

    def _drawn(self, source: str, form: str, engine: str) -> bytes:
        try:
            return picture(source, form, engine)
        except SlowLayoutError:
            if self.plainer is None:
                raise
            return picture(self.plainer().source, form, engine)

    def notebook_svg(self) -> str:
        """The picture as SVG; one that is wide is as wide as what it stands in, and never cut."""
        text = self.picture("svg").decode()
        head, rest = text[text.index("<svg") :].split(">", 1)
        size = re.search(r'width="(\d+)pt"\s+height="\d+pt"', head)
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


def picture(source: str, form: str, engine: str = "dot") -> bytes:
    """Lay out and draw a graph.

    Args:
        source: the graph, in DOT.
        form: one of Graphviz's output formats, such as "svg".
        engine: one of its layout engines.

    Returns:
        The content of the picture file.

    Raises:
        RuntimeError: there is no Graphviz, it failed, or it needs more than SECONDS.
    """
    options = [f"-K{engine}", f"-T{form}"]
    if form.partition(":")[0] in RASTER:
        options.append(f"-Gdpi={DPI}")
    # a Python started as `dot` finds what this one finds
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    try:
        done = subprocess.run(
            [*_program(), *options],
            input=source.encode(),
            env=environment,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise SlowLayoutError(
            f"Graphviz needs more than {SECONDS:g} s to draw {form}: draw a part, fold the graph "
            "(fold=True), or write a '.dot' file, which needs no layout"
        ) from None
    if done.returncode:
        raise RuntimeError(_failure(form, done.returncode, done.stderr.decode(errors="replace")))
    return done.stdout


def _program() -> list[str]:
    """The command that runs Graphviz."""
    dot = shutil.which("dot")
    if dot is not None:
        return [dot]
    if find_spec("pygraphviz") is None:
        raise RuntimeError(
            "no Graphviz to draw with: pip install pygraphviz, whose wheel contains it, or "
            "install Graphviz (https://graphviz.org/download/); '.dot' files need neither"
        )
    return [sys.executable, "-P", str(Path(__file__).with_name("bundled.py"))]


def _failure(form: str, code: int, complaints: str) -> str:
    if code < 0:
        return (
            f"Graphviz crashed (signal {-code}) on drawing {form}: the graph is too large or too "
            "deep for it; draw a part, or write a '.dot' file, which needs no layout"
        )
    lines = complaints.strip().splitlines()
    errors = [line for line in lines if line.startswith("Error")] or lines[-1:]
    return f"Graphviz cannot draw {form}: {' '.join(errors)}"


def _names(form: str, renderer: str | None, formatter: str | None) -> list[str]:
    return [name for name in (form, renderer, formatter) if name is not None]
