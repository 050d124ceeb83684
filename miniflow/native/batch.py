"""The loop over a batch, as LLVM IR: groups of lanes, the elements that are left, sums."""

from collections.abc import Callable

from miniflow.native.emitter import Emitter, Imports, ModuleText, Target, loop
from miniflow.native.kernel import Access, Kernel
from miniflow.native.rows import ROWS
from miniflow.program.expand import expanded
from miniflow.program.ir import Code
from miniflow.program.schedule import PARTIALS, UNTUNED, Arrangement, Shape, hoisted

# what a kernel gets: columns, uniform numbers and what follows from them (see `_in_all_lanes` why
# twice), element, outputs
BASES = (
    ("ptr", "%columns"), ("ptr", "%strides"), ("ptr", "%uniform"), ("ptr", "%extra"),
    ("ptr", "%uniform.again"), ("ptr", "%extra.again"), ("i64", "%i"), ("ptr noalias", "%out"),
    ("ptr noalias", "%which"),
)  # fmt: skip
ONCE = (("ptr noalias", "%uniform"), ("ptr noalias", "%extra"))
SCATTERED = 32  # columns whose numbers a kernel takes from where they stand apart


class Batch:
    """A loop over a batch: ``batch(columns, strides, uniform, count, out, failed, scratch)``.

    columns and strides: for each input that runs along the batch where it begins and how many
    bytes further the next element's is. uniform: the other inputs. out: for each output
    where its elements go; or one number each, for sums. failed: for each element, up to
    a whole group of lanes, 0 or 1 + the number of the guard that failed first (then no sum has
    it); not used where there are no guards. scratch: room of `scratch` numbers,
    aligned to 64 bytes.

    A sum is that of PARTIALS partial sums, added from the first to the last, each of
    which starts with 0 and adds its elements in order.
    """

    def __init__(
        self, program: Code, target: Target, shape: Shape, arrangement: Arrangement = UNTUNED
    ) -> None:
        self.inputs = len(shape.layout)
        self.result = program.result
        once, program = hoisted(program, [side is not None for side in shape.layout], arrangement)
        self.once = expanded(once, ROWS)  # on one point
        self.program = program
        self.target = target
        self.shape = shape
        self.imports = Imports()
        self.e = Emitter(self.imports, target)
        self.lanes = target.lanes
        self.outputs = len(program.outputs)
        self.batched = [k for k, side in enumerate(shape.layout) if side is not None]
        self.uniform = [k for k, side in enumerate(shape.layout) if side is None]
        self.copies = shape.layout.count(False) > SCATTERED
        self.masked = bool(program.guards)
        access = Access(BASES, self._load, self._store)
        self.kernel = Kernel(program, target, access)
        # for most elements: two registers share what all have in common, and the partial sums in
        # memory, and their instructions do not wait for each other
        double = target._replace(lanes=2 * target.lanes, registers=2)
        some = arrangement.registers == 2 and self.kernel.whole and not self.kernel.calls_python
        self.double = Kernel(program, double, access, "double") if some else None
        access = Access(ONCE, self._load_once, _store_once)
        single = target._replace(lanes=1, inline=frozenset())
        self.first = Kernel(self.once, single, access, "first")
        self.calls_python = self.kernel.calls_python or self.first.calls_python
        wide = max(PARTIALS, self.lanes)
        self.places, offset = {}, 0
        for name, size in {
            "%acc": self.outputs * PARTIALS,
            "%spare": self.outputs * wide,
            "%copied": len(self.batched) * 2 * self.lanes,
            "%copiedcolumns": len(self.batched),
            "%copiedstrides": len(self.batched),
            "%tailout": self.outputs,
            "%buffer": self.outputs * 2 * self.lanes,
            "%extra": len(self.once.outputs),
            "%work": max(self.kernel.room * 2 * self.lanes, self.first.room),
        }.items():
            self.places[name] = offset
            offset += -(-size // 8) * 8
        self.scratch = offset

    def modules(self, entry: Callable[[], list[str]] | None = None) -> list[ModuleText]:
        """All code: the function ``batch``, what it calls, and the `entry` that calls it."""
        groups = [self.kernel, *([self.double] if self.double else [])]
        kernels = [*groups, *([self.first] if len(self.once) else [])]
        bodies = [x.piece(self.imports, 0) for x in kernels if x.whole]
        bodies += [*map(self._group, groups), self._batch()]
        exports = ["batch"]
        if entry is not None:
            bodies += entry()
            exports.append("entry")
        pieces = [module for x in kernels if not x.whole for module in x.modules()]
        return [self.imports.module(bodies, exports, "batch"), *pieces]

    # --- how the kernel gets at its numbers -------------------------------------

    def _load(self, e: Emitter, slot: int) -> str:
        if slot >= self.inputs:
            return _in_all_lanes(e, "%extra", slot - self.inputs)
        side = self.shape.layout[slot]
        if side is None:
            return _in_all_lanes(e, "%uniform", self.uniform.index(slot))
        t, lanes, k = e.type, e.lanes, self.batched.index(slot)
        column = e(f"load ptr, ptr {e(f'getelementptr ptr, ptr %columns, i64 {k}')}")
        if side or self.copies:
            return e(f"load {t}, ptr {e(f'getelementptr double, ptr {column}, i64 %i')}, align 8")
        stride = e(f"load i64, ptr {e(f'getelementptr i64, ptr %strides, i64 {k}')}")
        place = e(f"getelementptr i8, ptr {column}, i64 {e(f'mul i64 %i, {stride}')}")
        found = "poison"
        for lane in range(lanes):
            found = e(
                f"insertelement {t} {found}, double {e(f'load double, ptr {place}')}, i32 {lane}"
            )
            if lane < lanes - 1:
                place = e(f"getelementptr i8, ptr {place}, i64 {stride}")
        return found

    def _load_once(self, e: Emitter, slot: int) -> str:
        place = e(f"getelementptr double, ptr %uniform, i64 {self.uniform.index(slot)}")
        return e(f"load double, ptr {place}")

    def _store(self, e: Emitter, output: int, x: str) -> None:
        if not self.shape.total:
            column = e(f"load ptr, ptr {e(f'getelementptr ptr, ptr %out, i64 {output}')}")
            place = e(f"getelementptr double, ptr {column}, i64 %i")
            e.line(f"store {e.type} {x}, ptr {place}, align 8")
        elif self.masked:
            place = e(f"getelementptr double, ptr %out, i64 {output * e.lanes}")
            e.line(f"store {e.type} {x}, ptr {place}, align 8")
        else:
            place = e(f"getelementptr double, ptr %out, i64 {output * PARTIALS}")
            self._add(e, self._partial(e, place), x)

    def _partial(self, e: Emitter, place: str) -> str:
        """The partial sums that the lanes at %i add to."""
        if e.lanes >= PARTIALS:
            return place
        return e(f"getelementptr double, ptr {place}, i64 {e(f'and i64 %i, {PARTIALS - 1}')}")

    def _add(self, e: Emitter, place: str, x: str) -> None:
        """Add lanes to partial sums, in the order of their elements."""
        count = min(e.lanes, PARTIALS)
        t, align = f"<{count} x double>", 8 * count
        total = e(f"load {t}, ptr {place}, align {align}")
        for k in range(0, e.lanes, count):  # a sum that began with 0 is never -0: nsz is safe
            total = e(f"fadd nsz {e.flags}{t} {total}, {e.part(x, k, count)}")
        e.line(f"store {t} {total}, ptr {place}, align {align}")

    # --- loops --------------------------------------------------------------------

    def _group(self, kernel: Kernel) -> str:
        """The function of one group of lanes: runs the kernel, adds up what it has masked."""
        e = Emitter(self.imports, kernel.target)
        masked = self.masked and self.shape.total
        out = "%buffer" if masked else "%out"
        shared = ["%uniform", "%extra"]
        arguments = ["%columns", "%strides", *shared, *shared, "%i", out, "%which", "%work"]
        results = kernel.call(e, arguments)
        if masked:
            bits = "0"
            for found in results:
                bits = e(f"or i64 {bits}, {found}")
            whole = e(f"bitcast i{e.lanes} {e(f'trunc i64 {bits} to i{e.lanes}')} to {e.mask}")

            def accumulate(k: str) -> None:
                x = e(f"getelementptr double, ptr %buffer, i64 {e(f'mul i64 {k}, {e.lanes}')}")
                x = e(f"load {e.type}, ptr {x}, align 8")
                x = e.select(whole, "zeroinitializer", x)
                place = e(f"getelementptr double, ptr %out, i64 {e(f'mul i64 {k}, {PARTIALS}')}")
                self._add(e, self._partial(e, place), x)

            loop(e, "add", str(self.outputs), accumulate)
        given = (
            "ptr %columns, ptr %strides, ptr %uniform, ptr %extra, i64 %i, ptr %out, ptr %which, "
            "ptr %buffer, ptr %work"
        )
        lines = "\n".join([*e.lines, "ret void"])
        return f"define internal void @group{e.lanes}({given}) nounwind {{\n{lines}\n}}"

    def _batch(self) -> str:
        """The function that goes through a batch, group by group, and the rest at its end."""
        e, lanes, total = self.e, self.lanes, self.shape.total
        for name, offset in self.places.items():
            e.line(f"{name} = getelementptr double, ptr %scratch, i64 {offset}")
        if len(self.once):
            once = Emitter(self.imports, self.first.target)
            once.count = 1 << 20  # names of its own
            self.first.call(once, ["%uniform", "%extra", "%work"])
            e.lines += once.lines
        if total:
            self._clear("%acc")
        out = "%acc" if total else "%out"
        full = e(f"udiv i64 %count, {lanes}")
        start, single = "0", full

        def run(i: str, lanes: int) -> None:
            if not self.copies:
                self._run("%columns", "%strides", i, out, lanes, i)
                return
            self._copy_side_by_side(i, i, lanes)
            self._run("%copiedcolumns", "%copiedstrides", i, out, lanes, i)

        def group(k: str) -> None:
            run(e(f"mul i64 {e(f'add i64 {start}, {k}')}, {lanes}"), lanes)

        def pair(k: str) -> None:
            run(e(f"mul i64 {k}, {2 * lanes}"), 2 * lanes)

        if self.double:
            pairs = e(f"udiv i64 {full}, 2")
            loop(e, "pairs", pairs, pair)
            start = e(f"mul i64 {pairs}, 2")
            single = e(f"sub i64 {full}, {start}")
        loop(e, "groups", single, group)
        done = e(f"mul i64 {full}, {lanes}")
        rest = e(f"sub i64 %count, {done}")
        e.line(f"br i1 {e(f'icmp eq i64 {rest}, 0')}, label %finish, label %remainder\nremainder:")
        self._remainder(done, rest)
        e.line("br label %finish\nfinish:")
        if total:
            whole = self.outputs // PARTIALS
            loop(e, "several", str(whole), self._sum_several)
            rest = str(self.outputs - whole * PARTIALS)
            loop(e, "sums", rest, lambda k: self._sum(e(f"add i64 {k}, {whole * PARTIALS}")))
        lines = "\n".join([*e.lines, "ret void"])
        return (
            "define void @batch(ptr %columns, ptr %strides, ptr %uniform, i64 %count, ptr %out, "
            f"ptr %failed, ptr %scratch) nounwind {{\n{lines}\n}}"
        )

    def _run(self, columns: str, strides: str, i: str, out: str, lanes: int, first: str) -> None:
        """Run a group of lanes; what fails in them stands from element `first` on."""
        which = self.e(f"getelementptr i32, ptr %failed, i64 {first}") if self.masked else "null"
        given = (
            f"ptr {columns}, ptr {strides}, ptr %uniform, ptr %extra, i64 {i}, ptr {out}, "
            f"ptr {which}, ptr %buffer, ptr %work"
        )
        self.e.line(f"call void @group{lanes}({given})")

    def _put(self, k: str, base: str, x: str, t: str = "double") -> None:
        self.e.line(f"store {t} {x}, ptr {self.e(f'getelementptr {t}, ptr {base}, i64 {k}')}")

    def _get(self, k: str, base: str, t: str = "double") -> str:
        return self.e(f"load {t}, ptr {self.e(f'getelementptr {t}, ptr {base}, i64 {k}')}")

    def _remainder(self, done: str, rest: str) -> None:
        """Run the last elements in a group of their own, filled up with copies of the last."""
        e, lanes = self.e, self.lanes
        self._copy_side_by_side(done, "0", lanes, e("sub i64 %count, 1"))
        out = "%spare"
        if self.shape.total:
            self._clear("%spare")
        else:

            def point(k: str) -> None:
                place = e(f"getelementptr double, ptr %spare, i64 {e(f'mul i64 {k}, {lanes}')}")
                self._put(k, "%tailout", place, "ptr")

            loop(e, "outputs", str(self.outputs), point)
            out = "%tailout"
        self._run("%copiedcolumns", "%copiedstrides", "0", out, lanes, done)
        if self.shape.total:
            self._add_rest(done, rest)
            return

        def finish(k: str) -> None:
            start = e(f"mul i64 {k}, {lanes}")

            def move(lane: str) -> None:
                x = self._get(e(f"add i64 {start}, {lane}"), "%spare")
                self._put(e(f"add i64 {done}, {lane}"), self._get(k, "%out", "ptr"), x)

            loop(e, "move", rest, move)

        loop(e, "finish", str(self.outputs), finish)

    def _copy_side_by_side(self, first: str, i: str, lanes: int, last: str = "") -> None:
        """Copy a group's numbers to where a kernel finds them side by side, as from element i on.

        Beyond the `last` element of the batch they are copies of that one's.
        """
        e = self.e

        def fill(j: str) -> None:
            column, stride = self._get(j, "%columns", "ptr"), self._get(j, "%strides", "i64")
            start = e(f"mul i64 {j}, {lanes}")

            def copy(lane: str) -> None:
                k = e(f"add i64 {first}, {lane}")
                if last:
                    k = e(f"select i1 {e(f'icmp ult i64 {k}, {last}')}, i64 {k}, i64 {last}")
                place = e(f"getelementptr i8, ptr {column}, i64 {e(f'mul i64 {k}, {stride}')}")
                self._put(e(f"add i64 {start}, {lane}"), "%copied", e(f"load double, ptr {place}"))

            loop(e, "fill", str(lanes), copy)
            place = e(f"getelementptr double, ptr %copied, i64 {e(f'sub i64 {start}, {i}')}")
            self._put(j, "%copiedcolumns", place, "ptr")
            self._put(j, "%copiedstrides", "8", "i64")

        loop(e, "inputs", str(len(self.batched)), fill)

    def _clear(self, base: str) -> None:
        """Set partial sums to 0."""
        name, size = "@llvm.memset.p0.i64", 8 * self.outputs * PARTIALS
        self.imports.declare(f"void {name}(ptr, i8, i64, i1)")
        self.e.line(f"call void {name}(ptr {base}, i8 0, i64 {size}, i1 false)")

    def _add_rest(self, done: str, rest: str) -> None:
        """Add the last group's partial sums, of as many elements as there are."""
        e, lanes = self.e, self.lanes
        whole, t = f"<{lanes} x i64>", e.type
        numbers = ", ".join([f"i64 {lane}" for lane in range(lanes)])
        one = e(f"insertelement {whole} poison, i64 {rest}, i32 0")
        every = e(f"shufflevector {whole} {one}, {whole} poison, <{lanes} x i32> zeroinitializer")
        valid = e(f"icmp ult {whole} <{numbers}>, {every}")
        turn = e(f"and i64 {done}, {PARTIALS - 1}")

        def add(k: str) -> None:
            start = e(f"mul i64 {k}, {PARTIALS}")
            x = e(f"load {t}, ptr {e(f'getelementptr double, ptr %spare, i64 {start}')}, align 8")
            x = e.select(valid, x, "zeroinitializer")
            self._add(
                e, e(f"getelementptr double, ptr %acc, i64 {e(f'add i64 {start}, {turn}')}"), x
            )

        loop(e, "rest", str(self.outputs), add)

    def _sum(self, k: str) -> None:
        """The total of an output's partial sums."""
        e = self.e
        start = e(f"mul i64 {k}, {PARTIALS}")
        total = self._get(start, "%acc")
        for lane in range(1, PARTIALS):
            total = e(f"fadd double {total}, {self._get(e(f'add i64 {start}, {lane}'), '%acc')}")
        self._put(k, "%out", total)

    def _sum_several(self, k: str) -> None:
        """The same of PARTIALS outputs at a time, in lanes: their partial sums, transposed."""
        e, t, lanes = self.e, f"<{PARTIALS} x double>", range(PARTIALS)
        first = e(f"mul i64 {k}, {PARTIALS}")
        places = [e(f"mul i64 {e(f'add i64 {first}, {j}')}, {PARTIALS}") for j in lanes]
        starts = [e(f"getelementptr double, ptr %acc, i64 {x}") for x in places]
        rows = [e(f"load {t}, ptr {x}, align 64") for x in starts]
        for d in (4, 2, 1):  # of blocks of so many the upper right and the lower left change places
            for i in (i for i in lanes if not i & d):
                a, b = rows[i], rows[i + d]
                rows[i] = e.shuffle(t, a, b, [x + (PARTIALS - d) * bool(x & d) for x in lanes])
                later = [x + (PARTIALS if x & d else d) for x in lanes]
                rows[i + d] = e.shuffle(t, a, b, later)
        total = rows[0]
        for row in rows[1:]:
            total = e(f"fadd {t} {total}, {row}")
        e.line(
            f"store {t} {total}, ptr {e(f'getelementptr double, ptr %out, i64 {first}')}, align 8"
        )


def _in_all_lanes(e: Emitter, base: str, k: int) -> str:
    """A number that all elements have in common, in all lanes.

    AVX-512 multiplies by a number in memory at no cost, whereas loading it into all lanes first can
    cost as much as multiplying. Compilers do load it first if two registers need it, so each
    of these has a pointer of its own to the same place.
    """
    own = e.width == 8 and e.lanes > e.width
    bases = [base, f"{base}.again"] if own else [base]
    count = e.lanes // len(bases)
    t = f"<{count} x double>"
    parts = []
    for x in bases:
        number = e(f"load double, ptr {e(f'getelementptr double, ptr {x}, i64 {k}')}")
        one = e(f"insertelement {t} poison, double {number}, i32 0")
        parts.append(e.shuffle(t, one, "poison", [0] * count))
    return e.shuffle(t, parts[0], parts[1], range(e.lanes)) if own else parts[0]


def _store_once(e: Emitter, output: int, x: str) -> None:
    e.line(f"store double {x}, ptr {e(f'getelementptr double, ptr %extra, i64 {output}')}")
