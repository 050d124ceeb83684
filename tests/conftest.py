"""What the tests share: what they refuse, markers, small tables, threads, intrusions."""

# ruff: noqa: E402 - what must come before other imports comes before them

import functools
import gc
import os
import re
import signal
import sys
import threading

import pytest

pytest.register_assert_rewrite("support")  # before any part of it is imported

from support import installed

installed.refuse()  # before anything of the package is imported

from miniflow import ops
from miniflow.program.check import check
from miniflow.program.ir import Code
from miniflow.tape import core as tape
from miniflow.tape import storage
from support import processors, profiles, selection
from support.intrusions import everywhere, haunted, intruded


def pytest_configure(config):
    os.environ["MINIFLOW_CACHE_DIR"] = ""  # compiled code is kept in no files but those of a test
    quick = re.search(r"(?<!not )\bquick\b", config.option.markexpr)
    profiles.load("quick" if quick else "default")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    selection.mark(items)


def pytest_collection_finish():
    leave_alone()


def leave_alone():
    """Nobody has to look for garbage among what there is: that takes longer than most tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    return processors.workers(config.args)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c():
    """Ctrl-C comes as ever, also where the shell has told its background jobs to ignore it."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope="session")
def checked_code():
    """Every pass is checked: whatever code it makes keeps the rules of the IR."""
    made = Code.__init__

    @functools.wraps(made)
    def init(self, *args, **kwargs):
        made(self, *args, **kwargs)
        check(self)

    Code.__init__ = init
    yield
    Code.__init__ = made


@pytest.fixture
def row():
    """`define`, for rows that are taken out of the table again."""
    before = dict(ops.TABLE)
    yield ops.define
    ops.TABLE.clear()
    ops.TABLE.update(before)


@pytest.fixture
def small_table(monkeypatch):
    """A function that gives this thread an empty table, so small that it compacts often."""

    def fresh(entries=8):
        monkeypatch.setattr(storage, "SMALLEST", entries)
        monkeypatch.setattr(tape.here, "table", tape.Table())
        return tape.here.table

    return fresh


@pytest.fixture
def quick_collections():
    """Garbage is looked for in what the test makes only."""
    leave_alone()


@pytest.fixture
def hasty():
    """Threads take turns as often as can be: they meet everywhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def in_thread():
    """A function that calls another one on a thread of its own and hands on what comes out."""

    def call(f, *args):
        results, errors = [], []

        def run():
            try:
                results.append(f(*args))
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    return call


@pytest.fixture(params=[intruded, haunted], ids=["handler", "finalizer"])
def intrude(request, quick_collections):
    """A function that runs a scenario once for every moment at which it can be intruded upon.

    ``scenario()`` returns ``(action, intruder, check)``. The intruder, as a signal handler
    or as a finalizer, runs at the first opportunity inside of the action, the next time
    at the second and so on; ``check()`` runs after each.
    """
    return functools.partial(everywhere, request.param)


@pytest.fixture
def break_off():
    """`intrude` for an intruder that raises KeyboardInterrupt."""
    return functools.partial(everywhere, intruded)
