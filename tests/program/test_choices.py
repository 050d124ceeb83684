"""`max` and `min` in a traced function: one program, with the gradients that Python's have."""

import builtins
import copy
import functools
import math
import operator
import sys
import threading
import unittest.mock
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as m
from miniflow import (
    Tape,
    Value,
    grad,
    jacobian,
    jit,
    jvp,
    no_grad,
    trace,
    value_and_grad,
    vjp,
    vmap,
)
from support.branching import answer, of_seed, plain, wrong_answers
from support.intrusions import intruded
from support.jitted import eager
from support.machine_code import bits

special = st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0, math.inf, -math.inf, math.nan])


def guards(f, *xs):
    """How many comparisons a program is bound to."""
    if sys.gettrace() is not None:
        pytest.skip("a debugger or coverage tool watches: then there are guards")
    return len(trace(f, *xs).guards)


# --- one path -----------------------------------------------------------------


@pytest.mark.parametrize("f", [lambda *xs: max(xs), lambda *xs: min(*xs)])
@given(
    example=st.lists(special, min_size=2, max_size=6),
    others=st.lists(special, min_size=6, max_size=6),
)
def test_one_program_for_any_order(f, example, others):
    """Ties, NaN and the signs of zeros are Python's."""
    assert not guards(f, *example)
    program = trace(f, *example)
    slope = trace(grad(f, argnums=tuple(range(len(example)))), *example)
    for xs in (example, others[: len(example)]):
        assert bits(program(*xs)) == bits(eager(f, *xs))
        assert bits(slope(*xs)) == bits(grad(f, argnums=tuple(range(len(xs))))(*xs))


def test_a_list_a_generator_and_floats_among_them():
    assert guards(lambda xs: max(x * x for x in xs), [1.0, 2.0]) == 0
    assert guards(lambda x, y: min(x, 0.5, y), 1.0, 2.0) == 0
    assert eager(lambda x: jit(lambda y: max(0.0, y))(x), -1.0) == 0.0


def logsumexp(xs):
    high = max(xs)
    return high + m.log(sum(m.exp(x - high) for x in xs))


def cross_entropy(xs):
    """What arrives first arrives at an argument, not at the maximum."""
    high = max(xs)
    return m.log(m.sum([m.exp(x - high) for x in xs])) + high - xs[1]


def softmax_loss(xs):
    high = max(xs)
    e = [m.exp(x - high) for x in xs]
    return -m.log(e[1] / m.sum(e)) + xs[0] * high


def shifted(xs):
    """Choices among choices, and among numbers."""
    high = max(max(xs[0], xs[1]), *xs[2:], -0.5)
    return m.sum([(x - high) * x for x in xs]) * high


def used_between(xs):
    """Python's max has returned x before the others are computed of it."""
    return max(x * xs[0] for x in xs) * xs[2] + max(xs[2], xs[1] * 2.0)


MERGED = [logsumexp, cross_entropy, softmax_loss, shifted]
TOLD = [
    used_between,
    lambda xs: m.sum([(x - min(xs)) / (max(xs) - min(xs) + 2.0) for x in xs]),  # in two choices
    lambda xs: max(xs[0], xs[1], xs[0]) * xs[0],  # twice in one
    lambda xs: (lambda a: max(a, xs[2]) * a * xs[0])(max(xs[0], xs[1])),  # a choice, used besides
    lambda xs: max(xs) * m.where(xs[0], xs[1], xs[2]),  # what may not have arrived at all
    lambda xs: m.where(xs[0], max(xs), 2.0) * xs[1] * xs[2],
]
three = st.lists(special | st.floats(-3, 3), min_size=3, max_size=3)


@pytest.mark.parametrize("f", MERGED)
@given(example=three, others=st.lists(three, min_size=2, max_size=4))
def test_gradients_add_up_as_python_s_max_has_them(f, example, others):
    """One path, to the last bit, whichever argument is the largest."""
    slopes = value_and_grad(f)
    assert (guards(f, example), guards(slopes, example)) == (0, 0)
    program = trace(slopes, example)
    for xs in (example, *others):
        assert bits(program(xs)) == bits(slopes(xs))


@pytest.mark.parametrize("f", [*MERGED, *TOLD])
@given(points=st.lists(three, min_size=2, max_size=5))
def test_where_adjoints_meet_in_other_ways_answers_are_the_same(f, points):
    """At all orders; and where derivatives of what is merged are asked for."""
    for g in (grad(f), jacobian(grad(f)), lambda xs: jvp(grad(f), (xs,), ([1.0, 0.5, -2.0],))):
        compiled = jit(g, backend="tape")
        for xs in points:
            assert answer(compiled, [xs]) == answer(g, [xs])


@pytest.mark.parametrize("f", MERGED)
@given(xs=three)
def test_gradients_of_plain_numbers_are_computed_as_python_s_max_has_them(f, xs):
    """They are numbers in the program: there is nothing to be merged."""
    back = lambda xs: vjp(f, xs)[1](1.0)[0]  # noqa: E731
    second = lambda xs: grad(lambda xs: m.dot(grad(f)(xs), xs))(xs)  # noqa: E731
    for g in (grad(f), jacobian(lambda xs: [f(xs), xs[0]]), back, second):
        both = lambda x, g=g: (g(xs), x * 2.0)  # noqa: E731
        assert answer(jit(both, backend="tape"), [1.0]) == answer(both, [1.0])


@given(points=st.lists(three, min_size=2, max_size=5))
def test_a_jacobian_of_a_softmax_has_one_path(points):
    """Several sweeps over the same choices."""

    def softmax(xs):
        high = max(xs)
        e = [m.exp(x - high) for x in xs]
        return [x / m.sum(e) for x in e]

    program = trace(jacobian(softmax), points[0])
    assert not program.guards
    for xs in points:
        assert bits(program(xs)) == bits(jacobian(softmax)(xs))


def test_a_batch_of_losses_has_one_path():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 5))
    for f in (logsumexp, cross_entropy):
        g = vmap(value_and_grad(f), precise=True)
        values, slopes = g(rows)
        expected = [value_and_grad(f)(row) for row in rows.tolist()]
        assert bits([*zip(values.tolist(), slopes.tolist(), strict=True)]) == bits(expected)
        (cache,) = g.caches.values()
        assert len(cache.specializations) == 1


def test_nearest_centres():
    """k-means: one kernel, and the gradients of Python's own min."""
    rng = np.random.default_rng(0)
    points, centres = rng.normal(size=(50, 2)), rng.normal(size=(5, 2))

    def nearest(cs, x):
        return min([sum((a - b) * (a - b) for a, b in zip(x, c, strict=True)) for c in cs])

    g = vmap(nearest, in_axes=(None, 0))
    assert bits(g(centres, points).tolist()) == bits(
        [nearest(centres.tolist(), x) for x in points.tolist()]
    )
    (cache,) = g.caches.values()
    assert len(cache.specializations) == 1


# --- numbers among the arguments ------------------------------------------------

POINTS = [(2.0, 1.0), (1.0, 2.0), (1.0, 1.0), (0.0, -0.0), (-1.0, -3.0), (math.nan, 1.0),
          (1.0, math.nan), (-2.0, 5.0), (math.inf, 0.5)]  # fmt: skip

SAME_AS_NUMBERS = [
    lambda s, k: max(s - k, 0) * m.exp(-0.05 * s),
    lambda s, k: max(s - k, 0.0),
    lambda s, k: max(0.0, 1 - s * k) ** 2,
    lambda s, k: m.sqrt(max(s - k, 0)),
    lambda s, k: min(max(s, 0), 1) * k,
    lambda s, k: min(max(s, 0.0), 1.0) / 2,
    lambda s, k: k / max(s, 0),
    lambda s, k: m.sum([max(s, 0), 1]),
    lambda s, k: functools.reduce(max, [s, k, 0.5]),
    lambda s, k: s if max(s, 0) else k,
]
AS_NUMBERS_ONLY = [
    lambda s, k: max(s - k, 0),
    lambda s, k: max(s - k, 0) * 2,
    lambda s, k: -max(s, 0) * k,
    lambda s, k: round(max(s, 0.5)),
    lambda s, k: 1.0 / max(s, 0.0),
    lambda s, k: s ** max(k, 0.0),
    lambda s, k: max(s, 0.5) ** -1.5,
    lambda s, k: max(s, 0.5) % 0.3 * k,
    lambda s, k: m.floor(max(s, 0.5)) * k,
    lambda s, k: k * (3.0 if isinstance(max(s, 0.5), float) else 2.0),
    lambda s, k: k * (3.0 if type(max(s, 0.5)) is float else 2.0),
    lambda s, k: k * math.exp(max(s, 0.5)),
    lambda s, k: sum(k for _ in range(max(s, 3))),
    lambda s, k: max(s, 2**60 + 1) * k,
    lambda s, k: max(s, True) * k,
    lambda s, k: max(s, np.float64(0.5)) * k,
]


@pytest.mark.parametrize("f", SAME_AS_NUMBERS)
def test_numbers_are_choices_where_nothing_tells_them_from_values(f):
    assert guards(f, 2.0, 1.0) <= 1  # that of `if`
    assert wrong_answers(f, POINTS, ways=of_two) == []


@pytest.mark.parametrize("f", AS_NUMBERS_ONLY)
def test_where_types_count_numbers_stay_what_they_are(f):
    assert wrong_answers(f, POINTS, ways=of_two) == []


def of_two(f):
    """A function of two numbers and its gradient, and what they are to answer."""
    slopes = grad(f, argnums=(0, 1))
    return [("value", f, lambda *xs: f(*map(Value, xs))), ("slopes", slopes, slopes)]


def test_a_long_range_is_not_written_down():
    assert trace(lambda x: x * max(range(10**5)), 1.0)(2.0) == 2.0 * (10**5 - 1)


# --- who looks at objects gets those that there are: guards, as ever -----------

is_same = operator.is_
HIGH = math.nan


class Box:
    kept = None


def stored(xs):
    Box.kept = max(xs)
    found = xs[0] * 2.0 if Box.kept is xs[0] else xs[1]
    Box.kept = None
    return found


def matched(xs):
    match max(xs[0], 0.5):
        case float():
            return xs[1]
        case None:
            return xs[2]
    return xs[0]


def swept(xs):
    y = max(xs)
    with Tape() as tape:
        z = y * y + xs[0] * 3.0
        return tape.gradient(z, y)


def remembered(xs):
    @functools.lru_cache
    def double(v):
        return v * 2.0

    return double(max(xs)) + double(xs[0])


def removed(xs):
    xs = [*xs]
    xs.remove(max(xs))
    return xs[0] - xs[1]


OBSERVERS = [
    lambda xs: sum(x for x in xs if x is not max(xs)),
    lambda xs: xs[xs.index(max(xs)) - 1] * 2.0,
    lambda xs: {x: k for k, x in enumerate(xs)}[max(xs)] * xs[0],
    lambda xs: xs[[id(x) for x in xs].index(id(min(xs)))] * 3.0,
    lambda xs: 1.0 * (max(xs) in set(xs)),
    lambda xs: max(range(len(xs)), key=lambda k: xs[k]) * xs[1],
    lambda xs: max(xs, default=1.0),
    lambda xs: xs[0] if operator.is_(max(xs), xs[0]) else xs[1] * 2.0,
    lambda xs: xs[0] if is_same(max(xs), xs[0]) else xs[1] * 2.0,
    lambda xs: xs[0] if weakref.ref(max(xs))() is xs[0] else xs[1] * 2.0,
    lambda xs: [*xs, max(xs)].count(xs[0]) * xs[0],
    lambda xs: xs[0] * ([max(xs), xs[1]] == xs[:2]),
    lambda xs: xs[0] * ((max(xs), 1) < (xs[0], 2)),
    lambda xs: xs[1] * (max(HIGH, xs[0]) in [HIGH]),
    lambda xs: sorted([max(xs), *xs])[2],
    lambda xs: copy.copy([max(xs)])[0] * xs[0],
    stored, matched, swept, remembered, removed,
]  # fmt: skip


@pytest.mark.parametrize("f", OBSERVERS)
def test_who_looks_at_objects_gets_those_that_there_are(f):
    points = [(1.0, 2.0, 3.0), (3.0, 1.0, 2.0), (2.0, 2.0, 1.0), (1.0, 3.0, 3.0), (0.5, -1.0, 0.25)]
    slopes = grad(lambda *xs: f([*xs]), argnums=(0, 1, 2))
    for g in (lambda *xs: f([*xs]), slopes):
        compiled = jit(g, backend="tape")
        for xs in points:
            expected = answer(lambda *xs, g=g: trace_free(g, xs), xs)
            assert answer(compiled, xs) == expected


def trace_free(g, xs):
    """The program without choices, as under a debugger."""
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        return trace(g, *xs)(*xs)
    finally:
        sys.settrace(before)


def test_a_name_of_one_s_own_goes_on_with_guards():
    own = max
    assert guards(lambda x, y: own(x, y), 1.0, 2.0) == 1


def test_the_label_of_the_largest():
    def f(x, y):
        x.label, y.label = "x", "y"
        return max(x, y).label

    g = jit(f, backend="tape")
    assert [g(1.0, 2.0), g(2.0, 1.0)] == ["y", "x"]


def test_gradients_flow_through_what_no_grad_picks():
    """It is the argument itself."""

    def f(x, y):
        with no_grad():
            high = max(x, y)
        return high * high

    def paused(x, y):
        with no_grad():
            yield max(x, y)

    for g in (f, lambda x, y: next(paused(x, y)) * x):
        assert bits(jit(grad(g))(3.0, 1.0)) == bits(grad(g)(3.0, 1.0))


def test_another_thread_s_leaf_among_them():
    leaf = []
    thread = threading.Thread(target=lambda: leaf.append(Value(2.5)))
    thread.start()
    thread.join()
    f = jit(lambda x: max(x, leaf[0]) * x, backend="tape")
    found = [f(x) for x in (1.0, 3.0, 2.5)]
    assert plain(found) == [2.5, 9.0, 6.25]


# --- Python's own are back in the end --------------------------------------------


@pytest.fixture
def own():
    before = builtins.max, builtins.min
    yield before
    assert (builtins.max, builtins.min) == before


def test_other_threads_have_python_s_own(own):
    seen = []

    def f(x, y):
        thread = threading.Thread(target=lambda: seen.append((max(1, 2), min([Value(3.0)]).data)))
        thread.start()
        thread.join()
        return max(x, y)

    assert trace(f, 1.0, 2.0)(1.0, 2.0) == 2.0
    assert set(seen) == {(2, 3.0)}


def test_after_errors(own):
    for f in (lambda x: x * (1 // 0), lambda x: max(x, 1.0) * (1 // 0), lambda x: max([]) * x):
        with pytest.raises((ZeroDivisionError, ValueError)):
            trace(f, 1.0)
    with pytest.raises(TypeError, match="not iterable"):
        trace(lambda x: max(3) * x, 1.0)


def test_interrupted_at_any_moment(own):
    def interrupt():
        raise KeyboardInterrupt

    moment, more = 1, True
    while more:
        try:
            more = intruded(lambda: trace(lambda x, y: max(x, y) * x, 1.0, 2.0), interrupt, moment)
        except KeyboardInterrupt:
            more = True
        moment += 7
        assert trace(lambda x, y: max(x, y) * x, 1.0, 2.0)(3.0, 2.0) == 9.0
    assert moment > 50


def test_threads_that_trace_at_the_same_time(own):
    wrong = []

    def work():
        for _ in range(30):
            program = trace(lambda x, y: min(x, y) * x, 1.0, 2.0)
            if program.guards or program(2.0, 1.0) != 2.0:
                wrong.append(program)

    if sys.gettrace() is None:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_mocks_are_called(own):
    def seven(*_):
        return 7.0

    mocked = unittest.mock.patch.object(builtins, "max", seven)
    with mocked:
        assert trace(lambda x: max(x, 1.0) * x, 1.0)(2.0) == 14.0

    def f(x):
        with mocked:
            return max(x, 1.0) * x

    assert trace(f, 1.0)(2.0) == 14.0


def test_a_trace_in_a_trace(own):
    f = jit(lambda x, y: max(x, y) * trace(lambda a, b: max(a, b), 1.0, 2.0)(4.0, 5.0))
    assert [f(1.0, 2.0), f(3.0, 2.0)] == [10.0, 15.0]


# --- random functions ---------------------------------------------------------


@pytest.mark.parametrize("batch", [False, True])
@given(seed=st.integers(0, 2**32))
def test_random_functions_answer_as_eagerly(batch, seed):
    text, wrong = of_seed(seed, batch=batch and seed % 8 == 0)
    assert wrong == [], text


def _or_seven(f):
    """A function that takes an error of the type of a Value for an answer."""

    def attempt(x):
        try:
            return f(max(x, 2)) * x
        except (TypeError, AttributeError):
            return 7.0 * x

    return attempt


@pytest.mark.parametrize(
    "f",
    [
        *[lambda y: len(str(y)), lambda y: len(f"{y}"), lambda y: len(repr([y]))],
        *[math.sqrt, range(9).__getitem__, lambda y: len(range(y)), lambda y: int(y) + 1.0],
        *[lambda y: complex(y).real, lambda y: y & 3, lambda y: ~y, lambda y: y.real],
        *[lambda y: math.sqrt(y + 1), lambda y: y.bit_length()],
    ],
)
@pytest.mark.parametrize("x", [0.5, 3.0])
def test_what_a_plain_number_does_otherwise_is_seen_though_its_error_is_caught(f, x):
    attempt = _or_seven(f)
    expected, leaf = Value(x), Value(x)
    (y := attempt(expected)).backward()
    (found := jit(attempt)(leaf)).backward()
    assert bits((found.data, leaf.grad)) == bits((y.data, expected.grad))


kind_of, whether_of = type, isinstance


def test_what_asks_for_an_object_or_its_type_is_seen_by_any_name():
    one, other = id, isinstance

    def by_closure(x, y):
        return x * (2.0 if one(max(x, y)) == one(x) else 3.0)

    def by_default(x, y, same=operator.is_):
        return x * (2.0 if same(max(x, y), x) else 3.0)

    def type_by_closure(x, y):
        return x * (2.0 if other(max(x, 1.0), float) else 3.0)

    def type_by_global(x, y):
        return x * (2.0 if kind_of(max(x, 1.0)) is float else 3.0)

    def type_by_default(x, y, whether=whether_of):
        return x * (2.0 if whether(max(x, 1.0), float) else 3.0)

    for f in (by_closure, by_default, type_by_closure, type_by_global, type_by_default):
        for xs in ((2.0, 1.0), (0.5, 0.75), (1.0, 2.0), (2.0, 1.0)):
            expected = f(*map(Value, xs))
            assert jit(f)(*xs) == expected.data, (f.__name__, xs)
