"""Two engines from one source: they give the same answers, bit for bit, and the same errors.

Terms:
    here    the engine that the tests run on
    there   the other one, in a process of its own that does the same jobs
    job     a function of plain data that returns plain data: a pair of "ok" and an answer,
            or of an exception's name and what it says
"""

import contextlib
import copy
import functools
import gc
import inspect
import itertools
import math
import operator
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import textwrap
import weakref
from decimal import Decimal  # noqa: F401 - in OTHERS
from fractions import Fraction
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naming import label
from test_program import bits, computed, functions, points

import miniflow
from miniflow import Tape, Value, define, grad, hessian, jvp, no_grad, trace, vjp
from miniflow import math as m
from miniflow.ops import TABLE
from miniflow.tape import core as tape
from miniflow.tape.choose import sources

TESTS = Path(__file__).parent
INSTALLED = Path(miniflow.__file__).parent.parent  # where the package is that is tested
OTHER = {"compiled": "python", "python": "compiled"}[miniflow.engine]
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

CHILD = """
import pickle, sys
sys.path[:0] = {paths!r}
import miniflow, test_engines
out, sys.stdout = sys.stdout.buffer, sys.stderr
pickle.dump(miniflow.engine, out); out.flush()
while True:
    name, args = pickle.load(sys.stdin.buffer)
    pickle.dump(getattr(test_engines, name)(*args), out); out.flush()
"""


class There:
    """A process in which the other engine does jobs."""

    def __init__(self):
        code = CHILD.format(paths=[str(INSTALLED), str(TESTS)])
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "MINIFLOW_ENGINE": OTHER},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert pickle.load(self.process.stdout) == OTHER
        except EOFError:
            message = self.process.communicate()[1].decode()
            if OTHER == "compiled" and "no compiled engine" in message:
                pytest.skip("there is no compiled engine to compare with")
            raise RuntimeError(message) from None

    def __call__(self, job, *args):
        pickle.dump((job.__name__, args), self.process.stdin)
        self.process.stdin.flush()
        return pickle.load(self.process.stdout)

    def close(self):
        with self.process:
            self.process.stdin.close()
            self.process.terminate()
            self.process.stdout.close()
            self.process.stderr.close()


@pytest.fixture(scope="module")
def there():
    process = There()
    yield process
    process.close()


@pytest.fixture(scope="module")
def same(there):
    """A function that does a job on both engines and compares; the answer."""

    def both(job, *args):
        mine, other = job(*args), there(job, *args)
        if mine != other and isinstance(mine, list):
            pairs = enumerate(itertools.zip_longest(mine, other))
            assert [(k, a, b) for k, (a, b) in pairs if a != b][:5] == []
        assert mine == other
        return mine

    return both


def answered(f, *args):
    """What a call answers or says."""
    try:
        found = f(*args)
    except Exception as error:
        # of compiled classes Python also names the module
        said = str(error).replace("miniflow.tape.core.Value", "Value")
        return type(error).__name__, said, getattr(error, "__notes__", [])
    return "ok", found


# Where Python itself, or Cython, says in words of its own that arguments are not what they
# should be: the same kind of error.
THEIRS = re.compile(
    r"argument|attribute|object is not|descriptor|not writable|not an acceptable|has no setter"
)


def agree(mine, other):
    """Whether two engines answer the same, or refuse in the same words where they are ours."""
    theirs = "ok" not in (mine[0], other[0]) and THEIRS.search(mine[1]) and THEIRS.search(other[1])
    return mine == other or (theirs and mine[0] == other[0])


def test_the_other_engine_is_the_other_one(there):
    assert {miniflow.engine, there(which)} == {"compiled", "python"}


def which():
    return miniflow.engine


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
@settings(max_examples=10)
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
        nodes.append(computed(step, nodes, []))
    values = [v for v in nodes if v.__class__ is Value]
    found = [bits(nodes), [v.op for v in values], [len(v.inputs) for v in values]]
    for k in f.outputs:
        y = nodes[k]
        if y.__class__ is Value:
            y.backward(1.5)
            found.append(bits([v.grad for v in values]))
    for leaf, x in zip(leaves, others, strict=True):
        leaf.data = x
    for k in f.outputs:
        if nodes[k].__class__ is Value:
            nodes[k].forward()
    return [*found, bits(nodes), bits([v.grad for v in values])]


@settings(max_examples=150)
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


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
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
        from miniflow.tape import core as tape
        tape.SMALLEST = 8
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
        print(sorted(v._row for v in later) == [v._row for v in later], tape.here.table.count)
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
            tape.dot(xs, ws)
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


# --- which engine runs --------------------------------------------------------


def ran(code, engine=miniflow.engine, folder=INSTALLED, check=True, **environment):
    """A program run in a process of its own, on the same engine if nothing else is said."""
    environment = {**os.environ, "MINIFLOW_ENGINE": engine, **environment}
    if engine is None:
        del environment["MINIFLOW_ENGINE"]
    command = [sys.executable, "-W", "error", "-W", "default:miniflow:RuntimeWarning", "-"]
    run = subprocess.run(
        command, input=textwrap.dedent(code), cwd=folder, env=environment,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert not check or run.returncode == 0, run.stderr[-2000:]
    return run


ENGINE = "import miniflow; print(miniflow.engine, (miniflow.Value(3.0) ** 2).data)"


@pytest.fixture
def elsewhere(tmp_path):
    """A copy of the package."""
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(INSTALLED / "miniflow", tmp_path / "miniflow", ignore=unwanted)
    return tmp_path


def has_compiled():
    files = (INSTALLED / "miniflow" / "tape").glob("core.*")
    return any(path.suffix in (".so", ".pyd") for path in files)


compiled_only = pytest.mark.skipif(
    miniflow.engine == "python" and not has_compiled(), reason="there is no compiled engine"
)


def test_python_is_there_when_asked_for():
    assert ran(ENGINE, "python").stdout == "python 9.0\n"


@compiled_only
def test_so_is_the_compiled_one():
    assert ran(ENGINE, "compiled").stdout == "compiled 9.0\n"
    assert ran(ENGINE, None).stdout == "compiled 9.0\n"
    assert ran(ENGINE, "").stdout == "compiled 9.0\n"


@pytest.mark.parametrize("name", ["nonsense", "Python", "compiled "])
def test_another_name_is_refused(name):
    run = ran(ENGINE, name, check=False)
    assert run.returncode == 1
    assert f"ImportError: MINIFLOW_ENGINE={name!r}: it is none of compiled, python" in run.stderr


@compiled_only
@pytest.mark.parametrize("name", ["operation.py", "ops.py", "tape/core.py", "tape/engine.h"])
def test_a_stale_build_is_not_used(elsewhere, name):
    assert str(INSTALLED / "miniflow" / name) in sources()
    with (elsewhere / "miniflow" / name).open("a") as file:
        file.write("\n" if name.endswith(".h") else "\n# changed\n")
    run = ran(ENGINE, None, elsewhere)
    assert run.stdout == "python 9.0\n"
    assert run.stderr.count("RuntimeWarning: miniflow: the engine runs as Python") == 1
    assert "install miniflow again" in run.stderr
    assert ran(ENGINE, "python", elsewhere).stderr == ""
    run = ran(ENGINE, "compiled", elsewhere, check=False)
    assert run.returncode == 1
    assert "no compiled engine" in run.stderr


@compiled_only
def test_a_fresh_build_has_no_warning_and_line_ends_do_not_matter(elsewhere):
    path = elsewhere / "miniflow" / "ops.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    run = ran(ENGINE, None, elsewhere)
    assert (run.stdout, run.stderr) == ("compiled 9.0\n", "")


def test_no_build_at_all(elsewhere):
    for path in (elsewhere / "miniflow" / "tape").glob("core.*.so"):
        path.unlink()
    run = ran(ENGINE, None, elsewhere)
    assert (run.stdout, run.stderr) == ("python 9.0\n", "")
    run = ran(ENGINE, "compiled", elsewhere, check=False)
    assert run.returncode == 1
    assert "install miniflow again where there is a C compiler" in run.stderr


def test_a_build_that_cannot_be_loaded(elsewhere):
    """Cut off, or for another machine: said, not hidden."""
    path = elsewhere / "miniflow" / "tape" / f"core{EXTENSION_SUFFIXES[0]}"
    path.write_bytes(b"no library")
    run = ran(ENGINE, "python", elsewhere)
    assert (run.stdout, run.stderr) == ("python 9.0\n", "")
    run = ran(ENGINE, None, elsewhere)
    assert run.stdout == "python 9.0\n"
    assert run.stderr.count("RuntimeWarning: miniflow: the engine runs as Python") == 1
    assert path.name in run.stderr
    run = ran(ENGINE, "compiled", elsewhere, check=False)
    assert run.returncode == 1
    assert "ImportError" in run.stderr
    assert path.name in run.stderr


@pytest.mark.parametrize("engine", ["python", pytest.param("compiled", marks=compiled_only)])
def test_what_is_loaded(engine):
    code = """
        import sys
        before = set(sys.modules)
        import miniflow
        x = miniflow.Value(2.0)
        (x * x).backward()
        new = {name.split(".")[0] for name in set(sys.modules) - before}
        assert not {"Cython", "hashlib", "pathlib"} & new
        # a compiled module's own: they are in no file
        new -= set(sys.stdlib_module_names)
        print(*sorted(x for x in new if hasattr(sys.modules[x], "__file__")))
    """
    assert ran(code, engine).stdout.split()[-1:] == ["miniflow"]


@pytest.mark.parametrize("engine", ["python", pytest.param("compiled", marks=compiled_only)])
def test_a_python_without_the_interpreter_lock_is_refused(engine):
    code = """
        import sys
        sys._is_gil_enabled = lambda: False
        try:
            import miniflow
        except ImportError as error:
            print(error)
        else:
            print("loaded")
    """
    said = ran(code, engine).stdout
    assert "needs the interpreter lock" in said
    assert "PYTHON_GIL=1" in said


@pytest.mark.parametrize("engine", ["python", pytest.param("compiled", marks=compiled_only)])
def test_any_module_may_be_imported_first(engine):
    for name in ("tape", "ops", "program.c", "tape.choose", "program", "tape.columns", "tape.core"):
        assert (
            ran(f"import miniflow.{name}, miniflow; print(miniflow.engine)", engine).stdout
            == f"{engine}\n"
        )


# --- objects that are called --------------------------------------------------


class Answering(tape.Called):
    def run(self, *args, **kwargs):
        return self, args, kwargs


def pair(*args, **kwargs):
    return args, kwargs


# of every convention that C code and Python have for being called
SHORTCUTS = [
    pair, lambda x, *, key=None: (x, key), len, sorted, divmod, list, dict, Fraction, math.hypot,
    functools.partial(pair, 1), {}.get, operator.itemgetter(0), type("C", (), {"__call__": pair})(),
    Answering().run,
]  # fmt: skip
CALLS = [
    ((), {}), (([3, 1, 2],), {}), ((7, 2), {}), (([3, 1],), {"key": abs}), ((), {"key": 1}),
    ((1, 2, 3, 4, 5, 6, 7, 8), {}),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=label)
@pytest.mark.parametrize("shortcut", SHORTCUTS, ids=label)
def test_a_shortcut_answers_calls(shortcut, call):
    """As if it had been called itself; another object of the class answers by itself."""
    args, kwargs = call

    def answer(f):
        try:
            return "ok", f(*args, **kwargs)
        except Exception as error:
            return type(error), str(error)

    x, y = Answering(), Answering()
    assert answer(x) == ("ok", (x, args, kwargs))
    assert x.shortcut is None
    x.shortcut = shortcut
    assert x.shortcut is shortcut
    assert answer(x) == answer(shortcut)
    x.shortcut = None
    assert x.shortcut is None
    assert answer(x) == ("ok", (x, args, kwargs))
    assert answer(y) == ("ok", (y, args, kwargs))


def test_classes_of_objects_that_are_called():
    """They are classes like others: with bases, with a module, with a `__call__` of their own."""
    made = []

    class Base:
        def __init_subclass__(cls, **kwargs):
            made.append((cls.__name__, kwargs))

    class Both(Answering, Base):
        pass

    class Own(Answering):
        def __call__(self, *args, **kwargs):
            return "its own", args, kwargs

    assert made[0] == ("Both", {})
    both, own = Both(), Own()
    both.shortcut = pair
    assert both(1.0, x=2.0) == ((1.0,), {"x": 2.0})
    assert own(1.0, x=2.0) == ("its own", (1.0,), {"x": 2.0})
    assert {type(x).__module__ for x in (both, own)} == {__name__}
    assert vars(both) == vars(own) == {}


def test_a_shortcut_that_is_replaced_while_it_answers():
    x = Answering()

    class Shortcut:
        def __call__(self, number):
            x.shortcut = math.sqrt
            gc.collect()
            return self, number

    x.shortcut = Shortcut()
    assert type(x(4.0)[0]) is Shortcut
    assert x(4.0) == 2.0


def test_objects_that_are_called_are_freed():
    """With a shortcut or without, in a circle or not; nothing is lost when they are called."""
    gone = []
    for shortcut in (None, "its own", math.sqrt):
        x = Answering()
        if shortcut is not None:
            x.shortcut = x.run if shortcut == "its own" else shortcut
        x.self = x
        gone.append(weakref.ref(x))
        number = object()
        before = sys.getrefcount(number)
        for _ in range(10):
            with contextlib.suppress(TypeError):
                x(number, x=number)
        assert sys.getrefcount(number) == before
    del x
    gc.collect()
    assert [x() for x in gone] == [None] * 3


# --- memory -------------------------------------------------------------------


def kept_small(f, times=300):
    """By how many bytes the process has grown by many calls, after as many before."""
    import resource

    def size():
        gc.collect()
        tape.here.table.compact()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    for _ in range(times):
        f()
    before = size()
    for _ in range(times):
        f()
    return size() - before


def leaky():
    """One call of each kind: none keeps anything."""
    x, w = Value(0.5), Value(0.25, "w")
    own = TABLE.get("own_row") or define("own_row", lambda x: x, lambda x, y: 1.0)

    def refused(f, *args):
        try:
            f(*args)
        except (TypeError, AttributeError, RuntimeError, ValueError):
            return
        raise AssertionError

    def f(x, y):
        return m.sin(x * y) + (x if x > y else y)

    return {
        "binary": lambda: [x + w for _ in range(100)],
        "number": lambda: [x * 2.0 + 1 for _ in range(100)],
        "numpy": lambda: [np.float64(2.0) * x for _ in range(100)],
        "unary": lambda: [m.tanh(x) for _ in range(100)],
        "method": lambda: [x.tanh() for _ in range(100)],
        "method of two": lambda: [x.atan2(w) for _ in range(100)],
        "three": lambda: [m.fma(x, w, 1.0) for _ in range(50)],
        "wide": lambda: m.sum([x] * 100),
        "dot": lambda: [tape.dot([x, w], [w, x]) for _ in range(50)],
        "own": lambda: [own(x) for _ in range(50)],
        "leaf": lambda: [Value(1.0, "label") for _ in range(100)],
        "backward": lambda: m.sum([m.sin(x * w) for _ in range(50)]).backward(),
        "forward": lambda: (x * w + w).forward(),
        "inputs": lambda: [(x * w).inputs for _ in range(50)],
        "dropped inputs": lambda: [(x * 2.0 + 1.0).inputs[0].inputs for _ in range(50)],
        "data": lambda: [(x.data, x.grad, x.op, w.label, repr(x)) for _ in range(50)],
        "set": lambda: [setattr(x, "data", 0.5), setattr(x, "grad", 1.0), setattr(w, "label", "w")],
        "compare": lambda: [x < w, x == 1.0, x != w, bool(x)],
        "refused": lambda: [refused(lambda: x + None), refused(Value, "x"), refused(float, x)],
        "unknown": lambda: [refused(getattr, x, "nothing"), refused(m.sin, None)],
        "no_grad": lambda: no_grad()(lambda: x * w)(),
        "tape": lambda: Tape().__enter__().__exit__(None, None, None),
        "grad": lambda: grad(grad(f))(0.5, 0.25),
        "hessian": lambda: hessian(lambda v: f(*v))([0.5, 0.25]),
        "weakref": lambda: [weakref.ref(Value(1.0), id) for _ in range(50)],
        "cycle": lambda: (lambda d: d.update(me=d))({"v": x * w}),
        "copy": lambda: [copy.copy(x), pickle.loads(pickle.dumps(w))],
        "table": lambda: setattr(tape.here, "table", tape.here.table),
    }


KINDS = (
    "binary", "number", "numpy", "unary", "method", "method of two", "three", "wide", "dot", "own",
    "leaf", "backward", "forward", "inputs", "dropped inputs", "data", "set", "compare", "refused",
    "unknown", "no_grad", "tape", "grad", "hessian", "weakref", "cycle", "copy", "table",
)  # fmt: skip


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_kept(kind):
    kinds = leaky()
    try:
        assert list(kinds) == list(KINDS)
        assert kept_small(kinds[kind]) < 300_000
    finally:
        TABLE.pop("own_row", None)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells")
def test_what_is_kept_would_be_noticed():
    kept = []  # pieces that find no room from earlier on
    assert kept_small(lambda: kept.append(b"x" * 1_000_000), times=10) > 300_000


def test_tables_are_given_back(in_thread):
    """Threads come and go; what they recorded goes with them."""
    gone = []

    def job():
        a = Value(1.0)
        y = a
        for _ in range(1000):
            y = y * 1.5
        y.backward()
        gone.append(weakref.ref(y))

    def run():
        for _ in range(5):
            in_thread(job)

    assert kept_small(run, 5) < 1_000_000
    assert all(reference() is None for reference in gone)
