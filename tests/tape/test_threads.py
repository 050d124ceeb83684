"""Threads: each records on its own tape, leaves are shared, nothing is half differentiated."""

import gc
import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, grad, jvp, no_grad, value_and_grad, vjp
from miniflow import math as m
from miniflow.tape.core import here
from support.threads import run_all

pytestmark = pytest.mark.usefixtures("hasty")
REFUSAL = r"another thread.*\.data"


def test_each_thread_has_its_tape(in_thread):
    Value(1.0)
    assert in_thread(lambda: here.table) is not here.table
    assert in_thread(lambda: here.table.count) == 0


# --- shared leaves ------------------------------------------------------------


def test_shared_leaves_accumulate_exactly():
    """Many threads feed the same two leaves; whole numbers show a single lost addition."""
    w, b = Value(3.0), Value(4.0)

    def job(k):
        for _ in range(100):
            (w * k + b * w + b).backward()

    run_all([lambda k=k: job(float(k)) for k in range(8)])
    assert w.grad == 100 * sum(range(8)) + 800 * 4
    assert b.grad == 800 * 3 + 800


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=5), st.integers(-9, 9))
def test_a_foreign_leaf_is_a_leaf(in_thread_always, xs, x):
    w = Value(float(x))

    def job():
        y = m.sum([w * k + w for k in xs]) + w * w
        y.backward()
        return y.data, y.inputs[1].inputs

    value, inputs = in_thread_always(job)
    assert value == x * (sum(xs) + len(xs)) + x * x
    assert w.grad == sum(xs) + len(xs) + 2 * x
    assert all(v is w for v in inputs)


@pytest.fixture(scope="module")
def in_thread_always():
    """`in_thread` for tests with many examples."""

    def call(f):
        results = []
        run_all([lambda: results.append(f())])
        return results[0]

    return call


def test_a_foreign_leaf_counts_forward_anew(in_thread):
    w = Value(2.0)

    def job():
        y = w * w + 1
        w.data = 5.0
        y.forward().backward()
        return y.data

    assert in_thread(job) == 26.0
    assert w.grad == 10.0


def test_backward_and_forward_of_a_foreign_leaf_itself(in_thread):
    w = Value(2.0)
    assert in_thread(lambda: w.forward()) is w
    in_thread(w.backward)
    assert w.grad == 1.0


def test_a_thread_ends_and_its_leaf_lives_on(in_thread):
    w = in_thread(lambda: Value(3.0, "w"))
    for _ in range(3):
        (w * w).backward()
    assert (w.data, w.grad, w.label) == (3.0, 18.0, "w")
    w.data, w.grad, w.label = 4, 0, "v"
    (w * 2 + w).backward()
    assert (w.data, w.grad, w.label) == (4.0, 3.0, "v")


def test_a_foreign_constant_gets_no_gradient_that_matters(in_thread):
    with no_grad():
        c = Value(3.0) * 2
    x = in_thread(lambda: grad(lambda x: x * c)(1.0))
    assert x == 6.0
    assert in_thread(lambda: c.detach().data) == 6.0


def test_a_foreign_leaf_outlives_compactions_of_both_threads(in_thread):
    w = Value(3.0)

    def job():
        y = w * w
        for _ in range(30_000):
            Value(0.0)
        here.table.compact()
        y.backward()
        return y.inputs[0] is w

    for _ in range(30_000):
        Value(0.0)
    assert in_thread(job)
    here.table.compact()
    assert w.grad == 6.0


# --- gradients with respect to foreign leaves ---------------------------------


def test_tape_gradient_with_respect_to_a_foreign_leaf(in_thread):
    [Value(0.0) for _ in range(7)]  # so that row numbers differ
    w, u = Value(3.0), Value(5.0)

    def job():
        a = Value(2.0)
        y = a * w * w + u
        with Tape() as tape:
            pass
        return tape.gradient(y, [w, a, u]), tape.gradient(a * 2, w), w.grad

    assert in_thread(job) == ([12.0, 9.0, 1.0], 0.0, 0.0)


def test_tape_gradient_of_a_foreign_leaf(in_thread):
    w = Value(3.0)

    def job():
        [Value(0.0) for _ in range(9)]
        a = Value(1.0)
        with Tape() as tape:
            pass
        return tape.gradient(w, [a, w])

    assert in_thread(job) == [0.0, 1.0]


def test_transforms_do_not_lose_a_foreign_leaf_that_f_closes_over(in_thread):
    w = Value(3.0)

    def job():
        y, slope = value_and_grad(lambda x: x * w)(2.0)
        (y + slope * 10).backward()
        value, _ = jvp(lambda x: (x * w, w), (2.0,), (1.0,))[0]
        value.backward()
        vjp(lambda x: w, 2.0)[0].backward()
        both = grad(lambda x, y: x * y * y, argnums=(0, 1))(2.0, w)
        both[0].backward()

    in_thread(job)
    assert w.grad == (2 + 10) + 2 + 1 + 6


# --- what is refused ----------------------------------------------------------

USES = {
    "infix": lambda y: y + 1,
    "number first": lambda y: 2.0 * y,
    "with own": lambda y: Value(1.0) * y,
    "unary": lambda y: -y,
    "function": m.sin,
    "wide": lambda y: m.sum([y, 1.0, 2.0]),
    "where": lambda y: m.where(y, 1.0, Value(2.0)),
    "backward": lambda y: y.backward(),
    "forward": lambda y: y.forward(),
    "gradient": lambda y: Tape().gradient(y, Value(1.0)),
    "source": lambda y: Tape().gradient(Value(1.0) * 2, y),
    "grad": lambda y: grad(lambda x: x * y)(1.0),
    "input": lambda y: grad(lambda x: x * 2)(y),
    "output": lambda y: grad(lambda x: y)(1.0),
    "mute": lambda y: no_grad()(lambda: y * 2)(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_computed_value_of_another_thread_is_refused(in_thread, use):
    a = Value(3.0)
    y = a * 2

    def job():
        before = here.table.count
        with pytest.raises(RuntimeError, match=REFUSAL):
            use(y)
        assert here.table.count <= before + 6  # operands, a Tape's bounds: nothing of y
        assert (here.table.muted, here.table.held, here.table.sweeping) == (0, 0, False)

    in_thread(job)
    assert a.grad == 0.0
    y.backward()
    assert a.grad == 2.0


def test_a_computed_value_can_be_read_and_detached_elsewhere(in_thread):
    y = Value(3.0) * 2
    assert in_thread(lambda: (y.data, y.op, y == 6.0, f"{y:.1f}", len(y.inputs))) == (
        6.0, "mul", True, "6.0", 2,
    )  # fmt: skip
    assert in_thread(lambda: grad(lambda x: x * y.detach())(1.0)) == 6.0


def test_a_pullback_belongs_to_its_thread(in_thread):
    _, pullback = vjp(lambda a, b: a * b, 2.0, 5.0)

    def job():
        [Value(float(k)) * 2 for k in range(50)]
        with pytest.raises(RuntimeError, match="another thread"):
            pullback(1.0)

    in_thread(job)
    assert pullback(1.0) == (5.0, 2.0)


def test_an_own_value_computed_from_a_foreign_leaf_is_refused_there(in_thread):
    w = Value(3.0)
    y = in_thread(lambda: w * 2)
    with pytest.raises(RuntimeError, match=REFUSAL):
        y + w
    assert w.grad == 0.0


@pytest.mark.parametrize("use", [lambda y: y * y, lambda y: y + 1.0, lambda y: 1.0 - y, m.exp])
def test_what_an_ended_thread_computed_is_nobodys(in_thread, use):
    """Not even a thread's that begins with it, and may have the place of the one that has ended."""
    y = in_thread(lambda: Value(3.0) * 2)

    def refused():
        with pytest.raises(RuntimeError, match=REFUSAL):
            use(y)

    for _ in range(5):
        in_thread(refused)
    assert y.data == 6.0


def test_no_grad_is_of_its_thread(in_thread):
    with no_grad():
        assert in_thread(lambda: (Value(3.0) * 2).op) == "mul"
        assert (Value(3.0) * 2).op == "constant"


# --- at the same time ---------------------------------------------------------


def test_others_read_and_feed_leaves_while_their_tape_compacts(small_table):
    """The owner's rows move all the time; whoever reads or feeds a leaf meets the right row."""
    table = small_table(8)
    leaves = [Value(float(k), f"leaf {k}") for k in range(20)]
    done = threading.Event()
    wrong = []

    def reader():
        while not done.is_set():
            wrong.extend(v for k, v in enumerate(leaves) if (v.data, v.label) != (k, f"leaf {k}"))

    def feeder():
        for _ in range(60):
            for k, v in enumerate(leaves):
                (v * float(k)).backward()

    def finish():
        run_all([feeder] * 4)
        done.set()

    others = [threading.Thread(target=f) for f in (reader, finish)]
    for thread in others:
        thread.start()
    spin(table, done)
    for thread in others:
        thread.join()
    assert wrong == []
    assert [v.grad for v in leaves] == [240.0 * k for k in range(20)]


def spin(table, done):
    """Record and compact until the others are done."""
    kept = []
    while not done.is_set():
        kept.append(Value(0.0) * 2)
        del kept[:-5]
        [Value(1.0) for _ in range(20)]
        table.compact()


def test_others_look_at_inputs_while_the_tape_compacts(small_table):
    table = small_table(8)
    graph = [three(k) for k in range(10)]
    done, wrong = threading.Event(), []

    def look():
        try:
            for _ in range(5000):
                for k in range(10):
                    if [x.data for x in graph[k].inputs] != [k, k + 1, k + 2]:
                        wrong.append(k)
        except BaseException as error:
            wrong.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=look)
    thread.start()
    for k in itertools.cycle(range(10)):
        if done.is_set():
            break
        [Value(0.0) for _ in range(7)]
        graph[k] = three(k)  # what stays moves: older rows have gone
        table.compact()
    thread.join()
    assert wrong == []


def three(k):
    return m.sum([Value(k), Value(k + 1), Value(k + 2)])


def test_threads_that_finalizers_stop_in_the_midst_of_an_addition():
    """The collector may run in any allocation, a finalizer may let another thread go on."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(1, 1 << 30, 1 << 30)
    try:
        for _ in range(150):
            leaves = [Value(float(k)) for k in range(20)]
            run_all([lambda leaves=leaves: feed(leaves)] * 3)
            assert [v.grad for v in leaves] == [3.0 * k for k in range(20)]
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def feed(leaves):
    for k, v in enumerate(leaves):
        Slow()
        (v * float(k)).backward()


class Slow:
    """Garbage whose finalizer gives other threads time."""

    def __init__(self):
        self.me = self

    def __del__(self):
        [None for _ in range(3)]


def test_own_and_foreign_gradients_meet_in_one_leaf():
    w = Value(2.0)

    def job():
        for _ in range(200):
            (w * 3.0).backward()

    def own():
        thread = threading.Thread(target=job)
        thread.start()
        for _ in range(200):
            (w * 5.0).backward()
        thread.join()

    own()
    assert w.grad == 200 * 8


def test_backward_of_a_shared_leaf_itself_by_many_threads():
    w = Value(2.0)

    def job():
        for _ in range(200):
            w.backward()
            (w * 2).backward()

    run_all([job] * 6)
    job()
    assert w.grad == 7 * 200 * 3
