"""Random programs for machine code: branches, shared parts, nested results."""

import functools
import math
import operator
from collections import namedtuple
from typing import NamedTuple

from hypothesis import strategies as st

from miniflow import math as m
from miniflow.ops import TABLE
from support.strategies import either, node, points, recent, several

ROWS = list(TABLE.values())
EDGES = [
    *(0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, -3.0, 0.1, 7.3, -1e-3, -0.9),
    *(5e-324, -5e-324, 2.0**-1022, -1e-310, 1e-17, 1e300, -1e300, 1.7976931348623157e308),
    *(2.0**52 + 0.5, 2.0**53, -(2.0**53) - 2, 1e22, 709.8, -745.2, 171.7, math.pi, -math.pi / 2),
    *(math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0), math.inf, -math.inf, math.nan, -math.nan),
]
anything = st.floats() | st.sampled_from(EDGES) | st.floats(-4, 4) | st.integers(-40, 40).map(float)


def sizes(op):
    """With how many operands a row is tried."""
    if op.arity >= 0:
        return [op.arity]
    return [2, 4, 6] if op.name == "dot" else [1, 2, 3, 7]


class Step(NamedTuple):
    """A row on operands: a node's number (int) or a constant (float)."""

    name: str
    operands: tuple


class Fork(NamedTuple):
    """One of two steps, by a comparison."""

    relation: object
    left: object
    right: object
    steps: tuple


RELATIONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
BASIC = ["add", "sub", "mul", "div", "maximum", "where", "sum", "dot", "fsum", "tanh", "sin"]
Pair = namedtuple("Pair", "first second")


names = st.sampled_from(BASIC) | st.sampled_from([op.name for op in ROWS])


@functools.cache
def numbers(wild):
    tame = st.floats(-3, 3) | st.integers(-3, 3).map(float)
    return tame | anything if wild else tame


@st.composite
def steps(draw, count, wild):
    name = draw(names)
    n = draw(st.sampled_from(sizes(TABLE[name])))
    nodes = either(node(count), recent(count, 4))
    operands = draw(several(either(nodes, nodes, numbers(wild)), n))
    return Step(name, tuple(operands))


class Random(NamedTuple):
    """A program with branches, shared parts and a nested result."""

    inputs: int
    steps: list
    result: object  # a structure of nodes' numbers

    def __call__(self, *xs):
        nodes = list(xs)
        for step in self.steps:
            if isinstance(step, Fork):
                left, right = self.operands(nodes, (step.left, step.right))
                step = step.steps[bool(step.relation(left, right))]
            nodes.append(TABLE[step.name](*self.operands(nodes, step.operands)))
        return self.filled(self.result, nodes)

    @staticmethod
    def operands(nodes, operands):
        return [nodes[x] if isinstance(x, int) else x for x in operands]

    def filled(self, tree, nodes):
        if isinstance(tree, int):
            return nodes[tree]
        if isinstance(tree, dict):
            return {name: self.filled(part, nodes) for name, part in tree.items()}
        if isinstance(tree, Pair):
            return Pair(*[self.filled(part, nodes) for part in tree])
        if isinstance(tree, (list, tuple)):
            return type(tree)([self.filled(part, nodes) for part in tree])
        return tree  # None, a string

    def total(self, *xs):
        """One number that depends on all outputs."""
        return m.sum([0.0, *flat(self(*xs))])


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
    inputs = draw(st.integers(1, 4))
    found = []
    for count in range(inputs, inputs + draw(st.integers(1, longest))):
        step = draw(steps(count, wild))
        if draw(st.integers(0, 4)) == 0:
            relation, a = draw(st.sampled_from(RELATIONS)), draw(node(count))
            b = draw(either(node(count), numbers(wild)))
            step = Fork(relation, a, b, (step, draw(steps(count, wild))))
        found.append(step)
    result = draw(results(inputs + len(found)))
    return Random(inputs, found, result), draw(several(points(numbers(wild), inputs), 1, 5))
