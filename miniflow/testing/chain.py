"""The chain rule once more, by hand: what local derivatives add up to along all paths.

Where a derivative is not what it should be although every rule is right, this tells rounding from
a sweep that is wrong. Each sum comes with that of its terms' sizes.

Source: Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), chapter 5, for the second order.
"""

from collections.abc import Sequence

from miniflow.testing.rules import Rules

Sums = tuple[float, float]


def chain_rule(
    rules: Rules, weights: Sequence[float], directions: Sequence[Sequence[float]]
) -> Sums:
    """The derivative of weighted outputs in one direction or two, and the size of its terms."""
    exact = _Chain(rules, weights, directions, size=False)
    return exact.total, _Chain(rules, weights, directions, size=True).total


class _Chain:
    """One pass forward and one back; of absolute values if `size`."""

    def __init__(
        self, rules: Rules, weights: Sequence[float], directions: Sequence[Sequence[float]], *,
        size: bool,
    ) -> None:  # fmt: skip
        self.rules, self.graph, self.order = rules, rules.graph, len(directions)
        self.form = abs if size else float
        count = len(self.graph.ops)
        self.tangents, self.adjoints, self.changes = ([0.0] * count for _ in range(3))
        if self.order > 1:
            self.forward(directions[1])
        for k, w in zip(self.graph.outputs, weights, strict=True):
            self.adjoints[k] += self.form(w)
        for k in reversed(self.graph.steps()):
            self.back(k)
        found = self.changes if self.order > 1 else self.adjoints
        pairs = zip(self.graph.places, directions[0], strict=True)
        self.total = sum([found[k] * self.form(v) for places, v in pairs for k in places if v])

    def forward(self, direction: Sequence[float]) -> None:
        """Carry a direction on to all entries."""
        for places, v in zip(self.graph.places, direction, strict=True):
            for k in places:
                self.tangents[k] = self.form(v)
        for k in self.graph.steps():
            slopes, _ = self.rules.rule(k, 1)
            pairs = zip(self.graph.operands[k], slopes, strict=True)
            self.tangents[k] = sum([self.form(s) * self.tangents[x] for x, s in pairs if s])

    def back(self, k: int) -> None:
        """Pass an entry's adjoint on to its operands, and how it changes in the direction."""
        operands = self.graph.operands[k]
        slopes, bends = self.rules.rule(k, self.order)
        adjoint, change = self.adjoints[k], self.changes[k]
        for j, x in enumerate(operands):
            slope = self.form(slopes[j])
            self.adjoints[x] += adjoint * slope if slope else 0.0
            self.changes[x] += change * slope if slope else 0.0
            if self.order > 1 and j in bends:
                pairs = zip(operands, bends[j], strict=True)
                bend = sum([self.form(b) * self.tangents[z] for z, b in pairs if b])
                self.changes[x] += adjoint * bend if bend else 0.0
