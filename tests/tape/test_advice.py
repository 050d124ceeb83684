"""What a refusal advises is done here, and the gradient is the right one."""

import copy
import math
import pickle
import threading

import numpy as np
import pytest

from miniflow import Value, grad, jit, no_grad, trace
from miniflow import math as m


def on_a_thread(f):
    """What `f` answers, or raises, on another thread."""
    found = []

    def run():
        try:
            found.append(f())
        except RuntimeError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(found[0], RuntimeError):
        raise found[0]
    return found[0]


def in_an_array(v, kind):
    xs = np.zeros(3, dtype=kind)
    xs[0] = v
    return (xs * 2.0).sum() * 1.0


def swept(y):
    y.backward()
    return y


def recomputed(v):
    """Set the data of the leaf, then go forward: the computed Value follows."""
    y = v * v
    v.data = 5.0
    y.forward()
    v.data = 3.0
    return y.forward()


def set_computed(v):
    y = v * v
    y.data = 25.0
    return y


# name: what is refused, the words of the advice, the same as is advised, and d/dv at 3
ADVICE = {
    "array item": (
        lambda v: in_an_array(v, float),
        "dtype=object",
        lambda v: in_an_array(v, object),
        2.0,
    ),
    "array": (
        lambda v: np.array([v, 1.0], dtype=float)[0],
        "dtype=object",
        lambda v: np.array([v, 1.0], dtype=object)[0],
        1.0,
    ),
    "int array": (
        lambda v: np.array([v]).astype(int)[0],
        "dtype=object",
        lambda v: np.array([v])[0],
        1.0,
    ),
    "np.full": (
        lambda v: np.full(2, v, dtype=float).sum(),
        "dtype=object",
        lambda v: np.full(2, v, dtype=object).sum(),
        2.0,
    ),
    "math": (lambda v: math.log(v), "miniflow.math", lambda v: m.log(v), 1 / 3),
    "math of two": (lambda v: math.hypot(v, 4.0), "miniflow.math", lambda v: m.hypot(v, 4.0), 0.6),
    "math.fsum": (lambda v: math.fsum([v, v]), "miniflow.math", lambda v: m.fsum([v, v]), 2.0),
    "float": (lambda v: float(v) * v, ".data where no gradient", lambda v: v.data * v, 3.0),
    "set data": (set_computed, "leaves forward()", recomputed, 6.0),
    "Value of a Value": (lambda v: Value(v * v), "the Value itself", lambda v: v * v, 6.0),
    "seed": (
        lambda v: (v * v).backward(Value(2.0)),
        "the Value itself",
        lambda v: v * v * Value(2.0),
        12.0,
    ),
    "copy": (
        lambda v: copy.copy(v * v),
        "leaves compute it again",
        lambda v: (lambda w: swept(w * w) and v * w)(copy.copy(v)),
        3.0,
    ),
    "pickle": (
        lambda v: pickle.dumps(v * v),
        "leaves compute it again",
        lambda v: v * pickle.loads(pickle.dumps(v)),
        3.0,
    ),
    "no_grad": (
        lambda v: swept(no_grad()(lambda: v * v)()),
        "outside of no_grad()",
        lambda v: v * v,
        6.0,
    ),
    "detach": (lambda v: swept((v * v).detach()), "without detach()", lambda v: v * v, 6.0),
    "another thread": (
        lambda v: (lambda y: on_a_thread(lambda: y * 2))(v * v),
        "compute it here leaves",
        lambda v: on_a_thread(lambda: swept(v * v)),
        6.0,
    ),
}


@pytest.mark.parametrize("name", ADVICE)
def test_the_advice_keeps_the_gradient(name):
    wrong, words, right, slope = ADVICE[name]
    v = Value(3.0)
    with pytest.raises((TypeError, RuntimeError, AttributeError)) as refusal:
        wrong(v)
    assert all(word in str(refusal.value) for word in words.split()), refusal.value
    v = Value(3.0)
    y = right(v)
    if name != "another thread":  # which has swept it
        y.backward()
    assert v.grad == pytest.approx(slope, rel=1e-15)


def test_data_is_advised_only_where_no_gradient_is_wanted():
    a = Value(3.0)
    for wrong, *_ in ADVICE.values():
        with pytest.raises((TypeError, RuntimeError, AttributeError)) as refusal:
            wrong(a)
        text = str(refusal.value)
        assert ".data" not in text or "where no gradient is wanted" in text or "Value.data" in text


TRACED = {
    "array item": (
        lambda v: in_an_array(v, float),
        "dtype=object",
        lambda v: in_an_array(v, object),
        2.0,
    ),
    "math": (lambda v: math.log(v), "miniflow.math", lambda v: m.log(v), 1 / 3),
    "data": (lambda v: v * v.data, "Value itself", lambda v: v * v, 6.0),
}


@pytest.mark.parametrize(("wrong", "words", "right", "slope"), TRACED.values(), ids=TRACED)
def test_the_advice_while_a_function_is_traced(wrong, words, right, slope):
    with pytest.raises((TypeError, RuntimeError)) as refusal:
        trace(wrong, 3.0)
    assert words in str(refusal.value)
    assert trace(grad(right), 3.0)(3.0) == jit(grad(right))(3.0) == pytest.approx(slope, rel=1e-15)


def test_a_plain_number_by_a_closure():
    """What a traced function needs as an index is no argument of it."""
    with pytest.raises(TypeError, match=r"closure.*partial"):
        trace(lambda x, k: [x, x * x][k], 3.0, 1)
    assert grad(trace(lambda x, k=1: [x, x * x][k], 3.0))(3.0) == 6.0
