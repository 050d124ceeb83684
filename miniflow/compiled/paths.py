"""The paths of a function: one specialization for each, as a tree of guards and side exits.

A function's *specialization cache* is all that is known of it for one structure of arguments.
Each *specialization* is the program of one path. Where one of its guards fails, its *side exit*
leads to the specialization of the path that is taken then, which is recorded when it is first
needed.

For an entry on the tape a program is wanted again, differentiated: a *chain* (j, k) of
numbers stands for the partials of partial k of output j. With ~k in the last place it stands for
which operands those partials are of that were reached: the others were not selected.
"""

import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from miniflow.compiled.beyond import Trials, eager_result
from miniflow.compiled.captured import CapturedNumbers, captured_numbers
from miniflow.compiled.evaluators import (
    PATIENCE,
    Evaluator,
    go_on_in_background,
    in_background,
    is_too_large,
)
from miniflow.program.freeze import freeze
from miniflow.program.ir import Code, PathError
from miniflow.program.names import function_name
from miniflow.program.structures import NUMBER_LEAF, treedef_key
from miniflow.tape.core import Value, current
from miniflow.tape.pullback import pullback
from miniflow.util.functions import Function
from miniflow.util.words import caller_level

Chain = tuple[int, ...]

MANY_PATHS = 16  # beyond, a warning says what leads to them
MOST_PATHS = 128  # paths of a function; beyond, calls run eagerly


class Specialization:
    """One path of a function: its program, the programs derived from it, its side exits."""

    def __init__(
        self,
        program: Code,
        point: list[float],
        parent: "Specialization | None",
        *,
        backend: str,
        fma: bool,
    ) -> None:
        self.program = program
        self.parent = parent  # the path that leads here
        self.point = point  # where it was recorded: inputs, captured numbers
        self.result = treedef_key(program.result)
        self.backend = backend
        self.fma = fma
        self.link: Callable[[], None] | None = None  # what makes its built-in function
        self.linked = threading.Event()  # once that has been tried
        self.calls = 0
        self.side_exits: dict[int, Specialization] = {}  # by the guard that fails
        self.exits: dict[Chain, Any] = {}  # what batches know of them
        self.builtin: Any = None
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

    def count_replay(self) -> None:
        """Count a replayed call; after PATIENCE of them, queue machine code."""
        self.calls += 1
        if self.calls >= PATIENCE:
            self.compile()

    def compile(self) -> None:
        """Have the path's built-in function made in the background, once."""
        link, self.link = self.link, None
        if link is None:
            if not self.linked.is_set():
                go_on_in_background()
            return
        try:
            if self.parent is not None:
                self.parent.compile()  # it leads here
            if is_too_large(self.program):
                self.linked.set()
            else:
                in_background(link)
        except BaseException:  # interrupted: the next call asks again
            self.link = link
            raise

    def batch_code(self, name: Any, make: Callable[[Code], Any]) -> Any:
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
        for x in (self.builtin, *list(self._evaluators.values())):
            compiled = getattr(x, "compiled", x)  # of an evaluator
            holder: Any = (
                compiled if hasattr(compiled, "code") else getattr(compiled, "builtin", None)
            )
            if hasattr(holder, "code"):
                yield holder.code


def derivative(program: Code, output: int, xs: list[float]) -> Code:
    """The partials of one output by all inputs and captured Values; of ~output, which are reached.

    Its first guards are those of the program; partials that branch may add others.
    """
    count = program.inputs + len(program.captured)

    def partials(values: list[Any]) -> list[Any]:
        y = program.run(values, lambda op: op)[max(output, ~output)]
        if y.__class__ is not Value:
            return [0.0] * count
        return pullback([y], [1.0], values, recorded=True, which=output < 0)

    return freeze(partials, xs, (([NUMBER_LEAF] * count,), {}))


class SpecializationCache:
    """The specializations of a function for one structure of arguments."""

    def __init__(self, f: Function, arguments: Any, *, backend: str, fma: bool) -> None:
        self.f = f
        self.name = getattr(f, "__name__", "f")
        self.arguments = arguments
        self.backend = backend
        self.fma = fma
        self.root: Specialization | None = None
        self.specializations: list[Specialization] = []
        self.lock = threading.RLock()
        self.warned = False
        self.recorded = 0  # how many calls of a batch were entries on a tape
        self.trials: Trials | None = None  # once there are too many paths
        self.on_full: Callable[[Trials], None] | None = None
        self.widest: Specialization | None = None  # where most of a batch's elements have stayed
        self.used = 0  # when it was last asked: a number that grows
        self.on_new_path: Callable[[Specialization, Specialization | None, int], None] | None = None

    @property
    def linked(self) -> bool:
        """Whether machine code answers calls without asking, and nobody knows when."""
        return self.root is not None and self.root.builtin is not None

    def find(
        self, chain: Chain, inputs: list[float], live: CapturedNumbers | None = None,
        start: Specialization | None = None,
    ) -> tuple[Specialization, list[float], list[float]] | None:  # fmt: skip
        """The path taken at a point, its numbers there and the outputs of a chain.

        None if there are too many paths. `live` has the numbers of captured Values where they
        are not those of now. Paths are tried from `start` on.

        Raises:
            RuntimeError: the path uses other captured Values than those of `live`.
        """
        path, tried = start or self.root or self._record(inputs, None, 0), set()
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
                other = path.side_exits.get(error.guard) or self._record(inputs, path, error.guard)
                if other in tried:  # fused operations see another side of a guard
                    xs = [*inputs, *captured_numbers(other.program, live)]
                    return other, xs, other.derived(chain).evaluate(xs)
                path = other
        return None

    def _record(
        self, inputs: list[float], parent: Specialization | None, guard: int
    ) -> Specialization | None:
        """The path that is taken at a point, where none is known yet."""
        with self.lock:
            known = self.root if parent is None else parent.side_exits.get(guard)
            if known is not None:
                return known
            if len(self.specializations) >= MOST_PATHS:
                self._fill()
                return None
            program = freeze(self.f, inputs, self.arguments)
            for path in self.specializations:
                if path.program == program:
                    if parent is not None and path is not parent:
                        parent.side_exits[guard] = path
                    return path
            point = [*inputs, *program.live()]
            path = Specialization(program, point, parent, backend=self.backend, fma=self.fma)
            self.specializations.append(path)
            if parent is None:
                self.root = path
            else:
                parent.side_exits[guard] = path
            self._link(path, parent, guard)
            if parent is not None and len(self.specializations) == MANY_PATHS + 1:
                _warn_of_many(parent.program, guard)
            return path

    def _link(self, path: Specialization, parent: Specialization | None, guard: int) -> None:
        """Have the path's built-in function made: at once, or when it is called often."""
        on_new_path = self.on_new_path
        if on_new_path is None:
            path.linked.set()
            return

        def link() -> None:
            try:
                on_new_path(path, parent, guard)
            finally:  # interrupted, it is done without
                path.linked.set()

        if self.backend == "auto":
            path.link = link
        else:
            link()

    def _fill(self) -> None:
        """There are too many paths from now on."""
        if self.trials is None:
            self.trials = Trials()
            if self.on_full is not None:
                self.on_full(self.trials)

    def once(
        self, chain: Chain, inputs: list[float], live: CapturedNumbers | None = None
    ) -> tuple[Specialization, list[float], list[float]]:
        """The same as `find` where there are too many paths: of a program that is not kept."""
        self._warn()
        program = freeze(self.f, inputs, self.arguments)
        xs = [*inputs, *captured_numbers(program, live)]
        _check_captured(program, live)
        path = Specialization(program, xs, None, backend="tape", fma=self.fma)
        return path, xs, path.derived(chain).evaluate(xs)

    def eager(self, numbers: list[Any]) -> Any:
        """The result where there are too many paths: that of the function itself."""
        self._warn()
        table = current()
        given = [x if x.__class__ is Value else table.number(x, "jit") for x in numbers]
        return eager_result(function_name(self.f), self.f, given, self.arguments)

    def _warn(self) -> None:
        """Say once that there are too many paths."""
        if self.warned:
            return
        self.warned = True
        warnings.warn(
            f"{self.name} takes more than {MOST_PATHS} paths: from now on new ones run eagerly; "
            "compute with where, maximum and the like instead of comparing Values, or jit a part "
            "of it",
            RuntimeWarning,
            stacklevel=caller_level(),
        )


def _warn_of_many(program: Code, guard: int) -> None:
    """Say which comparison has led to one path more than many."""
    line = program.lines[guard] if program.lines else None
    where = f"at {line[0]}:{line[1]} " if line else ""
    warnings.warn(
        f"{program.name} takes more than {MANY_PATHS} paths: its comparison {where}"
        f"({program.condition(program.guards[guard])}) leads to another one, and each has a "
        "program of its own; choose by math.where, math.maximum or math.minimum instead",
        RuntimeWarning,
        stacklevel=caller_level(),
    )


def jit_number(x: Any) -> float:
    """The number of a Value or of anything else that is one."""
    return current().number(x, "jit")


def _check_captured(program: Code, live: CapturedNumbers | None) -> None:
    """Refuse to lose the gradients of Values that an entry on the tape does not know."""
    if live is not None:
        live.places(program)
