"""The check of the IR: it passes what passes make, and finds each kind of damage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, grad, ops, trace
from miniflow import math as m
from miniflow.program.check import check
from miniflow.program.ir import Code, Guard, Instruction
from support.parts import with_parts
from support.random_functions import functions, points

SHARED = Value(0.5)


def example(x, y):
    z = m.sin(x) * y + 0.75
    return [z * SHARED, z] if z > y else y


CODE = trace(example, 2.0, 0.5)  # slots: x y SHARED 0.75 sin mul add | guard | mul
FIRST = CODE.first


def replaced(xs, k, x):
    return (*xs[:k], x, *xs[k + 1 :])


SIN, MUL, ADD, SCALED = CODE.instructions
(GUARD,) = CODE.guards
DAMAGE = {
    "a slot before it is defined": (
        {"instructions": replaced(CODE.instructions, 0, SIN._replace(operands=(FIRST + 1,)))},
        r"slot 4 \(sin\) needs slot 5, which is not defined there",
    ),
    "an instruction's own slot": (
        {"instructions": replaced(CODE.instructions, 0, SIN._replace(operands=(FIRST,)))},
        r"slot 4 \(sin\) needs slot 4",
    ),
    "a slot below all": (
        {"instructions": replaced(CODE.instructions, 1, MUL._replace(operands=(-1, 0)))},
        r"slot 5 \(mul\) needs slot -1",
    ),
    "a slot that is no number of one": (
        {"instructions": replaced(CODE.instructions, 1, MUL._replace(operands=(True, 0)))},
        r"slot 5 \(mul\) needs slot True",
    ),
    "too many operands": (
        {"instructions": replaced(CODE.instructions, 0, SIN._replace(operands=(0, 1)))},
        r"slot 4 \(sin\) has 2 operands",
    ),
    "too few operands": (
        {"instructions": replaced(CODE.instructions, 1, MUL._replace(operands=(0,)))},
        r"slot 5 \(mul\) has 1 operands",
    ),
    "no operands": (
        {"instructions": replaced(CODE.instructions, 1, Instruction(ops.sum, ()))},
        r"slot 5 \(sum\) has 0 operands",
    ),
    "no operation": (
        {"instructions": replaced(CODE.instructions, 1, Instruction(ops.leaf, ()))},
        r"slot 5 \(leaf\) has 0 operands",
    ),
    "a guard of a later slot": (
        {"guards": (GUARD._replace(position=2),)},
        "guard 0 is at 2, its place is 3",
    ),
    "a guard of no slot": (
        {"guards": (GUARD._replace(left=8),)},
        "guard 0 needs slot 8, which is not defined there",
    ),
    "a guard after its place": (
        {"guards": (GUARD._replace(position=4),)},
        "guard 0 is at 4, its place is 3",
    ),
    "a guard after the end": (
        {"guards": (GUARD._replace(position=5),)},
        "^example: guard 0 is at 5, its place is 3",
    ),
    "guards out of order": (
        {"guards": (GUARD, Guard("<", 0, 1, False, 0))},
        "guard 1 is at 0, its place is 3",
    ),
    "an unknown relation": (
        {"guards": (GUARD._replace(relation=">"),)},
        "guard 0 has the relation '>'",
    ),
    "a guard that is neither": (
        {"guards": (GUARD._replace(holds=1),)},
        "guard 0 must hold or not, got 1",
    ),
    "an output that is not there": (
        {"outputs": (FIRST + 4, 0)},
        "an output needs slot 8, which is not defined there",
    ),
    "an output too few": ({"outputs": (0,)}, "1 outputs for 2 numbers in the result"),
    "a constant that is an int": ({"constants": (1,)}, "a constant must be a float, got int"),
    "a name that is none": ({"names": {0: "a b"}}, "must be an identifier, got 'a b'"),
    "a name that is a keyword": ({"names": {0: "if"}}, "must be an identifier, got 'if'"),
    "a parameter that is none": ({"parameters": ("x", "2")}, "must be an identifier, got '2'"),
    "a function that is none": ({"name": "<lambda>"}, "must be an identifier, got '<lambda>'"),
    "a name of two slots": ({"names": {0: "x", 1: "x"}}, "two slots have one name"),
    "a name of no slot": ({"names": {FIRST + 4: "x"}}, "a name needs slot 8"),
    "a parameter too few": ({"parameters": ("x",)}, "1 parameters for 2 arguments"),
    "a place too few": ({"places": CODE.places[1:]}, "3 places for 4 instructions"),
}  # fmt: skip


@pytest.mark.parametrize(("parts", "words"), DAMAGE.values(), ids=DAMAGE)
def test_each_kind_of_damage_is_found(parts, words):
    with pytest.raises(ValueError, match=words):
        check(with_parts(CODE, **parts))


def test_what_is_not_damaged_passes():
    assert with_parts(CODE) == CODE
    check(with_parts(CODE))


def test_code_is_checked_wherever_it_is_made():
    """In these tests: what `conftest` sees to."""
    parts = CODE.__reduce__()[1]
    with pytest.raises(ValueError, match="needs slot -1"):
        Code(*[(-1, 0) if x is CODE.outputs else x for x in parts])


@given(functions(), st.data())
def test_passes_keep_the_rules(f, data):
    """Tracing, decomposition, differentiation and schedules (see `checked_code`)."""
    from miniflow.program.expand import expanded
    from miniflow.program.schedule import hoisted

    xs = data.draw(points(f))
    code = trace(f, *xs)
    derivative = trace(grad(lambda *xs: f(*xs)[0], tuple(range(f.count))), *xs)
    varies = data.draw(st.lists(st.booleans(), min_size=f.count, max_size=f.count))
    for made in (code, derivative):
        check(made)
        check(expanded(made, ()))
        for part in hoisted(made, varies):
            check(part)
