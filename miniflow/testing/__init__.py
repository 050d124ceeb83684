"""Tests of derivatives: is a gradient right, and if not, who is to blame?

checks.py          check_grads, inspect_grads
recorded_check.py  the check of a function that miniflow records
given.py           the check of a gradient from elsewhere
report.py          what a check found
blame.py           who is to blame: the tape is walked
chain.py           the chain rule by hand
rules.py           local derivatives, each judged on its own
judges.py          derivatives from values alone
twins.py           the table's rows in any precision
subject.py         what is checked, as a function of one list of numbers
graphs.py          one call's entries, to be computed again
levels.py          what the engine says, to any order
vectors.py         along what derivatives are compared
verdicts.py        right, wrong, or nobody can tell
close.py           assert_gradients_close
proofs.py          prove: is a row's rule right?
symbols.py         numbers that SymPy knows, in the rows' formulas
plugin.py          options for pytest
strategies.py      numbers, points, functions, models, data: what Hypothesis draws
property_tests.py  given_gradient
machine.py         GradientMachine
drawn.py           functions that are drawn: they can be called, and print as Python
steps.py           what such a function consists of
text.py            such a function as Python
building.py        such a function from seeds, which Hypothesis draws and leaves out
kinks.py           how far operands are from where a row has no derivative
domains.py         where a function can be differentiated: signatures, witnesses
naive.py           the engine that state machines compare others with
failures.py        a failing example as a program, with its diagram
writing.py         a test file from a function's signature
__main__.py        the command ``python -m miniflow.testing``

Nothing is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miniflow.testing import strategies
    from miniflow.testing.checks import check_grads, inspect_grads
    from miniflow.testing.close import assert_gradients_close
    from miniflow.testing.machine import GradientMachine
    from miniflow.testing.proofs import Proof, prove
    from miniflow.testing.property_tests import given_gradient
    from miniflow.testing.report import GradientError, InconclusiveWarning, Report

__all__ = [
    "GradientError",
    "GradientMachine",
    "InconclusiveWarning",
    "Proof",
    "Report",
    "assert_gradients_close",
    "check_grads",
    "given_gradient",
    "inspect_grads",
    "prove",
    "strategies",
]

_WHERE = {
    "GradientError": "miniflow.testing.report",
    "GradientMachine": "miniflow.testing.machine",
    "InconclusiveWarning": "miniflow.testing.report",
    "Proof": "miniflow.testing.proofs",
    "Report": "miniflow.testing.report",
    "assert_gradients_close": "miniflow.testing.close",
    "check_grads": "miniflow.testing.checks",
    "given_gradient": "miniflow.testing.property_tests",
    "inspect_grads": "miniflow.testing.checks",
    "prove": "miniflow.testing.proofs",
    "strategies": "miniflow.testing.strategies",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(_WHERE[name])
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        remedy = f"miniflow.testing.{name} needs Hypothesis: pip install hypothesis"
        raise ModuleNotFoundError(remedy, name=error.name) from error
    return module if name == "strategies" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
