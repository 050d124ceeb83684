"""Functions that several tests trace, and points at which rows are tried."""

import random
from collections import namedtuple

from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.testing.strategies import EDGES


def operands(name, count=24):
    """Edges and ordinary numbers for each operand of a row; the same at each run."""
    rng = random.Random(name)
    arity = TABLE[name].arity
    arity = 4 if arity < 0 else arity
    columns = []
    for _ in range(arity):
        plain = [rng.uniform(-3, 3) for _ in range(count)]
        columns.append([rng.choice(EDGES) if rng.random() < 0.5 else x for x in plain])
    return columns


def price(s, k, t):
    """Black and Scholes's: a function with some length."""
    d = (m.log(s / k) + t * 0.05) / (0.2 * m.sqrt(t)) + 0.1 * m.sqrt(t)
    return s * m.normal_cdf(d) - k * m.exp(-0.05 * t) * m.normal_cdf(d - 0.2 * m.sqrt(t))


def polynomial(x, y):
    s = x * y
    if s > 1:
        s = s - 0.5
    return s * s + x


def collatz(n):
    """A loop bounded by a Value; the number of steps is a plain one."""
    steps = 0
    while n > 1:
        n = n / 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return n, steps


def newton(x):
    """The square root, until it does not change."""
    y = x
    while abs(y * y - x) > 1e-9 * x:
        y = (y + x / y) / 2
    return y


Point = namedtuple("Point", "x y")
