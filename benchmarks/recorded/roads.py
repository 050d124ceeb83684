"""What `grad`, `Tape.gradient` and a recorded sweep cost beside recording and `backward`.

All in one process and in turns, so that ratios are of one clock; the answers are compared first.
"""

import importlib
import math
import random
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from miniflow import Tape, Value, hessian, value_and_grad
from miniflow import math as m
from miniflow.tape.core import here
from miniflow.tape.pullback import pullback
from recorded.tables import Figures
from recorded.tasks import agree

Function = Callable[..., Any]
RETURNS = [random.Random(1).gauss(0.0, 1.0) for _ in range(2_000)]
WEIGHTS = [0.02 * k - 0.5 for k in range(50)]


def small(p: list[Any], exp: Function = m.exp, **_: Any) -> Any:
    """The product x * exp(-x*x)."""
    return p[0] * exp(-p[0] * p[0])


def chain(p: list[Any], **_: Any) -> Any:
    """A hundred operations, one after the other."""
    x = p[0]
    for _step in range(50):
        x = x * 1.01 + 0.5
    return x


def garch(p: list[Any], log: Function = m.log, **_: Any) -> Any:
    """The log-likelihood of a GARCH(1,1): Bollerslev, J. Econometrics 31 (1986), eq. 20."""
    omega, alpha, beta = p
    h = omega / (1 - alpha - beta)
    total = 0.0
    for r in RETURNS:
        total = total + log(h) + r * r / h
        h = omega + alpha * (r * r) + beta * h
    return total


def pendulum(p: list[Any], sin: Function = m.sin, **_: Any) -> Any:
    """A thousand Runge-Kutta steps of a damped pendulum."""
    y, v, h = p[0], p[1], 0.01
    force: Function = lambda y, v: -sin(y) - 0.1 * v  # noqa: E731
    for _step in range(1_000):
        a, b = v, force(y, v)
        c, d = v + h / 2 * b, force(y + h / 2 * a, v + h / 2 * b)
        e, g = v + h / 2 * d, force(y + h / 2 * c, v + h / 2 * d)
        i, j = v + h * g, force(y + h * e, v + h * g)
        y, v = y + h / 6 * (a + 2 * c + 2 * e + i), v + h / 6 * (b + 2 * d + 2 * g + j)
    return y


def smooth(p: list[Any], **_: Any) -> Any:
    """A function of fifty numbers, each beside its neighbour."""
    return m.sum([m.exp(-a * b) + a * a * b for a, b in pairwise(p)])


TASKS: dict[str, tuple[Function, list[float]]] = {
    "x exp(-x*x)": (small, [0.5]),
    "chain of 100": (chain, [0.5]),
    "GARCH, 2,000 returns": (garch, [0.1, 0.1, 0.8]),
    "RK4, 1,000 steps": (pendulum, [1.0, 0.0]),
}


def torch_peer() -> Any:
    """PyTorch on scalars."""
    torch = importlib.import_module("torch")

    def gradient(f: Function, xs: list[float]) -> list[float]:
        leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in xs]
        f(leaves, exp=torch.exp, log=torch.log, sin=torch.sin).backward()
        return [x.grad.item() for x in leaves]

    return SimpleNamespace(name="torch", gradient=gradient)


def autograd_peer() -> Any:
    """HIPS autograd."""
    autograd, np = map(importlib.import_module, ("autograd", "autograd.numpy"))

    def gradient(f: Function, xs: list[float]) -> list[float]:
        g = autograd.grad(lambda p: f(p, exp=np.exp, log=np.log, sin=np.sin))
        return [float(x) for x in g(list(xs))]

    return SimpleNamespace(name="autograd", gradient=gradient)


def xad_peer() -> Any:
    """XAD's tape."""
    adj, functions = importlib.import_module("xad.adj_1st"), importlib.import_module("xad.math")

    def gradient(f: Function, xs: list[float]) -> list[float]:
        with adj.Tape() as tape:
            leaves = [adj.Real(x) for x in xs]
            for x in leaves:
                tape.registerInput(x)
            tape.newRecording()
            y = f(leaves, exp=functions.exp, log=functions.log, sin=functions.sin)
            tape.registerOutput(y)
            y.derivative = 1.0
            tape.computeAdjoints()
            return [x.derivative for x in leaves]

    return SimpleNamespace(name="xad", gradient=gradient)


def peers() -> list[Any]:
    """Those that are installed."""
    found = []
    for make in (xad_peer, autograd_peer, torch_peer):
        try:
            found.append(make())
        except ImportError:
            continue
    return found


def seconds(jobs: dict[str, Function], rounds: int, least: float) -> dict[str, float]:
    """The median of each job's time; they take turns."""
    counts = {}
    for name, job in jobs.items():
        start = time.perf_counter()
        job()
        once = time.perf_counter() - start
        counts[name] = max(1, math.ceil(least / once)) if once < least else 1
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            for _ in range(counts[name]):
                job()
            times[name].append((time.perf_counter() - start) / counts[name])
    return {name: statistics.median(found) for name, found in times.items()}


def jobs(f: Function, xs: list[float]) -> dict[str, Function]:
    """The roads of miniflow, checked against each other."""

    def backward() -> list[float]:
        leaves = [Value(x) for x in xs]
        f(leaves).backward()
        return [v.grad for v in leaves]

    leaves = [Value(x) for x in xs]
    y = f(leaves)

    def tape_gradient() -> list[float]:
        leaves = [Value(x) for x in xs]
        with Tape() as tape:
            y = f(leaves)
        return tape.gradient(y, leaves)  # type: ignore[no-any-return]

    expected = backward()
    both = value_and_grad(f)
    plain: Function = lambda: pullback([y], [1.0], leaves, recorded=False)  # noqa: E731
    recorded: Function = lambda: pullback([y], [1.0], leaves, recorded=True)  # noqa: E731
    for found in (both(xs)[1], tape_gradient(), plain(), recorded()):
        assert agree([x.data if isinstance(x, Value) else x for x in found], expected)
    floats = {"exp": math.exp, "log": math.log, "sin": math.sin}
    return {
        "floats": lambda: f(list(xs), **floats), "backward": backward, "grad": lambda: both(xs),
        "Tape.gradient": tape_gradient, "sweep": plain, "recorded sweep": recorded,
    }  # fmt: skip


def roads(rounds: int = 15, least: float = 0.02) -> list[Figures]:
    """What each road costs, in us, and by the time of recording and `backward`."""
    print("Roads to a gradient: us, and in brackets their time / recording and backward()\n")
    rows = []
    for title, (f, xs) in TASKS.items():
        work = jobs(f, xs)
        for peer in peers():
            assert agree(peer.gradient(f, xs), work["backward"]())
            work[peer.name] = lambda peer=peer, f=f, xs=xs: peer.gradient(f, xs)
        found = seconds(work, rounds, least)
        row = {"task": title, **{name: 1e6 * x for name, x in found.items()}}
        row["recorded / sweep"] = found["recorded sweep"] / found["sweep"]
        rows.append(row)
        texts = [f"{n} {1e6 * x:.4g} ({x / found['backward']:.2f})" for n, x in found.items()]
        print(f"{title}: {', '.join(texts)}; recorded sweep / sweep {row['recorded / sweep']:.2f}")
    work = {"hessian": lambda: hessian(smooth)(WEIGHTS)}
    found = seconds(work, max(rounds // 3, 1), least)
    print(f"Hessian of a function of 50 numbers: {1e3 * found['hessian']:.3g} ms\n")
    assert not here.table.sweeping
    return [*rows, {"task": "hessian of 50 numbers", "hessian": 1e6 * found["hessian"]}]
