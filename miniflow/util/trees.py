"""Nested arguments and results: lists, tuples, dicts, dataclasses and NumPy arrays of scalars.

A *leaf* of such a structure is anything else: a number, a Value. Fields of a dataclass that hold
strings, bools, None, members of enumerations or functions are *static*, as are those marked by
``field(metadata={"static": True})``: they are kept as they are.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any

LEAF_TYPES: set[type] = {float, int}  # classes of leaves for sure; the engine adds its Value
STATIC = (str, bytes, bool, Enum, type(None))  # what fields hold that are kept as they are


def is_array(x: Any) -> bool:
    """Whether `x` is a NumPy array (without importing NumPy)."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(x, numpy.ndarray)


def children(tree: Any) -> Sequence[Any] | None:
    """The parts of a list, tuple, dict, dataclass or array; None for a leaf."""
    if tree.__class__ in LEAF_TYPES:
        return None
    if isinstance(tree, dict):
        return list(tree.values())
    if isinstance(tree, (list, tuple)):
        return tree
    if is_dataclass(tree):
        return [getattr(tree, name) for name in part_names(tree)]
    return tree.ravel().tolist() if is_array(tree) else None


def is_dataclass(x: Any) -> bool:
    """Whether `x` is an object of a dataclass, and no number."""
    kind = type(x)
    return hasattr(kind, "__dataclass_fields__") and not hasattr(kind, "__float__")


def part_names(record: Any) -> list[str]:
    """The fields of a dataclass's object that are parts of the structure."""
    return [name for name, is_static, _ in _fields(record) if not is_static]


def static_fields(record: Any) -> list[tuple[str, Any]]:
    """The other ones, with what they hold."""
    return [(name, x) for name, is_static, x in _fields(record) if is_static]


def _fields(record: Any) -> Iterator[tuple[str, bool, Any]]:
    """The fields that an object has: names, whether they are static, what they hold."""
    from dataclasses import fields

    for field in fields(record):
        if hasattr(record, field.name):  # one that is not made by __init__ may be missing
            x = getattr(record, field.name)
            static = field.metadata.get("static") or isinstance(x, STATIC) or callable(x)
            yield field.name, bool(static), x


def rebuild(tree: Any, parts: list[Any]) -> Any:
    """A structure like `tree` with other parts."""
    if isinstance(tree, dict):
        new = tree.copy()  # keeps what a subclass of dict knows besides
        for key, part in zip(tree, parts, strict=True):
            new[key] = part
        return new
    if is_dataclass(tree):
        return _copied(tree, zip(part_names(tree), parts, strict=True))
    if is_array(tree):
        return array(parts, tree.shape)
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def _copied(record: Any, parts: Iterable[tuple[str, Any]]) -> Any:
    """A dataclass's object with other parts; __init__ and __post_init__ do not run again."""
    kind: Any = type(record)
    new = kind.__new__(kind)
    for name, part in (*static_fields(record), *parts):
        object.__setattr__(new, name, part)  # of frozen ones, too
    return new


def array(leaves: list[Any], shape: tuple[int, ...]) -> Any:
    """A NumPy array: of floats or ints if all leaves are, of objects otherwise."""
    import numpy

    plain = all(isinstance(leaf, (float, int)) and not isinstance(leaf, bool) for leaf in leaves)
    whole = len(leaves) > 0 and all(type(leaf) is int for leaf in leaves)
    flat = numpy.empty(len(leaves), dtype=int if whole else float if plain else object)
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
    if parts is None:
        return [tree]
    found = []
    for part in parts:
        if part.__class__ in LEAF_TYPES:
            found.append(part)
        else:
            found += flatten(part)
    return found


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
    elif is_dataclass(model) and type(tree) is not type(model):
        raise ValueError(f"not a {type(model).__name__}")
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
