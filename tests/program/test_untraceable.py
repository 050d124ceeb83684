"""What a program could not do again is refused while it is traced; the tape stays clean."""

import copy
import math
import sys
from enum import Enum

import numpy as np
import pytest

from miniflow import Tape, Value, grad, no_grad, trace
from miniflow import math as m
from miniflow.program.ir import PathError
from miniflow.tape.core import here
from support.formulas import polynomial
from support.naming import label
from support.tape_state import assert_clean

LEAF = Value(3.0)


def backward(x):
    (x * x).backward()


def read_tape(x):
    with Tape() as tape:
        x * x
    return list(tape)


def print_tape(x):
    with Tape() as tape:
        x * x
    return str(tape)


LOST = {
    "data": (lambda x: x.data, RuntimeError, ".data traced"),
    "data of a computed value": (lambda x: (x * 2).data, RuntimeError, ".data traced"),
    "data of a captured value": (lambda x: x * LEAF.data, RuntimeError, ".data traced"),
    "set data": (lambda x: setattr(x, "data", 1.0), RuntimeError, ".data traced"),
    "set captured data": (lambda x: setattr(LEAF, "data", 1.0), RuntimeError, ".data traced"),
    "grad": (lambda x: x.grad, RuntimeError, ".grad traced"),
    "captured grad": (lambda x: LEAF.grad * x, RuntimeError, ".grad traced"),
    "set grad": (lambda x: setattr(x, "grad", 1.0), RuntimeError, ".grad traced"),
    "set captured grad": (lambda x: setattr(LEAF, "grad", 1.0), RuntimeError, ".grad traced"),
    "backward": (backward, RuntimeError, "backward() traced"),
    "forward": (lambda x: (x * x).forward(), RuntimeError, "forward() traced"),
    "Tape": (read_tape, RuntimeError, "Tape traced"),
    "Tape printed": (print_tape, RuntimeError, "Tape traced"),
    "ulp": (m.ulp, RuntimeError, ".data traced"),
    "copy": (lambda x: copy.copy(LEAF), RuntimeError, ".data traced"),
    "float": (float, TypeError, "float"),
    "int": (int, TypeError, "int"),
    "complex": (complex, TypeError, "complex"),
    "index": (lambda x: [1, 2, 3][x], TypeError, "index"),
    "range": (range, TypeError, "index"),
    "repeat": (lambda x: "ab" * x, TypeError, "str"),
    "math.sin": (math.sin, TypeError, "float miniflow.math"),
    "math.ulp": (math.ulp, TypeError, "float miniflow.math"),
    "math.isnan": (math.isnan, TypeError, "float miniflow.math"),
    "np.float64": (np.float64, TypeError, "float miniflow.math"),
    "np.array": (lambda x: np.array([x], dtype=float), TypeError, "float miniflow.math"),
    "set": (lambda x: {x}, TypeError, "set numbers"),
    "set of numbers": (lambda x: {1, 2}, TypeError, "set numbers"),
    "list in a bytearray": (lambda x: bytearray(b"1"), TypeError, "bytearray numbers"),
    "error in f": (lambda x: 1 // 0, ZeroDivisionError, "zero"),
}


@pytest.mark.parametrize(("f", "error", "words"), LOST.values(), ids=LOST)
@pytest.mark.parametrize("nested", [False, True])
def test_what_a_program_could_not_do_again_is_refused(f, error, words, nested):
    def g(x):
        return f(x + 1.0)

    before = LEAF._tape.value_of(LEAF._entry)
    with pytest.raises(error) as caught:
        trace(g if nested else f, 1.0)
    assert all(word in str(caught.value) for word in words.split()), caught.value
    assert_clean()
    assert (LEAF.data, LEAF.grad, before) == (3.0, 0.0, 3.0)
    assert sys.gettrace() is None or sys.gettrace().__module__ != "miniflow.program.places"


def test_a_frozen_set_of_values_is_refused():
    """It is hashable, but its numbers would be those of the tracing call for ever."""
    with pytest.raises(TypeError, match="frozenset"):
        trace(lambda x: frozenset([x * 2]), 1.0)


@pytest.mark.parametrize("setting", [{1, 2}, bytearray(b"1")], ids=["set", "bytearray"])
def test_unhashable_settings_are_refused(setting):
    with pytest.raises(TypeError, match="hashable"):
        trace(lambda x, s: x, 1.0, setting)


def test_what_is_no_function_is_refused():
    for f in (3, None, "f", trace(polynomial, 2.0, 3.0).code):
        with pytest.raises(TypeError, match="f must be a function, got "):
            trace(f, 1.0)


def test_a_number_too_large_is_refused():
    with pytest.raises(OverflowError, match="too large"):
        trace(lambda x: x, 10**400)
    with pytest.raises(OverflowError, match="too large"):
        trace(lambda x: x, 1.0)(10**400)


def test_what_is_allowed_while_tracing(capsys):
    def f(x):
        print(x)
        print(f"{x} {x!r}", LEAF)
        assert x.op == "leaf"
        assert x.label == ""
        y = x * LEAF
        assert y.inputs == (x, LEAF)
        assert repr(y).startswith("Value(data=4.5")
        return y

    assert trace(f, 1.5)(2.0) == 6.0
    out = capsys.readouterr().out
    assert "Value(data=1.5, grad=0.0)" in out
    with pytest.raises(RuntimeError, match=r"reading \.data while a function is traced"):
        trace(lambda x: f"{x:.3f}", 1.5)


def test_another_thread_is_not_being_traced(in_thread):
    def f(x):
        assert in_thread(lambda: LEAF.data) == 3.0
        assert in_thread(lambda: trace(lambda y: y * 2, 1.0)(4.0)) == 8.0
        return x * 3

    assert trace(f, 1.0)(2.0) == 6.0


def test_plain_results_stay_as_they_are():
    class Colour(Enum):
        RED = "red"

    for setting in [None, True, False, "text", b"bytes", 1j, Colour.RED, Colour]:
        assert trace(lambda x, s=setting: s, 1.0)(2.0) is setting
        assert trace(lambda x, s=setting: (x, {"s": [s]}), 1.0)(2.0) == (2.0, {"s": [setting]})


@pytest.mark.parametrize("hiding", [object(), lambda: 1.0, frozenset([1.0])], ids=label)
def test_results_that_may_hide_a_value_are_refused(hiding):
    with pytest.raises(TypeError, match="a traced function must return numbers"):
        trace(lambda x: [x, hiding], 1.0)


def test_a_comparison_may_be_the_result():
    program = trace(lambda x: (x > 1, x), 2.0)
    assert program(3.0) == (True, 3.0)
    assert program(3.0)[0] is True
    with pytest.raises(PathError):
        program(0.0)


def failing(x, depth):
    y = x * x
    if depth:
        return failing(y + 1, depth[1:])
    raise KeyError("inside")


def test_an_error_inside_of_f_leaves_the_tape_clean():
    a = Value(2.0)
    y = a * a
    for _ in range(3):
        with pytest.raises(KeyError, match="inside"):
            trace(failing, 1.0, "12")
        with pytest.raises(KeyError, match="inside"):
            trace(grad(lambda x: failing(x, "12")), 1.0)
        assert_clean()
    y.backward()
    assert a.grad == 4.0


def test_errors_under_no_grad_leave_it_as_it_was():
    def f(x):
        no_grad().__enter__()  # and never left
        raise KeyError("inside")

    with no_grad():
        with pytest.raises(KeyError):
            trace(f, 1.0)
        assert here.table.silent


def test_memory_is_reused_after_traces_and_errors(small_table):
    table = small_table()

    def f(x):
        for _ in range(50):
            x = m.sin(x)
        return x

    def g(x):
        f(x)
        raise KeyError

    program = trace(f, 1.0)
    capacities = set()
    for _ in range(40):
        assert trace(f, 2.0) == program
        with pytest.raises(KeyError):
            trace(g, 1.0)
        program(Value(1.0)).backward()
        capacities.add(table.capacity)
    assert max(capacities) < 1000
    assert (table.held, table.trace) == (0, None)


def test_compactions_wait_while_a_function_is_traced(small_table):
    table = small_table()
    w = Value(3.0)

    def f(x):
        for _ in range(200):
            x = x * w + 0.5
        return x

    garbage = [Value(k) * 2 for k in range(50)]
    del garbage
    program = trace(f, 0.25)
    assert len(program) == 400
    expected = 0.25
    for _ in range(200):
        expected = expected * 3.0 + 0.5
    assert program(0.25).data == expected
    assert w.data == 3.0
    assert table.held == 0


def test_an_interrupt_at_any_moment_leaves_everything_clean(break_off):
    w = Value(3.0)

    def f(x):
        with no_grad():
            s = m.sin(x) * w
        return s * x if x > 0.5 else s

    def interrupt():
        raise KeyboardInterrupt

    def scenario():
        before = sys.gettrace()

        def check():
            assert sys.gettrace() is before
            assert_clean()
            assert trace(f, 1.0)(2.0).data == math.sin(2.0) * 3 * 2

        return lambda: trace(grad(f), 1.0), interrupt, check

    assert break_off(scenario) > 50
