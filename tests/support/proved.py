"""docs/operations.md: the table's rows in formulas, with their proofs and bounds.

As a program, ``PYTHONPATH=tests python -m support.proved``, it writes the table anew.
"""

import functools
import re

import sympy

from miniflow.ops import TABLE
from miniflow.testing import prove
from miniflow.testing.proofs import operand_names
from support import accuracy
from support.project import ROOT

DOCUMENT = ROOT / "docs" / "operations.md"
START = "<!-- The table is printed by tests/support/proved.py. -->\n\n"
HEAD = ["row", "value", "partials", "proof", "measured at", "order 1", "2", "3", "4"]

# What a value is called, where its cases say less; of n operands, or with the whole number n.
USUAL = {
    "where": r"b \text{ if } a \neq 0 \text{ else } c",
    "floor": r"\lfloor x \rfloor",
    "ceil": r"\lceil x \rceil",
    "trunc": r"n: x \text{ without its fraction}",
    "rint": r"n: \text{nearest to } x",
    "round_to": r"a \text{ to } b \text{ decimals}",
    "exponent": r"\lfloor \log_2 \lvert x \rvert \rfloor + 1",
    "floordiv": r"n = \lfloor a / b \rfloor",
    "mod": r"a - n b, n = \lfloor a / b \rfloor",
    "fmod": r"a - n b, n: a / b \text{ without its fraction}",
    "remainder": r"a - n b, n: \text{nearest to } a / b",
    "ldexp": r"2^n a, n = \lfloor b \rfloor",
    "abs": r"\lvert x \rvert",
    "sign": r"\operatorname{sgn} x",
    "copysign": r"\lvert a \rvert \operatorname{sgn} b",
    "equal": r"1 \text{ if } a = b \text{ else } 0",
    "nextafter": r"\text{the double next to } a, \text{ towards } b",
    "take": r"x_{\lfloor i \rfloor + 1}",
    "tally": r"\text{how many are } x_1",
    "sum": r"x_1 + \dots + x_n",
    "fsum": r"x_1 + \dots + x_n",
    "dot": r"x_1 x_{m+1} + \dots + x_m x_{2m}",
    "max_of": r"\max(x_1, \dots, x_n)",
    "min_of": r"\min(x_1, \dots, x_n)",
}
USUAL_PARTIALS = {
    "copysign": [r"\operatorname{sgn}(a b)", "0"],
    "mod": ["1", "-n"],
    "fmod": ["1", "-n"],
    "remainder": ["1", "-n"],
    "ldexp": ["2^n", "0"],
    "sum": ["1"],
    "fsum": ["1"],
    "dot": [r"x_{m+k} \text{ or } x_{k-m}"],
    "max_of": [r"1 \text{ of the largest, else } 0"],
    "min_of": [r"1 \text{ of the smallest, else } 0"],
    "digamma": [r"\zeta(2, x)"],
    "take": [r"1 \text{ of the one taken, else } 0"],
    "tally": ["0"],
}

NAMES = {r"\operatorname{polygamma}(0,x)": r"\psi(x)", r"\operatorname{loggamma}": r"\log \Gamma"}

proof = functools.cache(lambda name: prove(TABLE[name]))


@functools.cache
def shortest(e):
    """The LaTeX of an expression, as short as SymPy finds it."""
    ways = [e, sympy.powsimp(e), sympy.simplify(e), sympy.factor_terms(e)]
    return min(map(written, ways), key=len)


def written(e):
    """An expression in LaTeX, with the names that people have for functions."""
    text = re.sub(r"\{\\left\(([^()]*?) \\right\)\}", r"(\1)", sympy.latex(e))
    for name, usual in NAMES.items():
        text = text.replace(name, usual)
    return text


def by_case(pieces):
    """Formulas with their conditions, as one formula."""
    groups = {}
    for conditions, e in pieces:
        groups.setdefault(shortest(e), []).append(conditions)
    if len(groups) == 1:
        return next(iter(groups))
    lines = [e + " & " + r" \text{ or } ".join(map(all_of, found)) for e, found in groups.items()]
    return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}"


def all_of(conditions):
    return ", ".join(map(sympy.latex, conditions))


def value(name):
    return USUAL.get(name) or by_case([(x.conditions, x.value) for x in proof(name).pieces])


def partials(name):
    """A row's partials, which are proved to be the derivatives that are shown."""
    if name in USUAL_PARTIALS:
        return USUAL_PARTIALS[name]
    pieces, op = proof(name).pieces, TABLE[name]
    symbols = [sympy.Symbol(x, real=True) for x in operand_names(op, op.arity)]
    return [by_case([(x.conditions, like(x.partials[k], x.value, symbols[k])) for x in pieces])
            for k in range(op.arity)]  # fmt: skip


def like(partial, value, symbol):
    """A partial, or the derivative that it is proved to be, if that is shorter."""
    slope = sympy.diff(value, symbol)
    return min((partial, slope), key=lambda e: len(shortest(e))) if partial else partial


def line(name):
    """A row of the printed table."""
    known, bound = proof(name), accuracy.BOUNDS.get(name, accuracy.STRAIGHT)
    why = f": {known.why}" if known.why else ""
    bounds = ["", *["–"] * 4] if TABLE[name].flat else [bound.measure, *map(str, bound.ulps)]
    cells = [f"`{name}`", f"${value(name)}$", ", ".join(f"${x}$" for x in partials(name))]
    return " | ".join([*cells, known.how + why, *bounds]).join(["| ", " |"])


def table():
    """All rows, as Markdown."""
    head = ["", *HEAD, ""], ["", *["---"] * len(HEAD), ""]
    lines = ["|".join(cells) for cells in head] + [line(name) for name in TABLE]
    return "\n".join(lines) + "\n"


def main():
    text = DOCUMENT.read_text(encoding="utf-8").partition(START)[0]
    DOCUMENT.write_text(text + START + table(), encoding="utf-8")


if __name__ == "__main__":
    main()
