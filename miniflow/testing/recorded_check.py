"""The check of a function that miniflow records: what is compared with what."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from miniflow.tape.core import here
from miniflow.testing import vectors
from miniflow.testing.blame import Blame
from miniflow.testing.chain import chain_rule
from miniflow.testing.given import curve_of, first_step, largest_input
from miniflow.testing.graphs import CallGraph
from miniflow.testing.judges import DOUBT, Curve, Estimate, differences, exact, numbers, unknown
from miniflow.testing.levels import Levels, combined
from miniflow.testing.report import OPEN, RIGHT, WRONG, Comparison, Report
from miniflow.testing.rules import Rules, sharpest
from miniflow.testing.subject import Subject
from miniflow.testing.twins import context
from miniflow.testing.vectors import Vector
from miniflow.testing.verdicts import SHARP, Limits, Sizes
from miniflow.util.functions import named

MOST_OPERATIONS = 100_000  # that all exact differences of one order together may compute
LONGEST_CALL = 20_000  # operations of a call that is computed in many digits
FEWEST = 4  # directions that are tried, however long a call is
NUDGE = 2.0**-51  # by how much a double may be off, relative to itself
SHORTEST_WAY = 1e-3  # way on which derivatives of one order become terms of the next, at the least
NUDGED = 4  # how often rounding is tried
ROUNDED = 16.0  # by how much rounding may be larger than what was met then


class EntryPair(NamedTuple):
    """A derivative in one mode, with what it is by."""

    comparison: Comparison
    weights: Vector
    directions: tuple[Vector, ...]


class RecordedCheck:
    """One check at one point."""

    def __init__(self, subject: Subject, order: int, modes: list[str], limits: Limits) -> None:
        self.subject, self.order, self.modes, self.limits = subject, order, modes, limits
        self.pairs: list[EntryPair] = []
        self.sizes: dict[Vector, Sizes] = {}  # of the latest order, by weights

    def report(self) -> Report:
        """Compare everything, and look for who is to blame."""
        subject, table = self.subject, here.table
        subject.capture()
        with table.hold():
            call = subject.record(subject.numbers)
            inner = subject.record(subject.numbers, inner=True)
            self.graph = CallGraph(table, inner.inputs, inner.outputs)
            self.levels = Levels(call)
            self.weights = vectors.weights(subject.out)
            ys = [abs(self.graph.values[k]) for k in self.graph.outputs]
            for w in self.weights:
                size = abs(combined(ys, list(map(abs, w.vector))))
                self.sizes[w] = Sizes(0.0, size if size < math.inf else 0.0)
            self.faithful = self.is_faithful()
            self.rules = Rules(self.graph)
            self.bent = bool(self.rules.kinks(min(self.order, 2)))
            self.run = self.precise()
            for order in range(1, self.order + 1):
                self.compare(order)
            blame = Blame(subject, self.rules, self.order, faithful=self.faithful)
            return self.judged(blame)

    # --- what is known ------------------------------------------------------------

    def is_faithful(self) -> bool:
        """Whether the entries give what f does nearby, too: none was lost, no branch is near."""
        subject, same = self.subject, []
        for point in vectors.points_apart(subject.movable, subject.numbers):
            found = _numbers_at(subject.values, point)
            again = _numbers_at(self.graph.again, point)
            same.append(found is not None and again is not None and _equal(found, again))
        return all(same[2:])

    def precise(self, nudge: Callable[[], float] | None = None) -> Any:
        """The call in mpmath's numbers; None where that cannot be."""
        try:
            mp = context()
        except ImportError:
            return None
        if len(self.graph.steps()) > LONGEST_CALL or not self.graph.finite():
            return None
        try:
            with mp.workdps(40):
                return self.graph.precise(mp, nudge)
        except Exception:  # a number that is not real, or none at all
            return None

    def known(self, directions: tuple[Vector, ...]) -> list[Estimate]:
        """What is known of the derivatives in these directions, for all weights."""
        found = self.exact(self.run, directions) if self.run and self.faithful else []
        found = found or self.rough(directions)
        nobody = unknown("nobody", "no judge can tell: there are no numbers around the point")
        return found or [nobody] * len(self.weights)

    def exact(self, run: Any, directions: tuple[Vector, ...]) -> list[Estimate]:
        """By the recorded operations in many digits."""
        point, vectors, mp = self.subject.numbers, [d.vector for d in directions], context()

        def curve(t: Any) -> list[Any]:
            ts = t if len(vectors) > 1 else [t]
            xs = [
                x + sum([s * v[k] for s, v in zip(ts, vectors, strict=True) if v[k]], mp.zero)
                for k, x in enumerate(point)
            ]
            ys = run(xs)
            return [combined(ys, w.vector) for w in self.weights]

        scale = min([1.0, *[10 * first_step(point, v) for v in vectors]])
        size = largest_input(self.subject)
        return exact(curve, scale, len(vectors), largest=size, sides=self.bent)

    def rough(self, directions: tuple[Vector, ...]) -> list[Estimate]:
        """By f itself, in doubles; of a higher order by derivatives that were checked before."""
        subject, last = self.subject, directions[-1]
        captured = any(last.vector[subject.movable :])
        step = first_step(subject.numbers, last.vector)
        if len(directions) > 1:
            return [] if captured else differences(self.slopes(directions), step)
        if captured or (self.graph.stops and self.faithful):
            return differences(self.replayed(last), step)
        curve = curve_of(subject, last, self.weights)
        return sharpest(curve, step, len(self.weights), largest_input(subject))

    def slopes(self, directions: tuple[Vector, ...]) -> Curve:
        """Derivatives of one order less, as a function of how far the inputs move."""
        *before, last = directions

        def curve(t: float) -> list[float]:
            pairs = zip(self.subject.numbers, last.vector, strict=True)
            levels = Levels(self.subject.record([x + t * v if v else x for x, v in pairs]))
            return [levels.derivative("rev", w, before) for w in self.weights]

        return curve

    def replayed(self, direction: Vector) -> Curve:
        """The recorded operations in doubles, as a function of how far the inputs move."""

        def curve(t: float) -> list[float]:
            pairs = zip(self.subject.numbers, direction.vector, strict=True)
            ys = self.graph.again([x + t * v if v else x for x, v in pairs], still=True)
            return [combined(ys, w.vector) for w in self.weights]

        return curve

    # --- what is compared ---------------------------------------------------------

    def compare(self, order: int) -> None:
        """Compare the derivatives of one order in all modes."""
        tried = self.directions(order)
        known = [self.known(directions) for directions in tried]
        length = max(SHORTEST_WAY, min([1.0, *[abs(x) for x in self.subject.numbers if x]]))
        for j, w in enumerate(self.weights):
            size = max([abs(x[j].value) for x in known if abs(x[j].value) < math.inf], default=0.0)
            self.sizes[w] = Sizes(
                max(size, self.sizes[w].derivative / length), self.sizes[w].output
            )
            for directions, estimates in zip(tried, known, strict=True):
                by = [d.name for d in directions]
                for mode in self.modes:
                    got = self.levels.derivative(mode, w, directions)
                    found = self.limits.compare(w.name, by, mode, got, estimates[j], self.sizes[w])
                    self.pairs.append(EntryPair(found, w, directions))

    def directions(self, order: int) -> list[tuple[Vector, ...]]:
        """Along what derivatives of an order are compared: fewer of a long call."""
        subject = self.subject
        found = vectors.directions(subject.names, subject.numbers, order)
        one = len(self.graph.steps()) * 2**order * (6 if self.bent else 2)
        most = max(FEWEST, MOST_OPERATIONS // max(one, 1))
        if len(found) <= most:
            return found
        return random.Random(vectors.seed).sample(found, most)

    # --- the verdict --------------------------------------------------------------

    def judged(self, blame: Blame) -> Report:
        """The report, once it is clear who is to blame."""
        pairs = self.rounded()
        wrong = [x.comparison for x in pairs if x.comparison.verdict == WRONG]
        culprits = blame.culprits(wrong)
        reasons: list[str] = []
        if wrong and not culprits:
            reasons = blame.excuses(sure=self.sure(wrong)) or self.second_opinion(pairs)
        comparisons = [x.comparison for x in pairs]
        if reasons:
            comparisons = [excused(x, reasons[0]) for x in comparisons]
        verdicts = {x.verdict for x in comparisons}
        bad = culprits or WRONG in verdicts
        verdict = WRONG if bad else OPEN if OPEN in verdicts or not verdicts else RIGHT
        if verdict == OPEN:
            reasons += blame.kinks() or [x.reason for x in comparisons if x.reason]
        outputs = blame.outputs(wrong) if bad else []
        return Report(named(self.subject.f), verdict, comparisons, culprits, reasons, outputs)

    def second_opinion(self, pairs: Sequence[EntryPair]) -> list[str]:
        """Whether rounding is why derivatives seem wrong: every rule is right, and so is the sweep.

        To order 2 the local derivatives are added up along all paths; beyond, the derivative of
        what was found before, in doubles, has the last word.
        """
        if not self.faithful:
            return []
        for pair in pairs:
            if pair.comparison.verdict == WRONG and not self.rounding_explains(pair):
                return []
        return ["rounding makes it: every rule on the way is right, and their sum is, too"]

    def rounding_explains(self, pair: EntryPair) -> bool:
        """Whether a derivative is what rules that are right make of doubles."""
        got, j = pair.comparison.got, self.weights.index(pair.weights)
        if len(pair.directions) > 2:
            known = self.rough(pair.directions)[j:]
            return bool(known) and abs(got - known[0].value) <= DOUBT * known[0].error
        total, size = chain_rule(
            self.rules, pair.weights.vector, [d.vector for d in pair.directions]
        )
        return abs(got - total) <= 2.0**-40 * size

    def sure(self, wrong: Sequence[Comparison]) -> bool:
        """Whether the judges of what is wrong know it well."""
        return any(DOUBT * x.error <= SHARP * max(abs(x.expected), abs(x.got)) for x in wrong)

    def rounded(self) -> list[EntryPair]:
        """The comparisons, once it is known what rounding does where they seem to be wrong."""
        if not (self.run and self.faithful):
            return self.pairs
        source = random.Random(vectors.seed)
        runs = [self.precise(lambda: NUDGE * source.uniform(-1, 1)) for _ in range(NUDGED)]
        found, left = [], 16
        for pair in self.pairs:
            if pair.comparison.verdict == WRONG and left:
                left -= 1
                pair = pair._replace(comparison=self.conditioned(pair, runs))
            found.append(pair)
        return found

    def conditioned(self, pair: EntryPair, runs: Sequence[Any]) -> Comparison:
        """A comparison with the error that rounding may make."""
        found, j = pair.comparison, self.weights.index(pair.weights)
        others = [self.exact(run, pair.directions) for run in runs if run]
        spread = max([abs(x[j].value - found.expected) for x in others if x], default=0.0)
        if not abs(found.got - found.expected) <= ROUNDED * spread:
            return found
        if ROUNDED * spread <= SHARP * abs(found.expected):
            return found._replace(verdict=RIGHT)
        reason = f"rounding alone moves it by {spread:.1g}: f is ill-conditioned there"
        return found._replace(verdict=OPEN, reason=reason)


def excused(comparison: Comparison, reason: str) -> Comparison:
    """A comparison that seems wrong, and cannot be judged for that reason."""
    if comparison.verdict != WRONG:
        return comparison
    return comparison._replace(verdict=OPEN, reason=reason)


def _numbers_at(f: Callable[[Any], list[Any]], point: list[float]) -> list[float] | None:
    return numbers(lambda _: f(point), 0.0)


def _equal(found: Sequence[float], again: Sequence[float]) -> bool:
    pairs = zip(found, again, strict=True)
    return all(a == b or a != a != b != b or abs(a - b) <= 8 * NUDGE * abs(a) for a, b in pairs)
