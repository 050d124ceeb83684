"""Programs: what a function did once, frozen, to be run, printed, compiled and drawn.

Numbers of a program stand in *slots*, counted in this order: inputs, captured Values,
constants, and one for the result of each instruction. A *guard* is a comparison that came
out one way while tracing: a program is one path through its function, and says so where
a call would take another. An *expansion* is a row of the operation table as a program of
simpler rows.
"""

import gc
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cached_property
from math import inf, nextafter
from typing import Any, NamedTuple

from miniflow import ops
from miniflow.ops import Op, real, shared
from miniflow.program import c as csource
from miniflow.program import python as source
from miniflow.program.kinds import arithmetic
from miniflow.program.names import (
    Place,
    function_name,
    leaf_names,
    origins,
    parameter_names,
    watched,
)
from miniflow.program.structures import (
    HOLE,
    Hole,
    Numbers,
    fill,
    is_setting,
    key,
    match,
    size,
    split,
)
from miniflow.tape.core import Table, Value, here
from miniflow.tape.notes import Trace
from miniflow.tape.storage import plain
from miniflow.util.trees import children

Function = Callable[..., Any]


class Instruction(NamedTuple):
    """An operation of the table on the numbers in some slots."""

    op: Op
    operands: tuple[int, ...]


class Guard(NamedTuple):
    """A comparison of two slots that `holds` or not on this path.

    It is checked once `position` instructions have been run.
    """

    relation: str
    left: int
    right: int
    holds: bool
    position: int


RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
# each comparison: what it is in terms of those, whether sides change and whether it is denied
COMPARISONS = {
    operator.lt: ("<", False, False),
    operator.gt: ("<", True, False),
    operator.le: ("<=", False, False),
    operator.ge: ("<=", True, False),
    operator.eq: ("==", False, False),
    operator.ne: ("==", False, True),
}


class PathError(RuntimeError):
    """A program was called where its function takes another path.

    Attributes:
        guard: the number of the first guard that failed.
    """

    def __init__(self, message: str, guard: int) -> None:
        super().__init__(message)
        self.guard = guard

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.guard)


class Program:
    """One path through a function: immutable, callable, hashable by content.

    Attributes:
        name: the function's.
        parameters: the names of its arguments.
        arguments: ``(args, kwargs)`` with a hole in the place of each number.
        result: the structure that is returned, with a hole for each output.
        captured: Values from outside that the function used; read anew at each call.
        constants: plain numbers.
        instructions: what is computed, in order.
        outputs: the slots of the results.
        guards: the comparisons on the way.
        names: what some slots are called.
        places: for each instruction what it comes from, where that is known.
    """

    def __init__(
        self, name: str, parameters: Iterable[str], arguments: Any, result: Any,
        captured: Iterable[Value], constants: Iterable[float],
        instructions: Iterable[Instruction], outputs: Iterable[int], guards: Iterable[Guard],
        names: Mapping[int, str], places: Iterable[Place | None],
    ) -> None:  # fmt: skip
        self.name = name
        self.parameters = tuple(parameters)
        self.arguments = arguments
        self.result = result
        self.captured = tuple(captured)
        self.constants = tuple(constants)
        self.instructions = tuple(instructions)
        self.outputs = tuple(outputs)
        self.guards = tuple(guards)
        self.names = dict(names)
        self.places = tuple(places)
        vars(self)["frozen"] = True

    def __setattr__(self, name: str, value: object) -> None:
        if "frozen" in vars(self):
            raise AttributeError(f"Program.{name}: a program is immutable; trace another one")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Program.{name}: a program is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        return Program, (
            self.name, self.parameters, self.arguments, self.result, self.captured,
            self.constants, self.instructions, self.outputs, self.guards, self.names, self.places,
        )  # fmt: skip

    # --- content --------------------------------------------------------------

    @cached_property
    def inputs(self) -> int:
        """The number of inputs."""
        return size(self.arguments)

    @cached_property
    def first(self) -> int:
        """The slot of the first instruction."""
        return self.inputs + len(self.captured) + len(self.constants)

    @cached_property
    def code(self) -> tuple[Any, ...]:
        """What is computed, as plain numbers and strings: programs are equal if these are."""
        return (
            self.inputs,
            len(self.captured),
            tuple([x.hex() for x in self.constants]),
            tuple([(x.op.name, x.operands) for x in self.instructions]),
            self.outputs,
            self.guards,
        )

    @cached_property
    def _content(self) -> tuple[Any, ...]:
        return self.code, key(self.arguments), key(self.result), tuple(map(id, self.captured))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        return self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __len__(self) -> int:
        """The number of instructions."""
        return len(self.instructions)

    def constant(self, slot: int) -> float | None:
        """The number in a constant's slot, None for other slots."""
        start = self.first - len(self.constants)
        return self.constants[slot - start] if start <= slot < self.first else None

    def live(self) -> list[float]:
        """The numbers that the captured Values have now."""
        return [plain(v) for v in self.captured]

    # --- running --------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program.

        Args:
            *args: numbers in the structure that was traced: plain ones, Values, NumPy
                arrays of one shape (element by element), fractions or mpmath's numbers.

            **kwargs: the same for arguments that were given by name.

        Returns:
            The results in the structure that the function returned: Values if Values went in
            or are captured, else floats, arrays, fractions ... as the arguments are.

        Raises:
            PathError: the function takes another path there.
            TypeError: the structure differs, or an operation is unknown to such numbers.
        """
        xs = match(self.name, (args, kwargs), self.arguments)
        live = any(x.__class__ is Value for x in (*xs, *self.captured))
        if live and arithmetic([x for x in xs if x.__class__ is not Value]) is not None:
            raise TypeError(
                f"{self.name}: with Values, its own or others, a program takes single numbers; "
                "for arrays use vmap"
            )
        if live:
            ys = self.run([*xs, *self.captured], lambda op: op)
            return self.rebuild([y if y.__class__ is Value else ops.real(y) for y in ys])
        kind = arithmetic(xs)
        if kind is None:
            return self.rebuild(self.evaluate([real(x, self.name) for x in xs]))
        program = self.expanded(kind)
        xs = [kind.literal(x) if hasattr(x, "dtype") else x for x in xs]
        constants = [*map(kind.literal, program.constants)]
        return self.rebuild(program.run(xs, lambda op: kind[op.name], constants))

    def evaluate(self, xs: list[float]) -> list[float]:
        """The outputs at plain numbers: the inputs', then the captured Values'."""
        return self.run(xs, lambda op: op.value)

    def run(
        self, xs: Iterable[Any], function: Callable[[Op], Function],
        constants: Iterable[Any] | None = None,
    ) -> list[Any]:  # fmt: skip
        """The outputs at any numbers, by what `function` says operations do to them."""
        slots = [*xs, *(self.constants if constants is None else constants)]
        guards = iter(enumerate(self.guards))
        k, guard = next(guards, (0, None))
        for position, (op, operands) in enumerate(self.instructions):
            while guard is not None and guard.position <= position:
                self._check(k, guard, slots)
                k, guard = next(guards, (0, None))
            slots.append(function(op)(*[slots[x] for x in operands]))
        while guard is not None:
            self._check(k, guard, slots)
            k, guard = next(guards, (0, None))
        return [slots[x] for x in self.outputs]

    def _check(self, k: int, guard: Guard, slots: list[Any]) -> None:
        answer = RELATIONS[guard.relation](slots[guard.left], slots[guard.right])
        if hasattr(answer, "all"):  # an array: all of its elements take the path, or none does
            answer = guard.holds if (answer == guard.holds).all() else not guard.holds
        if bool(answer) is not guard.holds:
            raise self.failure(k)

    def failure(self, k: int) -> PathError:
        """What to raise where guard k fails."""
        return PathError(
            f"{self.name}: another path is taken here: guard {k} "
            f"({source.condition(self, self.guards[k])}) fails; trace the function at these "
            "numbers, or use jit, which keeps all paths",
            k,
        )

    def rebuild(self, outputs: Iterable[Any]) -> Any:
        """The result in its structure."""
        return fill(self.result, outputs)

    def expanded(self, known: Iterable[str]) -> "Program":
        """The same program with rows that are not `known` in terms of simpler ones."""
        return _expanded(self, frozenset(known))

    # --- reading --------------------------------------------------------------

    def source(self) -> str:
        """The program as Python that runs without miniflow: a function of the same name."""
        return source.text(self, expansion)

    def c_source(self) -> str:
        """The program as C99 that stands alone: ``int name(const double *in, double *out)``.

        `in` has the inputs, then the captured Values' numbers; `out` gets the outputs. The
        function returns 0, or k + 1 where guard k fails; then `out` is as before. For the
        eager answers, bit for bit (but of gamma and lgamma, which C has otherwise), compile
        with ``-ffp-contract=off -fno-builtin``.

        Raises:
            TypeError: an operation is a Python function.
        """
        return csource.text(self, expansion)

    def __str__(self) -> str:
        return source.listing(self)

    def __repr__(self) -> str:
        return (
            f"<Program {self.name}: {self.inputs} inputs, {len(self.captured)} captured, "
            f"{len(self)} instructions, {len(self.guards)} guards>"
        )


# --- building -----------------------------------------------------------------


class Builder:
    """Instructions as they are found, simplified without changing any answer by a bit.

    A *node* is what becomes a slot: an input, a captured Value, a constant or a result.
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.captured: dict[int, Value] = {}
        self.constants: dict[int, float] = {}
        self.instructions: dict[int, Instruction] = {}
        self.guards: list[tuple[str, int, int, bool]] = []
        self.places: dict[int, Place | None] = {}
        self.place: Place | None = None
        self.count = inputs
        self._known: dict[Any, int] = {}  # nodes by what they are

    def _node(self, what: Any, kind: dict[int, Any], content: Any) -> int:
        node = self._known.get(what)
        if node is None:
            node = self._known[what] = self.count
            self.count += 1
            kind[node] = content
        return node

    def capture(self, v: Value) -> int:
        """The node of a Value from outside."""
        return self._node(("captured", id(v)), self.captured, v)

    def constant(self, x: float) -> int:
        """The node of a plain number."""
        return self._node(x.hex(), self.constants, x)

    def emit(self, op: Op, operands: tuple[int, ...]) -> int:
        """The node of an operation's result; `place` says what it comes from."""
        plain = [self.constants.get(x) for x in operands]
        if None not in plain:
            return self.constant(real(op.value(*plain), f"the value of {op.name}"))
        same = _SAME.get(op.name)
        if same is not None:
            found = same(self, operands, plain)
            if found is not None:
                return found  # type: ignore[no-any-return]
        node = self._node((op, operands), self.instructions, Instruction(op, operands))
        self.places.setdefault(node, self.place)
        return node

    def guard(self, relation: str, left: int, right: int, holds: bool) -> None:
        """A condition of the path, unless it is known already."""
        entry = (relation, left, right, holds)
        if (left in self.constants and right in self.constants) or entry in self._known:
            return
        self._known[entry] = len(self.guards)
        self.guards.append(entry)

    def program(
        self, name: str, parameters: Sequence[str], arguments: Any, result: Any,
        outputs: Sequence[int], names: Mapping[int, str],
    ) -> Program:  # fmt: skip
        """What the outputs and guards need, in order, as a program."""
        needed = bytearray(self.count)
        for x in (*outputs, *[x for guard in self.guards for x in guard[1:3]]):
            needed[x] = 1
        for node in reversed(self.instructions):
            if needed[node]:
                for x in self.instructions[node].operands:
                    needed[x] = 1
        order = [*range(self.inputs), *self.captured]
        constants = [node for node in self.constants if needed[node]]
        kept = [node for node in self.instructions if needed[node]]
        order += constants + kept
        slot = dict(zip(order, range(len(order)), strict=True))
        return Program(
            name,
            parameters,
            arguments,
            result,
            self.captured.values(),
            [self.constants[node] for node in constants],
            [
                Instruction(op, tuple([slot[x] for x in operands]))
                for op, operands in map(self.instructions.__getitem__, kept)
            ],
            [slot[x] for x in outputs],
            self._placed(slot, len(order) - len(kept)),
            _unique({slot[x]: text for x, text in names.items() if x in slot}),
            map(self.places.get, kept),
        )

    def _placed(self, slot: dict[int, int], first: int) -> Iterator[Guard]:
        """The guards, each after the instructions that it needs and after the one before."""
        position = 0
        for relation, left, right, holds in self.guards:
            latest = max(slot[left], slot[right])
            position = max(position, latest - first + 1)
            yield Guard(relation, slot[left], slot[right], holds, position)


def _same_where(builder: Builder, operands: Any, plain: Any) -> int | None:
    if plain[0] is not None:
        return operands[1] if plain[0] else operands[2]  # type: ignore[no-any-return]
    return operands[1] if operands[1] == operands[2] else None


def _same_product(builder: Builder, operands: Any, plain: Any) -> int | None:
    for k in (0, 1):
        if plain[k] == 1.0:
            return operands[1 - k]  # type: ignore[no-any-return]
        if plain[k] == -1.0:
            return builder.emit(ops.neg, (operands[1 - k],))
    return None


def _same_negative(builder: Builder, operands: Any, plain: Any) -> int | None:
    inner = builder.instructions.get(operands[0])
    return inner.operands[0] if inner is not None and inner.op is ops.neg else None


def _first_if(k: int, number: float) -> Function:
    """Operand 0 where operand k is that plain number."""
    return lambda builder, operands, plain: operands[0] if plain[k] == number else None


# Results that are, to the bit, one of the operands; and -1*x = -x.
_SAME: dict[str, Function] = {
    "mul": _same_product,
    "div": _first_if(1, 1.0),
    "pow": _first_if(1, 1.0),
    "where": _same_where,
    "neg": _same_negative,
    "pos": lambda builder, operands, plain: operands[0],
}


def _unique(names: dict[int, str]) -> dict[int, str]:
    """The names as identifiers, each once."""
    found: dict[int, str] = {}
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    for slot in sorted(names):
        name = base = source.identifier(names[slot])
        counts[base] += 1
        while name in taken:
            counts[base] += 1
            name = f"{base}_{counts[base] - 1}"
        taken.add(name)
        found[slot] = name
    return found


# --- tracing ------------------------------------------------------------------


def trace(f: Function, *example: Any, **kwargs: Any) -> Program:
    """Record one call of a function and freeze it as a program.

    Comparisons of its arguments, and of Values from outside, become guards: the program is
    the path that the example takes. Loops over Python numbers unroll.

    Args:
        f: function of numbers in nested lists, tuples, dicts and arrays; other arguments
            (bool, str, None, any hashable object) are settings, kept as they are.
        *example: arguments of one call.
        **kwargs: the same, by name.

    Raises:
        RuntimeError: f reads `.data` or `.grad`, or calls backward(): its program could not
            do that again.
        TypeError: f needs a plain number (an index, a range, `float`), or returned something
            that is neither made of numbers nor hashable.

    Example:
        >>> program = trace(lambda x, y: x * y + x, 2.0, 3.0)
        >>> program(4.0, 5.0), len(program)
        (24.0, 2)
    """
    numbers, arguments = split((example, kwargs))
    return record(f, [real(_number(x), "trace") for x in numbers], arguments)


def _number(x: Any) -> Any:
    return plain(x) if x.__class__ is Value else x


def record(f: Function, numbers: list[float], arguments: Any) -> Program:
    """The program of a call of `f` with numbers in the holes of its arguments."""
    if not callable(f):
        raise TypeError(f"trace: {f!r:.60} is not a function")
    key(arguments)  # raises where a part is neither number nor setting
    table = here.table
    with table.hold():
        start, opened = table.count, table.opened
        program = _record(table, f, numbers, arguments)
        if not table.cut(start, opened):
            gc.collect()  # Values in cycles
            if not table.cut(start, opened):
                raise RuntimeError(
                    f"{program.name}: it keeps a Value outside that it has computed: its gradient "
                    "would end there, and its number never change; return it instead"
                )
        return program


def _record(table: Table, f: Function, numbers: list[float], arguments: Any) -> Program:
    outer, muted = table.trace, table.muted
    notes = Trace()
    table.trace, table.muted = None, 0
    try:
        inputs = [Value(x) for x in numbers]
        args, kwargs = fill(arguments, inputs)
        parameters = parameter_names(f, arguments)
        trees = zip(parameters, [*arguments[0], *arguments[1].values()], strict=True)
        leaves = [leaf for name, tree in trees for leaf in leaf_names(name, tree)]
        names = dict(zip([x._entry for x in inputs], leaves, strict=True))
        start = table.count
        table.trace = notes
        with watched(table, notes, names):
            out = f(*args, **kwargs)
        table.trace = None
        return _frozen(
            table, notes, names, start, (function_name(f), parameters, arguments), inputs, out
        )
    finally:
        notes.guards.clear()  # Values go as soon as they can
        table.trace, table.muted = outer, muted


def _frozen(
    table: Table, notes: Trace, names: dict[int, str], start: int,
    head: tuple[str, list[str], Any], inputs: list[Value], out: Any,
) -> Program:  # fmt: skip
    """The program of what was recorded from row `start` on."""
    name = head[0]
    values, result = split(out)
    _check_result(name, result)
    outputs = [_output(name, y) for y in values]
    builder = Builder(len(inputs))
    nodes = {x._entry: k for k, x in enumerate(inputs)}
    sides = [x for guard in notes.guards for x in guard[1:3] if x.__class__ is Value]
    wanted = [x._entry for x in (*outputs, *sides) if x.__class__ is Value]
    rows = [row for row in table.reached(wanted, start) if row >= start]
    places = origins(table, notes, rows)

    def node(row: int) -> int:
        """The node of a row: computed before, from outside, or a constant."""
        if row not in nodes:
            op = table.op(row)
            live = op is shared or row < start
            nodes[row] = (
                builder.capture(table.handle(row))
                if live
                else builder.constant(table.value_of(row))
            )
        return nodes[row]

    guards = iter(notes.guards)
    guard = next(guards, None)
    for row in reversed(rows):
        while guard is not None and guard[4] <= row:
            _guard(builder, node, guard)
            guard = next(guards, None)
        op = table.op(row)
        if op.arity:
            operands = tuple([node(x) for x in table.operands(row)])
            builder.place = places[row]
            nodes[row] = builder.emit(op, operands)
    while guard is not None:
        _guard(builder, node, guard)
        guard = next(guards, None)
    found = [node(y._entry) if y.__class__ is Value else builder.constant(y) for y in outputs]
    called: dict[int, str] = {}
    for row, text in (*table.labels.copy().items(), *names.items()):
        if text and row in nodes:
            called.setdefault(nodes[row], text)
    for adjoint, row in notes.adjoints:
        if adjoint in nodes and nodes.get(row) in called:
            called.setdefault(nodes[adjoint], f"d_{called[nodes[row]]}")
    called |= {node: v.label for node, v in builder.captured.items() if v.label}
    return builder.program(*head, result, found, called)


def _check_result(name: str, result: Any) -> None:
    """Refuse results that may have hidden Values in them: they would be this call's for ever."""
    parts = None if is_setting(result) else children(result)
    for part in parts or ():
        _check_result(name, part)
    known = (Hole, Numbers, str, bytes, bool, complex, Enum, type(None), type)
    is_bool = type(result).__module__ == "numpy"
    if parts is None and not isinstance(result, known) and not is_bool:
        raise TypeError(
            f"{name}: it returned a {type(result).__name__}; a traced function returns numbers, "
            "strings, bools or None, in lists, tuples, dicts and arrays"
        )


def _output(name: str, y: Any) -> Any:
    """An output as a Value of this thread, or a plain number."""
    if y.__class__ is Value:
        return y if y._tape is here.table else +y
    return real(y, f"{name}: a result")


def _guard(builder: Builder, node: Callable[[int], int], guard: Any) -> None:
    """Add a comparison of Values that was met to the program."""
    holds, a, b, answer, _ = guard
    relation, swapped, denied = COMPARISONS[holds]
    if b.__class__ is not Value:
        below, above = _neighbours(b)
        if below != above:  # no float, so it is never equal: compare with the next one
            if relation == "==":
                return
            relation, b = "<=", above if swapped else below
        else:
            b = below
    left = node(a._entry)
    right = node(b._entry) if b.__class__ is Value else builder.constant(b)
    if swapped:
        left, right = right, left
    builder.guard(relation, left, right, bool(answer) is not denied)


def _neighbours(x: Any) -> tuple[float, float]:
    """The largest float that is at most `x`, and the smallest that is at least `x`."""
    try:
        near = float(x)
    except OverflowError:
        near = inf if x > 0 else -inf
    if near == x or near != near:
        return near, near
    return (near, nextafter(near, inf)) if near < x else (nextafter(near, -inf), near)


# --- expansion ----------------------------------------------------------------

_expansions: dict[Op, Program | None] = {}


def expansion(op: Op) -> Program | None:
    """A row's value as a program of other rows; None where it computes on floats only."""
    if op not in _expansions:
        _expansions[op] = _expansion(op)
    return _expansions[op]


def _expansion(op: Op) -> Program | None:
    # what a user's function of floats does with Values may be something else
    if op.arity < 1 or op not in ops.BUILTIN:
        return None
    try:
        program = record(op.value, [0.5] * op.arity, ((HOLE,) * op.arity, {}))
    except TypeError:  # it calls functions of floats
        return None
    simple = all(x.op is not op for x in program.instructions)
    alone = not (program.guards or program.captured) and len(program.outputs) == 1
    return program if simple and alone else None


def _expanded(program: Program, known: frozenset[str]) -> Program:
    """`program` in terms of rows that are `known`, and of those without an expansion."""
    if all(x.op.name in known for x in program.instructions):
        return program
    builder = Builder(program.inputs)
    nodes = list(range(program.inputs))
    nodes += [builder.capture(v) for v in program.captured]
    nodes += [builder.constant(x) for x in program.constants]
    guards = list(program.guards)[::-1]
    for position, (op, operands) in enumerate(program.instructions):
        while guards and guards[-1].position <= position:
            _copy_guard(builder, nodes, guards.pop())
        nodes.append(_insert(builder, op, tuple([nodes[x] for x in operands]), known))
    while guards:
        _copy_guard(builder, nodes, guards.pop())
    names = {nodes[slot]: name for slot, name in program.names.items()}
    outputs = [nodes[x] for x in program.outputs]
    head = program.name, program.parameters, program.arguments, program.result
    return builder.program(*head, outputs, names)


def _copy_guard(builder: Builder, nodes: list[int], guard: Guard) -> None:
    """Take over a guard as it is: their numbers stay the same."""
    builder.guards.append((guard.relation, nodes[guard.left], nodes[guard.right], guard.holds))


def _insert(builder: Builder, op: Op, operands: tuple[int, ...], known: frozenset[str]) -> int:
    """The node of an operation, in terms of rows that are known."""
    inner = None if op.name in known else expansion(op)
    if inner is None:
        return builder.emit(op, operands)
    nodes = [*operands, *[builder.constant(x) for x in inner.constants]]
    for step in inner.instructions:
        nodes.append(_insert(builder, step.op, tuple([nodes[x] for x in step.operands]), known))
    return nodes[inner.outputs[0]]
