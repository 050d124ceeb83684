"""The other engine, in a process of its own that does the same jobs.

Terms:
    here    the engine that the tests run on
    there   the other one
    job     a function of plain data that returns plain data: a pair of "ok" and an answer,
            or of an exception's name and what it says
"""

import os
import pickle
import re
import subprocess
import sys

import pytest

import miniflow
from support.project import INSTALLED, TESTS

OTHER = {"compiled": "python", "python": "compiled"}[miniflow.engine]
CHILD = """
import importlib, pickle, sys
sys.path[:0] = {paths!r}
import miniflow
out, sys.stdout = sys.stdout.buffer, sys.stderr
pickle.dump(miniflow.engine, out); out.flush()
while True:
    module, name, args = pickle.load(sys.stdin.buffer)
    job = getattr(importlib.import_module(module), name)
    pickle.dump(job(*args), out); out.flush()
"""


class There:
    """A process in which the other engine does jobs."""

    def __init__(self):
        code = CHILD.format(paths=[str(x) for x in (INSTALLED, TESTS, TESTS / "tape")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "MINIFLOW_ENGINE": OTHER},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert pickle.load(self.process.stdout) == OTHER
        except EOFError:
            message = self.process.communicate()[1].decode()
            if OTHER == "compiled" and "no compiled engine" in message:
                pytest.skip("there is no compiled engine to compare with")
            raise RuntimeError(message) from None

    def __call__(self, job, *args):
        pickle.dump((job.__module__, job.__name__, args), self.process.stdin)
        self.process.stdin.flush()
        return pickle.load(self.process.stdout)

    def close(self):
        with self.process:
            self.process.stdin.close()
            self.process.terminate()
            self.process.stdout.close()
            self.process.stderr.close()


def answered(f, *args):
    """What a call answers or says."""
    try:
        found = f(*args)
    except Exception as error:
        # of compiled classes Python also names the module
        said = str(error).replace("miniflow.Value", "Value")
        return type(error).__name__, said, getattr(error, "__notes__", [])
    return "ok", found


# Where Python itself, or Cython, says in words of its own that arguments are not what they
# should be: the same kind of error.
THEIRS = re.compile(
    r"argument|attribute|object is not|descriptor|has no (setter|deleter)|cannot be (set|deleted)"
)


def agree(mine, other):
    """Whether two engines answer the same, or refuse in the same words where they are ours."""
    theirs = "ok" not in (mine[0], other[0]) and THEIRS.search(mine[1]) and THEIRS.search(other[1])
    return mine == other or (theirs and mine[0] == other[0])


def which():
    return miniflow.engine
