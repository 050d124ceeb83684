"""`why`: a derivative as a sum over the ways that lead from the result to the operand.

By the chain rule dy/dx is a sum over all *routes* from y down to x, of the product of the slopes on
each. There may be exponentially many; the largest are found one by one, best first: for each entry
it is known how large the rest of a route from there can be (Hart, Nilsson & Raphael 1968, with a
bound that is exact).
"""

import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from heapq import heappop, heappush
from itertools import count
from math import fsum, inf, isfinite, log
from typing import Any, NamedTuple

from miniflow.debug.answers import Answer
from miniflow.debug.autopsy import Backward, contributions
from miniflow.debug.noted import SourceLine
from miniflow.debug.wording import Words, digits
from miniflow.micrograd.engine import taped
from miniflow.tape.core import Table, Value, current
from miniflow.tape.pullback import pullback
from miniflow.util.words import shown

MOST_FACTORS = 6
HUGE = 1e6


class Factor(NamedTuple):
    """A slope on a route: what it is the slope of, and where that stands."""

    slope: float
    text: str
    line: SourceLine | None

    def __str__(self) -> str:
        """The text, and where it stands."""
        return f"{self.text}  {self.line}" if self.line else self.text


class Product(NamedTuple):
    """One way from y to x: the product of its factors, from y on."""

    amount: float
    factors: tuple[Factor, ...]

    def __str__(self) -> str:
        """The product, factors of 1 left out."""
        shown = [f for f in self.factors if f.slope != 1.0] or list(self.factors[-1:])
        words = [f"{digits(f.slope)} [{f}]" for f in shown]
        if len(words) > MOST_FACTORS:
            half = MOST_FACTORS // 2
            words = [*words[:half], f"... {len(words) - MOST_FACTORS} more ...", *words[-half:]]
        return " * ".join(words)


class Why(Answer):
    """A derivative, and what it is the sum of.

    Attributes:
        gradient: dy/dx, as a sweep computes it.
        edges: what each entry that uses x hands to it. They are all that there is.
        routes: the largest products of slopes along a way from y to x.
        remainder: what the routes that are shown lack, to the nearest float.
        verdict: why it is zero, huge or no number, in a sentence; "" if it is none of them.
    """

    def __init__(
        self, head: str, gradient: float, edges: list[Product], routes: list[Product], verdict: str,
        root: Value, marked: dict[Value, str],
    ) -> None:  # fmt: skip
        self.head, self.gradient, self.verdict = head, gradient, verdict
        self.edges, self.routes = edges, routes
        self.root, self.marked = root, marked
        self._rest = rest_of(gradient, [route.amount for route in routes])
        self.remainder = fsum(self._rest)

    def total(self) -> float:
        """The routes and the remainder, added up without an error: the gradient."""
        return fsum([*[route.amount for route in self.routes], *self._rest])

    @property
    def text(self) -> str:
        parts = [f"{self.head} = {digits(self.gradient)}"]
        if self.verdict:
            parts.append(f"  {self.verdict}")
        if self.edges:
            parts += ["", f"handed over by {_edges_text(len(self.edges), 'edge')}:"]
            parts += [f"  {digits(x.amount):>12}  {x.factors[0]}" for x in self.edges]
        if self.routes:
            parts += ["", "the largest products along a route:"]
            parts += [f"  {digits(x.amount):>12}  = {x}" for x in self.routes]
            parts.append(f"  {digits(self.remainder):>12}  is the remainder")
        return "\n".join(parts)


def _edges_text(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def why(y: Any, x: Any, top: int = 10) -> Why:
    """What dy/dx is the sum of: edges, and the largest products along a route.

    Args:
        y: the result, a Value.
        x: what it came from, a leaf or computed.
        top: how many routes are shown, the largest first.

    Returns:
        An answer whose routes and remainder add up to the gradient exactly. Names are labels,
        paths in a module, or the caller's variables; `lines` adds lines of source.

    Raises:
        TypeError: y or x is not a Value.
        ValueError: `top` is not a positive number.
        RuntimeError: y was computed on another thread, or a leaf's data was set since.

    Example:
        >>> a = Value(3.0, label="a")
        >>> print(why(a * a * 2.0, a))
        d(y)/d(a) = 12.0
        <BLANKLINE>
        handed over by 2 edges:
                   6.0  a * a
                   6.0  a * a
        <BLANKLINE>
        the largest products along a route:
                   6.0  = 2.0 [(a * a) * 2.0] * 3.0 [a * a]
                   6.0  = 2.0 [(a * a) * 2.0] * 3.0 [a * a]
                   0.0  is the remainder
    """
    y, x = (a_value("why", name, v) for name, v in (("y", y), ("x", x)))
    if type(top) is not int or top < 1:
        raise ValueError(f"why: top must be a positive number of routes, got {top!r:.60}")
    table = current()
    y = own_value(table, "why", y)
    gradient = float(pullback([y], [1.0], [x], recorded=False)[0])
    with table.hold():
        words = Words(table, sys._getframe(1))
        return _answer(words, y._entry, table.entries_of(x), gradient, top, y, x)


def own_value(table: Table, caller: str, v: Value) -> Value:
    """A Value with an entry on this thread's tape: another thread's leaf gets one."""
    table.admit(v, caller)
    return v if v._tape is table else +v


def a_value(caller: str, name: str, v: Any) -> Value:
    """The Value that is asked about; TypeError if it is none."""
    v = taped(v)
    if v.__class__ is not Value:
        raise TypeError(f"{caller}: {name} must be a Value, got {shown(v)}")
    return v


def _answer(
    words: Words, n: int, sources: list[int], gradient: float, top: int, y: Value, x: Value
) -> Why:
    table = words.table
    flow = Flow(table, n, sources)
    edges = [Product(s.amount, (_factor(words, s),)) for s in flow.arriving]
    routes: list[Product] = []
    marked: dict[Value, str] = {}
    for steps in flow.routes(top):
        amount = 1.0
        for s in steps:
            amount *= s.slope
        routes.append(Product(amount, tuple([_factor(words, s) for s in steps])))
        marked |= dict.fromkeys([table.handle(s.n) for s in steps] if not marked else [], "")
    of, by = words.name(n) or "y", (words.name(sources[0]) if sources else x.label) or "x"
    verdict = _verdict(words, flow, gradient, routes, of, by)
    return Why(f"d({of})/d({by})", gradient, edges, routes, verdict, y, {**marked, x: ""})


def _factor(words: Words, s: Backward) -> Factor:
    return Factor(s.slope, words.formula(s.n), words.line(s.n))


def rest_of(whole: float, parts: Sequence[float]) -> list[float]:
    """Floats whose exact sum is what `parts` lack of `whole`; NaN where there is no such sum."""
    if not all(map(isfinite, (whole, *parts))):
        return [whole] if not parts else [float("nan")]
    rest, found = Fraction(whole) - sum(map(Fraction, parts)), list[float]()
    while rest:
        if abs(rest) > sys.float_info.max:
            return [inf if rest > 0 else -inf]
        found.append(float(rest))
        rest -= Fraction(found[-1])
    return found


class Flow:
    """What a sweep from entry n would pass on, as far as it leads to some sources.

    Attributes:
        steps: for each entry what it hands to operands that lead to the sources.
        arriving: the contributions to the sources themselves, in the order of a sweep.
        stopped: entries that lead to the sources and pass nothing on.
    """

    def __init__(self, table: Table, n: int, sources: list[int]) -> None:
        self.table, self.start, self.sources = table, n, set(sources)
        entries = table.reached([n])
        self.leading = table.dependent(entries, sources)
        self.steps: dict[int, list[Backward]] = {}
        self.arriving: list[Backward] = []
        self.stopped: list[int] = []
        adjoint = {n: 1.0} if n in self.leading else {}
        for each in entries:
            if each in adjoint and table.operands(each) and each in self.leading:
                self._pass(each, adjoint)

    def _pass(self, n: int, adjoint: dict[int, float]) -> None:
        operands = self.table.operands(n)
        found = [
            s for s in contributions(self.table, n, adjoint[n]) if operands[s.k] in self.leading
        ]
        self.steps[n] = [s for s in found if s.slope != 0.0]
        if not self.steps[n] and n not in self.sources:
            self.stopped.append(n)
        for s in found:
            x = operands[s.k]
            adjoint[x] = adjoint[x] + s.amount if x in adjoint else s.amount
            if x in self.sources:
                self.arriving.append(s)

    def _largest(self) -> dict[int, float]:
        """The logarithm of the largest product from each entry to a source."""
        found = dict.fromkeys(self.sources, 0.0)
        for n in sorted(self.steps):
            operands = self.table.operands(n)
            sizes = [
                _log_size(s) + found[operands[s.k]] for s in self.steps[n] if operands[s.k] in found
            ]
            if sizes and n not in found:
                found[n] = max(sizes)
        return found

    def routes(self, top: int) -> Iterator[list[Backward]]:
        """The routes to the sources, the largest product first."""
        largest, order = self._largest(), count()
        if self.start not in largest or self.start in self.sources:
            return
        heap: list[Any] = [(-largest[self.start], next(order), self.start, 0.0, None)]
        while heap and top:
            _, _, n, size, way = heappop(heap)
            if n in self.sources:
                top -= 1
                yield _unrolled(way)
                continue
            operands = self.table.operands(n)
            for s in self.steps.get(n, ()):
                x = operands[s.k]
                if x in largest:
                    longer = size + _log_size(s)
                    heappush(heap, (-longer - largest[x], next(order), x, longer, (way, s)))


def _log_size(step: Backward) -> float:
    """The logarithm of a slope's size; what is no number comes first."""
    return log(abs(step.slope)) if isfinite(step.slope) else 1e300


def _unrolled(way: Any) -> list[Backward]:
    steps: list[Backward] = []
    while way is not None:
        way, step = way
        steps.append(step)
    return steps[::-1]


# --- why it is as it is -----------------------------------------------------------


def _verdict(
    words: Words, flow: Flow, gradient: float, routes: list[Product], of: str, by: str
) -> str:
    if flow.start in flow.sources:
        return f"{of} and {by} are the same entry."
    if flow.start not in flow.leading:
        return f"{of} was not computed from {by}."
    if not isfinite(gradient):
        return "It is no number: debug.nans() says where that begins."
    if gradient == 0.0:
        return _why_zero(words, flow, routes)
    return _why_huge(routes) if abs(gradient) >= HUGE else ""


def _why_zero(words: Words, flow: Flow, routes: list[Product]) -> str:
    if any(route.amount for route in routes):
        return "Contributions that are not zero cancel."
    if routes:
        return "The product of the slopes is smaller than the smallest float."
    stops = list(dict.fromkeys(map(words.calculation, flow.stopped)))[:3]
    more = len(flow.stopped) - len(stops)
    several = f" and {more} more" if more > 0 else ""
    return f"It is zero since {', '.join(stops)}{several} hand{'s' * (len(stops) == 1)} nothing on."


def _why_huge(routes: list[Product]) -> str:
    if not routes:
        return ""
    top = max(routes[0].factors, key=lambda f: abs(f.slope))
    where = f", at {top.line}" if top.line else ""
    return f"The largest slope on its way is {digits(top.slope)}, of {top.text}{where}."
