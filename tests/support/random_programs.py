"""Random programs for machine code: branches, loops, shared parts, nested results."""

import functools
import math
from collections import namedtuple

from hypothesis import strategies as st

from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.testing.steps import ORDER
from miniflow.testing.strategies import programs
from support.strategies import points, several

ROWS = list(TABLE.values())
EDGES = [
    *(0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, -3.0, 0.1, 7.3, -1e-3, -0.9),
    *(5e-324, -5e-324, 2.0**-1022, -1e-310, 1e-17, 1e300, -1e300, 1.7976931348623157e308),
    *(2.0**52 + 0.5, 2.0**53, -(2.0**53) - 2, 1e22, 709.8, -745.2, 171.7, math.pi, -math.pi / 2),
    *(math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0), math.inf, -math.inf, math.nan, -math.nan),
]
anything = st.floats() | st.sampled_from(EDGES) | st.floats(-4, 4) | st.integers(-40, 40).map(float)
RELATIONS = list(ORDER.values())
Pair = namedtuple("Pair", "first second")


def sizes(op):
    """With how many operands a row is tried."""
    if op.arity >= 0:
        return [op.arity]
    return [2, 4, 6] if op.name == "dot" else [1, 2, 3, 7]


@functools.cache
def numbers(wild):
    tame = st.floats(-3, 3) | st.integers(-3, 3).map(float)
    return tame | anything if wild else tame


def total(program):
    """The function whose result is one number that depends on all results of a program."""
    return lambda *xs: m.sum([0.0, *flat(program(*xs))])


def flat(tree):
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [x for part in tree for x in flat(part)]
    return [] if tree is None or isinstance(tree, str) else [tree]


@functools.cache
def results(count):
    leaf = st.integers(0, count - 1)
    return st.recursive(
        leaf | leaf | st.none() | st.just("text"),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.lists(inner, max_size=3).map(tuple)
            | st.builds(Pair, inner, inner)
            | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        ),
        max_leaves=6,
    )


@st.composite
def randoms(draw, longest=25, wild=True):
    """A random program and points to call it at."""
    program = draw(programs(wild=True, max_size=longest, inputs=4, literals=numbers(wild)))
    result = draw(results(program.count + len(program.steps)))
    at = draw(several(points(numbers(wild), program.count), 1, 5))
    return program._replace(result=result), at
