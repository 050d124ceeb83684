"""`root`: against mpmath at 50 digits, by every solver, in all modes and to any order."""

import gc
import math
from functools import partial

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, grad, hessian, jacobian, jit, jvp, no_grad, root, trace, vjp, vmap
from miniflow import math as m
from miniflow.tape.core import here
from support.profiles import examples
from support.tape_state import assert_clean

# name: f(x, a, b) in the functions of a module, the bracket, the domain of a and that of b
EQUATIONS = {
    "square": (lambda o, x, a, b: x * x - a * b, (0.01, 100.0), (0.1, 9.0), (0.1, 9.0)),
    "cubic": (lambda o, x, a, b: x**3 + a * x - b, (-50.0, 50.0), (0.1, 5.0), (-9.0, 9.0)),
    "Kepler": (lambda o, x, a, b: x - b * o.sin(x) - a, (-20.0, 20.0), (-6.0, 6.0), (0.0, 0.9)),
    "Lambert": (lambda o, x, a, b: x * o.exp(x) - a - b, (0.0, 9.0), (0.5, 50.0), (0.5, 50.0)),
    "logistic": (lambda o, x, a, b: o.tanh(a * x) - b, (-60.0, 60.0), (0.2, 2.0), (-0.9, 0.9)),
}


def bisected(g, ends):
    """A solver of the plainest kind; g rises."""
    low, high = ends
    for _ in range(200):
        x = (low + high) / 2
        low, high = (x, high) if g(x) < 0 else (low, x)
    return high


def mpmath_partials(f, bracket, a, b):
    """The root, its gradient and its Hessian by differences of the root at 50 digits."""
    near = bisected(lambda x: f(math, x, a, b), bracket)
    with mpmath.workdps(50):
        a, b = mpmath.mpf(a), mpmath.mpf(b)
        h = mpmath.mpf(10) ** -10

        def g(i, j):
            p, q = a + i * h, b + j * h
            return mpmath.findroot(lambda x: f(mpmath, x, p, q), (near, near + h))

        near = g(0, 0)
        at = {(i, j): g(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
        da = (at[1, 0] - at[-1, 0]) / (2 * h)
        db = (at[0, 1] - at[0, -1]) / (2 * h)
        daa = (at[1, 0] - 2 * at[0, 0] + at[-1, 0]) / h**2
        dbb = (at[0, 1] - 2 * at[0, 0] + at[0, -1]) / h**2
        dab = (at[1, 1] - at[1, -1] - at[-1, 1] + at[-1, -1]) / (4 * h**2)
        return [float(x) for x in (at[0, 0], da, db, daa, dab, dbb)]


@pytest.mark.parametrize(("f", "bracket", "ends_a", "ends_b"), EQUATIONS.values(), ids=EQUATIONS)
@examples(40)
@given(data=st.data())
def test_values_gradients_and_hessians(f, bracket, ends_a, ends_b, data):
    a, b = data.draw(st.floats(*ends_a)), data.draw(st.floats(*ends_b))
    expected = mpmath_partials(f, bracket, a, b)
    start = bracket if data.draw(st.booleans()) else expected[0] + 0.25

    def by_arguments(a, b):
        return root(partial(f, m), start, a, b)

    def by_closure(a, b):
        return root(lambda x: f(m, x, a, b), start)

    for solve in (by_arguments, by_closure):
        (daa, dab), (_, dbb) = hessian(solve, (0, 1))(a, b)
        found = [solve(a, b), *grad(solve, (0, 1))(a, b), daa, dab, dbb]
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def square(p):
    """The square root, by f's argument."""
    return root(lambda x, p: x * x - p, 1.0, p)


def closed(p):
    """The same by a Value that f closes over."""
    return root(lambda x: x * x - p, 1.0)


def in_bracket(p):
    """The same between two numbers that move with p."""
    return root(lambda x, p: x * x - p, (0.0, p + 1.0), p)


def by_bisection(p):
    return root(lambda x, p: x * x - p, (0.0, p + 1.0), p, solver=bisected)


WAYS = [square, closed, in_bracket, by_bisection]
POINTS = [0.25, 2.0, 3.0, 49.0]


def orders(p):
    """The square root of p and its first four derivatives."""
    factors = [1.0, 0.5, -0.25, 0.375, -0.9375]
    return [c * p ** (0.5 - k) for k, c in enumerate(factors)]


@pytest.mark.parametrize("solve", WAYS)
def test_to_any_order_in_all_modes(solve):
    f, fs = solve, []
    for _ in range(5):
        fs.append(f)
        f = grad(f)
    for k, f in enumerate(fs):
        expected = [orders(p)[k] for p in POINTS]
        program, compiled, native = trace(f, 1.5), jit(f), jit(f, backend="native")
        several = vmap(f), vmap(f, precise=True)
        for g in (f, program, compiled, native):
            assert [g(p) for p in POINTS] == pytest.approx(expected, rel=1e-13)
        assert [compiled(p) for p in POINTS] == [native(p) for p in POINTS]
        for g in several:
            assert g(np.array(POINTS)) == pytest.approx(np.array(expected), rel=1e-13)
    assert grad(grad(jit(solve)))(2.0) == pytest.approx(orders(2.0)[2], rel=1e-13)
    assert_clean()


@pytest.mark.parametrize("solve", WAYS)
@given(p=st.floats(1e-6, 1e6))
def test_compiled_roots_are_the_eager_ones_bit_for_bit(solve, p):
    assert COMPILED[solve](p) == solve(p)


COMPILED = {solve: jit(solve, backend="native") for solve in WAYS}


@pytest.mark.parametrize("solve", WAYS)
def test_forward_mode_and_mixed(solve):
    assert jvp(solve, (2.0,), (3.0,)) == pytest.approx((orders(2.0)[0], 3 * orders(2.0)[1]))
    assert jvp(grad(solve), (2.0,), (1.0,))[1] == pytest.approx(orders(2.0)[2])
    y, pull = vjp(solve, 2.0)
    assert (y, pull(1.0)[0]) == pytest.approx((orders(2.0)[0], orders(2.0)[1]))
    assert jacobian(lambda p: [solve(p), p * solve(p)])(4.0) == pytest.approx([0.25, 3.0])


def test_it_is_one_entry():
    p = Value(2.0)
    with Tape() as tape:
        x = root(lambda x: m.exp(x * x) - p, 1.0)
    assert [entry.op for entry in tape] == ["constant", "root"]
    assert set(x.inputs) >= {p}
    assert tape.gradient(x, p) == pytest.approx(1 / (2 * x.data * 2.0))


def test_captured_and_given_values_together():
    a, b, c = Value(2.0), Value(3.0), Value(5.0)
    y = a * b  # computed: the gradient goes on through it
    x = root(lambda x, z: x**3 + y * x - z[0] * z[1], 1.0, [c, 2.0])
    x.backward()
    slope = 3 * x.data**2 + 6.0
    assert x.data**3 + 6 * x.data == pytest.approx(10.0)
    right = [-x.data * 3 / slope, -x.data * 2 / slope, 2 / slope]
    assert [a.grad, b.grad, c.grad] == pytest.approx(right)


def test_plain_arguments_stay_as_they_are():
    """An int is an int for range, a string a string."""

    def f(x, degree, name, p):
        y = 1.0 if name == "power" else 0.0
        for _ in range(degree):
            y = y * x
        return y - p

    solve = lambda p: root(f, 1.0, 3, "power", p)  # noqa: E731
    for g in (grad(solve), jit(grad(solve)), trace(grad(solve), 2.0)):
        assert g(8.0) == pytest.approx(1 / 12)


def test_what_depends_on_nothing_is_a_float():
    x = root(lambda x: m.cos(x) - x, 1.0)
    assert type(x) is float
    assert x == pytest.approx(0.7390851332151607, rel=1e-15)
    assert type(root(lambda x, a: x - a, 0.0, 2.0)) is float
    assert root(lambda x: x, 0.0) == 0.0


def test_the_start_has_no_influence():
    start, p = Value(1.0), Value(2.0)
    x = root(lambda x: x * x - p, start)
    x.backward()
    assert (start.grad, p.grad) == (0.0, pytest.approx(orders(2.0)[1]))
    assert grad(lambda s: root(lambda x: x * x - 2.0, s))(1.0) == 0.0
    f = jit(lambda s: root(lambda x: x * x - 2.0, s))
    assert [f(1.0), f(-1.0)] == pytest.approx([math.sqrt(2.0), -math.sqrt(2.0)])


def test_in_no_grad_it_is_a_constant():
    p = Value(2.0)
    with no_grad():
        assert root(lambda x: x * x - p, 1.0).op == "constant"


def test_forward_solves_again():
    p = Value(2.0)
    for f, args in ((lambda x: x * x - p, ()), (lambda x, p: x * x - p, (p,))):
        p.data = 2.0
        y = root(f, 1.0, *args) * 2.0
        p.data = 9.0
        assert y.forward().data == pytest.approx(6.0)
        p.grad = 0.0
        y.backward()
        assert p.grad == pytest.approx(1 / 3)


def test_roots_in_roots():
    """The fourth root: the square root of the square root, one inside of the other's equation."""

    def fourth(p):
        return root(lambda y, p: y - square(p) / y, 1.0, p)

    for f in (fourth, jit(fourth), trace(fourth, 2.0)):
        assert f(81.0) == pytest.approx(3.0)
        assert grad(f)(81.0) == pytest.approx(1 / 108)
    assert grad(grad(fourth))(81.0) == pytest.approx(-3 / 16 * 81.0**-1.75)


def test_a_network_whose_weights_f_closes_over():
    """A fixed point of many parameters: each is checked by a difference."""
    ws = [Value(0.1 * k) for k in range(1, 6)]

    def f(x):
        return x - m.tanh(m.sum([w * x + w for w in ws])) - 0.1

    x = root(f, 0.5)
    x.backward()
    for w in ws:
        found, data = [], w.data
        for h in (-1e-5, 1e-5):
            w.data = data + h
            found.append(root(f, 0.5).data)
        w.data = data
        assert w.grad == pytest.approx((found[1] - found[0]) / 2e-5, rel=1e-6)


# --- solvers ------------------------------------------------------------------


def with_slope(g, x):
    """A solver that differentiates g."""
    for _ in range(50):
        x = x - g(x) / grad(g)(x)
    return x


def test_a_solver_may_differentiate():
    solve = lambda p: root(lambda x, p: x * x - p, 1.0, p, solver=with_slope)  # noqa: E731
    for f in (solve, jit(solve), trace(solve, 2.0)):
        assert (f(3.0), grad(f)(3.0)) == pytest.approx(tuple(orders(3.0)[:2]))


def test_solvers_of_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    solvers = {
        "brentq": (lambda g, ends: optimize.brentq(g, *ends), (0.0, 10.0)),
        "newton": (optimize.newton, 1.0),
        "root_scalar": (lambda g, ends: optimize.root_scalar(g, bracket=ends).root, (0.0, 10.0)),
        "fsolve": (lambda g, x: optimize.fsolve(lambda x: g(x.item()), x).item(), 1.0),
    }
    for solver, x0 in solvers.values():
        solve = lambda p, x0=x0, s=solver: root(lambda x, p: x * x - p, x0, p, solver=s)  # noqa: E731
        for f in (solve, jit(solve)):
            assert (f(2.0), grad(f)(2.0)) == pytest.approx(tuple(orders(2.0)[:2]), rel=1e-6)


@given(st.floats(-8.0, 8.0), st.floats(-300.0, 300.0))
def test_newton_from_far_away_and_at_any_scale(exponent, shift):
    scale = 10.0**exponent
    r = scale * (1.0 + abs(shift))
    x = root(lambda x: (x / r) ** 3 - 1.0, (-1e3 * r, 1e4 * r))
    assert x == pytest.approx(r, rel=1e-15)
    assert root(lambda x: m.exp(x / scale) - 2.0, 3.0 * scale) == pytest.approx(
        scale * math.log(2.0), rel=1e-15
    )


def test_hard_functions():
    assert root(lambda x: m.atan(x), 3.0) == 0.0  # Newton's method alone runs away
    assert root(lambda x: m.cbrt(x), 1.0) == pytest.approx(0.0, abs=1e-200)
    assert root(lambda x: x**9, (-1.0, 2.0)) == pytest.approx(0.0, abs=1e-30)
    assert root(lambda x: m.log(x), 0.1) == 1.0
    assert root(lambda x: (x - 1.0) ** 2, 3.0) == pytest.approx(1.0, abs=1e-7)
    assert root(lambda x: x - 1e300, (0.0, 1.7e308)) == 1e300
    assert root(lambda x: m.relu(x) - 2.0, (-5.0, 5.0)) == 2.0


# --- branches -----------------------------------------------------------------


def kinked(x, p):
    """Another formula where x is above 1."""
    return x - p if x < 1.0 else 2.0 * x - 1.0 - p


def test_f_may_branch_on_its_arguments():
    solve = lambda p: root(kinked, 0.0, p)  # noqa: E731
    for f in (solve, jit(solve), trace(solve, 0.5), jit(solve, backend="native")):
        assert [f(0.5), f(3.0), f(0.25)] == [0.5, 2.0, 0.25]
    for f in (grad(solve), jit(grad(solve)), grad(jit(solve))):
        assert [f(0.5), f(3.0), f(0.25)] == [1.0, 0.5, 1.0]
    assert vmap(grad(solve))(np.array([0.5, 3.0])).tolist() == [1.0, 0.5]


def test_f_that_branches_on_what_it_closes_over():
    """Eagerly it is solved as it is; a program knows one path, and says so."""
    solve = lambda p: root(lambda x: kinked(x, p), 0.0)  # noqa: E731
    assert [solve(0.5), solve(3.0), grad(solve)(0.5), grad(solve)(3.0)] == [0.5, 2.0, 1.0, 0.5]
    program = trace(solve, 0.5)
    assert program(0.25) == 0.25
    for f in (program, jit(solve)):
        f(0.5)
        with pytest.raises(RuntimeError, match=r"another path.*arguments instead, root\(f, x0, a"):
            f(3.0)
        assert f(0.25) == 0.25


# --- errors -------------------------------------------------------------------


REFUSED = {
    "no function": (lambda p: root(3.0, 1.0), TypeError, "f must be a function, got float"),
    "several results": (lambda p: root(lambda x: [x, x], 1.0), TypeError, "one number|list"),
    "no number": (lambda p: root(lambda x: None, 1.0), TypeError, "f's result.*NoneType"),
    "text": (lambda p: root(lambda x: x, "1"), TypeError, "root.*str"),
    "three ends": (lambda p: root(lambda x: x, (1.0, 2.0, 3.0)), TypeError, r"\(low, high\)"),
    "no change of sign": (lambda p: root(lambda x: x * x + p, (0, 1)), ValueError, "unlike signs"),
    "no root": (lambda p: root(lambda x: x * x + p, 1.0), RuntimeError, "no root found from x0"),
    "flat": (lambda p: root(lambda x: p, 1.0), RuntimeError, "no root found.*df/dx = 0"),
    "nan": (lambda p: root(lambda x: m.log(-1.0 - x * x), 1.0), RuntimeError, "no root found"),
    "pole": (lambda p: root(lambda x: 1.0 / x, (-1.0, 2.0)), RuntimeError, "without being 0"),
    "step": (lambda p: root(lambda x: m.sign(x) + 0.1, (-1.0, 2)), RuntimeError, "without being 0"),
    "no slope": (lambda p: root(lambda x: (x - p) ** 3, 2.0), ZeroDivisionError, "df/dx is 0"),
    "solver": (lambda p: root(lambda x: x - p, 1.0, solver=lambda g, x: "2"), TypeError, "solver"),
    "bad solver": (lambda p: root(lambda x: x - p, 1.0, solver=lambda g, x: 7.0), RuntimeError,
                   "solver returned x = 7.0.*no root"),
    "error in f": (lambda p: root(lambda x: 1 // 0, 1.0), ZeroDivisionError, "division"),
    "math": (lambda p: root(lambda x: math.sin(x) - p, 1.0), TypeError, "miniflow.math"),
}  # fmt: skip


@pytest.mark.parametrize(("f", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(f, error, words):
    p = Value(2.0)
    with pytest.raises(error, match=words):
        f(p)
    with pytest.raises(error, match=words):
        trace(f, 2.0)
    assert_clean()
    (p * p).backward()
    assert p.grad == 4.0


def test_a_program_whose_equation_has_no_root_says_so():
    f = jit(lambda p: root(lambda x, p: x * x - p, 1.0, p), backend="native")
    assert f(4.0) == 2.0
    with pytest.raises(RuntimeError, match="no root found"):
        f(-4.0)
    assert f(9.0) == 3.0


def test_without_root_a_search_has_no_gradient():
    """What the guide warns of: only comparisons lead from p to the answer."""

    def search(p):
        low, high = 0.0, 10.0
        for _ in range(100):
            x = (low + high) / 2
            low, high = (x, high) if x * x < p else (low, x)
        return x

    assert (search(2.0), grad(search)(2.0)) == (pytest.approx(math.sqrt(2.0)), 0.0)
    assert grad(lambda p: root(lambda x: x * x - p, (0.0, 10.0)))(2.0) == pytest.approx(8**-0.5)


def test_memory_is_flat():
    p = Value(2.0)
    sizes = []
    for k in range(60):
        root(lambda x: x * x - p, 1.0).backward()
        if k % 20 == 19:
            gc.collect()
            sizes.append(here.table.capacity)
    assert sizes[0] == sizes[-1]
