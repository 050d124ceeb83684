"""Nobody waits for the compiler: while LLVM runs for ever, calls, forks and the end come at once.

What would wait does so until its process is stopped, and its test fails.
"""

import os
import subprocess
import sys
import textwrap

import pytest

from support.scripts import python

BUSY = """
    import os, sys, threading, time, warnings
    from miniflow import jit
    from miniflow.native import machine, tiers

    original, reached = machine.compiled, threading.Event()

    def compiled(module, level):
        if threading.current_thread() is tiers.worker.thread and "large" in names:
            reached.set()
            threading.Event().wait()  # for ever
        return original(module, level)

    names = set()
    machine.compiled = compiled
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork, from Python 3.12 on

    before = jit(lambda x: x - 1.0, backend="native")
    assert before(3.0) == 2.0 and before.ready() and before(4.0) == 3.0
    names.add("large")
    large = jit(lambda x: x * 3.0)
    assert [large(float(k)) for k in range(9)] == [3.0 * k for k in range(9)]
    assert reached.wait(60) and not large.ready(0)
"""


def test_calls_do_not_wait():
    """Of functions that are new, compiled, to be compiled at once, dropped."""
    code = """
    small = jit(lambda x: x * x + 2.0 if x > 0 else x)
    for k in range(-50, 50):
        assert small(float(k)) == (k * k + 2.0 if k > 0 else k)
        assert before(float(k)) == k - 1.0 and large(float(k)) == 3.0 * k
    at_once = jit(lambda x: x * x - 2.0 if x > 0 else x, backend="native")
    assert [at_once(3.0), at_once(3.0), at_once(-3.0), at_once(-4.0)] == [7.0, 7.0, -3.0, -4.0]
    assert type(at_once.shortcut).__name__ == "builtin_function_or_method"
    assert not small.ready(0) and not at_once.ready(0)
    del small, at_once, before
    print("done")
    """
    assert python(BUSY + code) == "done\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_forks_do_not_wait_and_their_children_go_on():
    """The child's own thread does what the parent's was to do."""
    code = """
    for leave in (sys.exit, os._exit):
        child = os.fork()
        if child == 0:
            names.clear()
            assert before(3.0) == 2.0 and large(3.0) == 9.0
            assert large.ready(60) and large(4.0) == 12.0
            assert type(large.shortcut).__name__ == "builtin_function_or_method"
            new = jit(lambda x: x / 4.0)
            assert [new(2.0) for _ in range(9)] == [0.5] * 9 and new.ready(60)
            leave(0)
        assert os.waitpid(child, 0)[1] == 0
    print("done")
    """
    assert python(BUSY + code) == "done\n"


def test_the_end_does_not_wait():
    assert python(BUSY + '    print("done")') == "done\n"


def test_the_end_keeps_its_status_and_what_was_written():
    code = textwrap.dedent(BUSY + '    print("done")\n    sys.exit(7)')
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (7, "done\n")


REALLY = """
    import sys
    from miniflow import jit, math

    def long(xs):
        for k in range(12):
            xs = [math.sin(x) * y - x for x, y in zip(xs, xs[1:] + xs[:1])]
        return xs

    f = jit(long)
    xs = [0.1 * k for k in range(100)]
    for _ in range(6):
        f(xs)
"""


def test_the_end_while_llvm_really_runs():
    """At several moments of it: no crash, no word."""
    for wait in (0.0, 0.05, 0.3, 1.0):
        assert python(f"{REALLY}    import time; time.sleep({wait})") == ""


def test_code_that_cannot_be_compiled_is_replayed(monkeypatch):
    """What LLVM does not understand is said, and stops nothing."""
    from miniflow.native import machine
    from miniflow.native.emitter import ModuleText

    with pytest.raises(RuntimeError, match=r"LLVM: .*expected"):
        machine.compiled(ModuleText("define nonsense", (), ()), machine.QUICK)
    assert sys.exc_info() == (None, None, None)


def test_other_threads_do_not_wait_long_for_python_s_lock():
    """While a job is done it is given away more often; then, and in a forked child, as before."""
    code = """
    usual = sys.getswitchinterval()
    job, seen = threading.Event(), []
    worker = tiers.Worker()
    tiers.worker, at_work = worker, threading.Event()

    def work():
        seen.append(sys.getswitchinterval())
        at_work.set()
        job.wait()

    worker.put(work)
    assert at_work.wait(60) and seen[0] <= tiers.BRIEF * 1.001 < usual
    if hasattr(os, "fork"):
        child = os.fork()
        if child == 0:
            tiers.worker.stop()
            os._exit(int(sys.getswitchinterval() != usual))
        assert os.waitpid(child, 0)[1] == 0
    job.set()
    while worker.jobs:
        time.sleep(0.01)
    assert sys.getswitchinterval() == usual

    def set_it():
        sys.setswitchinterval(0.02)

    worker.put(set_it)  # somebody's own stays
    while worker.jobs:
        time.sleep(0.01)
    assert abs(sys.getswitchinterval() - 0.02) < 1e-5
    print("done")
    """
    head = BUSY.split("    names = set()")[0].split("    original")[0]
    assert python(head + code) == "done\n"


LOOPS = {
    "jit": """
        from miniflow import jit, math, value_and_grad
        f = jit(value_and_grad(lambda xs: math.sum([x * math.tanh(x) for x in xs])))
        for _ in range(6):
            f([0.5] * 9)
        done = f.ready
    """,
    "vmap": """
        import numpy
        from miniflow import math, value_and_grad, vmap
        f = vmap(value_and_grad(lambda x, w: math.sin(x) * w), (0, None), "mean")
        for _ in range(6):
            f(numpy.ones(300_000), 2.0)
        done = f.ready
    """,
    "entries": """
        import numpy
        from miniflow import Value, vmap
        w = Value(2.0)
        f = vmap(lambda x: (w * x - 1) ** 2, reduce="mean")
        for _ in range(9):
            f(numpy.ones(32)).backward()
        done = f.ready
    """,
    "optimiser": """
        from miniflow import Value, optim
        optimiser = optim.Adam([Value(2.0)], lr=0.1)
        for _ in range(40):
            optimiser.step()
        from miniflow.native import tiers
        end = time.monotonic() + 30
        while tiers.worker.jobs and time.monotonic() < end:
            time.sleep(0.01)
        done = lambda: not tiers.worker.jobs
    """,
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_nothing_is_imported_in_the_background(loop):
    """Python 3.11 breaks one of two threads that build syntax trees (CPython 106905)."""
    head = """
        import sys, threading, time
        def look(event, args):
            if event == "import" and args[0] not in sys.modules:
                if threading.current_thread().name == "miniflow":
                    found.append(args[0])
        found = []
        sys.addaudithook(look)
    """
    tail = """
        from miniflow.native import tiers
        assert done() and tiers.worker.thread is not None
        print(found)
    """
    code = "\n".join(map(textwrap.dedent, (head, loop, tail)))
    assert python(code).strip() == "[]"
