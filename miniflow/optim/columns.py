"""A rule over all parameters: by NumPy at first, in machine code as soon as there is some.

A rule is traced once, as a program on scalars. NumPy runs the program on arrays, an operation at a
time; the background compiler makes machine code of it (`vmap`) once it has been run BY_NUMPY
times. Both are the same numbers bit for bit: arithmetic and roots round once, and what is the same
for all parameters is computed by the operation table's own functions.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from miniflow.math import less, where
from miniflow.ops import Op
from miniflow.optim.rules import prepared
from miniflow.program.program import Program
from miniflow.program.trace import trace

BY_NUMPY = 30  # steps by NumPy before machine code is worth making
MoveRule = Callable[[Any, Any, Any, Any], Any]
UFUNCS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative",
    "abs": "abs", "sqrt": "sqrt", "maximum": "maximum", "minimum": "minimum", "less": "less",
}  # fmt: skip


def whole_or_none(x: Any) -> Any:
    """A number, but 0 for one with less than a double's digits.

    What is remembered of a parameter that no longer moves would end there, and stay: processors
    take many times as long for such numbers.
    """
    return where(less(abs(x), sys.float_info.min), 0.0, x)


class Columns:
    """A rule as a function of columns: arrays with a number for each parameter.

    Args:
        rule: the formula, of ``(p, g, s, h)``.
        memory: the names of what it remembers.
        numbers: the names of the options that are numbers, the same for all parameters.
        fixed: all other options, by their names.
    """

    def __init__(
        self, rule: MoveRule, memory: tuple[str, ...], numbers: tuple[str, ...],
        fixed: tuple[tuple[str, Any], ...],
    ) -> None:  # fmt: skip
        self.rule = rule
        self.memory = memory
        self.numbers = numbers
        self.fixed = dict(fixed)
        self.calls = 0
        self.compiled: Any = None
        self.loop: Any = None  # its machine code without what Python calls, a BatchFunction
        self.compilable = self._can_compile()
        self.program: Program = trace(self.flat, *[1.0] * (2 + len(memory) + len(numbers)))

    def flat(self, p: Any, g: Any, *rest: Any) -> Any:
        """The rule without names: of numbers, to the new parameter and what is remembered."""
        count = len(self.memory)
        s = SimpleNamespace(**dict(zip(self.memory, rest[:count], strict=True)))
        h = SimpleNamespace(**dict(zip(self.numbers, rest[count:], strict=True)), **self.fixed)
        p = self.rule(*prepared(p, g, h), s, h)
        return (p, *[whole_or_none(getattr(s, name)) for name in self.memory])

    def __call__(self, columns: Sequence[Any], numbers: Sequence[float]) -> Any:
        """The new columns: of the parameters, then of what is remembered."""
        if self.compiled is not None:
            return self.compiled(*columns, *numbers)
        self.calls += 1
        if self.calls == BY_NUMPY and self.compilable:
            self._ask()
        import numpy

        with numpy.errstate(all="ignore"):
            return self.program.run([*columns, *numbers], on_arrays)

    def _can_compile(self) -> bool:
        """Whether there is a compiler; what it takes is imported here, in the first step."""
        from miniflow.compiled import vmap  # noqa: F401
        from miniflow.compiled.evaluators import has_compiler

        return has_compiler()

    def _ask(self) -> None:
        """Queue its compilation."""
        from miniflow.compiled.evaluators import in_background

        in_background(self.compile)

    def compile(self) -> None:
        """Make machine code of it."""
        import numpy

        from miniflow.compiled.vmap import vmap

        axes = (0,) * (2 + len(self.memory)) + (None,) * len(self.numbers)
        compiled = vmap(self.flat, in_axes=axes, precise=True)
        some = numpy.ones(1)
        self.loop = compiled.loop(*[some if axis == 0 else 1.0 for axis in axes])
        self.compiled = compiled


@cache
def made_columns(
    rule: MoveRule, memory: tuple[str, ...], numbers: tuple[str, ...],
    fixed: tuple[tuple[str, Any], ...],
) -> Columns:  # fmt: skip
    """The same, made once."""
    return Columns(rule, memory, numbers, fixed)


@cache
def on_arrays(op: Op) -> Callable[..., Any]:
    """What an operation does to arrays and numbers: to numbers alone, what the table says."""
    import numpy

    if op.name == "where":
        elementwise: Callable[..., Any] = lambda c, a, b: numpy.where(c != 0, a, b)  # noqa: E731
    elif op.name in UFUNCS:
        elementwise = getattr(numpy, UFUNCS[op.name])
    else:
        elementwise = numpy.vectorize(op.value, otypes=[float])

    def apply(*xs: Any) -> Any:
        return elementwise(*xs) if numpy.ndarray in map(type, xs) else op.value(*xs)

    return apply
