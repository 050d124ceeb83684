"""Nothing grows for ever: what nobody can call any more is freed, families are bounded."""

import gc
import warnings

import numpy as np
import pytest

from miniflow import define, jit, vmap
from miniflow import math as m
from miniflow.compiled import function
from miniflow.native import link
from miniflow.ops import TABLE
from miniflow.program import expand
from support.machine_code import at_the_bench


def made(count, finish):
    """Compile functions and drop them."""
    with at_the_bench() as bench:
        for k in range(count):
            f = jit(lambda x, k=k: x * k if x > 0 else -x, backend="native")
            assert (f(2.0), f(-2.0), f(3.0)) == (2.0 * k, 2.0, 3.0 * k)
            if finish:
                bench.finish()
            bench.jobs.clear()
            del f
            gc.collect()


@pytest.mark.parametrize("finish", [False, True])
def test_functions_that_are_dropped_leave_nothing(finish):
    made(5, finish)
    loaded, methods = len(link._loaded), len(link.spare_methods)
    made(link.LIBRARIES, finish)
    assert len(link._loaded) == loaded
    assert len(link.spare_methods) <= methods + 4
    loaders = [x for x in gc.get_objects() if type(x) is link.Loader]
    assert len(loaders) <= 2 + loaded


def test_code_that_is_dropped_while_somebody_links_is_freed_later():
    """Who drops it waits for nobody."""
    import threading

    with at_the_bench():
        f = jit(lambda x: x * 2, backend="native")
        f(1.0), f(1.0)
    loaded, held, end = len(link._loaded), threading.Event(), threading.Event()

    def hold():
        with link.lock:
            held.set()
            end.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    del f
    gc.collect()
    assert len(link._loaded) == loaded
    end.set()
    thread.join()
    made(1, finish=False)
    assert len(link._loaded) < loaded


@pytest.mark.parametrize("kind", ["length", "setting"])
def test_structures_of_arguments_are_bounded(kind, monkeypatch):
    monkeypatch.setattr(function, "MOST_STRUCTURES", 8)
    if kind == "length":
        f, args = jit(lambda xs: m.sum(xs), backend="tape"), lambda k: ([1.0] * (k + 1),)
    else:
        f, args = jit(lambda x, name: x * len(name), backend="tape"), lambda k: (1.0, "a" * (k + 1))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for k in range(30):
            assert f(*args(k)) == f(*args(0)) + k  # the first is used again and again
            assert len(f.caches) <= 8
    assert len(told) == 1
    assert "more than 8 structures of arguments" in str(told[0].message)
    assert told[0].filename == __file__
    first = next(iter(f.caches.values()))
    assert f(*args(0)) == 1.0
    assert next(iter(f.caches.values())) is first


def test_structures_that_machine_code_takes_stay(monkeypatch):
    monkeypatch.setattr(function, "MOST_STRUCTURES", 20)
    with at_the_bench(), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        f = jit(lambda xs: xs[0] * len(xs), backend="native")
        for _ in range(2):
            for k in range(1, 40):
                assert f([2.0] * k) == 2.0 * k
    assert len(f.caches) <= 20


def test_batches_of_many_structures_are_bounded(monkeypatch):
    monkeypatch.setattr(function, "MOST_STRUCTURES", 4)
    f = vmap(lambda row: m.sum(list(row)))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for k in range(1, 9):
            assert f(np.ones((3, k))).tolist() == [k] * 3
    assert len(f.caches) <= 4
    assert len(told) == 1


def test_rows_of_users_that_are_dropped_leave_nothing():
    before = len(expand._decompositions)
    for k in range(5):
        op = define(f"row_of_a_user_{k}", lambda x: float(int(x)), lambda x, y: 1.0)
        assert expand.decomposition(op) is None
        del TABLE[op.name]
    assert len(expand._decompositions) == before
