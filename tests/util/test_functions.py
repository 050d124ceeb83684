"""Functions made of functions: what they are called, what they show, how they are copied."""

import copy
import inspect
import pickle
import pydoc
from functools import partial

import pytest

from miniflow import (
    Value,
    grad,
    hessian,
    hvp,
    jacobian,
    jit,
    jvp,
    math,
    nn,
    trace,
    value_and_grad,
    vjp,
    vmap,
)
from miniflow.util.functions import Derived

TRANSFORMS = [grad, value_and_grad, jacobian, hessian, jit, vmap]


def cube(x, times=1.0):
    """The third power."""
    return x * x * x * times


@grad
def slope(x):
    """Of a square."""
    return x * x


class Curve:
    """A function as a method."""

    @partial(grad, argnums=1)
    def slope(self, x):
        return x * x

    def value(self, x):
        return x * x


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: t.__name__)
def test_what_a_transform_returns_says_what_it_is(transform):
    assert repr(transform(cube)) == f"<{transform.__name__} of cube>"
    assert repr(transform(lambda x: x)) == f"<{transform.__name__} of <lambda>>"
    assert repr(transform(math.sin)) == f"<{transform.__name__} of <operation sin>>"


def test_transforms_of_transforms_say_both():
    assert repr(grad(grad(cube))) == "<grad of <grad of cube>>"
    assert repr(jit(grad(cube))) == "<jit of <grad of cube>>"
    assert repr(grad(jit(cube))) == "<grad of <jit of cube>>"
    assert repr(vmap(value_and_grad(cube))) == "<vmap of <value_and_grad of cube>>"
    assert repr(grad(nn.Neuron(1))) == "<grad of ReLUNeuron(1)>"
    assert repr(grad(Curve().value)) == "<grad of value>"
    assert repr(grad(partial(cube, times=2.0))).startswith("<grad of functools.partial(<function")


@pytest.mark.parametrize("transform", TRANSFORMS[:4], ids=lambda t: t.__name__)
def test_it_keeps_the_functions_name(transform):
    g = transform(cube)
    assert (g.__name__, g.__doc__, g.__wrapped__) == ("cube", "The third power.", cube)
    assert (g.__module__, g.__qualname__) == (cube.__module__, "cube")
    assert inspect.signature(g) == inspect.signature(cube)
    assert inspect.isroutine(g)
    text = pydoc.plain(pydoc.render_doc(g))
    assert "cube(x, times=1.0)\n    The third power." in text


def test_it_is_copied_and_pickled():
    assert pickle.loads(pickle.dumps(slope)) is slope  # by name
    assert copy.copy(slope) is copy.deepcopy(slope) is slope
    g = grad(cube, 1)
    for made in (pickle.loads(pickle.dumps(g)), copy.copy(g), copy.deepcopy(g)):
        assert isinstance(made, Derived)
        assert made(3.0, 2.0) == 27.0  # its options, too
    h = pickle.loads(pickle.dumps(hessian(cube)))
    assert (repr(h), h(3.0)) == ("<hessian of cube>", 18.0)


def test_methods_and_classes():
    assert Curve().slope(3.0) == 6.0
    assert Curve.slope(None, 3.0) == 6.0
    assert grad(Curve().value)(3.0) == 6.0


AT_ONCE = {
    **{t.__name__: t for t in TRANSFORMS},
    "vjp": lambda f: vjp(f, 1.0),
    "jvp": lambda f: jvp(f, (1.0,), (1.0,)),
    "hvp": lambda f: hvp(f, (1.0,), (1.0,)),
    "trace": lambda f: trace(f, 1.0),
}


@pytest.mark.parametrize("name", AT_ONCE)
@pytest.mark.parametrize("f", [Value(4.0), 4.0, None, "sin", [cube]], ids=lambda f: str(type(f)))
def test_what_is_no_function_is_refused_at_once(name, f):
    with pytest.raises(TypeError) as caught:
        AT_ONCE[name](f)
    message = str(caught.value)
    assert message.startswith(f"{name}: f must be a function, got {type(f).__name__}")
    assert message.endswith(
        "give the function itself, such as lambda x: x * x, not what it returns"
    )
