"""Which structures built-in functions of machine code take and make, and what they consist of.

Besides lists, tuples and dicts these are *named tuples* (subclasses of tuple with ``_fields``) and
*records*: objects of dataclasses whose fields are read and written without running Python.
Subclasses of list and dict go the slow way: they may do anything.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType
from typing import Any

from miniflow.program.structures import NUMBER_LEAF, ArrayLeaf, StaticLeaf, only_numbers
from miniflow.util.trees import children, is_array, is_dataclass, part_names, static_fields

SEQUENCES: dict[type, str] = {list: "List", tuple: "Tuple"}
# What is told from all others of its class by its address, or else by a comparison in C.
SINGLE = (bool, type(None), type, FunctionType, BuiltinFunctionType)
COMPARED = (str, bytes, int, float)


def is_named(tree: Any) -> bool:
    """Whether it is a named tuple whose items are those of the tuple."""
    kind = type(tree)
    return (
        isinstance(tree, tuple)
        and hasattr(kind, "_fields")
        and (kind.__iter__, kind.__len__) == (tuple.__iter__, tuple.__len__)
    )


def is_record(tree: Any) -> bool:
    """Whether it is an object of a dataclass all of whose fields are found in it as they are."""
    kind: Any = type(tree)
    if isinstance(tree, (dict, list, tuple)) or not is_dataclass(tree):
        return False
    names = [*part_names(tree), *[name for name, _ in static_fields(tree)]]
    plain = kind.__getattribute__ is object.__getattribute__ and not hasattr(kind, "__getattr__")
    return plain and len(names) == len(fields(tree)) and all(_is_stored(kind, x) for x in names)


def _is_stored(kind: type, name: str) -> bool:
    """Whether a field stands in an object, or its slot, and no property makes it."""
    found = [vars(owner)[name] for owner in kind.__mro__ if name in vars(owner)]
    return not found or isinstance(found[0], MemberDescriptorType) or not _decides(found[0])


def _decides(x: Any) -> bool:
    """Whether it comes before what an object has under its name, as a property does."""
    return hasattr(type(x), "__set__") or hasattr(type(x), "__delete__")


def inner(tree: Any) -> Sequence[Any]:
    """The parts of a structure that is not a leaf; nothing of any other."""
    holds = type(tree) is dict or type(tree) in SEQUENCES or is_named(tree) or is_record(tree)
    return (children(tree) or ()) if holds else ()


def stands_for_numbers(tree: Any) -> bool:
    """Whether it stands for numbers."""
    return tree is NUMBER_LEAF or isinstance(tree, ArrayLeaf)


def is_taken(tree: Any) -> bool:
    """Whether a structure is one that a built-in function can take."""
    if only_numbers(tree):
        return True
    if type(tree) is dict:
        return all(map(is_constant, tree)) and all(map(is_taken, tree.values()))
    if type(tree) in SEQUENCES or is_named(tree):
        return all(map(is_taken, tree))
    if is_record(tree):
        return all(is_constant(x) for _, x in static_fields(tree)) and all(
            map(is_taken, inner(tree))
        )
    return stands_for_numbers(tree) or is_constant(tree)


def is_constant(x: Any) -> bool:
    """Whether it is the same wherever it is found in the same place in memory."""
    if isinstance(x, StaticLeaf):
        return _is_fixed(x.value)
    kind: Any = type(x)
    boolean = kind.__name__ == "bool" and kind.__module__ == "numpy"
    itself = kind.__eq__ is object.__eq__ or kind in SINGLE or isinstance(x, Enum) or boolean
    return itself or kind in COMPARED


def _is_fixed(x: Any) -> bool:
    """Whether a static argument is told from others in C: zeros of two signs are equal there."""
    if type(x) is tuple:
        return all(map(_is_fixed, x))
    return is_constant(x) and (type(x) is not float or x * x > 0)


def is_made(tree: Any) -> bool:
    """Whether a structure is one that a built-in function can make."""
    if only_numbers(tree):
        return True
    if type(tree) is dict or type(tree) in SEQUENCES or is_named(tree):
        return all(map(is_made, inner(tree)))
    if is_record(tree):
        kind: Any = type(tree)
        return kind.__new__ is object.__new__ and all(map(is_made, inner(tree)))
    return stands_for_numbers(tree) or (children(tree) is None and not is_array(tree))


def constants_in(tree: Any, *, made: bool = False) -> Iterator[Any]:
    """Static parts of a structure, names and classes, in the order in which they are needed.

    If it is `made`, what makes a named tuple takes the place of its class.
    """
    if only_numbers(tree):
        return
    if type(tree) is dict:
        for key, part in tree.items():
            yield key
            yield from constants_in(part, made=made)
    elif type(tree) in SEQUENCES or is_named(tree):
        if is_named(tree):
            yield maker(type(tree)) if made else type(tree)
        for part in tree:
            yield from constants_in(part, made=made)
    elif is_record(tree):
        yield type(tree)
        for pair in static_fields(tree):
            yield from pair
        for name, part in zip(part_names(tree), inner(tree), strict=True):
            yield name
            yield from constants_in(part, made=made)
    elif not stands_for_numbers(tree):
        yield tree.value if isinstance(tree, StaticLeaf) else tree


def outline(tree: Any) -> Any:
    """What code depends on of a structure that it takes or makes: it gets constants when linked."""
    if only_numbers(tree):
        return SEQUENCES[type(tree)], len(tree)
    if stands_for_numbers(tree):
        return repr(tree)
    if type(tree) is dict:
        return "dict", [(type(key) in COMPARED, outline(part)) for key, part in tree.items()]
    if is_record(tree):
        compared = [type(x) in COMPARED for _, x in static_fields(tree)]
        return "record", compared, [*map(outline, inner(tree))]
    if type(tree) in SEQUENCES or is_named(tree):
        return SEQUENCES.get(type(tree), "named"), [*map(outline, tree)]
    return type(next(constants_in(tree))) in COMPARED


def maker(kind: Any) -> Callable[[tuple[Any, ...]], Any]:
    """What makes a named tuple of its items: in C, unless the class makes its objects itself."""
    known = getattr(kind.__new__, "__globals__", {}).get("_tuple_new") is tuple.__new__
    if known and kind.__init__ is object.__init__ and type(kind) is type:
        return partial(tuple.__new__, kind)
    return lambda parts: kind(*parts)


def leaves_in(tree: Any) -> Iterator[Any]:
    """The leaves of a structure, in the order of their numbers."""
    if only_numbers(tree):
        yield from tree
    elif stands_for_numbers(tree):
        yield tree
    else:
        for part in inner(tree):
            yield from leaves_in(part)


def arrays(tree: Any) -> list[ArrayLeaf]:
    """The arrays in a structure, in the order of their numbers."""
    return [leaf for leaf in leaves_in(tree) if isinstance(leaf, ArrayLeaf)]
