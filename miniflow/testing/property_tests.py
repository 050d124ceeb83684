"""`given_gradient`: a property test of a function's derivatives, in three lines."""

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from miniflow.testing.checks import MODE_NAMES, inspect_grads
from miniflow.testing.domains import parameters_of
from miniflow.testing.failures import Example, draw_example, write_example
from miniflow.testing.report import RIGHT, WRONG, GradientError, Report
from miniflow.testing.strategies import points
from miniflow.util.functions import a_function, named

FOLDER = "gradient_failures"
SETTINGS = "_hypothesis_internal_use_settings"  # where Hypothesis keeps a test's settings


def given_gradient(  # noqa: D417 - `check_grads` describes the options
    f: Any, *domains: Any, grad: Callable[..., Any] | None = None, order: int = 2,
    modes: Sequence[str] = MODE_NAMES, rtol: float | None = None, atol: float | None = None,
    folder: str | Path | None = FOLDER,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:  # fmt: skip
    """Make a test function a property test: at points that Hypothesis draws, gradients are right.

    After each check the test function itself is called, with those of f's arguments that it
    names: it may assert more. Hypothesis's `settings`, `seed` and `example` stand above, as over
    `given`. What fails is made as small as can be; then it is written as a program, with its
    diagram beside it.

    Args:
        f: a function, jitted or not, a row, a model; or a strategy of functions, such as
            `expressions()`: then the test function may take `f` and `args`.
        domains: the domain of each argument, as for `points`; those that are left out follow
            from f's signature.
        grad: the gradient of a function that miniflow does not record.
        order, modes, rtol, atol: as for `check_grads`.
        folder: where a failing example is written; None writes nothing.

    Raises:
        TypeError: f is no function, or the test function has an argument that f has not.
        GradientError: when it runs: a derivative is wrong.
        AssertionError: when it runs: there was no point at which anything could be judged.

    Example:
        >>> from miniflow import math
        >>> @given_gradient(lambda x, y: math.sin(x * y))
        ... def test_wave(): ...
        >>> test_wave()
    """
    options = {"grad": grad, "order": order, "modes": modes, "rtol": rtol, "atol": atol}
    drawn = isinstance(f, SearchStrategy)
    if not drawn:
        a_function("given_gradient", f)
    names = ["f", "args"] if drawn else [*parameters_of(f)]
    cases = _functions_and_points(f) if drawn else points(f, *domains, plain=grad is not None)

    def decorate(test: Callable[..., Any]) -> Callable[..., None]:
        wanted = _domains_of(test, names)
        runs = Runs(test, f, options)

        def at_point(args: Any) -> None:
            runs.run(f, args, dict(zip(names, args, strict=True)), wanted)

        def at_function(f_and_args: Any) -> None:
            f, args = f_and_args
            runs.run(f, args, {"f": f, "args": args}, wanted)

        one = _as_if(test, at_function if drawn else at_point)
        checked = given(cases)(one)

        @functools.wraps(checked)
        def outer() -> None:
            runs.whole(checked, Path(folder) if folder is not None else None)

        # what decorators above set, such as Hypothesis's settings, is set for both
        outer.__dict__ = checked.__dict__
        outer.__dict__.update(checked=f, checked_grad=grad, __signature__=inspect.Signature())
        return outer

    return decorate


@st.composite
def _functions_and_points(draw: Any, functions: SearchStrategy[Any]) -> Any:
    f = draw(functions)
    return f, draw(points(f))


def _domains_of(test: Callable[..., Any], names: Sequence[str]) -> list[str]:
    """The arguments that the test function takes."""
    wanted = [*inspect.signature(test).parameters]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise TypeError(
            f"given_gradient: {test.__name__} takes {unknown[0]!r}, which is no argument of the "
            f"function; it has {', '.join(names)}"
        )
    return wanted


def _as_if(test: Callable[..., Any], checked: Callable[..., Any]) -> Callable[..., Any]:
    """A function with the name, place and text of the test function."""
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(checked, name, getattr(test, name))
    return checked


def _patient(checked: Any) -> None:
    """Let a test take its time, and explain nothing by lines that ran: the report says more."""
    known = vars(checked).get(SETTINGS) or settings()
    phases = [phase for phase in known.phases if phase is not Phase.explain]
    setattr(checked, SETTINGS, settings(known, deadline=None, phases=phases))


class Runs:
    """The runs of one property test.

    Attributes:
        judged: at how many points something could be judged.
        failed: the example that failed last, which is the smallest one.
    """

    def __init__(self, test: Callable[..., Any], f: Any, options: dict[str, Any]) -> None:
        self.test, self.f, self.options = test, f, options
        self.judged = self.tried = 0
        self.failed: tuple[Any, Any] | None = None

    def run(self, f: Any, args: Any, known: dict[str, Any], wanted: list[str]) -> None:
        """Check at one point, then call the test function."""
        self.tried += 1
        try:
            report = inspect_grads(f, args, **self.options)
            if report.verdict == WRONG:
                raise GradientError(report)
            self.judged += report.verdict == RIGHT
            event(f"derivatives: {report.verdict}")
            self.test(**{name: known[name] for name in wanted})
        except Exception:
            self.failed = f, args
            raise

    def whole(self, checked: Callable[[], None], folder: Path | None) -> None:
        """Run all; where it fails, write the smallest example."""
        self.judged = self.tried = 0
        self.failed = None
        _patient(checked)
        try:
            checked()
        except Exception as error:
            if self.failed and folder is not None:
                error.add_note(self.written(error, folder))
            raise
        if self.tried and not self.judged:
            raise AssertionError(
                f"given_gradient: at none of {self.tried} points could the derivatives of "
                f"{named(self.f)} be judged; give domains away from its kinks"
            )

    def written(self, error: Exception, folder: Path) -> str:
        """Write the smallest example; a sentence that says where."""
        assert self.failed is not None
        f, args = self.failed
        usual = dict(inspect.signature(inspect_grads).parameters)
        options = {k: x for k, x in self.options.items() if x != usual[k].default}
        path = write_example(Example(self.test, f, args, options), str(error), folder)
        if path is None:
            return "no program was written: the test is in no file"
        drawn = self.drawn(f, args, path)
        return f"python {path} shows it again" + (f"; {drawn} is its diagram" if drawn else "")

    def drawn(self, f: Any, args: Any, path: Path) -> Path | None:
        """Draw the smallest example; None where it raises, or records nothing."""
        try:
            report: Report = inspect_grads(f, args, **self.options)
        except Exception:  # its program will show that
            return None
        return draw_example(f, args, report, path)
