"""Source text: Python that runs without miniflow, gives the eager answer, and reads well."""

import ast
import enum
import inspect
import itertools
import json
import math
import re
import subprocess
import sys
import sysconfig
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, grad, hessian, trace, value_and_grad
from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.program.expand import decomposition
from miniflow.program.ir import PathError
from miniflow.program.python import is_foreign, python_text
from support.bits import bits
from support.formulas import Point, operands, price
from support.random_functions import functions, points
from support.source_text import RAISES, all_finite, answered, defined, flat, function, last, neuron

inf, nan = math.inf, math.nan


def assert_same(program, xs, expected):
    """Both texts give the expected answer."""
    for got in (
        answered(function(program), program, xs),
        answered(lambda *numbers: flat(program)(list(numbers)), program, xs),
    ):
        assert got is None or bits(got) == bits(expected)


# --- the eager answer ---------------------------------------------------------


@given(functions(), st.data())
def test_the_text_gives_the_eager_answer_to_the_bit(f, data):
    xs = data.draw(points(f))
    assert_same(trace(f, *xs), xs, f(*xs))


@given(functions(longest=5), st.data())
def test_the_text_of_a_gradient_does_too(f, data):
    xs = data.draw(points(f))
    g = value_and_grad(lambda *xs: f(*xs)[0], range(f.count))
    value, gradient = g(*xs)
    program = trace(g, *xs)
    got = answered(lambda *numbers: flat(program)(list(numbers)), program, xs)
    assert got is None or bits(got) == bits([value, *gradient])


@given(functions(), st.data())
def test_the_text_leaves_where_another_path_is_taken(f, data):
    xs, ys = data.draw(points(f)), data.draw(points(f))
    program = trace(f, *xs)
    try:
        program(*ys)
    except PathError as error:
        expected = f"guard {error.guard}: another path is taken here"
        with pytest.raises(RAISES) as caught:
            function(program)(*ys)
        # or something before it was not finite
        assert str(caught.value) == expected or not str(caught.value).startswith("guard")
    else:
        assert_same(program, ys, f(*ys))


@pytest.mark.parametrize("name", TABLE)
def test_every_row_has_a_text(name):
    op, columns = TABLE[name], operands(name)
    program = trace(lambda *xs: op(*xs), *[0.75] * len(columns))
    f, count = function(program), 0
    for xs in zip(*columns, strict=True):
        got = answered(f, program, xs)
        if got is not None:
            assert bits(got) == bits(op(*xs)), xs
            count += 1
    assert count > 3
    assert not is_foreign(op)


@pytest.mark.parametrize("name", TABLE)
def test_every_partial_has_a_text(name):
    op = TABLE[name]
    columns = operands(name)
    everything = range(len(columns))
    program = trace(grad(lambda *xs: op(*xs), everything), *[0.75] * len(columns))
    assert program.guards == ()
    f = function(program)
    for xs in zip(*columns, strict=True):
        got = answered(f, program, xs)
        assert got is None or bits(got) == bits(program(*xs)), xs


def test_a_text_runs_in_a_bare_interpreter():
    xs = [100.0, 95.0, 0.5]
    program = trace(hessian(lambda v: price(*v)), xs)
    script = f"{program.source()}\nimport json, sys\nassert 'miniflow' not in sys.modules\n"
    script += f"print(json.dumps([[x.hex() for x in row] for row in {program.name}({xs!r})]))\n"
    command = [sys.executable, "-I", "-S", "-"]
    found = subprocess.run(command, input=script, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == bits(hessian(lambda v: price(*v))(xs))


def test_the_flat_text_takes_captured_numbers_too():
    w, v = Value(3.0, label="w"), Value(4.0)
    program = trace(lambda x, ys: [x * w + ys[0], v], 2.0, [1.0])
    assert flat(program)([2.0, 1.0, 3.0, 4.0]) == [7.0, 4.0]
    assert flat(program)([2.0, 1.0, 5.0, -1.0]) == [11.0, -1.0]
    assert flat(trace(lambda: 3.0))([]) == [3.0]
    assert flat(trace(lambda x: [], 1.0))([1.0]) == []
    assert flat(trace(lambda x: {"a": x}, 1.0))([1.0]) == [1.0]


def test_captured_numbers_are_keyword_arguments():
    w = Value(3.0, label="weight")
    program = trace(lambda x: x * w, 2.0)
    assert function(program)(2.0) == 6.0
    assert function(program)(2.0, weight=5.0) == 10.0
    w.data = 4.0  # those at the time of writing
    assert function(program)(2.0) == 8.0
    w.data = -inf
    assert function(program)(2.0) == -inf
    w.data = nan
    assert math.isnan(function(program)(2.0))


def test_constants_keep_every_bit():
    constants = [0.1, -0.1, 5e-324, 1.7976931348623157e308, -1e-310, inf, -inf, nan, -0.0, 1e22]
    program = trace(lambda x: [m.copysign(x, c) if c != c else x - c for c in constants], 0.0)
    for x in (0.0, -0.0, 1.0, inf):
        assert bits(function(program)(x)) == bits(program(x))
    program = trace(lambda x: constants, 0.0)
    assert bits(function(program)(0.0)) == bits(constants)


EXPRESSIONS = {
    "sum of a difference": lambda x, y: x - (y - x),
    "difference of a sum": lambda x, y: x - (y + x) - (x - y),
    "product of quotients": lambda x, y: x / (y / x) * (x * (y / x)),
    "product of sums": lambda x, y: (x + y) * (x - y),
    "negative power": lambda x, y: (-x) ** 3 + -(x**3) + (-(x**2)) ** 5,
    "power of a power": lambda x, y: (x**3) ** 5 + x**3**2,
    "power of a sum": lambda x, y: (x + y) ** 3 - (x + y) ** 2 - (x * y) ** -2.0,
    "negative sum": lambda x, y: -(x + y) - -x * -y / -(x - y),
    "modulo": lambda x, y: x % (y % x) // (x // y) * (x % y),
    "minus a negative constant": lambda x, y: x - -2.0 - (-3.0) * y + (-2.5) / x + (-2.0) ** x,
    "choice in a sum": lambda x, y: m.where(x, y, 2.0) + m.where(y, m.where(x, 1.0, y), x),
    "choice in a choice": lambda x, y: m.where(m.where(x, y, x), m.where(y, x, 3.0), y),
    "comparison in a choice": lambda x, y: m.where(m.less(x, m.less(y, x)), x, m.equal(x, y)),
    "choice in a comparison": lambda x, y: m.less(m.where(x, y, 1.0), m.where(y, x, 2.0)),
    "choice in a power": lambda x, y: m.where(x, y, 2.0) ** 3 + m.where(x, y, 2.0) ** y,
    "choice negated": lambda x, y: -m.where(x, y, 2.0) + abs(-m.where(y, x, 2.0)),
    "dot": lambda x, y: m.dot([x, y, x - y], [y, x + y, -x]) - m.sum([x, -y, x - y]),
    "dot in a product": lambda x, y: x * m.dot([x, y], [y, x]) / m.sum([x, y, 3]),
    "fsum": lambda x, y: m.fsum([x, 1e16, y, -1e16]) * m.fsum([x]),
    "stop": lambda x, y: m.stop_gradient(x + y) * x - m.stop_gradient(-x) ** 2,
    "squares": lambda x, y: (x * y) ** 2 + m.sin(x) ** 2 + m.where(x, y, x) ** 2,
    "integers": lambda x, y: x**1e16 + x**0 + y**-1 + y**-3.0 + x**0.5,
}


@pytest.mark.parametrize("f", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_parentheses_stand_where_they_are_needed(f):
    program = trace(f, 2.0, 3.0)
    plain, listed = function(program), flat(program)
    for xs in itertools.product((2.0, 3.0, -1.5, 0.7, -7.25, 1e-3), repeat=2):
        if not all_finite(program, xs):
            continue
        assert bits(plain(*xs)) == bits(program(*xs))
        assert bits(listed(list(xs))) == [bits(program(*xs))]


# --- structures ---------------------------------------------------------------

STRUCTURES = {
    "list": (lambda xs: [xs[1], [xs[0] * 2]], ([1.0, 2.0],)),
    "tuple": (lambda xs: (xs[1], (xs[0] * 2,), ()), ((1.0, 2.0),)),
    "one": (lambda xs: xs[0] * 2, ([1.0],)),
    "dict": (lambda d: {"b": d["a"], "a b": d["b c"] * 2, 3: {}}, ({"a": 1.0, "b c": 2.0},)),
    "nested": (lambda d, x: d["a"][0][1] * d["b"] + x, ({"a": [(1.0, 2.0)], "b": 3.0}, 4.0)),
    "odd keys": (lambda d: d['"'] * d["'"] + d[2], ({'"': 1.0, "'": 2.0, 2: 3.0},)),
    "settings": (lambda x, s, t: (x if s else -x, s, t, [None, b"a"]), (1.0, True, "up\n'")),
    "settings among numbers": (lambda xs: xs[0] * 2, ([1.0, "up", None, 2.0],)),
    "namedtuple": (lambda p: Point(p.y, p.x * 2), (Point(1.0, 2.0),)),
    "array": (lambda a: (a @ a, a[0]), (np.array([[1.0, 2.0], [3.0, 4.0]]),)),
    "vector": (lambda a: a * a[0], (np.array([1.0, 2.0]),)),
    "one element": (lambda a: a * a[0], (np.array([3.0]),)),
    "cube": (lambda a: a * 2, (np.arange(8.0).reshape(2, 2, 2),)),
    "empty": (lambda a, b, c, x: (x, [], (), {}, a), ([], (), {}, 2.0)),
    "no arguments": (lambda: (1.0, -2.5), ()),
    "setting alone": (lambda x: "text", (1.0,)),
    "truth": (lambda x: x > 0, (1.0,)),
    "mask": (lambda mask, x: (x * 2, mask, np.bool_(False)), (np.array([True, False]), 1.0)),
    "mask among numbers": (lambda d: [d["x"], d["m"]], ({"m": np.array([[True]]), "x": 2.0},)),
    "numbers and None": (lambda x: {"a": (x, None), "b": True, "c": 1.5}, (1.0,)),
}


@pytest.mark.parametrize(("f", "args"), STRUCTURES.values(), ids=STRUCTURES)
def test_structures_of_arguments_and_results(f, args):
    program = trace(f, *args)
    got, expected = function(program)(*args), program(*args)
    assert plain(got) == plain(expected)


def plain(tree):
    """A structure without arrays and named tuples; numbers with all their bits."""
    if isinstance(tree, dict):
        return {name: plain(part) for name, part in tree.items()}
    if isinstance(tree, (list, np.ndarray)):
        return [plain(part) for part in tree]
    if isinstance(tree, tuple):
        return tuple([plain(part) for part in tree])
    return float(tree).hex() if isinstance(tree, (float, np.floating)) else tree


def test_arrays_go_into_the_text_as_they_are():
    program = trace(lambda a, b: a * b.sum(), np.array([1.0, 2.0]), np.ones((2, 2)))
    got = function(program)(np.array([3.0, 4.0]), np.full((2, 2), 0.5))
    assert got == [6.0, 8.0]
    assert function(trace(lambda x: x * 2 + 1, 1.0))(np.array([1.0, 2.0])).tolist() == [3.0, 5.0]


def test_keyword_arguments_have_their_names():
    program = trace(lambda x, *, scale=2.0, **rest: x * scale + rest["z"], 1.0, scale=3.0, z=1.0)
    assert function(program)(x=2.0, scale=5.0, z=0.5) == 10.5


def test_strings_with_signs_in_them_stay_as_they_are():
    """Comments are found by their sign, imports by names, line ends by spaces."""

    def f(x):
        return {"#": m.exp(x), "a # b": m.sin(x)}, "# not a comment"

    assert function(trace(f, 1.0))(1.0) == f(1.0)
    keys = [f"the  price of number {k} in this\tlist" for k in range(12)]
    program = trace(lambda x: {key: x * k for k, key in enumerate(keys)}, 1.0)
    assert function(program)(2.0) == {key: 2.0 * k for k, key in enumerate(keys)}
    program = trace(lambda d: sum(d.values()), dict.fromkeys(keys, 1.0))
    assert function(program)(dict.fromkeys(keys, 2.0)) == 24.0


class Colour(enum.Enum):
    RED = 1


def test_a_setting_without_a_literal_is_no_syntax_error():
    """It cannot be written down: either the text says so when asked for, or still runs."""
    program = trace(lambda x: (x * 2, Colour.RED), 1.0)
    try:
        source = program.source()
    except TypeError:
        return
    assert last(source)(2.0)[0] == 4.0


# --- what it looks like -------------------------------------------------------


def numbered(source):
    """The text without line numbers, which change with this file."""
    return re.sub(r"(source_text\.py):\d+", r"\1:0", source)


def test_a_derivative_reads_as_a_person_would_have_written_it(unwatched):
    program = trace(value_and_grad(neuron, (1, 2)), 0.5, 2.0, 1.0)
    assert (
        numbered(program.source())
        == """\
from math import tanh


def neuron(x, w, b):
    # source_text.py:0: s = x * w + b
    s = x * w + b
    if s > 4.0:
        raise ValueError("guard 0: another path is taken here")
    # source_text.py:0: activation = m.tanh(s)
    activation = tanh(s)

    # the reverse sweep
    # source_text.py:0: return activation**2
    d_activation = 2.0 * activation
    # source_text.py:0: activation = m.tanh(s)
    d_s = d_activation * (1.0 - activation * activation)
    # source_text.py:0: s = x * w + b
    d_w = d_s * x
    return (activation * activation, (d_w, d_s))
"""
    )


def test_rows_that_python_does_not_have_are_defined_above(unwatched):
    program = trace(lambda x, ys: {"a": m.relu(x) - m.floor(ys[0]), "b": None}, 1.0, [2.0])
    assert (
        program.source()
        == """\
import math
from math import isfinite


def step(x):
    return 1.0 if x > 0 else x if x != x else 0.0


def relu(x):
    return x if step(x) else 0.0


def floor(x):
    return math.copysign(float(math.floor(x)), x) if isfinite(x) else x


def f(x, ys):
    (ys_0,) = ys
    return {'a': relu(x) - floor(ys_0), 'b': None}
"""
    )


def test_comments_say_where_a_statement_comes_from(unwatched):
    _, start = inspect.getsourcelines(neuron)
    source = trace(neuron, 0.5, 2.0, 1.0).source()
    assert f"    # source_text.py:{start + 1}: s = x * w + b" in source.splitlines()
    assert "the reverse sweep" not in source
    once = trace(grad(neuron), 0.5, 2.0, 1.0).source()
    assert once.count("# the reverse sweep\n") == 1
    assert once.index("# the reverse sweep") < once.index("d_s = ")


def test_comments_of_derivatives_of_derivatives(unwatched):
    def f(x):
        y = m.sin(x) * x
        return m.exp(y) * y

    source = trace(grad(grad(f)), 0.5).source()
    assert source.count("# the reverse sweep") >= 2
    assert "# the reverse sweep of the reverse sweep\n" in source
    assert "y = m.sin(x) * x" in source
    cancelled = trace(grad(grad(lambda x: m.sin(x) * x)), 0.5).source()
    assert "# test_python.py" in cancelled


def test_code_without_a_file_has_names_and_no_comments(unwatched):
    f = defined("f", "x", body="y = m.exp(x); return y * y + m.sin(y)")
    assert function(trace(f, 0.5))(0.5) == f(0.5)
    source = trace(f, 0.5).source()
    assert "    y = exp(x)\n" in source
    assert "#" not in source


def test_after_a_callback_a_librarys_entries_belong_to_its_callers_line(unwatched):
    names = {}
    file = Path(sysconfig.get_path("stdlib"), "made_up.py")
    text = "def apply(callback, x):\n    callback()\n    y = x * x\n    return y + x * y\n"
    exec(compile(text, str(file), "exec"), names)

    def callback():
        return 1

    def f(x):
        return names["apply"](callback, x)  # the line of the call

    for nowhere in (callback, defined("nowhere", "", body="return 1")):
        callback = nowhere
        source = trace(f, 0.5).source()
        assert "# the line of the call" in source
        assert "return 1" not in source


def test_comments_end_with_their_line(unwatched):
    def f(x):
        y = m.exp(
            x
        )  # \N{LATIN SMALL LETTER E WITH ACUTE} """ ''' \ and a very long remark ..................................  # noqa: E501
        return y * y + m.sin(y)

    program = trace(f, 0.5)
    assert function(program)(0.5) == f(0.5)
    assert max(map(len, program.source().splitlines())) <= 100


def test_lines_are_short():
    names = [f"quite_a_long_name_of_an_argument_{k}" for k in range(40)]
    f = defined("long", *names, body=f"return m.sum([{', '.join(names)}]) * {names[0]}")
    xs = [float(k) for k in range(40)]
    program = trace(f, *xs)
    for source in (program.source(), python_text(program, flat=True)):
        assert max(map(len, source.splitlines())) <= 100
    assert function(program)(*xs) == f(*xs)
    assert flat(program)(xs) == [f(*xs)]
    weights = [Value(k, label=f"the weight of connection number {k}") for k in range(20)]
    program = trace(lambda x: m.sum([x * w for w in weights]), 1.0)
    assert max(map(len, program.source().splitlines())) <= 100
    assert function(program)(2.0) == 380.0
    program = trace(lambda xs: [x * 2 for x in xs], xs)
    assert max(map(len, program.source().splitlines())) <= 100
    assert function(program)(xs) == [2 * x for x in xs]


@given(functions(), st.data())
def test_every_text_is_tidy(f, data):
    program = trace(f, *data.draw(points(f)))
    source = program.source()
    assert source == program.source()
    assert source.endswith("\n")
    assert not source.endswith("\n\n")
    for line in source.splitlines():
        assert len(line) <= 100
        assert line == line.rstrip()
    tree = ast.parse(source)
    assert isinstance(tree.body[-1], ast.FunctionDef)
    imported = [
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    used = [x.id for x in ast.walk(tree) if isinstance(x, ast.Name)]
    assert set(imported) <= set(used)
    assigned = [
        node.id
        for node in ast.walk(tree.body[-1])
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    assert len(set(assigned)) == len(assigned)


def test_a_number_used_once_stands_where_it_is_used():
    source = trace(lambda x, y: (m.sin(x) + 1) * m.exp(y), 1.0, 2.0).source()
    assert source.endswith("def f(x, y):\n    return (sin(x) + 1.0) * exp(y)\n")


def test_a_long_chain_is_no_long_expression():
    def f(x):
        for _ in range(2000):
            x = m.sin(x + 0.5)
        return x

    program = trace(f, 0.5)
    lines = [line for line in program.source().splitlines() if "#" not in line]
    assert function(program)(0.25) == f(0.25)
    assert "".join(lines).count("sin(") == 2000
    assert max(map(len, lines)) <= 100
    assert function(trace(grad(f), 0.5))(0.25) == grad(f)(0.25)


def test_expanded_programs_have_a_text():
    program = trace(lambda x: m.sigmoid(x) * m.gelu(x), 0.5).expanded(())
    source = program.source()
    assert "def sigmoid" not in source
    assert function(program)(0.25) == program(0.25)


# --- rows of users ------------------------------------------------------------


def test_a_row_of_the_users_that_is_a_formula_is_written_out(row):
    cube = row("cube", lambda x: x * x * x, lambda x, y: 3.0 * x * x)
    program = trace(lambda x: cube(x) + cube(x + 1), 2.0)
    assert not is_foreign(cube)
    assert "to be supplied by its author" not in program.source()
    assert function(program)(2.0) == program(2.0) == 35.0
    assert function(trace(grad(cube), 2.0))(3.0) == 27.0


def test_a_row_of_the_users_is_asked_for(row):
    """What its function of floats does with anything else is not for us to say."""
    whole = row("whole", lambda x: float(int(x)) * x, lambda x, y: 3.0 * x * x)
    program = trace(lambda x: whole(x) + whole(x + 1), 2.5)
    assert is_foreign(whole)
    text = program.source()
    assert text.startswith("# whole: a function of floats, to be supplied by its author")
    assert function(program, whole=whole.value)(2.5) == program(2.5) == 15.5
    assert function(trace(grad(whole), 2.0))(3.0) == 27.0  # its partials are formulas


OPAQUE = {
    "math": (lambda x: math.sin(x) + 1, "math.sin takes no Value"),
    "branch": (lambda x: x * 2 if x > 0 else x, "it branches"),
    "float": (lambda x: float(x) * 2, "float() takes no Value"),
    "error": (lambda x: 1 // 0 if type(x) is not float else x, "it raises"),
    "data": (lambda x: x.data if x.__class__ is Value else x, ".data is refused"),
}


@pytest.mark.parametrize(("value", "why"), OPAQUE.values(), ids=OPAQUE)
def test_a_row_that_only_its_author_can_write_is_asked_for(row, value, why):
    opaque = row("opaque", value, lambda x, y: 1.0)
    program = trace(lambda x: opaque(x) * 2, 0.5)
    assert decomposition(opaque) is None, why
    assert is_foreign(opaque)
    assert program(0.5) == value(0.5) * 2
    assert program.expanded(()) == program
    assert "# opaque: a function of floats, to be supplied by its author\n" in program.source()
    with pytest.raises(NameError, match="opaque"):
        function(program)(0.5)
    assert function(program, opaque=value)(0.5) == value(0.5) * 2
    with pytest.raises(TypeError, match="operation opaque is unknown for Fraction"):
        program(Fraction(1, 2))
    assert program(np.array([0.5, 1.0])).tolist() == [value(0.5) * 2, value(1.0) * 2]


def test_a_row_of_any_number_of_operands(row):
    mean = row("mean", lambda *xs: sum(xs) / len(xs), each=lambda k, xs, y: 1.0 / len(xs))
    program = trace(lambda x, y: mean(x, y, 3.0), 1.0, 2.0)
    assert is_foreign(mean)
    assert function(program, mean=mean.value)(2.0, 4.0) == 3.0


def test_a_row_that_computes_with_ints_stays_to_the_bit(row):
    """Python's floor, ceil and round of floats are ints: they know no -0.0, and never round."""
    values = [lambda x: math.ceil(x) * 1.0, lambda x: round(x) + -0.0, lambda x: math.floor(x) ** 3]
    values += [lambda x: 1.0 * (math.trunc(x) * 3 * 3 * 3), lambda x: x - math.floor(x)]
    for k, value in enumerate(values):
        op = row(f"whole{k}", value, lambda x, y: 1.0)
        program = trace(lambda x, op=op: op(x), 0.5)
        for x in (-0.5, -0.0, 0.25, 1e15 / 3 + 0.5, 2.0**53 - 1, 1234567.8):
            assert bits(program(x)) == bits(op(x)) == bits(value(x))
            assert bits(program.expanded(())(x)) == bits(value(x))
            assert bits(function(program, **{op.name: value})(x)) == bits(value(x))


def test_a_row_that_takes_a_name_again_is_not_taken_for_the_old_one(row):
    first = row("again", lambda x: x * 2, 2.0)
    assert trace(lambda x: first(x), 1.0)(3.0) == 6.0
    del TABLE["again"]
    second = row("again", lambda x: x * 5, 5.0)
    assert trace(lambda x: second(x), 1.0)(3.0) == 15.0
    assert trace(lambda x: first(x), 1.0)(3.0) == 6.0
