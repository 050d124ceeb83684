"""A state machine: everything one does with Values, against an engine that is all too simple.

The naive engine keeps plain objects with lists of parents, all of them, for ever; it
sorts before each sweep and knows no tables, rows or compaction.
"""

import gc
import importlib.util
import math
import operator
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import miniflow
from miniflow import Tape, Value, no_grad, ops
from miniflow.tape import columns, storage
from miniflow.tape import core as tape
from support.threads import on_another_thread

LIMIT = 1e6  # results beyond are not recorded: sums of gradients stay exact


class Node:
    """What a Value is in the naive engine."""

    count = 0

    def __init__(self, op, data, parents=(), label="", foreign=False):
        Node.count += 1
        self.serial = Node.count
        self.op, self.data, self.parents, self.label = op, data, parents, label
        self.foreign = foreign  # another thread's leaf
        self.grad = 0.0


OPS = {
    "add": (operator.add, lambda a, b, y: [1.0, 1.0]),
    "sub": (operator.sub, lambda a, b, y: [1.0, -1.0]),
    "mul": (operator.mul, lambda a, b, y: [b, a]),
    "neg": (operator.neg, lambda a, y: [-1.0]),
    "abs": (abs, lambda a, y: [float((a > 0) - (a < 0))]),
    "floor": (lambda a: float(math.floor(a)), lambda a, y: [None]),
    "relu": (lambda a: a if a > 0 else 0.0, lambda a, y: [float(a > 0)]),
    "maximum": (
        max,
        lambda a, b, y: [0.5, 0.5] if a == b else [float(a > b), float(b > a)],
    ),
    "where": (
        lambda c, a, b: a if c else b,
        lambda c, a, b, y: [None, float(c != 0), float(c == 0)],
    ),
    "sum": (lambda *xs: reduce(operator.add, xs), lambda *args: [1.0] * (len(args) - 1)),
    "dot": (
        lambda *xs: dot(xs),
        lambda *args: [*args[len(args) // 2 : -1], *args[: len(args) // 2]],
    ),
    "fragile": (operator.pos, lambda a, y: [1.0]),
}
SPELLED = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "neg": operator.neg,
    "abs": abs,
    "floor": math.floor,
    "relu": miniflow.math.relu,
    "maximum": miniflow.math.max,
    "where": miniflow.math.where,
    "sum": lambda *xs: miniflow.math.sum(xs),
    "dot": lambda *xs: miniflow.math.dot(xs[: len(xs) // 2], xs[len(xs) // 2 :]),
    "fragile": lambda x: ops.TABLE["fragile"](x),
}


def dot(xs):
    half = len(xs) // 2
    return reduce(operator.add, map(operator.mul, xs[:half], xs[half:]))


def ancestors(root):
    """The nodes that `root` was computed from and itself, newest first."""
    found, stack = {root}, [root]
    while stack:
        for parent in stack.pop().parents:
            if parent not in found:
                found.add(parent)
                stack.append(parent)
    return sorted(found, key=lambda node: -node.serial)


def slopes(node):
    """dy/dparent for each parent; None where nothing flows."""
    found = OPS[node.op][1](*[x.data for x in node.parents], node.data)
    selects = node.op in ("abs", "relu", "maximum", "where")  # what it has not chosen gets nothing
    return [
        None if x.op == "constant" or (selects and slope == 0) else slope
        for x, slope in zip(node.parents, found, strict=True)
    ]


def adjoints(root, seed=1.0):
    """d(root)/d(node) x seed for each node reached."""
    found = {root: seed}
    for node in ancestors(root):
        if node in found and node.parents:
            for parent, slope in zip(node.parents, slopes(node), strict=True):
                if slope is not None:
                    found[parent] = found.get(parent, 0.0) + found[node] * slope
    return found


def backward(root, seed=1.0):
    for node, adjoint in adjoints(root, seed).items():
        node.grad = node.grad + adjoint if node.op == "leaf" else adjoint


def forward(root):
    for node in reversed(ancestors(root)):
        if node.parents:
            node.data = float(OPS[node.op][0](*[x.data for x in node.parents]))


def is_right(root):
    """Whether all that `root` was computed from is what its operands make of it now."""
    return all(
        same(x.data, float(OPS[x.op][0](*[a.data for a in x.parents])))
        for x in ancestors(root)
        if x.parents
    )


def same(a, b):
    return a == b or (a != a and b != b)


class Interrupted(Exception):  # noqa: N818 - it stands for KeyboardInterrupt
    pass


index = st.integers(0, 1 << 16)
number = st.integers(-6, 6).map(lambda x: x / 2)
binary = st.sampled_from(["add", "sub", "mul", "maximum"])
unary = st.sampled_from(["neg", "abs", "floor", "relu", "fragile"])


class Engine(RuleBasedStateMachine):
    """`kept` holds a Value and its Node for everything that the user has a name for."""

    def __init__(self):
        super().__init__()
        self.before = storage.SMALLEST, tape.here.table
        storage.SMALLEST = 8
        self.table = tape.here.table = tape.Table()
        self.kept: list[tuple[Value, Node]] = []
        self.scopes: list[tuple[Tape, int, int | None]] = []  # with their stretch of the log
        self.log: list[Node] = []  # all own nodes, in order
        self.breaking = False
        self.fragile = ops.define("fragile", lambda x: x, self.fragile_slope)

    def fragile_slope(self, x, y):
        if self.breaking:
            raise Interrupted
        return 1.0

    def teardown(self):
        del ops.TABLE["fragile"]
        storage.SMALLEST, tape.here.table = self.before

    # --- helpers --------------------------------------------------------------

    def node(self, *args, **kwargs):
        node = Node(*args, **kwargs)
        if not node.foreign:
            self.log.append(node)
        return node

    def pick(self, k):
        return self.kept[k % len(self.kept)]

    def fresh(self, k):
        """A kept Value; computed again, if it is stale and therefore refused."""
        value, node = self.pick(k)
        if not node.foreign:
            with Tape() as scope:
                pass
            try:
                scope.gradient(value, value)
            except RuntimeError as error:
                assert "had been computed" in str(error)  # noqa: PT017
                copies = any(x.foreign for x in ancestors(node))  # of what another thread has set
                assert copies or not is_right(node)
                value.forward()
                forward(node)
            assert is_right(node)
        return value, node

    def keep(self, value, node):
        self.kept.append((value, node))

    def operand(self, x):
        """What to hand to miniflow, and its node: a kept Value or a plain number."""
        return self.pick(x) if isinstance(x, int) else (x, None)

    def record(self, name, operands, muted=False):
        """The same operation in both engines; None where it would grow too large."""
        picked = [self.operand(x) for x in operands]
        data = float(OPS[name][0](*[x if node is None else node.data for x, node in picked]))
        if not abs(data) < LIMIT:
            return None
        value = SPELLED[name](*[x for x, _ in picked])
        if muted:
            return value, self.node("constant", data)
        parents = tuple(self.node("constant", x) if node is None else node for x, node in picked)
        return value, self.node(name, data, parents)

    # --- recording ------------------------------------------------------------

    @rule(x=number, label=st.sampled_from(["", "", "w", "x1", "é"]))
    def leaf(self, x, label):
        self.keep(Value(x, label), self.node("leaf", x, label=label))

    @rule(x=number)
    def foreign_leaf(self, x):
        self.keep(on_another_thread(lambda: Value(x)), self.node("leaf", x, foreign=True))

    @precondition(lambda self: self.kept)
    @rule(name=binary, a=index, b=index | number)
    def infix(self, name, a, b):
        if (found := self.record(name, (a, b))) is not None:
            self.keep(*found)

    @precondition(lambda self: self.kept)
    @rule(name=binary, a=number, b=index)
    def number_first(self, name, a, b):
        if (found := self.record(name, (a, b))) is not None:
            self.keep(*found)

    @precondition(lambda self: self.kept)
    @rule(name=unary, a=index)
    def prefix(self, name, a):
        if (found := self.record(name, (a,))) is not None:
            self.keep(*found)

    @precondition(lambda self: self.kept)
    @rule(c=index, a=index | number, b=index | number)
    def choose(self, c, a, b):
        if (found := self.record("where", (c, a, b))) is not None:
            self.keep(*found)

    @precondition(lambda self: self.kept)
    @rule(
        name=st.sampled_from(["sum", "dot"]),
        first=index,
        rest=st.lists(index | number, min_size=3, max_size=5),
    )
    def wide(self, name, first, rest):
        operands = (first, *rest)[: len(rest) // 2 * 2 if name == "dot" else None]
        if (found := self.record(name, operands)) is not None:
            self.keep(*found)

    @precondition(lambda self: self.kept)
    @rule(names=st.lists(binary, min_size=1, max_size=12), a=index, others=st.data())
    def chain(self, names, a, others):
        """A long expression, of which only the end is kept."""
        if (found := self.record("neg", (a,))) is None:
            return
        self.keep(*found)
        for name in names:
            if (found := self.record(name, (-1 % len(self.kept), others.draw(index)))) is not None:
                self.kept[-1] = found

    @precondition(lambda self: self.kept)
    @rule(name=binary, a=index, b=index | number)
    def without_gradient(self, name, a, b):
        with no_grad():
            found = self.record(name, (a, b), muted=True)
        if found is not None:
            self.keep(*found)

    @precondition(lambda self: self.kept)
    @rule(k=index)
    def detach(self, k):
        value, node = self.pick(k)
        self.keep(value.detach(), self.node("constant", node.data))

    @precondition(lambda self: self.kept)
    @rule(k=index, other=st.sampled_from(["x", None, 1j, [1]]))
    def refused(self, k, other):
        with pytest.raises(TypeError):
            self.pick(k)[0] + other

    # --- keeping and dropping -------------------------------------------------

    @precondition(lambda self: self.kept)
    @rule(k=index)
    def drop(self, k):
        del self.kept[k % len(self.kept)]

    @precondition(lambda self: len(self.kept) > 6)
    @rule(k=index, count=st.integers(1, 6))
    def drop_many(self, k, count):
        k %= len(self.kept)
        del self.kept[k : k + count]

    @precondition(lambda self: self.kept)
    @rule(k=index, j=index)
    def keep_an_input(self, k, j):
        value, node = self.pick(k)
        if node.parents:
            j %= len(node.parents)
            self.keep(value.inputs[j], node.parents[j])

    @rule()
    def compact(self):
        self.table.compact()

    @rule()
    def collect_garbage(self):
        gc.collect(0)  # the youngest only: what other tests imported takes long

    # --- differentiating ------------------------------------------------------

    @precondition(lambda self: self.kept)
    @rule(k=index, seed=st.sampled_from([1.0, 1.0, 1, -2.5]), times=st.integers(1, 2))
    def backward(self, k, seed, times):
        value, node = self.fresh(k)
        if node.op == "constant":
            with pytest.raises(RuntimeError, match="constant"):
                value.backward(seed)
            return
        for _ in range(times):
            value.backward(seed)
            backward(node, seed)

    @precondition(lambda self: self.kept)
    @rule(k=index)
    def interrupted_backward(self, k):
        """A sweep that breaks off leaves the leaves alone; what it half filled is unknown."""
        value, node = self.fresh(k)
        reached = adjoints(node)
        if any(x.op == "fragile" and slopes(x) != [None] for x in reached):
            self.breaking = True
            with pytest.raises(Interrupted):
                value.backward()
            self.breaking = False
            for x in reached:
                if x.op != "leaf":
                    x.grad = None

    @precondition(lambda self: self.kept)
    @rule(k=index, sources=st.lists(index, min_size=1, max_size=4), inside=st.booleans())
    def gradient(self, k, sources, inside):
        value, node = self.fresh(k)
        picked = [self.pick(x) for x in sources]
        if node.foreign or any(x.foreign or x.op == "constant" for _, x in picked):
            return
        with Tape() as scope:
            found = scope.gradient(value, [x for x, _ in picked])
        if not inside:
            found = scope.gradient(value, [x for x, _ in picked])
        expected = adjoints(node)
        for x, (_, source) in zip(found, picked, strict=True):
            x = x.data if x.__class__ is Value else x
            assert same(x, expected.get(source, 0.0))

    @precondition(lambda self: self.kept)
    @rule(k=index, x=number)
    def transform(self, k, x):
        """d(x * v)/dx = v, and through it to what v was computed from."""
        value, node = self.fresh(k)
        slope = miniflow.grad(lambda x: x * value)(x)
        if node.op == "constant":
            assert type(slope) is float
            assert same(slope, node.data)
        else:
            # the slope is v itself: no new entry, or one that only hands on
            assert same(slope.data, node.data)

    @precondition(lambda self: self.kept)
    @rule(k=index, x=number)
    def set_grad(self, k, x):
        value, node = self.pick(k)
        value.grad = node.grad = x

    @rule()
    def zero_grads(self):
        for value, node in self.kept:
            value.grad = node.grad = 0.0

    # --- replaying ------------------------------------------------------------

    @precondition(lambda self: self.kept)
    @rule(k=index, x=number)
    def set_data(self, k, x):
        value, node = self.pick(k)
        if node.parents:
            with pytest.raises(AttributeError, match="computed"):
                value.data = x
        else:
            value.data = node.data = x

    @precondition(lambda self: self.kept)
    @rule(k=index)
    def forward(self, k):
        value, node = self.pick(k)
        assert value.forward() is value
        forward(node)

    # --- looking --------------------------------------------------------------

    @precondition(lambda self: self.kept)
    @rule(k=index, label=st.sampled_from(["", "a", "loss", "\n"]))
    def relabel(self, k, label):
        value, node = self.pick(k)
        value.label = node.label = label

    @precondition(lambda self: len(self.scopes) < 3)
    @rule()
    def open_tape(self):
        self.scopes.append((Tape().__enter__(), len(self.log), None))

    @precondition(lambda self: self.scopes)
    @rule(k=index)
    def close_tape(self, k):
        k %= len(self.scopes)
        scope, start, stop = self.scopes[k]
        if stop is None:
            scope.__exit__(None, None, None)
            self.scopes[k] = scope, start, len(self.log)

    @precondition(lambda self: self.scopes)
    @rule(k=index)
    def drop_tape(self, k):
        del self.scopes[k % len(self.scopes)]

    @precondition(lambda self: self.scopes)
    @rule(k=index)
    def read_tape(self, k):
        scope, start, stop = self.scopes[k % len(self.scopes)]
        entries = iter(list(scope))
        for node in self.log[start:stop]:
            # what was recorded, in order, among other things (gradients, bounds)
            assert any(
                (x.op, x.label) == (node.op, node.label) and same(x.value, node.data)
                for x in entries
            ), node.op
        assert str(scope).startswith("entry")

    @precondition(lambda self: self.kept and importlib.util.find_spec("viz.diagram.dot"))
    @rule(k=index)
    def draw(self, k):
        from viz.diagram.dot import draw_dot

        value, _ = self.fresh(k)
        source = draw_dot(value, limit=None).source
        assert source.startswith("digraph")
        assert draw_dot(value, limit=None).source == source

    # --- what holds at any time -----------------------------------------------

    @invariant()
    def kept_values_are_what_they_were(self):
        for value, node in self.kept:
            assert same(value.data, node.data)
            assert value.op == node.op
            assert value.label == node.label
            if node.grad is not None:
                assert self.same_gradient(value.grad, node)

    def same_gradient(self, grad, node):
        # a foreign leaf is fed once for each use, not once for each sweep
        return (
            math.isclose(grad, node.grad, rel_tol=1e-9) if node.foreign else same(grad, node.grad)
        )

    @invariant()
    def inputs_are_the_kept_values(self):
        by_node = {node: value for value, node in self.kept}
        for value, node in self.kept:
            inputs = value.inputs
            for x, parent in zip(inputs, node.parents, strict=True):
                assert same(x.data, parent.data)
                assert by_node.get(parent, x) is x

    @invariant()
    def the_table_is_sound(self):
        table = self.table
        assert tape.here.table is table
        assert table.idle()
        assert table.count <= table.capacity
        if miniflow.engine == "python":
            assert len(table.mark) == table.capacity
            assert {len(column) for column, _ in columns.columns(table)} == {table.capacity}
        for value, node in self.kept:
            if not node.foreign:
                assert value._entry < table.count
                assert table.handle(value._entry) is value


EngineTest = Engine.TestCase
EngineTest.settings = settings(stateful_step_count=50)


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(1, 60))
def test_a_compaction_keeps_what_is_kept_and_little_more(drops, length):
    before = storage.SMALLEST, tape.here.table
    storage.SMALLEST, tape.here.table = 8, tape.Table()
    try:
        values = [Value(float(k)) for k in range(len(drops))]
        numbers = [float(k) for k, drop in enumerate(drops) if not drop]
        values = [x for x, drop in zip(values, drops, strict=True) if not drop]
        y = Value(0.0)
        for _ in range(length):
            y = y + 1.0
        needed = len(values) + 2 * length + 1
        tape.here.table.compact()
        assert needed <= tape.here.table.count <= max(needed, 4 * needed // 3 + 1)
        assert [x.data for x in values] == numbers
        assert y.data == length
    finally:
        storage.SMALLEST, tape.here.table = before
