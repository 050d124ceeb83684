"""Gradients: micrograd's examples, and what backward() leaves in every Value's `grad`."""

import math

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value
from support.expressions import micrograd_readme as readme

finite = st.floats(-1e6, 1e6)
whole = st.integers(-999, 999).map(float)  # sums and products of such numbers are exact


# --- micrograd ----------------------------------------------------------------


def sanity(x):
    """The first of micrograd's own tests."""
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    return h + q + q * x


def derivative(f, *xs):
    """The gradient by fifty-digit differences: the judge that knows no autodiff."""
    with mpmath.workdps(50):
        count = len(xs)
        return [
            float(mpmath.diff(f, xs, tuple(int(j == k) for j in range(count))))
            for k in range(count)
        ]


def relu(x):
    return x if x > 0 else x * 0


def test_micrograds_readme_example():
    a, b = Value(-4.0), Value(2.0)
    g = readme(a, b)
    g.backward()
    assert f"{g.data:.4f} {a.grad:.4f} {b.grad:.4f}" == "24.7041 138.8338 645.5773"


def test_micrograds_expressions_agree_with_torch():
    torch = pytest.importorskip("torch")
    for f, xs in ((readme, (-4.0, 2.0)), (sanity, (-4.0,))):
        ours = [Value(x) for x in xs]
        theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in xs]
        y, expected = f(*ours), f(*theirs)
        y.backward()
        expected.backward()
        assert y.data == pytest.approx(expected.item(), rel=1e-14)
        assert [x.grad for x in ours] == pytest.approx([x.grad.item() for x in theirs], rel=1e-14)


def test_micrograds_expressions_agree_with_fifty_digits():
    def exact_readme(a, b):
        c = 4 * (a + b) + 3 - a  # c + c + 1, then 1 + 2c - a
        d = a * b + b**3
        d = 3 * d + relu(b + a)
        d = 4 * d + relu(b - a)
        return (c - d) ** 2 / 2 + 10 / (c - d) ** 2

    def exact_sanity(x):
        z = 3 * x + 2
        q = relu(z) + z * x
        return relu(z * z) + q + q * x

    for f, exact, xs in ((readme, exact_readme, (-4.0, 2.0)), (sanity, exact_sanity, (-4.0,))):
        leaves = [Value(x) for x in xs]
        y = f(*leaves)
        y.backward()
        assert y.data == pytest.approx(float(exact(*xs)), rel=1e-14)
        assert [x.grad for x in leaves] == pytest.approx(derivative(exact, *xs), rel=1e-12)


def test_micrograds_names():
    a, b = Value(1.0, label="a"), Value(2.0)
    y = a * b
    assert (y._prev, y._op, a._op, a._prev) == ({a, b}, "*", "", set())
    assert (a.label, b.label, y.label) == ("a", "", "")
    y.label = "y"
    assert repr(y) == "Value(data=2.0, grad=0.0, label='y')"
    assert (y.op, a.op, y.inputs) == ("mul", "leaf", (a, b))
    assert all(x is z for x, z in zip(y.inputs, (a, b), strict=True))


# --- gradients ----------------------------------------------------------------


@given(finite)
def test_one_value_twice_in_an_operation(x):
    for f, slope in ((lambda a: a + a, 2.0), (lambda a: a * a, 2 * x), (lambda a: a - a, 0.0)):
        a = Value(x)
        f(a).backward()
        assert a.grad == slope


@given(finite, finite)
def test_diamonds(x, y):
    a, b = Value(x), Value(y)
    s = a * b
    t = s + a
    u = s + t
    (t + u).backward()  # 3ab + 2a
    assert a.grad == 3 * y + 2
    assert b.grad == 3 * x
    assert (s.grad, t.grad, u.grad) == (3.0, 2.0, 1.0)


def test_wide_diamonds():
    a = Value(3.0)
    s = a + 0
    for _ in range(60):
        s = s + s
    s.backward()
    assert a.grad == 2.0**60


@given(st.integers(1, 5), whole)
def test_backward_n_times_is_exactly_n_times_the_gradient(n, x):
    a = Value(x)
    y = a * a + a
    for _ in range(n):
        y.backward()
    assert a.grad == n * (2 * x + 1)
    assert y.grad == 1.0


def test_an_intermediates_grad_is_that_of_the_latest_backward():
    a = Value(3.0)
    b = a * 2
    y, z = b * b, b + 1
    y.backward()
    y.backward()
    assert b.grad == 12.0
    z.backward()
    assert (b.grad, y.grad, z.grad) == (1.0, 1.0, 1.0)
    assert a.grad == 50.0


def test_backward_of_part_of_a_graph_leaves_the_rest_alone():
    a = Value(3.0)
    b = a * 2
    y = b * b
    y.backward()
    b.backward()
    assert (b.grad, y.grad, a.grad) == (1.0, 1.0, 26.0)


def test_backward_of_a_leaf():
    a = Value(3.0)
    a.backward()
    a.backward(seed=2)
    assert a.grad == 3.0


def test_a_leafs_grad_can_be_set_and_zeroed():
    a = Value(2.0)
    y = a * a
    y.backward()
    a.grad = 0
    assert a.grad == 0.0
    assert type(a.grad) is float
    y.grad = 7
    y.backward()
    assert (a.grad, y.grad) == (4.0, 1.0)


def test_a_reached_leaf_whose_adjoint_is_zero_or_infinite():
    a, b = Value(0.0), Value(math.inf)
    (a * b).backward()
    assert (a.grad, b.grad) == (math.inf, 0.0)
    c = Value(0.0)
    ((c * 0.0) * math.inf).backward()
    assert c.grad != c.grad or c.grad == 0.0


def test_a_plain_exponent_has_no_partial():
    a = Value(-3.0)
    (a**2).backward()
    assert a.grad == -6.0
    b = Value(-3.0)
    (b ** Value(2.0).detach()).backward()
    assert b.grad == -6.0
