"""Dropout: what it drops, in plain calls and in compiled ones; noise; the two modes."""

import copy
import pickle
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, grad, hessian, jit, nn, trace, value_and_grad, vmap
from miniflow.nn import Dropout, Linear, Module, Sequential, Tanh
from support.profiles import examples

PROBABILITY = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])
NUMBER = st.floats(-3, 3)


def data(ys):
    return [y.data for y in ys]


def model(p=0.5):
    return Sequential(
        Linear(2, 4, seed=1), Tanh(), Dropout(p, seed=2), Linear(4, 3, seed=3), Dropout(p, seed=4),
        Linear(3, 1, seed=5),
    )  # fmt: skip


# --- plain calls ------------------------------------------------------------------


@given(xs=st.lists(NUMBER, min_size=1, max_size=6), p=PROBABILITY, seed=st.integers(0, 99))
def test_numbers_are_dropped_or_grow(xs, p, seed):
    layer, values = Dropout(p, seed=seed), [Value(x) for x in xs]
    ys = layer(values)
    rng = random.Random(seed)
    kept = [p == 0 or rng.random() >= p for _ in xs]
    grown = 1 / (1 - p) if p < 1 else 0.0
    assert data(ys) == [x * grown if k else 0.0 for x, k in zip(xs, kept, strict=True)]
    sum(ys, Value(0.0)).backward()
    assert [v.grad for v in values] == [grown if k else 0.0 for k in kept]


@given(p=st.floats(0.05, 0.95))
@examples(5)
def test_as_many_are_dropped_as_p_says(p):
    dropped = data(Dropout(p, seed=1)([1.0] * 2000)).count(0.0)
    assert abs(dropped - 2000 * p) < 5 * (2000 * p * (1 - p)) ** 0.5


def test_what_is_infinite_or_nan_and_dropped_is_gone():
    layer = Dropout(1.0)
    assert data(layer([float("inf"), float("nan")])) == [0.0, 0.0]


def test_a_seed_reproduces_what_is_dropped():
    one, two = Dropout(0.5, seed=7), Dropout(0.5, seed=7)
    first = [data(one([1.0] * 9)) for _ in range(5)]
    assert first == [data(two([1.0] * 9)) for _ in range(5)]
    assert len(set(map(tuple, first))) == 5
    random.seed(3)
    here = data(Dropout()([1.0] * 9))
    random.seed(3)
    assert data(Dropout()([1.0] * 9)) == here
    assert len(data(Dropout(seed=np.random.default_rng(1))([1.0] * 9))) == 9


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_a_mode_of_its_own(clone):
    first = model()
    twin = clone(first)
    twin.eval()
    assert twin([1.0, 2.0]).data == twin([1.0, 2.0]).data
    assert (first.training, twin.training) == (True, False)
    assert len(first.parameters()) == len(twin.parameters()) > 0


# --- modes ------------------------------------------------------------------------


def test_modes_go_down_to_every_module():
    class Own(Module):
        def __init__(self):
            self.parts = {"a": [Dropout()], "b": (Sequential(Dropout(), Tanh()), self)}

    own = Own()
    assert own.eval() is own
    assert [m.training for m in own.modules()] == [False] * 5
    assert own.train() is own
    assert [m.training for m in own.modules()] == [True] * 5
    own.parts["a"][0].training = False
    assert data(own.parts["a"][0]([1.0, 2.0])) == [1.0, 2.0]


def test_a_mode_is_no_parameter_and_no_state():
    assert len(model().parameters()) == 12 + 15 + 4
    assert model().state_dict() == model().eval().state_dict()


# --- noise ------------------------------------------------------------------------


def test_noise_is_as_long_as_a_call_needs():
    net = model()
    assert len(nn.noise(net, random.Random(1))) == 7 == len(nn.noise(net, 1, [1.0, 2.0]))
    assert nn.noise(net, 1) == nn.noise(net, random.Random(1))
    assert nn.noise(net, np.random.default_rng(1))[0] == np.random.default_rng(1).random()
    assert nn.noise(net.eval()) == nn.noise(nn.MLP(2, [3])) == nn.noise(model(0.0)) == []
    assert nn.noise(net, 1, [1.0, 2.0]) == []


class Twice(Module):
    """A model that calls one Dropout two times, and does not know its size."""

    def __init__(self):
        self.drop = Dropout(0.5, seed=1)

    def __call__(self, x):
        return sum(self.drop(self.drop(x)))


def test_a_call_counts_where_sizes_do_not_tell():
    with pytest.raises(
        ValueError, match=r"noise: a Dropout does not know .*noise\(model, rng, x\)"
    ):
        nn.noise(Twice(), 1)
    assert len(nn.noise(Twice(), 1, [1.0, 2.0, 3.0])) == 6
    assert len(nn.noise(Dropout(0.5, 4), 1)) == 4


def test_noise_is_taken_in_order():
    net, numbers = model(), [0.9, 0.1, 0.6, 0.4, 0.2, 0.7, 0.8]
    with nn.with_noise(net, numbers):
        found = net([1.0, -1.0]).data
    hidden = [
        2.0 * y.data if u >= 0.5 else 0.0
        for y, u in zip(net[1](net[0]([1.0, -1.0])), numbers, strict=False)
    ]
    hidden = [
        2.0 * y.data if u >= 0.5 else 0.0 for y, u in zip(net[3](hidden), numbers[4:], strict=True)
    ]
    assert found == net[5](hidden).data


@pytest.mark.parametrize(("count", "said"), [(6, "there are 6 random numbers"), (8, "1 of 8")])
def test_too_few_and_too_many_are_told(count, said):
    net = model()
    with pytest.raises(ValueError, match=f"with_noise: {said}"), nn.with_noise(net, [0.5] * count):
        net([1.0, 2.0])
    assert net([1.0, 2.0]).op == "add"  # and draws for itself again


def test_blocks_nest_and_belong_to_their_models():
    one, two = Dropout(0.5), Dropout(0.5)
    with nn.with_noise(one, [0.1, 0.9]), nn.with_noise(two, [0.9, 0.1]):
        assert data(one([1.0, 1.0])) == [0.0, 2.0]
        assert data(two([1.0, 1.0])) == [2.0, 0.0]
    with pytest.raises(TypeError, match="noise: model must be a Module, got int 3"):
        nn.noise(3)
    for wrong in (3, "ab", None):
        with (
            pytest.raises(TypeError, match="with_noise: numbers must be a list"),
            nn.with_noise(one, wrong),
        ):
            pass
    with pytest.raises(TypeError, match="Dropout: training must be True or False, got int 1"):
        one.training = 1


# --- compiled ---------------------------------------------------------------------

NET = model()


def loss(x, y, noise):
    with nn.with_noise(NET, noise):
        return (NET(x) - y) ** 2


@pytest.mark.parametrize("backend", ["tape", "native"])
def test_compiled_answers_are_the_plain_ones(backend):
    compiled, slopes = jit(loss, backend=backend), jit(grad(loss), backend=backend)
    found = set()
    for k in range(20):
        noise, x = nn.noise(NET, k), [0.3 * k, -1.0]
        assert compiled(x, 1.0, noise) == loss(x, 1.0, noise).data
        assert slopes(x, 1.0, noise) == grad(loss)(x, 1.0, noise)
        found.add(compiled([1.0, 2.0], 1.0, noise))
    assert len(found) > 5  # nothing is frozen


def test_a_batch_has_noise_of_its_own_for_each_element():
    xs = np.linspace(-1.0, 1.0, 22).reshape(11, 2)
    noise = np.array([nn.noise(NET, k) for k in range(11)])
    f = vmap(value_and_grad(loss), in_axes=(0, None, 0), precise=True)
    values, slopes = f(xs, 1.0, noise)
    for k in range(11):
        value, slope = value_and_grad(loss)(list(xs[k]), 1.0, list(noise[k]))
        assert values[k] == value
        assert list(slopes[k]) == pytest.approx(slope, rel=1e-14)


@pytest.mark.parametrize("transform", [jit, trace, vmap, lambda f: jit(grad(f))])
def test_without_noise_a_compiled_function_is_refused(transform):
    net = model()
    call = (lambda f, x: trace(f, x)) if transform is trace else lambda f, x: transform(f)(x)
    x = np.ones((3, 2)) if transform is vmap else [1.0, 2.0]
    with pytest.raises(RuntimeError, match=r"Dropout: a compiled .*nn\.noise\(model, rng\)"):
        call(lambda x: net(x), x)
    net.eval()
    call(lambda x: net(x), x)
    with pytest.raises(RuntimeError, match="train: a compiled function cannot set the mode"):
        call(lambda x: net.train()(x), x)
    assert not net.training


@pytest.mark.parametrize("backend", ["tape", "native"])
def test_a_compiled_function_follows_the_mode(backend):
    net = model()
    answer = jit(lambda x: net(x), backend=backend)
    net.eval()
    calm = answer([1.0, 2.0])
    assert calm == net([1.0, 2.0]).data
    net.train()
    with pytest.raises(RuntimeError, match="Dropout"):
        answer([1.0, 2.0])
    net.eval()
    assert answer([1.0, 2.0]) == calm

    def noisy(x, noise):
        with nn.with_noise(net, noise):
            return net(x)

    compiled = jit(noisy, backend=backend)
    noise = [0.1, 0.9] * 3 + [0.1]
    net.train()
    wild = compiled([1.0, 2.0], noise)
    assert wild == noisy([1.0, 2.0], noise).data != calm
    net.eval()
    assert compiled([1.0, 2.0], noise) == calm == compiled([1.0, 2.0], [])
    net.train()
    assert compiled([1.0, 2.0], noise) == wild


def test_derivatives_without_compiling_draw_for_themselves():
    layer = Dropout(0.5, seed=1)
    assert set(grad(lambda xs: sum(layer(xs)))([1.0] * 40)) == {0.0, 2.0}
    one = hessian(lambda xs, u: loss(xs, 0.0, u))([1.0, 2.0], nn.noise(NET, 3))
    assert one[0][1] == one[1][0] != 0.0
