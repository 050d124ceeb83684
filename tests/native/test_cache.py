"""Compiled code kept in files: found again by what it was made from, and by nothing less.

Terms:
    key     the name of a file: a digest of the program and of all that its code depends on
    built   how many modules were compiled, rather than loaded
"""

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import grad, jit
from miniflow import math as m
from miniflow.compiled.evaluators import PATIENCE
from miniflow.native import cache, machine, tiers
from support.machine_code import ANSWERS, POINTS, at_the_bench, bits, files, smooth, stored
from support.project import INSTALLED

pytestmark = pytest.mark.usefixtures("folder")


# --- the second time ----------------------------------------------------------


def test_what_is_stored_is_loaded(folder, built):
    assert stored(smooth, *POINTS) == ANSWERS
    assert set(built) == {machine.QUICK, machine.OPTIMISED}
    names = files(folder)
    assert len(names) >= 2  # two paths
    del built[:]
    with at_the_bench() as bench:
        g = jit(smooth, backend="native")
        assert [bits(g(*xs)) for xs in POINTS] == ANSWERS
        assert g.ready(0)  # at once the optimised code: nothing to be done
        assert bench.jobs == []
    assert built == []
    assert files(folder) == names


@pytest.mark.parametrize("short", [0, tiers.SHORT])
def test_what_is_short_is_optimised_at_once_where_nobody_waits(short, folder, built, monkeypatch):
    monkeypatch.setattr(tiers, "SHORT", short)
    g = jit(smooth)
    for _ in range(PATIENCE):
        assert [bits(g(*xs)) for xs in POINTS] == ANSWERS
    assert g.ready()
    assert [bits(g(*xs)) for xs in POINTS] == ANSWERS
    assert set(built) == ({machine.OPTIMISED} if short else {machine.QUICK, machine.OPTIMISED})
    assert len(files(folder)) >= 2


def test_another_function_with_the_same_program_finds_its_code(folder, built):
    """Code depends on what is computed, not on names, places or texts."""
    stored(lambda x, y: x * y + 1.0, (2.0, 3.0))
    names = files(folder)
    del built[:]

    def other(first, second):
        product = first * second
        return 1.0 * (product + 1)

    assert stored(other, (2.0, 3.0)) == [bits(7.0)]
    assert built == []
    assert files(folder) == names


def test_derivatives_pieces_and_rows_of_python_are_loaded_too(folder, built, monkeypatch):
    from miniflow.native import kernel

    monkeypatch.setattr(kernel, "PIECE", 4)

    def f(x, y):
        return m.gamma(x) * m.sin(y) + m.lgamma(x * y) ** 2

    slope = grad(f, argnums=(0, 1))
    expected = [bits(slope(1.5, 2.5))]
    assert stored(slope, (1.5, 2.5)) == expected
    assert len(built) > 4
    del built[:]
    assert stored(slope, (1.5, 2.5)) == expected
    assert built == []


SCRIPT = """
    import sys
    from miniflow import jit
    from miniflow.native import machine
    from miniflow import math as m

    built = []
    original = machine.compiled

    def compiled(module, level):
        built.append(level)
        return original(module, level)

    machine.compiled = compiled

    def f(x, y):
        for k in range(40):
            x, y = x - y * 0.01, y + m.sin(x) * 0.1
        return x if x > y else y * 2

    slow = [f(0.5, 2.0), f(2.0, 0.5)]
    g = jit(f, backend="native")
    for _ in range(3):
        assert [g(0.5, 2.0), g(2.0, 0.5)] == slow
    assert g.ready(100)
    assert [g(0.5, 2.0), g(2.0, 0.5)] == slow
    print(len(built))
"""


def started(folder, code=SCRIPT, **variables):
    env = {**os.environ, "PYTHONPATH": str(INSTALLED), "MINIFLOW_CACHE_DIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env=env | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finished(process):
    """What a process has printed, after it has ended well."""
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    return out


def test_a_second_process_compiles_nothing(folder):
    assert int(finished(started(folder))) >= 2
    names = files(folder)
    assert int(finished(started(folder))) == 0
    assert files(folder) == names


def test_two_processes_at_once(folder):
    """They write the same files at the same time; all are right, and whole in the end."""
    for process in [started(folder) for _ in range(3)]:
        finished(process)
    assert int(finished(started(folder))) == 0
    assert all(map(cache.load_code, files(folder)))


def test_a_process_that_is_killed_leaves_no_half_file(folder):
    """Whenever it is killed: what is there is whole, and the next process gets on."""
    code = SCRIPT + "\n    import time; time.sleep(100)"
    for wait in (0.2, 0.3, 0.5):
        process = started(folder, code)
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=wait)
        process.kill()
        process.communicate()
        for name in files(folder):
            assert name.startswith(".") or cache.load_code(name) is not None
    finished(started(folder))
    assert int(finished(started(folder))) == 0


# --- damaged files ------------------------------------------------------------

DAMAGE = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "without its last byte": lambda data: data[:-1],
    "one byte too many": lambda data: data + b"\0",
    "only the beginning": lambda data: data[:10],
    "magic alone": lambda data: data[: len(cache.MAGIC)],
    "no content": lambda data: data[: len(cache.MAGIC) + 32],
    "garbage": lambda data: bytes(range(256)) * 20,
    "other magic": lambda data: b"x" + data[1:],
    "wrong checksum": lambda data: (
        data[: len(cache.MAGIC)] + b"\0" * 32 + data[len(cache.MAGIC) + 32 :]
    ),
    "a flipped bit at the end": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "a flipped bit in the middle": lambda data: data[:900] + bytes([data[900] ^ 64]) + data[901:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_as_good_as_none(damage, folder, built):
    """The code is compiled anew, and the file is whole again."""
    stored(smooth, *POINTS)
    names = files(folder)
    whole = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).write_bytes(damage(whole[name]))
        assert cache.load_code(name) is None
    del built[:]
    assert stored(smooth, *POINTS) == ANSWERS
    assert built
    assert files(folder) == names
    assert all(map(cache.load_code, names))
    del built[:]
    assert stored(smooth, *POINTS) == ANSWERS
    assert built == []


def test_folders_in_the_place_of_files(folder, built):
    stored(smooth, *POINTS)
    for name in files(folder):
        (folder / name).unlink()
        (folder / name / "inside").mkdir(parents=True)
    with pytest.warns(RuntimeWarning, match="something else than it should be"):
        assert stored(smooth, *POINTS) == ANSWERS


@given(st.binary(max_size=300), st.lists(st.binary(max_size=50), max_size=4))
def test_what_is_stored_is_what_is_loaded(noise, objects):
    header = [[["c.sin", "PyFloat_Type"], ["entry", "entry.table"]]]
    cache.store_code("key", header, objects)
    assert cache.load_code("key") == (header, objects)
    path = cache.folder() / "key"
    assert cache.load_code("another") is None
    path.write_bytes(cache.MAGIC + noise)
    assert cache.load_code("key") is None
    path.write_bytes(noise)
    assert cache.load_code("key") is None
    assert cache.load_code("another") is None


# --- where files are ----------------------------------------------------------


@pytest.mark.parametrize("place", ["/dev/null/inside", "/proc/miniflow", "x" * 300, "file/inside"])
def test_a_folder_that_cannot_be_written(place, tmp_path, monkeypatch, built):
    """Code is compiled each time, nothing else is lost."""
    (tmp_path / "file").write_text("a file")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIFLOW_CACHE_DIR", str(tmp_path / place))
    for _ in range(2):
        del built[:]
        assert stored(smooth, *POINTS) == ANSWERS
        assert built


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_folder_without_the_right_to_write(folder, built):
    folder.mkdir(mode=0o500)
    assert stored(smooth, *POINTS) == ANSWERS
    assert files(folder) == []


def test_a_full_disk(folder, built, monkeypatch):
    def write(path, content, private):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write", write)
    assert stored(smooth, *POINTS) == ANSWERS
    assert files(folder) == []


def test_an_empty_variable_turns_it_off(tmp_path, monkeypatch, built):
    monkeypatch.setenv("MINIFLOW_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        del built[:]
        assert stored(smooth, *POINTS) == ANSWERS
        assert machine.OPTIMISED in built
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="Linux's folders")
def test_where_files_are_by_default(tmp_path, monkeypatch, built):
    monkeypatch.delenv("MINIFLOW_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "miniflow"
    stored(smooth, *POINTS)
    assert files(tmp_path / "xdg" / "miniflow")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.folder() == tmp_path / "home" / ".cache" / "miniflow"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's homes")
def test_a_user_without_a_home(monkeypatch, built):
    """As in many containers: then nothing is kept."""
    import pwd

    def unknown(user):
        raise KeyError(user)

    for name in ("MINIFLOW_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert stored(smooth, *POINTS) == ANSWERS


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's permissions")
def test_nobody_else_may_look_into_the_folder(folder):
    """Whoever could write there could have code run."""
    before = os.umask(0)
    try:
        stored(smooth, *POINTS)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nothing_is_left_half_written(folder, monkeypatch):
    """Not even where writing breaks off in its midst."""
    stored(lambda x: x + 1.0, (2.0,))
    before = {name: (folder / name).read_bytes() for name in files(folder)}

    def broken(path, target):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", broken)
        stored(lambda x: x + 2.0, (2.0,))
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before


def test_a_folder_that_is_deleted_meanwhile(folder, built):
    stored(lambda x: x + 1.0, (2.0,))
    for name in files(folder):
        (folder / name).unlink()
    folder.rmdir()
    assert stored(lambda x: x + 1.0, (2.0,)) == [bits(3.0)]
    assert len(files(folder)) == 1


def test_nothing_is_written_for_the_source_backend(folder):
    f = jit(smooth, backend="source")
    assert [bits(f(*xs)) for xs in POINTS * 3] == ANSWERS * 3
    assert files(folder) == []
