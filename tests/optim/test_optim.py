"""Optimisers: against PyTorch's, and against their papers' formulas."""

import math
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value
from miniflow.nn import MLP
from miniflow.optim import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
)

EVERY = [SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, Adamax, NAdam, RAdam]
RATE = st.floats(0, 1)
BETA = st.floats(0, 0.999)
NUMBER = st.floats(-100, 100)
WALK = st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=12)  # gradients of 2 parameters


@dataclass
class Weight:
    """Anything with .data and .grad can be optimised."""

    data: float
    grad: float = 0.0


def walk(optimizer, gradients):
    """The parameters after each step with these gradients."""
    path = []
    for gs in gradients:
        for p, g in zip(optimizer.parameters, gs, strict=True):
            p.grad = g
        optimizer.step()
        path.append([p.data for p in optimizer.parameters])
    return path


# --- the formulas, for one parameter and in closed form -----------------------
# What is a recursion in miniflow is here a sum over all past gradients.


def sgd_path(start, gradients, lr, momentum, weight_decay):
    path, slopes = [start], []
    for g in gradients:
        slopes.append(g + weight_decay * path[-1])
        velocity = math.fsum(momentum ** (len(slopes) - 1 - k) * s for k, s in enumerate(slopes))
        path.append(path[-1] - lr * velocity)
    return path[1:]


def moment(beta, numbers):
    """The bias-corrected moving average: the weights beta**age, made to sum to 1."""
    weights = [beta ** (len(numbers) - 1 - k) for k in range(len(numbers))]
    return math.fsum(map(math.prod, zip(weights, numbers, strict=True))) / math.fsum(weights)


def adam_path(start, gradients, lr, betas, eps, weight_decay, decoupled):
    path, slopes = [start], []
    for g in gradients:
        p = path[-1]
        slopes.append(g if decoupled else g + weight_decay * p)
        shrunk = p - lr * weight_decay * p if decoupled else p
        spread = math.sqrt(moment(betas[1], [s * s for s in slopes]))
        path.append(shrunk - lr * moment(betas[0], slopes) / (spread + eps))
    return path[1:]


def close(path):
    return [pytest.approx(point, rel=1e-9, abs=1e-9) for point in path]


@given(start=NUMBER, walk_=WALK, lr=RATE, momentum=st.floats(0, 1), weight_decay=RATE)
def test_sgd_is_the_sum_of_past_gradients(start, walk_, lr, momentum, weight_decay):
    options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    path = walk(SGD([Value(start), Weight(1.0)], **options), walk_)
    assert [p for p, _ in path] == close(sgd_path(start, [g for g, _ in walk_], **options))
    assert [p for _, p in path] == close(sgd_path(1.0, [g for _, g in walk_], **options))


@pytest.mark.parametrize("kind", [Adam, AdamW])
@given(
    start=NUMBER, walk_=WALK, lr=RATE, betas=st.tuples(BETA, BETA), eps=st.floats(1e-3, 1),
    weight_decay=RATE,
)  # fmt: skip
def test_adam_is_a_ratio_of_moving_averages(kind, start, walk_, lr, betas, eps, weight_decay):
    options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
    path = walk(kind([Value(start), Weight(1.0)], **options), walk_)
    options["decoupled"] = kind is AdamW
    assert [p for p, _ in path] == close(adam_path(start, [g for g, _ in walk_], **options))
    assert [p for _, p in path] == close(adam_path(1.0, [g for _, g in walk_], **options))


def test_defaults():
    p = [Value(1.0)]
    sgd, adam, adamw = SGD(p), Adam(p), AdamW(p)
    assert (sgd.lr, sgd.momentum, sgd.weight_decay) == (0.01, 0.0, 0.0)
    assert (adam.lr, adam.betas, adam.eps, adam.weight_decay) == (1e-3, (0.9, 0.999), 1e-8, 0.0)
    assert (adamw.lr, adamw.betas, adamw.eps, adamw.weight_decay) == (
        1e-3, (0.9, 0.999), 1e-8, 0.01,
    )  # fmt: skip


# --- what is not finite -------------------------------------------------------


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_spoils_its_own_parameter_only(kind, bad):
    optimizer = kind([Value(1.0), Value(1.0)], lr=0.1)
    ((spoilt, other),) = walk(optimizer, [(bad, 1.0)])
    assert not math.isfinite(spoilt)
    assert [other] == [p for (p,) in walk(kind([Value(1.0)], lr=0.1), [(1.0,)])]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_sgd_without_momentum_has_no_memory(bad):
    # 0 * inf is nan: a velocity that nobody asked for must not come back
    p = Value(1.0)
    optimizer = SGD([p], lr=0.5)
    walk(optimizer, [(bad,)])
    p.data = 1.0  # as a training loop does that goes back to its last good state
    assert walk(optimizer, [(1.0,)]) == [[0.5]]


@pytest.mark.parametrize("kind", EVERY)
def test_without_weight_decay_an_infinite_parameter_stays_infinite(kind):
    assert walk(kind([Value(math.inf)], lr=0.5, weight_decay=0.0), [(1.0,)]) == [[math.inf]]


@pytest.mark.parametrize("kind", EVERY)
def test_no_gradient_no_step(kind):
    assert walk(kind([Value(3.0)], lr=0.5, weight_decay=0.0), [(0.0,)] * 3) == [[3.0]] * 3


# --- how it is used -----------------------------------------------------------


@pytest.mark.parametrize("kind", EVERY)
def test_it_minimises(kind):
    a, b = Value(4.0), Value(-3.0)
    optimizer = kind([a, b], lr={"Adagrad": 1.0, "Adadelta": 30.0}.get(kind.__name__, 0.1))
    for _ in range(300):
        loss = (a - 1) ** 2 + 3 * (b - 2) ** 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (a.data, b.data) == (pytest.approx(1, abs=0.05), pytest.approx(2, abs=0.05))


@pytest.mark.parametrize("kind", EVERY)
def test_parameters_come_from_any_iterable(kind):
    model = MLP(2, [3, 1], seed=1)
    for given_ in (model.parameters(), iter(model.parameters()), tuple(model.parameters())):
        assert all(map(lambda p, q: p is q, kind(given_).parameters, model.parameters()))
        assert len(kind(model.parameters()).parameters) == 13


@pytest.mark.parametrize("kind", EVERY)
def test_zero_grad(kind):
    parameters = [Value(1.0), Weight(2.0)]
    optimizer = kind(parameters)
    for p in parameters:
        p.grad = 5.0
    optimizer.zero_grad()
    assert [p.grad for p in parameters] == [0.0, 0.0]
    assert [p.data for p in parameters] == [1.0, 2.0]


@pytest.mark.parametrize("kind", EVERY)
def test_micrograds_values_can_be_optimised(kind):
    from micrograd.engine import Value as Micro  # its data and grad may be ints

    ours, theirs = Value(2.0), Micro(2)
    assert walk(kind([ours]), [(3,), (-1,)]) == walk(kind([theirs]), [(3,), (-1,)])


def test_a_schedule_sets_lr():
    p = Value(0.0)
    optimizer = SGD([p])
    for step in range(1, 4):
        optimizer.lr = 1 / step
        p.grad = 1.0
        optimizer.step()
    assert p.data == -1 - 1 / 2 - 1 / 3


def test_real_numbers_of_any_kind_are_rates():
    import numpy as np

    for lr in (1, np.float32(1), Fraction(1)):
        assert walk(SGD([Value(1.0)], lr=lr), [(0.25,)]) == [[0.75]]


# --- errors -------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("parameters", [[], (), iter([])])
def test_no_parameters(kind, parameters):
    with pytest.raises(ValueError, match=rf"{kind.__name__}: no parameters.*model\.parameters\(\)"):
        kind(parameters)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(
    "parameters",
    ["weights", [1.0], [Value(1.0), "w"], {"w": Value(1.0)}, [None], [[Value(1.0)]]],
)
def test_what_is_no_value_is_named(kind, parameters):
    with pytest.raises(
        TypeError,
        match=rf"{kind.__name__}: a parameter must be a Value, got .*model\.parameters\(\)",
    ):
        kind(parameters)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("parameters", [MLP(1, [1], seed=1), Value(1.0), 3.0, None, MLP.parameters])
def test_what_is_no_list_of_them_says_what_to_pass(kind, parameters):
    with pytest.raises(TypeError, match=rf"{kind.__name__}: .*model\.parameters\(\)"):
        kind(parameters)


@pytest.mark.parametrize("kind", EVERY)
def test_computed_values_are_refused_at_once(kind):
    leaf = Value(1.0)
    for other in (leaf * 2, leaf.detach()):
        with pytest.raises(TypeError, match="computed or constant"):
            kind([leaf, other])


WRONG_RATES = [-0.1, math.nan, -math.inf, "0.1", None, 1j, Value(0.1), [0.1]]


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("rate", WRONG_RATES, ids=repr)
@pytest.mark.parametrize("name", ["lr", "weight_decay"])
def test_wrong_rates_are_named(kind, name, rate):
    with pytest.raises(ValueError, match=f"{kind.__name__}: {name} must be a finite number"):
        kind([Value(1.0)], **{name: rate})


@pytest.mark.parametrize("rate", WRONG_RATES, ids=repr)
def test_wrong_momentum_is_named(rate):
    with pytest.raises(ValueError, match="SGD: momentum must be a finite number"):
        SGD([Value(1.0)], momentum=rate)


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize(
    "betas", [(1, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, math.nan), ("0", 0), (0.9,), 0.9, (0, 0, 0)]
)
def test_wrong_betas_are_named(kind, betas):
    with pytest.raises(ValueError, match=f"{kind.__name__}: betas"):
        kind([Value(1.0)], betas=betas)


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize("eps", [0, -1e-8, math.nan, None])
def test_wrong_eps_is_named(kind, eps):
    with pytest.raises(ValueError, match=f"{kind.__name__}: eps"):
        kind([Value(1.0)], eps=eps)


def test_the_base_does_not_step():
    with pytest.raises(NotImplementedError):
        Optimizer([Value(1.0)], 0.1).step()


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_in_a_step_changes_nothing(kind):
    def optimizer():
        return kind(
            [Weight(1.0), Weight(2.0)], lr=0.1, **({"momentum": 0.9} if kind is SGD else {})
        )

    failing, undisturbed = optimizer(), optimizer()
    assert walk(failing, [(1.0, 1.0)]) == walk(undisturbed, [(1.0, 1.0)])
    for attribute, wrong, right in [("grad", "x", 3.0), ("lr", None, 0.1)]:
        owner = failing.parameters[1] if attribute == "grad" else failing
        setattr(owner, attribute, wrong)
        before = [p.data for p in failing.parameters]
        with pytest.raises(TypeError):
            failing.step()
        assert [p.data for p in failing.parameters] == before
        setattr(owner, attribute, right)
    # nor has it moved the velocities and moments
    assert walk(failing, [(2.0, 3.0)]) == walk(undisturbed, [(2.0, 3.0)])
