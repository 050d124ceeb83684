"""`no_grad`: where nothing is recorded."""

from contextlib import ContextDecorator

from miniflow.tape.core import current


class no_grad(ContextDecorator):  # noqa: N801 - PyTorch's name
    """A block, or a decorated function, in which results are constants.

    Example:
        >>> from miniflow import Value
        >>> a = Value(2.0)
        >>> with no_grad():
        ...     b = a * 3
        >>> b.op
        'constant'
    """

    def __enter__(self) -> "no_grad":
        table = current()
        table.muted += 1
        return self

    def __exit__(self, *exception: object) -> None:
        table = current()
        table.muted -= 1
