"""The table's rules as C, for the compiled engine: what its installation writes into rules.h."""

from collections.abc import Callable
from typing import Any

from miniflow import ops
from miniflow.ops import Op
from miniflow.program.c import LONGEST_RULE, c_function, has_c
from miniflow.program.expand import expanded, formula_code
from miniflow.program.ir import Code
from miniflow.program.writer import INFIX
from miniflow.tape.choose import source_digest

PARAMETERS = {1: ("a",), 2: ("a", "b"), 3: ("a", "b", "c")}
ARITHMETIC = {*INFIX, "neg"}
TYPES = {1: "Unary", 2: "Binary", 3: "Ternary"}


def _traced(f: Callable[..., Any], count: int) -> Code | None:
    """A formula as a program of rows that C has; None if there is none."""
    program = formula_code(f, count)
    if program is None:
        return None
    rows = {op.name for op in ops.TABLE.values() if has_c(op)}
    program = expanded(program, rows)
    simple = all(has_c(step.op) for step in program.instructions)
    return program if simple and not program.guards else None


def rules_text() -> str:
    """The table's rows of one to three operands as C: what the compiled engine computes with.

    Arrays by an operation's code, its value and its partials, for each number of operands;
    null pointers where Python has to be asked, and where a partial is flat. And the function
    `slopes`: all partials at once, of operations for which that takes no call.
    """
    functions: list[str] = []
    cases: list[str] = []
    helpers: dict[str, str] = {}
    entries: dict[str, list[str]] = {"value1": [], "value2": [], "value3": []}
    entries |= {"partial1": [], "partial2": [], "partial3": []}
    for op in ops.BY_CODE:
        programs = _row_programs(op)
        names = [f"{op.name}_value", *[f"{op.name}_partial{k}" for k in range(op.arity)]]
        pointers = ["0" if x is None else name for name, x in zip(names, programs, strict=True)]
        for arity in PARAMETERS:
            value, *slopes = pointers if op.arity == arity else ["0"] * (arity + 1)
            entries[f"value{arity}"].append(value)
            entries[f"partial{arity}"] += slopes
        for k, (name, program) in enumerate(zip(names, programs, strict=True)):
            if program is not None:
                parameters = PARAMETERS[op.arity] + (("y",) if k else ())
                functions.append(c_function(name, program, helpers, parameters, LONGEST_RULE))
        if op.arity in (1, 2) and all(map(_is_arithmetic, programs[1:])):
            cases += _case(op, names[1:])
    arrays = []
    for name, items in entries.items():
        arity = int(name[-1]) + name.startswith("partial")
        kind = {**TYPES, 4: "Quaternary"}[arity]
        lines = ",\n".join([f"    {x}" for x in items])
        arrays.append(f"static const {kind} {name}[] = {{\n{lines}\n}};\n")
    count = f'#define BUILTINS {len(ops.BY_CODE)}\n#define MADE_OF "{source_digest()}"\n'
    codes = "".join(f"#define CODE_{op.name} {code}\n" for code, op in enumerate(ops.BY_CODE))
    return "\n".join([count, codes, *helpers.values(), *functions, _switch(cases), *arrays])


def _is_arithmetic(program: Code | None) -> bool:
    """Whether there is no call in a program, nor a choice."""
    return program is not None and {x.op.name for x in program.instructions} <= ARITHMETIC


def _case(op: Op, names: list[str]) -> list[str]:
    """The partials of an operation, for the switch."""
    operands = ", ".join([*[f"x[{name}]" for name in PARAMETERS[op.arity]], "y"])
    slopes = [
        f"        *d{x} = {name}({operands});"
        for x, name in zip(PARAMETERS[op.arity], names, strict=True)
    ]
    return [f"    case {op.code}:", *slopes, f"        return {op.arity};"]


def _switch(cases: list[str]) -> str:
    """The function `slopes`, of its cases."""
    lines = "\n".join(cases)
    return f"""/* Partials, where they are plain arithmetic on x[a] and x[b] and the result y.
   How many there are; 0 for other operations. */
static inline int slopes(
    int code, const double *x, Py_ssize_t a, Py_ssize_t b, double y, double *da, double *db)
{{
    switch (code) {{
{lines}
    default:
        return 0;
    }}
}}
"""


def _row_programs(op: Op) -> list[Code | None]:
    """A row's value and partials as programs, None where it is flat.

    None for all of them if Python has to be asked for one.
    """
    if op not in ops.BUILTIN or op.arity not in PARAMETERS:
        return [None] * (1 + max(op.arity, 0))
    rules = [rule for rule in op.partials if rule is not None]
    value = _traced(op if has_c(op) else op.value, op.arity)
    slopes = [_traced(_formula(rule), op.arity + 1) for rule in rules]
    if None in (value, *slopes):
        return [None] * (1 + op.arity)
    rest = iter(slopes)
    return [value, *[None if rule is None else next(rest) for rule in op.partials]]


def _formula(rule: Any) -> Callable[..., Any]:
    """A rule as a function of operands and result."""
    return (lambda *xs: rule(*xs)) if callable(rule) else lambda *xs: rule


if __name__ == "__main__":  # as the installation calls it
    print(rules_text())
