"""`jit`: functions of scalars as compiled programs, one for each path that calls take."""

from functools import partial
from typing import Any

from miniflow.compiled.entries import call_specialized
from miniflow.compiled.evaluators import choose_backend
from miniflow.compiled.function import CompiledFunction
from miniflow.compiled.paths import Specialization, SpecializationCache, jit_number
from miniflow.compiled.static import StaticArguments, without_marks
from miniflow.program.program import Program
from miniflow.program.structures import flatten_numbers
from miniflow.tape.core import here
from miniflow.util.functions import Function, a_function, named


class Jitted(CompiledFunction):
    """A function as programs.

    `asked` is the backend that was asked for: another process may have others.
    """

    def __init__(self, f: Function, *, fma: bool, asked: str, static: StaticArguments) -> None:
        super().__init__(f, backend=choose_backend(asked, "jit"), fma=fma)
        self.asked = asked
        self.static = static

    def recipe(self) -> tuple[Any, ...]:
        """What makes another one like it, and of what."""
        static = {"static_argnums": self.static.numbers, "static_argnames": self.static.names}
        static = static if self.static else {}
        return partial(jit, fma=self.fma, backend=self.asked, **static), self.f  # type: ignore[arg-type]

    @property
    def traced(self) -> Function:
        """The function, with its static arguments taken out of what marks them."""
        return without_marks(self.f) if self.static else self.f

    def __repr__(self) -> str:
        return f"<jit of {named(self.f)}>"

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """A call of any arguments."""
        if here.table.trace is not None:  # a part of another program
            return self.f(*args, **kwargs)
        numbers, arguments = flatten_numbers(self.static.marked(args, kwargs))
        return call_specialized(self.cache_for(arguments), numbers)

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The program of the path that is taken at these arguments."""
        numbers, arguments = flatten_numbers(self.static.marked(args, kwargs))
        found = self.cache_for(arguments).find((), [jit_number(x) for x in numbers])
        if found is None:
            raise RuntimeError(f"{self!r}: it takes too many paths; call the function itself")
        return Program.of(found[0].program)

    def adopt(self, cache: SpecializationCache) -> None:
        args, kwargs = cache.arguments
        if not self.static:
            cache.on_full = partial(self.shorten, cache.arguments)
        if self.backend not in ("native", "auto"):
            return
        from miniflow.native.parts import is_taken

        if all(map(is_taken, (*args, *kwargs.values()))):
            cache.on_new_path = self._link

    def _link(self, path: Specialization, parent: Specialization | None, guard: int) -> None:
        """Make a path's built-in function and lead to it from where it is reached."""
        from miniflow.native.builtin import make_builtin

        reached = not self.full if parent is None else parent.builtin is not None
        if path.program.captured or not reached:  # its result is on the tape, or it is never called
            return
        path.builtin = make_builtin(path.program, self.fallback, fma=self.fma)
        if parent is None:
            self.enlist(path.builtin)
        else:
            path.builtin.follow(lambda function: parent.builtin.set_side_exit(guard, function))


def jit(
    f: Function, *, fma: bool = False, backend: str = "auto", static_argnums: Any = None,
    static_argnames: Any = None,
) -> Any:  # fmt: skip
    """Compile a function of scalars, on its first call, for each path that calls take.

    Answers are the eager ones, bit for bit. Called with Values, or where f uses Values from
    outside, a result is one entry on the tape, to be differentiated like any other.

    While a path is recorded f gets Values in the place of numbers (so ``isinstance(x, float)``
    and ``x in {1.0}`` say no), and what it does besides returning a result happens then only.
    A path keeps the Values from outside that it used when it was recorded: change their ``.data``,
    do not replace them; pass what is computed at each call as an argument.

    Args:
        f: function of numbers in nested lists, tuples, dicts, dataclasses and arrays; others
            (bool, str, None, any hashable object) are static: each gets programs of its own,
            and is kept with them.
            Ints count as numbers, too. Plain numbers that f reads from elsewhere are taken as
            they are when a path is recorded.
        fma: whether products may be fused with sums, which rounds once instead of twice. Which
            of them are is the compiler's choice, and may change as code gets better.
        backend: "native" for machine code (the extra ``jit``), "tape" for a replay by the engine,
            which needs no compiling, "source" for Python. "auto" replays, and where llvmlite is
            installed what is called again and again is compiled in the background: no call waits.
        static_argnums: the positions, an int or a sequence of them, of arguments that are static
            though they are numbers: each value gets programs of its own, and f gets it as it is.
        static_argnames: the same by names; where f has a signature, either follows from the other.

    Returns:
        A function like f. Its ``ready(timeout=None)`` waits for the optimised code that is
        built in the background; ``program(*args)`` is the program of a path.

    Raises:
        ImportError: backend "native" without llvmlite.
        ValueError: unknown backend; a position or name that f has no argument for.
        RuntimeError, TypeError: from the returned function, as `trace`; TypeError if a static
            argument is a Value or not hashable.

    Example:
        >>> from miniflow import grad
        >>> f = jit(lambda x, n: x**3 if x > 0 else -x)
        >>> f(2.0, 1.0), f(-2.0, 1.0), grad(f)(2.0, 1.0)
        (8.0, 2.0, 12.0)
        >>> jit(lambda x, n: sum(x**k for k in range(n)), static_argnums=1)(2.0, 4)
        15.0
    """
    a_function("jit", f)
    static = StaticArguments.of(f, static_argnums, static_argnames)
    return Jitted(f, fma=bool(fma), asked=backend, static=static)
