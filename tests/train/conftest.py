"""What the tests of training share: data, small models, trainings that are compared."""

import random

import numpy
import pytest

from miniflow import nn


@pytest.fixture
def five():
    """Five samples of two numbers."""
    rng = random.Random(3)
    return [[rng.gauss(0, 1), rng.gauss(0, 1)] for _ in range(5)]


@pytest.fixture
def many():
    """A function of a count: samples of two numbers, and classes that they tell."""

    def samples(count, seed=0):
        rng = numpy.random.default_rng(seed)
        x = rng.normal(size=(count, 2))
        return x, (x[:, 0] > x[:, 1]).astype(int) + (x[:, 0] > 0.5)

    return samples


@pytest.fixture
def small():
    """A function of outputs: a small model, the same each time."""
    return lambda outputs=1: nn.MLP(2, [3, outputs], activation="tanh", seed=5)
