"""Positions, tables and exponentials of lists: `take`, `interp`, `softmax` and the like."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from miniflow import Value, grad, hessian, jacobian, jit, trace, vmap
from miniflow import math as m
from support.modes import MODES

inf, nan = math.inf, math.nan
ordinary = st.floats(-50, 50)
modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def close(x):
    return pytest.approx(x, rel=1e-12, abs=1e-15, nan_ok=True)


# --- the largest and smallest -------------------------------------------------


def nested(xs):
    return m.maximum(m.maximum(xs[0], xs[1]), xs[2]), m.minimum(m.minimum(xs[0], xs[1]), xs[2])


def all_at_once(xs):
    return m.max(xs), m.min(*xs)


@modes
def test_the_largest_is_what_pairs_give(mode):
    for xs in itertools.product([1.0, -0.0, 0.0, nan], repeat=3):
        for a, b in zip(mode(all_at_once, list(xs)), nested(list(xs)), strict=True):
            assert (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))


SHARES = [(grad(m.maximum), max), (grad(m.min), min)]


@modes
@given(xs=st.lists(st.integers(-2, 2).map(float), min_size=5, max_size=5))
def test_each_of_n_equal_ones_gets_an_nth_of_the_derivative(mode, xs):
    for f, best in SHARES:
        share = 1 / xs.count(best(xs))
        assert mode(f, xs) == [share if x == best(xs) else 0.0 for x in xs]


@given(xs=st.lists(st.integers(-2, 2).map(float), min_size=1, max_size=7))
def test_no_second_derivatives_of_the_largest(xs):
    assert sum(grad(m.max)(xs)) == pytest.approx(1.0)
    assert hessian(m.max)(xs) == [[0.0] * len(xs)] * len(xs)


@modes
def test_what_is_not_the_largest_gets_nothing(mode):
    f = grad(lambda xs: m.sqrt(m.max(xs[0], 0.0, xs[1])))
    assert mode(f, [-1.0, -2.0]) == [0.0, 0.0]


@pytest.mark.parametrize("f", [m.maximum, m.minimum])
def test_one_entry_for_any_number(f):
    xs = [Value(float(k % 7)) for k in range(40)]
    assert f(*xs).op == ("max_of" if f is m.maximum else "min_of")
    assert f(xs[0], xs[1]).op == f.__name__


# --- positions ----------------------------------------------------------------


def power(xs, i):
    return m.exp(m.take(xs, i))


slopes_of_power = grad(power, (0, 1))


@modes
@given(xs=st.lists(ordinary, min_size=5, max_size=5), i=st.integers(-5, 4))
def test_take_is_an_index(mode, xs, i):
    assert mode(m.take, xs, float(i)) == xs[i]
    slopes = mode(slopes_of_power, xs, float(i))
    expected = [0.0] * len(xs)
    expected[i] = math.exp(xs[i])
    assert (slopes[0], slopes[1]) == (close(expected), 0.0)


@modes
@pytest.mark.parametrize(
    ("i", "error"), [(3.0, IndexError), (-4.0, IndexError), (nan, IndexError), (0.5, TypeError)]
)
def test_a_position_that_there_is_not_is_refused_in_every_mode(mode, i, error):
    with pytest.raises(error, match="take: "):
        mode(m.take, [1.0, 2.0, 3.0], i)


def test_compiled_code_refuses_it_later_too():
    f = jit(m.take, backend="native")
    assert [f([1.0, 2.0, 3.0], float(i)) for i in (0, 1, 2, -1)] == [1.0, 2.0, 3.0, 3.0]
    with pytest.raises(IndexError, match="take: position 7 of 3 items; the last one is 2"):
        f([1.0, 2.0, 3.0], 7.0)
    with pytest.raises(IndexError):
        vmap(m.take, (None, 0))([1.0, 2.0], np.array([0.0, 1.0, 2.0]))


def test_a_plain_position_records_nothing():
    x = Value(2.0)
    assert m.take([1.0, x], 1) is x
    assert m.take([1, x], np.int64(0)) == 1.0


@pytest.mark.parametrize("plain", [True, False])
def test_a_table_of_a_thousand(plain):
    xs = [math.sin(k) for k in range(1000)]
    f = (lambda i: m.take(xs, i)) if plain else lambda i: m.take([i, *xs], i + 1)
    compiled = jit(f, backend="native")
    assert [compiled(float(k)) for k in range(0, 1000, 37)] == xs[::37]
    at = np.arange(1000.0)
    assert vmap(f)(at).tolist() == xs


# --- tables -------------------------------------------------------------------

knots = st.lists(st.integers(-30, 30), min_size=1, max_size=8, unique=True).map(
    lambda xs: sorted(map(float, xs))
)


@given(data=st.data(), xs=knots, x=st.integers(-70, 70).map(lambda k: k / 2))
def test_interp_is_numpys(data, xs, x):
    ys = data.draw(st.lists(ordinary, min_size=len(xs), max_size=len(xs)))
    expected = float(np.interp(x, xs, ys))
    assert m.interp(x, xs, ys) == close(expected)
    assert m.interp(Value(x), xs, ys).data == m.interp(x, list(map(Value, xs)), ys).data
    assert m.interp(x, np.array(xs), np.array(ys)) == m.interp(Value(x), xs, ys).data


@modes
@pytest.mark.parametrize("x", [-2.0, -1.0, -0.5, 0.0, 0.7, 2.0, 2.5, 4.0, 5.0, nan, inf])
def test_interp_in_every_mode(mode, x):
    xs, ys = [-1.0, 0.0, 2.0, 4.0], [3.0, -1.0, 0.5, 7.0]
    expected = float(np.interp(x, xs, ys))
    assert mode(lambda x: m.interp(x, xs, ys), x) == close(expected)
    assert mode(m.interp, x, xs, ys) == close(expected)
    pieces = itertools.pairwise(zip(xs, ys, strict=True))
    slopes = [(p, q, (b - a) / (q - p)) for (p, a), (q, b) in pieces]
    inside = [s for p, q, s in slopes if p <= x < q or x == q == 4]
    slope = nan if x != x else inside[-1] if inside else 0.0
    assert mode(grad(lambda x: m.interp(x, xs, ys)), x) == close(slope)


@given(data=st.data(), xs=knots.filter(lambda xs: len(xs) > 1), t=st.floats(0.01, 0.99))
def test_the_derivatives_of_interp_by_everything(data, xs, t):
    ys = data.draw(st.lists(ordinary, min_size=len(xs), max_size=len(xs)))
    j = data.draw(st.integers(0, len(xs) - 2))
    x = xs[j] + t * (xs[j + 1] - xs[j])
    assume(xs[j] < x < xs[j + 1])

    def line(x, a, b, p, q):
        return p + (q - p) * (x - a) / (b - a)

    with mpmath.workdps(50):
        at = list(map(mpmath.mpf, (x, xs[j], xs[j + 1], ys[j], ys[j + 1])))
        exact = [
            float(mpmath.diff(line, at, tuple(int(i == k) for i in range(5)))) for k in range(5)
        ]
    dx, dxs, dys = grad(m.interp, (0, 1, 2))(x, xs, ys)
    close_to = lambda y: pytest.approx(y, rel=1e-9, abs=1e-9)  # noqa: E731
    assert [dx, dxs[j], dxs[j + 1], dys[j], dys[j + 1]] == close_to(exact)
    assert sum(map(abs, dxs)) == close_to(abs(exact[1]) + abs(exact[2]))
    assert hessian(lambda x: m.interp(x, xs, ys))(x) == 0.0


@pytest.mark.parametrize(
    ("xs", "ys", "x"),
    [
        ([0.0, 1.0], [inf, 1.0], 0.0),
        ([0.0, 1.0], [0.0, inf], 0.0),
        ([0.0, 1.0], [inf, inf], 0.5),
        ([0.0, 1.0], [0.0, inf], 0.5),
        ([0.0, 1.0, 1.0, 2.0], [0.0, 1.0, 5.0, 6.0], 1.0),
        ([-inf, 1.0], [2.0, 3.0], 0.0),
    ],
)
@modes
def test_infinite_and_equal_knots_as_numpy(mode, xs, ys, x):
    expected = float(np.interp(x, xs, ys))
    assert mode(lambda x: m.interp(x, xs, ys), x) == close(expected)


@pytest.mark.parametrize(
    ("xs", "ys", "words"),
    [
        ([], [], "no knots"),
        ([1.0, 2.0], [1.0], "lengths differ: 2 and 1"),
        ([1.0, 0.0], [1.0, 2.0], r"xs must increase, but 0\.0 comes after 1\.0"),
        ([1.0, nan], [1.0, 2.0], "xs must increase"),
    ],
)
def test_what_is_no_table_is_refused(xs, ys, words):
    with pytest.raises(ValueError, match=f"interp: {words}"):
        m.interp(0.5, xs, ys)


def test_a_compiled_table_is_looked_up_anew():
    xs = np.linspace(0.0, 1.0, 200)
    ys = np.sin(7 * xs)
    f = jit(lambda x: m.interp(x, xs, ys), backend="native")
    at = np.linspace(-0.2, 1.2, 97).tolist()
    assert [f(x) for x in at] == [m.interp(x, xs, ys) for x in at]
    assert len(f.program(0.5).guards) == 0


# --- exponentials of lists ----------------------------------------------------

lists = st.lists(st.floats(-700, 700) | st.sampled_from([0.0, 1e308, -1e308, 1000.0]), min_size=1,
                 max_size=6)  # fmt: skip


@given(lists)
def test_against_fifty_digits(xs):
    with mpmath.workdps(50):
        exact = [mpmath.mpf(x) for x in xs]
        top = max(exact)
        powers = [mpmath.exp(x - top) for x in exact]
        total = mpmath.fsum(powers)
        rest = mpmath.fsum(sorted(powers)[:-1])
        logarithm = mpmath.log1p(rest)
        shares = [float(p / total) for p in powers]
        expected = [float(x - top - logarithm) for x in exact]
        largest = float(top + logarithm)
    near = lambda y, size=0.0: pytest.approx(y, rel=1e-12, abs=1e-300 + 1e-15 * size)  # noqa: E731
    assert m.softmax(xs) == near(shares)
    assert m.log_softmax(xs) == near(expected)
    assert m.logsumexp(xs) == near(largest, abs(float(top)))
    assert grad(m.logsumexp)(xs) == near(shares)
    slopes = jacobian(m.log_softmax)(xs)
    for k, row in enumerate(slopes):
        assert row == pytest.approx([float(j == k) - s for j, s in enumerate(shares)], abs=1e-12)


@modes
@pytest.mark.parametrize("xs", [[1.0, 2.0, 3.0], [-1000.0, 0.0], [5.0], [1.0, 1.0, 1.0]])
def test_in_every_mode(mode, xs):
    for f in (m.logsumexp, m.softmax, m.log_softmax, grad(m.logsumexp)):
        expected = f(xs)
        assert mode(f, xs) == pytest.approx(expected, rel=1e-14)


def test_what_is_small_beside_the_largest_is_not_lost():
    assert m.logsumexp([0.0, -40.0]) == close(math.exp(-40))
    assert m.log_softmax([0.0, -40.0])[0] == close(-math.exp(-40))
    assert m.logsumexp([0.0, 0.0, -40.0]) == close(math.log(2))


@modes
@pytest.mark.parametrize(
    ("xs", "value", "shares"),
    [
        ([-inf, 0.0], 0.0, [0.0, 1.0]),
        ([-inf, -inf], -inf, [0.5, 0.5]),
        ([inf, 0.0], inf, [1.0, 0.0]),
        ([inf, inf, 0.0, -inf], inf, [0.5, 0.5, 0.0, 0.0]),
        ([nan, 0.0], nan, [nan, nan]),
    ],
)
def test_infinities(mode, xs, value, shares):
    assert mode(m.logsumexp, xs) == close(value)
    assert mode(m.softmax, xs) == close(shares)
    assert mode(grad(m.logsumexp), xs) == close(shares)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=4))
def test_second_derivatives(xs):
    p = m.softmax(xs)
    expected = [[p[j] * (j == k) - p[j] * p[k] for j in range(len(xs))] for k in range(len(xs))]
    for row, other in zip(hessian(m.logsumexp)(xs), expected, strict=True):
        assert row == pytest.approx(other, abs=1e-14)


@pytest.mark.parametrize("f", [m.logsumexp, m.softmax, m.log_softmax])
def test_of_no_numbers(f):
    with pytest.raises(ValueError, match=f"{f.__name__}: no numbers"):
        f([])


def test_an_array_gives_an_array():
    x = np.array([Value(1.0), 2.0], dtype=object)
    assert m.softmax(x).shape == (2,)
    assert m.log_softmax(np.array([1.0, 1.0])).dtype == float


# --- frexp and nextafter ------------------------------------------------------


@modes
@pytest.mark.parametrize("x", [10.0, -0.3, 1.0, 0.0, -0.0, 5e-324, 1.5e308, inf, nan])
def test_frexp_in_every_mode(mode, x):
    mantissa, power = mode(m.frexp, x)
    expected = math.frexp(x)
    assert (mantissa, power) == (close(expected[0]), expected[1])
    assert math.copysign(1, mantissa) == math.copysign(1, expected[0]) or x != x


@pytest.mark.parametrize("x", [10.0, -0.3, 1.0, 0.75])
def test_the_derivative_of_the_mantissa(x):
    assert grad(lambda x: m.frexp(x)[0])(x) == 2.0 ** -math.frexp(x)[1]
    assert grad(lambda x: m.frexp(x)[1])(x) == 0.0
    assert grad(lambda x: m.ldexp(m.frexp(x)[0], 3))(x) == 2.0 ** (3 - math.frexp(x)[1])


@modes
def test_nextafter_in_every_mode(mode):
    assert mode(m.nextafter, 1.0, 2.0) == math.nextafter(1.0, 2.0)
    assert mode(grad(m.nextafter, (0, 1)), 1.0, 2.0) == (1.0, 0.0)
    assert m.nextafter(0.0, 1.0, steps=3) == 3 * 5e-324
    with pytest.raises(ValueError, match="steps must not be negative"):
        m.nextafter(0.0, 1.0, steps=-1)


# --- arrays -------------------------------------------------------------------

MIXED = [
    (m.sqrt, 1), (m.exp, 1), (m.log, 1), (m.logaddexp, 2), (m.copysign, 2), (m.pow, 2), (m.sign, 1),
    (m.maximum, 2), (m.hypot, 2), (m.atan2, 2), (m.where, 3), (m.fma, 3), (m.nextafter, 2),
]  # fmt: skip


@pytest.mark.parametrize(("f", "count"), MIXED, ids=lambda x: getattr(x, "__name__", ""))
def test_functions_take_arrays_of_numbers_and_values(f, count):
    v = Value(0.5)
    mixed = np.array([[v, 2.0], [3.0, Value(4.0)]], dtype=object)
    rest = [1.25, np.array([0.5, 2.0])][: count - 1]
    found = f(mixed, *rest)
    assert found.shape == (2, 2)
    for index in np.ndindex(2, 2):
        ys = [y if np.ndim(y) == 0 else y[index[1]] for y in rest]
        expected = f(getattr(mixed[index], "data", mixed[index]), *ys)
        assert getattr(found[index], "data", found[index]) == expected
    assert f(np.array([1.0, 2.0]), *[1.5] * (count - 1)).dtype == float
    found = f(v, *[np.array([1.0, 2.0])] * (count - 1)) if count > 1 else found
    assert isinstance(found, np.ndarray)


def test_questions_about_arrays():
    mixed = np.array([Value(1.0), nan, Value(inf)], dtype=object)
    assert m.isnan(mixed).tolist() == [False, True, False]
    assert m.isfinite(mixed).tolist() == [True, False, False]
    assert m.isinf(mixed).tolist() == [False, False, True]


def test_gradients_through_a_mixed_array():
    found = grad(lambda x: np.sum(m.sqrt(np.array([x, 4.0], dtype=object))))(0.25)
    assert found == 1.0


def test_traced_and_compiled_arrays():
    f = lambda x: m.exp(x).sum()  # noqa: E731
    x = np.array([0.0, 1.0])
    assert jit(f, backend="native")(x) == trace(f, x)(x) == close(1 + math.e)
