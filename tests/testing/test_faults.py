"""What `check_grads` must find: seeded faults, in our rules and in others'; and what not."""

import random

import pytest

from miniflow.ops import TABLE
from miniflow.testing import inspect_grads
from support import conditioned, others_rules
from support.profiles import scaled
from support.wrong_rules import KINDS, Program, seeded

POINTS = 20  # at which a fault has to show
FAULTS = 304  # of all kinds
RIGHT = 200  # right programs; tests/check_programs.py tries thousands


def first_found(f, points, **options):
    """The first report that says wrong, of those at some points."""
    reports = (inspect_grads(f, xs, **options) for xs in points)
    return next((report for report in reports if report.verdict == "wrong"), None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seeded_fault_is_found_and_named(kind, row):
    source = random.Random(kind)
    for k in range(scaled(FAULTS // len(KINDS))):
        fault = seeded(kind, source)
        op = row(f"wrong{k}", fault.value, *fault.partials)
        program = Program(op, fault, source)
        points = [program.point(fault, source) for _ in range(POINTS)]
        report = first_found(program, points)
        assert report is not None, fault
        assert report.culprit.op == op.name, report
        assert report.culprit.source


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_rule_in_its_place_is_not_blamed(kind, row):
    source = random.Random(kind)
    for k in range(scaled(8)):
        fault = seeded(kind, source)
        if fault.row not in TABLE:
            continue
        right = row(f"right{k}", fault.value, *TABLE[fault.row].partials)
        program = Program(right, fault, source)
        assert first_found(program, [program.point(fault, source) for _ in range(4)]) is None


def test_right_programs_raise_no_false_alarm():
    source = random.Random(17)
    verdicts = []
    for _ in range(scaled(RIGHT)):
        f, xs = conditioned.drawn(source)
        report = inspect_grads(f, xs)
        assert report.verdict != "wrong", report
        verdicts.append(report.verdict)
    assert verdicts.count("right") >= 0.95 * len(verdicts)


# --- others' rules, through grad= -----------------------------------------------


def corners(count, source):
    """Points in all orthants."""
    return [
        tuple([source.choice((-1, 1)) * source.uniform(0.3, 1.7) for _ in range(count)])
        for _ in range(POINTS)
    ]


@pytest.mark.parametrize("fault", others_rules.MICROGRAD)
def test_a_fault_in_micrograds_rules_is_found(fault):
    f, gradient = others_rules.with_micrograd(others_rules.micrograd(fault))
    assert first_found(f, corners(3, random.Random(fault)), grad=gradient) is not None


def test_micrograds_own_rules_are_right():
    f, gradient = others_rules.with_micrograd(others_rules.micrograd())
    for xs in corners(3, random.Random(1)):
        assert inspect_grads(f, xs, grad=gradient), xs


@pytest.mark.parametrize(("rule", "kind"), others_rules.AUTOGRAD_FAULTS)
def test_a_fault_in_autograds_rules_is_found(rule, kind):
    pytest.importorskip("autograd")
    f, gradient = others_rules.with_autograd(twice=kind == "second")
    points = [(a, abs(b)) for a, b in corners(2, random.Random(rule))]
    with others_rules.spoilt_autograd(rule, kind):
        assert first_found(f, points, grad=gradient) is not None


@pytest.mark.parametrize("twice", [False, True])
def test_autograds_own_rules_are_right(twice):
    pytest.importorskip("autograd")
    f, gradient = others_rules.with_autograd(twice)
    for a, b in corners(2, random.Random(3)):
        assert inspect_grads(f, (a, abs(b)), grad=gradient), (a, b)
