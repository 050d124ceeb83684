"""Operations on floats as IEEE 754 has them, where Python's own raise.

Infinities and NaNs propagate, nothing raises: ``1/0`` is inf, ``log(-1)`` is nan.
"""

import math

inf, nan = math.inf, math.nan


def signed_infinite(x: float, *_: float) -> float:
    """The limit of what grows without bound with `x`: an infinity of its sign."""
    return math.copysign(inf, x)


# --- arithmetic -----------------------------------------------------------------


def divide(a: float, b: float) -> float:
    """The quotient a / b."""
    if b:
        return a / b
    return math.copysign(inf, a) * math.copysign(1.0, b) if a and a == a else nan


def power(a: float, b: float) -> float:
    """The power a ** b."""
    if b == 2.0:
        return a * a  # rounded once, which libraries do not promise
    try:
        return math.pow(a, b)
    except (ValueError, OverflowError):
        return _power_limit(a, b)


def _power_limit(a: float, b: float) -> float:
    if a < 0 and b % 1:
        return nan
    return math.copysign(inf, a) if b % 2 == 1 else inf


def floor_divide(a: float, b: float) -> float:
    """The quotient a // b."""
    return a // b if b else divide(a, b)


def modulo(a: float, b: float) -> float:
    """The rest a % b, with the sign of b."""
    return a % b if b else nan


def fused_multiply_add(a: float, b: float, c: float) -> float:
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


# --- limits of functions --------------------------------------------------------


def log_limit(x: float) -> float:
    """The logarithm of what is not positive."""
    return nan if x < 0 else -inf


def log1p_limit(x: float) -> float:
    """The logarithm of 1 + x where that is not positive."""
    return -inf if x == -1 else nan


def atanh_limit(x: float) -> float:
    """The inverse of tanh at its poles and beyond."""
    return math.copysign(inf, x) if abs(x) == 1 else nan


def gamma_limit(x: float) -> float:
    """The gamma function at its poles, and where it overflows."""
    return nan if x == -inf or (x < 0 and x == math.floor(x)) else math.copysign(inf, x)


def hypot_limit(a: float, b: float) -> float:
    """The length of a vector that is too long, or not known."""
    # abs of a complex NaN raises, too, if an earlier operation has overflowed
    unknown = (a != a or b != b) and not math.isinf(a) and not math.isinf(b)
    return nan if unknown else inf


# --- any number of operands -----------------------------------------------------


def total(*xs: float) -> float:
    """The sum from left to right."""
    found = xs[0]
    for x in xs[1:]:
        found += x
    return found


def sum_of_products(*factors: float) -> float:
    """The dot product of the first half of the factors with the second."""
    half = len(factors) // 2
    found = factors[0] * factors[half]
    for k in range(1, half):
        found += factors[k] * factors[half + k]
    return found


def largest(*xs: float) -> float:
    """The largest, the first of equal ones; NaN if one is NaN."""
    found = xs[0]
    for x in xs[1:]:
        found = found if found >= x or found != found else x
    return found


def smallest(*xs: float) -> float:
    """The smallest, the first of equal ones; NaN if one is NaN."""
    found = xs[0]
    for x in xs[1:]:
        found = found if found <= x or found != found else x
    return found


def count_equal(x: float, *xs: float) -> float:
    """How many of `xs` are equal to `x`."""
    return float(sum([x == other for other in xs]))


def chosen(i: float, *xs: float) -> float:
    """The number at position `i` of `xs`: rounded down, the nearest one beyond the ends; or NaN."""
    return nan if i != i or not xs else xs[int(max(0.0, min(i, len(xs) - 1.0)))]
