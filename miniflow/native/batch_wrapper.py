"""The built-in function that takes arrays and runs the loop over a batch on them, as LLVM IR."""

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import Any, NamedTuple

from miniflow.native.batch import Batch, loop
from miniflow.native.emitter import ModuleText
from miniflow.native.layout import ALIGNED, DATA, FLOAT64, STRIDES, Location
from miniflow.native.wrapper import SEQUENCES, Wrapper, arrays, is_plain, with_helpers
from miniflow.program.ir import Code
from miniflow.program.schedule import BLOCK, Shape
from miniflow.program.structures import NUMBER_LEAF, ArrayLeaf

BUSY = 1000  # from so many elements on, Python's lock is released


class ColumnLeaf(NamedTuple):
    """Where an array goes that runs along a batch; `shape` is an element's."""

    shape: tuple[int, ...]


class ArrayCall(NamedTuple):
    """How a batch is called with arrays.

    `args` has a ColumnLeaf for each array that runs along the batch and leaves for other numbers;
    `limit` is how many elements there may be.
    """

    args: tuple[Any, ...]
    mean: bool
    limit: int


def takes(tree: Any) -> bool:
    """Whether a structure of arguments is one that the built-in function can take."""
    if isinstance(tree, ColumnLeaf):
        return True
    return all(map(takes, tree)) if type(tree) in SEQUENCES else is_plain(tree)


def makes(program: Code, shape: Shape) -> bool:
    """Whether the built-in function can make a program's results over a batch."""
    return (
        not (program.guards or program.captured)
        and bool(program.outputs)
        and (is_plain(program.result))
    )


class BatchWrapper(Wrapper):
    """A built-in function that takes arrays and runs the loop over a batch on them.

    Its fallbacks: the first for other arguments; the second makes arrays of results, by their
    length.
    """

    def __init__(self, batch: Batch, call: ArrayCall) -> None:
        super().__init__(batch.result, 1, batch.imports, batch.target._replace(lanes=1))
        self.batch = batch
        self.call = call
        self.total = batch.shape.total
        self.length = ""  # how many elements there are, once the first array is known
        self.columns = 0

    def modules(self) -> list[ModuleText]:
        """All code: the function ``entry`` and what it calls."""
        return self.batch.modules(lambda: with_helpers(self._entry()))

    def _entry(self) -> str:
        """The function that Python calls."""
        e, batch = self.e, self.batch
        for name, t, size in (
            ("%columns", "ptr", len(batch.batched)),
            ("%strides", "i64", len(batch.batched)),
            ("%out", "ptr", batch.outputs),
            ("%state", "ptr", 1),
        ):
            e.line(f"{name} = alloca [{size} x {t}], align 64")
        objects = list(self.begin(self.call.args))
        self._room()
        places = (Location("%in", k) for k in range(len(batch.uniform)))
        for tree, x in zip(self.call.args, objects, strict=True):
            self._take(tree, x, places)
        self._demand(e(f"icmp ule i64 {self.length}, {self.call.limit}"))
        self._demand(e(f"icmp ne i64 {self.length}, 0"))
        self._hold()
        made = self._new()
        with self._rows(batch.calls_python):
            self._unlocked(self._blocks if self.total else self._once)
        return self.finish(self._results(made), made)

    def _room(self) -> None:
        """Memory for uniform numbers, sums, and the loop's own."""
        e, batch = self.e, self.batch
        sizes = {"%in": len(batch.uniform), "%totals": batch.outputs, "%part": batch.outputs}
        total = sum(sizes.values()) + batch.scratch + 8
        start = e(f"ptrtoint ptr {self.allocate(str(8 * total))} to i64")
        aligned = e(f"and i64 {e(f'add i64 {start}, 63')}, -64")
        e.line(f"%scratch = inttoptr i64 {aligned} to ptr")
        offset = batch.scratch
        for base, size in sizes.items():
            e.line(f"{base} = getelementptr double, ptr %scratch, i64 {offset}")
            offset += size

    def _take(self, tree: Any, x: str, places: Iterator[Location]) -> None:
        if isinstance(tree, ColumnLeaf):
            self._take_column(tree, x)
        elif isinstance(tree, ArrayLeaf):
            first, *_ = [next(places) for _ in range(tree.size)]
            base = f"%a{self.e.count}"
            self._take_array(tree, x, base)
            self._copy(self._at(first), base, tree.size)
        else:
            super()._take(tree, x, places)

    def _copy(self, to: str, start: str, count: int) -> None:
        name = "@llvm.memcpy.p0.p0.i64"
        self.imports.declare(f"void {name}(ptr, ptr, i64, i1)")
        self.e.line(f"call void {name}(ptr {to}, ptr {start}, i64 {8 * count}, i1 false)")

    def _take_column(self, tree: ColumnLeaf, x: str) -> None:
        """Note where an array begins and how far its elements are from each other."""
        e, batch = self.e, self.batch
        shape = self._checked(x, 1 + len(tree.shape), ALIGNED)
        length = self._item(shape, 0)
        if self.length:
            self._demand(e(f"icmp eq i64 {length}, {self.length}"))
        self.length = self.length or length
        for k, size in enumerate(tree.shape, 1):
            self._demand(e(f"icmp eq i64 {self._item(shape, k)}, {size}"))
        field = self._field(x)
        data, strides = field("ptr", DATA), field("ptr", STRIDES)
        steps = [self._item(strides, k) for k in range(1 + len(tree.shape))]
        *outer, innermost = tree.shape or (1,)
        if 0 not in tree.shape and batch.shape.layout[batch.batched[self.columns]]:
            self._demand(e(f"icmp eq i64 {steps[0]}, 8"))
        for index in product(*map(range, outer)):
            start = data
            for step, i in zip(steps[1:], index, strict=False):
                start = e(f"getelementptr i8, ptr {start}, i64 {e(f'mul i64 {step}, {i}')}")

            def note(k: str, start: str = start, first: int = self.columns) -> None:
                offset = e(f"mul i64 {steps[-1]}, {k}")
                place = e(f"getelementptr i8, ptr {start}, i64 {offset}")
                for base, t, what in (("%columns", "ptr", place), ("%strides", "i64", steps[0])):
                    at = e(f"getelementptr {t}, ptr {base}, i64 {e(f'add i64 {k}, {first}')}")
                    e.line(f"store {t} {what}, ptr {at}")

            loop(e, "column", str(innermost), note)
            self.columns += innermost

    def _item(self, base: str, k: int | str) -> str:
        return self.e(f"load i64, ptr {self.e(f'getelementptr i64, ptr {base}, i64 {k}')}")

    # --- results ------------------------------------------------------------------

    def _new(self) -> list[str]:
        """New arrays for results."""
        e = self.e
        if self.total:
            return [self._array(k, x.shape) for k, x in enumerate(arrays(self.result))]
        sizes = _leaf_sizes(self.result)
        if any(sizes) or len(sizes) == 1:
            return self._new_leaves()
        count = self._object("PyLong_FromSsize_t", f"i64 {self.length}")
        maker, made = self._callable(f"{self.makers}"), []
        found = self._call("ptr", "PyObject_CallOneArg", f"ptr {maker}, ptr {count}")
        self._call("void", "Py_DecRef", f"ptr {count}")
        self._demand(e(f"icmp ne ptr {found}, null"), "lost")
        for k in range(self.batch.outputs):
            made.append(self._call("ptr", "PyList_GetItem", f"ptr {found}, i64 {k}"))
            self._call("void", "Py_IncRef", f"ptr {made[-1]}")
            data = e(f"load ptr, ptr {e(f'getelementptr i8, ptr {made[-1]}, i64 {DATA}')}")
            e.line(f"store ptr {data}, ptr {e(f'getelementptr ptr, ptr %out, i64 {k}')}")
        self._call("void", "Py_DecRef", f"ptr {found}")
        return made

    def _new_leaves(self) -> list[str]:
        """A new array for each number and each array of an element's result.

        An output's numbers stand side by side, whatever the shape of the array they are in.
        """
        e, made, first = self.e, [], 0
        width = e(f"mul i64 {self.length}, 8")
        for k, leaf in enumerate(_leaves(self.result)):
            shape = getattr(leaf, "shape", ())
            steps = [prod(shape[i + 1 :]) for i in range(len(shape))]
            shapes = [self.length, *map(str, shape)]
            strides = ["8", *[e(f"mul i64 {width}, {step}") for step in steps]]
            for name, numbers in (("shape", shapes), ("strides", strides)):
                e.line(f"%{name}{k} = alloca [{len(numbers)} x i64]")
                for i, x in enumerate(numbers):
                    at = e(f"getelementptr i64, ptr %{name}{k}, i64 {i}")
                    e.line(f"store i64 {x}, ptr {at}")
            kind = self.imports.address(e, "numpy.ndarray")
            given = f"ptr {kind}, i32 {len(shapes)}, ptr %shape{k}, i32 {FLOAT64}, ptr %strides{k}"
            made.append(self._object("numpy.New", f"{given}, ptr null, i32 0, i32 0, ptr null"))
            data = e(f"load ptr, ptr {e(f'getelementptr i8, ptr {made[-1]}, i64 {DATA}')}")

            def note(i: str, data: str = data, first: int = first) -> None:
                row = e(f"getelementptr i8, ptr {data}, i64 {e(f'mul i64 {width}, {i}')}")
                at = e(f"getelementptr ptr, ptr %out, i64 {e(f'add i64 {i}, {first}')}")
                e.line(f"store ptr {row}, ptr {at}")

            loop(e, "result", str(prod(shape)), note)
            first += prod(shape)
        return made

    def _results(self, made: list[str]) -> str:
        """The object of the whole result."""
        mine = iter(made)
        if not self.total:
            return self._gather(self.result, mine)
        if self.call.mean:
            self._share()
        start = number = 0
        for size in _leaf_sizes(self.result):
            if size is not None:
                self._copy(f"%r{number}", self._at(Location("%totals", start)), size)
                number += 1
            start += size or 1
        return self._make(self.result, (Location("%totals", k) for k in range(start)), mine)

    def _share(self) -> None:
        """Divide the sums by the number of elements."""
        e = self.e
        count = e(f"uitofp i64 {self.length} to double")

        def share(k: str) -> None:
            place = e(f"getelementptr double, ptr %totals, i64 {k}")
            y = e(f"fdiv double {e(f'load double, ptr {place}')}, {count}")
            e.line(f"store double {y}, ptr {place}")

        loop(e, "share", str(self.batch.outputs), share)

    def _gather(self, tree: Any, made: Iterator[str]) -> str:
        """Arrays in a structure of lists and tuples."""
        if tree is NUMBER_LEAF or isinstance(tree, ArrayLeaf):
            return next(made)
        return self._sequence(type(tree), [self._gather(part, made) for part in tree])

    # --- running ------------------------------------------------------------------

    def _unlocked(self, run: Callable[[], None]) -> None:
        """Run without Python's lock where it takes a while."""
        e = self.e
        e.line("store ptr null, ptr %state")
        busy = e(f"icmp uge i64 {self.length}, {BUSY}")
        e.line(f"br i1 {busy}, label %release, label %locked\nrelease:")
        e.line(f"store ptr {self._call('ptr', 'PyEval_SaveThread', '')}, ptr %state")
        e.line("br label %locked\nlocked:")
        run()
        state = e("load ptr, ptr %state")
        e.line(f"br i1 {e(f'icmp eq ptr {state}, null')}, label %ran, label %acquire\nacquire:")
        self._call("void", "PyEval_RestoreThread", f"ptr {state}")
        e.line("br label %ran\nran:")

    def _once(self) -> None:
        self._run(self.length, "%out")

    def _run(self, count: str, out: str) -> None:
        self.e.line(
            f"call void @batch(ptr %columns, ptr %strides, ptr %in, i64 {count}, ptr {out}, "
            "ptr null, ptr %scratch)"
        )

    def _blocks(self) -> None:
        """Add up the sums of all blocks."""
        e, outputs = self.e, str(self.batch.outputs)

        def clear(k: str) -> None:
            place = e(f"getelementptr double, ptr %totals, i64 {k}")
            e.line(f"store double {e.number(0.0)}, ptr {place}")

        def block(b: str) -> None:
            rest = e(f"sub i64 {self.length}, {e(f'mul i64 {b}, {BLOCK}')}")
            last = e(f"icmp ult i64 {rest}, {BLOCK}")
            self._run(e(f"select i1 {last}, i64 {rest}, i64 {BLOCK}"), "%part")
            loop(e, "add", outputs, add)
            loop(e, "move", str(len(self.batch.batched)), move)

        def add(k: str) -> None:
            place = e(f"getelementptr double, ptr %totals, i64 {k}")
            part = e(f"load double, ptr {e(f'getelementptr double, ptr %part, i64 {k}')}")
            total = e(f"fadd double {e(f'load double, ptr {place}')}, {part}")
            e.line(f"store double {total}, ptr {place}")

        def move(k: str) -> None:
            place = e(f"getelementptr ptr, ptr %columns, i64 {k}")
            step = e(f"mul i64 {self._item('%strides', k)}, {BLOCK}")
            moved = e(f"getelementptr i8, ptr {e(f'load ptr, ptr {place}')}, i64 {step}")
            e.line(f"store ptr {moved}, ptr {place}")

        loop(e, "clear", outputs, clear)
        blocks = e(f"udiv i64 {e(f'add i64 {self.length}, {BLOCK - 1}')}, {BLOCK}")
        loop(e, "blocks", blocks, block)


def _leaf_sizes(tree: Any) -> list[int | None]:
    """For each leaf of a result None if it is a number, else the size of the array."""
    return [getattr(leaf, "size", None) for leaf in _leaves(tree)]


def _leaves(tree: Any) -> list[Any]:
    """The leaves of a result."""
    if tree is NUMBER_LEAF or isinstance(tree, ArrayLeaf):
        return [tree]
    return [leaf for part in tree for leaf in _leaves(part)]
