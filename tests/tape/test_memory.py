"""What recording costs in bytes and in rows visited: neither depends on the machine."""

import gc
import tracemalloc
from pathlib import Path

import pytest

from miniflow import Value, define, engine, ops
from support.memory import resident


def chain(x, operations):
    y = x
    for _ in range(operations // 2):
        y = y * 0.999
        y = y + x
    return y


def test_a_million_operations_there_and_back_and_away(small_table):
    table = small_table()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        x = Value(0.5)
        y = chain(x, 1_000_000)
        y.backward()
        peak = tracemalloc.get_traced_memory()[1] - before
        del y
        table.compact()
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert abs(x.grad / 999.0 - 1) < 0.01  # the sum of 0.999**k, and 0.999**500_000
    assert peak < 500 * 1_000_000
    assert left < 100_000
    assert table.count == 1


def test_a_training_loop_runs_in_flat_memory(small_table):
    table = small_table()
    w = Value(0.5)

    def train(steps):
        tracemalloc.reset_peak()
        for _ in range(steps):
            loss = chain(w, 1_000)
            w.grad = 0
            loss.backward()
            w.data -= 1e-12 * w.grad
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        train(50)
        first, second = train(100), train(100)
    finally:
        tracemalloc.stop()
    assert abs(second - first) < 2**20
    assert table.capacity < 20_000


def test_a_sweep_visits_only_what_the_result_comes_from():
    visited = []

    def slope(x, y):
        visited.append(x)
        return 1.0

    seen = define("seen", lambda x: x, slope)
    try:
        x = Value(2.0)
        older = [seen(x) for _ in range(1_000)]
        y = seen(seen(x) * x)
        y.backward()
    finally:
        del ops.TABLE["seen"]
    assert visited == [4.0, 2.0]
    assert x.grad == 4.0
    assert {v.grad for v in older} == {0.0}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux")
def test_a_compaction_needs_little_room_of_its_own(small_table):
    table = small_table()
    x = Value(0.5)
    operations = 1_000_000 if engine == "compiled" else 200_000
    kept, dropped = chain(x, operations), chain(x, operations)
    gc.collect()
    size = table.count * (33 if engine == "compiled" else 100)
    del dropped
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that of now
    before, _ = resident()
    table.compact()
    _, peak = resident()
    assert table.count < 1.6 * operations
    assert peak - before < size / (8 if engine == "compiled" else 1.2)
    assert kept.op == "add"
