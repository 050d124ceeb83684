"""How C takes part in jit.py, by hand or CasADi's: made by gcc, called with its buffers bound."""

import ctypes
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np

from common import MissingError, peer
from compiled.timing import Row

SOURCES = Path(__file__).parent.parent / "c"


@cache
def folder() -> TemporaryDirectory[str]:
    """Where compiled code is kept until the end."""
    return TemporaryDirectory(prefix="miniflow-bench-")


def shared(source: Path, *flags: str) -> Path:
    """A C source as a shared library."""
    if which("gcc") is None:
        raise MissingError("there is no gcc")
    made = Path(mkdtemp(dir=folder().name)) / f"{source.stem}.o"
    library = made.with_suffix(".so")
    options = ["-march=native", "-fopenmp-simd", "-fPIC"]
    subprocess.run(["gcc", *flags, *options, "-c", source, "-o", made], check=True)
    # without -Ofast: where that links, denormals become 0 in the whole process
    subprocess.run(["gcc", "-shared", made, "-o", library, "-lm"], check=True)
    return library


def pointers(arrays: Sequence[Any]) -> Any:
    """The arrays' addresses, as C takes them."""
    if not all(x.dtype == np.float64 and x.flags.c_contiguous for x in arrays):
        raise TypeError("C takes contiguous arrays of doubles")
    return (ctypes.c_void_p * len(arrays))(*[x.ctypes.data for x in arrays])


def c_rows(
    name: str, source: str, flags: Sequence[str], n: int, inputs: Sequence[Any],
    outputs: Sequence[Any], net: int = 0,
) -> list[Row]:  # fmt: skip
    """C called through ctypes with all its buffers bound; also without the call if `net`."""
    library = ctypes.CDLL(str(shared(SOURCES / source, *flags)))
    library.kernel.restype = library.repeat.restype = None
    args = (ctypes.c_long(n), pointers(inputs), pointers(outputs))
    kept = (inputs, outputs)  # alive as long as the row is
    rows = [Row(name, library.kernel, args, lambda _: kept[1])]
    if net:
        looped = (ctypes.c_long(net), *args)
        rows.append(Row(f"{name}, net of the call", library.repeat, looped, lambda _: kept[1], net))
    return rows


def generated(function: Any, flag: str) -> Any:
    """A function of CasADi's as compiled C."""
    casadi, where = peer("casadi"), Path(folder().name)
    code = casadi.CodeGenerator(f"{function.name()}.c")
    code.add(function)
    code.generate(f"{where}/")
    return casadi.external(function.name(), str(shared(where / f"{function.name()}.c", flag)))


def casadi_rows(function: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> list[Row]:
    """A function of CasADi's, called through its buffers."""
    buffer, call = function.buffer()
    for k, x in enumerate(inputs):
        buffer.set_arg(k, memoryview(x))
    for k, y in enumerate(outputs):
        buffer.set_res(k, memoryview(y))
    kept = (function, buffer, inputs, outputs)
    return [Row("CasADi", call, (), lambda _: kept[3])]
