"""Programs as C: a standalone C99 function, and the engine's own rules.

Division, square roots and the functions of the C library are C's; where Python's library
is C's, too, the answers are those of the table, bit for bit. For that a compiler must not
contract products into sums (``-ffp-contract=off``), nor know better than the library what
its functions answer (``-fno-builtin``: GCC makes ``1 / x`` of ``pow(x, -1)``).
"""

import ast
import math
import re
import textwrap
import unicodedata
from collections.abc import Iterable
from typing import Any

from miniflow import ops
from miniflow.operation import OPERANDS
from miniflow.ops import TABLE, Op
from miniflow.program import python as source
from miniflow.program.expand import decomposition
from miniflow.program.ir import Code, Guard, Place
from miniflow.program.python import (
    ATOM,
    CHOICE,
    COMPARISON,
    INLINE,
    MANY,
    PRODUCT,
    SIGN,
    WIDTH,
    Text,
    chained,
    infix,
    operand,
)

# Characters of an expression that is written where it is used, in the engine's rules: what
# only one side of a choice needs is computed on that side alone.
LONGEST = 400

INFIX = {name: source.INFIX[name] for name in ("add", "sub", "mul", "div")}
RELATIONS = {op.name: op.symbol for op in (ops.less, ops.equal)}
NUMBER_OF_TRUTH = " ? 1.0 : 0.0"

# Functions of the C library that Python has otherwise, by a few units in the last place.
NEARLY = {"gamma": "tgamma", "lgamma": "lgamma"}
CALLS = {op.name: op.c for op in ops.BUILTIN if op.c} | NEARLY

SYMBOLS = {
    ast.Lt: "<", ast.Gt: ">", ast.LtE: "<=", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Or: "||", ast.And: "&&", ast.Add: "+", ast.USub: "-",
}  # fmt: skip


def _from_python(op: Op) -> str:
    """A row whose value is a Python expression as a C function; "" where it calls something."""
    if op.c or not op.text or "(" in op.text:
        return ""
    parameters = ", ".join([f"double {x}" for x in OPERANDS[op.arity]])
    return f"{parameters}) {{ return {_in_c(ast.parse(op.text, mode='eval').body)}; }}"


def _in_c(node: Any) -> str:
    """A Python expression of numbers, choices and comparisons as C has it."""
    if isinstance(node, ast.IfExp):
        return f"{_in_c(node.test)} ? {_in_c(node.body)} : {_in_c(node.orelse)}"
    if isinstance(node, ast.BoolOp):
        return f" {SYMBOLS[type(node.op)]} ".join(map(_in_c, node.values))
    if isinstance(node, ast.Compare):
        return f"{_in_c(node.left)} {SYMBOLS[type(node.ops[0])]} {_in_c(node.comparators[0])}"
    if isinstance(node, ast.BinOp):
        return f"{_in_c(node.left)} {SYMBOLS[type(node.op)]} {_in_c(node.right)}"
    if isinstance(node, ast.UnaryOp):
        return f"{SYMBOLS[type(node.op)]}{_in_c(node.operand)}"
    return str(getattr(node, "id", "")) or repr(float(node.value))


# Rows for which C has no name: functions of their own.
HELPERS = {
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
    "ldexp": """double x, double i)
{
    if (i != i || i - i != 0.0) return x * exp2(i);
    return ldexp(x, i > 9999.0 ? 9999 : i < -9999.0 ? -9999 : (int)i);
}""",
}
HELPERS |= {op.name: _from_python(op) for op in TABLE.values() if _from_python(op)}
# Rows written without a name of their own, besides those of INFIX and RELATIONS.
PLAIN = {"neg", "pos", "stop_gradient", "where", "sum", "dot", "degrees", "radians"}

# Names that mean something to C, or to its library.
_TAKEN = """
alignas alignof asm auto bool break case char const constexpr continue default do double else
enum extern false float for goto if inline int long nullptr register restrict return short
signed sizeof static static_assert struct switch thread_local true typedef typeof typeof_unqual
union unsigned void volatile while linux unix main errno signgam in out NAN INFINITY HUGE
HUGE_VAL HUGE_VALF HUGE_VALL MAXFLOAT DOMAIN SING OVERFLOW UNDERFLOW PLOSS TLOSS MATH_ERRNO
MATH_ERREXCEPT math_errhandling float_t double_t drem exp10 fdim finite fmax fmin fpclassify
frexp gamma ilogb isfinite isgreater isgreaterequal isinf isless islessequal islessgreater isnan
isnormal isunordered j0 j1 jn ldexp llrint llround logb lrint lround modf nan nearbyint
nextafter nexttoward pow pow10 remquo round scalb scalbln scalbn signbit significand sincos y0
y1 yn abort abs atexit bcmp bcopy bzero calloc exit ffs fprintf fputc fputs free fscanf fwrite
imaxabs index isalnum isalpha isascii isblank iscntrl isdigit isgraph islower isprint ispunct
isspace isupper isxdigit labs llabs malloc memchr memcmp memcpy mempcpy memset printf putc
putchar puts realloc rindex scanf snprintf sprintf sscanf stpcpy strcasecmp strcat strchr strcmp
strcpy strcspn strdup strlen strncat strncmp strncpy strndup strpbrk strrchr strspn strstr
toascii tolower toupper vfprintf vprintf vscanf vsnprintf vsprintf vsscanf cabs carg cimag conj
cproj creal cexp clog cpow csqrt ccos csin ctan ccosh csinh ctanh cacos casin catan cacosh
casinh catanh
"""
WORDS = {*CALLS.values(), *_TAKEN.split()}


def known(op: Op) -> bool:
    """Whether there is C for a row, bit for bit."""
    named = op.name in {*INFIX, *RELATIONS, *HELPERS, *PLAIN}
    return op in ops.BUILTIN and bool(op.c or named)


def number(x: float) -> Text:
    """A constant, to the last bit."""
    if math.isinf(x):
        return Text("INFINITY", ATOM) if x > 0 else Text("-INFINITY", SIGN)
    return source.number(x) if x == x else Text("NAN", ATOM)


def identifier(name: str) -> str:
    """The nearest name that C leaves to others."""
    name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    good = name.isidentifier() and not re.match("_|mf_|M_|FP_", name)
    return name if good else f"v{name}"


def expression(op: Op, xs: list[Text]) -> Text:
    """An operation on expressions."""
    name = op.name
    if name in INFIX:
        return infix(*INFIX[name], *xs)
    if name in RELATIONS:
        return Text(infix(RELATIONS[name], COMPARISON, *xs).text + NUMBER_OF_TRUTH, CHOICE)
    if name == "where":
        c, a, b = xs
        return Text(f"{_test(c)} ? {operand(a, COMPARISON)} : {operand(b, CHOICE)}", CHOICE)
    if name == "neg":
        return Text(f"-{operand(xs[0], ATOM)}", SIGN)
    if name in ("pos", "stop_gradient"):
        return xs[0]
    if name in ("degrees", "radians"):
        factor = 180.0 / math.pi if name == "degrees" else math.pi / 180.0
        return infix("*", PRODUCT, xs[0], number(factor))
    if name == "sum":
        return chained(xs)
    if name == "dot":
        half = len(xs) // 2
        return chained([infix("*", PRODUCT, *pair) for pair in zip(xs, xs[half:], strict=False)])
    if name == "pow" and re.fullmatch(r"-?[\d.e+-]+", xs[1].text):
        if xs[1].text != "2.0":
            return Text(f"pow({xs[0].text}, {xs[1].text})", ATOM)
        if xs[0].text.isidentifier():
            return infix("*", PRODUCT, xs[0], xs[0])
    return Text(f"{CALLS.get(name, f'mf_{name}')}({', '.join([x.text for x in xs])})", ATOM)


def _test(x: Text) -> str:
    """Whether a number is not 0, as C asks."""
    if x.binds == CHOICE and x.text.count("?") == 1 and x.text.endswith(NUMBER_OF_TRUTH):
        return x.text.removesuffix(NUMBER_OF_TRUTH)
    return f"{operand(x, COMPARISON + 1)} != 0.0"


def wrapped(text: str) -> list[str]:
    """A statement in as many lines as it needs."""
    if len(text) <= WIDTH:
        return [text]
    wrapper = textwrap.TextWrapper(
        WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return wrapper.wrap(text)


def remark(text: str) -> str:
    """A comment that ends where it should."""
    text = "".join([x if x.isprintable() else "?" for x in text])
    return f"/* {text.replace('*/', '* /').replace('/*', '/ *')} */"


class Writer(source.Writer):
    """The statements of one program; numbers go in by names or expressions."""

    def __init__(
        self,
        program: Code,
        function: str,
        parameters: Iterable[str] = (),
        inline: int = INLINE,
    ) -> None:
        super().__init__(program, ())
        self.inline = inline
        self.helpers: dict[str, Op] = {}  # rows that are called as functions of their own
        self.names = dict(enumerate(parameters))
        self.taken = {*WORDS, function, *self.names.values()}
        for slot, name in program.names.items():
            if slot not in self.names:
                self.names[slot] = self.free(identifier(name))

    def inputs(self) -> list[str]:
        names = super().inputs()
        self.texts[len(names) :] = map(number, self.program.constants)
        return names

    def step(self, position: int, op: Op, operands: tuple[int, ...]) -> None:
        slot = self.program.first + position
        xs = [self.texts[x] for x in operands]
        long = op.name in ("sum", "dot") and len(xs) > MANY
        text = self.long_sum(op, xs) if long else expression(op, xs)
        if f"mf_{op.name}(" in text.text:
            self.helpers[op.name] = op
        name = self.names.get(slot)
        once = self.uses[slot] == 1 and slot not in self.squared
        last = position == len(self.program) - 1 and slot in self.program.outputs
        short = last or len(text.text) <= self.inline
        alias = op.name in ("pos", "stop_gradient") and text.binds == ATOM
        if not (alias or (name is None and once and short)):
            self.comment(self.program.places[position])
            name = self.names[slot] = name or self.fresh("t")
            self.lines += wrapped(f"const double {name} = {text.text};")
            text = Text(name, ATOM)
        self.texts.append(text)

    def long_sum(self, op: Op, xs: list[Text]) -> Text:
        """A long sum from left to right, in lines of its own."""
        if op.name == "dot":
            half = len(xs) // 2
            xs = [infix("*", PRODUCT, *x) for x in zip(xs[:half], xs[half:], strict=True)]
        total = Text(self.fresh("t"), ATOM)
        self.lines += wrapped(f"double {total.text} = {chained(xs[:MANY]).text};")
        for k in range(MANY, len(xs), MANY):
            terms = chained([total, *xs[k : k + MANY]])
            self.lines += wrapped(f"{total.text} = {terms.text};")
        return total

    def comment(self, place: Place | None) -> None:
        start = len(self.lines)
        super().comment(place)
        self.lines[start:] = [line and remark(line[2:]) for line in self.lines[start:]]

    def guard(self, k: int, guard: Guard) -> None:
        test = infix(guard.relation, COMPARISON, self.texts[guard.left], self.texts[guard.right])
        denied = f"!({test.text})" if guard.holds else test.text
        self.lines += wrapped(f"if ({denied}) return {k + 1};")


def text(program: Code) -> str:
    """The program as a C99 function, with what it needs above it.

    Raises:
        TypeError: an operation is a Python function.
    """
    for op in dict.fromkeys(step.op for step in program.instructions):
        if not (known(op) or (op in ops.BUILTIN and op.name in NEARLY) or decomposition(op)):
            raise TypeError(
                f"c_source: {op.name} is a function of Python, there is no C for it; write it in "
                "the table's own operations, or leave it outside of the program"
            )
    name = identifier(program.name)
    while name in WORDS:
        name += "_"
    writer = Writer(program, name)
    inputs = writer.inputs()
    used = [(k, x) for k, x in enumerate(inputs) if writer.uses[k]]
    writer.lines += [f"const double {x} = in[{k}];" for k, x in used]
    writer.body()
    outputs = [writer.texts[x].text for x in program.outputs]
    unused = [f"(void){x};" for x, n in (("in", len(used)), ("out", len(outputs))) if not n]
    results = [line for k, y in enumerate(outputs) for line in wrapped(f"out[{k}] = {y};")]
    helpers: dict[str, str] = {}
    _define(writer.helpers.values(), helpers)
    head = f"int {name}(const double *in, double *out)"
    function = _head(program) + _block(head, [*unused, *writer.lines, *results, "return 0;"])
    flags = remark("with -ffp-contract=off -fno-builtin the answers are miniflow's, bit for bit")
    return "\n".join([f"{flags}\n#include <math.h>\n", *helpers.values(), function])


def _block(head: str, lines: list[str]) -> str:
    """A function."""
    body = "".join([f"    {line}\n" if line else "\n" for line in lines])
    return f"{head}\n{{\n{body}}}\n"


def _head(program: Code) -> str:
    """What to know of the function."""
    live = f", and {len(program.captured)} captured" if program.captured else ""
    fails = "; k + 1, and leaves out as it is, where guard k fails" if program.guards else ""
    return remark(
        f"{program.inputs} numbers{live} in, {len(program.outputs)} out. Returns 0{fails}."
    ) + "\n"  # fmt: skip


def _define(found: Iterable[Op], helpers: dict[str, str]) -> None:
    """Add a definition for each row that C does not have, innermost first."""
    for op in found:
        inner = None if op.name in HELPERS else decomposition(op)
        if inner is None:
            helpers[op.name] = f"static double mf_{op.name}({HELPERS[op.name]}\n"
        elif op.name not in helpers:
            helpers[op.name] = function(f"mf_{op.name}", inner, helpers)


def function(
    name: str, program: Code, helpers: dict[str, str],
    parameters: Iterable[str] = (), inline: int = INLINE,
) -> str:  # fmt: skip
    """A program without guards and with one output as a function of numbers."""
    writer = Writer(program, name, parameters, inline)
    inputs = writer.inputs()
    writer.body()
    _define(writer.helpers.values(), helpers)
    unused = [f"(void){x};" for k, x in enumerate(inputs) if not writer.uses[k]]
    result = wrapped(f"return {writer.texts[program.outputs[0]].text};")
    head = f"static double {name}({', '.join([f'double {x}' for x in inputs])})"
    return _block(head, [*unused, *writer.lines, *result])
