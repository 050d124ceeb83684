"""Programs replayed by the engine: backend "tape", and "auto" before machine code is ready."""

import functools
import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, define, grad, hessian, jit, ops, trace, value_and_grad
from miniflow import math as m
from miniflow.compiled import evaluators, paths
from miniflow.compiled.evaluators import Replayed
from miniflow.ops import TABLE
from miniflow.program.ir import PathError
from support.expressions import micrograd_readme
from support.strategies import several

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-300, 5e-324, -5e-324, 1e300, math.inf, -math.inf]
SPECIAL += [math.nan, 2.0**53, 0.1, -3.0, 700.0]
number = st.floats() | st.sampled_from(SPECIAL)


def same(a, b):
    return [x.hex() for x in a] == [x.hex() for x in b]  # NaNs are one


@functools.cache
def recorded(op, count):
    return trace(lambda *xs: op(*xs), *[0.5] * count)


def huber(x, width):
    return x * x / 2 if abs(x) < width else width * (abs(x) - width / 2)


@pytest.mark.parametrize("op", TABLE.values(), ids=lambda op: op.name)
@given(data=st.data())
def test_every_row_is_replayed_bit_for_bit(op, data):
    count = op.arity if op.arity > 0 else 4
    xs = data.draw(several(number, count))
    program = recorded(op, count)
    expected = ops.real(op.value(*xs))
    assert same(Replayed(program)(xs), [expected])
    assert same(program.evaluate(xs), [expected])


def mixture(x, y):
    return m.tanh(x * y) + m.sum([x, y, 1.0]) * m.dot([x, y], [y, 3.0]) / m.where(x, y, 2.0)


SLOPES = value_and_grad(mixture, (0, 1))


@given(st.tuples(number, number))
def test_a_derivative_is_replayed_bit_for_bit(xs):
    program = recorded(SLOPES, 2)
    assert same(Replayed(program)(list(xs)), program.evaluate(list(xs)))


def test_guards_are_checked_in_their_order():
    def f(x, y):
        if x < 1.0:
            y = y * 2.0
        if y <= 4.0:
            y = y + x
        return y if x == 0.5 else -y

    replayed = Replayed(trace(f, 0.5, 1.0))
    assert replayed([0.5, 2.0]) == [4.5]
    for xs, guard in (([1.0, 9.0], 0), ([0.5, 2.1], 1), ([0.25, 0.0], 2), ([math.nan, 0.0], 0)):
        with pytest.raises(PathError, match=f"guard {guard} ") as caught:
            replayed(xs)
        assert caught.value.guard == guard


def test_a_program_without_instructions():
    assert Replayed(trace(lambda x: x, 2.0))([3.0]) == [3.0]
    assert Replayed(trace(lambda x: 1.5, 2.0))([3.0]) == [1.5]
    assert Replayed(trace(lambda x: [], 2.0))([3.0]) == []


def test_a_users_row_that_raises_leaves_nothing_behind():
    def fragile(x):
        if x > 1.0:
            raise ValueError("too much")
        return x

    op = define("fragile_here", fragile, 1.0)
    try:
        replayed = Replayed(trace(lambda x: op(x) * 2.0, 0.5))
        assert replayed([0.25]) == [0.5]
        with pytest.raises(ValueError, match="too much"):
            replayed([2.0])
        assert replayed([0.25]) == [0.5]
    finally:
        del TABLE["fragile_here"]


def test_the_backend_agrees_with_eager_code_in_every_mode():
    f = jit(huber, backend="tape")
    for x in (0.3, -0.3, 5.0, -5.0, 1.0, -0.0):
        assert f(x, 1.0) == huber(x, 1.0)
        assert grad(f)(x, 1.0) == grad(huber)(x, 1.0)
        assert jit(grad(huber), backend="tape")(x, 1.0) == grad(huber)(x, 1.0)
    a, b = Value(-4.0), Value(2.0)
    y = jit(micrograd_readme, backend="tape")(a, b)
    y.backward()
    assert (round(y.data, 4), round(a.grad, 4), round(b.grad, 4)) == (24.7041, 138.8338, 645.5773)
    bowl = jit(lambda v: v[0] ** 2 * v[1], backend="tape")
    assert hessian(bowl)([3.0, 2.0]) == [[4.0, 6.0], [6.0, 0.0]]


def set_both(monkeypatch, name, value):
    """For paths, and for what is derived from them."""
    for module in (evaluators, paths):
        monkeypatch.setattr(module, name, value)


def test_the_backend_compiles_nothing(monkeypatch):
    set_both(monkeypatch, "in_background", None)
    monkeypatch.setattr(evaluators.Evaluator, "_compile", None)
    f = jit(huber, backend="tape")
    assert [f(x, 1.0) for x in [0.5] * 20] == [0.125] * 20
    assert f.ready(0)


def test_auto_answers_before_anything_is_compiled(monkeypatch):
    jobs = []
    set_both(monkeypatch, "in_background", jobs.append)
    f = jit(huber)
    assert [f(x, 1.0) for x in (0.5, 0.5, -3.0, 0.25)] == [0.125, 0.125, 2.5, 0.03125]
    assert len(jobs) == 1  # of the path that has been called often
    assert [f(-3.0, 1.0) for _ in range(5)] == [2.5] * 5
    assert len(jobs) == 2
    for job in jobs:
        job()
    assert f.ready(60)
    assert [f(x, 1.0) for x in (0.5, -3.0)] == [0.125, 2.5]


def test_auto_compiles_the_path_that_leads_to_another_one_first(monkeypatch):
    jobs = []
    set_both(monkeypatch, "in_background", jobs.append)
    f = jit(huber)
    f(0.5, 1.0)
    for _ in range(10):
        f(-3.0, 1.0)
    for job in jobs:
        job()
    (cache,) = f.caches.values()
    assert [path.builtin is not None for path in cache.specializations] == [True, True]
    assert [f(x, 1.0) for x in (0.5, -3.0)] == [0.125, 2.5]


def test_auto_replays_what_is_too_large(monkeypatch):
    monkeypatch.setattr(evaluators, "LARGEST", 10)
    set_both(monkeypatch, "in_background", None)
    f = jit(lambda x: m.prod([x + k for k in range(50)]))
    g = jit(lambda x: m.prod([x + k for k in range(50)]), backend="source")
    assert [f(0.5) for _ in range(20)] == [g(0.5)] * 20
    assert f.ready(0)


def test_an_unknown_backend_is_refused():
    with pytest.raises(
        ValueError, match="backend must be one of auto, native, source, tape, got 'c'"
    ):
        jit(huber, backend="c")


def test_threads_replay_the_same_program():
    f = jit(lambda x: m.sin(x) * x + m.exp(-x * x), backend="tape")
    expected = [f(k / 7) for k in range(50)]
    wrong = []

    def run():
        for _ in range(20):
            if [f(k / 7) for k in range(50)] != expected:
                wrong.append(1)

    threads = [threading.Thread(target=run) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert wrong == []
