"""Derivatives from values alone: three judges that know no rule.

Each judge takes a *curve*, a function of one number t that returns a list of numbers, and answers
with its derivative at t = 0, an *estimate* for each of them:

    extrapolated   differences of doubles, for ever smaller steps, extrapolated to step 0
    complex_step   one call with a complex number; for curves that take it
    exact          differences in as many digits as it takes; for curves that run on mpmath

An estimate knows how sure it is: by how much it may be off, and the derivatives from the left and
from the right, which differ at a kink.

Sources: Ridders, Accurate computation of F'(x) and F'(x)F''(x), Advances in Engineering Software 4
(1982), for extrapolation and its error; Squire & Trapp, Using complex variables to estimate
derivatives of real functions, SIAM Review 40 (1998), for the complex step.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from miniflow.testing.twins import context

Curve = Callable[[Any], Sequence[Any]]

DIGITS = 30  # of exact answers
RATIO = 1.7  # from a step to the next one; a power of 2 would meet a function's period
SHORT_STEP = 1e-3  # a first step for which rounding may be too large
MOST_REFINEMENTS = 44
FEWEST_STEPS = 12
SURE = 1e-11  # an error, relative to the derivative, at which smaller steps are not tried
DOUBT = 20.0  # by how much an error may be larger than its estimate
TINY_SCALE = 1e-12
NOTHING = 1e-60  # a derivative so small is none
SMALLEST_SCALE = 1e-290  # a scale; smaller steps would be none
NOISE = 8 * 2.0**-53  # what a value's own rounding is taken for, relative to the largest value


class Estimate(NamedTuple):
    """A derivative from values.

    Attributes:
        value: the derivative; nan if there is none to be had.
        error: by how much it may be off.
        left, right: the derivatives from both sides.
        judge: who says so.
        reason: why it cannot be told, or "".
    """

    value: float
    error: float
    left: float
    right: float
    judge: str
    reason: str = ""

    def sure(self, share: float, size: float = 0.0) -> bool:
        """Whether it is known to that share of itself, or of a size."""
        return not self.reason and self.error <= share * max(abs(self.value), size)


def unknown(judge: str, reason: str) -> Estimate:
    """An estimate that is none."""
    return Estimate(math.nan, math.inf, math.nan, math.nan, judge, reason)


# --- differences of doubles -------------------------------------------------------


def differences(curve: Curve, step: float) -> list[Estimate]:
    """`extrapolated` from a first step, and where that is short from a longer one, as well."""
    found = extrapolated(curve, step)
    if step >= SHORT_STEP:
        return found
    wide = extrapolated(curve, 100 * SHORT_STEP)
    return [min(x, key=_hesitation) for x in zip(found, wide, strict=True)]


def _hesitation(x: Estimate) -> tuple[bool, float]:
    return bool(x.reason), x.error


def extrapolated(curve: Curve, step: float) -> list[Estimate]:
    """Ridders' method, towards 0 from a first step.

    Args:
        curve: what is differentiated; where it has no numbers it may raise or return nan.
        step: the first step, in units of t: about as far as the curve changes little.
    """
    centre = numbers(curve, 0.0)
    if centre is None:
        return []
    walks, step = [_Slopes(y) for y in centre], max(step, SMALLEST_SCALE)
    for k in range(MOST_REFINEMENTS):
        h = step / RATIO**k
        above, below = numbers(curve, h), numbers(curve, -h)
        nowhere = [math.nan] * len(walks)
        for walk, up, down in zip(walks, above or nowhere, below or nowhere, strict=True):
            walk.add(h, up, down)
        if k >= FEWEST_STEPS and all(walk.done() for walk in walks):
            break
    return [walk.estimate() for walk in walks]


def numbers(curve: Curve, t: float) -> list[float] | None:
    """The curve at t; None where it raises as Python's functions do outside of their domain."""
    try:
        return [float(y) for y in curve(t)]
    except (ArithmeticError, ValueError):
        return None


class _Slopes:
    """Differences of one number of a curve, and their extrapolations."""

    def __init__(self, centre: float) -> None:
        self.centre = centre
        self.steps: list[float] = []
        self.slopes = _Tableau(2), _Tableau(1), _Tableau(1)  # central, from the right, the left
        self.size = abs(centre)

    def add(self, h: float, up: float, down: float) -> None:
        """Go on to the next step; where there is no number on both sides, it does not count."""
        if not (math.isfinite(up) and math.isfinite(down) and math.isfinite(self.centre)):
            self.steps.clear()
            self.slopes = _Tableau(2), _Tableau(1), _Tableau(1)
            return
        self.steps.append(h)
        self.size = max(abs(self.centre), abs(up), abs(down)) if len(self.steps) == 1 else self.size
        central, right, left = self.slopes
        noise = NOISE * self.size / h
        central.add((up - down) / h / 2, noise)
        right.add((up - self.centre) / h, noise)
        left.add((self.centre - down) / h, noise)

    def done(self) -> bool:
        """Whether smaller steps would say nothing new."""
        central = self.slopes[0]
        settled = len(self.steps) >= FEWEST_STEPS
        return settled and central.error <= SURE * abs(central.best) and not self.bent()

    def bent(self) -> bool:
        """Whether the slopes from both sides differ, by more than they may be off."""
        _, right, left = self.slopes
        doubt = DOUBT * (right.error + left.error)
        return abs(right.best - left.best) > doubt + 1e-9 * abs(right.best)

    def estimate(self) -> Estimate:
        """What the differences say."""
        central, right, left = self.slopes
        judge = "Richardson extrapolation"
        if len(self.steps) < FEWEST_STEPS:
            return unknown(judge, "there are no numbers on both sides: the edge of its domain")
        if not central.settles():
            return unknown(judge, "a kink, a jump or rounding is too near to tell")
        found = Estimate(central.best, central.error, left.best, right.best, judge)
        return found._replace(reason="a kink") if self.bent() else found


class _Tableau:
    """Neville's scheme for slopes at steps that shrink by RATIO, whose errors are powers of them.

    Args:
        power: with which power of the step the error begins; it is that of each next term, too.
    """

    def __init__(self, power: int) -> None:
        self.factor = RATIO**power
        self.slopes: list[float] = []
        self.noises: list[float] = []
        self.row: list[float] = []
        self.best, self.error, self.from_ = math.nan, math.inf, 0

    def add(self, slope: float, noise: float) -> None:
        """Take one more slope, and what of it may be rounding."""
        row, factor = [slope], 1.0
        for older in self.row:
            factor *= self.factor
            row.append(row[-1] + (row[-1] - older) / (factor - 1))
            if len(row) > 10:  # higher powers are rounding
                break
        for k in range(1, len(row)):
            error = max(abs(row[k] - row[k - 1]), abs(row[k] - self.row[k - 1])) + 2 * noise
            if error < self.error:
                self.best, self.error, self.from_ = row[k], error, len(self.slopes)
        self.row = row
        self.slopes.append(slope)
        self.noises.append(noise)

    def settles(self) -> bool:
        """Whether slopes at smaller steps stay where the best answer is, up to rounding."""
        if not math.isfinite(self.best) or self.stair():
            return False
        allowed = abs(self.slopes[self.from_] - self.best) + DOUBT * self.error
        later = zip(self.slopes[self.from_ :], self.noises[self.from_ :], strict=True)
        return all(abs(slope - self.best) <= allowed + 4 * noise for slope, noise in later)

    def stair(self) -> bool:
        """Whether values, at small steps, suddenly do not change at all: they are rounded ones."""
        moving = [k for k, slope in enumerate(self.slopes) if slope]
        last = moving[-1] if moving else -1
        suddenly = last >= 0 and abs(self.slopes[last]) > 4 * self.noises[last]
        return suddenly and last < len(self.slopes) - 2


# --- a complex step ---------------------------------------------------------------


def complex_step(curve: Curve) -> list[Estimate]:
    """The imaginary parts at a step along the imaginary axis; nothing if it cannot be taken."""
    step = 2.0**-200
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy warns where it drops an imaginary part
            found = list(curve(complex(0.0, step)))
            centre = numbers(curve, 0.0) or []
    except Exception:
        return []  # it is not for complex numbers
    if not found or not all(isinstance(y, complex) for y in found) or len(found) != len(centre):
        return []
    if not all(_same_value(y.real, x) for y, x in zip(found, centre, strict=True)):
        return []
    slopes = [float(y.imag) / step for y in found]
    return [Estimate(d, 1e-13 * abs(d), d, d, "complex step") for d in slopes]


def _same_value(a: float, b: float) -> bool:
    return math.isfinite(a) and abs(a - b) <= 1e-9 * max(abs(a), abs(b))


# --- as many digits as it takes ---------------------------------------------------


def exact(
    curve: Curve, scale: float = 1.0, order: int = 1, *, largest: float = 1.0, sides: bool = True,
    wide: float = 1.0,
) -> list[Estimate]:  # fmt: skip
    """Differences in mpmath's numbers, so many that DIGITS digits are right.

    Args:
        curve: what is differentiated, in mpmath's numbers; with `order` > 1 a function of a list
            of so many numbers, differentiated once by each of them. It may raise.
        scale: as far as the curve is smooth, at least.
        order: how often to differentiate.
        largest: the size of the largest number that t is added to.
        sides: whether to look for a kink.
        wide: what to try first where `scale` is tiny.

    Returns:
        The estimates; none if mpmath is not installed or the curve does not run on it.
    """
    try:
        context()
    except ImportError:
        return []
    if scale < TINY_SCALE:  # most functions do not change there, and few digits will do
        found = _exact_at(wide, curve, order, largest, sides=True)
        if found and all(map(_is_clear, found)):
            return found
    return _exact_at(max(scale, SMALLEST_SCALE), curve, order, largest, sides=sides)


def _is_clear(found: Estimate) -> bool:
    """Whether an estimate is sharp, or nothing at all happens near the point."""
    size = max(abs(found.value), abs(found.left), abs(found.right))
    return not found.reason and (found.error <= SURE * abs(found.value) or size <= NOTHING)


def _exact_at(
    scale: float, curve: Curve, order: int, largest: float, *, sides: bool
) -> list[Estimate]:
    mp = context()
    span = order * abs(math.log10(scale)) + max(0.0, math.log10(largest))
    with mp.workdps(DIGITS + 35 * (order + 1) + int(span)):
        try:
            return _exact_differences(mp, curve, mp.mpf(scale), order, sides=sides)
        except Exception:
            return []  # it does not run on mpmath, or leaves the real numbers


def _exact_differences(
    mp: Any, curve: Curve, scale: Any, order: int, *, sides: bool
) -> list[Estimate]:
    steps = [scale * mp.mpf(10) ** -k for k in (DIGITS - 10, DIGITS - 7)]
    first, second = (_central_difference(mp, curve, h, order, mp.zero) for h in steps)
    if not sides:
        return [_smooth(a, b) for a, b in zip(first, second, strict=True)]
    asides = [scale * mp.mpf(10) ** -k for k in (DIGITS // 2, DIGITS // 2 + 3)]
    around_the_point = [
        _central_difference(mp, curve, steps[1], order, x) for a in asides for x in (-a, a)
    ]
    return [
        _kinked(_smooth(a, b), b, [x for x, _ in around[:2]], [x for x, _ in around[2:]])
        for a, b, *around in zip(first, second, *around_the_point, strict=True)
    ]


def _central_difference(
    mp: Any, curve: Curve, h: Any, order: int, aside: Any
) -> list[tuple[Any, Any]]:
    """The central difference of that order, so far aside, and what of it may be rounding."""
    total: list[Any] = []
    size: list[Any] = []
    for corner in range(2**order):
        signs = [1 - 2 * (corner >> k & 1) for k in range(order)]
        moved = [aside + sign * h for sign in signs]
        found = curve(moved if order > 1 else moved[0])
        sign = math.prod(signs)
        total = [t + sign * y for y, t in zip(found, total or [mp.zero] * len(found), strict=True)]
        size = [max(t, abs(y)) for y, t in zip(found, size or [mp.zero] * len(found), strict=True)]
    unit = 1 / (2 * h) ** order
    lost = unit * mp.mpf(10) ** (5 - mp.dps)
    return [(unit * t, lost * y) for t, y in zip(total, size, strict=True)]


def _smooth(first: tuple[Any, Any], second: tuple[Any, Any]) -> Estimate:
    (one, _), (other, lost) = first, second
    value = float(other) if abs(other) > lost else 0.0
    error = float(abs(one - other) + lost) + abs(value) * 2.0**-53
    return Estimate(value, error, value, value, f"mpmath, {DIGITS} digits")


def _kinked(
    found: Estimate, second: tuple[Any, Any], far: Sequence[Any], near: Sequence[Any]
) -> Estimate:
    """An estimate with its sides: at a kink they do not come nearer as they come closer."""
    value, lost = second
    apart, closer = (max(abs(value - x) for x in sides) for sides in (far, near))
    floor = 1e-20 * max(abs(value), *map(abs, near)) + 10 * lost
    found = found._replace(left=float(near[0]), right=float(near[1]))
    return found._replace(reason="a kink") if closer > floor and closer > 0.5 * apart else found
