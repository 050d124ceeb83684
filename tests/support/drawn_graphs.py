"""Random graphs of Values by random rows, from a source of random numbers.

Terms:
    tied    of a choice: at a point at which a convention decides
"""

import math

from miniflow import Value
from miniflow.ops import TABLE
from support.judge import JUDGE

# next to a jump mpmath's answer is another one; or it takes too long
LEFT_OUT = {"nextafter", "ldexp", "exponent", "hurwitz_zeta", "round_to", "power_log"}
ROWS = [TABLE[x] for x in JUDGE if x not in LEFT_OUT and (TABLE[x].arity > 0 or x in "sum dot")]


def fits(op, xs):
    """Whether operands are well inside of a row's domain."""
    domain = op.domain * (len(xs) if op.arity < 0 else 1)
    for (low, high), x in zip(domain, xs, strict=True):
        if not max(low, -50) + 1e-3 * math.isfinite(low) < x < min(high, 50) - 1e-3:
            return False
    return True


def tied(op, xs):
    return op.selects and (len(set(xs)) < len(xs) or 0.0 in xs)


def drawn_graph(source, size=25):
    """The leaves and the last result of a random graph, in which operands are shared."""
    leaves = [Value(source.choice((1.0, 0.1, 3.0)) * source.uniform(-2, 2)) for _ in range(3)]
    nodes = list(leaves)
    while len(nodes) < size:
        op = source.choice(ROWS) if source.random() < 0.5 else source.choice(ROWS[:4])
        arity = op.arity if op.arity > 0 else source.choice((2, 4))
        xs = [source.choice(nodes[-6:] if source.random() < 0.7 else nodes) for _ in range(arity)]
        numbers = [x.data for x in xs]
        if tied(op, numbers) or not fits(op, numbers):
            continue
        y = op(*xs)
        if math.isfinite(y.data) and abs(y.data) < 1e6:
            nodes.append(y)
    return leaves, nodes[-1]
