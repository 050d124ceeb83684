"""`check_grads`: derivatives in both modes, to any order, against judges that know no rule."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from miniflow.tape.core import here
from miniflow.testing.given import check_given
from miniflow.testing.recorded_check import RecordedCheck
from miniflow.testing.report import OPEN, WRONG, GradientError, InconclusiveWarning, Report
from miniflow.testing.subject import Subject
from miniflow.testing.verdicts import PASSES, Limits

MODE_NAMES = ("rev", "fwd")


def check_grads(
    f: Callable[..., Any], args: Sequence[Any], *, order: int = 2,
    modes: Sequence[str] = MODE_NAMES, grad: Callable[..., Any] | None = None,
    rtol: float | None = None, atol: float | None = None,
) -> Report:  # fmt: skip
    """Check the derivatives of a function at a point; an error names the operation to blame.

    Reverse and forward mode are compared with derivatives that come from values alone: in 30 digits
    (mpmath), by a complex step, by Richardson extrapolation. What these may be off by is known, so
    there is nothing to tune: a gradient that is right to nine digits passes, one that is off by a
    millionth of itself fails. Where the function has a kink, or is too steep to judge, a warning
    says so. The rules of operations that you have added are checked one by one, as well.

    Args:
        f: function of numbers in nested lists, tuples, dicts, dataclasses, arrays and modules,
            or a module; with any number of outputs. It may be jitted. The parameters of modules and
            leaves from outside that it uses are inputs, too.
        args: the arguments, as a tuple: the point. Strings, bools, None and functions among
            them are kept as they are.
        order: up to which order derivatives are checked, 1 or more.
        modes: "rev" for reverse mode, "fwd" for forward mode, or both.
        grad: for a function that miniflow does not record (NumPy, C, another library's): its
            gradient, a function of the same arguments. It returns what `miniflow.jacobian` would:
            for each output the derivatives in the structure of the argument, in a tuple if
            there are several arguments. Only order 1 is checked then.
        rtol: the relative error that passes, 1e-9 if left out; that of the judge comes on top.
        atol: the same, absolute, in units of the derivative; 0 if left out.

    Returns:
        A report, true if all is right. `print` shows it, ``report.draw()`` draws it.

    Raises:
        GradientError: a derivative is wrong: an AssertionError with the report in it.
        TypeError: arguments or outputs are not made of numbers.
        ValueError: an unknown mode, or an order below 1.

    Warns:
        InconclusiveWarning: there is a kink, or it is too steep to judge.

    Example:
        >>> from miniflow import math
        >>> check_grads(lambda x, y: math.sin(x * y), (0.5, 2.0))
        <right: 10 derivatives of <lambda>>
    """
    __tracebackhide__ = True  # pytest shows the line that called this
    report = inspect_grads(f, args, order=order, modes=modes, grad=grad, rtol=rtol, atol=atol)
    if report.verdict == WRONG:
        raise GradientError(report)
    if report.verdict == OPEN:
        warnings.warn(str(report), InconclusiveWarning, stacklevel=2)
    return report


def inspect_grads(
    f: Callable[..., Any], args: Sequence[Any], *, order: int = 2,
    modes: Sequence[str] = MODE_NAMES, grad: Callable[..., Any] | None = None,
    rtol: float | None = None, atol: float | None = None,
) -> Report:  # fmt: skip
    """As `check_grads`, but it neither raises nor warns: the report's verdict says what it found.

    Example:
        >>> inspect_grads(abs, (0.0,)).verdict
        'inconclusive'
    """
    modes = [modes] if isinstance(modes, str) else list(modes)
    unknown_modes = [mode for mode in modes if mode not in MODE_NAMES]
    if unknown_modes or not modes:
        raise ValueError(f"check_grads: modes are 'rev' and 'fwd', got {modes!r}")
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"check_grads: order must be 1 or more, got {order!r}")
    limits = Limits(PASSES if rtol is None else rtol, 0.0 if atol is None else atol)
    if grad is not None:
        return check_given(Subject(f, args, opaque=True), grad, limits)
    if here.table.silent:
        raise RuntimeError("check_grads: inside no_grad() nothing is recorded; call it outside")
    return RecordedCheck(Subject(f, args), order, modes, limits).report()
