"""Is a row's rule right? Proved with SymPy where that can be, else tried on numbers.

The value of a row is followed as a formula, its derivative taken by SymPy and compared with the
row's own partial, in every case that the formula distinguishes. What a proof says holds for real
numbers, between kinks; doubles that are next to a known constant, such as log(2), stand for it.
How far rounding carries the answers is measured, and printed beside the proofs in
docs/operations.md.

Terms:
    hint    what SymPy has to be told of a row, without which it finds no proof
    lemma   a known identity that SymPy does not apply by itself
    trial   a row's derivatives at one point of its domain, compared with those from its values
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from miniflow.operation import Interval
from miniflow.ops import BUILTIN, Op
from miniflow.testing import rules
from miniflow.testing.judges import Estimate
from miniflow.testing.symbols import NAMES, FormulaCase, Symbolic, Unreadable, cases, sympy

PROVED, HINTED, TRIED = "proved by SymPy", "proved with a hint", "checked by numbers only"
PROOF_DIGITS = 30
TRIALS = 48  # trials of a row that is not proved
FEWEST_TRIALS = 8  # of them that have to say something
NEARBY = 1e-9  # how far derivatives may differ, relative to their size
COUNTS_AS_ZERO = 1e-25  # and what of them is 0
LONG = 100  # operations of an expression that is simplified by all means
LONGEST_SIMPLIFIED = 400  # and by cheap ones
PROVED_COUNTS = (1, 2, 3)  # of operands, for rows that take any number
OTHER_COUNTS = {"dot": (2, 4), "take": (2, 3)}


class Hint(NamedTuple):
    """What a proof needs to be told.

    Attributes:
        text: the same in words.
        domain: the interval of each operand for which it is proved, if not the row's own.
        whole: the operands by which a row is not differentiated.
        lemma: what to replace in the difference that should be 0.
    """

    text: str
    domain: tuple[Interval, ...] = ()
    whole: tuple[int, ...] = ()
    lemma: Callable[[Any, Any], Any] | None = None


def _reflection(e: Any, x: Any) -> Any:
    """The Hurwitz zeta function at 2 and 1 - x, by that at x."""
    mirrored = sympy.pi**2 / sympy.sin(sympy.pi * x) ** 2 - sympy.zeta(2, x)
    return e.subs(sympy.zeta(2, 1 - x), mirrored).rewrite(sympy.zeta)


BOUNDED = Hint("from -1000 to 1000: beyond, the exponential is 0", ((-1000.0, 1000.0),))
ANY_NUMBER = Hint("for up to 3 operands, 4 of dot: more are like them")
HINTS = {
    "power_log": Hint("c is a whole number: nothing is differentiated by it", whole=(2,)),
    "hurwitz_zeta": Hint("a is a whole number: nothing is differentiated by it", whole=(0,)),
    "stop_gradient": Hint("what it returns counts as constant: that is what it is for"),
    "nextafter": Hint("the next double counts as the number itself"),
    "digamma": Hint("its derivative is the Hurwitz zeta function at 2, which is π²/sin²(πx) less "
                     "that at 1 - x", lemma=_reflection),
    **dict.fromkeys(("gaussian", "normal_pdf", "silu", "gelu"), BOUNDED),
    **dict.fromkeys(("sum", "fsum", "dot", "max_of", "min_of", "tally", "take"), ANY_NUMBER),
}  # fmt: skip
STEPWISE = Hint("a whole number is constant between its jumps")
REASONS: dict[str, str] = {}  # of rows for which only numbers speak


class ProvedCase(NamedTuple):
    """A row in one of its cases.

    Attributes:
        conditions: where it is: inequalities of SymPy's.
        value: there, an expression of the operands.
        partials: its derivatives by each of them.
    """

    conditions: tuple[Any, ...]
    value: Any
    partials: tuple[Any, ...]


class Proof(NamedTuple):
    """How a row's rule is known to be right.

    Attributes:
        name: the row's.
        how: PROVED, HINTED or TRIED.
        why: the hint, or the reason why there is no proof; "" if it is proved without.
        pieces: what was proved, in each case.
        trials: how many points were tried, each with an answer.
    """

    name: str
    how: str
    why: str
    pieces: tuple[ProvedCase, ...]
    trials: int = 0

    def __str__(self) -> str:
        return f"{self.name}: {self.how}{f' ({self.why})' if self.why else ''}"


class RuleError(ValueError):
    """A row's rule is wrong, or cannot be judged."""


class Wrong(NamedTuple):
    """A partial that is not the value's derivative.

    Attributes:
        by: by which operands it is differentiated, from 0: one for each order.
        xs: where.
        got: what the row says there.
        expected: the value's derivative.
        formula: the same as a formula, if there is one.
    """

    by: tuple[int, ...]
    xs: tuple[float, ...]
    got: float
    expected: float
    formula: str = ""


def prove(op: Op) -> Proof:
    """Prove that a row's partials are its value's derivatives, or try them on numbers.

    Args:
        op: the row; one of a user's, or of the table.

    Returns:
        How it is known: by a proof, with a hint or without, or by trials at random points of its
        domain only.

    Raises:
        RuleError: a partial is wrong; the message says which, where and what is right. Or no
            point of its domain has a derivative that can be told. It is a ValueError.

    Example:
        >>> from miniflow import ops
        >>> print(prove(ops.tanh))
        tanh: proved by SymPy
        >>> print(prove(ops.floor))
        floor: proved with a hint (a whole number is constant between its jumps)
    """
    try:
        pieces, why, edges = _guarded(op)
        found = Proof(op.name, HINTED if why else PROVED, why, pieces)
        if op in BUILTIN:
            return found
        return found._replace(trials=try_numbers(op, edges))
    except Unreadable as reason:
        return Proof(op.name, TRIED, str(reason), (), try_numbers(op, []))


# --- by SymPy ---------------------------------------------------------------------


def _proved(op: Op) -> tuple[tuple[ProvedCase, ...], str, list[tuple[float, ...]]]:
    """The pieces of a proof, the hint that it took, and the points between the pieces.

    Raises:
        Unreadable: there is no proof.
        RuleError: there is a point that refutes it.
    """
    if op in BUILTIN and op.name in REASONS:
        raise Unreadable(REASONS[op.name])
    hint = HINTS.get(op.name, Hint("")) if op in BUILTIN else Hint("")
    if op.arity < 0 and not hint.text:
        hint = ANY_NUMBER
    pieces: list[ProvedCase] = []
    edges: list[tuple[float, ...]] = []
    unsolved = ""
    for count in _operand_counts(op):
        for case, (value, partials) in symbolic_cases(op, count, hint):
            try:  # the next case may refute what this one leaves open
                pieces.append(_proved_case(op, case, value, partials, hint))
            except Unreadable as reason:
                unsolved = str(reason)
            edges += _edges(case)
            if case.steps and not hint.text:
                hint = STEPWISE
    if unsolved:
        raise Unreadable(unsolved)
    return tuple(pieces), hint.text, edges


def _guarded(op: Op) -> tuple[tuple[ProvedCase, ...], str, list[tuple[float, ...]]]:
    """The same; what SymPy raises is a reason, too."""
    try:
        return _proved(op)
    except (Unreadable, RuleError, ImportError):
        raise
    except Exception as error:
        raise Unreadable(f"SymPy fails: {type(error).__name__}") from error


def _operand_counts(op: Op) -> Sequence[int]:
    """With how many operands a row is proved."""
    if op.arity > 0:
        return [op.arity]
    return OTHER_COUNTS.get(op.name, PROVED_COUNTS)


def symbolic_cases(
    op: Op, count: int, hint: Hint
) -> list[tuple[FormulaCase, tuple[Any, tuple[Any, ...]]]]:
    """A row's value and partials as expressions of so many operands, in each case."""
    symbols = [sympy.Symbol(x, real=True) for x in operand_names(op, count)]
    domain = hint.domain or (op.domain if op.arity > 0 else op.domain * count)

    def formulas(case: FormulaCase) -> tuple[Any, tuple[Any, ...]]:
        xs = case.terms()
        y = case.row(op, xs)
        return y.expr, tuple([case.expr(_partial(op, k, xs, y)) for k in range(count)])

    return cases(symbols, domain, formulas)


def operand_names(op: Op, count: int) -> list[str]:
    """What the operands are called."""
    plain = [f"x_{k}" for k in range(1, count + 1)]
    return plain if op.arity < 0 else list(NAMES.get(count, plain))


def _partial(op: Op, k: int, xs: Sequence[Symbolic], y: Symbolic) -> Any:
    try:
        return op.partial(k, xs, y)
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable("a partial computes with floats") from error


def _proved_case(
    op: Op, case: FormulaCase, value: Any, partials: tuple[Any, ...], hint: Hint
) -> ProvedCase:
    if not (op in BUILTIN and op.name == "stop_gradient"):
        value = case.lit(value)
    shown = []
    for k, partial in enumerate(partials):
        slope = sympy.diff(value, case.symbols[k])
        if k not in hint.whole:
            _compare(op, case, k, slope, partial, hint)
        shown.append(case.lit(partial))
        for j, held in enumerate(case.shadows.values()):
            again = partial.has(held) and op.follows(j)
            if again and not vanishes(case, sympy.diff(partial, held), hint):
                raise Unreadable("stop_gradient changes its second derivatives")
    return ProvedCase(_conditions(case), case.lit(value), tuple(shown))


def _compare(op: Op, case: FormulaCase, k: int, slope: Any, partial: Any, hint: Hint) -> None:
    """Raise unless a partial is the value's derivative."""
    partial = case.lit(partial)
    if sympy.expand(case.signed(partial - slope)) == 0:
        return
    for point in _points_of(case):
        got, right = (_number_at(case, e, point) for e in (partial, slope))
        if (
            math.isfinite(got + right)
            and abs(got - right) > NEARBY * max(abs(got), abs(right)) + COUNTS_AS_ZERO
        ):
            xs = tuple([float(point[x]) for x in case.symbols])
            where = " and ".join(map(str, _conditions(case)))
            text = f"{simplest(slope)}{where and ' where '}{where}"
            raise wrong_rule(op, Wrong((k,), xs, float(got), float(right), text))
    if not vanishes(case, partial - slope, hint):
        raise Unreadable("SymPy does not find that its partials are its value's derivatives")


def vanishes(case: FormulaCase, e: Any, hint: Hint) -> bool:
    """Whether SymPy finds that an expression is 0, in a case."""
    e = case.lit(e)
    if hint.lemma is not None:
        e = sympy.simplify(hint.lemma(e, case.symbols[0]))
    e = case.signed(e)
    for k, way in enumerate(WAYS):
        if e == 0:
            return True
        if e.count_ops() > (LONGEST_SIMPLIFIED if k < CHEAP else LONG):
            return False
        e = way(e)
    return bool(e == 0)


WAYS: list[Callable[[Any], Any]] = [
    lambda e: sympy.expand(e),
    lambda e: sympy.cancel(sympy.together(e)),
    lambda e: sympy.powsimp(e),
    lambda e: sympy.simplify(e),
    lambda e: sympy.simplify(e.rewrite(sympy.exp)),
    lambda e: sympy.simplify(sympy.expand_func(e)),
]
CHEAP = 3  # of these


def simplest(*same: Any) -> Any:
    """The shortest of expressions that are equal."""
    short = [e for e in same if e.count_ops() <= LONG]
    return min([*same, *map(sympy.simplify, short)], key=lambda e: e.count_ops())


def _conditions(case: FormulaCase) -> tuple[Any, ...]:
    """Where a case is, as inequalities: of operands with numbers, and of expressions."""
    found = []
    for x, low, high in zip(case.symbols, *case.ends, strict=True):
        left, right = case.bounds[x]
        found += [sympy.Gt(x, left)] * (left != low) + [sympy.Lt(x, right)] * (right != high)
    for e, sign in case.signs.items():
        if case.line(e) is None:
            found.append(sympy.Gt(e, 0) if sign > 0 else sympy.Lt(e, 0))
    return tuple(found)


# --- points of a case ---------------------------------------------------------------


def _points_of(case: FormulaCase, wanted: int = 4, draws: int = 60) -> Iterator[dict[Any, Any]]:
    """Some points at which a case is taken, simple ones first; none if they are hard to find."""
    source = random.Random(str(case.answers))
    for k in range(draws):
        point = {
            x: sympy.Float(_in_domain(source, k, *case.bounds[x]), PROOF_DIGITS)
            for x in case.symbols
        }
        if wanted and all(_number_at(case, e, point) * sign > 0 for e, sign in case.signs.items()):
            wanted -= 1
            yield point


def _in_domain(source: random.Random, k: int, low: Any, high: Any) -> float:
    """A number in an interval: every other time one of a simple size."""
    simple = [x for x in SPECIAL if x and low < x < high]
    return source.choice(simple) if simple and k % 2 == 0 else _of_interval(source, low, high)


def _of_interval(source: random.Random, low: Any, high: Any) -> float:
    """A number in an interval, of a moderate size if it can be."""
    low, high = float(max(low, -1e300)), float(min(high, 1e300))
    if high - low < 100:
        return source.uniform(low, high)
    size: float = 10 ** source.uniform(-2, 1.5)
    if low > -100:
        return float(low + size)
    return float(high - size) if high < 100 else source.choice((-1, 1)) * size


def _number_at(case: FormulaCase, e: Any, point: dict[Any, Any]) -> Any:
    """An expression at a point; nan if it is not real there."""
    for (
        name,
        operand,
    ), symbol in case.steps.items():  # older ones may be in later ones
        if symbol not in point:
            inner = _real_number(operand.xreplace(point))
            whole = math.floor(inner) if name == "floor" and math.isfinite(inner) else 1
            point[symbol] = sympy.Integer(whole)
    return _real_number(case.lit(e).xreplace(point))


def _real_number(e: Any) -> Any:
    """A constant expression as a number; nan if it is not real."""
    try:
        found = sympy.N(e, PROOF_DIGITS)
        return found if found.is_real and found.is_finite else math.nan
    except (TypeError, ValueError, ArithmeticError):
        return math.nan


def _edges(case: FormulaCase) -> list[tuple[float, ...]]:
    """Points on the border of a case, and where it asked for a tie; of rows of one operand."""
    if len(case.symbols) != 1:
        return []
    ends = [*case.bounds[case.symbols[0]], *[line[2] for line in map(case.line, case.ties) if line]]
    low, high = case.ends[0][0], case.ends[1][0]
    return [(float(x),) for x in ends if low < x < high]


# --- by numbers -------------------------------------------------------------------

SPECIAL = (0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 0.0, 1e-3, -1e-3, 10.0, -10.0)


def try_numbers(op: Op, edges: Sequence[tuple[float, ...]], points: int = TRIALS) -> int:
    """Compare a row's derivatives, to order 2, with those from its values, at points of its domain.

    Args:
        op: the row.
        edges: points to begin with.
        points: how many in all.

    Returns:
        How many of the points had an answer.

    Raises:
        RuleError: one is wrong, the value or a partial raises, or no answer can be told.
    """
    told = 0
    for xs in [*edges, *_trials(op, points - len(edges))]:
        told += _trial(op, xs)
    if told < min(FEWEST_TRIALS, points):
        raise RuleError(
            f"{op.name}: its derivatives cannot be judged: of {points} points {told} say "
            "anything; give domain= the intervals in which it is smooth"
        )
    return told


def _trial(op: Op, xs: tuple[float, ...]) -> bool:
    """Whether numbers say that a row is right at a point."""
    try:
        if not math.isfinite(op.number(*xs)):
            return False
        found = rules.local(op, xs, [False] * len(xs), 2)
    except ArithmeticError as error:
        raise _raising(op, xs, error) from error
    except ValueError as error:
        raise _raising(op, xs, error) from error
    for by, got, estimate in found:
        if rules.is_wrong(got, estimate, len(by)) and not _cancels(xs, by, got, estimate, found):
            raise wrong_rule(op, Wrong(by, xs, got, estimate.value))
    first = [x for by, _, x in found if len(by) == 1]
    return bool(first) and all(x.sure(1e-6, 1e-6) for x in first)


def _cancels(
    xs: Sequence[float], by: tuple[int, ...], got: float, right: Estimate, found: Sequence[Any]
) -> bool:
    """Whether a derivative is off by less than the rounding of others that are much larger."""
    moves = {i: math.prod([abs(xs[k]) or 1.0 for k in i]) for i, _, _ in found}
    others = [abs(x.value) * moves[i] for i, _, x in found if len(i) == len(by)]
    return bool(abs(got - right.value) * moves[by] <= NEARBY * 1e-3 * max(others))


def _raising(op: Op, xs: tuple[float, ...], error: Exception) -> RuleError:
    return RuleError(
        f"{op.name}: at {_shown_operands(op, xs)} it raises {type(error).__name__}: {error}; "
        f"{op.advice()}, or give domain= where it has a value, limit= what it is elsewhere"
    )


def _trials(op: Op, count: int) -> Iterator[tuple[float, ...]]:
    """Points of a row's domain: special ones, and ones of many sizes, in every orthant."""
    source = random.Random(op.name)
    for k in range(count):
        operands = op.arity if op.arity > 0 else _operand_counts(op)[-1]
        domain = op.domain if op.arity > 0 else op.domain * operands
        special = SPECIAL[k] if k < len(SPECIAL) else None
        yield tuple([_trial_number(source, special, *interval) for interval in domain])


def _trial_number(source: random.Random, special: float | None, low: float, high: float) -> float:
    """A number in an interval: a special one, or any."""
    if special is not None and low < special < high:
        return special
    if source.random() < 0.3:
        return _in_domain(source, 0, low, high)
    if math.isfinite(low) and math.isfinite(high):
        return source.uniform(low, high)
    size = 10 ** source.uniform(-4, 2)
    if math.isfinite(low):
        return low + size
    return high - size if math.isfinite(high) else source.choice((-1, 1)) * size


# --- a wrong_rule --------------------------------------------------------------------


def wrong_rule(op: Op, wrong: Wrong) -> RuleError:
    """The error of a row that is wrong."""
    names = operand_names(op, len(wrong.xs))
    by = " and ".join([names[k] for k in wrong.by])
    order = "partial" if len(wrong.by) == 1 else "partial, differentiated again,"
    right = f"; right is {wrong.formula}" if wrong.formula else ""
    return RuleError(
        f"{op.name}: its {order} by {by} is wrong at {_shown_operands(op, wrong.xs)}: "
        f"{wrong.got!r}, the value's derivative is {wrong.expected!r}{right}"
    )


def _shown_operands(op: Op, xs: Sequence[float]) -> str:
    names = operand_names(op, len(xs))
    return ", ".join([f"{name} = {x!r}" for name, x in zip(names, xs, strict=True)])
