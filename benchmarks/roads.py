"""What the roads to a kernel cost: arguments and results of all kinds, batches, training steps,
memory, waits.

    python benchmarks/roads.py [--quick] [--only a,b] [--json FILE]

Results are checked equal first, and then timed in turns in one process on one thread, medians.
Ratios within one run count: absolute times depend on the machine. Limits are printed beside
the figures. Peers are measured where they are installed.
"""

import os

os.environ.update(
    {name + "_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")},
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    MINIFLOW_CACHE_DIR="",
)

import argparse
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common import MissingError, peer, write
from measured.background import memory, waits
from measured.batches import batches, jacobians, kinds_of_batches
from measured.timing import Figures, Settings, equal, shown, spikes, timed, warmed
from miniflow import grad, jit, math, nn, optim, value_and_grad, vmap
from miniflow.util.trees import flatten

# --- a: numbers and arrays of all kinds ---------------------------------------


def kinds_of_scalars(settings: Settings) -> Figures:
    f = jit(lambda x, y: x * y + x)
    kinds: dict[str, Any] = {
        "float": 2.0, "int": 2, "bool": True, "large int": 2**60 + 1, "np.float64": np.float64(2),
        "np.float32": np.float32(2), "np.float16": np.float16(2), "np.int64": np.int64(2),
        "np.uint8": np.uint8(2), "np.bool_": np.bool_(True), "np.longdouble": np.longdouble(2),
        "array of no dimension": np.array(2.0), "the same, int32": np.array(2, dtype=np.int32),
    }  # fmt: skip
    warmed(f, *[(x, 3.0) for x in kinds.values()])
    for name, x in kinds.items():
        equal(name, f(x, 3.0), float(x) * 3.0 + float(x))
    calls = {name: partial(f, x, 3.0) for name, x in kinds.items()}
    calls |= {"by names": partial(f, x=2.0, y=3.0), "the second by name": partial(f, 2.0, y=3.0)}
    warmed(calls["by names"].func, (2.0, 3.0))
    for _ in range(5):
        equal("by names", [call() for call in calls.values()][-2:], [8.0, 8.0])
    f.ready()
    return shown("x*y + x, jitted, us a call", timed(calls, settings), "at most 0.2")


@dataclass
class Point:
    """Two numbers."""

    x: Any
    y: Any


class Pair(NamedTuple):
    """Two others."""

    x: Any
    y: Any


MIXED = [float, int, np.float32, np.float64, np.int16]


def kinds_of_arrays(settings: Settings) -> Figures:
    a = np.random.default_rng(1).uniform(-9, 9, 100).round()
    pairs = [*zip(a[::2].tolist(), a[1::2].tolist(), strict=True)]
    f = value_and_grad(lambda xs: math.sum([x * x * x for x in flatten(xs)]))
    g = jit(f)
    kinds = {
        "float64": a, "strided": np.repeat(a, 2)[::2], "reversed": a[::-1].copy()[::-1],
        "float32": a.astype(np.float32), "int64": a.astype(np.int64), "swapped": a.astype(">f8"),
        "of objects": a.astype(object), "list of floats": a.tolist(), "list of np.float64": [*a],
        "list of ints": [int(x) for x in a], "one int in a list": [int(a[0]), *a[1:].tolist()],
        "float16": a.astype(np.float16), "long double": a.astype(np.longdouble),
        "int8": a.astype(np.int8), "a row of Fortran's": np.asfortranarray(np.stack([a, a]))[1],
        "broadcast": np.broadcast_to(a, (2, 100))[0], "a tuple": tuple(a.tolist()),
        "list of all kinds": [kind(x) for x, kind in zip(a, MIXED * 20, strict=True)],
        "list of np.float32": [*a.astype(np.float32)], "dict": dict(enumerate(a.tolist())),
        "50 dataclasses": [Point(*xs) for xs in pairs],
        "50 namedtuples": [Pair(*xs) for xs in pairs],
    }  # fmt: skip
    warmed(g, *[(x,) for x in kinds.values()])
    value, slopes = f(a.tolist())
    for name, xs in kinds.items():
        equal(name, flatten(g(xs)), [value, *slopes])
    calls = {name: partial(g, xs) for name, xs in kinds.items()}
    title = "value_and_grad of 100 numbers, us a call"
    return shown(title, timed(calls, settings), "at most 2")


# --- b: structures ------------------------------------------------------------


def structures(settings: Settings) -> Figures:
    rows = [*np.random.default_rng(2).normal(size=(64, 65)).tolist(), [0.5] * 32]
    found: Figures = {}
    for name, point in (("lists", rows), ("dict", {"w": rows})):

        def f(p: Any) -> Any:
            return math.sum([math.tanh(x) for xs in (p["w"] if type(p) is dict else p) for x in xs])

        eager, compiled = value_and_grad(f), jit(value_and_grad(f))
        start = time.perf_counter()
        compiled(point)
        first = time.perf_counter() - start
        calls, alike = spikes(partial(compiled, point), 60)
        warmed(compiled, (point,))
        (value, slopes), (expected, others) = compiled(point), eager(point)
        equal(name, [value, *flatten(slopes)], [expected, *flatten(others)])
        both: dict[str, Callable[[], Any]] = {
            "eager": partial(eager, point),
            "compiled": partial(compiled, point),
        }
        times = timed(both, settings)
        found |= {f"{name}: {way}, us": us for way, us in times.items()}
        found[f"{name}: eager / compiled"] = times["eager"] / times["compiled"]
        found[f"{name}: first call, ms"] = first * 1e3
        found[f"{name}: slowest later call / median"] = calls
        found[f"{name}: the same of a C function"] = alike
    limit = "eager / compiled at least 5; slowest / median at most 2, or what the machine makes it"
    return shown("value_and_grad of 4,192 numbers", found, limit)


# --- d: a training step -------------------------------------------------------

SIZES = (4, 16, 16, 3)


def training(settings: Settings) -> Figures:
    random.seed(1)
    source = np.random.default_rng(3)
    xs, ys = source.normal(size=(32, 4)), np.eye(3)[source.integers(0, 3, 32)]
    network = nn.MLP(SIZES[0], list(SIZES[1:]))
    optimiser = optim.Adam(network.parameters(), lr=1e-3)

    def squares(x: Any, y: Any) -> Any:
        return math.sum([(a - b) ** 2 for a, b in zip(network(x), y, strict=True)])

    loss = vmap(squares, reduce="mean")
    contenders: dict[str, Callable[[], Any]] = {}
    before = float(loss(xs, ys).data)
    equal("loss", before, np.mean([squares(x, y).data for x, y in zip(xs, ys, strict=True)]), 1e-9)

    def step() -> None:
        optimiser.zero_grad()
        loss(xs, ys).backward()
        optimiser.step()

    for _ in range(6):
        step()
    loss.ready()
    contenders["miniflow"] = step
    contenders["miniflow: the loss"] = lambda: loss(xs, ys)
    try:
        contenders["torch eager"] = torch_step(xs, ys)
    except MissingError as error:
        print(error)
    try:
        contenders["jax.jit"] = jax_step(xs, ys)
    except MissingError as error:
        print(error)
    title = "a training step of MLP(4, [16, 16, 3]), batch 32, Adam; us"
    figures = timed(contenders, settings)
    return shown(title, figures, "at most 60, torch / 10, less than jax / 2")


def torch_step(xs: Any, ys: Any) -> Callable[[], Any]:
    torch = peer("torch")
    layers: list[Any] = []
    for a, b in pairwise(SIZES):
        layers += [torch.nn.Linear(a, b, dtype=torch.float64), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    x, y = torch.tensor(xs), torch.tensor(ys)

    def step() -> None:
        optimiser.zero_grad()
        ((network(x) - y) ** 2).sum(dim=1).mean().backward()
        optimiser.step()

    return step


def jax_step(xs: Any, ys: Any) -> Callable[[], Any]:
    jax, jnp = peer("jax"), peer("jax.numpy")
    source = np.random.default_rng(4)
    weights = [(source.normal(size=(a, b)), np.zeros(b)) for a, b in pairwise(SIZES)]

    def loss(weights: Any, x: Any, y: Any) -> Any:
        *hidden, (last, bias) = weights
        for w, b in hidden:
            x = jax.nn.relu(x @ w + b)
        return jnp.mean(jnp.sum((x @ last + bias - y) ** 2, axis=1))

    def moved(state: Any, x: Any, y: Any) -> Any:
        weights, first, second, t = state
        each, t = jax.tree_util.tree_map, t + 1
        slopes = jax.grad(loss)(weights, x, y)
        first = each(lambda a, g: 0.9 * a + 0.1 * g, first, slopes)
        second = each(lambda a, g: 0.999 * a + 0.001 * g * g, second, slopes)
        share, whole = 1 - 0.9**t, 1 - 0.999**t

        def new(w: Any, a: Any, b: Any) -> Any:
            return w - 1e-3 * (a / share) / (jnp.sqrt(b / whole) + 1e-8)

        return each(new, weights, first, second), first, second, t

    zeros = [(np.zeros_like(w), np.zeros_like(b)) for w, b in weights]
    step, state = jax.jit(moved), [(weights, zeros, zeros, 0.0)]

    def call() -> None:
        state[0] = jax.block_until_ready(step(state[0], xs, ys))

    return call


# --- e: the first answer ------------------------------------------------------


def garch(p: Any, returns: Any) -> Any:
    """A likelihood, one step of the variance after the other."""
    variance, total = 1.0, 0.0
    for r in returns:
        total = total + math.log(variance) + r * r / variance
        variance = p[0] + p[1] * r * r + p[2] * variance
    return total


def oscillator(p: Any) -> Any:
    """1,000 steps of RK4 of a damped spring."""
    x, v, h = p[0], p[1], 0.01

    def slope(x: Any, v: Any) -> tuple[Any, Any]:
        return v, -p[2] * x - p[3] * v

    for _ in range(1000):
        a = slope(x, v)
        b = slope(x + h / 2 * a[0], v + h / 2 * a[1])
        c = slope(x + h / 2 * b[0], v + h / 2 * b[1])
        d = slope(x + h * c[0], v + h * c[1])
        x = x + h / 6 * (a[0] + 2 * b[0] + 2 * c[0] + d[0])
        v = v + h / 6 * (a[1] + 2 * b[1] + 2 * c[1] + d[1])
    return x


def first_answers(settings: Settings) -> Figures:
    returns = np.random.default_rng(5).normal(size=2000).tolist()
    cases = {
        "GARCH, 2,000 steps": (lambda p: garch(p, returns), [0.1, 0.1, 0.8]),
        "RK4, 1,000 steps": (oscillator, [1.0, 0.0, 2.0, 0.1]),
    }
    found: Figures = {}
    for name, (f, point) in cases.items():
        g = jit(value_and_grad(f))
        start = time.perf_counter()
        value, slopes = g(point)
        found[f"{name}: first answer, ms"] = (time.perf_counter() - start) * 1e3
        expected = value_and_grad(f)(point)
        equal(name, [value, *slopes], [expected[0], *expected[1]])
        warmed(g, (point,))
        found[f"{name}: a call, us"] = timed({name: partial(g, point)}, settings)[name]
    return shown("jit(value_and_grad) of long loops", found, "first answers at most 150, 200 ms")


# --- f: branches --------------------------------------------------------------

DATES = 10


def stopped(s: Any, z: Any) -> Any:
    """A call that is knocked out above 130."""
    for x in z:
        s = s * math.exp(0.01 + 0.1 * x)
        if s > 130.0:
            return 0.0
    return max(s - 100.0, 0.0)


def chosen(s: Any, z: Any) -> Any:
    """The same, without branches."""
    alive = 1.0
    for x in z:
        s = s * math.exp(0.01 + 0.1 * x)
        alive = math.where(math.less(130.0, s), 0.0, alive)
    return math.where(alive, math.maximum(s - 100.0, 0.0), 0.0)


def squares(centres: Any, x: Any) -> list[Any]:
    """The squares of the distances of a point from some centres."""
    return [sum([(a - b) * (a - b) for a, b in zip(x, c, strict=True)]) for c in centres]


def logsumexp(xs: Any) -> Any:
    high = max(xs)
    return high + math.log(math.sum([math.exp(x - high) for x in xs]))


def paths(settings: Settings) -> Figures:
    source = np.random.default_rng(6)
    z, s = source.normal(size=(100_000, DATES)), source.uniform(50.0, 150.0, 100_000)
    points, centres = source.normal(size=(1000, 10)), source.normal(size=(8, 10))
    found: Figures = {}
    both: dict[str, tuple[Any, Any, Any, Any]] = {
        "barrier": (stopped, chosen, (None, 0), (100.0, z)),
        "payoff": (lambda s: max(s - 100, 0), lambda s: math.maximum(s - 100, 0), 0, (s,)),
        "k-means": (
            lambda cs, x: min(squares(cs, x)), lambda cs, x: math.minimum(*squares(cs, x)),
            (None, 0), (centres, points),
        ),
    }  # fmt: skip
    for name, (f, other, axes, point) in both.items():
        for reduce in (None, "mean"):
            pair = [vmap(g, axes, reduce, threads=1) for g in (f, other)]
            start = time.perf_counter()
            pair[0](*point)
            first = time.perf_counter() - start
            a, b = [warmed(g, point) for g in pair]
            equal(name, a(*point), b(*point))
            times = timed({"a": partial(a, *point), "b": partial(b, *point)}, settings)
            what = f"{name}, {reduce or 'all'}"
            found[f"{what}: us"] = times["a"]
            found[f"{what}: branches / choices"] = times["a"] / times["b"]
            found[f"{what}: first call, ms"] = first * 1e3
    numbers = source.normal(size=2500).tolist()
    for name, f in (("logsumexp", logsumexp), ("its gradient", grad(logsumexp))):
        g, xs = jit(f), numbers.copy()
        start = time.perf_counter()
        g(xs)
        found[f"{name}, of 2,500: first call, ms"] = (time.perf_counter() - start) * 1e3
        for k in range(3):
            xs[k] = 10.0 + k  # another one is the largest
            equal(name, g(xs), f(xs), 1e-15)
        (cache,) = g.caches.values()
        found[f"{name}: paths"] = float(len(cache.specializations))
    limit = (
        "branches / choices at most 2 (barrier), 3 (k-means), first calls at most 1,000 ms, 1 path"
    )
    return shown("branches, and the same by where, maximum and minimum", found, limit)


CASES = {
    "memory": memory,  # before the peers come, whose threads do not like forks
    "waits": waits,
    "scalars": kinds_of_scalars,
    "arrays": kinds_of_arrays,
    "structures": structures,
    "batches": batches,
    "jacobians": jacobians,
    "kinds": kinds_of_batches,
    "training": training,
    "first": first_answers,
    "paths": paths,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="What the roads to a kernel cost.")
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    parser.add_argument("--only", default=",".join(CASES), help="cases to run, e.g. arrays,batches")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if not set(chosen) <= set(CASES):
        parser.error(f"--only takes some of {','.join(CASES)}")
    settings = Settings(3, 0.01) if arguments.quick else Settings(15, 0.05)
    write({name: CASES[name](settings) for name in chosen}, arguments.json)


if __name__ == "__main__":
    main()
