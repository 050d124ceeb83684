"""Objects that are called, and their shortcut."""

import contextlib
import functools
import gc
import math
import operator
import sys
import weakref
from fractions import Fraction

import pytest

from miniflow.compiled.called import Called
from support.naming import label


class Answering(Called):
    def run(self, *args, **kwargs):
        return self, args, kwargs


def pair(*args, **kwargs):
    return args, kwargs


# of every convention that C code and Python have for being called
SHORTCUTS = [
    pair, lambda x, *, key=None: (x, key), len, sorted, divmod, list, dict, Fraction, math.hypot,
    functools.partial(pair, 1), {}.get, operator.itemgetter(0), type("C", (), {"__call__": pair})(),
    Answering().run,
]  # fmt: skip
CALLS = [
    ((), {}), (([3, 1, 2],), {}), ((7, 2), {}), (([3, 1],), {"key": abs}), ((), {"key": 1}),
    ((1, 2, 3, 4, 5, 6, 7, 8), {}),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=label)
@pytest.mark.parametrize("shortcut", SHORTCUTS, ids=label)
def test_a_shortcut_answers_calls(shortcut, call):
    """As if it had been called itself; another object of the class answers by itself."""
    args, kwargs = call

    def answer(f):
        try:
            return "ok", f(*args, **kwargs)
        except Exception as error:
            return type(error), str(error)

    x, y = Answering(), Answering()
    assert answer(x) == ("ok", (x, args, kwargs))
    assert x.shortcut is None
    x.shortcut = shortcut
    assert x.shortcut is shortcut
    assert answer(x) == answer(shortcut)
    x.shortcut = None
    assert x.shortcut is None
    assert answer(x) == ("ok", (x, args, kwargs))
    assert answer(y) == ("ok", (y, args, kwargs))


def test_classes_of_objects_that_are_called():
    """They are classes like others: with bases, with a module, with a `__call__` of their own."""
    made = []

    class Base:
        def __init_subclass__(cls, **kwargs):
            made.append((cls.__name__, kwargs))

    class Both(Answering, Base):
        pass

    class Own(Answering):
        def __call__(self, *args, **kwargs):
            return "its own", args, kwargs

    assert made[0] == ("Both", {})
    both, own = Both(), Own()
    both.shortcut = pair
    assert both(1.0, x=2.0) == ((1.0,), {"x": 2.0})
    assert own(1.0, x=2.0) == ("its own", (1.0,), {"x": 2.0})
    assert {type(x).__module__ for x in (both, own)} == {__name__}
    assert vars(both) == vars(own) == {}


def test_a_shortcut_that_is_replaced_while_it_answers():
    x = Answering()

    class Shortcut:
        def __call__(self, number):
            x.shortcut = math.sqrt
            gc.collect()
            return self, number

    x.shortcut = Shortcut()
    assert type(x(4.0)[0]) is Shortcut
    assert x(4.0) == 2.0


def test_objects_that_are_called_are_freed():
    """With a shortcut or without, in a circle or not; nothing is lost when they are called."""
    gone = []
    for shortcut in (None, "its own", math.sqrt):
        x = Answering()
        if shortcut is not None:
            x.shortcut = x.run if shortcut == "its own" else shortcut
        x.self = x
        gone.append(weakref.ref(x))
        number = object()
        before = sys.getrefcount(number)
        for _ in range(10):
            with contextlib.suppress(TypeError):
                x(number, x=number)
        assert sys.getrefcount(number) == before
    del x
    gc.collect()
    assert [x() for x in gone] == [None] * 3
