"""Random numbers drawn while a function is traced are refused: a program would keep them."""

import functools
import random
import threading
from random import gauss

import numpy as np
import pytest

from miniflow import Value, grad, jit, trace, vmap
from miniflow import math as m
from support.tape_state import assert_clean

TWISTER = random.Random(1)
GENERATOR = np.random.default_rng(1)
LEGACY = np.random.RandomState(1)
SYSTEM = random.SystemRandom()
SOURCES = {"nested": [{"deep": (np.random.default_rng(2),)}]}


def helper():
    return GENERATOR.normal()


class Noisy:
    """A function with a source of its own."""

    def __init__(self):
        self.source = np.random.default_rng(3)

    def noise(self):
        return self.source.normal()

    def __call__(self, x):
        return x * self.noise()


class NoisyElsewhere:
    """One whose method uses a source of the module."""

    def noise(self):
        return TWISTER.random()

    def __call__(self, x):
        return x * self.noise()


def closed_over():
    source = random.Random(5)
    return lambda x: x * source.random()


def of_helpers(x):
    return x + sum(helper() for _ in range(2))


def within(x):
    def inner():
        return LEGACY.rand()

    return x * inner()


DRAWING = {
    "random": lambda x: x * random.random(),
    "gauss": lambda x: x + gauss(0.0, 1.0),
    "shuffle": lambda x: random.shuffle([1, 2, 3]) or x,
    "numpy": lambda x: x * np.random.normal(),
    "numpy rand": lambda x: x * np.random.rand(3)[0],
    "a Random": lambda x: x * TWISTER.random(),
    "a Generator": lambda x: x * GENERATOR.normal(),
    "a RandomState": lambda x: x * LEGACY.rand(),
    "in a container": lambda x: x * SOURCES["nested"][0]["deep"][0].normal(),
    "closure": closed_over(),
    "helper": of_helpers,
    "within": within,
    "default": lambda x, source=TWISTER: x * source.random(),
    "method": Noisy().__call__,
    "object": Noisy(),
    "object's module": NoisyElsewhere(),
    "partial": functools.partial(lambda source, x: x * source.normal(), np.random.default_rng(4)),
    "gradient": grad(lambda x: x * x * random.random()),
    "jitted within": jit(lambda x: x * random.random()),
}


@pytest.mark.parametrize("f", DRAWING.values(), ids=DRAWING)
def test_a_traced_function_that_draws_is_refused(f):
    called = getattr(f, "__wrapped__", f)
    for make in (
        lambda: trace(f, 2.0),
        lambda: jit(f)(2.0),
        lambda: jit(f)(Value(2.0)),
        lambda: jit(grad(f))(2.0),
        lambda: vmap(f)(np.ones(3)),
    ):
        with pytest.raises(RuntimeError, match=r"random numbers.*outside.*arguments"):
            make()
        assert_clean()
    if called is f:
        f(2.0)  # eagerly it draws as it likes


def test_the_refusal_names_the_source():
    for name, words in {
        "random": r"from random\)",
        "numpy": r"from numpy\.random\)",
        "a Generator": r"from a numpy\.random\._generator\.Generator\)",
    }.items():
        with pytest.raises(RuntimeError, match=words):
            trace(DRAWING[name], 1.0)


@pytest.mark.parametrize("source", [random.Random(1), np.random.default_rng(1)], ids=["", "numpy"])
def test_a_source_that_is_an_argument(source):
    def f(x, source):
        return x * source.random()

    with pytest.raises(RuntimeError, match="random numbers"):
        trace(f, 1.0, source)
    with pytest.raises(RuntimeError, match="random numbers"):
        jit(f)(1.0, source)


def test_the_remedy():
    """Numbers that are drawn outside are arguments, and new at each call."""
    f = jit(lambda x, noise: x * x + x * noise)
    for _ in range(3):
        noise = random.random()
        assert f(2.0, noise) == pytest.approx(4.0 + 2.0 * noise)
        assert grad(f)(2.0, noise) == pytest.approx(4.0 + noise)
    noises = GENERATOR.normal(size=5)
    assert vmap(f, in_axes=(None, 0))(2.0, noises) == pytest.approx(4.0 + 2.0 * noises)


def test_what_does_not_draw_is_traced():
    unused = np.random.default_rng(1)

    def f(x):
        return x * 2 if unused is not None and SYSTEM is not None and TWISTER else m.sin(x)

    assert trace(f, 2.0)(3.0) == 6.0
    own = trace(lambda x: x * np.random.default_rng(7).normal(), 2.0)
    assert own(1.0) == np.random.default_rng(7).normal()  # the same at each call anyhow


def test_another_thread_may_draw():
    """It is not the traced function's fault."""
    calls = []

    def draw_once(x):
        if not calls:
            thread = threading.Thread(target=random.random)
            thread.start()
            thread.join()
        calls.append(1)
        return x * 2

    with pytest.raises(RuntimeError, match="random numbers"):
        trace(lambda x: x * random.random(), 1.0)
    idle = threading.Event()
    waiting = threading.Thread(target=idle.wait)
    waiting.start()
    assert trace(draw_once, 1.0)(3.0) == 6.0
    assert len(calls) == 2
    with pytest.raises(RuntimeError, match="random numbers"):
        trace(lambda x: x * random.random(), 1.0)
    idle.set()
    waiting.join()


def test_nothing_is_drawn_by_looking():
    before = random.getstate(), GENERATOR.bit_generator.state
    trace(lambda x: x if GENERATOR is None else -x, 1.0)
    assert (random.getstate(), GENERATOR.bit_generator.state) == before
