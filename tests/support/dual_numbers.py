"""Random smooth programs and their derivatives by dual numbers that know nothing of miniflow."""

import math
import operator
from typing import NamedTuple

import mpmath
from hypothesis import strategies as st

import miniflow
from support.strategies import either, node, recent, several

LIMIT = 50.0  # larger results are not recorded: they would only overflow
MARGIN = 1e-2  # how far operands stay away from kinks and jumps


class Rule(NamedTuple):
    """An operation as a textbook has it: `good` says where it is smooth and well conditioned."""

    value: object
    partials: object  # operands to the list of dy/doperand
    good: object = lambda *xs: True
    spelled: object = None  # how a user writes it for Values; miniflow.math.<name> if None


class Step(NamedTuple):
    """One operation of a program; an operand is a node's number (int) or a literal (float)."""

    name: str
    operands: tuple


def normal(x):
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def cdf(x):
    return math.erfc(-x / math.sqrt(2)) / 2


def logistic(x):
    return 1 / (1 + math.exp(-x))


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def away(x, period=1.0):
    """Whether x keeps a distance from all multiples of `period`."""
    return MARGIN < (x / period) % 1 < 1 - MARGIN


def within(low, high):
    return lambda x: low < x < high


def apart(a, b):
    return abs(a - b) > MARGIN


def tie(a, b):
    """The shares of a maximum: what it is unless both operands are one and the same."""
    return [1.0, 0.0] if a > b else [0.0, 1.0] if b > a else [0.5, 0.5]


def product(xs):
    half = len(xs) // 2
    return sum(a * b for a, b in zip(xs[:half], xs[half:], strict=True))


def one(f, slope, good=lambda x: True, spelled=None):
    return Rule(f, lambda x: [slope(x)], good, spelled)


def dot_of(m):
    return lambda *xs: m.dot(xs[: len(xs) // 2], xs[len(xs) // 2 :])


m = miniflow.math
ROOT2 = math.sqrt(2)
UNARY = {
    "neg": one(operator.neg, lambda x: -1.0, spelled=operator.neg),
    "pos": one(operator.pos, lambda x: 1.0, spelled=operator.pos),
    "abs": one(abs, lambda x: math.copysign(1, x), lambda x: abs(x) > MARGIN, abs),
    "floor": one(math.floor, lambda x: 0.0, away),
    "round": one(round, lambda x: 0.0, lambda x: away(x + 0.5), round),
    "step": one(lambda x: float(x > 0), lambda x: 0.0, lambda x: abs(x) > MARGIN),
    "cube": one(lambda x: math.pow(x, 3), lambda x: 3 * x * x, within(-3, 3), lambda x: x**3),
    "inverse": one(lambda x: 1 / x, lambda x: -1 / x / x, lambda x: abs(x) > 0.1, lambda x: 1 / x),
    "exp": one(math.exp, math.exp, within(-9, 3)),
    "exp2": one(math.exp2, lambda x: math.log(2) * 2**x, within(-9, 4)),
    "expm1": one(math.expm1, math.exp, within(-9, 3)),
    "log": one(math.log, lambda x: 1 / x, lambda x: x > 0.05),
    "log2": one(math.log2, lambda x: 1 / (x * math.log(2)), lambda x: x > 0.05),
    "log10": one(math.log10, lambda x: 1 / (x * math.log(10)), lambda x: x > 0.05),
    "log1p": one(math.log1p, lambda x: 1 / (1 + x), lambda x: x > -0.9),
    "sqrt": one(math.sqrt, lambda x: 1 / (2 * math.sqrt(x)), lambda x: x > 0.05),
    "cbrt": one(math.cbrt, lambda x: abs(x) ** (-2 / 3) / 3, lambda x: abs(x) > 0.05),
    "sin": one(math.sin, math.cos),
    "cos": one(math.cos, lambda x: -math.sin(x)),
    "tan": one(math.tan, lambda x: 1 / math.cos(x) ** 2, lambda x: abs(math.cos(x)) > 0.2),
    "asin": one(math.asin, lambda x: 1 / math.sqrt(1 - x * x), within(-0.9, 0.9)),
    "acos": one(math.acos, lambda x: -1 / math.sqrt(1 - x * x), within(-0.9, 0.9)),
    "atan": one(math.atan, lambda x: 1 / (1 + x * x)),
    "degrees": one(math.degrees, lambda x: 180 / math.pi, within(-0.8, 0.8)),
    "radians": one(math.radians, lambda x: math.pi / 180),
    "sinh": one(math.sinh, math.cosh, within(-3, 3)),
    "cosh": one(math.cosh, math.sinh, within(-3, 3)),
    "tanh": one(math.tanh, lambda x: 1 / math.cosh(x) ** 2, within(-3, 3)),
    "asinh": one(math.asinh, lambda x: 1 / math.sqrt(1 + x * x)),
    "acosh": one(math.acosh, lambda x: 1 / math.sqrt(x * x - 1), lambda x: x > 1.1),
    "atanh": one(math.atanh, lambda x: 1 / (1 - x * x), within(-0.9, 0.9)),
    "erf": one(math.erf, lambda x: 2 * normal(ROOT2 * x) * ROOT2, within(-3, 3)),
    "erfc": one(math.erfc, lambda x: -2 * normal(ROOT2 * x) * ROOT2, within(-3, 3)),
    "normal_cdf": one(cdf, normal, within(-3, 3)),
    "gamma": one(
        math.gamma,
        lambda x: math.gamma(x) * float(mpmath.digamma(x)),
        lambda x: 0.3 < x < 4 and apart(x, 1.4616),
    ),
    "lgamma": one(
        math.lgamma,
        lambda x: float(mpmath.digamma(x)),
        lambda x: x > 0.3 and apart(x, 1.4616),
    ),
    "relu": one(lambda x: max(x, 0.0), lambda x: float(x > 0), lambda x: abs(x) > MARGIN),
    "leaky_relu": one(
        lambda x: x if x > 0 else 0.01 * x,
        lambda x: 1.0 if x > 0 else 0.01,
        lambda x: abs(x) > MARGIN,
    ),
    "elu": one(
        lambda x: x if x > 0 else math.expm1(x),
        lambda x: 1.0 if x > 0 else math.exp(x),
        lambda x: abs(x) > MARGIN,
    ),
    "sigmoid": one(logistic, lambda x: logistic(x) * logistic(-x), within(-4, 4)),
    "softplus": one(softplus, logistic, within(-9, 40)),
    "logsigmoid": one(lambda x: -softplus(-x), lambda x: logistic(-x), within(-40, 9)),
    "silu": one(
        lambda x: x * logistic(x),
        lambda x: logistic(x) + x * logistic(x) * logistic(-x),
        within(-1, 9),
    ),
    "gelu": one(lambda x: x * cdf(x), lambda x: cdf(x) + x * normal(x), within(-0.5, 4)),
}
BINARY = {
    "add": Rule(operator.add, lambda a, b: [1.0, 1.0], spelled=operator.add),
    "sub": Rule(operator.sub, lambda a, b: [1.0, -1.0], spelled=operator.sub),
    "mul": Rule(operator.mul, lambda a, b: [b, a], spelled=operator.mul),
    "div": Rule(
        operator.truediv,
        lambda a, b: [1 / b, -a / b / b],
        lambda a, b: abs(b) > 0.1,
        operator.truediv,
    ),
    "pow": Rule(
        operator.pow,
        lambda a, b: [b * a ** (b - 1), a**b * math.log(a)],
        lambda a, b: 0.1 < a < 10 and abs(b) < 4,
        operator.pow,
    ),
    "mod": Rule(
        operator.mod,
        lambda a, b: [1.0, -float(a // b)],
        lambda a, b: abs(b) > 0.1 and away(a, b),
        operator.mod,
    ),
    "fmod": Rule(
        math.fmod,
        lambda a, b: [1.0, -float(math.trunc(a / b))],
        lambda a, b: abs(b) > 0.1 and away(a, b),
    ),
    "remainder": Rule(
        math.remainder,
        lambda a, b: [1.0, -float(round(a / b))],
        lambda a, b: abs(b) > 0.1 and away(a + b / 2, b),
    ),
    "maximum": Rule(max, tie, lambda a, b: a == b or apart(a, b)),
    "minimum": Rule(min, lambda a, b: tie(b, a), lambda a, b: a == b or apart(a, b)),
    "copysign": Rule(
        math.copysign,
        lambda a, b: [math.copysign(1, a) * math.copysign(1, b), 0.0],
        lambda a, b: min(abs(a), abs(b)) > MARGIN,
    ),
    "hypot": Rule(
        lambda a, b: math.sqrt(a * a + b * b),
        lambda a, b: [a / math.sqrt(a * a + b * b), b / math.sqrt(a * a + b * b)],
        lambda a, b: abs(a) + abs(b) > 0.1,
    ),
    "atan2": Rule(
        math.atan2,
        lambda a, b: [b / (a * a + b * b), -a / (a * a + b * b)],
        lambda a, b: abs(a) > MARGIN and abs(a) + abs(b) > 0.1,
    ),
    "logaddexp": Rule(
        lambda a, b: max(a, b) + math.log1p(math.exp(-abs(a - b))),
        lambda a, b: [logistic(a - b), logistic(b - a)],
        lambda a, b: abs(a - b) < 9,
    ),
}
WIDE = {
    "where": Rule(
        lambda c, a, b: a if c else b,
        lambda c, a, b: [0.0, float(c != 0), float(c == 0)],
    ),
    "sum": Rule(lambda *xs: sum(xs), lambda *xs: [1.0] * len(xs), spelled=lambda *xs: m.sum(xs)),
    "builtin_sum": Rule(
        lambda *xs: sum(xs), lambda *xs: [1.0] * len(xs), spelled=lambda *xs: sum(xs)
    ),
    "dot": Rule(
        lambda *xs: product(xs),
        lambda *xs: [*xs[len(xs) // 2 :], *xs[: len(xs) // 2]],
        lambda *xs: len(xs) % 2 == 0,
        dot_of(m),
    ),
    "prod": Rule(
        lambda *xs: math.prod(xs),
        lambda *xs: [math.prod(xs[:k] + xs[k + 1 :]) for k in range(len(xs))],
        spelled=lambda *xs: m.prod(xs),
    ),
}
RULES = UNARY | BINARY | WIDE
numbers = st.floats(-4, 4).map(lambda x: round(x, 3))
names = st.sampled_from([*UNARY, *BINARY, *BINARY, *WIDE, *WIDE])


@st.composite
def programs(draw, longest=60):
    """Leaves and steps: a graph with shared parts in which no value leaves the sane range."""
    leaves = draw(st.lists(numbers, min_size=1, max_size=4))
    nodes, steps = list(leaves), []
    for _ in range(draw(st.integers(1, longest))):
        step = draw(one_step(len(nodes)))
        y = computed(step, nodes)
        if y is None:  # an operation that is right everywhere
            step = Step("sin", (max(x for x in step.operands if isinstance(x, int)),))
            y = computed(step, nodes)
        steps.append(step)
        nodes.append(y)
    return leaves, steps


@st.composite
def one_step(draw, count):
    """An operation on at least one of `count` nodes, the later ones more often."""
    nodes = either(node(count), recent(count, 3))
    operand = either(nodes, numbers)
    name = draw(names)
    if name in UNARY:
        return Step(name, (draw(nodes),))
    if name == "where":
        # a condition that is a plain number selects at once: between nodes
        condition = draw(operand)
        chosen = nodes if isinstance(condition, float) else operand
        return Step(name, (condition, draw(chosen), draw(chosen)))
    size = 2 if name in BINARY else draw(st.integers(2, 6))
    operands = [draw(nodes), *draw(several(operand, size - 1))]
    return Step(name, tuple(operands[::-1] if draw(st.booleans()) else operands))


def computed(step, nodes):
    """The step's value on floats; None where it is not smooth there, or too large."""
    rule = RULES[step.name]
    xs = [nodes[x] if isinstance(x, int) else x for x in step.operands]
    if not rule.good(*xs):
        return None
    y = float(rule.value(*xs))
    return y if abs(y) <= LIMIT else None


def primals(program):
    leaves, steps = program
    nodes = list(leaves)
    for step in steps:
        nodes.append(computed(step, nodes))
    return nodes


def dual(program, node):
    """d(last node)/d(node) by dual numbers, and the sum of the sizes of what adds up to it."""
    leaves, steps = program
    nodes = primals(program)
    tangents = [(0.0, 0.0)] * len(leaves)
    for step in steps:
        xs = [nodes[x] if isinstance(x, int) else x for x in step.operands]
        slopes = RULES[step.name].partials(*xs)
        terms = [
            (s * tangents[x][0], abs(s) * tangents[x][1]) if x != node else (s, abs(s))
            for x, s in zip(step.operands, slopes, strict=True)
            if isinstance(x, int)
        ]
        tangents.append((math.fsum(t for t, _ in terms), math.fsum(size for _, size in terms)))
    return (1.0, 1.0) if node == len(nodes) - 1 else tangents[-1]


def recorded(steps, leaves):
    """The program as a user of miniflow would write it: all its nodes."""
    nodes = list(leaves)
    for step in steps:
        f = RULES[step.name].spelled or getattr(m, step.name)
        nodes.append(f(*[nodes[x] if isinstance(x, int) else x for x in step.operands]))
    return nodes


def close(actual, expected, scale):
    """Equal to 1e-12 of the largest term; exactly 0 where nothing contributes."""
    return type(actual) is float and abs(actual - expected) <= 1e-12 * scale


def assert_close(gradient, program):
    for k, x in enumerate(gradient):
        expected, scale = dual(program, k)
        assert close(x, expected, scale), (k, x, expected, scale)
