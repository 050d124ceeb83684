"""What the tests of `vmap` compare with.

Terms:
    eager   f called with Values: the plain numbers of what it returns
    alike   the same bit for bit, where any NaN is like any other
    exact   vmap(..., precise=True), which must be alike with eager
"""

import itertools
import math
import threading
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

import miniflow.math as m
from miniflow import Value, vmap
from miniflow.native import tiers
from miniflow.ops import TABLE

inf, nan = math.inf, math.nan
SPECIAL = [
    *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 2.5, 3.0, -3.0, inf, -inf, nan, 5e-324, -5e-324),
    *(1e-310, 2.0**-1022, -1e-300, 1e-8, 1e16, 1e22, 1e308, -1e308, 709.0, 710.0, -745.0, -746.0),
    *(math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0), math.pi, -math.pi / 2),
]
SIZES = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 100]
LARGE = [8191, 8192, 8193, 20000]
numbers = st.sampled_from(SPECIAL) | st.floats(-4, 4) | st.floats()


def settle():
    """Wait until nothing is compiled any more."""
    idle = threading.Event()
    tiers.worker.put(idle.set)
    assert idle.wait(60)


def number(x):
    return float(x.data) if isinstance(x, Value) else float(x)


def eager(f, *columns):
    """The numbers that f returns for one element after another."""
    return [number(f(*map(Value, row))) for row in zip(*columns, strict=True)]


def rows(f, *columns):
    """The same for a function that returns several numbers: a row for each."""
    found = [[*map(number, f(*map(Value, row)))] for row in zip(*columns, strict=True)]
    return [*map(list, zip(*found, strict=True))]


def assert_alike(got, expected):
    got, expected = np.asarray(got), np.asarray(expected, dtype=float)
    assert (got.dtype, got.shape) == (float, expected.shape)
    same = got == expected
    same &= np.signbit(got) == np.signbit(expected)
    same |= np.isnan(got) & np.isnan(expected)
    wrong = np.argwhere(~same)
    assert not len(wrong), (wrong[0], got[*wrong[0]].item(), expected[*wrong[0]].item())


def assert_near(got, expected, ulps, scale=None):
    """Within so many units in the last place (of the scales, if given); special cases alike."""
    assert (type(got), got.shape) == (np.ndarray, (len(expected),))
    for k, (x, y) in enumerate(zip(got.tolist(), expected, strict=True)):
        if x == y or not (math.isfinite(x) and math.isfinite(y)):
            assert_alike(x, y)
        else:
            unit = math.ulp(y if scale is None else max(abs(y), scale[k]))
            assert abs(x - y) <= ulps * unit, (k, x, y, abs(x - y) / unit)


def assert_close(got, expected, sizes=None):
    """Equal to 1e-12 of the sizes of what adds up to them."""
    got, expected = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    assert got.shape == expected.shape
    sizes = abs(expected) if sizes is None else np.asarray(sizes)
    assert (abs(got - expected) <= 1e-12 * sizes).all(), (got, expected)


def scattered(n, columns=1, seed=0):
    """Columns of ordinary numbers of different sizes and signs."""
    rng = np.random.default_rng(seed)
    shape = columns, n
    return [*(rng.normal(size=shape) * 10.0 ** rng.integers(-3, 3, size=shape))]


ROWS = list(TABLE)


def arity(name):
    return TABLE[name].arity if TABLE[name].arity > 0 else 4


def specials(name):
    """Columns of special numbers: all pairs, some of the longer combinations."""
    n = arity(name)
    stride = {1: 1, 2: 1, 3: 7, 4: 1999}[n]
    found = [*itertools.islice(itertools.product(SPECIAL, repeat=n), 0, None, stride)]
    return [np.array(column) for column in zip(*found, strict=True)]


def values(name, columns):
    return [TABLE[name].value(*xs) for xs in zip(*[x.tolist() for x in columns], strict=True)]


def mapped(name, **options):
    return vmap(lambda *xs: TABLE[name](*xs), **options)


XS, YS = np.arange(5.0) - 2.0, np.linspace(1.0, 3.0, 5)


def unaligned(xs):
    return np.frombuffer(b"\0" + xs.tobytes(), dtype=float, offset=1)


def frozen(xs):
    xs = xs.copy()
    xs.flags.writeable = False
    return xs


class Subclass(np.ndarray):
    """Such as memory maps and tables have."""


WHOLE = np.arange(21.0) - 7.0
KINDS = {
    "float64": lambda xs: xs,
    "float32": lambda xs: (xs / 3).astype(np.float32),
    "float16": lambda xs: (xs / 3).astype(np.float16),
    "long double": lambda xs: xs.astype(np.longdouble),
    "big-endian": lambda xs: (xs / 3).astype(">f8"),
    "int64": lambda xs: xs.astype(np.int64),
    "int8": lambda xs: xs.astype(np.int8),
    "uint16": lambda xs: abs(xs).astype(np.uint16),
    "bool": lambda xs: xs > 0,
    "strided": lambda xs: np.repeat(xs, 3)[1::3],
    "reversed": lambda xs: xs[::-1],
    "a column": lambda xs: np.stack([xs, xs + 1, xs], axis=1)[:, 1],
    "a row in Fortran's order": lambda xs: np.asfortranarray(np.stack([xs, xs + 1]))[1],
    "of a record": lambda xs: np.array([(1, x) for x in xs], dtype="i1,f8")["f1"],
    "of another class": lambda xs: xs.view(Subclass),
    "broadcast": lambda xs: np.broadcast_to(np.array(1.5), (21,)),
    "read-only": frozen,
    "unaligned": unaligned,
    "unaligned and strided": lambda xs: unaligned(np.repeat(xs, 2))[::2],
    "objects": lambda xs: np.array(
        [[int, Fraction, Decimal, np.float32, float][int(x) % 5](x) for x in xs], dtype=object
    ),
    "large ints": lambda xs: xs.astype(np.int64) * 2**57 + 1,
}


def reduced(ys, reduce):
    """The numbers, their sum or mean."""
    if reduce is None:
        return ys
    return total(ys) / (1 if reduce == "sum" else len(ys) or nan)


def total(ys):
    """The sum in the order that the docstring of `miniflow.compiled.batch_run` gives."""
    found = 0.0
    for start in range(0, len(ys), 8192):
        partial = [0.0] * 8
        for i, y in enumerate(ys[start : start + 8192]):
            partial[i % 8] += y
        for y in partial[1:]:
            partial[0] += y
        found += partial[0]
    return found


def summand(x, y):
    return x * y - m.exp(x * 1e-2)
