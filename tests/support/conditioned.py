"""Random expressions of all rows; their gradients and Hessians in mpmath; how sure these are.

An answer is exact, in 50 digits, by the chain rule from the rows' twins in `support.judge`. It is
computed some times more while all that is computed on the way is moved at random by some ulps. By
how much the answers move says how well conditioned they are: an error much greater than that is
a fault, and not of the rounding. Answers that move by more than `LOOSE` of themselves say nothing.

Terms:
    step     one operation: a row, and operands that are nodes (numbers of them) or plain numbers
    node     an input or a step's result
    bound    by how much a result may be off
    move     a function that adds some ulps, at random, to what is computed
"""

import math
from collections import Counter
from typing import NamedTuple

from miniflow import grad, hessian
from miniflow.ops import TABLE
from support import accuracy
from support.judge import JUDGE, largest, mp, total

NUDGE = mp.mpf(2) ** -51  # 4 ulp at most
RUNS = 4
FACTOR = 8  # the bound, over by how much the answers move
LOOSE = 1e-6
SMALL, LARGE = 1e-60, 1e60  # sizes of nodes
FLOOR = mp.mpf(10) ** -250  # answers are judged from here to its inverse
ORDERS = ("gradient", "Hessian")
ROWS = [name for name in TABLE if name in JUDGE]
# Operands that are whole numbers, and plain ones: which, from, to.
WHOLE = {
    "hurwitz_zeta": (0, 2, 6),
    "power_log": (2, 1, 3),
    "ldexp": (1, -9, 9),
    "round_to": (1, 0, 3),
}


class Node(NamedTuple):
    """An operand that is a node, by its number."""

    number: int


class Step(NamedTuple):
    name: str
    operands: tuple


class Expression(NamedTuple):
    """A function of `count` numbers; its result is its last node."""

    count: int
    steps: list

    def __call__(self, *xs):
        nodes = list(xs)
        for name, operands in self.steps:
            nodes.append(TABLE[name](*[at(x, nodes) for x in operands]))
        return nodes[-1]

    def __str__(self):
        names = list("abcdefghijklmnopqrstuvwxyz")
        lines = [f"{names[self.count + k]} = {name}({', '.join(shown(x, names) for x in operands)})"
                 for k, (name, operands) in enumerate(self.steps)]  # fmt: skip
        return "; ".join(lines)


def at(x, nodes):
    return nodes[x.number] if x.__class__ is Node else x


def shown(x, names):
    return names[x.number] if x.__class__ is Node else repr(x)


# --- random expressions ---------------------------------------------------------


def drawn(source, longest=10):
    """An expression, and numbers to differentiate it at; all its nodes are of a moderate size."""
    count = source.randint(1, 3)
    xs = [number(source) for _ in range(count)]
    nodes, steps = list(xs), []
    for _ in range(source.randint(3, longest)):
        step, y = operation(source, nodes)
        steps.append(step)
        nodes.append(y)
    return Expression(count, steps), tuple(xs)


def number(source):
    """A number of a moderate size; also whole ones, half-integers and what is close to them."""
    if source.random() < 0.3:
        return accuracy.number(source, -100.0, 100.0)
    size = source.choice((1.0, 4.0, 4.0, 30.0))
    return source.choice((source.uniform(-size, size), 10 ** source.uniform(-4, 2)))


def operation(source, nodes):
    """A step on nodes, and its value."""
    while True:
        name = source.choice(ROWS)
        op = TABLE[name]
        count = op.arity if op.arity > 0 else 2 * source.randint(1, 2)
        operands = [operand(source, nodes) for _ in range(count)]
        if name in WHOLE:
            place, low, high = WHOLE[name]
            operands[place] = float(source.randint(low, high))
        if name == "pow" and source.random() < 0.5:
            operands[1] = float(source.randint(-3, 4))
        elif not fits(op, [at(x, nodes) for x in operands]):
            continue
        given = [at(x, nodes) for x in operands]
        if any(x.__class__ is Node for x in operands) and smooth(op, given):
            y = op(*given)
            if y == 0 or SMALL < abs(y) < LARGE:
                return Step(name, tuple(operands)), y


def operand(source, nodes):
    if source.random() < 0.2:
        return number(source)
    recent = source.random() < 0.5
    return Node(len(nodes) - 1 if recent else source.randrange(len(nodes)))


def fits(op, xs):
    domain = op.domain if op.arity > 0 else op.domain * len(xs)
    domain = [accuracy.WIDER.get(op.name, interval) for interval in domain]
    return all(low <= x <= high for x, (low, high) in zip(xs, domain, strict=True))


def smooth(op, xs):
    """Whether the row has derivatives there."""
    pole = accuracy.POLES.get(op.name)
    return not (pole and pole(*xs))


# --- the judge ------------------------------------------------------------------


class Moves:
    """Moves what is computed, by so much at most."""

    def __init__(self, source, size):
        self.source, self.size = source, size

    def __call__(self, answer):
        exact = total(answer)
        return exact + largest(answer) * self.size * self.source.uniform(-1, 1)


def jets(f, xs, move):
    """The gradient and the Hessian of an expression: one list, row by row."""
    n = f.count
    nodes = [(move(mp.mpf(x)), [mp.mpf(j == k) for j in range(n)], [[mp.zero] * n] * n)
             for k, x in enumerate(xs)]  # fmt: skip
    for name, operands in f.steps:
        nodes.append(jet(JUDGE[name], operands, nodes, move))
    _, slopes, curves = nodes[-1]
    return [*slopes, *[c for row in curves for c in row]]


def jet(row, operands, nodes, move):
    """A step's value, gradient and Hessian, by the chain rule."""
    given = [nodes[x.number][0] if x.__class__ is Node else mp.mpf(x) for x in operands]
    active = [(k, nodes[x.number]) for k, x in enumerate(operands) if x.__class__ is Node]
    first, second = row.first(*given), row.second(*given)
    n = len(active[0][1][1])
    slopes = [mp.zero] * n
    curves = [[mp.zero] * n for _ in range(n)]
    for k, (_, slope, curve) in active:
        by = move(first[k])
        bends = [(move(second[k][m]), other[1]) for m, other in active]
        if max(abs(y) for y in (by, *[bend for bend, _ in bends])) > 1 / FLOOR:
            raise ArithmeticError("a partial is no double")
        for i in range(n):
            slopes[i] += by * slope[i]
            for j in range(n):
                curves[i][j] += by * curve[i][j]
                curves[i][j] += slope[i] * mp.fsum(bend * other[j] for bend, other in bends)
    value = move(row.value(*given))
    if isinstance(value, mp.mpc) or 0 < abs(value) < FLOOR:
        raise ArithmeticError("a node is no double")
    return value, slopes, curves


def judged(f, xs, source):
    """The exact derivatives with their bounds; None where a bound says nothing."""
    still, moved = Moves(source, 0), Moves(source, NUDGE)
    exact = jets(f, xs, still)
    others = [jets(f, xs, moved) for _ in range(RUNS)]
    return [(y, bound(y, [run[k] for run in others])) for k, y in enumerate(exact)]


def bound(y, others):
    if isinstance(y, mp.mpc) or any(isinstance(x, mp.mpc) for x in others):
        return None
    if not mp.isfinite(y) or abs(y) > 1 / FLOOR:
        return None
    spread = max(abs(x - y) for x in others)
    if spread > LOOSE * abs(y):
        return None
    return FACTOR * max(spread, abs(y) * mp.mpf(2) ** -53) + FLOOR


def error(got, answer, bound):
    """How far a result is off, over the bound."""
    return float(abs(mp.mpf(got) - answer) / bound) if math.isfinite(got) else math.inf


# --- the check ------------------------------------------------------------------


def derivatives(f, xs):
    """The gradient and the Hessian, row by row, in one list."""
    every = tuple(range(f.count))
    rows = hessian(f, every)(*xs)
    return [*grad(f, every)(*xs), *[float(y) for row in rows for y in row]]


class Tally:
    """What has been judged, by order; the greatest error over its bound; the rows met."""

    def __init__(self):
        self.judged, self.open, self.wrong = Counter(), Counter(), Counter()
        self.worst, self.rows, self.refused = 0.0, Counter(), 0

    def judge(self, f, xs, source):
        """What is wrong of one expression's derivatives: lines of text."""
        try:
            answers = judged(f, xs, source)
        except (ValueError, ArithmeticError, TypeError):
            self.refused += 1
            return []
        found = derivatives(f, xs)
        lines = []
        for k, ((answer, bound), got) in enumerate(zip(answers, found, strict=True)):
            order = ORDERS[k >= f.count]
            if bound is None:
                self.open[order] += 1
                continue
            self.judged[order] += 1
            off = error(got, answer, bound)
            self.worst = max(self.worst, off)
            if off > 1:
                self.wrong[order] += 1
                lines.append(f"{order} {k} of {f} at {xs}: {got!r}, not {float(answer)!r}: "
                             f"{off:.3g} times the bound")  # fmt: skip
        if any(bound is not None for _, bound in answers):
            self.rows.update({name for name, _ in f.steps})
        return lines
