"""Results on the tape: each output of a program is one entry, differentiated as a whole."""

from collections.abc import Sequence
from operator import attrgetter
from time import perf_counter
from typing import Any

from miniflow.compiled.captured import CapturedNumbers
from miniflow.compiled.paths import Chain, Specialization, SpecializationCache, jit_number
from miniflow.ops import OTHER, Op
from miniflow.tape.core import Value, here
from miniflow.tape.storage import plain

FLOATS_ALONE = {float}


def call_specialized(cache: SpecializationCache, numbers: list[Any]) -> Any:
    """A function's result at the numbers and Values of its arguments."""
    trials = cache.trials
    if trials is not None and trials.wait:
        trials.wait -= 1
        return cache.eager(numbers)
    start = perf_counter()
    kinds = {*map(type, numbers)}
    inputs = numbers if kinds == FLOATS_ALONE else [jit_number(x) for x in numbers]
    found = cache.find((), inputs)
    if found is None:
        return _eager(cache, numbers, start)
    path, _, outputs = found
    path.count_replay()
    captured = path.program.captured
    if captured or Value in kinds:
        outputs = record_outputs(cache, (), path, [*numbers, *captured], captured, outputs)
    if trials is not None:
        trials.hit(perf_counter() - start)
    return path.program.rebuild(outputs)


def _eager(cache: SpecializationCache, numbers: list[Any], start: float) -> Any:
    """The same where no path answers; they have been tried since `start`."""
    begin, trials = perf_counter(), cache.trials
    assert trials is not None  # there are too many paths
    found = cache.eager(numbers)
    if not trials.told:
        trials.was_eager(perf_counter() - begin)
    trials.miss(begin - start)
    return found


def record_outputs(
    cache: SpecializationCache, chain: Chain, path: Specialization, operands: list[Any],
    captured: tuple[Value, ...], outputs: list[float],
) -> list[Any]:  # fmt: skip
    """The outputs as entries on the tape, where they depend on a Value."""
    live = tuple([x.__class__ is Value for x in operands])
    table = here.table
    return [
        table.record(OutputOp(cache, chain, k, captured, path.result), operands, y)
        if dependent
        else y
        for k, (y, dependent) in enumerate(zip(outputs, path.dependent(chain, live), strict=True))
    ]


class EntryOp(Op):
    """An operation for one entry on the tape, whose partials are all computed at once.

    What was computed is kept until the next point: the operands, the result, the partials,
    and which operands are reached, once somebody has asked. It holds none of its own methods, so
    that it goes with its entry, without a search for garbage.
    """

    __slots__ = ("memory",)

    arity, code, selects = -1, OTHER, 0
    symbol = property(attrgetter("name"))
    text = python = c = ""
    domain = defaults = ()
    commutative = packable = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.forget()

    def value(self, *xs: float) -> float:
        raise NotImplementedError

    @property
    def partials(self) -> tuple[Any, ...]:  # type: ignore[override]
        """The formula."""
        return (self._partial,)

    def _partials(self, xs: Sequence[Any], y: Any, *, which: bool = False) -> list[Any]:
        """dy/d(operand) for each operand; or which are reached, 1 or 0."""
        raise NotImplementedError

    def forget(self) -> None:
        self.memory: tuple[Any, Any, list[Any], list[Any]] = None, None, [], []

    def _partial(self, k: int, xs: Sequence[Any], y: Any) -> Any:
        """dy/d(operand k)."""
        if self.memory[0] is not xs:
            self.memory = xs, y, self._partials(xs, y), []
        return self.memory[2][k]

    def slopes(self, xs: Sequence[float], y: float) -> list[float]:
        """dy/d(operand) for all of them."""
        self._partial(0, xs, y)
        return self.memory[2]

    def condition(self, k: int, operands: Sequence[Any], partial: Any) -> Any:
        """What is 0 where operand k, whose partial was asked for just now, was not reached."""
        if partial.__class__ is not Value and partial != 0.0:
            return 1.0
        xs, y, partials, reached = self.memory
        if not reached:
            reached = self._partials(xs, y, which=True)
            self.memory = xs, y, partials, reached
        return reached[k]


class OutputOp(EntryOp):
    """One output of a program, differentiated as often as is needed."""

    __slots__ = ("cache", "captured", "chain", "output", "result")

    def __init__(
        self, cache: SpecializationCache, chain: Chain, output: int, captured: tuple[Value, ...],
        result: Any,
    ) -> None:  # fmt: skip
        super().__init__(f"jit({cache.name})")
        self.cache = cache
        self.chain = chain
        self.output = output
        self.captured = captured
        self.result = result  # the structure that it is a part of

    def _find(
        self, chain: Chain, numbers: Sequence[float]
    ) -> tuple[Specialization, list[float], list[float]]:
        start = len(numbers) - len(self.captured)
        live = CapturedNumbers(self.captured, numbers[start:])
        inputs = list(numbers[:start])
        found = self.cache.find(chain, inputs, live) or self.cache.once(chain, inputs, live)
        if found[0].result != self.result:
            raise RuntimeError(
                f"{self.name}: it takes another path now, whose result has another structure; "
                "call it again"
            )
        return found

    def value(self, *xs: float) -> float:
        return self._find(self.chain, xs)[2][self.output]

    def _partials(self, xs: Sequence[Any], y: Any, *, which: bool = False) -> list[Any]:
        output = ~self.output if which else self.output
        chain, start = (*self.chain, output), len(xs) - len(self.captured)
        numbers = [plain(x) if x.__class__ is Value else x for x in xs]
        path, _, partials = self._find(chain, numbers)
        captured = path.program.captured
        recorded = Value in map(type, xs)
        if captured is self.captured and not recorded:
            return partials
        order = {id(v): k for k, v in enumerate(captured, start)}
        if recorded:
            given = dict(zip(map(id, self.captured), xs[start:], strict=True))
            operands = [*xs[:start], *[given[id(v)] for v in captured]]
            partials = record_outputs(self.cache, chain, path, operands, captured, partials)
        slots = [*range(start), *[order.get(id(v)) for v in self.captured]]
        return [0.0 if slot is None else partials[slot] for slot in slots]
