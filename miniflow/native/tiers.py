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
import hashlib
import importlib
import math
import os
import sys
import sysconfig
import threading
import warnings
import weakref
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache, partial
from importlib.util import find_spec
from itertools import chain, count
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any

from miniflow.native import cache as files
from miniflow.native.batch import ArrayCall, Batch, makes, takes
from miniflow.native.kernel import (
    FAILED,
    LIBM,
    MISSED,
    ROWS,
    Emitter,
    Imports,
    Module,
    Target,
)
from miniflow.native.vector_math import FUNCTIONS
from miniflow.native.wrapper import LAYOUT, SPARE, Builtin
from miniflow.ops import TABLE, Op
from miniflow.program.expand import expanded
from miniflow.program.ir import Code, PathError
from miniflow.program.schedule import Shape
from miniflow.program.structures import NUMBER_LEAF, treedef_key

FIRST, SECOND = 0, 2  # LLVM's levels of optimisation of the two tiers
SHORT = 50_000  # characters of code that is optimised at once, if nobody waits for it
POINTER = ctypes.sizeof(ctypes.c_void_p)
ULPS = 4  # how far a vector function may be off

_lock = threading.RLock()  # whatever compiles, loads or links


@cache
def llvm() -> ModuleType:
    """Llvmlite's binding, ready for this machine; ImportError where it is not installed."""
    binding = importlib.import_module("llvmlite.binding")
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@cache
def available() -> bool:
    """Whether there is llvmlite."""
    try:
        llvm()
    except (ImportError, OSError):
        return False
    return True


# --- the machine --------------------------------------------------------------


@cache
def features() -> tuple[str, str]:
    """The processor's name and features, as LLVM calls them."""
    found = llvm().get_host_cpu_features()
    return llvm().get_host_cpu_name(), found.flatten() + ",-prefer-256-bit"


@cache
def lanes() -> int:
    """How many numbers the processor's registers hold."""
    found = llvm().get_host_cpu_features()
    return 8 if found.get("avx512f") else 4 if found.get("avx2") else 2


@cache
def fuses() -> bool:
    """Whether the processor fuses products with sums."""
    arm = sysconfig.get_platform().endswith(("aarch64", "arm64"))
    return arm or bool(llvm().get_host_cpu_features().get("fma"))


@cache
def machine(level: int) -> Any:
    """What compiles for this machine."""
    cpu, flags = features()
    target = llvm().Target.from_default_triple()
    return target.create_target_machine(
        cpu=cpu, features=flags, opt=level, reloc="pic", codemodel="jitdefault", jit=True
    )


@cache
def linker() -> Any:
    """What puts compiled code into memory."""
    target = llvm().Target.from_default_triple()
    return llvm().create_lljit_compiler(target.create_target_machine(jit=True))


def compiled(module: Module, level: int) -> bytes:
    """The object code of a module."""
    with _lock, llvm().parse_assembly(module.text) as parsed:
        found: bytes = machine(level).emit_object(parsed)
    return found


# --- loading ------------------------------------------------------------------

_numbers = count()
_loaded: dict[int, Any] = {}  # code in memory, by the numbers of tickets


class Ticket(int):
    """What keeps code in memory: when the last one of a number goes, so does the code.

    Finalizers of garbage run in any order, and may call what is garbage with them. The collector
    does not look at a ticket, so it goes when nothing can be called any more.
    """

    __slots__ = ()

    def __init__(self, _: int) -> None:
        ctypes.pythonapi.PyObject_GC_UnTrack(ctypes.py_object(self))

    def __del__(self, lock: Any = _lock, drop: Callable[..., Any] = _loaded.pop) -> None:
        with lock:
            drop(int(self), None)


class Library:
    """Compiled modules in memory, with the addresses that they need filled in."""

    def __init__(self, objects: Sequence[bytes], header: Any, ops: Iterable[Op] = ()) -> None:
        rows = {op.name: op for op in ops}
        with _lock:
            builder = llvm().JITLibraryBuilder().add_current_process()
            for code, (_, exports) in zip(objects, header, strict=True):
                builder.add_object_img(code)
                for name in exports:
                    builder.export_symbol(name)
            number = next(_numbers)
            tracker = builder.link(linker(), f"miniflow{number}")
            del builder
        names = [name for _, exports in header for name in exports]
        self.addresses: dict[str, int] = {name: tracker[name] for name in names}
        self.ticket = Ticket(number)
        self.kept: list[Any] = []
        _loaded[number] = tracker, self.kept
        for imports, exports in header:
            table = (ctypes.c_void_p * len(imports)).from_address(self[exports[-1]])
            for k, name in enumerate(imports):
                table[k] = self._address(name, rows)

    def __getitem__(self, name: str) -> int:
        return self.addresses[name]

    def _address(self, name: str, rows: dict[str, Op]) -> int:
        kind, _, rest = name.partition(".")
        if name in COUNTS:
            return ctypes.addressof(COUNTS[name])
        if kind == "row":
            callback = _row(rows[rest].value)
            self.kept.append(callback)
            return _pointer(callback)
        if kind == "here":
            return self[rest]
        return address(name)


@cache
def address(name: str) -> int:
    """Where something stands that code refers to by name."""
    kind, _, rest = name.partition(".")
    types = {"PyFloat_Type": float, "PyList_Type": list, "PyTuple_Type": tuple}
    if name in types:
        return id(types[name])
    if name == "numpy.New":
        return _new_array()
    if kind == "numpy":
        numpy = importlib.import_module("numpy")
        return id(numpy.ndarray if rest == "ndarray" else numpy.dtype(float))
    if kind == "c":
        return _pointer(getattr(libm(), rest))
    if kind.startswith("v"):
        return _pointer(getattr(libmvec(), vector_name(rest, int(kind[1:]))))
    return _pointer(getattr(ctypes.pythonapi, name))


def _new_array() -> int:
    """PyArray_New, from the table that NumPy has for compiled extensions."""
    core = "numpy._core" if find_spec("numpy._core") else "numpy.core"
    table = importlib.import_module(f"{core}._multiarray_umath")._ARRAY_API
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    found: int = ctypes.c_void_p.from_address(pointer(table, None) + 93 * POINTER).value or 0
    return found


def _pointer(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


ROW = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.POINTER(ctypes.c_double), ctypes.c_int64)


_errors: dict[int, BaseException] = {}  # of rows that Python computes, by thread
_failed = ctypes.c_int64()  # how many: code looks at it when it is done
_missed = ctypes.c_int64()  # calls of rows that did not get into Python
COUNTS = {FAILED: _failed, MISSED: _missed}


def _row(value: Callable[..., float]) -> Any:
    """A row that Python computes, as a C function."""

    def row(operands: Any, n: int) -> float:
        try:
            found = float(value(*operands[:n]))
        except BaseException as error:  # whatever it is, it is raised once the code is done
            _errors.setdefault(threading.get_ident(), error)
            _failed.value = len(_errors)
            found = math.nan
        operands[n] = 0.0  # the mark that says it was called
        return found

    return ROW(row)


def raise_error() -> None:
    """Raise what a row has raised in this thread, if one has."""
    error = _errors.pop(threading.get_ident(), None)
    _failed.value = len(_errors)
    if error is not None:
        raise error


# --- the C library ------------------------------------------------------------


@cache
def libm() -> Any:
    """The C library's mathematical functions: those that Python itself is linked to."""
    return ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)


@cache
def libmvec() -> Any:
    """The vector library's, None where there is none."""
    try:
        return ctypes.CDLL("libmvec.so.1") if sys.platform == "linux" else None
    except OSError:
        return None


def vector_name(name: str, width: int) -> str:
    """What the vector library calls a function of so many lanes."""
    arguments = "v" * TABLE[name].arity
    if "aarch64" in sysconfig.get_platform():
        return f"_ZGVnN{width}{arguments}_{name}"
    letter = {2: "b", 4: "d", 8: "e"}[width]
    return f"_ZGV{letter}N{width}{arguments}_{name}"


# Where functions are compared with Python's.
POINTS = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 0.1, 0.7, -0.3, 1.5, 3.0, -3.0, 10.0, -10.0, 25.3,
    1e-3, -1e-5, 1e-9, 1e-300, 5e-324, -5e-324, 1e3, -1e3, 709.0, -745.0, 1e5, 1e22, -1e300,
    math.inf, -math.inf, math.nan, math.pi, -math.pi / 2, 0.9999999, 1.0000001,
]  # fmt: skip


def _samples(name: str) -> list[tuple[float, ...]]:
    points = [POINTS, POINTS[::-1], POINTS[5:] + POINTS[:5]]
    shifted = [
        (points[0][k], points[1][(3 * k) % len(POINTS)], points[2][k]) for k in range(len(POINTS))
    ]
    return [x[: TABLE[name].arity] for x in shifted + [x[::-1] for x in shifted]]


@cache
def functions() -> frozenset[str]:
    """Rows that the C library computes exactly as the table does."""
    return frozenset(name for name in LIBM if _agrees(name))


def _agrees(name: str) -> bool:
    try:
        f = getattr(libm(), name)
    except AttributeError:
        return False
    row = TABLE[name]
    f.restype, f.argtypes = ctypes.c_double, [ctypes.c_double] * row.arity
    # the row's own square is no matter of the library's
    points = [x for x in _samples(name) if name != "pow" or x[1] != 2.0]
    return all(_same(f(*x), row.value(*x)) for x in points)


def _same(a: float, b: float) -> bool:
    return a.hex() == b.hex()


@cache
def vectors() -> frozenset[str]:
    """Rows that the vector library computes closely enough."""
    names = frozenset(name for name in functions() if _has_vector(name))
    return _close(names, Target(lanes(), False, functions(), names))


@cache
def inline() -> frozenset[str]:
    """Rows that are instructions in place, where they are close enough."""
    names = frozenset(FUNCTIONS if fuses() else ())
    return _close(names, Target(lanes(), False, functions(), frozenset(), names))


def _close(names: frozenset[str], target: Target) -> frozenset[str]:
    """The rows that are within ULPS units in the last place at all samples."""
    if not names:
        return names
    imports = Imports()
    bodies = [_probe(imports, target, name) for name in sorted(names)]
    module = imports.module(bodies, [f"probe.{name}" for name in sorted(names)], "probe")
    library = Library([compiled(module, FIRST)], [(module.imports, module.exports)])
    return frozenset(name for name in names if _is_close(library, name))


def _has_vector(name: str) -> bool:
    return libmvec() is not None and hasattr(libmvec(), vector_name(name, lanes()))


def _probe(imports: Imports, target: Target, name: str) -> str:
    """A function that applies another one to lanes in memory."""
    e = Emitter(imports, target)
    arity = TABLE[name].arity
    places = [e(f"getelementptr double, ptr %in, i64 {k * e.lanes}") for k in range(arity)]
    xs = [e(f"load {e.type}, ptr {place}, align 8") for place in places]
    y = FUNCTIONS[name](e, *xs) if name in target.inline else e.libm(name, *xs)
    lines = "\n".join([*e.lines, f"store {e.type} {y}, ptr %out, align 8", "ret void"])
    return f'define void @"probe.{name}"(ptr %in, ptr %out) {{\n{lines}\n}}'


def _is_close(library: Library, name: str) -> bool:
    row, width = TABLE[name], lanes()
    probe = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(library[f"probe.{name}"])
    points = _samples(name)
    points += points[: -len(points) % width]
    out = (ctypes.c_double * width)()
    for k in range(0, len(points), width):
        group = points[k : k + width]
        operands = list(chain.from_iterable(zip(*group, strict=True)))
        probe((ctypes.c_double * len(operands))(*operands), out)
        if not all(_near(y, row.value(*x)) for x, y in zip(group, out, strict=True)):
            return False
    return True


def _near(got: float, expected: float) -> bool:
    if got == expected or (got != got and expected != expected):
        return math.copysign(1.0, got) == math.copysign(1.0, expected) or got != got
    return abs(got - expected) <= ULPS * math.ulp(expected)


# --- code in two tiers --------------------------------------------------------


class Worker:
    """The thread in the background; it ends with the program that uses it."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.thread: threading.Thread | None = None
        self.stopping = False

    def put(self, job: Callable[[], None]) -> None:
        """Have something done."""
        with _lock:
            if self.thread is None:
                self.thread = threading.Thread(target=self._work, name="miniflow", daemon=True)
                self.thread.start()
                atexit.register(self.stop)
        self.jobs.put(job)

    def _work(self) -> None:
        while (job := self.jobs.get()) is not None and not self.stopping:
            try:
                with suppress(Warning):  # where warnings are errors, nobody is here to catch them
                    job()
            except Exception:  # told, and the next job is done all the same
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
    _lock.release()


if hasattr(os, "register_at_fork"):  # nothing is being compiled while a process forks
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forked)


class MachineCode:
    """The machine code of one program for one purpose.

    Attributes:
        library: the code in memory.
        final: set once it is the optimised one.
    """

    def __init__(
        self, key: str, modules: Callable[[], list[Module]], ops: Iterable[Op],
        swapped: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.key = key
        self.ops = tuple(ops)
        self.final = threading.Event()
        self.swapped = swapped
        kept = files.load(key)
        if kept is not None:
            header, objects = kept
            self.library = Library(objects, header, self.ops)
            self.final.set()
            return
        texts = modules()
        header = [(x.imports, x.exports) for x in texts]
        awaited = threading.current_thread() is not worker.thread
        if awaited or sum(len(x.text) for x in texts) > SHORT:
            self.library = Library([compiled(x, FIRST) for x in texts], header, self.ops)
            mine = weakref.ref(self)
            worker.put(lambda: _optimise(mine, texts, header))
        else:
            objects = [compiled(x, SECOND) for x in texts]
            self.library = Library(objects, header, self.ops)
            self.final.set()
            files.store(key, header, objects)


def _optimise(reference: "weakref.ref[MachineCode]", modules: list[Module], header: Any) -> None:
    """Build the second tier, as long as somebody needs it."""
    objects: list[bytes] = []
    try:
        for module in modules:
            if worker.stopping or reference() is None:
                return
            objects.append(compiled(module, SECOND))
        code = reference()
        if code is not None:
            files.store(code.key, header, objects)
            code.library = Library(objects, header, code.ops)
            if code.swapped is not None:
                code.swapped()
    except Exception as error:  # the first tier goes on
        warnings.warn(f"miniflow: no optimised code: {error}", RuntimeWarning, stacklevel=1)
    finally:
        code = reference()
        if code is not None:
            code.final.set()


@cache
def _version() -> bytes:
    """What compiled code depends on besides its program."""
    parts = [
        sys.version, sys.platform, sysconfig.get_platform(),
        importlib.import_module("llvmlite").__version__, llvm().llvm_version_info,
        *features(), lanes(), sorted(functions()), LAYOUT,
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


def lowered(program: Code) -> Code:
    """The program in terms of rows that there is code for, as far as can be."""
    return expanded(program, ROWS)


# --- built-in functions -------------------------------------------------------


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


FASTCALL_KEYWORDS = 0x82  # METH_FASTCALL | METH_KEYWORDS

_methods: list[_Method] = []  # a function reads its own even when it goes
_new = ctypes.pythonapi.PyCFunction_NewEx
_new.restype = ctypes.py_object
_new.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]


def builtin(library: Library, ways: list[Any], name: str) -> Callable[..., Any]:
    """The function ``entry`` of a library as a built-in function with these ways out."""
    method = _Method(name.encode(), library["entry"], FASTCALL_KEYWORDS, None)
    _methods.append(method)
    ways.append(library.ticket)  # the code lives as long as the function
    found: Callable[..., Any] = _new(ctypes.addressof(method), ways, None)
    return found


# --- batches ------------------------------------------------------------------

_BATCH = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, *[ctypes.c_void_p] * 3)


class Batched:
    """A program run over a batch, as machine code that needs no interpreter lock.

    Attributes:
        entry: the same as a built-in function on arrays, if there can be one.
    """

    def __init__(
        self, program: Code, shape: Shape, call: ArrayCall | None = None,
        otherwise: Callable[..., Any] | None = None, *, fma: bool, precise: bool,
    ) -> None:  # fmt: skip
        self.outputs = len(program.outputs)
        self.masked = bool(program.guards)
        self.lanes = lanes()
        fast = (frozenset(), frozenset()) if precise else (vectors(), inline())
        target = Target(self.lanes, fma, functions(), *fast)
        batch = Batch(expanded(program, ROWS.keys() | target.inline), target, shape)
        self.python = batch.calls_python
        if call is not None and not (makes(program, shape) and all(map(takes, call.args))):
            call = None
        self.scratch = batch.scratch
        what = "batch", shape, repr(call), treedef_key(program.result), fma, *map(sorted, fast)
        steps = (*batch.once.instructions, *batch.program.instructions)
        ops = dict.fromkeys(step.op for step in steps)
        made = digest(program, *what), lambda: batch.modules(call), ops
        self.entry: Entry | None = None
        if call is None:
            self.code = MachineCode(*made)
        else:
            ways = [otherwise, partial(new_rows, self.outputs)]
            self.entry = Entry(program.name, ways, *made)
            self.code = self.entry.code
        self._function: tuple[Library | None, Any] = None, None

    def __call__(self, columns: Any, uniform: Any, start: int, count: int, out: Any) -> Any:
        """Run over `count` elements from `start` on; `out` gets a row or a sum for each output.

        Returns whether each element has left the program's path.
        """
        import numpy

        library, known = self.code.library, self._function
        if known[0] is not library:
            self._function = known = library, _BATCH(library["batch"])
        groups = -(-count // self.lanes) if self.masked else 0
        failed = numpy.zeros(groups, dtype=numpy.uint8)
        scratch = numpy.empty(self.scratch + 8)
        aligned = _address(scratch)
        aligned += -aligned % 64
        columns_at = array("q", columns.starts(start))
        strides = array("q", columns.strides)
        where = _address(out)
        if out.ndim > 1:  # each output's elements in a row
            rows = array("q", [where + k * out.strides[0] for k in range(self.outputs)])
            where = rows.buffer_info()[0]
        for _ in range(2):  # a call that is missed may be another thread's
            before = _missed.value
            known[1](
                columns_at.buffer_info()[0], strides.buffer_info()[0], _address(uniform), count,
                where, _address(failed), aligned,
            )  # fmt: skip
            if not self.python:
                break
            raise_error()
            if _missed.value == before:
                break
        else:
            raise RecursionError("maximum recursion depth exceeded while a row was computed")
        if not self.masked:
            return numpy.zeros(count, dtype=bool)
        bits = numpy.unpackbits(failed[:, None], axis=1, bitorder="little")[:, : self.lanes]
        return bits.ravel()[:count]


def _address(x: Any) -> int:
    """Where a NumPy array's numbers are."""
    found: int = x.__array_interface__["data"][0]
    return found


class Scalar:
    """A program as a function from a list of floats (inputs, captured) to a list of floats."""

    def __init__(self, program: Code, *, fma: bool) -> None:
        leaves = [NUMBER_LEAF] * (program.inputs + len(program.captured))
        flat = Code(
            program.name, ("xs",), ((leaves,), {}), [NUMBER_LEAF] * len(program.outputs), (),
            program.constants, program.instructions, program.outputs, program.guards, {},
            program.places,
        )  # fmt: skip
        self.program = flat
        self.entry = entry(flat, self._otherwise, fma=fma)
        for k in range(len(program.guards)):
            self.entry.lead(k, lambda xs, k=k: diverge(flat, k))

    def __call__(self, xs: list[float]) -> list[float]:
        found: list[float] = self.entry.function(xs)
        return found

    def _otherwise(self, xs: list[float]) -> list[float]:
        """What is done if a row that Python computes has raised, here or in another thread."""
        raise_error()
        return self.program.evaluate([float(x) for x in xs])


def diverge(program: Code, guard: int) -> Any:
    """Say that a guard has failed."""
    raise PathError(program.name, guard)


class Entry:
    """A built-in function of machine code, and where it leads when it cannot answer.

    Attributes:
        function: the built-in function; it is replaced by that of the optimised code.
    """

    def __init__(
        self, name: str, ways: list[Any], key: str, modules: Callable[[], list[Module]],
        ops: Iterable[Op],
    ) -> None:  # fmt: skip
        self.name = name
        self.ways = ways
        self.listeners: list[Callable[[Callable[..., Any]], None]] = []
        mine = weakref.WeakMethod(self._swapped)
        with _lock:  # better code must not come in between
            self.code = MachineCode(key, modules, ops, lambda: _call(mine))
            self.function = builtin(self.code.library, self.ways, self.name)

    def lead(self, guard: int, way: Callable[..., Any]) -> None:
        """Where to go if a guard fails."""
        with _lock:
            self.ways[1 + guard] = way

    def fall(self, way: Callable[..., Any]) -> None:
        """Where to go if the arguments are not what the function takes."""
        with _lock:
            self.ways[0] = way

    def follow(self, listener: Callable[[Callable[..., Any]], None]) -> None:
        """Tell somebody the function, now and when there is a better one."""
        with _lock:
            self.listeners.append(listener)
            listener(self.function)

    def _swapped(self) -> None:
        with _lock:
            before = self.function  # it goes when nobody looks for it any more
            ways = self.ways[:-1]  # without what keeps the old code alive
            self.function = builtin(self.code.library, ways, self.name)
            self.ways = ways
            for listener in self.listeners:
                listener(self.function)
        del before


def entry(program: Code, otherwise: Callable[..., Any], *, fma: bool) -> Entry:
    """The built-in function of a program; `otherwise` is called where it cannot answer."""
    made = Builtin(lowered(program), Target(1, fma, functions(), frozenset()), lanes())
    ways = [otherwise, *[otherwise] * len(program.guards), program.rebuild, *[None] * SPARE]
    ops = dict.fromkeys(step.op for step in made.program.instructions)
    key = digest(
        program, "entry", treedef_key(program.arguments), treedef_key(made.result), made.whole, fma
    )
    return Entry(program.name, ways, key, made.modules, ops)


def _call(reference: "weakref.WeakMethod[Any]") -> None:
    method = reference()
    if method is not None:
        method()


def new_rows(count: int, length: int) -> list[Any]:
    """New arrays, in one piece of memory: that is used again, where many pieces would not be."""
    import numpy

    return [numpy.empty(length)] if count == 1 else list(numpy.empty((count, length)))
