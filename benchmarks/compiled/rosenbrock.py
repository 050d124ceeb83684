"""What Rosenbrock's function and its gradient cost, and compiling both."""

import time
from collections.abc import Callable, Sequence
from itertools import count, pairwise
from typing import Any

import numpy as np

import miniflow
from common import MissingError, peer
from compiled.c_code import SOURCES, c_rows, casadi_rows, generated, shared
from compiled.ours import flow, miniflow_ready
from compiled.peers import jax_row, micrograd_gradient, xad_gradient
from compiled.timing import Maker, Row, Settings, compare, table


def rosenbrock(x: Any, steepness: float = 100.0) -> Any:
    """Rosenbrock's function of the numbers x."""
    return sum(steepness * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def rosenbrock_of_arrays(x: Any) -> Any:
    """The same for array libraries."""
    a, b = x[:-1], x[1:]
    return (100 * (b - a * a) ** 2 + (1 - a) ** 2).sum()


def rosenbrock_in_loops(x: Any) -> Any:
    """The same and its gradient in scalar loops, for Numba."""
    n, g, value = len(x), np.empty(len(x)), 0.0
    for i in range(n - 1):
        a, b = x[i + 1] - x[i] * x[i], 1.0 - x[i]
        value += 100.0 * a * a + b * b
        g[i] = -400.0 * a * x[i] - 2.0 * b
    g[n - 1] = 0.0
    for i in range(1, n):
        g[i] += 200.0 * (x[i] - x[i - 1] * x[i - 1])
    return value, g


class Valley:
    """A point of Rosenbrock's function, and ways to compile it."""

    def __init__(self, n: int) -> None:
        self.n, self.x = n, np.random.default_rng(3).normal(size=n)
        self.steepness = count(101.0)  # each program is new, and in no cache

    def expected(self) -> Any:
        return miniflow.value_and_grad(rosenbrock)(self.x)

    def miniflow(self) -> list[Row]:
        f = miniflow_ready(flow.jit(flow.value_and_grad(rosenbrock)), self.x)
        return [Row("miniflow", f, (self.x,))]

    def c(self) -> list[Row]:
        outputs = [np.empty(1), np.empty(self.n)]
        return c_rows("C", "rosenbrock.c", ["-O3"], self.n, [self.x], outputs, 1000)

    def casadi_function(self) -> Any:
        casadi = peer("casadi")
        x = casadi.SX.sym("x", self.n)
        y = rosenbrock(casadi.vertsplit(x))
        return generated(casadi.Function("rosenbrock", [x], [y, casadi.gradient(y, x)]), "-O3")

    def casadi(self) -> list[Row]:
        outputs = [np.empty(1), np.empty(self.n)]
        return casadi_rows(self.casadi_function(), [self.x], outputs)

    def jax(self) -> list[Row]:
        return [jax_row(peer("jax").value_and_grad(rosenbrock_of_arrays), self.x)]

    def numba_function(self) -> Any:
        return peer("numba").njit(fastmath=True, error_model="numpy")(rosenbrock_in_loops)

    def numba(self) -> list[Row]:
        return [Row("Numba by hand", self.numba_function(), (self.x,))]

    def xad(self) -> list[Row]:
        peer("xad")
        return [Row("XAD", xad_gradient(rosenbrock), tuple(self.x.tolist()))]

    def micrograd(self) -> list[Row]:
        return [Row("micrograd", micrograd_gradient(rosenbrock), tuple(self.x.tolist()))]

    def makers(self, settings: Settings) -> list[Maker]:
        makers = [] if settings.peers else [self.miniflow]
        makers += [self.c, self.numba, self.jax, self.casadi, self.xad, self.micrograd]
        return makers

    def compile_miniflow(self) -> list[tuple[str, float]]:
        steepness = next(self.steepness)
        start = time.perf_counter()
        f = flow.jit(flow.value_and_grad(lambda x: rosenbrock(x, steepness)))
        f(self.x)
        first = time.perf_counter() - start
        miniflow_ready(f, self.x)
        return [("miniflow, optimised", time.perf_counter() - start), ("miniflow, first", first)]

    def compile_c(self) -> list[tuple[str, float]]:
        return elapsed("C: gcc", lambda: shared(SOURCES / "rosenbrock.c", "-O3"))

    def compile_casadi(self) -> list[tuple[str, float]]:
        peer("casadi")
        return elapsed("CasADi: code and gcc", self.casadi_function)

    def compile_jax(self) -> list[tuple[str, float]]:
        jax = peer("jax")
        f = jax.value_and_grad(lambda x: rosenbrock_of_arrays(x))  # new to its cache
        return elapsed("JAX, first call", lambda: jax.block_until_ready(jax.jit(f)(self.x)))

    def compile_numba(self) -> list[tuple[str, float]]:
        peer("numba")
        return elapsed("Numba, first call", lambda: self.numba_function()(self.x))

    def compilers(self, settings: Settings) -> list[Callable[[], list[tuple[str, float]]]]:
        makers = [] if settings.peers else [self.compile_miniflow]
        return [*makers, self.compile_casadi, self.compile_c, self.compile_jax, self.compile_numba]


def elapsed(name: str, call: Callable[[], object]) -> list[tuple[str, float]]:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return [(name, time.perf_counter() - start)]


def compile_times(title: str, makers: Sequence[Any], repeats: int) -> dict[str, Any]:
    """The contenders' times to compile, in turns."""
    print(f"\n{title}\n")
    times: dict[str, list[float]] = {}
    for _ in range(repeats):
        for maker in makers:
            try:
                for name, seconds in maker():
                    times.setdefault(name, []).append(seconds)
            except MissingError as reason:
                print(f"  (left out: {reason})")
    return {"title": title, "rows": table(list(times), list(times.values()))}


def case_c(settings: Settings) -> list[dict[str, Any]]:
    """Rosenbrock's function of 1,000 numbers."""
    data = Valley(1_000)
    title = "(c) Rosenbrock, n = 1,000, value and gradient"
    figures = compare(title, data.makers(settings), data.expected(), settings)
    title = "(c) Rosenbrock, n = 1,000, time to compile value and gradient"
    compilers = data.compilers(settings)
    return [figures, compile_times(title, compilers, 1 if settings.quick else 3)]
