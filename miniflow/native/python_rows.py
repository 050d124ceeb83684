"""Rows that Python computes, as C functions that machine code calls."""

import ctypes
import math
import threading
from collections.abc import Callable
from typing import Any

from miniflow.native.emitter import FAILED, MISSED

ROW = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.POINTER(ctypes.c_double), ctypes.c_int64)


_errors: dict[int, BaseException] = {}  # of rows that Python computes, by thread
_failed = ctypes.c_int64()  # how many: code looks at it when it is done
missed = ctypes.c_int64()  # calls of rows that did not get into Python
COUNTS = {FAILED: _failed, MISSED: missed}


def c_callback(value: Callable[..., float]) -> Any:
    """A row that Python computes, as a C function."""

    def row(operands: Any, n: int) -> float:
        try:
            found = float(value(*operands[:n]))
        except BaseException as error:  # raised again once the code is done
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
