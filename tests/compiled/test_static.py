"""Arguments that are static because the user says so."""

import pickle

import numpy as np
import pytest

from miniflow import Value, grad, jit
from support.machine_code import bits


def power_sum(x, n, *, shift=0):
    assert type(n) is int
    return sum(x**k for k in range(n)) + shift * (x if shift else 1)


def test_static_numbers_are_what_f_gets(compiled):
    f = compiled(power_sum, static_argnums=1)
    for _ in range(5):
        assert [f(2.0, 4), f(2.0, n=3), f(2, 1), f(2.0, 0)] == [15.0, 7.0, 1.0, 0]
    assert grad(f)(2.0, 4) == 17.0
    x = Value(2.0)
    f(x, 4).backward()
    assert x.grad == 17.0
    assert f.program(2.0, 4)(3.0, 4) == 40.0
    with pytest.raises(TypeError, match="where 4 was traced"):
        f.program(2.0, 4)(3.0, 5)


WAYS = [
    {"static_argnums": 1}, {"static_argnums": (1,)}, {"static_argnums": [-2]},
    {"static_argnames": "n"}, {"static_argnames": ["n"]},
    {"static_argnums": 1, "static_argnames": "n"},
]  # fmt: skip


@pytest.mark.parametrize("static", WAYS, ids=str)
def test_positions_follow_from_names_and_names_from_positions(static):
    f = jit(lambda x, n, y=1.0: (n, x * y) if type(n) is int else None, **static)
    for _ in range(4):
        assert [f(2.0, 3), f(2.0, n=3), f(n=3, x=2.0), f(2.0, 3, 1)] == [(3, 2.0)] * 4


def test_static_values_are_told_apart(compiled):
    f = compiled(lambda x, how: [x, repr(how)], static_argnums=1)
    values = [
        1, True, 1.0, 0.0, -0.0, "1", None, (1,), (True,), (1.0, (0.0,)), (1.0, (-0.0,)), print,
        frozenset([1]), frozenset([True]), np.float32(1), 10**30, float("nan"),
    ]  # fmt: skip
    for _ in range(3):
        for how in values:
            assert bits(f(2.0, how)) == bits([2.0, repr(how)])


def test_static_arguments_among_many():
    def whole(*xs, **named):
        return [x for x in (*xs, *named.values()) if type(x) is int]

    f = jit(whole, static_argnums=(1, 3), static_argnames=("n", "unused"))
    assert [f(1, 2, 3, 4, n=5, z=6) for _ in range(4)] == [[2, 4, 5]] * 4


def test_static_mistakes_are_named():
    f = jit(power_sum, static_argnums=1)
    for bad, words in (([1], "must be hashable, got list"), (Value(1.0), "gradient would be lost"),
                       (([],), "must be hashable, got tuple")):  # fmt: skip
        with pytest.raises(TypeError, match=f"static argument 1 .*{words}"):
            f(2.0, bad)
        with pytest.raises(TypeError, match=f"static argument 'n' .*{words}"):
            f(2.0, n=bad)
    assert f(2.0, 4) == 15.0
    for bad in (2, -3):
        with pytest.raises(
            ValueError, match=f"static_argnums {bad}, but power_sum has 2 positional"
        ):
            jit(power_sum, static_argnums=bad)
    with pytest.raises(ValueError, match="static_argnames 'z', but power_sum has no such name"):
        jit(power_sum, static_argnames=["n", "z"])
    for bad in ("n", 1.0, [True], [None]):
        with pytest.raises(TypeError, match="static_argnums must be an int or a sequence"):
            jit(power_sum, static_argnums=bad)
    with pytest.raises(TypeError, match="static_argnames must be a string or a sequence"):
        jit(power_sum, static_argnames=1)


travelling = jit(power_sum, static_argnums=1, static_argnames=("n", "shift"))


def test_static_arguments_travel():
    again = pickle.loads(pickle.dumps(travelling))
    assert again(2.0, 4, shift=1) == travelling(2.0, 4, shift=1) == 17.0
    make, *parts = travelling.recipe()
    assert make(*parts)(2.0, 4, shift=1) == 17.0
