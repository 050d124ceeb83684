"""Target: a program over all rows, in all modes; they answer the same to the last bit.

Some bytes also stand for an expression that mpmath judges. What takes long is done for some
programs only.
"""

import random
import zlib

import numpy as np

from miniflow import Value, grad, hessian, jit, vmap
from miniflow.ops import TABLE
from miniflow.testing.drawn import DrawnFunction
from miniflow.testing.steps import DECISIONS, Exact, Fork, RowStep
from miniflow.testing.strategies import EXACT
from support import conditioned
from support.agreement import CALLS, element, recorded, traced
from support.bits import bits
from support.conditioned import Tally

ROWS = [*TABLE]
SELDOM = {"traced": 16, "judged": 512, "source": 128, "native": 1024}  # one in so many


def decoded(reader):
    """A function, the point to call it at, and which modes are tried."""
    chance = zlib.crc32(reader.data)  # which a fuzzer cannot learn to aim at
    selected = {name for name, rarity in SELDOM.items() if chance % rarity == 1}
    count = 1 + reader.below(3)
    steps = []
    for k in range(count, count + 1 + reader.below(8)):
        steps.append(fork(reader, k) if reader.below(6) == 5 else step(reader, k))
    f = DrawnFunction(count, steps, [count + len(steps) - 1])
    return f, tuple([reader.number() for _ in range(count)]), selected


def step(reader, count):
    name = reader.choice(ROWS)
    arity = TABLE[name].arity
    if arity < 0:
        arity = (1 + reader.below(4)) * (1 + (name == "dot"))
    return RowStep(name, tuple([operand(reader, count) for _ in range(arity)]))


def operand(reader, count):
    """A node, more often a late one, or a number."""
    kind = reader.below(4)
    if kind == 3:
        return reader.number()
    return count - 1 - reader.below(min(count, 3)) if kind < 2 else reader.below(count)


def fork(reader, count):
    left = operand(reader, count)
    right = Exact(reader.choice(EXACT)) if reader.below(8) == 7 else operand(reader, count)
    relation = reader.choice(list(DECISIONS))
    return Fork(relation, left, right, step(reader, count), step(reader, count))


# --- modes ----------------------------------------------------------------------


def derivatives(f):
    """Value and gradient of a function, as one function."""
    every = tuple(range(f.count))

    def last(*xs):
        return f(*xs)[-1]

    return lambda *xs: (last(*xs), grad(last, every)(*xs))


def swept(f, xs):
    """Value and gradient by `backward`."""
    leaves = [Value(x) for x in xs]
    y = f(*leaves)[-1]
    if isinstance(y, Value):  # not where a plain number was chosen
        y.backward()
    return y, [x.grad for x in leaves]


def compiled(g, xs, backend):
    """The answer of a later call: by then there is code."""
    h = jit(g, backend=backend)
    return [h(*xs) for _ in range(CALLS)][-1]


def batched(g, xs):
    return element(vmap(g, precise=True)(*[np.array([x, x, x]) for x in xs]), 1)


MODES = {
    "recorded": lambda g, xs: recorded(g, xs),
    "traced": traced,
    "source": lambda g, xs: compiled(g, xs, "source"),
    "native": lambda g, xs: compiled(g, xs, "native"),
    "batched": batched,
}


def programs(reader):
    """Judge one program; AssertionError says what is wrong."""
    f, xs, selected = decoded(reader)
    g = derivatives(f)
    y, slopes = g(*xs)
    right, summed = bits((y, slopes)), bits((y, [x + 0.0 for x in slopes]))  # 0.0 + -0.0 is 0.0
    selected |= {"recorded"} | ({"batched"} if "native" in selected else set())
    found = {name: bits(mode(g, xs)) for name, mode in MODES.items() if name in selected}
    wrong = {name: answer for name, answer in found.items() if answer != right}
    if bits(swept(f, xs)) != summed:
        wrong["swept"] = bits(swept(f, xs))
    assert not wrong, f"{f} at {xs}: eager {right}, {wrong}"
    if "traced" in selected:
        second_order(f, xs)
    if "judged" in selected:
        judge(reader)


def second_order(f, xs):
    every = tuple(range(f.count))
    h = hessian(lambda *xs: f(*xs)[-1], every)
    right, found = bits(h(*xs)), bits(recorded(h, xs))
    assert right == found, f"second order of {f} at {xs}: eager {right}, recorded {found}"


def judge(reader):
    """Mpmath's word on an expression that it has answers for."""
    source = random.Random(reader.rest())
    assert Tally().judge(*conditioned.drawn(source), source) == []
