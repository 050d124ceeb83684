"""Batches on an executor's workers: the bits of one process, whatever becomes of its tasks."""

import math as pymath
import multiprocessing
import pickle
import random
import threading
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, define, grad, ops, trace, value_and_grad, vmap
from miniflow import math as m
from miniflow.compiled import executors
from miniflow.compiled.executors import packed, unpacked
from miniflow.operation import TABLE
from support.bits import bits
from support.executors import Idle, Late, no_programs
from support.profiles import examples

BLOCK = 8192
spawn = multiprocessing.get_context("spawn")


def smooth(a, x, y):
    return m.tanh(a[0] * x[0] + a[1] * x[1]) * m.exp(-y * y)


def branching(a, x, y):
    """Three paths: most elements, some, and a few."""
    d = a[0] * x[0] - a[1] * y
    if d > 2.0:
        return m.sin(d) + x[1]
    return d * d if d > -3.0 else a[1] * 3.0


FUNCTIONS = {"smooth": smooth, "branching": branching}


def data(count, seed=0):
    rng = numpy.random.default_rng(seed)
    return rng.normal(size=(count, 2)), rng.normal(size=count)


def flat(tree):
    """All numbers of a result, bit for bit."""
    if isinstance(tree, (list, tuple)):
        return [x for part in tree for x in flat(part)]
    return [bits(x) for x in numpy.ravel(tree).tolist()]


lengths = st.one_of(
    st.integers(0, 3 * BLOCK), st.sampled_from([1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1])
)


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
@pytest.mark.parametrize("name", FUNCTIONS)
@examples(20)
@given(count=lengths, seed=st.integers(0, 99), forgetful=st.sampled_from([0.0, 0.0, 0.5]))
def test_it_does_not_matter_when_blocks_are_computed(name, reduce, count, seed, forgetful):
    """Tasks are done in any order, by workers that may have forgotten the program."""
    f, a = value_and_grad(FUNCTIONS[name]), [0.7, -0.4]
    x, y = data(count, seed)
    late = Late(random.Random(seed), forgetful=forgetful)
    no_programs()
    here = vmap(f, (None, 0, 0), reduce)
    there = vmap(f, (None, 0, 0), reduce, executor=late)
    expected = flat(here(a, x, y))
    assert flat(there(a, x, y)) == expected
    assert flat(there(a, x, y)) == expected
    assert (late.count > 0) == (count > BLOCK)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_values_and_of_captured_ones(name):
    """Recorded as one entry; the sweep has the workers run the derivative's program, too."""
    x, y = data(20_000)
    found = []
    for executor in (None, Late(random.Random(1))):
        a, outside = [Value(0.7), Value(-0.4)], Value(0.3)

        def loss(a, x, y, outside=outside):
            return FUNCTIONS[name](a, x, y) * outside

        total = vmap(loss, (None, 0, 0), "mean", executor=executor)(a, x, y)
        total.backward()
        found.append(flat([total.data, *[v.grad for v in (*a, outside)]]))
    assert executor.count > 3
    assert found[0] == found[1]


def test_second_derivatives():
    x, y = data(10_000)
    f = grad(lambda a, x, y: grad(lambda b: smooth([b, a], x, y))(a))
    late = Late(random.Random(2))
    here, there = vmap(f, (None, 0, 0), "sum"), vmap(f, (None, 0, 0), "sum", executor=late)
    assert flat(there(0.3, x, y)) == flat(here(0.3, x, y))
    assert late.count == 2


def test_columns_that_stand_apart_and_precise_functions():
    x, y = data(20_000)
    apart = numpy.repeat(x, 2, axis=1)[:, ::2], y[::-1]
    f = value_and_grad(smooth)
    late = Late(random.Random(3))
    for options in ({}, {"precise": True}, {"fma": True}):
        here = vmap(f, (None, 0, 0), "sum", **options)
        there = vmap(f, (None, 0, 0), "sum", **options, executor=late)
        assert flat(there([0.1, 0.2], *apart)) == flat(here([0.1, 0.2], *apart))


def test_a_program_travels_with_the_first_call():
    """Then its name will do; the numbers of a block, and the uniform ones, travel each time."""
    x, y = data(BLOCK + 10)
    late = Late(random.Random(4))
    f = vmap(value_and_grad(smooth), (None, 0, 0), "sum", executor=late)
    for _ in range(3):
        f([0.1, 0.2], x, y)
    first, _, second, _, third, _ = late.sizes
    assert first > second == third
    assert 3 * 8 * BLOCK < second < 3 * 8 * BLOCK + 2000


def test_no_more_blocks_are_on_their_way_than_fit_into_memory(monkeypatch):
    monkeypatch.setattr(executors, "AHEAD", 2)
    x, y = data(5 * BLOCK)
    most = []

    class Watched(Late):
        def submit(self, f, *args):
            most.append(len(self.waiting))
            return super().submit(f, *args)

    f = vmap(smooth, (None, 0, 0), "sum", executor=Watched(random.Random(5)))
    assert flat(f([0.1, 0.2], x, y)) == flat(vmap(smooth, (None, 0, 0), "sum")([0.1, 0.2], x, y))
    assert len(most) == 5
    assert max(most) <= 2


def test_a_worker_keeps_some_programs(monkeypatch):
    monkeypatch.setattr(executors, "MOST_KEPT", 3)
    no_programs()
    x = numpy.ones(BLOCK + 1)
    for k in range(6):
        late = Late(random.Random(k))
        f = vmap(lambda x, k=k: x * float(k), reduce="sum", executor=late)
        assert f(x) == k * (BLOCK + 1.0)
    assert len(executors._runners) == 3


def test_what_is_small_stays_here():
    x, y = data(BLOCK)
    f = vmap(value_and_grad(smooth), (None, 0, 0), "sum", executor=Idle())
    for _ in range(5):  # machine code alone answers at last
        f([0.1, 0.2], x, y)
    assert f.ready(60)
    f([0.1, 0.2], x, y)
    with pytest.raises(RuntimeError, match="what is small stays here"):
        f([0.1, 0.2], *data(BLOCK + 1))


@pytest.mark.parametrize("engine", ["tape", "source"])
def test_without_machine_code(engine, monkeypatch):
    monkeypatch.setattr("miniflow.compiled.vmap.choose_backend", lambda *_: engine)
    x, y = data(BLOCK + 100)
    late = Late(random.Random(6))
    for f in FUNCTIONS.values():
        here = vmap(f, (None, 0, 0), "sum")
        there = vmap(f, (None, 0, 0), "sum", executor=late)
        assert flat(there([0.1, 0.2], x, y)) == flat(here([0.1, 0.2], x, y))
    assert late.count >= 4


# --- programs that travel ---------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, op in TABLE.items() if op.arity >= 0])
def test_every_row_travels(name):
    op = TABLE[name]
    program = trace(lambda *xs: op(*xs), *[0.5] * op.arity)
    again, *how = unpacked(packed(program, True, False, "source", False))
    assert (again.code, how) == (program.code, [True, False, "source", False])
    assert [x.op for x in again.instructions] == [x.op for x in program.instructions]
    for x in (0.25, 1.0, -2.0, pymath.inf):
        xs = [x] * op.arity
        assert flat(again.evaluate(xs)) == flat(program.evaluate(xs))


@pytest.fixture
def row():
    """A function that defines a row, for one test."""
    names = []

    def defined(value, *partials, **options):
        names.append(f"row_of_{len(TABLE)}")
        return define(names[-1], value, *partials, **options)

    yield defined
    for name in names:
        del TABLE[name]


def test_a_row_of_one_s_own_travels_with_its_function(row):
    """Workers do not know it."""
    pytest.importorskip("cloudpickle")
    shift = 0.25
    mine = row(lambda x: pymath.erf(x) + shift, lambda x, y: m.exp(-x * x))
    x = data(BLOCK + 5)[1]
    expected = flat(vmap(lambda x: mine(x) * 2.0)(x))
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert flat(vmap(lambda x: mine(x) * 2.0, executor=pool)(x)) == expected


def test_a_row_s_error_is_that_of_one_process(row):
    def value(x):
        if x == 4.0:
            raise LookupError(f"no row at {x}")
        return x

    mine = row(value, 1.0)
    x = numpy.linspace(0.0, 4.0, BLOCK + 1)
    for executor in (None, Late(random.Random(0))):
        with pytest.raises(LookupError, match=r"no row at 4\.0"):
            vmap(mine, executor=executor)(x)


def test_what_cannot_be_pickled_is_named(row):
    lock = threading.Lock()
    mine = row(lambda x: x if lock else 0.0, 1.0)
    with pytest.raises(TypeError, match=rf"operation {mine.name} cannot be sent .*pickle.*module"):
        vmap(mine, executor=Late(random.Random(0)))(numpy.ones(BLOCK + 1))


def test_functions_travel_without_cloudpickle_where_they_can(row, monkeypatch):
    monkeypatch.setattr(executors, "_pickler", lambda: pickle)
    mine = row(pymath.erf, lambda x, y: m.exp(-x * x))
    x = data(BLOCK + 1)[1]
    late = Late(random.Random(0))
    assert flat(vmap(mine, executor=late)(x)) == flat(vmap(mine)(x))
    other = row(lambda x: x, 1.0)
    with pytest.raises(TypeError, match="pip install cloudpickle"):
        vmap(other, executor=late)(x)


def test_versions_must_agree(monkeypatch):
    program = trace(smooth, [0.1, 0.2], [0.3, 0.4], 0.5)
    text = packed(program, True, False, "native", False)
    monkeypatch.setattr(executors, "_version", lambda: "0.0")
    with pytest.raises(RuntimeError, match=r"a worker has miniflow 0\.0, and is sent a program of"):
        unpacked(text)


def test_without_its_executor_a_function_is_pickled(monkeypatch):
    f = vmap(ops.sin, 0, "sum", executor=Idle())
    twin = pickle.loads(pickle.dumps(f))
    x = data(BLOCK + 1)[1]
    assert flat(twin(x)) == flat(vmap(ops.sin, 0, "sum")(x))


# --- what goes wrong ----------------------------------------------------------------


def test_a_block_that_is_lost():
    x, y = data(5 * BLOCK)
    late = Late(random.Random(0), lost=[2])
    f = vmap(smooth, (None, 0, 0), "sum", executor=late)
    with pytest.raises(RuntimeError, match=r"Late has lost a block .*its worker is gone") as found:
        f([0.1, 0.2], x, y)
    assert isinstance(found.value.__cause__, BrokenExecutor)
    late.lost = ()
    assert flat(f([0.1, 0.2], x, y)) == flat(vmap(smooth, (None, 0, 0), "sum")([0.1, 0.2], x, y))


def test_the_tasks_after_an_error_are_called_off():
    x, y = data(5 * BLOCK)
    late = Late(random.Random(0))
    late.work = lambda: 1 / 0
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        vmap(smooth, (None, 0, 0), executor=late)([0.1, 0.2], x, y)
    assert len(late.waiting) == 1  # the first, which was asked for


def test_an_executor_that_is_shut_down():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match=r"ThreadPoolExecutor has lost .*after shutdown"):
        vmap(ops.sin, executor=pool)(numpy.ones(BLOCK + 1))


@pytest.mark.parametrize("executor", [3, ProcessPoolExecutor, "pool", multiprocessing])
def test_what_is_no_executor(executor):
    with pytest.raises(TypeError, match=r"vmap: executor must be one of concurrent\.futures"):
        vmap(ops.sin, executor=executor)


# --- real ones ------------------------------------------------------------------------


def test_threads_and_processes():
    x, y = data(5 * BLOCK + 7)
    for f in FUNCTIONS.values():
        expected = flat(vmap(value_and_grad(f), (None, 0, 0), "sum")([0.1, 0.2], x, y))
        with ThreadPoolExecutor(3) as threads:
            there = vmap(value_and_grad(f), (None, 0, 0), "sum", executor=threads)
            assert flat(there([0.1, 0.2], x, y)) == expected
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        there = vmap(value_and_grad(f), (None, 0, 0), "sum", executor=pool)
        for _ in range(3):
            assert flat(there([0.1, 0.2], x, y)) == expected
