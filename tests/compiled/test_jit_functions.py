"""Functions that `jit` takes and refuses, and what it does without llvmlite."""

import contextlib
import copy
import functools
import importlib
import inspect
import keyword
import math
import pickle
import sys

import numpy as np
import pytest

from miniflow import Value, grad, jit, trace, vmap
from miniflow import math as m
from miniflow.compiled import evaluators
from miniflow.native import machine
from miniflow.tape.core import here
from support.jitted import eager, smooth
from support.machine_code import bits

jits = importlib.import_module("miniflow.compiled.jit")  # the module: miniflow.jit is the function


# --- functions ----------------------------------------------------------------


def test_what_jit_keeps_of_a_function(compiled):
    def f(x: float, y: float = 2.0) -> float:
        """What it is for."""
        return x * y

    f.note = "kept"
    g = compiled(f)
    assert (g.__name__, g.__doc__, g.__wrapped__, g.note) == ("f", "What it is for.", f, "kept")
    assert g.__module__ == __name__
    assert g.__qualname__ == f.__qualname__
    assert inspect.signature(g) == inspect.signature(f)
    assert repr(g) == "<jit of f>"
    assert callable(g)
    assert g(3.0) == 6.0
    assert inspect.unwrap(g) is f


@pytest.mark.parametrize("name", [x for x in dir(jits.Jitted) if not x.startswith("__")])
def test_attributes_of_the_function_hide_nothing(name, compiled):
    def f(x):
        return x * 2

    setattr(f, name, "its own")
    g = compiled(f)
    for x in (1.0, 2.0, -3.0):
        assert g(x) == g(x=x) == x * 2
    assert getattr(g, name) != "its own"


@jit
def decorated(x):
    return x * 2


def test_copies_are_those_of_functions(compiled):
    """The function itself, found by its name where it is pickled."""
    nameless = compiled(lambda x: x), compiled(functools.partial(smooth, 0.5)), vmap(lambda x: x)
    for g in (decorated, *nameless):
        assert copy.copy(g) is g
        assert copy.deepcopy([g]) == [g]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(decorated, protocol)) is decorated
    for g in (nameless[0], nameless[2]):  # as of a lambda
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pickle.dumps(g)
    assert pickle.loads(pickle.dumps(nameless[1]))(1.5) == nameless[1](1.5)


CALLABLES = {
    "partial": (functools.partial(smooth, 0.5), lambda y: smooth(0.5, y)),
    "builtin": (abs, abs),
    "row": (m.tanh, math.tanh),
    "bound method": (type("Scale", (), {"f": lambda self, x: x * 3})().f, lambda x: x * 3),
    "instance": (type("Shift", (), {"__call__": lambda self, x: x + 3})(), lambda x: x + 3),
    "class": (type("Pair", (tuple,), {"__new__": lambda cls, x: (x, x)}), lambda x: (x, x)),
    "program": (trace(lambda x: x * x, 1.0), lambda x: x * x),
    "compiled": (jit(smooth, backend="source"), smooth),
    "wrapped": (functools.wraps(smooth)(lambda x: x - 1), lambda x: x - 1),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_any_callable(name, compiled):
    f, expected = CALLABLES[name]
    g = compiled(f)
    for x in (0.5, -2.0, 3.0, 0.25, 1.0):
        args = (x, 0.5) if expected is smooth else (x,)
        assert bits(g(*args)) == bits(expected(*args))


# What generated Python might use itself.
NAMES = [
    "exp", "abs", "math", "inf", "nan", "isfinite", "float", "complex", "round", "int", "xs", "x0",
    "t0", "fsum", "floor", "copysign", "Fraction", "pow", "maximum", "ValueError", "w0", "lambda",
]  # fmt: skip


def all_sorts(x, y):
    """What needs helpers, constants and builtins when it is written in Python."""
    z = m.exp(m.trunc(x)) + abs(y) + m.less(x, y) + m.maximum(x, y) + m.hypot(x, y) + m.fma(x, y, y)
    z = z + m.fsum([x, y, 0.1]) + m.copysign(x, y) * x**y + m.minimum(math.inf, x) * m.gamma(y)
    z = m.where(m.less(z, -1e9), math.nan, z)
    return (z, round(y)) if x < y else m.sigmoid(z)


def named(name):
    """A function of that name, and one with an argument of that name."""

    def function(x, y):
        return all_sorts(x, y)

    function.__name__ = name
    if keyword.iskeyword(name):
        return [function]
    scope = {"all_sorts": all_sorts}
    exec(f"def with_argument({name}, y): return all_sorts({name}, y)", scope)
    return [function, scope["with_argument"]]


@pytest.mark.parametrize("name", NAMES)
def test_functions_and_arguments_of_any_name(name, compiled):
    w, expected = Value(0.5), eager(all_sorts, 1.5, 2.5)
    for f in named(name):
        g, captured = compiled(f), compiled(lambda x, y, f=f: f(x, y)[0] * w)
        for _ in range(5):
            assert bits(g(1.5, 2.5)) == bits(expected)
            assert bits(captured(1.5, 2.5).data) == bits(expected[0] * 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_source_of_functions_and_arguments_of_any_name(name):
    for f in named(name):
        for xs in [(1.5, 2.5), (2.5, 1.5)]:
            program, scope = trace(f, *xs), {}
            exec(program.source(), scope)
            function = [x for x in scope.values() if inspect.isfunction(x)][-1]
            assert function.__name__.rstrip("_") == program.name.rstrip("_")
            assert bits(function(*xs)) == bits(eager(all_sorts, *xs))


@pytest.mark.slow
def test_operations_on_thousands_of_numbers(compiled):
    xs = [float(k % 7) / 3 for k in range(3000)]
    f = lambda xs: (m.sum(xs), m.dot(xs, xs[::-1]), sum(xs), m.fsum(xs[:200]))  # noqa: E731
    g = compiled(f)
    for _ in range(5):
        assert bits(g(xs)) == bits(f(xs))


def test_methods(compiled):
    class Line:
        def __init__(self, slope):
            self.slope = slope

        @compiled
        def at(self, x, shift=0.0):
            """A point of it."""
            return self.slope * x + shift if x > 0 else shift - x

        @staticmethod
        @compiled
        def double(x):
            return x * 2

        @classmethod
        @compiled
        def named(cls, x):
            return x + len(cls.__name__)

    a, b, w = Line(2.0), Line(5.0), Value(7.0)
    live = Line(w)
    for _ in range(5):
        assert (a.at(3.0), b.at(3.0), a.at(-3.0), b.at(3.0, 1.0)) == (6.0, 15.0, 3.0, 16.0)
        assert a.at(x=3.0, shift=1.0) == 7.0
        assert (a.double(4.0), Line.double(4.0), Line.named(1.0)) == (8.0, 8.0, 5.0)
        assert live.at(2.0).data == 14.0
        assert Line.at(a, 3.0) == 6.0
    assert Line.at.__doc__ == "A point of it."
    assert grad(a.at)(3.0) == 2.0
    live.at(2.0).backward()
    assert w.grad == 2.0


def test_a_function_that_raises(compiled):
    """The error is the function's own; nothing is kept of that call."""
    calls = []

    def f(x):
        calls.append(1)
        if x < 0:
            raise KeyError("negative")
        return x * 2

    g = compiled(f)
    for _ in range(3):
        with pytest.raises(KeyError, match="negative"):
            g(-1.0)
        assert g(2.0) == 4.0
        with pytest.raises(KeyError, match="negative"):
            g(-2)
        with pytest.raises(KeyError, match="negative"):
            g(Value(-1.0))
    assert len(calls) == 1 + 3 * 3  # once for the path, and at each call that raises
    assert (here.table.muted, here.table.held, here.table.trace) == (0, 0, None)


def test_a_function_interrupted_while_it_is_recorded(compiled):
    interrupts = [True]

    def f(x):
        if interrupts:
            interrupts.pop()
            raise KeyboardInterrupt
        return x + 1

    g = compiled(f)
    with pytest.raises(KeyboardInterrupt):
        g(1.0)
    assert g(1.0) == 2.0
    assert (here.table.held, here.table.trace, sys.gettrace()) == (0, None, sys.gettrace())


def test_the_program_of_a_path(compiled):
    g = compiled(lambda x: x * 2 if x > 0 else x * 3 + 1)
    assert g.program(1.0) == trace(lambda x: x * 2 if x > 0 else x * 3 + 1, 1.0)
    assert len(g.program(-1.0)) == 2
    assert g.program(1)(4.0) == 8.0
    assert "x" in g.program(1.0).source()


# --- refusals -----------------------------------------------------------------


def test_refused_options():
    for wrong in ("x", "", "Native", None, 1):
        with pytest.raises(ValueError, match="native"):
            jit(lambda x: x, backend=wrong)
    for wrong in (3.0, "f", None, Value(1.0), [abs]):
        with pytest.raises(TypeError, match="f must be a function"):
            jit(wrong)
    with pytest.raises(TypeError):
        jit(lambda x: x, "native")


REFUSED = {
    "data": (lambda x: x.data * x, RuntimeError, "data"),
    "grad": (lambda x: x.grad * x, RuntimeError, "grad"),
    "set data": (lambda x: setattr(x, "data", 1.0), RuntimeError, "data"),
    "float": (lambda x: float(x) * x, TypeError, "float"),
    "int": (lambda x: int(x) * x, TypeError, "int"),
    "index": (lambda x: [1.0, 2.0][x], TypeError, "."),
    "range": (lambda x: sum(range(x)), TypeError, "."),
    "math": (lambda x: math.sin(x), TypeError, "miniflow.math"),
    "backward": (lambda x: (x * 2).backward(), RuntimeError, "backward"),
    "unhashable": (lambda x: {1, 2}, TypeError, "set"),
    "bytearray": (lambda x: (x, bytearray(b"a")), TypeError, "bytearray"),
    "complex array": (lambda x: np.array([1j]) * x, TypeError, "."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compiled_is_refused_at_each_call(name, compiled):
    f, error, words = REFUSED[name]
    g = compiled(f)
    for x in (1.0, 2.0, 1, Value(1.0)):
        with pytest.raises(error, match=words):
            g(x)
    assert (here.table.held, here.table.trace, here.table.muted) == (0, None, 0)


def test_arguments_that_are_no_numbers(compiled):
    g = compiled(lambda x: x * 2)
    for wrong in ({1.0}, bytearray(b"a"), [{}, {2}]):
        with pytest.raises(TypeError, match="neither a number nor hashable"):
            g(wrong)
    for wrong in (1j, object(), None):
        with pytest.raises(TypeError):
            compiled(lambda x: x * Value(2.0))(wrong)
    assert g("ab") == "abab"  # a setting, and Python's answer
    assert g(2.0) == 4.0


def test_the_count_of_arguments(compiled):
    g = compiled(lambda x, y: x + y)
    for _ in range(5):
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'y'"):
            g(1.0)
        with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
            g(1.0, 2.0, 3.0)
        with pytest.raises(TypeError, match="multiple values for argument 'x'"):
            g(1.0, x=2.0)
        assert g(1.0, 2.0) == 3.0


# --- without llvmlite ---------------------------------------------------------


@pytest.fixture
def no_llvmlite(monkeypatch):
    """An installation without the extra."""
    caches = [machine.available, machine.llvm, evaluators._warn_once]
    for module in [name for name in sys.modules if name.split(".")[0] == "llvmlite"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def test_without_llvmlite_source_runs_with_one_warning(no_llvmlite):
    with pytest.warns(RuntimeWarning, match=r"miniflow\[jit\]") as caught:
        f = jit(lambda x: x * 2 if x > 0 else x - 1)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    w = Value(3.0)
    g = jit(lambda xs: m.exp(xs[0]) * xs[1])  # warnings are errors here: there is no second one
    h = jit(grad(lambda x: x**3 * w))
    for _ in range(6):
        assert (f(2.0), f(-2.0), f(Value(3.0)).data, grad(f)(2.0)) == (4.0, -3.0, 6.0, 2.0)
        assert bits(g([1000.0, 1.0])) == bits(math.inf)
        assert h(2.0).data == 36.0
    assert f.ready()
    with contextlib.suppress(TypeError):
        jit(3)


def test_without_llvmlite_the_native_backend_is_refused(no_llvmlite):
    with pytest.raises(ImportError, match=r"miniflow\[jit\]"):
        jit(lambda x: x, backend="native")


def test_without_llvmlite_the_source_backend_says_nothing(no_llvmlite):
    assert jit(lambda x: x + 1, backend="source")(1.0) == 2.0


def test_a_decorator_warns_where_it_stands(no_llvmlite):
    with pytest.warns(RuntimeWarning) as caught:

        @jit
        def f(x):
            return x + 1

    assert [x.filename for x in caught] == [__file__]
    assert f(1.0) == 2.0
