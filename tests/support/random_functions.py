"""Random functions over all rows of the table, with shared parts, constants and branches.

Terms:
    step    one operation of a random function, on nodes and literals
    fork    a step that does one thing or another, as a comparison comes out
"""

import math
import operator
from fractions import Fraction
from typing import NamedTuple

from hypothesis import strategies as st

from miniflow.ops import TABLE
from support.strategies import either, node, recent, several

inf, nan = math.inf, math.nan
EDGES = [
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, 1.5, -7.25, 0.1, 710.0, -745.0, 1e16, 2.0**53),
    *(inf, -inf, nan, -nan, 5e-324, -1e-310, 2.0**-1022, 1e-200, 1e200, -1.7976931348623157e308),
]
# what a float can be compared with, exactly
EXACT = [0, -1, 2**53 + 1, 10**400, -(10**400), Fraction(1, 10), Fraction(-1, 3), Fraction(7, 2)]
ORDER = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
RELATIONS = {**ORDER, "truth": lambda a, b: bool(a)}
ROWS = [name for name in TABLE if name != "dot"] + ["dot"]  # dot last: it wants pairs


class Step(NamedTuple):
    """An operation; an operand is a node's number (int) or a literal."""

    name: str
    operands: tuple


class Fork(NamedTuple):
    """One of two steps."""

    relation: str
    left: object
    right: object
    then: Step
    other: Step


def at(x, nodes):
    return nodes[x] if x.__class__ is int else x.number if x.__class__ is Literal else x


class Literal(NamedTuple):
    """An int or fraction: no node's number."""

    number: object


def computed(step, nodes, decisions):
    if isinstance(step, Fork):
        answer = RELATIONS[step.relation](at(step.left, nodes), at(step.right, nodes))
        decisions.append(bool(answer))
        return computed(step.then if answer else step.other, nodes, decisions)
    return TABLE[step.name](*[at(x, nodes) for x in step.operands])


class Function(NamedTuple):
    """A random function of `count` numbers: some of its nodes."""

    count: int
    steps: list
    outputs: list

    def run(self, xs, decisions):
        nodes = list(xs)
        for step in self.steps:
            nodes.append(computed(step, nodes, decisions))
        return [nodes[k] for k in self.outputs]

    def __call__(self, *xs):
        return self.run(xs, [])

    def decisions(self, xs):
        """How the comparisons come out on the way."""
        found = []
        self.run(xs, found)
        return found


anything = st.sampled_from(EDGES) | st.floats() | st.floats(-4, 4)


exact = st.sampled_from(EXACT).map(Literal)


@st.composite
def operation(draw, count):
    name = draw(st.sampled_from(ROWS))
    arity = TABLE[name].arity
    if arity < 0:
        arity = 2 * draw(st.integers(1, 2)) if name == "dot" else draw(st.integers(1, 4))
    operand = either(recent(count, 3), node(count), anything)
    first, *others = [draw(recent(count, 3)), *[draw(operand) for _ in range(arity - 1)]]
    xs = (first, *others)
    return Step(name, xs[::-1] if draw(st.booleans()) else xs)


@st.composite
def fork(draw, count):
    left, right = draw(either(node(count), anything)), draw(either(node(count), anything, exact))
    if draw(st.booleans()) and not isinstance(right, Literal):
        left, right = right, left
    relation = draw(st.sampled_from(list(RELATIONS)))
    return Fork(relation, left, right, draw(operation(count)), draw(operation(count)))


@st.composite
def functions(draw, longest=12, forks=True):
    """Graphs over all rows of the table, with shared parts, constants and branches."""
    count = draw(st.integers(1, 3))
    steps = []
    for k in range(count, count + draw(st.integers(longest // 3, longest))):
        steps.append(draw(fork(k) if forks and draw(st.integers(0, 3)) == 0 else operation(k)))
    last = count + len(steps) - 1
    outputs = draw(st.lists(st.integers(0, last), min_size=1, max_size=3))
    return Function(count, steps, [*outputs, last])


def points(f):
    return several(anything, f.count)
