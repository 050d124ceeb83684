"""Dataclasses as arguments and results of every transform; ints that stay ints."""

import copy
import pickle
from dataclasses import InitVar, dataclass, field
from enum import Enum

import numpy as np
import pytest

from miniflow import (
    Value,
    grad,
    hessian,
    hvp,
    jacobian,
    jit,
    jvp,
    trace,
    value_and_grad,
    vjp,
    vmap,
)
from miniflow import math as m
from miniflow.program.structures import NUMBER_LEAF

BACKENDS = ["tape", "source", "native"]


class Side(Enum):
    CALL = 1
    PUT = 2


@dataclass(frozen=True, slots=True)
class Option:
    spot: float
    strike: float = 3.0
    side: Side = Side.CALL
    name: str = "an option"
    note: object = None
    live: bool = True
    steps: int = field(default=2, metadata={"static": True})
    gap: float = field(init=False)
    scale: InitVar[float] = 1.0

    def __post_init__(self, scale):
        object.__setattr__(self, "gap", (self.spot - self.strike) * scale)


@dataclass
class Book:
    option: Option
    weights: list
    extra: dict = field(default_factory=dict)


@dataclass(eq=False)
class Pair:
    a: object
    b: object


def worth(book):
    """Two loops, a choice by a static field."""
    total = 0.0
    for _ in range(book.option.steps):
        total = total + book.option.spot * sum(book.weights)
    sign = 1 if book.option.side is Side.CALL else -1
    return sign * total + m.exp(-book.option.strike) * book.extra["k"] ** 2 + book.option.gap


BOOK = Book(Option(2.0, 0.5), [1.0, 3.0], {"k": 0.25})


def expected(book):
    o, w, k = book.option, sum(book.weights), book.extra["k"]
    sign = 1 if o.side is Side.CALL else -1
    slopes = [sign * 2 * w, -m.exp(-o.strike) * k * k, 1.0]
    return [*slopes, *[sign * 2 * o.spot] * len(book.weights), 2 * k * m.exp(-o.strike)]


def numbers(book):
    o = book.option
    return [o.spot, o.strike, o.gap, *book.weights, book.extra["k"]]


def check(found):
    """A gradient: an object of the same classes, static fields as they were."""
    assert type(found) is Book
    assert type(found.option) is Option
    assert numbers(found) == pytest.approx(expected(BOOK))
    o = found.option
    assert (o.side, o.name, o.note, o.live, o.steps) == (Side.CALL, "an option", None, True, 2)


def test_gradients():
    check(grad(worth)(BOOK))
    value, found = value_and_grad(worth)(BOOK)
    assert value == worth(BOOK)
    check(found)
    check(vjp(worth, BOOK)[1](1.0)[0])
    check(jacobian(worth)(BOOK))


def test_directions():
    direction = grad(worth)(BOOK)
    value, slope = jvp(worth, (BOOK,), (direction,))
    assert value == worth(BOOK)
    assert slope == pytest.approx(sum(x * x for x in expected(BOOK)))
    product = hvp(worth, (BOOK,), (direction,))
    assert product.option.spot == pytest.approx(2 * (numbers(direction)[3] + numbers(direction)[4]))
    assert hessian(worth)(BOOK).option.spot.weights == [2.0, 2.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled(backend):
    f, slope = jit(worth, backend=backend), jit(grad(worth), backend=backend)
    for spot in (1.0, 2.0, 2.0, 3.0, 4.0):
        book = Book(Option(spot, 0.5), [1.0, 3.0], {"k": 0.25})
        assert f(book) == worth(book)
        assert slope(book) == grad(worth)(book)
    put = Book(Option(2.0, 0.5, Side.PUT), [1.0, 3.0], {"k": 0.25})
    assert f(put) == worth(put) != worth(BOOK)


def test_traced():
    program = trace(worth, BOOK)
    assert program(BOOK) == worth(BOOK)
    assert "book_option_spot" in str(program)
    assert "book.option.spot" in program.source()
    with pytest.raises(TypeError, match="was traced"):
        program(Book(Option(2.0, 0.5, name="another"), [1.0, 3.0], {"k": 0.25}))
    with pytest.raises(TypeError, match="was traced"):
        program({"option": BOOK.option, "weights": [1.0, 3.0], "extra": {"k": 0.25}})


def test_results():
    def f(x):
        return Book(Option(x * 2, x), [x, 7])

    for made in (f(1.5), jit(f, backend="native")(1.5), trace(f, 1.0)(1.5), vjp(f, 1.5)[0]):
        assert made.option == Option(3.0, 1.5)
        assert made.weights == [1.5, 7]
    x = Value(1.5)
    jit(f)(x).option.gap.backward()
    assert x.grad == 1.0
    assert jacobian(f)(1.5).option.gap == 1.0
    text = trace(lambda x: Pair(x, "b"), 1.0).source()
    assert text.endswith("return {'a': x, 'b': 'b'}\n")


def test_a_batch():
    spots = np.linspace(0.0, 2.0, 5)
    books = Book(Option(spots, 0.5), [1.0, 3.0], {"k": 0.25})
    axes = {
        "option": {"spot": 0, "strike": None, "gap": 0},
        "weights": None,
        "extra": None,
    }
    found = vmap(worth, in_axes=(axes,))(books)
    for x, y in zip(spots, found, strict=True):
        assert y == worth(Book(Option(float(x), 0.5), [1.0, 3.0], {"k": 0.25}))
    pairs = vmap(lambda x: Pair(x, x * x))(spots)
    assert pairs.b.tolist() == (spots * spots).tolist()
    w = Value(2.0)
    pairs = vmap(lambda x: Pair(x, w * x))(spots)
    assert pairs.b[2].data == 2.0


def test_no_method_of_a_class_runs_while_it_is_taken_apart():
    @dataclass
    class Counted:
        x: float

        def __post_init__(self):
            assert self.x > 0

    assert grad(lambda c: -(c.x**2))(Counted(3.0)).x == -6.0  # its __post_init__ would refuse that


def test_fields_that_are_not_there():
    @dataclass
    class Lazy:
        x: float
        later: float = field(init=False)

    found = grad(lambda p: p.x**2)(Lazy(3.0))
    assert found.x == 6.0
    assert not hasattr(found, "later")


def test_functions_in_fields_are_static():
    @dataclass
    class Layer:
        w: float
        activation: object

    f = lambda layer: layer.activation(layer.w * 2.0)  # noqa: E731
    layer = Layer(0.5, m.tanh)
    assert grad(f)(layer).activation is m.tanh
    assert jit(f, backend="native")(layer) == m.tanh(1.0)


def test_a_dataclass_that_is_a_number_is_one():
    @dataclass
    class Money:
        cents: int

        def __float__(self):
            return self.cents / 100

    assert grad(lambda x: x**2)(Money(150)) == 3.0
    assert jit(lambda x: x + 1.0)(Money(150)) == 2.5


@pytest.mark.parametrize("wrong", [1j, b"x", "x"])
def test_what_is_no_number_outside_of_a_dataclass_is_still_refused(wrong):
    with pytest.raises(TypeError):
        grad(lambda p: p[0])([1.0, wrong])


def test_a_complex_field_is_refused():
    with pytest.raises(TypeError, match="real number"):
        grad(lambda p: p.a)(Pair(1.0, 1j))


def test_the_structures_must_agree():
    with pytest.raises(TypeError, match="not a Pair"):
        jvp(lambda p: p.a, (Pair(1.0, 2.0),), ([1.0, 2.0],))


def test_one_number_in_a_dataclass_is_no_scalar():
    with pytest.raises(TypeError, match="must return a scalar, got Pair"):
        grad(lambda x: Pair(x, None))(1.0)


def test_a_static_list_is_refused_with_the_reason():
    @dataclass
    class Config:
        x: float
        sizes: list = field(default_factory=list, metadata={"static": True})

    assert grad(lambda c: c.x * len(c.sizes))(Config(1.0, ["a"])).x == 1.0
    with pytest.raises(TypeError, match="neither a number nor hashable"):
        jit(lambda c: c.x)(Config(1.0, [1]))


def test_the_leaf_stays_one_object():
    assert pickle.loads(pickle.dumps(NUMBER_LEAF)) is copy.deepcopy(NUMBER_LEAF) is NUMBER_LEAF


# --- ints -----------------------------------------------------------------------

RETURNED = {
    "int": lambda x: 3,
    "beside a number": lambda x: (x * 2, 3, [4, {"k": 5}]),
    "bool and None": lambda x: (True, None, 1),
    "large": lambda x: (2**70, x),
    "an array": lambda x: np.array([1, 2]),
    "by branch": lambda x: x if x > 0 else 0,
}


def typed(tree):
    """A result with the types in it."""
    if isinstance(tree, np.ndarray):
        return tree.dtype.kind, tree.tolist()
    if isinstance(tree, (list, tuple)):
        return [type(tree), *map(typed, tree)]
    return {k: typed(x) for k, x in tree.items()} if isinstance(tree, dict) else (type(tree), tree)


@pytest.mark.parametrize("name", RETURNED)
@pytest.mark.parametrize("backend", BACKENDS)
def test_ints_stay_ints(name, backend):
    f = RETURNED[name]
    compiled = jit(f, backend=backend)
    for x in (1.0, 2.0, -1.0, 3.0, 4.0, 5.0):
        assert typed(compiled(x)) == typed(f(x))
    compiled.ready()
    assert typed(compiled(6.0)) == typed(f(6.0)) == typed(trace(f, 6.0)(6.0))


def test_ints_beside_values():
    x = Value(3.0)
    y, n = jit(lambda x: (x * x, 2))(x)
    assert (y.data, n, type(n)) == (9.0, 2, int)
    assert grad(jit(RETURNED["by branch"]))(2.0) == 1.0


def test_in_a_batch_they_are_numbers():
    found = vmap(RETURNED["by branch"])(np.array([-1.0, 2.0]))
    assert found.tolist() == [0.0, 2.0]
    assert found.dtype == float


def test_programs_differ_by_their_ints():
    three, float_three = trace(lambda x: 3, 1.0), trace(lambda x: 3.0, 1.0)
    assert three != float_three
    assert pickle.loads(pickle.dumps(three)) == three
    assert three.source().endswith("return 3\n")
    assert float_three.source().endswith("return 3.0\n")
