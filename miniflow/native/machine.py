"""The machine that code is compiled for: LLVM, the processor, and what makes object code."""

import ctypes
import importlib
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from miniflow.native.emitter import ModuleText

QUICK, OPTIMISED = 0, 2  # LLVM's levels of optimisation of the two tiers

# Whatever loads, links or frees code, but nothing that takes long: fork waits for it.
lock = threading.RLock()


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


# --- object code --------------------------------------------------------------


@cache
def _free(name: str) -> Callable[..., Any]:
    """A function of LLVM's without llvmlite's lock, for which everybody would wait.

    What is compiled has a context and a target of its own, so others may compile meanwhile; and
    a process that is forked meanwhile finds nothing locked.
    """
    library = importlib.import_module("llvmlite.binding.ffi").lib
    found = getattr(ctypes.CDLL(library._name, handle=library._handle), f"LLVMPY_{name}")
    guarded = getattr(library, f"LLVMPY_{name}")
    found.argtypes, found.restype = guarded.argtypes, guarded.restype
    return found  # type: ignore[no-any-return]


@contextmanager
def _made(what: Any, dispose: str) -> Iterator[Any]:
    """Something of LLVM's, until the end of the block."""
    try:
        yield what
    finally:
        if what:
            _free(dispose)(what)


_own = threading.local()


def _target(level: int) -> Any:
    """What compiles for this machine, on this thread."""
    found: dict[int, Any] = vars(_own).setdefault("targets", {})
    if level not in found:
        cpu, flags = features()
        with lock:
            triple = llvm().Target.from_default_triple()
            found[level] = triple.create_target_machine(
                cpu=cpu, features=flags, opt=level, reloc="pic", codemodel="jitdefault", jit=True
            )
    return found[level]


def compiled(module: ModuleText, level: int) -> bytes:
    """The object code of a module.

    Raises:
        RuntimeError: LLVM does not understand the module.
    """
    error, text = ctypes.c_char_p(), module.text.encode()
    parse, emit = _free("ParseAssembly"), _free("TargetMachineEmitToMemory")
    with (
        _made(_free("ContextCreate")(), "ContextDispose") as context,
        _made(parse(context, text, ctypes.byref(error)), "DisposeModule") as parsed,
    ):
        _complain_of(error)
        code = emit(_target(level), parsed, 1, ctypes.byref(error))
        with _made(code, "DisposeMemoryBuffer"):
            _complain_of(error)
            return ctypes.string_at(_free("GetBufferStart")(code), _free("GetBufferSize")(code))


def _complain_of(error: ctypes.c_char_p) -> None:
    if error.value:
        raise RuntimeError(f"LLVM: {error.value.decode(errors='replace')}")
