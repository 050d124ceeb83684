"""`assert_gradients_close`: nested gradients compared entry by entry."""

from collections.abc import Sequence
from typing import Any

from miniflow.ops import real
from miniflow.tape.core import Value
from miniflow.tape.storage import plain
from miniflow.testing.report import short_number, ulps_between
from miniflow.testing.subject import steps_to
from miniflow.util.trees import children, is_dataclass, part_names
from miniflow.util.words import shown

ASSERTION = "assert_gradients_close"
MOST_COMPARED = 20  # of entries that differ
Matched = tuple[str, Any, Any]  # how it is reached, what was got, what was expected


def assert_gradients_close(
    got: Any, expected: Any, *, rtol: float = 1e-9, atol: float = 0.0
) -> None:
    """Assert that two gradients are equal, up to errors; the message names each entry that is not.

    Args:
        got: numbers or Values in nested lists, tuples, dicts, dataclasses and arrays. A
            list, a tuple and an array with the same entries are alike.
        expected: what they should be.
        rtol: the error that passes, relative to the expected number.
        atol: the same, absolute, in units of the gradient.

    Raises:
        AssertionError: an entry differs, with its place, both numbers, and their distance in
            units in the last place (ulp); or the structures do.
        TypeError: something is not made of numbers.

    Example:
        >>> assert_gradients_close({"w": [1.0, 2.0]}, {"w": [1.0, 2.5]})
        Traceback (most recent call last):
        AssertionError: gradients differ in 1 of 2 entries (rtol=1e-09, atol=0)
          entry     got  expected       ulp  relative
          ['w'][1]  2.0       2.5  1.13e+15       0.2
    """
    __tracebackhide__ = True  # pytest shows the line that called this
    entries = list(_matched(got, expected, ""))
    wrong = [x for x in entries if not _is_near(x[1], x[2], rtol, atol)]
    if wrong:
        head = f"gradients differ in {len(wrong)} of {len(entries)} entries"
        raise AssertionError(
            "\n".join([f"{head} (rtol={rtol:g}, atol={atol:g})", *_difference_lines(wrong)])
        )


def _matched(got: Any, expected: Any, path: str) -> list[Matched]:
    """The numbers of both, in the structure of what is expected."""
    parts, others = children(got), children(expected)
    if parts is None or others is None:
        if parts is not others:
            raise AssertionError(
                f"gradients differ in structure at {path or 'the top'}: got {shown(got)}, "
                f"expected {shown(expected)}"
            )
        return [(path or "gradient", _plain_entry(got), _plain_entry(expected))]
    if isinstance(got, dict) and isinstance(expected, dict):
        parts = [got[key] for key in expected if key in got]
    if len(parts) != len(others) or _part_keys(got) != _part_keys(expected):
        raise AssertionError(
            f"gradients differ in structure at {path or 'the top'}: got {_described(got)}, "
            f"expected {_described(expected)}"
        )
    triples = zip(steps_to(expected, len(others)), parts, others, strict=True)
    return [entry for step, a, b in triples for entry in _matched(a, b, path + step)]


def _part_keys(tree: Any) -> Any:
    """What the parts are called, where they have names."""
    if isinstance(tree, dict):
        return set(tree)
    return part_names(tree) if is_dataclass(tree) else None


def _described(tree: Any) -> str:
    parts = children(tree) or ()
    if isinstance(tree, dict):
        return f"a dict with {', '.join(map(repr, tree)) or 'no keys'}"
    return f"{type(tree).__name__} of {len(parts)}"


def _plain_entry(x: Any) -> float:
    return plain(x) if x.__class__ is Value else real(x, ASSERTION)


def _is_near(got: float, expected: float, rtol: float, atol: float) -> bool:
    if got == expected or (got != got and expected != expected):
        return True
    return abs(got - expected) <= atol + rtol * abs(expected) < float("inf")


def _difference_lines(wrong: Sequence[Matched]) -> list[str]:
    """The entries that differ, as a table."""
    head = ("entry", "got", "expected", "ulp", "relative")
    rows = [
        head,
        *[(x[0], repr(x[1]), repr(x[2]), *_distance_cells(x)) for x in wrong[:MOST_COMPARED]],
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    lines = [
        "  " + "  ".join([row[0].ljust(widths[0]),
                          *[x.rjust(w) for x, w in zip(row[1:], widths[1:], strict=True)]])
        for row in rows
    ]  # fmt: skip
    more = len(wrong) - MOST_COMPARED
    return [*lines, f"  ... and {more} more"] if more > 0 else lines


def _distance_cells(entry: Matched) -> tuple[str, str]:
    """How far apart the numbers are: in ulp, and relative to the expected one."""
    _, got, expected = entry
    share = abs(got - expected) / abs(expected) if expected else float("inf")
    return short_number(ulps_between(got, expected)), short_number(share)
