"""All modes and both engines agree to the last bit; tests/agreement.py tries many functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.agreement import disagreeing
from support.other_engine import There
from support.profiles import examples
from support.random_functions import functions, points


@pytest.fixture(scope="module")
def there():
    process = There()
    yield process
    process.close()


@examples(30)
@given(f=functions(longest=6), data=st.data())
def test_modes_and_engines_agree(there, f, data):
    assert disagreeing(f, [data.draw(points(f)) for _ in range(2)], there) == {}
