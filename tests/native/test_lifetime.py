"""Machine code's lifetime: what is freed and when, and how the interpreter ends."""

import gc
import os
import weakref

import pytest

from miniflow import jit
from miniflow.compiled.jit import Jitted
from miniflow.native import machine
from support.machine_code import at_the_bench
from support.profiles import scaled
from support.scripts import python


def code_of(f):
    """Everything of a function's machine code that can be referred to weakly."""
    codes = [
        code
        for cache in f.caches.values()
        for path in cache.specializations
        for code in path.codes()
    ]
    assert codes
    return [weakref.ref(x) for code in codes for x in (code, code.library)]


def test_functions_and_their_code_are_freed():
    def made(finish):
        with at_the_bench() as bench:
            f = jit(lambda x, y: x * y if x > y else y, backend="native")
            for xs in [(1.0, 2.0), (2.0, 1.0), (1, 2)]:
                f(*xs)
            if finish:
                bench.finish()
            own = [x for x in (f, type(f), f.__wrapped__) if x is not Jitted]
            return [*map(weakref.ref, own), *code_of(f)]

    for finish in (False, True):
        references = made(finish)
        gc.collect()
        assert [x() for x in references] == [None] * len(references)


def test_the_first_tier_s_code_is_freed_when_the_second_is_there(bench):
    f = jit(lambda x: x + 1 if x > 0 else x - 1, backend="native")
    f(1.0), f(-1.0)
    first = [x for x in code_of(f) if type(x()).__name__ == "Library"]
    bench.finish()
    gc.collect()
    assert [x() for x in first] == [None] * len(first)
    assert (f(1.0), f(-1.0)) == (2.0, -2.0)


def test_the_background_does_not_build_for_nobody(bench):
    built = []
    with pytest.MonkeyPatch.context() as patch:
        f = jit(lambda x: x * 3, backend="native")
        assert f(1.0) == 3.0
        patch.setattr(machine, "compiled", lambda *args: built.append(args))
        del f
        gc.collect()
        bench.finish()
    assert built == []


def test_hundreds_of_functions():
    for k in range(scaled(300)):
        f = jit(lambda x, k=k: x * k + 1 if x > 0 else -x * k, backend="native")
        assert (f(2.0), f(-2.0)) == (2.0 * k + 1, 2.0 * k)
    assert f.ready()
    assert (f(2.0), f(-2.0)) == (2.0 * k + 1, 2.0 * k)


LONG = """
    import atexit
    built = []

    @atexit.register  # runs after those that the library registers
    def report():
        print(len(built))

    from miniflow import jit
    from miniflow.native import machine
    original = machine.compiled

    def compiled(module, level):
        if level == machine.OPTIMISED:
            built.append(module)
        return original(module, level)

    machine.compiled = compiled

    def f(x, y):
        for k in range({steps}):
            x, y = x - y * 0.01, y + x * 0.01
        return x

    jitted = jit(f, backend="native")
    assert jitted(0.25, 0.5) == f(0.25, 0.5)
"""


def test_the_interpreter_ends_cleanly_while_code_is_being_compiled():
    """20,000 instructions: it waits for the piece that is being compiled, not for all of them."""
    assert int(python(LONG.format(steps=5000))) <= 2


def test_the_interpreter_ends_cleanly_with_nothing_compiled():
    assert python("import miniflow; print(miniflow.jit(lambda x: x).ready())") == "True\n"


def test_the_interpreter_ends_cleanly_with_compiled_functions_in_use():
    """A function of the module's, called once more by a finalizer at the very end."""
    code = """
    from miniflow import jit

    f = jit(lambda x: x * 2 if x > 0 else -x, backend="native")
    assert (f(1.0), f(-1.0)) == (2.0, 1.0) and f.ready()

    class Late:
        def __del__(self, f=f):
            print(f(2.0), f(-3.0))

    late = Late()
    print(f(4.0))
    """
    assert python(code) == "8.0\n4.0 3.0\n"


FINALIZER = """
    import gc
    from miniflow import jit

    class Late:
        def __init__(self):
            self.me = self

        def __del__(self):
            print(self.f(2.0), self.f(-3.0))

    def garbage(first, ready):
        late = Late() if first else None
        f = jit(lambda x: x * 2 if x > 0 else -x, backend="native")
        f(1.0), f(-1.0)
        if ready:
            f.ready()
        late = late or Late()
        late.f = f

    gc.disable()
    for first in (True, False):
        for ready in (True, False):
            garbage(first, ready)
            gc.collect()
"""


def test_a_finalizer_may_call_what_is_garbage_with_it():
    """Code stays in memory for as long as anything can run it."""
    assert python(FINALIZER) == "4.0 3.0\n" * 4


STACKS = """
    import threading
    from miniflow import jit

    def f(xs):
        for k in range(12):
            if xs[0] < k:
                return xs[1] * k
        return xs[0]

    def first(xs):
        return xs[0] * 2

    paths, structures = jit(f, backend="native"), jit(first, backend="native")
    pad = [1.0] * 3900
    for k in range(12):
        assert paths([k - 0.5, *pad]) == k
        assert structures(pad[k:]) == 2.0

    def call():
        for k in (0, 11):
            print(paths([k - 0.5, *pad]), structures(pad[k:]))

    threading.stack_size(1 << 18)
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
"""


def test_many_paths_and_structures_need_no_deep_stack():
    """Code that leads from one to the next does so on the small stack that threads have."""
    assert python(STACKS) == "0.0 2.0\n11.0 2.0\n"


@pytest.mark.slow
def test_freed_memory_is_not_looked_at():
    """Where freed memory is overwritten at once, dropping functions still crashes nothing."""
    code = f"""
    import gc
    from miniflow import jit

    for k in range({scaled(40)}):
        f = jit(lambda x: x + k if x > 0 else x, backend="native")
        assert f(1.0) == 1.0 + k and f(-1.0) == -1.0
        if k % 3 == 0:
            f.ready()
        if k % 5 == 0:
            gc.collect()
    """
    for fill in ("2", "85", "170"):
        python(
            code, PYTHONMALLOC="malloc", MALLOC_PERTURB_=fill,
            GLIBC_TUNABLES="glibc.malloc.tcache_count=0",
        )  # fmt: skip


FORK = """
    import os, sys, time, warnings
    from miniflow import jit

    warnings.simplefilter("ignore", DeprecationWarning)  # of fork, from Python 3.12 on

    def long(x, y):
        for k in range(2500):
            x, y = x - y * 0.01, y + x * 0.01
        return x

    before = jit(lambda x: x * 2 if x > 0 else -x, backend="native")
    assert before(1.0) == 2.0
    busy = jit(long, backend="native")
    y = busy(0.25, 0.5)
    for leave in (sys.exit, os._exit, sys.exit):
        child = os.fork()
        if child == 0:
            after = jit(lambda x: x + 1 if x > 0 else x, backend="native")
            assert before(3.0) == 6.0 and before(-3.0) == 3.0
            assert after(1.0) == 2.0 and after(-1.0) == -1.0
            assert after.ready(15) and after(1.0) == 2.0
            assert busy(0.25, 0.5) == y
            leave(0)
        started = time.monotonic()
        while True:
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                break
            if time.monotonic() > started + 20:
                os.kill(child, 9)
            time.sleep(0.01)
        assert status == 0, status
    assert busy.ready(60) and busy(0.25, 0.5) == y
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_fork_while_code_is_being_compiled():
    """The child has no thread in the background and no lock that nobody will release."""
    python(FORK)
