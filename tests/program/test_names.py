"""Names in source text: those of the user, each once, whatever they are; and how they are found."""

import itertools
import math
import sys

import pytest

from miniflow import Value, grad, no_grad, operation, trace, value_and_grad
from miniflow import math as m
from miniflow.ops import TABLE
from support.bits import bits
from support.formulas import operands, polynomial
from support.source_text import answered, defined, flat, function, neuron

inf, nan = math.inf, math.nan


# --- names --------------------------------------------------------------------

AWKWARD = [
    *("exp", "sin", "pow", "math", "xs", "lambda_", "inf", "nan", "isfinite", "fsum", "abs"),
    *("float", "int", "complex", "round", "ValueError", "Fraction", "copysign", "f", "t0", "w0"),
    *("sigmoid", "relu", "less", "where", "maximum", "self", "print", "_", "__x", "été", "λ"),
    *("t", "x", "d_x", "step", "sum", "bool", "None_", "match", "type"),
]
BODY = (
    "s = m.exp({0}) + m.sigmoid({0}) * m.fsum([{0}, m.less({0}, 2.0), m.floor({0})]);"
    " s = s if {0} < 9 else -s;"
    " return m.where(s, s, m.inf) + m.fabs({0}) ** 3 + m.fma({0}, s, {0}) + m.hypot({0}, 2)"
)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_of_arguments(name):
    f = defined("f", name, body=BODY.format(name))
    program = trace(f, 0.5)
    assert bits(function(program)(0.5)) == bits(f(0.5))
    assert bits(flat(program)([0.5])) == [bits(f(0.5))]
    assert function(program)(0.5) == program(0.5)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_of_structured_arguments(name):
    f = defined("f", name, body=BODY.format(f"{name}[0]"))
    program = trace(f, [0.5])
    assert bits(function(program)([0.5])) == bits(f([0.5]))


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_of_functions(name):
    f = defined(name, "x", body=BODY.format("x"))
    program = trace(f, 0.5)
    assert bits(function(program)(0.5)) == bits(f(0.5))


@pytest.mark.parametrize("name", TABLE)
def test_texts_of_the_tables_own_functions(name):
    """Their names are those of what the text calls."""
    op, columns = TABLE[name], operands(name)
    xs = [0.75] * len(columns)
    for f in (op, grad(op)):
        program = trace(f, *xs)
        got = answered(function(program), program, xs)
        assert got is None or bits(got) == bits(program(*xs))


def test_a_user_function_that_shadows_what_it_calls():
    def softplus(x):
        return m.softplus(x) + 1

    def sigmoid(x):
        return 1 / (1 + m.exp(-x))

    for f in (softplus, sigmoid):
        assert function(trace(f, 0.5))(0.5) == f(0.5)


def test_names_of_elements_do_not_overwrite_other_arguments():
    def f(x, x_0, x_1, t0):
        return x[0] + x[1] * x_0[0] - x_1 * t0["0"]

    args = [1.0, 2.0], [3.0], 4.0, {"0": 5.0}
    program = trace(f, *args)
    assert function(program)(*args) == f(*args) == program(*args)

    def g(a, b, a_0):
        return a[0] * a_0[0] * b

    args = [1.0], 2.0, [3.0]
    assert function(trace(g, *args))(*args) == 6.0


def test_names_of_starred_arguments_do_not_meet_others():
    def f(x1, *x, x0):
        return x1[0] * 2 + x[0][0] * 3 + x[1][0] * 5 + x0[0] * 7

    args = [1.0], [2.0], [3.0]
    program = trace(f, *args, x0=[4.0])
    assert function(program)(*args, [4.0]) == 51.0


LABELS = [
    *("two words", "it's", 'say "hi"', "line\nbreak", "tab\t", "été", "λ", "数", "x", "y", "exp"),
    *("1st", "class", "None", "a-b", "", " ", "#", "{x}", "%d", "\\", "x²", "½", "①", "__debug__"),
    "\N{MATHEMATICAL BOLD SMALL X}",
    "\N{LATIN SMALL LIGATURE FI}",
    "\N{FULLWIDTH LATIN SMALL LETTER X}",
    *("٣", "a·b", "e\N{COMBINING ACUTE ACCENT}", "\N{KELVIN SIGN}", "K", "lambda", "t0", "f"),
    *("\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"),
]  # fmt: skip


@pytest.mark.parametrize("label", LABELS)
def test_awkward_labels(label):
    def f(x, y, fi):
        nodes = [x * y, m.sin(x) + fi, m.exp(y)]
        nodes[0].label = nodes[1].label = label
        return nodes[0] * nodes[1] + nodes[0] * x - nodes[1] * y + nodes[2] * x + fi

    w = Value(2.0, label=label)
    for g in (f, lambda x, y, fi: f(x, y, fi) * w + x):
        program = trace(g, 0.5, 1.5, 0.25)
        expected = program(0.5, 1.5, 0.25)
        expected = expected.data if expected.__class__ is Value else expected
        assert bits(function(program)(0.5, 1.5, 0.25)) == bits(expected)
        assert bits(flat(program)([0.5, 1.5, 0.25, *program.live()])) == [bits(expected)]
        assert str(program)
        assert len(str(program).splitlines()) < 25


def test_all_labels_at_once():
    def f(x):
        nodes = []
        for label in LABELS:
            nodes.append(m.sin(nodes[-1] * 2 if nodes else x))
            nodes[-1].label = label
        return m.sum([a * b for a, b in itertools.pairwise(nodes)])

    program = trace(f, 0.5)
    assert bits(function(program)(0.25)) == bits(program(0.25))
    assert len(set(program.names.values())) == len(program.names)


def test_names_of_the_user_appear(unwatched):
    weight = Value(3.0, label="weight")

    def f(price, rates):
        discount = m.exp(-rates["long"] * price)
        parts = [discount * weight]
        parts[0].label = "weighted part"
        return parts[0] + discount + m.sin(parts[0])

    source = trace(f, 2.0, {"long": 0.5}).source()
    lines = source.splitlines()
    assert "def f(price, rates, *, weight=3.0):" in lines
    assert "    rates_long = rates['long']" in lines or "    (rates_long,) = rates" not in lines
    for name in ("discount = exp(", "weighted_part = discount * weight", "+ sin(weighted_part)"):
        assert name in source, source


def test_variables_of_inner_functions_and_loops(unwatched):
    def inner(z):
        half = z / 2
        return half * half + half

    def f(x):
        total = inner(x)
        for _ in range(3):
            total = inner(total) + total
        return total

    program = trace(f, 0.5)
    assert {"half", "total"} <= set(program.names.values())
    assert bits(function(program)(0.25)) == bits(f(0.25))


# --- watching -----------------------------------------------------------------


def test_a_debugger_is_left_alone():
    """It goes first: nothing is noted, and it goes on watching."""
    seen = []

    def debugger(frame, event, arg):
        seen.append(frame.f_code.co_name)
        return debugger

    before = sys.gettrace()
    sys.settrace(debugger)
    try:
        program = trace(neuron, 0.5, 2.0, 1.0)
        with pytest.raises(ZeroDivisionError):
            trace(lambda x: 1 // 0, 1.0)
        during = sys.gettrace()
    finally:
        sys.settrace(before)
    assert during is debugger
    assert "neuron" in seen
    assert program(0.5, 2.0, 1.0) == neuron(0.5, 2.0, 1.0)
    assert "#" not in program.source()
    assert function(program)(0.5, 2.0, 1.0) == neuron(0.5, 2.0, 1.0)


def test_watching_ends_with_the_trace(unwatched):
    trace(neuron, 0.5, 2.0, 1.0)
    assert sys.gettrace() is None
    for error in (KeyError, KeyboardInterrupt, SystemExit, GeneratorExit):

        def f(x, error=error):
            raise error

        with pytest.raises(error):
            trace(f, 1.0)
        assert sys.gettrace() is None


def test_a_debugger_that_starts_inside_of_f_stays(unwatched):
    def debugger(frame, event, arg):
        return None

    def f(x):
        sys.settrace(debugger)
        return x * 2

    assert trace(f, 1.0)(2.0) == 4.0
    assert sys.gettrace() is debugger
    sys.settrace(None)


def test_watching_disturbs_no_local_variables(unwatched):
    """Looking at a frame's variables must not bring old ones back."""

    def f(x):
        count = 0
        for _ in range(3):
            count += 1
            (lambda: count)()
        exec("count = 7")
        return x * count

    assert trace(f, 1.0)(2.0) == 6.0


def test_generators_and_comprehensions_are_watched(unwatched):
    def squares(xs):
        for x in xs:
            square = x * x
            yield square

    def f(xs):
        total = sum(squares(xs))
        return total + sum([x for x in xs if x > 0])

    program = trace(f, [1.0, -2.0])
    assert function(program)([1.0, -2.0]) == f([1.0, -2.0]) == 6.0


def test_equal_programs_need_not_have_the_same_text(unwatched):
    first, second = trace(lambda a, b: a * b, 1.0, 2.0), trace(lambda x, y: x * y, 1.0, 2.0)
    assert first == second
    assert "def f(a, b)" in first.source()
    assert "def f(x, y)" in second.source()


def test_texts_under_no_grad_and_with_detach():
    def f(x):
        with no_grad():
            scale = m.exp(x)
        return x * scale + (x * x).detach()

    program = trace(value_and_grad(f), 0.5)
    assert function(program)(0.25) == value_and_grad(f)(0.25)
    assert "stop_gradient" not in program.source()


def test_texts_of_traced_branches():
    for xs in ((2.0, 3.0), (-2.0, 3.0), (nan, 1.0)):
        program = trace(polynomial, *xs)
        assert bits(function(program)(*xs)) == bits(polynomial(*xs))
    with pytest.raises(ValueError, match=r"^guard 0: another path is taken here$"):
        function(trace(polynomial, 2.0, 3.0))(-2.0, 3.0)
    with pytest.raises(ValueError, match=r"^guard 0: another path is taken here$"):
        function(trace(polynomial, -2.0, 3.0))(2.0, 3.0)
    with pytest.raises(ValueError, match=r"^guard 0"):
        function(trace(polynomial, 2.0, 3.0))(nan, 3.0)


def test_what_is_made_of_a_rows_text_is_not_the_users_code():
    """A trace would note its line for an entry, in the place of the user's."""
    files = {op.value.__code__.co_filename for op in TABLE.values() if op.text}
    assert files == {operation.__file__}
