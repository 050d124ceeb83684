"""A result whose leaves were set since is refused by every sweep; nothing else is."""

import math
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as m
from miniflow import Tape, Value, jit, no_grad, vjp, vmap
from miniflow.micrograd import engine as micrograd
from miniflow.tape.core import here
from support.tape_state import assert_clean

STALE = "was set to .* after this result had been computed"


def ways(y, w, tape):
    """Every sweep by which a gradient of `y` could be asked for."""
    yield y.backward
    yield lambda: tape.gradient(y, w)
    with Tape() as outer:
        yield lambda: outer.gradient(y, w)
    yield lambda: (+y).backward()
    yield lambda: (y * 2.0).backward()
    yield lambda: m.sum([w, y, y, w]).backward()


@pytest.mark.parametrize(
    "f", [lambda w: w * (w * w), lambda w: w * m.exp(w), lambda w: m.dot([w, w], [w, 1.0])]
)
def test_every_sweep_refuses(f):
    w = Value(1.0, label="rate")
    with Tape() as tape:
        y = f(w)
    w.data = 3.0
    for ask in ways(y, w, tape):
        with pytest.raises(RuntimeError, match=r"leaf 'rate' was set to 3\.0 .*forward"):
            ask()
        assert w.grad == 0.0
        assert_clean()
    y.forward()
    y.backward()
    x = Value(3.0)
    f(x).backward()
    assert (y.data, w.grad) == (f(x).data, x.grad)


def test_the_number_that_was_there_is_no_change():
    w = Value(1.5)
    y = w * w
    w.data = 1.5
    y.backward()
    w.data = 2.0
    w.data = 1.5  # and back
    y.backward()
    assert w.grad == 6.0
    zero = Value(0.0)
    z = 1.0 / (zero + 1.0)
    zero.data = 0.0
    z.backward()
    assert zero.grad == -1.0


@pytest.mark.parametrize("number", [math.nan, -0.0])
def test_numbers_that_are_not_equal_to_themselves_or_equal_to_others(number):
    w = Value(number)
    y = m.copysign(2.0, w) * w
    w.data = number
    y.backward()
    w.data = 0.0 if number == 0.0 else 1.0
    with pytest.raises(RuntimeError, match=STALE):
        y.backward()


def test_other_leaves_may_change():
    a, b = Value(2.0), Value(3.0)
    y, z = a * a, b * b
    b.data = 4.0
    y.backward()
    assert a.grad == 4.0
    with pytest.raises(RuntimeError, match=r"set to 4\.0"):
        z.backward()
    (b * b).backward()
    assert b.grad == 8.0


def test_the_leaf_that_was_set_last_is_named():
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    y = a * b
    a.data, b.data = 5.0, 6.0
    y.forward().backward()
    a.data = 7.0
    with pytest.raises(RuntimeError, match="'a'"):
        y.backward()


def test_a_constant_may_be_set_too():
    w, c = Value(2.0), Value(3.0).detach()
    y = w * c
    c.data = 4.0
    with pytest.raises(RuntimeError, match=r"set to 4\.0"):
        y.backward()
    y.forward().backward()
    assert w.grad == 4.0


def test_what_is_recorded_later_of_old_results_is_refused():
    w = Value(2.0)
    old = w * w
    w.data = 3.0
    for k in range(3):
        y = w * old if k else m.where(m.less(old, 5.0), w, -w)  # by a condition, too
        with pytest.raises(RuntimeError, match=STALE):
            y.backward()
    assert w.grad == 0.0
    old.forward()
    (w * old).backward()
    assert w.grad == 27.0


def test_what_was_computed_of_a_result_is_stale_when_that_is_computed_again():
    w = Value(2.0)
    y = w * w
    w.data = 3.0
    z = y * 2.0  # of the old result
    y.forward()
    with pytest.raises(RuntimeError, match=STALE):
        z.backward()
    z.forward().backward()
    assert w.grad == 12.0


def test_a_training_loop_meets_nothing_of_it():
    w, kept = Value(1.0), []
    features = [Value(float(k)) * 2.0 for k in range(3)]
    for _ in range(300):
        loss = m.sum([(w * x - 3.0) ** 2 for x in features])
        w.grad = 0.0
        loss.backward()
        w.data -= 0.01 * w.grad
        kept = [*kept[-5:], loss]
    assert w.data == pytest.approx(3.0 * 6.0 / 20.0)
    for loss in kept[:-1]:
        with no_grad():
            assert loss.data >= 0.0


def test_compactions_forget_nothing(small_table):
    table = small_table()
    w = Value(2.0, label="w")
    y = w * w
    w.data = 3.0
    for _ in range(50):
        [Value(1.0) * 2.0 for _ in range(20)]
        table.compact()
        with pytest.raises(RuntimeError, match="'w'"):
            y.backward()
    z = w * w
    table.compact()
    z.backward()
    assert w.grad == 6.0


def test_entries_that_took_the_place_of_others_are_new(small_table):
    small_table()
    w = Value(2.0)
    for k in range(100):
        y = w * float(k) * w
        del y
        w.data = 3.0 + k
        z = w * w
        w.grad = 0.0
        z.backward()
        assert w.grad == 2 * (3.0 + k)


def test_leaves_of_other_threads(in_thread):
    w = in_thread(lambda: Value(2.0, label="theirs"))
    y = w * w
    in_thread(lambda: setattr(w, "data", 3.0))
    with pytest.raises(RuntimeError, match=r"'theirs' was set to 3\.0"):
        y.backward()
    y.forward().backward()
    assert w.grad == 6.0
    ready, go = threading.Event(), threading.Event()

    def work():
        y = w * w
        ready.set()
        go.wait()
        with pytest.raises(RuntimeError, match="'theirs'"):
            y.backward()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    w.data = 4.0
    go.set()
    thread.join()
    assert w.grad == 6.0


def test_pullbacks_and_higher_orders():
    w = Value(2.0, label="w")
    y, pull = vjp(lambda x: x * w * w, 3.0)
    w.data = 5.0
    with pytest.raises(RuntimeError, match="'w'"):
        pull(1.0)
    with Tape() as tape:
        z = w**3
        slope = tape.gradient(z, w)
    w.data = 2.0
    with pytest.raises(RuntimeError, match="'w'"):
        slope.backward()
    slope.forward().backward()
    assert w.grad == 12.0
    assert y.data == 12.0


@pytest.mark.parametrize("kind", [jit, vmap])
def test_entries_of_compiled_functions(kind):
    w = Value(2.0, label="w")
    f = kind(lambda x: x * w * w)
    y = f(3.0) if kind is jit else m.sum(list(f(np.array([1.0, 2.0]))))
    w.data = 5.0
    with pytest.raises(RuntimeError, match="'w'"):
        y.backward()
    y.forward().backward()
    assert w.grad == 30.0


def test_a_value_that_cannot_be_computed_any_more(row):
    op = row("picky", lambda x: x if x > 0.0 else 1 // 0, lambda x, y: 1.0)
    w = Value(2.0)
    y = op(w)
    w.data = -1.0
    with pytest.raises(RuntimeError, match=STALE):
        y.backward()


def test_micrograd_keeps_its_answer_and_warns_once(monkeypatch):
    monkeypatch.setattr(micrograd, "_warned", False)
    w = micrograd.Value(1.0)
    y = w * (w * w)
    w.data = 3.0
    with pytest.warns(UserWarning, match="computed before data"):
        y.backward()
    assert w.grad == 19.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y.backward()
        for _ in range(3):
            z = w * w
            z.backward()
            w.data -= 0.01


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(-3, 3)), max_size=40))
def test_right_or_refused(steps):
    leaves = [Value(1.0), Value(2.0), Value(-1.0)]
    kept = list(leaves)
    for what, k, number in steps:
        x, y = kept[k % len(kept)], kept[(k + number) % len(kept)]
        if what < 3:
            kept.append([x + y, x * y, m.sin(x)][what])
        elif what == 3:
            leaves[k].data = float(number)
        elif what == 4:
            kept[number % len(kept)].forward()
        else:
            check(kept[number % len(kept)], leaves)


def check(y, leaves):
    """A sweep is right at the present data, or refused."""
    for v in leaves:
        v.grad = 0.0
    try:
        y.backward()
    except RuntimeError as error:
        assert "had been computed" in str(error)  # noqa: PT017
        assert all(v.grad == 0.0 for v in leaves)
        y.forward()
        y.backward()
    found, number = [v.grad for v in leaves], y.data
    for v in leaves:
        v.grad = 0.0
    y.forward()
    y.backward()
    assert (number, found) == (y.data, [v.grad for v in leaves])
    assert not here.table.sweeping


def test_pictures_show_no_slopes_that_are_wrong():
    from viz import draw_dot, play

    w = Value(1.0, label="w")
    with Tape() as tape:
        y = w * w
    w.data = 2.0
    for root in (y, tape):
        with pytest.raises(RuntimeError, match="'w'"):
            draw_dot(root)
    assert draw_dot(y, detail="structure").source.startswith("digraph")
    with pytest.raises(RuntimeError, match="'w'"):
        play(y, "never.html")
    assert "4.0" in draw_dot(y.forward()).source
