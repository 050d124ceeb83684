"""Rules with a fault, and programs that use them: what `check_grads` has to find.

A *fault* is a right row under another name, with one thing wrong in its partials. Each kind of
fault is one that people make: a sign, a factor, a term left out, operands in each other's place,
the wrong branch at a kink, a constant with too few digits, a case that was forgotten, a partial
that cannot be differentiated again.
"""

import math
from typing import NamedTuple

from miniflow import math as m
from miniflow import ops
from miniflow.ops import TABLE, stop_gradient

KINDS = ("sign", "factor", "term", "swapped", "branch", "digits", "orthant", "second")

# Rows with a partial by every operand, and intervals in which nothing overflows.
UNARY = {
    **dict.fromkeys(("sin", "cos", "tanh", "sigmoid", "softplus", "erf", "atan", "asinh"), (-2, 2)),
    **dict.fromkeys(("exp", "expm1", "sinh", "cosh", "gelu", "silu", "gaussian"), (-2, 2)),
    **dict.fromkeys(("log", "sqrt", "log2", "digamma", "lgamma", "gamma"), (0.3, 4)),
    **dict.fromkeys(("asin", "acos", "atanh"), (-0.9, 0.9)),
    **dict.fromkeys(("tan", "log1p"), (-0.8, 1.2)),
    "acosh": (1.2, 4), "cbrt": (0.2, 3), "sech2": (-1.5, 1.5),
}  # fmt: skip
BINARY = {
    "mul": ((-3, 3), (-3, 3)), "div": ((-3, 3), (0.4, 3)), "pow": ((0.3, 3), (-2, 3)),
    "sub": ((-3, 3), (-3, 3)), "hypot": ((0.2, 3), (-3, 3)), "atan2": ((0.2, 3), (-3, 3)),
    "logaddexp": ((-3, 3), (-3, 3)),
}  # fmt: skip
KINKED = {
    "relu": ((-2, 2),), "abs": ((-2, 2),), "maximum": ((-2, 2), (-2, 2)),
    "minimum": ((-2, 2), (-2, 2)), "leaky_relu": ((-2, 2), (0.01, 0.4)),
    "elu": ((-2, 2), (0.5, 1.5)),
}  # fmt: skip

# Functions whose derivative is a sum: what people write by hand.
SUMS = {
    "x sin x": (lambda x: x * m.sin(x), [lambda x, y: m.sin(x), lambda x, y: x * m.cos(x)]),
    "x^3 + x": (lambda x: x * x * x + x, [lambda x, y: 3 * x * x, lambda x, y: 1.0 + 0 * x]),
    "x log x": (lambda x: x * m.log(x), [lambda x, y: m.log(x), lambda x, y: 1.0 + 0 * x]),
    "x / (1 + x^2)": (
        lambda x: x / (1 + x * x),
        [lambda x, y: ops.div(1.0, 1 + x * x), lambda x, y: ops.div(-2 * x * x, (1 + x * x) ** 2)],
    ),
    "swish": (
        lambda x: x / (1 + m.exp(-x)),
        [lambda x, y: m.sigmoid(x), lambda x, y: x * m.sigmoid(x) * m.sigmoid(-x)],
    ),
    "sqrt(x) exp(-x)": (
        lambda x: m.sqrt(x) * m.exp(-x),
        [lambda x, y: ops.div(0.5, m.sqrt(x)) * m.exp(-x), lambda x, y: -y],
    ),
}  # fmt: skip


class Wrong(NamedTuple):
    """A row with a fault: how to define it, and where it can be tried."""

    kind: str
    row: str
    value: object
    partials: tuple
    intervals: tuple


def seeded(kind, source):
    """A fault of that kind, at random."""
    if kind == "term":
        return left_out(source)
    if kind == "branch":
        name = source.choice(list(KINKED))
        return Wrong(kind, name, TABLE[name].value, wrong_branch(name, source), KINKED[name])
    if kind == "swapped":
        name = source.choice([x for x in BINARY if x not in ("hypot",)])
        first, second = partials_of(name)
        return Wrong(kind, name, TABLE[name].value, (second, first), BINARY[name])
    name = source.choice([*UNARY, *BINARY] if kind != "second" else bent_rows())
    intervals = (UNARY[name],) if name in UNARY else BINARY[name]
    partials = list(partials_of(name))
    k = source.randrange(len(partials))
    partials[k] = spoilt(kind, partials[k], source)
    if kind == "second":  # each of them: a partial by one operand may be constant
        partials = [spoilt(kind, x, source) for x in partials_of(name)]
    return Wrong(kind, name, TABLE[name].value, tuple(partials), intervals)


def bent_rows():
    return [x for x in (*UNARY, *BINARY) if x not in ("sub",)]


def partials_of(name):
    """A row's partials, as functions."""
    return [rule if callable(rule) else constant(rule) for rule in TABLE[name].partials]


def constant(number):
    return lambda *xs: number


def spoilt(kind, rule, source):
    """A partial with that fault."""
    if kind == "sign":
        return lambda *xs: -rule(*xs)
    if kind == "factor":
        factor = source.choice((2.0, 0.5, math.log(2), 1.01))
        return lambda *xs: factor * rule(*xs)
    if kind == "digits":
        off = source.choice((1 + 1e-6, 1 - 1e-6))
        return lambda *xs: off * rule(*xs)
    if kind == "orthant":
        # a corner of what it is tried at, such as where all operands are above these
        edges = [source.uniform(0.0, 0.5), source.uniform(-1.0, 0.5), source.uniform(-1.0, 0.5)]

        def rule_in_a_corner(*xs):
            *operands, _ = xs
            inside = 1.0
            for x, edge in zip(operands, edges, strict=False):
                inside = inside * ops.less(edge, x)
            return rule(*xs) * (1.0 + 0.25 * inside)

        return rule_in_a_corner
    return lambda *xs: stop_gradient(rule(*xs))


def left_out(source):
    """A sum of which a term was forgotten."""
    name = source.choice(list(SUMS))
    value, terms = SUMS[name]
    gone = source.randrange(len(terms))
    kept = [term for k, term in enumerate(terms) if k != gone]
    return Wrong("term", name, value, (lambda x, y: sum(t(x, y) for t in kept),), ((0.3, 3.0),))


def wrong_branch(name, source):
    """Partials that take the other side of a kink for their own, or that are beyond both at it."""
    right = partials_of(name)
    if source.random() < 0.5:

        def flipped(k):
            return lambda *xs: right[k](*[-x for x in xs[:1]], *xs[1:])

        if name in ("maximum", "minimum"):
            return tuple(right[::-1])
        if name == "relu":  # its partial sees the result only
            return (lambda x, y: ops.step(-x),)
        return tuple(flipped(0) if k == 0 else rule for k, rule in enumerate(right))
    beyond = source.choice((2.0, -1.5, 7.0))

    def at_the_kink(*xs):
        a, *others = xs[:-1]
        tie = ops.equal(a, others[0] if name in ("maximum", "minimum") else 0.0)
        return ops.where(tie, beyond, right[0](*xs))

    return (at_the_kink, *right[1:])


# --- programs -------------------------------------------------------------------


class Program:
    """A function of two numbers that uses an operation among right ones."""

    def __init__(self, op, wrong, source):
        self.op, self.count = op, len(wrong.intervals)
        self.scales = [source.choice((1.0, 2.0, -0.5)) for _ in range(self.count)]
        self.inner, self.outer = source.choice(INNER), source.choice(OUTER)

    def __call__(self, *xs):
        operands = [self.inner(s * x) for s, x in zip(self.scales, xs, strict=True)]
        return self.outer(self.op(*operands), xs[0])

    def point(self, wrong, source):
        """A point at which the operation meets its intervals, sometimes at a kink."""
        low, high = zip(*wrong.intervals, strict=True)
        operands = [source.uniform(a, b) for a, b in zip(low, high, strict=True)]
        if wrong.kind == "branch" and source.random() < 0.4:
            operands[:2] = [operands[-1]] * 2 if wrong.row in ("maximum", "minimum") else [
                0.0, *operands[1:2]]  # fmt: skip
        outside = [OUTSIDE[self.inner](x) for x in operands]
        return tuple([x / s for x, s in zip(outside, self.scales, strict=True)])


def same(x):
    return x


def doubled(x):
    return x + x


def halved(x):
    return x * 0.5


INNER = [same, doubled, halved]
OUTSIDE = {same: same, doubled: lambda x: x / 2, halved: lambda x: x / 0.5}
OUTER = [
    lambda z, x: z,
    lambda z, x: z * x + z,
    lambda z, x: m.tanh(0.3 * z) + x,
    lambda z, x: (z - 1.0) * (z + 0.5),
    lambda z, x: m.exp(-0.1 * z * z) * m.cos(x),
    lambda z, x: m.sigmoid(z) if z > 0.2 else m.sin(z) * 0.5,
    lambda z, x: [z, z * x][1],
]
