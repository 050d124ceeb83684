"""Small linear systems against mpmath at 50 digits, in every mode."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from miniflow import Value, grad, hessian, jacobian, jit, linalg, vmap
from support.modes import MODES

entry = st.integers(-9, 9).map(lambda k: k / 2)
modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
A = [[1.0, 2.0, -1.0], [4.0, 0.5, 3.0], [0.0, -2.0, 1.5]]
B = [1.0, -2.0, 0.5]
POSITIVE = [[4.0, 1.0, -0.5], [1.0, 3.0, 0.25], [-0.5, 0.25, 2.0]]


def square(n):
    return st.lists(st.lists(entry, min_size=n, max_size=n), min_size=n, max_size=n)


matrices = st.integers(1, 4).flatmap(square)


def close(x):
    return pytest.approx(x, rel=1e-9, abs=1e-9)


def flat(tree):
    return np.array(tree, dtype=float).ravel().tolist()


def minor(a, i, j):
    return [row[:j] + row[j + 1 :] for k, row in enumerate(a) if k != i]


def exact_det(a):
    """The determinant of whole halves, by permutations."""
    n = len(a)
    if not n:
        return 1.0
    return sum((-1) ** j * a[0][j] * exact_det(minor(a, 0, j)) for j in range(n) if a[0][j])


def cofactors(a):
    n = range(len(a))
    return [[(-1) ** (i + j) * exact_det(minor(a, i, j)) for j in n] for i in n]


# --- values -------------------------------------------------------------------


@given(matrices)
def test_determinants_and_their_gradients(a):
    assert linalg.det(a) == close(exact_det(a))
    assert flat(grad(linalg.det)(a)) == close(flat(cofactors(a)))


@given(st.integers(2, 4).flatmap(square), st.data())
def test_of_singular_matrices_too(a, data):
    """One row is a multiple of another, or is 0; columns may be 0, too."""
    i, j = data.draw(st.permutations(range(len(a))))[:2]
    factor = data.draw(st.sampled_from([0.0, 1.0, -2.0]))
    a[i] = [factor * x for x in a[j]]
    if data.draw(st.booleans()):
        for row in a:
            row[0] = 0.0
    assert linalg.det(a) == pytest.approx(0.0, abs=1e-9)
    assert flat(grad(linalg.det)(a)) == close(flat(cofactors(a)))


def test_second_derivatives_of_a_determinant_of_zeros():
    found = hessian(linalg.det)([[0.0, 0.0], [0.0, 0.0]])
    assert found[0][0] == [[0.0, 0.0], [0.0, 1.0]]
    assert found[0][1] == [[0.0, 0.0], [-1.0, 0.0]]


@given(matrices, st.lists(entry, min_size=4, max_size=4))
def test_solutions_and_inverses(a, b):
    assume(abs(exact_det(a)) > 0.1)
    n = len(a)
    x = linalg.solve(a, b[:n])
    assert [sum(p * q for p, q in zip(row, x, strict=True)) for row in a] == close(b[:n])
    inverse = linalg.inv(a)
    with mpmath.workdps(50):
        expected = mpmath.inverse(mpmath.matrix(a)).tolist()
    assert flat(inverse) == close(flat(expected))
    columns = linalg.solve(a, [[y, -y] for y in b[:n]])
    assert [row[0] for row in columns] == x
    assert [row[1] for row in columns] == close([-y for y in x])


@given(square(3))
def test_cholesky(rows):
    a = [[sum(p * q for p, q in zip(x, y, strict=True)) for y in rows] for x in rows]
    assume(exact_det(a) > 1e-3)
    found = linalg.cholesky(a)
    product = [[sum(p * q for p, q in zip(x, y, strict=True)) for y in found] for x in found]
    assert flat(product) == close(flat(a))
    assert all(found[i][j] == 0.0 for i, j in [(0, 1), (0, 2), (1, 2)])


@given(st.lists(entry, max_size=6))
def test_norms(xs):
    size = math.sqrt(sum(x * x for x in xs))
    assert linalg.norm(xs) == close(size)
    slopes = grad(linalg.norm)(xs) if xs else []
    assert slopes == close([x / size if size else 0.0 for x in xs])
    assert linalg.norm([3e200, 4e200]) == close(5e200)


# --- derivatives, in every mode -------------------------------------------------


def shifted(a, place, t):
    """A matrix with t added in one place."""
    return [[x + (t if (i, j) == place else 0) for j, x in enumerate(r)] for i, r in enumerate(a)]


def symmetric(a, place, t):
    """The same, symmetric: half of t on either side."""
    return shifted(shifted(a, place, t / 2), place[::-1], t / 2)


def lower(a):
    return mpmath.cholesky(mpmath.matrix(a)).tolist()


CASES = {
    "solve": (lambda a: linalg.solve(a, B), A, shifted,
              lambda a: list(mpmath.lu_solve(mpmath.matrix(a), mpmath.matrix(B)))),
    "inv": (linalg.inv, A, shifted, lambda a: mpmath.inverse(mpmath.matrix(a)).tolist()),
    "det": (linalg.det, A, shifted, lambda a: [mpmath.det(mpmath.matrix(a))]),
    "norm": (linalg.norm, A, shifted, lambda a: [mpmath.norm([x for r in a for x in r], 2)]),
    "cholesky": (linalg.cholesky, POSITIVE, symmetric, lower),
}  # fmt: skip
for name, (f, *_) in CASES.items():
    f.__name__ = name
SLOPES = {name: jacobian(case[0]) for name, case in CASES.items()}


def leaves(tree):
    """The numbers of nested lists."""
    return [x for part in tree for x in leaves(part)] if isinstance(tree, (list, tuple)) else [tree]


@modes
@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_in_every_mode(mode, name):
    f, a, change, exact = CASES[name]
    with mpmath.workdps(50):
        assert leaves(mode(f, a)) == close([float(x) for x in leaves(exact(a))])
        slopes = {
            place: [
                float(mpmath.diff(lambda t, k=k, p=place: leaves(exact(change(a, p, t)))[k], 0))
                for k in range(len(leaves(exact(a))))
            ]
            for place in itertools.product(range(3), repeat=2)
        }
    found = np.array(leaves(mode(SLOPES[name], a))).reshape(-1, 3, 3)
    for (i, j), expected in slopes.items():
        assert found[:, i, j].tolist() == close(expected)


def test_second_derivatives_of_an_inverse():
    found = hessian(lambda a: linalg.inv(a)[0][1])(A)
    inverse = np.linalg.inv(np.array(A))
    for i, j, k, m in itertools.product(range(3), repeat=4):
        expected = inverse[0, i] * inverse[j, k] * inverse[m, 1]
        expected += inverse[0, k] * inverse[m, i] * inverse[j, 1]
        assert found[i][j][k][m] == close(expected)


@modes
def test_rows_change_places_in_compiled_code(mode):
    f = CASES["solve"][0]
    for rows in itertools.permutations(A):
        a = [*map(list, rows)]
        assert mode(f, a) == close(np.linalg.solve(np.array(a), np.array(B)).tolist())
    zero = [[0.0, 1.0], [1.0, 0.0]]
    assert mode(linalg.solve, zero, [2.0, 3.0]) == [3.0, 2.0]


def test_a_batch_of_systems():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(50, 3, 3)), rng.normal(size=(50, 3))
    found = vmap(linalg.solve, precise=True)(a, b)
    assert found == close(np.linalg.solve(a, b[..., None])[..., 0])
    assert found.tolist() == [linalg.solve(x, y).tolist() for x, y in zip(a, b, strict=True)]


# --- structures -----------------------------------------------------------------


def test_results_are_made_like_what_went_in():
    assert type(linalg.inv(((2.0, 0.0), (0.0, 4.0)))) is tuple
    assert linalg.inv([[2, 0], [0, 4]]) == [[0.5, 0.0], [0.0, 0.25]]
    found = linalg.inv(np.array([[2, 0], [0, 4]]))
    assert found.dtype == float
    assert found.shape == (2, 2)
    v = Value(2.0)
    found = linalg.solve(np.array([[v, 0.0], [0.0, 4.0]], dtype=object), np.array([1.0, 2.0]))
    assert found.shape == (2,)
    found[0].backward()
    assert v.grad == -0.25
    assert type(linalg.solve(A, tuple(B))) is tuple


REFUSED = {
    "singular": (linalg.solve, ([[1.0, 2.0], [2.0, 4.0]], [1.0, 1.0]), "solve: .* singular"),
    "zeros": (linalg.inv, ([[0.0, 0.0], [0.0, 0.0]],), "inv: the matrix is singular"),
    "not square": (linalg.det, ([[1.0, 2.0]],), r"det: .* square, got rows of \[2\] numbers"),
    "ragged": (linalg.inv, ([[1.0, 2.0], [3.0]],), "must be square"),
    "empty": (linalg.det, ([],), "must be square"),
    "other rows": (linalg.solve, (A, [1.0]), "but a has 3 rows"),
    "ragged b": (linalg.solve, (A, [[1.0], [1.0, 2.0], [1.0]]), "b has rows of"),
    "not symmetric": (linalg.cholesky, ([[1.0, 2.0], [0.0, 5.0]],), "not symmetric"),
    "not positive": (linalg.cholesky, ([[1.0, 2.0], [2.0, 1.0]],), r"not positive definite"),
    "zero pivot": (linalg.cholesky, ([[0.0]],), r"not positive definite"),
}


@pytest.mark.parametrize(("f", "arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_by_name(f, arguments, words):
    with pytest.raises(ValueError, match=words):
        f(*arguments)
    if "square" not in words:
        with pytest.raises(ValueError, match=words):
            jit(f, backend="native")(*arguments)


@pytest.mark.parametrize("a", [3.0, "ab", [1.0, 2.0], [["1"]], [[None]], None])
def test_what_is_no_matrix_is_a_type_error(a):
    with pytest.raises(TypeError):
        linalg.det(a)


def test_compiled_code_finds_a_singular_matrix_later():
    f = jit(lambda x: linalg.solve([[x, 1.0], [1.0, 1.0]], [1.0, 2.0])[0], backend="native")
    assert f(3.0) == close(-0.5)
    with pytest.raises(ValueError, match="singular"):
        f(1.0)


def test_what_is_symmetric_but_for_rounding():
    a = [[2.0, 1.0], [1.0 + 1e-15, 2.0]]
    assert flat(linalg.cholesky(a)) == close(flat(np.linalg.cholesky(np.array(a))))
