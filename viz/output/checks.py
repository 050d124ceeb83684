"""What is refused, in words: each check begins its message with `caller` and names the option."""

from collections.abc import Iterable
from numbers import Real


def one_of(caller: str, option: str, x: object, known: Iterable[str]) -> None:
    """Refuse what is none of the words known.

    Raises:
        ValueError: it is none.

    Example:
        >>> one_of("draw_dot", "theme", "sepia", ["light", "dark"])
        Traceback (most recent call last):
        ValueError: draw_dot: theme must be one of light, dark, got 'sepia'
    """
    known = tuple(known)  # unhashable things, too, are none of them
    if x not in known:
        raise ValueError(f"{caller}: {option} must be one of {', '.join(known)}, got {x!r:.60}")


def at_least(caller: str, option: str, x: object, least: int) -> None:
    """Refuse what is not an int from `least` on.

    Raises:
        ValueError: it is something else, or less.
    """
    if not isinstance(x, int) or x < least:
        raise ValueError(f"{caller}: {option} must be an int, {least} or more, got {x!r:.60}")


def some_limit(caller: str, option: str, x: object) -> None:
    """Refuse what is neither a number nor None.

    Raises:
        TypeError: it is something else.
    """
    if x is not None and not isinstance(x, Real):
        raise TypeError(
            f"{caller}: {option} must be a number, or None for any number of nodes, "
            f"got {type(x).__name__}"
        )


def unknown_suffix(name: str, known: Iterable[str]) -> str:
    """What to say of a file whose suffix is none of those known."""
    return f"{name!r} does not tell the format; end it in {', '.join(known)}"
