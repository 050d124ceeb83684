"""What a tape does, one step at a time: the numbers that the player shows.

Forward, each computed Value is one step. Backward, each *contribution* is one: an entry passes
upstream gradient x local derivative to one of its operands, whose gradient is the sum of what
arrives. The engine's own sweep makes them: in its order, and with every bit.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from miniflow import ops
from miniflow.micrograd.engine import taped
from miniflow.nn import ParameterName
from miniflow.operation import Op
from miniflow.program.program import Program
from miniflow.tape.core import Table, Value, thawed
from miniflow.tape.reading import located
from viz.diagram.graph import Graph, Names, graph_of, known_parameters, neuron_inputs
from viz.output.checks import instead, wrong_type
from viz.output.text import literal, number_text
from viz.player import formula

MOST_NODES = 400  # entries that a person can follow
LONGEST_NAME, LONGEST_PATH = 24, 60  # characters of a label, of a parameter's
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

# What to play in the place of what draw_dot takes besides Values.
PLAYED: dict[type, str] = {
    Graph: "it has no steps: play the Value that it was taken of",
    Program: "draw_dot draws it; play what the function returns for Values",
}

Line = tuple[str, int]  # a file and the number of a line of it


class Node(NamedTuple):
    """One number of a graph.

    Attributes:
        name: what the steps call it: its label, the variable it was assigned to, or a name
            given here; unlike any other node's.
        label: its whole label.
        kind: "input", "parameter", "constant", "computed" or "output".
        op: the name of its operation, "" for one that was not computed.
        symbol: its operation's sign.
        operands: the numbers of the nodes that it was computed from.
        value: its number.
        held: what `.grad` holds.
        line: where it was computed, if that is known.
        formula: how it was computed, with names.
        numbers: how it was computed, with numbers.
    """

    name: str
    label: str
    kind: str
    op: str
    symbol: str
    operands: tuple[int, ...]
    value: float
    held: float
    line: Line | None
    formula: str
    numbers: str


class Contribution(NamedTuple):
    """What one entry passes back to one operand.

    Attributes:
        result, place, operand: the entry's node, the operand's place in it and its node.
        upstream: the entry's own gradient.
        local: the partial derivative of the entry by the operand.
        amount: upstream x local.
        before: the operand's gradient until now; None if this is the first contribution.
        after: its gradient from now on.
        rule: the formula of `local`, "" if there is no short one.
    """

    result: int
    place: int
    operand: int
    upstream: float
    local: float
    amount: float
    before: float | None
    after: float
    rule: str


class Steps(NamedTuple):
    """One forward and one backward pass.

    Attributes:
        nodes: oldest first; the last one is the output.
        contributions: in the order in which a sweep makes them.
        seed: the output's gradient.
        rows: what each node's entry is: an operation, a leaf or a constant.
        frames: the names of the scopes that each node is drawn in; inputs are in none.
    """

    nodes: tuple[Node, ...]
    contributions: tuple[Contribution, ...]
    seed: float
    rows: tuple[Op, ...]
    frames: tuple[tuple[str, ...], ...]

    @property
    def computed(self) -> list[int]:
        """The numbers of the nodes that were computed, in order."""
        return [n for n, node in enumerate(self.nodes) if node.op]

    @property
    def gradients(self) -> dict[int, float]:
        """The gradient of each node that the sweep reaches."""
        found = {len(self.nodes) - 1: self.seed}
        found.update((x.operand, x.after) for x in self.contributions)
        return found

    @property
    def structure(self) -> tuple[Any, ...]:
        """What graphs that can be drawn in one place have in common."""
        nodes = zip(self.nodes, self.frames, strict=True)
        return tuple((x.name, x.kind, x.op, x.operands, path, x.line) for x, path in nodes)


def take_steps(
    root: Value,
    seed: float = 1.0,
    *,
    names: Mapping[Value, str] | None = None,
    parameters: Any = None,
    lines: Mapping[int, Line] | None = None,
    limit: int | None = MOST_NODES,
) -> Steps:
    """The steps of computing a Value and of its `backward`, without calling it.

    Args:
        root: the output.
        seed: what `backward` would be called with.
        names: what to call Values that have no label.
        parameters: a module or Values that are parameters besides those of the modules of
            `miniflow.nn`.
        lines: for entries of the tape, where they were computed.
        limit: how many entries there may be; None for any number.

    Raises:
        TypeError: `root` is not a Value.
        ValueError: it is a constant, or there are more entries than `limit`.

    Example:
        >>> a = Value(3.0, label="a")
        >>> for x in take_steps(a * a).contributions:
        ...     print(x.rule, x.upstream, x.local, x.amount, x.before, x.after)
        a 1.0 3.0 3.0 None 3.0
        a 1.0 3.0 3.0 3.0 6.0
    """
    root = taped(root)
    _check(root)
    thawed("stepping through a Value")
    table, _ = located(root)
    with table.hold():
        table.refuse_stale([located(root)[1]])
        entries = table.reached([located(root)[1]])[::-1]
        if limit is not None and len(entries) > limit:
            raise ValueError(
                f"play: the graph has {len(entries):,} entries, more than {limit}; play a part of "
                "it (one neuron, or one of v.inputs), or pass limit=None"
            )
        known = known_parameters(parameters, "play")
        frames = graph_of(root, parameters, "play").frames(inputs=True)
        return _Walk(table, entries, seed, names or {}, known, lines or {}).steps(frames)


def _check(root: object) -> None:
    if not isinstance(root, Value):
        remedy = PLAYED.get(type(root), "") or instead(root, "play")
        raise wrong_type("play", "root", "a Value or a recording", root, remedy)
    if root.op == "constant":
        raise ValueError(
            "play: this Value is a constant, nothing was recorded; compute it outside of "
            "no_grad() and without detach()"
        )


class _Walk:
    """One reading of the tape, entry by entry."""

    def __init__(
        self, table: Table, entries: list[int], seed: float, names: Mapping[Value, str],
        parameters: dict[Value, str], lines: Mapping[int, Line],
    ) -> None:  # fmt: skip
        self.table, self.entries, self.seed = table, entries, seed
        self.values = list(map(table.handle, entries))
        self.nodes = {entry: n for n, entry in enumerate(entries)}  # by entry
        self.operands = [tuple([self.nodes[x] for x in table.operands(n)]) for n in entries]
        self.ops = [
            table.op(n) if xs else None for n, xs in zip(entries, self.operands, strict=True)
        ]
        self.kinds = [self._kind(n, parameters) for n in range(len(entries))]
        self._mark_inputs()
        self.lines = list(map(lines.get, entries))
        self.names = self._names(names, parameters)

    def steps(self, frames: list[Names]) -> Steps:
        """All of them."""
        nodes = tuple(map(self._node, range(len(self.entries))))
        rows = tuple(map(self.table.op, self.entries))
        outside = [() if x.kind == "input" else y for x, y in zip(nodes, frames, strict=True)]
        return Steps(nodes, tuple(self._contributions()), self.seed, rows, tuple(outside))

    def _kind(self, n: int, parameters: dict[Value, str]) -> str:
        if self.operands[n]:
            return "output" if n == len(self.values) - 1 else "computed"
        v = self.values[n]
        if v.op == "constant":
            return "constant"
        return "parameter" if v in parameters or type(v.label) is ParameterName else "input"

    def _mark_inputs(self) -> None:
        """A neuron's plain numbers are inputs."""
        parameters = {n for n, kind in enumerate(self.kinds) if kind == "parameter"}
        for x in neuron_inputs(self.ops, self.operands, parameters):
            self.kinds[x] = self.kinds[x].replace("constant", "input")

    # --- names ------------------------------------------------------------------

    def _names(self, given: Mapping[Value, str], parameters: Mapping[Value, str]) -> list[str]:
        """A name for each node, no two the same."""
        labels = [
            _short(
                v.label or parameters.get(v) or given.get(v, ""),
                LONGEST_PATH if kind == "parameter" else LONGEST_NAME,
            )
            for v, kind in zip(self.values, self.kinds, strict=True)
        ]
        taken = {name for name in labels if name}
        fresh = {letter: _fresh(letter, taken) for letter in "xt"}
        names: list[str] = []
        used: dict[str, int] = {}
        for n, label in enumerate(labels):
            if self.kinds[n] == "constant" and not label:
                names.append(literal(self.values[n].data))
                continue
            name = label or self._invented(n, fresh, taken)
            used[name] = used.get(name, 0) + 1
            names.append(name + str(used[name]).translate(SUBSCRIPTS) if used[name] > 1 else name)
        return names

    def _invented(self, n: int, fresh: dict[str, Iterator[str]], taken: set[str]) -> str:
        if self.kinds[n] == "output" and "output" not in taken:
            return "output"
        return next(fresh["t" if self.operands[n] else "x"])

    # --- both directions --------------------------------------------------------

    def _node(self, n: int) -> Node:
        v, op, xs = self.values[n], self.ops[n], self.operands[n]
        written = calculated = ""
        if op is not None:
            written = formula.symbolic(op, [self.names[x] for x in xs])
            calculated = formula.numeric(op, [self._number(x) for x in xs])
        return Node(
            self.names[n], v.label, self.kinds[n], op.name if op else "", op.symbol if op else "",
            xs, v.data, v.grad, self.lines[n], written, calculated,
        )  # fmt: skip

    def _number(self, n: int) -> str:
        x = self.values[n].data
        return literal(x) if self.kinds[n] == "constant" else number_text(x)

    def _contributions(self) -> Iterator[Contribution]:
        """What the engine's sweep does, one contribution at a time."""
        adjoints = {len(self.nodes) - 1: float(self.seed)}
        values = [self.table.value_of(entry) for entry in self.entries]
        for n in reversed(range(len(self.entries))):
            op, xs = self.ops[n], [values[x] for x in self.operands[n]]
            if op is None or n not in adjoints:
                continue
            primals = [self.table.primal(self.entries[x]) for x in self.operands[n]]
            for k, x in enumerate(self.operands[n]):
                if self.values[x].op == "constant" or not op.follows(k):
                    continue
                local = float(op.partial(k, xs, values[n]))  # a user's may be an int
                if op.condition(k, primals, local) == 0.0:  # not selected: nothing comes back
                    continue
                before, amount = adjoints.get(x), adjoints[n] * local
                adjoints[x] = amount if before is None else before + amount
                yield Contribution(
                    n,
                    k,
                    x,
                    adjoints[n],
                    local,
                    amount,
                    before,
                    adjoints[x],
                    self._rule(n, k, local),
                )

    def _rule(self, n: int, k: int, local: float) -> str:
        op, operands = self.ops[n], self.operands[n]
        assert op is not None
        known: list[str | float] = [
            self.values[x].data if self.kinds[x] == "constant" else self.names[x] for x in operands
        ]
        if op is ops.pow and not self._is_schoolbook(n, k, local):
            return ""
        return formula.rule(op, k, known, self.names[n])

    def _is_schoolbook(self, n: int, k: int, local: float) -> bool:
        """Whether the schoolbook's derivative of a power is the table's: it knows no zeros."""
        base, exponent = (self.values[x].data for x in self.operands[n])
        found = ops.mul(exponent, ops.pow(base, exponent - 1.0))
        if k:
            found = ops.mul(self.values[n].data, ops.log(base))
        return number_text(found) == number_text(local)


def _short(label: str, longest: int) -> str:
    """A label as a name within a formula: one line, not too long."""
    text = re.sub(r"\s+", " ", "".join(x if x.isprintable() else " " for x in label)).strip()
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return unicodedata.normalize("NFC", text)


def _fresh(letter: str, taken: set[str]) -> Iterator[str]:
    """Names made of a letter and a number, none of them taken."""
    k = 0
    while True:
        k += 1
        if f"{letter}{k}" not in taken:
            yield f"{letter}{k}"
