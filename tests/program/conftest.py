"""What the tests of programs share."""

import sys

import pytest

from support.tape_state import assert_clean


@pytest.fixture(autouse=True)
def unchanged():
    """Whatever a test does, the tape is afterwards as usable as before."""
    yield
    assert_clean()


@pytest.fixture
def unwatched():
    """No debugger and no coverage tool, so that traces may watch the lines that are run."""
    before = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(before)
