"""A program as an object: immutable, equal by content, copied, pickled, printed."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, trace
from miniflow import math as m
from miniflow.testing.drawn import DrawnFunction
from support.bits import bits
from support.formulas import polynomial
from support.random_functions import functions, points

inf, nan = math.inf, math.nan


# --- content ------------------------------------------------------------------

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
    again = trace(DrawnFunction(*f), *xs)
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
