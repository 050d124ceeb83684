"""Code is not trusted because it lies there: what is planted in the cache is run by nobody.

Terms:
    planted     a file under the key of x*x + 1 with the code of x*x + 666, its checksum right
    believed    what a process of its own answers when it takes that file: 675, and else 10
"""

import json
import os
import stat
import subprocess
import sys
import textwrap

import pytest

from miniflow import jit
from miniflow import math as m
from miniflow.native import cache
from support.machine_code import at_the_bench, bits
from support.project import INSTALLED

PROGRAM = """
    import warnings
    from miniflow import jit

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        f = jit(lambda x: x * x + 1.0, backend="native")
        print([f(3.0) for _ in range(3)][-1])
        for k in range(3):
            assert jit(lambda x: x * x - k, backend="native")(3.0) == 9.0 - k
        assert f.ready() and jit(lambda x: x - 1.0, backend="native")(3.0) == 2.0
    print(*[x.message for x in told], sep="\\n")
"""


def compiled(f, *xs):
    """Compile a function to the end, and return its answer."""
    with at_the_bench() as bench:
        g = jit(f, backend="native")
        found = g(*xs)
        bench.finish()
        assert bits(g(*xs)) == bits(found)
    return found


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a planted file, and this process's own cache."""
    folder = tmp_path / "work" / "cache" / "miniflow"
    monkeypatch.setenv("MINIFLOW_CACHE_DIR", str(folder))
    assert compiled(lambda x: x * x + 1.0, 3.0) == 10.0
    (mine,) = folder.iterdir()
    assert compiled(lambda x: x * x + 666.0, 3.0) == 675.0
    (other,) = set(folder.iterdir()) - {mine}
    cache.store_code(mine.name, *cache.load_code(other.name))
    other.unlink()
    return mine


def answer(cwd, **variables):
    """What a process of its own answers, and what it is warned of."""
    names = ("MINIFLOW_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
    env = {x: y for x, y in os.environ.items() if x not in names}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], cwd=cwd, timeout=100,
        env={**env, "PYTHONPATH": str(INSTALLED), **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, ""), run.stderr[-2000:]
    first, *told = run.stdout.splitlines()
    return float(first), [x for x in told if x]


def shared_file(file):
    file.chmod(0o660)


def open_folder(file):
    file.parent.chmod(0o777)


def linked_file(file):
    file.rename(file.parents[2] / "elsewhere")
    file.symlink_to(file.parents[2] / "elsewhere")


def linked_folder(file):
    file.parent.rename(file.parents[2] / "elsewhere")
    file.parent.symlink_to(file.parents[2] / "elsewhere")


def fifo(file):
    file.unlink()
    os.mkfifo(file, 0o600)


def folder_instead(file):
    file.unlink()
    file.mkdir(mode=0o700)


def strangers_file(file):
    os.chown(file, 12345, 12345)


def strangers_folder(file):
    os.chown(file.parent, 12345, 12345)


DOUBTFUL = {
    x.__name__: x
    for x in (shared_file, open_folder, linked_file, linked_folder, fifo, folder_instead,
              strangers_file, strangers_folder)
}  # fmt: skip
pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX's permissions")


def test_a_file_of_ones_own_is_believed(place):
    """Else the others here would prove nothing."""
    assert answer("/", MINIFLOW_CACHE_DIR=str(place.parent)) == (675.0, [])


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_others_may_have_written_is_not_run(name, place):
    if name.startswith("strangers") and os.geteuid() != 0:
        pytest.skip("only root may give files away")
    DOUBTFUL[name](place)
    found, told = answer("/", MINIFLOW_CACHE_DIR=str(place.parent))
    assert found == 10.0
    assert len(told) == 1, told
    assert str(place.parent) in told[0]
    assert "MINIFLOW_CACHE_DIR" in told[0]


def test_a_file_under_another_key_is_not_run(place):
    """The key is part of what the checksum is of."""
    content = place.read_bytes()
    (place.parent / ("0" * 64)).write_bytes(content)
    assert cache.load_code(place.name) is not None
    assert cache.load_code("0" * 64) is None


CURRENT = {
    "MINIFLOW_CACHE_DIR": ({"MINIFLOW_CACHE_DIR": "cache/miniflow"}, 1),
    "a dot": ({"MINIFLOW_CACHE_DIR": "./cache/miniflow"}, 1),
    "XDG_CACHE_HOME": ({"XDG_CACHE_HOME": "cache", "HOME": "/nonexistent"}, 0),
    "an empty HOME": ({"HOME": ""}, 0),
    "a relative HOME": ({"HOME": "."}, 0),
    "an empty XDG_CACHE_HOME": ({"HOME": "", "XDG_CACHE_HOME": ""}, 0),
}


@pytest.mark.parametrize("name", CURRENT)
def test_the_current_folder_s_code_is_not_run(name, place):
    work = place.parents[2]
    (work / ".cache").symlink_to(work / "cache")
    (work / "miniflow").symlink_to(work / "cache" / "miniflow")
    variables, warnings = CURRENT[name]
    found, told = answer(work, **variables)
    assert (found, len(told)) == (10.0, warnings)
    assert [x.name for x in place.parent.iterdir()] == [place.name]  # nor is any written


def test_files_are_private(place):
    before = os.umask(0)
    try:
        compiled(lambda x: x * 7.0, 2.0)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(x.stat().st_mode) for x in place.parent.iterdir()} == {0o600}


# --- nonsense with a right checksum -------------------------------------------


def smooth(x):
    return m.sin(x) * 3.0


def packed(text, *objects):
    return len(text).to_bytes(8, "little") + text + b"".join(objects)


NOTHING = json.dumps([[[[], ["entry", "entry.table"]]], [0], ""]).encode()
NONSENSE = {
    "nothing": b"",
    "not JSON": packed(b"{"),
    "no text": packed(b"\xff\xfe"),
    "null": packed(b"null"),
    "a number": packed(b"3"),
    "empty": packed(b"[]"),
    "deep": packed(b"[" * 100_000),
    "no objects": packed(b'[[], [], ""]'),
    "a header of nothing": packed(b'[null, [], ""]'),
    "a header of numbers": packed(b'[[3], [1], ""]', b"x"),
    "fewer objects": packed(b'[[[[], ["entry", "t"]]], [], ""]'),
    "lengths of text": packed(b'[[[[], ["entry", "t"]]], ["a"], ""]', b"x"),
    "lengths below 0": packed(b'[[[[], ["entry", "t"]]], [-1, 2], ""]', b"x"),
    "lengths too large": packed(b'[[[[], ["entry", "t"]]], [1000000000000], ""]', b"x"),
    "an empty object": packed(NOTHING),
    "an object of noise": packed(NOTHING.replace(b"[0]", b"[999]"), b"noise" * 200)[:-1],
    "a header too long": (1 << 62).to_bytes(8, "little") + b"[]",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_with_a_right_checksum_is_as_good_as_none(name, place):
    expected = compiled(smooth, 0.5)
    (file,) = set(place.parent.iterdir()) - {place}
    whole = file.read_bytes()
    file.write_bytes(cache._sealed(file.name, NONSENSE[name]) + NONSENSE[name])
    assert bits(compiled(smooth, 0.5)) == bits(expected)
    assert file.read_bytes() == whole  # it was compiled again


def test_code_without_the_function_that_is_asked_for(place):
    """A right object that is not what the key says."""
    expected = compiled(smooth, 0.5)
    (file,) = set(place.parent.iterdir()) - {place}
    header, objects = cache.load_code(file.name)
    cache.store_code(file.name, [(imports, exports[1:]) for imports, exports in header], objects)
    assert bits(compiled(smooth, 0.5)) == bits(expected)
    cache.store_code(file.name, [(["c.nonsense"], exports) for _, exports in header], objects)
    assert bits(compiled(smooth, 0.5)) == bits(expected)


WRONG = {
    "no imports": lambda imports, exports: ([], exports),
    "one more": lambda imports, exports: ([*imports, "c.sin"], exports),
    "many more": lambda imports, exports: ([*imports, *["c.sin"] * 100_000], exports),
    "in another order": lambda imports, exports: (imports[::-1], exports),
    "names swapped": lambda imports, exports: (imports, exports[::-1]),
    "numbers": lambda imports, exports: ([1, 2], [3, 4]),
    "no names": lambda imports, exports: (imports, []),
}


@pytest.mark.parametrize("name", WRONG)
def test_code_that_is_not_what_its_header_says(name, place):
    """No address is written where the code has no place for it."""
    expected = compiled(smooth, 0.5)
    (file,) = set(place.parent.iterdir()) - {place}
    whole = file.read_bytes()
    header, objects = cache.load_code(file.name)
    cache.store_code(file.name, [WRONG[name](*part) for part in header], objects, "smooth")
    assert bits(compiled(smooth, 0.5)) == bits(expected)
    assert cache.load_code(file.name)[0] == header
    assert len(file.read_bytes()) == len(whole)
