"""What the benchmarks share: peers, new processes, how numbers are compared and written."""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TOLERANCE = 1e-9  # of results, relative
TICK = 1e-4  # seconds: a clock with longer steps tells nothing about small chains


class MissingError(Exception):
    """A contender that cannot run here, and why."""


@cache
def peer(name: str) -> Any:
    """A peer's module, set to doubles and to one thread."""
    package = name.partition(".")[0]
    if find_spec(package) is None:
        raise MissingError(f"{package} is not installed")
    module = importlib.import_module(name)
    if name == "jax":
        module.config.update("jax_enable_x64", True)
        module.config.update("jax_cpu_enable_async_dispatch", False)  # faster for small ones
    if name == "torch":
        module.set_num_threads(1)
    if name == "drjit":
        if not module.has_backend(module.JitBackend.LLVM):
            raise MissingError("Dr.Jit finds no LLVM")
        module.set_thread_count(1)
    return module


@cache
def processor_clock() -> Callable[[], float]:
    """The seconds of this process alone; the wall's where those come in long steps."""
    start, passed = time.perf_counter(), time.process_time()
    while time.process_time() == passed:
        if time.perf_counter() - start > TICK:
            return time.perf_counter
    return time.process_time


def again(
    program: str, given: str, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """A program of this folder as a child in a new process, and what it printed.

    Args:
        program: its file, which takes `--child`.
        given: what the child is to do.
        variables: what its environment has besides this process's.
    """
    command = [sys.executable, str(Path(__file__).with_name(program)), "--child", given]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def write(figures: Any, path: Path | None) -> None:
    """The figures as a file of JSON, where one is asked for."""
    if path:
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def digits(x: float) -> str:
    """A number with three digits, or all before the point."""
    return f"{x:.3g}" if x < 999.5 else f"{x:,.0f}"
