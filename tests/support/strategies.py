"""Strategies that are made once and kept: to make one takes longer than to draw from it."""

import functools

from hypothesis import strategies as st


@functools.cache
def node(count):
    """The number of one of `count` nodes."""
    return st.integers(0, count - 1)


@functools.cache
def recent(count, last):
    """The number of one of the `last` of so many nodes."""
    return st.integers(max(0, count - last), count - 1)


@functools.cache
def either(*strategies):
    """From one of them."""
    return st.one_of(*strategies)


@functools.cache
def several(strategy, least, most=None):
    """A list of so many, or of `least` to `most`."""
    return st.lists(strategy, min_size=least, max_size=least if most is None else most)


@functools.cache
def points(strategy, count):
    """So many at once, as a tuple."""
    return st.tuples(*[strategy] * count)
