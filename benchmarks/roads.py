"""What the roads to a kernel cost: arguments and results of all kinds, batches, training steps.

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
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from common import MissingError, digits, peer, write
from miniflow import grad, jit, math, nn, optim, value_and_grad, vmap
from miniflow.util.trees import flatten

Figures = dict[str, float]


class Settings(NamedTuple):
    """How long a figure is measured."""

    repeats: int
    seconds: float  # of one repeat


# --- measuring ----------------------------------------------------------------


def timed(contenders: Mapping[str, Callable[[], Any]], settings: Settings) -> Figures:
    """Microseconds of a call, the median of repeats in which all take turns."""
    counts = {name: calls_in(call, settings.seconds) for name, call in contenders.items()}
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(settings.repeats):
        for name, call in contenders.items():
            found[name].append(seconds(call, counts[name]) / counts[name] * 1e6)
    return {name: median(times) for name, times in found.items()}


def seconds(call: Callable[[], Any], count: int) -> float:
    """How long that many calls take."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def calls_in(call: Callable[[], Any], limit: float) -> int:
    """How many calls that takes."""
    count = 1
    while seconds(call, count) < limit / 4:
        count *= 2
    return count


def warmed(f: Any, *points: tuple[Any, ...]) -> Any:
    """A compiled function with optimised code for these arguments."""
    for _ in range(5):
        for args in points:
            f(*args)
        f.ready()
    return f


def equal(what: str, found: Any, expected: Any, tolerance: float = 0.0) -> None:
    """Stop where two results differ."""
    a, b = np.ravel(np.asarray(found, dtype=float)), np.ravel(np.asarray(expected, dtype=float))
    if a.shape != b.shape or not np.allclose(a, b, rtol=tolerance, atol=tolerance / 1e3):
        raise SystemExit(f"{what}: {found!r:.200} is not {expected!r:.200}")


def shown(title: str, figures: Figures, limit: str) -> Figures:
    """Print the figures of a case."""
    print(f"\n{title}\n  to be: {limit}")
    for name, figure in figures.items():
        print(f"  {name:34} {digits(figure):>9}")
    return figures


# --- a: numbers and arrays of all kinds ---------------------------------------


def kinds_of_scalars(settings: Settings) -> Figures:
    f = jit(lambda x, y: x * y + x)
    kinds: dict[str, Any] = {
        "float": 2.0, "int": 2, "bool": True, "large int": 2**60 + 1, "np.float64": np.float64(2),
        "np.float32": np.float32(2), "np.float16": np.float16(2), "np.int64": np.int64(2),
        "np.uint8": np.uint8(2),
    }  # fmt: skip
    warmed(f, *[(x, 3.0) for x in kinds.values()])
    for name, x in kinds.items():
        equal(name, f(x, 3.0), float(x) * 3.0 + float(x))
    calls = {name: partial(f, x, 3.0) for name, x in kinds.items()}
    return shown("x*y + x, jitted, us a call", timed(calls, settings), "at most 0.2")


def kinds_of_arrays(settings: Settings) -> Figures:
    a = np.random.default_rng(1).uniform(-9, 9, 100).round()
    f = value_and_grad(lambda xs: math.sum([x * x * x for x in xs]))
    g = jit(f)
    kinds = {
        "float64": a, "strided": np.repeat(a, 2)[::2], "reversed": a[::-1].copy()[::-1],
        "float32": a.astype(np.float32), "int64": a.astype(np.int64), "swapped": a.astype(">f8"),
        "of objects": a.astype(object), "list of floats": a.tolist(), "list of np.float64": [*a],
        "list of ints": [int(x) for x in a], "one int in a list": [int(a[0]), *a[1:].tolist()],
    }  # fmt: skip
    warmed(g, *[(x,) for x in kinds.values()])
    value, slopes = f(a.tolist())
    for name, xs in kinds.items():
        equal(name, [g(xs)[0], *g(xs)[1]], [value, *slopes])
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
        calls = [seconds(partial(compiled, point), 1) for _ in range(60)]
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
        found[f"{name}: slowest later call / median"] = max(calls) / median(calls)
    return shown("value_and_grad of 4,192 numbers", found, "eager / compiled at least 5")


# --- c: batches ---------------------------------------------------------------


def model(w: Any, x: Any) -> Any:
    """A decay, as in least squares."""
    return w[0] * math.exp(-w[1] * x) + w[2]


def batches(settings: Settings) -> Figures:
    w, x = np.array([1.0, 0.5, 0.2]), np.linspace(0.0, 1.0, 8)
    f = warmed(vmap(grad(model), in_axes=(None, 0)), (w, x))
    total = warmed(vmap(grad(model), in_axes=(None, 0), reduce="sum"), (w, x))
    equal("vmap(grad)", f(w, x), [grad(model)(w.tolist(), y) for y in x.tolist()], 1e-12)
    equal("summed", total(w, x), f(w, x).sum(axis=0), 1e-12)
    contenders = {"miniflow": lambda: f(w, x), "the same, summed": lambda: total(w, x)}
    try:
        jax = peer("jax")
        jnp = peer("jax.numpy")
        g = jax.jit(jax.vmap(jax.grad(lambda w, x: w[0] * jnp.exp(-w[1] * x) + w[2]), (None, 0)))
        equal("jax", g(w, x), f(w, x), 1e-12)
        contenders["jax.jit"] = lambda: np.asarray(g(w, x))
    except MissingError as error:
        print(error)
    figures = timed(contenders, settings)
    limit = "at most 1 over its kernel, and less than jax"
    return shown("vmap(grad(f)) of 8 x 3, an array, us a call", figures, limit)


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
    xs = source.normal(size=2500).tolist()
    g = jit(logsumexp)
    for k in range(3):
        xs[k] = 10.0 + k  # another one is the largest
        equal("logsumexp", g(xs), logsumexp(xs), 1e-15)
    (cache,) = g.caches.values()
    found["logsumexp of 2,500: paths"] = float(len(cache.specializations))
    limit = (
        "branches / choices at most 2 (barrier), 3 (k-means), first calls at most 1,000 ms, 1 path"
    )
    return shown("branches, and the same by where, maximum and minimum", found, limit)


CASES = {
    "scalars": kinds_of_scalars,
    "arrays": kinds_of_arrays,
    "structures": structures,
    "batches": batches,
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
