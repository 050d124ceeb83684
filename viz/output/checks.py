"""What is refused, in words: each check begins its message with `caller` and names the option."""

from collections.abc import Iterable
from numbers import Real


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
    return TypeError(
        f"{caller}: {option} must be {wanted}, got {type(x).__name__} {x!r:.60}{remedy}"
    )


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
    return (
        f"{option} must end in {', '.join(others)} or {last}, which tells the format, got {name!r}"
    )
