"""What the player's page holds: graphs laid out, runs through them, training; as JSON.

Every number comes with the text that the page shows, so Python alone rounds. Runs that differ
in numbers only share one graph. Parameters are kept as 32-bit floats: seven digits are more
than a picture shows.
"""

import base64
import linecache
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from miniflow.nn import Module
from miniflow.program.ir import Code
from viz.diagram.reach import crossed
from viz.output.columns import DrawnNeuron, columns_in
from viz.output.names import holder_of, shown_sign
from viz.output.pictures import time_for
from viz.output.text import number_text
from viz.player.boundary import Boundary, boundary_script
from viz.player.frames import closed_at_first, frames_of
from viz.player.layout import clipped, layout
from viz.player.recording import Iteration, Recording
from viz.player.steps import Line, Node, Steps
from viz.player.whatif import JSON, Changeable

GRAPHS = 6  # graphs that one page lays out at most
RECORDS = 6000  # nodes and contributions of all runs together
FLOATS = 48_000  # parameters and gradients of all iterations together
CURVE = 1000  # points of a loss curve
SPAN = 40  # lines of source that are shown as one piece

ROUTES = {"wide": "LR", "tall": "TB"}
LESS_CARE = (
    "Laid out in plain columns, with edges that may lead across boxes: there are too many long "
    "edges for more care."
)


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
    shown, samples = _shown(recording)
    notices = []
    if len(shown) < len(recording):
        notices.append(
            f"{len(shown)} of {len(recording):,} iterations are kept on this page, evenly spread."
        )
    iterations = [recording.iterations[k] for k in shown]
    if all(x.steps is None for x in iterations):
        entries = max(x.entries for x in iterations)
        notices.append(
            f"Each loss was computed from {entries:,} numbers: too many to step through "
            f"(the limit is {recording.limit:,}), and no part of them is one sample's."
        )
    runs = [
        None if recording.has_sample(k) and k not in samples else x.steps
        for k, x in zip(shown, iterations, strict=True)
    ]
    training = _training(recording, shown, notices)
    scene = _scene(runs, notices, training, boundary=recording.boundary)
    for run, k in zip(scene["runs"], shown, strict=True):
        if run is not None:
            run["whole"] = recording.iterations[k].entries if k in samples else 0
    return scene


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
    guards: Mapping[str, Code] = {}, boundary: Boundary | None = None,
) -> JSON:  # fmt: skip
    numbers, changeable = NumberList(), Changeable()
    structures: dict[Any, int] = {}
    found: list[JSON | None] = []
    examples: list[Steps] = []
    skipped = False
    for steps in runs:
        key = None if steps is None else steps.structure
        if steps is None or (key not in structures and len(structures) == GRAPHS):
            found.append(None)
            skipped = skipped or steps is not None
            continue
        if key not in structures:
            structures[key] = len(structures)
            examples.append(steps)
        found.append(_run(steps, structures[key], numbers) | changeable.add(steps))
    if skipped:
        notices.append(f"Only the first {len(examples)} different graphs are laid out.")
    graphs = [_graph(steps, _seconds(steps) / len(examples)) for steps in examples]
    if any(graph[name].pop("plain") for graph in graphs for name in ROUTES):
        notices.append(LESS_CARE)
    return {
        "graphs": graphs,
        "runs": found,
        "notices": notices,
        "training": training,
        "numbers": numbers.data(),
        "whatif": changeable.plans,
        "live": None,
        "script": boundary_script(boundary) + changeable.script(guards),
    }


# --- runs ---------------------------------------------------------------------


def _run(steps: Steps, graph: int, numbers: NumberList) -> JSON:
    return {
        "graph": graph,
        "whole": 0,  # entries of the graph that a sample's is a part of
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


def _seconds(steps: Steps) -> float:
    """How long Graphviz may take for one layout of a graph that has a page of its own."""
    length = crossed([node.operands for node in steps.nodes])
    return 0.3 * time_for(len(steps.nodes), length)


def _graph(steps: Steps, seconds: float) -> JSON:
    code, places = _code([x.line for x in steps.nodes if x.op])
    frames = frames_of(steps)
    return {
        "nodes": [_node(x, places) for x in steps.nodes],
        "code": code,
        "frames": [
            {
                "title": x.path[-1],
                "short": clipped(x.path[-1], 14),
                "members": x.members,
                "results": x.results,
            }
            for x in frames
        ],
        "closed": closed_at_first(frames, len(steps.nodes)),
        **{name: layout(steps, rankdir, frames, seconds) for name, rankdir in ROUTES.items()},
    }


def _node(node: Node, places: dict[Line, int]) -> JSON:
    return {
        "name": node.name,
        "short": clipped(node.name),
        "label": node.label,
        "kind": node.kind,
        "op": node.op,
        "symbol": clipped(shown_sign(node.symbol), 10),
        "operands": node.operands,
        "formula": node.formula,
        "line": places.get(node.line, -1) if node.line else -1,
    }


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


def _shown(recording: Recording) -> tuple[list[int], set[int]]:
    """The iterations that fit onto a page, and those of them that have the steps of a sample."""
    count, most = len(recording), len(recording)
    kept = [k for k in range(count) if recording.has_sample(k)]
    samples = {kept[k] for k in _evenly_spread(len(kept), RECORDS // _records(recording, kept))}
    floats = 2 * len(recording.names)
    if 0 < 2 * floats <= FLOATS:
        most = min(most, FLOATS // floats - len(samples))
    most = min(most, RECORDS // _records(recording, set(range(count)) - set(kept)))
    return sorted({*_evenly_spread(count, most), *samples}), samples


def _records(recording: Recording, iterations: Iterable[int]) -> int:
    """Nodes and contributions of the largest graph among those iterations."""
    steps = [recording.iterations[k].steps for k in iterations]
    return max([1, *[len(x.nodes) + len(x.contributions) for x in steps if x is not None]])


def _training(recording: Recording, shown: list[int], notices: list[str]) -> JSON | None:
    if len(recording) == 1 and not recording.names:
        return None
    iterations = [recording.iterations[k] for k in shown]
    fits = 2 * len(recording.names) * len(shown) <= FLOATS
    if recording.names and not fits:
        notices.append(f"{len(recording.names):,} parameters are too many for this page.")
    names = recording.names if fits else []
    layers = _network_layers(recording.model) if names else []
    boundary = recording.boundary
    if boundary is not None and boundary.refused:
        notices.append(boundary.refused)
    return {
        "shown": [k + 1 for k in shown],
        "curve": [[k + 1, _safe(recording.losses[k])] for k in _curve_iterations(recording, shown)],
        "losses": [number_text(x.loss) for x in iterations],
        "names": names,
        "parameters": _packed(iterations, "parameters") if names else "",
        "gradients": _packed(iterations, "gradients") if names else "",
        "layers": layers,
        "groups": _parameter_groups(names, layers),
        "data": boundary.data() if boundary is not None and names else None,
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
    layers = [column.neurons for column in columns_in(model)]
    numbers = {v: k for k, v in enumerate(model.parameters())} if model is not None else {}
    found = [[_neuron(neuron, numbers) for neuron in layer] for layer in layers]
    sizes = [len(layer) for layer in found]
    for before, layer in zip([None, *sizes], found, strict=False):
        for neuron in layer:
            if before not in (None, len(neuron["weights"])) or -1 in neuron["weights"]:
                return []
    even = found and len({len(x["weights"]) for x in found[0]}) == 1
    return found if even else []


def _neuron(neuron: DrawnNeuron, numbers: dict[Any, int]) -> JSON:
    return {
        "weights": [numbers.get(v, -1) for v in neuron.w],
        "bias": numbers.get(neuron.b, -1),
        "activation": neuron.activation,
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
