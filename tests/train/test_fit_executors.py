"""Trainings on an executor's workers: the parameters of one process, bit for bit, or an error."""

import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor

import numpy
import pytest

from miniflow import nn, optim
from miniflow.train import BackupAndRestore
from support.executors import Idle, Late, no_programs
from support.project import INSTALLED, TESTS

BLOCK = 8192
ROWS, BATCH = 5 * BLOCK // 2, 2 * BLOCK + 100
spawn = multiprocessing.get_context("spawn")


def training(executor, callbacks=(), model=None, arrays=numpy.asarray, **options):
    """A training of two steps in each of two epochs; what it has come to."""
    rng = numpy.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3))
    y = (x[:, 0] > x[:, 1]).astype(int)
    if model is None:
        model = nn.MLP(3, [4, 2], activation="tanh", seed=1)
    adam = optim.Adam(model.parameters(), lr=0.05)
    given = {"loss": "cross_entropy", "metrics": ["accuracy"], "epochs": 2, "batch_size": BATCH}
    history = model.fit(
        arrays(x), arrays(y), **given | options, optimizer=adam, seed=3, verbose=0,
        callbacks=callbacks, executor=executor,
    )  # fmt: skip
    return model.state_dict(), adam.state_dict(), history.history


@pytest.fixture(scope="module")
def alone():
    return training(None)


@pytest.mark.parametrize("seed", range(4))
def test_blocks_in_any_order(seed, alone):
    late = Late(random.Random(seed), forgetful=0.3 * (seed % 2))
    no_programs()
    assert training(late) == alone
    assert late.count >= 2 * 3  # the second batch of an epoch is smaller than a block


def test_dropout_weights_and_branches():
    """Random numbers and weights travel with their samples; elements on other paths are last."""

    def huber(p, t):
        d = abs(p - t)
        return d * d / 2 if d < 0.7 else 0.7 * (d - 0.35)

    found = []
    for executor in (None, Late(random.Random(2), forgetful=0.2)):
        model = nn.Sequential(nn.Linear(3, 4, seed=1), nn.Dropout(0.3), nn.Linear(4, 1, seed=2))
        weights = numpy.random.default_rng(1).uniform(size=ROWS)
        found.append(
            training(
                executor, model=model, loss=huber, metrics=(), sample_weight=weights,
                class_weight={1: 2.0}, validation_split=0.4, batch_size=ROWS // 2,
            )
        )  # fmt: skip
    assert found[0] == found[1]
    assert executor.count


def test_small_batches_are_run_here():
    assert training(Idle(), batch_size=BLOCK) == training(None, batch_size=BLOCK)


def test_what_is_no_executor():
    model = nn.MLP(3, [2], seed=1)
    before = model.state_dict()
    with pytest.raises(TypeError, match=r"fit: executor must be one of .*got int 3"):
        model.fit([[0.0] * 3], [1], loss="cross_entropy", optimizer="adam", executor=3)
    assert model.state_dict() == before
    assert not hasattr(model, "history")


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_any_number_of_processes(workers, alone):
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        assert training(pool) == alone


def test_threads(alone):
    with ThreadPoolExecutor(3) as pool:
        assert training(pool) == alone


def test_joblib_s_processes(alone):
    loky = pytest.importorskip("joblib.externals.loky")
    with loky.ProcessPoolExecutor(2) as pool:
        assert training(pool) == alone


def die():
    """What kills the worker that does it."""
    os.kill(os.getpid(), signal.SIGKILL)


class Killer:
    """Has both workers killed in the middle of the second epoch."""

    def __init__(self, pool):
        self.pool = pool

    def set_model(self, model):
        self.model = model

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.history.epoch == [0] and batch == 0:
            self.seen = self.model.state_dict()
            with contextlib.suppress(BrokenExecutor):  # the first one is dead already
                for _ in range(2):
                    self.pool.submit(die)


def test_a_killed_worker_ends_a_training_that_can_go_on(alone, tmp_path):
    """The model is as after the last step; with another pool it goes on to the same bits."""
    # not concurrent.futures' pool: that of older Pythons may hang once a worker is killed
    loky = pytest.importorskip("joblib.externals.loky")
    backup = BackupAndRestore(tmp_path / "training.json")
    with loky.ProcessPoolExecutor(2) as pool:
        killer = Killer(pool)
        with pytest.raises(RuntimeError, match="ProcessPoolExecutor has lost a block") as found:
            training(pool, [backup, killer])
    assert isinstance(found.value.__cause__, BrokenExecutor)
    assert killer.model.state_dict() == killer.seen
    with ThreadPoolExecutor(2) as pool:
        assert training(pool, [backup, Ready()]) == alone


class Ready:
    """Stands in the killer's place among the callbacks."""

    def on_train_begin(self, logs=None):
        pass


DASK = """
import logging, os, signal, sys

import dask.array
from distributed import Client, LocalCluster

sys.path.insert(0, sys.argv[1])
from train.test_fit_executors import training


def lazy(x):
    return dask.array.from_array(x, chunks=(6000, *x.shape[1:]))


class Killer:
    def __init__(self, client):
        self.client = client

    def set_model(self, model):
        self.model = model

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.history.epoch == [0] and batch == 0:
            pids = self.client.run(os.getpid)
            os.kill(next(iter(pids.values())), signal.SIGKILL)


if __name__ == "__main__":
    alone = training(None)
    options = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with LocalCluster(**options, silence_logs=logging.CRITICAL) as cluster:
        with Client(cluster) as client:
            for callbacks in ([], [Killer(client)], []):
                assert training(client.get_executor(), callbacks) == alone
            chunked = training(client.get_executor(), shuffle=False, arrays=lazy)
            assert chunked == training(None, shuffle=False)
            print("the same")
"""


def test_dask_s_workers(tmp_path):
    """One is killed in the middle of an epoch: Dask has its blocks run again."""
    pytest.importorskip("distributed")
    script = tmp_path / "script.py"
    script.write_text(DASK)
    done = subprocess.run(
        [sys.executable, str(script), str(TESTS)], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=200, env={**os.environ, "PYTHONPATH": str(INSTALLED)},
    )  # fmt: skip
    assert done.stdout == "the same\n", done.stderr[-3000:]
