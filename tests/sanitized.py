"""The test suite on an engine that watches its own memory: a debug build, run by hand.

    python tests/sanitized.py [what to hand to pytest, e.g. tests/tape -x]

Copies the project into a temporary folder, compiles the engine there with the address and
the undefined-behaviour sanitizer of GCC, and runs pytest on it. Whatever the sanitizers find
ends the run with their report. Without arguments all tests run but those that compile
machine code, draw or plot: they are slow, and hardly touch the engine's memory; and those
that measure memory, of which the address sanitizer gives nothing back for a while.

    MINIFLOW_CFLAGS   other flags for the compiler, e.g. -fsanitize=undefined
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1"
LIBRARIES = ("libasan.so", "libubsan.so")
TESTS = ["tests/tape", "tests/program", "tests/util", *sorted(map(str, Path("tests").glob("*.py")))]
WITHOUT = [
    "program/test_c.py",
    "program/test_python.py",
    "program/test_names.py",
    "test_project.py",
]
MEASURED = "not (nothing_is_kept or given_back or would_be_noticed)"


def copied(folder: Path) -> None:
    """The project, without what has been compiled before."""
    unwanted = shutil.ignore_patterns(".*", "*.so", "*.pyd", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=unwanted, dirs_exist_ok=True)


def library(name: str) -> str:
    """Where the compiler has one of its libraries."""
    command = [os.environ.get("CC", "gcc"), f"-print-file-name={name}"]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return str(Path(found).resolve())


def environment() -> dict[str, str]:
    """What the interpreter needs for a sanitized module."""
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(map(library, LIBRARIES)),
        "MINIFLOW_ENGINE": "compiled",
        "PYTHONMALLOC": "malloc",  # Python's own allocator would hide what is wrong
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:handle_segv=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }


def main(arguments: list[str]) -> int:
    """Build, run, and hand on what pytest answers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "miniflow"
        copied(folder)
        flags = os.environ.get("MINIFLOW_CFLAGS", FLAGS)
        build = [
            sys.executable,
            "setup.py",
            "-q",
            "build_ext",
            "--inplace",
            "--build-temp",
            "build",
        ]
        subprocess.run(build, cwd=folder, env={**os.environ, "MINIFLOW_CFLAGS": flags}, check=True)
        tests = arguments or [*TESTS, *[f"--ignore=tests/{x}" for x in WITHOUT], "-k", MEASURED]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-s", *tests]
        return subprocess.run(command, cwd=folder, env=environment(), check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
