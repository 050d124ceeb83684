"""Steps of a training with `vmap`: what one step leaves behind is nothing."""

import functools
import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import miniflow.math as m
from miniflow import engine, nn, optim, vmap
from miniflow.compiled.sums import SumOp
from miniflow.tape.core import here


def on_a_tape_of_its_own(test):
    """The test on another thread, whose tape has nothing of other tests."""

    @functools.wraps(test)
    def alone():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: test(made_step())).result()

    del alone.__wrapped__  # it takes no fixture
    return alone


def made_step():
    """A step whose loss goes the short way, of a network whose parts have names."""
    network = nn.MLP(2, [4, 1], seed=1)
    optimiser = optim.Adam(network.parameters(), lr=1e-3)
    xs, ys = np.random.default_rng(1).normal(size=(2, 7))

    def squares(x, y):
        return (network([x, y]) - y) ** 2 + m.exp(-x)

    loss = vmap(squares, reduce="mean")

    def call():
        optimiser.zero_grad()
        loss(xs, ys).backward()
        optimiser.step()

    for _ in range(8):
        call()
        loss.ready()
    assert loss.quick
    return call


@on_a_tape_of_its_own
def test_entries_and_operations_of_steps_do_not_pile_up(step):
    table = here.table
    assert table.names  # of the network's parts
    table.compact()
    before = table.count, table.pooled, len(table.others)
    for _ in range(50):
        step()
        if engine == "python":  # where entries wait for a compaction
            table.compact()
    after = table.count, table.pooled, len(table.others)
    assert all(b - a <= 2 * 17 for a, b in zip(before, after, strict=True))  # 17 operands


@on_a_tape_of_its_own
def test_what_a_step_made_needs_no_search_for_garbage(step):
    def entries():
        here.table.compact()
        return sum(type(x) is SumOp for x in gc.get_objects())

    step()
    gc.collect()
    gc.disable()
    try:
        before = entries()
        for _ in range(20):
            step()
        assert entries() <= before + 2
    finally:
        gc.enable()


@on_a_tape_of_its_own
def test_names_that_begin_after_an_entry_keep_it(step):
    table = here.table
    step()
    table.push("later")  # belongs to the entries to come
    table.pop()
    names = dict(table.names)
    step()
    step()
    assert {n: x for n, x in table.names.items() if n in names} == names
