"""Two engines from one source: they give the same answers, bit for bit, and the same errors.

Terms:
    here    the engine that the tests run on
    there   the other one, in a process of its own that does the same jobs
    job     a function of plain data that returns plain data: a pair of "ok" and an answer,
            or of an exception's name and what it says
"""

import copy
import gc
import inspect
import itertools
import math
import operator
import pickle  # noqa: F401 - in TRIED
import random
import re
import weakref
from decimal import Decimal  # noqa: F401 - in OTHERS
from fractions import Fraction  # noqa: F401 - in OTHERS

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

import miniflow
from miniflow import (
    Tape,  # noqa: F401 - in TRIED
    Value,
    define,
    grad,
    hessian,
    jvp,
    trace,
    vjp,
)
from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.tape import core as tape
from miniflow.testing.steps import carried_out
from support.bits import bits
from support.other_engine import agree, answered, which
from support.profiles import examples
from support.random_functions import functions, points
from support.scripts import ran

inf, nan = math.inf, math.nan
# zeros, ties, kinks, poles, ends of domains, subnormals, numbers at which functions overflow
SPECIAL = [
    *(0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 12.0, 40.0, 171.5, 1000.0, 9007199254740993.0, 2.0**1023),
    *(math.pi / 2, 0.1, 1e-8, 1e-300, 1e300, 2.0**-1022, 5e-324, 1e-310, 709.5, 745.0, 1 - 2**-53),
    *(inf, nan, 1.7976931348623157e308, 9999.0, 1e5),
]
SPECIAL += [-x for x in SPECIAL if x == x]
FEW = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.5, inf, -inf, nan, 5e-324, 1e300]


# --- the other engine ---------------------------------------------------------


def test_the_other_engine_is_the_other_one(there):
    assert {miniflow.engine, there(which)} == {"compiled", "python"}


# --- rows ---------------------------------------------------------------------


def row(name, columns):
    """A row's values and first partials at many operands: all of them Values, or but one."""
    op, found = TABLE[name], []
    for xs in columns:
        found.append(bits(op(*xs)))
        values = [Value(x) for x in xs]
        y = op(*values)
        y.backward()
        found.append(bits([y, *[v.grad for v in values]]))
        for k, x in enumerate(xs):
            operands = [*xs[:k], v := Value(x), *xs[k + 1 :]]
            y = op(*operands)
            if y.__class__ is Value:
                y.backward()
            found.append(bits([y, v.grad]))
    return found


def grid(name):
    arity = TABLE[name].arity
    if arity == 1:
        return [(x,) for x in SPECIAL]
    if arity == 2:
        return [*itertools.product(SPECIAL[::2] + FEW, FEW), *itertools.product(FEW, SPECIAL[1::2])]
    if arity == 3:
        return list(itertools.product(FEW[::2], FEW, FEW[1::2]))
    rng = random.Random(name)
    sizes = [2, 4, 6] if name == "dot" else [1, 2, 3, 7]
    return [tuple(rng.choices(SPECIAL, k=rng.choice(sizes))) for _ in range(60)]


@pytest.mark.parametrize("name", TABLE)
def test_rows_at_special_operands(same, name):
    assert len(same(row, name, grid(name))) > 100


@pytest.mark.parametrize("name", TABLE)
@examples(10)
@given(data=st.data())
def test_rows_at_any_operands(same, name, data):
    arity = TABLE[name].arity
    size = arity if arity > 0 else 2 * data.draw(st.integers(1, 3))
    number = st.floats() | st.floats(-4, 4) | st.sampled_from(SPECIAL)
    same(row, name, data.draw(st.lists(st.tuples(*[number] * size), min_size=1, max_size=8)))


def second(name, columns):
    """The second partials of a row."""
    op = TABLE[name]
    everything = range(len(columns[0]))
    found = []
    for xs in columns:
        for k in everything:
            slope = grad(lambda *xs, k=k: op(*xs), k)
            found.append(bits(grad(slope, everything)(*xs)))
    return found


@pytest.mark.parametrize("name", TABLE)
def test_second_partials_of_rows(same, name):
    columns = random.Random(name).sample(grid(name), 40)
    if TABLE[name].arity < 0:
        columns = [xs for xs in columns if len(xs) == 2]
    same(second, name, columns)


# --- graphs -------------------------------------------------------------------


def graph(f, xs, others):
    """A random graph: all its numbers, all its gradients of each output, and forward again."""
    leaves = [Value(x, f"x{k}") for k, x in enumerate(xs)]
    nodes = list(leaves)
    for step in f.steps:
        nodes.append(carried_out(step, nodes))
    values = [v for v in nodes if v.__class__ is Value]
    found = [bits(nodes), [v.op for v in values], [len(v.inputs) for v in values]]
    for k in f.result:
        y = nodes[k]
        if y.__class__ is Value:
            y.backward(1.5)
            found.append(bits([v.grad for v in values]))
    for leaf, x in zip(leaves, others, strict=True):
        leaf.data = x
    for k in f.result:
        if nodes[k].__class__ is Value:
            nodes[k].forward()
    return [*found, bits(nodes), bits([v.grad for v in values])]


@examples(150)
@given(f=functions(), data=st.data())
def test_graphs(same, f, data):
    same(graph, f, data.draw(points(f)), data.draw(points(f)))


def derivatives(f, xs, vs):
    """What transforms and programs make of a random graph."""

    def single(*xs):
        return f(*xs)[-1]

    everything = range(f.count)
    program = trace(grad(single, everything), *xs)
    return [
        bits(grad(single, everything)(*xs)),
        bits(grad(grad(single))(*xs)),
        bits(hessian(lambda xs: single(*xs))(xs)),
        bits(jvp(single, tuple(xs), tuple(vs))),
        bits(vjp(single, *xs)[1](vs[0])),
        repr(program.code),
        bits(program(*xs)),
        bits(program(*map(Value, xs))),
    ]


@examples(40, suppress_health_check=[HealthCheck.too_slow])
@given(f=functions(longest=5), data=st.data())
def test_derivatives_and_programs(same, f, data):
    same(derivatives, f, data.draw(points(f)), data.draw(points(f)))


def wide(count):
    """Many operands, many uses of one operand, and a chain."""
    rng = random.Random(count)
    xs = [Value(rng.uniform(-1, 1)) for _ in range(count)]
    ws = [Value(rng.uniform(-1, 1)) for _ in range(count)]
    y = m.dot(xs, ws) + m.sum(xs) * m.dot(xs, xs) + m.dot(xs, [1.0] * count)
    for x in xs:
        y = y * 0.9 + x * xs[0]
    y.backward()
    return bits([y, *[v.grad for v in xs + ws]])


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_wide_operations(same, count):
    same(wide, count)


def conditions(seed):
    """What only chooses has no gradient: its own stays as it was."""
    c, a, b = Value(2.0), Value(3.0), Value(4.0)
    k = c * 1.0
    k.backward()
    y = m.where(k, a, b)
    y.backward(seed)
    return bits([k.grad, c.grad, a.grad, b.grad])


def test_a_condition_is_not_reached_by_a_sweep(same):
    assert same(conditions, 1.0) == bits([1.0, 1.0, 1.0, 0.0])
    assert same(conditions, inf)[:2] == bits([1.0, 1.0])


# --- numbers of other types ---------------------------------------------------

INFIX = ["add", "sub", "mul", "truediv", "pow", "mod", "floordiv"]
COMPARED = ["lt", "le", "gt", "ge", "eq", "ne"]
SCALARS = sorted({np.dtype(x).type.__name__ for x in np.typecodes["All"] if x not in "mMVSUO"})
OTHERS = [
    *(f"np.{kind}({x})" for kind in SCALARS for x in (0, 1, 3)),
    *("2**53", "2**53 + 1", "2**53 - 1", "-2**53", "-2**53 - 1", "10**400", "-10**400", "0", "-3"),
    *("True", "False", "Fraction(1, 3)", "Fraction(10**400)", "Decimal('0.1')", "Decimal('nan')"),
    *("np.float64(nan)", "np.float32(inf)", "np.longdouble(1) / 3", "np.uint64(2**64 - 1)"),
    *("np.array(2.0)", "np.array([1.0, 2.0])", "np.array([])", "None", "'3'", "b'3'", "1j", "[1]"),
    *("(1.0,)", "{}", "object", "nan", "-0.0", "np.datetime64('2020')", "np.array(['x'])"),
]


def shown(x):
    """Data that a pickle carries, and that is equal if it is the same to the bit."""
    if x.__class__ is Value:
        return "Value", x.op, bits(x)
    if isinstance(x, (list, tuple)):
        return type(x).__name__, [shown(part) for part in x]
    if isinstance(x, np.ndarray):
        return "array", str(x.dtype), [shown(part) for part in x.ravel().tolist()]
    if isinstance(x, float):
        return type(x).__name__, x.hex()
    return type(x).__name__, re.sub("0x[0-9a-f]+", "0x", repr(x))


def with_others(text):
    """All operators with one operand of another type, on either side."""
    x = eval(text)
    a = Value(1.75)
    found = []
    for name in (*INFIX, *COMPARED, "divmod"):
        f = divmod if name == "divmod" else getattr(operator, name)
        for xs in ((a, x), (x, a)):
            with np.errstate(all="ignore"):
                found.append(answered(lambda f=f, xs=xs: shown(f(*xs))))
    for f in (m.atan2, m.max, m.fma, m.where, m.sin, m.dot, m.sum, Value, a.atan2, a.backward):
        for xs in ((x,), (a, x), (x, a), (a, x, a), ([a, x],), ([a], [x])):
            found.append(answered(lambda f=f, xs=xs: shown(f(*xs))))
    return found


@pytest.mark.parametrize("text", OTHERS)
def test_numbers_of_other_types(there, text):
    mine, other = with_others(text), there(with_others, text)
    assert len(mine) == len(other) == 88
    assert [x for x in zip(mine, other, strict=True) if not agree(*x)] == []


@pytest.mark.parametrize("text", [x for x in OTHERS if x.startswith(("np.float", "np.int", "2**"))])
def test_they_are_the_floats_that_they_are(text):
    x = eval(text)
    for name in INFIX[:3]:
        f = getattr(operator, name)
        assert bits(f(Value(1.75), x)) == bits(f(1.75, float(x)))
        assert bits(f(x, Value(1.75))) == bits(f(float(x), 1.75))


# --- what is refused, and everything else -------------------------------------

TRIED = """
float(a) | int(a) | complex(a) | [1][a] | math.sin(a) | np.array([a], dtype=float) | "%f" % a
Value() | Value("x") | Value(1j) | Value(None) | Value([1]) | Value(a) | Value(1.0, 2)
Value(1, label="x").label | Value(10**400) | Value(np.array(1.0)) | Value(data=3).data
Value(1.0, "l", 3) | Value(nope=1) | setattr(a, "data", "x") | setattr(a, "data", a)
setattr(y, "data", 1.0) | setattr(a, "grad", None) | setattr(a, "label", 3)
setattr(a, "op", "x") | setattr(a, "inputs", ()) | setattr(a, "nothing", 1) | setattr(a, "_op", 1)
setattr(a, "_prev", 1) | delattr(a, "nothing") | a.nothing | a.__array__ | a._grad | y.sum
a.backward("x") | a.backward(None) | y.backward(a) | y.backward(1, 2) | c.backward()
a.forward(1) | a.tanh(1) | a.atan2() | a.leaky_relu() | a.leaky_relu(0.5) | a.pow(2)
a.where(1.0, y) | a.arctan2(y) | a.arcsin() | m.sin() | m.sin(a, a) | m.atan2(a) | m.fma(a)
m.dot([a], []) | m.sum(a) | m.max([]) | m.log("x") | m.ldexp(a, 1.5) | m.where(a)
m.where("x", a, a) | m.where(a, "x", a) | TABLE["sum"]() | TABLE["dot"](a) | m.hypot(a, None)
a @ a | a & a | ~a | a << 1 | pow(a, 2, 3) | round(a, "2") | round(a, 2) | round(a)
format(a, "x") | f"{a:.3f}" | a + None | None + a | a + "x" | "x" + a | a * [1] | [1] * a
a < None | a < "x" | a == None | a == "x" | a != [1] | hash(a) == hash(a) | bool(a)
bool(Value(0.0)) | bool(Value(math.nan)) | abs(-a) | +a | -a | divmod(a, y) | math.floor(a)
math.ceil(a) | math.trunc(a) | repr(a) | str(y) | repr(Value(1.0, "x")) | a in [y] | len(a)
iter(a) | a.op | y.op | c.op | a._op | y._op | sorted([y, a, c], key=lambda v: v)[0] | a.inputs
len(y.inputs) | len(y._prev) | copy.copy(a) | copy.deepcopy(a) | copy.copy(y)
copy.deepcopy([a, a])[0] | pickle.loads(pickle.dumps(a)) | pickle.dumps(y)
pickle.loads(pickle.dumps(c)) | pickle.loads(pickle.dumps(Value(2.0, "w"))).label
a.__reduce__()[1] | y.__reduce__() | type("Sub", (Value,), {}) | weakref.ref(a)() is a
isinstance(a, Value) | type(a).__name__ | Value.__name__ | Value.__module__ | y.detach()
y.detach().op | a.detach().label | y.forward() is y | vars(a) | a.__dict__ | a() | a.tanh().op
Value.tanh(a) | np.sin(np.array([a]))[0] | np.dot([a, y], [y, a]) | np.array([a, y]).sum()
np.sqrt([a])[0] | np.array([a]) * 2 | np.arctan2([a], 2)[0] | grad(lambda x: x)("x")
grad(lambda x: "x")(1.0) | grad(lambda x: [x])(1.0) | jvp(lambda x: None, (1.0,), (1.0,))
hessian(3) | grad(lambda x: float(x))(1.0) | trace(lambda x: x.data, 1.0)
trace(lambda x: float(x), 1.0) | trace(lambda x: a.backward(), 1.0)
trace(lambda x: x + a, 1.0)(2.0) | Tape().gradient(y, [1.0]) | Tape().gradient(y, None)
Tape().gradient([y], a) | Tape().gradient(y, a) | define("sin", abs, 1.0)
define("a b", abs, 1.0) | define("new") | define("new", abs, "x") | define("tanh", abs, 1.0)
define("data", abs, 1.0) | define("_tape", abs, 1.0) | define("backward", abs, 1.0)
define("arcsin", abs, 1.0) | bad(a) | bad(2.0) | worse(a).backward() | raising(a) | complexes(a)
complexes(2.0) | a.bad() | tape.here.table.held
"""


def everything_tried():
    """Each expression's answer or error; with what the tape says afterwards."""
    made = [
        define("bad", lambda x: 1 / 0, 1.0),
        define("worse", lambda x: x, lambda x, y: 1 / 0),
        define("raising", lambda x: {}[x], 1.0),
        define("complexes", lambda x: 1j, 1.0),
    ]
    names = dict(zip(("bad", "worse", "raising", "complexes"), made, strict=True))
    found = {}
    try:
        for text in [x.strip() for line in TRIED.strip().splitlines() for x in line.split(" | ")]:
            a = Value(0.75)
            here = {**globals(), **names, "a": a, "y": a * 2.0 + 1.0, "c": a.detach()}
            found[text] = answered(lambda text=text, here=here: shown(eval(text, here)))
            table = tape.here.table
            assert (table.held, table.muted, table.sweeping, table.trace) == (0, 0, False, None)
    finally:
        for name in names:
            del TABLE[name]
    return found


def test_whatever_one_tries(there):
    mine, other = everything_tried(), there(everything_tried)
    assert len(mine) > 160
    assert [text for text, x in mine.items() if x[0] == "NameError"] == []
    assert sum(x[0] != "ok" for x in mine.values()) > 90
    assert {text: (x, other[text]) for text, x in mine.items() if not agree(x, other[text])} == {}


def test_uninitialised_values_are_no_crash():
    """A Value that nobody has made: an error or a number, and the interpreter goes on."""
    code = """
        import operator, copy, pickle, gc
        from miniflow import Value, ops, math as m, Tape, grad
        def attempts():
            v = Value.__new__(Value)
            for name in dir(Value):
                yield lambda: getattr(v, name)
                yield lambda: getattr(v, name)()
                yield lambda: getattr(v, name)(Value(1.0))
            for f in (operator.add, operator.lt, operator.eq, operator.pow, divmod):
                yield lambda: f(v, 1.0)
                yield lambda: f(Value(1.0), v)
                yield lambda: f(v, v)
            for op in ops.TABLE.values():
                yield lambda: op(*[v] * max(op.arity, 2))
            for f in (repr, hash, copy.copy, pickle.dumps, bool, grad(lambda x: x * v), abs):
                yield lambda: f(v)
            yield lambda: m.dot([v, Value(1.0)], [Value(1.0), v])
            yield lambda: Tape().gradient(Value(1.0) * 2, v)
            yield lambda: setattr(v, "data", 1.0)
            yield lambda: setattr(v, "label", "x")
        tried = 0
        try:
            for f in attempts():
                tried += 1
                try:
                    f()
                except Exception:
                    pass
        except TypeError:
            pass  # not even made
        gc.collect()
        a = Value(3.0)
        (a * a).backward()
        print(a.grad)
    """
    assert ran(code).stdout.split() == ["6.0"]


def test_a_value_made_again_is_no_other_values_row():
    """`__init__` once more: refused, or a new row; not two rows that one Value stands for."""
    code = """
        from miniflow import Value
        from miniflow.tape import core as tape, storage
        storage.SMALLEST = 8
        tape.here.table = tape.Table()
        values = [Value(float(k)) for k in range(300)]
        for v in values:
            try:
                v.__init__(v.data)
            except TypeError:
                pass
        del v, values
        later = [Value(float(k)) for k in range(300)]
        tape.here.table.compact()
        print([v.data for v in later] == [float(k) for k in range(300)])
        print(sorted(v._entry for v in later) == [v._entry for v in later], tape.here.table.count)
    """
    assert ran(code).stdout.split() == ["True", "True", "300"]


def test_more_operations_than_there_can_be_codes():
    code = """
        from miniflow import Value, define, ops
        first = define("first", lambda x: x, lambda x, y: 1.0)
        made = [define(f"row{k}", lambda x: x, lambda x, y: 1.0) for k in range(1 << 16)]
        a = Value(3.0)
        for op in (first, made[0], made[-1], made[60_000]):
            try:
                op(a).backward()
                print(a.grad)
            except OverflowError as error:
                print("65,536 operations" in str(error))
        (a * a).backward()
        print(a.grad)
    """
    expected = "1.0 2.0 3.0 4.0 10.0" if miniflow.engine == "python" else "1.0 2.0 True 3.0 9.0"
    assert ran(code).stdout.split() == expected.split()


def test_lists_that_grow_while_they_are_multiplied():
    code = """
        import gc
        from miniflow import Value
        from miniflow.tape import core as tape
        class Ghost:
            def __init__(self):
                self.me = self
            def __del__(self):
                xs.extend([v] * 100_000)
        v = Value(2.0)
        xs, ws = [v], [v]
        kept = [Value(1.0) for _ in range(2000)]
        gc.collect()
        gc.freeze()
        Ghost()
        gc.set_threshold(1, 1 << 30, 1 << 30)
        try:
            tape.dot_entry(xs, ws)
        except (TypeError, ValueError):
            pass
        gc.set_threshold(700)
        y = Value(3.0)
        (y * y).backward()
        print(y.grad)
    """
    assert ran(code).stdout.split() == ["6.0"]


def test_what_help_shows():
    assert inspect.getdoc(Value).startswith("A number that remembers what it was computed from.")
    assert "chain" in inspect.getdoc(Value.backward) or "leaf" in inspect.getdoc(Value.backward)
    assert {"tanh", "arcsin", "data", "grad", "backward", "inputs"} <= set(dir(Value(1.0)))
    assert {*TABLE} <= {*dir(Value(1.0))}
    for name, op in TABLE.items():
        if op.arity > 0:
            assert callable(getattr(Value, name))
            assert callable(getattr(Value(0.5), name))
    assert str(inspect.signature(Value.backward)).startswith("(self, seed")
    import pydoc

    text = pydoc.plain(pydoc.render_doc(Value))
    assert "backward" in text
    assert "forward" in text


def test_values_are_objects_like_others():
    v = Value(1.0)
    seen = []
    reference = weakref.ref(v, seen.append)
    assert reference() is v
    assert {v: 1}[v] == 1
    assert gc.is_tracked(v)
    assert copy.copy(v) is not v
    del v
    assert reference() is None
    assert seen == [reference]
    with pytest.raises(TypeError, match=r"subclass|not an acceptable base type"):
        type("Sub", (Value,), {})
