"""What a built-in function of machine code does around its kernel, as LLVM IR.

It takes numbers out of Python's objects and makes the result, with no interpreter in
between. Its ``self`` is a list of *callables*: first the *fallback*, which is called where
arguments are not what the code is for; then the *side exits*, one for each guard that may
fail; the last ones make NumPy arrays, or the whole result. Results of earlier calls may come
after these: one that is not in use any more is filled with new numbers, as `zip` does with its
tuples. At last come the *constants* of the structures: static parts and the keys of dicts.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from miniflow.native.conversion import CONVERTED, LONG_DOUBLE, SWAPPED
from miniflow.native.emitter import FAILED, MISSED, Emitter, Imports, Target
from miniflow.native.layout import (
    ALIGNED_ROWS,
    BYTEORDER,
    COUNTED,
    DATA,
    DTYPE,
    FLAGS,
    FLOAT64,
    ITEMS,
    KIND,
    LENGTH,
    NDIM,
    NUMBER,
    SHAPE,
    STRIDES,
    SWAPS,
    TYPE,
    Location,
    Locations,
)
from miniflow.native.parts import (
    COMPARED,
    SEQUENCES,
    constants_in,
    inner,
    is_named,
    is_record,
    leaves_in,
)
from miniflow.program.structures import NUMBER_LEAF, ArrayLeaf
from miniflow.util.trees import static_fields


class Wrapper:
    """A function that Python calls, being written: what takes numbers and makes results.

    It has three ends: ``done``; ``slow`` (``failed``, once arrays have been made), through the
    callable whose number is in ``%which``; ``lost``, with an error that Python has set.
    """

    def __init__(
        self, result: Any, makers: int, imports: Imports, target: Target, constant: int = 0
    ) -> None:
        self.result = result
        self.makers = makers  # the fallback that makes something
        self.imports = imports
        self.e = Emitter(imports, target)
        self.memory: list[str] = []  # where it is noted what is to be freed
        self.constants = count(constant)  # their numbers among the callables
        self.fixed: dict[Location, int] = {}  # numbers of results that are constants
        self.arrays: list[str] = []  # whose numbers are used where they are
        self.held: list[str] = []  # those of them that are released at every end

    def begin(self, args: tuple[Any, ...], names: Iterable[str] = ()) -> Iterator[str]:
        """The beginning of the function; the objects it is called with, one by one."""
        e, names = self.e, tuple(names)
        self._demand(e(f"icmp eq i64 %count, {len(args)}"))
        self._demand(e(f"icmp {'ne' if names else 'eq'} ptr %names, null"))
        if names:
            size = e(f"load i64, ptr {e(f'getelementptr i8, ptr %names, i64 {LENGTH}')}")
            self._demand(e(f"icmp eq i64 {size}, {len(names)}"))
            items = self._items(tuple, "%names")
            for k in range(len(names)):
                self._same(e(f"load ptr, ptr {e(f'getelementptr ptr, ptr {items}, i64 {k}')}"), "")
        for k in range(len(args) + len(names)):
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
        if self.memory:
            e.line("full:")
            self._free()
            e.line(f"ret ptr {self._call('ptr', 'PyErr_NoMemory', '')}")
        head = "define ptr @entry(ptr %self, ptr %args, i64 %count, ptr %names) nounwind {"
        start = ["%which = alloca i64", "store i64 0, ptr %which"]
        for name in self.memory:
            start += [f"{name} = alloca ptr", f"store ptr null, ptr {name}"]
        start += [f"%{name} = alloca {t}" for name, t in (("entry", "i64"), ("key", "ptr"))]
        start += ["%value = alloca ptr"]
        return "\n".join([head, *start, *e.lines, "}"])

    def allocate(self, size: str) -> str:
        """Memory that is freed at every end."""
        self.memory.append(f"%memory{len(self.memory)}")
        found = self._call("ptr", "PyMem_RawMalloc", f"i64 {size}")
        self.e.line(f"store ptr {found}, ptr {self.memory[-1]}")
        self._demand(self.e(f"icmp ne ptr {found}, null"), "full")
        return found

    def _free(self) -> None:
        for name in self.memory:
            memory = self.e(f"load ptr, ptr {name}")
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

    def _label(self) -> str:
        self.e.count += 1
        return f"l{self.e.count - 1}"

    def _constant(self) -> str:
        """The next constant of the structures."""
        e, number = self.e, next(self.constants)
        items = self._items(list, "%self")
        return e(f"load ptr, ptr {e(f'getelementptr ptr, ptr {items}, i64 {number}')}")

    def _same(self, x: str, constant: Any) -> None:
        """Go on if an object is the next constant."""
        e, found, label = self.e, self._constant(), self._label()
        same = e(f"icmp eq ptr {x}, {found}")
        if type(constant) not in COMPARED:
            self._demand(same)
            return
        e.line(f"br i1 {same}, label %{label}, label %{label}c\n{label}c:")
        kinds = [
            e(f"load ptr, ptr {e(f'getelementptr i8, ptr {y}, i64 {TYPE}')}") for y in (x, found)
        ]
        self._demand(e(f"icmp eq ptr {kinds[0]}, {kinds[1]}"))
        equal = self._call("i32", "PyObject_RichCompareBool", f"ptr {x}, ptr {found}, i32 2")
        self._demand(e(f"icmp eq i32 {equal}, 1"))
        e.line(f"br label %{label}\n{label}:")

    def _type(self, x: str, kind: str) -> None:
        """Go on if an object is of that very type."""
        e = self.e
        found = e(f"load ptr, ptr {e(f'getelementptr i8, ptr {x}, i64 {TYPE}')}")
        self._demand(e(f"icmp eq ptr {found}, {kind}"))

    def _take(self, tree: Any, x: str, places: Iterator[Location]) -> None:
        """Take the numbers out of an object."""
        e = self.e
        if tree is NUMBER_LEAF:
            self._take_number(x, self._at(next(places)))
        elif isinstance(tree, ArrayLeaf):
            mine = [next(places) for _ in range(tree.size)]
            self._take_array(tree, x, mine[0].base if mine else f"%empty{self.e.count}")
        elif type(tree) is dict:
            self._take_dict(tree, x, places)
        elif type(tree) in SEQUENCES:
            self._type(x, self.imports.address(e, f"Py{SEQUENCES[type(tree)]}_Type"))
            self._take_items(tree, x, places)
        elif is_named(tree):
            self._type(x, self._constant())
            self._take_items(tree, x, places)
        elif is_record(tree):
            self._take_record(tree, x, places)
        else:
            self._same(x, next(constants_in(tree)))

    def _take_items(self, tree: Any, x: str, places: Iterator[Location]) -> None:
        """Take the numbers out of a list or tuple."""
        e = self.e
        size = e(f"load i64, ptr {e(f'getelementptr i8, ptr {x}, i64 {LENGTH}')}")
        self._demand(e(f"icmp eq i64 {size}, {len(tree)}"))
        if not tree:
            return
        items = self._items(list if type(tree) is list else tuple, x)
        if all(part is NUMBER_LEAF for part in tree):
            self._take_all(items, [next(places) for _ in tree])
            return
        for k, part in enumerate(tree):
            place = e(f"getelementptr ptr, ptr {items}, i64 {k}")
            self._take(part, e(f"load ptr, ptr {place}"), places)

    def _take_record(self, tree: Any, x: str, places: Iterator[Location]) -> None:
        """Take the numbers out of a dataclass's object whose static fields are the same."""
        self._type(x, self._constant())
        for _, constant in static_fields(tree):
            self._same(self._attribute(x), constant)
        for part in inner(tree):
            self._take(part, self._attribute(x), places)

    def _attribute(self, x: str) -> str:
        """What an object has under the name that is the next constant; it keeps it alive."""
        e, label = self.e, self._label()
        found = self._call("ptr", "PyObject_GetAttr", f"ptr {x}, ptr {self._constant()}")
        missing = e(f"icmp eq ptr {found}, null")
        e.line(f"br i1 {missing}, label %{label}m, label %{label}\n{label}m:")
        self._call("void", "PyErr_Clear", "")
        e.line(f"br label %slow\n{label}:")
        references = e(f"load i32, ptr {found}") if COUNTED else "2"
        kept = e(f"icmp ugt i32 {references}, 1")  # else a property has made it, of late
        self._call("void", "Py_DecRef", f"ptr {found}")
        self._demand(kept)
        return found

    def _take_number(self, x: str, to: str) -> None:
        """Take one number: a float here, others with help."""
        e, label = self.e, self._label()
        kind = e(f"load ptr, ptr {e(f'getelementptr i8, ptr {x}, i64 {TYPE}')}")
        simple = e(f"icmp eq ptr {kind}, {self.imports.address(e, 'PyFloat_Type')}")
        e.line(f"br i1 {simple}, label %{label}f, label %{label}o\n{label}o:")
        convert = self.imports.address(e, "convert.number")
        good = e(f"call i1 {convert}(ptr {x}, ptr {to})")
        e.line(f"br i1 {good}, label %{label}, label %slow\n{label}f:")
        number = e(f"load double, ptr {e(f'getelementptr i8, ptr {x}, i64 {NUMBER}')}")
        e.line(f"store double {number}, ptr {to}\nbr label %{label}\n{label}:")

    def _take_dict(self, tree: dict[Any, Any], x: str, places: Iterator[Location]) -> None:
        """Take the numbers out of a dict whose keys come in the same order."""
        e = self.e
        self._type(x, self.imports.address(e, "PyDict_Type"))
        size = self._call("i64", "PyDict_Size", f"ptr {x}")
        self._demand(e(f"icmp eq i64 {size}, {len(tree)}"))
        start = "0"
        for key, part in tree.items():
            e.line(f"store i64 {start}, ptr %entry")
            given = f"ptr {x}, ptr %entry, ptr %key, ptr %value"
            more = self._call("i32", "PyDict_Next", given)
            self._demand(e(f"icmp ne i32 {more}, 0"))
            start = e("load i64, ptr %entry")  # a dict in this one has the place meanwhile
            value = e("load ptr, ptr %value")
            self._same(e("load ptr, ptr %key"), key)
            self._take(part, value, places)

    def _items(self, kind: type, x: str) -> str:
        """Where the items of a list or tuple stand."""
        place = self.e(f"getelementptr i8, ptr {x}, i64 {ITEMS[kind]}")
        return place if kind is tuple else self.e(f"load ptr, ptr {place}")

    def _take_all(self, items: str, places: list[Location]) -> None:
        """Take numbers, and nothing else, out of a list or tuple."""
        names = "PyFloat_Type", "convert.scalars", "convert.number"
        known = ", ".join([f"ptr {self.imports.address(self.e, name)}" for name in names])
        arguments = f"ptr {items}, i64 {len(places)}, ptr {self._at(places[0])}, {known}"
        self._demand(self.e(f"call i1 @take({arguments})"))

    def _field(self, x: str) -> Callable[[str, int], str]:
        """What reads an object's fields."""
        e = self.e
        return lambda t, offset: e(f"load {t}, ptr {e(f'getelementptr i8, ptr {x}, i64 {offset}')}")

    def _array_of(self, x: str, dimensions: int) -> str:
        """Go on if an object is an array of so many dimensions; where its shape stands."""
        self._type(x, self.imports.address(self.e, "numpy.ndarray"))
        found = self._field(x)("i32", NDIM)
        self._demand(self.e(f"icmp eq i32 {found}, {dimensions}"))
        return self._field(x)("ptr", SHAPE)

    def _take_array(self, tree: ArrayLeaf, x: str, base: str) -> None:
        """Use an array's numbers where they are, or converted if they are others."""
        e, label, field = self.e, self._label(), self._field(x)
        self.arrays.append(x)
        shape = self._array_of(x, len(tree.shape))
        for k, length in enumerate(tree.shape):
            found = e(f"load i64, ptr {e(f'getelementptr i64, ptr {shape}, i64 {k}')}")
            self._demand(e(f"icmp eq i64 {found}, {length}"))
        data, dtype = field("ptr", DATA), field("ptr", DTYPE)
        right = e(f"icmp eq ptr {dtype}, {self.imports.address(e, 'numpy.float64')}")
        flags = e(f"and i32 {field('i32', FLAGS)}, {ALIGNED_ROWS}")
        direct = e(f"and i1 {right}, {e(f'icmp eq i32 {flags}, {ALIGNED_ROWS}')}")
        e.line(f"br label %{label}s\n{label}s:")
        e.line(f"br i1 {direct}, label %{label}, label %{label}c\n{label}c:")
        copied = self._converted(x, f"{8 * tree.size}", len(tree.shape), CONVERTED)
        e.line(f"br label %{label}e\n{label}e:\nbr label %{label}\n{label}:")
        e.line(f"{base} = phi ptr [{data}, %{label}s], [{copied}, %{label}e]")

    def _converted(self, x: str, size: str, dimensions: int, kinds: int) -> str:
        """An array's numbers as doubles side by side, in memory of their own, of so many bytes."""
        e, field = self.e, self._field(x)
        data, shape, strides = field("ptr", DATA), field("ptr", SHAPE), field("ptr", STRIDES)
        dtype = self._field(field("ptr", DTYPE))
        kind = e(f"zext i32 {dtype('i32', KIND)} to i64")
        self._demand(e(f"icmp ult i64 {kind}, 64"))
        bit = e(f"and i64 {e(f'lshr i64 {kinds}, {kind}')}, 1")
        self._demand(e(f"icmp eq i64 {bit}, 1"))
        swaps = e(f"icmp eq i8 {dtype('i8', BYTEORDER)}, {ord(SWAPS)}")
        kind = e(f"add i64 {kind}, {e(f'select i1 {swaps}, i64 {SWAPPED}, i64 0')}")
        self._demand(e(f"icmp ne i64 {kind}, {LONG_DOUBLE + SWAPPED}"))
        to = self.allocate(size)
        convert = self.imports.address(e, "convert.gather")
        given = f"ptr {data}, ptr {shape}, ptr {strides}, i64 {dimensions}, i64 {kind}, ptr {to}"
        self._demand(e(f"icmp ne ptr {e(f'call ptr {convert}({given})')}, null"))
        return to

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
        if tree is NUMBER_LEAF:
            return self._make_number(places, made)
        if isinstance(tree, ArrayLeaf):
            for _ in range(tree.size):
                next(places)
            return next(made)
        if type(tree) is dict:
            return self._make_dict(tree, places, made)
        if is_named(tree):
            return self._make_named(tree, places, made)
        if is_record(tree):
            return self._make_record(tree, places, made)
        if type(tree) not in SEQUENCES:
            return self._kept(self._constant())
        if self._is_packed(tree):
            return self._pack(tree, places)
        return self._sequence(type(tree), [self._make(part, places, made) for part in tree])

    def _make_number(self, places: Iterator[Location], made: Iterator[str]) -> str:
        """The object of a number; of those that are `made`, if that is one of them."""
        place = next(places)
        if place in self.fixed:
            return self._kept(self._callable(f"{self.fixed[place]}"))
        number = self.e(f"load double, ptr {self._at(place)}")
        return self._object("PyFloat_FromDouble", f"double {number}")

    def _is_packed(self, tree: Any) -> bool:
        """Whether a sequence is made of floats only, which a loop makes."""
        return bool(tree) and all(part is NUMBER_LEAF for part in tree) and not self.fixed

    def _pack(self, tree: Any, places: Iterator[Location]) -> str:
        """A list or tuple of floats."""
        first, *_ = [next(places) for _ in tree]
        found = self._empty(type(tree), len(tree))
        make = self.imports.address(self.e, "PyFloat_FromDouble")
        given = f"ptr {self._at(first)}, i64 {len(tree)}, ptr {self._items(type(tree), found)}"
        self._demand(self.e(f"call i1 @pack({given}, ptr {make})"), "lost")
        return found

    def _kept(self, x: str) -> str:
        """An object that somebody else has, too."""
        self._call("void", "Py_IncRef", f"ptr {x}")
        return x

    def _make_dict(
        self, tree: dict[Any, Any], places: Iterator[Location], made: Iterator[str]
    ) -> str:
        """A dict of a result."""
        found = self._object("PyDict_New", "")
        for part in tree.values():
            key = self._constant()
            value = self._make(part, places, made)
            failed = self._call("i32", "PyDict_SetItem", f"ptr {found}, ptr {key}, ptr {value}")
            self._call("void", "Py_DecRef", f"ptr {value}")
            self._demand(self.e(f"icmp eq i32 {failed}, 0"), "lost")
        return found

    def _make_named(self, tree: Any, places: Iterator[Location], made: Iterator[str]) -> str:
        """A named tuple of a result."""
        maker = self._constant()
        parts = self._make((*tree,), places, made)
        found = self._object("PyObject_CallOneArg", f"ptr {maker}, ptr {parts}")
        self._call("void", "Py_DecRef", f"ptr {parts}")
        return found

    def _make_record(self, tree: Any, places: Iterator[Location], made: Iterator[str]) -> str:
        """A dataclass's object of a result."""
        found = self._object("PyType_GenericAlloc", f"ptr {self._constant()}, i64 0")
        for _ in static_fields(tree):
            name = self._constant()
            self._set(found, name, self._kept(self._constant()))
        for part in inner(tree):
            name = self._constant()
            self._set(found, name, self._make(part, places, made))
        return found

    def _set(self, x: str, name: str, value: str) -> None:
        """Let a new object have something under a name, whatever its class says to that."""
        given = f"ptr {x}, ptr {name}, ptr {value}"
        failed = self._call("i32", "PyObject_GenericSetAttr", given)
        self._call("void", "Py_DecRef", f"ptr {value}")
        self._demand(self.e(f"icmp eq i32 {failed}, 0"), "lost")

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


def locations_of(tree: Any, base: str, array: str) -> Locations:
    """Where the numbers of a structure stand: an array's in itself, others one after another."""
    found, numbers, names = Locations(), 0, count()
    for leaf in leaves_in(tree):
        if leaf is NUMBER_LEAF:
            found.add(base, numbers, 1)
            numbers += 1
        else:
            found.add(f"{array}{next(names)}", 0, leaf.size)
    return found


def with_helpers(entry: str) -> list[str]:
    """A function that Python calls, and those of LOOP_HELPERS that it calls."""
    return [entry, *[text for name, text in LOOP_HELPERS.items() if f"@{name}(" in entry]]


# Many numbers from the items of Python's sequences, and into them. NumPy's float64, first among
# its scalars, has its number where a float has it.
LOOP_HELPERS = {
    "take": f"""
define internal i1 @take(
  ptr %items, i64 %count, ptr %to, ptr %float, ptr %scalars, ptr %convert) nounwind {{
start:
  %float64 = load ptr, ptr %scalars
  br label %next
next:
  %k = phi i64 [0, %start], [%k1, %taken]
  %place = getelementptr ptr, ptr %items, i64 %k
  %item = load ptr, ptr %place
  %where = getelementptr i8, ptr %item, i64 {TYPE}
  %type = load ptr, ptr %where
  %slot = getelementptr double, ptr %to, i64 %k
  %plain = icmp eq ptr %type, %float
  %same = icmp eq ptr %type, %float64
  %right = or i1 %plain, %same
  br i1 %right, label %good, label %other
good:
  %from = getelementptr i8, ptr %item, i64 {NUMBER}
  %x = load double, ptr %from
  store double %x, ptr %slot
  br label %taken
other:
  %converted = call i1 %convert(ptr %item, ptr %slot)
  br i1 %converted, label %taken, label %bad
taken:
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
