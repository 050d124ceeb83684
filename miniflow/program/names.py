"""Names: identifiers, and what a user's function calls itself and its arguments."""

import keyword
import unicodedata
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from miniflow.program.structures import NUMBER_LEAF, ArrayLeaf
from miniflow.util.trees import children, is_dataclass, part_names


def identifier(name: str) -> str:
    """The nearest Python identifier."""
    name = unicodedata.normalize("NFKC", name)  # as Python does
    name = "".join([x if f"_{x}".isidentifier() else "_" for x in name])
    good = name.isidentifier() and not keyword.iskeyword(name) and name != "__debug__"
    return name if good else f"_{name}"


def function_name(f: Callable[..., Any]) -> str:
    """What a function is called, as a Python name."""
    name = getattr(f, "__name__", type(f).__name__)
    return "f" if name == "<lambda>" else identifier(name)


def argument_names(f: Callable[..., Any], arguments: Any) -> list[str]:
    """What a function calls its arguments: those given by position, then the others.

    `arguments` is their treedef, ``(args, kwargs)``.
    """
    args, kwargs = arguments
    names = _positional_names(f, len(args))
    names += [f"x{k}" for k in range(len(names), len(args))]
    return [*map(identifier, names[: len(args)]), *map(identifier, kwargs)]


def _positional_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of a function's parameters, as far as it has a signature."""
    import inspect  # slow to import

    names: list[str] = []
    try:
        for parameter in inspect.signature(f).parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                names += [f"{parameter.name}{k}" for k in range(count - len(names))]
            else:
                names.append(parameter.name)
    except (TypeError, ValueError):  # some builtins have no signature
        pass
    return names


def input_names(parameters: list[str], arguments: Any) -> list[str]:
    """A name for each number among the arguments, by the names of these."""
    args, kwargs = arguments
    pairs = zip(parameters, [*args, *kwargs.values()], strict=True)
    return [leaf for name, treedef in pairs for leaf in _leaf_names(name, treedef)]


def _leaf_names(name: str, treedef: Any) -> Iterator[str]:
    """A name for each number of an argument of that name."""
    if treedef is NUMBER_LEAF:
        yield name
    elif isinstance(treedef, ArrayLeaf):
        for places in product(*map(range, treedef.shape)):
            yield f"{name}_{'_'.join(map(str, places))}"
    else:
        parts = children(treedef) or ()
        for suffix, part in zip(_suffixes(treedef, len(parts)), parts, strict=True):
            yield from _leaf_names(f"{name}_{suffix}", part)


def _suffixes(treedef: Any, count: int) -> list[str]:
    """What the parts of a structure are called."""
    if isinstance(treedef, dict):
        return list(map(str, treedef))
    if is_dataclass(treedef):
        return part_names(treedef)
    return list(getattr(treedef, "_fields", map(str, range(count))))
