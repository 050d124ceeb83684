"""`jit` and `vmap`: functions of scalars as compiled programs, one point or a batch at a time.

A function's *family* is all that is known of it for one structure of arguments: its paths,
as a tree. Each path is a program; where one of its guards fails, the tree leads to the path
that is taken then, which is recorded when it is first needed.

For an entry on the tape a program is wanted again, differentiated: a *chain* (j, k) of
numbers stands for the partials of partial k of output j.
"""

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache, update_wrapper
from types import MethodType
from typing import Any

from miniflow.compiled.called import Called
from miniflow.ops import Op
from miniflow.program import python as source
from miniflow.program.freeze import freeze
from miniflow.program.ir import RELATIONS, Code, PathError
from miniflow.program.program import Program
from miniflow.program.replay import Replay
from miniflow.program.structures import HOLE, key, split
from miniflow.tape.core import Value, current, engine, here
from miniflow.tape.pullback import pullback
from miniflow.tape.storage import plain

Function = Callable[..., Any]
Chain = tuple[int, ...]

LIMIT = 128  # paths of a function; beyond, calls run eagerly
LINKED = 16  # structures of arguments that machine code takes without asking
PATIENCE = 3  # calls of a program that are replayed before it is worth compiling
LARGEST = 300_000  # instructions; beyond, "auto" replays
BACKENDS = ("auto", "native", "source", "tape")


# --- backends -----------------------------------------------------------------


def chosen(backend: str, what: str) -> str:
    """The backend to use: what "auto" can be here."""
    if backend not in BACKENDS:
        raise ValueError(f"{what}: backend {backend!r} is none of {', '.join(BACKENDS)}")
    if backend in ("source", "tape"):
        return backend
    from miniflow.native.machine import available

    if available():
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
        stacklevel=outside(),
    )


def outside() -> int:
    """How many frames up the code is that called the library."""
    folder = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - quick
    here, frame, level = folder + os.sep, sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(here):
        frame, level = frame.f_back, level + 1
    return level


class Source:
    """A program as a Python function from a list of floats to a list of floats."""

    def __init__(self, program: Code) -> None:
        self.program = program
        rows = {
            step.op.name: step.op.value
            for step in program.instructions
            if source.is_foreign(step.op)
        }
        code = compile(source.text(program, flat=True), f"<{program.name}>", "exec")
        exec(code, rows)
        self.function: Function = rows[source.FLAT]

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
        """Have it compiled in the background, once."""
        if self.asked or not self.after.is_set() or len(self.program) > LARGEST:
            return
        self.asked = True
        in_background(self._finish)

    def _finish(self) -> None:
        self.compiled = self._compile()

    def _compile(self) -> Function:
        if self.backend == "source":
            return Source(self.program)
        from miniflow.native.builtin import Scalar

        return Scalar(self.program, fma=self.fma)


def in_background(job: Callable[[], None]) -> None:
    """Have something compiled by and by."""
    from miniflow.native import tiers

    tiers.worker.put(job)


# --- paths --------------------------------------------------------------------


class Path:
    """One path of a function: its program, the programs derived from it, where it ends."""

    def __init__(
        self,
        program: Code,
        point: list[float],
        parent: "Path | None",
        *,
        backend: str,
        fma: bool,
    ) -> None:
        self.program = program
        self.parent = parent  # the path that leads here
        self.point = point  # where it was recorded: inputs, captured numbers
        self.result = key(program.result)
        self.backend = backend
        self.fma = fma
        self.link: Callable[[], None] | None = None  # what makes its built-in function
        self.linked = threading.Event()  # once that has been tried
        self.calls = 0
        self.flips: dict[int, Path] = {}  # by the guard that fails
        self.entry: Any = None
        self._programs: dict[Chain, Code] = {(): program}
        self._evaluators: dict[Any, Any] = {}
        self._dependent: dict[Any, list[bool]] = {}

    def derived(self, chain: Chain) -> Code:
        """The program of a chain."""
        if chain not in self._programs:
            self._programs[chain] = derivative(self.derived(chain[:-1]), chain[-1], self.point)
        return self._programs[chain]

    def derived_at(self, chain: Chain, xs: list[float]) -> Code:
        """The program of a chain where a partial takes a branch of its own."""
        program = self.program
        for output in chain:
            program = derivative(program, output, xs)
        return program

    def evaluator(self, chain: Chain) -> Function:
        """What computes the outputs of a chain from inputs and captured numbers."""
        if chain not in self._evaluators:
            program = self.derived(chain)
            self._evaluators[chain] = Evaluator(
                program, backend=self.backend, fma=self.fma, after=self.linked
            )
        return self._evaluators[chain]  # type: ignore[no-any-return]

    def count(self) -> None:
        """Take note of a call that was replayed; after some, have machine code made."""
        self.calls += 1
        if self.calls >= PATIENCE:
            self.compile()

    def compile(self) -> None:
        """Have the path's built-in function made in the background, once."""
        link, self.link = self.link, None
        if link is None:
            return
        try:
            if self.parent is not None:
                self.parent.compile()  # it leads here
            if len(self.program) <= LARGEST:
                in_background(link)
            else:
                self.linked.set()
        except BaseException:  # interrupted: the next call asks again
            self.link = link
            raise

    def batched(self, name: Any, make: Callable[[Code], Any]) -> Any:
        """Machine code for a batch, by a name that begins with a chain."""
        if name not in self._evaluators:
            self._evaluators[name] = make(self.derived(name[0]))
        return self._evaluators[name]

    def dependent(self, chain: Chain, live: tuple[bool, ...]) -> list[bool]:
        """For each output of a chain, whether it depends on an input that is `live`."""
        name = chain, live
        if name not in self._dependent:
            program = self.derived(chain)
            reached = [*live, *[False] * len(program.constants)]
            for _, operands in program.instructions:
                reached.append(any(reached[x] for x in operands))
            self._dependent[name] = [reached[x] for x in program.outputs]
        return self._dependent[name]

    def codes(self) -> Iterator[Any]:
        """The machine code of everything that has been compiled."""
        for x in (self.entry, *list(self._evaluators.values())):
            compiled = getattr(x, "compiled", x)  # of an evaluator
            holder: Any = (
                compiled if hasattr(compiled, "code") else getattr(compiled, "entry", None)
            )
            if hasattr(holder, "code"):
                yield holder.code


def derivative(program: Code, output: int, xs: list[float]) -> Code:
    """The partials of one output by all inputs and captured Values.

    Its first guards are those of the program; partials that branch may add others.
    """
    count = program.inputs + len(program.captured)

    def partials(values: list[Any]) -> list[Any]:
        ys = program.run(values, lambda op: op)
        y = ys[output]
        return (
            pullback([y], [1.0], values, recorded=True) if y.__class__ is Value else [0.0] * count
        )

    return freeze(partials, xs, (([HOLE] * count,), {}))


class Family:
    """The paths of a function for one structure of arguments."""

    def __init__(self, f: Function, arguments: Any, *, backend: str, fma: bool) -> None:
        self.f = f
        self.arguments = arguments
        self.backend = backend
        self.fma = fma
        self.root: Path | None = None
        self.paths: list[Path] = []
        self.lock = threading.RLock()
        self.warned = False
        self.grown: Callable[[Path, Path | None, int], None] | None = None

    def find(
        self, chain: Chain, inputs: list[float], live: dict[int, float] | None = None
    ) -> tuple[Path, list[float], list[float]] | None:
        """The path taken at a point, its numbers there and the outputs of a chain.

        None if there are too many paths. `live` has the numbers of captured Values where they
        are not those of now.

        Raises:
            RuntimeError: the path uses other captured Values than those of `live`.
        """
        path, tried = self.root or self._record(inputs, None, 0), set()
        while path is not None:
            tried.add(path)
            xs = [*inputs, *captured_numbers(path.program, live)]
            try:
                outputs = path.evaluator(chain)(xs)
                _check_captured(path.program, live)
                return path, xs, outputs
            except PathError as error:
                if error.guard >= len(path.program.guards):  # a partial's own branch
                    _check_captured(path.program, live)
                    return path, xs, path.derived_at(chain, xs).evaluate(xs)
                other = path.flips.get(error.guard) or self._record(inputs, path, error.guard)
                if other in tried:  # fused operations see another side of a guard
                    xs = [*inputs, *captured_numbers(other.program, live)]
                    return other, xs, other.derived(chain).evaluate(xs)
                path = other
        return None

    def _record(self, inputs: list[float], parent: Path | None, guard: int) -> Path | None:
        """The path that is taken at a point, where none is known yet."""
        with self.lock:
            known = self.root if parent is None else parent.flips.get(guard)
            if known is not None:
                return known
            if len(self.paths) >= LIMIT:
                return None
            program = freeze(self.f, inputs, self.arguments)
            for path in self.paths:
                if path.program == program:
                    return path
            point = [*inputs, *program.live()]
            path = Path(program, point, parent, backend=self.backend, fma=self.fma)
            self.paths.append(path)
            if parent is None:
                self.root = path
            else:
                parent.flips[guard] = path
            self._link(path, parent, guard)
            return path

    def _link(self, path: Path, parent: Path | None, guard: int) -> None:
        """Have the path's built-in function made: at once, or when it is called often."""
        grown = self.grown
        if grown is None:
            path.linked.set()
            return

        def link() -> None:
            try:
                grown(path, parent, guard)
            finally:  # interrupted, it is done without
                path.linked.set()

        if self.backend == "auto":
            path.link = link
        else:
            link()

    def call(self, numbers: list[Any]) -> Any:
        """The function's result at numbers and Values in the holes of its arguments."""
        inputs = [_number(x) for x in numbers]
        found = self.find((), inputs)
        if found is None:
            return self.eager(numbers)
        path, _, outputs = found
        path.count()
        captured = path.program.captured
        if captured or any(x.__class__ is Value for x in numbers):
            outputs = self.apply((), path, [*numbers, *captured], captured, outputs)
        return path.program.rebuild(outputs)

    def eager(self, numbers: list[Any]) -> Any:
        """The result where there are too many paths: that of a program used once."""
        self._warn()
        program = freeze(self.f, [_number(x) for x in numbers], self.arguments)
        xs = [*numbers, *program.captured]
        if any(x.__class__ is Value for x in xs):
            return program.rebuild(program.run(xs, lambda op: op))
        return program.rebuild(program.evaluate([_number(x) for x in xs]))

    def _warn(self) -> None:
        """Say once that there are too many paths."""
        if self.warned:
            return
        self.warned = True
        name = getattr(self.f, "__name__", "f")
        warnings.warn(
            f"{name} takes more than {LIMIT} paths: from now on new ones run eagerly; compute "
            "with where, maximum and the like instead of comparing Values, or jit a part of it",
            RuntimeWarning,
            stacklevel=outside(),
        )

    def apply(
        self, chain: Chain, path: Path, operands: list[Any], captured: tuple[Value, ...],
        outputs: list[float],
    ) -> list[Any]:  # fmt: skip
        """The outputs as entries on the tape, where they depend on a Value."""
        live = tuple([x.__class__ is Value for x in operands])
        table = here.table
        return [
            table.record(Call(self, chain, k, captured, path.result), operands, y)
            if dependent
            else y
            for k, (y, dependent) in enumerate(
                zip(outputs, path.dependent(chain, live), strict=True)
            )
        ]


def _number(x: Any) -> float:
    return current().number(x, "jit")


def captured_numbers(program: Code, live: dict[int, float] | None) -> list[float]:
    """The numbers of a program's captured Values."""
    numbers = [here.table.number(v, "jit") for v in program.captured]
    if live is not None:
        pairs = zip(program.captured, numbers, strict=True)
        numbers = [live.get(id(v), number) for v, number in pairs]
    return numbers


def _check_captured(program: Code, live: dict[int, float] | None) -> None:
    """Refuse to lose the gradients of Values that an entry on the tape does not know."""
    if live is not None and not all(id(v) in live for v in program.captured):
        raise RuntimeError(
            f"{program.name}: it takes another path now, with Values that it did not depend on "
            "when it was called; call it again"
        )


class Whole(Op):
    """An operation for one entry on the tape, whose partials are all computed at once."""

    __slots__ = ("memory",)

    def __init__(self, name: str) -> None:
        super().__init__(name, self._value, (self._partial,), -1)
        self.memory: tuple[Any, list[Any]] = None, []

    def _value(self, *xs: float) -> float:
        raise NotImplementedError

    def _partials(self, xs: Sequence[Any]) -> list[Any]:
        raise NotImplementedError

    def _partial(self, k: int, xs: Sequence[Any], y: Any) -> Any:
        """dy/d(operand k); what was computed with it is kept until the next point."""
        known, partials = self.memory
        if known is not xs:
            partials = self._partials(xs)
            self.memory = xs, partials
        return partials[k]


class Call(Whole):
    """One output of a program, differentiated as often as is needed."""

    __slots__ = ("captured", "chain", "family", "output", "result")

    def __init__(
        self, family: Family, chain: Chain, output: int, captured: tuple[Value, ...], result: Any
    ) -> None:
        super().__init__(f"jit({getattr(family.f, '__name__', 'f')})")
        self.family = family
        self.chain = chain
        self.output = output
        self.captured = captured
        self.result = result  # the structure that it is a part of

    def _find(
        self, chain: Chain, numbers: Sequence[float]
    ) -> tuple[Path, list[float], list[float]]:
        start = len(numbers) - len(self.captured)
        live = {id(v): x for v, x in zip(self.captured, numbers[start:], strict=True)}
        found = self.family.find(chain, list(numbers[:start]), live)
        if found is None:
            raise RuntimeError(f"{self.name}: it takes too many paths; call the function itself")
        if found[0].result != self.result:
            raise RuntimeError(
                f"{self.name}: it takes another path now, whose result has another structure; "
                "call it again"
            )
        return found

    def _value(self, *xs: float) -> float:
        return self._find(self.chain, xs)[2][self.output]

    def _partials(self, xs: Sequence[Any]) -> list[Any]:
        chain, start = (*self.chain, self.output), len(xs) - len(self.captured)
        numbers = [plain(x) if x.__class__ is Value else x for x in xs]
        path, _, partials = self._find(chain, numbers)
        order = {id(v): k for k, v in enumerate(path.program.captured, start)}
        if any(x.__class__ is Value for x in xs):
            given = dict(zip(map(id, self.captured), xs[start:], strict=True))
            operands = [*xs[:start], *[given[id(v)] for v in path.program.captured]]
            partials = self.family.apply(chain, path, operands, path.program.captured, partials)
        slots = [*range(start), *[order.get(id(v)) for v in self.captured]]
        return [0.0 if slot is None else partials[slot] for slot in slots]


# --- jit ----------------------------------------------------------------------


class Compiled(Called):
    """What `jit` and `vmap` return: call it like the function.

    Attributes:
        __wrapped__: the function.
        shortcut: the machine code, once there is some, that answers calls.
    """

    def __init__(self, f: Function, *, backend: str, fma: bool) -> None:
        update_wrapper(self, f)
        for name in vars(self).keys() & dir(type(self)):
            if not name.startswith("__"):  # an attribute of f's that would hide a method
                del vars(self)[name]
        self.f = f
        self.backend = backend
        self.fma = fma
        self.families: dict[Any, Family] = {}
        self.lock = threading.RLock()
        self.last: Any = None  # the last of the built-in functions that are tried in turn
        self.linked = 0

    def family(self, arguments: Any) -> Family:
        """The paths for arguments of that structure."""
        name = key(arguments)
        found = self.families.get(name)
        if found is None:
            with self.lock:
                found = self.families.get(name)
                if found is None:
                    found = Family(self.f, arguments, backend=self.backend, fma=self.fma)
                    self.adopt(found)
                    self.families[name] = found
        return found

    def adopt(self, family: Family) -> None:
        """Take notice of a new family."""

    def ready(self, timeout: float | None = None) -> bool:
        """Wait until all code is optimised; whether it is, after at most `timeout` seconds."""
        paths = [path for family in list(self.families.values()) for path in family.paths]
        end = None if timeout is None else time.monotonic() + timeout

        def wait(event: threading.Event) -> bool:
            return event.wait(None if end is None else max(0.0, end - time.monotonic()))

        for path in paths:
            path.compile()
        made = all(wait(path.linked) for path in paths)
        return made and all(wait(code.final) for path in paths for code in path.codes())

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str:
        """Copied and pickled as functions are: itself, by its name."""
        return str(getattr(self, "__qualname__", self))

    @property
    def full(self) -> bool:
        """Whether there are enough built-in functions: each one leads on to the next."""
        return self.linked >= LINKED

    def enlist(self, entry: Any) -> None:
        """Let a built-in function answer calls, after those that there are already."""
        self.linked += 1
        before, self.last = self.last, entry
        if before is None:
            entry.follow(lambda way: setattr(self, "shortcut", way))
        else:
            entry.follow(before.fall)

    def otherwise(self, *args: Any, **kwargs: Any) -> Any:
        """A call that machine code cannot answer."""
        from miniflow.native.python_rows import raise_error

        raise_error()
        return self.run(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """A call of any arguments."""
        raise NotImplementedError


class Jitted(Compiled):
    """A function as programs."""

    def __repr__(self) -> str:
        return f"<jit of {self.f!r}>"

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """A call of any arguments."""
        if here.table.trace is not None:  # a part of another program
            return self.f(*args, **kwargs)
        numbers, arguments = split((args, kwargs))
        return self.family(arguments).call(numbers)

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The program of the path that is taken at these arguments."""
        numbers, arguments = split((args, kwargs))
        found = self.family(arguments).find((), [_number(x) for x in numbers])
        if found is None:
            raise RuntimeError(f"{self!r}: too many paths")
        return Program.of(found[0].program)

    def adopt(self, family: Family) -> None:
        args, kwargs = family.arguments
        if self.backend not in ("native", "auto") or kwargs:
            return
        from miniflow.native.wrapper import plain as is_plain

        if all(map(is_plain, args)):
            family.grown = self._link

    def _link(self, path: Path, parent: Path | None, guard: int) -> None:
        """Make a path's built-in function and lead to it from where it is reached."""
        from miniflow.native.builtin import entry

        reached = not self.full if parent is None else parent.entry is not None
        if path.program.captured or not reached:  # its result is on the tape, or it is never called
            return
        path.entry = entry(path.program, self.otherwise, fma=self.fma)
        if parent is None:
            self.enlist(path.entry)
        else:
            path.entry.follow(lambda way: parent.entry.lead(guard, way))


def jit(f: Function, *, fma: bool = False, backend: str = "auto") -> Any:
    """Compile a function of scalars, on its first call, for each path that calls take.

    Answers are the eager ones, bit for bit. Called with Values, or where f uses Values from
    outside, a result is one entry on the tape, to be differentiated like any other.

    While a path is recorded f gets Values in the place of numbers (so ``isinstance(x, float)``
    and ``x in {1.0}`` say no), and what it does besides returning a result happens then only.
    A path keeps the very Values from outside that it met: give them other ``.data``, do not put
    other ones in their place; pass what is computed anew each time as an argument.

    Args:
        f: function of numbers in nested lists, tuples, dicts and arrays; other arguments
            (bool, str, None, any hashable object) are settings: each gets programs of its own,
            and is kept with them.
            Ints count as numbers, too. Plain numbers that f reads from elsewhere are taken as
            they are when a path is recorded.
        fma: whether products may be fused with sums, which rounds once instead of twice.
        backend: "native" for machine code (the extra ``jit``), "tape" for a replay by the engine,
            which needs no compiling, "source" for Python. "auto" replays, and where llvmlite is
            installed what is called again and again is compiled in the background: no call waits.

    Returns:
        A function like f. Its ``ready(timeout=None)`` waits for the optimised code that is
        built in the background; ``program(*args)`` is the program of a path.

    Raises:
        ImportError: backend "native" without llvmlite.
        ValueError: there is no such backend.
        RuntimeError, TypeError: from the returned function, as `trace`.

    Example:
        >>> from miniflow import grad
        >>> f = jit(lambda x, n: x**3 if x > 0 else -x)
        >>> f(2.0, 1.0), f(-2.0, 1.0), grad(f)(2.0, 1.0)
        (8.0, 2.0, 12.0)
    """
    if not callable(f):
        raise TypeError(f"jit: {f!r:.60} is not a function")
    return Jitted(f, backend=chosen(backend, "jit"), fma=bool(fma))
