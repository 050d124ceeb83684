"""What the prices of options and their derivatives cost."""

import math
import subprocess
from collections.abc import Callable
from functools import partial
from shutil import which
from typing import Any

import numpy as np

import miniflow
from common import peer
from compiled.c_code import SOURCES, c_rows, casadi_rows, generated, shared
from compiled.ours import flow, miniflow_ready
from compiled.peers import (
    autograd_math,
    casadi_math,
    jax_math,
    jax_row,
    tensors,
    xad_gradient,
    xad_math,
)
from compiled.timing import Maker, Row, Settings, compare

SQRT2 = math.sqrt(2.0)


def price(
    spot: Any, strike: Any, rate: Any, volatility: Any, t: Any, m: Any = miniflow.math
) -> Any:
    """Black and Scholes' price of a call option that matures after time t."""

    def cdf(x: Any) -> Any:
        return 0.5 * (1 + m.erf(x / SQRT2))

    deviation = volatility * m.sqrt(t)
    d1 = (m.log(spot / strike) + (rate + 0.5 * volatility * volatility) * t) / deviation
    return spot * cdf(d1) - strike * m.exp(-rate * t) * cdf(d1 - deviation)


def greeks(spot: Any, strike: Any, rate: Any, volatility: Any, t: Any) -> Any:
    """The price and its five derivatives by hand, for Numba."""
    root = math.sqrt(t)
    deviation = volatility * root
    d1 = (math.log(spot / strike) + rate * t) / deviation + 0.5 * deviation
    p1 = 0.5 * (1.0 + math.erf(d1 / SQRT2))
    p2 = 0.5 * (1.0 + math.erf((d1 - deviation) / SQRT2)) * math.exp(-rate * t)
    slope = spot * math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    present = strike * p2
    by_t = 0.5 * slope * volatility / root + rate * present
    return spot * p1 - present, p1, -p2, t * present, slope * root, by_t


class Options:
    """Options: one, or n of them as five columns."""

    def __init__(self, n: int) -> None:
        random, self.n = np.random.default_rng(2), n
        ranges = ((50.0, 150.0), (50.0, 150.0), (0.0, 0.1), (0.1, 0.6), (0.1, 3.0))
        self.columns = tuple(random.uniform(*limits, n) for limits in ranges)
        self.point = tuple(float(column[0]) for column in self.columns)

    def outputs(self) -> list[Any]:
        return list(np.empty((6, self.n)))

    def expected(self) -> Any:
        """By miniflow without compiling for one, by hand for more."""
        if self.n == 1:
            value, slopes = miniflow.value_and_grad(price, range(5))(*self.point)
            return [value, *slopes]
        rows = zip(*[column.tolist() for column in self.columns], strict=True)
        return list(np.array([greeks(*row) for row in rows]).T)

    def miniflow(self) -> list[Row]:
        both = flow.value_and_grad(price, (0, 1, 2, 3, 4))
        f = flow.jit(both) if self.n == 1 else flow.vmap(both, threads=1)
        args = self.point if self.n == 1 else self.columns
        return [Row("miniflow", miniflow_ready(f, *args), args, lambda y: [y[0], *y[1]])]

    def c(self) -> list[Row]:
        if self.n == 1:
            return self.c_point()
        return c_rows("C", "black_scholes.c", ["-Ofast"], self.n, self.columns, self.outputs())

    def with_numbers(self, row: Row, inputs: Any, outputs: Any) -> Row:
        """The row with its buffers filled from numbers, and read into numbers, in each call."""
        x: Any = memoryview(inputs[:, 0])
        y, call, args = outputs[:, 0], row.call, row.args

        def called(*numbers: float) -> Any:
            x[0], x[1], x[2], x[3], x[4] = numbers
            call(*args)
            return y.tolist()

        kept = (row, inputs, outputs)
        return Row(row.name, called, self.point, lambda y: (y, kept)[0])

    def c_point(self) -> list[Row]:
        """C called with numbers for numbers; and net of the call."""
        x, y = np.array(self.point)[:, None], np.empty((6, 1))
        row, net = c_rows("C", "black_scholes.c", ["-Ofast"], 1, [*x], [*y], 1000)
        return [self.with_numbers(row, x, y), net]

    def jax(self) -> list[Row]:
        jax, m = peer("jax"), jax_math()
        both = jax.value_and_grad(partial(price, m=m), range(5))
        if self.n > 1:
            row = jax_row(jax.vmap(both), *self.columns)
            return [Row(row.name, row.call, (), lambda y: [y[0], *y[1]])]
        f = jax.jit(lambda *xs: peer("jax.numpy").stack(jax.tree.leaves(both(*xs))))
        return [Row("JAX", lambda *xs: f(*xs).tolist(), self.point)]

    def drjit(self) -> list[Row]:
        drjit, number = peer("drjit"), peer("drjit.llvm.ad").Float64

        def both(*columns: Any) -> Any:
            xs = [number(x) for x in columns]
            for x in xs:
                drjit.enable_grad(x)
            y = partial(price, m=drjit)(*xs)
            drjit.backward(y)
            return drjit.detach(y), *[drjit.grad(x) for x in xs]

        frozen = drjit.freeze(both)
        columns = [number(x) for x in self.columns]

        def call() -> Any:
            ys = frozen(*columns)
            drjit.eval(*ys)
            drjit.sync_thread()
            return ys

        call()
        return [Row("Dr.Jit", call)]

    def torch(self) -> list[Row]:
        torch = peer("torch")
        if self.n > 1:
            args = tensors(*self.columns, by=5)
            return [Row("torch", torch_columns(args))]

        def call(*numbers: float) -> list[float]:
            x = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
            y = partial(price, m=torch)(*x.unbind())
            return [y.item(), *torch.autograd.grad(y, x)[0].tolist()]

        return [Row("torch", call, self.point)]

    def autograd(self) -> list[Row]:
        m, make_vjp = autograd_math(), peer("autograd").make_vjp

        def call(*xs: Any) -> Any:
            pullback, y = make_vjp(lambda xs: partial(price, m=m)(*xs))(xs)
            return y, *pullback(np.ones_like(y))

        return [Row("autograd", call, self.point if self.n == 1 else self.columns)]

    def numba(self) -> list[Row]:
        compiled = peer("numba").njit(fastmath=True, error_model="numpy")
        one = compiled(greeks)
        if self.n == 1:
            return [Row("Numba by hand", one, self.point)]

        def many(out: Any, a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
            for i in range(len(a)):
                y = one(a[i], b[i], c[i], d[i], e[i])
                out[0, i], out[1, i], out[2, i], out[3, i], out[4, i], out[5, i] = y
            return out

        out = np.empty((6, self.n))
        return [Row("Numba by hand", compiled(many), (out, *self.columns))]

    def casadi(self) -> list[Row]:
        casadi, m = peer("casadi"), casadi_math()
        xs = [casadi.SX.sym(name) for name in "abcde"]
        y = partial(price, m=m)(*xs)
        slopes = casadi.vertsplit(casadi.gradient(y, casadi.vertcat(*xs)))
        f = casadi.Function("price", xs, [y, *slopes])
        if self.n > 1:
            f = f.map(self.n, "serial")
            return casadi_rows(generated(f, "-Ofast"), self.columns, self.outputs())
        inputs, outputs = np.array(self.point)[:, None], np.empty((6, 1))
        (row,) = casadi_rows(generated(f, "-Ofast"), [*inputs], [*outputs])
        return [self.with_numbers(row, inputs, outputs)]

    def xad(self) -> list[Row]:
        m = xad_math()
        f = xad_gradient(lambda xs: partial(price, m=m)(*xs))
        return [Row("XAD", f, self.point, lambda y: [y[0], *y[1]])]

    def makers(self, settings: Settings) -> list[Maker]:
        makers = [] if settings.peers else [self.miniflow]
        makers += [self.c, self.numba, self.jax, self.torch, self.autograd, self.casadi]
        return [*makers, self.xad if self.n == 1 else self.drjit]


def torch_columns(args: list[Any]) -> Callable[[], Any]:
    """Prices of many options and their derivatives, by torch."""
    torch = peer("torch")

    def call() -> Any:
        y = partial(price, m=torch)(*args)
        return y.detach(), *torch.autograd.grad(y, args, torch.ones_like(y))

    return call


def case_b(settings: Settings) -> list[dict[str, Any]]:
    """Black and Scholes: price and five derivatives."""
    figures = []
    for n in (1, 10_000 if settings.quick else 100_000):
        data = Options(n)
        title = f"(b) Black-Scholes, price and five derivatives, {n:,} point{'s' * (n > 1)}"
        figures.append(compare(title, data.makers(settings), data.expected(), settings))
    print(f"\n  C calls {', '.join(vector_functions()) or 'no vector functions of libmvec'}")
    return figures


def vector_functions() -> list[str]:
    """The functions of glibc's libmvec that the compiled C calls."""
    if which("gcc") is None or which("nm") is None:
        return []
    library = shared(SOURCES / "black_scholes.c", "-Ofast")
    symbols = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True)
    return [word.partition("@")[0] for word in symbols.stdout.split() if word.startswith("_ZGV")]
