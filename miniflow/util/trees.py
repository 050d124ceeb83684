"""Nested arguments and results: lists, tuples, dicts and NumPy arrays of scalars.

A *leaf* of such a structure is anything else: a number, a Value.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


def is_array(x: Any) -> bool:
    """Whether `x` is a NumPy array (without importing NumPy)."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(x, numpy.ndarray)


def children(tree: Any) -> Sequence[Any] | None:
    """The parts of a list, tuple, dict or array; None for a leaf."""
    if tree.__class__ is float:
        return None
    if isinstance(tree, dict):
        return list(tree.values())
    if isinstance(tree, (list, tuple)):
        return tree
    return tree.ravel().tolist() if is_array(tree) else None


def rebuild(tree: Any, parts: list[Any]) -> Any:
    """A structure like `tree` with other parts."""
    if isinstance(tree, dict):
        new = tree.copy()  # keeps what a subclass of dict knows besides
        for key, part in zip(tree, parts, strict=True):
            new[key] = part
        return new
    if is_array(tree):
        return array(parts, tree.shape)
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def array(leaves: list[Any], shape: tuple[int, ...]) -> Any:
    """A NumPy array: of floats if all leaves are, of objects otherwise."""
    import numpy

    plain = all(isinstance(leaf, (float, int)) and not isinstance(leaf, bool) for leaf in leaves)
    flat = numpy.empty(len(leaves), dtype=float if plain else object)
    flat[:] = leaves
    return flat.reshape(shape)


def each_element(f: Callable[..., Any], operands: Sequence[Any]) -> Any:
    """The function of each element of arrays, and of numbers beside them, as an array."""
    import numpy

    found = numpy.frompyfunc(f, len(operands), 1)(*operands)
    return array(found.ravel().tolist(), found.shape) if is_array(found) else found


def flatten(tree: Any) -> list[Any]:
    """The leaves of `tree` from left to right; a dict's in its own order."""
    parts = children(tree)
    return [tree] if parts is None else [leaf for part in parts for leaf in flatten(part)]


def flatten_like(tree: Any, model: Any) -> list[Any]:
    """The leaves of `tree` in the order of `model`'s: dicts are matched by their keys.

    Raises:
        ValueError: the two are not of the same structure.
    """
    parts, models = children(tree), children(model)
    if parts is None or models is None:
        if parts is not models:
            raise ValueError("a leaf in the place of a structure, or the other way round")
        return [tree]
    if isinstance(model, dict):
        if not isinstance(tree, dict) or tree.keys() != model.keys():
            raise ValueError("other keys")
        parts = [tree[key] for key in model]
    elif isinstance(tree, dict) or getattr(tree, "shape", ()) != getattr(model, "shape", ()):
        raise ValueError("another kind of structure, or another shape")
    if len(parts) != len(models):
        raise ValueError("another length")
    pairs = zip(parts, models, strict=True)
    return [leaf for part, other in pairs for leaf in flatten_like(part, other)]


def unflatten(tree: Any, leaves: Iterable[Any]) -> Any:
    """`tree` with its leaves replaced, from left to right, by `leaves`."""
    return _fill(tree, iter(leaves))


def _fill(tree: Any, leaves: Iterator[Any]) -> Any:
    parts = children(tree)
    if parts is None:
        return next(leaves)
    return rebuild(tree, [_fill(part, leaves) for part in parts])


def tree_map(f: Callable[[Any], Any], tree: Any) -> Any:
    """`tree` with each leaf x replaced by f(x); what f leaves alone stays the same object."""
    parts = children(tree)
    if parts is None:
        return f(tree)
    mapped = [tree_map(f, part) for part in parts]
    same = all(new is old for new, old in zip(mapped, parts, strict=True))
    return tree if same else rebuild(tree, mapped)
