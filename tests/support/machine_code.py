"""Machine code against the eager answer, in every tier.

Terms:
    eager   the table's rows on floats, one after another: what every way must equal
    way     how a program is computed: as Python source, by the first tier, by the second
    bench   what stands in for the thread in the background, and works only when it is asked
    cut     how long a piece and a stretch of machine code are, and how many numbers the
            stack holds; small ones, so that small programs meet what only large ones would
"""

import contextlib
import gc
import sys
from typing import NamedTuple

import numpy as np
import pytest

from miniflow import jit
from miniflow import math as m
from miniflow.native import kernel, scalar_wrapper, tiers
from miniflow.tape.core import here


def bits(tree):
    """A result to the last bit, with all its types; NaNs are all alike."""
    if type(tree) is float:
        return tree.hex()
    if isinstance(tree, dict):
        return type(tree), [(name, bits(part)) for name, part in tree.items()]
    if isinstance(tree, (list, tuple)):
        return type(tree), [bits(part) for part in tree]
    if isinstance(tree, np.ndarray):
        return tree.dtype, tree.shape, [bits(part) for part in tree.ravel().tolist()]
    return type(tree), tree


class Bench:
    """The background's jobs, done when they are asked for."""

    stopping = False
    thread = None  # somebody waits for all that is done here

    def __init__(self):
        self.jobs = []

    def put(self, job):
        self.jobs.append(job)

    def start(self):
        """Nothing is done before it is asked for."""

    def finish(self):
        """Have all second tiers built and swapped in."""
        while self.jobs:
            self.jobs.pop(0)()


@contextlib.contextmanager
def at_the_bench():
    """A block in which code stays in its first tier until the bench is told to finish."""
    bench = Bench()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiers, "worker", bench)
        yield bench


class Cut(NamedTuple):
    piece: int
    stretch: int
    stack: int


WHOLE = Cut(kernel.PIECE, kernel.STRETCH, scalar_wrapper.STACK)
CUTS = [WHOLE, Cut(5, 3, 4), Cut(1, 1, 1), Cut(7, 2, 4096)]


@contextlib.contextmanager
def cut(how):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "PIECE", how.piece)
        patch.setattr(kernel, "STRETCH", how.stretch)
        patch.setattr(scalar_wrapper, "STACK", how.stack)
        yield


def assert_same(f, points, expected, how=WHOLE):
    """At each point f, compiled in every way, returns what is expected, to the last bit.

    Each point is asked for often enough that the source is compiled, too.
    """
    wanted = [bits(y) for y in expected]
    rounds = -(-5 // len(points))
    source = jit(f, backend="source")
    for _ in range(rounds):
        assert [bits(source(*xs)) for xs in points] == wanted
    with at_the_bench() as bench, cut(how):
        compiled = jit(f, backend="native")
        for _ in range(rounds):
            assert [bits(compiled(*xs)) for xs in points] == wanted
        bench.finish()
        assert compiled.ready(0)
        assert [bits(compiled(*xs)) for xs in points] == wanted


def blocks():
    """How many pieces of memory Python has given out for what is still in use."""
    gc.collect()
    here.table.compact()
    return sys.getallocatedblocks()


def stored(f, *points):
    """Compile f at some points, to the end, and return its answers."""
    with at_the_bench() as bench:
        g = jit(f, backend="native")
        found = [bits(g(*xs)) for xs in points]
        bench.finish()
        assert g.ready(0)
        assert [bits(g(*xs)) for xs in points] == found
    return found


def files(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def smooth(x, y):
    return m.sin(x) * y + m.exp(-y) if x > 0 else x - y / 3


POINTS = [(0.5, 2.0), (-1.0, 3.0), (0.0, -0.0)]
ANSWERS = [bits(smooth(*xs)) for xs in POINTS]
