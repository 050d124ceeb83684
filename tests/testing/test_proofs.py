"""Every row is proved, and a wrong rule is refused with the point; so is a user's row."""

import contextlib
import inspect
import math
import sys

import numpy as np
import pytest
import sympy

import viz
from miniflow import Value, define, grad, jit, ops, trace, vmap
from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.testing import proofs, prove
from miniflow.testing.proofs import HINTED, HINTS, PROVED, REASONS, TRIED
from miniflow.testing.symbols import number
from support import proved

# --- the table --------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLE)
def test_a_row_is_proved_in_one_way(name):
    known = proved.proof(name)
    assert (known.how == TRIED) == (name in REASONS)
    assert known.how != PROVED or (name not in HINTS and not known.why)
    assert known.how != HINTED or known.why
    assert known.pieces or name in REASONS


def test_entries_are_those_of_rows():
    assert {*HINTS, *REASONS} <= {*TABLE}
    assert not {*HINTS} & {*REASONS}
    assert all(REASONS.values())


@pytest.mark.slow
def test_the_docs_print_the_table():
    text = proved.DOCUMENT.read_text(encoding="utf-8")
    assert text.partition(proved.START)[2] == proved.table()


@pytest.mark.parametrize("name", ["gaussian", "silu", "hurwitz_zeta", "digamma"])
def test_a_hint_is_needed(name, monkeypatch):
    monkeypatch.delitem(HINTS, name)
    with contextlib.suppress(ValueError):  # or it seems to be wrong
        assert prove(TABLE[name]).how == TRIED  # by numbers, which know what a hint says


def scaled(rule, factor):
    """A partial that is off by a factor."""
    if not callable(rule):
        return rule * factor
    names = ", ".join(inspect.signature(rule).parameters)
    return eval(f"lambda {names}: rule({names}) * factor", {"rule": rule, "factor": factor})


FAULTS = {
    "sign": lambda a, b=None: (scaled(a, -1.0), b),
    "factor": lambda a, b=None: (scaled(a, 2.0), b),
    "a millionth": lambda a, b=None: (scaled(a, 1 + 1e-6), b),
    "swapped": lambda a, b: (b, a),
}
CASES = [
    *[(name, fault) for name in ("sin", "tanh", "log", "gelu") for fault in FAULTS],
    *[(name, fault) for name in ("div", "hypot", "atan2", "logaddexp") for fault in FAULTS],
]
CASES = [(name, fault) for name, fault in CASES if fault != "swapped" or TABLE[name].arity == 2]


@pytest.mark.parametrize(("name", "fault"), CASES)
def test_a_wrong_rule_is_refused(name, fault, monkeypatch):
    op = TABLE[name]
    monkeypatch.setattr(op, "partials", FAULTS[fault](*op.partials)[: op.arity])
    with pytest.raises(ValueError, match=rf"{name}: its partial by \w is wrong at \w = "):
        prove(op)


@pytest.mark.parametrize(
    ("x", "right"),
    [
        (0.5, sympy.Rational(1, 2)),
        (0.1, sympy.Rational(1, 10)),
        (1 / 3, sympy.Rational(1, 3)),
        (math.log(2), sympy.log(2)),
        (1 / math.log(10), 1 / sympy.log(10)),
        (-2 / math.sqrt(math.pi), -2 / sympy.sqrt(sympy.pi)),
        (math.inf, sympy.oo),
        (2.0**600, sympy.Integer(2) ** 600),
        (True, sympy.Integer(1)),
    ],
)
def test_what_a_double_stands_for(x, right):
    assert number(x) == right


# --- rows of a user's ---------------------------------------------------------------


def softsign_slope(x, y):
    return ops.div(1.0, (1 + abs(x)) * (1 + abs(x)))


def test_a_checked_row_is_of_use_at_once(row):
    softsign = row("softsign", lambda x: x / (1 + abs(x)), softsign_slope, check=True)
    slope = grad(softsign)
    assert (softsign(3.0), slope(3.0), grad(slope)(3.0)) == (0.75, 0.0625, -0.03125)
    assert trace(slope, 3.0)(3.0) == jit(slope, backend="native")(3.0) == 0.0625
    assert vmap(slope)(np.array([3.0, -3.0])).tolist() == [0.0625, 0.0625]
    assert "softsign" in viz.draw_dot(softsign(Value(3.0))).source
    assert m.softsign is softsign
    known = prove(softsign)
    assert (known.how, known.why, len(known.pieces)) == (PROVED, "", 2)
    assert known.trials > 8


WRONG = {
    "a square is missing": (lambda x: x / (1 + abs(x)), (lambda x, y: ops.div(1.0, 1 + abs(x)),),
                            r"by x is wrong at x = 0\.5: 0\.6\d*, .* 0\.4\d*; .* where x > 0"),
    "at a tie": (lambda x: math.sin(x) / x if x else 1.0,
                 (lambda x, y: ops.where(x, ops.div(m.cos(x) - y, x), 1.0),),
                 r"by x is wrong at x = 0\.0: 1\.0, the value's derivative is 0\.0"),
    "in one orthant": (lambda a, b: a * b,
                       (lambda a, b, y: ops.where(ops.less(a, 0.0) * ops.less(b, 0.0), 1.01 * b, b),
                        lambda a, b, y: a), "right is b where a < 0 and b < 0"),
    "at second order": (lambda x: x * x * x, (lambda x, y: 3 * x * ops.stop_gradient(x),),
                        "its partial, differentiated again, by x and x is wrong"),
    "of a lookup": (lambda x: {0.0: 7.0}.get(x, 0.5), (1.0,), "by x is wrong at x = 0.5: 1.0"),
    "it raises": (math.sqrt, (lambda x, y: ops.div(0.5, y),),
                  "it raises ValueError.* give domain= where it has a value"),
    "a partial that raises": (lambda x: x * abs(x), (lambda x, y: 2 * x * x / abs(x),),
                              "at x = 0.0 it raises ZeroDivisionError"),
    "noise": (lambda x: float(hash(x * 1.7) % 97), (0.0,), "is wrong|cannot be judged"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "partials", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_row_is_refused_and_gone(value, partials, message, row):
    with pytest.raises(ValueError, match=message):
        row("mistaken", value, *partials, check=True)
    assert "mistaken" not in TABLE
    assert not hasattr(m, "mistaken")
    row("mistaken", value, *partials)  # unchecked, as ever


def long_formula(x):
    a, b = 1.0, x
    for _ in range(20):
        a, b = (a + b) / 2, math.sqrt(a * b)
    return a


RIGHT = {
    "a lookup": (lambda x: {0.0: 7.0}.get(x, 0.5), (None,), TRIED),
    "mish": (lambda x: x * math.tanh(math.log1p(math.exp(x))),
             (lambda x, y: m.tanh(m.softplus(x)) + x * m.sigmoid(x) * ops.sech2(m.softplus(x)),),
             PROVED),
    "a choice": (lambda x: max(-1.0, min(1.0, x)),
                 (lambda x, y: ops.where(ops.less(abs(x), 1.0), 1.0, 0.0),), PROVED),
    "a step": (lambda x: math.floor(x) * x, (lambda x, y: m.floor(x),), HINTED),
}  # fmt: skip


@pytest.mark.parametrize(("value", "partials", "how"), RIGHT.values(), ids=RIGHT)
def test_a_right_row_passes(value, partials, how, row):
    domain = ((-700.0, 700.0),)
    known = prove(row("right", value, *partials, domain=domain, check=True))
    assert known.how == how
    assert (how == PROVED) == (known.why == "")
    assert known.trials > 8


def test_what_is_too_long_for_sympy_is_tried(row):
    with pytest.raises(ValueError, match="long: its partial by x is wrong"):
        row("long", long_formula, lambda x, y: y, domain=((0.1, 10.0),), check=True)


def test_rows_of_any_number_of_operands(row):
    norm = row("norm", math.hypot, each=lambda k, xs, y: ops.div(xs[k], y), check=True)
    assert prove(norm).how == TRIED
    with pytest.raises(ValueError, match=r"by x_2 is wrong at x_1 = "):
        row("norms", math.hypot, each=lambda k, xs, y: ops.div(xs[0], y), check=True)


def test_without_sympy_the_remedy_is_named(row, monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(ImportError, match=r"needs sympy; pip install 'miniflow\[testing\]'"):
        row("sine", lambda x: x * x, lambda x, y: 2 * x, check=True)
    assert "sine" not in TABLE


def test_a_proof_says_what_it_found():
    assert str(prove(ops.tanh)) == "tanh: proved by SymPy"
    assert str(prove(ops.relu).pieces[0].conditions) == "(x > 0,)"
    assert proofs.operand_names(ops.sum, 2) == ["x_1", "x_2"]
    assert define.__doc__.count("miniflow.testing.prove") == 1
