"""A derivative is the sum of its routes and the remainder, and the routes are the largest."""

import random
from fractions import Fraction
from itertools import pairwise
from math import inf, isfinite

import pytest

from miniflow import Tape, Value, jit, nn, no_grad
from miniflow import math as mm
from miniflow.debug import kinks, lines, rounding, why
from miniflow.debug.contributions import rest_of
from miniflow.tape.reading import located
from support.drawn_graphs import drawn_graph
from support.profiles import scaled
from support.threads import on_another_thread

ALL = 3000  # routes


def number_of_routes(y, x):
    """How many ways lead from y to x along slopes that are not zero, counted forward."""
    (table, n), (_, source) = located(y), located(x)
    ways = {source: 1}
    for each in reversed(table.reached([n])):
        op, operands = table.op(each), table.operands(each)
        if each == source or not operands:
            continue
        xs, value = [table.value_of(z) for z in operands], table.value_of(each)
        slopes = [op.partial(k, xs, value) if op.follows(k) else 0.0 for k in range(len(xs))]
        ways[each] = sum(ways.get(z, 0) for z, s in zip(operands, slopes, strict=True) if s)
    return ways.get(n, 0)


def test_routes_and_remainder_add_up_to_the_gradient():
    source = random.Random(5)
    for _ in range(scaled(1000)):
        leaves, y = drawn_graph(source, size=18)
        y.backward()
        for x in leaves:
            found = why(y, x, top=source.choice((1, 3, 10)))
            if not isfinite(x.grad):
                assert not isfinite(found.gradient)
                continue
            assert found.gradient == x.grad
            amounts = [route.amount for route in found.routes]
            assert found.total() == x.grad
            exact = sum(map(Fraction, amounts)) + sum(map(Fraction, found._rest))
            assert exact == Fraction(x.grad)
            assert amounts == sorted(amounts, key=abs, reverse=True) or _nearly(amounts)
            handed = [edge.amount for edge in found.edges]
            room = 1e-13 * sum(map(abs, handed))
            assert abs(sum(handed) - x.grad) <= room


def _nearly(amounts):
    """Whether numbers fall, up to the rounding of products."""
    sizes = [abs(x) for x in amounts]
    return all(b <= a * (1 + 1e-12) for a, b in pairwise(sizes))


def test_all_routes_are_all_there_is():
    source, tried = random.Random(6), 0
    while tried < scaled(200):
        leaves, y = drawn_graph(source, size=14)
        for x in leaves:
            count = number_of_routes(y, x)
            if not 0 < count < ALL:
                continue
            tried += 1
            found = why(y, x, top=ALL)
            amounts = [route.amount for route in found.routes]
            if not isfinite(found.gradient):
                continue
            assert len(amounts) == count
            assert abs(found.remainder) <= 1e-11 * sum(map(abs, amounts))


def test_a_route_says_where_its_slopes_come_from():
    a = Value(2.0, label="a")
    with lines():
        b = a * 3.0
        c = mm.exp(-b)
    found = why(c, a)
    assert [f.text for f in found.routes[0].factors] == ["exp(-b)", "-b", "a * 3.0"]
    assert [f.line.source for f in found.routes[0].factors] == ["c = mm.exp(-b)"] * 2 + [
        "b = a * 3.0"
    ]
    assert found.routes[0].amount == found.gradient


def test_there_may_be_more_routes_than_atoms():
    x = y = Value(1.0)
    for _ in range(500):
        y = y + y * 0.5
    found = why(y, x, top=5)
    assert len(found.routes) == 5
    assert found.total() == found.gradient == pytest.approx(1.5**500)


def test_a_long_chain_is_no_problem():
    x = y = Value(1.0)
    for _ in range(20_000):
        y = y * 1.0
    assert why(y, x).gradient == 1.0
    assert len(repr(why(y, x))) < 2000


VERDICTS = {
    "hands nothing on": lambda x: mm.relu(-x) * 3.0,
    "relu(-2.0)": lambda x: mm.relu(-x) * 3.0,
    "floor(2.0)": lambda x: mm.floor(x) * 3.0,
    "cancel": lambda x: x - x,
    "was not computed from": lambda x: Value(1.0) * 2.0,
    "smaller than the smallest float": lambda x: x * 1e-200 * 1e-200,
    "debug.nans()": lambda x: mm.sqrt(x - 2.0),
    "the same entry": lambda x: x,
    "The largest slope on its way is 1e+12, of": lambda x: (x * 1e12) * 0.5,
}


@pytest.mark.parametrize("words", VERDICTS)
def test_why_it_is_zero_or_huge_is_said(words):
    x = Value(2.0, label="x")
    assert words in repr(why(VERDICTS[words](x), x))


def test_what_an_answer_says_of_a_network_has_the_parameters_names():
    model = nn.MLP(2, [2, 1], activation="tanh", seed=1)
    loss = (model([1.0, 2.0]) - 1.0) ** 2
    text = repr(why(loss, model.parameters()[0]))
    assert text.startswith("d(loss)/d(layers.0.neurons.0.w.0) = ")


def test_a_compiled_function_is_one_slope():
    x = Value(0.5, label="x")
    found = why(jit(mm.sin)(x) * 2.0, x)
    assert [f.text for f in found.routes[0].factors] == ["jit(sin)(x) * 2.0", "jit(sin)(x)"]
    assert found.total() == found.gradient == 2.0 * mm.cos(0.5)


def test_computed_values_and_constants_have_reasons_too():
    x = Value(2.0)
    mid = x * x
    y = mid * mid + x
    assert why(y, mid).gradient == 8.0
    with no_grad():
        z = x * 2.0
    assert why(z + x, x).gradient == 1.0


@pytest.mark.parametrize("top", [0, -1, 1.5, "3"])
def test_a_wrong_number_of_routes_is_refused(top):
    x = Value(1.0)
    with pytest.raises(ValueError, match="top must be a positive number of routes"):
        why(x * x, x, top=top)


@pytest.mark.parametrize("pair", [(1.0, Value(1.0)), (Value(1.0), 1.0), (None, None)])
def test_what_is_no_value_has_no_reasons(pair):
    with pytest.raises(TypeError, match=r"^why: [yx] must be a Value, got "):
        why(*pair)


def test_a_rest_is_exact():
    assert rest_of(1.0, [1e300, 1e-300]) == [-1e300, 1.0, -1e-300]
    assert rest_of(inf, [inf])[0] != rest_of(inf, [inf])[0]


# --- whose tape, and when ------------------------------------------------------


@pytest.mark.parametrize("ask", [lambda y: why(y, y), rounding, kinks])
def test_what_another_thread_computed_is_refused(ask):
    with pytest.raises(RuntimeError, match="another thread"):
        ask(on_another_thread(lambda: Value(1.0) * 2.0))


def test_leaves_may_be_another_threads():
    x = on_another_thread(lambda: Value(2.0, label="x"))
    y = x * x
    assert why(y, x).total() == 4.0
    assert rounding(y).value.bound == 0.0
    assert rounding(x).value.number == 2.0
    assert not kinks([x, y])


@pytest.mark.parametrize("ask", [lambda y, x: why(y, x), rounding, lambda y, x: kinks(y)])
def test_what_is_stale_is_refused(ask):
    x = Value(2.0)
    y = x * x
    x.data = 3.0
    with pytest.raises(RuntimeError, match="forward"):
        ask(y, x)


def test_while_a_tape_is_open_answers_are_the_same():
    with Tape() as tape:
        x = Value(0.3)
        y = mm.sin(x) * x
        count = len(tape)
        assert why(y, x).total() == why(y, x).gradient
        assert len(tape) == count
    assert rounding(y).value.bound > 0
