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

from miniflow.native.machine import llvm, lock
from miniflow.native.python_rows import COUNTS, c_callback
from miniflow.ops import TABLE, Op

POINTER = ctypes.sizeof(ctypes.c_void_p)


@cache
def linker() -> Any:
    """What puts compiled code into memory."""
    target = llvm().Target.from_default_triple()
    return llvm().create_lljit_compiler(target.create_target_machine(jit=True))


_library_numbers = count()
_loaded: dict[int, Any] = {}  # code in memory, by the numbers of tickets


class Ticket(int):
    """What keeps code in memory: when the last one of a number goes, so does the code.

    Finalizers of garbage run in any order, and may call what is garbage with them. The collector
    does not look at a ticket, so it goes when nothing can be called any more.
    """

    __slots__ = ()

    def __init__(self, _: int) -> None:
        ctypes.pythonapi.PyObject_GC_UnTrack(ctypes.py_object(self))

    def __del__(self, lock: Any = lock, drop: Callable[..., Any] = _loaded.pop) -> None:
        with lock:
            drop(int(self), None)


class Library:
    """Compiled modules in memory, with the addresses that they need filled in."""

    def __init__(self, objects: Sequence[bytes], header: Any, ops: Iterable[Op] = ()) -> None:
        rows = {op.name: op for op in ops}
        with lock:
            builder = llvm().JITLibraryBuilder().add_current_process()
            for code, (_, exports) in zip(objects, header, strict=True):
                builder.add_object_img(code)
                for name in exports:
                    builder.export_symbol(name)
            number = next(_library_numbers)
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
            self.kept.append(COUNTS[name])
            return ctypes.addressof(COUNTS[name])
        if kind == "row":
            callback = c_callback(rows[rest].value)
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
