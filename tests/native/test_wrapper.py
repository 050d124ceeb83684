"""Calls of machine code: what arguments it takes and what results it makes."""

import contextlib
import ctypes
import gc
import math
import sys
import tracemalloc
from fractions import Fraction
from types import BuiltinFunctionType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import jit
from miniflow import math as m
from miniflow.native import layout, scalar_wrapper
from miniflow.ops import TABLE, define
from support.machine_code import at_the_bench, bits, blocks
from support.random_programs import Pair, anything


@pytest.mark.parametrize("kind", [list, tuple])
def test_items_stand_where_machine_code_looks_for_them(kind):
    x = kind([1.5, -0.25])
    place = id(x) + layout.ITEMS[kind]
    if kind is list:
        place = ctypes.c_void_p.from_address(place).value
    items = [ctypes.c_void_p.from_address(place + 8 * k).value for k in range(2)]
    numbers = [ctypes.c_double.from_address(item + layout.NUMBER).value for item in items]
    assert ctypes.c_ssize_t.from_address(id(x) + layout.LENGTH).value == 2
    assert ctypes.c_void_p.from_address(id(x) + layout.TYPE).value == id(kind)
    assert items == [*map(id, x)]
    assert numbers == [*x]


def test_a_call_of_floats_is_machine_code():
    """The function itself is called once, to be recorded; calls then leave Python alone."""
    f = jit(lambda x, y: x * y, backend="native")
    f(2.0, 3.0)
    assert type(f.shortcut) is BuiltinFunctionType
    entered = []
    sys.setprofile(lambda frame, event, arg: entered.append(frame) if event == "call" else None)
    try:
        y = f(4.0, 5.0)
    finally:
        sys.setprofile(None)
    assert y == 20.0
    assert entered == []


class Kept(float):
    """A number of a class of its own."""


OTHERS = [
    (2, 3),
    (Kept(2.0), 3.0),
    (np.float64(2), np.float32(3)),
    (np.int8(2), Fraction(3)),
    (2.0, np.array(3.0)),
]


@pytest.mark.parametrize("xs", OTHERS, ids=str)
def test_numbers_that_are_no_floats_are_taken_too(xs, bench):
    f = jit(lambda x, y: x * y + y, backend="native")
    for _ in range(3):
        assert bits(f(2.0, 3.0)) == bits(9.0)
        assert bits(np.asarray(f(*xs)).item()) == bits(9.0)
    bench.finish()
    assert bits(np.asarray(f(*xs)).item()) == bits(9.0)


def test_structures_of_any_kind_one_after_another(bench):
    """Each structure has code of its own; whichever comes, the right one answers."""

    def f(a, b=2.0):
        xs = [a] if not isinstance(a, (list, tuple, dict, np.ndarray)) else list(flat_of(a))
        return m.sum([x * b for x in xs]) if xs else 0.0

    def flat_of(a):
        for x in a.values() if isinstance(a, dict) else a:
            if isinstance(x, (list, tuple, dict, np.ndarray)):
                yield from flat_of(x)
            else:
                yield x

    calls = [
        (1.5,), (1.5, 3.0), ([1.5],), ([1.5, 2.5],), ((1.5, 2.5),), ([1.5, [2.5, (3.5,)]],),
        ({"a": 1.5, "b": 2.5},), (np.array([1.5, 2.5]),), (np.ones((2, 3)), 4.0), ([],),
        (Pair(1.5, [2.5]),), ([np.array([1.5]), np.array([[2.5]])],), (np.zeros(0),),
    ]  # fmt: skip
    compiled = jit(f, backend="native")
    expected = [bits(float(f(*xs))) for xs in calls]
    for order in (1, -1, 1):
        assert [bits(compiled(*xs)) for xs in calls[::order]] == expected[::order]
    bench.finish()
    assert [bits(compiled(*xs)) for xs in calls] == expected


def test_arguments_in_the_wrong_number_get_the_function_s_own_error(bench):
    f = jit(lambda x, y: x + y, backend="native")
    for _ in range(2):
        with pytest.raises(TypeError, match="missing 1 required positional"):
            f(1.0)
        with pytest.raises(TypeError, match="takes 2 positional arguments"):
            f(1.0, 2.0, 3.0)
        with pytest.raises(TypeError, match="unexpected keyword"):
            f(1.0, 2.0, z=1.0)
        assert f(1.0, 2.0) == 3.0
        assert f(y=1.0, x=2.0) == 3.0
        assert f(1.0, y=2.0) == 3.0
        bench.finish()


ARRAYS = {
    "float64": lambda a: a,
    "float32": lambda a: a.astype(np.float32),
    "int": lambda a: a.astype(int),
    "uint8": lambda a: a.astype(np.uint8),
    "big endian": lambda a: a.astype(">f8"),
    "Fortran": np.asfortranarray,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "every other": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "unaligned": lambda a: (
        np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(float).reshape(2, 3)
    ),
    "of objects": lambda a: a.astype(object),
    "subclass": lambda a: a.view(type("Mine", (np.ndarray,), {})),
}


@pytest.mark.parametrize("made", ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_any_layout(made, bench):
    a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    b = made(a)
    assert b.shape == a.shape
    weights = [[1.0, 10.0, 100.0], [0.1, 0.01, 0.001]]

    def f(a):
        return sum(
            w * x for xs, ws in zip(a, weights, strict=True) for x, w in zip(xs, ws, strict=True)
        )

    expected = bits(float(f(a)))
    for first, second in ((a, b), (b, a)):
        compiled = jit(f, backend="native")
        for _ in range(3):
            assert bits(compiled(first)) == expected
            assert bits(compiled(second)) == expected
        bench.finish()
        assert bits(compiled(b)) == expected


def test_arrays_of_other_shapes_get_programs_of_their_own(bench):
    f = jit(lambda a: a.sum() * len(a), backend="native")
    for shape in [(4,), (5,), (2, 2), (1, 4), (4, 1), (1, 1, 4), (4,)]:
        assert f(np.ones(shape)) == np.prod(shape) * shape[0]


def test_results_with_arrays(bench):
    """New ones at each call, of floats; whatever is done to them changes no later call."""
    f = jit(
        lambda a, x: (a * x, [np.array([[x, 2.0]])], np.array(x) if x > 5 else x), backend="native"
    )
    a = np.arange(3.0)
    for k in range(8):
        if k == 5:
            bench.finish()
        first, [second], third = f(a, 2.0)
        assert bits((first, second, third)) == bits((a * 2.0, np.array([[2.0, 2.0]]), 2.0))
        assert first.flags.writeable
        assert first.base is None or not np.shares_memory(first, a)
        first[:] = second[:] = 99.0
        assert bits(f(a, 6.0)[0]) == bits(a * 6.0)
    assert a.tolist() == [0.0, 1.0, 2.0]


RESULTS = {
    "float": lambda x, y: x * y,
    "tuple": lambda x, y: (x * y, x + y),
    "nested": lambda x, y: (x * y, (x, (x - y,)), x + y),
    "twice the same": lambda x, y: (x * y, (x * y, x * y)),
    "with a list": lambda x, y: (x * y, [x + y, (x,)]),
    "with nothing": lambda x, y: (x * y, ()),
    "few": lambda x, y: tuple([x + k for k in range(scalar_wrapper.MOST_REUSED)]),
    "many": lambda x, y: tuple([x + k for k in range(scalar_wrapper.MOST_REUSED + 1)]),
    "on two paths": lambda x, y: (x, y) if x > y else (y, (x, y)),
}


def parts(x):
    """A result and all that is in it."""
    yield x
    if isinstance(x, (list, tuple)):
        for part in x:
            yield from parts(part)


@pytest.fixture(scope="module", params=RESULTS.values(), ids=RESULTS)
def compiled_result(request):
    """A function and its machine code, in the first tier or the second."""
    with at_the_bench() as bench:
        f = jit(request.param, backend="native")
        f(1.0, 2.0), f(2.0, 1.0)
        bench.finish()
    return request.param, f


@given(st.lists(st.tuples(anything, anything, st.integers(0, 9)), min_size=3, max_size=12))
def test_what_a_caller_keeps_of_a_result_no_later_call_changes(compiled_result, calls):
    """Results that nobody has any more are used again: never one of which a part is kept."""
    f, compiled = compiled_result
    kept = []
    for x, y, choice in calls:
        result, expected = compiled(x, y), f(x, y)
        assert bits(result) == bits(expected)
        some, same = [*parts(result)], [*parts(expected)]
        if choice < len(some):
            kept.append((some[choice], same[choice]))
        del result, some
    for part, expected in kept:
        assert bits(part) == bits(expected)


def test_results_are_used_again(bench):
    """Calls whose results are dropped, or unpacked, allocate nothing."""
    f = jit(lambda x, y: (x * y, (x, x - y)), backend="native")

    def dropped():
        for _ in range(9):
            f(2.0, 3.0)

    def unpacked():
        for _ in range(9):
            y, slopes = f(2.0, 3.0)
        del y, slopes

    def nothing():
        for _ in range(9):
            pass

    def allocated(call):
        call()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            call()
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    f(2.0, 3.0)
    bench.finish()
    assert allocated(dropped) == allocated(unpacked) == allocated(nothing)


@pytest.mark.parametrize("name", ["BARE", "COUNTED"])
def test_results_are_not_used_again_where_objects_are_otherwise(name, monkeypatch):
    """On Pythons whose tuples keep more than items, or whose objects have two counts."""
    monkeypatch.setattr(scalar_wrapper, name, False)
    f = jit(lambda x, y: (x * y, (x, x - y)), backend="native")
    for x in (2.0, 5.0, -1.0):
        assert f(x, 3.0) == (x * 3.0, (x, x - 3.0))
        assert f.shortcut.__self__[-3:-1] == [None, None]


@pytest.mark.usefixtures("quick_collections")
def test_a_call_in_the_middle_of_a_call():
    """Making a result lets finalizers run, which may call the same function."""
    f = jit(lambda x, y: (x * y, (x, x - y)), backend="native")
    inner = []

    def call(phase, info):
        inner.append((k, f(float(k), 0.5)))

    kept, threshold = [], gc.get_threshold()
    f(1.0, 2.0)
    assert f.ready(60)
    gc.callbacks.append(call)
    gc.set_threshold(1)
    try:
        for k in range(300):
            kept.append((k, f(float(k), 2.0)))
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(call)
    assert len(inner) > 10
    assert all(bits(y) == bits((k * 2.0, (float(k), k - 2.0))) for k, y in kept)
    assert all(bits(y) == bits((k * 0.5, (float(k), k - 0.5))) for k, y in inner)


@pytest.mark.parametrize("tier", ["first", "second"])
@pytest.mark.usefixtures("quick_collections")
def test_calls_leave_nothing_behind(tier, bench, small_table):
    """Whichever way a call goes, as many objects are alive after it as were before."""
    small_table(1 << 10)  # without what other tests have left: it is compacted each time
    row = define("whole_part", lambda x: float(int(x)), None)
    try:

        def f(xs, a, y):
            z = row(xs[0]) + xs[1] * a[0]
            if z > y:
                return [z, (y, [z])], a * z, 1.0
            return [z, (z, [y])], a + z, "low"

        def called(f, *args):
            with contextlib.suppress(Exception):
                return f(*args)

        plain_, nested = (
            jit(lambda x, y: x / y if x > y else y, backend="native"),
            jit(f, backend="native"),
        )
        a, b = np.ones(3), np.ones(3, dtype=np.float32)
        calls = [
            lambda: plain_(1.0, 2.0), lambda: plain_(2.0, 1.0), lambda: plain_(1, 2.0),
            lambda: plain_(2.0, np.float64(1)), lambda: called(plain_, 1.0),
            lambda: called(plain_, "a", 1.0), lambda: plain_(x=1.0, y=2.0),
            lambda: nested([1.0, 2.0], a, 1.0), lambda: nested([1.0, 2.0], a, 9.0),
            lambda: nested([1.0, 2.0], b, 1.0), lambda: nested([1, 2.0], a, 9.0),
            lambda: called(nested, [math.inf, 2.0], a, 9.0),
        ]  # fmt: skip
        for call in calls:
            for _ in range(5):
                call()
        if tier == "second":
            bench.finish()
        for k, call in enumerate(calls):
            grown = []
            for _ in range(3):  # caches may still fill
                before = blocks()
                for _ in range(100):
                    call()
                grown.append(blocks() - before)
            assert min(grown) < 50, (k, grown)
    finally:
        del TABLE["whole_part"]
