"""Nested arguments and results: lists, tuples, dicts and NumPy arrays of scalars.

A *leaf* of such a structure is anything else: a number, a Value.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def is_array(x: Any) -> bool:
    """Whether `x` is a NumPy array (without importing NumPy)."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(x, numpy.ndarray)


def children(tree: Any) -> Iterable[Any] | None:
    """The parts of a list, tuple, dict or array; None for a leaf."""
    if isinstance(tree, dict):
        return tree.values()
    if isinstance(tree, (list, tuple)):
        return tree
    return tree.ravel().tolist() if is_array(tree) else None


def flatten(tree: Any) -> list[Any]:
    """The leaves of `tree` from left to right; a dict's in its own order."""
    parts = children(tree)
    return [tree] if parts is None else [leaf for part in parts for leaf in flatten(part)]


def unflatten(tree: Any, leaves: Iterable[Any]) -> Any:
    """`tree` with its leaves replaced, from left to right, by `leaves`."""
    return _fill(tree, iter(leaves))


def tree_map(f: Callable[[Any], Any], tree: Any) -> Any:
    """`tree` with each leaf x replaced by f(x)."""
    return unflatten(tree, map(f, flatten(tree)))


def _fill(tree: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _fill(part, leaves) for key, part in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[_fill(part, leaves) for part in tree])
    if isinstance(tree, (list, tuple)):
        return type(tree)([_fill(part, leaves) for part in tree])
    if is_array(tree):
        return _array([next(leaves) for _ in range(tree.size)], tree.shape)
    return next(leaves)


def _array(leaves: list[Any], shape: tuple[int, ...]) -> Any:
    """An array of floats if all leaves are, of objects otherwise."""
    import numpy

    plain = all(isinstance(leaf, (float, int)) for leaf in leaves)
    array = numpy.empty(len(leaves), dtype=float if plain else object)
    array[:] = leaves
    return array.reshape(shape)
