"""The boxes of a diagram as HTML-like labels: a name, numbers in two columns, a sign."""

from collections.abc import Iterable, Sequence
from math import isfinite, sqrt
from typing import NamedTuple

from miniflow.ops import Op, constant, dot
from viz.diagram.folding import Group, operations
from viz.diagram.graph import Graph, Names
from viz.output.names import GRADIENT_WORD, TIMES, VALUE_WORD, shown_sign, within
from viz.output.palette import Theme, mix, signed
from viz.output.text import escape_html, literal, number_text, range_text

# What the places of operands are called that cannot change them.
PLACES = {"where": ("if", "then", "else")}

# A caption, a text, the colour behind it; or, where there is no caption, that of the text.
Lines = Iterable[tuple[str, str, str]]


class Look(NamedTuple):
    """How a diagram is drawn; `scale` is the size of gradient that has the full colour."""

    theme: Theme
    detail: str
    compact: bool
    rankdir: str
    scale: float

    def flow(self, gradient: float | None) -> dict[str, str]:
        """The colour and width of a line along which a gradient flows back."""
        if gradient is None or self.detail == "structure":
            return {}
        width = 1.0 + 1.6 * self.strength(gradient)
        return {"color": signed(gradient, self.scale, self.theme), "penwidth": f"{width:.2f}"}

    def strength(self, gradient: float) -> float:
        """The size of a gradient, from 0 to 1."""
        return sqrt(min(1.0, abs(gradient) / self.scale)) if isfinite(gradient) else 1.0

    def tint(self, gradient: float, fill: str) -> str:
        """What is behind the digits of a gradient: its colour, so pale that they can be read."""
        if gradient == 0:
            return ""
        return mix(fill, signed(gradient, self.scale, self.theme), 0.32)


def kind_fill(theme: Theme, kind: str) -> str:
    """The colour of a kind of box, or of what became of one."""
    return str(getattr(theme, kind))


def entry_card(
    graph: Graph, n: int, look: Look, names: Sequence[str] = (), frame: Names = ()
) -> str:
    """The label of an entry's box; a compact one has its operation beside it. May be empty."""
    rows = _rows(_shown_name(graph, n, look, frame), _entry_lines(graph, n, look), look)
    if not (look.compact and graph.operands[n]):
        return _table(rows) if rows else ""
    # beside a tall sign the numbers stay together
    space = ["<td></td>"] * ((len(names) - len(rows)) // 2 if len(names) > 3 else 0)
    rows = [*space, *rows, *space]
    cells = [_sign_cell(shown_sign(graph.ops[n].symbol), names, look)]
    cells += [f"<td>{_table(rows)}</td>"] if rows else []
    return _table(["".join(cells[::-1] if look.rankdir == "RL" else cells)])


def _shown_name(graph: Graph, n: int, look: Look, frame: Names) -> str:
    name, kind = graph.names.get(n, ""), graph.kind(n)
    name = within(name, frame) if kind == "parameter" else name
    x = graph.data[n]
    if kind == "constant" and x is not None and not graph.status.get(n):
        return f"{name} = {literal(x)}" if name else literal(x)
    nameless = look.detail == "structure" and kind in ("input", "parameter")
    return name or (kind if nameless else "")


def _entry_lines(graph: Graph, n: int, look: Look) -> Lines:
    """The numbers of an entry, and in a comparison those that it had."""
    status = graph.status.get(n, "")
    if status and status != "same":
        yield "", status, ""
    for text in graph.marks.get(n, ()):
        yield "", text, look.theme.ink
    x, gradient = graph.data[n], graph.grads[n]
    if look.detail == "structure" or x is None:
        return
    fixed = graph.ops[n] is constant and n not in graph.inputs
    old, old_gradient = graph.before.get(n, (x, gradient))
    if not fixed or status:
        yield (
            VALUE_WORD,
            _change(old, x),
            "" if isfinite(x) else mix(*_wrong(look, "computed"), 0.35),
        )
    if graph.ops[n] is not constant and gradient is not None:
        kind = kind_fill(look.theme, graph.kind(n))
        yield GRADIENT_WORD, _change(old_gradient, gradient), look.tint(gradient, kind)


def _wrong(look: Look, kind: str) -> tuple[str, str]:
    return kind_fill(look.theme, kind), look.theme.wrong


def _change(old: float | None, new: float) -> str:
    """A number, and before it the one that it was."""
    same = old is None or old == new or (old != old and new != new)
    return number_text(new) if same or old is None else f"{number_text(old)} → {number_text(new)}"


def group_card(graph: Graph, group: Group, look: Look) -> str:
    """The label of a box that stands for several entries: how many, and what they span."""
    members, lines = group.members, []
    if group.kind == "scope":
        lines.append(("", operations(graph, members), ""))
    lines.append(("", _how_many(graph, group), ""))
    ink = look.theme.ink
    lines += [("", text, ink) for n in members for text in graph.marks.get(n, ())]
    status = graph.status
    changed = [status[n] for n in members if status[n] != "same"] if status else []
    lines += [("", f"{changed.count(x):,} {x}", "") for x in dict.fromkeys(changed)]
    if look.detail != "structure":
        lines += _spans(graph, group, look)
    return _table(_rows(group.title, lines, look))


def _how_many(graph: Graph, group: Group) -> str:
    parameters = sum(n in graph.parameters for n in group.members)
    count = f"{len(group.members):,}"
    if group.kind == "alike":
        return f"{TIMES} {count}"
    return f"{count} entries, {parameters:,} parameters" if parameters else f"{count} entries"


def _spans(graph: Graph, group: Group, look: Look) -> Lines:
    """The ranges of a group's values, where these are comparable, and of its gradients."""
    wrong = mix(*_wrong(look, "computed"), 0.35)
    data = [x for n in group.members if (x := graph.data[n]) is not None]
    bad = len(data) - sum(map(isfinite, data))
    if bad:
        yield VALUE_WORD, f"{bad:,} not finite", wrong
    elif data and group.kind == "alike":
        yield VALUE_WORD, range_text(min(data), max(data)), ""
    gradients = group_gradients(graph, group)
    bad = len(gradients) - sum(map(isfinite, gradients))
    if bad:
        yield GRADIENT_WORD, f"{bad:,} not finite", wrong
    elif gradients:
        yield GRADIENT_WORD, range_text(min(gradients), max(gradients)), ""


def group_gradients(graph: Graph, group: Group) -> list[float]:
    """The gradients that a group's box shows: its parameters', if it has any."""
    ops, grads, parameters = graph.ops, graph.grads, graph.parameters
    members = [n for n in group.members if n in parameters] or [
        n for n in group.members if ops[n] is not constant
    ]
    return [x for n in members if (x := grads[n]) is not None]


def operand_places(op: Op, count: int) -> Sequence[str]:
    """What to call the operands' places; nothing where they may change places."""
    if count < 2 or op.commutative:
        return ()
    if op is dot:  # factors with the same number belong together
        return [str(k % (count // 2) + 1) for k in range(count)]
    return PLACES.get(op.name) or [str(k + 1) for k in range(count)]


def sign_card(symbol: str, names: Sequence[str], look: Look) -> str:
    """The label of an operation whose operands each have a place of their own."""
    rows = "".join(f"<tr>{row}</tr>" for row in _sign_rows(symbol, names, look))
    return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="3">{rows}</table>'


def _sign_cell(symbol: str, names: Sequence[str], look: Look) -> str:
    """An operation beside its result."""
    text = sign_card(symbol, names, look) if names else f"<b>{escape_html(symbol)}</b>"
    colour = look.theme.operation
    return (
        f'<td bgcolor="{colour}" style="rounded" border="1" color="{edge_of(colour, look.theme)}" '
        f'cellpadding="4" width="24">{text}</td>'
    )


def marked(theme: Theme) -> dict[str, str]:
    """How a box looks that is to be seen first."""
    fill = mix(theme.background, theme.wrong, 0.3)
    return {"fillcolor": fill, "color": theme.wrong, "penwidth": "3"}


def edge_of(colour: str, theme: Theme) -> str:
    """The border of a box in that colour."""
    return mix(colour, theme.ink, 0.45)


def _sign_rows(symbol: str, names: Sequence[str], look: Look) -> list[str]:
    """The operands' cells on the side that their edges come from, the sign on the other."""
    cells = [
        f'<td port="{k}" cellpadding="2"><font point-size="8" color="{look.theme.muted}">'
        f"{name}</font></td>"
        for k, name in enumerate(names)
    ]
    span = "rowspan" if look.rankdir in ("LR", "RL") else "colspan"
    sign = f'<td {span}="{len(names)}"><b>{escape_html(symbol)}</b></td>'
    if look.rankdir == "LR":
        return [cells[0] + sign, *cells[1:]]
    if look.rankdir == "RL":
        return [sign + cells[0], *cells[1:]]
    return ["".join(cells), sign] if look.rankdir == "TB" else [sign, "".join(cells)]


def _rows(name: str, lines: Lines, look: Look) -> list[str]:
    """A name above lines of numbers."""
    rows = [f'<td colspan="2"><b>{escape_html(name)}</b></td>'] if name else []
    return rows + [_card_line(*line, look) for line in lines]


def _table(rows: list[str]) -> str:
    text = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="2">{text}</table>'


def _card_line(caption: str, text: str, colour: str, look: Look) -> str:
    if not caption:
        small = f'<font point-size="10" color="{colour or look.theme.muted}">'
        return f'<td colspan="2">{small}{escape_html(text)}</font></td>'
    small = f'<font point-size="10" color="{look.theme.muted}">'
    behind = f' bgcolor="{colour}"' if colour else ""
    return (
        f'<td align="left" width="48">{small}{caption}</font></td>'
        f'<td align="right"{behind}>{escape_html(text)}</td>'
    )
