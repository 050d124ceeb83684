"""`vmap`'s axes, arrays and results."""

import functools
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import miniflow.math as m
from miniflow import Value, ops, vmap
from support.batches import (
    KINDS,
    SPECIAL,
    WHOLE,
    XS,
    YS,
    assert_alike,
    assert_close,
    eager,
    frozen,
    scattered,
    total,
)

exact = functools.partial(vmap, precise=True)
inf, nan = math.inf, math.nan


# --- axes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "move"), [(0, lambda a: a), (1, np.transpose), (-1, np.transpose), (-2, lambda a: a)]
)
def test_axes(axis, move):
    a = np.arange(15.0).reshape(5, 3) ** 1.5
    f = lambda v: v[0] * v[1] - v[2]  # noqa: E731
    assert_alike(exact(f, in_axes=axis)(move(a)), [f(v) for v in a])


def test_axes_of_matrices():
    a = np.arange(60.0).reshape(3, 4, 5) ** 1.5
    for axis in (0, 1, 2, -1, -2, -3):
        elements = np.moveaxis(a, axis, 0)
        got = exact(lambda v: v * 2.0 + v[0], in_axes=axis)(a)
        assert_alike(got, [v * 2.0 + v[0] for v in elements])


AXES = {
    "one for all": (0, lambda x, y: x * y, (XS, YS)),
    "one each": ((0, 0), lambda x, y: x * y, (XS, YS)),
    "a list": ([0, -1], lambda x, y: x * y, (XS, YS)),
    "uniform": ((0, None), lambda x, y: x * y, (XS, 1.5)),
    "uniform first": ((None, 0), lambda x, y: x * y, (1.5, YS)),
    "uniform array": (
        (0, None),
        lambda x, v: x * v[0] - v[1],
        (XS, np.array([1.5, 2.5])),
    ),
    "uniform structure": (
        (0, None),
        lambda x, p: x * p["a"] + p["b"][1] * p["c"][0][1],
        (XS, {"a": 2, "b": [0.5, 1.5], "c": (np.array([1.0, 2.0]), None)}),
    ),
    "tuple in one": (0, lambda t: t[0] * t[1], ((XS, YS),)),
    "tuple of axes": (((0, None),), lambda t: t[0] * t[1], ((XS, 1.5),)),
    "list of axes": (([None, 0],), lambda t: t[0] * t[1], ([1.5, YS],)),
    "dict in one": (0, lambda d: d["x"] * d["y"], ({"x": XS, "y": YS},)),
    "dict of axes": (
        ({"y": None, "x": 0},),
        lambda d: d["x"] * d["y"],
        ({"x": XS, "y": 1.5},),
    ),
    "nested": (
        ([{"a": (0, None), "b": None}, 0], None),
        lambda t, z: t[0]["a"][0] * t[0]["a"][1] + t[0]["b"][0] * t[1] - z,
        ([{"a": (XS, 2.0), "b": [3.0]}, YS], 0.25),
    ),
    "settings": (
        (0, 0, None),
        lambda x, how, flag: x if how == "plain" and flag else -x,
        (XS, "plain", True),
    ),
}


def elements(tree, axis, i):
    """Element i of arguments."""
    if axis is None:
        return tree
    if isinstance(tree, dict):
        return {k: elements(x, axis[k] if axis else 0, i) for k, x in tree.items()}
    if isinstance(tree, (list, tuple)):
        axes = axis or [0] * len(tree)
        return type(tree)(elements(x, a, i) for x, a in zip(tree, axes, strict=True))
    return float(tree[i]) if isinstance(tree, np.ndarray) else tree


@pytest.mark.parametrize("what", AXES)
def test_axes_of_structures(what):
    axes, f, args = AXES[what]
    expected = [f(*elements(tuple(args), axes, i)) for i in range(5)]
    g = exact(f, in_axes=axes)
    assert_alike(g(*args), expected)
    assert_alike(exact(f, in_axes=axes, reduce="sum")(*args), total(expected))
    assert len(g.caches) == 1


def test_keyword_arguments_run_along_their_first_axis():
    g = exact(lambda x, *, y=1.0, how="mul": x * y if how == "mul" else x - y)
    assert_alike(g(XS), XS)
    assert_alike(g(XS, y=YS), XS * YS)
    assert_alike(g(XS, how="sub", y=YS), XS - YS)
    assert_alike(exact(lambda *, a, b: a - b)(b=XS, a=YS), YS - XS)
    a = np.arange(10.0).reshape(5, 2)
    got = exact(lambda x, v: x * v["p"][1], in_axes=(None,))(2.0, v={"p": a})
    assert_alike(got, 2.0 * a[:, 1])


MATRIX = np.ones((5, 2))
REFUSED = {
    "too many axes": ((0, 0), (XS,), ValueError, "in_axes must be one for each of 1 arg"),
    "too few axes": ((0,), (XS, YS), ValueError, "in_axes must be one for each of 2 arg"),
    "too many inside": (((0, 0),), ([XS],), ValueError, r"in_axes \(0, 0\) does not fit"),
    "axis too large": (1, (XS,), ValueError, r"in_axes 1.*shape \(5,\)"),
    "axis too small": (-3, (MATRIX,), ValueError, r"in_axes -3.*shape \(5, 2\)"),
    "no dimension": (0, (np.array(1.0),), ValueError, r"in_axes 0.*shape \(\)"),
    "a float": (0, (1.0,), TypeError, "1.0 has no axis 0.*NumPy array.*None in in_axes"),
    "a Value": (0, (Value(1.0),), TypeError, r"Value\(.*\) has no axis 0"),
    "an int beside": (0, (XS, 3), TypeError, "3 has no axis 0"),
    "a list": (0, ([1.0, 2.0],), TypeError, "1.0 has no axis 0.*numpy.array"),
    "a float in a dict": (0, ({"a": 1.0},), TypeError, "1.0 has no axis"),
    "no axis": ("0", (XS,), TypeError, "has no axis '0'"),
    "half an axis": (0.5, (XS,), TypeError, "has no axis 0.5"),
    "lengths": (0, (XS, YS[:3]), ValueError, "batches of 5 and of 3 elements"),
    "lengths inside": (0, ([XS, YS[:0]],), ValueError, "batches of 5 and of 0 elements"),
    "nothing": (None, (XS,), ValueError, "nothing runs along the batch"),
    "nothing each": ((None, None), (XS, 1.0), ValueError, "nothing runs along the batch"),
    "no arguments": (0, (), ValueError, "nothing runs along the batch"),
    "only settings": (0, ("a", None), ValueError, "nothing runs along the batch"),
    "strings": (0, (np.array(["1", "2"]),), TypeError, "array of <U1 has no real numbers"),
    "bytes": (0, (np.array([b"1"]),), TypeError, "array of .S1 has no real numbers"),
    "complex": (0, (np.array([1j]),), TypeError, "array of complex128 has no real"),
    "dates": (0, (np.array(["2020"], "M8[Y]"),), TypeError, "array of datetime64.*no real"),
    "records": (0, (np.zeros(2, "f8,f8"),), TypeError, "no real numbers"),
    "object strings": (
        0,
        (np.array(["1.5"], object),),
        TypeError,
        "expected a real number, got str '1.5'",
    ),
    "object None": (
        0,
        (np.array([1.0, None]),),
        TypeError,
        "expected a real number, got NoneType None",
    ),
    "object complex": (0, (np.array([1.0, 1j], object),), TypeError, "complex"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_arguments(what):
    axes, args, error, message = REFUSED[what]
    with pytest.raises(error, match=message):
        vmap(lambda *xs: 1.0, in_axes=axes)(*args)


def test_refused_options():
    with pytest.raises(TypeError, match="vmap: f must be a function, got int 3"):
        vmap(3)
    with pytest.raises(ValueError, match="reduce must be None, 'sum' or 'mean', got 'max'"):
        vmap(abs, reduce="max")
    for threads in (0, -1, 1.5):
        with pytest.raises(
            ValueError, match=f"threads must be None or an int from 1 on, got {threads}"
        ):
            vmap(abs, threads=threads)


def test_a_function_that_cannot_be_recorded_says_so():
    for f in (lambda x: x.data, lambda x: float(x), lambda x: [1, 2][x]):
        with pytest.raises((RuntimeError, TypeError), match=r"\.data|traced|plain number"):
            vmap(f)(XS)
    with pytest.raises(ZeroDivisionError):
        vmap(lambda x: 1 / 0)(XS)


# --- arrays -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_arrays(kind):
    xs = KINDS[kind](WHOLE)
    plain = [float(x) for x in xs]
    f = lambda x, y: m.tanh(x) - x * y if x > 2 else x + y  # noqa: E731
    g, ys = exact(f), scattered(21)[0]
    for n in (21, 16, 3, 0):
        assert_alike(g(xs[:n], ys[:n]), eager(f, plain[:n], ys[:n].tolist()))
        assert_alike(g(ys[:n], xs[:n]), eager(f, ys[:n].tolist(), plain[:n]))
    expected = [f(x, y) for x, y in zip(plain, ys.tolist(), strict=True)]
    assert_close(exact(f, reduce="sum")(xs, ys), sum(expected), sum(map(abs, expected)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bool"])
def test_kinds_of_arrays_that_all_elements_have(kind):
    v = KINDS[kind](WHOLE)
    g = exact(lambda x, v: x * v[0] + v[20] * v[1], in_axes=(0, None))
    a, b, c = [float(v[k]) for k in (0, 1, 20)]
    assert_alike(g(XS, v), XS * a + c * b)
    assert_alike(g(XS, v[:21:1].copy()), XS * a + c * b)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_matrices(kind):
    v = KINDS[kind](WHOLE).reshape(7, 3)
    g = exact(lambda v: v[0] * v[1] - v[2])
    plain = np.array([[float(x) for x in row] for row in v])
    expected = plain[:, 0] * plain[:, 1] - plain[:, 2]
    assert_alike(g(v), expected)
    assert_alike(g(np.asfortranarray(v)), expected)
    assert_alike(g(v[::-2]), expected[::-2])
    assert_alike(exact(g.f, in_axes=-1)(np.ascontiguousarray(v.T)), expected)


def test_arguments_are_left_alone():
    xs, v = frozen(np.array(SPECIAL)), frozen(np.array([2.0, 3.0]))
    before = xs.tobytes(), v.tobytes()
    f = lambda x, v: (x * v[0], x, v)  # noqa: E731
    for reduce in (None, "sum", "mean"):
        vmap(f, in_axes=(0, None), reduce=reduce)(xs, v)
    for copy in (xs.copy(), xs.copy()[::-1]):
        was = copy.tobytes()
        vmap(f, in_axes=(0, None))(copy, v)
        assert copy.tobytes() == was
    assert (xs.tobytes(), v.tobytes()) == before


def test_results_are_the_callers_own():
    g, xs = exact(lambda x, y: (x, x, y, 1.0)), XS.copy()
    first = g(xs, xs)
    again = g(xs, xs)
    for k, result in enumerate(first):
        assert not any(np.shares_memory(result, other) for other in (xs, *again, *first[k + 1 :]))
        result[:] = 7.0
    assert_alike(xs, XS)
    assert_alike(again[1], XS)


RESULTS = {
    "number": lambda x, y: x * y,
    "tuple": lambda x, y: (x, x * y),
    "list": lambda x, y: [x, [x * y], []],
    "dict": lambda x, y: {"a": x, "b": {"c": x - y}},
    "settings": lambda x, y: {"a": x, "b": None, "c": "text", "d": True},
    "none": lambda x, y: None,
    "nothing": lambda x, y: (),
    "constants": lambda x, y: (2, 0.5, Fraction(1, 4), np.float32(0.1), -0.0),
    "vector": lambda x, y: np.array([x, y, x * y]),
    "matrix": lambda x, y: np.array([[x, y], [1.0, x * y], [y, y]]),
    "arrays inside": lambda x, y: (np.array([x, 2.0]), {"m": np.array([[y]])}, x),
    "plain array": lambda x, y: (x, np.array([1.0, 2.0])),
    "an array of none": lambda x, y: (x, np.zeros((0, 2))),
    "the same twice": lambda x, y: (x, x, y, x),
}


def parts(tree):
    """The leaves of a structure whose arrays are leaves."""
    if isinstance(tree, dict):
        return [x for part in tree.values() for x in parts(part)]
    if isinstance(tree, (list, tuple)):
        return [x for part in tree for x in parts(part)]
    return [tree]


def shape(tree):
    """A structure with its types and keys, without its leaves."""
    if isinstance(tree, dict):
        return {key: shape(part) for key, part in tree.items()}
    return type(tree)(map(shape, tree)) if isinstance(tree, (list, tuple)) else "leaf"


def is_setting(x):
    return x is None or isinstance(x, (str, bool))


@pytest.mark.parametrize("what", RESULTS)
@pytest.mark.parametrize("n", [0, 5])
@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_results_keep_their_structure(what, n, reduce):
    f = RESULTS[what]
    one = f(1.0, 2.0)
    got = exact(f, reduce=reduce)(XS[:n], YS[:n])
    assert shape(got) == shape(one)
    every = [parts(f(x, y)) for x, y in zip(XS[:n].tolist(), YS[:n].tolist(), strict=True)]
    for k, (found, example) in enumerate(zip(parts(got), parts(one), strict=True)):
        if is_setting(example):
            assert found is example
            continue
        inner = np.shape(example)
        stacked = np.array([np.array(row[k], dtype=float) for row in every]).reshape(n, *inner)
        if reduce is None:
            assert_alike(found, stacked)
            continue
        assert type(found) is (np.ndarray if inner else float)
        columns = stacked.reshape(n, math.prod(inner)).T.tolist()
        expected = np.array([*map(total, columns)]).reshape(inner)
        if reduce == "mean":
            expected = expected / n if n else np.full(inner, nan)
        assert_alike(found, expected)


def test_results_of_several_structures_are_refused():
    xs, w = np.array([1.0, -1.0]), Value(2.0)
    differ = [
        lambda x: (x, "up") if x > 0 else (x, "down"),
        lambda x: (x, x) if x > 0 else x,
        lambda x: x if x > 0 else None,
        lambda x: np.array([x, x]) if x > 0 else np.array([x]),
    ]
    for f, reduce in itertools.product(differ, (None, "sum", "mean")):
        for g in (f, lambda x, f=f: (f(x), x * w)):
            with pytest.raises(TypeError, match=r"vmap: f returns .* for some elements"):
                vmap(g, reduce=reduce)(xs)


def test_an_array_result_with_a_setting():
    got = vmap(lambda x: np.array([None, x], dtype=object))(XS)
    assert got.shape == (2,)
    assert got[0] is None
    assert_alike(got[1], XS)


def test_elements_that_are_vectors_and_matrices():
    rng = np.random.default_rng(0)
    a, v = rng.normal(size=(50, 3, 4)), rng.normal(size=(50, 4))

    def product(a, v):
        return np.array([m.dot(row, v) for row in a])

    got = exact(product)(a, v)
    assert_alike(got, [[ops.dot(*row, *y) for row in x] for x, y in zip(a, v, strict=True)])
    got = exact(product, in_axes=(None, 0))(a[0], v)
    assert_alike(got, [[ops.dot(*row, *y) for row in a[0]] for y in v])
    got = exact(lambda a: a.T, in_axes=0)(a)
    assert_alike(got, a.transpose(0, 2, 1))


def test_elements_without_numbers():
    f, g, h = exact(lambda v: 2.0), exact(lambda v: v), exact(lambda v: 2.0, reduce="sum")
    for _ in range(2):
        assert_alike(f(np.zeros((5, 0))), [2.0] * 5)
        assert_alike(g(np.zeros((5, 0, 2))), np.zeros((5, 0, 2)))
        assert h(np.zeros((5, 0))) == 10.0
