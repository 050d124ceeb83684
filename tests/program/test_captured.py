"""Values from outside: a program reads them at each call and carries gradients on to them."""

import math

import pytest

from miniflow import Value, grad, no_grad, trace
from miniflow import math as m
from miniflow.program.ir import PathError
from miniflow.tape.core import here


def test_a_captured_leaf_is_read_at_each_call():
    w = Value(3.0)
    program = trace(lambda x: x * w + w, 2.0)
    assert program.captured == (w,)
    assert program(2.0).data == 9.0
    w.data = 5.0
    y = program(2.0)
    assert y.data == 15.0
    y.backward()
    assert w.grad == 3.0


def test_a_captured_value_is_one_input_however_often_it_is_used():
    w, v = Value(3.0), Value(4.0)
    program = trace(lambda x: x * w + w * v - w, 2.0)
    assert program.captured == (w, v)
    assert program.live() == [3.0, 4.0]


def test_a_captured_computed_value_carries_gradients_on():
    w = Value(3.0)
    square = w * w
    program = trace(lambda x: x * square, 2.0)
    assert program.captured == (square,)
    program(2.0).backward()
    assert w.grad == 12.0
    w.data = 4.0
    square.forward()
    assert program(2.0).data == 32.0


def test_a_captured_leaf_of_another_thread(in_thread):
    w = in_thread(lambda: Value(3.0, label="w"))
    program = trace(lambda x: x * w if w > 1 else x, 2.0)
    assert program.captured == (w,)
    assert program(2.0).data == 6.0
    program(2.0).backward()
    assert w.grad == 2.0
    w.data = 5.0
    assert program(2.0).data == 10.0
    w.data = 0.0
    with pytest.raises(PathError):
        program(2.0)


def test_a_computed_value_of_another_thread_is_refused(in_thread):
    w = in_thread(lambda: Value(3.0) * 2)
    with pytest.raises(RuntimeError, match="another thread"):
        trace(lambda x: x * w, 2.0)


def test_a_program_goes_from_thread_to_thread(in_thread):
    w = Value(3.0)
    program = trace(lambda x: x * w, 2.0)
    assert in_thread(lambda: program(4.0).data) == 12.0
    assert in_thread(lambda: trace(lambda x: x * w, 2.0)) == program


def test_a_captured_constant_is_live():
    w = Value(3.0)
    c = (w * 2).detach()
    program = trace(lambda x: x * c, 2.0)
    assert program.captured == (c,)
    assert program(2.0) == 12.0
    c.data = 7.0
    assert program(2.0) == 14.0


def test_a_guard_on_a_captured_value_is_asked_at_each_call():
    w = Value(3.0)
    program = trace(lambda x: x * w if w > 2 else x, 2.0)
    assert program(2.0) == 6.0
    w.data = 1.0
    with pytest.raises(PathError):
        program(2.0)


def test_a_captured_value_that_is_returned_or_only_compared():
    v, w = Value(3.0), Value(1.0)
    program = trace(lambda x: (v, x) if w < x else x, 2.0)
    assert program(2.0) == (3.0, 2.0)
    assert set(program.captured) == {v, w}
    v.data = -1.0
    assert program(2.0)[0] == -1.0


def test_no_grad_inside_of_a_traced_function():
    w = Value(3.0)

    def f(x):
        with no_grad():
            scale = m.exp(x) * w
        return x * scale

    program = trace(f, 2.0)
    for x in (2.0, -1.0):
        v = Value(x)
        y = program(v)
        assert y.data == f(x)  # live
        y.backward()
        assert (v.grad, w.grad) == (math.exp(x) * 3.0, 0.0)  # but a constant
    w.data = 4.0
    assert program(1.0).data == f(1.0)
    gradient = trace(grad(f), 2.0)
    assert gradient(-1.0) == math.exp(-1.0) * 4.0


def test_no_grad_decorates_and_nests():
    @no_grad()
    def inner(x):
        with no_grad():
            return x * x * x

    v = Value(3.0)
    y = trace(lambda x: inner(x) + x, 2.0)(v)
    y.backward()
    assert (y.data, v.grad) == (30.0, 1.0)


def test_detach_inside_of_a_traced_function():
    w = Value(3.0)
    program = trace(lambda x: x * (x * w).detach() + w.detach(), 2.0)
    v = Value(5.0)
    y = program(v)
    y.backward()
    assert (y.data, v.grad, w.grad) == (78.0, 15.0, 0.0)
    w.data = 2.0
    assert program(5.0) == 52.0


def test_tracing_and_calling_under_no_grad():
    w = Value(3.0)
    with no_grad():
        program = trace(lambda x: x * w, 2.0)
        assert program(Value(2.0)).op == "constant"
        assert here.table.silent
    v = Value(2.0)
    program(v).backward()
    assert (v.grad, w.grad) == (3.0, 2.0)


def test_names_come_from_arguments_variables_and_labels():
    w, shift = Value(3.0, label="the weight"), Value(1.0)

    def f(x, ys):
        product = x * w
        parts = [m.sin(product + shift)]
        parts[0].label = "wave"
        return parts[0] * ys["up"]

    program = trace(f, 2.0, {"up": 1.0, "down": 2.0})
    called = [program.names.get(k) for k in range(program.first + len(program))]
    assert called[:5] == ["x", "ys_up", "ys_down", "the_weight", "shift"]
    assert {"product", "wave"} <= set(called)


def test_a_label_that_was_given_is_the_name():
    def f(x):
        a = x * x
        a.label = "area"
        return a + m.sin(a)

    assert "area" in trace(f, 2.0).names.values()


def test_names_are_identifiers_each_once():
    def f(x, y):
        nodes = [x + y, x - y, x * y, x / y]
        for k in range(4):
            nodes[k].label = "same name"
        return nodes

    found = list(trace(f, 1.0, 2.0).names.values())
    assert len(set(found)) == len(found)
    assert all(name.isidentifier() for name in found)
    assert sum(name.startswith("same_name") for name in found) == 4
