"""Batches: arrays that are not reduced, Jacobians, structures of all kinds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from common import MissingError, peer
from measured.nist import REGRESSIONS
from measured.timing import Figures, Settings, equal, shown, timed, warmed
from miniflow import grad, math, vmap
from miniflow.util.trees import flatten


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
        contenders["jax.jit"] = partial(as_array, g, w, x)
    except MissingError as error:
        print(error)
    figures = timed(contenders, settings)
    limit = "at most 1 over its kernel, and less than jax"
    return shown("vmap(grad(f)) of 8 x 3, an array, us a call", figures, limit)


def jacobians(settings: Settings) -> Figures:
    sums = {"miniflow": 0.0, "jax.jit": 0.0}
    worst: tuple[float, str] = 0.0, ""
    jax, jnp = peer("jax"), peer("jax.numpy")
    for name, (formula, parameters, *_) in REGRESSIONS.items():
        b, x = np.array(parameters), REGRESSIONS[name].xs()
        f = warmed(vmap(grad(partial(formula, math)), in_axes=(None, 0)), (b, x))
        g = jax.jit(jax.vmap(jax.grad(partial(formula, jnp)), (None, 0)))
        equal(name, f(b, x), g(b, x), 1e-9)
        both: dict[str, Callable[[], Any]] = {
            "miniflow": partial(f, b, x),
            "jax.jit": partial(as_array, g, b, x),
        }
        times = timed(both, settings)
        sums = {way: total + times[way] for way, total in sums.items()}
        worst = max(worst, (times["miniflow"] / times["jax.jit"], name))
    found = {f"{way}, sum": us for way, us in sums.items()}
    found[f"worst ratio to jax.jit, {worst[1]}"] = worst[0]
    return shown("Jacobians of NIST's 27 models, us", found, "less than jax's")


def as_array(f: Callable[..., Any], *args: Any) -> Any:
    """A result of jax's as an array of NumPy."""
    return np.asarray(f(*args))


class Fitted(NamedTuple):
    """A result with names."""

    value: Any
    slope: Any


@dataclass
class Line:
    """Parameters of a line."""

    slope: Any
    shift: Any


def pair(a: Any, b: Any) -> Any:
    return a * b, a + b


def of_row(row: Any) -> Any:
    return pair(row[0], row[1])


def kinds_of_batches(settings: Settings) -> Figures:
    x = np.linspace(0.5, 1.5, 1000)
    y, both = x + 1, np.stack([x, x + 1], axis=1)
    # each a function of two numbers, the axis, and the arguments
    kinds: dict[str, tuple[Callable[..., Any], int, tuple[Any, ...]]] = {
        "an array": (lambda a, b: np.array(pair(a, b)), 0, (x, y)),
        "a tuple": (pair, 0, (x, y)),
        "a list": (lambda xs: [*pair(*xs)], 0, ([x, y],)),
        "a tuple of arrays": (lambda a, b: (np.array([a * b]), np.array([a + b])), 0, (x, y)),
        "a dict": (
            lambda d: dict(zip("ps", pair(*d.values()), strict=True)),
            0,
            ({"a": x, "b": y},),
        ),
        "a dataclass": (lambda p: Line(*pair(p.slope, p.shift)), 0, (Line(x, y),)),
        "a namedtuple": (lambda p: Fitted(*pair(*p)), 0, (Fitted(x, y),)),
        "strided": (pair, 0, (np.repeat(x, 2)[::2], both[:, 1])),
        "rows": (of_row, 0, (both,)),
        "rows, Fortran's": (of_row, 0, (np.asfortranarray(both),)),
        "along the second axis": (of_row, 1, (both.T.copy(),)),
        "rows of float32": (of_row, 0, (both.astype(np.float32),)),
        "rows of int64": (of_row, 0, ((both * 9).astype(int),)),
    }
    calls: dict[str, Callable[[], Any]] = {}
    for name, (f, axis, args) in kinds.items():
        g = warmed(vmap(f, axis), args)
        columns = [
            np.moveaxis(a.astype(float), axis, -1) if isinstance(a, np.ndarray) else a for a in args
        ]
        equal(name, np.sort(flatten(g(*args))), np.sort(flatten(f(*columns))))
        calls[name] = partial(g, *args)
        h = warmed(vmap(grad(lambda *xs, f=f: flatten(f(*xs))[0]), axis), args)
        calls[f"{name}: gradient"] = partial(h, *args)
    title = "vmap of two results of 1,000 elements in structures of all kinds, us a call"
    return shown(title, timed(calls, settings), "at most 1 over that of an array")
