"""Where a NaN or an infinity comes from: the chain of operations that leads to it.

A number is *bad* if it is NaN, infinite or zero: it is *born* where no operand is bad in the same
way. A NaN is born of infinities and zeros, so the chain begins where these were born, and ends
where the NaN was. Going back, a contribution is an adjoint times a slope, and the same holds.
"""

from collections.abc import Iterable
from math import isfinite, isinf, isnan
from typing import NamedTuple

from miniflow.debug.noted import SourceLine
from miniflow.debug.wording import Words, digits
from miniflow.ops import constant
from miniflow.tape.core import Table

MOST_STEPS = 8
AUTOPSY_EDGES = {"sqrt": "0", "log": "0", "log2": "0", "log10": "0", "log1p": "-1", "acosh": "1"}


class Link(NamedTuple):
    """A link of the chain: an entry, its line, and what happens there."""

    entry: int
    line: SourceLine | None
    text: str


class Backward(NamedTuple):
    """A contribution of a sweep: entry n hands `amount` = `adjoint` * `slope` to its operand k.

    With what others have handed to the operand before it makes `total`.
    """

    n: int
    k: int
    adjoint: float
    slope: float
    amount: float
    total: float


# --- forward --------------------------------------------------------------------


def bad(x: float, like: float) -> bool:
    """Whether a number is NaN, infinite or zero as another one is."""
    if isnan(like):
        return isnan(x)
    return isinf(x) if isinf(like) else x == 0.0 == like


def birth(table: Table, n: int) -> list[int]:
    """The entries from where the number of entry n went bad, up to n."""
    path, like = [n], table.value_of(n)
    while True:
        found = [x for x in table.operands(path[-1]) if bad(table.value_of(x), like)]
        if not found:
            return path[::-1]
        # a leaf or constant that was given so comes after what was computed
        path.append(max(found, key=lambda x: (bool(table.operands(x)), -x)))


def forward_steps(words: Words, n: int) -> list[Link]:
    """The chain to the NaN or infinity of entry n, the earliest link first."""
    table = words.table
    path = birth(table, n)
    first = path[0]
    before: list[int] = []
    if isnan(table.value_of(first)):
        for x in table.operands(first):
            if table.operands(x) and (isinf(table.value_of(x)) or table.value_of(x) == 0.0):
                before += _shown_path(words, birth(table, x))
    shown = sorted({*before, *_shown_path(words, path)})
    return [_forward_step(words, x) for x in _shortened(shown)]


def _shown_path(words: Words, path: list[int]) -> list[int]:
    """Of a path of bad numbers its birth and its end, and what other lines have made of it."""
    found = [x for x in path if words.table.operands(x)][:1]
    for x in path:
        if words.table.operands(x) and words.line(x) != words.line(found[-1]):
            found.append(x)
    return found


def _shortened(entries: list[int]) -> list[int]:
    half = MOST_STEPS // 2
    return entries if len(entries) <= MOST_STEPS else entries[:half] + entries[-half:]


def _forward_step(words: Words, n: int) -> Link:
    text = f"{words.calculation(n)} -> {words.number(n)}"
    return Link(n, words.line(n), text)


def reason(words: Words, n: int) -> str:
    """Why entry n, whose operands are not bad, is NaN or infinite: a sentence."""
    table = words.table
    op, y = table.op(n), table.value_of(n)
    xs = [table.value_of(x) for x in table.operands(n)]
    if not xs:
        given = "a plain number" if op is constant else words.name(n) or "a Value"
        return f"{given} was set to {digits(y)}: no operation has computed it"
    if op.name.startswith("jit(") or op.name.startswith("vmap("):
        inside = op.name[op.name.index("(") + 1 : -1]
        return f"the compiled function {inside} returned {digits(y)}"
    infinite, zero = sum(map(isinf, xs)), sum(x == 0.0 for x in xs)
    return (
        _no_value(op.name, xs, infinite, zero) if isnan(y) else _why_infinite(op.name, xs, words, n)
    )


def _no_value(name: str, xs: list[float], infinite: int, zero: int) -> str:
    if name in ("mul", "dot", "fma") and infinite and zero:
        return "0 times infinity has no value"
    if name == "div" and (zero == 2 or infinite == 2):
        what = "0 divided by 0" if zero else "infinity divided by infinity"
        return f"{what} has no value"
    if name in ("add", "sub", "sum", "fsum", "dot") and infinite > 1:
        return "infinity minus infinity has no value"
    if name == "pow" and xs[0] < 0:
        return f"a negative base has no real power {digits(xs[1])}"
    if name in ("asin", "acos", "atanh"):
        return f"{name} takes numbers from -1 to 1, and {digits(xs[0])} is outside"
    if name in AUTOPSY_EDGES:
        return f"{name} takes numbers from {AUTOPSY_EDGES[name]} up, and {digits(xs[0])} is below"
    if name in ("mod", "fmod", "remainder", "floordiv") and xs[1] == 0:
        return "there is no remainder of a division by 0"
    return f"{name} has no value at {', '.join(map(digits, xs))}"


def _why_infinite(name: str, xs: list[float], words: Words, n: int) -> str:
    if name == "div" and xs[1] == 0:
        return "a division by 0 is infinite"
    if name in AUTOPSY_EDGES and xs[0] <= 0:
        return f"{name} is infinite at {digits(xs[0])}"
    return f"{words.calculation(n)} is beyond the largest float, 1.8e+308"


# --- backward -------------------------------------------------------------------


def first_bad(
    table: Table, floor: int, targets: list[int], seeds: list[float], infs: bool
) -> tuple[Backward | None, list[Backward]]:
    """The first contribution of a sweep that is NaN, or makes a sum NaN, and all before it."""
    adjoint: dict[int, float] = {}
    for n, seed in zip(targets, seeds, strict=True):
        adjoint[n] = adjoint.get(n, 0.0) + seed
    passed: list[Backward] = []
    for n in table.reached(targets, floor):
        if n not in adjoint:
            continue
        for step in contributions(table, n, adjoint[n], floor):
            x = table.operands(n)[step.k]
            total = adjoint.get(x, 0.0) + step.amount
            step = step._replace(total=total)
            passed.append(step)
            if isnan(total) or (infs and isinf(total)):
                return step, passed
            adjoint[x] = total
    return None, passed


def contributions(
    table: Table, n: int, adjoint: float, floor: int = 0, *, constants: bool = False
) -> Iterable[Backward]:
    """What an entry hands to its operands, those left out that get nothing."""
    op, operands = table.op(n), table.operands(n)
    xs = [table.value_of(x) for x in operands]
    for k, x in enumerate(operands):
        if x < floor or not op.follows(k) or (table.op(x) is constant and not constants):
            continue
        slope = op.partial(k, xs, table.value_of(n))
        if op.condition(k, xs, slope) != 0.0:
            amount = adjoint * slope
            yield Backward(n, k, adjoint, slope, amount, amount)


def backward_steps(words: Words, last: Backward, passed: list[Backward]) -> list[Link]:
    """The chain to a NaN that a sweep has met."""
    chain = [last]
    while isinf(like := chain[-1].adjoint) or like == 0.0:  # back to where it went bad
        makers = [s for s in passed if s.amount == like and _receiver(words, s) == chain[-1].n]
        if not makers:
            break
        chain.append(makers[-1])
    births = [s for s in chain[1:] if not bad(s.adjoint, s.amount)]
    causes = [step for s in (*births, last) for step in _causes(words, s)]
    forward = sorted(dict.fromkeys(causes), key=lambda step: step.entry)
    return [*forward, *[_backward_step(words, s) for s in (*births, last)]][-MOST_STEPS:]


def _receiver(words: Words, step: Backward) -> int:
    return words.table.operands(step.n)[step.k]


def _causes(words: Words, step: Backward) -> list[Link]:
    """How the numbers of an entry came to be such that its slope is bad: the links forward."""
    table, n = words.table, step.n
    found: list[Link] = []
    for x in (*table.operands(n), n):
        y = table.value_of(x)
        if not isfinite(y) and table.operands(x):
            found += forward_steps(words, x)
    vanished = step.slope == table.value_of(n) == 0.0 and len(birth(table, n)) == 1
    if not found and (vanished or not isfinite(step.slope)):
        found.append(_forward_step(words, n))
    return found


def _backward_step(words: Words, step: Backward) -> Link:
    amount = digits(step.amount)
    product = f"{digits(step.adjoint)} * {digits(step.slope)} -> {amount}"
    if isfinite(step.adjoint) or not isnan(step.amount):
        text = f"back through {words.calculation(step.n)}, whose slope is {digits(step.slope)}"
    else:
        text = f"back through {words.calculation(step.n)}"
    return Link(step.n, words.line(step.n), f"{text}: {product}")


def backward_reason(words: Words, step: Backward) -> str:
    """Why a contribution is NaN or infinite: a sentence."""
    at = words.calculation(step.n)
    if isnan(step.slope):
        return f"{at} has no slope"
    if isnan(step.amount):
        return (
            f"the slope of {at} is {digits(step.slope)}, and the gradient that arrives there is "
            f"{digits(step.adjoint)}: 0 times infinity has no value"
        )
    if isnan(step.adjoint):
        return "the gradient was given as nan"
    if isnan(step.total):
        return "two contributions, one infinite and one minus infinite, have no sum"
    if isinf(step.slope):
        return f"the slope of {at} is infinite"
    if isinf(step.amount):
        return f"{digits(step.adjoint)} * {digits(step.slope)} is beyond the largest float"
    return "the sum of two contributions is beyond the largest float"
