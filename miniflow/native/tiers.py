"""Programs as machine code, compiled by LLVM (through llvmlite, the extra ``jit``).

Machine code comes in two tiers: the first, not optimised, is there at once; the second is built by
a thread in the background and takes the first one's place. Optimised code is kept on disk.

Answers are those of the table's rows bit for bit: no operation is reordered or fused, and
functions are the C library's that Python's math calls, if they are seen to agree with it;
what does not is computed by Python. Batches may use functions of several lanes, our own or
the vector library's, which are up to 4 units in the last place off.
"""

import atexit
import ctypes
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
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from miniflow.native import cache, machine, probe
from miniflow.native.emitter import ModuleText
from miniflow.native.layout import LAYOUT
from miniflow.native.link import Library
from miniflow.native.machine import OPTIMISED, QUICK, lock
from miniflow.ops import BUILTIN, Op
from miniflow.program.expand import expanded
from miniflow.program.ir import Code

BUILTIN_NAMES = frozenset(op.name for op in BUILTIN)
BRIEF = 0.0005  # seconds that Python's lock is kept at a time while a job is done
BITE = 1000  # instructions at a time, for Python's lock is kept meanwhile
SHORT = 50_000  # characters of code that is optimised at once, if no caller waits for it


Job = Callable[[], None]


class Worker:
    """The thread in the background, for which nobody waits: no call, no fork, no exit."""

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self.jobs = deque(jobs)  # the first one is being done, once the thread runs
        self.thread: threading.Thread | None = None
        self.stopping = False
        self.interval: float | None = None  # Python's own of its lock, while a job is done
        self.brief = BRIEF  # and what it is then
        self._more: SimpleQueue[None] = SimpleQueue()  # whenever there may be more, and for the end
        self._starting = threading.RLock()

    def put(self, job: Job) -> None:
        """Queue a job."""
        self.jobs.append(job)
        self._switch_often()  # at once: who waits for the lock then waits no longer than that
        self.start()
        self._more.put(None)

    def start(self) -> None:
        """Have the thread run if there is something to do: after a fork it does not."""
        if self.thread is not None or not self.jobs or self.stopping:
            return
        with self._starting:
            if self.thread is None:
                atexit.register(self.stop)
                self.thread = threading.Thread(target=self._work, name="miniflow", daemon=True)
                try:
                    self.thread.start()
                except RuntimeError:  # the interpreter ends
                    self.stopping = True
                finally:  # even if who waits for it to begin is interrupted
                    self._more.put(None)

    def _work(self) -> None:
        while not self.stopping:
            self._more.get()  # at first, too: who starts the thread waits until it has begun
            while self.jobs and not self.stopping:
                self._do(self.jobs[0])
                self.jobs.popleft()

    def _do(self, job: Job) -> None:
        self._switch_often()
        try:
            with suppress(Warning):  # where warnings are errors, no caller could catch them
                job()
        except Exception:  # reported; the next job is done all the same
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self.thread)))
        finally:
            self._switch_as_usual()

    def _switch_often(self) -> None:
        """Let other threads not wait long for Python's lock, until a job is done."""
        with self._starting:
            if self.interval is None:
                self.interval = sys.getswitchinterval()
                sys.setswitchinterval(min(self.interval, BRIEF))
                self.brief = sys.getswitchinterval()

    def _switch_as_usual(self) -> None:
        with self._starting:
            usual, self.interval = self.interval, None
            if usual is not None and sys.getswitchinterval() == self.brief:
                sys.setswitchinterval(usual)  # else somebody has set it meanwhile

    def stop(self) -> None:
        """Let no other job begin; the one that is being done ends with the process."""
        self.stopping = True
        self._more.put(None)
        if self.jobs and os.name == "posix":
            _end_before_llvm()


def _end_before_llvm() -> None:
    """Have the process end before LLVM's own data are taken away: a job may still use them.

    What is registered last is called first. It is too late for Python then, so it is the C
    library's `_exit` itself; only GNU's has `on_exit`, which hands it the exit status.
    """
    libc = ctypes.CDLL(None)
    with suppress(AttributeError):
        libc.on_exit(libc._exit, None)


worker = Worker()


def _forked() -> None:
    """A forked child has no thread in the background: a new one does what was to be done."""
    global worker
    if worker.interval is not None:
        sys.setswitchinterval(worker.interval)
    worker = Worker(worker.jobs)
    lock.release()


if hasattr(os, "register_at_fork"):  # nothing is being loaded or linked while a process forks
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=_forked)


class Search(Protocol):
    """What knows several forms of the same code, and which of two is the faster one."""

    best: Any  # form, of those tried so far

    def others(self) -> Iterable[Any]:
        """The forms to be tried after the first one."""

    def modules(self, form: Any, /) -> list[ModuleText]:
        """The code of a form."""

    def is_faster(self, library: Library, other: Library) -> bool:
        """Whether one is faster than the other, both in memory."""


class MachineCode:
    """The machine code of one program for one purpose.

    `functions` names those that are called; `label` says to people what they are. Where there is a
    `search`, the fastest form takes the place of the first one once it is found.

    Attributes:
        library: the code in memory.
        final: set once it is the optimised one.
    """

    def __init__(
        self, key: str, modules: Callable[[], list[ModuleText]], ops: Iterable[Op],
        functions: tuple[str, ...], label: str, swapped: Callable[[], None] | None = None,
        search: Search | None = None,
    ) -> None:  # fmt: skip
        self.key = key
        self.ops = tuple(ops)
        self.functions = functions
        self.label = label
        self.final = threading.Event()
        self.swapped = swapped
        self.search = search
        awaited = threading.current_thread() is not worker.thread
        if self._take_kept(awaited):
            return
        texts = modules()
        header = [(x.imports, x.exports) for x in texts]
        if awaited or sum(len(x.text) for x in texts) > SHORT:
            self.library = Library([machine.compiled(x, QUICK) for x in texts], header, self.ops)
            mine = weakref.ref(self)
            worker.put(lambda: _optimise(mine, texts, header))
        else:
            objects = [machine.compiled(x, OPTIMISED) for x in texts]
            self.library = Library(objects, header, self.ops)
            cache.store_code(key, header, objects, label)
            self.finish(header, objects)

    def _take_kept(self, awaited: bool) -> bool:
        """Take the code that is kept on disk, if it is there and good for anything."""
        if self.search is not None and self._kept(self.best_key, awaited) is not None:
            self.final.set()
            return True
        found = self._kept(self.key, awaited)
        if found is not None:
            self.finish(*found)
        return found is not None

    def _kept(self, key: str, awaited: bool) -> tuple[Any, list[bytes]] | None:
        """What is kept on disk under a key, once it is in memory."""
        try:
            found = cache.load_code(key)
        except Warning:  # it is an error to the user, who can catch it only if he waits
            if awaited:
                raise
            return None
        if found is None:
            return None
        header, objects = found
        try:
            library = Library(objects, header, self.ops)
        except Exception:  # a right checksum over nonsense
            return None
        if not {*self.functions} <= library.addresses.keys():
            return None
        self.library = library
        return found

    @property
    def best_key(self) -> str:
        """Where the form is kept that was found to be the fastest."""
        return hashlib.sha256(f"the fastest of {self.key}".encode()).hexdigest()

    def finish(self, header: Any, objects: list[bytes]) -> None:
        """Optimised code is there: the final one, unless other forms are to be tried."""
        if self.search is None:
            self.final.set()
        else:
            mine = weakref.ref(self)
            worker.put(lambda: _try_others(mine, header, objects))

    def replace(self, library: Library) -> None:
        """Take better code."""
        self.library = library
        if self.swapped is not None:
            self.swapped()


Reference = weakref.ref[MachineCode]


@contextmanager
def _this_or_none(reference: Reference) -> Iterator[None]:
    """If better code cannot be made, the code that there is goes on, and is final."""
    try:
        yield
    except BaseException as error:
        code = reference()
        if code is not None:
            code.final.set()
        if not isinstance(error, Exception):
            raise
        warnings.warn(f"miniflow: no optimised code: {error}", RuntimeWarning, stacklevel=1)


def _optimise(reference: Reference, modules: list[ModuleText], header: Any) -> None:
    """Build the second tier, unless its program is gone."""
    with _this_or_none(reference):
        objects = _optimised(reference, modules)
        code = reference()
        if code is not None and objects is not None:
            cache.store_code(code.key, header, objects, code.label)
            code.replace(Library(objects, header, code.ops))
            code.finish(header, objects)


def _optimised(reference: Reference, modules: list[ModuleText]) -> list[bytes] | None:
    """The object code of modules; None if the program goes meanwhile."""
    objects: list[bytes] = []
    for module in modules:
        if worker.stopping or reference() is None:
            return None
        objects.append(machine.compiled(module, OPTIMISED))
    return objects


def _try_others(reference: Reference, header: Any, objects: list[bytes]) -> None:
    """Try other forms of optimised code, and take the fastest, unless its program is gone."""
    code = reference()
    if code is None or code.search is None:
        return
    search, first, ops = code.search, code.library, code.ops
    del code  # it may go meanwhile
    with _this_or_none(reference):
        best = first
        for form in search.others():
            modules = search.modules(form)
            made = _optimised(reference, modules)
            if made is None:
                return
            exports = [(x.imports, x.exports) for x in modules]
            library = Library(made, exports, ops)
            if search.is_faster(library, best):
                search.best, best, header, objects = form, library, exports, made
        code = reference()
        if code is not None:
            cache.store_code(code.best_key, header, objects, code.label)
            code.search = None
            if best is not first:
                code.replace(best)
            code.final.set()


def kept_library(module: ModuleText, label: str) -> Library:
    """The code of a module that is the same for all programs: optimised at once, kept on disk."""
    header = [[list(module.imports), list(module.exports)]]
    key = hashlib.sha256(version() + module.text.encode()).hexdigest()
    with suppress(Exception):  # a right checksum over nonsense, or a warning that was given before
        found = cache.load_code(key)
        if found is not None and found[0] == header:
            return Library(found[1], header)
    objects = [machine.compiled(module, OPTIMISED)]
    cache.store_code(key, header, objects, label)
    return Library(objects, header)


@functools.cache
def version() -> bytes:
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
    """A name for a program's code, formulas of users' rows included, and what it is for."""
    program = expanded(program, BUILTIN_NAMES)
    found = hashlib.sha256(version())
    for k in range(0, len(program), BITE):
        steps = program.instructions[k : k + BITE]
        found.update(array("q", chain.from_iterable([x.operands for x in steps])).tobytes())
        found.update("\0".join([f"{x.op.name} {len(x.operands)}" for x in steps]).encode())
    found.update(array("d", program.constants).tobytes())
    rest = program.inputs, len(program.captured), program.outputs, program.guards, what
    found.update(repr(rest).encode())
    return found.hexdigest()
