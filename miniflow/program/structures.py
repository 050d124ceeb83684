"""Structures of arguments and results: numbers apart from what holds them.

A *skeleton* is a structure with holes in the places of its numbers. What is no number is a
*setting* and stays in its place: a string, None, a mask, any hashable object.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice
from math import prod
from typing import Any

from miniflow.tape.core import Value
from miniflow.util.trees import array, children, is_array, rebuild


class Hole(Enum):
    """Where a number goes in a structure of arguments or results."""

    NUMBER = "number"

    def __repr__(self) -> str:
        return "."


HOLE = Hole.NUMBER


class Numbers:
    """Where an array of numbers goes in a structure."""

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbers) and self.shape == other.shape

    def __hash__(self) -> int:
        return hash(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    def __repr__(self) -> str:
        return f"array{self.shape}"


def is_number(x: Any) -> bool:
    """Whether a leaf of a structure is a number to compute with, rather than a setting."""
    if x.__class__ is Value or x.__class__ is float:
        return True
    if isinstance(x, (bool, str, bytes, Enum)) or x is None:
        return False
    if type(x).__name__ in ("bool", "bool_") and type(x).__module__ == "numpy":
        return False
    return hasattr(type(x), "__float__") and not isinstance(x, type)


def split(tree: Any) -> tuple[list[Any], Any]:
    """The numbers of a structure, and the structure with holes in their places."""
    numbers: list[Any] = []
    return numbers, _split(tree, numbers)


def _split(tree: Any, numbers: list[Any]) -> Any:
    parts = children(tree)
    if parts is None:
        if not is_number(tree):
            return tree
        numbers.append(tree)
        return HOLE
    if is_array(tree) and tree.dtype != bool and all(map(is_number, parts)):
        numbers += parts
        return Numbers(tree.shape)
    if is_setting(tree):
        return tree.copy()  # the caller may change it
    return rebuild(tree, [_split(part, numbers) for part in parts])


def is_setting(tree: Any) -> bool:
    """Whether it is an array of what are no numbers: a mask, say."""
    return is_array(tree) and tree.dtype != object


def fill(tree: Any, numbers: Iterable[Any]) -> Any:
    """A structure with numbers in its holes."""
    return _fill(tree, iter(numbers))


def _fill(tree: Any, numbers: Iterator[Any]) -> Any:
    if tree is HOLE:
        return next(numbers)
    if isinstance(tree, Numbers):
        return array(list(islice(numbers, tree.size)), tree.shape)
    if is_setting(tree):
        return tree.copy()
    parts = children(tree)
    return tree if parts is None else rebuild(tree, [_fill(part, numbers) for part in parts])


def size(tree: Any) -> int:
    """How many numbers go into the holes of a structure."""
    if tree is HOLE:
        return 1
    if isinstance(tree, Numbers):
        return tree.size
    return sum([size(part) for part in children(tree) or ()])


def key(tree: Any) -> Any:
    """What two structures with holes have in common exactly if they are alike; hashable.

    Raises:
        TypeError: a setting in it is not hashable.
    """
    if is_setting(tree):
        return type(tree), tree.dtype.str, tree.shape, tree.tobytes()
    parts = children(tree)
    if parts is None:
        if tree is HOLE:
            return tree
        if isinstance(tree, frozenset):  # True, 1 and 1.0 are equal there
            return type(tree), frozenset([(type(x), x) for x in tree])
        try:
            hash(tree)
        except TypeError:
            raise TypeError(
                f"{tree!r:.60} is a {type(tree).__name__}, neither a number nor hashable: a traced "
                "function takes numbers in lists, tuples, dicts and arrays, and hashable settings"
            ) from None
        return type(tree), repr(tree) if isinstance(tree, complex) else tree
    names = tuple([(type(name), name) for name in tree]) if isinstance(tree, dict) else None
    return type(tree), names, tuple([key(part) for part in parts])


def match(what: str, tree: Any, model: Any) -> list[Any]:
    """The numbers of `tree` in the places of the holes of `model`.

    Raises:
        TypeError: the two are not of the same structure.
    """
    found: list[Any] = []
    _match(what, tree, model, found)
    return found


def _match(what: str, tree: Any, model: Any, found: list[Any]) -> None:
    if isinstance(model, Numbers):
        if getattr(tree, "shape", None) != model.shape:
            raise TypeError(f"{what}: got {tree!r:.60} where an {model!r} was traced")
        found += children(tree) or ()
        return
    models = children(model)
    if is_setting(model):
        if not is_array(tree) or key(tree) != key(model):
            raise TypeError(f"{what}: got {tree!r:.60} where {model!r:.60} was traced")
        return
    if models is None:
        if model is HOLE:
            found.append(tree)
        elif type(tree) is not type(model) or tree != model:
            raise TypeError(f"{what}: got {tree!r:.60} where {model!r:.60} was traced")
        return
    parts = children(tree)
    if isinstance(model, dict) and isinstance(tree, dict) and tree.keys() == model.keys():
        parts = [tree[name] for name in model]
    elif isinstance(model, dict) or isinstance(tree, dict):
        parts = None
    if parts is None or len(parts) != len(models):
        raise TypeError(f"{what}: got {tree!r:.60} where the structure {model!r:.60} was traced")
    for part, other in zip(parts, models, strict=True):
        _match(what, part, other, found)
