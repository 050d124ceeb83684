"""`check_grads`: what it calls right, wrong and inconclusive, and whom it blames."""

import dataclasses
import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, jit, nn, no_grad, ops, root, vmap
from miniflow import math as m
from miniflow.testing import (
    GradientError,
    InconclusiveWarning,
    check_grads,
    inspect_grads,
)

LINE = "z = x * m.exp(x.data)  # this line loses a gradient"


@pytest.fixture
def wrong(row):
    """A row whose partial is off by a millionth."""
    return row("wrong", math.tanh, lambda x, y: (1.0 - y * y) * (1 + 1e-6))


@dataclasses.dataclass
class Pair:
    first: float
    rest: list


# --- right ----------------------------------------------------------------------


def rosenbrock(xs):
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(xs))


def loop(x, n):
    while x < 10:
        x = x * x + 1 if x > 1 else x + 0.75
    return x * n


RIGHT = {
    "scalars": (lambda x, y: m.sin(x * y), (0.5, 2.0)),
    "list": (rosenbrock, ([0.5, -1.0, 2.0],)),
    "dict": (lambda d: {"a": d["p"] * d["q"], "b": [d["p"] ** 3, 1.0]}, ({"p": 1.5, "q": 2.0},)),
    "dataclass": (lambda p: Pair(p.first * p.rest[0], [p.rest[1]]), (Pair(0.5, [2.0, 3.0]),)),
    "array": (lambda x: m.dot(x, x), (np.array([1.0, 2.0, 3.0]),)),
    "matrix": (lambda x: (x * x).sum(axis=0), (np.array([[1.0, 2.0], [3.0, 4.0]]),)),
    "static": (lambda x, how: x * x if how == "square" else x, (0.5, "square")),
    "integers": (lambda x, n: x**n, (2, 3)),
    "loop": (loop, (0.3, 2.0)),
    "constant": (lambda x: 3.0, (0.5,)),
    "unused": (lambda x, y: y * y, (0.5, 2.0)),
    "jit": (jit(lambda x: m.exp(x) * x if x > 0 else -x), (0.5,)),
    "jit inside": (lambda x: JITTED(x) * x, (0.5,)),
    "vmap": (vmap(lambda x: m.exp(x) * x), (np.array([0.5, -1.0, 2.0]),)),
    "root": (lambda a: root(lambda x, p: x * x - p, 1.0, a), (2.0,)),
    "stopped": (lambda x: x * m.exp(m.stop_gradient(x)), (0.3,)),
    "shifted": (lambda x, y: m.log(m.exp(x - x.data) + m.exp(y - x.data)) + x.data, (0.3, 0.5)),
    "a branch that changes nothing": (lambda x: x if x > 0 else +x, (0.0,)),
    "steep": (lambda x: m.sin(1e6 * x), (0.3,)),
    "cancels": (lambda x: (x + 1e16) - 1e16, (0.3,)),
    "tiny": (lambda x: m.exp(x) / (1 + x), (1e-200,)),
    "huge": (lambda x: m.log(x) + m.sin(x) / x, (1e200,)),
    "micrograd's readme": (lambda a, b: readme(a, b), (-4.0, 2.0)),
}
JITTED = jit(lambda x: m.tanh(x) * x)


def readme(a, b):
    from support.expressions import micrograd_readme

    return micrograd_readme(a, b)


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass(name):
    f, args = RIGHT[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = check_grads(f, args)
    assert report
    assert {x.order for x in report.comparisons} == {1, 2}
    assert {x.mode for x in report.comparisons} == {"rev", "fwd"}


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_any_order(order):
    report = check_grads(lambda x, y: m.exp(-x * x) * m.sin(y), (0.3, 0.7), order=order)
    assert {x.order for x in report.comparisons} == set(range(1, order + 1))


@pytest.mark.parametrize("modes", ["rev", ("fwd",), ["rev", "fwd"]])
def test_modes(modes):
    report = check_grads(m.sin, (0.3,), modes=modes)
    assert {x.mode for x in report.comparisons} == ({modes} if modes == "rev" else set(modes))


@given(st.floats(-5, 5), st.floats(0.1, 5))
def test_the_judge_of_a_right_gradient_is_sure_to_nine_digits(x, y):
    for comparison in check_grads(lambda x, y: m.tanh(x) * m.log(y) + x, (x, y)).comparisons:
        assert abs(comparison.got - comparison.expected) <= 1e-9 * max(
            1.0, abs(comparison.expected)
        )


# --- models ---------------------------------------------------------------------


@pytest.mark.slow
def test_a_models_parameters_are_inputs():
    model = nn.MLP(2, [3, 1])
    before = model.state_dict()
    reports = [
        check_grads(model, ([0.3, 0.4],)),
        check_grads(lambda net, x: net(x) ** 2, (model, [0.3, 0.4])),
        check_grads(lambda x: model(x) ** 2, ([0.3, 0.4],)),
    ]
    for report in reports:
        assert sum(x.order == 1 and x.mode == "rev" for x in report.comparisons) == 2 + 13
        assert any("layers.0.neurons.0.w.0" in x.name for x in report.comparisons)
    assert model.state_dict() == before
    assert all(p.grad == 0.0 for p in model.parameters())


def test_a_check_leaves_results_and_gradients_alone():
    w = Value(2.0, label="w")
    y = w * w
    assert check_grads(lambda x: w * x, (3.0,))
    y.backward()
    assert w.grad == 4.0
    with pytest.raises(GradientError):
        check_grads(lambda x: w * x.data, (3.0,))
    assert w.grad == 4.0


def test_a_large_call_is_sampled():
    report = check_grads(lambda xs: m.dot(xs, xs) + m.sin(xs[7]), ([0.01 * k for k in range(100)],))
    assert 10 < len(report.comparisons) < 150
    assert any("all, signs" in x.name for x in report.comparisons)


# --- wrong ----------------------------------------------------------------------


def test_a_wrong_rule_is_named_with_its_line(wrong):
    def f(x):
        y = x * 2
        z = wrong(y)  # here
        return z + x

    with pytest.raises(GradientError) as caught:
        check_grads(f, (0.5,))
    culprit = caught.value.report.culprit
    assert (culprit.op, culprit.operands) == ("wrong", (1.0,))
    assert culprit.file == __file__
    assert culprit.source == "z = wrong(y)  # here"
    assert culprit.expected == pytest.approx(1 - math.tanh(1.0) ** 2, rel=1e-9)
    assert culprit.got == pytest.approx(culprit.expected, rel=2e-6)
    assert culprit.ulps > 1e9


def test_a_rule_is_wrong_even_where_its_gradient_is_not_used(wrong):
    assert inspect_grads(lambda x: wrong(x) * 0.0 + x, (0.5,)).culprit.op == "wrong"


def test_a_rule_that_is_right_once_and_wrong_twice(row):
    frozen = row("frozen", math.tanh, lambda x, y: 1 - ops.stop_gradient(y * y))
    assert check_grads(frozen, (0.5,), order=1)
    report = inspect_grads(frozen, (0.5,))
    assert report.culprit.name == "∂²frozen/∂x∂x"
    assert {x.order for x in report.of("wrong")} == {2}


@pytest.mark.parametrize("lose", [
    lambda x: x.data, lambda x: x.detach(), lambda x: muted(x), lambda x: Value(x.data),
])  # fmt: skip
def test_a_lost_gradient_is_named(lose):
    report = inspect_grads(lambda x: x * m.exp(lose(x)), (0.3,))
    assert report.verdict == "wrong"


def muted(x):
    with no_grad():
        return x * 1.0


def test_a_lost_gradient_is_blamed_on_the_number_and_its_line():
    def f(x):
        z = x * m.exp(x.data)  # this line loses a gradient
        return z + 1

    culprit = inspect_grads(f, (0.3,)).culprit
    assert culprit.source == LINE
    assert "the plain number 1.3498588075760032 in mul changes" in culprit.what


def test_an_output_that_is_a_plain_number_is_wrong():
    assert inspect_grads(lambda x: x.data * 2, (0.3,)).verdict == "wrong"


def test_where_a_gradient_becomes_nan_is_named():
    report = inspect_grads(lambda x: m.sqrt(x * x) * 0.0, (0.0,))
    assert report.verdict == "wrong"
    assert report.culprit.what == "operation sqrt passes back 0.0 * inf"


# --- inconclusive ---------------------------------------------------------------


OPEN = {
    "abs": (abs, (0.0,), "abs has a kink"),
    "relu": (lambda x: m.relu(x) * 2, (0.0,), "relu has a kink"),
    "tie": (m.maximum, (1.0, 1.0), "maximum has a kink"),
    "ties": (lambda xs: m.max(xs), ([2.0, 2.0, 2.0],), "max_of has a kink"),
    "jump": (lambda x: m.floor(x) + x, (2.0,), "floor has a kink"),
    "kinks that cancel": (lambda x: m.relu(x) - m.relu(-x), (0.0,), "relu has a kink"),
    "branch": (lambda x: x if x > 0 else 2 * x, (0.0,), "another branch"),
    "edge": (m.sqrt, (0.0,), "edge"),
    "rounding": (lambda x: m.tanh(x), (14.3,), "rounding"),
    "nan": (lambda x: m.log(x), (-1.0,), "no numbers"),
}


@pytest.mark.parametrize("name", OPEN)
def test_what_cannot_be_judged_is_said(name):
    f, args, reason = OPEN[name]
    with pytest.warns(InconclusiveWarning) as caught:
        report = check_grads(f, args)
    assert report.verdict == "inconclusive"
    assert not report
    assert reason in str(caught[0].message)
    assert any(reason in x for x in report.reasons)


def test_a_kink_that_only_the_second_derivative_has():
    with pytest.warns(InconclusiveWarning):
        report = check_grads(lambda x: m.relu(x) * x, (0.0,))
    assert {x.verdict for x in report.comparisons if x.order == 2} == {"inconclusive"}


@pytest.mark.parametrize("value", [2.0, -1.5])
def test_a_slope_beyond_both_sides_of_a_kink_is_wrong(row, value):
    hinge = row("hinge", lambda x: max(x, 0.0),
                lambda x, y: ops.where(ops.equal(x, 0.0), value, ops.step(x)))  # fmt: skip
    assert inspect_grads(hinge, (0.0,)).culprit.op == "hinge"
    assert inspect_grads(hinge, (1.0,), order=1)


# --- tolerances and mistakes ----------------------------------------------------


def test_a_tolerance_can_be_given(wrong):
    assert not inspect_grads(lambda x: x * x, (3.0,), grad=lambda x: 6.001)
    assert inspect_grads(lambda x: x * x, (3.0,), grad=lambda x: 6.001, rtol=1e-3)
    assert inspect_grads(lambda x: x * x, (3.0,), grad=lambda x: 6.001, atol=0.01)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: check_grads(3.0, (1.0,)), TypeError, "f must be a function"),
    (lambda: check_grads(m.sin, 1.0), TypeError, "args must be a tuple"),
    (lambda: check_grads(m.sin, (1.0,), modes=("back",)), ValueError, "modes are 'rev' and 'fwd'"),
    (lambda: check_grads(m.sin, (1.0,), modes=()), ValueError, "modes are 'rev' and 'fwd'"),
    (lambda: check_grads(m.sin, (1.0,), order=0), ValueError, "order must be 1 or more"),
    (lambda: check_grads(lambda x: None, (1.0,)), TypeError, "f must return numbers"),
    (lambda: check_grads(lambda x: "y", (1.0,)), TypeError, "f must return numbers"),
    (lambda: check_grads(m.sin, (1j,)), TypeError, "expected a real number"),
    (lambda: check_grads(m.sin, (1.0,), grad=1.0), TypeError, "must be a function"),
])  # fmt: skip
def test_mistakes_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_inside_no_grad_it_is_refused():
    with no_grad(), pytest.raises(RuntimeError, match="inside no_grad"):
        check_grads(m.sin, (1.0,))


def test_an_error_of_the_function_is_its_own_and_leaves_nothing_behind():
    with pytest.raises(KeyError):
        check_grads(lambda x: {}[x], (1.0,))
    assert check_grads(m.sin, (1.0,))
