"""Programs as C: a standalone C99 function, and the engine's own rules.

Division, square roots and the functions of the C library are C's; where Python's library
is C's, too, the answers are those of the table, bit for bit. For that a compiler must not
contract products into sums (``-ffp-contract=off``), nor know better than the library what
its functions answer (``-fno-builtin``: GCC makes ``1 / x`` of ``pow(x, -1)``).
"""

import math
import re
from collections.abc import Iterable

from miniflow import ops
from miniflow.operation import OPERANDS
from miniflow.ops import TABLE, Op
from miniflow.program.braces import (
    ascii_name,
    block,
    braces_expression,
    call_expression,
    folded,
    power_expression,
    remark,
    simple_text,
)
from miniflow.program.expand import decomposition
from miniflow.program.ir import Code, Guard
from miniflow.program.python import python_number
from miniflow.program.writer import (
    ATOM,
    INFIX,
    INLINE,
    SIGN,
    Text,
    Writer,
    comparison,
)

# Characters of an expression that is written where it is used, in the engine's rules: what
# only one side of a choice needs is computed on that side alone.
LONGEST_RULE = 400

# Functions of the C library that Python has otherwise, by a few units in the last place.
NEARLY = {"gamma": "tgamma", "lgamma": "lgamma"}
CALLS = {op.name: op.c for op in ops.BUILTIN if op.c} | NEARLY


def _from_python(op: Op) -> str:
    """A row whose value is a Python expression as a C function; "" where it calls something."""
    text = "" if op.c else simple_text(op)
    parameters = ", ".join([f"double {x}" for x in OPERANDS[op.arity]]) if text else ""
    return f"{parameters}) {{ return {text}; }}" if text else ""


# Rows for which C has no name, or not the same answers: functions of their own.
C_FUNCTIONS = {
    "pow": "double a, double b) { return b == 2.0 ? a * a : pow(a, b); }",
    "mod": """double a, double b)
{
    double rest = fmod(a, b);
    if (b == 0.0) return NAN;
    if (rest == 0.0) return copysign(0.0, b);
    return (b < 0.0) != (rest < 0.0) ? rest + b : rest;
}""",
    "floordiv": """double a, double b)
{
    double rest = fmod(a, b), ratio = (a - rest) / b, low;
    if (b == 0.0) return a / b;
    if (rest != 0.0 && (b < 0.0) != (rest < 0.0)) ratio -= 1.0;
    if (ratio == 0.0) return copysign(0.0, a / b);
    low = floor(ratio);
    return ratio - low > 0.5 ? low + 1.0 : low;
}""",
    "copysign": "double a, double b) { return b == b ? copysign(a, b) : fabs(a); }",
    "remainder": """double a, double b)
{
    double rest = remainder(a, b);
    return rest == 0.0 ? copysign(0.0, a) : rest;
}""",
    "ldexp": """double x, double i)
{
    if (i != i || i - i != 0.0) return x * exp2(i);
    return ldexp(x, i > 9999.0 ? 9999 : i < -9999.0 ? -9999 : (int)i);
}""",
}
# Of any number of operands: of how many, and where they stand.
C_FUNCTIONS |= {
    name: f"""int n, const double *x)
{{
    double y = x[0];
    for (int k = 1; k < n; k++) y = y {sign} x[k] || y != y ? y : x[k];
    return y;
}}"""
    for name, sign in (("max_of", ">="), ("min_of", "<="))
}
C_FUNCTIONS |= {
    "tally": """int n, const double *x)
{
    double y = 0.0;
    for (int k = 1; k < n; k++) y += x[k] == x[0];
    return y;
}""",
    "take": """int n, const double *x)
{
    if (x[0] != x[0] || n == 1) return NAN;
    return x[x[0] < 0.0 ? 1 : x[0] < n - 2 ? 1 + (int)x[0] : n - 1];
}""",
    "exponent": """double x)
{
    int n = 0;
    if (x - x == 0.0) (void)frexp(x, &n);
    return n;
}""",
}
C_FUNCTIONS |= {op.name: _from_python(op) for op in TABLE.values() if _from_python(op)}
# Rows written without a name of their own.
C_UNNAMED = {
    *INFIX, "neg", "pos", "stop_gradient", "less", "equal", "where", "sum", "dot", "degrees",
    "radians",
}  # fmt: skip

# Names that mean something to C, or to its library.
_TAKEN = """
alignas alignof asm auto bool break case char const constexpr continue default do double else
enum extern false float for goto if inline int long nullptr register restrict return short
signed sizeof static static_assert struct switch thread_local true typedef typeof typeof_unqual
union unsigned void volatile while linux unix main errno signgam in out NAN INFINITY HUGE
HUGE_VAL HUGE_VALF HUGE_VALL MAXFLOAT DOMAIN SING OVERFLOW UNDERFLOW PLOSS TLOSS MATH_ERRNO
MATH_ERREXCEPT math_errhandling float_t double_t drem exp10 fdim finite fmax fmin fpclassify
copysign frexp gamma ilogb isfinite isgreater isgreaterequal isinf isless islessequal islessgreater
isnan isnormal isunordered j0 j1 jn ldexp llrint llround logb lrint lround modf nan nearbyint
nextafter nexttoward pow pow10 remainder remquo round scalb scalbln scalbn signbit significand
sincos y0 y1 yn abort abs atexit bcmp bcopy bzero calloc exit ffs fprintf fputc fputs free
fscanf fwrite imaxabs index isalnum isalpha isascii isblank iscntrl isdigit isgraph islower
isprint ispunct isspace isupper isxdigit labs llabs malloc memchr memcmp memcpy mempcpy memset
printf putc putchar puts realloc rindex scanf snprintf sprintf sscanf stpcpy strcasecmp strcat
strchr strcmp strcpy strcspn strdup strlen strncat strncmp strncpy strndup strpbrk strrchr
strspn strstr toascii tolower toupper vfprintf vprintf vscanf vsnprintf vsprintf vsscanf cabs
carg cimag conj cproj creal cexp clog cpow csqrt ccos csin ctan ccosh csinh ctanh cacos casin
catan cacosh casinh catanh
"""
C_WORDS = {*CALLS.values(), *_TAKEN.split()}


def has_c(op: Op) -> bool:
    """Whether there is C for a row, bit for bit."""
    return op in ops.BUILTIN and bool(op.c or op.name in C_UNNAMED or op.name in C_FUNCTIONS)


def c_number(x: float) -> Text:
    """A constant, to the last bit."""
    if math.isinf(x):
        return Text("INFINITY", ATOM) if x > 0 else Text("-INFINITY", SIGN)
    return python_number(x) if x == x else Text("NAN", ATOM)


def c_identifier(name: str) -> str:
    """The nearest name that C leaves to others."""
    name = ascii_name(name)
    good = name.isidentifier() and not re.match("_|mf_|M_|FP_", name)
    return name if good else f"v{name}"


# --- expressions --------------------------------------------------------------


def c_expression(op: Op, xs: list[Text]) -> Text:
    """An operation on expressions."""
    name, found = op.name, braces_expression(op, xs)
    if found is not None:
        return found
    if op.arity < 0:
        array = f"(const double[]){{{', '.join([x.text for x in xs])}}}"
        return Text(f"mf_{name}({len(xs)}, {array})", ATOM)
    if name == "pow":
        return power_expression("pow", "mf_pow", *xs)
    return call_expression(CALLS.get(name, f"mf_{name}"), xs)


# --- statements ---------------------------------------------------------------


class CWriter(Writer):
    """The statements of a C function; numbers go in by names or expressions.

    Attributes:
        helpers: rows that are called as functions of their own.
    """

    def __init__(
        self, code: Code, function: str, parameters: Iterable[str] = (), inline: int = INLINE
    ) -> None:
        super().__init__(code, {*C_WORDS, function}, parameters)
        self.inline = inline
        self.helpers: dict[str, Op] = {}

    def identifier(self, name: str) -> str:
        return c_identifier(name)

    def number(self, x: float) -> Text:
        return c_number(x)

    def expression(self, op: Op, xs: list[Text]) -> Text:
        text = c_expression(op, xs)
        if text.text.startswith(f"mf_{op.name}("):
            self.helpers[op.name] = op
        return text

    def statement(self, name: str, text: str) -> list[str]:
        return folded(f"const double {name} = {text};")

    def remark(self, text: str) -> str:
        return remark(text)

    def departure(self, k: int, guard: Guard) -> list[str]:
        test = comparison(guard.relation, self.texts[guard.left], self.texts[guard.right]).text
        return folded(f"if ({f'!({test})' if guard.holds else test}) return {k + 1};")

    def is_short(self, slot: int, text: Text) -> bool:
        last = slot == self.code.first + len(self.code) - 1
        return (last and slot in self.code.outputs) or super().is_short(slot, text)


# --- functions ----------------------------------------------------------------


def c_text(code: Code) -> str:
    """The code as a C99 function, with what it needs above it.

    Raises:
        TypeError: an operation is a Python function.
    """
    for op in dict.fromkeys(step.op for step in code.instructions):
        _check_c(op)
    name = c_identifier(code.name)
    while name in C_WORDS:
        name += "_"
    writer = CWriter(code, name)
    inputs = writer.inputs()
    used = [(k, x) for k, x in enumerate(inputs) if writer.uses[k]]
    writer.lines += [f"const double {x} = in[{k}];" for k, x in used]
    writer.body()
    outputs = [writer.texts[x].text for x in code.outputs]
    unused = [f"(void){x};" for x, n in (("in", len(used)), ("out", len(outputs))) if not n]
    results = [line for k, y in enumerate(outputs) for line in folded(f"out[{k}] = {y};")]
    helpers: dict[str, str] = {}
    _add_c_helpers(writer.helpers.values(), helpers)
    head = f"int {name}(const double *in, double *out)"
    function = _head(code) + block(f"{head}\n{{", [*unused, *writer.lines, *results, "return 0;"])
    flags = remark("with -ffp-contract=off -fno-builtin the answers are miniflow's, bit for bit")
    return "\n".join([f"{flags}\n#include <math.h>\n", *helpers.values(), function])


def _check_c(op: Op) -> None:
    """Refuse a row that there is no C for."""
    if not (has_c(op) or (op in ops.BUILTIN and op.name in NEARLY) or decomposition(op)):
        raise TypeError(
            f"c_source: {op.name} is a function of Python and has no form in C; write it in "
            "the table's own operations, or leave it outside of the program"
        )


def _head(code: Code) -> str:
    """What to know of the function."""
    live = f", and {len(code.captured)} captured" if code.captured else ""
    fails = "; k + 1, and leaves out as it is, where guard k fails" if code.guards else ""
    words = f"{code.inputs} numbers{live} in, {len(code.outputs)} out. Returns 0{fails}."
    return remark(words) + "\n"


def _add_c_helpers(found: Iterable[Op], helpers: dict[str, str]) -> None:
    """Add a definition for each row that C does not have, innermost first."""
    for op in found:
        code = None if op.name in C_FUNCTIONS else decomposition(op)
        if code is None:
            helpers[op.name] = f"static double mf_{op.name}({C_FUNCTIONS[op.name]}\n"
        elif op.name not in helpers:
            helpers[op.name] = c_function(f"mf_{op.name}", code, helpers)


def c_function(
    name: str, code: Code, helpers: dict[str, str], parameters: Iterable[str] = (),
    inline: int = INLINE,
) -> str:  # fmt: skip
    """Code without guards and with one output as a function of numbers.

    What it calls is added to `helpers`: texts by the names of rows.
    """
    writer = CWriter(code, name, parameters, inline)
    inputs = writer.inputs()
    writer.body()
    _add_c_helpers(writer.helpers.values(), helpers)
    unused = [f"(void){x};" for k, x in enumerate(inputs) if not writer.uses[k]]
    result = folded(f"return {writer.texts[code.outputs[0]].text};")
    head = f"static double {name}({', '.join([f'double {x}' for x in inputs])})"
    return block(f"{head}\n{{", [*unused, *writer.lines, *result])
