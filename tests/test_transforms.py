"""Transforms: JAX's names, order and structures; any nesting; nothing confused or lost."""

import collections
import functools
import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, grad, hessian, hvp, jacobian, jvp, no_grad, value_and_grad, vjp
from miniflow import math as m
from miniflow.tape.core import here
from support.smooth import close, exact, number, number_of, outputs, smooth, unit, vector

Point = collections.namedtuple("Point", ["x", "y"])

# --- derivatives ----------------------------------------------------------------


@given(vector)
def test_gradients_agree_with_fifty_digits(xs):
    assert grad(smooth)(xs) == close([exact(unit(k), xs) for k in range(3)])


@given(vector)
def test_hessians_are_symmetric_and_agree_with_fifty_digits(xs):
    rows = hessian(smooth)(xs)
    for j, k in itertools.combinations_with_replacement(range(3), 2):
        order = tuple(p + q for p, q in zip(unit(j), unit(k), strict=True))
        assert rows[j][k] == close(exact(order, xs))
        assert rows[k][j] == close(rows[j][k])


@given(vector, vector)
def test_hvp_is_the_hessian_times_the_direction(xs, direction):
    expected = np.array(hessian(smooth)(xs)) @ direction
    assert hvp(smooth, (xs,), (direction,)) == close(list(expected))


@given(vector, vector, st.lists(number, min_size=4, max_size=4))
def test_jvp_and_vjp_are_transposes(xs, tangent, cotangent):
    """The dot-product test: cotangent . (J tangent) = (cotangent J) . tangent."""
    _, forward = jvp(outputs, (xs,), (tangent,))
    _, pullback = vjp(outputs, xs)
    (backward,) = pullback(cotangent)
    assert np.dot(cotangent, forward) == close(np.dot(backward, tangent))


@given(vector)
def test_jacobians_are_made_of_jvps_and_of_vjps(xs):
    rows = jacobian(outputs)(xs)
    _, pullback = vjp(outputs, xs)
    for k in range(4):
        assert pullback(list(unit(k, 4))) == (rows[k],)
    for k in range(3):
        assert jvp(outputs, (xs,), (list(unit(k)),))[1] == close([row[k] for row in rows])


@given(st.floats(-1.5, 1.5), st.integers(0, 5))
def test_grad_of_grad_of_grad(x, order):
    f = functools.reduce(lambda f, _: grad(f), range(order), lambda x: m.sin(2 * x) + x**5)
    falling = math.prod(range(5, 5 - order, -1))
    expected = 2**order * math.sin(2 * x + order * math.pi / 2) + falling * x ** (5 - order)
    assert f(x) == close(expected)


def forward_derivative(f):
    return lambda x: jvp(f, (x,), (1.0,))[1]


def pulled_derivative(f):
    return lambda x: vjp(f, x)[1](1.0)[0]


def taped_derivative(f):
    def derivative(x):
        with Tape() as tape:
            z = x * 1.0 if x.__class__ is Value else Value(x)
            y = f(z)
            return tape.gradient(y, z) if y.__class__ is Value else 0.0

    return derivative


MODES = {
    "grad": grad,
    "jvp": forward_derivative,
    "vjp": pulled_derivative,
    "jacobian": jacobian,
    "tape": taped_derivative,
}


@pytest.mark.parametrize("modes", list(itertools.product(MODES, repeat=3)), ids="-".join)
def test_modes_nest_in_any_order(modes):
    def f(x):
        return m.exp(x) * m.sin(x) / x + m.where(x > 0, x**3, 0.0)

    with mpmath.workdps(50):
        expected = float(mpmath.diff(lambda x: mpmath.exp(x) * mpmath.sin(x) / x + x**3, 0.7, 3))
    for mode in modes:
        f = MODES[mode](f)
    assert number_of(f(0.7)) == close(expected)


# --- perturbation confusion -------------------------------------------------------


@pytest.mark.parametrize("inner", MODES.values(), ids=MODES)
@pytest.mark.parametrize("outer", MODES.values(), ids=MODES)
@given(number, number)
def test_perturbations_are_not_confused(inner, outer, x, y):
    """Siskind & Pearlmutter (2005): d/dx [x d/dy (x + y)] = 1, not 2; and harder ones."""
    assert number_of(outer(lambda x: x * inner(lambda y: x + y)(y))(x)) == 1.0
    assert number_of(outer(lambda x: x * inner(lambda y: x * y)(y))(x)) == close(2 * x)
    assert number_of(outer(lambda x: inner(lambda y: x * y * y)(x))(x)) == close(4 * x)
    assert number_of(outer(lambda x: inner(lambda _: x * x)(x))(x)) == 0.0
    assert number_of(outer(lambda x: inner(lambda y: y * y)(3.0) + x)(x)) == 1.0


def test_a_function_that_returns_a_derivative_taking_function():
    """Manzyuk et al. (2019): the amazing bug of curried derivatives."""

    def shift(u):
        return lambda f: lambda x: f(x + u)

    def d(f):
        return lambda x: grad(f)(x)

    # s(u)(f)(x) = f(x + u), so its derivative by u at 0 is f'; twice f''
    def derived(f):
        return lambda x: grad(lambda u: shift(u)(f)(x))(0.0)

    assert derived(derived(m.exp))(1.0) == close(math.e)
    assert derived(d(derived(m.sin)))(0.5) == close(-math.cos(0.5))


def test_inner_derivatives_at_the_outer_variable():
    x = 1.3
    mixed = grad(lambda x: grad(lambda y: m.sin(x * y))(x))(x)
    # d/dx [x cos(x^2)]
    assert mixed == close(math.cos(x * x) - 2 * x * x * math.sin(x * x))
    tangent = jvp(lambda x: jvp(lambda y: x * y**3, (x,), (x,))[1], (x,), (1.0,))[1]
    assert tangent == close(3 * 4 * x**3)


def test_an_inner_cotangent_that_depends_on_the_outer_variable():
    def f(x):
        _, pullback = vjp(lambda a: a**3, 2.0)
        return pullback(x * x)[0]

    assert grad(f)(5.0) == 2 * 5 * 12.0
    assert jvp(f, (5.0,), (1.0,)) == (300.0, 120.0)


# --- arguments ----------------------------------------------------------------------


def test_argnums():
    def f(x, y, z=1.0):
        return x * y**2 * z

    assert grad(f)(3.0, 2.0) == 4.0
    assert grad(f, 1)(3.0, 2.0) == 12.0
    assert grad(f, -1)(3.0, 2.0) == 12.0
    assert grad(f, argnums=(1, 0))(3.0, 2.0) == (12.0, 4.0)
    assert grad(f, argnums=[0])(3.0, 2.0) == (4.0,)
    assert grad(f, argnums=np.int64(1))(3.0, 2.0) == 12.0
    assert grad(f, argnums=(np.int64(1), -2))(3.0, 2.0) == (12.0, 4.0)
    assert grad(f, argnums=())(3.0, 2.0) == ()
    assert grad(f)(3.0, 2.0, z=5.0) == 20.0
    assert grad(f)(3, np.float32(2)) == 4.0
    assert value_and_grad(f, argnums=(0, 2))(3.0, 2.0, 10.0) == (120.0, (40.0, 12.0))
    assert jacobian(f, argnums=(0, 1))(3.0, 2.0) == (4.0, 12.0)
    assert hessian(f, argnums=(0, 1))(3.0, 2.0) == ((0.0, 4.0), (4.0, 6.0))
    assert hvp(f, (3.0, 2.0), (1.0, 10.0)) == (40.0, 64.0)


@pytest.mark.parametrize(
    ("argnums", "words"),
    [
        (2, "argnums=2 2 positional"),
        (-3, "argnums=-3 positional"),
        ((0, 5), "argnums=5"),
        ((0, 0), "twice"),
        ((0, -2), "twice"),
        ("0", "argnums"),
        ((0.0,), "argnums"),
        (1.0, "argnums"),
        (None, "argnums"),
    ],
)
def test_bad_argnums(argnums, words):
    for transform in (grad, value_and_grad, jacobian, hessian):
        with pytest.raises(TypeError) as caught:
            transform(lambda x, y: x * y, argnums)(1.0, 2.0)
        assert all(word in str(caught.value) for word in words.split())


def test_other_arguments_arrive_as_they_are():
    seen = []

    def f(x, mode, options, *, scale):
        seen.append((mode, options, scale))
        return x * scale

    options = {"deep": [1]}
    assert grad(f)(2.0, "mode", options, scale=3) == 3.0
    assert seen == [("mode", options, 3)]
    assert seen[0][1] is options


def test_a_wrapped_function_keeps_its_name():
    def area(x):
        """Of a square."""
        return x * x

    for transform in (grad, value_and_grad, jacobian):
        assert transform(area).__name__ == "area"
        assert transform(area).__doc__ == "Of a square."
    assert grad(functools.partial(area))(3.0) == 6.0


# --- structures -----------------------------------------------------------------------


def test_nested_arguments():
    tree = {"w": [1.0, (2.0, 3.0)], "p": Point(4.0, 5), "a": np.array([[6.0, 7.0]])}

    def f(t):
        a, (b, c) = t["w"]
        assert isinstance(t["p"], Point)
        return a * b + c * t["p"].x * t["p"].y + (t["a"] ** 2).sum()

    found = grad(f)(tree)
    assert (found["w"], found["p"]) == ([2.0, (1.0, 20.0)], Point(15.0, 12.0))
    assert isinstance(found["p"], Point)
    assert found["a"].tolist() == [[12.0, 14.0]]
    assert found["a"].dtype == float
    assert list(found) == list(tree)
    assert tree["w"] == [1.0, (2.0, 3.0)]


@given(st.permutations(["a", "b", "c"]), vector, vector)
def test_dicts_are_matched_by_their_keys_not_by_their_order(keys, xs, ts):
    """A tangent or cotangent may have been built in another order than the point."""
    point = dict(zip("abc", xs, strict=True))
    tangent = {key: ts["abc".index(key)] for key in keys}

    def f(d):
        return smooth([d["a"], d["b"], d["c"]])

    assert jvp(f, (point,), (tangent,))[1] == close(jvp(smooth, (xs,), (ts,))[1])
    assert hvp(f, (point,), (tangent,)) == close(
        dict(zip("abc", hvp(smooth, (xs,), (ts,)), strict=True))
    )
    _, pullback = vjp(lambda xs: dict(zip("abc", xs, strict=True)), xs)
    assert pullback(tangent) == (ts,)
    _, pullback = vjp(lambda xs: [{"n": dict(zip("abc", xs, strict=True))}], xs)
    assert pullback([{"n": tangent}]) == (ts,)


def test_nested_outputs():
    y, pullback = vjp(lambda x: {"a": [x, 2 * x], "b": (Point(x * x, 5.0),)}, 3.0)
    assert y == {"a": [3.0, 6.0], "b": (Point(9.0, 5.0),)}
    assert isinstance(y["b"][0], Point)
    assert pullback({"a": [1.0, 10.0], "b": (Point(100.0, 1000.0),)}) == (1 + 20 + 600.0,)
    assert jacobian(lambda x: {"a": [x, 2 * x]})(3.0) == {"a": [1.0, 2.0]}
    found = jacobian(lambda p: Point(p.x * p.y, p.x))(Point(2.0, 5.0))
    assert found == Point(Point(5.0, 2.0), Point(1.0, 0.0))
    ys, dys = jvp(lambda x: np.array([x, x * x]), (3.0,), (1.0,))
    assert (ys.tolist(), dys.tolist(), dys.dtype) == ([3.0, 9.0], [1.0, 6.0], float)


def array_function(x):
    return (x[:, None] * x[None, :] * np.arange(1.0, 1 + x.size)).sum(axis=0)


def two_arrays(x, y):
    return [x.sum() * y, x * y.prod()]


SHAPES = [
    (lambda x: x * 2.0 + x[::-1], (np.array([1.0, 2.0]),), 0),
    (array_function, (np.array([1.0, 2.0, 3.0]),), 0),
    (lambda x: x.reshape(3, 2) @ x, (np.arange(6.0).reshape(2, 3),), 0),
    (lambda x: x.sum(), (np.ones((2, 3)),), 0),
    (lambda x: [x.sum(), (x[0], {"k": x[1:]})], (np.ones(3),), 0),
    (two_arrays, (np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])), 0),
    (two_arrays, (np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])), (0, 1)),
    (two_arrays, (np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])), (1, 0)),
    (two_arrays, (np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])), (1,)),
    (lambda x, y: (x * y, x, y * y), (2.0, 5.0), (0, 1)),
    (lambda x, y: x * y, (2.0, np.array([1.0, 5.0])), (0, 1)),
    (lambda x: x[0] * np.array([1.0, 5.0]), ([2.0, 3.0],), 0),
    (lambda d: d["a"] * np.array([1.0, 5.0]), ({"a": 2.0, "b": np.ones(2)},), 0),
    (lambda t: t * np.array([1.0, 2.0]), (3.0,), 0),
]


def same_tree(ours, theirs):
    """Equal numbers in an equal structure (JAX's arrays count as NumPy's, or as numbers)."""
    if isinstance(ours, dict):
        return set(ours) == set(theirs) and all(same_tree(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, (list, tuple)):
        return (
            type(ours) is type(theirs)
            and len(ours) == len(theirs)
            and all(map(same_tree, ours, theirs))
        )
    return np.shape(ours) == np.shape(theirs) and np.allclose(ours, theirs, rtol=1e-5)


@pytest.fixture(scope="module")
def jax():
    return pytest.importorskip("jax")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("f", "args", "argnums"), SHAPES)
def test_jacobians_have_jaxs_structure(jax, f, args, argnums):
    def in_jax(*xs):
        return jax.tree.map(jax.numpy.asarray, f(*xs))

    expected = jax.jacobian(in_jax, argnums)(*jax.tree.map(jax.numpy.asarray, args))
    assert same_tree(jacobian(f, argnums)(*args), expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1, 0), (0,)])
def test_hessians_have_jaxs_structure(jax, argnums):
    def f(x, y):
        return (x["a"] ** 2).sum() * (y * y).prod() + x["b"] ** 3 * y[0]

    args = ({"a": np.array([1.0, 2.0]), "b": 3.0}, np.array([[3.0, 4.0, 5.0]])[0])
    expected = jax.hessian(f, argnums)(*jax.tree.map(jax.numpy.asarray, args))
    assert same_tree(hessian(f, argnums)(*args), expected)


def test_empty_structures():
    assert grad(lambda xs: 3.0)([]) == []
    assert jacobian(lambda xs: [])([1.0]) == []
    assert grad(lambda a: a.sum())(np.zeros((0, 3))).shape == (0, 3)
    assert vjp(lambda: 5.0)[1](1.0) == ()


# --- results ----------------------------------------------------------------------------


def test_results_are_plain_floats():
    results = [
        grad(lambda x: x * x)(3),
        *value_and_grad(lambda x: x * x)(np.float64(3)),
        *jvp(lambda x: x * x, (3,), (1,)),
        vjp(lambda x: x * x, 3)[0],
        vjp(lambda x: x * x, 3)[1](1)[0],
        jacobian(lambda x: x * x)(3),
        hessian(lambda x: x * x)(3),
        hvp(lambda x: x * x, (3,), (1,)),
        grad(lambda x: 5)(3),
        value_and_grad(lambda x: 5)(3)[0],
        grad(lambda x: x)(3),
        grad(lambda x: 3 * x)(True),
    ]
    assert [type(x) for x in results] == [float] * len(results)
    constants = Value(2.0).detach()
    assert type(grad(lambda x: x * constants)(3.0)) is float


def test_a_function_that_ignores_its_input_or_returns_it():
    w = Value(4.0)
    assert grad(lambda x: 5.0)(3.0) == 0.0
    assert grad(lambda x, y: y)(3.0, 2.0) == 0.0
    assert jvp(lambda x: 7, (3.0,), (1.0,)) == (7.0, 0.0)
    assert jacobian(lambda xs: [xs[0], 1, xs[0]])([1.0, 2.0]) == [[1.0, 0.0], [0.0] * 2, [1.0, 0.0]]
    assert value_and_grad(lambda x: x)(3.0) == (3.0, 1.0)
    assert jvp(lambda x: x, (3.0,), (2.0,)) == (3.0, 2.0)
    assert vjp(lambda x, y: (y, x, x), 3.0, 4.0)[1]((1.0, 2.0, 5.0)) == (7.0, 1.0)
    assert hessian(lambda x: 3 * x)(1.0) == 0.0
    y, slope = value_and_grad(lambda x: w)(3.0)
    assert (y, slope) == (w, 0.0)
    y.backward()
    assert w.grad == 1.0


def test_under_no_grad_results_are_floats():
    w, x = Value(3.0), Value(2.0)
    with no_grad():
        results = [
            grad(lambda x: x * x * w)(x),
            *value_and_grad(lambda x: x * x * w)(2.0),
            *jvp(lambda x: x * x * w, (x,), (w,)),
            vjp(lambda x: x * x * w, x)[1](w)[0],
            hessian(lambda x: x * x * w)(x),
            jacobian(lambda x: x * x * w)(x),
        ]
        assert here.table.silent
    assert results == [12.0, 12.0, 12.0, 12.0, 36.0, 36.0, 6.0, 12.0]
    assert [type(y) for y in results] == [float] * len(results)
    assert (w.grad, x.grad) == (0.0, 0.0)


def test_no_grad_inside_of_f_is_obeyed():
    assert grad(lambda x: x * no_grad()(lambda: x * 2)())(3.0) == 6.0
    assert grad(lambda x: x * x.detach())(3.0) == 3.0
