"""The machine that code is compiled for: LLVM, the processor, and what makes object code."""

import importlib
import sysconfig
import threading
from functools import cache
from types import ModuleType
from typing import Any

from miniflow.native.emitter import ModuleText

QUICK, OPTIMISED = 0, 2  # LLVM's levels of optimisation of the two tiers

lock = threading.RLock()  # whatever compiles, loads or links


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


@cache
def machine(level: int) -> Any:
    """What compiles for this machine."""
    cpu, flags = features()
    target = llvm().Target.from_default_triple()
    return target.create_target_machine(
        cpu=cpu, features=flags, opt=level, reloc="pic", codemodel="jitdefault", jit=True
    )


def compiled(module: ModuleText, level: int) -> bytes:
    """The object code of a module."""
    with lock, llvm().parse_assembly(module.text) as parsed:
        found: bytes = machine(level).emit_object(parsed)
    return found
