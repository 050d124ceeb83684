"""Structures of all kinds in and out of machine code: as the function's own, and no Python runs."""

import gc
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import jit, vmap
from miniflow import math as m
from miniflow.native import conversion
from miniflow.util.trees import flatten, unflatten
from support.machine_code import at_the_bench
from support.machine_code import bits as plain_bits


@dataclass
class Open:
    """A record whose objects have a dict, with a default and a static field."""

    a: Any
    b: Any = 1.0
    name: str = "open"


@dataclass(frozen=True)
class Frozen:
    a: Any
    rate: float = field(default=0.5, metadata={"static": True})


@dataclass(slots=True)
class Slots:
    a: Any
    b: Any = None


class Pair(NamedTuple):
    x: Any
    y: Any


Single = namedtuple("Single", "only")


class Own(namedtuple("Base", "x y")):
    """One that makes its objects itself."""

    __slots__ = ()

    def __new__(cls, x, y=2.0):
        return super().__new__(cls, x, y)


numbers = st.floats(-4, 4).map(lambda x: round(x, 2)) | st.integers(-3, 3)
arrays = st.tuples(st.integers(1, 2), st.integers(1, 3)).map(
    lambda s: np.arange(1.0, 7)[: s[1]] * s[0]
)
statics = st.sampled_from(["text", None, True, b"x"])


def holders(inner):
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["a", "b", 1]), inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Single, inner),
        st.builds(Own, inner, inner),
        st.builds(Open, inner, inner, st.sampled_from(["open", "shut"])),
        st.builds(Frozen, inner),
        st.builds(Slots, inner, inner),
    )


HOW = [None, "sum", "mean"]
structures = st.recursive(numbers | arrays | statics, holders, max_leaves=8)


def bits(tree):
    """The same of dataclasses: their classes, and all that they hold."""
    if hasattr(tree, "__dataclass_fields__"):
        return type(tree), [(k, bits(getattr(tree, k))) for k in tree.__dataclass_fields__]
    if isinstance(tree, dict):
        return type(tree), [(name, bits(part)) for name, part in tree.items()]
    if isinstance(tree, (list, tuple)):
        return type(tree), [bits(part) for part in tree]
    return plain_bits(tree)


def is_one(x):
    """Whether a leaf is a number to compute with."""
    return not isinstance(x, (str, bytes, bool, type(None)))


def doubled(tree, factor):
    """All numbers of a structure times another one, in the same structure."""
    return unflatten(tree, [x * factor + 0.25 if is_one(x) else x for x in flatten(tree)])


def entered(call):
    """What a call answers, and the functions in Python that it enters, besides itself."""
    names = []
    sys.setprofile(lambda frame, event, _: names.append(frame.f_code.co_name))
    try:
        found = call()
    finally:
        sys.setprofile(None)
    own = {"<lambda>", "entered", "__new__"}  # a named tuple's own
    return found, set(names) - own


@given(structures)
def test_structures_are_taken_and_made(tree):
    """By machine code alone, in both tiers: as the function makes them of the same numbers."""
    expected = jit(doubled, backend="tape")(tree, 3.0)
    with at_the_bench() as bench:
        f = jit(doubled, backend="native")
        f(tree, 3.0)
        for _ in range(2):
            found, names = entered(lambda: f(tree, 3.0))
            assert bits(found) == bits(expected)
            assert names == set()
            bench.finish()


@given(
    structures.filter(lambda tree: any(map(is_one, flatten(tree)))), st.sampled_from([None, "sum"])
)
def test_structures_of_batches(tree, reduce):
    """As arguments that are the same for all elements, and as results."""
    xs = np.array([1.0, 2.0, -0.5])
    f = vmap(lambda x, tree: doubled(tree, x), (0, None), reduce)
    expected = f(xs, tree)
    f(xs, tree)
    found, names = entered(lambda: f(xs, tree))
    assert bits(found) == bits(expected)
    assert names == set()
    each = [flatten(jit(doubled, backend="tape")(tree, x)) for x in xs.tolist()]
    share = len(xs) if reduce == "mean" else 1
    for k, leaf in enumerate(flatten(found) if reduce else []):
        if is_one(leaf):
            assert leaf == pytest.approx(sum(one[k] for one in each) / share, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("make", [Pair, Own, Open, Frozen, Slots, lambda x, y=0: {"a": x, "b": y}])
def test_structures_along_a_batch(make):
    """Columns in structures, by position and by name."""
    xs, ys = np.linspace(0, 1, 5), np.linspace(2, 3, 5)
    tree = make(xs) if make is Frozen else make(xs, ys)
    f = vmap(lambda tree: m.sum([x * x for x in flatten(tree) if is_one(x)]))
    expected = xs * xs if make is Frozen else xs * xs + ys * ys
    for _ in range(3):
        f(tree), f(tree=tree)
    for call in (lambda: f(tree), lambda: f(tree=tree)):
        found, names = entered(call)
        assert np.array_equal(found, expected)
        assert names == set()


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_arrays_of_all_kinds_along_any_axis(axis):
    """Strided, Fortran's, of other numbers, swapped: no Python runs, and answers are the same."""
    a = np.arange(24.0).reshape(2, 3, 4)
    f = vmap(lambda row: [m.sum(list(row.ravel())), row[0, 0] * 2], axis)
    kinds = {
        "double": a, "Fortran": np.asfortranarray(a), "float": a.astype("f4"),
        "float, Fortran": np.asfortranarray(a.astype("f4")), "int": a.astype(int),
        "byte": a.astype("u1"), "half": a.astype("f2"), "bool": a > 5, "swapped": a.astype(">f8"),
        "of objects": a.astype(object), "long double": a.astype(np.longdouble),
        "strided": np.repeat(a, 2, axis=1)[:, ::2], "reversed": a[::-1, :, ::-1],
    }  # fmt: skip
    for x in kinds.values():
        f(x), f(x)
    for name, x in kinds.items():
        found, names = entered(lambda x=x: f(x))
        moved = np.moveaxis(x, axis, 0).astype(float)
        expected = [[sum(row.ravel().tolist()) for row in moved], [row[0, 0] * 2 for row in moved]]
        assert np.array_equal(np.array(found), expected), name
        assert names == set() or (name == "long double" and not conversion.EXTENDED), name


# --- what is not taken as it seems ----------------------------------------------


def test_other_classes_and_static_fields_are_other_structures():
    class Further(Open):
        """A class below another one."""

    f = jit(lambda p: (p.a * 2, p.name, type(p).__name__), backend="native")
    for _ in range(3):
        assert f(Open(1.0)) == (2.0, "open", "Open")
        assert f(Open(1.0, name="shut")) == (2.0, "shut", "Open")
        assert f(Further(1.0)) == (2.0, "open", "Further")
        assert jit(lambda t: type(t).__name__, backend="native")(Pair(1.0, 2.0)) == "Pair"
    g = jit(lambda t: (t[0] * 2, type(t).__name__), backend="native")
    for _ in range(3):
        assert g(Pair(1.0, 2.0)) == (2.0, "Pair")
        assert g((1.0, 2.0)) == (2.0, "tuple")
        assert g(Own(1.0, 2.0)) == (2.0, "Own")


def test_fields_that_go_and_come():
    f = jit(lambda p: p.a * (p.b if hasattr(p, "b") else 5.0), backend="native")
    whole, bare = Slots(2.0, 3.0), Slots(2.0, 3.0)
    del bare.b
    for _ in range(4):
        assert f(whole) == 6.0
        assert f(bare) == 10.0


def test_fields_that_become_properties():
    """What is made when it is asked for is gone before it could be read: the slow way decides."""

    @dataclass
    class Lazy:
        a: float

    kind: Any = Lazy
    x = Lazy(2.0)
    f = jit(lambda p: p.a * 1.5, backend="native")
    assert [f(x) for _ in range(3)] == [3.0] * 3
    kind.a = property(lambda self: float(len("abcd")))
    with pytest.raises(AttributeError, match=r"no setter|can't set"):
        f(x)
    del kind.a
    assert f(x) == 3.0


def test_functions_in_fields():
    """As defaults of their class, too: an object has its own before its class's."""

    @dataclass
    class Curve:
        a: Any
        shape: Any = m.tanh

    f = jit(lambda p: p.shape(p.a), backend="native")
    for curve in (Curve(0.5), Curve(1.5, m.exp), Curve(1.0, m.tanh)):
        f(curve), f(curve)
        found, names = entered(lambda curve=curve: f(curve))
        assert found == curve.shape(curve.a)
        assert names == set()


def test_dicts_of_other_kinds_keep_their_order():
    f = jit(lambda d: next(iter(d.values())) * 2, backend="native")
    d = OrderedDict(a=1.0, b=5.0)
    assert [f(d) for _ in range(3)] == [2.0] * 3
    d.move_to_end("a")
    assert [f(d) for _ in range(3)] == [10.0] * 3
    assert type(jit(lambda d: d, backend="native")(d)) is OrderedDict


def test_nothing_is_kept_or_lost():
    """Reference counts of classes, names and what they hold stay what they were."""
    f = jit(lambda t: (Open(t.a, Pair(t.b, 1.0)), Slots(t.a)), backend="native")
    t = Open(1.5, 2.5, "open")
    for _ in range(20):
        f(t)
    watched = [Open, Pair, Slots, "open", t, t.a, t.b]
    gc.collect()
    before = [sys.getrefcount(x) for x in watched]
    found = [f(t) for _ in range(100)]
    del found
    gc.collect()
    assert [sys.getrefcount(x) for x in watched] == before
