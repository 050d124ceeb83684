"""Callbacks, finalizers, signals and other sweeps at any moment leave the tape sound."""

import contextlib
import gc
import itertools
import signal
import threading
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import (
    Tape,
    Value,
    define,
    engine,
    grad,
    hessian,
    hvp,
    jvp,
    ops,
    trace,
    value_and_grad,
    vjp,
)
from miniflow import math as m
from miniflow.tape.core import here
from support.tape_state import assert_sound


def test_backward_inside_of_backward_is_refused(row):
    inner = Value(1.0) * 2
    op = row("nested", lambda x: x, lambda x, y: inner.backward() or 1.0)
    a = Value(1.0)
    b = a * 3
    with pytest.raises(RuntimeError, match="inside of backward"):
        (op(b) + b).backward()
    assert (a.grad, inner.inputs[0].grad) == (0.0, 0.0)
    assert_sound(here.table)
    b.backward()
    inner.backward()
    assert (a.grad, inner.inputs[0].grad) == (3.0, 2.0)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_an_exception_in_a_sweep_adds_nothing(error, steps):
    fail = True

    def slope(x, y):
        if fail:
            raise error
        return 2.0

    op = define("failing", lambda x: 2 * x, slope)
    try:
        a, b = Value(1.0), Value(2.0)
        y = op(a)
        for own in steps:
            y = y * b if own else op(y) + a
        with pytest.raises(error):
            y.backward()
        assert (a.grad, b.grad) == (0.0, 0.0)
        assert_sound(here.table)
        fail = False
        y.backward()
        with Tape() as tape:
            pass
        assert [a.grad, b.grad] == tape.gradient(y, [a, b])
    finally:
        del ops.TABLE["failing"]


def swallowing(f):
    """`f`, whose refusals are nobody's business, as those of a finalizer."""

    def call():
        with contextlib.suppress(RuntimeError):
            f()

    return call


def test_recording_while_others_record(small_table, intrude):
    """Signal handlers and finalizers record in the midst of recording, compacting, growing."""

    def scenario():
        table = small_table(8)
        kept, mine = [], [Value(float(k)) for k in range(5)]

        def action():
            for k in range(5, 12):
                mine.append(Value(float(k)))
            mine.append(mine[2] + 10)
            mine.append(m.sum([mine[1], 2, mine[3], 7.0]))
            mine.append(m.dot([mine[3], 2.0], [3.0, mine[2]]))
            mine.append(mine[4] * mine[2] + mine[7].maximum(3))

        def intruder():
            for k in range(6):
                kept.append(Value(100.0 + k) if k % 2 else m.sum([kept[0], 1, 1]) if k else mine[0])

        def check():
            expected = [*map(float, range(12)), 12.0, 13.0, 13.0, 15.0]
            assert [x.data for x in mine] == expected
            assert [x.data for x in kept] == [0.0, 101.0, 2.0, 103.0, 2.0, 105.0][: len(kept)]
            assert [x.op for x in kept] == ["leaf", "leaf", "sum", "leaf", "sum", "leaf"][
                : len(kept)
            ]
            assert_sound(table)
            mine[-3].backward()
            assert (mine[1].grad, mine[3].grad) == (1.0, 1.0)
            mine[-2].backward()
            assert (mine[2].grad, mine[3].grad) == (2.0, 4.0)

        return action, intruder, check

    assert intrude(scenario) > 10 or engine == "compiled"


def test_compacting_while_others_record_compact_and_sweep(small_table, intrude):
    def scenario():
        table = small_table(8)
        a = Value(3.0, "a")
        [Value(0.0) for _ in range(30)]
        y = a * a
        z = -y
        [Value(0.0) for _ in range(30)]
        kept = []

        def intruder():
            y.backward()
            a.data = 4.0
            y.forward()
            kept.extend(Value(k) for k in range(9))
            kept[3].label = "three"
            z.grad = 5.0
            table.compact()

        def check():
            table.compact()
            intruded = bool(kept)
            assert (a.data, a.grad, y.data) == ((4.0, 6.0, 16.0) if intruded else (3.0, 0.0, 9.0))
            assert (a.label, z.grad) == ("a", 5.0 if intruded else 0.0)
            assert [x.data for x in kept] == list(range(len(kept)))
            assert not kept or kept[3].label == "three"
            assert z.inputs[0] is y
            assert_sound(table)

        return table.compact, intruder, check

    intrude(scenario)


def test_sweeping_while_others_record_and_compact(small_table, intrude):
    def scenario():
        table = small_table(8)
        [Value(0.0) for _ in range(5)]
        a = Value(3.0)
        y = a * a + m.sum([a, a, a])
        kept = []

        def intruder():
            kept.extend(Value(k) for k in range(40))
            table.compact()

        def check():
            assert a.grad == 9.0
            assert [x.grad for x in kept] == [0.0] * len(kept)
            assert_sound(table)

        return y.backward, intruder, check

    intrude(scenario)


def test_sweeping_while_others_trace(small_table, intrude):
    """A leaf's gradient is its own even if the rows of a program are dropped meanwhile."""

    def scenario():
        table = small_table(8)
        kept = [Value(3.0)]
        kept.append(kept[0] * kept[0])

        def check():
            assert kept[0].grad == 6.0
            kept.clear()
            assert Value(5.0).grad == 0.0
            assert_sound(table)

        return lambda: kept[1].backward(), lambda: trace(lambda x: 2 * x, 1.0), check

    intrude(scenario)


def test_sweeping_while_others_sweep(small_table, intrude):
    """A second sweep in the midst of a first is refused, or counts; neither spoils the other."""

    def scenario():
        table = small_table(64)
        a, b = Value(3.0), Value(5.0)
        y, z = a * b, a * 100 + b * 1000
        done = []

        def intruder():
            with contextlib.suppress(RuntimeError):
                z.backward()
                done.append(1)

        def check():
            assert (a.grad, b.grad) == (5.0 + 100 * len(done), 3.0 + 1000 * len(done))
            assert_sound(table)

        return y.backward, intruder, check

    intrude(scenario)


def square_and_product(a):
    (value, aux), slope = value_and_grad(lambda x: (x * x, a * x), has_aux=True)(2.0)
    return value, aux.data, slope


def swept(a, y):
    """The gradient of y + 2a, by backward()."""
    (y + 2 * a).backward()
    return a.grad


def pushed(a):
    """d/da (4a + 4a^2) through a jvp whose point and direction depend on a."""
    value, slope = jvp(lambda x: x * x * a, (2.0,), (a,))
    with Tape() as tape:
        pass
    return tape.gradient(value + slope, a)


ANSWERS = {
    "gradient": (lambda a, y, tape: tape.gradient(y, a), 7.0),
    "entries": (lambda a, y, tape: [entry.value for entry in tape], [3.0, 9.0, 12.0]),
    "inputs": (lambda a, y, tape: y.inputs[1] is a, True),
    "forward": (lambda a, y, tape: y.forward().data, 12.0),
    "backward": (lambda a, y, tape: swept(a, y), 9.0),
    "grad": (lambda a, y, tape: grad(lambda x: x * x * a)(a).data, 18.0),
    "plain": (lambda a, y, tape: repr(grad(lambda x: x * x)(2.0)), "4.0"),
    "second": (lambda a, y, tape: grad(grad(lambda x: x**3))(2.0), 12.0),
    "hvp": (lambda a, y, tape: hvp(lambda x: x * x * a, (2.0,), (1.0,)).data, 6.0),
    "hessian": (lambda a, y, tape: hessian(lambda v: v[0] * v[1])([3.0, 2.0]), [[0, 1], [1, 0]]),
    "vjp": (lambda a, y, tape: vjp(lambda x, z: (x * z, x), 2.0, 5.0)[1]((1, 10)), (15.0, 2.0)),
    "jvp": (lambda a, y, tape: pushed(a), 28.0),
    "aux": (lambda a, y, tape: square_and_product(a), (4.0, 6.0, 4.0)),
}


@pytest.mark.parametrize(("ask", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_answers_are_right_while_others_record_and_compact(small_table, intrude, ask, answer):
    """Row numbers are looked up and used in one go: else gradients come out wrong, or 0."""

    def scenario():
        table = small_table(8)
        [Value(0.0) for _ in range(25)]
        with Tape() as tape:
            a = Value(3.0)
            y = m.sum([a * a, a])
        kept, found = [], []

        def intruder():
            kept.extend(Value(k) * 2 for k in range(12))
            table.compact()

        def check():
            assert found == [answer]
            assert [x.data for x in kept] == [2 * k for k in range(len(kept))]
            assert_sound(table)

        return (lambda: found.append(ask(a, y, tape))), intruder, check

    intrude(scenario)


def interrupt():
    raise KeyboardInterrupt


def test_an_interrupted_backward_adds_all_or_nothing(small_table, break_off):
    def scenario():
        table = small_table(8)
        a, b = Value(3.0), Value(5.0)
        y = m.sum([a * b, a, m.where(a, b, 1)])

        def check():
            assert (a.grad, b.grad) in ((0.0, 0.0), (6.0, 4.0))
            assert_sound(table)
            a.grad = b.grad = 0.0
            y.backward()
            assert (a.grad, b.grad) == (6.0, 4.0)

        return y.backward, interrupt, check

    break_off(scenario)


def test_an_interrupted_forward_does_all_or_nothing(small_table, break_off):
    def scenario():
        table = small_table(8)
        a = Value(3.0)
        y = a * a
        z = y + 1
        a.data = 4.0

        def check():
            assert (y.data, z.data) in ((9.0, 10.0), (16.0, 17.0))
            assert_sound(table)
            assert z.forward().data == 17.0

        return z.forward, interrupt, check

    break_off(scenario)


LOOKS = {
    "inputs": lambda y, a, tape: y.inputs,
    "gradient": lambda y, a, tape: tape.gradient(y, a),
    "list": lambda y, a, tape: list(tape),
    "grad": lambda y, a, tape: grad(lambda x: x * a * 2)(a),
    "record": lambda y, a, tape: m.sum([y, 1, a, 2]),
    "compact": lambda y, a, tape: here.table.compact(),
    "many": lambda y, a, tape: [Value(k) for k in range(40)],
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_an_interrupt_anywhere_leaves_the_table_sound(small_table, break_off, look):
    def scenario():
        table = small_table(8)
        [Value(0.0) for _ in range(5)]
        with Tape() as tape:
            a = Value(3.0, "a")
            y = m.sum([a * a, a])

        def check():
            assert_sound(table)
            assert (a.data, y.data, a.grad, a.label) == (3.0, 12.0, 0.0, "a")
            table.compact()
            y.backward()
            assert a.grad == 7.0

        return (lambda: look(y, a, tape)), interrupt, check

    break_off(scenario)


@pytest.mark.skipif(
    not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread(),
    reason="needs POSIX signals",
)
def test_a_signal_at_a_random_moment_spoils_nothing(small_table):
    table = small_table(64)
    a, b = Value(3.0), Value(0.5)
    y = a
    for _ in range(30):
        y = m.sum([y * b, a, 1.0])
    y.backward()
    a_once, b_once = a.grad, b.grad
    previous = signal.signal(signal.SIGALRM, lambda *_: interrupt())
    try:
        for k in range(300):
            a.grad = b.grad = 0.0
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 * (1 + k % 60))
                y.backward()
                [m.sum([a, 1.0, b, x]) for x in range(20)]
                y.forward()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                pass
            assert (a.grad, b.grad) in ((0.0, 0.0), (a_once, b_once))
            assert_sound(table)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert table.capacity < 2000


def test_compacting_while_others_replay(small_table, intrude):
    """What forward() computes in between is not overwritten by older numbers."""

    def scenario():
        table = small_table(8)
        [Value(0.0) for _ in range(25)]
        x = Value(1.0)
        y = x * 2
        z = y + 1
        [Value(0.0) for _ in range(25)]
        x.data = 5.0
        done = []

        def intruder():
            done.append(z.forward())

        def check():
            assert (y.data, z.data) == ((10.0, 11.0) if done else (2.0, 3.0))
            assert_sound(table)

        return table.compact, intruder, check

    assert intrude(scenario) > 1 or engine == "compiled"


def test_a_callback_finds_nothing_of_what_is_going():
    """A Value whose weak references are told is neither found nor used twice."""
    found = []

    def look(_):
        found.extend(x for x in gc.get_objects() if type(x) is Value and x.data == 1234.5)

    v = Value(1234.5)
    reference = weakref.ref(v, look)
    del v
    a, b = Value(2.0), Value(3.0)
    assert (reference(), found) == (None, [])
    assert a is not b
    assert (a.data, b.data) == (2.0, 3.0)


class Cycle:
    """Garbage that only the collector finds, and that then runs `f`."""

    def __init__(self, f):
        self.me, self.f = self, f

    def __del__(self):
        self.f()


@contextlib.contextmanager
def collecting_after(allocations):
    """The collector runs whenever there are so many more objects than before."""
    gc.collect()
    before = gc.get_threshold()
    gc.set_threshold(allocations)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.collect()


@pytest.mark.parametrize("allocations", [1, *range(2, 60, 3)])
def test_finalizers_that_record(small_table, allocations):
    table = small_table(8)
    kept = []

    def record():
        a = Value(2.0)
        kept.append(m.sum([a, 1.0, a, 2]))
        for _ in range(10):
            Value(9.0)

    with collecting_after(allocations):
        a, y = Value(1.0), Value(0.0)
        for k in range(60):
            if k % 4 == 0:
                Cycle(swallowing(record))
            y = y + m.sum([a, float(k), 1])
        y.backward()
    assert y.data == sum(range(60)) + 120.0
    assert a.grad == 60.0
    assert [x.data for x in kept] == [7.0] * 15
    for x in kept:
        x.backward()
        assert x.inputs[0].grad == 2.0
    assert_sound(table)


@pytest.mark.parametrize("allocations", [1, *range(2, 60, 3)])
def test_finalizers_that_sweep(small_table, allocations):
    table = small_table(8)
    a = Value(3.0)
    done = []

    def sweep():
        (a * 100).backward()
        done.append(1)

    with collecting_after(allocations):
        for _ in range(30):
            Cycle(swallowing(sweep))
            m.sum([a * 2, a, 1.0]).backward()
            [Value(0.0) for _ in range(7)]
    assert a.grad == 90.0 + 100 * len(done)
    assert_sound(table)


def test_a_finalizer_of_a_leaf_records(small_table):
    small_table(8)
    kept = []
    for k in range(40):
        weakref.finalize(Value(k), lambda: kept.append(Value(7.0) * 2))
    here.table.compact()
    assert [y.data for y in kept] == [14.0] * 40
    assert len({y.inputs[0] for y in kept}) == 40


def test_a_finalizer_that_runs_as_compaction_drops_what_it_hangs_on(small_table, in_thread):
    """The last reference to another thread's leaf, or to an operation, is the table's."""
    table = small_table(8)
    kept, others = [], [Value(float(k)) for k in range(4)]
    w = in_thread(lambda: Value(5.0))
    weakref.finalize(w, lambda: kept.append(Value(99.0)))
    for _ in range(4):
        w * 2.0
    del w
    table.compact()
    later = [Value(10.0 + k) for k in range(3)]
    assert [x.data for x in kept + others + later] == [99.0, 0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0]
    assert len({x._entry for x in kept + others + later}) == 8
    assert_sound(table)


def test_a_finalizer_of_an_operation_that_compaction_drops(small_table):
    table = small_table(8)
    kept, others = [], [Value(float(k)) for k in range(3)]

    def slope(x, y):
        return 1.0

    weakref.finalize(slope, lambda: kept.append(Value(99.0)))
    define("passing", lambda x: x, slope)(others[0])
    del ops.TABLE["passing"], slope
    for _ in itertools.repeat(None, 40):
        others[1] * others[2]
    table.compact()
    later = [Value(10.0 + k) for k in range(3)]
    everything = kept + others + later
    assert [x.data for x in everything[-6:]] == [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]
    assert len({x._entry for x in everything}) == len(everything)
    assert_sound(table)
