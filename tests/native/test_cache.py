"""Compiled code kept in files: found again by what it was made from, and by nothing less.

Terms:
    key     the name of a file: a digest of the program and of all that its code depends on
    built   how many modules were compiled, rather than loaded
"""

import importlib
import math
import os
import stat
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import define, grad, jit, trace
from miniflow import math as m
from miniflow.compiled.evaluators import PATIENCE
from miniflow.native import cache, machine, probe, tiers
from miniflow.ops import TABLE
from support.machine_code import at_the_bench, bits
from support.parts import with_parts
from support.project import INSTALLED
from support.random_programs import RELATIONS, randoms


@pytest.fixture(autouse=True)
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


def stored(f, *points):
    """Compile f at some points, to the end, and return its answers."""
    with at_the_bench() as bench:
        g = jit(f, backend="native")
        found = [bits(g(*xs)) for xs in points]
        bench.finish()
        assert g.ready(0)
        assert [bits(g(*xs)) for xs in points] == found
    return found


def files(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def smooth(x, y):
    return m.sin(x) * y + m.exp(-y) if x > 0 else x - y / 3


POINTS = [(0.5, 2.0), (-1.0, 3.0), (0.0, -0.0)]
ANSWERS = [bits(smooth(*xs)) for xs in POINTS]


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
    assert stored(smooth, *POINTS) == ANSWERS


@given(st.binary(max_size=300), st.lists(st.binary(max_size=50), max_size=4))
def test_what_is_stored_is_what_is_loaded(noise, objects):
    header = [[["c.sin", "PyFloat_Type"], ["entry", "entry.table"]]]
    cache.store_code("key", header, objects)
    assert cache.load_code("key") == (header, objects)
    path = cache.folder() / "key"
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
    monkeypatch.setenv("MINIFLOW_CACHE_DIR", place)
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
    def write(path, content):
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


# --- keys ---------------------------------------------------------------------

ONE_ANOTHER = {
    "constant": [lambda x: x + 1.0, lambda x: x + 1.0000000000000002, lambda x: x + 2.0],
    "sign of zero": [lambda x: m.copysign(x, 0.0) * 2, lambda x: m.copysign(x, -0.0) * 2],
    "nan": [lambda x: x + math.nan, lambda x: x + math.inf, lambda x: x + -math.inf],
    "row": [lambda x: m.sin(x), lambda x: m.cos(x), lambda x: m.tan(x)],
    "order": [lambda x: x - 3.0, lambda x: 3.0 - x],
    "operands": [lambda x: m.sum([x, x, 2.0]), lambda x: m.sum([x, 2.0, 2.0])],
    "grouping": [
        lambda x: m.sum([x, 0.1, 0.2]),
        lambda x: x + 0.1 + 0.2,
        lambda x: x + (0.1 + 0.2),
    ],
    "variadic": [lambda x: m.sum([x, x, x, x]), lambda x: m.dot([x, x], [x, x])],
    "structure": [lambda x: (x, x), lambda x: [x, x], lambda x: ((x,), x), lambda x: ((x, x),)],
    "outputs": [lambda x: (x * 2, x * 3), lambda x: (x * 3, x * 2), lambda x: (x * 2, x * 2)],
    "text": [lambda x: (x, "a"), lambda x: (x, "b"), lambda x: (x, None), lambda x: (x, True)],
    "relation": [
        lambda x: x * 2 if x < 2.0 else x,
        lambda x: x * 2 if x <= 2.0 else x,
        lambda x: x * 2 if x == 2.0 else x,
        lambda x: x * 2 if x > 2.0 else x,
        lambda x: x * 2 if x < 3.0 else x,
    ],
    "outcome": [lambda x: x + 1 if x < 5 else x, lambda x: x + 1 if not x < 5 else x],
    "position": [
        lambda x: m.exp(x) if x < 5 else x,
        lambda x: m.exp(x) if m.exp(x) < 5 else x,
    ],
}
INPUTS = [(2.0,), (0.5,), (-0.0,), (7.0,)]


@pytest.mark.parametrize("functions", ONE_ANOTHER.values(), ids=ONE_ANOTHER)
def test_programs_that_differ_do_not_find_each_other_s_code(functions, folder):
    """In any order: each is asked for when the others are stored."""
    expected = [[bits(f(*xs)) for xs in INPUTS] for f in functions]
    for f, answers in [*zip(functions, expected, strict=True)] * 2:
        assert stored(f, *INPUTS) == answers


def flat(tree):
    if isinstance(tree, (list, tuple, np.ndarray)):
        return [x for part in tree for x in flat(part)]
    return [tree]


def test_structures_of_arguments_are_told_apart(folder):
    f = lambda *xs: flat(xs)[0] * 2 + flat(xs)[-1]  # noqa: E731
    calls = [
        (1.0, 2.0), ([1.0, 2.0],), ((1.0, 2.0),), ([[1.0], 2.0],), ([1.0, [2.0]],), ([1.0], 2.0),
        (np.array([1.0, 2.0]),), (np.array([[1.0, 2.0]]),), (np.array([[1.0], [2.0]]),),
        ([np.array([1.0]), 2.0],), (np.array([1.0]), 2.0), (1.0, np.array([2.0])),
    ]  # fmt: skip
    for _ in range(2):
        for args in calls:
            assert stored(f, args) == [bits(4.0)], args
    assert len(files(folder)) == len(calls)


def test_fused_code_is_told_apart(folder, built):
    """Code with fma=True is not that without."""
    f = lambda a, b, c: a * b + c  # noqa: E731
    a = 1 + 2.0**-30
    c = -(1 + 2.0**-29)
    plain = f(a, a, c)
    with at_the_bench() as bench:
        for _ in range(2):
            fused, separate = jit(f, backend="native", fma=True), jit(f, backend="native")
            assert fused(a, a, c) in (plain, m.fma(a, a, c))
            assert separate(a, a, c) == plain
            bench.finish()
            assert separate(a, a, c) == plain


def test_another_version_compiles_anew(folder, built, monkeypatch):
    """Whatever code depends on is part of every key."""
    stored(smooth, *POINTS)
    names = files(folder)
    for version in (b"another", b"third"):
        del built[:]
        with monkeypatch.context() as patch:
            patch.setattr(tiers, "_version", lambda version=version: version)
            assert stored(smooth, *POINTS) == ANSWERS
        assert built
    assert len(files(folder)) == 3 * len(names)


def test_the_version_covers_the_machine_and_the_library(monkeypatch):
    before = tiers._version()
    assert before == tiers._version.__wrapped__()
    for module, name, other in (
        (machine, "features", lambda: ("another", "+processor")),
        (probe, "functions", lambda: frozenset(["sin"])),
        (machine, "lanes", lambda: 64),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, other)
            assert tiers._version.__wrapped__() != before
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version", "3.99")
        assert tiers._version.__wrapped__() != before
    with monkeypatch.context() as patch:
        patch.setattr(importlib.import_module("llvmlite"), "__version__", "99")
        assert tiers._version.__wrapped__() != before


def test_the_key_sees_every_part_of_a_program():
    """What does not change the code, names and places, does not change the key."""

    def f(x, y):
        z = m.sin(x) * y + 0.0
        return z if z > y else y

    program = trace(f, 2.0, -3.0)
    key = tiers.digest(program, "entry")
    guard = program.guards[0]
    others = {
        "constants": [-0.0, *program.constants[1:]],
        "outputs": (*program.outputs[::-1], 0),
        "guards": [guard._replace(holds=not guard.holds)],
        "instructions": [
            x._replace(op=TABLE["cos"]) if x.op.name == "sin" else x for x in program.instructions
        ],
        "captured": (),
    }
    assert 0.0 in program.constants
    assert tiers.digest(program, "entry") == key
    assert tiers.digest(program, "batch") != key
    for name, other in others.items():
        if name != "captured":
            assert tiers.digest(with_parts(program, **{name: other}), "entry") != key, name
    for relation in ("<=", "=="):
        assert (
            tiers.digest(with_parts(program, guards=[guard._replace(relation=relation)]), "entry")
            != key
        )
    for moved in (guard._replace(position=0), guard._replace(left=guard.right, right=guard.left)):
        assert tiers.digest(with_parts(program, guards=[moved]), "entry") != key
    same = with_parts(
        program, name="g", parameters=("a", "b"), names={}, places=[None] * len(program)
    )
    assert tiers.digest(same, "entry") == key


@given(st.lists(randoms(longest=6), min_size=2, max_size=4))
def test_keys_are_equal_exactly_if_programs_are(found):
    programs = [trace(program.total, *points[0]) for program, points in found]
    for a in programs:
        for b in programs:
            same = tiers.digest(a, "entry") == tiers.digest(b, "entry")
            assert same == (a.code == b.code)


# --- rows that users define ---------------------------------------------------


@contextmanager
def row(name, value, *partials):
    op = define(name, value, *partials)
    try:
        yield op
    finally:
        del TABLE[name]


FORMULAS = {
    "traceable": [lambda x: x * x * x, lambda x: x + x, lambda x: m.sin(x) - 1.0],
    "by Python": [
        lambda x: float(int(x)),
        lambda x: float(int(x) + 5),
        lambda x: float(int(x) * 2),
    ],
    "either": [lambda x: x * 3.0, lambda x: float(int(x)), lambda x: x * 5.0],
    "constants": [lambda x: x + 0.0, lambda x: x + 1.0, lambda x: x + -0.0],
}


@pytest.mark.parametrize("formulas", FORMULAS.values(), ids=FORMULAS)
def test_a_row_defined_anew_does_not_get_the_old_one_s_code(formulas, folder):
    """The same name, another formula: in this process and, by the files, in any other."""
    for value in [*formulas, *formulas]:
        with row("twist_", value, 1.0) as twist:
            points = [(2.5,), (-1.5,), (-0.0,)]
            expected = [bits(value(*xs) * 2.0) for xs in points]
            assert stored(lambda x: twist(x) * 2.0, *points) == expected


def test_a_row_s_partials_defined_anew(folder):
    slopes = [lambda x, y: 2 * x, lambda x, y: y + 1.0]
    for slope in slopes * 2:
        with row("twist_", lambda x: x * x, slope) as twist:
            found = stored(grad(lambda x: twist(x)), (3.0,))
            assert found == [bits(slope(3.0, 9.0))]


def test_rows_that_stand_on_other_rows(folder):
    """A row's formula uses another one of the user's: that one may change, too."""
    for inner in (lambda x: x * 2.0, lambda x: x * 7.0):
        with (
            row("inner_", inner, 1.0) as first,
            row("outer_", lambda x: first(x) + 1.0, 1.0) as second,
        ):
            assert stored(lambda x: second(x), (3.0,)) == [bits(inner(3.0) + 1.0)]


def test_every_relation_has_code_of_its_own(folder):
    for _ in range(2):
        for relation in RELATIONS:
            f = lambda x, y, less=relation: x - y if less(x, y) else y * x  # noqa: E731
            points = [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (math.nan, 1.0)]
            assert stored(f, *points) == [bits(f(*xs)) for xs in points]
