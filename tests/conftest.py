"""What the tests share: Hypothesis profiles, small tables, threads, intrusions."""

import functools
import gc
import inspect
import itertools
import os
import sys
import threading

import pytest
from hypothesis import HealthCheck, settings

from miniflow import ops
from miniflow.tape import core as tape

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.register_profile(
    "thorough",
    settings.get_profile("default"),
    max_examples=10_000,
    suppress_health_check=SLOW,
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default")
)


@pytest.fixture
def row():
    """`define`, for rows that are taken out of the table again."""
    before = dict(ops.TABLE)
    yield ops.define
    ops.TABLE.clear()
    ops.TABLE.update(before)


@pytest.fixture
def small_table(monkeypatch):
    """A function that gives this thread an empty table, so small that it compacts often."""

    def fresh(rows=8):
        monkeypatch.setattr(tape, "SMALLEST", rows)
        monkeypatch.setattr(tape.here, "table", tape.Table())
        return tape.here.table

    return fresh


@pytest.fixture
def quick_collections():
    """Garbage is looked for in what the test makes only: what else there is takes time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def hasty():
    """Threads take turns as often as can be: they meet everywhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def in_thread():
    """A function that calls another one on a thread of its own and hands on what comes out."""

    def call(f, *args):
        results, errors = [], []

        def run():
            try:
                results.append(f(*args))
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    return call


def _intruded(action, intruder, moment):
    """Run `action`, `intruder` at its `moment`-th call; whether there were so many."""
    calls = itertools.count(1)
    fired = False

    def profile(frame, event, arg):
        # where Python itself lets signal handlers and finalizers in
        nonlocal fired
        if not frame.f_globals["__name__"].startswith("miniflow."):
            return
        if frame.f_code.co_flags & inspect.CO_GENERATOR:
            return  # at its end it would swallow what the intruder raises
        if event in ("call", "c_return") and next(calls) == moment:
            fired = True
            sys.setprofile(None)
            intruder()

    try:
        sys.setprofile(profile)
        action()
    finally:
        sys.setprofile(None)
    return fired


class Ghost:
    """Garbage that only the collector finds; its finalizer runs `f`."""

    def __init__(self, f):
        self.me, self.f = self, f

    def __del__(self):
        self.f()


def _haunted(action, intruder, moment):
    """Run `action`, `intruder` in its `moment`-th garbage collection; whether there were so many.

    The collector runs whenever it can: in CPython 3.11 at any allocation of a container.
    """
    left, armed = moment, True

    def rise():
        nonlocal left
        left -= armed
        if left > 0:
            Ghost(rise)
        elif armed and left == 0:
            gc.set_threshold(*before)
            intruder()

    before = gc.get_threshold()
    gc.collect()  # with nothing left in the interpreter's stocks of tuples
    Ghost(rise)
    gc.set_threshold(1, 1 << 30, 1 << 30)
    try:
        action()
    finally:
        gc.set_threshold(*before)
        armed = False
    return left <= 0


def _everywhere(run, scenario):
    moment, fired = 0, True
    while fired:
        moment += 1
        action, intruder, check = scenario()
        try:
            fired = run(action, intruder, moment)
        except KeyboardInterrupt:
            fired = True
        check()
    return moment


@pytest.fixture(params=[_intruded, _haunted], ids=["handler", "finalizer"])
def intrude(request, quick_collections):
    """A function that runs a scenario once for every moment at which it can be intruded upon.

    ``scenario()`` returns ``(action, intruder, check)``. The intruder, as a signal handler
    or as a finalizer, runs at the first opportunity inside of the action, the next time
    at the second and so on; ``check()`` runs after each.
    """
    return functools.partial(_everywhere, request.param)


@pytest.fixture
def break_off():
    """`intrude` for an intruder that raises KeyboardInterrupt."""
    return functools.partial(_everywhere, _intruded)
