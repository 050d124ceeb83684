"""Loading: object code in memory, with the addresses that it needs filled in."""

import ctypes
import importlib
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import count
from typing import Any

from miniflow.native.emitter import interface_number
from miniflow.native.machine import llvm, lock
from miniflow.native.python_rows import COUNTS, c_callback
from miniflow.ops import TABLE, Op

POINTER = ctypes.sizeof(ctypes.c_void_p)

# What other modules have for code to refer to, by name: what says where it stands.
GIVEN_ADDRESSES: dict[str, Callable[[], int]] = {}

LIBRARIES = 64  # that one loader takes: what it knows of each stays for as long as it does


class Loader:
    """What puts compiled code into memory; it goes with the last code that it has put there."""

    def __init__(self) -> None:
        target = llvm().Target.from_default_triple()
        self.compiler = llvm().create_lljit_compiler(target.create_target_machine(jit=True))
        self.count = 0

    def link(self, objects: Sequence[bytes], exports: Iterable[str]) -> Any:
        """Load some objects: what keeps them in memory and knows where they are."""
        builder = llvm().JITLibraryBuilder().add_current_process()
        for code in objects:
            builder.add_object_img(code)
        for name in exports:
            builder.export_symbol(name)
        self.count += 1
        return builder.link(self.compiler, f"miniflow{self.count}")


_ticket_numbers = count()
_newest: list[Loader] = []
_loaded: dict[int, list[Any]] = {}  # by the numbers of tickets: what goes, in this order
_dropped: list[int] = []  # numbers of tickets that are gone

# CPython's PyMethodDefs that no function uses any more. They are never freed: a function reads
# its own even while it goes, and at the very end of the interpreter.
spare_methods: list[Any] = []


def free_dropped(
    dropped: list[int] = _dropped, loaded: dict[int, list[Any]] = _loaded,
    spare: list[Any] = spare_methods,
) -> None:  # fmt: skip
    """Free code that nobody can call any more; the caller has the lock."""
    while dropped:
        parts = loaded.pop(dropped.pop(), [])
        spare += parts.pop() if parts else []
        while parts:
            del parts[0]


class Ticket(int):
    """What keeps code in memory: when the last one of a number goes, so does the code.

    Finalizers of garbage run in any order, and may call what is garbage with them. The collector
    does not look at a ticket, so it goes when nothing can be called any more.
    """

    __slots__ = ()

    def __init__(self, _: int) -> None:
        ctypes.pythonapi.PyObject_GC_UnTrack(ctypes.py_object(self))

    def __del__(
        self, lock: Any = lock, dropped: list[int] = _dropped,
        free: Callable[[], None] = free_dropped,
    ) -> None:  # fmt: skip
        dropped.append(int(self))
        if lock.acquire(blocking=False):  # else it is freed when the next code is loaded
            try:
                free()
            finally:
                lock.release()


class Library:
    """Compiled modules in memory, with the addresses that they need filled in."""

    def __init__(self, objects: Sequence[bytes], header: Any, ops: Iterable[Op] = ()) -> None:
        rows = {op.name: op for op in ops}
        names = [name for _, exports in header for name in exports]
        self.kept: list[Any] = []
        self.methods: list[Any] = []
        with lock:
            free_dropped()
            if not _newest or _newest[0].count >= LIBRARIES:
                _newest[:] = [Loader()]
            tracker = _newest[0].link(objects, names)
            number = next(_ticket_numbers)
            _loaded[number] = [tracker, self.kept, _newest[0], self.methods]
        self.addresses: dict[str, int] = {name: tracker[name] for name in names}
        self.ticket = Ticket(number)
        for imports, exports in header:
            place = self[exports[-1]]
            if ctypes.c_int64.from_address(place).value != interface_number(imports, exports):
                raise RuntimeError(f"code that is not what its header says: {exports}")
            table = (ctypes.c_void_p * len(imports)).from_address(place)
            for k, name in enumerate(imports):
                table[k] = self._address(name, rows)

    def __getitem__(self, name: str) -> int:
        return self.addresses[name]

    def _address(self, name: str, rows: dict[str, Op]) -> int:
        kind, _, rest = name.partition(".")
        if name in COUNTS:
            self.kept.append(COUNTS[name])
            return ctypes.addressof(COUNTS[name])
        if kind == "row":
            callback = c_callback(rows[rest].value)
            self.kept.append(callback)
            return _pointer(callback)
        if kind == "here":
            return self[rest]
        return address(name)


PYTHON_TYPES: dict[str, type] = {
    f"Py{x.__name__.capitalize()}_Type": x for x in (float, list, tuple, dict, bool, type)
} | {"PyLong_Type": int}


def give_address(name: str, place: Callable[[], int]) -> None:
    """Let code refer to something by name; `place` says where it stands."""
    GIVEN_ADDRESSES[name] = place


@cache
def address(name: str) -> int:
    """Where something stands that code refers to by name."""
    kind, _, rest = name.partition(".")
    if name in GIVEN_ADDRESSES:
        return GIVEN_ADDRESSES[name]()
    if name in PYTHON_TYPES:
        return id(PYTHON_TYPES[name])
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
