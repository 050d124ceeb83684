"""The operation table's functions as methods of Values: ``v.tanh()``, and so ``np.tanh(v)``."""

from collections.abc import Callable
from typing import Any

from miniflow import ops
from miniflow.ops import Op
from miniflow.tape import refusals

# What NumPy calls on the elements of an object array, where its name is not the table's.
ALIASES = {
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "conjugate": "pos",
    "deg2rad": "radians",
    "rad2deg": "degrees",
    "fabs": "abs",
}

# NumPy's functions of a Value by their names, but no ufuncs: `miniflow.numpy_functions` fills it.
ARRAY_FUNCTIONS: dict[str, Callable[..., Any]] = {}


def install_all(kind: type, install: Callable[[type, str, Any], None]) -> None:
    """Give the class of Values a method for each row, and keep rows off its own names."""
    install(kind, "__module__", "miniflow")  # where users and pickles find it
    install(kind, "__init_subclass__", classmethod(refusals.no_subclass))
    install(kind, "__array_function__", array_function)
    ops.RESERVED.update(dir(kind), ALIASES)
    for name in (*ops.TABLE, *ALIASES):
        op = ops.TABLE[ALIASES.get(name, name)]
        if op.arity > 0:
            install(kind, name, method(op, name))


def array_function(self: Any, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's question before any function of a Value that is not a ufunc: ours, or NumPy's own."""
    ours = ARRAY_FUNCTIONS.get(function.__name__)
    if ours is not None:
        return ours(*args, **kwargs)
    import numpy

    return numpy.ndarray.__array_function__(numpy.empty(0), function, (), args, kwargs)


def method(op: Op, name: str) -> Any:
    """A row as a method."""

    def method(self: Any, *operands: Any) -> Any:
        return op(self, *operands)

    method.__name__ = name
    method.__qualname__ = f"Value.{name}"
    method.__doc__ = f"What `miniflow.ops.{op.name}` answers."
    return method


def bound(v: Any, name: str) -> Callable[..., Any]:
    """The method of a row that was defined later.

    Raises:
        AttributeError: there is no such row, or it takes a list.
    """
    op = ops.TABLE.get(ALIASES.get(name, name))
    if op is None or op.arity < 0:
        raise refusals.no_attribute(name)
    return method(op, name).__get__(v)
