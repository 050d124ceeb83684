"""Values and programs as Graphviz diagrams.

A Value is a box with its label, number and gradient. In front of a computed one stands its
operation, between the operands' edges and the result's. Where operands cannot change
places, the operation is a box that names each one's; otherwise it is an ellipse.

A program is drawn in the same way, with the names of its slots for numbers; its guards are
hexagons, its results have a heavier border.

The text depends on the graph alone: boxes are numbered in the order in which their Values
were recorded, so the same code gives the same DOT, byte for byte.
"""

import html
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import graphviz  # type: ignore[import-untyped]

from miniflow.files import write
from miniflow.program import Guard, Program
from miniflow.source import condition
from miniflow.tape import Value
from miniflow.trees import flatten
from viz.pictures import Diagram, picture

LEAF, CONSTANT, COMPUTED, OPERATION = "#e2f0d9", "#f2f2f2", "#e8f0fa", "#fdf1d6"  # fills
GUARD = "#f7e4ec"
GOLD, BROWN = "#c9a34e", "#8a6d1f"  # an operation's border, its small print
FILLS = {"leaf": LEAF, "constant": CONSTANT}

GRAPH = {"ranksep": "0.4", "nodesep": "0.2"}
NODE = {
    "shape": "record",
    "style": "rounded,filled",
    "fillcolor": COMPUTED,
    "color": "#5f6b7a",
    "fontcolor": "#1f2933",
    "fontname": "Helvetica,Arial,sans-serif",
    "fontsize": "12",
    "width": "0.4",
    "height": "0.36",
}
EDGE = {"color": "#7b8794", "arrowsize": "0.6"}

# For each rankdir the sides where edges enter a box and leave it.
SIDES = {"LR": ("w", "e"), "TB": ("n", "s"), "RL": ("e", "w"), "BT": ("s", "n")}
SUFFIXES = {".svg": "svg", ".png": "png", ".pdf": "pdf", ".dot": "dot", ".gv": "dot"}

# Operations whose operands may change places, and what the places of others are called.
COMMUTATIVE = {"add", "mul", "sum", "maximum", "minimum", "hypot", "logaddexp", "equal"}
PLACES = {"where": ("if", "then", "else")}


class Box(NamedTuple):
    """One number in a diagram: what its box says, and the operation and operands it is of.

    `kind` is the operation's name, or leaf, constant, result.
    """

    fields: list[str]
    kind: str
    symbol: str = ""
    operands: tuple[int, ...] = ()
    result: bool = False


def draw_dot(
    root: Value | Sequence[Value] | Program,
    format: str = "svg",  # noqa: A002 - micrograd's name
    rankdir: str = "LR",
    *,
    limit: int | None = 400,
) -> Diagram:
    """The graph that a Value was computed from, or a program, as a diagram.

    A notebook shows it; its `render` and `pipe` write it, its `source` is the DOT. None of
    them needs a system package.

    Args:
        root: a Value, several of them, or a program.
        format: what `Diagram.render` and `Diagram.pipe` write: "svg", "png", "pdf" or
            another of Graphviz's formats.
        rankdir: from where to where: "LR" from left to right, "TB" from top to bottom,
            "RL", "BT".
        limit: how many boxes to draw at most; None for any number.

    Raises:
        TypeError: `root` is not made of Values.
        ValueError: more than `limit` boxes, none at all, or an unknown format or rankdir.

    Example:
        >>> a = Value(2.0, label="a")
        >>> for line in draw_dot(a + a).body:
        ...     print(line.strip())
        v0 [label="{a|data 2.0000|grad 0.0000}" fillcolor="#e2f0d9"]
        v1 [label="{data 4.0000|grad 0.0000}"]
        op1 [label="+" shape="ellipse" fillcolor="#fdf1d6" color="#c9a34e"]
        op1 -> v1:w [weight="4"]
        v0 -> op1
        v0 -> op1
    """
    if rankdir not in SIDES:
        raise ValueError(f"draw_dot: rankdir {rankdir!r} is none of {', '.join(SIDES)}")
    if str(format).lower() not in graphviz.FORMATS:
        raise ValueError(
            f"draw_dot: format {format!r} is unknown to Graphviz; "
            "use 'svg', 'png', 'pdf' or another of graphviz.FORMATS"
        )
    if isinstance(root, Program):
        body = [*_lines(_program_boxes(root, limit), rankdir), *_guard_lines(root)]
    else:
        body = list(_lines(_value_boxes(_reached(_roots(root), limit)), rankdir))
    return Diagram(
        format=format,
        graph_attr={**GRAPH, "rankdir": rankdir},
        node_attr=NODE,
        edge_attr={**EDGE, "tailport": SIDES[rankdir][1]},
        body=body,
    )


def render(
    root: Value | Sequence[Value] | Program | graphviz.Digraph,
    path: str | os.PathLike[str],
    *,
    rankdir: str = "LR",
    limit: int | None = 400,
) -> Path:
    """Write a diagram to a file, whole or not at all.

    Args:
        root: what to draw: Values or a program as for `draw_dot`, or a finished diagram.
        path: the file; its suffix tells the format: ".svg", ".png", ".pdf", or ".dot"
            (".gv") for the DOT itself.
        rankdir: as for `draw_dot`.
        limit: as for `draw_dot`.

    Returns:
        The path.

    Raises:
        TypeError, ValueError: as for `draw_dot`, or the suffix is none of those.
        RuntimeError: there is no Graphviz, or it failed.
        OSError: the file cannot be written.
    """
    path = Path(path)
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise ValueError(
            f"render: {path.name!r} does not tell the format; end it in {', '.join(SUFFIXES)}"
        )
    if not isinstance(root, graphviz.Digraph):
        root = draw_dot(root, form, rankdir, limit=limit)
    write(path, root.source if form == "dot" else picture(root.source, form, root.engine))
    return path


# --- the graph ----------------------------------------------------------------


def _roots(root: object) -> list[Value]:
    """What to draw, as a list of Values."""
    roots = flatten(root)
    if not roots:
        raise ValueError("draw_dot: there is nothing to draw in an empty list")
    for x in roots:
        if not isinstance(x, Value):
            raise TypeError(
                f"draw_dot: {x!r:.60} is a {type(x).__name__}, not a Value; "
                f"{'call it and draw the result' if callable(x) else 'compute it from Values'}"
            )
    return roots


def _reached(roots: list[Value], limit: int | None) -> list[Value]:
    """The Values that `roots` come from, themselves included, each once, oldest first."""
    found: dict[Value, None] = {}
    for table in dict.fromkeys(root._tape for root in roots):
        table.held += 1  # row numbers stay what they are
        try:
            rows = table.reached([root._row for root in roots if root._tape is table])
            _check_limit(len(rows), limit, "draw a part of it (one neuron, or one of v.inputs)")
            # the same leaf of another thread may have several rows
            found.update(dict.fromkeys(map(table.handle, reversed(rows))))
        finally:
            table.held -= 1
    return list(found)


def _value_boxes(values: list[Value]) -> list[Box]:
    """The box of each Value."""
    numbers = {v: n for n, v in enumerate(values)}
    boxes = []
    for v in values:
        fields = [f"data {_number(v.data)}"]
        if v.label:
            fields.insert(0, _escape(v.label))
        if v.op != "constant":
            fields.append(f"grad {_number(v.grad)}")
        boxes.append(Box(fields, v.op, v._op, tuple([numbers[x] for x in v.inputs])))
    return boxes


def _program_boxes(program: Program, limit: int | None) -> list[Box]:
    """The box of each slot."""
    count = program.first + len(program)
    _check_limit(count, limit, "trace a smaller function")
    boxes = []
    for slot in range(count):
        number = program.constant(slot)
        name = _escape(program.names[slot]) if slot in program.names else ""
        result = slot in program.outputs
        if number is not None:
            boxes.append(Box([_number(number)], "constant", result=result))
        elif slot < program.first:
            kind = "input" if slot < program.inputs else "captured"
            boxes.append(Box([name or f"{kind} {slot}"], "leaf", result=result))
        else:
            op, operands = program.instructions[slot - program.first]
            boxes.append(Box([name or f"%{slot}"], op.name, op.symbol, operands, result))
    return boxes


def _check_limit(count: int, limit: int | None, remedy: str) -> None:
    if limit is not None and count > limit:
        raise ValueError(
            f"draw_dot: the graph has {count} nodes, more than {limit}; {remedy}, or pass "
            "limit=None to draw it all"
        )


def _places(op: str, count: int) -> Sequence[str]:
    """What to call the operands' places; nothing where they may change places."""
    if count < 2 or op in COMMUTATIVE:
        return ()
    if op == "dot":  # factors with the same number belong together
        return [str(k % (count // 2) + 1) for k in range(count)]
    return PLACES.get(op) or [str(k + 1) for k in range(count)]


# --- lines of DOT -------------------------------------------------------------


def _lines(boxes: list[Box], rankdir: str) -> Iterator[str]:
    for n, box in enumerate(boxes):
        yield _box_line(n, box)
        yield from _operation_lines(n, box, rankdir)


def _operation_lines(n: int, box: Box, rankdir: str) -> Iterator[str]:
    """The operation in front of a box, and the edges of both; nothing for a leaf."""
    if not box.operands:
        return
    places = _places(box.kind, len(box.operands))
    yield (
        _ordered_line(n, box.symbol, places, rankdir) if places else _operation_line(n, box.symbol)
    )
    # the weight keeps a result next to its operation
    yield _edge_line(f"op{n}", f"v{n}:{SIDES[rankdir][0]}", {"weight": "4"})
    for k, x in enumerate(box.operands):
        yield _edge_line(f"v{x}", f"op{n}:{k}" if places else f"op{n}")


def _guard_lines(program: Program) -> Iterator[str]:
    """The hexagons of a program's guards, with an edge from each side."""
    for k, guard in enumerate(program.guards):
        yield _guard_line(k, guard, program)
        for x in (guard.left, guard.right):
            yield _edge_line(f"v{x}", f"guard{k}", {"style": "dashed"})


def _guard_line(k: int, guard: Guard, program: Program) -> str:
    label = _escape(condition(program, guard))
    return _node_line(f"guard{k}", {"label": label, "shape": "hexagon", "fillcolor": GUARD})


def _box_line(n: int, box: Box) -> str:
    """The box of a number."""
    attributes = {"label": f"{{{'|'.join(box.fields)}}}"}
    if box.kind in FILLS:
        attributes["fillcolor"] = FILLS[box.kind]
    if box.result:
        attributes["penwidth"] = "2.5"
    return _node_line(f"v{n}", attributes)


def _operation_line(n: int, symbol: str) -> str:
    """The ellipse of an operation."""
    return _node_line(
        f"op{n}",
        {"label": _escape(symbol), "shape": "ellipse", "fillcolor": OPERATION, "color": GOLD},
    )


def _ordered_line(n: int, symbol: str, places: Sequence[str], rankdir: str) -> str:
    """The box of an operation whose operands each have a place of their own."""
    span = "rowspan" if rankdir in ("LR", "RL") else "colspan"
    sign = f'<td {span}="{len(places)}">{_escape_html(symbol)}</td>'
    rows = _table_rows([_place_cell(k, place) for k, place in enumerate(places)], sign, rankdir)
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'\top{n} [label=<<table border="1" color="{GOLD}" bgcolor="{OPERATION}" '
        f'cellborder="0" cellspacing="0" cellpadding="4">{table}</table>> shape="plain" style=""]\n'
    )


def _place_cell(k: int, place: str) -> str:
    """Where operand k's edge ends."""
    return (
        f'<td port="{k}" cellpadding="2"><font point-size="8" color="{BROWN}">{place}</font></td>'
    )


def _table_rows(cells: list[str], sign: str, rankdir: str) -> list[str]:
    """The operands' cells on the side that their edges come from, the sign on the other."""
    if rankdir == "LR":
        return [cells[0] + sign, *cells[1:]]
    if rankdir == "RL":
        return [sign + cells[0], *cells[1:]]
    return ["".join(cells), sign] if rankdir == "TB" else [sign, "".join(cells)]


def _node_line(name: str, attributes: dict[str, str]) -> str:
    return f"\t{name}{_attributes(attributes)}\n"


def _edge_line(tail: str, head: str, attributes: dict[str, str] | None = None) -> str:
    return f"\t{tail} -> {head}{_attributes(attributes or {})}\n"


def _attributes(attributes: dict[str, str]) -> str:
    pairs = [f"{key}={_quote(value)}" for key, value in attributes.items()]
    return f" [{' '.join(pairs)}]" if pairs else ""


# --- text ---------------------------------------------------------------------


def _number(x: float) -> str:
    """Four decimals; four digits where those would show too few or too many."""
    return f"{x:z.4f}" if x == 0 or 0.01 <= abs(x) < 1e5 else f"{x:.4g}"


def _printable(text: str) -> str:
    """The text as a picture can hold it, with every space kept."""
    text = re.sub("\r\n?", "\n", text).replace("\t", "    ")
    text = re.sub("[\0-\t\v-\x1f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)  # not in XML
    # Graphviz drops spaces at the ends and empty lines, SVG all but one space in a row
    return re.sub("^ *$|^ +| +$| {2,}", lambda x: "\xa0" * (len(x[0]) or 1), text, flags=re.M)


def _escape(text: str) -> str:
    """The text as a field of a record, or a label: nothing in it has a meaning."""
    text = re.sub(r"[\\{}|<>]", r"\\\g<0>", _printable(text).replace("&", "&amp;"))
    return text.replace("\n", r"\n")


def _escape_html(text: str) -> str:
    """The text inside of an HTML-like label."""
    text = html.escape(_printable(text).replace("\\", r"\\"))
    return text.replace("\n", "<br/>")


def _quote(text: str) -> str:
    return '"' + text.replace('"', r"\"") + '"'
