"""Numbers that SymPy knows, which the table's formulas take as they take Values.

A formula of numbers is called with *terms* and answers with one. Where it asks which of two
numbers is larger, its answer is one of several *cases*: each is followed in turn. That two terms
are equal is no case of its own: a formula of one point says nothing of a derivative there.

Terms:
    term     an expression of SymPy's, as an operand of rows and of Python's operators
    case     one way through a formula, with the intervals and signs for which it is taken
    shadow   a symbol that stands for another one where `stop_gradient` has been
    form     a row's value, as a formula of terms
"""

import math
import types
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache, reduce
from itertools import islice
from typing import Any

from miniflow import math as rows
from miniflow.operation import Interval
from miniflow.ops import BUILTIN, TABLE, Op
from miniflow.testing.twins import NAMESAKES, TWINS
from miniflow.util.later import Later

sympy: Any = Later("sympy", "testing")

MOST_CASES = 128  # cases of one formula
LARGEST_TERM = 1000  # parts of an expression
LARGEST_DENOMINATOR = 1000  # of fractions that a double stands for
NAMES = {1: ("x",), 2: ("a", "b"), 3: ("a", "b", "c")}


class Unreadable(TypeError):  # noqa: N818 - no fault of anybody's
    """A formula that terms do not get through."""


@cache
def constants() -> dict[float, Any]:
    """Numbers that are no fractions, by the doubles next to them."""
    log2, log10 = sympy.log(2), sympy.log(10)
    known = [sympy.pi * sympy.Rational(*q) for q in ((1, 1), (2, 1), (1, 2), (1, 4), (1, 180))]
    known += [
        180 / sympy.pi,
        1 / sympy.pi,
        2 / sympy.pi,
        sympy.pi**2,
        sympy.sqrt(sympy.pi),
        sympy.E,
    ]
    known += [log2, log10, 1 / log2, 1 / log10, sympy.sqrt(2), sympy.sqrt(2) / 2, sympy.E]
    known += [2 / sympy.sqrt(sympy.pi), 1 / sympy.sqrt(2 * sympy.pi), sympy.sqrt(2 * sympy.pi)]
    known += [1 / sympy.sqrt(sympy.pi), sympy.sqrt(2 / sympy.pi), sympy.log(2 * sympy.pi)]
    found: dict[float, Any] = {}
    for x in known:  # a quotient of doubles may be the neighbour
        y = float(x)
        found |= {math.nextafter(y, 0.0): x, math.nextafter(y, math.inf): x, y: x}
    return found


def number(x: Any) -> Any:
    """What a plain number stands for: a constant that it is next to, or a fraction."""
    if not isinstance(x, float):
        return sympy.sympify(int(x) if isinstance(x, bool) else x)
    if not math.isfinite(x):
        return {math.inf: sympy.oo, -math.inf: -sympy.oo}.get(x, sympy.nan)
    for sign in (1, -1):
        if sign * x in constants():
            return sign * constants()[sign * x]
    simple = Fraction(x).limit_denominator(LARGEST_DENOMINATOR)
    fraction = simple if float(simple) == x else Fraction(repr(x))
    return sympy.Rational(fraction.numerator, fraction.denominator)


class Symbolic:
    """An expression, in one case of a formula."""

    __slots__ = ("case", "expr")
    __hash__ = None  # type: ignore[assignment]  # a formula that looks numbers up is not followed

    def __init__(self, case: "FormulaCase", expr: Any) -> None:
        if sum(1 for _ in islice(sympy.preorder_traversal(expr), LARGEST_TERM + 1)) > LARGEST_TERM:
            raise Unreadable("its formula is too long")
        self.case, self.expr = case, expr

    def _record(self, op: Op, operands: Sequence[Any]) -> Any:
        """What the engine asks of a Value: an operation on it."""
        return self.case.row(op, operands)

    def __bool__(self) -> bool:
        return not self.case.vanishes(self.expr)

    def __eq__(self, other: object) -> bool:
        return self.case.vanishes(self.expr - self.case.expr(other))

    def __lt__(self, other: Any) -> bool:
        return self.case.sign(self.expr - self.case.expr(other)) < 0

    def __gt__(self, other: Any) -> bool:
        return self.case.sign(self.expr - self.case.expr(other)) > 0

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def __neg__(self) -> "Symbolic":
        return Symbolic(self.case, -self.expr)

    def __pos__(self) -> "Symbolic":
        return self

    def __abs__(self) -> "Symbolic":
        return Symbolic(self.case, self.case.sign(self.expr) * self.expr)

    def __floor__(self) -> Any:
        return self.case.row(TABLE["floor"], (self,))

    def __ceil__(self) -> Any:
        return self.case.row(TABLE["ceil"], (self,))

    def __trunc__(self) -> Any:
        return self.case.row(TABLE["trunc"], (self,))

    def __floordiv__(self, other: Any) -> Any:
        return self.case.row(TABLE["floordiv"], (self, other))

    def __mod__(self, other: Any) -> Any:
        return self.case.row(TABLE["mod"], (self, other))


def _operator(name: str, f: Callable[[Any, Any], Any]) -> None:
    """Give Symbolic an operator, from both sides."""

    def left(self: Symbolic, other: Any) -> Symbolic:
        return Symbolic(self.case, f(self.expr, self.case.expr(other)))

    def right(self: Symbolic, other: Any) -> Symbolic:
        return Symbolic(self.case, f(self.case.expr(other), self.expr))

    setattr(Symbolic, f"__{name}__", left)
    setattr(Symbolic, f"__r{name}__", right)


_operator("add", lambda a, b: a + b)
_operator("sub", lambda a, b: a - b)
_operator("mul", lambda a, b: a * b)
_operator("truediv", lambda a, b: a / b)
_operator("pow", lambda a, b: a**b)


class FormulaCase:
    """One way through a formula: how its questions are answered.

    Args:
        symbols: the operands.
        domain: for each of them an interval.
        plan: the answers to the first questions that are open.

    Attributes:
        answers: to all open questions, in the order in which they were asked.
        bounds: for each operand the interval that is left of its domain.
        ends: those of the domain, the lower ones and the upper ones.
        signs: of expressions, as far as they have been decided.
        ties: expressions of which it was asked whether they are 0.
        steps: whole numbers that stand for flat functions, by name and operand.
    """

    def __init__(self, symbols: Sequence[Any], domain: Sequence[Interval], plan: Sequence[bool]):
        self.symbols = list(symbols)
        self.plan = list(plan)
        self.answers: list[bool] = []
        self.bounds = {x: tuple(map(number, i)) for x, i in zip(symbols, domain, strict=True)}
        self.ends = tuple(zip(*self.bounds.values(), strict=True))  # the lower ones, the upper ones
        self.signs: dict[Any, int] = {}
        self.steps: dict[Any, Any] = {}
        self.ties: list[Any] = []
        self.shadows = {x: sympy.Symbol(f"{x}_held", real=True) for x in symbols}
        self.mp = Context(self)

    def terms(self) -> list[Symbolic]:
        """The operands as terms."""
        return [Symbolic(self, x) for x in self.symbols]

    def expr(self, x: Any) -> Any:
        """The expression of a term or of a plain number."""
        return x.expr if isinstance(x, Symbolic) else number(x)

    # --- questions

    def lit(self, e: Any) -> Any:
        """The same expression, shadows being what they stand for."""
        return e.xreplace({held: x for x, held in self.shadows.items()})

    def vanishes(self, e: Any) -> bool:
        """Whether an expression is 0 everywhere."""
        e = sympy.expand(self.lit(e))
        self.ties.append(e)
        return e.is_zero is True or (e.is_number and sympy.simplify(e) == 0)

    def sign(self, e: Any) -> int:
        """The sign of an expression: 1 or -1, and 0 only if it is 0 everywhere."""
        e = sympy.expand(self.lit(e))
        if e.is_infinite or e.is_number:
            return 0 if sympy.simplify(e) == 0 else 1 if e > 0 else -1
        known = self._on_interval(e) or self._assumed(e)
        if known:
            return known
        lead = -1 if e.could_extract_minus_sign() else 1
        if lead * e not in self.signs:
            self._narrow(lead * e, self._answer())
        return lead * self.signs[lead * e]

    def _answer(self) -> bool:
        k = len(self.answers)
        if k >= MOST_CASES:
            raise Unreadable("too many questions")
        self.answers.append(self.plan[k] if k < len(self.plan) else True)
        return self.answers[-1]

    def line(self, e: Any) -> tuple[Any, Any, Any] | None:
        """The operand, slope and root of an expression that is a line in one operand."""
        free = list(e.free_symbols)
        if len(free) != 1 or free[0] not in self.bounds or not e.is_polynomial(free[0]):
            return None
        poly = sympy.Poly(e, free[0])
        if poly.degree() != 1:
            return None
        slope, rest = poly.all_coeffs()
        return free[0], slope, -rest / slope

    def _on_interval(self, e: Any) -> int:
        """The sign of a line, where the operand's interval says it."""
        line = self.line(e)
        if line is None:
            return 0
        x, slope, root = line
        low, high = self.bounds[x]
        side = 1 if low >= root else -1 if high <= root else 0
        return side if slope > 0 else -side

    def _narrow(self, e: Any, positive: bool) -> None:
        """Keep a decision."""
        self.signs[e] = 1 if positive else -1
        line = self.line(e)
        if line is not None:
            x, slope, root = line
            low, high = self.bounds[x]
            self.bounds[x] = (root, high) if positive == (slope > 0) else (low, root)

    def _assumed(self, e: Any) -> int:
        """The sign that SymPy knows, from the signs of operands."""
        e = self.signed(e)
        return 1 if e.is_positive else -1 if e.is_negative else 0

    def signed(self, e: Any) -> Any:
        """The same expression, in symbols whose sign SymPy knows."""
        moved = {}
        for x, (low, high) in self.bounds.items():
            if low >= 0:
                moved[x] = sympy.Symbol(f"{x}_above", positive=True)
            elif high <= 0:
                moved[x] = -sympy.Symbol(f"{x}_below", positive=True)
        return e.xreplace(moved)

    def step(self, name: str, e: Any) -> Any:
        """A flat function's value between its jumps: one whole number for equal operands."""
        e = sympy.expand(self.lit(e))
        key = name, e
        if key not in self.steps:
            self.steps[key] = sympy.Symbol(f"n_{len(self.steps)}", integer=True)
        return self.steps[key]

    # --- rows

    def row(self, op: Op, operands: Sequence[Any]) -> Any:
        """A row on terms."""
        operands = [x if isinstance(x, Symbolic) else Symbolic(self, number(x)) for x in operands]
        if op.name == "stop_gradient" and op in BUILTIN:
            return Symbolic(self, operands[0].expr.xreplace(self.shadows))
        found = form(op)(self.mp, *operands)
        return found if isinstance(found, Symbolic) else Symbolic(self, number(found))


class Context:
    """SymPy in the place of mpmath: what closed forms ask for."""

    def __init__(self, case: FormulaCase) -> None:
        self.case, self.pi, self.zero = case, sympy.pi, sympy.Integer(0)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        f = SYMPY_FUNCTIONS.get(name) or getattr(sympy, name)
        return lambda *xs: Symbolic(self.case, f(*map(self.case.expr, xs)))

    def mpf(self, x: Any) -> Any:
        return x if isinstance(x, Symbolic) else Symbolic(self.case, number(x))

    def sign(self, x: Any) -> Any:
        return Symbolic(self.case, sympy.Integer(self.case.sign(self.case.expr(x))))

    def floor(self, x: Any) -> Any:
        e = sympy.expand(self.case.lit(self.case.expr(x)))
        if e.is_integer:
            return Symbolic(self.case, e)
        low, high = self.case.bounds.get(e, (-sympy.oo, sympy.oo))
        whole = sympy.floor(low)
        known = low.is_finite and high <= whole + 1
        return Symbolic(self.case, whole if known else self.case.step("floor", e))

    def ceil(self, x: Any) -> Any:
        return -self.floor(-x)

    def frexp(self, x: Any) -> tuple[Any, Any]:
        return x, Symbolic(self.case, self.case.step("exponent", x.expr))

    def fsum(self, xs: Any) -> Any:
        return reduce(lambda a, b: a + b, xs)


SYMPY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cbrt": lambda x: x ** sympy.Rational(1, 3),
    "degrees": lambda x: x * 180 / sympy.pi,
    "digamma": lambda x: sympy.polygamma(0, x),
    "expm1": lambda x: sympy.exp(x) - 1,
    "hypot": lambda a, b: sympy.sqrt(a**2 + b**2),
    "log10": lambda x: sympy.log(x) / sympy.log(10),
    "log1p": lambda x: sympy.log(1 + x),
    "radians": lambda x: x * sympy.pi / 180,
}
# Forms of rows whose twins want plain numbers.
OWN_FORMS: dict[str, Callable[..., Any]] = {
    "ldexp": lambda mp, a, b: a * mp.mpf(2) ** mp.floor(b),
    "round_to": lambda mp, a, b: Symbolic(a.case, a.case.step("round", a.expr)),
    "take": lambda mp, i, *xs: next((x for k, x in enumerate(xs[:-1], 1) if i < k), xs[-1]),
}


def form(op: Op) -> Callable[..., Any]:
    """A row's value as a formula of terms, which gets a context first.

    Raises:
        Unreadable: when it is called: it computes with floats only.
    """
    if op not in BUILTIN:
        return lambda mp, *xs: followed(op.value, xs)
    if op.name in NAMESAKES:
        return lambda mp, *xs: getattr(mp, op.name)(*xs)
    return OWN_FORMS.get(op.name) or TWINS[op.name]


# --- functions of floats ----------------------------------------------------------


class Mathematics:
    """In the place of the module `math` in a function of floats: the same functions of terms."""

    def __getattr__(self, name: str) -> Any:
        if name in ("isfinite", "isnan", "isinf"):
            return lambda x: name == "isfinite"
        return getattr(rows, name)


def followed(value: Callable[..., Any], xs: Sequence[Any]) -> Any:
    """A function of floats, called with terms; Python's `math` in it is the table's.

    Raises:
        Unreadable: it wants floats.
    """
    try:
        return followed_function(value)(*xs)
    except (Unreadable, ImportError):
        raise
    except Exception as error:
        raise Unreadable("its value computes with floats") from error


def followed_function(value: Any, depth: int = 0) -> Any:
    """What stands for a function or module in a formula of terms."""
    value = getattr(value, "__wrapped__", value)
    if value is math:
        return Mathematics()
    if getattr(value, "__module__", None) == "math":
        return getattr(Mathematics(), value.__name__)
    if isinstance(value, types.FunctionType) and depth < 8:
        code = value.__code__
        names = {
            name: value.__globals__[name] for name in _names_in(code) if name in value.__globals__
        }
        changed = {name: followed_function(x, depth + 1) for name, x in names.items()}
        cells = tuple(
            types.CellType(followed_function(c.cell_contents, depth + 1)) for c in _cells(value)
        )
        if value.__module__ != __name__ and not value.__module__.startswith("miniflow."):
            return types.FunctionType(
                code, {**value.__globals__, **changed}, value.__name__, value.__defaults__, cells
            )
    return value


def _names_in(code: types.CodeType) -> Iterator[str]:
    """The names that code asks for, those of functions inside of it, too."""
    yield from code.co_names
    for x in code.co_consts:
        if isinstance(x, types.CodeType):
            yield from _names_in(x)


def _cells(value: types.FunctionType) -> tuple[Any, ...]:
    return value.__closure__ or ()


# --- all cases --------------------------------------------------------------------


def cases(
    symbols: Sequence[Any], domain: Sequence[Interval], f: Callable[[FormulaCase], Any]
) -> list[tuple[FormulaCase, Any]]:
    """A formula in all its cases, each with what it answers.

    Raises:
        Unreadable: it computes with floats, or has too many cases.
    """
    found, waiting = [], [()]  # type: tuple[list[Any], list[tuple[bool, ...]]]
    while waiting:
        if len(found) == MOST_CASES:
            raise Unreadable(f"more than {MOST_CASES} cases")
        plan = waiting.pop()
        case = FormulaCase(symbols, domain, plan)
        found.append((case, f(case)))
        for k in range(len(plan), len(case.answers)):
            waiting.append((*case.answers[:k], not case.answers[k]))
    return found
