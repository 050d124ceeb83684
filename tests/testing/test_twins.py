"""Twins are the table's rows, in mpmath's numbers."""

import math
import random

import pytest

from miniflow.ops import BUILTIN, TABLE
from miniflow.testing.rules import QUOTIENTS
from miniflow.testing.twins import context, twin
from support import accuracy
from support.judge import JUDGE, largest

ROWS = [op for op in TABLE.values() if op in BUILTIN]


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
def test_a_twin_answers_as_its_row(op):
    source, mp = random.Random(op.name), context()
    tried = 0
    for _ in range(40):
        xs = operands(op, source)
        y = op.number(*xs)
        if not math.isfinite(y):
            continue
        with mp.workdps(700 if op.name in QUOTIENTS else 40):  # a quotient may have as many
            found = twin(op)(*map(mp.mpf, xs))
            size = max(abs(y), float(largest(JUDGE[op.name].value(*map(mp.mpf, xs)))), 1e-300)
            assert abs(found - y) <= 16 * math.ulp(size), xs
        tried += 1
    assert tried > 10


def operands(op, source):
    """Operands in a row's domain."""
    count = op.arity if op.arity > 0 else 4
    intervals = op.domain if op.arity > 0 else op.domain * count
    xs = [accuracy.number(source, max(low, -20.0), min(high, 20.0)) for low, high in intervals]
    if op.name in ("hurwitz_zeta", "power_log", "ldexp", "round_to"):
        place = 0 if op.name == "hurwitz_zeta" else 2 if op.name == "power_log" else 1
        xs[place] = float(source.randint(2, 5))
    return xs


def test_a_users_row_has_no_twin(row):
    assert twin(row("mine", lambda x: x, 1.0)) is None
