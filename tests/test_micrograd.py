"""Expressions, graphs and networks in micrograd's manner run with miniflow.Value, too.

The library itself is the judge. Its README example is taken from the installed
package; the other programs are written in the manner of its tests and notebooks.
"""

import importlib
import random
import re
from importlib.metadata import metadata
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support.notebook_cells import graph


def library(name):
    """`Value`, `Neuron`, `Layer`, `MLP`, wherever this library has them."""
    engine = importlib.import_module({"micrograd": "micrograd.engine"}.get(name, name))
    nn = importlib.import_module(f"{name}.nn")
    return SimpleNamespace(Value=engine.Value, Neuron=nn.Neuron, Layer=nn.Layer, MLP=nn.MLP)


BOTH = [library("micrograd"), library("miniflow")]
close = pytest.approx


def on_both(program, *arguments):
    """What a program answers with micrograd, and with miniflow."""
    return [program(imported, *arguments) for imported in BOTH]


# --- its README -----------------------------------------------------------------


def readme_example():
    body = metadata("micrograd")["Description"]  # also where importlib_metadata reads it
    return re.search(r"```python\n(from micrograd\.engine .*?)```", body, re.DOTALL)[1]


@pytest.mark.parametrize("package", ["micrograd.engine", "miniflow"])
def test_the_readme_example_prints_the_same(package, capsys):
    source = readme_example().replace("micrograd.engine", package)
    exec(source, {})
    printed = re.findall(r"# prints (\S+),", source)
    assert printed == ["24.7041", "138.8338", "645.5773"]
    assert capsys.readouterr().out.split() == printed


def test_the_readme_example_gives_the_same_numbers():
    found = []
    for package in ("micrograd.engine", "miniflow"):
        names = {}
        exec(readme_example().replace("micrograd.engine", package), names)
        found.append([(names[k].data, names[k].grad) for k in "abcdefg"])
    assert found[1] == [(close(x, rel=1e-12), close(g, rel=1e-12)) for x, g in found[0]]


# --- expressions, as in its tests -------------------------------------------------
# Small whole numbers and quarters: both libraries are exact, whatever they round.

UNARY = {
    "neg": lambda a: -a,
    "relu": lambda a: a.relu(),
    "square": lambda a: a**2,
    "cube": lambda a: a**3,
    "half": lambda a: a / 2,
    "twice": lambda a: 2 * a,
    "less one": lambda a: a - 1.0,
    "from one": lambda a: 1 - a,
}
BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}
STEP = st.tuples(st.sampled_from([*UNARY, *BINARY]), st.integers(0, 99), st.integers(0, 99))


def run(lib, leaves, steps):
    """Leaves and results of a straight-line program that may use any earlier result."""
    values = [lib.Value(x) for x in leaves]
    for name, i, j in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        values.append(UNARY[name](a) if name in UNARY else BINARY[name](a, b))
    return values


@given(
    leaves=st.lists(st.integers(-3, 3), min_size=1, max_size=3),
    steps=st.lists(STEP, min_size=1, max_size=9),
)
def test_random_expressions_are_micrograds_exactly(leaves, steps):
    theirs, ours = on_both(run, leaves, steps)
    # beyond, products of three or four of them would be rounded
    assume(all(abs(v.data) < 1e4 for v in theirs))
    for values in (theirs, ours):
        values[-1].backward()
    assert [v.data for v in ours] == [v.data for v in theirs]
    n = len(leaves)
    assert [v.grad for v in ours[:n]] == [close(v.grad, rel=1e-12) for v in theirs[:n]]


def divisions(lib, x, y, z):
    """Division, powers and assignment operators, where both libraries round."""
    a, b, c = lib.Value(x), lib.Value(y), lib.Value(z)
    d = a / b + c**-1 + 3.0 / (a * a + 1)
    d += 1 + d * 0.5
    d *= b**0.5 - c
    d -= a.relu() / 7
    d /= 1 + c**2
    d = sum([d, a, -b], c)
    d.backward()
    return [d.data, a.grad, b.grad, c.grad]


POSITIVE = st.floats(0.5, 4)


@given(x=st.floats(-4, 4), y=POSITIVE, z=POSITIVE)
def test_divisions_and_powers_are_micrograds(x, y, z):
    theirs, ours = on_both(divisions, x, y, z)
    # sums of a few terms of at most 50 may cancel
    assert ours == close(theirs, rel=1e-12, abs=1e-12)


# --- graphs: what its notebook draws ------------------------------------------------


def labelled(lib):
    a, b = lib.Value(2.0), lib.Value(-3.0)
    y = ((a * b).relu() + a) * b + b
    y.backward()
    nodes, edges = graph(y)
    # a label's text; + 0.0 since micrograd's gradients, being sums from 0, are never -0.0
    ids = {n: (f"{n.data:.4f}", f"{n.grad + 0.0:.4f}", n._op.lower()) for n in nodes}
    return sorted(ids.values()), sorted((ids[p], ids[q]) for p, q in edges)


def test_a_graph_has_the_same_nodes_and_edges():
    theirs, ours = on_both(labelled)
    assert [ours[0], ours[1]] == [theirs[0], theirs[1]]


def test_a_leaf_has_no_operation_and_no_inputs():
    for lib in BOTH:
        v = lib.Value(1.0)
        assert (v._op, v._prev, v.grad) == ("", set(), 0)


# --- networks, as in its demo ----------------------------------------------------------


def neuron(lib):
    random.seed(3)
    n = lib.Neuron(2)
    x = [lib.Value(1.0), lib.Value(-2.0)]
    y = n(x)
    y.backward()
    return repr(n), y.data, [p.data for p in n.parameters()], [v.grad for v in n.parameters() + x]


def test_a_neuron_is_micrograds():
    theirs, ours = on_both(neuron)
    assert ours[0] == theirs[0]
    assert [*ours[1:]] == [close(theirs[1]), theirs[2], close(theirs[3])]


def moons(n, seed):
    """Two interleaving half circles with some noise, and labels of -1 and 1."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0, np.pi, n)
    y = np.arange(n) % 2
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    x = np.where(y[:, None] == 1, [1, 0.5] - x, x)
    return x + rng.normal(0, 0.1, x.shape), y * 2 - 1


def train(lib, steps=3):
    """The demo: max-margin loss and L2 regularisation, all of the batch at each step."""
    random.seed(1337)
    model = lib.MLP(2, [16, 16, 1])
    rows, labels = moons(20, seed=1337)
    history = []
    for k in range(steps):
        inputs = [list(map(lib.Value, row)) for row in rows]
        scores = list(map(model, inputs))
        margins = [(1 + -label * score).relu() for label, score in zip(labels, scores, strict=True)]
        data_loss = sum(margins) * (1.0 / len(margins))
        penalty = 1e-4 * sum(p * p for p in model.parameters())
        loss = data_loss + penalty
        right = [(t > 0) == (s.data > 0) for t, s in zip(labels, scores, strict=True)]
        model.zero_grad()
        loss.backward()
        rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= rate * p.grad
        gradients = [p.grad for p in model.parameters()]
        history.append((sum(right) / len(right), loss.data, gradients))
    return repr(model), len(model.parameters()), history


def test_the_demo_trains_alike():
    theirs, ours = on_both(train)
    assert ours[:2] == theirs[:2]
    assert ours[1] == 337
    for (accuracy, loss, gradients), expected in zip(ours[2], theirs[2], strict=True):
        assert accuracy == expected[0]
        assert loss == close(expected[1], rel=1e-12)
        largest = max(map(abs, expected[2]))
        assert gradients == close(expected[2], rel=1e-12, abs=1e-12 * largest)


def kept(lib):
    """Gradients add up over calls of backward, until zero_grad."""
    random.seed(5)
    model = lib.MLP(2, [4, 1])
    for x in ([1.0, 2.0], [-1.0, 0.5]):
        model(x).backward()
    summed = [p.grad for p in model.parameters()]
    model.zero_grad()
    return summed, [p.grad for p in model.parameters()]


def test_gradients_accumulate_alike():
    theirs, ours = on_both(kept)
    assert ours == (close(theirs[0], rel=1e-12), theirs[1])


def subclass(lib):
    """A module of one's own, with micrograd's way of listing parameters."""
    module = importlib.import_module(f"{lib.Neuron.__module__}").Module

    class Scale(module):
        def __init__(self):
            self.factors = [lib.Value(2.0), lib.Value(-1.0)]

        def __call__(self, x):
            return sum((f * v for f, v in zip(self.factors, x, strict=True)), lib.Value(0.0))

        def parameters(self):
            return self.factors

    scale = Scale()
    y = scale([3.0, 4.0])
    y.backward()
    before = [p.grad for p in scale.parameters()]
    scale.zero_grad()
    return y.data, before, [p.grad for p in scale.parameters()]


def test_modules_of_ones_own_work_alike():
    theirs, ours = on_both(subclass)
    assert ours == theirs
