"""Which functions of the C library, of its vector library and of our own agree with the table."""

import ctypes
import math
from functools import cache
from itertools import chain

from miniflow.native import machine
from miniflow.native.emitter import Emitter, Imports, Target
from miniflow.native.link import Library, libm, libmvec, vector_name
from miniflow.native.rows import C_LIBRARY
from miniflow.native.vector_math import FUNCTIONS
from miniflow.ops import TABLE

ULPS = 4  # how far a vector function may be off


# Where functions are compared with Python's.
POINTS = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 0.1, 0.7, -0.3, 1.5, 3.0, -3.0, 10.0, -10.0, 25.3,
    1e-3, -1e-5, 1e-9, 1e-300, 5e-324, -5e-324, 1e3, -1e3, 709.0, -745.0, 1e5, 1e22, -1e300,
    math.inf, -math.inf, math.nan, math.pi, -math.pi / 2, 0.9999999, 1.0000001,
]  # fmt: skip


def _sample_points(name: str) -> list[tuple[float, ...]]:
    points = [POINTS, POINTS[::-1], POINTS[5:] + POINTS[:5]]
    shifted = [
        (points[0][k], points[1][(3 * k) % len(POINTS)], points[2][k]) for k in range(len(POINTS))
    ]
    return [x[: TABLE[name].arity] for x in shifted + [x[::-1] for x in shifted]]


@cache
def functions() -> frozenset[str]:
    """Rows that the C library computes exactly as the table does."""
    return frozenset(name for name in C_LIBRARY if _agrees(name))


def _agrees(name: str) -> bool:
    try:
        f = getattr(libm(), name)
    except AttributeError:
        return False
    row = TABLE[name]
    f.restype, f.argtypes = ctypes.c_double, [ctypes.c_double] * row.arity
    # squares are the row's own, not the library's
    points = [x for x in _sample_points(name) if name != "pow" or x[1] != 2.0]
    return all(_same(f(*x), row.value(*x)) for x in points)


def _same(a: float, b: float) -> bool:
    return a.hex() == b.hex()


@cache
def vectors() -> frozenset[str]:
    """Rows that the vector library computes closely enough."""
    names = frozenset(name for name in functions() if _has_vector(name))
    return _close(names, Target(machine.lanes(), False, functions(), names))


@cache
def inline() -> frozenset[str]:
    """Rows that are instructions in place, where they are close enough."""
    names = frozenset(FUNCTIONS if machine.fuses() else ())
    return _close(names, Target(machine.lanes(), False, functions(), frozenset(), names))


def _close(names: frozenset[str], target: Target) -> frozenset[str]:
    """The rows that are within ULPS units in the last place at all samples."""
    if not names:
        return names
    imports = Imports()
    bodies = [_probe(imports, target, name) for name in sorted(names)]
    module = imports.module(bodies, [f"probe.{name}" for name in sorted(names)], "probe")
    library = Library([machine.compiled(module, machine.QUICK)], [(module.imports, module.exports)])
    return frozenset(name for name in names if _is_close(library, name))


def _has_vector(name: str) -> bool:
    return libmvec() is not None and hasattr(libmvec(), vector_name(name, machine.lanes()))


def _probe(imports: Imports, target: Target, name: str) -> str:
    """A function that applies another one to lanes in memory."""
    e = Emitter(imports, target)
    arity = TABLE[name].arity
    places = [e(f"getelementptr double, ptr %in, i64 {k * e.lanes}") for k in range(arity)]
    xs = [e(f"load {e.type}, ptr {place}, align 8") for place in places]
    y = FUNCTIONS[name](e, *xs) if name in target.inline else e.libm(name, *xs)
    lines = "\n".join([*e.lines, f"store {e.type} {y}, ptr %out, align 8", "ret void"])
    return f'define void @"probe.{name}"(ptr %in, ptr %out) {{\n{lines}\n}}'


def _is_close(library: Library, name: str) -> bool:
    row, width = TABLE[name], machine.lanes()
    probe = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(library[f"probe.{name}"])
    points = _sample_points(name)
    points += points[: -len(points) % width]
    out = (ctypes.c_double * width)()
    for k in range(0, len(points), width):
        group = points[k : k + width]
        operands = list(chain.from_iterable(zip(*group, strict=True)))
        probe((ctypes.c_double * len(operands))(*operands), out)
        if not all(_near(y, row.value(*x)) for x, y in zip(group, out, strict=True)):
            return False
    return True


def _near(got: float, expected: float) -> bool:
    if got == expected or (got != got and expected != expected):
        return math.copysign(1.0, got) == math.copysign(1.0, expected) or got != got
    return abs(got - expected) <= ULPS * math.ulp(expected)
