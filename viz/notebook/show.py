"""Each kind of object as HTML: what stands below a cell of a notebook.

Values, snapshots and networks are drawn, tapes and parameters are tables, programs and functions
are source, a recording is its page. What is large is cut short and says so.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from textwrap import dedent
from typing import Any

from miniflow.compiled.function import CompiledFunction
from miniflow.debug.answers import Answer
from miniflow.micrograd import nn as micrograd
from miniflow.micrograd.engine import Value as Micrograd
from miniflow.micrograd.engine import taped
from miniflow.nn import Module
from miniflow.optim import Optimizer
from miniflow.program.program import Program
from miniflow.tape.core import Value, current
from miniflow.tape.gradient_tape import Tape
from miniflow.tape.reading import located
from miniflow.testing.report import Report
from miniflow.util.functions import Derived
from miniflow.util.trees import flatten
from viz.diagram.dot import draw_dot
from viz.diagram.graph import Graph, is_node
from viz.model.network import draw_network
from viz.notebook.highlight import highlighted
from viz.output.pictures import Diagram
from viz.output.text import number_text
from viz.player.page import play
from viz.player.recording import Recording

MOST_DRAWN = 60  # entries of a graph that is drawn without being asked for
MOST_ROWS = 40  # of a table, at most
MOST_LINES = 200  # of source
Row = Sequence[str | float]


def html_of(x: Any) -> str | None:
    """What a notebook shows of an object; None where its repr says all.

    Example:
        >>> html_of(Value(2.0, label="a")).partition("</style>")[2]
        '<table><tr><th>name</th><th class="n">value</th><th class="n">gradient</th></tr>\
<tr><td>a</td><td class="n">2.0000</td><td class="n">0.0000</td></tr></table></div>'
    """
    written = getattr(type(x).__repr__, "__module__", "miniflow")
    if current().trace is not None or not written.startswith(("miniflow", "viz")):
        return None  # while a function is traced nothing may be read; a class has its own repr
    kinds = ((is_node(x), _of_snapshot), *((isinstance(x, kind), part) for kind, part in KINDS))
    parts = next((part for fits, part in kinds if fits), None)
    found = "" if parts is None else "".join(parts(x))
    if not found or isinstance(x, Recording):
        return found or None
    style = Path(__file__).with_name("notebook.css").read_text("utf-8").partition("*/\n")[2]
    return f'<div class="miniflow"><style>{style}</style>{found}</div>'


# --- values and graphs ----------------------------------------------------------


def _of_value(x: Any) -> Iterable[str]:
    try:
        v = taped(x)
    except (OverflowError, TypeError):  # a number of micrograd's that no tape takes
        return
    named = v.label or v.op
    yield _table_html(("name", "value", "gradient"), [(named, v.data, float(x.grad))])
    if v.op in ("leaf", "constant"):
        return
    table, n = located(v)
    with table.hold():
        count = len(table.reached([n]))
    if count > MOST_DRAWN:
        yield f"<p>computed from {count:,} entries: viz.draw_dot and viz.play show them</p>"
    else:
        yield _picture(lambda: draw_dot(x))


def _of_snapshot(graph: Any) -> Iterable[str]:
    yield _picture(lambda: draw_dot(graph))


def _picture(drawn: Callable[[], Diagram]) -> str:
    """A diagram as SVG, as wide as there is room; nothing where it cannot be drawn."""
    try:
        return drawn().notebook_svg()
    except (RuntimeError, TypeError, ValueError):  # there is no Graphviz, or nothing to draw
        return ""


def _of_tape(tape: Tape) -> Iterable[str]:
    head = ("entry", "operation", "operands", "value", "adjoint", "label")
    rows: list[Row] = [
        (str(x.number), x.op, " ".join(map(str, x.operands)), x.value, x.adjoint, x.label)
        for x in tape
    ]
    yield _table_html(head, rows)


# --- models and optimisers ------------------------------------------------------


def _of_model(model: Module) -> Iterable[str]:
    yield _picture(lambda: draw_network(model))
    yield _details(f"{len(model.parameters()):,} parameters", _parameters(model.named_parameters()))


def _of_micrograd(model: micrograd.Module) -> Iterable[str]:
    yield _source_html(repr(model)[:2000])
    named = [(p.label or str(k), p) for k, p in enumerate(model.parameters())]
    yield _details(f"{len(named):,} parameters", _parameters(named))


def _of_optimizer(optimizer: Optimizer) -> Iterable[str]:
    rows: list[Row] = [(k, f"{x!r}") for k, x in optimizer.options.items()]
    yield f"<p><b>{escape(type(optimizer).__name__)}</b></p>"
    yield _table_html(("option", "set to"), rows)
    named = [(getattr(p, "label", "") or str(k), p) for k, p in enumerate(optimizer.parameters)]
    yield _details(f"{len(named):,} parameters", _parameters(named))


def _parameters(named: Iterable[tuple[str, Any]]) -> str:
    rows: list[Row] = [(name, float(p.data), float(p.grad)) for name, p in named]
    return _table_html(("parameter", "value", "gradient"), rows)


# --- programs and functions -----------------------------------------------------


def _of_traced(program: Program) -> Iterable[str]:
    yield _source_html(program.source())
    yield _details("Instructions", f"<pre>{escape(str(program))}</pre>")


def _of_callable(f: Any) -> Iterable[str]:
    yield f"<p>{escape(repr(f))}</p>"
    try:
        yield _source_html(dedent(inspect.getsource(inspect.unwrap(f))))
    except (OSError, TypeError):  # it has no source
        return


def _source_html(text: str) -> str:
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        text = "\n".join([*lines[:MOST_LINES], f"# ... {len(lines) - MOST_LINES:,} more lines ..."])
    return f"<pre>{highlighted(text)}</pre>"


def _of_report(report: Report) -> Iterable[str]:
    yield f"<pre>{escape(str(report))}</pre>"
    if report.outputs:
        yield _picture(report.draw)


def _of_recording(recording: Recording) -> Iterable[str]:
    if recording.iterations:
        yield play(recording).embed()


def _of_answer(answer: Answer) -> Iterable[str]:
    yield f"<pre>{escape(answer.text)}</pre>"
    size = len(answer.root) if isinstance(answer.root, Tape) else _graph_size(answer.root)
    if size <= MOST_DRAWN:
        yield _picture(answer.draw)


def _graph_size(root: Any) -> int:
    """How many entries there are behind Values of one tape."""
    found = list(map(located, flatten(root)))
    table = found[0][0]
    with table.hold():
        return len(table.reached([n for _, n in found]))


# --- tables ---------------------------------------------------------------------


def _table_html(head: Sequence[str], rows: Sequence[Row]) -> str:
    numeric = [any(isinstance(row[k], float) for row in rows) for k in range(len(head))]
    shown = list(rows)
    cut = len(rows) - MOST_ROWS
    lines = [_row_html("th", head, numeric)]
    if cut > 0:
        shown = [*rows[: MOST_ROWS // 2], *rows[-MOST_ROWS // 2 :]]
    for k, row in enumerate(shown):
        if cut > 0 and k == MOST_ROWS // 2:
            lines.append(f'<tr><td colspan="{len(head)}">… {cut:,} more …</td></tr>')
        lines.append(_row_html("td", row, numeric))
    return f"<table>{''.join(lines)}</table>"


def _row_html(element: str, cells: Row, numeric: Sequence[bool]) -> str:
    found = [
        f"<{element}{_class(x, right)}>{_cell_text(x)}</{element}>"
        for x, right in zip(cells, numeric, strict=True)
    ]
    return f"<tr>{''.join(found)}</tr>"


def _cell_text(x: str | float) -> str:
    return escape(x) if isinstance(x, str) else number_text(x)


def _class(x: str | float, right: bool) -> str:
    wrong = isinstance(x, float) and not isfinite(x)
    names = ["n"] * right + ["wrong"] * wrong
    return f' class="{" ".join(names)}"' if names else ""


def _details(title: str, inside: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


KINDS: list[tuple[Any, Callable[[Any], Iterable[str]]]] = [
    ((Value, Micrograd), _of_value),
    (Graph, _of_snapshot),
    (Tape, _of_tape),
    (Module, _of_model),
    (micrograd.Module, _of_micrograd),
    (Optimizer, _of_optimizer),
    (Program, _of_traced),
    ((Derived, CompiledFunction), _of_callable),
    (Recording, _of_recording),
    (Answer, _of_answer),
    (Report, _of_report),
]
