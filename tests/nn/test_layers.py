"""Layers in plain and compiled calls, in batches, in diagrams; sequences; names and shapes."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import viz
from miniflow import Tape, Value, grad, jit, nn, no_grad, vmap
from miniflow.nn import Embedding, LayerNorm, Linear, Module, Sequential, Tanh
from miniflow.optim import Adam
from support.profiles import examples


def flat(tree):
    """The Values or numbers in nested lists."""
    return [x for part in tree for x in flat(part)] if isinstance(tree, (list, tuple)) else [tree]


def total(tree):
    """A number that depends on each in a nest, and on each in another way."""
    return sum((k + 1) * x for k, x in enumerate(flat(tree)))


# models, each with an input; what they return is a nest
MODELS = {
    "linear": (Linear(3, 2, seed=1), [0.5, -1.0, 2.0]),
    "no bias": (Linear(3, 2, bias=False, init="he", seed=1), [0.5, -1.0, 2.0]),
    "norm": (LayerNorm(3), [0.5, -1.0, 2.0]),
    "stack": (
        Sequential(Linear(3, 4, seed=1), LayerNorm(4), nn.GELU(), Linear(4, 1, seed=2)),
        [0.5, -1.0, 2.0],
    ),
    "softmax": (Sequential(Linear(3, 3, seed=1), nn.Softmax()), [0.5, -1.0, 2.0]),
    "rnn": (nn.RNN(2, 3, 2, seed=1), [[0.5, -1.0], [2.0, 0.25]]),
    "gru": (nn.GRU(2, 3, seed=1), [[0.5, -1.0], [2.0, 0.25]]),
    "lstm": (nn.LSTM(2, 2, 2, seed=1), [[0.5, -1.0], [2.0, 0.25]]),
}


@pytest.mark.parametrize("backend", ["tape", "native"])
@pytest.mark.parametrize(("model", "x"), MODELS.values(), ids=MODELS)
def test_compiled_answers_and_gradients_are_the_plain_ones(model, x, backend):
    def f(x):
        return total(model(x))

    value = f(x).data
    assert jit(f, backend=backend)(x) == value
    assert flat(jit(grad(f), backend=backend)(x)) == flat(grad(f)(x))
    model.zero_grad()
    f(x).backward()
    plain = [p.grad for p in model.parameters()]
    model.zero_grad()
    jit(f, backend=backend)(x).backward()  # one entry; parameters are live inputs
    assert [p.grad for p in model.parameters()] == pytest.approx(plain, rel=1e-13)
    for k, p in enumerate(model.parameters()):
        p.data += 0.25 * k
    assert jit(f, backend=backend)(x) == f(x).data != value


@pytest.mark.parametrize(("model", "x"), MODELS.values(), ids=MODELS)
def test_a_batch_is_its_elements(model, x):
    xs = np.array([np.array(x) * k for k in (0.5, 1.0, -1.5, 3.0, 0.1)])

    def f(x):
        return total(model(x.tolist()))

    with no_grad():
        found = vmap(f, precise=True)(xs)
        assert [float(y.data if isinstance(y, Value) else y) for y in found] == [
            f(row).data for row in xs
        ]


@pytest.mark.parametrize(("model", "x"), MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent_and_compute_the_same(model, x, clone):
    twin = clone(model)
    assert total(twin(x)).data == total(model(x)).data
    assert list(dict(twin.named_parameters())) == list(dict(model.named_parameters()))
    twin.load_state_dict(dict.fromkeys(twin.state_dict(), 0.5))
    if twin.parameters():
        assert total(twin(x)).data != total(model(x)).data


# --- embeddings -------------------------------------------------------------------


@given(i=st.integers(0, 4))
@examples(5)
def test_an_index_may_be_a_value_or_an_argument(i):
    table = Embedding(5, 3, seed=1)
    row = [w.data for w in table.weight[i]]
    for index in (i, float(i), np.int64(i), Value(float(i))):
        assert [y.data for y in table(index)] == row
    assert jit(lambda k: table(k))(i) == row
    looked_up = vmap(lambda k: table(k))(np.array([i, 0, 4, i]))
    with no_grad():
        assert np.array(looked_up).T.tolist()[0] == pytest.approx(row)
    table.zero_grad()
    total(table(Value(float(i)))).backward()
    expected = [[1.0, 2.0, 3.0] if k == i else [0.0] * 3 for k in range(5)]
    assert [[w.grad for w in row] for row in table.weight] == expected


@pytest.mark.parametrize("i", [5, -1, float("nan"), float("inf"), 10**9])
def test_an_index_that_there_is_not_is_refused_everywhere(i):
    table = Embedding(5, 3, seed=1)
    lookup = jit(lambda k: table(k))
    lookup(2)
    for call in (table, lookup, lambda k: table(Value(k)), lambda k: table([0, k])):
        with pytest.raises(IndexError, match="Embedding: there is no index"):
            call(i)
    with pytest.raises(TypeError, match="an index must be a whole number"):
        lookup(0.5)
    table(2)[0] = None  # a row is a list of its own
    assert table(2)[0] is table.weight[2][0]


# --- names, shapes, diagrams --------------------------------------------------------


def test_names_are_pytorchs():
    model = Sequential(Linear(1, 2), Tanh(), Sequential(nn.LSTM(2, 1), LayerNorm(1, bias=False)))
    assert list(model.state_dict(nested=True)) == [
        "0.weight", "0.bias", "2.0.weight_ih_l0", "2.0.weight_hh_l0", "2.0.bias_ih_l0",
        "2.0.bias_hh_l0", "2.1.weight",
    ]  # fmt: skip
    names = [name for name, _ in model.named_parameters()]
    assert names[:3] == ["0.weight.0.0", "0.weight.1.0", "0.bias.0"]
    assert {model.state_dict()[name] for name in names} == {p.data for p in model.parameters()}


def test_a_nested_state_is_loaded_from_lists_arrays_and_names():
    model = Linear(2, 2, seed=1)
    nested = model.state_dict(nested=True)
    for state in (nested, {k: np.array(x) for k, x in nested.items()}, model.state_dict()):
        twin = Linear(2, 2, seed=2)
        twin.load_state_dict(state)
        assert twin.state_dict() == model.state_dict()
    with pytest.raises(KeyError, match=r"missing weight\.1\.0, weight\.1\.1, unknown weight\.0\.2"):
        model.load_state_dict({**nested, "weight": [[1.0, 2.0, 3.0]]})
    assert model.state_dict(nested=True) == nested


SHAPES = [
    (nn.Neuron(3), (3, 1)), (nn.Layer(3, 2), (3, 2)), (nn.MLP(3, [5, 2]), (3, 2)),
    (Linear(3, 2), (3, 2)), (LayerNorm(3), (3, 3)), (Embedding(5, 2), (None, 2)),
    (nn.GRUCell(3, 2), (3, 2)), (nn.LSTM(3, 2, 2), (3, 2)), (Tanh(), (None, None)),
    (nn.Dropout(0.5, 3), (3, 3)), (Module(), (None, None)),
    (Sequential(Linear(3, 4), Tanh(), Linear(4, 2)), (3, 2)),
    (Sequential(Linear(3, 4), nn.Dropout()), (3, 4)), (Sequential(Tanh(), Linear(3, 4)), (3, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("model", "shape"), SHAPES, ids=lambda x: repr(x)[:30])
def test_shapes(model, shape):
    assert model.shape() == shape


def test_a_sequential_is_a_sequence():
    layers = Linear(2, 3, seed=1), Tanh(), Linear(3, 1, seed=2)
    model = Sequential(*layers)
    assert (len(model), list(model), model[0], model[-1]) == (3, list(layers), layers[0], layers[2])
    assert list(Sequential(list(layers))) == list(layers)
    assert isinstance(model([1.0, 2.0]), Value)
    assert model([1.0, 2.0]).data == layers[2](layers[1](layers[0]([1.0, 2.0]))).data


def test_diagrams_have_the_names():
    model = Sequential(Linear(2, 2, seed=1), Tanh(), nn.RNNCell(2, 1, seed=2))
    with Tape() as tape:
        (y,) = model([Value(1.0, label="x1"), Value(2.0, label="x2")])
    source = viz.draw_dot(y).source
    for name in ("0.weight.1.0", "0.bias.1", "2.weight_ih.0.1", "2.bias_hh.0"):
        assert name in source or name.partition(".")[2] in source
    assert {entry.op for entry in tape} == {"leaf", "constant", "dot", "add", "tanh"}
    assert "Sequential" in source


def test_forward_is_called_as_in_pytorch():
    class Doubled(Module):
        def __init__(self):
            super().__init__()
            self.inner = Linear(2, 1, seed=1)

        def forward(self, x):
            return 2.0 * self.inner(x)

    class Tripled(Doubled):
        def forward(self, x):
            return 1.5 * super().forward(x)

    class Squared(Module):
        def __call__(self, x):
            return self.forward(x) ** 2

    class Own(Squared):
        def forward(self, x):
            return 3.0 * x

    x = [1.0, 2.0]
    one = Linear(2, 1, seed=1)(x).data
    assert (Doubled()(x).data, Tripled()(x).data) == (2.0 * one, 3.0 * one)
    assert Own()(Value(2.0)).data == 36.0
    assert "Doubled" in viz.draw_dot(Doubled()(x)).source


# --- training ---------------------------------------------------------------------


def test_a_sequence_model_learns_to_remember():
    class Memory(Module):
        def __init__(self):
            self.cell, self.read = nn.GRU(1, 4, seed=1), Linear(4, 1, seed=2)

        def __call__(self, xs):
            outputs, _ = self.cell([[x] for x in xs])
            return self.read(outputs[-1])

    model = Memory()
    data = [([a, b, c], a) for a in (-1.0, 1.0) for b in (-1.0, 1.0) for c in (-1.0, 1.0)]
    optimizer, losses = Adam(model.parameters(), lr=0.05), []
    for _ in range(60):
        loss = nn.mse([model(x) for x, _ in data], [y for _, y in data])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
    assert losses[-1] < 0.05 < losses[0]


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_stack_is_its_cells_one_behind_the_other(kind):
    stack, xs = getattr(nn, kind)(2, 3, 2, seed=1), [[0.5, -1.0], [2.0, 0.25], [0.0, 1.0]]
    outputs, last = stack(xs)
    for cell in stack.cells:
        state, steps = None, []
        for x in xs:
            state = cell(x, state)
            steps.append(state[0] if kind == "LSTM" else state)
        xs = steps
    assert [v.data for v in flat(outputs)] == [v.data for v in flat(xs)]
    top = [last[0][1], last[1][1]] if kind == "LSTM" else last[1]
    assert [v.data for v in flat(top)] == [v.data for v in flat(state)]


@given(x=st.lists(st.floats(-5, 5), min_size=3, max_size=3), bias=st.booleans())
@examples(20)
def test_a_linear_is_its_formula(x, bias):
    layer = Linear(3, 2, bias, seed=1)
    s = layer.state_dict(nested=True)
    expected = [
        sum(w * v for w, v in zip(row, x, strict=True)) + s.get("bias", [0.0, 0.0])[k]
        for k, row in enumerate(s["weight"])
    ]
    assert [y.data for y in layer(x)] == pytest.approx(expected, rel=1e-14, abs=1e-14)


def test_states_are_checked():
    gru, lstm = nn.GRU(1, 2, 2, seed=1), nn.LSTM(1, 2, 2, seed=1)
    _, state = gru([[1.0]])
    assert [x.data for x in gru([[2.0]], state)[0][0]] == [
        x.data for x in gru([[1.0], [2.0]])[0][1]
    ]
    for wrong, said in (
        ([[1.0, 2.0]], "of 2 layers, got 1"),
        ([[1.0], [2.0]], "must be a list of 2"),
    ):
        with pytest.raises(ValueError, match=said):
            gru([[1.0]], wrong)
        with pytest.raises(ValueError, match=said):
            lstm([[1.0]], (wrong, wrong))
    for wrong in (3, [[0.0] * 2], ([[0.0] * 2] * 2,)):
        with pytest.raises(TypeError, match=r"LSTM: the state must be a pair \(h, c\)"):
            lstm([[1.0]], wrong)
    for wrong in (3, "ab", None):
        with pytest.raises(TypeError, match="GRU: xs must be a list of inputs"):
            gru(wrong)
