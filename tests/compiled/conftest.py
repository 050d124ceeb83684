"""What the tests of `jit` and `vmap` share."""

import functools

import pytest

from miniflow import jit
from support.jitted import BACKENDS


@pytest.fixture(params=BACKENDS)
def compiled(request):
    """`jit` for one of the backends."""
    return functools.partial(jit, backend=request.param)
