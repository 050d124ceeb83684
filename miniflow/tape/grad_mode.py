"""`no_grad`: where nothing is recorded."""

import sys
from collections.abc import Callable
from contextlib import ContextDecorator
from functools import wraps
from sys import modules
from types import FrameType
from typing import Any

from miniflow.tape.core import current
from miniflow.tape.muting import (
    AGENTS,
    ASYNC_GENERATOR,
    COROUTINE,
    GENERATOR,
    PAUSES,
    Block,
    pausing,
)


class no_grad(ContextDecorator):  # noqa: N801 - PyTorch's name
    """A block, or a decorated function, in which results are constants.

    It holds for the function that enters it and for what that calls. Nobody else is muted while
    a generator or a coroutine is paused inside the block: neither who asks the generator for
    more, nor other tasks, those started in the block included. Generators, coroutines and
    asynchronous generators can be decorated, too. (A generator that is made a context by
    `contextlib.contextmanager` mutes the block for which it is entered.)

    Example:
        >>> from miniflow import Value
        >>> a = Value(2.0)
        >>> with no_grad():
        ...     b = a * 3
        >>> b.op
        'constant'
    """

    _entered: tuple[Any, ...] = ()  # what was muted: tables, and blocks that can be paused

    def __enter__(self) -> "no_grad":
        frame = sys._getframe(1)
        code = frame.f_code
        if code.co_flags & PAUSES or code.co_name in AGENTS or "greenlet" in modules:
            pausable = pausing(frame)
            if pausable is not None:
                block = Block(pausable)
                self._entered += (block,)
                block.show()
                return self
        table = current()
        # atomic
        self._entered += (table,)
        table.muted += 1
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._entered:  # once too often
            return
        k = 0 if len(self._entered) == 1 else self._place(sys._getframe(1))
        entered = self._entered
        found = entered[k]
        # atomic
        self._entered = entered[:k] + entered[k + 1 :] if k else entered[1:]
        if found.__class__ is Block:
            found.leave()
        else:
            found.muted -= 1

    def _place(self, frame: FrameType) -> int:
        """Which one of several is left: the last one that was entered there, or else the last."""
        own = pausing(frame) or current()
        owners = [getattr(x, "frame", x) for x in self._entered]
        return max([k for k, x in enumerate(owners) if x is own], default=len(owners) - 1)

    def __call__(self, f: Callable[..., Any]) -> Any:
        """The function `f`, muted; a generator or a coroutine whenever it runs."""
        if isinstance(f, type):
            return super().__call__(f)
        code = getattr(f, "__code__", None) or getattr(type(f).__call__, "__code__", None)
        flags = code.co_flags if code else 0
        kinds = {GENERATOR: _generator, COROUTINE: _coroutine, ASYNC_GENERATOR: _async_generator}
        return next((make(f) for flag, make in kinds.items() if flags & flag), None) or _function(f)


def _function(f: Callable[..., Any]) -> Any:
    @wraps(f)
    def muted(*args: Any, **kwargs: Any) -> Any:
        with no_grad():
            return f(*args, **kwargs)

    return muted


def _generator(f: Callable[..., Any]) -> Any:
    @wraps(f)
    def muted(*args: Any, **kwargs: Any) -> Any:
        with no_grad():
            return (yield from f(*args, **kwargs))

    return muted


def _coroutine(f: Callable[..., Any]) -> Any:
    @wraps(f)
    async def muted(*args: Any, **kwargs: Any) -> Any:
        with no_grad():
            return await f(*args, **kwargs)

    return muted


def _async_generator(f: Callable[..., Any]) -> Any:
    @wraps(f)
    async def muted(*args: Any, **kwargs: Any) -> Any:
        with no_grad():
            inner = f(*args, **kwargs)
            step: Any = inner.asend
            sent: Any = (None,)
            while True:
                try:
                    y = await step(*sent)
                except StopAsyncIteration:
                    return
                try:
                    step, sent = inner.asend, ((yield y),)
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:
                    step, sent = inner.athrow, (error,)

    return muted
