"""One function in every mode: eager, recorded, traced, compiled, over a batch."""

from functools import lru_cache

import numpy as np

from miniflow import Value, jit, trace, vmap
from miniflow.util.trees import tree_map

compiled = lru_cache(maxsize=32)(jit)
batched = lru_cache(maxsize=32)(vmap)


def batch(x):
    """Three elements, all the same."""
    return np.array([x] * 3)


def number(x):
    return x.data if isinstance(x, Value) else x


def again(f, xs):
    """The answer of a later call: by then there is other code."""
    return [f(*xs) for _ in range(5)][-1]


def first(f, xs):
    """The first element's result."""
    return element(f(*tree_map(batch, list(xs))))


def element(y):
    return y[0].tolist() if isinstance(y, np.ndarray) else type(y)([element(x) for x in y])


MODES = {
    "eager": lambda f, *xs: f(*xs),
    "recorded": lambda f, *xs: tree_map(number, f(*tree_map(Value, list(xs)))),
    "trace": lambda f, *xs: trace(f, *xs)(*xs),
    "replayed": lambda f, *xs: compiled(f, backend="tape")(*xs),
    "source": lambda f, *xs: again(compiled(f, backend="source"), xs),
    "native": lambda f, *xs: compiled(f, backend="native")(*xs),
    "vmap": lambda f, *xs: first(batched(f), xs),
    "precise": lambda f, *xs: first(batched(f, precise=True), xs),
}
