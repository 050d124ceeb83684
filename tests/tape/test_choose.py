"""Which engine runs: the compiled one where it is there and fresh, or the one that is asked for."""

import shutil
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

import miniflow
from miniflow.tape.choose import MODULES, sources
from support.project import INSTALLED
from support.scripts import ran

ENGINE = "import miniflow; print(miniflow.engine, (miniflow.Value(3.0) ** 2).data)"


@pytest.fixture
def elsewhere(tmp_path):
    """A copy of the package."""
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(INSTALLED / "miniflow", tmp_path / "miniflow", ignore=unwanted)
    return tmp_path


def built(folder):
    """The compiled modules of a copy of the package."""
    return [
        path
        for name in MODULES
        for path in folder.glob(f"miniflow/{name.replace('.', '/')}.*")
        if path.suffix in (".so", ".pyd")
    ]


def has_compiled():
    return len(built(INSTALLED)) == len(MODULES)


compiled_only = pytest.mark.skipif(
    miniflow.engine == "python" and not has_compiled(), reason="there is no compiled engine"
)


def test_python_is_there_when_asked_for():
    assert ran(ENGINE, "python").stdout == "python 9.0\n"


@compiled_only
def test_so_is_the_compiled_one():
    assert ran(ENGINE, "compiled").stdout == "compiled 9.0\n"
    assert ran(ENGINE, None).stdout == "compiled 9.0\n"
    assert ran(ENGINE, "").stdout == "compiled 9.0\n"


@pytest.mark.parametrize("name", ["nonsense", "Python", "compiled "])
def test_another_name_is_refused(name):
    run = ran(ENGINE, name, check=False)
    assert run.returncode == 1
    assert f"MINIFLOW_ENGINE must be 'compiled' or 'python', got {name!r}" in run.stderr


@compiled_only
@pytest.mark.parametrize(
    "name", ["operation.py", "ops.py", "tape/core.py", "tape/handles.h", "compiled/called.c"]
)
def test_a_stale_build_is_not_used(elsewhere, name):
    assert str(INSTALLED / "miniflow" / name) in sources()
    with (elsewhere / "miniflow" / name).open("a") as file:
        file.write("\n" if name.endswith((".h", ".c")) else "\n# changed\n")
    run = ran(ENGINE, None, elsewhere)
    assert run.stdout == "python 9.0\n"
    assert run.stderr.count("RuntimeWarning: miniflow: the engine runs as Python") == 1
    assert "install miniflow again" in run.stderr
    assert ran(ENGINE, "python", elsewhere).stderr == ""
    run = ran(ENGINE, "compiled", elsewhere, check=False)
    assert run.returncode == 1
    assert "no compiled engine" in run.stderr


@compiled_only
def test_a_fresh_build_has_no_warning_and_line_ends_do_not_matter(elsewhere):
    path = elsewhere / "miniflow" / "ops.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    run = ran(ENGINE, None, elsewhere)
    assert (run.stdout, run.stderr) == ("compiled 9.0\n", "")


def test_no_build_at_all(elsewhere):
    for path in built(elsewhere):
        path.unlink()
    run = ran(ENGINE, None, elsewhere)
    assert (run.stdout, run.stderr) == ("python 9.0\n", "")
    run = ran(ENGINE, "compiled", elsewhere, check=False)
    assert run.returncode == 1
    assert "install miniflow again where there is a C compiler" in run.stderr


def test_a_build_that_cannot_be_loaded(elsewhere):
    """Cut off, or for another machine: said, not hidden."""
    for name in MODULES:
        path = elsewhere / f"miniflow/{name.replace('.', '/')}{EXTENSION_SUFFIXES[0]}"
        path.write_bytes(b"no library")
    path = elsewhere / f"miniflow/tape/core{EXTENSION_SUFFIXES[0]}"
    run = ran(ENGINE, "python", elsewhere)
    assert (run.stdout, run.stderr) == ("python 9.0\n", "")
    run = ran(ENGINE, None, elsewhere)
    assert run.stdout == "python 9.0\n"
    assert run.stderr.count("RuntimeWarning: miniflow: the engine runs as Python") == 1
    assert path.name in run.stderr
    run = ran(ENGINE, "compiled", elsewhere, check=False)
    assert run.returncode == 1
    assert "ImportError" in run.stderr
    assert path.name in run.stderr


@pytest.mark.parametrize("engine", ["python", pytest.param("compiled", marks=compiled_only)])
def test_what_is_loaded(engine):
    code = """
        import sys
        before = set(sys.modules)
        import miniflow
        x = miniflow.Value(2.0)
        (x * x).backward()
        new = {name.split(".")[0] for name in set(sys.modules) - before}
        assert not {"Cython", "hashlib", "pathlib"} & new
        # a compiled module's own: they are in no file
        new -= set(sys.stdlib_module_names)
        print(*sorted(x for x in new if hasattr(sys.modules[x], "__file__")))
    """
    assert ran(code, engine).stdout.split()[-1:] == ["miniflow"]


@pytest.mark.parametrize("engine", ["python", pytest.param("compiled", marks=compiled_only)])
def test_a_python_without_the_interpreter_lock_is_refused(engine):
    code = """
        import sys
        sys._is_gil_enabled = lambda: False
        try:
            import miniflow
        except ImportError as error:
            print(error)
        else:
            print("loaded")
    """
    said = ran(code, engine).stdout
    assert "needs the interpreter lock" in said
    assert "PYTHON_GIL=1" in said


@pytest.mark.parametrize("engine", ["python", pytest.param("compiled", marks=compiled_only)])
def test_any_module_may_be_imported_first(engine):
    for name in ("tape", "ops", "program.c", "tape.choose", "program", "tape.columns", "tape.core"):
        assert (
            ran(f"import miniflow.{name}, miniflow; print(miniflow.engine)", engine).stdout
            == f"{engine}\n"
        )
