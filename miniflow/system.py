"""The solution of a system of equations, differentiable by the implicit function theorem.

Where F(x, p) = 0, for n equations F in n unknowns x, the solution moves with p by
``dx/dp = -J^-1 dF/dp``, where J is the Jacobian dF/dx. Each unknown is one entry on the tape.
With ``J^T u = e_k``, the partials of the k-th one are ``-u dF/dp``.

Source: Krantz & Parks, The Implicit Function Theorem (2002), chapter 3; Press et al., Numerical
Recipes, 3rd ed. (2007), chapter 9.7, for the solver.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from miniflow import linalg, ops
from miniflow.compiled.entries import EntryOp
from miniflow.equation import (
    STEPS,
    Equation,
    Solver,
    along,
    entry_name,
    equation_code,
    plain_number,
    unrecorded,
    with_arguments,
)
from miniflow.program.structures import flatten_numbers
from miniflow.tape.core import Value, here
from miniflow.tape.storage import plain
from miniflow.transforms import jacobian, reached
from miniflow.util.trees import flatten
from miniflow.util.words import shown

Numbers = list[float]


def system_root(f: Equation, x0: list[Any], args: tuple[Any, ...], solver: Solver | None) -> Any:
    """What `root` returns where x0 is a list."""
    if not x0:
        raise TypeError("root: x0 is an empty list; give a number for each unknown")
    numbers, arguments = flatten_numbers(args)
    live = [x for x in numbers if x.__class__ is Value]
    function = _flat(with_arguments(f, numbers, arguments), len(x0))
    system = System(function, len(x0), solver or damped_newton)
    starts = [plain_number(x) for x in x0]
    parameters = [plain_number(x) for x in live]
    xs = system.solved([*starts, *parameters])
    code = equation_code(function, xs, parameters)
    operands = [*x0, *live, *code.captured]
    if not any(v.__class__ is Value for v in operands):
        return xs
    if code.captured:  # the program must not keep them
        system.equation = along(code)
    if not here.table.silent and len(operands) > len(x0):
        system.check(xs, [plain_number(x) for x in operands[len(x0) :]])
    return system.record(operands, xs)


def _flat(equation: Equation, size: int) -> Equation:
    """The equations as a function of numbers: the unknowns, then what they depend on."""

    def equations(*xs: Any) -> list[Any]:
        found = equation(list(xs[:size]), *xs[size:])
        numbers = flatten(found)
        if len(numbers) != size or found is numbers[0]:
            raise TypeError(
                f"root: f must return as many numbers as x0 has, {size}, in a list, "
                f"got {shown(found)}"
            )
        return [x if x.__class__ is Value else ops.real(x, "root: f's result") for x in numbers]

    return equations


class System:
    """Equations with their solver, and the operations of their unknowns' entries."""

    def __init__(self, equation: Equation, size: int, solver: Solver) -> None:
        self.equation, self.size, self.solver = equation, size, solver
        self.known: tuple[Any, Numbers] = None, []  # operands and solution of the latest call
        name = entry_name()
        self.ops = [UnknownOp(f"{name}_{k}", self, k) for k in range(size)]

    def solved(self, operands: Sequence[float]) -> Numbers:
        """The solution; `operands` are where the solver starts, then the parameters."""
        known, found = self.known
        if known != (wanted := [*map(float.hex, operands)]):
            size = self.size
            found = unrecorded(self._solve, list(operands[:size]), list(operands[size:]))
            self.known = wanted, found
        return found

    def record(self, operands: Sequence[Any], xs: Numbers) -> list[Any]:
        """The unknowns as entries on the tape."""
        return [here.table.record(op, operands, x) for op, x in zip(self.ops, xs, strict=True)]

    def check(self, xs: Numbers, parameters: Numbers) -> None:
        """Refuse a solution that is no function of what the equations depend on."""
        try:
            unrecorded(_newton_step, lambda x: self.equation(*x, *parameters), xs)
        except ValueError:
            raise ZeroDivisionError(
                f"root: the Jacobian of f is singular at x = {xs!r}, so the root has no "
                "derivative by what f depends on; write as many independent equations as unknowns"
            ) from None

    def _solve(self, starts: Numbers, parameters: Numbers) -> Numbers:
        table = here.table
        fixed = [table.constant(x) for x in parameters]

        def g(x: Any) -> list[Any]:
            vs = [v if v.__class__ is Value else ops.real(v, "root: x") for v in flatten(x)]
            ys = self.equation(*[v if v.__class__ is Value else table.constant(v) for v in vs],
                               *fixed)  # fmt: skip
            recorded = any(v.__class__ is Value for v in vs)
            return ys if recorded else [plain(y) if y.__class__ is Value else y for y in ys]

        found = flatten(self.solver(g, starts))
        xs = [ops.real(x, "root: the solver's result") for x in found]
        if len(xs) != self.size:
            raise TypeError(f"root: the solver returned {len(xs)} numbers for {self.size} unknowns")
        if self.solver is not damped_newton:
            _check_solution(g, xs)
        return xs


class UnknownOp(EntryOp):
    """The entry for one unknown: its operands are where all start, and the parameters."""

    __slots__ = ("output", "system")

    def __init__(self, name: str, system: System, output: int) -> None:
        super().__init__(name)
        self.system, self.output = system, output

    def value(self, *xs: float) -> float:
        return self.system.solved(xs)[self.output]

    def _partials(self, xs: Sequence[Any], y: Any, *, which: bool = False) -> list[Any]:
        system, size = self.system, self.system.size
        numbers = [plain_number(x) for x in xs]
        solution: list[Any] = system.solved(numbers)
        if any(x.__class__ is Value for x in xs):
            solution = system.record(xs, solution)
        primals, nothing = [*solution, *xs[size:]], [0.0] * size
        if which:
            return nothing + reached(system.equation, *primals)[size:]
        rows = jacobian(system.equation, range(len(primals)))(*primals)
        unit = [float(k == self.output) for k in range(size)]
        weights = linalg.solve([[row[k] for row in rows] for k in range(size)], unit)
        columns = [[row[k] for row in rows] for k in range(size, len(primals))]
        return nothing + [ops.neg(ops.dot(*weights, *column)) for column in columns]


# --- solving ------------------------------------------------------------------


def _newton_step(g: Callable[[Any], Any], xs: Numbers) -> Numbers:
    """Newton's step: what takes g to 0 if it is linear.

    Raises:
        ValueError: the Jacobian is singular.
    """
    return linalg.solve(jacobian(g)(xs), [-y for y in g(xs)])  # type: ignore[no-any-return]


def _check_solution(g: Callable[[Any], Any], xs: Numbers) -> None:
    """Refuse what is not even near a root: its derivatives would be wrong."""
    try:
        far = linalg.norm(_newton_step(g, xs)) > 1e-3 * max(1.0, linalg.norm(xs))
    except ValueError:
        far = any(g(xs))
    if far or linalg.norm(xs) != linalg.norm(xs):
        raise RuntimeError(
            f"root: the solver returned x = {xs!r}, which is no root: f(x) = {g(xs)!r}"
        )


def damped_newton(g: Callable[[Any], Any], x0: Numbers) -> Numbers:
    """A root of a system by Newton's method, with steps halved until g becomes smaller."""
    xs, ys = x0, g(x0)
    for _ in range(STEPS):
        size = linalg.norm(ys)
        if size == 0.0:
            return xs
        try:
            step = _newton_step(g, xs)
        except ValueError:
            break
        if not all(map(math.isfinite, step)):
            break
        near = linalg.norm(step) <= 1e-7 * linalg.norm(xs)
        while (there := [x + s for x, s in zip(xs, step, strict=True)]) != xs:
            ys = g(there)
            if linalg.norm(ys) < size:
                break
            step = [s / 2 for s in step]
        else:  # nothing nearby is smaller
            if near:
                return xs
            break
        xs = there
    raise RuntimeError(
        f"root: no root found from x0 = {x0!r}; the search ended at x = {xs!r}, where f(x) = "
        f"{g(xs)!r}; start nearer"
    )
