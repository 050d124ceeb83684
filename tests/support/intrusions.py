"""Intrusions: what Python may run at any moment, a signal handler or a finalizer."""

import gc
import inspect
import itertools
import sys

from support import profiles


def intruded(action, intruder, moment):
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


def haunted(action, intruder, moment):
    """Run `action`, `intruder` in its `moment`-th garbage collection; whether there were so many.

    The collector runs whenever it can: in CPython 3.11 at any allocation of a container.
    """
    left, armed = moment, True

    def rise():
        nonlocal left
        if not armed:
            return  # the last one goes for good: it would haunt all tests to come
        left -= 1
        if left > 0:
            Ghost(rise)
        elif left == 0:
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


def everywhere(run, scenario):
    """Run a scenario once for every moment at which `run` can intrude; how many there were.

    In short runs for one moment of several.
    """
    moment, fired = 1 - profiles.stride(), True
    while fired:
        moment += profiles.stride()
        action, intruder, check = scenario()
        try:
            fired = run(action, intruder, moment)
        except KeyboardInterrupt:
            fired = True
        check()
    return moment
