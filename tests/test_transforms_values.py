"""Transforms and the tape: Values from outside, errors, what is left behind."""

import collections
import math

import numpy as np
import pytest
from hypothesis import given

import miniflow
from miniflow import Value, grad, hessian, hvp, jacobian, jvp, no_grad, value_and_grad, vjp
from miniflow import math as m
from miniflow.tape.core import here
from support.smooth import close, number, number_of, smooth

Point = collections.namedtuple("Point", ["x", "y"])

# --- Values from outside ------------------------------------------------------------------


@given(number, number)
def test_gradients_of_closed_over_values_flow_through_grad(x, y):
    w = Value(y)
    slope = grad(lambda x: x**3 * w * w)(x)
    slope.backward()
    assert slope.data == close(3 * x * x * y * y)
    assert w.grad == close(6 * x * x * y)


@given(number, number)
def test_gradients_flow_through_every_transform(x, y):
    """d/dw of w-dependent derivatives, by backward() through each transform."""

    def f(w):
        return lambda x: m.sin(x * w)

    expected = grad(lambda w: grad(f(w))(x))(y)
    ways = [
        lambda w: grad(f(w))(x),
        lambda w: value_and_grad(f(w))(x)[1],
        lambda w: jvp(f(w), (x,), (1.0,))[1],
        lambda w: vjp(f(w), x)[1](1.0)[0],
        lambda w: jacobian(f(w))(x),
        lambda w: jacobian(lambda x: [f(w)(x)])(x)[0],
    ]
    for way in ways:
        w = Value(y)
        way(w).backward()
        assert w.grad == close(expected)
    w = Value(y)
    hessian(f(w))(x).backward()
    assert w.grad == close(-2 * y * math.sin(x * y) - y * y * x * math.cos(x * y))


def test_gradients_flow_to_value_arguments():
    x = Value(3.0)
    slope = grad(lambda x: x**3)(x)
    slope.backward()
    assert (slope.data, x.grad) == (27.0, 18.0)
    y, dy = jvp(lambda a: a**2, (x,), (x,))
    (y + dy).backward()  # x^2 + 2x^2
    assert x.grad == 18.0 + 18.0
    x.grad = 0.0
    vjp(lambda a: a * 2, 1.0)[1](x)[0].backward()
    assert x.grad == 2.0


def test_values_in_arrays():
    xs = np.array([Value(1.0), Value(2.0)])
    slopes = grad(lambda v: (v**3).sum())(xs)
    assert slopes.dtype == object
    slopes.sum().backward()
    assert [x.grad for x in xs] == [6.0, 12.0]


def test_pullbacks_give_floats_again_after_they_gave_values():
    w = Value(5.0)
    _, pullback = vjp(lambda x: x * x, 2.0)
    assert pullback(w)[0].__class__ is Value
    assert pullback(1.0) == (4.0,)
    assert type(pullback(1.0)[0]) is float


def test_transforms_touch_no_grad():
    w, x = Value(3.0), Value(2.0)
    y = w * x
    y.backward()
    before = [v.grad for v in (w, x, y)]
    grad(lambda z: z * y)(x)
    hessian(lambda z: z * z * y)(x)
    jvp(lambda z: z * y, (x,), (w,))
    vjp(lambda z: z * y, x)[1](w)
    assert [v.grad for v in (w, x, y)] == before


def test_aux():
    w = Value(3.0)

    def f(x):
        return x * x, {"twice": 2 * x, "note": "text", "none": None, "w": w * 5}

    slope, aux = grad(f, has_aux=True)(3.0)
    assert slope == 6.0
    assert (aux["twice"], aux["note"], aux["none"]) == (6.0, "text", None)
    (y, aux), slope = value_and_grad(f, has_aux=True)(3.0)
    assert (number_of(y), number_of(slope)) == (9.0, 6.0)
    y, pullback, aux = vjp(f, 3.0, has_aux=True)
    assert (number_of(y), number_of(pullback(1.0)[0])) == (9.0, 6.0)
    assert number_of(aux["twice"]) == 6.0


def test_aux_keeps_the_gradient_of_values_from_outside():
    w = Value(3.0)
    _, aux = grad(lambda x: (x * x, w * 5), has_aux=True)(2.0)
    (aux + 1).backward()
    assert w.grad == 5.0


@pytest.mark.parametrize(
    "aux",
    [
        np.array([1, 2]), np.array([True, False]), np.array(["a"]), np.array([1.5], dtype="f4"),
        collections.OrderedDict(b=1, a=2), collections.defaultdict(list, a=[1]),
        collections.Counter("aab"), Point("x", None), range(3), "text", 1, True, {1, 2},
    ],
    ids=lambda x: type(x).__name__,
)  # fmt: skip
def test_aux_without_values_arrives_as_it_is(aux):
    _, found = grad(lambda x: (x * x, aux), has_aux=True)(2.0)
    assert type(found) is type(aux)
    assert repr(found) == repr(aux)


@pytest.mark.parametrize("result", [1.0, (1.0,), [1.0, 2], (1.0, 2, 3)], ids=repr)
def test_aux_wants_a_pair(result):
    with pytest.raises(TypeError, match=r"has_aux.*\(output, aux\)"):
        grad(lambda x: result, has_aux=True)(1.0)


# --- errors -----------------------------------------------------------------------------


def test_errors_name_what_is_wrong():
    with pytest.raises(TypeError, match="argnums"):
        grad(lambda x: x)("3")
    with pytest.raises(TypeError, match="None"):
        grad(lambda x: x[0])([1.0, None])
    with pytest.raises(TypeError, match="complex"):
        grad(lambda x: x)(1j)
    with pytest.raises(TypeError, match=r"grad: f must be a function, got float 3\.0"):
        grad(3.0)(1.0)
    with pytest.raises(TypeError, match="argnums"):
        grad(lambda x: x)(x=1.0)
    with pytest.raises(TypeError, match="jacobian"):
        grad(lambda x: [x])(1.0)
    with pytest.raises(TypeError, match="primals and tangents"):
        jvp(lambda x: x, 1.0, 1.0)


@pytest.mark.parametrize(
    ("primal", "tangent"),
    [
        (1.0, [1.0]), ([1.0], 1.0), ([1.0, 2.0], [1.0]), ({"a": 1.0}, {"b": 1.0}),
        (np.ones(2), np.ones(3)), (np.ones(2), [1.0, 1.0]), (1.0, "1"), (1.0, None), (1.0, 1j),
        ([[1.0]], [1.0]), ({"a": 1.0}, [1.0]), (1.0, np.ones(1)),
    ],
    ids=repr,
)  # fmt: skip
def test_tangents_and_cotangents_have_the_structure_of_their_primals(primal, tangent):
    with pytest.raises(TypeError, match="tangent"):
        jvp(lambda x: 1.0, (primal,), (tangent,))
    with pytest.raises(TypeError, match="cotangent"):
        vjp(lambda: primal)[1](tangent)
    with pytest.raises(TypeError, match="tangents"):
        jvp(lambda x: 1.0, (primal,), (primal, primal))


def test_an_error_in_f_leaves_everything_as_it_was():
    def f(x):
        raise ZeroDivisionError

    with no_grad():
        for transform in (grad, jacobian):
            with pytest.raises(ZeroDivisionError):
                transform(f)(1.0)
        assert here.table.silent
    assert (here.table.muted, here.table.held) == (0, 0)


# --- the tape under it ----------------------------------------------------------------------


def test_a_pullback_lives_through_compactions(small_table):
    table = small_table(8)
    w = Value(2.0)
    _, pullback = vjp(lambda a, b: [a * b, m.sin(a), a * w], 2.0, 5.0)
    expected = [number_of(x) for x in pullback([1.0, 2.0, 3.0])]
    for _ in range(20):
        [Value(float(k)) * 2 for k in range(50)]
        table.compact()
        assert [number_of(x) for x in pullback([1.0, 2.0, 3.0])] == expected
    assert expected == close([5 + 2 * math.cos(2.0) + 6, 2.0])


def test_compactions_in_the_midst_of_f_and_of_its_derivative(small_table):
    small_table(8)
    f = lambda x: m.prod([m.sin(x), m.exp(x), x, 1 / x, m.sum([x, 1, x])])  # noqa: E731
    small = [grad(grad(f))(0.7), hessian(f)(0.7), jvp(grad(f), (0.7,), (1.0,))[1]]
    small_table(1 << 14)
    assert small == [grad(grad(f))(0.7), hessian(f)(0.7), jvp(grad(f), (0.7,), (1.0,))[1]]


def test_transforms_run_in_bounded_memory(small_table):
    table = small_table(64)
    xs = [0.1, 0.2, 0.3]
    for _ in range(200):
        xs = [x - 0.01 * g for x, g in zip(xs, grad(smooth)(xs), strict=True)]
        hvp(smooth, (xs,), (xs,))
    assert table.capacity < 4000
    assert not table.scopes


def test_transforms_of_long_chains():
    def f(x):
        for _ in range(20_000):
            x = x * 1.0 + 0.5
        return x

    assert grad(f)(1.0) == 1.0
    assert jvp(f, (1.0,), (2.0,))[1] == 2.0


def test_a_partial_of_a_partial_of_every_smooth_row():
    """The rows' formulas, differentiated once more: forward over reverse is reverse over both."""
    for op in miniflow.ops.TABLE.values():
        count = max(op.arity, 2 if op.arity < 0 else 1)
        xs = [0.3 + 0.2 * k for k in range(count)]
        if op.name == "acosh":
            xs = [1.7]
        if op.name == "power_log":  # its last operand is a whole number
            xs = [0.3, 0.5, 2.0]
        rows = hessian(lambda *args: op(*args), argnums=tuple(range(count)))(*xs)  # noqa: B023
        for j in range(count):
            direction = [float(k == j) for k in range(count)]
            product = hvp(op, xs, direction)
            product = product if count > 1 else (product,)
            assert list(product) == close([row[j] for row in rows]), op.name


def test_an_output_that_is_not_asked_for_adds_nothing():
    """A weight of 0 is no derivative times 0, which at a pole would be nan."""
    f = lambda v: [v[0] * 2, m.sqrt(v[1]), v[1] / v[2]]  # noqa: E731
    assert jacobian(f)([1.0, 0.0, 1.0])[0] == [2.0, 0.0, 0.0]
    assert jvp(lambda x, y: x * 2 + m.sqrt(y), (1.0, 0.0), (1.0, 0.0))[1] == 2.0
    assert vjp(lambda x, y: (x, m.sqrt(y)), 1.0, 0.0)[1]((3.0, 0.0)) == (3.0, 0.0)
