"""Layers against PyTorch's, their states carried over; and against formulas on plain floats."""

import math as std

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import nn
from support.profiles import examples

SIZE = st.integers(1, 4)
NUMBER = st.floats(-3, 3)
CELLS = ["RNNCell", "GRUCell", "LSTMCell"]
STACKS = ["RNN", "GRU", "LSTM"]


def rows(data, count, size):
    """Some inputs."""
    row = st.lists(NUMBER, min_size=size, max_size=size)
    return data.draw(st.lists(row, min_size=count, max_size=count))


def plain(tree):
    """Numbers for Values."""
    if isinstance(tree, (list, tuple)):
        return [plain(x) for x in tree]
    return getattr(tree, "data", tree)


def flat(tree):
    return [x for part in tree for x in flat(part)] if isinstance(tree, list) else [tree]


def close(found, expected):
    return flat(plain(found)) == pytest.approx(flat(expected), rel=1e-12, abs=1e-14)


# --- PyTorch --------------------------------------------------------------------


def twins(theirs, ours):
    """PyTorch's module in float64, and ours with its state."""
    theirs = theirs.double()
    ours.load_state_dict(theirs.state_dict())
    assert {name: x.tolist() for name, x in theirs.state_dict().items()} == ours.state_dict(
        nested=True
    )
    return theirs, ours


def same_gradients(theirs, ours, their_loss, our_loss):
    """Whether the derivatives of a loss by all parameters agree, those of one name each."""
    their_loss.backward()
    ours.zero_grad()
    our_loss.backward()
    expected = {name: p.grad.tolist() for name, p in theirs.named_parameters()}
    found = dict(ours.named_parameters())
    return all(
        p.grad == pytest.approx(at(expected, name), rel=1e-11, abs=1e-13)
        for name, p in found.items()
    )


def at(nested, name):
    """The number of a nested state by its name."""
    key = next(key for key in nested if name == key or name.startswith(f"{key}."))
    x = nested[key]
    for place in filter(None, name.removeprefix(key).split(".")):
        x = x[int(place)]
    return x


@pytest.mark.parametrize("kind", CELLS)
@given(data=st.data(), nin=SIZE, nhidden=SIZE, bias=st.booleans())
@examples(12)
def test_cells_are_pytorchs(kind, data, nin, nhidden, bias):
    torch = pytest.importorskip("torch")
    theirs, ours = twins(
        getattr(torch.nn, kind)(nin, nhidden, bias), getattr(nn, kind)(nin, nhidden, bias)
    )
    state = their_state = None
    for x in rows(data, 3, nin):
        their_state = theirs(torch.tensor(x, dtype=torch.float64), their_state)
        state = ours(x, state)
    hidden, their_hidden = (
        (state[0], their_state[0]) if kind == "LSTMCell" else (state, their_state)
    )
    assert close(hidden, their_hidden.tolist())
    assert same_gradients(theirs, ours, their_hidden.sum(), sum(hidden))


@pytest.mark.parametrize("kind", STACKS)
@given(data=st.data(), nin=SIZE, nhidden=SIZE, layers=st.integers(1, 3), bias=st.booleans())
@examples(12)
def test_stacks_are_pytorchs(kind, data, nin, nhidden, layers, bias):
    torch = pytest.importorskip("torch")
    theirs, ours = twins(
        getattr(torch.nn, kind)(nin, nhidden, layers, bias=bias),
        getattr(nn, kind)(nin, nhidden, layers, bias=bias),
    )
    state = their_state = None
    for _ in range(2):
        xs = rows(data, 2, nin)
        their_out, their_state = theirs(torch.tensor(xs, dtype=torch.float64), their_state)
        out, state = ours(xs, state)
    assert close(out, their_out.tolist())
    last = [x.tolist() for x in their_state] if kind == "LSTM" else their_state.tolist()
    assert close(state, last)
    assert same_gradients(theirs, ours, their_out.sum(), sum(sum(row) for row in out))


@given(data=st.data(), nin=SIZE, nhidden=st.integers(2, 4), nout=st.integers(1, 3))
@examples(12)
def test_a_stack_of_layers_is_pytorchs(data, nin, nhidden, nout):
    torch = pytest.importorskip("torch")

    def built(n):
        return n.Sequential(
            n.Linear(nin, nhidden),
            n.LayerNorm(nhidden),
            n.Tanh(),
            n.Sequential(n.Linear(nhidden, nhidden, bias=False), n.GELU(), n.Dropout(0.5)),
            n.Linear(nhidden, nout),
        )

    theirs, ours = twins(built(torch.nn).eval(), built(nn).eval())
    (x,) = rows(data, 1, nin)
    their_out, out = theirs(torch.tensor(x, dtype=torch.float64)), ours(x)
    out = out if nout > 1 else [out]
    assert flat(plain(out)) == pytest.approx(their_out.tolist(), rel=1e-9, abs=1e-12)
    assert same_up_to(theirs, ours, their_out.sum(), sum(out))


def same_up_to(theirs, ours, their_loss, our_loss):
    """As `same_gradients`; where a variance is small, LayerNorm multiplies rounding."""
    their_loss.backward()
    our_loss.backward()
    expected = {name: p.grad.tolist() for name, p in theirs.named_parameters()}
    return all(
        p.grad == pytest.approx(at(expected, name), rel=1e-7, abs=1e-9)
        for name, p in ours.named_parameters()
    )


ACTIVATIONS = {
    "Identity": (), "ReLU": (), "Tanh": (), "Sigmoid": (), "SiLU": (), "GELU": (), "Softplus": (),
    "LogSigmoid": (), "LeakyReLU": (0.2,), "ELU": (0.7,), "Softmax": (0,), "LogSoftmax": (0,),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(xs=st.lists(NUMBER, min_size=1, max_size=4))
@examples(12)
def test_activations_are_pytorchs(name, xs):
    torch = pytest.importorskip("torch")
    options = ACTIVATIONS[name]
    theirs = getattr(torch.nn, name)(*options)(torch.tensor(xs, dtype=torch.float64))
    ours = getattr(nn, name)(*(() if "Softmax" in name else options))
    assert flat(plain(ours(xs))) == pytest.approx(theirs.tolist(), rel=1e-12, abs=1e-14)
    if len(xs) == 1:
        assert ours(xs[0]).data == ours(xs)[0].data


@given(data=st.data(), count=SIZE, size=SIZE)
@examples(12)
def test_an_embedding_is_pytorchs(data, count, size):
    torch = pytest.importorskip("torch")
    theirs, ours = twins(torch.nn.Embedding(count, size), nn.Embedding(count, size))
    indices = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=4))
    assert plain(ours(indices)) == theirs(torch.tensor(indices)).tolist()
    assert plain(ours(indices[0])) == theirs(torch.tensor(indices[0])).tolist()


@given(nin=st.integers(1, 6), nout=st.integers(1, 6))
@examples(12)
def test_what_draws_as_pytorch_does_keeps_its_bounds(nin, nout):
    torch = pytest.importorskip("torch")
    theirs, ours = torch.nn.Linear(nin, nout), nn.Linear(nin, nout)
    bound = 1 / std.sqrt(nin)
    assert all(p.abs().max() <= bound for p in theirs.parameters())
    assert all(abs(p.data) <= bound for p in ours.parameters())
    cell = nn.GRUCell(nin, nout)
    assert all(abs(p.data) <= 1 / std.sqrt(nout) for p in cell.parameters())


# --- formulas on plain floats ---------------------------------------------------


def sigmoid(x):
    return 1 / (1 + std.exp(-x))


def affine(w, b, x):
    return [dot(r, x) + c for r, c in zip(w, b, strict=True)]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def reference(kind, s, x, state):
    """One step of a cell, as its papers write it, on floats."""
    a, b = affine(s["weight_ih"], s["bias_ih"], x), affine(s["weight_hh"], s["bias_hh"], state[0])
    n = len(state[0])
    part = lambda v, k: v[k * n : (k + 1) * n]  # noqa: E731
    if kind == "RNNCell":
        return [[std.tanh(p + q) for p, q in zip(a, b, strict=True)]]
    gate = lambda k, f: [f(p + q) for p, q in zip(part(a, k), part(b, k), strict=True)]  # noqa: E731
    if kind == "GRUCell":
        r, z = gate(0, sigmoid), gate(1, sigmoid)
        new = [std.tanh(part(a, 2)[k] + r[k] * part(b, 2)[k]) for k in range(n)]
        return [[(1 - z[k]) * new[k] + z[k] * state[0][k] for k in range(n)]]
    i, f, g, o = gate(0, sigmoid), gate(1, sigmoid), gate(2, std.tanh), gate(3, sigmoid)
    c = [f[k] * state[1][k] + i[k] * g[k] for k in range(n)]
    return [[o[k] * std.tanh(c[k]) for k in range(n)], c]


@pytest.mark.parametrize("kind", CELLS)
@given(data=st.data(), nin=SIZE, nhidden=SIZE, seed=st.integers(0, 99))
@examples(20)
def test_cells_are_their_formulas(kind, data, nin, nhidden, seed):
    cell = getattr(nn, kind)(nin, nhidden, seed=seed)
    s = cell.state_dict(nested=True)
    expected, state = [[0.0] * nhidden] * 2, None
    for x in rows(data, 3, nin):
        expected, state = reference(kind, s, x, expected), cell(x, state)
    assert close(state if kind == "LSTMCell" else [state], expected)


@given(data=st.data(), size=st.integers(2, 5))
@examples(20)
def test_a_layer_norm_is_its_formula(data, size):
    (x,) = rows(data, 1, size)
    layer = nn.LayerNorm(size)
    for k, p in enumerate(layer.parameters()):
        p.data = 0.5 + k
    mean = std.fsum(x) / size
    spread = std.sqrt(std.fsum((v - mean) ** 2 for v in x) / size + 1e-5)
    expected = [(v - mean) / spread * (0.5 + k) + 0.5 + size + k for k, v in enumerate(x)]
    assert flat(plain(layer(x))) == pytest.approx(expected, rel=1e-11, abs=1e-11)
