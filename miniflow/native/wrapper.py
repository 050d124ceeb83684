"""What a built-in function of machine code does around its kernel, as LLVM IR.

It takes numbers out of Python's objects and makes the result, with no interpreter in
between. Its ``self`` is a list of *callables*: first the *fallback*, which is called where
arguments are not what the code is for; then the *side exits*, one for each guard that may
fail; the last ones make NumPy arrays, or the whole result. Results of earlier calls may come
after these: one that is not in use any more is filled with new numbers, as `zip` does with its
tuples.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from miniflow.native.emitter import FAILED, MISSED, Emitter, Imports, Target
from miniflow.native.layout import (
    ALIGNED_ROWS,
    DATA,
    DTYPE,
    FLAGS,
    FLOAT64,
    ITEMS,
    LENGTH,
    NDIM,
    NUMBER,
    SHAPE,
    TYPE,
    Location,
)
from miniflow.program.structures import NUMBER_LEAF, ArrayLeaf

SEQUENCES: dict[type, str] = {list: "List", tuple: "Tuple"}


def is_plain(tree: Any) -> bool:
    """Whether a structure is one that the built-in function can take and make."""
    if isinstance(tree, ArrayLeaf):
        return tree.size > 0
    if type(tree) in SEQUENCES:
        return all(map(is_plain, tree))
    return tree is NUMBER_LEAF


def arrays(tree: Any) -> Iterator[ArrayLeaf]:
    """The arrays in a structure, in the order of their numbers."""
    if isinstance(tree, ArrayLeaf):
        yield tree
    elif tree is not NUMBER_LEAF:
        for part in tree:
            yield from arrays(part)


class Wrapper:
    """A function that Python calls, being written: what takes numbers and makes results.

    It has three ends: ``done``; ``slow`` (``failed``, once arrays have been made), through the
    callable whose number is in ``%which``; ``lost``, with an error that Python has set.
    """

    def __init__(self, result: Any, makers: int, imports: Imports, target: Target) -> None:
        self.result = result
        self.makers = makers  # the fallback that makes something
        self.imports = imports
        self.e = Emitter(imports, target)
        self.heap = False  # whether there is memory to be freed
        self.arrays: list[str] = []  # whose numbers are used where they are
        self.held: list[str] = []  # those of them that are released at every end

    def begin(self, args: tuple[Any, ...]) -> Iterator[str]:
        """The beginning of the function; the objects it is called with, one by one."""
        e = self.e
        self._demand(e(f"icmp eq i64 %count, {len(args)}"))
        self._demand(e("icmp eq ptr %names, null"))
        for k in range(len(args)):
            yield e(f"load ptr, ptr {e(f'getelementptr ptr, ptr %args, i64 {k}')}")

    def finish(self, found: str, made: list[str]) -> str:
        """The ends of the function, and all its text."""
        e = self.e
        self._free()
        self._drop(self.held)
        e.line(f"ret ptr {found}\nfailed:")
        self._drop([*made, *self.held])
        e.line("br label %slow\nslow:")
        self._free()
        fallback = self._callable(e("load i64, ptr %which"))
        self._call("void", "Py_IncRef", f"ptr {fallback}")
        given = f"ptr {fallback}, ptr %args, i64 %count, ptr %names"
        answer = self._call("ptr", "PyObject_Vectorcall", given)
        self._call("void", "Py_DecRef", f"ptr {fallback}")
        e.line(f"ret ptr {answer}\nlost:")
        self._free()
        self._drop(self.held)
        e.line("ret ptr null")
        if self.heap:
            e.line("full:")
            e.line(f"ret ptr {self._call('ptr', 'PyErr_NoMemory', '')}")
        head = "define ptr @entry(ptr %self, ptr %args, i64 %count, ptr %names) nounwind {"
        start = ["%which = alloca i64", "store i64 0, ptr %which"]
        if self.heap:
            start += ["%memory = alloca ptr", "store ptr null, ptr %memory"]
        return "\n".join([head, *start, *e.lines, "}"])

    def allocate(self, size: str) -> str:
        """Memory that is freed at every end."""
        self.heap = True
        found = self._call("ptr", "PyMem_RawMalloc", f"i64 {size}")
        self.e.line(f"store ptr {found}, ptr %memory")
        self._demand(self.e(f"icmp ne ptr {found}, null"), "full")
        return found

    def _free(self) -> None:
        if self.heap:
            memory = self.e("load ptr, ptr %memory")
            self._call("void", "PyMem_RawFree", f"ptr {memory}")

    def _hold(self) -> None:
        """Keep the arrays until the end: a list that has one may be changed meanwhile."""
        self.held = self.arrays
        for x in self.held:
            self._call("void", "Py_IncRef", f"ptr {x}")

    def _drop(self, objects: list[str]) -> None:
        for x in objects:
            self._call("void", "Py_DecRef", f"ptr {x}")

    def _call(self, t: str, name: str, arguments: str) -> str:
        """A call of one of Python's functions."""
        f = self.imports.address(self.e, name)
        if t == "void":
            self.e.line(f"call void {f}({arguments})")
            return ""
        return self.e(f"call {t} {f}({arguments})")

    def _object(self, name: str, arguments: str) -> str:
        """A call of one of Python's functions that makes an object."""
        found = self._call("ptr", name, arguments)
        self._demand(self.e(f"icmp ne ptr {found}, null"), "lost")
        return found

    def _demand(self, condition: str, other: str = "slow") -> None:
        """Go on if a condition holds."""
        label = f"ok{self.e.count}"
        self.e.count += 1
        self.e.line(f"br i1 {condition}, label %{label}, label %{other}\n{label}:")

    @contextmanager
    def _rows(self, in_python: bool) -> Iterator[None]:
        """What runs rows; go on if of those in Python none has raised, and all could be called."""
        if not in_python:
            yield
            return
        e = self.e

        def counted(name: str) -> str:
            place = self.imports.address(e, name)
            return e(f"load atomic i64, ptr {place} monotonic, align 8")

        before = counted(MISSED)
        yield
        self._demand(e(f"icmp eq i64 {counted(FAILED)}, 0"), "failed")
        self._demand(e(f"icmp eq i64 {counted(MISSED)}, {before}"), "failed")

    def _callable(self, number: str) -> str:
        return self._call("ptr", "PyList_GetItem", f"ptr %self, i64 {number}")

    def _type(self, x: str, name: str) -> None:
        """Go on if an object is of that very type."""
        e = self.e
        found = e(f"load ptr, ptr {e(f'getelementptr i8, ptr {x}, i64 {TYPE}')}")
        self._demand(e(f"icmp eq ptr {found}, {self.imports.address(e, name)}"))

    def _take(self, tree: Any, x: str, places: Iterator[Location]) -> None:
        """Take the numbers out of an object."""
        e = self.e
        if tree is NUMBER_LEAF:
            self._type(x, "PyFloat_Type")
            number = e(f"load double, ptr {e(f'getelementptr i8, ptr {x}, i64 {NUMBER}')}")
            e.line(f"store double {number}, ptr {self._at(next(places))}")
        elif isinstance(tree, ArrayLeaf):
            first, *_ = [next(places) for _ in range(tree.size)]
            self._take_array(tree, x, first.base)
        else:
            self._type(x, f"Py{SEQUENCES[type(tree)]}_Type")
            size = e(f"load i64, ptr {e(f'getelementptr i8, ptr {x}, i64 {LENGTH}')}")
            self._demand(e(f"icmp eq i64 {size}, {len(tree)}"))
            if not tree:
                return
            items = self._items(type(tree), x)
            if all(part is NUMBER_LEAF for part in tree):
                self._take_all(items, [next(places) for _ in tree])
                return
            for k, part in enumerate(tree):
                place = e(f"getelementptr ptr, ptr {items}, i64 {k}")
                self._take(part, e(f"load ptr, ptr {place}"), places)

    def _items(self, kind: type, x: str) -> str:
        """Where the items of a list or tuple stand."""
        place = self.e(f"getelementptr i8, ptr {x}, i64 {ITEMS[kind]}")
        return place if kind is tuple else self.e(f"load ptr, ptr {place}")

    def _take_all(self, items: str, places: list[Location]) -> None:
        """Take numbers, and nothing else, out of a list or tuple."""
        kind, to = self.imports.address(self.e, "PyFloat_Type"), self._at(places[0])
        arguments = f"ptr {items}, i64 {len(places)}, ptr {to}, ptr {kind}"
        self._demand(self.e(f"call i1 @take({arguments})"))

    def _field(self, x: str) -> Callable[[str, int], str]:
        """What reads an object's fields."""
        e = self.e
        return lambda t, offset: e(f"load {t}, ptr {e(f'getelementptr i8, ptr {x}, i64 {offset}')}")

    def _checked(self, x: str, dimensions: int, flags: int) -> str:
        """Go on if an object is an array of floats of that kind; where its shape stands."""
        e, field = self.e, self._field(x)
        self.arrays.append(x)
        self._type(x, "numpy.ndarray")
        kind = self.imports.address(e, "numpy.float64")
        self._demand(e(f"icmp eq ptr {field('ptr', DTYPE)}, {kind}"))
        self._demand(e(f"icmp eq i32 {field('i32', NDIM)}, {dimensions}"))
        found = e(f"and i32 {field('i32', FLAGS)}, {flags}")
        self._demand(e(f"icmp eq i32 {found}, {flags}"))
        return field("ptr", SHAPE)

    def _take_array(self, tree: ArrayLeaf, x: str, base: str) -> None:
        """Use an array's numbers where they are."""
        e = self.e
        shape = self._checked(x, len(tree.shape), ALIGNED_ROWS)
        for k, length in enumerate(tree.shape):
            found = e(f"load i64, ptr {e(f'getelementptr i64, ptr {shape}, i64 {k}')}")
            self._demand(e(f"icmp eq i64 {found}, {length}"))
        e.line(f"{base} = load ptr, ptr {e(f'getelementptr i8, ptr {x}, i64 {DATA}')}")

    def _at(self, place: Location) -> str:
        return self.e(f"getelementptr double, ptr {place.base}, i64 {place.number}")

    def _array(self, k: int, shape: tuple[int, ...]) -> str:
        """A new array for results."""
        sizes = ", ".join([f"i64 {size}" for size in shape])
        self.imports.define(f"@shape{k} = private constant [{len(shape)} x i64] [{sizes}]")
        kind = self.imports.address(self.e, "numpy.ndarray")
        given = f"ptr {kind}, i32 {len(shape)}, ptr @shape{k}, i32 {FLOAT64}, ptr null, ptr null"
        made = self._object("numpy.New", f"{given}, i32 0, i32 0, ptr null")
        place = self.e(f"getelementptr i8, ptr {made}, i64 {DATA}")
        self.e.line(f"%r{k} = load ptr, ptr {place}")
        return made

    def _make(self, tree: Any, places: Iterator[Location], made: Iterator[str]) -> str:
        """The object of a result."""
        e = self.e
        if tree is NUMBER_LEAF:
            number = e(f"load double, ptr {self._at(next(places))}")
            return self._object("PyFloat_FromDouble", f"double {number}")
        if isinstance(tree, ArrayLeaf):
            for _ in range(tree.size):
                next(places)
            return next(made)
        if tree and all(part is NUMBER_LEAF for part in tree):
            first, *_ = [next(places) for _ in tree]
            found = self._empty(type(tree), len(tree))
            make = self.imports.address(e, "PyFloat_FromDouble")
            given = f"ptr {self._at(first)}, i64 {len(tree)}, ptr {self._items(type(tree), found)}"
            self._demand(e(f"call i1 @pack({given}, ptr {make})"), "lost")
            return found
        return self._sequence(type(tree), [self._make(part, places, made) for part in tree])

    def _empty(self, kind: type, size: int) -> str:
        """A new list or tuple, to be filled."""
        return self._object(f"Py{SEQUENCES[kind]}_New", f"i64 {size}")

    def _sequence(self, kind: type, parts: list[str]) -> str:
        """A list or tuple of objects."""
        found = self._empty(kind, len(parts))
        items = self._items(kind, found)
        for k, part in enumerate(parts):
            self.e.line(
                f"store ptr {part}, ptr {self.e(f'getelementptr ptr, ptr {items}, i64 {k}')}"
            )
        return found


def locations_of(tree: Any, base: str, array: str) -> Iterator[Location]:
    """Where the numbers of a structure stand: an array's in itself, others one after another."""
    numbers, names = count(), count()

    def walk(part: Any) -> Iterator[Location]:
        if part is NUMBER_LEAF:
            yield Location(base, next(numbers))
        elif isinstance(part, ArrayLeaf):
            name = f"{array}{next(names)}"
            yield from [Location(name, k) for k in range(part.size)]
        else:
            for x in part:
                yield from walk(x)

    return walk(tree)


def with_helpers(entry: str) -> list[str]:
    """A function that Python calls, and those of LOOP_HELPERS that it calls."""
    return [entry, *[text for name, text in LOOP_HELPERS.items() if f"@{name}(" in entry]]


# Many numbers from the items of Python's sequences, and into them.
LOOP_HELPERS = {
    "take": f"""
define internal i1 @take(ptr %items, i64 %count, ptr %to, ptr %float) nounwind {{
start:
  br label %next
next:
  %k = phi i64 [0, %start], [%k1, %good]
  %place = getelementptr ptr, ptr %items, i64 %k
  %item = load ptr, ptr %place
  %where = getelementptr i8, ptr %item, i64 {TYPE}
  %type = load ptr, ptr %where
  %right = icmp eq ptr %type, %float
  br i1 %right, label %good, label %bad
good:
  %from = getelementptr i8, ptr %item, i64 {NUMBER}
  %x = load double, ptr %from
  %slot = getelementptr double, ptr %to, i64 %k
  store double %x, ptr %slot
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %count
  br i1 %more, label %next, label %done
done:
  ret i1 true
bad:
  ret i1 false
}}
""",
    "pack": """
define internal i1 @pack(ptr %from, i64 %count, ptr %items, ptr %float) nounwind {
start:
  br label %next
next:
  %k = phi i64 [0, %start], [%k1, %good]
  %slot = getelementptr double, ptr %from, i64 %k
  %x = load double, ptr %slot
  %item = call ptr %float(double %x)
  %made = icmp ne ptr %item, null
  br i1 %made, label %good, label %bad
good:
  %place = getelementptr ptr, ptr %items, i64 %k
  store ptr %item, ptr %place
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %count
  br i1 %more, label %next, label %done
done:
  ret i1 true
bad:
  ret i1 false
}
""",
}
