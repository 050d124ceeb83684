"""What the loss of a small network and its gradient cost."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

import miniflow
from common import peer
from compiled.c_code import c_rows, casadi_rows, generated
from compiled.ours import flow, miniflow_ready
from compiled.peers import (
    autograd_math,
    casadi_math,
    jax_math,
    jax_row,
    micrograd_gradient,
    tensors,
    torch_gradient,
    xad_gradient,
    xad_math,
)
from compiled.timing import Maker, Row, Settings, compare

HIDDEN = (16, 16)
PARAMETERS = 337


def layer(p: Any, start: int, xs: list[Any], width: int) -> list[Any]:
    """The weighted sums of a layer: its parameters are weights, a row a neuron, then biases."""
    n = len(xs)
    rows, biases = [p[start + j * n : start + (j + 1) * n] for j in range(width)], start + width * n
    return [
        sum((w * x for w, x in zip(row, xs, strict=True)), p[biases + j])
        for j, row in enumerate(rows)
    ]


def hinge(p: Any, a: Any, b: Any, label: Any, m: Any = miniflow.math) -> Any:
    """The loss of MLP(2, [16, 16, 1]) at the point (a, b), whose label is +1 or -1."""
    xs, start = [a, b], 0
    for width in HIDDEN:
        zs = layer(p, start, xs, width)
        start += (len(xs) + 1) * width
        xs = [m.relu(z) for z in zs]
    (score,) = layer(p, start, xs, 1)
    return m.relu(1 - label * score)


def hinge_of_arrays(p: Any, x: Any, label: Any, m: Any) -> Any:
    """The sum of the losses at all points, the columns of x."""
    h = m.relu(p[:32].reshape(16, 2) @ x + p[32:48, None])
    h = m.relu(p[48:304].reshape(16, 16) @ h + p[304:320, None])
    return m.relu(1 - label * (p[320:336] @ h + p[336])).sum()


def hinge_by_hand(p: Any, x: Any, label: Any) -> tuple[Any, Any]:
    """The same and its gradient, in NumPy."""
    w2, w3 = p[48:304].reshape(16, 16), p[320:336]
    h1 = np.maximum(p[:32].reshape(16, 2) @ x + p[32:48, None], 0)
    h2 = np.maximum(w2 @ h1 + p[304:320, None], 0)
    margin = 1 - label * (w3 @ h2 + p[336])
    d3 = np.where(margin > 0, -label, 0.0)
    d2 = np.outer(w3, d3) * (h2 > 0)
    d1 = (w2.T @ d2) * (h1 > 0)
    parts = (d1 @ x.T, d1.sum(1), d2 @ h1.T, d2.sum(1), h2 @ d3, d3.sum())
    return np.maximum(margin, 0).sum(), np.concatenate([part.ravel() for part in parts])


def hinge_in_loops(p: Any, xs: Any, ys: Any, labels: Any) -> tuple[Any, Any]:
    """The same in scalar loops, for Numba."""
    g = np.zeros(337)
    w1, b1, w2, b2, w3 = p[:32], p[32:48], p[48:304], p[304:320], p[320:336]
    g1, gb1, g2, gb2, g3 = g[:32], g[32:48], g[48:304], g[304:320], g[320:336]
    h1, h2, d1 = np.empty(16), np.empty(16), np.empty(16)
    loss = 0.0
    for k in range(len(xs)):
        x, y, label, score = xs[k], ys[k], labels[k], p[336]
        for j in range(16):
            h1[j] = max(b1[j] + w1[2 * j] * x + w1[2 * j + 1] * y, 0.0)
            d1[j] = 0.0
        for j in range(16):
            z = b2[j]
            for i in range(16):
                z += w2[16 * j + i] * h1[i]
            h2[j] = max(z, 0.0)
            score += w3[j] * h2[j]
        margin = 1.0 - label * score
        if margin <= 0.0:
            continue
        loss += margin
        g[336] -= label
        for j in range(16):
            g3[j] -= label * h2[j]
            if h2[j] > 0.0:
                d = -label * w3[j]
                gb2[j] += d
                for i in range(16):
                    g2[16 * j + i] += d * h1[i]
                    d1[i] += d * w2[16 * j + i]
        for j in range(16):
            if h1[j] > 0.0:
                gb1[j] += d1[j]
                g1[2 * j] += d1[j] * x
                g1[2 * j + 1] += d1[j] * y
    return loss, g


class Points:
    """A network's parameters, and labelled points."""

    def __init__(self, batch: int) -> None:
        random, self.batch = np.random.default_rng(1), batch
        self.p = random.normal(size=PARAMETERS) * 0.3
        self.x = random.normal(size=(2, batch))
        self.label = np.where(random.random(batch) < 0.5, -1.0, 1.0)
        self.columns = (self.x[0].copy(), self.x[1].copy(), self.label)

    def outputs(self) -> list[Any]:
        return [np.empty(1), np.empty(PARAMETERS)]

    def each(self) -> list[tuple[float, float, float]]:
        """The points, one by one."""
        return list(zip(*[column.tolist() for column in self.columns], strict=True))

    def expected(self) -> Any:
        """By miniflow without compiling, or by hand where that takes long."""
        if self.batch > 100:
            return hinge_by_hand(self.p, self.x, self.label)
        parts = [miniflow.value_and_grad(hinge)(self.p, *point) for point in self.each()]
        return sum(value for value, _ in parts), sum(gradient for _, gradient in parts)

    def miniflow(self) -> list[Row]:
        both, args = flow.value_and_grad(hinge), (self.p, *self.columns)
        rows = []
        for name, fma in (("miniflow", False), ("miniflow, fma=True", True)):
            f = flow.vmap(both, in_axes=(None, 0, 0, 0), reduce="sum", threads=1, fma=fma)
            rows.append(Row(name, miniflow_ready(f, *args), args))
        return rows

    def miniflow_point(self) -> list[Row]:
        f, args = flow.jit(flow.value_and_grad(hinge)), (self.p, *self.each()[0])
        return [Row("miniflow", miniflow_ready(f, *args), args)]

    def c(self) -> list[Row]:
        inputs, net = (self.p, *self.columns), 1000 if self.batch == 1 else 0
        name = "C, point by point"
        return c_rows(name, "mlp.c", ["-O3"], self.batch, inputs, self.outputs(), net)

    def c_lanes(self) -> list[Row]:
        inputs, rows = (self.p, *self.columns), []
        apart = "-ffp-contract=off"  # products are not fused with sums, as in miniflow's first row
        for name, flags in (("C, 8 points to a vector", [apart]), ("the same, fused", [])):
            flags = ["-O3", *flags]
            rows += c_rows(name, "mlp_lanes.c", flags, self.batch, inputs, self.outputs())
        return rows

    def numpy(self) -> list[Row]:
        return [Row("NumPy by hand", hinge_by_hand, (self.p, self.x, self.label))]

    def jax(self) -> list[Row]:
        m = jax_math()
        both = peer("jax").value_and_grad(partial(hinge_of_arrays, m=m))
        return [jax_row(both, self.p, self.x, self.label)]

    def torch(self) -> list[Row]:
        torch = peer("torch")
        args = tensors(self.p, self.x, self.label, by=1)
        return [Row("torch", torch_gradient(partial(hinge_of_arrays, m=torch), *args))]

    def autograd(self) -> list[Row]:
        m = autograd_math()
        both = peer("autograd").value_and_grad(partial(hinge_of_arrays, m=m))
        return [Row("autograd", both, (self.p, self.x, self.label))]

    def numba(self) -> list[Row]:
        f = peer("numba").njit(fastmath=True, error_model="numpy")(hinge_in_loops)
        return [Row("Numba by hand", f, (self.p, *self.columns))]

    def casadi(self) -> list[Row]:
        casadi, m = peer("casadi"), casadi_math()
        p, point = casadi.SX.sym("p", PARAMETERS), [casadi.SX.sym(name) for name in "abc"]
        loss = partial(hinge, m=m)(casadi.vertsplit(p), *point)
        f = casadi.Function("hinge", [p, *point], [loss, casadi.gradient(loss, p)])
        left = self.batch
        while left > 1:  # in hundreds: the results of one map are kept until they are added
            f = f.map(f"hinge{self.batch}_{left}", "serial", min(left, 100), [0], [0, 1])
            left = -(-left // 100)
        return casadi_rows(generated(f, "-O3"), (self.p, *self.columns), self.outputs())

    def total(self, m: Any) -> Callable[[list[Any]], Any]:
        """The loss as a function of the parameters, for those that record each number."""
        points, loss = self.each(), partial(hinge, m=m)
        return lambda p: sum(loss(p, *point) for point in points)

    def xad(self) -> list[Row]:
        return [Row("XAD", xad_gradient(self.total(xad_math())), tuple(self.p.tolist()))]

    def micrograd(self) -> list[Row]:
        m = SimpleNamespace(relu=lambda x: x.relu())
        return [Row("micrograd", micrograd_gradient(self.total(m)), tuple(self.p.tolist()))]

    def makers(self, settings: Settings) -> list[Maker]:
        one = self.batch == 1
        makers = [] if settings.peers else [self.miniflow_point if one else self.miniflow]
        makers += [self.c] if one else [self.c_lanes, self.c]
        makers += [self.numpy, self.numba, self.jax, self.torch, self.autograd, self.casadi]
        return makers + ([self.xad, self.micrograd] if self.batch <= 100 else [])


def case_a(settings: Settings) -> list[dict[str, Any]]:
    """MLP(2, [16, 16, 1]): hinge loss and gradient."""
    figures = []
    for batch in (1, 100, 1_000 if settings.quick else 10_000):
        data = Points(batch)
        title = (
            f"(a) MLP(2, [16, 16, 1]), hinge loss and gradient by 337 parameters, batch {batch:,}"
        )
        figures.append(compare(title, data.makers(settings), data.expected(), settings))
    return figures
