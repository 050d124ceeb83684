"""Guards: each comparison of numbers while a function is traced is asked again at each call."""

import itertools
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, trace
from miniflow import math as m
from miniflow.program.ir import PathError
from miniflow.testing.steps import ORDER
from miniflow.testing.strategies import EXACT, anything
from support.bits import bits
from support.formulas import collatz, newton
from support.programs import names, variants

inf, nan = math.inf, math.nan


# --- guards -------------------------------------------------------------------

SAMPLES = [-inf, -2.0, -1.0, -0.0, 0.0, 0.1, 1.0, 2.0, 2.0**53, 1.7976931348623157e308, inf, nan]


@pytest.mark.parametrize("name", ORDER)
def test_a_comparison_of_two_numbers_is_a_guard(name):
    relation = ORDER[name]

    def f(x, y):
        return x + y if relation(x, y) else x - y

    programs = {True: [], False: []}
    for traced in itertools.product(SAMPLES, repeat=2):
        program = trace(f, *traced)
        assert len(program.guards) == 1
        if program not in programs[relation(*traced)]:
            programs[relation(*traced)].append(program)
    for outcome, found in programs.items():
        for program, xs in itertools.product(found, itertools.product(SAMPLES, repeat=2)):
            assert_path(program, f, xs, same=relation(*xs) == outcome)


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


@given(st.floats(1, 4), st.floats(1, 4))
def test_an_iteration_to_convergence(a, b):
    program = trace(newton, a)
    assert program(a) == newton(a)
    try:
        assert program(b) == newton(b)
    except PathError:
        assert trace(newton, b) != program
