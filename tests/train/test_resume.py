"""Interruptions: the model is whole, and what goes on has the bits of what was never cut."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest

from miniflow import nn, optim
from miniflow.train import BackupAndRestore, EarlyStopping, LearningRateScheduler, ReduceLROnPlateau
from support.profiles import scaled

OPTIMIZERS = {
    "adam": lambda ps: optim.Adam(ps, lr=0.05),
    "momentum": lambda ps: optim.SGD(ps, lr=0.05, momentum=0.9),
}
STEPS, EPOCHS = 6, 4


class CutError(Exception):
    """The interruption."""


class Scissors:
    """Raises at the given call of the given hook."""

    def __init__(self, hook=None, count=0, error=CutError):
        self.left, self.error = count, error
        if hook is not None:
            setattr(self, f"on_{hook}", self.cut)
        else:
            self.on_train_begin = lambda logs=None: None
        self.seen = None

    def set_model(self, model):
        self.model = model

    def cut(self, *args):
        self.left -= 1
        if self.left < 0:
            self.seen = [p.data for p in self.model.parameters()]
            raise self.error


def training(many, scissors, path, kind="adam"):
    """A training that is the same each time, cut or not; the model and its optimiser."""
    x, y = many(34)
    model = nn.MLP(2, [3, 3], activation="tanh", seed=2)
    optimizer = OPTIMIZERS[kind](model.parameters())
    callbacks = [
        BackupAndRestore(path), LearningRateScheduler(lambda epoch, lr: lr * 0.9),
        ReduceLROnPlateau(patience=1, factor=0.5, min_delta=0.3),
        EarlyStopping(patience=3, restore_best_weights=True), scissors,
    ]  # fmt: skip
    try:
        history = model.fit(
            x, y, loss="cross_entropy", optimizer=optimizer, epochs=EPOCHS, batch_size=5, seed=4,
            validation_split=0.2, metrics=["accuracy"], callbacks=callbacks, verbose=0,
        )  # fmt: skip
    except (CutError, KeyboardInterrupt):
        assert [p.data for p in model.parameters()] == scissors.seen  # whole
        return None
    return model.state_dict(), optimizer.state_dict(), history.history, history.epoch


HOOKS = {
    "train_batch_end": EPOCHS * STEPS, "train_batch_begin": EPOCHS * STEPS,
    "test_batch_end": 2 * EPOCHS, "epoch_begin": EPOCHS, "epoch_end": EPOCHS, "train_begin": 1,
}  # fmt: skip


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_cut_anywhere_and_resumed_it_has_the_same_bits(kind, many, tmp_path):
    """Batches, validations, beginnings and ends of epochs; thousands of places in `thorough`."""
    path = tmp_path / "training.json"
    whole = training(many, Scissors(), path, kind)
    assert not path.exists()
    rng = random.Random(kind)
    for _ in range(scaled(10)):
        hook = rng.choice(list(HOOKS))
        error = rng.choice([CutError, KeyboardInterrupt])
        cuts = [Scissors(hook, rng.randrange(HOOKS[hook]), error), Scissors()]
        if rng.random() < 0.3:  # twice
            cuts.insert(1, Scissors("train_batch_end", rng.randrange(3)))
        results = [training(many, scissors, path, kind) for scissors in cuts]
        assert results[-1] == whole
        assert results[0] is None
        assert not path.exists()


def test_a_state_of_another_training_is_refused(many, tmp_path):
    path = tmp_path / "training.json"
    training(many, Scissors("train_batch_end", 7), path)
    text = path.read_text()
    for content, said in (
        (text[:50], "cannot be continued here"), ("{}", "'format'"), ("[]", "cannot be continued"),
        (text.replace("miniflow training 1", "x"), "its format is 'x'"),
        (json.dumps({**json.loads(text), "parameters": [1.0]}), "had 1 parameters, the model has"),
        (json.dumps({**json.loads(text), "callbacks": []}), "had 0 callbacks"),
        (json.dumps({**json.loads(text), "sums": [1.0]}), "had other metrics"),
    ):  # fmt: skip
        path.write_text(content)
        with pytest.raises(ValueError, match=said):
            training(many, Scissors(), path)
        assert path.read_text() == content
    path.write_text(text)
    assert training(many, Scissors(), path) is not None


def test_initial_epoch_goes_on_with_model_and_optimiser(many):
    """The order of an epoch's samples depends on the seed and its number alone."""
    x, y = many(20)
    results = []
    for stops in ([4], [1, 3, 4]):
        model = nn.MLP(2, [3], seed=1)
        adam = optim.Adam(model.parameters(), lr=0.05)
        for start, stop in zip([0, *stops], stops, strict=False):
            model.fit(x, y, loss="cross_entropy", optimizer=adam, initial_epoch=start, epochs=stop,
                      batch_size=6, seed=3, verbose=0)  # fmt: skip
        results.append((model.state_dict(), adam.state_dict()))
    assert results[0] == results[1]
    assert (
        model.fit(x, y, loss="cross_entropy", optimizer=adam, initial_epoch=4, epochs=4).epoch == []
    )


def test_without_a_seed_random_s_state_is_used(many):
    x, y = many(20)
    seeds = []
    for _ in range(2):
        random.seed(5)
        model = nn.MLP(2, [3], seed=1)
        seeds.append(
            model.fit(x, y, loss="cross_entropy", optimizer="sgd", verbose=0).params["seed"]
        )
    assert seeds[0] == seeds[1]


def test_ctrl_c_waits_for_the_end_of_a_step(many):
    """In the middle of a step the optimiser would have moved, and the model not."""
    x, y = many(20)
    model = nn.MLP(2, [3], seed=1)
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    moved = sgd.moved

    def interrupted(numbers, slopes):
        found = moved(numbers, slopes)
        os.kill(os.getpid(), signal.SIGINT)
        results.append(found.tolist())
        return found

    results, sgd.moved = [], interrupted
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, loss="cross_entropy", optimizer=sgd, batch_size=5, verbose=0)
    assert [p.data for p in model.parameters()] == results[-1]
    assert len(results) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_optimiser_that_fails_changes_nothing(many):
    x, y = many(20)
    model = nn.MLP(2, [3], seed=1)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    before = model.state_dict()
    sgd.moved = lambda numbers, slopes: 1 / 0
    with pytest.raises(ZeroDivisionError):
        model.fit(x, y, loss="cross_entropy", optimizer=sgd, verbose=0)
    assert model.state_dict() == before


SCRIPT = """
import sys
import numpy
from miniflow import nn, optim, train
rng = numpy.random.default_rng(0)
x = rng.normal(size=(40, 2))
model = nn.MLP(2, [3], seed=1)
adam = optim.Adam(model.parameters(), lr=0.05)
class Kill:
    def on_train_batch_end(self, batch, logs=None):
        if sys.argv[2] == "kill" and model.history.epoch == [0] and batch == 3:
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)
model.fit(x, (x[:, 0] > 0) * 1, loss="cross_entropy", optimizer=adam, epochs=3, batch_size=5,
    seed=1, callbacks=[train.BackupAndRestore(sys.argv[1], save_freq=2), Kill()], verbose=0)
print([p.data for p in model.parameters()])
"""


def test_a_killed_process_goes_on_in_another(tmp_path):
    def run(name, mode):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / name), mode]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    whole, killed = run("a", "go"), run("b", "kill")
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "b").exists()
    assert run("b", "go").stdout == whole.stdout != ""
