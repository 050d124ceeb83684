"""How exact derivatives of order 1 to 4 are: bounds, operands, and what is checked.

Errors are in ulps: units in the last place of the exact derivative. Where a derivative has
zeros, a bound in ulps of itself cannot hold, as its terms cancel there; then they are ulps of
the derivative, or of its change when an operand changes by 1, or by its own size if that is
less, whichever is larger ("step"); or when it changes by its own size ("size"). "one": ulps of 1,
or of the derivative where it is larger. What is below
2**-970 is measured at that: on the way to it doubles lose their digits.

Terms:
    answer   an exact partial, from `support.orders`
    sure     within its bound, whatever `support.balls` do not know of the answer
    measure  what an error is compared with: "answer", "step", "size" or "one"
"""

import math
from typing import NamedTuple

import numpy as np

from miniflow import grad
from support import balls, orders
from support.judge import JUDGE, LIMIT, mp

FLOOR = mp.mpf(2) ** -970
ROOM = LIMIT / 1024  # for intermediates
END = np.ldexp(np.longdouble(1), 1023) * 2  # LIMIT
ROOM_END = END / 1024
ANSWER, STEP, SIZE, ONE = "answer", "step", "size", "one"


class Bound(NamedTuple):
    """What is promised of a row's derivatives of order 1, 2, 3 and 4, in ulps of a measure."""

    measure: str
    ulps: tuple


STRAIGHT = Bound(ANSWER, (1, 0, 0, 0))  # and exact where it is bent by nothing but a choice

BOUNDS = {
    "mod": Bound(ANSWER, (2, 0, 0, 0)),  # Python's a // b may be the neighbour beyond 2**51
    "div": Bound(ANSWER, (2, 3, 5, 6)),
    "pow": Bound(SIZE, (3, 7, 12, 15)),
    "power_log": Bound(SIZE, (10, 21, 38, 75)),
    "exp": Bound(ANSWER, (1, 1, 1, 1)),
    "exp2": Bound(ANSWER, (2, 3, 4, 5)),
    "expm1": Bound(ANSWER, (1, 1, 1, 1)),
    "log": Bound(ANSWER, (1, 2, 3, 4)),
    "log2": Bound(ANSWER, (1, 2, 3, 4)),
    "log10": Bound(ANSWER, (2, 3, 4, 5)),
    "log1p": Bound(ANSWER, (2, 4, 6, 7)),
    "sqrt": Bound(ANSWER, (2, 5, 8, 14)),
    "cbrt": Bound(ANSWER, (5, 11, 18, 26)),
    "hypot": Bound(SIZE, (2, 6, 9, 10)),
    "unit": Bound(SIZE, (5, 8, 10, 12)),
    "sin": Bound(ANSWER, (1, 1, 1, 1)),
    "cos": Bound(ANSWER, (1, 1, 1, 1)),
    "tan": Bound(ANSWER, (2, 4, 8, 10)),
    "asin": Bound(ANSWER, (3, 8, 12, 16)),
    "acos": Bound(ANSWER, (3, 8, 12, 16)),
    "atan": Bound(SIZE, (4, 8, 11, 16)),
    "atan2": Bound(SIZE, (4, 7, 7, 8)),
    "sinh": Bound(ANSWER, (2, 2, 2, 2)),
    "cosh": Bound(ANSWER, (2, 2, 2, 2)),
    "tanh": Bound(ONE, (2, 3, 6, 16)),
    "sech2": Bound(STEP, (5, 9, 10, 17)),
    "asinh": Bound(SIZE, (2, 5, 9, 15)),
    "acosh": Bound(ANSWER, (4, 6, 9, 12)),
    "atanh": Bound(ANSWER, (2, 6, 6, 9)),
    "gaussian": Bound(STEP, (3, 4, 4, 7)),
    "normal_pdf": Bound(STEP, (4, 4, 5, 9)),
    "normal_cdf": Bound(STEP, (3, 3, 5, 6)),
    "erf": Bound(STEP, (2, 3, 5, 5)),
    "erfc": Bound(STEP, (2, 3, 5, 5)),
    "gamma": Bound(STEP, (7, 8, 9, 10)),
    "lgamma": Bound(STEP, (5, 5, 5, 6)),
    "digamma": Bound(STEP, (4, 4, 5, 6)),
    "cotpi": Bound(STEP, (3, 3, 7, 4)),
    "hurwitz_zeta": Bound(ANSWER, (7, 7, 7, 7)),
    "elu": Bound(ANSWER, (2, 2, 2, 2)),
    "sigmoid": Bound(STEP, (4, 6, 9, 11)),
    "softplus": Bound(STEP, (3, 5, 6, 9)),
    "logsigmoid": Bound(STEP, (3, 5, 6, 9)),
    "logaddexp": Bound(STEP, (4, 5, 6, 10)),
    "silu": Bound(STEP, (6, 12, 13, 21)),
    "gelu": Bound(STEP, (6, 6, 7, 11)),
}  # fmt: skip

QUOTIENTS = {"mod", "fmod", "remainder"}  # whose slopes are whole numbers that may be no doubles

# Derivatives that are sums: where one is beyond the doubles it may be NaN, not an infinity.
SUMS = {"pow", "power_log", "hypot", "unit", "atan2", "gamma"}

# Where what a derivative of that order is computed from is no double, though it is one itself.
BEYOND = {
    "div": lambda order, a, b: (
        not 10 ** (-290 / order) < abs(b) < 10 ** (290 / order) or 0 < abs(a / b) < 1e-300
    ),
    "pow": lambda order, a, b: beyond_power(order, a, b),
    "power_log": lambda order, a, b, n: beyond_power(order + n, a, b),
    "elu": lambda order, x, alpha: x < -708,  # times the exponential
    **dict.fromkeys(("hypot", "unit", "atan2"), lambda *xs: beyond_length(*xs)),
}


def beyond_length(order, a, b):
    small, large = sorted((abs(a), abs(b)))
    return large < 10 ** (-290 / order) or (large < 1 and 0 < small / large < 1e-140)


def beyond_power(order, a, b):
    size = abs(b * math.log(a)) + order * (abs(math.log(a)) + math.log(2 + abs(b)))
    return order > 1 and (size > 690 or abs(b) < 1e-290)


# --- operands -----------------------------------------------------------------

EDGES = [
    *(5e-324, 1e-310, 2.0**-1022, 1e-155, 1e-154, 1e-16, 2.0**-53, 0.5, 1.0, 2.0, math.pi, 12.0),
    *(math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0), 16.0, 710.0, 745.0, 2.0**26, 2.0**53),
    *(1e16, 1e154, 1e155, 1e300, 1.7e308),
]
# Where derivatives are asked for beyond the interval in which tests draw otherwise.
WIDER = {
    "gamma": (-170.0, 171.0), "lgamma": (-1e4, 1e300), "digamma": (-1e4, 1e300),
    "cotpi": (-1e4, 1e4),
}  # fmt: skip
POLES = {
    **dict.fromkeys(("gamma", "lgamma", "digamma"), lambda x: x <= 0 and x % 1 == 0),
    **dict.fromkeys(("asin", "acos", "atanh"), lambda x: abs(x) >= 1),
    **dict.fromkeys(
        ("log", "log2", "log10", "sqrt", "cbrt", "abs", "relu"),
        lambda x: x == 0,
    ),
    **dict.fromkeys(("leaky_relu", "elu"), lambda x, slope: x == 0),
    **dict.fromkeys(("hypot", "unit"), lambda a, b: a == b == 0),
    **dict.fromkeys(("maximum", "minimum"), lambda a, b: a == b),
    "max_of": lambda *xs: xs.count(max(xs)) > 1,
    "min_of": lambda *xs: xs.count(min(xs)) > 1,
    **dict.fromkeys(("div", "mod", "fmod", "remainder"), lambda a, b: b == 0),
    "cotpi": lambda x: x % 1 == 0,
    "acosh": lambda x: x <= 1,
    "log1p": lambda x: x <= -1,
    "atan2": lambda a, b: a == 0 and b <= 0,
    "copysign": lambda a, b: a == 0 or b == 0,
    "pow": lambda a, b: a == 0,
    "power_log": lambda a, b, n: a == 0,
    "hurwitz_zeta": lambda s, x: x == 0,
}
COUNT = 4  # operands of rows that take any number


def number(random, low, high):
    """A double from `low` to `high`: of any size, near an anchor, a half-integer, an edge."""
    anchors = [x for x in (0.0, 1.0, -1.0, 0.5, -0.5, low, high) if abs(x) < 1e5]
    sign = random.choice((-1.0, 1.0))
    half = random.randint(-40, 40) / 2
    draws = (
        lambda: random.uniform(-4, 4),
        lambda: random.uniform(-40, 40),
        lambda: random.uniform(-800, 800),
        lambda: sign * 10 ** random.uniform(-300, 300),
        lambda: sign * 10 ** random.uniform(-17, 3),
        lambda: sign * random.uniform(0, 2.0**-1022),
        lambda: sign * random.choice(EDGES),
        lambda: random.choice(anchors) + sign * 10 ** random.uniform(-17, 0),
        lambda: half,
        lambda: half + sign * 10 ** random.uniform(-16, -1),
    )
    while True:
        x = random.choice(draws)()
        for y in (x, -x):
            if low <= y <= high:
                return y


def draw(op, random):
    """Operands of a row, where it has derivatives."""
    while True:
        xs = tuple(_operands(op, random))
        if all(map(math.isfinite, xs)) and not POLES.get(op.name, lambda *xs: False)(*xs):
            return xs


def _operands(op, random):
    domains = op.domain if op.arity > 0 else op.domain * COUNT
    xs = [number(random, *WIDER.get(op.name, bounds)) for bounds in domains]
    if op.name == "hurwitz_zeta":
        return [float(random.randint(2, 8)), xs[1]]
    if op.name in ("pow", "power_log"):
        if xs[0] not in (0.0, 1.0) and random.random() < 0.6:
            xs[1] = random.uniform(-745, 709) / math.log(xs[0])
        return [*xs[:2], *[float(random.randint(1, 3)) for _ in xs[2:]]]
    if op.name == "ldexp":
        return [xs[0], float(random.randint(-1000, 1000))]
    if op.arity == 2 and random.random() < 0.3:  # operands of a like size
        xs[1] = random.choice((-1, 1)) * xs[0] * (1 + 10 ** random.uniform(-17, 0))
    return xs


# --- derivatives ----------------------------------------------------------------


def derivatives(op, count):
    """The row's derivatives as functions, by the operands that they are taken by, in turn."""
    found = {(): op}
    for _ in range(orders.ORDER):
        for turn, f in list(found.items()):
            for k in filter(op.follows, range(count)):
                if not turn or k >= turn[-1]:
                    found.setdefault((*turn, k), grad(f, k))
    del found[()]
    return found


def index(op, turn, count):
    """How often the derivative is taken by each operand that has any."""
    return tuple([turn.count(k) for k in filter(op.follows, range(count))])


# --- the check ------------------------------------------------------------------


def error(got, answer, scale=0):
    """How far `got` is off, in ulps; infinities count as the end of the doubles."""
    if got != got:
        return math.inf
    gap = abs(_clipped(mp.mpf(got)) - _clipped(answer))
    if not gap:
        return 0.0
    size = min(max(abs(answer), scale, FLOOR), LIMIT)
    return float(gap / mp.mpf(2) ** (mp.frexp(size)[1] - 53))


def _clipped(x):
    return max(-LIMIT, min(x, LIMIT))


def errors(op, xs, found):
    """The order and the error of each derivative, by index; only of those that are promised.

    Args:
        op: the row.
        xs: its operands.
        found: the derivatives there, by their indices.
    """
    measure, beyond = BOUNDS.get(op.name, STRAIGHT).measure, BEYOND.get(op.name)
    found = {i: y for i, y in found.items() if not (beyond and beyond(sum(i), *xs))}
    if not found:
        return
    answers = orders.partials(op, xs, max(map(sum, found)) + (measure in (STEP, SIZE)))
    places = orders.moving(op, xs)
    for i, got in found.items():
        answer = answers[i]
        if abs(answer) >= ROOM and (op.name in SUMS or abs(answer) < LIMIT):
            continue
        scale = float(measure == ONE)
        if measure in (STEP, SIZE):
            changes = [abs(answers[raised(i, n)]) for n in range(len(places))]
            moves = [reach(measure, xs[k]) for k in places]
            scale = max(map(mp.fmul, moves, changes))
        yield i, answer, error(got, answer, scale)


def sure(op, columns, found):
    """Where derivatives are surely within their bounds, and their errors: by index, two columns.

    Args:
        op: the row.
        columns: its operands, one array for each.
        found: the derivatives, by their indices: arrays, too.
    """
    count = len(columns[0])
    answers = {i: (np.zeros(count, bool), np.zeros(count)) for i in found}
    if op.name not in orders.CURVES:
        return {i: (_straight(op, columns, i, y), np.zeros(count)) for i, y in found.items()}
    fixed = [k for k in range(len(columns)) if not op.follows(k)]
    keys = [tuple(map(float, key)) for key in zip(*[columns[k] for k in fixed], strict=True)]
    for key in {*keys} or [()]:
        places = np.array([k == key for k in keys]) if keys else np.ones(count, bool)
        xs = [x[places] for x in columns]
        for k, x in zip(fixed, key, strict=True):
            xs[k] = x
        part = {i: got[places] for i, got in found.items()}
        for i, (certain, off) in _judged(op, xs, part).items():
            answers[i][0][places], answers[i][1][places] = certain, np.where(certain, off, 0)
    return answers


def _straight(op, columns, i, got):
    """Where a derivative of a straight line is exact, and doubles are enough to say so."""
    if sum(i) > 1:
        return got == 0
    if op.name in QUOTIENTS:
        return np.zeros(len(got), bool)
    k = orders.moving(op, columns)[i.index(1)]
    rows = zip(got.tolist(), *[x.tolist() for x in columns], strict=True)
    return np.array([JUDGE[op.name].first(*xs)[k] == y for y, *xs in rows])


@np.errstate(all="ignore")
def _judged(op, xs, found):
    """The same for operands without a derivative that are plain numbers."""
    bound = BOUNDS.get(op.name, STRAIGHT)
    places = orders.moving(op, xs)
    given = [balls.mpf(x) if k in places else x for k, x in enumerate(xs)]
    moved = bound.measure in (STEP, SIZE)
    jet = orders.curve(op, given, orders.ORDER + moved, balls)
    answers = {}
    for i, got in found.items():
        answer = balls.ball(jet.partial(i))
        scale = np.fmax(_least(answer), max(float(FLOOR), bound.measure == ONE))
        for n, k in enumerate(places if moved else ()):
            scale = np.fmax(scale, _least(jet.partial(raised(i, n))) * reach(bound.measure, xs[k]))
        ulp = np.ldexp(np.longdouble(1), np.frexp(np.fmin(scale, END))[1] - 53)
        off = [abs(np.clip(got, -END, END) - np.clip(answer.mid + rad, -END, END)) / ulp
               for rad in (-answer.rad, 0, answer.rad)]  # fmt: skip
        within = np.maximum(off[0], off[2]) <= bound.ulps[sum(i) - 1]
        free = (_least(answer) >= ROOM_END) & (op.name in SUMS)  # nothing is promised there
        answers[i] = within | free, np.where(free, 0, off[1])
    return answers


def _least(x):
    """The least that the size of a ball can be."""
    x = balls.ball(x)
    return abs(x.mid) - x.rad


def reach(measure, x):
    """By how much operands move."""
    return abs(x) if measure == SIZE else np.minimum(abs(x), 1.0)


def raised(i, n):
    """The index of the derivative's derivative."""
    return tuple([x + (k == n) for k, x in enumerate(i)])
