"""Where functions can be differentiated: what their signatures say, and what they record.

Terms:
    interval   ``(low, high)``, two numbers
    domain     an interval, a Hypothesis strategy, or either of them in nested lists, tuples, dicts
    inside     of points: all that a function records there is finite and away from kinks
    witness    a point that is inside
"""

import inspect
import math
import random
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from numbers import Real
from typing import Any

from miniflow.operation import REAL, Interval, Op
from miniflow.ops import TABLE
from miniflow.tape.core import Value
from miniflow.tape.gradient_tape import Entry, Tape
from miniflow.testing.drawn import KEPT_AWAY, DrawnFunction, moderate
from miniflow.testing.kinks import intervals
from miniflow.testing.text import argument_letters
from miniflow.util.trees import children, flatten, tree_map, unflatten

NICE = (0.5, 1.5, 2.0, -0.5, -1.5, 3.0, -2.0, 0.25, -0.25, 1.25)  # of witnesses, none at a kink
TRIES = 300  # points among which a witness is looked for
FACTORS = [2.0**-k for k in range(12)]  # how near to the witness points are pulled
SIZES = (1.0, 4.0, 0.5, 30.0)  # of numbers among which a witness is looked for


def is_interval(x: Any) -> bool:
    """Whether `x` is a pair of plain numbers."""
    return isinstance(x, tuple) and len(x) == 2 and all(isinstance(end, Real) for end in x)


def checked(interval: tuple[float, float]) -> Interval:
    """An interval of floats; ValueError where it holds no number."""
    low, high = map(float, interval)
    if not low < high:
        raise ValueError(f"domain: {interval!r} holds no number; write (low, high), low < high")
    return low, high


def intervals_of(domain: Any) -> list[Interval] | None:
    """The intervals of a domain, in order; None where it has something else, strategies."""
    if is_interval(domain):
        return [checked(domain)]
    parts = children(domain)
    found = [intervals_of(part) for part in parts or ()]
    return None if parts is None or None in found else [x for part in found for x in part or ()]


# --- what a signature says ------------------------------------------------------------


def parameters_of(f: Callable[..., Any]) -> dict[str, Any]:
    """The domain of each parameter of a function, by name, as far as its signature says it.

    A parameter without annotation or default is a number; one whose default is made of numbers
    has its structure; one with another default keeps it.

    Raises:
        TypeError: a parameter can only be given by name, its type is not one of numbers, or
            there is none.
    """
    if isinstance(f, DrawnFunction):
        return dict.fromkeys(argument_letters(f.count), REAL)
    if isinstance(f, Op):
        count = f.arity if f.arity > 0 else 2
        return dict(zip(argument_letters(count), intervals(f, count), strict=True))
    hints, found = _hints(f), dict[str, Any]()
    for name, parameter in inspect.signature(f).parameters.items():
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            _need_not_be_given(name, parameter)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            found |= {f"{name}{k}": REAL for k in range(2)}
        elif parameter.default is parameter.empty:
            found[name] = domain_of_type(name, hints.get(name))
        elif _are_numbers(parameter.default):
            found[name] = tree_map(lambda x: REAL, parameter.default)
        else:
            break  # it stays as it is, and so do those behind it
    if not found:
        raise TypeError("points: the function takes no numbers")
    return found


def _need_not_be_given(name: str, parameter: inspect.Parameter) -> None:
    if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
        raise TypeError(f"points: {name} can only be given by name; wrap the function in a lambda")


def _are_numbers(tree: Any) -> bool:
    """Whether all leaves are numbers, and there are some."""
    leaves = flatten(tree)
    return bool(leaves) and all(isinstance(x, Real) and not isinstance(x, bool) for x in leaves)


def _hints(f: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function, where they can be read."""
    try:
        return typing.get_type_hints(f if inspect.isroutine(f) else type(f).__call__)
    except (NameError, TypeError, AttributeError):
        return {}


def domain_of_type(name: str, hint: Any) -> Any:
    """The domain of what has a type: numbers, lists, tuples and dataclasses of them."""
    if hint in (None, Any, float, int, Value, inspect.Parameter.empty) or _is_number_union(hint):
        return REAL
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and parts and parts[-1] is not Ellipsis:
        return [domain_of_type(name, part) for part in parts]
    if hint in (list, tuple) or (origin and issubclass(origin, Sequence)):
        return [domain_of_type(name, parts[0] if parts else float) for _ in range(2)]
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return hint(**{x.name: domain_of_type(x.name, hints[x.name]) for x in fields(hint)})  # type: ignore[operator]
    raise TypeError(
        f"points: {name} is a {getattr(hint, '__name__', hint)}; give its domain, an interval "
        "or a strategy, behind the function"
    )


def _is_number_union(hint: Any) -> bool:
    """Whether a type is a union of kinds of numbers, or a type variable."""
    if isinstance(hint, typing.TypeVar):
        return True
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return union and all(part in (float, int, Value) for part in typing.get_args(hint))


# --- what a function records ------------------------------------------------------------


class Region:
    """Where a function of numbers can be differentiated.

    Args:
        f: the function.
        plain: whether it takes floats only, no Values.
    """

    def __init__(self, f: Callable[..., Any], plain: bool = False) -> None:
        self.f, self.plain = f, plain
        self.name = getattr(f, "__name__", type(f).__name__)
        self.witnesses: dict[str, Any] = {}

    def holds(self, args: Sequence[Any]) -> bool:
        """Whether a point is inside."""
        if isinstance(self.f, DrawnFunction):
            return self.f.inside(args)
        try:
            return self.finite(args) if self.plain else self.recorded(args)
        except (ArithmeticError, ValueError):
            return False

    def finite(self, args: Sequence[Any]) -> bool:
        """Whether the results are finite numbers."""
        return all(math.isfinite(y) for y in flatten(self.f(*args)))

    def recorded(self, args: Sequence[Any]) -> bool:
        """Whether each entry that the function records is finite and away from kinks."""
        with Tape() as tape:
            ys = flatten(self.f(*tree_map(as_leaf, tuple(args))))
        entries = {entry.number: entry for entry in tape}
        results = [y.data if isinstance(y, Value) else y for y in ys]
        numbers = [y for y in results if isinstance(y, Real)]
        return all(map(math.isfinite, numbers)) and all(
            _is_smooth_at(entry, entries) for entry in entries.values()
        )

    def nearest(self, args: Sequence[Any], shape: Any) -> Any:
        """A point inside, the point itself if it can be; None where none is found.

        Args:
            args: a point of the domain.
            shape: the intervals of its numbers, in the same structure.
        """
        if self.holds(args):
            return args
        witness = self.witness(args, shape)
        if witness is None:
            return None
        for factor in FACTORS:
            found = _part_way(witness, args, factor)
            if self.holds(found):
                return found
        return witness

    def witness(self, args: Sequence[Any], shape: Any) -> Any:
        """Some point inside, of the structure of `args`; None where none is found."""
        if isinstance(self.f, DrawnFunction) and self.f.witness:
            return self.f.witness
        key = repr(shape)
        if key not in self.witnesses:
            tried = (unflatten(args, xs) for xs in candidates(shape))
            self.witnesses[key] = next((xs for xs in tried if self.holds(xs)), None)
        return self.witnesses[key]


def as_leaf(x: Any, label: str = "") -> Any:
    """A number as a Value; anything else as it is."""
    return Value(x, label) if isinstance(x, Real) and not isinstance(x, bool) else x


def _is_smooth_at(entry: Entry, entries: dict[int, Entry]) -> bool:
    """Whether an entry's operands are away from kinks, as far as they are known."""
    if entry.op not in TABLE or any(k not in entries for k in entry.operands):
        return True
    operands = [entries[k].value for k in entry.operands]
    return moderate(entry.op, operands, entry.value, KEPT_AWAY / 10, math.inf)


def candidates(shape: Sequence[Interval]) -> Iterator[list[float]]:
    """Points of some intervals, the same at each run: simple ones first."""
    for x in NICE:
        if all(low < x < high for low, high in shape):
            yield [x] * len(shape)
    source = random.Random(0)
    for k in range(TRIES):
        size = SIZES[k % len(SIZES)]
        yield [_number_of(source, low, high, size) for low, high in shape]


def _number_of(source: random.Random, low: float, high: float, size: float) -> float:
    """A number of an interval, of about so large a size where the interval has such."""
    low, high = max(low, min(-size, high - size)), min(high, max(size, low + size))
    return low + (high - low) * round(source.uniform(0.02, 0.98), 2)


def _part_way(witness: Any, args: Any, factor: float) -> Any:
    """The point that is so far on the way from a witness to another one."""
    pairs = zip(flatten(witness), flatten(args), strict=True)
    return unflatten(args, [w + factor * (x - w) for w, x in pairs])
