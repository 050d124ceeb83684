"""miniflow: reverse-mode automatic differentiation of scalar Python."""

from miniflow import math
from miniflow.ops import define
from miniflow.scope import Entry, Tape
from miniflow.tape import Value, no_grad
from miniflow.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"

__all__ = [
    "Entry",
    "Tape",
    "Value",
    "__version__",
    "define",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "math",
    "no_grad",
    "value_and_grad",
    "vjp",
]
