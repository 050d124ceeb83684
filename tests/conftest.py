"""What the tests share: Hypothesis profiles, small tables, threads, intrusions."""

import inspect
import itertools
import os
import sys
import threading

import pytest
from hypothesis import HealthCheck, settings

from miniflow import tape

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
def small_table(monkeypatch):
    """A function that gives this thread an empty table, so small that it compacts often."""

    def fresh(rows=8):
        monkeypatch.setattr(tape, "SMALLEST", rows)
        monkeypatch.setattr(tape.here, "table", tape.Table())
        return tape.here.table

    return fresh


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


@pytest.fixture
def intrude():
    """A function that runs a scenario once for every moment at which it can be intruded upon.

    ``scenario()`` returns ``(action, intruder, check)``. The intruder, standing for a
    signal handler or a finalizer, runs at the first call inside of the action, the next
    time at the second and so on; ``check()`` runs after each.
    """

    def run(scenario):
        for moment in itertools.count(1):
            action, intruder, check = scenario()
            try:
                fired = _intruded(action, intruder, moment)
            except KeyboardInterrupt:
                fired = True
            check()
            if not fired:
                return moment

    return run
