"""What the tests of machine code share."""

import pytest

from miniflow.native import link, machine
from support.machine_code import at_the_bench


@pytest.fixture
def bench():
    with at_the_bench() as found:
        yield found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder for this test alone."""
    place = tmp_path / "cache"
    monkeypatch.setenv("MINIFLOW_CACHE_DIR", str(place))
    return place


@pytest.fixture
def built(monkeypatch):
    """The levels at which modules are compiled, one by one."""
    levels = []
    original = machine.compiled

    def compiled(module, level):
        levels.append(level)
        return original(module, level)

    monkeypatch.setattr(machine, "compiled", compiled)
    return levels


@pytest.fixture(scope="session", autouse=True)
def _conversions():
    """What all machine code shares is compiled before anybody counts what is."""
    link.address("convert.number")
