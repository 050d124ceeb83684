"""What one call costs."""

import ctypes
import math
from typing import Any

from common import peer
from compiled.c_code import SOURCES, shared
from compiled.ours import flow, miniflow_ready
from compiled.timing import Maker, Row, Settings, compare


def multiply_add(x: Any, y: Any) -> Any:
    """The smallest function."""
    return x * y + x


class Call:
    """Callers of the smallest function."""

    args, answer = (1.5, 2.5), 5.25

    def miniflow(self) -> list[Row]:
        return [Row("miniflow", miniflow_ready(flow.jit(multiply_add), *self.args), self.args)]

    def python(self) -> list[Row]:
        return [
            Row("math.hypot: another function", math.hypot, self.args, lambda _: self.answer),
            Row("plain Python", multiply_add, self.args),
        ]

    def c(self) -> list[Row]:
        f = ctypes.CDLL(str(shared(SOURCES / "call.c", "-O3"))).f
        f.argtypes, f.restype = [ctypes.c_double] * 2, ctypes.c_double
        return [Row("C through ctypes", f, self.args)]

    def numba(self) -> list[Row]:
        return [Row("Numba", peer("numba").njit(multiply_add), self.args)]

    def jax(self) -> list[Row]:
        return [Row("JAX", peer("jax").jit(multiply_add), self.args)]

    def makers(self, settings: Settings) -> list[Maker]:
        makers = [] if settings.peers else [self.miniflow]
        return [*makers, self.python, self.c, self.numba, self.jax]


def case_f(settings: Settings) -> list[dict[str, Any]]:
    """The cost of a call."""
    title = "(f) One call of x*y + x with floats, from Python"
    return [compare(title, Call().makers(settings), Call.answer, settings)]
