"""`assert_gradients_close`: what it takes for equal, and what it says of what is not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, grad
from miniflow import math as m
from miniflow.testing import assert_gradients_close

finite = st.floats(-1e6, 1e6)
trees = st.recursive(finite, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(), x))


@given(trees)
def test_anything_is_close_to_itself(tree):
    assert_gradients_close(tree, tree)


@given(st.lists(finite, min_size=1, max_size=6), st.data())
def test_each_entry_that_differs_is_named(numbers, data):
    k = data.draw(st.integers(0, len(numbers) - 1))
    other = list(numbers)
    other[k] += 1.0
    with pytest.raises(AssertionError) as caught:
        assert_gradients_close(other, numbers)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"gradients differ in 1 of {len(numbers)} entries")
    assert lines[2].split()[:3] == [f"[{k}]", repr(other[k]), repr(numbers[k])]


def test_kinds_of_containers_are_alike():
    assert_gradients_close([1.0, 2.0], np.array([1.0, 2.0]))
    assert_gradients_close((1.0, [2.0]), [1, (Value(2.0),)])
    assert_gradients_close({"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0})
    assert_gradients_close(grad(m.sin)(0.5), math.cos(0.5))


def test_special_numbers():
    assert_gradients_close([math.nan, math.inf, -0.0], [math.nan, math.inf, 0.0])
    for got, expected in [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (1.0, math.inf)]:
        with pytest.raises(AssertionError):
            assert_gradients_close(got, expected)


def test_tolerances():
    assert_gradients_close(1.0 + 1e-10, 1.0)
    assert_gradients_close(1.1, 1.0, rtol=0.2)
    assert_gradients_close(0.1, 0.0, atol=0.2)
    with pytest.raises(AssertionError, match="rtol=1e-09, atol=0"):
        assert_gradients_close(1.0 + 1e-8, 1.0)


def test_a_table_of_differences():
    got = {"w": [1.0, 2.0], "b": np.array([[0.5]])}
    with pytest.raises(AssertionError) as caught:
        assert_gradients_close(got, {"w": [1.0, 2.5], "b": np.array([[0.0]])})
    assert str(caught.value).splitlines() == [
        "gradients differ in 2 of 3 entries (rtol=1e-09, atol=0)",
        "  entry        got  expected       ulp  relative",
        "  ['w'][1]     2.0       2.5  1.13e+15       0.2",
        "  ['b'][0, 0]  0.5       0.0       inf       inf",
    ]


def test_a_long_table_is_cut():
    with pytest.raises(AssertionError, match=r"\.\.\. and 80 more"):
        assert_gradients_close([1.0] * 100, [2.0] * 100)


@pytest.mark.parametrize(("got", "expected", "message"), [
    ([1.0], [1.0, 2.0], "at the top: got list of 1, expected list of 2"),
    ({"a": [1.0]}, {"a": 1.0}, r"at \['a'\]: got list \[1.0\], expected float 1.0"),
    ({"a": 1.0}, {"b": 1.0}, "got a dict with 'a', expected a dict with 'b'"),
    ([1.0], {"a": 1.0}, "expected a dict with 'a'"),
])  # fmt: skip
def test_structures_that_differ_are_named(got, expected, message):
    with pytest.raises(AssertionError, match=message):
        assert_gradients_close(got, expected)


def test_what_is_no_number_is_refused():
    with pytest.raises(TypeError, match="expected a real number"):
        assert_gradients_close("a", "b")
