"""What the player's page holds: graphs laid out, runs through them, training; as JSON.

Every number comes with the text that the page shows, so Python alone rounds. Runs that differ
in numbers only share one graph. Parameters are kept as 32-bit floats: seven digits are more
than a picture shows.
"""

import base64
import json
import linecache
import math
import unicodedata
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from miniflow.nn import Layer, Module, Neuron, parts
from miniflow.program.ir import Code
from viz.output.names import holder_of, neuron_of, shown_sign
from viz.output.pictures import SlowLayoutError, picture
from viz.output.text import number_text
from viz.player.recording import Iteration, Recording
from viz.player.steps import Line, Node, Steps
from viz.player.whatif import JSON, Changeable

GRAPHS = 6  # graphs that one page lays out at most
RECORDS = 6000  # nodes and contributions of all runs together
FLOATS = 48_000  # parameters and gradients of all iterations together
CURVE = 1000  # points of a loss curve
LABELLED = 80  # edges up to which each has room for its local derivative
SPAN = 40  # lines of source that are shown as one piece
WIDEST = 18  # characters of a name in a box

HEIGHTS = {"constant": 30}  # of boxes, in points; of all others 68
ROUTES = {"wide": "LR", "tall": "TB"}


class NumberList:
    """Each number once, with its text."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def add(self, x: float | None) -> int:
        """The number's place; -1 for none."""
        return -1 if x is None else self.places.setdefault(repr(x), len(self.places))

    def data(self) -> JSON:
        """All of them: JSON has no infinities and NaNs, they are strings."""
        values = [float(text) for text in self.places]
        return {
            "values": [x if math.isfinite(x) else repr(x) for x in values],
            "texts": [number_text(x) for x in values],
        }


def scene_of(steps: Steps) -> JSON:
    """The data of a page for one run.

    Example:
        >>> from miniflow import Value
        >>> from viz.player.steps import take_steps
        >>> a = Value(2.0, label="a")
        >>> scene = scene_of(take_steps(a * 3))
        >>> scene["graphs"][0]["nodes"][2]["formula"], scene["runs"][0]["forward"]
        ('a × 3', ['', '', '2.0000 × 3'])
    """
    return _scene([steps], [], None)


def scene_of_recording(recording: Recording) -> JSON:
    """The data of a page for a recording.

    Raises:
        ValueError: there was no `backward()` in its block.
    """
    if not recording.iterations:
        raise ValueError(
            "play: the recording is empty; call backward() inside of the with block, "
            "on the thread that entered it"
        )
    shown = _shown(recording)
    notices = []
    if len(shown) < len(recording):
        notices.append(
            f"{len(shown)} of {len(recording):,} iterations are kept on this page, evenly spread."
        )
    iterations = [recording.iterations[k] for k in shown]
    entries = max(x.entries for x in iterations)
    if all(x.steps is None for x in iterations):
        notices.append(
            f"Each loss was computed from {entries:,} numbers: too many to step through "
            f"(the limit is {recording.limit:,})."
        )
    return _scene([x.steps for x in iterations], notices, _training(recording, shown, notices))


def scene_of_paths(
    paths: Sequence[Steps], nodes: Sequence[Sequence[int]], live: JSON, guards: Mapping[str, Code]
) -> JSON:
    """The data of a page with sliders.

    Args:
        paths: a run for each path through the function.
        nodes: for each path the node of every slider, or -1.
        live: what the page knows of the function.
        guards: for each path the program that says whether it holds.

    Raises:
        TypeError: an operation is a function of Python, which no page can run.
    """
    scene = _scene(paths, [], None, guards)
    for run, found in zip(scene["runs"], nodes, strict=True):
        if run["refused"]:
            raise TypeError(f"live: {run['refused']}")
        run["sliders"] = found
    return scene | {"live": live}


def _scene(
    runs: Sequence[Steps | None], notices: list[str], training: JSON | None,
    guards: Mapping[str, Code] = {},
) -> JSON:  # fmt: skip
    numbers, changeable = NumberList(), Changeable()
    structures: dict[Any, int] = {}
    found: list[JSON | None] = []
    examples: list[Steps] = []
    for steps in runs:
        key = None if steps is None else steps.structure
        if steps is None or (key not in structures and len(structures) == GRAPHS):
            found.append(None)
            continue
        if key not in structures:
            structures[key] = len(structures)
            examples.append(steps)
        found.append(_run(steps, structures[key], numbers) | changeable.add(steps))
    if examples and None in found:
        notices.append(f"Only the first {len(examples)} different graphs are laid out.")
    return {
        "graphs": [_graph(steps) for steps in examples],
        "runs": found,
        "notices": notices,
        "training": training,
        "numbers": numbers.data(),
        "whatif": changeable.plans,
        "live": None,
        "script": changeable.script(guards),
    }


# --- runs ---------------------------------------------------------------------


def _run(steps: Steps, graph: int, numbers: NumberList) -> JSON:
    return {
        "graph": graph,
        "seed": numbers.add(steps.seed),
        "values": [numbers.add(x.value) for x in steps.nodes],
        "held": [numbers.add(x.held) for x in steps.nodes],
        "forward": [x.numbers for x in steps.nodes],
        "backward": [
            [
                x.result, x.place, x.operand,
                *map(numbers.add, (x.upstream, x.local, x.amount, x.before, x.after)), x.rule,
            ]
            for x in steps.contributions
        ],
    }  # fmt: skip


# --- graphs -------------------------------------------------------------------


def _graph(steps: Steps) -> JSON:
    code, places = _code([x.line for x in steps.nodes if x.op])
    return {
        "nodes": [_node(x, places) for x in steps.nodes],
        "code": code,
        **{name: _layout(steps, rankdir) for name, rankdir in ROUTES.items()},
    }


def _node(node: Node, places: dict[Line, int]) -> JSON:
    return {
        "name": node.name,
        "short": _clipped(node.name),
        "label": node.label,
        "kind": node.kind,
        "op": node.op,
        "symbol": _clipped(shown_sign(node.symbol), 10),
        "operands": node.operands,
        "formula": node.formula,
        "line": places.get(node.line, -1) if node.line else -1,
    }


def _width_of(text: str) -> int:
    """About how many characters wide a text is: those of East Asia and emoji count twice."""
    return sum(1 + (unicodedata.east_asian_width(x) in "WF") for x in text)


def _clipped(name: str, longest: int = WIDEST) -> str:
    """What a box has room for: of a path the end says which one it is."""
    path = neuron_of(name) != ""
    while _width_of(name) > longest:
        name = "…" + name.removeprefix("…")[1:] if path else name.removesuffix("…")[:-1] + "…"
    return name


def _box_size(node: Node) -> tuple[float, float]:
    """A box's width and height in points."""
    if node.kind == "constant":
        return max(44, 8.2 * _width_of(_clipped(node.name)) + 18), HEIGHTS["constant"]
    words = _width_of(_clipped(node.name)) + _width_of(_clipped(node.symbol, 10))
    return max(156, 8.2 * words + 42), 68


def _layout(steps: Steps, rankdir: str) -> JSON:
    """Where Graphviz puts boxes, edges and their labels; the origin is at the top left."""
    try:
        drawn = json.loads(picture("".join(_layout_source(steps, rankdir)), "json"))
    except SlowLayoutError:
        drawn = json.loads(picture("".join(_layout_source(steps, rankdir, plain=True)), "json"))
    _, _, width, height = map(float, drawn["bb"].split(","))
    boxes = {x["name"]: x for x in drawn["objects"]}
    nodes = [
        [
            *_point(boxes[f"v{n}"]["pos"], height),
            *[round(72 * float(boxes[f"v{n}"][side]), 1) for side in ("width", "height")],
        ]
        for n in range(len(steps.nodes))
    ]
    edges = {x["id"]: x for x in drawn.get("edges", [])}
    return {
        "size": [round(width, 1), round(height, 1)],
        "nodes": nodes,
        "edges": {name: _spline(x["pos"], height) for name, x in edges.items()},
        "labels": {name: _point(x["lp"], height) for name, x in edges.items() if "lp" in x},
    }


def _layout_source(steps: Steps, rankdir: str, *, plain: bool = False) -> Iterable[str]:
    """The graph for a layout; a plain one is laid out with less care."""
    tail, head = ("e", "w") if rankdir == "LR" else ("s", "n")
    labels = {(x.result, x.place) for x in steps.contributions}
    if plain or sum(len(x.operands) for x in steps.nodes) > LABELLED:
        labels = set()
    care = (
        "nslimit=0.1 nslimit1=0.1 mclimit=0.1 splines=polyline" if plain else "nslimit=1 nslimit1=1"
    )
    yield f"digraph {{ rankdir={rankdir} ranksep=0.3 nodesep=0.26 {care}"
    yield " node [shape=box fixedsize=true]"
    yield f' edge [tailport={tail} headport={head} fontsize=11 fontname="Helvetica"]\n'
    for n, node in enumerate(steps.nodes):
        width, height = _box_size(node)
        yield f'v{n} [label="" width={width / 72:.4f} height={height / 72:.4f}]\n'
        for k, x in enumerate(node.operands):
            label = ' label=" -00.0000 "' if (n, k) in labels else ""
            yield f'v{x} -> v{n} [id="{n}_{k}"{label}]\n'
    yield "}"


def _point(text: str, height: float) -> list[float]:
    x, y = text.split(",")
    return [round(float(x), 1), round(height - float(y), 1)]


def _spline(text: str, height: float) -> JSON:
    """A line as an SVG path, and its arrow's tip."""
    tip, *points = [_point(x.removeprefix("e,"), height) for x in text.split(" ")]
    first, *others = [f"{x:g},{y:g}" for x, y in points]
    return {"path": f"M{first}C{' '.join(others)}", "base": points[-1], "tip": tip}


# --- source -------------------------------------------------------------------


def _code(lines: Iterable[Line | None]) -> tuple[list[JSON], dict[Line, int]]:
    """The lines of source to show, and the place of each used one among them."""
    used: dict[str, set[int]] = {}
    for line in lines:
        if line is not None and linecache.getline(*line).strip():
            used.setdefault(line[0], set()).add(line[1])
    rows: list[JSON] = []
    places: dict[Line, int] = {}
    for file, wanted in used.items():
        for k in _whole(wanted):
            places[file, k] = len(rows)
            text = linecache.getline(file, k).rstrip("\r\n").expandtabs(4)[:200]
            rows.append({"file": Path(file).name, "number": k, "text": text})
    return _dedented(rows), places


def _whole(numbers: set[int]) -> Iterable[int]:
    """Those lines with the ones between them, unless these are too many."""
    first, last = min(numbers), max(numbers)
    return range(first, last + 1) if last - first < SPAN else sorted(numbers)


def _dedented(rows: list[JSON]) -> list[JSON]:
    margins = [len(x["text"]) - len(x["text"].lstrip()) for x in rows if x["text"].strip()]
    margin = min(margins, default=0)
    return [{**x, "text": x["text"][margin:]} for x in rows]


# --- training -----------------------------------------------------------------


def _evenly_spread(count: int, most: int) -> list[int]:
    """So many of the numbers below `count`, evenly, the first and the last among them."""
    most = max(2, most)
    if count <= most:
        return list(range(count))
    return [round(k * (count - 1) / (most - 1)) for k in range(most)]


def _shown(recording: Recording) -> list[int]:
    """The iterations that fit onto a page."""
    count, most = len(recording), len(recording)
    floats = 2 * len(recording.names)
    if 0 < 2 * floats <= FLOATS:
        most = min(most, FLOATS // floats)
    records = max(
        (len(x.steps.nodes) + len(x.steps.contributions) for x in recording.iterations if x.steps),
        default=0,
    )
    if records:
        most = min(most, RECORDS // records)
    return _evenly_spread(count, most)


def _training(recording: Recording, shown: list[int], notices: list[str]) -> JSON | None:
    if len(recording) == 1 and not recording.names:
        return None
    iterations = [recording.iterations[k] for k in shown]
    fits = 2 * len(recording.names) * len(shown) <= FLOATS
    if recording.names and not fits:
        notices.append(f"{len(recording.names):,} parameters are too many for this page.")
    names = recording.names if fits else []
    layers = _network_layers(recording.model) if names else []
    return {
        "shown": [k + 1 for k in shown],
        "curve": [[k + 1, _safe(recording.losses[k])] for k in _curve_iterations(recording, shown)],
        "losses": [number_text(x.loss) for x in iterations],
        "names": names,
        "parameters": _packed(iterations, "parameters") if names else "",
        "gradients": _packed(iterations, "gradients") if names else "",
        "layers": layers,
        "groups": _parameter_groups(names, layers),
    }


def _curve_iterations(recording: Recording, shown: list[int]) -> list[int]:
    return sorted({*_evenly_spread(len(recording), CURVE), *shown})


def _safe(x: float) -> float | str:
    return float(f"{x:.6g}") if math.isfinite(x) else repr(x)


def _packed(iterations: list[Iteration], what: str) -> str:
    """All iterations' numbers, one after the other, as base64 of 32-bit floats."""
    numbers = array("f", [_single(x) for row in iterations for x in getattr(row, what)])
    if array("H", [1]).tobytes() != b"\1\0":
        numbers.byteswap()  # the page reads the smaller end first
    return base64.b64encode(numbers.tobytes()).decode()


def _single(x: float) -> float:
    """A double as a 32-bit float can hold it."""
    try:
        return array("f", [x])[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def _network_layers(model: Module | None) -> list[list[JSON]]:
    """Layers of neurons, if each one takes what the one before it gives; otherwise none."""
    layers = list(_neurons(model, set()))
    numbers = {v: k for k, v in enumerate(model.parameters())} if model is not None else {}
    found = [[_neuron(neuron, numbers) for neuron in layer] for layer in layers]
    sizes = [len(layer) for layer in found]
    for before, layer in zip([None, *sizes], found, strict=False):
        for neuron in layer:
            if before not in (None, len(neuron["weights"])) or -1 in neuron["weights"]:
                return []
    even = found and len({len(x["weights"]) for x in found[0]}) == 1
    return found if even else []


def _neurons(nest: Any, seen: set[int]) -> Iterable[list[Neuron]]:
    """The layers in a nest of modules and containers, once each."""
    if id(nest) in seen:
        return
    seen.add(id(nest))
    if isinstance(nest, Neuron):
        yield [nest]
    elif isinstance(nest, Layer):
        yield nest.neurons
    elif isinstance(nest, (Module, dict, list, tuple)):
        for _, part in parts(nest):
            yield from _neurons(part, seen)


def _neuron(neuron: Neuron, numbers: dict[Any, int]) -> JSON:
    return {
        "weights": [numbers.get(v, -1) for v in neuron.w],
        "bias": numbers.get(neuron.b, -1),
        "activation": neuron.activation_name,
    }


def _parameter_groups(names: list[str], layers: list[list[JSON]]) -> list[JSON]:
    """Parameters that are looked at together: a neuron's, or those with a common prefix."""
    groups: list[JSON] = []
    for layer in layers:
        for neuron in layer:
            neuron["group"] = len(groups)
            members = [x for x in (*neuron["weights"], neuron["bias"]) if x >= 0]
            title = holder_of(names[members[0]]) or "the neuron"
            groups.append({"title": title, "members": members})
    grouped = {x for group in groups for x in group["members"]}
    others: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        if k not in grouped:
            others.setdefault(holder_of(name) or "the model", []).append(k)
    return groups + [{"title": title, "members": x} for title, x in others.items()]
