"""Local derivatives, each judged on its own: no row of the table is ever blamed."""

import random

import pytest

from miniflow import Value
from miniflow.ops import BUILTIN, TABLE
from miniflow.tape.core import here
from miniflow.testing import inspect_grads
from miniflow.testing.graphs import CallGraph
from miniflow.testing.rules import QUOTIENTS, Rules
from support import accuracy
from support.profiles import scaled

ROWS = [op for op in TABLE.values() if op in BUILTIN]
POINTS = {"atan2": [(0.0014939281126534643,) * 2, (2e-308, 2e-308)], "tanh": [(14.3,), (-28.7,)],
          "floordiv": [(0.0134, -1.47e-26), (6.87e-309, -1.33e-158)],
          "fmod": [(-2.03, -2.3e-308), (3e-309, 1e-200)],
          "normal_cdf": [(29.7,)], "cos": [(-1e-155,)], "exp": [(9.2e-309,)]}  # fmt: skip


def points(op):
    """Points of a row's domain, and those at which rounding is large or steps are many."""
    source = random.Random(op.name)
    count = op.arity if op.arity > 0 else 4
    domain = op.domain if op.arity > 0 else op.domain * count
    drawn = [[accuracy.number(source, *interval) for interval in domain] for _ in range(scaled(6))]
    return [*POINTS.get(op.name, ()), *drawn]


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
def test_no_row_of_the_table_is_blamed(op):
    table = here.table
    for xs in points(op):
        with table.hold():
            leaves = [Value(x) for x in xs]
            rules = Rules(CallGraph(table, leaves, [table.record(op, leaves)]))
            assert rules.faults(2, every=True) == []


@pytest.mark.parametrize("divisor", [5e-324, -5e-324, -1e-310, 2.2e-308, 1e-20])
@pytest.mark.parametrize("name", sorted(QUOTIENTS))
def test_a_quotient_that_jumps_everywhere_is_not_blamed(name, divisor):
    op = TABLE[name]
    for a in (0.0209, -3.5, 1e300, 1e-300):
        report = inspect_grads(lambda a, b: op(a, b) + a / 2, (a, divisor))
        assert report.verdict != "wrong", str(report)


def test_a_row_with_a_fault_is_blamed(row):
    table = here.table
    wrong = row("wrong", lambda x: x * x * x, lambda x, y: 3 * x * x * (1 + 1e-6))
    with table.hold():
        x = Value(0.5)
        (fault,) = Rules(CallGraph(table, [x], [wrong(x)])).faults(2, every=False)
    assert (fault.op, fault.operands, fault.by) == (wrong, (0.5,), (0,))
