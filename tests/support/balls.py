"""Many numbers at once, each with a bound of its error: arrays of long doubles.

They offer what `support.orders` asks of mpmath's numbers, a thousand times as fast. Where the
bound is too wide to say whether an answer is right, mpmath says it. Where a long double is no
longer than a double, that is everywhere.

Terms:
    ball     numbers (`mid`) and by how much each may be off (`rad`); nan where nothing is known

Sources: Knuth, The Art of Computer Programming, vol. 2, 4.2.2 (the exact error of a sum); NIST
Digital Library of Mathematical Functions, 5.11 and 5.15 (gamma function), 25.11.5 (zeta).
"""

import math

import numpy as np

from support.orders import tangents

ROUNDING = np.ldexp(np.longdouble(1), -np.finfo(np.longdouble).nmant - 1) * np.longdouble(1.001)
LIBRARY = 8 * ROUNDING  # of a function of the C library
SERIES = 200 * ROUNDING  # of the sums below, whose terms have one sign
SHIFT = 40  # how far the gamma function's kin are moved to where their series converge
BERNOULLI = (
    (1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510),
    (43867, 798), (-174611, 330), (854513, 138), (-236364091, 2730), (8553103, 6),
)  # fmt: skip


class Ball:
    """Numbers and bounds of their errors."""

    __slots__ = ("mid", "rad")
    __array_ufunc__ = None  # of an array and a ball, the ball does it

    def __init__(self, mid, rad=0):
        self.mid, self.rad = mid, rad

    def __add__(self, other):
        other = ball(other)
        a, b = self.mid, other.mid
        total = a + b
        part = total - a
        lost = (a - (total - part)) + (b - part)
        return Ball(total, self.rad + other.rad + abs(lost))

    def __mul__(self, other):
        exact = not isinstance(other, Ball) and abs(math.frexp(other)[0]) in (0.0, 0.5)
        other = ball(other)
        product = self.mid * other.mid
        rad = abs(self.mid) * other.rad + (abs(other.mid) + other.rad) * self.rad
        return Ball(product, rad if exact else rad + ROUNDING * abs(product))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return Ball(-self.mid, self.rad)

    def __sub__(self, other):
        return self + -ball(other)

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        return self * reciprocal(ball(other))

    def __rtruediv__(self, other):
        return reciprocal(self) * other

    def __abs__(self):
        return Ball(abs(self.mid), self.rad)

    def __gt__(self, other):
        return self.mid > ball(other).mid

    def __ge__(self, other):
        return self.mid >= ball(other).mid


def ball(x):
    return x if isinstance(x, Ball) else Ball(np.longdouble(x))


def sqrt(x):
    x = ball(x)
    y = np.sqrt(x.mid)
    return Ball(y, (ROUNDING + x.rad / np.where(x.rad < x.mid, x.mid - x.rad, np.nan)) * y)


def reciprocal(x):
    size = abs(x.mid)
    room = np.where(x.rad < size, size * (size - x.rad), np.nan)
    return Ball(1 / x.mid, x.rad / room + ROUNDING / size)


def mpf(x):
    """The numbers, which are exact."""
    return Ball(np.asarray(x, np.longdouble))


def constant(text):
    """A constant, from its first digits."""
    c = np.longdouble(text)
    return Ball(c, ROUNDING * abs(c))


def pick(condition, a, b):
    """One of two balls, number by number."""
    a, b = ball(a), ball(b)
    return Ball(np.where(condition, a.mid, b.mid), np.where(condition, a.rad, b.rad))


pi = constant("3.14159265358979323846264338327950288")
ln2 = constant("0.693147180559945309417232121458176568")
ln10 = constant("2.30258509299404568401799145468436421")
ROOT_TWO_PI = np.longdouble("2.50662827463100050241576528481104525")


# --- functions of the C library -------------------------------------------------


def library(f, slope):
    """A function, and a bound of its slope near numbers x with the value y."""

    def of(x):
        x = ball(x)
        y = f(x.mid)
        return Ball(y, LIBRARY * abs(y) + (slope(x, y) * x.rad if np.any(x.rad) else 0))

    return of


def one(x, y):
    return 1


sin, cos, tanh = library(np.sin, one), library(np.cos, one), library(np.tanh, one)
cosh = library(np.cosh, lambda x, y: np.cosh(abs(x.mid) + x.rad))
sinh = library(np.sinh, lambda x, y: np.cosh(abs(x.mid) + x.rad))
expm1 = library(np.expm1, lambda x, y: np.exp(x.mid + x.rad))
log = library(np.log, lambda x, y: 1 / np.where(x.rad < x.mid, x.mid - x.rad, np.nan))
cbrt = library(np.cbrt, lambda x, y: np.nan)
tan = library(np.tan, lambda x, y: np.nan)


def exp(x):
    x = ball(x)
    none = x.mid < -11000  # a ball of zeros, wide enough, rather than one without digits
    y = np.where(none, 0, np.exp(x.mid))
    return Ball(y, np.where(none, np.longdouble("1e-4700"), y * (LIBRARY + np.expm1(x.rad))))


def power(x, p):
    """The power x**p of x > 0."""
    if isinstance(p, int | float) and p == -1:
        return reciprocal(x)
    x, p = ball(x), ball(p)
    y = np.power(x.mid, p.mid)
    spread = abs(np.log(x.mid)) * p.rad + abs(p.mid) * x.rad / np.where(
        x.rad < x.mid, x.mid - x.rad, np.nan
    )
    return Ball(y, y * (LIBRARY + np.expm1(spread)))


# --- the normal distribution ----------------------------------------------------


def ncdf(x):
    """The distribution's function: a series, and a continued fraction (DLMF 7.6.2, 7.9.1)."""
    size = abs(x.mid)
    near = np.minimum(size, 4)
    term = total = near
    for k in range(1, 120):
        term = term * near * near / (2 * k + 1)
        total = total + term
    far = np.maximum(size, 4)
    fraction = far
    for k in range(200, 0, -1):
        fraction = far + k / fraction
    bell = exp(x * x * -0.5).mid / ROOT_TWO_PI
    tail = np.where(size < 4, 0.5 - bell * total, bell / fraction)
    wide = (SERIES + ROUNDING * size * size) * np.where(size < 4, 1, tail)
    wide = np.where(x.mid > 0, wide + ROUNDING, wide) + np.longdouble("1e-4700")
    return Ball(np.where(x.mid > 0, 1 - tail, tail), wide)


# --- the gamma function and its kin ---------------------------------------------


def zeta(s, x):
    """The sum of (x + k)**-s over k = 0, 1 ..., for a whole number s and exact x > 0."""
    x = x.mid
    total = sum([np.power(x + k, -s) for k in range(SHIFT)])
    z = x + SHIFT
    term = np.power(z, -s)
    total = total + term * (z / (s - 1) + np.longdouble(0.5))
    term = term * s / z  # s (s + 1) ... (s + 2k - 2) / (2k)! / z**(s + 2k - 1), but for (2k)!
    factorial = 2
    for k, (above, below) in enumerate(BERNOULLI, 1):
        total = total + term * (np.longdouble(above) / (below * factorial))
        term = term * (s + 2 * k - 1) * (s + 2 * k) / (z * z)
        factorial *= (2 * k + 1) * (2 * k + 2)
    return Ball(total, SERIES * total)


def psi(order, x):
    """The polygamma function, moved away from its poles at 0, -1, -2 ..."""
    low = x.mid < 0
    if not np.any(low):
        return positive_psi(order, x.mid)
    far = positive_psi(order, np.where(low, 1 - x.mid, x.mid))
    turn = tangents(-cotpi(Ball(np.where(low, x.mid, 0.25))), order)[order]
    for k in range(order + 1):
        turn = turn * pi * max(k, 1)
    return pick(low, far * (-1) ** order + turn, far)


def positive_psi(order, x):
    if order:
        return zeta(order + 1, Ball(x)) * ((-1) ** (order + 1) * math.factorial(order))
    z = x + SHIFT
    tail = 1 / (2 * z)
    for k, (above, below) in enumerate(BERNOULLI, 1):
        tail = tail + np.longdouble(above) / below / (2 * k) / np.power(z, 2 * k)
    steps = sum([1 / (x + k) for k in range(SHIFT)])
    return Ball((np.log(z) - tail) - steps, SERIES * (np.log(z) + steps))


def sinpi(x):
    """The sine of pi*x, but for its sign, and the cosine likewise."""
    turn = x - np.rint(x)
    half = 0.5 - abs(turn)
    near = abs(turn) < 0.25
    return (
        np.where(near, np.sin(pi.mid * turn), np.copysign(np.cos(pi.mid * half), turn)),
        np.where(near, np.cos(pi.mid * turn), np.sin(pi.mid * half)),
    )


def cotpi(x):
    sine, cosine = sinpi(x.mid)
    y = cosine / sine
    return Ball(y, SERIES * abs(y))


def gamma(x):
    low = x.mid < 0.5
    z = np.where(low, 1 - x.mid, x.mid)
    steps = 1
    for k in range(SHIFT):
        steps = steps * (z + k)
    z = z + SHIFT
    tail = 0
    for k, (above, below) in enumerate(BERNOULLI, 1):
        tail = tail + np.longdouble(above) / below / (2 * k * (2 * k - 1)) / np.power(z, 2 * k - 1)
    y = ROOT_TWO_PI * np.power(z, z - np.longdouble(0.5)) * np.exp(tail - z) / steps
    sine = sinpi(x.mid)[0] * np.where(np.rint(x.mid) % 2 == 0, 1, -1)
    y = np.where(low, pi.mid / (sine * y), y)
    return Ball(y, 4 * SERIES * abs(y))
