"""Numbers of other kinds than float, turned into doubles without the interpreter; as LLVM IR.

Built-in functions call these where an argument is not the float, or the array of floats, that
they hope for: ints, NumPy's scalars, subclasses of both, arrays of any kind and any strides. What
is converted gives the double that ``float(x)`` gives; for anything else the answer is no, and
the call goes the slow way, which knows all kinds and raises all errors.

A number's *kind* is NumPy's number for its type, plus SWAPPED where its bytes are in the other
order.
"""

import ctypes
import platform
import sys
from collections.abc import Iterator
from functools import cache

from miniflow.native.emitter import Emitter, Imports, Target
from miniflow.native.layout import FLOAT64, NUMBER, TYPE
from miniflow.native.link import Library, give_address
from miniflow.native.tiers import kept_library

LONG_BITS = 8 * ctypes.sizeof(ctypes.c_long)
# For each kind: letters of its type in LLVM, and how it becomes a double.
INTS = {
    1: 8,
    2: 8,
    3: 16,
    4: 16,
    5: 32,
    6: 32,
    7: LONG_BITS,
    8: LONG_BITS,
    9: 64,
    10: 64,
}  # odd: signed
BOOL, FLOAT32, LONG_DOUBLE, OBJECT, HALF = 0, 11, 13, 17, 23
# C's long double, where there is one that the processor reads: a double, or Intel's of ten bytes
EXTENDED = {8: "double", 12: "x86_fp80", 16: "x86_fp80"}.get(ctypes.sizeof(ctypes.c_longdouble))
if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686") and EXTENDED != "double":
    EXTENDED = None
NUMBER_KINDS = (*INTS, FLOAT32, FLOAT64, *([LONG_DOUBLE] if EXTENDED else []), HALF)
# sets of kinds, as bits: what counts as numbers, and what may be a mask instead
CONVERTED, BOOLEANS = sum(1 << kind for kind in (*NUMBER_KINDS, OBJECT)), 1 << BOOL
SWAPPED = 256
SCALAR = object.__basicsize__  # where the number of NumPy's scalars stands in them
CALL, FLOAT = 50, 11  # CPython's numbers for the slots tp_call and nb_float
MOST_SCALARS = 32
CONVERSIONS = "convert.number", "convert.gather"

# Classes of NumPy's scalars, each with its kind, up to a null: machine code looks them up here.
scalars = (ctypes.c_int64 * (2 * MOST_SCALARS + 2))()


def admit_scalars() -> None:
    """Let machine code take NumPy's scalars, once NumPy has been imported."""
    numpy = sys.modules.get("numpy")
    if scalars[0] or not hasattr(numpy, "dtype"):  # or half imported
        return
    letters = "dfbBhHiIlLqQe" + ("g" if EXTENDED else "")
    found = [numpy.dtype(letter) for letter in letters]  # type: ignore[union-attr]
    for k, kind in reversed([*enumerate(found)]):  # the first one last: it says that all are there
        scalars[2 * k + 1] = kind.num
        scalars[2 * k] = id(kind.type)


# --- one number ---------------------------------------------------------------


def _number_text(imports: Imports) -> str:
    """Store the double of an object; whether it could be converted."""
    e = Emitter(imports, Target(1, False, frozenset(), frozenset()))

    def call(t: str, name: str, given: str) -> str:
        return e(f"call {t} {imports.address(e, name)}({given})")

    def to(label: str) -> None:
        e.line(f"br label %{label}\n{label}:")

    def branch(condition: str, yes: str, no: str, first: str) -> None:
        e.line(f"br i1 {condition}, label %{yes}, label %{no}\n{first}:")

    def inherits(name: str, other: str) -> None:
        """Go on if the class is one below, a plain one that converts as the class above does."""
        above = imports.address(e, name)
        known = e(f"icmp ne i32 {call('i32', 'PyType_IsSubtype', f'ptr %type, ptr {above}')}, 0")
        branch(known, f"{other}.slots", other, f"{other}.slots")
        slots = [call("ptr", "PyType_GetSlot", f"ptr {x}, i32 {FLOAT}") for x in ("%type", above)]
        calls = call("ptr", "PyType_GetSlot", f"ptr %type, i32 {CALL}")
        same = e(f"icmp eq ptr {slots[0]}, {slots[1]}")
        plain = e(f"and i1 {same}, {e(f'icmp eq ptr {calls}, null')}")
        branch(plain, f"{other}.plain", "no", f"{other}.plain")

    e.line(f"%where = getelementptr i8, ptr %x, i64 {TYPE}\n%type = load ptr, ptr %where")
    branch(e(f"icmp eq ptr %type, {imports.address(e, 'PyFloat_Type')}"), "float", "other", "other")
    known = imports.address(e, "PyLong_Type")
    branch(e(f"icmp eq ptr %type, {known}"), "int", "scalars", "scalars")
    known = imports.address(e, "convert.scalars")
    to("next")
    e.line("%k = phi i64 [0, %scalars], [%k1, %more]\n%k1 = add i64 %k, 2")
    found = e(f"load ptr, ptr {e(f'getelementptr i64, ptr {known}, i64 %k')}")
    branch(e(f"icmp eq ptr {found}, %type"), "scalar", "last", "last")
    branch(e(f"icmp eq ptr {found}, null"), "below", "more", "more")
    e.line("br label %next\nscalar:")
    kind = e(f"getelementptr i64, ptr {known}, i64 {e('add i64 %k, 1')}")
    at = e(f"getelementptr i8, ptr %x, i64 {SCALAR}")
    y = e(f"call double @element(ptr {at}, i64 {e(f'load i64, ptr {kind}')})")
    e.line(f"store double {y}, ptr %to\nret i1 true\nbelow:")
    meta = e(f"load ptr, ptr {e(f'getelementptr i8, ptr %type, i64 {TYPE}')}")
    plain = e(f"icmp eq ptr {meta}, {imports.address(e, 'PyType_Type')}")  # no enumeration
    branch(plain, "class", "no", "class")
    isbool = e(f"icmp eq ptr %type, {imports.address(e, 'PyBool_Type')}")
    branch(isbool, "no", "number", "number")
    inherits("PyFloat_Type", "whole")
    e.line("br label %float\nwhole:")
    inherits("PyLong_Type", "no")
    to("int")
    y = call("double", "PyLong_AsDouble", "ptr %x")
    branch(e(f"fcmp oeq double {y}, {e.number(-1.0)}"), "check", "good", "check")
    error = call("ptr", "PyErr_Occurred", "")
    branch(e(f"icmp eq ptr {error}, null"), "good", "raised", "raised")
    e.line(f"call void {imports.address(e, 'PyErr_Clear')}()\nbr label %no\ngood:")
    e.line(f"store double {y}, ptr %to\nret i1 true\nfloat:")
    y = e(f"load double, ptr {e(f'getelementptr i8, ptr %x, i64 {NUMBER}')}")
    e.line(f"store double {y}, ptr %to\nret i1 true\nno:\nret i1 false")
    lines = "\n".join(e.lines)
    return f'define i1 @"convert.number"(ptr %x, ptr %to) nounwind {{\n{lines}\n}}'


def _element_text() -> str:
    """The double of a number that stands somewhere, by its kind."""
    bodies = {n: f"{text}\nret double %{n}y" for n, text in _readings()}
    text = _by_kind(bodies, "ret double 0.0")
    return f"define internal double @element(ptr %at, i64 %kind) nounwind {{\n{text}\n}}"


def _fill_text() -> str:
    """The doubles of many numbers, by their kind; there is at least one."""
    bodies = {}
    for n, text in _readings():
        bodies[n] = f"""br label %{n}
{n}:
%{n}k = phi i64 [0, %{n}start], [%{n}k1, %{n}]
%{n}at = phi ptr [%at, %{n}start], [%{n}at1, %{n}]
{text.replace("ptr %at,", f"ptr %{n}at,")}
%{n}to = getelementptr double, ptr %to, i64 %{n}k
store double %{n}y, ptr %{n}to
%{n}at1 = getelementptr i8, ptr %{n}at, i64 %stride
%{n}k1 = add i64 %{n}k, 1
%{n}more = icmp ult i64 %{n}k1, %size
br i1 %{n}more, label %{n}, label %none"""
    return (
        "define internal void @fill(ptr %at, i64 %stride, i64 %size, i64 %kind, ptr %to) nounwind "
        f"{{\n{_by_kind(bodies, 'ret void')}\n}}"
    )


def _by_kind(bodies: dict[str, str], otherwise: str) -> str:
    """Pieces of code for kinds ``k1, k2 ...``, behind a switch."""
    cases = " ".join([f"i64 {n[1:]}, label %{n}start" for n in bodies])
    texts = [f"{n}start:\n{body}" for n, body in bodies.items()]
    return "\n".join([f"switch i64 %kind, label %none [{cases}]", *texts, f"none:\n{otherwise}"])


def _readings() -> Iterator[tuple[str, str]]:
    """For each kind ``k1, k2 ...`` what reads a number of it at ``%at``, as ``%k1y, %k2y ...``."""
    for kind in (BOOL, *NUMBER_KINDS):
        yield f"k{kind}", _reading(kind, swapped=False)
        if kind != LONG_DOUBLE:
            yield f"k{kind + SWAPPED}", _reading(kind, swapped=True)


def _reading(kind: int, *, swapped: bool) -> str:
    """What reads a number of one kind."""
    n = f"k{kind + (SWAPPED if swapped else 0)}"
    if kind == LONG_DOUBLE:
        cast = "fptrunc x86_fp80" if EXTENDED == "x86_fp80" else "bitcast double"
        return f"%{n}a = load {EXTENDED}, ptr %at, align 1\n%{n}y = {cast} %{n}a to double"
    bits = INTS.get(kind) or {BOOL: 8, FLOAT32: 32, FLOAT64: 64, HALF: 16}[kind]
    lines = [f"%{n}a = load i{bits}, ptr %at, align 1"]
    last = "a"
    if swapped and bits > 8:
        lines.append(f"%{n}b = call i{bits} @llvm.bswap.i{bits}(i{bits} %{n}a)")
        last = "b"
    x = f"%{n}{last}"
    if kind == BOOL or kind in INTS:
        lines.append(f"%{n}y = {'si' if kind % 2 else 'ui'}tofp i{bits} {x} to double")
    elif kind == FLOAT64:
        lines.append(f"%{n}y = bitcast i64 {x} to double")
    elif kind == FLOAT32:
        lines.append(f"%{n}f = bitcast i32 {x} to float")
        lines.append(f"%{n}y = fpext float %{n}f to double")
    else:
        lines += _half(n, x)
    return "\n".join(lines)


def _half(n: str, x: str) -> list[str]:
    """A half: its bits where a double has them, scaled by the difference of the biases."""
    scale = f"0x{(1023 + 1008) << 52:016X}"
    return [
        f"%{n}w = zext i16 {x} to i64",
        f"%{n}m = and i64 %{n}w, {0x7FFF}",
        f"%{n}s = shl i64 %{n}m, 42",
        f"%{n}d = bitcast i64 %{n}s to double",
        f"%{n}p = fmul double %{n}d, {scale}",
        f"%{n}q = bitcast double %{n}p to i64",
        f"%{n}i = icmp uge i64 %{n}m, {0x7C00}",  # infinite or no number
        f"%{n}j = or i64 %{n}s, {0x7FF << 52}",
        f"%{n}r = select i1 %{n}i, i64 %{n}j, i64 %{n}q",
        f"%{n}g = and i64 %{n}w, {0x8000}",
        f"%{n}h = shl i64 %{n}g, 48",
        f"%{n}z = or i64 %{n}r, %{n}h",
        f"%{n}y = bitcast i64 %{n}z to double",
    ]


# --- an array -----------------------------------------------------------------

# The numbers of an array in C's order: null if one could not be converted, else the end of
# what was written.
GATHER = f"""
define ptr @"convert.gather"(
  ptr %at, ptr %shape, ptr %strides, i64 %left, i64 %kind, ptr %to) nounwind {{
  %single = icmp eq i64 %left, 0
  br i1 %single, label %one, label %many
one:
  %isobject = icmp eq i64 %kind, {OBJECT}
  br i1 %isobject, label %object, label %number
object:
  %x = load ptr, ptr %at, align 1
  %missing = icmp eq ptr %x, null
  br i1 %missing, label %no, label %convert
convert:
  %good = call i1 @"convert.number"(ptr %x, ptr %to)
  br i1 %good, label %end, label %no
number:
  %y = call double @element(ptr %at, i64 %kind)
  store double %y, ptr %to
  br label %end
end:
  %after = getelementptr double, ptr %to, i64 1
  ret ptr %after
no:
  ret ptr null
many:
  %size = load i64, ptr %shape
  %stride = load i64, ptr %strides
  %shape1 = getelementptr i64, ptr %shape, i64 1
  %strides1 = getelementptr i64, ptr %strides, i64 1
  %left1 = sub i64 %left, 1
  %flat = icmp eq i64 %left, 1
  %numbers = icmp ne i64 %kind, {OBJECT}
  %direct = and i1 %flat, %numbers
  %empty = icmp eq i64 %size, 0
  br i1 %empty, label %nothing, label %some
nothing:
  ret ptr %to
some:
  br i1 %direct, label %fill, label %deep
deep:
  %pair = icmp eq i64 %left, 2
  %rows = and i1 %pair, %numbers
  br i1 %rows, label %two, label %next
two:
  %size2 = load i64, ptr %shape1
  %stride2 = load i64, ptr %strides1
  %row = mul i64 %size2, %stride2
  %joined = icmp eq i64 %row, %stride
  %filled2 = icmp ne i64 %size2, 0
  %merged = and i1 %joined, %filled2
  br i1 %merged, label %both, label %next
both:
  %whole = mul i64 %size, %size2
  call void @fill(ptr %at, i64 %stride2, i64 %whole, i64 %kind, ptr %to)
  %stop2 = getelementptr double, ptr %to, i64 %whole
  ret ptr %stop2
fill:
  call void @fill(ptr %at, i64 %stride, i64 %size, i64 %kind, ptr %to)
  %stop = getelementptr double, ptr %to, i64 %size
  ret ptr %stop
next:
  %k = phi i64 [0, %deep], [0, %two], [%k1, %filled]
  %from = phi ptr [%at, %deep], [%at, %two], [%from1, %filled]
  %here = phi ptr [%to, %deep], [%to, %two], [%there, %filled]
  %there = call ptr @"convert.gather"(
    ptr %from, ptr %shape1, ptr %strides1, i64 %left1, i64 %kind, ptr %here)
  %failed = icmp eq ptr %there, null
  br i1 %failed, label %no, label %filled
filled:
  %from1 = getelementptr i8, ptr %from, i64 %stride
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %size
  br i1 %more, label %next, label %done
done:
  ret ptr %there
}}
"""


@cache
def _library() -> Library:
    """These functions, compiled once and kept on disk."""
    imports = Imports()
    for bits in (16, 32, 64):
        imports.declare(f"i{bits} @llvm.bswap.i{bits}(i{bits})")
    bodies = [_number_text(imports), _element_text(), _fill_text(), GATHER]
    module = imports.module(bodies, CONVERSIONS, "convert")
    return kept_library(module, "numbers of all kinds")


def _known_scalars() -> int:
    admit_scalars()
    return ctypes.addressof(scalars)


give_address("convert.scalars", _known_scalars)
give_address("convert.number", lambda: _library()["convert.number"])
give_address("convert.gather", lambda: _library()["convert.gather"])
