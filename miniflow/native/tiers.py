"""Programs as machine code, compiled by LLVM (through llvmlite, the extra ``jit``).

Machine code comes in two tiers: the first, not optimised, is there at once; the second is built by
a thread in the background and takes the first one's place. Optimised code is kept on disk.

Answers are those of the table's rows bit for bit: no operation is reordered or fused, and
functions are the C library's that Python's math calls, if they are seen to agree with it;
what does not is computed by Python. Batches may use functions of several lanes, our own or
the vector library's, which are up to 4 units in the last place off.
"""

import atexit
import functools
import hashlib
import importlib
import os
import sys
import sysconfig
import threading
import warnings
import weakref
from array import array
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from miniflow.native import cache, machine, probe
from miniflow.native.emitter import ModuleText
from miniflow.native.layout import LAYOUT
from miniflow.native.link import Library
from miniflow.native.machine import OPTIMISED, QUICK, lock
from miniflow.ops import Op
from miniflow.program.ir import Code

SHORT = 50_000  # characters of code that is optimised at once, if no caller waits for it


class Worker:
    """The thread in the background; it ends with the program that uses it."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.thread: threading.Thread | None = None
        self.stopping = False

    def put(self, job: Callable[[], None]) -> None:
        """Queue a job."""
        with lock:
            if self.thread is None:
                self.thread = threading.Thread(target=self._work, name="miniflow", daemon=True)
                self.thread.start()
                atexit.register(self.stop)
        self.jobs.put(job)

    def _work(self) -> None:
        while (job := self.jobs.get()) is not None and not self.stopping:
            try:
                with suppress(Warning):  # where warnings are errors, no caller could catch them
                    job()
            except Exception:  # reported; the next job is done all the same
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self.thread)))

    def stop(self) -> None:
        """Let the job that is being done come to an end, and no other one begin."""
        self.stopping = True
        self.jobs.put(None)
        if self.thread is not None:
            self.thread.join()


worker = Worker()


def _forked() -> None:
    """A forked child has no thread in the background."""
    global worker
    worker = Worker()
    lock.release()


if hasattr(os, "register_at_fork"):  # nothing is being compiled while a process forks
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=_forked)


class MachineCode:
    """The machine code of one program for one purpose.

    Attributes:
        library: the code in memory.
        final: set once it is the optimised one.
    """

    def __init__(
        self, key: str, modules: Callable[[], list[ModuleText]], ops: Iterable[Op],
        swapped: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.key = key
        self.ops = tuple(ops)
        self.final = threading.Event()
        self.swapped = swapped
        kept = cache.load_code(key)
        if kept is not None:
            header, objects = kept
            self.library = Library(objects, header, self.ops)
            self.final.set()
            return
        texts = modules()
        header = [(x.imports, x.exports) for x in texts]
        awaited = threading.current_thread() is not worker.thread
        if awaited or sum(len(x.text) for x in texts) > SHORT:
            self.library = Library([machine.compiled(x, QUICK) for x in texts], header, self.ops)
            mine = weakref.ref(self)
            worker.put(lambda: _optimise(mine, texts, header))
        else:
            objects = [machine.compiled(x, OPTIMISED) for x in texts]
            self.library = Library(objects, header, self.ops)
            self.final.set()
            cache.store_code(key, header, objects)


def _optimise(
    reference: "weakref.ref[MachineCode]", modules: list[ModuleText], header: Any
) -> None:
    """Build the second tier, unless its program is gone."""
    objects: list[bytes] = []
    try:
        for module in modules:
            if worker.stopping or reference() is None:
                return
            objects.append(machine.compiled(module, OPTIMISED))
        code = reference()
        if code is not None:
            cache.store_code(code.key, header, objects)
            code.library = Library(objects, header, code.ops)
            if code.swapped is not None:
                code.swapped()
    except Exception as error:  # the first tier goes on
        warnings.warn(f"miniflow: no optimised code: {error}", RuntimeWarning, stacklevel=1)
    finally:
        code = reference()
        if code is not None:
            code.final.set()


@functools.cache
def _version() -> bytes:
    """What compiled code depends on besides its program."""
    parts = [
        sys.version, sys.platform, sysconfig.get_platform(),
        importlib.import_module("llvmlite").__version__, machine.llvm().llvm_version_info,
        *machine.features(), machine.lanes(), sorted(probe.functions()), LAYOUT,
    ]  # fmt: skip
    digest = hashlib.sha256(repr(parts).encode())
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def digest(program: Code, *what: Any) -> str:
    """A name for a program's code and what it is for."""
    found = hashlib.sha256(_version())
    steps = program.instructions
    found.update(array("q", chain.from_iterable([x.operands for x in steps])).tobytes())
    found.update("\0".join([f"{x.op.name} {len(x.operands)}" for x in steps]).encode())
    found.update(array("d", program.constants).tobytes())
    rest = program.inputs, len(program.captured), program.outputs, program.guards, what
    found.update(repr(rest).encode())
    return found.hexdigest()
