"""Programs as LLVM IR, as text: kernels on one point or on several lanes, and their callers.

A *kernel* runs a program, in pieces of bounded size, since compilers take longer than
linear time for longer ones. Numbers go in and out through *bases*, pointers of which each
holds some inputs or outputs; what later pieces need goes through the base ``%work``.
Whatever lies outside of a module (functions of the C library, of Python, of other modules)
is called through a table of addresses that is filled in after loading: so compiled code
can be kept in files.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from miniflow.native.vector_math import FUNCTIONS
from miniflow.ops import BUILTIN, Op
from miniflow.program.ir import Code, Guard, Instruction, Step

STRETCH = 200  # instructions in one basic block
PIECE = 1000  # instructions of a program in one function, if it has more than twice as many
# Where it is counted how many rows that Python computes have raised, and could not be called.
FAILED, MISSED = "row.failed", "row.missed"


class Module(NamedTuple):
    """A piece of code: its text, what its table of addresses holds, and what it defines."""

    text: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]


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

    def module(self, bodies: Iterable[str], exports: Sequence[str], label: str) -> Module:
        size = max(len(self.names), 1)
        text = "\n".join(
            [
                f"@TABLE = global [{size} x ptr] zeroinitializer",
                *self.declarations,
                *bodies,
                "!0 = !{}",
            ]
        )
        table = f"{label}.table"
        return Module(text.replace("@TABLE", f'@"{table}"'), tuple(self.names), (*exports, table))


# --- rows ---------------------------------------------------------------------


def _where(e: Emitter, c: str, a: str, b: str) -> str:
    return e.select(e.compare("une", c, e.number(0.0)), a, b)


def _truth(relation: str) -> Callable[..., str]:
    def row(e: Emitter, a: str, b: str) -> str:
        return e.select(e.compare(relation, a, b), e.number(1.0), e.number(0.0))

    return row


def _extreme(relation: str) -> Callable[..., str]:
    def row(e: Emitter, a: str, b: str) -> str:
        first = e.logic("or", e.compare(relation, a, b), e.compare("uno", a, a))
        return e.select(first, a, b)

    return row


def _step(e: Emitter, x: str) -> str:
    zero = e.number(0.0)
    low = e.select(e.compare("uno", x, x), x, zero)
    return e.select(e.compare("ogt", x, zero), e.number(1.0), low)


def _sign(e: Emitter, x: str) -> str:
    zero = e.number(0.0)
    flat = e.binary("fadd", x, zero)
    low = e.select(e.compare("olt", x, zero), e.number(-1.0), flat)
    return e.select(e.compare("ogt", x, zero), e.number(1.0), low)


def _divided(e: Emitter, a: str, b: str) -> tuple[str, str]:
    """The quotient before rounding and the remainder, as CPython's float_divmod has them."""
    zero = e.number(0.0)
    rest = e.libm("fmod", a, b)
    quotient = e.binary("fdiv", e.binary("fsub", a, rest), b)
    some = e.compare("une", rest, zero)
    apart = e.logic("xor", e.compare("olt", b, zero), e.compare("olt", rest, zero))
    turn = e.logic("and", some, apart)
    exact = e.intrinsic("copysign", zero, b)
    moved = e.select(turn, e.binary("fadd", rest, b), e.select(some, rest, exact))
    return e.select(turn, e.binary("fsub", quotient, e.number(1.0)), quotient), moved


def _mod(e: Emitter, a: str, b: str) -> str:
    return e.select(
        e.compare("oeq", b, e.number(0.0)), e.number(float("nan")), _divided(e, a, b)[1]
    )


def _floordiv(e: Emitter, a: str, b: str) -> str:
    zero, one = e.number(0.0), e.number(1.0)
    quotient, _ = _divided(e, a, b)
    low = e.intrinsic("floor", quotient)
    off = e.compare("ogt", e.binary("fsub", quotient, low), e.number(0.5))
    whole = e.select(off, e.binary("fadd", low, one), low)
    ratio = e.binary("fdiv", a, b)
    nothing = e.intrinsic("copysign", zero, ratio)
    found = e.select(e.compare("une", quotient, zero), whole, nothing)
    return e.select(e.compare("oeq", b, zero), ratio, found)


def _sum(e: Emitter, *xs: str) -> str:
    total, *rest = xs
    for x in rest:
        total = e.binary("fadd", total, x)
    return total


def _dot(e: Emitter, *xs: str) -> str:
    half = len(xs) // 2
    return _sum(e, *[e.binary("fmul", a, b) for a, b in zip(xs[:half], xs[half:], strict=True)])


def _pow(e: Emitter, a: str, b: str) -> str:
    two = e.number(2.0)
    square = e.binary("fmul", a, a)
    return square if b == two else e.select(e.compare("oeq", b, two), square, e.libm("pow", a, b))


def _binary(what: str) -> Callable[..., str]:
    return lambda e, a, b: e.binary(what, a, b)


def _intrinsic(name: str) -> Callable[..., str]:
    return lambda e, *xs: e.intrinsic(name, *xs)


def _libm(name: str) -> Callable[..., str]:
    return lambda e, *xs: e.libm(name, *xs)


ROWS: dict[str, Callable[..., str]] = {
    "add": _binary("fadd"),
    "sub": _binary("fsub"),
    "mul": _binary("fmul"),
    "div": _binary("fdiv"),
    "mod": _mod,
    "floordiv": _floordiv,
    "neg": lambda e, x: e(f"fneg {e.type} {x}"),
    "pos": lambda e, x: x,
    "stop_gradient": lambda e, x: x,
    "abs": _intrinsic("fabs"),
    "sqrt": _intrinsic("sqrt"),
    "copysign": _intrinsic("copysign"),
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "trunc": _intrinsic("trunc"),
    "rint": _intrinsic("roundeven"),
    "less": _truth("olt"),
    "equal": _truth("oeq"),
    "where": _where,
    "maximum": _extreme("oge"),
    "minimum": _extreme("ole"),
    "relu": lambda e, x: e.select(e.compare("ugt", x, e.number(0.0)), x, e.number(0.0)),
    "step": _step,
    "sign": _sign,
    "sum": _sum,
    "dot": _dot,
    "degrees": lambda e, x: e.binary("fmul", x, e.number(180.0 / 3.141592653589793)),
    "radians": lambda e, x: e.binary("fmul", x, e.number(3.141592653589793 / 180.0)),
}
# Rows that are functions of the C library.
LIBM = {op.c for op in BUILTIN if op.c and op.name not in ROWS} | {"pow"}
ROWS |= {name: _libm(name) for name in LIBM} | {"pow": _pow}

CONDITIONS = {"<": "olt", "<=": "ole", "==": "oeq"}


# --- kernels ------------------------------------------------------------------


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

    def knows(self, name: str) -> bool:
        """Whether there is code for a row."""
        known = name in ROWS and (name not in LIBM or name in self.functions)
        return known or name in self.inline


class Access(NamedTuple):
    """How a kernel gets at numbers: bases, and how to load inputs and store outputs."""

    bases: tuple[tuple[str, str], ...]  # types and names
    load: Callable[[Emitter, int], str]  # of an input slot
    store: Callable[[Emitter, int, str], None]  # of an output by its number


def _cut(program: Code) -> list[list[Step]]:
    """The steps of each piece; a guard belongs to the last instruction before it."""
    count = len(program)
    pieces = -(-count // PIECE) if count > 2 * PIECE else 1
    size = max(1, -(-count // pieces))
    found: list[list[Step]] = [[] for _ in range(pieces)]
    for n, step in program.steps():
        last = n - program.first if isinstance(step, Instruction) else step.position - 1
        found[max(last, 0) // size].append((n, step))
    return found


class Kernel:
    """A program cut into pieces, each a function of the bases that says what failed.

    On one point a piece returns 0, or 1 + the number of the guard that failed. On lanes it
    returns the bits of those in which some guard failed.
    """

    def __init__(self, program: Code, target: Target, access: Access, name: str = "piece") -> None:
        self.program = program
        self.target = target
        self.access = access
        self.name = name
        self.width = target.width  # of registers
        self.pieces = _cut(program)
        self.shared, self.room = self._shared()
        self.stores: dict[int, list[int]] = {}
        for k, slot in enumerate(program.outputs):
            self.stores.setdefault(slot, []).append(k)

    @property
    def whole(self) -> bool:
        """Whether there is only one piece."""
        return len(self.pieces) == 1

    @property
    def calls_python(self) -> bool:
        """Whether some row is one that only Python can compute."""
        return any(not self.target.knows(step.op.name) for step in self.program.instructions)

    def _shared(self) -> tuple[dict[int, int], int]:
        """For each number that a later piece needs its place in ``%work``; how many places."""
        last = self._last()
        places: dict[int, int] = {}
        free: list[int] = []
        ends: dict[int, list[int]] = {}
        count = 0
        for k, piece in enumerate(self.pieces):
            free += ends.pop(k, [])  # of numbers that nothing needs from here on
            for slot, step in piece:
                if isinstance(step, Instruction) and last.get(slot, k) > k:
                    if not free:
                        free.append(count)
                        count += 1
                    places[slot] = free.pop()
                    ends.setdefault(last[slot] + 1, []).append(places[slot])
        return places, count

    def _last(self) -> dict[int, int]:
        """For each slot the last piece that needs it."""
        pieces = enumerate(self.pieces)
        return {x: k for k, piece in pieces for _, step in piece for x in step.operands}

    def modules(self) -> Iterator[Module]:
        """The pieces, each in a module of its own."""
        for k in range(len(self.pieces)):
            imports = Imports()
            name = f"{self.name}{k}"
            yield imports.module([self.piece(imports, k)], [name], name)

    def piece(self, imports: Imports, k: int) -> str:
        """The function of one piece."""
        e = Emitter(imports, self.target)
        failed = self.body(e, k)
        if self.target.lanes > 1:
            mask = e(f"bitcast {e.mask} {_any(e, failed)} to i{e.lanes}")
            result = e(f"zext i{e.lanes} {mask} to i64")
        else:
            result = "0"
        bases = ", ".join([f"{t} {name}" for t, name in self.parameters()])
        lines = "\n".join(e.lines)
        # lanes as wide as the machine has them
        bits = 64 * self.width
        width = f'"min-legal-vector-width"="{bits}" "prefer-vector-width"="{bits}"'
        if self.width > 1:  # spilled registers must not straddle two cache lines
            width += ' "stackrealign" "frame-pointer"="all"'
        operands = f"%operands = alloca [{e.room} x double], align 8\n" if e.room else ""
        body = f"{operands}{lines}\nret i64 {result}"
        return f"define i64 @{self.name}{k}({bases}) nounwind {width} {{\n{body}\n}}"

    def body(self, e: Emitter, k: int) -> list[str]:
        """Emit one piece; the masks of the lanes that failed."""
        return Piece(self, e, k).emit()

    def parameters(self) -> list[tuple[str, str]]:
        """The types and names of a piece's parameters."""
        return [(t, name) for t, name in (*self.access.bases, ("ptr noalias", "%work"))]

    def call(self, e: Emitter, arguments: Sequence[str]) -> list[str]:
        """The results of all pieces, as far as nothing failed on one point."""
        types = [t.split()[0] for t, _ in self.parameters()]
        given = ", ".join([f"{t} {x}" for t, x in zip(types, arguments, strict=True)])
        results = []
        for k in range(len(self.pieces)):
            name = f"{self.name}{k}"
            f = f"@{name}" if self.whole else e.module.address(e, f"here.{name}")
            results.append(e(f"call i64 {f}({given})"))
            if self.program.guards and self.target.lanes == 1 and k < len(self.pieces) - 1:
                ok = e(f"icmp eq i64 {results[-1]}, 0")
                e.line(f"store i64 {results[-1]}, ptr %which")
                e.line(f"br i1 {ok}, label %run{k + 1}, label %failed\nrun{k + 1}:")
        return results


def _any(e: Emitter, masks: list[str]) -> str:
    """The lanes that are in one of the masks."""
    found = "zeroinitializer"
    for mask in masks:
        found = e.logic("or", found, mask)
    return found


class Piece:
    """The body of one piece of a kernel."""

    def __init__(self, kernel: Kernel, e: Emitter, k: int) -> None:
        self.kernel = kernel
        self.program = kernel.program
        self.e = e
        self.k = k
        self.steps = kernel.pieces[k]
        self.known: dict[int, str] = {}  # slots whose numbers are at hand
        self.failed: list[str] = []

    def emit(self) -> list[str]:
        """All lines; the masks of the lanes that failed."""
        first = self.program.first
        if self.k == 0:
            for slot in self.kernel.stores:
                if slot < first:
                    self.keep(slot)
        for slot, step in self.steps:
            if isinstance(step, Guard):
                self.check(slot, step)
                continue
            if (slot - first) % STRETCH == 0:
                self.pause()
            self.known[slot] = self.row(step.op, [self.get(x) for x in step.operands])
            if slot in self.kernel.shared:
                self.e.line(
                    f"store {self.e.type} {self.known[slot]}, ptr {self.place(slot)}, align 8"
                )
            self.keep(slot)
        return self.failed

    def pause(self) -> None:
        """Begin a new basic block, in which inputs are loaded anew instead of kept."""
        label = f"b{self.e.count}"
        self.e.count += 1
        self.e.line(f"br label %{label}\n{label}:")
        for slot in [x for x in self.known if x < self.program.first]:
            del self.known[slot]

    def get(self, slot: int) -> str:
        """The number in a slot."""
        if slot not in self.known:
            program, e = self.program, self.e
            start = program.first - len(program.constants)
            if slot < start:
                self.known[slot] = self.kernel.access.load(e, slot)
            elif slot < program.first:
                self.known[slot] = e.number(program.constants[slot - start])
            else:
                self.known[slot] = e(f"load {e.type}, ptr {self.place(slot)}, align 8")
        return self.known[slot]

    def place(self, slot: int) -> str:
        """Where a number stands that several pieces need."""
        offset = self.kernel.shared[slot] * self.e.lanes
        return self.e(f"getelementptr double, ptr %work, i64 {offset}")

    def keep(self, slot: int) -> None:
        """Store a number that is an output."""
        for output in self.kernel.stores.get(slot, ()):
            self.kernel.access.store(self.e, output, self.get(slot))

    def row(self, op: Op, xs: list[str]) -> str:
        """One instruction."""
        target = self.kernel.target
        if op.name in target.inline:
            return FUNCTIONS[op.name](self.e, *xs)
        return ROWS[op.name](self.e, *xs) if target.knows(op.name) else self.e.python(op.name, xs)

    def check(self, n: int, guard: Guard) -> None:
        """Guard number n."""
        e = self.e
        relation = CONDITIONS[guard.relation]
        holds = e.compare(relation, self.get(guard.left), self.get(guard.right))
        if e.lanes > 1:
            expected = f"splat (i1 {str(guard.holds).lower()})"
            self.failed.append(e.logic("xor", holds, expected))
            return
        ways = ("go", "out") if guard.holds else ("out", "go")
        e.line(f"br i1 {holds}, label %{ways[0]}{n}, label %{ways[1]}{n}")
        e.line(f"out{n}:\nret i64 {n + 1}\ngo{n}:")
