"""Machine code against the table: every row and random programs, in both tiers, bit for bit.

Terms: see `support.machine_code`.
"""

import itertools
import math
import tracemalloc
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import grad, jit, ops, trace
from miniflow import math as m
from miniflow.native import rows, scalar_wrapper
from miniflow.native.emitter import Target
from miniflow.native.kernel import Access, Kernel
from support.machine_code import CUTS, Cut, assert_same, at_the_bench, bits, cut
from support.random_programs import EDGES, RELATIONS, ROWS, Pair, anything, randoms, sizes, total

WAYS = ("source", "first", "second")
TARGET = Target(1, False, frozenset(), frozenset())


# --- rows ---------------------------------------------------------------------

FEW = [0.0, -0.0, 1.0, -2.5, 0.3, 5e-324, -1e300, 1e-300, 710.0, math.inf, -math.inf, math.nan]


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


def test_a_remainder_of_zero_has_the_sign_of_the_dividend():
    """The C library's may have another one."""
    points = [(6.0, 3.0), (-6.0, 3.0), (6.547718766886839e-277, 5e-324)]
    points += [(-x, y) for x, y in points]
    assert_same(m.remainder, points, [math.copysign(0.0, x) for x, _ in points])


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
        "sub": rows.ROWS["add"],
        "mul": lambda e, a, b: e.intrinsic("fma", a, b, e.number(1e-17)),
        "add": lambda e, a, b: e.binary("fadd", e.binary("fadd", a, e.number(0.0)), b),
    }.items():
        with monkeypatch.context() as patch:
            patch.setitem(rows.ROWS, name, wrong)
            if name == "add":
                points, expected = [(-0.0, -0.0)], [-0.0]
                f = lambda a, b: a + b  # noqa: E731
            with pytest.raises(AssertionError):
                assert_same(f, points, expected)
    assert_same(f, points, expected)


# --- random programs ----------------------------------------------------------


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
    slope = grad(total(program), argnums=tuple(range(program.count)))
    assert_same(slope, points, [slope(*xs) for xs in points], how)


# --- pieces, stretches, the heap ----------------------------------------------


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
    n = scalar_wrapper.STACK + 10

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


def test_a_number_that_is_very_many_outputs():
    """As 0 is where a gradient has many numbers that a function does not use: in linear time."""
    program = trace(lambda x: [*[x * x] * 300_000, x], 0.5)
    kernel = Kernel(program, TARGET, Access((), str, str))
    assert kernel.stores == {program.first: (*range(300_000),), 0: (300_000,)}


MANY = [
    lambda xs: [*xs],
    lambda xs: [*xs[:100], xs[0] * xs[1], *xs[100:], *xs[1:90]],
    lambda xs: [0.5] * 300,
    lambda xs: [xs[3]] * 300,
    lambda xs: [m.tanh(m.sum(xs))] * 300 + [xs[0]] * 70,
    lambda xs: {"a": [*xs[::-1]], "b": ([*xs[:80]], np.array([*xs[:80]]), [1.0] * 70)},
    lambda xs: [x * 2.0 if k % 3 else x for k, x in enumerate(xs)] + [*xs],
    grad(lambda xs: xs[0] * xs[1]),
    grad(lambda xs: m.tanh(m.sum(xs))),
    grad(lambda xs: m.tanh(m.sum(xs[50:])) + xs[3] ** 2),
    lambda xs: [xs[0], *[1.0 if xs[1] < 0.5 else xs[2]] * 100, *xs],
]


@pytest.mark.parametrize("f", MANY)
@pytest.mark.parametrize("make", [list, np.array])
def test_many_outputs_that_are_inputs_or_one_number(f, make):
    """They are stored by loops: LLVM would take longer than linear time for them."""
    xs = [math.sin(k) for k in range(200)]
    compiled, replayed = jit(f, backend="native"), jit(f, backend="tape")
    for point in (xs, xs[::-1]):
        given = make(point)
        assert bits(nested(compiled(given))) == bits(nested(replayed(given)))
        compiled.ready()
        assert bits(nested(compiled(given))) == bits(nested(replayed(given)))


def nested(tree):
    """Arrays as lists."""
    if isinstance(tree, dict):
        return [*map(nested, tree.values())]
    if isinstance(tree, (list, tuple)):
        return [*map(nested, tree)]
    return tree.tolist() if isinstance(tree, np.ndarray) else tree


def test_code_of_many_outputs_is_short():
    for f in (lambda xs: [*xs], lambda xs: [0.5] * len(xs), grad(lambda xs: m.tanh(m.sum(xs)))):
        sizes_of = []
        for n in (1000, 2000):
            program = trace(f, [0.5] * n)
            modules = scalar_wrapper.ScalarWrapper(program, TARGET).modules()
            sizes_of.append(sum(len(x.text) for x in modules))
        assert sizes_of[1] < 1.2 * sizes_of[0]
