"""Programs as C: they compile without a warning, and answer as miniflow does, bit for bit."""

import ctypes
import inspect
import itertools
import keyword
import linecache
import math
import random
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, grad, hessian, jit, trace, value_and_grad
from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.program.c import C_FUNCTIONS, C_WORDS, CALLS, NEARLY, has_c
from miniflow.program.expand import decomposition
from miniflow.program.ir import PathError
from miniflow.testing.steps import Fork, Loop
from miniflow.testing.strategies import anything
from support.bits import bits
from support.formulas import operands, price
from support.profiles import examples
from support.random_functions import functions, points

inf, nan = math.inf, math.nan
COMPILER = shutil.which("gcc") or shutil.which("cc")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
EXACT = ["-ffp-contract=off", "-fno-builtin"]  # what the text itself asks for
REFUSED = {"fsum", "round_to"}  # Python functions
FEW = examples(40)  # a compiler is called for each
with_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
names = itertools.count()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A function that compiles a program; it takes a list, returns a code and a list."""
    folder = tmp_path_factory.mktemp("c")

    def compile_(program, *flags, text=None):
        path = folder / f"program{next(names)}.so"
        text = program.c_source() if text is None else text
        command = [COMPILER, *STRICT, *EXACT, *flags, "-fPIC", "-shared"]
        command += ["-x", "c", "-", "-o", path, "-lm"]
        run = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
        assert run.returncode == 0, run.stderr.decode() + text
        library = ctypes.CDLL(str(path))
        f = library[re.search(r"^int (\w+)\(", text, re.M)[1]]

        def call(xs, shared=False):
            whole, count = [*xs, *program.live()], len(program.outputs)
            xs = (ctypes.c_double * max(len(whole), count, 1))(*whole)
            ys = xs if shared else (ctypes.c_double * max(count, 1))(*[0.125] * count)
            return f(xs, ys), list(ys)[:count]

        return call

    return compile_


def assert_same(f, program, xs):
    """C gives the program's answer, or says which guard fails and has written nothing."""
    code, got = f(xs)
    try:
        expected = program.evaluate([*xs, *program.live()])
    except PathError as error:
        expected, failed = [0.125] * len(got), error.guard + 1
    else:
        failed = 0
    assert (code, bits(got)) == (failed, bits(expected)), xs


def swapped(step):
    """A step without the rows that C has not, or otherwise."""
    if isinstance(step, Fork):
        return step._replace(then=swapped(step.then), other=swapped(step.other))
    if isinstance(step, Loop):
        return step._replace(steps=tuple(map(swapped, step.steps)))
    others = {"fsum": "sum", "round_to": "atan2", "gamma": "gelu", "lgamma": "expm1"}
    return step._replace(name=others.get(step.name, step.name))


def c_functions(longest=12):
    """Random functions that C has, too."""
    return functions(longest).map(lambda f: f._replace(steps=[*map(swapped, f.steps)]))


# --- the same answers ---------------------------------------------------------


@with_compiler
@FEW
@given(c_functions(), st.data())
def test_c_gives_the_eager_answer_to_the_bit(compiled, f, data):
    xs = data.draw(points(f))
    program = trace(f, *xs)
    c = compiled(program)
    assert bits(c(xs)[1]) == bits(f(*xs))
    for _ in range(3):
        assert_same(c, program, data.draw(points(f)))


@with_compiler
@FEW
@given(c_functions(5), st.data())
def test_c_of_a_gradient_does_too(compiled, f, data):
    xs = data.draw(points(f))
    program = trace(value_and_grad(lambda *xs: f(*xs)[0], range(f.count)), *xs)
    c = compiled(program, "-O1")
    for numbers in (xs, data.draw(points(f))):
        assert_same(c, program, numbers)


@with_compiler
@pytest.mark.parametrize("flag", ["-O0", "-O2"])
def test_every_row_and_all_its_partials(compiled, flag):
    """All rows in one program, and all their partials, at the operands of each."""
    exact = [name for name in TABLE if name not in REFUSED]
    assert len(exact) > 60
    for name in exact:
        # one program a row would take a compiler's start each
        assert has_c(TABLE[name]) or name in NEARLY or decomposition(TABLE[name]) is not None
    columns = {name: operands(name) for name in exact}
    starts = dict(
        zip(exact, itertools.accumulate([0] + [len(columns[x]) for x in exact]), strict=False)
    )

    def everything(*xs):
        found = []
        for name in exact:
            mine = xs[starts[name] : starts[name] + len(columns[name])]
            # of gamma and lgamma Python has others: their partials at a value that is given
            slopes = grad(lambda *xs, op=TABLE[name]: op(*xs), range(len(mine)))(*mine)
            found += [] if name in NEARLY else [TABLE[name](*mine), *slopes]
        return found

    program = trace(everything, *[0.75] * sum(map(len, columns.values())))
    assert program.guards == ()
    c = compiled(program, flag)
    for xs in zip(*[column for name in exact for column in columns[name]], strict=True):
        assert_same(c, program, xs)


@with_compiler
@pytest.mark.parametrize("name", NEARLY)
def test_c_has_its_own_gamma_functions(compiled, name):
    program = trace(TABLE[name], 0.5)
    c = compiled(program)
    for x in (0.5, 1.0, 3.0, 7.25, 20.5, -1.5):
        assert math.isclose(c([x])[1][0], TABLE[name](x), rel_tol=1e-14, abs_tol=1e-15)


@with_compiler
@pytest.mark.parametrize("f", [lambda x: x**-1, lambda x: 2**x, lambda x: x**0.5], ids="abc")
def test_a_compiler_does_not_know_better(compiled, f):
    """With ``-O2`` alone GCC makes 1/x of pow(x, -1), which the library rounds otherwise."""
    program = trace(f, 1.5)
    c = compiled(program, "-O2")
    rng = random.Random(1)
    for _ in range(20_000):
        assert_same(c, program, [rng.uniform(0.5, 100.0)])


@with_compiler
def test_a_remainder_of_zero_has_the_sign_of_the_dividend(compiled):
    program = trace(m.remainder, 1.0, 1.0)
    c = compiled(program, "-O2")
    for x in (6.0, -6.0, 6.547718766886839e-277, -6.547718766886839e-277):
        assert_same(c, program, [x, math.copysign(5e-324, x)])
        assert_same(c, program, [x, 5e-324])


@with_compiler
def test_a_black_scholes_hessian(compiled):
    program = trace(hessian(lambda v: price(*v)), [100.0, 95.0, 0.5])
    c = compiled(program, "-O2")
    rng = random.Random(0)
    for _ in range(100):
        assert_same(c, program, [rng.uniform(50, 150), 95.0, rng.uniform(0.1, 2.0)])


def branching(x, y):
    if x < y:
        return x * y
    if x == 3.0:
        return x + y
    return m.sqrt(x) if y > 0 else m.exp(x)


@with_compiler
def test_the_code_tells_which_guard_fails(compiled):
    program = trace(branching, 4.0, -1.0)
    assert len(program.guards) == 3
    c = compiled(program)
    answers = {c([x, y])[0] for x, y in [(4.0, -1.0), (1.0, 2.0), (3.0, -1.0), (4.0, 1.0)]}
    assert answers == {0, 1, 2, 3}
    assert c([4.0, nan])[0] == 0  # no comparison with nan holds
    assert c([nan, 1.0])[0] == 3
    assert_same(c, program, [inf, -inf])


@with_compiler
def test_captured_values_follow_the_inputs(compiled):
    w, v = Value(3.0, label="double"), Value(4.0)
    program = trace(lambda x, ys: [x * w + ys[0], v, w], 2.0, [1.0])
    c = compiled(program)
    assert c([2.0, 1.0]) == (0, [7.0, 4.0, 3.0])
    w.data = -1.0
    assert c([2.0, 1.0]) == (0, [-1.0, 4.0, -1.0])
    assert "2 numbers, and 2 captured in, 3 out" in program.c_source()


@with_compiler
@given(st.lists(anything, min_size=1, max_size=20))
@examples(25)
def test_constants_to_the_last_bit(compiled, xs):
    edges = [inf, -inf, nan, -0.0, 5e-324, -5e-324, 2.0**-1022, sys.float_info.max, 0.1, 1e22]
    xs += edges
    program = trace(lambda a: [*xs, *[a + x for x in xs], *[m.where(a, x, -a) for x in xs]], 0.5)
    c = compiled(program)
    for a in (0.5, 0.0, -0.0, nan):
        assert_same(c, program, [a])
    # constants by themselves, in the midst of sums: a compiler may add them up
    wide = trace(lambda a: [m.sum([*xs, a]), m.dot([*xs, a], [*xs[::-1], a])], 0.5)
    assert_same(compiled(wide, "-O2"), wide, [0.5])


SHAPES = {
    "no number at all": (list, ()),
    "no input": (lambda: [1.5, nan], ()),
    "no output": (lambda x: [], (1.0,)),
    "an input that is not used": (lambda a, b, c: b, (1.0, 2.0, 3.0)),
    "inputs as they are": (lambda x, y: [y, x, y], (1.0, 2.0)),
    "an array": (lambda v: v * v[::-1], (np.arange(4.0),)),
    "a table": (lambda v: v @ v, (np.arange(9.0).reshape(3, 3),)),
    "a dict": (lambda d: {"b": d["a"][0] - d["c d"], "é": d["a"][1]}, ({"a": [1, 2], "c d": 3},)),
    "a guard of an input": (lambda x: 1.0 if x > 0 else 2.0, (3.0,)),
    "a negative twice": (lambda x: -(-x * 2.0) - -3.0 - (-x), (3.0,)),
    "comparisons of comparisons": (
        lambda x, y: m.less(m.equal(x, y), m.where(m.less(x, m.equal(y, 0.0)), m.less(y, x), 1.0)),
        (1.0, 2.0),
    ),
    "choices in choices": (
        lambda x, y: m.where(m.where(x, m.less(x, y), y), m.where(y, x, 2.0), m.where(x, 1.0, y)),
        (1.0, 2.0),
    ),
    "truth of a truth": (
        lambda x, y: m.where(m.where(x, y, m.less(x, y)), m.less(y, x), m.where(x, 0.0, 1.0)),
        (1.0, 2.0),
    ),
    "powers": (lambda x, y: [x**2, (x + y) ** 2, x**y, x**-2, 2**x, (x * y) ** 3], (3.0, 2.0)),
    "great powers": (lambda x: [x**1e300, x**-1e-300, (x**2) ** 2, 2.0**x], (3.0,)),
    "degrees": (lambda x: [m.degrees(x), m.radians(x + 1)], (3.0,)),
    "stop": (lambda x: m.stop_gradient(x * 2) + +x, (3.0,)),
}  # fmt: skip


@with_compiler
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(compiled, shape):
    f, args = SHAPES[shape]
    program = trace(f, *args)
    c = compiled(program)
    rng = random.Random(shape)
    for _ in range(30):
        xs = [rng.choice([0.0, -0.0, 1.0, 2.0, 3.0, nan, -inf, 0.5]) for _ in range(program.inputs)]
        assert_same(c, program, xs)


@with_compiler
def test_the_results_may_go_where_the_inputs_are(compiled):
    program = trace(lambda x, y, z: [x + y, y * z, x - z, x], 1.0, 2.0, 3.0)
    xs = [5.0, 7.0, 11.0]
    assert compiled(program)(xs, shared=True) == (0, program.evaluate(xs))
    arrays = trace(lambda v: v[::-1] * 2.0, np.arange(5.0))
    xs = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert compiled(arrays)(xs, shared=True) == (0, arrays.evaluate(xs))


# --- names --------------------------------------------------------------------

AWKWARD = [
    *("x", "y", "in_", "out", "double", "int", "register", "inline", "restrict", "bool", "true"),
    *("sin", "exp", "pow", "fabs", "log", "mf_pow", "mf_maximum", "maximum", "abs", "main"),
    *("NAN", "INFINITY", "HUGE_VAL", "M_PI", "FP_NAN", "DOMAIN", "isnan", "signbit", "y0", "gamma"),
    *("t0", "t1", "x0", "w0", "_", "__", "_x", "_Bool", "_Complex", "__func__", "__LINE__"),
    *("é", "e", "größe", "λ", "变量", "変数", "ñandú"),
    *("xs", "linux", "printf", "float_t", "errno", "complex", "I"),
]  # fmt: skip


def named(function, parameters):
    """A function that uses all of its parameters, and names some results like them."""
    first, last = parameters[0], parameters[-1]
    body = f"z = m.sin({first}) * m.exp({last}) + {first} ** {last}\n"
    for name in parameters:
        body += f"    z, {name} = m.max(z * z, {name}), {name} + z\n"
    space = {"m": m}
    exec(
        f"def {function}({', '.join(parameters)}):\n    {body}    return [z, {parameters[0]}]",
        space,
    )
    return space[function]


@with_compiler
@given(st.permutations(AWKWARD), st.integers(1, 8), st.sampled_from([*AWKWARD, "f"]))
@examples(30)
def test_awkward_names(compiled, order, count, function):
    parameters = order[:count]
    xs = [0.5 + k / 16 for k in range(len(parameters))]
    program = trace(named(function, parameters), *xs)
    assert_same(compiled(program), program, xs)


@with_compiler
@pytest.mark.parametrize("std", ["-std=c11", "-std=gnu99", "-std=gnu2x"])
def test_all_awkward_names_at_once_and_in_other_dialects(compiled, std):
    ours = [x for x in dict.fromkeys([*AWKWARD, *sorted(C_WORDS)]) if not keyword.iskeyword(x)]
    space = {}
    body = " + ".join([f"{k}.0 * {name}" for k, name in enumerate(ours)])
    exec(f"def f({', '.join(ours)}):\n    return {body}", space)
    xs = [k / 7 for k in range(len(ours))]
    program = trace(space["f"], *xs)
    assert_same(compiled(program, std), program, xs)


@with_compiler
def test_functions_named_as_the_library_is(compiled):
    def some(x, y):
        return m.sin(x) * m.hypot(x, y) + x**y + m.max(x, y)

    for name in sorted({*C_WORDS, *AWKWARD, *CALLS, *C_FUNCTIONS} - set(keyword.kwlist))[::9]:
        some.__name__ = name
        program = trace(some, 1.0, 2.0)
        assert_same(compiled(program, "-fbuiltin"), program, [1.5, 2.5])


@with_compiler
def test_names_that_are_given_twice(compiled):
    def f(x):
        a = x * 2
        b = [a := a + k for k in range(3)]
        values = [Value(1.0, label="same"), Value(2.0, label="same"), Value(3.0, label="é")]
        return [*b, *[v * x for v in values], *[v * v for v in kept]]

    kept = [Value(4.0, label="same"), Value(5.0, label="same"), Value(6.0, label="s\n*/ame")]
    program = trace(f, 1.5)
    assert_same(compiled(program), program, [2.5])


# --- the text -----------------------------------------------------------------


def energy(x, v, k):
    """Of a mass on a spring."""
    stretch = m.max(x - 1.0, 0.0)
    if k < 0:
        return -v
    return 0.5 * v**2 + 0.5 * k * stretch**2


TEXT = """\
/* with -ffp-contract=off -fno-builtin the answers are miniflow's, bit for bit */
#include <math.h>

static double mf_maximum(double a, double b) { return a >= b || a != a ? a : b; }

/* 3 numbers in, 1 out. Returns 0; k + 1, and leaves out as it is, where guard k fails. */
int energy(const double *in, double *out)
{
    const double x = in[0];
    const double v = in[1];
    const double k = in[2];
    if (k < 0.0) return 1;
    /* test_c.py:LINE: stretch = m.max(x - 1.0, 0.0) */
    const double stretch = mf_maximum(x - 1.0, 0.0);
    out[0] = 0.5 * (v * v) + 0.5 * k * (stretch * stretch);
    return 0;
}
"""


@pytest.mark.usefixtures("unwatched")
def test_the_text_is_what_a_person_would_have_written():
    line = inspect.getsourcelines(energy)[1] + 2
    assert trace(energy, 1.5, 2.0, 3.0).c_source() == TEXT.replace("LINE", str(line))


def test_a_row_that_c_has_not_is_a_function():
    text = trace(lambda x: m.sigmoid(x) * m.sigmoid(-x), 0.5).c_source()
    assert text.count("static double mf_sigmoid(double x)\n{") == 1
    assert text.count("mf_sigmoid(") == 3
    assert text.index("mf_minimum(double") < text.index("mf_sigmoid(double")


def test_only_what_is_needed_is_defined():
    text = trace(lambda x: m.sin(x) ** 2 + x**3, 0.5).c_source()
    assert "static" not in text


def test_the_same_program_has_the_same_text():
    one, other = [trace(grad(branching), 4.0, 1.0).c_source() for _ in range(2)]
    assert one == other


@given(c_functions(), st.data())
def test_lines_are_not_long(f, data):
    text = trace(f, *data.draw(points(f))).c_source()
    assert max(map(len, text.splitlines())) <= 105


COMMENTS = [
    "*/ /* */*/*/",
    "/*/",
    "\\",
    "??/",
    "\u202e\u2066",
    "é λ 变",
    "\u200b",
    "%s \\n",
    "//",
    "#error",
]


@with_compiler
@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("std", ["-std=c99", "-std=gnu99"])
def test_whatever_a_line_of_code_says(compiled, std):
    lines = [f"a = a * 2.0 + a  # {x}\n" for x in COMMENTS]
    code = ["def f(a):\n", *[f"    {x}" for x in lines], "    return a\n"]
    file = "/tmp/*/a??/b*.py"
    linecache.cache[file] = len("".join(code)), None, code, file
    space = {}
    exec(compile("".join(code), file, "exec"), space)
    try:
        program = trace(space["f"], 1.0)
        text = program.c_source()
        assert len(re.findall(r"/\* b\*\.py:\d+: a = a \* 2.0 \+ a  # .* \*/$", text, re.M)) == len(
            COMMENTS
        )
        assert_same(compiled(program, std, text=text), program, [1.5])
    finally:
        del linecache.cache[file]


# --- large --------------------------------------------------------------------


@pytest.mark.slow
def test_twenty_thousand_instructions(compiled):
    def f(x, y):
        kept = []
        for k in range(5000):
            x = x * 0.999 + m.sin(y)
            y = y - x * 0.001
            kept += [x] if k % 50 == 0 else []
        return [x, y, m.sum(kept)]

    program = trace(f, 0.5, 0.25)
    assert len(program) > 20_000
    text = program.c_source()
    assert text.count("\n") < 40_000
    if COMPILER is not None:
        assert_same(compiled(program, text=text), program, [0.75, -0.5])


def test_wide_sums(compiled):
    xs = [random.Random(k).uniform(-1, 1) for k in range(8_000)]
    program = trace(lambda *xs: [m.sum(xs), m.dot(xs[:4000], xs[4000:]), m.sum([*xs[:101]])], *xs)
    text = program.c_source()
    if COMPILER is not None:
        assert_same(compiled(program, text=text), program, xs)


def test_deep_nesting(compiled):
    """As many parentheses as there may be: none of them is nested without end."""

    def f(x, y):
        for k in range(1000):
            x = m.where(m.less(x, y), -(y - (x + 1.0)), m.where(x, 1.0 / (2.0 + x * (y - x)), y))
            x = -(x if k % 7 else m.max(x, m.min(y, x * y)))
        return x

    program = trace(f, 0.5, 0.25)
    text = program.c_source()
    depth = itertools.accumulate((x == "(") - (x == ")") for x in re.sub(r"/\*.*?\*/", "", text))
    assert max(depth) < 60  # C99 promises 63
    if COMPILER is not None:
        assert_same(compiled(program, text=text), program, [0.75, -0.5])


# --- what is refused ----------------------------------------------------------


@with_compiler
def test_rows_that_are_formulas_have_c(compiled, row):
    own = row("own", lambda x: x * x - m.exp(x), lambda x, y: 2 * x - m.exp(x))
    for f in (lambda x: own(m.sin(x)) + 1.0, grad(lambda x: own(x) * own(2 * x))):
        program = trace(f, 0.5)
        assert_same(compiled(program), program, [-0.25])


def test_rows_of_python_functions_are_refused(row):
    own = row("own", lambda x: float(int(x)), lambda x, y: 0.0)
    for name, f in {
        "own": own,
        "fsum": lambda x: m.fsum([x, x]),
        "round_to": lambda x: round(x, 2),
    }.items():
        program = trace(lambda x, f=f: f(m.sin(x)) + 1.0, 0.5)
        with pytest.raises(TypeError, match=f"c_source: {name} .* write it in .* own operations"):
            program.c_source()


@pytest.mark.parametrize("name", ["sigmoid", "sin", "maximum", "neg"])
def test_a_users_row_by_the_name_of_another_is_refused(row, name):
    """What is ours goes by the row, not by its name."""
    kept = TABLE.pop(name)
    own = row(name, lambda *xs: xs[0], *[lambda *xs: 1.0] * kept.arity)
    for f in (
        lambda x: own(*[x] * own.arity),
        lambda x: own(*[x] * own.arity) + kept(*[x] * own.arity),
    ):
        with pytest.raises(TypeError, match=f"c_source: {name}"):
            trace(f, 0.5).c_source()
    assert not has_c(own)


@with_compiler
def test_the_derivative_of_a_users_row_may_have_c_though_the_row_has_not(compiled, row):
    own = row("own", lambda x: abs(x), lambda x, y: m.sign(x) * 3.0)
    program = trace(grad(lambda x: own(x)), 0.5)
    assert_same(compiled(program), program, [-0.25])


@with_compiler
def test_compiled_functions_inside(compiled):
    pytest.importorskip("llvmlite")
    inner = jit(lambda x, y: x * m.sin(y) + 1.0)
    program = trace(lambda x: inner(x, x) * 2.0, 0.5)
    assert_same(compiled(program), program, [0.75])
