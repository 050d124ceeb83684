"""Built-in functions of machine code: what Python calls, and where they lead."""

import ctypes
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from miniflow.native import machine, probe
from miniflow.native.emitter import ModuleText, Target
from miniflow.native.link import Library, spare_methods
from miniflow.native.machine import lock
from miniflow.native.parts import outline
from miniflow.native.python_rows import raise_error
from miniflow.native.rows import ROWS
from miniflow.native.scalar_wrapper import SPARE, ScalarWrapper
from miniflow.native.tiers import MachineCode, Search, digest
from miniflow.ops import Op
from miniflow.program.expand import expanded
from miniflow.program.ir import Code, PathError
from miniflow.program.structures import NUMBER_LEAF


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


FASTCALL_KEYWORDS = 0x82  # METH_FASTCALL | METH_KEYWORDS

_new = ctypes.pythonapi.PyCFunction_NewEx
_new.restype = ctypes.py_object
_new.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]


def _new_method() -> _Method:
    """One that no function uses, or any more."""
    with suppress(IndexError):
        return spare_methods.pop()  # type: ignore[no-any-return]
    method = _Method(flags=FASTCALL_KEYWORDS)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(method))  # it is never freed
    return method


def new_builtin(library: Library, callables: list[Any], name: str) -> Callable[..., Any]:
    """The function ``entry`` of a library as a built-in function that leads to these callables."""
    method = _new_method()
    method.name, method.function = name.encode(), library["entry"]
    library.methods.append(method)  # to be used again
    callables.append(library.ticket)  # the code lives as long as the function
    found: Callable[..., Any] = _new(ctypes.addressof(method), callables, None)
    return found


class BuiltinFunction:
    """A built-in function of machine code, and where it leads when it cannot answer.

    Attributes:
        function: the built-in function; it is replaced by that of the optimised code.
    """

    def __init__(
        self, name: str, callables: list[Any], key: str, modules: Callable[[], list[ModuleText]],
        ops: Iterable[Op], functions: tuple[str, ...] = ("entry",), search: Search | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.callables = callables
        self.listeners: list[Callable[[Callable[..., Any]], None]] = []
        self.function: Any = None
        swapped = partial(_call_alive, weakref.WeakMethod(self._swapped))
        self.code = MachineCode(key, modules, ops, functions, name, swapped, search)
        with lock:
            self.function = new_builtin(self.code.library, self.callables, self.name)

    def set_side_exit(self, guard: int, function: Callable[..., Any]) -> None:
        """Where to go if a guard fails."""
        with lock:
            self.callables[1 + guard] = function

    def set_fallback(self, function: Callable[..., Any]) -> None:
        """Where to go if the arguments are not what the function takes."""
        with lock:
            self.callables[0] = function

    def follow(self, listener: Callable[[Callable[..., Any]], None]) -> None:
        """Call `listener` with the function, now and when there is a better one."""
        with lock:
            self.listeners.append(listener)
            listener(self.function)

    def _swapped(self) -> None:
        with lock:
            if self.function is None:  # it will be of the better code at once
                return
            before = self.function  # it is freed once the lock is released
            callables = self.callables[:-1]  # without what keeps the old code alive
            self.function = new_builtin(self.code.library, callables, self.name)
            self.callables = callables
            for listener in self.listeners:
                listener(self.function)
        del before


def make_builtin(program: Code, fallback: Callable[..., Any], *, fma: bool) -> BuiltinFunction:
    """The built-in function of a program; `fallback` is called where it cannot answer."""
    made = ScalarWrapper(
        expanded(program, ROWS), Target(1, fma, probe.functions(), frozenset()), machine.lanes()
    )
    callables = [fallback, *[fallback] * len(program.guards), program.rebuild, *[None] * SPARE]
    callables += made.constants_of
    ops = dict.fromkeys(step.op for step in made.program.instructions)
    key = digest(
        program,
        "entry",
        *map(outline, (list(program.arguments[0]), program.arguments[1], made.result)),
        made.whole,
        fma,
        tuple(program.ints),
    )
    return BuiltinFunction(program.name, callables, key, made.modules, ops)


def _call_alive(reference: "weakref.WeakMethod[Any]") -> None:
    method = reference()
    if method is not None:
        method()


class ScalarFunction:
    """A program as a function from a list of floats (inputs, captured) to a list of floats."""

    def __init__(self, program: Code, *, fma: bool) -> None:
        leaves = [NUMBER_LEAF] * (program.inputs + len(program.captured))
        flat = Code(
            program.name, ("xs",), ((leaves,), {}), [NUMBER_LEAF] * len(program.outputs), (),
            program.constants, program.instructions, program.outputs, program.guards, {},
            program.finder,
        )  # fmt: skip
        self.program = flat
        self.builtin = make_builtin(flat, self._fallback, fma=fma)
        for k in range(len(program.guards)):
            self.builtin.set_side_exit(k, lambda xs, k=k: diverge(flat, k))

    def __call__(self, xs: list[float]) -> list[float]:
        found: list[float] = self.builtin.function(xs)
        return found

    def _fallback(self, xs: list[float]) -> list[float]:
        """What is done if a row that Python computes has raised, here or in another thread."""
        raise_error()
        return self.program.evaluate([float(x) for x in xs])


def diverge(program: Code, guard: int) -> Any:
    """Say that a guard has failed."""
    raise PathError(program.name, guard)
