"""What if a number were another: a graph as a program that the page runs.

The page computes what happens in Python elsewhere: the values of all nodes, and every local
derivative, from the numbers that go in. The sweep is its own few lines. Programs are printed as
JavaScript; what has no form there cannot be changed, and the page says why.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from miniflow.operation import BASE, constant
from miniflow.program.freeze import freeze
from miniflow.program.ir import Code
from miniflow.program.javascript import flat_functions, has_javascript
from miniflow.program.structures import NUMBER_LEAF
from viz.output.text import literal
from viz.player import formula
from viz.player.steps import Steps

JSON = dict[str, Any]

PROGRAMS = 6  # on one page
MOST_COMPUTED = 5000  # nodes of a graph that a page computes anew

_ALWAYS = object()  # a partial, for `Op.condition`


class Slope(NamedTuple):
    """An operand that may get a contribution.

    Attributes:
        result, place, operand: the operation's node, the operand's place in it and its node.
        gated: whether nothing is passed back where the local derivative is 0.
    """

    result: int
    place: int
    operand: int
    gated: bool


class Changeable:
    """The programs of a page, and what it needs to show their answers."""

    def __init__(self) -> None:
        self.codes: dict[str, Code] = {}
        self.plans: list[JSON] = []
        self.places: dict[Any, JSON] = {}

    def add(self, steps: Steps) -> JSON:
        """What a run says of its program: its number, or the reason why there is none."""
        baked = [steps.nodes[n].value for n in sorted(_baked(steps))]
        key = steps.structure, steps.rows, tuple(map(repr, baked))
        if key not in self.places:
            self.places[key] = self._added(steps)
        return self.places[key]

    def _added(self, steps: Steps) -> JSON:
        if len(self.plans) == PROGRAMS:
            return _refused(f"This page can recompute {PROGRAMS} graphs, and this is another one.")
        rows = [steps.rows[n] for n in steps.computed]
        foreign = next((op.name for op in rows if not has_javascript(op)), "")
        if foreign:
            return _refused(f"{foreign} is a function of Python, which no page can run.")
        if len(steps.computed) > MOST_COMPUTED:
            return _refused("The graph is too large to be computed anew in a page.")
        slopes = [*_all_slopes(steps)]
        self.codes[f"program{len(self.plans)}"] = _program_code(steps, slopes)
        self.plans.append(_plan(steps, slopes))
        return {"program": len(self.plans) - 1, "refused": ""}

    def script(self, others: Mapping[str, Code]) -> str:
        """All programs as JavaScript: PROGRAMS, and by their names the `others`."""
        codes = {**self.codes, **others}
        names = [f"PROGRAMS: [{', '.join(self.codes)}]", f"PATHS: [{', '.join(others)}]"]
        return (
            f"const {{ PROGRAMS, PATHS }} = (() => {{\n{flat_functions(codes)}"
            f"return {{ {', '.join(names)} }};\n}})();\n"
        )


def _refused(reason: str) -> JSON:
    return {"program": -1, "refused": reason}


# --- the program --------------------------------------------------------------


def _baked(steps: Steps) -> set[int]:
    """Constants that a formula wants to know as plain numbers: exponents."""
    exponents = {steps.nodes[n].operands[1] for n in steps.computed if steps.rows[n].selects & BASE}
    return {n for n in exponents if steps.rows[n] is constant}


def _program_inputs(steps: Steps) -> list[int]:
    """The nodes whose numbers a program takes: all that were not computed."""
    baked = _baked(steps)
    return [n for n, x in enumerate(steps.nodes) if not x.op and n not in baked]


def _program_code(steps: Steps, slopes: list[Slope]) -> Code:
    """From the inputs' numbers to all computed values, then to all local derivatives."""
    inputs = _program_inputs(steps)

    def everything(*xs: Any) -> list[Any]:
        numbers: list[Any] = [x.value for x in steps.nodes]
        for n, x in zip(inputs, xs, strict=True):
            numbers[n] = x
        for n in steps.computed:
            numbers[n] = steps.rows[n](*[numbers[x] for x in steps.nodes[n].operands])
        known = {n: [numbers[x] for x in steps.nodes[n].operands] for n in steps.computed}
        found = [
            steps.rows[slope.result].partial(
                slope.place, known[slope.result], numbers[slope.result]
            )
            for slope in slopes
        ]
        return [*[numbers[n] for n in steps.computed], *found]

    return freeze(
        everything, [steps.nodes[n].value for n in inputs], ((NUMBER_LEAF,) * len(inputs), {})
    )


def _all_slopes(steps: Steps) -> Iterator[Slope]:
    """All that may be passed back, in the order of a sweep."""
    baked = _baked(steps)
    for n in reversed(steps.computed):
        op, operands = steps.rows[n], steps.nodes[n].operands
        # a number stands for a constant, anything else for what may change
        numbers = [steps.nodes[x].value if x in baked else _Any() for x in operands]
        for k, x in enumerate(operands):
            if steps.rows[x] is not constant and op.follows(k):
                condition = op.condition(k, numbers, _ALWAYS)
                if condition is _ALWAYS or condition != 0.0:
                    yield Slope(n, k, x, condition is _ALWAYS)


class _Any:
    """A number that may change; a row takes it for recorded."""

    _record = None


# --- what the page shows ------------------------------------------------------


def _plan(steps: Steps, slopes: list[Slope]) -> JSON:
    known = {(x.result, x.place): x.rule for x in steps.contributions}
    return {
        "inputs": _program_inputs(steps),
        "computed": steps.computed,
        "texts": [_template(steps, n) for n in steps.computed],
        "slopes": [
            [x.result, x.place, x.operand, known.get(x[:2]) or _rule(steps, x), int(x.gated)]
            for x in slopes
        ],
    }


def _rule(steps: Steps, slope: Slope) -> str:
    node = steps.nodes[slope.result]
    operands = [steps.nodes[x] for x in node.operands]
    names = [x.value if x.kind == "constant" else x.name for x in operands]
    return formula.rule(steps.rows[slope.result], slope.place, names, node.name)


def _template(steps: Steps, n: int) -> str:
    """How a node is computed, with places for its operands' numbers.

    ``{0}`` is the first operand's number, ``{(0)}`` the same, in parentheses if it is negative.
    """
    rest = _with_marks(steps, n, "-")
    found = []
    for part in re.split("(⟦.*?⟧)", _with_marks(steps, n, "")):
        if not part.startswith("⟦"):
            found.append(part)
            rest = rest.removeprefix(part)
            continue
        enclosed = f"(-{part})"
        found.append(f"{{({part[1:-1]})}}" if rest.startswith(enclosed) else f"{{{part[1:-1]}}}")
        rest = rest.removeprefix(enclosed).removeprefix(f"-{part}")
    return "".join(found)


def _with_marks(steps: Steps, n: int, sign: str) -> str:
    """How a node is computed, with marks of that sign for its operands' numbers."""
    operands = [steps.nodes[x] for x in steps.nodes[n].operands]
    texts = [
        literal(x.value) if x.kind == "constant" else f"{sign}⟦{k}⟧" for k, x in enumerate(operands)
    ]
    return formula.numeric(steps.rows[n], texts)
