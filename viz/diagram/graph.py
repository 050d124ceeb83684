"""What a diagram shows, whatever it is taken from: Values, a Tape or a Program.

An *entry* is a leaf, a constant or the result of an operation; entries are numbered from 0
in the order in which they were recorded. A *path* is the names of the scopes that were open
then; a diagram draws a *frame* around the entries of each.

A *parameter* is a leaf that an `nn` module holds or held, a Value that a program captures, or
what the caller says is one; all other leaves are *inputs*, and so are plain numbers that
parameters are multiplied with in a `dot`: a neuron's.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from miniflow.micrograd.engine import taped
from miniflow.nn import Module, ParameterName, parameter_names
from miniflow.ops import Op, constant, dot, leaf, shared
from miniflow.program.program import Program
from miniflow.tape.core import Table, Value, thawed
from miniflow.tape.gradient_tape import Tape
from miniflow.tape.reading import located
from miniflow.util.notebook import InNotebook
from miniflow.util.trees import flatten
from viz.output.checks import instead, wrong_type
from viz.output.names import neuron_of

Names = tuple[str, ...]
FORWARD, REVERSE = "forward", "reverse sweep"
MOST_OF_NODES = 20_000  # numbers of the lesson's nodes that are recorded for a picture
DEEPEST_FRAME = 8  # frames in frames


@dataclass
class Graph(InNotebook):
    """The entries of a recording as they were when it was taken: one column for each property.

    Attributes:
        ops: the operation; `leaf` or `constant` for entries without operands.
        operands: the numbers of the operands.
        data, grads: the numbers; None in a program.
        paths: the names of the scopes.
        names: what some entries are called.
        parameters, inputs, outputs: which entries are; `inputs` has the plain numbers among them.
        neurons: which neuron of its layer an entry is computed in.
        parts: with how many names of paths begin that are not a scope's but a program's part's.
        guards: the conditions of a program's path, each with the numbers of its two sides.
        status: in a comparison what became of an entry: same, moved, flipped, new, gone.
        before: in a comparison the data and gradient that an entry had.
        former: in a comparison the edges that are gone, from entries that are.
        marks: lines of text for entries that are to be seen first: they are red.
    """

    ops: list[Op] = field(default_factory=list)
    operands: list[tuple[int, ...]] = field(default_factory=list)
    data: list[float | None] = field(default_factory=list)
    grads: list[float | None] = field(default_factory=list)
    paths: list[Names] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    parameters: set[int] = field(default_factory=set)
    inputs: set[int] = field(default_factory=set)
    outputs: set[int] = field(default_factory=set)
    neurons: dict[int, str] = field(default_factory=dict)
    parts: int = 0
    guards: list[tuple[str, int, int]] = field(default_factory=list)
    status: dict[int, str] = field(default_factory=dict)
    before: dict[int, tuple[float | None, float | None]] = field(default_factory=dict)
    former: list[tuple[int, int]] = field(default_factory=list)
    marks: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ops)

    def __repr__(self) -> str:
        return f"<Graph of {len(self)} entries>"

    def add(
        self, op: Op, operands: tuple[int, ...], data: float | None, grad: float | None,
        path: Names, name: str = "",
    ) -> int:  # fmt: skip
        """Append an entry; its number."""
        n = len(self.ops)
        self.ops.append(op)
        self.operands.append(operands)
        self.data.append(data)
        self.grads.append(grad)
        self.paths.append(path)
        if name:
            self.names[n] = name
        return n

    def kind(self, n: int) -> str:
        """input, parameter, constant, computed or output."""
        if self.operands[n]:
            return "output" if n in self.outputs else "computed"
        if self.ops[n] is constant:
            return "input" if n in self.inputs else "constant"
        return "parameter" if n in self.parameters else "input"

    def partials(self, n: int) -> list[float | None]:
        """The local derivative by each operand; None by constants and where it is flat."""
        op, operands = self.ops[n], self.operands[n]
        xs, y = [self.data[x] for x in operands], self.data[n]
        if y is None or None in xs:
            return [None] * len(operands)
        return [
            op.partial(k, xs, y) if op.follows(k) and self.ops[x] is not constant else None
            for k, x in enumerate(operands)
        ]

    def frames(self, *, inputs: bool) -> list[Names]:
        """Where each entry is drawn: constants and parameters with what they are used for.

        So are `inputs`, where these are not to stay outside; each neuron has a frame then.
        """
        if not any(self.paths):
            return list(self.paths)
        paths = list(self.paths)
        for n, neuron in self.neurons.items() if inputs else ():
            paths[n] = (*paths[n], neuron)
        movable = bytearray(op is constant or (inputs and op is leaf) for op in self.ops)
        for x in self.parameters:
            movable[x] = 1
        found: dict[int, Names] = {}
        for path, operands in zip(paths, self.operands, strict=True):
            for x in operands:
                if movable[x] and found.get(x) is not path:
                    found[x] = common_names(found.get(x, path), path)
        most = DEEPEST_FRAME
        frames = [path[:most] if len(path) > most else path for path in paths]
        for x, path in found.items():
            frames[x] = path[:most]
        return frames


def common_names(a: Names, b: Names) -> Names:
    """The names with which both paths begin."""
    if a is b or not a:
        return a
    return tuple(x for x, _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def snapshot(root: Any, *, parameters: Any = None) -> Graph:
    """The graph behind Values, a Tape or a program as it is now, to draw or compare later.

    Later changes of leaves' data and of gradients do not show in it.

    Args:
        root: a Value, several of them in nested lists, tuples, dicts and arrays, a Tape, a
            program, or a snapshot.
        parameters: a module or Values, nested, that are parameters besides those that the
            modules of `miniflow.nn` hold.

    Raises:
        TypeError: `root` is not made of Values.
        ValueError: there is nothing in it.

    Example:
        >>> x = Value(2.0)
        >>> before = snapshot(x * 3.0)
        >>> x.data = 5.0
        >>> before.data
        [2.0, 3.0, 6.0]
    """
    return graph_of(root, parameters, "snapshot")


def graph_of(
    root: Any, parameters: Any, caller: str, name: str = "root", *, numbers: bool = True,
    marks: Mapping[Value, tuple[str, ...]] | None = None,
) -> Graph:  # fmt: skip
    """`snapshot`, with errors in the name of `caller`, whose argument is called `name`.

    Stale results are refused, unless `numbers` says that none will be shown. Values in `marks` are
    to be seen first, with those lines of text.
    """
    if isinstance(root, Graph):
        return root
    thawed("drawing a graph")
    if isinstance(root, Program):
        return _of_program(root, caller)
    reader = _Reader(numbers)
    if isinstance(root, Tape):
        with _held({root.table}):
            reader.tape(root)
            reader.mark(known_parameters(parameters, caller))
            reader.red(marks or {})
    else:
        roots = _roots(root, caller, name)
        with _held({located(v)[0] for v in roots}):
            reader.values(roots)
            reader.mark(known_parameters(parameters, caller))
            reader.red(marks or {})
    if not len(reader.graph):
        raise ValueError(f"{caller}: there is nothing to draw in an empty Tape")
    return reader.graph


@contextmanager
def _held(tables: set[Table]) -> Iterator[None]:
    """Entries keep their numbers."""
    with ExitStack() as stack:
        for table in tables:
            stack.enter_context(table.hold())
        yield


def _roots(root: object, caller: str, name: str) -> list[Value]:
    """What to draw, as a list of Values."""
    roots = taped_values(flatten(root))
    if not roots:
        raise ValueError(f"{caller}: there is nothing to draw in an empty list")
    for x in roots:
        if not isinstance(x, Value):
            raise wrong_type(caller, name, "made of Values", x, instead(x, "draw"))
    return roots


def taped_values(leaves: list[Any], most: int = MOST_OF_NODES) -> list[Any]:
    """Values of micrograd's as Values, and after all others those of the lesson's nodes.

    Of nodes with more than `most` numbers they are those of one sample.
    """
    nodes = [x for x in leaves if is_node(x)]
    found = [taped(x) for x in leaves if not is_node(x)]
    return found + (type(nodes[0]).taped_together(nodes, most) if nodes else [])


def is_node(x: Any) -> bool:
    """Whether `x` is a node of `miniflow.lesson`, which is not imported for that."""
    return hasattr(type(x), "taped_together")


def known_parameters(given: Any, caller: str) -> dict[Value, str]:
    """The parameters of modules and those given, with their names."""
    names = parameter_names()
    if given is None:
        return names
    if isinstance(given, Module):
        return names | {v: name for name, v in given.named_parameters()}
    for x in flatten(given):
        if not isinstance(x, Value):
            raise wrong_type(caller, "parameters", "a module or Values", x)
    return dict.fromkeys(flatten(given), "") | names


class _Reader:
    """Reads entries of tapes into a graph; `places` are the numbers that they have there."""

    def __init__(self, numbers: bool) -> None:
        self.graph = Graph()
        self.numbers = numbers  # whether any will be shown
        self.places: dict[Table, dict[int, int]] = {}
        self.foreign: dict[Value, int] = {}  # places of other threads' leaves

    def values(self, roots: list[Value]) -> None:
        """What `roots` come from, each entry once."""
        found = list(map(located, roots))
        for table in dict.fromkeys(table for table, _ in found):
            entries = [entry for x, entry in found if x is table]
            self.check(table, entries)
            self.read(table, table.reached(entries)[::-1])
        self.graph.outputs |= {self.places[table][entry] for table, entry in found}

    def tape(self, tape: Tape) -> None:
        """All entries of a tape, after what they use from before it; unused results are outputs."""
        table, entries = tape.table, tape.numbers()
        self.check(table, list(entries))
        used = {x for entry in entries for x in table.operands(entry)}
        self.read(table, sorted(x for x in used if x < entries.start), bare=True)
        self.read(table, entries)
        places = self.places[table]
        loose = {places[entry] for entry in entries if entry not in used}
        self.graph.outputs = {n for n in loose if self.graph.operands[n]}

    def check(self, table: Table, entries: list[int]) -> None:
        """Refuse stale results: their slopes would be wrong."""
        if self.numbers:
            table.refuse_stale(entries)

    def read(self, table: Table, entries: Iterable[int], *, bare: bool = False) -> None:
        """Add entries, oldest first; `bare` for ones whose operands are not to be drawn."""
        places = self.places.setdefault(table, {})
        properties, operands, entries = table.properties, table.operands, list(entries)
        graph, empty = self.graph, ()
        for entry, path in zip(entries, table.scope_names(entries), strict=True):
            op, data, grad, name = properties(entry)
            if op is shared or (op is leaf and self.foreign):
                places[entry] = self.leaf(table.handle(entry))
                continue
            places[entry] = n = len(graph.ops)
            # as `add`, without the cost of a million calls
            graph.operands.append(
                tuple(map(places.__getitem__, operands(entry))) if op.arity and not bare else empty
            )
            graph.ops.append(leaf if bare and op.arity else op)
            graph.data.append(data)
            graph.grads.append(grad)
            graph.paths.append(path)
            if name:
                graph.names[n] = name

    def leaf(self, v: Value) -> int:
        """The place of a leaf that several threads may share: it is drawn once."""
        n = self.known(v)
        if n is None:
            table, entry = located(v)
            op, data, grad, name = table.properties(entry)
            n = self.graph.add(op, (), data, grad, (), name)
        self.foreign[v] = n
        return n

    def known(self, v: Value) -> int | None:
        """The place of a Value that has been read."""
        table, entry = located(v)
        return self.foreign.get(v, self.places.get(table, {}).get(entry))

    def mark(self, parameters: dict[Value, str]) -> None:
        """Note which entries are parameters, and what they are called."""
        graph = self.graph
        graph.parameters |= {n for n, x in graph.names.items() if type(x) is ParameterName}
        for v, name in parameters.items():
            n = self.known(v)
            if n is not None and not graph.operands[n]:
                graph.parameters.add(n)
                if name:
                    graph.names.setdefault(n, name)
        _mark_neurons(graph)

    def red(self, marks: Mapping[Value, tuple[str, ...]]) -> None:
        """Note which entries are to be seen first."""
        for v, lines in marks.items():
            n = self.known(v)
            if n is not None:
                self.graph.marks[n] = lines


def neuron_inputs(
    ops: Sequence[Op | None], operands: Sequence[tuple[int, ...]], parameters: Container[int]
) -> set[int]:
    """What parameters are multiplied with in a `dot`."""
    found = [
        xs[len(xs) // 2 :]
        for op, xs in zip(ops, operands, strict=True)
        if op is dot and xs[0] in parameters
    ]
    return {x for xs in found for x in xs}


def _mark_neurons(graph: Graph) -> None:
    """Tell the neurons of a layer apart: each has a frame. Their plain numbers are inputs."""
    inputs = neuron_inputs(graph.ops, graph.operands, graph.parameters)
    graph.inputs |= {x for x in inputs if graph.ops[x] is constant}
    frames: dict[int, str] = {}  # by the entry that a neuron's next one is computed from
    for n, (op, operands) in enumerate(zip(graph.ops, graph.operands, strict=True)):
        if op is dot and operands[0] in graph.parameters:
            frame = neuron_of(graph.names.get(operands[0], ""))
        elif operands and operands[0] in frames and graph.paths[operands[0]] == graph.paths[n]:
            frame = frames.pop(operands[0])
            if len(operands) > 1 and neuron_of(graph.names.get(operands[1], "")) != frame:
                continue
        else:
            continue
        if frame and graph.paths[n]:
            frames[n] = frame
            graph.neurons[n] = ".".join(frame.split(".")[-2:])


def _of_program(program: Program, caller: str) -> Graph:
    """The slots of a program; what a sweep has added is in a frame of its own."""
    graph, names = Graph(), program.names
    swept = any(x is not None and x.sweep for x in program.places)
    graph.parts = int(swept)
    for slot in range(program.first):
        number = program.constant(slot)
        kind = "input" if slot < program.inputs else "captured"
        if number is not None:
            graph.add(constant, (), number, None, (), names.get(slot, ""))
        else:
            graph.add(leaf, (), None, None, (), names.get(slot, f"{kind} {slot}"))
            if kind == "captured":
                graph.parameters.add(slot)
    for (op, operands), origin in zip(program.instructions, program.places, strict=True):
        sweep, path = (origin.sweep, origin.scope) if origin is not None else (0, ())
        if swept:
            part = REVERSE + f" of the {REVERSE}" * (sweep - 1) if sweep else FORWARD
            path = (part, *path)
        name = names.get(len(graph), f"%{len(graph)}")
        graph.add(op, operands, None, None, path, name)
    graph.outputs = set(program.outputs)
    graph.guards = [(program.condition(guard), guard.left, guard.right) for guard in program.guards]
    if not len(graph):
        raise ValueError(f"{caller}: there is nothing to draw in an empty program")
    return graph
