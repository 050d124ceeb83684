"""Structures of arguments and results: numbers apart from what holds them.

A *treedef* is a structure with *leaves* in the places of its numbers: one for a number, one for
an array of them. What is not a number is *static* and stays in its place: a string, None, a mask,
any hashable object.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import islice
from math import prod
from typing import Any

from miniflow.tape.core import Value
from miniflow.util.trees import (
    LEAF_TYPES,
    array,
    children,
    is_array,
    is_dataclass,
    part_names,
    rebuild,
    static_fields,
)


class NumberLeaf:
    """Where a number stands in a treedef; there is one, NUMBER_LEAF."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "."

    def __reduce__(self) -> str:
        return "NUMBER_LEAF"


NUMBER_LEAF = NumberLeaf()
ROW_TYPES = {list, tuple}  # what most numbers are in, with nothing else beside them
NUMBERS_ALONE = {NumberLeaf}


class ArrayLeaf:
    """Where an array of numbers stands in a treedef."""

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrayLeaf) and self.shape == other.shape

    def __hash__(self) -> int:
        return hash(self.shape)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return prod(self.shape)

    def __repr__(self) -> str:
        return f"array{self.shape}"


class StaticLeaf:
    """An argument that is static because the user says so, though it may be a number."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StaticLeaf) and _told_apart(self.value) == _told_apart(other.value)

    def __hash__(self) -> int:
        return hash(_told_apart(self.value))

    def __repr__(self) -> str:
        return repr(self.value)


def _told_apart(x: Any) -> Any:
    """A key of a static argument: True, 1 and 1.0 are not one, nor are 0.0 and -0.0."""
    if type(x) is tuple:
        return tuple, tuple(map(_told_apart, x))
    if isinstance(x, frozenset):
        return type(x), frozenset(map(_told_apart, x))
    return type(x), repr(x) if isinstance(x, (float, complex)) else x


def is_number(x: Any) -> bool:
    """Whether a part of a structure is a number to compute with, rather than static."""
    if x.__class__ is Value or x.__class__ is float:
        return True
    if isinstance(x, (bool, str, bytes, Enum)) or x is None:
        return False
    if type(x).__name__ in ("bool", "bool_") and type(x).__module__ == "numpy":
        return False
    return hasattr(type(x), "__float__") and not isinstance(x, type)


def only_numbers(treedef: Any) -> bool:
    """Whether it is a list or tuple of nothing but numbers."""
    return treedef.__class__ in ROW_TYPES and {*map(type, treedef)} == NUMBERS_ALONE


def is_static_array(tree: Any) -> bool:
    """Whether it is an array of other things than numbers: a mask, say."""
    return is_array(tree) and tree.dtype != object


# --- numbers out of a structure, and into it ----------------------------------


def flatten_numbers(tree: Any) -> tuple[list[Any], Any]:
    """The numbers of a structure, and its treedef."""
    numbers: list[Any] = []
    return numbers, _flatten(tree, numbers)


def _flatten(tree: Any, numbers: list[Any]) -> Any:
    if tree.__class__ in ROW_TYPES and LEAF_TYPES.issuperset(map(type, tree)):
        numbers += tree
        return tree.__class__((NUMBER_LEAF,)) * len(tree)
    parts = children(tree)
    if parts is None:
        if not is_number(tree):
            return tree
        numbers.append(tree)
        return NUMBER_LEAF
    if is_array(tree) and tree.dtype != bool and all(map(is_number, parts)):
        numbers += parts
        return ArrayLeaf(tree.shape)
    if is_static_array(tree):
        return tree.copy()  # the caller may change it
    return rebuild(tree, [_flatten(part, numbers) for part in parts])


def unflatten_numbers(treedef: Any, numbers: Iterable[Any]) -> Any:
    """The structure of a treedef with these numbers."""
    return _unflatten(treedef, iter(numbers))


def _unflatten(treedef: Any, numbers: Iterator[Any]) -> Any:
    if treedef is NUMBER_LEAF:
        return next(numbers)
    if isinstance(treedef, ArrayLeaf):
        return array(list(islice(numbers, treedef.size)), treedef.shape)
    if only_numbers(treedef):
        return treedef.__class__(islice(numbers, len(treedef)))
    if is_static_array(treedef):
        return treedef.copy()
    parts = children(treedef)
    if parts is None:
        return treedef
    return rebuild(treedef, [_unflatten(part, numbers) for part in parts])


def count_numbers(treedef: Any) -> int:
    """How many numbers a treedef is for."""
    if treedef is NUMBER_LEAF:
        return 1
    if isinstance(treedef, ArrayLeaf):
        return treedef.size
    return sum([count_numbers(part) for part in children(treedef) or ()])


# --- treedefs compared --------------------------------------------------------


def treedef_key(treedef: Any) -> Any:
    """What two treedefs have in common exactly if they are alike; hashable.

    Raises:
        TypeError: a static part is not hashable.
    """
    if only_numbers(treedef):
        return treedef.__class__, len(treedef)
    if is_static_array(treedef):
        return type(treedef), treedef.dtype.str, treedef.shape, treedef.tobytes()
    parts = children(treedef)
    if parts is None:
        return treedef if treedef is NUMBER_LEAF else _static_key(treedef)
    names: Any = None
    if isinstance(treedef, dict):
        names = tuple([(type(name), name) for name in treedef])
    elif is_dataclass(treedef):
        names = tuple(part_names(treedef)), _static_parts(treedef)
    return type(treedef), names, tuple([treedef_key(part) for part in parts])


def _static_parts(record: Any) -> tuple[Any, ...]:
    """The names of a dataclass's static fields, and the keys of what they hold."""
    return tuple([(name, _static_key(x)) for name, x in static_fields(record)])


def _static_key(x: Any) -> Any:
    """The same for what is no number."""
    if isinstance(x, frozenset):  # True, 1 and 1.0 are equal there
        return type(x), frozenset([(type(part), part) for part in x])
    try:
        hash(x)
    except TypeError:
        raise TypeError(
            f"{x!r:.60} is a {type(x).__name__}, neither a number nor hashable: a traced function "
            "takes numbers in lists, tuples, dicts, dataclasses and arrays, and hashable static "
            "arguments"
        ) from None
    return type(x), repr(x) if isinstance(x, complex) else x


def match_numbers(what: str, tree: Any, treedef: Any) -> list[Any]:
    """The numbers of `tree` where `treedef` has its leaves.

    Raises:
        TypeError: the two are not of the same structure; the message begins with `what`.
    """
    found: list[Any] = []
    _match(what, tree, treedef, found)
    return found


def _match(what: str, tree: Any, treedef: Any, found: list[Any]) -> None:
    if treedef is NUMBER_LEAF:
        found.append(tree)
        return
    models = None if is_static_array(treedef) else children(treedef)
    if models is None:
        if not _is_alike(tree, treedef):
            raise TypeError(f"{what}: got {tree!r:.60} where {treedef!r:.60} was traced")
        if isinstance(treedef, ArrayLeaf):
            found += children(tree) or ()
        return
    parts = _parts(tree, treedef)
    if parts is None or len(parts) != len(models):
        raise TypeError(f"{what}: got {tree!r:.60} where the structure {treedef!r:.60} was traced")
    for part, model in zip(parts, models, strict=True):
        _match(what, part, model, found)


def _is_alike(x: Any, leaf: Any) -> bool:
    """Whether it is an array of that shape, or the same static part."""
    if isinstance(leaf, ArrayLeaf):
        return getattr(x, "shape", None) == leaf.shape
    if isinstance(leaf, StaticLeaf):
        return StaticLeaf(x) == leaf
    if is_static_array(leaf):
        return is_array(x) and treedef_key(x) == treedef_key(leaf)
    return type(x) is type(leaf) and bool(x == leaf)


def _parts(tree: Any, treedef: Any) -> Sequence[Any] | None:
    """The parts of a structure in the order of a treedef's; None where they cannot be."""
    if is_dataclass(treedef):
        alike = type(tree) is type(treedef) and _static_parts(tree) == _static_parts(treedef)
        return children(tree) if alike else None
    if not (isinstance(tree, dict) or isinstance(treedef, dict)):
        return None if is_dataclass(tree) else children(tree)
    alike = isinstance(tree, dict) and isinstance(treedef, dict) and tree.keys() == treedef.keys()
    return [tree[name] for name in treedef] if alike else None
