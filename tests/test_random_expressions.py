"""Gradients and Hessians of random expressions of all rows are mpmath's.

`tests/random_expressions.py` does the same with as many expressions as one likes.
"""

import math
import random

from miniflow import ops
from support import conditioned
from support.conditioned import Expression, Node, Step, Tally
from support.judge import JUDGE
from support.profiles import scaled


def test_gradients_and_hessians_are_mpmaths():
    source, tally = random.Random("expressions"), Tally()
    for _ in range(scaled(200)):
        assert tally.judge(*conditioned.drawn(source), source) == []
    assert tally.judged["gradient"] > 4 * tally.open["gradient"]
    assert tally.judged["Hessian"] > 4 * tally.open["Hessian"]


def test_every_row_is_drawn():
    source, met = random.Random(0), set()
    for _ in range(400):
        met.update(name for name, _ in conditioned.drawn(source)[0].steps)
    assert met == {*conditioned.ROWS} == {*ops.TABLE}


def test_a_wrong_rule_is_found(row, monkeypatch):
    row("slanted", math.sin, lambda x, y: ops.cos(x) * (1 + 1e-13))
    monkeypatch.setitem(JUDGE, "slanted", JUDGE["sin"])
    source, tally = random.Random(0), Tally()
    f = Expression(1, [Step("exp", (Node(0),)), Step("slanted", (Node(1),))])
    assert len(tally.judge(f, (0.3,), source)) == 2  # the gradient and the Hessian


def test_what_cancels_is_left_open():
    source, tally = random.Random(0), Tally()
    steps = [Step("add", (Node(0), 1e14)), Step("sub", (Node(1), 1e14)), Step("exp", (Node(2),))]
    assert tally.judge(Expression(1, steps), (0.3,), source) == []
    assert tally.open == {"gradient": 1, "Hessian": 1}
