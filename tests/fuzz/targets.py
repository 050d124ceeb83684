"""The targets: functions of bytes that raise where something is wrong."""

import warnings

from files import caches, models
from programs import programs
from reader import Reader
from texts import expressions


def target(judge):
    """A judge of what a reader reads, as a function of bytes."""

    def judged(data):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            judge(Reader(data))

    return judged


TARGETS = {f.__name__: target(f) for f in (programs, models, caches, expressions)}
