"""Simplification: what changes nothing is left out, what changes something stays."""

import math
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, trace
from miniflow import math as m
from miniflow.program.ir import PathError
from support.bits import bits
from support.programs import names
from support.random_functions import functions, points

inf, nan = math.inf, math.nan


# --- simplification -----------------------------------------------------------

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
