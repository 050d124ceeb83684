"""A batch, run: all elements on one path, those that leave it on others.

Elements that leave a path at the same guard are gathered, and go on together on the path that its
side exit leads to: the tree of paths is walked by groups of elements.

Sums over a batch are added in this order, whatever the machine and the paths: in blocks of BLOCK
elements, each block as PARTIALS partial sums (element i adds to number i % PARTIALS) that
are then added from the first to the last; block by block.
"""

import functools
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from miniflow.compiled.batch_arguments import (
    BatchArguments,
    BatchColumns,
    axes_for,
    batch_number,
    part_axes,
)
from miniflow.compiled.captured import CapturedNumbers, captured_numbers
from miniflow.compiled.exits import Exits, exits_of
from miniflow.compiled.function import CompiledFunction
from miniflow.compiled.paths import Chain, Specialization, SpecializationCache
from miniflow.program.ir import Code, PathError
from miniflow.program.schedule import BLOCK, PARTIALS, Shape
from miniflow.program.structures import (
    NUMBER_LEAF,
    ArrayLeaf,
    flatten_numbers,
    is_static_array,
    treedef_key,
)
from miniflow.tape.core import Value
from miniflow.util.functions import Function
from miniflow.util.trees import children, rebuild

MOST_AT_ONCE = 1 << 22  # numbers of a batch that are kept before they are added up
SPREAD = 1 << 23  # instructions x elements from which on several threads are worth it
RUN_SINGLY = 16  # elements that are run one by one when they leave a path, where bits are the same


class LoopedBatch:
    """A program run over a batch one element after another, where there is no machine code."""

    def __init__(self, run: Function, outputs: int, shape: Shape) -> None:
        self.run = run
        self.outputs = outputs
        self.shape = shape

    def __call__(
        self, columns: BatchColumns, uniform: Any, start: int, count: int, out: Any
    ) -> Any:
        """Run over `count` elements from `start` on; for each 0, or 1 + the guard where it left."""
        import numpy

        failed = numpy.zeros(count, dtype=numpy.int32)
        partial = numpy.zeros((PARTIALS, self.outputs))
        xs = [0.0] * len(self.shape.layout)
        same = iter(uniform.tolist())
        for place, side in enumerate(self.shape.layout):
            if side is None:
                xs[place] = next(same)
        arrays = columns.arrays
        with numpy.errstate(all="ignore"):
            for i in range(count):
                for place, column in zip(columns.places, arrays, strict=True):
                    xs[place] = float(column[start + i])
                try:
                    outputs = self.run(xs)
                except PathError as error:
                    failed[i] = error.guard + 1
                    continue
                if self.shape.total:
                    partial[i % PARTIALS] += outputs
                else:
                    out[:, i] = outputs
            if self.shape.total:
                out[:] = partial[0]
                for part in partial[1:]:
                    out += part
        return failed


class BatchOptions(NamedTuple):
    """How a batch is run."""

    total: bool
    precise: bool
    threads: int | None
    mean: bool = False
    in_axes: Any = 0
    elsewhere: Any = None  # the Workers that run what is longer than a block

    def workers(self, work: int) -> int:
        """How many threads to use for so many instructions."""
        if self.threads is not None:
            return self.threads
        return processors() if work >= SPREAD else 1


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on, where the user may say it, too
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _marked(tree: Any, axis: Any) -> Any:
    """An element's structure with ColumnLeaves along the batch."""
    from miniflow.native.batch_wrapper import ColumnLeaf

    if axis is None:
        return tree
    if tree is NUMBER_LEAF or isinstance(tree, ArrayLeaf):
        return ColumnLeaf(getattr(tree, "shape", ()), axis)
    parts = None if is_static_array(tree) else children(tree)
    if parts is None:
        return tree
    pairs = zip(parts, part_axes(tree, parts, axis), strict=True)
    return rebuild(tree, [_marked(part, x) for part, x in pairs])


def array_call(options: BatchOptions, path: Specialization, element: Any) -> Any:
    """How machine code is called with arrays, if it can be."""
    from miniflow.native.batch_wrapper import ArrayCall

    trees, named = element
    axes = axes_for(options.in_axes, len(trees))
    marked = tuple([_marked(tree, axis) for tree, axis in zip(trees, axes, strict=True)])
    names = {name: _marked(tree, 0) for name, tree in named.items()}
    workers = options.threads
    limit = (1 << 62) if workers == 1 else BLOCK
    if workers is None:
        limit = (SPREAD - 1) // max(1, len(path.program))
    if options.elsewhere is not None:
        limit = min(limit, BLOCK)
    return ArrayCall(marked, names, options.mean, limit)


class BatchRun:
    """The outputs of a chain over a batch, on all the paths that it takes.

    `same` are the numbers that all elements have; `live`, if given, those of captured Values.

    Attributes:
        out: for each output its elements, or their sum; of a chain, the partials by each of
            an element's numbers and by each captured Value of `live`.
        result: the structure of one element's result.
        paths: those that were taken.
        code: what has run the last one of them over the batch.
    """

    def __init__(
        self, cache: SpecializationCache, chain: Chain, arguments: BatchArguments, same: Any,
        live: CapturedNumbers | None, options: BatchOptions, owner: CompiledFunction | None = None,
    ) -> None:  # fmt: skip
        self.cache = cache
        self.chain = chain
        self.arguments = arguments
        self.same = same
        self.live = live
        self.options = options
        self.owner = owner
        self.out: Any = None
        self.result: Any = None
        self.paths: dict[Specialization, None] = {}
        self.code: Any = None
        if arguments.count:
            self._all()
        else:
            self._none()

    @property
    def captured(self) -> tuple[Value, ...]:
        """The captured Values of all paths."""
        if len(self.paths) == 1:
            return next(iter(self.paths)).program.captured
        found = {id(v): v for path in self.paths for v in path.program.captured}
        return tuple(found.values())

    @property
    def alone(self) -> bool:
        """Whether machine code on one path is all that is done for any such batch."""
        code, single = self.code, len(self.paths) == 1
        return single and not (getattr(code, "masked", True) or code.python)

    def _point(self, i: int) -> list[float]:
        """The numbers of element i."""
        return self.arguments.numbers(i, self.same.tolist())

    def _take(self, result: Any, outputs: int) -> None:
        """Every element returns the same structure."""
        if self.out is None:
            import numpy

            total, count = self.options.total, self.arguments.count
            self.out = numpy.zeros(outputs if total else (outputs, count))
            self.result = result
        alike = result is self.result or treedef_key(result) == treedef_key(self.result)
        if not alike or outputs != len(self.out):
            raise TypeError(
                f"vmap: f returns {self.result!r:.80} for some elements and {result!r:.80} for "
                "others; return one structure for all"
            )

    def _places(self, path: Specialization) -> Any:
        """Which outputs those of a path are: partials by the captured Values come in one order."""
        live, count = self.live, self.arguments.size
        if not self.chain or live is None or path.program.captured is live.values:
            return [*range(len(self.out))]
        return [*range(count), *[count + k for k in live.places(path.program)]]

    def _put(self, path: Specialization, elements: Any, outputs: Any) -> None:
        """Keep the outputs of some elements on a path, or those that all of them have."""
        places = self._places(path)
        if len(places) < len(self.out):  # no partials by Values that other paths capture
            self.out[:, elements] = 0.0
        for place, numbers in zip(places, outputs, strict=True):
            self.out[place, elements] = numbers

    def _output_count(self, outputs: int) -> int:
        """How many outputs there are, whatever the path."""
        live = () if self.live is None else self.live.values
        return self.arguments.size + len(live) if self.chain else outputs

    def _none(self) -> None:
        """The structure of no elements' results."""
        found = self.cache.find(self.chain, self._point(0), self.live)
        if found is not None:
            self._enter(found[0], len(found[2]))
        else:
            numbers, result = flatten_numbers(self.cache.eager(self._point(0)))
            self._take(result, len(numbers))

    def _enter(self, path: Specialization, outputs: int) -> None:
        """A path is taken."""
        self.paths[path] = None
        self._take(path.program.result, self._output_count(outputs))

    def _one(self, i: int, start: Specialization | None, *, known: bool = True) -> None:
        """Run one element, on `start` or where that leads to; or not on a path that is `known`."""
        point = self._point(i)
        found = self.cache.find(self.chain, point, self.live, start) if known else None
        found = found or self._beyond(point)
        if isinstance(found, list):
            self.out[:, i] = found
        else:
            path, _, outputs = found
            self._enter(path, len(outputs))
            self._put(path, i, outputs)

    def _beyond(self, point: list[float]) -> Any:
        """What `find` answers where there are too many paths, or the outputs alone."""
        if not self.chain:
            numbers, result = flatten_numbers(self.cache.eager(point))
            if Value not in map(type, numbers):
                self._take(result, len(numbers))
                return [batch_number(x) for x in numbers]
        return self.cache.once(self.chain, point, self.live)  # it says which Values are captured

    def _all(self) -> None:
        """Run all elements on one path, then those that leave it on others."""
        path = self.cache.root
        if path is None:
            found = self.cache.find(self.chain, self._point(0), self.live)
            assert found is not None  # the first path is not one too many
            path = found[0]
        if self.cache.trials is None:  # all side exits can be found
            path = self.cache.widest or path
        if self.options.total and self._exits(path).guards:
            self._sums(len(path.derived(self.chain).outputs))
            return
        # functions on registers may have other bits: then no element is run without them
        few = RUN_SINGLY if self.options.precise or path.backend != "native" else 0
        stayed: Counter[Specialization] = Counter()
        groups = deque([(path, self.arguments.columns(), None, {path})])
        while groups:
            path, columns, elements, tried = groups.popleft()
            count = self.arguments.count if elements is None else len(elements)
            stayed[path] += count
            for guard, left in self._over(path, columns, count, elements):
                stayed[path] -= len(left)
                if self._answered(path, guard, left):
                    continue
                other = path.side_exits.get(guard)
                if other is not None and other not in tried and len(left) > few:
                    chosen = self.arguments.columns().chosen(left)
                    groups.append((other, chosen, left, {*tried, other}))
                    continue
                known = other is not None or self.cache.trials is None
                for i in left.tolist():  # on registers functions may differ, and guards with them
                    self._one(i, None if other in tried else other, known=known)
        self.cache.widest = max(stayed, key=lambda path: stayed[path])

    def _sums(self, outputs: int) -> None:
        """Run the elements, then add them up: in their order, whatever paths they take."""
        options, arguments = self.options._replace(total=False), self.arguments
        size = BLOCK * max(1, MOST_AT_ONCE // BLOCK // max(1, outputs))
        for start in range(0, arguments.count, size):
            part = arguments.part(start, start + size)
            run = BatchRun(self.cache, self.chain, part, self.same, self.live, options)
            self._take(run.result, len(run.out))
            self.paths |= run.paths
            self.code = run.code
            for k in range(0, part.count, BLOCK):
                self.out += _sum_of_block(run.out[:, k : k + BLOCK])

    def _left(
        self, path: Specialization, numbers: list[int], failed: Any, elements: Any
    ) -> Iterator[tuple[int, Any]]:
        """For each guard of a path that has failed, in order, the elements where it did, in order.

        Args:
            path: the path that they leave.
            numbers: the numbers of the guards in the code that was run.
            failed: for each element 0, or 1 + which of these has failed.
            elements: which ones these are; None for all.
        """
        import numpy

        left = numpy.flatnonzero(failed != 0)
        guards = numpy.array([-1, *numbers]).take(failed[left])
        left = left if elements is None else elements[left]
        if self.cache.trials is None:
            for guard in {*numpy.flatnonzero(numpy.bincount(guards)).tolist()} - {*path.side_exits}:
                first = int(left[numpy.argmax(guards == guard)])  # its path is recorded now
                self.cache.find(self.chain, self._point(first), self.live, path)
        return _by_guards(guards, left)

    def _answered(self, path: Specialization, guard: int, elements: Any) -> bool:
        """Whether elements have their answer where they leave a path; they get it."""
        answer = self._exits(path, merging=False).answers.get(guard)
        if answer is None:
            return False
        self._enter(path.side_exits[guard], len(answer))
        self._put(path, elements, answer)
        return True

    def _exits(self, path: Specialization, *, merging: bool = True) -> Exits:
        """What is known of a path's side exits."""
        here = path.backend == "native" and self.options.elsewhere is None
        return exits_of(path, self.chain, merging=merging and here)

    def _over(
        self, path: Specialization, columns: BatchColumns, count: int, elements: Any
    ) -> Iterator[tuple[int, Any]]:
        """Run elements of the batch (None: all, `count`) on a path; those that leave, by guards."""
        import numpy

        total = self.options.total
        captured = numpy.array(captured_numbers(path.program, self.live), dtype=float)
        uniform = captured
        if len(self.same):
            uniform = numpy.concatenate([self.same, captured]) if len(captured) else self.same
        shape = Shape(columns.layout + (None,) * len(captured), total)
        elsewhere = self.options.elsewhere if count > BLOCK else None
        exits = self._exits(path)
        for other in (path, *[path.side_exits[k] for k in exits.answers if k not in exits.guards]):
            self._enter(other, len(exits.code.outputs))
        everywhere = elements is None
        code = self._sent(path) if elsewhere else self._code(path, exits, shape, everywhere)
        self.code = code
        workers = self.options.workers(count * len(path.program))
        size = BLOCK if total or workers > 1 or elsewhere is not None else count
        starts = range(0, count, size)
        direct = elements is None and not total and not self.chain
        out = self.out
        if not direct:
            out = numpy.empty((len(starts), code.outputs) if total else (code.outputs, count))

        def block(k: int) -> tuple[int, int, Any]:
            start = starts[k]
            length = min(size, count - start)
            return start, length, out[k] if total else out[:, start : start + length]

        if elsewhere is None:
            failed = _parallel(lambda k: code(columns, uniform, *block(k)), len(starts), workers)
        else:
            failed = code.run(columns, uniform, map(block, range(len(starts))))
        if total:
            with numpy.errstate(all="ignore"):
                for part in out:
                    self.out[self._places(path)] += part
        elif not direct:
            self._put(path, slice(None) if everywhere else elements, out)
        if not exits.guards:
            return iter(())
        together = failed[0] if len(failed) == 1 else numpy.concatenate(failed)
        return self._left(path, exits.guards, together, elements)

    def _code(self, path: Specialization, exits: Exits, shape: Shape, everywhere: bool) -> Any:
        """What runs a path over a batch, or over elements that have left others."""
        if path.backend == "native":
            call = None
            direct = not (path.program.captured or exits.guards)
            if direct and self.owner is not None and everywhere:
                call = array_call(self.options, path, self.arguments.element)
            key = None if call is None else repr(call.key())
            name = self.chain, shape, self.options.precise, key, exits.merged
            return path.batch_code(name, lambda _: self._native(exits.code, shape, call))
        program = path.derived(self.chain)
        return LoopedBatch(path.evaluator(self.chain), len(program.outputs), shape)

    def _sent(self, path: Specialization) -> Any:
        """What has a path run by the workers of an executor."""
        elsewhere, options, fma = self.options.elsewhere, self.options, self.cache.fma
        return path.batch_code(
            (self.chain, "elsewhere"),
            lambda program: elsewhere.batch(program, options, path.backend, fma),
        )

    def _native(self, program: Code, shape: Shape, call: Any) -> Any:
        """The machine code of a path."""
        from miniflow.native.batch_function import BatchFunction

        owner, fma, precise = self.owner, self.cache.fma, self.options.precise
        if owner is None:
            return BatchFunction(program, shape, fma=fma, precise=precise)
        found = BatchFunction(program, shape, call, owner.fallback, fma=fma, precise=precise)
        if found.builtin is not None and not owner.full:
            owner.enlist(found.builtin)
        return found


def _by_guards(guards: Any, left: Any) -> Iterator[tuple[int, Any]]:
    """For each guard, in order, the elements that have left there, in order."""
    import numpy

    if guards.max(initial=0) < 1 << 15:
        guards = guards.astype(numpy.int16)  # they are sorted in linear time
    order = numpy.argsort(guards, kind="stable")
    left, guards = left[order], guards[order]
    borders = [0, *(numpy.flatnonzero(guards[1:] != guards[:-1]) + 1).tolist(), len(left)]
    for start, stop in pairwise(borders):
        if stop > start:
            yield int(guards[start]), left[start:stop]


def _sum_of_block(numbers: Any) -> Any:
    """The sum of each output over a block of elements, as machine code adds them up."""
    import numpy

    outputs, count = numbers.shape
    whole = count - count % PARTIALS
    with numpy.errstate(all="ignore"):
        rows = numbers[:, :whole].reshape(outputs, whole // PARTIALS, PARTIALS)
        partial = numpy.add.reduce(rows, axis=1, initial=0.0)
        partial[:, : count - whole] += numbers[:, whole:]
        return functools.reduce(numpy.add, partial.T)


def _parallel(block: Callable[[int], Any], count: int, workers: int) -> list[Any]:
    """The answers of all blocks, in order."""
    if workers == 1 or count == 1:
        return [block(k) for k in range(count)]
    return list(_pool(workers).map(block, range(count)))


@functools.cache
def _pool(workers: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(workers, thread_name_prefix="miniflow")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
