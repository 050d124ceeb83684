"""Tiers: the first answers at once, the second takes its place."""

import math
import threading
import warnings
from types import BuiltinFunctionType

import numpy as np
import pytest

from miniflow import jit
from miniflow import math as m
from miniflow.native import machine, tiers
from support.machine_code import at_the_bench, bits


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
    monkeypatch.setattr(machine, "compiled", interrupted)
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
    monkeypatch.setattr(tiers.worker, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        [f(1.0) for _ in range(100)]
    assert [f(1.0), f(-3.0)] * 10 == [2.0, -1.0] * 10
    assert f.ready(60)
    assert type(f.shortcut) is BuiltinFunctionType


def test_no_job_is_left_where_the_start_of_the_thread_is_interrupted(monkeypatch):
    """Python waits there until the thread has begun; Ctrl-C may come then."""
    worker, start, done = tiers.Worker(), threading.Thread.start, threading.Event()

    def interrupted(thread):
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.put(lambda: None)
    monkeypatch.undo()
    worker.put(done.set)
    assert done.wait(60)


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


@pytest.mark.parametrize(("where", "name"), [(machine, "compiled"), (tiers, "Library")])
def test_optimising_that_fails_stops_nothing(where, name, monkeypatch):
    """The first tier goes on, ready() comes back, and others are optimised all the same."""
    failing, original = [], getattr(where, name)

    def broken(*args):
        # the background's calls alone: the first tier is made on this thread
        if threading.current_thread() is not threading.main_thread() and not failing:
            failing.append(args)
            raise BrokenError("no such instruction")
        return original(*args)

    with monkeypatch.context() as patch, warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        patch.setattr(where, name, broken)
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
