"""`jit`: whatever calls come, in whatever order, the answers and gradients are eager ones.

Terms:
    eager   the function itself, called with Values
    path    one way through a function; it is recorded once, when a call first takes it
    flip    a change of inputs that leads to another path
"""

import contextlib
import copy
import functools
import gc
import importlib
import inspect
import keyword
import math
import pickle
import random
import sys
import threading
import warnings
from collections import OrderedDict, namedtuple
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_graphs import assert_close, programs, recorded
from test_native import anything, bits, python, randoms
from test_threads import run_all

from miniflow import (
    Tape,
    Value,
    define,
    grad,
    hessian,
    hvp,
    jacobian,
    jit,
    jvp,
    no_grad,
    trace,
    value_and_grad,
    vjp,
    vmap,
)
from miniflow import math as m
from miniflow.native import tiers as native
from miniflow.nn import MLP
from miniflow.ops import TABLE
from miniflow.tape.core import here
from viz import draw_dot

jits = importlib.import_module("miniflow.compiled.jit")  # the module: miniflow.jit is the function
BACKENDS = ["native", "source"]
Point = namedtuple("Point", "x y")


@pytest.fixture(autouse=True, scope="module")
def _no_files():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIFLOW_CACHE_DIR", "")
        yield


@pytest.fixture(params=BACKENDS)
def compiled(request):
    """`jit` for one of the backends."""
    return functools.partial(jit, backend=request.param)


def plain(tree):
    """A structure with numbers in the place of Values."""
    if tree.__class__ is Value:
        return tree.data
    if isinstance(tree, (list, tuple)):
        return type(tree)([plain(x) for x in tree])
    return float(tree) if type(tree) is int else tree


def eager(f, *args):
    """The result of a call with Values, as plain numbers."""
    return plain(f(*[Value(x) for x in args]))


def slopes(f, *args):
    """What backward() adds to each argument of a call with Values; the entries' first."""
    values = [Value(x) for x in args]
    y = f(*values)
    if y.__class__ is Value:
        y.backward()
    return [x.grad for x in values]


def entries(tape):
    """The operations that were recorded: leaves and literal numbers are rows, too."""
    return [x.op for x in tape if x.op not in ("leaf", "constant")]


# --- branches -------------------------------------------------------------------


def nested(x, y):
    if x > 0:
        return x * y if y > 1 else x - y
    if not y <= x:
        return y / x
    return -x if x == y else x + 3


def halving(x, y):
    """A loop bounded by a Value."""
    steps = 0
    while abs(x) > 1 and steps < 6:
        x, steps = x / 3, steps + 1
    return x * y + steps


def newton(x, y):
    """The square root by steps until they are small."""
    a, root = abs(x) + 0.5, y
    for _ in range(6):
        step = (root * root - a) / (2 * root)
        root = root - step
        if abs(step) <= 1e-9 * abs(root):
            break
    return root


def classified(x, y):
    if m.isnan(x) or m.isnan(y):
        return "nan", 0.0
    if m.isinf(x):
        return "infinite", y
    return ("close" if m.isclose(x, y, abs_tol=0.5) else "apart"), x - y


def ordered(x, y):
    """Python's own sorting, extremes and membership."""
    xs = sorted([x, y, x * y, 0.5])
    return [*xs, max(x, y), min(x, y, 0.0), 1.0 if y in (0.0, 1.0, -0.0) else x]


def truth(x, y):
    """Answers that are no numbers, by truth values and chains of comparisons."""
    return bool(x), not y, -1 < x < y <= 2, x != y, (x and y), (x or y)


def bisected(x, y):
    """A search in a table of Python numbers."""
    table, low, high = [-4, 0, 0.25, 1, 7], 0, 5
    while low < high:
        middle = (low + high) // 2
        if table[middle] < x:
            low = middle + 1
        else:
            high = middle
    return y * low + x


def whole(x, y):
    """Comparisons with ints and fractions that no float equals."""
    third, huge = Fraction(1, 3), 10**400
    return x * (x < third) + y * (y >= 2**53 + 1) + 2 * (x == third) + 4 * (-huge < y < huge)


def again(x, y):
    """The same comparison many times, and its opposite; the path is one of two."""
    z = x
    for _ in range(6):
        z = z + y if x < y else z - y
        z = z * 2 if not x < y else z
    return z


FUNCTIONS = [nested, halving, newton, classified, ordered, truth, bisected, whole, again]
COMPILED = {
    (f, backend): jit(f, backend=backend) for f in FUNCTIONS for backend in BACKENDS
}  # they keep their paths from example to example
pairs = st.tuples(anything, anything) | anything.map(lambda x: (x, x))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("f", FUNCTIONS)
@given(st.lists(pairs, min_size=1, max_size=12))
def test_any_path_in_any_order_is_the_eager_one(f, backend, points):
    for x, y in points:
        assert bits(COMPILED[f, backend](x, y)) == bits(eager(f, x, y)), (x, y)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_paths_while_the_second_tier_comes_in(f):
    """The background swaps code in at any moment; no call ever sees a wrong branch."""
    g, rng = jit(f, backend="native"), random.Random(f.__name__)
    numbers = [0.0, -0.0, 1.0, 2.0, 0.5, -3.0, 1e-3, 40.0, -1e9, math.inf, math.nan]
    points = [(rng.choice(numbers), rng.choice(numbers)) for _ in range(60)]
    points += [(rng.gauss(0, 3), rng.gauss(0, 3)) for _ in range(60)]
    expected = [(xs, bits(eager(f, *xs))) for xs in points]
    for _ in range(20):
        for xs, wanted in rng.sample(expected, len(expected)):
            assert bits(g(*xs)) == wanted, xs
    assert g.ready(60)
    for xs, wanted in expected:
        assert bits(g(*xs)) == wanted, xs


@pytest.mark.parametrize("f", [nested, halving, newton, bisected, again])
@pytest.mark.parametrize("backend", BACKENDS)
@given(st.lists(pairs, min_size=1, max_size=4))
def test_gradients_on_any_path_are_the_eager_ones(backend, f, points):
    """The derivative of each path is recorded like the path itself."""
    g, slope = COMPILED[f, backend], grad(f, argnums=(0, 1))
    compiled_slope = COMPILED.setdefault((slope, f, backend), jit(slope, backend=backend))
    for x, y in points:
        expected = bits(slope(x, y))
        assert bits(compiled_slope(x, y)) == expected
        assert close(grad(g, argnums=(0, 1))(x, y), slope(x, y))


def close(found, expected):
    """Equal up to rounding: equal subexpressions are computed, and swept, once."""
    for a, b in zip(found, expected, strict=True):
        # what is infinite halfway may cancel in another order
        if math.isfinite(a) and math.isfinite(b) and abs(a - b) > 1e-9 * (1 + abs(b)):
            return False
    return True


def test_only_paths_that_are_met_are_recorded(compiled):
    """Of 2**30 ways through a function, those that calls take."""
    recorded = []

    def f(x):
        recorded.append(1)
        y = x
        for k in range(30):
            y = y + k if y > k * 0.7 else y * 0.5
        return y

    g = compiled(f)
    points = [-1.0, 0.5, 3.0, 11.5]
    for _ in range(5):
        for x in points:
            assert bits(g(x)) == bits(eager(f, x))
    assert len(recorded) <= 5 * 4 + 4  # the eager calls, and once for each path
    del recorded[:]
    for x in (-1.1, 0.5, 3.0, 11.5):
        g(x)
    assert recorded == []


def test_guards_that_are_met_twice_cost_no_path(compiled):
    recorded = []

    def f(x, y):
        recorded.append(1)
        return again(x, y)

    g = compiled(f)
    for x, y in [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (math.nan, 1.0)] * 3:
        assert bits(g(x, y)) == bits(again(x, y))
    assert len(recorded) == 2


@pytest.fixture
def few_paths(monkeypatch):
    monkeypatch.setattr(jits, "LIMIT", 4)


def stairs(x):
    for k in range(30):
        if x < k:
            return x * k + 1 / (x - 2)
    return x**0.5


def test_too_many_paths_warn_once_and_run_eagerly(compiled, few_paths):
    g = compiled(stairs)
    points = [0.5, 7.5, 3.5, 20.5, 9.5, 0.25, 11.5, 20.25]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            for x in points:
                assert bits(g(x)) == bits(eager(stairs, x))
    assert [x.category for x in caught] == [RuntimeWarning]
    assert "paths" in str(caught[0].message)
    assert "stairs" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_eager_calls_beyond_the_limit_answer_as_compiled_ones(compiled, few_paths):
    """Also where Python's own numbers would raise, be ints, or be complex."""
    g = compiled(stairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in (
            20.5,
            10.5,
            11.5,
            12.5,
            2.0,
            2,
            -8.0,
            29.5,
            30.0,
            Fraction(29, 2),
            np.float64(5.5),
        ):
            assert bits(g(x)) == bits(eager(stairs, float(x))), x
        assert bits(g(-8.0)) == bits(eager(stairs, -8.0))
        assert g(math.nan) != g(math.nan)


def test_values_beyond_the_limit(compiled, few_paths):
    w = Value(3.0)
    g = compiled(lambda x: stairs(x) * w)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in (0.5, 10.5, 11.5, 12.5, 13.5, 25.5):
            w.grad = 0.0
            v = Value(x)
            y = g(v)
            y.backward()
            assert bits(y.data) == bits(eager(stairs, x) * 3.0)
            assert w.grad == eager(stairs, x)
            assert v.grad == pytest.approx(3.0 * slopes(stairs, x)[0], rel=1e-15)
            assert bits(plain(g(x))) == bits(y.data)


def test_a_million_random_calls_would_be_these(compiled):
    """A sample of them: every call of a branching function gives the eager answer."""

    def f(x, y):
        z = x * y
        if z > 0.3:
            z = z - x if x > y else z + y
        while z > 1:
            z = z * 0.5
        return z if y > 0 else (x if x > 0.5 else -z)

    g, rng = compiled(f), random.Random(1)
    points = [(rng.gauss(0, 1), rng.gauss(0, 1)) for _ in range(20_000)]
    assert [g(*xs) for xs in points] == [f(*xs) for xs in points]


# --- one entry on the tape ---------------------------------------------------------


def smooth(x, y):
    return m.sin(x * y) + x / (1.5 + y * y) - m.exp(-x)


def test_a_call_with_values_is_one_entry(compiled):
    g = compiled(smooth)
    g(1.0, 1.0)
    for _ in range(6):
        with Tape() as tape:
            a, b = Value(0.5), Value(0.25)
            y = g(a, b)
        assert len(entries(tape)) == 1
        assert y.inputs == (a, b)
        assert bits(y.data) == bits(smooth(0.5, 0.25))
        assert "smooth" in y.op
        y.backward()
        assert bits([a.grad, b.grad]) == bits(slopes(smooth, 0.5, 0.25))


def test_a_tape_that_is_open_does_not_see_what_is_recorded_for_programs(compiled):
    """Neither those of the function nor those of its derivatives."""
    g = compiled(smooth)
    with Tape() as tape:
        a = Value(0.5)
        y = g(a, 0.25)
        tape.gradient(g(a, 2.0), a)
        y.backward()
    assert {name for name in entries(tape) if not name.startswith("jit")} <= {"mul"}
    assert len(entries(tape)) <= 4


def test_one_entry_for_each_output_that_depends_on_a_value(compiled):
    f = lambda x, y: (x * 2, [y * 3, x * y], {"c": 7, "d": "text"}, x, y + 1)  # noqa: E731
    g, a = compiled(f), Value(2.0)
    g(1.0, 1.0)
    for _ in range(6):
        with Tape() as tape:
            found = g(a, 5.0)
        double, [triple, product], rest, same, more = found
        assert len(entries(tape)) == 3
        assert [x.__class__ is Value for x in (double, triple, product, same, more)] == [
            True, False, True, True, False,
        ]  # fmt: skip
        assert bits([triple, more, rest]) == bits([15.0, 6.0, {"c": 7.0, "d": "text"}])
        assert (double.data, product.data, same.data) == (4.0, 10.0, 2.0)
        a.grad = 0.0
        (double + product * 10 + same).backward()
        assert a.grad == 2 + 50 + 1


@given(anything, anything)
def test_gradients_of_an_entry_are_the_eager_ones(x, y):
    """Bit for bit where no subexpression occurs twice, whatever the numbers are."""
    for backend in BACKENDS:
        g = COMPILED.setdefault((smooth, backend), jit(smooth, backend=backend))
        assert bits(slopes(g, x, y)) == bits(slopes(smooth, x, y))
        assert bits(grad(g, argnums=(0, 1))(x, y)) == bits(grad(smooth, argnums=(0, 1))(x, y))


@given(randoms(longest=10, wild=False), st.booleans())
def test_gradients_of_random_programs_through_an_entry(program_and_points, native_):
    """Those of the program that the function becomes, to the last bit."""
    program, points = program_and_points
    g = jit(program.total, backend="native" if native_ else "source")
    everything = tuple(range(program.inputs))
    for xs in points:
        traced = trace(program.total, *xs)
        expected = grad(traced, argnums=everything)(*xs)
        assert bits(grad(g, argnums=everything)(*xs)) == bits(expected)


@given(programs(25), st.sampled_from(BACKENDS))
def test_gradients_through_an_entry_agree_with_dual_numbers(program, backend):
    g = jit(lambda xs: recorded(program[1], xs)[-1], backend=backend)
    leaves = [Value(x) for x in program[0]]
    y = g(leaves)
    if y.__class__ is Value:
        y.backward()
    assert_close([x.grad for x in leaves], program)
    assert_close(grad(g)(program[0]), program)


def test_compiled_and_eager_code_mix(compiled):
    g = compiled(smooth)

    def mixed(f):
        a, b = Value(0.3), Value(-1.2)
        c = a * b + 1
        y = f(c, m.tanh(a)) * f(b, c) - c
        z = f(y, y)
        z.backward()
        return [z.data, y.data, a.grad, b.grad, c.grad, y.grad]

    assert mixed(g) == pytest.approx(mixed(smooth), rel=1e-13)


def test_the_same_value_twice(compiled):
    g = compiled(lambda x, y: x * y * y)
    a = Value(3.0)
    g(a, a).backward()
    assert a.grad == 27.0
    assert grad(lambda x: g(x, x))(3.0) == 27.0


def test_backward_twice_with_seeds_and_between_calls(compiled):
    g, a = compiled(lambda x: x**3 if x > 0 else -x), Value(2.0)
    y = g(a)
    y.backward()
    y.backward(10.0)
    assert a.grad == 12.0 + 120.0
    z = g(Value(-1.0))
    z.backward()
    y.backward()
    assert a.grad == 12.0 + 120.0 + 12.0
    assert z.inputs[0].grad == -1.0


TRANSFORMS = {
    "grad": lambda f: grad(f, argnums=(0, 1)),
    "value_and_grad": lambda f: value_and_grad(f, argnums=(0, 1)),
    "jacobian": lambda f: jacobian(lambda v: [f(*v), f(v[1], v[0])]),
    "hessian": lambda f: hessian(lambda v: f(*v)),
    "hessian of one": hessian,
    "jvp": lambda f: lambda x, y: jvp(f, (x, y), (0.5, -2.0)),
    "vjp": lambda f: lambda x, y: vjp(f, x, y)[1](3.0),
    "hvp": lambda f: lambda x, y: hvp(f, (x, y), (1.0, 2.0)),
    "third": lambda f: grad(grad(grad(f)), argnums=1),
    "forward over reverse": lambda f: lambda x, y: jvp(grad(f), (x, y), (1.0, 0.5)),
    "reverse over forward": lambda f: grad(lambda x, y: jvp(f, (x, y), (1.0, y))[1]),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_transforms_of_jit_and_jit_of_transforms(transform, compiled):
    def f(x, y):
        return smooth(x, y) if x < 1 else m.log(x) * y**3

    for xs in [(0.7, -0.4), (1.5, 2.25), (-2.0, 0.1)]:
        args = ([*xs],) if transform in (TRANSFORMS["jacobian"], TRANSFORMS["hessian"]) else xs
        expected = transform(f)(*args)
        inside = transform(compiled(f))(*args)
        outside = compiled(transform(f))
        both = compiled(transform(compiled(f)))
        assert flat(inside) == pytest.approx(flat(expected), rel=1e-12, abs=1e-14)
        for _ in range(5):
            assert bits(outside(*args)) == bits(expected)
            assert bits(both(*args)) == bits(expected)


def flat(tree):
    return [x for part in tree for x in flat(part)] if isinstance(tree, (list, tuple)) else [tree]


def test_first_derivatives_agree_to_the_last_bit(compiled):
    for xs in [(0.7, -0.4), (1.5, 2.25)]:
        expected = bits(grad(smooth, argnums=(0, 1))(*xs))
        assert bits(grad(compiled(smooth), argnums=(0, 1))(*xs)) == expected
        assert bits(compiled(grad(smooth, argnums=(0, 1)))(*xs)) == expected


def test_partials_that_branch(compiled):
    """Rules should not, but a row's author may: the right derivative, or a clear error."""
    row = define(
        "kinked_", lambda x: m.where(m.less(0, x), x, 3 * x), lambda x, y: 1.0 if x > 0 else 3.0
    )
    try:
        g = compiled(lambda x: row(x) * x)
        for x in (2.5, -2.5, 1.0, -1.0):
            with contextlib.suppress(TypeError, RuntimeError):
                assert grad(g)(x) == (2 * x if x > 0 else 6 * x)
    finally:
        del TABLE["kinked_"]


def test_derivatives_across_a_branch(compiled):
    g = compiled(lambda x: x**3 if x > 0 else -(x**2))
    points = [2.0, -3.0, 1.0, -1.0, 0.0] * 2
    assert [grad(g)(x) for x in points] == [12.0, 6.0, 3.0, 2.0, 0.0] * 2
    assert [grad(grad(g))(x) for x in points] == [12.0, -2.0, 6.0, -2.0, -2.0] * 2
    assert [grad(grad(grad(g)))(x) for x in points] == [6.0, 0.0, 6.0, 0.0, 0.0] * 2
    assert compiled(grad(grad(g)))(2.0) == 12.0


def test_jit_in_jit_in_grad(compiled):
    inner = compiled(lambda x, y: x * y if x > y else x - y)
    middle = compiled(grad(lambda x, y: inner(x, y) ** 2))
    outer = compiled(lambda x, y: middle(x, y) + inner(y, x))

    def pure(x, y):
        f = lambda x, y: x * y if x > y else x - y  # noqa: E731
        return grad(lambda x, y: f(x, y) ** 2)(x, y) + f(y, x)

    for xs in [(3.0, 2.0), (1.0, 2.0), (-1.0, -1.5)] * 2:
        assert bits(outer(*xs)) == bits(pure(*xs))
        assert grad(outer)(*xs) == grad(pure)(*xs)
    assert inner(3.0, 2.0) == 6.0


def test_recursion(compiled):
    """A compiled function that calls itself, by its name, with Values or numbers."""

    @compiled
    def power(x, n):
        return 1.0 if n < 0.5 else x * power(x, n - 1)

    @compiled
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    for _ in range(3):
        assert [power(3.0, float(k)) for k in range(6)] == [3.0**k for k in range(6)]
        assert fibonacci(10.0) == 55.0
        assert grad(power)(3.0, 4.0) == 108.0


# --- Values from outside -------------------------------------------------------------


def test_captured_values_are_read_at_each_call(compiled):
    w = Value(3.0)
    g = compiled(lambda x: w * x + w)
    for k in range(8):
        w.data = float(k)
        w.grad = 0.0
        y = g(2.0)
        assert y.__class__ is Value
        assert y.data == 3.0 * k
        y.backward()
        assert w.grad == 3.0
    with Tape() as tape:
        y = g(Value(2.0))
    assert len(entries(tape)) == 1
    assert w in y.inputs


def test_captured_values_that_were_computed(compiled):
    """Their gradients flow on to what they come from."""
    u = Value(1.5)
    w = u * u
    g = compiled(lambda x: m.sin(w) * x)
    for number in (1.5, -0.5, 2.0, 1.5, 0.1, 0.2):
        u.data, u.grad = number, 0.0
        w.forward()
        y = g(2.0)
        assert y.data == math.sin(number * number) * 2.0
        y.backward()
        assert u.grad == pytest.approx(2 * math.cos(number * number) * 2 * number, rel=1e-15)


def test_captures_that_depend_on_the_branch(compiled):
    u, v = Value(10.0), Value(100.0)
    g = compiled(lambda x: x * u if x > 0 else x * v * v)
    for x in (1.0, -1.0, 2.0, -3.0, 1.0):
        u.grad = v.grad = 0.0
        a = Value(x)
        y = g(a)
        y.backward()
        expected = (10.0 * x, x, 0.0, 10.0) if x > 0 else (1e4 * x, 0.0, 200.0 * x, 1e4)
        assert (y.data, u.grad, v.grad, a.grad) == expected


def test_branches_on_captured_values(compiled):
    w = Value(1.0)
    g = compiled(lambda x: x * w if w > 0 else x - w)
    for number in (1.0, -2.0, 3.0, -0.5, 0.0, 4.0):
        w.data, w.grad = number, 0.0
        y = g(5.0)
        assert plain(y) == (5.0 * number if number > 0 else 5.0 - number)
        y.backward()
        assert w.grad == (5.0 if number > 0 else -1.0)


def test_a_captured_value_that_only_decides(compiled):
    """The result does not depend on it, only which result it is."""
    w = Value(1.0)
    g = compiled(lambda x: x * 2 if w > 0 else x * 3)
    for number in (1.0, -1.0, 2.0, -5.0, 1.0):
        w.data = number
        assert bits(g(2.0)) == bits(4.0 if number > 0 else 6.0)


def test_forward_after_a_change_of_leaves(compiled):
    a, w = Value(2.0), Value(3.0)
    g = compiled(lambda x: x * w if x > 0 else w - x)
    y = g(a) * 10
    for number, weight in [(4.0, 3.0), (4.0, 5.0), (-1.0, 5.0), (2.0, -1.0), (-7.0, 1.0)]:
        a.data, w.data = number, weight
        a.grad = w.grad = 0.0
        assert y.forward().data == 10 * (number * weight if number > 0 else weight - number)
        y.backward()
        expected = (10 * weight, 10 * number) if number > 0 else (-10.0, 10.0)
        assert (a.grad, w.grad) == expected


def test_forward_to_a_path_with_other_captures(compiled):
    """Values that the entry does not know cannot be reached: it says so, nothing has changed."""
    a, u, v = Value(1.0), Value(3.0), Value(5.0)
    g = compiled(lambda x: x * u if x > 0 else x * v)
    y = g(a)
    a.data = -1.0
    with pytest.raises(RuntimeError, match="another path"):
        y.forward()
    assert y.data == 3.0
    a.data = 2.0
    assert y.forward().data == 6.0
    y.backward()
    assert (a.grad, u.grad, v.grad) == (3.0, 2.0, 0.0)
    assert g(Value(-1.0)).data == -5.0


def test_second_derivatives_by_captured_values(compiled):
    w = Value(0.7)
    f = lambda x: m.sin(w * x) * w  # noqa: E731
    expected = grad(f)(2.0)
    expected.backward()
    wanted, w.grad = w.grad, 0.0
    slope = grad(compiled(f))(2.0)
    assert slope.data == pytest.approx(expected.data, rel=1e-15)
    slope.backward()
    assert w.grad == pytest.approx(wanted, rel=1e-14)
    w.grad = 0.0
    slope = compiled(grad(f))(2.0)
    assert bits(slope.data) == bits(expected.data)
    slope.backward()
    assert w.grad == pytest.approx(wanted, rel=1e-14)


def test_a_penalty_on_the_gradient(compiled):
    """backward() through a derivative of a compiled function, as some losses need it."""

    def loss(f, a, w):
        with Tape() as tape:
            y = f(a, w)
            slope = tape.gradient(y, a)
        return slope * slope + y

    def total(f):
        a, w = Value(0.5), Value(-1.5)
        loss(f, a, w).backward()
        return a.grad, w.grad

    assert total(compiled(smooth)) == pytest.approx(total(smooth), rel=1e-13)


def test_no_grad(compiled):
    w = Value(3.0)
    g = compiled(lambda x: x * w)
    for f in (g, lambda x: x * w):
        for x in (2.0, Value(2.0)):
            with no_grad():
                y = f(x)
            assert (y.data, y.op) == (6.0, "constant")
    assert g(2.0).op != "constant"
    with no_grad():
        assert compiled(lambda x: x * 2)(4.0) == 8.0
        first = compiled(lambda x: x * w)(4.0)  # recorded here for the first time
    assert first.op == "constant"


def test_no_grad_within_the_function(compiled):
    def f(x):
        with no_grad():
            y = x * x
        return x * y + y.detach()

    g = compiled(f)
    for x in (2.0, 3.0):
        a = Value(x)
        y = g(a)
        y.backward()
        assert (y.data, a.grad) == (x**3 + x * x, x * x)
        assert grad(g)(x) == grad(f)(x) == x * x


def test_leaves_of_another_thread(compiled, in_thread):
    w, a = Value(3.0), Value(2.0)
    g = compiled(lambda x: x * w if x > 0 else x - w)

    def job():
        y = g(a)
        y.backward()
        return y.data

    for k in range(1, 4):
        assert in_thread(job) == 6.0
        assert (a.grad, w.grad) == (3.0 * k, 2.0 * k)
    assert g(a).data == 6.0


def test_computed_values_of_another_thread_are_refused(compiled, in_thread):
    a = Value(3.0)
    y = a * 2
    captured, passed = compiled(lambda x: x * y), compiled(lambda x: x * 2)

    def job():
        for _ in range(3):
            with pytest.raises(RuntimeError, match="another thread"):
                captured(1.0)
            with pytest.raises(RuntimeError, match="another thread"):
                passed(y)

    in_thread(job)
    assert captured(1.0).data == 6.0
    in_thread(job)
    assert passed(y).data == 12.0


def test_pictures_of_graphs_with_compiled_calls(compiled):
    def smooth_step(x, w):
        return x * x * w

    w = Value(3.0, "w")
    g = compiled(lambda x: smooth_step(x, w))
    a = Value(2.0, "a")
    y = g(a) + 1
    y.backward()
    text = draw_dot(y).source
    assert "jit" in text
    assert all(f"<b>{name}</b>" in text for name in "aw")
    assert draw_dot(y).source == text


def test_a_compiled_result_is_a_computed_value(compiled):
    y = compiled(lambda x: x * 2)(Value(1.0))
    for refused in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="computed Value"):
            refused(y)
    with pytest.raises(AttributeError, match="computed"):
        y.data = 1.0
    with pytest.raises(TypeError, match=r"\.data"):
        float(y)
    assert repr(y) == "Value(data=2.0, grad=0.0)"
    assert y.inputs[0].data == 1.0


def test_a_network_is_trained_as_eagerly(compiled):
    def trained(wrap):
        random.seed(3)
        model = MLP(2, [4, 1])
        points = [((0.5, -1.0), 1.0), ((2.0, 0.25), -1.0), ((-1.0, -1.0), 1.0)]

        def loss(xs, y):
            score = model(list(xs))
            score = score[0] if isinstance(score, list) else score
            return m.relu(1 - y * score) + 1e-3 * m.sum([p * p for p in model.parameters()])

        f = wrap(loss)
        for k in range(12):
            for p in model.parameters():
                p.grad = 0.0
            f(*points[k % 3]).backward()
            for p in model.parameters():
                p.data -= 0.1 * p.grad
        return [p.data for p in model.parameters()]

    assert trained(compiled) == pytest.approx(trained(lambda f: f), rel=1e-12)


def test_entries_are_freed_with_their_graphs(compiled, small_table):
    table = small_table()
    g, a = compiled(lambda x: m.sin(x) if x > 0 else x), Value(0.5)
    for _ in range(200):
        y = g(a) * g(-a)
        y.backward()
    del y
    gc.collect()
    table.compact()
    assert table.count == 1
    for _ in range(50):
        assert hessian(lambda v: g(v[0]) * g(v[1]))([0.5, -0.5])
    gc.collect()
    table.compact()
    assert table.count == 1


# --- arguments and results ------------------------------------------------------------


NUMBERS = [
    3,
    np.float64(3),
    np.float32(3),
    np.int32(3),
    np.uint8(3),
    Fraction(3),
    Decimal(3),
    np.array(3.0),
]


@pytest.mark.parametrize("x", NUMBERS, ids=lambda x: type(x).__name__)
def test_any_real_number_is_a_float_inside(x, compiled):
    seen = []

    def f(x):
        seen.append(x.__class__)
        return x // 2 + x / 7

    g = compiled(f)
    for _ in range(6):
        assert bits(np.asarray(g(x)).item()) == bits(1.0 + 3 / 7)
    assert len(seen) == 1


def test_whole_numbers_are_no_settings(compiled):
    """Ints get no program each, and give what floats give."""
    recorded = []

    def f(x):
        recorded.append(1)
        return x * x

    g = compiled(f)
    assert [bits(g(k)) for k in range(-3, 4)] == [bits(float(k * k)) for k in range(-3, 4)]
    assert len(recorded) == 1
    with pytest.raises(OverflowError, match="too large"):
        g(10**400)
    assert g(2.0) == 4.0


def test_settings_select_programs(compiled):
    recorded = []

    def f(x, how, extra=None):
        recorded.append(type(how))
        if how is True:
            return x * 2
        if how == "square":
            return x * x
        return x if extra is None else x + len(extra)

    g = compiled(f)
    for _ in range(4):
        assert g(3.0, True) == 6.0
        assert g(3.0, "square") == 9.0
        assert g(3.0, None) == 3.0
        assert g(3.0, False, extra=("a", "b")) == 5.0
        assert g(3.0, False, extra="abc") == 6.0
        assert g(3.0, np.bool_(True)) == 3.0
        assert g(3.0, 1) == 3.0  # a number, not True
    assert len(recorded) == 7


def test_a_mask_may_be_changed_by_its_owner(compiled):
    def f(xs, mask):
        total = sum(x for x, kept in zip(xs, mask, strict=True) if kept)
        return total if xs[0] > 0 else -total

    g, mask, xs = compiled(f), np.array([True, False]), np.array([1.0, 10.0])
    assert g(xs, mask) == 1.0
    mask[:] = [False, True]
    assert g(-xs, np.array([True, False])) == 1.0
    assert g(-xs, mask) == 10.0
    result = compiled(lambda x: (x, np.array([True, False])))
    result(1.0)[1][:] = False
    assert result(2.0)[1].tolist() == [True, False]


def test_enums_are_settings(compiled):
    class Side(IntEnum):
        LEFT = 1
        RIGHT = 2

    g = compiled(lambda x, side: x if side is Side.LEFT else -x)
    assert [g(2.0, Side.LEFT), g(2.0, Side.RIGHT)] == [2.0, -2.0]


def test_an_entry_does_not_follow_to_results_of_another_structure(compiled):
    g = compiled(lambda x: (x * x, x * 10) if x > 0 else {"b": x * 10, "a": x * x})
    x = Value(1.0)
    a, _ = g(x)
    x.data = -3.0
    for follow in (a.backward, a.forward):
        with pytest.raises(RuntimeError, match="another structure; call it again"):
            follow()


def test_more_structures_than_are_linked(compiled):
    g = compiled(lambda xs: xs[0] * 2)
    for count in (*range(1, 40), 3, 30):
        assert g([1.5] * count) == 3.0


def test_fused_operations_do_not_record_a_path_twice():
    g = jit(lambda x, y: 1.0 if x * x - y > 0 else 0.0, fma=True)
    for k in range(60):
        x = 1 + k / 977
        for _ in range(6):
            assert g(x, x * x) in (0.0, 1.0)
        g.ready()
    (family,) = g.families.values()
    assert len(family.paths) <= 2


def test_settings_that_are_equal_but_not_the_same(compiled):
    """True is not 1, nor is the one program the other's, in whatever they are wrapped."""
    g = compiled(lambda x, how: x if how[0] is True else -x)
    assert g(2.0, (True,)) == 2.0
    assert g(2.0, (1,)) == -2.0
    assert g(2.0, (True,)) == 2.0


def test_settings_that_are_equal_but_not_the_same_in_a_set(compiled):
    kind = compiled(lambda x, how: x * (1 if type(next(iter(how))) is bool else 10))
    assert kind(2.0, frozenset([True])) == 2.0
    assert kind(2.0, frozenset([1])) == 20.0


def test_structures_keep_their_kinds(compiled):
    g = compiled(lambda p: p)
    for tree in [
        [1.0, (2.0, [3.0])], {"b": 1.0, "a": [2.0]}, Point(1.0, Point(2.0, 3.0)), (), [], {},
        OrderedDict(b=1.0, a=2.0), (1.0,), [[]], {"x": {"y": ()}}, "text", None, True,
    ]:  # fmt: skip
        for _ in range(5):
            found = g(tree)
            assert bits(found) == bits(tree)
            assert type(found) is type(tree)
            if isinstance(tree, (list, dict)):
                assert found is not g(tree)


def test_dicts_are_matched_by_their_keys(compiled):
    g = compiled(lambda d: d["a"] * 10 + d["b"])
    for _ in range(4):
        assert g({"a": 1.0, "b": 2.0}) == 12.0
        assert g({"b": 2.0, "a": 1.0}) == 12.0
        assert g({"a": 1.0, "b": 2.0, "c": 3.0}) == 12.0
        with pytest.raises(KeyError):
            g({"a": 1.0})


def test_keyword_arguments(compiled):
    g = compiled(lambda x, *, k=2.0, how="times": x * k if how == "times" else x + k)
    for _ in range(5):
        assert g(3.0) == 6.0
        assert g(3.0, k=5.0) == 15.0
        assert g(3.0, k=5) == 15.0
        assert g(3.0, how="plus") == 5.0
        assert g(3.0, how="plus", k=1.0) == 4.0
        assert g(3.0, k=1.0, how="plus") == 4.0
        assert g(x=3.0) == 6.0
    a = Value(5.0)
    g(3.0, k=a).backward()
    assert a.grad == 3.0


def test_any_number_of_arguments(compiled):
    g = compiled(lambda *xs, **named: m.sum([*xs, *named.values(), 0.5]))
    for _ in range(4):
        assert g() == 0.5
        assert g(1.0) == 1.5
        assert g(1.0, 2.0, z=3.0) == 6.5
        assert g(1.0, z=3.0, y=2.0) == 6.5


def test_arrays(compiled):
    g = compiled(lambda a, b: (a @ b, a * 2, a.T))
    a, b = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 0.5])
    for kind in (float, np.float32, int, object):
        for order in ("C", "F"):
            x = np.array(a, dtype=kind, order=order)
            for _ in range(4):
                product, double, turned = g(x, b)
                assert bits((product, double, turned)) == bits((a @ b, a * 2, a.T))
                double[:] = 0.0


def test_arrays_of_values(compiled):
    g = compiled(lambda a: (a * a).sum())
    a = np.array([Value(1.0), 2.0, Value(3.0)], dtype=object)
    for k in range(1, 5):
        y = g(a)
        assert y.data == 14.0
        y.backward()
        assert (a[0].grad, a[2].grad) == (2.0 * k, 6.0 * k)
    assert len(y.inputs) == 3
    both = compiled(lambda a, b: np.array([a[0] * b, b]))(a, 5.0)
    assert both.dtype == object
    assert (both[0].data, both[1]) == (5.0, 5.0)


def test_results_with_arrays_of_values_and_numbers(compiled):
    w = Value(2.0)
    g = compiled(lambda a: a * w)
    y = g(np.array([1.0, 3.0]))
    assert y.dtype == object
    assert [x.data for x in y] == [2.0, 6.0]
    (y[0] + y[1]).backward()
    assert w.grad == 4.0


def test_boolean_arrays_are_settings(compiled):
    g = compiled(lambda a, mask: a[mask].sum())
    a = np.array([1.0, 10.0, 100.0])
    for _ in range(4):
        assert g(a, np.array([True, False, True])) == 101.0
        assert g(a, np.array([False, True, True])) == 110.0
        assert g(a, np.array([True, False, True])) == 101.0


def test_empty_and_scalar_arrays(compiled):
    g = compiled(lambda a: a * 2)
    for shape in ((0,), (2, 0), ()):
        for _ in range(4):
            y = g(np.ones(shape))
            assert np.shape(y) == shape
            assert np.asarray(y).dtype == float
    assert float(g(np.ones(()))) == 2.0


def test_results_that_are_no_numbers(compiled):
    answers = {
        "none": (lambda x: None, None),
        "text": (lambda x: "yes" if x > 0 else "no", "yes"),
        "bool": (lambda x: x > 0, True),
        "int": (lambda x: 3, 3.0),
        "nothing": (lambda x: [], []),
        "mixed": (lambda x: (x, None, {"a": [x > 0, "b"]}), (2.0, None, {"a": [True, "b"]})),
        "fraction": (lambda x: [Fraction(1, 4), x], [0.25, 2.0]),
        "a class": (lambda x: (float, x), (float, 2.0)),
        "numpy": (lambda x: np.float32(0.5), 0.5),
    }
    for f, expected in answers.values():
        g = compiled(f)
        for _ in range(6):
            assert bits(g(2.0)) == bits(expected)
    assert g(2.0).__class__ is float


def test_arguments_are_left_alone(compiled):
    def f(xs, d):
        xs.append(xs[0] * 2)
        d["new"] = xs[1]
        return xs, d

    g = compiled(f)
    for _ in range(5):
        xs, d = [1.0, 2.0], {"old": 3.0}
        assert g(xs, d) == ([1.0, 2.0, 2.0], {"old": 3.0, "new": 2.0})
        assert (xs, d) == ([1.0, 2.0], {"old": 3.0})


class Holder:
    """An object of the user's."""

    def __init__(self, y):
        self.y = y


HIDING = {
    "object": (lambda x: Holder(x * 2), lambda found: found.y),
    "generator": (lambda x: (x * k for k in (2,)), next),
    "map": (lambda x: map(m.sin, [x]), next),
    "closure": (lambda x: lambda: x * 2, lambda found: found()),
    "frozenset": (lambda x: frozenset([x * 2]), lambda found: next(iter(found))),
    "text": (lambda x: f"{x * 2:.3f}", float),
}


@pytest.mark.parametrize("name", HIDING)
def test_results_that_hide_values_are_not_those_of_the_first_call(name, compiled):
    """Either they are refused, or they are right each time."""
    f, number = HIDING[name]
    g = compiled(f)
    for x in (1.0, 5.0, -2.0):
        try:
            found = plain(number(g(x)))
        except (TypeError, RuntimeError):
            continue
        assert found == plain(number(f(x)))


def test_numbers_from_elsewhere_are_those_of_the_recording(compiled):
    """As documented: plain numbers that f reads from elsewhere are frozen."""
    k = [2.0]
    g = compiled(lambda x: x * k[0])
    assert g(3.0) == 6.0
    k[0] = 5.0
    assert g(3.0) == 6.0


# --- functions -------------------------------------------------------------------------


def test_what_jit_keeps_of_a_function(compiled):
    def f(x: float, y: float = 2.0) -> float:
        """What it is for."""
        return x * y

    f.note = "kept"
    g = compiled(f)
    assert (g.__name__, g.__doc__, g.__wrapped__, g.note) == ("f", "What it is for.", f, "kept")
    assert g.__module__ == __name__
    assert g.__qualname__ == f.__qualname__
    assert inspect.signature(g) == inspect.signature(f)
    assert repr(f) in repr(g)
    assert callable(g)
    assert g(3.0) == 6.0
    assert inspect.unwrap(g) is f


@pytest.mark.parametrize("name", [x for x in dir(jits.Jitted) if not x.startswith("__")])
def test_attributes_of_the_function_hide_nothing(name, compiled):
    def f(x):
        return x * 2

    setattr(f, name, "its own")
    g = compiled(f)
    for x in (1.0, 2.0, -3.0):
        assert g(x) == g(x=x) == x * 2
    assert getattr(g, name) != "its own"


@jit
def decorated(x):
    return x * 2


def test_copies_are_those_of_functions(compiled):
    """The function itself, found by its name where it is pickled."""
    nameless = compiled(lambda x: x), compiled(functools.partial(smooth, 0.5)), vmap(lambda x: x)
    for g in (decorated, *nameless):
        assert copy.copy(g) is g
        assert copy.deepcopy([g]) == [g]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(decorated, protocol)) is decorated
    for g in nameless:
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pickle.dumps(g)


CALLABLES = {
    "partial": (functools.partial(smooth, 0.5), lambda y: smooth(0.5, y)),
    "builtin": (abs, abs),
    "row": (m.tanh, math.tanh),
    "bound method": (type("Scale", (), {"f": lambda self, x: x * 3})().f, lambda x: x * 3),
    "instance": (type("Shift", (), {"__call__": lambda self, x: x + 3})(), lambda x: x + 3),
    "class": (type("Pair", (tuple,), {"__new__": lambda cls, x: (x, x)}), lambda x: (x, x)),
    "program": (trace(lambda x: x * x, 1.0), lambda x: x * x),
    "compiled": (jit(smooth, backend="source"), smooth),
    "wrapped": (functools.wraps(smooth)(lambda x: x - 1), lambda x: x - 1),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_any_callable(name, compiled):
    f, expected = CALLABLES[name]
    g = compiled(f)
    for x in (0.5, -2.0, 3.0, 0.25, 1.0):
        args = (x, 0.5) if expected is smooth else (x,)
        assert bits(g(*args)) == bits(expected(*args))


# What generated Python might use itself.
NAMES = [
    "exp", "abs", "math", "inf", "nan", "isfinite", "float", "complex", "round", "int", "xs", "x0",
    "t0", "fsum", "floor", "copysign", "Fraction", "pow", "maximum", "ValueError", "w0", "lambda",
]  # fmt: skip


def all_sorts(x, y):
    """What needs helpers, constants and builtins when it is written in Python."""
    z = m.exp(m.trunc(x)) + abs(y) + m.less(x, y) + m.maximum(x, y) + m.hypot(x, y) + m.fma(x, y, y)
    z = z + m.fsum([x, y, 0.1]) + m.copysign(x, y) * x**y + m.minimum(math.inf, x) * m.gamma(y)
    z = m.where(m.less(z, -1e9), math.nan, z)
    return (z, round(y)) if x < y else m.sigmoid(z)


def named(name):
    """A function of that name, and one with an argument of that name."""

    def function(x, y):
        return all_sorts(x, y)

    function.__name__ = name
    if keyword.iskeyword(name):
        return [function]
    scope = {"all_sorts": all_sorts}
    exec(f"def with_argument({name}, y): return all_sorts({name}, y)", scope)
    return [function, scope["with_argument"]]


@pytest.mark.parametrize("name", NAMES)
def test_functions_and_arguments_of_any_name(name, compiled):
    w, expected = Value(0.5), eager(all_sorts, 1.5, 2.5)
    for f in named(name):
        g, captured = compiled(f), compiled(lambda x, y, f=f: f(x, y)[0] * w)
        for _ in range(5):
            assert bits(g(1.5, 2.5)) == bits(expected)
            assert bits(captured(1.5, 2.5).data) == bits(expected[0] * 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_source_of_functions_and_arguments_of_any_name(name):
    for f in named(name):
        for xs in [(1.5, 2.5), (2.5, 1.5)]:
            program, scope = trace(f, *xs), {}
            exec(program.source(), scope)
            function = [x for x in scope.values() if inspect.isfunction(x)][-1]
            assert function.__name__.rstrip("_") == program.name.rstrip("_")
            assert bits(function(*xs)) == bits(eager(all_sorts, *xs))


def test_operations_on_thousands_of_numbers(compiled):
    xs = [float(k % 7) / 3 for k in range(3000)]
    f = lambda xs: (m.sum(xs), m.dot(xs, xs[::-1]), sum(xs), m.fsum(xs[:200]))  # noqa: E731
    g = compiled(f)
    for _ in range(5):
        assert bits(g(xs)) == bits(f(xs))


def test_methods(compiled):
    class Line:
        def __init__(self, slope):
            self.slope = slope

        @compiled
        def at(self, x, shift=0.0):
            """A point of it."""
            return self.slope * x + shift if x > 0 else shift - x

        @staticmethod
        @compiled
        def double(x):
            return x * 2

        @classmethod
        @compiled
        def named(cls, x):
            return x + len(cls.__name__)

    a, b, w = Line(2.0), Line(5.0), Value(7.0)
    live = Line(w)
    for _ in range(5):
        assert (a.at(3.0), b.at(3.0), a.at(-3.0), b.at(3.0, 1.0)) == (6.0, 15.0, 3.0, 16.0)
        assert a.at(x=3.0, shift=1.0) == 7.0
        assert (a.double(4.0), Line.double(4.0), Line.named(1.0)) == (8.0, 8.0, 5.0)
        assert live.at(2.0).data == 14.0
        assert Line.at(a, 3.0) == 6.0
    assert Line.at.__doc__ == "A point of it."
    assert grad(a.at)(3.0) == 2.0
    live.at(2.0).backward()
    assert w.grad == 2.0


def test_a_function_that_raises(compiled):
    """The error is the function's own; nothing is kept of that call."""
    calls = []

    def f(x):
        calls.append(1)
        if x < 0:
            raise KeyError("negative")
        return x * 2

    g = compiled(f)
    for _ in range(3):
        with pytest.raises(KeyError, match="negative"):
            g(-1.0)
        assert g(2.0) == 4.0
        with pytest.raises(KeyError, match="negative"):
            g(-2)
        with pytest.raises(KeyError, match="negative"):
            g(Value(-1.0))
    assert len(calls) == 1 + 3 * 3  # once for the path, and at each call that raises
    assert (here.table.muted, here.table.held, here.table.trace) == (0, 0, None)


def test_a_function_interrupted_while_it_is_recorded(compiled):
    interrupts = [True]

    def f(x):
        if interrupts:
            interrupts.pop()
            raise KeyboardInterrupt
        return x + 1

    g = compiled(f)
    with pytest.raises(KeyboardInterrupt):
        g(1.0)
    assert g(1.0) == 2.0
    assert (here.table.held, here.table.trace, sys.gettrace()) == (0, None, sys.gettrace())


def test_the_program_of_a_path(compiled):
    g = compiled(lambda x: x * 2 if x > 0 else x * 3 + 1)
    assert g.program(1.0) == trace(lambda x: x * 2 if x > 0 else x * 3 + 1, 1.0)
    assert len(g.program(-1.0)) == 2
    assert g.program(1)(4.0) == 8.0
    assert "x" in g.program(1.0).source()


# --- refusals ----------------------------------------------------------------------------


def test_refused_options():
    for wrong in ("x", "", "Native", None, 1):
        with pytest.raises(ValueError, match="native"):
            jit(lambda x: x, backend=wrong)
    for wrong in (3.0, "f", None, Value(1.0), [abs]):
        with pytest.raises(TypeError, match="not a function"):
            jit(wrong)
    with pytest.raises(TypeError):
        jit(lambda x: x, "native")


REFUSED = {
    "data": (lambda x: x.data * x, RuntimeError, "data"),
    "grad": (lambda x: x.grad * x, RuntimeError, "grad"),
    "set data": (lambda x: setattr(x, "data", 1.0), RuntimeError, "data"),
    "float": (lambda x: float(x) * x, TypeError, "float"),
    "int": (lambda x: int(x) * x, TypeError, "int"),
    "index": (lambda x: [1.0, 2.0][x], TypeError, "."),
    "range": (lambda x: sum(range(x)), TypeError, "."),
    "math": (lambda x: math.sin(x), TypeError, "miniflow.math"),
    "backward": (lambda x: (x * 2).backward(), RuntimeError, "backward"),
    "unhashable": (lambda x: {1, 2}, TypeError, "set"),
    "bytearray": (lambda x: (x, bytearray(b"a")), TypeError, "bytearray"),
    "complex array": (lambda x: np.array([1j]) * x, TypeError, "."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compiled_is_refused_at_each_call(name, compiled):
    f, error, words = REFUSED[name]
    g = compiled(f)
    for x in (1.0, 2.0, 1, Value(1.0)):
        with pytest.raises(error, match=words):
            g(x)
    assert (here.table.held, here.table.trace, here.table.muted) == (0, None, 0)


def test_arguments_that_are_no_numbers(compiled):
    g = compiled(lambda x: x * 2)
    for wrong in ({1.0}, bytearray(b"a"), [{}, {2}]):
        with pytest.raises(TypeError, match="neither a number nor hashable"):
            g(wrong)
    for wrong in (1j, object(), None):
        with pytest.raises(TypeError):
            compiled(lambda x: x * Value(2.0))(wrong)
    assert g("ab") == "abab"  # a setting, and Python's answer
    assert g(2.0) == 4.0


def test_the_count_of_arguments(compiled):
    g = compiled(lambda x, y: x + y)
    for _ in range(5):
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'y'"):
            g(1.0)
        with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
            g(1.0, 2.0, 3.0)
        with pytest.raises(TypeError, match="multiple values for argument 'x'"):
            g(1.0, x=2.0)
        assert g(1.0, 2.0) == 3.0


# --- without llvmlite ------------------------------------------------------------------------


@pytest.fixture
def no_llvmlite(monkeypatch):
    """An installation without the extra."""
    caches = [native.available, native.llvm, jits._warn_once]
    for module in [name for name in sys.modules if name.split(".")[0] == "llvmlite"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def test_without_llvmlite_source_runs_with_one_warning(no_llvmlite):
    with pytest.warns(RuntimeWarning, match=r"miniflow\[jit\]") as caught:
        f = jit(lambda x: x * 2 if x > 0 else x - 1)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    w = Value(3.0)
    g = jit(lambda xs: m.exp(xs[0]) * xs[1])  # warnings are errors here: there is no second one
    h = jit(grad(lambda x: x**3 * w))
    for _ in range(6):
        assert (f(2.0), f(-2.0), f(Value(3.0)).data, grad(f)(2.0)) == (4.0, -3.0, 6.0, 2.0)
        assert bits(g([1000.0, 1.0])) == bits(math.inf)
        assert h(2.0).data == 36.0
    assert f.ready()
    with contextlib.suppress(TypeError):
        jit(3)


def test_without_llvmlite_the_native_backend_is_refused(no_llvmlite):
    with pytest.raises(ImportError, match=r"miniflow\[jit\]"):
        jit(lambda x: x, backend="native")


def test_without_llvmlite_the_source_backend_says_nothing(no_llvmlite):
    assert jit(lambda x: x + 1, backend="source")(1.0) == 2.0


def test_a_decorator_warns_where_it_stands(no_llvmlite):
    with pytest.warns(RuntimeWarning) as caught:

        @jit
        def f(x):
            return x + 1

    assert [x.filename for x in caught] == [__file__]
    assert f(1.0) == 2.0


# --- threads -----------------------------------------------------------------------------------


def steps(x, y):
    for k in range(6):
        if x < k:
            return m.sin(x * k) + y
        y = y * 0.9 if y > k else y + x
    return x * y


def test_threads_call_one_function(compiled, hasty):
    """Paths are found, recorded, linked and swapped while others run them."""
    g = compiled(steps)
    expected = {
        (x / 2, y / 2): bits(eager(steps, x / 2, y / 2)) for x in range(-2, 14) for y in (-3, 1, 9)
    }
    partials = {xs: bits(slopes(steps, *xs)) for xs in list(expected)[::7]}

    def job(seed):
        rng = random.Random(seed)
        for _ in range(4):
            for xs in rng.sample(list(expected), len(expected)):
                assert bits(g(*xs)) == expected[xs]
            for xs in rng.sample(list(partials), len(partials)):
                assert bits(slopes(g, *xs)) == partials[xs]
            assert bits(g(0, 2)) == bits(eager(steps, 0.0, 2.0))

    run_all([functools.partial(job, k) for k in range(8)])
    assert g.ready(60)
    assert [bits(g(*xs)) for xs in expected] == list(expected.values())


def test_threads_meet_a_path_for_the_first_time(compiled, hasty):
    """It is recorded once, whoever comes first."""
    for _ in range(10):
        recorded = []

        def f(x, recorded=recorded):
            recorded.append(1)
            return x * 2 if x > 0 else -x

        g = compiled(f)

        def job(g=g):
            assert (g(1.0), g(-1.0)) == (2.0, 1.0)

        run_all([job] * 6)
        assert len(recorded) == 2


def test_threads_with_a_shared_parameter(compiled, hasty):
    w = Value(3.0)
    g = compiled(lambda x: x * w if x > 0 else x - w)

    def job():
        for k in range(1, 21):
            g(float(k)).backward()
            g(Value(-1.0)).backward()

    run_all([job] * 8)
    assert w.grad == 8 * (210 - 20)


def test_a_recording_in_one_thread_leaves_the_others_alone(compiled):
    """While f is recorded here, others call what is compiled already, and record themselves."""
    g, going, done = compiled(lambda x: x * 3), threading.Event(), threading.Event()
    assert g(1.0) == 3.0
    found = []

    def slow(x):
        going.set()
        assert done.wait(20)
        return g(x) + 1

    outer = compiled(slow)
    thread = threading.Thread(target=lambda: found.append(outer(2.0)))
    thread.start()
    assert going.wait(20)
    a = Value(2.0)
    g(a).backward()
    assert (a.grad, g(4.0), compiled(lambda x: x - 1)(1.0)) == (3.0, 12.0, 0.0)
    done.set()
    thread.join()
    assert found == [7.0]


SWAPPING = """
    import sys, threading
    from miniflow import jit
    from miniflow.native import tiers as native
    from miniflow import math as m

    class Bench:
        stopping, thread, jobs = False, None, []
        put = jobs.append

    native.worker = Bench
    sys.setswitchinterval(1e-5)

    def steps(x, y):
        for k in range(6):
            if x < k:
                return m.sin(x * k) + y
            y = y * 0.9 if y > k else y + x
        return x * y

    for _ in range(4):
        g = jit(steps, backend="native")
        points = [(x / 2, y / 2) for x in range(-2, 14, 2) for y in (-3, 9)]
        expected = [g(*xs) for xs in points]
        stop = threading.Event()

        def call():
            while not stop.is_set():
                assert [g(*xs) for xs in points] == expected

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        while Bench.jobs:
            Bench.jobs.pop()()
        stop.set()
        for thread in threads:
            thread.join()
        assert g.ready(0) and [g(*xs) for xs in points] == expected
    print("done")
"""


SWAPPED = """
    import weakref
    from miniflow import jit
    from miniflow.native import tiers as native

    class Bench:
        stopping, thread, jobs = False, None, []
        put = jobs.append

    native.worker = Bench
    f = jit(lambda x: x * 2 if x > 0 else x - 1, backend="native")
    assert [f(1.0), f(-1.0)] * 2 == [2.0, -2.0] * 2
    paths = [path for family in f.families.values() for path in family.paths]
    codes = [code for path in paths for code in path.codes()]
    for code in codes:
        weakref.finalize(code.library, lambda: print(f(3.0), f(-3.0)))
    del code, codes, paths
    while Bench.jobs:
        Bench.jobs.pop(0)()
    print("done")
"""


def test_a_call_at_the_moment_of_the_swap():
    """The old code goes when nothing can find it any more, not while the new one is put in.

    What runs when it goes, here a finalizer, stands for any other thread.
    """
    assert sorted(python(SWAPPED).splitlines()) == ["6.0 -4.0"] * 2 + ["done"]


def test_swapping_while_threads_call():
    """The second tiers come in one by one while all threads are inside."""
    assert python(SWAPPING) == "done\n"
