"""Programs: what is traced is what eager code does, bit for bit, on the path that it takes.

Terms:
    step    one operation of a random function, on nodes and literals
    fork    a step that does one thing or another, as a comparison comes out
    bits    a structure of numbers as text that tells -0.0 from 0.0, and no nan from another
"""

import copy
import decimal
import functools
import itertools
import math
import operator
import pickle
import random
import sys
from collections import namedtuple
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
import test_graphs as smooth
from hypothesis import given, settings
from hypothesis import strategies as st
from judge import JUDGE, mp, total
from naming import label

import miniflow
from miniflow import (
    Program,
    Tape,
    Value,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    trace,
    value_and_grad,
    vjp,
)
from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.program.ir import PathError
from miniflow.tape.core import here

inf, nan = math.inf, math.nan
EDGES = [
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, 1.5, -7.25, 0.1, 710.0, -745.0, 1e16, 2.0**53),
    *(inf, -inf, nan, 5e-324, -1e-310, 2.0**-1022, 1e-200, 1e200, -1.7976931348623157e308),
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


@pytest.fixture(autouse=True)
def unchanged():
    """Whatever a test does, the tape is afterwards as usable as before."""
    yield
    assert_clean()


def assert_clean():
    table = here.table
    assert (table.trace, table.held, table.muted, table.sweeping) == (None, 0, 0, False)
    x = Value(3.0)
    y = x * x
    y.backward()
    assert (y.data, x.grad) == (9.0, 6.0)


def bits(tree):
    if isinstance(tree, dict):
        return {name: bits(part) for name, part in tree.items()}
    if isinstance(tree, (list, tuple, np.ndarray)):
        return [bits(part) for part in tree]
    return float(tree.data if tree.__class__ is Value else tree).hex()


# --- random functions ---------------------------------------------------------


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
    return applied(step.name, [at(x, nodes) for x in step.operands])


def applied(name, xs):
    """An operation of the table; of a NaN no one promises the sign, so it takes none."""
    if name == "copysign":
        xs = [xs[0], TABLE["where"](TABLE["equal"](xs[1], xs[1]), xs[1], 1.0)]
    return TABLE[name](*xs)


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


@st.composite
def operation(draw, count):
    name = draw(st.sampled_from(ROWS))
    arity = TABLE[name].arity
    if arity < 0:
        arity = 2 * draw(st.integers(1, 2)) if name == "dot" else draw(st.integers(1, 4))
    recent, node = st.integers(max(0, count - 3), count - 1), st.integers(0, count - 1)
    first, *others = [draw(recent), *[draw(recent | node | anything) for _ in range(arity - 1)]]
    xs = (first, *others)
    return Step(name, xs[::-1] if draw(st.booleans()) else xs)


@st.composite
def fork(draw, count):
    node = st.integers(0, count - 1)
    left, right = draw(node | anything), draw(node | anything | st.sampled_from(EXACT).map(Literal))
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
    return st.lists(anything, min_size=f.count, max_size=f.count)


def variants(program):
    """The same program in other words."""
    some = [name for k, name in enumerate(TABLE) if k % 2]
    yield "itself", program
    yield "expanded", program.expanded(())
    yield "partly expanded", program.expanded(some)
    yield "pickled", pickle.loads(pickle.dumps(program))


@given(functions(), st.data())
def test_programs_give_the_eager_answer_to_the_bit(f, data):
    xs = data.draw(points(f))
    expected = bits(f(*xs))
    program = trace(f, *xs)
    for what, variant in variants(program):
        assert bits(variant(*xs)) == expected, what
        assert bits(variant(*map(Value, xs))) == expected, what
        assert bits(variant.evaluate(list(xs))) == expected, what


@given(functions(), st.data())
def test_elsewhere_a_program_is_right_or_says_that_it_is_not(f, data):
    """It diverges exactly where a comparison comes out differently."""
    here_, there = data.draw(points(f)), data.draw(points(f))
    program = trace(f, *here_)
    same_path = f.decisions(here_) == f.decisions(there)
    for what, variant in variants(program):
        for args in (there, list(map(Value, there))):
            if same_path:
                assert bits(variant(*args)) == bits(f(*there)), what
            else:
                with pytest.raises(PathError):
                    variant(*args)


@given(functions(longest=6), st.data())
def test_traced_derivatives_are_eager_derivatives_to_the_bit(f, data):
    xs = data.draw(points(f))
    g = value_and_grad(lambda xs: f(*xs)[0])
    expected = bits(g(xs))
    program = trace(g, xs)
    for what, variant in variants(program):
        assert bits(variant(xs)) == expected, what


@settings(max_examples=30)
@given(functions(longest=4), st.data())
def test_traced_hessians_are_eager_hessians_to_the_bit(f, data):
    xs = data.draw(points(f))
    h = hessian(lambda xs: f(*xs)[0])
    expected = bits(h(xs))
    program = trace(h, xs)
    assert bits(program(xs)) == expected
    assert bits(program.expanded(())(xs)) == expected


@given(functions(), st.data())
def test_what_is_computed_once_and_what_for_each_element_make_the_whole(f, data):
    from miniflow.program.schedule import hoisted

    xs, ys = data.draw(points(f)), data.draw(points(f))
    varies = data.draw(st.lists(st.booleans(), min_size=f.count, max_size=f.count))
    ys = [y if new else x for x, y, new in zip(xs, ys, varies, strict=True)]
    first, second = map(Program.of, hoisted(trace(f, *xs), varies))
    once = first(xs)
    assert bits(second([*xs, *once])) == bits(f(*xs))
    if f.decisions(xs) == f.decisions(ys):
        assert bits(second([*ys, *once])) == bits(f(*ys))
    else:
        with pytest.raises(PathError):
            second([*ys, *once])
    assert first.guards == ()
    if not any(varies):
        assert len(second) == 0
    if all(varies):
        assert len(first) == 0


@given(functions(), st.data())
def test_what_is_demanded_comes_once_and_after_its_operands(f, data):
    from miniflow.program.schedule import demanded

    program = trace(f, *data.draw(points(f)))
    known = set(range(program.first))
    for (slot,) in demanded(program, program.outputs):
        assert slot not in known
        assert known.issuperset(program.instructions[slot - program.first].operands)
        known.add(slot)
    assert known.issuperset(program.outputs)


def test_what_is_needed_last_is_computed_last():
    from miniflow.program.schedule import demanded

    program = trace(lambda x: ((a := x + 1.0, b := x + 2.0), [a * 3.0, b * 3.0])[1], 0.5)
    a, b, c, d = range(program.first, program.first + 4)
    assert [*demanded(program, program.outputs)] == [(a,), (c,), (b,), (d,)]
    assert [*demanded(program, program.outputs, {a: (a, b), b: (a, b)})] == [(a, b), (c,), (d,)]


def steps_of(program):
    return list(enumerate(program.instructions, program.first))


def topological(steps, first):
    """Whether operands come before results."""
    places = {slot: k for k, (slot, _) in enumerate(steps)}
    return all(
        x < first or places[x] < k for k, (_, step) in enumerate(steps) for x in step.operands
    )


@given(functions(longest=20), st.integers(1, 6), st.data())
def test_steps_done_in_step_are_the_same_and_in_order(f, copies, data):
    from miniflow.program.schedule import paired

    # stretches that are alike: the function again and again, on one operand that all share
    xs = data.draw(points(f))
    program = trace(lambda *xs: [f(x * k, *xs[1:]) for k, x in enumerate([xs[0]] * copies)], *xs)
    steps = steps_of(program)
    found = paired(steps)
    assert sorted(found) == sorted(steps)
    assert topological(found, program.first)


def test_sums_with_factors_in_common_are_computed_in_step():
    from miniflow.program.schedule import paired

    def sums(xs, us):
        return [sum((u * x for u, x in zip(row, xs, strict=True)), 1.0) for row in us]

    xs, us = [0.5, 0.25, 2.0, 4.0], [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
    program = trace(sums, xs, us)
    names = [step.op.name for _, step in paired(steps_of(program))]
    assert names == ["mul", "mul", "add", "add"] * 4
    factors = [step.operands[1] for _, step in paired(steps_of(program)) if step.op.name == "mul"]
    assert factors[::2] == factors[1::2] == [0, 1, 2, 3]
    # the second one's first factor is the first one's sum: nothing can be done
    program = trace(lambda xs, us: (s := sums(xs, us[:1])[0], sums([s, *xs[1:]], us[1:])), xs, us)
    assert paired(steps_of(program)) == steps_of(program)


def test_a_step_of_many_operands_is_compared_once():
    from miniflow.program.schedule import SHORTEST, _distances

    def chain(xs, k):
        return functools.reduce(lambda y, _: m.sin(y), range(SHORTEST), m.dot(xs, [k] * len(xs)))

    program = trace(lambda xs: [chain(xs, 1.0), chain(xs, 2.0)], [0.25, 0.5, 2.0])
    assert _distances(steps_of(program))[0] == [SHORTEST + 1]


@given(smooth.programs())
def test_gradients_flow_through_a_program(graph):
    leaves, steps = graph
    program = trace(lambda *xs: smooth.recorded(steps, xs)[-1], *leaves)
    for _, variant in variants(program):
        xs = [Value(x) for x in leaves]
        y = variant(*xs)
        if y.__class__ is not Value:  # where() has chosen a literal
            y = xs[0] * 0.0 + y
        (y * 1.0).backward()
        smooth.assert_close([x.grad for x in xs], graph)


@given(smooth.programs(20))
def test_traced_gradients_agree_with_dual_numbers(graph):
    leaves, steps = graph
    program = trace(grad(lambda xs: smooth.recorded(steps, xs)[-1]), leaves)
    smooth.assert_close(program(leaves), graph)


# --- every row ----------------------------------------------------------------


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


@pytest.mark.parametrize("name", TABLE)
def test_every_row_is_traced_to_the_bit(name):
    op, columns = TABLE[name], operands(name)
    for xs in zip(*columns, strict=True):
        program = trace(op, *xs)
        assert bits(program(*xs)) == bits(op(*xs)), xs
        gradient = grad(op, range(len(xs)))
        assert bits(trace(gradient, *xs)(*xs)) == bits(gradient(*xs)), xs


@pytest.mark.parametrize("name", TABLE)
def test_one_program_of_a_row_serves_all_numbers(name):
    op, columns = TABLE[name], operands(name)
    program = trace(op, *[0.75] * len(columns))
    for _, variant in variants(program):
        for xs in zip(*columns, strict=True):
            assert bits(variant(*xs)) == bits(op(*xs)), xs


def test_hypot_of_nan_is_nan_whatever_was_computed_before():
    program = trace(TABLE["hypot"], 3.0, 4.0)
    math.exp(-1000.0)  # leaves an error number behind that abs(complex(...)) takes for its own
    assert math.isnan(program(nan, 1.0))


# --- derivatives --------------------------------------------------------------


def price(s, k, t):
    """Black and Scholes's: a function with some length."""
    d = (m.log(s / k) + t * 0.05) / (0.2 * m.sqrt(t)) + 0.1 * m.sqrt(t)
    return s * m.normal_cdf(d) - k * m.exp(-0.05 * t) * m.normal_cdf(d - 0.2 * m.sqrt(t))


def test_derivatives_are_programs_and_have_derivatives():
    xs = (100.0, 95.0, 0.5)
    program = trace(price, *xs)
    everything = (0, 1, 2)
    expected = grad(price, everything)(*xs)
    assert grad(program, everything)(*xs) == pytest.approx(expected, rel=1e-13)
    assert trace(grad(price, everything), *xs)(*xs) == expected
    assert trace(grad(program, everything), *xs)(*xs) == pytest.approx(expected, rel=1e-13)
    point = [100.0, 95.0, 0.5]
    rows = hessian(lambda v: price(*v))(point)
    assert trace(hessian(lambda v: price(*v)), point)(point) == rows
    for got, row in zip(hessian(lambda v: program(*v))(point), rows, strict=True):
        assert got == pytest.approx(row, rel=1e-9, abs=1e-12)


def test_every_transform_can_be_traced():
    def f(x, y):
        return x**3 * y + m.sin(x)

    transforms = {
        "value_and_grad": value_and_grad(f, (0, 1)),
        "jacobian": jacobian(lambda x, y: [f(x, y), x * y], (0, 1)),
        "hessian": hessian(f, (0, 1)),
        "third": grad(grad(grad(f))),
        "vjp": lambda x, y: vjp(f, x, y)[1](2.0),
        "jvp": lambda x, y: jvp(f, (x, y), (1.0, y)),
        "hvp": lambda x, y: hvp(f, (x, y), (1.0, 0.5)),
    }
    for name, transform in transforms.items():
        program = trace(transform, 0.5, 2.0)
        for xs in ((0.5, 2.0), (-1.25, 3.0)):
            assert bits(program(*xs)) == bits(transform(*xs)), name


def test_a_derivative_inside_of_a_function_of_its_variable():
    def f(x):
        return x * grad(lambda y: x * y * y)(x)  # 2 x**3

    program = trace(f, 3.0)
    assert program(2.0) == 16.0
    assert grad(program)(2.0) == 24.0


whole = st.integers(-5, 5)


@given(st.lists(st.tuples(whole, whole, whole), min_size=1, max_size=6), whole, whole)
def test_gradients_of_polynomials_are_exact(terms, a, b):
    """The judge: the power rule, in whole numbers."""

    def f(x, y):
        return sum([c * x ** abs(i) * y ** abs(j) for c, i, j in terms])

    xs = Value(a), Value(b)
    y = trace(f, 3.0, 2.0)(*xs)
    assert y == f(a, b)
    if y.__class__ is Value:
        (y * 1).backward()
    by_a = sum(c * abs(i) * a ** max(abs(i) - 1, 0) * b ** abs(j) for c, i, j in terms)
    by_b = sum(c * abs(j) * b ** max(abs(j) - 1, 0) * a ** abs(i) for c, i, j in terms)
    assert [x.grad for x in xs] == [by_a, by_b]


# --- content ------------------------------------------------------------------


def polynomial(x, y):
    s = x * y
    if s > 1:
        s = s - 0.5
    return s * s + x


ATTRIBUTES = [
    *("name", "parameters", "arguments", "result", "captured", "constants", "instructions"),
    *("outputs", "guards", "names", "places", "inputs", "first", "code", "frozen", "anything"),
]


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_program_is_immutable(name):
    program = trace(polynomial, 2.0, 3.0)
    hash(program)
    with pytest.raises(AttributeError, match="immutable"):
        setattr(program, name, ())
    with pytest.raises(AttributeError, match="immutable"):
        delattr(program, name)
    assert program(2.0, 3.0) == 32.25
    assert program == trace(polynomial, 2.0, 3.0)


def test_results_do_not_share_anything_with_the_program():
    program = trace(lambda x: {"a": [x, []], "b": {}}, 1.0)
    result = program(1.0)
    result["a"][1].append(5)
    result["b"]["c"] = 1
    result["a"].clear()
    assert program(2.0) == {"a": [2.0, []], "b": {}}


def test_arguments_do_not_share_anything_with_the_program():
    example = {"a": [1.0], "b": []}
    program = trace(lambda d: d["a"][0] * 2, example)
    example["a"].append(2.0)
    example["b"].append("setting")
    assert program({"a": [4.0], "b": []}) == 8.0


def test_equal_content_is_equal():
    first, second = trace(polynomial, 2.0, 3.0), trace(polynomial, 5.0, 7.0)
    assert first == second
    assert hash(first) == hash(second)
    assert len({first, second}) == 1
    assert (first != second) is False
    # what variables are called makes no difference
    assert trace(lambda a, b: a * b, 1.0, 2.0) == trace(lambda x, y: x * y, 3.0, 4.0)
    assert trace(lambda x: x * nan, 1.0) == trace(lambda x: x * nan, 2.0)


DIFFERENT = [
    trace(lambda x, y: x + y * 2.0, 1.0, 1.0),
    trace(lambda x, y: x + y * 3.0, 1.0, 1.0),
    trace(lambda x, y: x + y * 0.0, 1.0, 1.0),
    trace(lambda x, y: x + y * -0.0, 1.0, 1.0),
    trace(lambda x, y: x + y * nan, 1.0, 1.0),
    trace(lambda x, y: x - y * 2.0, 1.0, 1.0),
    trace(lambda x, y: y + x * 2.0, 1.0, 1.0),
    trace(lambda x, y: y * 2.0 + x, 1.0, 1.0),
    trace(lambda x, y: [x + y * 2.0], 1.0, 1.0),
    trace(lambda x, y: (x + y * 2.0,), 1.0, 1.0),
    trace(lambda x, y: {"a": x + y * 2.0}, 1.0, 1.0),
    trace(lambda x, y: {"b": x + y * 2.0}, 1.0, 1.0),
    trace(lambda x, y: (x + y * 2.0, None), 1.0, 1.0),
    trace(lambda x, y: (x + y * 2.0, True), 1.0, 1.0),
    trace(lambda x, y: (x + y * 2.0, "1"), 1.0, 1.0),
    trace(lambda x: x[0] + x[1] * 2.0, [1.0, 1.0]),
    trace(lambda x: x[0] + x[1] * 2.0, (1.0, 1.0)),
    trace(lambda x, y, z: x + y * 2.0, 1.0, 1.0, 1.0),
    trace(lambda x, y, z: x + y * 2.0, 1.0, 1.0, True),
    trace(lambda x, y, z: x + y * 2.0, 1.0, 1.0, None),
    trace(lambda x, y: x + y * 2.0, x=1.0, y=1.0),
    trace(lambda x, y: x + y * 2.0 if x < y else x, 1.0, 2.0),
    trace(lambda x, y: x + y * 2.0 if not x < y else x, 2.0, 1.0),
    trace(lambda x, y: x + y * 2.0 if x <= y else x, 1.0, 2.0),
    trace(lambda x: np.array([x[0], x[1]]), np.array([1.0, 2.0])),
    trace(lambda x: np.array([[x[0], x[1]]]), np.array([1.0, 2.0])),
]


def test_other_content_is_different():
    for a, b in itertools.combinations(DIFFERENT, 2):
        assert a != b, f"{a}\n{b}"
        assert (a == b) is False


def test_a_program_equals_nothing_else():
    program = trace(polynomial, 2.0, 3.0)
    assert program != "polynomial"
    assert program != program.code
    assert (program == 3) is False


def test_captured_values_are_told_apart_by_identity():
    v, w = Value(2.0), Value(2.0)
    assert trace(lambda x: x * v, 1.0) == trace(lambda x: x * v, 2.0)
    assert trace(lambda x: x * v, 1.0) != trace(lambda x: x * w, 1.0)
    assert trace(lambda x: x * v, 1.0) != trace(lambda x: x * 2.0, 1.0)


@given(functions(longest=6), functions(longest=6), st.data())
def test_equal_programs_compute_the_same(f, g, data):
    xs = data.draw(points(f))
    first = trace(f, *xs)
    again = trace(Function(*f), *xs)
    assert first == again
    assert hash(first) == hash(again)
    if f.count == g.count:
        other = trace(g, *xs)
        if first == other:
            assert bits(first(*xs)) == bits(other(*xs))


def test_pickles_and_copies():
    program = trace(polynomial, 2.0, 3.0)
    copies = [pickle.loads(pickle.dumps(program, k)) for k in range(pickle.HIGHEST_PROTOCOL + 1)]
    for other in (*copies, copy.copy(program), copy.deepcopy(program)):
        assert other == program
        assert hash(other) == hash(program)
        assert (repr(other), str(other), other.source()) == (
            repr(program),
            str(program),
            program.source(),
        )
        assert other(2.0, 3.0) == 32.25
        with pytest.raises(AttributeError, match="immutable"):
            other.name = "g"


def test_a_pickle_takes_captured_leaves_along():
    w = Value(3.0, label="w")
    program = pickle.loads(pickle.dumps(trace(lambda x: x * w, 2.0)))
    w.data = 5.0
    assert program(2.0) == 6.0
    (other,) = program.captured
    assert (other.label, other.data) == ("w", 3.0)
    other.data = 7.0
    assert program(2.0) == 14.0


def test_a_pickle_cannot_take_the_graph_of_a_computed_value_along():
    w = Value(3.0) * 2
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(trace(lambda x: x * w, 2.0))


def test_what_a_program_says_of_itself():
    w = Value(3.0, label="weight")

    def f(x, ys):
        s = x * w
        t = m.sin(s) if s > ys[1] else s
        return t + ys[0]

    program = trace(f, 2.0, [1.0, 0.5])
    assert repr(program) == "<Program f: 3 inputs, 1 captured, 3 instructions, 1 guards>"
    assert len(program) == 3
    assert (program.inputs, program.name, program.parameters) == (3, "f", ("x", "ys"))
    assert program.captured == (w,)
    assert str(program).splitlines() == [
        "program f",
        "  x: input",
        "  ys_0: input",
        "  ys_1: input",
        "  weight: captured",
        "  s = mul x weight",
        "  guard 0: ys_1 < s",
        "  t = sin s",
        "  %6 = add t ys_0",
        "  return %6",
    ]


def test_a_long_listing_is_cut():
    def f(x):
        for _ in range(3000):
            x = m.sin(x)
        return x

    text = str(trace(f, 1.0))
    assert len(text.splitlines()) < 1010
    assert " more ..." in text


# --- simplification -----------------------------------------------------------


def names(program):
    return [step.op.name for step in program.instructions]


negative = operator.neg
GONE = {
    "1*x": lambda x: 1.0 * x,
    "x*1": lambda x: x * 1,
    "x/1": lambda x: x / 1.0,
    "x**1": lambda x: x**1.0,
    "--x": lambda x: negative(negative(x)),
    "----x": lambda x: negative(negative(negative(negative(x)))),
    "+x": lambda x: +x,
    "-1*-1*x": lambda x: -1.0 * (x * -1),
    "where(1)": lambda x: m.where(Value(1.0), x, m.exp(x)),
    "where(0)": lambda x: m.where(Value(0.0), m.exp(x), x),
    "where(-0)": lambda x: m.where(Value(-0.0), m.exp(x), x),
    "where(nan)": lambda x: m.where(Value(nan), x, m.exp(x)),
    "where same": lambda x: m.where(x, x, x),
    "together": lambda x: negative(negative((1.0 * x / 1) ** 1)),
}


@pytest.mark.parametrize("f", GONE.values(), ids=GONE)
@pytest.mark.parametrize("x", [2.0, 0.0, -0.0, nan, inf, -inf, 5e-324])
def test_what_changes_nothing_is_left_out(f, x):
    program = trace(f, 2.0)
    assert (len(program), program.constants) == (0, ())
    assert bits(program(x)) == bits(x)


KEPT = {
    "0*x": (lambda x: 0.0 * x, "mul", [inf, nan, -1.0]),
    "x*0": (lambda x: x * -0.0, "mul", [inf, nan, 1.0]),
    "x+0": (lambda x: x + 0.0, "add", [-0.0]),
    "0+x": (lambda x: 0.0 + x, "add", [-0.0]),
    "x-0": (lambda x: x - (-0.0), "sub", [-0.0]),
    "0-x": (lambda x: 0.0 - x, "sub", [0.0]),
    "x-x": (lambda x: x - x, "sub", [inf, nan]),
    "x/x": (lambda x: x / x, "div", [0.0, inf, nan]),
    "0/x": (lambda x: 0.0 / x, "div", [0.0, -1.0, nan]),
    "x*(1/3)": (lambda x: x / 3.0, "div", [5.0, 0.1]),
    "(x+1)-1": (lambda x: (x + 1.0) - 1.0, "sub", [1e-20, 0.1]),
    "(x*3)/3": (lambda x: (x * 3.0) / 3.0, "div", [1e308, 5e-324, 0.1]),
    "(x*0.1)*10": (lambda x: (x * 0.1) * 10.0, "mul", [0.3, 5e-324]),
    "abs(abs)": (lambda x: abs(x) * 1.0, "abs", [-0.0, -1.0]),
    "exp(log)": (lambda x: m.exp(m.log(x)), "log", [0.1, -1.0]),
    "max(x,x)": (lambda x: m.maximum(x, 0.0), "maximum", [-0.0, nan]),
    "where(x)": (lambda x: m.where(x, x, 0.0), "where", [-0.0, nan]),
    "x//1": (lambda x: x // 1.0, "floordiv", [2.5, -2.5]),
    "x*-1 of where": (lambda x: -(-1.0 * x + 0.0), "neg", [0.0]),
}


@pytest.mark.parametrize(("f", "name", "xs"), KEPT.values(), ids=KEPT)
def test_what_changes_something_stays(f, name, xs):
    program = trace(f, 2.0)
    assert name in names(program)
    for x in xs:
        with np.errstate(all="ignore"):  # NumPy's floats do not raise where Python's do
            assert bits(program(x)) == bits(f(np.float64(x)) if name == "div" else f(x))


def test_common_subexpressions_are_computed_once():
    def f(x, y):
        return m.sin(x * y) + m.sin(x * y) * (x * y), m.sin(x * y)

    assert sorted(names(trace(f, 2.0, 3.0))) == ["add", "mul", "mul", "sin"]


def test_no_expression_is_common_that_differs_in_the_order_of_a_row_or_in_a_sign():
    def f(x, y):
        return x - y, y - x, x * 0.0, x * -0.0, m.maximum(x, y), m.maximum(y, x)

    program = trace(f, 2.0, 3.0)
    assert len(program) == 6
    for xs in ((2.0, 3.0), (0.0, -0.0), (-0.0, 0.0), (nan, 1.0), (-1.0, nan)):
        assert bits(program(*xs)) == bits(f(*xs))


def test_dead_code_is_left_out():
    def f(x, y):
        m.exp(x) / y
        unused = m.sin(y) * 3
        return x * 2 if unused is not None else x

    program = trace(f, 1.0, 2.0)
    assert (names(program), program.constants) == (["mul"], (2.0,))
    assert program.inputs == 2


def test_what_a_guard_needs_is_no_dead_code():
    program = trace(lambda x: 1.0 if m.exp(x) > 2 else 0.0, 1.0)
    assert names(program) == ["exp"]
    assert program(2.0) == 1.0
    with pytest.raises(PathError):
        program(0.0)


def test_constants_are_folded():
    def f(x):
        a = Value(2.0)
        return x * (m.sin(a) + m.cos(a) * 3) - m.exp(Value(0.5))

    program = trace(f, 1.0)
    assert names(program) == ["mul", "sub"]
    assert program.constants == (math.sin(2.0) + math.cos(2.0) * 3, math.exp(0.5))


def test_a_constant_function():
    program = trace(lambda x: (3.0, -0.0, nan, x), 1.0)
    assert len(program) == 0
    assert bits(program(7.0)) == bits((3.0, -0.0, nan, 7.0))


def test_a_function_of_nothing():
    program = trace(lambda: 3.0)
    assert (program.inputs, program()) == (0, 3.0)


@given(functions(longest=8), st.data())
def test_programs_are_in_simplest_form(f, data):
    """Nothing twice, nothing unused, nothing of constants only."""
    program = trace(f, *data.draw(points(f)))
    assert len(set(program.instructions)) == len(program)
    used = {x for step in program.instructions for x in step.operands} | {*program.outputs}
    used |= {x for guard in program.guards for x in (guard.left, guard.right)}
    assert set(range(program.first - len(program.constants), program.first + len(program))) <= used
    assert len({x.hex() for x in program.constants}) == len(program.constants)
    for step in program.instructions:
        assert any(program.constant(x) is None for x in step.operands)
    content = [guard[:4] for guard in program.guards]
    assert len(set(content)) == len(content)
    assert [guard.position for guard in program.guards] == sorted(
        guard.position for guard in program.guards
    )


# --- guards -------------------------------------------------------------------

SAMPLES = [-inf, -2.0, -1.0, -0.0, 0.0, 0.1, 1.0, 2.0, 2.0**53, 1.7976931348623157e308, inf, nan]


@pytest.mark.parametrize("name", ORDER)
def test_a_comparison_of_two_numbers_is_a_guard(name):
    relation = ORDER[name]

    def f(x, y):
        return x + y if relation(x, y) else x - y

    for traced in itertools.product(SAMPLES, repeat=2):
        program = trace(f, *traced)
        assert len(program.guards) == 1
        for xs in itertools.product(SAMPLES, repeat=2):
            same = relation(*xs) == relation(*traced)
            assert_path(program, f, xs, same)


def assert_path(program, f, xs, same):
    """The eager answer on the `same` path, PathError at guard 0 on another one."""
    for args in (xs, [*map(Value, xs)]):
        if same:
            assert bits(program(*args)) == bits(f(*xs))
        else:
            with pytest.raises(PathError, match="guard 0") as caught:
                program(*args)
            assert caught.value.guard == 0


@pytest.mark.parametrize("name", ORDER)
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_comparison_with_any_exact_number_stays_exact(name, side):
    relation = ORDER[name] if side == "left" else lambda a, b: ORDER[name](b, a)
    near = [math.nextafter(0.1, k) for k in (0, 1)] + [2.0**53 + 2, -1 / 3, 3.5, 1 / 3]
    near += [math.nextafter(-1 / 3, k) for k in (-1, 0)]
    for other in [*EXACT, 0.1, True, np.float64(0.1), np.int64(3), 3]:

        def f(x, other=other):
            return x * 2 if relation(x, other) else x * 3

        for traced in (-inf, 0.0, inf, nan, 0.1):
            program = trace(f, traced)
            for x in SAMPLES + near:
                assert_path(program, f, (x,), relation(x, other) == relation(traced, other))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * 2 if x else x * 3,
        lambda x: x * 2 if not x else x * 3,
        lambda x: x * 2 if bool(x) else x * 3,
        lambda x: (x and x * 2) or x * 3,
        lambda x: x * 2 if any([x]) else x * 3,
    ],
)
def test_truth_is_a_guard(f):
    for traced in SAMPLES:
        program = trace(f, traced)
        assert len(program.guards) in (1, 2)
        for x in SAMPLES:
            if bool(x) == bool(traced):
                assert bits(program(x)) == bits(f(x))
            else:
                with pytest.raises(PathError):
                    program(x)


def test_a_chain_of_comparisons():
    def f(x, y, z):
        return x if x < y < z else y if x == y or y >= z > 0 else z

    cases = list(itertools.product([-1.0, 0.0, 1.0, 2.0, nan], repeat=3))
    programs = [trace(f, *xs) for xs in cases]
    for xs in cases:
        answers = set()
        for program in set(programs):
            try:
                answers.add(program(*xs).hex())
            except PathError:
                continue
        assert answers == {f(*xs).hex()}


def test_guards_are_not_repeated_and_constants_need_none():
    def f(x, y):
        for _ in range(5):
            if x < y and y > x and not x >= y and Value(2.0) > 1 and Value(1.0):
                x = x * 1.0
        return x

    guards = trace(f, 1.0, 2.0).guards
    assert [(guard.relation, guard.holds) for guard in guards] == [("<", True), ("<=", False)]


def test_a_comparison_with_a_number_that_no_float_equals_is_no_guard():
    program = trace(lambda x: x if x != Fraction(1, 10) and x != 10**400 else -x, 0.5)
    assert program.guards == ()
    assert program(0.1) == 0.1


def test_comparisons_with_what_is_no_number_are_pythons():
    program = trace(lambda x: x if x != "a" and x != None else -x, 0.5)  # noqa: E711
    assert program.guards == ()
    assert program(3.0) == 3.0
    with pytest.raises(TypeError, match="'<' not supported"):
        trace(lambda x: x < "a", 0.5)


@given(st.lists(anything, min_size=3, max_size=8), st.data())
def test_the_guard_that_failed_is_named(xs, data):
    ys = data.draw(st.lists(anything, min_size=len(xs), max_size=len(xs)))

    def answers(xs):
        return [a * 2.0 < b + 1.0 for a, b in itertools.pairwise(xs)]

    def f(*xs):
        return sum([k for k, less in enumerate(answers(xs)) if less])

    program = trace(f, *xs)
    flips = [old != new for old, new in zip(answers(xs), answers(ys), strict=True)]
    for _, variant in variants(program):
        if any(flips):
            first = flips.index(True)
            with pytest.raises(PathError, match=f"f: another path .* guard {first} ") as caught:
                variant(*ys)
            assert caught.value.guard == first
        else:
            assert variant(*ys) == f(*ys)


def test_a_failed_guard_says_what_it_asked():
    def f(x, rate):
        s = x * rate
        return x if s > 0.5 else rate

    with pytest.raises(PathError, match=r"f: .*guard 0 \(s > 0\.5\) fails; .*jit") as caught:
        trace(f, 1.0, 2.0)(0.0, 1.0)
    assert isinstance(caught.value, RuntimeError)
    with pytest.raises(PathError, match=r"guard 0 \(not s > 0\.5\)"):
        trace(f, 0.0, 2.0)(1.0, 1.0)


def test_an_error_comes_through_pickles():
    """As it does from another process."""
    with pytest.raises(PathError) as caught:
        trace(lambda x: x if x > 0 else -x, 1.0)(-1.0)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (type(error), str(error), error.guard) == (PathError, str(caught.value), 0)


def test_nothing_is_computed_past_a_guard_that_fails(row):
    calls = []

    def noted(x):
        calls.append(x)
        return x

    note = row("note", noted, 1.0)
    program = trace(lambda x: note(x) if x > 0 else x, 1.0)
    calls.clear()
    with pytest.raises(PathError):
        program(-1.0)
    assert calls == []
    assert (program(2.0), calls) == (2.0, [2.0])


QUESTIONS = {
    "isnan": lambda x: m.isnan(x),
    "isinf": lambda x: m.isinf(x),
    "isfinite": lambda x: m.isfinite(x),
    "isclose": lambda x: m.isclose(x, 1.0, rel_tol=1e-3),
    "isclose abs": lambda x: m.isclose(x, 0.0, abs_tol=0.25),
    "isclose left": lambda x: m.isclose(1.0, x),
    "max": lambda x: max(x, 1.5) == x,
    "sorted": lambda x: sorted([x, 1.0, 2.0])[1] == x,
    "in": lambda x: x in (0.0, 1.0),
    "sign": lambda x: m.sign(x) == 1,
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_questions_about_numbers_are_guards(question):
    def f(x):
        return x * 2 if question(x) else x * 3

    samples = [*SAMPLES, 1.0005, 1.002, -0.2, 0.3, 1.5, 1.7]
    programs = {x: trace(f, x) for x in samples}
    for x in samples:
        assert bits(programs[x](x)) == bits(f(x))
        for program in programs.values():
            try:
                got = bits(program(x))
            except PathError:
                continue
            assert got == bits(f(x))
    assert {bool(question(x)) for x in samples} == {True, False}
    # another answer is another path
    for x, y in itertools.product(samples, repeat=2):
        if question(x) != question(y):
            with pytest.raises(PathError):
                programs[x](y)


def test_modf_and_hypot_and_prod_of_values():
    for f in (m.modf, lambda x: m.hypot(x, 2.0, x), lambda x: m.prod([x, x, 2]), m.degrees):
        program = trace(f, 1.5)
        for x in (1.5, -2.25, 0.0, nan):
            expected = f(x)
            try:
                assert bits(program(x)) == bits(expected)
            except PathError:
                assert f is m.modf


def collatz(n):
    """A loop bounded by a Value; the number of steps is a plain one."""
    steps = 0
    while n > 1:
        n = n / 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return n, steps


def test_a_loop_bounded_by_values_is_guarded():
    program = trace(collatz, 6.0)
    assert program(6.0) == (1.0, 8.0) == collatz(6.0)
    for n in (7.0, 5.0, 12.0, 1.0):
        with pytest.raises(PathError):
            program(n)


def test_a_loop_bounded_by_numbers_unrolls():
    def f(x, count):
        for _ in range(len(count)):
            x = m.sin(x)
        return x

    program = trace(f, 1.0, "....")
    assert names(program) == ["sin"] * 4
    assert program.guards == ()


def newton(x):
    """The square root, until it does not change."""
    y = x
    while abs(y * y - x) > 1e-9 * x:
        y = (y + x / y) / 2
    return y


@given(st.floats(1, 4), st.floats(1, 4))
def test_an_iteration_to_convergence(a, b):
    program = trace(newton, a)
    assert program(a) == newton(a)
    try:
        assert program(b) == newton(b)
    except PathError:
        assert trace(newton, b) != program


# --- Values from outside ------------------------------------------------------


def test_a_captured_leaf_is_read_at_each_call():
    w = Value(3.0)
    program = trace(lambda x: x * w + w, 2.0)
    assert program.captured == (w,)
    assert program(2.0).data == 9.0
    w.data = 5.0
    y = program(2.0)
    assert y.data == 15.0
    y.backward()
    assert w.grad == 3.0


def test_a_captured_value_is_one_input_however_often_it_is_used():
    w, v = Value(3.0), Value(4.0)
    program = trace(lambda x: x * w + w * v - w, 2.0)
    assert program.captured == (w, v)
    assert program.live() == [3.0, 4.0]


def test_a_captured_computed_value_carries_gradients_on():
    w = Value(3.0)
    square = w * w
    program = trace(lambda x: x * square, 2.0)
    assert program.captured == (square,)
    program(2.0).backward()
    assert w.grad == 12.0
    w.data = 4.0
    square.forward()
    assert program(2.0).data == 32.0


def test_a_captured_leaf_of_another_thread(in_thread):
    w = in_thread(lambda: Value(3.0, label="w"))
    program = trace(lambda x: x * w if w > 1 else x, 2.0)
    assert program.captured == (w,)
    assert program(2.0).data == 6.0
    program(2.0).backward()
    assert w.grad == 2.0
    w.data = 5.0
    assert program(2.0).data == 10.0
    w.data = 0.0
    with pytest.raises(PathError):
        program(2.0)


def test_a_computed_value_of_another_thread_is_refused(in_thread):
    w = in_thread(lambda: Value(3.0) * 2)
    with pytest.raises(RuntimeError, match="another thread"):
        trace(lambda x: x * w, 2.0)


def test_a_program_goes_from_thread_to_thread(in_thread):
    w = Value(3.0)
    program = trace(lambda x: x * w, 2.0)
    assert in_thread(lambda: program(4.0).data) == 12.0
    assert in_thread(lambda: trace(lambda x: x * w, 2.0)) == program


def test_a_captured_constant_is_live():
    w = Value(3.0)
    c = (w * 2).detach()
    program = trace(lambda x: x * c, 2.0)
    assert program.captured == (c,)
    assert program(2.0) == 12.0
    c.data = 7.0
    assert program(2.0) == 14.0


def test_a_guard_on_a_captured_value_is_asked_at_each_call():
    w = Value(3.0)
    program = trace(lambda x: x * w if w > 2 else x, 2.0)
    assert program(2.0) == 6.0
    w.data = 1.0
    with pytest.raises(PathError):
        program(2.0)


def test_a_captured_value_that_is_returned_or_only_compared():
    v, w = Value(3.0), Value(1.0)
    program = trace(lambda x: (v, x) if w < x else x, 2.0)
    assert program(2.0) == (3.0, 2.0)
    assert set(program.captured) == {v, w}
    v.data = -1.0
    assert program(2.0)[0] == -1.0


def test_no_grad_inside_of_a_traced_function():
    w = Value(3.0)

    def f(x):
        with no_grad():
            scale = m.exp(x) * w
        return x * scale

    program = trace(f, 2.0)
    for x in (2.0, -1.0):
        v = Value(x)
        y = program(v)
        assert y.data == f(x)  # live
        y.backward()
        assert (v.grad, w.grad) == (math.exp(x) * 3.0, 0.0)  # but a constant
    w.data = 4.0
    assert program(1.0).data == f(1.0)
    gradient = trace(grad(f), 2.0)
    assert gradient(-1.0) == math.exp(-1.0) * 4.0


def test_no_grad_decorates_and_nests():
    @no_grad()
    def inner(x):
        with no_grad():
            return x * x * x

    v = Value(3.0)
    y = trace(lambda x: inner(x) + x, 2.0)(v)
    y.backward()
    assert (y.data, v.grad) == (30.0, 1.0)


def test_detach_inside_of_a_traced_function():
    w = Value(3.0)
    program = trace(lambda x: x * (x * w).detach() + w.detach(), 2.0)
    v = Value(5.0)
    y = program(v)
    y.backward()
    assert (y.data, v.grad, w.grad) == (78.0, 15.0, 0.0)
    w.data = 2.0
    assert program(5.0) == 52.0


def test_tracing_and_calling_under_no_grad():
    w = Value(3.0)
    with no_grad():
        program = trace(lambda x: x * w, 2.0)
        assert program(Value(2.0)).op == "constant"
        assert here.table.muted == 1
    v = Value(2.0)
    program(v).backward()
    assert (v.grad, w.grad) == (3.0, 2.0)


def test_names_come_from_arguments_variables_and_labels():
    w, shift = Value(3.0, label="the weight"), Value(1.0)

    def f(x, ys):
        product = x * w
        parts = [m.sin(product + shift)]
        parts[0].label = "wave"
        return parts[0] * ys["up"]

    program = trace(f, 2.0, {"up": 1.0, "down": 2.0})
    called = [program.names.get(k) for k in range(program.first + len(program))]
    assert called[:5] == ["x", "ys_up", "ys_down", "the_weight", "shift"]
    assert {"product", "wave"} <= set(called)


def test_a_label_that_was_given_is_the_name():
    def f(x):
        a = x * x
        a.label = "area"
        return a + m.sin(a)

    assert "area" in trace(f, 2.0).names.values()


def test_names_are_identifiers_each_once():
    def f(x, y):
        nodes = [x + y, x - y, x * y, x / y]
        for k in range(4):
            nodes[k].label = "same name"
        return nodes

    found = list(trace(f, 1.0, 2.0).names.values())
    assert len(set(found)) == len(found)
    assert all(name.isidentifier() for name in found)
    assert sum(name.startswith("same_name") for name in found) == 4


# --- refusals -----------------------------------------------------------------

LEAF = Value(3.0)


def backward(x):
    (x * x).backward()


def read_tape(x):
    with Tape() as tape:
        x * x
    return list(tape)


def print_tape(x):
    with Tape() as tape:
        x * x
    return str(tape)


LOST = {
    "data": (lambda x: x.data, RuntimeError, ".data traced"),
    "data of a computed value": (lambda x: (x * 2).data, RuntimeError, ".data traced"),
    "data of a captured value": (lambda x: x * LEAF.data, RuntimeError, ".data traced"),
    "set data": (lambda x: setattr(x, "data", 1.0), RuntimeError, ".data traced"),
    "set captured data": (lambda x: setattr(LEAF, "data", 1.0), RuntimeError, ".data traced"),
    "grad": (lambda x: x.grad, RuntimeError, ".grad traced"),
    "captured grad": (lambda x: LEAF.grad * x, RuntimeError, ".grad traced"),
    "set grad": (lambda x: setattr(x, "grad", 1.0), RuntimeError, ".grad traced"),
    "set captured grad": (lambda x: setattr(LEAF, "grad", 1.0), RuntimeError, ".grad traced"),
    "backward": (backward, RuntimeError, "backward() traced"),
    "forward": (lambda x: (x * x).forward(), RuntimeError, "forward() traced"),
    "Tape": (read_tape, RuntimeError, "Tape traced"),
    "Tape printed": (print_tape, RuntimeError, "Tape traced"),
    "ulp": (m.ulp, RuntimeError, ".data traced"),
    "copy": (lambda x: copy.copy(LEAF), RuntimeError, ".data traced"),
    "float": (float, TypeError, "float"),
    "int": (int, TypeError, "int"),
    "complex": (complex, TypeError, "complex"),
    "index": (lambda x: [1, 2, 3][x], TypeError, "index"),
    "range": (range, TypeError, "index"),
    "repeat": (lambda x: "ab" * x, TypeError, "str"),
    "math.sin": (math.sin, TypeError, "float miniflow.math"),
    "math.ulp": (math.ulp, TypeError, "float miniflow.math"),
    "math.isnan": (math.isnan, TypeError, "float miniflow.math"),
    "np.float64": (np.float64, TypeError, "float miniflow.math"),
    "np.array": (lambda x: np.array([x], dtype=float), TypeError, "float miniflow.math"),
    "set": (lambda x: {x}, TypeError, "set numbers"),
    "set of numbers": (lambda x: {1, 2}, TypeError, "set numbers"),
    "list in a bytearray": (lambda x: bytearray(b"1"), TypeError, "bytearray numbers"),
    "error in f": (lambda x: 1 // 0, ZeroDivisionError, "zero"),
}


@pytest.mark.parametrize(("f", "error", "words"), LOST.values(), ids=LOST)
@pytest.mark.parametrize("nested", [False, True])
def test_what_a_program_could_not_do_again_is_refused(f, error, words, nested):
    def g(x):
        return f(x + 1.0)

    before = LEAF._tape.value_of(LEAF._row)
    with pytest.raises(error) as caught:
        trace(g if nested else f, 1.0)
    assert all(word in str(caught.value) for word in words.split()), caught.value
    assert_clean()
    assert (LEAF.data, LEAF.grad, before) == (3.0, 0.0, 3.0)
    assert sys.gettrace() is None or sys.gettrace().__module__ != "miniflow.program.names"


def test_a_frozen_set_of_values_is_refused():
    """It is hashable, but its numbers would be those of the tracing call for ever."""
    with pytest.raises(TypeError, match="frozenset"):
        trace(lambda x: frozenset([x * 2]), 1.0)


@pytest.mark.parametrize("setting", [{1, 2}, bytearray(b"1")], ids=["set", "bytearray"])
def test_unhashable_settings_are_refused(setting):
    with pytest.raises(TypeError, match="hashable"):
        trace(lambda x, s: x, 1.0, setting)


def test_what_is_no_function_is_refused():
    for f in (3, None, "f", trace(polynomial, 2.0, 3.0).code):
        with pytest.raises(TypeError, match="not a function"):
            trace(f, 1.0)


def test_a_number_too_large_is_refused():
    with pytest.raises(OverflowError, match="too large"):
        trace(lambda x: x, 10**400)
    with pytest.raises(OverflowError, match="too large"):
        trace(lambda x: x, 1.0)(10**400)


def test_what_is_allowed_while_tracing(capsys):
    def f(x):
        print(x)
        print(f"{x} {x!r}", LEAF)
        assert x.op == "leaf"
        assert x.label == ""
        y = x * LEAF
        assert y.inputs == (x, LEAF)
        assert repr(y).startswith("Value(data=4.5")
        return y

    assert trace(f, 1.5)(2.0) == 6.0
    out = capsys.readouterr().out
    assert "Value(data=1.5, grad=0.0)" in out
    with pytest.raises(RuntimeError, match="formatting a number while a function is traced"):
        trace(lambda x: f"{x:.3f}", 1.5)


def test_another_thread_is_not_being_traced(in_thread):
    def f(x):
        assert in_thread(lambda: LEAF.data) == 3.0
        assert in_thread(lambda: trace(lambda y: y * 2, 1.0)(4.0)) == 8.0
        return x * 3

    assert trace(f, 1.0)(2.0) == 6.0


def test_plain_results_stay_as_they_are():
    class Colour(Enum):
        RED = "red"

    for setting in [None, True, False, "text", b"bytes", 1j, Colour.RED, Colour]:
        assert trace(lambda x, s=setting: s, 1.0)(2.0) is setting
        assert trace(lambda x, s=setting: (x, {"s": [s]}), 1.0)(2.0) == (2.0, {"s": [setting]})


@pytest.mark.parametrize("hiding", [object(), lambda: 1.0, frozenset([1.0])], ids=label)
def test_results_that_may_hide_a_value_are_refused(hiding):
    with pytest.raises(TypeError, match="a traced function returns numbers"):
        trace(lambda x: [x, hiding], 1.0)


def test_a_comparison_may_be_the_result():
    program = trace(lambda x: (x > 1, x), 2.0)
    assert program(3.0) == (True, 3.0)
    assert program(3.0)[0] is True
    with pytest.raises(PathError):
        program(0.0)


def failing(x, depth):
    y = x * x
    if depth:
        return failing(y + 1, depth[1:])
    raise KeyError("inside")


def test_an_error_inside_of_f_leaves_the_tape_clean():
    a = Value(2.0)
    y = a * a
    for _ in range(3):
        with pytest.raises(KeyError, match="inside"):
            trace(failing, 1.0, "12")
        with pytest.raises(KeyError, match="inside"):
            trace(grad(lambda x: failing(x, "12")), 1.0)
        assert_clean()
    y.backward()
    assert a.grad == 4.0


def test_errors_under_no_grad_leave_it_as_it_was():
    def f(x):
        no_grad().__enter__()  # and never left
        raise KeyError("inside")

    with no_grad():
        with pytest.raises(KeyError):
            trace(f, 1.0)
        assert here.table.muted == 1


def test_memory_is_reused_after_traces_and_errors(small_table):
    table = small_table()

    def f(x):
        for _ in range(50):
            x = m.sin(x)
        return x

    def g(x):
        f(x)
        raise KeyError

    program = trace(f, 1.0)
    capacities = set()
    for _ in range(40):
        assert trace(f, 2.0) == program
        with pytest.raises(KeyError):
            trace(g, 1.0)
        program(Value(1.0)).backward()
        capacities.add(table.capacity)
    assert max(capacities) < 1000
    assert (table.held, table.trace) == (0, None)


def test_compactions_wait_while_a_function_is_traced(small_table):
    table = small_table()
    w = Value(3.0)

    def f(x):
        for _ in range(200):
            x = x * w + 0.5
        return x

    garbage = [Value(k) * 2 for k in range(50)]
    del garbage
    program = trace(f, 0.25)
    assert len(program) == 400
    expected = 0.25
    for _ in range(200):
        expected = expected * 3.0 + 0.5
    assert program(0.25).data == expected
    assert w.data == 3.0
    assert table.held == 0


def test_an_interrupt_at_any_moment_leaves_everything_clean(break_off):
    w = Value(3.0)

    def f(x):
        with no_grad():
            s = m.sin(x) * w
        return s * x if x > 0.5 else s

    def interrupt():
        raise KeyboardInterrupt

    def scenario():
        before = sys.gettrace()

        def check():
            assert sys.gettrace() is before
            assert_clean()
            assert trace(f, 1.0)(2.0).data == math.sin(2.0) * 3 * 2

        return lambda: trace(grad(f), 1.0), interrupt, check

    assert break_off(scenario) > 50


# --- structures ---------------------------------------------------------------

Point = namedtuple("Point", "x y")


def test_nested_arguments_and_results():
    def f(p, rest, *more, scale, mode="up"):
        total = p.x * scale + rest["a"][0] - rest["b"][0][1] + sum(more)
        return Point([total, {"k": p.y}], (mode, None))

    args = (Point(1.0, 2.0), {"a": [3.0], "b": ((4.0, 5.0),)}, 6.0, 7.0)
    program = trace(f, *args, scale=2.0, mode="down")
    other = (Point(1.5, -2.0), {"b": ((0.0, 1.0),), "a": [2.0]}, 1.0, 2.0)
    got = program(*other, mode="down", scale=3.0)
    assert got == f(*other, scale=3.0, mode="down")
    assert type(got) is Point
    assert type(got.x) is list
    assert program.parameters == ("p", "rest", "more0", "more1", "scale", "mode")


STRUCTURES = {
    "missing": ((1.0,), {}),
    "too many": ((1.0, [2.0, 3.0], "up", 4.0), {}),
    "shorter list": ((1.0, [2.0], "up"), {}),
    "longer list": ((1.0, [2.0, 3.0, 4.0], "up"), {}),
    "number for list": ((1.0, 2.0, "up"), {}),
    "dict for list": ((1.0, {"a": 2.0, "b": 3.0}, "up"), {}),
    "list for number": (([1.0], [2.0, 3.0], "up"), {}),
    "another setting": ((1.0, [2.0, 3.0], "down"), {}),
    "number for setting": ((1.0, [2.0, 3.0], 1.0), {}),
    "None for setting": ((1.0, [2.0, 3.0], None), {}),
    "by keyword": ((1.0, [2.0, 3.0]), {"mode": "up"}),
    "unknown keyword": ((1.0, [2.0, 3.0], "up"), {"z": 1.0}),
    "text for number": (("1.0", [2.0, 3.0], "up"), {}),
    "None for number": ((None, [2.0, 3.0], "up"), {}),
    "complex for number": ((1j, [2.0, 3.0], "up"), {}),
}


@pytest.mark.parametrize(("args", "kwargs"), STRUCTURES.values(), ids=STRUCTURES)
def test_another_structure_is_refused(args, kwargs):
    program = trace(lambda x, ys, mode: x + ys[0] * ys[1], 1.0, [2.0, 3.0], "up")
    assert program(1.0, [2.0, 3.0], "up") == 7.0
    with pytest.raises(TypeError) as caught:
        program(*args, **kwargs)
    assert str(caught.value)


def test_dicts_are_matched_by_keys():
    program = trace(lambda d: d["a"] - d["b"], {"a": 1.0, "b": 2.0})
    assert program({"b": 1.0, "a": 5.0}) == 4.0
    for wrong in ({"a": 1.0}, {"a": 1.0, "c": 2.0}, {"a": 1.0, "b": 2.0, "c": 3.0}, [1.0, 2.0]):
        with pytest.raises(TypeError, match=r"structure|traced"):
            program(wrong)


@pytest.mark.parametrize("setting", [True, False, None, "a", b"a", 1j, (), [], {}, ("a", None)])
def test_settings_have_to_match(setting):
    program = trace(lambda x, s: x * 2, 1.0, setting)
    assert program(3.0, copy.copy(setting)) == 6.0
    for other in (True, False, None, "a", b"a", 1j, "b", 1, 0, 1.0, (), [], {}, ("a", None)):
        if type(other) is type(setting) and other == setting:
            continue
        if {*map(type, (other, setting))} == {list, tuple}:
            continue  # a list will do for a tuple
        with pytest.raises(TypeError):
            program(3.0, other)


def test_settings_decide_in_python():
    def f(x, double=False, names=()):
        return x * 2 if double else [x for _ in names]

    assert trace(f, 1.0, double=True)(3.0, double=True) == 6.0
    assert trace(f, 1.0, names=("a", "b"))(3.0, names=("a", "b")) == [3.0, 3.0]
    assert trace(f, 1.0).guards == ()


def test_ints_are_numbers_not_settings():
    program = trace(lambda x, n: x**n, 2, 3)
    assert program.inputs == 2
    assert program(3, 2) == 9.0
    assert type(program(3, 2)) is float
    assert program(np.float32(3), np.int8(2)) == 9.0


def test_examples_may_be_any_numbers():
    for x in (2, 2.0, True + 1, np.float64(2), np.int32(2), Fraction(2), decimal.Decimal(2)):
        program = trace(lambda x: x * 3, x)
        assert program == trace(lambda x: x * 3, 1.0)
    v = Value(2.0)
    program = trace(lambda x: x * 3, v)
    assert program.captured == ()
    assert program(v).data == 6.0


def test_arrays_as_arguments_and_results():
    def f(a, b):
        return a @ b, np.array([[a[0, 0], b[1] * 2]]), a.sum()

    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0])
    program = trace(f, a, b)
    assert program.inputs == 6
    assert list(program.names.values())[:6] == ["a_0_0", "a_0_1", "a_1_0", "a_1_1", "b_0", "b_1"]
    x, y = np.array([[0.5, -1.0], [2.0, 7.0]]), np.array([1.5, -2.5])
    for got, expected in zip(program(x, y), f(x, y), strict=True):
        assert np.asarray(got).dtype == float
        assert np.array_equal(got, expected)
    for wrong in (x.ravel(), x[:, :1], x[None], x.tolist(), 1.0):
        with pytest.raises(TypeError, match="traced"):
            program(wrong, y)


def test_empty_arrays_and_structures():
    program = trace(lambda x, a, c, d: (a, x, [], {}), 1.0, np.zeros((0, 3)), [], {})
    a, x, *rest = program(2.0, np.zeros((0, 3)), [], {})
    assert (a.shape, x, rest) == ((0, 3), 2.0, [[], {}])


def test_object_arrays_of_values():
    program = trace(lambda a: a * 2 + a[0], np.array([1.0, 2.0]))
    values = [Value(3.0), Value(4.0)]
    got = program(np.array(values))
    assert [y.data for y in got] == [9.0, 11.0]
    got[1].backward()
    assert [v.grad for v in values] == [1.0, 2.0]


def test_arrays_of_settings_stay_as_they_are():
    mask = np.array([False, True])
    program = trace(lambda x, mask: x[mask][0] * 2, np.array([1.0, 2.0]), mask)
    assert program(np.array([3.0, 4.0]), mask) == 8.0
    result = trace(lambda x: (x, np.array([True, False])), 1.0)(2.0)[1]
    assert result.dtype == bool


def test_methods_partials_and_callables():
    class Model:
        def __init__(self):
            self.w = Value(2.0)

        def __call__(self, x):
            return self.w * x

        def twice(self, x):
            return self(self(x))

    model = Model()
    assert trace(model, 1.0)(3.0) == 6.0
    assert trace(model, 1.0).name == "Model"
    assert trace(model.twice, 1.0)(3.0) == 12.0
    assert trace(functools.partial(operator.mul, 4), 1.0)(3.0) == 12.0
    assert trace(max, 1.0, 2.0)(3.0, 5.0) == 5.0
    assert trace(lambda x: x, 1.0).name == "f"


def test_a_program_is_traced_and_differentiated_like_any_function():
    inner = trace(polynomial, 2.0, 3.0)
    outer = trace(lambda x: inner(x, 3.0) * 2, 2.0)
    assert outer(2.0) == 2 * polynomial(2.0, 3.0)
    assert len(outer.guards) == 1
    with pytest.raises(PathError):
        outer(-1.0)
    assert grad(outer)(2.0) == pytest.approx(2 * grad(polynomial)(2.0, 3.0))


def test_tracing_inside_of_a_traced_function():
    def f(x):
        inner = trace(lambda y: y * x if y > 0 else y, 1.0)
        assert here.table.trace is not None
        return inner(x * 2) + inner(3.0)

    program = trace(f, 2.0)
    assert program(5.0) == 50.0 + 15.0
    with pytest.raises(PathError):
        program(-1.0)


# --- other kinds of numbers ---------------------------------------------------


@pytest.mark.parametrize("name", TABLE)
def test_arrays_are_computed_element_by_element_to_the_bit(name):
    op, columns = TABLE[name], operands(name)
    expected = bits([op(*xs) for xs in zip(*columns, strict=True)])
    for _, variant in variants(trace(op, *[0.75] * len(columns))):
        with np.errstate(all="raise"):
            got = variant(*map(np.array, columns))
        assert got.dtype == float
        assert bits(got) == expected
        shaped = variant(*[np.array(column).reshape(2, 3, 4) for column in columns])
        assert shaped.shape == (2, 3, 4)
        assert bits(shaped.ravel()) == expected


@given(functions(longest=6, forks=False), st.data())
def test_programs_of_arrays_are_programs_of_their_elements(f, data):
    rows = data.draw(st.lists(points(f), min_size=1, max_size=4))
    program = trace(f, *[0.75] * f.count)
    got = program(*map(np.array, zip(*rows, strict=True)))
    for k, xs in enumerate(rows):
        expected = f(*xs)
        assert bits([np.broadcast_to(y, len(rows))[k] for y in got]) == bits(expected)


def test_arrays_and_scalars_mix():
    program = trace(lambda x, y: m.sin(x) * y + 1, 1.0, 2.0)
    got = program(np.array([0.5, 1.5]), 3)
    assert bits(got) == bits([program(0.5, 3.0), program(1.5, 3.0)])
    assert float(program(np.array(0.5), 3.0)) == program(0.5, 3.0)
    assert program(np.zeros((0, 2)), 3.0).shape == (0, 2)


@pytest.mark.parametrize("dtype", [int, np.int8, bool, np.float32, np.float16, object])
def test_arrays_of_other_types_are_computed_in_doubles_too(dtype):
    xs = np.array([0, 1, 1] if dtype is bool else [3, 100, -7]).astype(dtype)
    f = trace(lambda x: x * x * 0.1 + x - abs(x) + -x * 1000.1, 2.0)
    assert bits(f(xs)) == bits([f(float(x)) for x in xs])
    whole = trace(lambda x: (x + x) * x, 2.0)
    assert bits(whole(xs)) == bits([whole(float(x)) for x in xs])


@pytest.mark.parametrize("size", [2**31, 2**40])
def test_arrays_of_large_ints_do_not_wrap_around(size):
    assert trace(lambda x: x * x, 2.0)(np.array([size]))[0] == float(size) ** 2


def test_all_elements_have_to_take_the_path():
    program = trace(lambda x: x * 2 if x > 0 else -x, 1.0)
    other = trace(lambda x: x * 2 if x > 0 else -x, -1.0)
    assert bits(program(np.array([1.0, 2.0]))) == bits([2.0, 4.0])
    assert bits(other(np.array([-1.0, nan, 0.0]))) == bits([1.0, nan, -0.0])
    for wrong in ([-1.0, -2.0], [1.0, -2.0], [-1.0, 2.0], [nan, 1.0]):
        with pytest.raises(PathError):
            program(np.array(wrong))
    for wrong in ([1.0, 2.0], [1.0, -2.0], [-1.0, 2.0]):
        with pytest.raises(PathError):
            other(np.array(wrong))


# the rows that fractions have, in Python's own words
RATIONAL = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "floordiv": lambda a, b: Fraction(math.floor(a / b)),
    "mod": lambda a, b: a - b * math.floor(a / b),
    "neg": lambda x: -x,
    "pos": lambda x: x,
    "stop_gradient": lambda x: x,
    "abs": lambda x: max(x, -x),
    "floor": lambda x: Fraction(math.floor(x)),
    "ceil": lambda x: Fraction(math.ceil(x)),
    "trunc": lambda x: Fraction(math.trunc(x)),
    "rint": lambda x: Fraction(round(x)),
    "less": lambda a, b: Fraction(a < b),
    "equal": lambda a, b: Fraction(a == b),
    "step": lambda x: Fraction(x > 0),
    "sign": lambda x: Fraction((x > 0) - (x < 0)),
    "where": lambda c, a, b: a if c != 0 else b,
    "maximum": max,
    "minimum": min,
    "copysign": lambda a, b: max(a, -a) if b >= 0 else min(a, -a),
    "fma": lambda a, b, c: a * b + c,
    "complement": lambda x: 1 - x * x,
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x, slope: x if x > 0 else slope * x,
    "sum": lambda *xs: sum(xs),
    "fsum": lambda *xs: sum(xs),
    "dot": lambda a, b, c, d: a * c + b * d,
}
NUMBERS = [Fraction(k, 4) for k in (-10, -6, -5, -4, -2, 2, 4, 5, 6, 10, 16)]


def close(got, exact, kind):
    """Whether a number of another kind is as exact as its kind can be."""
    if kind is Fraction:
        return isinstance(got, (Fraction, int)) and got == exact
    if kind is decimal.Decimal:
        return isinstance(got, (decimal.Decimal, int)) and abs(
            Fraction(got) - exact
        ) <= 1e-25 * abs(exact)
    return abs(got - mp.mpf(exact.numerator) / exact.denominator) <= 1e-45 * (1 + abs(got))


def as_kind(kind, x):
    if kind is Fraction:
        return x
    return kind(x.numerator) / kind(x.denominator)


KINDS = [Fraction, decimal.Decimal, mp.mpf]


@pytest.mark.parametrize("name", RATIONAL)
@pytest.mark.parametrize("kind", KINDS, ids=["Fraction", "Decimal", "mpmath"])
def test_exact_rows_on_exact_numbers(name, kind):
    rule, op = RATIONAL[name], TABLE[name]
    arity = 4 if op.arity < 0 else op.arity
    program = trace(op, *[0.75] * arity)
    rng = random.Random(name)
    cases = [(x,) for x in NUMBERS] if arity == 1 else itertools.product(NUMBERS, repeat=2)
    for case in cases:
        xs = [*case, *[rng.choice(NUMBERS) for _ in range(arity - len(case))]]
        got = program(*[as_kind(kind, x) for x in xs])
        assert close(got, Fraction(rule(*xs)), kind), (xs, got)


@st.composite
def rational_steps(draw):
    """Operations on fractions, and what they answer."""
    fraction = st.fractions(-4, 4, max_denominator=12)
    nodes = draw(st.lists(fraction, min_size=2, max_size=3))
    count, steps = len(nodes), []
    for _ in range(draw(st.integers(2, 7))):
        name = draw(st.sampled_from([*RATIONAL, "add", "mul", "div", "floor", "sign", "div"]))
        arity = 4 if TABLE[name].arity < 0 else TABLE[name].arity
        node = st.integers(0, len(nodes) - 1) | st.integers(max(0, len(nodes) - 2), len(nodes) - 1)
        operands = tuple([draw(node) for _ in range(arity)])
        try:
            y = Fraction(RATIONAL[name](*[nodes[k] for k in operands]))
        except ZeroDivisionError:
            name, operands = "add", operands[:2]
            y = nodes[operands[0]] + nodes[operands[1]]
        steps.append(Step(name, operands))
        nodes.append(y)
    return nodes[:count], steps, nodes


@pytest.mark.parametrize("kind", KINDS, ids=["Fraction", "Decimal", "mpmath"])
@given(case=rational_steps())
def test_programs_of_exact_numbers_are_exact(kind, case):
    xs, steps, nodes = case
    if kind is not Fraction and any(x.denominator & (x.denominator - 1) for x in nodes):
        return  # rounded
    f = Function(len(xs), steps, list(range(len(nodes))))
    program = trace(f, *map(float, xs))
    for _, variant in variants(program):
        got = variant(*[as_kind(kind, x) for x in xs])
        assert [close(y, x, kind) for y, x in zip(got, nodes, strict=True)] == [True] * len(nodes)


def test_derivatives_of_fractions_are_exact():
    def f(x, y):
        return (x**3 - 2 * x * y) / (1 + y * y) + x / 4

    a, b = Fraction(2, 3), Fraction(-5, 7)
    program = trace(value_and_grad(f, (0, 1)), 1.0, 2.0)
    value, (by_a, by_b) = program(a, b)
    assert value == f(a, b)
    assert by_a == (3 * a * a - 2 * b) / (1 + b * b) + Fraction(1, 4)
    assert by_b == -2 * a / (1 + b * b) - (a**3 - 2 * a * b) * 2 * b / (1 + b * b) ** 2
    assert type(by_b) is Fraction


def test_constants_are_taken_exactly():
    tenth = decimal.Decimal.from_float(0.1)
    assert trace(lambda x: x + 0.1, 1.0)(Fraction(0)) == Fraction(0.1)
    assert trace(lambda x: x + 0.1, 1.0)(decimal.Decimal(0)) == decimal.Decimal(0) + tenth
    assert trace(lambda x: x + 0.1, 1.0)(mp.mpf(0)) == mp.mpf(0.1)


def test_guards_on_exact_numbers_are_exact():
    program = trace(lambda x: x * 2 if x > 0.5 else x, 1.0)
    third = Fraction(1, 2) + Fraction(1, 10**40)
    assert program(third) == 2 * third
    with pytest.raises(PathError):
        program(Fraction(1, 2))
    with pytest.raises(PathError):
        program(Fraction(1, 2) - Fraction(1, 10**40))
    assert program(mp.mpf(1) / 2 + mp.mpf(10) ** -40) > 1
    with pytest.raises(PathError):
        program(mp.mpf(1) / 2)


def test_infinite_constants_meet_fractions():
    def f(x):
        return x / 2 if m.isfinite(x) and x > -inf else x

    assert trace(f, 1.0)(Fraction(1, 3)) == Fraction(1, 6)
    assert trace(f, 1.0)(decimal.Decimal(3)) == decimal.Decimal("1.5")
    assert trace(f, 1.0)(mp.mpf(3)) == mp.mpf("1.5")


def test_odd_functions_of_negative_mpmath_numbers_are_real():
    assert trace(m.cbrt, 1.0)(mp.mpf(-8)) == -2
    expected = mp.log(abs(mp.gamma(mp.mpf(-0.5))))
    assert abs(trace(m.lgamma, 1.0)(mp.mpf(-0.5)) - expected) < 1e-45


@pytest.mark.parametrize(
    ("kind", "x"), [("Fraction", Fraction(1, 3)), ("Decimal", decimal.Decimal("0.5"))]
)
def test_unknown_rows_are_named(kind, x):
    known = {*RATIONAL, "pow"}
    for name, op in TABLE.items():
        arity = 2 if op.arity < 0 else op.arity
        program = trace(op, *[0.5] * arity)
        if name in known:
            continue
        with pytest.raises(TypeError, match=rf"operation \w+ is unknown for {kind}; use floats"):
            program(*[x] * arity)
    with pytest.raises(TypeError, match="operation sin is unknown"):
        trace(m.sin, 1.0)(x)


# mpmath knows nothing like them, or not for real numbers
UNKNOWN = {"fmod", "remainder", "round_to", "ldexp", "log2", "exp2", "fma"}
# their formulas have constants that are doubles
ROUNDED = {"normal_pdf": 1e-15, "normal_cdf": 1e-30, "gelu": 1e-30}
POINTS = {
    "acosh": (1.5, 7.0),
    "pow": (0.75, 2.5),
    "gamma": (0.75, 4.5),
    "lgamma": (0.75, 4.5),
    "cbrt": (8.0, 2.0, 0.3),
    "atan2": (-0.5, 2.0),
    "ldexp": (3.0, -2.0),
    "round_to": (2.0, 1.0),
}


@pytest.mark.parametrize("name", TABLE)
def test_every_row_on_fifty_digits_or_a_clear_refusal(name):
    op = TABLE[name]
    arity = 4 if op.arity < 0 else op.arity
    low, high = op.domain[0] if op.domain else (-inf, inf)
    default = [x for x in (-0.75, 0.25, 0.5, 1.25, -2.5) if low < x < high]
    program = trace(op, *[0.75 if name != "acosh" else 2.0] * arity)
    known = True
    for case in itertools.product(POINTS.get(name, default), repeat=min(arity, 2)):
        xs = [mp.mpf(x) / 3 * 3 + (mp.mpf(1) / 3 if name in JUDGE and not whole_only(name) else 0)
              for x in (*case, *case)][:arity]  # fmt: skip
        try:
            got = program(*xs)
        except TypeError as error:
            assert f"the operation {name} is unknown for mpmath" in str(error)  # noqa: PT017
            known = False
            break
        expected = total(JUDGE[name].value(*xs))
        assert abs(got - expected) <= ROUNDED.get(name, 1e-45) * (1 + abs(expected)), xs
    assert known or name in UNKNOWN


def whole_only(name):
    return name in ("ldexp", "round_to", "cbrt", "acosh", "asin", "acos", "atanh")


FORMULAS = {
    "sigmoid": (m.sigmoid, lambda x: 1 / (1 + mp.exp(-x))),
    "softplus": (m.softplus, lambda x: mp.log(1 + mp.exp(x))),
    "logsigmoid": (m.logsigmoid, lambda x: -mp.log(1 + mp.exp(-x))),
    "silu": (m.silu, lambda x: x / (1 + mp.exp(-x))),
    "elu": (m.elu, lambda x: x if x > 0 else mp.exp(x) - 1),
    "logaddexp": (lambda x: m.logaddexp(x, 1), lambda x: mp.log(mp.exp(x) + mp.e)),
    "d sigmoid": (grad(m.sigmoid), lambda x: mp.exp(-x) / (1 + mp.exp(-x)) ** 2),
    "d softplus": (grad(m.softplus), lambda x: 1 / (1 + mp.exp(-x))),
    "dd tanh": (grad(grad(m.tanh)), lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2),
    "d x**3": (grad(lambda x: x**3), lambda x: 3 * x**2),
    "composite": (
        lambda x: m.sqrt(1 + x * x) * m.exp(-x) / m.hypot(x, 2),
        lambda x: mp.sqrt(1 + x**2) * mp.exp(-x) / mp.sqrt(x**2 + 4),
    ),
}


@pytest.mark.parametrize(("f", "formula"), FORMULAS.values(), ids=FORMULAS)
@given(x=st.fractions(-9, 9))
def test_formulas_to_fifty_digits(f, formula, x):
    x = mp.mpf(x.numerator) / x.denominator
    got, expected = trace(f, 0.5)(x), formula(x)
    assert abs(got - expected) <= 1e-44 * (1 + abs(expected))


def test_other_numbers_and_captured_values_do_not_mix_silently():
    w = Value(0.1)
    program = trace(lambda x: x * w, 1.0)
    with pytest.raises(TypeError, match="for arrays use vmap"):
        program(np.array([1.0, 2.0]))


@pytest.mark.parametrize("kept", [lambda x: x, lambda x: x * 2, lambda x: [x + LEAF]])
def test_a_value_kept_outside_is_refused(kept):
    """Its gradient would end there, and its number would be this call's for ever."""
    outside = []

    def f(x):
        outside.append(kept(x))
        return x * 3

    with pytest.raises(RuntimeError, match="f: it keeps a Value outside that it has computed"):
        trace(f, 1.0)
    outside.clear()
    assert here.table.trace is None
    assert here.table.held == 0


def test_values_in_cycles_are_not_kept_outside():
    def f(x):
        cycle = [x * 2]
        cycle.append(cycle)
        return cycle[0]

    assert trace(f, 1.0)(3.0) == 6.0


def test_miniflow_exports_programs():
    assert miniflow.trace is trace
    assert isinstance(trace(polynomial, 2.0, 3.0), Program)
