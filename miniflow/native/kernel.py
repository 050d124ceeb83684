"""Programs as LLVM IR, as text: kernels on one point or on several lanes.

A *kernel* runs a program, in pieces of bounded size, since compilers take longer than
linear time for longer ones. Numbers go in and out through *bases*, pointers of which each
holds some inputs or outputs; what later pieces need goes through the base ``%work``.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import Any, NamedTuple

from miniflow.native.emitter import Emitter, Imports, ModuleText, Target, loop
from miniflow.native.layout import Location
from miniflow.native.rows import CONDITIONS, FOLDS, ROWS, Fold, knows
from miniflow.native.vector_math import FUNCTIONS
from miniflow.ops import Op
from miniflow.program.ir import Code, Guard, Instruction, Step, with_slots

STRETCH = 200  # instructions in one basic block
MOST_AT_HAND = 64  # operands of one instruction; more are kept in memory
MOST_ONE_BY_ONE = 64  # outputs in a row that are inputs in a row, or one number
SHORTEST_LOOP = 8  # numbers for which no loop is worth it
NO_LANE = "zeroinitializer"  # of lanes, or of their numbers
PIECE = 1000  # instructions of a program in one function, if it has more than
UNCUT, UNCUT_ON_LANES = 2, 3  # times as many: numbers between pieces cost more on lanes


class Access(NamedTuple):
    """How a kernel gets at numbers: bases, and how to load inputs and store outputs."""

    bases: tuple[tuple[str, str], ...]  # types and names
    load: Callable[[Emitter, int], str]  # of an input slot
    store: Callable[[Emitter, int, str], None]  # of an output by its number
    where: Callable[[int], Location] | None = None  # an input is, if it has one place in memory
    sink: Callable[[int], Location] | None = None  # the same for an output


class Excerpt(NamedTuple):
    """Steps one after another, and the numbers of the first instruction and guard among them."""

    steps: list[Instruction | Guard]
    slot: int
    guard: int

    def with_slots(self) -> Iterator[Step]:
        """Each with its number."""
        return with_slots(self.steps, self.slot, self.guard)


def _cut(program: Code, lanes: int) -> list[Excerpt]:
    """The steps of each piece; a guard belongs to the last instruction before it."""
    count = len(program)
    most = PIECE * (UNCUT if lanes == 1 else UNCUT_ON_LANES)
    pieces = -(-count // PIECE) if count > most else 1
    size = max(1, -(-count // pieces))
    found: list[list[Instruction | Guard]] = [[] for _ in range(pieces)]
    for n, step in program.steps():
        last = n - program.first if isinstance(step, Instruction) else step.position - 1
        found[max(last, 0) // size].append(step)
    guards = accumulate([sum(isinstance(x, Guard) for x in piece) for piece in found], initial=0)
    slots = [program.first + k * size for k in range(pieces)]
    return [*map(Excerpt, found, slots, guards)]


class Kernel:
    """A program cut into pieces, each a function of the bases that says what failed.

    On one point a piece returns 0, or 1 + the number of the guard that failed. On lanes it
    returns the bits of those in which some guard failed, and writes 0 or 1 + the number of the
    first such guard for each of them behind the base ``%which``, an i32.
    """

    def __init__(self, program: Code, target: Target, access: Access, name: str = "piece") -> None:
        self.program = program
        self.target = target
        self.access = access
        self.name = name
        self.width = target.width  # of registers
        self.pieces = _cut(program, target.lanes)
        self.shared, self.room = self._shared()
        self.copies = self._copies()
        copied = {k for run in self.copies for k in run}
        stores: dict[int, list[int]] = {}
        for k, slot in enumerate(program.outputs):
            if k not in copied:
                stores.setdefault(slot, []).append(k)
        # tuples of ints, which Python's collector need not look at
        self.stores = {slot: tuple(outputs) for slot, outputs in stores.items()}

    def _copies(self) -> list[Sequence[int]]:
        """Outputs in a row that are inputs in a row, and very many."""
        outputs, inputs = self.program.outputs, self.program.first - len(self.program.constants)
        shifts = [slot - k for k, slot in enumerate(outputs)]
        found = runs(range(len(outputs)), lambda k: shifts[k] if outputs[k] < inputs else None)
        return [x for x in found if outputs[x[0]] < inputs and self.are_together(x, copied=True)]

    def are_together(self, outputs: Sequence[int], *, copied: bool = False) -> bool:
        """Whether outputs in a row, very many, stand in a row; so do inputs that are `copied`."""
        sink, where = self.access.sink, self.access.where
        if len(outputs) <= MOST_ONE_BY_ONE or sink is None or where is None:
            return False
        ends = [[sink(outputs[k]) for k in (0, -1)]]
        if copied:
            ends.append([where(self.program.outputs[outputs[k]]) for k in (0, -1)])
        return all(a.base == b.base and b.number - a.number == len(outputs) - 1 for a, b in ends)

    @property
    def whole(self) -> bool:
        """Whether there is only one piece."""
        return len(self.pieces) == 1

    @property
    def calls_python(self) -> bool:
        """Whether some row is one that only Python can compute."""
        return any(not knows(self.target, step.op.name) for step in self.program.instructions)

    def _shared(self) -> tuple[dict[int, int], int]:
        """For each number that is kept in memory its place in ``%work``; how many places.

        These are numbers that a later piece needs, and operands of rows that have very many.
        """
        last, many = self._last(), self._of_many()
        places: dict[int, int] = {}
        free: list[int] = []
        ends: dict[int, list[int]] = {}
        count = 0
        for k, piece in enumerate(self.pieces):
            free += ends.pop(k, [])  # of numbers that nothing needs from here on
            for slot, step in piece.with_slots():
                if isinstance(step, Instruction) and (last.get(slot, k) > k or slot in many):
                    if not free:
                        free.append(count)
                        count += 1
                    places[slot] = free.pop()
                    ends.setdefault(last[slot] + 1, []).append(places[slot])
        return places, count

    def _of_many(self) -> set[int]:
        """The operands of rows that have very many."""
        steps = self.program.instructions
        return {x for op, xs in steps if op.name in FOLDS and len(xs) > MOST_AT_HAND for x in xs}

    def _last(self) -> dict[int, int]:
        """For each slot the last piece that needs it."""
        pieces = enumerate(self.pieces)
        return {x: k for k, piece in pieces for step in piece.steps for x in step.operands}

    def modules(self) -> Iterator[ModuleText]:
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
            mask = e(f"bitcast {e.mask} {failed} to i{e.lanes}")
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

    def body(self, e: Emitter, k: int) -> str:
        """Emit one piece; the mask of the lanes that failed."""
        piece = Piece(self, e, k)
        piece.emit()
        return piece.failed() if self.target.lanes > 1 and self.program.guards else NO_LANE

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


class Piece:
    """The body of one piece of a kernel."""

    def __init__(self, kernel: Kernel, e: Emitter, k: int) -> None:
        self.kernel = kernel
        self.program = kernel.program
        self.e = e
        self.k = k
        self.excerpt = kernel.pieces[k]
        self.known: dict[int, str] = {}  # slots whose numbers are at hand
        self.alive = "splat (i1 true)"  # the lanes in which no guard has failed
        self.passed = NO_LANE  # for each lane how many guards before that

    def emit(self) -> None:
        """All lines."""
        first = self.program.first
        if self.k == 0:
            self.begin()
        for slot, step in self.excerpt.with_slots():
            if isinstance(step, Guard):
                self.check(slot, step)
                continue
            if (slot - first) % STRETCH == 0:
                self.pause()
            self.known[slot] = self.row(step.op, step.operands)
            if slot in self.kernel.shared:
                self.e.line(
                    f"store {self.e.type} {self.known[slot]}, ptr {self.place(slot)}, align 8"
                )
            self.keep(slot)

    def begin(self) -> None:
        """Store the outputs that are inputs or constants."""
        for run in self.kernel.copies:
            self._store_all(run, self.program.outputs[run[0]], copied=True)
        for slot in [x for x in self.kernel.stores if x < self.program.first]:
            self.keep(slot)

    def failed(self) -> str:
        """The lanes in which a guard failed; which one is written down, once."""
        e, numbers = self.e, f"<{self.e.lanes} x i32>"
        guards = [n for n, step in self.excerpt.with_slots() if isinstance(step, Guard)]
        failed = e.logic("xor", self.alive, "splat (i1 true)") if guards else NO_LANE
        if not guards and self.k:
            return failed
        found = NO_LANE
        if guards:
            number = e(f"add {numbers} {self.passed}, splat (i32 {guards[0] + 1})")
            found = e(f"select {e.mask} {failed}, {numbers} {number}, {numbers} {NO_LANE}")
        if self.k:
            before = e(f"load {numbers}, ptr %which, align 4")
            already = e(f"icmp ne {numbers} {before}, {NO_LANE}")
            found = e(f"select {e.mask} {already}, {numbers} {before}, {numbers} {found}")
        e.line(f"store {numbers} {found}, ptr %which, align 4")
        return failed

    def pause(self) -> None:
        """Begin a new basic block, in which inputs are loaded again instead of kept."""
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

    def fold(self, row: Fold, operands: Sequence[int]) -> str:
        """A row of very many operands: as loops, where they stand in memory."""
        heads, *columns = row.parts(operands)
        fixed = [self.get(x) for x in heads]
        total, turns = "", range(1, len(columns[0]))
        for bases, run in groupby(turns, lambda k: tuple([self.base(x[k]) for x in columns])):
            start, *rest = run
            total = total or row.term(self.e, *fixed, *[self.get(x[0]) for x in columns])
            if None in bases or len(rest) + 1 < SHORTEST_LOOP:
                for k in (start, *rest):
                    if (k - start) % STRETCH == STRETCH - 1:
                        self.pause()
                    xs = [self.get(x[k]) for x in columns]
                    total = row.add(self.e, total, row.term(self.e, *fixed, *xs))
            else:
                end = start + len(rest) + 1
                total = self._loop(row, fixed, total, [x[start:end] for x in columns])
        return total

    def base(self, slot: int) -> str | None:
        """The pointer that a number stands behind, if it does."""
        if slot in self.kernel.shared:
            return "%work"
        where, inputs = self.kernel.access.where, self.program.first - len(self.program.constants)
        return where(slot).base if where is not None and slot < inputs else None

    def _offset(self, slot: int) -> int:
        if slot in self.kernel.shared:
            return self.kernel.shared[slot] * self.e.lanes
        assert self.kernel.access.where is not None
        return self.kernel.access.where(slot).number

    def _loop(self, row: Fold, fixed: list[str], total: str, columns: list[Sequence[int]]) -> str:
        """Go on with numbers in memory, in their order."""
        e, name = self.e, f"fold{self.e.count}"
        e.count += 1
        e.line(f"br label %{name}.in\n{name}.in:\nbr label %{name}.top\n{name}.top:")
        e.line(f"%{name} = phi i64 [0, %{name}.in], [%{name}.next, %{name}.top]")
        e.line(f"%{name}.x = phi {e.type} [{total}, %{name}.in], [%{name}.y, %{name}.top]")
        xs = [self._column(f"%{name}", slots) for slots in columns]
        new = row.add(e, f"%{name}.x", row.term(e, *fixed, *xs))
        e.lines[-1] = e.lines[-1].replace(f"{new} = ", f"%{name}.y = ", 1)
        e.line(f"%{name}.next = add i64 %{name}, 1")
        e.line(f"%{name}.more = icmp ult i64 %{name}.next, {len(columns[0])}")
        e.line(f"br i1 %{name}.more, label %{name}.top, label %{name}.out\n{name}.out:")
        return f"%{name}.y"

    def _column(self, k: str, slots: Sequence[int]) -> str:
        """Number k of some in memory, wherever they stand behind one pointer."""
        e = self.e
        offsets = [self._offset(x) for x in slots]
        step = offsets[1] - offsets[0]
        if all(x == offsets[0] + n * step for n, x in enumerate(offsets)):
            place = e(f"add i64 {e(f'mul i64 {k}, {step}')}, {offsets[0]}")
        else:
            table, numbers = (
                f"@offsets{len(e.module.declarations)}",
                ", ".join([f"i64 {x}" for x in offsets]),
            )
            kind = f"[{len(offsets)} x i64]"
            e.module.define(f"{table} = private constant {kind} [{numbers}]")
            place = e(f"load i64, ptr {e(f'getelementptr i64, ptr {table}, i64 {k}')}")
        where = e(f"getelementptr double, ptr {self.base(slots[0])}, i64 {place}")
        return e(f"load {e.type}, ptr {where}, align 8")

    def place(self, slot: int) -> str:
        """Where a number stands that several pieces need."""
        offset = self.kernel.shared[slot] * self.e.lanes
        return self.e(f"getelementptr double, ptr %work, i64 {offset}")

    def keep(self, slot: int) -> None:
        """Store a number that is an output."""
        for run in runs(self.kernel.stores.get(slot, ())):
            if self.kernel.are_together(run):
                self._store_all(run, slot, copied=False)
                continue
            for output in run:
                self.kernel.access.store(self.e, output, self.get(slot))

    def _store_all(self, outputs: Sequence[int], slot: int, *, copied: bool) -> None:
        """Store a number in each of some outputs in a row, or inputs from a slot on: as a loop.

        LLVM takes longer than linear time for very many stores in one basic block.
        """
        access = self.kernel.access
        assert access.sink is not None
        assert access.where is not None
        to, source = access.sink(outputs[0]), access.where(slot) if copied else None
        x = "" if copied else self.get(slot)

        def store(k: str) -> None:
            number = self._at(source, k) if source else ""
            x_k = self.e(f"load double, ptr {number}") if source else x
            self.e.line(f"store double {x_k}, ptr {self._at(to, k)}")

        loop(self.e, "store", str(len(outputs)), store)

    def _at(self, first: Location, k: str) -> str:
        """The place of number k of some in a row."""
        base = self.e(f"getelementptr double, ptr {first.base}, i64 {first.number}")
        return self.e(f"getelementptr double, ptr {base}, i64 {k}")

    def row(self, op: Op, operands: Sequence[int]) -> str:
        """One instruction."""
        target = self.kernel.target
        if op.name in FOLDS and len(operands) > MOST_AT_HAND:
            return self.fold(FOLDS[op.name], operands)
        xs = [self.get(x) for x in operands]
        if op.name in target.inline:
            return FUNCTIONS[op.name](self.e, *xs)
        return ROWS[op.name](self.e, *xs) if knows(target, op.name) else self.e.python(op.name, xs)

    def check(self, n: int, guard: Guard) -> None:
        """Guard number n."""
        e = self.e
        relation = CONDITIONS[guard.relation]
        holds = e.compare(relation, self.get(guard.left), self.get(guard.right))
        if e.lanes > 1:
            passed = holds if guard.holds else e.logic("xor", holds, "splat (i1 true)")
            self.alive = e.logic("and", self.alive, passed)
            numbers = f"<{e.lanes} x i32>"
            one = e(f"zext {e.mask} {self.alive} to {numbers}")
            self.passed = e(f"add {numbers} {self.passed}, {one}")
            return
        ways = ("go", "out") if guard.holds else ("out", "go")
        e.line(f"br i1 {holds}, label %{ways[0]}{n}, label %{ways[1]}{n}")
        e.line(f"out{n}:\nret i64 {n + 1}\ngo{n}:")


def runs(
    numbers: Sequence[int], also: Callable[[int], Any] = lambda n: None
) -> list[Sequence[int]]:
    """The numbers, which increase, as runs of consecutive ones that have something in common."""
    found: list[list[int]] = []
    for k, n in enumerate(numbers):
        if k and n == numbers[k - 1] + 1 and also(n) == also(n - 1):
            found[-1].append(n)
        else:
            found.append([n])
    return found  # type: ignore[return-value]
