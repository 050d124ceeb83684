"""miniflow: reverse-mode automatic differentiation of scalar Python."""

import importlib as _importlib
import typing as _typing

from miniflow import linalg, math
from miniflow import numpy_functions as _numpy_functions  # noqa: F401 - NumPy finds them
from miniflow.ops import define
from miniflow.tape.core import Value, engine
from miniflow.tape.grad_mode import no_grad
from miniflow.tape.gradient_tape import Entry, Tape, scope
from miniflow.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

if _typing.TYPE_CHECKING:
    from miniflow.compiled.jit import jit
    from miniflow.compiled.vmap import vmap
    from miniflow.implicit import root
    from miniflow.program.program import Program
    from miniflow.program.trace import trace

__version__ = "0.1.0"

__all__ = [
    "Entry",
    "Program",
    "Tape",
    "Value",
    "__version__",
    "define",
    "engine",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jit",
    "jvp",
    "linalg",
    "math",
    "no_grad",
    "root",
    "scope",
    "trace",
    "value_and_grad",
    "vjp",
    "vmap",
]

# what not everybody needs is loaded when it is asked for
_LATER = {
    "Program": "miniflow.program.program",
    "jit": "miniflow.compiled.jit",
    "root": "miniflow.implicit",
    "trace": "miniflow.program.trace",
    "vmap": "miniflow.compiled.vmap",
}
_MODULES = ("debug", "lesson", "nn", "optim", "train")


def __getattr__(name: str) -> _typing.Any:
    if name in _MODULES:
        return _importlib.import_module(f"miniflow.{name}")
    if name not in _LATER:
        there = f"; it is miniflow.math.{name}" if name in math.__all__ else ""
        raise AttributeError(f"module 'miniflow' has no attribute {name!r}{there}")
    found = globals()[name] = getattr(_importlib.import_module(_LATER[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
