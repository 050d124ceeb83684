"""Bounds on rounding errors hold against 50 digits, and are not far from the true errors."""

import math
import random
import statistics
from fractions import Fraction

import pytest

from miniflow import Value, jit
from miniflow import math as mm
from miniflow.debug import lines, rounding
from miniflow.debug.errors import local_rounding
from miniflow.tape.reading import located
from support.drawn_graphs import ROWS, drawn_graph, fits, tied
from support.judge import JUDGE, mp, total
from support.profiles import scaled


def exactly(y, leaves):
    """The value and the derivatives of a graph to 50 digits, by the judge's rows."""
    table, n = located(y)
    entries = table.reached([n])
    number, adjoint = {}, {n: mp.mpf(1)}
    for x in reversed(entries):
        op, operands = table.op(x), [number[z] for z in table.operands(x)]
        answer = JUDGE[op.name].value(*operands) if operands else table.value_of(x)
        number[x] = total(answer)
    for x in entries:
        op, operands = table.op(x), table.operands(x)
        if operands and x in adjoint:
            slopes = JUDGE[op.name].first(*[number[z] for z in operands])
            for z, slope in zip(operands, slopes, strict=True):
                adjoint[z] = adjoint.get(z, 0) + adjoint[x] * total(slope)
    return [number[n], *[adjoint.get(located(v)[1], mp.mpf(0)) for v in leaves]]


def judged(count, seed):
    """Random graphs with the exact numbers, and what is said of their rounding."""
    source = random.Random(seed)
    while count:
        leaves, y = drawn_graph(source)
        try:
            exact = exactly(y, leaves)
        except (TypeError, ValueError, ZeroDivisionError, OverflowError):
            continue  # mpmath has no answer
        if all(isinstance(x, mp.mpf) for x in exact):
            count -= 1
            answer = rounding(y, leaves)
            yield from zip([answer.value, *answer.gradients], exact, strict=True)


@pytest.mark.slow
def test_bounds_hold_and_are_near():
    ratios, infinite = [], 0
    for got, exact in judged(scaled(1000), seed=17):
        error = abs(mp.mpf(got.number) - exact)
        assert error <= got.bound, (got, exact)
        infinite += got.bound == math.inf
        if error and got.bound < math.inf:
            ratios.append(float(got.bound / error))
    assert statistics.median(ratios) <= 100
    assert infinite <= 5 + 0.05 * len(ratios)  # few are drawn in short runs


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
def test_one_rounding_of_each_row_is_bounded(op):
    source, tried = random.Random(1), 0
    while tried < 20:
        arity = op.arity if op.arity > 0 else 4
        xs = [source.uniform(-4, 4) for _ in range(arity)]
        if tied(op, xs) or not fits(op, xs):
            continue
        tried += 1
        y = op.number(*xs)
        error = abs(mp.mpf(y) - total(JUDGE[op.name].value(*map(mp.mpf, xs))))
        assert error <= local_rounding(op, xs, y)


def test_what_is_exact_is_said_to_be():
    a, b = Value(3.0, label="a"), Value(0.5, label="b")
    answer = rounding(a * b + abs(a - 4.0) * 2.0)
    assert [x.bound for x in (answer.value, *answer.gradients)] == [0.0, 0.0, 0.0]
    assert "(exact)" in repr(answer)


def test_rumps_example_has_no_digit():
    a, b = Value(77617.0), Value(33096.0)
    y = 333.75 * b**6 + a**2 * (11 * a**2 * b**2 - b**6 - 121 * b**4 - 2) + 5.5 * b**8 + a / (2 * b)
    answer = rounding(y, [])
    assert abs(y.data - -54767 / 66192) <= answer.value.bound
    assert "(0 digits)" in repr(answer)
    assert answer.worst[0].bits > 50


def test_cancellation_is_named_with_its_line():
    with lines():
        x = Value(1e-8, label="x")
        y = (1.0 - mm.cos(x)) / (x * x)
    answer = rounding(y)
    assert answer.worst[0].text == "1.0 - 1.0"
    assert str(answer.worst[0].line).endswith(f"test_rounding.py:{answer.worst[0].line.number}")
    assert abs(y.data - 0.5) <= answer.value.bound < math.inf
    assert answer.worst[0].line.source == "y = (1.0 - mm.cos(x)) / (x * x)"


def test_next_to_a_pole_nothing_is_certain():
    x = Value(0.1)
    answer = rounding(1.0 / ((x + 0.2) - 0.3 - 5e-17))
    assert answer.value.bound == math.inf
    assert "not a digit of it is certain" in repr(answer)


def test_a_jump_counts():
    x = Value(0.1)
    third = x + 0.2  # 0.30000000000000004; exactly a little less
    answer = rounding(mm.step(third - 0.30000000000000004 + 1e-17) * 7.0)
    assert answer.value.bound >= 7.0


def test_compiled_functions_are_named():
    answer = rounding(jit(lambda x: x * 0.1)(Value(3.0)) + 1.0, [])
    assert "counted as one operation: jit(<lambda>)" in repr(answer)


def test_a_sum_is_bounded_by_what_it_lost():
    xs = [Value(x) for x in (1e16, 1.0, -1e16)]
    y = mm.sum(xs)
    lost = abs(Fraction(y.data) - 1)
    assert lost <= rounding(y, []).value.bound <= 2 * float(lost)


@pytest.mark.parametrize(("y", "error"), [(2.0, TypeError), ("y", TypeError)])
def test_what_is_no_value_is_refused(y, error):
    with pytest.raises(error, match=r"^rounding: y must be a Value, got "):
        rounding(y)
