"""A state machine: everything one does with Values, against an engine that is all too simple.

`GradientMachine` records, sweeps and drops; here threads, tapes, muted code, compaction,
breaking off and drawing are added, on a table that is always too small. All numbers are exact.
"""

import gc
import importlib.util
import math
import operator
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

import miniflow
from miniflow import Tape, Value, no_grad, ops
from miniflow.tape import columns, storage
from miniflow.tape import core as tape
from miniflow.testing.machine import GradientMachine, half, has, index, operation_of
from miniflow.testing.naive import OPERATIONS, Operation, alike, ancestors
from support.threads import on_another_thread


class Interrupted(Exception):  # noqa: N818 - it stands for KeyboardInterrupt
    pass


FRAGILE = Operation(1, operator.pos, lambda a, y: [1.0], lambda x: ops.TABLE["fragile"](x))


class Engine(GradientMachine):
    """What miniflow has besides: everything else that can happen to a tape."""

    operations: ClassVar = {**OPERATIONS, "fragile": FRAGILE}
    tolerance = 0.0

    def __init__(self):
        super().__init__()
        self.before = storage.SMALLEST, tape.here.table
        storage.SMALLEST = 8
        self.table = tape.here.table = tape.Table()
        self.scopes = []  # tapes, with their stretch of the log
        self.log = []  # all own nodes, in order
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
        node = super().node(*args, **kwargs)
        if not node.foreign:
            self.log.append(node)
        return node

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
                assert copies or not self.naive.is_right(node)
                value.forward()
                self.naive.forward(node)
            assert self.naive.is_right(node)
        return value, node

    # --- recording ------------------------------------------------------------

    @rule(x=half, label=st.sampled_from(["", "", "w", "x1", "é"]))
    def leaf(self, x, label):
        self.keep(Value(x, label), self.node("leaf", x, label=label))

    @rule(x=half)
    def foreign_leaf(self, x):
        self.keep(on_another_thread(lambda: Value(x)), self.node("leaf", x, foreign=True))

    @precondition(has(2))
    @rule(name=operation_of(2), a=index, b=index | half)
    def without_gradient(self, name, a, b):
        count = len(self.log)
        with no_grad():
            found = self.record(name, (a, b))
        del self.log[count:]  # nothing was recorded but a constant
        if found is not None:
            value, node = found
            self.keep(value, self.node("constant", node.data))

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
            self.naive.backward(node, seed)

    @precondition(lambda self: self.kept)
    @rule(k=index)
    def interrupted_backward(self, k):
        """A sweep that breaks off leaves the leaves alone; what it half filled is unknown."""
        value, node = self.fresh(k)
        reached = self.naive.adjoints(node)
        if any(x.op == "fragile" and self.naive.slopes(x) != [None] for x in reached):
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
        expected = self.naive.adjoints(node)
        for x, (_, source) in zip(found, picked, strict=True):
            x = x.data if x.__class__ is Value else x
            assert alike(x, expected.get(source, 0.0))

    @precondition(lambda self: self.kept)
    @rule(k=index, x=half)
    def transform(self, k, x):
        """d(x * v)/dx = v, and through it to what v was computed from."""
        value, node = self.fresh(k)
        slope = miniflow.grad(lambda x: x * value)(x)
        if node.op == "constant":
            assert type(slope) is float
            assert alike(slope, node.data)
        else:
            # the slope is v itself: no new entry, or one that only hands on
            assert alike(slope.data, node.data)

    @precondition(lambda self: self.kept)
    @rule(k=index, x=half)
    def set_grad(self, k, x):
        value, node = self.pick(k)
        value.grad = node.grad = x

    # --- replaying ------------------------------------------------------------

    @precondition(lambda self: self.kept)
    @rule(k=index, x=half)
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
        self.naive.forward(node)

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
                (x.op, x.label) == (node.op, node.label) and alike(x.value, node.data)
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
    def operations_and_labels_are_what_they_were(self):
        for value, node in self.kept:
            assert (value.op, value.label) == (node.op, node.label)

    def check_gradient(self, value, node):
        if node.foreign:  # fed once for each use, not once for each sweep
            assert math.isclose(value.grad, node.grad, rel_tol=1e-9)
        else:
            super().check_gradient(value, node)

    @invariant()
    def inputs_are_the_kept_values(self):
        by_node = {node: value for value, node in self.kept}
        for value, node in self.kept:
            inputs = value.inputs
            for x, parent in zip(inputs, node.parents, strict=True):
                assert alike(x.data, parent.data)
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
