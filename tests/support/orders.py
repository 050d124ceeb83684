"""The independent judge of derivatives to order 4: truncated power series in exact numbers.

Each row is written once more, from the mathematics, as a function of *jets*: power series in
the operands' changes, up to a total degree. Their coefficients are the exact partials of every
order, mixed ones included. Only those are asked for: a function's own value may be left 0.

The numbers are mpmath's, or `support.balls`: both have exp, log, psi ... by the same names.
Formulas add up nothing that cancels, except near zeros of a derivative.

Terms:
    jet      a power series in several variables, up to a total degree
    index    how often a partial is taken by each operand: (2, 1) is twice by a, once by b
    reach    by how much an operand may move: an answer that changes more than it is large is
             measured at its change; None: at the answer itself
"""

import functools
import math
from itertools import product

from support.judge import JUDGE, mp, zeta

ORDER = 4
BITS = 250  # of mpmath's numbers: sums of some terms keep 60 digits and more


@functools.cache
def indices(variables, degree):
    """All indices up to a degree, the lowest degrees first."""
    found = [x for x in product(range(degree + 1), repeat=variables) if sum(x) <= degree]
    return sorted(found, key=lambda x: (sum(x), x))


@functools.cache
def products(variables, degree):
    """For each index the pairs of places whose product it gets."""
    place = {x: k for k, x in enumerate(indices(variables, degree))}
    found = [[] for _ in place]
    for (x, i), (y, j) in product(place.items(), repeat=2):
        k = place.get(tuple([a + b for a, b in zip(x, y, strict=True)]))
        if k is not None:
            found[k].append((i, j))
    return found


class Jet:
    """A power series in so many variables up to a degree, in such numbers."""

    def __init__(self, variables, degree, coefficients, numbers):
        self.variables, self.degree = variables, degree
        self.coefficients, self.numbers = coefficients, numbers

    @property
    def value(self):
        return self.coefficients[0]

    def like(self, coefficients):
        return Jet(self.variables, self.degree, coefficients, self.numbers)

    def lift(self, x):
        if isinstance(x, Jet):
            return x
        return self.like([x] + [0] * (len(self.coefficients) - 1))

    def __add__(self, other):
        pairs = zip(self.coefficients, self.lift(other).coefficients, strict=True)
        return self.like([a + b for a, b in pairs])

    def __mul__(self, other):
        if not isinstance(other, Jet):
            return self.like([a * other for a in self.coefficients])
        a, b = self.coefficients, other.coefficients
        sums = products(self.variables, self.degree)
        return self.like([sum([a[i] * b[j] for i, j in pairs if a[i] and b[j]]) for pairs in sums])

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -self.lift(other)

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        if not isinstance(other, Jet):
            return self * (self.numbers.mpf(1) / other)
        return self * power(other, -1)

    def __rtruediv__(self, other):
        return power(self, -1) * other

    def into(self, series):
        """A function with this series at `value`, of the jet."""
        if self.variables == 1 and self.coefficients[1:] == [1] + [0] * (self.degree - 1):
            return self.like(series)
        change = self.like([0, *self.coefficients[1:]])
        total = self.lift(series[-1])
        for c in reversed(series[:-1]):
            total = total * change + c
        return total

    def partial(self, index):
        """The partial of that index."""
        factor = math.prod(map(math.factorial, index))
        return self.coefficients[indices(self.variables, self.degree).index(index)] * factor


def variables(xs, degree, numbers):
    """The operands as jets of their own changes."""
    n = len(xs)
    found = []
    for k, x in enumerate(xs):
        unit = tuple([int(j == k) for j in range(n)])
        changes = [int(i == unit) for i in indices(n, degree)[1:]]
        found.append(Jet(n, degree, [x, *changes], numbers))
    return found


# --- functions of jets ----------------------------------------------------------


def choice(condition, a, b):
    """One of two jets; of arrays, number by number."""
    if isinstance(condition, bool):
        return a if condition else b
    pairs = zip(a.coefficients, b.coefficients, strict=True)
    return a.like([a.numbers.pick(condition, p, q) for p, q in pairs])


def size(x):
    return choice(x.value > 0, x, -x)


def power(x, p):
    """The power x**p, p a number."""
    return powers(x, x.numbers.power(x.value, p), p)


def powers(x, y, p):
    """The same, whose value is y."""
    series = []
    for k in range(x.degree + 1):
        series.append(y)
        y = y * (p - k) / x.value * (x.numbers.mpf(1) / (k + 1))
    return x.into(series)


def exp(x):
    return exponential(x, x.numbers.exp(x.value))


def exponential(x, y):
    """The exponential of x, whose value is y."""
    return x.into([y / math.factorial(k) for k in range(x.degree + 1)])


def log(x):
    return integral(x, lambda t: 1 / t)


def circular(start):
    """The sine (0) or cosine (1)."""

    def of(x):
        s, c = x.numbers.sin(x.value), x.numbers.cos(x.value)
        turn = [s, c, -s, -c]
        return x.into([turn[(start + k) % 4] / math.factorial(k) for k in range(x.degree + 1)])

    return of


sin, cos = circular(0), circular(1)


def hyperbolic(start):
    """The hyperbolic sine (0) or cosine (1)."""

    def of(x):
        turn = [x.numbers.sinh(x.value), x.numbers.cosh(x.value)]
        return x.into([turn[(start + k) % 2] / math.factorial(k) for k in range(x.degree + 1)])

    return of


def integral(x, derivative, value=0):
    """The function with that derivative, and that value at x, of the jet."""
    (t,) = variables([x.value], x.degree, x.numbers)
    slopes = derivative(t).coefficients
    return x.into([value, *[slopes[k] / (k + 1) for k in range(x.degree)]])


def gradient(by_a, by_b):
    """The function of two variables with those partials."""
    places = indices(2, by_a.degree)
    found = [0]
    for i, j in places[1:]:
        jet, place, times = (by_a, (i - 1, j), i) if i else (by_b, (i, j - 1), j)
        found.append(jet.coefficients[places.index(place)] / times)
    return by_a.like(found)


def tangents(t, degree):
    """The power series of the tangent where it is t: its slope is 1 + t*t."""
    found = [t]
    for k in range(degree):
        square = sum([found[i] * found[k - i] for i in range(k + 1)])
        found.append((square + (k == 0)) / (k + 1))
    return found


def cotpi(x):
    series = tangents(-x.numbers.cotpi(x.value), x.degree)
    return -(x * x.numbers.pi).into(series)


def sech2(x):
    """1 - tanh(x)**2, whose slope is -2 * sech2 * tanh."""
    decay = x.numbers.exp(abs(x.value) * -2)
    t = [x.numbers.tanh(x.value)]
    found = [4 * decay / ((1 + decay) * (1 + decay))]
    for k in range(x.degree):
        found.append(sum([t[i] * found[k - i] for i in range(k + 1)]) * -2 / (k + 1))
        t.append(found[k] / (k + 1))
    return x.into(found)


def sigmoid(x):
    decay, over = x.numbers.exp(-abs(x.value)), x.value > 0
    top = (1 if over else decay) if isinstance(over, bool) else x.numbers.pick(over, 1, decay)
    return integral(x, lambda t: sech2(t * 0.5) * 0.25, top / (1 + decay))


def softplus(x):
    return integral(x, sigmoid)


def bell(x):
    return exp(x * x * -0.5) / x.numbers.sqrt(2 * x.numbers.pi)


def gaussian(x):
    return exp(-(x * x))


def gaussian_integral(x, factor):
    return integral(x, lambda t: gaussian(t) * factor / x.numbers.sqrt(x.numbers.pi))


def cdf(x):
    return integral(x, bell, x.numbers.ncdf(x.value))


def root(x):
    sign = choice(x.value > 0, x.lift(1), x.lift(-1))
    return sign * powers(size(x), x.numbers.cbrt(abs(x.value)), x.numbers.mpf(1) / 3)


def complement(x):
    """1 - x*x."""
    series = [(1 - x.value) * (1 + x.value), -2 * x.value, -1]
    return x.into([*series, *[0] * x.degree][: x.degree + 1])


def psi(order, x):
    series = [x.numbers.psi(order + k, x.value) for k in range(x.degree + 1)]
    return x.into([y / math.factorial(k) for k, y in enumerate(series)])


def lgamma(x):
    return integral(x, lambda t: psi(0, t))


def gamma(x):
    return exponential(lgamma(x), x.numbers.gamma(x.value))


def hurwitz_zeta(s, x):
    series = [x.numbers.zeta(s + k, x.value) for k in range(x.degree + 1)]
    return x.into([y * ((-1) ** k * math.comb(s + k - 1, k)) for k, y in enumerate(series)])


def elu(x, alpha):
    below = exponential(x, x.numbers.exp(x.value)).coefficients
    return choice(x.value > 0, x, alpha * x.like([x.numbers.expm1(x.value), *below[1:]]))


def leaky_relu(x, slope):
    return choice(x.value > 0, x, slope * x)


class Vector:
    """Two operands, the larger one and their ratio, by which no length cancels."""

    def __init__(self, a, b):
        self.first = abs(a.value) >= abs(b.value)
        self.large, small = choice(self.first, a, b), choice(self.first, b, a)
        self.ratio = small / self.large
        self.square = self.ratio * self.ratio + 1

    def beside(self, one):
        """What the operands are, over the larger one."""
        whole = self.ratio.lift(1)
        return choice(self.first, *((whole, self.ratio) if one == 0 else (self.ratio, whole)))


def hypot(a, b):
    v = Vector(a, b)
    return size(v.large) * root2(v.square)


def root2(x):
    """The square root."""
    return powers(x, x.numbers.sqrt(x.value), 0.5)


def over_root(x):
    """1 / sqrt(x)."""
    return powers(x, 1 / x.numbers.sqrt(x.value), -0.5)


def unit(a, b):
    v = Vector(a, b)
    cosine = v.beside(0) * over_root(v.square)
    return choice(v.large.value > 0, cosine, -cosine)


def angle(a, b):
    """The angle of (b, a), whose differential is (b da - a db) / (a*a + b*b)."""
    v = Vector(a, b)
    whole = 1 / (v.large * v.square)
    return gradient(v.beside(1) * whole, -v.beside(0) * whole)


def power_log(a, b, n):
    """The jet of a**b * log(a)**n, each coefficient a product that does not cancel."""
    found = [0] * len(a.coefficients)
    scale = a.numbers.log(a.value)
    for k, (i, j) in enumerate(indices(2, a.degree)):
        # the series in b of binomial(b, i) * a**(b - i), differentiated n times by b
        (t,) = variables([b.value], j + n, a.numbers)
        part = exponential(t * scale, a.numbers.power(a.value, b.value - i))
        for m in range(i):
            part = part * (t - m) / (m + 1)
        found[k] = part.coefficients[j + n] * (math.factorial(j + n) // math.factorial(j))
    return a.like(found)


# The rows that are no straight lines, as functions of jets.
CURVES = {
    "mul": lambda a, b: a * b,
    "fma": lambda a, b, c: a * b + c,
    "dot": lambda a, b, c, d: a * c + b * d,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: power_log(a, b, 0),
    "power_log": power_log,
    "exp": exp,
    "exp2": lambda x: exponential(x * x.numbers.ln2, x.numbers.power(2, x.value)),
    "expm1": exp,
    "log": log,
    "log2": lambda x: log(x) / x.numbers.ln2,
    "log10": lambda x: log(x) / x.numbers.ln10,
    "log1p": lambda x: log(x + 1),
    "sqrt": root2,
    "cbrt": root,
    "hypot": hypot,
    "unit": unit,
    "complement": complement,
    "sin": sin,
    "cos": cos,
    "tan": lambda x: x.into(tangents(x.numbers.tan(x.value), x.degree)),
    "asin": lambda x: integral(x, lambda t: over_root(complement(t))),
    "acos": lambda x: integral(x, lambda t: -over_root(complement(t))),
    "atan": lambda x: integral(x, lambda t: 1 / (t * t + 1)),
    "atan2": angle,
    "sinh": hyperbolic(0),
    "cosh": hyperbolic(1),
    "tanh": lambda x: integral(x, sech2),
    "sech2": sech2,
    "asinh": lambda x: integral(x, lambda t: over_root(t * t + 1)),
    "acosh": lambda x: integral(x, lambda t: over_root(-complement(t))),
    "atanh": lambda x: integral(x, lambda t: 1 / complement(t)),
    "gaussian": gaussian,
    "normal_pdf": bell,
    "normal_cdf": cdf,
    "erf": lambda x: gaussian_integral(x, 2),
    "erfc": lambda x: gaussian_integral(x, -2),
    "gamma": gamma,
    "lgamma": lgamma,
    "digamma": lambda x: psi(0, x),
    "cotpi": cotpi,
    "hurwitz_zeta": hurwitz_zeta,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "logsigmoid": lambda x: -softplus(-x),
    "logaddexp": lambda a, b: gradient(sigmoid(a - b), sigmoid(b - a)),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * cdf(x),
}  # fmt: skip


# --- the judge ------------------------------------------------------------------


class Exact:
    """mpmath's numbers, and what it has under no such name."""

    cotpi = staticmethod(lambda x: mp.cospi(x) / mp.sinpi(x))
    ncdf = staticmethod(lambda x: mp.ncdf(x) if x > -60 else mp.zero)
    zeta = staticmethod(zeta)

    @staticmethod
    def power(x, p):
        if abs(p) < 1000:
            return mp.mpf(x) ** p
        with mp.workprec(BITS + 1200):  # of numbers so large some 1000 bits stand before the point
            return mp.exp(p * mp.log(x))

    def __getattr__(self, name):
        return getattr(mp, name)


EXACT = Exact()


def moving(op, xs):
    """The operands that a row has derivatives by."""
    return [k for k in range(len(xs)) if op.follows(k)]


def partials(op, xs, degree):
    """By their indices, the exact partials of a row from order 1 to a degree."""
    places = moving(op, xs)
    if op.name in CURVES:
        with mp.workprec(BITS):
            given = [mp.mpf(x) if k in places else x for k, x in enumerate(xs)]
            jet = curve(op, given, degree, EXACT)
            return {x: mp.mpf(jet.partial(x)) for x in indices(len(places), degree)[1:]}
    slopes = [0] * len(xs) if op.flat else JUDGE[op.name].first(*map(mp.mpf, xs))
    found = dict.fromkeys(indices(len(places), degree)[1:], mp.zero)
    for n, k in enumerate(places):
        found[tuple([int(m == n) for m in range(len(places))])] = mp.mpf(slopes[k])
    return found


def curve(op, xs, degree, numbers):
    """The row's jet, in such numbers; operands without a derivative are plain whole numbers."""
    places = moving(op, xs)
    given = [x if k in places else int(x) for k, x in enumerate(xs)]
    for k, jet in zip(places, variables([xs[k] for k in places], degree, numbers), strict=True):
        given[k] = jet
    return CURVES[op.name](*given)
