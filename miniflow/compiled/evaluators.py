"""How a program is computed: replayed by the engine, as Python, or as machine code.

An `Evaluator` replays a program at first; what is called again and again is compiled, with
backend "auto" in the background.
"""

import threading
import warnings
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

from miniflow.program.ir import RELATIONS, Code
from miniflow.program.python import FLAT, is_foreign, python_text
from miniflow.program.replay import Replay
from miniflow.tape.core import engine
from miniflow.util.functions import Function
from miniflow.util.words import caller_level

PATIENCE = 3  # calls of a program that are replayed before it is worth compiling
LARGEST = 300_000  # operands of instructions; beyond, "auto" replays
OPERANDS_OF = attrgetter("operands")
BACKENDS = ("auto", "native", "source", "tape")


def choose_backend(backend: str, what: str) -> str:
    """The backend to use: what "auto" can be here."""
    if backend not in BACKENDS:
        raise ValueError(f"{what}: backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if backend in ("source", "tape"):
        return backend
    if has_compiler():
        return backend
    if backend == "native":
        raise ImportError(f"{what}: backend 'native' needs llvmlite: pip install 'miniflow[jit]'")
    _warn_once()
    return "tape" if engine == "compiled" else "source"


@cache
def _warn_once() -> None:
    warnings.warn(
        "miniflow: without llvmlite programs do not run as machine code, but many times slower; "
        "pip install 'miniflow[jit]'",
        RuntimeWarning,
        stacklevel=caller_level(),
    )


def is_too_large(program: Code) -> bool:
    """Whether compiling a program would take too long."""
    return sum(map(len, map(OPERANDS_OF, program.instructions))) > LARGEST


class PythonSource:
    """A program as a Python function from a list of floats to a list of floats."""

    def __init__(self, program: Code) -> None:
        self.program = program
        rows = {step.op.name: step.op.value for step in program.instructions if is_foreign(step.op)}
        code = compile(python_text(program, flat=True), f"<{program.name}>", "exec")
        exec(code, rows)
        self.function: Function = rows[FLAT]

    def __call__(self, xs: list[float]) -> list[float]:
        try:
            return self.function(xs)  # type: ignore[no-any-return]
        except (ArithmeticError, ValueError):  # Python raises where IEEE has a number; or a guard
            return self.program.evaluate(xs)


class Replayed:
    """A program on the engine: nothing to be compiled, each instruction is looked up."""

    def __init__(self, program: Code) -> None:
        self.program = program
        relations = list(RELATIONS)
        guards = [(relations.index(x.relation), *x[1:]) for x in program.guards]
        self.replay = Replay(
            program.constants, program.first, program.instructions, program.outputs, guards
        )

    def __call__(self, xs: list[float]) -> list[float]:
        found = self.replay(xs)
        if found.__class__ is int:
            raise self.program.failure(found)
        return found  # type: ignore[return-value]


class Evaluator:
    """A program's outputs from a list of floats: replayed at first, compiled if that pays.

    Backend "auto" has it compiled in the background, and replays until that is done.
    """

    def __init__(self, program: Code, *, backend: str, fma: bool, after: threading.Event) -> None:
        self.program = program
        self.backend = backend
        self.fma = fma
        self.after = after  # what is more urgent
        self.calls = 0
        self.replayed = Replayed(program)
        self.compiled: Any = None
        self.asked = False

    def __call__(self, xs: list[float]) -> list[float]:
        if self.compiled is None:
            self.calls += 1
            if self.calls <= PATIENCE or self.backend == "tape":
                return self.replayed(xs)
            if self.backend == "auto":
                self._ask()
                return self.replayed(xs)
            self.compiled = self._compile()
        return self.compiled(xs)  # type: ignore[no-any-return]

    def _ask(self) -> None:
        """Queue its compilation, once."""
        if self.asked or not self.after.is_set():
            return
        self.asked = True
        if not is_too_large(self.program):
            in_background(self._finish)

    def _finish(self) -> None:
        self.compiled = self._compile()

    def _compile(self) -> Function:
        if self.backend == "source":
            return PythonSource(self.program)
        from miniflow.native.builtin import ScalarFunction

        return ScalarFunction(self.program, fma=self.fma)


def has_compiler() -> bool:
    """Whether programs can be compiled; if so all that it takes is imported, before any call.

    And not in the background: of two threads that import, pytest breaks one (CPython 106905).
    """
    from miniflow.native.machine import available

    if not available():
        return False
    from miniflow.native import batch_function, builtin, tiers  # noqa: F401

    return True


def in_background(job: Callable[[], None]) -> None:
    """Queue a job for the background compiler; nothing is imported there: see `has_compiler`."""
    from miniflow.native import tiers

    tiers.worker.put(job)


def go_on_in_background() -> None:
    """Have the background compiler do what it was to do: after a fork it waits to be asked."""
    from miniflow.native import tiers

    tiers.worker.start()
