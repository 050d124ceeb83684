"""The recorded sweep: what `core.py`'s sweep does, as entries that can be swept in turn.

Partials are recorded by the rows' own formulas, so derivatives have derivatives. What does not
depend on a Value is computed, not recorded. Python and Cython read the same file.

An operand that was not selected gets nothing, and neither does what it comes from. Which one
that is can change when the entries are replayed, so an adjoint has a *gate*: an entry that is 0
where nothing has arrived. An adjoint whose gate is 0 may be any number; it is put aside where
it would meet another one.
"""

from typing import TYPE_CHECKING, Any

from miniflow import ops
from miniflow.operation import BASE
from miniflow.ops import BY_CODE, Op, real
from miniflow.tape.core import Table, Value

if TYPE_CHECKING:
    import cython
else:
    from miniflow.tape.columns import cython

if cython.compiled:
    connect()  # type: ignore[name-defined]  # noqa: F821 - in recorded.pxd: the engine's rules
else:
    from miniflow.tape.columns import ARITY, CONSTANT, SELECTS, ints, known, nobody

    def blank(count: int) -> list[int]:
        """A column of -1."""
        return [-1] * count

    def unused(count: int) -> list[float]:
        """A column of floats that nobody has asked for yet."""
        return [0.0] * count

    def marks(count: int) -> bytearray:
        """A mark for each entry, not set."""
        return bytearray(count)

    def doubles(numbers: list[float]) -> list[float]:
        """A column of floats."""
        return numbers

    def give_back(sweep: Any) -> None:
        """Give the columns' memory back."""

    def ready(table: Any) -> None:
        """Make sure that there is room for what one contribution records."""

    def push(table: Any, code: int, left: int, right: int, number: float) -> int:
        """Append an entry that no Value stands for; its number."""
        return table.append(None, nobody, code, left, right, number)

    def write_down(code: int, formulas: list[Any]) -> None:
        """Tell C of a row's partials."""

    def follow_quickly(sweep: Any, n: int) -> int:
        """Mark entries that come from the sources, from one on as far as C can; the next one."""
        return n

    def quickly(sweep: Any, n: int) -> int:
        """Sweep as far as C can from an entry down; the next one."""
        return n

    def has_value(code: int) -> bool:
        """Whether `computed` knows an operation."""
        return True

    def computed(code: int, number: list[float], a: int, b: int, c: int) -> float:
        """The value of an operation on the numbers of up to three slots."""
        return BY_CODE[code].number(*[number[x] for x in (a, b, c)[: ARITY[code]]])

    def three(table: Any, a: int, b: int, c: int) -> int:
        """Put three operands into the pool; where they begin."""
        start: int = table.pooled
        # atomic
        table.pool[start:] = [a, b, c]
        table.pooled = start + 3
        return start


# What an adjoint, or a slot, may have in place of an entry.
NONE = -1  # nothing has arrived; not computed yet
NO_ENTRY = -2  # a plain number
ALWAYS = -1  # instead of a gate: something has arrived

# Slots: an adjoint, a contribution, sums and gates on their way, constants; then a formula's.
ADJOINT, AMOUNT, BEFORE, GATE, OTHER_GATE, ZERO, MINUS_ZERO, ONE, GIVEN, CONDITION = range(10)
FIRST_SLOT = 10
MOST_SLOTS = 200  # slots
NO_CONDITION = -1

MUL, ADD, NEG, WHERE = ops.mul.code, ops.add.code, ops.neg.code, ops.where.code
CODE_SUM, CODE_DOT = ops.sum.code, ops.dot.code


# --- formulas -------------------------------------------------------------------


class Term:
    """A number in a formula that is being written down."""

    __slots__ = ("formula", "slot")

    def __init__(self, formula: "Formula", slot: int) -> None:
        self.formula, self.slot = formula, slot

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "Term":
        formula: Formula = next(x.formula for x in operands if x.__class__ is Term)
        return Term(formula, formula.step(op, operands))

    # fmt: off
    def __add__(self, other: Any) -> Any: return ops.add(self, other)
    def __radd__(self, other: Any) -> Any: return ops.add(other, self)
    def __sub__(self, other: Any) -> Any: return ops.sub(self, other)
    def __rsub__(self, other: Any) -> Any: return ops.sub(other, self)
    def __mul__(self, other: Any) -> Any: return ops.mul(self, other)
    def __rmul__(self, other: Any) -> Any: return ops.mul(other, self)
    def __truediv__(self, other: Any) -> Any: return ops.div(self, other)
    def __rtruediv__(self, other: Any) -> Any: return ops.div(other, self)
    def __neg__(self) -> Any: return ops.neg(self)
    # fmt: on


class Formula:
    """A partial of a row as steps on slots, each an operation on at most three.

    Slots are those of the operands and the result, then of the steps, then of constants.
    """

    def __init__(self, op: Op, k: int) -> None:
        self.inputs = op.arity + 1
        self.lines: list[tuple[int, list[Any]]] = []
        terms = [Term(self, n) for n in range(self.inputs)]
        result = op.partial(k, terms[:-1], terms[-1])
        self.count = len(self.lines)
        constants: list[float] = []
        steps: list[int] = []
        for code, operands in self.lines:
            slots = [self._slot(x, constants) for x in operands]
            steps += [code, *slots, *[0] * (3 - len(slots))]
        self.result = self._slot(result, constants)
        self.given, self.numbers = len(constants), doubles(constants)
        self.steps = ints(steps)
        self.condition = self._condition()

    def step(self, op: Op, operands: tuple[Any, ...]) -> int:
        """The slot of one more step."""
        self.lines.append((known(op.code), list(operands)))
        return self.inputs + len(self.lines) - 1

    def straight(self) -> bool:
        """Whether there is no choice in it, and no step of more than two operands."""
        return all(code != WHERE and len(operands) < 3 for code, operands in self.lines)

    def fits(self) -> bool:
        """Whether there are slots enough, and every step can be computed without Python."""
        known_values = all(has_value(code) for code, _ in self.lines)
        return known_values and self.inputs + self.count + self.given <= MOST_SLOTS

    def _condition(self) -> int:
        """If the partial is 1 where a slot is not 0, and else 0, that slot; or NO_CONDITION."""
        last = self.lines[-1] if self.lines else (0, [])
        return last[1][0].slot if last[0] == WHERE and last[1][1:] == [1.0, 0.0] else NO_CONDITION

    def _slot(self, x: Any, constants: list[float]) -> int:
        if x.__class__ is Term:
            return x.slot
        constants.append(real(x))
        return self.inputs + self.count + len(constants) - 1


_formulas: list[Any] = []  # by an operation's code: for each operand its formula, or None


def formulas_of(code: int) -> Any:
    """The formulas of a row's partials, None where it is flat; None if they are the user's."""
    while len(_formulas) <= code:
        n = len(_formulas)
        op = BY_CODE[n]
        written = op in ops.BUILTIN and 1 <= op.arity <= 3
        partials = range(op.arity if written else 0)
        parts = [Formula(op, k) if op.follows(k) else None for k in partials]
        fit = parts and all(x is None or x.fits() for x in parts)
        _formulas[n : n + 1] = [parts if fit else None]  # others may have come between
        if fit:
            write_down(op.code, parts)
    return _formulas[code]


# --- operations on slots --------------------------------------------------------


def give(sweep: "RecordedSweep", slot: int, number: float) -> None:
    """Put a plain number into a slot."""
    sweep.place[slot] = NO_ENTRY
    sweep.number[slot] = number


def fetch(sweep: "RecordedSweep", slot: int, n: int) -> None:
    """Put an entry into a slot, or the plain number of a constant."""
    table = sweep.table
    sweep.place[slot] = NO_ENTRY if table.operation[n] == CONSTANT else n
    sweep.number[slot] = table.value[n]


def copy(sweep: "RecordedSweep", slot: int, source: int) -> None:
    """Put what is in another slot into a slot."""
    sweep.place[slot] = sweep.place[source]
    sweep.number[slot] = sweep.number[source]


def entry(sweep: "RecordedSweep", slot: int) -> int:
    """The entry in a slot; a new one for a plain number."""
    n: int = sweep.place[slot]
    return push(sweep.table, CONSTANT, 0, 0, sweep.number[slot]) if n == NO_ENTRY else n


def do(sweep: "RecordedSweep", slot: int, code: int, a: int, b: int, c: int) -> None:
    """Put the result of an operation on up to three slots into a slot."""
    table, place, arity = sweep.table, sweep.place, ARITY[code]
    y = computed(code, sweep.number, a, b, c)
    plain = place[a] == NO_ENTRY
    if arity > 1:
        plain = plain and place[b] == NO_ENTRY
    if arity > 2:
        plain = plain and place[c] == NO_ENTRY
    n: int = NO_ENTRY
    if not plain:
        left = entry(sweep, a)
        right = entry(sweep, b) if arity > 1 else left
        if arity > 2:
            left, right = three(table, left, right, entry(sweep, c)), 3
        n = push(table, code, left, right, y)
    place[slot] = n
    sweep.number[slot] = y


def choose(sweep: "RecordedSweep", slot: int, condition: int, a: int, b: int) -> None:
    """Put one of two slots into a slot, as `where` does."""
    if sweep.place[condition] == NO_ENTRY:
        copy(sweep, slot, a if sweep.number[condition] != 0.0 else b)
    else:
        do(sweep, slot, WHERE, condition, a, b)


# --- adjoints -------------------------------------------------------------------


def pass_on(sweep: "RecordedSweep", n: int, x: int, slope: int, condition: int) -> None:
    """Pass adjoint x slope on from entry n to its operand x, if that was selected."""
    gate = sweep.gate[n - sweep.floor]
    if condition == NO_CONDITION:
        arrive(sweep, x, product(sweep, slope), gate)
    elif sweep.place[condition] != NO_ENTRY:
        amount = product(sweep, slope)
        arrive(sweep, x, amount, both(sweep, gate, condition))
    elif sweep.number[condition] != 0.0:
        arrive(sweep, x, product(sweep, slope), gate)


def product(sweep: "RecordedSweep", slope: int) -> int:
    """The slot of adjoint x slope; nothing is recorded where one of them is a plain 1."""
    place, number = sweep.place, sweep.number
    if place[slope] == NO_ENTRY and number[slope] == 1.0:
        return ADJOINT
    if place[ADJOINT] == NO_ENTRY and number[ADJOINT] == 1.0:
        return slope
    if place[slope] == NO_ENTRY and number[slope] == -1.0:
        do(sweep, AMOUNT, NEG, ADJOINT, 0, 0)
    else:
        do(sweep, AMOUNT, MUL, ADJOINT, slope, 0)
    return AMOUNT


def arrive(sweep: "RecordedSweep", n: int, amount: int, gate: int) -> None:
    """Add to the adjoint of an entry what a gate lets in."""
    if sweep.merging is not None and n in sweep.merging.places:
        sweep.merging.arrive(n, sweep.taken(amount), gate)
    else:
        land(sweep, n, amount, gate)


def land(sweep: "RecordedSweep", n: int, amount: int, gate: int) -> None:
    """The same, whatever else there is to it."""
    k = n - sweep.floor
    if sweep.arrived[k] == NONE:
        sweep.gate[k] = gate
    else:
        amount = together(sweep, k, amount, gate)
    sweep.arrived[k] = sweep.place[amount]
    sweep.given[k] = sweep.number[amount]


def together(sweep: "RecordedSweep", k: int, amount: int, gate: int) -> int:
    """The slot of the sum of what has arrived and what comes."""
    sweep.place[BEFORE], sweep.number[BEFORE] = sweep.arrived[k], sweep.given[k]
    copy(sweep, AMOUNT, amount)
    if sweep.gate[k] == gate:
        sweep.clean[k] = 0
    else:
        if not sweep.clean[k]:
            let_in(sweep, BEFORE, sweep.gate[k], MINUS_ZERO)
        let_in(sweep, AMOUNT, gate, MINUS_ZERO)
        sweep.gate[k] = either(sweep, sweep.gate[k], gate)
        sweep.clean[k] = 1
    do(sweep, AMOUNT, ADD, BEFORE, AMOUNT, 0)
    return AMOUNT


def let_in(sweep: "RecordedSweep", slot: int, gate: int, nothing: int) -> None:
    """Replace what a gate keeps out: adding -0.0 changes no number."""
    if gate != ALWAYS:
        fetch(sweep, GATE, gate)
        choose(sweep, slot, GATE, slot, nothing)


def both(sweep: "RecordedSweep", gate: int, condition: int) -> int:
    """A gate that is open where another one is and a condition holds."""
    if gate == ALWAYS or gate == sweep.place[condition]:
        return sweep.place[condition]
    fetch(sweep, GATE, gate)
    do(sweep, OTHER_GATE, WHERE, GATE, condition, ZERO)
    return sweep.place[OTHER_GATE]


def either(sweep: "RecordedSweep", gate: int, other: int) -> int:
    """A gate that is open where one of two is."""
    if gate == ALWAYS or other == ALWAYS:
        return ALWAYS
    fetch(sweep, GATE, gate)
    fetch(sweep, OTHER_GATE, other)
    do(sweep, OTHER_GATE, WHERE, GATE, ONE, OTHER_GATE)
    return sweep.place[OTHER_GATE]


# --- partials -------------------------------------------------------------------


def partial_slot(sweep: "RecordedSweep", formula: Formula, slot: int) -> int:
    """Where a slot of a formula is, for operands and result that are loaded."""
    after = FIRST_SLOT + formula.inputs + formula.count
    if slot >= formula.inputs:
        for k in range(FIRST_SLOT + formula.inputs, after):
            sweep.place[k] = NONE
        for k in range(formula.given):
            give(sweep, after + k, formula.numbers[k])
        need(sweep, formula, FIRST_SLOT + slot)
    return FIRST_SLOT + slot


def need(sweep: "RecordedSweep", formula: Formula, slot: int) -> None:
    """Take the steps that lead to a slot, if there is nothing in it yet."""
    if sweep.place[slot] == NONE:
        take_step(sweep, formula, slot)


def take_step(sweep: "RecordedSweep", formula: Formula, slot: int) -> None:
    """Take a step and those that lead to it; of a plain choice only those of what is chosen."""
    at = 4 * (slot - FIRST_SLOT - formula.inputs)
    code = formula.steps[at]
    a, b = FIRST_SLOT + formula.steps[at + 1], FIRST_SLOT + formula.steps[at + 2]
    c = FIRST_SLOT + formula.steps[at + 3]
    arity = ARITY[code]
    need(sweep, formula, a)
    if code == WHERE and sweep.place[a] == NO_ENTRY:
        chosen = b if sweep.number[a] != 0.0 else c
        need(sweep, formula, chosen)
        copy(sweep, slot, chosen)
    else:
        if arity > 1:
            need(sweep, formula, b)
        if arity > 2:
            need(sweep, formula, c)
        do(sweep, slot, code, a, b, c)


# --- the sweep ------------------------------------------------------------------


class RecordedSweep:
    """One sweep over the entries from `floor` on; they must be held until it is gone.

    What is on its way is in slots: an entry (`place`) with its number, or a plain number.

    Args:
        table: the table.
        floor: the first entry.
        sources: the entries that adjoints are wanted of.
    """

    __slots__ = (
        "arrived", "clean", "floor", "follow", "gate", "given", "merging", "number", "place",
        "table", "top", "trace",
    )  # fmt: skip

    def __init__(self, table: Table, floor: int, sources: list[int]) -> None:
        self.table, self.floor, self.top = table, floor, table.count
        count = self.top - floor
        self.trace = table.trace
        self.merging: Any = None
        self.place = blank(FIRST_SLOT + MOST_SLOTS)
        self.number = unused(FIRST_SLOT + MOST_SLOTS)
        self.arrived = blank(count)  # the adjoints: as `place` and `number` of slots
        self.given = unused(count)
        self.gate = blank(count)
        self.clean = marks(count)  # whether an adjoint is -0.0 where its gate is shut
        self.follow = marks(count)  # whether an entry comes from a source
        give(self, ZERO, 0.0)
        give(self, MINUS_ZERO, -0.0)
        give(self, ONE, 1.0)
        for n in sources:
            self.follow[n - floor] = 1
        self._follow()

    def __dealloc__(self) -> None:
        give_back(self)

    def _follow(self) -> None:
        """Find out which entries come from the sources."""
        table, floor = self.table, self.floor
        n = follow_quickly(self, floor)
        while n < self.top:
            arity, a, b = ARITY[table.operation[n]], table.left[n], table.right[n]
            if arity == 1 or arity == 2:
                if self.followed(a) or (arity == 2 and self.followed(b)):
                    self.follow[n - floor] = 1
            elif arity:
                for k in range(a, a + b):
                    if self.followed(table.pool[k]):
                        self.follow[n - floor] = 1
                        break
            n = follow_quickly(self, n + 1)

    def followed(self, n: int) -> bool:
        """Whether an entry comes from a source, or is one."""
        return n >= self.floor and self.follow[n - self.floor] != 0

    def put(self, slot: int, x: Any) -> None:
        """Put a Value or a number into a slot."""
        if x.__class__ is Value:
            fetch(self, slot, self.table.entry_of(x))
        else:
            give(self, slot, real(x))

    def add(self, n: int, cotangent: Any) -> None:
        """Add to the adjoint of a target; nothing where that is a plain 0."""
        wanted = cotangent.__class__ is Value or cotangent  # 0 * inf is nan
        if wanted and n >= self.floor:
            self.put(AMOUNT, cotangent)
            ready(self.table)
            arrive(self, n, AMOUNT, ALWAYS)

    def run(self) -> None:
        """The chain rule: each entry passes adjoint x partial on to its operands."""
        table, floor, trace, merging = self.table, self.floor, self.trace, self.merging
        origin = trace.origin if trace is not None else None
        n = self.top
        while n > floor:
            n -= 1
            if trace is None:
                n = quickly(self, n)
                if n < floor:
                    break
            if self.arrived[n - floor] != NONE and self.follow[n - floor]:
                if trace is not None:
                    trace.note(table.count, n)
                    if merging is not None:
                        merging.at(n)
                    if self.arrived[n - floor] != NO_ENTRY:
                        trace.adjoints += self.arrived[n - floor], n
                if ARITY[table.operation[n]]:
                    self.pull(n)
        if trace is not None:
            trace.note(table.count, origin)

    def has_arrived(self, n: int) -> bool:
        """Whether an adjoint has arrived at an entry."""
        return n >= self.floor and self.arrived[n - self.floor] != NONE

    def taken(self, slot: int) -> Any:
        """What is in a slot, as a Value or a plain number."""
        n = self.place[slot]
        return self.number[slot] if n == NO_ENTRY else self.table.handle(n)

    def held(self, n: int) -> Any:
        """The adjoint of an entry at present, whatever its gate is."""
        found = self.arrived[n - self.floor]
        return self.given[n - self.floor] if found == NO_ENTRY else self.table.handle(found)

    def replace(self, n: int, x: Any) -> None:
        """Have another adjoint of an entry."""
        self.put(AMOUNT, x)
        k = n - self.floor
        self.arrived[k], self.given[k] = self.place[AMOUNT], self.number[AMOUNT]

    def land(self, n: int, x: Any, gate: int) -> None:
        """Add a Value or number to the adjoint of an entry, as a gate lets it in."""
        self.put(AMOUNT, x)
        ready(self.table)
        land(self, n, AMOUNT, gate)

    def gated(self, n: int) -> int:
        """The gate of what has arrived at an entry; negative if it is open."""
        return self.gate[n - self.floor]

    def pull(self, n: int) -> None:
        """Pass the adjoint of an entry on to its operands."""
        table = self.table
        code = table.operation[n]
        formulas = formulas_of(code)
        self.place[ADJOINT] = self.arrived[n - self.floor]
        self.number[ADJOINT] = self.given[n - self.floor]
        if code in (CODE_SUM, CODE_DOT):
            self.pull_wide(n, code == CODE_DOT)
        elif formulas is None:
            self.pull_any(n)
        elif ARITY[code] < 3:
            self.pull_by(n, formulas, table.left[n], table.right[n], 0)
        else:
            start = table.left[n]
            self.pull_by(
                n, formulas, table.pool[start], table.pool[start + 1], table.pool[start + 2]
            )

    def pull_by(self, n: int, formulas: list[Any], a: int, b: int, c: int) -> None:
        """The same by the formulas of a row of up to three operands."""
        code = self.table.operation[n]
        arity, how = ARITY[code], SELECTS[code]
        fetch(self, FIRST_SLOT, a)
        if arity > 1:
            fetch(self, FIRST_SLOT + 1, b)
        if arity > 2:
            fetch(self, FIRST_SLOT + 2, c)
        fetch(self, FIRST_SLOT + arity, n)
        for k in range(arity):
            x = a if k == 0 else b if k == 1 else c
            if formulas[k] is not None and self.followed(x):
                formula = formulas[k]
                ready(self.table)
                condition = NO_CONDITION
                if not how >> k & 1:
                    slope = partial_slot(self, formula, formula.result)
                    if how & BASE and k == 0 and self.place[FIRST_SLOT + 1] == NO_ENTRY:
                        condition = FIRST_SLOT + 1
                elif formula.condition != NO_CONDITION:
                    slope, condition = ONE, partial_slot(self, formula, formula.condition)
                else:
                    slope = condition = partial_slot(self, formula, formula.result)
                pass_on(self, n, x, slope, condition)

    def pull_wide(self, n: int, product: bool) -> None:
        """The same for a sum, or a sum of products."""
        table = self.table
        start, count = table.left[n], table.right[n]
        half = count // 2
        for k in range(count):
            x = table.pool[start + k]
            if self.followed(x):
                ready(table)
                slope = ONE
                if product:
                    slope = FIRST_SLOT
                    fetch(self, slope, table.pool[start + (k + half if k < half else k - half)])
                pass_on(self, n, x, slope, NO_CONDITION)

    def pull_any(self, n: int) -> None:
        """The same for an operation that only Python knows."""
        table = self.table
        op, operands = table.op(n), table.operands(n)
        xs, y = [table.primal(x) for x in operands], table.primal(n)
        for k, x in enumerate(operands):
            if op.follows(k) and self.followed(x):
                partial = op.partial(k, xs, y)
                self.put(GIVEN, partial)
                self.put(CONDITION, op.condition(k, xs, partial))
                ready(table)
                pass_on(self, n, x, GIVEN, CONDITION)

    def adjoint(self, n: int) -> Any:
        """The adjoint of an entry, after the sweep: a Value, or a plain number."""
        if not self.has_arrived(n):
            return 0.0
        ready(self.table)
        self.place[ADJOINT] = self.arrived[n - self.floor]
        self.number[ADJOINT] = self.given[n - self.floor]
        let_in(self, ADJOINT, self.gate[n - self.floor], ZERO)
        found = self.place[ADJOINT]
        return self.number[ADJOINT] if found == NO_ENTRY else self.table.handle(found)

    def reached(self, n: int) -> Any:
        """Whether an adjoint has arrived at an entry, 1 or 0; a Value where that can change."""
        if not self.has_arrived(n):
            return 0.0
        gate = self.gate[n - self.floor]
        return 1.0 if gate == ALWAYS else ops.where(self.table.handle(gate), 1.0, 0.0)
