"""What the tests of the tape share: the other engine."""

import itertools

import pytest

from support.other_engine import There


@pytest.fixture(scope="module")
def there():
    process = There()
    yield process
    process.close()


@pytest.fixture(scope="module")
def same(there):
    """A function that does a job on both engines and compares; the answer."""

    def both(job, *args):
        mine, other = job(*args), there(job, *args)
        if mine != other and isinstance(mine, list):
            pairs = enumerate(itertools.zip_longest(mine, other))
            assert [(k, a, b) for k, (a, b) in pairs if a != b][:5] == []
        assert mine == other
        return mine

    return both
