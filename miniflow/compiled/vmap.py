"""`vmap`: a function of scalars over a batch, several elements at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any

from miniflow import ops
from miniflow.compiled.batch_arguments import BatchArguments
from miniflow.compiled.batch_run import BatchOptions, BatchRun
from miniflow.compiled.entries import call_specialized
from miniflow.compiled.evaluators import PATIENCE, choose_backend
from miniflow.compiled.executors import Workers, an_executor
from miniflow.compiled.function import LINKED, CompiledFunction
from miniflow.compiled.paths import SpecializationCache
from miniflow.compiled.sums import QuickSum, SumOp
from miniflow.program.structures import (
    NUMBER_LEAF,
    ArrayLeaf,
    flatten_numbers,
    is_static_array,
    treedef_key,
    unflatten_numbers,
)
from miniflow.tape.core import Value, here
from miniflow.util.functions import Function, a_function, named
from miniflow.util.trees import children, rebuild

REDUCTIONS = (None, "sum", "mean")


class Vmapped(CompiledFunction):
    """A function over a batch."""

    def __init__(
        self, f: Function, in_axes: Any, reduce: str | None, *, precise: bool, fma: bool,
        threads: int | None, executor: Any, backend: str,
    ) -> None:  # fmt: skip
        chosen = choose_backend(backend, "vmap")
        super().__init__(f, backend="native" if chosen == "auto" else chosen, fma=fma)
        self.asked = backend  # another process may have others
        self.in_axes = in_axes
        self.reduce = reduce
        elsewhere = None if executor is None else Workers(executor)
        self.options = BatchOptions(
            reduce is not None, precise, threads, reduce == "mean", in_axes, elsewhere
        )
        self.quick: list[QuickSum] = []  # short ways of calls that are entries on a tape

    def recipe(self) -> tuple[Any, ...]:
        """What makes another one like it, and of what; an executor does not travel."""
        _, precise, threads, *_ = self.options
        make = partial(vmap, precise=precise, fma=self.fma, threads=threads, backend=self.asked)
        return make, self.f, self.in_axes, self.reduce

    def __repr__(self) -> str:
        return f"<vmap of {named(self.f)}>"

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """A call of any arguments."""
        for quick in self.quick:
            found = None if kwargs else quick(args)
            if found is not None:
                return found
        arguments = BatchArguments(args, kwargs, self.in_axes)
        cache = self.cache_for(arguments.element)
        if here.table.trace is not None and arguments.count:  # a part of another program
            return self._stack(
                arguments,
                lambda xs: self.f(*(y := unflatten_numbers(arguments.element, xs))[0], **y[1]),
            )
        if arguments.values:
            return self._stack(arguments, partial(call_specialized, cache))
        run = BatchRun(cache, (), arguments, arguments.vector(), None, self.options, self)
        captured = run.captured
        operands = arguments.same if captured or arguments.mixed else []
        silent = here.table.silent
        if not silent and (captured or any(x.__class__ is Value for x in operands)):
            if self.reduce is not None:
                return self._record(cache, arguments.held(), [*operands, *captured], captured, run)
            if arguments.count:
                return self._stack(arguments, partial(call_specialized, cache))
        return assemble(run.result, self._shared(run.out, arguments), total=self.options.total)

    def loop(self, *args: Any) -> Any:
        """The machine code over such a batch, a BatchFunction, if that is all that a call does.

        None where elements may take several paths, or where Values or Python's rows are involved.
        """
        arguments = BatchArguments(args, {}, self.in_axes)
        if arguments.values:
            return None
        cache = self.cache_for(arguments.element)
        run = BatchRun(cache, (), arguments, arguments.vector(), None, self.options, self)
        return run.code if run.alone and not run.captured else None

    def _shared(self, sums: Any, arguments: BatchArguments) -> Any:
        """The sums, or means."""
        if self.reduce != "mean":
            return sums
        import numpy

        with numpy.errstate(all="ignore"):
            return sums / numpy.float64(arguments.count)

    def _record(
        self, cache: SpecializationCache, arguments: BatchArguments, operands: list[Any],
        captured: tuple[Value, ...], run: BatchRun,
    ) -> Any:  # fmt: skip
        """The sums as entries on the tape."""
        share = float(arguments.count) if self.reduce == "mean" else 1.0
        live = self._dependent(arguments, run)
        self._hasten(cache, arguments, run)
        totals = [
            here.table.record(
                SumOp(cache, k, arguments, captured, self.options, share), operands, float(y)
            )
            if live[k]
            else float(y)
            for k, y in enumerate(self._shared(run.out, arguments))
        ]
        return unflatten_numbers(run.result, totals)

    def _hasten(self, cache: SpecializationCache, arguments: BatchArguments, run: BatchRun) -> None:
        """Have a short way made for calls like this one, if there were some and it can be."""
        cache.recorded += 1
        if (
            cache.recorded == PATIENCE
            and len(self.quick) < LINKED
            and QuickSum.is_for(arguments, run)
        ):
            QuickSum(cache, arguments, self.options).make(self.quick.append)

    def _dependent(self, arguments: BatchArguments, run: BatchRun) -> list[bool]:
        """For each output whether it depends on a Value."""
        live = [False] * arguments.size
        for place, xs in arguments.uniform:
            live[place : place + len(xs)] = [x.__class__ is Value for x in xs]
        found = [False] * len(run.out)
        for path in run.paths:
            captured = [True] * len(path.program.captured)
            here_too = path.dependent((), (*live, *captured))
            found = [a or b for a, b in zip(found, here_too, strict=True)]
        return found

    def _stack(self, arguments: BatchArguments, f: Callable[[list[Any]], Any]) -> Any:
        """Each element on its own, with Values."""
        same = arguments.same
        results = [flatten_numbers(f(arguments.numbers(i, same))) for i in range(arguments.count)]
        if len({treedef_key(treedef) for _, treedef in results}) > 1:
            raise TypeError("vmap: f returns other structures for some elements than for others")
        if not results:
            raise ValueError("vmap: a batch of no elements has no Values")
        import numpy

        outputs = numpy.empty((len(results[0][0]), len(results)), dtype=object)
        for i, (numbers, _) in enumerate(results):
            outputs[:, i] = numbers
        if self.options.total:
            share = float(arguments.count) if self.reduce == "mean" else 1.0
            for k, terms in enumerate(outputs):
                outputs[k, 0] = ops.div(ops.sum(*terms), share)
            outputs = outputs[:, 0]
        return assemble(results[0][1], outputs, total=self.options.total)


def assemble(result: Any, outputs: Any, *, total: bool) -> Any:
    """The result of a batch; `outputs` is an array with each output's elements, or its sum."""
    start = 0

    def take(count: int) -> Any:
        nonlocal start
        start += count
        return outputs[start - count : start]

    def build(tree: Any) -> Any:
        if tree is NUMBER_LEAF:
            x = take(1)[0]
            return x if x.__class__ is Value or not total else float(x)
        if isinstance(tree, ArrayLeaf):
            parts = take(tree.size).T
            return parts.reshape(tree.shape if total else (len(parts), *tree.shape))
        if is_static_array(tree):
            return tree.copy()
        parts = children(tree)
        return tree if parts is None else rebuild(tree, [build(part) for part in parts])

    return build(result)


def vmap(
    f: Function, in_axes: Any = 0, reduce: str | None = None, *, precise: bool = False,
    fma: bool = False, threads: int | None = None, executor: Any = None, backend: str = "auto",
) -> Vmapped:  # fmt: skip
    """Compile a function of scalars to run over a batch, several elements at a time.

    Args:
        f: function of one element: of numbers in nested lists, tuples, dicts, dataclasses and
            arrays.
        in_axes: the axis of array arguments that runs along the batch, or None for what is the
            same for all elements; or a tuple with one for each positional argument, in
            which lists, tuples and dicts (for a dataclass: by its fields) may stand for those of
            the argument. Keyword
            arguments run along their first axis.
        reduce: None for all elements' results, "sum" or "mean" over the batch.
        precise: whether functions (``exp``, ``sin`` ...) are those of single numbers, bit for
            bit, instead of those of several lanes, within 4 units in the last place.
        fma: whether products may be fused with sums, which rounds once instead of twice. Which
            of them are is the compiler's choice, and may change as code gets better.
        threads: how many threads to use; None for all processors that this process may use on
            large batches, one on small ones.
        executor: one of `concurrent.futures` or like them (Dask's ``client.get_executor()``,
            mpi4py's, loky's), whose workers run batches of more than 8,192 elements, in
            blocks of so many. The answers are the same bit for bit, whatever the executor and
            its workers (without `fma`; on processors of several kinds: with `precise`). A
            worker gets the recorded program, not the function, and compiles it.
        backend: "native" for machine code (the extra ``jit``), compiled on the first call;
            "tape" for a replay by the engine and "source" for Python, one element after the
            other. "auto" is machine code where llvmlite is installed.

    Returns:
        A function of batches. Results are arrays with the batch along the first axis, or
        sums; Values where Values went in. ``ready(timeout=None)`` waits for optimised code.

    Raises:
        ImportError: backend "native" without llvmlite.
        ValueError: `reduce`, `threads` or `backend` is none of the above; from the returned
            function: batches of different lengths, or nothing that runs along the batch.
        TypeError: an argument has no axis to run along, or f returns different structures;
            `executor` is none.
        RuntimeError: from the returned function: the executor has lost a block, such as with
            a worker that died; what it raised is the cause.

    Example:
        >>> import numpy
        >>> square = vmap(lambda x, a: a * x * x, in_axes=(0, None), reduce="sum")
        >>> square(numpy.array([1.0, 2.0, 3.0]), 0.5)
        7.0
    """
    a_function("vmap", f)
    if reduce not in REDUCTIONS:
        raise ValueError(f"vmap: reduce must be None, 'sum' or 'mean', got {reduce!r}")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ValueError(f"vmap: threads must be None or an int from 1 on, got {threads!r}")
    an_executor("vmap", executor)
    how = {"precise": precise, "fma": bool(fma), "threads": threads, "executor": executor}
    return Vmapped(f, in_axes, reduce, backend=backend, **how)
