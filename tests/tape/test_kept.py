"""Memory: no call of any kind keeps anything."""

import copy
import gc
import mmap
import pickle
import weakref
from pathlib import Path

import numpy as np
import pytest

from miniflow import Tape, Value, define, grad, hessian, no_grad
from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.tape import core as tape


def kept_small(f, times=300):
    """By how many bytes the process has grown by many calls, after as many before."""
    import resource

    def size():
        gc.collect()
        tape.here.table.compact()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    for _ in range(times):
        f()
    before = size()
    for _ in range(times):
        f()
    return size() - before


def leaky():
    """One call of each kind: none keeps anything."""
    x, w = Value(0.5), Value(0.25, "w")
    own = TABLE.get("own_row") or define("own_row", lambda x: x, lambda x, y: 1.0)

    def refused(f, *args):
        try:
            f(*args)
        except (TypeError, AttributeError, RuntimeError, ValueError):
            return
        raise AssertionError

    def f(x, y):
        return m.sin(x * y) + (x if x > y else y)

    return {
        "binary": lambda: [x + w for _ in range(100)],
        "number": lambda: [x * 2.0 + 1 for _ in range(100)],
        "numpy": lambda: [np.float64(2.0) * x for _ in range(100)],
        "unary": lambda: [m.tanh(x) for _ in range(100)],
        "method": lambda: [x.tanh() for _ in range(100)],
        "method of two": lambda: [x.atan2(w) for _ in range(100)],
        "three": lambda: [m.fma(x, w, 1.0) for _ in range(50)],
        "wide": lambda: m.sum([x] * 100),
        "dot": lambda: [tape.dot_entry([x, w], [w, x]) for _ in range(50)],
        "own": lambda: [own(x) for _ in range(50)],
        "leaf": lambda: [Value(1.0, "label") for _ in range(100)],
        "backward": lambda: m.sum([m.sin(x * w) for _ in range(50)]).backward(),
        "forward": lambda: (x * w + w).forward(),
        "inputs": lambda: [(x * w).inputs for _ in range(50)],
        "dropped inputs": lambda: [(x * 2.0 + 1.0).inputs[0].inputs for _ in range(50)],
        "data": lambda: [(x.data, x.grad, x.op, w.label, repr(x)) for _ in range(50)],
        "set": lambda: [setattr(x, "data", 0.5), setattr(x, "grad", 1.0), setattr(w, "label", "w")],
        "compare": lambda: [x < w, x == 1.0, x != w, bool(x)],
        "refused": lambda: [refused(lambda: x + None), refused(Value, "x"), refused(float, x)],
        "unknown": lambda: [refused(getattr, x, "nothing"), refused(m.sin, None)],
        "no_grad": lambda: no_grad()(lambda: x * w)(),
        "tape": lambda: Tape().__enter__().__exit__(None, None, None),
        "grad": lambda: grad(grad(f))(0.5, 0.25),
        "hessian": lambda: hessian(lambda v: f(*v))([0.5, 0.25]),
        "weakref": lambda: [weakref.ref(Value(1.0), id) for _ in range(50)],
        "cycle": lambda: (lambda d: d.update(me=d))({"v": x * w}),
        "copy": lambda: [copy.copy(x), pickle.loads(pickle.dumps(w))],
        "table": lambda: setattr(tape.here, "table", tape.here.table),
    }


KINDS = (
    "binary", "number", "numpy", "unary", "method", "method of two", "three", "wide", "dot", "own",
    "leaf", "backward", "forward", "inputs", "dropped inputs", "data", "set", "compare", "refused",
    "unknown", "no_grad", "tape", "grad", "hessian", "weakref", "cycle", "copy", "table",
)  # fmt: skip


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_kept(kind):
    kinds = leaky()
    try:
        assert list(kinds) == list(KINDS)
        assert kept_small(kinds[kind]) < 300_000
    finally:
        TABLE.pop("own_row", None)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells")
def test_what_is_kept_would_be_noticed():
    def keep():
        piece = mmap.mmap(-1, 1_000_000)  # room that nobody has given back before
        piece.write(b"x" * len(piece))
        kept.append(piece)

    kept = []
    assert kept_small(keep, times=10) > 300_000


def test_tables_are_given_back(in_thread):
    """Threads come and go; what they recorded goes with them."""
    gone = []

    def job():
        a = Value(1.0)
        y = a
        for _ in range(1000):
            y = y * 1.5
        y.backward()
        gone.append(weakref.ref(y))

    def run():
        for _ in range(5):
            in_thread(job)

    assert kept_small(run, 5) < 1_000_000
    assert all(reference() is None for reference in gone)
