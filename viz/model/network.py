"""A network's layers as columns: neurons are circles, weights the lines between them.

A line's colour is its weight's sign and size, its width the size; a circle's ring is its bias
in the same way. NaN and infinite ones are dashed. The model is read, not run: a layer follows
the one before it where the numbers of outputs and inputs agree, otherwise it begins a part of
the drawing with inputs of its own.

Positions are computed here, in inches: `along` from inputs to outputs, `across` from neuron to
neuron; `rankdir` says how they lie on the page. Graphviz only draws.
"""

import math
import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from miniflow.nn import Module
from miniflow.tape.core import Value
from viz.output.checks import at_least, wrong_type
from viz.output.columns import LayerColumn, chains_of, columns_in
from viz.output.options import PictureOptions
from viz.output.palette import FONT, extent, signed
from viz.output.pictures import Diagram
from viz.output.text import escape, number_text

MOST_LAYERS = 24  # layers in a row that are drawn at most
DIAMETER = 0.52  # a circle's diameter
STEP, ROOMY = 0.66, 0.9  # from neuron to neuron; where there are few
PITCH = 2.2  # from layer to layer, at least
MOST = 24  # lines between two columns that have their numbers beside them
BOLD = 2.7  # points by which the widest line is wider than the thinnest, at most
SAMPLE = 0.62  # the length of a line in the legend

OUTPUT = {"shape": "plaintext", "fixedsize": "true", "width": "0.32", "height": "0.28"}

Point = tuple[float, float]


def draw_network(
    model: Module,
    format: str = PictureOptions.format,  # noqa: A002 - as draw_dot has it
    rankdir: str = PictureOptions.rankdir,
    *,
    theme: str = PictureOptions.theme,
    longest: int = 16,
) -> Diagram:
    """A neural network as a diagram: layers, neurons, weights, biases, activations.

    Colour and width show each weight's sign and size; in an SVG, pointing at a line or a
    circle shows its number, its gradient and its name in the model. Numbers are written
    beside the lines where there is room.

    Args:
        model: a Neuron, a Layer, an MLP, a Linear, or a Module that holds such; activations
            that follow as modules are drawn as their layer's, and what else has parameters is
            named below the drawing.
        format: what `Diagram.render` and `Diagram.pipe` write: "svg", "png", "pdf" or
            another of Graphviz's formats.
        rankdir: from inputs to outputs: "LR" from left to right, "TB" from top to bottom,
            "RL", "BT".
        theme: "light" or "dark".
        longest: how many neurons of a layer are drawn at most, 3 or more; of longer ones
            the first and the last, with the number of the others between them.

    Raises:
        TypeError: `model` is not a Module, or holds no neurons.
        ValueError: an unknown format, rankdir or theme, or `longest` is too small.

    Example:
        >>> from miniflow.nn import MLP
        >>> diagram = draw_network(MLP(2, [3, 1], seed=1))
        >>> diagram.source.count(" -> ")  # 9 weights, the output's arrow, 5 in the legend
        15
    """
    options = PictureOptions(format, rankdir, theme)
    options.check("draw_network")
    at_least("draw_network", "longest", longest, 3)
    columns = columns_of(model)
    sheet = Sheet(options, extent(_weights_and_biases(columns)), _bold(columns, longest))
    first, top = 0, 0.0
    for chain in chains_of(columns):
        part = Part(sheet, chain, first, top, longest)
        part.draw()
        first, top = first + len(chain), part.bottom + STEP
    sheet.caption(title(model).replace("->", "→"), _remarks(model, columns))
    sheet.legend(any(not math.isfinite(x) for x in _weights_and_biases(columns)))
    return sheet.diagram


def columns_of(model: object) -> list[LayerColumn]:
    """The layers of a model, in the order in which it holds them."""
    if not isinstance(model, Module):
        raise wrong_type("draw_network", "model", "a Module", model, _network_remedy(model))
    columns = columns_in(model)
    if not columns:
        raise TypeError(
            f"draw_network: this {type(model).__name__} holds no Neuron, no Layer "
            "and no Linear; draw_dot(model(x)) draws what it computes"
        )
    return columns


def _network_remedy(model: object) -> str:
    if isinstance(model, type) and issubclass(model, Module):
        return f"make one, as in {model.__name__}(2, ...)"
    if isinstance(model, Value):
        return "draw_dot draws the graph of a Value"
    if isinstance(model, (list, tuple)) and any(isinstance(x, Module) for x in model):
        return "make the list an attribute of a Module"
    return "give an MLP, a Layer, a Neuron, a Linear or a Module that holds such"


def _drawn_parameters(columns: list[LayerColumn]) -> Iterator[Any]:
    for column in columns:
        for neuron in column.neurons:
            yield from neuron.w
            if neuron.b is not None:
                yield neuron.b


def _weights_and_biases(columns: list[LayerColumn]) -> list[float]:
    """The numbers of all weights and biases."""
    return [_data(x) for x in _drawn_parameters(columns)]


def _data(x: Any) -> float:
    return x.data if isinstance(x, Value) else float(x)


def title(model: Module) -> str:
    """A model in one line: its class, its sizes and how many parameters it has.

    Raises:
        TypeError: `model` is not a Module, or holds no neurons.

    Example:
        >>> from miniflow.nn import MLP
        >>> title(MLP(2, [3, 1]))
        'MLP   2 -> 3 -> 1   13 parameters'
    """
    columns = columns_of(model)
    words = [type(model).__name__]
    if len(chains_of(columns)) == 1 and len(columns) < 8:
        sizes = [columns[0].inputs, *[len(column.neurons) for column in columns]]
        words.append(" -> ".join(map(str, sizes)))
    return "   ".join([*words, _counted(len(model.parameters()), "parameter")])


def _remarks(model: Module, columns: list[LayerColumn]) -> str:
    """What else the model has: it is not in the picture, but must not be passed over."""
    drawn = {id(x) for x in _drawn_parameters(columns)}
    others = [name for name, x in model.named_parameters() if id(x) not in drawn]
    if not others:
        return ""
    some = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
    return f"and {_counted(len(others), 'parameter')} outside of neurons: {some}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


# --- numbers as text ----------------------------------------------------------


def _brief(x: float) -> str:
    """A number in about five characters: what fits into a circle."""
    size = abs(x)
    if not math.isfinite(x) or x == 0:
        return f"{x:z.0f}"
    if 0.00995 <= size < 999.5:
        return f"{x:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}"
    return re.sub(r"e([+-])0*(\d+)", lambda e: f"e{e[1].strip('+')}{e[2]}", f"{x:.0e}")


def _tip(name: str, x: Any) -> str:
    """What pointing at a parameter shows."""
    gradient = f"   gradient {number_text(x.grad)}" if isinstance(x, Value) else ""
    return f"{name}   {number_text(_data(x))}{gradient}"


def _slots(count: int, most: int) -> list[int | None]:
    """Which of so many things are drawn; None stands for those that are left out."""
    if count <= most:
        return list(range(count))
    last = (most - 1) // 2
    return [*range(most - 1 - last), None, *range(count - last, count)]


def _slot_ends(slots: list[int | None], flat: bool) -> list[float]:
    """Where slots of one step each end; the words for what is left out are wider than high."""
    return list(accumulate(1.0 if flat or k is not None else 1.6 for k in slots))


def _bold(columns: list[LayerColumn], longest: int) -> float:
    """How much wider the widest line is: less where there are many."""
    most = max(min(c.inputs, longest) * min(len(c.neurons), longest) for c in columns)
    return round(BOLD * min(1.0, math.sqrt(40 / most)), 2)


# --- the page -----------------------------------------------------------------


class Sheet:
    """A diagram whose nodes have places."""

    def __init__(self, options: PictureOptions, scale: float, bold: float) -> None:
        self.scale, self.bold = scale, bold
        self.rankdir, self.theme = options.rankdir, options.colours
        self.flat = self.rankdir in ("LR", "RL")  # lines lie rather than stand
        theme = self.theme
        self.spots: list[Point] = []
        self.diagram = Diagram(
            format=options.format,
            engine="neato",
            graph_attr={
                "layout": "neato",
                "bgcolor": theme.background,
                "outputorder": "edgesfirst",
                "splines": "line",
                "pad": "0.25",
            },
            node_attr={
                "shape": "plain",
                "fontname": FONT,
                "fontsize": "10",
                "fontcolor": theme.ink,
                "label": "",
            },
            edge_attr={"dir": "none", "color": theme.muted},
        )

    def turned(self, along: float, across: float) -> Point:
        """A place on the page, y upwards."""
        if self.rankdir in ("LR", "RL"):
            return (along if self.rankdir == "LR" else -along), -across
        return across, (-along if self.rankdir == "TB" else along)

    def put(self, name: str, spot: Point, label: str = "", **attributes: str) -> None:
        """A node with its centre at a place on the page."""
        x, y = [round(c, 4) + 0.0 for c in spot]
        self.spots.append((x, y))
        self.diagram.node(name, label, pos=f"{x:g},{y:g}!", **attributes)

    def text(self, name: str, spot: Point, text: str, **attributes: str) -> None:
        """Text on the page, and nothing behind it."""
        attributes = {"style": "filled", "fillcolor": self.theme.background, **attributes}
        self.put(name, spot, escape(text), **attributes)

    def circle(self, name: str, spot: Point, label: str, tip: str, fill: str, **pen: str) -> None:
        """A neuron or an input."""
        style = f"filled,{pen.pop('style', 'solid')}"
        self.put(
            name, spot, label, shape="circle", fixedsize="true", width=str(DIAMETER), style=style,
            fillcolor=fill, tooltip=escape(tip), fontsize="9", **pen,
        )  # fmt: skip

    def line(self, tail: str, head: str, x: float, tip: str = "") -> None:
        """A line that shows a number."""
        pen = self.pen(x, 0.5, self.bold)
        self.diagram.edge(tail, head, tooltip=escape(tip), **pen)

    def pen(self, x: float, thin: float, more: float) -> dict[str, str]:
        """How a line or ring for a number is drawn."""
        pen = {"color": signed(x, self.scale, self.theme)}
        if not math.isfinite(x):
            return {**pen, "penwidth": f"{thin + more / 2:.2f}", "style": "dashed"}
        return {**pen, "penwidth": f"{thin + more * min(1.0, abs(x) / self.scale):.2f}"}

    def edges(self) -> tuple[float, float, float]:
        """How far the drawing goes: the middle, the bottom and the top."""
        xs, ys = zip(*self.spots, strict=True)
        return (min(xs) + max(xs)) / 2, min(ys), max(ys)

    def caption(self, title: str, remarks: str) -> None:
        """The title above the drawing; below it what it does not show."""
        middle, bottom, top = self.edges()
        if remarks:
            self.text("remarks", (middle, bottom - 0.5), remarks, fontcolor=self.theme.muted)
        self.text("title", (middle, top + (0.5 if self.flat else 0.7)), title, fontsize="14")

    def legend(self, wrong: bool) -> None:
        """What the lines mean: some of them with their numbers."""
        middle, bottom, _ = self.edges()
        samples = [share * self.scale for share in (-1.0, -0.25, 0.0, 0.25, 1.0)]
        samples += [float("nan")] * wrong
        left, y = middle - len(samples) * SAMPLE / 2, bottom - 0.6
        for k, x in enumerate(samples):
            start = left + k * SAMPLE
            self.put(f"key{k}a", (start + 0.08, y), shape="point", style="invis", width="0")
            self.put(
                f"key{k}b", (start + SAMPLE - 0.08, y), shape="point", style="invis", width="0"
            )
            self.line(f"key{k}a", f"key{k}b", x)
            label = _brief(x) if math.isfinite(x) else "nan, inf"
            self.text(f"key{k}", (start + SAMPLE / 2, y - 0.16), label, fontsize="9")
        self.text(
            "keys",
            (middle, y - 0.4),
            "line: weight      ring and number: bias",
            fontsize="9",
            fontcolor=self.theme.muted,
        )


class Circles(NamedTuple):
    """What is drawn of a layer, or of the inputs."""

    prefix: str  # of its nodes' names
    along: float
    places: dict[int, float]  # across, by the number of the neuron
    missing: int  # neurons that are left out
    gap: float  # where that is said

    def node(self, k: int) -> str:
        return f"{self.prefix}_{k}"


class Part:
    """Layers that follow each other, and their inputs: the drawing, or one of several."""

    def __init__(
        self, sheet: Sheet, chain: list[LayerColumn], first: int, top: float, longest: int
    ) -> None:
        self.sheet, self.chain, self.first, self.longest = sheet, chain, first, longest
        sizes = [chain[0].inputs, *[len(column.neurons) for column in chain]]
        steps = max(_slot_ends(_slots(size, longest), sheet.flat)[-1] for size in sizes)
        self.height = steps * (ROOMY if steps <= 5 else STEP)
        self.top, head = top, 0.3 if sheet.flat else 0.7  # a heading's half, and some air
        self.middle = top + head + self.height / 2
        self.bottom = top + head + self.height
        self.pitch = max(PITCH, 0.28 * self.height)

    def draw(self) -> None:
        """Draw it all."""
        before: Circles | None = self.inputs()
        for place, k in enumerate(_slots(len(self.chain), MOST_LAYERS), start=1):
            if k is None:
                self.left_out(place)
                before = None
                continue
            circles = self.circles(f"n{self.first + k}", place, len(self.chain[k].neurons))
            self.layer(circles, self.chain[k], last=k == len(self.chain) - 1)
            if before is not None:
                self.weights(before, circles, self.chain[k])
            before = circles
        if before is not None:
            self.outputs(before)

    def circles(self, prefix: str, place: int, size: int) -> Circles:
        """The places of a layer's neurons: in its column, around the middle."""
        slots = _slots(size, self.longest)
        ends = _slot_ends(slots, self.sheet.flat)
        step = min(1.2 * ROOMY, self.height / ends[-1])
        at = {
            k: self.middle + step * ((start + end - ends[-1]) / 2)
            for k, (start, end) in zip(slots, pairwise([0.0, *ends]), strict=True)
        }
        gap = at.pop(None, 0.0)
        places = {k: across for k, across in at.items() if k is not None}
        return Circles(prefix, place * self.pitch, places, size - len(places), gap)

    def heading(self, circles: Circles, *lines: str) -> None:
        """What stands above a column, and in it where neurons are left out."""
        spot = self.sheet.turned(circles.along, self.top)
        self.sheet.text(f"{circles.prefix}_head", spot, "\n".join(lines))
        if circles.missing:
            self.sheet.text(
                f"{circles.prefix}_gap",
                self.sheet.turned(circles.along, circles.gap),
                f"… {circles.missing:,} more …",
                fontcolor=self.sheet.theme.muted,
            )

    def inputs(self) -> Circles:
        """The column of inputs."""
        size, theme = self.chain[0].inputs, self.sheet.theme
        circles = self.circles(f"x{self.first}", 0, size)
        self.heading(circles, "inputs" if size > 1 else "input", str(size))
        for k, across in circles.places.items():
            spot = self.sheet.turned(circles.along, across)
            label = _subscript("x", k, size)
            self.sheet.circle(
                circles.node(k), spot, label, f"input {k}", theme.input, color=theme.muted
            )
        return circles

    def layer(self, circles: Circles, column: LayerColumn, *, last: bool) -> None:
        """The circles of a layer; where activations differ, each says its own."""
        sheet, shared = self.sheet, column.activation
        self.heading(circles, column.name, f"{len(column.neurons)} · {shared or 'mixed'}")
        fill = sheet.theme.output if last else sheet.theme.computed
        for k, across in circles.places.items():
            neuron, spot = column.neurons[k], sheet.turned(circles.along, across)
            none, own = neuron.b is None, neuron.activation
            b = 0.0 if none else _data(neuron.b)
            label = "" if none else _brief(b)
            label = label if shared else f"{label}\n{own}"
            tip = f"{'no bias' if none else _tip(neuron.b_name, neuron.b)}   {own}"
            sheet.circle(circles.node(k), spot, escape(label), tip, fill, **sheet.pen(b, 1.0, 2.5))

    def weights(self, tails: Circles, heads: Circles, column: LayerColumn) -> None:
        """The lines between two columns, the strongest on top; their numbers if they fit."""
        lines = []
        for j in heads.places:
            neuron = column.neurons[j]
            lines += [
                (i, j, neuron.w[i], f"{neuron.w_name}.{i}")
                for i in tails.places
                if i < len(neuron.w)
            ]
        for i, j, w, path in sorted(lines, key=lambda line: _strength(_data(line[2]))):
            self.sheet.line(tails.node(i), heads.node(j), _data(w), _tip(path, w))
        ends = [(tails.places[i], heads.places[j]) for i, j, *_ in lines]
        share = _room(ends, self.sheet.flat)
        if share is None:
            return
        along = tails.along + share * (heads.along - tails.along)
        for (i, j, w, _), (start, end) in zip(lines, ends, strict=True):
            spot = self.sheet.turned(along, start + share * (end - start))
            self.sheet.text(f"{heads.prefix}_{i}_{j}", spot, _brief(_data(w)), fontsize="8")

    def outputs(self, circles: Circles) -> None:
        """The arrows that leave the last column."""
        size = len(self.chain[-1].neurons)
        for k, across in circles.places.items():
            name = f"y{self.first}_{k}"
            spot = self.sheet.turned(circles.along + 0.75, across)
            self.sheet.put(name, spot, _subscript("y", k, size), **OUTPUT)
            self.sheet.diagram.edge(circles.node(k), name, dir="forward", arrowsize="0.6")

    def left_out(self, place: int) -> None:
        """What stands for the layers that are not drawn."""
        missing = len(self.chain) - MOST_LAYERS + 1
        spot = self.sheet.turned(place * self.pitch, self.middle)
        text = f"… {missing:,} more layers …"
        self.sheet.text(f"gap{self.first}", spot, text, fontcolor=self.sheet.theme.muted)


def _subscript(letter: str, k: int, size: int) -> str:
    """The name of an input or output, counted from 1 as in books."""
    return f"<<i>{letter}</i><sub>{k + 1}</sub>>" if size > 1 else f"<<i>{letter}</i>>"


def _strength(x: float) -> float:
    return abs(x) if math.isfinite(x) else math.inf


# --- room for numbers ---------------------------------------------------------

SHARES = [0.5, *[0.5 + side * k / 100 for k in range(1, 27) for side in (-1, 1)]]


def _room(lines: list[tuple[float, float]], flat: bool) -> float | None:
    """Where, as a share of their length, numbers on lines stand clear of each other.

    Args:
        lines: from where to where each goes across.
        flat: whether the lines lie, so that text across them is only as high as it is.

    Returns:
        The share nearest to the middle with plenty of room, else that with the most room;
        None if that is too little.
    """
    if len(lines) > MOST:
        return None
    little, plenty = (0.15, 0.21) if flat else (0.38, 0.5)
    free = {share: _clearance(lines, share) for share in SHARES}
    best = max(SHARES, key=lambda share: min(free[share], plenty))
    return best if free[best] >= little else None


def _clearance(lines: list[tuple[float, float]], share: float) -> float:
    """The smallest distance across between lines at a share of their length."""
    at = sorted(start + share * (end - start) for start, end in lines)
    return min((b - a for a, b in pairwise(at)), default=math.inf)
