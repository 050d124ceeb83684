"""A derivative beside what is known of it: right, wrong, or nobody can tell."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from miniflow.testing.judges import DOUBT, NOTHING, Estimate
from miniflow.testing.report import OPEN, RIGHT, WRONG, Comparison, derivative_name

PASSES = 1e-9  # the relative error that passes, besides the judge's own and that of rounding
SHARP = 2e-7  # how well a derivative has to be known, relative to itself
NEXT_TO_NOTHING = 1e-10  # what a derivative is that is small beside the output
TOO_LARGE = 1e12  # slopes above are those of a jump
ROUNDING = 2.0**-46  # of the largest derivative of an output: what sums may lose


class Sizes(NamedTuple):
    """What an error of a derivative may be compared with.

    Attributes:
        derivative: the largest derivative of that order and output.
        output: the output itself, over the size of the inputs as often as it is differentiated.
    """

    derivative: float
    output: float


class Limits(NamedTuple):
    """The errors that pass, relative and absolute."""

    rtol: float = PASSES
    atol: float = 0.0

    def compare(
        self, of: str, by: Sequence[str], mode: str, got: float, known: Estimate, sizes: Sizes
    ) -> Comparison:
        """A derivative with a verdict.

        Args:
            of: the output.
            by: the inputs, one for each order.
            mode: "rev", "fwd" or "grad".
            got: what the mode says.
            known: what the judge says.
            sizes: of the output and its derivatives.
        """
        verdict, reason = self.verdict(got, known, sizes)
        name = derivative_name(of, by)
        return Comparison(
            of, len(by), mode, name, got, known.value, known.error, known.judge, verdict, reason
        )

    def verdict(self, got: float, known: Estimate, sizes: Sizes) -> tuple[str, str]:
        """The verdict, and why there is none."""
        if known.reason or not math.isfinite(known.value):
            sides = math.isfinite(known.left) and abs(known.left) < TOO_LARGE > abs(known.right)
            apart = known.left != known.right
            told = f": {known.left:.6g} from the left, {known.right:.6g} from the right"
            return OPEN, (known.reason or "there is no derivative") + told * (sides and apart)
        doubt = DOUBT * known.error
        passes = self.rtol * abs(known.value) + self.atol + doubt + ROUNDING * sizes.derivative
        if not abs(got - known.value) <= passes:
            return WRONG, ""
        sharp = max(SHARP, self.rtol) * abs(known.value) + self.atol + NOTHING
        if abs(known.value) <= doubt:  # it may be 0, and then its own size says nothing
            sharp = max(sharp, NEXT_TO_NOTHING * sizes.output)
        if doubt <= max(sharp, PASSES * sizes.derivative):
            return RIGHT, ""
        return OPEN, f"it is too steep, or rounding is too large: known to {doubt:.1g} only"
