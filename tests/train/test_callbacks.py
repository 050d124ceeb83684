"""Callbacks: Keras's order of calls, and what each of them does, by its definition."""

import csv
import json
import warnings
from math import inf, nan
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import nn, optim, train
from miniflow.train import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from support.hook_log import TRAININGS, logging

GOLDEN = json.loads(
    (Path(__file__).parent / "golden" / "keras_calls.json").read_text(encoding="utf-8")
)
Log = logging(Callback)
X = numpy.linspace(-1.0, 1.0, 20).reshape(10, 2)
Y = X[:, 0] - X[:, 1] ** 2


def model():
    return nn.MLP(2, [1], seed=1)


@pytest.mark.parametrize("name", TRAININGS)
def test_the_calls_are_keras_s(name):
    options, stop = TRAININGS[name]
    log = Log(stop)
    model().fit(X, Y, loss="mse", optimizer="sgd", metrics=["mae"], callbacks=[log], verbose=0,
                **options)  # fmt: skip
    assert json.loads(json.dumps(log.calls)) == GOLDEN[name]


def test_the_calls_of_evaluate_and_predict_are_keras_s():
    log = Log()
    model().evaluate(X, Y, loss="mse", metrics=["mae"], batch_size=4, callbacks=[log])
    assert json.loads(json.dumps(log.calls)) == GOLDEN["evaluate"]
    log = Log()
    model().predict(X, batch_size=4, callbacks=[log])
    assert json.loads(json.dumps(log.calls)) == GOLDEN["predict"]


def fitted(*callbacks, epochs=6, subject=None, **options):
    subject = subject or model()
    options = {"optimizer": optim.SGD(subject.parameters(), lr=0.1), "seed": 1} | options
    history = subject.fit(
        X, Y, loss="mse", epochs=epochs, batch_size=5, callbacks=callbacks, verbose=0, **options
    )
    return subject, history


def test_the_model_is_true_at_every_call():
    """Parameters at each batch are those of a loop; what a callback sets counts from then on."""

    class Look:  # any object with some of the methods
        seen = ()

        def on_train_batch_end(self, batch, logs=None):
            self.seen = (*self.seen, [p.data for p in subject.parameters()])
            if len(self.seen) == 2:
                subject.parameters()[0].data = 7.0

    subject, look = model(), Look()
    fitted(look, epochs=2, subject=subject, shuffle=False)
    other = model()
    sgd = optim.SGD(other.parameters(), lr=0.1)
    for step in range(4):
        half = range(5 * (step % 2), 5 * (step % 2) + 5)
        loss = nn.mse([other(X[k].tolist()) for k in half], [Y[k] for k in half])
        other.zero_grad()
        loss.backward()
        sgd.step()
        numpy.testing.assert_allclose(look.seen[step], [p.data for p in other.parameters()], 1e-12)
        if step == 1:
            other.parameters()[0].data = 7.0


# --- early stopping -------------------------------------------------------------


def stops(numbers, patience, min_delta, mode, start, baseline):
    """The epoch after which it stops, and the best one, as the definition has it."""
    sign, best, best_epoch, wait = (1 if mode == "min" else -1), inf, 0, 0
    for epoch, x in enumerate(numbers):
        if epoch < start:
            continue
        wait += 1
        if sign * x + abs(min_delta) < best:
            best, best_epoch = sign * x, epoch
            if baseline is None or sign * x + abs(min_delta) < sign * baseline:
                wait = 0
                continue
        if wait >= patience and epoch > 0:
            return epoch, best_epoch
    return None, best_epoch


LOSSES = st.lists(
    st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 2.0, nan, inf]), min_size=1, max_size=9
)


@given(
    numbers=LOSSES, patience=st.integers(0, 3), min_delta=st.sampled_from([0.0, 0.2, -0.2]),
    mode=st.sampled_from(["min", "max"]), start=st.integers(0, 2),
    baseline=st.sampled_from([None, 0.3]),
)  # fmt: skip
def test_early_stopping_stops_by_its_definition(
    numbers, patience, min_delta, mode, start, baseline
):
    subject = model()
    stop = EarlyStopping("n", min_delta, patience, mode, baseline, True, start)
    stop.set_model(subject)
    stop.on_train_begin()
    subject.stop_training, stopped = False, None
    for epoch, x in enumerate(numbers):
        subject.parameters()[0].data = float(epoch)
        stop.on_epoch_end(epoch, {"n": x})
        if subject.stop_training:
            stopped = epoch
            break
    stop.on_train_end()
    wanted, best = stops(numbers, patience, min_delta, mode, start, baseline)
    assert stopped == wanted
    if any(x == x and abs(x) < inf for x in numbers[start : len(numbers)]):
        assert stop.best_epoch in (best, start)
        if len(numbers) > start and stop.best not in (inf, -inf):
            assert subject.parameters()[0].data == best == stop.best_epoch


def test_names_say_which_way_is_better():
    modes = {n: EarlyStopping(n).monitor.mode for n in ("val_loss", "val_accuracy", "r2", "mae")}
    assert modes == {"val_loss": "min", "val_accuracy": "max", "r2": "max", "mae": "min"}
    with pytest.raises(ValueError, match="mode must be"):
        EarlyStopping(mode="best")


def test_a_missing_monitor_warns_with_what_there_is():
    with pytest.warns(RuntimeWarning, match="EarlyStopping: there is no 'val_loss'.*are: loss"):
        fitted(EarlyStopping(), epochs=1)


# --- learning rates -------------------------------------------------------------


def test_plateau():
    """Numbers that do not fall: the rate does, after patience, then after the cooldown, too."""
    subject = model()
    subject.optimizer = optim.SGD(subject.parameters(), lr=1.0)
    plateau = ReduceLROnPlateau("n", factor=0.5, patience=2, cooldown=2, min_lr=0.2, min_delta=0.1)
    plateau.set_model(subject)
    plateau.on_train_begin()
    rates = []
    for epoch, x in enumerate([1.0, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.5, 0.5, 0.5, 0.5]):
        logs = {"n": x}
        plateau.on_epoch_end(epoch, logs)
        rates.append(subject.optimizer.lr)
        assert logs["learning_rate"] == [1.0, *rates][epoch]
    assert rates == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2]
    for factor in (1.0, 2.0, 0.0):
        with pytest.raises(ValueError, match="factor must be between 0 and 1"):
            ReduceLROnPlateau(factor=factor)


def test_schedules():
    _, history = fitted(LearningRateScheduler(lambda epoch, lr: lr * 0.5), epochs=3)
    assert history.history["learning_rate"] == [0.05, 0.025, 0.0125]
    _, history = fitted(LearningRateScheduler(lambda epoch: 1.0 / (epoch + 1)), epochs=2)
    assert history.history["learning_rate"] == [1.0, 0.5]
    with pytest.raises(TypeError, match="must return a float, got str 'x'"):
        fitted(LearningRateScheduler(lambda epoch, lr: "x"))
    with pytest.raises(ZeroDivisionError):  # the schedule's own error
        fitted(LearningRateScheduler(lambda epoch, lr: lr / 0))
    with pytest.raises(TypeError, match="unsupported operand"):  # not taken for a missing argument
        fitted(LearningRateScheduler(lambda epoch, lr: lr + "x"))


# --- files ----------------------------------------------------------------------


def test_checkpoints(tmp_path):
    path = tmp_path / "new" / "m-{epoch:02d}-{loss:.3f}.json"
    subject, history = fitted(ModelCheckpoint(path), epochs=2)
    names = [f"m-{k + 1:02d}-{x:.3f}.json" for k, x in enumerate(history.history["loss"])]
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(names)
    assert nn.load(path.parent / names[1]).state_dict() == subject.state_dict()
    path = tmp_path / "weights-{epoch}-{batch}.json"
    subject, _ = fitted(ModelCheckpoint(path, save_weights_only=True, save_freq=3), epochs=3)
    assert sorted(p.name for p in tmp_path.glob("w*")) == ["weights-2-1.json", "weights-3-2.json"]
    last = json.loads((tmp_path / "weights-3-2.json").read_text())
    assert last == subject.state_dict()
    with pytest.raises(KeyError, match=r"no 'accuracy' for .*there are epoch, loss"):
        fitted(ModelCheckpoint(tmp_path / "{accuracy}"))


def test_only_the_best_is_saved(tmp_path):
    subject = model()
    keep = ModelCheckpoint(
        tmp_path / "{epoch}", "n", save_best_only=True, initial_value_threshold=2
    )
    keep.set_model(subject)
    for epoch, x in enumerate([3.0, 1.0, nan, 1.0, 0.5]):
        keep.on_epoch_end(epoch, {"n": x})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2", "5"]


def test_csv(tmp_path):
    path = tmp_path / "log.csv"
    options = {"validation_split": 0.5, "validation_freq": 2, "metrics": ["mae"]}
    _, history = fitted(CSVLogger(path), epochs=2, **options)
    fitted(CSVLogger(path, append=True), epochs=3, initial_epoch=2, **options)
    samples = list(csv.reader(path.read_text().splitlines()))
    assert samples[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [sample[0] for sample in samples[1:]] == ["0", "1", "2"]
    assert samples[1][3:] == samples[3][3:] == ["NA", "NA"]
    assert float(samples[2][3]) == history.history["val_loss"][0]


def test_each_line_is_there_at_once(tmp_path):
    path, seen = tmp_path / "log.csv", []

    class Look:
        def on_epoch_end(self, epoch, logs=None):
            seen.append(path.read_text().count("\n"))

    fitted(CSVLogger(path), Look(), epochs=3)
    assert seen == [2, 3, 4]


# --- NaN ------------------------------------------------------------------------


def test_a_nan_ends_the_training_and_is_explained():
    from miniflow import math

    subject = model()
    with pytest.warns(
        RuntimeWarning, match=r"(?s)the loss is nan after batch 0.*log takes numbers"
    ):
        train.fit(subject, X, Y, loss=lambda p, t: math.log(p - p - 1.0), optimizer="sgd", epochs=3,
                  callbacks=[TerminateOnNaN()], verbose=0)  # fmt: skip
    assert len(subject.history.epoch) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(TerminateOnNaN())


@pytest.mark.parametrize(
    ("callbacks", "said"),
    [([Callback], r"got the class Callback; write Callback\(\)"), ("early", "must be a list"),
     ([3], "must have methods such as on_epoch_end"), (EarlyStopping(), "must be a list")],
)  # fmt: skip
def test_what_is_no_callback(callbacks, said):
    with pytest.raises(TypeError, match=said):
        model().fit(X, Y, loss="mse", optimizer="sgd", callbacks=callbacks, verbose=0)
