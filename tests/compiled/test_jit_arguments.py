"""`jit`'s arguments and results: numbers, settings, structures, arrays."""

from collections import OrderedDict, namedtuple
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import numpy as np
import pytest

from miniflow import Value, jit
from miniflow import math as m
from support.jitted import plain
from support.machine_code import bits

Point = namedtuple("Point", "x y")


# --- arguments and results ----------------------------------------------------

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
    with pytest.raises(RuntimeError, match="had been computed"):
        a.backward()
    with pytest.raises(RuntimeError, match="another structure; call it again"):
        a.forward()


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
    (cache,) = g.caches.values()
    assert len(cache.specializations) <= 2


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
        "int": (lambda x: 3, 3),
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
