"""Programs as JavaScript: run, and compared with the table operation by operation.

An operation is asked what it makes of the very numbers that JavaScript had there: so what a
program does to the last digit of a logarithm is no matter.
"""

import inspect
import keyword
import linecache
import math
import random
import re
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, grad, hessian, trace, value_and_grad
from miniflow import math as m
from miniflow.ops import BUILTIN, TABLE
from miniflow.program.ir import RELATIONS, Code, Guard
from miniflow.program.javascript import javascript_functions, javascript_words
from miniflow.program.program import Program
from miniflow.program.structures import NUMBER_LEAF
from support.formulas import operands, polynomial, price
from support.javascript import answers, exported, with_javascript
from support.profiles import examples
from support.random_functions import functions, points

inf, nan = math.inf, math.nan

# How many units of the last place a row may be off; others are right to the bit.
UNITS = dict.fromkeys(
    [
        "pow",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "log2",
        "log10",
        "cbrt",
        "hypot",
        "unit",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "atan2",
        "sinh",
        "cosh",
        "tanh",
        "sech2",
        "asinh",
        "acosh",
        "atanh",
        "gaussian",
        "normal_pdf",
        "normal_cdf",
        "erf",
        "erfc",
        "cotpi",
        "elu",
        "sigmoid",
        "softplus",
        "logsigmoid",
        "silu",
        "gelu",
    ],
    6,
) | {"gamma": 16}
# Rows whose sums cancel: what they may be off, beside 1 or beside their size.
SPREAD = {
    "lgamma": 1e-14, "digamma": 1e-13, "power_log": 1e-9, "hurwitz_zeta": 1e-11, "logaddexp": 1e-15,
}  # fmt: skip


def close(op, got, xs):
    """Whether JavaScript's answer to an operation is the table's, as nearly as it promises."""
    want = op.value(*xs)
    if op.name == "hurwitz_zeta" and not (2 <= xs[0] <= 20 and xs[1] > 0):
        return True  # it is used there only, and means nothing elsewhere
    if want != want or math.isinf(want) or want == 0:
        tiny = 0 < abs(got) < 1e-300 or abs(got) > 1.79e308  # where numbers end
        return repr(got) == repr(want) or (op.name in {**UNITS, **SPREAD} and tiny)
    if op.name in SPREAD:
        return abs(got - want) <= SPREAD[op.name] * max(1.0, abs(got), abs(want))
    return abs(got - want) <= UNITS.get(op.name, 0) * math.ulp(want)


def with_all_slots(code):
    """The same program, that returns what is in every slot and asks no guards."""
    count = code.first + len(code)
    return Program.of(
        Code(
            code.name, code.parameters, code.arguments, [NUMBER_LEAF] * count, code.captured,
            code.constants, code.instructions, range(count), (), code.names, code.places,
        )
    )  # fmt: skip


def arrays(nest):
    """Tuples and arrays as JavaScript has them: lists."""
    if hasattr(nest, "tolist"):
        return nest.tolist()
    return [*map(arrays, nest)] if isinstance(nest, (list, tuple)) else nest


def failing(code, slots):
    """The number of the first guard that fails at those numbers, None if all hold."""
    for k, step in code.steps():
        if isinstance(step, Guard):
            answer = RELATIONS[step.relation](slots[step.left], slots[step.right])
            if answer is not step.holds:
                return k
    return None


def assert_agrees(program, rows):
    """JavaScript's answers, operation by operation, guard by guard."""
    every = answers(with_all_slots(program).js_source(), *rows)
    found = answers(Program.of(program).js_source(), *rows)
    for xs, slots, got in zip(rows, every, found, strict=True):
        assert isinstance(slots, list), slots
        for n, step in enumerate(program.instructions, program.first):
            at = [slots[x] for x in step.operands]
            assert close(step.op, slots[n], at), (step.op, at, slots[n], step.op.value(*at))
        k = failing(program, slots)
        if k is None:
            want = program.rebuild([slots[x] for x in program.outputs])
            assert repr(got) == repr(arrays(want)), xs
        else:
            assert got == f"RangeError: guard {k}: another path is taken here"


# --- the same answers ---------------------------------------------------------


@with_javascript
@pytest.mark.slow
@examples(1000)
@given(functions(), st.data())
def test_javascript_gives_the_eager_answers(f, data):
    xs = data.draw(points(f))
    assert_agrees(trace(f, *xs), [xs, data.draw(points(f))])


@with_javascript
@examples(100)
@given(functions(5), st.data())
def test_and_those_of_gradients(f, data):
    xs = data.draw(points(f))
    program = trace(value_and_grad(lambda *xs: f(*xs)[0], range(f.count)), *xs)
    assert_agrees(program, [xs, data.draw(points(f))])


@with_javascript
@pytest.mark.parametrize("name", TABLE)
def test_every_row_with_all_its_partials(name):
    columns = operands(name, 40)
    count = len(columns)
    program = trace(value_and_grad(lambda *xs: TABLE[name](*xs), range(count)), *[0.75] * count)
    assert_agrees(program, [list(xs) for xs in zip(*columns, strict=True)])


ROUNDED_ONCE = ["fma", "fsum", "round_to", "remainder", "ldexp", "nextafter", "mod", "floordiv"]
wide = st.floats(allow_subnormal=True) | st.floats(-1e-300, 1e-300) | st.integers(-400, 400)


@with_javascript
@pytest.mark.parametrize("name", [*ROUNDED_ONCE, "rint", "exponent", "copysign", "fmod", "take"])
@examples(40)
@given(st.data())
def test_what_is_rounded_once_is_right_to_the_bit(name, data):
    op = TABLE[name]
    count = op.arity if op.arity > 0 else 4
    rows = data.draw(st.lists(st.lists(wide, min_size=count, max_size=count), min_size=8))
    rows = [[float(x) for x in row] for row in rows]
    found = answers(trace(lambda *xs: op(*xs), *[0.5] * count).js_source(), *rows)
    assert [*map(repr, found)] == [repr(op.value(*row)) for row in rows]


@with_javascript
def test_a_whole_program_is_close_to_eager():
    program = trace(hessian(lambda v: price(*v)), [100.0, 95.0, 0.5])
    rng = random.Random(0)
    rows = [[[rng.uniform(50, 150), 95.0, rng.uniform(0.1, 2.0)]] for _ in range(50)]
    for row, found in zip(rows, answers(program.js_source(), *rows), strict=True):
        assert np.allclose(found, program(*row), rtol=1e-10, atol=1e-10)
    eager = value_and_grad(polynomial, (0, 1))
    (found,) = answers(trace(eager, 2.0, 3.0).js_source(), [1.5, 4.0])
    assert repr(found) == repr(arrays(eager(1.5, 4.0)))


# --- structures ---------------------------------------------------------------


@dataclass
class Option:
    strike: float
    kind: str
    dates: list


def nested(v, table, d, option, way):
    sign = 1.0 if way == "up" else -1.0
    return {
        "a b": (v[0] * d["x y"][1], [option.strike + option.dates[0]]),
        "it's <b>": [table @ v, way, None, True, 3, []],
        "option": Option(sign * d["z"], option.kind, [v[1]]),
    }


@with_javascript
def test_lists_arrays_dicts_and_dataclasses():
    table, v = np.arange(6.0).reshape(2, 3), np.array([0.5, 2.0, -1.0])
    d, option = {"x y": [1.0, 2.0], "z": 3.0}, Option(7.0, "call", [0.25])
    source = trace(nested, v, table, d, option, way="up").js_source()
    row = [[*v], table.tolist(), d, {"strike": 7.0, "dates": [0.25]}]
    assert answers(source, row) == [
        {
            "a b": [1.0, [7.25]],
            "it's <b>": [(table @ v).tolist(), "up", None, True, 3.0, []],
            "option": {"strike": 3.0, "kind": "call", "dates": [2.0]},
        }
    ]


SHAPES = {
    "no number at all": (list, ()),
    "no input": (lambda: [1.5, nan, -inf, -0.0], ()),
    "an input as it is": (lambda x: x, (1.0,)),
    "one in a list": (lambda xs: (xs[0],), ([1.0],)),
    "lists in lists": (lambda xs: [xs[1], xs[0][1][0]], ([[1.0, [2.0]], 3.0],)),
    "an empty list": (lambda xs, y: [xs, y], ([], 2.0)),
    "an array of no dimension": (lambda x: x * 2.0, (np.array(3.0),)),
    "negative twice": (lambda x: -(-x * 2.0) - -3.0 - (-x), (3.0,)),
    "powers": (lambda x: [x**2, (x + 1) ** 2, x**-2, 2**x, x**1e300, x**-1e-300, 1**x], (3.0,)),
    "choices in choices": (
        lambda x, y: m.where(m.where(x, m.less(x, y), y), m.where(y, x, 2.0), m.equal(x, y)),
        (1.0, 2.0),
    ),
}  # fmt: skip


@with_javascript
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape):
    f, args = SHAPES[shape]
    program = trace(f, *args)
    (found,) = answers(program.js_source(), arrays(args))
    assert repr(found) == repr(arrays(program(*args)))


@with_javascript
def test_captured_values_are_defaults():
    w, v = Value(3.0, label="class"), Value(4.0)
    program = trace(lambda x, ys: [x * w + ys[0], v, w], 2.0, [1.0])
    w.data = -1.0
    source = program.js_source()
    assert answers(source, [2.0, [1.0]], [2.0, [1.0], 5.0]) == [[-1.0, 4.0, -1.0], [11.0, 4.0, 5.0]]


def test_what_is_not_of_javascript_is_refused():
    for odd in (b"x", 1j):
        with pytest.raises(TypeError, match=r"js_source: .* cannot be written as JavaScript"):
            trace(lambda x, odd=odd: [x, odd], 1.0).js_source()
    with pytest.raises(TypeError, match=r"js_source: a dict with the keys \[1, '1'\] .* strings"):
        trace(lambda x: {1: x, "1": x}, 1.0).js_source()


# --- names and text -----------------------------------------------------------

AWKWARD = [
    *sorted(javascript_words()),
    *("é", "e", "größe", "λ", "变量", "_", "t0", "x0", "__proto__"),
]


@with_javascript
def test_names_that_mean_something_to_javascript():
    names = [x for x in dict.fromkeys(AWKWARD) if not keyword.iskeyword(x)]
    space = {"m": m}
    body = " + ".join([f"{k}.0 * m.sin({name})" for k, name in enumerate(names)])
    exec(f"def f({', '.join(names)}):\n    return {body}", space)
    xs = [k / 7 for k in range(len(names))]
    program = trace(space["f"], *xs)
    (found,) = answers(program.js_source(), xs)
    assert math.isclose(found, program(*xs), rel_tol=1e-12)
    for name in names[::5]:
        space["f"].__name__ = name
        source = trace(space["f"], *xs).js_source()
        assert answers(source, xs) == [found]
        assert exported(source).startswith(name.encode("ascii", "ignore").decode()[:1])


def energy(x, v, k):
    """Of a mass on a spring."""
    stretch = m.max(x - 1.0, 0.0)
    if k < 0:
        return -v
    return 0.5 * v**2 + 0.5 * k * stretch**2


TEXT = """\
function maximum(a, b) {
    return a >= b || a != a ? a : b;
}

export function energy(x, v, k) {
    if (k < 0.0)
        throw new RangeError("guard 0: another path is taken here");
    /* test_javascript.py:LINE: stretch = m.max(x - 1.0, 0.0) */
    const stretch = maximum(x - 1.0, 0.0);
    return 0.5 * (v * v) + 0.5 * k * (stretch * stretch);
}
"""


@pytest.mark.usefixtures("unwatched")
def test_the_text_is_what_a_person_would_have_written():
    line = inspect.getsourcelines(energy)[1] + 2
    assert trace(energy, 1.5, 2.0, 3.0).js_source() == TEXT.replace("LINE", str(line))


def test_only_what_is_called_is_defined():
    assert "\nfunction" not in trace(lambda x: m.sin(x) ** 2 + x**3, 0.5).js_source()
    text = trace(lambda x: m.erf(x) + m.sigmoid(x), 0.5).js_source()
    defined = re.findall(r"^function (\w+)", text, re.M)
    assert sorted(defined) == ["decay", "erf", "erfc", "minimum", "sigmoid"]
    assert {*javascript_functions()} - {op.name for op in BUILTIN} == {
        "decay", "decoded", "lanczos", "nearest", "sinpi",
    }  # fmt: skip


@with_javascript
@pytest.mark.usefixtures("unwatched")
def test_whatever_a_line_of_code_says_and_html_finds_nothing_in_it():
    odd = [
        "*/ /* */",
        "</script><script>",
        "<!--",
        "-->",
        "`${1}`",
        "\\",
        "\u2028",
        "sigmoid(x)",
        "*/alert(1)",
    ]
    code = [
        "def f(a):\n",
        *[f"    a = a * 2.0 + a  # {x}\n" for x in odd],
        '    return [a, "</script>"]\n',
    ]
    file = "/tmp/odd*/.py"
    linecache.cache[file] = len("".join(code)), None, code, file
    space = {}
    exec(compile("".join(code), file, "exec"), space)
    try:
        source = trace(space["f"], 1.0).js_source()
        assert source.count("# ") == len(odd)
        assert "<" not in source
        assert "function sigmoid" not in source
        assert answers(source, [1.0]) == [[3.0 ** len(odd), "</script>"]]
    finally:
        del linecache.cache[file]


@with_javascript
def test_large_programs():
    def f(x, y):
        kept = []
        for k in range(2000):
            x = x * 0.999 + m.sin(y) if k % 7 else m.where(m.less(x, y), -(y - x), m.max(x, -y))
            y = y - x * 0.001
            kept.append(x)
        return [x, y, m.sum(kept), m.dot(kept, kept[::-1])]

    program = trace(f, 0.5, 0.25)
    source = program.js_source()
    assert max(map(len, source.splitlines())) <= 105
    (found,) = answers(source, [0.75, -0.5])
    assert np.allclose(found, program(0.75, -0.5), rtol=1e-6)


def test_rows_of_python_functions_are_refused(row):
    own = row("own", lambda x: x * x, lambda x, y: 2 * x)
    with pytest.raises(TypeError, match=r"js_source: own .* write it in .* own operations"):
        trace(lambda x: own(m.sin(x)) + 1.0, 0.5).js_source()
    assert "sin" in trace(grad(lambda x: own(m.sin(x))), 0.5).js_source()


@pytest.mark.parametrize("name", ["sigmoid", "sin", "maximum", "neg"])
def test_a_users_row_by_the_name_of_another_is_refused(row, name):
    kept = TABLE.pop(name)
    own = row(name, lambda *xs: xs[0], *[lambda *xs: 1.0] * kept.arity)
    with pytest.raises(TypeError, match=f"js_source: {name}"):
        trace(lambda x: own(*[x] * own.arity) + kept(*[x] * own.arity), 0.5).js_source()
