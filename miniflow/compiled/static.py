"""Arguments that are static because the user says so: `static_argnums` and `static_argnames`."""

import inspect
from functools import wraps
from typing import Any, NamedTuple

from miniflow.program.structures import StaticLeaf
from miniflow.tape.core import Value
from miniflow.util.functions import Function, named


class StaticArguments(NamedTuple):
    """Which arguments of a function are static: by position, from either end, and by name."""

    numbers: tuple[int, ...]
    names: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.numbers or self.names)

    @classmethod
    def of(cls, f: Function, numbers: Any, names: Any) -> "StaticArguments":
        """Those that were asked for; what only one of the two says, the signature says of both.

        Raises:
            TypeError: neither an int nor a string, nor a sequence of them.
            ValueError: f has no such argument.
        """
        places, known = _one_or_more("static_argnums", int, numbers), None
        words = _one_or_more("static_argnames", str, names)
        if not (places or words):
            return cls((), ())
        known = _kinds_of_arguments(f)
        if known is None:
            return cls(places, words)
        ordered, others, rest, more = known
        for place in places:
            if not -len(ordered) <= place < len(ordered) and not rest:
                raise ValueError(
                    f"jit: static_argnums {place}, but {named(f)} has {len(ordered)} positional "
                    "arguments"
                )
        for word in words:
            if word not in (*ordered, *others) and not more:
                raise ValueError(f"jit: static_argnames {word!r}, but {named(f)} has no such name")
        if names is None:
            words = tuple([ordered[k] for k in places if -len(ordered) <= k < len(ordered)])
        if numbers is None:
            places = tuple([ordered.index(word) for word in words if word in ordered])
        count = len(ordered)
        return cls(tuple([k + count if k < 0 and not rest else k for k in places]), words)

    def marked(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call with the static ones marked."""
        if not self:
            return args, kwargs
        count = len(args)
        places = {k + count if k < 0 else k for k in self.numbers}
        return (
            tuple([_marked_static(x, k) if k in places else x for k, x in enumerate(args)]),
            {name: _marked_static(x, name) if name in self.names else x
             for name, x in kwargs.items()},
        )  # fmt: skip


def without_marks(f: Function) -> Function:
    """A function that gets static arguments as they are."""

    def bare(x: Any) -> Any:
        return x.value if isinstance(x, StaticLeaf) else x

    @wraps(f)
    def called(*args: Any, **kwargs: Any) -> Any:
        return f(*map(bare, args), **{name: bare(x) for name, x in kwargs.items()})

    return called


def _marked_static(x: Any, which: Any) -> StaticLeaf:
    if isinstance(x, Value):
        raise TypeError(
            f"jit: static argument {which!r} is a Value, whose gradient would be lost; pass its "
            ".data, or do not name it static"
        )
    found = StaticLeaf(x)
    try:
        hash(found)
    except TypeError:
        raise TypeError(
            f"jit: static argument {which!r} must be hashable, got {type(x).__name__}; "
            "pass a tuple instead of a list, say"
        ) from None
    return found


def _one_or_more(what: str, kind: type, given: Any) -> tuple[Any, ...]:
    """One of a kind, or a sequence of them, as a tuple."""
    found = () if given is None else (given,) if isinstance(given, (int, str)) else given
    if not isinstance(found, (tuple, list, set, frozenset)) or any(
        type(x) is not kind for x in found
    ):
        words = {int: "an int or a sequence of ints", str: "a string or a sequence of strings"}
        raise TypeError(f"jit: {what} must be {words[kind]}, got {given!r:.60}")
    return tuple(sorted(set(found)))


def _kinds_of_arguments(f: Function) -> tuple[list[str], list[str], bool, bool] | None:
    """Names of positional and of other arguments; whether any number of both is taken."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = inspect.Parameter
    ordered = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    return (
        [x.name for x in parameters if x.kind in ordered],
        [x.name for x in parameters if x.kind is kinds.KEYWORD_ONLY],
        any(x.kind is kinds.VAR_POSITIONAL for x in parameters),
        any(x.kind is kinds.VAR_KEYWORD for x in parameters),
    )
