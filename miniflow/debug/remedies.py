"""Safer forms: what to write instead of what has led to a NaN.

Each remedy is a rule: whether it fits a case, and what it says. The first one that fits counts.
"""

from collections.abc import Callable, Sequence
from math import inf, isinf
from typing import NamedTuple

from miniflow.debug.autopsy import Backward, birth
from miniflow.debug.wording import Words, digits
from miniflow.ops import constant


class Case(NamedTuple):
    """What a remedy looks at.

    Attributes:
        words: the table, and what its entries are called.
        n: the entry at which the NaN was born, forward, or through which the sweep went.
        back: the contribution that is bad; None forward.
        grown: results of the last sweeps, where they explode.
        passed: what the sweep has handed back before.
    """

    words: Words
    n: int
    back: Backward | None = None
    grown: Sequence[float] = ()
    passed: Sequence[Backward] = ()

    def op(self, n: int) -> str:
        """The name of the operation of an entry."""
        return self.words.table.op(n).name

    def operands(self, n: int) -> tuple[int, ...]:
        """The operands of an entry."""
        return self.words.table.operands(n)

    def value(self, n: int) -> float:
        """The number of an entry."""
        return self.words.table.value_of(n)

    def is_given(self, n: int) -> bool:
        """Whether an entry is a leaf or a plain number."""
        return not self.operands(n)

    def called(self, n: int) -> str:
        """What to write for an entry in code."""
        return self.words.name(n) or ("x" if self.operands(n) else self.words.number(n))

    def roots(self, n: int) -> list[int]:
        """The entries that entry n comes from, itself included."""
        return self.words.table.reached([n])

    def made_by(self, n: int, *names: str) -> int:
        """The nearest entry of an operation of those names that n comes from; -1 if none."""
        return next((x for x in self.roots(n) if self.op(x) in names), -1)

    def infinite(self) -> int:
        """Where an infinite operand of n was born; -1 if none is."""
        found = [x for x in self.operands(self.n) if isinf(self.value(x))]
        return birth(self.words.table, found[0])[0] if found else -1


Remedy = Callable[[Case], str]


def remedy(case: Case) -> str:
    """What to do instead; "" if nothing is known."""
    return next(filter(None, (rule(case) for rule in REMEDIES)), "")


# --- training -------------------------------------------------------------------


def _exploded(case: Case) -> str:
    if not case.grown:
        return ""
    numbers = ", ".join(map(digits, case.grown))
    return (
        f"take a smaller learning rate: the results of the last sweeps were {numbers}, each far "
        "larger than the one before."
    )


def _never_computed(case: Case) -> str:
    if case.back or not case.is_given(case.n):
        return ""
    name = case.called(case.n)
    if case.words.table.op(case.n) is constant:
        return "look where the plain number comes from: it was nan before it met a Value."
    return f"look where {name} was set: nothing on the tape has computed it."


# --- exponentials ---------------------------------------------------------------


def _overflowed(case: Case) -> int:
    """The exponential that overflowed on the way to the NaN; -1 if none did."""
    for x in case.roots(case.n):
        if case.op(x) in ("exp", "exp2", "expm1") and case.value(x) == inf:
            return x
    return -1


def _own_sigmoid(case: Case) -> str:
    """The exponential overflows in a sigmoid or softmax that was written by hand."""
    e = _overflowed(case)
    if e < 0:
        return ""
    users = _users(case, e)
    with_one = [
        u for u in users if case.op(u) == "add" and 1.0 in map(case.value, _others(case, u, e))
    ]
    x = case.called(case.operands(e)[0])
    if with_one:
        x = (
            x
            if case.op(case.operands(e)[0]) != "neg"
            else case.called(case.operands(case.operands(e)[0])[0])
        )
        return f"math.sigmoid({x}), which never takes the exponential of a large number."
    if case.op(case.n) == "div":
        return (
            "math.softmax(xs), which subtracts the largest number first; math.log_softmax(xs) "
            "where its logarithm is wanted."
        )
    return ""


def _users(case: Case, n: int) -> list[int]:
    """What uses an entry, on the way to the end of the tape."""
    table = case.words.table
    return [u for u in range(n + 1, table.count) if n in table.operands(u)]


def _others(case: Case, u: int, n: int) -> list[int]:
    return [x for x in case.operands(u) if x != n]


def _underflowed(case: Case) -> str:
    """The logarithm of a probability that has become 0."""
    steep = [s.n for s in case.passed if isinf(s.slope)]
    found = [n for n in (case.n, case.infinite(), *steep) if n >= 0]
    n = next((n for n in found if case.op(n) in LOGARITHMS), -1)
    if n < 0:
        return ""
    e = case.made_by(n, "exp", "sigmoid", "softmax")
    if e < 0 or case.value(case.operands(n)[0]) != 0.0:
        return ""
    if case.op(e) == "sigmoid":
        x = case.called(case.operands(e)[0])
        return (
            f"math.logsigmoid({x}) for the logarithm of a sigmoid, that of 1 - sigmoid with the "
            "other sign; nn.bce_with_logits is made of them."
        )
    return (
        "keep the logarithm: log(exp(x)) is x, the logarithm of a softmax is "
        "math.log_softmax(xs), and that of a sum of exponentials math.logsumexp(xs)."
    )


LOGARITHMS = ("log", "log2", "log10")


def _beyond_floats(case: Case) -> str:
    e = _overflowed(case)
    if e < 0:
        return ""
    return (
        f"keep the exponent of exp below 709, where floats end: here it is "
        f"{digits(case.value(case.operands(e)[0]))}."
    )


# --- products, quotients --------------------------------------------------------


def _zero_times_log(case: Case) -> str:
    """0 * log(0), of a number with its own logarithm, or of a mask."""
    n = case.infinite()
    if case.back or case.op(case.n) not in ("mul", "dot") or n < 0:
        return ""
    factors = [x for x in case.operands(case.n) if case.value(x) == 0.0]
    inner = case.operands(n)
    if case.op(n) in LOGARITHMS and set(factors) & set(inner):
        p = case.called(inner[0]) if case.words.name(inner[0]) else "p"
        log = case.op(n)
        return f"math.where({p}, {p} * math.{log}({p}), 0.0): the limit at 0 is 0."
    if not factors:
        return ""
    mask = case.words.name(factors[0]) or "mask"
    formula = case.words.formula(n)
    return (
        f"math.where({mask}, {_qualified(formula)}, 0.0): what is not selected counts for nothing, "
        "forward and back, whatever it is."
    )


def _qualified(formula: str) -> str:
    return f"math.{formula}" if formula[:1].isalpha() and "(" in formula else formula


def _zero_by_zero(case: Case) -> str:
    if case.op(case.n) != "div":
        return ""
    below = case.operands(case.n)[1]
    if case.value(below) != 0.0:
        return ""
    if case.words.table.op(below) is constant:
        return (
            "do not divide by 0: the divisor is a plain number. A variance needs two numbers "
            "at least."
        )
    if case.made_by(below, "sqrt", "hypot") >= 0:
        return (
            "a vector of length 0 has no direction; say what it shall be, as in "
            "math.where(length, product / math.where(length, length, 1.0), 0.0)."
        )
    y = case.called(below)
    return f"math.where({y}, a / math.where({y}, {y}, 1.0), 0.0), if the quotient shall be 0 there."


# --- roots, powers, angles ------------------------------------------------------


def _root_of_zero(case: Case) -> str:
    """The infinite slope of a root at 0."""
    if not case.back:
        return ""
    chain = [case.back, *[s for s in case.passed if isinf(s.slope)]]
    n = next((s.n for s in chain if case.op(s.n) == "sqrt" and case.value(s.n) == 0.0), -1)
    if n < 0:
        return ""
    inner = case.operands(n)[0]
    if (
        case.op(inner) in ("add", "sum", "dot", "fma")
        and case.made_by(inner, "mul", "pow", "dot") >= 0
    ):
        return "math.hypot(x, y), or linalg.norm(xs): the slope of a length at 0 is 0."
    if case.op(inner) in ("mul", "pow"):
        return "abs(x) for sqrt(x * x): its slope at 0 is 0."
    x = case.called(inner)
    return (
        f"math.where({x}, math.sqrt({x}), 0.0), if the slope at 0 shall be 0: that of sqrt is "
        "infinite there."
    )


def _negative_base(case: Case) -> str:
    if case.op(case.n) != "pow" or not case.value(case.operands(case.n)[0]) <= 0:
        return ""
    base, exponent = case.operands(case.n)
    x, b = case.called(base), case.value(exponent)
    if case.back:
        return (
            f"give the exponent as a plain number, {digits(b)}: then nobody asks for the slope by "
            "it, which is a logarithm of the base."
        )
    if abs(b - 1 / 3) < 1e-9:
        return f"math.cbrt({x}), the real cube root."
    return f"abs({x}) ** {digits(b)}, or the same with the sign of {x}, by math.copysign."


def _outside(case: Case) -> str:
    """Rounding has left a cosine just outside of where its angle is defined."""
    name = case.op(case.n)
    if name not in ("acos", "asin", "atanh", "sqrt", "log", "acosh") or case.back:
        return ""
    x = case.value(case.operands(case.n)[0])
    called = case.called(case.operands(case.n)[0])
    if name in ("acos", "asin") and 1 < abs(x) < 1 + 1e-6:
        return (
            f"math.{name}(math.maximum(-1.0, math.minimum({called}, 1.0))): rounding has left "
            f"it {digits(abs(x) - 1)} outside. math.atan2(sine, cosine) needs no care at all."
        )
    if name == "sqrt" and -1e-6 < x < 0:
        return f"math.sqrt(math.maximum({called}, 0.0)): rounding has left it just below 0."
    if name in LOGARITHMS and x <= 0:
        return (
            f"look why {called} is {digits(x)}: a logarithm takes what is positive. Where `where` "
            "selects something else, write it inside of that: then it does not count."
        )
    return ""


def _compiled(case: Case) -> str:
    name = case.op(case.n)
    if not name.startswith(("jit(", "vmap(")):
        return ""
    how, _, inside = name[:-1].partition("(")
    return f"call {inside} itself, without {how}, to see which operation it is."


REMEDIES: list[Remedy] = [
    _compiled, _exploded, _never_computed, _underflowed, _own_sigmoid, _zero_times_log,
    _zero_by_zero, _root_of_zero, _negative_base, _outside, _beyond_floats,
]  # fmt: skip
