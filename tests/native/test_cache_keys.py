"""Keys of compiled code: two programs share one exactly if their code is the same."""

import importlib
import math
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import define, grad, jit, trace
from miniflow import math as m
from miniflow.native import machine, probe, tiers
from miniflow.ops import TABLE
from support.machine_code import ANSWERS, POINTS, at_the_bench, bits, files, smooth, stored
from support.parts import with_parts
from support.random_programs import RELATIONS, randoms, total

pytestmark = pytest.mark.usefixtures("folder")

ONE_ANOTHER = {
    "constant": [lambda x: x + 1.0, lambda x: x + 1.0000000000000002, lambda x: x + 2.0],
    "sign of zero": [lambda x: m.copysign(x, 0.0) * 2, lambda x: m.copysign(x, -0.0) * 2],
    "nan": [lambda x: x + math.nan, lambda x: x + math.inf, lambda x: x + -math.inf],
    "row": [lambda x: m.sin(x), lambda x: m.cos(x), lambda x: m.tan(x)],
    "order": [lambda x: x - 3.0, lambda x: 3.0 - x],
    "operands": [lambda x: m.sum([x, x, 2.0]), lambda x: m.sum([x, 2.0, 2.0])],
    "grouping": [
        lambda x: m.sum([x, 0.1, 0.2]),
        lambda x: x + 0.1 + 0.2,
        lambda x: x + (0.1 + 0.2),
    ],
    "variadic": [lambda x: m.sum([x, x, x, x]), lambda x: m.dot([x, x], [x, x])],
    "structure": [lambda x: (x, x), lambda x: [x, x], lambda x: ((x,), x), lambda x: ((x, x),)],
    "outputs": [lambda x: (x * 2, x * 3), lambda x: (x * 3, x * 2), lambda x: (x * 2, x * 2)],
    "text": [lambda x: (x, "a"), lambda x: (x, "b"), lambda x: (x, None), lambda x: (x, True)],
    "relation": [
        lambda x: x * 2 if x < 2.0 else x,
        lambda x: x * 2 if x <= 2.0 else x,
        lambda x: x * 2 if x == 2.0 else x,
        lambda x: x * 2 if x > 2.0 else x,
        lambda x: x * 2 if x < 3.0 else x,
    ],
    "outcome": [lambda x: x + 1 if x < 5 else x, lambda x: x + 1 if not x < 5 else x],
    "position": [
        lambda x: m.exp(x) if x < 5 else x,
        lambda x: m.exp(x) if m.exp(x) < 5 else x,
    ],
}
INPUTS = [(2.0,), (0.5,), (-0.0,), (7.0,)]


@pytest.mark.parametrize("functions", ONE_ANOTHER.values(), ids=ONE_ANOTHER)
def test_programs_that_differ_do_not_find_each_other_s_code(functions, folder):
    """In any order: each is asked for when the others are stored."""
    expected = [[bits(f(*xs)) for xs in INPUTS] for f in functions]
    for f, answers in [*zip(functions, expected, strict=True)] * 2:
        assert stored(f, *INPUTS) == answers


def flat(tree):
    if isinstance(tree, (list, tuple, np.ndarray)):
        return [x for part in tree for x in flat(part)]
    return [tree]


def test_structures_of_arguments_are_told_apart(folder):
    f = lambda *xs: flat(xs)[0] * 2 + flat(xs)[-1]  # noqa: E731
    calls = [
        (1.0, 2.0), ([1.0, 2.0],), ((1.0, 2.0),), ([[1.0], 2.0],), ([1.0, [2.0]],), ([1.0], 2.0),
        (np.array([1.0, 2.0]),), (np.array([[1.0, 2.0]]),), (np.array([[1.0], [2.0]]),),
        ([np.array([1.0]), 2.0],), (np.array([1.0]), 2.0), (1.0, np.array([2.0])),
    ]  # fmt: skip
    for _ in range(2):
        for args in calls:
            assert stored(f, args) == [bits(4.0)], args
    assert len(files(folder)) == len(calls)


def test_constants_are_no_part_of_the_code(folder, built):
    """Strings, functions, classes: what has the same structure and program finds the same code."""

    class Kind:
        """Its name has its address in it."""

    with at_the_bench() as bench:
        for how in ("one", "other", "third"):
            f = jit(lambda x, how: {"a": x * 2.0, "b": how}, backend="native")
            assert f(1.5, how) == f(1.5, how) == {"a": 3.0, "b": how}
            bench.finish()
        for how in (Kind(), Kind(), test_fused_code_is_told_apart):
            f = jit(lambda x, how: x * 2.0, backend="native")
            assert f(1.5, how) == f(1.5, how) == 3.0
            bench.finish()
    assert len(built) == 4  # both tiers of two


def test_fused_code_is_told_apart(folder, built):
    """Code with fma=True is not that without."""
    f = lambda a, b, c: a * b + c  # noqa: E731
    a = 1 + 2.0**-30
    c = -(1 + 2.0**-29)
    plain = f(a, a, c)
    with at_the_bench() as bench:
        for _ in range(2):
            fused, separate = jit(f, backend="native", fma=True), jit(f, backend="native")
            assert fused(a, a, c) in (plain, m.fma(a, a, c))
            assert separate(a, a, c) == plain
            bench.finish()
            assert separate(a, a, c) == plain


def test_another_version_compiles_anew(folder, built, monkeypatch):
    """Whatever code depends on is part of every key."""
    stored(smooth, *POINTS)
    names = files(folder)
    for version in (b"another", b"third"):
        del built[:]
        with monkeypatch.context() as patch:
            patch.setattr(tiers, "version", lambda version=version: version)
            assert stored(smooth, *POINTS) == ANSWERS
        assert built
    assert len(files(folder)) == 3 * len(names)


def test_the_version_covers_the_machine_and_the_library(monkeypatch):
    before = tiers.version()
    assert before == tiers.version.__wrapped__()
    for module, name, other in (
        (machine, "features", lambda: ("another", "+processor")),
        (probe, "functions", lambda: frozenset(["sin"])),
        (machine, "lanes", lambda: 64),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, other)
            assert tiers.version.__wrapped__() != before
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version", "3.99")
        assert tiers.version.__wrapped__() != before
    with monkeypatch.context() as patch:
        patch.setattr(importlib.import_module("llvmlite"), "__version__", "99")
        assert tiers.version.__wrapped__() != before


def test_the_key_sees_every_part_of_a_program():
    """What does not change the code, names and places, does not change the key."""

    def f(x, y):
        z = m.sin(x) * y + 0.0
        return z if z > y else y

    program = trace(f, 2.0, -3.0)
    key = tiers.digest(program, "entry")
    guard = program.guards[0]
    others = {
        "constants": [-0.0, *program.constants[1:]],
        "outputs": (*program.outputs[::-1], 0),
        "guards": [guard._replace(holds=not guard.holds)],
        "instructions": [
            x._replace(op=TABLE["cos"]) if x.op.name == "sin" else x for x in program.instructions
        ],
        "captured": (),
    }
    assert 0.0 in program.constants
    assert tiers.digest(program, "entry") == key
    assert tiers.digest(program, "batch") != key
    for name, other in others.items():
        if name != "captured":
            assert tiers.digest(with_parts(program, **{name: other}), "entry") != key, name
    for relation in ("<=", "=="):
        assert (
            tiers.digest(with_parts(program, guards=[guard._replace(relation=relation)]), "entry")
            != key
        )
    for moved in (guard._replace(position=0), guard._replace(left=guard.right, right=guard.left)):
        assert tiers.digest(with_parts(program, guards=[moved]), "entry") != key
    same = with_parts(
        program, name="g", parameters=("a", "b"), names={}, places=[None] * len(program)
    )
    assert tiers.digest(same, "entry") == key


@given(st.lists(randoms(longest=6), min_size=2, max_size=4))
def test_keys_are_equal_exactly_if_programs_are(found):
    programs = [trace(total(program), *points[0]) for program, points in found]
    for a in programs:
        for b in programs:
            same = tiers.digest(a, "entry") == tiers.digest(b, "entry")
            assert same == (a.code == b.code)


# --- rows that users define ---------------------------------------------------


@contextmanager
def row(name, value, *partials):
    op = define(name, value, *partials)
    try:
        yield op
    finally:
        del TABLE[name]


FORMULAS = {
    "traceable": [lambda x: x * x * x, lambda x: x + x, lambda x: m.sin(x) - 1.0],
    "by Python": [
        lambda x: float(int(x)),
        lambda x: float(int(x) + 5),
        lambda x: float(int(x) * 2),
    ],
    "either": [lambda x: x * 3.0, lambda x: float(int(x)), lambda x: x * 5.0],
    "constants": [lambda x: x + 0.0, lambda x: x + 1.0, lambda x: x + -0.0],
}


@pytest.mark.parametrize("formulas", FORMULAS.values(), ids=FORMULAS)
def test_a_row_defined_anew_does_not_get_the_old_one_s_code(formulas, folder):
    """The same name, another formula: in this process and, by the files, in any other."""
    for value in [*formulas, *formulas]:
        with row("twist_", value, 1.0) as twist:
            points = [(2.5,), (-1.5,), (-0.0,)]
            expected = [bits(value(*xs) * 2.0) for xs in points]
            assert stored(lambda x: twist(x) * 2.0, *points) == expected


def test_a_row_s_partials_defined_anew(folder):
    slopes = [lambda x, y: 2 * x, lambda x, y: y + 1.0]
    for slope in slopes * 2:
        with row("twist_", lambda x: x * x, slope) as twist:
            found = stored(grad(lambda x: twist(x)), (3.0,))
            assert found == [bits(slope(3.0, 9.0))]


def test_rows_that_stand_on_other_rows(folder):
    """A row's formula uses another one of the user's: that one may change, too."""
    for inner in (lambda x: x * 2.0, lambda x: x * 7.0):
        with (
            row("inner_", inner, 1.0) as first,
            row("outer_", lambda x: first(x) + 1.0, 1.0) as second,
        ):
            assert stored(lambda x: second(x), (3.0,)) == [bits(inner(3.0) + 1.0)]


def test_every_relation_has_code_of_its_own(folder):
    for _ in range(2):
        for relation in RELATIONS:
            f = lambda x, y, less=relation: x - y if less(x, y) else y * x  # noqa: E731
            points = [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (math.nan, 1.0)]
            assert stored(f, *points) == [bits(f(*xs)) for xs in points]
