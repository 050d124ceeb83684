"""The operation table: one row for each differentiable primitive.

A row gives an operation's value and, for each operand, a formula for the
partial derivative dy/dx. A formula sees the operands and the result ``y``. It is
written in the table's own operations and never branches, so the same row serves
plain numbers, Values and recorded programs, to any order of differentiation.

Numbers are IEEE 754 doubles: infinities and NaNs propagate, nothing raises. In
formulas ``div`` and ``pow`` stand for ``/`` and ``**``, which raise in Python.

Conventions at kinks, stated once:
    abs'(0) = sign(0) = step(0) = relu'(0) = 0; where a function is flat, the
    derivative is 0; a tie of maximum or minimum gives half to each side;
    d(a**b)/da = 0 at b = 0, d(a**b)/db = 0 at a = 0 < b; hypot'(0, 0) = 0.
"""

import math
import operator
from collections.abc import Callable, Sequence
from keyword import iskeyword
from numbers import Complex, Real
from typing import Any

inf, nan = math.inf, math.nan

LOG2E = 1 / math.log(2)
LOG10E = 1 / math.log(10)
LN2 = math.log(2)
TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
ONE_OVER_ROOT_TWO_PI = 1 / math.sqrt(2 * math.pi)
ROOT_HALF = math.sqrt(0.5)
ROOT_HALF_TAIL = -4.833646656726457e-17  # sqrt(1/2) - ROOT_HALF

Interval = tuple[float, float]

FAR = 1e3  # exp(-FAR) is 0

REAL = (-inf, inf)
POSITIVE = (0.0, inf)
UNIT = (-1.0, 1.0)


OTHER = 3  # the code of operations that are in no table: a compiled function's results


class Op:
    """One row of the table, and the function that it defines.

    Called with plain numbers it returns a float; called with at least one Value
    it records one entry and returns a Value.

    Attributes:
        name: the row's name, unique in the table.
        value: the operation on floats.
        partials: for each operand a formula ``(*operands, y)``, a number where it is
            constant, or None where the operation is flat; for a variadic operation
            the single formula ``(k, operands, y)`` for operand k.
        arity: the number of operands; -1 for any number (at least one).
        symbol: what diagrams write; the name where there is no usual sign.
        domain: for each operand the interval in which the value is finite.
        defaults: values of the last operands when they are left out.
        code: its place in ROWS, if it has one there.
    """

    __slots__ = ("arity", "code", "defaults", "domain", "name", "partials", "symbol", "value")

    def __init__(
        self,
        name: str,
        value: Callable[..., float],
        partials: tuple[Any, ...],
        arity: int,
        symbol: str = "",
        domain: tuple[Interval, ...] = (),
        defaults: tuple[float, ...] = (),
    ) -> None:
        self.name = name
        self.value = value
        self.partials = partials
        self.arity = arity
        self.symbol = symbol or name
        self.domain = domain
        self.defaults = defaults
        self.code = OTHER

    def __call__(self, *operands: Any) -> Any:
        if len(operands) != self.arity:
            operands = self.complete(operands)
        for x in operands:
            if type(x) is not float:
                return self.mixed(operands)
        return self.value(*operands)

    def mixed(self, operands: tuple[Any, ...]) -> Any:
        """The operation on operands that are not all floats."""
        for x in operands:
            if recorded(x):
                return x._record(self, operands)
        return self.value(*[real(x, self.name) for x in operands])

    def complete(self, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        """The operands with defaults filled in; TypeError where the count is wrong."""
        if self.arity < 0:
            if operands:
                return operands
            raise TypeError(f"{self.name}: no operands")
        missing = self.arity - len(operands)
        if 0 <= missing <= len(self.defaults):
            return operands + self.defaults[len(self.defaults) - missing :]
        raise TypeError(f"{self.name}: takes {self.arity} operands, got {len(operands)}")

    def follows(self, k: int) -> bool:
        """Whether operand k has a partial at all, rather than a flat one."""
        return self.arity < 0 or self.partials[k] is not None

    def number(self, *operands: float) -> float:
        """The value on floats, if it is a real number."""
        y = self.value(*operands)
        return y if type(y) is float else real(y, f"the value of {self.name}")

    def advice(self) -> str:
        """What to say where a row's function raises."""
        return (
            f"in operation {self.name}: its value and its partials must not raise; in them, use "
            "div, pow, log ... and where of miniflow.ops instead of / and **, and math's functions"
        )

    @property
    def __name__(self) -> str:
        return self.name

    def partial(self, k: int, operands: Sequence[Any], y: Any) -> Any:
        """dy/d(operand k), where `y` is the value at `operands`."""
        try:
            if self.arity < 0:
                return self.partials[0](k, operands, y)
            rule = self.partials[k]
            return rule(*operands, y) if callable(rule) else rule or 0.0
        except ArithmeticError as error:
            error.add_note(self.advice())
            raise

    def __repr__(self) -> str:
        return f"<operation {self.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return _row, (self.name,)


def _row(name: str) -> Op:
    """The row called `name`: what a pickled Op refers to."""
    return TABLE[name]


TABLE: dict[str, Op] = {}
ROWS: list[Op] = []  # the table's rows by their codes, and what else stands on a tape
RESERVED: set[str] = set()  # names that a row cannot have: the engine adds Value's attributes


def recorded(x: Any) -> bool:
    """Whether operations on `x` are recorded: a Value's are."""
    return hasattr(type(x), "_record")


def real(x: Any, what: str = "data") -> float:
    """The real number `x` as a float.

    Python and NumPy numbers, fractions and decimals are real numbers; strings,
    complex numbers, None and arrays are not.

    Raises:
        TypeError: `x` is not a real number; the message begins with `what`.
        OverflowError: `x` is an int or fraction beyond the floats.
    """
    try:
        if isinstance(x, (float, int, Real)):
            return float(x)
        scalar = hasattr(type(x), "__float__") and not hasattr(x, "__len__")
        if scalar and not isinstance(x, Complex) and not recorded(x):
            return float(x)
    except OverflowError as error:
        raise OverflowError(f"{what}: a number too large for a float") from error
    raise TypeError(f"{what}: {x!r:.60} is a {type(x).__name__}, not a real number{_remedy(x)}")


def _remedy(x: Any) -> str:
    if recorded(x):
        return "; pass its .data, or use the Value itself"
    if isinstance(x, str):
        return "; convert it with float()"
    if isinstance(x, Complex):
        return "; pass its .real and .imag separately"
    if getattr(x, "ndim", 1) == 0:
        return "; take its .item()"
    if hasattr(x, "__len__"):
        return "; take its elements one by one"
    return ""


def define(
    name: str,
    value: Callable[..., float],
    *partials: Any,
    each: Callable[..., Any] | None = None,
    symbol: str = "",
    domain: tuple[Interval, ...] = (),
    defaults: tuple[float, ...] = (),
    row: type[Op] = Op,
) -> Op:
    """Add a row to the table and return the function that it defines.

    Args:
        name: the row's name, a new Python identifier.
        value: the operation on floats; returns a float and never raises.
        partials: for each operand dy/doperand: a formula ``(*operands, y)``, a number
            where it is constant, None where the operation is flat.
        each: instead of `partials`, for any number of operands:
            ``each(k, operands, y)`` is dy/d(operand k).
        symbol: what diagrams write for it; its name where there is no usual sign.
        domain: for each operand an interval ``(low, high)``; the reals if left out.
        defaults: the last operands' values when they are left out of a call.
        row: the class of the row.

    Raises:
        ValueError: the name is taken or no identifier, or there are no partials.

    Example:
        >>> cube = define("cube", lambda x: x * x * x, lambda x, y: 3 * x * x)
        >>> cube(2.0)
        8.0
        >>> del TABLE["cube"]
    """
    if name in TABLE or name in RESERVED or not name.isidentifier() or iskeyword(name):
        raise ValueError(f"define: {name!r} is taken or no identifier; choose another name")
    if bool(partials) == bool(each):
        raise ValueError(f"define: {name}: give one partial for each operand, or each=")
    arity = -1 if each else len(partials)
    rules = tuple(
        rule if rule is None or callable(rule) else real(rule, f"define: {name}: partial")
        for rule in (partials or (each,))
    )
    domain = domain or (REAL,) * len(rules)
    op = _numbered(row(name, value, rules, arity, symbol, domain, defaults))
    TABLE[name] = op
    return op


def _numbered(op: Op) -> Op:
    """The operation, with a code of its own."""
    op.code = len(ROWS)
    ROWS.append(op)
    return op


def _nothing(*operands: float) -> float:
    return nan


# What stands on a tape and is no operation; a row that has never been used is a constant's.
constant = _numbered(Op("constant", _nothing, (), 0))
leaf = _numbered(Op("leaf", _nothing, (), 0))
shared = _numbered(Op("shared", _nothing, (), 0))  # another thread's leaf, as one tape sees it
_numbered(Op("other", _nothing, (_nothing,), -1))


def ieee(f: Callable[..., Any], limit: Callable[..., float] = lambda *xs: nan) -> Any:
    """The standard `f`, answering `limit` where math raises: at poles and on overflow."""

    def value(*xs: float) -> float:
        try:
            return f(*xs)  # type: ignore[no-any-return]
        except (ValueError, OverflowError):
            return limit(*xs)

    return value


def _infinite(x: float) -> float:
    return inf


def _signed_infinite(x: float, *_: float) -> float:
    return math.copysign(inf, x)


# --- arithmetic ---------------------------------------------------------------


def _div(a: float, b: float) -> float:
    if b:
        return a / b
    return math.copysign(inf, a) * math.copysign(1.0, b) if a and a == a else nan


def _power(a: float, b: float) -> float:
    if b == 2.0:
        return a * a  # rounded once, which libraries do not promise
    try:
        return math.pow(a, b)
    except (ValueError, OverflowError):
        return _pow_limit(a, b)


def _pow_limit(a: float, b: float) -> float:
    if a < 0 and b % 1:
        return nan
    return math.copysign(inf, a) if b % 2 == 1 else inf


def choose(c: Any, formula: Callable[[], Any], other: Callable[[], Any]) -> Any:
    """`where`, of two formulas: of a plain condition only the chosen one is evaluated."""
    if recorded(c):
        return where(c, formula(), other())
    return formula() if c else other()


def _pow_by_base(a: Any, b: Any, y: Any) -> Any:
    # between 1/2 and 2**53 b - 1 is exact; elsewhere y/a keeps the digits that it would lose
    if not recorded(b) and 0.5 <= b <= 2.0**53:
        return b * pow(a, b - 1.0)
    small, huge = less(b, 0.5), less(2.0**53, b)
    return choose(
        small,
        lambda: _small_power_slope(a, b, y),
        lambda: choose(
            huge,
            lambda: b * div(y, where(huge, a, 1.0)),
            lambda: b * pow(where(small, 1.0, a), b - 1.0),
        ),
    )


def _small_power_slope(a: Any, b: Any, y: Any) -> Any:
    """The product b * a**(b - 1), and 0 for b = 0 wherever a is."""
    ordinary = less(0.0, absolute(a)) * less(absolute(a), inf)
    base = where(equal(b, 0.0) * (1.0 - ordinary), 1.0, a)
    power = pow(where(ordinary, 1.0, base), b - 1.0)
    return where(ordinary, div(b * y, where(ordinary, a, 1.0)), b * power)


add = define("add", operator.add, 1.0, 1.0, symbol="+")
sub = define("sub", operator.sub, 1.0, -1.0, symbol="-")
mul = define("mul", operator.mul, lambda a, b, y: b, lambda a, b, y: a, symbol="*")
div: Op = define("div", _div, lambda a, b, y: div(1.0, b), lambda a, b, y: -div(y, b), symbol="/")
pow = define(
    "pow",
    _power,
    _pow_by_base,
    lambda a, b, y: y * log(where(y, a, 1.0)),
    symbol="**",
    domain=(POSITIVE, REAL),
)
neg = define("neg", operator.neg, -1.0, symbol="-")
stop_gradient = define("stop_gradient", operator.pos, None)
pos = define("pos", operator.pos, 1.0, symbol="+")
absolute = define("abs", abs, lambda x, y: sign(x))


def _floordiv(a: float, b: float) -> float:
    return a // b if b else _div(a, b)


def _mod(a: float, b: float) -> float:
    return a % b if b else nan


def _fma(a: float, b: float, c: float) -> float:
    """The sum a*b + c, rounded once (math.fma is only there from Python 3.13 on)."""
    from fractions import Fraction  # slow to import, seldom used

    if not (math.isfinite(a) and math.isfinite(b)):
        return a * b + c
    if not math.isfinite(c):  # a product that overflows is finite all the same
        return c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    try:
        return float(exact) if exact else a * b + c
    except OverflowError:
        return inf if exact > 0 else -inf


floordiv = define("floordiv", _floordiv, None, None, symbol="//")
mod = define("mod", _mod, 1.0, lambda a, b, y: -floordiv(a, b), symbol="%")
fma = define("fma", _fma, lambda a, b, c, y: b, lambda a, b, c, y: a, 1.0)
fmod = define("fmod", ieee(math.fmod), 1.0, lambda a, b, y: -rint(div(a, b) - div(y, b)))
remainder = define(
    "remainder", ieee(math.remainder), 1.0, lambda a, b, y: -rint(div(a, b) - div(y, b))
)


# --- steps: flat, except where they jump --------------------------------------


def _whole(f: Callable[[float], int]) -> Callable[[float], float]:
    """`f` as C has it: a float, with the sign of `x`; infinities and NaN unchanged."""

    def value(x: float) -> float:
        return math.copysign(float(f(x)), x) if math.isfinite(x) else x

    return value


def _round_to(x: float, digits: float) -> float:
    return round(x, int(digits)) if math.isfinite(x) and math.isfinite(digits) else x


floor = define("floor", _whole(math.floor), None)
ceil = define("ceil", _whole(math.ceil), None)
trunc = define("trunc", _whole(math.trunc), None)
rint: Op = define("rint", _whole(round), None, symbol="round")
round_to = define("round_to", ieee(_round_to, _signed_infinite), None, None, symbol="round")
less = define("less", lambda a, b: 1.0 if a < b else 0.0, None, None, symbol="<")
equal = define("equal", lambda a, b: 1.0 if a == b else 0.0, None, None, symbol="==")
step = define("step", lambda x: 1.0 if x > 0 else x if x != x else 0.0, None)
sign: Op = define("sign", lambda x: 1.0 if x > 0 else -1.0 if x < 0 else x + 0.0, None)


# --- choices ------------------------------------------------------------------


def _share(chosen: Any, other: Any) -> Any:
    """The part of `chosen` in a maximum: 1, 0, a half in a tie."""
    return where(equal(chosen, other), 0.5, step(chosen - other))


class Select(Op):
    """`where`: a condition that is a plain number selects at once, recording nothing."""

    __slots__ = ()

    def mixed(self, operands: tuple[Any, ...]) -> Any:
        condition, chosen, other = operands
        if recorded(condition):
            return super().mixed(operands)
        selected = chosen if real(condition, "where") else other
        return selected if recorded(selected) else real(selected, "where")


where: Op = define(
    "where",
    lambda c, a, b: a if c else b,
    None,
    lambda c, a, b, y: where(c, 1.0, 0.0),
    lambda c, a, b, y: where(c, 0.0, 1.0),
    row=Select,
)
maximum = define(
    "maximum",
    lambda a, b: a if a >= b or a != a else b,
    lambda a, b, y: _share(a, b),
    lambda a, b, y: _share(b, a),
    symbol="max",
)
minimum = define(
    "minimum",
    lambda a, b: a if a <= b or a != a else b,
    lambda a, b, y: _share(b, a),
    lambda a, b, y: _share(a, b),
    symbol="min",
)
copysign: Op = define("copysign", math.copysign, lambda a, b, y: sign(a) * copysign(1.0, b), None)


def _ldexp(x: float, i: float) -> float:
    return math.ldexp(x, int(i)) if math.isfinite(i) else x * 2.0**i


ldexp: Op = define("ldexp", ieee(_ldexp, _signed_infinite), lambda x, i, y: ldexp(1.0, i), None)


# --- exponentials, logarithms, powers -----------------------------------------


def _log_limit(x: float) -> float:
    return nan if x < 0 else -inf


def _hypot_limit(a: float, b: float) -> float:
    # abs of a complex NaN raises, too, if an earlier operation has overflowed
    unknown = (a != a or b != b) and not math.isinf(a) and not math.isinf(b)
    return nan if unknown else inf


def _cbrt_slope(x: Any, y: Any) -> Any:
    # math.cbrt is off by up to 4 ulp: one Newton step, where there is one to take
    ratio = div(div(div(x, y), y), y)
    ratio = where(less(0.0, absolute(x)) * less(absolute(x), inf), ratio, 1.0)
    return div(div(1.0, 3.0 * y), y) * (1.0 - (ratio - 1.0) * (2 / 3))


exp = define("exp", ieee(math.exp, _infinite), lambda x, y: y)
exp2 = define("exp2", ieee(math.exp2, _infinite), lambda x, y: LN2 * y)
expm1 = define("expm1", ieee(math.expm1, _infinite), lambda x, y: exp(x))
log: Op = define("log", ieee(math.log, _log_limit), lambda x, y: div(1.0, x), domain=(POSITIVE,))
log2 = define("log2", ieee(math.log2, _log_limit), lambda x, y: div(LOG2E, x), domain=(POSITIVE,))
log10 = define(
    "log10", ieee(math.log10, _log_limit), lambda x, y: div(LOG10E, x), domain=(POSITIVE,)
)
log1p = define(
    "log1p",
    ieee(math.log1p, lambda x: -inf if x == -1 else nan),
    lambda x, y: div(1.0, 1.0 + x),
    domain=((-1.0, inf),),
)
sqrt = define("sqrt", ieee(math.sqrt), lambda x, y: div(0.5, y), domain=(POSITIVE,))
cbrt = define("cbrt", math.cbrt, _cbrt_slope)
hypot = define(
    "hypot",
    ieee(lambda a, b: abs(complex(a, b)), _hypot_limit),
    lambda a, b, y: unit(a, b),
    lambda a, b, y: unit(b, a),
)


def _unit(a: Any, b: Any) -> Any:
    infinite = equal(absolute(a), inf) * less(absolute(b), inf)
    scale = _scale(maximum(absolute(a), absolute(b)))
    length = hypot(a * scale, b * scale)
    cosine = div(where(infinite, 1.0, a * scale), where(length, length, 1.0))
    return where(infinite, sign(a), cosine)


def _scale(size: Any) -> Any:
    """A power of 2 that keeps lengths of that size from overflowing and losing digits."""
    return where(less(size, 1e-280), 2.0**600, where(less(1e280, size), 2.0**-600, 1.0))


def _over_length(x: Any, a: Any, b: Any, factor: Any = 1.0) -> Any:
    """The quotient factor * x / hypot(a, b)."""
    scale = _scale(maximum(absolute(a), absolute(b)))
    return factor * div(x, hypot(a * scale, b * scale)) * scale


unit: Op = define(  # a / hypot(a, b): the cosine of the angle at the origin
    "unit",
    _unit,
    lambda a, b, y: _over_length(unit(b, a), a, b, unit(b, a)),
    lambda a, b, y: -_over_length(unit(b, a), a, b, y),
)


# --- trigonometry -------------------------------------------------------------

sin = define("sin", ieee(math.sin), lambda x, y: cos(x))
cos: Op = define("cos", ieee(math.cos), lambda x, y: -sin(x))
tan = define("tan", ieee(math.tan), lambda x, y: 1.0 + y * y)
complement = define(  # 1 - x*x: a row, so that its slope does not cancel
    "complement", lambda x: (1.0 - x) * (1.0 + x), lambda x, y: -2.0 * x
)
asin = define("asin", ieee(math.asin), lambda x, y: div(1.0, sqrt(complement(x))), domain=(UNIT,))
acos = define("acos", ieee(math.acos), lambda x, y: div(-1.0, sqrt(complement(x))), domain=(UNIT,))
atan = define("atan", math.atan, lambda x, y: unit(1.0, x) * unit(1.0, x))
atan2 = define(
    "atan2",
    math.atan2,
    lambda a, b, y: _over_length(_cosine(b, a), a, b),
    lambda a, b, y: -_over_length(_cosine(a, b), a, b),
)


def _cosine(a: Any, b: Any) -> Any:
    """What `unit` is, but nan at the origin, where atan2 jumps."""
    return where(absolute(a) + absolute(b), unit(a, b), nan)


degrees = define("degrees", math.degrees, lambda x, y: 180.0 / math.pi)
radians = define("radians", math.radians, lambda x, y: math.pi / 180.0)

sinh = define("sinh", ieee(math.sinh, _signed_infinite), lambda x, y: cosh(x))
cosh: Op = define("cosh", ieee(math.cosh, _infinite), lambda x, y: sinh(x))
tanh = define("tanh", math.tanh, lambda x, y: 1.0 - y * y)
asinh = define("asinh", math.asinh, lambda x, y: unit(1.0, x))
acosh = define(
    "acosh",
    ieee(math.acosh),
    lambda x, y: div(1.0, sqrt(x - 1.0) * sqrt(x + 1.0)),
    domain=((1.0, inf),),
)
atanh = define(
    "atanh",
    ieee(math.atanh, lambda x: math.copysign(inf, x) if abs(x) == 1 else nan),
    lambda x, y: div(1.0, complement(x)),
    domain=(UNIT,),
)


# --- the normal distribution and the gamma function ---------------------------


def bounded(x: Any) -> Any:
    """`x`, or a bound where its exponential is 0 or infinite: so 0 * x is never nan."""
    return maximum(minimum(x, FAR), -FAR)


def _high(x: Any) -> Any:
    """`x` to its upper 26 bits, whose square is exact (Veltkamp's splitting)."""
    return 134217729.0 * x - (134217729.0 * x - x)


def _gaussian(x: Any, c: float) -> Any:
    # for c = 1 or 1/2; exp(-c*x*x) would magnify the rounding of x*x by c*x*x,
    # so what that lost is computed (Dekker's product) and put back to first order
    x = minimum(absolute(x), 40.0)
    square, z = x * x, _high(x)
    tail = x - z
    lost = ((z * z - square) + 2.0 * (z * tail)) + tail * tail
    main = exp(-c * square)
    return main - main * (c * lost)


def _normal_cdf(x: Any) -> Any:
    # erfc at -x/sqrt(2), corrected to first order for the rounding of that product
    x = maximum(minimum(x, 40.0), -40.0)
    z, high, root = x * ROOT_HALF, _high(x), _high(ROOT_HALF)
    low, tail = x - high, ROOT_HALF - root
    lost = ((high * root - z) + high * tail + low * root) + low * tail + x * ROOT_HALF_TAIL
    return 0.5 * (erfc(-z) + TWO_OVER_ROOT_PI * gaussian(z) * lost)


def digamma(x: Any) -> Any:
    """The logarithmic derivative of the gamma function, for a number or a Value.

    Source: Abramowitz & Stegun, 6.3.6 (recurrence), 6.3.7 (reflection) and
    6.3.18 (asymptotic series, at 12 or more).
    """
    low = less(x, 0.5)
    a = where(low, 1.0 - x, x)
    far = less(12.0, a)
    b = where(far, a, a + 12.0)
    steps = 0.0
    for k in range(11, -1, -1):
        steps = steps - div(1.0, where(far, inf, a + k))
    r = div(1.0, b) * div(1.0, b)
    tail = 0.0
    for coefficient in (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
        tail = r * (coefficient + tail)
    value = (log(b) - div(0.5, b) - tail) + steps
    # reduced first: pi*x loses the digits that tan near a pole needs
    turn = where(low, x - rint(x), 0.25)
    return where(low, value - div(math.pi, tan(math.pi * turn)), value)


def _gamma_limit(x: float) -> float:
    return nan if x == -inf or (x < 0 and x == math.floor(x)) else math.copysign(inf, x)


gaussian = define("gaussian", lambda x: _gaussian(x, 1.0), lambda x, y: -2.0 * bounded(x) * y)
normal_pdf = define(
    "normal_pdf",
    lambda x: ONE_OVER_ROOT_TWO_PI * _gaussian(x, 0.5),
    lambda x, y: -bounded(x) * y,
)
normal_cdf = define("normal_cdf", _normal_cdf, lambda x, y: normal_pdf(x))
erf = define("erf", math.erf, lambda x, y: TWO_OVER_ROOT_PI * gaussian(x))
erfc = define("erfc", math.erfc, lambda x, y: -TWO_OVER_ROOT_PI * gaussian(x))
gamma = define(
    "gamma", ieee(math.gamma, _gamma_limit), lambda x, y: y * digamma(x), domain=((0.0, 171.0),)
)
lgamma = define(
    "lgamma", ieee(math.lgamma, _infinite), lambda x, y: digamma(x), domain=((0.0, 1e300),)
)


# --- neural networks ----------------------------------------------------------


def _softplus(x: Any) -> Any:
    return maximum(x, 0.0) + log1p(exp(-absolute(x)))


def _difference(a: Any, b: Any) -> tuple[Any, Any]:
    """The difference a - b and what its rounding lost (Knuth's two-sum); 0 of equal infinities."""
    gap = where(equal(a, b) * equal(absolute(a), inf), 0.0, a - b)
    near = less(absolute(gap), 1e4) * less(absolute(a), inf)
    a, b = where(near, a, 0.0), where(near, b, 0.0)
    part = a - (a - b)
    return gap, (a - ((a - b) + part)) + (part - b)


def _logaddexp(a: Any, b: Any) -> Any:
    gap, lost = _difference(maximum(a, b), minimum(a, b))
    return maximum(a, b) + log1p(exp(-gap) * (1.0 - lost))


def _logaddexp_share(a: Any, b: Any) -> Any:
    """The part exp(a) / (exp(a) + exp(b))."""
    gap, lost = _difference(a, b)
    return sigmoid(gap) * (1.0 + lost * sigmoid(-gap))


relu = define("relu", lambda x: where(step(x), x, 0.0), lambda x, y: step(y))
leaky_relu = define(
    "leaky_relu",
    lambda x, slope: where(step(x), x, slope * x),
    lambda x, slope, y: where(step(x), step(x), slope),
    lambda x, slope, y: minimum(x, 0.0),
    defaults=(0.01,),
)
elu = define(
    "elu",
    lambda x, alpha: where(step(x), x, alpha * expm1(minimum(x, 0.0))),
    lambda x, alpha, y: where(step(x), step(x), alpha * exp(minimum(x, 0.0))),
    lambda x, alpha, y: expm1(minimum(x, 0.0)),
    defaults=(1.0,),
)
sigmoid = define(
    "sigmoid",
    lambda x: exp(minimum(x, 0.0)) / (1.0 + exp(-absolute(x))),
    lambda x, y: y * (1.0 - y),
)
softplus = define("softplus", _softplus, lambda x, y: sigmoid(x))
logsigmoid = define("logsigmoid", lambda x: -_softplus(-x), lambda x, y: sigmoid(-x))
logaddexp = define(
    "logaddexp",
    _logaddexp,
    lambda a, b, y: _logaddexp_share(a, b),
    lambda a, b, y: _logaddexp_share(b, a),
)
silu = define(
    "silu",
    lambda x: maximum(x, -FAR) * sigmoid(x),
    lambda x, y: sigmoid(x) * (1.0 + bounded(x) * sigmoid(-x)),
)
gelu = define(
    "gelu",
    lambda x: maximum(x, -FAR) * normal_cdf(x),
    lambda x, y: normal_cdf(x) + bounded(x) * normal_pdf(x),
)


# --- any number of operands, one entry ----------------------------------------


def _sum(*xs: float) -> float:
    total = xs[0]
    for x in xs[1:]:
        total += x
    return total


def _dot(*factors: float) -> float:
    half = len(factors) // 2
    total = factors[0] * factors[half]
    for k in range(1, half):
        total += factors[k] * factors[half + k]
    return total


class Pairs(Op):
    """`dot`: a number of factors, then the same number of other ones."""

    __slots__ = ()

    def complete(self, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(operands) % 2:
            raise TypeError(f"{self.name}: {len(operands)} operands are no pairs")
        return super().complete(operands)


sum = define("sum", _sum, each=lambda k, xs, y: 1.0)
fsum = define("fsum", ieee(lambda *xs: math.fsum(xs), _sum), each=lambda k, xs, y: 1.0)
dot = define("dot", _dot, each=lambda k, xs, y: xs[k - len(xs) // 2], row=Pairs)


BUILTIN = frozenset(TABLE.values())  # rows that are not a user's
