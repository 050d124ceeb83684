"""Where miniflow's Value and micrograd's meet: what one has not of the other is said in words."""

import importlib

import numpy as np
import pytest

import miniflow
from miniflow import (
    Tape,
    Value,
    grad,
    hessian,
    hvp,
    jacobian,
    jit,
    jvp,
    root,
    trace,
    value_and_grad,
    vjp,
    vmap,
)
from miniflow import math as m
from miniflow.micrograd import engine
from support.notebook_cells import graph
from support.tape_state import assert_clean


def f(x):
    return x * x + m.tanh(x)


def pair(x):
    """Two in an array, as NumPy has objects."""
    return np.array([x, x], dtype=object)


REFUSED = {
    "grad": lambda x: grad(f)(x),
    "grad of a list": lambda x: grad(lambda xs: xs[0] * xs[0])([x, 1.0]),
    "value_and_grad": lambda x: value_and_grad(f)(x),
    "a result": lambda x: grad(lambda a: a * x)(2.0),
    "another argument": lambda x: grad(lambda a, b: a * b)(2.0, x),
    "jacobian": lambda x: jacobian(lambda xs: xs)([x]),
    "hessian": lambda x: hessian(f)(x),
    "jvp": lambda x: jvp(f, (x,), (1.0,)),
    "a tangent": lambda x: jvp(f, (1.0,), (x,)),
    "vjp": lambda x: vjp(f, x),
    "a cotangent": lambda x: vjp(f, 1.0)[1](x),
    "hvp": lambda x: hvp(f, (x,), (1.0,)),
    "jit": lambda x: jit(f)(x),
    "jit of a list": lambda x: jit(lambda xs: xs[0] * 2)([x]),
    "jit, captured": lambda x: jit(lambda a: a * x)(2.0),
    "trace": lambda x: trace(f, x),
    "a program": lambda x: trace(f, 1.0)(x),
    "vmap": lambda x: vmap(f)(pair(x)),
    "vmap, captured": lambda x: vmap(lambda a: a * x)(np.array([1.0, 2.0])),
    "vmap, for all": lambda x: vmap(lambda a, b: a * b, in_axes=(0, None))(np.array([1.0]), x),
    "Tape.gradient of it": lambda x: Tape().gradient(x * x, x),
    "Tape.gradient by it": lambda x: Tape().gradient(Value(1.0) * 2, x),
    "root": lambda x: root(lambda y: y - 1.0, x),
    "root's argument": lambda x: root(lambda y, a: y - a, 1.0, x),
    "Value": Value,
    "atan2": lambda x: m.atan2(Value(1.0), x),
    "sum": lambda x: m.sum([Value(1.0), x]),
}  # fmt: skip


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_micrograds_values_where_miniflows_belong(call):
    with pytest.raises(TypeError, match=r"miniflow\.micrograd's.*grad\(lambda x: f\(Value\(x\)\)"):
        call(engine.Value(0.5))
    assert_clean()


def test_the_way_that_the_refusal_names():
    by_micrograd = lambda x: (engine.Value(x) * 2 + 1).relu().data  # noqa: E731
    for g in (grad(by_micrograd), jit(grad(by_micrograd))):
        assert g(3.0) == 2.0
    assert vmap(grad(by_micrograd))(np.array([3.0, -3.0])).tolist() == [2.0, 0.0]


# --- liberties ----------------------------------------------------------------


def subclassed():
    class Mine(Value):
        pass


def mixed_in():
    class Quiet:
        def __init_subclass__(cls):
            pass

    class Mine(Quiet, Value):
        pass

    Mine(1.0)


LIBERTIES = {
    "children": lambda v: Value(1.0, (v,), "+"),
    "children by name": lambda v: Value(1.0, _children=(v,)),
    "an operation": lambda v: Value(1.0, _op="+"),
    "four": lambda v: Value(1.0, (), "", "x"),
    "subclass": lambda v: subclassed(),
    "type": lambda v: type("Mine", (Value,), {}),
}


@pytest.mark.parametrize("take", LIBERTIES.values(), ids=LIBERTIES)
def test_what_micrograds_value_leaves_open_is_said_to_be_there(take):
    with pytest.raises(TypeError, match=r"Value.*miniflow\.micrograd\.engine\.Value"):
        take(Value(1.0))


def test_children_alone_are_taken_for_a_label():
    with pytest.raises(TypeError, match="label must be a string, got tuple") as caught:
        Value(1.0, (Value(2.0),))
    assert "miniflow.micrograd" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["velocity", "m", "_backward", "_op", "op"])
def test_attributes_of_ones_own(name):
    v = Value(1.0)
    # as Python no code may run where an attribute is set: a handler could come between
    words = r"miniflow\.micrograd\.engine\.Value" if miniflow.engine == "compiled" else "has no"
    with pytest.raises(AttributeError, match=words):
        setattr(v, name, 0)
    with pytest.raises(AttributeError, match="delete"):
        del v.data
    v.data, v.grad, v.label = 2.0, 3.0, "v"
    assert (v.data, v.grad, v.label) == (2.0, 3.0, "v")


def test_a_mixin_does_not_make_it_a_base():
    if miniflow.engine == "compiled":
        with pytest.raises(TypeError, match="cannot be subclassed"):
            mixed_in()


# --- the notebooks' picture ---------------------------------------------------


class Digraph:
    """What graphviz's class is told, without its numbers."""

    def __init__(self):
        self.nodes, self.edges = [], []

    def node(self, name, label, **others):
        self.nodes.append(label)

    def edge(self, tail, head):
        self.edges.append((tail, head))


def draw_dot(root):
    """A picture in the manner of the notebooks' cell: by `_prev`, `_op`, `data` and `grad`."""
    nodes, edges = graph(root)
    dot = Digraph()
    for n in nodes:
        dot.node(name=str(id(n)), label=f"{{ data {n.data:.4f} | grad {n.grad:.4f} }}")
        if n._op:
            dot.node(name=str(id(n)) + n._op, label=n._op)
            dot.edge(str(id(n)) + n._op, str(id(n)))
    for child, v in edges:
        dot.edge(str(id(child)), str(id(v)) + v._op)
    return sorted(dot.nodes), len(dot.edges)


def test_the_notebooks_picture_is_micrograds():
    found = []
    for name in ("micrograd", "miniflow.micrograd"):
        value = importlib.import_module(f"{name}.engine").Value
        neuron = importlib.import_module(f"{name}.nn").Neuron(2)
        for w, number in zip(neuron.parameters(), (0.5, -0.25, 0.0), strict=True):
            w.data = number
        for y in ((value(1.0) * 2 + 1).relu(), neuron([value(1.0), value(-2.0)])):
            y.backward()
            found.append(draw_dot(y))
    assert found[:2] == found[2:]
