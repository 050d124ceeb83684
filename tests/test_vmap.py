"""`vmap` against its function, called on one element after another.

Terms:
    eager   f called with Values: the plain numbers of what it returns
    alike   the same bit for bit, where any NaN is like any other
    exact   vmap(..., precise=True), which must be alike with eager
"""

import functools
import gc
import importlib
import itertools
import math
import operator
import os
import subprocess
import sys
import threading
import tracemalloc
import warnings
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_program import applied
from test_threads import run_all

import miniflow.math as m
from miniflow import Value, grad, hessian, hvp, jit, jvp, no_grad, ops, value_and_grad, vmap
from miniflow.compiled import vmap as batch
from miniflow.native import batch as loops
from miniflow.native import kernel as emit
from miniflow.native import tiers as native
from miniflow.native import vector_math as lanes
from miniflow.ops import TABLE
from miniflow.program.expand import decomposition, expanded

paths = importlib.import_module("miniflow.compiled.jit")  # miniflow.jit is the function

exact = functools.partial(vmap, precise=True)
most = settings().max_examples
few, some = settings(max_examples=most // 8), settings(max_examples=most // 3)

inf, nan = math.inf, math.nan
SPECIAL = [
    *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 2.5, 3.0, -3.0, inf, -inf, nan, 5e-324, -5e-324),
    *(1e-310, 2.0**-1022, -1e-300, 1e-8, 1e16, 1e22, 1e308, -1e308, 709.0, 710.0, -745.0, -746.0),
    *(math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0), math.pi, -math.pi / 2),
]
SIZES = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 100]
LARGE = [8191, 8192, 8193, 20000]

numbers = st.sampled_from(SPECIAL) | st.floats(-4, 4) | st.floats()


def settle():
    """Wait until nothing is compiled any more."""
    idle = threading.Event()
    native.worker.put(idle.set)
    assert idle.wait(60)


@pytest.fixture(autouse=True, scope="module")
def no_files():
    """Nothing comes from files or is left in them, not even by what compiles to the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIFLOW_CACHE_DIR", "")
        yield
        settle()


# --- what is compared ---------------------------------------------------------


def number(x):
    return float(x.data) if isinstance(x, Value) else float(x)


def eager(f, *columns):
    """The numbers that f returns for one element after another."""
    return [number(f(*map(Value, row))) for row in zip(*columns, strict=True)]


def rows(f, *columns):
    """The same for a function that returns several numbers: a row for each."""
    found = [[*map(number, f(*map(Value, row)))] for row in zip(*columns, strict=True)]
    return [*map(list, zip(*found, strict=True))]


def assert_alike(got, expected):
    got, expected = np.asarray(got), np.asarray(expected, dtype=float)
    assert (got.dtype, got.shape) == (float, expected.shape)
    same = got == expected
    same &= np.signbit(got) == np.signbit(expected)
    same |= np.isnan(got) & np.isnan(expected)
    wrong = np.argwhere(~same)
    assert not len(wrong), (wrong[0], got[*wrong[0]].item(), expected[*wrong[0]].item())


def assert_near(got, expected, ulps, scale=None):
    """Within so many units in the last place (of the scales, if given); special cases alike."""
    assert (type(got), got.shape) == (np.ndarray, (len(expected),))
    for k, (x, y) in enumerate(zip(got.tolist(), expected, strict=True)):
        if x == y or not (math.isfinite(x) and math.isfinite(y)):
            assert_alike(x, y)
        else:
            unit = math.ulp(y if scale is None else max(abs(y), scale[k]))
            assert abs(x - y) <= ulps * unit, (k, x, y, abs(x - y) / unit)


def assert_close(got, expected, sizes=None):
    """Equal to 1e-12 of the sizes of what adds up to them."""
    got, expected = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    assert got.shape == expected.shape
    sizes = abs(expected) if sizes is None else np.asarray(sizes)
    assert (abs(got - expected) <= 1e-12 * sizes).all(), (got, expected)


def scattered(n, columns=1, seed=0):
    """Columns of ordinary numbers of different sizes and signs."""
    rng = np.random.default_rng(seed)
    shape = columns, n
    return [*(rng.normal(size=shape) * 10.0 ** rng.integers(-3, 3, size=shape))]


# --- every row ----------------------------------------------------------------

ROWS = list(TABLE)


def arity(name):
    return TABLE[name].arity if TABLE[name].arity > 0 else 4


def specials(name):
    """Columns of special numbers: all pairs, some of the longer combinations."""
    n = arity(name)
    stride = {1: 1, 2: 1, 3: 7, 4: 1999}[n]
    found = [*itertools.islice(itertools.product(SPECIAL, repeat=n), 0, None, stride)]
    return [np.array(column) for column in zip(*found, strict=True)]


def spread(name):
    """Columns of numbers of ordinary and of all other sizes."""
    rng = np.random.default_rng(1)
    n = arity(name)
    bits = rng.integers(0, 2**64, size=(n, 300), dtype=np.uint64)
    parts = [bits.view(float), rng.normal(size=(n, 200)), rng.normal(size=(n, 100)) * 400]
    return [*np.concatenate(parts, axis=1)]


def values(name, columns):
    return [TABLE[name].value(*xs) for xs in zip(*[x.tolist() for x in columns], strict=True)]


def mapped(name, **options):
    return vmap(lambda *xs: TABLE[name](*xs), **options)


@functools.cache
def optimised(name):
    """The row exactly and fast, both already optimised."""
    columns = [np.ones(9)] * arity(name)
    found = mapped(name, precise=True), mapped(name)
    for f in found:
        f(*columns)
        assert f.ready()
    return found


def vectored(name):
    """The functions of several lanes that a row is made of."""
    known, fast = emit.ROWS.keys() | native.inline(), native.vectors() | native.inline()
    if name in known:
        return {name} & fast
    inner = decomposition(TABLE[name])
    if inner is None:
        return set()
    return {x.op.name for x in expanded(inner, known).instructions} & fast


def check_fast(name, f, columns):
    """Arithmetic alike, a vector function within 4 ulp, what is made of some within 8."""
    expected = values(name, columns)
    if name == "logaddexp":  # its terms may cancel
        sizes = [*map(float, np.fmax(abs(columns[0]), abs(columns[1])))]
        assert_near(f(*columns), expected, 8, [x if math.isfinite(x) else 0.0 for x in sizes])
    elif vectored(name):
        assert_near(f(*columns), expected, 4 if vectored(name) == {name} else 8)
    else:
        assert_alike(f(*columns), expected)


def check_sizes(check, columns):
    """Batches of all sizes, that begin at different numbers."""
    for n in (*SIZES, len(columns[0])):
        check([x[n : 2 * n] if 2 * n < len(x) else x[:n] for x in columns])


@pytest.mark.parametrize("name", ROWS)
def test_rows_exactly(name):
    f, columns = optimised(name)[0], specials(name)
    check_sizes(lambda xs: assert_alike(f(*xs), values(name, xs)), columns)
    assert_alike(f(*spread(name)), values(name, spread(name)))


@pytest.mark.parametrize("name", ROWS)
def test_rows_fast(name):
    f = optimised(name)[1]
    check_sizes(lambda xs: check_fast(name, f, xs), specials(name))
    check_fast(name, f, spread(name))


@pytest.mark.parametrize("name", ROWS)
def test_rows_before_they_are_optimised(name, monkeypatch):
    monkeypatch.setattr(native.worker, "put", lambda job: None)
    f, fast, columns = mapped(name, precise=True), mapped(name), specials(name)
    check_sizes(lambda xs: assert_alike(f(*xs), values(name, xs)), columns)
    check_fast(name, fast, columns)
    assert not f.ready(0)
    assert not fast.ready(0)


@pytest.mark.parametrize("name", ROWS)
@few
@given(data=st.data())
def test_rows_on_any_numbers(name, data):
    f, fast = optimised(name)
    points = data.draw(st.lists(st.tuples(*[numbers] * arity(name)), min_size=1, max_size=20))
    columns = [np.array(column) for column in zip(*points, strict=True)]
    assert_alike(f(*columns), values(name, columns))
    check_fast(name, fast, columns)


@pytest.mark.parametrize("n", LARGE)
@pytest.mark.parametrize("name", ["mul", "less", "exp", "pow", "gelu", "gamma"])
def test_rows_over_large_batches(name, n):
    f, fast = optimised(name)
    columns = [np.resize(np.append(x, spread(name)[k]), n) for k, x in enumerate(specials(name))]
    assert_alike(f(*columns), values(name, columns))
    check_fast(name, fast, columns)


def test_rows_of_a_number_that_all_elements_have():
    for name in ("sub", "pow", "maximum", "atan2", "remainder"):
        f = exact(TABLE[name], in_axes=(0, None))
        back = exact(TABLE[name], in_axes=(None, 0))
        xs = np.array(SPECIAL)
        for y in SPECIAL:
            ys = np.full(len(xs), y)
            assert_alike(f(xs, y), values(name, [xs, ys]))
            assert_alike(back(y, xs), values(name, [ys, xs]))


@pytest.mark.parametrize("value", [lambda x: x / (1.0 + abs(x)), lambda x: math.ldexp(x, -3)])
def test_a_new_row(row, value):
    op = row("own", value, None)
    xs = np.array([x for x in SPECIAL if math.isfinite(x)])
    assert_alike(exact(lambda x: op(x) + 1.0)(xs), [value(x) + 1.0 for x in xs.tolist()])


def test_a_row_that_raises_is_heard(row):
    op = row("own", lambda x: math.ldexp(math.sqrt(x), 1), None)
    f = vmap(lambda x: op(x))
    assert_alike(f(np.array([1.0, 4.0])), [2.0, 4.0])
    with pytest.raises(ValueError, match="math domain error"):
        f(np.array([1.0, 4.0, -1.0]))
    assert_alike(f(np.array([4.0, 1.0])), [4.0, 2.0])


def test_products_and_sums_may_be_fused():
    xs, ys, zs = scattered(1000, 3)
    zs = -xs * ys * (1 + 1e-15 * zs)  # they cancel: rounding twice shows
    fused, apart = [vmap(lambda x, y, z: x * y + z, fma=fma) for fma in (True, False)]
    points = [*zip(xs.tolist(), ys.tolist(), zs.tolist(), strict=True)]
    plain = [x * y + z for x, y, z in points]
    once = [ops.fma(x, y, z) for x, y, z in points]
    fused(xs, ys, zs)
    fused.ready()
    got = fused(xs, ys, zs).tolist()
    assert all(x in pair for x, *pair in zip(got, plain, once, strict=True))
    assert_alike(apart(xs, ys, zs), plain)


# --- wrong lanes are found out ------------------------------------------------


def last_lane_zero(emitted):
    """What a row emits, with a lane that is always 0."""

    def wrong(e, *xs):
        y = emitted(e, *xs)
        if e.lanes == 1:
            return y
        return e(f"insertelement {e.type} {y}, double 0.0, i32 {e.lanes - 1}")

    return wrong


@pytest.mark.parametrize("name", ["mul", "exp", "less", "pow"])
def test_a_wrong_lane_is_found_out(name, monkeypatch):
    columns = [np.full(16, 0.75), np.full(16, 2.5)][: arity(name)]
    for rows in (emit.ROWS, lanes.FUNCTIONS):
        if name in rows:
            monkeypatch.setitem(rows, name, last_lane_zero(rows[name]))
    f, fast = mapped(name, precise=True), mapped(name)
    assert_alike(f(*columns)[:1], values(name, columns)[:1])
    with pytest.raises(AssertionError):
        assert_alike(f(*columns), values(name, columns))
    with pytest.raises(AssertionError):
        check_fast(name, fast, columns)


def test_a_wrong_function_is_found_out(monkeypatch):
    monkeypatch.setitem(emit.ROWS, "sin", emit.ROWS["tanh"])
    with pytest.raises(AssertionError):
        check_fast("sin", mapped("sin"), [np.array([1e-3, 0.5])])


def test_a_guard_that_is_not_checked_is_found_out(monkeypatch):
    monkeypatch.setitem(emit.CONDITIONS, "<", "ule")
    xs, f = [1.0, 0.0, 2.0], lambda x: x if x > 0 else x - 1.0
    with pytest.raises(AssertionError):
        assert_alike(exact(f)(np.array(xs)), eager(f, xs))


def test_what_is_near_is_told_from_what_is_not():
    y = math.exp(1.0)
    assert_near(np.array([y + 4 * math.ulp(y)]), [y], 4)
    for wrong in (y + 5 * math.ulp(y), nan, inf):
        with pytest.raises(AssertionError):
            assert_near(np.array([wrong]), [y], 4)
    for special in (0.0, inf, nan):
        with pytest.raises(AssertionError):
            assert_near(np.array([-0.0]), [special], 4)


# --- random programs ----------------------------------------------------------

RELATIONS = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "truth": lambda a, b: bool(a),
}


class Step(NamedTuple):
    """A row, or a branch, of some nodes (by their numbers) and literals."""

    name: str
    operands: tuple


@st.composite
def programs(draw, longest=16, branches=4):
    """The number of inputs, and steps."""
    inputs = draw(st.integers(1, 3))
    names = draw(st.lists(st.sampled_from(ROWS), min_size=1, max_size=longest))
    names += draw(st.lists(st.sampled_from([*RELATIONS]), max_size=branches))
    names = draw(st.permutations(names))
    steps = []
    for count, name in enumerate(names, inputs):
        node = st.integers(max(0, count - 4), count - 1) | st.integers(0, count - 1)
        size = 4 if name in RELATIONS else arity(name)
        others = st.lists(node | numbers, min_size=size - 1, max_size=size - 1)
        steps.append(Step(name, (draw(node), *draw(others))))
    return inputs, steps


def computed(steps, xs):
    """All nodes of a program."""
    nodes = list(xs)
    for name, operands in steps:
        a, *others = [nodes[x] if isinstance(x, int) else x for x in operands]
        if name in RELATIONS:
            b, c, d = others
            nodes.append(c * a if RELATIONS[name](a, b) else m.tanh(d) - b)
        else:
            nodes.append(applied(name, [a, *others]))
    return nodes


@st.composite
def batches(draw, inputs):
    """Columns in which few or many elements, far from and close to each other, are alike."""
    points = draw(st.lists(st.tuples(*[numbers] * inputs), min_size=1, max_size=12))
    points = points * draw(st.sampled_from([1, 2, 7]))
    return [list(column) for column in zip(*points, strict=True)]


@some
@given(programs(), st.data())
def test_random_programs(program, data):
    inputs, steps = program
    f = lambda *xs: computed(steps, xs)[-3:]  # noqa: E731
    g = exact(f)
    for k in range(2):
        columns = data.draw(batches(inputs))
        found = g(*map(np.array, columns))
        for got, expected in zip(found, rows(f, *columns), strict=True):
            assert_alike(got, expected)
        if not k and data.draw(st.booleans()):
            assert g.ready()


@few
@given(programs(12, 0), st.data())
def test_sums_of_random_programs(program, data):
    """Of numbers that run along the batch and of numbers that all elements have."""
    inputs, steps = program
    columns = data.draw(batches(inputs))
    n = len(columns[0])
    axes = [0, *data.draw(st.lists(st.sampled_from([0, None]), min_size=2, max_size=2))][:inputs]
    f = lambda *xs: computed(steps, xs)[-1]  # noqa: E731
    args = [x[0] if axis is None else np.array(x) for x, axis in zip(columns, axes, strict=True)]
    same = [x if isinstance(x, np.ndarray) else [x] * n for x in args]
    expected = eager(f, *[list(map(float, x)) for x in same])
    for reduce in (None, "sum", "mean"):
        g = exact(f, axes, reduce)
        for _ in range(2):
            assert_alike(g(*args), reduced(expected, reduce))


@few
@given(programs(10, 2), st.data())
def test_gradients_of_random_programs(program, data):
    inputs, steps = program
    f = lambda *xs: computed(steps, xs)[-1] * 3.0 + xs[0]  # noqa: E731
    slopes = grad(f, range(inputs))
    columns = data.draw(batches(inputs))
    found = exact(slopes)(*map(np.array, columns))
    expected = [slopes(*xs) for xs in zip(*columns, strict=True)]
    for got, column in zip(found, zip(*expected, strict=True), strict=True):
        assert_alike(got, column)


@few
@given(programs(10, 2), st.data())
def test_threads_change_no_random_program(program, data):
    inputs, steps = program
    f = lambda *xs: computed(steps, xs)[-1]  # noqa: E731
    columns = data.draw(batches(inputs))
    columns = [np.resize(np.array(x), 8192 + 17) for x in columns]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_alike(exact(f, threads=2)(*columns), exact(f, threads=1)(*columns))


def test_a_program_of_several_pieces():
    def f(x, y):
        found = x
        for k in range(1000):
            found = found * 1.25 - m.where(found - k, y, x)
            if k % 300 == 50 and found > 0:
                found = m.sin(found)
            found = m.maximum(m.minimum(found, 50.0), -50.0) if k % 50 == 0 else found
        return found, y

    assert emit.PIECE < 4 * 1000
    xs, ys = scattered(37, 2)
    for got, expected in zip(exact(f)(xs, ys), rows(f, xs.tolist(), ys.tolist()), strict=True):
        assert_alike(got, expected)


@pytest.mark.parametrize("reduce", [None, "sum"])
def test_several_pieces_of_what_all_elements_have_in_common(reduce):
    def f(x, a):
        common = a
        for k in range(1000):
            common = common * 1.0625 - k / (1.0 + common * common)
        return x * common if x > a else -common

    assert emit.PIECE < 3 * 1000
    xs = np.arange(11.0)
    expected = [f(x, 0.5) for x in xs.tolist()]
    got = vmap(f, in_axes=(0, None), reduce=reduce)(xs, 0.5)
    if reduce is None:
        assert_alike(got, expected)
    else:
        assert_close(got, sum(expected))


# --- branches -----------------------------------------------------------------


def check(f, *columns):
    """A function of numbers, exactly, on batches of several sizes, twice."""
    g = exact(f)
    columns = [*map(list, columns)]
    for n in (len(columns[0]), 5, len(columns[0])):
        part = [x[:n] for x in columns]
        assert_alike(g(*map(np.array, part)), eager(f, *part))
    return g


def test_two_paths():
    xs = scattered(500)[0].tolist()
    for order in (xs, sorted(xs), sorted(xs)[::-1], [-abs(x) for x in xs] + [1.0]):
        check(lambda x: m.exp(-x) if x > 0 else x * x, order)


def test_each_lane_may_leave():
    f = lambda x: m.sqrt(x) if x >= 0 else x - 1.0  # noqa: E731
    g = exact(f)
    for n in (8, 16, 19, 33):
        for k in range(n):
            xs = [float(i) for i in range(n)]
            xs[k] = -1.5
            assert_alike(g(np.array(xs)), eager(f, xs))


def test_many_paths_in_one_batch():
    def f(x):
        for k in range(60):
            if x < k:
                return x * k - 1.0
        return x

    xs = [float(k * 37 % 60) - 0.5 for k in range(900)]
    g = check(f, xs)
    (family,) = g.families.values()
    assert len(family.paths) == 60


def test_the_first_element_alone_takes_its_path():
    check(lambda x: x * 3.0 if x == 1.0 else m.exp(x), [1.0, *scattered(50)[0].tolist()])


def test_all_elements_leave_the_first_path():
    g = exact(lambda x: x if x > 0 else m.cos(x))
    assert_alike(g(np.array([1.0])), [1.0])
    xs = [-1.0 * k for k in range(100)]
    assert_alike(g(np.array(xs)), [math.cos(x) for x in xs])


def test_guards_of_numbers_that_all_elements_have():
    f = lambda x, a: x * a if a > 0 else x - a if a < -1 else x * x  # noqa: E731
    g, xs = exact(f, in_axes=(0, None)), scattered(50)[0]
    for a in (1.0, -2.0, -0.5, 3.0, nan, 0.0, -2.0):
        assert_alike(g(xs, a), eager(f, xs.tolist(), [a] * 50))


def test_guards_that_mix_both():
    f = lambda x, a: x + a if x > a else x * a  # noqa: E731
    g, xs = exact(f, in_axes=(0, None)), scattered(50)[0]
    for a in (0.0, 1.0, inf, -inf, nan):
        assert_alike(g(xs, a), eager(f, xs.tolist(), [a] * 50))


def test_nan_takes_the_path_that_it_takes():
    f = lambda x: x if x < 1 else -x if x >= 1 else 7.0  # noqa: E731
    check(f, [*SPECIAL, *[nan] * 20, 1.0])


def test_loops_bounded_by_data():
    def halvings(x):
        count = 0.0
        while abs(x) > 1:
            x = x / 2
            count += 1.0
        return x + count

    check(halvings, scattered(300)[0].tolist())


def test_newton_until_it_stands_still():
    def root(x):
        y = x
        for _ in range(50):
            new = (y + x / y) / 2
            if abs(new - y) <= 1e-15 * abs(y):
                break
            y = new
        return y

    check(root, [abs(x) for x in scattered(200)[0].tolist()])


@pytest.fixture
def limit(monkeypatch):
    """A function that sets how many paths a function may have."""
    return lambda n: monkeypatch.setattr(paths, "LIMIT", n)


def stairs(x):
    for k in range(40):
        if x < k:
            return m.exp(x) * k
    return x * 0.5


def test_too_many_paths(limit):
    limit(5)
    xs = [k * 17 % 41 - 0.25 for k in range(200)]
    g = exact(stairs)
    with pytest.warns(RuntimeWarning, match="stairs takes more than 5 paths"):
        assert_alike(g(np.array(xs)), eager(stairs, xs))
    assert_alike(g(np.array(xs)), eager(stairs, xs))  # said once
    (family,) = g.families.values()
    assert len(family.paths) == 5
    assert_alike(g(np.array([0.75, 35.5])), eager(stairs, [0.75, 35.5]))


def test_too_many_paths_to_add_up(limit):
    limit(3)
    xs = [k * 17 % 41 - 0.25 for k in range(50)]
    with pytest.warns(RuntimeWarning, match="more than 3 paths"):
        total = exact(stairs, reduce="sum")(np.array(xs))
    assert_close(total, math.fsum(eager(stairs, xs)))


def test_too_many_paths_to_differentiate(limit):
    limit(2)
    g = vmap(lambda x, w: stairs(x) * w, in_axes=(0, None), reduce="sum")
    with (
        pytest.warns(RuntimeWarning, match="more than 2 paths"),
        pytest.raises(RuntimeError, match=r"too many paths.*where"),
    ):
        grad(lambda w: g(np.arange(9.0) - 0.5, w))(1.0)


def test_too_many_paths_and_no_elements(limit):
    limit(1)
    g = exact(lambda x: m.exp(x) if x > 5 else m.log(x))
    with pytest.warns(RuntimeWarning, match="more than 1 paths"):
        g(np.array([6.0, 1.0]))
    assert_alike(g(np.zeros(0)), [])


@pytest.mark.parametrize(
    "f", [lambda x: 1 / x if x < 1 else x, lambda x: x**0.5 if x < 1 else x, lambda x: x / 0.0]
)
def test_too_many_paths_change_no_special_case(limit, f):
    """What is computed without a path is IEEE's answer, too."""
    limit(1)
    xs = [2.0, 0.0, -1.0, -0.0, 0.25]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert_alike(exact(f)(np.array(xs)), eager(f, xs))


# --- axes ---------------------------------------------------------------------

XS, YS = np.arange(5.0) - 2.0, np.linspace(1.0, 3.0, 5)


@pytest.mark.parametrize(
    ("axis", "move"), [(0, lambda a: a), (1, np.transpose), (-1, np.transpose), (-2, lambda a: a)]
)
def test_axes(axis, move):
    a = np.arange(15.0).reshape(5, 3) ** 1.5
    f = lambda v: v[0] * v[1] - v[2]  # noqa: E731
    assert_alike(exact(f, in_axes=axis)(move(a)), [f(v) for v in a])


def test_axes_of_matrices():
    a = np.arange(60.0).reshape(3, 4, 5) ** 1.5
    for axis in (0, 1, 2, -1, -2, -3):
        elements = np.moveaxis(a, axis, 0)
        got = exact(lambda v: v * 2.0 + v[0], in_axes=axis)(a)
        assert_alike(got, [v * 2.0 + v[0] for v in elements])


AXES = {
    "one for all": (0, lambda x, y: x * y, (XS, YS)),
    "one each": ((0, 0), lambda x, y: x * y, (XS, YS)),
    "a list": ([0, -1], lambda x, y: x * y, (XS, YS)),
    "uniform": ((0, None), lambda x, y: x * y, (XS, 1.5)),
    "uniform first": ((None, 0), lambda x, y: x * y, (1.5, YS)),
    "uniform array": (
        (0, None),
        lambda x, v: x * v[0] - v[1],
        (XS, np.array([1.5, 2.5])),
    ),
    "uniform structure": (
        (0, None),
        lambda x, p: x * p["a"] + p["b"][1] * p["c"][0][1],
        (XS, {"a": 2, "b": [0.5, 1.5], "c": (np.array([1.0, 2.0]), None)}),
    ),
    "tuple in one": (0, lambda t: t[0] * t[1], ((XS, YS),)),
    "tuple of axes": (((0, None),), lambda t: t[0] * t[1], ((XS, 1.5),)),
    "list of axes": (([None, 0],), lambda t: t[0] * t[1], ([1.5, YS],)),
    "dict in one": (0, lambda d: d["x"] * d["y"], ({"x": XS, "y": YS},)),
    "dict of axes": (
        ({"y": None, "x": 0},),
        lambda d: d["x"] * d["y"],
        ({"x": XS, "y": 1.5},),
    ),
    "nested": (
        ([{"a": (0, None), "b": None}, 0], None),
        lambda t, z: t[0]["a"][0] * t[0]["a"][1] + t[0]["b"][0] * t[1] - z,
        ([{"a": (XS, 2.0), "b": [3.0]}, YS], 0.25),
    ),
    "settings": (
        (0, 0, None),
        lambda x, how, flag: x if how == "plain" and flag else -x,
        (XS, "plain", True),
    ),
}


def elements(tree, axis, i):
    """Element i of arguments."""
    if axis is None:
        return tree
    if isinstance(tree, dict):
        return {k: elements(x, axis[k] if axis else 0, i) for k, x in tree.items()}
    if isinstance(tree, (list, tuple)):
        axes = axis or [0] * len(tree)
        return type(tree)(elements(x, a, i) for x, a in zip(tree, axes, strict=True))
    return float(tree[i]) if isinstance(tree, np.ndarray) else tree


@pytest.mark.parametrize("what", AXES)
def test_axes_of_structures(what):
    axes, f, args = AXES[what]
    expected = [f(*elements(tuple(args), axes, i)) for i in range(5)]
    g = exact(f, in_axes=axes)
    assert_alike(g(*args), expected)
    assert_alike(exact(f, in_axes=axes, reduce="sum")(*args), total(expected))
    assert len(g.families) == 1


def test_keyword_arguments_run_along_their_first_axis():
    g = exact(lambda x, *, y=1.0, how="mul": x * y if how == "mul" else x - y)
    assert_alike(g(XS), XS)
    assert_alike(g(XS, y=YS), XS * YS)
    assert_alike(g(XS, how="sub", y=YS), XS - YS)
    assert_alike(exact(lambda *, a, b: a - b)(b=XS, a=YS), YS - XS)
    a = np.arange(10.0).reshape(5, 2)
    got = exact(lambda x, v: x * v["p"][1], in_axes=(None,))(2.0, v={"p": a})
    assert_alike(got, 2.0 * a[:, 1])


MATRIX = np.ones((5, 2))
REFUSED = {
    "too many axes": ((0, 0), (XS,), ValueError, "in_axes has 2 entries for 1 arg"),
    "too few axes": ((0,), (XS, YS), ValueError, "in_axes has 1 entries for 2 arg"),
    "too many inside": (((0, 0),), ([XS],), ValueError, r"in_axes \(0, 0\) does not fit"),
    "axis too large": (1, (XS,), ValueError, r"in_axes 1.*shape \(5,\)"),
    "axis too small": (-3, (MATRIX,), ValueError, r"in_axes -3.*shape \(5, 2\)"),
    "no dimension": (0, (np.array(1.0),), ValueError, r"in_axes 0.*shape \(\)"),
    "a float": (0, (1.0,), TypeError, "1.0 has no axis 0.*NumPy array.*None in in_axes"),
    "a Value": (0, (Value(1.0),), TypeError, r"Value\(.*\) has no axis 0"),
    "an int beside": (0, (XS, 3), TypeError, "3 has no axis 0"),
    "a list": (0, ([1.0, 2.0],), TypeError, "1.0 has no axis 0.*numpy.array"),
    "a float in a dict": (0, ({"a": 1.0},), TypeError, "1.0 has no axis"),
    "no axis": ("0", (XS,), TypeError, "has no axis '0'"),
    "half an axis": (0.5, (XS,), TypeError, "has no axis 0.5"),
    "lengths": (0, (XS, YS[:3]), ValueError, "batches of 5 and of 3 elements"),
    "lengths inside": (0, ([XS, YS[:0]],), ValueError, "batches of 5 and of 0 elements"),
    "nothing": (None, (XS,), ValueError, "nothing runs along the batch"),
    "nothing each": ((None, None), (XS, 1.0), ValueError, "nothing runs along the batch"),
    "no arguments": (0, (), ValueError, "nothing runs along the batch"),
    "only settings": (0, ("a", None), ValueError, "nothing runs along the batch"),
    "strings": (0, (np.array(["1", "2"]),), TypeError, "array of <U1 has no real numbers"),
    "bytes": (0, (np.array([b"1"]),), TypeError, "array of .S1 has no real numbers"),
    "complex": (0, (np.array([1j]),), TypeError, "array of complex128 has no real"),
    "dates": (0, (np.array(["2020"], "M8[Y]"),), TypeError, "array of datetime64.*no real"),
    "records": (0, (np.zeros(2, "f8,f8"),), TypeError, "no real numbers"),
    "object strings": (0, (np.array(["1.5"], object),), TypeError, "'1.5' is a str, not a real"),
    "object None": (0, (np.array([1.0, None]),), TypeError, "None is a NoneType, not a real"),
    "object complex": (0, (np.array([1.0, 1j], object),), TypeError, "complex"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_arguments(what):
    axes, args, error, message = REFUSED[what]
    with pytest.raises(error, match=message):
        vmap(lambda *xs: 1.0, in_axes=axes)(*args)


def test_refused_options():
    with pytest.raises(TypeError, match="vmap: 3 is not a function"):
        vmap(3)
    with pytest.raises(ValueError, match="reduce='max' is none of None, 'sum', 'mean'"):
        vmap(abs, reduce="max")
    for threads in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"threads={threads} is no number of threads"):
            vmap(abs, threads=threads)


def test_a_function_that_cannot_be_recorded_says_so():
    for f in (lambda x: x.data, lambda x: float(x), lambda x: [1, 2][x]):
        with pytest.raises((RuntimeError, TypeError), match=r"\.data|traced|plain number"):
            vmap(f)(XS)
    with pytest.raises(ZeroDivisionError):
        vmap(lambda x: 1 / 0)(XS)


# --- arrays -------------------------------------------------------------------


def unaligned(xs):
    return np.frombuffer(b"\0" + xs.tobytes(), dtype=float, offset=1)


def frozen(xs):
    xs = xs.copy()
    xs.flags.writeable = False
    return xs


class Subclass(np.ndarray):
    """Such as memory maps and tables have."""


WHOLE = np.arange(21.0) - 7.0
KINDS = {
    "float64": lambda xs: xs,
    "float32": lambda xs: (xs / 3).astype(np.float32),
    "float16": lambda xs: (xs / 3).astype(np.float16),
    "long double": lambda xs: xs.astype(np.longdouble),
    "big-endian": lambda xs: (xs / 3).astype(">f8"),
    "int64": lambda xs: xs.astype(np.int64),
    "int8": lambda xs: xs.astype(np.int8),
    "uint16": lambda xs: abs(xs).astype(np.uint16),
    "bool": lambda xs: xs > 0,
    "strided": lambda xs: np.repeat(xs, 3)[1::3],
    "reversed": lambda xs: xs[::-1],
    "a column": lambda xs: np.stack([xs, xs + 1, xs], axis=1)[:, 1],
    "a row in Fortran's order": lambda xs: np.asfortranarray(np.stack([xs, xs + 1]))[1],
    "of a record": lambda xs: np.array([(1, x) for x in xs], dtype="i1,f8")["f1"],
    "of another class": lambda xs: xs.view(Subclass),
    "broadcast": lambda xs: np.broadcast_to(np.array(1.5), (21,)),
    "read-only": frozen,
    "unaligned": unaligned,
    "unaligned and strided": lambda xs: unaligned(np.repeat(xs, 2))[::2],
    "objects": lambda xs: np.array(
        [[int, Fraction, Decimal, np.float32, float][int(x) % 5](x) for x in xs], dtype=object
    ),
    "large ints": lambda xs: xs.astype(np.int64) * 2**57 + 1,
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_arrays(kind):
    xs = KINDS[kind](WHOLE)
    plain = [float(x) for x in xs]
    f = lambda x, y: m.tanh(x) - x * y if x > 2 else x + y  # noqa: E731
    g, ys = exact(f), scattered(21)[0]
    for n in (21, 16, 3, 0):
        assert_alike(g(xs[:n], ys[:n]), eager(f, plain[:n], ys[:n].tolist()))
        assert_alike(g(ys[:n], xs[:n]), eager(f, ys[:n].tolist(), plain[:n]))
    expected = [f(x, y) for x, y in zip(plain, ys.tolist(), strict=True)]
    assert_close(exact(f, reduce="sum")(xs, ys), sum(expected), sum(map(abs, expected)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bool"])
def test_kinds_of_arrays_that_all_elements_have(kind):
    v = KINDS[kind](WHOLE)
    g = exact(lambda x, v: x * v[0] + v[20] * v[1], in_axes=(0, None))
    a, b, c = [float(v[k]) for k in (0, 1, 20)]
    assert_alike(g(XS, v), XS * a + c * b)
    assert_alike(g(XS, v[:21:1].copy()), XS * a + c * b)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_matrices(kind):
    v = KINDS[kind](WHOLE).reshape(7, 3)
    g = exact(lambda v: v[0] * v[1] - v[2])
    plain = np.array([[float(x) for x in row] for row in v])
    expected = plain[:, 0] * plain[:, 1] - plain[:, 2]
    assert_alike(g(v), expected)
    assert_alike(g(np.asfortranarray(v)), expected)
    assert_alike(g(v[::-2]), expected[::-2])
    assert_alike(exact(g.f, in_axes=-1)(np.ascontiguousarray(v.T)), expected)


def test_arguments_are_left_alone():
    xs, v = frozen(np.array(SPECIAL)), frozen(np.array([2.0, 3.0]))
    before = xs.tobytes(), v.tobytes()
    f = lambda x, v: (x * v[0], x, v)  # noqa: E731
    for reduce in (None, "sum", "mean"):
        vmap(f, in_axes=(0, None), reduce=reduce)(xs, v)
    for copy in (xs.copy(), xs.copy()[::-1]):
        was = copy.tobytes()
        vmap(f, in_axes=(0, None))(copy, v)
        assert copy.tobytes() == was
    assert (xs.tobytes(), v.tobytes()) == before


def test_results_are_the_callers_own():
    g, xs = exact(lambda x, y: (x, x, y, 1.0)), XS.copy()
    first = g(xs, xs)
    again = g(xs, xs)
    for k, result in enumerate(first):
        assert not any(np.shares_memory(result, other) for other in (xs, *again, *first[k + 1 :]))
        result[:] = 7.0
    assert_alike(xs, XS)
    assert_alike(again[1], XS)


RESULTS = {
    "number": lambda x, y: x * y,
    "tuple": lambda x, y: (x, x * y),
    "list": lambda x, y: [x, [x * y], []],
    "dict": lambda x, y: {"a": x, "b": {"c": x - y}},
    "settings": lambda x, y: {"a": x, "b": None, "c": "text", "d": True},
    "none": lambda x, y: None,
    "nothing": lambda x, y: (),
    "constants": lambda x, y: (2, 0.5, Fraction(1, 4), np.float32(0.1), -0.0),
    "vector": lambda x, y: np.array([x, y, x * y]),
    "matrix": lambda x, y: np.array([[x, y], [1.0, x * y], [y, y]]),
    "arrays inside": lambda x, y: (np.array([x, 2.0]), {"m": np.array([[y]])}, x),
    "plain array": lambda x, y: (x, np.array([1.0, 2.0])),
    "an array of none": lambda x, y: (x, np.zeros((0, 2))),
    "the same twice": lambda x, y: (x, x, y, x),
}


def parts(tree):
    """The leaves of a structure whose arrays are leaves."""
    if isinstance(tree, dict):
        return [x for part in tree.values() for x in parts(part)]
    if isinstance(tree, (list, tuple)):
        return [x for part in tree for x in parts(part)]
    return [tree]


def shape(tree):
    """A structure with its types and keys, without its leaves."""
    if isinstance(tree, dict):
        return {key: shape(part) for key, part in tree.items()}
    return type(tree)(map(shape, tree)) if isinstance(tree, (list, tuple)) else "leaf"


def is_setting(x):
    return x is None or isinstance(x, (str, bool))


@pytest.mark.parametrize("what", RESULTS)
@pytest.mark.parametrize("n", [0, 5])
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_results_keep_their_structure(what, n, reduce):
    f = RESULTS[what]
    one = f(1.0, 2.0)
    got = exact(f, reduce=reduce)(XS[:n], YS[:n])
    assert shape(got) == shape(one)
    every = [parts(f(x, y)) for x, y in zip(XS[:n].tolist(), YS[:n].tolist(), strict=True)]
    for k, (found, example) in enumerate(zip(parts(got), parts(one), strict=True)):
        if is_setting(example):
            assert found is example
            continue
        inner = np.shape(example)
        stacked = np.array([np.array(row[k], dtype=float) for row in every]).reshape(n, *inner)
        if reduce is None:
            assert_alike(found, stacked)
            continue
        assert type(found) is (np.ndarray if inner else float)
        columns = stacked.reshape(n, math.prod(inner)).T.tolist()
        expected = np.array([*map(total, columns)]).reshape(inner)
        if reduce == "mean":
            expected = expected / n if n else np.full(inner, nan)
        assert_alike(found, expected)


def test_results_of_several_structures_are_refused():
    xs, w = np.array([1.0, -1.0]), Value(2.0)
    differ = [
        lambda x: (x, "up") if x > 0 else (x, "down"),
        lambda x: (x, x) if x > 0 else x,
        lambda x: x if x > 0 else None,
        lambda x: np.array([x, x]) if x > 0 else np.array([x]),
    ]
    for f, reduce in itertools.product(differ, (None, "sum", "mean")):
        for g in (f, lambda x, f=f: (f(x), x * w)):
            with pytest.raises(TypeError, match=r"vmap: f returns .* for some elements"):
                vmap(g, reduce=reduce)(xs)


def test_an_array_result_with_a_setting():
    got = vmap(lambda x: np.array([None, x], dtype=object))(XS)
    assert got.shape == (2,)
    assert got[0] is None
    assert_alike(got[1], XS)


def test_elements_that_are_vectors_and_matrices():
    rng = np.random.default_rng(0)
    a, v = rng.normal(size=(50, 3, 4)), rng.normal(size=(50, 4))

    def product(a, v):
        return np.array([m.dot(row, v) for row in a])

    got = exact(product)(a, v)
    assert_alike(got, [[ops.dot(*row, *y) for row in x] for x, y in zip(a, v, strict=True)])
    got = exact(product, in_axes=(None, 0))(a[0], v)
    assert_alike(got, [[ops.dot(*row, *y) for row in a[0]] for y in v])
    got = exact(lambda a: a.T, in_axes=0)(a)
    assert_alike(got, a.transpose(0, 2, 1))


def test_elements_without_numbers():
    f, g, h = exact(lambda v: 2.0), exact(lambda v: v), exact(lambda v: 2.0, reduce="sum")
    for _ in range(2):
        assert_alike(f(np.zeros((5, 0))), [2.0] * 5)
        assert_alike(g(np.zeros((5, 0, 2))), np.zeros((5, 0, 2)))
        assert h(np.zeros((5, 0))) == 10.0


# --- the same function again --------------------------------------------------


def reduced(ys, reduce):
    """The numbers, their sum or mean."""
    if reduce is None:
        return ys
    return total(ys) / (1 if reduce == "sum" else len(ys) or nan)


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
@pytest.mark.parametrize("threads", [None, 1])
def test_calls_with_other_kinds_of_arrays_than_before(reduce, threads):
    f = lambda x, y: x * y - m.tanh(x)  # noqa: E731
    g, ys = exact(f, reduce=reduce, threads=threads), scattered(21)[0]
    for kind in ("float64", *KINDS, *reversed(KINDS)):
        xs = KINDS[kind](WHOLE)
        for n in (21, 5, 0):
            expected = reduced(eager(f, map(float, xs[:n]), ys[:n].tolist()), reduce)
            for got in (g(xs[:n], ys[:n]), g(xs[:n], ys[:n])):
                assert type(got) is (np.ndarray if reduce is None else float)
                assert_alike(got, expected)


def test_calls_with_other_kinds_of_numbers_than_before():
    class Float(float):
        pass

    for reduce in (None, "sum", "mean"):
        f = lambda x, a, v: x * a - v[1]  # noqa: E731
        g = exact(f, in_axes=(0, None, None), reduce=reduce)
        for a in (2.5, 2, np.float64(3.0), np.float32(0.1), Fraction(1, 3), Float(7.0), 10**20):
            for kind in ("float64", "float32", "int64", "strided", "big-endian", "objects"):
                v = KINDS[kind](WHOLE[:3])
                expected = reduced([x * float(a) - float(v[1]) for x in XS.tolist()], reduce)
                assert_alike(g(XS, 2.0, WHOLE[:3]), reduced([x * 2 + 6 for x in XS], reduce))
                assert_alike(g(XS, a, v), expected)
        w = Value(2.0)
        ys = np.ravel(g(XS, w, WHOLE[:3]))
        assert_alike([y.data for y in ys], np.ravel(reduced([x * 2 + 6 for x in XS], reduce)))
        ys[-1].backward()
        assert w.grad == {None: 2.0, "sum": 0.0, "mean": 0.0}[reduce]


def test_calls_with_structures_take_turns():
    a, b = np.arange(15.0).reshape(5, 3), np.arange(10.0).reshape(5, 2)
    for reduce in (None, "sum"):
        g = exact(lambda t, k: [t[0] * k, (t[1] - k,)], in_axes=((0, 0), None), reduce=reduce)
        calls = [
            ((XS, YS), 2.0),
            ([XS, YS], 2.0),
            ((a, YS), 2.0),
            ((b, b), 2.0),
            ((XS, YS), np.array([2.0, 2.0])),
            ((XS[::-1], b[:, 1]), 2.0),
        ]
        for t, k in calls * 3:
            (first, second), (left, (right,)) = t, g(t, k)
            stretch = np.ones(2) if isinstance(k, np.ndarray) else 1.0
            for got, plain in ((left, first * 2.0), (right, second - 2.0)):
                plain = plain if isinstance(stretch, float) else plain[:, None] * stretch
                if reduce is None:
                    assert_alike(got, plain)
                else:
                    assert_close(got, plain.sum(axis=0), abs(plain).sum(axis=0))
        assert len(g.families) == 5


def test_the_first_call_may_have_no_elements():
    g, h = exact(lambda x: x * 2.0), exact(lambda x: x * 2.0 + 1.0, reduce="sum")
    for n in (0, 5, 0, 3):
        assert_alike(g(XS[:n]), XS[:n] * 2.0)
        assert_alike(h(XS[:n]), total([x * 2.0 + 1.0 for x in XS[:n]]))


WRONG_CALLS = {
    "shorter": ((XS, YS[:3], 1.0), {}, ValueError, "batches of 5 and of 3 elements"),
    "longer": ((XS[:0], YS, 1.0), {}, ValueError, "batches of 0 and of 5 elements"),
    "a list": ((XS, [1.0] * 5, 1.0), {}, TypeError, "1.0 has no axis 0"),
    "a number": ((XS, 2.0, 1.0), {}, TypeError, "2.0 has no axis 0"),
    "no dimension": ((XS, np.array(1.0), 1.0), {}, ValueError, "in_axes 0"),
    "strings": ((XS, np.array(["a"] * 5), 1.0), {}, TypeError, "no real numbers"),
    "complex": ((XS * 1j, YS, 1.0), {}, TypeError, "no real numbers"),
    "too few": ((XS, YS), {}, ValueError, "in_axes has 3 entries for 2 arg"),
    "too many": ((XS, YS, 1.0, 1.0), {}, ValueError, "in_axes has 3 entries for 4 arg"),
    "nothing": ((), {}, ValueError, "in_axes has 3 entries for 0 arg"),
    "a keyword": ((XS, YS, 1.0), {"z": XS}, TypeError, "unexpected keyword argument 'z'"),
    "a string": ((XS, YS, "one"), {}, TypeError, "'one' is a str, not a real number"),
    "nobody": ((XS, YS, None), {}, TypeError, "None is a NoneType, not a real number"),
}


@pytest.mark.parametrize("reduce", [None, "mean"])
def test_wrong_calls_are_refused_as_the_first_would_be(reduce):
    f = lambda x, y, a: x * y - a  # noqa: E731
    g = exact(f, in_axes=(0, 0, None), reduce=reduce)
    expected = reduced((XS * YS - 1.0).tolist(), reduce)
    for args, named, error, message in WRONG_CALLS.values():
        for k in range(2):
            with pytest.raises(error, match=message):
                (g if k else exact(f, in_axes=(0, 0, None), reduce=reduce))(*args, **named)
        assert_alike(g(XS, YS, 1.0), expected)


def test_calls_leave_no_references():
    xs, v = WHOLE.copy(), np.array([1.0, 2.0])
    for reduce in (None, "sum", "mean"):
        g = exact(lambda x, v: [x * v[0], (m.gamma(x), v[1])], in_axes=(0, None), reduce=reduce)
        g(xs, v)
        assert g.ready()
        before = sys.getrefcount(xs), sys.getrefcount(v)
        results = [g(xs, v) for _ in range(100)]
        for wrong in ((xs, v, v), (np.array(["a"]), v), ([xs], v)):
            with pytest.raises((ValueError, TypeError)):
                g(*wrong)
        del wrong
        gc.collect()
        assert (sys.getrefcount(xs), sys.getrefcount(v)) == before
        first, inner = results[-1]
        del results
        assert sys.getrefcount(first) == sys.getrefcount(inner) == 2


@pytest.mark.parametrize("reduce", [None, "sum"])
def test_calls_leave_no_memory(reduce):
    xs, ys = scattered(2000, 2)
    g = exact(lambda x, y: (m.exp(x) * y, np.array([x, y]) if reduce else x), reduce=reduce)
    g(xs, ys)
    settle()
    tracemalloc.start()
    try:
        g(xs, ys)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            g(xs, ys)
            with pytest.raises(ValueError, match="batches"):
                g(xs, ys[:-1])
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


def test_a_row_may_call_another_batch(row):
    inner = exact(lambda x: x * x + 1.0)
    op = row("own", lambda x: float(inner(np.array([float(x), 2.0]))[0]), None)
    g = exact(lambda x: op(x) * 2.0)
    for _ in range(3):
        assert_alike(g(XS), [2.0 * (x * x + 1.0) for x in XS])


def test_plain_calls_inside_of_what_is_recorded():
    g = exact(lambda x, a: x * a, in_axes=(0, None))
    h = exact(lambda x, a: x * a, in_axes=(0, None), reduce="sum")
    for _ in range(2):
        assert_alike(g(YS, 2.0), YS * 2.0)
        assert_alike(h(YS, 2.0), total((YS * 2.0).tolist()))
        assert jit(lambda x: x * g(YS, 2.0)[1] + h(YS, 2.0))(3.0) == 3.0 * YS[1] * 2 + 20.0
        assert grad(lambda x: x * g(YS, 2.0)[1] + x * h(YS, x))(3.0) == YS[1] * 2 + 60.0
        assert_alike(exact(lambda x: x * h(YS, 2.0))(XS), XS * 20.0)


# --- sums ---------------------------------------------------------------------


def total(ys):
    """The sum in the order that the docstring of `miniflow.compiled.vmap` gives."""
    found = 0.0
    for start in range(0, len(ys), 8192):
        partial = [0.0] * 8
        for i, y in enumerate(ys[start : start + 8192]):
            partial[i % 8] += y
        for y in partial[1:]:
            partial[0] += y
        found += partial[0]
    return found


def summand(x, y):
    return x * y - m.exp(x * 1e-2)


SUMS = [*SIZES, *LARGE, 20003]


@pytest.fixture
def no_llvmlite(monkeypatch):
    """As if llvmlite were not installed."""
    settle()
    caches = native.llvm, native.available, paths._warn_once
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    for f in caches:
        f.cache_clear()
    yield
    for f in caches:
        f.cache_clear()


def test_the_order_of_addition_matters():
    xs, ys = [x.tolist() for x in scattered(20003, 2)]
    terms = eager(summand, xs, ys)
    orders = [total(terms), sum(terms), total(terms[:8192]) + total(terms[8191:]), sum(terms[::-1])]
    assert len(set(orders)) == 4


@pytest.mark.parametrize(
    ("tier", "threads"), [("first", None), ("second", None), ("second", 1), ("second", 2)]
)
def test_sums_are_added_in_the_documented_order(tier, threads, monkeypatch):
    if tier == "first":
        monkeypatch.setattr(native.worker, "put", lambda job: None)
    g, mean = [exact(summand, reduce=how, threads=threads) for how in ("sum", "mean")]
    xs, ys = scattered(20003, 2)
    g(xs, ys), mean(xs, ys)
    assert g.ready(None if tier == "second" else 0) == (tier == "second")
    assert mean.ready(None if tier == "second" else 0) == (tier == "second")
    terms = eager(summand, xs.tolist(), ys.tolist())
    for n in SUMS:
        expected = total(terms[:n])
        assert_alike(g(xs[:n], ys[:n]), expected)
        assert type(g(xs[:n], ys[:n])) is float
        assert_alike(mean(xs[:n], ys[:n]), expected / n if n else nan)


def test_sums_of_strided_and_uniform_numbers():
    xs, ys = scattered(9001, 2)
    g = exact(summand, in_axes=(0, None), reduce="sum")
    assert_alike(g(xs[::-1], 1.5), total(eager(summand, xs[::-1].tolist(), [1.5] * 9001)))
    pairs = np.stack([xs, ys], axis=1)
    g = exact(lambda v: summand(*v), reduce="sum")
    assert_alike(g(pairs), total(eager(summand, xs.tolist(), ys.tolist())))


@pytest.mark.parametrize("branching", [False, True])
@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, lambda rows: rows[::-1, ::-1]])
def test_more_columns_than_a_kernel_gathers(form, branching):
    """Numbers of an element that stand together are moved to where lanes stand together."""

    def f(w, row, y):
        found = y
        for a, x in zip(w, row, strict=True):
            found = found * 0.5 + a * x
        return found - y if branching and found > y else found * y

    size = loops.SCATTERED + 3
    w = scattered(size, 1, 1)[0]
    ys, *columns = scattered(40, size + 1)
    rows = form(np.stack(columns, axis=1))
    for n in (1, 7, 8, 15, 16, 17, 33, 40):
        each = zip(rows[:n].tolist(), ys[:n].tolist(), strict=True)
        expected = [f(w.tolist(), row, y) for row, y in each]
        assert_alike(exact(f, in_axes=(None, 0, 0))(w, rows[:n], ys[:n]), expected)
        got = exact(f, in_axes=(None, 0, 0), reduce="sum")(w, rows[:n], ys[:n])
        assert_close(got, sum(expected), sum(map(abs, expected)))


def test_elements_of_no_numbers():
    assert_alike(
        vmap(lambda row, y: y * 2 + len(row))(np.empty((5, 0)), np.arange(5.0)), [0, 2, 4, 6, 8]
    )


def test_sums_of_structures():
    f = lambda x, y: {"a": x, "v": np.array([[x * y], [y]]), "c": 0.1}  # noqa: E731
    xs, ys = scattered(8199, 2)
    got = exact(f, reduce="sum")(xs, ys)
    products = [x * y for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
    assert_alike(got["a"], total(xs.tolist()))
    assert_alike(got["v"], [[total(products)], [total(ys.tolist())]])
    assert_alike(got["c"], total([0.1] * 8199))


def test_elements_on_another_path_are_added_last():
    f = lambda x: x * 0.1 if x < 1e9 else m.sqrt(x)  # noqa: E731
    xs = scattered(20003)[0]
    for k in (1, 5000, 20002):
        moved = xs.copy()
        moved[k] = 1e11 / 3
        terms = eager(f, moved.tolist())
        last = terms[k]
        terms[k] = 0.0
        assert_alike(exact(f, reduce="sum")(moved), total(terms) + last)


@some
@given(st.lists(st.tuples(numbers, numbers), max_size=40))
def test_sums_of_special_numbers(points):
    """Infinities, NaN and overflow are silent, on one path and on several."""
    f = lambda x, y: x * y if x < y else x - y  # noqa: E731
    xs, ys = [np.array([p[k] for p in points]) for k in (0, 1)]
    for reduce in ("sum", "mean"):
        got = branching(reduce)(xs, ys)
        terms = eager(f, xs.tolist(), ys.tolist())
        assert type(got) is float
        finite = [y for y in terms if math.isfinite(y)]
        if not terms:
            assert_alike(got, 0.0 if reduce == "sum" else nan)
        elif any(y != y for y in terms) or {inf, -inf} <= set(terms):
            assert math.isnan(got)
        elif len(finite) < len(terms):
            assert not math.isfinite(got)
        elif sum(map(abs, terms)) < inf:
            share = 1 if reduce == "sum" else len(terms)
            sizes = sum(map(abs, terms)) / share
            assert abs(got - math.fsum(terms) / share) <= 1e-12 * sizes + 1e-323


@functools.cache
def branching(reduce):
    return exact(lambda x, y: x * y if x < y else x - y, reduce=reduce)


@pytest.mark.parametrize("reduce", [None, "sum"])
@pytest.mark.parametrize("f", [summand, lambda x, y: m.gamma(x) if x < y else m.tanh(x) * y])
def test_threads_change_nothing(f, reduce, monkeypatch):
    monkeypatch.setattr(batch, "SPREAD", 1)  # threads=None takes all processors
    xs, ys = scattered(20003, 2)
    found = [exact(f, reduce=reduce, threads=n)(xs, ys) for n in (1, 2, 3, None)]
    for other in found[1:]:
        assert_alike(other, found[0])
    fast = [vmap(f, reduce=reduce, threads=n)(xs, ys) for n in (1, 2, 3, None)]
    for other in fast[1:]:
        assert_alike(other, fast[0])


# --- without llvmlite ---------------------------------------------------------


def test_without_llvmlite_one_warning_says_so(no_llvmlite):
    with pytest.warns(RuntimeWarning, match=r"without llvmlite.*miniflow\[jit\]") as found:
        vmap(abs), vmap(abs)
    assert len(found) == 1


def test_without_llvmlite_answers_are_the_same(no_llvmlite):
    xs, ys = scattered(8195, 2)
    with pytest.warns(RuntimeWarning, match="without llvmlite"):
        g = vmap(summand)
    assert g.backend != "native"
    terms = eager(summand, xs.tolist(), ys.tolist())
    for n in (*SIZES, 8193):
        assert_alike(g(xs[:n], ys[:n]), terms[:n])
    for n in (0, 1, 9, 100, 8195):
        assert_alike(vmap(summand, reduce="sum")(xs[:n], ys[:n]), total(terms[:n]))
        mean = total(terms[:n]) / n if n else nan
        assert_alike(vmap(summand, reduce="mean", threads=2)(xs[:n], ys[:n]), mean)
    f = lambda x, y: m.sqrt(x) / y if x < y else (x**3 if x > 1 else y)  # noqa: E731
    xs, ys = [*np.array([*itertools.product(SPECIAL, repeat=2)]).T]
    assert_alike(vmap(f)(xs, ys), eager(f, xs.tolist(), ys.tolist()))


def test_without_llvmlite_every_row_is_there(no_llvmlite):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for name in ROWS:
            columns = [x[::7] for x in specials(name)]
            assert_alike(mapped(name)(*columns), values(name, columns))


def test_without_llvmlite_derivatives_are_the_same(no_llvmlite):
    w = Value(3.0)
    with pytest.warns(RuntimeWarning, match="without llvmlite"):
        g = vmap(lambda x: w * w * x if x > 0 else w * x, reduce="sum")
    y = g(np.array([1.0, -2.0, 4.0, *[0.5] * 20, *[-0.5] * 20]))
    y.backward()
    assert (y.data, w.grad) == (9 * 15 - 3 * 12, 6 * 15 - 12)


# --- derivatives of elements --------------------------------------------------

SMOOTH = {
    "polynomial": lambda x, y: x**3 * y - y * y,
    "functions": lambda x, y: m.exp(x * 0.1) * m.sin(y) + m.tanh(x * y),
    "branches": lambda x, y: x * x * y if x > y else m.cos(x) - y**3,
    "kinks": lambda x, y: m.maximum(x, y) * abs(x) + m.relu(y - 1.0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_of_elements(name):
    f, (xs, ys) = SMOOTH[name], [x.clip(-4, 4) for x in scattered(100, 2)]
    points = [*zip(xs.tolist(), ys.tolist(), strict=True)]
    assert_alike(exact(grad(f))(xs, ys), [grad(f)(*p) for p in points])
    assert_alike(exact(grad(f, 1))(xs, ys), [grad(f, 1)(*p) for p in points])
    got = exact(value_and_grad(f, (0, 1)))(xs, ys)
    expected = [value_and_grad(f, (0, 1))(*p) for p in points]
    assert_alike(got[0], [y for y, _ in expected])
    assert_alike(np.array(got[1]).T, [slopes for _, slopes in expected])
    got = exact(hessian(f, (0, 1)))(xs, ys)
    expected = [hessian(f, (0, 1))(*p) for p in points]
    assert_alike(np.moveaxis(np.array(got), 2, 0), expected)
    got = exact(grad(grad(f), 1))(xs, ys)
    assert_alike(got, [grad(grad(f), 1)(*p) for p in points])


def test_derivatives_of_elements_that_are_arrays():
    f = lambda v, w: m.tanh(m.dot(v, w)) + v[0] ** 2  # noqa: E731
    a, b = np.random.default_rng(0).normal(size=(2, 30, 3))
    got = exact(grad(f, (0, 1)))(a, b)
    expected = [grad(f, (0, 1))(v, w) for v, w in zip(a, b, strict=True)]
    for k in (0, 1):
        assert_alike(got[k], [x[k] for x in expected])
    got = exact(hessian(f), in_axes=(0, None))(a, b[0])
    assert_alike(got, [hessian(f)(v, b[0]) for v in a])


def test_sums_of_derivatives():
    f, (xs, ys) = SMOOTH["branches"], [x.clip(-4, 4) for x in scattered(1000, 2)]
    got = exact(value_and_grad(f, (0, 1)), reduce="sum")(xs, ys)
    points = [*zip(xs.tolist(), ys.tolist(), strict=True)]
    found = [value_and_grad(f, (0, 1))(*p) for p in points]
    sizes = [[abs(y), abs(a), abs(b)] for y, (a, b) in found]
    expected = [[y, a, b] for y, (a, b) in found]
    assert_close([got[0], *got[1]], np.sum(expected, axis=0), np.sum(sizes, axis=0))


# --- derivatives of sums ------------------------------------------------------

MODELS = {
    "line": lambda x, p: p[0] * x + p[1],
    "net": lambda x, p: m.tanh(p[0] * x + p[1]) * p[2] + m.sigmoid(p[2] * x),
    "branches": lambda x, p: p[0] * x if x > p[1] else p[0] ** 2 * x - p[2] * p[1],
    "paths that need others": lambda x, p: p[0] * x if x > 0 else p[1] * x * p[2],
    "kinks": lambda x, p: m.maximum(p[0] * x, p[1]) + abs(p[2] - x),
    "constant": lambda x, p: x * 2.0,
}
ordinary = st.floats(-3, 3).map(lambda x: round(x, 3))


@functools.cache
def model(name, reduce, precise=True):
    return vmap(MODELS[name], (0, None), reduce, precise=precise)


def looped(name, reduce, xs):
    """The function of the parameters that vmap's stands for."""

    def f(p):
        found = m.sum([MODELS[name](x, p) for x in xs])
        return found if reduce == "sum" else found / len(xs)

    return f


def sized(name, reduce, xs, derivative, p):
    """The sum of the sizes of what derivatives of a sum are made of."""
    every = [abs(np.array(derivative(lambda p, x=x: MODELS[name](x, p))(p))) for x in xs]
    return sum(every) / (1 if reduce == "sum" else len(xs)) + 1e-12


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("name", MODELS)
@few
@given(xs=st.lists(ordinary, min_size=1, max_size=25), p=st.lists(ordinary, min_size=3, max_size=3))
def test_derivatives_of_sums(name, reduce, xs, p):
    f = lambda p: model(name, reduce)(np.array(xs), p)  # noqa: E731
    expected = looped(name, reduce, xs)
    p = np.array(p)
    sizes = sized(name, reduce, xs, grad, p)
    y, slopes = value_and_grad(f)(p)
    assert_close(y, expected(p), sum(abs(MODELS[name](x, p)) for x in xs) + 1e-12)
    assert_close(slopes, grad(expected)(p), sizes)
    assert_close(grad(f)([*p.tolist()]), grad(expected)(p), sizes)
    fast = grad(lambda p: model(name, reduce, False)(np.array(xs), p))(p)
    assert_close(fast, grad(expected)(p), sizes + len(xs))  # 1 - tanh**2 cancels
    direction = np.array([1.0, -0.5, 2.0])
    tangent = jvp(f, (p,), (direction,))[1]
    assert_close(tangent, jvp(expected, (p,), (direction,))[1], 4 * sum(sizes))


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("n", [1, 25])
def test_second_derivatives_of_sums(name, reduce, n):
    xs = [x.item() for x in scattered(n)[0].clip(-3, 3)]
    p = np.array([0.7, -0.4, 1.3])
    f = lambda p: model(name, reduce)(np.array(xs), p)  # noqa: E731
    expected = looped(name, reduce, xs)
    sizes = sized(name, reduce, xs, hessian, p)
    assert_close(hessian(f)(p), hessian(expected)(p), sizes)
    direction = np.array([1.0, -0.5, 2.0])
    assert_close(
        hvp(f, (p,), (direction,)), hvp(expected, (p,), (direction,)), sizes @ abs(direction)
    )
    third = grad(lambda p: m.sum(hvp(f, (p,), (direction,)).tolist()))(p)
    judge = grad(lambda p: m.sum(hvp(expected, (p,), (direction,)).tolist()))(p)
    assert_close(third, judge, abs(np.array(judge)) + np.sum(sizes) + 1)


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_backward_reaches_captured_values(reduce):
    w, b = Value(0.7), Value(-0.3)
    g = vmap(lambda x: m.tanh(w * x + b) * b, reduce=reduce)
    xs = scattered(1000)[0]
    for k in range(1, 3):
        y = g(xs)
        assert isinstance(y, Value)
        y.backward()
        expected = looped_captured(xs, reduce)
        assert_close(y.data, expected.data, 1000.0)
        assert_close([w.grad, b.grad], [k * slope for slope in expected.slopes], [1000.0 * k] * 2)


class Expected(NamedTuple):
    data: float
    slopes: list


def looped_captured(xs, reduce):
    w, b = Value(0.7), Value(-0.3)
    y = m.sum([m.tanh(w * x + b) * b for x in xs.tolist()])
    y = y if reduce == "sum" else y / len(xs)
    y.backward()
    return Expected(y.data, [w.grad, b.grad])


@pytest.mark.parametrize("order", [(1.0, -2.0, 3.0), (-2.0, 1.0, 3.0)])
@pytest.mark.parametrize("times", [1, 30])
def test_paths_that_capture_different_values(order, times):
    a, b, c = Value(2.0), Value(5.0), Value(7.0)
    f = lambda x: a * x if x > 0 else b * x * x * c  # noqa: E731
    y = vmap(f, reduce="sum")(np.array(order * times))
    y.backward()
    assert y.data == times * (2 * 4 + 35 * 4)
    assert [v.grad for v in (a, b, c)] == [times * 4.0, times * 28.0, times * 20.0]


def test_paths_that_capture_in_another_order():
    a, b = Value(2.0), Value(5.0)
    y = vmap(lambda x: a * x + b if x > 0 else b * x - a, reduce="sum")(np.array([1.0, -2.0, 3.0]))
    y.backward()
    assert (y.data, a.grad, b.grad) == (2 * 4 + 10 - 10 - 2, 3.0, 0.0)


def test_the_first_element_may_be_on_another_path_than_the_first_ever():
    g = vmap(lambda x, w: w * x if x > 0 else w * x * x, in_axes=(0, None), reduce="sum")
    assert g(np.array([1.0]), 3.0) == 3.0
    assert grad(lambda w: g(np.array([-1.0, 2.0]), w))(3.0) == 3.0
    assert grad(lambda w: g(np.array([-1.0, -2.0]), w))(3.0) == 5.0
    assert grad(grad(lambda w: g(np.array([-1.0, 2.0]), w) * w))(3.0) == 6.0


def test_parameters_of_all_kinds_together():
    w, u = Value(2.0), Value(0.5)
    f = lambda x, p: p["a"] * x * w + p["b"][0] * p["b"][1] * u + p["c"][1] * x  # noqa: E731
    g = vmap(f, in_axes=(0, None), reduce="sum")
    p = {"a": w, "b": (u, 3.0), "c": np.array([1.0, Value(4.0)], dtype=object)}
    y = g(XS, p)
    y.backward()
    expected = sum(4.0 * x + 0.75 + 4.0 * x for x in XS)
    assert (y.data, w.grad, u.grad) == (expected, 4.0 * XS.sum(), 15.0)
    assert p["c"][1].grad == XS.sum()


def test_computed_values_are_parameters_too():
    w = Value(0.5)
    scale = m.exp(w)
    y = vmap(lambda x, s: s * x * scale, in_axes=(0, None), reduce="mean")(XS + 3.0, scale)
    y.backward()
    assert_close([y.data, w.grad], [3 * math.e, 6 * math.e])


def test_structures_of_sums_are_differentiated():
    w = Value(3.0)
    g = vmap(lambda x: {"a": w * x, "v": np.array([w * w, x]), "s": "text"}, reduce="sum")
    y = g(XS + 3.0)
    assert y["s"] == "text"
    assert y["v"].shape == (2,)
    assert number(y["v"][1]) == 15.0
    (y["a"] * y["v"][0]).backward()
    assert (y["a"].data, y["v"][0].data) == (45.0, 45.0)
    assert w.grad == 45.0 * 15.0 + 45.0 * 30.0


def test_elements_with_captured_values():
    """Without `reduce` each element is an entry on the tape."""
    w = Value(3.0)
    ys = vmap(lambda x: (w * w * x, x) if x > 0 else (w * x, x))(XS)
    assert ys[0].shape == (5,)
    assert [y.data for y in ys[0]] == [-6.0, -3.0, 0.0, 9.0, 18.0]
    assert_alike(np.array([number(x) for x in ys[1]]), XS)
    (ys[0][0] * ys[0][4]).backward()
    assert w.grad == -2.0 * 18.0 + -6.0 * 12.0


def test_batches_of_values():
    xs = np.array([Value(x) for x in XS])
    ys = vmap(lambda x, a: a * x * x if x > 0 else x, in_axes=(0, None))(xs, 3.0)
    assert ys.dtype == object
    assert [y.data for y in ys] == [-2.0, -1.0, 0.0, 3.0, 12.0]
    sum(ys).backward()
    assert [x.grad for x in xs] == [1.0, 1.0, 1.0, 6.0, 12.0]


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_sums_over_batches_of_values(reduce):
    xs = np.array([[Value(x), Value(2.0 * x)] for x in XS])
    y = vmap(lambda v: v[0] * v[1] * v[1], reduce=reduce)(xs)
    y.backward()
    share = 1 if reduce == "sum" else 5
    assert y.data == sum(4 * x**3 for x in XS) / share
    assert_close([v.grad for v in xs.ravel()], [s / share for x in XS for s in (4 * x * x,) * 2])


def test_batches_of_values_and_numbers_together():
    xs = np.array([Value(1.0), 2, Fraction(1, 2), Value(4.0)], dtype=object)
    w = Value(3.0)
    y = vmap(lambda x, y, k: x * y * k * w, in_axes=(0, 0, None), reduce="sum")(
        xs, np.arange(4.0), w
    )
    y.backward()
    assert (y.data, w.grad) == (9 * 15.0, 6 * 15.0)
    assert [xs[0].grad, xs[3].grad] == [0.0, 27.0]


def test_grad_of_a_batch():
    g = vmap(lambda x, a: m.sin(x) * a, in_axes=(0, None), reduce="sum")
    got = grad(lambda xs: g(xs, 2.0))(XS)
    assert_alike(got, [2.0 * math.cos(x) for x in XS])
    rows = hessian(lambda xs: g(xs, 2.0))(XS)
    assert_close(rows, np.diag([-2.0 * math.sin(x) for x in XS]))


def test_arrays_may_change_before_backward():
    xs, u, w = np.ones(9), np.ones(2), Value(3.0)
    y = vmap(lambda x, u: w * w * x * u[0], in_axes=(0, None), reduce="sum")(xs, u)
    xs[:], u[:] = 100.0, 50.0
    y.backward()
    assert (y.data, w.grad) == (81.0, 54.0)
    with pytest.raises(AssertionError):  # the next call sees the change
        assert vmap(lambda x: w * x, reduce="sum")(xs).data == 27.0


def test_forward_and_backward_again():
    w = Value(3.0)
    y = vmap(lambda x: w * w * x, reduce="mean")(np.array([1.0, 2.0, 3.0]))
    z = y * 2.0
    z.backward()
    assert (z.data, w.grad) == (36.0, 24.0)
    w.data, w.grad = 5.0, 0.0
    z.forward()
    assert (y.data, z.data) == (50.0, 100.0)
    z.backward()
    assert w.grad == 40.0


def test_forward_may_take_another_path():
    w = Value(2.0)
    y = vmap(lambda x: w * w * x if w > 3 else w * x, reduce="sum")(np.array([1.0, 2.0]))
    w.data = 4.0
    y.forward()
    assert y.data == 48.0
    y.backward()
    assert w.grad == 24.0


def test_forward_tells_where_a_path_needs_other_values():
    w, u = Value(2.0), Value(7.0)
    y = vmap(lambda x: u * x if w > 3 else w * x, reduce="sum")(np.array([1.0, 2.0]))
    w.data = 4.0
    with pytest.raises(RuntimeError, match=r"another path now, with Values.*call it again"):
        y.forward()


def test_no_grad():
    w, xs = Value(3.0), np.array([1.0, 2.0])
    for reduce in (None, "sum", "mean"):
        with no_grad():
            y = vmap(lambda x: w * x, reduce=reduce)(xs)
        assert_close(
            [number(v) for v in np.ravel(y)], {None: [3, 6], "sum": [9], "mean": [4.5]}[reduce]
        )
        v = y[0] if reduce is None else y
        (v * w).backward()
        assert w.grad == number(v)
        w.grad = 0.0


def test_no_elements():
    w, none = Value(3.0), np.zeros(0)
    assert_alike(vmap(lambda x: x * 2.0)(none), [])
    assert vmap(lambda x: x * 2.0, reduce="sum")(none) == 0.0
    assert math.isnan(vmap(lambda x: x * 2.0, reduce="mean")(none))
    assert vmap(lambda v: v * 2.0)(np.zeros((0, 3))).shape == (0, 3)
    y = vmap(lambda x: w * x, reduce="sum")(none)
    y.backward()
    assert (number(y), w.grad) == (0.0, 0.0)
    assert vmap(lambda x: x * 2.0, reduce="sum")(np.zeros(0, dtype=object)) == 0.0


def test_no_elements_and_captured_values():
    w, none = Value(3.0), np.zeros(0)
    assert math.isnan(number(vmap(lambda x: w * x, reduce="mean")(none)))
    assert len(vmap(lambda x: w * x)(none)) == 0


def test_no_elements_have_derivatives_of_0():
    g = vmap(lambda x, w: w * w * x, in_axes=(0, None), reduce="sum")
    assert grad(lambda w: g(np.zeros(0), w))(3.0) == 0.0
    assert hessian(lambda w: g(np.zeros(0), w))(3.0) == 0.0


# --- together with the rest ---------------------------------------------------


def test_vmap_inside_jit():
    g = vmap(lambda x, w: m.exp(x * w), in_axes=(0, None), reduce="sum")
    f = jit(lambda xs, w: g(xs, w) * w)
    expected = sum(math.exp(x * 0.5) for x in XS) * 0.5
    assert_close(f(XS, 0.5), expected)
    assert_close(jit(lambda w: g(XS, w) * w)(0.5), expected)
    slope = sum(math.exp(x * 0.5) * (1 + 0.5 * x) for x in XS)
    assert_close([grad(f, 1)(XS, 0.5), jit(grad(f, 1))(XS, 0.5)], [slope, slope])
    assert_alike(jit(vmap(lambda x: x * 2.0))(XS), XS * 2.0)


def test_vmap_inside_grad_inside_vmap():
    g = vmap(lambda x, w: w * w * x, in_axes=(0, None), reduce="sum")
    got = vmap(grad(lambda w: g(YS, w)))(np.array([1.0, 2.0]))
    assert_close(got, [2.0 * YS.sum(), 4.0 * YS.sum()])


def test_vmap_of_vmap():
    a = np.arange(12.0).reshape(4, 3) ** 1.5
    f = lambda x: x * x if x > 3 else -x  # noqa: E731
    expected = np.array([[f(x) for x in row] for row in a])
    assert_alike(exact(exact(f))(a), expected)
    assert_close(exact(exact(f, reduce="sum"))(a), expected.sum(axis=1))
    assert_close(exact(exact(f, reduce="sum"), reduce="mean")(a), expected.sum(axis=1).mean())
    outer = exact(exact(lambda x, y: x - y, in_axes=(0, None)), in_axes=(None, 0))
    assert_alike(outer(XS, YS), XS[None, :] - YS[:, None])


def test_vmap_of_vmap_with_captured_values():
    w = Value(2.0)
    y = vmap(vmap(lambda x: w * w * x, reduce="sum"), reduce="sum")(np.ones((3, 2)))
    y.backward()
    assert (y.data, w.grad) == (24.0, 24.0)


def test_jit_inside_vmap():
    w = Value(2.0)
    inner = jit(lambda y: y * y * w if y > 0 else -y)
    y = vmap(lambda x: inner(x) + x, reduce="sum")(XS)
    y.backward()
    assert (y.data, w.grad) == (2 * 5.0 + 3.0 + 0.0, 5.0)


def test_captured_values_are_read_at_each_call():
    w = Value(2.0)
    f = lambda x: w * x if w > 0 else x - w  # noqa: E731
    g, h = vmap(f), vmap(f, reduce="sum")
    for number_of_w in (2.0, 3.0, -1.0, 2.5, -4.0, nan):
        w.data = number_of_w
        with no_grad():
            expected = [f(x).data for x in XS]
        assert_alike(np.array([y.data for y in g(XS)]), expected)
        assert_alike(h(XS).data, total(expected))


def test_captured_plain_numbers_are_constants():
    """As `jit` documents: plain numbers from elsewhere are taken when a path is recorded."""
    box = [2.0]
    g = vmap(lambda x: x * box[0])
    assert_alike(g(XS), 2.0 * XS)
    box[0] = 3.0
    assert_alike(g(XS), 2.0 * XS)


def test_settings_choose_other_programs():
    def f(x, how, deep=None):
        if how is None:
            return x
        if how is True:
            return -x
        return m.exp(x) if how == "exp" else x * (2.0 if deep is None else 3.0)

    g = exact(f)
    for _ in range(2):
        assert_alike(g(XS, None), XS)
        assert_alike(g(XS, True), -XS)
        assert_alike(g(XS, "exp"), [math.exp(x) for x in XS])
        assert_alike(g(XS, "other"), XS * 2.0)
        assert_alike(g(XS, "other", deep="yes"), XS * 3.0)
    assert len(g.families) == 5


def test_ints_are_no_settings():
    g = exact(lambda x, n: x * n, in_axes=(0, None))
    for n in (2, 3, np.int8(4), 5.0, Fraction(1, 2)):
        assert_alike(g(XS, n), XS * float(n))
    assert len(g.families) == 1


def test_it_looks_like_the_function():
    def scaled(x, a):
        """Scale."""
        return x * a

    g = vmap(scaled, in_axes=(0, None))
    assert (g.__name__, g.__doc__, g.__wrapped__) == ("scaled", "Scale.", scaled)
    assert repr(g).startswith("<vmap of <function")


def test_a_method():
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        @vmap
        def run(self, x):
            return x * self.factor

    for _ in range(2):
        assert_alike(Scale(3.0).run(XS), 3.0 * XS)
        assert_alike(Scale(4.0).run(XS), 4.0 * XS)


# --- threads ------------------------------------------------------------------


def crooked(x):
    for k in range(-3, 4):
        if x < k:
            return m.exp(x) * k
    return m.sqrt(x)


def test_threads_call_the_same_function(hasty):
    """From the first call on, while paths are found and code is exchanged."""
    g, h = exact(crooked), exact(crooked, reduce="sum", threads=2)

    def job(seed):
        xs = scattered(9000, seed=seed)[0]
        expected = eager(crooked, xs.tolist())
        for n in (9000, 100, 1, 9000):
            assert_alike(g(xs[:n]), expected[:n])
            assert_close(h(xs[:n]), math.fsum(expected[:n]), sum(map(abs, expected[:n])))

    run_all([functools.partial(job, seed) for seed in range(4)])
    for f in (g, h):
        (family,) = f.families.values()
        assert len(family.paths) == 8


def test_threads_feed_the_same_leaf(hasty):
    w = Value(3.0)
    g = vmap(lambda x: w * w * x if x > 1 else w * x, reduce="sum")

    def job(k):
        for _ in range(5):
            g(np.array([1.0, 2.0, k])).backward()

    run_all([functools.partial(job, float(k)) for k in range(2, 6)])
    assert w.grad == 5 * sum(1 + 6 * (2 + k) for k in range(2, 6))


def test_code_is_exchanged_in_the_middle_of_large_batches():
    def f(x, y):
        for _ in range(150):
            x, y = x * 0.75 - y * 1.5, m.tanh(x) + y * 0.5
        return x * y

    g = exact(f, threads=2)
    xs, ys = scattered(30000, 2)
    expected = g(xs, ys)
    some = slice(0, 30000, 997)
    assert_alike(expected[some], eager(f, xs[some].tolist(), ys[some].tolist()))

    def job():
        while not g.ready(0):
            assert_alike(g(xs, ys), expected)
        assert_alike(g(xs, ys), expected)

    run_all([job, job])
    assert g.ready(0)


def test_a_job_that_fails_leaves_the_first_tier(monkeypatch):
    jobs = []
    monkeypatch.setattr(native.worker, "put", jobs.append)
    g = exact(m.exp)
    expected = g(XS)
    monkeypatch.setattr(native.Library, "__init__", mock.Mock(side_effect=MemoryError("no room")))
    with pytest.warns((RuntimeWarning, UserWarning), match="optimised code.*no room"):
        jobs[0]()
    assert g.ready(0)
    assert_alike(g(XS), expected)


def test_threads_are_as_many_as_this_process_may_use_processors():
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from miniflow.compiled.vmap import Options
print(Options(False, False, None).workers(1 << 40), Options(False, False, 3).workers(1))
"""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this platform binds no process to a processor")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "3"]
