"""`no_grad` belongs to who entered it: tasks, generators and threads never mute a neighbour."""

import asyncio
import contextlib
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, grad, hessian, jit, jvp, no_grad, trace, vjp, vmap
from miniflow import math as m
from miniflow.tape.core import here
from miniflow.tape.muting import pausable
from support.tape_state import assert_sound


@pytest.fixture(autouse=True)
def nobody_stays_muted():
    """Whatever a test does, afterwards results are recorded."""
    yield
    gc.collect()
    assert pausable == {}
    assert here.table.muted == 0
    a = Value(3.0)
    (a * a + m.sum([a, a])).backward()
    assert a.grad == 8.0
    assert_sound(here.table)


def kinds(a):
    """What every way to record an operation makes of `a`."""
    found = [a * 2, 2 * a, -a, a.sin(), m.sum([a, a]), m.dot([a, a], [a, 1.0]), a + a, a**3]
    return {y.op == "constant" for y in found}


MUTED, RECORDED = {True}, {False}


# --- tasks --------------------------------------------------------------------


def test_a_task_does_not_mute_its_neighbour():
    a = Value(3.0)

    async def quiet():
        with no_grad():
            await asyncio.sleep(0)
            assert kinds(a) == MUTED
            await asyncio.sleep(0)
        return kinds(a)

    async def busy():
        y = a
        for _ in range(1):
            await asyncio.sleep(0)
            y = y * a
        assert kinds(a) == RECORDED
        y.backward()

    async def both():
        return await asyncio.gather(quiet(), busy())

    assert asyncio.run(both())[0] == RECORDED
    assert a.grad == 6.0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=6))
def test_tasks_in_any_order(plans):
    """Each task nests so many blocks, pauses in each, and is muted in them only."""

    async def task(depth, pauses):
        a = Value(1.0)
        for _ in range(pauses):
            await asyncio.sleep(0)
            assert kinds(a) == (RECORDED if depth == 0 else MUTED)
        if depth:
            with no_grad():
                await task(depth - 1, pauses) if depth > 1 else await asyncio.sleep(0)
                assert kinds(a) == MUTED

    async def start(depth, pauses):
        a = Value(1.0)
        assert kinds(a) == RECORDED
        if depth:
            with no_grad():
                await task(depth, pauses)
        await asyncio.sleep(0)
        assert kinds(a) == RECORDED

    async def everybody():
        await asyncio.gather(*[start(*plan) for plan in plans])

    asyncio.run(everybody())
    assert pausable == {}


def test_what_a_muted_task_awaits_is_muted_and_what_it_starts_is_not():
    a = Value(3.0)

    async def child():
        await asyncio.sleep(0)
        return kinds(a)

    async def parent():
        with no_grad():
            return await child(), await asyncio.create_task(child())

    assert asyncio.run(parent()) == (MUTED, RECORDED)


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError, KeyboardInterrupt])
def test_an_exception_ends_it_in_a_task(error):
    async def quiet():
        with no_grad():
            await asyncio.sleep(0)
            raise error

    with pytest.raises(error):
        asyncio.run(quiet())


def test_a_task_that_is_cancelled():
    async def quiet():
        with no_grad():
            await asyncio.sleep(60)

    async def cancel():
        task = asyncio.create_task(quiet())
        await asyncio.sleep(0)
        assert kinds(Value(1.0)) == RECORDED
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())


# --- generators ---------------------------------------------------------------


def numbers(a, count=3):
    with no_grad():
        for _ in range(count):
            assert kinds(a) == MUTED
            yield a * 2


def test_a_generator_does_not_mute_its_consumer():
    a = Value(3.0)
    for x in numbers(a):
        assert x.op == "constant"
        assert kinds(a) == RECORDED
    assert [x.op for x in numbers(a)] == ["constant"] * 3


def test_a_consumer_that_is_muted_itself():
    a = Value(3.0)
    with no_grad():
        for _ in numbers(a):
            assert kinds(a) == MUTED
    for _ in numbers(a):
        with no_grad():
            assert kinds(a) == MUTED
        assert kinds(a) == RECORDED


def test_generators_that_end_in_any_order():
    a = Value(3.0)
    first, second, third = numbers(a), numbers(a), numbers(a)
    assert len([next(g) for g in (first, second, third)]) == 3
    second.close()
    next(first)
    with pytest.raises(ZeroDivisionError):
        first.throw(ZeroDivisionError())
    assert len(pausable) == 1
    next(third)
    del third
    assert pausable == {}


def test_a_generator_in_a_cycle_of_garbage():
    a = Value(3.0)
    g = numbers(a)
    holder = [g]
    holder.append(holder)
    next(g)
    del g, holder
    gc.collect()
    assert pausable == {}


def test_a_generator_that_delegates():
    a = Value(3.0)

    def outer():
        with no_grad():
            yield from inner()
            assert kinds(a) == MUTED

    def inner():
        assert kinds(a) == MUTED
        yield
        assert kinds(a) == MUTED

    for _ in outer():
        assert kinds(a) == RECORDED


def test_asynchronous_generators():
    a = Value(3.0)

    async def items():
        with no_grad():
            for _ in range(2):
                await asyncio.sleep(0)
                assert kinds(a) == MUTED
                yield

    async def consume():
        async for _ in items():
            assert kinds(a) == RECORDED
        unfinished = items()
        await anext(unfinished)
        assert kinds(a) == RECORDED
        await unfinished.aclose()
        dropped = items()
        await anext(dropped)

    asyncio.run(consume())


def test_one_block_for_several():
    """A no_grad() that is entered again and again, here and there."""
    a, quiet = Value(3.0), no_grad()

    def items():
        with quiet:
            yield kinds(a)
            yield kinds(a)

    first, second = items(), items()
    with quiet, quiet:
        assert [next(first), next(second), kinds(a)] == [MUTED] * 3
    assert kinds(a) == RECORDED
    assert next(first) == MUTED
    first.close()
    assert (next(second), kinds(a)) == (MUTED, RECORDED)
    second.close()


# --- contexts made of it --------------------------------------------------------


@contextlib.contextmanager
def made_by_contextlib():
    with no_grad():
        yield


class MadeByHand:
    def __enter__(self):
        self.inner = no_grad()
        self.inner.__enter__()

    def __exit__(self, *exception):
        self.inner.__exit__(*exception)


@contextlib.contextmanager
def stacked():
    with contextlib.ExitStack() as stack:
        stack.enter_context(made_by_contextlib())
        yield


CONTEXTS = {"contextlib": made_by_contextlib, "class": MadeByHand, "stack": stacked}


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_a_context_mutes_the_block_that_it_is_for(context):
    a = Value(3.0)
    with context():
        assert kinds(a) == MUTED
        with no_grad(), context():
            assert kinds(a) == MUTED
        assert kinds(a) == MUTED
    assert kinds(a) == RECORDED
    with pytest.raises(ZeroDivisionError), context():
        raise ZeroDivisionError
    assert kinds(a) == RECORDED


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_such_a_context_in_a_generator_and_in_a_task(context):
    a = Value(3.0)

    def items():
        with context():
            yield kinds(a)
            yield kinds(a)

    for found in items():
        assert (found, kinds(a)) == (MUTED, RECORDED)

    async def task():
        with context():
            await asyncio.sleep(0)
            return kinds(a)

    async def neighbours():
        return await asyncio.gather(task(), asyncio.sleep(0, kinds(a)), task())

    assert asyncio.run(neighbours()) == [MUTED, RECORDED, MUTED]


def test_asynchronous_contexts():
    a = Value(3.0)

    @contextlib.asynccontextmanager
    async def quiet():
        with no_grad():
            await asyncio.sleep(0)
            yield

    async def task():
        async with quiet():
            await asyncio.sleep(0)
            assert kinds(a) == MUTED
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(quiet())
            stack.enter_context(no_grad())
            await asyncio.sleep(0)
            assert kinds(a) == MUTED
        return kinds(a)

    async def neighbour():
        for _ in range(4):
            assert kinds(a) == RECORDED
            await asyncio.sleep(0)

    async def both():
        return await asyncio.gather(task(), neighbour())

    assert asyncio.run(both()) == [RECORDED, None]


# --- threads ------------------------------------------------------------------


def on_a_thread(f, *args):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(f, *args).result()


@pytest.mark.parametrize("end", ["finish", "close", "drop", "throw"])
def test_a_generator_that_goes_on_on_another_thread(end):
    a = Value(3.0)
    g = numbers(a, 2)
    on_a_thread(next, g)
    assert kinds(a) == RECORDED
    here_too = Value(1.0)
    assert next(g).op == "constant"
    assert kinds(here_too) == RECORDED
    if end == "drop":
        del g
    elif end == "finish":
        assert list(g) == []
    elif end == "close":
        on_a_thread(g.close)
    else:
        with pytest.raises(ZeroDivisionError):
            g.throw(ZeroDivisionError())
    assert here.table.muted == on_a_thread(lambda: here.table.muted) == 0
    w = Value(3.0)
    with Tape() as tape:
        y = w * w
    assert tape.gradient(y, w) == 6.0


def test_a_generator_that_runs_on_another_thread_right_now():
    a = Value(3.0)
    inside, leave = threading.Event(), threading.Event()

    def items():
        with no_grad():
            yield
            inside.set()
            assert leave.wait(10)
            assert kinds(Value(1.0)) == MUTED

    g = items()
    next(g)
    thread = threading.Thread(target=list, args=(g,))
    thread.start()
    assert inside.wait(10)
    assert kinds(a) == RECORDED
    leave.set()
    thread.join()


def test_entered_here_and_left_there():
    quiet = no_grad()
    quiet.__enter__()
    assert kinds(Value(1.0)) == MUTED
    on_a_thread(quiet.__exit__, None, None, None)
    assert (here.table.muted, kinds(Value(1.0))) == (0, RECORDED)
    quiet.__exit__(None, None, None)  # once too often
    assert here.table.muted == 0


def test_greenlets():
    greenlet = pytest.importorskip("greenlet")
    a = Value(3.0)

    def quiet():
        with no_grad():
            main.switch()
            assert kinds(a) == MUTED

    main = greenlet.getcurrent()
    other = greenlet.greenlet(quiet)
    other.switch()
    assert kinds(a) == RECORDED
    other.switch()
    assert other.dead


# --- decorated functions --------------------------------------------------------


def test_decorated_generators_and_coroutines():
    a = Value(3.0)

    @no_grad()
    def generator(x):
        """What it is for."""
        got = yield x * 2
        try:
            yield got * 3
        except ZeroDivisionError:
            yield kinds(x)
        return 5

    @no_grad()
    async def coroutine(x):
        await asyncio.sleep(0)
        return kinds(x)

    @no_grad()
    async def asynchronous(x):
        got = yield kinds(x)
        await asyncio.sleep(0)
        try:
            yield (got * 3).op
        except ZeroDivisionError:
            yield kinds(x)

    assert (generator.__name__, generator.__doc__) == ("generator", "What it is for.")
    g = generator(a)
    assert (next(g).op, g.send(a).op, kinds(a)) == ("constant", "constant", RECORDED)
    assert g.throw(ZeroDivisionError()) == MUTED
    with pytest.raises(StopIteration) as end:
        next(g)
    assert end.value.value == 5

    async def use():
        assert await asyncio.gather(coroutine(a), asyncio.sleep(0, kinds(a))) == [MUTED, RECORDED]
        g = asynchronous(a)
        assert await anext(g) == MUTED
        assert kinds(a) == RECORDED
        assert await g.asend(a) == "constant"
        assert await g.athrow(ZeroDivisionError()) == MUTED
        assert [x async for x in g] == []
        closed = asynchronous(a)
        await anext(closed)
        await closed.aclose()

    asyncio.run(use())


def test_decorated_methods_and_objects():
    class Model:
        @no_grad()
        def predict(self, x):
            return x * 2

        @no_grad()
        def several(self, x):
            yield x * 2

        def __call__(self, x):
            yield x * 2

    model, a = Model(), Value(3.0)
    assert model.predict(a).op == "constant"
    for f in (model.several, no_grad()(model.several), no_grad()(model)):
        for x in f(a):
            assert (x.op, kinds(a)) == ("constant", RECORDED)


# --- what records in spite of it --------------------------------------------------


def cube(x):
    return x**3 * 2.0


def derivatives(x):
    """Whether they are right by every road, at 2.0."""
    y, pull = vjp(cube, x)
    slopes = {grad(cube)(x), hessian(cube)(x), jvp(cube, (x,), (1.0,))[1], pull(1.0)[0]}
    programs = {trace(grad(cube), x)(x), jit(grad(cube))(x), vmap(grad(cube))(np.array([x]))[0]}
    return slopes | programs == {24.0} and {y, jit(cube)(x)} == {16.0}


def test_derivatives_in_muted_generators_and_tasks():
    def generator():
        with no_grad():
            for _ in range(2):
                assert derivatives(2.0)
                yield
                assert kinds(Value(1.0)) == MUTED

    for _ in generator():
        assert derivatives(2.0)

    async def task():
        with no_grad():
            await asyncio.sleep(0)
            return derivatives(2.0), grad(cube)(Value(2.0)).__class__

    async def tasks():
        return await asyncio.gather(task(), task())

    assert asyncio.run(tasks()) == [(True, float)] * 2


def test_a_muted_generator_that_goes_on_in_a_function_to_be_differentiated():
    def constants():
        with no_grad():
            while True:
                yield (lambda x: x * x)((yield))  # it keeps nothing

    g = constants()
    next(g)

    def f(x):
        c = g.send(x)
        next(g)
        return c * x

    for differentiate in (grad, lambda f: jit(grad(f)), lambda f: trace(grad(f), 3.0)):
        assert differentiate(f)(3.0) == 9.0
    with no_grad():
        assert grad(f)(3.0) == 9.0
    g.close()


def test_a_generator_that_leaves_its_block_in_such_a_function():
    g = numbers(Value(1.0), 1)
    next(g)

    def f(x):
        assert list(g) == []
        return x * x

    with no_grad():
        assert grad(f)(3.0) == 6.0
        assert kinds(Value(1.0)) == MUTED


def test_a_function_that_is_called_and_leaves_a_block():
    quiet = no_grad()

    def f(x):
        quiet.__exit__(None, None, None)
        return x * x

    quiet.__enter__()
    assert grad(f)(3.0) == 6.0
    assert kinds(Value(1.0)) == RECORDED


def test_no_grad_in_a_coroutine_while_a_function_is_traced():
    """A program computes constants at each call."""

    def f(x):
        def inner():
            with no_grad():
                yield x * x

        return next(inner()) * x

    assert trace(f, 3.0)(2.0) == 8.0
    assert jit(grad(f))(3.0) == grad(f)(3.0) == 9.0
