"""The disk cache has a bound, forgets what was not used for longest, and says what it holds."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import cache as command
from miniflow import jit
from miniflow.native import cache
from support.machine_code import at_the_bench
from support.scripts import python


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder for this test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MINIFLOW_CACHE_DIR", str(folder))
    monkeypatch.setattr(cache, "_told", set())
    return folder


def key(k):
    return f"{k:064x}"


def store(k, size, ago=0.0):
    """Keep an object of so many bytes, as if it was used a while ago."""
    cache.store_code(key(k), [], [bytes(size)])
    if ago and (path := cache.folder() / key(k)).exists():
        os.utime(path, (time.time() - ago,) * 2)


def kept():
    """The numbers of all keys, those not used for longest first."""
    return [int(x.path.name, 16) for x in cache.kept_files(cache.folder())]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=20))
def test_it_never_holds_more_than_it_may(sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIFLOW_CACHE_SIZE", "0.004")
        for k, size in enumerate(sizes):
            store(k, size)
            assert sum(x.stat().st_size for x in cache.folder().iterdir()) <= 4000
            assert cache.load_code(key(k)) == ([], [bytes(size)])  # what is new stays


def test_what_was_not_used_for_longest_goes_first(monkeypatch):
    for k in range(6):
        store(k, 1000, ago=1000.0 - k)
    assert cache.load_code(key(0)) is not None  # it is used again
    monkeypatch.setenv("MINIFLOW_CACHE_SIZE", "0.005")
    store(6, 1000, ago=1.0)
    assert kept() == [4, 5, 6, 0]


def test_other_files_are_left_alone(place, monkeypatch):
    """The folder may be one that others use, too."""
    place.mkdir(mode=0o700)
    others = [place / "notes.txt", place / "A.part", place / ("x" * 64), place / "ab"]
    for x in others:
        x.write_bytes(bytes(9000))
        os.utime(x, (0, 0))
    (place / key(77)).mkdir()
    monkeypatch.setenv("MINIFLOW_CACHE_SIZE", "0.002")
    for k in range(3):
        store(k, 1500, ago=10.0 - k)
    assert kept() == [2]
    assert command.cache_command(["clear"]) == 0
    assert kept() == []
    assert {*place.iterdir()} == {*others, place / key(77)}


def test_parts_that_nobody_writes_any_more_go(place):
    store(0, 10)
    old, new = place / f".{'0' * 16}.part", place / f".{'1' * 16}.part"
    for x in (old, new):
        x.write_bytes(b"half")
    os.utime(old, (0, 0))
    store(1, 10)
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize(("given", "bytes_"), [("", 256e6), ("1", 1e6), ("0.5", 5e5), ("0", 0.0)])
def test_the_bound_is_in_megabytes(given, bytes_, monkeypatch):
    monkeypatch.setenv("MINIFLOW_CACHE_SIZE", given)
    assert cache.limit() == bytes_
    monkeypatch.delenv("MINIFLOW_CACHE_SIZE")
    assert cache.limit() == 256e6


@pytest.mark.parametrize("given", ["many", "-1", "nan", "1 GB"])
def test_a_bound_that_is_none_is_named_once(given, monkeypatch):
    monkeypatch.setenv("MINIFLOW_CACHE_SIZE", given)
    with pytest.warns(RuntimeWarning, match="MINIFLOW_CACHE_SIZE must be a number of megabytes"):
        assert cache.limit() == 256e6
    assert cache.limit() == 256e6


def test_a_bound_of_nothing_keeps_nothing(place, monkeypatch):
    monkeypatch.setenv("MINIFLOW_CACHE_SIZE", "0")
    store(0, 10)
    assert not place.exists()


def test_the_command_lists_and_clears(place, capsys):
    def tangent(x):
        return x * 2.0 + 1.0

    with at_the_bench() as bench:
        f = jit(tangent, backend="native")
        assert f(1.0) == 3.0
        bench.finish()
    assert command.cache_command([]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{place}: 1 program, ")
    assert head.endswith(" of at most 256 MB")
    assert line.endswith("  tangent")
    assert command.cache_command(["clear"]) == 0
    assert "1 program removed" in capsys.readouterr().out
    assert list(place.iterdir()) == []


def test_the_command_is_one(place):
    store(0, 10)
    code = """
    import runpy, sys
    sys.argv = ["miniflow.cache", "clear"]
    runpy.run_module("miniflow.cache", run_name="__main__")
    """
    assert "1 program removed" in python(code, MINIFLOW_CACHE_DIR=str(place))
    assert list(place.iterdir()) == []


def test_the_command_says_where_nothing_is(place, monkeypatch, capsys):
    assert command.cache_command([]) == 0
    assert "nothing is kept yet" in capsys.readouterr().out
    monkeypatch.setenv("MINIFLOW_CACHE_DIR", "")
    assert command.cache_command(["clear"]) == 0
    assert "nothing is kept: MINIFLOW_CACHE_DIR is empty" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX's permissions")
def test_the_command_clears_no_folder_of_others(place):
    store(0, 10)
    place.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="may be written by others"):
        assert command.cache_command(["clear"]) == 1
    assert (place / key(0)).exists()
