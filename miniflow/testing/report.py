"""What a check of derivatives found: a verdict, what was compared, and who is to blame."""

import linecache
import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from miniflow.util.notebook import InNotebook

RIGHT, WRONG, OPEN = "right", "wrong", "inconclusive"
MOST_LISTED = 5
PARTIAL = "\N{PARTIAL DIFFERENTIAL}"
POWERS = {1: "", 2: "\N{SUPERSCRIPT TWO}", 3: "\N{SUPERSCRIPT THREE}"}


class GradientError(AssertionError):
    """A derivative is wrong.

    Attributes:
        report: what was found.
    """

    def __init__(self, report: "Report") -> None:
        super().__init__(str(report))
        self.report = report


class InconclusiveWarning(UserWarning):
    """Nobody can tell whether a derivative is right: there is a kink, or it is too steep."""


class Comparison(NamedTuple):
    """One derivative, in one mode.

    Attributes:
        of: the output that is differentiated.
        order: how often.
        mode: "rev", "fwd" or "grad".
        name: the derivative, such as "∂y/∂x[1]".
        got, expected: what the mode says, what the judge says.
        error: by how much the judge may be off.
        judge: who says what is expected.
        verdict: "right", "wrong" or "inconclusive".
        reason: why it is inconclusive.
    """

    of: str
    order: int
    mode: str
    name: str
    got: float
    expected: float
    error: float
    judge: str
    verdict: str
    reason: str = ""

    def told(self, modes: Sequence[str]) -> str:
        """The comparison in words; several modes may have found the same."""
        head = f"{self.name}, {' and '.join(MODES[mode] for mode in modes)}: got {self.got!r}"
        if self.reason:
            return f"{head}; {self.reason}"
        off = distance(self.got, self.expected)
        return f"{head}, expected {self.expected!r} ({self.judge}): {off}"


MODES = {"rev": "reverse mode", "fwd": "forward mode", "grad": "grad="}


class Culprit(NamedTuple):
    """An operation to blame, or a number.

    Attributes:
        what: what is wrong with it, in words.
        brief: the same in a few.
        op: the name of the operation; "" if it is a number.
        file, line: where it was recorded; "" and 0 if that is not known.
        operands: the numbers that it was given.
        name: the local derivative, such as "∂tanh/∂x".
        got, expected: the local derivative; nan if it is not one that is wrong.
        value: the Value that stands for it, to be drawn.
    """

    what: str
    brief: str
    op: str
    file: str
    line: int
    operands: tuple[float, ...]
    name: str
    got: float
    expected: float
    value: Any

    @property
    def ulps(self) -> float:
        """How many units in the last place it is off."""
        return ulps_between(self.got, self.expected)

    @property
    def source(self) -> str:
        """The line of source that recorded it."""
        return linecache.getline(self.file, self.line).strip()

    def lines(self) -> list[str]:
        """What to say of it, in lines."""
        place = f" at {short(self.file)}:{self.line}" if self.line else ""
        found = [f"culprit{place}: {self.what}"]
        if self.source:
            found.append(f"    {self.source}")
        if self.name:
            given = ", ".join(map(repr, self.operands))
            found.append(f"    {self.name} at ({given})")
            found.append(f"    got {self.got!r}, expected {self.expected!r}: "
                         f"{distance(self.got, self.expected)}")  # fmt: skip
        return found


class Report(InNotebook):
    """What `check_grads` found.

    Attributes:
        function: what was checked, in words.
        verdict: "right", "wrong", or "inconclusive".
        comparisons: all derivatives that were compared.
        culprits: the operations or numbers to blame, the first one first.
        reasons: why it is inconclusive, in words.
        outputs: Values of a call, to be drawn; empty where f records nothing.
    """

    def __init__(
        self, function: str, verdict: str, comparisons: Sequence[Comparison],
        culprits: Sequence[Culprit] = (), reasons: Sequence[str] = (), outputs: Sequence[Any] = (),
    ) -> None:  # fmt: skip
        self.function = function
        self.verdict = verdict
        self.comparisons = list(comparisons)
        self.culprits = list(culprits)
        self.reasons = list(dict.fromkeys(reasons))
        self.outputs = list(outputs)

    def __bool__(self) -> bool:
        """Whether the derivatives are right."""
        return self.verdict == RIGHT

    @property
    def culprit(self) -> Culprit | None:
        """Who is to blame first of all."""
        return self.culprits[0] if self.culprits else None

    def of(self, verdict: str) -> list[Comparison]:
        """The comparisons with that verdict, the worst first."""
        found = [x for x in self.comparisons if x.verdict == verdict]
        return sorted(found, key=lambda x: (x.order, -_relative(x.got, x.expected)))

    def __repr__(self) -> str:
        return f"<{self.verdict}: {len(self.comparisons)} derivatives of {self.function}>"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The report, in lines."""
        orders = sorted({x.order for x in self.comparisons})
        counts = [(sum(x.order == order for x in self.comparisons), order) for order in orders]
        told = ", ".join(f"{count} of order {order}" for count, order in counts)
        found = [f"derivatives of {self.function}: {self.verdict} (compared {told or 'none'})"]
        found += _comparison_lines(self.of(WRONG))
        for culprit in self.culprits[:MOST_LISTED]:
            found += culprit.lines()
        if self.verdict == OPEN:
            found += [f"because {reason}" for reason in self.reasons[:MOST_LISTED]]
            found += _comparison_lines(self.of(OPEN))
        if self.verdict == RIGHT:
            judges = ", ".join(sorted({x.judge for x in self.comparisons}))
            found.append(f"  judged by {judges}")
        return found

    def draw(self, path: Any = None, **options: Any) -> Any:
        """The graph of the call as a diagram, the culprits red.

        Args:
            path: a file to write it to; its suffix tells the format.
            options: those of `viz.draw_dot`.

        Returns:
            The diagram, or the path.

        Raises:
            ValueError: f recorded nothing: its gradient was given by grad=.
        """
        if not self.outputs:
            raise ValueError("Report.draw: f records nothing, since its gradient came from grad=")
        marks = {x.value: mark(x) for x in self.culprits if x.value is not None}
        drawn = import_module("viz.diagram.marking").draw_marked(self.outputs, marks, **options)
        return drawn if path is None else import_module("viz").render(drawn, path)


def mark(culprit: Culprit) -> tuple[str, str]:
    """What a diagram says beside a culprit, in two lines at most."""
    if not culprit.name:
        return culprit.brief, ""
    return f"{culprit.name} = {culprit.got:.6g}", f"should be {culprit.expected:.6g}"


def _comparison_lines(comparisons: Sequence[Comparison]) -> list[str]:
    alike: dict[str, list[Comparison]] = {}
    for x in comparisons:
        alike.setdefault(x.told(()), []).append(x)
    found = [f"  {xs[0].told([x.mode for x in xs])}" for xs in alike.values()]
    more = len(found) - MOST_LISTED
    return [*found[:MOST_LISTED], f"  ... and {more} more"] if more > 0 else found


# --- numbers in words -------------------------------------------------------------


def ulps_between(got: float, expected: float) -> float:
    """How many units in the last place of the expected number another one is off.

    Example:
        >>> ulps_between(1.0 + 2**-51, 1.0), ulps_between(1.0, float("nan"))
        (2.0, inf)
    """
    if got == expected or (got != got and expected != expected):
        return 0.0
    if not (math.isfinite(got) and math.isfinite(expected)):
        return math.inf
    far = abs(got) > 1e300 or abs(expected) > 1e300
    off = 2 * abs(got / 4 - expected / 4) if far else abs(got - expected) / 2  # no overflow
    return 2 * (off / math.ulp(expected))


def short_number(x: float) -> str:
    """A number to three digits.

    Example:
        >>> short_number(1.0), short_number(2 / 3)
        ('1', '0.667')
    """
    return f"{x:.3g}"


def distance(got: float, expected: float) -> str:
    """The distance in words: relative, and in units in the last place.

    Example:
        >>> distance(1.5, 1.0)
        'off by 50 %, 2.25e+15 ulp'
    """
    ulps = ulps_between(got, expected)
    if not ulps:
        return "equal"
    if not (math.isfinite(got) and math.isfinite(expected)):
        return "not a number that is near"
    if not expected:
        return f"off by {abs(got):.3g}"
    share = _relative(got, expected)
    part = f"{100 * share:.3g} %" if 1e-4 < share < 10 else f"{share:.2g} times its size"
    return f"off by {part}, {ulps:.3g} ulp"


def _relative(got: float, expected: float) -> float:
    if not (math.isfinite(got) and math.isfinite(expected)):
        return math.inf
    return abs(got - expected) / abs(expected) if expected else math.inf


def derivative_name(of: str, by: Sequence[str]) -> str:
    """The name of a derivative.

    Example:
        >>> derivative_name("y", ["x"]), derivative_name("y", ["a", "b"])
        ('∂y/∂x', '∂²y/∂a∂b')
    """
    below = "".join(PARTIAL + name for name in by)
    return f"{PARTIAL}{POWERS.get(len(by), f'^{len(by)} ')}{of}/{below}"


def short(file: str) -> str:
    """A file's name from where one stands."""
    try:
        return Path(file).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return file
