"""`no_grad` and `detach`: what is not recorded, and where that ends."""

import pytest

from miniflow import Value, no_grad
from miniflow import math as m
from miniflow.tape.core import here
from support.tape_state import assert_sound


def test_detach_stops_gradients():
    a = Value(3.0)
    d = (a * 2).detach()
    (a * d).backward()
    assert (a.grad, d.grad, d.op) == (6.0, 0.0, "constant")
    assert d.inputs == ()


def test_no_grad_nests_and_ends_with_an_exception():
    a = Value(3.0)
    with no_grad():
        with no_grad():
            assert (a * 2).op == "constant"
        assert a.sin().op == m.sum([a, a, a]).op == (2 - a).op == "constant"
        with pytest.raises(ZeroDivisionError), no_grad():
            raise ZeroDivisionError
        assert (a * 2).inputs == ()
        assert Value(1.0).op == "leaf"
    assert (a * 2).op == "mul"
    assert here.table.muted == 0


def test_no_grad_as_a_decorator():
    @no_grad()
    def f(x):
        return x * 2 if x > 0 else 1 / 0

    assert f(Value(3.0)).op == "constant"
    with pytest.raises(ZeroDivisionError):
        f(Value(-1.0))
    assert (Value(3.0) * 2).op == "mul"


@pytest.mark.parametrize(
    "constant", [lambda a: a.detach(), lambda a: no_grad()(lambda: a * 2)()], ids=["detach", "mute"]
)
def test_backward_of_a_constant_is_refused(constant):
    a = Value(3.0)
    with pytest.raises(RuntimeError, match=r"constant.*no_grad"):
        constant(a).backward()
    assert a.grad == 0.0
    assert_sound(here.table)
