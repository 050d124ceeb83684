"""`root` of a system: against mpmath at 50 digits, by every solver, in all modes."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, grad, hessian, jacobian, jit, jvp, no_grad, root, trace, vjp, vmap
from miniflow import math as m
from miniflow.linalg import solve
from support.profiles import examples
from support.tape_state import assert_clean

# name: f(x, a, b) in the functions of a module, where to start, the domains of a and b
SYSTEMS = {
    "circle and line": (
        lambda o, x, a, b: [x[0] ** 2 + x[1] ** 2 - a, x[0] - b * x[1]],
        [2.0, 1.0], (1.0, 9.0), (0.5, 3.0),
    ),
    "exponentials": (
        lambda o, x, a, b: [o.exp(x[0]) + x[1] - a, o.exp(x[1]) - x[0] - b],
        [0.5, 0.5], (1.5, 4.0), (0.5, 3.0),
    ),
    "three": (
        lambda o, x, a, b: [x[0] + o.sin(x[1]) / 4 - a, x[1] + x[2] * x[0] / 8 - b,
                            x[2] + o.cos(x[0]) / 4 - a * b],
        [1.0, 1.0, 1.0], (0.5, 1.5), (0.5, 1.5),
    ),
    "one": (lambda o, x, a, b: [x[0] ** 3 - a * b], [1.0], (0.5, 9.0), (0.5, 9.0)),
}  # fmt: skip


def mpmath_partials(f, near, a, b):
    """The solution with its gradient and Hessian by differences, for each unknown."""
    with mpmath.workdps(50):
        a, b, h = mpmath.mpf(a), mpmath.mpf(b), mpmath.mpf(10) ** -10

        def g(i, j):
            p, q = a + i * h, b + j * h
            found = mpmath.findroot(lambda *x: f(mpmath, x, p, q), near, tol=1e-80)
            return [found] if not hasattr(found, "rows") else list(found)

        at = {(i, j): g(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
        answers = []
        for k in range(len(near)):
            y = {place: x[k] for place, x in at.items()}
            da, db = (y[1, 0] - y[-1, 0]) / (2 * h), (y[0, 1] - y[0, -1]) / (2 * h)
            daa = (y[1, 0] - 2 * y[0, 0] + y[-1, 0]) / h**2
            dbb = (y[0, 1] - 2 * y[0, 0] + y[0, -1]) / h**2
            dab = (y[1, 1] - y[1, -1] - y[-1, 1] + y[-1, -1]) / (4 * h**2)
            answers.append([float(x) for x in (y[0, 0], da, db, daa, dab, dbb)])
        return answers


@pytest.mark.parametrize(("f", "start", "ends_a", "ends_b"), SYSTEMS.values(), ids=SYSTEMS)
@examples(20)
@given(data=st.data())
def test_values_gradients_and_hessians(f, start, ends_a, ends_b, data):
    a, b = data.draw(st.floats(*ends_a)), data.draw(st.floats(*ends_b))
    by_arguments = lambda a, b: root(lambda x, a, b: f(m, x, a, b), start, a, b)  # noqa: E731
    by_closure = lambda a, b: root(lambda x: f(m, x, a, b), start)  # noqa: E731
    near = by_arguments(a, b)
    for k, expected in enumerate(mpmath_partials(f, near, a, b)):
        for solved in (by_arguments, by_closure):
            y = lambda a, b, k=k, solved=solved: solved(a, b)[k]  # noqa: E731
            (daa, dab), (_, dbb) = hessian(y, (0, 1))(a, b)
            found = [y(a, b), *grad(y, (0, 1))(a, b), daa, dab, dbb]
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def roots(p):
    """The square root and the fourth root of p, by what f is given."""
    return root(lambda x, p: [x[0] * x[0] - p, x[1] * x[1] - x[0]], [1.0, 1.0], p)


def closed(p):
    """The same by a Value that f closes over, and a start that moves with it."""
    return root(lambda x: [x[0] * x[0] - p, x[1] * x[1] - x[0]], [p, 1.0])


def stepped(g, xs):
    """A solver that differentiates g."""
    for _ in range(60):
        step = solve(jacobian(g)(xs), g(xs))
        xs = [x - s for x, s in zip(xs, step, strict=True)]
    return xs


def by_solver(p):
    return root(lambda x, p: [x[0] * x[0] - p, x[1] * x[1] - x[0]], [p, 1.0], p, solver=stepped)


WAYS = [roots, closed, by_solver]
POINTS = [0.25, 2.0, 16.0]


def power(p, order, exponent):
    """A derivative of p ** exponent."""
    factor = 1.0
    for k in range(order):
        factor *= exponent - k
    return factor * p ** (exponent - order)


@pytest.mark.parametrize("way", WAYS)
def test_to_any_order_in_all_modes(way):
    for k, exponent in enumerate((0.5, 0.25)):
        f = lambda p, k=k: way(p)[k]  # noqa: E731
        for order in range(3):
            expected = [power(p, order, exponent) for p in POINTS]
            program, compiled, native = trace(f, 1.5), jit(f), jit(f, backend="native")
            for g in (f, program, compiled, native):
                assert [g(p) for p in POINTS] == pytest.approx(expected, rel=1e-12)
            assert [compiled(p) for p in POINTS] == [native(p) for p in POINTS]
            for g in (vmap(f), vmap(f, precise=True)):
                assert g(np.array(POINTS)) == pytest.approx(np.array(expected), rel=1e-12)
            f = grad(f)
    assert grad(grad(jit(lambda p: way(p)[1])))(2.0) == pytest.approx(power(2.0, 2, 0.25))
    assert_clean()


COMPILED = {way: jit(way, backend="native") for way in WAYS}


@pytest.mark.parametrize("way", WAYS)
@examples(20)
@given(p=st.floats(1e-3, 1e3))
def test_compiled_roots_are_the_eager_ones_bit_for_bit(way, p):
    assert COMPILED[way](p) == way(p)


def test_forward_mode_and_jacobians():
    slopes = [power(2.0, 1, 0.5), power(2.0, 1, 0.25)]
    assert jacobian(roots)(2.0) == pytest.approx(slopes)
    assert jvp(roots, (2.0,), (3.0,))[1] == pytest.approx([3 * x for x in slopes])
    assert vjp(roots, 2.0)[1]([1.0, 10.0])[0] == pytest.approx(slopes[0] + 10 * slopes[1])


def test_each_unknown_is_one_entry():
    p = Value(2.0)
    with Tape() as tape:
        x, y = roots(p)
    assert [entry.op for entry in tape if entry.op.startswith("root")] == ["root_0", "root_1"]
    (x * y).backward()
    assert p.grad == pytest.approx(0.75 * 2.0**-0.25)
    assert tape.gradient(y, p) == pytest.approx(power(2.0, 1, 0.25))


def test_what_depends_on_nothing_is_floats():
    found = root(lambda x: [x[0] + x[1] - 3.0, x[0] - x[1] - 1.0], [0.0, 0.0])
    assert (found, [type(x) for x in found]) == ([2.0, 1.0], [float, float])
    with no_grad():
        assert roots(Value(16.0))[1].op == "constant"


def test_forward_solves_again():
    p = Value(16.0)
    y = roots(p)[1] * 1.0
    p.data = 81.0
    assert y.forward().data == pytest.approx(3.0)
    y.backward()
    assert p.grad == pytest.approx(power(81.0, 1, 0.25))


def test_structures_of_arguments_and_results():
    """Matrices among the arguments, an array for a result."""

    def linear(a, b):
        return root(
            lambda x, a, b: np.array([m.dot(row, x) - y for row, y in zip(a, b, strict=True)]),
            [0.0, 0.0], a, b,
        )  # fmt: skip

    a, b = [[2.0, 1.0], [1.0, 3.0]], [5.0, 10.0]
    assert linear(a, b) == pytest.approx([1.0, 3.0])
    for f in (linear, jit(linear)):
        found, right = jacobian(f, (0, 1))(a, b), jacobian(solve, (0, 1))(a, b)
        assert np.array(found[0][0]) == pytest.approx(np.array(right[0][0]))
        assert np.array(found[1][1]) == pytest.approx(np.array(right[1][1]))


def test_a_rotation_wants_its_rows_exchanged():
    """The Jacobian has a 0 in its first place, at some points only."""
    f = lambda p: root(lambda x, p: [x[0] * p + x[1] - 1.0, x[0] - p], [0.5, 0.5], p)[1]  # noqa: E731
    points = [0.0, 2.0, 0.5, -3.0]
    for g in (grad(f), jit(grad(f)), grad(jit(f))):
        assert [g(p) for p in points] == pytest.approx([-2.0 * p for p in points])
    assert vmap(grad(f))(np.array(points)) == pytest.approx(-2.0 * np.array(points))


def test_solvers_of_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    for solver in (optimize.fsolve, lambda g, x: optimize.root(g, x).x):
        f = lambda p, s=solver: root(  # noqa: E731
            lambda x, p: [x[0] * x[0] - p, x[1] * x[1] - x[0]], [1.0, 1.0], p, solver=s
        )[1]
        for g in (f, jit(f)):
            assert (g(2.0), grad(g)(2.0)) == pytest.approx((2**0.25, power(2.0, 1, 0.25)), rel=1e-6)


REFUSED = {
    "no unknowns": (lambda p: root(lambda x: x, []), TypeError, "empty list"),
    "too few": (lambda p: root(lambda x: [x[0]], [1.0, 1.0]), TypeError, "as many.*2.*list"),
    "a number": (lambda p: root(lambda x: x[0] - p, [1.0, 1.0]), TypeError, "as many"),
    "one for one": (lambda p: root(lambda x: x[0] - p, [1.0]), TypeError, "in a list"),
    "no numbers": (lambda p: root(lambda x: ["a", "b"], [1.0, 1.0]), TypeError, "f's result"),
    "text": (lambda p: root(lambda x: x, ["1"]), TypeError, "root.*str"),
    "no root": (lambda p: root(lambda x: [x[0] ** 2 + p, x[1]], [1.0, 1.0]), RuntimeError,
                "no root found from x0"),
    "dependent": (lambda p: root(lambda x: [x[0] + x[1] - p, 2 * (x[0] + x[1] - p)], [1.0, 1.0]),
                  (RuntimeError, ZeroDivisionError), "no root found|singular"),
    "no slope": (lambda p: root(lambda x: [(x[0] - p) ** 3, x[1]], [2.0, 0.0]), ZeroDivisionError,
                 "Jacobian of f is singular"),
    "nan": (lambda p: root(lambda x: [m.log(-1 - x[0] ** 2), x[1]], [1.0, 1.0]), RuntimeError,
            "no root found"),
    "bad solver": (lambda p: root(lambda x: [x[0] - p, x[1]], [1.0, 1.0],
                                  solver=lambda g, x: [7.0, 7.0]), RuntimeError, "is no root"),
    "short solver": (lambda p: root(lambda x: [x[0] - p, x[1]], [1.0, 1.0],
                                    solver=lambda g, x: [2.0]), TypeError, "1 numbers for 2"),
}  # fmt: skip


@pytest.mark.parametrize(("f", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(f, error, words):
    p = Value(2.0)
    with pytest.raises(error, match=words):
        f(p)
    with pytest.raises(error, match=words):
        trace(f, 2.0)
    assert_clean()
