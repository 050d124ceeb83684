"""Rows that users define in Python, called from machine code."""

import math
import sys
import threading
import weakref

import numpy as np
import pytest

from miniflow import grad, jit, ops, vmap
from miniflow import math as m
from miniflow.native import tiers
from miniflow.program.expand import decomposition
from support.machine_code import CUTS, assert_same, bits, blocks
from support.random_programs import EDGES


def test_a_job_that_fails_is_told_and_does_not_end_the_worker(monkeypatch):
    told, done = [], threading.Event()
    monkeypatch.setattr(threading, "excepthook", told.append)
    tiers.worker.put(lambda: 1 // 0)
    tiers.worker.put(done.set)
    assert done.wait(60)
    assert [x.exc_type for x in told] == [ZeroDivisionError]


def test_a_row_that_can_be_traced(row):
    """Its value is a formula of other rows: it is compiled like them."""
    cube = row("cube_", lambda x: x * x * x + m.sin(x), lambda x, y: 3 * x * x + m.cos(x))
    f = lambda x: cube(x) * 2  # noqa: E731
    points = [(x,) for x in EDGES if math.isfinite(x)]
    assert_same(f, points, [f(*xs) for xs in points])
    assert_same(grad(f), points, [grad(f)(*xs) for xs in points])


def doubled(x):
    return x * 2.0


def unlike(x):
    return x * 2.0 if type(x) is float else x


FORMULAS = {
    "mul mul sin add": lambda x: x * x * x + m.sin(x),
    "abs add div neg": lambda x: -ops.div(x, 1.0 + abs(x)),
    "sub mul mul": lambda x: doubled((x - 1) * x),
}
NO_FORMULAS = {
    "a quotient, which raises": lambda x: 1.0 / x,
    "a power, which raises": lambda x: x**0.5,
    "a branch": lambda x: x if x > 0 else 0.0,
    "a condition": lambda x: x and 1.0,
    "its type": unlike,
    "by way of another": lambda x: unlike(x) + 1.0,
    "identity": lambda x: x * float(x is None),
    "a method": lambda x: x * float(x.hex() == "a"),
    "an int too large": lambda x: x * (2**53 + 1),
    "the standard library": lambda x: math.sin(x),
    "what may be another number later": lambda x: x * sys.float_info.max,
    "a function made inside": lambda x: (lambda y: y * x)(x),
}


@pytest.mark.parametrize(("names", "value"), FORMULAS.items(), ids=FORMULAS)
def test_a_formula_of_rows_is_compiled_like_them(row, names, value):
    """No call of Python is left in it."""
    code = decomposition(row("formula_", value, None))
    assert " ".join(step.op.name for step in code.instructions) == names


@pytest.mark.parametrize("value", NO_FORMULAS.values(), ids=NO_FORMULAS)
def test_what_may_do_otherwise_to_a_value_is_no_formula(row, value):
    assert decomposition(row("opaque_", value, None)) is None


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


@pytest.mark.slow
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
