"""Many steps in one call: the numbers of single steps, bit for bit, and nothing half done."""

import os
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniflow import nn, optim
from miniflow.native import machine
from miniflow.train import LearningRateScheduler, fused, training
from support.optimizers import OPTIONS, combinations

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(not machine.available(), reason="there is no llvmlite"),
]


class Calls:
    """How many steps each call of the fused loop has made."""

    def __init__(self, monkeypatch):
        self.steps = []
        run = fused.FusedSteps.run

        def noted(one, optimizer, rules, numbers, sums, order):
            self.steps.append(-(-len(order) // one.size))
            return run(one, optimizer, rules, numbers, sums, order)

        monkeypatch.setattr(fused.FusedSteps, "run", noted)


@pytest.fixture
def calls(monkeypatch):
    """Rules are machine code at once, and each batch asks for the fused loop."""
    monkeypatch.setattr(training, "LOOK", 1)
    usual = training.Training._fusable

    def eager(one):
        rules = getattr(one.optimizer, "group_rules", list)() or []
        for rule in rules:
            if rule.columns.loop is None:
                rule.columns.compile()
        return usual(one)

    monkeypatch.setattr(training.Training, "_fusable", eager)
    return Calls(monkeypatch)


def trained(model, optimizer, x, y, *, single=False, **options):
    """All numbers that a training leaves behind; `single`: a step at a time."""
    given = {"epochs": 4, "batch_size": 4, "seed": 5, "verbose": 0, "loss": "mse"} | options
    callbacks = [*given.pop("callbacks", ()), *([Watching()] if single else [])]
    history = model.fit(x, y, optimizer=optimizer, callbacks=callbacks, **given)
    numbers = [p.data for p in model.parameters()]
    return repr((numbers, history.history, optimizer.state_dict()))


class Watching:
    """It looks at each batch."""

    def __init__(self):
        self.batches = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(batch)


def drawn(count, outputs=1):
    rng = np.random.default_rng(7)
    y = rng.normal(size=(count, outputs))
    return rng.normal(size=(count, 2)), y if outputs > 1 else y[:, 0]


def small(outputs=1, activation="tanh"):
    return nn.MLP(2, [3, outputs], activation=activation, seed=5)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_rule_gives_the_same_bits(name, calls):
    x, y = drawn(18)
    for options in list(combinations(name))[:: 7 if name != "SGD" else 1]:
        found = []
        for single in (False, True):
            model = small()
            optimizer = getattr(optim, name)(model.parameters(), lr=0.01, **options)
            found.append(trained(model, optimizer, x, y, single=single))
        assert found[0] == found[1]
    assert sum(calls.steps)


@settings(max_examples=12)
@given(
    st.integers(1, 40), st.integers(1, 9), st.booleans(), st.integers(1, 3), st.booleans(),
    st.sampled_from(["tanh", "relu"]), st.sampled_from([0.05, 1e-9]),
)  # fmt: skip
def test_batches_of_all_sizes(count, size, shuffle, outputs, weighted, activation, moment):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "SLICE", moment)
        patch.setattr(training, "LOOK", 1)
        x, y = drawn(count, outputs)
        options = {"batch_size": min(size, count), "shuffle": shuffle, "metrics": ["mae"]}
        if weighted:
            options["sample_weight"] = np.linspace(0.1, 2, count)
        found = []
        for single in (False, True):
            model = small(outputs, activation)
            optimizer = optim.Adam(model.parameters())
            optimizer.group_rules()[0].columns.compile()
            found.append(trained(model, optimizer, x, y, single=single, **options))
        assert found[0] == found[1]


def test_groups_and_parameters_that_stay(calls):
    x, y = drawn(11)
    found = []
    for single in (False, True):
        model = small()
        groups = [
            {"params": model.parameters()[:2], "lr": 0.1},
            {"params": model.parameters()[4:9]},
        ]
        optimizer = optim.SGD(groups, momentum=0.5)
        found.append(trained(model, optimizer, x, y, single=single))
    assert found[0] == found[1]
    assert calls.steps


def test_a_rate_that_changes_from_epoch_to_epoch(calls):
    x, y = drawn(11)
    found = []
    for single in (False, True):
        model = small()
        schedule = LearningRateScheduler(lambda epoch, lr: 0.1 / (1 + epoch))
        optimizer = optim.Adam(model.parameters())
        found.append(trained(model, optimizer, x, y, single=single, callbacks=[schedule]))
    assert found[0] == found[1]
    assert calls.steps


def test_who_looks_at_batches_sees_each(calls):
    x, y = drawn(12)
    model, watching = small(), Watching()
    trained(model, optim.Adam(model.parameters()), x, y, callbacks=[watching])
    assert watching.batches == [*range(3)] * 4
    assert not calls.steps


@pytest.mark.parametrize("options", [{"clip_norm": 0.1}, {"clip_value": 0.1}])
def test_clipping_goes_a_step_at_a_time(options, calls):
    x, y = drawn(12)
    model = small()
    trained(model, optim.Adam(model.parameters(), **options), x, y)
    assert not calls.steps


def test_a_model_that_branches_goes_a_step_at_a_time(calls):
    x, y = drawn(12)

    class Branching(nn.Module):
        def __init__(self):
            self.inner = small()

        def __call__(self, xs):
            return self.inner(xs) if xs[0] > 0 else self.inner(xs[::-1])

    model = Branching()
    trained(model, optim.Adam(model.parameters()), x, y)
    assert not calls.steps


def test_an_interrupted_call_is_done_first(calls, monkeypatch):
    """Ctrl-C in the middle of a call: the model is as after its last batch."""
    x, y = drawn(40)
    monkeypatch.setattr(fused, "FIRST_STEPS", 3)
    run = fused.FusedSteps.run

    def interrupted(*args):
        found = run(*args)
        os.kill(os.getpid(), signal.SIGINT)
        return found

    model = small()
    optimizer = optim.Adam(model.parameters())
    with monkeypatch.context() as patch:
        patch.setattr(fused.FusedSteps, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(model, optimizer, x, y, shuffle=False)
    steps = 1 + sum(calls.steps)  # the first one asks for machine code
    assert 1 < steps < 10
    other = small()
    twin = optim.Adam(other.parameters())
    trained(other, twin, x[: 4 * steps], y[: 4 * steps], single=True, epochs=1, shuffle=False)
    assert [p.data for p in model.parameters()] == [p.data for p in other.parameters()]
    assert optimizer.state_dict() == twin.state_dict()


def test_an_error_in_a_call_changes_nothing(calls, monkeypatch):
    x, y = drawn(40)
    model = small()
    optimizer = optim.Adam(model.parameters())

    def fails(*args):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(fused.FusedSteps, "_link", fails)
        with pytest.raises(MemoryError):
            trained(model, optimizer, x, y, shuffle=False)
    assert optimizer.state_dict()["state"][0]["step"] == 1
    other = small()
    trained(other, optim.Adam(other.parameters()), x[:4], y[:4], single=True, epochs=1,
            shuffle=False)  # fmt: skip
    assert [p.data for p in model.parameters()] == [p.data for p in other.parameters()]


def test_resumed_trainings_are_whole_ones(calls, tmp_path):
    """Epochs of a saved training that was cut off, and of one that was not."""
    from miniflow.train import BackupAndRestore

    x, y = drawn(18)
    model = small()
    whole = trained(model, optim.Adam(model.parameters()), x, y, epochs=6)

    class Stops:
        def __init__(self, last):
            self.last = last

        def on_epoch_end(self, epoch, logs=None):
            if epoch == self.last:
                raise InterruptedError

    found, path = "", tmp_path / "training.json"
    for last in (2, None):
        model = small()
        backup = BackupAndRestore(path)
        try:
            found = trained(model, optim.Adam(model.parameters()), x, y, epochs=6,
                            callbacks=[backup, Stops(last)])  # fmt: skip
        except InterruptedError:
            continue
    assert found == whole
    assert calls.steps


def test_an_optimiser_of_ones_own_goes_a_step_at_a_time(calls):
    """One that has no rule, but says itself how parameters move."""
    x, y = drawn(12)

    class Halves:
        def __init__(self, parameters):
            self.parameters = parameters

        def moved(self, numbers, slopes):
            return numbers - 0.5 * slopes

        def state_dict(self):
            return {}

    found = []
    for kind in (Halves, lambda parameters: optim.SGD(parameters, lr=0.5)):
        model = small()
        trained(model, kind(model.parameters()), x, y)
        found.append([p.data for p in model.parameters()])
    assert found[0] == found[1]
    assert calls.steps  # of the second one
