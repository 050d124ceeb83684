"""Is a Python function a formula of rows, which does to Values what it does to floats?

Its bytecode says so: it only adds, subtracts, multiplies and calls rows. A function that branches,
divides by Python's ``/`` (which raises), looks its operand up or asks for its type may answer
otherwise for a Value; so may one with an instruction that is not known here.
"""

import types
from collections.abc import Callable, Iterator
from typing import Any

from miniflow import math, ops

FORMULA_INSTRUCTIONS = frozenset((
    "RESUME", "NOP", "CACHE", "PRECALL", "CALL", "PUSH_NULL", "COPY", "SWAP", "EXTENDED_ARG",
    "COPY_FREE_VARS", "LOAD_FAST", "LOAD_FAST_LOAD_FAST", "LOAD_FAST_CHECK", "STORE_FAST",
    "STORE_FAST_LOAD_FAST", "STORE_FAST_STORE_FAST", "UNARY_NEGATIVE", "RETURN_VALUE",
))  # fmt: skip
FORMULA_SIGNS = frozenset(("+", "-", "*", "+=", "-=", "*="))
LARGEST_INT = 2**53  # up to which ints are doubles
DEEPEST = 8  # functions that call functions


def is_formula(f: Callable[..., Any], depth: int = 0) -> bool:
    """Whether a function consists of sums, differences, products and rows of the table."""
    if not isinstance(f, types.FunctionType) or depth == DEEPEST:
        return False
    return all(x is not None and _is_row(x, depth) for x in _formula_parts(f))


def _formula_parts(f: types.FunctionType) -> Iterator[Any]:
    """What a function is made of, beyond its operands; None for what cannot be in a formula."""
    from dis import get_instructions  # slow to import, seldom used

    cells = dict(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))
    module: Any = None  # the module whose attribute comes next
    for step in get_instructions(f):
        name, what = step.opname, step.argval
        if name in ("LOAD_GLOBAL", "LOAD_DEREF"):
            cell = cells.get(what)
            found = f.__globals__.get(what) if cell is None else cell.cell_contents
            module = found if found is math or found is ops else None
            if module is None:
                yield abs if what == "abs" and found is None else found
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            yield getattr(module, what, None)
            module = None
        elif name == "LOAD_CONST":
            yield (
                None if type(what) not in (float, int) or abs(what) > LARGEST_INT else ops.constant
            )
        elif name == "BINARY_OP":
            yield ops.constant if step.argrepr in FORMULA_SIGNS else None
        elif name not in FORMULA_INSTRUCTIONS:
            yield None


def _is_row(x: Any, depth: int) -> bool:
    return x is abs or isinstance(x, ops.Op) or is_formula(x, depth + 1)
