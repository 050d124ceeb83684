"""`vmap` of every row, bit for bit or within 4 ulp; and wrong lanes are found out.

Terms: see `support.batches`.
"""

import functools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import ops, vmap
from miniflow.native import probe, rows, tiers
from miniflow.native import vector_math as lanes
from miniflow.ops import TABLE
from miniflow.program.expand import decomposition, expanded
from support.batches import (
    LARGE,
    ROWS,
    SIZES,
    SPECIAL,
    arity,
    assert_alike,
    assert_near,
    eager,
    mapped,
    numbers,
    scattered,
    specials,
    values,
)
from support.profiles import examples

exact = functools.partial(vmap, precise=True)
few, some = examples(12), examples(33)
inf, nan = math.inf, math.nan


# --- every row ----------------------------------------------------------------


def spread(name):
    """Columns of numbers of ordinary and of all other sizes."""
    rng = np.random.default_rng(1)
    n = arity(name)
    bits = rng.integers(0, 2**64, size=(n, 300), dtype=np.uint64)
    parts = [bits.view(float), rng.normal(size=(n, 200)), rng.normal(size=(n, 100)) * 400]
    return [*np.concatenate(parts, axis=1)]


@functools.cache
def optimised(name):
    """The row exactly and fast, both already optimised."""
    columns = [np.ones(9)] * arity(name)
    found = mapped(name, precise=True), mapped(name)
    for f in found:
        f(*columns)
        assert f.ready()
    return found


def vectored(name):
    """The functions of several lanes that a row is made of."""
    known, fast = rows.ROWS.keys() | probe.inline(), probe.vectors() | probe.inline()
    if name in known:
        return {name} & fast
    inner = decomposition(TABLE[name])
    if inner is None:
        return set()
    return {x.op.name for x in expanded(inner, known).instructions} & fast


# Rows that raise something to a power: the operand that is the exponent.
POWER = {"power_log": 2, "hurwitz_zeta": 0}


def check_fast(name, f, columns):
    """Arithmetic alike, a vector function within 4 ulp, what is made of some within 8."""
    expected = values(name, columns)
    if name == "logaddexp":  # its terms may cancel
        sizes = [*map(float, np.fmax(abs(columns[0]), abs(columns[1])))]
        assert_near(f(*columns), expected, 8, [x if math.isfinite(x) else 0.0 for x in sizes])
    elif name == "digamma":  # zero at 1.46, and between its poles
        assert_near(f(*columns), expected, 8, [max(abs(y), 8.0) for y in map(float, expected)])
    elif name in POWER:  # an error of the base counts as often
        usual = (columns[POWER[name]] >= 1) & (columns[POWER[name]] < 9)
        assert_near(f(*columns)[usual], np.asarray(expected)[usual], 8)
    elif vectored(name):
        assert_near(f(*columns), expected, 4 if vectored(name) == {name} else 8)
    else:
        assert_alike(f(*columns), expected)


def check_sizes(check, columns):
    """Batches of all sizes, that begin at different numbers."""
    for n in (*SIZES, len(columns[0])):
        check([x[n : 2 * n] if 2 * n < len(x) else x[:n] for x in columns])


@pytest.mark.parametrize("name", ROWS)
def test_rows_exactly(name):
    f, columns = optimised(name)[0], specials(name)
    check_sizes(lambda xs: assert_alike(f(*xs), values(name, xs)), columns)
    assert_alike(f(*spread(name)), values(name, spread(name)))


@pytest.mark.parametrize("name", ROWS)
def test_rows_fast(name):
    f = optimised(name)[1]
    check_sizes(lambda xs: check_fast(name, f, xs), specials(name))
    check_fast(name, f, spread(name))


@pytest.mark.parametrize("name", ROWS)
def test_rows_before_they_are_optimised(name, monkeypatch):
    monkeypatch.setattr(tiers.worker, "put", lambda job: None)
    f, fast, columns = mapped(name, precise=True), mapped(name), specials(name)
    check_sizes(lambda xs: assert_alike(f(*xs), values(name, xs)), columns)
    check_fast(name, fast, columns)
    assert not f.ready(0)
    assert not fast.ready(0)


@pytest.mark.parametrize("name", ROWS)
@few
@given(data=st.data())
def test_rows_on_any_numbers(name, data):
    f, fast = optimised(name)
    points = data.draw(st.lists(st.tuples(*[numbers] * arity(name)), min_size=1, max_size=20))
    columns = [np.array(column) for column in zip(*points, strict=True)]
    assert_alike(f(*columns), values(name, columns))
    check_fast(name, fast, columns)


@pytest.mark.parametrize("n", LARGE)
@pytest.mark.parametrize("name", ["mul", "less", "exp", "pow", "gelu", "gamma"])
def test_rows_over_large_batches(name, n):
    f, fast = optimised(name)
    columns = [np.resize(np.append(x, spread(name)[k]), n) for k, x in enumerate(specials(name))]
    assert_alike(f(*columns), values(name, columns))
    check_fast(name, fast, columns)


def test_rows_of_a_number_that_all_elements_have():
    for name in ("sub", "pow", "maximum", "atan2", "remainder"):
        f = exact(TABLE[name], in_axes=(0, None))
        back = exact(TABLE[name], in_axes=(None, 0))
        xs = np.array(SPECIAL)
        for y in SPECIAL:
            ys = np.full(len(xs), y)
            assert_alike(f(xs, y), values(name, [xs, ys]))
            assert_alike(back(y, xs), values(name, [ys, xs]))


@pytest.mark.parametrize("value", [lambda x: x / (1.0 + abs(x)), lambda x: math.ldexp(x, -3)])
def test_a_new_row(row, value):
    op = row("own", value, None)
    xs = np.array([x for x in SPECIAL if math.isfinite(x)])
    assert_alike(exact(lambda x: op(x) + 1.0)(xs), [value(x) + 1.0 for x in xs.tolist()])


def test_a_row_that_raises_is_heard(row):
    op = row("own", lambda x: math.ldexp(math.sqrt(x), 1), None)
    f = vmap(lambda x: op(x))
    assert_alike(f(np.array([1.0, 4.0])), [2.0, 4.0])
    with pytest.raises(ValueError, match="math domain error"):
        f(np.array([1.0, 4.0, -1.0]))
    assert_alike(f(np.array([4.0, 1.0])), [4.0, 2.0])


def test_products_and_sums_may_be_fused():
    xs, ys, zs = scattered(1000, 3)
    zs = -xs * ys * (1 + 1e-15 * zs)  # they cancel: rounding twice shows
    fused, apart = [vmap(lambda x, y, z: x * y + z, fma=fma) for fma in (True, False)]
    points = [*zip(xs.tolist(), ys.tolist(), zs.tolist(), strict=True)]
    plain = [x * y + z for x, y, z in points]
    once = [ops.fma(x, y, z) for x, y, z in points]
    fused(xs, ys, zs)
    fused.ready()
    got = fused(xs, ys, zs).tolist()
    assert all(x in pair for x, *pair in zip(got, plain, once, strict=True))
    assert_alike(apart(xs, ys, zs), plain)


# --- wrong lanes are found out ------------------------------------------------


def last_lane_zero(emitted):
    """What a row emits, with a lane that is always 0."""

    def wrong(e, *xs):
        y = emitted(e, *xs)
        if e.lanes == 1:
            return y
        return e(f"insertelement {e.type} {y}, double 0.0, i32 {e.lanes - 1}")

    return wrong


@pytest.mark.parametrize("name", ["mul", "exp", "less", "pow"])
def test_a_wrong_lane_is_found_out(name, monkeypatch):
    columns = [np.full(16, 0.75), np.full(16, 2.5)][: arity(name)]
    for table in (rows.ROWS, lanes.FUNCTIONS):
        if name in table:
            monkeypatch.setitem(table, name, last_lane_zero(table[name]))
    f, fast = mapped(name, precise=True), mapped(name)
    assert_alike(f(*columns)[:1], values(name, columns)[:1])
    with pytest.raises(AssertionError):
        assert_alike(f(*columns), values(name, columns))
    with pytest.raises(AssertionError):
        check_fast(name, fast, columns)


def test_a_wrong_function_is_found_out(monkeypatch):
    monkeypatch.setitem(rows.ROWS, "sin", rows.ROWS["tanh"])
    with pytest.raises(AssertionError):
        check_fast("sin", mapped("sin"), [np.array([1e-3, 0.5])])


def test_a_guard_that_is_not_checked_is_found_out(monkeypatch):
    monkeypatch.setitem(rows.CONDITIONS, "<", "ule")
    xs, f = [1.0, 0.0, 2.0], lambda x: x if x > 0 else x - 1.0
    with pytest.raises(AssertionError):
        assert_alike(exact(f)(np.array(xs)), eager(f, xs))


def test_what_is_near_is_told_from_what_is_not():
    y = math.exp(1.0)
    assert_near(np.array([y + 4 * math.ulp(y)]), [y], 4)
    for wrong in (y + 5 * math.ulp(y), nan, inf):
        with pytest.raises(AssertionError):
            assert_near(np.array([wrong]), [y], 4)
    for special in (0.0, inf, nan):
        with pytest.raises(AssertionError):
            assert_near(np.array([-0.0]), [special], 4)
