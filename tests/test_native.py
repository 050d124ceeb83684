"""Machine code against the table: every row and random programs, in both tiers, bit for bit.

Terms:
    eager   the table's rows on floats, one after another: what every way must equal
    way     how a program is computed: as Python source, by the first tier, by the second
    bench   what stands in for the thread in the background, and works only when it is asked
    cut     how long a piece and a stretch of machine code are, and how many numbers the
            stack holds; small ones, so that small programs meet what only large ones would
"""

import contextlib
import ctypes
import gc
import itertools
import math
import operator
import os
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import warnings
import weakref
from collections import namedtuple
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_program import applied

from miniflow import grad, jit, ops, vmap
from miniflow import math as m
from miniflow.compiled.jit import Jitted
from miniflow.native import kernel as emit
from miniflow.native import tiers as native
from miniflow.native import wrapper as callers
from miniflow.ops import TABLE, define
from miniflow.tape.core import here

ROOT = Path(__file__).parent.parent
WAYS = ("source", "first", "second")
ROWS = list(TABLE.values())


@pytest.fixture(autouse=True, scope="module")
def _no_files():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIFLOW_CACHE_DIR", "")
        yield


# --- what is compared -----------------------------------------------------------


def bits(tree):
    """A result to the last bit, with all its types; NaNs are all alike."""
    if type(tree) is float:
        return tree.hex()
    if isinstance(tree, dict):
        return type(tree), [(name, bits(part)) for name, part in tree.items()]
    if isinstance(tree, (list, tuple)):
        return type(tree), [bits(part) for part in tree]
    if isinstance(tree, np.ndarray):
        return tree.dtype, tree.shape, [bits(part) for part in tree.ravel().tolist()]
    return type(tree), tree


class Bench:
    """The background's jobs, done when they are asked for."""

    stopping = False
    thread = None  # somebody waits for all that is done here

    def __init__(self):
        self.jobs = []

    def put(self, job):
        self.jobs.append(job)

    def finish(self):
        """Have all second tiers built and swapped in."""
        while self.jobs:
            self.jobs.pop(0)()


@contextlib.contextmanager
def at_the_bench():
    """A block in which code stays in its first tier until the bench is told to finish."""
    bench = Bench()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "worker", bench)
        yield bench


@pytest.fixture
def bench():
    with at_the_bench() as found:
        yield found


class Cut(NamedTuple):
    piece: int
    stretch: int
    stack: int


WHOLE = Cut(emit.PIECE, emit.STRETCH, callers.STACK)
CUTS = [WHOLE, Cut(5, 3, 4), Cut(1, 1, 1), Cut(7, 2, 4096)]


@contextlib.contextmanager
def cut(how):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emit, "PIECE", how.piece)
        patch.setattr(emit, "STRETCH", how.stretch)
        patch.setattr(callers, "STACK", how.stack)
        yield


def assert_same(f, points, expected, how=WHOLE):
    """At each point f, compiled in every way, returns what is expected, to the last bit.

    Each point is asked for often enough that the source is compiled, too.
    """
    wanted = [bits(y) for y in expected]
    rounds = -(-5 // len(points))
    source = jit(f, backend="source")
    for _ in range(rounds):
        assert [bits(source(*xs)) for xs in points] == wanted
    with at_the_bench() as bench, cut(how):
        compiled = jit(f, backend="native")
        for _ in range(rounds):
            assert [bits(compiled(*xs)) for xs in points] == wanted
        bench.finish()
        assert compiled.ready(0)
        assert [bits(compiled(*xs)) for xs in points] == wanted


# --- rows -----------------------------------------------------------------------

EDGES = [
    *(0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, -3.0, 0.1, 7.3, -1e-3, -0.9),
    *(5e-324, -5e-324, 2.0**-1022, -1e-310, 1e-17, 1e300, -1e300, 1.7976931348623157e308),
    *(2.0**52 + 0.5, 2.0**53, -(2.0**53) - 2, 1e22, 709.8, -745.2, 171.7, math.pi, -math.pi / 2),
    *(math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0), math.inf, -math.inf, math.nan),
]
FEW = [0.0, -0.0, 1.0, -2.5, 0.3, 5e-324, -1e300, 1e-300, 710.0, math.inf, -math.inf, math.nan]
anything = st.floats() | st.sampled_from(EDGES) | st.floats(-4, 4) | st.integers(-40, 40).map(float)


def sizes(op):
    """With how many operands a row is tried."""
    if op.arity >= 0:
        return [op.arity]
    return [2, 4, 6] if op.name == "dot" else [1, 2, 3, 7]


def grid(n):
    """Operands: all pairs of edges, some of what there is of more."""
    if n < 3:
        return list(itertools.product(EDGES, repeat=n))
    if n == 3:
        return list(itertools.product(FEW, repeat=3))
    places = range(len(EDGES))
    return [tuple([EDGES[(k + j * (j + step)) % len(EDGES)] for j in range(n)])
            for step in range(9) for k in places]  # fmt: skip


def slopes(op, n):
    """All partials of a row."""
    return grad(lambda *xs: op(*xs), argnums=tuple(range(n)))


@cache
def compiled(f, n, way):
    """A function of n numbers in machine code of one tier, or as source."""
    if way == "source":
        found = jit(f, backend="source")
        for _ in range(5):
            found(*[0.5] * n)
        return found
    with at_the_bench() as bench:
        found = jit(f, backend="native")
        found(*[0.5] * n)
        if way == "second":
            bench.finish()
            assert found.ready(0)
        else:
            assert not found.ready(0)
    return found


@cache
def row_and_slopes(op, n):
    """The row, and its slopes, as functions that are compiled once."""
    return (lambda *xs: op(*xs)), slopes(op, n)


def assert_row(op, n, points, which):
    f = row_and_slopes(op, n)[which]
    expected = [bits(f(*xs)) for xs in points]
    for way in WAYS:
        code = compiled(f, n, way)
        found = [bits(code(*xs)) for xs in points]
        wrong = [x for x in zip(points, found, expected, strict=True) if x[1] != x[2]]
        assert not wrong, (op.name, way, wrong[:3])


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
def test_a_row_is_compiled_to_the_last_bit(op):
    for n in sizes(op):
        assert_row(op, n, grid(n), 0)


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
def test_partials_are_compiled_to_the_last_bit(op):
    for n in sizes(op)[:2]:
        assert_row(op, n, grid(n)[:: 1 if n < 2 else 7], 1)


@given(st.data())
def test_rows_and_partials_of_any_numbers(data):
    op = data.draw(st.sampled_from(ROWS))
    n = data.draw(st.sampled_from(sizes(op)))
    points = data.draw(st.lists(st.tuples(*[anything] * n), min_size=1, max_size=20))
    assert_row(op, n, points, 0)
    assert_row(op, n, points, 1)


@pytest.mark.parametrize("op", [x for x in ROWS if x.arity != 1], ids=lambda op: op.name)
def test_constant_operands_are_kept_to_the_last_bit(op):
    """One program with each operand in turn each of some constants, its sign and NaN kept."""
    n = sizes(op)[-1]
    constants = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -3.0, 5e-324, 1e300, math.inf, math.nan]

    def f(x):
        return [op(*[c if j == k else x for j in range(n)]) for k in range(n) for c in constants]

    points = [(x,) for x in EDGES]
    assert_same(f, points, [[float(y) for y in f(*xs)] for xs in points])


def test_the_square_of_the_table_is_that_of_machine_code():
    """An exponent of 2.0 rounds once, whether it is known or comes as a number."""
    xs = [*EDGES, *(1 + k * 2.0**-52 for k in range(1, 400, 7))]
    points = [(x, 2.0) for x in xs]
    expected = [x * x for x in xs]
    assert_same(lambda x, p: (m.pow(x, 2.0), x**p), points, [(y, y) for y in expected])


@pytest.mark.parametrize("backend", ["native", "source"])
def test_python_s_operators_are_ieee_s(backend):
    """Where floats raise in Python, or become complex, compiled code has the table's answer."""
    f = jit(lambda a, b: (a / b, a**b, a // b, a % b, m.exp(a), m.log(b)), backend=backend)
    for _ in range(6):
        y = f(-8.0, 0.0)
        assert bits(y[:3]) == bits((-math.inf, 1.0, -math.inf))
        assert math.isnan(y[3])
        assert y[5] == -math.inf
        assert f(1000.0, 1 / 3)[4] == math.inf
        assert math.isnan(f(-8.0, 1 / 3)[1])


def test_a_wrong_row_would_be_noticed(monkeypatch):
    """Of addition instead of subtraction, of a fused product, of a lost sign of zero."""
    f = lambda a, b: (a - b) * b + a  # noqa: E731
    points = [(0.1, 0.3), (-0.0, 0.0)]
    expected = [f(*xs) for xs in points]
    assert_same(f, points, expected)
    for name, wrong in {
        "sub": emit.ROWS["add"],
        "mul": lambda e, a, b: e.intrinsic("fma", a, b, e.number(1e-17)),
        "add": lambda e, a, b: e.binary("fadd", e.binary("fadd", a, e.number(0.0)), b),
    }.items():
        with monkeypatch.context() as patch:
            patch.setitem(emit.ROWS, name, wrong)
            if name == "add":
                points, expected = [(-0.0, -0.0)], [-0.0]
                f = lambda a, b: a + b  # noqa: E731
            with pytest.raises(AssertionError):
                assert_same(f, points, expected)
    assert_same(f, points, expected)


# --- random programs ---------------------------------------------------------------


class Step(NamedTuple):
    """A row on operands: a node's number (int) or a constant (float)."""

    name: str
    operands: tuple


class Fork(NamedTuple):
    """One of two steps, by a comparison."""

    relation: object
    left: object
    right: object
    steps: tuple


RELATIONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
BASIC = ["add", "sub", "mul", "div", "maximum", "where", "sum", "dot", "fsum", "tanh", "sin"]
Pair = namedtuple("Pair", "first second")


def numbers(wild):
    tame = st.floats(-3, 3) | st.integers(-3, 3).map(float)
    return tame | anything if wild else tame


@st.composite
def steps(draw, count, wild):
    name = draw(st.sampled_from(BASIC) | st.sampled_from([op.name for op in ROWS]))
    node = st.integers(0, count - 1) | st.integers(max(0, count - 4), count - 1)
    n = draw(st.sampled_from(sizes(TABLE[name])))
    operands = draw(st.lists(node | node | numbers(wild), min_size=n, max_size=n))
    return Step(name, tuple(operands))


@pytest.mark.parametrize("relation", RELATIONS)
def test_comparisons_of_any_numbers(relation):
    """Whichever of both paths was recorded first; with another number and with a constant."""

    def f(x, y):
        found = x - y if relation(x, y) else y * 2
        return found if relation(x, 1.0) else found + 1

    points = list(
        itertools.product([0.0, -0.0, 1.0, -2.5, math.inf, -math.inf, math.nan], repeat=2)
    )
    for first in [(0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (math.nan, 1.0)]:
        assert_same(f, [first, *points], [f(*xs) for xs in [first, *points]])


class Random(NamedTuple):
    """A program with branches, shared parts and a nested result."""

    inputs: int
    steps: list
    result: object  # a structure of nodes' numbers

    def __call__(self, *xs):
        nodes = list(xs)
        for step in self.steps:
            if isinstance(step, Fork):
                left, right = self.operands(nodes, (step.left, step.right))
                step = step.steps[bool(step.relation(left, right))]
            nodes.append(applied(step.name, self.operands(nodes, step.operands)))
        return self.filled(self.result, nodes)

    @staticmethod
    def operands(nodes, operands):
        return [nodes[x] if isinstance(x, int) else x for x in operands]

    def filled(self, tree, nodes):
        if isinstance(tree, int):
            return nodes[tree]
        if isinstance(tree, dict):
            return {name: self.filled(part, nodes) for name, part in tree.items()}
        if isinstance(tree, Pair):
            return Pair(*[self.filled(part, nodes) for part in tree])
        if isinstance(tree, (list, tuple)):
            return type(tree)([self.filled(part, nodes) for part in tree])
        return tree  # None, a string

    def total(self, *xs):
        """One number that depends on all outputs."""
        return m.sum([0.0, *flat(self(*xs))])


def flat(tree):
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [x for part in tree for x in flat(part)]
    return [] if tree is None or isinstance(tree, str) else [tree]


def results(count):
    leaf = st.integers(0, count - 1)
    return st.recursive(
        leaf | leaf | st.none() | st.just("text"),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.lists(inner, max_size=3).map(tuple)
            | st.builds(Pair, inner, inner)
            | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        ),
        max_leaves=6,
    )


@st.composite
def randoms(draw, longest=25, wild=True):
    """A random program and points to call it at."""
    inputs = draw(st.integers(1, 4))
    found = []
    for count in range(inputs, inputs + draw(st.integers(1, longest))):
        step = draw(steps(count, wild))
        if draw(st.integers(0, 4)) == 0:
            node = st.integers(0, count - 1)
            relation, a, b = (
                draw(st.sampled_from(RELATIONS)),
                draw(node),
                draw(node | numbers(wild)),
            )
            step = Fork(relation, a, b, (step, draw(steps(count, wild))))
        found.append(step)
    result = draw(results(inputs + len(found)))
    point = st.tuples(*[numbers(wild)] * inputs)
    return Random(inputs, found, result), draw(st.lists(point, min_size=1, max_size=5))


@given(randoms(), st.sampled_from(CUTS))
def test_random_programs_have_one_answer(program_and_points, how):
    program, points = program_and_points
    expected = [program(*xs) for xs in points]
    assert_same(program, points, as_floats(expected), how)


def as_floats(tree):
    """What compiled programs return of it: numbers are floats."""
    if isinstance(tree, int):
        return float(tree)
    if isinstance(tree, dict):
        return {name: as_floats(part) for name, part in tree.items()}
    if isinstance(tree, Pair):
        return Pair(*map(as_floats, tree))
    return type(tree)(map(as_floats, tree)) if isinstance(tree, (list, tuple)) else tree


@given(randoms(longest=12), st.sampled_from(CUTS))
def test_random_gradients_have_one_answer(program_and_points, how):
    """A compiled gradient is what the sweep says, to the last bit."""
    program, points = program_and_points
    slope = grad(program.total, argnums=tuple(range(program.inputs)))
    assert_same(slope, points, [slope(*xs) for xs in points], how)


# --- pieces, stretches, the heap -------------------------------------------------------


@pytest.mark.parametrize("how", CUTS, ids=lambda x: "-".join(map(str, x)))
def test_numbers_and_guards_cross_pieces(how):
    """Early numbers are needed late, places are used again, guards stand in every piece."""

    def f(x, y):
        early = [m.sin(x * k + y) for k in range(1, 6)]
        z = x
        for k in range(10):
            z = z * 0.9 + early[k % 5] * y
            if z > k - 5:
                z = z - early[(k + 1) % 5]
        w = m.dot(early, early[::-1]) + z
        if w < early[0]:
            w = -w
        return w, z, early[2], x, 7.0

    points = [(x / 3, y / 7) for x in (-6, 1, 7) for y in (-50, -3, 30)]
    assert_same(f, points, [f(*xs) for xs in points], how)


def test_an_input_and_a_constant_as_outputs_of_pieces():
    f = lambda x, y: [x, 1.5, y, x, m.exp(x) * y + x, -0.0]  # noqa: E731
    assert_same(f, [(2.0, -0.0)], [f(2.0, -0.0)], Cut(1, 1, 1))


def test_a_program_of_many_pieces_as_they_are():
    """Some thousand instructions, with no limit lowered: three pieces."""

    def f(x, y):
        for k in range(2400):
            x, y = x * 0.75 + m.sin(y), y - x * (0.001 * k)
            if k % 800 == 799 and x > y:
                x, y = y, x
        return x, y

    points = [(0.5, 0.25), (-1.0, 2.0)]
    assert_same(f, points, [f(*xs) for xs in points])


def test_more_numbers_than_the_stack_holds():
    """Thousands of inputs and outputs: room on the heap, given back whichever way it ends."""
    n = callers.STACK + 10

    def f(xs):
        if xs[0] > xs[1]:
            return xs[-1] * 3
        return [xs[0], *xs[::-1], xs[-1] + xs[-2]]

    a = [float(k) for k in range(n)]
    b = a[::-1]
    assert_same(f, [(a,), (b,)], [f(a), f(b)])
    fewer = a[:20]
    assert_same(f, [(fewer,), (fewer[::-1],)], [f(fewer), f(fewer[::-1])], Cut(3000, 100, 10))


def test_the_heap_is_given_back(bench):
    """Whichever way a call ends: with a result, on another path, in Python."""
    f = jit(lambda xs: xs[0] * xs[-1] if xs[0] > 0 else -xs[1], backend="native")
    pad = [2.0] * 2000
    with cut(Cut(3000, 100, 10)):
        calls = [lambda: f([1.0, *pad]), lambda: f([-1.0, *pad]), lambda: f([1.0, *pad[:-1], 2])]
        expected = [2.0, -2.0, 2.0]
        for _ in range(5):
            assert [call() for call in calls] == expected
        bench.finish()
    tracemalloc.start()
    try:
        for call, y in zip(calls, expected, strict=True):
            for _ in range(3):
                before = tracemalloc.get_traced_memory()[0]
                assert [call() for _ in range(20)] == [y] * 20
                left = tracemalloc.get_traced_memory()[0] - before
            assert left < 8 * 2000  # less than one of twenty
    finally:
        tracemalloc.stop()


def test_results_without_any_number():
    assert_same(lambda x: [], [(1.0,)], [[]])
    assert_same(lambda x: ((), [[]]), [(1.0,)], [((), [[]])])
    assert_same(lambda: 3.5, [()], [3.5])
    assert_same(lambda: (), [()], [()])
    assert_same(lambda xs: 1.0, [([],), ((),)], [1.0, 1.0])


def test_fused_operations_only_if_asked_for():
    """One rounding or two: nothing else may come out."""
    f = lambda a, b, c: a * b + c  # noqa: E731
    a = 1 + 2.0**-30
    c = -(1 + 2.0**-29)
    twice, once = f(a, a, c), ops.fma(a, a, c)
    assert twice != once
    assert_same(f, [(a, a, c)], [twice])
    with at_the_bench() as bench:
        fused = jit(f, backend="native", fma=True)
        assert fused(a, a, c) in (once, twice)
        bench.finish()
        assert fused(a, a, c) in (once, twice)


# --- calls: what machine code takes and makes --------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple])
def test_items_stand_where_machine_code_looks_for_them(kind):
    x = kind([1.5, -0.25])
    place = id(x) + callers.ITEMS[kind]
    if kind is list:
        place = ctypes.c_void_p.from_address(place).value
    items = [ctypes.c_void_p.from_address(place + 8 * k).value for k in range(2)]
    numbers = [ctypes.c_double.from_address(item + callers.NUMBER).value for item in items]
    assert ctypes.c_ssize_t.from_address(id(x) + callers.SIZE).value == 2
    assert ctypes.c_void_p.from_address(id(x) + callers.TYPE).value == id(kind)
    assert items == [*map(id, x)]
    assert numbers == [*x]


def test_a_call_of_floats_is_machine_code():
    """The function itself is called once, to be recorded; calls then leave Python alone."""
    f = jit(lambda x, y: x * y, backend="native")
    f(2.0, 3.0)
    assert type(f.shortcut) is BuiltinFunctionType
    entered = []
    sys.setprofile(lambda frame, event, arg: entered.append(frame) if event == "call" else None)
    try:
        y = f(4.0, 5.0)
    finally:
        sys.setprofile(None)
    assert y == 20.0
    assert entered == []


class Kept(float):
    """A number of a class of its own."""


OTHERS = [
    (2, 3),
    (Kept(2.0), 3.0),
    (np.float64(2), np.float32(3)),
    (np.int8(2), Fraction(3)),
    (2.0, np.array(3.0)),
]


@pytest.mark.parametrize("xs", OTHERS, ids=str)
def test_numbers_that_are_no_floats_are_taken_too(xs, bench):
    f = jit(lambda x, y: x * y + y, backend="native")
    for _ in range(3):
        assert bits(f(2.0, 3.0)) == bits(9.0)
        assert bits(np.asarray(f(*xs)).item()) == bits(9.0)
    bench.finish()
    assert bits(np.asarray(f(*xs)).item()) == bits(9.0)


def test_structures_of_any_kind_one_after_another(bench):
    """Each structure has code of its own; whichever comes, the right one answers."""

    def f(a, b=2.0):
        xs = [a] if not isinstance(a, (list, tuple, dict, np.ndarray)) else list(flat_of(a))
        return m.sum([x * b for x in xs]) if xs else 0.0

    def flat_of(a):
        for x in a.values() if isinstance(a, dict) else a:
            if isinstance(x, (list, tuple, dict, np.ndarray)):
                yield from flat_of(x)
            else:
                yield x

    calls = [
        (1.5,), (1.5, 3.0), ([1.5],), ([1.5, 2.5],), ((1.5, 2.5),), ([1.5, [2.5, (3.5,)]],),
        ({"a": 1.5, "b": 2.5},), (np.array([1.5, 2.5]),), (np.ones((2, 3)), 4.0), ([],),
        (Pair(1.5, [2.5]),), ([np.array([1.5]), np.array([[2.5]])],), (np.zeros(0),),
    ]  # fmt: skip
    compiled = jit(f, backend="native")
    expected = [bits(float(f(*xs))) for xs in calls]
    for order in (1, -1, 1):
        assert [bits(compiled(*xs)) for xs in calls[::order]] == expected[::order]
    bench.finish()
    assert [bits(compiled(*xs)) for xs in calls] == expected


def test_arguments_in_the_wrong_number_get_the_function_s_own_error(bench):
    f = jit(lambda x, y: x + y, backend="native")
    for _ in range(2):
        with pytest.raises(TypeError, match="missing 1 required positional"):
            f(1.0)
        with pytest.raises(TypeError, match="takes 2 positional arguments"):
            f(1.0, 2.0, 3.0)
        with pytest.raises(TypeError, match="unexpected keyword"):
            f(1.0, 2.0, z=1.0)
        assert f(1.0, 2.0) == 3.0
        assert f(y=1.0, x=2.0) == 3.0
        assert f(1.0, y=2.0) == 3.0
        bench.finish()


ARRAYS = {
    "float64": lambda a: a,
    "float32": lambda a: a.astype(np.float32),
    "int": lambda a: a.astype(int),
    "uint8": lambda a: a.astype(np.uint8),
    "big endian": lambda a: a.astype(">f8"),
    "Fortran": np.asfortranarray,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "every other": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "unaligned": lambda a: (
        np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(float).reshape(2, 3)
    ),
    "of objects": lambda a: a.astype(object),
    "subclass": lambda a: a.view(type("Mine", (np.ndarray,), {})),
}


@pytest.mark.parametrize("made", ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_any_layout(made, bench):
    a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    b = made(a)
    assert b.shape == a.shape
    weights = [[1.0, 10.0, 100.0], [0.1, 0.01, 0.001]]

    def f(a):
        return sum(
            w * x for xs, ws in zip(a, weights, strict=True) for x, w in zip(xs, ws, strict=True)
        )

    expected = bits(float(f(a)))
    for first, second in ((a, b), (b, a)):
        compiled = jit(f, backend="native")
        for _ in range(3):
            assert bits(compiled(first)) == expected
            assert bits(compiled(second)) == expected
        bench.finish()
        assert bits(compiled(b)) == expected


def test_arrays_of_other_shapes_get_programs_of_their_own(bench):
    f = jit(lambda a: a.sum() * len(a), backend="native")
    for shape in [(4,), (5,), (2, 2), (1, 4), (4, 1), (1, 1, 4), (4,)]:
        assert f(np.ones(shape)) == np.prod(shape) * shape[0]


def test_results_with_arrays(bench):
    """New ones at each call, of floats; whatever is done to them changes no later call."""
    f = jit(
        lambda a, x: (a * x, [np.array([[x, 2.0]])], np.array(x) if x > 5 else x), backend="native"
    )
    a = np.arange(3.0)
    for k in range(8):
        if k == 5:
            bench.finish()
        first, [second], third = f(a, 2.0)
        assert bits((first, second, third)) == bits((a * 2.0, np.array([[2.0, 2.0]]), 2.0))
        assert first.flags.writeable
        assert first.base is None or not np.shares_memory(first, a)
        first[:] = second[:] = 99.0
        assert bits(f(a, 6.0)[0]) == bits(a * 6.0)
    assert a.tolist() == [0.0, 1.0, 2.0]


RESULTS = {
    "float": lambda x, y: x * y,
    "tuple": lambda x, y: (x * y, x + y),
    "nested": lambda x, y: (x * y, (x, (x - y,)), x + y),
    "twice the same": lambda x, y: (x * y, (x * y, x * y)),
    "with a list": lambda x, y: (x * y, [x + y, (x,)]),
    "with nothing": lambda x, y: (x * y, ()),
    "few": lambda x, y: tuple([x + k for k in range(callers.FEW)]),
    "many": lambda x, y: tuple([x + k for k in range(callers.FEW + 1)]),
    "on two paths": lambda x, y: (x, y) if x > y else (y, (x, y)),
}


def parts(x):
    """A result and all that is in it."""
    yield x
    if isinstance(x, (list, tuple)):
        for part in x:
            yield from parts(part)


@pytest.fixture(scope="module", params=RESULTS.values(), ids=RESULTS)
def compiled_result(request):
    """A function and its machine code, in the first tier or the second."""
    with at_the_bench() as bench:
        f = jit(request.param, backend="native")
        f(1.0, 2.0), f(2.0, 1.0)
        bench.finish()
    return request.param, f


@given(st.lists(st.tuples(anything, anything, st.integers(0, 9)), min_size=3, max_size=12))
def test_what_a_caller_keeps_of_a_result_no_later_call_changes(compiled_result, calls):
    """Results that nobody has any more are used again: never one of which a part is kept."""
    f, compiled = compiled_result
    kept = []
    for x, y, choice in calls:
        result, expected = compiled(x, y), f(x, y)
        assert bits(result) == bits(expected)
        some, same = [*parts(result)], [*parts(expected)]
        if choice < len(some):
            kept.append((some[choice], same[choice]))
        del result, some
    for part, expected in kept:
        assert bits(part) == bits(expected)


def test_results_are_used_again(bench):
    """Calls whose results are dropped, or unpacked, allocate nothing."""
    f = jit(lambda x, y: (x * y, (x, x - y)), backend="native")

    def dropped():
        for _ in range(9):
            f(2.0, 3.0)

    def unpacked():
        for _ in range(9):
            y, slopes = f(2.0, 3.0)
        del y, slopes

    def nothing():
        for _ in range(9):
            pass

    def allocated(call):
        call()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            call()
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    f(2.0, 3.0)
    bench.finish()
    assert allocated(dropped) == allocated(unpacked) == allocated(nothing)


@pytest.mark.parametrize("name", ["BARE", "COUNTED"])
def test_results_are_not_used_again_where_objects_are_otherwise(name, monkeypatch):
    """On Pythons whose tuples keep more than items, or whose objects have two counts."""
    monkeypatch.setattr(callers, name, False)
    f = jit(lambda x, y: (x * y, (x, x - y)), backend="native")
    for x in (2.0, 5.0, -1.0):
        assert f(x, 3.0) == (x * 3.0, (x, x - 3.0))
        assert f.shortcut.__self__[-3:-1] == [None, None]


@pytest.mark.usefixtures("quick_collections")
def test_a_call_in_the_middle_of_a_call():
    """Making a result lets finalizers run, which may call the same function."""
    f = jit(lambda x, y: (x * y, (x, x - y)), backend="native")
    inner = []

    def call(phase, info):
        inner.append((k, f(float(k), 0.5)))

    kept, threshold = [], gc.get_threshold()
    f(1.0, 2.0)
    assert f.ready(60)
    gc.callbacks.append(call)
    gc.set_threshold(1)
    try:
        for k in range(300):
            kept.append((k, f(float(k), 2.0)))
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(call)
    assert len(inner) > 10
    assert all(bits(y) == bits((k * 2.0, (float(k), k - 2.0))) for k, y in kept)
    assert all(bits(y) == bits((k * 0.5, (float(k), k - 0.5))) for k, y in inner)


def blocks():
    """How many pieces of memory Python has given out for what is still in use."""
    gc.collect()
    here.table.compact()
    return sys.getallocatedblocks()


@pytest.mark.parametrize("tier", ["first", "second"])
@pytest.mark.usefixtures("quick_collections")
def test_calls_leave_nothing_behind(tier, bench, small_table):
    """Whichever way a call goes, as many objects are alive after it as were before."""
    small_table(1 << 10)  # without what other tests have left: it is compacted each time
    row = define("whole_part", lambda x: float(int(x)), None)
    try:

        def f(xs, a, y):
            z = row(xs[0]) + xs[1] * a[0]
            if z > y:
                return [z, (y, [z])], a * z, 1.0
            return [z, (z, [y])], a + z, "low"

        def called(f, *args):
            with contextlib.suppress(Exception):
                return f(*args)

        plain_, nested = (
            jit(lambda x, y: x / y if x > y else y, backend="native"),
            jit(f, backend="native"),
        )
        a, b = np.ones(3), np.ones(3, dtype=np.float32)
        calls = [
            lambda: plain_(1.0, 2.0), lambda: plain_(2.0, 1.0), lambda: plain_(1, 2.0),
            lambda: plain_(2.0, np.float64(1)), lambda: called(plain_, 1.0),
            lambda: called(plain_, "a", 1.0), lambda: plain_(x=1.0, y=2.0),
            lambda: nested([1.0, 2.0], a, 1.0), lambda: nested([1.0, 2.0], a, 9.0),
            lambda: nested([1.0, 2.0], b, 1.0), lambda: nested([1, 2.0], a, 9.0),
            lambda: called(nested, [math.inf, 2.0], a, 9.0),
        ]  # fmt: skip
        for call in calls:
            for _ in range(5):
                call()
        if tier == "second":
            bench.finish()
        for k, call in enumerate(calls):
            grown = []
            for _ in range(3):  # caches may still fill
                before = blocks()
                for _ in range(100):
                    call()
                grown.append(blocks() - before)
            assert min(grown) < 50, (k, grown)
    finally:
        del TABLE["whole_part"]


# --- rows that users define ---------------------------------------------------------------


def test_a_job_that_fails_is_told_and_does_not_end_the_worker(monkeypatch):
    told, done = [], threading.Event()
    monkeypatch.setattr(threading, "excepthook", told.append)
    native.worker.put(lambda: 1 // 0)
    native.worker.put(done.set)
    assert done.wait(60)
    assert [x.exc_type for x in told] == [ZeroDivisionError]


def test_a_row_that_can_be_traced(row):
    """Its value is a formula of other rows: it is compiled like them."""
    cube = row("cube_", lambda x: x * x * x + m.sin(x), lambda x, y: 3 * x * x + m.cos(x))
    f = lambda x: cube(x) * 2  # noqa: E731
    points = [(x,) for x in EDGES if math.isfinite(x)]
    assert_same(f, points, [f(*xs) for xs in points])
    assert_same(grad(f), points, [grad(f)(*xs) for xs in points])


def test_a_row_that_only_python_can_compute(row):
    """Machine code calls it; here for one, two and any number of operands, with branches."""
    looked_up = row(
        "looked_up", lambda x: {0.0: 7.0}[x] if math.floor(x) == 0.0 == x else 0.5, None
    )
    steps = row("steps_", lambda a, b: float(int(a)) if a > b else b, 1.0, lambda a, b, y: m.sin(b))
    middle = row("middle_", lambda *xs: sorted(xs)[len(xs) // 2], each=lambda k, xs, y: 1.0 * k)

    def f(x, y):
        z = steps(x + y, y * 2)
        return looked_up(x) + z * middle(x, y, z, 3.0, -1.0), steps(z, x)

    points = [(x, y) for x in (0.0, 1.0, 2.75, -3.5) for y in (-1.5, 0.0, 4.0)]
    total = grad(lambda x, y: m.sum(f(x, y)), argnums=(0, 1))
    for how in CUTS:
        assert_same(f, points, [f(*xs) for xs in points], how)
        assert_same(total, points, [total(*xs) for xs in points], how)


LOOKUPS = {
    "dict": lambda x: {0.0: 7.0, 1.0: -3.0}.get(x, 0.5),
    "set": lambda x: x + 1.0 if x in {0.0, 1.0} else x * 2.0,
    "class": lambda x: x + 1.0 if isinstance(x, float) else x * 2.0,
    "identity": lambda x: x * 2.0 if x is not None and id(x) and hash(x) == 0 else x,
}


@pytest.mark.parametrize("value", LOOKUPS.values(), ids=LOOKUPS)
def test_a_row_that_looks_its_operand_up(row, value):
    """A row is a function of floats: what it would do to a Value is not its formula."""
    row = row("lookup_", value, None)
    points = [(0.0,), (1.0,), (2.0,)]
    assert_same(lambda x: row(x), points, [value(*xs) for xs in points])


def test_a_row_that_returns_an_int(row):
    count = row("count_", lambda x: len(range(int(x))), None)
    assert_same(lambda x: count(x) + 1, [(3.5,)], [4.0])


class RefusedError(Exception):
    """What a row raises."""


@pytest.mark.parametrize("way", ["source", "first", "second"])
def test_an_error_in_a_row_reaches_the_caller(row, way, bench):
    """At each call anew; calls before, between and after are right."""

    def strict(x):
        if x < 0:
            raise RefusedError(f"{x} is negative")
        return math.sqrt(x)

    root = row("strict_root", strict, lambda x, y: 0.5 / y)
    f = jit(lambda x: root(x) * 2, backend="source" if way == "source" else "native")
    for k in range(8):
        assert f(4.0) == 4.0
        with pytest.raises(RefusedError, match=r"-1\.0 is negative"):
            f(-1.0)
        if way == "second" and k == 2:
            bench.finish()
        assert bits(f(9.0)) == bits(6.0)
        if k % 2:
            with pytest.raises(RefusedError, match=r"-2\.0 is negative"):
                f(-2.0)


def test_an_error_in_a_row_at_the_first_call(row, bench):
    def strict(x):
        if x < 0:
            raise RefusedError
        return math.sqrt(x)

    root = row("strict_root", strict, lambda x, y: 0.5 / y)
    f = jit(lambda x: root(x), backend="native")
    for _ in range(3):
        with pytest.raises(RefusedError):
            f(-1.0)
        assert f(4.0) == 2.0


def test_an_error_in_a_row_is_its_own_thread_s(row):
    """One thread's row has failed, another thread's call ends before it: neither loses by it."""
    failed, ended = threading.Event(), threading.Event()

    def fussy(x):
        if x < 0:
            failed.set()
            raise RefusedError
        return float(int(x))

    def wait(x):
        if failed.is_set():
            ended.wait(20)
        return float(int(x))

    first = row("fussy_", fussy, None)
    second = row("waiting_", wait, None)
    other = row("other_", lambda x: float(int(x)), None)
    f = jit(lambda x: first(x) + second(abs(x)), backend="native")
    g = jit(lambda x: other(x) * 2, backend="native")
    for _ in range(6):
        assert (f(2.0), g(2.0), f(2), g(2)) == (4.0,) * 4  # by all ways that there are
    found = []

    def failing():
        try:
            found.append(f(-1.0))
        except RefusedError as error:
            found.append(error)

    thread = threading.Thread(target=failing)
    thread.start()
    assert failed.wait(20)
    assert g(3.0) == 6.0
    ended.set()
    thread.join()
    assert [type(x) for x in found] == [RefusedError]


def test_a_row_that_calls_compiled_code(row, bench):
    """Machine code within Python within machine code."""
    inner = jit(lambda x: x * 2 if x > 0 else -x, backend="native")
    deep = row("deep_", lambda x: inner(float(int(x))), None)
    f = jit(lambda x: deep(x) + 1, backend="native")
    for _ in range(3):
        assert (f(3.5), f(-3.5)) == (7.0, 4.0)
        bench.finish()


@pytest.mark.parametrize("batched", [False, True])
def test_a_row_that_calls_itself_by_way_of_machine_code(row, batched, monkeypatch):
    """However deep: the right number, or an error where Python's stack ends."""

    def value(x):
        return x if x <= 0 else float(f(x - 1)) + x

    deep = row("deep_", value, None)
    inner = jit(lambda x: deep(x), backend="native")
    if batched:
        many = vmap(lambda x: deep(x))
        f = lambda x: many(np.array([x, 0.0]))[0]  # noqa: E731
        f(0.0)
        many.ready()
    else:
        f = inner
        f(0.0)
        f.ready()
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # of ctypes, at the end
    limit = sys.getrecursionlimit()
    found = []
    for n in (3, 30, *range(limit // 10, limit + 200, 7)):
        try:
            assert f(float(n)) == n * (n + 1) / 2
            found.append("right")
        except RecursionError:
            found.append("refused")
    assert found[:2] == ["right", "right"]
    assert found[-1] == "refused"
    assert f(3.0) == 6.0


@pytest.mark.parametrize("batched", [False, True])
def test_a_row_that_takes_an_array_out_of_its_list(row, batched):
    """An array lives as long as numbers are read where they stand in it."""
    holder, alive = [], []

    def value(x):
        if holder:
            array = weakref.ref(holder.pop())
            alive.append(array() is not None)
        return float(int(x))

    taking = row("taking_", value, None)
    f = (
        vmap(lambda xs: taking(xs[0]) + xs[0])
        if batched
        else jit(lambda xs: taking(xs[0][0]) + xs[0][1], backend="native")
    )
    for k in range(4):
        assert f([np.full(40, 2.0)]) == pytest.approx(4.0)
        assert f.ready()
        if k == 2:
            before = blocks()
    for _ in range(100):
        holder.append(np.full(40, 2.0))
        assert f(holder) == pytest.approx(4.0)
    assert alive == [True] * 100
    assert blocks() - before < 50


def test_a_row_interrupted_by_the_user(row):
    """Ctrl-C in a row that Python computes is not lost."""
    armed = []

    def value(x):
        if armed:
            armed.pop()
            raise KeyboardInterrupt
        return float(int(x))

    row = row("interrupted_", value, None)
    f = jit(lambda x: row(x) + 1, backend="native")
    for _ in range(6):
        assert f(2.0) == 3.0
    armed.append(True)
    with pytest.raises(KeyboardInterrupt):
        f(2.0)
    assert f(2.0) == 3.0


# --- tiers --------------------------------------------------------------------------------


def test_the_first_tier_answers_and_the_second_takes_its_place(bench):
    f = jit(lambda x: m.sin(x) + 1 if x > 0 else x, backend="native")
    assert (f(1.0), f(-1.0)) == (math.sin(1.0) + 1, -1.0)
    before = f.shortcut
    assert not f.ready(0)
    assert len(bench.jobs) == 2  # one for each path
    bench.finish()
    assert f.ready(0)
    assert f.ready()
    assert f.shortcut is not before
    assert (f(1.0), f(-1.0)) == (math.sin(1.0) + 1, -1.0)


def test_paths_may_be_swapped_in_any_order():
    """Whichever path's second tier is there first, each leads to the right one."""

    def f(x):
        for k in range(4):
            if x < k:
                return x * k
        return m.exp(x)

    points = [-0.5, 0.5, 1.5, 2.5, 3.5]
    for order in ([0] * 5, [-1] * 5, [2, 0, -1, 0, 0]):
        with at_the_bench() as bench:
            compiled = jit(f, backend="native")
            for x in points:
                assert bits(compiled(x)) == bits(f(x))
            for k in order:
                bench.jobs.pop(k)()
                assert [bits(compiled(x)) for x in points] == [bits(f(x)) for x in points]
            bench.finish()
            assert compiled.ready(0)


def test_compiling_that_the_user_interrupts(monkeypatch):
    """Answers come all the same, and nobody waits for ever."""

    def interrupted(*_):
        monkeypatch.undo()
        raise KeyboardInterrupt

    f = jit(lambda x: x * 2 if x > 0 else x / 3, backend="native")
    monkeypatch.setattr(native, "compiled", interrupted)
    with pytest.raises(KeyboardInterrupt):
        f(1.0)
    for _ in range(5):
        assert (f(1.0), f(-3.0)) == (2.0, -1.0)
    assert f.ready(60)


def test_asking_for_machine_code_that_the_user_interrupts(monkeypatch):
    def interrupted(job):
        monkeypatch.undo()
        raise KeyboardInterrupt

    f = jit(lambda x: x * 2 if x > 0 else x / 3)
    monkeypatch.setattr(native.worker, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        [f(1.0) for _ in range(100)]
    assert [f(1.0), f(-3.0)] * 10 == [2.0, -1.0] * 10
    assert f.ready(60)
    assert type(f.shortcut) is BuiltinFunctionType


def test_new_paths_and_structures_after_the_second_tier(bench):
    f = jit(lambda x: x * 2 if x > 0 else x / 3, backend="native")
    assert f(1.0) == 2.0
    bench.finish()
    assert f(-3.0) == -1.0
    assert bits(f(np.array(3.0))) == bits(np.asarray(6.0)) or f(np.array(3.0)) == 6.0
    bench.finish()
    assert (f(2.0), f(-6.0)) == (4.0, -2.0)


def test_ready_waits_for_the_background():
    f = jit(lambda x: m.exp(x) * x, backend="native")
    assert f(0.5) == math.exp(0.5) * 0.5
    assert f.ready(60)
    assert f.ready()
    assert f(0.5) == math.exp(0.5) * 0.5


class BrokenError(Exception):
    """What the compiler raises."""


@pytest.mark.parametrize("where", ["compiled", "Library"])
def test_optimising_that_fails_stops_nothing(where, monkeypatch):
    """The first tier goes on, ready() comes back, and others are optimised all the same."""
    failing, original = [], getattr(native, where)

    def broken(*args):
        # the background's calls alone: the first tier is made on this thread
        if threading.current_thread() is not threading.main_thread() and not failing:
            failing.append(args)
            raise BrokenError("no such instruction")
        return original(*args)

    with monkeypatch.context() as patch, warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        patch.setattr(native, where, broken)
        f = jit(lambda x: x * 2 if x > 0 else -x, backend="native")
        assert f(1.0) == 2.0
        assert f.ready(20)
        assert failing
        assert (f(3.0), f(-1.0)) == (6.0, 1.0)
        g = jit(lambda x: x + 5, backend="native")
        assert g(1.0) == 6.0
        before = g.shortcut
        assert g.ready(20)
        assert g(2.0) == 7.0
    assert g.shortcut is before or g(3.0) == 8.0


def test_ready_before_any_call():
    assert jit(lambda x: x, backend="native").ready(0)
    assert jit(lambda x: x, backend="source").ready(0)


# --- lifetime -----------------------------------------------------------------------------


def code_of(f):
    """Everything of a function's machine code that can be referred to weakly."""
    codes = [
        code for family in f.families.values() for path in family.paths for code in path.codes()
    ]
    assert codes
    return [weakref.ref(x) for code in codes for x in (code, code.library)]


def test_functions_and_their_code_are_freed():
    def made(finish):
        with at_the_bench() as bench:
            f = jit(lambda x, y: x * y if x > y else y, backend="native")
            for xs in [(1.0, 2.0), (2.0, 1.0), (1, 2)]:
                f(*xs)
            if finish:
                bench.finish()
            own = [x for x in (f, type(f), f.__wrapped__) if x is not Jitted]
            return [*map(weakref.ref, own), *code_of(f)]

    for finish in (False, True):
        references = made(finish)
        gc.collect()
        assert [x() for x in references] == [None] * len(references)


def test_the_first_tier_s_code_is_freed_when_the_second_is_there(bench):
    f = jit(lambda x: x + 1 if x > 0 else x - 1, backend="native")
    f(1.0), f(-1.0)
    first = [x for x in code_of(f) if type(x()).__name__ == "Library"]
    bench.finish()
    gc.collect()
    assert [x() for x in first] == [None] * len(first)
    assert (f(1.0), f(-1.0)) == (2.0, -2.0)


def test_the_background_does_not_build_for_nobody(bench):
    built = []
    with pytest.MonkeyPatch.context() as patch:
        f = jit(lambda x: x * 3, backend="native")
        assert f(1.0) == 3.0
        patch.setattr(native, "compiled", lambda *args: built.append(args))
        del f
        gc.collect()
        bench.finish()
    assert built == []


def test_hundreds_of_functions():
    for k in range(300):
        f = jit(lambda x, k=k: x * k + 1 if x > 0 else -x * k, backend="native")
        assert (f(2.0), f(-2.0)) == (2.0 * k + 1, 2.0 * k)
    assert f.ready()
    assert (f(2.0), f(-2.0)) == (2.0 * k + 1, 2.0 * k)


def python(code, **variables):
    """Run a script in an interpreter of its own; what it printed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MINIFLOW_CACHE_DIR": "", **variables}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, env=env, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]
    return done.stdout


LONG = """
    import atexit
    built = []

    @atexit.register  # runs after those that the library registers
    def report():
        print(len(built))

    from miniflow import jit
    from miniflow.native import tiers as native
    original = native.compiled

    def compiled(module, level):
        if level == native.SECOND:
            built.append(module)
        return original(module, level)

    native.compiled = compiled

    def f(x, y):
        for k in range({steps}):
            x, y = x - y * 0.01, y + x * 0.01
        return x

    jitted = jit(f, backend="native")
    assert jitted(0.25, 0.5) == f(0.25, 0.5)
"""


def test_the_interpreter_ends_cleanly_while_code_is_being_compiled():
    """20,000 instructions: it waits for the piece that is being compiled, not for all of them."""
    assert int(python(LONG.format(steps=5000))) <= 2


def test_the_interpreter_ends_cleanly_with_nothing_compiled():
    assert python("import miniflow; print(miniflow.jit(lambda x: x).ready())") == "True\n"


def test_the_interpreter_ends_cleanly_with_compiled_functions_in_use():
    """A function of the module's, called once more by a finalizer at the very end."""
    code = """
    from miniflow import jit

    f = jit(lambda x: x * 2 if x > 0 else -x, backend="native")
    assert (f(1.0), f(-1.0)) == (2.0, 1.0) and f.ready()

    class Late:
        def __del__(self, f=f):
            print(f(2.0), f(-3.0))

    late = Late()
    print(f(4.0))
    """
    assert python(code) == "8.0\n4.0 3.0\n"


FINALIZER = """
    import gc
    from miniflow import jit

    class Late:
        def __init__(self):
            self.me = self

        def __del__(self):
            print(self.f(2.0), self.f(-3.0))

    def garbage(first, ready):
        late = Late() if first else None
        f = jit(lambda x: x * 2 if x > 0 else -x, backend="native")
        f(1.0), f(-1.0)
        if ready:
            f.ready()
        late = late or Late()
        late.f = f

    gc.disable()
    for first in (True, False):
        for ready in (True, False):
            garbage(first, ready)
            gc.collect()
"""


def test_a_finalizer_may_call_what_is_garbage_with_it():
    """Code stays in memory for as long as anything can run it."""
    assert python(FINALIZER) == "4.0 3.0\n" * 4


STACKS = """
    import threading
    from miniflow import jit

    def f(xs):
        for k in range(12):
            if xs[0] < k:
                return xs[1] * k
        return xs[0]

    def first(xs):
        return xs[0] * 2

    paths, structures = jit(f, backend="native"), jit(first, backend="native")
    pad = [1.0] * 3900
    for k in range(12):
        assert paths([k - 0.5, *pad]) == k
        assert structures(pad[k:]) == 2.0

    def call():
        for k in (0, 11):
            print(paths([k - 0.5, *pad]), structures(pad[k:]))

    threading.stack_size(1 << 18)
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
"""


def test_many_paths_and_structures_need_no_deep_stack():
    """Code that leads from one to the next does so on the small stack that threads have."""
    assert python(STACKS) == "0.0 2.0\n11.0 2.0\n"


def test_freed_memory_is_not_looked_at():
    """Where freed memory is overwritten at once, dropping functions still crashes nothing."""
    code = """
    import gc
    from miniflow import jit

    for k in range(40):
        f = jit(lambda x: x + k if x > 0 else x, backend="native")
        assert f(1.0) == 1.0 + k and f(-1.0) == -1.0
        if k % 3 == 0:
            f.ready()
        if k % 5 == 0:
            gc.collect()
    """
    for fill in ("2", "85", "170"):
        python(
            code, PYTHONMALLOC="malloc", MALLOC_PERTURB_=fill,
            GLIBC_TUNABLES="glibc.malloc.tcache_count=0",
        )  # fmt: skip


FORK = """
    import os, sys, time, warnings
    from miniflow import jit

    warnings.simplefilter("ignore", DeprecationWarning)  # of fork, from Python 3.12 on

    def long(x, y):
        for k in range(2500):
            x, y = x - y * 0.01, y + x * 0.01
        return x

    before = jit(lambda x: x * 2 if x > 0 else -x, backend="native")
    assert before(1.0) == 2.0
    busy = jit(long, backend="native")
    y = busy(0.25, 0.5)
    for leave in (sys.exit, os._exit, sys.exit):
        child = os.fork()
        if child == 0:
            after = jit(lambda x: x + 1 if x > 0 else x, backend="native")
            assert before(3.0) == 6.0 and before(-3.0) == 3.0
            assert after(1.0) == 2.0 and after(-1.0) == -1.0
            assert after.ready(15) and after(1.0) == 2.0
            assert busy(0.25, 0.5) == y
            leave(0)
        started = time.monotonic()
        while True:
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                break
            if time.monotonic() > started + 20:
                os.kill(child, 9)
            time.sleep(0.01)
        assert status == 0, status
    assert busy.ready(60) and busy(0.25, 0.5) == y
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_fork_while_code_is_being_compiled():
    """The child has no thread in the background and no lock that nobody will release."""
    python(FORK)
