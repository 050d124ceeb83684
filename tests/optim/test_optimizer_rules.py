"""Every optimiser with every option: against PyTorch, a reference on floats, and itself."""

import random
import sys

import numpy as np
import pytest

from miniflow import Value, optim
from miniflow.native import machine
from miniflow.optim import columns
from support.optimizers import OPTIONS, combinations, reference

STEPS, COUNT = 100, 4


def drawn(seed):
    """Where parameters start, and the gradients of each step, of very different sizes."""
    rng = random.Random(seed)
    starts = np.array([rng.uniform(-3, 3) for _ in range(COUNT)])
    sizes = [[10 ** rng.uniform(-3, 2) for _ in range(COUNT)] for _ in range(STEPS)]
    return starts, [np.array([rng.gauss(0, size) for size in row]) for row in sizes]


def made(name, starts, **options):
    return getattr(optim, name)([Value(x) for x in starts], **options)


def path_of(optimizer, starts, gradients):
    """The parameters after each step."""
    path = [starts]
    for g in gradients:
        path.append(optimizer.moved(path[-1], g))
    return np.array(path[1:])


def assert_close(path, expected):
    """To 1e-12 of the largest number on a parameter's way."""
    off = np.abs(path - expected) / np.abs(expected).max(axis=0)
    assert off.max() < 1e-12


def same_bits(a, b):
    """Whether arrays have the same numbers, signs of zeros included; NaN is NaN."""
    numbers = ~np.isnan(a)
    signs = np.signbit(a[numbers]), np.signbit(b[numbers])
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(*signs)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_hundred_steps_are_the_papers(name):
    for options in combinations(name):
        starts, gradients = drawn(repr(options))
        path = path_of(made(name, starts, lr=0.01, **options), starts, gradients)
        columns_ = zip(starts.tolist(), np.array(gradients).T.tolist(), strict=True)
        expected = [reference(name, x, gs, 0.01, options) for x, gs in columns_]
        assert_close(path, np.array(expected).T)


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_remembered_has_all_its_digits_or_is_0(name):
    """A gradient of 0 from some step on lets it shrink for ever."""
    starts = np.array([1.0, -2.0])
    optimizer = made(name, starts, lr=0.01)
    path_of(optimizer, starts, [np.array([3e-300, -1e-150]), *[np.zeros(2)] * 400])
    (state,) = optimizer.state_dict()["state"]
    found = [x for k, column in state.items() if k != "step" for x in column]
    assert all(x == 0 or abs(x) >= sys.float_info.min for x in found)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_hundred_steps_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # else NAdam keeps a product in float32
    try:
        for options in combinations(name):
            starts, gradients = drawn(repr(options))
            tensor = torch.tensor(starts, requires_grad=True)
            ours = made(name, starts, lr=0.01, **options)
            theirs = getattr(torch.optim, name)([tensor], lr=0.01, **options)
            expected, path, point = [], [], starts
            for step, g in enumerate(gradients):
                if step == STEPS // 2:  # a schedule
                    ours.lr = theirs.param_groups[0]["lr"] = 0.005
                tensor.grad = torch.tensor(g)
                theirs.step()
                path.append(point := ours.moved(point, g))
                expected.append(tensor.detach().numpy().copy())
            assert_close(np.array(path), np.array(expected))
    finally:
        torch.set_default_dtype(usual)


def test_defaults_are_pytorchs_in_every_optimiser():
    torch = pytest.importorskip("torch")
    for name in OPTIONS:
        theirs = getattr(torch.optim, name)([torch.zeros(1)]).param_groups[0]
        ours = made(name, [0.0]).param_groups[0]
        common = ours.keys() & theirs.keys() - {"params", *(["lr"] if name == "SGD" else [])}
        assert {k: ours[k] for k in common} == {k: theirs[k] for k in common}
        assert theirs.keys() - ours.keys() <= {"foreach", "capturable", "differentiable", "fused"}


@pytest.mark.parametrize("name", OPTIONS)
def test_machine_code_is_numpy_bit_for_bit(name):
    if not machine.available():
        pytest.skip("there is no llvmlite")
    special = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-308, 1e300, 5e-324, 1.0]
    for options in list(combinations(name))[:: 6 if name != "SGD" else 1]:
        rule = columns_for(made(name, [1.0], lr=0.01, **options))
        rule.compile()
        rng = np.random.default_rng(1)
        for count, t in ((1, 1.0), (9, 6.0), (10_000, 300.0)):
            point = [rng.normal(size=count) for _ in range(2 + len(rule.memory))]
            for k, column in enumerate(point):
                column[: len(special)] = special[k:count] + special[: min(k, count)]
            point[2:] = [abs(x) for x in point[2:]]
            numbers = [t if name == "t" else 0.3 for name in rule.numbers]
            compiled = rule(point, numbers)
            kept, rule.compiled, rule.calls = rule.compiled, None, columns.BY_NUMPY
            by_numpy = rule(point, numbers)
            rule.compiled = kept
            for a, b in zip(compiled, by_numpy, strict=True):
                assert same_bits(a, b)


def columns_for(optimizer):
    """A rule of its own, as this optimiser has it."""
    group = optimizer.param_groups[0]
    numbers, fixed = optim.optimizer.sorted_out(group)
    memory = tuple(optimizer.memory(group))
    return columns.Columns(type(optimizer).rule, memory, tuple(numbers), tuple(fixed.items()))


def test_nothing_waits_for_the_compiler(monkeypatch):
    """Steps before there is machine code, while it is made and after: one path."""
    jobs = []
    monkeypatch.setattr("miniflow.compiled.evaluators.in_background", jobs.append)
    columns.made_columns.cache_clear()
    starts, gradients = drawn("waits")
    slow, quick = (made("Adam", starts, lr=0.1) for _ in range(2))
    expected = path_of(slow, starts, gradients)
    assert len(jobs) == machine.available()  # asked once
    for job in jobs:
        job()
    assert same_bits(expected, path_of(quick, starts, gradients))
    columns.made_columns.cache_clear()


def test_without_a_compiler_numpy_goes_on(monkeypatch):
    jobs = []
    monkeypatch.setattr("miniflow.compiled.evaluators.in_background", jobs.append)
    monkeypatch.setattr(machine, "available", lambda: False)
    rule = columns_for(made("Adam", [1.0]))
    point, numbers = [np.ones(3)] * (2 + len(rule.memory)), [1.0] * len(rule.numbers)
    found = [rule(point, numbers) for _ in range(2 * columns.BY_NUMPY)]
    assert same_bits(found[0][0], found[-1][0])
    assert (jobs, rule.compiled) == ([], None)


def test_a_rule_of_ones_own():
    class Sign(optim.Optimizer):
        """Steps of one length."""

        def memory(self, group):
            return {"last": 0.0}

        @staticmethod
        def rule(p, g, s, h):
            from miniflow import math

            s.last = math.sign(g)
            return p - h.lr * s.last

    optimizer = Sign([Value(1.0), Value(2.0)], 0.5)
    assert optimizer.moved(np.array([1.0, 2.0]), np.array([3.0, -7.0])).tolist() == [0.5, 2.5]
    assert repr(optimizer) == "Sign(2 parameters, lr=0.5)"


def test_arrays_stay_as_they_are():
    for name in OPTIONS:
        optimizer = made(name, [1.0, 2.0], clip_norm=0.1, clip_value=0.05)
        p, g = np.array([1.0, 2.0]), np.array([3.0, 4.0])
        for _ in range(3):
            optimizer.moved(p, g)
        assert (p.tolist(), g.tolist()) == ([1.0, 2.0], [3.0, 4.0])
