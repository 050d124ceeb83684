"""Threads that call, record and swap one compiled function."""

import functools
import random
import threading

import pytest

from miniflow import Value
from miniflow import math as m
from support.jitted import eager, slopes
from support.machine_code import bits
from support.profiles import scaled
from support.scripts import python
from support.threads import run_all


def steps(x, y):
    for k in range(6):
        if x < k:
            return m.sin(x * k) + y
        y = y * 0.9 if y > k else y + x
    return x * y


def test_threads_call_one_function(compiled, hasty):
    """Paths are found, recorded, linked and swapped while others run them."""
    g = compiled(steps)
    expected = {
        (x / 2, y / 2): bits(eager(steps, x / 2, y / 2)) for x in range(-2, 14) for y in (-3, 1, 9)
    }
    partials = {xs: bits(slopes(steps, *xs)) for xs in list(expected)[::7]}

    def job(seed):
        rng = random.Random(seed)
        for _ in range(4):
            for xs in rng.sample(list(expected), len(expected)):
                assert bits(g(*xs)) == expected[xs]
            for xs in rng.sample(list(partials), len(partials)):
                assert bits(slopes(g, *xs)) == partials[xs]
            assert bits(g(0, 2)) == bits(eager(steps, 0.0, 2.0))

    run_all([functools.partial(job, k) for k in range(8)])
    assert g.ready(60)
    assert [bits(g(*xs)) for xs in expected] == list(expected.values())


def test_threads_meet_a_path_for_the_first_time(compiled, hasty):
    """It is recorded once, whoever comes first."""
    for _ in range(10):
        recorded = []

        def f(x, recorded=recorded):
            recorded.append(1)
            return x * 2 if x > 0 else -x

        g = compiled(f)

        def job(g=g):
            assert (g(1.0), g(-1.0)) == (2.0, 1.0)

        run_all([job] * 6)
        assert len(recorded) == 2


def test_threads_with_a_shared_parameter(compiled, hasty):
    w = Value(3.0)
    g = compiled(lambda x: x * w if x > 0 else x - w)

    def job():
        for k in range(1, 21):
            g(float(k)).backward()
            g(Value(-1.0)).backward()

    run_all([job] * 8)
    assert w.grad == 8 * (210 - 20)


def test_a_recording_in_one_thread_leaves_the_others_alone(compiled):
    """While f is recorded here, others call what is compiled already, and record themselves."""
    g, going, done = compiled(lambda x: x * 3), threading.Event(), threading.Event()
    assert g(1.0) == 3.0
    found = []

    def slow(x):
        going.set()
        assert done.wait(20)
        return g(x) + 1

    outer = compiled(slow)
    thread = threading.Thread(target=lambda: found.append(outer(2.0)))
    thread.start()
    assert going.wait(20)
    a = Value(2.0)
    g(a).backward()
    assert (a.grad, g(4.0), compiled(lambda x: x - 1)(1.0)) == (3.0, 12.0, 0.0)
    done.set()
    thread.join()
    assert found == [7.0]


SWAPPING = """
    import sys, threading
    from miniflow import jit
    from miniflow.native import tiers
    from miniflow import math as m

    class Bench:
        stopping, thread, jobs = False, None, []
        put = jobs.append
        start = staticmethod(lambda: None)

    tiers.worker = Bench
    sys.setswitchinterval(1e-5)

    def steps(x, y):
        for k in range(6):
            if x < k:
                return m.sin(x * k) + y
            y = y * 0.9 if y > k else y + x
        return x * y

    for _ in range(ROUNDS):
        g = jit(steps, backend="native")
        points = [(x / 2, y / 2) for x in range(-2, 14, 2) for y in (-3, 9)]
        expected = [g(*xs) for xs in points]
        stop = threading.Event()

        def call():
            while not stop.is_set():
                assert [g(*xs) for xs in points] == expected

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        while Bench.jobs:
            Bench.jobs.pop()()
        stop.set()
        for thread in threads:
            thread.join()
        assert g.ready(0) and [g(*xs) for xs in points] == expected
    print("done")
"""
SWAPPED = """
    import weakref
    from miniflow import jit
    from miniflow.native import tiers

    class Bench:
        stopping, thread, jobs = False, None, []
        put = jobs.append
        start = staticmethod(lambda: None)

    tiers.worker = Bench
    f = jit(lambda x: x * 2 if x > 0 else x - 1, backend="native")
    assert [f(1.0), f(-1.0)] * 2 == [2.0, -2.0] * 2
    paths = [path for cache in f.caches.values() for path in cache.specializations]
    codes = [code for path in paths for code in path.codes()]
    for code in codes:
        weakref.finalize(code.library, lambda: print(f(3.0), f(-3.0)))
    del code, codes, paths
    while Bench.jobs:
        Bench.jobs.pop(0)()
    print("done")
"""


def test_a_call_at_the_moment_of_the_swap():
    """The old code goes when nothing can find it any more, not while the new one is put in.

    What runs when it goes, here a finalizer, stands for any other thread.
    """
    assert sorted(python(SWAPPED).splitlines()) == ["6.0 -4.0"] * 2 + ["done"]


@pytest.mark.slow
def test_swapping_while_threads_call():
    """The second tiers come in one by one while all threads are inside."""
    assert python(SWAPPING.replace("ROUNDS", str(scaled(4)))) == "done\n"
