"""What is checked: a function as one of a list of numbers, whatever its arguments are.

Inputs are, in this order: the numbers in the arguments, the parameters of modules (of the function
itself, if it is one, and of those among the arguments), and leaves from outside that it uses. A
module is copied for each call, with other numbers in the place of its parameters.
"""

import copy
import inspect
from collections.abc import Callable, Sequence
from enum import Enum
from types import FunctionType
from typing import Any

from miniflow.compiled.jit import Jitted
from miniflow.nn import Module, parameter_names
from miniflow.ops import real
from miniflow.tape.core import Value, current, here
from miniflow.tape.reading import located
from miniflow.tape.storage import plain
from miniflow.testing.graphs import outside
from miniflow.util.functions import a_function
from miniflow.util.trees import children, flatten, is_array, is_dataclass, part_names, unflatten
from miniflow.util.words import dialect, shown

CALLER = "check_grads"
NO_NUMBERS = (
    str,
    bytes,
    bool,
    type(None),
    Enum,
    Module,
    FunctionType,
)  # arguments that are no numbers


class RecordedCall:
    """One recorded call: its inputs and outputs on the tape."""

    def __init__(self, inputs: list[Value], outputs: list[Value]) -> None:
        self.inputs, self.outputs = inputs, outputs


class Subject:
    """A function with the point at which its derivatives are checked.

    Attributes:
        names, numbers: of the inputs.
        movable: how many of them, the first ones, can be changed; leaves from outside cannot.
        out: the outputs' names.
        inner: the function that a jitted one was made of; else the function itself.
        opaque: whether plain numbers are what the function is called with.
    """

    def __init__(self, f: Callable[..., Any], args: Any, *, opaque: bool = False) -> None:
        a_function(CALLER, f)
        if not isinstance(args, (tuple, list)):
            raise TypeError(
                f"{CALLER}: args must be a tuple of arguments, e.g. (0.5,), got {shown(args)}"
            )
        self.f = f
        self.inner = f.f if isinstance(f, Jitted) else f
        self.opaque = opaque
        self.args = list(args)
        self.leaves = flatten(self.args)
        self.modules = [x for x in (f, *self.leaves) if isinstance(x, Module)]
        self.places = [k for k, x in enumerate(self.leaves) if not isinstance(x, NO_NUMBERS)]
        given = [plain(x) if x.__class__ is Value else real(x, CALLER)
                 for x in map(self.leaves.__getitem__, self.places)]  # fmt: skip
        owned = [pair for module in self.modules for pair in module.named_parameters()]
        self.parameters = [p for _, p in owned]
        self.captured: list[Value] = []
        names = _argument_names(f, self.args)
        self.names = [*map(names.__getitem__, self.places), *[name for name, _ in owned]]
        self.count = len(given)
        self.numbers = [*given, *map(plain, self.parameters)]
        self.movable = len(self.numbers)
        self.out: list[str] = []

    def given(self, numbers: Sequence[Any]) -> tuple[Callable[..., Any], list[Any]]:
        """The function, and its arguments with these numbers in them; modules are copies."""
        every = list(self.leaves)
        for k, x in zip(self.places, numbers, strict=False):
            every[k] = x
        instead = zip(self.parameters, numbers[self.count :], strict=False)
        memo = {id(p): x for p, x in instead}
        every = [copied(x, memo) for x in every] if self.modules else every
        args = unflatten(self.args, every)
        if any(isinstance(x, complex) for x in numbers):
            args = [x.astype(complex) if is_array(x) else x for x in args]
        return copied(self.f, memo), args

    def record(self, numbers: Sequence[float], *, inner: bool = False) -> RecordedCall:
        """Call the function with Values; of captured leaves the numbers stay."""
        leaves = [Value(x) for x in numbers[: self.movable]]
        out = self.called(leaves, inner=inner)
        outputs = [_output_value(y) for y in flatten(out)]
        self.christen(out)
        return RecordedCall([*leaves, *self.captured], outputs)

    def christen(self, out: Any) -> None:
        """Name the outputs, once they are known: after the function."""
        if not self.out:
            name = getattr(self.f, "__name__", "")
            name = name if name.isidentifier() else "f"
            self.out = [name + path for path, _ in named_leaves(out)]

    def called(self, numbers: Sequence[Any], *, inner: bool = False) -> Any:
        """What the function returns for these numbers, or Values."""
        f, args = self.given(numbers)
        return (self.inner if inner and f is self.f else f)(*args)

    def values(self, numbers: Sequence[Any]) -> list[Any]:
        """The outputs as plain numbers; also of complex ones and mpmath's, where f takes them."""
        if self.opaque or not all(type(x) is float for x in numbers):
            if self.captured:
                raise TypeError("leaves from outside are doubles")
            found = flatten(self.called(numbers))
            return [plain(y) if y.__class__ is Value else y for y in found]
        return [plain(y) for y in self.record(numbers).outputs]

    def capture(self) -> None:
        """Take the leaves from outside that a call uses for inputs, too."""
        table = here.table
        with table.hold():
            floor = table.count
            call = self.record(self.numbers, inner=True)
            self.captured = outside(table, call.outputs, call.inputs, floor)
        known = parameter_names() if self.captured else {}
        for k, v in enumerate(self.captured):
            self.names.append(known.get(v) or v.label or f"captured {k}")
        self.numbers += map(plain, self.captured)
        self.opaque = isinstance(self.f, Jitted) and not (self.captured or self.parameters)


def copied(x: Any, memo: dict[int, Any]) -> Any:
    """A module's copy, with what `memo` has for its parameters; anything else as it is."""
    if not isinstance(x, Module):
        return x
    try:
        return copy.deepcopy(x, dict(memo))
    except Exception as error:
        raise TypeError(
            f"{CALLER}: {type(x).__name__} cannot be copied ({error}); check a function of its "
            "inputs that calls it"
        ) from error


def _output_value(y: Any) -> Value:
    """One output as a Value of this thread."""
    if y.__class__ is Value:
        return y if located(y)[0] is here.table else +y
    try:
        return current().constant(real(y))
    except TypeError:
        forgotten = "; has it a return?" if y is None else dialect(y)
        raise TypeError(
            f"{CALLER}: f must return numbers or Values, in lists, tuples, dicts, dataclasses or "
            f"arrays, got {type(y).__name__}{forgotten}"
        ) from None


# --- names ------------------------------------------------------------------------


def _argument_names(f: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    """What each leaf of the arguments is called, after f's parameters: x[1], rates['low']."""
    try:
        bound = inspect.signature(f).bind(*args).arguments.items()
    except (TypeError, ValueError):  # f does not say what it takes, or takes something else
        bound = ()  # type: ignore[assignment]
    named = [(name, x) for name, x in bound if not name.startswith("_")]
    if not same_objects([x for _, x in named], args):
        named = [(f"args[{k}]", x) for k, x in enumerate(args)]
    return [name + path for name, x in named for path, _ in named_leaves(x)]


def same_objects(found: Sequence[Any], args: Sequence[Any]) -> bool:
    """Whether two lists hold the same objects."""
    return len(found) == len(args) and all(a is b for a, b in zip(found, args, strict=True))


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """The leaves of a structure with the Python that leads to each.

    Example:
        >>> named_leaves({"a": [1.0, 2.0]})
        [("['a'][0]", 1.0), ("['a'][1]", 2.0)]
    """
    parts = children(tree)
    if parts is None:
        return [("", tree)]
    pairs = zip(steps_to(tree, len(parts)), parts, strict=True)
    return [(step + path, leaf) for step, part in pairs for path, leaf in named_leaves(part)]


def steps_to(tree: Any, count: int) -> list[str]:
    """The Python that leads to each of so many parts of a structure."""
    if isinstance(tree, dict):
        return [f"[{key!r}]" for key in tree]
    if is_dataclass(tree):
        return [f".{name}" for name in part_names(tree)]
    if is_array(tree):
        import numpy

        return [f"[{', '.join(map(str, index))}]" for index in numpy.ndindex(tree.shape)]
    if hasattr(tree, "_fields"):
        return [f".{name}" for name in tree._fields]
    return [f"[{k}]" for k in range(count)]
