"""Which instructions of a program on one point can be done several at a time.

A *pack* is as many slots as a register has numbers, that the same operation computes, none
from another. Packs begin at results that stand side by side in memory, and go on to their
operands, as long as these are packs in turn, or inputs side by side, or all the same.
Arithmetic on a pack has the answers of arithmetic on its slots, bit for bit.
"""

from collections.abc import Iterator, Sequence

from miniflow.native.emitter import Emitter, Target
from miniflow.native.kernel import NO_LANE, STRETCH, Access, Kernel, Piece
from miniflow.native.layout import Location
from miniflow.native.rows import ROWS
from miniflow.ops import where
from miniflow.program.ir import Code
from miniflow.program.schedule import demanded

DEPTH = 100  # of packs whose operands are packs

Pack = tuple[int, ...]


class Packs:
    """The packs of a program.

    `sources` and `sinks` tell for each input and output where in memory it stands.
    `of` has the pack of each slot that is in one; `stored` packs by their first output.
    """

    def __init__(
        self, program: Code, width: int, sources: Sequence[Location], sinks: Sequence[Location]
    ) -> None:
        self.program = program
        self.width = width
        self.sources = sources
        self.of: dict[int, Pack] = {}
        self.stored: dict[int, Pack] = {}
        self.depths = [0] * program.first  # of operations, from the inputs
        for _, operands in program.instructions:
            self.depths.append(1 + max([self.depths[x] for x in operands], default=0))
        k = 0
        while k <= len(sinks) - width:
            pack = program.outputs[k : k + width]
            if _aside(sinks[k : k + width]) and self._grow(tuple(pack), DEPTH, 1):
                self.stored[k] = tuple(pack)
                k += width
            else:
                k += 1

    def _grow(self, pack: Pack, depth: int, loose: int) -> bool:
        """Make slots a pack, if all of their operands but so many are at hand for packs."""
        if self.of.get(pack[0]) == pack:
            return True
        if not depth or not self._alike(pack):
            return False
        before = len(self.of)
        self.of |= dict.fromkeys(pack, pack)
        choice = self.program.instructions[pack[0] - self.program.first].op is where
        for operands in self.operands(pack):
            inner = loose if choice else 0  # a choice costs little: what it chooses from counts
            if not (self.at_hand(operands) or self._grow(operands, depth - 1, inner)):
                loose -= 1
            if loose < 0:
                for slot in list(self.of)[before:]:
                    del self.of[slot]
                return False
        return True

    def _alike(self, pack: Pack) -> bool:
        """Whether the same operation computes all slots, and none of them another one."""
        first = self.program.first
        if min(pack) < first or len({*pack}) < len(pack) or any(x in self.of for x in pack):
            return False
        ops = {self.program.instructions[x - first].op for x in pack}
        alike = len({self.depths[x] for x in pack}) == 1 and len(ops) == 1
        return alike and ops.pop().packable

    def operands(self, pack: Pack) -> Iterator[Pack]:
        """The first operands of all slots, the second ones ..."""
        steps = [self.program.instructions[x - self.program.first] for x in pack]
        return zip(*[step.operands for step in steps], strict=True)

    def at_hand(self, slots: Pack) -> bool:
        """Whether numbers are in a register, or come into one by a single instruction."""
        return len({*slots}) == 1 or self.aside(slots) or self.shared(slots) is not None

    def aside(self, slots: Pack) -> bool:
        """Whether slots are inputs that stand side by side in memory."""
        inputs = max(slots) < len(self.sources)
        return inputs and _aside([self.sources[x] for x in slots])

    def shared(self, slots: Pack) -> Pack | None:
        """The pack that all slots are in."""
        packs = {self.of.get(x) for x in slots}
        return packs.pop() if len(packs) == 1 else None


def _aside(locations: Sequence[Location]) -> bool:
    base, start = locations[0]
    return all(location == (base, start + k) for k, location in enumerate(locations))


class PackedKernel(Kernel):
    """A program on one point without guards, in one piece, with packs."""

    def __init__(
        self, packs: Packs, target: Target, access: Access, sinks: Sequence[Location]
    ) -> None:
        super().__init__(packs.program, target, access)
        self.packs = packs
        self.sinks = sinks
        self.width = packs.width
        inside = [k + lane for k in packs.stored for lane in range(packs.width)]
        self.stores = {  # of single numbers
            slot: tuple([k for k in outputs if k not in inside])
            for slot, outputs in self.stores.items()
        }

    def body(self, e: Emitter, k: int) -> str:
        """Emit the piece."""
        PackedPiece(self, e).run()
        return NO_LANE


class PackedPiece(Piece):
    """The instructions of a program with packs."""

    def __init__(self, kernel: PackedKernel, e: Emitter) -> None:
        super().__init__(kernel, e, 0)
        self.packs = kernel.packs
        self.sinks = kernel.sinks
        self.wide = Emitter(e.module, kernel.target._replace(lanes=kernel.width))
        self.wide.lines = e.lines
        self.wide.count = 1 << 20  # names of its own
        self.vectors: dict[Pack, str] = {}

    def run(self) -> None:
        """All lines."""
        self.begin()
        order = demanded(self.program, self.program.outputs, self.packs.of)
        for count, pack in enumerate(order):
            if count % STRETCH == STRETCH - 1:
                self.pause()
            op, operands = self.program.instructions[pack[0] - self.program.first]
            if len(pack) == 1:
                self.known[pack[0]] = self.row(op, operands)
            else:
                xs = [self.vector(slots) for slots in self.packs.operands(pack)]
                self.vectors[pack] = ROWS[op.name](self.wide, *xs)
                self._store(pack)
            for slot in pack:
                self.keep(slot)

    def _store(self, pack: Pack) -> None:
        """Store a pack where it is a part of the results."""
        for output, stored in self.packs.stored.items():
            if stored == pack:
                place = self._place(self.sinks[output])
                self.e.line(f"store {self.wide.type} {self.vectors[pack]}, ptr {place}, align 8")

    def _place(self, location: Location) -> str:
        return self.e(f"getelementptr double, ptr {location[0]}, i64 {location[1]}")

    def get(self, slot: int) -> str:
        """The number in a slot."""
        pack = self.packs.of.get(slot)
        if pack is not None and slot not in self.known:
            lane, t = pack.index(slot), self.wide.type
            self.known[slot] = self.e(f"extractelement {t} {self.vectors[pack]}, i32 {lane}")
        return super().get(slot)

    def base(self, slot: int) -> str | None:
        """Computed numbers are not kept in memory: there is one piece."""
        return super().base(slot) if slot < self.program.first else None

    def vector(self, slots: Pack) -> str:
        """The numbers in some slots, in one register."""
        if slots not in self.vectors:
            self.vectors[slots] = self._gathered(slots)
        return self.vectors[slots]

    def _gathered(self, slots: Pack) -> str:
        e, t, pack = self.wide, self.wide.type, self.packs.shared(slots)
        if self.packs.aside(slots):
            return e(f"load {t}, ptr {self._place(self.packs.sources[slots[0]])}, align 8")
        if len({*slots}) == 1:
            one = e(f"insertelement {t} poison, double {self.get(slots[0])}, i32 0")
            return e.shuffle(t, one, "poison", [0] * e.lanes)
        if pack is not None:
            return e.shuffle(t, self.vectors[pack], "poison", [pack.index(x) for x in slots])
        found = "poison"
        for lane, slot in enumerate(slots):
            found = e(f"insertelement {t} {found}, double {self.get(slot)}, i32 {lane}")
        return found
