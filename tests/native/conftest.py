"""What the tests of machine code share."""

import pytest

from support.machine_code import at_the_bench


@pytest.fixture
def bench():
    with at_the_bench() as found:
        yield found
