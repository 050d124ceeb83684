"""`vmap`: a function of scalars over a batch, several elements at a time.

A number of an argument either runs along the batch (a *column*: one number for each
element) or is *uniform*, the same for all. Elements that leave the first one's path are
gathered and run on their own.

Sums over a batch are added in this order, whatever the machine: in blocks of BLOCK
elements, each block as PARTIALS partial sums (element i adds to number i % PARTIALS) that
are then added from the first to the last; block by block; at last elements on other paths.
"""

import os
from collections.abc import Callable, Sequence
from copy import copy
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from miniflow import ops
from miniflow.compiled.jit import (
    Call,
    Chain,
    Compiled,
    Family,
    Path,
    Whole,
    captured_numbers,
    chosen,
)
from miniflow.ops import real
from miniflow.program.ir import Code, PathError
from miniflow.program.schedule import BLOCK, PARTIALS, Shape
from miniflow.program.structures import HOLE, Numbers, fill, is_number, is_setting, key, split
from miniflow.tape.core import Value, current, here
from miniflow.util.trees import children, is_array, rebuild

Function = Callable[..., Any]

SPREAD = 1 << 23  # instructions x elements from which on several threads are worth it
FEW = 16  # elements that are run one by one when they leave a path
REDUCTIONS = (None, "sum", "mean")


class Arguments:
    """The arguments of one call, taken apart.

    Attributes:
        element: the structure of one element's arguments, with holes.
        count: how many elements there are.
        arrays: what runs along the batch: ``(place, array)``, elements first; `place` is the
            number of the array's first number among an element's.
        same: the numbers that are the same for all, in order.
        values: whether there are Values among what runs along the batch.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], in_axes: Any) -> None:
        self.count = -1
        self.place = 0
        self.arrays: list[tuple[int, Any]] = []
        self.uniform: list[tuple[int, Sequence[Any]]] = []  # place of the first, numbers
        self.values = False
        axes = _axes(in_axes, len(args))
        if len(axes) != len(args):
            raise ValueError(f"vmap: in_axes has {len(axes)} entries for {len(args)} arguments")
        trees = tuple([self._take(x, axis) for x, axis in zip(args, axes, strict=True)])
        named = {name: self._take(x, 0) for name, x in kwargs.items()}
        self.element = trees, named
        if self.count < 0:
            raise ValueError(
                "vmap: nothing runs along the batch; give an array, or another in_axes"
            )

    def _take(self, tree: Any, axis: Any) -> Any:
        """The structure of one element of an argument."""
        if axis is None:
            return self._same(tree)
        if is_array(tree):
            return self._column(tree, axis)
        parts = children(tree)
        if parts is None:
            return self._column(tree, axis) if is_number(tree) else tree  # a setting
        axes: Any = axis
        if isinstance(axis, dict) and isinstance(tree, dict) and axis.keys() == tree.keys():
            axes = [axis[name] for name in tree]
        elif not isinstance(axis, (list, tuple)):
            axes = [axis] * len(parts)
        if len(axes) != len(parts):
            raise ValueError(f"vmap: in_axes {axis!r} does not fit {tree!r:.60}")
        pairs = zip(parts, axes, strict=True)
        return rebuild(tree, [self._take(part, x) for part, x in pairs])

    def _same(self, tree: Any) -> Any:
        """An argument that is the same for all elements."""
        if is_array(tree) and tree.dtype == float:  # no need to look at each number
            self.uniform.append((self.place, tree.ravel()))
            self.place += tree.size
            return Numbers(tree.shape)
        numbers, skeleton = split(tree)
        self.uniform.append((self.place, numbers))
        self.place += len(numbers)
        return skeleton

    def _column(self, tree: Any, axis: Any) -> Any:
        """An array of which each element gets a slice."""
        if not is_array(tree) or not hasattr(axis, "__index__"):
            raise TypeError(
                f"vmap: {tree!r:.60} has no axis {axis!r} to run along; pass a NumPy array "
                "(numpy.array(xs)), or None in in_axes for what is the same for all elements"
            )
        import numpy

        if not -tree.ndim <= axis < tree.ndim:
            raise ValueError(f"vmap: in_axes {axis}, but an array has the shape {tree.shape}")
        if tree.dtype == object and any(x.__class__ is Value for x in tree.flat):
            self.values = True
        else:
            if tree.dtype == object:
                floats = [real(x, "vmap") for x in tree.ravel().tolist()]
                tree = numpy.array(floats, dtype=float).reshape(tree.shape)
            elif tree.dtype.kind not in "biuf":
                raise TypeError(f"vmap: an array of {tree.dtype} has no real numbers")
            tree = numpy.asarray(tree, dtype=float)
        tree = numpy.moveaxis(tree, axis, 0) if axis else tree
        if self.count not in (-1, len(tree)):
            raise ValueError(f"vmap: batches of {self.count} and of {len(tree)} elements")
        self.count = len(tree)
        shape = tree.shape[1:]
        self.arrays.append((self.place, tree))
        numbers = Numbers(shape) if shape else HOLE
        self.place += numbers.size if isinstance(numbers, Numbers) else 1
        return numbers

    # --- one element --------------------------------------------------------------

    @property
    def same(self) -> list[Any]:
        return [x for _, xs in self.uniform for x in xs]

    @property
    def mixed(self) -> bool:
        """Whether there may be Values among those."""
        return any(not is_array(xs) for _, xs in self.uniform)

    def numbers(self, i: int, same: Sequence[Any]) -> list[Any]:
        """The numbers of element i, if those that all have are `same`."""
        found: list[Any] = [0.0] * self.place
        if self.count:
            for place, tree in self.arrays:
                row = tree[i].ravel().tolist() if tree.ndim > 1 else [tree[i]]
                found[place : place + len(row)] = row
        start = 0
        for place, xs in self.uniform:
            found[place : place + len(xs)] = same[start : start + len(xs)]
            start += len(xs)
        return [x if x.__class__ is Value else real(x, "vmap") for x in found]

    # --- all elements -------------------------------------------------------------

    def columns(self) -> "Columns":
        """What runs along the batch, one number of an element at a time."""
        places, arrays = [], []
        for place, tree in self.arrays:
            if tree.ndim == 1:
                places.append(place)
                arrays.append(tree)
                continue
            for k, index in enumerate(product(*map(range, tree.shape[1:]))):
                places.append(place + k)
                arrays.append(tree[(slice(None), *index)])
        return Columns(places, arrays, self.place)

    def vector(self) -> Any:
        """The numbers that all elements have, as an array."""
        import numpy

        parts = [
            xs if is_array(xs) else numpy.array([_number(x) for x in xs], dtype=float)
            for _, xs in self.uniform
        ]
        return parts[0] if len(parts) == 1 else numpy.concatenate([*parts, []])

    def held(self) -> "Arguments":
        """The same arguments, safe from later changes of the arrays."""
        found = copy(self)
        found.arrays = [(place, tree.copy()) for place, tree in self.arrays]
        return found


def _number(x: Any) -> float:
    """The number of a Value or of anything else that is one."""
    return current().number(x, "vmap")


class Columns:
    """The numbers that run along a batch, each an array over the elements.

    Attributes:
        places: which of an element's numbers they are.
        layout: for each of an element's numbers None if it does not run along the batch, else
            whether neighbours stand side by side.
    """

    def __init__(self, places: Sequence[int], arrays: Sequence[Any], inputs: int) -> None:
        self.places = places
        self.arrays = arrays
        self.addresses = [x.__array_interface__["data"][0] for x in arrays]
        self.strides = [x.strides[0] for x in arrays]
        layout: list[bool | None] = [None] * inputs
        for place, stride in zip(places, self.strides, strict=True):
            layout[place] = stride == 8
        self.layout = tuple(layout)

    def starts(self, start: int) -> list[int]:
        """The addresses of the elements from `start` on."""
        return [a + start * s for a, s in zip(self.addresses, self.strides, strict=True)]

    def chosen(self, rows: Any) -> "Columns":
        """Some of the elements."""
        return Columns(self.places, [x[rows] for x in self.arrays], len(self.layout))


class Looped:
    """A program run over a batch one element after another, where there is no machine code."""

    def __init__(self, run: Function, outputs: int, shape: Shape) -> None:
        self.run = run
        self.outputs = outputs
        self.shape = shape

    def __call__(self, columns: Columns, uniform: Any, start: int, count: int, out: Any) -> Any:
        """Run over `count` elements from `start` on; whether each has left the path."""
        import numpy

        failed = numpy.zeros(count, dtype=bool)
        partial = numpy.zeros((PARTIALS, self.outputs))
        xs = [0.0] * len(self.shape.layout)
        same = iter(uniform.tolist())
        for place, side in enumerate(self.shape.layout):
            if side is None:
                xs[place] = next(same)
        with numpy.errstate(all="ignore"):
            for i in range(count):
                for place, column in zip(columns.places, columns.arrays, strict=True):
                    xs[place] = float(column[start + i])
                try:
                    outputs = self.run(xs)
                except PathError:
                    failed[i] = True
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


class Options(NamedTuple):
    """How a batch is run."""

    total: bool
    precise: bool
    threads: int | None

    def workers(self, work: int) -> int:
        """How many threads to use for so many instructions."""
        if self.threads is not None:
            return self.threads
        return processors() if work >= SPREAD else 1


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Run:
    """The outputs of a chain over a batch, on all the paths that it takes.

    `same` are the numbers that all elements have; `live`, if given, those of captured Values.

    Attributes:
        out: for each output its elements, or their sum; of a chain, the partials by each of
            an element's numbers and by each captured Value of `live`.
        result: the structure of one element's result.
        paths: those that were taken.
    """

    def __init__(
        self, family: Family, chain: Chain, arguments: Arguments, same: Any,
        live: dict[int, float] | None, options: Options, owner: "Vmapped | None" = None,
    ) -> None:  # fmt: skip
        self.family = family
        self.chain = chain
        self.arguments = arguments
        self.same = same
        self.live = live
        self.options = options
        self.owner = owner
        self.out: Any = None
        self.result: Any = None
        self.paths: dict[Path, None] = {}
        if arguments.count:
            self._all()
        else:
            self._none()

    @property
    def captured(self) -> tuple[Value, ...]:
        """The captured Values of all paths."""
        found = {id(v): v for path in self.paths for v in path.program.captured}
        return tuple(found.values())

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
        if key(result) != key(self.result) or outputs != len(self.out):
            raise TypeError(
                f"vmap: f returns {self.result!r:.80} for some elements and {result!r:.80} for "
                "others; return one structure for all"
            )

    def _places(self, path: Path) -> Any:
        """Which outputs those of a path are: partials by the captured Values come in one order."""
        if not self.chain:
            return slice(None)
        order = {name: k for k, name in enumerate(self.live or ())}
        count = self.arguments.place
        return [*range(count), *[count + order[id(v)] for v in path.program.captured]]

    def _outputs(self, path: Path, outputs: int) -> int:
        """How many outputs there are, whatever the path."""
        return self.arguments.place + len(self.live or ()) if self.chain else outputs

    def _none(self) -> None:
        """The structure of no elements' results."""
        found = self.family.find(self.chain, self._point(0), self.live)
        if found is not None:
            self._enter(found[0], len(found[2]))
        else:
            numbers, result = split(self.family.eager(self._point(0)))
            self._take(result, len(numbers))

    def _enter(self, path: Path, outputs: int) -> None:
        """A path is taken."""
        self.paths[path] = None
        self._take(path.program.result, self._outputs(path, outputs))

    def _one(self, i: int) -> Path | None:
        """Run one element; its path, if it has one."""
        import numpy

        found = self.family.find(self.chain, self._point(i), self.live)
        if found is not None:
            path, _, outputs = found
            self._enter(path, len(outputs))
            places = self._places(path)
        elif self.chain:
            raise RuntimeError("vmap: too many paths to differentiate; use where, maximum ...")
        else:
            path, places = None, slice(None)
            numbers, result = split(self.family.eager(self._point(i)))
            self._take(result, len(numbers))
            outputs = [_number(x) for x in numbers]
        with numpy.errstate(all="ignore"):
            if self.options.total:
                self.out[places] += outputs
            else:
                self.out[places, i] = outputs
        return path

    def _all(self) -> None:
        """Run all elements on the first path, then those that leave it on others."""
        path = self.family.root
        if path is None:
            found = self.family.find(self.chain, self._point(0), self.live)
            assert found is not None  # the first path is not one too many
            path = found[0]
        columns = self.arguments.columns()
        rows = self._over(path, columns, self.arguments.count, None)
        while len(rows):
            other = self._one(int(rows[0]))
            rows = rows[1:]
            if other is None or len(rows) < FEW:
                for i in rows.tolist():
                    self._one(i)
                return
            rows = rows[self._over(other, columns.chosen(rows), len(rows), rows)]

    def _over(self, path: Path, columns: Columns, count: int, rows: Any) -> Any:
        """Run so many elements (`rows` of the batch) on a path; which of them leave it."""
        import numpy

        total = self.options.total
        captured = captured_numbers(path.program, self.live)
        uniform = numpy.concatenate([self.same, captured]) if captured else self.same
        shape = Shape(columns.layout + (None,) * len(captured), total)
        code = self._code(path, shape)
        self._enter(path, code.outputs)
        workers = self.options.workers(count * len(path.program))
        size = BLOCK if total or workers > 1 else count
        starts = range(0, count, size)
        direct = rows is None and not total and not self.chain
        out = self.out
        if not direct:
            out = numpy.empty((len(starts), code.outputs) if total else (code.outputs, count))

        def block(k: int) -> Any:
            start = starts[k]
            length = min(size, count - start)
            to = out[k] if total else out[:, start : start + length]
            return code(columns, uniform, start, length, to)

        left = numpy.flatnonzero(numpy.concatenate(_parallel(block, len(starts), workers)))
        places = self._places(path)
        if total:
            with numpy.errstate(all="ignore"):
                for part in out:
                    self.out[places] += part
        elif not direct:
            self.out[:, rows] = out
        return left

    def _code(self, path: Path, shape: Shape) -> Any:
        """What runs a path over a batch."""
        if path.backend == "native":
            call = None
            if self.owner is not None and path is self.family.root:
                call = self.owner.array_call(path, self.arguments.element)
            name = self.chain, shape, self.options.precise, repr(call)
            return path.batched(name, lambda program: self._native(program, shape, call))
        program = path.derived(self.chain)
        return Looped(path.evaluator(self.chain), len(program.outputs), shape)

    def _native(self, program: Code, shape: Shape, call: Any) -> Any:
        """The machine code of a path."""
        from miniflow.native.batch_function import Batched

        owner, fma, precise = self.owner, self.family.fma, self.options.precise
        if owner is None:
            return Batched(program, shape, fma=fma, precise=precise)
        found = Batched(program, shape, call, owner.otherwise, fma=fma, precise=precise)
        if found.entry is not None and not owner.full:
            owner.enlist(found.entry)
        return found


def _parallel(block: Callable[[int], Any], count: int, workers: int) -> list[Any]:
    """The answers of all blocks, in order."""
    if workers == 1 or count == 1:
        return [block(k) for k in range(count)]
    return list(_pool(workers).map(block, range(count)))


@cache
def _pool(workers: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(workers, thread_name_prefix="miniflow")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


class Total(Whole):
    """An entry on the tape: one output of a function, added up over a batch."""

    __slots__ = ("arguments", "captured", "family", "options", "output", "share")

    def __init__(
        self, family: Family, output: int, arguments: Arguments, captured: tuple[Value, ...],
        options: Options, share: float,
    ) -> None:  # fmt: skip
        super().__init__(f"vmap({getattr(family.f, '__name__', 'f')})")
        self.family = family
        self.output = output
        self.arguments = arguments
        self.captured = captured
        self.options = options
        self.share = share  # what the sum is divided by

    def _run(self, chain: Chain, xs: Sequence[float]) -> Any:
        import numpy

        start = len(xs) - len(self.captured)
        live = {id(v): x for v, x in zip(self.captured, xs[start:], strict=True)}
        same = numpy.array(xs[:start], dtype=float)
        run = Run(self.family, chain, self.arguments, same, live, self.options)
        with numpy.errstate(all="ignore"):
            return run.out / numpy.float64(self.share)

    def _value(self, *xs: float) -> float:
        return float(self._run((), xs)[self.output])

    def _partials(self, xs: Sequence[Any]) -> list[Any]:
        recorded = any(x.__class__ is Value for x in xs)
        return self._recorded(xs) if recorded else self._totals(xs)

    def _totals(self, xs: Sequence[float]) -> list[float]:
        """The partials by the numbers that all elements have, and by captured Values."""
        out = self._run((self.output,), xs)
        return out[self._places()].tolist()  # type: ignore[no-any-return]

    def _places(self) -> list[int]:
        """Where those are among the partials by an element's numbers and captured Values."""
        places = [place + k for place, xs in self.arguments.uniform for k in range(len(xs))]
        count = self.arguments.place
        return [*places, *range(count, count + len(self.captured))]

    def _recorded(self, xs: Sequence[Any]) -> list[Any]:
        """The same as Values, to be differentiated again: element by element."""
        start = len(xs) - len(self.captured)
        assert self.family.root is not None  # it has been run
        call = Call(self.family, (), self.output, self.captured, self.family.root.result)
        rows = [
            call._partials([*self.arguments.numbers(i, xs[:start]), *xs[start:]])
            for i in range(self.arguments.count)
        ]
        if not rows:
            return [0.0] * len(xs)
        return [ops.sum(*[row[k] for row in rows]) / self.share for k in self._places()]


def _axes(in_axes: Any, count: int) -> Any:
    """An entry of in_axes for each positional argument."""
    return in_axes if isinstance(in_axes, (tuple, list)) else [in_axes] * count


def _marked(tree: Any, axis: Any) -> Any:
    """An element's structure with Columns for what runs along the batch; None if it cannot be."""
    from miniflow.native.batch_wrapper import Column

    if axis is None:
        return tree
    if tree is HOLE or isinstance(tree, Numbers):
        return Column(getattr(tree, "shape", ())) if axis == 0 else None
    if type(tree) not in (list, tuple) or isinstance(axis, dict):
        return None
    parts = [_marked(part, x) for part, x in zip(tree, _axes(axis, len(tree)), strict=True)]
    return None if None in parts else type(tree)(parts)


# --- vmap ---------------------------------------------------------------------


class Vmapped(Compiled):
    """A function over a batch."""

    def __init__(
        self, f: Function, in_axes: Any, reduce: str | None, *, precise: bool, backend: str,
        fma: bool, threads: int | None,
    ) -> None:  # fmt: skip
        super().__init__(f, backend=backend, fma=fma)
        self.in_axes = in_axes
        self.reduce = reduce
        self.options = Options(reduce is not None, precise, threads)

    def __repr__(self) -> str:
        return f"<vmap of {self.f!r}>"

    def array_call(self, path: Path, element: Any) -> Any:
        """How machine code is called with arrays, if it can be."""
        from miniflow.native.batch_wrapper import ArrayCall

        trees, named = element
        axes = _axes(self.in_axes, len(trees))
        marked = tuple([_marked(tree, axis) for tree, axis in zip(trees, axes, strict=True)])
        if named or None in marked:
            return None
        workers = self.options.threads
        limit = (1 << 62) if workers == 1 else BLOCK
        if workers is None:
            limit = (SPREAD - 1) // max(1, len(path.program))
        return ArrayCall(marked, self.reduce == "mean", limit)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """A call of any arguments."""
        arguments = Arguments(args, kwargs, self.in_axes)
        family = self.family(arguments.element)
        if here.table.trace is not None and arguments.count:  # a part of another program
            return self._stack(
                arguments, lambda xs: self.f(*(y := fill(arguments.element, xs))[0], **y[1])
            )
        if arguments.values:
            return self._stack(arguments, family.call)
        run = Run(family, (), arguments, arguments.vector(), None, self.options, self)
        captured = run.captured
        operands = arguments.same if captured or arguments.mixed else []
        silent = here.table.silent
        if not silent and (captured or any(x.__class__ is Value for x in operands)):
            if self.reduce is not None:
                return self._record(family, arguments.held(), [*operands, *captured], captured, run)
            if arguments.count:
                return self._stack(arguments, family.call)
        return assemble(run.result, self._shared(run.out, arguments), total=self.options.total)

    def _shared(self, sums: Any, arguments: Arguments) -> Any:
        """The sums, or means."""
        if self.reduce != "mean":
            return sums
        import numpy

        with numpy.errstate(all="ignore"):
            return sums / numpy.float64(arguments.count)

    def _record(
        self, family: Family, arguments: Arguments, operands: list[Any],
        captured: tuple[Value, ...], run: Run,
    ) -> Any:  # fmt: skip
        """The sums as entries on the tape."""
        share = float(arguments.count) if self.reduce == "mean" else 1.0
        live = self._dependent(arguments, run)
        totals = [
            here.table.record(
                Total(family, k, arguments, captured, self.options, share), operands, float(y)
            )
            if live[k]
            else float(y)
            for k, y in enumerate(self._shared(run.out, arguments))
        ]
        return fill(run.result, totals)

    def _dependent(self, arguments: Arguments, run: Run) -> list[bool]:
        """For each output whether it depends on a Value."""
        live = [x.__class__ is Value for x in arguments.numbers(0, arguments.same)]
        found = [False] * len(run.out)
        for path in run.paths:
            captured = [True] * len(path.program.captured)
            here_too = path.dependent((), (*live, *captured))
            found = [a or b for a, b in zip(found, here_too, strict=True)]
        return found

    def _stack(self, arguments: Arguments, f: Callable[[list[Any]], Any]) -> Any:
        """Each element on its own, with Values."""
        same = arguments.same
        results = [split(f(arguments.numbers(i, same))) for i in range(arguments.count)]
        if any(skeleton != results[0][1] for _, skeleton in results):
            raise TypeError("vmap: f returns other structures for some elements than for others")
        if not results:
            raise ValueError("vmap: a batch of no elements has no Values")
        import numpy

        rows = numpy.empty((len(results[0][0]), len(results)), dtype=object)
        for i, (numbers, _) in enumerate(results):
            rows[:, i] = numbers
        if self.options.total:
            share = float(arguments.count) if self.reduce == "mean" else 1.0
            for k, row in enumerate(rows):
                rows[k, 0] = ops.div(ops.sum(*row), share)
            rows = rows[:, 0]
        return assemble(results[0][1], rows, total=self.options.total)


def assemble(result: Any, rows: Any, *, total: bool) -> Any:
    """The result of a batch; `rows` is an array with each output's elements, or its sum."""
    start = 0

    def take(count: int) -> Any:
        nonlocal start
        start += count
        return rows[start - count : start]

    def build(tree: Any) -> Any:
        if tree is HOLE:
            x = take(1)[0]
            return x if x.__class__ is Value or not total else float(x)
        if isinstance(tree, Numbers):
            parts = take(tree.size).T
            return parts.reshape(tree.shape if total else (len(parts), *tree.shape))
        if is_setting(tree):
            return tree.copy()
        parts = children(tree)
        return tree if parts is None else rebuild(tree, [build(part) for part in parts])

    return build(result)


def vmap(
    f: Function, in_axes: Any = 0, reduce: str | None = None, *, precise: bool = False,
    fma: bool = False, threads: int | None = None,
) -> Vmapped:  # fmt: skip
    """Compile a function of scalars to run over a batch, several elements at a time.

    Args:
        f: function of one element: of numbers in nested lists, tuples, dicts and arrays.
        in_axes: the axis of array arguments that runs along the batch, or None for what is the
            same for all elements; or a tuple with an entry for each positional argument, in
            which lists, tuples and dicts may stand for those of the argument. Keyword
            arguments run along their first axis.
        reduce: None for all elements' results, "sum" or "mean" over the batch.
        precise: whether functions (``exp``, ``sin`` ...) are those of single numbers, bit for
            bit, instead of those of several lanes, within 4 units in the last place.
        fma: whether products may be fused with sums, which rounds once instead of twice.
        threads: how many threads to use; None for all processors on large batches, one on
            small ones.

    Returns:
        A function of batches. Results are arrays with the batch along the first axis, or
        sums; Values where Values went in. ``ready(timeout=None)`` waits for optimised code.

    Raises:
        ValueError: `reduce` or `threads` is none of the above; from the returned function:
            batches of different lengths, or nothing that runs along the batch.
        TypeError: an argument has no axis to run along, or f returns different structures.

    Example:
        >>> import numpy
        >>> square = vmap(lambda x, a: a * x * x, in_axes=(0, None), reduce="sum")
        >>> square(numpy.array([1.0, 2.0, 3.0]), 0.5)
        7.0
    """
    if not callable(f):
        raise TypeError(f"vmap: {f!r:.60} is not a function")
    if reduce not in REDUCTIONS:
        raise ValueError(f"vmap: reduce={reduce!r} is none of None, 'sum', 'mean'")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ValueError(f"vmap: threads={threads!r} is no number of threads")
    backend = chosen("auto", "vmap")
    if backend == "auto":
        backend = "native"
    return Vmapped(
        f, in_axes, reduce, precise=precise, backend=backend, fma=bool(fma), threads=threads
    )
