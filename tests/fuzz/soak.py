"""A soak: for a time all that a program does with miniflow, over and over, in flat memory.

    python tests/fuzz/soak.py                  ten minutes
    python tests/fuzz/soak.py --seconds 20

Each round trains a network, records and drops graphs, defines a row and forgets it, compiles
functions of its own, maps them over arrays, draws, forks and runs threads. Its answers are those
of the first round, to the last bit. Ends with an error if one is not, or if memory grows.
"""

# ruff: noqa: E402 - where the tests are comes before what they share

import argparse
import gc
import hashlib
import os
import statistics
import sys
import threading
import time
import warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

import numpy as np

import viz
from miniflow import Value, define, grad, jit, nn, optim, value_and_grad, vmap
from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.tape.core import here
from support.bits import bits
from support.memory import STATUS, resident
from support.threads import run_all

GROWTH = 4 * 2**20  # bytes by which the last third of the rounds may exceed the second one
POINTS = [(0.3, -1.2), (1.5, 0.25), (-0.75, 2.0)]
XOR = [((0.0, 0.0), 0.0), ((0.0, 1.0), 1.0), ((1.0, 0.0), 1.0), ((1.0, 1.0), 0.0)]


def fresh():
    """A function that was never seen before, with a branch."""

    def f(x, y):
        z = m.tanh(x * y) + m.exp(-x * x)
        if z > 0.5:
            z = z * y
        for _ in range(5):
            z = m.sin(z) + x / (1.0 + y * y)
        return z

    return f


# --- what a round does ------------------------------------------------------------


def trained():
    """The weights of a network after some steps."""
    model = nn.MLP(2, [6, 1], activation="tanh", seed=1)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    for _ in range(20):
        loss = sum((model(x) - y) ** 2 for x, y in XOR)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [p.data for p in model.parameters()]


def dropped():
    """The gradient of a long graph, of which other graphs held parts for a while."""
    x = Value(0.5)
    y, held = x, []
    for k in range(3000):
        y = y * 0.999 + x
        if k % 100 == 0:
            held.append((y * x).detach())
    y.backward()
    cycle = [y]
    cycle.append(cycle)  # for the collector
    return x.grad


def defined():
    """A derivative of a row that is defined and forgotten."""
    row = define("soaked", lambda x: x * x * x, lambda x, y: 3.0 * x * x)
    try:
        return [grad(grad(row))(0.5), jit(grad(lambda x: row(x) + 1.0))(0.5)]
    finally:
        del TABLE["soaked"]


def compiled():
    """Values and gradients by machine code, on all paths."""
    f = jit(value_and_grad(fresh(), (0, 1)), backend="native")
    return [f(*point) for _ in range(5) for point in POINTS]


def eager():
    """The same without it."""
    f = value_and_grad(fresh(), (0, 1))
    return [f(*point) for _ in range(5) for point in POINTS]


def mapped():
    """A batch, reduced."""
    f = vmap(value_and_grad(fresh(), (0, 1)), reduce="sum", precise=True)
    return f(*map(np.array, zip(*POINTS, strict=True)))


def drawn():
    """A diagram and a page, as digests."""
    x, y = Value(0.5, label="x"), Value(2.0, label="y")
    z = fresh()(x, y)
    z.backward()
    graph = viz.draw_dot(z).source
    network = viz.draw_network(nn.MLP(2, [3, 1], seed=1)).source
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in (graph, network)]
    return [int(digest[:12], 16) for digest in digests]


def forked():
    """What a child process answers; 0.0 on systems that do not fork."""
    if not hasattr(os, "fork"):
        return 0.0
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork, from Python 3.12 on
        child = os.fork()
    if child == 0:
        os.write(theirs, float(jit(grad(fresh()))(*POINTS[0])).hex().encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        text = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    return float.fromhex(text)


def threaded():
    """Gradients that threads compute at the same time, from shared leaves and leaves of theirs."""
    shared, found = Value(0.5), {}

    def job(k):
        own = Value(float(k))
        y = m.sin(shared * own) + own
        y.backward()
        found[k] = own.grad

    run_all([lambda k=k: job(k) for k in range(4)])
    return [found[k] for k in range(4)] + [round(shared.grad, 12)]  # its sum, in any order


JOBS = [trained, dropped, defined, compiled, eager, mapped, drawn, forked, threaded]


def one_round():
    """The answers of all jobs, to the last bit."""
    return {job.__name__: bits(job()) for job in JOBS}


# --- the soak -----------------------------------------------------------------------


def soak(seconds, told=lambda text: None):
    """Rounds for so long: their number and the memory after each of them, in bytes."""
    right = one_round()
    assert right["compiled"] == right["eager"]
    memory, end = [], time.monotonic() + seconds
    while not memory or time.monotonic() < end:
        found = one_round()
        wrong = {name: (found[name], right[name]) for name in right if found[name] != right[name]}
        assert not wrong, f"round {len(memory) + 2}: {wrong}"
        gc.collect()
        memory.append(resident()[0] if STATUS.exists() else 0)
        if len(memory) % 20 == 1:
            told(f"{len(memory):6} rounds, {memory[-1] / 2**20:.1f} MiB, "
                 f"{here.table.count} entries, {threading.active_count()} threads")  # fmt: skip
    return memory


def growth(memory):
    """By how much memory has grown from the second third of the rounds to the last one."""
    third = len(memory) // 3
    middle, last = memory[third : 2 * third], memory[2 * third :]
    return statistics.median(last) - statistics.median(middle) if third else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    memory = soak(parser.parse_args().seconds, lambda text: print(text, flush=True))
    grown = growth(memory)
    print(f"{len(memory)} rounds, all answers the same; memory grew by {grown / 2**20:.2f} MiB")
    return grown > GROWTH


if __name__ == "__main__":
    sys.exit(main())
