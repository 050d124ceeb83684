"""An equation that `root` solves: what it depends on, and how it is called.

Terms:
    equation    f with its arguments filled in: a function of x and of the Values it depends on
"""

from collections.abc import Callable
from itertools import count
from typing import Any

from miniflow import ops
from miniflow.program.freeze import freeze
from miniflow.program.ir import Code, PathError
from miniflow.program.places import unwatched
from miniflow.program.structures import NUMBER_LEAF, unflatten_numbers
from miniflow.tape.core import Value, here
from miniflow.tape.grad_mode import no_grad
from miniflow.tape.storage import plain

Equation = Callable[..., Any]
Solver = Callable[[Callable[[Any], Any], Any], Any]

STEPS = 1000  # of a solver
_serials = count(1)


def entry_name() -> str:
    """What an entry is called: in programs operations are known by their names."""
    return f"root{next(_serials)}" if here.table.trace is not None else "root"


def with_arguments(f: Equation, numbers: list[Any], arguments: Any) -> Equation:
    """The function f of x and of the Values among its arguments."""
    others = [None if x.__class__ is Value else x for x in numbers]

    def equation(x: Any, *live: Any) -> Any:
        rest = iter(live)
        filled = [next(rest) if other is None else other for other in others]
        return f(x, *unflatten_numbers(arguments, filled))

    return equation


def equation_code(equation: Equation, xs: list[float], parameters: list[float]) -> Code:
    """The equation as a program, on the path that it takes there."""
    inputs: Any = ((NUMBER_LEAF,) * (len(xs) + len(parameters)), {})
    return unrecorded(freeze, equation, [*xs, *parameters], inputs)  # type: ignore[no-any-return]


def along(code: Code) -> Equation:
    """The equation as a program: of x, of Values among the arguments, and of captured ones.

    It returns a list of results.
    """
    # with inputs in the place of captured Values: slots stay the same
    size = code.inputs + len(code.captured)
    code = Code(
        code.name, [f"x{k}" for k in range(size)], ((NUMBER_LEAF,) * size, {}), code.result, (),
        code.constants, code.instructions, code.outputs, code.guards, {}, code.finder,
    )  # fmt: skip

    def equation(*xs: Any) -> Any:
        try:
            return code.run(xs, lambda op: op)
        except PathError as error:
            raise RuntimeError(
                f"root: f takes another path now ({error}); it uses Values that it closes over: "
                "pass them to f by root's arguments instead, root(f, x0, a, b)"
            ) from None

    return equation


def plain_number(x: Any) -> float:
    """The number of a Value, or of anything else that is one."""
    return plain(x) if x.__class__ is Value else ops.real(x, "root")


def unrecorded(f: Callable[..., Any], *args: Any) -> Any:
    """What f returns, called as if nothing were traced or recorded; it leaves no entries."""
    table = here.table
    with unwatched(), table.hold():
        start, opened = table.count, table.opened
        trace, table.trace = table.trace, None
        try:
            with no_grad():
                found = f(*args)
        finally:
            table.trace = trace
        table.cut(start, opened)
    return found
