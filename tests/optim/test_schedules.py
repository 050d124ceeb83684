"""Schedules: against PyTorch's, step by step, and as functions; L-BFGS, by SciPy."""

import copy
import json
import math
import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, optim
from support import optimizers

# each schedule with its options, and whether PyTorch has other names for them
SCHEDULES = [
    ("StepLR", {"step_size": 7, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [3, 8, 8, 30], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {"start_factor": 0.25, "end_factor": 0.75, "total_iters": 9}),
    ("LinearLR", {}),
    ("PolynomialLR", {"total_iters": 20, "power": 1.5}),
    ("PolynomialLR", {}),
    ("CosineAnnealingLR", {"T_max": 17, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 2, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 6}),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 60}),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 60, "pct_start": 0.1, "div_factor": 3.0,
                    "final_div_factor": 5.0}),
    ("LambdaLR", {"lr_lambda": lambda k: 1 / (1 + k)}),
]  # fmt: skip
STEPS = 59


def made(name, options, rates=(0.1, 0.4)):
    """An optimiser of two groups, and its schedule."""
    optimizer = optim.SGD([{"params": [Value(0.0)], "lr": lr} for lr in rates])
    return optimizer, getattr(optim, name)(optimizer, **options)


def rates_of(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_rates_are_pytorchs(name, options):
    torch = pytest.importorskip("torch")
    ours, schedule = made(name, options)
    groups = [{"params": [torch.zeros(1)], "lr": lr} for lr in (0.1, 0.4)]
    theirs = torch.optim.SGD(groups)
    more = {"cycle_momentum": False} if name == "OneCycleLR" else {}
    other = getattr(torch.optim.lr_scheduler, name)(theirs, **options, **more)
    for _ in range(STEPS):
        expected = [group["lr"] for group in theirs.param_groups]
        assert rates_of(ours) == pytest.approx(expected, rel=1e-12, abs=1e-16)
        assert schedule.get_last_lr() == rates_of(ours)
        theirs.step()
        other.step()
        schedule.step()


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_a_schedule_is_a_function_of_k(name, options):
    alone = getattr(optim, name)(0.1, **options)
    optimizer, schedule = made(name, options)
    for k in range(STEPS):
        assert alone(k) == alone(k, 123.0) == schedule(k) == optimizer.lr
        schedule.step()
    assert alone.k == 0
    with pytest.raises(RuntimeError, match=f"{name}.step: it has a number"):
        alone.step()
    for wrong in (-1, 0.5, None):
        with pytest.raises(ValueError, match=f"{name}: k must be an int from 0 on"):
            alone(wrong)


@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_a_schedule_goes_on_from_its_state(name, options):
    optimizer, schedule = made(name, options)
    for _ in range(11):
        schedule.step()
    other, twin = made(name, options, rates=(9.0, 9.0))
    twin.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert rates_of(other) == rates_of(optimizer)
    before = repr(twin.state_dict())
    right = schedule.state_dict()
    for wrong in (None, {}, right | {"k": -1}, right | {"k": 1.0}, right | {"bases": [1.0]},
                  right | {"bases": ["x", 1.0]}, right | {"schedule": "Schedule"}):  # fmt: skip
        with pytest.raises(ValueError, match=name):
            twin.load_state_dict(wrong)
        assert repr(twin.state_dict()) == before
    if name != "LambdaLR":
        for moved in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
            moved.step()
            assert moved.optimizer is not optimizer
            assert moved.get_last_lr() == [schedule.rate_at(12, x) for x in schedule.bases]
    assert repr(schedule).startswith(f"{name}(")


WRONG = [
    ("StepLR", {"step_size": 0}, "step_size must be an int from 1 on"),
    ("StepLR", {"step_size": 1.5}, "step_size must be an int from 1 on"),
    ("StepLR", {"step_size": 3, "gamma": -1}, "gamma must be a finite number"),
    ("MultiStepLR", {"milestones": [3, "x"]}, "a milestone must be an int"),
    ("LinearLR", {"total_iters": 0}, "total_iters must be an int"),
    ("PolynomialLR", {"power": 0.0}, "power must be above 0"),
    ("CosineAnnealingLR", {"T_max": True}, "T_max must be an int"),
    ("CosineAnnealingWarmRestarts", {"T_0": 1, "T_mult": 0.5}, "T_mult must be an int"),
    ("OneCycleLR", {"max_lr": [1.0], "total_steps": 3}, "one for each of 2 groups"),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 3, "pct_start": 2.0}, "pct_start must be at"),
    ("LambdaLR", {"lr_lambda": lambda k: math.nan}, "the learning rate of step 0"),
    ("Plateau", {"factor": 1.0}, "factor must be below 1"),
    ("Plateau", {"mode": "least"}, "mode must be 'min' or 'max'"),
    ("Plateau", {"patience": -1}, "patience"),
]


@pytest.mark.parametrize(("name", "options", "text"), WRONG)
def test_wrong_options_are_named_and_change_no_rate(name, options, text):
    optimizer, _ = made("StepLR", {"step_size": 1})
    with pytest.raises(ValueError, match=f"{name}: .*{text}"):
        getattr(optim, name)(optimizer, **options)
    assert rates_of(optimizer) == [0.1, 0.4]


def test_what_is_no_optimiser_is_named():
    with pytest.raises(ValueError, match="StepLR: the optimiser, or its learning rate, must be"):
        optim.StepLR([Value(1.0)], 3)
    with pytest.raises(TypeError, match="Plateau: it needs an optimiser"):
        optim.Plateau(0.1)


def test_a_failing_function_changes_nothing():
    optimizer, schedule = made("LambdaLR", {"lr_lambda": lambda k: 1.0 if k < 2 else 1 / 0})
    schedule.step()
    before = rates_of(optimizer)
    with pytest.raises(ZeroDivisionError):
        schedule.step()
    assert (schedule.k, rates_of(optimizer)) == (1, before)


def test_a_group_that_comes_later_begins_with_its_own_rate():
    optimizer, schedule = made("ExponentialLR", {"gamma": 0.5})
    schedule.step()
    optimizer.add_param_group({"params": [Value(0.0)], "lr": 8.0})
    schedule.step()
    assert rates_of(optimizer) == [0.025, 0.1, 2.0]


# --- where nothing becomes better -------------------------------------------------


@given(
    losses=st.lists(st.sampled_from([1.0, 0.9, 0.5, 0.49995, 0.2, 3.0, math.nan, math.inf]),
                    max_size=40),
    patience=st.integers(0, 3), cooldown=st.integers(0, 3), factor=st.sampled_from([0.0, 0.1, 0.5]),
    min_lr=st.sampled_from([0.0, 0.02]),
)  # fmt: skip
def test_a_plateau_is_kerass(losses, patience, cooldown, factor, min_lr):
    optimizer = optim.SGD([Value(0.0)], lr=0.1)
    climbing = optim.SGD([Value(0.0)], lr=0.1)
    options = {"patience": patience, "cooldown": cooldown, "factor": factor, "min_lr": min_lr}
    plateau = optim.Plateau(optimizer, **options)
    other = optim.Plateau(climbing, **options, mode="max")
    expected = optimizers.Plateau(0.1, factor, patience, 1e-4, cooldown, min_lr)
    for k, loss in enumerate(losses):
        plateau.step(Value(loss) if k % 2 else loss)
        other.step(-loss)
        if k == 5:
            plateau = optim.Plateau(optimizer, **options)
            plateau.load_state_dict(other.state_dict() | {"best": -other.best})
        assert optimizer.lr == climbing.lr == expected.step(loss)


def test_a_plateau_is_no_function():
    plateau = optim.Plateau(optim.SGD([Value(0.0)]))
    with pytest.raises(TypeError, match=r"call step\(metric\)"):
        plateau(3)
    with pytest.raises(TypeError, match="give it the number to watch"):
        plateau.step()
    with pytest.raises(ValueError, match=r"Plateau\.load_state_dict"):
        plateau.load_state_dict({"k": 1})


# --- L-BFGS -----------------------------------------------------------------------


def valley(optimizer, x, y, sign=1):
    """A closure of Rosenbrock's function."""

    def closure():
        optimizer.zero_grad()
        loss = sign * ((1 - x) ** 2 + 100 * (y - x**2) ** 2)
        loss.backward()
        return loss

    return closure


def test_lbfgs_finds_the_bottom_of_a_valley():
    pytest.importorskip("scipy")
    for sign in (1, -1):
        x, y = Value(-1.2), Value(1.0)
        optimizer = optim.LBFGS([x, y], max_iter=100, tolerance_change=1e-15, maximize=sign < 0)
        first = optimizer.step(valley(optimizer, x, y, sign))
        assert first.data == pytest.approx(sign * 24.2)
        assert (x.data, y.data) == (pytest.approx(1, abs=1e-6), pytest.approx(1, abs=1e-6))


def test_steps_of_lbfgs_go_on_from_where_they_are():
    pytest.importorskip("scipy")
    x, y = Value(-1.2), Value(1.0)
    optimizer = optim.LBFGS([x, y], max_iter=3)
    losses = [optimizer.step(valley(optimizer, x, y)).data for _ in range(20)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-3
    twin = optim.LBFGS([x, y])
    twin.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
    assert twin.max_iter == 3


def test_an_error_in_a_closure_leaves_the_parameters():
    pytest.importorskip("scipy")
    x, y = Value(-1.2), Value(1.0)
    optimizer = optim.LBFGS([x, y])
    calls = []

    def closure():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return valley(optimizer, x, y)()

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert (x.data, y.data) == (-1.2, 1.0)
    with pytest.raises(TypeError, match="what the closure returns"):
        optimizer.step(lambda: "low")
    assert (x.data, y.data) == (-1.2, 1.0)
    x.data = math.nan
    optimizer.step(valley(optimizer, x, y))  # nothing is better than NaN: nothing moves
    assert math.isnan(x.data)
    assert y.data == 1.0


def test_lbfgs_says_what_it_needs(monkeypatch):
    p = Value(1.0)
    optimizer = optim.LBFGS([p])
    with pytest.raises(TypeError, match="closure must be a function, got None"):
        optimizer.step()
    with pytest.raises(TypeError, match="a step needs a closure"):
        optimizer.moved(None, None)
    with pytest.raises(ValueError, match="in one group"):
        optimizer.add_param_group({"params": [Value(2.0)]})
    with pytest.raises(ValueError, match="max_iter must be an int"):
        optim.LBFGS([p], max_iter=0)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"pip install 'miniflow\[optim\]'"):
        optimizer.step(lambda: p)
