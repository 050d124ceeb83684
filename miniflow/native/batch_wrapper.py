"""The built-in function that takes arrays and runs the loop over a batch on them, as LLVM IR."""

from collections.abc import Callable, Iterator
from itertools import product, repeat
from math import prod
from typing import Any, NamedTuple

from miniflow.native.batch import Batch
from miniflow.native.conversion import BOOLEANS, CONVERTED
from miniflow.native.emitter import ModuleText, loop
from miniflow.native.layout import ALIGNED, DATA, DTYPE, FLAGS, FLOAT64, STRIDES, Location
from miniflow.native.parts import arrays, constants_in, is_made, is_taken, leaves_in, outline
from miniflow.native.wrapper import Wrapper, with_helpers
from miniflow.program.ir import Code
from miniflow.program.schedule import BLOCK
from miniflow.program.structures import ArrayLeaf

BUSY = 1000  # from so many elements on, Python's lock is released


class ColumnLeaf(ArrayLeaf):
    """Where an array goes that runs along a batch by an axis; `shape` is an element's."""

    __slots__ = ("axis",)

    def __init__(self, shape: tuple[int, ...], axis: int) -> None:
        super().__init__(shape)
        self.axis = int(axis) % (1 + len(shape))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ColumnLeaf) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"column{self.shape} along {self.axis}"


class ArrayCall(NamedTuple):
    """How a batch is called with arrays.

    `args` and the named ones have a ColumnLeaf for each array that runs along the batch and leaves
    for other numbers; `limit` is how many elements there may be.
    """

    args: tuple[Any, ...]
    named: dict[str, Any]
    mean: bool
    limit: int

    def key(self) -> Any:
        """What code depends on of it."""
        return [*map(outline, self.args)], outline(self.named), self.mean, self.limit

    def is_taken(self) -> bool:
        """Whether the built-in function can take such arguments."""
        trees = [*self.args, *self.named.values()]
        filled = all(isinstance(x, ColumnLeaf) or x.size > 0 for x in arrays(trees))
        return filled and all(map(is_taken, trees))


def makes(program: Code) -> bool:
    """Whether the built-in function can make a program's results over a batch."""
    return (
        not (program.guards or program.captured)
        and bool(program.outputs)
        and is_made(program.result)
        and all(x.size > 0 for x in arrays(program.result))
    )


class BatchWrapper(Wrapper):
    """A built-in function that takes arrays and runs the loop over a batch on them.

    Attributes:
        constants_of: what comes last among its callables.
    """

    def __init__(self, batch: Batch, call: ArrayCall) -> None:
        super().__init__(batch.result, 0, batch.imports, batch.target._replace(lanes=1), 1)
        self.batch = batch
        self.call = call
        self.parts = [*call.args, *call.named.values()]
        self.constants_of = [*call.named, *constants_in(self.parts)]
        self.constants_of += constants_in(batch.result, made=True)
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
        objects = list(self.begin(self.call.args, self.call.named))
        self._room()
        places = (Location("%in", k) for k in range(len(batch.uniform)))
        for tree, x in zip(self.parts, objects, strict=True):
            self._take(tree, x, places)
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
        dimensions = 1 + len(tree.shape)
        shape = self._array_of(x, dimensions)
        self._demand_lengths(tree, shape)
        data, strides = self._numbers_of(x, shape, dimensions)
        order = [tree.axis, *[k for k in range(dimensions) if k != tree.axis]]
        steps = [self._item(strides, k) for k in order]
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

    def _demand_lengths(self, tree: ColumnLeaf, shape: str) -> None:
        """Go on if an array is as long as the others, and its elements are of that shape."""
        e = self.e
        length = self._item(shape, tree.axis)
        if self.length:
            self._demand(e(f"icmp eq i64 {length}, {self.length}"))
        else:
            self.length = length
            self._demand(e(f"icmp ule i64 {length}, {self.call.limit}"))
            self._demand(e(f"icmp ne i64 {length}, 0"))
        sizes = [*tree.shape[: tree.axis], None, *tree.shape[tree.axis :]]
        for k, size in enumerate(sizes):
            if size is not None:
                self._demand(e(f"icmp eq i64 {self._item(shape, k)}, {size}"))

    def _numbers_of(self, x: str, shape: str, dimensions: int) -> tuple[str, str]:
        """Where an array's numbers begin, and its strides; converted if they are others."""
        e, label, field = self.e, self._label(), self._field(x)
        self.arrays.append(x)
        data, strides, dtype = field("ptr", DATA), field("ptr", STRIDES), field("ptr", DTYPE)
        right = e(f"icmp eq ptr {dtype}, {self.imports.address(e, 'numpy.float64')}")
        flags = e(f"and i32 {field('i32', FLAGS)}, {ALIGNED}")
        direct = e(f"and i1 {right}, {e(f'icmp ne i32 {flags}, 0')}")
        own = f"%strides{label}"
        e.line(f"{own} = alloca [{dimensions} x i64]\nbr label %{label}s\n{label}s:")
        e.line(f"br i1 {direct}, label %{label}, label %{label}c\n{label}c:")
        size = "8"
        for k in reversed(range(dimensions)):
            e.line(f"store i64 {size}, ptr {e(f'getelementptr i64, ptr {own}, i64 {k}')}")
            size = e(f"mul i64 {size}, {self._item(shape, k)}")
        copied = self._converted(x, size, dimensions, CONVERTED | BOOLEANS)
        e.line(f"br label %{label}e\n{label}e:\nbr label %{label}\n{label}:")
        return (
            e(f"phi ptr [{data}, %{label}s], [{copied}, %{label}e]"),
            e(f"phi ptr [{strides}, %{label}s], [{own}, %{label}e]"),
        )

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
        outputs = self.batch.outputs
        whole = self._new_array(0, [f"{outputs}", self.length])  # one piece of memory is used again
        found, made = self._call("ptr", "PySequence_List", f"ptr {whole}"), []
        self._call("void", "Py_DecRef", f"ptr {whole}")
        self._demand(e(f"icmp ne ptr {found}, null"), "lost")
        for k in range(outputs):
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
        for k, leaf in enumerate(leaves_in(self.result)):
            shape = getattr(leaf, "shape", ())
            steps = [prod(shape[i + 1 :]) for i in range(len(shape))]
            strides = ["8", *[e(f"mul i64 {width}, {step}") for step in steps]]
            made.append(self._new_array(k, [self.length, *map(str, shape)], strides))
            data = e(f"load ptr, ptr {e(f'getelementptr i8, ptr {made[-1]}, i64 {DATA}')}")

            def note(i: str, data: str = data, first: int = first) -> None:
                row = e(f"getelementptr i8, ptr {data}, i64 {e(f'mul i64 {width}, {i}')}")
                at = e(f"getelementptr ptr, ptr %out, i64 {e(f'add i64 {i}, {first}')}")
                e.line(f"store ptr {row}, ptr {at}")

            loop(e, "result", str(prod(shape)), note)
            first += prod(shape)
        return made

    def _new_array(self, k: int, shape: list[str], strides: list[str] | None = None) -> str:
        """A new array of a shape that is known when it is made; the rows side by side if not."""
        e, given = self.e, []
        for name, numbers in ((f"%shape{k}", shape), (f"%strides{k}", strides)):
            given.append("null" if numbers is None else name)
            if numbers is None:
                continue
            e.line(f"{name} = alloca [{len(numbers)} x i64]")
            for i, x in enumerate(numbers):
                e.line(f"store i64 {x}, ptr {e(f'getelementptr i64, ptr {name}, i64 {i}')}")
        kind = self.imports.address(e, "numpy.ndarray")
        first = f"ptr {kind}, i32 {len(shape)}, ptr {given[0]}, i32 {FLOAT64}, ptr {given[1]}"
        return self._object("numpy.New", f"{first}, ptr null, i32 0, i32 0, ptr null")

    def _results(self, made: list[str]) -> str:
        """The object of the whole result."""
        mine = iter(made)
        if not self.total:
            return self._make(self.result, repeat(Location("", 0)), mine)
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

    def _make_number(self, places: Iterator[Location], made: Iterator[str]) -> str:
        """The object of a sum, or of one output's numbers."""
        return super()._make_number(places, made) if self.total else next(made)

    def _is_packed(self, tree: Any) -> bool:
        return self.total and super()._is_packed(tree)

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
    return [getattr(leaf, "size", None) for leaf in leaves_in(tree)]
