"""The short way of a sum over a batch by captured Values: the long way's numbers, bit for bit."""

import threading
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, math, nn, no_grad, optim, vmap
from miniflow.compiled.evaluators import PATIENCE
from miniflow.native import machine
from miniflow.tape.core import here
from support.bits import bits

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(not machine.available(), reason="there is no llvmlite"),
]

LOSSES = {
    "square": lambda ws, x, y: (ws[0] * x + ws[1] - y) ** 2,
    "selects": lambda ws, x, y: math.relu(ws[0] * x) + abs(ws[1] - y) + math.maximum(ws[2], x),
    "functions": lambda ws, x, y: (
        math.exp(ws[0] * x) * math.tanh(ws[1]) / (2 + math.sin(ws[2] * y))
    ),
    "none of some": lambda ws, x, y: ws[0] * x * y + 0.0 * ws[2],
}
NUMBERS = st.one_of(st.floats(-3, 3), st.sampled_from([0.0, -0.0, 1e300, 5e-324, inf, nan]))


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nothing is made in the background."""
    monkeypatch.setattr("miniflow.compiled.sums.in_background", lambda job: job())


def pair(loss, ws, reduce="mean"):
    """A `vmap` that goes the short way for arrays, and one that never does."""
    x = np.array([1.0, 2.0])
    both = [vmap(lambda x, y: loss(ws, x, y), reduce=reduce) for _ in range(2)]
    for _ in range(PATIENCE):
        both[0](x, x)
    assert both[0].quick
    assert not both[1].quick
    both[1]._hasten = lambda *_: None
    return both


def told(y, ws, seed=1.0):
    """The value of a sum and the gradients that it gives."""
    for w in ws:
        w.grad = None
    y.backward(seed)
    return bits([y.data, *[w.grad for w in ws]])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_the_long_way_bit_for_bit(name, reduce):
    ws = [Value(1.0), Value(1.0), Value(1.0)]
    quick, slow = pair(LOSSES[name], ws, reduce)
    same_ways(ws, quick, slow)


@given(st.data())
def same_ways(ws, quick, slow, data):
    for w, x in zip(ws, data.draw(st.tuples(*[NUMBERS] * 3)), strict=True):
        w.data = x
    rows = data.draw(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20))
    x, y = np.array(rows).T.copy()
    seed = data.draw(st.sampled_from([1.0, -2.5, 0.0, inf, nan]))
    assert told(quick(x, y), ws, seed) == told(slow(x, y), ws, seed)


def test_it_goes_the_short_way(monkeypatch):
    ws = [Value(0.5), Value(2.0), Value(1.0)]
    quick, _ = pair(LOSSES["square"], ws)
    x = np.array([1.0, 2.0])
    monkeypatch.setattr("miniflow.compiled.vmap.BatchArguments", None)
    monkeypatch.setattr("miniflow.compiled.sums.BatchArguments", None)
    told(quick(x, x), ws)


def test_what_is_computed_from_a_sum():
    ws = [Value(0.5), Value(2.0), Value(1.0)]
    quick, slow = pair(LOSSES["functions"], ws)
    x, y = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3])
    found = [told(f(x, y) * ws[0] + math.exp(f(y, x)), ws) for f in (quick, slow)]
    assert found[0] == found[1]


def test_computed_values_that_are_captured():
    w = Value(0.5)
    ws = [w * 2.0, Value(2.0), math.exp(w)]
    quick, slow = pair(LOSSES["functions"], ws)
    x = np.array([1.0, 2.0, 3.0])
    assert told(quick(x, x), [w]) == told(slow(x, x), [w])


def test_derivatives_of_derivatives():
    ws = [Value(0.5), Value(2.0), Value(1.0)]
    quick, slow = pair(LOSSES["functions"], ws)
    x = np.array([1.0, 2.0, 3.0])
    found = []
    for f in (quick, slow):
        with Tape() as tape:
            y = f(x, x)
            slope = tape.gradient(y, ws[0])
            found.append(bits(tape.gradient(slope, ws)))
    assert found[0] == found[1]


def test_replayed_at_other_numbers():
    ws = [Value(0.5), Value(2.0), Value(1.0)]
    quick, slow = pair(LOSSES["functions"], ws)
    x = np.array([1.0, 2.0, 3.0])
    found = []
    for f in (quick, slow):
        ws[0].data = 0.5
        y = f(x, x)
        ws[0].data = 0.75
        with pytest.raises(RuntimeError, match="set"):
            y.backward()
        found.append(told(y.forward(), ws))
    assert found[0] == found[1]


def test_arrays_that_change_after_the_call():
    ws = [Value(0.5), Value(2.0), Value(1.0)]
    quick, slow = pair(LOSSES["functions"], ws)
    found = []
    for f in (quick, slow):
        x = np.array([1.0, 2.0, 3.0])
        y = f(x, x)
        x[:] = 0.0
        ws[1].data = 2.5
        found.append(told(y.forward(), ws))
        ws[1].data = 2.0
    assert found[0] == found[1]


def test_other_arguments_take_the_long_way():
    ws = [Value(0.5), Value(2.0), Value(1.0)]
    quick, slow = pair(LOSSES["square"], ws)
    x = np.array([1.0, 2.0, 3.0])
    for args in ((x.astype("float32"), x), (x[::-1], x), (np.array([1, 2, 3]), x)):
        assert told(quick(*args), ws) == told(slow(*args), ws)
    assert told(quick(x, y=x), ws) == told(slow(x, x), ws)
    with pytest.raises(ValueError, match="batches of 3 and of 2 elements"):
        quick(x, x[:2])


def test_muted_it_is_a_number():
    ws = [Value(0.5), Value(2.0), Value(1.0)]
    quick, _ = pair(LOSSES["square"], ws)
    x = np.array([1.0, 2.0, 3.0])
    with no_grad():
        assert type(quick(x, x)) is float


def test_another_threads_leaves():
    ws = [Value(0.5), Value(2.0), Value(1.0)]
    quick, slow = pair(LOSSES["square"], ws)
    x, found = np.array([1.0, 2.0, 3.0]), []
    thread = threading.Thread(target=lambda: found.append(told(quick(x, x), ws)))
    thread.start()
    thread.join()
    assert found == [told(slow(x, x), ws)]


def test_steps_of_a_training_are_the_same():
    """A network that learns: by the short way, by the long way, and without `vmap`."""
    rng = np.random.default_rng(3)
    x, y, found = rng.normal(size=(20, 2)), rng.normal(size=20), []
    for short in (True, False):
        model = nn.MLP(2, [4, 1], seed=1)
        adam = optim.Adam(model.parameters(), lr=0.01)
        loss = vmap(lambda x, y, model=model: (model(x) - y) ** 2, reduce="mean")
        if not short:
            loss._hasten = lambda *_: None
        for _ in range(40):
            adam.zero_grad()
            loss(x, y).backward()
            adam.step()
        assert bool(loss.quick) == short
        found.append(bits([p.data for p in model.parameters()]))
    assert found[0] == found[1]


def test_sums_that_are_over_leave_nothing_on_the_tape():
    ws = [Value(0.5), Value(2.0), Value(1.0)]
    quick, _ = pair(LOSSES["square"], ws)
    x = np.array([1.0, 2.0, 3.0])
    told(quick(x, x), ws)
    before = here.table.count, len(here.table.others)
    for _ in range(1000):
        told(quick(x, x), ws)
    after = here.table.count, len(here.table.others)
    if hasattr(here.table, "shed_last"):
        assert after == before
    kept = [quick(x, x) for _ in range(3)]  # those that are kept stay
    assert len({v.data for v in kept}) == 1
    assert [told(v, ws) for v in kept] == [told(quick(x, x), ws)] * 3


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("kind", ["f8", "f4", "i2", ">f8", "bool", "O"])
def test_arrays_of_all_kinds_along_any_axis(kind, axis, reduce):
    """What it is divided by is the number of elements, wherever that stands."""
    ws = [Value(0.5), Value(-1.25)]
    rows = np.arange(10.0).reshape(5, 2)
    rows = (rows > 4 if kind == "bool" else rows).astype(kind)
    given = rows if axis == 0 else np.asfortranarray(rows.T)

    def loss(x):
        return (ws[0] * x[0] + ws[1] * x[1] - 1) ** 2

    quick, slow = vmap(loss, axis, reduce), vmap(loss, 0, reduce)
    slow._hasten = lambda *_: None
    for _ in range(PATIENCE + 1):
        quick(given)
    assert quick.quick
    assert told(quick(given), ws) == told(slow(rows.astype(float)), ws)
