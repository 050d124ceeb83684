"""Programs that run in processes of their own."""

import os
import subprocess
import sys
import textwrap

import miniflow
from support.project import INSTALLED


def ran(code, engine=miniflow.engine, folder=INSTALLED, check=True, **environment):
    """A program run in a process of its own, on the same engine if nothing else is said."""
    environment = {**os.environ, "MINIFLOW_ENGINE": engine, **environment}
    if engine is None:
        del environment["MINIFLOW_ENGINE"]
    command = [sys.executable, "-W", "error", "-W", "default:miniflow:RuntimeWarning", "-"]
    run = subprocess.run(
        command, input=textwrap.dedent(code), cwd=folder, env=environment,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert not check or run.returncode == 0, run.stderr[-2000:]
    return run


def python(code, **variables):
    """Run a script in an interpreter of its own; what it printed."""
    env = {**os.environ, "PYTHONPATH": str(INSTALLED), "MINIFLOW_CACHE_DIR": "", **variables}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, env=env, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]
    return done.stdout
