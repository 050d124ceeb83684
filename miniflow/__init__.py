"""miniflow: reverse-mode automatic differentiation of scalar Python."""

from miniflow import math
from miniflow.batch import vmap
from miniflow.jit import jit
from miniflow.ops import define
from miniflow.program import Program, trace
from miniflow.scope import Entry, Tape
from miniflow.tape import Value, no_grad
from miniflow.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"

__all__ = [
    "Entry",
    "Program",
    "Tape",
    "Value",
    "__version__",
    "define",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jit",
    "jvp",
    "math",
    "no_grad",
    "trace",
    "value_and_grad",
    "vjp",
    "vmap",
]
