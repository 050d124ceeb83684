"""Sums over a batch as entries on the tape, and the short way to them.

The short way is for what a training step does: a sum or mean over a batch, one number, by captured
Values. One call of machine code gives the sum and its partials; the entry has both, and a sweep
multiplies and adds, without Python.
"""

from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from miniflow import ops
from miniflow.compiled.batch_arguments import BatchArguments, axes_for
from miniflow.compiled.batch_run import BatchOptions, BatchRun, array_call
from miniflow.compiled.captured import CapturedNumbers
from miniflow.compiled.entries import EntryOp, OutputOp
from miniflow.compiled.evaluators import in_background
from miniflow.compiled.paths import Chain, Specialization, SpecializationCache
from miniflow.program.freeze import freeze
from miniflow.program.ir import Code
from miniflow.program.schedule import Shape
from miniflow.program.structures import NUMBER_LEAF, ArrayLeaf
from miniflow.tape.core import Value, here
from miniflow.tape.pullback import pullback


class SumOp(EntryOp):
    """An entry on the tape: one output of a function, added up over a batch.

    `given` are the arguments, taken apart or not yet: safe from later changes of the arrays.

    Attributes:
        at_hand: the operands' numbers and the partials at these, if they are known already.
    """

    __slots__ = ("at_hand", "cache", "captured", "given", "options", "output", "share")

    def __init__(
        self, cache: SpecializationCache, output: int, given: Any,
        captured: tuple[Value, ...], options: BatchOptions, share: float,
    ) -> None:  # fmt: skip
        super().__init__(f"vmap({cache.name})")
        self.cache = cache
        self.output = output
        self.given = given
        self.captured = captured
        self.options = options
        self.share = share  # what the sum is divided by
        self.at_hand: tuple[array[float], array[float]] | None = None

    @property
    def arguments(self) -> BatchArguments:
        """The arguments, taken apart."""
        if type(self.given) is tuple:
            self.given = BatchArguments(self.given, {}, self.options.in_axes)
        return self.given  # type: ignore[no-any-return]

    def slopes(self, xs: Sequence[float], y: float) -> list[float]:
        """dy/d(operand) for all of them."""
        if self.at_hand is not None and self.at_hand[0].tobytes() == array("d", xs).tobytes():
            self.memory = xs, y, self.at_hand[1].tolist(), []
        return super().slopes(xs, y)

    def _run(self, chain: Chain, xs: Sequence[float]) -> Any:
        import numpy

        start = len(xs) - len(self.captured)
        live = CapturedNumbers(self.captured, xs[start:])
        same = numpy.array(xs[:start], dtype=float)
        run = BatchRun(self.cache, chain, self.arguments, same, live, self.options)
        with numpy.errstate(all="ignore"):
            return run.out / numpy.float64(self.share)

    def value(self, *xs: float) -> float:
        return float(self._run((), xs)[self.output])

    def _partials(self, xs: Sequence[Any], y: Any, *, which: bool = False) -> list[Any]:
        recorded = Value in map(type, xs)
        return self._recorded(xs, y, which) if recorded else self._totals(xs, which)

    def _totals(self, xs: Sequence[float], which: bool) -> list[float]:
        """The partials by the numbers that all elements have, and by captured Values."""
        out = self._run((~self.output if which else self.output,), xs)
        uniform, captured = self.arguments.uniform, out[self.arguments.size :].tolist()
        return [*(x for k, xs in uniform for x in out[k : k + len(xs)].tolist()), *captured]

    def _places(self) -> list[int]:
        """Where those are among the partials by an element's numbers and captured Values."""
        places = [place + k for place, xs in self.arguments.uniform for k in range(len(xs))]
        count = self.arguments.size
        return [*places, *range(count, count + len(self.captured))]

    def _recorded(self, xs: Sequence[Any], y: Any, which: bool) -> list[Any]:
        """The same as Values, to be differentiated again: element by element."""
        start = len(xs) - len(self.captured)
        assert self.cache.root is not None  # it has been run
        call = OutputOp(self.cache, (), self.output, self.captured, self.cache.root.result)
        slopes = [
            call._partials([*self.arguments.numbers(i, xs[:start]), *xs[start:]], y, which=which)
            for i in range(self.arguments.count)
        ]
        if not slopes:
            return [0.0] * len(xs)
        return [ops.sum(*[slope[k] for slope in slopes]) / self.share for k in self._places()]


class QuickSum:
    """A sum over a batch and its partials by captured Values, in one call of machine code.

    Args:
        cache: the function's specializations; the first path is the only one.
        arguments: those of a call like the ones to come.
        options: how the batch is run.
    """

    def __init__(
        self, cache: SpecializationCache, arguments: BatchArguments, options: BatchOptions
    ) -> None:
        assert cache.root is not None  # it has been run
        self.cache, self.path, self.options = cache, cache.root, options
        self.captured = self.path.program.captured
        self.layout = arguments.columns().layout
        self.axis = axes_for(options.in_axes, 1)[0]  # of the first argument
        self.call = array_call(options, self.path, arguments.element)
        self.function: Callable[..., Any] = _none

    @staticmethod
    def is_for(arguments: BatchArguments, run: BatchRun) -> bool:
        """Whether calls like that can go the short way: one path, one number, arrays alone."""
        trees, _ = arguments.element
        arrays = not arguments.uniform and len(arguments.arrays) == len(trees)
        return run.alone and run.result is NUMBER_LEAF and arrays

    def make(self, done: Callable[["QuickSum"], None]) -> None:
        """Have the machine code made in the background."""
        path = self.path
        path.linked.clear()  # `ready` waits for it

        def job() -> None:
            with suppress(Exception):  # the long way will say what is wrong
                if self._compile():
                    done(self)
            path.linked.set()

        in_background(job)

    def _compile(self) -> bool:
        """Make the machine code; whether there can be some."""
        from miniflow.native.batch_function import BatchFunction

        program = with_slopes(self.path)
        if program.guards or self.call is None:
            return False
        shape = Shape((*self.layout, *[None] * len(self.captured)), total=True)
        call = self.call._replace(args=(*self.call.args, ArrayLeaf((len(self.captured),))))
        fma, precise = self.cache.fma, self.options.precise

        def made(_: Code) -> BatchFunction:
            return BatchFunction(program, shape, call, _none, fma=fma, precise=precise)

        code = self.path.batch_code(((), "slopes", shape), made)
        if code.builtin is None or code.python:
            return False
        code.builtin.follow(lambda function: setattr(self, "function", function))
        return True

    def __call__(self, args: tuple[Any, ...]) -> Any:
        """The sum as an entry on the tape; None, and nothing done, where that takes more."""
        import numpy

        table = here.table
        if table.silent or {*map(type, args)} != {numpy.ndarray}:
            return None
        numbers: Any = self.path.program.bundle.numbers()
        if numbers is None:  # a trace, or another thread's Values
            return None
        found = self.function(*args, numpy.frombuffer(numbers))
        if found is None:
            return None
        y, slopes = found
        share = float(args[0].shape[self.axis]) if self.options.mean else 1.0
        held = tuple([x.copy() for x in args])
        op = SumOp(self.cache, 0, held, self.captured, self.options, share)
        op.at_hand = numbers, array("d", slopes.tobytes())
        table.shed()  # the sum of the step before
        return table.record(op, self.captured, y)


def _none(*_: Any) -> None:
    """What is called where machine code cannot answer."""


def with_slopes(path: Specialization) -> Code:
    """The program of a path's only output and its partials by the captured Values."""
    program = path.program
    count = program.inputs + len(program.captured)

    def both(values: list[Any]) -> Any:
        import numpy

        y = program.run(values, lambda op: op)[0]
        slopes = pullback([y], [1.0], values[program.inputs :], recorded=True)
        return y, numpy.array(slopes, dtype=object)

    return freeze(both, path.point, (([NUMBER_LEAF] * count,), {}))
