"""`nans`: a block in which the first NaN raises, with what it comes from."""

import sys
import textwrap
from collections import deque
from itertools import pairwise
from math import isfinite, isinf, isnan
from typing import Any

from miniflow.debug.answers import Answer
from miniflow.debug.autopsy import (
    Backward,
    Link,
    backward_reason,
    backward_steps,
    birth,
    first_bad,
    forward_steps,
    reason,
)
from miniflow.debug.noted import lines, since_line
from miniflow.debug.remedies import Case, remedy
from miniflow.debug.wording import SOURCE_WIDTH, Words, digits
from miniflow.tape.core import Table, Value

REMEMBERED = 6  # sweeps


class NanError(Answer, ArithmeticError):
    """A NaN, or an infinity, with the chain of operations that leads to it.

    Attributes:
        steps: the links of the chain, each with its line and what happens there.
        reason: why it is none of the other numbers, in a sentence.
        remedy: the safer form, or where to look; "" if none is known.
    """

    def __init__(
        self, head: str, steps: list[Link], reason: str, remedy: str, root: Value,
        marked: dict[Value, str],
    ) -> None:  # fmt: skip
        self.head, self.steps, self.reason, self.remedy = head, steps, reason, remedy
        self.root, self.marked = root, marked
        super().__init__(self._written())

    @property
    def text(self) -> str:
        return str(self.args[0])  # with the lines as they stood then

    def _written(self) -> str:
        places = [str(step.line) if step.line else "" for step in self.steps]
        width = max(map(len, places), default=0)
        parts = [self.head, ""]
        before = None
        for place, step in zip(places, self.steps, strict=True):
            if step.line is not None and step.line != before:
                parts.append(f"  {place:<{width}}  {step.line.source[:SOURCE_WIDTH]}".rstrip())
            parts.append(f"  {'':<{width}}  {'    ' if width else ''}{step.text}")
            before = step.line
        parts += [""] * bool(self.steps)
        for caption, sentence in (("Why:", f"{self.reason}."), ("Instead:", self.remedy)):
            if sentence:
                parts.append(_wrapped(f"{caption:<8} {sentence}"))
        return "\n".join(parts)

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> Any:
        return ArithmeticError, (self.text,)


class nans(lines):  # noqa: N801 - it is used as no_grad is
    """A block in which the first NaN raises, forward or backward, and says what it comes from.

    Forward it raises before the next line of yours runs, backward before a gradient has changed.
    What one line computes and does not select (`where`) is no NaN that counts, and neither is
    one that nobody keeps. A compiled function is one operation: call it without `jit` to look
    inside. The block holds for this thread; see `lines`.

    Args:
        infs: whether infinities raise, too.

    Raises:
        NanError: there is one; it can be drawn.

    Example:
        >>> from miniflow import math, Value
        >>> try:
        ...     with nans():
        ...         y = math.log(Value(-1.0))
        ... except NanError as found:
        ...     print(found.reason)
        log takes numbers from 0 up, and -1.0 is below
    """

    def __init__(self, infs: bool = False) -> None:
        if not isinstance(infs, bool):
            raise TypeError(f"nans: infs must be True or False, got {infs!r:.60}")
        self.infs = infs
        self.history: deque[float] = deque(maxlen=REMEMBERED)

    def look(self, table: Table) -> None:
        """Raise if the line that ends has computed a NaN that somebody keeps."""
        with table.hold():
            found = self._kept(table, since_line(table))
            if found:
                raise self._forward(table, found[0])

    def _kept(self, table: Table, start: int) -> list[int]:
        """The bad results from an entry on, but for those of which the line made something good."""
        results = [n for n in range(start, table.count) if self._is_bad(table.value_of(n))]
        results = [n for n in results if table.operands(n)]
        if not results:
            return []
        return self._harmful(table, start, results, table.needed(table.count))

    def _harmful(self, table: Table, start: int, results: list[int], owned: Any) -> list[int]:
        """Those that a kept Value shows: by itself, or in a bad result that it went into."""
        users: dict[int, list[int]] = {n: [] for n in results}
        for n in range(start, table.count):
            for x in table.operands(n):
                if x in users:
                    users[x].append(n)
        harmful: set[int] = set()
        for n in reversed(results):
            if (not users[n] and owned[n]) or not harmful.isdisjoint(users[n]):
                harmful.add(n)
        return sorted(harmful)

    def _is_bad(self, x: float) -> bool:
        return isnan(x) or (self.infs and isinf(x))

    def sweep(self, table: Table, floor: int, entries: list[int], seeds: list[float]) -> None:
        """Raise if a sweep is about to meet a NaN."""
        with table.hold():
            for n in entries:
                if self._is_bad(table.value_of(n)) and table.operands(n):
                    raise self._forward(table, n)
            found, passed = first_bad(table, floor, entries, seeds, self.infs)
            if found is not None:
                raise self._backward(table, entries, found, passed)
            if not self.history or isfinite(self.history[-1]):
                self.history.append(table.value_of(entries[0]))

    # --- what is said -----------------------------------------------------------

    def _forward(self, table: Table, n: int) -> NanError:
        words = Words(table, sys._getframe(1))
        path = birth(table, n)
        what = digits(table.value_of(n))
        name = words.name(n)
        last = words.line(n)
        head = f"{what} in {name or 'a result'}{f', at {last}' if last else ''}"
        case = Case(words, path[0], None, self.grown())
        return NanError(
            head, forward_steps(words, n), reason(words, path[0]), remedy(case), table.handle(n),
            {table.handle(x): "" for x in path},
        )  # fmt: skip

    def _backward(
        self, table: Table, entries: list[int], found: Backward, passed: list[Backward]
    ) -> NanError:
        words = Words(table, sys._getframe(1))
        target, x = entries[0], table.operands(found.n)[found.k]
        of = words.name(target) or "the result"
        by = words.name(x) or words.called(x)
        head = f"{digits(found.total)} in a gradient: d({of})/d({by})"
        case = Case(words, found.n, found, self.grown(), passed)
        steps = backward_steps(words, found, passed)
        marked = {table.handle(n): "" for n in (*[s.entry for s in steps], x)}
        return NanError(
            head, steps, backward_reason(words, found), remedy(case), table.handle(target), marked
        )

    def grown(self) -> list[float]:
        """The results of the last sweeps, if each is far larger than the one before."""
        sizes = list(map(abs, self.history))
        growing = all(b > 3 * a or isinf(b) for a, b in pairwise(sizes))
        return list(self.history) if len(sizes) > 2 and growing else []


def _wrapped(text: str) -> str:
    return textwrap.fill(text, SOURCE_WIDTH + 8, subsequent_indent=" " * 9, break_long_words=False)
