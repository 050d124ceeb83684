"""Arguments of all kinds go to machine code directly: right to the last bit, and no Python runs."""

import ctypes
import sys
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import jit, value_and_grad, vmap
from miniflow import math as m
from miniflow.native import conversion
from miniflow.native.link import address
from support.machine_code import bits, blocks
from support.random_programs import anything


class Kept(float):
    """A number of a class of its own."""


class Counted(int):
    """Another one."""


class Own(float):
    """One that says itself what number it is."""

    def __float__(self):
        return 7.0


class Called(float):
    """One that can be called."""

    def __call__(self):
        return self


class Side(IntEnum):
    LEFT = 1
    RIGHT = 2


class Half(float, Enum):
    ONE = 0.5


def entered(call):
    """The functions in Python that a call enters, besides itself."""
    names = []
    sys.setprofile(lambda frame, event, _: names.append(frame.f_code.co_name))
    try:
        call()
    finally:
        sys.setprofile(None)
    return [x for x in names if x not in ("<lambda>", "entered")]


def made(f, *points):
    """A function with machine code for each of these structures of arguments."""
    found = jit(f, backend="native")
    for _ in range(2):  # the first call says that there is NumPy
        for args, kwargs in points:
            found(*args, **kwargs)
    return found


@pytest.fixture(scope="module")
def line():
    return made(lambda x, y: x * y + x, ((2.0, 3.0), {}), ((np.float64(2), 3), {}))


SCALARS = [np.dtype(letter).type for letter in "efdbBhHiIlLqQ"]


@given(st.data())
def test_scalars_are_converted_as_float_does(line, data):
    """Ints of any size, NumPy's scalars of all kinds, subclasses."""
    kinds = st.sampled_from([float, int, Kept, Counted, *SCALARS])

    def scalar():
        kind = data.draw(kinds)
        if kind in (float, Kept):
            return kind(data.draw(anything))
        if kind in (int, Counted):
            return kind(data.draw(st.integers(-(2**1000), 2**1000) | st.integers(-(2**65), 2**65)))
        raw = data.draw(st.binary(min_size=np.dtype(kind).itemsize, max_size=8))
        return np.frombuffer(raw, dtype=kind, count=1)[0]

    x, y = scalar(), scalar()
    a, b = float(x), float(y)
    assert bits(line(x, y)) == bits(a * b + a)
    assert entered(lambda: line(x, y)) == []


OTHERS = [
    Own(2.0), Called(2.0), Fraction(1, 3), Decimal("0.1"), np.longdouble(0.25), np.array(2.5),
    Side.LEFT, Half.ONE, True, False, np.bool_(True), 2**53 + 1, -(2**1023), Kept("nan"),
]  # fmt: skip


@pytest.mark.parametrize("x", OTHERS, ids=repr)
def test_numbers_of_other_kinds_stay_what_they_were(x, line):
    slow = jit(lambda x, y: x * y + x, backend="source")
    for _ in range(3):
        assert bits(line(x, 3.0)) == bits(slow(x, 3.0))
        assert bits(line(3.0, x)) == bits(slow(3.0, x))


@pytest.mark.parametrize("x", [10**400, -(10**400), Counted(10**400), "2", None, 1j, object()])
def test_errors_are_those_of_the_slow_way(x, line):
    slow = jit(lambda x, y: x * y + x, backend="source")
    with pytest.raises((TypeError, OverflowError)) as expected:
        slow(x, 2.0)
    for _ in range(2):
        with pytest.raises(expected.type) as error:
            line(x, 2.0)
        assert str(error.value) == str(expected.value)
    assert line(2.0, 3.0) == 8.0


def test_flags_have_programs_of_their_own():
    f = made(lambda x, y: x * y + x, ((True, 2.0), {}), ((1, 2.0), {}), ((True, True), {}))
    assert [bits(f(*xs)) for xs in ((True, 2.0), (1, 2.0), (True, True), (False, 2.0))] == [
        bits(x) for x in (3.0, 3.0, 2, 0.0)
    ]
    assert entered(lambda: (f(True, 2.0), f(1, 2.0), f(True, True))) == []


# --- arrays -------------------------------------------------------------------


def unaligned(a):
    return np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape)


LAYOUTS = {
    "C": lambda a: a,
    "Fortran": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "one for all": lambda a: np.broadcast_to(a[:1], a.shape),
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "unaligned": unaligned,
    "swapped and strided": lambda a: np.repeat(a.astype(a.dtype.newbyteorder()), 3, axis=0)[::3],
}


@pytest.mark.parametrize("letter", "efdbBhHiIlLqQ")
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_arrays_of_all_kinds_and_layouts(layout, letter):
    raw = np.random.default_rng(5).bytes(8 * np.dtype(letter).itemsize)
    a = layout(np.frombuffer(raw, dtype=letter).reshape(4, 2))
    f = made(lambda a: [x * 1 for x in a.ravel()], ((np.ones((4, 2)),), {}))
    f(a)
    assert bits(f(a)) == bits([float(x) for x in a.ravel()])
    assert entered(lambda: f(a)) == []


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3, 2)])
def test_arrays_of_no_numbers(shape):
    f = made(lambda a, x: (a * x, a.sum() + x), ((np.ones(shape), 2.0), {}))
    for a in (
        np.ones(shape),
        np.ones(shape, np.int8),
        np.ones(shape, object),
        np.ones(shape)[::-1],
    ):
        assert bits(f(a, 2.0)) == bits((np.ones(shape), 2.0))
        assert entered(lambda a=a: f(a, 2.0)) == []
    assert bits(f(np.ones((1,)), 2.0)) == bits((np.ones(1) * 2.0, 3.0))


LONG = [1.0, 0.1, -1e-310, 3.0e38, -0.0, np.inf, -np.inf, np.nan]


@pytest.mark.skipif(not conversion.EXTENDED, reason="a long double that LLVM does not read")
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_long_doubles_are_rounded_once(layout):
    """Digits beyond a double's, numbers beyond its range; swapped ones go the slow way."""
    with np.errstate(over="ignore"):
        a = np.array(LONG, dtype="g") + np.ldexp(np.array(LONG, dtype="g"), -54)
        a = layout(np.concatenate([a, np.ldexp(a, 4000), np.ldexp(a, -4000), a]).reshape(16, 2))
        f = made(lambda a: [x * 1 for x in a.ravel()], ((np.ones((16, 2)),), {}))
        line = made(lambda x: x * 1, ((1.0,), {}))
        for _ in range(2):
            assert bits(f(a)) == bits([float(x) for x in a.ravel()])
            assert bits([line(x) for x in a.ravel()]) == bits([float(x) for x in a.ravel()])
        assert a.dtype.byteorder == ">" or entered(lambda: f(a)) == []
        assert entered(lambda: line(np.longdouble(0.1))) == []


def test_every_half_is_the_double_that_numpy_says():
    a = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    to = (ctypes.c_double * len(a))()
    gather = ctypes.PYFUNCTYPE(
        ctypes.c_void_p, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2, ctypes.c_void_p
    )(address("convert.gather"))
    shape, strides = (ctypes.c_int64 * 1)(len(a)), (ctypes.c_int64 * 1)(2)
    end = gather(
        a.ctypes.data,
        ctypes.addressof(shape),
        ctypes.addressof(strides),
        1,
        conversion.HALF,
        ctypes.addressof(to),
    )
    assert end == ctypes.addressof(to) + 8 * len(a)
    assert bits(list(to)) == bits(a.astype(float).tolist())


def test_arrays_of_objects_lists_of_scalars_and_ints_in_between():
    xs = [0.5, 1.5, -2.0, 3.0]
    f = made(value_and_grad(lambda xs: m.sum([x * x * x for x in xs])), ((xs,), {}))
    g = made(value_and_grad(lambda a: m.sum([x * x * x for x in a])), ((np.array(xs),), {}))
    expected = f(xs)
    for given_ in ([np.float64(x) for x in xs], [np.float32(x) for x in xs], [Kept(x) for x in xs],
                   [*xs[:2], -2, 3]):  # fmt: skip
        assert bits(f(given_)) == bits(expected)
        assert entered(lambda given_=given_: f(given_)) == []
    for given_ in (np.array(xs, dtype=object), np.array([0.5, 1.5, -2, np.int8(3)], dtype=object)):
        assert bits(g(given_)[1].tolist()) == bits(expected[1])
        assert entered(lambda given_=given_: g(given_)) == []


# --- structures ---------------------------------------------------------------


def structured(p, how="times", *, k=2.0):
    y = p["a"][0] * p["b"]["c"] if how == "times" else p["a"][0] + p["b"]["c"]
    return {"y": y * k, "parts": [y, (p["a"][1], how, 3)], 5: None}


def point(x=2.0, y=3.0, z=4.0):
    return {"a": [x, y], "b": {"c": z}}


STRUCTURED = [
    ((point(),), {}), ((point(), "plus"), {}), ((point(),), {"k": 5.0}),
    ((point(),), {"how": "plus", "k": 1.0}), ((point(),), {"k": 1.0, "how": "plus"}),
]  # fmt: skip


def test_dicts_flags_and_keywords():
    """Taken and made without Python; what is another dict or flag is told apart."""
    f = made(structured, *STRUCTURED)
    for args, kwargs in STRUCTURED:
        # another string and other keys of the same letters
        other = [{"".join(["a"]): [2, 3.0], "b": {"c": 4}}, *["".join([*x]) for x in args[1:]]]
        for given_ in (args, other):
            assert bits(f(*given_, **kwargs)) == bits(structured(*args, **kwargs))
            assert entered(lambda given_=given_, kwargs=kwargs: f(*given_, **kwargs)) == []
    turned = {"b": {"c": 4.0}, "a": [2.0, 3.0]}
    more = {**point(), "d": 1.0}
    for p in (turned, more, {**turned, "d": [1.0]}, {"a": [2.0, 3.0, 4.0], "b": {"c": 4.0}}):
        assert bits(f(p)) == bits(structured(p))
    with pytest.raises(KeyError):
        f({"a": [2.0, 3.0], "x": {"c": 4.0}})
    first = f(point())
    first["parts"].append(1)
    first["new"] = 1
    assert bits(f(point())) == bits(structured(point()))


def test_keys_that_are_equal_but_not_alike():
    f = made(lambda d: [(type(k).__name__, k, x * 2) for k, x in d.items()],
             *[(({k: 1.0},), {}) for k in (1, True, "1", b"1", 1.5, None, Side.LEFT)])  # fmt: skip
    for k in (True, 1, "1", 1.5, Side.LEFT, None, b"1", 10**30, 1.0):
        assert bits(f({k: 3.0})) == bits([(type(k).__name__, k, 6.0)])


def nested(part):
    keys = st.sampled_from(["a", "b", 1])
    return st.lists(part, max_size=3) | st.tuples(part, part) | st.dictionaries(keys, part)


@given(st.recursive(anything | st.integers(-9, 9), nested, max_leaves=8))
def test_any_structure_comes_back(tree):
    def floats(x):
        if isinstance(x, dict):
            return {k: floats(y) for k, y in x.items()}
        return type(x)(map(floats, x)) if isinstance(x, (list, tuple)) else float(x)

    f = jit(lambda tree: tree, backend="native")
    for _ in range(2):
        assert bits(f(tree)) == bits(floats(tree))


def test_calls_that_convert_leave_nothing_behind():
    f = made(structured, *STRUCTURED)
    g = made(lambda a, xs: (a * xs[0], {"sum": a.sum() + xs[1], "n": 3}),
             ((np.ones(3), [1.0, 2.0]), {}))  # fmt: skip
    h = vmap(lambda a, x: (a * x, x), in_axes=(None, 0))
    halves, objects = np.ones(3, np.float16), np.array([1, None, 2.0])

    def refused(error, *args):
        with pytest.raises(error):
            g(*args)

    calls = [
        lambda: f(point(1, np.float32(2), Kept(3))), lambda: f(point(1, 2, 3), "plus", k=2),
        lambda: g(halves, [1, 2]), lambda: g(np.ones(6)[::2], (1, 2)),
        lambda: refused(TypeError, objects, [1.0, 2.0]),
        lambda: refused(OverflowError, np.ones(3), [10**400, 2.0]),
        lambda: h(halves.astype(float), np.ones(5)),
    ]  # fmt: skip
    for k, call in enumerate(calls):
        for _ in range(5):
            call()
        grown = []
        for _ in range(3):
            before = blocks()
            for _ in range(100):
                call()
            grown.append(blocks() - before)
        assert min(grown) < 50, (k, grown)
    name = "".join(["pl", "us"])
    before = sys.getrefcount(name), sys.getrefcount(halves), sys.getrefcount(None)
    for _ in range(200):
        f(point(), name)
        g(halves, [1.0, 2.0])
    after = sys.getrefcount(name), sys.getrefcount(halves), sys.getrefcount(None)
    assert [b - a for a, b in zip(before, after, strict=True)][:2] == [0, 0]
    assert abs(after[2] - before[2]) < 100


# --- batches ------------------------------------------------------------------

RESULTS_OF_BATCHES = {
    "array": lambda w, x: w * x,
    "one number": lambda w, x: w[0] * x,
    "mixed": lambda w, x: (w * x, x, [np.outer(w, w) * x, (w[:1] * x,)]),
    "of no dimensions": lambda w, x: [np.array(w[0] * x), x],
}


@pytest.mark.parametrize("f", RESULTS_OF_BATCHES.values(), ids=RESULTS_OF_BATCHES)
def test_arrays_come_out_of_a_batch_without_python(f):
    w, g = np.array([0.5, -2.0, 3.0]), vmap(f, in_axes=(None, 0))
    for n in (7, 7, 1, 40):
        x = np.linspace(-1.0, 2.0, n)
        found, each = g(w, x), [f(w, y) for y in x.tolist()]

        def stacked(*parts):
            if isinstance(parts[0], (list, tuple)):
                return type(parts[0])(stacked(*p) for p in zip(*parts, strict=True))
            return np.array([np.asarray(p, dtype=float) for p in parts])

        assert bits(found) == bits(stacked(*each))
        assert entered(lambda x=x: g(w, x)) == []
    kept = g(w, x)
    again = g(w, x + 1)
    assert bits(g(w, x)) == bits(kept)
    assert bits(again) != bits(kept)
