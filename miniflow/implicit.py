"""`root`: the solution of an equation, differentiable by the implicit function theorem.

Where f(x, p) = 0 the solution x moves with p by ``dx/dp = -(df/dp) / (df/dx)``, whatever has
found it. So a solver only has to find the number; the entry on the tape is one operation, whose
partials are computed by differentiating f at the solution.

Source: Krantz & Parks, The Implicit Function Theorem (2002), chapter 3; Press et al., Numerical
Recipes, 3rd ed. (2007), chapter 9.4, for the solver.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from miniflow import ops
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
from miniflow.program.structures import NUMBER_LEAF, flatten_numbers
from miniflow.system import system_root
from miniflow.tape.core import Value, here
from miniflow.tape.storage import plain
from miniflow.transforms import grad, reached, value_and_grad


def root(f: Equation, x0: Any, *args: Any, solver: Solver | None = None) -> Any:
    """The number x at which f is 0, differentiable by everything that f depends on.

    It is f(x) that is 0, or with more arguments f(x, a, b). For a system of n equations in n
    unknowns x is a list of n numbers, and f returns as many.

    Derivatives by `args` and by Values that f closes over are those of the implicit function
    theorem, in reverse and forward mode and to any order; x0 has no influence on them. In a
    traced, jitted or vmapped function the equation is solved anew at each call.

    Args:
        f: function of x, and of `args` if there are any, that returns one number. It is called
            with Values. In a compiled function let it take what it depends on as `args` if it
            branches: of Values that it closes over, the program knows one path only.
        x0: where to start, a number or Value; or ``(low, high)``, where f has unlike signs; for
            a system the list of where its unknowns start.
        *args: numbers and Values, in nested lists, tuples, dicts and arrays, and anything else.
        solver: ``solver(g, x0)`` returns a number x with g(x) = 0, where g is f with `args`
            filled in, from float to float; in the function that `grad(g)` returns, too. The
            default is Newton's method, in a bracket with bisection. Of a system g is from list
            to list.

    Returns:
        x, in units of x0: a Value if f depends on Values or x0 is one, else a float. Of a
            system a list of them.

    Raises:
        TypeError: f does not return one number, or not as many as there are unknowns.
        ValueError: the bracket has no change of sign.
        RuntimeError: no root was found, or what the solver has found is none; f branches on a
            Value that it closes over, in a program.
        ZeroDivisionError: df/dx is 0 at the root, or the Jacobian singular, so that it has no
            derivative.

    Example:
        >>> p = Value(2.0)
        >>> x = root(lambda x: x * x - p, 1.0)
        >>> x.backward()
        >>> f"{x.data:.6f} {p.grad:.6f}"
        '1.414214 0.353553'
    """
    if not callable(f):
        raise TypeError(f"root: f must be a function, got {type(f).__name__} {f!r:.60}")
    if isinstance(x0, list):
        return system_root(f, x0, args, solver)
    starts = list(x0) if isinstance(x0, tuple) else [x0]
    if isinstance(x0, tuple) and len(starts) != 2:
        raise TypeError(f"root: x0 must be a number or (low, high), got {x0!r:.60}")
    solver = solver or newton
    numbers, arguments = flatten_numbers(args)
    live = [x for x in numbers if x.__class__ is Value]
    function = with_arguments(f, numbers, arguments)
    x = unrecorded(_solution, function, starts, live, solver)
    code = equation_code(function, [x], [*map(plain_number, live)])
    if code.result is not NUMBER_LEAF:
        raise TypeError(f"root: f must return one number, got {code.result!r:.60}")
    operands = [*starts, *live, *code.captured]
    if not any(v.__class__ is Value for v in operands):
        return x
    if code.captured:  # the program must not keep them
        function = _only_result(along(code))
    op = RootOp(function, len(starts), solver)
    if not here.table.silent and len(operands) > len(starts):
        _check_slope(function, x, map(plain_number, operands[len(starts) :]))
    return here.table.record(op, operands, x)


class RootOp(EntryOp):
    """The entry for the solution of an equation.

    Its operands are where the solver starts, and the numbers on which the equation depends.
    """

    __slots__ = ("equation", "solver", "starts")

    def __init__(self, equation: Equation, starts: int, solver: Solver) -> None:
        super().__init__(entry_name())
        self.equation = equation
        self.starts = starts
        self.solver = solver

    def value(self, *xs: float) -> float:
        starts, parameters = list(xs[: self.starts]), list(xs[self.starts :])
        found: float = unrecorded(_solution, self.equation, starts, parameters, self.solver)
        return found

    def _partials(self, xs: Sequence[Any], y: Any, *, which: bool = False) -> list[Any]:
        primals = y, *xs[self.starts :]
        nothing = [0.0] * self.starts
        if which:
            return nothing + reached(self.equation, *primals)[1:]
        by_x, *others = grad(self.equation, range(len(primals)))(*primals)
        return nothing + [ops.neg(ops.div(slope, by_x)) for slope in others]


def _only_result(equation: Equation) -> Equation:
    """The only result of an equation."""
    return lambda *xs: equation(*xs)[0]


# --- solving ------------------------------------------------------------------


def _check_slope(equation: Equation, x: float, parameters: Iterable[float]) -> None:
    """Refuse a root that is no function of what f depends on."""
    if unrecorded(grad(equation), x, *parameters) == 0.0:
        raise ZeroDivisionError(
            f"root: df/dx is 0 at x = {x!r}, so the root has no derivative by what f depends on; "
            "write f so that it crosses 0 with a slope"
        )


def _solution(
    equation: Equation, starts: list[Any], parameters: list[Any], solver: Solver
) -> float:
    """The root, at the numbers of Values."""
    table = here.table
    fixed = [table.constant(plain_number(x)) for x in parameters]

    def g(x: Any) -> Any:
        v = x if x.__class__ is Value else table.constant(ops.real(x, "root: x"))
        y = equation(v, *fixed)
        if y.__class__ is not Value:
            return ops.real(y, "root: f's result")
        return y if v is x else plain(y)

    numbers = [plain_number(x) for x in starts]
    found = solver(g, tuple(numbers) if len(numbers) == 2 else numbers[0])
    x = ops.real(found, "root: the solver's result")
    if solver is not newton:
        _check_solved(g, x)
    return x


def _check_solved(g: Callable[[Any], Any], x: float) -> None:
    """Refuse what is not even near a root: its derivatives would be wrong."""
    y, slope = value_and_grad(g)(x)
    if not abs(y) <= 1e-3 * abs(slope) * max(1.0, abs(x)):
        raise RuntimeError(f"root: the solver returned x = {x!r}, which is no root: f(x) = {y!r}")


def newton(g: Callable[[Any], Any], x0: float | tuple[float, float]) -> float:
    """A root of g by Newton's method, from a point on or in a bracket."""
    if isinstance(x0, tuple):
        return _bracketed(g, *x0)
    both = value_and_grad(g)
    x: float = x0
    y, slope = both(x)
    for _ in range(STEPS):
        if y == 0.0:
            return x
        if not (math.isfinite(y) and math.isfinite(slope) and slope):
            break
        step = -y / slope
        near = abs(step) <= 1e-7 * abs(x)
        while x + step != x:
            there, slope_there = both(x + step)
            if (there < 0.0) != (y < 0.0) and math.isfinite(there):
                return _bracketed(g, x, x + step)
            if abs(there) < abs(y):
                break
            step /= 2
        else:  # nothing nearby is smaller
            if near:
                return x
            break
        x, y, slope = x + step, there, slope_there
    raise RuntimeError(
        f"root: no root found from x0 = {x0!r}; the search ended at x = {x!r}, where f(x) = {y!r} "
        f"and df/dx = {slope!r}; start nearer, or give a bracket (low, high)"
    )


def _bracketed(g: Callable[[Any], Any], a: float, b: float) -> float:
    """The same between two points; every third step, or where Newton's leads out, bisects."""
    low, high = min(a, b), max(a, b)
    at_low, at_high = g(low), g(high)
    if at_low == 0.0 or at_high == 0.0:
        return low if at_low == 0.0 else high
    if not (at_low < 0.0 < at_high or at_high < 0.0 < at_low):
        raise ValueError(
            f"root: f must have unlike signs at the ends of (low, high), got f({low!r}) = "
            f"{at_low!r} and f({high!r}) = {at_high!r}"
        )
    both, scale = value_and_grad(g), max(abs(low), abs(high))
    best, least = min((low, abs(at_low)), (high, abs(at_high)), key=lambda end: end[1])
    x = 0.5 * low + 0.5 * high
    for k in range(STEPS):
        y, slope = both(x)
        if abs(y) < least:
            best, least = x, abs(y)
        if y == 0.0:
            return x
        low, high = (x, high) if (y < 0.0) == (at_low < 0.0) else (low, x)
        new = x - y / slope if slope else math.nan
        if not low < new < high or k % 3 == 2:
            if abs(new - x) <= math.ulp(x) or new == best:
                break
            new = 0.5 * low + 0.5 * high
        if not low < new < high:
            break
        x = new
    y, slope = both(best)
    if (slope > 0.0) != (at_high > 0.0) or not least <= abs(slope) * 1e-6 * scale:
        raise RuntimeError(
            f"root: f changes its sign at x = {best!r} without being 0 there: f(x) = {y!r}"
        )
    return best
