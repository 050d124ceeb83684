"""Tracing: `trace` records one call of a function and makes a program of it."""

from typing import Any

from miniflow.ops import real
from miniflow.program.freeze import freeze
from miniflow.program.program import Program
from miniflow.program.structures import flatten_numbers
from miniflow.tape.core import Value
from miniflow.tape.storage import plain
from miniflow.util.functions import Function, a_function


def trace(f: Function, *example: Any, **kwargs: Any) -> Program:
    """Record one call of a function and freeze it as a program.

    Comparisons of its arguments, and of Values from outside, become guards: the program is
    the path that the example takes. Loops over Python numbers unroll.

    Args:
        f: function of numbers in nested lists, tuples, dicts, dataclasses and arrays; others
            (bool, str, None, any hashable object) are static, kept as they are.
        *example: arguments of one call.
        **kwargs: the same, by name.

    Raises:
        RuntimeError: f reads `.data` or `.grad`, calls backward() or draws random numbers: its
            program could not do that again.
        TypeError: f is no function, needs a plain number (an index, a range, `float`), or returned
            something that is neither made of numbers nor hashable.

    Example:
        >>> program = trace(lambda x, y: x * y + x, 2.0, 3.0)
        >>> program(4.0, 5.0), len(program)
        (24.0, 2)
    """
    a_function("trace", f)
    numbers, arguments = flatten_numbers((example, kwargs))
    return Program.of(freeze(f, [real(_number(x), "trace") for x in numbers], arguments))


def _number(x: Any) -> Any:
    return plain(x) if x.__class__ is Value else x
