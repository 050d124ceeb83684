"""Mistakes of a first week: each is answered by what is wrong, where, and what to do.

The tables have a line for each mistake: what is typed, the exception, and what its message says.
"""

import json
import math as pymath
import os
import random
import subprocess
import sys

import numpy as np
import pytest

import miniflow
import viz
from miniflow import Value, nn, optim
from support.other_engine import There
from viz.__main__ import main

NUMBER = "expected a real number, got "
EACH = "take its elements one by one, as in "
FUNCTION = "give the function itself, such as lambda x: x * x, not what it returns"
LOST = ("without losing its gradient", "miniflow.math instead of math", ".data")
LIST = "expected a list of numbers, got "

# --- a Value ------------------------------------------------------------------

VALUES = {
    # habits from elsewhere
    "v.item()": (AttributeError, "has no attribute 'item'", "its number is v.data"),
    "v.numpy()": (AttributeError, "has no attribute 'numpy'", "its number is v.data"),
    "v.value": (AttributeError, "has no attribute 'value'", "its number is v.data"),
    "v.gradient": (AttributeError, "has no attribute 'gradient'", "its gradient is v.grad"),
    "v.name": (AttributeError, "has no attribute 'name'", "its name is v.label"),
    "v.shape": (AttributeError, "has no attribute 'shape'", "a Value is one number"),
    "v.mean()": (AttributeError, "has no attribute 'mean'", "math.sum(xs) / len(xs)"),
    "v.requires_grad": (AttributeError, "'requires_grad'", "every Value has a gradient"),
    "v.zero_grad()": (AttributeError, "'zero_grad'", "v.grad = 0.0"),
    "v.clone()": (AttributeError, "'clone'", "v.detach() is not recorded"),
    "v.to('cpu')": (AttributeError, "'to'", "leave it out"),
    "v.tanhh()": (AttributeError, "'tanhh'", "did you mean tanh?"),
    "v.backwards()": (AttributeError, "'backwards'", "did you mean backward?"),
    "v.softmaxx": (AttributeError, "'softmaxx'", "miniflow.math"),
    "v.data.backward()": (AttributeError, "'float' object has no attribute 'backward'"),
    "v.grad()": (TypeError, "'float' object is not callable"),
    "v[0]": (TypeError, "Value' object is not subscriptable"),
    "len(v)": (TypeError, "Value' has no len()"),
    "[x for x in v]": (TypeError, "Value' object is not iterable"),
    "sum(v)": (TypeError, "Value' object is not iterable"),
    # making one
    "Value('1')": (TypeError, f"Value: {NUMBER}str '1'; convert it with float()"),
    "Value([1, 2])": (TypeError, f"Value: {NUMBER}list [1, 2]; take its elements one by one"),
    "Value(None)": (TypeError, f"Value: {NUMBER}NoneType None; a function without return gives"),
    "Value(v)": (TypeError, f"Value: {NUMBER}Value(data=2.0, grad=0.0)", "use the Value itself"),
    "Value(f)": (TypeError, f"Value: {NUMBER}function <function", "call it, with its arguments"),
    "Value(1j)": (TypeError, f"Value: {NUMBER}complex 1j; pass its .real and .imag"),
    "Value(1.0, 2.0)": (TypeError, "Value: label must be a string, got float 2.0"),
    "Value()": (TypeError, "argument"),
    "Value(1.0, requires_grad=True)": (TypeError, "requires_grad=True; every Value has a"),
    "Value(1.0, name='x')": (
        TypeError,
        "a number and a label, got also name='x'; its name is v.label",
    ),
    "setattr(v, 'data', '1')": (TypeError, f"Value.data: {NUMBER}str '1'; convert it with float()"),
    "setattr(v, 'grad', '0')": (TypeError, f"Value.grad: {NUMBER}str '0'; convert it with float()"),
    "setattr(v, 'label', 3)": (TypeError, "Value.label: label must be a string, got int 3"),
    "setattr(y, 'data', 1.0)": (AttributeError, "this Value was computed", "call its forward()"),
    # plain numbers
    "int(v)": (TypeError, "a Value cannot become int", *LOST),
    "float(v)": (TypeError, "a Value cannot become float", *LOST),
    "range(v)": (TypeError, "a Value cannot become an index", ".data"),
    "[1, 2, 3][v]": (TypeError, "a Value cannot become an index", ".data"),
    "'%.3f' % v": (TypeError, "a Value cannot become float", *LOST),
    "pymath.sin(v)": (TypeError, "a Value cannot become float", *LOST),
    "pymath.sin('1')": (TypeError, "must be real number, not str"),
    "np.array([v], dtype=float)": (TypeError, "a Value cannot become float"),
    "random.randint(v, 5)": (TypeError, "a Value cannot become int"),
    "round(v, 0.5)": (TypeError, "'float' object cannot be interpreted as an integer"),
    # operators
    "v * [1, 2]": (TypeError, f"mul: {NUMBER}list [1, 2]; {EACH}[v * x for x in xs]"),
    "[1, 2] * v": (TypeError, f"mul: {NUMBER}list [1, 2]; {EACH}", "numpy.array(xs)"),
    "v - [1.0, 2.0]": (TypeError, f"sub: {NUMBER}list [1.0, 2.0]; {EACH}[v - x for x in xs]"),
    "[1.0] + v": (TypeError, f"add: {NUMBER}list [1.0]; {EACH}"),
    "v / (1, 2)": (TypeError, f"div: {NUMBER}tuple (1, 2); {EACH}[v / x for x in xs]"),
    "v ** [2]": (TypeError, f"pow: {NUMBER}list [2]; {EACH}[v ** x for x in xs]"),
    "v // range(2)": (TypeError, f"floordiv: {NUMBER}range(0, 2); {EACH}[v // x for x in xs]"),
    "v % {'a': 1}": (TypeError, f"mod: {NUMBER}dict {{'a': 1}}; take its elements one by one"),
    "v + 'a'": (TypeError, f"add: {NUMBER}str 'a'; convert it with float()"),
    "'a' + v": (TypeError, f"add: {NUMBER}str 'a'; convert it with float()"),
    "sum([v, '1'])": (TypeError, f"add: {NUMBER}str '1'; convert it with float()"),
    "v + None": (TypeError, f"add: {NUMBER}NoneType None; a function without return gives None"),
    "v + y.backward()": (TypeError, f"add: {NUMBER}NoneType None"),
    "v * v.backward": (TypeError, f"mul: {NUMBER}method <bound method", "call it"),
    "v * f": (TypeError, f"mul: {NUMBER}function <function", "call it"),
    "v * math.relu": (TypeError, f"mul: {NUMBER}Op <operation relu>", "call it"),
    "v + model": (TypeError, "unsupported operand type(s) for +:", "Value' and 'MLP'"),
    "v ^ 2": (TypeError, "Value has no operator ^: a power is x ** y"),
    "2 ^ v": (TypeError, "Value has no operator ^: a power is x ** y"),
    "v @ y": (TypeError, "Value has no operator @: a product is x * y", "math.dot(xs, ys)"),
    "v & y": (TypeError, "Value has no operator &: conditions are joined by `and`"),
    "v | 1": (TypeError, "Value has no operator |: conditions are joined by `or`"),
    "~v": (TypeError, "Value has no operator ~: a number's opposite is -x"),
    "v @ [1]": (TypeError, "unsupported operand type(s) for @:", "Value' and 'list'"),
    "pow(v, 2, 5)": (TypeError, "pow: a modulus is for ints; of a Value take (x ** y) % modulus"),
    "v < '1'": (TypeError, "not supported between instances of", "Value' and 'str'"),
    # sweeps
    "y.backward('1')": (TypeError, f"backward: {NUMBER}str '1'; convert it with float()"),
    "y.backward(v)": (TypeError, f"backward: {NUMBER}Value(", "or its .data where no gradient"),
    "y.backward(retain_graph=True)": (TypeError, "unexpected keyword argument 'retain_graph'"),
    "v.detach().backward()": (RuntimeError, "this Value is a constant", "without detach()"),
    "Tape().gradient(y, 3)": (TypeError, "Tape.gradient: expected a Value, got int 3"),
}
# --- functions ----------------------------------------------------------------

FUNCTIONS = {
    "math.sin('1')": (TypeError, f"sin: {NUMBER}str '1'; convert it with float()"),
    "math.sin([1.0])": (TypeError, f"sin: {NUMBER}list [1.0]; take its elements one by one"),
    "math.sin(None)": (TypeError, f"sin: {NUMBER}NoneType None; a function without return"),
    "math.sin()": (TypeError, "sin: takes 1 operand, got 0"),
    "math.atan2(v)": (TypeError, "atan2: takes 2 operands, got 1"),
    "math.pow(v, 2, 5)": (TypeError, "pow: takes 2 operands, got 3"),
    "math.fabs('x')": (TypeError, f"fabs: {NUMBER}str 'x'; convert it with float()"),
    "math.sum(None)": (TypeError, f"sum: {LIST}NoneType None; put the numbers into a list"),
    "math.sum(v, v)": (TypeError, f"sum: {LIST}Value(", "put the numbers into a list"),
    "math.sum([v, '1'])": (TypeError, f"sum: item 1: {NUMBER}str '1'; convert it with float()"),
    "math.fsum(v)": (TypeError, f"fsum: {LIST}Value("),
    "math.prod([v, None])": (TypeError, f"prod: item 1: {NUMBER}NoneType None"),
    "math.dot(None, [v])": (TypeError, f"dot: {LIST}NoneType None; put the numbers into a list"),
    "math.dot([v], v)": (TypeError, f"dot: {LIST}Value("),
    "math.dot([v], ['1'])": (TypeError, f"dot: item 0: {NUMBER}str '1'; convert it with float()"),
    "math.dot([v], [v, v])": (ValueError, "dot: lengths differ: 1 and 2"),
    "math.dist(v, v)": (TypeError, f"dist: {LIST}Value("),
    "math.max([])": (ValueError, "maximum: no numbers; give at least one"),
    "math.max(v, '1')": (TypeError, f"maximum: item 1: {NUMBER}str '1'; convert it with float()"),
    "math.min(None)": (TypeError, f"minimum: item 0: {NUMBER}NoneType None"),
    "math.hypot('1', v)": (TypeError, f"hypot: item 0: {NUMBER}str '1'"),
    "math.arctan(v)": (AttributeError, "has no attribute 'arctan'; its name here is atan"),
    "math.ln(v)": (AttributeError, "has no attribute 'ln'; its name here is log"),
    "math.Sin": (AttributeError, "has no attribute 'Sin'; did you mean sin?"),
    "miniflow.tanh": (AttributeError, "no attribute 'tanh'; it is miniflow.math.tanh"),
    "grad(v * 2)": (TypeError, "grad: f must be a function, got Value(data=4.0", FUNCTION),
    "value_and_grad(f(v))": (TypeError, "value_and_grad: f must be a function, got", FUNCTION),
    "jacobian(3)": (TypeError, f"jacobian: f must be a function, got int 3; {FUNCTION}"),
    "hessian(None)": (TypeError, f"hessian: f must be a function, got NoneType None; {FUNCTION}"),
    "vjp(v, 1.0)": (TypeError, "vjp: f must be a function", FUNCTION),
    "jvp(v, (1.0,), (1.0,))": (TypeError, "jvp: f must be a function", FUNCTION),
    "hvp(v, (1.0,), (1.0,))": (TypeError, "hvp: f must be a function", FUNCTION),
    "jit(3)": (TypeError, f"jit: f must be a function, got int 3; {FUNCTION}"),
    "vmap(v)": (TypeError, "vmap: f must be a function", FUNCTION),
    "trace(f(v), v)": (TypeError, "trace: f must be a function", FUNCTION),
    "grad(f, 3.0)": (TypeError, "grad: argnums must be a position or several, got float 3.0",
                     "a second call, as in grad(f)(x)"),
    "hessian(f, v)": (TypeError, "hessian: argnums", "as in hessian(f)(x)"),
    "grad(f)('1')": (TypeError, f"grad: {NUMBER}str '1'", "choose the arguments"),
    "grad(f)()": (TypeError, "grad: argnums=0 but f was called with 0 positional arguments"),
    "grad(f)(x=1.0)": (TypeError, "give what to differentiate by without its name"),
    "grad(lambda x: None)(1.0)": (TypeError, "f must return numbers", "has it a return?"),
    "grad(lambda x: [x, x])(1.0)": (TypeError, "f must return a scalar, got list", "jacobian"),
    "grad(pymath.sin)(1.0)": (TypeError, "a Value cannot become float", "miniflow.math"),
    "jvp(f, 1.0, 1.0)": (TypeError, "primals and tangents must be tuples", "(x,), (1.0,)"),
    "jit(pymath.sin)(1.0)": (TypeError, "a Value cannot become float", "miniflow.math"),
    "jit(lambda x: x.data)(1.0)": (RuntimeError, "reading .data while a function is traced"),
    "jit(lambda n: sum(range(n)))(3)": (TypeError, "a Value cannot become an index"),
    "vmap(f)(1, 2)": (TypeError, "vmap: 1 has no axis 0 to run along; pass a NumPy array"),
    "vmap(f, reduce='avg')": (ValueError, "reduce must be None, 'sum' or 'mean', got 'avg'"),
}  # fmt: skip
# --- networks -----------------------------------------------------------------

NETWORKS = {
    "loss.backward()": (AttributeError, "'float' object has no attribute 'backward'"),
    "optim.SGD(model)": (TypeError, "SGD: parameters must be a list, got MLP of [Layer of [",
                         ", ...; pass model.parameters(), with its ()"),
    "optim.SGD(model.parameters)": (TypeError, "SGD: parameters must be a list, got method",
                                    "model.parameters(), with its ()"),
    "optim.SGD(model.layers)": (TypeError, "a parameter must be a Value, got Layer of"),
    "optim.SGD([1.0])": (TypeError, "a parameter must be a Value, got float 1.0; pass model"),
    "optim.SGD([y])": (TypeError, "a parameter must be a leaf", "give what it was computed from"),
    "optim.SGD([])": (ValueError, "SGD: no parameters; pass model.parameters()"),
    "optim.SGD([v], lr='0.1')": (ValueError, "SGD: lr must be a finite number from 0 on, got str"),
    "optim.SGD([v], lr=-1)": (ValueError, "SGD: lr must be a finite number from 0 on, got int -1"),
    "optim.SGD([v], momentum=None)": (ValueError, "SGD: momentum must be a finite number"),
    "optim.Adam([v], betas=0.9)": (ValueError, "Adam: betas must be a pair of numbers below 1"),
    "nn.MLP(2, 3)": (ValueError, "MLP: nouts must be a list of at least one size, got int 3"),
    "nn.MLP(2, [4, 0])": (ValueError, "MLP: nouts[1] must be a number of neurons, from 1 on"),
    "nn.MLP('2', [1])": (ValueError, "MLP: nin must be a number of neurons, from 1", "str '2'"),
    "nn.Layer(-1, 2)": (ValueError, "Layer: nin must be a number of neurons, from 1", "got int -1"),
    "nn.Neuron(0)": (ValueError, "Neuron: nin must be a number of neurons, from 1 on, got int 0"),
    "nn.MLP(2, [1], activation='rellu')": (ValueError, "got str 'rellu'; did you mean relu?; try"),
    "nn.MLP(2, [1], activation=math.tanh(v))": (ValueError, "activation must be a function of one"),
    "nn.MLP(2, [1], seed='a')": (TypeError, "seed must be an int or a generator, got str 'a'"),
    "nn.Dense(2, 1)": (AttributeError, "'Dense'; Linear(nin, nout) is one"),
    "nn.Linear(2, 1)([v])": (ValueError, "Linear: x must be a list of 2, got 1"),
    "nn.Linear(2, 1, bias=0)": (TypeError, "Linear: bias must be True or False, got int 0"),
    "nn.Linear(2, 1, init='hee')": (ValueError, "init must be one of 'he',", "did you mean he"),
    "nn.Sequential()": (ValueError, "Sequential: no layers; as in Sequential(Linear(2, 1)"),
    "nn.Sequential(nn.ReLU)": (TypeError, "layer 0 must be a Module, got type", "one: ReLU(...)"),
    "nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(2, 1))": (
        ValueError,
        "layer 2, Linear(2, 1): it takes 2 numbers, and the layer before it gives 3",
    ),
    "nn.Embedding(3, 2)(3)": (IndexError, "Embedding: there is no index 3; the last one is 2"),
    "nn.Embedding(3, 2)(-1)": (IndexError, "Embedding: there is no index -1; the last one is 2"),
    "nn.Embedding(3, 2)(0.5)": (TypeError, "an index must be a whole number, got 0.5"),
    "nn.Embedding(3, 2)('a')": (TypeError, "Embedding: the index", "str 'a'"),
    "nn.RNNCell(2, 3)([v])": (ValueError, "RNNCell: x must be a list of 2, got 1"),
    "nn.GRUCell(1, 3)([v], [v])": (ValueError, "GRUCell: the state must be a list of 3, got 1"),
    "nn.LSTMCell(1, 3)([v], [v])": (TypeError, "LSTMCell: the state must be a pair (h, c), got"),
    "nn.LSTM(1, 2)([])": (ValueError, "LSTM: no inputs; give a list of at least one"),
    "nn.GRU(1, 2, 2)([[v]], [[v, v]])": (ValueError, "GRU: the state must be of 2 layers, got 1"),
    "nn.Dropout(1.5)": (ValueError, "Dropout: p must be a probability, from 0 to 1, got float 1.5"),
    "jit(nn.Dropout(0.5))([1.0])": (RuntimeError, "random numbers for ever; make them an argument"),
    "nn.MSELoss()": (AttributeError, "'MSELoss'; the function is mse(predictions, targets)"),
    "nn.tanh(v)": (AttributeError, "'tanh'; it is miniflow.math.tanh"),
    "nn.mlp(2, [1])": (AttributeError, "has no attribute 'mlp'"),
    "model.forward([1.0, 2.0])": (AttributeError, "'forward'; call the model itself: model(x)"),
    "model.backward()": (AttributeError, "'backward'; call it on the loss: loss.backward()"),
    "model.train(1)": (TypeError, "train: mode must be True or False, got int 1"),
    "model.weight": (AttributeError, "'weight'; the weights are in parameters()"),
    "model.paramters()": (AttributeError, "'paramters'; did you mean parameters?"),
    "model(1.0)": (ValueError, "Neuron: got 1 inputs, it has 2 weights; give a list of 2"),
    "model('12')": (TypeError, "inputs must be a list of numbers, got str '12'"),
    "model({1.0, 2.0})": (TypeError, "inputs must be a list of numbers, got set {1.0, 2.0}"),
    "model(['1', '2'])": (TypeError, f"inputs: item 0: {NUMBER}str '1'; convert it with float()"),
    "model([1.0, None])": (TypeError, f"inputs: item 1: {NUMBER}NoneType None"),
    "model([[1.0, 2.0]])": (TypeError, "inputs: item 0 is list [1.0, 2.0], not a number",
                            "[model(x) for x in xs]"),
    "nn.mse([v], ['cat'])": (TypeError, f"mse: target 0: {NUMBER}str 'cat'; convert it with"),
    "nn.mse([v, v], [1.0, None])": (TypeError, f"mse: target 1: {NUMBER}NoneType None"),
    "nn.mse(['x'], [1.0])": (TypeError, f"mse: prediction 0: {NUMBER}str 'x'"),
    "nn.mse(v, 'cat')": (TypeError, "mse: targets must be a list of numbers, got str 'cat'"),
    "nn.mse([[v]], [1.0])": (TypeError, "mse: a list predicts a float in place 0; both must be"),
    "nn.mae([v], [1, 2])": (ValueError, "mae: 1 predictions for 2 targets"),
    "nn.hinge([v], [0])": (ValueError, "hinge: a label must be -1 or 1, got 0"),
    "nn.bce_with_logits([v], ['yes'])": (TypeError, f"bce_with_logits: target 0: {NUMBER}str"),
    "nn.cross_entropy([[v, v]], ['cat'])": (TypeError, "a class must be an integer, got 'cat'"),
    "nn.cross_entropy([[v, v]], [5])": (ValueError, "class 5 is not among 2 logits"),
    "nn.load('other.json')": (ValueError, "'other.json' is not a saved model, a file that Module"),
    "nn.load('text.json')": (ValueError, "'text.json' is not a saved model"),
    "nn.load('missing.json')": (FileNotFoundError, "missing.json"),
    "nn.load(model)": (TypeError, "load: path must be a file's name, got MLP of"),
    "model.load_state_dict([1])": (TypeError, "state must be a dict of numbers by name, got list"),
}  # fmt: skip
# --- pictures -----------------------------------------------------------------

PICTURES = {
    "viz.draw_dot(3)": (TypeError, "draw_dot: root must be made of Values, got int 3; compute it"),
    "viz.draw_dot(y.data)": (TypeError, "got float 6.0; give y itself, not y.data"),
    "viz.draw_dot(f)": (TypeError, "got function <function", "call it and draw the result"),
    "viz.draw_dot(grad(f))": (TypeError, "got Gradient <grad of <lambda>>", "call it and draw"),
    "viz.draw_dot(model)": (TypeError, "got MLP of [Layer of [", ", ...; draw what it computes",
                            "draw_network draws a model itself"),
    "viz.draw_dot([])": (ValueError, "draw_dot: there is nothing to draw in an empty list"),
    "viz.draw_dot(y, rankdir='left')": (ValueError, "rankdir must be one of LR, TB, RL, BT, got"),
    "viz.render(y, 'x.docx')": (ValueError, "render: path must end in .svg, .png, .pdf, .dot or"),
    "viz.render(y, 'x.html')": (ValueError, "render: path must end in", "play writes pages"),
    "viz.render('x.svg', y)": (TypeError, "path must be a file's name, got Value(", "comes first"),
    "viz.play(y, 'x.svg')": (ValueError, "play: path must end in .html or .htm", "got 'x.svg'"),
    "viz.play(y, 'x')": (ValueError, "play: path must end in .html or .htm", "got 'x'"),
    "viz.play(y, 3)": (TypeError, "play: path must be a file's name, got int 3", "play(y, path)"),
    "viz.play(model)": (TypeError, "play: root must be a Value", "play what it computes"),
    "viz.play([y, v])": (ValueError, "play: root must be one Value, got 2", "or their sum"),
    "viz.draw_network(y)": (TypeError, "model must be a Module, got Value(", "draw_dot draws"),
    "viz.draw_network(nn.MLP)": (TypeError, "model must be a Module, got type", "MLP(2, ...)"),
    "viz.show(y)": (AttributeError, "'show'; draw_dot(y) in a notebook, or render(y"),
    "viz.draw(y)": (AttributeError, "'draw'; did you mean draw_dot?"),
}  # fmt: skip
PLOTS = {
    "viz.plot_gradients(model, ax=1)": (TypeError, "ax must be Matplotlib's axes, got int 1",
                                        "fig, ax = plt.subplots()"),
    "viz.plot_history([1.0], ax='x')": (TypeError, "ax must be Matplotlib's axes, got str 'x'"),
    "viz.plot_history(['a'])": (TypeError, f"plot_history: loss: {NUMBER}str 'a'"),
}  # fmt: skip
TABLES = {**VALUES, **FUNCTIONS, **NETWORKS, **PICTURES}
# What looks like a mistake and works.
WORKS = {
    "f'{v:.3f}'": "2.000",
    "'{:.2f}'.format(v)": "2.00",
    "str(v)": "Value(data=2.0, grad=0.0)",
    "round(v, 1).data": 2.0,
    "[x.data for x in sorted([y, v])]": [2.0, 6.0],
    "1 if v else 2": 1,
    "max(v, y) is y": True,
    "sum([v, v]).data": 4.0,
    "v == '1'": False,
    "(np.array([1.0, 2.0]) * v)[1].data": 4.0,
    "np.sin(v).op": "sin",
    "(v + True).data": 3.0,
    "random.gauss(v, 0.0).data": 2.0,
    "grad(lambda x: random.gauss(x, 1.0))(v.data)": 1.0,
    "repr(optim.SGD([v], lr=0.1))": (
        "SGD(1 parameters, lr=0.1)"
    ),
    "repr(nn.MLP(1, [1]))": "MLP of [Layer of [LinearNeuron(1)]]",
    "repr(grad(jit(f)))": "<grad of <jit of <lambda>>>",
}  # fmt: skip


LIBRARIES = {"np": np, "pymath": pymath, "random": random, "miniflow": miniflow, "nn": nn}
LIBRARIES |= {"optim": optim, "viz": viz}


def attempt(text):
    """What comes of typing a line: an exception's kind and message, or a plain answer."""
    v = Value(2.0)
    y = v * 3.0
    names = {name: getattr(miniflow, name) for name in miniflow.__all__} | LIBRARIES
    names |= {"v": v, "y": y, "loss": y.data, "f": lambda x: x * x}
    names |= {"model": nn.MLP(2, [3, 1], seed=1)}
    try:
        answer = eval(text, names)
    except Exception as error:
        return type(error).__name__, str(error)
    return "ok", answer if isinstance(answer, (str, float, int, bool, list)) else None


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Files that are no models."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.json").write_text(json.dumps({"weights": [1.0]}))
    (tmp_path / "text.json").write_text("hello")
    return tmp_path


@pytest.fixture(scope="module")
def other_engine():
    there = There()
    yield there
    there.close()


def assert_answer(found, error, parts):
    """Assert that a mistake was answered by that exception, and by those words."""
    kind, message = found
    assert kind == error.__name__, found
    assert [x for x in parts if x not in message] == [], message


@pytest.mark.parametrize("text", TABLES)
def test_a_mistake_is_answered(text):
    error, *parts = TABLES[text]
    assert_answer(attempt(text), error, parts)


@pytest.mark.parametrize("text", PLOTS)
def test_a_mistake_in_plotting_is_answered(text):
    pytest.importorskip("matplotlib")
    error, *parts = PLOTS[text]
    assert_answer(attempt(text), error, parts)


@pytest.mark.parametrize("text", [*VALUES, *FUNCTIONS, *NETWORKS])
def test_the_other_engine_answers_it_too(text, other_engine, folder):
    error, *parts = TABLES[text]
    assert_answer(other_engine(attempt_in, str(folder), text), error, parts)


def attempt_in(folder, text):
    """The same in a folder."""
    os.chdir(folder)
    return attempt(text)


@pytest.mark.parametrize("text", WORKS)
def test_what_looks_like_a_mistake_works(text):
    assert attempt(text) == ("ok", WORKS[text])


def test_a_mistake_records_nothing_and_changes_nothing():
    v = Value(2.0)
    y = v * 3.0
    for wrong in ([1, 2], None, "a", {}, f"{v}", print):
        with pytest.raises(TypeError):
            v * wrong
        with pytest.raises(TypeError):
            wrong + v
    y.backward()
    assert (v.data, v.grad, y.data) == (2.0, 3.0, 6.0)


# --- what PyTorch's users write -----------------------------------------------


def test_none_clears_a_gradient():
    w = Value(3.0)
    for _ in range(2):
        (w * w).backward()
        assert w.grad == 6.0
        w.grad = None
        assert w.grad == 0.0
    optimizer = optim.SGD([w], lr=0.1)
    w.grad = None
    optimizer.step()
    assert w.data == 3.0


def test_a_type_that_knows_better_is_asked():
    class Vector(list):
        def __rmul__(self, x):
            return Vector(x * y for y in self)

        __rand__ = __rmatmul__ = __rmul__

    v = Value(2.0)
    assert [x.data for x in v * Vector([1.0, 2.0])] == [2.0, 4.0]
    assert [x.data for x in v @ Vector([1.0, 2.0])] == [2.0, 4.0]
    assert [x.data for x in v & Vector([1.0])] == [2.0]


def test_parts_are_there_without_an_import_of_their_own():
    code = "import miniflow; print(miniflow.nn.MLP(1, [1]), miniflow.optim.SGD.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "MLP of [Layer of [LinearNeuron(1)]] SGD\n"


# --- pictures of what is in a list ----------------------------------------------


def test_play_takes_what_draw_dot_takes(folder):
    v = Value(2.0, label="v")
    y = v * v
    pages = [
        viz.play(x, folder / f"{k}.html").read_text() for k, x in enumerate((y, [y], {"y": y}))
    ]
    assert pages[0] == pages[1] == pages[2]
    assert viz.draw_dot([y]).source == viz.draw_dot(y).source


# --- the command line -----------------------------------------------------------

PRODUCT = "not an expression: a product is written with *: "
COMMANDS = {
    "2x x=1": f"{PRODUCT}2*x",
    "2x": f"{PRODUCT}2*x",
    "3pi": f"{PRODUCT}3*pi",
    "2.5y y=1": f"{PRODUCT}2.5*y",
    "x²": "a power is written with **: x**2",
    "x^2 x=1": "a power is **",
    "2(x) x=1": "a product is written with *: 2*(...)",
    "√x": "a root is sqrt(x)",
    "|x|": "an absolute value is abs(x)",
    "x! x=1": "a factorial is gamma(x + 1)",
    "10% x=1": "write 0.1 for 10%",
    "x=1": "give what stands right of =",
    "x": "'x' has no value; add x=1.0",
    "x*y x=1": "'y' has no value; add y=1.0",
    "x x": "a variable must be name=number, as in a=2.5, got 'x'",
    "x x=1,5": "a variable must be name=number, as in a=2.5, got 'x=1,5'",
    "x x=1 y=2": "y= is given, but y is not in the expression",
    "x x=1 x=2": "x= is given twice",
    "ln(x) x=1": "no function 'ln'; it is called log here",
    "sinn(x) x=1": "no function 'sinn'; did you mean sin?",
    "math.sin(x) x=1": "functions are named alone, as in sin(x)",
    "sin(x x=1": "'(' was never closed",
    "x==2 x=1": "where(less(a, b), x, y) chooses",
    "other.json": "'other.json' is not a saved model",
    "none.json": "none.json: No such file or directory",
    "x x=1 -o a.docx": "--output must end in .svg, .png, .pdf, .dot, .gv or .html",
    "": "give an expression, or a model's file",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistake_at_the_command_line(command, capsys):
    assert main(command.split()) in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith("viz: ")
    assert COMMANDS[command] in said


@pytest.mark.parametrize(
    ("text", "answer"), {"sin x": "sin(x)", "x y": "x*y", "2 x": "2*x"}.items()
)
def test_a_missing_sign_is_named(text, answer, capsys):
    assert main([text, "x=1"]) == 2
    assert answer in capsys.readouterr().err


def test_there_are_two_hundred():
    assert len({*TABLES, *PLOTS, *COMMANDS}) >= 200
