"""`jit` and Values from outside: read at each call, and given their gradients."""

import copy
import gc
import math
import pickle
import random

import pytest

from miniflow import Tape, Value, grad, hessian, no_grad
from miniflow import math as m
from miniflow.nn import MLP
from support.jitted import entries, plain, smooth
from support.machine_code import bits
from viz import draw_dot


def test_captured_values_are_read_at_each_call(compiled):
    w = Value(3.0)
    g = compiled(lambda x: w * x + w)
    for k in range(8):
        w.data = float(k)
        w.grad = 0.0
        y = g(2.0)
        assert y.__class__ is Value
        assert y.data == 3.0 * k
        y.backward()
        assert w.grad == 3.0
    with Tape() as tape:
        y = g(Value(2.0))
    assert len(entries(tape)) == 1
    assert w in y.inputs


def test_captured_values_that_were_computed(compiled):
    """Their gradients flow on to what they come from."""
    u = Value(1.5)
    w = u * u
    g = compiled(lambda x: m.sin(w) * x)
    for number in (1.5, -0.5, 2.0, 1.5, 0.1, 0.2):
        u.data, u.grad = number, 0.0
        w.forward()
        y = g(2.0)
        assert y.data == math.sin(number * number) * 2.0
        y.backward()
        assert u.grad == pytest.approx(2 * math.cos(number * number) * 2 * number, rel=1e-15)


def test_captures_that_depend_on_the_branch(compiled):
    u, v = Value(10.0), Value(100.0)
    g = compiled(lambda x: x * u if x > 0 else x * v * v)
    for x in (1.0, -1.0, 2.0, -3.0, 1.0):
        u.grad = v.grad = 0.0
        a = Value(x)
        y = g(a)
        y.backward()
        expected = (10.0 * x, x, 0.0, 10.0) if x > 0 else (1e4 * x, 0.0, 200.0 * x, 1e4)
        assert (y.data, u.grad, v.grad, a.grad) == expected


def test_branches_on_captured_values(compiled):
    w = Value(1.0)
    g = compiled(lambda x: x * w if w > 0 else x - w)
    for number in (1.0, -2.0, 3.0, -0.5, 0.0, 4.0):
        w.data, w.grad = number, 0.0
        y = g(5.0)
        assert plain(y) == (5.0 * number if number > 0 else 5.0 - number)
        y.backward()
        assert w.grad == (5.0 if number > 0 else -1.0)


def test_a_captured_value_that_only_decides(compiled):
    """The result does not depend on it, only which result it is."""
    w = Value(1.0)
    g = compiled(lambda x: x * 2 if w > 0 else x * 3)
    for number in (1.0, -1.0, 2.0, -5.0, 1.0):
        w.data = number
        assert bits(g(2.0)) == bits(4.0 if number > 0 else 6.0)


def test_forward_after_a_change_of_leaves(compiled):
    a, w = Value(2.0), Value(3.0)
    g = compiled(lambda x: x * w if x > 0 else w - x)
    y = g(a) * 10
    for number, weight in [(4.0, 3.0), (4.0, 5.0), (-1.0, 5.0), (2.0, -1.0), (-7.0, 1.0)]:
        a.data, w.data = number, weight
        a.grad = w.grad = 0.0
        assert y.forward().data == 10 * (number * weight if number > 0 else weight - number)
        y.backward()
        expected = (10 * weight, 10 * number) if number > 0 else (-10.0, 10.0)
        assert (a.grad, w.grad) == expected


def test_forward_to_a_path_with_other_captures(compiled):
    """Values that the entry does not know cannot be reached: it says so, nothing has changed."""
    a, u, v = Value(1.0), Value(3.0), Value(5.0)
    g = compiled(lambda x: x * u if x > 0 else x * v)
    y = g(a)
    a.data = -1.0
    with pytest.raises(RuntimeError, match="another path"):
        y.forward()
    assert y.data == 3.0
    a.data = 2.0
    assert y.forward().data == 6.0
    y.backward()
    assert (a.grad, u.grad, v.grad) == (3.0, 2.0, 0.0)
    assert g(Value(-1.0)).data == -5.0


def test_second_derivatives_by_captured_values(compiled):
    w = Value(0.7)
    f = lambda x: m.sin(w * x) * w  # noqa: E731
    expected = grad(f)(2.0)
    expected.backward()
    wanted, w.grad = w.grad, 0.0
    slope = grad(compiled(f))(2.0)
    assert slope.data == pytest.approx(expected.data, rel=1e-15)
    slope.backward()
    assert w.grad == pytest.approx(wanted, rel=1e-14)
    w.grad = 0.0
    slope = compiled(grad(f))(2.0)
    assert bits(slope.data) == bits(expected.data)
    slope.backward()
    assert w.grad == pytest.approx(wanted, rel=1e-14)


def test_a_penalty_on_the_gradient(compiled):
    """backward() through a derivative of a compiled function, as some losses need it."""

    def loss(f, a, w):
        with Tape() as tape:
            y = f(a, w)
            slope = tape.gradient(y, a)
        return slope * slope + y

    def total(f):
        a, w = Value(0.5), Value(-1.5)
        loss(f, a, w).backward()
        return a.grad, w.grad

    assert total(compiled(smooth)) == pytest.approx(total(smooth), rel=1e-13)


def test_no_grad(compiled):
    w = Value(3.0)
    g = compiled(lambda x: x * w)
    for f in (g, lambda x: x * w):
        for x in (2.0, Value(2.0)):
            with no_grad():
                y = f(x)
            assert (y.data, y.op) == (6.0, "constant")
    assert g(2.0).op != "constant"
    with no_grad():
        assert compiled(lambda x: x * 2)(4.0) == 8.0
        first = compiled(lambda x: x * w)(4.0)  # recorded here for the first time
    assert first.op == "constant"


def test_no_grad_within_the_function(compiled):
    def f(x):
        with no_grad():
            y = x * x
        return x * y + y.detach()

    g = compiled(f)
    for x in (2.0, 3.0):
        a = Value(x)
        y = g(a)
        y.backward()
        assert (y.data, a.grad) == (x**3 + x * x, x * x)
        assert grad(g)(x) == grad(f)(x) == x * x


def test_leaves_of_another_thread(compiled, in_thread):
    w, a = Value(3.0), Value(2.0)
    g = compiled(lambda x: x * w if x > 0 else x - w)

    def job():
        y = g(a)
        y.backward()
        return y.data

    for k in range(1, 4):
        assert in_thread(job) == 6.0
        assert (a.grad, w.grad) == (3.0 * k, 2.0 * k)
    assert g(a).data == 6.0


def test_computed_values_of_another_thread_are_refused(compiled, in_thread):
    a = Value(3.0)
    y = a * 2
    captured, passed = compiled(lambda x: x * y), compiled(lambda x: x * 2)

    def job():
        for _ in range(3):
            with pytest.raises(RuntimeError, match="another thread"):
                captured(1.0)
            with pytest.raises(RuntimeError, match="another thread"):
                passed(y)

    in_thread(job)
    assert captured(1.0).data == 6.0
    in_thread(job)
    assert passed(y).data == 12.0


def test_pictures_of_graphs_with_compiled_calls(compiled):
    def smooth_step(x, w):
        return x * x * w

    w = Value(3.0, "w")
    g = compiled(lambda x: smooth_step(x, w))
    a = Value(2.0, "a")
    y = g(a) + 1
    y.backward()
    text = draw_dot(y).source
    assert "jit" in text
    assert all(f"<b>{name}</b>" in text for name in "aw")
    assert draw_dot(y).source == text


def test_a_compiled_result_is_a_computed_value(compiled):
    y = compiled(lambda x: x * 2)(Value(1.0))
    for refused in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="computed Value"):
            refused(y)
    with pytest.raises(AttributeError, match="computed"):
        y.data = 1.0
    with pytest.raises(TypeError, match=r"\.data"):
        float(y)
    assert repr(y) == "Value(data=2.0, grad=0.0)"
    assert y.inputs[0].data == 1.0


def test_a_network_is_trained_as_eagerly(compiled):
    def trained(wrap):
        random.seed(3)
        model = MLP(2, [4, 1])
        points = [((0.5, -1.0), 1.0), ((2.0, 0.25), -1.0), ((-1.0, -1.0), 1.0)]

        def loss(xs, y):
            score = model(list(xs))
            score = score[0] if isinstance(score, list) else score
            return m.relu(1 - y * score) + 1e-3 * m.sum([p * p for p in model.parameters()])

        f = wrap(loss)
        for k in range(12):
            for p in model.parameters():
                p.grad = 0.0
            f(*points[k % 3]).backward()
            for p in model.parameters():
                p.data -= 0.1 * p.grad
        return [p.data for p in model.parameters()]

    assert trained(compiled) == pytest.approx(trained(lambda f: f), rel=1e-12)


def test_entries_are_freed_with_their_graphs(compiled, small_table):
    table = small_table()
    g, a = compiled(lambda x: m.sin(x) if x > 0 else x), Value(0.5)
    for _ in range(200):
        y = g(a) * g(-a)
        y.backward()
    del y
    gc.collect()
    table.compact()
    assert table.count == 1
    for _ in range(50):
        assert hessian(lambda v: g(v[0]) * g(v[1]))([0.5, -0.5])
    gc.collect()
    table.compact()
    assert table.count == 1
