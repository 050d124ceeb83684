"""Small dense systems of linear equations, differentiable: on numbers and Values.

Matrices are nested lists or tuples, or NumPy arrays (of objects, where there are Values in
them); results are made alike. Matrix are exchanged by comparing numbers, so a compiled function
has a path for each order of rows that its calls meet.

Source: Golub & Van Loan, Matrix Computations, 4th ed. (2013), chapters 3 and 4.
"""

from typing import Any

from miniflow import math, ops
from miniflow.tape.core import Value
from miniflow.util.trees import children, flatten, unflatten

Matrix = list[list[Any]]

__all__ = ["cholesky", "det", "inv", "norm", "solve"]


def solve(a: Any, b: Any) -> Any:
    """The solution x of ``a @ x = b``, by elimination with partial pivoting.

    Args:
        a: a square matrix, n rows of n numbers.
        b: n numbers, or a matrix of n rows: several right-hand sides, one in each column.

    Returns:
        What x is, in the structure of b, in units of b/a.

    Raises:
        ValueError: `a` is singular or not square, or b has another number of rows.

    Example:
        >>> solve([[2.0, 1.0], [1.0, 3.0]], [5.0, 10.0])
        [1.0, 3.0]
    """
    rows = _square(a, "solve")
    parts = _sequence_of(b, "solve: b")
    right = [_entries(x, "solve: b") for x in parts]
    if len(right) != len(rows) or len({*map(len, right)}) > 1:
        raise ValueError(
            f"solve: b has rows of {[*map(len, right)]} numbers, but a has {len(rows)} rows"
        )
    return unflatten(b, flatten(_solved(rows, right, "solve")))


def inv(a: Any) -> Any:
    """The inverse of a square matrix, in its structure, in units of 1/a.

    Raises:
        ValueError: `a` is singular or not square.

    Example:
        >>> inv([[2.0, 0.0], [0.0, 4.0]])
        [[0.5, 0.0], [0.0, 0.25]]
    """
    rows = _square(a, "inv")
    unit = [[float(i == k) for k in range(len(rows))] for i in range(len(rows))]
    return unflatten(a, flatten(_solved(rows, unit, "inv")))


def det(a: Any) -> Any:
    """The determinant of a square matrix of n rows, in units of a**n.

    That of a singular matrix is 0, and its derivatives are right there, too.

    Raises:
        ValueError: `a` is not square.

    Source: Bird, A simple division-free algorithm for computing determinants (2011), for
    matrices that elimination cannot take apart.

    Example:
        >>> det([[1.0, 2.0], [3.0, 4.0]])
        -2.0
    """
    rows = _square(a, "det")
    work, sign = [[*row] for row in rows], 1.0
    for k in range(len(work) - 1):
        sign *= _pivot(work, k)
        if work[k][k] == 0:
            return _bird(rows)
        _clear(work, k)
    return math.prod([row[k] for k, row in enumerate(work)], start=sign)


def cholesky(a: Any) -> Any:
    """The lower triangular matrix with ``l @ l.T = a``, in the structure of a.

    Derivatives are those by symmetric matrices: (i, j) and (j, i) share them.

    Args:
        a: a symmetric, positive definite matrix.

    Raises:
        ValueError: `a` is not square, not symmetric or not positive definite.

    Example:
        >>> cholesky([[4.0, 2.0], [2.0, 5.0]])
        [[2.0, 0.0], [1.0, 2.0]]
    """
    rows = _square(a, "cholesky")
    _check_symmetric(rows)
    n = len(rows)
    found = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            rest = (rows[i][j] + rows[j][i]) / 2
            for x, y in zip(found[i][:j], found[j][:j], strict=True):
                rest = rest - x * y
            if i > j:
                found[i][j] = ops.div(rest, found[j][j])
            elif rest <= 0:
                raise ValueError(f"cholesky: the matrix is not positive definite (row {i})")
            else:
                found[i][i] = math.sqrt(rest)
    return unflatten(a, flatten(found))


def norm(x: Any) -> Any:
    """The Euclidean length of a vector, of a matrix the Frobenius norm, in units of x.

    Its derivative at 0 is 0.

    Example:
        >>> norm([3.0, 4.0]), norm([[1.0, 1.0], [1.0, 1.0]])
        (5.0, 2.0)
    """
    return math.hypot(*[_real(part, "norm") for part in flatten(x)])


# --- elimination ----------------------------------------------------------------


def _solved(rows: Matrix, right: Matrix, what: str) -> Matrix:
    """The solutions for the columns of `right`."""
    n = len(rows)
    work = [[*row, *others] for row, others in zip(rows, right, strict=True)]
    for k in range(n):
        _pivot(work, k)
        if work[k][k] == 0:
            raise ValueError(f"{what}: the matrix is singular: column {k} depends on those before")
        _clear(work, k)
    found: Matrix = []
    for i in reversed(range(n)):
        rest = work[i][n:]
        for j, known in enumerate(found, i + 1):
            rest = [x - work[i][j] * y for x, y in zip(rest, known, strict=True)]
        found.insert(0, [ops.div(x, work[i][i]) for x in rest])
    return found


def _pivot(work: Matrix, k: int) -> float:
    """Bring the largest number of column k, from row k on, to row k; -1.0 if rows have changed."""
    best = k
    for i in range(k + 1, len(work)):
        if abs(work[i][k]) > abs(work[best][k]):
            best = i
    work[k], work[best] = work[best], work[k]
    return 1.0 if best == k else -1.0


def _clear(work: Matrix, k: int) -> None:
    """Subtract row k from those below, so that column k is 0 there (it is not written)."""
    top = work[k]
    for row in work[k + 1 :]:
        factor = ops.div(row[k], top[k])
        row[k + 1 :] = [x - factor * y for x, y in zip(row[k + 1 :], top[k + 1 :], strict=True)]


def _bird(a: Matrix) -> Any:
    """The determinant by sums and products only: n matrix products."""
    n, x = len(a), a
    for _ in range(n - 1):
        lower = [math.sum([x[k][k] for k in range(i + 1, n)]) for i in range(n)]
        upper = [
            [x[i][j] if j > i else -lower[i] if j == i else 0.0 for j in range(n)] for i in range(n)
        ]
        columns = [*zip(*a, strict=True)]
        x = [[math.dot(row, column) for column in columns] for row in upper]
    return x[0][0] if n % 2 else -x[0][0]


# --- matrices -------------------------------------------------------------------


def _square(a: Any, what: str) -> Matrix:
    """The rows of a square matrix.

    Raises:
        ValueError: it is not square, or empty.
        TypeError: it is not a matrix of numbers.
    """
    rows = [_sequence_of(row, what) for row in _sequence_of(a, what)]
    sizes = [*map(len, rows)]
    if not rows or any(size != len(rows) for size in sizes):
        raise ValueError(f"{what}: the matrix must be square, got rows of {sizes} numbers")
    return [[_real(x, what) for x in row] for row in rows]


def _sequence_of(a: Any, what: str) -> list[Any]:
    """The parts of a list, tuple or array."""
    if hasattr(a, "shape") and hasattr(a, "tolist"):
        a = a.tolist()
    if not isinstance(a, (list, tuple)):
        raise TypeError(
            f"{what}: expected a matrix as nested lists or a NumPy array, got {type(a).__name__}"
        )
    return [*a]


def _entries(row: Any, what: str) -> list[Any]:
    """The numbers of a row; of a number itself."""
    return [_real(x, what) for x in (row if children(row) is not None else [row])]


def _real(x: Any, what: str) -> Any:
    return x if x.__class__ is Value else ops.real(x, what)


def _check_symmetric(rows: Matrix) -> None:
    """Raise ValueError if a matrix is not symmetric, but for rounding."""
    pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
    gaps = [abs(rows[i][j] - rows[j][i]) for i, j in pairs]
    largest = math.max([abs(x) for row in rows for x in row])
    if gaps and math.max(gaps) > 1e-8 * largest:
        raise ValueError("cholesky: the matrix is not symmetric; pass (a + a.T) / 2")
