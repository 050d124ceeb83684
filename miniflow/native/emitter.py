"""Functions as LLVM IR, as text, line by line.

Whatever lies outside of a module (functions of the C library, of Python, of other modules)
is called through a table of addresses that is filled in after loading: so compiled code
can be kept in files.
"""

import hashlib
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

# Where it is counted how many rows that Python computes have raised, and could not be called.
FAILED, MISSED = "row.failed", "row.missed"


class ModuleText(NamedTuple):
    """A piece of code: its text, what its table of addresses holds, and what it defines."""

    text: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]


class Target(NamedTuple):
    """What code is emitted for."""

    lanes: int
    fma: bool
    functions: frozenset[str]  # rows that the C library computes as Python does
    vector: frozenset[str]  # rows that exist for several lanes at once
    inline: frozenset[str] = frozenset()  # rows that are instructions on several lanes
    registers: int = 1  # how many hold the lanes, 1 or 2

    @property
    def width(self) -> int:
        """How many lanes a register has."""
        return self.lanes // self.registers


class Emitter:
    """The text of one function, line by line; results are called %0, %1 ..."""

    def __init__(self, module: "Imports", target: "Target") -> None:
        lanes = target.lanes
        self.module = module
        self.lanes = lanes
        self.width = target.width
        self.type = f"<{lanes} x double>" if lanes > 1 else "double"
        self.mask = f"<{lanes} x i1>" if lanes > 1 else "i1"
        self.flags = "contract " if target.fma else ""
        self.vector = target.vector
        self.lines: list[str] = []
        self.count = 0
        self.room = 0  # for the operands of rows that Python computes

    def __call__(self, text: str) -> str:
        """A line with a result."""
        name = f"%v{self.count}"
        self.count += 1
        self.lines.append(f"{name} = {text}")
        return name

    def line(self, text: str) -> None:
        self.lines.append(text)

    def number(self, x: float) -> str:
        """A constant."""
        bits = f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"
        return bits if self.lanes == 1 else f"splat (double {bits})"

    @staticmethod
    def constant(x: str) -> str | None:
        """The bits of a constant; None for a result."""
        found = re.fullmatch(r"(?:splat \(double )?(0x\w{16})\)?", x)
        return found and found[1]

    def table(self, bits: Sequence[Any]) -> str:
        """The name of an array of constants."""
        numbers = ", ".join([f"double {x}" for x in bits])
        name = f"@numbers{len(self.module.declarations)}"
        self.module.define(f"{name} = private constant [{len(bits)} x double] [{numbers}]")
        return name

    def binary(self, what: str, a: str, b: str) -> str:
        return self(f"{what} {self.flags}{self.type} {a}, {b}")

    def compare(self, what: str, a: str, b: str) -> str:
        return self(f"fcmp {what} {self.type} {a}, {b}")

    def logic(self, what: str, a: str, b: str) -> str:
        return self(f"{what} {self.mask} {a}, {b}")

    def select(self, condition: str, a: str, b: str) -> str:
        t = self.type
        return self(f"select {self.mask} {condition}, {t} {a}, {t} {b}")

    def intrinsic(self, name: str, *xs: str) -> str:
        suffix = f"v{self.lanes}f64" if self.lanes > 1 else "f64"
        t = self.type
        self.module.declare(f"{t} @llvm.{name}.{suffix}({', '.join([t] * len(xs))})")
        return self(f"call {t} @llvm.{name}.{suffix}({', '.join([f'{t} {x}' for x in xs])})")

    def libm(self, name: str, *xs: str) -> str:
        """A function of the C library, or of its vector library."""
        if self.lanes == 1:
            return self.function(f"c.{name}", "double", xs)
        if name not in self.vector:
            return self.each(lambda *ys: self.function(f"c.{name}", "double", ys), xs)
        t, where = f"<{self.width} x double>", f"v{self.width}.{name}"
        return self.registers(lambda *ys: self.function(where, t, ys), *xs)

    def registers(self, f: Callable[..., str], *xs: str) -> str:
        """Register by register."""
        starts = range(0, self.lanes, self.width)
        ys = [f(*[self.part(x, k, self.width) for x in xs]) for k in starts]
        if len(ys) == 1:
            return ys[0]
        return self.shuffle(f"<{self.width} x double>", ys[0], ys[1], range(self.lanes))

    def part(self, x: str, start: int, count: int) -> str:
        """Some of the lanes, from one on."""
        if count == self.lanes:
            return x
        return self.shuffle(self.type, x, "poison", range(start, start + count))

    def shuffle(self, t: str, a: str, b: str, lanes: Sequence[int]) -> str:
        """Those lanes of two."""
        chosen = ", ".join([f"i32 {lane}" for lane in lanes])
        return self(f"shufflevector {t} {a}, {t} {b}, <{len(lanes)} x i32> <{chosen}>")

    def function(self, where: str, t: str, xs: Sequence[str]) -> str:
        f = self.module.address(self, where)
        return self(f"call {t} {f}({', '.join([f'{t} {x}' for x in xs])})")

    def each(self, f: Callable[..., str], xs: Sequence[str]) -> str:
        """Lane by lane."""
        if self.lanes == 1:
            return f(*xs)
        found = "poison"
        for lane in range(self.lanes):
            ys = [self(f"extractelement {self.type} {x}, i32 {lane}") for x in xs]
            y = f(*ys)
            found = self(f"insertelement {self.type} {found}, double {y}, i32 {lane}")
        return found

    def python(self, name: str, xs: Sequence[str]) -> str:
        """A row that only Python can compute; it clears the mark that stands after its operands.

        Where Python cannot be entered, at the end of its stack, the mark stays.
        """
        self.room = max(self.room, len(xs) + 1)

        def call(*ys: str) -> str:
            for k, y in enumerate((*ys, "1.0")):
                place = self(f"getelementptr double, ptr %operands, i64 {k}")
                self.line(f"store double {y}, ptr {place}")
            f = self.module.address(self, f"row.{name}")
            found = self(f"call double {f}(ptr %operands, i64 {len(ys)})")
            stays = self(f"fcmp une double {self(f'load double, ptr {place}')}, 0.0")
            missed = self.module.address(self, MISSED)
            one = self(f"zext i1 {stays} to i64")
            self(f"atomicrmw add ptr {missed}, i64 {one} monotonic")
            return found

        return self.each(call, xs)


class Imports:
    """The table of addresses of one module, and its declarations."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.declarations: dict[str, None] = {}

    def declare(self, text: str) -> None:
        self.define(f"declare {text}")

    def define(self, text: str) -> None:
        self.declarations[text] = None

    def address(self, e: Callable[[str], str], name: str) -> str:
        k = self.names.setdefault(name, len(self.names))
        place = e(f"getelementptr ptr, ptr @TABLE, i64 {k}")
        return e(f"load ptr, ptr {place}, !invariant.load !0")

    def module(self, bodies: Iterable[str], exports: Sequence[str], label: str) -> ModuleText:
        table = f"{label}.table"
        imports, exports = tuple(self.names), (*exports, table)
        rest = f"[{max(len(imports) - 1, 0)} x ptr]"
        first = interface_number(imports, exports)
        head = f"@TABLE = global {{ i64, {rest} }} {{ i64 {first}, {rest} zeroinitializer }}"
        text = "\n".join([head, *self.declarations, *bodies, "!0 = !{}"])
        return ModuleText(text.replace("@TABLE", f'@"{table}"'), imports, exports)


def interface_number(imports: Sequence[str], exports: Sequence[str]) -> int:
    """What stands first in a table until addresses do: it tells whose table it is."""
    text = repr([*imports, "", *exports])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "little")


def loop(e: Emitter, name: str, limit: str, body: Callable[[str], None]) -> None:
    """Count from 0 up to a limit."""
    name = f"{name}{e.count}"
    e.count += 1
    some = e(f"icmp ne i64 {limit}, 0")
    e.line(f"br i1 {some}, label %{name}.in, label %{name}.out")
    e.line(f"{name}.in:\nbr label %{name}.top\n{name}.top:")
    e.line(f"%{name} = phi i64 [0, %{name}.in], [%{name}.next, %{name}.end]")
    body(f"%{name}")
    e.line(f"br label %{name}.end\n{name}.end:\n%{name}.next = add i64 %{name}, 1")
    more = e(f"icmp ult i64 %{name}.next, {limit}")
    e.line(f"br i1 {more}, label %{name}.top, label %{name}.out\n{name}.out:")
