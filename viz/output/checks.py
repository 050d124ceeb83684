"""What is refused, in words: each check begins its message with `caller` and names the option."""

import os
from collections.abc import Iterable
from numbers import Real
from pathlib import Path

from miniflow.util.words import shown


def one_of(caller: str, option: str, x: object, known: Iterable[str]) -> None:
    """Refuse what is not one of the words known.

    Raises:
        ValueError: it is another one.

    Example:
        >>> one_of("draw_dot", "theme", "sepia", ["light", "dark"])
        Traceback (most recent call last):
        ValueError: draw_dot: theme must be one of light, dark, got 'sepia'
    """
    known = tuple(known)  # not a set: `x` may have no hash
    if x not in known:
        raise ValueError(f"{caller}: {option} must be one of {', '.join(known)}, got {x!r:.60}")


def at_least(caller: str, option: str, x: object, least: int) -> None:
    """Refuse what is not an int from `least` on.

    Raises:
        ValueError: it is something else, or less.
    """
    if not isinstance(x, int) or x < least:
        raise ValueError(f"{caller}: {option} must be an int, {least} or more, got {x!r:.60}")


def wrong_type(caller: str, option: str, wanted: str, x: object, remedy: str = "") -> TypeError:
    """The refusal of what is of another type than is wanted.

    Example:
        >>> wrong_type("record", "model", "a Module", 3, "give the model")
        TypeError('record: model must be a Module, got int 3; give the model')
    """
    remedy = f"; {remedy}" if remedy else ""
    return TypeError(f"{caller}: {option} must be {wanted}, got {shown(x)}{remedy}")


def a_path(caller: str, x: object, suffixes: Iterable[str]) -> Path:
    """A file's path, whose suffix is one of those known.

    Raises:
        TypeError: it is none.
        ValueError: it has another suffix.
    """
    if not isinstance(x, (str, os.PathLike)):
        remedy = f"what to draw comes first: {caller}(y, path)"
        raise wrong_type(caller, "path", "a file's name", x, remedy)
    path = Path(x)
    if path.suffix.lower() not in suffixes:
        page = path.suffix.lower() == ".html"
        remedy = "; play writes pages" if page else ""
        raise ValueError(f"{caller}: {unknown_suffix('path', path.name, suffixes)}{remedy}")
    return path


def instead(x: object, verb: str) -> str:
    """What to draw or play in the place of what is no Value.

    Example:
        >>> instead(3.0, "draw"), instead(abs, "play")
        ('give y itself, not y.data', 'call it and play the result')
    """
    if isinstance(x, float):
        return "give y itself, not y.data"
    if hasattr(x, "named_parameters"):
        return f"{verb} what it computes, model(x); draw_network draws a model itself"
    return f"call it and {verb} the result" if callable(x) else "compute it from Values"


def a_number(caller: str, option: str, x: object, wanted: str = "a number") -> None:
    """Refuse what is not a real number.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(x, Real):
        raise wrong_type(caller, option, wanted, x)


def some_limit(caller: str, option: str, x: object) -> None:
    """Refuse what is neither a number nor None.

    Raises:
        TypeError: it is something else.
    """
    if x is not None:
        a_number(caller, option, x, "a number, or None for any number of entries")


def unknown_suffix(option: str, name: str, known: Iterable[str]) -> str:
    """What to say of a file whose suffix is not one of those known."""
    *others, last = known
    either = f"{', '.join(others)} or {last}" if others else last
    return f"{option} must end in {either}, which tells the format, got {name!r}"
