"""The independent judge of derivatives to order 4: truncated power series in mpmath's numbers.

Each row is written once more, from the mathematics, as a function of *jets*: power series in
the operands' changes, up to a total degree. Their coefficients are the exact partials of every
order, mixed ones included.

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
ROOT_PI = mp.sqrt(mp.pi)


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
    """A power series in so many variables up to a degree."""

    def __init__(self, variables, degree, coefficients):
        self.variables, self.degree, self.coefficients = variables, degree, coefficients

    @property
    def value(self):
        return self.coefficients[0]

    def like(self, coefficients):
        return Jet(self.variables, self.degree, coefficients)

    def lift(self, x):
        if isinstance(x, Jet):
            return x
        return self.like([mp.mpf(x)] + [mp.zero] * (len(self.coefficients) - 1))

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
        return self * power(self.lift(other), -1)

    def __rtruediv__(self, other):
        return power(self, -1) * other

    def into(self, series):
        """A function with this series at `value`, of the jet."""
        if self.variables == 1 and self.coefficients[1:] == [1] + [0] * (self.degree - 1):
            return self.like(series)
        change = self.like([mp.zero, *self.coefficients[1:]])
        total = self.lift(series[-1])
        for c in reversed(series[:-1]):
            total = total * change + c
        return total

    def partial(self, index):
        """The partial of that index."""
        factor = math.prod(map(math.factorial, index))
        return self.coefficients[indices(self.variables, self.degree).index(index)] * factor


def variables(xs, degree):
    """The operands as jets of their own changes."""
    n = len(xs)
    found = []
    for k, x in enumerate(xs):
        unit = tuple([int(j == k) for j in range(n)])
        found.append(Jet(n, degree, [mp.mpf(x) * (not any(i)) + (i == unit) for i in
                                     indices(n, degree)]))  # fmt: skip
    return found


# --- functions of jets ----------------------------------------------------------


def power(x, p):
    """The power x**p, p a number."""
    series, c = [], mp.mpf(x.value) ** p
    for k in range(x.degree + 1):
        series.append(c)
        c = c * (p - k) / (k + 1) / x.value
    return x.into(series)


def exp(x):
    e = mp.exp(x.value)
    return x.into([e / math.factorial(k) for k in range(x.degree + 1)])


def log(x):
    return integral(x, mp.log(x.value), lambda t: 1 / t)


def circular(start):
    """The sine (0) or cosine (1)."""

    def of(x):
        turn = [mp.sin(x.value), mp.cos(x.value), -mp.sin(x.value), -mp.cos(x.value)]
        return x.into([turn[(start + k) % 4] / math.factorial(k) for k in range(x.degree + 1)])

    return of


sin, cos = circular(0), circular(1)


def cosh(x):
    return (exp(x) + exp(-x)) * mp.mpf(0.5)


def sinh(x):
    even = [mp.sinh(x.value), mp.cosh(x.value)]
    return x.into([even[k % 2] / math.factorial(k) for k in range(x.degree + 1)])


def integral(x, value, derivative):
    """The function with that value at x and that derivative, of the jet."""
    (t,) = variables([x.value], x.degree)
    slopes = derivative(t).coefficients
    return x.into([value, *[slopes[k] / (k + 1) for k in range(x.degree)]])


def sech2(x):
    return power(cosh(x), -2)


def sigmoid(x):
    return power(exp(-x) + 1, -1)


def softplus(x):
    return integral(x, mp.log1p(mp.exp(x.value)), sigmoid)


def bell(x):
    return exp(x * x * mp.mpf(-0.5)) * (1 / mp.sqrt(2 * mp.pi))


def cdf(x):
    return integral(x, mp.ncdf(x.value) if x.value > -60 else mp.zero, bell)


def root(x):
    sign = 1 if x.value > 0 else -1
    return power(x * sign, mp.mpf(1) / 3) * sign


def psi(order, x):
    return x.into([mp.psi(order + k, x.value) / math.factorial(k) for k in range(x.degree + 1)])


def lgamma(x):
    return integral(x, mp.re(mp.loggamma(x.value)), lambda t: psi(0, t))


def gamma(x):
    series, value = lgamma(x), mp.gamma(x.value)
    return exp(series - series.value) * value


def cotpi(x):
    return cos(x * mp.pi) / sin(x * mp.pi)


def hypot(a, b):
    return power(a * a + b * b, mp.mpf(0.5))


def power_log(a, b, n):
    """The jet of a**b * log(a)**n, each coefficient a product that does not cancel."""
    found = [mp.zero] * len(a.coefficients)
    scale = mp.log(a.value)
    for k, (i, j) in enumerate(indices(2, a.degree)):
        # the series in b of binomial(b, i) * a**(b - i), differentiated n times by b
        (t,) = variables([b.value], j + n)
        part = exp((t - i) * scale)
        for m in range(i):
            part = part * (t - m) * (mp.one / (m + 1))
        found[k] = part.coefficients[j + n] * math.factorial(j + n) / math.factorial(j)
    return a.like(found)


def choice(c, a, b):
    return a if c else b


# The rows that are no straight lines, as functions of jets.
CURVES = {
    "mul": lambda a, b: a * b,
    "fma": lambda a, b, c: a * b + c,
    "dot": lambda a, b, c, d: a * c + b * d,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: power_log(a, b, 0),
    "power_log": power_log,
    "exp": exp,
    "exp2": lambda x: exp(x * mp.log(2)),
    "expm1": exp,
    "log": log,
    "log2": lambda x: log(x) * (1 / mp.log(2)),
    "log10": lambda x: log(x) * (1 / mp.log(10)),
    "log1p": lambda x: log(x + 1),
    "sqrt": lambda x: power(x, mp.mpf(0.5)),
    "cbrt": root,
    "hypot": hypot,
    "unit": lambda a, b: a / hypot(a, b),
    "complement": lambda x: 1 - x * x,
    "sin": sin,
    "cos": cos,
    "tan": lambda x: sin(x) / cos(x),
    "asin": lambda x: integral(x, mp.asin(x.value), lambda t: power(1 - t * t, mp.mpf(-0.5))),
    "acos": lambda x: integral(x, mp.acos(x.value), lambda t: -power(1 - t * t, mp.mpf(-0.5))),
    "atan": lambda x: integral(x, mp.atan(x.value), lambda t: 1 / (t * t + 1)),
    "atan2": lambda a, b: angle(a, b),
    "sinh": sinh,
    "cosh": cosh,
    "tanh": lambda x: integral(x, mp.tanh(x.value), sech2),
    "sech2": sech2,
    "asinh": lambda x: integral(x, mp.asinh(x.value), lambda t: power(t * t + 1, mp.mpf(-0.5))),
    "acosh": lambda x: integral(
        x, mp.acosh(x.value), lambda t: power((t - 1) * (t + 1), mp.mpf(-0.5))
    ),
    "atanh": lambda x: integral(x, mp.atanh(x.value), lambda t: 1 / ((1 - t) * (t + 1))),
    "gaussian": lambda x: exp(-(x * x)),
    "normal_pdf": bell,
    "normal_cdf": cdf,
    "erf": lambda x: integral(x, mp.erf(x.value), lambda t: exp(-(t * t)) * (2 / ROOT_PI)),
    "erfc": lambda x: integral(x, mp.zero, lambda t: exp(-(t * t)) * (-2 / ROOT_PI)),
    "gamma": gamma,
    "lgamma": lgamma,
    "digamma": lambda x: psi(0, x),
    "cotpi": cotpi,
    "hurwitz_zeta": lambda s, x: x.into([
        zeta(s + k, x.value) * (-1) ** k * mp.binomial(s + k - 1, k) for k in range(x.degree + 1)
    ]),
    "leaky_relu": lambda x, slope: x if x.value > 0 else slope * x,
    "elu": lambda x, alpha: x if x.value > 0 else alpha * (exp(x) - 1),
    "sigmoid": sigmoid,
    "softplus": softplus,
    "logsigmoid": lambda x: -softplus(-x),
    "logaddexp": lambda a, b: a + softplus(b - a),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * cdf(x),
}  # fmt: skip


def angle(a, b):
    """The angle of (b, a), whose differential is (b da - a db) / (a*a + b*b)."""
    square = a * a + b * b
    by_a, by_b = (b / square).coefficients, (-a / square).coefficients
    places = indices(2, a.degree)
    found = [mp.atan2(a.value, b.value)]
    for i, j in places[1:]:
        known = by_a[places.index((i - 1, j))] / i if i else by_b[places.index((i, j - 1))] / j
        found.append(known)
    return a.like(found)


# Rows whose coefficients are sums of nothing that cancels.
PRODUCTS = ("pow", "power_log", "gamma", "lgamma", "digamma", "hurwitz_zeta")


# --- the judge ------------------------------------------------------------------


def digits(name, xs):
    """Bits with which nothing is lost in a sum of numbers of such sizes."""
    sizes = [math.frexp(x)[1] for x in xs if x]
    if name in ("hypot", "unit", "atan2"):
        return 200 + 4 * (max(sizes) - min(sizes))
    if name == "logaddexp":
        return 2400 + 3 * int(min(abs(xs[0] - xs[1]), 1500.0))
    if name in PRODUCTS:
        return 220
    return 220 + 4 * max(map(abs, sizes), default=0)


def moving(op, xs):
    """The operands that a row has derivatives by."""
    return [k for k in range(len(xs)) if op.follows(k)]


def partials(op, xs, degree):
    """By their indices, the exact partials of a row from order 1 to a degree."""
    places = moving(op, xs)
    if op.name not in CURVES:
        slopes = [0] * len(xs) if op.flat else JUDGE[op.name].first(*map(mp.mpf, xs))
        found = dict.fromkeys(indices(len(places), degree)[1:], mp.zero)
        for n, k in enumerate(places):
            found[tuple([int(m == n) for m in range(len(places))])] = mp.mpf(slopes[k])
        return found
    bits = digits(op.name, xs)
    jet = curve(op, xs, degree, bits)
    if op.name not in PRODUCTS:
        noise = max(map(abs, jet.coefficients)) * mp.mpf(2) ** (60 - bits)
        if any(0 < abs(c) < noise for c in jet.coefficients):
            # with more digits a rounding error is another one: truly it is 0
            pairs = zip(jet.coefficients, curve(op, xs, degree, bits + 100).coefficients,
                        strict=True)  # fmt: skip
            jet = jet.like([b if abs(a - b) < abs(b) / 2**60 else mp.zero for a, b in pairs])
    return {x: jet.partial(x) for x in indices(len(places), degree)[1:]}


def curve(op, xs, degree, bits):
    """The row's jet, with so many bits."""
    places = moving(op, xs)
    with mp.workprec(bits):
        given = [int(x) if x == x // 1 else x for x in xs]
        for k, jet in zip(places, variables([xs[k] for k in places], degree), strict=True):
            given[k] = jet
        return CURVES[op.name](*given)
